"""Marks that a program puts on functions and arrays. Everything here is re-exported by `quern` and `quern.compiler`."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .capture.entry.dispatch import CompiledFunction
from .capture.switches import function_flags, marked_dims, stance

graph_break = function_flags.graph_break
is_compiling = function_flags.is_compiling
is_dynamo_compiling = function_flags.is_dynamo_compiling
is_exporting = function_flags.is_exporting
error_on_graph_break = function_flags.error_on_graph_break


# --------------------------------------------------------------------------- functions


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Never capture `fn`: compiled code that calls it breaks its graph there and calls it plainly. Also a decorator.

    recursive: compiled functions that `fn` calls run as plain Python, too; False: they stay compiled
    reason:    shown where the graph breaks

    A module is marked itself, so that its calls are plain.
    """
    if fn is None:
        return lambda f: disable(f, recursive, reason=reason)
    if not callable(fn):
        raise TypeError(f"disable takes a function, a method or a module, not {type(fn).__name__}")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(fn, torch.nn.Module):
        fn.__dict__.update({function_flags.DISABLE: True, function_flags.REASON: reason})
        return fn
    inner = fn.fn if isinstance(fn, CompiledFunction) else fn
    if recursive:

        @functools.wraps(inner)
        def plain(*args: Any, **kwargs: Any) -> Any:
            stance.enter_plain()
            try:
                return inner(*args, **kwargs)
            finally:
                stance.leave_plain()
    else:

        @functools.wraps(inner)
        def plain(*args: Any, **kwargs: Any) -> Any:
            return inner(*args, **kwargs)

    plain.__dict__.update({function_flags.DISABLE: True, function_flags.REASON: reason})
    return plain


def skip(fn: Callable[..., Any] | None = None) -> Any:
    """Never capture `fn` itself; what it calls stays compiled. Also a decorator."""
    return disable(fn, recursive=False)


def allow_in_graph(fn: Any) -> Any:
    """Put calls of `fn` into the graph as one opaque node, without looking inside. Returns `fn`; also a decorator.

    A list or tuple of functions marks each.
    """
    if isinstance(fn, (list, tuple)):
        return [allow_in_graph(f) for f in fn]
    return _mark(fn, function_flags.ALLOW_IN_GRAPH)


def assume_constant_result(fn: Any) -> Any:
    """Call `fn` once, during capture, and keep its result as a constant of the compiled code. Returns `fn`."""
    return _mark(fn, function_flags.ASSUME_CONSTANT)


def _mark(fn: Any, attribute: str) -> Any:
    if not callable(fn):
        raise TypeError(f"expected a function, not {type(fn).__name__}")
    try:
        setattr(fn, attribute, True)
    except (AttributeError, TypeError):
        raise TypeError(f"{fn!r} is not a Python function and cannot be marked; wrap it in one") from None
    return fn


