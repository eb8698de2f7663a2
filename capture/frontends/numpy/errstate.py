"""Which floating-point errors the program wants to hear of: NumPy's setting, and `with np.errstate(...)` inside of what is
captured.

All that is done with an error (a warning, an exception, a call of the program's own) is left to NumPy: where a run meets an
error that is not ignored, the program runs again as plain Python (see `inductor.float_errors`). So only the
difference between "ignore" and all else enters the graph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ....inductor.ops.facts import DIVIDE, INVALID, OVER, UNDER
from ...machine.objects import MethodValue
from ...values.attribute_text import keywords
from ...values.base import Args, Kwargs, Value
from ...values.constant import NONE

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

BITS = {"divide": DIVIDE, "over": OVER, "under": UNDER, "invalid": INVALID}
_MODES = ("ignore", "warn", "raise", "call", "print", "log")

_variable: Any = getattr(getattr(getattr(np, "_core", None), "umath", None), "_extobj_contextvar", None)
#: the setting that was last looked at, and its errors; NumPy makes a new object for each setting
_last: tuple[Any, int] = (None, 0)


def heard_now() -> int:
    """The errors that are not ignored now. Called by guards: 0.1 us where the setting is the one of the last call."""
    global _last
    found = _variable.get() if _variable is not None else None
    known, errors = _last
    if found is None or found is not known:
        errors = heard(dict(np.geterr().items()))
        _last = (found, errors)
    return errors


def heard(modes: Mapping[str, Any]) -> int:
    """The errors that a setting does not ignore."""
    return sum(bit for name, bit in BITS.items() if modes[name] != "ignore")


class Settings:
    """What the program hears of during one capture. errors: now; the setting that the entry finds is guarded once it counts."""

    def __init__(self) -> None:
        self.errors = self.outside = heard_now()
        self.guarded = False

    def count(self, ev: Machine) -> int:
        """`errors`, from here on relied on."""
        if not self.guarded:
            self.guarded = True
            asked = ev.names.inject(heard_now, "heard_now")
            reason = "np.errstate or np.seterr asked for other floating-point errors"
            ev.guards.test(None, f"{asked}() == {self.outside}", reason, 0)
        return self.errors


class ErrstateValue(Value):
    """`np.errstate(...)` that the program makes: entered once, left once, and entered anew behind a graph break inside."""

    __slots__ = ("settings", "given", "before", "is_new", "is_open")

    def __init__(self, settings: Settings, given: dict[str, Value]) -> None:
        super().__init__()
        self.settings = settings
        self.given = given
        self.before = 0
        self.is_new = True
        self.is_open = False

    def python_type(self) -> type:
        return np.errstate

    def getattr_(self, ev: Machine, name: str) -> Value:
        if name in ("__enter__", "__exit__"):
            return MethodValue(self, name)
        return super().getattr_(ev, name)

    def call_method(self, ev: Machine, name: str, args: Args, kwargs: Kwargs) -> Value:
        if name == "__enter__" and self.is_new:
            self.is_new, self.is_open = False, True
            self.before = self.settings.errors
            self.settings.errors = self._inside()
            return NONE
        if name == "__exit__" and self.is_open:
            self.is_open = False
            self.settings.errors = self.before
            return NONE
        raise ev.break_("numpy-errstate", f"{name} of an np.errstate object", "quern does not model it",
                        "use `with np.errstate(...):`")  # fmt: skip

    def _inside(self) -> int:
        modes = {name: value.as_constant() for name, value in self.given.items() if name != "call"}
        errors = self.before
        for name, bit in BITS.items():
            mode = modes.get(name) or modes.get("all")
            errors = errors if mode is None else errors & ~bit if mode == "ignore" else errors | bit
        return errors

    def rebuild(self, rb: Emitter) -> str:
        made = f"{rb.inject(np.errstate, 'errstate')}({', '.join(keywords(rb, self.given))})"
        name = rb.name_value(self, made)
        if self.is_open:
            rb.enter(f"{name}.__enter__()")
        return name


def errstate(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`np.errstate(...)`."""
    known = all(v.is_constant and (k == "call" or v.as_constant() in (None, *_MODES)) for k, v in kwargs.items())
    if args or not known or kwargs.keys() - {"all", "call", *BITS}:
        raise ev.break_(
            "numpy-errstate", "np.errstate with these arguments", "their values are not known during capture"
        )
    return ErrstateValue(ev.states["numpy"].settings, dict(kwargs))
