"""`compile` and the switches around it. Everything here is re-exported by `quern`."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
import warnings
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from . import journal
from .backends import Backend, lookup_backend, user_backend
from .callbacks import CallbackArgs, callback_handler
from .capture.bytecode.raw import check_python
from .capture.entry.backend import Backend as EngineBackend
from .capture.entry.backend import UserBackend
from .capture.entry.dispatch import Callbacks, CompiledFunction
from .capture.entry.execution import eager_backend, inductor_backend
from .capture.frontends import connect, torch_module
from .capture.switches import stance as stances
from .config import Options, config
from .errors import InvalidOption, UnsupportedPython, UserError, warn
from .explanation import Explanation, explain_call
from .modes import MODES
from .words import nearest, unknown

#: every compiled function alive, for `reset`
_compiled: weakref.WeakSet[CompiledFunction] = weakref.WeakSet()


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Backend | None = None,
    mode: str | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    **unknown: Any,
) -> Any:
    """Compile a function, a method or a module; compilation happens at the first call.

    model:     a Python function, bound method, `nn.Module` (an `fx.GraphModule` too), `torch.export.ExportedProgram`, or any callable
               object; left out: a decorator
    fullgraph: a graph break is an error that shows the line (`errors.Unsupported`)
    dynamic:   True: sizes are symbols from the first call; None: as `config.dynamic` says, else once they changed; False: every
               size is its own version
    backend:   a name (`list_backends()`) or a function `(graph module, example inputs) -> callable`, as for torch.compile; None:
               `get_default_backend()`
    mode:      torch.compile's names: "default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs", "lite". There
               is one way of compiling: those that ask for something else say once that they change nothing, and why
    options:   fields of `config.Options`, for the backend "inductor"; not together with `mode`. A backend that is a function is given
               both as keyword arguments, as by torch.compile
    name:      what reports and graphs call it; None: the function's own name
    disable:   return `model` as it is
    recompile_limit: versions at a time; calls that none of them fits run as plain Python; None: `config.recompile_limit`

    The result is called like `model`. A module gives a module: same class, same parameters, same `state_dict` keys. A class is
    returned itself: calls of its instances are compiled.
    Raises InvalidBackend, InvalidOption, UnsupportedPython, TypeError for something that cannot be called or an unknown
    argument.
    """
    _reject_unknown(unknown)
    _check_arguments(fullgraph, dynamic, disable, name, recompile_limit)
    if mode is not None and options is not None:
        raise InvalidOption("give either mode= or options=, not both, as for torch.compile")
    chosen = lookup_backend(config.backend if backend is None else backend)
    engine = _adapt(chosen, mode, options)
    ours = not isinstance(engine, UserBackend)
    made = _options(config.mode if mode is None and options is None else mode, options) if ours else Options()
    sizes = config.dynamic if dynamic is None else dynamic
    if options and chosen == "eager":
        warn(f"quern: {', '.join(options)}: options of the backend 'inductor' change nothing with another backend")

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
        return _compile(target, _Settings(engine, fullgraph, sizes, made, name, recompile_limit))

    return apply if model is None else apply(model)


@dataclass(frozen=True)
class _Settings:
    """One `compile` call's arguments, and how they make a compiled function."""

    backend: EngineBackend
    fullgraph: bool
    dynamic: bool | None
    options: Options
    name: str | None
    limit: int | None

    def function(self, fn: types.FunctionType) -> CompiledFunction:
        made = CompiledFunction(
            fn,
            backend=self.backend,
            fullgraph=self.fullgraph,
            dynamic=self.dynamic,
            options=self.options,
            callbacks=_callbacks(),
            limit=self.limit,
            label=self.name,
        )
        _compiled.add(made)
        return made


_ARGUMENTS = ("fullgraph", "dynamic", "backend", "mode", "options", "name", "disable", "recompile_limit")


def _reject_unknown(given: Mapping[str, Any]) -> None:
    for argument in given:
        raise TypeError(
            f"compile() has no argument {argument!r}.{nearest(argument, _ARGUMENTS)} Its arguments: {', '.join(_ARGUMENTS)}"
        )


def _check_arguments(fullgraph: Any, dynamic: Any, disable: Any, name: Any, limit: Any) -> None:
    for argument, value in (("fullgraph", fullgraph), ("disable", disable)):
        if not isinstance(value, bool):
            raise TypeError(f"compile(): {argument} must be True or False, not {value!r}")
    if dynamic is not None and not isinstance(dynamic, bool):
        raise TypeError(f"compile(): dynamic must be True, False or None, not {dynamic!r}")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"compile(): name must be a text, not {name!r}")
    if limit is not None and (not isinstance(limit, int) or isinstance(limit, bool) or limit < 1):
        raise ValueError(f"compile(): recompile_limit must be an int of at least 1, not {limit!r}")


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
        return torch_module().compile_module(target, lambda fn: _compile(fn, settings))
    if torch is not None and isinstance(target, torch.export.ExportedProgram):
        return _compile(target.module(), settings)
    if isinstance(target, type):
        return _compile_class(target, settings)
    made = settings.function(_caller(target))
    made.stands_for(target, lambda other: _compile(other, settings))
    return made


