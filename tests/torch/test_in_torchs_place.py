"""`quern.install()`: every name by which a program comes to torch.compile leads to quern, and torch is restored exactly."""

# mypy: ignore-errors

from __future__ import annotations

import copy
import inspect
import io
import operator
import pickle
import sys
import types
import unittest.mock
import warnings

import pytest
import torch
import torch._dynamo
import torch._dynamo.testing
from quern.capture.entry.dispatch import CompiledFunction
from torch import compile as early_compile
from torch._dynamo import explain as early_explain
from torch._dynamo import optimize as early_optimize
from torch._dynamo import reset as early_reset
from torch._dynamo import set_stance as early_stance
from torch._dynamo.utils import counters as early_counters
from torch.compiler import set_stance as early_public_stance

import quern
import quern.errors

X = torch.arange(6.0).reshape(2, 3)
NATIVE = {
    (owner, name): inspect.signature(getattr(owner, name))
    for owner in (torch.compiler, torch._dynamo)
    for name in owner.__all__
    if callable(getattr(owner, name))
}


@pytest.fixture
def installed():
    quern.install()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    quern.uninstall()
    quern.set_stance("default")
    quern.reset()


def plus(x):
    """What a function can see of being compiled."""
    return x + 1 if quern.is_compiling() else x - 1


@torch._dynamo.nonstrict_trace
def opaque(x):
    return x * 3


def broken(x):
    x = x + 1
    torch._dynamo.graph_break()
    return x * 2


# ------------------------------------------------------------ torch as it was


def state_of_torch():
    """All that installing could touch: attributes of modules and classes, and what functions are made of, by identity."""
    found = {}
    modules = [
        m for name, m in sys.modules.items() if name.split(".")[0] == "torch" and isinstance(m, types.ModuleType)
    ]
    for owner in [*modules, torch.nn.Module, torch._dynamo.set_stance]:
        found[owner, "class"] = type(owner)
        for name, value in list(vars(owner).items()):
            found[owner, name] = id(value)
            if isinstance(value, types.FunctionType):
                parts = (value.__code__, value.__defaults__, value.__kwdefaults__)
                found[value, "parts"] = [*map(id, parts), {k: id(v) for k, v in value.__dict__.items()}]
    found["errors"] = [(e, e.__bases__) for e in vars(quern.errors).values() if isinstance(e, type)]
    return found


def test_uninstall_restores_torch_exactly():
    quern.compile(plus, backend="eager")(X)  # all that is imported at first use is there
    quern.install()
    quern.uninstall()
    before = state_of_torch()
    quern.install()
    quern.install()  # twice is once
    during = state_of_torch()
    quern.uninstall()
    after = state_of_torch()
    assert [key for key in before if after.get(key) != before[key]] == [] and after.keys() == before.keys()
    changed = {key[1] for key in before if during.get(key) != before[key] and isinstance(key, tuple)}
    assert {"compile", "optimize", "reset", "explain", "lookup_backend", "OptimizedModule"} <= changed
    quern.uninstall()
    assert state_of_torch() == before


def test_torch_compiles_again_when_quern_is_gone():
    quern.install()
    quern.uninstall()
    counter = torch._dynamo.testing.CompileCounter()
    assert not isinstance(torch.compile(plus), CompiledFunction)
    assert torch.equal(torch.compile(lambda x: x.sin(), backend=counter)(X), X.sin())
    assert counter.frame_count == 1


# ------------------------------------------------------------ signatures


@pytest.mark.parametrize("owner", [torch.compiler, torch._dynamo], ids=["public", "private"])
def test_signatures_stay_torchs(installed, owner):
    #: torch's own twins differ: what is shown is the public one
    twins_differ = {"disable", "set_stance", "substitute_in_graph"} if owner is torch._dynamo else set()
    for (place, name), native in NATIVE.items():
        if place is owner and name not in twins_differ:
            assert inspect.signature(getattr(owner, name)) == native, name


