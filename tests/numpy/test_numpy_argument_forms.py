"""Arguments in forms that few programs use: what NumPy makes of them, or the words in which it refuses them."""

from __future__ import annotations

import numpy as np
import pytest

import quern

X = np.arange(12.0).reshape(2, 3, 2) - 4


def increased(x, key):
    x[key] += 1
    return x


def stored(x, key):
    x[key] = 9
    return x


KEYS = {
    "a tuple behind dots": (..., (0,)),
    "two in a tuple behind dots": (..., (0, 1)),
    "a list behind dots": (..., [0]),
    "a tuple among slices": (slice(None), ..., (0,)),
    "a tuple and a number": (..., -1, (0, 1)),
    "a tuple in front": ((0, 1), 1),
    "tuples of tuples": (((0,), (1,)), (0, 2)),
    "an empty tuple": (..., ()),
    "an empty list": (0, []),
    "a list of bools": ([True, False], 1),
    "a tuple of bools": ((False, True), ..., 0),
    "a float": 1.0,
    "a float behind dots": (..., 1.0),
    "a word": "a",
    "a word behind dots": (..., "a"),
    "a complex number": (0, 1j),
    "None": None,
    "a class": int,
    "a number of NumPy": (np.int8(1), np.uint8(0)),
}
INDICES = {
    f"{name}: {how}": (program, key)
    for name, key in KEYS.items()
    for how, program in (("read", lambda x, key: x[key]), ("stored", stored), ("increased", increased))
}
FORMS = {
    "where=False": lambda x: np.add(x, 1, out=np.zeros((2, 3, 2)), where=False),
    "where=0": lambda x: np.sum(x, where=0),
    "where=None": lambda x: np.add(x, 1, out=np.zeros((2, 3, 2)), where=None),
    "where= of floats": lambda x: np.sum(x, where=np.array([1.5, 0])),
    "where= of ints": lambda x: np.add(x, 1, out=np.zeros((2, 3, 2)), where=np.array(1)),
    "where= of bools": lambda x: np.sum(x, where=x > 0),
    "fill of a list": lambda x: (b := x > 0, b.fill([1]))[0],
    "fill of a row": lambda x: x.fill(np.array([1.5, 0])),
    "initial= of several": lambda x: np.sum(x, initial=np.array([0, 1])),
    "max with initial= of several": lambda x: np.max(x, initial=[0, 1]),
    "initial= of an array of one": lambda x: np.max(x, initial=np.array(3.0)),
    "axis=True": lambda x: x.sum(axis=True),
    "axis=[0]": lambda x: x.mean([0]),
    "all over axis=[0]": lambda x: np.all(x, axis=[0]),
    "cumsum over True": lambda x: np.cumsum(x, True),
    "argsort over True": lambda x: np.argsort(x, axis=True),
    "squeeze over [0]": lambda x: np.squeeze(x[None], [0]),
    "concatenate over True": lambda x: np.concatenate([x, x], True),
    "keepdims=1": lambda x: x.sum(0, keepdims=1),
    "keepdims=1.5": lambda x: x.sum(0, keepdims=1.5),
    "keepdims='s'": lambda x: x.max(0, keepdims="s"),
    "split into -1": lambda x: np.split(x, -1),
    "split into 0": lambda x: np.array_split(x, 0),
    "hsplit into -1": lambda x: np.hsplit(x, -1),
    "repeat of a float": lambda x: np.repeat(x, 2.0),
    "repeat of a complex number": lambda x: np.repeat(x, 1j),
    "reshape of True": lambda x: x.reshape(True, -1),
    "transpose of True": lambda x: x.transpose(True, 0, 2),
    "broadcast_to of True": lambda x: np.broadcast_to(x, (True, 2, 3, 2)),
    "zeros of True": lambda x: np.zeros(True),
    "a dtype that is an array": lambda x: np.add(x, 1, dtype=np.array(1.5)),
    "ones of an array for a dtype": lambda x: np.ones(2, np.array(1.5)),
    "eye with k=1.0": lambda x: np.eye(3, k=1.0),
    "tri with k=-0.5": lambda x: np.tri(3, k=-0.5),
    "triu beyond 64 bits": lambda x: np.triu(x[0], 2**63),
    "trace of 0.0": lambda x: np.trace(x, 0.0),
    "copy= a word": lambda x: np.array(x, copy="C"),
    "ndmin=1.0": lambda x: np.array(x, ndmin=1.0),
    "prepend=None": lambda x: np.diff(x, prepend=None),
    "pad by uint8": lambda x: np.pad(x, np.uint8(2)),
    "endpoint= of several": lambda x: np.linspace(0, 1, 3, endpoint=np.array([0, 1])),
    "a class as an operand": lambda x: np.logical_and(x, float),
    "searching for a class": lambda x: np.searchsorted(x[1, 1], float),
    "a norm of a scalar's order": lambda x: np.linalg.norm(x.astype(np.float16)[0, 0], np.float32(0.5)),
    "arange from 0.0": lambda x: np.arange(0.0, 5),
    "arange from -0.0": lambda x: np.arange(-0.0, 5),
    "arange of a narrow int": lambda x: np.arange(0, np.uint8(2)),
    "arange of a narrow float": lambda x: np.arange(0, np.float32(0.5)),
    "arange from a narrow int": lambda x: np.arange(np.int8(-1), 5),
    "arange from None": lambda x: np.arange(None, 5),
    "arange from a tuple": lambda x: np.arange((), 5),
    "arange to None": lambda x: np.arange(5, None),
    "the diagonal of a tall matrix": lambda x: (y := x.reshape(6, 2), np.fill_diagonal(y, 7.0))[0],
}


