"""How a framework call becomes graph nodes: its arguments as handlers take them, its results as Values.

A handler is a plain function `fn(cx, *args, **kwargs)` written with torch's own parameter names. Its arguments arrive
as Python objects, except tensors, which arrive as `ArrayValue`s (sizes that are symbols: as sympy expressions). `cx` is
the `Context` of the call. It returns a Node (a new tensor), an ArrayValue (a view, or an argument itself), a tuple or
list of these, or any Python constant.
"""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.dtypes import (
    DType,
)
from ....inductor.graph import Node
from ...breaks import Break, NotConstant
from ...values.base import Value
from ...values.constant import NONE, ConstantValue
from ...values.item import ItemValue
from ...values.literals import LITERAL_TYPES
from ...values.number import NumberValue, changing
from ...values.sequences import ListValue, SliceValue, TupleValue
from ...values.tensor import ArrayValue
from .context import Context, Declined, Function, above
from .held_numbers import number_node, read_number
from .implemented import missing_kernel
from .overlapping import check_written, is_pointwise
from .places import resolve
from .results import Results, ReturnTypeValue
from .schemas import numbers_of

if TYPE_CHECKING:
    from ...values.base import Machine


# ------------------------------------------------------------------ conversion


def mixed(ev: Machine, what: str) -> Break:
    return ev.break_(
        "mixed-frameworks",
        what,
        "torch would make something else of it, or refuse it",
        "convert it: torch.from_numpy(x)",
    )


def unwrap(ev: Machine, value: Value) -> Any:
    """A call's argument for a handler. Breaks for objects that no tensor function takes."""
    if isinstance(value, ArrayValue):
        return value if isinstance(value, above.tensor) else _number_of(ev, value)
    value = ev.plain(value)
    if value.is_constant:
        return _plain_number(ev, value.as_constant())
    if isinstance(value, TupleValue):
        items = [unwrap(ev, v) for v in value.items(ev)]
        cls = value.python_type()
        return tuple(items) if not hasattr(cls, "_fields") else cls(*items)
    if isinstance(value, ListValue):
        return [unwrap(ev, v) for v in value.items(ev)]
    if isinstance(value, SliceValue):
        return slice(*(unwrap(ev, v) for v in (value.start, value.stop, value.step)))
    if isinstance(value, ItemValue):
        return value.node
    dim = getattr(value, "expr", None)
    if dim is not None:
        return dim
    try:
        return ev.as_python(value)
    except NotConstant:
        raise ev.break_("tensor-argument", f"passing {value.describe()} to a tensor function") from None


def _number_of(ev: Machine, value: ArrayValue) -> Any:
    """Another framework's scalar as the number that torch takes it for. Breaks for what is not a scalar."""
    number = value.python_number(ev)
    if number is not None:
        return unwrap(ev, number)
    computed = above.number_of(ev, value)
    if computed is None:
        raise mixed(ev, f"passing {value.describe()} to a tensor function")
    return unwrap(ev, computed) if isinstance(computed, Value) else computed


def _plain_number(ev: Machine, constant: Any) -> Any:
    """A constant as handlers know it: torch takes NumPy's ints and floats for Python's. Breaks for its bools and complex
    numbers, which torch takes in various ways.
    """
    if type(constant) in LITERAL_TYPES or type(constant).__module__ != "numpy":
        return constant
    if isinstance(constant, numbers.Integral):
        return int(constant)
    if isinstance(constant, numbers.Real):
        return float(constant)
    raise ev.break_("tensor-argument", f"passing {constant!r} to a tensor function", "it is no Python number",
                    "convert it: bool(x), complex(x)")  # fmt: skip


