"""What stands between the brackets of a tensor: every form is read, written and added to as eager does it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402

T = torch.tensor
#: lists that eager takes for tuples, with a word of warning, and their neighbours, which it does not
INDICES = {
    "two lists": [[0, 1], [1, 0]],
    "one list": [[0, 1]],
    "a list and an int": [[0, 1], 1],
    "tensors": [T([0, 1]), T([1, 0])],
    "one tensor": [T([0, 1])],
    "tensors of no axes": [T(0), T(1)],
    "one of no axes": [T(1)],
    "None": [None, 0],
    "a slice": [slice(0, 1)],
    "dots": [Ellipsis, 0],
    "a list and a slice": [[0, 1], slice(0, 2)],
    "tuples": [(0, 1), (1, 0)],
    "ranges": [range(2), range(2)],
    "too many": [[0], [1], [2]],
    "lists of lists": [[[0, 1], [1, 0]]],
    "an empty list inside": [[]],
    "truth values inside": [[True, False, True]],
    "a mask inside": [T([True, False, True])],
    "arrays": [np.array([0, 1]), np.array([1, 0])],
    "numbers": [0, 1],
    "truth values": [True, False, True],
    "nothing": [],
    "many lists": [[0, 1]] * 32,
    "many numbers": [0] * 40,
    "a tuple of lists": ([0, 1], [1, 0]),
    "a tuple with None": ([0, 1], None, T([1, 0])),
    "a tuple of one": ([0, 1],),
    "NumPy's numbers": [np.int64(1)],
    "a range": range(2),
}  # fmt: skip


def read(x, i):
    return x[i]


def write(x, i):
    x[i] = 9.0
    return x


def add(x, i):
    x[i] += 1
    return x


def outcome(function, index):
    x = torch.arange(9.0).reshape(3, 3)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            made = function(x, index)
            made = made.tolist(), made.stride(), made.storage_offset()
        except Exception as error:
            made = type(error), str(error)
    return made, x.tolist(), [str(w.message) for w in heard]


@pytest.mark.parametrize(("program", "backend"), [(read, "inductor"), (write, "eager"), (add, "eager")])
@pytest.mark.parametrize("name", INDICES)
def test_indices(name, program, backend):
    compiled = quern.compile(program, backend=backend)
    for _ in range(2):
        assert outcome(compiled, INDICES[name]) == outcome(program, INDICES[name])


def test_lists_of_indices_say_what_to_write():
    with pytest.raises(quern.errors.Unsupported, match=r"list of indices(.|\n)*tuple"):
        quern.compile(read, fullgraph=True)(torch.ones(3, 3), [[0, 1], [1, 0]])
