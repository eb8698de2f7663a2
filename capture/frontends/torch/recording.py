"""The program as calls of torch: what a backend that takes `torch.fx.GraphModule`s is given.

The graph language says what a program computes; a backend of the user's wants to see how the program says it: its own functions
and methods, views, writes in place. So where such a backend is used, each call that gives a tensor, or writes to one, is noted
beside the nodes that it becomes: the outermost call whose arguments can be said, or else the calls inside of it. The recording
runs in place of the nodes, on the tensors themselves, and so leaves aliases, writes and gradients as eager does.

A tensor that no recorded call gave ends it (`Unrecorded`): such a program is captured again without a recording.
"""

from __future__ import annotations

import operator
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.graph import ExternRef, Node, symbols_in
from ...breaks import Restart
from ...values.base import Value
from ...values.classes import ClassValue
from ...values.constant import ConstantValue
from ...values.item import ItemValue
from ...values.mappings import DictValue
from ...values.number import NumberValue
from ...values.objects import ObjectValue
from ...values.sequences import ListValue, SliceValue, TupleValue
from ...values.symint import SymIntValue
from ...values.tensor import ArrayValue, InputStorage
from .autocast import DEVICES
from .context import above
from .dtypes import PYTHON_TYPES
from .held_numbers import number_source
from .state import counts_a_write, state_of

if TYPE_CHECKING:
    from ....errors import SourceLocation
    from ...guards.sources import Source
    from ...values.base import Emitter, Machine

#: what a call's argument may be besides tensors, numbers and containers of these
_PLAIN = (
    bool, int, float, complex, str, type(None), type(...), torch.dtype, torch.device, torch.layout, torch.memory_format, torch.Size,
)  # fmt: skip
#: operators that rebind their left operand
_AUGMENTED = frozenset(
    (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ifloordiv, operator.imod, operator.ipow,
     operator.imatmul, operator.ilshift, operator.irshift, operator.iand, operator.ior, operator.ixor)
)  # fmt: skip


class Unrecorded(Exception):
    """The program's results do not follow from the calls that were recorded."""


class _Unsayable(Exception):
    """A call has an argument that no graph of torch can hold."""


@dataclass(frozen=True, eq=False)
class Call:
    """One call. kind: "call_function" or "call_method"; args, kwargs: tensors and numbers in them are `Part`s of earlier calls,
    nodes that compute a Python number, or Values from outside.
    """

    kind: str
    target: Any
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    loc: SourceLocation | None = None


@dataclass(frozen=True)
class Part:
    """What a call gave, or what stands at a place in it."""

    call: Call
    path: tuple[int, ...] = ()


@dataclass(frozen=True)
class Taken:
    """What the calls take from outside.

    what:    a tensor's Value, a number's Value, or a symbol
    source:  where the entry reads it
    example: its value in this capture
    """

    what: Any
    source: Source
    example: Any


@dataclass(frozen=True)
class Program:
    """A recording that is complete.

    sizes:    of the symbols that calls compute: the node that gives it, and the dim of its value (None: the value itself)
    made:     what nodes give, where a call gave it
    writes:   whether it changes a tensor from outside
    frontend: whose program it is
    """

    calls: tuple[Call, ...]
    taken: tuple[Taken, ...]
    outputs: tuple[Any, ...]
    sizes: Mapping[str, tuple[Node, int | None]]
    made: Mapping[Node, Part]
    writes: bool
    frontend: Any


