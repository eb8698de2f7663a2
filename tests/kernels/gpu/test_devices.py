"""Graphs on several devices: every kernel runs where its memory lies, in that device's context, on its stream."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_runtime import FakeRuntime, device_at, history
from quern.inductor import dtypes
from quern.inductor.compile import compile_graph
from quern.inductor.graph import GraphBuilder, Node, TensorMeta
from quern.inductor.ops import OPS
from quern.kernels.gpu import launch, parallel
from quern.kernels.gpu.cuda import Driver

from quern.config import Options

pytest.importorskip("triton")
N = 64


@pytest.fixture
def driver(tmp_path, tmp_path_factory, monkeypatch) -> Driver:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path / "libcuda.so"
    source = Path(__file__).with_name("fake_cuda.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-w", str(source), "-o", str(library)], check=True)
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "2")
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "quern-cache"))
    made = Driver(str(library))
    for module in (launch, parallel):
        monkeypatch.setattr(module, "driver", lambda: made)
    return made


class Program:
    """A graph under construction, and its run."""

    def __init__(self) -> None:
        self.b = GraphBuilder(OPS)
        self.runtime = FakeRuntime()

    def input(self, device: str, shape: tuple[int, ...] = (N,), dtype: dtypes.DType = dtypes.float32) -> Node:
        return self.b.input(TensorMeta(shape, (1,) * len(shape), dtype, device))

    def double(self, x: Node) -> Node:
        return self.b.mul(x, self.b.scalar(value=2.0))

    def run(self, *outputs: Node) -> list[str]:
        """The devices that the results lie on."""
        self.b.graph.outputs = list(outputs)
        call, _ = compile_graph(self.b.graph, self.runtime, Options())
        return [r.device for r in call(*(self.runtime.like(n.meta) for n in self.b.graph.inputs))]


def placed(driver: Driver) -> list[str]:
    """The device of each launch, after checking that all its memory, its context and its stream are that device's."""
    found = []
    for one in history(driver):
        (device,) = {device_at(p) for p in one.pointers()}
        index = int(device.partition(":")[2])
        assert (one.context, one.stream) == (0x1000 + index, 70 + index)
        found.append(device)
    return found


def test_cpu_first(driver: Driver) -> None:
    p = Program()
    moved = p.b.to_device(p.double(p.input("cpu")), device="cuda:0")
    assert p.run(p.b.add(p.input("cuda:0"), moved)) == ["cuda:0"]
    assert placed(driver) == ["cuda:0"]
    assert p.runtime.calls == [("to_device", ("cpu",))]


def test_gpu_first(driver: Driver) -> None:
    p = Program()
    moved = p.b.to_device(p.double(p.input("cuda:0")), device="cpu")
    assert p.run(p.double(moved)) == ["cpu"]
    assert placed(driver) == ["cuda:0"]
    assert p.runtime.calls == [("to_device", ("cuda:0",))]


def test_two_gpus_with_the_same_kernel(driver: Driver) -> None:
    p = Program()
    assert p.run(p.double(p.input("cuda:0")), p.double(p.input("cuda:1"))) == ["cuda:0", "cuda:1"]
    assert sorted(placed(driver)) == ["cuda:0", "cuda:1"]


def test_from_one_gpu_to_the_other_and_back(driver: Driver) -> None:
    p = Program()
    there = p.double(p.b.to_device(p.double(p.input("cuda:1")), device="cuda:0"))
    assert p.run(p.double(p.b.to_device(there, device="cuda:1"))) == ["cuda:1"]
    assert placed(driver) == ["cuda:1", "cuda:0", "cuda:1"]


def test_the_second_gpu_alone(driver: Driver) -> None:
    p = Program()
    assert p.run(p.double(p.input("cuda:1"))) == ["cuda:1"]
    assert placed(driver) == ["cuda:1"]


