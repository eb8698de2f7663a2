"""torch.compile's other names, under quern's own and under torch's."""

# mypy: ignore-errors

from __future__ import annotations

import copy
import inspect
import math
import pickle
import warnings

import numpy as np
import pytest
import torch
import torch._dynamo
import torch_checks
from quern.capture.switches import function_flags

import quern
import quern.compiler
from quern.errors import InvalidBackend, InvalidOption, RecompileForbidden, Unsupported
from quern.testing import CompileCounter

X = torch.arange(6.0).reshape(2, 3)


@pytest.fixture(autouse=True)
def clean():
    yield
    quern.set_stance("default")
    quern.set_default_backend("inductor")
    quern.uninstall()


def mode(x):
    """What a function can see of being compiled."""
    return x + 1 if quern.is_compiling() else x - 1


def counted(fn, **settings):
    counter = CompileCounter()
    return quern.compile(fn, backend=counter, **settings), counter


# ------------------------------------------------------------ stances


def test_force_eager_as_function_block_and_decorator():
    f = quern.compile(mode, backend="eager")
    assert torch.equal(f(X), X + 1)
    with quern.set_stance("force_eager"):
        assert torch.equal(f(X), X - 1)
    assert torch.equal(f(X), X + 1)
    stance = quern.set_stance("force_eager")
    assert torch.equal(f(X), X - 1)
    with stance:
        assert torch.equal(f(X), X - 1)

    quern.set_stance("default")

    @quern.set_stance("force_eager")
    def plainly(x):
        return f(x)

    assert torch.equal(f(X), X + 1)
    assert torch.equal(plainly(X), X - 1)
    assert torch.equal(f(X), X + 1)


def test_eager_on_recompile_uses_what_there_is():
    f, counter = counted(mode, dynamic=False)
    f(X)
    with quern.set_stance("eager_on_recompile"):
        assert torch.equal(f(X), X + 1)
        assert torch.equal(f(X[0]), X[0] - 1)
    assert counter.frame_count == 1
    assert torch.equal(f(X[0]), X[0] + 1)


def test_fail_on_recompile_says_why():
    f, counter = counted(mode, dynamic=False)
    f(X)
    with quern.set_stance("fail_on_recompile"):
        f(X)
        with pytest.raises(RecompileForbidden) as caught:
            f(X[0])
    text = str(caught.value)
    assert "fail_on_recompile" in text and "test_compiler_names.py" in text and "shape (2, 3)" in text
    assert isinstance(caught.value, RuntimeError)
    f(X[0])
    assert counter.frame_count == 2


def test_eager_then_compile():
    f, counter = counted(mode)
    with quern.set_stance("eager_then_compile"):
        assert torch.equal(f(X), X - 1)
        assert torch.equal(f(X), X + 1)
        assert torch.equal(f(X), X + 1)
    assert counter.frame_count == 1


def test_forced_backend():
    counter = CompileCounter()
    f = quern.compile(mode, backend="eager")
    with quern.set_stance("default", force_backend=counter):
        f(X)
    assert counter.frame_count == 1
    f(X[0])
    assert counter.frame_count == 1


