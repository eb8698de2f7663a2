"""Loops: the language between lowering and code generation. Both code generators read it.

A `Kernel` (`inductor.kernel`) is a loop nest over an outer index space `p` (every point independent) and an optional
reduction space `r` inside it. Its meaning is a set of `Store`s; each stored value is an expression DAG
over loads, loop indices and pointwise ops. A `reduce` expression closes over `r`: its value depends on `p` only.

    softmax over the last axis of float32[4096, 1024]:
      for p0 < 4096, r0 < 1024:
        a = load(in0, 1024*p0 + r0)
        m = reduce.max(a)                 # depends on p0
        e = exp(a - m)
        s = reduce.sum(e)                 # second pass over r
        store(out0, 1024*p0 + r0, e / s)  # third pass over r

`reduce_depth` counts the passes over r that must precede an expression: code generators that loop over r emit
one loop per depth and recompute the pointwise part; those that hold a whole row in registers emit one block.

Expressions are interned: equal expressions are the same object, so common subexpressions need no pass.
`Index` is an integer-valued linear form kept canonical with plain ints (sympy only as a coefficient, when a size is dynamic).
"""

from __future__ import annotations

import hashlib
import math
import weakref
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import InternalError
from .dtypes import HALVES, DType, bool_, float32, int64
from .graph import Dim

# --------------------------------------------------------------------------- index arithmetic


@dataclass(frozen=True)
class Var:
    """A loop variable, 0 <= name < extent. Names start with "p" (outer) or "r" (reduction)."""

    name: str
    extent: Dim

    @property
    def is_reduction(self) -> bool:
        return self.name.startswith("r")

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class FloorDiv:
    """base // divisor, both non-negative."""

    base: Index
    divisor: Dim

    def __repr__(self) -> str:
        return f"({self.base} // {self.divisor})"


@dataclass(frozen=True)
class Mod:
    """base % divisor, both non-negative."""

    base: Index
    divisor: Dim

    def __repr__(self) -> str:
        return f"({self.base} % {self.divisor})"


@dataclass(frozen=True)
class Indirect:
    """An index read from memory: the integer value of an expression, already wrapped and checked to be in range."""

    value: Expr

    def __repr__(self) -> str:
        return f"[{self.value.digest}]"


Atom = Var | FloorDiv | Mod | Indirect


@dataclass(frozen=True)
class Index:
    """sum of coefficient * atom, plus a constant. Build with the functions below; terms are canonical."""

    terms: tuple[tuple[Atom, Dim], ...] = ()
    const: Dim = 0

    def __add__(self, other: Index | Dim) -> Index:
        other = as_index(other)
        if not other.terms:
            return Index(self.terms, self.const + other.const) if not _is_zero(other.const) else self
        merged: dict[Atom, Dim] = dict(self.terms)
        for atom, c in other.terms:
            merged[atom] = merged[atom] + c if atom in merged else c
        return Index(_canonical(merged), self.const + other.const)

    __radd__ = __add__

    def __mul__(self, factor: Dim) -> Index:
        if isinstance(factor, Index):
            if factor.terms:
                raise InternalError(f"[loops] product of two indices: ({self}) * ({factor})")
            factor = factor.const
        if _is_zero(factor):
            return ZERO
        if isinstance(factor, int) and factor == 1:
            return self
        return Index(tuple((a, c * factor) for a, c in self.terms), self.const * factor)

    __rmul__ = __mul__

    def __sub__(self, other: Index | Dim) -> Index:
        return self + as_index(other) * -1

    def __rsub__(self, other: Index | Dim) -> Index:
        return as_index(other) + self * -1

    @property
    def is_const(self) -> bool:
        return not self.terms

    def coefficient(self, var: Var) -> Dim:
        """The factor of `var` itself (0 when it only appears inside // or %)."""
        return next((c for a, c in self.terms if a == var), 0)

    def without(self, var: Var) -> Index:
        """This index with `var`'s own term dropped."""
        return Index(tuple((a, c) for a, c in self.terms if a != var), self.const)

    def atoms(self) -> Iterator[Atom]:
        """Every atom, also those inside // and %."""
        for a, _ in self.terms:
            yield a
            if isinstance(a, (FloorDiv, Mod)):
                yield from a.base.atoms()

    def vars(self) -> set[Var]:
        """Loop variables this index depends on, also through indirect values."""
        found: set[Var] = set()
        for a in self.atoms():
            if isinstance(a, Var):
                found.add(a)
            elif isinstance(a, Indirect):
                found |= a.value.vars()
        return found

    @property
    def is_affine(self) -> bool:
        """Only plain loop variables: no //, %, or indirection."""
        return all(isinstance(a, Var) for a, _ in self.terms)

    def __repr__(self) -> str:
        parts = [f"{a}" if isinstance(c, int) and c == 1 else f"{c}*{a}" for a, c in self.terms]
        if not _is_zero(self.const) or not parts:
            parts.append(str(self.const))
        return " + ".join(parts)


