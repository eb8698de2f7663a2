"""What the op tests share: eager's functions, attribute translation, and comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from quern.capture.frontends.torch.dtypes import to_torch
from quern.capture.frontends.torch.eager_ops import EAGER
from quern.capture.frontends.torch.runtime import tensor_meta
from quern.inductor import dtypes
from quern.inductor.graph import TensorMeta

from .samples import Sample, T, make


def _along(function: Callable[..., Any]) -> Callable[..., Any]:
    """torch takes `dim` as the second positional argument."""
    return lambda x, *rest, dim, **attrs: function(x, dim, *rest, **attrs)


def _without_divisor(function: Callable[..., Any]) -> Callable[..., Any]:
    """avg_pool1d has no divisor_override."""
    return lambda x, *, divisor_override, **attrs: function(
        x, **attrs, **({} if divisor_override is None else {"divisor_override": divisor_override})
    )


#: eager's functions for rows that the torch front end does not run itself
EXTRA: dict[str, Callable[..., Any]] = {
    "round": lambda x, *, decimals: torch.round(x, decimals=decimals) if decimals else torch.round(x),
    "prod": lambda x, *, dim, keepdim, dtype: _prod(x, dim, keepdim, None if dtype is None else to_torch(dtype)),
    "isclose": torch.isclose,
    "nan_to_num": torch.nan_to_num,
    "xlog1py": torch.special.xlog1py,
    "cosine_similarity": F.cosine_similarity,
    "cross": torch.linalg.cross,
    "upsample_nearest": lambda x, *, size, scales: _upsample("nearest", x, size, scales, None),
    "upsample_linear": lambda x, *, size, scales, align_corners: _upsample(
        ("linear", "bilinear", "trilinear")[len(size) - 1], x, size, scales, align_corners
    ),
    "sort": lambda x, *, dim, descending, stable: torch.sort(x, dim=dim, descending=descending, stable=stable),
    "argsort": lambda x, *, dim, descending, stable: torch.argsort(x, dim=dim, descending=descending, stable=stable),
    "topk": torch.topk,
    "kthvalue": torch.kthvalue,
    "median": torch.median,
    "median_all": torch.median,
    "logcumsumexp": torch.logcumsumexp,
    "searchsorted": torch.searchsorted,
    "rand": lambda *, shape, dtype, device: torch.rand(shape, dtype=_dtype(dtype)),
    "randn": lambda *, shape, dtype, device: torch.randn(shape, dtype=_dtype(dtype)),
    "randint": lambda *, low, high, shape, dtype, device: torch.randint(low, high, shape, dtype=_dtype(dtype)),
    "randperm": lambda *, n, dtype, device: torch.randperm(n, dtype=_dtype(dtype)),
    "rand_like": lambda x, *, dtype: torch.rand_like(x, dtype=_dtype(dtype)),
    "randn_like": lambda x, *, dtype: torch.randn_like(x, dtype=_dtype(dtype)),
    "bernoulli": torch.bernoulli,
    "dropout": lambda x, *, p: F.dropout(x, p, training=True),
    "multinomial": torch.multinomial,
}
for _name in (
    "gather",
    "index_select",
    "scatter",
    "scatter_add",
    "index_add",
    "index_copy",
    "index_fill",
    "scatter_reduce",
):
    EXTRA[_name] = _along(getattr(torch, _name))
EXTRA["diag_embed"] = torch.diag_embed
EXTRA["trace"] = torch.trace
EXTRA["fix"] = torch.fix
EXTRA["cbrt"] = lambda x: x ** (1 / 3)
for _n in (1, 2, 3):
    EXTRA[f"max_pool{_n}d"] = getattr(F, f"max_pool{_n}d")
    EXTRA[f"avg_pool{_n}d"] = _without_divisor(getattr(F, f"avg_pool{_n}d"))
    EXTRA[f"max_pool{_n}d_with_indices"] = getattr(F, f"max_pool{_n}d_with_indices")
    EXTRA[f"adaptive_avg_pool{_n}d"] = getattr(F, f"adaptive_avg_pool{_n}d")
    EXTRA[f"adaptive_max_pool{_n}d"] = getattr(F, f"adaptive_max_pool{_n}d_with_indices")


def _upsample(mode: str, x: torch.Tensor, size: Any, scales: Any, align_corners: bool | None) -> torch.Tensor:
    if scales is None:
        return F.interpolate(x, size=size, mode=mode, align_corners=align_corners)
    return F.interpolate(x, scale_factor=scales, mode=mode, align_corners=align_corners)


def _dtype(dtype: Any) -> torch.dtype | None:
    return None if dtype is None else to_torch(dtype)


def _prod(x: torch.Tensor, dim: Any, keepdim: bool, dtype: torch.dtype | None) -> torch.Tensor:
    """torch.prod takes one dim at a time."""
    dims = range(x.ndim) if dim is None else [dim] if isinstance(dim, int) else dim
    if not x.ndim or not list(dims):
        return torch.prod(x, dtype=dtype)
    for d in sorted((d % x.ndim for d in dims), reverse=True):
        x = torch.prod(x, d, keepdim=keepdim, dtype=dtype)
    return x


def eager(op: str) -> Callable[..., Any]:
    return EXTRA[op] if op in EXTRA else EAGER[op]


def attributes(sample: Sample) -> dict[str, Any]:
    """The sample's attributes, dtype names as DTypes."""
    return {k: dtypes.get(v) if k == "dtype" and isinstance(v, str) else v for k, v in sample.attrs.items()}


def operands(sample: Sample) -> list[Any]:
    return [make(o, f"{sample.op}{k}") if isinstance(o, T) else o for k, o in enumerate(sample.operands)]


def metas(values: list[Any], scalar_meta: Callable[..., TensorMeta]) -> list[TensorMeta | None]:
    out = []
    for v in values:
        if v is None:
            out.append(None)
        else:
            out.append(tensor_meta(v) if isinstance(v, torch.Tensor) else scalar_meta(value=v, dtype=None))
    return out


def as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


TOLERANCE = {
    torch.float64: (1e-9, 1e-10),
    torch.float32: (2e-5, 2e-6),
    torch.float16: (4e-3, 2e-3),
    torch.bfloat16: (3e-2, 1e-2),
}

__all__ = ["EXTRA", "F", "TOLERANCE", "as_tuple", "attributes", "eager", "metas", "operands"]