@pytest.mark.parametrize(
    "name", sorted({n for _, n in NATIVE if hasattr(torch.compiler, n) and hasattr(torch._dynamo, n)})
)
def test_public_and_private_names_have_one_signature(installed, name):
    assert inspect.signature(getattr(torch.compiler, name)) == inspect.signature(getattr(torch._dynamo, name))


def test_signatures_of_compile():
    before = inspect.signature(torch.compile), inspect.signature(torch.nn.Module.compile), torch.compile.__annotations__
    quern.install()
    try:
        after = (
            inspect.signature(torch.compile),
            inspect.signature(torch.nn.Module.compile),
            torch.compile.__annotations__,
        )
        assert after == before and inspect.signature(early_compile) == before[0]
        assert (torch.compile.__name__, torch.compile.__module__) == ("compile", "torch")
    finally:
        quern.uninstall()


# ------------------------------------------------------------ what compiles


def test_names_bound_before_lead_to_quern(installed):
    assert torch.equal(early_compile(plus, backend="eager")(X), X + 1)
    assert torch.equal(early_optimize("eager")(plus)(X), X + 1)
    f = early_compile(plus, backend="eager")
    with early_stance("force_eager"):
        assert torch.equal(f(X), X - 1)
    with early_public_stance("force_eager"):
        assert torch.equal(f(X), X - 1)
    assert torch.equal(f(X), X + 1)
    found = early_explain(broken)(X)
    assert (found.graph_count, found.graph_break_count) == (2, 1)
    early_reset()
    assert f.entries == []


def test_every_way_of_compiling(installed):
    module = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.ReLU())
    expected = module(X)
    ways = [
        torch.compile(module, backend="eager"),
        torch.compiler.compile(module, backend="eager"),
        torch.compile(backend="eager", fullgraph=True)(module),
        torch._dynamo.optimize("eager", nopython=True)(module),
        torch._dynamo.optimize_assert("eager")(module),
    ]
    for compiled in ways:
        torch.testing.assert_close(compiled(X), expected)
        assert quern.api.functions_of(compiled)[0].entries
        assert isinstance(compiled, torch._dynamo.OptimizedModule)
        assert isinstance(compiled, torch._dynamo.eval_frame.OptimizedModule) and compiled._orig_mod is module
    assert not isinstance(module, torch._dynamo.OptimizedModule)
    module.compile(backend="eager")
    torch.testing.assert_close(module(X), expected)
    assert quern.api.functions_of(module)[0].entries


class Buffered(torch.nn.Sequential):
    def __init__(self):
        super().__init__(torch.nn.Linear(3, 2))
        self.register_buffer("shift", torch.ones(2))

    def forward(self, x):
        return super().forward(x) + self.shift


