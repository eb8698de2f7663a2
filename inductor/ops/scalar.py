"""The pointwise scalar ops: the closed set that loop expressions may hold and code generators must emit.

One row: name, arity, result rule, Python meaning. The meaning is the oracle: the loop interpreter in the tests and
constant folding use it, and `codegen/*/emit` tables are checked against it.

Operands of one op share a dtype (lowering casts them); `where` takes a bool first. The result has the operands'
dtype ("same") or is bool ("bool"). Integers wrap around in their width. Float meanings follow IEEE and eager:
max/min propagate NaN, fmax/fmin ignore it, round is half-to-even, mod takes the divisor's sign, fmod the dividend's.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .facts import ALL_ERRORS, DIVIDE, INVALID, OVER, UNDER


@dataclass(frozen=True)
class ScalarOp:
    """One row.

    domain: which operand dtypes are legal: "float", "int", "bool", "number" (int or float), "integral" (int or bool), "any"
    errors: of a function on floats, the floating-point errors that it may meet; it is an op of graphs under the same name
    symbol: the operator between two operands that C and Python have for it
    cost:   hundredths of a nanosecond per float32 lane, roughly, where it is much more than an addition's
    heavy:  whether it is a function of many instructions
    exact:  whether it gives a number of a narrower type where its operands are numbers of it
    corners: whether it takes its extremes over intervals of integers where its operands take theirs
    on_bools: the op that it is over truth values, where that has another name
    swapped: the op that it is with its operands exchanged, where that is another
    """

    name: str
    arity: int
    domain: str
    result: str
    python: Callable[..., Any]
    errors: int | None = None
    symbol: str = ""
    cost: int = 0
    heavy: bool = False
    exact: bool = False
    corners: bool = False
    on_bools: str = ""
    swapped: str = ""

    @property
    def is_comparison(self) -> bool:
        return self.arity == 2 and self.result == "bool"


SCALAR: dict[str, ScalarOp] = {}


def _op(name: str, arity: int, domain: str, python: Callable[..., Any], result: str = "same", **facts: Any) -> None:
    SCALAR[name] = ScalarOp(name, arity, domain, result, python, **facts)


def _special(f: Callable[..., float], outside: float = math.nan) -> Callable[..., float]:
    """Python's math raises where IEEE gives NaN or infinity."""

    def call(*args: float) -> float:
        if any(a != a for a in args):
            return math.nan
        try:
            return f(*args)
        except ValueError:
            return outside
        except OverflowError:
            return math.inf

    return call


def _log(f: Callable[[float], float]) -> Callable[[float], float]:
    return lambda x: -math.inf if x == 0 else _special(f)(x)


def _div(a: float, b: float) -> float:
    if b != 0:
        return a / b
    if a == 0 or a != a:
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def _floordiv(a: Any, b: Any) -> Any:
    if isinstance(a, int):
        return 0 if b == 0 else a // b  # eager raises for integers; lowering never relies on this value
    return math.floor(_div(a, b)) if b != 0 and math.isfinite(a) and math.isfinite(b) else _div(a, b)


def _mod(a: Any, b: Any) -> Any:
    if isinstance(a, int):
        return 0 if b == 0 else a % b
    if b == 0 or math.isinf(a) or a != a or b != b:
        return math.nan
    r = math.fmod(a, b)
    return r + b if r != 0 and (r < 0) != (b < 0) else r


def _fmod(a: Any, b: Any) -> Any:
    if isinstance(a, int):
        return 0 if b == 0 else int(math.fmod(a, b)) if abs(a) < 1 << 52 else a - b * int(a / b)
    return _special(math.fmod)(a, b)


def _pick(a: Any, b: Any, first: bool) -> Any:
    if a != a or b != b:
        return math.nan
    return a if first else b


def _pow(a: Any, b: Any) -> Any:
    if isinstance(a, int):
        return a**b if b >= 0 else (1 if a == 1 else (1 if b % 2 == 0 else -1) if a == -1 else 0)
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        if a == 0:  # a negative power of zero: only an odd one keeps the zero's sign
            return math.copysign(math.inf, a) if b % 2 == 1 else math.inf
        return math.nan


def _atanh(x: float) -> float:
    return math.copysign(math.inf, x) if abs(x) == 1 else math.atanh(x)


def _keep(f: Callable[[float], int]) -> Callable[[Any], Any]:
    """Rounding keeps infinities, NaN and the sign of zero."""
    return lambda x: x if isinstance(x, int) or not math.isfinite(x) else math.copysign(float(f(x)), x)


