"""How NumPy's arrays, scalars and functions are captured."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import Unsupported
from ....inductor.checks import may_raise
from ....inductor.float_errors import unread
from ....inductor.graph import Node, TensorMeta
from ....inductor.sizes import strides_over
from ...frontend import Frontend
from ...guards.exact import register_form
from ...guards.sources import Source
from ...machine.type_lookup import HEAPTYPE
from ...machine.wrapping import hold
from ...values.base import Args, Handler, Kwargs, Value
from ...values.constant import constant_of
from ...values.tensor import InputStorage
from . import creation, layout, names, places
from .arrays import Memory, own_memory
from .builder import ArrayBuilder
from .errstate import Settings, errstate
from .inlined import INLINED, MAX_ROWS
from .inputs import scalar_input
from .kinds import CALLABLES, DISPATCHER, is_numpy
from .state import NumpyState
from .values import (
    DTypeValue,
    NumpyArray,
    UfuncValue,
    call_function,
    call_handler,
    handler_of,
)

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

#: Python functions of NumPy that are captured like the user's: they are written with functions that `names` knows
_INLINED = frozenset((np.cov, np.corrcoef, np.vander, np.unwrap, np.apply_over_axes))
_INLINED_CODE = frozenset((*(fn._implementation for fn in _INLINED), type(np.s_).__getitem__))  # type: ignore[attr-defined]
#: what np.mgrid and np.ogrid are indexed with
_GRID = type(np.mgrid).__getitem__
#: what np.r_ and np.c_ are indexed with
_CONCATENATED = type(np.r_).__getitem__
register_form(np.dtype, lambda d: (d, d.metadata, d.isalignedstruct))
for _kind in (np.datetime64, np.timedelta64):
    register_form(_kind, lambda x: (x.dtype, x.tobytes()))
#: properties of known objects
_LIMITS = (np.iinfo.min.fget, np.iinfo.max.fget)  # type: ignore[attr-defined]


def wrap(ev: Machine, obj: Any, source: Source) -> Value | None:
    """The Value of an object of NumPy."""
    if isinstance(obj, np.ndarray):
        return _wrap_array(ev, obj, source)
    if isinstance(obj, CALLABLES):
        return UfuncValue(obj, hold(ev, obj, source))
    if isinstance(obj, np.void) or isinstance(obj, np.generic) and type(obj).__flags__ & HEAPTYPE:
        return None  # a record is written to in place; a class of the program may answer as it likes
    if isinstance(obj, (np.inexact, np.integer)) and not source.is_const:
        if ev.symbols.scalar_varies(source, obj):
            return scalar_input(ev, obj, source)
    if not source.is_const:
        ev.guards.equals(source, obj)
    return DTypeValue(obj) if isinstance(obj, np.dtype) else constant_of(obj, source)


def function(fn: Any) -> Handler | None:
    """The handler of a callable of NumPy."""
    if fn is np.errstate:
        return errstate
    if fn is np.ndindex:
        return places.ndindex
    if fn is np.ndenumerate:
        return places.ndenumerate
    try:
        known = names.is_known(fn)
    except TypeError:  # not hashable
        return None
    if known:
        return handler_of(fn)
    if fn in INLINED:
        return _written_out(fn)
    if isinstance(fn, DISPATCHER):
        return _inlined(fn) if fn in _INLINED else _refused(fn)
    if fn in _INLINED_CODE:
        return None
    if fn is _GRID:
        return _grid
    if fn is _CONCATENATED:
        return _concatenated
    if fn in _LIMITS:
        return _limit(fn)
    return _refused(fn) if is_numpy(fn) and not isinstance(fn, type) else None


def new_builder(ev: Machine, settings: Settings) -> ArrayBuilder:
    """What makes the arrays of one capture."""
    return ArrayBuilder(ev, NumpyArray, settings)


def finish(frontend: Frontend, ev: Machine, rb: Emitter, state: NumpyState) -> None:
    """What NumPy calls left to do at the end of a capture."""
    for _, example in ev.inputs:
        ev.boundary.claim(next(f.name for f in ev.frontends if f.owns_type(type(example))))
    if state.nodes and ev.boundary.framework == "numpy":
        # a graph without inputs belongs to the front end that comes first
        ev.frontends.remove(frontend)
        ev.frontends.insert(0, frontend)
    for entry, node in state.mutations(ev):
        held = node
        while held.op.aliases and held.inputs[0] is not None:
            held = held.inputs[0]
        # what is copied into an array may be a view, but not of one that is written to
        content = own_memory(ev, node, node.meta, set()) if held.op.kind == "input" else node
        ev.boundary.writes.append((entry, content))
    if state.heard:
        ev.boundary.float_errors = functools.reduce(operator.or_, state.heard.values())
        rb.defer(lambda: _compute_all(ev, rb, state.heard))


def compute_at_once(ev: Machine, function: Callable[..., Any], args: Sequence[Any]) -> Any:
    """As `function(*args)`. Breaks for a floating-point error that the program wants to hear of."""
    try:
        with ev.states["numpy"].builder.at_once():
            return function(*args)
    except Unsupported as refusal:
        raise ev.break_(refusal.code, refusal.what, refusal.why, refusal.rewrite) from None


def _compute_all(ev: Machine, rb: Emitter, heard: Mapping[Node, int]) -> None:
    """Compute whole what may meet an error, also where the program drops a part of it: NumPy would have met the error."""
    graph = ev.graph
    while True:
        wanted = [
            *graph.outputs,
            *(node for _, node in ev.boundary.writes),
            *(n for n in graph.nodes if n.effects or may_raise(n)),
        ]
        dropped = [n for n in unread(graph.nodes, wanted) if n in heard and not isinstance(n.meta, tuple)]
        if not dropped:
            return
        rb.output(dropped[-1])


# ---------------------------------------------------------------- wrapping


def _wrap_array(ev: Machine, obj: np.ndarray, source: Source) -> Value | None:
    """An input of the graph, once it is used. None for an array that graphs cannot hold."""
    dtype, strides = layout.graph_dtype(obj.dtype), layout.element_strides(obj)
    if dtype is None or strides is None:
        return None
    dims: tuple[Any, ...] = tuple(obj.shape)
    backward = tuple(d for d, s in enumerate(strides) if s < 0)
    if not source.is_const:
        dims, strides = _guard_array(ev, obj, source, strides)
    place = source.step("", _flip_text(backward, obj.ndim), "") if backward else source
    forward = np.flip(obj, backward) if backward else obj
    meta = TensorMeta(dims, tuple(-s if i in backward else s for i, s in enumerate(strides)), dtype)
    storage = InputStorage(meta, place, forward, Memory(obj))
    array = NumpyArray(storage, meta, source=None if backward else source)
    array.enter(ev)
    if not backward:
        return array
    # memory is walked forwards: the array itself is a flipped view of what the graph takes
    value = array.view(ev, "flip", dims=backward)
    value.source = source
    return value


def _flip_text(axes: tuple[int, ...], ndim: int) -> str:
    return f"[{', '.join('::-1' if d in axes else ':' for d in range(ndim))}]"


def _guard_array(
    ev: Machine, obj: np.ndarray, source: Source, strides: tuple[int, ...]
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Guard type, element type and layout; the sizes, symbols among them where a dim is dynamic, and the strides."""
    ev.guards.type_is(source, np.ndarray)
    dims = tuple(ev.dim(source, axis, size, obj) for axis, size in enumerate(obj.shape))
    dtype = ev.names.inject(obj.dtype, obj.dtype.name)
    ev.guards.test(source, f"{{x}}.dtype == {dtype}", f"{{label}} had dtype {obj.dtype}")
    if all(isinstance(d, int) for d in dims):
        ev.guards.test(source, f"{{x}}.shape == {obj.shape}", f"{{label}} had shape {obj.shape}")
        ev.guards.test(source, f"{{x}}.strides == {obj.strides}", f"{{label}} had strides {obj.strides}")
        return dims, strides
    ev.guards.test(source, f"{{x}}.ndim == {obj.ndim}", f"{{label}} had {obj.ndim} dimensions")
    for axis, d in enumerate(dims):
        if isinstance(d, int):
            ev.guards.test(source, f"{{x}}.shape[{axis}] == {d}", f"{{label}} had size {d} along axis {axis}")
    if obj.flags.c_contiguous:
        ev.guards.test(source, "{x}.flags.c_contiguous", "{label} was contiguous")
        return dims, layout.c_strides(dims)
    wanted = strides_over(dims, obj.shape, strides)
    for axis, s in enumerate(wanted):
        place = source.attr("strides").item(axis)
        ev.symbols.guard_equal(place, s * obj.itemsize)
    return dims, wanted


