"""`python -m bench cpu`: products, convolutions and attention on the CPU, as shares of its measured peak; memory-bound kernels as
shares of its measured bandwidth.

    python -m bench cpu [--threads N] [--seconds S] [--only WORD] [--compile] [--json FILE] [--plot FILE]

Eager, quern (generated, and as quern chooses by itself) and with `--compile` torch.compile take turns in one process, with the fused
multiply-adds that measure the peak among them; a ratio is the median over the rounds, with its quartiles. With one thread times are
the thread's own, so that a busy machine disturbs them less.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quern.kernels.cpu.build import build, load
from quern.kernels.cpu.toolchain import host_cpu
from rich.console import Console
from rich.table import Table

from . import cpu_kernels
from .measure import quartiles, samples
from .plot import bars

#: fused multiply-adds that wait for nothing but the multipliers: twelve sums in registers, 100 000 steps
_PEAK_STEPS, _PEAK_SUMS = 100_000, 12
_PEAK = f"""#include "contraction.h"
using namespace quern;
extern "C" __attribute__((visibility("default"))) void peak(float* out) {{
  typedef vec<f32, QUERN_VECTOR_BYTES / 4> V;
  V sum[{_PEAK_SUMS}];
  for (int i = 0; i < {_PEAK_SUMS}; ++i) sum[i] = splat<V>(out[i]);
  const V a = splat<V>(out[0]), b = splat<V>(out[1]);
  for (i64 t = 0; t < {_PEAK_STEPS}; ++t)
#pragma GCC unroll {_PEAK_SUMS}
    for (int i = 0; i < {_PEAK_SUMS}; ++i) sum[i] = vector_math::fma(a, b, sum[i]);
  for (int i = 0; i < {_PEAK_SUMS}; ++i) out[2] += sum[i][0];
}}
extern "C" __attribute__((visibility("default"))) void quern_set_runtime(const void*) {{}}
"""


@dataclass(frozen=True)
class Work:
    """flops: of one call"""

    name: str
    call: Callable[..., Any]
    inputs: tuple[Any, ...]
    flops: float


@dataclass(frozen=True)
class Row:
    """seconds: medians by system; against_eager: quartiles of eager's time over each system's; peak: flops a second"""

    name: str
    flops: float
    seconds: dict[str, float]
    against_eager: dict[str, tuple[float, float, float]]
    peak: float

    def share(self, system: str) -> float:
        return self.flops / self.seconds[system] / self.peak


def works() -> list[Work]:
    """Products (square, tall, wide, batched, odd, transposed, few rows), layers, convolutions, attention."""
    import torch
    import torch.nn.functional as F

    make = torch.Generator().manual_seed(0)

    def T(*shape: int) -> Any:
        return torch.randn(*shape, generator=make)

    def mm(m: int, k: int, n: int) -> Work:
        return Work(f"mm {m}x{k}x{n}", torch.mm, (T(m, k), T(k, n)), 2.0 * m * k * n)

    def linear(m: int, k: int, n: int) -> Work:
        return Work(f"linear {m}x{k}x{n}", F.linear, (T(m, k), T(n, k), T(n)), 2.0 * m * k * n)

    def layer(m: int, k: int, n: int) -> Work:
        return Work(
            f"gelu(linear) {m}x{k}x{n}",
            lambda x, w, b: F.gelu(F.linear(x, w, b)),
            (T(m, k), T(n, k), T(n)),
            2.0 * m * k * n,
        )

    def conv(name: str, c: int, o: int, size: int, window: int, stride: int = 1, groups: int = 1) -> Work:
        def call(x: Any, w: Any) -> Any:
            return F.relu(F.conv2d(x, w, stride=stride, padding=window // 2, groups=groups))

        places = (-(-size // stride)) ** 2
        return Work(
            f"conv {name}", call, (T(1, c, size, size), T(o, c // groups, window, window)),
            2.0 * o * c // groups * window**2 * places,
        )  # fmt: skip

    def by_hand(tokens: int) -> Work:
        def call(q: Any, k: Any, v: Any) -> Any:
            return torch.softmax(q @ k.mT * 0.125, -1) @ v

        return Work(
            f"softmax(q k) v of {tokens}", call, tuple(T(1, 12, tokens, 64) for _ in range(3)), 48.0 * tokens**2 * 64
        )

    def attention(tokens: int, queries: int, causal: bool = False) -> Work:
        def call(q: Any, k: Any, v: Any) -> Any:
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

        name = f"attention {queries} of {tokens}{' causal' if causal else ''}"
        flops = 4.0 * 12 * queries * tokens * 64 * (0.5 if causal else 1)
        return Work(name, call, (T(1, 12, queries, 64), T(1, 12, tokens, 64), T(1, 12, tokens, 64)), flops)

    return [
        mm(128, 128, 128), mm(512, 512, 512), mm(1024, 1024, 1024), mm(2000, 64, 2000), mm(64, 4096, 64), mm(1000, 333, 77),
        Work("mm of columns 500x300x700", torch.mm, (T(300, 500).t(), T(700, 300).t()), 2.0 * 500 * 300 * 700),
        Work("bmm 96x64x64x64", torch.bmm, (T(96, 64, 64), T(96, 64, 64)), 2.0 * 96 * 64**3),
        linear(128, 768, 768), linear(1, 4096, 4096), linear(4, 768, 3072), linear(8, 4096, 4096),
        layer(128, 768, 3072), layer(197, 384, 1536), layer(4, 4096, 4096),
        conv("resnet 64 3x3 56", 64, 64, 56, 3), conv("resnet 256 3x3 14", 256, 256, 14, 3),
        conv("resnet 3->64 7x7/2 224", 3, 64, 224, 7, stride=2), conv("mobilenet 1x1 96->24 56", 96, 24, 56, 1),
        conv("mobilenet depthwise 144 56", 144, 144, 56, 3, groups=144), conv("convnext depthwise 7x7 96 56", 96, 96, 56, 7, groups=96),
        attention(128, 128), attention(1024, 1024), attention(1024, 1024, causal=True), attention(4096, 1),
        by_hand(128), by_hand(1024),
    ]  # fmt: skip


def peak_call() -> tuple[Callable[[], None], float]:
    """A call that does nothing but fused multiply-adds on one thread, and how many flops they are."""
    run = load(build([_PEAK], label="bench peak")).peak
    memory = (ctypes.c_float * 16)()
    lanes = host_cpu().vector_bytes // 4
    return lambda: run(memory), 2.0 * lanes * _PEAK_SUMS * _PEAK_STEPS


def measure(work: Work, threads: int, seconds: float, with_compile: bool) -> Row:
    """One row. Raises AssertionError where a system's result is not eager's."""
    import torch

    import quern

    systems: dict[str, Callable[..., Any]] = {
        "eager": work.call,
        "generated": quern.compile(work.call, options={"contractions": "generated"}),
        "quern": quern.compile(work.call),
    }
    if with_compile:
        systems["torch.compile"] = torch.compile(work.call)
    wanted = work.call(*work.inputs)
    for f in systems.values():
        torch.testing.assert_close(f(*work.inputs), wanted, rtol=1e-3, atol=1e-3)
    peak, flops = peak_call()
    calls: dict[str, Callable[[], Any]] = {
        "peak": peak,
        **{n: (lambda f=f: f(*work.inputs)) for n, f in systems.items()},
    }
    clock = time.thread_time if threads == 1 else time.perf_counter
    taken = samples(calls, budget=seconds, lasting=2e-3, clock=clock)
    medians = {n: statistics.median(s) for n, s in taken.items()}
    ratios = {n: quartiles([e / s for e, s in zip(taken["eager"], taken[n])]) for n in systems}
    return Row(work.name, work.flops, medians, ratios, flops / min(taken["peak"]) * threads)


def table(rows: list[Row], threads: int) -> Table:
    made = Table(
        title=f"shares of the peak of fused multiply-adds, {threads} threads; x: times faster than eager (quartiles)"
    )
    systems = [n for n in rows[0].seconds if n not in ("peak", "eager")]
    for heading in ("work", "eager us", "eager GF/s", "share", *(h for n in systems for h in (f"{n} share", "x"))):
        made.add_column(heading, justify="left" if heading == "work" else "right")
    for r in rows:
        eager = r.seconds["eager"]
        cells = [r.name, f"{eager * 1e6:.0f}", f"{r.flops / eager * 1e-9:.0f}", f"{r.share('eager'):.0%}"]
        for n in systems:
            low, middle, high = r.against_eager[n]
            cells += [f"{r.share(n):.0%}", f"{middle:.2f} ({low:.2f}-{high:.2f})"]
        made.add_row(*cells)
    return made


def main(arguments: list[str]) -> None:
    import torch

    parser = argparse.ArgumentParser(prog="python -m bench cpu", description=__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=1.0, help="per row")
    parser.add_argument("--only", default="", help="rows whose name has this word")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path, help="an SVG file")
    asked = parser.parse_args(arguments)
    torch.set_num_threads(asked.threads)
    torch.set_grad_enabled(False)
    rows = [measure(w, asked.threads, asked.seconds, asked.compile) for w in works() if asked.only in w.name]
    console = Console(width=200)
    console.print(table(rows, asked.threads))
    memory = [] if asked.only else cpu_kernels.measure(asked.threads)
    for m in memory:
        console.print(f"{m.name:16s} {m.bytes / m.seconds / 1e9:6.1f} GB/s  {m.share:6.0%} of triad")
    if asked.plot:
        shares = [(r.name, {n: r.share(n) for n in r.seconds if n != "peak"}) for r in rows]
        bars(
            shares, f"{host_cpu().name}, {asked.threads} threads: share of the peak of fused multiply-adds", asked.plot
        )
    if asked.json:
        data = {
            "machine": {"cpu": host_cpu().name, "processor": platform.processor(), "threads": asked.threads},
            "versions": {"torch": torch.__version__, "python": platform.python_version()},
            "products": [vars(r) for r in rows],
            "memory": [{**vars(m), "share": m.share} for m in memory],
        }
        asked.json.write_text(json.dumps(data, indent=1) + "\n")
