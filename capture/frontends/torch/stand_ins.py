"""Python functions that are captured in place of torch's own, where those do what cannot be captured and need not be."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch.masked import _ops as masked

from ...values.base import Args, Kwargs, Value
from ...values.constant import NONE
from .checks import non_negative
from .context import Context
from .externs import call_target
from .handlers import FUNCTIONS

if TYPE_CHECKING:
    from ...values.base import Machine


def stands_for(*originals: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator: calls of the originals are captured as calls of this function."""

    def add(fn: Callable[..., Any]) -> Callable[..., Any]:
        def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
            return ev.call_function(fn, args, kwargs)

        for original in originals:
            FUNCTIONS[original] = handler
        return fn

    return add


@stands_for(torch.jit.annotate)
def annotate(the_type: Any, the_value: Any) -> Any:
    return the_value


@stands_for(torch.sym_int)
def sym_int(a: Any) -> int:
    return int(a)


@stands_for(torch.sym_float)
def sym_float(a: Any) -> float:
    return float(a)


@stands_for(torch.sym_max)
def sym_max(a: Any, b: Any) -> Any:
    return max(a, b)


@stands_for(torch.sym_min)
def sym_min(a: Any, b: Any) -> Any:
    return min(a, b)


@stands_for(torch.sym_not)
def sym_not(a: Any) -> bool:
    return not a


@stands_for(masked._combine_input_and_mask)
def combine_input_and_mask(op: Any, input: Any, mask: Any, *args: Any) -> Any:
    """Without torch's autograd function, which serves MaskedTensors only."""
    if mask is None:
        return input
    fill_value = masked._reduction_identity(op.__name__, input, *args)
    return masked._where(masked._input_mask(input, mask=mask), input, fill_value)


@stands_for(F.gaussian_nll_loss)
def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """Negative variances are found when the graph runs."""
    spread = var if isinstance(var, torch.Tensor) else torch.full_like(input, var)
    non_negative(spread)
    if spread.shape != input.shape and spread.shape == input.shape[:-1]:
        spread = spread.unsqueeze(-1)
    differing = [s for s, n in zip(spread.shape, input.shape) if s != n]
    if spread.ndim != input.ndim or differing not in ([], [1]):
        raise ValueError("var is of incorrect size")
    reduce: Any = {"none": _as_it_is, "mean": torch.mean, "sum": torch.sum}.get(reduction)
    if reduce is None:
        raise ValueError(f"{reduction} is not valid")
    bounded = spread.clone()
    with torch.no_grad():
        bounded.clamp_(min=eps)  # gradients pass as if it were not there
    loss = 0.5 * (bounded.log() + (input - target) ** 2 / bounded)
    return reduce(loss + 0.5 * math.log(2 * math.pi) if full else loss)


def _as_it_is(x: Any) -> Any:
    return x


def _check_sign(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    target = f"{non_negative.__module__}:non_negative"
    call_target(Context(ev), target, torch.empty_like, args, kwargs, effects=True)
    return NONE


FUNCTIONS[non_negative] = _check_sign