def seen_of_a_compiled_module():
    """What a program can see of one, whoever compiled it."""
    torch.manual_seed(0)
    module, called = Buffered(), []
    compiled = torch.compile(module, backend="eager", dynamic=False)
    yield (
        type(compiled).__name__,
        type(compiled).__module__,
        repr(compiled),
        len(compiled),
        isinstance(compiled, Buffered),
    )
    yield (
        list(compiled.state_dict()),
        [k for k, _ in compiled.named_parameters()],
        [k for k, _ in compiled.named_buffers()],
    )
    yield (
        [k for k, _ in compiled.named_modules()],
        [k for k, _ in compiled.named_children()],
        list(compiled._parameters),
    )
    yield list(torch.nn.Sequential(compiled).state_dict())
    yield (
        str(compiled.load_state_dict(compiled.state_dict())),
        str(compiled.load_state_dict(module.state_dict(), strict=False)),
    )
    for target, source in ((compiled, module), (module, compiled)):
        with pytest.raises(RuntimeError, match="Missing key") as refused:
            target.load_state_dict(source.state_dict())
        yield str(refused.value)
    compiled.note, compiled.shift = 1, torch.zeros(2)
    yield module.note, "note" in vars(compiled), module.shift.sum().item(), "note" in dir(compiled)
    del compiled.note
    yield (
        hasattr(module, "note"),
        hasattr(compiled, "absent"),
        compiled.eval() is compiled,
        module.training,
        compiled.training,
    )
    compiled.train()
    for other in (copy.deepcopy(compiled), copy.copy(compiled), pickle.loads(pickle.dumps(compiled))):
        yield type(other).__name__, list(other.state_dict())
        yield other(X).tolist(), other._orig_mod is module, vars(other._orig_mod).keys() == vars(module).keys()
    file = io.BytesIO()
    torch.save(compiled, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    yield type(loaded).__name__, list(loaded.state_dict()), loaded(X).tolist()
    for one in (compiled, module):
        one.register_forward_hook(lambda m, args, result: called.append(type(m).__name__))
        one.register_full_backward_hook(lambda m, given, left: called.append((type(m).__name__, "back")))
    x = X.clone().requires_grad_()
    compiled(x).sum().backward()
    yield called, x.grad.tolist(), [p.grad.tolist() for p in compiled.parameters()]
    compiled.forward = lambda x: x * 0
    yield compiled(X).tolist(), module(X).tolist(), "forward" in vars(module)


def test_a_compiled_module_is_as_torchs():
    torchs = list(seen_of_a_compiled_module())
    quern.install()
    try:
        assert list(seen_of_a_compiled_module()) == torchs
    finally:
        quern.uninstall()


class Calling(torch.nn.Linear):
    """A class with a `__call__` of its own."""

    def __call__(self, *args):
        return super().__call__(*args) * 2


@pytest.mark.parametrize("make", [torch.fx.symbolic_trace, lambda m: Calling(3, 2)], ids=["traced", "own call"])
def test_modules_that_call_in_their_own_way_compile_in_place(installed, make):
    module = make(torch.nn.Linear(3, 2))
    expected = module(X)
    module.compile(backend="eager")
    for _ in range(2):
        torch.testing.assert_close(module(X), expected)
    assert torch._dynamo.utils.counters["frames"]["ok"]


def test_mode_and_options_exclude_each_other_whatever_the_options(installed):
    with (
        pytest.raises(RuntimeError, match="either mode= or options="),
        pytest.warns(UserWarning, match="no option 'x'"),
    ):
        torch.compile(plus, mode="default", options={"x": 1})


@pytest.mark.parametrize(
    ("options", "text"), [({"max_autotun": True}, "option max_autotun"), ({"max_autotune": "yes"}, "type of attr")]
)
def test_options_that_torchs_compiler_refuses_are_refused(installed, options, text):
    with pytest.raises(RuntimeError, match=text):
        torch.compile(plus, options=options)
    with pytest.warns(UserWarning, match="no option 'max_autotune': ignored"):
        assert torch.equal(torch.compile(plus, options={"max_autotune": True})(X), X + 1)


def test_the_classes_of_modules_and_of_other_callables(installed):
    counter = torch._dynamo.testing.CompileCounter()

    @torch.compile(backend=counter)
    class Scaled(torch.nn.Module):
        def __init__(self, scale):
            super().__init__()
            self.scale = scale

        def forward(self, x):
            return plus(x) * self.scale

    @torch.compile(backend=counter, fullgraph=True)
    class Shift:
        def __call__(self, x):
            return plus(x) + 1

    for scale in (2, 3):
        module = Scaled(scale)
        assert type(module) is Scaled
        assert torch.equal(module(X), (X + 1) * scale)
    module.register_forward_hook(lambda module, args, result: result + 1)
    assert torch.equal(module(X), (X + 1) * 3 + 1)
    assert counter.frame_count == 3
    assert torch.equal(Shift()(X), X + 2)
    assert counter.frame_count == 4
    with pytest.raises(TypeError, match="no __call__ in Python"):
        torch.compile(int)


def test_compiled_inside_of_compiled_code(installed):
    counter = torch._dynamo.testing.CompileCounter()
    layer = torch.nn.Linear(3, 3)

    @torch.compile(backend=counter, fullgraph=True)
    def whole(x):
        @torch.compile(backend="eager", fullgraph=True)
        def decorated(y):
            return plus(y)

        inner = torch.compile(layer)
        return inner(decorated(x)), isinstance(inner, torch.nn.Linear), torch.compile(lambda y: y * 2)(x)

    for _ in range(2):
        result, is_layer, doubled = whole(X)
        torch.testing.assert_close(result, layer(X + 1))
        assert is_layer and torch.equal(doubled, X * 2)
    assert counter.frame_count == 1

    @torch.compile(backend=counter)
    def given_out(x):
        return torch.compile(plus, backend=counter), x

    made, _ = given_out(X)
    assert isinstance(made, CompiledFunction) and torch.equal(made(X), X + 1)
    assert counter.frame_count == 2


def test_as_many_versions_as_the_limit_says(installed):
    counter = torch._dynamo.testing.CompileCounter()
    f = torch.compile(lambda x, mode: x * len(mode), backend=counter)
    with torch._dynamo.config.patch(recompile_limit=2), pytest.warns(UserWarning, match="the limit is 2"):
        for mode in ("a", "ab", "abc", "abcd", "a"):
            assert torch.equal(f(X, mode), X * len(mode))
    assert counter.frame_count == 2


def test_a_backend_of_the_users_is_given_its_own_options(installed, recwarn):
    given = []

    def takes_settings(gm, inputs, **settings):
        given.append(settings)
        return gm.forward

    torch.compile(plus, backend=takes_settings, options={"level": 3})(X)
    assert given == [{"options": {"level": 3}}]
    assert not [w for w in recwarn if "no option" in str(w.message)]


@pytest.mark.parametrize("name", ["TORCH_COMPILE_DISABLE", "TORCHDYNAMO_DISABLE"])
def test_variables_that_turn_torch_compile_off(installed, monkeypatch, name):
    monkeypatch.setenv(name, "1")
    assert torch.compile(plus) is plus and torch.compile(disable=False)(plus) is plus
    assert torch._dynamo.optimize("eager")(plus) is plus and torch._dynamo.optimize_assert("eager")(plus) is plus
    module = torch.nn.Linear(3, 2)
    module.compile(backend="eager")
    assert module(X).shape == (2, 2) and not torch._dynamo.utils.counters["frames"]


def test_the_profiler_of_older_releases(installed):
    with torch._dynamo.utils.CompileProfiler() as profiler:
        f = torch.compile(broken, backend=profiler, dynamic=False)
        f(X), f(X[0])
        assert (profiler.frame_count, profiler.op_count) == (4, 4)
        text = profiler.report()
    assert "4 graphs, 4 ops" in text and "graph breaks: 1" in text and "recompilations: 2" in text
    assert f"broken ({__file__}:" in text and "shape" in text
    assert broken.__code__ in profiler.get_metrics()["guard_failures"]


def test_optimize_is_no_context_manager(installed):
    with pytest.raises(RuntimeError, match="used with a context manager"):
        with torch._dynamo.optimize("eager"):
            pass
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch._dynamo.optimize("eager", nopython=True)(broken)(X)


def test_torchs_own_code_keeps_torchs_compiler(installed):
    """The eager form of `cond` compiles for its own purposes, and so does `torch.export`."""
    seen = []
    quern.on_compile_end(seen.append)
    taken = torch.cond(X.sum() > 0, lambda x: x + 1, lambda x: x - 1, (X,))
    assert torch.equal(taken, X + 1)
    module = torch.nn.Linear(3, 2)
    assert seen == []
    module.compile(backend="eager")
    module(X)
    assert len(seen) == 1
    for strict in (False, True):
        exported = torch.export.export(torch.nn.Sequential(torch.nn.Linear(3, 2)), (X,), strict=strict)
        assert exported.module()(X).shape == (2, 2)
    exported, _ = torch._dynamo.export(plus)(X)
    assert torch.equal(exported(X), X - 1)
    assert len(seen) == 1


def test_run_uses_what_there_is(installed):
    f = torch.compile(plus, backend="eager", dynamic=False)
    f(X)
    only = torch._dynamo.run(f)
    assert torch.equal(only(X), X + 1) and torch.equal(only(X[0]), X[0] - 1)
    assert torch.equal(torch._dynamo.run()(f)(X), X + 1)


def test_backends_by_name(installed):
    assert torch.compiler.list_backends() == torch._dynamo.list_backends() == quern.list_backends()
    with pytest.raises(torch._dynamo.exc.InvalidBackend, match="Did you mean 'inductor'"):
        torch.compile(plus, backend="inductr")
    torch.compiler.set_default_backend("eager")
    try:
        assert torch.compiler.get_default_backend() == quern.get_default_backend() == "eager"
    finally:
        torch.compiler.set_default_backend(None)
    assert quern.get_default_backend() == "inductor"
    assert callable(torch._dynamo.lookup_backend("inductor")) and callable(torch._dynamo.lookup_backend("eager"))


# ------------------------------------------------------------ marks


def test_marks_of_torch_hold(installed):
    @torch._dynamo.disable
    def left_alone(x):
        return x + 1 if quern.is_compiling() else x - 1

    f = torch.compile(lambda x: left_alone(x * 2), backend="eager")
    assert torch.equal(f(X), X * 2 - 1)
    assert quern.api.functions_of(f)[0].breaks[0].code == "disabled"
    torch._dynamo.disallow_in_graph(torch.sub)
    try:
        g = torch.compile(lambda x: torch.sub(x + 1, 2) * 3, backend="eager")
        assert torch.equal(g(X), (X - 1) * 3)
        assert quern.api.functions_of(g)[0].breaks[0].code == "disallowed"
    finally:
        torch._dynamo.allow_in_graph(torch.sub)
    h = torch.compile(lambda x: torch.sub(x + 1, 2) * 3, backend="eager", fullgraph=True)
    assert torch.equal(h(X), (X - 1) * 3)

    @torch._dynamo.forbid_in_graph
    def forbidden(x):
        return x

    with pytest.raises(torch._dynamo.exc.Unsupported, match="told not to have it in graphs"):
        torch.compile(lambda x: forbidden(x + 1), backend="eager", fullgraph=True)(X)

    assert torch.equal(torch.compile(lambda x: opaque(x) + 1, backend="eager", fullgraph=True)(X), X * 3 + 1)


def test_marks_on_dims_hold(installed):
    for mark in (torch._dynamo.mark_dynamic, torch._dynamo.maybe_mark_dynamic, torch._dynamo.decorators.mark_unbacked):
        counter = torch._dynamo.testing.CompileCounter()
        f = torch.compile(lambda x: x * 2, backend=counter)
        x = torch.ones(4, 3)
        mark(x, 0)
        f(x), f(torch.ones(5, 3))
        assert counter.frame_count == 1, mark


def test_breaks_are_errors_where_torch_says_so(installed):
    f = torch.compile(broken, backend="eager")
    with pytest.raises(torch._dynamo.exc.Unsupported), torch._dynamo.error_on_graph_break(True):
        f(X)
    assert torch.equal(f(X), (X + 1) * 2)
    strict = torch._dynamo.error_on_graph_break(True)(lambda x: broken(x))
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(strict, backend="eager")(X)


def test_nested_regions_are_part_of_the_graph(installed):
    region = torch.compiler.nested_compile_region(lambda x: x.sin() + 1)
    f = torch.compile(lambda x: region(x) * region(x), backend="eager", fullgraph=True)
    torch.testing.assert_close(f(X), (X.sin() + 1) ** 2)


def test_a_compiled_function_can_be_disabled(installed):
    f = torch.compile(plus, backend="eager")
    assert torch.equal(f(X), X + 1) and torch.equal(torch.compiler.disable(f)(X), X - 1)


def test_whether_it_is_being_compiled(installed):
    def asks(x):
        return x + 1 if torch._dynamo.is_compiling() and torch.compiler.is_compiling() else x

    assert torch.equal(torch.compile(asks, backend="eager", fullgraph=True)(X), X + 1)
    assert not torch._dynamo.is_compiling()


# ------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("Unsupported", "Unsupported"),
        ("BackendFailed", "BackendCompilerFailed"),
        ("InvalidBackend", "InvalidBackend"),
        ("RecompileForbidden", "RecompileError"),
        ("RecompileLimitExceeded", "FailOnRecompileLimitHit"),
        ("InternalError", "InternalTorchDynamoError"),
        ("InvalidOption", "TorchDynamoException"),
    ],
)
def test_errors_are_torchs_too(installed, ours, theirs):
    error, parent = getattr(quern.errors, ours), getattr(torch._dynamo.exc, theirs)
    assert issubclass(error, parent) and issubclass(error, quern.errors.QuernError)
    if theirs != "Unsupported":
        assert not issubclass(error, torch._dynamo.exc.Unsupported)


