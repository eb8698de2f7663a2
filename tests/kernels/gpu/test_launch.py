"""Launching: what reaches the driver, with a stand-in for the driver library; and on a real GPU where there is one."""

from __future__ import annotations

import ctypes
import shutil
import struct
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fake_runtime import Launch
from quern.inductor.codegen.triton import generate
from quern.inductor.dtypes import bfloat16
from quern.inductor.reference import run_kernel
from quern.kernels.gpu.cuda import CudaError, Driver
from quern.kernels.gpu.launch import CudaKernel, build, prepare
from quern.kernels.gpu.source import INT32_LIMIT, TritonSource
from quern.kernels.gpu.toolchain import Gpu
from triton_zoo import ZOO, dynamic, pointwise, softmax

from quern.errors import UserError

pytest.importorskip("triton")


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    out = tmp_path_factory.mktemp("fake") / "libcuda.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-w", str(Path(__file__).with_name("fake_cuda.c")), "-o", str(out)], check=True
    )
    return out


@pytest.fixture
def fake(library, tmp_path, tmp_path_factory, monkeypatch) -> Driver:
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "quern-cache"))
    copy = tmp_path / "libcuda.so"  # a fresh copy has fresh counters
    shutil.copy(library, copy)
    return Driver(str(copy))


def seen(driver: Driver) -> Launch:
    return Launch.in_dll(driver.library, "last")


def number(driver: Driver, name: str) -> int:
    return ctypes.c_int.in_dll(driver.library, name).value


def test_what_reaches_the_driver(fake: Driver) -> None:
    source = generate(softmax(40, 1000).kernel)
    kernel = CudaKernel(source, fake, 0)
    assert kernel.gpu == Gpu("cuda", 90, 32)
    launch = kernel.launcher()
    launch(0x1000, 0x2000, stream=77)
    got = seen(fake)
    assert (got.grid, got.threads, got.stream) == (40, 128, 77)
    assert got.function == kernel.known[True].function
    assert struct.unpack_from("@PPPP", bytes(got.params)) == (0x1000, 0x2000, 0, 0)
    assert got.size == 32
    assert got.context == 0x1000, "the primary context of device 0 was made current"
    launch(0x1000, 0x3000)
    assert (number(fake, "launches"), number(fake, "loads")) == (2, 1)
    assert len(kernel.known[True].slots) == 1, "the parameter buffer was put back"


def test_unaligned_pointers_get_their_own_binary(fake: Driver) -> None:
    kernel = CudaKernel(generate(pointwise(4096).kernel), fake, 0)
    launch = kernel.launcher()
    launch(0x1000, 0x2000, 0x3000)
    aligned = seen(fake).function
    launch(0x1004, 0x2000, 0x3000)
    assert seen(fake).function != aligned
    assert set(kernel.known) == {True, False}
    infos = [prepare(kernel.source, kernel.gpu).ptx.count("v4.b32"), 0]
    assert infos[0] > 0, "aligned memory is moved 16 bytes at a time"


