"""Writes to inputs are stores into them: what a program changes in place is neither copied in nor copied back.

Each program runs plain and compiled on equal arguments. Besides results and arguments the bytes are compared that a run moves,
counted from its plan: a row written into a cache costs the row.
"""

from __future__ import annotations

import copy

import pytest
import torch
from torch_checks import compare, randn, tensors

import quern

pytestmark = pytest.mark.sampled(4)

F = torch.nn.functional
BACKENDS = ({}, {"dynamic": True}, {"options": {"cpu_codegen": "triton"}}, {"options": {"fuse": False}})
IDS = ("cpp", "dynamic", "triton", "unfused")


def plans(compiled):
    """The plans of a compiled function's graphs."""
    return [e.executable.record.plan for e in compiled.explain_records if e.executable is not None]


def run(fn, args, settings=None, tolerance=1e-6):
    """Run plain and compiled, twice each, and compare all that can be seen; the compiled function's only plan."""
    quern.reset()
    compiled = quern.compile(fn, fullgraph=True, **(settings or {}))
    ours, theirs = copy.deepcopy(args), copy.deepcopy(args)
    for _ in range(2):
        versions = [[t._version for t in tensors(args)] for args in (theirs, ours)]
        with torch.no_grad():
            expected, found = fn(*theirs), compiled(*ours)
        compare((expected, theirs), (found, ours), tolerance)
        for a, b, was_a, was_b in zip(tensors(theirs), tensors(ours), *versions):
            assert a.stride() == b.stride()
            assert a._version == was_a or b._version > was_b
    (plan,) = plans(compiled)
    return plan


def in_place(plan):
    """Nothing is copied back."""
    return not plan.mutations


# ------------------------------------------------------------------ parts

CACHE = (4, 8, 64, 16)  # 128 KiB


def index_copied(cache, k, pos):
    cache.index_copy_(2, pos, k)


def assigned_slice(cache, k, pos):
    cache[:, :, 17:18] = k


def assigned_at_tensor(cache, k, pos):
    cache[:, :, pos] = k


def one_row_of_one_part(cache, k, pos):
    cache[1, :, 17] = k[1, :, 0]


def index_copied_into_a_part(cache, k, pos):
    cache[2].index_copy_(1, pos, k[2])


def scattered_through_a_view(cache, k, pos):
    cache.view(-1)[pos] = 5.0


def through_two_views(cache, k, pos):
    cache.transpose(0, 2)[17].permute(1, 2, 0)[:, :, 1:3] = 7.0


def every_other(cache, k, pos):
    cache[0, 0, 3:60:8] = k[0, 0]


def a_diagonal(cache, k, pos):
    cache[0, 0].diagonal(1).fill_(2.0)


def added_to_a_row(cache, k, pos):
    cache[3, 2, 5] += 1


def several_parts(cache, k, pos):
    cache[:, :, 3:4] = k
    cache[0, 0, 9] = 1
    cache[:, 1, 3] *= 2
    cache.index_fill_(2, pos, 0.5)


def added_at_places(cache, k, pos):
    cache.index_add_(2, pos, k)


def written_then_read(cache, k, pos):
    cache[:, :, 17:18] = k
    return cache[:, :, 17].sum(), cache[:, :, 16:18] * 2


def read_then_written(cache, k, pos):
    old = cache[:, :, 17].clone()
    cache[:, :, 17:18] = k
    return old


def moved_along(cache, k, pos):
    cache[0, 0, 1:9] = cache[0, 0, :8].clone() * 2


def swapped(cache, k, pos):
    first = cache[0, 0, 0].clone()
    cache[0, 0, 0] = cache[0, 0, 1]
    cache[0, 0, 1] = first


def one_element_through_a_view(cache, k, pos):
    cache.view(-1)[-7] = 5.0


def a_run_through_a_view(cache, k, pos):
    cache.view(-1)[1030:1300] *= 2.0