def test_except_clauses_hold(installed):
    with pytest.raises(torch._dynamo.exc.Unsupported, match="graph_break") as caught:
        torch.compile(broken, fullgraph=True, backend="eager")(X)
    assert type(caught.value) is quern.errors.Unsupported and caught.value.msg == str(caught.value)
    f = torch.compile(plus, backend="eager", dynamic=False)
    f(X)
    with torch._dynamo.config.patch(error_on_recompile=True):
        with pytest.raises(torch._dynamo.exc.RecompileError, match="error_on_recompile is set"):
            f(X[0])
    with torch.compiler.set_stance("fail_on_recompile"), pytest.raises(RuntimeError, match="fail_on_recompile"):
        f(X[0])
    with pytest.raises(RuntimeError, match="no mode is called"):
        torch.compile(plus, mode="fastest")

    def failing(gm, inputs):
        raise ValueError("mine")

    with pytest.raises(torch._dynamo.exc.BackendCompilerFailed, match="mine"):
        torch.compile(plus, backend=failing)(X)


def test_errors_alone_have_no_parents_of_torch():
    assert not issubclass(quern.errors.Unsupported, RuntimeError)
    error = quern.errors.Unsupported("code", "what")
    assert isinstance(error, quern.errors.QuernError) and "what" in str(error)


