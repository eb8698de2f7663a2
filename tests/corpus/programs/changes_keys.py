"""Programs that change what a dict or set holds between two calls, where keys are objects: parameters, tensors, objects of classes
with an equality of their own, bound methods, partials, and tuples and frozensets of such.
"""

# ruff: noqa: B023, E731
# mypy: ignore-errors

from __future__ import annotations

import collections
import dataclasses
import functools
import weakref

import torch
from changes_objects import X
from registry import Topic

program = Topic(__name__)


def parameters(*values):
    return [torch.nn.Parameter(torch.full((2,), float(v))) for v in values]


# ------------------------------------------------------------ compared by identity


@program.script
def state_made_at_first_sight(c):
    weights = parameters(1, 2)
    state, seen = {}, {}

    @c
    @torch.no_grad()
    def step(grad):
        for p in weights:
            if p not in state:
                state[p] = torch.zeros_like(p)
            state[p] = state[p] * 0.9 + grad
            seen["times", p] = seen.get(("times", p), 0) + 1
            p.sub_(state[p])
        return sum(p.sum() for p in weights)

    for _ in range(4):
        yield step(torch.ones(2)), [state[p] for p in weights], [seen["times", p] for p in weights]
    state.clear()
    yield step(torch.ones(2))
    del seen["times", weights[1]]
    yield step(torch.ones(2)), [seen["times", p] for p in weights]


@program.script
def state_of_state_in_a_defaultdict(c):
    weights, state = parameters(1, 2, 3), collections.defaultdict(dict)

    @c
    @torch.no_grad()
    def step(grad):
        for p in weights:
            mine = state[p]
            if not mine:
                mine["step"], mine["mean"] = 0, torch.zeros_like(p)
            mine["step"] += 1
            mine["mean"].mul_(0.5).add_(grad)
            p.sub_(mine["mean"] / mine["step"])
        return sum(p.sum() for p in weights)

    for _ in range(3):
        yield step(torch.ones(2)), [state[p]["step"] for p in weights]
    del state[weights[1]]
    yield step(torch.ones(2)), [state[p]["step"] for p in weights]


@program.script
def tensor_in_a_memo(c):
    memo = {}
    f = c(lambda t: memo[t] * 10 if t in memo else t + 1)
    one, equal = torch.ones(1), torch.ones(1)
    yield f(one)
    memo[one] = one * 7
    yield f(one), f(equal), f(torch.ones(1))
    memo[equal] = equal * 3
    yield f(one), f(equal)
    del memo[one]
    yield f(one), f(equal)


@program.script
def argument_looked_up_after_all_keys_were_seen(c):
    f = c(lambda t, d: sum(k.sum() * v for k, v in d.items()) * d.get(t, 2.0))
    a, b = torch.ones(3), torch.ones(3) * 2
    for t, d in (
        (X, {a: 1.0}),
        (X, {b: 3.0}),
        (a, {a: 4.0}),
        (a, {b: 4.0}),
        (b, {a: 1.0, b: 2.0}),
        (b, {b: 1.0, a: 2.0}),
    ):
        yield f(t, d)


@program.script
def value_read_before_its_key(c):
    a, b = object(), object()
    held = {a: 2.0, b: 3.0}
    f = c(lambda x, k: x * sum(held.values()) + (100 if k in held else 0))
    yield f(X, a), f(X, b), f(X, object())
    del held[a]
    yield f(X, a), f(X, b)


@program.script
def modules_functions_and_classes(c):
    first, second, table = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3), {}

    class Kind: ...

    @c
    def f(x, obj):
        for i, key in enumerate(
            (first, second, first.weight, type(obj), torch.relu, len, modules_functions_and_classes)
        ):
            if key in table:
                x = x * (i + 2) + table[key]
        return x

    yield f(X, Kind())
    for key in (second, first.weight, Kind, torch.relu, len, modules_functions_and_classes, first):
        table[key] = 1.0
        yield f(X, Kind()), f(X, 1)
    del table[second]
    yield f(X, Kind())


@program.script
def dtypes_and_devices(c):
    table = {torch.float32: 2.0, torch.device("cpu"): 3.0}
    f = c(lambda x: x * table.get(x.dtype, 1.0) * table.get(x.device, 1.0))
    yield f(X), f(X.double())
    table[torch.float64] = 9.0
    yield f(X.double())
    table.clear()
    yield f(X)


