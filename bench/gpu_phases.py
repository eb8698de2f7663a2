"""The phases of `gpu.py`, each run in a process of its own: an error that a CUDA context does not survive spoils one phase only.

A phase yields rows (dicts) as it finds them; whoever runs it writes each down before the next is begun.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import triton_zoo as zoo
from gpu_workloads import WORKLOADS, Arrays, Workload, total_bytes
from quern.inductor import dtypes
from quern.inductor.codegen.triton import generate
from quern.inductor.kernel import Kernel
from quern.inductor.reference import from_bfloat16_bits, run_kernel
from quern.kernels.gpu import Gpu, build, compile_for

import quern

Row = dict[str, Any]


@dataclass(frozen=True)
class Bench:
    """dry: on the CPU with tiny sizes, kernels under Triton's interpreter; deadline: by the monotonic clock."""

    dry: bool
    deadline: float
    only: tuple[str, ...] = ()

    @property
    def device(self) -> str:
        return "cpu" if self.dry else "cuda"

    @property
    def scale(self) -> int:
        return 0 if self.dry else 1

    def time_left(self) -> float:
        return self.deadline - time.monotonic()

    def synchronize(self) -> None:
        if not self.dry:
            torch.cuda.synchronize()

    def median_seconds(self, work: Callable[[], Any], budget: float = 0.4) -> float:
        """Median device time of one call, over as many calls as fit `budget` seconds (at least five)."""
        for _ in range(3):
            work()
        if self.dry:
            start = time.perf_counter()
            work()
            return time.perf_counter() - start
        torch.cuda.synchronize()
        pairs = []
        begin = time.monotonic()
        while len(pairs) < 5 or (time.monotonic() - begin < budget and len(pairs) < 200):
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            work()
            last.record()
            pairs.append((first, last))
            if len(pairs) % 5 == 0:
                torch.cuda.synchronize()
        torch.cuda.synchronize()
        return statistics.median(first.elapsed_time(last) for first, last in pairs) / 1e3


