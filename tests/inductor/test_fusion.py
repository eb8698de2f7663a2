"""Fusion: how many kernels known patterns become, and that fused and unfused schedules agree."""

from __future__ import annotations

import numpy as np
import pytest
from quern.inductor import dtypes
from quern.inductor.loops import postorder
from schedule_support import builder, run, scheduled, tensor

rng = np.random.default_rng(0)


def softmax(b):
    x = tensor(b, (6, 40))
    return [b.softmax(x, dim=-1)]


def layer_norm(b):
    x, w, c = tensor(b, (2, 5, 32)), tensor(b, (32,)), tensor(b, (32,))
    return [b.layer_norm(x, w, c, normalized_shape=(32,), eps=1e-5)]


def pointwise_chain(b):
    x, y = tensor(b, (7, 9)), tensor(b, (9,))
    return [b.tanh(b.mul(b.gelu(b.add(x, y)), x))]


def residual_norm(b):
    x, y, w = tensor(b, (4, 24)), tensor(b, (4, 24)), tensor(b, (24,))
    h = b.add(x, y)
    return [h, b.layer_norm(h, w, None, normalized_shape=(24,), eps=1e-5)]


def shared_statistics(b):
    x = tensor(b, (8, 16))
    mean = b.mean(x, dim=(-1,), keepdim=True)
    centred = b.sub(x, mean)
    return [b.sum(b.mul(centred, centred), dim=(-1,), keepdim=False), mean]


def merged_heads(b):
    x = tensor(b, (2, 3, 5, 8))  # batch, heads, rows, width
    y = b.exp(x)
    z = b.reshape(b.permute(y, dims=(0, 2, 1, 3)), shape=(2, 5, 24))
    return [b.mul(z, z), y]


def column_statistics(b):
    x = tensor(b, (2, 6, 4, 3))
    mean = b.mean(x, dim=(0, 2, 3), keepdim=True)
    return [b.sub(x, mean)]


def two_branches(b):
    x = tensor(b, (5, 16))
    a = b.softmax(b.exp(x), dim=-1)
    c = b.softmax(b.sin(x), dim=0)
    return [b.add(a, c)]


def full_sum(b):
    x = tensor(b, (64, 128))
    return [b.div(x, b.sum(x))]


def rotate_half(b):
    x = tensor(b, (2, 4, 16))
    low, high = b.slice(x, dim=-1, start=0, end=8), b.slice(x, dim=-1, start=8, end=16)
    return [b.add(b.mul(x, x), b.cat(b.neg(high), low, dim=-1))]


def transposed_read(b):
    x = tensor(b, (6, 10))
    y = b.exp(x)
    return [b.add(b.permute(y, dims=(1, 0)), b.permute(x, dims=(1, 0))), y]


CASES = [
    (softmax, 1),
    (layer_norm, 1),
    (pointwise_chain, 1),
    (residual_norm, 1),
    (shared_statistics, 1),
    (merged_heads, 1),
    (column_statistics, 1),
    (two_branches, None),
    (full_sum, None),
    (rotate_half, 1),
    (transposed_read, 1),
]


@pytest.mark.parametrize("make, kernels", CASES, ids=[c[0].__name__ for c in CASES])
def test_fused_equals_unfused(make, kernels):
    results = []
    for fuse in (True, False):
        b = builder()
        outputs = make(b)
        s = scheduled(b, *outputs, fuse=fuse)
        arrays = [np.random.default_rng(1).standard_normal(n.shape).astype(np.float32) for n in b.graph.inputs]
        results.append(run(s, *arrays))
        if fuse and kernels is not None:
            assert len(s.steps) == kernels, "\n\n".join(str(k) for k in s.kernels) + str(
                [str(r.why) for r in s.refused]
            )
    for fused, plain in zip(*results):
        np.testing.assert_allclose(fused, plain, rtol=2e-5, atol=2e-6)


