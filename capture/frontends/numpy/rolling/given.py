"""What a loop finds outside, as parameters of its program: numbers, sizes, arrays; and the objects that it calls."""

from __future__ import annotations

import math
import types
from typing import TYPE_CHECKING, Any

import numpy as np

from .....inductor.graph import Dim
from .....inductor.sequential.program import ONE, Apply, ArrayRef, Check, Expr, Literal, Var
from ....bytecode.instructions import CodeView
from ....machine.calls import bind
from ....machine.frames import view_of
from ....machine.type_lookup import MISSING, type_find
from ....values.base import Value
from ....values.classes import PyModuleValue
from ....values.constant import ConstantValue
from ....values.functions import BoundMethodValue, CellValue, FunctionValue
from ....values.iterators import EnumerateValue, IteratorValue, RangeIterator, ZipValue
from ....values.number import NumberValue
from ....values.objects import ObjectValue
from ....values.ranges import OpenRangeIterator, RangeValue
from ....values.sequences import TupleValue
from ....values.symint import SymIntValue
from ..arrays import Array, PartStorage
from ..inputs import number_array
from ..places import ElementIterator, PlaceIterator
from ..values import RowIterator, UfuncValue
from . import functions, library
from .kinds import (
    INT,
    LARGE,
    SMALL_BITS,
    WORD_BITS,
    CannotRoll,
    Counted,
    Counting,
    Elements,
    Extent,
    Fixed,
    InMemory,
    Number,
    Outside,
    Placed,
    Rows,
    Several,
    Size,
    Zipped,
    literal,
    plain,
    refusal_of_use,
)

if TYPE_CHECKING:
    from ....values.base import Machine

_KINDS = {int: "int64", float: "float64", bool: "bool", complex: "complex128"}


def given_base(number: int) -> str:
    """What the memory of the array with that number is called."""
    return f"given:{number}"


def is_given(base: str) -> bool:
    """Whether memory is that of an array from outside."""
    return base.startswith("given:")


