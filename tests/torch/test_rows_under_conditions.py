"""What runs along rows (prefixes, reductions) and is read by what holds a condition: padded, joined, partly overwritten."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")
F = torch.nn.functional

import quern  # noqa: E402


def part_overwritten(x, n):
    s = x.cumsum(1)
    s[1:, 1:].diagonal().fill_(0.5)
    return s.sin()


def rows_overwritten(x, n):
    s = x.cumprod(0)
    s[::2] = 1
    return s.exp(), s.amax(0)


#: the program, and whether it is to be one kernel
PROGRAMS = {
    "a prefix, along its row": (lambda x, n: F.pad(x.cumsum(1)[:, 1:], (1, 0)), True),
    "a prefix, along other axes": (lambda x, n: F.pad(x.cumsum(0)[:, 1:], (1, 0)), True),
    "a prefix of columns": (lambda x, n: F.pad(x.cumsum(0)[1:], (0, 0, 1, 0)), True),
    "a prefix, joined": (lambda x, n: torch.cat([x.cumsum(1)[:, :4], x.cumsum(1)[:, 4:] * 2], 1), True),
    "a prefix, below others": (lambda x, n: F.pad((x * x.cumsum(1))[:, 2:], (2, 0), value=3.0), True),
    "a prefix, with where": (lambda x, n: F.pad(torch.where(x > 0, x.cumsum(1), x)[:, 1:], (1, 0)), False),
    "a prefix, partly overwritten": (part_overwritten, True),
    "a prefix, in part of the rows": (rows_overwritten, False),
    "a prefix as a place": (lambda x, n: F.pad(x.gather(1, n.cumsum(1).clamp(max=8))[:, 1:], (1, 0)), False),
    "a prefix as a place, free": (lambda x, n: x.t().gather(0, n.t().cumsum(0).clamp(max=5)), False),
    "a prefix of a prefix": (lambda x, n: F.pad((x * x.cumsum(1)).cumsum(1)[:, 1:], (1, 0)), True),
    "a sum": (lambda x, n: F.pad(x.sum(1)[1:], (1, 0)), True),
    "a position": (lambda x, n: (F.pad(x.argmax(1)[1:], (1, 0)), F.pad(x.amax(1)[2:], (2, 0))), False),
    "a softmax": (lambda x, n: F.pad(x.softmax(1)[1:], (0, 0, 1, 0)), True),
    "a layer norm": (lambda x, n: F.pad(F.layer_norm(x, (9,))[1:], (0, 0, 1, 0)).relu(), False),
}  # fmt: skip


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("codegen", ["triton", "cpp"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_values(name, codegen, dynamic, monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    program, is_one = PROGRAMS[name]
    seed = torch.Generator().manual_seed(0)
    x, n = torch.randn(6, 9, generator=seed), torch.randint(0, 2, (6, 9), generator=seed)
    with torch.no_grad():
        said = quern.explain(program, options={"cpu_codegen": codegen}, dynamic=dynamic)(x, n)
        torch.testing.assert_close(said.result, program(x, n), rtol=1e-5, atol=1e-6)
    (graph,) = said.graphs
    counted = sum(len(s.launches) for s in graph.record.plan.steps if hasattr(s, "launches"))
    assert dynamic or not is_one or counted == 1, said
