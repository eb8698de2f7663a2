"""Every row of the op table against eager torch: metas, values, and the table's own legality."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from quern.inductor import dtypes  # noqa: E402
from quern.inductor.graph import TensorMeta  # noqa: E402
from quern.inductor.ops import OPS, REQUIRED  # noqa: E402
from quern.inductor.ops.table import empty_cells  # noqa: E402

from .evaluate import Evaluator, to_tensor  # noqa: E402
from .samples import Sample  # noqa: E402
from .samples_more import all_samples  # noqa: E402
from .support import TOLERANCE, as_tuple, attributes, eager, metas, operands  # noqa: E402

SAMPLES = list(all_samples())
BY_OP: dict[str, list[Sample]] = {}
for _s in SAMPLES:
    BY_OP.setdefault(_s.op, []).append(_s)


def result(sample: Sample, values: list[Any], attrs: dict[str, Any]) -> tuple[Any, ...] | None:
    """Eager's results, or None when it refuses the call."""
    try:
        return as_tuple(eager(sample.op)(*values, **attrs))
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return None


def check_meta(sample: Sample) -> str | None:
    """None, or how the meta rule differs from eager."""
    values, attrs = operands(sample), OPS[sample.op].bind(attributes(sample))
    inputs = metas(values, OPS["scalar"].meta)
    wanted = result(sample, values, attrs)
    if wanted is None:
        try:
            accepted = OPS[sample.op].meta(*inputs, **attrs)
        except (ValueError, TypeError, IndexError):
            return None
        return f"{sample}: eager refuses it, the meta rule gives {accepted}"
    got = as_tuple(OPS[sample.op].meta(*inputs, **attrs))
    for g, w in zip(got, wanted, strict=True):
        text = f"{g.dtype}{list(g.shape)} stride {g.stride}"
        expected = f"{str(w.dtype)[6:]}{list(w.shape)} stride {w.stride()}"
        if text != expected or g.weak:
            return f"{sample}: meta says {text}, eager gives {expected}"
    return None


def check_value(sample: Sample) -> str | None:
    """None, or how the decomposed and lowered value differs from eager's."""
    values, attrs = operands(sample), OPS[sample.op].bind(attributes(sample))
    torch.manual_seed(0)
    wanted = result(sample, values, attrs)
    if wanted is None:
        return None
    run = Evaluator(eager)
    torch.manual_seed(0)
    node = run.builder.call(sample.op, *map(run.operand, values), **attrs)
    got = as_tuple(run.run(node))
    node_metas = node.meta if isinstance(node.meta, tuple) else (node.meta,)
    for g, w, meta in zip(got, wanted, node_metas, strict=True):
        rtol, atol = TOLERANCE.get(w.dtype, (0, 0))
        try:
            torch.testing.assert_close(to_tensor(g, meta), w, rtol=rtol, atol=atol, equal_nan=True, check_stride=False)
        except AssertionError as error:
            return f"{sample}: {error}"
        if w.is_floating_point() and sample.op not in EITHER_ZERO and (wrong := wrong_zeros(to_tensor(g, meta), w)):
            return f"{sample}: {wrong} zeros have the wrong sign"
    return None


#: which of two zeros these give depends, in eager too, on the kernel that happens to run
EITHER_ZERO = {"softshrink", "fmax", "fmin", "maximum", "minimum", "clamp", "relu", "relu6", "hardtanh", "amax", "amin",
               "max_pool2d_with_places", "max_pool3d_with_places"}  # fmt: skip


def wrong_zeros(got: Any, wanted: Any) -> int:
    """How many zeros differ from eager's in sign."""
    zeros = (got == 0) & (wanted == 0)
    return int((zeros & (torch.signbit(got) != torch.signbit(wanted))).sum())


def attempt(check: Any, sample: Sample) -> str | None:
    """`check(sample)`, errors reported with the sample they belong to."""
    try:
        return check(sample)
    except Exception as error:
        raise AssertionError(f"{sample}: {type(error).__name__}: {error}") from error


@pytest.mark.parametrize("op", sorted(BY_OP))
def test_meta_is_eagers(op: str) -> None:
    failures = [f for s in BY_OP[op] if (f := attempt(check_meta, s))]
    assert not failures, "\n".join(failures)