@program.script
def order_of_objects(c):
    a, b = object(), object()
    order = collections.OrderedDict()

    @c
    def f(x):
        for i, key in enumerate(order):
            x = x * (i + 2) if key is a else x + i + 1
        if a in order:
            order.move_to_end(a)
        return x

    yield f(X)
    for key in (a, b):
        order[key] = 1
        yield f(X)
    yield f(X), [key is a for key in order]
    order.move_to_end(a, last=False)
    yield f(X), [key is a for key in order]


@program.script
def parameters_in_a_set(c):
    a, b = parameters(1, 1)
    seen = set()

    @c
    @torch.no_grad()
    def f(x):
        for i, p in enumerate((a, b)):
            if p in seen:
                x = x + (i + 1) * 10
            else:
                seen.add(p)
        return x

    yield f(X), f(X), len(seen)
    seen.discard(a)
    yield f(X), len(seen)
    seen.clear()
    seen.add(torch.full((2,), 1.0))
    yield f(X), len(seen)


@program.script
def popped_and_set_again(c):
    (w,) = parameters(1)
    held = {w: 3.0}

    @c
    def f(x):
        try:
            return x * held.pop(w)
        except KeyError:
            return x - 1

    yield f(X), f(X)
    held[w] = 4.0
    yield f(X), len(held), f(X)
    g = c(lambda x: x * len(held.setdefault(w, [1, 2])))
    yield g(X), g(X)
    held[w].append(3)
    yield g(X)


@program.script
def views_of_objects(c):
    a, b = parameters(1, 2)
    held = {}

    @c
    def f(x):
        x = x + 1 if a in held.keys() else x
        x = x + 10 if (a, 2.0) in held.items() else x
        x = x + 100 if 2.0 in held.values() else x
        return x if held.keys() & {b} else x + 1000

    yield f(X)
    for key, value in ((a, 1.0), (a, 2.0), (b, 2.0)):
        held[key] = value
        yield f(X)
    del held[a]
    yield f(X)


@program.script
def weak_keys(c):
    class Owner: ...

    a, b = Owner(), Owner()
    held = weakref.WeakKeyDictionary()
    f = c(lambda x, k: x * held[k] if k in held else x - held.get(k, 5.0))
    yield f(X, a)
    held[a] = 3.0
    yield f(X, a), f(X, b)
    held[b] = 2.0
    del held[a]
    yield f(X, a), f(X, b)

    @c
    def count(x, k):
        held[k] = held.get(k, 0) + 1
        return x * held[k]

    yield count(X, a), count(X, a), count(X, b)


@program.script
def dicts_given_as_arguments(c):
    class Owner: ...

    @c
    def f(x, d, k):
        if k in d:
            d[k] = d[k] + 1
            return x * d[k]
        d[k] = 1.0
        return x

    a, b, other = Owner(), Owner(), Owner()
    for d, k in (
        ({a: 1.0}, a),
        ({b: 2.0}, b),
        ({a: 1.0, b: 5.0}, b),
        ({a: 1.0, b: 5.0}, other),
        ({}, a),
        ({b: 1.0}, a),
    ):
        yield f(X, d, k), list(d.values()), list(d).index(k)


# ------------------------------------------------------------ compared by what they are made of


@program.script
def bound_methods(c):
    class Layer:
        def go(self, x):
            return x + 1

        def stop(self, x):
            return x - 1

    a, b, gain = Layer(), Layer(), {}
    f = c(lambda x, method: method(x) * gain.get(method, 1.0))
    yield f(X, a.go)
    gain[a.go] = 5.0
    yield f(X, a.go), f(X, b.go), f(X, a.stop)
    gain[b.go] = 2.0
    del gain[a.go]
    yield f(X, a.go), f(X, b.go)


@program.script
def bound_methods_of_oneself(c):
    class Layer:
        def __init__(self):
            self.hooks = {}

        def before(self, x):
            return x * 2

        def run(self, x):
            if self.before in self.hooks:
                x = self.before(x) + self.hooks[self.before]
            self.hooks.setdefault(self.before, 0.5)
            return x

    layer = Layer()
    f = c(layer.run)
    yield f(X), f(X)
    layer.hooks[layer.before] = 3.0
    yield f(X)
    layer.hooks.clear()
    yield f(X), list(layer.hooks.values())


@program.script
def partials(c):
    a, b, known = functools.partial(torch.add, 1.0), functools.partial(torch.add, 1.0), {}
    f = c(lambda x, fn: fn(x) * (2 if fn in known else 1))
    yield f(X, a)
    known[a] = True
    yield f(X, a), f(X, b)
    known[b] = known.pop(a)
    yield f(X, a), f(X, b)


