"""Contents that capture can know: arrays made from numbers alone.

Programs build small arrays from sizes and settings and read them back (`torch.tensor(n).item()`, `np.arange(3).tolist()`, the mask of
ones that stands for "no mask"). What such an array holds is the same at every call, so it is computed once, during capture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...inductor.graph import Graph, Node
from ...inductor.interpreter import interpret
from ...inductor.runtime import Runtime
from ..guards.symbols import symbols_of

if TYPE_CHECKING:
    from ..values.base import Machine

#: the most elements of an array, and the most ops behind it, that are computed during capture
MAX_ELEMENTS = 1 << 14
MAX_OPS = 200


def content_of(ev: Machine, node: Node, runtime: Runtime, settle: bool = True) -> Any:
    """What the array at a node holds at every call, or None when that depends on inputs or chance, or costs too much to find out.
    settle: sizes that it holds, and that change, may become constants for it
    """
    behind = _nodes_behind(node)
    if behind is None or not _settled(ev, behind, settle):
        return None
    order = [n for n in ev.graph.nodes if n in behind]
    layouts = [i for n in order for k, i in enumerate(n.inputs) if i is not None and n.op.operand(k).role == "layout"]
    shapes = list(dict.fromkeys(layouts))
    stand_ins = [runtime.empty(m.shape, m.stride, m.dtype, m.device) for m in (like.meta for like in shapes)]
    return interpret(Graph(inputs=shapes, nodes=order, outputs=[node]), runtime)(*stand_ins)[0]


def _settled(ev: Machine, nodes: set[Node], settle: bool) -> bool:
    """Whether no size that changes is written into the content. The program decides by such a content: the size becomes a
    constant, where nobody asked for it to change.
    """
    symbols = sorted(symbols_of(Graph(nodes=list(nodes))), key=lambda s: s.name)
    if (
        symbols
        and not settle
        or any(ev.symbols.is_unbacked(s) or ev.symbols.by_name[s.name].mark is not None for s in symbols)
    ):
        return False
    for symbol in symbols:
        ev.symbols.specialize(symbol, "the program reads a tensor that holds it")
    return True


def _nodes_behind(node: Node) -> set[Node] | None:
    """All nodes that `node` is computed from, itself among them; None when one of them is not known or too large."""
    found: set[Node] = set()
    todo = [node]
    while todo:
        n = todo.pop()
        if n in found:
            continue
        metas = n.meta if isinstance(n.meta, tuple) else (n.meta,)
        if n.op.kind == "input" or n.effects or len(found) == MAX_OPS:
            return None
        if any(m.is_dynamic or m.numel > MAX_ELEMENTS for m in metas):
            return None
        found.add(n)
        todo.extend(i for k, i in enumerate(n.inputs) if i is not None and n.op.operand(k).role != "layout")
    return found
