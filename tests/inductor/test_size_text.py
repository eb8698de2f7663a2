"""Symbolic sizes as text: one printer, and what each language makes of quotients, remainders and signs."""

from __future__ import annotations

import itertools

import pytest
import sympy
from quern.inductor.codegen.cpp.indexing import dim_text
from quern.inductor.codegen.triton.sizes import size_text as triton_text
from quern.inductor.sizes import python_size

from quern.errors import InternalError

S, T = sympy.symbols("s0 s1", integer=True, positive=True)
SIZES = [
    S + T - 1, -S, S - T, 3 - S, -2 * S * T + 4, S**2 * T, S * (S + 1) / 2, (S + 1) ** 2,
    sympy.floor((S + 1) / 2), sympy.floor((S - T) / 3), sympy.ceiling(S / 3), sympy.ceiling((S - T) / 4),
    sympy.Mod(S, 3), sympy.Mod(S - T, 3), sympy.floor(S / T) * T + sympy.Mod(S, T), sympy.floor(-S / 2),
]  # fmt: skip
VALUES = list(itertools.product((1, 2, 3, 7, 10), (1, 4, 5)))


def c_divide(a: int, b: int) -> int:
    """Rounds towards zero."""
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


class CInt(int):
    """An integer with the quotients and remainders of C."""

    def _made(name):  # noqa: N805
        return lambda a, b: CInt(getattr(int, name)(int(a), int(b)))

    __add__, __radd__, __sub__, __rsub__ = map(_made, ("__add__", "__radd__", "__sub__", "__rsub__"))
    __mul__, __rmul__ = map(_made, ("__mul__", "__rmul__"))

    def __neg__(self):
        return CInt(-int(self))

    def __floordiv__(self, other):
        return CInt(c_divide(int(self), int(other)))

    def __mod__(self, other):
        return CInt(int(self) - c_divide(int(self), int(other)) * int(other))


@pytest.mark.parametrize("size", [*SIZES, sympy.Max(S, T, 4) - sympy.Min(S, T)], ids=str)
def test_python_means_the_size(size: sympy.Expr) -> None:
    text = python_size(size)
    for s, t in VALUES:
        assert eval(text, {"s0": s, "s1": t}) == size.subs({S: s, T: t}), text  # noqa: S307


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_triton_means_it_whichever_way_quotients_are_rounded(size: sympy.Expr) -> None:
    text = triton_text(size)
    for s, t in VALUES:
        wanted = size.subs({S: s, T: t})
        assert eval(text, {"s0": s, "s1": t}) == wanted, text  # noqa: S307
        assert eval(text, {"s0": CInt(s), "s1": CInt(t)}) == wanted, text  # noqa: S307


def test_cpp_rounds_down_where_signs_are_open() -> None:
    assert dim_text(7) == "7" and dim_text(S - 1) == "(s0 - 1)" and dim_text(-S) == "(-s0)"
    assert dim_text(sympy.floor((S + 1) / 2)) == "((s0 + 1) / 2)"
    assert dim_text(sympy.floor((S - T) / 2)) == "floordiv<i64>((s0 - s1), 2)"
    assert dim_text(sympy.Mod(S, 3)) == "(s0 % 3)" and dim_text(sympy.Mod(S - T, 3)).startswith("mod<i64>(")
    assert dim_text(S * T / 4) == "((s0 * s1) / 4)" and dim_text(S**3) == "(s0 * s0 * s0)"
    assert dim_text(sympy.Max(S, T, 4)).count("max<i64>(") == 2


@pytest.mark.parametrize(("text", "said"), [(dim_text, r"has no C\+\+ form"), (triton_text, "no integer form")])
def test_what_is_no_size_is_refused(text, said: str) -> None:
    with pytest.raises(InternalError, match=said):
        text(sympy.sin(S))
    with pytest.raises(ValueError, match="no integer form"):
        python_size(sympy.sin(S))


def test_wide_symbols() -> None:
    assert triton_text(S * T, wide=True) == "(s0.to(tl.int64) * s1.to(tl.int64))"