@program.script
def tuples_and_frozensets(c):
    a, b = parameters(1, 2)
    held = {}

    @c
    def f(x):
        for p in (a, b):
            x = x + held.get(("m", p), 0)
            x = x * held.get(frozenset((p, "x")), 1)
            x = x - 100 if (p, a) in held else x
        return x

    yield f(X)
    for key in (("m", a), ("m", b), frozenset((b, "x")), (b, a)):
        held[key] = 3.0
        yield f(X)
    del held["m", a]
    yield f(X)
    held.clear()
    yield f(X)


@program.script
def tuples_of_arguments(c):
    Pair = collections.namedtuple("Pair", "tensor number")
    held = {}
    f = c(lambda x, k: x * 2 if k in held else x * 3)
    key = Pair(X, 1)
    yield f(X, key)
    held[key] = 1
    yield f(X, key), f(X, Pair(X, 1)), f(X, (X, 1)), f(X, Pair(X + 0, 1)), f(X, Pair(X, 2))


@program.script
def numbers_of_several_types(c):
    table = {0.1: 1.0, 0.5: 2.0, 1: 3.0, None: 5.0, float("inf"): 6.0, b"x": 7.0, (1, 2.5): 8.0}
    f = c(lambda x, k: x * table.get(k, 0.25))
    for k in (0.1, 0.5, 1, 1.0, True, None, float("inf"), b"x", (1, 2.5), (True, 2.5), (1, 2.0)):
        yield f(X, k)
    table[2.5] = 10.0
    yield f(X, 2.5)


# ------------------------------------------------------------ compared by the program's own code


class Numbered:
    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return isinstance(other, Numbered) and self.number == other.number

    def __hash__(self):
        return hash(self.number)


@program.script
def own_equality(c):
    memo = {}

    @c
    def f(x, key):
        found = memo.get(key)
        if found is None:
            memo[key] = x.sum()
            return x
        return x * found

    for number in (1, 1, 2, 1, 2, 3):
        yield f(X, Numbered(number)), len(memo)
    memo.clear()
    yield f(X, Numbered(1)), len(memo)
    memo[Numbered(9)] = torch.tensor(5.0)
    yield f(X, Numbered(9))
    key = Numbered(4)
    yield f(X, key)
    key.number = 9
    yield f(X, key), len(memo)


@program.script
def keys_that_the_program_makes(c):
    @dataclasses.dataclass(frozen=True)
    class Shape:
        rows: int
        name: str

    memo = {}

    @c
    def f(x, n):
        key = Shape(n, "a")
        if key not in memo:
            memo[key] = x * n
        return memo[key] + 0

    for n in (2, 2, 3, 2):
        yield f(X, n), len(memo)
    memo.clear()
    yield f(X, 2), len(memo)
    memo[Shape(7, "a")] = X * 100
    yield f(X, 7)


@program.script
def an_equality_that_counts(c):
    class Counted:
        def __init__(self):
            self.asked = []

        def __eq__(self, other):
            self.asked.append("eq")
            return True

        def __hash__(self):
            self.asked.append("hash")
            return 7

    held, key, other = {}, Counted(), Counted()
    f = c(lambda x, k: x * 2 if k in held else x * 3)
    yield f(X, key), key.asked
    held[other] = 1
    yield f(X, key), key.asked, other.asked


# ------------------------------------------------------------ what is read beside the keys


@program.script
def a_default_is_not_made_by_looking(c):
    held = collections.defaultdict(int, a=2)
    f = c(lambda x: x * held["a"] if "a" in held else x - 1)
    g = c(lambda x: x * (held["b"] + 1))
    yield f(X), g(X)
    del held["a"], held["b"]
    yield f(X), list(held), g(X), list(held)
    held["a"] = 5
    yield f(X)


@program.script
def counters_of_objects(c):
    (w,) = parameters(1)
    count = collections.Counter()

    @c
    def f(x):
        count[w] += 1
        count["calls"] += 2
        return x * count[w]

    yield f(X), f(X), f(X), count["calls"]
    count.clear()
    yield f(X), count["calls"]
    g = c(lambda x: x * 3 if "zero" in count else x * (2 + count["zero"]))
    yield g(X)
    count["zero"] = 0
    yield g(X)
    del count["zero"]
    yield g(X)


