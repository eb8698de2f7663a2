"""Elementwise functions: NumPy's ufuncs as table ops, with NumPy's own promotion (NEP 50).

Types come from `ufunc.resolve_dtypes`: Python numbers are weak, everything else, 0-d arrays and NumPy scalars included,
is strong. Operands are cast to the loop's types before the op, so table ops meet equal dtypes. A ufunc without a rule
here, complex operands, and integer cases that NumPy checks at run time run as NumPy's own call inside the graph.
"""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....inductor.graph import Dim, Input
from ....inductor.ops.facts import DIVIDE, OVER
from ....inductor.ops.promotion import broadcast_shapes
from ...values.number import INT64
from . import layout
from .arrays import Array, Masked, any_array, known_number, same_mask, unsupported
from .builder import ArrayBuilder

Rule = Callable[..., Array]

#: ufunc -> rule(b, *operands already cast) -> result
RULES: dict[np.ufunc, Rule] = {}

_BOOL = np.dtype(bool)
#: what ufuncs are captured with, sizes aside
_OPERANDS = (Array, Masked, bool, int, float, complex, np.generic, np.ndarray)
_COMPARISONS: dict[np.ufunc, tuple[bool, bool]] = {
    np.equal: (False, False), np.not_equal: (True, True), np.less: (True, False), np.less_equal: (True, False),
    np.greater: (False, True), np.greater_equal: (False, True),
}  # fmt: skip


# --------------------------------------------------------------------------- types


def is_weak(value: Any) -> bool:
    """A Python number, whose type gives way to an array's. (A bool is as strong as an array of bools.)"""
    return (
        type(value) in (int, float, complex)
        or layout.is_size(value)
        or (isinstance(value, Array) and value.number in (int, float))
    )


def weak_type(value: Any) -> type:
    """int, float or complex for a weak operand."""
    return int if layout.is_size(value) else value.number if isinstance(value, Array) else type(value)  # type: ignore[return-value]


def resolve(
    ufunc: np.ufunc, operands: Sequence[Any], dtype: Any = None, casting: Any = "same_kind"
) -> Sequence[np.dtype]:
    """The loop's dtypes: those of the inputs, then of the outputs. Raises what the ufunc itself would raise."""
    given = [weak_type(o) if is_weak(o) else o.dtype if hasattr(o, "dtype") else np.result_type(o) for o in operands]
    if all(isinstance(g, type) for g in given):
        given = [np.dtype(weak_type(o)) for o in operands]
    more: dict[str, Any] = (
        {} if dtype is None else {"signature": (*(None,) * ufunc.nin, *(np.dtype(dtype),) * ufunc.nout)}
    )
    return ufunc.resolve_dtypes((*given, *(None,) * ufunc.nout), casting=casting, **more)


def operand(b: ArrayBuilder, value: Any, dtype: np.dtype) -> Array:
    """A ufunc's operand in the loop's dtype, or a number in that of what it is stored into.

    Raises OverflowError for a Python int that does not fit; a float is stored into integers by way of one.
    """
    if type(value) in (int, float, complex, bool):
        with b.at_once():
            return b.number(value, dtype)
    kind = value.number if isinstance(value, Array) else int if layout.is_size(value) else None
    if dtype.kind in "iu" and kind in (int, float):
        changing = value.changing if isinstance(value, Array) else None
        if changing is not None and kind is float:
            changing.as_constant()
        elif changing is not None:
            limits = np.iinfo(dtype)
            changing.check_range(b.ev, int(limits.min), int(min(limits.max, INT64[1])))
        elif kind is float or dtype.itemsize < 8:
            raise unsupported("a computed Python number with an array of integers", why="NumPy checks that it fits")
    if layout.is_size(value):
        return b.fresh(b.emit("scalar", value=value, dtype=b.dtype(dtype)), scalar=True)
    return b.converted(b.lift(value), dtype)


# --------------------------------------------------------------------------- the call


