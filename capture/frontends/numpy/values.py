"""Arrays as the evaluator meets them: Python's protocols (operators, attributes, items, iteration) on symbolic arrays.

The meaning of each operation stands in `names`; here arguments are taken out of Values, results put back, and errors
turned into what capture understands: a refusal becomes a graph break, NumPy's own errors are left to plain Python.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import Unsupported
from ....inductor.float_errors import FloatErrors
from ... import locations
from ...breaks import Break, NotConstant
from ...machine.objects import MethodValue
from ...machine.type_lookup import MISSING
from ...values.base import Args, Kwargs, Value
from ...values.constant import NONE, ConstantValue
from ...values.functions import BuiltinValue
from ...values.iterators import IteratorValue
from ...values.mappings import DictValue
from ...values.number import NumberValue, changing, place_of_call
from ...values.sequences import ListValue, SliceValue, TupleValue
from ...values.tensor import ArrayValue, InputStorage
from ..contents import content_of
from . import listed, names, options
from .arrays import Array, Masked, known_number
from .builder import ArrayBuilder
from .errstate import Settings
from .inputs import guard_power, number_array, scalar_input
from .layout import is_size
from .names import Takes
from .state import NumpyState

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

#: methods that give Python numbers or text: known when the program runs only
_CONVERSIONS = frozenset((
    "item", "tolist", "tobytes", "__float__", "__int__", "__index__", "__complex__", "__bool__", "__round__",
    "__format__", "__str__", "__repr__", "__trunc__", "is_integer", "as_integer_ratio", "hex",
))  # fmt: skip
#: those of them that are known where the elements are
_READABLE = frozenset(("item", "tolist", "__float__", "__int__", "__index__", "__complex__", "__bool__"))
#: those of them that a graph can compute and hand on
_NUMBERS = {"__float__": float, "__int__": int, "item": None}
#: what NumPy raises for bad arguments
ERRORS = (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, np.linalg.LinAlgError)


class DTypeValue(ConstantValue):
    """A dtype: equal to all that NumPy compares it with (`x.dtype == np.float32`, `== "f4"`)."""

    __slots__ = ()

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        return ev.fold(ev.operators.COMPARE[op], self.value, other.as_constant()) if other.is_constant else None


class NumpyArray(Array):
    """An ndarray or a NumPy scalar of the program."""

    __slots__ = ()

    def enter(self, ev: Machine) -> None:
        """An array from outside is met: what was written before must not show in it."""
        state: NumpyState = ev.states["numpy"]
        storage: Any = self.storage
        for written in state.entries:
            if written.key == storage.key:
                raise ev.break_("aliased-input-write", f"an array whose memory was written to as `{written.source.label}`",
                                "the two arrays would have to be updated together", "pass one of them, or a copy")  # fmt: skip
            self.guard_apart(ev, written, storage)
        state.inputs.append(storage)

    #: its truth is not known during capture
    branches = True

    def derived_type(self) -> str:
        return "number from an array" if self.number else "NumPy scalar" if self.scalar else "array"

    def describe(self) -> str:
        label = f" `{self.source.label}`" if self.source is not None else ""
        return f"the {self.derived_type()}{label} of dtype {self.dtype} and shape {self.shape}"

    # ------------------------------------------------------------ attributes and calls

    def getattr_(self, ev: Machine, name: str) -> Value:
        if self.number is not None and name not in _CONVERSIONS and name not in _PROTOCOL and name != "__class__":
            raise ev.break_(
                "data-dependent-scalar", f"the attribute {name!r} of {self.describe()}", "quern does not model it"
            )
        reader = names.ATTRIBUTES.get(name)
        if reader is not None:
            return attempt(ev, lambda b: reader(b, self))
        if name == "__class__":
            return super().getattr_(ev, name)
        cls = self.python_type()
        if name in names.METHODS or name in _CONVERSIONS or name in _PROTOCOL:
            return MethodValue(self, name)
        if hasattr(cls, name):
            raise ev.break_(
                "numpy-attribute", f"the attribute {name!r} of {self.describe()}", "quern does not model it"
            )
        raise ev.attribute_error(self, name)

    def python_number(self, ev: Machine) -> Value | None:
        storage = self.storage
        if not self.scalar or self.source is None or self.kind not in "iuf" or not isinstance(storage, InputStorage):
            return None
        kind: type = float if self.kind == "f" else int
        place = self.source.computed(f"{ev.names.inject(kind)}({{p0}})")
        ev.symbols.changing = True
        return NumberValue(place, kind(storage.real), (self.source.address, None), ev.symbols)

    def _content(self, ev: Machine, settle: bool = True) -> Any:
        """The array or scalar itself, where it is the same at every call; else None."""
        if self.changing is not None or self.storage.is_input:
            return None
        wanted = ev.boundary.framework or "numpy"
        (runtime,) = (f.runtime for f in ev.frontends if f.name == wanted)
        try:
            with ev.states["numpy"].builder.at_once():
                content = content_of(ev, self.node(ev), runtime, settle)
        except (Unsupported, FloatErrors, *ERRORS):  # it warns of something, or fails, at each call
            return None
        return content if content is None else np.asarray(content)[()] if self.scalar else np.asarray(content)

    def setattr_(self, ev: Machine, name: str, value: Value) -> None:
        raise ev.break_("numpy-attribute", f"setting the attribute {name!r} of {self.describe()}", "",
                        "use reshape, view or astype")  # fmt: skip

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        content = self._content(ev, name not in _NUMBERS) if name in _READABLE else None
        if content is not None:
            given, named = [ev.as_python(a) for a in args], {k: ev.as_python(v) for k, v in kwargs.items()}
            return ev.fold(lambda: getattr(content, name)(*given, **named))
        if name in _NUMBERS and not args and not kwargs:
            if self.ndim and name != "item":
                raise ev.break_(
                    "data-dependent-scalar", f"{name}() of {self.describe()}", "NumPy warns of it, or refuses it"
                )
            kind = _NUMBERS[name] or {"f": float, "i": int, "u": int, "b": bool, "c": complex}[self.kind]
            return attempt(ev, lambda b: b.python_number(self, kind))
        if name in _CONVERSIONS:
            raise ev.break_("data-dependent-scalar", f"{name}() of {self.describe()}", "the number is known when the program runs only",
                            "keep it an array")  # fmt: skip
        method = names.METHODS.get(name)
        if method is None:
            return super().call_method(ev, name, args, kwargs)
        takes = names.takes_of_method(name, kwargs)
        return call_handler(ev, lambda b, *a, **k: method(b, self, *a, **k), args, kwargs, takes)

    # ------------------------------------------------------------ protocols

    def truth(self, ev: Machine) -> bool:
        known = known_number(self)
        if known is not None and self.size == 1:
            return bool(known)
        content = self._content(ev)
        if content is not None:
            return ev.fold_raw(bool, content)
        number = self.python_number(ev) if self.kind in "iu" else None
        if number is not None:
            return number.truth(ev)
        raise ev.break_("data-dependent-branch", f"the truth of {self.describe()}", "it depends on the array's elements",
                        "use np.where, or decide outside of the compiled function")  # fmt: skip

    def len_(self, ev: Machine) -> Value:
        if not self.ndim:
            raise ev.type_error("len() of unsized object")
        return rewrap(ev, self.shape[0])

    def iter_(self, ev: Machine) -> Value:
        if not self.ndim:
            raise ev.type_error("iteration over a 0-d array")
        return RowIterator(self)

    def _item(self, b: ArrayBuilder, key: Any) -> Any:
        return names.METHODS["__getitem__"](b, self, key)

    def getitem(self, ev: Machine, key: Value) -> Value:
        return call_handler(ev, self._item, [key], {})

    def row_of_its_own(self, ev: Machine, i: int, number: type | None) -> Value:
        """A row that is no view. number: the type of Python's number that it is"""
        row = self.getitem(ev, ConstantValue(i))
        if not isinstance(row, Array) or row.scalar:
            row.number = number  # type: ignore[attr-defined]
            return row
        state: NumpyState = ev.states["numpy"]
        return state.builder.copy(row)

    def setitem(self, ev: Machine, key: Value, value: Value) -> None:
        if isinstance(value, NumberValue):
            value = number_array(ev, value)
        takes = names.takes_of_method("__setitem__", {})
        call_handler(
            ev, lambda b, key, value: names.METHODS["__setitem__"](b, self, key, value), [key, value], {}, takes
        )

    def contains(self, ev: Machine, item: Value) -> bool:
        raise ev.break_("data-dependent-branch", f"`in` on {self.describe()}", "it depends on the array's elements")

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        if not _is_operand(other) or self.scalar and _is_pythons_affair(self, op, other, reflected):
            return _foreign(ev, self, op, other)
        if self.number is not None:
            self._check_python(ev, op, other, reflected)
        pair = (other, self) if reflected else (self, other)
        if op == "**" and not reflected and isinstance(other, NumberValue):
            guard_power(ev, other)
        made = call_handler(ev, lambda b, left, right: names.binary(b, op, left, right), pair, {}, Takes.OPERANDS)
        if self.number is not None and not isinstance(other, NumpyArray):
            made.number = float  # type: ignore[attr-defined]
        return made

    def _check_python(self, ev: Machine, op: str, other: Value, reflected: bool) -> None:
        """A Python number next to an array is NumPy's affair; next to another number only + - * of floats are."""
        array = isinstance(other, NumpyArray) and other.number is None
        simple = op in ("+", "-", "*") or (
            op == "/" and not reflected and other.is_constant and other.as_constant() != 0
        )
        if array or (
            simple and self.number is float and other.is_constant and type(other.as_constant()) in (int, float)
        ):
            return
        raise ev.break_("data-dependent-scalar", f"`{op}` on {self.describe()}", "the number is known when the program runs only",
                        "keep it an array")  # fmt: skip

    def inplace(self, ev: Machine, op: str, other: Value) -> Value | None:
        if self.scalar:
            return None
        if not _is_operand(other):
            return _foreign(ev, self, f"{op}=", other)
        if op == "**" and isinstance(other, NumberValue):
            guard_power(ev, other)
        return call_handler(ev, lambda b, right: names.inplace(b, op, self, right), [other], {}, Takes.WRITTEN)

    def unary(self, ev: Machine, op: str) -> Value:
        if self.number is not None:
            raise ev.break_(
                "data-dependent-scalar",
                f"`{op}` on {self.describe()}",
                "the number is known when the program runs only",
            )
        return attempt(ev, lambda b: names.unary(b, op, self))

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if not _is_operand(other) or self.scalar and _is_pythons_affair(self, op, other, True):
            return _foreign(ev, self, op, other)
        if self.number is not None and not (isinstance(other, NumpyArray) and other.number is None):
            raise ev.break_(
                "data-dependent-branch", f"`{op}` on {self.describe()}", "it depends on the array's elements"
            )
        return call_handler(
            ev, lambda b, right: names.call(b, names.COMPARE[op], [self, right], {}), [other], {}, Takes.OPERANDS
        )

    def repr_(self, ev: Machine) -> Value:
        raise ev.break_("data-dependent-text", f"the text of {self.describe()}", "it depends on the array's elements")

    def format_(self, ev: Machine, spec: str) -> Value:
        return self.repr_(ev)

    def key(self, ev: Machine) -> Any:
        if self.scalar:
            raise ev.break_("data-dependent-scalar", f"the hash of {self.describe()}", "it depends on the number")
        raise ev.type_error("unhashable type: 'numpy.ndarray'")


