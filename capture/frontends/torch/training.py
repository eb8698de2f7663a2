"""Writes and views while gradients are recorded: what autograd must see in the order of the program.

Where no gradient flows, a write to a tensor from outside is an assignment in the graph and one copy at its end. A write that
takes part in differentiation is done by a node at its place instead: it gives the very tensor that was written to, whose
history autograd has then rewritten. A write under `no_grad` to a tensor that requires gradients stays an assignment
until the tensor is read with gradients on: the reader needs the tensor itself, for its gradient to arrive there. Tensors that
the graph made keep their history the same way. What goes through `.data` must be written through it here too: autograd counts
a tensor's changes, and refuses a backward pass over one that it saved and that changed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch.autograd.graph import increment_version

from ....inductor.graph import ExternRef, Input, Node
from ....inductor.ops import OPS
from ...breaks import Break, Restart
from ...values.base import Value
from ...values.constant import ConstantValue
from ...values.tensor import InputStorage, Storage, with_layout
from .state import COPY, COUNT_A_WRITE, DataStep, LooseStep, gradients, is_cut, state_of

if TYPE_CHECKING:
    from ...values.base import Emitter, Machine

Shape = tuple[int, ...]


# ------------------------------------------------------------------ writes


def write(ev: Machine, array: Any, node: Node, assign: Callable[[Machine, Node], None]) -> None:
    """Write `node` into a tensor that takes part in differentiation, perhaps; `assign` does it in the graph alone."""
    state, storage = state_of(ev), array.storage
    state.writes += 1
    if state.bodies:
        state.bodies[-1].refuse_write(storage)
    if array.parent is None and not state.quiet:
        _count(ev, storage)
    if state.recorded() and node.op.kind != "view" and node in ev.graph.nodes[state.began :]:
        state.contents.setdefault(storage, []).append(node)
    if state.inference_changed and not state.inference and state.is_inference(storage):
        raise ev.framework_error(RuntimeError("a tensor of inference mode is written to outside of inference mode"))
    if storage.is_input and state.inference and not state.entry_inference and state.is_inference(storage):
        raise ev.break_("inference-mode-write", f"writing to {array.describe()}, which was made in inference mode",
                        "it would be written when the mode has been left again", "enter the mode outside of the compiled function")  # fmt: skip
    gives = state.requires_grad(node)
    if storage in state.loose and (gives or state.requires_grad(storage.current(ev))):
        raise ev.break_("training-view", f"writing to {array.describe()}, which shares its memory with another tensor unknown to autograd",
                        "only the one that is written to gets a new history", "use a copy (.clone()), or split() in place of unsafe_split()")  # fmt: skip
    if not ev.symbols.assume.fresh_views and not state.quiet and (gives or state.requires_grad(storage.current(ev))):
        raise _refused(ev, array, "writing under views that are read afterwards, in")
    if array.parent is not None:
        if isinstance(array.step, (DataStep, LooseStep)) and not state.quiet:
            _count_alone(ev, array)
        if state.grad and is_unwritable(array) and (gives or array.requires_grad(ev)):
            raise _refused(ev, array, "writing to")
        with state.quietly(isinstance(array.step, (DataStep, LooseStep))):
            _write_to_view(ev, array, node, assign)
        if storage.node in state.stored:
            array._version = -1  # read again, from the tensor that was really written to
    elif not storage.is_input:
        goes_on = state.grad and state.requires_grad(node) and not _is_copy(node)
        if state.requires_grad(storage.node) and not goes_on:
            # other content; the history stays, or ends in zeros
            node = store(ev, storage, storage.node, with_layout(ev, node, array.meta))
            state.differentiated[node] = True
        assign(ev, node)
    elif state.grad:
        receives = array.requires_grad(ev)
        if receives:
            _refuse_leaf(ev, storage)
        if receives or state.requires_grad(node):
            node = store(ev, storage, _real(ev, storage), with_layout(ev, node, array.meta))
        assign(ev, node)
        if node in state.stored:
            state.settled[storage] = storage.version
    else:
        assign(ev, node)


def _is_copy(node: Node) -> bool:
    """Whether content is made without a look at what was there before."""
    ref = node.attrs.get("ref")
    if isinstance(ref, ExternRef):
        return ref.target == COPY
    return bool(node.inputs) and node.op.operand(0).role == "layout"


def write_again(ev: Machine, array: Any) -> None:
    """Write to an array what it holds: nothing changes, and autograd counts it."""
    owner = _counter(array)
    if owner is None:
        _count(ev, array.storage)
    else:
        _count_alone(ev, owner)


def _counter(array: Any) -> Any:
    """The nearest view that counts writes for itself, past autograd (`x.data`) or unknown to it (a loose piece): `array`, or what it
    is a view of. None: its storage counts them.
    """
    while array is not None and not isinstance(array.step, (DataStep, LooseStep)):
        array = array.parent
    return array


def is_unwritable(array: Any) -> bool:
    """Whether autograd refuses writes to a view where it records, and reads behind writes to its memory: it was made where
    nothing was recorded, or is one of several that one call gave; or a view between it and its base is one.
    """
    link = array
    while link.parent is not None and not link.step.stops_gradients:
        if link.one_of_several or not getattr(link, "recorded", True):
            return True
        link = link.parent
    return False


def refuse_stale(ev: Machine, array: Any) -> None:
    """Before a view is read where gradients are recorded: its place in the history may be one that autograd does not know. The
    program is captured again, and stops at the write that this comes from.
    """
    stale = ev.symbols.assume.fresh_views and array.storage.version != array.began
    if stale and is_unwritable(array) and state_of(ev).requires_grad(array.storage.current(ev)):
        ev.symbols.assume.fresh_views = False
        raise Restart


def _refused(ev: Machine, array: Any, what: str) -> Break:
    return ev.break_("training-view", f"{what} {array.describe()}",
                     "autograd refuses it for views made under no_grad, and for those of which one call gave several",
                     "use a copy (.clone()), or take the views by subscripts")  # fmt: skip


def _count(ev: Machine, storage: Storage) -> None:
    state = state_of(ev)
    counts = state.pending if storage.is_input else state.rewritten
    counts[storage] = counts.get(storage, 0) + 1
    state.counted[storage] = state.counted.get(storage, 0) + 1
    if state.recorded():
        _tell_of_write(ev, storage)


def _tell_of_write(ev: Machine, storage: Storage) -> None:
    """Tell autograd that this memory changes: a backward pass over an op that kept its old content is refused, as in eager.

    In the graph the old content stays what it was, and the new one is computed from it; so this comes before
    the nodes of the write, which read the old content without keeping it in eager.
    """
    state = state_of(ev)
    own = set(ev.graph.nodes[state.began :])
    held = state.contents.get(storage, [])
    old = dict.fromkeys(n for n in held if n not in own)
    state.contents[storage] = [n for n in held if n in own]
    if not storage.is_input and storage.current(ev).op.kind != "view":
        old[storage.current(ev)] = None
    if old:
        ref = ExternRef(COUNT_A_WRITE, (tuple(Input(i) for i in range(len(old))),))
        attrs = {"ref": ref, "effects": True, "strides": (), "stores": "count"}
        ev.builder.append(OPS["extern"], tuple(old), attrs, ())  # type: ignore[arg-type]
        ev.graph.nodes.insert(state.began, ev.graph.nodes.pop())


def _write_to_view(ev: Machine, array: Any, node: Node, assign: Callable[[Machine, Node], None]) -> None:
    state = state_of(ev)
    if not state.grad or array.requires_grad(ev):
        assign(ev, node)
        return
    gives = state.requires_grad(node)
    if gives and (is_cut(array) or state.requires_grad(array.storage.current(ev))):
        raise ev.break_("training-inplace", f"writing a differentiated value into {array.describe()}, which was detached",
                        "autograd must see the write itself", "write into a copy")  # fmt: skip
    with gradients(ev, gives):  # past autograd, unless the value brings gradients with it
        assign(ev, node)


def _refuse_leaf(ev: Machine, storage: InputStorage) -> None:
    """Eager refuses to write to a leaf that requires gradients, or to a view of one."""
    if not storage.requires_grad:
        return
    leaf = storage.real.is_leaf
    ev.guards.test(storage.source, f"{{x}}.is_leaf is {leaf}", f"{{label}}.is_leaf was {leaf}", 2)
    if leaf:
        raise ev.framework_error(
            RuntimeError(f"`{storage.source.label}` is a leaf that requires gradients, written to in place")
        )


def store(ev: Machine, storage: Storage, target: Node, node: Node) -> Node:
    """A node that writes `node` into the tensor at `target`, the storage's, when the graph runs, and is that tensor."""
    ev.wrote_outside = ev.wrote_outside or target.op.kind == "input"
    quiet = state_of(ev).quiet
    writes = state_of(ev).pending.pop(storage, 0 if quiet else 1)
    function = write_data_of if quiet else write_into
    uncounted = writes if quiet else writes - 1
    ref = ExternRef(f"{__name__}:{function.__name__}", (Input(0), Input(1), *([uncounted] if uncounted else [])))
    attrs = {"ref": ref, "effects": True, "strides": (target.meta.stride,), "stores": "content"}
    stored = ev.builder.append(OPS["extern"], (target, node), attrs, target.meta)
    state_of(ev).stored.add(stored)
    return stored