def test_stances_that_are_refused():
    with pytest.raises(InvalidOption, match="Did you mean 'force_eager'"):
        quern.set_stance("force_eagr")
    with pytest.raises(InvalidOption, match="'default' only"):
        quern.set_stance("force_eager", force_backend="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quern.set_stance("default", skip_guard_eval_unsafe=True)


# ------------------------------------------------------------ marks on functions


def c_like(x, n):
    raise AssertionError("captured code uses the substitute")


def test_substitutes_stand_in_for_c_functions(monkeypatch):
    monkeypatch.setattr(
        function_flags, "SUBSTITUTES", dict(function_flags.SUBSTITUTES)
    )  # other tests use math.fsum as it is

    @quern.substitute_in_graph(math.fsum, skip_signature_check=True)
    def fsum(values, /):
        total = 0.0
        for v in values:
            total = total + v
        return total

    f = quern.compile(lambda x: math.fsum([x[0, 1], x[0, 2]]), backend="eager", fullgraph=True)
    assert float(f(X)) == 3.0
    assert fsum([1.0, 2.0]) == 3.0

    with pytest.raises(TypeError, match="signature"):

        @quern.substitute_in_graph(c_like)
        def other(y, n):
            return y

    with pytest.raises(TypeError, match="takes a function"):
        quern.substitute_in_graph(3)


def test_substitutes_fold_constants():
    calls = []

    def slow(n):
        calls.append(n)
        return n * 2

    @quern.substitute_in_graph(slow, can_constant_fold_through=True)
    def fast(n):
        return n + n

    f = quern.compile(lambda x: x * slow(3), backend="eager", fullgraph=True)
    assert torch.equal(f(X), X * 6)
    assert calls == [3]


def test_disable_is_recursive_unless_told_otherwise():
    inner = quern.compile(mode, backend="eager")
    assert torch.equal(quern.disable(lambda x: inner(x))(X), X - 1)
    assert torch.equal(quern.disable(lambda x: inner(x), recursive=False)(X), X + 1)
    assert torch.equal(quern.skip(lambda x: inner(x))(X), X + 1)

    @quern.disable(reason="it counts")
    def helper(x):
        return x * 2

    with pytest.raises(Unsupported, match="it counts"):
        torch_checks.compiled(lambda x: helper(x))(X)


def test_a_disabled_module_is_called_plainly():
    m = quern.disable(torch.nn.Linear(3, 3))
    f = quern.compile(torch.nn.Sequential(torch.nn.ReLU(), m), backend="eager")
    with torch.no_grad():
        assert torch.equal(f(X), m(X.relu()))
    assert quern.api.functions_of(f)[0].breaks[0].code == "disabled"
    assert copy.deepcopy(m) is not m


@pytest.mark.parametrize(
    "wrap",
    [torch.compiler.disable, torch._dynamo.disable, lambda f: torch.compiler.disable(f, recursive=False)],
)  # fmt: skip
def test_torchs_disable_inside(wrap):
    helper = wrap(lambda x: x * 2)
    f, counter = counted(lambda x: helper(x + 1) - 1)
    assert torch.equal(f(X), (X + 1) * 2 - 1)
    assert counter.frame_count == 2


def test_torchs_graph_break_inside():
    def g(x):
        x = x + 1
        torch._dynamo.graph_break()
        return x * 2

    f, counter = counted(g)
    assert torch.equal(f(X), (X + 1) * 2)
    assert counter.frame_count == 2


@torch.compiler.allow_in_graph
def opaque(x):
    return x * 3


@torch.compiler.assume_constant_result
def constant():
    return 7


def test_torchs_marks_inside():
    f, counter = counted(lambda x: opaque(x) + constant(), fullgraph=True)
    assert torch.equal(f(X), X * 3 + 7)
    assert any("opaque" in str(n) for n in counter.graphs[0].quern_graph.nodes)


def test_torchs_questions_inside():
    def g(x):
        if torch.compiler.is_compiling() and torch.compiler.is_dynamo_compiling() and not torch.compiler.is_exporting():
            return x + 1
        return x

    assert torch.equal(torch_checks.compiled(g)(X), X + 1)

    def h(x):
        return x + (quern.is_dynamo_compiling() and not quern.is_exporting())

    assert torch.equal(torch_checks.compiled(h)(X), X + 1)
    assert not quern.is_dynamo_compiling() and not quern.is_exporting()


def test_torchs_marks_on_tensors():
    f, counter = counted(lambda x: x * 2)
    x = torch.ones(4, 3)
    torch._dynamo.mark_dynamic(x, 0)
    f(x)
    f(torch.ones(5, 3))
    assert counter.frame_count == 1
    f, counter = counted(lambda x: x * 2, dynamic=True)
    x = torch.ones(4, 3)
    torch._dynamo.mark_static(x, 0)
    f(x)
    f(torch.ones(5, 3))
    assert counter.frame_count == 2


def test_maybe_mark_dynamic_gives_way():
    f, counter = counted(lambda x: x * 2)
    x = torch.ones(4, 3)
    quern.maybe_mark_dynamic(x, 0)
    f(x)
    f(torch.ones(5, 3))
    assert counter.frame_count == 1
    f, counter = counted(lambda x: x + 1 if x.shape[0] == 4 else x)
    f(x)  # no SpecializationError
    quern.mark_static_address(x)
    with pytest.raises(TypeError):
        quern.mark_static_address(3)
    with pytest.raises(IndexError):
        quern.maybe_mark_dynamic(x, 7)


def test_error_on_graph_break():
    def g(x):
        x = x + 1
        quern.graph_break()
        return x * 2

    def strict(x):
        with quern.error_on_graph_break(True):
            return g(x)

    f = quern.compile(strict, backend="eager")
    with pytest.raises(Unsupported, match="graph_break"):
        f(X)
    f = quern.compile(g, backend="eager")
    with pytest.raises(Unsupported), quern.error_on_graph_break(True):
        f(X)
    assert torch.equal(f(X), (X + 1) * 2)

    @quern.error_on_graph_break(False)
    def allowed(x):
        return g(x)

    f = quern.compile(allowed, backend="eager", fullgraph=True)
    assert torch.equal(f(X), (X + 1) * 2)

    def torchs(x):
        with torch._dynamo.error_on_graph_break(True):
            return g(x)

    with pytest.raises(Unsupported, match="graph_break"):
        quern.compile(torchs, backend="eager")(X)
    with pytest.raises(TypeError):
        quern.error_on_graph_break(1)


def test_wrap_numpy():
    @quern.wrap_numpy
    def f(a, b):
        return np.sin(a) + b, {"k": [np.cos(a)]}

    s, more = f(X, 1)
    torch.testing.assert_close(s, X.sin() + 1)
    torch.testing.assert_close(more["k"][0], X.cos())


# ------------------------------------------------------------ arguments


def test_default_backend():
    counter = CompileCounter()
    quern.set_default_backend(counter)
    assert quern.get_default_backend() is counter
    quern.compile(mode)(X)
    assert counter.frame_count == 1
    with pytest.raises(InvalidBackend):
        quern.set_default_backend("indukt")


def test_name_and_limit():
    f, counter = counted(mode, name="encoder", recompile_limit=2)
    for n in (1, 2, 3, 4):
        f(torch.ones([1] * n))
    assert counter.graphs[0].quern_graph.name == "encoder"
    assert len(f.entries) == 2
    assert "recompiling encoder" in str(f.recompiles[0])
    assert len(f.recompiles) == 2  # the one that the limit forbade, and none for the calls behind it


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"fullgrah": True}, TypeError, "Did you mean 'fullgraph'"),
        ({"fullgraph": "yes"}, TypeError, "must be True or False"),
        ({"dynamic": 3}, TypeError, "True, False or None"),
        ({"recompile_limit": 0}, ValueError, "at least 1"),
        ({"name": 3}, TypeError, "must be a text"),
        ({"mode": "max-autotun"}, InvalidOption, "Did you mean 'max-autotune'"),
        ({"options": {"fuze": 1}}, InvalidOption, "Did you mean 'fuse'"),
        ({"backend": 3}, InvalidBackend, "name or a function"),
    ],
)
def test_arguments_that_are_refused(given, error, text):
    with pytest.raises(error, match=text):
        quern.compile(mode, **given)


