"""The language of loops as data: indices (`Index`) and expressions (`Expr`), which hold each other.

Both are made by the functions of `arithmetic` and `build` and changed by those of `rewriting`.
"""

from __future__ import annotations

import hashlib
import json
import math
import weakref
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import InternalError
from ..dtypes import DType
from ..graph import Dim
from ..keys import value_data

# --------------------------------------------------------------------------- indices


@dataclass(frozen=True)
class Var:
    """A loop variable, 0 <= name < extent: of the outer space p, or of the reduction space r. The name is for readers."""

    name: str
    extent: Dim
    is_reduction: bool = False

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class FloorDiv:
    """base // divisor, both non-negative."""

    base: Index
    divisor: Dim

    def __repr__(self) -> str:
        return repr(Index(((self, 1),)))


@dataclass(frozen=True)
class Mod:
    """base % divisor, both non-negative."""

    base: Index
    divisor: Dim

    def __repr__(self) -> str:
        return repr(Index(((self, 1),)))


@dataclass(frozen=True)
class Indirect:
    """An index read from memory: the integer value of an expression, already wrapped and checked to be in range."""

    value: Expr

    def __repr__(self) -> str:
        return repr(Index(((self, 1),)))


Atom = Var | FloorDiv | Mod | Indirect


@dataclass(frozen=True)
class Index:
    """sum of coefficient * atom, plus a constant. Build with the functions below; terms are canonical."""

    terms: tuple[tuple[Atom, Dim], ...] = ()
    const: Dim = 0

    def __add__(self, other: Index | Dim) -> Index:
        other = as_index(other)
        if not other.terms:
            return Index(self.terms, self.const + other.const) if not is_zero(other.const) else self
        merged: dict[Atom, Dim] = dict(self.terms)
        for atom, c in other.terms:
            merged[atom] = merged[atom] + c if atom in merged else c
        return Index(canonical_terms(merged), self.const + other.const)

    __radd__ = __add__

    def __mul__(self, factor: Dim) -> Index:
        if isinstance(factor, Index):
            if factor.terms:
                raise InternalError(f"[loops] product of two indices: ({self}) * ({factor})")
            factor = factor.const
        if is_zero(factor):
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
        return self.shown(_digest_of)

    def shown(self, name: Callable[[Expr], str]) -> str:
        """The index for readers; name: how a value that is read from memory is called."""

        def atom_text(a: Atom) -> str:
            if isinstance(a, Indirect):
                return f"[{name(a.value)}]"
            if isinstance(a, Var):
                return a.name
            return f"({a.base.shown(name)} {'//' if isinstance(a, FloorDiv) else '%'} {a.divisor})"

        parts = [atom_text(a) if isinstance(c, int) and c == 1 else f"{c}*{atom_text(a)}" for a, c in self.terms]
        if not is_zero(self.const) or not parts:
            parts.append(str(self.const))
        return " + ".join(parts)


ZERO = Index()


def is_zero(d: Dim) -> bool:
    return isinstance(d, int) and d == 0 or (not isinstance(d, int) and d == 0)


def canonical_terms(terms: Mapping[Atom, Dim]) -> tuple[tuple[Atom, Dim], ...]:
    kept = [(a, c) for a, c in terms.items() if not is_zero(c)]
    if len(kept) > 1:
        kept.sort(key=lambda t: _atom_key(t[0]))
    return tuple(kept)


def _atom_key(a: Atom) -> Any:
    """The order of terms: by what the atoms are, so that it is the same in every process."""
    if isinstance(a, Var):
        return (0, a.name, a.is_reduction, _dim_key(a.extent))
    if isinstance(a, Indirect):
        return (3, a.value.digest)
    terms = tuple((_atom_key(t), _dim_key(c)) for t, c in a.base.terms)
    return (1 if isinstance(a, FloorDiv) else 2, terms, _dim_key(a.base.const), _dim_key(a.divisor))


def _dim_key(d: Dim) -> Any:
    return (0, d) if isinstance(d, int) else (1, d.sort_key())


def _digest_of(e: Expr) -> str:
    return e.digest


def as_index(value: Index | Var | Dim) -> Index:
    """An Index from a variable, an int or a sympy size."""
    if isinstance(value, Index):
        return value
    if isinstance(value, Var):
        if isinstance(value.extent, int) and value.extent == 1:
            return ZERO
        return Index(((value, 1),))
    return Index((), value)


