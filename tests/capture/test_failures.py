"""Failures of quern itself: raised where asked for, else said once and tried again; an odd input spoils nothing for others."""

# mypy: ignore-errors

from __future__ import annotations

import gc
import sys
import threading
import warnings
import weakref

import pytest
from quern.capture.entry.dispatch import CompiledFunction
from quern.capture.entry.failures import ATTEMPTS, MOST
from toy import Toy, ToyFrontend, ToyValue, toy_compile

import quern
from quern.errors import InternalError, LoweringError

ONE, TWO, THREE = Toy([1.0]), Toy([1.0, 2.0]), Toy([1.0, 2.0, 3.0])


class Defect:
    """`relu` of three elements cannot be captured."""

    def __init__(self, monkeypatch) -> None:
        self.attempts = 0
        self.error: Exception = TypeError("no relu\nof three")
        self.monkeypatch = monkeypatch
        whole = ToyValue.m_relu

        def relu(value, ev):
            if value.node.shape == (3,):
                self.attempts += 1
                raise self.error
            return whole(value, ev)

        monkeypatch.setattr(ToyValue, "m_relu", relu)

    def mend(self) -> None:
        self.monkeypatch.undo()


@pytest.fixture
def defect(monkeypatch):
    return Defect(monkeypatch)


def helper(x):
    return x.relu() + 1


def program(x):
    y = x * 2
    return helper(y)


