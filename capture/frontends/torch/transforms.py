"""Transforms of `torch.func`: a call of a transformed function is one node, in which the framework's own transform runs.

The function that is transformed is captured as a `Body`. What it is given - its arguments without the dimension that is mapped
over, dual numbers, ... - is found by running the transform over stand-ins up to the point where it calls the function; what comes
out, by running it over stand-ins with the body in the function's place. So the framework alone knows what a transform means,
and refuses what it refuses.
"""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
import torch.utils._pytree as pytree
from torch._functorch import apis, eager_transforms, vmap
from torch._subclasses.fake_tensor import FakeTensorMode

from ....inductor.graph import Input, TensorMeta
from ...breaks import NotConstant
from ...values.base import Args, Kwargs, Value
from ...values.constant import NONE
from ...values.functions import BY_CODE, FunctionValue
from ...values.sequences import TupleValue
from ...values.tensor import ArrayValue
from .context import Context, above
from .externs import call_target
from .function_bodies import Body, Leaves, capture_body, placeholder, to_tree, to_value
from .handlers import FUNCTIONS, as_written
from .meta_results import stand_in, unnoticed
from .schemas import storage_of
from .segments import seen_of
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Machine


@dataclass(frozen=True)
class Transform:
    """One kind of call.

    name:    for messages
    apply:   (function, args, kwargs, extra) -> what the transformed function gives
    records: gradients are on while the function runs
    repeats: the function runs several times
    differentiates: it is no mere mapping: the function runs out of inference mode
    """

    name: str
    apply: Callable[[Callable[..., Any], Sequence[Any], Mapping[str, Any], Any], Any]
    records: bool = False
    repeats: bool = False
    differentiates: bool = True


class Applied:
    """What a node calls: a transform of a body.

    trees:  (args, kwargs, extra) of the call; `Input(i)` is the i-th tensor
    result: the tree of what it gives, known when it was foreseen; `Input(i)` is the i-th tensor that it returns
    views:  for those that share memory with another one: (the one to make it from, its offset there or None for that very object)
    shared: those of which no such one is known
    given:  those that stand in the memory of an argument
    """

    def __init__(self, transform: Transform, trees: Any, count: int, body: Body) -> None:
        self.transform, self.trees, self.count, self.body = transform, trees, count, body
        self.result: Any = None
        self.views: dict[int, tuple[int, int | None]] = {}
        self.shared: list[int] = []
        self.given: list[int] = []

    def __call__(self, symbols: Sequence[int], *tensors: torch.Tensor) -> list[torch.Tensor]:
        return [t for t in self._flat(symbols, tensors)[0] if isinstance(t, torch.Tensor)]

    def foresee(self, symbols: Sequence[int], *tensors: torch.Tensor) -> list[torch.Tensor]:
        """What comes out, over stand-ins."""
        flat, spec = self._flat(symbols, tensors)
        found = [t for t in flat if isinstance(t, torch.Tensor)]
        places = iter(range(len(found)))
        self.result = pytree.tree_unflatten(
            [Input(next(places)) if isinstance(t, torch.Tensor) else t for t in flat], spec
        )
        self.views, self.shared = _relations(found)
        memory = {storage_of(t) for t in tensors if isinstance(t, torch.Tensor)}
        self.given = [i for i, t in enumerate(found) if storage_of(t) in memory]
        return found

    def _flat(self, symbols: Sequence[int], tensors: Sequence[torch.Tensor]) -> Any:
        given, body = tensors[: self.count], self.body
        free = body.numbers(tensors[self.count :])

        def function(*args: Any, **kwargs: Any) -> Any:
            inner = [t for t in pytree.tree_leaves((args, kwargs)) if isinstance(t, torch.Tensor)]
            return _filled(body.result, body.run(*inner, *free, *symbols))

        args, kwargs, extra = _filled(self.trees, given)
        return pytree.tree_flatten(self.transform.apply(function, args, kwargs, extra))

    def __repr__(self) -> str:
        return self.transform.name


def _filled(tree: Any, tensors: Sequence[Any]) -> Any:
    return pytree.tree_map(lambda leaf: tensors[leaf.index] if isinstance(leaf, Input) else leaf, tree)


def _relations(found: Sequence[torch.Tensor]) -> tuple[dict[int, tuple[int, int | None]], list[int]]:
    """`views` and `shared` of an `Applied`: each tensor is made from the widest one of its memory, where that has no gaps."""
    groups: dict[int, list[int]] = {}
    for i, t in enumerate(found):
        groups.setdefault(storage_of(t), []).append(i)
    views: dict[int, tuple[int, int | None]] = {}
    shared: list[int] = []
    for group in groups.values():
        base = max(group, key=lambda i: found[i].numel())
        for i in group:
            t, whole = found[i], found[base]
            if t is whole and i != base:
                views[i] = base, None
            elif i != base:
                offset = int(t.storage_offset() - whole.storage_offset())
                inside = t.dtype == whole.dtype and 0 <= offset and offset + _span(t) <= whole.numel() == _span(whole)
                views.update({i: (base, offset)} if inside else {})
                shared += [] if inside else [i, base]
    return views, shared