def call_ufunc(b: ArrayBuilder, ufunc: np.ufunc, *args: Any, out: Any = None, where: Any = True, dtype: Any = None,
               casting: str = "same_kind", order: str = "K", subok: bool = True, signature: Any = None) -> Any:  # fmt: skip
    """`ufunc(*args, ...)`."""
    if signature is not None or order not in ("K", "C"):
        raise unsupported(f"np.{ufunc.__name__} with signature= or order=", rewrite="leave it out, or cast the result")
    inputs, outs = list(args[: ufunc.nin]), list(args[ufunc.nin :])
    if outs and ufunc in (np.maximum, np.minimum):
        raise unsupported(
            f"np.{ufunc.__name__} with a third argument", why="NumPy warns of it", rewrite="give it as out="
        )
    if len(inputs) < ufunc.nin:
        raise TypeError(f"{ufunc.__name__}() takes from {ufunc.nin} to {ufunc.nargs} positional arguments but "
                        f"{len(args)} were given")  # fmt: skip
    if out is not None:
        outs = list(out) if isinstance(out, tuple) else [out]
    outs += [None] * (ufunc.nout - len(outs))
    inputs = [b.from_list(i) if isinstance(i, (list, tuple)) else i for i in inputs]
    for i in inputs:
        if not isinstance(i, _OPERANDS) and not layout.is_size(i):
            raise unsupported(f"np.{ufunc.__name__} of an object of type {type(i).__name__}")
    if any(isinstance(i, Masked) for i in inputs):
        if where is not True or dtype is not None or ufunc.nout != 1 or any(o is not None for o in outs):
            raise unsupported(f"np.{ufunc.__name__} with these arguments on elements chosen by a mask")
        return _on_chosen(b, ufunc, inputs)
    if where is not True and b.settings.count(b.ev):
        inputs = [_where_chosen(b, where, i) for i in inputs]
    results = _at_once(b, ufunc, inputs, dtype=dtype, casting=casting) or _results(b, ufunc, inputs, dtype, casting)
    if where is not True:
        results = [_choose(b, where, r, o) for r, o in zip(results, outs)]
    if order == "C":
        results = [r if r.scalar or layout.is_c_contiguous(r.shape, r.strides) else b.copy(r, "C") for r in results]
    finished = tuple(b.into(o, r, casting, spreads=True) for o, r in zip(outs, results))
    return finished[0] if len(finished) == 1 else finished


#: operators that warn where integer scalars overflow; the functions of that name do not, nor do arrays
_OVERFLOWING: dict[np.ufunc, Callable[..., Any]] = {
    np.add: operator.add, np.subtract: operator.sub, np.multiply: operator.mul, np.negative: operator.neg,
    np.absolute: operator.abs,
}  # fmt: skip


def call_operator(b: ArrayBuilder, ufunc: np.ufunc, *operands: Any) -> Any:
    """A ufunc as Python's operator: NumPy itself computes with integer scalars, and looks for an overflow."""
    if ufunc not in _OVERFLOWING or not all(map(_is_integer_scalar, operands)) or not b.settings.count(b.ev) & OVER:
        return call_ufunc(b, ufunc, *operands)
    known = _at_once(b, _OVERFLOWING[ufunc], operands)
    if known:
        return known[0]
    *types, out = resolve(ufunc, operands)
    given = [operand(b, o, t) for o, t in zip(operands, types)]
    target = f"quern.capture.frontends.numpy.checks:scalar_{ufunc.__name__}"
    return b.extern(target, given, [Input(i) for i in range(len(given))], (), out)


def _is_integer_scalar(value: Any) -> bool:
    if isinstance(value, Array):
        return value.number is int or value.scalar and value.number is None and value.dtype.kind in "iu"
    return type(value) is int or isinstance(value, np.integer)


def _at_once(b: ArrayBuilder, function: Callable[..., Any], inputs: Sequence[Any], **settings: Any) -> Sequence[Array]:
    """The results where all operands are numbers that are known now; nothing otherwise."""
    values = []
    for value in inputs:
        if isinstance(value, Array):
            number = known_number(value)
            if number is None or value.ndim or value.number:
                return []
            value = np.asarray(number, value.dtype)[()]
        elif layout.is_size(value):
            return []
        values.append(value)
    with b.at_once():
        results = function(*values, **settings)
    return [b.number(r, r.dtype) for r in (results if isinstance(results, tuple) else (results,))]


