"""A call of a framework function as data: what it gives at given sizes, and at all sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from ....inductor.graph import Dim, TensorMeta
from ..size_formulas import Asked, Point, asked_of_call, symbols_in, valued
from .meta_results import Foreseen, Unforeseen, foresee, leaves, measurable, needs_measuring, trusts_sizes


@dataclass(frozen=True)
class Layout:
    """A result's layout; `offset` counts from the first element of the argument that it is a view of."""

    shape: tuple[Dim, ...]
    stride: tuple[Dim, ...]
    offset: Dim

    @property
    def is_dynamic(self) -> bool:
        return any(not isinstance(d, int) for d in (*self.shape, *self.stride, self.offset))


@dataclass(frozen=True)
class Call:
    """fn, and the "module:name" under which a fresh process finds it; the call's template (see `ExternRef`); its tensors.

    held: fn is not to be found elsewhere: the graph holds it
    faked: stand-ins must be on the device of the call's tensors
    recording: which of its tensors require gradients, where it is held and these are recorded
    """

    fn: Callable[..., Any]
    target: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    metas: Sequence[TensorMeta]
    held: bool = False
    faked: bool = False
    recording: Sequence[bool] | None = None

    @cached_property
    def symbols(self) -> Mapping[str, Any]:
        """The symbols of its sizes, by name."""
        return symbols_in((self.args, tuple(self.kwargs.values()), [(m.shape, m.stride) for m in self.metas]))

    def at(self, point: Point, stand_ins: Sequence[torch.Tensor] | None = None) -> Foreseen:
        """What it gives where the symbols have these values. Raises Unforeseen."""
        args, kwargs, metas = self.args, self.kwargs, self.metas
        if self.symbols:
            args, kwargs = valued(args, point), valued(kwargs, point)
            metas = [replace(m, shape=valued(m.shape, point), stride=valued(m.stride, point)) for m in metas]
            if any(size < 0 for m in metas for size in m.shape):
                raise Unforeseen("a size below zero")
        given = measurable(self.target, metas) if stand_ins is None else stand_ins
        return foresee(self.fn, args, kwargs, metas, given, self.faked, self.recording)

    def gives_the_same_layouts(self, other: Call, point: Point) -> bool:
        """Whether the results of another call of the function are laid out as this one's."""
        try:
            return _numbers(self.at(point)) == _numbers(other.at(point))
        except Unforeseen:
            return False

    @cached_property
    def trusted(self) -> list[Any]:
        """The symbols of sizes that its kernel does not look at: none other than those at hand are tried."""
        if not trusts_sizes(self.target):
            return []
        first = symbols_in([(m.shape, m.stride) for m in self.metas[:1]])
        return [s for name, s in self.symbols.items() if name not in first]

    def asked(self, here: Foreseen, base: Mapping[str, int]) -> Asked | None:
        """What to ask for its results' layouts at all sizes; None where they are not known. `here`: what it gives at `base`."""
        if self.trusted or not here.measured and needs_measuring(self.target):
            return None
        kinds = _kinds(here)

        def answer(point: Point) -> tuple[int, ...] | None:
            if point == base:
                seen = here
            else:
                try:
                    seen = self.at(point)
                except Unforeseen:
                    return None
            if seen.measured is not here.measured:
                return None  # too large to be measured
            return _numbers(seen) if _kinds(seen) == kinds else ()

        template = (self.args, tuple(self.kwargs.values()))
        return asked_of_call(answer, base, self.symbols, template, [m.shape for m in self.metas])


def layout_of(seen: Foreseen, t: torch.Tensor) -> Layout:
    """The layout of a result over stand-ins."""
    origin, _ = seen.origin(t)
    start = 0 if origin is None else seen.inputs[origin].storage_offset()
    return Layout(tuple(t.shape), t.stride(), t.storage_offset() - start)


def _numbers(seen: Foreseen) -> tuple[int, ...]:
    layouts = [layout_of(seen, t) for t in leaves(seen.results)]
    return tuple(n for x in layouts for n in (*x.shape, *x.stride, x.offset))  # type: ignore[misc]


def _kinds(seen: Foreseen) -> Any:
    """What must be the same at all sizes."""
    results = [(t.ndim, t.dtype, t.layout, seen.origin(t)) for t in leaves(seen.results)]
    return results, seen.written, seen.resized, seen.effects
