"""torch's reductions, scans, norms and losses as table calls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from .....inductor.graph import Node
from .....inductor.ops.dims import is_whole, is_zero, less, same
from .....inductor.ops.reductions import reduced_count
from ....values.tensor import ArrayValue
from ..context import LEAST, Context, Declined
from ..handlers import name, register
from ..results import Results
from ..state import state_of

Dim = int | Sequence[int] | None


def _dims(dim: Dim) -> Any:
    """An empty dim list means all dims."""
    return None if isinstance(dim, (list, tuple)) and len(dim) == 0 else tuple(dim) if isinstance(dim, list) else dim


def _named_dims(x: ArrayValue, dim: Dim) -> Any:
    """All dims by number: without any, `amax` has the derivative of `max`, which is another one where there are NaNs."""
    return tuple(range(len(x.meta.shape))) if isinstance(dim, (list, tuple)) and len(dim) == 0 else _dims(dim)


def _flatten_args(dim: tuple[Any, ...]) -> Any:
    return None if not dim else dim[0] if len(dim) == 1 else dim


# ------------------------------------------------------------------ sums and counts


@name("*sum")
def sum_(cx: Context, input: ArrayValue, *dims: Any, dim: Dim = None, keepdim: bool = False, dtype: Any = None,
         axis: Dim = None) -> Node:  # fmt: skip
    if len(dims) > 1 and isinstance(dims[-1], bool):
        keepdim, dims = dims[-1], dims[:-1]
    chosen = _flatten_args(dims) if dims else dim if axis is None else axis
    return cx.op("sum", input, dim=_dims(chosen), keepdim=keepdim, dtype=cx.dtype(dtype))


@name("*mean")
def mean(cx: Context, input: ArrayValue, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None,
         axis: Dim = None) -> Node:  # fmt: skip
    return cx.op("mean", input, dim=_dims(dim if axis is None else axis), keepdim=keepdim, dtype=cx.dtype(dtype))


@name("*prod")
def prod(cx: Context, input: ArrayValue, dim: int | None = None, keepdim: bool = False, *, dtype: Any = None) -> Node:
    return cx.op("prod", input, dim=dim, keepdim=keepdim, dtype=cx.dtype(dtype))


@name("*nansum")
def nansum(cx: Context, input: ArrayValue, dim: Dim = None, keepdim: bool = False, *, dtype: Any = None) -> Node:
    x: Any = input
    if input.meta.dtype.is_float:
        x = cx.op("where", cx.op("isnan", input), 0.0, input)
    return cx.op("sum", x, dim=_dims(dim), keepdim=keepdim, dtype=cx.dtype(dtype))


def _truth(op: str) -> Any:
    def call(cx: Context, input: ArrayValue, dim: Dim = None, keepdim: bool = False, *, axis: Dim = None) -> Node:
        if () in (dim, axis) or [] in (dim, axis):
            raise Declined("no dims at all")
        return cx.op(op, input, dim=_dims(dim if axis is None else axis), keepdim=keepdim)

    call.__name__ = op
    return call


for _op in ("any", "all"):
    register((f"torch.{_op}", f"Tensor.{_op}"), _truth(_op))
register("torch._is_any_true", lambda cx, input: cx.op("any", input, dim=None, keepdim=False))


@name("*count_nonzero")
def count_nonzero(cx: Context, input: ArrayValue, dim: Dim = None) -> Node:
    return cx.op("count_nonzero", input, dim=_dims(dim))


# ------------------------------------------------------------------ extrema


def _extremum(op: str, pairwise: str, both: str) -> Any:
    def call(
        cx: Context, input: ArrayValue, *given: Any, dim: Any = None, keepdim: bool = False, other: Any = None
    ) -> Any:
        if given and isinstance(given[0], ArrayValue):
            (other,) = given
        elif given:
            dim, keepdim = (*given, keepdim)[:2]
        if other is not None:
            return cx.op(pairwise, input, other)
        if isinstance(dim, ArrayValue):
            raise Declined("a dim that is read from a tensor")
        if dim is None:
            return cx.op(op, input)
        return Results(getattr(torch.return_types, both[:3]), cx.results(both, input, dim=dim, keepdim=keepdim))

    call.__name__ = both[:3]
    return call


register("torch.max Tensor.max", _extremum("amax", "maximum", "max_dim"))
register("torch.min Tensor.min", _extremum("amin", "minimum", "min_dim"))


@name("*amax")
def amax(cx: Context, input: ArrayValue, dim: Dim = (), keepdim: bool = False) -> Node:
    return cx.op("amax", input, dim=_named_dims(input, dim), keepdim=keepdim)


@name("*amin")
def amin(cx: Context, input: ArrayValue, dim: Dim = (), keepdim: bool = False) -> Node:
    return cx.op("amin", input, dim=_named_dims(input, dim), keepdim=keepdim)


@name("*aminmax")
def aminmax(cx: Context, input: ArrayValue, *, dim: int | None = None, keepdim: bool = False) -> Results:
    dims = _named_dims(input, () if dim is None else dim)
    low = cx.op("amin", input, dim=dims, keepdim=keepdim)
    return Results(torch.return_types.aminmax, (low, cx.op("amax", input, dim=dims, keepdim=keepdim)))


@name("*argmax")
def argmax(cx: Context, input: ArrayValue, dim: int | None = None, keepdim: bool = False) -> Node:
    return cx.op("argmax", input, dim=dim, keepdim=keepdim)


@name("*argmin")
def argmin(cx: Context, input: ArrayValue, dim: int | None = None, keepdim: bool = False) -> Node:
    return cx.op("argmin", input, dim=dim, keepdim=keepdim)


# ------------------------------------------------------------------ moments and norms


def _reaches(number: Any, count: Any) -> bool:
    """number >= count, which is a size; the number may be an int that changes."""
    if not isinstance(number, (int, float)):
        return not less(number, count)
    return not less(math.floor(number), count) if math.isfinite(number) else number > 0


def _moment(op: str, several: bool = False) -> Any:
    def call(cx: Context, input: ArrayValue, dim: Any = None, unbiased: Any = None, keepdim: bool = False, *,
             correction: Any = None, axis: Dim = None) -> Any:  # fmt: skip
        if isinstance(dim, bool):  # var(input, unbiased)
            dim, unbiased = None, dim
        if correction is None:
            correction = 0 if unbiased is False else 1
        if correction != correction:
            raise Declined("eager's kernels do not agree about a count that is NaN")
        gone, count = _dims(dim if axis is None else axis), None
        if any(map(is_zero, input.meta.shape)):
            correction, count = max(correction, 0), 0  # of no elements it is NaN, whatever is said to be missing
        elif input.meta.dtype.is_float:
            count = reduced_count(input.meta.shape, gone)
        attrs = {"dim": gone, "keepdim": keepdim, "correction": correction}
        known = isinstance(correction, float) or is_whole(correction)
        if count is not None and known and _reaches(correction, count):
            raise Declined("too few elements, of which eager warns")
        return cx.results(op, input, **attrs) if several else cx.op(op, input, **attrs)

    call.__name__ = op
    return call


for _op in ("var", "std"):
    register((f"torch.{_op}", f"Tensor.{_op}"), _moment(_op))
    register((f"torch.{_op}_mean",), _moment(f"{_op}_mean", several=True))


@name("*logsumexp torch.special.logsumexp")
def logsumexp(cx: Context, input: ArrayValue, dim: Dim, keepdim: bool = False) -> Node:
    if dim == () or dim == []:
        raise Declined("no dims at all")
    return cx.op("logsumexp", input, dim=_dims(dim), keepdim=keepdim)


def _order(order: float) -> float:
    """The order of a norm."""
    order = float(order)
    if order and math.isfinite(order) and not LEAST <= abs(order) <= 1 / LEAST:
        raise Declined("an order that float32 cannot hold")
    return order


@name("torch.linalg.vector_norm")
def vector_norm(cx: Context, x: ArrayValue, ord: float = 2, dim: Dim = None, keepdim: bool = False, *,
                dtype: Any = None) -> Node:  # fmt: skip
    return cx.op("vector_norm", x, ord=_order(ord), dim=_dims(dim), keepdim=keepdim, dtype=cx.dtype(dtype))


@name("torch.norm Tensor.norm")
def norm(
    cx: Context, input: ArrayValue, p: Any = "fro", dim: Dim = None, keepdim: bool = False, dtype: Any = None
) -> Node:
    """The vector norms; eager's "fro" without or with dims is the 2-norm over them."""
    if p == "nuc":
        raise Declined("the nuclear norm")
    order = 2.0 if p is None or p == "fro" else _order(p)
    return cx.op("vector_norm", input, ord=order, dim=_dims(dim), keepdim=keepdim, dtype=cx.dtype(dtype))


