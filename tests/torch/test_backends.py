"""Backends written for torch.compile: what they are given, what becomes of what they give, and whose their errors are."""

from __future__ import annotations

import copy
import operator
import sys
import warnings
import weakref

import numpy as np
import pytest
import torch
import torch.fx
from backend_programs import PROGRAMS
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx

import quern
import quern.testing

#: programs of which quern makes fewer graphs: printing waits until the graph ran
_FEWER = ("printing",)


def ops_of(gm):
    return [n.target for n in gm.graph.nodes if n.op in ("call_function", "call_method")]


class Recorder:
    """A backend that runs a module as it is, and keeps what it was given."""

    def __init__(self):
        self.modules, self.inputs = [], []

    def __call__(self, gm, example_inputs):
        self.modules.append(gm)
        self.inputs.append(example_inputs)
        return gm.forward

    @property
    def ops(self):
        return [len(ops_of(gm)) for gm in self.modules]


def leaves(tree):
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [t for part in tree for t in leaves(part)] if isinstance(tree, (list, tuple)) else []


def run(compile, fn, calls):
    """Results, arguments behind the calls and gradients; and what the backend was given."""
    torch.manual_seed(0)
    seen = Recorder()
    target = fn() if isinstance(fn, type) else fn
    call = compile(target, backend=seen) if compile is not None else target
    found = []
    for make in calls:
        args = make()
        result = call(*args)
        found.append((result, args))
        differentiated = [t for t in leaves(result) if t.requires_grad]
        if differentiated:
            sum(t.sum() for t in differentiated).backward()
            held = list(target.parameters()) if isinstance(fn, type) else []
            found.append([t.grad for t in [*leaves(args), *held]])
    return found, seen


@pytest.mark.parametrize("name", PROGRAMS)
def test_graphs_are_as_many_as_torch_compiles_and_as_large(name):
    fn, calls = PROGRAMS[name]
    torch._dynamo.reset()
    expected, _ = run(None, fn, calls)
    _, theirs = run(torch.compile, fn, calls)
    found, ours = run(quern.compile, fn, calls)
    assert quern.testing.same(found, expected)
    if name in _FEWER:
        assert sum(ours.ops) == sum(theirs.ops)
        return
    assert ours.ops == theirs.ops
    for one, other in zip(ours.modules, theirs.modules):
        names = [sorted(getattr(t, "__name__", t) for t in ops_of(gm)) for gm in (one, other)]
        assert names[0] == names[1]


# ---------------------------------------------------------------- what a backend is given


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 5)
        self.register_buffer("offset", torch.ones(5))

    def forward(self, x):
        return self.linear(x).relu() + self.offset


def test_a_module_of_the_programs_own_calls():
    model, seen = Model(), Recorder()
    x = torch.randn(4, 3)
    torch.testing.assert_close(quern.compile(model, backend=seen)(x), model(x))
    (gm,), (inputs,) = seen.modules, seen.inputs
    assert isinstance(gm, torch.fx.GraphModule)
    nodes = list(gm.graph.nodes)
    assert [n.op for n in nodes] == ["placeholder"] * 4 + ["call_function", "call_method", "call_function", "output"]
    assert ops_of(gm) == [torch.nn.functional.linear, "relu", operator.add]
    # parameters and buffers are lifted, as torch.compile lifts them
    assert {id(t) for t in inputs} == {id(t) for t in (x, model.linear.weight, model.linear.bias, model.offset)}
    assert not list(gm.parameters())
    assert isinstance(nodes[-1].args[0], tuple)
    for node, example in zip(nodes, inputs):
        for key in ("example_value", "val"):
            fake = node.meta[key]
            assert isinstance(fake, torch._subclasses.FakeTensor)
            assert (fake.shape, fake.dtype, fake.requires_grad) == (example.shape, example.dtype, example.requires_grad)
    assert nodes[4].meta["example_value"].shape == (4, 5)
    line = "return self.linear(x).relu() + self.offset"
    assert all(__file__ in n.meta["stack_trace"] and line in n.meta["stack_trace"] for n in nodes[4:7])


