"""Operators called by their own name, custom operators, and scans."""

from __future__ import annotations

import gc
import traceback
import warnings
import weakref

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


@torch.library.custom_op("quern_custom::counted", mutates_args=())
def counted(x: torch.Tensor, by: float = 2.0) -> list[torch.Tensor]:
    RAN.append(by)
    return [x * by, x + by]


@counted.register_fake
def _(x, by=2.0):
    return [torch.empty_like(x), torch.empty_like(x)]


counted.register_autograd(
    lambda ctx, grads: (grads[0] * ctx.by + grads[1], None),
    setup_context=lambda ctx, inputs, output: setattr(ctx, "by", inputs[1]),
)


@torch.library.custom_op("quern_custom::raised_by", mutates_args=("total",))
def raised_by(total: torch.Tensor, n: int) -> torch.Tensor:
    RAN.append(n)
    total += n
    if total.sum() > 40:
        raise ValueError("too much")
    return total.sum(0)


@raised_by.register_fake
def _(total, n):
    return total.new_empty(total.shape[1:])


@torch.library.custom_op("quern_custom::both", mutates_args=("written",))
def both(read: torch.Tensor, written: torch.Tensor) -> None:
    written.copy_(read + 7)


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


def finished_before_an_index_that_is_not_there(x):
    a, b = counted(x)
    c, _ = counted(a + b, 3.0)
    return torch.arange(5)[c.sum().long()] * c


def finished_before_one_that_raises(x):
    a, b = counted(x * 2)
    first = raised_by(a, 1)
    b.sub_(1)
    second = raised_by(a, 2)
    return raised_by(a, int(x.numel())) + first + second + b


def finished_where_it_is_handled(x):
    a, _ = counted(x)
    try:
        a = a[torch.tensor([7])]
    except IndexError:
        a = a + 1
    return counted(a, 0.5)[1]


def one_path_or_another(x):
    try:
        a = torch.arange(5.0)[(x * 5).sum(1).long()]
        return counted(a, 3.0)[0]
    except IndexError:
        return counted(x.sum(1), 4.0)[0]


def under_autocast(x):
    with torch.autocast("cpu", torch.bfloat16):
        a = raised_by(x.clone(), 2)
        b, _ = counted(a + (x.T @ x).sum(1), 3.0)
    return raised_by(b[None].float(), 30)


def not_reached(x):
    inverse = torch.linalg.inv(x[:2] - 1)
    return counted(x)[0], inverse


def written_to_when_it_is_finished(x):
    a, b = counted(x)
    a.add_(b)
    c, _ = counted(a, 4.0)
    c[0] = 7
    a.relu_()
    return raised_by(c, 30)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad, torch.inference_mode])
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    "f",
    [
        finished_before_an_index_that_is_not_there,
        finished_before_one_that_raises,
        finished_where_it_is_handled,
        one_path_or_another,
        under_autocast,
        not_reached,
        written_to_when_it_is_finished,
    ],
    ids=lambda f: f.__name__,
)
def test_custom_ops_that_were_finished_run_once(f, backend, mode):
    def outcome(call):
        RAN.clear()
        x = torch.ones(4, 2)
        leaf = x.requires_grad_() if mode is torch.enable_grad and f is finished_where_it_is_handled else x
        with mode():
            try:
                result = call(leaf)
                if leaf.requires_grad:
                    result.sum().backward()
                    result = result.tolist(), leaf.grad.tolist()
                else:
                    result = result.tolist()
            except (ValueError, IndexError, RuntimeError) as error:
                result = str(error)
        return x.tolist(), result, list(RAN)

    want = outcome(f)
    compiled = quern.compile(f, backend=backend)
    assert outcome(compiled) == want
    assert outcome(compiled) == want


def test_arguments_by_name_are_written_to_whatever_their_order():
    def f(first, second):
        both(written=second, read=first)
        return torch.arange(3)[second.sum().long()]

    for call in (f, quern.compile(f)):
        first, second = torch.ones(4), torch.zeros(4)
        with pytest.raises(IndexError):
            call(first, second)
        assert first.tolist() == [1.0] * 4 and second.tolist() == [8.0] * 4


def test_arguments_by_name_are_written_to_once():
    def f(x, total):
        y, _ = counted(by=3.0, x=x)
        raised_by(n=2, total=total)
        both(written=y, read=total)
        return raised_by(total=y, n=int(x.numel()))

    def outcome(call):
        RAN.clear()
        total = torch.ones(4, 2)
        with pytest.raises(ValueError, match="too much"):
            call(torch.ones(4, 2), total)
        return total.tolist(), list(RAN)

    want = outcome(f)
    assert want[1] == [3.0, 2, 8]
    assert outcome(quern.compile(f)) == want


@torch.library.custom_op("quern_custom::squared", mutates_args=())
def squared(x: torch.Tensor) -> torch.Tensor:
    RAN.append("squared")
    return x @ x


@squared.register_fake
def _(x):
    return torch.empty_like(x)