def rows_through_a_view(cache, k, pos):
    cache.view(-1, 4)[70:75, 1:3] = k[0, 0, 0, :2]
    cache.view(2, -1, 32)[1, 5] = 3.0


def through_flattened_parts(cache, k, pos):
    cache[1:3].flatten(1)[1, 20:30] = 1.0
    cache[:2, 3].reshape(-1, 8)[9].mul_(3)


#: of dynamic sizes it is not known which part of the whole they are
THROUGH_FLAT = (one_element_through_a_view, a_run_through_a_view, rows_through_a_view, through_flattened_parts)
PARTS = (
    index_copied, assigned_slice, assigned_at_tensor, one_row_of_one_part, index_copied_into_a_part, scattered_through_a_view,
    through_two_views, every_other, a_diagonal, added_to_a_row, several_parts, added_at_places, written_then_read,
    read_then_written, moved_along, swapped, *THROUGH_FLAT,
)  # fmt: skip


@pytest.mark.parametrize("settings", BACKENDS, ids=IDS)
@pytest.mark.parametrize("fn", PARTS, ids=lambda f: f.__name__)
def test_a_written_part_alone_is_stored(fn, settings):
    plan = run(fn, [randn(*CACHE), randn(4, 8, 1, 16), torch.tensor([5])], settings)
    assert in_place(plan) or settings.get("dynamic") and fn in THROUGH_FLAT
    if settings.get("dynamic") is None:
        assert plan.bytes_moved() < 24 << 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool])
@pytest.mark.parametrize("fn", (assigned_slice, index_copied, added_to_a_row, several_parts), ids=lambda f: f.__name__)
def test_all_types(fn, dtype):
    def draw(*shape):
        return (torch.rand(shape) * 5).to(dtype)

    if dtype is torch.bool and fn is not assigned_slice and fn is not index_copied:
        pytest.skip("no sums of truth values")
    plan = run(fn, [draw(*CACHE), draw(4, 8, 1, 16), torch.tensor([5])])
    assert in_place(plan) and plan.bytes_moved() < 48 << 10


@pytest.mark.parametrize("settings", BACKENDS[:3], ids=IDS[:3])
@pytest.mark.parametrize("fn", (assigned_slice, index_copied, added_to_a_row, moved_along), ids=lambda f: f.__name__)
def test_strided_inputs(fn, settings):
    """Inputs with gaps, turned around, and that begin inside of their memory."""
    for cache in (randn(4, 8, 64, 40)[..., 3:19], randn(16, 64, 8, 4).permute(3, 2, 1, 0), randn(9, 8, 64, 16)[1::2]):
        plan = run(fn, [cache, randn(4, 8, 1, 16), torch.tensor([5])], settings)
        assert in_place(plan) or settings.get("dynamic")  # whether gaps of unknown size are gaps is not known


def test_a_position_that_changes():
    def step(cache, k, at):
        cache[:, :, at : at + 1] = k
        cache[0, :, at] += 1

    quern.reset()
    compiled = quern.compile(step, fullgraph=True)
    ours, theirs = torch.zeros(4, 8, 64, 16), torch.zeros(4, 8, 64, 16)
    for at in (3, 4, 9, 20, 63):
        k = randn(4, 8, 1, 16)
        step(theirs, k, at), compiled(ours, k, at)
        assert torch.equal(ours, theirs)
    found = plans(compiled)
    assert any(plan.symbols for plan in found)
    for plan in found:
        assert in_place(plan)
        assert plan.bytes_moved({s.name: 9 for s in plan.symbols}) < 24 << 10


# ------------------------------------------------------------------ wholes


def added(x, y):
    x.add_(y)


def three_times(x, y):
    x.mul_(2).add_(1)
    x += y


def added_and_read(x, y):
    x.add_(y)
    return x * 2, x.sum(0)


def softmaxed(x, y):
    x.copy_(torch.softmax(x, -1))


def centred(x, y):
    x -= x.mean(-1, keepdim=True)
    return x.amax()


