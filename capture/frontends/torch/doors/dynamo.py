"""The names of `torch._dynamo`.

Marks on functions and tensors (`disable`, `allow_in_graph`, `mark_dynamic`, ...) stay torch's own: capture reads them
(`frontends/torch/frontend.py`). So do the registry of backends and its counting backends. What compiles, forgets or asks becomes
quern's.
"""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo
from torch._dynamo import callback, convert_frame, decorators, eval_frame, utils
from torch._dynamo.backends import registry

from .....errors import warn
from ..optimized_module import OptimizedModule, around
from . import callers, errors, everything, explanation, records, settings
from .install import Quern, compile_settings, replaced, without
from .replacing import copy_of

#: names whose work has no counterpart -> why
_WITHOUT = {
    "allow_c_slot": "types with slots in C are known by themselves",
    "disable_nested_graph_breaks": "breaks inside inlined calls are resumed as others are",
    "dont_skip_tracing": "quern skips none of a program's functions",
    "override_cudagraphs": "quern records no CUDA graphs",
    "override_optimization_hint": "sizes have no hints",
    "patch_dynamo_config": "use quern.config.patch around the call",
    "set_recursion_limit": "quern captures in Python, under sys.setrecursionlimit",
}


def install(quern: Quern) -> None:
    """Make `torch._dynamo` lead to quern."""
    dynamo: Any = torch._dynamo
    _compile(quern)
    _ask(quern)
    native_reset = copy_of(dynamo.reset)

    def reset() -> None:
        if not callers.is_torch():
            quern.reset()
        native_reset()

    replaced.function(dynamo, "reset", reset)
    replaced.function(torch.compiler, "reset", reset)
    _stance(quern)
    for name, function in quern.functions.items():
        owner = next(place for place in (decorators, registry) if name in place.__dict__)
        native = copy_of(owner.__dict__[name])
        replaced.function(owner, name, _for_programs(function, native), also=(dynamo,))
    for name in ("allow_in_graph", "assume_constant_result", "disable", *quern.functions):
        if name in torch.compiler.__dict__:  # of twins the private one shows the public one's signature
            private: Any = decorators.__dict__.get(name) or registry.__dict__[name]
            replaced.put(private, "__signature__", inspect.signature(getattr(torch.compiler, name)))
    for name, why in _WITHOUT.items():
        owner = decorators if name in decorators.__dict__ else dynamo
        if isinstance(owner.__dict__.get(name), types.FunctionType):
            native = copy_of(owner.__dict__[name])
            replaced.function(owner, name, without(f"torch._dynamo.{name}", why, False, native), also=(dynamo,))
    replay = without("torch._dynamo.replay", "quern records no executions", True)
    replaced.function(convert_frame, "replay", replay, also=(dynamo,))
    replaced.put(dynamo, "skip", decorators.skip)  # of older releases
    replaced.put(utils, "CompileProfiler", records.CompileProfiler)
    optimized = _optimized_module()
    for place in (dynamo, eval_frame):
        replaced.put(place, "OptimizedModule", optimized)
    quern.callbacks.join(callback.callback_handler, _callback_arguments)
    quern.listeners.append(records.Records())
    settings.install(replaced)
    errors.install(replaced)


def uninstall(quern: Quern) -> None:
    """What is not in `replaced`."""
    quern.callbacks.leave()
    kinds = (records.Records, records.GuardFailures)
    quern.listeners[:] = [one for one in quern.listeners if not isinstance(one, kinds)]


def _for_programs(ours: Callable[..., Any], native: Callable[..., Any]) -> Callable[..., Any]:
    """quern's for programs, torch's own for torch's code."""
    return lambda *args, **kwargs: (native if callers.is_torch() else ours)(*args, **kwargs)


def _callback_arguments(number: str) -> callback.CallbackArgs:
    return callback.CallbackArgs(callback.CallbackTrigger.DYNAMO, number)


# ------------------------------------------------------------ compiling


class _Optimize:
    """What `torch._dynamo.optimize(...)` gives: called with a function, it compiles that."""

    def __init__(self, compile: Callable[[Any], Any], note: Callable[[Any], None]) -> None:
        self.compile = compile
        self.note = note

    def __call__(self, fn: Any) -> Any:
        self.note(fn)
        return self.compile(fn)

    def __enter__(self) -> None:
        raise RuntimeError(
            "torch._dynamo.optimize(...) is used with a context manager; use it as a decorator, or call "
            "torch._dynamo.optimize(...)(function), or torch.compile(function)"
        )

    def __exit__(self, *error: Any) -> None: ...


