"""Loops that append one item in each round: the list's items are rows of an array, until somebody asks for more than NumPy does."""

from __future__ import annotations

import numpy as np
import pytest
from numpy_values import equal

import quern

R = np.random.default_rng(4)


@pytest.fixture(autouse=True)
def strict():
    with quern.config.patch(on_error="raise"):
        yield


def ema(v):
    out, s = [], v[0]
    for x in v:
        s = 0.1 * x + 0.9 * s
        out.append(s)
    return np.array(out)


def pythons_numbers(v):
    out, s = [], 0.0
    for i in range(len(v)):
        s = s * 0.5 + i
        out.append(s)
    return np.asarray(out) + v, out


def ints(v):
    out, k = [], 1
    for i in range(len(v)):
        k = (k * 5 + i) % 97
        out.append(k)
    return np.array(out), len(out), out[-1], out


def truths(v):
    out = []
    for x in v:
        out.append(x > 0)
    return np.array(out), out


def rows(v):
    m, out = np.outer(v, v[:4]), []
    for r in m:
        out.append(r / r.sum())
    return np.stack(out), np.array(out), np.vstack(out)


def rows_behind(v):
    out = []
    for i in range(1, len(v)):
        out.append(v[:3] * i)
    return out, np.concatenate(out)


def from_one_on(v):
    out = []
    for i in range(1, len(v)):
        out.append((v[i] - v[i - 1]) / 2)
    return np.array(out).sum(), len(out)


def with_a_beginning(v):
    out = [v[0] * 2, 1.0]
    for x in v:
        out.append(x + 1)
    return np.array(out), len(out), out[0], out[2]


def counted(v):
    out = []
    for i, x in enumerate(v):
        out.append(x * i)
    return np.array(out)


def zipped(v):
    out = []
    for a, b in zip(v, v[::-1].copy()):
        out.append(a - b)
    return np.array(out)


def behind_a_branch(v):
    out = []
    for x in v:
        if x > 0:
            y = x * 2
        else:
            y = x - 1
        out.append(y)
    return np.array(out)


def chosen_in_the_call(v):
    out = []
    for x in v:
        out.append(x * 2 if x > 0 else -x)
    return np.array(out)


def an_inner_loop(v):
    out = []
    for i in range(len(v)):
        s = 0.0
        for j in range(i):
            s += v[j]
        out.append(s)
    return np.array(out)


def used_again(v):
    out = []
    for x in v:
        out.append(x * 2)
    out.append(7.0)
    total = 0.0
    for y in out[:5]:
        total += y
    out[1] = 3.0
    return np.array(out), total


def two_loops(v):
    out = []
    for x in v:
        out.append(x)
    for x in v:
        out.append(x + 1)
    return np.array(out)


def seen_elsewhere(v):
    out = []
    keeper = {"out": out, "pair": (out, 1)}
    for x in v:
        out.append(x)
    return len(keeper["out"]), np.array(keeper["pair"][0]), keeper["out"] is out


def read_while_it_grows(v):
    out = [v[0]]
    for x in v:
        out.append(out[-1] + x)
    return np.array(out)


def measured_while_it_grows(v):
    out = []
    for x in v:
        out.append(x + len(out))
    return np.array(out)


def by_another_name(v):
    out = []
    other = out
    for x in v:
        other.append(x)
    return np.array(out), other is out


def by_two_names(v):
    out = []
    other = out
    for x in v:
        out.append(x)
        other.append(x)
    return np.array(out)


def in_some_rounds(v):
    out = []
    for x in v:
        if x > 0:
            out.append(x)
    return np.array(out)


def until_some_round(v):
    out = []
    for x in v:
        if x > 2:
            break
        out.append(x)
    return np.array(out)


def not_in_some_rounds(v):
    out = []
    for x in v:
        if x > 0:
            continue
        out.append(x)
    return np.array(out)


def of_several_kinds(v):
    out = []
    for i in range(len(v)):
        out.append(v[i] if i % 2 else 1)
    return np.array(out)