def compiled(bench: Bench, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function through quern's public interface; an error is an error here."""
    quern.config.on_error = "raise"
    return quern.compile(function, options={"cpu_codegen": "triton"} if bench.dry else None)


# ----------------------------------------------------------------------------- what the numbers depend on


def environment(bench: Bench) -> Iterator[Row]:
    """Versions, the GPU, and its copy bandwidth: one gigabyte read and one written by the framework."""
    import triton

    found = {
        "python": platform.python_version(), "torch": torch.__version__, "triton": triton.__version__,
        "numpy": np.__version__, "platform": platform.platform(),
        "commit": _output(["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]),
    }  # fmt: skip
    if not bench.dry:
        properties = torch.cuda.get_device_properties(0)
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.mem", "--format=csv,noheader"]
        found |= {
            "gpu": properties.name, "memory_gb": round(properties.total_memory / 1e9, 1),
            "capability": list(torch.cuda.get_device_capability(0)), "cuda": torch.version.cuda,
            "driver, memory clock": _output(query),
        }  # fmt: skip
    yield {"environment": found}
    yield {"copy_gb_per_s": round(_copy_speed(bench), 1)}


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _copy_speed(bench: Bench) -> float:
    source = torch.empty((1 << 28) if bench.scale else 1000, device=bench.device)
    target = torch.empty_like(source)
    return 2 * total_bytes(source) / bench.median_seconds(lambda: target.copy_(source)) / 1e9


# ----------------------------------------------------------------------------- right answers


def answers(bench: Bench) -> Iterator[Row]:
    """Every loop nest of the test suite, on the device, against the NumPy oracle."""
    for name in list(zoo.ZOO)[:6] if bench.dry else list(zoo.ZOO):
        yield {"loops": name, "wrong": check_case(bench, zoo.ZOO[name]())}


def memory_of(case: zoo.Case) -> dict[str, np.ndarray]:
    """A case's buffers as flat arrays, outputs zeroed."""
    flat = {}
    for b in case.kernel.args:
        size = (
            b.size
            if isinstance(b.size, int)
            else int(b.size.subs({s: case.symbols[s.name] for s in b.size.free_symbols}))
        )
        empty = np.zeros(size, np.uint16 if b.dtype == dtypes.bfloat16 else b.dtype.name)
        flat[b.name] = case.inputs.get(b.name, empty).copy()
    return flat


def launch_on(device: str, kernel: Kernel, tensors: dict[str, torch.Tensor], case: zoo.Case) -> Callable[[], None]:
    """The kernel bound to its tensors."""
    start = build(generate(kernel, case.options), device)
    args = [tensors[b.name].data_ptr() for b in kernel.args] + [case.symbols[s] for s in kernel.symbols]
    stream = torch.cuda.current_stream().cuda_stream if device != "cpu" else 0
    return lambda: start(*args, stream=stream)


def check_case(bench: Bench, case: zoo.Case) -> str:
    """Empty when the device agrees with the oracle, else what went wrong."""
    try:
        expected = memory_of(case)
        tensors = {
            n: torch.from_numpy(a.view(np.int16) if a.dtype == np.uint16 else a).to(bench.device, copy=True)
            for n, a in memory_of(case).items()
        }
        launch_on(bench.device, case.kernel, tensors, case)()
        if not bench.dry:
            torch.cuda.synchronize()
        run_kernel(case.kernel, expected, case.symbols)
        kinds = {b.name: b.dtype for b in case.kernel.args}
        for name in sorted(case.kernel.writes):
            ours, theirs = tensors[name].cpu().numpy().view(expected[name].dtype), expected[name]
            if kinds[name] == dtypes.bfloat16:
                ours, theirs = from_bfloat16_bits(ours), from_bfloat16_bits(theirs)
            tolerance = 10 * case.tolerance
            np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance, err_msg=name)
    except Exception:
        return traceback.format_exc(limit=-3)
    return ""


def programs(bench: Bench) -> Iterator[Row]:
    """What only a device shows, through the public interface: mixed devices, numbers beyond 32 bits, refused indices."""
    device = bench.device
    x, i = torch.randn(1000, device=device), torch.randint(0, 1000, (64,), device=device)
    host = torch.randn(1000)
    cases: dict[str, Callable[[], tuple[Callable[..., Any], Arrays]]] = {
        "CPU and GPU steps": lambda: (lambda a, b: (a * 2).cpu() + b.exp(), (x, host)),
        "from the CPU": lambda: (lambda a, b: a * (b * 2).to(a.device), (x, host)),
        "a scalar of the CPU": lambda: (lambda a, b: a * (b + 1), (x, torch.tensor(2.0))),
        "numbers beyond 32 bits": lambda: (lambda a: torch.arange(0, 5 * 10**9, 10**6, device=a.device)[:1000] + a.long(), (x,)),
        "gather and scatter": lambda: (lambda a, j: a[j].cumsum(0) + a.index_add(0, j, a[:64])[:64], (x, i)),
        "narrow integers added": lambda: (lambda a, j: torch.zeros_like(a, dtype=torch.int8).index_add(0, j, j.to(torch.int8)), (x, i)),
    }  # fmt: skip
    for name, make in cases.items():
        function, args = make()
        try:
            torch.testing.assert_close(compiled(bench, function)(*args), function(*args), rtol=1e-4, atol=1e-4)
            wrong = ""
        except Exception:
            wrong = traceback.format_exc(limit=-3)
        yield {"program": name, "wrong": wrong}


def refusals(bench: Bench) -> Iterator[Row]:
    """An index out of range is reported as eager reports it on the device (last of a phase of its own: it ends the context)."""
    table, index = torch.randn(10, 4, device=bench.device), torch.tensor([3, 99], device=bench.device)
    try:
        compiled(bench, lambda t, j: F.embedding(j, t) * 2)(table, index)
        bench.synchronize()
        wrong = "nothing was raised"
    except Exception as error:
        wrong = "" if "assert" in str(error) or isinstance(error, IndexError) else f"{type(error).__name__}: {error}"
    yield {"program": "an index out of range", "wrong": wrong}


# ----------------------------------------------------------------------------- workloads


def bandwidth(bench: Bench) -> Iterator[Row]:
    """Each workload by eager, torch.compile, quern, and quern's kernel generator alone; results against eager."""
    for work in WORKLOADS:
        if not bench.only or any(part in work.name for part in bench.only):
            yield from _workload(bench, work)
            if not bench.dry:
                torch._dynamo.reset()
                torch.cuda.empty_cache()


def _workload(bench: Bench, work: Workload) -> Iterator[Row]:
    torch.manual_seed(0)
    args = work.make(bench.device, bench.scale)
    fresh = [a.clone() for a in args] if work.writes else list(args)
    expected = work.function(*fresh)
    moved = work.moved(args, expected) if work.moved else total_bytes(args) + total_bytes(expected)
    ways: dict[str, Callable[[], Callable[..., Any]]] = {"eager": lambda: work.function}
    ways["quern"] = lambda: compiled(bench, work.function)
    if not bench.dry:
        ways["torch.compile"] = lambda: torch.compile(work.function)
    for label, make in ways.items():
        row: Row = {"workload": work.name, "system": label, "bytes": moved}
        try:
            own = tuple(a.clone() for a in args) if work.writes else args
            start = time.perf_counter()
            call = make()
            result = call(*own)
            bench.synchronize()
            row["first_call_s"] = round(time.perf_counter() - start, 3)
            row |= _timed(bench, work, lambda call=call, own=own: call(*own), result, expected, moved)  # type: ignore[misc]
        except Exception:
            row["failed"] = traceback.format_exc(limit=-3)
        yield row
    if work.loops is not None:
        yield _kernel_alone(bench, work, args, expected)


def _timed(bench: Bench, work: Workload, call: Callable[[], Any], result: Any, expected: Any, moved: int) -> Row:
    worst = (result.double() - expected.double()).abs().max().item()
    scale = max(1.0, expected.double().abs().max().item())
    wrong = "" if worst <= work.tolerance * scale else f"off by {worst}"
    seconds = bench.median_seconds(call)
    return {"ms": round(seconds * 1e3, 4), "gb_per_s": round(moved / seconds / 1e9, 1), "wrong": wrong}


def _kernel_alone(bench: Bench, work: Workload, args: Arrays, expected: torch.Tensor) -> Row:
    """The generator alone: a hand-made loop nest on the same data."""
    assert work.loops is not None
    row: Row = {"workload": work.name, "system": "kernel"}
    try:
        case = work.loops(args)
        kernel = case.kernel
        tensors: dict[str, torch.Tensor] = {}
        waiting = list(args)
        for b in kernel.args:
            if b.name in kernel.reads and waiting:
                tensors[b.name] = waiting.pop(0)
            else:
                tensors[b.name] = torch.empty(int(b.size), device=bench.device, dtype=getattr(torch, b.dtype.name))
        if not bench.dry:
            arch = torch.cuda.get_device_capability(0)
            info = compile_for(generate(kernel, case.options), Gpu(arch=arch[0] * 10 + arch[1]))
            row["compiled"] = {"registers": info.registers, "spills": info.spills, "shared": info.shared}
        moved = sum(int(b.size) * b.dtype.size for b in kernel.args)
        launch = launch_on(bench.device, kernel, tensors, case)
        output = tensors[next(b.name for b in kernel.args if b.name in kernel.writes)]
        launch()
        bench.synchronize()
        row |= {"bytes": moved, **_timed(bench, work, launch, output.view(expected.shape), expected, moved)}
    except Exception:
        row["failed"] = traceback.format_exc(limit=-3)
    return row


# ----------------------------------------------------------------------------- launching, starting


def _chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x * y + 0.5)


def launches(bench: Bench) -> Iterator[Row]:
    """Microseconds of host time per call of a tiny function: what a launch costs."""
    x, y = (torch.randn(256, device=bench.device) for _ in range(2))
    case = zoo.pointwise(256)
    out = torch.empty(256, device=bench.device)
    start = launch_on(bench.device, case.kernel, {"x": x, "y": y, "out": out}, case)
    ways: dict[str, Callable[[], Any]] = {"kernel": start, "eager": lambda: _chain(x, y)}
    ours = compiled(bench, _chain)
    ways["quern"] = lambda: ours(x, y)
    if not bench.dry:
        theirs = torch.compile(_chain)
        ways["torch.compile"] = lambda: theirs(x, y)
    for label, call in ways.items():
        yield {"launch": label, "us": _host_microseconds(bench, call)}


def _host_microseconds(bench: Bench, call: Callable[[], Any]) -> float:
    count = 3 if bench.dry else 200
    best = float("inf")
    for _ in range(2 if bench.dry else 20):
        bench.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - start) / count)
    return round(best * 1e6, 2)


