"""Finding the compiler, building through the cache, failing readably, and sharing one OpenMP runtime."""

from __future__ import annotations

import ctypes
import gc
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from quern.cache import Store
from quern.kernels.cpu import build as building
from quern.kernels.cpu.build import build, known_compilers, load, toolchain_identity
from quern.kernels.cpu.openmp import loaded_runtimes, runtime
from quern.kernels.cpu.toolchain import find_compiler, host_cpu, x86_cpu

from quern.config import config
from quern.errors import CompilerFailed, CompilerNotFound, UserError

UNIT = """
#include "parallel.h"
namespace quern {
extern "C" __attribute__((visibility("default"))) int answer(int threads) {
  int seen[8] = {};
  parallel_for(threads, 8, [&](i64 begin, i64 end) { for (i64 t = begin; t < end; ++t) seen[t] = runtime.thread() + 1; });
  int most = 0;
  for (int s : seen) most = s > most ? s : most;
  return most;
}
}
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def test_builds_once_and_runs(store: Store) -> None:
    path = build([UNIT], label="answer", store=store)
    again = build([UNIT], label="answer", store=store)
    assert path == again and store.counters.builds == 2  # the library, and the note about the compiler
    library = load(path)
    assert library.answer(1) == 1
    assert library.answer(3) == 3


def mapped(path: Path) -> bool:
    return str(path) in Path("/proc/self/maps").read_text()


def test_a_library_is_unloaded_when_nobody_holds_it(store: Store) -> None:
    path = build([UNIT], label="answer", store=store)
    answer = load(path).answer
    load(path)
    gc.collect()
    assert mapped(path) and answer(2) == 2
    del answer
    gc.collect()
    assert not mapped(path)
    assert load(path).answer(2) == 2


def test_several_units_link_into_one_library(store: Store) -> None:
    other = 'extern "C" __attribute__((visibility("default"))) int other() { return 7; }'
    library = load(build([UNIT, other], label="two", store=store))
    assert library.other() == 7 and library.answer(2) == 2


def test_source_headers_flags_and_compiler_enter_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = host_cpu()
    base = building.library_key([UNIT], cpu, "g++ 1").digest
    assert building.library_key([UNIT], cpu, "g++ 2").digest != base
    assert building.library_key([UNIT + " "], cpu, "g++ 1").digest != base
    assert building.library_key([UNIT], x86_cpu(set()), "g++ 1").digest != base
    monkeypatch.setattr(building, "FLAGS", (*building.FLAGS, "-O3"))
    assert building.library_key([UNIT], cpu, "g++ 1").digest != base
    monkeypatch.undo()
    monkeypatch.setattr(building, "headers_hash", lambda: "changed")
    assert building.library_key([UNIT], cpu, "g++ 1").digest != base


def test_rejected_source_is_kept_on_request(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rejected = "int f() { return undeclared_thing; }"
    before = set(tmp_path.iterdir())
    with pytest.raises(CompilerFailed, match="QUERN_KEEP_FAILED=1") as caught:
        build([rejected], label="bad", store=store)
    assert "undeclared_thing" in str(caught.value) and "report" in str(caught.value)
    assert set(tmp_path.iterdir()) <= before | {tmp_path / "cache"}
    with config.patch(keep_failed=True), pytest.raises(CompilerFailed) as caught:
        build([rejected], label="bad", store=store)
    kept = Path(str(caught.value).split("kept in ")[1].split(";")[0])
    assert kept.parent == tmp_path and (kept / "kernel_0.cpp").read_text() == rejected


@pytest.mark.parametrize("bad", [0, 2])
def test_one_bad_unit_among_several(store: Store, bad: int) -> None:
    units = [f'extern "C" int f{i}() {{ return 1; }}' for i in range(4)]
    units[bad] = "this is not C++"
    with pytest.raises(CompilerFailed, match="this"):
        build(units, label="bad", store=store)


def test_missing_compiler_says_what_to_install(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(CompilerNotFound) as caught:
        build([UNIT], label="answer", store=store)
    message = str(caught.value)
    for word in ("apt install g++", "dnf install", "quern.config.cxx", "warm cache", "quern cache"):
        assert word in message


def test_warm_cache_needs_no_compiler(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build([UNIT], label="answer", store=store)
    identity = toolchain_identity(store)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("CXX", raising=False)
    assert build([UNIT], label="answer", store=Store(store.root)) == path
    assert toolchain_identity(store) == identity
    with pytest.raises(CompilerNotFound):
        build([UNIT + "// new"], label="answer", store=store)


def test_the_compiler_asked_for_is_the_one_used(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real = find_compiler().command[0]
    wrapper = tmp_path / "my-g++"
    log = tmp_path / "log"
    wrapper.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    wrapper.chmod(wrapper.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("CXX", f"{wrapper} -DCHOSEN")
    load(build([UNIT], label="answer", store=store))
    assert "-DCHOSEN" in log.read_text()
    assert known_compilers(store, host_cpu())[-1].endswith("-DCHOSEN")
    with config.patch(cxx="no-such-compiler"), pytest.raises(CompilerNotFound, match="no-such-compiler"):
        find_compiler()


def test_targets_name_instructions_and_never_a_host() -> None:
    full = set("avx512f avx512bw avx512cd avx512dq avx512vl avx2 fma bmi1 bmi2 f16c movbe avx512_bf16".split())
    assert x86_cpu(full).name == "x86-64-v4+avx512bf16" and x86_cpu(full).vector_bytes == 64
    assert x86_cpu(full - {"avx512vl"}).vector_bytes == 32
    assert x86_cpu(set()).flags == ("-march=x86-64",)
    assert os.uname().nodename not in host_cpu().name


def test_a_level_holds_the_target_down() -> None:
    if "x86-64-v" not in host_cpu().name:
        pytest.skip("not an x86-64 CPU with levels")
    with config.patch(cpu_level="x86-64-v2"):
        assert host_cpu() == x86_cpu(set("sse4_2 popcnt ssse3 cx16".split()))
    with config.patch(cpu_level="x86-64-v9"), pytest.raises(UserError, match="this CPU has .*x86-64-v2; choose one"):
        host_cpu()


def test_vector_width_of_the_headers_is_the_targets(store: Store) -> None:
    text = '#include "vector.h"\nextern "C" __attribute__((visibility("default"))) int width() { return QUERN_VECTOR_BYTES; }'
    compiler = find_compiler()
    cpus = (host_cpu(), x86_cpu({*"avx2 fma bmi1 bmi2 f16c movbe".split()}), x86_cpu(set()))
    for cpu in {t.name: t for t in cpus}.values():
        folder = store.root / cpu.name.replace("+", "_")  # type: ignore[operator]
        folder.mkdir(parents=True)
        building.compile_units([text], folder, compiler, cpu)
        assert ctypes.CDLL(str(folder / building.LIBRARY)).width() == cpu.vector_bytes


def in_new_process(program: str, tmp_path: Path) -> str:
    env = {**os.environ, "QUERN_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_system_runtime_is_loaded_when_there_is_none(tmp_path: Path) -> None:
    out = in_new_process(
        f"""
        from quern.kernels.cpu.openmp import loaded_runtimes
        assert not loaded_runtimes()
        from quern.kernels.cpu.build import build, load
        library = load(build([{UNIT!r}], label="answer"))
        assert library.answer(2) == 2
        print(len(loaded_runtimes()))
        """,
        tmp_path,
    )
    assert out.strip() == "1"


@pytest.mark.torch
def test_the_frameworks_runtime_is_shared(tmp_path: Path) -> None:
    """Torch brings its own libgomp; kernels must run on its threads, not on a second pool."""
    pytest.importorskip("torch")
    out = in_new_process(
        f"""
        import torch
        (torch.randn(1000, 1000) @ torch.randn(1000, 1000)).sum()
        from quern.kernels.cpu.openmp import loaded_runtimes
        before = loaded_runtimes()
        from quern.kernels.cpu.build import build, load
        library = load(build([{UNIT!r}], label="answer"))
        assert library.answer(2) == 2
        assert loaded_runtimes() == before, (before, loaded_runtimes())
        print(len(before))
        """,
        tmp_path,
    )
    assert out.strip() == "1"


def test_without_a_runtime_kernels_run_on_one_thread(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    def nothing(name: str) -> ctypes.CDLL:
        raise OSError(name)

    monkeypatch.setattr("quern.kernels.cpu.openmp.ctypes.CDLL", nothing)
    with pytest.warns(RuntimeWarning, match="libgomp1"):
        empty = runtime.__wrapped__()
    monkeypatch.undo()
    library = ctypes.CDLL(str(build([UNIT.replace("runtime.thread() + 1", "1")], label="alone", store=store)))
    library.quern_set_runtime(ctypes.byref(empty))
    assert library.answer(4) == 1


def test_loaded_runtimes_are_found_by_name() -> None:
    runtime()
    assert any("gomp" in p or "omp" in p for p in loaded_runtimes())