# --------------------------------------------------------------------------- expressions


#: what `attend` gives for a row whose scores are all -inf: NaN, as a softmax does, or 0
EMPTY_ROWS = ("nan", "zero")


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class Expr:
    """One scalar value at one point of the loop nest.

    op     | args            | attr                      | meaning
    const  |                 | Python number             | a literal of `dtype` (a sympy size is allowed for int64)
    index  |                 | Index                     | an index as an int64 value
    load   |                 | (buffer name, Index)      | an element of a buffer, in the buffer's dtype
    cast   | value           |                           | conversion to `dtype` as C does (bool: != 0; float to int truncates)
    masked | cond, value, other |                        | value where cond, else other; value's loads happen only where cond
    reduce | value           | kind                      | over all of r: a row of `reducers.REDUCERS`
    scan   | value           | kind                      | inclusive prefix over r: a row of the same
    dot    | value           | Var                       | the sum of value over a variable of its own
    attend | score, value    | EMPTY_ROWS                | over all of r: the mean of value, weighed by exp(score)
    <name> | values          |                           | a pointwise op (see inductor.ops.scalar); args have its operand dtype

    What runs over r (`reduce`, `scan`, `attend`) does so at every p and over all of r, also where it stands under a condition that does
    not hold there: nobody but conditions below it guards what it reads.
    `attend` is attention's softmax and the product behind it, as one pass may compute both: sum(exp(score - m) * value) divided by
    sum(exp(score - m)), m being the largest score of the row.
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
        """Loop variables in all indices below (those under a reduce included, but for those of a `dot` itself)."""
        found: set[Var] = set()
        own: set[Var] = set()
        for e in postorder([self]):
            if e.op == "index":
                found |= e.attr.vars()
            elif e.op == "load":
                found |= e.attr[1].vars()
            elif e.op == "dot":
                own.add(e.attr)
        return found - own

    def __repr__(self) -> str:
        """One level: operands by their digest, so that shared parts are not written out again and again."""
        return self.shown(_digest_of)

    def shown(self, name: Callable[[Expr], str]) -> str:
        """One level for readers; name: how its operands are called."""
        if self.op == "const":
            return str(self.attr)
        if self.op == "index":
            return f"index({self.attr.shown(name)})"
        if self.op == "load":
            return f"load({self.attr[0]}, {self.attr[1].shown(name)})"
        of = f"{self.op}.{self.attr}" if self.op in ("reduce", "scan", "dot", "attend") else self.op
        of = f"{of}.{self.dtype}" if self.op == "cast" else of
        return f"{of}({', '.join(map(name, self.args))})"


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
    if op in ("reduce", "attend"):
        depth, varies = depth + 1, False
    if op == "scan":
        varies = True  # even of a constant: a running sum of ones counts
    data = json.dumps([op, dtype.name, _attr_data(attr), [a.digest for a in args]])
    digest = hashlib.blake2b(data.encode(), digest_size=6).hexdigest()
    made = Expr(op, args, dtype, attr, depth, varies, digest)
    _interned[key] = made
    return made


def _attr_data(attr: Any) -> Any:
    """A static attribute as JSON data."""
    if isinstance(attr, Index):
        return ["index", *_index_data(attr)]
    if isinstance(attr, Var):
        return _atom_data(attr)
    if isinstance(attr, tuple):
        return ["tuple", *map(_attr_data, attr)]
    return value_data(attr)


def _index_data(index: Index) -> list[Any]:
    return [[[_atom_data(a), value_data(c)] for a, c in index.terms], value_data(index.const)]


def _atom_data(a: Atom) -> list[Any]:
    if isinstance(a, Var):
        return ["var", a.name, value_data(a.extent), a.is_reduction]
    if isinstance(a, Indirect):
        return ["indirect", a.value.digest]
    return [type(a).__name__, *_index_data(a.base), value_data(a.divisor)]


def _attr_key(attr: Any) -> Any:
    # 0.0 == -0.0 and 1 == 1.0 == True must not be merged; NaN must equal itself
    if isinstance(attr, float):
        return ("float", math.copysign(1.0, attr), "nan" if attr != attr else attr)
    return (type(attr), attr)


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