def outcome(program, *args):
    x = X.copy()
    try:
        made = program(x, *args)
    except Exception as error:
        return type(error), str(error), x.tolist()
    parts = made if isinstance(made, (list, tuple)) else [made]
    return [(type(p), getattr(p, "dtype", None), np.shape(p), np.asarray(p).tolist()) for p in parts], x.tolist()


@pytest.mark.parametrize("name", INDICES)
def test_indices(name):
    program, key = INDICES[name]
    assert repr(outcome(quern.compile(lambda x, key: program(x, key)), key)) == repr(outcome(program, key))


@pytest.mark.parametrize("name", FORMS)
def test_forms(name):
    program = FORMS[name]
    assert repr(outcome(quern.compile(lambda x: program(x)))) == repr(outcome(program))


NEW_AT_EACH_CALL = {
    "ix_": lambda x: np.ix_([0, 1], [1]),
    "ix_ of bools": lambda x: np.ix_([True, False], [1, 2]),
    "array": lambda x: (np.array([1, 2]),),
    "indices": lambda x: (np.indices((2, 2)),),
    "ogrid": lambda x: np.ogrid[0:2, 0:3],
    "tril_indices": lambda x: np.tril_indices(3),
    "hanning": lambda x: (np.hanning(4),),
    "nonzero": lambda x: np.nonzero([1, 0, 1]),
    "unravel_index": lambda x: np.unravel_index([1, 2], (2, 3)),
    "block": lambda x: (np.block([[1, 2], [3, 4]]),),
}


@pytest.mark.parametrize("name", NEW_AT_EACH_CALL)
def test_known_arrays_are_new_at_each_call(name):
    program = NEW_AT_EACH_CALL[name]
    fast = quern.compile(lambda x: program(x))
    for _ in range(3):
        given = fast(X)
        assert repr(given) == repr(program(X))
        for part in given:
            part[...] = 77


LAYOUTS = {
    "reductions that keep axes": lambda x: (x.sum(0, keepdims=True), x.max(1, keepdims=True), x.mean(2, keepdims=True), x.any(1, keepdims=True)),
    "an average": lambda x: (x.std(1, keepdims=True), x.sum((0, 2), keepdims=True), x.argmax(1, keepdims=True)),
    "medians": lambda x: (np.median(x, 1, keepdims=True), np.median(x, keepdims=True), np.quantile(x, [0.1, 0.5], 1, keepdims=True)),
    "a new axis before positions": lambda x: x[None, [0, 1]],
    "one row before positions": lambda x: x[1:, [1, 0]],
    "one position": lambda x: x[:, [1]],
    "positions, a number and a new axis": lambda x: x[[[0], [1]], 1, None],
}  # fmt: skip


@pytest.mark.parametrize("turn", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (0, 2, 1)])
@pytest.mark.parametrize("name", LAYOUTS)
def test_strides_of_axes_of_size_one(name, turn):
    program = LAYOUTS[name]
    x = X.transpose(turn)
    wanted, got = program(x), quern.compile(lambda x: program(x))(x)
    wanted, got = (v if isinstance(v, tuple) else (v,) for v in (wanted, got))
    assert [g.strides for g in got] == [w.strides for w in wanted]
    for w, g in zip(wanted, got):
        np.testing.assert_allclose(g, w)
