"""Running a function eagerly and compiled on equal inputs, and comparing all that can be seen: values, layouts, aliasing,
identity, what happened to the inputs."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from typing import Any

import torch

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


def same_value(a: torch.Tensor, b: torch.Tensor, tolerance: float = 1e-6) -> bool:
    if a.dtype != b.dtype or a.shape != b.shape or a.device != b.device:
        return False
    return torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance, equal_nan=True)


def relations(values: list[torch.Tensor]) -> list[tuple[int, int, str]]:
    """Which pairs are one object, and which share memory (and how far apart)."""
    found = []
    for (i, a), (j, b) in itertools.combinations(enumerate(values), 2):
        if a is b:
            found.append((i, j, "same"))
        elif a.numel() and b.numel() and a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr():
            found.append((i, j, f"shares, {b.storage_offset() - a.storage_offset()} apart"))
    return found


def check(fn: Callable[..., Any], *args: Any, tolerance: float = 1e-6, strides: bool = True, **settings: Any) -> Any:
    """Compare one call of `fn` and of its compiled form, and a second call of the compiled form. Returns the latter."""
    function = compiled(fn, **settings)
    result = None
    for _ in range(2):
        eager_args, our_args = fresh(args), fresh(args)
        torch.manual_seed(0)
        with torch.no_grad():
            expected = fn(*eager_args)
        torch.manual_seed(0)
        with torch.no_grad():
            result = function(*our_args)
        compare(expected, result, tolerance, strides)
        before, after = tensors(eager_args), tensors(our_args)
        for i, (a, b) in enumerate(zip(before, after)):
            assert same_value(a, b, tolerance), f"input {i} is {b}, eager leaves {a}"
        assert relations(before + tensors(expected)) == relations(after + tensors(result))
    return result


def compare(expected: Any, found: Any, tolerance: float = 1e-6, strides: bool = True) -> None:
    """Assert that two results agree in structure, values and layouts."""
    assert type(found) is type(expected), f"{type(found)} instead of {type(expected)}"
    if isinstance(expected, torch.Tensor):
        assert same_value(expected, found, tolerance), f"expected {expected}\nfound {found}"
        if strides:
            wanted = [s for s, n in zip(expected.stride(), expected.shape) if n > 1]
            have = [s for s, n in zip(found.stride(), found.shape) if n > 1]
            assert wanted == have or not expected.numel(), f"strides {found.stride()} instead of {expected.stride()}"
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            compare(expected[key], found[key], tolerance, strides)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(expected, found):
            compare(a, b, tolerance, strides)
    else:
        assert found == expected or found != found and expected != expected


def randn(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)
