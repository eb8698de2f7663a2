"""The compile API as users of torch.compile know it: modules in place, serialisation, callbacks, decorators, switches."""

from __future__ import annotations

import copy
import inspect
import io

import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402
import quern.compiler  # noqa: E402
import quern.testing  # noqa: E402

pytestmark = pytest.mark.torch


class Toy(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(10, 10)
        self.relu = torch.nn.ReLU()

    def forward(self, x):
        return self.relu(self.linear(x))


@pytest.fixture(autouse=True)
def clean():
    quern.reset()
    yield
    quern.uninstall()
    quern.reset()


@pytest.fixture
def installed():
    quern.install()
    yield
    quern.uninstall()


@pytest.fixture
def no_grad():
    with torch.no_grad():
        yield


x = torch.randn(10, 10)


def test_module_compiles_in_place(installed, no_grad):
    m = Toy()
    counter = quern.testing.CompileCounter()
    assert m._compiled_call_impl is None
    m.compile(backend=counter)
    assert m._compiled_call_impl is not None
    out = m(x)
    assert counter.frame_count == 1
    torch.testing.assert_close(out, Toy.forward(m, x))


def test_uninstall_restores_torch():
    before = (torch.compile, torch.nn.Module.compile)
    quern.install()
    assert torch.compile is not before[0]
    quern.install()  # twice is once
    quern.uninstall()
    assert (torch.compile, torch.nn.Module.compile) == before
    quern.uninstall()


def test_module_survives_saving(installed, no_grad):
    m = Toy()
    m.compile(backend="eager")
    expected = m(x)
    buffer = io.BytesIO()
    torch.save(m, buffer)
    buffer.seek(0)
    loaded = torch.load(buffer, weights_only=False)
    torch.testing.assert_close(loaded(x), expected)


@pytest.mark.parametrize("in_place", [True, False])
def test_state_dict_has_no_prefix(installed, no_grad, in_place):
    m = Toy()
    if in_place:
        m.compile(backend="eager")
        compiled = m
    else:
        compiled = quern.compile(m, backend="eager")
    expected = compiled(x)
    assert list(compiled.state_dict()) == ["linear.weight", "linear.bias"]
    fresh = Toy()
    fresh.load_state_dict(compiled.state_dict())
    torch.testing.assert_close(fresh(x), expected)


def test_compiled_module_is_the_module(no_grad):
    m = Toy()
    compiled = quern.compile(m, backend="eager")
    assert isinstance(compiled, torch.nn.Module)
    assert compiled.linear is m.linear
    assert [n for n, _ in compiled.named_parameters()] == ["linear.weight", "linear.bias"]
    compiled.eval()
    assert not m.training
    torch.testing.assert_close(compiled(x), m(x))


def test_module_survives_jit(installed, no_grad):
    m = Toy()
    m.compile(backend="eager")
    expected = m(x)
    scripted = torch.jit.script(m)
    buffer = io.BytesIO()
    torch.jit.save(scripted, buffer)
    buffer.seek(0)
    loaded = torch.jit.load(buffer)
    torch.testing.assert_close(loaded(x), expected)


class Counted(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x):
        self.calls += 1
        return self.linear(x) * self.calls


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    "script", [torch.jit.script, lambda m: torch.jit.trace(m, torch.ones(3, 2), check_trace=False)]
)
def test_scripted_modules_compile(script, backend):
    """Their classes have no `forward`: instances find theirs in C++."""
    scripted = script(Counted())
    plain = copy.deepcopy(scripted)
    compiled = quern.compile(scripted, backend=backend)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    for _ in range(2):
        result = compiled(torch.ones(3, 2))
        torch.testing.assert_close(result, plain(torch.ones(3, 2)))
    result.sum().backward()
    assert scripted.linear.weight.grad is not None
    torch.testing.assert_close(copy.deepcopy(compiled)(torch.ones(3, 2)), plain(torch.ones(3, 2)))


@pytest.mark.parametrize("arguments", [0, 1])
def test_callbacks_run_around_a_compilation(no_grad, capsys, arguments):
    if arguments:
        quern.on_compile_start(lambda args: print("Compilation started."))
        quern.on_compile_end(lambda args: print("Compilation ended."))
    else:

        @quern.on_compile_start
        def started():
            print("Compilation started.")

        @quern.on_compile_end
        def ended():
            print("Compilation ended.")

        assert callable(started) and callable(ended)
    quern.compile(Toy(), backend="eager")(x)
    assert capsys.readouterr().out == "Compilation started.\nCompilation ended.\n"


def test_a_graph_break_compiles_twice(no_grad, capsys):
    quern.on_compile_start(lambda: print("start"))
    quern.on_compile_end(lambda: print("end"))

    @quern.compile(backend="eager")
    def f(a):
        b = torch.sin(a)
        quern.graph_break()
        return torch.cos(b)

    torch.testing.assert_close(f(x), torch.cos(torch.sin(x)))
    assert capsys.readouterr().out == "start\nend\nstart\nend\n"
    f(x)
    assert capsys.readouterr().out == ""