def _span(t: torch.Tensor) -> int:
    """How many elements lie from its first to its last one."""
    return 1 + sum((n - 1) * s for n, s in zip(t.shape, t.stride())) if t.numel() else 0


# ------------------------------------------------------------------ what the function is given


@dataclass(frozen=True)
class _Seen:
    """One tensor that a transform gives to the function. mapped: the dimension of the argument that it lacks."""

    shape: tuple[int, ...]
    requires_grad: bool
    mapped: int | None


class _Reached(Exception):
    """The transform called the function."""


@unnoticed()
def _given(ev: Machine, transform: Transform, trees: Any, metas: Sequence[TensorMeta]) -> Any:
    """(args, kwargs) that the function is called with: trees of `_Seen` and of what is no tensor."""
    seen: Any = None

    def probe(*args: Any, **kwargs: Any) -> Any:
        nonlocal seen
        seen = pytree.tree_map(lambda t: _described(t) if isinstance(t, torch.Tensor) else t, (args, kwargs))
        raise _Reached

    with FakeTensorMode(), torch.no_grad():
        args, kwargs, extra = _filled(trees, [stand_in(m, m.device) for m in metas])
        try:
            transform.apply(probe, args, kwargs, extra)
        except _Reached:
            return seen
        except Exception as error:
            raise ev.framework_error(error) from error
    raise ev.break_("function-transform", f"{transform.name}, which does not call its function")


def _described(t: torch.Tensor) -> _Seen:
    functorch = torch._C._functorch
    return _Seen(
        tuple(t.shape), t.requires_grad, functorch.maybe_get_bdim(t) if functorch.is_batchedtensor(t) else None
    )


def _inner(ev: Machine, transform: Transform, meta: TensorMeta, seen: _Seen) -> TensorMeta:
    """The meta of a tensor that the function is given for an argument."""
    if seen.mapped is not None:
        keep = [d for d in range(meta.ndim) if d != seen.mapped]
        meta = replace(meta, shape=tuple(meta.shape[d] for d in keep), stride=tuple(meta.stride[d] for d in keep))
    if tuple(map(ev.hint, meta.shape)) != seen.shape:
        raise ev.break_("function-transform", f"{transform.name}, which changes the shapes of its function's arguments")
    return meta


# ------------------------------------------------------------------ calls


@dataclass(frozen=True)
class Call:
    """A call of a transformed function: its arguments' trees and leaves, the body."""

    transform: Transform
    leaves: Leaves
    trees: Any
    body: Body


def call(
    ev: Machine, transform: Transform, function: Value, args: Sequence[Value], kwargs: Kwargs, extra: Value = NONE
) -> tuple[Value, Call]:
    """Call `function` through a transform. extra: what the transform takes beside the function's own arguments."""
    leaves = Leaves()
    tree: Any = tuple(to_tree(ev, a, leaves) for a in args), {k: to_tree(ev, v, leaves) for k, v in kwargs.items()}
    arrays, own = leaves.arrays, len(leaves.arrays)
    trees = (*tree, to_tree(ev, extra, leaves))
    metas = [_at_hand(ev, transform, a.node(ev).meta) for a in arrays]
    seen = _given(ev, transform, trees, metas)
    flat = [s for s in pytree.tree_leaves(seen) if isinstance(s, _Seen)]
    if len(flat) != own:
        raise ev.break_(
            "function-transform", f"{transform.name}, which gives its function other tensors than it was given"
        )
    state = state_of(ev)
    inner = [
        placeholder(ev, _inner(ev, transform, a.meta, s), s.requires_grad or state.requires_grad(a.node(ev)))
        for a, s in zip(arrays, flat)
    ]
    places = iter(inner)
    inner_args, inner_kwargs = pytree.tree_map(lambda s: next(places) if isinstance(s, _Seen) else s, seen)
    positional = [to_value(ev, a, leaves.at) for a in inner_args]
    named = {k: to_value(ev, v, leaves.at) for k, v in inner_kwargs.items()}
    before = seen_of(ev, (function,)) if transform.repeats else None
    body = capture_body(
        ev, transform.name, function, positional, named, inner, leaves.kept, transform.records, transform.differentiates
    )
    if transform.repeats and seen_of(ev, (function,)) != before:
        raise ev.break_(
            "function-transform", f"{transform.name} in chunks of a function that changes something outside of itself",
            "it is called once for each chunk", "return what it computes instead",
        )  # fmt: skip
    made = Call(transform, leaves, trees, body)
    return emit(ev, made), made


