"""Running a function eagerly and compiled on equal inputs, and comparing all that can be seen: values, layouts, aliasing,
identity, what happened to the inputs."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch
from comparison import Comparison, within
from torch_values import GROUND

import quern


def compiled(fn: Any, **settings: Any) -> Any:
    """`fn` compiled for the eager backend as one graph."""
    return quern.compile(fn, **{"backend": "eager", "fullgraph": True, **settings})


def tensors(tree: Any) -> list[torch.Tensor]:
    """The tensors of nested containers and objects, in order."""
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        return [t for v in tree.values() for t in tensors(v)]
    if isinstance(tree, (list, tuple)):
        return [t for v in tree for t in tensors(v)]
    return []


def fresh(tree: Any) -> Any:
    """A deep copy that keeps strides and aliasing among the tensors."""
    return copy.deepcopy(tree)


def check(
    fn: Callable[..., Any], *args: Any, tolerance: float = 1e-6, ignore: Iterable[str] = (), **settings: Any
) -> Any:
    """Compare one call of `fn` and of its compiled form, and a second call of the compiled form. Returns the latter."""
    function = compiled(fn, **settings)
    result = None
    for _ in range(2):
        eager_args, our_args = fresh(args), fresh(args)
        with torch.no_grad():
            torch.manual_seed(0)
            expected = fn(*eager_args)
            torch.manual_seed(0)
            result = function(*our_args)
        compare((expected, eager_args), (result, our_args), tolerance, ignore)
    return result


def compare(expected: Any, found: Any, tolerance: float = 1e-6, ignore: Iterable[str] = ()) -> None:
    """Assert that two results agree in structure, values, layouts and what they share."""
    Comparison(within(tolerance), ignore=frozenset(ignore)).values(expected, found, GROUND.parts)


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
