"""Arrays inside of a rolled loop: expressions over elements that are put into memory where the program would, views, indexing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .....inductor.sequential.facts import heavy_parts, may_note
from .....inductor.sequential.program import (
    ONE,
    ZERO,
    Apply,
    ArrayRef,
    Check,
    Choose,
    Expr,
    Fill,
    Literal,
    New,
    Reduce,
    Store,
    Var,
)
from . import numbers
from .kinds import (
    INT,
    NONE,
    SMALL_BITS,
    CannotRoll,
    Chosen,
    Elements,
    Extent,
    Fixed,
    InMemory,
    Number,
    Part,
    PartOf,
    Several,
    Size,
    Trace,
    literal,
    step_of,
)
from .linear import combined
from .ufuncs import cast

_I = "int64"


def small(op: str, *args: Expr) -> Expr:
    """Arithmetic of sizes and places: they are small, so nothing overflows."""
    a, b = args[0], args[-1]
    if isinstance(a, Literal) and isinstance(b, Literal) and op in ("add", "sub", "mul"):
        x, y = int(a.value), int(b.value)  # type: ignore[arg-type]
        return Literal({"add": x + y, "sub": x - y, "mul": x * y}[op], _I)
    if op == "mul" and ONE in args:
        return b if a == ONE else a
    if op == "mul" and ZERO in args:
        return ZERO
    if op in ("add", "sub") and b == ZERO:
        return a
    if op == "add" and a == ZERO:
        return b
    return Apply(op, args, _I)


# --------------------------------------------------------------------------- memory


def extent(n: int) -> Extent:
    """A size that is a constant."""
    return Extent(Literal(n, _I), Size.of(n))


def contiguous(t: Trace, sizes: Sequence[Extent]) -> tuple[Expr, ...]:
    """Strides of an array that lies row by row."""
    strides: list[Expr] = []
    row: Expr = ONE
    for size in reversed(sizes):
        strides.insert(0, row)
        row = t.let(small("mul", row, size.expr))
    return tuple(strides)


def new(t: Trace, sizes: Sequence[Extent], dtype: np.dtype, zeroed: bool = False, by_rows: bool = True) -> InMemory:
    """A new array. by_rows: as NumPy would lay it out (it lies so here)"""
    ref = ArrayRef(t.name("a"), dtype.name, tuple(s.expr for s in sizes), contiguous(t, sizes))
    t.emit(New(ref, zeroed))
    return InMemory.of(ref, dtype, tuple(sizes), frozenset((t.site(),)), by_rows or len(sizes) < 2)


def full(t: Trace, sizes: Sequence[Extent], dtype: np.dtype, value: Any, by_rows: bool = True) -> InMemory:
    """A new array with one value everywhere; None: any value."""
    zero = value == 0 and not isinstance(value, Number)
    made = new(t, sizes, dtype, zero, by_rows)
    if value is not None and not zero:
        assign(t, made, value if isinstance(value, Number) else literal(value))
    return made


def in_memory(t: Trace, a: Elements, fresh: bool = False) -> InMemory:
    """The array in memory: as it is, or computed now. fresh: in memory of its own"""
    if isinstance(a, InMemory) and not fresh:
        return a
    made = new(t, a.sizes, a.dtype, by_rows=a.by_rows)
    _fill(t, made, a, apart=True)
    return made


def converted(a: Elements, dtype: np.dtype) -> Elements:
    """The array with its elements in another type."""
    if a.dtype == dtype:
        return a
    return Elements(dtype, a.sizes, lambda i: cast(a.at(i), dtype), a.guards, a.bases, a.by_rows)


def evaluated(t: Trace, a: Elements) -> Elements:
    """The array, in memory where its elements may raise or note an error: NumPy computes them all, whichever are read."""
    quiet = isinstance(a, InMemory) or not a.guards(_probe(a)) and not may_note(a.at(_probe(a)))
    return a if quiet else in_memory(t, a)


def is_heavy(a: Elements) -> bool:
    """Whether an expression has functions that are better computed strip by strip, into memory."""
    return bool(heavy_parts(a.at(_probe(a))))


def _probe(a: Elements) -> tuple[Expr, ...]:
    return tuple(Var(f"probe{d}", _I) for d in range(a.ndim))


def _fill(t: Trace, target: InMemory, a: Elements, apart: bool) -> None:
    index = t.index(target.ndim)
    t.emit(Fill(target.ref, index, cast(a.at(index), target.dtype), a.guards(index), apart))


def fill_new(t: Trace, target: InMemory, a: Elements) -> None:
    """Elements into memory that was just taken, which nothing that they read looks at."""
    _fill(t, target, spread(t, a, target.sizes), apart=True)


def assign(t: Trace, target: Elements, value: Any) -> None:
    """`target[...] = value`."""
    if not isinstance(target, InMemory) or not target.writeable:
        raise CannotRoll("writing to an array that is none in memory, or read-only")
    if isinstance(value, Number):
        e = _assigned(t, value, target.dtype)
        source = Elements(target.dtype, target.sizes, lambda index: e)
        apart = True
    else:
        if value.kind == "c" and target.kind != "c" or value.kind == "f" and target.kind in "iu":
            # assignment casts unsafely, with a word where a number does not fit
            raise CannotRoll(f"writing {value.dtype} into {target.dtype}")
        source = spread(t, value, target.sizes)
        apart = not (source.bases & target.bases)
    t.written(target)
    _fill(t, target, source, apart)


def _assigned(t: Trace, value: Number, dtype: np.dtype) -> Expr:
    if value.kind == "c" and dtype.kind != "c":
        raise CannotRoll("writing a complex number into a real array")
    if value.kind == "f" and dtype.kind in "iu":
        if not value.python and dtype.itemsize < 8:
            raise CannotRoll(f"writing a float into {dtype}")
        value = numbers.converted(t, value, int)
    return t.let(numbers.assigned(t, value, dtype))


def of_numbers(t: Trace, items: Sequence[Any], dtype: np.dtype | None) -> InMemory:
    """`np.array([a, b, c])` of numbers."""
    if not items or not all(isinstance(i, Number) for i in items):
        raise CannotRoll("np.array of this")
    found = dtype or np.result_type(*[i.dtype for i in items])
    made = new(t, (Extent(Literal(len(items), _I), Size.of(len(items))),), found)
    for k, item in enumerate(items):
        t.emit(Store(made.ref, (Literal(k, _I),), _assigned(t, item, found)))
    return made


# --------------------------------------------------------------------------- broadcasting


def broadcast(t: Trace, operands: Sequence[Any]) -> tuple[tuple[Extent, ...], list[Any]]:
    """The common sizes of arrays (and expressions of numbers), and the operands spread to them."""
    arrays = [o for o in operands if isinstance(o, Elements)]
    ndim = max(a.ndim for a in arrays)
    sizes = []
    for d in range(ndim):
        axis = [a.sizes[d - ndim + a.ndim] for a in arrays if d - ndim + a.ndim >= 0]
        sizes.append(_joined(t, axis))
    made = tuple(sizes)
    return made, [spread(t, o, made) if isinstance(o, Elements) else o for o in operands]


def _joined(t: Trace, axis: list[Extent]) -> Extent:
    """The size that sizes broadcast to."""
    found = axis[0]
    for other in axis[1:]:
        if other.is_one or agree(t, found, other):
            continue
        if found.is_one or _is_one_now(t, found):
            found = other
        elif not _is_one_now(t, other):
            raise CannotRoll("sizes that do not broadcast")
    return found


def agree(t: Trace, x: Extent, y: Extent) -> bool:
    """Whether two sizes are equal: surely, or they are taken to be, and the program bails where they are not."""
    if x.expr != y.expr:
        if x.is_one or y.is_one or x.known is not None and y.known is not None and x.known != y.known:
            return False
        t.emit(Check(Apply("eq", (x.expr, y.expr), "bool")))
    return True


def _is_one_now(t: Trace, size: Extent) -> bool:
    """Whether a size is one in this capture; then the program is made for that."""
    if size.known is None or size.known.hint != 1:
        return False
    t.emit(Check(Apply("eq", (size.expr, ONE), "bool")))
    return True


def spread(t: Trace, a: Elements, sizes: Sequence[Extent]) -> Elements:
    """The array with these sizes, its axes of size one repeated."""
    extra = a.ndim - len(sizes)
    if extra > 0:
        if not all(s.is_one for s in a.sizes[:extra]):
            raise CannotRoll("an array with more axes than what it is written into")
        a = dropped(a, range(extra))
    lead = len(sizes) - a.ndim
    repeated = []
    for mine, wanted in zip(a.sizes, sizes[lead:]):
        repeats = not agree(t, mine, wanted)
        if repeats and not mine.is_one and not _is_one_now(t, mine):
            if not wanted.is_one:
                raise CannotRoll("sizes that do not broadcast")
            t.emit(Check(Apply("eq", (mine.expr, ONE), "bool")))
        repeated.append(repeats)
    if not lead and not any(repeated):
        return a
    inner = a = evaluated(t, a)

    def place(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(ZERO if r else i for i, r in zip(index[lead:], repeated))

    return Elements(
        a.dtype, tuple(sizes), lambda i: inner.at(place(i)), lambda i: inner.guards(place(i)), a.bases, a.by_rows
    )


# --------------------------------------------------------------------------- views


def view(t: Trace, a: InMemory, sizes: Sequence[Extent], strides: Sequence[Expr], offset: Expr) -> InMemory:
    """A part of an array; the same part is the same array in a block."""
    ref = t.part(a.ref, tuple(s.expr for s in sizes), tuple(strides), offset)
    return InMemory.of(ref, a.dtype, tuple(sizes), a.bases, a.by_rows or len(sizes) < 2, a.writeable)


def stretch(t: Trace, a: InMemory, axis: int, first: Expr, size: Extent) -> InMemory:
    """`size` places along an axis, from `first` on."""
    sizes = (*a.sizes[:axis], size, *a.sizes[axis + 1 :])
    return view(t, a, sizes, a.ref.strides, small("mul", first, a.ref.strides[axis]))


def new_axis(a: Elements, axis: int) -> Elements:
    """The array with an axis of size one at `axis`."""
    sizes = (*a.sizes[:axis], Extent(ONE, Size.of(1)), *a.sizes[axis:])

    def place(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return (*index[:axis], *index[axis + 1 :])

    return Elements(a.dtype, sizes, lambda i: a.at(place(i)), lambda i: a.guards(place(i)), a.bases, a.by_rows)


def dropped(a: Elements, axes: Iterable[int]) -> Elements:
    """The array without axes of size one."""
    gone = set(axes)
    sizes = tuple(s for d, s in enumerate(a.sizes) if d not in gone)

    def place(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        given = iter(index)
        return tuple(ZERO if d in gone else next(given) for d in range(a.ndim))

    return Elements(a.dtype, sizes, lambda i: a.at(place(i)), lambda i: a.guards(place(i)), a.bases, a.by_rows)


def flipped(t: Trace, a: InMemory, axes: Iterable[int]) -> InMemory:
    strides = list(a.ref.strides)
    offset: Expr = ZERO
    for d in axes:
        last = small("sub", a.sizes[d].expr, ONE)
        offset = small("add", offset, small("mul", last, strides[d]))
        strides[d] = t.let(small("sub", ZERO, strides[d]))
    return view(t, a, a.sizes, strides, offset)


def transposed(a: InMemory, order: list[int]) -> InMemory:
    sizes = tuple(a.sizes[d] for d in order)
    ref = ArrayRef(a.ref.name, a.ref.type, tuple(s.expr for s in sizes), tuple(a.ref.strides[d] for d in order))
    by_rows = a.by_rows if order == sorted(order) else a.ndim < 2
    return InMemory.of(ref, a.dtype, sizes, a.bases, by_rows, a.writeable)


def _product(known: Iterable[Size | None]) -> Size | None:
    """The product of sizes; None where one is not known."""
    made = Size.of(1)
    for k in known:
        if k is None:
            return None
        made *= k
    return made


def is_contiguous(t: Trace, a: InMemory) -> bool:
    """Whether the array is known to lie row by row."""
    return a.ref.strides == contiguous(t, a.sizes)


def raveled(t: Trace, a: Elements) -> InMemory:
    stored = in_memory(t, a)
    if not is_contiguous(t, stored) or not stored.by_rows:
        raise CannotRoll("ravel of an array that need not lie row by row")
    known = _product([s.known for s in a.sizes])
    count: Expr = ONE
    for s in a.sizes:
        count = t.let(small("mul", count, s.expr))
    return view(t, stored, (Extent(count, known),), (ONE,), ZERO)


def reshaped(t: Trace, a: Elements, sizes: tuple[Extent, ...]) -> InMemory:
    flat = raveled(t, a)
    count: Expr = ONE
    open_axes = [d for d, s in enumerate(sizes) if s.expr == Literal(-1, _I)]
    for d, s in enumerate(sizes):
        if d not in open_axes:
            count = t.let(small("mul", count, s.expr))
    if len(open_axes) > 1:
        raise CannotRoll("reshape with several -1")
    if open_axes:
        t.emit(Check(Apply("ne", (count, ZERO), "bool")))
        rest = t.let(Apply("div", (flat.sizes[0].expr, count), _I))
        known = None
        others = _product(s.known for d, s in enumerate(sizes) if d not in open_axes)
        every = flat.sizes[0].known
        if every is not None and others is not None and every.number is not None and others.number:
            known = Size.of(every.number // others.number)
        sizes = tuple(Extent(rest, known) if d in open_axes else s for d, s in enumerate(sizes))
        count = t.let(small("mul", count, rest))
    t.emit(Check(Apply("eq", (count, flat.sizes[0].expr), "bool")))
    return view(t, flat, sizes, contiguous(t, sizes), ZERO)


def part_of(t: Trace, a: Any, part: str) -> Any:
    """`x.real`, `x.imag`."""
    if isinstance(a, Number):
        if a.kind != "c":
            return a if part == "real" else Number(cast(Literal(0, _I), a.dtype), a.dtype, a.python)
        real = np.dtype("float32" if a.dtype == np.complex64 else "float64")
        return Number(t.let(Apply(part, (a.expr,), real.name)), real, a.python)
    if a.kind != "c":
        if part == "real":
            return a
        raise CannotRoll("the imaginary part of real numbers")
    a = evaluated(t, a)
    real = np.dtype("float32" if a.dtype == np.complex64 else "float64")
    return PartOf(real, a.sizes, lambda i: Apply(part, (a.at(i),), real.name), a.guards, a.bases, a.by_rows)


# --------------------------------------------------------------------------- indexing


def place(t: Trace, index: Any, size: Extent) -> Expr:
    """An index along an axis as a place that is inside; bails where it is not."""
    number = numbers.as_index(t, index)
    e = number.expr
    if isinstance(e, Literal) and e.value < 0:  # type: ignore[operator]
        at = t.let(small("add", size.expr, e))
        t.emit(Check(Apply("ge", (at, ZERO), "bool")))
        return at
    if t.are_inside([number], size):
        return e
    if not number.natural:
        e = t.let(Apply("wrapped", (e, size.expr), _I))
    t.emit(Check(Apply("inside", (e, size.expr), "bool")))
    return e


def _bounds(t: Trace, part: Part, size: Extent) -> tuple[Expr, Extent, Expr]:
    """(first place, size, step) of a slice along an axis."""
    number = literal(1) if part.step == NONE else numbers.as_index(t, part.step)
    step = number.expr
    if isinstance(step, Literal):
        forward = step_of(number, "a slice") > 0
    else:
        forward = True
        t.emit(Check(Apply("gt", (step, ZERO), "bool")))
    start, stop = (None if p == NONE else numbers.as_index(t, p) for p in (part.start, part.stop))
    known = _known_length(start, stop, number, size)
    if start is None and stop is None:
        first: Expr = ZERO if forward else t.let(small("sub", size.expr, ONE))
        if step == ONE:
            return ZERO, size, ONE
        if step == Literal(-1, _I):
            return first, size, step
    bounds = [n for n in (start, stop) if n is not None and n.expr != ZERO]
    if step == ONE and t.are_inside(bounds, size, end=True):
        return _unclipped(t, start or literal(0), stop or size.number(), known)
    clip = "clipped" if forward else "clipped_down"

    def clipped(n: Number | None, default: Expr) -> Expr:
        if n is None:
            return default
        if n.expr == ZERO and forward:
            return ZERO
        if forward and n.expr == size.expr:
            return size.expr
        return t.let(Apply(clip, (n.expr, size.expr), _I))

    first = clipped(start, ZERO if forward else t.let(small("sub", size.expr, ONE)))
    last = clipped(stop, size.expr if forward else Literal(-1, _I))
    if step == ONE:
        count = last if first == ZERO else t.let(Apply("max", (small("sub", last, first), ZERO), _I))
    else:
        count = t.let(Apply("length", (first, last, step), _I))
    return first, Extent(count, known), step


def _unclipped(t: Trace, start: Number, stop: Number, known: Size | None) -> tuple[Expr, Extent, Expr]:
    """As `_bounds`, of a slice whose bounds are places of the axis or the one behind."""
    between = combined("-", stop, start)
    if between is not None and not between.terms and between.offset >= 0:
        return start.expr, Extent(Literal(between.offset, _I), Size.of(between.offset)), ONE
    count = small("sub", stop.expr, start.expr)
    if start.expr != ZERO:
        count = Apply("max", (count, ZERO), _I)
    return start.expr, Extent(t.let(count), known), ONE


def _known_length(start: Number | None, stop: Number | None, step: Number, size: Extent) -> Size | None:
    """What capture knows of the size of a slice. Where its bounds are clipped may change from call to call."""
    whole = size.known
    if whole is None or step.known is None or any(n is not None and n.known is None for n in (start, stop)):
        return None
    low, high = (None if n is None else n.known for n in (start, stop))
    hint = len(range(*slice(*(None if k is None else k.hint for k in (low, high, step.known))).indices(whole.hint)))
    known = [k.number for k in (low, high, step.known, whole) if k is not None]
    if None not in known or step.known.hint != 1 or hint == 0:
        return Size(hint, hint)

    def place(k: Size | None, default: Size) -> Size:
        if k is None:
            return default
        at = k + whole if k.hint < 0 else k
        return Size.of(0) if at.hint < 0 else whole if at.hint > whole.hint else at

    return place(high, whole) - place(low, Size.of(0))


def _items(key: Any, ndim: int) -> list[Any]:
    """An index with one item for each axis; an ellipsis is spelled out."""
    items = list(key.items) if type(key) is Several else [key]
    if any(isinstance(i, Number) and i.kind == "b" for i in items):
        raise CannotRoll("a truth value as an index, which makes an axis")
    used = sum(1 if not isinstance(i, Elements) or i.kind != "b" else i.ndim for i in items
               if i != NONE and i != Fixed(...))  # fmt: skip
    if used > ndim:
        raise CannotRoll("more indices than axes")
    whole = Part(NONE, NONE, NONE)
    dots = [k for k, i in enumerate(items) if i == Fixed(...)]
    if len(dots) > 1:
        raise CannotRoll("several ellipses")
    if dots:
        items[dots[0] : dots[0] + 1] = [whole] * (ndim - used)
    else:
        items += [whole] * (ndim - used)
    return items


def getitem(t: Trace, a: Any, key: Any) -> Any:
    """`a[key]`."""
    if isinstance(a, Several):
        k = (
            t.constant(key)
            if not isinstance(key, Part)
            else slice(*(t.constant(p) for p in (key.start, key.stop, key.step)))
        )
        try:
            return type(a)(a.items[k]) if isinstance(k, slice) else a.items[k]
        except (IndexError, TypeError) as error:
            raise CannotRoll("an index of a tuple that is out of range") from error
    if not isinstance(a, Elements):
        raise CannotRoll(f"indexing {type(a).__name__}")
    if isinstance(key, Elements) and key.kind == "b":
        return _chosen(t, evaluated(t, a), key)
    a = evaluated(t, a)
    if isinstance(key, Chosen):
        key = settled(t, key)
    items = _items(key, a.ndim)
    if any(isinstance(i, Elements) for i in items):
        return _gathered(t, a, items)
    if len(items) == a.ndim and all(isinstance(i, Number) for i in items):
        if any(i == Fixed(...) for i in (key.items if type(key) is Several else [key])):
            raise CannotRoll("a view of one element")
        index = tuple(place(t, i, s) for i, s in zip(items, a.sizes))
        return Number(t.let(a.at(index), reads=True), a.dtype)
    return _sliced(t, in_memory(t, a), items)


def _sliced(t: Trace, a: InMemory, items: list[Any]) -> InMemory:
    offset: Expr = ZERO
    sizes: list[Extent] = []
    strides: list[Expr] = []
    axis = 0
    for item in items:
        if item == NONE:
            sizes.append(Extent(ONE, Size.of(1)))
            strides.append(ZERO)
            continue
        stride, size = a.ref.strides[axis], a.sizes[axis]
        axis += 1
        if isinstance(item, Part):
            first, extent, step = _bounds(t, item, size)
            sizes.append(extent)
            strides.append(stride if step == ONE else t.let(small("mul", stride, step)))
            offset = small("add", offset, small("mul", first, stride))
        elif isinstance(item, Number):
            offset = small("add", offset, small("mul", place(t, item, size), stride))
        else:
            raise CannotRoll(f"an index of kind {type(item).__name__}")
    return view(t, a, sizes, strides, offset)


def _gathered(t: Trace, a: Elements, items: list[Any]) -> Elements:
    """`a[i]` with arrays of integers: elements as they are asked for."""
    arrays = [i for i in items if isinstance(i, Elements)]
    if any(i.kind not in "iu" for i in arrays) or any(isinstance(i, Part) for i in items[: len(arrays)]) or any(
        not isinstance(i, (Elements, Part)) or isinstance(i, Part) and i != Part(NONE, NONE, NONE) for i in items
    ):  # fmt: skip
        raise CannotRoll("arrays of indices beside slices")
    sizes, parts = broadcast(t, arrays)
    count = len(sizes)
    rest = a.sizes[len(arrays) :]

    def places(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        picked = (Apply("wrapped", (cast(p.at(index[:count]), INT), s.expr), _I) for p, s in zip(parts, a.sizes))
        return (*picked, *index[count:])

    def guards(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        at = places(index)
        own = tuple(Apply("inside", (i, s.expr), "bool") for i, s in zip(at, a.sizes[: len(arrays)]))
        return (*(g for p in parts for g in p.guards(index[:count])), *own)

    bases = a.bases.union(*(p.bases for p in parts))
    by_rows = a.by_rows and all(p.by_rows for p in parts)
    made = Elements(a.dtype, (*sizes, *rest), lambda i: a.at(places(i)), guards, bases, by_rows)
    # a copy is taken now: what it is taken of may be written to before it is used
    return in_memory(t, made, fresh=True)


def _chosen(t: Trace, a: Elements, mask: Elements) -> Chosen:
    """`a[mask]`."""
    if mask.ndim != a.ndim:
        raise CannotRoll("a mask of fewer axes than the array")
    same_sizes(t, a.sizes, mask.sizes)
    return Chosen(a, in_memory(t, mask))


def settled(t: Trace, chosen: Chosen) -> InMemory:
    """The chosen elements as an array."""
    a, mask = chosen.whole, chosen.mask
    index = t.index(a.ndim)
    if a.guards(index):
        a = in_memory(t, a)
    size = t.variable(_I)
    ref = ArrayRef(t.name("a"), a.dtype.name, (size,), (ONE,))
    t.emit(Choose(ref, index, tuple(s.expr for s in a.sizes), mask.at(index), a.at(index)))
    return InMemory.of(ref, a.dtype, (Extent(size),), frozenset((t.site(),)), True)


def where_chosen(chosen: Chosen, other: Expr) -> Elements:
    """The elements where they are chosen, elsewhere a number."""
    a, mask = chosen.whole, chosen.mask

    def at(index: tuple[Expr, ...]) -> Expr:
        return Apply("where", (mask.at(index), a.at(index), other), a.dtype.name)

    def guards(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return tuple(Apply("either", (Apply("not", (mask.at(index),), "bool"), g), "bool") for g in a.guards(index))

    return Elements(a.dtype, a.sizes, at, guards, chosen.bases)


def count_chosen(t: Trace, chosen: Chosen) -> Number:
    """How many elements are chosen."""
    index = t.index(chosen.mask.ndim)
    var = t.variable(_I)
    sizes = tuple(s.expr for s in chosen.mask.sizes)
    t.emit(Reduce(var, "add", index, sizes, cast(chosen.mask.at(index), INT)))
    return Number(var, INT, True, None, SMALL_BITS, True)


def same_sizes(t: Trace, sizes: Sequence[Extent], others: Sequence[Extent]) -> None:
    for x, y in zip(sizes, others):
        if x.expr != y.expr:
            t.emit(Check(Apply("eq", (x.expr, y.expr), "bool")))


def setitem(t: Trace, a: Any, key: Any, value: Any) -> None:
    """`a[key] = value`."""
    if isinstance(value, Chosen) and not (isinstance(key, InMemory) and key.ref == value.mask.ref):
        value = settled(t, value)
    if not isinstance(a, InMemory) or not isinstance(value, (Number, Elements, Chosen)):
        raise CannotRoll(f"an assignment to an item of {type(a).__name__}")
    if isinstance(key, Elements) and key.kind == "b":
        _assign_chosen(t, a, key, value)
        return
    items = _items(key, a.ndim)
    if any(isinstance(i, Elements) for i in items):
        raise CannotRoll("writing to places that an array tells")
    if len(items) == a.ndim and all(isinstance(i, Number) for i in items):
        if not a.writeable:
            raise CannotRoll("writing to a read-only array")
        if isinstance(value, Elements):
            if value.ndim:
                raise CannotRoll("writing an array with axes to one place")
            value = item(t, value, ())
        index = tuple(place(t, i, s) for i, s in zip(items, a.sizes))
        e = _assigned(t, value, a.dtype)
        t.written(a)
        t.emit(Store(a.ref, index, e))
        return
    part = _sliced(t, a, items)
    if not (
        isinstance(value, InMemory) and value.ref == part.ref and part.writeable
    ):  # as after `a[key] += x`, which has written it
        assign(t, part, value)


def _assign_chosen(t: Trace, a: InMemory, mask: Elements, value: Any) -> None:
    """`a[mask] = value`: the value where the mask holds, elsewhere what is there. value: a number, or elements of the same choice"""
    if isinstance(value, Elements) or mask.ndim != a.ndim or not a.writeable:
        raise CannotRoll("writing an array to places that a mask tells")
    same_sizes(t, a.sizes, mask.sizes)
    if isinstance(value, Chosen):
        if value.kind == "c" and a.kind != "c" or value.kind == "f" and a.kind in "iu":
            raise CannotRoll(f"writing {value.dtype} into {a.dtype}")
        same_sizes(t, a.sizes, value.whole.sizes)
        whole, guarded = value.whole, where_chosen(value, Literal(0, value.dtype.name))
    else:
        e = _assigned(t, value, a.dtype)
        whole = guarded = Elements(a.dtype, a.sizes, lambda index: e)

    def at(index: tuple[Expr, ...]) -> Expr:
        return Apply("where", (mask.at(index), cast(whole.at(index), a.dtype), a.at(index)), a.dtype.name)

    def guards(index: tuple[Expr, ...]) -> tuple[Expr, ...]:
        return (*mask.guards(index), *guarded.guards(index))

    t.written(a)
    bases = mask.bases | guarded.bases
    _fill(t, a, Elements(a.dtype, a.sizes, at, guards, bases), apart=not (bases & a.bases))


def scalar(t: Trace, a: Elements) -> Number:
    """What an operation makes of arrays without axes: a number."""
    for guard in a.guards(()):
        t.emit(Check(guard))
    return Number(t.let(a.at(()), reads=True), a.dtype)


def item(t: Trace, a: Elements, index: Sequence[Any]) -> Number:
    """`a.item()`, or an array of one element as a number."""
    if index:
        made = getitem(t, a, Several(tuple(index)))
        if not isinstance(made, Number):
            raise CannotRoll("item() of a part")
    else:
        for s in a.sizes:
            if not s.is_one:
                t.emit(Check(Apply("eq", (s.expr, ONE), "bool")))
        made = getitem(t, a, Several(tuple(literal(0) for _ in a.sizes))) if a.ndim else scalar(t, a)
    if (
        made.kind in "fc"
        and made.dtype.itemsize == (8 if made.kind == "f" else 16)
        or made.dtype == INT
        or made.kind == "b"
    ):
        return Number(made.expr, made.dtype, True)
    raise CannotRoll(f"item() of {made.dtype}")