ZERO = Index()


def _is_zero(d: Dim) -> bool:
    return isinstance(d, int) and d == 0 or (not isinstance(d, int) and d == 0)


def _canonical(terms: Mapping[Atom, Dim]) -> tuple[tuple[Atom, Dim], ...]:
    kept = [(a, c) for a, c in terms.items() if not _is_zero(c)]
    if len(kept) > 1:
        kept.sort(key=lambda t: _atom_key(t[0]))
    return tuple(kept)


def _atom_key(a: Atom) -> tuple[int, str]:
    return (0, a.name) if isinstance(a, Var) else (1, repr(a))


def as_index(value: Index | Var | Dim) -> Index:
    """An Index from a variable, an int or a sympy size."""
    if isinstance(value, Index):
        return value
    if isinstance(value, Var):
        if isinstance(value.extent, int) and value.extent == 1:
            return ZERO
        return Index(((value, 1),))
    return Index((), value)


def indirect(value: Expr) -> Index:
    """The index given by an integer expression's value (constant values fold)."""
    if value.op == "const":
        return as_index(int(value.attr))
    if value.op == "index":
        return value.attr
    return Index(((Indirect(value), 1),))


def upper_bound(index: Index) -> Dim | None:
    """The largest value an index can take, or None when unknown (indirect, negative coefficient, dynamic)."""
    total = index.const
    for atom, c in index.terms:
        if isinstance(atom, Var):
            top: Dim | None = atom.extent - 1
        elif isinstance(atom, Mod):
            inner = upper_bound(atom.base)
            top = atom.divisor - 1
            if isinstance(inner, int) and isinstance(top, int):
                top = min(inner, top)
        elif isinstance(atom, FloorDiv):
            inner = upper_bound(atom.base)
            if inner is None or not isinstance(inner, int) or not isinstance(atom.divisor, int):
                return None
            top = inner // atom.divisor
        else:
            return None
        if top is None or not isinstance(c, int) or not isinstance(top, int) or c < 0:
            return None
        total = total + c * top
    return total if isinstance(total, int) else None


def _split_multiples(index: Index, k: Dim) -> tuple[Index, Index]:
    """index = k * quotient + rest, moving every term whose coefficient is a multiple of k into the quotient.

    The rest stays non-negative, since // and % of generated code round towards zero.
    """
    quotient: dict[Atom, Dim] = {}
    rest: dict[Atom, Dim] = {}
    for atom, c in index.terms:
        q = _exact_quotient(c, k)
        if q is None:
            rest[atom] = c
        else:
            quotient[atom] = q
    least = _least(rest)
    if least is None:
        qc, rc = 0, index.const
    elif isinstance(index.const, int) and isinstance(k, int):
        qc, rc = divmod(index.const + least, k)
        rc -= least
    else:
        exact = _exact_quotient(index.const, k)
        qc, rc = (0, index.const) if exact is None or least else (exact, 0)
    return Index(_canonical(quotient), qc), Index(_canonical(rest), rc)


def _least(terms: Mapping[Atom, Dim]) -> int | None:
    """The smallest value of a sum of terms; None where it is not known."""
    total = 0
    for atom, c in terms.items():
        if not isinstance(c, int):
            if getattr(c, "is_nonnegative", False):
                continue
            return None
        if c < 0:
            top = upper_bound(Index(((atom, -c),)))
            if not isinstance(top, int):
                return None
            total -= top
    return total


def _exact_quotient(c: Dim, k: Dim) -> Dim | None:
    if isinstance(c, int) and isinstance(k, int):
        return c // k if c % k == 0 else None
    if c == k:
        return 1
    ratio = c / k  # sympy cancels a product's factor
    return ratio if getattr(ratio, "is_integer", False) else None


