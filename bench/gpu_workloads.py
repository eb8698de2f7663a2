"""What `gpu.py` times: functions that memory limits, with their inputs, the bytes that must move, and where there is one the loop
nest for which quern's kernel generator is timed alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
import triton_zoo as zoo
from quern.inductor import dtypes

Arrays = tuple[torch.Tensor, ...]
BF16 = torch.bfloat16


@dataclass(frozen=True)
class Workload:
    """A function and its inputs.

    make:   device and scale (1 full, 0 tiny) -> inputs; loops: inputs -> a case of the zoo, its buffers in call order
    moved:  inputs and result -> bytes that must move; None: each input read once, each result written once
    writes: the first input is written in place: results are compared on copies
    """

    name: str
    function: Callable[..., Any]
    make: Callable[[str, int], Arrays]
    loops: Callable[[Arrays], zoo.Case] | None = None
    tolerance: float = 1e-5
    moved: Callable[[Arrays, Any], int] | None = None
    writes: bool = False


def total_bytes(values: Any) -> int:
    """Bytes of all tensors in a result or an argument tuple."""
    if isinstance(values, torch.Tensor):
        return values.numel() * values.element_size()
    return sum(map(total_bytes, values))


def _rows(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Callable[[str, int], Arrays]:
    def make(device: str, scale: int) -> Arrays:
        shape = (rows, columns) if scale else (6, 40)
        return (torch.randn(shape, device=device, dtype=torch.float32).to(dtype),)

    return make


def _norm_inputs(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Callable[[str, int], Arrays]:
    def make(device: str, scale: int) -> Arrays:
        m, n = (rows, columns) if scale else (6, 40)
        return tuple(torch.randn(s, device=device).to(dtype) for s in ((m, n), (n,), (n,)))

    return make


def _pair(n: int, dtype: torch.dtype) -> Callable[[str, int], Arrays]:
    def make(device: str, scale: int) -> Arrays:
        size = n if scale else 100
        return tuple(torch.randn(size, device=device, dtype=torch.float32).to(dtype) for _ in range(2))

    return make


def _logits(rows: int, classes: int) -> Callable[[str, int], Arrays]:
    def make(device: str, scale: int) -> Arrays:
        m, n = (rows, classes) if scale else (6, 40)
        return torch.randn(m, n, device=device).to(BF16), torch.randint(0, n, (m,), device=device)

    return make


def _cache_inputs(device: str, scale: int) -> Arrays:
    """A key/value cache of 134 MB, one new row a sequence, and where it goes."""
    batch, length, width = (16, 4096, 512) if scale else (2, 16, 8)
    cache = torch.randn(batch, length, width, device=device).float()
    return cache, torch.randn(batch, 1, width, device=device), torch.tensor([length // 2], device=device)


def _write_cache(cache: torch.Tensor, new: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
    return cache.index_copy_(1, at, new)


def _adam_inputs(device: str, scale: int) -> Arrays:
    n = (1 << 26) if scale else 100
    weight, gradient, mean = (torch.randn(n, device=device) for _ in range(3))
    return weight, gradient, mean, torch.rand(n, device=device)


def _adam(w: torch.Tensor, g: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """One step of Adam (Kingma and Ba, arXiv:1412.6980) without bias correction, in place."""
    m.lerp_(g, 0.1)
    v.mul_(0.999).addcmul_(g, g, value=0.001)
    return w.addcdiv_(m, v.sqrt() + 1e-8, value=-1e-3)


def _chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x * y + 0.5)


def _layer_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w, b)


def _rms_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * w + b


def _norm_weights(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The gradient of a norm's weight: a reduction over rows of a product."""
    return (x * (x - x.mean(-1, keepdim=True))).sum(0)


def _softmax(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x, -1)


def _gelu_bias(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.gelu(x * w + b)


#: most telling first: a run that is cut has lost the last rows only
WORKLOADS = (
    Workload("layer norm bf16 16384x4096", _layer_norm, _norm_inputs(16384, 4096, BF16), tolerance=3e-2),
    Workload("layer norm 16384x4096", _layer_norm, _norm_inputs(16384, 4096), lambda a: zoo.layer_norm(*a[0].shape), 1e-4),
    Workload("rms norm 32768x2048", _rms_norm, _norm_inputs(32768, 2048), tolerance=1e-4),
    Workload("softmax 16384x4096", _softmax, _rows(16384, 4096), lambda a: zoo.softmax(*a[0].shape)),
    Workload("softmax bf16 32768x1000", _softmax, _rows(32768, 1000, BF16), lambda a: zoo.softmax(*a[0].shape, dtypes.bfloat16), 2e-2),
    Workload("cross entropy bf16 8192x32000", lambda x, t: F.cross_entropy(x, t), _logits(8192, 32000), tolerance=2e-2),
    Workload("log-sum-exp bf16 8192x32000", lambda x, t: torch.logsumexp(x.float(), -1), _logits(8192, 32000), tolerance=2e-2),
    Workload("column sums 65536x2048", lambda x: x.sum(0), _rows(65536, 2048), lambda a: zoo.columns(*a[0].shape), 1e-3),
    Workload("norm weight's gradient 32768x2048", _norm_weights, _norm_inputs(32768, 2048), tolerance=1e-3),
    Workload("cache write 1 of 4096 rows", _write_cache, _cache_inputs, moved=lambda a, r: 2 * total_bytes(a[1]), writes=True),
    Workload("Adam step 2^26", _adam, _adam_inputs, tolerance=1e-4, moved=lambda a, r: 7 * total_bytes(a[0]), writes=True),
    Workload("pointwise bf16", _chain, _pair(1 << 28, BF16), lambda a: zoo.pointwise(a[0].numel(), dtypes.bfloat16), 2e-2),
    Workload("pointwise fp32", _chain, _pair(1 << 27, torch.float32), lambda a: zoo.pointwise(a[0].numel())),
    Workload("softmax 4096x50257", _softmax, _rows(4096, 50257), lambda a: zoo.softmax(*a[0].shape)),
    Workload("sum of all 2^28", lambda x: x.sum(), _rows(1 << 14, 1 << 14), tolerance=1e-2),
    Workload("gelu bias 16384x4096", _gelu_bias, _norm_inputs(16384, 4096)),
    Workload("x + x.t() 16384", lambda x: x + x.t(), lambda d, s: (torch.randn(*(2 * [16384 if s else 48]), device=d),)),
)  # fmt: skip
