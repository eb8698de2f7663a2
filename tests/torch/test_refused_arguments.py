"""Arguments that torch's own bindings refuse: None where nothing may be left out, a memory format that is none, `out=` for a method.
What eager refuses with a TypeError compiled code refuses with the same one, and takes what eager takes.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import quern

CALLS = {
    "float(1)": lambda x: x.float(1),
    "float(None)": lambda x: x.float(None),
    "int('a')": lambda x: x.int("a"),
    "bool(1)": lambda x: x.bool(1),
    "double of a format": lambda x: x.double(memory_format=torch.contiguous_format),
    "squeeze()": lambda x: x.squeeze(),
    "squeeze(0)": lambda x: x.squeeze(0),
    "squeeze of axes": lambda x: x.squeeze((0, 1)),
    "squeeze of an axis by name": lambda x: torch.squeeze(x, axis=0),
    "squeeze(None)": lambda x: x.squeeze(None),
    "squeeze(dim=None)": lambda x: x.squeeze(dim=None),
    "torch.squeeze of None": lambda x: torch.squeeze(x, None),
    "squeeze_(None)": lambda x: x.clone().squeeze_(None),
    "sum of None": lambda x: x.sum(None),
    "mean of None": lambda x: x.mean(None),
    "std of dim=None": lambda x: torch.std(x, dim=None),
    "std of None twice": lambda x: x.std(None, None),
    "prod of None": lambda x: x.prod(None),
    "max of None": lambda x: x.max(None),
    "argmax of None": lambda x: x.argmax(None),
    "median of None": lambda x: x.median(None),
    "logsumexp of None": lambda x: x.logsumexp(None),
    "softmax of None": lambda x: x.softmax(None),
    "cumsum of None": lambda x: x.cumsum(None),
    "clamp of None": lambda x: x.clamp(None, 1),
    "clamp_ of None": lambda x: x.clone().clamp_(None, 1),
    "add of None": lambda x: x.add(None),
    "alpha=None": lambda x: x.add(x, alpha=None),
    "rounding_mode=None": lambda x: x.div(2, rounding_mode=None),
    "round of decimals=None": lambda x: x.round(decimals=None),
    "pow of None": lambda x: x.pow(None),
    "matmul of None": lambda x: x.matmul(None),
    "split of None": lambda x: x.split(None)[0],
    "chunk of None": lambda x: x.chunk(None)[0],
    "eye of None": lambda x: torch.eye(3, None),
    "type_as of None": lambda x: x.type_as(None),
    "expand_as of None": lambda x: x.expand_as(None),
    "method with out=": lambda x: x.sum(0, out=torch.empty(4)),
    "sum in a method with out=": lambda x: x.add(1, out=x),
    "function with out=": lambda x: torch.sum(x, 0, out=torch.empty(4)),
    "function with out=None": lambda x: torch.add(x, 1, out=None),
    "contiguous(1)": lambda x: x.contiguous(memory_format=1),
    "contiguous(None)": lambda x: x.contiguous(memory_format=None),
    "is_contiguous(1)": lambda x: torch.tensor(x.is_contiguous(memory_format=1)),
    "clone(1)": lambda x: x.clone(memory_format=1),
    "clone(None)": lambda x: x.clone(memory_format=None),
    "to of 3": lambda x: x.to(torch.float64, memory_format=3),
    "zeros_like of 1": lambda x: torch.zeros_like(x, memory_format=1),
    "what may be None": lambda x: F.layer_norm(F.linear(x, x, None), (3,), None, None),
    "options that may be None": lambda x: torch.zeros(2, dtype=None, device=None, out=None),
}


@pytest.mark.parametrize("name", CALLS)
def test_arguments_are_refused_as_in_eager(name):
    def outcome(call):
        try:
            result = call(torch.arange(12.0).reshape(3, 4))
        except TypeError as refusal:
            return str(refusal)
        return result.tolist(), result.dtype, result.shape

    def program(x):
        return CALLS[name](x)

    assert outcome(quern.compile(program, backend="eager")) == outcome(program)


POOLS = [F.avg_pool1d, F.max_pool1d, F.avg_pool2d, F.max_pool2d, F.avg_pool3d, F.max_pool3d, F.adaptive_avg_pool2d]


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("pool", POOLS, ids=lambda p: p.__name__)
def test_pools_of_no_channels(pool, dynamic):
    compiled = quern.compile(lambda x: pool(x, 2), dynamic=dynamic)
    spatial = (4,) * int(pool.__name__[-2])
    for lead in ((2, 3), (2, 0), (0, 3), (0,), (3,)):
        outcomes = []
        for function in (lambda x: pool(x, 2), compiled):
            try:
                outcomes.append(function(torch.ones(lead + spatial)).shape)
            except RuntimeError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]
