"""Operators of the program's own (`torch.library`), whose code may do more than compute: print, count, wait.

Where a graph raises, the program runs once more as plain Python, in which the error comes at its place. Calls of such operators
have been made by then, and are not made again: each gives what it gave, and the one that raised raises the same. Which call is
which is told by counting them, so not in graphs that call code which may hide some.
"""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NamedTuple

import torch
import torch.utils._pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from ....inductor.graph import ExternRef, Graph, Node
from .autocast import UNDER_AUTOCAST
from .places import resolve_name
from .schemas import FRAMEWORK, bound

#: under this name an exception knows the calls that its graph made
_CALLS = "_quern_calls"
#: bytes that one run keeps for that; calls beyond them are made again
MOST_BYTES = 1 << 26


def own_name(fn: Any) -> str:
    """ "namespace::name" of an operator of the program's own, given itself, by one overload, or by what declared it; else ""."""
    fn = getattr(fn, "_opoverload", fn)
    if isinstance(fn, torch._ops.OpOverload):
        name = fn._schema.name
    elif isinstance(fn, torch._ops.OpOverloadPacket):
        name = fn._qualified_op_name
    else:
        return ""
    return "" if name.partition("::")[0] in FRAMEWORK else name


# --------------------------------------------------------------------------- in the graph


class _Call(NamedTuple):
    """A call that a graph made.

    shapes:    of the tensors that it got, in the operator's order
    dtypes:    of these; None where autocast may have changed them
    written:   those that it wrote to, by their places among these
    made:      what it gave, or raised
    versions:  of the tensors that it gave or wrote to, as they were then
    traceback: of what it raised, from the operator's code on
    """

    shapes: list[torch.Size]
    dtypes: list[torch.dtype] | None
    written: dict[int, torch.Tensor]
    made: Any
    versions: list[int]
    traceback: TracebackType | None = None


@dataclass
class _Run:
    """Calls of one run of a graph, by the operator's name and how many of it came before; and how many bytes are kept for them."""

    calls: dict[tuple[str, int], _Call] = field(default_factory=dict)
    kept: int = 0


class _Runs(threading.local):
    current: _Run | None = None


_RUNS = _Runs()


def remembering(graph: Graph, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run`; what it raises knows the calls that were made of the program's own operators."""
    if not any(n.attrs.get("own") for n in graph.nodes) or not all(map(_is_clear, graph.nodes)):
        return run

    def remembered(*inputs: Any) -> Any:
        before, _RUNS.current = _RUNS.current, _Run()
        try:
            return run(*inputs)
        except Exception as error:
            error.__dict__[_CALLS] = _RUNS.current.calls
            raise
        finally:
            _RUNS.current = before

    return remembered


def _is_clear(node: Node) -> bool:
    """Whether it is known which operators of the program's own a node calls, and to which of its tensors they write."""
    ref = node.attrs.get("ref")
    if not isinstance(ref, ExternRef) or node.library == "numpy":
        return True
    if node.attrs.get("own"):
        return not (node.attrs.get("writes") and ref.kwargs) or _overload_of(ref) is not None
    return isinstance(ref.target, str) and ref.target.startswith(("torch:", "torch.", __package__))


def _overload_of(ref: ExternRef) -> Any:
    """The operator that a graph calls; None where its arguments decide between several of one name."""
    target = ref.args[0] if ref.target == UNDER_AUTOCAST else ref.target
    fn = target if callable(target) else resolve_name(target)
    fn = getattr(fn, "_opoverload", fn)
    if isinstance(fn, torch._ops.OpOverloadPacket) and len(fn.overloads()) == 1:
        fn = getattr(fn, fn.overloads()[0])
    return fn if isinstance(fn, torch._ops.OpOverload) else None


def note_call(
    own: tuple[str, int], ref: ExternRef, args: Sequence[Any], kwargs: Mapping[str, Any], written: Sequence[Any], made: Any
) -> None:  # fmt: skip
    """Note a call in a graph, and what it gave or raised. Called where that is caught first.

    written: those of the tensors that it got that it writes to
    """
    run = _RUNS.current
    if run is None:
        return
    cast = ref.target == UNDER_AUTOCAST
    arrays = _given(_overload_of(ref), args[2:] if cast else args, kwargs)
    dtypes = None if cast else [x.dtype for x in arrays]
    new = {i: x for i, x in enumerate(arrays) if any(x is w for w in written)}
    if isinstance(made, Exception):
        traceback = made.__traceback__
        run.calls[own] = _Call(_shapes(arrays), dtypes, new, made, [], traceback and traceback.tb_next)
        return
    kept = _kept(made, new)
    run.kept += sum([x.nbytes for x in kept])
    if run.kept <= MOST_BYTES:
        run.calls[own] = _Call(_shapes(arrays), dtypes, new, made, _versions(kept))


def _given(overload: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
    """The tensors of a call, in the operator's order where it is known which one is called."""
    if overload is None:
        return _tensors((args, tuple(kwargs.values())))
    return _tensors([value for _, value in bound(overload._schema, args, kwargs)])


def _shapes(arrays: Sequence[torch.Tensor]) -> list[torch.Size]:
    return [x.shape for x in arrays]


def _kept(made: Any, written: dict[int, torch.Tensor]) -> list[torch.Tensor]:
    """The tensors that are kept of a call."""
    return [*([made] if isinstance(made, torch.Tensor) else _tensors(made)), *written.values()]


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [x for x in pytree.tree_leaves(tree) if isinstance(x, torch.Tensor)]


def _versions(tensors: Sequence[torch.Tensor]) -> list[int]:
    """How often each was written to; those of inference mode do not count."""
    return [0 if x.is_inference() else x._version for x in tensors]


# --------------------------------------------------------------------------- in the plain run


def repeating(error: Exception) -> contextlib.AbstractContextManager[Any]:
    """Around the program's plain run: calls that the graph made give the same again."""
    calls = error.__dict__.pop(_CALLS, None)
    return _Repeating(calls) if calls else contextlib.nullcontext()


class _Repeating(TorchDispatchMode):
    supports_higher_order_operators = True

    def __init__(self, calls: dict[tuple[str, int], _Call]) -> None:
        super().__init__()
        self.calls = calls
        self.counted: collections.Counter[str] = collections.Counter()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        name = own_name(func)
        if not name:
            return func(*args, **kwargs)
        call = self.calls.pop((name, self.counted[name]), None)
        self.counted[name] += 1
        if call is None:
            return _run(func, args, kwargs)
        arrays = _given(func, args, kwargs)
        if call.shapes != _shapes(arrays) or call.dtypes not in (None, [x.dtype for x in arrays]):
            self.calls.clear()  # the program does not do what it did in the graph
            return _run(func, args, kwargs)
        failed = isinstance(call.made, Exception)
        changed = not failed and call.versions != _versions(_kept(call.made, call.written))
        if changed or any(r.alias_info is not None for r in func._schema.returns):
            return _run(func, args, kwargs)
        for i, new in call.written.items():
            arrays[i].copy_(new)
        if failed:
            raise call.made.with_traceback(call.traceback)
        return pytree.tree_map_only(torch.Tensor, torch.Tensor.detach, call.made)


def _run(func: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """An operator as outside of the mode: where autocast passes it by, what its code calls is cast. In a mode nothing is."""
    with contextlib.ExitStack() as stack:
        for key in (torch._C.DispatchKey.AutocastCPU, torch._C.DispatchKey.AutocastCUDA):
            if not torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), key):
                stack.enter_context(torch._C._SetExcludeDispatchKeyGuard(key, False))
        return func(*args, **kwargs)
