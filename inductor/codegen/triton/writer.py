"""Expressions of a loop nest to lines of Triton, each named after its op.

A value is a scalar or has the tile's rank, with size 1 along axes it does not vary in, so Triton's broadcasting does the rest.
Lanes beyond an axis's end compute garbage that is never stored. What runs along r is the strategy's business (`Joining`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from ....errors import InternalError
from ....kernels.gpu.library import helper_names
from ....kernels.gpu.source import ENTRY, INT32_LIMIT
from ... import dtypes
from ...dtypes import DType, int32
from ...graph import Dim
from ...kernel import Kernel, Store
from ...loops import Expr, FloorDiv, Index, Indirect, Var, points
from ...loops.reducers import REDUCERS
from .reading import COMPARISONS, below, emission_order, fits_indices, has_load, is_small
from .scalars import cast_text, combine_name, literal, takes_literals, template, typed_literal
from .sizes import size_text
from .tiling import Axis, Tiling

_RESERVED = frozenset([*"tl triton libdevice float range x y z r k pid start lanes left_lanes".split(), ENTRY])
_COMBINERS = frozenset(combine_name(row, dtype) for row in REDUCERS.values() for dtype in dtypes.ALL.values())


@dataclass(frozen=True)
class Value:
    """The text of a value and the tile axes along which it varies."""

    text: str
    axes: frozenset[str]
    #: it stands without parentheses
    is_word: bool = False


_ZERO = Value("0", frozenset(), is_word=True)
#: what an enclosing `masked` asks for: the condition, and its value
Mask = tuple[Expr, Value]


@dataclass
class Block:
    """Lines of one nesting level, and what they have computed: (expression, conditions it is under) or local name -> value."""

    lines: list[str] = field(default_factory=list)
    known: dict[Any, Value] = field(default_factory=dict)


class Joining(Protocol):
    """How a strategy writes what joins the elements of a row."""

    def reduce(self, w: Writer, e: Expr) -> None:
        """Make the value of a reduction known."""
        ...

    def scan(self, w: Writer, e: Expr, conds: tuple[Mask, ...]) -> None:
        """Make the running prefixes of a scan known."""
        ...


class Writer:
    """The lines of one kernel: what all strategies write with."""

    def __init__(self, kernel: Kernel, tiling: Tiling, joining: Joining) -> None:
        self.kernel = kernel
        self.tiling = tiling
        self.joining = joining
        self.dtypes = {b.name: b.dtype for b in kernel.args}
        self.axis_of = {v: (a, i) for a in tiling.axes for i, v in enumerate(a.vars)}
        self.order = [a.name for a in tiling.shaped]
        self.masks = {a.name for a in tiling.shaped if not a.exact}
        self.has_scan = any(e.op == "scan" for s in kernel.stores for e in below(s.value, s.index))
        #: functions that join two values of a reduction, by name
        self.combiners: dict[str, str] = {}
        #: device functions that the text calls
        self.needs: set[str] = set()
        self.outer = Block()
        self.inner: Block | None = None
        self.pointers = {b.name: f"{b.name}_ptr" for b in kernel.args}
        blocks = {a.constant for a in tiling.axes}
        self.taken = _RESERVED | helper_names() | blocks | set(self.pointers.values()) | set(kernel.symbols)
        self.taken |= _COMBINERS | {v.name for v in self.axis_of} | {f"{a.name}_mask" for a in tiling.axes}
        self.wide = self._needs_int64()

    def extents(self) -> list[Dim]:
        return [
            *(b.size for b in self.kernel.args),
            *(a.numel for a in self.tiling.axes),
            math.prod(a.numel for a in self.tiling.outer),
        ]

    def _needs_int64(self) -> bool | None:
        """None when it depends on symbols: then the symbols' own width decides."""
        if self.kernel.symbols:
            return None
        return any(isinstance(d, int) and d > INT32_LIMIT for d in self.extents())

    # ------------------------------------------------------------------ axes

    def open_axes(self) -> None:
        """The lines that say where a program stands."""
        outer = self.tiling.outer
        emit = self.outer.lines.append
        if len(outer) == 1:
            self._outer_axis(outer[0], "tl.program_id(0)")
        elif outer:
            emit("pid = tl.program_id(0)" + self.widen())
            rest = "pid"
            for a in reversed(outer[1:]):
                count = self._block_count(a)
                self._outer_axis(a, f"({rest} % {count})", widen=False)
                rest = f"{rest} // {count}" if rest == "pid" else f"({rest}) // {count}"
            self._outer_axis(outer[0], f"({rest})", widen=False)
        r = self.tiling.r
        if r is None:
            return
        if r.role == "tile":
            emit(f"r = {self._arange(r)}" + self.widen())
            if "r" in self.masks:
                emit(f"r_mask = r < {size_text(r.numel)}")
        else:
            emit(f"lanes = {self._arange(r)}")
        if self.tiling.k is not None:
            emit(f"left_lanes = {self._arange(self.tiling.k)}")

    def _outer_axis(self, a: Axis, program: str, widen: bool = True) -> None:
        emit = self.outer.lines.append
        program += self.widen() if widen else ""
        if a.role == "program":
            emit(f"{a.name} = {program}")
            return
        emit(f"{a.name} = {program} * {a.constant} + {self._arange(a)}")
        if a.name in self.masks:
            emit(f"{a.name}_mask = {a.name} < {size_text(a.numel)}")

    def widen(self) -> str:
        if self.wide is None:
            return f".to({self.kernel.symbols[0]}.dtype)"
        return ".to(tl.int64)" if self.wide else ""

    def _arange(self, a: Axis) -> str:
        text, dims = f"tl.arange(0, {a.constant})", self.tiling.dims
        if len(dims) == 1:
            return text
        return f"{text}[{', '.join(':' if a in along else 'None' for along in dims)}]"

    def _block_count(self, a: Axis) -> str:
        if isinstance(a.numel, int):
            return str(-(-a.numel // a.block))
        return f"(({size_text(a.numel)} + {a.constant} - 1) // {a.constant})"

    def shape(self, axes: frozenset[str]) -> str:
        sizes = (next((a.constant for a in along if a.name in axes), "1") for along in self.tiling.dims)
        return f"[{', '.join(sizes)}]"

    # ------------------------------------------------------------------ values

    def value(self, root: Expr, conds: tuple[Mask, ...] = ()) -> Value:
        """Emit `root` and all below it that is not there yet. conds: masks of the enclosing `masked` expressions."""
        for e in emission_order(root):
            if self._find(e, conds) is None:
                self._emit(e, conds)
        found = self._find(root, conds)
        assert found is not None
        return found

    def _key(self, e: Expr, conds: tuple[Mask, ...]) -> tuple[Expr, tuple[Expr, ...]]:
        return (e, tuple(cond for cond, _ in conds) if conds and has_load(e) else ())

    def _find(self, e: Expr, conds: tuple[Mask, ...]) -> Value | None:
        key = self._key(e, conds)
        if self.inner is not None and key in self.inner.known:
            return self.inner.known[key]
        if key not in self.outer.known and e.op == "reduce":
            key = (e, ())
        return self.outer.known.get(key)

    def _emit(self, e: Expr, conds: tuple[Mask, ...]) -> None:
        if e.op == "const":
            self.know(e, conds, Value(typed_literal(e.attr, e.dtype), frozenset()), inline=True)
        elif e.op == "index":
            at = self.index(e.attr, conds, wide=not fits_indices(e.attr))
            self.know(e, conds, Value(f"({at.text}).to(tl.int64)", at.axes))
        elif e.op == "load":
            self.load(e, conds, None)
        elif e.op == "masked":
            self._masked(e, conds)
        elif e.op == "cast":
            inner = self.value(e.args[0], conds)
            self.know(e, conds, Value(cast_text(inner.text, e.args[0].dtype, e.dtype), inner.axes))
        elif e.op in ("reduce", "scan") and conds:
            self.remember(e, conds, self.value(e))  # it runs over whole rows, whatever it stands under
        elif e.op == "reduce":
            self.joining.reduce(self, e)
        elif e.op == "scan":
            self.joining.scan(self, e, conds)
        else:
            self._pointwise(e, conds)

    def _pointwise(self, e: Expr, conds: tuple[Mask, ...]) -> None:
        operand = e.args[1].dtype if e.op == "where" else e.args[0].dtype
        narrow = self._narrow_comparison(e, conds)
        args = narrow or [self.value(a, conds) for a in e.args]
        bare = narrow is not None or (takes_literals(e.op, operand) and any(a.op != "const" for a in e.args))
        texts = []
        for a, v in zip(e.args, args):
            plain = bare and a.op == "const" and a.dtype.kind != "bool"
            texts.append(literal(a.attr, a.dtype) if plain else v.text)
        text = self.call(e.op, int32 if narrow else operand, texts)
        self.know(e, conds, Value(text, frozenset().union(*(v.axes for v in args))))

    def call(self, op: str, dtype: DType, operands: list[str]) -> str:
        """The text of an op on operands of a type."""
        found = template(op, dtype)
        self.need(found.needs)
        return found.text.format(*operands)

    def need(self, helper: str) -> None:
        """Note that the text calls a device function ("": none)."""
        if helper:
            self.needs.add(helper)

    def _narrow_comparison(self, e: Expr, conds: tuple[Mask, ...]) -> list[Value] | None:
        """Index values that surely fit in 32 bits are compared without widening them to int64 first."""
        if e.op not in COMPARISONS or self.wide is not False or not all(map(is_small, e.args)):
            return None
        if all(a.op == "const" for a in e.args):
            return None
        indices = [None if a.op == "const" else self.index(a.attr, conds) for a in e.args]
        return [Value("", frozenset()) if i is None else Value(f"({i.text})", i.axes) for i in indices]

    def _masked(self, e: Expr, conds: tuple[Mask, ...]) -> None:
        cond_expr, inner, other = e.args
        cond = self.value(cond_expr, conds)
        inside = (*conds, (cond_expr, cond))
        if inner.op == "load" and other.op == "const" and isinstance(other.attr, (bool, int, float)):
            loaded = self.load(inner, inside, literal(other.attr, other.dtype))
            self.remember(e, conds, loaded)
            return
        value, rest = self.value(inner, inside), self.value(other, conds)
        text = f"tl.where({cond.text}, {value.text}, {rest.text})"
        self.know(e, conds, Value(text, cond.axes | value.axes | rest.axes))

    def load(self, e: Expr, conds: tuple[Mask, ...], other: str | None) -> Value:
        """A load; other: what stands for what is not read (None: nothing certain, and the value is known from here on)."""
        buffer, index = e.attr
        at = self.index(index, conds)
        axes = at.axes.union(*(c.axes for _, c in conds))
        pointer = self._pointer(buffer, at, axes)
        masks = [f"{a}_mask" for a in self.order if a in at.axes and a in self.masks] + [c.text for _, c in conds]
        mask = f", {' & '.join(masks)}" if masks else ""
        if mask and other is not None:
            mask += f", other={other}"
        loaded = Value(f"tl.load({pointer}{mask})", axes)
        if other is None:
            return self.know(e, conds, loaded, name=buffer)
        return self.name_value(loaded, buffer, self._is_inner(e, conds))

    def _pointer(self, buffer: str, at: Value, axes: frozenset[str]) -> str:
        offset = at.text if at.is_word else f"({at.text})"
        text = self.pointers[buffer] if at == _ZERO else f"{self.pointers[buffer]} + {offset}"
        return text if axes == at.axes else f"tl.broadcast_to({text}, {self.shape(axes)})"

    # ------------------------------------------------------------------ stores

    def along_r(self, s: Store) -> bool:
        """Whether a store happens at every r."""
        scanned = self.has_scan and any(b.op == "scan" for b in below(s.value))
        return s.value.varies_in_r or scanned or any(v.is_reduction for v in s.index.vars())

    def stores(self, stores: list[Store], block: Block) -> None:
        """All values first, then the stores: a buffer may be read and written at the same place."""
        ready = [(s, self.index(s.index, ()), self._stored(s)) for s in stores]
        for s, at, value in ready:
            axes = at.axes | value.axes
            if s.mode != "store":
                axes |= {a.name for a in self.tiling.shaped if a.name != "r" or self.along_r(s)}
            masks = " & ".join(f"{a}_mask" for a in self.order if a in axes and a in self.masks)
            if s.mode == "or":  # whoever is True writes it
                masks, value = " & ".join(x for x in (masks, f"({value.text})") if x), Value("True", frozenset())
            args = [self._pointer(s.buffer, at, axes), value.text, *([masks] if masks else [])]
            if s.mode == "add":
                self._require_atomic(s)
                block.lines.append(f'tl.atomic_add({", ".join(args)}, sem="relaxed")')
            else:
                block.lines.append(f"tl.store({', '.join(args)})")

    def _require_atomic(self, s: Store) -> None:
        dtype = self.dtypes[s.buffer]
        if not adds_atomically(dtype):
            raise InternalError(f"[triton] GPUs have no atomic addition of {dtype} ({s.buffer} in {self.kernel.name})")

    def _stored(self, s: Store) -> Value:
        value, dtype = self.value(s.value), self.dtypes[s.buffer]
        if s.value.dtype == dtype:
            return value
        return Value(cast_text(value.text, s.value.dtype, dtype), value.axes)

    # ------------------------------------------------------------------ indices

    def index(self, index: Index, conds: tuple[Mask, ...], *, wide: bool = False) -> Value:
        """An index as integer text over the axes.

        wide: in 64 bits, for what may leave the range of a position in memory: positions have the width that the buffers'
        sizes ask for, but the program may compute any number from an index.
        """
        parts: list[tuple[Dim, str]] = []
        axes: frozenset[str] = frozenset()
        widened = ".to(tl.int64)" if wide and self.wide is not True else ""
        for axis in self.tiling.axes:
            runs = [(c, name + widened) for c, name in self._runs(index, axis)]
            parts += runs
            if runs and axis.role != "program":
                axes |= {axis.name}
        for atom, c in index.terms:
            if isinstance(atom, Var):
                continue
            if isinstance(atom, Indirect):
                inner = self.value(atom.value, conds)
                narrow = self.wide is False and atom.value.dtype.size == 8 and not wide
                text = f"{inner.text}.to(tl.int32)" if narrow else inner.text
            else:
                base_wide = wide or not fits_indices(atom.base)
                inner = self.index(atom.base, conds, wide=base_wide)
                operator = "//" if isinstance(atom, FloorDiv) else "%"
                text = f"(({inner.text}) {operator} {size_text(atom.divisor, base_wide)})"
                if base_wide and not wide and self.wide is False:
                    text = f"{text}.to(tl.int32)"
            axes |= inner.axes
            parts.append((c, text))
        if len(parts) == 1 and parts[0][0] == 1 and index.const == 0:
            return Value(parts[0][1], axes, is_word=True)
        if not parts and isinstance(index.const, int) and index.const >= 0:
            return Value(str(index.const), axes, is_word=True)
        return Value(_sum_text(parts, index.const, wide), axes)

    def _runs(self, index: Index, axis: Axis) -> Iterator[tuple[Dim, str]]:
        """(coefficient, text) of an axis's part of an index; neighbouring variables walked as one are one term."""
        last = len(axis.vars)
        while last > 0:
            c = index.coefficient(axis.vars[last - 1])
            if c == 0:
                last -= 1
                continue
            first = last - 1
            size = axis.vars[first].extent
            while first > 0 and index.coefficient(axis.vars[first - 1]) == c * size:
                first -= 1
                size = size * axis.vars[first].extent
            yield c, self._run(axis, first, last)
            last = first

    def _run(self, axis: Axis, first: int, last: int) -> str:
        """The position within variables [first, last) of an axis, as a local name."""
        if first == 0 and last == len(axis.vars):
            return axis.name
        names = [v.name for v in axis.vars[first:last]]
        name = names[0] if len(names) == 1 else f"{names[0]}_{names[-1]}"
        block = self.inner if axis.role == "loop" and self.inner is not None else self.outer
        if name not in block.known:
            text = axis.name
            if any(v.extent != 1 for v in axis.vars[last:]):
                text = f"{text} // {size_text(points(axis.vars[last:]))}"
            if first > 0:
                text = f"{text} % {size_text(points(axis.vars[first:last]))}"
            block.known[name] = Value(name, frozenset({axis.name}))
            self.taken = self.taken | {name}
            block.lines.append(f"{name} = {text}")
        return name

    # ------------------------------------------------------------------ lines and names

    def _is_inner(self, e: Expr, conds: tuple[Mask, ...]) -> bool:
        if self.inner is None:
            return False
        scanned = self.has_scan and any(b.op == "scan" for b in below(e))
        return e.varies_in_r or scanned or any("r" in c.axes or "k" in c.axes for _, c in conds)

    def line(self, text: str, inner: bool) -> None:
        block = self.inner if inner and self.inner is not None else self.outer
        block.lines.append(text)

    def name_value(self, value: Value, name: str, inner: bool) -> Value:
        fresh = self.fresh(name)
        self.line(f"{fresh} = {value.text}", inner)
        return Value(fresh, value.axes)

    def know(self, e: Expr, conds: tuple[Mask, ...], value: Value, *, inline: bool = False, name: str = "") -> Value:
        """Give a value its line (unless `inline`) and remember it."""
        if not inline:
            value = self.name_value(value, name or e.op, self._is_inner(e, conds))
        return self.remember(e, conds, value)

    def remember(self, e: Expr, conds: tuple[Mask, ...], value: Value) -> Value:
        block = self.inner if self._is_inner(e, conds) and self.inner is not None else self.outer
        block.known[self._key(e, conds)] = value
        return value

    def fresh(self, stem: str) -> str:
        """An unused name: the stem of a buffer as it is, ops numbered from 0."""
        number = 0
        name = stem if stem in self.dtypes else f"{stem}0"
        while name in self.taken:
            number += 1
            name = f"{stem}_{number}" if stem in self.dtypes else f"{stem}{number}"
        self.taken = self.taken | {name}
        return name


def adds_atomically(dtype: DType) -> bool:
    """GPUs add to memory that others add to in words of 32 and 64 bits and in float16 (bfloat16 only from sm_90 on)."""
    return dtype.size >= 4 and not dtype.is_complex or dtype.name == "float16"


# --------------------------------------------------------------------------- index text


def _sum_text(parts: list[tuple[Dim, str]], const: Dim, wide: bool = False) -> str:
    text = ""
    for c, name in parts:
        negative = isinstance(c, int) and c < 0
        size = abs(c) if isinstance(c, int) else c
        term = name if size == 1 else f"{size_text(size, wide)} * {name}"
        text += (f" - {term}" if text else f"-{term}") if negative else (f" + {term}" if text else term)
    if const == 0 and text:
        return text
    if not text:
        return size_text(const, wide)
    if isinstance(const, int) and const < 0:
        return f"{text} - {-const}"
    return f"{text} + {size_text(const, wide)}"