def _on_chosen(b: ArrayBuilder, ufunc: np.ufunc, inputs: Sequence[Any]) -> Masked:
    """A ufunc of elements chosen by one mask, and of numbers: done to all elements."""
    chosen = [i for i in inputs if isinstance(i, Masked)]
    rest = chosen[0].array.ndim - chosen[0].mask.ndim
    if not all(same_mask(chosen[0], c, b.ev) for c in chosen[1:]):
        raise unsupported("elements chosen by different masks", code="data-dependent-shape")
    if any(c.array.ndim - c.mask.ndim != rest for c in chosen) or any(
        isinstance(i, Array) and i.ndim > rest for i in inputs
    ):
        raise unsupported(
            "elements chosen by a mask together with an array of another shape", code="data-dependent-shape"
        )
    result = call_ufunc(b, ufunc, *[i.array if isinstance(i, Masked) else i for i in inputs])
    return Masked(result, chosen[0].mask)


def _where_chosen(b: ArrayBuilder, where: Any, value: Any) -> Any:
    """An operand with ones where `where=` leaves elements out: NumPy computes nothing there, and meets no errors."""
    if not isinstance(value, Array) or value.kind not in "iuf" or value.number:
        return value
    return b.elementwise("where", b.cast(b.lift(where), _BOOL), value, _c(b, value, 1))


def _choose(b: ArrayBuilder, where: Any, result: Array, out: Array | None) -> Array:
    """`where=`: elements that are not chosen keep what `out` holds; without `out` they may be anything."""
    if out is None:
        return _broadcast_with(b, result, b.lift(where))
    mask = b.cast(b.lift(where), _BOOL)
    if not np.can_cast(result.dtype, out.dtype, "same_kind"):
        raise TypeError(f"Cannot cast ufunc output from {result.dtype!r} to {out.dtype!r}")
    return b.elementwise("where", mask, b.cast(result, out.dtype), out)


def _broadcast_with(b: ArrayBuilder, a: Array, other: Array) -> Array:
    shape = broadcast_shapes(a.shape, other.shape)
    return a if shape == a.shape else b.copy(b.view(a, "expand", shape=shape), "C")


def _results(b: ArrayBuilder, ufunc: np.ufunc, inputs: Sequence[Any], dtype: Any, casting: str) -> Sequence[Array]:
    if ufunc.signature is not None:
        raise unsupported(f"np.{ufunc.__name__} with these arguments")
    types = resolve(ufunc, inputs, dtype, casting)
    if ufunc is np.divmod and not _needs_numpy(ufunc, types):
        operands = [operand(b, i, t) for i, t in zip(inputs, types)]
        made = [RULES[part](b, *operands) for part in (np.floor_divide, np.remainder)]
        strides = layout.elementwise_strides([(o.shape, o.strides) for o in operands], made[0].shape)
        return [b.laid_out(m, strides) for m in made]
    rule = RULES.get(ufunc)
    if rule is None or _needs_numpy(ufunc, types) or (ufunc in _INTEGER_POWERS and _is_integer_power(inputs, types)):
        return _as_numpy(b, ufunc, inputs, types, dtype)
    try:
        operands = [operand(b, i, t) for i, t in zip(inputs, _computing_types(ufunc, types))]
    except OverflowError:
        if ufunc not in _COMPARISONS:
            raise
        if any(isinstance(i, Array) and i.kind == "b" for i in inputs):  # an int beside bools is an int64
            raise
        return [_compare_unrepresentable(b, ufunc, inputs)]
    result = b.cast(rule(b, *operands), types[-1])
    return [_in_layout(b, result, inputs, types, operands)]


def _in_layout(
    b: ArrayBuilder, result: Array, inputs: Sequence[Any], types: Sequence[np.dtype], operands: Sequence[Array]
) -> Array:
    """A result as NumPy lays it out: a rule of several ops may have lost sight of an operand's layout on the way."""
    layouts = [(o.shape, o.strides) for o in operands]
    uncast = all(not isinstance(i, Array) or not i.ndim or i.dtype == t for i, t in zip(inputs, types))
    if uncast and _lies_by_columns(layouts, result.shape):
        strides = layout.order_strides(result.shape, result.strides, "F")
        return result if result.strides == strides else b.call("clone", result, strides=strides, scalar=result.scalar)
    return b.laid_out(result, layout.elementwise_strides(layouts, result.shape))


