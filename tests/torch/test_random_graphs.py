"""Random programs over random tensors: generated kernels give eager's values, types, shapes and strides."""

from __future__ import annotations

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import quern

UNARY = (
    "torch.sin({0})", "torch.exp({0}.clamp(-5, 5))", "{0}.abs()", "torch.sigmoid({0})", "{0}.neg()", "torch.tanh({0})",
    "{0}.float()", "{0}.double()", "{0}.long()", "{0}.to(torch.int32)", "{0} > 0", "{0}.to(torch.float16)", "{0}.bfloat16()",
    "torch.relu({0})", "{0} * 2", "{0} + 1.5", "{0} // 2", "{0} % 3", "2 - {0}", "{0} / 3", "{0} ** 2", "{0}.clone()",
    "F.gelu({0}.float())", "F.silu({0}.float())", "torch.floor({0}.float())", "torch.round({0}.double())",
    "torch.where({0} > 0, {0}, 0)", "torch.zeros_like({0})", "torch.full_like({0}, 3)", "{0}.reciprocal()",
    "{0}.square()", "{0}.sign()", "torch.logical_not({0})", "torch.isnan({0})", "{0}.contiguous()", "{0}.masked_fill({0} > 1, 0)",
)  # fmt: skip
VIEWS = (
    "{0}.transpose(0, -1)", "{0}.flip(0)", "{0}.unsqueeze(0)", "{0}.unsqueeze(-1)", "{0}.squeeze()", "{0}.reshape(-1)",
    "{0}[..., :1]", "{0}[..., ::2]", "{0}[..., -1]", "{0}.flatten()", "{0}.expand(2, *{0}.shape)", "{0}.roll(1, 0)",
    "{0}.repeat(2, *[1] * {0}.ndim)", "torch.cat([{0}, {0}])", "torch.stack([{0}, {0}], -1)", "{0}.permute(*range({0}.ndim)[::-1])",
    "F.pad({0}, (1, 2))", "{0}.unfold(-1, 2, 1)", "torch.tril({0})", "{0}.diagonal()", "{0}.narrow(-1, 0, 1)",
    "{0}.movedim(0, -1)", "torch.chunk({0}, 2, -1)[0]", "{0}.index_select(-1, torch.tensor([0, 0]))",
)  # fmt: skip
REDUCTIONS = (
    "{0}.sum()", "{0}.sum(-1)", "{0}.sum(0, keepdim=True)", "{0}.float().mean(-1)", "{0}.amax(-1)", "{0}.amin(0)",
    "{0}.argmax(-1)", "{0}.any()", "{0}.all(-1)", "{0}.float().softmax(-1)", "{0}.cumsum(-1)", "{0}.float().var(-1)",
    "{0}.prod(-1)", "{0}.float().logsumexp(-1)", "{0}.float().norm()", "{0}.max(-1).values", "{0}.count_nonzero(-1)",
    "F.layer_norm({0}.float(), {0}.shape[-1:])", "{0}.sort(-1).values", "{0}.sum(-1, dtype=torch.float64)", "{0}.float().std()",
)  # fmt: skip
BINARY = (
    "{0} + {1}", "{0} - {1}.float()", "{0} * {1}", "{0} / {1}", "torch.maximum({0}, {1})", "{0} < {1}", "{0} == {1}",
    "torch.where({0} > 0, {0}, {1})", "{0}.float() @ {1}.float().transpose(-1, -2)", "torch.lerp({0}.float(), {1}.float(), 0.5)",
    "torch.fmin({0}, {1})", "{0} & ({1} > 0)", "torch.atan2({0}, {1})", "torch.addcmul({0}.float(), {0}.float(), {1}.float())",
    "torch.remainder({0}, {1}.abs() + 1)", "torch.add({0}, {1}, alpha=2)", "torch.logical_and({0}, {1})",
    "torch.copysign({0}.float(), {1}.float())", "{0} @ {1}", "torch.outer({0}.reshape(-1), {1}.reshape(-1))",
)  # fmt: skip
KINDS = ("float32", "float32", "float32", "float64", "int64", "int32", "bool", "float16", "bfloat16", "uint8")
SHAPES = ((), (1,), (5,), (3, 4), (4, 1), (2, 3, 4), (1, 4), (17, 3), (2, 1, 3, 2), (0, 3), (33,))
LAYOUTS = ("plain", "transposed", "sliced", "expanded", "offset")


