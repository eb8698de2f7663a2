"""`compile` and the switches around it. Everything here is re-exported by `quern`."""

from __future__ import annotations

import difflib
import functools
import importlib
import sys
import types
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from .backends import Backend, lookup_backend
from .callbacks import CallbackArgs, callback_handler
from .capture import markers, marks
from .capture.bytecode_raw import check_python
from .capture.dispatch import BackendContext, Callbacks, CompiledFunction
from .capture.eager_backend import eager_backend
from .capture.frontends import connect
from .config import Options, config
from .errors import InvalidOption, UnsupportedPython, UserError
from .explanation import Explanation, explain_call
from .inductor.compile import compile_graph
from .inductor.graph import Graph
from .inductor.runtime import Runtime

graph_break = markers.graph_break
is_compiling = markers.is_compiling

#: mode -> the options it stands for
_MODES: dict[str, dict[str, Any]] = {
    "default": {},
    "reduce-overhead": {"cudagraphs": True},
    "max-autotune": {"max_autotune": True, "cudagraphs": True},
    "max-autotune-no-cudagraphs": {"max_autotune": True},
}

#: every compiled function alive, for `reset`
_compiled: weakref.WeakSet[CompiledFunction] = weakref.WeakSet()


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Backend = "inductor",
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """Compile a function, a method or a module; compilation happens at the first call.

    model:     a Python function, bound method, `nn.Module`, or any callable object; left out: a decorator
    fullgraph: a graph break is an error that shows the line (`errors.Unsupported`)
    dynamic:   True: sizes are symbols from the first call; None: once they changed; False: every size is its own version
    backend:   a name (`list_backends()`) or a function `(graph, example_inputs) -> callable`
    mode:      "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"
    options:   fields of `config.Options`; not together with `mode`
    disable:   return `model` as it is

    The result is called like `model`. A module gives a module: same class, same parameters, same `state_dict` keys.
    Raises InvalidBackend, InvalidOption, UnsupportedPython, TypeError for something that cannot be called.
    """
    made = _options(mode, options)
    chosen = lookup_backend(backend)

    def apply(target: Any) -> Any:
        if disable or config.disable:
            return target
        if not callable(target):
            raise TypeError(f"quern.compile takes a function, a method, a module or another callable, not {target!r}")
        try:
            check_python()
        except UnsupportedPython:
            if config.unsupported_python == "eager":
                return target
            raise
        connect()
        return _compile(target, _Settings(chosen, fullgraph, dynamic, made))

    return apply if model is None else apply(model)


class _Settings:
    """One `compile` call's arguments, and how they make a compiled function."""

    def __init__(self, backend: str | Backend, fullgraph: bool, dynamic: bool | None, options: Options) -> None:
        self.backend = backend
        self.fullgraph = fullgraph
        self.dynamic = dynamic
        self.options = options

    def function(self, fn: types.FunctionType) -> CompiledFunction:
        made = CompiledFunction(
            fn,
            backend=_adapt(self.backend),
            fullgraph=self.fullgraph,
            dynamic=self.dynamic,
            options=self.options,
            callbacks=_callbacks(),
        )
        _compiled.add(made)
        return made


def _compile(target: Any, settings: _Settings) -> Any:
    if isinstance(target, CompiledFunction):
        return settings.function(target.fn)
    if isinstance(target, types.FunctionType):
        return settings.function(target)
    if isinstance(target, types.MethodType):
        inner = _compile(target.__func__, settings)
        return types.MethodType(inner, target.__self__)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(target, torch.nn.Module):
        modules = importlib.import_module(".capture.frontends.torch.module", __package__)
        return modules.compile_module(target, lambda fn: _compile(fn, settings))
    if isinstance(target, type):
        raise TypeError(f"quern.compile cannot compile the class {target.__name__}; compile an instance or its methods")
    return settings.function(_caller(target))


