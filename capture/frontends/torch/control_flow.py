"""Control flow of the framework: torch.cond, while_loop, scan, associative_scan, map, and operators that call a function.

Branches of `cond` that are free of side effects are both computed, and each result is chosen, so that they are compiled with all
else. Where the other branch could be noticed - it draws random numbers, may raise, or has a gradient - a node runs the one
that is taken. A loop whose end the data tell is a node; loops over a known size are unrolled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.utils._pytree as pytree
from torch._C import _functorch as functorch
from torch._higher_order_ops import wrap
from torch._higher_order_ops.associative_scan import associative_scan
from torch._higher_order_ops.map import map as map_over
from torch._higher_order_ops.scan import scan
from torch._higher_order_ops.strict_mode import strict_mode_op
from torch._subclasses.fake_tensor import FakeTensor

from ....inductor.checks import may_raise
from ...values.base import Args, Kwargs, Value
from ...values.mappings import DictValue
from ...values.sequences import ListValue, TupleValue
from ...values.tensor import ArrayValue
from .context import Context, above
from .externs import call_target
from .function_bodies import Body, Leaves, capture_body, placeholder, to_tree, to_value
from .handlers import FUNCTIONS
from .segments import Segment, seen_of
from .state import state_of

if TYPE_CHECKING:
    from ...values.base import Machine


# ------------------------------------------------------------------ torch.cond


def _cond(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    named = dict(zip(("pred", "true_fn", "false_fn", "operands"), args)) | dict(kwargs)
    pred = named["pred"]
    operands = named["operands"].items(ev) if "operands" in named else []
    if not isinstance(pred, ArrayValue):
        return ev.call(named["true_fn" if pred.truth(ev) else "false_fn"], operands)
    functions = [named["true_fn"], named["false_fn"]]
    before = seen_of(ev, (*functions, *operands))
    start, segment = len(ev.graph.nodes), Segment(ev)
    yes, no = (ev.call(f, operands) for f in functions)
    if seen_of(ev, (*functions, *operands)) != before:
        raise ev.break_(
            "cond-mutation", "a branch of torch.cond writes to a tensor, or changes another object", "branches must be pure",
            "return the result",
        )  # fmt: skip
    nodes, state = ev.graph.nodes[start:], state_of(ev)
    if any(n.effects or may_raise(n) or state.records_gradients(n) for n in nodes):
        ev.seal(segment.take("torch.cond"))
        return _one_branch(ev, pred, functions, operands)
    cx = Context(ev)
    condition = cx.cast(cx.op("reshape", pred, shape=()), cx.dtype(torch.bool))  # type: ignore[arg-type]
    return _choose(cx, condition, yes, no)


def _choose(cx: Context, condition: Any, yes: Value, no: Value) -> Value:
    if isinstance(yes, ArrayValue) and isinstance(no, ArrayValue):
        if yes.meta.shape != no.meta.shape or yes.meta.dtype != no.meta.dtype:
            raise cx.broken("cond-branches", "the branches of torch.cond give tensors of different shape or dtype")
        return cx.array(cx.op("where", condition, yes, no))
    if isinstance(yes, (TupleValue, ListValue)) and type(yes) is type(no):
        ours, theirs = yes.items(cx.ev), no.items(cx.ev)
        if len(ours) == len(theirs):
            return yes.new([_choose(cx, condition, a, b) for a, b in zip(ours, theirs)])
    if isinstance(yes, DictValue) and isinstance(no, DictValue):
        mine, other = list(cx.ev.mapping_pairs(yes)), dict((k.key(cx.ev), v) for k, v in cx.ev.mapping_pairs(no))
        if [k.key(cx.ev) for k, _ in mine] == list(other):
            return DictValue([(k.as_constant(), _choose(cx, condition, v, other[k.key(cx.ev)])) for k, v in mine])
    if yes.is_constant and no.is_constant and yes.as_constant() == no.as_constant():
        return yes
    raise cx.broken("cond-branches", "the branches of torch.cond give results of different structure")


def _one_branch(ev: Machine, pred: ArrayValue, functions: Sequence[Value], operands: Sequence[Value]) -> Value:
    given, bodies, kept = _bodies(ev, "torch.cond", functions, operands)
    yes, no = bodies
    if yes.result != no.result or _facts(yes) != _facts(no):
        raise ev.break_(
            "cond-branches", "the branches of torch.cond give results of different structure, shape or dtype"
        )

    return _emit(ev, _Branches("torch.cond", len(given), bodies), pred, given, kept)


# ------------------------------------------------------------------ while_loop


def _while_loop(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    named = dict(zip(("cond_fn", "body_fn", "carried_inputs", "additional_inputs"), args)) | dict(kwargs)
    carried = [
        *named["carried_inputs"].items(ev),
        *(named["additional_inputs"].items(ev) if "additional_inputs" in named else []),
    ]
    functions = [named["cond_fn"], named["body_fn"]]
    before = seen_of(ev, (*functions, *carried))
    given, bodies, kept = _bodies(ev, "torch.while_loop", functions, carried)
    if seen_of(ev, (*functions, *carried)) != before:
        raise ev.break_("loop-mutation", "a function of torch.while_loop changes something outside", "it runs many times",
                        "carry what changes")  # fmt: skip
    condition, body = bodies
    last = len(body.metas)
    wanted = [(tuple(a.meta.shape), a.meta.dtype, a.meta.device) for a in given[:last]]
    if (
        len(condition.metas) != 1
        or condition.metas[0].shape
        or kept
        or not isinstance(body.result, tuple)
        or _facts(body) != wanted
    ):
        raise ev.break_(
            "loop-results", "torch.while_loop whose functions do not give a boolean scalar, and tensors like those carried",
            "each turn must find what the first one found", "carry tensors of one shape and dtype",
        )  # fmt: skip

    return _emit(ev, _Loop("torch.while_loop", len(given), bodies), given[0], given, kept)


# ------------------------------------------------------------------ nodes that call bodies


def _bodies(ev: Machine, what: str, functions: Sequence[Value], operands: Sequence[Value]) -> Any:
    """The tensors of the operands, the functions' bodies over them, and what the first of them returns that is no tensor."""
    leaves, kept = Leaves(), []
    trees = [to_tree(ev, v, leaves) for v in operands]
    if leaves.kept:
        raise ev.break_("loop-operands", f"{what} over {leaves.kept[0].describe()}", "only tensors are carried")
    bodies = []
    for function in functions:
        state = state_of(ev)
        inner = [placeholder(ev, a.meta, state.requires_grad(a.node(ev))) for a in leaves.arrays]
        args = [to_value(ev, t, Leaves(inner).at) for t in trees]  # type: ignore[arg-type]
        found: list[Value] = []
        bodies.append(capture_body(ev, what, function, args, {}, inner, found))
        kept = found
    return leaves.arrays, bodies, kept


