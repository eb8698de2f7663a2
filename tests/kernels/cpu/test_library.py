"""Equal kernels of two programs are one function, built once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from quern.cache import Store
from quern.cache import store as stores
from quern.kernels.cpu import library as kernels
from quern.kernels.cpu.library import Call, Segment, functions, packer

import quern


def text(factor: float, extra: str = "") -> str:
    return (
        "static inline void run_kernel(void* const* given, const int* places, int threads) {\n"
        f"  float* x = (float*)given[places[0]];{extra}\n"
        f"  for (i64 i = 0; i < (i64)given[places[1]]; ++i) x[i] *= {factor}f;\n"
        "}"
    )


ONE, TWO, THREE = text(2.5), text(3.5), text(4.5)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "cache")


def libraries(store: Store) -> int:
    from quern.cache.upkeep import list_entries

    return sum(entry.kind == "cpp-kernel" for entry in list_entries(stores.Layout(store.root)))


def get(store: Store, *texts: str, notes_errors: bool = False) -> dict[str, kernels.Function]:
    found = functions(texts, notes_errors=notes_errors, label="test", store=store)
    x = np.ones(3, np.float32)
    for text in texts:
        segment = Segment([Call(found[text], (0, 1))], notes_errors)
        segment.run(packer(2, 1)(segment.address, x.ctypes.data, 3), 1)
    assert x[0] == np.prod([float(t.split("*= ")[1].split("f")[0]) for t in texts])
    return found


def test_what_is_there_is_not_built_again(store: Store) -> None:
    get(store, ONE, TWO)
    assert libraries(store) == 1
    get(store, TWO, ONE)
    get(store, TWO)
    get(store, ONE)
    assert libraries(store) == 1
    get(store, ONE, THREE)
    assert libraries(store) == 2, "only the third is built, by itself"
    get(Store(store.root), THREE, TWO, ONE)
    assert libraries(store) == 2


def test_a_kernel_whose_library_is_gone_is_built_again_and_found_again(store: Store) -> None:
    path = get(store, ONE, TWO)[ONE].library._name
    for each in (path, get(store, ONE, THREE)[THREE].library._name):
        for file in sorted(Path(each).parent.iterdir()):
            file.unlink()
        Path(each).parent.rmdir()
    fresh = Store(store.root)
    get(fresh, ONE, THREE)
    assert libraries(fresh) == 1
    get(fresh, ONE)
    get(Store(store.root), THREE)
    assert libraries(fresh) == 1


def test_kernels_that_note_errors_are_others(store: Store) -> None:
    get(store, ONE)
    get(store, ONE, notes_errors=True)
    assert libraries(store) == 2


PROGRAMS = {
    "the first": """
def f(x):
    return np.tanh(x - x.mean(axis=1, keepdims=True))
""",
    "elsewhere, under other names": """
# a line more


def of_another_name(values):
    mean = values.mean(axis=1, keepdims=True)
    return np.tanh(values - mean)
""",
    "with another kernel": """
def f(x):
    return np.tanh(x - x.mean(axis=1, keepdims=True)), np.exp(x).T @ x
""",
}


def run(text: str, path: Path) -> None:
    scope: dict = {"np": np}
    exec(compile(text, str(path), "exec"), scope)
    function = next(f for name, f in scope.items() if callable(f) and name != "np")
    x = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    got, want = quern.compile(function)(x), function(x)
    for one, other in zip(got, want) if isinstance(got, tuple) else [(got, want)]:
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_two_programs_that_share_kernels_build_one_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "cache"))
    compiled: list[int] = []
    build = kernels.unit_texts

    def counted(texts: dict[str, str], *rest: object) -> tuple[str, ...]:
        compiled.append(len(texts))
        return build(texts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(kernels, "unit_texts", counted)
    for i, text in enumerate(PROGRAMS.values()):
        run(text, tmp_path / f"program_{i}.py")
    assert compiled == [1, 1], "the shared kernel once, then the exponential alone"
