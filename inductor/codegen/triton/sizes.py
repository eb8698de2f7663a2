"""Sizes and strides as text: ints, or integer expressions over size symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ....errors import InternalError
from ...graph import Dim


def size_text(size: Dim, wide: bool = False) -> str:
    """A size as Python text that Triton and the host both read; quotients of non-negative sizes become `//`.

    wide: arithmetic in 64 bits, whatever the width of the symbols (text for Triton alone)
    """
    if isinstance(size, int):
        return str(size)
    return _sympy_text(size, ".to(tl.int64)" if wide else "")


def product_text(sizes: tuple[Dim, ...]) -> str:
    """The product of sizes, numbers multiplied out."""
    number, symbolic = 1, []
    for s in sizes:
        if isinstance(s, int):
            number *= s
        else:
            symbolic.append(f"({size_text(s)})" if _kind(s) == "Add" else size_text(s))
    return " * ".join(([str(number)] if number != 1 or not symbolic else []) + symbolic)


def factor_text(sizes: Sequence[Dim], wide: bool = False) -> str:
    """The product of sizes as one operand, whatever operator stands before it."""
    numbers = [s for s in sizes if isinstance(s, int)]
    symbolic = [size_text(s, wide) for s in sizes if not isinstance(s, int)]
    number = math.prod(numbers)
    texts = [*([str(number)] if number != 1 or not symbolic else []), *symbolic]
    simple = len(texts) == 1 and (
        number >= 0 if not symbolic else _kind(next(s for s in sizes if not isinstance(s, int))) == "Symbol"
    )
    return texts[0] if simple else f"({' * '.join(texts)})"


def _kind(e: Any) -> str:
    return type(e).__name__


def _sympy_text(e: Any, suffix: str = "") -> str:
    """suffix: what follows each symbol's name."""
    # told apart by class name, so that kernels with plain sizes never import sympy
    kind = _kind(e)
    if kind == "Symbol":
        return e.name + suffix
    if e.is_Integer:
        return str(int(e))
    if kind == "Add":
        return "(" + " + ".join(_sympy_text(a, suffix) for a in e.args) + ")"
    if kind in ("floor", "ceiling", "Mul"):
        inner = e.args[0] if kind != "Mul" else e
        top, bottom = inner.as_numer_denom()
        if bottom == 1:
            return (
                "(" + " * ".join(_sympy_text(a, suffix) for a in top.args) + ")"
                if top.is_Mul
                else _sympy_text(top, suffix)
            )
        return (
            _quotient_text(top, bottom, suffix) if kind != "ceiling" else f"(-{_quotient_text(-top, bottom, suffix)})"
        )
    if kind == "Mod":
        a, b = e.args
        return _remainder_text(a, b, suffix)
    if e.is_Pow and e.exp.is_Integer and e.exp > 0:
        return "(" + " * ".join([_sympy_text(e.base, suffix)] * int(e.exp)) + ")"
    raise InternalError(f"[triton] the size {e} has no integer form")


def _remainder_text(a: Any, b: Any, suffix: str) -> str:
    """Python's remainder in text that means the same where `%` rounds towards zero, as on GPUs."""
    top, bottom = _sympy_text(a, suffix), _sympy_text(b, suffix)
    if a.is_nonnegative and b.is_nonnegative:
        return f"({top} % {bottom})"
    return f"(({top} % {bottom} + {bottom}) % {bottom})"


def _quotient_text(a: Any, b: Any, suffix: str) -> str:
    """Python's quotient: what is left over is taken off first where `//` could round towards zero."""
    top, bottom = _sympy_text(a, suffix), _sympy_text(b, suffix)
    if a.is_nonnegative and b.is_nonnegative:
        return f"({top} // {bottom})"
    return f"(({top} - {_remainder_text(a, b, suffix)}) // {bottom})"