_PROTOCOL = frozenset((
    "__len__", "__iter__", "__contains__", "__array__", "__array_ufunc__", "__array_function__", "__copy__", "__deepcopy__",
    *(f"__{stem}__" for stem in (
        "add", "radd", "iadd", "sub", "rsub", "isub", "mul", "rmul", "imul", "truediv", "rtruediv", "itruediv", "floordiv",
        "rfloordiv", "ifloordiv", "mod", "rmod", "imod", "pow", "rpow", "ipow", "matmul", "rmatmul", "imatmul", "and", "rand",
        "iand", "or", "ror", "ior", "xor", "rxor", "ixor", "lshift", "rlshift", "ilshift", "rshift", "rrshift", "irshift",
        "neg", "pos", "invert", "lt", "le", "gt", "ge", "eq", "ne",
    )),
))  # fmt: skip


def _is_operand(value: Value) -> bool:
    """What array operators take: arrays, numbers, sizes, and (nested) lists of those."""
    if isinstance(value, (Array, MaskedValue, ListValue, TupleValue)):
        return True
    if type(value) is ConstantValue:
        return isinstance(value.value, (bool, int, float, complex, np.generic))
    return isinstance(value, NumberValue) or hasattr(value, "expr")


def _is_pythons_affair(scalar: NumpyArray, op: str, other: Value, reflected: bool) -> bool:
    """Whether Python's own type answers before NumPy's: a list is repeated by an integer; a complex number knows floats, and
    float64 is one. (Whether it stands on the left is not known of comparisons.)
    """
    if isinstance(other, (ListValue, TupleValue)):
        return op == "*"
    if not reflected or scalar.dtype != np.float64 or not other.is_constant:
        return False
    return type(other.as_constant()) is complex