def wrap(ev: Machine, result: Any) -> Value:
    """A handler's result as a Value."""
    if isinstance(result, Node):
        return above.tensor.new(result)
    if isinstance(result, Value):
        return result
    if result is None:
        return NONE
    if type(result) is tuple:
        return TupleValue([wrap(ev, r) for r in result])
    if type(result) is list:
        return ListValue([wrap(ev, r) for r in result])
    if isinstance(result, Results):
        return ReturnTypeValue(result.cls, [wrap(ev, r) for r in result.values])
    if hasattr(result, "free_symbols"):
        return size_value(ev, result)
    return ev.constant(result)


def size_value(ev: Machine, size: Any) -> Value:
    """A size as a Value: a constant, or a symbolic int."""
    return ConstantValue(size) if type(size) is int else ev.size(size)


def takes_numbers(fn: Function) -> Function:
    """Mark a handler whose operands may be numbers that change from call to call: they arrive as Nodes."""
    NUMERIC.add(fn)
    return fn


def reads_types(fn: Function) -> Function:
    """Mark a handler of a function that takes its result's dtype from NumPy's scalars."""
    READING_TYPES.add(fn)
    return fn


#: handlers marked with `reads_types`
READING_TYPES: set[Function] = set()


def takes_bounds(fn: Function) -> Function:
    """Mark a handler whose numbers are sizes and bounds: it reads them from tensors by itself."""
    BOUNDED.add(fn)
    return fn


#: handlers marked with `takes_bounds`
BOUNDED: set[Function] = set()


def _refuse_scalars(ev: Machine, *groups: Iterable[Value]) -> None:
    """Break for NumPy's scalars: what kind of number they are is lost when they become a graph's numbers."""
    for value in itertools.chain(*groups):
        if isinstance(value, (TupleValue, ListValue)):
            _refuse_scalars(ev, value.items(ev))
        elif issubclass(value.python_type(), numbers.Number) and value.python_type().__module__ == "numpy":
            raise mixed(ev, f"passing {value.describe()} to a function that takes a dtype from it")


#: handlers marked with `takes_numbers`, and which of their arguments are operands when they are given by name
NUMERIC: set[Function] = set()
_OPERANDS = frozenset(
    ("input", "other", "min", "max", "weight", "value", "alpha", "fill_value", "data", "exponent", "self")
)


def operand_of(ev: Machine, value: Value) -> Any:
    """An argument of a handler that takes numbers which change."""
    if isinstance(value, ArrayValue) and not isinstance(value, above.tensor):
        value = value.python_number(ev) or value
    if isinstance(value, NumberValue):
        return number_node(ev, value)
    if isinstance(value, (TupleValue, ListValue)) and any(type(n.hint) is float for n in changing(ev, (value,))):
        return [operand_of(ev, v) for v in value.items(ev)]
    return unwrap(ev, value)


def plain_call(ev: Machine, fn: Function, args: Sequence[Value], kwargs: Mapping[str, Value], place: str = "") -> Value:
    """Call a handler function, of what stands at `place`, with Values."""
    if kwargs:
        _check_layout(kwargs)
        refuse_leaf(ev, kwargs)
    out = kwargs.get("out") if kwargs else None
    ev.states["torch"].began = len(ev.graph.nodes)
    operand = operand_of if fn in NUMERIC else unwrap
    if ev.symbols.changing:
        _check_numbers(ev, fn, args, kwargs)
    if fn in READING_TYPES:
        args = [above.with_tensors(ev, v) for v in args]
        kwargs = {k: above.with_tensors(ev, v) for k, v in kwargs.items()}
        if "dtype" not in kwargs:
            _refuse_scalars(ev, args, kwargs.values())
    named = {k: (operand if k in _OPERANDS else unwrap)(ev, v) for k, v in kwargs.items() if k != "out"}
    plain = [operand(ev, v) for v in args]
    if place:
        plain = [_in_place_of_number(ev, fn, place, i, x) for i, x in enumerate(plain)]
        named = {k: _in_place_of_number(ev, fn, place, k, x) for k, x in named.items()}
    if place and not ev.states["torch"].casts:
        said = missing_kernel(ev, place, resolve(place), plain, named)
        if said:
            raise Declined(said)
    if out is not None and not (out.is_constant and out.as_constant() is None):
        if isinstance(out, ArrayValue):
            check_written(ev, out, [plain, named], is_pointwise(place.rpartition(".")[2]))
        with ev.states["torch"].without_casts():
            result = fn(Context(ev), *plain, **named)
        return write_out(ev, out, result)
    result = fn(Context(ev), *plain, **named)
    return wrap(ev, result)


