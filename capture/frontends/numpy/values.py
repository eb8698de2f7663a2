"""Arrays as the evaluator meets them: Python's protocols (operators, attributes, items, iteration) on symbolic arrays.

The meaning of each operation stands in `names`; here arguments are taken out of Values, results put back, and errors
turned into what capture understands: a refusal becomes a graph break, NumPy's own errors are left to plain Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import Unsupported
from ....inductor.graph import Node
from ... import locations
from ...breaks import NotConstant
from ...objects import MethodValue
from ...values.base import Args, Kwargs, Value
from ...values.constant import NONE, ConstantValue
from ...values.functions import BuiltinValue
from ...values.mappings import DictValue
from ...values.sequences import ListValue, SliceValue, TupleValue
from ...values.tensor import ArrayState, InputStorage
from . import names
from .arrays import Array, ArrayBuilder

if TYPE_CHECKING:
    from ...evaluator import Evaluator

#: methods that give Python numbers or text: known when the program runs only
_CONVERSIONS = frozenset((
    "item", "tolist", "tobytes", "__float__", "__int__", "__index__", "__complex__", "__bool__", "__round__",
    "__format__", "__str__", "__repr__", "__trunc__", "is_integer", "as_integer_ratio", "hex",
))  # fmt: skip
#: what NumPy raises for bad arguments
ERRORS = (ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, np.linalg.LinAlgError)


class NumpyState(ArrayState):
    """The arrays of one capture, and the builder that makes them."""

    def __init__(self, ev: Evaluator) -> None:
        super().__init__()
        self.builder = ArrayBuilder(ev, NumpyArray)


class InputArray(InputStorage):
    """The memory of an array from outside."""

    __slots__ = ()

    def entry_node(self, ev: Evaluator) -> Node:
        if any(not isinstance(example, np.ndarray) for _, example in ev.inputs):
            raise ev.break_("mixed-frameworks", "NumPy arrays together with another framework's tensors in one function",
                            "a graph runs in one framework", "convert the arrays outside of the function")  # fmt: skip
        return super().entry_node(ev)


class NumpyArray(Array):
    """An ndarray or a NumPy scalar of the program."""

    __slots__ = ()

    #: its truth is not known during capture
    branches = True

    def derived_type(self) -> str:
        return "NumPy scalar" if self.scalar else "array"

    def describe(self) -> str:
        label = f" `{self.source.label}`" if self.source is not None else ""
        return f"the {self.derived_type()}{label} of dtype {self.dtype} and shape {self.shape}"

    # ------------------------------------------------------------ attributes and calls

    def getattr_(self, ev: Evaluator, name: str) -> Value:
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

    def setattr_(self, ev: Evaluator, name: str, value: Value) -> None:
        raise ev.break_("numpy-attribute", f"setting the attribute {name!r} of {self.describe()}", "",
                        "use reshape, view or astype")  # fmt: skip

    def call_method(self, ev: Evaluator, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name in _CONVERSIONS:
            raise ev.break_("data-dependent-scalar", f"{name}() of {self.describe()}", "the number is known when the program runs only",
                            "keep it an array")  # fmt: skip
        method = names.METHODS.get(name)
        if method is None:
            return super().call_method(ev, name, args, kwargs)
        return call_handler(ev, lambda b, *a, **k: method(b, self, *a, **k), args, kwargs)

    # ------------------------------------------------------------ protocols

    def truth(self, ev: Evaluator) -> bool:
        raise ev.break_("data-dependent-branch", f"the truth of {self.describe()}", "it depends on the array's elements",
                        "use np.where, or decide outside of the compiled function")  # fmt: skip

    def len_(self, ev: Evaluator) -> Value:
        if not self.ndim:
            raise ev.type_error("len() of unsized object")
        return rewrap(ev, self.shape[0])

    def iter_(self, ev: Evaluator) -> Value:
        if not self.ndim:
            raise ev.type_error("iteration over a 0-d array")
        if not isinstance(self.shape[0], int):
            raise ev.break_("dynamic-iteration", f"iterating over {self.describe()}", "its length is dynamic")
        return ev.iterator_of(
            [attempt(ev, lambda b, i=i: names.METHODS["__getitem__"](b, self, i)) for i in range(self.shape[0])]
        )

    def getitem(self, ev: Evaluator, key: Value) -> Value:
        return call_handler(ev, lambda b, k: names.METHODS["__getitem__"](b, self, k), [key], {})

    def setitem(self, ev: Evaluator, key: Value, value: Value) -> None:
        call_handler(ev, lambda b, k, v: names.METHODS["__setitem__"](b, self, k, v), [key, value], {})

    def contains(self, ev: Evaluator, item: Value) -> bool:
        raise ev.break_("data-dependent-branch", f"`in` on {self.describe()}", "it depends on the array's elements")

    def binary(self, ev: Evaluator, op: str, other: Value, reflected: bool) -> Value | None:
        if not _is_operand(other):
            return None
        pair = (other, self) if reflected else (self, other)
        return call_handler(ev, lambda b, left, right: names.binary(b, op, left, right), pair, {})

    def inplace(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        if self.scalar or not _is_operand(other):
            return None
        return call_handler(ev, lambda b, right: names.inplace(b, op, self, right), [other], {})

    def unary(self, ev: Evaluator, op: str) -> Value:
        return attempt(ev, lambda b: names.call(b, names.UNARY[op], [self], {}))

    def compare(self, ev: Evaluator, op: str, other: Value) -> Value | None:
        if not _is_operand(other):
            return None
        return call_handler(ev, lambda b, right: names.call(b, names.COMPARE[op], [self, right], {}), [other], {})

    def key(self, ev: Evaluator) -> Any:
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
    if isinstance(value, (Array, ListValue, TupleValue)):
        return True
    if type(value) is ConstantValue:
        return isinstance(value.value, (bool, int, float, complex, np.generic))
    return hasattr(value, "expr")


class UfuncValue(BuiltinValue):
    """A ufunc, or another NumPy function written in C: its methods are called like functions."""

    __slots__ = ()

    def call_method(self, ev: Evaluator, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name == "__call__":
            return self.call(ev, args, kwargs)
        return call_function(ev, getattr(self.real, name), args, kwargs)

    def getattr_(self, ev: Evaluator, name: str) -> Value:
        if name in names.UFUNC_METHODS and isinstance(self.real, np.ufunc):
            return MethodValue(self, name)
        return super().getattr_(ev, name)


# --------------------------------------------------------------------------- calls


def call_function(ev: Evaluator, function: Any, args: Args, kwargs: Kwargs) -> Value:
    """A call of a NumPy callable."""
    return call_handler(ev, lambda b, *a, **k: names.call(b, function, a, k), args, kwargs)


def call_handler(ev: Evaluator, handler: Callable[..., Any], args: Args, kwargs: Kwargs) -> Value:
    """Call a handler with Values for arguments."""
    plain = [unwrap(ev, a) for a in args]
    named = {k: unwrap(ev, v) for k, v in kwargs.items()}
    return attempt(ev, lambda b: handler(b, *plain, **named))


def attempt(ev: Evaluator, action: Callable[[ArrayBuilder], Any]) -> Value:
    """Do something that adds to the graph; refusals and errors as capture knows them."""
    ev.builder.loc = locations.current(ev)
    try:
        return rewrap(ev, action(ev.states["numpy"].builder))
    except Unsupported as error:
        raise ev.break_(error.code, error.what, error.why, error.rewrite) from error
    except ERRORS as error:
        raise ev.framework_error(error) from error


def unwrap(ev: Evaluator, value: Value) -> Any:
    """An argument for a handler: arrays stay symbolic, sizes are expressions, all else is Python."""
    if isinstance(value, Array):
        return value
    if type(value) is ConstantValue:
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


def rewrap(ev: Evaluator, result: Any) -> Value:
    """A handler's result as a Value."""
    if result is None:
        return NONE
    if isinstance(result, Array):
        return result
    if type(result) is tuple:
        return TupleValue([rewrap(ev, r) for r in result])
    if type(result) is list:
        return ListValue([rewrap(ev, r) for r in result])
    if hasattr(result, "free_symbols"):
        return ev.symbols.value_of(result)
    return ev.from_python(result)


def handler_of(function: Any) -> Callable[[Evaluator, Args, Kwargs], Value]:
    """The evaluator's handler of a NumPy callable."""
    return lambda ev, args, kwargs: call_function(ev, function, args, kwargs)