def test_sizes_at_run_time(fake: Driver) -> None:
    case = dynamic("add", 33, 50)
    source = generate(case.kernel)
    kernel = CudaKernel(source, fake, 0)
    launch = kernel.launcher()
    launch(0x1000, 0x2000, 0x3000, 33, 50)
    got = seen(fake)
    assert got.grid == source.program_count()(33, 50) == -(-33 * 50 // dict(source.constants)["XBLOCK"])
    assert struct.unpack_from("@PPPii", bytes(got.params)) == (0x1000, 0x2000, 0x3000, 33, 50)
    launch(0x1000, 0x2000, 0x3000, 0, 50)
    assert number(fake, "launches") == 1, "an empty space starts nothing"
    big = 1 << 16
    launch(0x1000, 0x2000, 0x3000, big, big)
    got = seen(fake)
    assert struct.unpack_from("@PPPqq", bytes(got.params)) == (0x1000, 0x2000, 0x3000, big, big)
    assert source.needs_int64()(big, big) and not source.needs_int64()(1, INT32_LIMIT)


def test_errors_name_the_kernel_and_the_reason(fake: Driver) -> None:
    launch = CudaKernel(generate(pointwise(100).kernel), fake, 0).launcher()
    launch(0x1000, 0x2000, 0x3000)
    ctypes.c_int.in_dll(fake.library, "fail_next").value = 700
    with pytest.raises(CudaError, match=r"launching chain failed with CUDA error 700 \(a made-up reason\)"):
        launch(0x1000, 0x2000, 0x3000)


def test_no_driver_is_said_plainly() -> None:
    with pytest.raises(UserError, match="no NVIDIA driver: .* GPU kernels need one, or use device='cpu'"):
        Driver("libnothing-of-this-name.so.1")


def test_a_second_device_uses_its_own_context(fake: Driver, monkeypatch) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEVICES", "2")
    launch = CudaKernel(generate(pointwise(100).kernel), fake, 1).launcher()
    launch(0x1000, 0x2000, 0x3000)
    assert seen(fake).context == 0x1001
    assert ctypes.c_uint64.in_dll(fake.library, "current_context").value == 0, "the thread's own context is back"


def test_threads_do_not_share_parameters(fake: Driver) -> None:
    launch = CudaKernel(generate(pointwise(4096).kernel), fake, 0).launcher()
    errors: list[BaseException] = []

    def work(base: int) -> None:
        try:
            for i in range(300):
                launch(base + 16 * i, base, base)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(0x10000 * (t + 1),)) for t in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    assert number(fake, "launches") == 1200


def test_a_launch_takes_a_few_microseconds_of_python(fake: Driver) -> None:
    launch = CudaKernel(generate(softmax(40, 1000).kernel), fake, 0).launcher()
    launch(0x1000, 0x2000)
    fake.library.cuCtxPushCurrent_v2(ctypes.c_uint64(0x1000))
    best = min(_seconds(lambda: [launch(0x1000, 0x2000) for _ in range(500)]) for _ in range(20)) / 500
    assert best < 10e-6, f"{best * 1e6:.1f} us"


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def test_a_kernel_survives_its_file() -> None:
    source = generate(dynamic("softmax", 5, 300).kernel)
    assert TritonSource.from_file_text(source.file_text()) == source
    with pytest.raises(UserError, match="must end with its '# launch:' line"):
        TritonSource.from_file_text(source.text)


def test_an_edited_kernel_runs_in_place_of_the_generated_one() -> None:
    case = pointwise(64)
    text = generate(case.kernel).file_text()
    edited = TritonSource.from_file_text(text.replace("+ 0.5", "+ 1.5"))
    x, y, out = case.inputs["x"], case.inputs["y"], np.zeros(64, "f")
    build(edited, "cpu")(*(a.ctypes.data for a in (x, y, out)))
    np.testing.assert_allclose(out, np.tanh(x * y + 1.5), rtol=1e-6)


@pytest.mark.gpu
@pytest.mark.parametrize("name", ZOO)
def test_on_a_gpu(name: str) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    case = ZOO[name]()
    kernel = case.kernel
    sizes = {s: v for s, v in case.symbols.items()}
    flat: dict[str, np.ndarray] = {}
    for b in kernel.args:
        size = b.size if isinstance(b.size, int) else int(b.size.subs({s: sizes[s.name] for s in b.size.free_symbols}))
        empty = np.zeros(size, np.uint16 if b.dtype == bfloat16 else b.dtype.name)
        flat[b.name] = case.inputs.get(b.name, empty).copy()
    arrays = {n: torch.from_numpy(a.view(np.int16) if a.dtype == np.uint16 else a).cuda() for n, a in flat.items()}
    launch = build(generate(kernel, case.options), "cuda:0")
    launch(
        *(arrays[b.name].data_ptr() for b in kernel.args),
        *sizes.values(),
        stream=torch.cuda.current_stream().cuda_stream,
    )
    torch.cuda.synchronize()
    run_kernel(kernel, flat, case.symbols)
    for written in kernel.writes:
        ours = arrays[written].cpu().numpy().view(flat[written].dtype)
        np.testing.assert_allclose(
            ours, flat[written], rtol=10 * case.tolerance, atol=10 * case.tolerance, err_msg=written
        )