def _facts(body: Body) -> list[Any]:
    return [(tuple(m.shape), m.dtype, m.device) for m in body.metas]


class _Calling:
    """What a node calls: functions over the operands. Over tensors that are no data - a backend traces the graph, a transform maps
    it - the framework's own operator is called.
    """

    def __init__(self, what: str, count: int, bodies: Sequence[Body]) -> None:
        self.what, self.count, self.bodies = what, count, bodies

    def __call__(self, symbols: Sequence[Sequence[int]], first: Any, *tensors: Any) -> Any:
        given, functions = self._parts(symbols, tensors)
        kinds = [_unwrapped(t) for t in (first, *tensors)]
        if any(isinstance(t, FakeTensor) and t.fake_mode.shape_env is None for t, _ in kinds):
            return self.foresee(symbols, first, *tensors)
        if all(type(t) in _DATA and not mapped for t, mapped in kinds):
            return self.run(first, given, functions)
        places = range(self.count, len(tensors))
        traced = [self._over(i, symbols[i], places) for i in range(len(self.bodies))]
        return self.traced(first, traced, tensors[: self.count], tensors[self.count :])

    def foresee(self, symbols: Sequence[Sequence[int]], first: Any, *tensors: Any) -> list[Any]:
        """What comes out, over stand-ins."""
        given, functions = self._parts(symbols, tensors)
        return functions[-1](*given)

    def _parts(self, symbols: Sequence[Sequence[int]], tensors: Sequence[Any]) -> tuple[Sequence[Any], list[Any]]:
        rest, functions = list(tensors[self.count :]), []
        for body, numbers in zip(self.bodies, symbols):
            free = body.numbers(rest[: len(body.free)])
            del rest[: len(body.free)]
            functions.append(lambda *given, body=body, free=free, numbers=numbers: body.run(*given, *free, *numbers))
        return tensors[: self.count], functions

    def _over(self, index: int, numbers: Sequence[int], places: range) -> Any:
        """The function over all operands, those that other functions use included."""
        body, first = self.bodies[index], sum(len(b.free) for b in self.bodies[:index])

        def function(*operands: Any) -> tuple[Any, ...]:
            free = operands[places.start + first : places.start + first + len(body.free)]
            return tuple(body.run(*operands[: self.count], *free, *numbers))

        return function

    def __repr__(self) -> str:
        return self.what

    if TYPE_CHECKING:

        def run(self, first: Any, given: Sequence[Any], functions: Sequence[Any]) -> list[Any]:
            """Over tensors."""

        def traced(self, first: Any, functions: Sequence[Any], given: Any, more: Any) -> Any:
            """By the framework's operator."""


