"""Functions and closures: arguments, defaults, star-args, nonlocal, recursion, lambdas, decorators, partials."""

# ruff: noqa
# mypy: ignore-errors

import functools

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)

SCALE = 3
COUNT = 0
LOG = []
TABLE = {"a": 1}


def helper(a, b=2, *rest, c=3, **more):
    return a * b + c + len(rest) + sum(more.values())


@program
def call_with_defaults(x):
    return helper(x), helper(x, 5), helper(x, 1, 2, 3, c=4, d=5), helper(b=1, a=x)


@program
def call_star(x):
    args = (x, 2)
    kwargs = {"c": 1, "e": 2}
    return helper(*args, **kwargs), helper(*[x], *[1, 2], **{"c": 9})


@program
def keyword_only(x):
    def f(a, /, b, *, c):
        return a + b * c

    return f(x, b=2, c=3), f(x, 1, c=0)


@program(args=lambda: (randn(3), 1, 2))
def varargs(x, *rest):
    return x + sum(rest), rest, type(rest)


@program
def closure_reads(x):
    k = 4

    def inner(t):
        return t * k + x

    k = 5
    return inner(x)


@program
def nonlocal_write(x):
    total = 0

    def add(t):
        nonlocal total
        total = total + t
        return total

    add(x)
    add(x * 2)
    return total


@program
def nonlocal_counter(x):
    n = 0

    def tick():
        nonlocal n
        n += 1
        return n

    return x * tick() + tick(), n


@program
def closure_in_loop(x):
    fs = []
    for i in range(3):
        fs.append(lambda t: t * i)
    return [f(x) for f in fs]


@program
def closure_default_capture(x):
    fs = [lambda t, i=i: t * i for i in range(3)]
    return [f(x) for f in fs]


@program.maker
def outer_closure():
    weight = torch.ones(3, 4) * 2
    scale = 1.5

    def f(x):
        return x * weight * scale

    return f


@program.maker
def closure_counter():
    count = 0

    def f(x):
        nonlocal count
        count += 1
        return x + 1

    return f


@program.maker
def closure_counter_used():
    count = 0

    def f(x):
        nonlocal count
        count += 1
        return x + count

    return f


@program.maker
def closure_list_append():
    seen = []

    def f(x):
        seen.append(x * 2)
        return len(seen)

    return f


@program
def returns_closure(x):
    y = x + 1

    def f(t):
        return t + y

    return f, y


@program
def returns_lambda(x):
    k = 3
    return lambda t: t * k


@program
def recursion(x):
    def fact(n):
        return 1 if n <= 1 else n * fact(n - 1)

    return x * fact(5)


def power(x, n):
    return x if n == 1 else x * power(x, n - 1)


@program
def global_recursion(x):
    return power(x, 4)


@program
def mutual_recursion(x):
    def even(n):
        return True if n == 0 else odd(n - 1)

    def odd(n):
        return False if n == 0 else even(n - 1)

    return x if even(10) else -x


def twice(fn):
    @functools.wraps(fn)
    def run(*args, **kwargs):
        return fn(fn(*args, **kwargs))

    return run


@twice
def decorated(x):
    return x * 2 + 1


@program
def calls_decorated(x):
    return decorated(x), decorated.__name__


@program
def local_decorator(x):
    @twice
    def f(t):
        return t + x

    return f(x)


@program
def partials(x):
    f = functools.partial(helper, x, c=1)
    g = functools.partial(f, 7)
    return f(), g(), g(1, d=2), f.args, f.keywords


@program
def higher_order(x):
    def compose(*fs):
        def run(t):
            for f in fs:
                t = f(t)
            return t

        return run

    return compose(torch.sin, torch.relu, lambda t: t + 1)(x)


@program
def map_filter(x):
    rows = list(map(lambda r: r * 2, x))
    kept = list(filter(lambda n: n % 2, range(6)))
    return rows, kept


@program
def reads_global(x):
    return x * SCALE


@program(state=("COUNT",))
def writes_global(x):
    global COUNT
    COUNT += 1
    return x + 1


@program(state=("COUNT",))
def writes_and_reads_global(x):
    global COUNT
    COUNT = COUNT + 2
    return x + COUNT