def test_the_graph_of_quern_is_one_attribute_away():
    seen = Recorder()
    quern.compile(lambda x: torch.relu(x) * 2, backend=seen)(torch.ones(3))
    graph = seen.modules[0].quern_graph
    assert [n.op.name for n in graph.nodes if n.op.name not in ("input", "scalar")] == ["relu", "mul"]


def test_a_backend_may_ask_for_graphs_of_quern():
    seen = []

    @quern.register_backend(name="of_quern", graph="quern")
    def of_quern(graph, example_inputs):
        seen.append(graph)
        return quern.testing.CompileCounter()(graph, example_inputs)

    for backend in ("of_quern", of_quern):
        torch.testing.assert_close(
            quern.compile(lambda x: x * 2, backend=backend)(torch.ones(3)), torch.full((3,), 2.0)
        )
    assert [n.op.name for g in seen for n in g.nodes if n.op.name == "mul"] == ["mul", "mul"]
    with pytest.raises(ValueError, match="graph must be 'torch' or 'quern', not 'fx'"):
        quern.register_backend(of_quern, graph="fx")


def test_sizes_that_change_are_symints():
    seen = Recorder()
    f = quern.compile(lambda x: x.reshape(x.shape[0] * 2, -1) + x.shape[1], backend=seen, dynamic=True)
    for shape in ((4, 6), (5, 8), (7, 10)):
        x = torch.randn(shape)
        torch.testing.assert_close(f(x), x.reshape(shape[0] * 2, -1) + shape[1])
    (gm,), (inputs,) = seen.modules, seen.inputs
    assert [type(i) for i in inputs] == [torch.SymInt, torch.SymInt, torch.Tensor]
    fake = next(n.meta["example_value"] for n in gm.graph.nodes if n.target == "reshape")
    assert all(isinstance(n, torch.SymInt) for n in fake.shape)


def test_what_a_backend_concludes_of_sizes_is_guarded():
    seen = []

    def backend(gm, inputs):
        (x,) = (n.meta["example_value"] for n in gm.graph.nodes if n.op == "placeholder" and n.name == "l_x_")
        large = bool(x.shape[0] > 10)
        seen.append(large)
        return lambda *args: (gm(*args)[0] + large,)

    f = quern.compile(lambda x: x * 2, backend=backend, dynamic=True)
    for n in (4, 6, 20, 30, 5):
        torch.testing.assert_close(f(torch.ones(n)), torch.full((n,), 2.0 + (n > 10)))
    assert seen == [False, True]


@pytest.mark.parametrize("dynamic", [False, None, True])
def test_numbers_that_change(dynamic):
    seen = Recorder()
    f = quern.compile(lambda x, n: x * n, backend=seen, dynamic=dynamic)
    for n in (2, 3, 7, 0.5, 0.25, 3.0, 0, 1):
        torch.testing.assert_close(f(torch.ones(3), n), torch.ones(3) * n)


def test_requires_grad_is_guarded():
    seen = Recorder()
    f = quern.compile(lambda x: x * 2, backend=seen)
    f(torch.ones(3))
    y = f(torch.ones(3, requires_grad=True))
    assert y.requires_grad and len(seen.modules) == 2


# ---------------------------------------------------------------- backends of the usual kinds


def _named(backend):
    return backend if isinstance(backend, str) else backend.__name__


def gives_forward(gm, inputs):
    return gm.forward


def gives_the_module(gm, inputs):
    return gm


def interprets(gm, inputs):
    return torch.fx.Interpreter(gm).run


def traces_again(gm, inputs):
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(gm)(*[i.detach().clone() if isinstance(i, torch.Tensor) else i for i in inputs])


def goes_through_aot(gm, inputs):
    from functorch.compile import make_boxed_func
    from torch._dynamo.backends.common import aot_autograd

    return aot_autograd(fw_compiler=lambda gm, _: make_boxed_func(gm.forward))(gm, inputs)


def copies(gm, inputs):
    return copy.deepcopy(gm).forward


