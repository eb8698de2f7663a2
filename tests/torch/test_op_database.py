"""Every entry of PyTorch's operator database, plain and compiled: what is captured gives eager's results to the last stride, and
what is not is listed here with its reason."""

from __future__ import annotations

import op_database
import pytest
from comparison import Difference

#: what is not captured, and why
DATA_VALUE, DATA_SHAPE, DATA_SIZE = {"data-dependent-value"}, {"data-dependent-shape"}, {"data-dependent-size"}
#: the tensor object itself changes its layout, and it came from outside
OBJECT = {"unsupported-inplace"}
#: the size of the result depends on the data, says the framework, or its meta kernel refuses what its real one takes
UNFORESEEN = {"unknown-function"}
#: entries that are not captured whole on some sample, and the codes of their breaks
BREAKS: dict[str, set[str]] = {
    "addbmm": UNFORESEEN,
    "allclose": DATA_VALUE,
    "as_strided": OBJECT,
    "as_strided.partial_views": OBJECT,
    "chalf": {"dtype"},
    "combinations": UNFORESEEN,
    "equal": DATA_VALUE,
    "linalg.lstsq": UNFORESEEN,
    "linalg.lstsq.grad_oriented": UNFORESEEN,
    "narrow": DATA_SIZE,
    "nn.functional.dropout3d": OBJECT,
    "nn.functional.one_hot": DATA_SHAPE,
    "resize_": OBJECT,
    "resize_as_": OBJECT,
    "squeeze": OBJECT,
    "squeeze.multiple": OBJECT,
    "t": OBJECT,
    "tensor_split": DATA_SIZE,
    "to_sparse": {"layout"},
    "transpose": OBJECT,
    "unique": DATA_SHAPE,
    "unsqueeze": OBJECT,
}
#: entries that take integers only: asked with int64
INTEGERS = ("bincount", "nn.functional.one_hot")

#: entries with layouts that are not dense, which this comparison cannot read
SKIPPED = ("sparse.sampled_addmm", "sparse.mm.reduce")
CHUNKS = 24


def outcomes(names, backend, dtypes, count, forms=op_database.FORMS):
    """Run entries; returns what differed, and per entry the codes of breaks."""
    entries = op_database.database()
    wrong, breaks = [], {}
    for name in names:
        codes = breaks.setdefault(name, set())
        for dtype in dtypes:
            chosen = op_database.samples(entries[name], dtype, count)
            for form, program in op_database.callables(entries[name], forms):
                for place, sample in chosen:
                    case = op_database.Case(name, form, dtype, place)
                    try:
                        answer = op_database.run(case, program, sample, backend)
                    except Difference as error:
                        wrong.append(str(error)[:300])
                        continue
                    if answer not in ("", "eager"):
                        codes.add(answer[1:].partition("]")[0])
    return wrong, breaks


def names(chunk: int, of: int) -> list[str]:
    every = [n for n in op_database.database() if n not in SKIPPED]
    return every[chunk::of]


def test_a_sample_of_entries():
    """Each is captured, unless it is listed; nothing differs."""
    wrong, breaks = outcomes(names(5, 16), "eager", ["float32"], 2)
    assert not wrong, "\n".join(wrong)
    assert {n: c for n, c in breaks.items() if not c <= BREAKS.get(n, set())} == {}


def test_a_sample_of_entries_through_kernels():
    wrong, _ = outcomes(names(7, 60), "inductor", ["float32"], 1, ("function",))
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_all_entries(chunk):
    """The list of breaks is exact."""
    chosen = names(chunk, CHUNKS)
    wrong, breaks = outcomes(chosen, "eager", ["float32"], 2)
    more, of_integers = outcomes([n for n in chosen if n in INTEGERS], "eager", ["int64"], 2)
    assert not wrong + more, "\n".join(wrong + more)
    found = {**breaks, **of_integers}
    assert {n: c for n, c in found.items() if c} == {n: c for n, c in BREAKS.items() if n in chosen}


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_all_entries_of_integers(chunk):
    wrong, _ = outcomes(names(chunk, CHUNKS), "eager", ["int64", "bool"], 2)
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_all_entries_through_kernels(chunk):
    wrong, _ = outcomes(names(chunk, CHUNKS), "inductor", ["float32", "int64"], 2, ("function",))
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_types_through_kernels(dtype):
    wrong, _ = outcomes(names(3, 12), "inductor", [dtype], 1, ("function",))
    assert not wrong, "\n".join(wrong)