def make(shape, kind, layout, seed):
    generator = torch.Generator().manual_seed(seed)

    def fill(*size):
        x = torch.randn(size, generator=generator) * 3
        return x > 0 if kind == "bool" else x.abs().to(torch.uint8) if kind == "uint8" else x.to(getattr(torch, kind))

    if layout == "transposed" and shape:
        return fill(*shape[::-1]).permute(tuple(range(len(shape)))[::-1])
    if layout == "sliced" and shape:
        return fill(*shape[:-1], shape[-1] * 2)[..., ::2]
    if layout == "expanded" and shape:
        return fill(*shape[1:]).expand(shape)
    if layout == "offset" and shape:
        return fill(shape[0] + 1, *shape[1:])[1:]
    return fill(*shape)


def program(steps, inputs):
    """A function of the inputs, its steps one a line; all values of the last three lines are results."""
    lines, count = [], inputs
    for template, a, b in steps:
        lines.append(f"    v{count} = {template.format(f'v{a % count}', f'v{b % count}')}")
        count += 1
    names = [f"v{i}" for i in range(max(inputs, count - 3), count)]
    text = (
        f"def f({', '.join(f'v{i}' for i in range(inputs))}):\n"
        + "\n".join(lines)
        + f"\n    return {', '.join(names)},\n"
    )
    return text


def valid(steps, tensors):
    """The steps that eager accepts, one after the other."""
    kept, values = [], list(tensors)
    for template, a, b in steps:
        names = {"torch": torch, "F": torch.nn.functional, "x": values[a % len(values)], "y": values[b % len(values)]}
        try:
            made = eval(template.format("x", "y"), names)  # noqa: S307 - our own templates
        except (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError):
            continue
        if made.numel() > 20_000 or made.ndim > 6:
            continue
        values.append(made)
        kept.append((template, a % (len(values) - 1), b % (len(values) - 1)))
    return kept, values[len(tensors) :]


def differs(expected, found):
    """What can be told apart; "" when nothing."""
    if expected.dtype != found.dtype or expected.shape != found.shape:
        return f"{found.dtype} {tuple(found.shape)} instead of {expected.dtype} {tuple(expected.shape)}"
    if expected.numel() and any(n > 1 and s != t for n, s, t in zip(expected.shape, expected.stride(), found.stride())):
        return f"strides {found.stride()} instead of {expected.stride()} of {tuple(expected.shape)}"
    tolerance = {torch.float16: 2e-2, torch.bfloat16: 1e-1}.get(expected.dtype, 2e-3)
    a, b = expected.double(), found.double()
    if not torch.allclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True):
        return f"{b.flatten()[:5].tolist()} instead of {a.flatten()[:5].tolist()}"
    return ""


def check(steps, tensors):
    with torch.no_grad():
        kept, values = valid(steps, tensors)
        if not kept or any(_fragile(v) for v in values):
            return
        names = {"torch": torch, "F": torch.nn.functional}
        text = program(kept, len(tensors))
        exec(text, names)  # noqa: S102 - our own text
        expected = names["f"](*tensors)
        quern.reset()
        found = quern.compile(names["f"], fullgraph=True, dynamic=False)(*tensors)
    for i, (a, b) in enumerate(zip(expected, found)):
        report = differs(a, b)
        layouts = [(t.dtype, tuple(t.shape), t.stride()) for t in tensors]
        assert not report, f"result {i}: {report}\n{text}\n{layouts}"


def _fragile(x):
    """Values so large that one rounding more or less shows."""
    return x.dtype.is_floating_point and bool((x.abs() > 1e4).any() | ~x.isfinite().all())


STEP = st.tuples(st.sampled_from(UNARY + VIEWS + REDUCTIONS + BINARY * 2), st.integers(0, 30), st.integers(0, 30))
TENSOR = st.tuples(st.sampled_from(SHAPES), st.sampled_from(KINDS), st.sampled_from(LAYOUTS), st.integers(0, 99))
GRAPH = given(st.lists(STEP, min_size=2, max_size=9), st.lists(TENSOR, min_size=1, max_size=3))
COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


@settings(max_examples=15, derandomize=True, **COMMON)
@GRAPH
def test_random_graphs(steps, tensors):
    check(steps, [make(*t) for t in tensors])


@pytest.mark.slow
@settings(max_examples=3000, **COMMON)
@GRAPH
def test_many_random_graphs(steps, tensors):
    check(steps, [make(*t) for t in tensors])