def scripts_the_code(gm, inputs):
    gm.graph.lint()
    gm.recompile()
    assert "def forward" in gm.code
    return gm.forward


BACKENDS = [gives_forward, gives_the_module, interprets, traces_again, goes_through_aot, copies, scripts_the_code, "aot_eager",
            "aot_eager_decomp_partition", "eager_noexcept"]  # fmt: skip


def written(x):
    x.add_(1)
    y = x.view(-1)
    y[0] = 9
    return x, y[1:], x.sum()


def stepped(x):
    with torch.no_grad():
        z = x.exp()
    return (x * z).tanh(), z


def sized(x):
    return torch.cat([x, torch.zeros(x.shape[0], 1)], 1).reshape(-1), x.T


@pytest.mark.parametrize("backend", BACKENDS, ids=_named)
@pytest.mark.parametrize("fn", [written, stepped, sized])
def test_results_are_eagers(backend, fn):
    if backend is traces_again and fn is sized:
        pytest.skip("make_fx of one shape")
    f = quern.compile(fn, backend=backend)
    for shape in ((2, 3), (4, 3), (5, 3)):
        mine = torch.randn(shape)
        theirs = mine.clone()
        got, expected = f(mine), fn(theirs)
        assert quern.testing.same(got, expected) and quern.testing.same(mine, theirs)
        if fn is written:
            assert got[0] is mine and got[1].untyped_storage()._cdata == mine.untyped_storage()._cdata


@pytest.mark.parametrize("backend", [b for b in BACKENDS if b is not traces_again], ids=_named)
def test_models_learn_as_in_eager(backend):
    def trained(compile):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 2))
        call = compile(model)
        steps = torch.optim.SGD(model.parameters(), 0.1)
        losses = []
        for i in range(4):
            x = torch.randn(6 + i % 2, 4)
            loss = call(x).pow(2).mean()
            steps.zero_grad()
            loss.backward()
            steps.step()
            losses.append(loss.detach())
        return losses, dict(model.state_dict())

    assert quern.testing.same(trained(lambda m: quern.compile(m, backend=backend)), trained(lambda m: m))


def test_a_backend_that_counts():
    counted = []

    def counts(gm, inputs):
        counted.append(sum(n.op == "call_function" for n in gm.graph.nodes))
        return gm.forward

    quern.compile(lambda x: torch.sin(x) + torch.cos(x) * 2, backend=counts)(torch.ones(3))
    assert counted == [4]


@pytest.mark.parametrize("give", [lambda gm: gm, lambda gm: gm.forward], ids=["module", "forward"])
def test_a_backend_that_rewrites(give):
    def adds_become_products(gm, inputs):
        for node in gm.graph.nodes:
            if node.target in (operator.add, torch.add):
                node.target = torch.mul
            if node.op == "call_method" and node.target == "sin":
                with gm.graph.inserting_after(node):
                    node.replace_all_uses_with(gm.graph.call_function(torch.cos, node.args))
                gm.graph.erase_node(node)
        gm.graph.lint()
        gm.recompile()
        return give(gm)

    f = quern.compile(lambda x, y: torch.add(x, y) + x.sin(), backend=adds_become_products)
    x, y = torch.randn(3), torch.randn(3)
    torch.testing.assert_close(f(x, y), x * y * x.cos())


def test_a_backend_that_looks_at_its_inputs():
    shapes = []

    def looks(gm, inputs):
        shapes.append([tuple(i.shape) for i in inputs])
        return gm.forward

    quern.compile(lambda x, y: x @ y, backend=looks)(torch.ones(2, 3), torch.ones(3, 5))
    assert shapes == [[(2, 3), (3, 5)]]


