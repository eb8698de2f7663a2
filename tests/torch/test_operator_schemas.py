"""What an operator writes, returns and aliases is what its schema says, whatever its fake implementation does."""

from __future__ import annotations

import copy
from typing import List, Optional  # noqa: UP035 - torch reads these annotations

import pytest

torch = pytest.importorskip("torch")

from torch_checks import compare, tensors  # noqa: E402

import quern  # noqa: E402

F = torch.nn.functional
pytestmark = pytest.mark.torch

LIBRARY = torch.library.Library("quern_schemas", "FRAGMENT")
CALLS: list[str] = []


def operator(schema, kernel, fake=None, tags=()):
    name = schema.partition("(")[0]
    LIBRARY.define(schema, tags=tags)
    LIBRARY.impl(name, kernel, "CompositeExplicitAutograd")
    if fake is not None:
        LIBRARY.impl(name, fake, "Meta")


def _add_into(total, x):
    total.add_(x)
    return total.sum()


operator("add_into(Tensor(a!) total, Tensor x) -> Tensor", _add_into, lambda total, x: x.new_empty(()))
operator(
    "maybe_into(Tensor x, Tensor(a!)? total, *, float scale=1.0) -> Tensor",
    lambda x, total, scale=1.0: x * scale if total is None else total.mul_(scale).add_(x).clone(),
    lambda x, total, scale=1.0: torch.empty_like(x),
)
operator("scale_all(Tensor(a!)[] parts, float k) -> ()", lambda parts, k: [p.mul_(k) for p in parts] and None)
operator("doubled(Tensor x) -> Tensor", lambda x: x * 2, lambda x: x)
operator("both(Tensor x) -> (Tensor, Tensor)", lambda x: (x + 1, x - 1), lambda x: (x, x))
operator("rows(Tensor(a) x, int n) -> Tensor(a)", lambda x, n: x[:n], lambda x, n: x[:n])
operator("lying_rows(Tensor(a) x, int n) -> Tensor(a)", lambda x, n: x[:n], lambda x, n: x.new_empty(n, *x.shape[1:]))
operator(
    "sum_out(Tensor x, *, Tensor(a!) out) -> Tensor(a!)",
    lambda x, *, out: torch.sum(x, 0, out=out),
    lambda x, *, out: torch.empty_like(out),
)
operator("bump_(Tensor(a!) x) -> Tensor(a!)", lambda x: x.add_(1), lambda x: x)
operator("note(Tensor x, str text) -> ()", lambda x, text: CALLS.append(f"{text} {float(x.sum()):.3f}"))
operator(
    "noted(Tensor x, str text) -> Tensor",
    lambda x, text: CALLS.append(text) or x + 0,
    lambda x, text: torch.empty_like(x),
)
operator("count(Tensor x) -> int", lambda x: int((x > 0).sum()), lambda x: 0)
operator(
    "jitter(Tensor x) -> Tensor", lambda x: x + torch.rand_like(x), lambda x: torch.empty_like(x),
    tags=(torch.Tag.nondeterministic_seeded,),
)  # fmt: skip


@torch.library.custom_op("quern_schemas::shift", mutates_args=("where", "others"))
def shift(x: torch.Tensor, where: Optional[torch.Tensor], others: List[torch.Tensor], by: int = 1) -> torch.Tensor:  # noqa: UP006, UP007, UP045
    if where is not None:
        where.add_(by)
    for other in others:
        other.sub_(by)
    return x + by


shift.register_fake(lambda x, where, others, by=1: torch.empty_like(x))


@torch.library.custom_op("quern_schemas::anything", mutates_args="unknown")
def anything(x: torch.Tensor, y: torch.Tensor) -> None:
    y.copy_(x.flip(0))


OPS = torch.ops.quern_schemas


def assert_same(found, wanted):
    assert str(type(found)) == str(type(wanted))
    assert isinstance(wanted, torch.Tensor) or not isinstance(wanted, bool) or found is wanted
    assert len(tensors(found)) == len(tensors(wanted))
    for a, b in zip(tensors(found), tensors(wanted)):
        compare(b, a)
        assert a.stride() == b.stride(), (a, b)


def check(function, *args, fullgraph=True, calls=2):
    """The function twice, plain and compiled: results, what became of the arguments, and which operators ran."""
    for backend in ("eager", "inductor"):
        quern.reset()
        compiled = quern.compile(function, backend=backend, fullgraph=fullgraph)
        theirs, ours = copy.deepcopy(args), copy.deepcopy(args)
        for _ in range(calls):
            seen = []
            for run, given in ((function, theirs), (compiled, ours)):
                CALLS.clear()
                torch.manual_seed(0)
                with torch.no_grad():
                    seen.append((run(*given), list(CALLS), torch.get_rng_state().sum().item()))
            (wanted, *beside), (found, *beside_ours) = seen
            assert_same(found, wanted)
            assert_same(ours, theirs)
            assert beside_ours == beside


X, Y = torch.arange(6.0).reshape(3, 2), torch.ones(3, 2)


def test_a_write_that_the_fake_does_not_make():
    def f(x, y):
        before = y * 10
        s = OPS.add_into(y, x)
        return before, s, y + 1

    check(f, X, Y)


def test_a_write_whose_result_nobody_reads():
    check(lambda x, y: (OPS.add_into(y[1:], x[1:]), y.sum(0))[1], X, Y)


def test_optional_arguments():
    def f(x, y):
        a = OPS.maybe_into(x, None, scale=3.0)
        b = OPS.maybe_into(x, y, scale=0.5)
        return a, b, y * 2, OPS.maybe_into(x * 2, total=y)

    check(f, X, Y)


