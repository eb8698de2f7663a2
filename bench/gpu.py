"""Measures quern on a machine with an NVIDIA GPU, in one run of under nine minutes.

    python bench/gpu.py [--json results.json] [--seconds 520] [--only NAME ...] [--dry]

Needs nothing but this checkout and an environment with PyTorch, Triton, NumPy, sympy, filelock and bytecode; quern need
not be installed, and what pip put into `.bench-packages` (`pip install --target .bench-packages bytecode`) is found. For
every workload it checks the result against eager, then times the device (CUDA events, medians) for eager,
torch.compile, quern through `quern.compile`, and quern's kernel generator alone; bandwidth is the bytes that must
move (each input read once, each output written once) over the time, beside a measured device copy. Tables come last;
`--json` (or $OUT/gpu.json) has everything.

`--dry` runs the same code on the CPU with tiny sizes, kernels under Triton's interpreter: for testing the script.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


def import_from_checkout() -> str:
    """Make `import quern` find this checkout, installed or not: its folders linked together as one package."""
    tree = Path(tempfile.mkdtemp(prefix="quern-tree-"))
    package = tree / "quern"
    package.mkdir()
    for item in (REPOSITORY / "quern").iterdir():
        (package / item.name).symlink_to(item)
    for room in ("capture", "inductor", "kernels", "cache"):
        (package / room).symlink_to(REPOSITORY / room)
    sys.path[:0] = [str(tree), str(REPOSITORY / "tests" / "kernels" / "gpu"), str(REPOSITORY / ".bench-packages")]
    return str(tree)


import_from_checkout()

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
import triton_zoo as zoo  # noqa: E402
from quern.inductor import dtypes  # noqa: E402
from quern.inductor.codegen.triton import generate  # noqa: E402
from quern.inductor.kernel import Kernel  # noqa: E402
from quern.inductor.reference import from_bfloat16_bits, run_kernel  # noqa: E402
from quern.kernels.gpu import Target, build, compile_for  # noqa: E402

Arrays = tuple[torch.Tensor, ...]


# ----------------------------------------------------------------------------- workloads


@dataclass(frozen=True)
class Workload:
    """A function, its inputs, and where there is one, the loop nest for which quern's generator is timed alone.

    make: device and scale (1 full, 0 tiny) -> inputs; loops: inputs -> a case of the zoo, its buffers in call order
    """

    name: str
    function: Callable[..., Any]
    make: Callable[[str, int], Arrays]
    loops: Callable[[Arrays], zoo.Case] | None = None
    tolerance: float = 1e-5


def _rows(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> Callable[[str, int], Arrays]:
    def make(device: str, scale: int) -> Arrays:
        shape = (rows, columns) if scale else (6, 40)
        return (torch.randn(shape, device=device, dtype=torch.float32).to(dtype),)

    return make


def _norm_inputs(rows: int, columns: int) -> Callable[[str, int], Arrays]:
    def make(device: str, scale: int) -> Arrays:
        m, n = (rows, columns) if scale else (6, 40)
        return (torch.randn(m, n, device=device), torch.randn(n, device=device), torch.randn(n, device=device))

    return make


def _pair(n: int, dtype: torch.dtype) -> Callable[[str, int], Arrays]:
    def make(device: str, scale: int) -> Arrays:
        size = n if scale else 100
        return tuple(torch.randn(size, device=device, dtype=torch.float32).to(dtype) for _ in range(2))

    return make


def _chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return torch.tanh(x * y + 0.5)


def _layer_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], w, b)


def _rms_norm(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * w + b


def _cross_entropy(x: torch.Tensor) -> torch.Tensor:
    return torch.logsumexp(x.float(), -1) - x[:, 0].float()


def _gelu_bias(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return F.gelu(x * w + b)


def _flip_add(x: torch.Tensor) -> torch.Tensor:
    return x + x.t()


BF16 = torch.bfloat16
WORKLOADS = [
    Workload("pointwise fp32", _chain, _pair(1 << 27, torch.float32), lambda a: zoo.pointwise(a[0].numel())),
    Workload(
        "pointwise bf16", _chain, _pair(1 << 28, BF16), lambda a: zoo.pointwise(a[0].numel(), dtypes.bfloat16), 2e-2
    ),
    Workload(
        "softmax 16384x4096",
        lambda x: torch.softmax(x, -1),
        _rows(16384, 4096),
        lambda a: zoo.softmax(*a[0].shape),
    ),
    Workload(
        "softmax bf16 32768x1000",
        lambda x: torch.softmax(x, -1),
        _rows(32768, 1000, BF16),
        lambda a: zoo.softmax(*a[0].shape, dtypes.bfloat16),
        2e-2,
    ),
    Workload(
        "softmax 4096x50257", lambda x: torch.softmax(x, -1), _rows(4096, 50257), lambda a: zoo.softmax(*a[0].shape)
    ),
    Workload(
        "layer norm 16384x4096", _layer_norm, _norm_inputs(16384, 4096), lambda a: zoo.layer_norm(*a[0].shape), 1e-4
    ),
    Workload("rms norm 32768x2048", _rms_norm, _norm_inputs(32768, 2048), tolerance=1e-4),
    Workload("cross entropy bf16 8192x32000", _cross_entropy, _rows(8192, 32000, BF16), tolerance=2e-2),
    Workload(
        "column sums 65536x2048", lambda x: x.sum(0), _rows(65536, 2048), lambda a: zoo.columns(*a[0].shape), 1e-3
    ),
    Workload("sum of all 2^28", lambda x: x.sum(), _rows(1 << 14, 1 << 14), tolerance=1e-2),
    Workload("gelu bias 16384x4096", _gelu_bias, _norm_inputs(16384, 4096)),
    Workload("x + x.t() 16384", _flip_add, lambda d, s: (torch.randn(*(2 * [16384 if s else 48]), device=d),)),
]


# ----------------------------------------------------------------------------- measuring


@dataclass
class Report:
    """Everything that was found out; goes to JSON as it is."""

    environment: dict[str, Any] = field(default_factory=dict)
    copy_gb_per_s: float = 0.0
    correctness: dict[str, Any] = field(default_factory=dict)
    workloads: list[dict[str, Any]] = field(default_factory=list)
    launch_us: dict[str, float] = field(default_factory=dict)
    start: dict[str, Any] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Bench:
    """One run: the device, the time that is left, and the report."""

    def __init__(self, dry: bool, seconds: float) -> None:
        self.dry = dry
        self.device = "cpu" if dry else "cuda"
        self.scale = 0 if dry else 1
        self.deadline = time.monotonic() + seconds
        self.report = Report()

    def time_left(self) -> float:
        return self.deadline - time.monotonic()

    def skip(self, what: str, why: str) -> None:
        self.report.skipped.append(f"{what}: {why}")
        print(f"   skipped {what}: {why.splitlines()[0] if why else ''}", flush=True)

    def attempt(self, what: str, work: Callable[[], Any]) -> Any:
        """The work's result; None, noted in the report, where it fails or no time is left."""
        if self.time_left() < 15:
            return self.skip(what, "no time left")
        try:
            return work()
        except Exception:
            return self.skip(
                what, traceback.format_exc(limit=-4).strip().rsplit("\n", 1)[-1] + "\n" + traceback.format_exc()
            )

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


