"""Arithmetic of numbers: Python's exact integers, floats that raise, NumPy's scalars with the types that NumPy finds.

What Python or NumPy would raise, warn of, or answer with another type is checked; where a check fails, the program bails.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np

from .....inductor.sequential.program import Apply, Check, Checked, Expr, Literal
from ....machine.operators import BINARY, COMPARE
from .kinds import BOOL, COMPLEX, FLOAT, INT, WORD_BITS, CannotRoll, Number, Size, Trace, literal
from .linear import combined
from .ufuncs import cast, expression

#: operators and the ufuncs that arrays and NumPy's scalars have for them
UFUNCS: dict[str, np.ufunc] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.true_divide, "//": np.floor_divide, "%": np.remainder,
    "**": np.power, "&": np.bitwise_and, "|": np.bitwise_or, "^": np.bitwise_xor, "<<": np.left_shift, ">>": np.right_shift,
    "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal, "==": np.equal, "!=": np.not_equal,
}  # fmt: skip
_ORDER = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}
_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
#: ints up to here are floats exactly
EXACT = 1 << 53
_EXACT = {"+": "add", "-": "sub", "*": "mul"}
_BITWISE = {"&": "and", "|": "or", "^": "xor"}


def ufunc_types(ufunc: np.ufunc, operands: list[Any]) -> tuple[np.dtype, ...]:
    """The types in which a ufunc computes, its results' last. Python's numbers give way to arrays and scalars (NEP 50)."""
    given = tuple(
        o.python_type() if isinstance(o, Number) and o.python and o.kind != "b" else o.dtype for o in operands
    )
    try:
        found = ufunc.resolve_dtypes((*given, *[None] * ufunc.nout))
    except TypeError as error:
        raise CannotRoll(f"np.{ufunc.__name__} of {', '.join(map(str, given))}") from error
    if any(
        d.kind not in "biufc" or d.itemsize > 16 or d == np.float16 or d.name in ("longdouble", "clongdouble")
        for d in found
    ):
        raise CannotRoll(f"np.{ufunc.__name__} in type {found[-1]}")
    return tuple(found)


def assigned(t: Trace, number: Number, dtype: np.dtype) -> Expr:
    """An integer as an element of integers: it must fit, whatever NumPy does with one that does not."""
    if number.kind == "u" and dtype.kind == "i" and dtype.itemsize <= number.dtype.itemsize:
        bound = Literal(int(np.iinfo(dtype).max), number.dtype.name)
        t.emit(Check(Apply("le", (number.expr, bound), "bool")))
    elif number.kind == "i" and dtype.kind in "iu":
        number = replace(number, expr=t.let(cast(number.expr, INT)), python=True)
    return fitting(t, number, dtype)


def check_between(t: Trace, e: Expr, low: int, high: int) -> None:
    """Bail where an int64 is not from `low` to `high`."""
    least, most = (Literal(n, "int64") for n in (low, high))
    t.emit(Check(Apply("both", (Apply("ge", (e, least), "bool"), Apply("le", (e, most), "bool")), "bool")))


def fitting(t: Trace, number: Number, dtype: np.dtype) -> Expr:
    """A number as an operand of type `dtype`. Python's ints must fit, or NumPy raises."""
    if number.python and number.kind == "i" and dtype.kind in "iu" and dtype != INT:
        info = np.iinfo(dtype)
        if isinstance(number.expr, Literal) and isinstance(number.expr.value, int):
            if not info.min <= number.expr.value <= info.max:
                raise CannotRoll(f"an int that does not fit {dtype}")
        else:
            check_between(t, number.expr, int(info.min), min(int(info.max), (1 << 63) - 1))
    if number.python and isinstance(number.expr, Literal) and dtype in (np.float32, np.complex64):
        if np.isfinite(number.expr.value) and not abs(number.expr.value) <= np.finfo(np.float32).max:
            raise CannotRoll(f"a number that is beyond {dtype}")  # NumPy warns
    return cast(number.expr, dtype)


def binary(t: Trace, op: str, a: Number, b: Number) -> Number:
    """`a op b` of two numbers."""
    if a.python and b.python:
        return _python_binary(t, op, a, b)
    if op == "**":
        x, y, result = ufunc_types(np.power, [a, b])
        if result.kind == "f":  # np.power is a square root where the exponent is a half, this is not
            return Number(t.let(Apply("pow", (fitting(t, a, x), fitting(t, b, y)), result.name)), result)
    return of_ufunc(t, UFUNCS[op], [a, b])


