"""Running one program plain and compiled, and comparing all that can be seen of it."""

from __future__ import annotations

import collections
import types
from collections.abc import Callable
from typing import Any

from quern.capture.entry.dispatch import CompiledFunction
from toy import Toy, toy_compile

from quern.config import config

_ATOMS = (int, float, complex, str, bytes, bool, type(None), type(Ellipsis), range, type, types.ModuleType)


_ABSENT = "<absent>"


class Difference(AssertionError):
    """The two runs can be told apart."""


def same(one: Any, other: Any, seen: dict[int, int] | None = None, path: str = "result") -> None:
    """Same types, values and aliasing: the same object on one side must be the same object on the other.

    Raises Difference with the path to what differs.
    """
    seen = {} if seen is None else seen
    if type(one) is not type(other):
        raise Difference(f"{path}: {type(one).__name__} {one!r} against {type(other).__name__} {other!r}")
    if isinstance(one, _ATOMS):
        if not (one is other or one == other or one != one and other != other):
            raise Difference(f"{path}: {one!r} against {other!r}")
        return
    if id(one) in seen or id(other) in seen.values():
        if seen.get(id(one)) != id(other) and not isinstance(one, (tuple, frozenset)):
            raise Difference(f"{path}: aliasing differs")
        if id(one) in seen:
            return
    seen[id(one)] = id(other)
    if isinstance(one, Toy):
        if one.data.shape != other.data.shape or one.data.tolist() != other.data.tolist():
            raise Difference(f"{path}: {one!r} against {other!r}")
        return
    if isinstance(one, BaseException):
        same(list(one.args), list(other.args), {}, f"{path}.args")
        same(one.__cause__, other.__cause__, seen, f"{path}.__cause__")
        return
    if isinstance(one, dict):
        if len(one) != len(other):
            raise Difference(f"{path}: {one!r} against {other!r}")
        items = collections.OrderedDict.items if isinstance(one, collections.OrderedDict) else dict.items
        for a, b in zip(items(one), items(other)):
            same(a[0], b[0], seen, f"{path}.keys()")
            same(a[1], b[1], seen, f"{path}[{a[0]!r}]")
    elif isinstance(one, (list, tuple)) or type(one).__name__ == "deque":
        if len(one) != len(other):
            raise Difference(f"{path}: {one!r} against {other!r}")
        for i, (a, b) in enumerate(zip(one, other)):
            same(a, b, seen, f"{path}[{i}]")
    elif isinstance(one, (set, frozenset)):
        if one != other:
            raise Difference(f"{path}: {one!r} against {other!r}")
    elif isinstance(one, types.FunctionType):
        if one.__code__ is not other.__code__:
            raise Difference(f"{path}: another function")
        for i, (a, b) in enumerate(zip(one.__closure__ or (), other.__closure__ or ())):
            same(a.cell_contents, b.cell_contents, seen, f"{path}.cell{i}")
        return
    if hasattr(one, "__dict__"):
        for name in {**vars(one), **vars(other)}:
            same(vars(one).get(name, _ABSENT), vars(other).get(name, _ABSENT), seen, f"{path}.{name}")
        if list(vars(one)) != list(vars(other)):
            raise Difference(f"{path}: attributes {list(vars(one))} against {list(vars(other))}")
    for name in getattr(type(one), "__slots__", ()):
        same(getattr(one, name, None), getattr(other, name, None), seen, f"{path}.{name}")


def outcome(fn: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    """What a call gives: its result, or the exception it raised."""
    try:
        return fn(*args)
    except Exception as error:
        error.__traceback__ = None
        return error


def agree(
    fn: Callable[..., Any], make: Callable[[], tuple[Any, ...]], calls: int = 2, **options: Any
) -> CompiledFunction:
    """Run `fn` plain and compiled on fresh arguments; results, arguments and aliasing must agree, every time.

    Returns the compiled function. Errors inside quern are raised, not fallen back from.
    """
    compiled = toy_compile(fn, **options)
    with config.patch(on_error="raise"):
        for number in range(calls):
            want_args, got_args = make(), make()
            want = outcome(fn, want_args)
            got = outcome(compiled, got_args)
            if isinstance(got, Exception) and not isinstance(want, Exception):
                raise got
            same((want, want_args), (got, got_args), path=f"call {number}")
    return compiled


def captured_whole(compiled: CompiledFunction) -> None:
    """One entry, one graph, no breaks, no fallback to plain Python."""
    assert not compiled.breaks, compiled.breaks[0]
    assert len(compiled.entries) == 1, compiled.recompiles
    assert not compiled.entries[0].is_plain, compiled.entries[0].captured.reason