def _compile_class(target: type, settings: _Settings) -> type:
    """The class, whose instances' calls are compiled from now on. Raises TypeError for one whose instances are not called."""
    torch = sys.modules.get("torch")
    name = "_call_impl" if torch is not None and issubclass(target, torch.nn.Module) else "__call__"
    call = next((vars(c)[name] for c in target.__mro__ if name in vars(c)), None)
    if not isinstance(call, (types.FunctionType, CompiledFunction)):
        raise TypeError(
            f"quern.compile cannot compile the class {target.__name__}: its instances have no __call__ in Python"
        )
    setattr(target, name, _compile(call, settings))
    return target


def _caller(target: Callable[..., Any]) -> types.FunctionType:
    """A function that calls a callable object (a partial, an object with `__call__`, a C function)."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return target(*args, **kwargs)

    functools.update_wrapper(call, target)
    del call.__dict__["__wrapped__"]
    assert isinstance(call, types.FunctionType)
    return call


def _options(mode: str | None, options: Mapping[str, Any] | None) -> Options:
    if mode is not None:
        if mode not in MODES:
            raise InvalidOption(unknown("mode", mode, MODES))
        _say_once_about_mode(mode)
    known = [f.name for f in fields(Options)]
    for name in options or ():
        if name not in known:
            raise InvalidOption(unknown("option", name, known))
    return Options(**(options or {}))


@functools.cache
def _say_once_about_mode(mode: str) -> None:
    if why := MODES[mode]:
        warn(f"quern: mode={mode!r} is the same as 'default': {why}")


def _adapt(backend: str | Backend, mode: str | None = None, options: Mapping[str, Any] | None = None) -> EngineBackend:
    """A backend as the engine calls it. One of the user's is handed `mode` and `options`, as by torch.compile."""
    if backend == "eager":
        return eager_backend
    if backend == "inductor":
        return inductor_backend
    assert callable(backend)
    settings: dict[str, Any] = {} if mode in (None, "default") else {"mode": mode}
    return user_backend(backend, {**settings, "options": dict(options)} if options else settings)


def _callbacks() -> Callbacks:
    running: list[CallbackArgs] = []

    def start(name: str) -> None:
        running.append(callback_handler.run_start())

    def end(name: str) -> None:
        callback_handler.run_end(running.pop())

    return Callbacks([start], [end], journal.listeners)


# --------------------------------------------------------------------------- how compiled functions behave


def set_default_backend(backend: str | Backend | None) -> None:
    """The backend of `compile` calls without one, from now on (`config.backend`); None: "inductor". Raises InvalidBackend."""
    if backend is not None:
        lookup_backend(backend)
    config.backend = "inductor" if backend is None else backend


def get_default_backend() -> str | Backend:
    """What `set_default_backend` set; "inductor" at first."""
    return config.backend


class set_stance(contextlib.ContextDecorator):  # noqa: N801 - called like a function, named as torch names it
    """Say how compiled functions behave from now on, inside a `with` block, or inside a decorated function.

    stance:        "default"; "force_eager": plain Python; "eager_on_recompile": plain Python where nothing compiled fits;
                   "fail_on_recompile": `errors.RecompileForbidden` there; "eager_then_compile": a function's first call runs
                   as plain Python
    skip_guard_eval_unsafe: accepted; quern evaluates guards always (they cost microseconds), and says so once
    force_backend: compile with this backend meanwhile, whatever `compile` was told; with the stance "default" only
    """

    def __init__(
        self,
        stance: str = "default",
        *,
        skip_guard_eval_unsafe: bool = False,
        force_backend: str | Backend | None = None,
    ) -> None:
        stance = {"aot_eager_then_compile": "eager_then_compile"}.get(stance, stance)
        if stance not in stances.STANCES:
            raise InvalidOption(unknown("stance", stance, stances.STANCES))
        if force_backend is not None and stance != "default":
            raise InvalidOption(f"force_backend= goes with the stance 'default' only, not with {stance!r}")
        if skip_guard_eval_unsafe:
            _say_once_about_guards()
        made = None if force_backend is None else _adapt(lookup_backend(force_backend))
        self.stance = stances.Stance(stance, made)
        self.before = stances.put(self.stance)

    def __enter__(self) -> None:
        stances.put(self.stance)

    def __exit__(self, *error: Any) -> None:
        stances.put(self.before)

    def __call__(self, func: Any) -> Any:
        stances.put(self.before)  # a decorator's stance holds inside the function only
        settings = self.stance

        @functools.wraps(func)
        def inside(*args: Any, **kwargs: Any) -> Any:
            before = stances.put(settings)
            try:
                return func(*args, **kwargs)
            finally:
                stances.put(before)

        return inside


@functools.cache
def _say_once_about_guards() -> None:
    warnings.warn("quern: guards are always evaluated; skip_guard_eval_unsafe=True changes nothing", stacklevel=3)


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