def _foreign(ev: Machine, mine: Array | MaskedValue, op: str, other: Value) -> Value | None:
    """`mine op other` for an operand that graphs do not hold: None (NotImplemented) where NumPy leaves the operator to the
    other's class, which then must say so with `__array_ufunc__ = None`. All else NumPy would make an array of: a break.
    """
    cls = other.python_type()
    if isinstance(mine, Array) and mine.number is not None and not ev.has_special(other, "__array_ufunc__"):
        return None  # Python's own float or int knows numbers only
    if not op.endswith("=") or op in names.COMPARE:
        asked = ev.objects.type_find(cls, "__array_ufunc__")
        if asked is None:
            return None
        if isinstance(other, ArrayValue) and asked is MISSING and getattr(cls, "__array_priority__", 0) > 0:
            return None  # NumPy gives way to arrays that say they come first
    raise ev.break_("numpy-operand", f"`{op}` between {mine.describe()} and {other.describe()}",
                    f"NumPy makes an array of the {cls.__name__} object, or asks its class what to do",
                    "convert it before")  # fmt: skip


class RowIterator(IteratorValue):
    """Over an array along its first axis: each item is taken when it is asked for, and sees what was written before."""

    __slots__ = ("owner", "position")

    def __init__(self, owner: NumpyArray) -> None:
        super().__init__()
        self.owner = owner
        self.position = 0

    def _take(self, ev: Machine, place: int) -> Value:
        return self.owner.getitem(ev, ConstantValue(place))

    def _size(self, ev: Machine) -> int:
        size = self.owner.shape[0]
        if not isinstance(size, int):
            raise ev.break_("dynamic-iteration", f"iterating over {self.owner.describe()}", "its length is dynamic")
        return size

    def next_(self, ev: Machine) -> Value | None:
        if self.position >= self._size(ev):
            return None
        self.position += 1
        return self._take(ev, self.position - 1)

    def rebuild(self, rb: Emitter) -> str:
        name = rb.temp(f"iter({rb.value(self.owner)})")
        if self.position:
            rb.emit(f"{name}.__setstate__({self.position})")
        return name


