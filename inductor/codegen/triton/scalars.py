"""The Triton text of every scalar op, literal and conversion.

Each row of `SCALAR` has a template per kind of operand. Functions written plainly (`floordiv_int`) are device
functions of `kernels/gpu/device.py`; `libdevice` is NVIDIA's (and AMD's) math library, the one that eager's own
kernels call, so that results agree with eager's to the bit. The interpreter has NumPy stand-ins for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from ....errors import InternalError
from ...dtypes import DType
from ...loops.reducers import Reducer
from ...ops.scalar import SCALAR
from .sizes import size_text

# Kinds: float32, float64, float (both), int (signed), uint, bool; the most exact one given is used.
_LIBDEVICE = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "rsqrt", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "lgamma", "trunc",
)  # fmt: skip
_LIBDEVICE2 = ("fmod", "pow", "atan2", "hypot", "copysign", "nextafter")


@dataclass(frozen=True)
class Template:
    """How an op reads.

    text:     with places for the operands
    needs:    the device function (of `kernels/gpu/device.py`) that it calls, or "libdevice"
    literals: bare numbers of float32 and int32 may stand for operands
    """

    text: str
    needs: str = ""
    literals: bool = False


def _call(function: str, arity: int) -> str:
    return f"{function}({', '.join(f'{{{i}}}' for i in range(arity))})"


def _libdevice(name: str, arity: int) -> Template:
    return Template(_call(f"libdevice.{name}", arity), "libdevice", literals=True)


def _device(name: str, arity: int) -> Template:
    return Template(_call(name, arity), name)


def _triton(text: str) -> Template:
    """Functions of Triton itself."""
    return Template(text, literals=True)


#: kinds of operands in each domain
_KINDS = {
    "float": ("float",), "int": ("int", "uint"), "bool": ("bool",), "number": ("float", "int", "uint"),
    "integral": ("int", "uint", "bool"), "any": ("float", "int", "uint", "bool"),
}  # fmt: skip
_INFIX: dict[str, dict[str, str | Template]] = {
    op.name: {kind: f"{{0}} {op.symbol} {{1}}" for kind in _KINDS[op.domain]} for op in SCALAR.values() if op.symbol
}

#: op -> kind of operand -> how it reads; a plain text is an expression over operators
TEMPLATES: dict[str, dict[str, str | Template]] = {
    **_INFIX,
    **{name: {"float": _libdevice(name, 1)} for name in _LIBDEVICE},
    **{name: {"float": _libdevice(name, 2)} for name in _LIBDEVICE2},
    "sqrt": {"float32": _triton("tl.sqrt_rn({0})"), "float64": _triton("tl.sqrt({0})")},
    "sigmoid": {
        "float32": Template("tl.div_rn(1.0, 1.0 + libdevice.exp(-{0}))", "libdevice"),
        "float64": Template("1.0 / (1.0 + libdevice.exp(-{0}))", "libdevice"),
    },
    "floor": {"float": _triton("tl.floor({0})")},
    "ceil": {"float": _triton("tl.ceil({0})")},
    "round": {"float": _libdevice("rint", 1)},
    "isnan": {"float": "{0} != {0}"},
    "isinf": {"float": 'tl.abs({0}) == float("inf")'},
    "signbit": {
        "float32": "{0}.to(tl.int32, bitcast=True) < 0",
        "float64": "{0}.to(tl.int64, bitcast=True) < 0",
    },
    # not -x, which older Tritons compute as 0 - x: that loses the sign of a zero
    "neg": {"float": "{0} * -1.0", "int": "-{0}", "uint": "-{0}"},
    "abs": {"float": _triton("tl.abs({0})"), "int": _triton("tl.abs({0})"), "uint": "{0}"},
    "sign": {"float": _device("sign_float", 1), "int": _device("sign_int", 1), "uint": _device("sign_int", 1)},
    "not": {
        "bool": "{0} == 0", "int": "~{0}",
        **{f"uint{bits}": f"{{0}} ^ {(1 << bits) - 1}" for bits in (8, 16, 32, 64)},
    },
    "div": {"float32": _triton("tl.div_rn({0}, {1})"), "float64": "{0} / {1}"},
    "floordiv": {"float": _device("floordiv_float", 2), "int": _device("floordiv_int", 2), "uint": "{0} // {1}"},
    "mod": {"float": _device("mod_float", 2), "int": _device("mod_int", 2), "uint": "{0} % {1}"},
    "max": {
        "float": _triton("tl.maximum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)"),
        "int": _triton("tl.maximum({0}, {1})"), "uint": _triton("tl.maximum({0}, {1})"),
    },
    "min": {
        "float": _triton("tl.minimum({0}, {1}, propagate_nan=tl.PropagateNan.ALL)"),
        "int": _triton("tl.minimum({0}, {1})"), "uint": _triton("tl.minimum({0}, {1})"),
    },
    "fmax": {"float": _triton("tl.maximum({0}, {1})")},
    "fmin": {"float": _triton("tl.minimum({0}, {1})")},
    "shl": {"int": _device("shift_left", 2), "uint": _device("shift_left", 2)},
    "shr": {"int": _device("shift_right_int", 2), "uint": _device("shift_right_uint", 2)},
    "eq": {**_INFIX["eq"], "bool": "({0} ^ {1}) == 0"},
    "ne": {**_INFIX["ne"], "bool": "{0} ^ {1}"},
    "lt": {**_INFIX["lt"], "bool": "({0} == 0) & {1}"},
    "le": {**_INFIX["le"], "bool": "({0} == 0) | {1}"},
    "gt": {**_INFIX["gt"], "bool": "{0} & ({1} == 0)"},
    "ge": {**_INFIX["ge"], "bool": "{0} | ({1} == 0)"},
    "where": {k: _triton("tl.where({0}, {1}, {2})") for k in ("float", "int", "uint", "bool")},
    "fma": {"float": _triton("tl.fma({0}, {1}, {2})")},
}  # fmt: skip
TEMPLATES["pow"] = {**TEMPLATES["pow"], "int": _device("pow_int", 2), "uint": _device("pow_uint", 2)}
for _op in SCALAR.values():
    if _op.on_bools:
        TEMPLATES[_op.name]["bool"] = TEMPLATES[_op.on_bools]["bool"]
TEMPLATES["fmod"] = {**TEMPLATES["fmod"], "int": "{0} % {1}", "uint": "{0} % {1}"}


def type_text(dtype: DType) -> str:
    """Triton's name of an element type. Raises InternalError for complex types, which kernels do not hold."""
    if dtype.is_complex:
        raise InternalError(f"[triton] {dtype} cannot occur in a Triton kernel; complex values run as framework calls")
    return "tl.int1" if dtype.kind == "bool" else f"tl.{dtype.name}"


