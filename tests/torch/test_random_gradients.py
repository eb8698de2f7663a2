"""Random differentiable programs with views, writes, parts without gradients and graph breaks: results and gradients are eager's."""

# mypy: ignore-errors

from __future__ import annotations

import random
import warnings

import pytest
import torch
import torch.nn.functional as F

import quern

UNARY = (
    "torch.sin({0})", "torch.exp(-{0}.abs())", "{0}.abs()", "torch.sigmoid({0})", "{0}.neg()", "torch.tanh({0})", "torch.relu({0})",
    "{0} * 2", "{0} + 1.5", "2 - {0}", "{0} / 3", "{0} ** 2", "{0}.clone()", "F.gelu({0})", "F.silu({0})", "F.elu({0})",
    "torch.where({0} > 0, {0}, {0} * 0.5)", "{0}.square()", "{0}.contiguous()", "{0}.masked_fill({0} > 1, 0.5)", "{0}.clamp(-1, 1)",
    "F.softplus({0})", "torch.sqrt({0}.abs() + 1)", "{0}.detach() * {0}", "F.leaky_relu({0}, 0.1)", "F.hardswish({0})", "{0}.sgn() * {0}",
    "F.dropout({0}, 0.5)", "F.normalize({0}, dim=-1)", "torch.erf({0})", "{0}.atan()", "torch.floor({0}) + {0}", "{0}.float().double()",
)  # fmt: skip
VIEWS = (
    "{0}.transpose(0, -1)", "{0}.flip(0)", "{0}.unsqueeze(0)", "{0}.unsqueeze(-1)", "{0}.reshape(-1)", "{0}[..., :1]", "{0}[..., ::2]",
    "{0}[0]", "{0}[..., -1]", "{0}.flatten()", "{0}.expand(2, *{0}.shape)", "{0}.roll(1, 0)", "{0}.repeat(2, *[1] * ({0}.ndim - 1))",
    "torch.cat([{0}, {0}])", "torch.stack([{0}, {0}], -1)", "{0}.permute(*range({0}.ndim)[::-1])", "F.pad({0}, (1, 2))",
    "{0}.unfold(-1, 1, 1)", "torch.tril({0})", "{0}.narrow(-1, 0, 1)", "torch.chunk({0}, 2, -1)[0]", "{0}.view({0}.shape)",
    "{0}.index_select(-1, torch.tensor([0, 0]))", "{0}.gather(-1, torch.zeros({0}.shape, dtype=torch.long))", "{0}[torch.tensor([0, 0])]",
)  # fmt: skip
REDUCTIONS = (
    "{0}.sum()", "{0}.sum(-1)", "{0}.sum(0, keepdim=True)", "{0}.mean(-1)", "{0}.amax(-1)", "{0}.softmax(-1)", "{0}.log_softmax(0)",
    "{0}.cumsum(-1)", "{0}.var(-1, unbiased=False)", "{0}.logsumexp(-1)", "{0}.norm()", "{0}.max(-1).values", "{0}.min(0).values",
    "F.layer_norm({0}, {0}.shape[-1:])", "{0}.std(-1, unbiased=False)", "{0}.sort(-1).values", "{0}.prod(-1)", "{0}.mean()",
)  # fmt: skip
BINARY = (
    "{0} + {1}", "{0} - {1}", "{0} * {1}", "{0} / ({1}.abs() + 1)", "torch.maximum({0}, {1})", "torch.where({0} > 0, {0}, {1})",
    "{0} @ {1}.transpose(-1, -2)", "torch.lerp({0}, {1}, 0.25)", "torch.fmin({0}, {1})", "torch.atan2({0}, {1}.abs() + 1)",
    "torch.addcmul({0}, {0}, {1})", "torch.add({0}, {1}, alpha=2)", "torch.hypot({0}, {1}.abs() + 1)", "{0} @ {1}", "F.mse_loss({0}, {1})",
    "torch.copysign({0}, {1})", "torch.outer({0}.reshape(-1), {1}.reshape(-1))", "F.linear({0}, {1})", "{0} * {1}.detach()",
)  # fmt: skip
WRITES = (
    "{0}.mul_(2)", "{0}.add_({1})", "{0}[..., :1].mul_(3)", "{0}[0].add_(1)", "{0}[..., -1] = {1}.sum()", "{0}.relu_()", "{0}.clamp_(-1, 1)",
    "{0}.copy_({1})", "{0}.masked_fill_({0} > 0, 0.5)", "{0}.neg_()", "{0}.zero_()", "{0}.detach().mul_(1)", "{0}.sub_({0}.mean())",
)  # fmt: skip
AROUND = ("", "", "", "", "with torch.no_grad(): ", "quern.graph_break(); ")
SHAPES = ((), (4,), (3, 4), (4, 4), (2, 3, 4), (1, 4), (4, 1))


