"""Compiling several kernels at once, in worker processes that import Triton and never a framework.

Triton compiles in one thread per process, about a third of a second per kernel. Workers put their results into the
on-disk cache, where this process finds them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from ...cache import default_store, find_location
from ...errors import CompilerFailed
from ..device import device_of, usable_cpus
from .cuda import driver
from .launch import Launcher, build, usual_variant
from .source import TritonSource
from .toolchain import Gpu, binary_key, compile_for

#: a worker takes about half a second to start, as long as compiling one or two kernels
_KERNELS_PER_WORKER = 2
_WORKER = "from quern.kernels.gpu.parallel import work; work()"


def build_all(sources: Mapping[str, TritonSource], device: str) -> dict[str, Launcher]:
    """Launchers by name; on a GPU, the kernels that are not in the cache are compiled side by side first."""
    on = device_of(device)
    if on.kind != "cpu":
        compile_all(sources.values(), Gpu("cuda", driver().architecture(on.index), 32))
    return {name: build(source, device) for name, source in sources.items()}


def compile_all(sources: Iterable[TritonSource], gpu: Gpu, workers: int | None = None) -> int:
    """Compile the usual variant of every kernel that the cache does not have; how many there were.

    workers: processes, by default one per two kernels, at most one per CPU. Raises CompilerFailed for a kernel
    that cannot be compiled.
    """
    store = default_store()
    keys = {binary_key(s, gpu, usual_variant(s)): s for s in sources}
    missing = [s for key, s in keys.items() if store.get(key) is None]
    if workers is None:
        workers = min(len(missing) // _KERNELS_PER_WORKER, usable_cpus())
    if workers < 2 or find_location().root is None:
        for source in missing:
            compile_for(source, gpu, usual_variant(source))
        return len(missing)
    shares = [missing[k::workers] for k in range(workers)]
    started = [_start(share, gpu) for share in shares if share]
    failures = []
    for process, share in zip(started, shares):
        request = json.dumps({"gpu": asdict(gpu), "sources": [s.file_text() for s in share]})
        assert process.stdin is not None
        process.stdin.write(request)  # every worker gets its work before any is waited for
        process.stdin.close()
        process.stdin = None
    for process, share in zip(started, shares):
        _, errors = process.communicate()
        if process.returncode != 0:
            failures.append(f"{', '.join(s.name for s in share)}:\n{errors[-4000:]}")
    if failures:
        raise CompilerFailed("compiling Triton kernels failed in a worker process for " + "\n".join(failures))
    return len(missing)


def _start(share: list[TritonSource], gpu: Gpu) -> subprocess.Popen[str]:
    environment = dict(os.environ)
    environment["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p)
    environment["QUERN_CACHE_DIR"] = str(find_location().root)
    environment.pop("TRITON_INTERPRET", None)
    return subprocess.Popen(
        [sys.executable, "-c", _WORKER],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def work() -> None:
    """A worker's whole life: read kernels from stdin, compile them into the cache."""
    request = json.load(sys.stdin)
    gpu = Gpu(**request["gpu"])
    for text in request["sources"]:
        source = TritonSource.from_file_text(text)
        compile_for(source, gpu, usual_variant(source))
