"""Numbers that are known only when the graph runs: those that change from call to call, and those that tensors hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.dtypes import HALVES, LARGEST, DType, bool_, float64, int64, int_range, uint64
from ....inductor.graph import Node, TensorMeta
from ....inductor.ops import Op
from ....inductor.ops.conversion import CAST
from ....inductor.ops.literals import NUMBER
from ...values.number import INT64, NumberValue
from ...values.tensor import ArrayValue

if TYPE_CHECKING:
    from ...guards.sources import Source
    from ...values.base import Machine


def number_node(ev: Machine, value: NumberValue) -> Node:
    """The graph's number for one that changes from call to call, which the entry reads at each call."""
    found = ev.symbols.numbers.get(value.place)
    if found is None:
        made = ev.emit("number", held_number(ev, value))
        ev.symbols.numbers[value.place] = value, made
        return made
    return found[1]


def held_number(ev: Machine, value: NumberValue) -> Node:
    """The 0-dim tensor, an input of the graph, that holds a number which changes from call to call."""
    known = ev.states["torch"].held_numbers
    found = known.get(value.place)
    if found is None:
        dtype = int64 if type(value.hint) is int else float64
        make: Callable[[Any], torch.Tensor] = _int_input if dtype is int64 else _float_input
        if dtype is int64:
            value.check_range(ev, *INT64)
        place = value.place.step(f"{ev.names.inject(make, 'number')}(", ")", "")
        found = known[value.place] = ev.add_input(place, TensorMeta((), (), dtype, "cpu"), make(value.hint), "number")
    return found


def number_source(ev: Machine, value: NumberValue) -> tuple[Source, Any]:
    """Where an entry reads a number for a graph module, and what it reads in this capture: an int as it is, a float as a tensor."""
    if type(value.hint) is int:
        value.check_range(ev, *INT64)
        return value.place, value.hint
    return value.place.step(f"{ev.names.inject(_float_input, 'number')}(", ")", ""), _float_input(value.hint)


def _float_input(value: float) -> torch.Tensor:
    return torch.scalar_tensor(value, dtype=torch.float64)


def _int_input(value: int) -> torch.Tensor:
    return torch.scalar_tensor(value, dtype=torch.int64)


def read_number(ev: Machine, x: ArrayValue) -> Node | None:
    """The graph's number for what a 0-dim tensor on the CPU holds, as `x.item()` gives it. None for another tensor, and for one
    that eager does not take in a number's place.
    """
    dtype = x.meta.dtype
    if x.meta.shape or x.meta.device != "cpu" or dtype.is_complex or dtype in (bool_, uint64):
        return None
    node = x.node(ev)
    if ev.states["torch"].requires_grad(node) or ev.states["torch"].is_leaf(node):
        return None
    wide = float64 if dtype.is_float else int64
    return ev.emit("number", node if dtype == wide else ev.emit("cast", node, dtype=wide))


def fitting(ev: Machine, number: Node, dtype: DType) -> Node | None:
    """A number that an op holds to `dtype`, as the op takes it. One that changes is guarded. One that was read from a tensor is
    looked at when the graph runs, unless all that its tensor can hold fits; None where it cannot be.
    """
    if number.op is not NUMBER or ev.symbols.number_behind(number) is not None:
        guard_fits(ev, number, dtype)
        return number
    held = number.inputs[0]
    assert held is not None
    read = held.inputs[0] if held.op is CAST else held
    assert read is not None
    if dtype.is_float and read.dtype.is_float:
        if LARGEST[read.dtype] <= LARGEST[dtype]:
            return number
        return None if dtype in HALVES else ev.emit("number", held, fits=dtype)
    if not read.dtype.is_int or not (dtype.is_int or dtype.is_float) or dtype in HALVES:
        return None
    return number if dtype.is_float or dtype == int64 else ev.emit("number", held, fits=dtype)


def may_overflow(value: Any) -> bool:
    """Whether some dtype cannot hold a number, or it is not known yet. All hold the small ones, unsigned ones no negative floats."""
    if isinstance(value, Node):
        return value.op is NUMBER
    if isinstance(value, (int, float)):
        return not (0 if isinstance(value, float) else -128) <= value <= 127
    if isinstance(value, complex):
        return True
    return hasattr(value, "free_symbols")


def guard_fits(ev: Machine, node: Node, dtype: DType) -> None:
    """A number that changes must fit a narrow dtype at each call; one that does not is a constant, for eager to refuse."""
    number = ev.symbols.number_behind(node)
    if number is None:
        return
    if dtype.is_int and type(number.hint) is int:
        number.check_range(ev, *int_range(dtype))
    elif dtype.is_float:
        number.check_range(ev, -LARGEST[dtype], LARGEST[dtype])
    else:
        number.as_constant()


def guard_naturals(ev: Machine, row: Op, nodes: Sequence[Node | None]) -> None:
    """Ints that change, where eager refuses those below 0 among ints: ints have no negative powers."""
    for position in row.naturals:
        given = nodes[position]
        number = ev.symbols.number_behind(given) if given is not None else None
        others = [n.dtype for n in nodes if n is not None and n is not given]
        if number is not None and type(number.hint) is int and not any(d.is_float or d.is_complex for d in others):
            number.check_range(ev, 0, INT64[1])