def start(bench: Bench) -> Iterator[Row]:
    """Seconds to a first result in fresh processes: cache empty, then full."""
    with tempfile.TemporaryDirectory(prefix="quern-bench-cache-") as folder:
        for label in ("cold", "warm"):
            command = [sys.executable, str(Path(__file__).with_name("gpu.py")), "--phase", "first-result"]
            command += ["--dry"] if bench.dry else []
            environment = {**os.environ, "QUERN_CACHE_DIR": folder}
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=max(bench.time_left(), 1), env=environment
            )
            if done.returncode != 0:
                raise RuntimeError(done.stderr[-2000:])
            yield {"start": label, "s": float(done.stdout.strip().splitlines()[-1])}


def first_result(bench: Bench) -> float:
    """Seconds to the first result of a function of three kernels, framework and device already warm."""
    w, b = (torch.randn(64, device=bench.device) for _ in range(2))
    x = torch.randn(32, 64, device=bench.device)

    def block(x: torch.Tensor) -> torch.Tensor:
        y = F.gelu(F.layer_norm(x, x.shape[-1:], w, b) @ torch.ones(64, 64, device=x.device))
        return torch.softmax(x + y, -1)

    expected = block(x)
    begin = time.perf_counter()
    got = compiled(bench, block)(x)
    bench.synchronize()
    seconds = time.perf_counter() - begin
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    return round(seconds, 3)


#: by name (`gpu.LIMITS` has the order)
PHASES: dict[str, Callable[[Bench], Iterator[Row]]] = {
    f.__name__: f for f in (environment, answers, programs, refusals, start, launches, bandwidth)
}
