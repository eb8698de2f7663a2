"""Fusion of two loop groups: legality first, then a score. Both say why.

Two groups fuse when their loop variables can be paired so that every value the second reads from the first is read
exactly where the first wrote it. The pairing is found from a buffer both touch: equal strides mean the same variable; a
variable that covers several of the other side is split. What is forwarded inside the fused group is never loaded, and
not stored either unless somebody else reads it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from .contraction import Contraction, recognise
from .dtypes import HALVES, float32
from .graph import Dim
from .kernel import Store, attends, order_matters, substitute_stores
from .loops import (
    Expr,
    Index,
    Indirect,
    Var,
    as_index,
    points,
    postorder,
    reduces_under_mask,
    rewrite,
    split_var,
    substitute,
)
from .lower import Group
from .refusal import Refusal

_MAX_OPS = 300
_MAX_BUFFERS = 80
_MAX_DEPTH = 4
#: with fewer rows than this, work along a long reduced axis is not put under the row loop
_FEW_ROWS = 16
_LONG_AXIS = 2048


@dataclass(frozen=True)
class Pairing:
    """How two groups become one: substitutions for each side and the fused loop variables."""

    left: dict[Var, Index]
    right: dict[Var, Index]
    p: list[Var]
    r: list[Var]


def accesses(group: Group, buffer: str) -> list[Index]:
    """Every index at which a group loads or stores a buffer."""
    found = [s.index for s in group.stores if s.buffer == buffer]
    for e in postorder([s.value for s in group.stores]):
        if e.op == "load" and e.attr[0] == buffer:
            found.append(e.attr[1])
    return list(dict.fromkeys(found))


def group_reads(group: Group) -> set[str]:
    roots = [s.value for s in group.stores]
    roots += [a.value for s in group.stores for a in s.index.atoms() if isinstance(a, Indirect)]
    return {e.attr[0] for e in postorder(roots) if e.op == "load"}


def group_writes(group: Group) -> set[str]:
    return {s.buffer for s in group.stores}


@dataclass
class _Side:
    """One side's running substitution while variables are being paired and split."""

    sub: dict[Var, Index]
    variables: list[Var]

    def replace(self, var: Var, parts: list[Var], index: Index) -> None:
        at = self.variables.index(var)
        self.variables[at : at + 1] = parts
        self.sub = {v: substitute(i, {var: index}) for v, i in self.sub.items()}
        self.sub.setdefault(var, index)