# ------------------------------------------------------------ config


@pytest.mark.parametrize(
    ("theirs", "value", "ours", "meant"),
    [
        ("recompile_limit", 3, "recompile_limit", 3),
        ("cache_size_limit", 4, "recompile_limit", 4),
        ("disable", True, "disable", True),
        ("automatic_dynamic_shapes", False, "automatic_dynamic_shapes", False),
        ("assume_static_by_default", False, "dynamic", True),
        ("capture_scalar_outputs", True, "capture_scalar_outputs", True),
        ("capture_dynamic_output_shape_ops", True, "capture_dynamic_output_shape_ops", True),
        ("error_on_recompile", True, "error_on_recompile", True),
    ],
)
def test_fields_of_config_are_querns(installed, theirs, value, ours, meant):
    before = getattr(torch._dynamo.config, theirs), getattr(quern.config, ours)
    with torch._dynamo.config.patch(theirs, value):
        assert getattr(quern.config, ours) == meant and getattr(torch._dynamo.config, theirs) == value
    with unittest.mock.patch.object(torch._dynamo.config, theirs, value):
        assert getattr(quern.config, ours) == meant
    with quern.config.patch(**{ours: meant}):
        assert getattr(torch._dynamo.config, theirs) == value
    assert (getattr(torch._dynamo.config, theirs), getattr(quern.config, ours)) == before
    setattr(torch._dynamo.config, theirs, value)
    assert getattr(quern.config, ours) == meant
    setattr(torch._dynamo.config, theirs, before[0])
    assert getattr(quern.config, ours) == before[1]