COMPUTED = sorted(op for op in BY_OP if OPS[op].decompose or OPS[op].lower)


@pytest.mark.parametrize("op", COMPUTED)
def test_value_is_eagers(op: str) -> None:
    failures = [f for s in BY_OP[op] if (f := attempt(check_value, s))]
    assert not failures, "\n".join(failures)


#: rows that cannot be called by themselves, and what the pass `decompose` puts in
UNCALLABLE = {"input", "extern", "loop", "getitem", "scalar", "number", "empty", "rounded"}


def test_every_row_has_samples() -> None:
    assert sorted(set(OPS) - set(BY_OP) - UNCALLABLE - INNER) == []


#: inner steps of decompositions: reached through the samples of the ops that use them (test_inner_rows_are_reached)
INNER = {row.name for row in OPS.values() if row.eager == "none"} - UNCALLABLE | {"roll_dims"}


def test_inner_rows_are_reached() -> None:
    seen: set[str] = set()
    for name in (
        "max_pool2d",
        "max_pool2d_with_places",
        "avg_pool2d",
        "adaptive_avg_pool2d",
        "upsample_linear",
        "roll",
    ):
        for sample in BY_OP[name]:
            if result(sample, operands(sample), OPS[name].bind(attributes(sample))) is None:
                continue
            run = Evaluator(eager)
            node = run.builder.call(name, *map(run.operand, operands(sample)), **attributes(sample))
            run.run(node)
            seen |= run.seen
    assert INNER - {"contract", "dots", "attend", "stored"} <= seen, (
        "test_contraction_is_eagers and convolutions reach these"
    )


@pytest.mark.parametrize("op", sorted(name for name, row in OPS.items() if row.contraction and row.eager != "call"))
def test_contraction_is_eagers(op: str) -> None:
    """What a library's product is said to mean: its values, through sums of products."""
    reached = 0
    for sample in BY_OP[op]:
        values, attrs = operands(sample), OPS[op].bind(attributes(sample))
        wanted = result(sample, values, attrs)
        if wanted is None or not wanted[0].is_floating_point():
            continue
        run = Evaluator(eager)
        made = OPS[op].contraction(run.builder, run.builder.call(op, *map(run.operand, values), **attrs))
        assert made.shape == tuple(wanted[0].shape) and str(made.dtype) == str(wanted[0].dtype)[6:], sample
        rtol, atol = TOLERANCE[wanted[0].dtype]
        got = to_tensor(run.run(made), made.meta)
        torch.testing.assert_close(got, wanted[0], rtol=rtol, atol=atol, check_stride=False, msg=str(sample))
        reached += not run.seen.isdisjoint(("contract", "attend"))
    assert reached


@pytest.mark.parametrize("name", sorted(OPS))
def test_row_is_complete(name: str) -> None:
    row = OPS[name]
    assert row.name == name
    assert callable(row.meta)
    assert empty_cells(row) == []
    assert row.decompose or row.lower or row.kind in ("extern", "input")
    ways = [row.decompose is not None, row.lower is not None, row.kind in ("extern", "input")]
    assert sum(ways) == 1, "more than one way to compute a row: which one would be taken?"
    with pytest.raises(TypeError, match="has no attribute 'nonsense'"):
        row.bind({"nonsense": 1})
    required = [k for k, v in row.attrs.items() if v is REQUIRED]
    if required:
        with pytest.raises(TypeError, match="needs attribute"):
            row.bind({})


def test_scalar_is_weak() -> None:
    meta = OPS["scalar"].meta
    assert [meta(value=v, dtype=None).dtype.name for v in (True, 2, 2.5)] == ["bool", "int64", "float32"]
    assert meta(value=2, dtype=None) == TensorMeta((), (), meta(value=2, dtype=None).dtype, "cpu", weak=True)


def test_number_is_weak_and_held_in_float64() -> None:
    meta = OPS["number"].meta
    assert meta(TensorMeta((), (), dtypes.float64, "cpu")) == OPS["scalar"].meta(value=2.5, dtype=None)
    with pytest.raises(TypeError, match="0-dim float64 or int64 tensor"):
        meta(TensorMeta((), (), dtypes.float32, "cpu"))