def test_the_same_kernel_on_both_sides(driver: Driver) -> None:
    p = Program()
    assert p.run(p.double(p.input("cpu")), p.double(p.input("cuda:0"))) == ["cpu", "cuda:0"]
    assert placed(driver) == ["cuda:0"]


def test_a_scalar_of_the_cpu_is_copied_to_where_it_is_read(driver: Driver) -> None:
    p = Program()
    scale = p.input("cpu", ())
    assert p.run(p.b.mul(p.input("cuda:0"), p.double(scale)), p.double(scale)) == ["cuda:0", "cpu"]
    assert placed(driver) == ["cuda:0"]
    assert p.runtime.calls == [("to_device", ("cpu",))]


def test_long_reductions_are_cut_on_gpus_only(driver: Driver) -> None:
    p = Program()
    size = 1 << 20
    assert p.run(p.b.sum(p.input("cpu", (size,))), p.b.sum(p.input("cuda:0", (size,)))) == ["cpu", "cuda:0"]
    assert placed(driver) == ["cuda:0", "cuda:0"], "in pieces, then the pieces"


@pytest.mark.parametrize("dtype", [dtypes.int8, dtypes.uint8, dtypes.int16, dtypes.bfloat16], ids=str)
def test_what_gpus_cannot_add_atomically_is_left_to_the_framework_alone(driver: Driver, dtype: dtypes.DType) -> None:
    p = Program()
    x, source = p.input("cuda:0", dtype=dtype), p.input("cuda:0", dtype=dtype)
    added = p.b.index_add(x, p.input("cuda:0", dtype=dtypes.int64), source, dim=0)
    p.run(p.b.logical_not(added))
    assert set(placed(driver)) == {"cuda:0"}, "what comes before and after are kernels still"
    assert sorted(op for op, _ in p.runtime.calls) == ["check", "index_add"]


INDEXED: dict[str, Callable[[Program, Node], Node]] = {
    "embedding": lambda p, i: p.b.embedding(i, p.input("cuda:0", (10, 4)), padding_idx=None),
    "gather": lambda p, i: p.b.gather(p.input("cuda:0"), i, dim=0),
    "index": lambda p, i: p.b.index(p.input("cuda:0"), i),
    "index_add": lambda p, i: p.b.index_add(p.input("cuda:0"), i, p.input("cuda:0"), dim=0),
    "index_put": lambda p, i: p.b.index_put(p.input("cuda:0"), p.input("cuda:0"), i, accumulate=False),
}


@pytest.mark.parametrize("op", INDEXED)
def test_indices_are_checked_on_the_gpu_without_waiting_for_it(driver: Driver, op: str) -> None:
    p = Program()
    p.run(INDEXED[op](p, p.input("cuda:0", dtype=dtypes.int64)))
    assert set(placed(driver)) == {"cuda:0"}
    assert p.runtime.calls == [("check", ("cuda:0",))], "the device's own assertion; nothing is read back"


def test_what_is_in_range_by_itself_is_not_checked(driver: Driver) -> None:
    p = Program()
    index = p.b.arange(start=0, end=N, step=1, dtype=dtypes.int64, device="cuda:0")
    p.run(p.b.gather(p.input("cuda:0"), index, dim=0))
    assert p.runtime.calls == []


def test_gpus_divide_integers_by_zero_in_eager_too(driver: Driver) -> None:
    p = Program()
    p.run(p.b.floor_divide(p.input("cuda:0", dtype=dtypes.int64), p.input("cuda:0", dtype=dtypes.int64)))
    assert p.runtime.calls == []


def test_each_device_has_its_own_flag(driver: Driver) -> None:
    p = Program()
    here = p.b.gather(p.input("cpu"), p.input("cpu", dtype=dtypes.int64), dim=0)
    there = p.b.gather(p.input("cuda:0"), p.input("cuda:0", dtype=dtypes.int64), dim=0)
    assert p.run(here, there) == ["cpu", "cuda:0"]
    assert sorted(p.runtime.calls) == [("check", ("cpu",)), ("check", ("cuda:0",))]
