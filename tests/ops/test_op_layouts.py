"""Layouts of pointwise results and of views on random shapes and strides: the rules against eager torch."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from quern.capture.frontends.torch.runtime import tensor_meta  # noqa: E402
from quern.inductor.graph import TensorMeta  # noqa: E402
from quern.inductor.ops import OPS  # noqa: E402
from quern.inductor.ops.promotion import (  # noqa: E402
    is_channels_last,
    is_dense,
    like_strides,
    prefers_channels_last,
    result_dtype,
)
from quern.inductor.ops.views import view_strides  # noqa: E402

SIZES = st.sampled_from([0, 1, 1, 2, 3, 5])


@st.composite
def laid_out(draw: st.DrawFn, shape: tuple[int, ...]) -> torch.Tensor:
    """A tensor of the given shape: dims in any memory order, with gaps or repeats now and then."""
    order = draw(st.permutations(range(len(shape))))
    gaps = [draw(st.sampled_from([1, 1, 1, 2])) for _ in shape]
    step, strides = 1, [0] * len(shape)
    for d in order:
        repeated = draw(st.integers(0, 9)) == 0
        strides[d] = 0 if repeated else step
        step *= 1 if repeated else max(shape[d], 1) * gaps[d]
    return torch.empty(step + 1).as_strided(shape, strides)


@st.composite
def operands(draw: st.DrawFn) -> list[torch.Tensor]:
    """One to three tensors whose shapes broadcast."""
    shape = draw(st.lists(SIZES, max_size=5))
    out = []
    for _ in range(draw(st.integers(1, 3))):
        own = [1 if draw(st.integers(0, 3)) == 0 else s for s in shape]
        own = own[draw(st.sampled_from([0, 0, 0, 1, 2])) :]
        out.append(draw(laid_out(tuple(own))))
    return out


@settings(max_examples=400, deadline=None)
@given(operands())
def test_pointwise_result_is_laid_out_as_eagers(tensors: list[torch.Tensor]) -> None:
    op, run = {
        1: ("exp", torch.exp),
        2: ("add", torch.add),
        3: ("addcmul", torch.addcmul),
    }[len(tensors)]
    wanted = run(*tensors)
    factor = [None] if op == "addcmul" else []
    got = OPS[op].meta(*map(tensor_meta, tensors), *factor, **OPS[op].bind({}))
    assert (got.shape, got.stride) == (tuple(wanted.shape), wanted.stride())


@settings(max_examples=200, deadline=None)
@given(operands())
def test_copies_keep_eagers_layout(tensors: list[torch.Tensor]) -> None:
    x = tensors[0]
    meta = tensor_meta(x)
    assert like_strides(meta) == torch.empty_like(x).stride()
    assert is_dense(meta.shape, meta.stride) == torch.ops.aten.is_non_overlapping_and_dense(x)
    if x.ndim == 4:
        assert is_channels_last(meta.shape, meta.stride) == x.is_contiguous(memory_format=torch.channels_last)
        # a convolution's result tells how eager reads its input's strides
        if x.numel():
            suggested = torch.empty_like(torch.nn.functional.adaptive_avg_pool2d(x, (2, 2)))
            layout = suggested.is_contiguous(memory_format=torch.channels_last) and not suggested.is_contiguous()
            if x.shape[1] > 1:
                assert layout == prefers_channels_last(meta)


@settings(max_examples=300, deadline=None)
@given(operands(), st.data())
def test_views_exist_where_eagers_do(tensors: list[torch.Tensor], data: st.DataObject) -> None:
    x = tensors[0]
    new = data.draw(st.permutations([f for s in x.shape for f in ((s,) if s < 4 else (1, s))]))
    cut = data.draw(st.integers(0, len(new)))
    head = 1
    for s in new[:cut]:
        head *= s
    shape = (head, *new[cut:])
    try:
        wanted = x.view(shape).stride()
    except RuntimeError:
        wanted = None
    assert view_strides(tuple(x.shape), x.stride(), shape) == wanted


DTYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32,
    torch.float64, torch.complex64,
]  # fmt: skip


@pytest.mark.parametrize("a", DTYPES, ids=str)
@pytest.mark.parametrize("b", [*DTYPES, True, 3, 2.5], ids=str)
@pytest.mark.parametrize("dims", [(1, 1), (1, 0), (0, 1), (0, 0)], ids=str)
def test_promotion_is_eagers(a: torch.dtype, b: object, dims: tuple[int, int]) -> None:
    x = torch.zeros((2,) * dims[0], dtype=a)
    if {a, b} >= {torch.complex64, torch.float16}:
        pytest.skip("gives complex32, which graphs do not know")
    if isinstance(b, torch.dtype):
        y = torch.zeros((2,) * dims[1], dtype=b)
        other = tensor_meta(y)
    else:
        y, other = b, OPS["scalar"].meta(value=b, dtype=None)
    assert result_dtype(tensor_meta(x), other).name == str(torch.result_type(x, y))[6:]


def test_devices_must_agree() -> None:
    f = result_dtype(tensor_meta(torch.zeros(1)))
    cpu, gpu = TensorMeta((2,), (1,), f, "cpu"), TensorMeta((2,), (1,), f, "cuda:0")
    with pytest.raises(ValueError, match="different devices: cpu and cuda:0"):
        OPS["add"].meta(cpu, gpu)
    assert OPS["add"].meta(TensorMeta((), (), f, "cpu"), gpu).device == "cuda:0"
