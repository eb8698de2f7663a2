"""Sorting and searching: the framework's own kernels (extern rows with known shapes)."""

from __future__ import annotations

from ..dtypes import DType, bool_, int32, int64
from ..graph import TensorMeta
from .common import REQUIRED, new_meta, row, wrap_dim
from .dims import less
from .promotion import like_strides
from .reductions import reduced_shape


def _meta_sort(x: TensorMeta, *, dim: int, descending: bool, stable: bool) -> tuple[TensorMeta, TensorMeta]:
    wrap_dim(dim, x.ndim)
    stride = like_strides(x)
    return TensorMeta(x.shape, stride, x.dtype, x.device), TensorMeta(x.shape, stride, int64, x.device)


_SORT = {"dim": -1, "descending": False, "stable": False}
# results: values, indices
row("sort", "extern", _meta_sort, attrs=_SORT)
row("argsort", "extern", lambda x, **attrs: _meta_sort(x, **attrs)[1], attrs=_SORT)


def _meta_topk(x: TensorMeta, *, k: int, dim: int, largest: bool, sorted: bool) -> tuple[TensorMeta, TensorMeta]:
    d = wrap_dim(dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    if k < 0 or less(size, k):
        raise ValueError(f"topk: k={k} of a dimension of size {size}")
    shape = (*x.shape[:d], k, *x.shape[d + 1 :]) if x.ndim else ()
    return new_meta(shape, x.dtype, x.device), new_meta(shape, int64, x.device)


row("topk", "extern", _meta_topk, attrs={"k": REQUIRED, "dim": -1, "largest": True, "sorted": True})


def _meta_kth(x: TensorMeta, *, k: int, dim: int, keepdim: bool) -> tuple[TensorMeta, TensorMeta]:
    d = wrap_dim(dim, x.ndim)
    size = x.shape[d] if x.ndim else 1
    if k < 1 or less(size, k):
        raise ValueError(f"kthvalue: k={k} of a dimension of size {size}")
    shape = reduced_shape(x.shape, dim, keepdim)
    return new_meta(shape, x.dtype, x.device), new_meta(shape, int64, x.device)


row("kthvalue", "extern", _meta_kth, attrs={"k": REQUIRED, "dim": -1, "keepdim": False})


def _meta_median(x: TensorMeta, *, dim: int, keepdim: bool) -> tuple[TensorMeta, TensorMeta]:
    if x.dtype == bool_ or x.dtype.is_complex:
        raise TypeError(f"median is not defined for {x.dtype}")
    wrap_dim(dim, x.ndim)
    shape = reduced_shape(x.shape, dim, keepdim)
    return new_meta(shape, x.dtype, x.device), new_meta(shape, int64, x.device)


# results: values, indices; `median` without a dim is `median_all`
row("median", "extern", _meta_median, attrs={"dim": REQUIRED, "keepdim": False})
row("median_all", "extern", lambda x: new_meta((), x.dtype, x.device))


def _meta_running(x: TensorMeta, *, dim: int) -> tuple[TensorMeta, TensorMeta]:
    wrap_dim(dim, x.ndim)
    return new_meta(x.shape, x.dtype, x.device), new_meta(x.shape, int64, x.device)


# results: values, indices
row("cummax", "extern", _meta_running, attrs={"dim": REQUIRED})
row("cummin", "extern", _meta_running, attrs={"dim": REQUIRED})


def _meta_logcumsumexp(x: TensorMeta, *, dim: int) -> TensorMeta:
    wrap_dim(dim, x.ndim)
    return new_meta(x.shape, x.dtype, x.device)


row("logcumsumexp", "extern", _meta_logcumsumexp, attrs={"dim": REQUIRED})


def _meta_searchsorted(boundaries: TensorMeta, values: TensorMeta, *, right: bool, out_int32: bool) -> TensorMeta:
    if boundaries.ndim != 1 and boundaries.shape[:-1] != values.shape[:-1]:
        raise ValueError(
            f"searchsorted: boundaries {boundaries.shape} and values {values.shape} differ outside the last dim"
        )
    dtype: DType = int32 if out_int32 else int64
    return new_meta(values.shape, dtype, values.device)


row("searchsorted", "extern", _meta_searchsorted, attrs={"right": False, "out_int32": False})


def _meta_scatter_reduce(
    x: TensorMeta, index: TensorMeta, src: TensorMeta, *, dim: int, reduce: str, include_self: bool
) -> TensorMeta:
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise ValueError(f"scatter_reduce: unknown reduction {reduce!r}")
    if index.dtype != int64:
        raise TypeError(f"scatter_reduce needs an int64 index, not {index.dtype}")
    if x.dtype != src.dtype:
        raise TypeError(f"scatter_reduce: the source is {src.dtype}, the tensor {x.dtype}")
    wrap_dim(dim, x.ndim)
    return new_meta(x.shape, x.dtype, x.device)


row("scatter_reduce", "extern", _meta_scatter_reduce, raises=True,
    attrs={"dim": REQUIRED, "reduce": REQUIRED, "include_self": True})  # fmt: skip