def floordiv(index: Index, k: Dim) -> Index:
    """index // k for a non-negative index, simplified by the ranges of its variables."""
    if isinstance(k, int) and k == 1:
        return index
    quotient, rest = _split_multiples(index, k)
    if _below(rest, k):
        return quotient  # (k*q + r) // k = q when 0 <= r < k
    if len(rest.terms) == 1 and _is_zero(rest.const):
        inner, c = rest.terms[0]
        if isinstance(inner, FloorDiv) and isinstance(c, int) and c == 1:
            return quotient + Index(((FloorDiv(inner.base, inner.divisor * k), 1),))  # x//a//b = x//(a*b)
    return quotient + Index(((FloorDiv(rest, k), 1),))


def mod(index: Index, k: Dim) -> Index:
    """index % k for a non-negative index, simplified by the ranges of its variables."""
    if isinstance(k, int) and k == 1:
        return ZERO
    _, rest = _split_multiples(index, k)
    if _below(rest, k):
        return rest  # (k*q + r) % k = r when 0 <= r < k
    return Index(((Mod(rest, k), 1),))


def _below(rest: Index, k: Dim) -> bool:
    if rest.is_const and _is_zero(rest.const):
        return True
    if isinstance(k, int):
        top = upper_bound(rest)
        return top is not None and top < k
    # dynamic: a lone variable whose extent is k itself
    return (
        len(rest.terms) == 1
        and _is_zero(rest.const)
        and isinstance(rest.terms[0][0], Var)
        and rest.terms[0][1] == 1
        and rest.terms[0][0].extent == k
    )


def linearize(indices: Iterable[Index], shape: Iterable[Dim]) -> Index:
    """Row-major position of a multi-index."""
    total = ZERO
    for i, size in zip(indices, shape):
        total = total * size + i
    return total


def delinearize(position: Index, shape: tuple[Dim, ...]) -> tuple[Index, ...]:
    """The multi-index of a row-major position."""
    out: list[Index] = []
    for size in reversed(shape[1:]):
        out.append(mod(position, size))
        position = floordiv(position, size)
    if shape:
        out.append(position)
    return tuple(reversed(out))


def substitute(index: Index, values: Mapping[Var, Index], *, indirect_too: bool = True) -> Index:
    """Replace loop variables by indices, simplifying again. `indirect_too`: also inside values read from memory."""
    total = as_index(index.const)
    for atom, c in index.terms:
        if isinstance(atom, Var):
            part = values.get(atom)
            part = as_index(atom) if part is None else part
        elif isinstance(atom, FloorDiv):
            part = floordiv(substitute(atom.base, values, indirect_too=indirect_too), atom.divisor)
        elif isinstance(atom, Mod):
            part = mod(substitute(atom.base, values, indirect_too=indirect_too), atom.divisor)
        elif indirect_too:
            part = indirect(substitute_expr(atom.value, values))
        else:
            part = Index(((atom, 1),))
        total = total + part * c
    return total


# --------------------------------------------------------------------------- expressions


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Expr:
    """One scalar value at one point of the loop nest.

    op     | args            | attr                      | meaning
    const  |                 | Python number             | a literal of `dtype` (a sympy size is allowed for int64)
    index  |                 | Index                     | an index as an int64 value
    load   |                 | (buffer name, Index)      | an element of a buffer, in the buffer's dtype
    cast   | value           |                           | conversion to `dtype` as C does (bool: != 0; float to int truncates)
    masked | cond, value, other |                        | value where cond, else other; value's loads happen only where cond
    reduce | value           | kind                      | over all of r: sum prod max min any all argmax argmin (see REDUCTIONS)
    scan   | value           | kind                      | inclusive prefix over r: sum prod max min
    <name> | values          |                           | a pointwise op (see inductor.ops.scalar); args have its operand dtype

    Half types never appear as operands of arithmetic: lowering inserts casts to float32.
    max/min (pointwise and reduce) propagate NaN as eager does. argmax/argmin give the first position, NaN winning.
    """

    op: str
    args: tuple[Expr, ...]
    dtype: DType
    attr: Any
    #: passes over r that must be complete before this value can be computed
    reduce_depth: int
    #: True when the value differs along r
    varies_in_r: bool
    #: hash of the structure, equal in every process: a short name where the whole text would repeat shared parts
    digest: str

    def below(self) -> tuple[Expr, ...]:
        """Its operands; of a load or an index the values that are part of the index."""
        if self.op not in ("index", "load"):
            return self.args
        index = self.attr if self.op == "index" else self.attr[1]
        return tuple(a.value for a in index.atoms() if isinstance(a, Indirect))

    def vars(self) -> set[Var]:
        """Loop variables in all indices below (those under a reduce included)."""
        found: set[Var] = set()
        for e in postorder([self]):
            if e.op == "index":
                found |= e.attr.vars()
            elif e.op == "load":
                found |= e.attr[1].vars()
        return found

    def __repr__(self) -> str:
        """One level: operands by their digest, so that shared parts are not written out again and again."""
        if self.op == "const":
            return str(self.attr)
        if self.op == "index":
            return f"index({self.attr})"
        if self.op == "load":
            return f"load({self.attr[0]}, {self.attr[1]})"
        name = f"{self.op}.{self.attr}" if self.op in ("reduce", "scan") else self.op
        name = f"{name}.{self.dtype}" if self.op == "cast" else name
        return f"{name}({', '.join(a.digest for a in self.args)})"


