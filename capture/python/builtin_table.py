"""Which callables are modelled, and by what. The handlers stand in `builtin_functions`, `library` and the front ends."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..breaks import NotConstant
from ..machine.type_lookup import HEAPTYPE, MISSING, type_find
from ..switches import function_flags
from ..values import number
from ..values.base import Args, Handler, Kwargs, Value

if TYPE_CHECKING:
    from ..values.base import Machine


#: handlers by callable
TABLE: dict[Any, Handler] = {}
#: Python functions that stand for callables written in C: inlined in their place
POLYFILLS: dict[Any, types.FunctionType] = {}
#: modules whose C functions are pure: done during capture when all arguments are known
PURE_MODULES = frozenset(
    ("math", "cmath", "_operator", "unicodedata", "_string", "binascii", "_bisect", "_struct", "_locale", "posix_path")
)
#: what of these writes to its arguments or to the process, or reads what the program may change
_IMPURE = frozenset(
    ("insort_left", "insort_right", "pack_into", "_clearcache", "setlocale", "localeconv", "nl_langinfo", "strcoll", "strxfrm",
     "textdomain", "bindtextdomain", "bind_textdomain_codeset", "gettext", "dgettext", "dcgettext")
)  # fmt: skip
#: how instances of C classes are called: (ev, object value, args, kwargs)
TYPE_CALLS: dict[type, Any] = {}

#: by code object, for functions that the library makes again and again: real function -> handler
CODE_CALLS: dict[types.CodeType, Callable[[Any], Handler]] = {}

_DESCRIPTORS = (types.MethodDescriptorType, types.WrapperDescriptorType)


def handles(*callables: Any) -> Callable[[Handler], Handler]:
    """Register a handler for some callables."""

    def add(handler: Handler) -> Handler:
        for fn in callables:
            TABLE[fn] = handler
        return handler

    return add


def simple(*callables: Any) -> Callable[[Any], Any]:
    """Register a handler written as `(ev, *args, **kwargs)`; arguments that do not fit are the program's TypeError."""

    def add(function: Any) -> Any:
        def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
            try:
                return function(ev, *args, **kwargs)
            except TypeError as error:
                if error.__traceback__ is not None and error.__traceback__.tb_next is None:
                    raise ev.break_(
                        "bad-arguments", f"{callables[0].__name__}: {error}", "the arguments do not fit", eager=True
                    ) from None
                raise

        for fn in callables:
            TABLE[fn] = handler
        return function

    return add


def polyfills(*callables: Any) -> Callable[[Any], Any]:
    """Register a Python function to be inlined in place of callables written in C."""

    def add(function: Any) -> Any:
        for fn in callables:
            POLYFILLS[fn] = function
        return function

    return add


def find_handler(ev: Machine, fn: Any) -> Handler | None:
    """The handler of a real callable; None when it is Python code to be inlined, or unknown C code."""
    try:
        substitute = function_flags.SUBSTITUTES.get(fn)
        if substitute is not None:
            return _substituted(fn, *substitute)
        found = TABLE.get(fn)
        if found is not None:
            return found
        polyfill = POLYFILLS.get(fn)
    except TypeError:  # not hashable
        found = polyfill = None
    if polyfill is not None:
        value = ev.wrap(polyfill, ev.names.const(polyfill))
        return lambda ev, args, kwargs: ev.inline(value, args, kwargs)  # type: ignore[arg-type]
    marked = _marked(ev, fn)
    if marked is not None:
        return marked
    for frontend in ev.frontends:
        found = frontend.function(fn)
        if found is not None:
            return found
    if isinstance(fn, types.FunctionType):
        make = CODE_CALLS.get(fn.__code__)
        return make(fn) if make is not None else _framework_function(ev, fn)
    return _c_callable(ev, fn)


