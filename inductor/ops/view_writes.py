"""Rules of the table's column `undo`: what a view's base holds once the view holds something else.

A rule gets `emit(op, *nodes, **attrs)`, the view's attributes, the base's old content and the view's new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..graph import Dim, Node
from .promotion import is_dense

Emit = Callable[..., Node]
Undo = Callable[[Emit, Mapping[str, Any], Node, Node], Node | None]


def the_same(emit: Emit, attrs: Mapping[str, Any], old: Node, new: Node) -> Node:
    """Every element of the base is one of the view, at the same place."""
    return new


def again(op: str) -> Undo:
    """Turned around twice it is as it was."""
    return lambda emit, attrs, old, new: emit(op, new, **attrs)


def scattered(op: str) -> Undo:
    """`op` puts the view's elements back in their places."""
    return lambda emit, attrs, old, new: emit(op, old, new, **attrs)


def reshaped(emit: Emit, attrs: Mapping[str, Any], old: Node, new: Node) -> Node:
    """The elements in their old shape. Of a wider view only dims of size 1 were repeated: who writes refuses the rest."""
    return emit("reshape", new, shape=old.shape)


def permuted(emit: Emit, attrs: Mapping[str, Any], old: Node, new: Node) -> Node:
    dims = [d % old.ndim for d in attrs["dims"]]
    return emit("permute", new, dims=tuple(dims.index(d) for d in range(len(dims))))


def sliced(emit: Emit, attrs: Mapping[str, Any], old: Node, new: Node) -> Node:
    if new.shape == old.shape and attrs.get("step", 1) == 1:
        return new
    return emit("slice_scatter", old, new, **attrs)


def restrided(emit: Emit, attrs: Mapping[str, Any], old: Node, new: Node) -> Node | None:
    if overlaps(attrs["size"], attrs["stride"]):
        return None
    return emit("as_strided_scatter", old, new, **attrs)


def overlaps(shape: tuple[Dim, ...], stride: tuple[Dim, ...]) -> bool:
    """Whether two elements may stand at one place."""
    if is_dense(shape, stride):
        return False
    if not all(isinstance(n, int) for n in (*shape, *stride)):
        return True
    span: Any = 0
    for step, size in sorted((s, n) for n, s in zip(shape, stride) if n != 1):  # type: ignore[type-var]
        if step <= span:  # type: ignore[operator]
            return True
        span += step * (size - 1)
    return False