def template(op: str, dtype: DType) -> Template:
    """How `op` reads on operands of `dtype`. Raises InternalError where the op has no meaning for it."""
    by_kind = TEMPLATES[op]
    found = by_kind.get(dtype.name) or by_kind.get(dtype.kind)
    if found is None:
        raise InternalError(f"[triton] {op} is not defined on {dtype} (domain: {SCALAR[op].domain})")
    return Template(found) if isinstance(found, str) else found


def takes_literals(op: str, dtype: DType) -> bool:
    """Whether operands of `op` may be written as bare Python numbers.

    Triton gives a bare number float32 or int32, and lets it take the other operand's type only beside an operator.
    """
    if SCALAR[op].symbol:
        return dtype.kind != "bool" and dtype.name != "uint64"
    return dtype.name in ("float32", "int32") and template(op, dtype).literals


def literal(value: Any, dtype: DType) -> str:
    """A number as Python text (the type is the context's)."""
    if not isinstance(value, (bool, int, float)):
        return f"({size_text(value, wide=True)})"
    if dtype.kind == "bool":
        return str(bool(value))
    if dtype.is_float:
        value = float(value)
        if math.isnan(value):
            return 'float("nan")'
        if math.isinf(value):
            return 'float("inf")' if value > 0 else '-float("inf")'
        return repr(value) if value >= 0 and math.copysign(1, value) > 0 else f"({value!r})"
    value = int(value)
    return str(value) if value >= 0 else f"({value})"


def typed_literal(value: Any, dtype: DType) -> str:
    """A number as a scalar of exactly `dtype`."""
    if not isinstance(value, (bool, int, float)):
        return f"({size_text(value, wide=True)}).to({type_text(dtype)})"
    return f"tl.full([], {literal(value, dtype)}, {type_text(dtype)})"


def cast_text(value: str, source: DType, target: DType) -> str:
    """`value` converted as C (and eager) does: bool is != 0, float to int truncates, halves round by way of float32."""
    if target.kind == "bool":
        return f"{value} != 0"
    steps = []
    if source.is_float and target.is_int and target.size < 4:
        steps.append("tl.int32")  # wraps around from there, as on the CPU
    elif source.is_float and target.name == "uint32":
        steps.append("tl.int64")
    elif target.is_float and target.size == 2 and source.name != "float32":
        steps.append("tl.float32")
    steps.append(type_text(target))
    return value + "".join(f".to({s})" for s in steps)


def combine_name(row: Reducer, dtype: DType) -> str:
    """The device function that joins two values of a reduction; for positions, two values and where they stood."""
    return f"{row.combine}_first" if row.is_position else f"join_{row.combine}_{dtype.name}"


def combine_text(row: Reducer, dtype: DType) -> str:
    """The text of that function; that of positions is a device function of `kernels/gpu/device.py`."""
    return f"@triton.jit\ndef {combine_name(row, dtype)}(a, b):\n    return {template(row.combine, dtype).text.format('a', 'b')}"