def summed_along(x, y):
    x.cumsum_(0)


def masked(x, y):
    x.masked_fill_(y > 0, -1)
    x[y < -1] = 0


def each_from_the_other(x, y):
    x.add_(y)
    y.mul_(x)


def overwritten(x, y):
    x.copy_(y)
    y.zero_()


def clamped_and_returned(x, y):
    return x.clamp_(-1, 1), y


def two_parts_of_a_sum(x, y):
    x.add_(y)
    x[2] = 0
    x[:, 2:4] = 1


@pytest.mark.parametrize("settings", BACKENDS, ids=IDS)
@pytest.mark.parametrize(
    "fn",
    (added, three_times, added_and_read, softmaxed, centred, summed_along, masked, each_from_the_other, overwritten,
     clamped_and_returned, two_parts_of_a_sum),
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_new_content_is_computed_in_place(fn, settings):
    for shape in ((33, 70), (3, 5000), (300, 7)):
        plan = run(fn, [randn(*shape), randn(*shape)], settings, 1e-4)
        assert in_place(plan)
        if settings == {} and fn in (added, three_times):
            assert plan.bytes_moved() == 3 * 4 * shape[0] * shape[1]


def turned(x):
    x.copy_(x.flip(0))


def shifted(x):
    x.copy_(x.roll(1, 0) + x)


def matmul_into(x):
    x.copy_(x @ x)


def from_old_and_new(x):
    y = x + 1
    x[0] = 7
    return x * 2 + y


def old_whole_returned(x):
    old = x.clone()
    x[0] = 1
    x.mul_(3)
    return old


def new_state_kept(x):
    x[0] = 1
    middle = x.clone()
    x[1] = 2
    return middle


def transposed_into_itself(x):
    x.copy_(x.t().clone())


def written_with_itself(x):
    other = x.index_fill(0, torch.tensor([0]), 3)
    x[...] = x
    return other * 2


def copied_to_itself(x):
    first, second = x.clone(), x.index_fill(1, torch.tensor([1]), 4)
    first[1:] = 5
    x.copy_(x)
    return first + 1, second + 1


def parts_of_it_to_themselves(x):
    other = x.masked_fill(x > 0, 2)
    x[1:] = x[1:]
    x[0] = x[0]
    return other.sin()


def given_its_old_content(x):
    old, other = x.clone(), x.index_fill(0, torch.tensor([2]), 3)
    x.mul_(2)
    x[...] = old
    return other + 1


def given_an_element_of_another(x):
    other = x.index_fill(0, torch.tensor([1]), 3)
    x[0] = other[0]
    return other * 2


def given_rows_of_another_part(x):
    other = x[1:].index_fill(0, torch.tensor([3]), 3)
    x[1:3] = other[:2]
    return other + 1


def given_another_before_that_changes(x):
    other = x.clone()
    other[1] = 5
    x[:] = other
    other[2] = 7
    return other


def given_another_in_two_parts(x):
    other = x.index_fill(0, torch.tensor([1]), 3)
    x[0] = other[0]
    x[1:] = other[1:]
    return other.sum()


@pytest.mark.parametrize("settings", BACKENDS, ids=IDS)
@pytest.mark.parametrize(
    "fn",
    (
        turned,
        shifted,
        matmul_into,
        from_old_and_new,
        old_whole_returned,
        new_state_kept,
        transposed_into_itself,
        written_with_itself,
        copied_to_itself,
        parts_of_it_to_themselves,
        given_its_old_content,
        given_an_element_of_another,
        given_rows_of_another_part,
        given_another_before_that_changes,
        given_another_in_two_parts,
    ),
    ids=lambda f: f.__name__,
)
def test_the_old_content_is_read_before_it_goes(fn, settings):
    run(fn, [randn(24, 24)], settings)


def doubled_at_places(x, i):
    x[i] = x[i] * 2


def gathered_over(x, i):
    x[:4] = x[i][:4]


def put_where_it_says(x, i):
    i[1:3] = i[:2].clone()
    x[i] = 1.0


@pytest.mark.parametrize("settings", BACKENDS, ids=IDS)
@pytest.mark.parametrize("fn", (doubled_at_places, gathered_over, put_where_it_says), ids=lambda f: f.__name__)
def test_places_known_at_run_time(fn, settings):
    """Also where places repeat: all are read before the first is written."""
    run(fn, [randn(9, 3), torch.tensor([4, 1, 4, 0, 7, 2])], settings)


# ------------------------------------------------------------------ who may see it


def test_a_graph_that_raises_has_changed_nothing():
    def step(x, i, y):
        x += 1
        y[2:4] = 5
        picked = x[i]
        return picked * 2

    def caught(x, i, y):
        try:
            return step(x, i, y)
        except IndexError:
            x[0] = 100
            return None

    for fn in (step, caught):
        quern.reset()
        compiled = quern.compile(fn)
        for i in ([0, 3], [3, 90], [1, 1]):
            ours, theirs = (
                [torch.ones(5), torch.tensor(i), torch.zeros(6)],
                [torch.ones(5), torch.tensor(i), torch.zeros(6)],
            )
            outcomes = []
            for f, args in ((fn, theirs), (compiled, ours)):
                try:
                    outcomes.append(f(*args))
                except IndexError as error:
                    outcomes.append(str(error))
            assert str(outcomes[0]) == str(outcomes[1])
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs))