class Recording:
    """The calls of one capture so far."""

    def __init__(self, grad: bool) -> None:
        self.calls: list[Call] = []
        #: by `id` of a tensor's Value that calls gave; the Values live as long as the recording, so that their ids stay theirs
        self.origins: dict[int, Part] = {}
        self.kept: list[Value] = []
        #: what calls gave, by its node at that time
        self.made: dict[Node, Part] = {}
        #: nodes that recorded calls became
        self.covered: set[Node] = set()
        #: a tensor was written to by what is no recorded call
        self.missed = False
        #: a call is being recorded: what it calls is part of it
        self.busy = False
        self.grad = grad
        #: the autocast state and inference mode that the calls are made under, and the calls that entered them
        self.modes: tuple[Any, Any] | None = None
        self.entered: list[tuple[Callable[..., Any], Call, bool]] = []

    def inside(self, make: Callable[[], Any]) -> Any:
        """What `make` gives; what it calls is part of the call that is being recorded."""
        self.busy = True
        try:
            return make()
        finally:
            self.busy = False

    # ------------------------------------------------------------ adding

    def add(self, ev: Machine, kind: str, target: Any, args: Any, kwargs: Any) -> Call:
        """Note a call under the modes of the moment."""
        self._heed_modes(ev)
        locate = ev.builder.locate
        given = tuple(map(self.resolved, args)), {k: self.resolved(v) for k, v in kwargs.items()}
        call = Call(kind, target, *given, None if locate is None else locate())
        self.calls.append(call)
        return call

    def gave(self, ev: Machine, call: Call, result: Value, path: tuple[int, ...] = ()) -> None:
        """Note what a call gave. What an operator such as `+=` gives goes by that from then on, though it is what was there."""
        part = Part(call, path)
        if isinstance(result, SymIntValue):
            told = ev.symbols.unbacked.get(getattr(result.expr, "name", ""))
            if told is not None and told[1] is None:
                self.made.setdefault(told[0], part)
        elif isinstance(result, ItemValue):
            self.made.setdefault(result.node, part)
        elif isinstance(result, ArrayValue):
            if call.target in _AUGMENTED:
                self.origins[id(result)] = part
            elif result.source is None and id(result) not in self.origins:
                self.origins[id(result)] = part
                self.kept.append(result)
                if result._node is not None:
                    self.made.setdefault(result._node, part)
        elif isinstance(result, (TupleValue, ListValue)) and result.source is None:
            for i, element in enumerate(result.items(ev)):
                self.gave(ev, call, element, (*path, i))

    def resolved(self, value: Any) -> Any:
        """An argument with what earlier calls gave in the place of their Values."""
        if isinstance(value, ItemValue):
            return self.made.get(value.node, value.node)
        if isinstance(value, Value):
            return self.origins.get(id(value), value)
        return rebuilt(value, self.resolved)

    def _heed_modes(self, ev: Machine) -> None:
        state = state_of(ev)
        modes = state.autocast, state.inference
        if modes != (self.modes or (state.entry_autocast, state.entry_inference)):
            self._leave_modes()
            self.modes = modes
            if state.inference != state.entry_inference:
                self._enter(torch.autograd.grad_mode._enter_inference_mode, torch.autograd.grad_mode._exit_inference_mode,
                            state.inference)  # fmt: skip
                self.grad = not state.inference
            entry, now = state.entry_autocast, state.autocast
            for i, device in enumerate(DEVICES):
                if (entry.enabled[i], entry.lower[i], entry.cache) != (now.enabled[i], now.lower[i], now.cache):
                    self._enter(torch.amp.autocast_mode._enter_autocast, torch.amp.autocast_mode._exit_autocast,
                                device, now.lower[i], now.enabled[i], now.cache)  # fmt: skip
        self._set_grad(state.grad)

    def _set_grad(self, mode: bool) -> None:
        if mode != self.grad:
            self.calls.append(Call("call_function", torch._C._set_grad_enabled, (mode,), {}))
            self.grad = mode

    def _enter(self, enter: Callable[..., Any], leave: Callable[..., Any], *args: Any) -> None:
        call = Call("call_function", enter, args, {})
        self.calls.append(call)
        self.entered.append((leave, call, self.grad))

    def _leave_modes(self) -> None:
        while self.entered:
            leave, call, grad = self.entered.pop()
            if call.target is torch.autograd.grad_mode._enter_inference_mode:
                self.grad = grad
            self.calls.append(Call("call_function", leave, (Part(call),), {}))

    # ------------------------------------------------------------ the end

    def close(self, ev: Machine, outputs: Sequence[Any], writes: bool, frontend: Any) -> Program:
        """The program whose results are `outputs` (Values, or nodes that hold numbers). Raises Unrecorded."""
        numpy = ev.states.get("numpy")
        if state_of(ev).crossed or numpy is not None and numpy.is_used:  # its calls and writes are no calls of torch
            raise Unrecorded
        self._leave_modes()
        self._set_grad(state_of(ev).entry_grad)
        if self.missed or any(n.effects and not self._is_known(ev, n) for n in ev.graph.nodes):
            raise Unrecorded
        results = tuple(self.resolved(o) for o in outputs)
        taking = _Taking(ev, self)
        for call in self.calls:
            taking.look(call.args)
            taking.look(tuple(call.kwargs.values()))
        taking.look(results)
        taken = tuple(taking.taken.values())
        return Program(tuple(self.calls), taken, results, taking.sizes, self.made, writes, frontend)

    def _is_known(self, ev: Machine, node: Node) -> bool:
        """Whether what a node does beside giving a value is done by the calls, or is none of the program's business."""
        return (
            node in self.covered or node in state_of(ev).stored or number_call(node) is not None or counts_a_write(node)
        )


