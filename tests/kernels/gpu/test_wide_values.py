"""Numbers that a program computes from positions and sizes have 64 bits, whatever the width of positions in memory."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("triton")

import quern  # noqa: E402

BIG = 5_000_000_000
ZEROS = torch.zeros(300, dtype=torch.int64)
PROGRAMS = {
    "arange with a large step": (lambda x, n: torch.arange(0, 300 * 10**9, 10**9) + x, (0, 0)),
    "arange downwards": (lambda x, n: torch.arange(0, -300 * 10**8, -(10**8)) + x, (0, 0)),
    "arange from afar": (lambda x, n: torch.arange(BIG, BIG + 300) - x, (0, 0)),
    "a step that changes": (lambda x, n: torch.arange(0, n * 300, n) + x, (3, 4, 50_000_000)),
    "a product of numbers": (lambda x, n: x + n * n * 3, (3, 4, 100_000)),
    "a quotient of a product": (lambda x, n: x + n * n // 7, (3, 4, 100_000)),
    "a remainder of a product": (lambda x, n: x + (n * n) % 1000, (3, 4, 123_457)),
    "a sum of products": (lambda x, n: (x + n * n + 2 * n) * 2, (3, 4, 70_000)),
    "a number beyond 32 bits": (lambda x, n: x + n, (3, 4, BIG, -BIG)),
    "positions times a number": (lambda x, n: torch.arange(300) * n + x, (3, 4, 40_000_000)),
    "positions times themselves": (lambda x, n: torch.arange(300) ** 4 + x, (0, 0)),
    "a remainder of positions": (lambda x, n: (torch.arange(0, 300 * 10**9, 10**9) % 7) + x, (0, 0)),
    "a comparison of positions": (lambda x, n: (torch.arange(0, 300 * 10**8, 10**8) < BIG) | (x > 0), (0, 0)),
    "a product in float": (lambda x, n: x.double() * (n * n), (3, 4, 100_000)),
    "full of a product": (lambda x, n: torch.full((300,), n * n) + x, (3, 4, 100_000)),
}  # fmt: skip


@pytest.mark.parametrize("codegen", ["triton", "cpp"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_values(name: str, codegen: str, monkeypatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    program, numbers = PROGRAMS[name]
    compiled = quern.compile(program, options={"cpu_codegen": codegen}, fullgraph=True)
    with torch.no_grad(), quern.config.patch(on_error="raise"):
        for n in numbers:
            torch.testing.assert_close(compiled(ZEROS, n), program(ZEROS, n), rtol=0, atol=0)
