"""Forms of arguments that handlers do not know: what NumPy makes of them, or how it refuses them, is left to NumPy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from . import layout
from .arrays import Array, unsupported


def check(handler: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raises Unsupported for an argument in another form than a handler knows under its name."""
    code = getattr(handler, "__code__", None)
    ordered = code.co_varnames[1 : code.co_argcount] if code is not None else ()  # behind the builder
    for name, value in (*zip(ordered, args), *kwargs.items()):
        form = _FORMS.get(name)
        if form is not None and not form(value):
            raise unsupported(f"{name}= in this form")


def _is_count(value: Any) -> bool:
    if layout.is_size(value) or value is None:
        return True
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and -(1 << 63) <= int(value) < 1 << 63


def _is_switch(value: Any) -> bool:
    return isinstance(value, (bool, int))


def _is_mask(value: Any) -> bool:
    return value is True or isinstance(value, (Array, np.ndarray)) and bool(value.dtype == bool)


def _is_number(value: Any) -> bool:
    return not getattr(value, "ndim", 0) and not isinstance(value, (list, tuple))


def _is_no_array(value: Any) -> bool:
    return not isinstance(value, (Array, np.ndarray))


#: by the names that NumPy gives them
_FORMS: dict[str, Callable[[Any], bool]] = {
    "where": _is_mask,
    "keepdims": _is_switch,
    "endpoint": _is_switch,
    "initial": _is_number,
    "copy": lambda value: value is None or _is_switch(value),
    "ord": lambda value: not isinstance(value, (np.generic, complex)),
    "dtype": _is_no_array,
    "prepend": lambda value: value is not None,
    **dict.fromkeys(("k", "N", "M", "offset", "ndmin"), _is_count),
}