class MaskedValue(Value):
    """Elements of an array chosen by a mask (see `arrays.Masked`). Returned, it is indexed after the graph has run."""

    __slots__ = ("masked",)

    def __init__(self, masked: Masked) -> None:
        super().__init__()
        self.masked = masked

    def python_type(self) -> type:
        return np.ndarray

    def describe(self) -> str:
        return f"elements of an array of dtype {self.masked.dtype} chosen by a mask"

    def rebuild(self, rb: Emitter) -> str:
        return f"{rb.value(self.masked.array)}[{rb.value(self.masked.mask)}]"

    def _refuse(self, ev: Machine, what: str) -> Exception:
        return ev.break_("data-dependent-shape", f"{what} {self.describe()}", "their number depends on the data",
                         "use np.where(mask, x, other)")  # fmt: skip

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name == "dtype":
            return rewrap(ev, self.masked.dtype)
        if name == "ndim":
            return ConstantValue(self.masked.array.ndim - self.masked.mask.ndim + 1)
        if name == "__class__":
            return super().getattr_(ev, name)
        if name in _MASKED_METHODS or name in _PROTOCOL:
            return MethodValue(self, name)
        raise self._refuse(ev, f"the attribute {name!r} of")

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name not in _MASKED_METHODS:
            return super().call_method(ev, name, args, kwargs)
        method = names.METHODS[name]
        return call_handler(ev, lambda b, *a, **k: method(b, self.masked, *a, **k), args, kwargs)

    def truth(self, ev: Machine) -> bool:
        raise self._refuse(ev, "the truth of")

    def len_(self, ev: Machine) -> Value:
        raise self._refuse(ev, "the length of")

    def iter_(self, ev: Machine) -> Value:
        raise self._refuse(ev, "iterating over")

    def getitem(self, ev: Machine, key: Value) -> Value:
        raise self._refuse(ev, "indexing")

    def setitem(self, ev: Machine, key: Value, value: Value) -> None:
        raise self._refuse(ev, "writing to")

    def contains(self, ev: Machine, item: Value) -> bool:
        raise self._refuse(ev, "`in` on")

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        if not _is_operand(other):
            return _foreign(ev, self, op, other)
        pair = (other, self) if reflected else (self, other)
        return call_handler(ev, lambda b, left, right: names.binary(b, op, left, right), pair, {})

    def inplace(self, ev: Machine, op: str, other: Value) -> Value | None:
        if not _is_operand(other):
            return _foreign(ev, self, op, other)
        return call_handler(ev, lambda b, right: names.inplace_chosen(b, op, self.masked, right), [other], {})

    def unary(self, ev: Machine, op: str) -> Value:
        return attempt(ev, lambda b: names.call(b, names.UNARY[op], [self.masked], {}))

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        if not _is_operand(other):
            return _foreign(ev, self, op, other)
        return call_handler(
            ev, lambda b, right: names.call(b, names.COMPARE[op], [self.masked, right], {}), [other], {}
        )