def rebuilt(value: Any, part: Callable[[Any], Any]) -> Any:
    """An argument of a call, with `part(x)` in the place of each x in it."""
    if isinstance(value, (tuple, list)) and not isinstance(value, torch.Size):
        parts = map(part, value)
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if isinstance(value, dict):
        return {k: part(v) for k, v in value.items()}
    if isinstance(value, slice):
        return slice(part(value.start), part(value.stop), part(value.step))
    return value


def number_call(node: Node) -> ExternRef | None:
    """How Python computes the number that a node gives from others; None for another node."""
    ref = node.attrs.get("ref")
    return ref if ref is not None and ref.target.partition(":")[0] in ("operator", "builtins") else None


class _Taking:
    """Collects what calls take from outside, in the order of its first use."""

    def __init__(self, ev: Machine, recording: Recording) -> None:
        self.ev = ev
        self.recording = recording
        self.taken: dict[Any, Taken] = {}
        self.sizes: dict[str, tuple[Node, int | None]] = {}

    def look(self, value: Any) -> None:
        if isinstance(value, (tuple, list)):
            for part in value:
                self.look(part)
        elif isinstance(value, slice):
            self.look((value.start, value.stop, value.step))
        elif isinstance(value, dict):
            self.look(tuple(value.values()))
        elif isinstance(value, SymIntValue):
            self._symbols(value.expr)
        elif isinstance(value, Value):
            self._take(value)
        elif isinstance(value, Node):
            self._number(value)

    def _number(self, node: Node) -> None:
        if node in self.recording.made:
            return
        ref = number_call(node)
        if ref is None:
            raise Unrecorded
        self._symbols(ref.args)
        for operand in node.inputs:
            if operand is not None:
                self._number(operand)

    def _take(self, value: Value) -> None:
        if isinstance(value, NumberValue):
            if value.place not in self.taken:
                self.taken[value.place] = Taken(value, *number_source(self.ev, value))
            return
        storage = value.storage if isinstance(value, ArrayValue) else None
        if value.source is None or not isinstance(storage, InputStorage):
            raise Unrecorded
        if storage.source not in self.taken:
            self._symbols((storage.meta.shape, storage.meta.stride))
            self.taken[storage.source] = Taken(value, storage.source, storage.real)
            if not storage.source.is_const:
                state_of(self.ev).guard_requires_grad(self.ev, storage)

    def _symbols(self, sizes: Any) -> None:
        for symbol in symbols_in(sizes):
            if symbol.name in self.taken or symbol.name in self.sizes:
                continue
            bound = self.ev.symbols.by_name.get(symbol.name)
            if bound is not None:
                self.taken[symbol.name] = Taken(symbol, bound.places[0][1], bound.hint)
                continue
            told = self.ev.symbols.unbacked[symbol.name]
            if told is None or told[1] is not None and told[0] not in self.recording.made:
                raise Unrecorded
            self.sizes[symbol.name] = told
            if told[1] is None:
                self._number(told[0])