@pytest.mark.parametrize("before", [("warn", "raise"), ("raise", "raise"), ("warn", "warn")])
def test_patches_restore_querns_fields_exactly(installed, before):
    """Two of quern's fields are one of torch's."""
    both = lambda: (quern.config.on_error, quern.config.on_backend_error)  # noqa: E731
    patches = [
        lambda value: torch._dynamo.config.patch(suppress_errors=value),
        lambda value: torch._dynamo.config.patch({"suppress_errors": value, "verbose": False, "recompile_limit": 5}),
        lambda value: unittest.mock.patch.object(torch._dynamo.config, "suppress_errors", value),
    ]
    with quern.config.patch(on_error=before[0], on_backend_error=before[1]):
        for patch in patches:
            for value in (True, False):
                with patch(value):
                    assert both() == (("warn", "warn") if value else ("raise", "raise"))
                    with patch(not value):
                        assert torch._dynamo.config.suppress_errors is not value
                    assert torch._dynamo.config.suppress_errors is value
                assert both() == before

                @patch(value)
                def decorated(value=value):
                    assert torch._dynamo.config.suppress_errors is value

                decorated()
                decorated()
                assert both() == before
    assert quern.config.recompile_limit == 16


def test_config_decides_what_is_compiled(installed):
    f = torch.compile(plus, backend="eager")
    with torch._dynamo.config.patch(disable=True):
        assert torch.equal(f(X), X - 1)
    with torch._dynamo.config.patch(capture_scalar_outputs=True):
        assert torch.compile(lambda x: x * x.sum().item(), backend="eager")(X).equal(X * 15)
        assert torch._dynamo.utils.counters["graph_break"] == {}