_MASKED_METHODS = frozenset(("sum", "prod", "mean", "std", "var", "any", "all", "max", "min", "conj", "conjugate"))


class UfuncValue(BuiltinValue):
    """A ufunc, or another NumPy function written in C: its methods are called like functions."""

    __slots__ = ()

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name == "__call__":
            return self.call(ev, args, kwargs)
        return call_function(ev, getattr(self.real, name), args, kwargs)

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name in names.UFUNC_METHODS and isinstance(self.real, np.ufunc):
            return MethodValue(self, name)
        return super().getattr_(ev, name)


# --------------------------------------------------------------------------- calls


def call_function(ev: Machine, function: Any, args: Args, kwargs: Kwargs) -> Value:
    """A call of a NumPy callable."""
    takes = Takes.ANY
    if len(args) == 1 and not kwargs and function in listed.MAKERS:
        found = listed.of_list(ev, function, args[0])
        if found is not None:
            return found
    if function in _MAKE_ARRAYS and args and isinstance(args[0], ArrayValue) and not isinstance(args[0], Array):
        args = [args[0].call_method(ev, "numpy", [], {}), *args[1:]]
    if isinstance(function, np.ufunc) and function.nout == 1 and not kwargs:
        taken = [a.as_array(ev) or a if isinstance(a, ArrayValue) else a for a in args]
        owner = next((a for a, t in zip(args, taken) if a is not t), None)
        if isinstance(owner, ArrayValue):
            return owner.from_array(ev, call_function(ev, function, taken, kwargs))
    if function in _TAKE_ARRAYS:
        args = [_as_arrays(ev, a) for a in args]
    if ev.symbols.changing:
        if (isinstance(function, np.ufunc) or function in _NUMBER_TYPES) and args and not kwargs:
            made = _scalar_call(ev, function, args)
            if made is not None:
                return made
        takes = names.takes_of(function, kwargs)
    return call_handler(ev, lambda b, *a, **k: names.call(b, function, a, k), args, kwargs, takes)