def program(rng):
    """(a function as text, how many tensors it takes)"""
    values, lines = ["v0", "v1"], []
    for _ in range(rng.randint(2, 7)):
        kind = rng.choice((UNARY, UNARY, VIEWS, REDUCTIONS, BINARY, WRITES))
        text = rng.choice(kind).format(rng.choice(values), rng.choice(values))
        if kind is WRITES:
            lines.append(rng.choice(AROUND) + text)
            continue
        made = f"v{len(values)}"
        lines.append(f"{rng.choice(AROUND)}{made} = {text}")
        values.append(made)
    shown = rng.sample(values[2:], min(len(values) - 2, rng.randint(1, 3))) or ["v0 * 1"]
    return "def f(v0, v1):\n    v0, v1 = v0 * 1, v1 * 1\n" + "".join(f"    {line}\n" for line in lines) + f"    return {', '.join(shown)},\n"  # fmt: skip


def observed(function, shapes, kind, grads, which):
    """Results, gradients, what was raised."""
    generator = torch.Generator().manual_seed(1)
    leaves = [
        torch.randn(s, generator=generator, dtype=torch.float64).to(kind).requires_grad_(g)
        for s, g in zip(shapes, grads)
    ]
    torch.manual_seed(2)
    try:
        results = function(*leaves)
        taken = [r for i, r in enumerate(results) if r.requires_grad and (which >> i) & 1]
        if taken:
            sum(
                (r * torch.arange(1.0, r.numel() + 1, dtype=r.dtype).reshape(r.shape).cos()).sum() for r in taken
            ).backward()
    except Exception as error:
        return type(error)
    memory = [[r.untyped_storage()._cdata == s.untyped_storage()._cdata for s in results] for r in results]
    return [(r.detach(), r.requires_grad, r._is_view()) for r in results], [x.grad for x in leaves], memory


def steps(x):
    """Its strides; those of dims of one element say nothing."""
    return [step for n, step in zip(x.shape, x.stride()) if n != 1]


def agrees(seed):
    """Run one program plain and compiled; its text where they differ."""
    rng = random.Random(seed)
    text, shapes = program(rng), rng.sample(SHAPES, 1) * 2 if rng.random() < 0.6 else rng.choices(SHAPES, k=2)
    grads, which = rng.choice(((True, True), (True, False), (False, True))), rng.randint(1, 7)
    scope = {"torch": torch, "F": F, "quern": quern}
    exec(text, scope)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = observed(scope["f"], shapes, torch.float64, grads, which)
        compiled = quern.compile(scope["f"], dynamic=rng.choice((None, None, True)))
        got = observed(compiled, shapes, torch.float64, grads, which)
    where = f"seed {seed}, shapes {shapes}, gradients {grads}, taken {which:03b}\n{text}"
    if isinstance(want, type) or isinstance(got, type):
        assert want is got, f"{got} instead of {want}\n{where}"
        return
    assert got[2] == want[2], f"shared memory: {got[2]} instead of {want[2]}\n{where}"
    for (a, ar, av), (b, br, bv) in zip(want[0], got[0]):
        assert (ar, av) == (br, bv), f"requires_grad, is a view: {br, bv} instead of {ar, av}\n{where}"
        assert steps(a) == steps(b), where
        torch.testing.assert_close(b, a, rtol=1e-7, atol=1e-9, equal_nan=True, msg=lambda m: f"{m}\n{where}")
    for a, b in zip(want[1], got[1]):
        assert (a is None) == (b is None), f"gradient {b} instead of {a}\n{where}"
        if a is not None:
            assert steps(a) == steps(b), where
            torch.testing.assert_close(
                b, a, rtol=1e-6, atol=1e-8, equal_nan=True, msg=lambda m: f"gradient: {m}\n{where}"
            )


@pytest.mark.parametrize("part", range(4))
def test_random_programs(part):
    for seed in range(20 * part, 20 * part + 20):
        agrees(seed)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(20))
def test_more_random_programs(part):
    for seed in range(1000 + 150 * part, 1150 + 150 * part):
        agrees(seed)
