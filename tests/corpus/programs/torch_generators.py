"""Generators and context managers written as generators."""

# ruff: noqa
# mypy: ignore-errors

import contextlib
import itertools

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)
# known=("cut",): a break may still change a generator or an iterator that lives on beside the piece which dropped or changed it


def count(n):
    i = 0
    while i < n:
        yield i
        i += 1


@program
def for_over_generator(x):
    for i in count(4):
        x = x + i
    return x


@program
def generator_of_tensors(x):
    def rows():
        for r in x:
            yield r * 2

    return list(rows()), sum(rows())


@program
def next_and_rest(x):
    g = count(5)
    a = next(g)
    b = next(g)
    return x * (a + b), list(g), next(g, "end")


@program
def return_value_of_generator(x):
    def inner():
        yield 1
        return x + 1

    def outer():
        result = yield from inner()
        yield result

    return list(outer())


@program
def yield_from_many(x):
    def chain(*its):
        for it in its:
            yield from it

    return list(chain([x], (1, 2), "ab", {"k": 1}, count(2)))


@program
def throw_into_generator(x):
    log = []

    def g():
        try:
            yield 1
        except ValueError as e:
            log.append(str(e))
            yield 2
        finally:
            log.append("finally")

    it = g()
    a = next(it)
    b = it.throw(ValueError("thrown"))
    it.close()
    return x * a + b, log


@program
def generator_closed_early(x):
    log = []

    def g():
        try:
            yield 1
            yield 2
        finally:
            log.append("closed")

    it = g()
    next(it)
    it.close()
    return x, log


@program
def generator_raises(x):
    def g():
        yield 1
        raise KeyError("in generator")

    seen = []
    try:
        for i in g():
            seen.append(i)
    except KeyError as e:
        return x + seen[0], str(e)


@program
def stop_iteration_inside_generator(x):
    def g():
        yield 1
        raise StopIteration("bad")

    try:
        list(g())
    except RuntimeError as e:
        return x, str(e), repr(e.__cause__)


@program
def lazy_evaluation_order(x):
    log = []

    def g():
        for i in range(3):
            log.append(f"make {i}")
            yield i

    for i in g():
        log.append(f"use {i}")
    return x, log


@program
def partial_consumption_side_effects(x):
    log = []
    g = (log.append(i) or i for i in range(10))
    next(g)
    next(g)
    return x * len(log), log


@program
def returned_generator(x):
    g = (i * 2 for i in range(3))
    y = x + next(g)
    return y, list(g)


@program
def generator_as_class_method(x):
    class_rows = Rows(x)
    return [r * 2 for r in class_rows], [r for r in class_rows.pairs()]


class Rows:
    def __init__(self, t):
        self.t = t

    def __iter__(self):
        for i in range(self.t.shape[0]):
            yield self.t[i]

    def pairs(self):
        for a, b in zip(self, self):
            yield a + b


@program
def nested_generators(x):
    def evens(it):
        for i in it:
            if i % 2 == 0:
                yield i

    def squares(it):
        for i in it:
            yield i * i

    return x + sum(squares(evens(count(6))))


@program
def generator_expression_conditions(x):
    return (
        torch.stack([t for t in (x[i] for i in range(3) if i != 1)]),
        all(i < 5 for i in count(4)),
        any(i > 9 for i in count(4)),
    )


@program
def recursive_generator(x):
    def tree(n):
        if n:
            yield from tree(n - 1)
            yield n
            yield from tree(n - 1)

    return x, list(tree(3))


@contextlib.contextmanager
def scope(log, name):
    log.append("+" + name)
    try:
        yield name
    finally:
        log.append("-" + name)


@program
def contextmanager_decorator(x):
    log = []
    with scope(log, "a") as a, scope(log, "b"):
        x = x + len(a)
    return x, log


@program
def contextmanager_with_exception(x):
    log = []
    try:
        with scope(log, "a"):
            raise ValueError("inside")
    except ValueError:
        log.append("caught")
    return x * 2, log


@contextlib.contextmanager
def swallow():
    try:
        yield
    except KeyError:
        pass


@program
def contextmanager_swallows(x):
    with swallow():
        {}["z"]
    return x + 1


@program
def contextmanager_as_decorator(x):
    log = []

    @scope(log, "d")
    def f(t):
        return t * 2

    return f(x), log


@program
def exit_stack(x):
    log = []
    with contextlib.ExitStack() as stack:
        for n in "abc":
            stack.enter_context(scope(log, n))
        stack.callback(log.append, "callback")
        x = x + 1
    return x, log


@program
def nullcontext(x):
    with contextlib.nullcontext(5) as n:
        return x * n


@program
def closing(x):
    class_log = []

    with contextlib.closing(Closer(class_log)) as c:
        x = x + c.n
    return x, class_log