def call_handler(
    ev: Machine, handler: Callable[..., Any], args: Args, kwargs: Kwargs, takes: Takes = Takes.ANY
) -> Value:
    """Call a handler with Values for arguments."""
    numbers = changing(ev, (*args, *kwargs.values()))
    if numbers:
        return _call_with_numbers(ev, handler, args, kwargs, takes, numbers)
    plain = [unwrap(ev, a) for a in args]
    named = {k: unwrap(ev, v) for k, v in kwargs.items()}
    return attempt(ev, lambda b: _checked(b, handler, plain, named))


def _checked(b: ArrayBuilder, handler: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    options.check(handler, args, kwargs)
    return handler(b, *args, **kwargs)


def _call_with_numbers(
    ev: Machine, handler: Callable[..., Any], args: Args, kwargs: Kwargs, takes: Takes, numbers: list[NumberValue]
) -> Value:
    """A call with numbers that change. Where the handler refuses them, or would give another kind of result for the numbers
    themselves, they are constants.
    """

    def call(as_graph: Callable[[NumberValue], Any], operands: bool) -> Value:
        def given(value: Value) -> Any:
            if isinstance(value, NumberValue) and (operands or type(value.hint) is float):
                return as_graph(value)
            if isinstance(value, (TupleValue, ListValue)):
                items = [given(v) for v in value.items(ev)]
                return tuple(items) if isinstance(value, TupleValue) else items
            return unwrap(ev, value)

        plain, named = [given(a) for a in args], {k: given(v) for k, v in kwargs.items()}
        return attempt(ev, lambda b: _checked(b, handler, plain, named))

    state: NumpyState = ev.states["numpy"]
    for operands in (True, False) if takes in (Takes.OPERANDS, Takes.WRITTEN) else (False,):
        try:
            made = call(lambda number: number_array(ev, number), operands)
            if takes in (Takes.WRITTEN, Takes.WRITTEN_SIZES):
                return made
            heard = dict(state.heard)
            wanted = call(lambda number: number.hint, operands)
            state.heard = heard  # nobody uses what that call gave
            if _alike(ev, made, wanted):
                return made
        except Break:
            if takes is Takes.WRITTEN:
                break
    return numbers[0].known()


def _alike(ev: Machine, made: Value, wanted: Value) -> bool:
    """Whether two results are of one kind: classes, element types, shapes."""
    if isinstance(made, (TupleValue, ListValue)):
        pairs = zip(made.items(ev), wanted.items(ev)) if type(made) is type(wanted) else ()
        return type(made) is type(wanted) and all(_alike(ev, m, w) for m, w in pairs)
    if isinstance(made, NumpyArray) and isinstance(wanted, NumpyArray):
        return (made.dtype, made.shape, made.strides, made.scalar, made.number) == (
            wanted.dtype, wanted.shape, wanted.strides, wanted.scalar, wanted.number
        )  # fmt: skip
    if isinstance(made, MaskedValue) and isinstance(wanted, MaskedValue):
        return made.masked.dtype == wanted.masked.dtype
    return made.python_type() is wanted.python_type() and not isinstance(made, (NumpyArray, MaskedValue))


#: NumPy's classes of numbers
_NUMBER_TYPES = frozenset(np.dtype(kind).type for kind in "bhilqBHILQefd")


def _scalar_call(ev: Machine, function: Callable[..., Any], args: Args) -> Value | None:
    """A ufunc of Python numbers alone, or NumPy's number of one: NumPy computes it at each call. Numbers of which it meets a
    floating-point error do not fit the entry: for those the graph computes it, whose errors come at their place.
    """
    if getattr(function, "nout", 1) != 1 or not all(isinstance(a, NumberValue) or _is_python_number(a) for a in args):
        return None
    settings: Settings = ev.states["numpy"].settings
    # NumPy is called before the program's np.errstate is
    if not changing(ev, args) or settings.errors != settings.outside:
        return None
    careful = _raising(function)
    try:
        place, hint = place_of_call(ev, careful, careful, args)
    except (ArithmeticError, TypeError):
        return None
    return scalar_input(ev, hint, place) if isinstance(hint, np.inexact) or function in _NUMBER_TYPES else None


@functools.cache
def _raising(function: Any) -> Callable[..., Any]:
    def call(*values: Any) -> Any:
        with np.errstate(all="raise"):
            return function(*values)

    call.__name__ = function.__name__
    return call


def _is_python_number(value: Value) -> bool:
    return type(value) is ConstantValue and type(value.value) in (int, float)


#: functions that make an array of what has an `__array__`
_MAKE_ARRAYS = frozenset((np.array, np.asarray, np.ascontiguousarray))
#: functions that compute with what they make of it, and give arrays of NumPy
_TAKE_ARRAYS = frozenset((np.concatenate, np.stack, np.vstack, np.hstack, np.where, np.dot, np.einsum))


def _as_arrays(ev: Machine, value: Value) -> Value:
    """An argument with NumPy's arrays in the place of other frameworks', also in a sequence."""
    if isinstance(value, ArrayValue):
        return value.as_array(ev) or value
    if type(value) is ListValue or type(value) is TupleValue:
        items = value.items(ev)
        taken = [_as_arrays(ev, v) for v in items]
        return type(value)(taken) if any(t is not v for t, v in zip(taken, items)) else value
    return value


def attempt(ev: Machine, action: Callable[[ArrayBuilder], Any]) -> Value:
    """Do something that adds to the graph; refusals and errors as capture knows them."""
    ev.builder.loc = locations.current(ev)
    state: NumpyState = ev.states["numpy"]
    before = len(ev.graph.nodes)
    try:
        with ev.builder.of_library("numpy"):
            made = rewrap(ev, action(state.builder))
        if len(ev.graph.nodes) > before:
            ev.boundary.claim("numpy")
            state.nodes += len(ev.graph.nodes) - before
            state.listen(ev, ev.graph.nodes[before:])
        return made
    except Unsupported as error:
        raise ev.break_(error.code, error.what, error.why, error.rewrite) from error
    except ERRORS as error:
        raise ev.framework_error(error) from error


def unwrap(ev: Machine, value: Value) -> Any:
    """An argument for a handler: arrays stay symbolic, sizes are expressions, all else is Python."""
    if isinstance(value, Array):
        return value
    if isinstance(value, MaskedValue):
        return value.masked
    value = ev.plain(value)
    if isinstance(value, ConstantValue):
        return value.value
    if isinstance(value, TupleValue):
        return tuple(unwrap(ev, v) for v in value.items(ev))
    if isinstance(value, ListValue):
        return [unwrap(ev, v) for v in value.items(ev)]
    if isinstance(value, SliceValue):
        return slice(*(unwrap(ev, v) for v in (value.start, value.stop, value.step)))
    if isinstance(value, DictValue):
        return {ev.as_python(k): unwrap(ev, v) for k, v in value.pairs(ev)}
    if hasattr(value, "expr"):
        return value.expr
    try:
        return ev.to_python(value)
    except NotConstant:
        raise ev.break_("numpy-argument", f"a NumPy call with {value.describe()}",
                        "NumPy functions are captured for arrays, numbers, and lists of those") from None  # fmt: skip


def rewrap(ev: Machine, result: Any) -> Value:
    """A handler's result as a Value."""
    if result is None:
        return NONE
    if isinstance(result, Array):
        return result
    if isinstance(result, np.ndarray):  # known now, and new at each call
        return ev.states["numpy"].builder.constant(result)
    if isinstance(result, Masked):
        result.value = result.value or MaskedValue(result)
        return result.value
    if type(result) is tuple:
        return TupleValue([rewrap(ev, r) for r in result])
    if isinstance(result, tuple) and hasattr(result, "_fields"):  # a named tuple
        return ev.call(ev.constant(type(result)), [rewrap(ev, r) for r in result])
    if type(result) is list:
        return ListValue([rewrap(ev, r) for r in result])
    if is_size(result):
        return ev.size(result)
    return ev.from_python(result)


def handler_of(function: Any) -> Callable[[Machine, Args, Kwargs], Value]:
    """The evaluator's handler of a NumPy callable."""
    return lambda ev, args, kwargs: call_function(ev, function, args, kwargs)