# ------------------------------------------------------------ in the place of torch.compile


def test_installed():
    quern.install()
    counter = CompileCounter()
    f = torch.compile(mode, backend=counter, fullgraph=True, name="f", isolate_recompiles=False, shapes_spec=None)
    assert torch.equal(f(X), X + 1)
    assert counter.frame_count == 1
    with torch.compiler.set_stance("force_eager"):
        assert torch.equal(f(X), X - 1)
    torch.compiler.reset()
    f(X)
    assert counter.frame_count == 2
    assert torch.equal(torch.compile(mode, backend="aot_eager")(X), X + 1)
    with pytest.warns(UserWarning, match="no option 'triton.cudagraphs'"):
        torch.compile(mode, options={"triton.cudagraphs": True})
    with pytest.raises(TypeError, match="Did you mean 'dynamic'"):
        torch.compile(mode, dynamik=True)
    before = torch.compiler.set_stance
    quern.uninstall()
    assert torch.compiler.set_stance is not before


@pytest.mark.parametrize("way", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_compiled_modules_are_copied(way):
    m = torch.nn.Linear(3, 2)
    compiled = quern.compile(m, backend="eager")
    with torch.no_grad():
        expected = compiled(X)
        made = way(compiled)
        made.weight.zero_()
        assert torch.equal(compiled(X), expected)
        assert not torch.equal(made(X), expected)


def test_names_have_the_same_signatures():
    for name in quern.compiler.__all__:
        assert getattr(quern.compiler, name) is getattr(quern, name)
    for name in (
        "reset",
        "disable",
        "allow_in_graph",
        "assume_constant_result",
        "list_backends",
        "substitute_in_graph",
    ):
        ours, theirs = (inspect.signature(getattr(m, name)).parameters.values() for m in (quern, torch.compiler))
        assert [(p.name, p.kind) for p in ours] == [(p.name, p.kind) for p in theirs], name


def test_what_explain_tells():
    def g(x):
        x = x.sin() + 1
        quern.graph_break("here")
        return x * 2

    with torch.no_grad():
        found = quern.explain(g)(X)
    assert (found.graph_count, found.graph_break_count, found.op_count) == (2, 1, 3)
    assert found.ops_per_graph == (("sin", "add"), ("mul",))
    assert found.out_guards == found.guards and found.guards
    assert found.break_reasons[0].code == "graph-break" and len(found.graphs) == 2
    assert "capture and the rest" in found.compile_times
    assert "2 graphs, 1 graph break, 3 ops" in str(found) and "break 1: graph break" in str(found)