class Closer:
    n = 3

    def __init__(self, log):
        self.log = log

    def close(self):
        self.log.append("closed")


@program
def itertools_program(x):
    return (
        x,
        list(itertools.chain([1], [2, 3])),
        list(itertools.islice(itertools.count(3), 4)),
        list(itertools.product("ab", [1, 2])),
        list(itertools.permutations([1, 2, 3], 2)),
        list(itertools.combinations("abc", 2)),
        list(itertools.accumulate([1, 2, 3])),
        list(itertools.zip_longest([1], [2, 3], fillvalue=0)),
        list(itertools.repeat(7, 2)),
        list(itertools.takewhile(lambda i: i < 2, [0, 1, 2, 0])),
        list(itertools.dropwhile(lambda i: i < 2, [0, 1, 2, 0])),
        list(itertools.starmap(pow, [(2, 3), (3, 2)])),
        list(itertools.chain.from_iterable([[1], [2]])),
        list(itertools.pairwise([1, 2, 3])),
        [(k, list(g)) for k, g in itertools.groupby("aab")],
        list(itertools.compress("abc", [1, 0, 1])),
        list(itertools.filterfalse(lambda i: i % 2, range(4))),
        list(itertools.islice(itertools.cycle("ab"), 5)),
    )


@program
def itertools_over_tensors(x, y):
    pairs = list(itertools.product([x, y], repeat=2))
    total = sum(a * b for a, b in pairs)
    running = list(itertools.accumulate([x, y, x], lambda a, b: a * b))
    a, b = itertools.tee([x, y])
    return total, running[-1], list(a)[0] + list(b)[1]


@program
def infinite_generator_with_break(x):
    for i in itertools.count():
        if i > 3:
            break
        x = x + i
    return x


@program
def generator_stored_in_object(x):
    h = Holder(count(3))
    a = next(h.g)
    b = next(h.g)
    return x * a + b


class Holder:
    def __init__(self, g):
        self.g = None
        self.g = g

    def __eq__(self, other):
        return True

    __hash__ = None


@program
def async_names_not_used(x):
    def gen():
        received = []
        while len(received) < 2:
            received.append((yield len(received)))
        return received

    g = gen()
    out = [next(g), g.send("a")]
    try:
        g.send("b")
    except StopIteration as stop:
        out.append(stop.value)
    return x, out


# ---------------------------------------------------------------- generators that nobody holds any more


def _numbers(n, log):
    try:
        for i in range(n):
            yield i
    finally:
        log.append("closed")


def _outer(n, log):
    with contextlib.ExitStack() as stack:
        stack.callback(log.append, "outer")
        yield from _numbers(n, log)


@program(args=lambda: (randn(2), []), known=("cut",))
def dropped_by_break(x, log):
    for i in _numbers(3, log):
        break
    log.append("after")
    for i, j in zip(_outer(3, log), "ab"):
        if j == "b":
            break
    log.append("end")
    return x + i


@program(args=lambda: (randn(2), []), known=("cut",))
def dropped_at_return(x, log):
    def first():
        it = _numbers(3, log)
        next(it)
        log.append("in")
        return 2

    k = first()
    log.append("out")
    it = _numbers(2, log)
    return x * k + next(it)


@program(args=lambda: (randn(2), []), known=("cut",))
def dropped_by_assignment(x, log):
    it = _numbers(3, log)
    next(it)
    it = None
    log.append(1)
    other = [_outer(3, log)]
    next(other[0])
    other.clear()
    log.append(2)
    held = {"it": _numbers(1, log)}
    next(held["it"])
    del held["it"]
    log.append(3)
    return x + next(_numbers(5, log))


@program(args=lambda: (randn(2), []), known=("cut",))
def dropped_by_exception(x, log):
    try:
        for q in _numbers(4, log):
            raise ValueError(q)
    except ValueError:
        log.append("caught")
    try:
        a, b = _numbers(9, log)
    except ValueError as e:
        log.append(str(e))
    return x, any(i > 0 for i in _numbers(5, log)), list(zip(range(2), _numbers(4, log)))


@program(args=lambda: (randn(2), [1]))
def extended_while_it_is_read(x, seen):
    def grow():
        for i in range(3):
            yield len(seen)
        raise KeyError("end")

    try:
        seen.extend(grow())
    except KeyError:
        pass
    d, s = {}, set()
    try:
        d.update((k, len(d)) for k in [1, 2, (3,), []])
    except TypeError as e:
        seen.append(str(e))
    try:
        s.update(len(s) if i < 3 else [] for i in range(4))
    except TypeError:
        pass
    return x, seen, d, s


@program(args=lambda: (randn(2), {1, 2, 3}), known=("cut",))
def set_changed_while_iterated(x, s):
    try:
        for i in s:
            s.add(i + 10)
    except RuntimeError as e:
        return x, str(e), s
