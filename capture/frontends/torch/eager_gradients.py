"""Eager's own backward kernels, as rows of the op table name them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from .eager_ops import EAGER


def _each(value: Any, n: int) -> Sequence[int]:
    return [value] * n if isinstance(value, int) else list(value)


def _convolution_backward(
    g: Any, x: Any, weight: Any, *, of: str, stride: Any, padding: Any, dilation: Any, groups: int, transposed: bool, output_padding: Any
) -> torch.Tensor:  # fmt: skip
    n = weight.ndim - 2
    steps, borders, gaps, extra = (_each(v, n) for v in (stride, padding, dilation, output_padding))
    which = ("input", "weight").index(of)
    asked = [which == 0, which == 1, False]
    return torch.ops.aten.convolution_backward(
        g, x, weight, None, steps, borders, gaps, transposed, extra, groups, asked
    )[which]


def _attention_with_logsumexp(q: Any, k: Any, v: Any, mask: Any, *, is_causal: bool, scale: float | None) -> Any:
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, 0.0, is_causal, attn_mask=mask, scale=scale
    )


def _attention_backward(
    g: Any, q: Any, k: Any, v: Any, out: Any, logsumexp: Any, mask: Any, *, is_causal: bool, scale: float | None
) -> Any:
    return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward(
        g, q, k, v, out, logsumexp, 0.0, is_causal, attn_mask=mask, scale=scale
    )


def _pools(n: int) -> None:
    of_maxima = getattr(torch.ops.aten, f"max_pool{n}d_with_indices_backward")
    of_averages = getattr(torch.ops.aten, f"avg_pool{n}d_backward")

    def max_pool_backward(
        g: Any, x: Any, indices: Any, *, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
    ) -> torch.Tensor:
        kernel, border, gap = (_each(v, n) for v in (kernel_size, padding, dilation))
        steps = _each(stride, n) if stride else kernel
        return of_maxima(g, x, kernel, steps, border, gap, ceil_mode, indices)  # type: ignore[no-any-return]

    def avg_pool_backward(
        g: Any, x: Any, *, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool,
        divisor_override: int | None,
    ) -> torch.Tensor:  # fmt: skip
        kernel, border = _each(kernel_size, n), _each(padding, n)
        steps = _each(stride, n) if stride else kernel
        return of_averages(g, x, kernel, steps, border, ceil_mode, count_include_pad, divisor_override)  # type: ignore[no-any-return]

    EAGER[f"max_pool{n}d_backward"], EAGER[f"avg_pool{n}d_backward"] = max_pool_backward, avg_pool_backward


EAGER["convolution_backward"] = _convolution_backward
EAGER["attention_with_logsumexp"] = _attention_with_logsumexp
EAGER["attention_backward"] = _attention_backward
for _n in (2, 3):
    _pools(_n)
