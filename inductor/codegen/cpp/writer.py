"""Expressions to C++ statements, each in the outermost loop where its operands are known.

A `Writer` holds the open blocks of a function, outermost first. `value(e)` returns the name of an expression's value; if no
open block has it yet, a statement is added to the block where its last operand is defined. Closing a loop forgets
what was computed in it, so the next pass over the same loop computes anew.

A value is a scalar, or a vector over the lanes of the vector variable. Inside a lane-by-lane function (gathers, scatters) the
vector variable is a scalar again, and known vectors are read at one lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ....errors import InternalError
from ...dtypes import HALVES, bool_, int64
from ...kernel import Store
from ...loops import Atom, Expr, Index, Indirect, Var, expr, postorder
from .cost import called_functions
from .emit import template
from .indexing import dim_text, free_vars, index_text, index_vars, is_near, stride_along
from .nest import Nest
from .ranges import fits_i32
from .types import CTYPES, c_name, literal, storage_type, value_type

#: operators of the store modes that keep what was there
_UPDATES = {"add": "+", "or": "|"}


@dataclass(frozen=True)
class Value:
    """text: C++; ctype: element type; level: number of the block that defines it; is_name: it is the name of a variable."""

    text: str
    ctype: str
    vector: bool
    level: int
    is_name: bool = False


@dataclass
class Block:
    """One open scope. header: the line that opens it; scalar_lanes: the vector variable runs lane by lane (inside a gather)."""

    level: int
    header: str = ""
    lines: list[str] = field(default_factory=list)
    values: dict[tuple[Expr, Expr | None], Value] = field(default_factory=dict)
    vars: tuple[Var, ...] = ()
    scalar_lanes: bool = False


class Writer:
    """Emits one function's body: what all strategies write with."""

    def __init__(self, nest: Nest) -> None:
        kernel = nest.kernel
        self.nest, self.vector, self.N, self.vector_bytes = nest, nest.vector, nest.lanes, nest.vector_bytes
        self.dtypes, self.written = {b.name: b.dtype for b in kernel.args}, kernel.writes
        self.blocks = [Block(0)]
        #: functions that are called rather than put in place
        self.apart = called_functions(kernel.stores)
        self.may_hoist_loads = all(v.extent != 0 for v in kernel.r)
        #: whether some buffer is read and written
        self.overwrites = not kernel.reads.isdisjoint(kernel.writes)
        #: expressions that a strategy keeps at hand, and what reads them there: a tile, an array, a running prefix
        self.at_hand: dict[Expr, Callable[[], Value]] = {}
        #: loop variables that go by another name for the moment
        self.names: dict[Var, str] = {}
        self._names = 0
        self._loads: dict[Expr, bool] = {}
        self._free: dict[Expr, frozenset[Var]] = {}

    def turn(self, vector: Var, lanes: int) -> None:
        """From here on the lanes run along another variable. Not inside a loop over lanes."""
        self.nest = replace(self.nest, vector=vector, lanes=lanes)
        self.vector, self.N = vector, lanes

    def keep(self, e: Expr, read: Callable[[], Value]) -> None:
        """From here on an expression is at hand, also under a mask: what it was loaded from is not read again."""
        self.at_hand[e] = read
        self._loads[e] = False

    # ----------------------------------------------------------------- blocks

    def line(self, text: str) -> None:
        """A statement in the innermost block."""
        self.blocks[-1].lines.append(text)

    def open(self, header: str, *vars: Var, scalar_lanes: bool = False) -> None:
        """Begin a block; `vars` become known in it."""
        self.blocks.append(Block(len(self.blocks), header, vars=vars, scalar_lanes=scalar_lanes))

    def close(self, footer: str = "}") -> None:
        """End the innermost block; its values are forgotten."""
        done = self.blocks.pop()
        # the header goes in only now: what was hoisted out of the block stands before it
        self.blocks[-1].lines += [done.header, *(f"  {line}" for line in done.lines), footer]

    def open_lanes(self, low: str, high: str, unroll: int = 1, copy: str = "auto", *, whole: bool = True) -> None:
        """Begin the loop over the vector variable, its lanes side by side; `close_lanes` ends it.

        whole: whether a piece of it (low to high) begins and ends with a whole vector, or where the variable does
        """
        v, N = self.vector, self.N
        assert v is not None
        exact = whole and isinstance(v.extent, int) and v.extent % N == 0
        flags = f"{N}, {unroll}, {'true' if exact else 'false'}"
        self.open(f"vector_loop<{flags}>({low}, {high}, [&](i64 {v.name}, auto n, {copy}) INLINE_BODY {{", v)

    def close_lanes(self) -> None:
        self.close("});")

    def fresh(self, stem: str = "t") -> str:
        self._names += 1
        return f"{stem}{self._names - 1}"

    @property
    def level(self) -> int:
        return len(self.blocks) - 1

    @property
    def in_scalar_lanes(self) -> bool:
        return any(b.scalar_lanes for b in self.blocks)

    def _var_level(self, v: Var) -> int:
        for block in reversed(self.blocks):
            if v in block.vars:
                return block.level
        raise InternalError(f"[cpp] {v} is used outside its loop")

    # ----------------------------------------------------------------- types

    def type_name(self, ctype: str, vector: bool) -> str:
        if not vector:
            return ctype
        return f"i{8 * self.vector_bytes // self.N}x{self.N}" if ctype == "bool" else f"{ctype}x{self.N}"

    def as_vector(self, v: Value) -> str:
        """The value as a vector."""
        if v.vector:
            return v.text
        name = "splat_mask" if v.ctype == "bool" else "splat"
        return f"{name}<{self.type_name(v.ctype, True)}>({v.text})"

    def as_type(self, v: Value, ctype: str) -> Value:
        """The value in another element type."""
        if v.ctype == ctype:
            return v
        if ctype == "bool":
            text = f"as_mask({v.text} != 0)" if v.vector else f"({v.text} != 0)"
        elif v.ctype == "bool" and v.vector:
            text = f"ones<{self.type_name(ctype, True)}>({v.text})"
        else:
            text = f"convert<{self.type_name(ctype, v.vector)}>({v.text})"
        return Value(text, ctype, v.vector, v.level)

    def varies(self, e: Expr) -> bool:
        """Whether `e` differs from lane to lane here: a reduction does so only when the lanes are not what it reduces over."""
        return self.vector is not None and not self.in_scalar_lanes and self.vector in free_vars(e, self._free)

    # ----------------------------------------------------------------- expressions

    def value(self, e: Expr, mask: Expr | None = None) -> Value:
        """The value of `e`; loads below it happen only where `mask` holds."""
        mask = self._mask_of(e, mask)
        known = self._lookup(e, mask)
        if known is not None:
            return known
        if e.op == "const":
            return self._compute(e, mask)
        *before, _ = self._in_order(e, mask)
        for below, under in before:
            if self._lookup(below, under) is None:
                self._name(below, under, self._compute(below, under))
        return self._name(e, mask, self._compute(e, mask))

    def _mask_of(self, e: Expr, mask: Expr | None) -> Expr | None:
        """The mask, where one matters to `e`."""
        return mask if mask is not None and self.has_loads(e) else None

    def _in_order(self, e: Expr, mask: Expr | None) -> list[tuple[Expr, Expr | None]]:
        """What has to be computed for `e`, operands before users and `e` last: expressions are deeper than Python's stack."""
        order: list[tuple[Expr, Expr | None]] = []
        done: set[tuple[Expr, Expr | None]] = set()
        stack = [((e, mask), False)]
        while stack:
            item, ready = stack.pop()
            if item in done:
                continue
            if ready:
                done.add(item)
                order.append(item)
                continue
            stack.append((item, True))
            operands = [(a, self._mask_of(a, under)) for a, under in self._operands(*item)]
            stack.extend((x, False) for x in reversed(operands) if x[0].op != "const" and self._lookup(*x) is None)
        return order

    def _operands(self, e: Expr, mask: Expr | None) -> list[tuple[Expr, Expr | None]]:
        """The values that `_compute` asks for in this block, each with the mask that it stands under."""
        if e.op == "masked":
            cond, inner, other = e.args
            return [(cond, mask), (inner, _both(mask, cond)), (other, mask)]
        if e.op in ("reduce", "scan", "dot", "attend", "load", "index") or e in self.at_hand and mask is None:
            return []
        return [(a, mask) for a in e.args]

    def _lookup(self, e: Expr, mask: Expr | None) -> Value | None:
        for block in reversed(self.blocks):
            found = block.values.get((e, mask))
            if found is not None:
                if found.vector and self.in_scalar_lanes:
                    text = f"({found.text}[l] != 0)" if found.ctype == "bool" else f"{found.text}[l]"
                    return Value(text, found.ctype, False, self.level)
                return found
        return None

    def _name(self, e: Expr, mask: Expr | None, made: Value) -> Value:
        if made.is_name:  # a conversion that changes nothing, or a value that named itself
            self.blocks[made.level].values[e, mask] = made
            return made
        name = self.fresh()
        self.blocks[made.level].lines.append(f"{self.type_name(made.ctype, made.vector)} {name} = {made.text};")
        value = Value(name, made.ctype, made.vector, made.level, is_name=True)
        self.blocks[made.level].values[e, mask] = value
        return value

    def has_loads(self, e: Expr) -> bool:
        """Whether `e` reads memory where it stands: only then does a mask matter to it. What joins a row reads all of it."""
        if e not in self._loads:
            for x in postorder([e], known=self._loads):
                at_hand = x.op in ("reduce", "scan", "attend")
                self._loads[x] = x.op == "load" or not at_hand and any(self._loads[b] for b in x.below())
        return self._loads[e]

    def _compute(self, e: Expr, mask: Expr | None) -> Value:
        read = self.at_hand.get(e)
        if read is not None and mask is None and (e.op == "scan" or not self.in_scalar_lanes):
            return read()
        if e.op == "const":
            return self._const(e)
        if e.op == "index":
            return self._index(e, mask)
        if e.op == "load":
            return self._load(e, mask)
        if e.op == "cast":
            return self._cast(e, mask)
        if e.op == "masked":
            return self._masked(e, mask)
        if e.op == "scan":
            raise InternalError(f"[cpp] {e} is read outside its loop")
        if e.op == "dot":
            return self._dot(e, mask)
        if e.op in ("reduce", "attend"):
            raise InternalError(f"[cpp] {e} is read before it was computed")
        return self._scalar_op(e, mask)

    def _dot(self, e: Expr, mask: Expr | None) -> Value:
        """A loop of its own."""
        v, ctype, vector = e.attr, value_type(e, False), self.varies(e)
        name, kind = self.fresh(), self.type_name(ctype, vector)
        self.line(f"{kind} {name}{{}};")
        self.open(f"for (i64 {v.name} = 0; {v.name} < {dim_text(v.extent)}; ++{v.name}) {{", v)
        part = self.as_type(self.value(e.args[0], mask), ctype)
        self.line(f"{name} = {name} + {self.as_vector(part) if vector else part.text};")
        self.close()
        return Value(name, ctype, vector, self.level, is_name=True)

    def _const(self, e: Expr) -> Value:
        ctype = value_type(e, False)
        text = literal(e.attr, ctype)
        if e.dtype in HALVES:
            text = f"round_{storage_type(e.dtype)}({text})"
        return Value(text, ctype, False, 0)

    def _cast(self, e: Expr, mask: Expr | None) -> Value:
        source = self.value(e.args[0], mask)
        made = self.as_type(source, value_type(e, source.vector))
        if e.dtype in HALVES and e.args[0].dtype != e.dtype:
            return Value(f"round_{storage_type(e.dtype)}({made.text})", made.ctype, made.vector, made.level)
        return made

    def _masked(self, e: Expr, mask: Expr | None) -> Value:
        cond, inner, other = e.args
        return self._where(e, [self.value(cond, mask), self.value(inner, _both(mask, cond)), self.value(other, mask)])

    def _where(self, e: Expr, parts: list[Value]) -> Value:
        cond, a, b = parts
        vector = any(v.vector for v in parts)
        ctype = value_type(e, vector)
        a, b = self.as_type(a, ctype), self.as_type(b, ctype)
        level = max(v.level for v in parts)
        if not vector:
            return Value(f"{cond.text} ? {a.text} : {b.text}", ctype, False, level)
        name = "where" if cond.vector else "where_all"
        return Value(f"{name}({cond.text}, {self.as_vector(a)}, {self.as_vector(b)})", ctype, True, level)

    def _scalar_op(self, e: Expr, mask: Expr | None) -> Value:
        parts = [self.value(a, mask) for a in e.args]
        if e.op == "where":
            return self._where(e, parts)
        vector = any(v.vector for v in parts)
        level = max((v.level for v in parts), default=0)
        operand = self._common_type(e, parts, vector)
        parts = [self.as_type(v, operand) for v in parts]
        name = "ipow" if e.op == "pow" and not e.args[0].dtype.is_float else e.op
        form = template(name, operand == "bool", vector, apart=name in self.apart)
        texts = [self.as_vector(v) if vector and not form.mixes else v.text for v in parts]
        ctype = "bool" if e.dtype == bool_ else operand
        return Value(form.text.format(*texts), ctype, vector, level)

    def _common_type(self, e: Expr, parts: list[Value], vector: bool) -> str:
        """The element type in which the operands meet: i32 only where everything surely fits."""
        if e.args[0].dtype != int64:
            return value_type(e.args[0], vector)
        narrow = vector and all(fits_i32(a) for a in e.args) and (e.dtype != int64 or fits_i32(e))
        return "i32" if narrow else "i64"

    # ----------------------------------------------------------------- indices and memory

    def index(self, i: Index, mask: Expr | None = None) -> tuple[str, int]:
        """An index as int64 text at the first lane, and the level where that text makes sense."""
        level = 0

        def atom_text(atom: Atom) -> str:
            nonlocal level
            if isinstance(atom, Var):
                level = max(level, self._var_level(atom))
                name = self.names.get(atom, atom.name)
                return f"({name} + l)" if atom == self.vector and self.in_scalar_lanes else name
            if isinstance(atom, Indirect):
                value = self.as_type(self.value(atom.value, mask), "i64")
                level = max(level, value.level)
                return value.text
            raise InternalError(f"[cpp] unknown index atom {atom!r}")

        text = index_text(i, atom_text)
        if self.in_scalar_lanes and self.vector is not None and self.vector in index_vars(i, self._free):
            level = max(level, next(b.level for b in self.blocks if b.scalar_lanes))
        return text, level

    def _stride(self, i: Index) -> object:
        """Step per lane: 0 for a uniform index, None for an irregular one."""
        if self.vector is None or self.in_scalar_lanes:
            return 0
        return stride_along(i, self.vector, self._free)

    def _index(self, e: Expr, mask: Expr | None) -> Value:
        stride = self._stride(e.attr)
        ctype = value_type(e, self.varies(e))
        if stride is not None and stride == 0:
            text, level = self.index(e.attr, mask)
            return Value(text, "i64", False, level)
        if stride is None:
            return self._by_lane(ctype, lambda: self.index(e.attr, mask)[0], None)
        text, level = self.index(e.attr, mask)
        step = "" if stride == 1 else f", {dim_text(stride)}"  # type: ignore[arg-type]
        return Value(f"count<{self.type_name(ctype, True)}>({text}{step})", ctype, True, level)

    def _load(self, e: Expr, mask: Expr | None) -> Value:
        name, i = e.attr
        ctype = value_type(e, False)
        pointer = c_name(name)
        stride = self._stride(i)
        vector_mask = mask is not None and self.varies(mask)
        if is_near(stride) and mask is None and name not in self.written and ctype != "bool":
            text, level = self.index(i)
            level = max(level, self._lanes_level()) if self.may_hoist_loads else self.level
            return Value(
                f"load_every<{stride}, {self.type_name(ctype, True)}>({pointer} + ({text}), n)", ctype, True, level
            )
        if stride is None or (stride not in (0, 1)):
            return self._by_lane(
                ctype, lambda: self._element(pointer, ctype, i, mask, vector_mask), mask if vector_mask else None
            )
        text, level = self.index(i, mask)
        if name in self.written or not self.may_hoist_loads:
            level = self.level
        at = f"{pointer} + ({text})"
        cond = self.value(mask) if mask is not None else None
        if cond is not None:
            level = max(level, cond.level)
        if stride == 0:
            text = f"load<{ctype}>({at})"
            if cond is not None:
                text = f"{f'any({self._active(cond)})' if cond.vector else cond.text} ? {text} : {ctype}(0)"
            return Value(text, ctype, False, level)
        type_name = self.type_name(ctype, True)
        level = max(level, self._lanes_level())
        if cond is not None and not cond.vector:
            return Value(f"{cond.text} ? load<{type_name}>({at}, n) : {type_name}{{}}", ctype, True, level)
        return Value(f"load<{type_name}>({at}, {self._active(cond)})", ctype, True, level)

    def _active(self, cond: Value | None) -> str:
        """The lanes that take part here: n, and those of a vector mask."""
        return "n" if cond is None or not cond.vector else f"both<{self.N}>(n, {cond.text})"

    def _lanes_level(self) -> int:
        assert self.vector is not None
        return self._var_level(self.vector)

    def _element(self, pointer: str, ctype: str, i: Index, mask: Expr | None, lane_is_active: bool) -> str:
        text, _ = self.index(i, mask)
        load = f"load<{ctype}>({pointer} + ({text}))"
        if mask is not None and not lane_is_active:
            load = f"{self.value(mask).text} ? {load} : {ctype}(0)"
        return load

    def _by_lane(self, ctype: str, element: Callable[[], str], mask: Expr | None) -> Value:
        """A vector whose lanes are computed one by one; `element` emits what lane `l` needs and gives its text."""
        cond = self.value(mask) if mask is not None else None
        name = self.fresh()
        type_name = self.type_name(ctype, True)
        self.open(
            f"{type_name} {name} = gather<{type_name}>({self._active(cond)}, [&](int l) INLINE_BODY {{",
            scalar_lanes=True,
        )
        text = element()
        self.line(f"return {f'({text}) ? -1 : 0' if ctype == 'bool' else text};")
        self.close("});")
        return Value(name, ctype, True, self.level, is_name=True)

    def stores(self, stores: Sequence[Store]) -> None:
        """Write the stores' values in the innermost block. All are computed first: what one overwrites another may read."""
        if self.overwrites and len(stores) > 1:
            for s in stores:
                self.value(self._source(s))
        for s in stores:
            self.store(s)

    def _source(self, s: Store) -> Expr:
        """What has to be computed: storing rounds to a half type by itself."""
        dtype, source = self.dtypes[s.buffer], s.value
        return source.args[0] if source.op == "cast" and source.dtype == dtype and dtype in HALVES else source

    def store(self, s: Store) -> None:
        """Write a store's value in the innermost block."""
        pointer = c_name(s.buffer)
        dtype = self.dtypes[s.buffer]
        value = self.value(self._source(s))
        ctype = CTYPES[dtype.name]
        stride = self._stride(s.index)
        if value.ctype != ctype and not (ctype == "i64" and value.ctype == "i32" and value.vector and stride == 1):
            value = self.as_type(value, ctype)
        scalar = self.vector is None or self.in_scalar_lanes
        if scalar or stride == 0 and not value.vector and not (s.mode == "add" and self._in_each_lane(s)):
            return self._store_one(s, pointer, value.text, ctype)
        if stride != 1:
            if value.vector and not value.is_name:
                value = self._name_here(value)
            self.open(f"scatter<{self.N}>(n, [&](int l) INLINE_BODY {{", scalar_lanes=True)
            lane = value.text
            if value.vector:
                lane = f"({value.text}[l] != 0)" if ctype == "bool" else f"{value.text}[l]"
            self._store_one(s, pointer, lane, ctype)
            return self.close("});")
        text, _ = self.index(s.index)
        at = f"{pointer} + ({text})"
        vector = self.as_vector(value)
        if s.mode in _UPDATES:
            vector = f"load<{self.type_name(ctype, True)}>({at}, n) {_UPDATES[s.mode]} {vector}"
        self.line(f"store({at}, {vector}, n);")

    def _in_each_lane(self, s: Store) -> bool:
        """Whether the store happens at every lane: lanes along r see what varies in r alone."""
        assert self.vector is not None
        along_r = s.value.varies_in_r or any(v.is_reduction for v in s.index.vars())
        return along_r or not self.vector.is_reduction

    def _name_here(self, value: Value) -> Value:
        name = self.fresh()
        self.line(f"{self.type_name(value.ctype, value.vector)} {name} = {value.text};")
        return Value(name, value.ctype, value.vector, self.level, is_name=True)

    def _store_one(self, s: Store, pointer: str, value: str, ctype: str) -> None:
        text, _ = self.index(s.index)
        at = f"{pointer} + ({text})"
        if s.mode in _UPDATES:
            value = f"load<{ctype}>({at}) {_UPDATES[s.mode]} {value}"
        self.line(f"store<{ctype}>({at}, {value});")


def _both(mask: Expr | None, cond: Expr) -> Expr:
    return cond if mask is None else expr("and", mask, cond, dtype=bool_)