_DATA = (torch.Tensor, torch.nn.Parameter, int, float, bool)


def _unwrapped(x: Any) -> tuple[Any, bool]:
    """What a transform's wrappers hold, and whether one of them maps over a dimension."""
    mapped = False
    while isinstance(x, torch.Tensor) and functorch.is_functorch_wrapped_tensor(x):
        mapped = mapped or functorch.is_batchedtensor(x)
        x = functorch.get_unwrapped(x)
    return x, mapped


class _Branches(_Calling):
    def run(self, first: Any, given: Sequence[Any], functions: Sequence[Any]) -> list[Any]:
        found = functions[0 if first else 1](*given)
        return [t.clone() if any(t is x for x in given) else t for t in found]

    def traced(self, first: Any, functions: Sequence[Any], given: Any, more: Any) -> Any:
        return torch.ops.higher_order.cond(first, *functions, (*given, *more))


class _Loop(_Calling):
    @property
    def carried(self) -> int:
        return len(self.bodies[1].metas)

    def run(self, first: Any, given: Sequence[Any], functions: Sequence[Any]) -> list[Any]:
        values, rest = [t.clone() for t in given[: self.carried]], given[self.carried :]
        while functions[0](*values, *rest)[0]:
            values = functions[1](*values, *rest)
        return values

    def traced(self, first: Any, functions: Sequence[Any], given: Any, more: Any) -> Any:
        test = lambda *operands: functions[0](*operands)[0]  # noqa: E731
        return torch.ops.higher_order.while_loop(
            test, functions[1], given[: self.carried], (*given[self.carried :], *more)
        )


def _emit(ev: Machine, fn: _Calling, first: ArrayValue, given: Sequence[ArrayValue], kept: Sequence[Value]) -> Value:
    bodies = fn.bodies
    outside = [above.tensor.new(n, frozen=f"a function given to {fn.what} uses it") for b in bodies for n in b.free]
    symbols, effects = tuple(b.symbols for b in bodies), any(b.effects for b in bodies)
    with state_of(ev).without_casts():
        results = call_target(Context(ev), fn.what, fn, [symbols, first, *given, *outside], {}, effects, held=True)
    ev.boundary.op_by_op = f"{fn.what} chooses what runs while it runs"
    arrays = [r if isinstance(r, ArrayValue) else above.tensor.new(r) for r in results]
    return to_value(ev, bodies[-1].result, Leaves(arrays, list(kept)).at)


