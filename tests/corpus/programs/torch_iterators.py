"""Programs that go over dicts and sets whose keys they change, and hand the iterators on."""

# mypy: ignore-errors

from __future__ import annotations

import torch
from torch_values import on_torch

program = on_torch(__name__)
X = torch.ones(2)


def left(it):
    """What an iterator still gives, or how it fails."""
    found = [type(it).__name__]
    try:
        for item in it:
            found.append(item)
    except RuntimeError as error:
        found.append(str(error))
    return found


def numbered():
    return {"a": 1, "b": 2, "c": 3}


# ------------------------------------------------------------ gone over in the program


@program
def grown_behind_its_end(x):
    d, s = {"a": 1}, {1}
    over, through = iter(d), iter(s)
    seen = list(over), list(through)
    d["b"] = 2
    s.add(2)
    return x, seen, list(over), list(through)


@program(args=lambda: (X, numbered()))
def keys_exchanged(x, d):
    own, group = numbered(), {1, 2, 3}
    found = []
    for table in (d, own):
        it = iter(table)
        found.append(next(it))
        del table["b"]
        table["z"] = 4
        found.append(list(it))
    it = iter(group)
    found.append(next(it))
    group.remove(2)
    group.add(9)
    return x, found, list(it)


@program
def keys_moved_behind(x):
    d = numbered()
    it = iter(d.items())
    first = next(it)
    d["b"] = d.pop("b")
    return x, first, list(it)


@program
def cleared_and_filled_again(x):
    s = {1, 2}
    it = iter(s)
    next(it)
    s.clear()
    failed = left(it)
    s.update([5, 6])
    return x, failed, s


# ------------------------------------------------------------ handed on


@program.script
def changed_behind_the_iterator(c):
    def run(x, d, s):
        keys, values, elements = iter(d), iter(d.values()), iter(s)
        next(values)
        d["z"] = 9
        s.add(9)
        return x, keys, values, elements

    _, *made = c(run)(X, numbered(), {1})
    yield list(map(left, made))


@program.script
def exchanged_behind_the_iterator(c):
    def run(x, d):
        it = iter(d)
        next(it)
        del d["b"]
        d["z"] = 9
        return x, it

    yield left(c(run)(X, numbered())[1])


@program.script
def failed_before(c):
    """An iterator that failed fails for good, whatever keys there are when it is asked again."""

    def run(x, d, s):
        own, group = numbered(), {1, 2}
        made = [iter(t) for t in (d, own, s, group)]
        next(made[1])
        for table in (d, own):
            table["z"] = 9
        s.add(9)
        group.add(9)
        failed = 0
        for it in made:
            try:
                next(it)
            except RuntimeError:
                failed += 1
        for table in (d, own):
            del table["z"]
        s.remove(9)
        group.remove(9)
        return x, failed, made

    _, failed, made = c(run)(X, numbered(), {1})
    yield failed, list(map(left, made))


@program.script
def filled_again_behind_the_iterator(c):
    def run(x, d):
        own = numbered()
        made = iter(d), iter(own.items())
        for it, table in zip(made, (d, own)):
            next(it)
            for key in "abc":
                table[key] = table.pop(key)
        return x, made

    yield list(map(left, c(run)(X, numbered())[1]))


@program.script
def changed_before(c):
    def run(x, d, s):
        d["z"] = 9
        s.add(9)
        it = iter(d.items())
        next(it)
        return x, it, zip(d, [1, 2]), [enumerate(d.values())], iter(s)

    s = {1}
    _, it, zipped, (counted,), elements = c(run)(X, numbered(), s)
    yield left(it), left(zipped), left(counted), left(elements)


@program.script
def sets_and_their_iterators(c):
    def run(x, s):
        started = iter(s)
        next(started)
        return x, iter(s), started

    s = {1, 2}
    _, fresh, started = c(run)(X, s)
    next(fresh)
    s.add(3)
    yield left(fresh), left(started)


@program.script
def at_their_end(c):
    def run(x, d):
        it, through = iter(d), iter({1})
        seen = list(it), list(through)
        d["z"] = 9
        return x, seen, it, through

    _, seen, it, through = c(run)(X, numbered())
    yield seen, left(it), left(through)


@program.script
def written_where_they_stand(c):
    """The order of keys is that of the writes, iterators among them."""

    def run(x, d, out):
        d["z"] = 9
        out["first"] = iter(d)
        out["second"] = x
        out["third"] = [iter(d.values())]

    out = {}
    c(run)(X, numbered(), out)
    yield list(out), left(out["first"]), left(*out["third"])


@program.script
def held_by_what_they_go_over(c):
    def run(x, d, e):
        d["it"] = e["it"] = None
        d["it"], e["it"] = iter(e), iter(d)
        return x

    d, e = {"a": 1}, {"b": 2}
    c(run)(X, d, e)
    yield list(d), list(e), left(d["it"]), left(e["it"])


@program.script
def texts_that_look_like_our_names(c):
    def run(x, d, e, key):
        d["z"] = 9
        it = iter(d)
        e["b"], e[key] = e.pop("b"), 7
        e[key] = e.pop(key)
        e["b"] = e.pop("b")
        print(key, "first")
        print("second")
        return x, it

    for i in range(4):
        d, e = numbered(), {"b": 1, f"_t{i}": 2}
        f = c(lambda x, d, e, key=f"_t{i}": run(x, d, e, key))
        _, it = f(X, d, e)
        yield left(it), list(e.items())