def of_several_sizes(v):
    out = []
    for i in range(len(v)):
        out.append(v[:i])
    return [len(o) for o in out], out[3]


def twice_a_round(v):
    out = []
    for x in v:
        out.append(x)
        out.append(-x)
    return np.array(out)


def two_lists(v):
    one, other = [], []
    for x in v:
        one.append(x)
        other.append(x * 2)
    return np.array(one), np.array(other)


def returned_early(v):
    out = []
    for x in v:
        out.append(x)
        if x > 2:
            return np.array(out) * 0
    return np.array(out)


def of_complex_numbers(v):
    out, z = [], 0j
    for x in v:
        z = z * z * 0.1 + x
        out.append(z)
    return np.array(out)


def refused_half_way(v):
    out = []
    for i in range(len(v) + 1):
        out.append(v[i])
    return np.array(out)


def listed(v):
    return np.array([x * 2 + 1 for x in v]), [x * 2 for x in v]


def listed_by_place(v):
    return np.array([v[i] * v[len(v) - 1 - i] for i in range(len(v))]), np.array([v[i] for i in range(1, len(v))])


def listed_rows(v):
    return np.stack([r / r.sum() for r in np.outer(v, v[:3])])


def listed_choices(v):
    return np.array([x if x > 0 else -x for x in v]), [i * 2 for i in range(len(v))]


def listed_parts(v):
    a = 2.0
    return np.array([np.sum(v[:i]) * a for i in range(len(v))])


def listed_twice(v):
    return np.array([[v[i] * j for j in range(3)] for i in range(len(v))])


def listed_in_some_rounds(v):
    return np.array([x for x in v if x > 0])


def listed_and_folded(v):
    return sum([x * x for x in v]), max([abs(x) for x in v]), np.mean([x * x for x in v]), len([x for x in v])


def listed_together(v):
    return np.array([i * x for i, x in enumerate(v)]), np.array([a * b for a, b in zip(v, v[::-1].copy())])


def listed_in_a_loop(v):
    total = np.zeros(3)
    for k in range(3):
        total[k] = np.array([x * k for x in v]).sum()
    return total


def listed_out_of_bounds(v):
    return np.array([v[i] for i in range(len(v) + 1)])


def rows_of_their_own(v):
    out = []
    for r in np.outer(v, v[:3]):
        out.append(r * 2)
    out[0][:] = 7
    return [o.base is None for o in out], [o.flags.owndata for o in out], out


def around_a_break(v):
    out = []
    keeper = {"out": out}
    for x in v:
        out.append(x * 2)
    untouched(1)
    out.append(5.0)
    return np.array(out), len(keeper["out"]), keeper["out"] is out, out[:2]


@quern.disable
def untouched(x):
    return x


def used_as_a_list(v):
    out = []
    for i in range(len(v)):
        out.append(i * 2 if v[i] > 0 else i)
    return out, sum(out), sorted(out)[:3], 4 in out, out == list(out), out * 2, tuple(out), dict(enumerate(out))


PROGRAMS = [
    rows_of_their_own, around_a_break, used_as_a_list,
    listed, listed_by_place, listed_rows, listed_choices, listed_parts, listed_twice, listed_in_some_rounds, listed_and_folded,
    listed_together, listed_in_a_loop, listed_out_of_bounds,
    ema, pythons_numbers, ints, truths, rows, rows_behind, from_one_on, with_a_beginning, counted, zipped, behind_a_branch,
    chosen_in_the_call, an_inner_loop, used_again, two_loops, seen_elsewhere, read_while_it_grows, measured_while_it_grows,
    by_another_name, by_two_names, in_some_rounds, until_some_round, not_in_some_rounds, of_several_kinds, of_several_sizes,
    twice_a_round, two_lists, returned_early, of_complex_numbers, refused_half_way,
]  # fmt: skip


def outcome(function, v):
    try:
        return function(v)
    except IndexError as error:
        return str(error)


