"""The registry of handlers: which one takes a call of a function of torch, or of a tensor's method."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ...breaks import OF_DATA, Break
from ...values.base import Args, Kwargs, Value
from ...values.functions import FunctionValue
from ...values.number import changing
from .argument_types import binds, given_to, passes_on
from .calls import plain_call
from .context import Declined, Function, above
from .places import expand, resolve

if TYPE_CHECKING:
    from ...values.base import Handler, Machine


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

    written = resolve(place) if place else None

    def call(ev: Machine, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
        if isinstance(written, types.FunctionType):
            fits = passes_on(place.rpartition(".")[2], written, args, kwargs)
        else:
            fits = not place or binds(place.rpartition(".")[2], given_to(args, kwargs), place.startswith("Tensor."))
        if not fits:
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


#: tensor methods by name
METHODS: dict[str, Handler] = {}
#: functions by the callable
FUNCTIONS: dict[Any, Handler] = {}
#: modules of torch that the program has not imported -> what adds the handlers of their functions
_LATER: dict[str, Callable[[], None]] = {}


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