def total_bytes(values: Any) -> int:
    """Bytes of all tensors in a result or an argument tuple."""
    if isinstance(values, torch.Tensor):
        return values.numel() * values.element_size()
    return sum(map(total_bytes, values))


def measure_copy(bench: Bench) -> float:
    """GB/s of the framework's device copy, one gigabyte read and one written."""
    source = torch.empty((1 << 28) if bench.scale else 1000, device=bench.device)
    target = torch.empty_like(source)
    return 2 * total_bytes(source) / bench.median_seconds(lambda: target.copy_(source)) / 1e9


def environment(bench: Bench) -> dict[str, Any]:
    """What the numbers depend on."""
    import triton

    found = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "triton": triton.__version__,
        "numpy": np.__version__,
        "platform": platform.platform(),
        "commit": _output(["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"]),
    }
    if not bench.dry:
        properties = torch.cuda.get_device_properties(0)
        query = ["nvidia-smi", "--query-gpu=driver_version,clocks.max.mem", "--format=csv,noheader"]
        found |= {
            "gpu": properties.name,
            "memory_gb": round(properties.total_memory / 1e9, 1),
            "capability": list(torch.cuda.get_device_capability(0)),
            "cuda": torch.version.cuda,
            "driver, memory clock": _output(query),
        }
    return found