@program(state=("LOG", "TABLE"))
def mutates_globals(x):
    LOG.append(x.sum())
    TABLE["n"] = TABLE.get("n", 0) + 1
    TABLE["a"] = x
    return x * 2


@program(state=("NEW_GLOBAL",))
def makes_and_deletes_global(x):
    global NEW_GLOBAL
    NEW_GLOBAL = x + 1
    y = NEW_GLOBAL * 2
    del NEW_GLOBAL
    return y


@program(state=("NEW_GLOBAL",))
def makes_global(x):
    global NEW_GLOBAL
    NEW_GLOBAL = x + 1
    return NEW_GLOBAL


@program
def function_attributes(x):
    def f(t):
        return t + f.offset

    f.offset = 3
    return f(x), f.offset, f.__name__, f.__qualname__


@program
def function_introspection(x):
    def f(a, b=1, *, c=2):
        return a

    return f(x), f.__defaults__, f.__kwdefaults__, f.__code__.co_argcount, callable(f)


def _mutable_default(t, seen=[]):
    seen.append(1)
    return t * len(seen)


@program.maker
def mutable_default():
    def g(t, seen=[]):
        seen.append(1)
        return t * len(seen)

    def f(x):
        return g(x) + g(x)

    return f


@program
def import_inside(x):
    import math
    from math import pi as p
    import os.path as osp
    from collections import OrderedDict

    return x * math.sqrt(2) + p, osp.basename("a/b"), OrderedDict(a=1)


@program
def lambda_defaults(x):
    f = lambda a, b=2, *c, d=4, **e: a * b * d + len(c) + len(e)
    return f(x), f(x, 3, 4, 5, d=1, z=1)


@program
def wrong_arguments(x):
    def f(a, b):
        return a

    try:
        f(x)
    except TypeError as e:
        first = str(e)
    try:
        f(x, 1, 2)
    except TypeError as e:
        second = str(e)
    try:
        f(x, c=1)
    except TypeError as e:
        third = str(e)
    return x + 1, first, second, third


@program
def missing_argument_escapes(x):
    return helper()


@program(args=lambda: (randn(3), torch.sin))
def function_argument(x, f):
    return f(x) + 1


@program(args=lambda: (randn(3), lambda t: t * 2))
def lambda_argument(x, f):
    return f(x) + 1


@program.maker
def bound_method_program():
    class Model:
        def __init__(self):
            self.w = torch.ones(3, 4) * 3
            self.calls = 0

        def run(self, x):
            self.calls += 1
            return x * self.w

    return Model().run


@program
def apply_everything(x):
    ops = {"sin": torch.sin, "neg": torch.neg, "twice": lambda t: t * 2}
    out = {}
    for name, op in ops.items():
        out[name] = op(x)
    return out


@program
def star_in_calls_and_displays(x):
    a = [x, *[x + 1], *(x + 2,)]
    d = {"z": x, **{"y": x * 2}, "x": 1}
    s = (*a, *d)
    return a, d, s


@program
def nested_three_deep(x):
    def a(p):
        def b(q):
            def c(r):
                return p + q + r + x

            return c

        return b

    return a(1)(2)(3)


@program
def locals_and_vars(x):
    a = 1
    return x + a, sorted(locals())


@program
def eval_of_string(x):
    return eval("x + 1")


@program
def cell_deleted(x):
    def f():
        return y

    y = x
    first = f()
    del y
    try:
        f()
    except NameError as e:
        return first, str(e)


@program
def delete_builtin_name(x):
    global len
    n = len(x.shape)
    try:
        del len
    except NameError as e:
        return x * n, str(e)


@program(args=lambda: (randn(3), {"a": 1}.keys(), {"a": 2}.keys(), memoryview(b"ab"), memoryview(b"ab")))
def objects_of_c_classes(x, a, b, c, d):
    return x + 1, a == b, c == d, len(a), c[0], "a" in b, bool(a), len(c)


@program(args=lambda: (randn(2),))
def underscored_parameters(x):
    def scaled(t, _scale=1, *, __offset=0, _=2, _t0=3, _used=4, _o_1=5):
        torch._dynamo.graph_break()
        return t * _scale + __offset - _ + _t0 + _used + _o_1

    return scaled(x, _scale=2, __offset=1), scaled(x, _=5, _t0=1), scaled(x, 1, _used=0)