@program.script
def what_is_left_after_a_deletion(c):
    @c
    def f(x, d):
        if "a" in d:
            del d["a"]
        return x * 2 if d else x * 3

    yield f(X, {"a": 1}), f(X, {"a": 1, "b": 2}), f(X, {}), f(X, {"b": 1})


@program.script
def a_missing_key_is_the_classs_to_answer(c):
    class Missing(dict):
        asked = []

        def __missing__(self, key):
            self.asked.append(1)
            return 4.0

    held, key = Missing(), object()
    f = c(lambda x: x * held[key] + held["a"])
    yield f(X)
    held[key] = 2.0
    yield f(X)
    held["a"] = 1.0
    yield f(X)
    del held[key]
    yield f(X), len(Missing.asked)


@program.script
def methods_of_a_dicts_subclass_run_as_often_as_called(c):
    class Own(dict):
        calls = 0

        def __contains__(self, key):
            Own.calls += 1
            return True

        def __getitem__(self, key):
            Own.calls += 1
            return 5.0

    held = Own(a=1.0)
    f = c(lambda x: x * held["z"] if "q" in held else x)
    yield f(X), f(X), Own.calls


# ------------------------------------------------------------ the order of sets


@program.script
def tensors_of_a_set_in_its_order(c):
    tensors = [torch.full((1,), float(i)) for i in range(9)]

    @c
    def horner(tensors):
        total = torch.zeros(1)
        for t in tensors:
            total = total * 3 + t
        return total, [float(t) for t in tensors]

    # the order is that of the addresses, so each run has its own
    for left in (9, 7, 5):
        for items in (set(tensors[:left]), frozenset(tensors[-left:])):
            total = 0
            for t in items:
                total = total * 3 + float(t)
            found, listed = horner(items)
            yield float(found) == total, listed == [float(t) for t in items]


def shrunk_set():
    """Its items lie far apart, as in a larger set."""
    items = set(range(0, 300, 7))
    for item in list(items)[3:]:
        items.discard(item)
    items |= {32, 64, 3}
    return items


@program.script
def a_set_that_had_more_items(c):
    @c
    def listed(x, items):
        return x + 1, list(items), repr(items), [2 * i for i in items], items

    @c
    def changed(x, items):
        items.add(100)
        items.add(17)
        items.discard(33)
        items ^= {3, 259, 5}
        return x + 1, list(items), str(items)

    @c
    def popped(x, items):
        return x + 1, items.pop(), [items.pop() for _ in range(2)], list(items)

    for function in (listed, changed, popped):
        items = shrunk_set()
        yield function(X, items), list(items)
        yield function(X, items), list(items)


@program.script
def sets_whose_items_collide(c):
    @c
    def changed(x, items):
        items.add(100)
        items.discard(33)
        other = {1, 33, 65} - {1}
        other |= {97, 8}
        return x + 1, list(items), other, list(other), items

    for order in ((1, 33, 65, 9, 17), (65, 17, 33, 1), (97, 65, 33, 1)):
        items = set()
        for item in order:
            items.add(item)
        result = changed(X, items)
        yield result, list(items), [list(part) for part in result[1:]]


@program.script
def a_set_less_itself(c):
    @c
    def emptied(x, items):
        items.difference_update(items)
        return x + 1, len(items), items

    @c
    def kept(x, items):
        items &= items
        items.update(items, {5})
        return x + 1, items

    for function in (emptied, kept):
        items = {1, 2, 3}
        yield function(X, items), items


class Crowded(Numbered):
    """Many have the same hash."""

    def __hash__(self):
        return self.number % 4


@program.script
def sets_whose_items_the_program_makes(c):
    @c
    def crossed(x, items):
        items ^= {Crowded(1), Crowded(9)}
        return x + 1, [i.number for i in items]

    @c
    def made_and_dropped(x, items):
        items.add(Crowded(7))
        items.discard(Crowded(7))
        items &= {Crowded(7), Crowded(1), Crowded(5)}
        items.discard(Crowded(5))
        other = set(items)
        other &= set()
        for n in (3, 33, 17):
            other.add(Crowded(n))
        other.discard(Crowded(33))
        return x + 1, [i.number for i in items], [i.number for i in other], other

    @c
    def emptied(x, items):
        items.clear()
        items.add(Crowded(4))
        return x + 1, len(items)

    for function in (crossed, made_and_dropped, emptied):
        items = {Crowded(1), Crowded(5), Crowded(2)}
        result = function(X, items)
        yield result[:3], [i.number for i in items]
