"""Layouts: images between convolutions lie channels last, whatever the program says of them.

Libraries convolve images whose channels lie side by side without turning them around first, and what is between two convolutions is
loops, which read and write in any order. So an image is turned around where it enters the graph and where it leaves it, and nowhere
between. Nobody can see how it lies in the meantime: outputs get the strides that eager gives them (`lower`), and what reads memory
or draws random numbers in memory's order gets its inputs as eager lays them out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..kernels.device import device_of
from .dtypes import DType, bfloat16, float16, float32
from .graph import Graph, GraphBuilder, Node, TensorMeta
from .ops.promotion import channels_last_strides, is_channels_last
from .ops.table import Op
from .passes import in_strides, rebuild

#: the types that libraries convolve by themselves; others they make into products of matrices, from contiguous images
_DTYPES: tuple[DType, ...] = (float32, bfloat16, float16)


def channels_last(graph: Graph, ops: Mapping[str, Op]) -> Graph:
    """Give convolutions their images channels last, and what reads those the layouts that follow. Where gradients are wanted images
    stay as they are: the libraries' backward kernels gain little by it or lose, and what is kept for them would lie in memory twice.
    """
    if graph.boundary.trains:
        return graph
    found = [n for n in graph.nodes if _prefers(n)]
    if not found or len(found) == 1 and _is_depthwise(found[0]):
        return graph  # to turn one image around takes as long as to filter it
    return rebuild(graph, ops, _laid_out)


def _prefers(n: Node) -> bool:
    """Whether a node's kernel is faster with images that lie channels last."""
    x = n.inputs[0] if n.inputs else None
    return (
        x is not None
        and not isinstance(x.meta, tuple)
        and device_of(x.meta.device).kind in n.op.channels_last
        and x.ndim in (4, 5)
        and x.dtype in _DTYPES
    )


def _is_depthwise(n: Node) -> bool:
    """Whether each channel is filtered for itself."""
    weight = n.inputs[1]
    return weight is not None and weight.shape[1] == 1


def _laid_out(b: GraphBuilder, n: Node, inputs: list[Node | None]) -> Node:
    if _prefers(n):
        image = inputs[0]
        assert image is not None
        if not is_channels_last(image.shape, image.meta.stride, image.ndim):
            image = b.call("restride", image, stride=channels_last_strides(image.shape))
        behind = [in_strides(b, *pair) for pair in zip(n.inputs[1:], inputs[1:])]
        return _append(b, n, [image, *behind]) or b.append(n.op, [image, *behind], n.attrs, n.meta)
    if all(was is None or new is None or was.meta == new.meta for was, new in zip(n.inputs, inputs)):
        return b.append(n.op, inputs, n.attrs, n.meta)
    by_elements = n.op.kind != "extern" and not any(n.op.operand(k).memory for k in range(len(inputs)))
    made = _append(b, n, inputs) if by_elements else None
    return made or b.append(n.op, [in_strides(b, *pair) for pair in zip(n.inputs, inputs)], n.attrs, n.meta)


def _append(b: GraphBuilder, n: Node, inputs: Sequence[Node | None]) -> Node | None:
    """The node over inputs that lie otherwise. None where it does not take them so."""
    meta: Any
    try:
        meta = n.op.meta(*[None if i is None else i.meta for i in inputs], **n.attrs)
    except (TypeError, ValueError, IndexError):
        return None
    if not isinstance(meta, TensorMeta) or (meta.shape, meta.dtype, meta.device) != (n.shape, n.dtype, n.meta.device):
        return None
    return b.append(n.op, inputs, n.attrs, meta)