@name("torch.linalg.norm")
def linalg_norm(cx: Context, A: ArrayValue, ord: Any = None, dim: Dim = None, keepdim: bool = False, *,
                dtype: Any = None) -> Node:  # fmt: skip
    is_vector = isinstance(dim, int) or (ord is None) or (dim is None and len(A.meta.shape) == 1)
    if not is_vector:
        raise Declined("a matrix norm")
    order = 2.0 if ord is None else _order(ord)
    return cx.op("vector_norm", A, ord=order, dim=_dims(dim), keepdim=keepdim, dtype=cx.dtype(dtype))


@name("F.normalize")
def normalize(cx: Context, input: ArrayValue, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Node:
    length = cx.op("vector_norm", input, ord=_order(p), dim=dim, keepdim=True)
    return cx.op("div", input, cx.op("maximum", length, eps))


@name("torch.dist Tensor.dist")
def dist(cx: Context, input: ArrayValue, other: ArrayValue, p: float = 2) -> Node:
    return cx.op("vector_norm", cx.op("sub", input, other), ord=_order(p))


# ------------------------------------------------------------------ scans


@name("*cumsum")
def cumsum(cx: Context, input: ArrayValue, dim: int, *, dtype: Any = None) -> Node:
    return cx.op("cumsum", input, dim=dim, dtype=cx.dtype(dtype))


@name("*cumprod")
def cumprod(cx: Context, input: ArrayValue, dim: int, *, dtype: Any = None) -> Node:
    return cx.op("cumprod", input, dim=dim, dtype=cx.dtype(dtype))


# ------------------------------------------------------------------ losses


def _check_reduce(cx: Context, reduction: str, size_average: Any, reduce: Any) -> str:
    if size_average is not None or reduce is not None:
        raise Declined("size_average and reduce")
    return reduction


def _check_same_size(input: ArrayValue, target: ArrayValue) -> None:
    """Where eager does not broadcast."""
    if len(input.meta.shape) != len(target.meta.shape) or not all(map(same, input.meta.shape, target.meta.shape)):
        raise ValueError(f"a target of shape {target.meta.shape} for an input of shape {input.meta.shape}")


def _warns_of_sizes(input: ArrayValue, target: ArrayValue) -> None:
    """Where eager warns of a target that is broadcast, its own code does so."""
    if len(input.meta.shape) != len(target.meta.shape) or not all(map(same, input.meta.shape, target.meta.shape)):
        raise Declined("a target of another shape, of which eager warns")


def _check_same_type(cx: Context, input: ArrayValue, target: ArrayValue) -> None:
    if input.meta.dtype != target.meta.dtype and not state_of(cx.ev).casts:
        raise Declined("some of its steps are done in the input's type, others in the target's")


def _pair_loss(op: str, extra: str | None = None, default: Any = None) -> Any:
    def call(cx: Context, input: ArrayValue, target: ArrayValue, size_average: Any = None, reduce: Any = None,
             reduction: str = "mean", **more: Any) -> Node:  # fmt: skip
        attrs = {} if extra is None else {extra: more.pop(extra, default)}
        if more.pop("weight", None) is not None:
            raise Declined("weights")
        if more:
            raise TypeError(f"{op} got an unexpected argument {next(iter(more))!r}")
        _warns_of_sizes(input, target)
        return cx.op(op, input, target, reduction=_check_reduce(cx, reduction, size_average, reduce), **attrs)

    call.__name__ = op
    return call


register("F.mse_loss", _pair_loss("mse_loss"))
register("F.l1_loss", _pair_loss("l1_loss"))


@name("F.smooth_l1_loss")
def smooth_l1_loss(cx: Context, input: ArrayValue, target: ArrayValue, size_average: Any = None, reduce: Any = None,
                   reduction: str = "mean", beta: float = 1.0) -> Node:  # fmt: skip
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta {beta} is negative")
    reduction = _check_reduce(cx, reduction, size_average, reduce)
    _warns_of_sizes(input, target)
    return cx.op("smooth_l1_loss", input, target, reduction=reduction, beta=beta)


@name("F.huber_loss")
def huber_loss(cx: Context, input: ArrayValue, target: ArrayValue, reduction: str = "mean", delta: float = 1.0) -> Node:
    if not delta > 0:
        raise ValueError(f"huber_loss: delta {delta} is not positive")
    _warns_of_sizes(input, target)
    _check_same_type(cx, input, target)
    return cx.op("huber_loss", input, target, reduction=reduction, delta=delta)


@name("F.cross_entropy")
def cross_entropy(cx: Context, input: ArrayValue, target: ArrayValue, weight: Any = None, size_average: Any = None,
                  ignore_index: int = -100, reduce: Any = None, reduction: str = "mean",
                  label_smoothing: float = 0.0) -> Node:  # fmt: skip
    reduction = _check_reduce(cx, reduction, size_average, reduce)
    if not 0 <= label_smoothing <= 1:
        raise ValueError(f"cross_entropy: label_smoothing {label_smoothing} is not within 0 and 1")
    if target.meta.dtype.is_float:  # probabilities
        _check_same_type(cx, input, target)
    return cx.op("cross_entropy", input, target, weight, ignore_index=ignore_index, reduction=reduction,
                 label_smoothing=label_smoothing)  # fmt: skip


@name("F.nll_loss")
def nll_loss(cx: Context, input: ArrayValue, target: ArrayValue, weight: Any = None, size_average: Any = None,
             ignore_index: int = -100, reduce: Any = None, reduction: str = "mean") -> Node:  # fmt: skip
    reduction = _check_reduce(cx, reduction, size_average, reduce)
    return cx.op("nll_loss", input, target, weight, ignore_index=ignore_index, reduction=reduction)


@name("F.binary_cross_entropy")
def binary_cross_entropy(cx: Context, input: ArrayValue, target: ArrayValue, weight: Any = None, size_average: Any = None,
                         reduce: Any = None, reduction: str = "mean") -> Node:  # fmt: skip
    if weight is not None:
        raise Declined("weights")
    _check_same_size(input, target)
    _check_same_type(cx, input, target)
    return cx.op("binary_cross_entropy", input, target, reduction=_check_reduce(cx, reduction, size_average, reduce))


@name("F.binary_cross_entropy_with_logits")
def bce_with_logits(cx: Context, input: ArrayValue, target: ArrayValue, weight: Any = None, size_average: Any = None,
                    reduce: Any = None, reduction: str = "mean", pos_weight: Any = None) -> Node:  # fmt: skip
    if weight is not None or pos_weight is not None:
        raise Declined("weights")
    _check_same_size(input, target)
    _check_same_type(cx, input, target)
    reduction = _check_reduce(cx, reduction, size_average, reduce)
    return cx.op("binary_cross_entropy_with_logits", input, target, reduction=reduction)


@name("F.kl_div")
def kl_div(cx: Context, input: ArrayValue, target: ArrayValue, size_average: Any = None, reduce: Any = None,
           reduction: str = "mean", log_target: bool = False) -> Node:  # fmt: skip
    reduction = _check_reduce(cx, reduction, size_average, reduce)
    _check_same_type(cx, input, target)
    if reduction == "mean":
        raise Declined("eager warns of what is divided by")
    if reduction == "batchmean":
        total = cx.op("kl_div", input, target, reduction="sum", log_target=log_target)
        return cx.op("div", total, input.meta.shape[0])
    return cx.op("kl_div", input, target, reduction=reduction, log_target=log_target)


@name("F.cosine_similarity torch.cosine_similarity")
def cosine_similarity(cx: Context, x1: ArrayValue, x2: ArrayValue, dim: int = 1, eps: float = 1e-8) -> Node:
    _check_same_type(cx, x1, x2)
    return cx.op("cosine_similarity", x1, x2, dim=dim, eps=eps)


# ------------------------------------------------------------------ order statistics


def _pair(cx: Context, name: str, op: str, input: ArrayValue, **attrs: Any) -> Results:
    return Results(getattr(torch.return_types, name), cx.results(op, input, **attrs))


@name("*sort")
def sort(
    cx: Context, input: ArrayValue, dim: int = -1, descending: bool = False, *, stable: bool | None = None
) -> Results:
    return _pair(cx, "sort", "sort", input, dim=dim, descending=descending, stable=bool(stable))


@name("*argsort")
def argsort(cx: Context, input: ArrayValue, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Node:
    return cx.op("argsort", input, dim=dim, descending=descending, stable=stable)


@name("*topk")
def topk(cx: Context, input: ArrayValue, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Results:
    return _pair(cx, "topk", "topk", input, k=k, dim=dim, largest=largest, sorted=sorted)


@name("*kthvalue")
def kthvalue(cx: Context, input: ArrayValue, k: int, dim: int = -1, keepdim: bool = False) -> Results:
    return _pair(cx, "kthvalue", "kthvalue", input, k=k, dim=dim, keepdim=keepdim)


@name("*median")
def median(cx: Context, input: ArrayValue, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return cx.op("median_all", input)
    return _pair(cx, "median", "median", input, dim=dim, keepdim=keepdim)


@name("*cummax")
def cummax(cx: Context, input: ArrayValue, dim: int) -> Results:
    return _pair(cx, "cummax", "cummax", input, dim=dim)


@name("*cummin")
def cummin(cx: Context, input: ArrayValue, dim: int) -> Results:
    return _pair(cx, "cummin", "cummin", input, dim=dim)


@name("*logcumsumexp")
def logcumsumexp(cx: Context, input: ArrayValue, dim: int) -> Node:
    return cx.op("logcumsumexp", input, dim=dim)