def test_a_backend_from_an_entry_point(tmp_path, monkeypatch):
    info = tmp_path / "offers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: offers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[torch_dynamo_backends]\noffered_backend = offered:backend\n")
    (tmp_path / "offered.py").write_text(
        "seen = []\n\n\ndef backend(gm, inputs):\n    seen.append(gm)\n    return gm.forward\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "offered_backend" in quern.list_backends()
    torch.testing.assert_close(quern.compile(lambda x: x + 1, backend="offered_backend")(torch.zeros(2)), torch.ones(2))
    (gm,) = sys.modules.pop("offered").seen
    assert ops_of(gm) == [operator.add]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_graphs_are_refused_without_a_gpu():
    with pytest.raises(quern.errors.InvalidBackend) as caught:
        quern.compile(lambda x: x + 1, backend="cudagraphs")
    assert str(caught.value) == (
        "the backend 'cudagraphs' cannot be used here: it records CUDA graphs, and this process has no CUDA device\n"
        "  try: backend='inductor', or no backend="
    )


def test_mode_and_options_are_handed_on():
    given = []

    def takes_settings(gm, inputs, **settings):
        given.append(settings)
        return gm.forward

    for settings in ({}, {"mode": "default"}, {"mode": "fast"}, {"options": {"level": 3}}):
        quern.compile(lambda x: x + 1, backend=takes_settings, **settings)(torch.ones(2))
    assert given == [{}, {}, {"mode": "fast"}, {"options": {"level": 3}}]
    with pytest.raises(quern.errors.InvalidOption, match="either mode= or options="):
        quern.compile(lambda x: x + 1, backend=takes_settings, mode="fast", options={"level": 3})


# ---------------------------------------------------------------- what hangs on tensors of a graph


def _hooked(x, seen):
    y = x * 2
    y.register_hook(lambda grad: seen.append(grad.tolist()) or grad * 10)
    return y.sum()


def _retained(x, seen):
    y = x * 2
    y.retain_grad()
    seen.append(y)
    return (y * y).sum()


def _parameter(x, seen):
    made = torch.nn.Parameter(x.detach() * 2)
    seen.append(made)
    return (made * 3).sum() + x.sum()


@pytest.mark.parametrize("program", [_hooked, _retained, _parameter])
@pytest.mark.parametrize("backend", ["aot_eager", lambda gm, inputs: gm.forward])
def test_gradients_arrive_at_tensors_in_a_graph_of_any_backend(program, backend):
    """A backend of autograd functions computes the gradients of a graph at once: no hook of a tensor inside would see its own."""

    def outcome(run):
        seen = []
        x = torch.tensor([0.5, 1.0, 2.0], requires_grad=True)
        run(x, seen).backward()
        return x.grad.tolist(), [(s.grad.tolist(), type(s)) if isinstance(s, torch.Tensor) else s for s in seen]

    compiled = quern.compile(program, backend=backend)
    expected = outcome(program)
    assert [outcome(compiled), outcome(compiled)] == [expected, expected]


@pytest.mark.parametrize("backend", ["eager", "inductor", "aot_eager"])
def test_a_local_function_is_one_call_where_it_is_allowed_in_graphs(backend):
    def scaled(factor):
        def scale(x):
            return x * factor + 1

        torch._dynamo.allow_in_graph(scale)
        return scale

    scale = scaled(2)
    counter = quern.testing.CompileCounter()
    program = lambda x: scale(x) + 1  # noqa: E731
    counted, compiled = quern.compile(program, backend=counter), quern.compile(program, backend=backend, fullgraph=True)
    for n in (2, 3):
        assert counted(torch.ones(n)).tolist() == compiled(torch.ones(n)).tolist() == [4.0] * n
    assert counter.op_count == 2 * counter.frame_count
    scale = scaled(5)
    x = torch.ones(2, requires_grad=True)
    compiled(x).sum().backward()
    assert x.grad.tolist() == [5.0, 5.0]


# ---------------------------------------------------------------- errors


def test_a_backend_that_raises():
    def no_luck(gm, inputs):
        raise ValueError("no luck")

    f = quern.compile(lambda x: x + 1, backend=no_luck)
    for _ in range(2):
        with pytest.raises(
            quern.errors.BackendFailed, match="backend='no_luck' raised:\nValueError: no luck"
        ) as caught:
            f(torch.ones(2))
        assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.gives_up
def test_falling_back_is_an_option():
    def no_luck(gm, inputs):
        raise ValueError("no luck")

    f = quern.compile(lambda x: x + 1, backend=no_luck)
    with quern.config.patch(on_backend_error="warn"), pytest.warns(UserWarning, match="no luck"):
        torch.testing.assert_close(f(torch.ones(2)), torch.full((2,), 2.0))


def test_a_backend_that_gives_nothing_to_call():
    with pytest.raises(quern.errors.BackendFailed, match="must return a callable, not 5"):
        quern.compile(lambda x: x + 1, backend=lambda gm, inputs: 5)(torch.ones(2))


@pytest.mark.gives_up
@pytest.mark.parametrize("writes", [False, True])
def test_what_the_compiled_function_raises_is_raised(writes):
    def backend(gm, inputs):
        def run(*args):
            raise ArithmeticError("wrong kernel")

        return run

    def f(x):
        if writes:
            x.add_(1)
        return x * 2

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ArithmeticError, match="wrong kernel"):
            quern.compile(f, backend=backend)(torch.ones(2))


