"""Every row of the op table over operands in every layout: shapes and strides, those of size-1 dims included, are eager's."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from quern.inductor.ops import OPS  # noqa: E402

from .samples import Sample  # noqa: E402
from .samples_more import all_samples  # noqa: E402
from .support import as_tuple, attributes, eager, metas, operands  # noqa: E402


def _ordered(x: torch.Tensor, *fast_to_slow: int) -> torch.Tensor:
    strides, step = [0] * x.ndim, 1
    for d in fast_to_slow:
        strides[d] = step
        step *= max(x.shape[d], 1)
    return torch.empty_strided(x.shape, strides, dtype=x.dtype).copy_(x)


def _channels_last(x: torch.Tensor) -> torch.Tensor:
    return _ordered(x, 1, *range(x.ndim - 1, 1, -1), 0) if x.ndim > 1 else x


def _spread(x: torch.Tensor) -> torch.Tensor:
    """The same order, every stride doubled."""
    return torch.empty_strided(x.shape, [2 * s for s in x.stride()], dtype=x.dtype).copy_(x)


def _repeated(x: torch.Tensor, d: int) -> torch.Tensor:
    return x.narrow(d, 0, 1).expand(x.shape) if x.numel() else x


#: layouts of a tensor that has dims
LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda x: x.contiguous(),
    "reversed": lambda x: _ordered(x, *range(x.ndim)),
    "first dim fastest": lambda x: _ordered(x, 0, *range(x.ndim - 1, 0, -1)),
    "channels_last": _channels_last,
    "gaps": lambda x: _spread(x.contiguous()),
    "channels_last with gaps": lambda x: _spread(_channels_last(x)),
    "first dim repeated": lambda x: _repeated(x, 0),
    "last dim repeated": lambda x: _repeated(x, -1),
    "odd strides of size 1": lambda x: x.as_strided(
        x.shape, [7 if n == 1 else s for n, s in zip(x.shape, x.contiguous().stride())]
    ) if x.is_contiguous() else x,
}  # fmt: skip

#: rows that take no other layouts: the framework decides, and the front end leaves such calls to it
LEFT = {"convolution": 5, "as_strided": 0}


def relaid(values: list[Any], quick: bool) -> Iterator[list[Any]]:
    """The operands in every layout: all of them, and one beside contiguous ones."""
    places = [i for i, v in enumerate(values) if isinstance(v, torch.Tensor) and v.ndim]
    seen: set[Any] = set()
    for layout, one in itertools.product(LAYOUTS.values(), [None] if quick else [None, *places[:3]]):
        chosen = list(values)
        for i in places:
            chosen[i] = layout(values[i]) if one in (None, i) else values[i].contiguous()
        key = tuple((v.shape, v.stride()) if isinstance(v, torch.Tensor) else None for v in chosen)
        if key not in seen:
            seen.add(key)
            yield chosen


def difference(sample: Sample, values: list[Any]) -> str | None:
    """How the meta rule differs from eager, where both take the call."""
    attrs = OPS[sample.op].bind(attributes(sample))
    try:
        wanted = as_tuple(eager(sample.op)(*values, **attrs))
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError):
        return None
    got = as_tuple(OPS[sample.op].meta(*metas(values, OPS["scalar"].meta), **attrs))
    for g, w in zip(got, wanted, strict=True):
        if (g.dtype.name, g.shape, g.stride) != (str(w.dtype)[6:], tuple(w.shape), w.stride()):
            laid = [(tuple(v.shape), v.stride()) for v in values if isinstance(v, torch.Tensor)]
            return f"{sample} of {laid}: {g.shape} stride {g.stride}, eager gives {tuple(w.shape)} stride {w.stride()}"
    return None


def differences(samples: list[Sample], quick: bool) -> list[str]:
    found = []
    for sample in samples:
        ranks = [len(o.shape) for o in sample.operands if hasattr(o, "shape")]
        if sample.op in LEFT and max(ranks, default=0) >= LEFT[sample.op]:
            continue
        found += [f for values in relaid(operands(sample), quick) if (f := difference(sample, values))]
    return found


SAMPLES = [s for s in all_samples() if any(hasattr(o, "shape") for o in s.operands)]
#: of the samples that differ in dtype and values only, one
DISTINCT = list(
    {(s.op, str(s.attrs), tuple(getattr(o, "shape", None) for o in s.operands)): s for s in SAMPLES}.values()
)


@pytest.mark.parametrize("part", range(4))
def test_results_are_laid_out_as_eagers(part: int) -> None:
    assert differences(DISTINCT[part::4], quick=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_results_of_mixed_layouts_are_laid_out_as_eagers(part: int) -> None:
    assert differences(SAMPLES[part::8], quick=False) == []