def _in_place_of_number(ev: Machine, fn: Function, place: str, where: int | str, given: Any) -> Any:
    """An argument; where the function takes a number alone, a tensor stands for the number that it holds, as in eager."""
    if not isinstance(given, ArrayValue) or fn in BOUNDED or where not in numbers_of(place.rpartition(".")[2]):
        return given
    number = read_number(ev, given) if fn in NUMERIC and (type(where) is int or where in _OPERANDS) else None
    if number is None:
        raise Declined("a tensor in the place of a number")
    return number


def _check_numbers(ev: Machine, fn: Function, args: Sequence[Value], kwargs: Mapping[str, Value]) -> None:
    """Floats that change are no part of a kernel's code: where they are no operands, the framework's own function takes them."""
    given = [v for k, v in kwargs.items() if fn not in NUMERIC or k not in _OPERANDS]
    if any(type(n.hint) is float for n in changing(ev, (*args, *given) if fn not in NUMERIC else given)):
        raise Declined("a number that changes from call to call")


def _check_layout(kwargs: Mapping[str, Value]) -> None:
    layout = kwargs.get("layout")
    if layout is not None and layout.as_constant() not in (None, torch.strided):
        raise Declined("another layout than torch.strided")


def refuse_leaf(ev: Machine, kwargs: Mapping[str, Value]) -> None:
    """Break for `requires_grad=True`: a leaf of autograd's own must be the very tensor that the program holds."""
    wanted = kwargs.get("requires_grad")
    if wanted is not None and not (wanted.is_constant and wanted.as_constant() is False):
        raise ev.break_("requires-grad", "making a tensor with requires_grad=True inside a compiled function",
                        "gradients arrive at the tensor itself, which the graph makes anew", "make the tensor outside")  # fmt: skip


def write_out(ev: Machine, out: Value, result: Any) -> Value:
    """`out=`: the result goes into existing tensors of the right shape."""
    if isinstance(out, ArrayValue) and isinstance(result, (Node, ArrayValue)):
        state = ev.states["torch"]
        if state.grad and any(
            state.requires_grad(x.node(ev) if isinstance(x, ArrayValue) else x) for x in (out, result)
        ):
            raise ev.break_("training-out", f"`out={out.describe()}` where gradients are recorded",
                            "most functions of torch refuse it", "write `out.copy_(...)`, or call under torch.no_grad()")  # fmt: skip
        assign(Context(ev), out, result)
        return out
    raise Declined(f"`out=` given as {out.describe()}")


def assign(cx: Context, target: ArrayValue, result: Any) -> None:
    """Write the result of a functional op into `target`, as its in-place form does: the shape must already fit, and the
    result's kind may not be higher than the target's.
    """
    node = cx.node(result)
    if node.shape != target.meta.shape:
        raise eager_error(
            cx.ev, f"an in-place result of shape {node.shape} does not fit a tensor of shape {target.meta.shape}"
        )
    if not _can_store(node.dtype, target.meta.dtype):
        raise eager_error(cx.ev, f"a result of {node.dtype} cannot be stored in a tensor of {target.meta.dtype}")
    target.write(cx.ev, cx.cast(node, target.meta.dtype))


def _can_store(result: DType, target: DType) -> bool:
    order = {"bool": 0, "uint": 1, "int": 1, "float": 2, "complex": 3}
    return order[result.kind] <= order[target.kind]


def eager_error(ev: Machine, what: str) -> Break:
    """The program is in error: plain Python raises the true one."""
    return ev.framework_error(ValueError(what))