def test_the_programs_own_errors_come_at_their_place():
    log = []

    def f(x, i):
        log.append("before")
        y = x[i]
        log.append("behind")
        return y

    g = quern.compile(f, backend=Recorder())
    g(torch.ones(3), torch.tensor([0]))
    log.clear()
    with pytest.raises(IndexError):
        g(torch.ones(3), torch.tensor([7]))
    assert log == ["before"]


def test_an_error_that_the_program_catches():
    def f(x, i):
        try:
            y = x[i]
        except IndexError:
            y = x.sum()
        return y + 1

    g = quern.compile(f, backend=Recorder())
    for i in (0, 7, 1):
        torch.testing.assert_close(g(torch.ones(3), torch.tensor([i])), f(torch.ones(3), torch.tensor([i])))


# ---------------------------------------------------------------- other programs


class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 5


@pytest.mark.parametrize("backend", [gives_forward, "aot_eager", goes_through_aot], ids=_named)
def test_functions_of_autograd(backend):
    x = torch.ones(3, requires_grad=True)
    quern.compile(lambda x: Twice.apply(x.sin()), backend=backend)(x).sum().backward()
    torch.testing.assert_close(x.grad, 5 * torch.ones(3).cos())


def test_a_program_that_has_no_recording():
    """Which branch of torch.cond is taken is chosen by an op of quern: the module is one call that runs its graph."""
    seen = Recorder()

    def f(x):
        return torch.cond(x.sum() > 0, lambda a: a + 1, lambda a: a - 1, (x,)) * 2

    g = quern.compile(f, backend=seen)
    for x in (torch.ones(3), -torch.ones(3)):
        torch.testing.assert_close(g(x), f(x))
    assert len(seen.modules) == 1 and seen.modules[0].quern_graph.op_count


def test_random_numbers_are_eagers():
    def f(x):
        return torch.nn.functional.dropout(x, 0.5) + torch.rand(3)

    g = quern.compile(f, backend=Recorder())
    for _ in range(2):
        torch.manual_seed(3)
        got = g(torch.ones(3))
        torch.manual_seed(3)
        assert torch.equal(got, f(torch.ones(3)))


def test_inference_mode_inside():
    @torch.inference_mode()
    def f(x):
        return x * 2

    y = quern.compile(f, backend=Recorder())(torch.ones(3))
    assert y.is_inference()


def test_autocast_inside():
    def f(x, w):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = x @ w
            with torch.autocast("cpu", enabled=False):
                z = x @ w
        return y, z, x @ w

    x, w = torch.randn(3, 3), torch.randn(3, 3, requires_grad=True)
    assert quern.testing.same(quern.compile(f, backend=Recorder())(x, w), f(x, w))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert quern.testing.same(quern.compile(f, backend=Recorder())(x, w), f(x, w))


def test_the_inputs_of_a_call_are_let_go():
    f = quern.compile(lambda x: x * 2 + 1, backend=gives_forward)
    x = torch.ones(3)
    gone = weakref.ref(x)
    f(x)
    del x
    assert gone() is None