def calls(function, *inputs):
    """What was warned about while the function was called; its results are checked."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for x in inputs:
            assert function(x).data.tolist() == (x.data * 2 + 1).tolist()
    return [str(w.message) for w in caught]


@pytest.mark.gives_up
def test_a_warning_says_what_failed_where_and_what_to_do(defect):
    (text,) = calls(toy_compile(program), THREE)
    assert text.startswith("quern could not compile program (TypeError: no relu); this call runs as plain Python.")
    assert "of three" in text
    assert __file__ in text and "return x.relu() + 1" in text
    assert "report" in text and "quern info" in text
    assert "quern.config.on_error = 'raise'" in text and "QUERN_ON_ERROR=raise" in text


@pytest.mark.gives_up
def test_the_next_call_is_tried_again(defect):
    compiled = toy_compile(program)
    assert len(calls(compiled, THREE)) == 1
    defect.mend()
    assert calls(compiled, THREE, THREE) == []
    assert len(compiled.entries) == 1 and compiled.entries[0].graph.op_count == 3


@pytest.mark.gives_up
def test_an_odd_input_is_tried_a_few_times_and_others_are_compiled_as_ever(defect):
    compiled = toy_compile(program, dynamic=False)
    assert len(calls(compiled, *[THREE] * 10)) == 1
    assert defect.attempts == ATTEMPTS
    assert calls(compiled, ONE, THREE, TWO, THREE, ONE) == []
    assert defect.attempts == ATTEMPTS
    graphs = [e.graph for e in compiled.entries]
    assert sum(g is not None for g in graphs) == 2 and graphs[-1] is None


@pytest.mark.gives_up
def test_what_was_left_to_plain_python_hides_no_compiled_version(monkeypatch):
    """The attempt fails before it knows anything of the input: all inputs look like it."""
    compiled = toy_compile(program)
    calls(compiled, ONE)
    whole = ToyFrontend.wrap

    def wrap(frontend, ev, obj, source):
        if obj.data.shape == (3,):
            raise RuntimeError("odd")
        return whole(frontend, ev, obj, source)

    monkeypatch.setattr(ToyFrontend, "wrap", wrap)
    assert len(calls(compiled, *[THREE] * 5)) == 1
    ran = []
    graph = compiled.entries[0].executable.call
    compiled.entries[0].captured.names["_graph"] = lambda *args: ran.append(1) or graph(*args)
    assert calls(compiled, ONE, THREE, ONE) == []
    assert len(ran) == 2


@pytest.mark.gives_up
@pytest.mark.parametrize("how", ["fullgraph", "on_error"])
def test_a_failure_raises_where_asked_for(defect, how):
    compiled = toy_compile(program, fullgraph=how == "fullgraph")
    with quern.config.patch(on_error="warn" if how == "fullgraph" else "raise"):
        for _ in range(2):
            with pytest.raises(
                InternalError, match=r"(?s)TypeError: no relu.*return x.relu\(\) \+ 1.*report"
            ) as caught:
                compiled(THREE)
            assert caught.value.__cause__ is defect.error
        assert calls(compiled, ONE) == []


@pytest.mark.gives_up
def test_errors_of_our_own_are_raised_as_they_are(defect):
    defect.error = LoweringError("[lower] nothing")
    with pytest.raises(LoweringError) as caught:
        toy_compile(program, fullgraph=True)(THREE)
    assert caught.value is defect.error


@pytest.mark.gives_up
def test_a_backend_that_fails_for_some_sizes():
    asked = []

    def backend(graph, examples, context):
        asked.append(examples[0].data.shape)
        if asked[-1] == (3,):
            raise ValueError("out of kernels")
        return toy_compile(program).backend(graph, examples, context)

    compiled = CompiledFunction(program, backend=backend, dynamic=False)
    (text,) = calls(compiled, THREE, ONE, THREE, THREE, THREE, TWO, THREE)
    assert "program" in text and "out of kernels" in text
    assert asked == [(3,), (1,), (3,), (3,), (2,)]


@pytest.mark.gives_up
def test_an_entry_that_does_not_fit_its_own_input(monkeypatch):
    whole = ToyFrontend.wrap

    def wrap(frontend, ev, obj, source):
        ev.guards.test(source, "{x} is None", "{label} was nothing")
        return whole(frontend, ev, obj, source)

    monkeypatch.setattr(ToyFrontend, "wrap", wrap)
    compiled = toy_compile(program)
    (text,) = calls(compiled, *[ONE] * 6)
    assert "does not fit what it was made from" in text and "was nothing" in text
    assert compiled.dispatcher.failures == 6
    compiled.dispatcher.failures = MOST
    assert calls(compiled, ONE) == [] and compiled.dispatcher.failures == MOST


@pytest.mark.gives_up
def test_the_arguments_of_a_call_that_failed_are_not_kept(defect):
    compiled = toy_compile(program)
    x = Toy([1.0, 2.0, 3.0])
    gone = weakref.ref(x)
    gc.disable()
    try:
        calls(compiled, x)
        defect.error = TypeError()  # it has a traceback
        del x
        assert gone() is None
    finally:
        gc.enable()


# ---------------------------------------------------------------- graphs that raise


LOG: list[str] = []


def steps(x):
    LOG.append("start")
    y = x * 2
    LOG.append("end")
    return y


class Raising:
    """A backend whose graphs raise."""

    def __init__(self) -> None:
        self.runs = 0

    def __call__(self, graph, examples, context):
        def run(*inputs):
            self.runs += 1
            raise RuntimeError("in vain")

        return run


@pytest.mark.gives_up
def test_a_graph_that_raises_where_plain_python_does_not():
    backend = Raising()
    compiled = CompiledFunction(steps, backend=backend)
    LOG.clear()
    with pytest.warns(
        UserWarning, match=r"(?s)quern ran a graph of steps that raised in vain \(RuntimeError.*report"
    ) as caught:
        for _ in range(6):
            assert compiled(ONE).data.tolist() == [2.0]
    assert len(caught) == 1
    assert LOG == ["start", "end"] * 6
    assert backend.runs == ATTEMPTS


@pytest.mark.gives_up
def test_under_fullgraph_such_a_graph_is_an_error():
    compiled = CompiledFunction(steps, backend=Raising(), fullgraph=True)
    with pytest.raises(InternalError, match="raised in vain") as caught:
        compiled(ONE)
    assert isinstance(caught.value.__cause__, RuntimeError)


# ---------------------------------------------------------------- first compilations in several threads


def test_captures_that_overlap_leave_the_recursion_limit_as_it_was():
    limit, interval = sys.getrecursionlimit(), sys.getswitchinterval()
    compiled = [toy_compile(lambda x, k=k: helper(x * k) + helper(x)) for k in range(8)]
    start = threading.Barrier(8)
    errors = []

    def work(k):
        try:
            start.wait()
            for i in range(8):
                compiled[(k + i) % 8](ONE)
        except Exception as error:
            errors.append(error)

    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    finally:
        sys.setswitchinterval(interval)
    assert not errors
    assert sys.getrecursionlimit() == limit


def test_a_front_end_is_loaded_once_however_many_threads_ask(monkeypatch):
    from quern.capture import frontend

    loads = []
    start = threading.Barrier(8)

    def loader():
        loads.append(1)
        return ToyFrontend()

    monkeypatch.setattr(frontend, "_loaders", [loader])
    monkeypatch.setattr(frontend, "_frontends", list(frontend._frontends))
    found, errors = [], []

    def work():
        start.wait()
        try:
            found.append([f.name for f in frontend.frontends()])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and loads == [1]
    assert all(names.count("toy") == 1 for names in found)


@pytest.mark.gives_up
def test_code_that_python_refuses_is_such_a_failure(monkeypatch):
    whole = ToyValue.rebuild
    refused = []

    def rebuild(value, rb):
        if value.node.shape == (3,):
            refused.append(1)
            rb.emit("1 +")
        return whole(value, rb)

    monkeypatch.setattr(ToyValue, "rebuild", rebuild)
    compiled = toy_compile(program, dynamic=False)
    (text,) = calls(compiled, *[THREE] * 5, ONE, THREE)
    assert "SyntaxError" in text
    assert len(refused) == ATTEMPTS
    assert compiled.entries[0].graph is not None