@pytest.mark.parametrize("program", PROGRAMS)
def test_lists_grow_as_pythons(program):
    fast = quern.compile(program)
    for n in (40, 55, 70, 5, 1, 40):
        v = R.standard_normal(n)
        own = v.copy()
        if n < 4 and program in (of_several_sizes, rows_behind, used_again, with_a_beginning, listed_rows):
            continue
        equal(outcome(fast, own), outcome(program, v), 1e-12, True)
        np.testing.assert_array_equal(own, v)


ROLLED = [ema, rows, from_one_on, counted, zipped, behind_a_branch, chosen_in_the_call, listed, listed_by_place, listed_rows, listed_parts,
    listed_together]  # fmt: skip


@pytest.mark.parametrize("program", ROLLED)
def test_another_length_compiles_nothing(program):
    fast = quern.compile(program)
    for n in (40, 55, 70, 90, 300):
        fast(R.standard_normal(n))
    assert not fast.breaks and len(fast.recompiles) == 1


# ---------------------------------------------------------------- lists hold the very arrays


def _argument(v):
    out = []
    for _i in range(len(v)):
        out.append(v)
    return out, [o is v for o in out]


def _written_in_each_round(v):
    w, out = v * 2, []
    for i in range(len(v)):
        w[i] = i
        out.append(w)
    return out


def _views(v):
    w = v * 2
    out = [w[:3] for i in range(len(v))]
    w[0] = 9
    return out


def _rows_of_an_argument(v):
    m = np.outer(v, v[:3])
    out = [r for r in m]
    m[:, 0] = 5
    return np.array(out)


def _carried(v):
    x, out = v[:3] * 1, []
    for i in range(len(v)):
        x[0] = i
        x = x * 0.5
        out.append(x)
    return np.array(out)


def _beside_a_view(v):
    out = []
    for i in range(len(v)):
        x = v[:4] + i
        y = x[1:]
        out.append(x)
        y[0] = 50
    return np.array(out)


def _written_before(v):
    out = []
    for i in range(len(v)):
        x = v[:4] + i
        x[0] = 7
        out.append(x)
    return np.array(out)


def _written_behind(v):
    x, out = v[:3] * 1, []
    for _i in range(len(v)):
        x = x * 0.5
        out.append(x)
    x[0] = 77
    return np.array(out), x is out[-1]


def _twice(v):
    x, out = v[:3] * 1, []
    for i in range(len(v)):
        if v[i] > 0:
            x = x * 0.5
        out.append(x)
    out[0][0] = 33
    return np.array(out)


def _copies(v):
    x, out = v[:3] * 1, []
    for i in range(len(v)):
        x[i % 3] += 1
        out.append(x.copy())
    return np.array(out), x


def _gone_over(v):
    out = []
    for i in range(len(v)):
        m = np.outer(v[:3], v[:2]) + i
        for r in m:
            r[0] = i
        out.append(m)
        for r in m:
            r[1] = 40
    return np.array(out)


HOLDING = [_argument, _written_in_each_round, _views, _rows_of_an_argument, _carried, _beside_a_view, _written_before, _written_behind,
           _twice, _copies, _gone_over]  # fmt: skip


@pytest.mark.parametrize("program", HOLDING)
def test_lists_hold_the_very_arrays(program):
    fast = quern.compile(program)
    for n in (20, 25, 30):
        v = R.standard_normal(n)
        equal(fast(v), program(v), rtol=1e-12)


def _beside_a_count(v):
    out = []
    for i, r in enumerate(np.outer(v, v[:3])):
        y = r * i
        out.append(y)
    return np.array(out)


def _beside_pairs(v):
    out = []
    for r, s in zip(np.outer(v, v[:3]), v):
        y = r + s
        out.append(y)
    return np.array(out)


@pytest.mark.parametrize("program", [_written_before, _copies, _beside_a_count, _beside_pairs])
def test_arrays_that_nobody_else_holds_are_rows(program):
    fast = quern.compile(program, fullgraph=True)
    for n in (20, 25, 30):
        v = R.standard_normal(n)
        equal(fast(v), program(v), rtol=1e-12)
    assert len(fast.recompiles) <= 1
