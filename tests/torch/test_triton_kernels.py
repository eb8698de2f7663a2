"""A program's own Triton kernels, launched in compiled code: nodes of the graph. They run in Triton's interpreter here."""

# mypy: ignore-errors

from __future__ import annotations

import pytest
import torch
from torch_checks import compare, randn

import quern

triton = pytest.importorskip("triton")
tl = pytest.importorskip("triton.language")
interpreter = pytest.importorskip("triton.runtime.interpreter")


def _add(a, b, out, n, scale, BLOCK: tl.constexpr):  # noqa: N803
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = i < n
    tl.store(out + i, tl.load(a + i, mask=inside) + scale * tl.load(b + i, mask=inside), mask=inside)


add = interpreter.InterpretedFunction(_add)


def made(a, b, scale):
    out = torch.empty_like(a)
    n = out.numel()
    add[(triton.cdiv(n, 16),)](a * 2, b, out, n, scale, BLOCK=16)
    return out + 1


def asked_for_its_grid(a, b, scale):
    out = torch.empty_like(a)
    add[lambda meta: (triton.cdiv(meta["n"], meta["BLOCK"]),)](a, b, out=out, n=a.numel(), scale=scale, BLOCK=32)
    return torch.relu(out)


def written(a, b, scale):
    """To an argument, and to what was made inside."""
    c = a + 1
    view = c.view(-1)
    for target in (a, c):
        add[(4,)](target, b, target, target.numel(), scale, 16)
    return view * b


@pytest.mark.parametrize("program", [made, asked_for_its_grid, written])
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_in_one_graph(program, backend):
    function = quern.compile(program, backend=backend, fullgraph=True)
    for n, scale in ((40, 1.0), (50, 2.0), (60, 3.0)):
        given = [(randn(n), randn(n, seed=1), scale) for _ in range(2)]
        compare((program(*given[0]), given[0]), (function(*given[1]), given[1]))
    assert len(function.entries) == 2


def with_gaps(a, b, scale):
    out = torch.zeros(20, 2)[:, 0]
    add[(2,)](a, b, out, 8, scale, 16)
    return out


def of_a_parameter(a, b, scale):
    weight = torch.nn.Parameter(a)
    add[(2,)](weight, b, b, 8, scale, 16)
    return b


@pytest.mark.parametrize("program", [with_gaps, of_a_parameter])
def test_launches_that_break_the_graph(program):
    with pytest.raises(quern.errors.Unsupported) as error:
        quern.compile(program, backend="eager", fullgraph=True)(randn(20), randn(20), 1.0)
    assert error.value.code == "triton-kernel"


def test_a_break_runs_the_kernel():
    function = quern.compile(with_gaps, backend="eager")
    compare(with_gaps(randn(20), randn(20), 1.0), function(randn(20), randn(20), 1.0))
