"""The NumPy front end: what capture asks of NumPy (see `capture.frontend`).

How NumPy's arrays and functions are captured (`objects`) is loaded at the first one that the program shows: programs over
another framework do without, though NumPy is imported there too.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import UserError
from ....inductor.graph import Graph
from ....inductor.runtime import Runtime
from ...guards.seen import DESCRIBERS
from ...guards.sources import Source
from ...values.base import Handler, Value
from .kinds import CALLABLES, is_numpy, is_of_numpy
from .state import NumpyState

if TYPE_CHECKING:
    from ...bytecode.instructions import Loop
    from ...values.base import Emitter, Machine

_FOLDER = os.path.dirname(np.__file__) + os.sep


class NumpyFrontend:
    """`capture.frontend.Frontend` for NumPy 2 and newer. Raises UserError for an older one, whose promotion differs."""

    name = "numpy"
    rolls = True

    def __init__(self) -> None:
        if int(np.__version__.partition(".")[0]) < 2:
            raise UserError(
                f"quern compiles NumPy functions with NumPy 2 or newer; this is {np.__version__}. Run: pip install -U numpy"
            )

    @functools.cached_property
    def runtime(self) -> Runtime:
        from .runtime import NumpyRuntime

        return NumpyRuntime()

    @functools.cached_property
    def _objects(self) -> Any:
        from . import objects

        return objects

    @functools.cached_property
    def _rolling(self) -> Any:
        from .rolling import entry

        return entry

    # ------------------------------------------------------------ objects

    def owns_type(self, cls: type) -> bool:
        return cls is np.ndarray or issubclass(cls, (np.generic, np.dtype, *CALLABLES))

    def wrap(self, ev: Machine, obj: Any, source: Source) -> Value | None:
        found: Value | None = self._objects.wrap(ev, obj, source)
        return found

    # ------------------------------------------------------------ callables

    def function(self, fn: Any) -> Handler | None:
        found: Handler | None = self._objects.function(fn) if is_of_numpy(fn) else None
        return found

    def is_framework_code(self, fn: Any) -> bool:
        return is_numpy(fn)

    def may_inline(self, fn: Any) -> bool:
        return True

    # ------------------------------------------------------------ one capture

    def new_state(self, ev: Machine) -> NumpyState:
        return NumpyState(lambda settings: self._objects.new_builder(ev, settings))

    def global_guards(self, ev: Machine) -> None:
        """None: what floating-point errors are to do is guarded where an op may meet one (see `errstate`)."""

    def finish(self, ev: Machine, rb: Emitter) -> None:
        state: NumpyState = ev.states["numpy"]
        if state.is_used:
            self._objects.finish(self, ev, rb, state)

    def take(self, ev: Machine, inputs: list[tuple[Source, Any]]) -> list[tuple[Source, Any]]:
        return inputs

    def roll(self, ev: Machine, frame: Any, loop: Loop, start: int, top: list[Value], region: frozenset[int]) -> bool:
        if ev.boundary.framework == "torch":  # its graphs have few such loops, and many others
            return False
        return bool(self._rolling.roll(ev, frame, loop, start, top, region))

    def compute_at_once(self, ev: Machine, function: Callable[..., Any], args: Sequence[Any]) -> Any:
        """As `function(*args)`. Breaks for a floating-point error that the program wants to hear of."""
        return self._objects.compute_at_once(ev, function, args)

    def records_calls(self) -> bool:
        return False

    def raised_by_program(self, error: Exception) -> bool:
        return False

    def remembering(self, graph: Graph, run: Callable[..., Any]) -> Callable[..., Any]:
        return run

    def repeating(self, error: Exception) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()

    def unseen(self) -> contextlib.AbstractContextManager[Any]:
        return contextlib.nullcontext()  # what is read is kept in C

    def location_is_framework(self, filename: str) -> bool:
        return filename.startswith(_FOLDER)


def _describe_array(x: np.ndarray) -> str:
    return f"an array of dtype {x.dtype}, shape {x.shape}, strides {x.strides}"


DESCRIBERS[np.ndarray] = _describe_array
