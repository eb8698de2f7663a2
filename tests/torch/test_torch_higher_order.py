"""torch.cond, checkpointing, autograd.Function, functions marked for the graph, modules made after torch.compile was used."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch_checks import check, compare, compiled, randn

import quern

X = randn(3, 4)


def branches(x):
    def yes(v):
        return v + 1, {"a": v.sum()}

    def no(v):
        return v - 1, {"a": v.mean()}

    return torch.cond(x.sum() > 0, yes, no, (x,))


def test_cond():
    function = compiled(branches)
    with torch.no_grad():
        for x in (X.abs(), -X.abs()):
            expected = (x + 1, {"a": x.sum()}) if x.sum() > 0 else (x - 1, {"a": x.mean()})
            compare(expected, function(x))


def test_cond_on_a_python_bool():
    def fn(x, flag):
        return torch.cond(flag, torch.sin, torch.cos, (x,))

    function = compiled(fn)
    with torch.no_grad():
        compare(X.sin(), function(X, True))
        compare(X.cos(), function(X, False))


@pytest.mark.parametrize(
    ("no", "code"),
    [(lambda v: v.sum(), "cond-branches"), (lambda v: (v, v), "cond-branches"), (lambda v: v.add_(1), "cond-mutation")],
)
def test_cond_that_cannot_be_captured(no, code):
    def fn(x):
        return torch.cond(x.sum() > 0, lambda v: v * 1, no, (x,))

    with torch.no_grad(), pytest.raises(quern.errors.Unsupported) as error:
        compiled(fn)(X.clone())
    assert error.value.code == code


def test_checkpoint():
    layer = nn.Linear(4, 4)

    def fn(x):
        return checkpoint(lambda v, k=1: layer(v).sin() * k, x, use_reentrant=False, k=3)

    check(fn, X)


def _logs():
    log = []

    def inner(v):
        log.append(1)
        return v.sin() * v

    return lambda x: (checkpoint(inner, x, use_reentrant=False), log)


def _logs_into_its_own_list(given=False):
    def fn(x):
        log, table = [], {"n": 0}

        def inner(v, *rest):
            (rest[0] if rest else log).append(1)
            table["n"] += 1
            return v.exp() * v

        return checkpoint(inner, x, *([log] if given else []), use_reentrant=False), log, table

    return fn


def _counts():
    n = 0

    def inner(v):
        nonlocal n
        n += 1
        return v.exp() * n

    return lambda x: (checkpoint(inner, x, use_reentrant=False), n)


def _normalises():
    norm = nn.BatchNorm1d(4)
    return lambda x: (checkpoint(norm, x * 2, use_reentrant=False), norm.running_mean, norm.num_batches_tracked)


def _adds_up():
    def fn(x):
        total = torch.zeros(4)

        def inner(v):
            total.add_(1)
            return v.exp() * v

        return checkpoint(inner, x, use_reentrant=False), total

    return fn


def _sets():
    thing = type("Thing", (), {"n": 0})()

    def inner(v):
        thing.n += 1
        return v.exp()

    return lambda x: (checkpoint(inner, x, use_reentrant=False), thing.n)


def _reenters():
    """Gradients end at inputs that need none."""
    layer = nn.Linear(4, 4)
    return lambda x: (checkpoint(layer, x.detach(), use_reentrant=True) + x, layer.weight)


def _enters_contexts():
    log = []

    @contextlib.contextmanager
    def entered():
        log.append(1)
        yield

    return lambda x: (checkpoint(torch.exp, x, use_reentrant=False, context_fn=lambda: (entered(), entered())), log)


@pytest.mark.filterwarnings("ignore:None of the inputs")
@pytest.mark.parametrize(
    "make",
    [
        _logs, _logs_into_its_own_list, lambda: _logs_into_its_own_list(True), _counts, _normalises, _adds_up, _sets, _reenters,
        _enters_contexts,
    ],
)  # fmt: skip
def test_the_backward_pass_repeats_the_effects_of_a_checkpointed_function(make):
    def observe(wrap):
        torch.manual_seed(0)
        function, seen = wrap(make()), []
        for _ in range(3):
            x = X.clone().requires_grad_()
            result, *rest = function(x)
            result.sum().backward()
            grads = [getattr(r, "grad", None) for r in rest if isinstance(r, nn.Parameter)]
            seen.append([result.detach(), x.grad, copy.deepcopy(rest), grads])
        return seen

    expected = observe(lambda f: f)
    for backend in ("eager", "inductor"):
        compare(expected, observe(lambda f, backend=backend: quern.compile(f, backend=backend)))


def test_a_checkpointed_function_without_effects_is_part_of_the_graph():
    layer = nn.Linear(4, 4)

    def fn(x):
        scales, kinds = {"a": 2, 3: [x]}, {1, "q"}

        def inner(v, *, k):
            found = [layer(v)]
            found.append(found[0].sin() * scales["a"] + scales[3][0] * len(kinds) * k["z"])
            return sum(found)

        return checkpoint(inner, x, use_reentrant=False, k={"z": 3})

    x = X.clone().requires_grad_()
    compare(fn(x), quern.compile(fn, backend="eager", fullgraph=True)(x))


class Scaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * factor if ctx.needs_input_grad == (False, False) else x

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


class Split(torch.autograd.Function):
    @staticmethod
    def forward(x):
        return x.sin(), x.cos()

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.mark_non_differentiable(output[1])

    @staticmethod
    def backward(ctx, a, b):
        return a


def test_autograd_function():
    def fn(x):
        a, b = Split.apply(x)
        return Scaled.apply(x, 2.0) + a * b

    check(fn, X)


def test_autograd_function_with_gradients():
    """Its backward is the program's own: it runs as plain Python inside the graph's two halves."""

    def fn(x):
        return (Scaled.apply(x * 1, 3.0) + 1).sum()

    x = X.clone().requires_grad_()
    fn(x).backward()
    y = X.clone().requires_grad_()
    quern.compile(fn, backend="eager")(y).backward()
    assert torch.equal(x.grad, y.grad)


def test_modules_made_after_torch_compile_was_used():
    """torch.compile replaces nn.Module.__init__ for the whole process."""
    torch.compile(lambda x: x + 1, backend="eager")(X)

    def fn(x):
        return nn.Sequential(nn.ReLU())(x)

    with torch.no_grad():
        compare(fn(X), compiled(fn)(X))


class Logged(torch.autograd.Function):
    log: list[str] = []

    @staticmethod
    def forward(ctx, x):
        Logged.log.append("forward")
        return x * 2

    @staticmethod
    def backward(ctx, grad):
        return grad * 2


def test_effects_of_an_autograd_function_happen_once():
    def fn(x):
        Logged.log.append("before")
        return Logged.apply(x)

    x = X.clone().requires_grad_()
    Logged.log.clear()
    assert torch.equal(quern.compile(fn, backend="eager")(x), x * 2)
    assert Logged.log == ["before", "forward"]


class _Normalised(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.norm, self.last, self.calls = nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4), 0

    def forward(self, x):
        self.calls += 1
        return self.last(torch.relu(self.norm(self.first(x))))


class _WritesAtLast(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_buffer("n", torch.zeros(()))

    def forward(self, x):
        y = torch.sigmoid(self.layer(x))
        self.n += 1  # where the recomputation has ended already
        return y * 2


@pytest.mark.parametrize(
    "make", [_Normalised, _WritesAtLast, lambda: nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))]
)
@pytest.mark.parametrize(
    "settings", [{"use_reentrant": True}, {"use_reentrant": False}, {"use_reentrant": False, "early_stop": False}]
)
def test_compiled_code_under_eagers_checkpointing_changes_what_eager_changes(make, settings):
    """Its recomputation ends once all is there that it needs, in the midst of the function."""

    def observe(wrap):
        torch.manual_seed(0)
        module = make()
        call = wrap(module)
        x = torch.randn(5, 4, requires_grad=True)
        for checkpointed in (False, True, True):
            result = checkpoint(call, x, **settings) if checkpointed else call(x)
            result.sum().backward()
        return [module.state_dict(), getattr(module, "calls", 0), x.grad, [p.grad for p in module.parameters()]]

    expected = observe(lambda m: m)
    for options in ({"backend": "eager"}, {"backend": "eager", "fullgraph": True}):
        compare(expected, observe(lambda m, options=options: quern.compile(m, **options)))