def _output(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


# ----------------------------------------------------------------------------- correctness of the generator


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


def check_zoo(bench: Bench) -> None:
    """Every loop nest of the test suite, on the device, against the NumPy oracle."""
    names = list(zoo.ZOO)[:6] if bench.dry else list(zoo.ZOO)
    wrong: dict[str, str] = {}
    for name in names:
        if bench.time_left() < 60:
            bench.skip(f"zoo from {name}", "no time left")
            break
        error = check_case(bench, zoo.ZOO[name]())
        if error:
            wrong[name] = error
            print(f"   WRONG {name}: {error.splitlines()[0]}", flush=True)
    bench.report.correctness["zoo"] = {"cases": len(names), "wrong": wrong}


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


# ----------------------------------------------------------------------------- workloads


def run_workload(bench: Bench, work: Workload) -> None:
    """Time one workload in every way, checking each result against eager."""
    print(f"-- {work.name}", flush=True)
    torch.manual_seed(0)
    args = work.make(bench.device, bench.scale)
    expected = work.function(*args)
    moved = total_bytes(args) + total_bytes(expected)
    row: dict[str, Any] = {"name": work.name, "bytes": moved, "ms": {}, "gb_per_s": {}, "first_call_s": {}, "wrong": {}}
    bench.report.workloads.append(row)

    def timed(label: str, call: Callable[[], Any], bytes_moved: int = moved) -> None:
        start = time.perf_counter()
        result = call()
        if not bench.dry:
            torch.cuda.synchronize()
        row["first_call_s"][label] = round(time.perf_counter() - start, 3)
        if isinstance(result, torch.Tensor):
            worst = (result.double() - expected.double()).abs().max().item()
            scale = max(1.0, expected.double().abs().max().item())
            if not worst <= work.tolerance * scale:
                row["wrong"][label] = worst
        seconds = bench.median_seconds(call)
        row["ms"][label] = round(seconds * 1e3, 4)
        row["gb_per_s"][label] = round(bytes_moved / seconds / 1e9, 1)
        print(f"   {label:14} {row['ms'][label]:9.4f} ms  {row['gb_per_s'][label]:8.1f} GB/s", flush=True)

    bench.attempt(f"{work.name} (eager)", lambda: timed("eager", lambda: work.function(*args)))
    bench.attempt(f"{work.name} (quern)", lambda: timed("quern", _bound(quern_compiled(bench, work.function), args)))
    if work.loops is not None:
        bench.attempt(f"{work.name} (kernel)", lambda: time_kernel(bench, work, args, timed, row, expected.shape))
    if not bench.dry and bench.time_left() > 90:
        torch._dynamo.reset()
        bench.attempt(
            f"{work.name} (torch.compile)", lambda: timed("torch.compile", _bound(torch.compile(work.function), args))
        )


def _bound(function: Callable[..., Any], args: Arrays) -> Callable[[], Any]:
    return lambda: function(*args)


def quern_compiled(bench: Bench, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function through quern's public interface; an error is an error here."""
    import quern

    quern.config.on_error = "raise"
    return quern.compile(function, options={"cpu_codegen": "triton"} if bench.dry else None)


def time_kernel(
    bench: Bench,
    work: Workload,
    args: Arrays,
    timed: Callable[..., None],
    row: dict[str, Any],
    expected_shape: torch.Size,
) -> None:
    """The generator alone: a hand-made loop nest on the same data."""
    assert work.loops is not None
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
        info = compile_for(generate(kernel, case.options), Target(arch=arch[0] * 10 + arch[1]))
        row["compiled"] = {"registers": info.registers, "spills": info.spills, "shared": info.shared}
    moved = sum(int(b.size) * b.dtype.size for b in kernel.args)
    launch = launch_on(bench.device, kernel, tensors, case)
    first_output = tensors[next(b.name for b in kernel.args if b.name in kernel.writes)]

    def call() -> torch.Tensor:
        launch()
        return first_output.view(expected_shape)

    timed("kernel", call, moved)


# ----------------------------------------------------------------------------- launching, starting


def measure_launches(bench: Bench) -> None:
    """Microseconds of host time per call of a tiny function: what a launch costs."""
    x, y = (torch.randn(256, device=bench.device) for _ in range(2))
    case = zoo.pointwise(256)
    out = torch.empty(256, device=bench.device)
    start = launch_on(bench.device, case.kernel, {"x": x, "y": y, "out": out}, case)
    ways: dict[str, Callable[[], Any]] = {"kernel": start, "eager": _bound(_chain, (x, y))}
    compiled = bench.attempt("launch (quern)", lambda: quern_compiled(bench, _chain))
    if compiled is not None:
        ways["quern"] = _bound(compiled, (x, y))
    if not bench.dry:
        ways["torch.compile"] = _bound(torch.compile(_chain), (x, y))
    for label, call in ways.items():
        found = bench.attempt(f"launch ({label})", lambda call=call: _host_microseconds(bench, call))
        if found is not None:
            bench.report.launch_us[label] = found


def _host_microseconds(bench: Bench, call: Callable[[], Any]) -> float:
    count = 3 if bench.dry else 200
    best = float("inf")
    for _ in range(2 if bench.dry else 20):
        if not bench.dry:
            torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(count):
            call()
        best = min(best, (time.perf_counter() - start) / count)
    return round(best * 1e6, 2)


def measure_start(bench: Bench) -> None:
    """Seconds from `import quern` to the first result, in fresh processes: cache empty, then full."""
    with tempfile.TemporaryDirectory(prefix="quern-bench-cache-") as folder:
        for label in ("cold", "warm"):
            command = [sys.executable, str(Path(__file__).resolve()), "--child", *(["--dry"] if bench.dry else [])]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=120, env={**os.environ, "QUERN_CACHE_DIR": folder}
            )
            if done.returncode != 0:
                raise RuntimeError(done.stderr[-2000:])
            bench.report.start[label] = json.loads(done.stdout.strip().splitlines()[-1])


def child(dry: bool) -> None:
    """In a fresh process: first result of a three-kernel function, framework and device already warm."""
    device = "cpu" if dry else "cuda"
    w, b = (torch.randn(64, device=device) for _ in range(2))
    x = torch.randn(32, 64, device=device)

    def block(x: torch.Tensor) -> torch.Tensor:
        y = F.gelu(_layer_norm(x, w, b) @ torch.ones(64, 64, device=device))
        return torch.softmax(x + y, -1)

    expected = block(x)
    start = time.perf_counter()
    compiled = quern_compiled(Bench(dry, 60), block)
    got = compiled(x)
    if not dry:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    print(json.dumps({"first_call_s": round(seconds, 3), "triton_imported": "triton.compiler" in sys.modules}))


# ----------------------------------------------------------------------------- report


def print_tables(report: Report) -> None:
    """The summary, last of all output."""
    print("\n== environment")
    for name, value in report.environment.items():
        print(f"   {name}: {value}")
    print(f"   device copy: {report.copy_gb_per_s:.0f} GB/s")
    zoo_result = report.correctness.get("zoo", {})
    print(f"\n== correctness: {zoo_result.get('cases', 0)} loop nests, wrong: {sorted(zoo_result.get('wrong', {}))}")
    labels = ("eager", "torch.compile", "quern", "kernel")
    print("\n== GB/s (share of the device copy); quern: quern.compile, kernel: its generator on hand-made loops")
    print(f"   {'':32}" + "".join(f"{label:>22}" for label in labels))
    for row in report.workloads:
        cells = []
        for label in labels:
            speed = row["gb_per_s"].get(label)
            mark = " WRONG" if label in row["wrong"] else ""
            share = 0.0 if speed is None else speed / max(report.copy_gb_per_s, 1e-9)
            cells.append("-" if speed is None else f"{speed:9.0f} ({share:6.1%}){mark}")
        print(f"   {row['name']:32}" + "".join(f"{c:>22}" for c in cells))
    print("\n== first call, seconds")
    for row in report.workloads:
        print(f"   {row['name']:32}" + "".join(f"  {k} {v:.2f}" for k, v in row["first_call_s"].items()))
    print("\n== host time per call, microseconds: " + ", ".join(f"{k} {v}" for k, v in report.launch_us.items()))
    print(f"== first result in a fresh process: {report.start}")
    if report.skipped:
        print("== skipped:\n   " + "\n   ".join(s.splitlines()[0] for s in report.skipped))
    print(f"== took {report.seconds:.0f} s")


def main(argv: list[str] | None = None) -> Report:
    """Run everything; returns the report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument(
        "--json", type=Path, default=Path(os.environ["OUT"]) / "gpu.json" if "OUT" in os.environ else None
    )
    parser.add_argument("--seconds", type=float, default=520.0)
    parser.add_argument("--only", nargs="*", help="workloads by (part of) name")
    parser.add_argument("--dry", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.child:
        child(options.dry)
        return Report()
    begin = time.monotonic()
    bench = Bench(options.dry, options.seconds)
    report = bench.report
    report.environment = environment(bench)
    report.copy_gb_per_s = measure_copy(bench)
    print(f"device copy: {report.copy_gb_per_s:.0f} GB/s", flush=True)
    bench.attempt("correctness", lambda: check_zoo(bench))
    bench.attempt("launches", lambda: measure_launches(bench))
    bench.attempt("start", lambda: measure_start(bench))
    for work in WORKLOADS:
        if not options.only or any(part in work.name for part in options.only):
            bench.attempt(work.name, lambda work=work: run_workload(bench, work))
            if not bench.dry:
                torch.cuda.empty_cache()
    report.seconds = time.monotonic() - begin
    print_tables(report)
    if options.json is not None:
        options.json.write_text(json.dumps(asdict(report), indent=1))
    return report


if __name__ == "__main__":
    main()
