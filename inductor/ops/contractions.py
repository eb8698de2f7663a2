"""Contractions: sums of products over axes that two operands share. Matrix products and convolutions in these terms.

The rules here are what the rows of a library's products say they mean; who runs them is chosen (`inductor.chooser`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ..dtypes import DType, compute_dtype
from ..graph import Dim, GraphBuilder, Node, TensorMeta
from ..loops import Expr, Fn, Index, Reduce, expr
from .common import REQUIRED, args, broadcast_index, convert, new_meta, row
from .dims import floor_divide, is_one, same, spread
from .facts import INVALID, OVER, UNDER
from .promotion import channels_last_strides, common_device, is_channels_last
from .reductions import accumulation_dtype, to

#: an operand's axes by number: equal numbers are one axis
Labels = tuple[int, ...]


def axis_sizes(shapes: Sequence[Sequence[Dim]], labels: Sequence[Labels]) -> dict[int, Dim]:
    """The size of each axis; one of size 1 is repeated along the other's. Raises ValueError where two sizes differ."""
    sizes: dict[int, Dim] = {}
    for label, size in chain.from_iterable(map(zip, labels, shapes)):
        known = sizes.setdefault(label, size)
        if is_one(known):
            sizes[label] = size
        elif not is_one(size) and not same(known, size):
            raise ValueError(f"contract: axis {label} has sizes {known} and {size}")
    return sizes


def meta_contract(
    x: TensorMeta, y: TensorMeta, *, left: Labels, right: Labels, result: Labels, dtype: DType | None
) -> TensorMeta:
    if x.dtype != y.dtype:
        raise TypeError(f"contract: operands must have one dtype, got {x.dtype} and {y.dtype}")
    sizes = axis_sizes((x.shape, y.shape), (left, right))
    return new_meta([sizes[label] for label in result], dtype or x.dtype, common_device(x, y))


@dataclass(frozen=True)
class Labelled:
    """The axes of a node with two labelled operands.

    own: those of each operand; sizes: of every axis; summed: those that the result lacks, with their sizes
    dtype: in which it is computed
    """

    own: tuple[Labels, Labels]
    sizes: Mapping[int, Dim]
    summed: tuple[tuple[int, Dim], ...]
    dtype: DType


def labelled(node: Node) -> Labelled:
    """The axes of a `contract`, or of a row with its attributes."""
    own = node.attrs["left"], node.attrs["right"]
    sizes = axis_sizes([i.shape for i in args(node)], own)
    summed = tuple((label, n) for label, n in sizes.items() if label not in node.attrs["result"])
    return Labelled(own, sizes, summed, compute_dtype(node.dtype))


def element(fn: Fn, of: Node, own: Labels, place: Mapping[int, Index], axes: Labelled) -> Expr:
    """An operand's element at a point of the axes."""
    point = tuple(place[label] for label in own)
    return convert(fn(broadcast_index(point, of.shape, [axes.sizes[label] for label in own])), axes.dtype)


def _lower_contract(node: Node, x: Fn, y: Fn) -> Reduce:
    """result[o] = sum over r of x[axes left] * y[axes right], r being the axes that the result lacks."""
    first, second = args(node)
    axes = labelled(node)

    def inner(o: tuple[Index, ...], r: tuple[Index, ...]) -> Expr:
        place = dict(zip((*node.attrs["result"], *(label for label, _ in axes.summed)), (*o, *r)))
        left, right = (element(fn, of, own, place, axes) for fn, of, own in zip((x, y), (first, second), axes.own))
        return expr("mul", left, right, dtype=axes.dtype)

    return Reduce("sum", tuple(size for _, size in axes.summed), inner)


# left, right, result: the axes of the operands and of the result; those that the result lacks are summed over
# dtype: of the result, which is also that of the products and sums (float32 for halves); None: the operands'
CONTRACT = row("contract", "contraction", meta_contract, attrs={"left": REQUIRED, "right": REQUIRED, "result": REQUIRED, "dtype": None},
    lower=_lower_contract, errors=OVER | UNDER | INVALID, eager="none")  # fmt: skip


# --------------------------------------------------------------------------- what products mean


def of_product(b: GraphBuilder, node: Node) -> Node:
    """matmul and its kin: rows by columns, batches broadcast."""
    x, y = args(node)
    batch = max(x.ndim, y.ndim, 2) - 2
    axis, column, inner = batch, batch + 1, batch + 2
    left = (*range(batch - max(x.ndim - 2, 0), batch), *((axis,) if x.ndim > 1 else ()), inner)
    right = (*range(batch - max(y.ndim - 2, 0), batch), inner, *((column,) if y.ndim > 1 else ()))
    result = (*range(batch), *((axis,) if x.ndim > 1 else ()), *((column,) if y.ndim > 1 else ()))
    return b.call("contract", x, y, left=left, right=right, result=result)