def _real(ev: Machine, storage: InputStorage) -> Node:
    """The graph input that is the tensor itself."""
    entry = state_of(ev).arrays.entries.get(storage)
    return entry if entry is not None else storage.current(ev)


def settle(ev: Machine, storage: Any) -> None:
    """Before a read with gradients on: what was written under `no_grad` to a tensor that requires gradients is written now."""
    state = state_of(ev)
    if not storage.requires_grad or state.settled.get(storage) == storage.version:
        return
    with gradients(ev, False), state.quietly(storage not in state.pending):
        stored = store(ev, storage, _real(ev, storage), storage.current(ev))
    storage.node = stored
    storage.version += 1
    state.differentiated[stored] = True
    state.settled[storage] = storage.version


def write_into(target: torch.Tensor, value: torch.Tensor, uncounted: int = 0) -> torch.Tensor:
    """What a node made by `store` runs.

    uncounted: how many more writes the program made to the tensor
    """
    count_writes(target, uncounted)
    return target.copy_(value)


def write_data_of(target: torch.Tensor, value: torch.Tensor, uncounted: int = 0) -> torch.Tensor:
    """As `write_into`, through `.data`."""
    count_writes(target, uncounted)
    target.data.copy_(value)
    return target


def count_writes(target: torch.Tensor, count: int) -> None:
    """Note `count` writes to a tensor. Programs read how often a tensor was written to (`_version`), and autograd says it in errors."""
    increment_version((target,) * count)


