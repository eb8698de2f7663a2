"""What `torch.compile(module)` returns while quern is in its place: a module around the module, as torch's `OptimizedModule` is.

Programs see that one: keys of state dicts and names of parameters begin with `_orig_mod.`, and checkpoints go from one compiler to the
other. (`quern.compile(module)` gives a module without such a prefix: `module.py`.)
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Mapping
from typing import Any

import torch

from .module import HOOKS, Compile, CompiledModule, StandsForModule, compile_call

#: what belongs to the module around; all else is the inner module's
_OWN = ("_orig_mod", "dynamo_ctx", "forward")


class OptimizedModule(StandsForModule, torch.nn.Module):
    """Attributes are those of the module that was compiled, `_orig_mod`. Hooks registered here run around the compiled call.

    dynamo_ctx: what compiles other functions with the settings of this module
    settings: what torch.compile was called with
    """

    def __init__(self, module: torch.nn.Module, dynamo_ctx: Compile, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.__dict__.update(dynamo_ctx=dynamo_ctx, _quern_settings=settings)
        self._orig_mod = module

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        names = self.__dict__
        if any(map(names.get, HOOKS)) or "_compiled_call_impl" in names:
            return super().__call__(*args, **kwargs)
        return names["forward"](*args, **kwargs)

    @property
    def training(self) -> bool:  # type: ignore[override]
        return self._orig_mod.training  # type: ignore[no-any-return]

    @training.setter
    def training(self, value: bool) -> None:
        if "_orig_mod" in self.__dict__.get("_modules", ()):  # not so while `Module.__init__` runs
            self._orig_mod.training = value

    def __getattr__(self, name: str) -> Any:
        inner = self.__dict__["_modules"]["_orig_mod"]
        return inner if name == "_orig_mod" else getattr(inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _OWN and not hasattr(type(self), name):
            setattr(self._orig_mod, name, value)
            return
        super().__setattr__(name, value)
        if name == "_orig_mod":  # also put back by who unwraps a model
            call: Any = compile_call(value, self.dynamo_ctx)
            call._torchdynamo_inline = value.__call__  # who captures it with Dynamo captures the module's own call
            self.__dict__.update(forward=call, _quern_call=call)

    def __delattr__(self, name: str) -> None:
        if name in _OWN or hasattr(type(self), name):
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._orig_mod)})

    def __len__(self) -> int:
        return len(self._orig_mod)

    def __bool__(self) -> bool:
        return bool(self._orig_mod)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """As a call of torch.compile, whoever's it is where it is loaded."""
        return functools.partial(torch.compile, **self._quern_settings), (self._orig_mod,)

    def __deepcopy__(self, memo: dict[int, Any]) -> OptimizedModule:
        return OptimizedModule(copy.deepcopy(self._orig_mod, memo), self.dynamo_ctx, self._quern_settings)

    def __copy__(self) -> OptimizedModule:
        return OptimizedModule(self._orig_mod, self.dynamo_ctx, self._quern_settings)

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """TorchScript compiles the module itself."""
        return self._orig_mod


OptimizedModule.__module__, OptimizedModule.__qualname__ = "torch._dynamo.eval_frame", "OptimizedModule"


def around(compiled: Any, settings: Mapping[str, Any]) -> Any:
    """What torch.compile returns where quern.compile returned `compiled`."""
    if not isinstance(compiled, CompiledModule):
        return compiled
    return OptimizedModule(compiled._orig_mod, compiled.dynamo_ctx, settings)
