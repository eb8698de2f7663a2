"""Random numbers: the framework's own generators, called in the program's order, so that seeds mean what they
mean in eager. Their rows say `effects`: they may neither be merged, nor dropped, nor moved past each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import dtypes
from ..dtypes import DType
from ..graph import Dim, GraphBuilder, Node, TensorMeta
from .common import REQUIRED, args, new_meta, row
from .facts import ALL_ERRORS, LAYOUT, VALUE, Operand
from .promotion import DEFAULT_FLOAT, like_strides, pointwise_meta


def _random(
    name: str,
    meta: Callable[..., TensorMeta],
    raises: bool = False,
    operands: tuple[Operand, ...] = (VALUE,),
    **attrs: Any,
) -> None:
    row(name, "extern", meta, attrs=attrs, effects=True, raises=raises, operands=operands)


def _meta_new(*, shape: Sequence[Dim], dtype: DType | None, device: str) -> TensorMeta:
    return new_meta(shape, dtype or DEFAULT_FLOAT, device)


_NEW = {"shape": REQUIRED, "dtype": None, "device": "cpu"}
_random("rand", _meta_new, **_NEW)
_random("randn", _meta_new, **_NEW)


def _meta_randint(*, low: int, high: int, shape: Sequence[Dim], dtype: DType | None, device: str) -> TensorMeta:
    if low >= high:
        raise ValueError(f"randint: no integer lies in [{low}, {high})")
    return new_meta(shape, dtype or dtypes.int64, device)


_random("randint", _meta_randint, low=0, high=REQUIRED, **_NEW)
_random(
    "randperm",
    lambda *, n, dtype, device: new_meta((n,), dtype or dtypes.int64, device),
    n=REQUIRED,
    dtype=None,
    device="cpu",
)


def _meta_like(x: TensorMeta, *, dtype: DType | None) -> TensorMeta:
    return TensorMeta(x.shape, like_strides(x), dtype or x.dtype, x.device)


_random("rand_like", _meta_like, operands=(LAYOUT,), dtype=None)
_random("randn_like", _meta_like, operands=(LAYOUT,), dtype=None)
_random("bernoulli", lambda x: new_meta(x.shape, x.dtype, x.device), raises=True)


def _meta_dropout(x: TensorMeta, *, p: float) -> TensorMeta:
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: probability {p} is not in [0, 1]")
    return pointwise_meta(x, dtype=x.dtype)


def _meta_noise(*, shape: Sequence[Dim], stride: Sequence[Dim], dtype: DType, device: str, p: float) -> TensorMeta:
    return TensorMeta(tuple(shape), tuple(stride), dtype, device)


# what dropout multiplies by: 1 / (1 - p) for elements that stay, else 0
_random("dropout_noise", _meta_noise, operands=(LAYOUT,), shape=REQUIRED, stride=REQUIRED, dtype=REQUIRED, device=REQUIRED,
        p=REQUIRED)  # fmt: skip


def _decompose_dropout(b: GraphBuilder, node: Node) -> Node:
    m = node.meta
    noise = b.dropout_noise(shape=m.shape, stride=m.stride, dtype=m.dtype, device=m.device, p=node.attrs["p"])
    return b.mul(args(node)[0], noise)


# training only: in evaluation front ends record nothing
row("dropout", "composite", _meta_dropout, attrs={"p": 0.5}, decompose=_decompose_dropout, effects=True, errors=ALL_ERRORS,
    gradient="decomposition")  # fmt: skip


def _meta_multinomial(x: TensorMeta, *, num_samples: int, replacement: bool) -> TensorMeta:
    if x.ndim not in (1, 2):
        raise ValueError(f"multinomial needs 1 or 2 dimensions, got shape {x.shape}")
    return new_meta((*x.shape[:-1], num_samples), dtypes.int64, x.device)


_random("multinomial", _meta_multinomial, raises=True, num_samples=REQUIRED, replacement=False)
