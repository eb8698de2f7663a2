"""Operators called by their own name, custom operators, and scans."""

from __future__ import annotations

import traceback

import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402

pytestmark = pytest.mark.torch


@torch.library.custom_op("quern_custom::scaled", mutates_args=())
def scaled(x: torch.Tensor, factor: float) -> torch.Tensor:
    return x * factor


@scaled.register_fake
def _(x, factor):
    return torch.empty_like(x)


@torch.library.custom_op("quern_custom::accumulate", mutates_args=("total",))
def accumulate(total: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    total += x
    return total.sum(0)


@accumulate.register_fake
def _(total, x):
    return total.new_empty(total.shape[1:])


@torch.library.custom_op("quern_custom::by", mutates_args=())
def by(x: torch.Tensor, how: str) -> torch.Tensor:
    return x * len(how)


@by.register_fake
def _(x, how):
    return torch.empty_like(x)


RAN = []


@torch.library.custom_op("quern_custom::halved", mutates_args=())
def halved(x: torch.Tensor) -> torch.Tensor:
    RAN.append(x.numel())
    if x.numel() % 2:
        raise ValueError(f"{x.numel()} elements have no half")
    return x.reshape(-1)[: x.numel() // 2].clone()


@halved.register_fake
def _(x):
    return x.new_empty(x.numel() // 2)


def check(function, *args):
    theirs = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
    with torch.no_grad():
        expected = function(*theirs)
        for backend in ("eager", "inductor"):
            ours = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
            found = quern.compile(function, backend=backend, fullgraph=True)(*ours)
            torch.testing.assert_close(found, expected)
            torch.testing.assert_close(ours, theirs)
    quern.reset()


def test_custom_op():
    check(lambda x: scaled(x + 1, 2.5).sin(), torch.randn(3, 4))


def test_custom_op_by_its_path():
    check(
        lambda x: torch.ops.quern_custom.scaled(x, 0.5) + torch.ops.quern_custom.scaled.default(x, 2.0), torch.randn(5)
    )


def test_custom_op_that_writes():
    def f(total, x):
        row = accumulate(total, x * 2)
        return row + total[0]

    check(f, torch.zeros(3, 4), torch.randn(3, 4))


def test_custom_op_that_writes_to_what_the_graph_made():
    def f(x):
        total = torch.zeros_like(x)
        view = total[1:]
        accumulate(total, x)
        return view + 1

    check(f, torch.randn(3, 4))


def raises_in_its_midst(x, seen):
    x.add_(1)
    seen.append("before")
    return halved(halved(x) + 1) * 2


def raises_where_it_is_handled(x, seen):
    y = halved(x)
    try:
        seen.append("tried")
        y = torch.ops.quern_custom.halved(y)
    except ValueError as error:
        seen.append(str(error))
    return y


@pytest.mark.parametrize("f", [raises_in_its_midst, raises_where_it_is_handled], ids=lambda f: f.__name__)
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_a_custom_op_that_raises_does_so_once_at_its_place(f, backend):
    def outcome(call):
        RAN.clear()
        x, seen = torch.zeros(6), []
        try:
            result = call(x, seen).tolist()
        except ValueError as error:
            frames = traceback.extract_tb(error.__traceback__)
            result = str(error), [(frame.name, frame.lineno) for frame in frames if frame.filename == __file__]
        return x.tolist(), seen, result, RAN.count(3)

    with torch.no_grad():
        want = outcome(f)
        assert outcome(quern.compile(f, backend=backend)) == want and want[-1] == 1


def test_torchs_own_operators():
    check(lambda x: torch.ops.aten.relu(x) + torch.ops.aten.mul.Tensor(x, x), torch.randn(6))


def test_torchs_views_and_writes_by_operator():
    def f(x):
        y = torch.ops.aten.transpose.int(x + 0, 0, 1)
        torch.ops.aten.add_(y, 1)
        return y

    check(f, torch.randn(2, 3))


def test_associative_scan_runs_in_order():
    from torch._higher_order_ops.associative_scan import associative_scan

    def combine(left, right):
        return left[0] * right[0], right[0] * left[1] + right[1]

    def ours(a, b):
        return associative_scan(combine, (a, b), dim=1, combine_mode="generic")

    def backwards(a, b):
        return associative_scan(combine, (a, b), dim=1, reverse=True, combine_mode="generic")

    a, b = torch.rand(2, 5, 3), torch.randn(2, 5, 3)
    with torch.no_grad():
        for function in (ours, backwards):
            state, states = torch.ones(2, 3), []
            for t in range(5) if function is ours else range(4, -1, -1):
                state = b[:, t] if not states else a[:, t] * state + b[:, t]
                states.append(state)
            if function is backwards:
                states.reverse()
            found = quern.compile(function, backend="eager", fullgraph=True)(a, b)
            torch.testing.assert_close(found[1], torch.stack(states, 1))
    quern.reset()


def test_as_strided_counts_from_the_storage():
    def of_view(x):
        y = (x * 2)[1:]
        return y.as_strided((2, 2), (1, 2)) + y.as_strided((2, 2), (1, 2), 1)

    check(of_view, torch.arange(12.0).view(4, 3))
    check(lambda x: x.as_strided((3, 2), (2, 1), 1) * 2, torch.arange(12.0))


def test_as_strided_of_an_input_guards_where_it_stands():
    memory = torch.arange(20.0)
    compiled = quern.compile(lambda x: x.as_strided((2, 2), (1, 2), 4) + 0, backend="eager", fullgraph=True)
    for start in (0, 2, 4):
        x = memory[start : start + 12]
        torch.testing.assert_close(compiled(x), x.as_strided((2, 2), (1, 2), 4))
    quern.reset()


def test_a_module_converted_to_what_it_is():
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 3)

        def forward(self, x):
            self.linear = self.linear.to(x.dtype)
            return self.linear(x)

    model, x = Model(), torch.randn(2, 3)
    with torch.no_grad():
        compiled = quern.compile(model, backend="eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), model(x))
        with pytest.raises(quern.errors.Unsupported, match="converting the module"):
            compiled(x.double())
    quern.reset()


def test_texts_that_print_alike_are_calls_of_their_own():
    for how in ("by   # two", "by   # three", "by   #", "by"):
        check(lambda x, how=how: by(x, how), torch.ones(3))
