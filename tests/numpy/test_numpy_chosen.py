"""Elements chosen by a mask, `v = x[x > 0]`, as operands of whatever NumPy has: their number is not known while a program is captured."""

from __future__ import annotations

import numpy as np
import pytest

import quern

X = np.array([-2.5, 3.0, -0.5, 1.5])


WRITES = (
    lambda v, x: np.putmask(v, v < 2, x),
    lambda v, x: np.putmask(v, v < 2, 7.0),
    lambda v, x: np.putmask(x, x < 0, v),
    lambda v, x: np.place(v, v < 2, [7.0]),
    lambda v, x: np.put(v, [0], [7.0]),
    lambda v, x: np.put_along_axis(v, np.array([0]), 7.0, 0),
    lambda v, x: np.copyto(v, 1.0),
    lambda v, x: np.copyto(v, x[:1], where=v > 2),
    lambda v, x: np.copyto(x, v[:1]),
    lambda v, x: np.add(v, 1, out=v),
    lambda v, x: np.cumsum(v, out=v),
    lambda v, x: np.clip(v, 2, None, out=v),
    lambda v, x: np.add.at(v, [0], 1),
    lambda v, x: v.sort(),
    lambda v, x: v.fill(3),
    lambda v, x: v.__setitem__(v > 2, 0),
)
READS = (
    lambda v, x: np.ascontiguousarray(v),
    lambda v, x: np.array([v, v]),
    lambda v, x: np.where(v > 2, 1.0, v),
    lambda v, x: np.select([v > 2], [v], 0.0),
    lambda v, x: np.piecewise(v, [v > 2], [1, 2]),
    lambda v, x: np.interp(v, [0, 1], [2, 3]),
    lambda v, x: np.interp(1.5, np.sort(v), v),
    lambda v, x: np.zeros_like(v),
    lambda v, x: np.broadcast_to(v, (2, *v.shape)),
    lambda v, x: np.pad(v, 1),
    lambda v, x: np.repeat(v, 2),
    lambda v, x: np.average(v, weights=v),
    lambda v, x: np.einsum("i,i->", v, v),
    lambda v, x: v @ v,
    lambda v, x: np.add.outer(v, v),
    lambda v, x: np.isin(x, v),
    lambda v, x: np.hypot(v, x[:1]),
    lambda v, x: np.sum(v, where=v > 2),
    lambda v, x: np.max(v, initial=2.0),
)


@pytest.mark.parametrize("number", range(len(WRITES) + len(READS)))
def test_values(number):
    call = (*WRITES, *READS)[number]

    def program(x):
        v = x[x > 0]
        return call(v, x), v, x

    compiled = quern.compile(program)
    with quern.config.patch(on_error="raise"):
        for x in (X, -X):
            for made, expected in zip(compiled(x.copy()), program(x.copy())):
                assert type(made) is type(expected)
                if expected is not None:
                    np.testing.assert_allclose(made, expected, rtol=1e-12)
                    assert made.dtype == expected.dtype and made.shape == expected.shape


def test_a_handler_that_takes_them_for_an_array_breaks_the_graph():
    def program(x):
        v = x[x > 0]
        np.putmask(v, v < 2, x)
        return v

    with pytest.raises(quern.errors.Unsupported, match="elements chosen by a mask"):
        quern.compile(program, fullgraph=True)(X.copy())