def _caller(target: Callable[..., Any]) -> types.FunctionType:
    """A function that calls a callable object (a partial, an object with `__call__`, a C function)."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return target(*args, **kwargs)

    functools.update_wrapper(call, target)
    del call.__dict__["__wrapped__"]
    assert isinstance(call, types.FunctionType)
    return call


def _options(mode: str | None, options: Mapping[str, Any] | None) -> Options:
    if mode is not None and options is not None:
        raise InvalidOption("give either mode= or options=, not both: a mode is a set of options")
    if mode is not None:
        if mode not in _MODES:
            raise InvalidOption(f"no mode is called {mode!r}.{_nearest(mode, _MODES)} Known modes: {', '.join(_MODES)}")
        return Options(**_MODES[mode])
    known = [f.name for f in fields(Options)]
    for name in options or ():
        if name not in known:
            raise InvalidOption(
                f"no option is called {name!r}.{_nearest(name, known)} Known options: {', '.join(known)}"
            )
    made = Options(**(options or {}))
    if made.cpu_codegen not in ("cpp", "triton"):
        raise InvalidOption(f"option cpu_codegen must be 'cpp' or 'triton', not {made.cpu_codegen!r}")
    return made


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f" Did you mean {near[0]!r}?" if near else ""


def _adapt(backend: str | Backend) -> Callable[[Graph, Sequence[Any], BackendContext], Callable[..., Any]]:
    """A backend as the engine calls it."""
    if backend == "eager":
        return eager_backend
    if backend == "inductor":
        return inductor_backend
    assert callable(backend)

    def call(graph: Graph, example_inputs: Sequence[Any], context: BackendContext) -> Callable[..., Any]:
        graph.framework = context.frontend.name if context.frontend is not None else ""
        return backend(graph, example_inputs)

    return call


def inductor_backend(graph: Graph, example_inputs: Sequence[Any], context: BackendContext) -> Callable[..., Any]:
    """The compiling backend. The result carries what was done as `quern_record` (a `CompileRecord`)."""
    assert context.frontend is not None
    if graph.autograd:
        _say_once_about_gradients()
        return eager_backend(graph, example_inputs, context)
    run, record = compile_graph(graph, context.frontend.runtime, context.options, label=context.name)
    if any(getattr(x, "requires_grad", False) for x in example_inputs):
        run = _without_gradients(run, context.frontend.runtime)
    run.quern_record = record  # type: ignore[attr-defined]
    return run


def _without_gradients(run: Callable[..., Any], runtime: Runtime) -> Callable[..., Any]:
    """`run` for inputs that require gradients where the graph gives none: the framework's own kernels must not record any."""

    def call(*inputs: Any) -> Any:
        before = runtime.set_grad(False)
        try:
            return run(*inputs)
        finally:
            runtime.set_grad(before)

    return call


@functools.cache
def _say_once_about_gradients() -> None:
    warnings.warn(
        "quern: gradients are asked for, so graphs run op by op through the framework's autograd; "
        "call under torch.no_grad() for generated kernels",
        stacklevel=2,
    )


def _callbacks() -> Callbacks:
    running: list[CallbackArgs] = []

    def start(name: str) -> None:
        running.append(callback_handler.run_start())

    def end(name: str) -> None:
        callback_handler.run_end(running.pop())

    return Callbacks([start], [end])


# --------------------------------------------------------------------------- looking and resetting


def explain(f: Callable[..., Any], **settings: Any) -> Callable[..., Explanation]:
    """`explain(f)(*args)`: compile `f` anew for these arguments, run it once, and say what happened.

    settings as for `compile`. The result lists graphs, ops, guards, graph breaks with their lines, kernels before and after
    fusion, and times; `str()` of it is meant to be read.
    """
    fresh = compile(getattr(f, "_orig_mod", f), **settings)

    def run(*args: Any, **kwargs: Any) -> Explanation:
        return explain_call(fresh, functions_of(fresh), args, kwargs)

    return run


def functions_of(compiled: Any) -> list[CompiledFunction]:
    """The compiled functions behind what `compile` returned (a module may have several)."""
    if isinstance(compiled, CompiledFunction):
        return [compiled]
    if isinstance(compiled, types.MethodType):
        return functions_of(compiled.__func__)
    for name in ("_quern_call", "_compiled_call_impl"):
        call = getattr(compiled, name, None)
        if call is not None and hasattr(call, "parts"):
            return [f for part in call.parts() for f in functions_of(part)]
    raise UserError(f"{compiled!r} was not made by quern.compile")


