"""A call of a framework function as data: what it gives at given sizes, and at all sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch

from ....inductor.graph import Dim, TensorMeta
from ....inductor.sizes import evaluator
from .meta_results import Foreseen, Unforeseen, foresee, leaves, measurable, needs_measuring
from .size_formulas import Asked, Point, formula, strides


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
        parts = [
            *_dims((self.args, tuple(self.kwargs.values()))),
            *(d for m in self.metas for d in (*m.shape, *m.stride)),
        ]
        found = {s.name: s for d in parts if hasattr(d, "free_symbols") for s in d.free_symbols}
        return dict(sorted(found.items()))

    def at(self, point: Point, stand_ins: Sequence[torch.Tensor] | None = None) -> Foreseen:
        """What it gives where the symbols have these values. Raises Unforeseen."""
        args, kwargs, metas = self.args, self.kwargs, self.metas
        if self.symbols:
            args, kwargs = _valued(args, point), _valued(kwargs, point)
            metas = [replace(m, shape=_valued(m.shape, point), stride=_valued(m.stride, point)) for m in metas]
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

    def layouts(self, here: Foreseen, base: Mapping[str, int]) -> list[Layout] | None:
        """The results' layouts at all sizes; None where they are not known as formulas. `here`: what it gives at `base`."""
        if not here.measured and needs_measuring(self.target):
            return None
        found = list(leaves(here.results))
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

        numbers = list(_dims((self.args, tuple(self.kwargs.values()))))
        floats = [d for d in numbers if isinstance(d, float)]
        sizes = dict.fromkeys([*(d for m in self.metas for d in m.shape), *(d for d in numbers if d not in floats)])
        steps = [d for d in numbers if isinstance(d, int)]
        asked = Asked(answer, self.symbols, base, list(sizes), steps, floats)
        layouts, first = [], 0
        for t in found:
            shape = [formula(asked, first + d) for d in range(t.ndim)]
            offset = formula(asked, first + 2 * t.ndim)
            if offset is None or any(s is None for s in shape):
                return None
            whole: tuple[Dim, ...] = tuple(s for s in shape if s is not None)
            stride = strides(asked, whole, first + t.ndim)
            if stride is None:
                return None
            layouts.append(Layout(whole, stride, offset))
            first += 2 * t.ndim + 1
        return layouts


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


def _dims(tree: Any) -> Iterator[Any]:
    """The numbers of a template, symbolic ones among them."""
    if isinstance(tree, (list, tuple)):
        for part in tree:
            yield from _dims(part)
    elif isinstance(tree, slice):
        yield from _dims((tree.start, tree.stop, tree.step))
    elif isinstance(tree, (int, float)) and not isinstance(tree, bool) or hasattr(tree, "free_symbols"):
        yield tree


def _valued(tree: Any, point: Point) -> Any:
    """A template or a layout with numbers in place of symbols."""
    if hasattr(tree, "free_symbols"):
        return evaluator(tree)(point)
    if isinstance(tree, (list, tuple)):
        return type(tree)(_valued(part, point) for part in tree)
    if isinstance(tree, slice):
        return slice(*(_valued(part, point) for part in (tree.start, tree.stop, tree.step)))
    return {k: _valued(v, point) for k, v in tree.items()} if isinstance(tree, Mapping) else tree
