"""Element types, names and literals in C++."""

from __future__ import annotations

import re

from ....errors import InternalError
from ...dtypes import DType, int64
from ...loops import Expr
from .indexing import dim_text
from .ranges import fits_i32

CTYPES = {
    "bool": "bool", "uint8": "u8", "uint16": "u16", "uint32": "u32", "uint64": "u64", "int8": "i8", "int16": "i16",
    "int32": "i32", "int64": "i64", "float16": "f32", "bfloat16": "f32", "float32": "f32", "float64": "f64",
}  # fmt: skip
_STORAGE = {**CTYPES, "float16": "f16", "bfloat16": "bf16"}
SIZES = {"bool": 1, "u8": 1, "i8": 1, "u16": 2, "i16": 2, "u32": 4, "i32": 4, "f32": 4, "u64": 8, "i64": 8, "f64": 8}

#: names that the emitted functions use themselves
_RESERVED = frozenset(
    "tile rows run low high from to begin end n k l full task block threads buffers symbols auto float double int bool const "
    "left right top bottom row at inner line line_number first strip panel sums packed vector".split()
)


def storage_type(d: DType) -> str:
    """The C++ type of an element in memory. Raises InternalError for complex numbers, which kernels do not hold."""
    if d.name not in _STORAGE:
        raise InternalError(
            f"[cpp] a kernel cannot hold {d}; lowering splits complex numbers or leaves them to the framework"
        )
    return _STORAGE[d.name]


def value_type(e: Expr, vector: bool) -> str:
    """The C++ element type in which `e` is computed: in vectors, int64 that surely fits 32 bits is i32."""
    if vector and e.dtype == int64 and fits_i32(e):
        return "i32"
    storage_type(e.dtype)
    return CTYPES[e.dtype.name]


def c_name(name: str) -> str:
    """A buffer's name as a C++ identifier."""
    clean = re.sub(r"\W", "_", name)
    taken = clean in _RESERVED or re.fullmatch(r"[pr]\d+|(t|a|acc)\d+|run_(kernel|part\d*)|\d.*", clean)
    return f"{clean}_" if taken else clean


def literal(value: object, ctype: str) -> str:
    """A constant as C++ text of exactly that type."""
    if not isinstance(value, (bool, int, float)):
        return f"({dim_text(value)})"  # a size, int64
    if ctype == "bool":
        return "true" if value else "false"
    if ctype in ("f32", "f64"):
        number, suffix = float(value), "f" if ctype == "f32" else ""
        if number != number:
            return f'__builtin_nan{suffix}("")'
        if number in (float("inf"), float("-inf")):
            return f"{'-' if number < 0 else ''}__builtin_inf{suffix}()"
        if ctype == "f32" and abs(number) > 3.4028235677973366e38:
            return f"{'-' if number < 0 else ''}__builtin_inff()"
        text = repr(number)
        return f"{text}{suffix}" if "." in text or "e" in text else f"{text}.0{suffix}"
    number = int(value)
    if ctype == "i64" and number == -(1 << 63):
        return "i64(-9223372036854775807LL - 1)"
    return f"{ctype}({number}{'ULL' if ctype == 'u64' else 'LL' if ctype == 'i64' else ''})"