def of_ufunc(t: Trace, ufunc: np.ufunc, operands: list[Number]) -> Number:
    """A ufunc of numbers: a NumPy scalar."""
    *types, result = ufunc_types(ufunc, operands)
    args = tuple(fitting(t, o, d) for o, d in zip(operands, types))
    if result.kind in "iu" and ufunc in (np.add, np.subtract, np.multiply):  # scalars warn of overflow
        var = t.variable(result.name)
        t.emit(Checked(var, {np.add: "add", np.subtract: "sub", np.multiply: "mul"}[ufunc], args))
        return Number(var, result)
    e, guards = expression(ufunc, args, [np.dtype(d) for d in types], result)
    for guard in guards:
        t.emit(Check(guard))
    return Number(t.let(e), result)


def _python_binary(t: Trace, op: str, a: Number, b: Number) -> Number:
    if isinstance(a.expr, Literal) and isinstance(b.expr, Literal):
        return _folded(op, a, b)
    if op in _ORDER:
        return _ordered(t, op, a, b)
    if "c" in (a.kind, b.kind):
        return _complex(t, op, a, b)
    if op in _BITWISE and a.kind == b.kind == "b":
        return Number(t.let(Apply(_BITWISE[op], (a.expr, b.expr), "bool")), BOOL, True)
    if "f" in (a.kind, b.kind):
        return _float(t, op, a, b)
    return _int(t, op, a, b)


def _folded(op: str, a: Number, b: Number) -> Number:
    function = BINARY.get(op) or COMPARE.get(op)
    if function is None:
        raise CannotRoll(f"`{op}` of numbers")
    if op in ("**", "<<") and abs(b.expr.value) > 64:  # type: ignore[union-attr]
        raise CannotRoll("a large power")
    try:
        return literal(function(a.expr.value, b.expr.value))  # type: ignore[union-attr]
    except (ArithmeticError, TypeError, ValueError) as error:
        raise CannotRoll(f"an error in `{op}` of constants") from error


def _ordered(t: Trace, op: str, a: Number, b: Number) -> Number:
    if "c" in (a.kind, b.kind) and op not in ("==", "!="):
        raise CannotRoll("the order of complex numbers")
    if a.kind == b.kind == "b":
        dtype = BOOL if op in ("==", "!=") else INT
    elif {"f", "c"} & {a.kind, b.kind}:
        dtype = COMPLEX if "c" in (a.kind, b.kind) else FLOAT
        for n in (a, b):  # a large int is not what its float is
            if n.kind not in "fc" and n.bits > 53:
                check_between(t, n.expr, -EXACT, EXACT)
    else:
        dtype = INT
    e = t.let(Apply(_ORDER[op], (cast(a.expr, dtype), cast(b.expr, dtype)), "bool"))
    known = a.known is not None and b.known is not None
    expected = bool(COMPARE[op](a.known.hint, b.known.hint)) if known else None  # type: ignore[union-attr]
    return Number(e, BOOL, True, expected=expected)