def _lies_by_columns(operands: Sequence[tuple[Sequence[Dim], Sequence[Dim]]], shape: Sequence[Dim]) -> bool:
    """Whether NumPy runs through the operands as one row, and lays out a new result as they lie: by columns."""
    arrays = [(s, strides) for s, strides in operands if s]
    return (
        bool(arrays)
        and all(s == shape and layout.is_f_contiguous(s, strides) for s, strides in arrays)
        and not all(layout.is_c_contiguous(s, strides) for s, strides in arrays)
    )


def _computing_types(ufunc: np.ufunc, types: Sequence[np.dtype]) -> Sequence[np.dtype]:
    """The operands' dtypes for the op: float functions of integers compute in the result's type."""
    out = types[-1]
    return [out if t.kind in "biu" and out.kind == "f" else t for t in types[: ufunc.nin]]


def _needs_numpy(ufunc: np.ufunc, types: Sequence[np.dtype]) -> bool:
    """Complex numbers, reciprocals of integers, neighbours of halves (kernels compute those in float32), and NumPy's exact
    comparisons of int64 with uint64.
    """
    inputs = types[: ufunc.nin]
    if (ufunc is np.reciprocal and types[0].kind in "iu") or (ufunc is np.nextafter and types[0] == np.float16):
        return True
    return any(t.kind == "c" for t in types) or (len(inputs) == 2 and {t.name for t in inputs} == {"int64", "uint64"})


def _as_numpy(
    b: ArrayBuilder, ufunc: np.ufunc, inputs: Sequence[Any], types: Sequence[np.dtype], dtype: Any
) -> Sequence[Array]:
    """The ufunc's own call, as one node of the graph."""
    target = target_of(ufunc)
    arrays: list[Array] = []
    args: list[Any] = []
    shapes = []
    for value in inputs:
        if type(value) in (int, float, complex) or layout.is_size(value):  # a Python int when it is called
            args.append(value)
            continue
        if isinstance(value, Array) and value.number:
            raise unsupported(f"np.{ufunc.__name__} of a computed Python number")
        a = b.lift(value)
        args.append(Input(len(arrays)))
        arrays.append(a)
        shapes.append((a.shape, a.strides))
    shape = broadcast_shapes(*(s for s, _ in shapes))
    strides = layout.elementwise_strides(shapes, shape)
    kwargs = {} if dtype is None else {"dtype": np.dtype(dtype).name}
    if ufunc.nout == 1:
        return [b.extern(target, arrays, args, shape, types[-1], strides=strides, kwargs=kwargs)]
    if kwargs:
        raise unsupported(f"np.{ufunc.__name__} with dtype=")
    return b.extern_several(target, arrays, args, [b.meta(shape, t, strides) for t in types[ufunc.nin :]])


def target_of(ufunc: np.ufunc) -> str:
    """Where another process finds the ufunc. Raises Unsupported for one that no known module exports."""
    name = ufunc.__name__
    for module in ("numpy", "scipy.special"):
        if getattr(sys.modules.get(module), name, None) is ufunc:
            return f"{module}:{name}"
    raise unsupported(f"the ufunc {name!r}", why="it is exported neither by numpy nor by scipy.special")


def _compare_unrepresentable(b: ArrayBuilder, ufunc: np.ufunc, inputs: Sequence[Any]) -> Array:
    """A comparison with a Python int outside the array's type: known without looking at the array."""
    weak_first = is_weak(inputs[0])
    number, array = inputs if weak_first else (inputs[1], inputs[0])
    # (answer for array < number, answer for array > number)
    below, above = _COMPARISONS[ufunc]
    number_is_large = (number > 0) != weak_first
    a = b.lift(array)
    strides = layout.elementwise_strides([(a.shape, a.strides)], a.shape)
    return b.full(a.shape, below if number_is_large else above, _BOOL, strides=strides)


# --------------------------------------------------------------------------- rules


