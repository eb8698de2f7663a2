"""Names that programs give to things and that cannot stand in Python code as they are, or stand for something else there."""

# mypy: ignore-errors

from __future__ import annotations

import collections
import functools
import types

import torch
from changes_objects import X
from registry import Topic

program = Topic(__name__)
#: what looks like a hole of a template, like a path, like a name of generated code; a keyword; a letter that Python exchanges
NAMES = (
    "{x}",
    "{y}",
    "{p0}",
    "{label}",
    "{",
    "a b",
    "a.b",
    "class",
    "__debug__",
    "_t0",
    "_s1",
    "\ufb01",
    "'",
    "\\",
    "\n",
)


class Plain:
    pass


def each(make):
    """A script that runs what `make` gives for every name."""

    @functools.wraps(make)
    def script(c):
        for name in NAMES:
            yield name, *make(c, name)

    return program.script(script)


# ------------------------------------------------------------ attributes and keys


@each
def read(c, name):
    def run(x, o, d):
        return x * getattr(o, name) * d[name] * getattr(o.a, name)

    f = c(run)
    for value in (2.0, 3.0):
        o = Plain()
        o.a = Plain()
        setattr(o, name, value)
        setattr(o.a, name, value + 1)
        yield f(X, o, {name: value})


@each
def written(c, name):
    def run(x, o, d):
        setattr(o, name, x)
        d[name] = name
        return x + 1

    def delete(x, o):
        delattr(o, name)
        return x + 1

    o, d = Plain(), {}
    o.a = Plain()
    yield c(run)(X, o, d), d, getattr(o, name), list(vars(o)), vars(o.a)
    yield c(delete)(X, o), list(vars(o))


@each
def one_object_at_two_places(c, name):
    def run(x, o):
        one, other = getattr(o, name), o.other
        one.append(1.0)
        return x * len(other)

    f, shared = c(run), [1]
    for one, other in ((shared, shared), ([1], [1])):
        o = Plain()
        o.other = other
        setattr(o, name, one)
        yield f(X, o), one


@each
def of_tensors_and_modules(c, name):
    def run(x, m):
        y = x + 1
        setattr(x, name, 2)
        setattr(y, name, 3)
        setattr(m, name, 4)
        return y, list(vars(x)), list(vars(y))

    def delete(x):
        delattr(x, name)
        return x + 1, hasattr(x, name), list(vars(x))

    x, m = X.clone(), torch.nn.Module()
    y, *seen = c(run)(x, m)
    yield seen, getattr(x, name), getattr(y, name), getattr(m, name)
    yield c(delete)(x)


@each
def of_functions_and_classes(c, name):
    class Owner:
        pass

    def run(x, f):
        p, d = functools.partial(dict, **{name: 1}), collections.OrderedDict()
        e, n = ValueError(1), types.SimpleNamespace(**{name: 2})
        for i, o in enumerate((f, Owner, p, d, e)):
            setattr(o, name, i)
        return x + name.count("a"), p, d, e, n

    def function():
        pass

    _, *made = c(run)(X, function)
    yield [getattr(o, name) for o in (function, Owner, *made)], made[0]()
    yield c(lambda x: x * getattr(Owner, name) * (name in Owner.__dict__))(X)


@each
def keywords(c, name):
    def count(**given):
        yield from given.items()

    def run(x, **given):
        return x * given[name], count(**given)

    f = c(run)
    for value in (2, 3, 4):
        y, it = f(X, **{name: value})
        yield y, list(it)


# ------------------------------------------------------------ names of functions, classes and parameters


@each
def of_what_is_given(c, name):
    def run(x, o):
        o.seen = x
        return x + 1

    cls = type("Given", (), {})
    cls.__name__ = cls.__qualname__ = name
    f = types.FunctionType(run.__code__, globals(), name)
    o = cls()
    yield c(run)(X, o), o.seen, c(f)(X, o)


@program.script
def parameters(c):
    """Names of builtins, and names as generated code has them."""
    for name in (
        "type",
        "len",
        "id",
        "input",
        "_r",
        "_entry",
        "_table",
        "_MISS",
        "__r",
        "_h0",
        "_v0",
        "_default0",
        "found",
    ):
        scope = {"torch": torch}
        exec(
            f"def run(x, {name}, *, _used=1):\n    print(end='')\n    y = x * {name}\n    float(y.sum())\n    return y, [{name}, _used]\n"
            f"def hooked({name}, x):\n    h = x.register_hook(lambda g: g * {name})\n    return x * {name}, {name}, h\n",
            scope,
        )
        f, g = c(scope["run"]), c(scope["hooked"])
        for value in (2, 2.5, True, 3, 4):
            yield f(X, value), f(x=X, **{name: value}, _used=value)
            leaf = X.clone().requires_grad_()
            y, seen, handle = g(value, leaf)
            y.sum().backward()
            yield y, seen, leaf.grad, type(handle).__name__
        for wrong in ((), (1, 2, 3)):
            try:
                f(*wrong)
            except TypeError as error:
                yield str(error)


# ------------------------------------------------------------ numbers that are not written out


@program.script
def long_numbers(c):
    huge = 10**5000

    def run(x, n, items):
        items.append(huge)
        return x + (n > 5) + (n == huge) + (huge in items), {huge: n}

    f = c(run)
    for n in (huge, huge + 1, 7):
        items = []
        yield f(X, n, items)[0], items == [huge]


@program.script
def powers_that_would_fill_the_memory(c):
    f = c(lambda x, n: x * (pow(2, n) % 7 if n < 9 else 1))
    g = c(lambda x, n: x * (pow(n, n * 10**4) % 3))
    for n in (2, 3, 4):
        yield f(X, n), g(X, n)