def unrecordable(ev: Machine) -> None:
    """What is captured now is no call of torch: where the program is recorded, it is captured again without that."""
    if state_of(ev).recording is not None:
        ev.symbols.assume.recorded = False
        raise Restart


def wants_history(ev: Machine, why: str) -> None:
    """A tensor of the graph must stand at its place in the framework's history. Where the backend is known to make one
    function of the graph, in which its tensors have no places, the graph breaks before.
    """
    if not ev.symbols.assume.own_history:
        raise ev.break_("history", f"{why}, which a backend that makes one function of a graph cannot see",
                        "the statement runs between two graphs", "do it outside of the compiled function")  # fmt: skip
    ev.boundary.op_by_op = why
    ev.boundary.own_history = True


# ------------------------------------------------------------------ what the program calls


def may_be_overridden(ev: Machine, values: Iterable[Value]) -> bool:
    """Whether code of the program may stand in place of a call with these arguments."""
    if state_of(ev).modes:
        return True
    for value in values:
        if isinstance(value, ArrayValue):
            if value.is_overloaded:
                return True
        elif isinstance(value, (ObjectValue, TupleValue, ListValue)):
            return True
    return False


def recorded(
    ev: Machine, kind: str, target: Any, args: Sequence[Value], kwargs: Mapping[str, Value], make: Callable[[], Any],
    writes: bool = False,
) -> Any:  # fmt: skip
    """Make a call, and record it where the program is recorded: if it gives a tensor, or changes one. Where the program
    overrides it, its own code makes it.
    """
    if may_be_overridden(ev, args) or kwargs and may_be_overridden(ev, kwargs.values()):
        return above.override(
            ev, kind, target, args, kwargs, lambda: _recorded(ev, kind, target, args, kwargs, make, writes)
        )
    return _recorded(ev, kind, target, args, kwargs, make, writes)


def _recorded(
    ev: Machine, kind: str, target: Any, args: Sequence[Value], kwargs: Mapping[str, Value], make: Callable[[], Any], writes: bool
) -> Any:  # fmt: skip
    recording = state_of(ev).recording
    if recording is None or recording.busy:
        return make()
    try:
        said = [_said(ev, a) for a in args]
        named = {k: _said(ev, v) for k, v in kwargs.items()}
    except _Unsayable:
        return make()
    state, before = state_of(ev), len(ev.graph.nodes)
    modes = state.grad, state.inference, state.autocast
    result = recording.inside(make)
    if modes != (state.grad, state.inference, state.autocast):
        return result  # a switch of a mode, which the next call heeds
    acts = writes or any(n.op.kind not in ("input", "literal", "constant", "view") for n in ev.graph.nodes[before:])
    if acts or any(_is_made(v, (*args, *kwargs.values())) for v in _tensors(ev, result)):
        if isinstance(result, (Value, type(None))):
            call = recording.add(ev, kind, target, said, named)
            recording.covered.update(ev.graph.nodes[before:])
            if result is not None:
                recording.gave(ev, call, result)
    return result


def recorded_attribute(ev: Machine, name: str, owner: Value, make: Callable[[], Value]) -> Value:
    """As `recorded`, for an attribute: if it is a tensor that was not there before."""
    if may_be_overridden(ev, (owner,)):
        return above.override(ev, "call_function", getattr, [owner, ConstantValue(name)], {}, make)
    recording = state_of(ev).recording
    if recording is None or recording.busy:
        return make()
    result = recording.inside(make)
    if isinstance(result, ArrayValue) and result.source is None and id(result) not in recording.origins:
        recording.gave(ev, recording.add(ev, "call_function", getattr, (owner, name), {}), result)
    return result


