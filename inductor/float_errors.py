"""Floating-point errors: which ops may meet them, and how a run says that one did.

Generated kernels let the processor note errors in its sticky flags, which costs nothing; they are looked at once for each run of
kernels (kernels/cpu/flags.h). Flags say neither which op it was nor whether the framework would mind, so a run that meets one
changes nothing and raises `FloatErrors`: the program is then run again without compiled code, and says or raises
itself what it has to, in its own words and places.
"""

from __future__ import annotations

from .graph import Node, TensorMeta
from .ops.facts import QUIET


class FloatErrors(Exception):
    """A run met floating-point errors that the program wants to hear of. It has changed nothing."""


def may_meet(node: Node) -> int:
    """The errors that an op's elements may meet. A framework's call may meet all: the framework looks at the flags itself."""
    errors = node.op.errors
    if node.op.eager != "call" and not any(_is_float(i.meta) for i in (node, *node.inputs) if i is not None):
        return QUIET
    assert errors is not None, "OpTable.add asks for it"
    return errors if isinstance(errors, int) else errors(node)


def _is_float(meta: TensorMeta | tuple[TensorMeta, ...]) -> bool:
    metas = meta if isinstance(meta, tuple) else (meta,)
    return any(m.dtype.is_float or m.dtype.is_complex for m in metas)


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
        for k, i in enumerate(n.inputs):
            if i is None:
                continue
            if n.op.operand(k).part:
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
        if r.op.span is None:
            continue
        dim, start, end, step = r.op.span(r)
        size = node.meta.shape[dim]
        if step != 1 or not isinstance(size, int) or not all(v is None or isinstance(v, int) for v in (start, end)):
            continue
        first, last, _ = slice(start, end, 1).indices(size)
        spans.setdefault(dim % len(node.meta.shape), []).append((first, last))
    return any(_union(sorted(s), node.meta.shape[d]) for d, s in spans.items())


def _union(spans: list[tuple[int, int]], size: object) -> bool:
    reached = 0
    for first, last in spans:
        if first > reached:
            return False
        reached = max(reached, last)
    return reached == size