def _substituted(fn: Any, replacement: Any, folds: bool) -> Handler:
    """See `quern.substitute_in_graph`."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if folds and all(a.is_constant for a in (*args, *kwargs.values())):
            return ev.constant_call(fn, args, kwargs)
        return ev.call_function(replacement, args, kwargs)

    return handler


def _marked(ev: Machine, fn: Any) -> Handler | None:
    names = getattr(fn, "__dict__", None)
    if not names:
        return None
    if names.get(function_flags.DISABLE) or names.get("_torchdynamo_disable"):
        reason = names.get(function_flags.REASON) or names.get("_torchdynamo_disable_msg") or "it must run as it is"

        def disabled(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
            raise ev.break_(
                "disabled", f"calling {_name(fn)}, which is marked with disable", str(reason), "remove the mark"
            )

        return disabled
    if names.get(function_flags.ASSUME_CONSTANT):
        return lambda ev, args, kwargs: ev.constant_call(fn, args, kwargs)
    if names.get(function_flags.ALLOW_IN_GRAPH):
        return lambda ev, args, kwargs: ev.opaque_call(fn, args, kwargs)
    compiled = names.get("__quern_wrapped__")
    if compiled is not None:
        return lambda ev, args, kwargs: ev.call_function(compiled, args, kwargs)
    return None


def _framework_function(ev: Machine, fn: types.FunctionType) -> Handler | None:
    for frontend in ev.frontends:
        if frontend.is_framework_code(fn):
            inlined = getattr(frontend, "inlined", None)
            if not frontend.may_inline(fn):
                return _not_inlined(fn)
            return None if inlined is None else inlined(ev, fn)
    return None


def _not_inlined(fn: Any) -> Handler:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        raise ev.break_(
            "framework-function", f"calling {_name(fn)}", "it is part of the framework and quern does not model it"
        )

    return handler


def _of_type(fn: Any) -> Handler | None:
    call = TYPE_CALLS.get(type(fn))
    return None if call is None else lambda ev, args, kwargs: call(ev, fn, args, kwargs)


def _c_callable(ev: Machine, fn: Any) -> Handler | None:
    if isinstance(fn, _DESCRIPTORS):
        name = fn.__name__
        return lambda ev, args, kwargs: _descriptor_call(ev, fn, name, args, kwargs)
    if isinstance(fn, types.BuiltinFunctionType):
        owner = fn.__self__
        if isinstance(owner, type):
            return TABLE.get((owner, fn.__name__)) or _class_method(fn, owner)
        if fn.__module__ in PURE_MODULES and fn.__name__ not in _IMPURE:
            return pure(fn)
    return _of_type(fn)


def _descriptor_call(ev: Machine, fn: Any, name: str, args: Args, kwargs: Kwargs) -> Value:
    if not args:
        raise ev.type_error(f"unbound method {fn.__objclass__.__name__}.{name}() needs an argument")
    owner = args[0].python_type()
    found = type_find(owner, name)
    if found is not fn and found is not MISSING and not owner.__flags__ & HEAPTYPE:
        if all(a.is_constant for a in (*args, *kwargs.values())):
            return ev.constant_call(fn, args, kwargs)
        raise ev.break_(
            "other-method", f"{fn.__objclass__.__name__}.{name} of {args[0].describe()}",
            f"{owner.__name__} has a method of its own under this name", f"call {name!r} of the object itself",
        )  # fmt: skip
    return args[0].call_method(ev, name, args[1:], kwargs)


def _class_method(fn: Any, owner: type) -> Handler | None:
    if fn.__name__ == "__new__":
        return TABLE.get("__new__")
    if owner in (int, float, str, bytes, complex, bytearray):
        return pure(fn)
    return None


def pure(fn: Any) -> Handler:
    """The handler of a C function without effects: done during capture on constants."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if fn.__module__ == "math" and not kwargs and not all(a.is_constant for a in args):
            made = number.call_of_numbers(ev, fn, args)
            if made is not None:
                return made
        try:
            plain = [ev.to_python(a) for a in args]
            named = {k: ev.to_python(v) for k, v in kwargs.items()}
        except NotConstant:
            converted = _as_number(ev, args)
            if converted is None:
                raise ev.break_(
                    "not-constant", f"calling {_name(fn)} with a value that is not known during capture",
                    "it takes Python numbers", "use the array framework's own function",
                ) from None  # fmt: skip
            plain, named = converted, {}
        return ev.fold(lambda: fn(*plain, **named))

    return handler


def _as_number(ev: Machine, args: Args) -> list[Any] | None:
    """Arguments of user classes that convert themselves by `__float__` or `__index__`."""
    found = []
    for arg in args:
        if arg.is_constant:
            found.append(arg.as_constant())
            continue
        for name in ("__float__", "__index__"):
            if ev.has_special(arg, name):
                value = ev.get_special(arg, name).call(ev, [], {})
                if value.is_constant:
                    found.append(value.as_constant())
                    break
        else:
            return None
    return found


def _name(fn: Any) -> str:
    module = getattr(fn, "__module__", None)
    name = getattr(fn, "__qualname__", None) or getattr(fn, "__name__", repr(fn))
    return f"{module}.{name}" if isinstance(module, str) and module not in ("builtins", "__main__") else str(name)