def recorded_rows(ev: Machine, owner: Value, item: Callable[..., Any], make: Callable[[], Value]) -> Value:
    """As `recorded`, for the rows of a tensor that the program iterates over: each is an item."""
    if may_be_overridden(ev, (owner,)):
        raise ev.break_("torch-function", "iterating over a tensor where calls of torch are overridden")
    recording = state_of(ev).recording
    if recording is None or recording.busy:
        return make()
    rows: Value = recording.inside(make)
    for i, row in enumerate(rows.items(ev)):
        recording.gave(ev, recording.add(ev, "call_function", item, (owner, i), {}), row)
    return rows


def note_write(ev: Machine) -> None:
    """A tensor is written to. What is no recorded call must not."""
    recording = state_of(ev).recording
    if recording is not None and not recording.busy:
        recording.missed = True


def is_public(fn: Any) -> bool:
    """Whether a program may be said to call this function: of torch's own Python functions, those over tensors."""
    return not isinstance(fn, types.FunctionType) or fn.__module__ in ("torch.functional", "torch.nn.functional")


def recording_handler(fn: Any, handler: Callable[..., Value]) -> Callable[..., Value]:
    """The handler of a function of torch, such that its calls are recorded."""

    def call(ev: Machine, args: Sequence[Value], kwargs: Mapping[str, Value]) -> Value:
        return recorded(ev, "call_function", fn, args, kwargs, lambda: handler(ev, args, kwargs))

    return call


def recorded_output(rb: Emitter, tensor: ArrayValue) -> str | None:
    """The name of a graph output for a tensor; None where the program is not recorded."""
    if state_of(rb.ev).recording is None:
        return None
    rb.ev.boundary.claim("torch")
    return rb.output(tensor.node(rb.ev), tensor)


def _tensors(ev: Machine, result: Any) -> Iterator[Value]:
    if isinstance(result, (ArrayValue, ItemValue)):
        yield result
    elif isinstance(result, SymIntValue):
        if ev.symbols.is_unbacked(result.expr):
            yield result
    elif isinstance(result, (TupleValue, ListValue)) and result.source is None:
        for part in result.items(ev):
            yield from _tensors(ev, part)


def _is_made(value: Value, args: Sequence[Value]) -> bool:
    """Whether a result was not just looked up."""
    return value.source is None or any(value is a for a in args)


def _said(ev: Machine, value: Value) -> Any:
    """An argument as a `Call` holds it."""
    if isinstance(value, ArrayValue):
        if value.framework != "torch":
            raise _Unsayable
        return value
    if isinstance(value, (ItemValue, NumberValue, SymIntValue)):
        return value
    if isinstance(value, ClassValue):
        if value.real not in PYTHON_TYPES:
            raise _Unsayable
        return PYTHON_TYPES[value.real]
    value = ev.plain(value)
    if isinstance(value, TupleValue):
        parts = [_said(ev, v) for v in value.items(ev)]
        cls = value.python_type()
        return cls(*parts) if hasattr(cls, "_fields") else tuple(parts)
    if isinstance(value, ListValue):
        return [_said(ev, v) for v in value.items(ev)]
    if isinstance(value, DictValue):
        return {k.as_constant(): _said(ev, v) for k, v in ev.mapping_pairs(value)}
    if isinstance(value, SliceValue):
        return slice(*(_said(ev, v) for v in (value.start, value.stop, value.step)))
    if not value.is_constant:
        raise _Unsayable
    known = value.as_constant()
    if type(known).__module__ == "numpy" and hasattr(known, "item"):
        known = known.item()
    if not isinstance(known, _PLAIN):
        raise _Unsayable
    return known