def _at_hand(ev: Machine, transform: Transform, meta: TensorMeta) -> TensorMeta:
    """A meta with the sizes of this capture."""
    for size in (*meta.shape, *meta.stride):
        if not isinstance(size, int) and any(ev.symbols.is_unbacked(s) for s in size.free_symbols):
            raise ev.break_("function-transform", f"{transform.name} over a size that depends on the data")
    return replace(meta, shape=tuple(map(ev.hint, meta.shape)), stride=tuple(map(ev.hint, meta.stride)))


def emit(ev: Machine, made: Call) -> Value:
    """The node of a call, and its result."""
    transform, body = made.transform, made.body
    applied = Applied(transform, made.trees, len(made.leaves.arrays), body)
    outside = [above.tensor.new(n, frozen=f"a function given to {transform.name} returned it") for n in body.free]
    state = state_of(ev)
    with state.without_casts():
        results = call_target(
            Context(ev),
            transform.name,
            applied,
            [body.symbols, *made.leaves.arrays, *outside],
            {},
            body.effects,
            held=True,
        )
    ev.boundary.op_by_op = f"{transform.name} is the framework's"
    arrays = [r if isinstance(r, ArrayValue) else above.tensor.new(r) for r in results]
    shared = [*applied.shared, *(applied.given if state.bodies else ())]
    for i, (base, offset) in applied.views.items():
        layout = arrays[i].meta
        if offset is None:
            arrays[i] = arrays[base]
        elif layout == arrays[base].meta:
            arrays[i] = arrays[base].view(ev, "alias")
        elif layout.is_dynamic or state.bodies:
            shared += [i, base]
        else:
            arrays[i] = arrays[base].view(
                ev, "as_strided", size=layout.shape, stride=layout.stride, storage_offset=offset
            )
    for i in shared:
        arrays[i].storage.frozen = (
            arrays[i].storage.frozen or f"it shares memory with another result or an argument of {transform.name}"
        )
    return to_value(ev, applied.result, Leaves(arrays, made.leaves.kept).at)


def _setting(ev: Machine, what: str, value: Value) -> Any:
    try:
        return ev.to_python(value)
    except NotConstant:
        raise ev.break_(
            "function-transform", f"{what} with {value.describe()} as a setting", "it must be known"
        ) from None


# ------------------------------------------------------------------ the transforms