def test_softmax_values_and_traffic():
    b = builder()
    x = tensor(b, (6, 40))
    s = scheduled(b, b.softmax(x, dim=-1))
    a = rng.standard_normal((6, 40)).astype(np.float32) * 8
    (out,) = run(s, a)
    e = np.exp(a - a.max(-1, keepdims=True))
    np.testing.assert_allclose(out, e / e.sum(-1, keepdims=True), rtol=1e-5)
    kernel = s.kernels[0]
    assert len(kernel.args) == 2, "one read, one write"
    assert max(e.reduce_depth for e in postorder([st.value for st in kernel.stores])) == 2


def test_equal_layers_are_one_kernel():
    b = builder()
    x, w = tensor(b, (4, 32)), tensor(b, (32, 32))
    for _ in range(6):
        x = b.gelu(b.matmul(x, w))
    s = scheduled(b, x)
    assert len(s.steps) == 12
    assert len(s.kernels) == 1


def test_half_types_compute_in_float32_and_round_after_each_op():
    b = builder()
    x = tensor(b, (4, 16), dtypes.bfloat16)
    s = scheduled(b, b.neg(b.exp(b.mul(x, x))))
    casts = [e for k in s.kernels for e in postorder([st.value for st in k.stores]) if e.op == "cast"]
    # widened once, and rounded twice: negation is exact
    assert sorted(c.dtype.name for c in casts) == ["bfloat16", "bfloat16", "bfloat16", "float32", "float32", "float32"]


def test_fusion_keeps_a_rounding_that_the_program_asks_for():
    b = builder()
    x, y = tensor(b, (4, 16)), tensor(b, (4, 16))
    half = b.cast(x, dtype=dtypes.float16)
    s = scheduled(b, half, b.mul(b.cast(half, dtype=dtypes.float32), y))
    assert len(s.kernels) == 1
    product = next(st.value for st in s.kernels[0].stores if st.value.op == "mul")
    assert product.args[0].op == "cast"
    assert product.args[0].args[0].dtype == dtypes.float16


def test_a_reduction_is_not_fused_under_a_condition_along_its_own_axis():
    b = builder()
    x = tensor(b, (4, 4))
    parts = [b.unsqueeze(b.amax(b.select(x, dim=1, index=i), dim=(0,)), dim=0) for i in range(4)]
    s = scheduled(b, b.cat(*parts, dim=0))
    assert "reduction-under-mask" in {refusal.why.code for refusal in s.refused}
    a = rng.standard_normal((4, 4)).astype(np.float32)
    (out,) = run(s, a)
    np.testing.assert_array_equal(out, a.max(axis=0))


def test_output_keeps_eager_strides():
    b = builder()
    x = tensor(b, (4, 6), stride=(1, 4))
    y = b.exp(x)
    assert y.meta.stride == (1, 4)
    s = scheduled(b, y)
    assert s.lowered.outputs[0].stride == (1, 4)


def test_framework_calls_read_views_without_copies():
    b = builder()
    x, w = tensor(b, (4, 32)), tensor(b, (16, 32))
    s = scheduled(b, b.matmul(x, b.permute(w, dims=(1, 0))))
    assert len(s.steps) == 1 and s.steps[0].inputs[1].stride == (1, 32)


def test_few_long_rows_are_not_fused():
    """Dividing a large array by its own sum stays two kernels: one row would leave the other cores idle."""
    b = builder()
    x = tensor(b, (512, 512))
    s = scheduled(b, b.div(x, b.sum(x)))
    assert len(s.steps) == 2
    assert any(r.why.code == "few-long-rows" for r in s.refused)


def test_equal_outputs_stay_two_arrays():
    """Two arrays of the program that hold the same numbers are two: writing into one leaves the other."""
    b = builder()
    x = tensor(b, (4, 6))
    s = scheduled(b, b.exp(x), b.exp(x))
    assert len({o.name for o in s.lowered.outputs}) == 2
    a = rng.standard_normal((4, 6)).astype(np.float32)
    one, two = run(s, a)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(one, np.exp(a), rtol=1e-6)


def test_one_output_twice_is_one_array():
    b = builder()
    y = b.exp(tensor(b, (4, 6)))
    assert len({o.name for o in scheduled(b, y, y).lowered.outputs}) == 1