def rule(*ufuncs: np.ufunc) -> Callable[[Rule], Rule]:
    """Register a rule for ufuncs."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(ufuncs, function))
        return function

    return register


def _op(name: str) -> Rule:
    return lambda b, *operands: b.elementwise(name, *operands)


for _ufunc, _name in (
    (np.add, "add"), (np.subtract, "sub"), (np.multiply, "mul"), (np.true_divide, "div"), (np.negative, "neg"),
    (np.fabs, "abs"), (np.rint, "round"), (np.signbit, "signbit"),
    (np.exp, "exp"), (np.exp2, "exp2"), (np.expm1, "expm1"), (np.log, "log"), (np.log2, "log2"), (np.log10, "log10"),
    (np.log1p, "log1p"), (np.sqrt, "sqrt"), (np.sin, "sin"), (np.cos, "cos"), (np.tan, "tan"), (np.arcsin, "asin"),
    (np.arccos, "acos"), (np.arctan, "atan"), (np.sinh, "sinh"), (np.cosh, "cosh"), (np.tanh, "tanh"),
    (np.arcsinh, "asinh"), (np.arccosh, "acosh"), (np.arctanh, "atanh"), (np.isnan, "isnan"), (np.isinf, "isinf"),
    (np.isfinite, "isfinite"), (np.maximum, "maximum"), (np.minimum, "minimum"), (np.fmax, "fmax"), (np.fmin, "fmin"),
    (np.arctan2, "atan2"), (np.hypot, "hypot"), (np.copysign, "copysign"), (np.nextafter, "nextafter"),
    (np.bitwise_and, "bitwise_and"), (np.bitwise_or, "bitwise_or"), (np.bitwise_xor, "bitwise_xor"),
    (np.invert, "bitwise_not"), (np.left_shift, "bitwise_left_shift"), (np.right_shift, "bitwise_right_shift"),
    (np.logical_and, "logical_and"), (np.logical_or, "logical_or"), (np.logical_xor, "logical_xor"),
    (np.logical_not, "logical_not"), (np.equal, "eq"), (np.not_equal, "ne"), (np.less, "lt"), (np.less_equal, "le"),
    (np.greater, "gt"), (np.greater_equal, "ge"),
):  # fmt: skip
    RULES[_ufunc] = _op(_name)


def _c(b: ArrayBuilder, like: Array, value: float) -> Array:
    return b.number(value, like.dtype)


@rule(np.positive, np.conjugate)
def _positive(b: ArrayBuilder, x: Array) -> Array:
    return b.same(x)


def _rounding(name: str) -> Rule:
    """Integers and booleans are whole already."""
    return lambda b, x: b.elementwise(name, x) if x.kind == "f" else _positive(b, x)


@rule(np.absolute)
def _absolute(b: ArrayBuilder, x: Array) -> Array:
    return _positive(b, x) if x.kind in "bu" else b.elementwise("abs", x)


RULES[np.floor], RULES[np.ceil], RULES[np.trunc] = _rounding("floor"), _rounding("ceil"), _rounding("trunc")


@rule(np.sign)
def _sign(b: ArrayBuilder, x: Array) -> Array:
    sign = b.elementwise("sign", x)
    return b.elementwise("where", b.elementwise("isnan", x), x, sign) if x.kind == "f" else sign


@rule(np.square)
def _square(b: ArrayBuilder, x: Array) -> Array:
    return b.elementwise("mul", x, x)


@rule(np.reciprocal)
def _reciprocal(b: ArrayBuilder, x: Array) -> Array:
    return b.elementwise("div", _c(b, x, 1.0), x)


@rule(np.degrees, np.rad2deg)
def _degrees(b: ArrayBuilder, x: Array) -> Array:
    return b.elementwise("mul", x, _c(b, x, 180.0 / math.pi))


@rule(np.radians, np.deg2rad)
def _radians(b: ArrayBuilder, x: Array) -> Array:
    return b.elementwise("mul", x, _c(b, x, math.pi / 180.0))


@rule(np.heaviside)
def _heaviside(b: ArrayBuilder, x: Array, at_zero: Array) -> Array:
    zero = _c(b, x, 0.0)
    step = b.cast(b.elementwise("gt", x, zero), x.dtype)
    value = b.elementwise("where", b.elementwise("eq", x, zero), at_zero, step)
    return b.elementwise("where", b.elementwise("isnan", x), x, value)


def _log_of_sum(log_two: float, exp: str, log1p: Callable[[ArrayBuilder, Array], Array]) -> Rule:
    """log(exp(x) + exp(y)) around the larger; equal operands (infinities too) are their own case."""

    def apply(b: ArrayBuilder, x: Array, y: Array) -> Array:
        top = b.elementwise("maximum", x, y)
        gap = b.elementwise("neg", b.elementwise("abs", b.elementwise("sub", x, y)))
        apart = b.elementwise("add", top, log1p(b, b.elementwise(exp, gap)))
        together = b.elementwise("add", x, _c(b, x, log_two))
        return b.elementwise("where", b.elementwise("eq", x, y), together, apart)

    return apply


RULES[np.logaddexp] = _log_of_sum(math.log(2.0), "exp", _op("log1p"))
RULES[np.logaddexp2] = _log_of_sum(
    1.0, "exp2", lambda b, x: b.elementwise("mul", b.elementwise("log1p", x), _c(b, x, 1.0 / math.log(2.0)))
)


# --------------------------------------------------------------------------- division


def _checked_divisor(b: ArrayBuilder, x: Array, y: Array) -> Array:
    """The divisor of integers, looked at when the graph runs: kernels note no errors of integers."""
    if not b.settings.count(b.ev) & (DIVIDE | OVER):
        return y
    target = "quern.capture.frontends.numpy.checks:divisors"
    strides = layout.order_strides(y.shape, y.strides, "K")
    return b.extern(target, [y, x], [Input(0), Input(1)], y.shape, y.dtype, strides=strides, scalar=y.scalar)


def _integer_floor_divide(b: ArrayBuilder, x: Array, y: Array) -> Array:
    """Integer division; NumPy gives 0 for a zero divisor, and wraps for the smallest number by -1."""
    known = known_number(y)
    if isinstance(known, int) and known not in (0, -1):
        return b.elementwise("floor_divide", x, y)
    y = _checked_divisor(b, x, y)
    zero, one = _c(b, y, 0), _c(b, y, 1)
    by_zero = b.elementwise("eq", y, zero)
    if y.kind == "u":
        quotient = b.elementwise("floor_divide", x, b.elementwise("where", by_zero, one, y))
        return b.elementwise("where", by_zero, zero, quotient)
    by_minus_one = b.elementwise("eq", y, _c(b, y, -1))
    special = b.elementwise("logical_or", by_zero, by_minus_one)
    quotient = b.elementwise("floor_divide", x, b.elementwise("where", special, one, y))
    quotient = b.elementwise("where", by_minus_one, b.elementwise("neg", x), quotient)
    return b.elementwise("where", by_zero, zero, quotient)


def _integer_remainder(b: ArrayBuilder, x: Array, y: Array, op: str) -> Array:
    """Integer remainder; NumPy gives 0 for a zero divisor. (By -1 it is 0 too, and must not reach the processor.)"""
    known = known_number(y)
    if isinstance(known, int) and known not in (0, -1):
        return b.elementwise(op, x, y)
    y = _checked_divisor(b, x, y)
    one = _c(b, y, 1)
    special = b.elementwise("eq", y, _c(b, y, 0))
    if y.kind != "u":
        special = b.elementwise("logical_or", special, b.elementwise("eq", y, _c(b, y, -1)))
    # anything modulo 1 is 0
    return b.elementwise(op, x, b.elementwise("where", special, one, y))


@rule(np.floor_divide)
def _floor_divide(b: ArrayBuilder, x: Array, y: Array) -> Array:
    """For floats as npy_divmod: the quotient of what fmod leaves, so that it agrees with the remainder."""
    if x.kind != "f":
        return _integer_floor_divide(b, x, y)
    zero, one = _c(b, x, 0.0), _c(b, x, 1.0)
    rest = b.elementwise("fmod", x, y)
    ratio = b.elementwise("div", x, y)
    exact = b.elementwise("div", b.elementwise("sub", x, rest), y)
    opposite = b.elementwise("ne", b.elementwise("lt", y, zero), b.elementwise("lt", rest, zero))
    below = b.elementwise("logical_and", b.elementwise("ne", rest, zero), opposite)
    exact = b.elementwise("where", below, b.elementwise("sub", exact, one), exact)
    is_zero = b.elementwise("eq", exact, zero)
    whole = b.elementwise("where", is_zero, b.elementwise("copysign", zero, ratio), b.elementwise("round", exact))
    if known_number(y) not in (None, 0.0):
        return whole
    return b.elementwise("where", b.elementwise("eq", y, zero), ratio, whole)


@rule(np.remainder)
def _remainder(b: ArrayBuilder, x: Array, y: Array) -> Array:
    if x.kind != "f":
        return _integer_remainder(b, x, y, "remainder")
    rest = b.elementwise("remainder", x, y)
    zero = _c(b, x, 0.0)
    # a zero remainder has the divisor's sign
    return b.elementwise("where", b.elementwise("eq", rest, zero), b.elementwise("copysign", zero, y), rest)


@rule(np.fmod)
def _fmod(b: ArrayBuilder, x: Array, y: Array) -> Array:
    return b.elementwise("fmod", x, y) if x.kind == "f" else _integer_remainder(b, x, y, "fmod")


# --------------------------------------------------------------------------- powers

_INTEGER_POWERS = (np.power,)


def _is_integer_power(inputs: Sequence[Any], types: Sequence[np.dtype]) -> bool:
    """Integers to powers that may be negative: NumPy raises, at run time."""
    return types[0].kind in "iu" and not (isinstance(inputs[1], (int, np.integer)) and inputs[1] >= 0)


with np.errstate(all="ignore"):
    #: whether this NumPy's power takes square roots for an exponent of 0.5 (it then gives NaN for -inf, not inf)
    _ROOTS = bool(np.isnan(np.power(np.array([-np.inf]), 0.5))[0])


@rule(np.power, np.float_power)
def _power(b: ArrayBuilder, x: Array, y: Array) -> Array:
    """x ** y as C's pow does it; square roots differ from it at -inf and -0 only."""
    known = None if y.ndim else known_number(y)  # an array's shape is the result's too
    if x.kind != "f" or known not in (0.5, -0.5):
        return b.elementwise("pow", x, y)
    if known == 0.5 and _ROOTS and not x.scalar:
        return b.elementwise("sqrt", x)
    root = b.elementwise("add", b.elementwise("sqrt", x), _c(b, x, 0.0))
    value = root if known > 0 else b.elementwise("div", _c(b, x, 1.0), root)
    at_minus_infinity = _c(b, x, math.inf if known > 0 else 0.0)
    return b.elementwise("where", b.elementwise("eq", x, _c(b, x, -math.inf)), at_minus_infinity, value)