def _match(left: Index, right: Index, a: _Side, b: _Side) -> list[tuple[Var, Var]] | None:
    """Pair variables of two affine indices with equal strides, splitting where one covers several of the other."""
    if not (left.is_affine and right.is_affine) or left.const != right.const:
        return None
    ls = [(v, c) for v, c in left.terms if isinstance(v, Var)]
    rs = [(v, c) for v, c in right.terms if isinstance(v, Var)]
    pairs: list[tuple[Var, Var]] = []
    # symbolic strides cannot be ordered: pair what is equal and require that to be everything
    if any(not isinstance(x, int) for v, c in (*ls, *rs) for x in (c, v.extent)):
        for lv, lc in ls:
            rv = next((v for v, c in rs if c == lc and v.extent == lv.extent), None)
            if rv is None:
                return None
            rs = [t for t in rs if t[0] is not rv]
            pairs.append((lv, rv))
        return None if rs else pairs
    if any(v.extent == 0 for v, _ in (*ls, *rs)):
        return None
    ls.sort(key=lambda t: t[1], reverse=True)
    rs.sort(key=lambda t: t[1], reverse=True)
    if any(c < 0 for _, c in (*ls, *rs)):
        return None
    while ls and rs:
        lv, lc = ls.pop()
        rv, rc = rs.pop()
        if lc != rc:
            # one side does not vary along the finest stride: an unpaired variable there, if the strides nest
            return None
        if lv.extent == rv.extent:
            pairs.append((lv, rv))
        elif lv.extent > rv.extent and lv.extent % rv.extent == 0:
            high, low, index = split_var(lv, rv.extent, lv.extent // rv.extent)
            a.replace(lv, [high, low], index)
            pairs.append((low, rv))
            ls.append((high, lc * rv.extent))
        elif rv.extent > lv.extent and rv.extent % lv.extent == 0:
            high, low, index = split_var(rv, lv.extent, rv.extent // lv.extent)
            b.replace(rv, [high, low], index)
            pairs.append((lv, low))
            rs.append((high, rc * lv.extent))
        else:
            return None
    return None if ls or rs else pairs


def pair(left: Group, right: Group, shared: list[str]) -> Pairing | Refusal:
    """Pair the loop variables of two groups through the buffers they share."""
    refusal = Refusal("different-iteration-space", "legality")
    for buffer in shared:
        for li, ri in itertools.product(accesses(left, buffer), accesses(right, buffer)):
            a = _Side({}, [*left.p, *left.r])
            b = _Side({}, [*right.p, *right.r])
            pairs = _match(li, ri, a, b)
            if pairs is None:
                continue
            found = _complete(left, right, a, b, pairs)
            if isinstance(found, Pairing):
                return found
            refusal = found
    return refusal


def _complete(left: Group, right: Group, a: _Side, b: _Side, pairs: list[tuple[Var, Var]]) -> Pairing | Refusal:
    """Place the variables the shared buffer did not mention, and give every variable its role."""
    rest_a = [v for v in a.variables if v not in {p for p, _ in pairs}]
    rest_b = [v for v in b.variables if v not in {q for _, q in pairs}]
    if rest_a and rest_b:
        # e.g. statistics of a row against a pointwise loop over rows and columns: pair what remains in order
        if [v.extent for v in rest_a] != [v.extent for v in rest_b]:
            return Refusal("different-iteration-space", "legality", f"{rest_a} against {rest_b}")
        pairs = pairs + list(zip(rest_a, rest_b))
        rest_a = rest_b = []
    lr, rr = bool(left.r), bool(right.r)
    role: dict[Var, str] = {}
    for v, w in pairs:
        kinds = (v.is_reduction, w.is_reduction)
        if kinds == (True, True):
            role[v] = "r"
        elif kinds == (False, False):
            role[v] = "p"
        elif (kinds == (True, False) and not rr) or (kinds == (False, True) and not lr):
            role[v] = "r"
        else:
            return Refusal("reduced-axes-differ", "legality")
    for v in rest_a:
        if not v.is_reduction or rr:
            return Refusal("different-iteration-space", "legality", f"{v} has no partner")
        role[v] = "r"
    for w in rest_b:
        if not w.is_reduction or lr:
            return Refusal("different-iteration-space", "legality", f"{w} has no partner")
        role[w] = "r"
    order = [v for v in a.variables] + [w for w in rest_b]
    names = {v: replace(v, is_reduction=role[v] == "r") for v in order}
    left_sub = {v: as_index(names[v]) for v in a.variables}
    right_sub = {w: as_index(names[v]) for v, w in pairs} | {w: as_index(names[w]) for w in rest_b}
    full_left = _compose(a.sub, left_sub, [*left.p, *left.r])
    full_right = _compose(b.sub, right_sub, [*right.p, *right.r])
    p = [names[v] for v in order if role[v] == "p"]
    r = [names[v] for v in order if role[v] == "r"]
    for group, sub in ((left, full_left), (right, full_right)):
        if order_matters(group.stores) and not _keeps_order(group, sub, r):
            return Refusal(
                "order-of-reduced-axes", "legality", "positions along several axes would be counted differently"
            )
    return Pairing(full_left, full_right, p, r)


def _keeps_order(group: Group, sub: dict[Var, Index], r: list[Var]) -> bool:
    """Whether the new variables, the first outermost, walk the group's own ones in their order: of those that one was split into, the
    one with the largest stride first.
    """
    walked: list[object] = []
    for old in group.r:
        parts = sub[old].terms
        if len(parts) > 1 and not all(isinstance(stride, int) for _, stride in parts):
            return False
        walked += [v for v, _ in sorted(parts, key=lambda part: part[1], reverse=True)]
    return walked == r


def _compose(splits: dict[Var, Index], final: dict[Var, Index], variables: list[Var]) -> dict[Var, Index]:
    return {v: substitute(splits[v], final) if v in splits else final[v] for v in variables}


def fuse(left: Group, right: Group, shared: list[str]) -> Group | Refusal:
    """The fused group (left's stores, then right's), or why not. `left` comes before `right` in program order.

    shared: buffers both touch, the most telling first (written by left and read by right, then read by both).
    """
    if left.device != right.device:
        return Refusal("different-devices", "legality", f"{left.device}, {right.device}")
    if any(s.mode != "store" or not set(left.p) <= set(s.index.vars()) for s in left.stores):
        return Refusal("after-scatter", "legality", "updates of one place must be complete before they are read")
    if any(not s.index.is_affine for s in (*left.stores, *right.stores)):
        return Refusal("scattered-store", "legality")
    if group_writes(left) & group_writes(right):
        return Refusal("same-output", "legality")
    streams = bool(left.r) and attends(left.stores)
    if right.r and attends(right.stores) or streams and (right.r or not group_writes(left) & group_reads(right)):
        return Refusal(
            "attention", "heuristic", "its keys are walked in blocks: only what reads its result at its place fits in"
        )
    if streams:
        shared = [name for name in shared if name in group_writes(left)]
    found = pair(left, right, shared)
    if isinstance(found, Refusal):
        return found
    first = substitute_stores(left.stores, found.left)
    second = substitute_stores(right.stores, found.right)
    forwarded = _forward(first, second)
    if isinstance(forwarded, Refusal):
        return forwarded
    fused = Group(found.p, found.r, [*first, *forwarded], left.device, [*left.origins, *right.origins])
    overwritten = group_writes(right) & group_reads(left)
    if not all(reads_where_it_writes(fused, s, s.buffer) for s in forwarded if s.buffer in overwritten):
        return Refusal("overwrites-input", "legality")
    if any(reduces_under_mask(e) for e in postorder([s.value for s in fused.stores])):
        return Refusal(
            "reduction-under-mask", "heuristic", "what it reads would be computed again where the condition holds"
        )
    refusals = (_ends_contraction(left, right, fused), _too_much(left, right, fused))
    return next((refusal for refusal in refusals if refusal is not None), fused)


def reads_where_it_writes(group: Group, store: Store, buffer: str, offset: Dim = 0) -> bool:
    """Whether a group reads a buffer at most at the places to which a store of its own goes (`offset` elements further), each at the
    same point of the loops: then the store may overwrite it.
    """
    values = [s.value for s in group.stores]
    places = [a.value for s in group.stores for a in s.index.atoms() if isinstance(a, Indirect)]
    loads = loads_of([*values, *places], buffer)
    if not loads:
        return True
    if store.mode != "store" or not store.index.is_affine or loads_of(places, buffer):
        return False
    along, r = store.index.vars(), set(group.r)
    every_point = set(group.p) <= along and (r <= along or not (r & along or store.value.varies_in_r))
    return every_point and all(index == store.index + offset for index in loads)


def loads_of(values: list[Expr], buffer: str) -> list[Index]:
    """Every index at which a buffer is loaded below the values."""
    return [e.attr[1] for e in postorder(values) if e.op == "load" and e.attr[0] == buffer]


def _forward(first: list[Store], second: list[Store]) -> list[Store] | Refusal:
    """Replace loads of what `first` stores by the stored values."""
    written = {s.buffer: s for s in first}
    bad: list[str] = []

    def visit(e: Expr) -> Expr | None:
        if e.op == "load" and e.attr[0] in written:
            source = written[e.attr[0]]
            if e.attr[1] != source.index:
                bad.append(f"{e.attr[0]} is written at {source.index} and read at {e.attr[1]}")
                return None
            return source.value
        if e.op == "cast" and e.args[0].op == "cast":
            inner = e.args[0]
            # bfloat16 -> float32 -> bfloat16 is the identity; the other way round rounds, fused or not
            if e.dtype == inner.args[0].dtype and e.dtype in HALVES and inner.dtype == float32:
                return inner.args[0]
        return None

    values = rewrite([s.value for s in second], visit)
    if bad:
        return Refusal("read-elsewhere", "legality", bad[0])
    return [Store(s.buffer, s.index, v, s.mode) for s, v in zip(second, values)]


def _ends_contraction(left: Group, right: Group, fused: Group) -> Refusal | None:
    """What is emitted in blocks must stay what can be: point by point a product of matrices takes many times as long."""
    if not fused.r or not any(g.r and _is_contraction(g) for g in (left, right)):
        return None
    found = recognise(fused)
    return Refusal("ends-contraction", "heuristic", str(found)) if isinstance(found, Refusal) else None


def _is_contraction(group: Group) -> bool:
    found = recognise(group)
    return isinstance(found, Contraction) and found.reuses


def _too_much(left: Group, right: Group, fused: Group) -> Refusal | None:
    nodes = postorder([s.value for s in fused.stores])
    if len(nodes) > _MAX_OPS:
        return Refusal("kernel-too-large", "heuristic", f"{len(nodes)} operations")
    if len(group_reads(fused) | group_writes(fused)) > _MAX_BUFFERS:
        return Refusal("too-many-buffers", "heuristic")
    if max(e.reduce_depth for e in nodes) > _MAX_DEPTH:
        return Refusal("too-many-passes", "heuristic", "each pass over the reduced axis computes its inputs again")
    if any(e.op == "scan" for e in nodes) and any(e.op == "reduce" for e in nodes):
        return Refusal("scan-with-reduction", "heuristic")
    rows, axis = points(fused.p), points(fused.r)
    if fused.r and isinstance(rows, int) and isinstance(axis, int) and rows < _FEW_ROWS and axis >= _LONG_AXIS:
        late = any(s.value.varies_in_r and s.value.reduce_depth > 0 for s in fused.stores)
        if late or max(e.reduce_depth for e in nodes) > max(_depth(left), _depth(right)):
            return Refusal("few-long-rows", "heuristic", f"{rows} rows of {axis}: one pass each keeps all cores busy")
    return None


def _depth(group: Group) -> int:
    return max(s.value.reduce_depth for s in group.stores)


def score(left: Group, right: Group, sizes: dict[str, int]) -> int:
    """Bytes of memory traffic that fusing would save: shared buffers are read once, forwarded ones not at all."""
    shared = (group_reads(left) | group_writes(left)) & group_reads(right)
    return sum(sizes.get(name, 0) for name in shared)