def test_a_tensor_in_two_places_is_one_input():
    seen = Recorder()
    x = torch.ones(3)
    torch.testing.assert_close(quern.compile(lambda a, b: a + b, backend=seen)(x, x), x + x)
    assert len(seen.inputs[0]) == 1


# ---------------------------------------------------------------- modules of torch.fx and torch.export, given to quern


@pytest.mark.parametrize("backend", ["eager", "inductor", gives_forward], ids=_named)
def test_graph_modules_are_compiled(backend):
    model = Model().requires_grad_(False)
    gm = torch.fx.symbolic_trace(model)
    x = torch.randn(4, 3)
    torch.testing.assert_close(quern.compile(gm, backend=backend)(x), model(x))


@pytest.mark.parametrize("backend", ["eager", "inductor", gives_forward], ids=_named)
@pytest.mark.parametrize("whole", [True, False])
def test_exported_programs_are_compiled(backend, whole):
    model = Model().requires_grad_(False)
    x = torch.randn(4, 3)
    rows = torch.export.Dim("rows", min=2, max=64)
    exported = torch.export.export(model, (x,), dynamic_shapes=({0: rows},))
    compiled = quern.compile(exported if whole else exported.module(), backend=backend)
    for n in (4, 7):
        x = torch.randn(n, 3)
        torch.testing.assert_close(compiled(x), model(x))


# ---------------------------------------------------------------- NumPy


def array_function(a):
    return np.cumsum(np.sin(a)) + np.interp(a, [0.0, 1.0], [3.0, 4.0])


def arrays_beside_tensors(x):
    return torch.from_numpy(np.sin(x.detach().numpy()) + 1) * x


def traced_again(gm, example_inputs):
    return make_fx(gm)(*example_inputs)


@pytest.mark.parametrize(
    "backend", ["aot_eager", "eager_noexcept", traced_again, lambda gm, inputs: torch.fx.Interpreter(gm).run]
)
@pytest.mark.parametrize("grad", [False, True])
def test_who_traces_a_module_finds_numpys_calls_and_not_their_results(backend, grad):
    """A traced module that held what NumPy gave once would give it for all inputs."""
    f, g = (quern.compile(fn, backend=backend, fullgraph=True) for fn in (array_function, arrays_beside_tensors))
    for size in (3, 5, 7):
        a, x = np.random.rand(size), torch.rand(size, requires_grad=grad)
        np.testing.assert_allclose(f(a), array_function(a))
        torch.testing.assert_close(g(x), arrays_beside_tensors(x))
        if grad and backend is not traced_again:
            (found,) = torch.autograd.grad(g(x).sum(), x)
            torch.testing.assert_close(found, torch.from_numpy(np.sin(x.detach().numpy()) + 1))


def test_a_numpy_function_is_a_module_of_its_calls():
    seen = Recorder()
    f = quern.compile(lambda a: np.exp(-a).sum(axis=0), backend=seen, fullgraph=True)
    for rows in (2, 3, 4):
        a = np.random.rand(rows, 3)
        np.testing.assert_allclose(f(a), np.exp(-a).sum(axis=0))
    assert [[t.__name__ for t in ops_of(gm)] for gm in seen.modules] == [["neg", "exp", "sum"]] * 2
    assert [list(map(type, inputs)) for inputs in seen.inputs] == [[torch.Tensor], [torch.Tensor, torch.SymInt]]
    assert seen.modules[0].graph.find_nodes(op="output")[0].args[0][0].meta["val"].shape == (3,)


def test_what_numpy_hears_of_is_heard_of_behind_a_backend():
    f = quern.compile(lambda a: np.log(a), backend=lambda gm, inputs: gm.forward, fullgraph=True)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        f(np.zeros(3))
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        f(np.zeros(3))


def test_arrays_that_a_backends_program_writes_to():
    def f(a, x):
        a += 1
        x.mul_(2)
        return a.sum()

    a, x = np.ones(3), torch.ones(2)
    assert quern.compile(f, backend="aot_eager", fullgraph=True)(a, x) == 6
    assert a.tolist() == [2, 2, 2] and x.tolist() == [2, 2]
