"""What the framework has no kernel for, found by asking it: the call is made once on small tensors of the same types.

Rows describe functions for every type that makes sense. The framework's kernels know fewer, each its own list, and no schema says
which: a median of complex numbers, a max pool of integers, a loss whose result its target's type cannot hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ....inductor.dtypes import DType, float32, float64
from ....inductor.graph import Node
from ...values.overlap import arrays_in
from ...values.tensor import ArrayValue
from .dtypes import to_torch
from .meta_results import first_line, unnoticed

if TYPE_CHECKING:
    from ...values.base import Machine

#: types for which a kernel is written first: a call on these alone is asked of nobody
_EVERYWHERE = (float32, float64)
#: up to so many elements the sizes of the example are the call's own: larger ones make it slow
_ELEMENTS = 4096
#: sizes beyond are cut to this
_CUT = 2
#: as many calls are remembered
_REMEMBERED = 1 << 14
#: what an example's tensors are filled with. Some functions refuse zeros (as divisors), some ones (as positions)
_CONTENTS: tuple[Callable[..., torch.Tensor], ...] = (torch.ones, torch.zeros)
#: values that stand for themselves in an example
_PLAIN = (bool, int, float, complex, str, torch.dtype, torch.device, torch.layout, torch.memory_format, type(None))

#: calls that the framework made: where they stand, and what they were given (see `_Example`)
_made: set[Any] = set()


class _Unclear(Exception):
    """A call that cannot be made in small."""


@dataclass(frozen=True, eq=False)
class _Tensor:
    """What an example says of a tensor; two are alike where the framework would look for the same kernel: for none where there
    are no elements.
    """

    dtype: torch.dtype
    shape: tuple[int, ...]

    @property
    def kind(self) -> tuple[Any, ...]:
        return self.dtype, len(self.shape), 0 in self.shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Tensor) and self.kind == other.kind

    def __hash__(self) -> int:
        return hash(self.kind)


class _Example:
    """A call's arguments in small. `whole`: its tensors have the call's own sizes."""

    def __init__(self, ev: Machine, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.ev = ev
        self.elements = 0
        self.args = [self._part(a) for a in args]
        self.kwargs = {k: self._part(v) for k, v in kwargs.items()}

    @property
    def whole(self) -> bool:
        return self.elements <= _ELEMENTS

    def _part(self, value: Any) -> Any:
        """An argument, with (dtype, shape) in the place of a tensor."""
        if isinstance(value, ArrayValue):
            return self._tensor(value.meta)
        if isinstance(value, Node):
            return self._number(value)
        if type(value) in _PLAIN:
            return value
        if type(value) in (list, tuple, torch.Size):
            return tuple(self._part(v) for v in value)
        if isinstance(value, DType):
            return to_torch(value)
        if hasattr(value, "free_symbols") and not self.ev.symbols.is_unbacked(value):
            return self.ev.symbols.hint(value)
        raise _Unclear

    def _tensor(self, meta: Any) -> Any:
        if meta.device != "cpu" or any(self.ev.symbols.is_unbacked(s) for s in meta.shape):
            raise _Unclear
        shape = tuple(self.ev.symbols.hint(s) for s in meta.shape)
        self.elements += math.prod(shape)
        return _Tensor(to_torch(meta.dtype), shape)

    def _number(self, node: Node) -> Any:
        if node.op.kind == "literal":
            return node.attrs["value"]
        number = self.ev.symbols.number_behind(node)
        if number is None:
            raise _Unclear
        return number.hint

    def made(self, value: Any, content: Callable[..., torch.Tensor], dtype: torch.dtype | None) -> Any:
        """The argument itself, of its own type or another."""
        if isinstance(value, _Tensor):
            shape = value.shape if self.whole else tuple(min(s, _CUT) for s in value.shape)
            return content(shape, dtype=dtype or value.dtype, device="cpu")
        return tuple(self.made(v, content, dtype) for v in value) if type(value) is tuple else value


#: what these reach depends on where in its memory a tensor begins, which an example's tensor does not; they take every type
_OVER_MEMORY = frozenset(("torch.as_strided", "Tensor.as_strided"))


def missing_kernel(ev: Machine, place: str, fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
    """What the framework says of the function `fn`, which stands at `place`, on arguments of such types; "" where it has a
    kernel for them, or nobody can tell.
    """
    if all(x.meta.dtype in _EVERYWHERE for x in arrays_in([args, kwargs])) or torch._C._len_torch_dispatch_stack():
        return ""
    if place in _OVER_MEMORY:
        return ""
    try:
        example = _Example(ev, args, kwargs)
    except _Unclear:
        return ""
    key = (place, _typed(example.args), _typed(list(example.kwargs.items())))
    if key in _made:
        return ""
    said = _said(fn, example)
    if said:
        return said
    if len(_made) >= _REMEMBERED:
        _made.clear()
    _made.add(key)
    return ""


def _said(fn: Any, example: _Example) -> str:
    """What the framework says of an example's types; "" where it makes the call."""
    error: Exception | None = None
    for content in _CONTENTS:
        try:
            _make(fn, example, content)
        except NotImplementedError as missing:
            return first_line(missing)
        except Exception as other:  # the framework's own, of any kind
            error = other
        else:
            return ""
    assert error is not None
    if example.whole:
        return first_line(error)
    try:  # were it the sizes, other types would be refused as well
        _make(fn, example, torch.zeros, torch.float32)
    except Exception:
        return ""
    return first_line(error)


@unnoticed()
def _make(fn: Any, example: _Example, content: Callable[..., torch.Tensor], dtype: torch.dtype | None = None) -> None:
    """Call `fn`; with all tensors of one type where it is given."""
    with torch._C.DisableTorchFunction(), torch.no_grad():
        fn(
            *[example.made(a, content, dtype) for a in example.args],
            **{k: example.made(v, content, dtype) for k, v in example.kwargs.items()},
        )


def _typed(value: Any) -> Any:
    """Equal only where types are equal, too: 1 is not 1.0 or True."""
    if type(value) in (tuple, list):
        return tuple(_typed(v) for v in value)
    return type(value), value