def _count_alone(ev: Machine, view: Any) -> None:
    for counts in (state_of(ev).rewritten, state_of(ev).counted):
        counts[view] = counts.get(view, 0) + 1


def version_of(ev: Machine, array: Any) -> Value:
    """How often eager's tensor was written to. Breaks for what operators make that may write to it themselves."""
    state, storage = state_of(ev), array.storage
    own = _counter(array)
    made = None if storage.is_input or own is not None else storage.made
    link = array
    while link is not None and not link.relaid:
        link = link.parent
    unknown = (
        link is not None
        or made is not None
        and (made.op.kind in ("composite", "extern") or made in state.written_inside)
    )
    if unknown or own is not None and own.source is not None or state.is_inference(storage):
        raise ev.break_("tensor-version", f"how often {array.describe()} was written to", "the operator that made it may have written to it",
                        "ask outside of the compiled function")  # fmt: skip
    writes = ConstantValue(state.counted.get(storage if own is None else own, 0))
    if own is not None or not storage.is_input:
        return writes
    return ev.binary("+", ev.wrap(storage.real._version, storage.source.attr("_version")), writes)


def count_relaying(ev: Machine, array: Any) -> None:
    """A tensor that the graph makes gets another layout in place, a write as well. The first of one that is no view is made, and
    counted, where it comes out (`relaid`).
    """
    if array.parent is not None:
        counts = state_of(ev).rewritten
        counts[array.storage] = counts.get(array.storage, 0) + 1


def counted(ev: Machine, rb: Emitter, storage: Storage, text: str, array: Any = None) -> str:
    """Code for a tensor that the graph made, or for a view that may count for itself, written to as often as the program did. What
    autograd may have saved, content and count, stays as it is.
    """
    state = state_of(ev)
    writes = state.rewritten.get(storage if array is None else _counter(array), 0)
    if not writes or state.is_inference(storage) or _may_be_saved(ev, storage):
        return text
    return rb.temp(f"{rb.inject(written, 'written')}({text}, {writes})")


def _may_be_saved(ev: Machine, storage: Storage) -> bool:
    """Whether a node that records gradients makes or reads what the storage's tensor holds, or a view of it."""
    state = state_of(ev)
    if not state.recorded():
        return False
    root = storage.current(ev)
    while root.op.kind == "view" and root.inputs[0] is not None:
        root = root.inputs[0]
    held = {root}
    for n in ev.graph.nodes:
        if n is root or not held.isdisjoint(n.inputs):
            if n.op.kind == "view":
                held.add(n)
            elif state.records_gradients(n):
                return True
    return False


def written(made: torch.Tensor, count: int) -> torch.Tensor:
    """A tensor that the graph made, as one that was written to `count` times, however often the graph did."""
    torch._C._autograd._unsafe_set_version_counter((made,), (count,))
    return made