def test_callbacks_run_once_around_a_backend_that_compiles(no_grad, capsys):
    quern.on_compile_start(lambda: print("start"))
    quern.on_compile_end(lambda: print("end"))

    def backend(gm, example_inputs):
        inner = quern.compile(gm.forward, backend="eager")
        inner(*example_inputs)
        print("inside")
        return inner

    quern.compile(lambda a: a.sin() + 1, backend=backend)(x)
    assert capsys.readouterr().out == "start\ninside\nend\n"


@pytest.mark.gives_up
@pytest.mark.parametrize("register", [quern.on_compile_start, quern.on_compile_end])
def test_what_a_callback_raises_is_the_programs_own(no_grad, register):
    @register
    def failing():
        raise KeyError("mine")

    f = quern.compile(lambda a: a + 1, backend="eager")
    for _ in range(5):
        with pytest.raises(KeyError, match="mine"):
            f(x)
    quern.reset()
    torch.testing.assert_close(f(x), x + 1)
    assert len(f.entries) == 1


def test_callbacks_must_be_callable():
    with pytest.raises(TypeError, match="must be callable, not int"):
        quern.on_compile_start(3)


def test_decorator_form(no_grad):
    m = Toy()
    compiled = quern.compile(backend="eager", fullgraph=True)(m)
    torch.testing.assert_close(compiled(x), m(x))


def test_reset_clears_code_and_callbacks(no_grad, capsys):
    counter = quern.testing.CompileCounter()
    f = quern.compile(lambda a: a + 1, backend=counter)
    f(x)
    f(x)
    assert counter.frame_count == 1
    quern.on_compile_start(lambda: print("start"))
    quern.reset()
    f(x)
    assert counter.frame_count == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["reset", "allow_in_graph", "list_backends", "assume_constant_result", "disable"])
def test_compiler_has_the_same_signatures(name):
    assert inspect.signature(getattr(quern.compiler, name)) == inspect.signature(getattr(quern, name))


def test_unknown_backend_lists_what_is_known():
    with pytest.raises(quern.errors.InvalidBackend) as caught:
        quern.compile(Toy(), backend="inducto")
    text = str(caught.value)
    assert "'inducto'" in text and "Did you mean 'inductor'?" in text and " eager," in text and " inductor," in text


def test_backends_can_be_added(no_grad):
    seen = []

    @quern.register_backend(name="recording", graph="quern")
    def recording(graph, example_inputs):
        seen.append((graph, example_inputs))
        return quern.testing.CompileCounter()(graph, example_inputs)

    assert "recording" in quern.list_backends()
    torch.testing.assert_close(quern.compile(lambda a: a * 2, backend="recording")(x), x * 2)
    ((graph, inputs),) = seen
    assert [n.op.name for n in graph.nodes if n.op.name not in ("input", "scalar")] == ["mul"]
    assert inputs[0].shape == x.shape


def test_mode_and_options_exclude_each_other():
    with pytest.raises(quern.errors.InvalidOption, match="either mode= or options="):
        quern.compile(Toy(), mode="default", options={"fuse": False})


def test_unknown_mode_and_option_are_named():
    with pytest.raises(quern.errors.InvalidOption, match="max-autotune"):
        quern.compile(Toy(), mode="max-autotun")
    with pytest.raises(quern.errors.InvalidOption, match="'fuse'"):
        quern.compile(Toy(), options={"fuze": False})


def test_disable_runs_plain(no_grad):
    counter = quern.testing.CompileCounter()

    @quern.disable
    def inner(a):
        return a * 3

    @quern.compile(backend=counter)
    def f(a):
        return inner(a + 1) - 1

    torch.testing.assert_close(f(x), (x + 1) * 3 - 1)
    assert counter.frame_count == 2
    assert quern.compile(f, disable=True) is f


def test_is_compiling(no_grad):
    @quern.compile(backend="eager", fullgraph=True)
    def f(a):
        return a + 1 if quern.is_compiling() else a - 1

    torch.testing.assert_close(f(x), x + 1)
    assert not quern.is_compiling()


def test_gradients_stay_eagers():
    m = Toy()
    compiled = quern.compile(m)
    compiled(x).sum().backward()
    got = [p.grad.clone() for p in m.parameters()]
    m.zero_grad()
    m(x).sum().backward()
    for a, p in zip(got, m.parameters()):
        torch.testing.assert_close(a, p.grad)


def test_compiled_module_can_be_scripted(no_grad):
    compiled = quern.compile(Toy(), backend="eager")
    expected = compiled(x)
    torch.testing.assert_close(torch.jit.script(compiled)(x), expected)
