"""How a framework call becomes graph nodes: conversion of arguments and results, and the registry of handlers.

A handler is a plain function `fn(cx, *args, **kwargs)` written with torch's own parameter names. Its arguments arrive
as Python objects, except tensors, which arrive as `ArrayValue`s (sizes that are symbols: as sympy expressions). `cx` is
the `Context` of the call. It returns a Node (a new tensor), an ArrayValue (a view, or an argument itself), a tuple or
list of these, or any Python constant.
"""

from __future__ import annotations

import inspect
import itertools
import numbers
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from ....inductor.dtypes import (
    DType,
    bool_,
    held_range,
    holds,
    uint16,
    uint32,
    uint64,
)
from ....inductor.graph import Node
from ....inductor.ops import OPS, Op
from ....inductor.ops.dims import deciding, less
from ...breaks import OF_DATA, Break, NotConstant
from ...values.base import Args, Kwargs, Value
from ...values.constant import NONE, ConstantValue
from ...values.functions import FunctionValue
from ...values.item import ItemValue
from ...values.literals import LITERAL_TYPES
from ...values.number import NumberValue, changing
from ...values.sequences import ListValue, SliceValue, TupleValue
from ...values.tensor import ArrayValue
from .autocast import cast_operands
from .dtypes import PYTHON_TYPES, device_text, from_torch
from .held_numbers import fitting, guard_naturals, may_overflow, number_node, read_number
from .implemented import missing_kernel
from .overlapping import check_written, is_pointwise
from .results import Results, ReturnTypeValue
from .schemas import binds, given_to, numbers_of

if TYPE_CHECKING:
    from ...values.base import Handler, Machine

Function = Callable[..., Any]

#: what an elementwise operand may be
Operand = "ArrayValue | Node | bool | int | float | complex"


class Declined(Exception):
    """A handler leaves a call to the function's own Python code, or to the framework as an opaque node."""


class Context:
    """One call being captured: `cx.op(...)` appends nodes; the rest are the questions handlers ask."""

    __slots__ = ("ev",)

    def __init__(self, ev: Machine) -> None:
        self.ev = ev

    # ------------------------------------------------------------ nodes

    def node(self, x: Any) -> Node:
        """The node of an operand; a number becomes a `scalar`, which promotes as Python numbers do."""
        if isinstance(x, ArrayValue):
            return x.node(self.ev)
        if isinstance(x, Node):
            return x
        if x is None or isinstance(x, (str, list, tuple, dict, DType)):
            raise TypeError(f"expected a tensor or a number, got {type(x).__name__}")
        if type(x) is int and not -(1 << 63) <= x < 1 << 64:
            raise ValueError(f"the int {x} has more than 64 bits")
        return self.ev.emit("scalar", value=x)

    def op(self, name: str, *operands: Any, **attrs: Any) -> Node:
        """Append a table op; None operands are absent optional tensors. Complex arithmetic is left to the framework, and that of
        the unsigned integers for which it has kernels of few ops.
        """
        row, nodes = OPS[name], [None if x is None else self.node(x) for x in operands]
        self.ev.boundary.claim("torch")
        if any(map(_holds_tensor, attrs.values())):
            raise self.broken("data-dependent-value", f"{name} with a setting read from a tensor",
                              "settings must be known before the graph runs")  # fmt: skip
        if self.ev.states["torch"].casts:
            nodes = cast_operands(self, row, nodes, attrs)
        if row.numbers:
            self._hold_numbers(row, nodes, attrs)
        for n in nodes:
            if n is not None and not isinstance(n.meta, tuple) and _is_left(row, n.dtype):
                self.ev.symbols.pin_numbers(nodes)
                return above.complex_op(self, name, nodes, attrs)
        if row.naturals and self.ev.symbols.numbers:
            guard_naturals(self.ev, row, nodes)
        return self.ev.emit(name, *nodes, **attrs)

    def _hold_numbers(self, row: Op, nodes: list[Node | None], attrs: Mapping[str, Any]) -> None:
        """Numbers that an op holds to the result's dtype must fit it; of those that change, that is guarded."""
        given = [attrs.get(k) if isinstance(k, str) else k < len(nodes) and nodes[k] for k in row.numbers]
        values: list[Any] = [n.attrs["value"] if isinstance(n, Node) and n.op.kind == "literal" else n for n in given]
        if not any(map(may_overflow, values)):
            return
        meta = row.meta(*[None if n is None else n.meta for n in nodes], **row.bind(attrs))
        for v in values:
            held = self.held(v, meta.dtype)
            if held is not v:
                nodes[nodes.index(v)] = held

    def held(self, value: Any, dtype: DType) -> Any:
        """A number that eager converts to `dtype`, held to what that can hold. Other values are left alone. Raises Declined:
        eager refuses in words of its own.
        """
        if may_overflow(value):
            if isinstance(value, Node):
                return self.fitting(value, dtype)
            if not (holds(dtype, value) if isinstance(value, (int, float)) else self._surely_holds(dtype, value)):
                raise Declined(f"the number {value}, which {dtype} cannot hold")
        return value

    def fitting(self, number: Node, dtype: DType) -> Node:
        """A number of the graph, held to what `dtype` can hold."""
        held = fitting(self.ev, number, dtype)
        if held is None:
            raise Declined(f"a number read from a tensor, which {dtype} may not hold")
        return held

    def _surely_holds(self, dtype: DType, value: Any) -> bool:
        """`holds` for an int that changes."""
        if dtype.is_complex or dtype == bool_ or dtype.size == 8 or (dtype.size == 4 and dtype.is_float):
            return True
        low, high = held_range(dtype, int)
        with deciding(self.ev.symbols.decide):
            return not (less(int(high), value) or less(value, int(low)))

    def results(self, name: str, *operands: Any, **attrs: Any) -> tuple[Node, ...]:
        """Append a table op that has several results."""
        made: Any = self.op(name, *operands, **attrs)
        if isinstance(made, tuple):  # the framework's own
            return made
        return tuple(self.ev.emit("getitem", made, index=i) for i in range(len(made.meta)))

    def cast(self, x: Any, dtype: DType) -> Node:
        """`x` as `dtype`, itself when it already is."""
        node = self.node(x)
        return node if node.dtype == dtype and not node.meta.weak else self.op("cast", node, dtype=dtype)

    def array(self, node: Node) -> ArrayValue:
        """A new tensor that holds `node`."""
        return above.tensor.new(node)

    # ------------------------------------------------------------ questions

    def dtype(self, dtype: torch.dtype | None) -> DType | None:
        """A dtype argument. Breaks for dtypes that graphs do not know."""
        if dtype is None:
            return None
        if isinstance(dtype, type):
            dtype = PYTHON_TYPES.get(dtype, dtype)
        try:
            return from_torch(dtype)
        except KeyError:
            raise self.broken("dtype", f"the dtype {dtype}", "graphs have no such element type") from None

    def device(self, device: Any) -> str:
        """A device argument as text; None is the default device."""
        if device is None:
            device = torch.get_default_device()
        if isinstance(device, int):
            device = torch.device("cuda", device)
        return device_text(torch.device(device) if isinstance(device, str) else device)

    def default_float(self) -> DType:
        return from_torch(torch.get_default_dtype())

    def broken(self, code: str, what: str, why: str = "", rewrite: str = "") -> Break:
        return self.ev.break_(code, what, why, rewrite)