def heed_inference(ev: Machine) -> None:
    """At the end of a capture: autograd may refuse to keep what was made in inference mode for a backward pass."""
    state = state_of(ev)
    if not state.inference_changed or not state.recorded():
        return
    kept: set[Node] = set()
    for node in ev.graph.nodes:
        if node.op.kind == "view":
            refused = node.inputs[0] in kept
        else:
            refused = node.op.kind != "input" and state.made_in_inference(node)
        if refused:
            kept.add(node)
        elif state.records_gradients(node) and any(i in kept for i in node.inputs):
            raise ev.break_("inference-mode", f"{node.op.name} of a tensor made in inference mode, with gradients recorded",
                            "autograd may refuse it", "use a copy made outside of inference mode")  # fmt: skip


def finish_counting(ev: Machine, rb: Emitter) -> None:
    """At the end of a capture: what the program wrote several times is written once, and counted as often as the program did."""
    state = state_of(ev)
    if state.recording is not None:  # its calls write themselves
        return
    for storage, writes in state.pending.items():
        assert isinstance(storage, InputStorage)
        made = storage.node is not state.arrays.entries.get(storage)
        if writes > made:
            rb.effect(f"{rb.inject(count_writes, 'count_writes')}({rb.source(storage.source)}, {writes - made})")


def finish_quietly(ev: Machine) -> None:
    """At the end of a capture: inputs to which the program wrote through `.data` alone are written to in the same way."""
    state = state_of(ev)
    for storage, entry in state.arrays.entries.items():
        if storage in state.pending or storage.node is entry or storage.node in state.stored:
            continue
        position = ev.graph.inputs.index(entry)
        source, example = ev.inputs[position]
        if ev.boundary.requires_grad is not None:  # the graph needs the tensor itself, for its gradient to arrive there
            with gradients(ev, False), state.quietly(True):
                storage.node = store(ev, storage, entry, storage.current(ev))
        else:
            ev.inputs[position] = (source.attr("data"), example.data)


# ------------------------------------------------------------------ views that leave the graph


def view_maker(ev: Machine, array: Any) -> tuple[Callable[..., torch.Tensor], str]:
    """What makes a view of real memory again as it was made, behind the last `detach()` or `.data` if there was one, or the last
    loose piece: recorded or under `no_grad`; and its name.
    """
    if isinstance(array.step, LooseStep):
        return functools.partial(loose_piece_of, array.recorded), "loose_piece_of"
    recorded, several, link = True, False, array
    while link.parent is not None and not isinstance(link.step, LooseStep):
        if link.step.stops_gradients:
            cut = _data if isinstance(link.step, DataStep) else torch.Tensor.detach
            view = piece_of if recorded and several else functools.partial(view_of, recorded)
            return functools.partial(cut_view_of, cut, view), f"{link.step.op}_view_of"
        recorded, several, link = recorded and link.recorded, several or link.one_of_several, link.parent
    if recorded and several:
        return piece_of, "piece_of"
    return functools.partial(view_of, recorded), "recorded_view_of" if recorded else "view_of"


def view_of(recorded: bool, base: torch.Tensor, shape: Shape, stride: Shape, offset: int) -> torch.Tensor:
    """The part of `base`'s memory with this layout; the offset counts from base's first element."""
    with torch.set_grad_enabled(recorded):
        return base.as_strided(shape, stride, base.storage_offset() + offset)


def piece_of(base: torch.Tensor, shape: Shape, stride: Shape, offset: int) -> torch.Tensor:
    """As `view_of`; autograd refuses writes to it, as to one of several that one call gave."""
    return view_of(True, base, (1, *shape), (0, *stride), offset).unbind(0)[0]


def loose_piece_of(recorded: bool, base: torch.Tensor, shape: Shape, stride: Shape, offset: int) -> torch.Tensor:
    """As `view_of`; for autograd it is no view."""
    with torch.set_grad_enabled(recorded):
        return torch.ops.aten._unsafe_view(view_of(recorded, base, shape, stride, offset), shape)


def cut_view_of(
    cut: Callable[[torch.Tensor], torch.Tensor], view: Callable[..., torch.Tensor], base: torch.Tensor, shape: Shape, stride: Shape,
    offset: int,
) -> torch.Tensor:  # fmt: skip
    """As `view`, of what `cut` makes of `base`: that itself, where the layout is the same."""
    base = cut(base)
    if not offset and base.shape == shape and base.stride() == stride and view is not piece_of:
        return base
    return view(base, shape, stride, offset)


def _data(x: torch.Tensor) -> torch.Tensor:
    return x.data


def relaid(base: torch.Tensor, shape: Shape, stride: Shape, offset: int) -> torch.Tensor:
    """`base` itself, a tensor that the graph made, in the layout that the program gave it in place."""
    return base.as_strided_(shape, stride, base.storage_offset() + offset)