# unary, floats
_op("exp", 1, "float", _special(math.exp), heavy=True, cost=35, errors=OVER | UNDER)
_op("exp2", 1, "float", _special(lambda x: 2.0**x), heavy=True, cost=30, errors=OVER | UNDER)
_op("expm1", 1, "float", _special(math.expm1), heavy=True, cost=45, errors=OVER | UNDER)
_op("log", 1, "float", _log(math.log), heavy=True, cost=60, errors=DIVIDE | INVALID)
_op("log2", 1, "float", _log(math.log2), heavy=True, cost=60, errors=DIVIDE | INVALID)
_op("log10", 1, "float", _log(math.log10), heavy=True, cost=60, errors=DIVIDE | INVALID)
_op(
    "log1p",
    1,
    "float",
    lambda x: -math.inf if x == -1 else _special(math.log1p)(x),
    heavy=True,
    cost=80,
    errors=DIVIDE | UNDER | INVALID,
)
_op("sqrt", 1, "float", _special(math.sqrt), cost=30, errors=INVALID)
_op("rsqrt", 1, "float", lambda x: _div(1.0, _special(math.sqrt)(x)), cost=40, errors=ALL_ERRORS)
_op("sin", 1, "float", _special(math.sin), heavy=True, cost=50, errors=INVALID | UNDER)
_op("cos", 1, "float", _special(math.cos), heavy=True, cost=50, errors=INVALID)
_op("tan", 1, "float", _special(math.tan), heavy=True, cost=110, errors=INVALID | UNDER)
_op("asin", 1, "float", _special(math.asin), heavy=True, cost=100, errors=INVALID | UNDER)
_op("acos", 1, "float", _special(math.acos), heavy=True, cost=50, errors=INVALID)
_op("atan", 1, "float", math.atan, heavy=True, cost=45, errors=UNDER)
_op(
    "sinh",
    1,
    "float",
    lambda x: math.copysign(_special(math.sinh)(abs(x)), x),
    heavy=True,
    cost=130,
    errors=OVER | UNDER,
)
_op("cosh", 1, "float", _special(math.cosh), heavy=True, cost=130, errors=OVER)
_op("tanh", 1, "float", math.tanh, heavy=True, cost=65, errors=UNDER)
_op("asinh", 1, "float", math.asinh, heavy=True, cost=200, errors=UNDER)
_op("acosh", 1, "float", _special(math.acosh), heavy=True, cost=200, errors=INVALID)
_op("atanh", 1, "float", _special(_atanh), heavy=True, cost=200, errors=DIVIDE | UNDER | INVALID)
_op("erf", 1, "float", math.erf, heavy=True, cost=70, errors=ALL_ERRORS)
_op("erfc", 1, "float", math.erfc, heavy=True, cost=320, errors=ALL_ERRORS)
_op("lgamma", 1, "float", _special(math.lgamma, math.inf), heavy=True, cost=3000, errors=ALL_ERRORS)
_op(
    "sigmoid",
    1,
    "float",
    lambda x: 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x)),
    heavy=True,
    cost=45,
    errors=ALL_ERRORS,
)
_op("floor", 1, "float", _keep(math.floor))
_op("ceil", 1, "float", _keep(math.ceil))
_op("trunc", 1, "float", _keep(math.trunc))
_op("round", 1, "float", _keep(round))
_op("isnan", 1, "float", lambda x: x != x, "bool")
_op("isinf", 1, "float", math.isinf, "bool")
_op("signbit", 1, "float", lambda x: math.copysign(1.0, x) < 0, "bool")
# unary, numbers
_op("neg", 1, "number", operator.neg, exact=True, corners=True)
_op("abs", 1, "number", abs, exact=True)
_op("sign", 1, "number", lambda x: x if x != x else type(x)((x > 0) - (x < 0)))
_op("not", 1, "integral", lambda x: (not x) if isinstance(x, bool) else ~x)
# binary
_op("add", 2, "number", operator.add, symbol="+", corners=True)
_op("sub", 2, "number", operator.sub, symbol="-", corners=True)
_op("mul", 2, "number", operator.mul, symbol="*", corners=True)
_op("div", 2, "float", _div, symbol="/", cost=20)
_op("floordiv", 2, "number", _floordiv, cost=80)
_op("mod", 2, "number", _mod, cost=60)
_op("fmod", 2, "number", _fmod, cost=55)
_op("pow", 2, "number", _pow, heavy=True, cost=250)
_op("atan2", 2, "float", math.atan2, heavy=True, cost=75)
_op("hypot", 2, "float", math.hypot, heavy=True, cost=100)
_op("copysign", 2, "float", math.copysign)
_op("nextafter", 2, "float", math.nextafter, cost=50)
_op("max", 2, "any", lambda a, b: _pick(a, b, a >= b), exact=True, corners=True, on_bools="or")
_op("min", 2, "any", lambda a, b: _pick(a, b, a <= b), exact=True, corners=True, on_bools="and")
_op("fmax", 2, "float", lambda a, b: b if a != a else a if b != b else max(a, b))
_op("fmin", 2, "float", lambda a, b: b if a != a else a if b != b else min(a, b))
_op("and", 2, "integral", operator.and_, symbol="&")
_op("or", 2, "integral", operator.or_, symbol="|")
_op("xor", 2, "integral", operator.xor, symbol="^")
_op("shl", 2, "int", lambda a, b: a << b)
_op("shr", 2, "int", lambda a, b: a >> b)
_op("eq", 2, "any", operator.eq, "bool", symbol="==")
_op("ne", 2, "any", operator.ne, "bool", symbol="!=")
_op("lt", 2, "any", operator.lt, "bool", symbol="<", swapped="gt")
_op("le", 2, "any", operator.le, "bool", symbol="<=", swapped="ge")
_op("gt", 2, "any", operator.gt, "bool", symbol=">", swapped="lt")
_op("ge", 2, "any", operator.ge, "bool", symbol=">=", swapped="le")
# ternary
_op("where", 3, "any", lambda c, a, b: a if c else b, exact=True)
_op("fma", 3, "float", lambda a, b, c: a * b + c)