# ---------------------------------------------------------------- callables


def _grid(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """np.mgrid[...] and np.ogrid[...]."""
    place, key = args
    sparse = getattr(place, "real", None) is np.ogrid
    return call_handler(ev, lambda b, key: creation.grid(b, key, sparse), [key], {})


def _concatenated(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """np.r_[...] and np.c_[...]."""
    place = getattr(args[0], "real", None)
    if place is not np.r_ and place is not np.c_:
        raise ev.break_("numpy-unsupported", "an object like np.r_", "quern does not model it")
    return call_function(ev, place.__getitem__, args[1:], kwargs)


def _written_out(fn: Any) -> Handler:
    """A function that calls the user's function."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if fn is np.apply_along_axis:
            axis, array = (args[i] if i < len(args) else kwargs.get(n) for i, n in ((1, "axis"), (2, "arr")))
            if not 0 < _rows(array, axis) <= MAX_ROWS:
                raise ev.break_("numpy-unsupported", "np.apply_along_axis over many rows, or over rows whose number is dynamic",
                                "each row would be a part of the graph", "use functions with axis=")  # fmt: skip
        return ev.call_function(INLINED[fn], args, kwargs)

    return handler


def _rows(array: Value | None, axis: Value | None) -> int:
    """How many rows an array has along an axis; 0 where that is not known."""
    if not isinstance(array, NumpyArray) or axis is None or not axis.is_constant or not array.ndim:
        return 0
    sizes = [s for s in array.shape if isinstance(s, int)]
    length = array.shape[axis.as_constant()]
    return math.prod(sizes) // max(length, 1) if len(sizes) == array.ndim and isinstance(length, int) else 0


def _limit(fn: Any) -> Handler:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        info = getattr(args[0], "real", None)
        return ev.from_python(fn(info if isinstance(info, np.iinfo) else ev.as_python(args[0])))

    return handler


def _inlined(fn: Any) -> Handler:
    return lambda ev, args, kwargs: ev.call_function(fn._implementation, args, kwargs)


def _refused(fn: Any) -> Handler:
    name = f"{fn.__module__}.{getattr(fn, '__qualname__', None) or fn.__name__}"

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        raise ev.break_("numpy-unsupported", f"calling {name}", "it has no counterpart in a graph",
                        "call it outside of the compiled function, or pass its result in")  # fmt: skip

    return handler