def test_a_check_of_what_was_written_keeps_the_copy():
    def step(x, table, at):
        x[2] = at
        return table[x]

    quern.reset()
    compiled = quern.compile(step)
    table = randn(6)
    for at in (3, 5, 17):
        ours, theirs = torch.zeros(4, dtype=torch.int64), torch.zeros(4, dtype=torch.int64)
        found = []
        for f, x in ((step, theirs), (compiled, ours)):
            try:
                found.append(f(x, table, torch.tensor(at)))
            except IndexError as error:
                found.append(error)
        assert type(found[0]) is type(found[1])
        assert torch.equal(ours, theirs)


def test_inputs_that_share_memory():
    def step(x, y):
        x[1:3] = 2
        return y + 1

    quern.reset()
    compiled = quern.compile(step)
    for make in (
        lambda m: (m[:8], m[8:]), lambda m: (m[:8], m[4:12]), lambda m: (m, m), lambda m: (m[::2], m[1::2]),
    ):  # fmt: skip
        one, two = torch.arange(16.0), torch.arange(16.0)
        expected, found = step(*make(one)), compiled(*make(two))
        assert torch.equal(expected, found) and torch.equal(one, two)


def test_views_that_are_returned():
    def step(x):
        part = x[1]
        x[1] = 5
        x[:, 0] += 1
        return part, x[:2], x

    x, y = randn(4, 4), None
    y = x.clone()
    expected, found = step(x), quern.compile(step, fullgraph=True)(y)
    assert torch.equal(x, y) and all(map(torch.equal, expected, found))
    assert [t.data_ptr() - y.data_ptr() for t in found] == [t.data_ptr() - x.data_ptr() for t in expected]


def test_autograd_hears_of_the_write():
    def write(x):
        x[0] = 1.0

    quern.reset()
    compiled = quern.compile(write, fullgraph=True)
    for f in (write, compiled):
        x, w = randn(3), torch.ones(3, requires_grad=True)
        y = (x * w).sum()
        f(x)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.backward()


def test_tensors_of_inference_mode():
    def write(x):
        x[0] = 1.0
        return x + 1

    quern.reset()
    compiled = quern.compile(write)
    with torch.inference_mode():
        x = torch.zeros(3)
        assert torch.equal(compiled(x), torch.tensor([2.0, 1.0, 1.0]))
    with pytest.raises(RuntimeError, match="Inplace update to inference tensor"):
        compiled(x)