def _shortcuts(kind: str, probe: np.ndarray) -> dict[tuple[str, type, float], np.ufunc]:
    """How `array ** exponent` is computed where it is not by np.power; NumPy's versions differ, so it is asked."""
    found: dict[tuple[str, type, float], np.ufunc] = {}
    ufuncs = ((2, np.square), (2.0, np.square), (-1, np.reciprocal), (-1.0, np.reciprocal), (0.5, np.sqrt))
    for exponent, ufunc in ufuncs if kind != "b" else ufuncs[:2]:  # truth values have no reciprocals
        with np.errstate(all="ignore"):
            made, plain = probe**exponent, np.power(probe, exponent)
            if made.tobytes() != plain.tobytes() and made.tobytes() == ufunc(probe).tobytes():
                found[kind, type(exponent), exponent] = ufunc
    return found


_SHORTCUTS: dict[tuple[str, type, float], np.ufunc] = {
    # of floats they give what np.power gives, and are faster
    **{("f", t, v): u for v, u in ((1, np.positive), (2, np.square), (0.5, np.sqrt), (-1, np.reciprocal)) for t in (int, float)},
    **_shortcuts("b", np.array([True, False])),
    **_shortcuts("c", np.array([0, complex(1e200, 1e200), complex(math.inf, 1), complex(-1, -0.0), 1 / 3 + 0.1j])),
}  # fmt: skip


def operator_power(b: ArrayBuilder, x: Any, y: Any) -> Any:
    """`x ** y`: arrays have shortcuts for some Python exponents, as ndarray.__pow__ has."""
    if isinstance(x, Array) and not x.scalar and type(y) in (int, float):
        shortcut = _SHORTCUTS.get((x.kind, type(y), y))
        if shortcut is not None:
            return call_ufunc(b, shortcut, x)
    return call_ufunc(b, np.power, x, y)


# --------------------------------------------------------------------------- methods of ufuncs


def outer(b: ArrayBuilder, ufunc: np.ufunc, x: Any, y: Any, **kwargs: Any) -> Any:
    """`ufunc.outer(x, y)`."""
    if not any_array([x, y]):
        raise unsupported(f"np.{ufunc.__name__}.outer of constants")
    x, y = b.lift(x), b.lift(y)
    for _ in range(y.ndim):
        x = b.view(x, "unsqueeze", dim=x.ndim)
    return call_ufunc(b, ufunc, x, y, **kwargs)