def substitute_in_graph(
    original_fn: Callable[..., Any], *, can_constant_fold_through: bool = False, skip_signature_check: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: capture the decorated Python function wherever a program calls `original_fn`, usually one written in C.

    can_constant_fold_through: `original_fn` is pure: on constants it is called during capture
    skip_signature_check:      do not compare the two signatures

    The result calls `original_fn`. Raises TypeError for what is no function, or when the signatures differ.
    """
    if not callable(original_fn) or isinstance(original_fn, type):
        raise TypeError(f"substitute_in_graph takes a function, not {original_fn!r}")

    def apply(traceable_fn: Callable[..., Any]) -> Callable[..., Any]:
        if not inspect.isfunction(traceable_fn):
            raise TypeError(f"the substitute must be a Python function, not {traceable_fn!r}")
        if not skip_signature_check:
            _compare_signatures(original_fn, traceable_fn)

        @functools.wraps(original_fn)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            return original_fn(*args, **kwargs)

        for key in (original_fn, wrapped):
            function_flags.SUBSTITUTES[key] = (traceable_fn, can_constant_fold_through)
        return wrapped

    return apply


def _compare_signatures(original: Callable[..., Any], substitute: Callable[..., Any]) -> None:
    try:
        wanted = inspect.signature(original).parameters.values()
    except (TypeError, ValueError):  # C functions may have none
        return
    found = inspect.signature(substitute).parameters.values()
    want, have = ([(p.name, p.kind, p.default) for p in parameters] for parameters in (wanted, found))
    if want != have:
        raise TypeError(
            f"the substitute's signature {inspect.signature(substitute)} differs from that of the original, "
            f"{inspect.signature(original)}; make them equal, or pass skip_signature_check=True"
        )


def wrap_numpy(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Turn a function over NumPy arrays into one over tensors: tensors become arrays before, arrays tensors after. Decorator."""
    torch = importlib.import_module("torch")

    def each(tree: Any, convert: Callable[[Any], Any]) -> Any:
        if isinstance(tree, dict):
            return {k: each(v, convert) for k, v in tree.items()}
        if type(tree) in (list, tuple):
            return type(tree)(each(v, convert) for v in tree)
        return convert(tree)

    def to_array(x: Any) -> Any:
        return x.numpy() if isinstance(x, torch.Tensor) else x

    def to_tensor(x: Any) -> Any:
        return torch.as_tensor(x) if type(x).__module__ == "numpy" else x

    @functools.wraps(fn)
    def over_tensors(*args: Any, **kwargs: Any) -> Any:
        return each(fn(*each(args, to_array), **each(kwargs, to_array)), to_tensor)

    return over_tensors


# --------------------------------------------------------------------------- arrays


def mark_dynamic(array: Any, index: int | Sequence[int], *, min: int | None = None, max: int | None = None) -> None:
    """Tell that size `index` of a tensor or array will change: it is a symbol from the first capture on.

    index:    a dimension, negative ones from the end, or several
    min, max: the smallest and largest size it will have (0 and 1 are compiled by themselves always)

    A program that works for one size only raises `SpecializationError` when it is compiled. The mark belongs to this array object.
    Raises TypeError, IndexError; ValueError for a range that does not hold the present size.
    """
    low, high = 2 if min is None else min, max
    for i in (index,) if isinstance(index, int) else index:
        axis = marked_dims.axis_of(array, i)
        size = array.shape[axis]
        if high is not None and high < low:
            raise ValueError(f"mark_dynamic: min={low} is larger than max={high}")
        if size > 1 and not (low <= size and (high is None or size <= high)):
            raise ValueError(
                f"mark_dynamic: dimension {axis} has size {size}, which is not in the range min={min}, max={max}"
            )
        marked_dims.put(array, axis, marked_dims.Mark(True, low if low > 2 else 2, high))


def maybe_mark_dynamic(array: Any, index: int | Sequence[int]) -> None:
    """As `mark_dynamic`, but a program that works for one size only is compiled for that size. Raises TypeError, IndexError."""
    for i in (index,) if isinstance(index, int) else index:
        marked_dims.put(array, marked_dims.axis_of(array, i), marked_dims.Mark(True, soft=True))


def mark_static(array: Any, index: int | Sequence[int] | None = None) -> None:
    """Tell that size `index` of a tensor or array (all its sizes when None) is to be a constant, whatever asks for symbols.

    Takes back `mark_dynamic`. Raises TypeError, IndexError.
    """
    axes = range(marked_dims.rank_of(array)) if index is None else (index,) if isinstance(index, int) else index
    for i in axes:
        marked_dims.put(array, marked_dims.axis_of(array, i), marked_dims.Mark(False))


def mark_static_address(array: Any, guard: bool = False) -> None:
    """Tell that an array stays where it is in memory. quern needs no such promise: this checks its argument, no more.

    Raises TypeError for what is no array.
    """
    marked_dims.rank_of(array)
