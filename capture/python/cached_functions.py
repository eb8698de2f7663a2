"""Functions that keep their results (`functools.lru_cache`): what is in the cache decides, and how often it is asked can be seen."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard

from ..values.base import Args, Kwargs, Value
from ..values.constant import NONE
from ..values.objects import ObjectValue
from ..values.tensor import ArrayValue, InputStorage
from .builtin_functions import CallEffect
from .builtin_table import TYPE_CALLS
from .messages import MessageEffect

if TYPE_CHECKING:
    from ..values.base import Machine


def _lru_call(ev: Machine, wrapper: Any, args: Args, kwargs: Kwargs) -> Value:
    """A cached function of constants and of objects that the entry holds is asked during capture and by the guards, so that its
    cache is used as in plain Python. Of what the program made, or after effects that it might see, it is called as if its cache
    were empty.
    """
    parts = [*args, *kwargs.values()]
    if all(a.is_constant or _is_held(a) for a in parts) and not len(ev.effects):
        asked = CachedCall(wrapper, [*map(_handle, args)], {k: _handle(v) for k, v in kwargs.items()})
        ask = ev.names.const(asked, label=f"{wrapper.__name__}(...)")
        found = _asked_once(ev, asked)
        asked.told.append(found)
        return ev.wrap(found, ask.last().step("", "()"))
    if any(isinstance(a, (ArrayValue, ObjectValue)) and a.source is not None for a in parts):
        raise ev.break_(
            "cached-function", f"calling {wrapper.__name__}, a cached function, with an object from outside",
            "what it gave for that object at an earlier call is in its cache",
        )  # fmt: skip
    key = (id(wrapper), tuple(a.key(ev) for a in args), tuple((k, v.key(ev)) for k, v in kwargs.items()))
    found = ev.cached_calls.get(key)
    if found is None:
        before, touched = ev.effects.count, len(ev.effects)
        found = ev.wrap(wrapper.__wrapped__, ev.names.const(wrapper.__wrapped__)).call(ev, args, kwargs)
        new = list(ev.effects)[touched:]
        if (
            ev.is_none(found)
            and new
            and len(new) == ev.effects.count - before
            and all(type(e) in (CallEffect, MessageEffect) for e in new)
        ):
            # messages that are given once, as by `warning_once`: the entry asks the cache
            ev.effects.take_back(touched)
            ev.effects.touch(CallEffect(wrapper, args, kwargs))
            return NONE
        if ev.effects.count != before:
            raise ev.break_(
                "cached-function", f"calling {wrapper.__name__}, a cached function that changes other objects",
                "whether it runs depends on what is in its cache",
            )  # fmt: skip
        ev.cached_calls[key] = found
    return found


class CachedCall:
    """A call of a cached function, made anew for the guards.

    args, kwargs: what gives the arguments; objects are held weakly
    told:         what capture was told: the guards' first answer, for it is asked by the same call of the program
    """

    __slots__ = ("function", "args", "kwargs", "told")

    def __init__(self, function: Any, args: list[Any], kwargs: dict[str, Any]) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs
        self.told: list[Any] = []

    def __call__(self) -> Any:
        if self.told:
            return self.told.pop()
        return self.function(*[a() for a in self.args], **{k: a() for k, a in self.kwargs.items()})

    def key(self) -> Any:
        """What is the same for the same call. Raises TypeError for constants that cannot be hashed."""
        given = [*(("", a) for a in self.args), *self.kwargs.items()]
        parts = [(k, type(a()), id(a()) if isinstance(a, weakref.ref) else a()) for k, a in given]
        key = id(self.function), tuple(parts)
        hash(key)
        return key


def _asked_once(ev: Machine, call: CachedCall) -> Any:
    """What a cached function gives now. The program asks once: what an earlier attempt at this capture was told holds for this one."""
    try:
        key = call.key()
    except TypeError:
        return ev.fold_raw(call)  # the function refuses them as well
    told, place = ev.symbols.assume.told.setdefault(key, []), ev.asked.get(key, 0)
    ev.asked[key] = place + 1
    if place == len(told):
        told.append(ev.fold_raw(call))
    return told[place]


def _is_held(value: Value) -> bool:
    """Whether a value is one object that the entry holds, unchanged: an instance, or an array."""
    if value.source is None or not value.source.is_const:
        return False
    if isinstance(value, ArrayValue):
        return isinstance(value.storage, InputStorage) and value.parent is None and not value.storage.version
    return _is_weakly_held(value)


def _is_weakly_held(value: Value) -> TypeGuard[ObjectValue]:
    return isinstance(value, ObjectValue) and type(value.real).__weakrefoffset__ != 0


def _handle(value: Value) -> Callable[[], Any]:
    """What gives the object that a constant or a held value is."""
    if isinstance(value, ArrayValue):
        assert isinstance(value.storage, InputStorage)
        return weakref.ref(value.storage.real)
    if _is_weakly_held(value):
        return weakref.ref(value.real)
    constant = value.as_constant()
    return lambda: constant


TYPE_CALLS[functools._lru_cache_wrapper] = _lru_call
