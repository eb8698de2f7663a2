"""Sizes and strides as text: ints, or integer expressions over size symbols."""

from __future__ import annotations

from ....errors import InternalError
from ... import sizes
from ...graph import Dim


def _remainder(a: str, b: str, plain: bool) -> sizes.Piece:
    """Python's remainder in text that means the same where `%` rounds towards zero, as on GPUs."""
    return f"{a} % {b}" if plain else f"({a} % {b} + {b}) % {b}", False


def _quotient(a: str, b: str, plain: bool) -> sizes.Piece:
    """Python's quotient: what is left over is taken off first where `//` could round towards zero."""
    return f"{a} // {b}" if plain else f"({a} - {_remainder(a, b, False)[0]}) // {b}", False


def _triton(suffix: str) -> sizes.Dialect:
    """suffix: what follows each symbol's name."""
    return sizes.Dialect(
        symbol=lambda symbol: symbol.name + suffix,
        quotient=_quotient,
        remainder=_remainder,
        power=lambda base, n: (" * ".join([base] * n), False),
        extreme=None,
    )


_NARROW, _WIDE = _triton(""), _triton(".to(tl.int64)")


def size_text(size: Dim, wide: bool = False) -> str:
    """A size as Python text that Triton and the host both read, one operand whatever operator stands beside it.

    wide: arithmetic in 64 bits, whatever the width of the symbols (text for Triton alone)
    """
    try:
        return sizes.size_text(size, _WIDE if wide else _NARROW)
    except ValueError as error:
        raise InternalError(f"[triton] the size {size} has no integer form") from error