def test_threads_share_the_work():
    def step(x, y):
        x.mul_(0.5).add_(y)
        x[:, 3] = y[:, 4]

    run(step, [randn(500, 3001), randn(500, 3001)])


# ------------------------------------------------------------------ whole programs


def test_running_statistics():
    def train(x, mean, var, w, b):
        return F.batch_norm(x, mean, var, w, b, training=True)

    args = [randn(8, 6, 10, 10), torch.zeros(6), torch.ones(6), randn(6), randn(6)]
    for settings in BACKENDS:
        assert in_place(run(train, args, settings))


def test_an_optimizer():
    def adam(p, g, m, v):
        m.lerp_(g, 0.1)
        v.mul_(0.99).addcmul_(g, g, value=0.01)
        p.addcdiv_(m, v.sqrt().add_(1e-8), value=-1e-3)

    args = [randn(64, 128), randn(64, 128), randn(64, 128), randn(64, 128).abs()]
    for settings in BACKENDS:
        plan = run(adam, args, settings)
        assert in_place(plan)
        if not settings:
            assert plan.bytes_moved() == 7 * 4 * 64 * 128


def scaled_lists(ps, gs):
    torch._foreach_mul_(ps, 0.9)
    torch._foreach_add_(ps, gs, alpha=-0.1)


def adam_over_lists(ps, gs):
    roots = torch._foreach_sqrt(torch._foreach_abs(gs))
    torch._foreach_add_(roots, 1e-8)
    torch._foreach_addcdiv_(ps, gs, roots, [-0.1, -0.2, -0.3])
    torch._foreach_lerp_(ps, gs, 0.25)
    torch._foreach_copy_(gs, roots)
    return torch._foreach_neg(ps)


def emptied_lists(ps, gs):
    torch._foreach_zero_(ps)
    torch._foreach_clamp_min_(gs, 0.0)


@pytest.mark.parametrize("settings", BACKENDS, ids=IDS)
@pytest.mark.parametrize("fn", (scaled_lists, adam_over_lists, emptied_lists), ids=lambda f: f.__name__)
def test_lists_of_tensors(fn, settings):
    args = [[randn(7, 3), randn(11), randn(2, 2, 2)], [randn(7, 3), randn(11), randn(2, 2, 2)]]
    assert in_place(run(fn, args, settings))


@pytest.mark.parametrize("call", (
    lambda x: torch._foreach_add_(x, x[:1]), lambda x: torch._foreach_add_(x, 1, alpha=2), lambda x: torch._foreach_add_([], 1),
    lambda x: torch._foreach_mul_(x, torch.ones(2)), lambda x: torch._foreach_addcdiv_(x, x, x, torch.ones(2)),
))  # fmt: skip
def test_refusals_of_lists_are_eagers(call):
    quern.reset()
    outcomes = []
    for f in (call, quern.compile(call)):
        try:
            outcomes.append([t.tolist() for t in f([torch.ones(2), torch.ones(3)])])
        except (RuntimeError, TypeError) as error:
            outcomes.append((type(error), str(error).splitlines()[0]))
    assert outcomes[0] == outcomes[1]


def test_out_arguments():
    def step(x, y, out):
        torch.add(x, y, out=out)
        torch.exp(x, out=x)
        return out * 2

    for settings in BACKENDS:
        assert in_place(run(step, [randn(30, 4), randn(30, 4), randn(30, 4)], settings))


def test_attention_over_a_cache():
    def step(q, k, v, keys, values, pos):
        keys.index_copy_(2, pos, k)
        values.index_copy_(2, pos, v)
        return F.scaled_dot_product_attention(q, keys, values)

    args = [randn(2, 4, 1, 8), randn(2, 4, 1, 8), randn(2, 4, 1, 8), randn(2, 4, 32, 8), randn(2, 4, 32, 8)]
    plan = run(step, [*args, torch.tensor([9])])
    assert in_place(plan)
