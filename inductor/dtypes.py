"""Element types, without any framework: names, sizes, kinds, and torch's promotion lattice.

NumPy's promotion differs (NEP 50) and is applied by its front end, which inserts explicit `cast` nodes.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class DType:
    """One element type. `kind` is one of bool, uint, int, float, complex; `size` is in bytes."""

    name: str
    kind: str
    size: int

    def __repr__(self) -> str:
        return self.name

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_int(self) -> bool:
        """Signed or unsigned integer, not bool."""
        return self.kind in ("int", "uint")

    @property
    def is_complex(self) -> bool:
        return self.kind == "complex"


bool_ = DType("bool", "bool", 1)
uint8 = DType("uint8", "uint", 1)
uint16 = DType("uint16", "uint", 2)
uint32 = DType("uint32", "uint", 4)
uint64 = DType("uint64", "uint", 8)
int8 = DType("int8", "int", 1)
int16 = DType("int16", "int", 2)
int32 = DType("int32", "int", 4)
int64 = DType("int64", "int", 8)
float16 = DType("float16", "float", 2)
bfloat16 = DType("bfloat16", "float", 2)
float32 = DType("float32", "float", 4)
float64 = DType("float64", "float", 8)
complex64 = DType("complex64", "complex", 8)
complex128 = DType("complex128", "complex", 16)

ALL: dict[str, DType] = {
    d.name: d
    for d in (
        bool_, uint8, uint16, uint32, uint64, int8, int16, int32, int64,
        float16, bfloat16, float32, float64, complex64, complex128,
    )
}  # fmt: skip

#: floats that are kept in memory only: arithmetic widens them to float32
HALVES = (float16, bfloat16)
_KIND_ORDER = {"bool": 0, "uint": 1, "int": 1, "float": 2, "complex": 3}
_COMPLEX_PART = {complex64: float32, complex128: float64}
_COMPLEX_OF = {float16: complex64, bfloat16: complex64, float32: complex64, float64: complex128}


def get(name: str) -> DType:
    """The dtype called `name`. Raises KeyError with the known names."""
    try:
        return ALL[name]
    except KeyError:
        raise KeyError(f"unknown dtype {name!r}; known: {', '.join(ALL)}") from None


def kind_order(d: DType) -> int:
    """bool 0 < integers 1 < floats 2 < complex 3: torch's promotion categories."""
    return _KIND_ORDER[d.kind]


#: the largest finite numbers
LARGEST = {
    float16: 65504.0,
    bfloat16: (2.0 - 2.0**-7) * 2.0**127,
    float32: (2.0 - 2.0**-23) * 2.0**127,
    float64: (2.0 - 2.0**-52) * 2.0**1023,
}


def int_range(d: DType) -> tuple[int, int]:
    """The smallest and the largest number of an integer dtype."""
    bits = 8 * d.size
    return (0, (1 << bits) - 1) if d.kind == "uint" else (-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def holds(d: DType, value: bool | int | float | complex) -> bool:
    """Whether torch converts a number to `d` without an overflow: digits may be lost, negative ints wrap to unsigned ones."""
    if isinstance(value, complex):
        return d.is_complex or not value.imag and holds(d, value.real)
    if d.is_complex or d == bool_ or isinstance(value, bool) or (d.is_float and not math.isfinite(value)):
        return True
    low, high = held_range(d, type(value))
    return low <= value <= high  # NaN is in no range


def held_range(d: DType, given: type[int] | type[float]) -> tuple[float, float]:
    """The finite numbers of a type that `holds` allows."""
    if d.is_float:
        return -LARGEST[d], LARGEST[d]
    low, high = int_range(d)
    return (-high if d.kind == "uint" and given is int else low), high


def wrapped(value: Any, d: DType) -> Any:
    """A number as one of an integer type: cut, a negative one counted from an unsigned type's end. Others are left alone."""
    if not d.is_int or not isinstance(value, (int, float)):
        return value
    return int(value) % (1 << 8 * d.size) if d.kind == "uint" else int(value)


def compute_dtype(d: DType) -> DType:
    """The dtype in which a fused kernel does arithmetic on `d`: half types compute in float32."""
    return float32 if d in HALVES else d


def promote(a: DType, b: DType) -> DType:
    """torch's `promote_types`: the smallest type both convert to (int64 with float16 is float16)."""
    if a == b:
        return a
    ka, kb = kind_order(a), kind_order(b)
    if ka != kb:
        low, high = (a, b) if ka < kb else (b, a)
        if high.is_complex and low.is_float:
            return high if _COMPLEX_PART[high].size >= low.size else _COMPLEX_OF[low]
        return high
    if a.kind == b.kind:
        if a.size == b.size:
            return float32  # float16 with bfloat16
        return a if a.size > b.size else b
    # one signed, one unsigned integer: the signed type that holds both
    unsigned, signed = (a, b) if a.kind == "uint" else (b, a)
    if signed.size > unsigned.size:
        return signed
    return {1: int16, 2: int32, 4: int64}.get(unsigned.size, float32)


def round_to_half(value: float, half: DType) -> float:
    """The number of a half type that is nearest to the nearest float32."""
    try:
        single = struct.pack("<f", value)
        if half == float16:
            return float(struct.unpack("<e", struct.pack("<e", struct.unpack("<f", single)[0]))[0])
    except OverflowError:
        return math.copysign(math.inf, value)
    (bits,) = struct.unpack("<I", single)
    if value != value:
        return value
    bits = (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000
    return float(struct.unpack("<f", struct.pack("<I", bits))[0])