# ------------------------------------------------------------------ loops over a known size


def _slices(xs: Any, dim: int) -> tuple[list[Any], Any]:
    """Its steps; the graph is another one for each number of them."""
    leaves, spec = pytree.tree_flatten(xs)
    return [tuple([leaf.select(dim, i) for leaf in leaves]) for i in range(leaves[0].shape[dim])], spec


def _associative_scan(
    combine_fn: Any, xs: Any, dim: int, reverse: bool = False, combine_mode: str = "pointwise"
) -> Any:
    """One step after the other: no result depends on how steps are grouped."""
    steps, spec = _slices(xs, dim)
    if reverse:
        steps.reverse()
    done: list[Any] = [steps[0]]
    for step in steps[1:]:
        before = pytree.tree_unflatten(list(done[-1]), spec)
        done.append(pytree.tree_leaves(combine_fn(before, pytree.tree_unflatten(list(step), spec))))
    if reverse:
        done.reverse()
    return pytree.tree_unflatten([torch.stack(column, dim) for column in zip(*done)], spec)


def _scan(combine_fn: Any, init: Any, xs: Any, *, dim: int = 0, reverse: bool = False) -> Any:
    leaves = pytree.tree_leaves(xs)
    if not leaves:
        return init, []
    dim = dim % leaves[0].ndim
    steps, spec = _slices(xs, dim)
    if reverse:
        steps.reverse()
    carry, outs, found = init, [], spec
    for step in steps:
        before = pytree.tree_flatten(carry)
        carry, out = combine_fn(carry, pytree.tree_unflatten(list(step), spec))
        after = pytree.tree_flatten(carry)
        if after[1] != before[1] or any(a.shape != b.shape or a.dtype != b.dtype for a, b in zip(after[0], before[0])):
            raise RuntimeError("scan: the carry must keep its structure, shapes and dtypes")
        parts, found = pytree.tree_flatten(out)
        outs.append(parts)
    if reverse:
        outs.reverse()
    columns = [torch.stack(column, 0) for column in zip(*outs)]
    return carry, pytree.tree_unflatten([c.movedim(0, dim) if dim and dim < c.ndim else c for c in columns], found)


def _map(f: Any, xs: Any, *args: Any) -> Any:
    steps, spec = _slices(xs, 0)
    if not steps:
        raise RuntimeError("Leading dimensions of mapped xs cannot be 0.")
    found = [pytree.tree_flatten(f(pytree.tree_unflatten(list(step), spec), *args)) for step in steps]
    return pytree.tree_unflatten(
        [torch.stack(column, 0) for column in zip(*[leaves for leaves, _ in found])], found[0][1]
    )


# ------------------------------------------------------------------ operators that call a function


def _with_gradients(enabled: Any, function: Any, *args: Any, **kwargs: Any) -> Any:
    with torch.set_grad_enabled(enabled):
        return function(*args, **kwargs)


def _inlined(function: Any) -> Any:
    return lambda ev, args, kwargs: ev.call_function(function, args, kwargs)


def _call(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return ev.call(args[0], args[1:], kwargs)


FUNCTIONS[torch.cond] = FUNCTIONS[torch.ops.higher_order.cond] = _cond
FUNCTIONS[torch.while_loop] = FUNCTIONS[torch.ops.higher_order.while_loop] = _while_loop
FUNCTIONS[associative_scan] = _inlined(_associative_scan)
FUNCTIONS[scan] = _inlined(_scan)
FUNCTIONS[map_over] = _inlined(_map)
FUNCTIONS[wrap.wrap] = _call
FUNCTIONS[strict_mode_op] = lambda ev, args, kwargs: ev.call(args[0], args[1].items(ev))
FUNCTIONS[wrap.wrap_with_set_grad_enabled] = _inlined(_with_gradients)