@torch.library.custom_op("quern_custom::halves", mutates_args=())
def halves(x: torch.Tensor) -> torch.Tensor:
    RAN.append(x.dtype)
    return x @ x


halves.register_autocast("cpu", torch.bfloat16)


@halves.register_fake
def _(x):
    return torch.empty_like(x)


@torch.library.custom_op("quern_custom::misdeclared", mutates_args=())
def misdeclared(x: torch.Tensor, doubled: bool) -> torch.Tensor:
    RAN.append("misdeclared")
    return x.double() if doubled else x[1:].clone()


@misdeclared.register_fake
def _(x, doubled):
    return torch.empty_like(x)


def autocast_inside(x, at):
    with torch.autocast("cpu", torch.bfloat16):
        return squared(x) + 1


def autocast_around(x, at):
    with torch.autocast("cpu", torch.bfloat16):
        return halves(x) + 1


def autocast_inside_behind_an_error(x, at):
    with torch.autocast("cpu", torch.bfloat16):
        y = halves(x)
        try:
            y = y[at]
        except IndexError:
            y = squared(x)
        return y + 1


@pytest.mark.parametrize(
    "f",
    [
        autocast_inside, autocast_around, autocast_inside_behind_an_error,
        lambda x, at: misdeclared(x, True) + 1, lambda x, at: misdeclared(x, False) + 1,
    ],
)  # fmt: skip
@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_what_a_custom_op_gives_is_what_its_code_gives(f, backend):
    compiled, x, at = quern.compile(f, backend=backend), torch.arange(16.0).reshape(4, 4), torch.tensor([9])
    RAN.clear()
    want, ran = f(x, at), list(RAN)
    with warnings.catch_warnings(), quern.config.patch(on_error="warn"):
        warnings.simplefilter("ignore")
        for _ in range(5):
            RAN.clear()
            got = compiled(x, at)
            torch.testing.assert_close(got, want)
            assert RAN == ran


def test_a_custom_op_that_gives_another_type_than_its_fake_is_named():
    compiled = quern.compile(lambda x: misdeclared(x, True) + 1)
    with pytest.raises(
        quern.errors.InternalError, match=r"misdeclared\.default gave a result of torch\.float64 where torch\.float32"
    ):
        compiled(torch.ones(3))


def test_what_a_custom_op_gave_is_not_kept():
    def f(x, at):
        seen.append(weakref.ref(made := counted(x)[0]))
        return made[at]

    compiled, seen = quern.compile(f), []
    with pytest.raises(IndexError) as caught:
        compiled(torch.ones(3), torch.tensor([5]))
    assert compiled(torch.ones(3), torch.tensor([1])) == 2
    del caught
    gc.collect()
    assert all(made() is None for made in seen)


def test_custom_ops_that_code_of_the_program_calls_are_not_counted():
    @quern.allow_in_graph
    def hidden(x):
        return counted(x, 5.0)[0]

    def f(x):
        return raised_by(hidden(x) + counted(x, 6.0)[0], 9)

    for call in (f, quern.compile(f)):
        with pytest.raises(ValueError, match="too much"):
            call(torch.ones(4, 2))


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


@torch.library.custom_op("quern_custom::places", mutates_args=())
def places(x: torch.Tensor) -> torch.Tensor:
    RAN.append("places")
    return x.nonzero().contiguous()


@places.register_fake
def _(x):
    return x.new_empty(torch.library.get_ctx().new_dynamic_size(), x.dim(), dtype=torch.long)


@torch.library.custom_op("quern_custom::above", mutates_args=())
def above(x: torch.Tensor, low: float) -> tuple[torch.Tensor, torch.Tensor]:
    return x[x > low].clone(), x * 2


@above.register_fake
def _(x, low):
    return x.new_empty(torch.library.get_ctx().new_dynamic_size()), torch.empty_like(x)


def _sizes_alone(x):
    found, _ = above(x, 1.0)
    return x.new_zeros(found.shape[0], 2)


def _sizes_of_several(x):
    values, counts = torch.unique(x, return_counts=True)
    return values.new_zeros(values.shape[0], 2), counts


@pytest.mark.parametrize(
    "backend", ["eager", "inductor", quern.testing.CompileCounter()], ids=["eager", "inductor", "recorded"]
)
@pytest.mark.parametrize(
    "f",
    [
        lambda x: places(x) * 2, lambda x: torch.ops.quern_custom.places.default(x).t().sum(1),
        lambda x: [r + 1 for r in above(x, 2.5)], lambda x: x[tuple(places(x).t())], _sizes_alone, _sizes_of_several,
    ],
)  # fmt: skip
def test_sizes_that_custom_ops_take_from_data(f, backend):
    compiled = quern.compile(f, backend=backend, fullgraph=True)
    for x in (torch.arange(6.0).reshape(2, 3), torch.ones(2, 3), torch.zeros(2, 3)):
        got, want = compiled(x), f(x)
        torch.testing.assert_close(got, want)
    RAN.clear()
    compiled(x)
    assert RAN in ([], ["places"])