class Given:
    """What a loop finds outside: each number and array once, as a parameter of the program."""

    def __init__(self, ev: Machine, results: frozenset[str]) -> None:
        self.ev = ev
        self.results = results
        self.numbers: list[Var] = []
        self.arrays: list[ArrayRef] = []
        #: what the node is given for the numbers: a number, a size, or an Array without axes; and for the arrays
        self.number_args: list[Any] = []
        self.array_args: list[Array] = []
        #: what the program takes for granted of them
        self.assumed: list[Check] = []
        self._made: dict[Value, Any] = {}
        self._invariant: set[Expr] = set()
        self._refs: set[ArrayRef] = set()

    # ------------------------------------------------------------ parameters

    def _number(self, dtype: str, argument: Any) -> Var:
        var = Var(f"n{len(self.numbers)}", dtype)
        self.numbers.append(var)
        self.number_args.append(argument)
        self._invariant.add(var)
        return var

    def is_invariant(self, e: Expr) -> bool:
        return isinstance(e, Literal) or e in self._invariant

    def is_array(self, ref: ArrayRef) -> bool:
        return ref in self._refs

    def of(self, value: Value) -> Any:
        """A Value as the tracer knows it."""
        if isinstance(value, IteratorValue):
            raise CannotRoll("an iterator that has a name")
        found = self._made.get(value)
        if found is None:
            found = self._made[value] = self._convert(value)
        return found

    def _convert(self, value: Value) -> Any:
        if isinstance(value, Array):
            if value.parent is not None and not isinstance(value.parent, Array):
                raise CannotRoll("memory of another framework")
            if isinstance(value.storage, PartStorage):
                raise CannotRoll("a view of the parts of complex numbers")
            return self._scalar(value) if value.scalar else self._array(value)
        if isinstance(value, NumberValue):
            if type(value.hint) is int and value.can_be_size:
                return self._int(value.expr)
            return self._scalar(number_array(self.ev, value))
        if isinstance(value, SymIntValue):
            return self._int(value.expr)
        if isinstance(value, TupleValue):
            return Several(tuple(self.of(v) for v in value.items(self.ev)))
        if type(value) is ConstantValue:
            return self._constant(value.value)
        if isinstance(value, RangeValue):
            return Counting(self._bound(value.start), self._bound(value.stop), value.step)
        if isinstance(value, Value):
            return Outside(value)
        return value

    def iterator_of(self, value: Value) -> Any:
        """An iterator that nobody else has."""
        if isinstance(value, OpenRangeIterator) and value.begun is None:
            return self._convert(value.values)
        if isinstance(value, RangeIterator):
            return self._constant(value.left)
        if isinstance(value, RowIterator):
            array = self.of(value.owner)
            return Rows(array, literal(value.position))
        if isinstance(value, EnumerateValue):
            return Counted(self.iterator_of(value.inner), literal(value.count))
        if isinstance(value, PlaceIterator) and value.left is None and value.shape:
            total: Value = ConstantValue(1)
            for size in value.shape:
                total = self.ev.binary("*", total, size)
            return Placed(Counting(literal(0), self._bound(total), 1), tuple([self.of(size) for size in value.shape]))
        if isinstance(value, ZipValue) and not value.strict:
            return Zipped(tuple(self.iterator_of(v) for v in value.inner))
        why = f"iterating over {value.describe()}"
        if isinstance(value, ElementIterator):
            raise CannotRoll(why, math.prod(map(self.ev.hint, value.array.shape)), has_arrays=True)
        raise CannotRoll(why)

    def _bound(self, value: Value) -> Any:
        """A bound of a range. The usual ones are part of the program."""
        if type(value) is ConstantValue and value.value in (0, 1, -1):
            return literal(value.value)
        return self.of(value)

    def _constant(self, value: Any) -> Any:
        if type(value) is int:
            if not -(1 << 62) < value < 1 << 62:
                raise CannotRoll("an integer beyond 64 bits")
            return self._int(value)
        if type(value) is range:
            start, stop = (self._bound(ConstantValue(n)) for n in (value.start, value.stop))
            return Counting(start, stop, value.step)
        if type(value) is float and not math.isfinite(value):  # names of numbers, as np.inf is
            return literal(value)
        if type(value) in (float, complex) or isinstance(value, (np.floating, np.complexfloating, np.integer)):
            dtype = value.dtype if isinstance(value, np.generic) else np.dtype(_KINDS[type(value)])
            var = self._number(dtype.name, value.item() if isinstance(value, np.generic) else value)
            return Number(var, dtype, not isinstance(value, np.generic))
        return plain(value)

    def _int(self, known: Dim) -> Number:
        """An int that capture knows, as a parameter: the program is the same for any other of its sign that is not huge."""
        var = self._number("int64", known)
        hint = self.ev.hint(known)
        small, natural = abs(hint) < LARGE, hint >= 0
        if small:
            low = Literal(0 if natural else -LARGE, "int64")
            self.assumed.append(Check(Apply("ge", (var, low), "bool")))
            self.assumed.append(Check(Apply("lt", (var, Literal(LARGE, "int64")), "bool")))
        return Number(var, INT, True, Size(known, hint), SMALL_BITS if small else WORD_BITS, small and natural)

    def size(self, known: Size) -> Extent:
        """A size that capture knows, as a parameter."""
        number = self._int(known.value)
        return Extent(number.expr, number.known)

    def _scalar(self, value: Array) -> Number:
        dtype = value.dtype
        if dtype.kind not in "biufc" or dtype == np.float16:
            raise CannotRoll(f"a number of type {dtype}")
        return Number(self._number(dtype.name, value), dtype, value.number is not None)

    def _array(self, value: Array) -> InMemory:
        dtype = value.dtype
        if dtype.kind not in "biufc" or dtype == np.float16 or dtype.itemsize > 16:
            raise CannotRoll(f"arrays of {dtype}")
        name = f"x{len(self.arrays)}"
        sizes = tuple(
            Extent(ONE if s == 1 else Var(f"{name}_n{d}", "int64"), Size(s, self.ev.hint(s)))
            for d, s in enumerate(value.shape)
        )
        strides = tuple(Var(f"{name}_s{d}", "int64") for d in range(value.ndim - 1))
        ref = ArrayRef(name, dtype.name, tuple(s.expr for s in sizes), (*strides, *[ONE] * bool(value.ndim)))
        self._invariant.update((*strides, *(s.expr for s in sizes)))
        self._refs.add(ref)
        base = given_base(len(self.arrays))
        self.arrays.append(ref)
        self.array_args.append(value)
        by_rows = len(sizes) < 2 or self._by_rows(value)
        return InMemory.of(ref, dtype, sizes, frozenset((base,)), by_rows, value.writeable, base)

    def _by_rows(self, value: Array) -> bool:
        """Whether the axes are ordered in memory as they are counted, and arrays like this one will be laid out row by row."""
        steps = [abs(self.ev.hint(step)) for size, step in zip(value.shape, value.strides) if size != 1]
        return 0 not in steps and steps == sorted(steps, reverse=True)

    # ------------------------------------------------------------ objects

    def object_of(self, value: Value) -> Any:
        """The Python object that a Value is."""
        if not value.is_constant:
            owner = value.owner.python_type() if isinstance(value, BoundMethodValue) else object
            raise refusal_of_use(owner, value.describe())
        return value.as_constant()

    def global_of(self, scope: Any, name: str) -> Any:
        return self.of(scope.values.get(name) or scope.read(self.ev, name))

    def cell(self, cell: Any) -> Any:
        content = cell.get(self.ev) if isinstance(cell, CellValue) else None
        if content is None:
            raise CannotRoll("a variable that inner functions share")
        return self.of(content)

    def attribute(self, owner: Value, name: str) -> Any:
        """`owner.name`, where reading it runs no code of the program's: the loop may not be rolled after all, and then runs."""
        if isinstance(owner, UfuncValue) and isinstance(owner.real, np.ufunc):
            return Fixed(getattr(owner.real, name))
        if isinstance(owner, PyModuleValue):
            plain_read = name in owner.real.__dict__
        else:
            plain_read = isinstance(owner, ObjectValue) and _is_plain(owner.python_type(), name)
        if not plain_read:
            raise refusal_of_use(owner.python_type(), f"the attribute {name} of {owner.describe()}")
        return self.of(owner.getattr_(self.ev, name))

    def attribute_of_object(self, owner: Any, name: str) -> Any:
        if isinstance(owner, np.dtype) and name in ("itemsize", "name", "kind", "char", "type"):
            return plain(getattr(owner, name))
        if isinstance(owner, (np.iinfo, np.finfo)):
            found = getattr(owner, name, None)
            if isinstance(found, (int, np.number)):
                return literal(found)
        raise CannotRoll(f"the attribute {name} of {type(owner).__name__}")

    def python_function(self, value: Value) -> FunctionValue | None:
        """A function of the program's, to be evaluated like the loop; None for what the tables know."""
        if isinstance(value, BoundMethodValue):
            value = value.function
        if not isinstance(value, FunctionValue):
            return None
        if value.is_constant:
            real = value.as_constant()
            if real in library.FUNCTIONS or real in functions.BUILTINS:
                return None
        return value

    def bound(self, fn: FunctionValue, args: list[Any], kwargs: dict[str, Any]) -> tuple[CodeView, Any, dict[str, Any]]:
        view = view_of(fn.code)
        if view.can_suspend or view.has_varargs or view.has_varkw or view.cell_names:
            raise CannotRoll(f"a call of {fn.name}")
        slots: dict[str, Any] = dict(bind(self.ev, fn, view, args, kwargs))
        made = {k: self.of(v) if isinstance(v, Value) and not isinstance(v, CellValue) else v for k, v in slots.items()}
        for name, value in made.items():
            if isinstance(value, Elements) and not isinstance(value, InMemory):
                raise CannotRoll(f"an expression as the argument {name}")
        return view, fn.scope, made


def _is_plain(cls: type, name: str) -> bool:
    """Whether an attribute of instances is theirs, or a method that is a Python function: nothing of the class's own looks it up."""
    raw = type_find(cls, name)
    own = any(type_find(cls, hook) is not type_find(object, hook) for hook in ("__getattribute__", "__getattr__"))
    return not own and (raw is MISSING or isinstance(raw, types.FunctionType))