def _is_left(row: Op, dtype: DType) -> bool:
    """Whether an op over `dtype` is the framework's: only the moving of elements is not."""
    return dtype.is_complex or (dtype in (uint16, uint32, uint64) and row.elements == "computed")


def _holds_tensor(attr: Any) -> bool:
    return isinstance(attr, (Node, ArrayValue)) or type(attr) in (tuple, list) and any(map(_holds_tensor, attr))


class Above:
    """What handlers need of modules that are built on this one. Each sets its own when it is imported.

    tensor:      the front end's tensor class (`tensors`)
    complex_op:  an op on complex operands, left to the framework (`externs`)
    unknown:     the handler of a function without one (`externs`)
    method_call: a call of a tensor's method as it is (`externs`)
    with_tensors: an argument with tensors in the place of NumPy's arrays (`arrays`)
    number_of:   the number that torch takes a computed NumPy scalar for (`arrays`)
    override:    a call that the program may override, made by its own code where it does (`overrides`)
    """

    tensor: Any
    complex_op: Callable[..., Any]
    unknown: Callable[..., Any]
    method_call: Callable[..., Any]
    with_tensors: Callable[..., Any]
    number_of: Callable[..., Any]
    override: Callable[..., Any]


above = Above()


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


def handler_of(fn: Function, place: str = "") -> Handler:
    """A `Handler` around a handler function for what stands at `place`. A call that does not bind is left to plain
    Python to refuse.
    """

    def handler(ev: Machine, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
        try:
            return call(ev, args, kwargs)
        except Break as refused:
            if refused.code not in OF_DATA:  # with the numbers themselves it may be no break
                for number in changing(ev, (*args, *kwargs.values())):
                    number.as_constant()
            raise

    is_operator = place and not isinstance(resolve(place), types.FunctionType)

    def call(ev: Machine, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
        if is_operator and not binds(place.rpartition(".")[2], given_to(args, kwargs), place.startswith("Tensor.")):
            return call_original(ev, place, args, kwargs, Declined("arguments that no operator of this name takes"))
        try:
            return plain_call(ev, fn, args, kwargs, place)
        except Declined as declined:
            return call_original(ev, place, args, kwargs, declined)
        except Break as refused:
            if refused.code != "framework-error":
                raise
            refusal = refused
        except OF_ARGUMENTS as error:
            refusal = refusal_of(ev, fn, args, kwargs, error)
        try:  # what the table refuses may be right all the same: the framework decides
            return call_original(ev, place, args, kwargs, Declined(refusal.what))
        except Break:
            raise refusal from None

    handler.__name__ = fn.__name__
    return handler


#: what handlers and rows raise of arguments that the framework refuses
OF_ARGUMENTS = (TypeError, KeyError, ValueError, IndexError, ZeroDivisionError, RuntimeError)


def refusal_of(
    ev: Machine, fn: Function, args: Sequence[Value], kwargs: Mapping[str, Value], error: Exception
) -> Break:
    """What is said of a call that raised one of these: its arguments do not bind, or the framework refuses them."""
    if isinstance(error, RuntimeError) and type(error) is not RuntimeError:
        raise error  # of another kind
    try:
        inspect.signature(fn).bind(None, *args, **{k: v for k, v in kwargs.items() if k != "out"})
    except TypeError:
        return ev.break_(
            "call-signature", f"a call of {fn.__name__} with arguments that are not known to it", str(error)
        )
    return ev.framework_error(error)


def call_original(
    ev: Machine, place: str, args: Sequence[Value], kwargs: Mapping[str, Value], declined: Declined
) -> Value:
    """What a handler declined: Python code is inlined, a C function becomes an opaque node."""
    head, _, rest = place.partition(".")
    if head == "Tensor":
        return above.method_call(ev, rest, args, kwargs)
    original = resolve(place) if place else None
    if isinstance(original, types.FunctionType):
        return as_written(original)(ev, args, kwargs)
    unknown = above.unknown(original) if original is not None else None
    if unknown is None:
        raise ev.break_("framework-function", f"calling {place}", str(declined))
    return unknown(ev, args, kwargs)


def as_written(fn: Callable[..., Any]) -> Handler:
    """The handler that inlines a Python function of torch's, whatever other handler it has."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        value = ev.wrap(fn, ev.names.const(fn))
        assert isinstance(value, FunctionValue)
        return ev.inline(value, args, kwargs)

    return handler


# ------------------------------------------------------------------ the registry

#: tensor methods by name
METHODS: dict[str, Handler] = {}
#: functions by the callable
FUNCTIONS: dict[Any, Handler] = {}
#: modules of torch that the program has not imported -> what adds the handlers of their functions
_LATER: dict[str, Callable[[], None]] = {}

_PLACES = {"torch": torch, "Tensor": torch.Tensor, "F": F}


def resolve(place: str) -> Any:
    """ "torch.exp", "Tensor.add", "F.gelu", "torch.special.expm1" -> the object, or None where this torch lacks it."""
    head, *path = place.split(".")
    found: Any = _PLACES[head]
    for name in path:
        found = getattr(found, name, None)
        if found is None:
            return None
    return found


def when_imported(module: str, add: Callable[[], None]) -> None:
    """Call `add`, which registers handlers, once the program has imported `module`: naming a function there imports it."""
    _LATER[module] = add


def add_imported() -> None:
    """Register what waited for modules that have been imported by now."""
    for name in list(_LATER):
        module = sys.modules.get(name)
        if module is not None and not getattr(module.__spec__, "_initializing", False):  # by another thread
            _LATER.pop(name)()


def function_handler(fn: Any) -> Handler | None:
    """The handler of a function of torch."""
    add_imported()
    return FUNCTIONS.get(fn)


def register(places: str | Iterable[str], fn: Function) -> None:
    """Add a handler function under names such as "torch.add Tensor.add"."""
    for place in places.split() if isinstance(places, str) else places:
        register_handler(place, handler_of(fn, place))


def register_handler(place: str, handler: Handler) -> None:
    """Add a handler that takes Values."""
    head, _, rest = place.partition(".")
    if head == "Tensor" and "." not in rest:
        METHODS[rest] = handler
    found = resolve(place)
    if found is not None:
        try:
            FUNCTIONS[found] = handler
        except TypeError:  # not hashable: reached by name only
            pass


def name(places: str) -> Callable[[Function], Function]:
    """Decorator: register under the given places. `*x` stands for torch.x and Tensor.x."""

    def add(fn: Function) -> Function:
        register(expand(places), fn)
        return fn

    return add


def expand(places: str) -> list[str]:
    """ "*exp F.exp" -> ["torch.exp", "Tensor.exp", "F.exp"]."""
    out = []
    for place in places.split():
        out += [f"torch.{place[1:]}", f"Tensor.{place[1:]}"] if place.startswith("*") else [place]
    return out
