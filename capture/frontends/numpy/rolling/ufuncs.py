"""NumPy's ufuncs as operations of sequential programs: what each computes of operands of its types, and what must hold for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .....inductor.sequential.program import Apply, Expr, Literal
from .kinds import INT, CannotRoll


def cast(e: Expr, dtype: np.dtype) -> Expr:
    """An expression in another type."""
    if e.type == dtype.name:
        return e
    if isinstance(e, Literal) and dtype.kind in "fc" and not isinstance(e.value, complex):
        if dtype != np.float32 or float(np.float32(e.value)) == e.value:
            return Literal(float(e.value) if dtype.kind == "f" else complex(e.value), dtype.name)
    return Apply("cast", (e,), dtype.name)


_FLOAT_UNARY = {
    np.sqrt: "sqrt", np.exp: "exp", np.exp2: "exp2", np.expm1: "expm1", np.log: "log", np.log2: "log2", np.log10: "log10",
    np.log1p: "log1p", np.sin: "sin", np.cos: "cos", np.tan: "tan", np.arcsin: "asin", np.arccos: "acos", np.arctan: "atan",
    np.sinh: "sinh", np.cosh: "cosh", np.tanh: "tanh", np.arcsinh: "asinh", np.arccosh: "acosh", np.arctanh: "atanh",
    np.floor: "floor", np.ceil: "ceil", np.trunc: "trunc", np.rint: "rint", np.fabs: "fabs", np.cbrt: "cbrt",
}  # fmt: skip
_COMPLEX_UNARY = {
    np.exp: "exp", np.log: "log", np.sqrt: "sqrt", np.sin: "sin", np.cos: "cos", np.tan: "tan", np.sinh: "sinh",
    np.cosh: "cosh", np.tanh: "tanh", np.reciprocal: "reciprocal",
}  # fmt: skip
_TESTS = {np.isnan: "isnan", np.isinf: "isinf", np.isfinite: "isfinite", np.signbit: "signbit"}
_ARITHMETIC = {np.add: "add", np.subtract: "sub", np.multiply: "mul"}
_ORDER = {
    np.less: "lt", np.less_equal: "le", np.greater: "gt", np.greater_equal: "ge", np.equal: "eq", np.not_equal: "ne",
}  # fmt: skip
_BITWISE = {np.bitwise_and: "and", np.bitwise_or: "or", np.bitwise_xor: "xor"}
_LOGICAL = {np.logical_and: "both", np.logical_or: "either"}
_FLOAT_BINARY = {
    np.arctan2: "atan2",
    np.hypot: "hypot",
    np.copysign: "copysign",
    np.fmod: "fmod",
    np.fmax: "fmax",
    np.fmin: "fmin",
}


def expression(
    ufunc: np.ufunc, args: tuple[Expr, ...], types: Sequence[np.dtype], result: np.dtype, single: bool = True
) -> tuple[Expr, tuple[Expr, ...]]:
    """What a ufunc computes of operands of its types, and what must hold for it. Raises CannotRoll for one that is in no table.

    single: the last operand is a number
    """
    kind, name = types[0].kind, result.name
    zero = Literal(0, types[-1].name)

    def made(op: str, *operands: Expr) -> tuple[Expr, tuple[Expr, ...]]:
        return Apply(op, operands or args, name), ()

    if ufunc in _ARITHMETIC and kind != "b":
        return made(_ARITHMETIC[ufunc])
    if ufunc is np.add or ufunc is np.multiply:
        return made("or" if ufunc is np.add else "and")
    if ufunc in _ORDER:
        if kind == "c" and ufunc not in (np.equal, np.not_equal):
            raise CannotRoll("the order of complex numbers")
        if types[0] != types[1]:
            raise CannotRoll(f"the order of {types[0]} and {types[1]}")
        return made(_ORDER[ufunc])
    if ufunc is np.true_divide and kind in "fc":
        return made("div")
    if ufunc in (np.floor_divide, np.remainder) and kind in "iuf":
        op = "floordiv" if ufunc is np.floor_divide else "mod"
        if kind == "f":
            return made(f"{op}_float")
        guards = [Apply("ne", (args[1], zero), "bool")]
        if kind == "i":
            guards.append(Apply("ne", (args[1], Literal(-1, types[1].name)), "bool"))
        if isinstance(args[1], Literal) and args[1].value not in (0, -1):
            guards = []
        return Apply(f"{op}_int", args, name), tuple(guards)
    if ufunc in _FLOAT_UNARY and kind == "f":
        return made(_FLOAT_UNARY[ufunc])
    if ufunc in _COMPLEX_UNARY and kind == "c":
        return made(_COMPLEX_UNARY[ufunc])
    if ufunc in _TESTS and kind == "f":
        return made(_TESTS[ufunc])
    if ufunc in _TESTS and kind in "biu":
        return Literal(ufunc is np.isfinite, "bool"), ()
    if ufunc in _BITWISE and kind in "biu":
        return made(_BITWISE[ufunc])
    if ufunc in (np.left_shift, np.right_shift) and kind in "iu":
        inside = Apply("inside", (cast(args[1], INT), Literal(8 * types[0].itemsize - 1, "int64")), "bool")
        return Apply("shl" if ufunc is np.left_shift else "shr", args, name), (inside,)
    if ufunc is np.invert and kind in "biu":
        return made("not" if kind == "b" else "invert")
    if ufunc in _LOGICAL:
        return made(_LOGICAL[ufunc], *(truth_of(a, d) for a, d in zip(args, types)))
    if ufunc is np.logical_xor:
        return made("ne", *(truth_of(a, d) for a, d in zip(args, types)))
    if ufunc is np.logical_not:
        return made("not", truth_of(args[0], types[0]))
    if ufunc is np.negative and kind in "iufc":
        return made("neg")
    if ufunc is np.positive:
        return args[0], ()
    if ufunc is np.absolute and kind in "iufcb":
        if kind in "ub":
            return args[0], ()
        return made({"f": "fabs", "i": "abs_int", "c": "abs_complex"}[kind])
    if ufunc is np.square and kind in "iufc":
        return made("mul", args[0], args[0])
    if ufunc is np.reciprocal and kind == "f":
        return made("div", Literal(1.0, name), args[0])
    if ufunc is np.sign and kind in "if":
        return made("sign")
    if ufunc in (np.maximum, np.minimum):
        if kind == "b":
            return made("or" if ufunc is np.maximum else "and")
        if kind in "iuf":
            return made("max" if ufunc is np.maximum else "min")
    if ufunc in _FLOAT_BINARY and kind == "f":
        return made(_FLOAT_BINARY[ufunc])
    if ufunc is np.power:
        return _power(args, types, name, single)
    if ufunc is np.conjugate:
        return (args[0], ()) if kind != "c" else made("conj")
    raise CannotRoll(f"np.{ufunc.__name__} of {types[0]}")


def truth_of(e: Expr, dtype: np.dtype) -> Expr:
    """Whether a number is not zero."""
    return e if dtype.kind == "b" else Apply("ne", (e, cast(Literal(0, "int64"), dtype)), "bool")


def _power(args: tuple[Expr, ...], types: Sequence[np.dtype], name: str, single: bool) -> tuple[Expr, tuple[Expr, ...]]:
    base, exponent = args
    kind = types[0].kind
    if isinstance(exponent, Literal) and kind in "ifu":
        value = exponent.value
        if value == 2:
            return Apply("mul", (base, base), name), ()
        if value == 1:
            return base, ()
        if value == 0.5 and kind == "f":
            return Apply("sqrt", (base,), name), ()
        if value == -1 and kind == "f":
            return Apply("div", (Literal(1.0, name), base), name), ()
    if kind == "f":
        power = Apply("pow", args, name)
        if not single or isinstance(exponent, Literal):
            return power, ()
        # of infinity and of -0.0 a square root is another number
        half = Apply("eq", (exponent, Literal(0.5, name)), "bool")
        root = Apply("sqrt", (Apply("where", (half, base, Literal(1.0, name)), name),), name)
        return Apply("where", (half, root, power), name), ()
    if kind in "iu":
        natural = (Apply("ge", (exponent, Literal(0, types[1].name)), "bool"),) if kind == "i" else ()
        return Apply("power_int", args, name), natural
    return Apply("pow", args, name), ()
