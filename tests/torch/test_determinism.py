"""`torch.use_deterministic_algorithms` is guarded and obeyed: ops that take another way under it are the framework's own then."""

from __future__ import annotations

import contextlib

import pytest
import torch

import quern

X = torch.arange(6.0)
I = torch.tensor([1, 1, 3])
PROGRAMS = {
    "index_put": lambda x: x.index_put((I,), torch.tensor([1.0, 2.0, 3.0])) * 2,
    "accumulated": lambda x: x.index_put((I,), torch.ones(3), accumulate=True) * 2,
    "index_copy": lambda x: x.index_copy(0, I, torch.ones(3)) * 2,
    "empty": lambda x: torch.empty(3) + x[:3],
    "empty_like": lambda x: torch.empty_like(x),
    "new_empty of ints": lambda x: x.long().new_empty(4),
    "put": lambda x: x.put(I, torch.ones(3)) * 2,
    "put that accumulates": lambda x: x.put(I, torch.ones(3), accumulate=True) * 2,
    "written by a list of places": lambda x: _write(x.clone()),
}


def _write(x):
    x[I] = 7.0
    return x + 1


@contextlib.contextmanager
def deterministic(fill=True, warn_only=False):
    torch.use_deterministic_algorithms(True, warn_only=warn_only)
    before = torch.utils.deterministic.fill_uninitialized_memory
    torch.utils.deterministic.fill_uninitialized_memory = fill
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = before


def outcome(f):
    try:
        return f(X.clone())
    except RuntimeError as error:
        return str(error)


@pytest.mark.parametrize("name", PROGRAMS)
def test_obeyed(name) -> None:
    with torch.no_grad(), deterministic():
        want, got = outcome(PROGRAMS[name]), outcome(quern.compile(PROGRAMS[name]))
    if isinstance(want, str):
        assert got == want
    else:
        torch.testing.assert_close(got, want, equal_nan=True, rtol=0, atol=0)


def test_a_refusal_comes_and_goes_with_the_mode() -> None:
    compiled = quern.compile(PROGRAMS["put"])
    with torch.no_grad():
        expected = compiled(X.clone())
        with deterministic(), pytest.raises(RuntimeError, match="put_ does not have a deterministic implementation"):
            compiled(X.clone())
        torch.testing.assert_close(compiled(X.clone()), expected)


def test_memory_is_filled_where_that_is_asked_for() -> None:
    compiled = quern.compile(PROGRAMS["empty_like"])
    with torch.no_grad():
        compiled(X)
        with deterministic():
            assert compiled(X).isnan().all()
        with deterministic(fill=False):
            assert compiled(X).shape == X.shape


def test_other_graphs_are_compiled_as_ever() -> None:
    compiled = quern.compile(lambda x: (x * 2).softmax(0), fullgraph=True)
    with torch.no_grad(), deterministic():
        torch.testing.assert_close(compiled(X), (X * 2).softmax(0))
        report = str(quern.explain(lambda x: (x * 2).softmax(0))(X))
    assert "1 kernel launch" in report