def test_fields_without_a_counterpart_say_so_once(installed):
    with pytest.warns(UserWarning, match="torch._dynamo.config.optimize_ddp has no counterpart"):
        torch._dynamo.config.optimize_ddp = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch._dynamo.config.optimize_ddp = True
        with torch._dynamo.config.patch(raise_on_ctx_manager_usage=True, log_compilation_metrics=True):  # as they are
            pass
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # torch's own classes for tests set some
        exec("import torch\ntorch._dynamo.config.nested_graph_breaks ^= True", {"__name__": "torch._dynamo.test_case"})
        exec("import torch\ntorch._dynamo.config.nested_graph_breaks ^= True", {"__name__": "torch._dynamo.test_case"})
    with pytest.warns(UserWarning, match="config.log_level has no counterpart"):
        torch._dynamo.config.log_level = 10
    assert torch._dynamo.config.log_level == 10
    with pytest.raises(AttributeError, match="no_such_field"):
        torch._dynamo.config.no_such_field = 1
    with pytest.raises(AttributeError, match="no_such_field"):
        torch._dynamo.config.no_such_field  # noqa: B018


# ------------------------------------------------------------ records and hooks


def test_counters_are_torchs_own(installed):
    assert torch._dynamo.utils.counters is early_counters
    torch.compile(broken, backend="eager")(X)
    assert early_counters["stats"] == {"unique_graphs": 2, "calls_captured": 2}
    assert sum(early_counters["graph_break"].values()) == 1 and early_counters["frames"]["ok"] == 2
    assert "graph_break" in torch._dynamo.utils.graph_break_reasons[-1].reason
    assert torch._dynamo.utils.graph_break_reasons[-1].user_stack[-1].filename == __file__


def test_recompilations_are_told(installed):
    asked, failed = [], []
    torch._dynamo.utils.register_hook_for_recompile_user_context(lambda: asked.append("epoch") or "epoch 1")
    try:
        f = torch._dynamo.optimize("eager", dynamic=False, guard_fail_fn=failed.append)(plus)
        f(X)
        assert not asked and not failed
        f(X[0])
    finally:
        torch._dynamo.reset_recompile_user_contexts()
    assert asked == ["epoch"] and len(failed) == 1
    assert failed[0].orig_code is plus.__code__ and "shape" in failed[0].reason
    assert "shape" in torch._dynamo.utils.guard_failures[plus.__code__][0]


