"""Guards are sound: whatever changes between two calls, compiled code gives what plain Python gives."""

# mypy: ignore-errors

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import second_calls_keys
import second_calls_metaclasses
import second_calls_protocols
import second_calls_torch
import torch
from second_calls import PROGRAMS

import quern

for topic in (second_calls_torch, second_calls_keys, second_calls_protocols, second_calls_metaclasses):
    assert topic.X is not None  # importing it fills the list of programs


def frozen(value):
    """A copy of what was seen, as plain comparable data: later writes do not change it."""
    if isinstance(value, torch.Tensor):
        plain = value.detach().resolve_conj().resolve_neg()
        data = [_shown(v) for v in plain.to_dense().reshape(-1).tolist()] if plain.device.type != "meta" else None
        return "tensor", type(value).__name__, str(value.dtype), tuple(value.shape), value.requires_grad, data
    if isinstance(value, np.ndarray | np.generic):
        return type(value).__name__, str(value.dtype), value.shape, [repr(v) for v in np.ravel(value).tolist()]
    if isinstance(value, dict):
        return type(value).__name__, [(frozen(k), frozen(v)) for k, v in value.items()]
    if isinstance(value, list | tuple):
        return type(value).__name__, [frozen(v) for v in value]
    if isinstance(value, float):
        return "float", repr(value), math.copysign(1.0, value)
    return type(value).__name__, repr(value)


def _shown(value):
    """Generated kernels may differ in the last bits; the sign of zero counts."""
    return f"{value:.4g}" if isinstance(value, float) else repr(value)


def run(program, compiling):
    torch.manual_seed(0)
    return [frozen(v) for v in program(compiling)]


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_the_second_call_sees_what_changed(program, backend):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = run(program, lambda f: f)
        got = run(program, lambda f: quern.compile(f, backend=backend))
    for i, (e, g) in enumerate(zip(expected, got, strict=True)):
        assert e == g, f"result {i}"
