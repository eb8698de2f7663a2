"""Floating-point errors: which ops may meet them, and how a run says that one did.

Generated kernels let the processor note errors in its sticky flags, which costs nothing; they are looked at once for each run of
kernels (kernels/cpu/flags.h). Flags say neither which op it was nor whether the framework would mind, so a run that meets one
changes nothing and raises `FloatErrors`: the program is then run again without compiled code, and says or raises
itself what it has to, in its own words and places.
"""

from __future__ import annotations

from .graph import Node, TensorMeta

#: as NumPy numbers them
DIVIDE, OVER, UNDER, INVALID = 1, 2, 4, 8
ALL = DIVIDE | OVER | UNDER | INVALID


class FloatErrors(Exception):
    """A run met floating-point errors that the program wants to hear of. It has changed nothing."""


#: ops that compute no new numbers, or compare them: no element raises an error
_QUIET = frozenset(
    """
    input scalar constant full full_like empty arange eye checked_index getitem alias detach view reshape permute transpose
    unsqueeze squeeze diagonal as_strided clone contiguous copy cat stack flip roll roll_dims repeat repeat_interleave restride
    flatten unflatten expand select slice unfold pad one_hot take gather take_along_dim index_select embedding index index_put
    slice_scatter select_scatter diagonal_scatter scatter tril triu where masked_fill eq ne lt le gt ge isnan isinf isfinite
    isposinf isneginf signbit logical_and logical_or logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not
    bitwise_left_shift bitwise_right_shift maximum minimum fmax fmin amax amin argmax argmin any all neg abs sign copysign floor
    ceil trunc positive
    """.split()
)
#: what else an op may meet; what is in neither table may meet all
_SOME = {
    "add": OVER | INVALID, "sub": OVER | INVALID, "mul": OVER | UNDER | INVALID, "exp": OVER | UNDER, "exp2": OVER | UNDER,
    "expm1": OVER | UNDER, "log": DIVIDE | INVALID, "log2": DIVIDE | INVALID, "log10": DIVIDE | INVALID,
    "log1p": DIVIDE | UNDER | INVALID, "sqrt": INVALID, "sin": INVALID | UNDER, "cos": INVALID, "tan": INVALID | UNDER,
    "asin": INVALID | UNDER, "acos": INVALID, "atan": UNDER, "sinh": OVER | UNDER, "cosh": OVER, "tanh": UNDER, "asinh": UNDER,
    "acosh": INVALID, "atanh": DIVIDE | UNDER | INVALID, "atan2": UNDER, "hypot": OVER | UNDER, "fmod": INVALID | UNDER,
    "remainder": INVALID | UNDER, "sum": OVER | INVALID, "mean": OVER | UNDER | INVALID, "cumsum": OVER | INVALID,
    "prod": OVER | UNDER | INVALID, "cumprod": OVER | UNDER | INVALID,
}  # fmt: skip


def may_meet(node: Node) -> int:
    """The errors that an op's elements may meet. A framework's call may meet all: the framework looks at the flags itself."""
    name = node.op.name
    if name == "extern":
        return ALL
    if name == "index_put" and node.attrs.get("accumulate"):
        return OVER | INVALID if _is_float(node.meta) else 0
    if name in _QUIET or not any(_is_float(i.meta) for i in (node, *node.inputs) if i is not None):
        return 0
    if name == "cast":
        return _of_cast(node)
    return _SOME.get(name, ALL)


def _of_cast(node: Node) -> int:
    source = node.inputs[0]
    assert source is not None and isinstance(source.meta, TensorMeta) and isinstance(node.meta, TensorMeta)
    to, of = node.meta.dtype, source.meta.dtype
    if to.is_float:
        return OVER | UNDER if of.is_float and of.size > to.size else OVER if to.size == 2 and not of.is_float else 0
    return INVALID if of.is_float and to.name != "bool" else 0


def _is_float(meta: TensorMeta | tuple[TensorMeta, ...]) -> bool:
    metas = meta if isinstance(meta, tuple) else (meta,)
    return any(m.dtype.is_float or m.dtype.is_complex for m in metas)


#: ops that read a part of their operand
_PARTS = frozenset(
    "slice select index index_select take take_along_dim gather embedding diagonal unfold as_strided pad".split()
)


def unread(nodes: list[Node], wanted: list[Node]) -> list[Node]:
    """Nodes some of whose elements nobody would compute when `wanted` is computed: what the program computes and drops. `nodes`
    is in topological order.
    """
    whole = set(wanted)
    parts: dict[Node, list[Node]] = {}
    for n in reversed(nodes):
        if n not in whole and not _covered(n, parts.get(n, ())):
            continue
        whole.add(n)
        for i in n.inputs:
            if i is None:
                continue
            if n.op.name in _PARTS:
                parts.setdefault(i, []).append(n)
            else:
                whole.add(i)
    return [n for n in nodes if n not in whole]


def _covered(node: Node, readers: list[Node] | tuple[Node, ...]) -> bool:
    """Whether slices along one axis make up the whole."""
    if not readers or isinstance(node.meta, tuple):
        return False
    spans: dict[int, list[tuple[int, int]]] = {}
    for r in readers:
        if r.op.name == "slice":
            dim, start, end, step = (r.attrs[k] for k in ("dim", "start", "end", "step"))
        elif r.op.name == "select":
            dim, start, end, step = r.attrs["dim"], r.attrs["index"], None, 1
        else:
            continue
        size = node.meta.shape[dim]
        if step != 1 or not isinstance(size, int) or not all(v is None or isinstance(v, int) for v in (start, end)):
            continue
        first, last, _ = slice(start, end, 1).indices(size)
        spans.setdefault(dim % len(node.meta.shape), []).append((first, last if r.op.name == "slice" else first + 1))
    return any(_union(sorted(s), node.meta.shape[d]) for d, s in spans.items())


def _union(spans: list[tuple[int, int]], size: object) -> bool:
    reached = 0
    for first, last in spans:
        if first > reached:
            return False
        reached = max(reached, last)
    return reached == size