def test_lists_of_arguments():
    def f(x, y):
        made = x * 3
        OPS.scale_all([y, made[0]], 2.0)
        return made, y - 1

    check(f, X, Y)


def test_custom_op_with_optional_and_list_arguments():
    def f(x, y):
        z = x + y
        a = shift(x, z, [y], 2)
        return a, shift(a, None, [z[0], y[1]]), z

    check(f, X, Y)


def test_an_operator_of_which_nothing_is_known():
    check(lambda x, y: (anything(x, y), y * 2)[1], X, Y)


def test_a_fake_that_gives_its_argument_for_a_new_tensor():
    def f(x, y):
        d = OPS.doubled(x)
        d += 1
        a, b = OPS.both(y)
        a.mul_(5)
        return d, x * 1, a, b, y * 1

    check(f, X, Y)


def test_views():
    def f(x, y):
        top = OPS.rows(x, 2)
        x.add_(1)
        top.mul_(2)
        return top * 1, y

    check(f, X, Y)


def test_a_view_that_the_fake_does_not_make_breaks_the_graph():
    def f(x, y):
        top = OPS.lying_rows(x, 2)
        top.mul_(2)
        return top * 1, y

    check(f, X, Y, fullgraph=False)
    with pytest.raises(quern.errors.Unsupported, match="returns a view of its argument"), torch.no_grad():
        quern.compile(f, fullgraph=True)(X.clone(), Y)


def test_out_and_in_place_forms_return_their_argument():
    def f(x, y):
        out = torch.zeros(2)
        made = OPS.sum_out(x, out=out)
        bumped = OPS.bump_(y)
        return made is out, bumped is y, made + 1, out * 2, y * 3

    check(f, X, Y)


def test_operators_without_a_result_run_in_order():
    def f(x, y):
        OPS.note(x, "first")
        z = x + y
        OPS.noted(z, "second")
        OPS.note(z, "third")
        return z

    check(f, X, Y)


def test_a_graph_of_one_operator_without_a_result():
    check(lambda x: OPS.note(x, "alone"), X)


def test_a_number_that_an_operator_gives_is_not_known():
    check(lambda x, y: x * OPS.count(y - 0.5), X, Y, fullgraph=False)
    with pytest.raises(quern.errors.Unsupported, match="gives a number"), torch.no_grad():
        quern.compile(lambda x: x * OPS.count(x), fullgraph=True)(X)


def test_random_operators_are_neither_merged_nor_dropped():
    def f(x, y):
        a, b = OPS.jitter(x), OPS.jitter(x)
        OPS.jitter(y)
        return a, b, torch.rand(2)

    check(f, X, Y)


def test_arguments_over_the_same_memory():
    def f(x, y):
        OPS.scale_all([y, y[:1]], 2.0)
        return x + y

    check(f, X, Y, fullgraph=False)
    with pytest.raises(quern.errors.Unsupported, match="share memory"), torch.no_grad():
        quern.compile(f, fullgraph=True)(X, Y.clone())


STATISTICS = {
    "batch_norm": lambda x, mean, var, rate: F.batch_norm(x, mean, var, training=True, momentum=rate),
    "batch_norm_by_its_operator": lambda x, mean, var, rate: torch.batch_norm(
        x, None, None, mean, var, True, rate, 1e-5, False
    ),
    "native_batch_norm": lambda x, mean, var, rate: torch.native_batch_norm(x, None, None, mean, var, True, rate, 1e-5)[
        0
    ],
    "native_batch_norm_in_evaluation": lambda x, mean, var, rate: torch.native_batch_norm(
        x, None, None, mean, var, False, rate, 1e-5
    )[0],
    "batch_norm_update_stats": lambda x, mean, var, rate: torch.batch_norm_update_stats(x, mean, var, rate)[0],
    "instance_norm": lambda x, mean, var, rate: F.instance_norm(x[..., None] * X[:, 0], mean, var, momentum=rate),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", STATISTICS)
def test_running_statistics_are_written_though_no_schema_says_so(name, backend):
    """Also where they were computed in the graph, and the rate is a number that changes."""

    def f(x, mean, var, rate):
        mean.mul_(1 - rate)
        y = STATISTICS[name](x, mean, var, rate)
        return y, x - mean, var + 0

    ours = quern.compile(f, backend=backend)
    x = torch.linspace(-2, 5, 36).reshape(9, 4).sin()
    for rate in (0.1, 0.2, 0.3, 0.2):
        theirs, mine = [x, torch.ones(4), torch.ones(4), rate], [x, torch.ones(4), torch.ones(4), rate]
        with torch.no_grad():
            expected, found = f(*theirs), ours(*mine)
        torch.testing.assert_close([*found, *mine[1:3]], [*expected, *theirs[1:3]])


def test_writes_where_gradients_are_recorded():
    def f(w, x):
        y = w * x
        total = torch.zeros(3, 2)
        OPS.add_into(total, x)
        return (y * total).sum()

    w, grads = torch.ones(3, 2, requires_grad=True), []
    for run in (f, quern.compile(f, fullgraph=True)):
        w.grad = None
        run(w, X).backward()
        grads.append(w.grad.clone())
    torch.testing.assert_close(*grads)


def test_a_call_that_is_foreseen_warns_once():
    compiled = quern.compile(lambda x: x + torch.range(0, 2), backend="eager")
    for _ in range(2):
        with pytest.warns(UserWarning, match="range is deprecated") as said:
            compiled(torch.ones(3))
        assert len(said) == 1
