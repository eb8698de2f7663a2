"""Classes of tensors named after an element type, and `torch.Tensor` itself, called to make a tensor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ....values.base import Args, Handler, Kwargs, Value
from ....values.sequences import ListValue, TupleValue
from ....values.tensor import ArrayValue
from ..dtypes import LEGACY, from_torch
from ..handlers import FUNCTIONS, register_handler
from ..state import detached

if TYPE_CHECKING:
    from ....values.base import Machine


def _maker(cls: type) -> Handler:
    """The elements, as one sequence of numbers; or the sizes of a tensor with any content."""

    def make(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        dtype = ev.constant(LEGACY.get(cls) or torch.get_default_dtype())
        sizes = args[0].items(ev) if len(args) == 1 and args[0].python_type() is torch.Size else args
        if kwargs or torch.get_default_device().type != "cpu":
            raise ev.break_(
                "legacy-constructor",
                f"calling torch.{cls.__name__} like this",
                "quern does not model it",
                "use torch.tensor",
            )
        if len(args) == 1 and sizes is args and isinstance(args[0], (ListValue, TupleValue)):
            return FUNCTIONS[torch.tensor](ev, args, {"dtype": dtype})
        if len(args) == 1 and _is_like(ev, args[0], LEGACY.get(cls)):
            return detached(ev, args[0])  # type: ignore[arg-type]
        if not all(issubclass(v.python_type(), int) for v in sizes):
            raise ev.break_("legacy-constructor", f"calling torch.{cls.__name__} with {args[0].describe()}", "it may share memory",
                            "use torch.tensor")  # fmt: skip
        return FUNCTIONS[torch.empty](ev, list(sizes) or [ev.constant(0)], {"dtype": dtype})

    return make


def _is_like(ev: Machine, value: Value, dtype: torch.dtype | None) -> bool:
    """Whether it is a tensor of the type that is made, which then is another in the same memory."""
    if not isinstance(value, ArrayValue) or value.framework != "torch" or value.requires_grad(ev):  # type: ignore[attr-defined]
        return False
    return value.meta.device == "cpu" and (dtype is None or from_torch(dtype) == value.meta.dtype)


for _cls in (torch.Tensor, *LEGACY):
    register_handler(f"torch.{_cls.__name__}", _maker(_cls))