def _known(op: str, a: Number, b: Number) -> Size | None:
    """What capture knows of a result of ints."""
    x, y = a.known, b.known
    if x is None or y is None:
        return None
    if op in ("+", "-", "*"):
        return x + y if op == "+" else x - y if op == "-" else x * y
    if op in ("//", "%") and x.number is not None and y.number is not None and y.number > 0:
        return Size.of(x.number // y.number if op == "//" else x.number % y.number)
    return None


def _int(t: Trace, op: str, a: Number, b: Number) -> Number:
    x, y = cast(a.expr, INT), cast(b.expr, INT)
    known = _known(op, a, b)
    natural = a.natural and b.natural
    if op in _EXACT:
        line = combined(op, a, b)
        bits = a.bits + b.bits if op == "*" else max(a.bits, b.bits) + 1
        if bits < WORD_BITS:
            return Number(
                t.let(Apply(_EXACT[op], (x, y), "int64")), INT, True, known, bits, natural and op != "-", None, line
            )
        var = t.variable("int64")
        t.emit(Checked(var, _EXACT[op], (x, y)))
        return Number(var, INT, True, known, WORD_BITS, natural and op != "-", None, line)
    if op in ("//", "%", "/"):
        if not (isinstance(y, Literal) and y.value not in (0, -1)):
            t.emit(Check(Apply("ne", (y, Literal(0, "int64")), "bool")))
            t.emit(Check(Apply("ne", (y, Literal(-1, "int64")), "bool")))
        elif y.value == 0:
            raise CannotRoll("division by zero")
    if op == "/":
        for n in (a, b):
            if n.bits > 53:
                check_between(t, cast(n.expr, INT), -EXACT, EXACT)
        return Number(t.let(Apply("div", (cast(x, FLOAT), cast(y, FLOAT)), "float64")), FLOAT, True)
    if op == "//":
        plain = natural and isinstance(y, Literal)
        e = Apply("div" if plain else "floordiv_int", (x, y), "int64")
        return Number(t.let(e), INT, True, known, a.bits, natural)
    if op == "%":
        return Number(t.let(Apply("mod_int", (x, y), "int64")), INT, True, known, b.bits, b.natural)
    if op in _BITWISE:
        return Number(t.let(Apply(_BITWISE[op], (x, y), "int64")), INT, True, None, max(a.bits, b.bits), natural)
    if op in ("<<", ">>"):
        if not (isinstance(y, Literal) and isinstance(y.value, int) and 0 <= y.value < 62):
            t.emit(Check(Apply("inside", (y, Literal(62, "int64")), "bool")))
        if op == ">>":
            return Number(t.let(Apply("shr", (x, y), "int64")), INT, True, None, a.bits, a.natural)
        var = t.variable("int64")
        t.emit(Checked(var, "mul", (x, Apply("shl", (Literal(1, "int64"), y), "int64"))))
        return Number(var, INT, True, None, WORD_BITS, a.natural)
    if op == "**" and isinstance(y, Literal) and isinstance(y.value, int) and 0 <= y.value <= 4:
        made = literal(1)
        for _ in range(y.value):
            made = _int(t, "*", made, a)
        return made
    if op == "**" and isinstance(x, Literal) and x.value == 2:
        t.emit(Check(Apply("inside", (y, Literal(62, "int64")), "bool")))
        return Number(t.let(Apply("shl", (Literal(1, "int64"), y), "int64")), INT, True, None, WORD_BITS, True)
    raise CannotRoll(f"`{op}` of ints")


def _float(t: Trace, op: str, a: Number, b: Number) -> Number:
    x, y = cast(a.expr, FLOAT), cast(b.expr, FLOAT)
    if op in _EXACT:
        return Number(t.let(Apply(_EXACT[op], (x, y), "float64")), FLOAT, True)
    if op in ("/", "//", "%"):
        if not isinstance(y, Literal):
            t.emit(Check(Apply("ne", (y, Literal(0.0, "float64")), "bool")))
        elif y.value == 0:
            raise CannotRoll("division by zero")
        name = {"/": "div", "//": "floordiv_float", "%": "mod_float"}[op]
        return Number(t.let(Apply(name, (x, y), "float64")), FLOAT, True)
    if op == "**":
        # Python gives complex numbers and errors where C gives NaN and infinity
        e = t.let(Apply("mul", (x, x), "float64") if y == Literal(2.0, "float64") else Apply("pow", (x, y), "float64"))
        t.emit(Check(Apply("isfinite", (e,), "bool")))
        return Number(e, FLOAT, True)
    raise CannotRoll(f"`{op}` of floats")


def _complex(t: Trace, op: str, a: Number, b: Number) -> Number:
    x, y = cast(a.expr, COMPLEX), cast(b.expr, COMPLEX)
    if op in _EXACT:
        return Number(t.let(Apply(_EXACT[op], (x, y), "complex128")), COMPLEX, True)
    if op == "/":
        t.emit(Check(Apply("ne", (y, Literal(0j, "complex128")), "bool")))
        return Number(t.let(Apply("quotient", (x, y), "complex128")), COMPLEX, True)
    if op == "**" and b.kind == "i":
        check_between(t, b.expr, 0, 100)  # up to there Python multiplies
        return finite(t, Number(t.let(Apply("multiplied", (x, b.expr), "complex128")), COMPLEX, True))
    raise CannotRoll(f"`{op}` of Python's complex numbers")


def finite(t: Trace, a: Number) -> Number:
    """A number of Python's; where it is infinite or none, Python has raised an error, or may have."""
    parts = [a.expr] if a.kind != "c" else [Apply(part, (a.expr,), "float64") for part in ("real", "imag")]
    for part in parts:
        t.emit(Check(Apply("isfinite", (part,), "bool")))
    return a


def unary(t: Trace, op: str, a: Number) -> Number:
    """`-a`, `+a`, `~a`."""
    if not a.python:
        ufunc = {"-": np.negative, "+": np.positive, "~": np.invert}[op]
        if a.kind in "iu" and op == "-":
            zero = Number(Literal(0, a.dtype.name), a.dtype)
            return of_ufunc(t, np.subtract, [zero, a])
        return of_ufunc(t, ufunc, [a])
    if op == "-" and a.kind == "f":
        if isinstance(a.expr, Literal):
            return literal(-a.expr.value)
        return Number(t.let(Apply("neg", (a.expr,), "float64")), FLOAT, True)
    if a.kind == "c" and op == "-":
        return Number(t.let(Apply("neg", (a.expr,), "complex128")), COMPLEX, True)
    if op == "+":
        return a if a.kind != "b" else _int(t, "+", a, literal(0))
    if op == "-":
        return _python_binary(t, "-", literal(0), a)
    if a.kind not in "ib" or a.kind == "b" and sys.version_info >= (3, 12):  # which warns of truth values
        raise CannotRoll(f"`~` of {a.python_type().__name__}")
    return _python_binary(t, "-", literal(-1), a)


def truth(t: Trace, a: Number) -> Expr:
    """`bool(a)`."""
    if a.kind == "b":
        return a.expr
    return t.let(Apply("ne", (a.expr, cast(Literal(0, "int64"), a.dtype)), "bool"))


def converted(t: Trace, a: Number, wanted: type) -> Number:
    """`int(a)`, `float(a)`, `bool(a)`."""
    if wanted is bool:
        return Number(truth(t, a), BOOL, True)
    if a.kind == "c":
        raise CannotRoll(f"{wanted.__name__}() of a complex number")
    if a.python and a.kind == "i" and wanted is int:
        return a
    if wanted is float:
        return a if a.python and a.kind == "f" else Number(t.let(cast(a.expr, FLOAT)), FLOAT, True)
    if a.kind in "ib":
        return Number(
            t.let(cast(a.expr, INT)),
            INT,
            True,
            a.known if a.python else None,
            a.bits if a.kind == "i" else 1,
            a.natural,
        )
    if a.kind == "u":
        if a.dtype.itemsize == 8:
            raise CannotRoll("int() of a uint64")
        return Number(t.let(cast(a.expr, INT)), INT, True, None, 8 * a.dtype.itemsize, True)
    limit = Literal(float(1 << 62), "float64")
    e = cast(a.expr, FLOAT)
    t.emit(Check(Apply("lt", (Apply("fabs", (e,), "float64"), limit), "bool")))
    return Number(t.let(Apply("cast", (e,), "int64")), INT, True)


def as_index(t: Trace, value: Any) -> Number:
    """A number as an index or a size. Raises CannotRoll for what is none."""
    if isinstance(value, Number) and value.kind in "iu" and (value.python or value.dtype.itemsize <= 8):
        return converted(t, value, int)
    if isinstance(value, Number) and value.kind == "b" and value.python:
        return converted(t, value, int)
    raise CannotRoll("an index that is no integer")


def smallest(t: Trace, numbers: list[Number], largest: bool) -> Number:
    """Python's `min` or `max`: the first of those that none is smaller, or larger, than."""
    first, *others = numbers
    for other in others:
        if (other.dtype, other.python) != (first.dtype, first.python):
            raise CannotRoll("min or max of numbers of different types")
        better = Apply("gt" if largest else "lt", (other.expr, first.expr), "bool")
        natural = first.natural and other.natural
        first = Number(t.let(Apply("where", (better, other.expr, first.expr), first.dtype.name)), first.dtype, first.python,
                       None, max(first.bits, other.bits), natural)  # fmt: skip
    return first


def absolute(t: Trace, a: Number) -> Number:
    """`abs(a)`."""
    if not a.python:
        if a.kind == "i":  # of the smallest there is none, of which NumPy's scalars warn
            smallest = Literal(int(np.iinfo(a.dtype).min), a.dtype.name)
            t.emit(Check(Apply("ne", (a.expr, smallest), "bool")))
        return of_ufunc(t, np.absolute, [a])
    if a.kind == "f":
        return Number(t.let(Apply("fabs", (a.expr,), "float64")), FLOAT, True)
    if a.kind == "c":
        return Number(t.let(Apply("abs_complex", (a.expr,), "float64")), FLOAT, True)
    if a.natural:
        return a
    if a.bits >= WORD_BITS:
        t.emit(Check(Apply("ne", (a.expr, Literal(-(1 << 63), "int64")), "bool")))
    return Number(t.let(Apply("abs_int", (cast(a.expr, INT),), "int64")), INT, True, None, a.bits, True)


def of_math(t: Trace, name: str, *args: Number) -> Number:
    """A function of Python's math module: it raises where C gives NaN or infinity."""
    if not all(isinstance(a, Number) and a.kind != "c" for a in args):
        raise CannotRoll(f"math.{name} of what is no real number")
    e = t.let(Apply(name, tuple(cast(a.expr, FLOAT) for a in args), "float64"))
    return finite(t, Number(e, FLOAT, True))


def of_cmath(t: Trace, name: str, a: Number) -> Number:
    """A function of Python's cmath module."""
    if not isinstance(a, Number):
        raise CannotRoll(f"cmath.{name} of what is no number")
    return finite(t, Number(t.let(Apply(name, (cast(a.expr, COMPLEX),), "complex128")), COMPLEX, True))


def rounded_to_int(t: Trace, name: str, a: Number) -> Number:
    """`math.floor(a)`, `math.ceil(a)`, `math.trunc(a)`, `round(a)`: an int of Python's. name: the function of C"""
    if not isinstance(a, Number) or a.kind not in "if":
        raise CannotRoll(f"{name} of what is no real number")
    if a.kind == "i":
        return converted(t, a, int)
    return converted(t, Number(t.let(Apply(name, (cast(a.expr, FLOAT),), "float64")), FLOAT, True), int)
