"""Messages of compiled programs: warnings and log records, compared with what plain Python gives: which, where, in which order with what
else happens, and what becomes of the program where one of them raises."""

from __future__ import annotations

import functools
import logging
import warnings

import numpy as np
import pytest

import quern

LOG = logging.getLogger("quern.tests.messages")
SEEN: list = []


class Hearing(logging.Handler):
    """Looks at what the program has done so far."""

    def emit(self, record):
        SEEN.append(
            (record.getMessage(), record.levelname, record.lineno, record.funcName, record.filename, list(SEEN))
        )


class Refusing(logging.Handler):
    def emit(self, record):
        raise RuntimeError(f"refused {record.getMessage()}")


def caught(x):
    try:
        warnings.warn("caught", stacklevel=1)
    except UserWarning as error:
        return x * 2, str(error)
    return x, "passed"


def later_changes(x):
    warnings.warn("first", stacklevel=1)
    x += 1
    SEEN.append("between")
    warnings.warn("second", stacklevel=1)
    x += 10
    return x


def in_finally(x):
    try:
        warnings.warn("late", stacklevel=1)
        SEEN.append("not here")
    finally:
        SEEN.append("finally")
    return x


def deprecated(x):
    warnings.warn("old", DeprecationWarning, stacklevel=2)
    return x + 1


def of_the_callers_line(x):
    y = deprecated(x)
    return y * 2


def of_the_line_outside(x):
    warnings.warn("outside", stacklevel=2)
    return x + 1


def far_outside(x):
    warnings.warn("far", stacklevel=50)
    return x + 1


def in_a_loop(x):
    for _ in range(3):
        warnings.warn("same", stacklevel=1)
    return x + 1


def filters_of_its_own(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("hidden", stacklevel=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            warnings.warn("raised", stacklevel=1)
        except UserWarning:
            SEEN.append("raised")
    warnings.warn("seen", stacklevel=1)
    return x + 1


def recorded(x):
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        warnings.warn("for itself", stacklevel=1)
    return x + len(told)


def of_an_object(x):
    warnings.warn(RuntimeWarning("made"), stacklevel=1)
    return x + 1


def of_no_category(x):
    try:
        warnings.warn("odd", 3, stacklevel=1)
    except TypeError as error:
        return x, type(error).__name__
    return x, ""


def logged(x):
    SEEN.append("a")
    LOG.warning("of %d", 3)
    SEEN.append("b")
    LOG.debug("unheard %s", x)
    return x + 1


def logged_first(x):
    LOG.error("first")
    SEEN.append("then")
    return x + 1


def with_an_error(x):
    try:
        {}["missing"]
    except KeyError:
        LOG.exception("failed")
    return x + 1


def refused(x):
    SEEN.append("before")
    try:
        LOG.info("it")
    except RuntimeError as error:
        return x * 2, str(error)
    return x, "passed"


def of_the_root(x):
    logging.warning("root")
    return x + 1


PROGRAMS = (caught, later_changes, in_finally, of_the_callers_line, of_the_line_outside, far_outside, in_a_loop, filters_of_its_own, recorded,
            of_an_object, of_no_category, logged, logged_first, with_an_error, refused, of_the_root)  # fmt: skip


def told(function, actions):
    """What each call gave, and whoever listened heard."""
    found = []
    for action in actions:
        SEEN.clear()
        x = np.arange(3.0)
        vars(__import__(__name__, fromlist=["_"])).pop("__warningregistry__", None)
        before = list(warnings.filters)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter(action)
            inside = list(warnings.filters)
            try:
                made = function(x)
                made = [
                    m.tolist() if isinstance(m, np.ndarray) else m
                    for m in (made if isinstance(made, tuple) else (made,))
                ]
            except Exception as error:
                made = type(error), str(error)
            assert warnings.filters == inside
        assert warnings.filters == before
        given = [(str(w.message), w.category, w.filename, w.lineno) for w in heard]
        found.append((made, x.tolist(), given, list(SEEN)))
    return found


@pytest.fixture
def handlers():
    kept = LOG.handlers, LOG.level, LOG.propagate
    LOG.handlers, LOG.propagate = [Hearing()], False
    LOG.setLevel(logging.INFO)
    yield LOG.handlers
    LOG.handlers, LOG.propagate = kept[0], kept[2]
    LOG.setLevel(kept[1])


ACTIONS = ("always", "error", "always", "ignore", "default", "once", "always")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_messages_are_pythons(program, handlers):
    compiled = quern.compile(program, backend="eager")
    # the line of the caller is one and the same
    want, got = [told(f, ACTIONS) for f in (program, compiled)]
    assert got == want


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_handler_that_raises(backend, handlers):
    compiled = quern.compile(refused, backend=backend)
    for handler in (Hearing, Refusing, Hearing):
        handlers[:] = [handler()]
        assert told(compiled, ["always"]) == told(refused, ["always"])


def test_a_level_that_changes(handlers):
    compiled = quern.compile(logged)
    for level in (logging.WARNING, logging.CRITICAL, logging.INFO, logging.CRITICAL):
        LOG.setLevel(level)
        assert told(compiled, ["always"]) == told(logged, ["always"])
    assert len(compiled.breaks) == 1  # the handler may look at what comes before it


def test_what_nobody_notices_is_one_graph(handlers):
    """A warning that is shown behind the graph, a record below the logger's level, and one that the library itself writes."""

    def program(x):
        warnings.warn("seen", stacklevel=1)
        LOG.debug("unheard %s", x)
        return x + 1

    with pytest.warns(UserWarning, match="seen"):
        quern.compile(program, fullgraph=True)(np.ones(2))
    handlers[:] = [logging.NullHandler()]

    def logs(x, seen):
        seen.append(1)
        LOG.warning("written")
        return x + 1

    quern.compile(logs, fullgraph=True)(np.ones(2), [])


@functools.lru_cache(None)
def said_once(text):
    warnings.warn(text, stacklevel=2)


def test_a_cached_message(handlers):
    def program(x):
        said_once("once in a life")
        return x + 1

    compiled = quern.compile(program)
    for expected in (1, 0, 0):
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            compiled(np.ones(2))
        assert len(heard) == expected