def _vmap(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    function, *rest = args[:5]
    in_dims, out_dims, randomness, chunk_size = (_setting(ev, "torch.func.vmap", v) for v in rest)

    def apply(body: Any, positional: Any, named: Any, extra: Any) -> Any:
        return vmap.vmap_impl(body, in_dims, out_dims, randomness, chunk_size, *positional, **named)

    return call(
        ev,
        Transform("torch.func.vmap", apply, repeats=chunk_size is not None, differentiates=False),
        function,
        args[5:],
        kwargs,
    )[0]


def _grad(name: str, run: Callable[..., Any]) -> Any:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        function, argnums, has_aux, positional, named = args
        settings = [_setting(ev, name, v) for v in (argnums, has_aux)]
        by_name = {k.as_constant(): v for k, v in ev.mapping_pairs(named)}

        def apply(body: Any, given: Any, given_by_name: Any, extra: Any) -> Any:
            return run(body, *settings, given, given_by_name)

        return call(ev, Transform(name, apply, records=True), function, positional.items(ev), by_name)[0]

    return handler


def _jacobian(name: str, make: Callable[..., Any], records: bool) -> None:
    """jacrev and jacfwd: the function that they make is known by its code."""
    (code,) = (c for c in make.__code__.co_consts if isinstance(c, types.CodeType) and c.co_name == "wrapper_fn")
    known = inspect.signature(make).parameters

    def handler(ev: Machine, made: FunctionValue, args: Args, kwargs: Kwargs) -> Value:
        if kwargs:
            raise ev.framework_error(TypeError(f"{name} takes no arguments by name"))
        cells = {n: cell.get(ev) for n, cell in zip(made.code.co_freevars, made.closure(ev))}
        settings = {n: _setting(ev, name, v) for n, v in cells.items() if n in known and n != "func" and v is not None}
        function = cells["func"]
        assert function is not None
        transform = Transform(name, lambda body, given, named, extra: make(body, **settings)(*given), records)
        return call(ev, transform, function, args, {})[0]

    BY_CODE[code] = handler


def _bound(function: Any, args: Args, kwargs: Kwargs, ev: Machine) -> dict[str, Any]:
    try:
        found = inspect.signature(function).bind(*args, **kwargs)
    except TypeError as error:
        raise ev.framework_error(error) from error
    return found.arguments


def _flag(ev: Machine, name: str, value: Value | None) -> bool:
    return value is not None and bool(_setting(ev, name, value))


def _jvp(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    name = "torch.func.jvp"
    given = _bound(torch.func.jvp, args, kwargs, ev)
    strict, has_aux = (_flag(ev, name, given.get(k)) for k in ("strict", "has_aux"))
    primals = given["primals"]
    if not isinstance(primals, TupleValue):
        raise ev.framework_error(RuntimeError(f"{name}: Expected primals to be a tuple"))

    def apply(body: Any, positional: Any, named: Any, tangents: Any) -> Any:
        return torch.func.jvp(body, positional, tangents, strict=strict, has_aux=has_aux)

    return call(ev, Transform(name, apply), given["func"], primals.items(ev), {}, given["tangents"])[0]


class Derivative(Value):
    """What `torch.func.vjp` returns beside the results: the derivative at a place. It calls the body again: the framework's own
    function cannot be held by a graph.
    """

    __slots__ = ("call_", "derive", "writes")

    def __init__(self, made: Call, derive: Transform, writes: int) -> None:
        self.source = None
        self.call_ = made
        self.derive = derive
        self.writes = writes

    def python_type(self) -> type:
        return types.FunctionType

    def describe(self) -> str:
        return f"the function that {self.call_.transform.name} returned"

    def call(self, ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        made, name = self.call_, self.derive.name
        if made.body.effects:
            raise ev.break_(
                "function-transform", f"{name} of a function that draws random numbers", "it is called again"
            )
        if self.writes != state_of(ev).writes:
            raise ev.break_(
                "function-transform", f"{self.describe()} behind a write to a tensor", "what it kept may have changed",
                "call it before the write",
            )  # fmt: skip
        if kwargs:
            raise ev.break_("function-transform", f"{self.describe()} with arguments by name")
        leaves = Leaves(list(made.leaves.arrays), made.leaves.kept)
        extra = to_tree(ev, TupleValue(list(args)), leaves)
        return emit(ev, Call(self.derive, leaves, (*made.trees[:2], extra), made.body))


def _held(ev: Machine, made: Call) -> Call:
    """The call with its tensors as they are now."""
    frozen = f"it is an argument of {made.transform.name}"
    arrays = [above.tensor.new(a.node(ev), frozen=frozen) for a in made.leaves.arrays]
    return replace(made, leaves=Leaves(arrays, made.leaves.kept))


def _vjp(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    name = "torch.func.vjp"
    given = _bound(torch.func.vjp, args, kwargs, ev)
    has_aux = _flag(ev, name, given.get("has_aux"))

    def results(body: Any, primals: Any, named: Any, extra: Any) -> Any:
        found = torch.func.vjp(body, *primals, has_aux=has_aux)
        return (found[0], *found[2:])

    def pull(body: Any, primals: Any, named: Any, cotangents: Any) -> Any:
        return torch.func.vjp(body, *primals, has_aux=has_aux)[1](*cotangents)

    found, made = call(ev, Transform(name, results, records=True), given["func"], given.get("primals", ()), {})
    output, *aux = found.items(ev)
    derivative = Derivative(_held(ev, made), Transform(name, pull, records=True), state_of(ev).writes)
    return TupleValue([output, derivative, *aux])


# ------------------------------------------------------------------ registration


def _keeps_names(wrapped: Any) -> Any:
    """The framework's `functools.wraps`: names matter to nobody inside of a graph."""
    return lambda wrapper: wrapper


for _function in (torch.func.vmap, torch.func.grad, torch.func.grad_and_value, torch.func.jacrev, torch.func.jacfwd,
                  torch.func.hessian, vmap._check_randomness_arg):  # fmt: skip
    FUNCTIONS[_function] = as_written(_function)
FUNCTIONS[apis._wraps_without_dynamo_attrs] = lambda ev, args, kwargs: ev.call_function(_keeps_names, args, kwargs)
FUNCTIONS[vmap.vmap_impl] = _vmap
FUNCTIONS[eager_transforms.grad_impl] = _grad("torch.func.grad", eager_transforms.grad_impl)
FUNCTIONS[eager_transforms.grad_and_value_impl] = _grad(
    "torch.func.grad_and_value", eager_transforms.grad_and_value_impl
)
_jacobian("torch.func.jacrev", torch.func.jacrev, records=True)
_jacobian("torch.func.jacfwd", torch.func.jacfwd, records=False)
FUNCTIONS[torch.func.jvp] = _jvp
FUNCTIONS[torch.func.vjp] = _vjp
