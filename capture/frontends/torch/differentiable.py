"""A generated part of a graph as one function of autograd."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch._C._functorch import is_functorch_wrapped_tensor, is_legacy_batchedtensor

from ....inductor.training import Generated
from .layouts import laid_out


def differentiable(part: Generated) -> Callable[..., Sequence[Any]]:
    """(tensors, then ints) -> the part's outputs, with their place in autograd's history."""

    flowing = frozenset(part.wants)

    def call(*arguments: Any) -> Sequence[Any]:
        # where no gradient goes, the history behind an input is none of the part's: a backward pass must leave it alone
        given = [a if i in flowing or isinstance(a, int) else a.detach() for i, a in enumerate(arguments)]
        return _Part.apply(part, *given)  # type: ignore[no-any-return, no-untyped-call]

    return call


class _Part(torch.autograd.Function):
    """Its context holds what the backward function reads, as saved tensors: their hooks see them, and a write to one of them is
    refused as in eager. The inputs it holds beside that, for derivatives of derivatives, are the program's own.
    """

    @staticmethod
    def forward(ctx: Any, part: Generated, *arguments: Any) -> tuple[torch.Tensor, ...]:
        results = part.forward(*arguments)
        # (what some kernels of the framework give are views; autograd refuses writes to a function's results that are)
        outputs = tuple(x.data if x._is_view() else x for x in results[: part.outputs])
        sources = {"input": arguments, "output": outputs, "more": results[part.outputs :]}
        saved = [sources[s.kind][s.position] for s in part.saved]
        ctx.save_for_backward(*saved)
        ctx.part, ctx.arguments = part, arguments
        ctx.strides, ctx.saved_strides = [x.stride() for x in outputs], [x.stride() for x in saved]
        ctx.versions = [a._version if isinstance(a, torch.Tensor) and not a.is_inference() else 0 for a in arguments]
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(x for i, x in enumerate(outputs) if i not in part.given))
        return outputs

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Any, ...]:
        part: Generated = ctx.part
        saved = ctx.saved_tensors  # refuses what was freed or written to
        arguments = ctx.arguments
        none: list[Any] = [None] * (1 + len(arguments))
        asked = {i: g for i, g in enumerate(gradients) if g is not None and i in part.given}
        if not asked:
            return tuple(none)
        by_framework = torch.is_grad_enabled() or any(map(_stands_for_several, asked.values()))
        compiled = None if by_framework else part.backward(tuple(asked))
        if compiled is None:
            return (None, *_by_autograd(ctx, asked))
        call, inputs = compiled
        given: list[Any] = list(map(laid_out, saved, ctx.saved_strides))  # hooks give back what they like
        given += [laid_out(g, ctx.strides[i]) for i, g in asked.items()]
        given += [a for a in arguments if isinstance(a, int)]
        # from here on the list alone holds them, unless the program keeps the history: each goes once it was read
        del saved, asked
        ctx.maybe_clear_saved_tensors()
        made = call(given)
        for position, g in zip(inputs, made):
            none[1 + position] = g
        # what the program does not hold goes as the pass goes on, as what eager saves does
        ctx.arguments = tuple(weakref.ref(a) if _is_passing(a) else a for a in arguments)
        return tuple(none)


def _stands_for_several(g: torch.Tensor) -> bool:
    """Whether it is a stand-in of one of torch's function transforms, without memory of its own."""
    return is_functorch_wrapped_tensor(g) or is_legacy_batchedtensor(g)


def _is_passing(argument: Any) -> bool:
    """Whether it is a tensor that was made on the way."""
    return isinstance(argument, torch.Tensor) and not argument.is_leaf


def _by_autograd(ctx: Any, asked: Mapping[int, torch.Tensor]) -> list[Any]:
    """The gradients by the framework, which can differentiate them again: the part runs once more, op by op."""
    part: Generated = ctx.part
    arguments: list[Any] = [a() if isinstance(a, weakref.ref) else a for a in ctx.arguments]
    if any(a is None for a in arguments):
        raise RuntimeError(
            "a value that derivatives of derivatives need was freed by the backward pass before: pass create_graph=True to the first"
        )
    for a, version in zip(arguments, ctx.versions):
        if isinstance(a, torch.Tensor) and not a.is_inference() and a._version != version:
            raise RuntimeError(
                "one of the variables needed for gradient computation has been modified by an inplace operation: "
                f"a tensor of shape {tuple(a.shape)} is at version {a._version}; expected version {version} instead"
            )
    create = torch.is_grad_enabled()
    wanted = [i for i in part.wants if arguments[i].requires_grad]
    with torch.enable_grad():
        # stands for the inputs: gradients of this function alone, whose history goes on behind it
        own = list(arguments)
        for i in wanted:
            own[i] = arguments[i].view_as(arguments[i]) if create else arguments[i].detach().requires_grad_()
        results = part.again(*own)
        live = [(results[i], g) for i, g in asked.items() if results[i].requires_grad]
        found = torch.autograd.grad(
            [o for o, _ in live], [own[i] for i in wanted], [g for _, g in live], create_graph=create, allow_unused=True
        ) if live else [None] * len(wanted)  # fmt: skip
    made: list[Any] = [None] * len(arguments)
    for i, g in zip(wanted, found):
        made[i] = g
    return made