def _compile(quern: Quern) -> None:
    def optimize(
        backend: Any = None,
        *,
        nopython: bool = False,
        error_on_graph_break: bool | None = None,
        guard_export_fn: Any = None,
        guard_fail_fn: Any = None,
        guard_filter_fn: Any = None,
        package: Any = None,
        **given: Any,
    ) -> _Optimize:
        for name, value in (("guard_export_fn", guard_export_fn), ("guard_filter_fn", guard_filter_fn)):
            if value is not None:
                without(f"torch._dynamo.optimize(..., {name}=)", "quern's guards are not torch's", False)()
        everything.the_program_compiles()
        wanted = compile_settings(given)
        strict = nopython or bool(error_on_graph_break)

        def note(fn: Any) -> None:
            called = getattr(fn, "forward", fn)
            code = getattr(getattr(called, "__func__", called), "__code__", None)
            if guard_fail_fn is not None and code is not None:
                quern.listeners.append(records.GuardFailures(code, guard_fail_fn))

        settings = {"backend": backend, "fullgraph": strict, **wanted}
        return _Optimize(lambda fn: around(quern.compile(fn, **settings), settings), note)

    def optimize_assert(
        backend: Any = None, *, hooks: Any = None, export: bool = False, export_constraints: Any = None, **given: Any
    ) -> _Optimize:
        return optimize(backend, nopython=True, guard_fail_fn=getattr(hooks, "guard_fail_fn", None), **given)

    for name, ours in (("optimize", optimize), ("optimize_assert", optimize_assert)):
        native = copy_of(eval_frame.__dict__[name])
        replaced.function(eval_frame, name, _for_programs(ours, native), also=_everywhere(name))


def _everywhere(name: str) -> tuple[Any, ...]:
    """The modules of torch._dynamo that are there and have the name."""
    return tuple(m for key, m in list(sys.modules.items()) if key.startswith("torch._dynamo") and name in vars(m))


def _ask(quern: Quern) -> None:
    def explain(f: Callable[..., Any], *extra_args: Any, **extra_kwargs: Any) -> Any:
        if extra_args or extra_kwargs:
            warn("explain(f, *args, **kwargs) is deprecated, use explain(f)(*args, **kwargs) instead", FutureWarning)
            return explanation.explain(quern.explain, f, extra_args, extra_kwargs)
        return lambda *args, **kwargs: explanation.explain(quern.explain, f, args, kwargs)

    def run(fn: Any = None) -> Any:
        """What was compiled is used; nothing more is."""
        return run if fn is None else quern.set_stance("eager_on_recompile")(fn)

    native_lookup = copy_of(registry.lookup_backend)  # type: ignore[arg-type]

    def lookup_backend(compiler_fn: Any) -> Any:
        own = callers.is_torch() or compiler_fn == "eager" or not isinstance(compiler_fn, str)
        return native_lookup(compiler_fn) if own else quern.lookup_backend(compiler_fn)

    replaced.function(eval_frame, "explain", explain, also=_everywhere("explain"))
    replaced.function(decorators, "run", run, also=_everywhere("run"))
    replaced.function(registry, "lookup_backend", lookup_backend, also=_everywhere("lookup_backend"))


def _stance(quern: Quern) -> None:
    """`torch._dynamo.set_stance` is a class; its objects hold quern's."""
    stance: Any = decorators.set_stance

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        self.stance = quern.set_stance(*args, **kwargs)

    methods: dict[str, Callable[..., Any]] = {
        "__init__": init,
        "__call__": lambda self, fn: self.stance(fn),
        "__enter__": lambda self: self.stance.__enter__(),
        "__exit__": lambda self, *error: self.stance.__exit__(*error),
    }
    for name, method in methods.items():
        replaced.lead(stance.__dict__[name], method)
    replaced.put(stance, "__signature__", inspect.signature(torch.compiler.set_stance))


def _optimized_module() -> type:
    """`OptimizedModule`, of which quern's compiled modules are instances too."""
    native: Any = eval_frame.OptimizedModule

    class Kind(type(native)):  # type: ignore[misc]
        def __instancecheck__(cls, instance: Any) -> bool:
            return isinstance(instance, (native, OptimizedModule))

    members = {name: getattr(native, name) for name in ("__module__", "__qualname__", "__doc__")}
    return Kind("OptimizedModule", (native,), {**members, "__signature__": inspect.signature(native)})