def reset() -> None:
    """Forget all compiled code, counters of recompilation and callbacks. What is on disk stays."""
    for function in list(_compiled):
        function.reset()
    callback_handler.clear()


# --------------------------------------------------------------------------- marks on functions


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Never capture `fn`: compiled code that calls it breaks its graph there and calls it plainly. Also a decorator.

    recursive: False leaves what `fn` calls to be compiled by itself
    reason:    shown where the graph breaks
    """
    if fn is None:
        return lambda f: disable(f, recursive, reason=reason)
    inner = fn.fn if isinstance(fn, CompiledFunction) else fn

    @functools.wraps(inner)
    def plain(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs)

    plain._quern_disable = True  # type: ignore[attr-defined]
    plain._quern_disable_reason = reason  # type: ignore[attr-defined]
    return plain


def allow_in_graph(fn: Any) -> Any:
    """Put calls of `fn` into the graph as one opaque node, without looking inside. Returns `fn`; also a decorator.

    A list or tuple of functions marks each.
    """
    if isinstance(fn, (list, tuple)):
        return [allow_in_graph(f) for f in fn]
    return _mark(fn, markers.ALLOW_IN_GRAPH)


def assume_constant_result(fn: Any) -> Any:
    """Call `fn` once, during capture, and keep its result as a constant of the compiled code. Returns `fn`."""
    return _mark(fn, markers.ASSUME_CONSTANT)


def _mark(fn: Any, attribute: str) -> Any:
    if not callable(fn):
        raise TypeError(f"expected a function, not {type(fn).__name__}")
    try:
        setattr(fn, attribute, True)
    except (AttributeError, TypeError):
        raise TypeError(f"{fn!r} is not a Python function and cannot be marked; wrap it in one") from None
    return fn


# --------------------------------------------------------------------------- marks on arrays


def mark_dynamic(array: Any, index: int | Sequence[int], *, min: int | None = None, max: int | None = None) -> None:
    """Tell that size `index` of a tensor or array will change: it is a symbol from the first capture on.

    index:    a dimension, negative ones from the end, or several
    min, max: the smallest and largest size it will have (0 and 1 are compiled by themselves always)

    A program that works for one size only raises `SpecializationError` when it is compiled. The mark belongs to this array object.
    Raises TypeError, IndexError; ValueError for a range that does not hold the present size.
    """
    low, high = 2 if min is None else min, max
    for i in (index,) if isinstance(index, int) else index:
        axis = marks.axis_of(array, i)
        size = array.shape[axis]
        if high is not None and high < low:
            raise ValueError(f"mark_dynamic: min={low} is larger than max={high}")
        if size > 1 and not (low <= size and (high is None or size <= high)):
            raise ValueError(
                f"mark_dynamic: dimension {axis} has size {size}, which is not in the range min={min}, max={max}"
            )
        marks.put(array, axis, marks.Mark(True, low if low > 2 else 2, high))


def mark_static(array: Any, index: int | Sequence[int] | None = None) -> None:
    """Tell that size `index` of a tensor or array (all its sizes when None) is to be a constant, whatever asks for symbols.

    Takes back `mark_dynamic`. Raises TypeError, IndexError.
    """
    axes = range(marks.rank_of(array)) if index is None else (index,) if isinstance(index, int) else index
    for i in axes:
        marks.put(array, marks.axis_of(array, i), marks.Mark(False))


# --------------------------------------------------------------------------- in the place of torch.compile


def install() -> None:
    """Make `torch.compile` and `nn.Module.compile` use quern, until `uninstall()`. Imports torch."""
    importlib.import_module("torch")
    importlib.import_module(".capture.frontends.torch.install", __package__).install(compile)


def uninstall() -> None:
    """Give torch its own `compile` back. Does nothing when quern is not installed."""
    module = sys.modules.get(f"{__package__}.capture.frontends.torch.install")
    if module is not None:
        module.uninstall()
