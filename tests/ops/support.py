"""What the op tests share: eager's functions, attribute translation, and comparison."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from quern.capture.frontends.torch.dtypes import to_torch
from quern.capture.frontends.torch.eager_ops import EAGER
from quern.capture.frontends.torch.runtime import tensor_meta
from quern.inductor import dtypes
from quern.inductor.graph import TensorMeta

from .samples import Sample, T, make

#: eager's functions for rows that the torch front end does not run, or not for every sample
EXTRA: dict[str, Callable[..., Any]] = {
    "round": lambda x, *, decimals: torch.round(x, decimals=decimals) if decimals else torch.round(x),
    "prod": lambda x, *, dim, keepdim, dtype: _prod(x, dim, keepdim, None if dtype is None else to_torch(dtype)),
    "diag_embed": torch.diag_embed,
    "trace": torch.trace,
}


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