def of_turned_product(b: GraphBuilder, node: Node) -> Node:
    """As `of_product`, with the last two axes of an operand in the other order where its attribute says so."""
    x, y = args(node)
    batch = max(x.ndim, y.ndim) - 2
    axis, column, inner = batch, batch + 1, batch + 2
    one, other = (
        ((inner, axis) if node.attrs["left"] else (axis, inner)),
        ((column, inner) if node.attrs["right"] else (inner, column)),
    )
    left = (*range(batch - (x.ndim - 2), batch), *one)
    right = (*range(batch - (y.ndim - 2), batch), *other)
    return b.call("contract", x, y, left=left, right=right, result=(*range(batch), axis, column))


def of_call(b: GraphBuilder, node: Node) -> Node:
    """A call of the framework that says of itself which axes it sums over. One tensor may be both of its operands."""
    left, right, result = node.attrs["axes"]
    x, y = (node.inputs[operand.index] for operand in node.attrs["ref"].args[-1])
    return b.call("contract", x, y, left=left, right=right, result=result)


def of_linear(b: GraphBuilder, node: Node) -> Node:
    """x @ weight.T + bias, rounded once."""
    x, weight, bias = args(node)
    inner, lead = x.ndim - 1, tuple(range(x.ndim - 1))
    columns = (x.ndim,) if weight.ndim > 1 else ()
    labels = {"left": (*lead, inner), "right": (*columns, inner), "result": (*lead, *columns)}
    if bias is None:
        return b.call("contract", x, weight, **labels)
    wide = accumulation_dtype(node.dtype)
    product = b.call("contract", x, weight, **labels, dtype=wide)
    return to(b, b.add(product, to(b, bias, wide)), node.dtype)


def of_added_product(b: GraphBuilder, node: Node) -> Node:
    """beta * x + alpha * (one @ two), rounded once; with beta 0 nothing of x is seen, NaNs neither."""
    x, one, two = args(node)
    alpha, beta = node.attrs["alpha"], node.attrs["beta"]
    wide = accumulation_dtype(node.dtype)
    batch = tuple(range(one.ndim - 2))
    r, c, k = (len(batch) + i for i in range(3))
    total = b.call("contract", one, two, left=(*batch, r, k), right=(*batch, k, c), result=(*batch, r, c), dtype=wide)
    if alpha != 1:
        total = b.mul(total, b.scalar(value=alpha))
    if beta != 0:
        term = to(b, x, wide)
        total = b.add(term if beta == 1 else b.mul(term, b.scalar(value=beta)), total)
    return to(b, total, node.dtype)


def of_convolution(b: GraphBuilder, node: Node) -> Node:
    """Windows of the padded image by the weight's, group by group, rounded once."""
    x, weight, bias = args(node)
    n, groups = weight.ndim - 2, node.attrs["groups"]
    steps, gaps = (spread(node.attrs[k], n, k) for k in ("stride", "dilation"))
    image = x if x.ndim == weight.ndim else b.unsqueeze(x, dim=0)
    reaches = [gap * (size - 1) + 1 for gap, size in zip(gaps, weight.shape[2:])]
    borders = _borders(node.attrs["padding"], reaches)
    if padded := any(any(border) for border in borders):
        image = b.pad(image, pad=tuple(chain.from_iterable(reversed(borders))), value=0.0)
    last = is_channels_last(node.shape, node.meta.stride, node.ndim)
    if last and (padded or not all(map(is_one, weight.shape[2:]))):  # windows overlap
        image = b.stored(image, stride=channels_last_strides(image.shape))
    image = b.unflatten(image, dim=1, sizes=(groups, weight.shape[1]))
    for d, (reach, step, gap) in enumerate(zip(reaches, steps, gaps), 3):
        image = b.unfold(image, dimension=d, size=reach, step=step)
        if gap != 1:
            image = b.slice(image, dim=-1, step=gap)
    weights = b.unflatten(weight, dim=0, sizes=(groups, floor_divide(weight.shape[0], groups)))
    places, window = tuple(range(4, 4 + n)), tuple(range(4 + n, 4 + 2 * n))
    wide = accumulation_dtype(node.dtype)
    result = (0, *places, 1, 3) if last else (0, 1, 3, *places)
    product = b.call("contract", image, weights, left=(0, 1, 2, *places, *window), right=(1, 3, 2, *window),
                     result=result, dtype=wide)  # fmt: skip
    channels = result.index(1)
    total = b.flatten(product, start_dim=channels, end_dim=channels + 1)
    if last:
        total = b.permute(total, dims=(0, n + 1, *range(1, n + 1)))
    if bias is not None:
        total = b.add(total, b.reshape(to(b, bias, wide), shape=(bias.shape[0], *([1] * n))))
    total = to(b, total, node.dtype)
    return total if x.ndim == weight.ndim else b.select(total, dim=0, index=0)


def _borders(padding: int | str | Sequence[int], reaches: Sequence[int]) -> list[tuple[int, int]]:
    """Zeros before and behind each spatial dim."""
    if padding == "valid":
        return [(0, 0) for _ in reaches]
    if padding == "same":  # the odd zero stands behind
        return [((reach - 1) // 2, reach // 2) for reach in reaches]
    assert not isinstance(padding, str)
    return [(border, border) for border in spread(padding, len(reaches), "padding")]
