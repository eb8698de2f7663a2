"""Generated CPU kernels against the machine's limits: `report()` runs hand-made kernels and compares them with a measured triad.

    python -c "from bench.cpu_kernels import report; report(threads=2)"

Memory figures count each buffer once. Times are the best of several runs; on a busy machine take `threads=1`, which is
measured in processor time of the calling thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from quern.inductor import loops as L
from quern.inductor.canonical import canonical_form
from quern.inductor.codegen.cpp import generate
from quern.inductor.dtypes import float32
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import Expr, Var, as_index
from quern.kernels.cpu.build import build, load
from quern.kernels.cpu.library import call_by_hand
from quern.kernels.cpu.toolchain import host_cpu


@dataclass(frozen=True)
class Measurement:
    """One kernel: seconds, bytes touched (each buffer once), and the triad's bytes per second at the same thread count."""

    name: str
    seconds: float
    bytes: int
    triad: float

    @property
    def share(self) -> float:
        """Reached share of the triad's bandwidth."""
        return self.bytes / self.seconds / self.triad


def _op(name: str, *args: Expr) -> Expr:
    return L.expr(name, *args, dtype=float32)


def _const(value: float) -> Expr:
    return L.const(value, float32)


def _kernel(name: str, p: tuple[Var, ...], r: tuple[Var, ...], stores: tuple[Store, ...], **sizes: int) -> Kernel:
    return Kernel(name, p, r, stores, tuple(Buffer(b, float32, n) for b, n in sizes.items()))


def triad(n: int) -> Kernel:
    """out = x + 3 y"""
    p = Var("p0", n)
    i = as_index(p)
    value = _op("add", L.load("x", i, float32), _op("mul", _const(3.0), L.load("y", i, float32)))
    return _kernel("triad", (p,), (), (Store("out", i, value),), x=n, y=n, out=n)


def chain(n: int) -> Kernel:
    """tanh(gelu(sin x + cos y exp x) + y)"""
    p = Var("p0", n)
    i = as_index(p)
    x, y = L.load("x", i, float32), L.load("y", i, float32)
    t = _op("add", _op("sin", x), _op("mul", _op("cos", y), _op("exp", x)))
    gelu = _op("mul", _op("mul", _const(0.5), t), _op("add", _const(1.0), _op("erf", _op("mul", t, _const(0.5**0.5)))))
    return _kernel("chain", (p,), (), (Store("out", i, _op("tanh", _op("add", gelu, y))),), x=n, y=n, out=n)


def softmax(rows: int, columns: int, over: str = "row") -> Kernel:
    """Over the fast axis ("row") or the slow one ("column")."""
    along_row = over == "row"
    p, r = Var("p0", rows if along_row else columns), Var("r0", columns if along_row else rows, True)
    i = as_index(p) * columns + as_index(r) if along_row else as_index(r) * columns + as_index(p)
    x = L.load("x", i, float32)
    e = _op("exp", _op("sub", x, L.reduce("max", x)))
    n = rows * columns
    return _kernel(f"softmax_{over}", (p,), (r,), (Store("out", i, _op("div", e, L.reduce("sum", e))),), x=n, out=n)


def layer_norm(rows: int, columns: int) -> Kernel:
    """With weight and bias."""
    p, r = Var("p0", rows), Var("r0", columns, True)
    i = as_index(p) * columns + as_index(r)
    x, count = L.load("x", i, float32), _const(float(columns))
    centred = _op("sub", x, _op("div", L.reduce("sum", x), count))
    variance = _op("div", L.reduce("sum", _op("mul", centred, centred)), count)
    scaled = _op("mul", centred, _op("rsqrt", _op("add", variance, _const(1e-5))))
    w, b = L.load("w", as_index(r), float32), L.load("b", as_index(r), float32)
    out = Store("out", i, _op("add", _op("mul", scaled, w), b))
    return _kernel("layer_norm", (p,), (r,), (out,), x=rows * columns, w=columns, b=columns, out=rows * columns)


def total(rows: int, columns: int, over: str) -> Kernel:
    """Sums over "row", "column" or "all"."""
    n = rows * columns
    if over == "all":
        r = Var("r0", n, True)
        return _kernel(
            "sum_all",
            (),
            (r,),
            (Store("out", as_index(0), L.reduce("sum", L.load("x", as_index(r), float32))),),
            x=n,
            out=1,
        )
    p, r = (Var("p0", rows), Var("r0", columns, True)) if over == "row" else (Var("p0", columns), Var("r0", rows, True))
    i = as_index(p) * columns + as_index(r) if over == "row" else as_index(r) * columns + as_index(p)
    store = Store("out", as_index(p), L.reduce("sum", L.load("x", i, float32)))
    return _kernel(f"sum_{over}", (p,), (r,), (store,), x=n, out=rows if over == "row" else columns)


def transpose(rows: int, columns: int) -> Kernel:
    p, q = Var("p0", columns), Var("p1", rows)
    store = Store("out", as_index(p) * rows + as_index(q), L.load("x", as_index(q) * columns + as_index(p), float32))
    return _kernel("transpose", (p, q), (), (store,), x=rows * columns, out=rows * columns)


def _time(function: Callable[..., object], k: Kernel, threads: int, repeats: int) -> float:
    g = np.random.default_rng(0)
    arrays = [g.standard_normal(b.size).astype(np.float32) for b in k.args]
    pointers = [a.ctypes.data for a in arrays]
    clock = time.thread_time if threads == 1 else time.perf_counter
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        call_by_hand(function, pointers, threads=threads)
        best = min(best, clock() - start)
    return best


def measure(threads: int = 2, repeats: int = 30) -> list[Measurement]:
    """Time every kernel; the first row is the triad that the others are compared with."""
    million = 1 << 20
    kernels = [
        triad(8 * million), chain(4 * million), softmax(4096, 1024), softmax(4096, 1024, "column"), layer_norm(4096, 1024),
        total(4096, 4096, "row"), total(4096, 4096, "column"), total(4096, 4096, "all"), transpose(4096, 2048),
    ]  # fmt: skip
    loops = [canonical_form(k) for k in kernels]
    library = load(build(generate(loops, vector_bytes=host_cpu().vector_bytes).units, label="bench cpu kernels"))
    bandwidth, rows = 1.0, []
    for k in kernels:
        seconds = _time(getattr(library, k.name), k, threads, repeats)
        touched = sum(4 * b.size for b in k.args if isinstance(b.size, int))
        bandwidth = touched / seconds if k.name == "triad" else bandwidth
        rows.append(Measurement(k.name, seconds, touched, bandwidth))
    return rows


def compile_seconds(make: Callable[[], Kernel]) -> float:
    """Time to generate, compile and load one kernel that is not in the cache."""
    start = time.perf_counter()
    units = generate([canonical_form(make())], vector_bytes=host_cpu().vector_bytes).units
    load(build([f"{units[0]}// {time.time_ns()}\n"], label="bench compile"))
    return time.perf_counter() - start


def report(threads: int = 2) -> None:
    """Print the table."""
    for m in measure(threads):
        print(f"{m.name:16s} {m.seconds * 1e3:8.2f} ms  {m.bytes / m.seconds / 1e9:6.1f} GB/s  {m.share:6.0%} of triad")
    for name, make in (
        ("triad", lambda: triad(1000)),
        ("softmax", lambda: softmax(64, 1000)),
        ("chain", lambda: chain(1000)),
    ):
        print(f"compile {name}: {min(compile_seconds(make) for _ in range(5)):.3f} s")