def test_callbacks_of_both_names(installed, capsys):
    seen = []
    torch._dynamo.on_compile_start(lambda args: seen.append(args))
    torch._dynamo.callback.callback_handler.register_end_callback(lambda args: seen.append(args))
    torch._dynamo.on_compile_end(lambda: print("no argument"))
    quern.on_compile_start(lambda: print("quern's"))
    torch.compile(plus, backend="eager")(X)
    assert capsys.readouterr().out == "quern's\nno argument\n"
    assert [type(a) for a in seen] == [torch._dynamo.callback.CallbackArgs] * 2
    assert seen[0].callback_trigger is torch._dynamo.callback.CallbackTrigger.DYNAMO
    torch._dynamo.reset()
    torch.compile(plus, backend="eager")(X)
    assert capsys.readouterr().out == "" and len(seen) == 2


def test_explain_as_torch_has_it(installed):
    found = torch._dynamo.explain(broken)(X)
    assert isinstance(found, torch._dynamo.backends.debugging.ExplainOutput)
    assert (found.graph_count, found.graph_break_count, found.op_count) == (2, 1, 2)
    assert found.ops_per_graph == [[operator.add], [operator.mul]]
    assert all(isinstance(gm, torch.fx.GraphModule) for gm in found.graphs)
    assert "graph_break" in found.break_reasons[0].reason
    assert found.break_reasons[0].user_stack[-1].filename == __file__ and found.out_guards
    assert "2 graphs, 1 graph break" in str(found)
    assert len(torch._dynamo.utils.graph_break_reasons) == 1
    with pytest.warns(FutureWarning, match="is deprecated"):
        assert torch._dynamo.explain(broken, X).graph_count == 2


def test_modules_say_why_they_end(installed):
    backend = torch._dynamo.backends.debugging.ExplainWithBackend("eager")
    assert torch.equal(torch.compile(broken, backend=backend)(X), (X + 1) * 2)
    found = backend.output()
    assert (found.graph_count, found.graph_break_count, found.op_count, len(found.break_reasons)) == (2, 1, 2, 1)
    assert "graph_break" in found.break_reasons[0].reason
    assert found.break_reasons[0].user_stack[-1].filename == __file__


# ------------------------------------------------------------ names without a counterpart


@pytest.mark.parametrize(
    "call",
    [
        lambda: torch._dynamo.replay("file"),
        lambda: torch.compiler.load_compiled_function(None),
    ],
)
def test_what_gives_a_result_raises(installed, call):
    with pytest.raises(quern.errors.UserError, match=r"torch\.\w+\.\w+\(\) has no counterpart in quern"):
        call()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("torch.compiler.cudagraph_mark_step_begin", lambda: torch.compiler.cudagraph_mark_step_begin()),
        ("torch.compiler.save_cache_artifacts", lambda: torch.compiler.save_cache_artifacts()),
        ("torch.compiler.load_cache_artifacts", lambda: torch.compiler.load_cache_artifacts(b"")),
        ("torch.compiler.set_enable_guard_collectives", lambda: torch.compiler.set_enable_guard_collectives(False)),
        ("torch._dynamo.set_recursion_limit", lambda: torch._dynamo.set_recursion_limit(-1)),
        ("torch._dynamo.patch_dynamo_config", lambda: torch._dynamo.patch_dynamo_config(verbose=True)(plus)),
        ("torch._dynamo.dont_skip_tracing", lambda: torch._dynamo.dont_skip_tracing(plus)),
    ],
)
def test_what_changes_nothing_says_so_once(installed, name, call):
    with pytest.warns(UserWarning, match=name.replace(".", r"\.") + r"\(\) changes nothing") as caught:
        call()
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        call()
