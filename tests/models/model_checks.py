"""Comparing a model's eager result with its compiled one: the whole output, its type, keys, dtypes and values."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import torch

import quern


def leaves(tree: Any, path: str = "out") -> list[tuple[str, Any]]:
    """(where, what) for everything in an output: containers, objects such as caches, tensors, numbers."""
    found: list[tuple[str, Any]] = [(path, tree)]
    if isinstance(tree, torch.Tensor):
        return found
    if isinstance(tree, Mapping):
        for key, value in tree.items():
            found += leaves(value, f"{path}.{key}")
    elif isinstance(tree, (list, tuple)):
        for i, value in enumerate(tree):
            found += leaves(value, f"{path}[{i}]")
    elif hasattr(tree, "__dict__") and not isinstance(tree, (type, torch.nn.Module)) and not callable(tree):
        for key, value in vars(tree).items():
            if not isinstance(value, (torch.Stream, torch.device, torch.dtype)):
                found += leaves(value, f"{path}.{key}")
    return found


def differences(expected: Any, found: Any, tolerance: float) -> list[str]:
    """What differs between two outputs; empty when they agree."""
    ours, theirs = leaves(found), leaves(expected)
    if [p for p, _ in ours] != [p for p, _ in theirs]:
        missing = sorted({p for p, _ in theirs} - {p for p, _ in ours})
        extra = sorted({p for p, _ in ours} - {p for p, _ in theirs})
        return [f"structure: missing {missing[:5]}, extra {extra[:5]}"]
    wrong = []
    for (path, a), (_, b) in zip(theirs, ours):
        if type(a) is not type(b):
            wrong.append(f"{path}: {type(b).__name__} instead of {type(a).__name__}")
        elif isinstance(a, torch.Tensor):
            if a.dtype != b.dtype or a.shape != b.shape:
                wrong.append(f"{path}: {b.dtype} {tuple(b.shape)} instead of {a.dtype} {tuple(a.shape)}")
            elif not torch.allclose(a.double(), b.double(), rtol=tolerance, atol=tolerance, equal_nan=True):
                wrong.append(f"{path}: differs by {(a.double() - b.double()).abs().max().item():.2e}")
        elif isinstance(a, (int, float, str, bool)) and a != b:
            wrong.append(f"{path}: {b!r} instead of {a!r}")
        elif dataclasses.is_dataclass(a) and [f.name for f in dataclasses.fields(a)] != [
            f.name for f in dataclasses.fields(b)
        ]:
            wrong.append(f"{path}: other fields")
    return wrong


def strict_compile(module: Any, backend: Any = "eager", **settings: Any) -> Any:
    return quern.compile(module, backend=backend, fullgraph=True, **settings)


def check_model(sample: Any, backend: str = "eager", tolerance: float = 1e-5, compiled_module: Any = None) -> Any:
    """One graph, results equal to eager, and a second call with other values that is served by the first's code."""
    module = sample.module()
    compiled = strict_compile(module, backend) if compiled_module is None else compiled_module
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in (0, 1):
            expected = module(**sample.call_arguments(seed))
            found = compiled(**sample.call_arguments(seed))
            wrong = differences(expected, found, tolerance)
            assert not wrong, f"{sample.name}, call {seed}: " + "; ".join(wrong[:6])
    function = quern.api.functions_of(compiled)
    recompiled = [str(r) for f in function for r in f.recompiles]
    assert not recompiled, f"{sample.name} recompiled: {recompiled[0]}"
    assert sum(len(f.explain_records) for f in function) == 1
    return compiled
