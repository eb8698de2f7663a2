"""What functions mean inside of a rolled loop: NumPy's ufuncs and reductions, methods of arrays, Python's builtins and `math`.

A function is a row of one of the tables below; what is in none of them cannot be rolled.
"""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .....inductor.sequential.program import ONE, Apply, Check, Expr, Literal
from . import elements, joining, numbers, reducing
from .kinds import (
    COMPLEX,
    FALSE,
    FLOAT,
    INT,
    LARGE,
    NONE,
    SMALL_BITS,
    CannotRoll,
    Chosen,
    Counted,
    Counting,
    Elements,
    Fixed,
    InMemory,
    Number,
    Several,
    Trace,
    Zipped,
    literal,
    step_of,
)
from .ufuncs import cast, expression, truth_of

# --------------------------------------------------------------------------- operators


def apply_ufunc(t: Trace, ufunc: np.ufunc, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """`ufunc(*args, out=...)` on numbers and arrays."""
    out = kwargs.pop("out", None)
    if type(out) is Several and len(out.items) == 1:
        (out,) = out.items
    if kwargs or ufunc.nout != 1 or not ufunc.nin <= len(args) <= ufunc.nin + 1:
        raise CannotRoll(f"np.{ufunc.__name__} with these arguments")
    if len(args) > ufunc.nin:
        *args, out = args
    operands = [_operand(a) for a in args]
    chosen = [o for o in operands if isinstance(o, Chosen)]
    if chosen:
        if (
            out is None
            and all(isinstance(o, (Number, Chosen)) for o in operands)
            and len({c.mask.ref for c in chosen}) == 1
        ):
            whole = elementwise(t, ufunc, [o.whole if isinstance(o, Chosen) else o for o in operands])
            return Chosen(whole, chosen[0].mask)
        operands = [elements.settled(t, o) if isinstance(o, Chosen) else o for o in operands]
    if all(isinstance(a, Number) for a in operands):
        made: Any = numbers.of_ufunc(t, ufunc, operands)
    else:
        made = elementwise(t, ufunc, operands)
        if not made.ndim:
            made = elements.scalar(t, made)
    if out is None or out == NONE:
        return made
    if not isinstance(out, InMemory) or not np.can_cast(made.dtype, out.dtype, "same_kind"):
        raise CannotRoll("out= of a number, or of another kind")
    _put(t, out, made)
    return out


def _put(t: Trace, out: Elements, made: Any) -> None:
    """A ufunc's result into an array: this must have all its axes."""
    if isinstance(made, Elements) and made.ndim > out.ndim:
        raise CannotRoll("a result with more axes than the array that it is for")
    elements.assign(t, out, made)


def _operand(value: Any) -> Any:
    if isinstance(value, (Number, Elements, Chosen)):
        return value
    raise CannotRoll(f"an operand that is no number and no array ({type(value).__name__})")


def elementwise(t: Trace, ufunc: np.ufunc, operands: list[Any]) -> Elements:
    """A ufunc of arrays and numbers, element by element."""
    *types, result = numbers.ufunc_types(ufunc, operands)
    given = [numbers.fitting(t, o, d) if isinstance(o, Number) else o for o, d in zip(operands, types)]
    sizes, parts = elements.broadcast(t, given)
    single = not isinstance(parts[-1], Elements)

    def at(index: tuple[Expr, ...]) -> Expr:
        args = tuple(cast(p.at(index), d) if isinstance(p, Elements) else p for p, d in zip(parts, types))
        return expression(ufunc, args, types, result, single)[0]

    def guards(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        args = tuple(cast(p.at(index), d) if isinstance(p, Elements) else p for p, d in zip(parts, types))
        own = expression(ufunc, args, types, result, single)[1]
        return (*(g for p in parts if isinstance(p, Elements) for g in p.guards(index)), *own)

    at(tuple(Literal(0, "int64") for _ in sizes))  # whether the ufunc is known at all
    arrays = [p for p in parts if isinstance(p, Elements)]
    bases = frozenset().union(*(p.bases for p in arrays))
    return Elements(result, sizes, at, guards, bases, all(a.by_rows for a in arrays))


def binary(t: Trace, op: str, a: Any, b: Any) -> Any:
    """`a op b` of numbers, arrays and tuples."""
    if op == "@":
        return reducing.matmul(t, _array(t, a), _array(t, b))
    if isinstance(a, Number) and isinstance(b, Number):
        return numbers.binary(t, op, a, b)
    if isinstance(a, (Number, Elements, Chosen)) and isinstance(b, (Number, Elements, Chosen)):
        if op == "**" and a.kind == "c" and not isinstance(a, Number) and isinstance(b, Number):
            return _power_of_complex(t, a, b)
        return apply_ufunc(t, numbers.UFUNCS[op], [a, b], {})
    if isinstance(a, Several) and type(a) is type(b) and op == "+":
        return type(a)((*a.items, *b.items))
    raise CannotRoll(f"`{op}` of {type(a).__name__} and {type(b).__name__}")


def _power_of_complex(t: Trace, a: Any, b: Number) -> Any:
    """`a ** b` of an array and a number: unlike np.power with functions of their own for some exponents."""
    own = {0.5: np.sqrt, -1: np.reciprocal, 1: np.positive, 2: np.square}
    if isinstance(b.expr, Literal) and b.expr.value in own:
        return apply_ufunc(t, own[b.expr.value], [a], {})  # type: ignore[index]
    if b.kind in "ifc" and not isinstance(b.expr, Literal):
        for value in (0.5, -1):
            t.emit(Check(Apply("ne", (cast(b.expr, COMPLEX), Literal(complex(value), "complex128")), "bool")))
    return apply_ufunc(t, np.power, [a, b], {})


def inplace(t: Trace, op: str, a: Any, b: Any) -> Any:
    """`a op= b`: into the memory of `a` where that is an array."""
    if not isinstance(a, Elements):
        return binary(t, op, a, b)
    if not isinstance(a, InMemory):
        raise CannotRoll("an operation in place on an expression")
    made = binary(t, op, a, b)
    if not np.can_cast(made.dtype, a.dtype, "same_kind"):
        raise CannotRoll(f"`{op}=` of {made.dtype} into {a.dtype}")
    _put(t, a, made)
    return a


def _array(t: Trace, value: Any) -> Elements:
    if isinstance(value, Chosen):
        return elements.settled(t, value)
    if not isinstance(value, Elements):
        raise CannotRoll("a number where an array is wanted")
    return value


# --------------------------------------------------------------------------- functions of arrays

Rule = Callable[..., Any]


def _reduction(name: str) -> Rule:
    def apply(t: Trace, a: Any, axis: Any = NONE, *, keepdims: Any = FALSE, out: Any = NONE,
              dtype: Any = NONE, ddof: Any = None) -> Any:  # fmt: skip
        if out != NONE or dtype != NONE:
            raise CannotRoll(f"np.{name} with these arguments")
        keep = bool(t.constant(keepdims))
        freedom = 0 if ddof is None else t.constant(ddof)
        if isinstance(a, Chosen):
            if name in _OF_CHOSEN and axis == NONE and not keep and a.kind in "fb":
                return _reduced_chosen(t, name, a)
            a = elements.settled(t, a)
        array = _array(t, a)
        axes = t.axes(axis, array.ndim)
        if name in ("mean", "std", "var"):
            return _moment(t, name, array, axes, keep, freedom)
        return reducing.reduced(t, name, array, axes, keep)

    return apply


#: reductions of chosen elements that take those of all
_OF_CHOSEN = {"sum": 0, "mean": 0, "any": 0, "all": 1}


def _reduced_chosen(t: Trace, name: str, a: Chosen) -> Number:
    """The sum, mean ... of chosen elements, in one pass: the others count for nothing."""
    if name == "mean" and a.kind == "b":
        raise CannotRoll("the mean of chosen truth values")
    whole = elements.where_chosen(a, Literal(_OF_CHOSEN[name], a.dtype.name))
    if name != "mean":
        made: Number = reducing.reduced(t, name, whole, None, False)
        return made
    count = elements.count_chosen(t, a)
    t.emit(Check(Apply("gt", (count.expr, Literal(0, "int64")), "bool")))
    total = reducing.reduced(t, "sum", whole, None, False)
    divisor = Number(t.let(cast(count.expr, a.dtype)), a.dtype)
    return numbers.of_ufunc(t, np.true_divide, [total, divisor])


def _count(t: Trace, a: Elements, axes: tuple[int, ...] | None) -> Expr:
    count: Expr = ONE
    for d, s in enumerate(a.sizes):
        if axes is None or d in axes:
            count = t.let(elements.small("mul", count, s.expr))
    return count


def _moment(t: Trace, name: str, a: Elements, axes: tuple[int, ...] | None, keep: bool, freedom: int) -> Any:
    if a.kind == "c" or a.dtype == np.float16:
        raise CannotRoll(f"{name} of {a.dtype}")
    if a.kind in "biu":
        given = a
        a = Elements(FLOAT, a.sizes, lambda i: cast(given.at(i), FLOAT), a.guards, a.bases, a.by_rows)
    elif not isinstance(a, InMemory):
        a = elements.in_memory(t, a) if name != "mean" else a
    count = _count(t, a, axes)
    least = Literal(freedom, "int64")
    t.emit(Check(Apply("gt", (count, least), "bool")))
    divisor = Number(t.let(cast(count, a.dtype)), a.dtype)
    mean = apply_ufunc(t, np.true_divide, [reducing.reduced(t, "sum", a, axes, keep or name != "mean"), divisor], {})
    if name == "mean":
        return mean
    if axes is None or len(axes) == a.ndim:
        mean = (
            elements.getitem(t, mean, Several(tuple(literal(0) for _ in mean.sizes)))
            if isinstance(mean, Elements)
            else mean
        )
    elif not isinstance(mean, InMemory):
        mean = elements.in_memory(t, mean)
    off = apply_ufunc(t, np.subtract, [a, mean], {})
    squares = apply_ufunc(t, np.multiply, [off, off], {})
    divisor = Number(t.let(cast(t.let(elements.small("sub", count, least)), a.dtype)), a.dtype)
    made = apply_ufunc(t, np.true_divide, [reducing.reduced(t, "sum", squares, axes, keep), divisor], {})
    return apply_ufunc(t, np.sqrt, [made], {}) if name == "std" else made


def _dot(t: Trace, a: Any, b: Any) -> Any:
    a, b = (elements.settled(t, x) if isinstance(x, Chosen) else x for x in (a, b))
    if isinstance(a, Number) or isinstance(b, Number):
        return apply_ufunc(t, np.multiply, [a, b], {})
    if a.ndim >= 1 and b.ndim >= 1 and a.ndim + b.ndim <= 4:
        return reducing.matmul(t, a, b)
    raise CannotRoll("np.dot of stacks of matrices")


def _inner(t: Trace, a: Any, b: Any) -> Any:
    """`np.inner(a, b)` of vectors: of matrices it is another sum than np.dot's."""
    if any(isinstance(x, Elements) and x.ndim != 1 for x in (a, b)):
        raise CannotRoll("np.inner of matrices")
    return _dot(t, a, b)


def _vdot(t: Trace, a: Any, b: Any) -> Any:
    if "c" in (a.kind, b.kind):
        raise CannotRoll("np.vdot of complex numbers")
    return _inner(t, a, b)


def _outer(ufunc: np.ufunc) -> Rule:
    def apply(t: Trace, a: Any, b: Any) -> Any:
        left, right = _array(t, a), _array(t, b)
        for _ in range(right.ndim):
            left = elements.new_axis(left, left.ndim)
        return apply_ufunc(t, ufunc, [left, right], {})

    return apply


def _outer_product(t: Trace, a: Any, b: Any) -> Any:
    if a.ndim != 1 or b.ndim != 1:
        raise CannotRoll("np.outer of matrices")
    return _outer(np.multiply)(t, a, b)


def _new(value: Any) -> Rule:
    def apply(t: Trace, shape: Any, dtype: Any = NONE, order: Any = NONE) -> Any:
        if order not in (NONE, Fixed("C")):
            raise CannotRoll("an array that is not laid out row by row")
        return elements.full(t, t.shape(shape), t.dtype(dtype, FLOAT), value)

    return apply


def _new_like(value: Any) -> Rule:
    def apply(t: Trace, a: Any, dtype: Any = NONE) -> Any:
        like = elements.evaluated(t, _array(t, a))
        return elements.full(t, like.sizes, t.dtype(dtype, like.dtype), value, like.by_rows)

    return apply


def _full(t: Trace, shape: Any, value: Any, dtype: Any = NONE) -> Any:
    if not isinstance(value, Number):
        raise CannotRoll("np.full of an array")
    return elements.full(t, t.shape(shape), t.dtype(dtype, value.dtype), value)


def _arange(t: Trace, *args: Any, dtype: Any = NONE) -> Any:
    given = [numbers.as_index(t, a) for a in args]
    start, stop, step = (literal(0), given[0], literal(1)) if len(given) == 1 else (*given, literal(1))[:3]
    by = step_of(step, "np.arange")
    size = t.extent_of_range(start, stop, by)
    wanted = t.dtype(dtype, INT)

    def at(index: tuple[Expr, ...]) -> Expr:
        e = Apply("add", (start.expr, Apply("mul", (index[0], Literal(by, "int64")), "int64")), "int64")
        return cast(e, wanted)

    return Elements(wanted, (size,), at)


def _where(t: Trace, condition: Any, *choices: Any) -> Any:
    if len(choices) != 2:
        raise CannotRoll("np.where of a condition alone")
    a, b = (elements.evaluated(t, c) if isinstance(c, Elements) else c for c in choices)
    dtype = (
        numbers.ufunc_types(np.maximum, [a, b])[-1] if "c" not in (a.kind, b.kind) else np.result_type(a.dtype, b.dtype)
    )
    given = [x.expr if isinstance(x, Number) else x for x in (condition, a, b)]
    if all(isinstance(x, Number) for x in (condition, a, b)):
        raise CannotRoll("np.where of numbers")
    sizes, parts = elements.broadcast(t, given)

    def of(p: Any, index: tuple[Expr, ...]) -> Expr:
        return p.at(index) if isinstance(p, Elements) else p

    def at(index: tuple[Expr, ...]) -> Expr:
        c = truth_of(of(parts[0], index), condition.dtype)
        return Apply("where", (c, *(cast(of(p, index), dtype) for p in parts[1:])), dtype.name)

    def guards(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(g for p in parts if isinstance(p, Elements) for g in p.guards(index))

    arrays = [p for p in parts if isinstance(p, Elements)]
    bases = frozenset().union(*(p.bases for p in arrays))
    return Elements(dtype, sizes, at, guards, bases, all(a.by_rows for a in arrays))


def _clip(t: Trace, a: Any, low: Any = NONE, high: Any = NONE) -> Any:
    if low != NONE:
        a = apply_ufunc(t, np.maximum, [a, low], {})
    return a if high == NONE else apply_ufunc(t, np.minimum, [a, high], {})


def _copy(t: Trace, a: Any) -> Any:
    """`np.copy(a)`, which keeps the order of the axes in memory."""
    return elements.in_memory(t, _array(t, a), fresh=True)


def _copy_by_rows(t: Trace, a: Any) -> Any:
    """`a.copy()`."""
    return elements.in_memory(t, replace(_array(t, a), by_rows=True), fresh=True)


def _array_of(t: Trace, a: Any, dtype: Any = NONE) -> Any:
    """`np.array(x)` of an array, or of a tuple of numbers or arrays."""
    if isinstance(a, Several):
        return joining.of_items(t, a.items, None if dtype == NONE else t.dtype(dtype, None))
    return _astype(t, _array(t, a), Fixed(t.dtype(dtype, _array(t, a).dtype)))


def _astype(t: Trace, a: Any, dtype: Any, copy: Any = None) -> Any:
    wanted = t.dtype(dtype, None)
    if isinstance(a, Number):
        return scalar_of(t, wanted, a)
    if copy is not None and not t.constant(copy) and wanted == a.dtype:
        return a
    if a.kind == "c" != wanted.kind or a.kind == "f" and wanted.kind in "iu":
        raise CannotRoll(f"a cast from {a.dtype} to {wanted}")
    return elements.in_memory(
        t, Elements(wanted, a.sizes, lambda i: cast(a.at(i), wanted), a.guards, a.bases, a.by_rows), fresh=True
    )


def _as_array(t: Trace, a: Any, dtype: Any = NONE) -> Any:
    """`np.asarray(a)`: the array itself where it is one of the type."""
    same = isinstance(a, Elements) and t.dtype(dtype, a.dtype) == a.dtype
    return a if same else _array_of(t, a, dtype)


def _conjugate(t: Trace, a: Any) -> Any:
    """`a.conj()`: an array of real numbers itself, unlike `np.conj(a)`."""
    return a if a.kind != "c" else apply_ufunc(t, np.conjugate, [a], {})


def _round(t: Trace, a: Any, decimals: Any = NONE) -> Any:
    """`np.round(a, decimals)`, `a.round(decimals)`: scaled, rounded to whole numbers, scaled back."""
    places = 0 if decimals == NONE else t.constant(decimals)
    if not isinstance(a, (Number, Elements, Chosen)):
        raise CannotRoll(f"rounding {type(a).__name__}")
    if a.kind not in "iuf" or type(places) is not int or abs(places) > 8 or places < 0 and a.kind in "iu":
        raise CannotRoll("rounding of what is no real number, or to many digits")
    if isinstance(a, Number):
        a = Number(a.expr, a.dtype)
    if a.kind in "iu":
        return a if isinstance(a, Number) else _copy(t, a)
    by = literal(10.0 ** abs(places))
    there, back = (np.multiply, np.true_divide) if places > 0 else (np.true_divide, np.multiply)
    scaled = apply_ufunc(t, there, [a, by], {}) if places else a
    whole = apply_ufunc(t, np.rint, [scaled], {})
    return apply_ufunc(t, back, [whole, by], {}) if places else whole


def _round_of_python(t: Trace, a: Any, digits: Any = NONE) -> Any:
    """`round(a)`: an int; of NumPy's numbers and arrays with digits what NumPy makes of them."""
    if digits == NONE and isinstance(a, Number):
        return numbers.rounded_to_int(t, "rint", a)
    if isinstance(a, Number) and a.python:
        raise CannotRoll("round() of a float to digits")
    return _round(t, a, digits)


def _angle(t: Trace, z: Any) -> Any:
    """`np.angle(z)` in radians."""
    if not isinstance(z, (Number, Elements)) or z.kind not in "fc":
        raise CannotRoll("np.angle of what are no floats")
    if z.kind != "c":
        zero = Literal(0.0, z.dtype.name)
        return apply_ufunc(t, np.arctan2, [Number(zero, z.dtype), z], {})
    return apply_ufunc(t, np.arctan2, [elements.part_of(t, z, part) for part in ("imag", "real")], {})


def _complex(t: Trace, real: Any, imag: Any = NONE) -> Number:
    """`complex(real, imag)`."""
    parts = [real, *[imag] * (imag != NONE)]
    if not all(isinstance(p, Number) for p in parts) or len(parts) == 2 and "c" in (real.kind, imag.kind):
        raise CannotRoll("complex() of this")
    if len(parts) == 1:
        return Number(t.let(cast(real.expr, COMPLEX)), COMPLEX, True)
    args = tuple(cast(p.expr, FLOAT) for p in parts)
    return Number(t.let(Apply("complex", args, "complex128")), COMPLEX, True)


def _flip(t: Trace, a: Any, axis: Any = NONE) -> Any:
    array = elements.in_memory(t, _array(t, a))
    axes = t.axes(axis, array.ndim)
    return elements.flipped(t, array, range(array.ndim) if axes is None else axes)


def _transpose(t: Trace, a: Any, *axes: Any) -> Any:
    array = elements.in_memory(t, _array(t, a))
    if len(axes) == 1 and isinstance(axes[0], Several):
        axes = axes[0].items
    order = [t.constant(x) % array.ndim for x in axes] if axes and axes != (NONE,) else range(array.ndim)[::-1]
    return elements.transposed(array, list(order))


def _fill(t: Trace, a: Any, value: Any) -> Any:
    elements.assign(t, a, value)
    return NONE


def scalar_of(t: Trace, dtype: np.dtype, a: Any) -> Any:
    """`np.float32(a)`, `np.uint8(a)` of a number: a NumPy scalar."""
    if not isinstance(a, Number) or a.kind == "c" != dtype.kind or a.kind == "f" and dtype.kind in "iu":
        raise CannotRoll(f"np.{dtype}() of this")
    return Number(t.let(numbers.fitting(t, a, dtype)), dtype)


_REDUCTIONS = "sum prod max min mean any all std var argmax argmin".split()

FUNCTIONS: dict[Any, Rule] = {
    **{getattr(np, name): _reduction(name) for name in _REDUCTIONS},
    np.amax: _reduction("max"), np.amin: _reduction("min"),
    np.dot: _dot, np.matmul: lambda t, a, b: binary(t, "@", a, b), np.vdot: _vdot, np.inner: _inner,
    np.outer: _outer_product,
    np.zeros: _new(0), np.empty: _new(None), np.ndarray: _new(None), np.ones: _new(1), np.full: _full,
    np.zeros_like: _new_like(0), np.empty_like: _new_like(None), np.ones_like: _new_like(1),
    np.arange: _arange, np.where: _where, np.clip: _clip, np.copy: _copy, np.array: _array_of,
    np.asarray: _as_array,
    np.round: _round, np.around: _round, np.angle: _angle,
    np.iinfo: lambda t, kind: Fixed(np.iinfo(t.dtype(kind, None))), np.finfo: lambda t, kind: Fixed(np.finfo(t.dtype(kind, None))),
    np.flip: _flip, np.transpose: _transpose,
    np.real: lambda t, a: elements.part_of(t, a, "real"), np.imag: lambda t, a: elements.part_of(t, a, "imag"),
    np.reshape: lambda t, a, shape: elements.reshaped(t, _array(t, a), t.shape(shape)),
    np.ravel: lambda t, a: elements.raveled(t, _array(t, a)),
}  # fmt: skip

#: what is done to chosen elements without taking them
CHOSEN_METHODS = frozenset(_REDUCTIONS)

METHODS: dict[str, Rule] = {
    **{name: _reduction(name) for name in _REDUCTIONS},
    "dot": _dot, "copy": _copy_by_rows, "astype": _astype, "transpose": _transpose, "clip": _clip,
    "fill": lambda t, a, value: _fill(t, a, value),
    "item": lambda t, a, *i: elements.item(t, a, i),
    "conj": _conjugate, "conjugate": _conjugate,
    "reshape": lambda t, a, *shape: elements.reshaped(t, a, t.shape(shape[0] if len(shape) == 1 else Several(shape))),
    "ravel": lambda t, a: elements.raveled(t, a), "flatten": lambda t, a: _copy(t, elements.raveled(t, a)),
    "round": _round,
}  # fmt: skip


# --------------------------------------------------------------------------- Python's own


def _range(t: Trace, *args: Any) -> Counting:
    given = [numbers.as_index(t, a) for a in args]
    start, stop, step = (literal(0), given[0], literal(1)) if len(given) == 1 else (*given, literal(1))[:3]
    return Counting(start, stop, step_of(step, "a range"))


def _len(t: Trace, a: Any) -> Number:
    if isinstance(a, Elements) and a.ndim:
        return elements.evaluated(t, a).sizes[0].number()
    if isinstance(a, Several):
        return literal(len(a.items))
    raise CannotRoll("len() of this")


def _reversed(t: Trace, a: Any) -> Any:
    if not isinstance(a, Counting):
        raise CannotRoll("reversed() of this")
    count = t.extent_of_range(a.start, a.stop, a.step)
    way = numbers.binary(t, "*", numbers.binary(t, "-", count.number(), literal(1)), literal(a.step))
    before = numbers.binary(t, "-", a.start, literal(a.step))
    return t.iterator(Counting(numbers.binary(t, "+", a.start, way), before, -a.step))


def _minmax(largest: bool) -> Rule:
    def apply(t: Trace, *args: Any) -> Any:
        given = args[0].items if len(args) == 1 and isinstance(args[0], Several) else args
        if len(given) < 1 or not all(isinstance(g, Number) for g in given):
            raise CannotRoll("min or max of this")
        return numbers.smallest(t, list(given), largest)

    return apply


def _abs(t: Trace, a: Any) -> Any:
    return numbers.absolute(t, a) if isinstance(a, Number) else apply_ufunc(t, np.absolute, [a], {})


def _convert(wanted: type) -> Rule:
    def apply(t: Trace, a: Any = None) -> Any:
        if isinstance(a, Elements) and not a.ndim:
            a = elements.item(t, a, ())
        if not isinstance(a, Number):
            raise CannotRoll(f"{wanted.__name__}() of this")
        return numbers.converted(t, a, wanted)

    return apply


def _enumerate(t: Trace, a: Any, start: Any = None) -> Any:
    count = literal(0) if start is None else numbers.as_index(t, start)
    if count.bits > SMALL_BITS:
        t.emit(Check(Apply("inside", (count.expr, Literal(LARGE, "int64")), "bool")))
    return Counted(t.iterator(a), replace(count, bits=min(count.bits, SMALL_BITS)))


def _pow(t: Trace, a: Any, b: Any) -> Any:
    return binary(t, "**", a, b)


def _of_float(t: Trace, test: str, a: Any) -> Number:
    """`math.isnan(a)` and its kin."""
    if not isinstance(a, Number) or a.kind not in "if":
        raise CannotRoll(f"math.{test} of what is no real number")
    return Number(t.let(Apply(test, (cast(a.expr, FLOAT),), "bool")), np.dtype(bool), True)


BUILTINS: dict[Any, Rule] = {
    range: _range, len: _len, min: _minmax(False), max: _minmax(True), abs: _abs, int: _convert(int), float: _convert(float),
    bool: _convert(bool), enumerate: _enumerate, zip: lambda t, *a: Zipped(tuple(t.iterator(x) for x in a)),
    reversed: _reversed, pow: _pow, divmod: lambda t, a, b: Several((binary(t, "//", a, b), binary(t, "%", a, b))),
}  # fmt: skip


def _phase(t: Trace, z: Any) -> Number:
    if not isinstance(z, Number):
        raise CannotRoll("cmath.phase of what is no number")
    return numbers.of_math(t, "atan2", *(elements.part_of(t, z, part) for part in ("imag", "real")))


BUILTINS |= {
    round: _round_of_python, complex: _complex,
    math.isnan: lambda t, a: _of_float(t, "isnan", a), math.isinf: lambda t, a: _of_float(t, "isinf", a),
    math.isfinite: lambda t, a: _of_float(t, "isfinite", a),
    cmath.phase: _phase,
}  # fmt: skip
for _name in "sqrt exp log sin cos tan asin acos atan sinh cosh tanh fabs log2 log10 log1p expm1".split():
    BUILTINS[getattr(math, _name)] = lambda t, a, name=_name: numbers.of_math(t, name, a)
for _name in "pow atan2 fmod copysign".split():
    BUILTINS[getattr(math, _name)] = lambda t, a, b, name=_name: numbers.of_math(t, name, a, b)
for _name in "floor ceil trunc".split():
    BUILTINS[getattr(math, _name)] = lambda t, a, name=_name: numbers.rounded_to_int(t, name, a)
for _name in "sqrt exp log sin cos sinh cosh".split():
    BUILTINS[getattr(cmath, _name)] = lambda t, z, name=_name: numbers.of_cmath(t, name, z)
BUILTINS[operator.index] = lambda t, a: numbers.as_index(t, a)
