"""Views as NumPy makes them: the strides of each kind of view, and the expression that makes it of a real array.

A view in NumPy (an index with several slices, say) is a chain of the op table's view ops; `flip`, which copies in other
frameworks, is a view with negative strides here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ....inductor.graph import Dim
from ....inductor.ops.dims import is_one
from ....inductor.ops.views import diagonal_layout, slice_bounds
from .layout import reshape_strides

Window = tuple[tuple[Dim, ...], tuple[Dim, ...]]


# --------------------------------------------------------------------------- windows


def _put(values: Sequence[Any], at: int, *new: Any) -> tuple[Any, ...]:
    """`values` with the item at `at` replaced."""
    return (*values[:at], *new, *values[at + 1 :])


def _window_slice(shape: Any, strides: Any, *, dim: int, start: Any, end: Any, step: int) -> Window:
    _, count = slice_bounds(start, end, step, shape[dim])
    return _put(shape, dim, count), _put(strides, dim, strides[dim] * step)


def _window_flip(shape: Any, strides: Any, *, dims: tuple[int, ...]) -> Window:
    return shape, tuple(-s if d in dims else s for d, s in enumerate(strides))


def _window_select(shape: Any, strides: Any, *, dim: int, index: Dim) -> Window:
    return _put(shape, dim), _put(strides, dim)


def _window_unsqueeze(shape: Any, strides: Any, *, dim: int) -> Window:
    return (*shape[:dim], 1, *shape[dim:]), (*strides[:dim], 0, *strides[dim:])


def _window_squeeze(shape: Any, strides: Any, *, dim: tuple[int, ...]) -> Window:
    kept = [d for d in range(len(shape)) if d not in dim]
    return tuple(shape[d] for d in kept), tuple(strides[d] for d in kept)


def _window_permute(shape: Any, strides: Any, *, dims: tuple[int, ...]) -> Window:
    return tuple(shape[d] for d in dims), tuple(strides[d] for d in dims)


def _window_reshape(shape: Any, strides: Any, /, **attrs: Any) -> Window:
    new = attrs["shape"]
    found = reshape_strides(shape, strides, new)
    if found is None:
        raise ValueError(f"shape {shape} with strides {strides} cannot be viewed as {new}")
    return tuple(new), found


def _window_expand(shape: Any, strides: Any, /, **attrs: Any) -> Window:
    new = attrs["shape"]
    missing = len(new) - len(shape)
    steps = [0 if is_one(old) and not is_one(n) else s for old, n, s in zip(shape, new[missing:], strides)]
    return tuple(new), (*(0,) * missing, *steps)


def _window_diagonal(shape: Any, strides: Any, *, offset: int, dim1: int, dim2: int) -> Window:
    rest = [d for d in range(len(shape)) if d not in (dim1, dim2)]
    _, _, length = diagonal_layout(shape, offset, dim1, dim2)
    return (
        (*(shape[d] for d in rest), length),
        (*(strides[d] for d in rest), strides[dim1] + strides[dim2]),
    )


def _window_unfold(shape: Any, strides: Any, *, dimension: int, size: int, step: int) -> Window:
    count = (shape[dimension] - size) // step + 1
    return (*_put(shape, dimension, count), size), (
        *_put(strides, dimension, strides[dimension] * step),
        strides[dimension],
    )


# --------------------------------------------------------------------------- the same in NumPy


def _at(dim: str, text: str) -> tuple[str, str]:
    return "", f"[{':, ' * int(dim)}{text}]"


@dataclass(frozen=True)
class NumpyView:
    """A view in NumPy.

    window:    (shape, strides, **attrs) -> those of the view
    python:    (what NumPy is called, **attrs as text) -> what stands before and behind the array's expression
    read_only: whether NumPy does not let one write through it
    """

    window: Callable[..., Window]
    python: Callable[..., tuple[str, str]]
    read_only: bool = False


#: by the op of the table, or by the function of NumPy where another one makes the same view
VIEWS: dict[str, NumpyView] = {
    "alias": NumpyView(lambda shape, strides: (shape, strides), lambda np: ("", "[...]")),
    "slice": NumpyView(_window_slice, lambda np, dim, start, end, step: _at(dim, f"{start}:{end}:{step}")),
    "flip": NumpyView(_window_flip, lambda np, dims: (f"{np}.flip(", f", {dims})")),
    "select": NumpyView(_window_select, lambda np, dim, index: _at(dim, f"{index}, ...")),
    "unsqueeze": NumpyView(_window_unsqueeze, lambda np, dim: _at(dim, "None")),
    "squeeze": NumpyView(_window_squeeze, lambda np, dim: ("", f".squeeze({dim})")),
    "permute": NumpyView(_window_permute, lambda np, dims: ("", f".transpose({dims})")),
    "reshape": NumpyView(_window_reshape, lambda np, shape: ("", f".reshape({shape})")),
    "expand": NumpyView(_window_expand, lambda np, shape: (f"{np}.broadcast_to(", f", {shape})"), read_only=True),
    "diagonal": NumpyView(_window_diagonal, lambda np, offset, dim1, dim2: ("", f".diagonal({offset}, {dim1}, {dim2})"),
                          read_only=True),
    # what einsum gives may be written
    "einsum": NumpyView(_window_diagonal, lambda np, offset, dim1, dim2: (f"{np}.einsum('...ii->...i', ", ")")),
    # and what broadcast_arrays gives too, with a warning
    "broadcast_arrays": NumpyView(
        _window_expand, lambda np, shape: (f"{np}.broadcast_arrays(", f", {np}.broadcast_to(0, {shape}))[0]"), read_only=True
    ),
    "unfold": NumpyView(
        _window_unfold,
        # (NumPy's own windows stand at each place)
        lambda np, dimension, size, step: (f"{np}.lib.stride_tricks.sliding_window_view(", f", {size}, {dimension})"),
        read_only=True,
    ),
}  # fmt: skip


def view_window(op: str, shape: tuple[Dim, ...], strides: tuple[Dim, ...], attrs: Mapping[str, Any]) -> Window:
    """(shape, strides) of the view of an array with `shape` and `strides`."""
    return VIEWS[op].window(shape, strides, **attrs)


def python_view(op: str, attrs: Mapping[str, Any], text: Callable[[Any], str], np: str) -> tuple[str, str]:
    """(prefix, suffix) around an array's expression. text: writes a size down; np: what the module NumPy is called there."""
    return VIEWS[op].python(np, **{name: _written(value, text) for name, value in attrs.items()})


def _written(value: Any, text: Callable[[Any], str]) -> str:
    if isinstance(value, (tuple, list)):
        return f"({''.join(_written(v, text) + ', ' for v in value)})"
    return "" if value is None else text(value)