REDUCTIONS = ("sum", "prod", "max", "min", "any", "all", "argmax", "argmin")
SCANS = ("sum", "prod", "max", "min")

_interned: weakref.WeakValueDictionary[tuple[Any, ...], Expr] = weakref.WeakValueDictionary()


def expr(op: str, *args: Expr, dtype: DType, attr: Any = None) -> Expr:
    """The interned expression. Equal calls return the same object."""
    key = (op, tuple(map(id, args)), dtype, _attr_key(attr))
    found = _interned.get(key)
    if found is not None:
        return found
    depth = max((a.reduce_depth for a in args), default=0)
    varies = any(a.varies_in_r for a in args)
    if op in ("index", "load"):
        index: Index = attr if op == "index" else attr[1]
        for atom in index.atoms():
            if isinstance(atom, Var):
                varies = varies or atom.is_reduction
            elif isinstance(atom, Indirect):
                varies = varies or atom.value.varies_in_r
                depth = max(depth, atom.value.reduce_depth)
    if op == "reduce":
        depth, varies = depth + 1, False
    if op == "scan":
        varies = True  # even of a constant: a running sum of ones counts
    text = f"{op}|{dtype}|{attr!r}|{'|'.join(a.digest for a in args)}"
    digest = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
    made = Expr(op, args, dtype, attr, depth, varies, digest)
    _interned[key] = made
    return made


def _attr_key(attr: Any) -> Any:
    # 0.0 == -0.0 and 1 == 1.0 == True must not be merged; NaN must equal itself
    if isinstance(attr, float):
        return ("float", math.copysign(1.0, attr), "nan" if attr != attr else attr)
    return (type(attr), attr)


def const(value: Any, dtype: DType) -> Expr:
    """A literal."""
    return expr("const", dtype=dtype, attr=value)


def index_value(index: Index) -> Expr:
    """An index as an int64 value."""
    return const(index.const, int64) if index.is_const else expr("index", dtype=int64, attr=index)


def load(buffer: str, index: Index, dtype: DType) -> Expr:
    """An element of a buffer."""
    return expr("load", dtype=dtype, attr=(buffer, index))


def cast(value: Expr, dtype: DType) -> Expr:
    """`value` as `dtype`; the identity when it already is."""
    if value.dtype == dtype:
        return value
    if dtype in HALVES and value.op == "cast" and value.args[0].dtype == dtype and value.dtype == float32:
        return value.args[0]  # widened, and back
    if value.op == "const" and isinstance(value.attr, (bool, int, float)):
        v = value.attr
        if dtype.kind == "bool":
            return const(bool(v), dtype)
        if dtype.is_float and isinstance(v, (bool, int)) and abs(v) < 1 << 24:
            return const(float(v), dtype)
        if dtype.is_int and isinstance(v, (bool, int)) and 0 <= v < 128:
            return const(int(v), dtype)
    return expr("cast", value, dtype=dtype)


def masked(cond: Expr, value: Expr, other: Expr) -> Expr:
    """`value` where `cond`, else `other`; loads below `value` are not performed where `cond` is false."""
    if cond.op == "const":
        return value if cond.attr else other
    return expr("masked", cond, value, other, dtype=value.dtype)


def reduces_under_mask(e: Expr) -> bool:
    """Whether a `masked` holds a reduction while its condition differs along r: the reduction would miss points."""
    return e.op == "masked" and e.args[0].varies_in_r and e.args[1].reduce_depth > 0


def reduce(kind: str, value: Expr) -> Expr:
    """Reduce `value` over r. argmax/argmin give int64, any/all give bool."""
    if kind not in REDUCTIONS:
        raise InternalError(f"[loops] unknown reduction {kind!r}; known: {', '.join(REDUCTIONS)}")
    dtype = int64 if kind.startswith("arg") else bool_ if kind in ("any", "all") else value.dtype
    return expr("reduce", value, dtype=dtype, attr=kind)


def postorder(roots: Iterable[Expr], *, through_indirect: bool = True, known: Container[Expr] = ()) -> list[Expr]:
    """Every expression below the roots, operands before users, each once (indirect index values included).

    known: expressions at which the walk stops: they and what is below them were seen before
    """
    done: set[int] = set()
    out: list[Expr] = []
    stack: list[tuple[Expr, bool]] = [(e, False) for e in reversed(list(roots))]
    while stack:
        e, ready = stack.pop()
        if id(e) in done:
            continue
        if ready:
            done.add(id(e))
            out.append(e)
            continue
        if e in known:
            continue
        stack.append((e, True))
        below = e.below() if through_indirect else e.args
        stack.extend((b, False) for b in reversed(below))
    return out


def rewrite(roots: Iterable[Expr], visit: Callable[[Expr], Expr | None]) -> list[Expr]:
    """Rebuild the DAG bottom-up. `visit` sees each node with rewritten operands and may return a replacement.

    Indirect indices are rewritten too.
    """
    roots = list(roots)
    new: dict[int, Expr] = {}

    def move(index: Index) -> Index:
        if all(not isinstance(a, Indirect) for a in index.atoms()):
            return index
        total = as_index(index.const)
        for atom, c in index.terms:
            if isinstance(atom, Indirect):
                part = indirect(new[id(atom.value)])
            elif isinstance(atom, FloorDiv):
                part = floordiv(move(atom.base), atom.divisor)
            elif isinstance(atom, Mod):
                part = mod(move(atom.base), atom.divisor)
            else:
                part = as_index(atom)
            total = total + part * c
        return total

    for e in postorder(roots):
        args = tuple(new[id(a)] for a in e.args)
        attr = e.attr
        if e.op == "index":
            attr = move(attr)
        elif e.op == "load":
            attr = (attr[0], move(attr[1]))
        same = attr is e.attr and all(a is b for a, b in zip(args, e.args))
        rebuilt = e if same else expr(e.op, *args, dtype=e.dtype, attr=attr)
        new[id(e)] = visit(rebuilt) or rebuilt
    return [new[id(e)] for e in roots]


def substitute_expr(value: Expr, values: Mapping[Var, Index]) -> Expr:
    """Replace loop variables in every index below `value`."""

    # `rewrite` has replaced the variables inside indirect values when it comes to the index that holds them
    def visit(e: Expr) -> Expr | None:
        if e.op == "index":
            return index_value(substitute(e.attr, values, indirect_too=False))
        if e.op == "load":
            return load(e.attr[0], substitute(e.attr[1], values, indirect_too=False), e.dtype)
        return None

    return rewrite([value], visit)[0]


# --------------------------------------------------------------------------- what an op lowers to

#: a tensor as a function: its value at a multi-index
Fn = Callable[[tuple[Index, ...]], Expr]


@dataclass(frozen=True)
class Reduce:
    """A reduction: out[o] = kind over r of inner(o, r). `extents` are the reduced sizes; o has the output's rank."""

    kind: str
    extents: tuple[Dim, ...]
    inner: Callable[[tuple[Index, ...], tuple[Index, ...]], Expr]


@dataclass(frozen=True)
class Scan:
    """An inclusive prefix along axis `dim` of the output's shape: out[o] = kind over i <= o[dim] of inner(o with i).

    It runs in inner's dtype, which may be wider than the output's; sums and products of floats are taken one after the other.
    """

    kind: str
    dim: int
    inner: Fn


@dataclass(frozen=True)
class Scatter:
    """out = base, then for every point of `ranges`: out[target(o)] =, += or |= value(o), as a `kernel.Store`'s mode says.

    wide: sums of halves are kept in float32, and rounded when all are done; else after each addition.
    """

    base: Fn
    ranges: tuple[Dim, ...]
    target: Callable[[tuple[Index, ...]], tuple[Index, ...]]
    value: Fn
    mode: str = "store"
    wide: bool = False
