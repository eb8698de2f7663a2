"""Corners of the language where an answer that is nearly right is wrong: order of evaluation, identity, partial effects."""

# ruff: noqa
# mypy: ignore-errors

import collections
import contextlib
import contextvars
import functools
import inspect
import itertools
import math
import operator
import sys
import threading
import types

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)

TOTAL = 0
STACK = [1]
DEPTH = contextvars.ContextVar("DEPTH", default=3)
LOCK = threading.Lock()


# ---------------------------------------------------------------- order of evaluation


@program
def evaluation_order_of_calls(x):
    log = []

    def t(v):
        log.append(v)
        return v

    def f(*a, **k):
        return len(a) + len(k)

    n = f(t(1), *[t(2)], t(3), k=t(4), **{"m": t(5)})
    d = {t("k"): t("v"), t("l"): t("w")}
    l = [0, 0, 0]
    l[t(1)] = t(9)
    l[t(2)] += t(7)
    (t(1) + t(2)) * t(3)
    t(1) < t(5) < t(3) < t(4)
    a, b = t("a"), t("b")
    return x * n, log, d, l


@program
def short_circuits(x):
    log = []

    def t(v):
        log.append(v)
        return v

    r = [
        t(0) or t(2) and t(3),
        t(1) and t(0) or t("e"),
        not t(0),
        t(1) if t(0) else t(5),
        any(t(v) for v in (0, 1, 2)),
        all(t(v) for v in (1, 0, 2)),
    ]
    return x, r, log


@program
def augmented_assignment_order(x):
    log = []

    class_ = type

    def target():
        log.append("target")
        return holder

    holder = {"k": [1]}
    target()["k"] += [2]
    t = ([1], 2)
    try:
        t[0] += [3]
    except TypeError as e:
        log.append(str(e))
    return x, holder, t, log


@program
def default_arguments_evaluated_once(x):
    made = []

    def make():
        made.append(1)
        return []

    def f(v, acc=make()):
        acc.append(v)
        return acc

    f(1)
    return x, f(2), made


@program
def comprehension_scopes(x):
    i = "outer"
    a = [i for i in range(3)]
    fs = [lambda: i for i in range(2)]
    g = {k: v for k, v in zip("ab", a)}
    return x, i, a, [f() for f in fs], g


@program
def decorators_apply_bottom_up(x):
    log = []

    def tag(n):
        log.append(f"make {n}")

        def deco(f):
            log.append(f"apply {n}")
            return f

        return deco

    @tag(1)
    @tag(2)
    def f(t):
        return t + 1

    return f(x), log


# ---------------------------------------------------------------- identity


@program
def identity_of_constants(x):
    a, b = 256, 256
    c = ()
    n = float("nan")
    return (
        x,
        a is b,
        c is (),
        None is None,
        n == n,
        n in [n],
        [n] == [n],
        {n: 1}[n],
        x is x,
        [x] == [x],
        (x,)[0] is x,
        "a" is "a",
        True is (1 == 1),
    )


@program
def booleans_ints_and_floats_as_keys(x):
    d = {1: "a", True: "b", 1.0: "c", 0: "z", False: "y", -0.0: "w", "1": "s"}
    s = {1, True, 1.0, 2}
    return x, d, list(d), s, d[True], 1.0 in s, list(map(type, d))


@program
def negative_zero_and_friends(x):
    z = -0.0
    return (
        x * z,
        z,
        str(z),
        math.copysign(1, z),
        0.0 == z,
        z + 0,
        [z],
        float("-0"),
        round(-0.4),
        -0.0 * 5,
        0 * -1,
        int(-0.9),
        -7 // 2,
        -7 % 2,
        7 % -3,
        -7.5 // 2,
        math.fmod(-7, 2),
        2**100,
        (2**64) // 3,
        1e308 * 10,
        -1e308 * 10,
    )


@program
def small_differences_of_types(x):
    return (
        x,
        1 / 1,
        2**-1,
        2**2,
        2.0**2,
        7 // 2.0,
        True + True,
        -True,
        ~True,
        True & False,
        True & 3,
        sum([True, True]),
        max(True, 2),
        divmod(7.0, 2),
        round(2.5),
        round(3.5),
        round(2.5, 0),
        int("0x1f", 16),
        bool("False"),
        abs(-True),
    )


@program
def alias_of_argument_returned(x):
    y = x
    z = x.view(-1)
    w = x.detach()
    return y is x, y, z, w, [x, y]


@program
def copies_and_aliases_of_lists(x):
    a = [[x], [1]]
    b = a[:]
    c = list(a)
    d = a.copy()
    e = [*a]
    f = a * 2
    b[0].append(2)
    return a, b[0] is a[0], c is a, d == a, e[1] is a[1], f[0] is f[2]


# ---------------------------------------------------------------- objects with a will of their own


class Loud:
    log = []

    def __init__(self, v):
        self.v = v

    def __eq__(self, o):
        self.log.append(("eq", self.v, getattr(o, "v", o)))
        return self.v == getattr(o, "v", o)

    def __hash__(self):
        self.log.append(("hash", self.v))
        return hash(self.v)

    def __lt__(self, o):
        self.log.append(("lt", self.v, o.v))
        return self.v < o.v

    def __bool__(self):
        self.log.append(("bool", self.v))
        return bool(self.v)

    def __len__(self):
        return self.v

    def __iter__(self):
        self.log.append(("iter", self.v))
        return iter(range(self.v))

    def __str__(self):
        self.log.append(("str", self.v))
        return f"L{self.v}"

    def __index__(self):
        return self.v


@program
def dunders_called_as_python_calls_them(x):
    log = Loud.log = []
    a, b = Loud(1), Loud(2)
    r = [
        a == b,
        a != b,
        a in [b, a],
        sorted([b, a])[0].v,
        max(a, b).v,
        bool(a),
        not b,
        list(b),
        [*a],
        f"{a}",
        str(b),
        len(b),
        [5, 6, 7][a],
        a or b,
        [b].index(b),
        [a].count(1),
    ]
    return x, r[:-3], log


@program
def dict_of_loud_keys(x):
    log = Loud.log = []
    a, b = Loud(1), Loud(1)
    d = {a: "a"}
    d[b] = "b"
    return x, len(d), d[a], next(iter(d)) is a


class Attr:
    def __init__(self):
        object.__setattr__(self, "seen", [])

    def __setattr__(self, name, value):
        self.seen.append(("set", name))
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        self.seen.append(("del", name))
        object.__delattr__(self, name)

    def __getattribute__(self, name):
        if name.startswith("g"):
            return name * 2
        return object.__getattribute__(self, name)


@program
def attribute_hooks(x):
    a = Attr()
    a.p = 1
    a.p += 1
    del a.p
    return x, a.seen, a.gg, hasattr(a, "p"), getattr(a, "q", 4)


class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, obj, owner=None):
        return self if obj is None else getattr(obj, self.name, 0) + 1

    def __set__(self, obj, value):
        setattr(obj, self.name, value * 2)

    def __delete__(self, obj):
        delattr(obj, self.name)


class NonData:
    def __get__(self, obj, owner=None):
        return "nondata"


class HasDescriptors:
    d = Typed()
    n = NonData()


@program
def descriptor_protocol(x):
    h = HasDescriptors()
    first = h.d, h.n
    h.d = 5
    h.__dict__["n"] = "own"
    second = h.d, h.n, h.__dict__
    del h.d
    return x, first, second, h.d, type(HasDescriptors.d).__name__, HasDescriptors.n


class Chain:
    def __init__(self):
        self.parts = []

    def __getattr__(self, name):
        self.parts.append(name)
        return self

    def __call__(self, *a):
        self.parts.append(a)
        return self

    def __getitem__(self, k):
        self.parts.append(k)
        return self


@program
def fluent_chain(x):
    c = Chain()
    c.a.b(1, 2)["k"].c()
    return x, c.parts


class Singleton:
    made = None

    def __new__(cls, *args):
        if cls.made is None:
            cls.made = super().__new__(cls)
        return cls.made

    def __init__(self, v):
        self.v = v


@program
def singleton_class(x):
    a = Singleton(1)
    b = Singleton(2)
    return x * a.v, a is b


class Reflected:
    def __radd__(self, o):
        return ("radd", o)

    def __rmul__(self, o):
        return NotImplemented

    def __rsub__(self, o):
        return ("rsub", type(o).__name__)

    def __eq__(self, o):
        return NotImplemented

    def __gt__(self, o):
        return "gt"

    __hash__ = None


@program
def reflected_operators(x):
    r = Reflected()
    said = []
    for f in (
        lambda: 1 + r,
        lambda: [1] * r,
        lambda: 5 - r,
        lambda: r == 3,
        lambda: 3 < r,
        lambda: {r: 1},
        lambda: r + 1,
        lambda: r != r,
    ):
        try:
            said.append(f())
        except TypeError as e:
            said.append(str(e))
    return x, said


class ListLike(list):
    def append(self, v):
        super().append(v * 2)

    def __getitem__(self, i):
        return ("got", super().__getitem__(i))

    def __iter__(self):
        return iter(["iter"])


@program
def list_subclass_overrides(x):
    l = ListLike([1, 2])
    l.append(3)
    l.extend([4])
    l += [5]
    return (
        x,
        l[0],
        list(l),
        len(l),
        sum(list.__iter__(l)),
        [*l],
        3 in l,
        sorted(l),
        l == [1, 2, 6, 4, 5],
        tuple(l),
        list.__getitem__(l, 0),
    )


class DictLike(dict):
    def __missing__(self, k):
        return f"missing {k}"

    def __setitem__(self, k, v):
        super().__setitem__(k, [v])


@program
def dict_subclass_overrides(x):
    d = DictLike(a=1)
    d["b"] = 2
    d.update(c=3)
    d.setdefault("e", 4)
    return x, d, d["zz"], d.get("zz"), {**d}, dict(d), d | {"f": 1}, type(d.copy()).__name__, "zz" in d


class CountingContext:
    def __init__(self):
        self.depth = 0

    def __enter__(self):
        self.depth += 1
        return self

    def __exit__(self, *exc):
        self.depth -= 1


@program
def reentrant_context(x):
    c = CountingContext()
    seen = []
    with c, c:
        seen.append(c.depth)
        with c as d:
            seen.append(d.depth)
    return x, seen, c.depth


# ---------------------------------------------------------------- partial effects


@program(args=lambda: (randn(2), [3], {"a": 1}), state=("TOTAL", "STACK"))
def effects_before_an_escaping_error(x, items, table):
    global TOTAL
    TOTAL += 1
    STACK.append(TOTAL)
    items += [1, 2]
    table["b"] = items
    x.add_(1)
    for i in items:
        table[i] = 6 // (i - 1)
    return x


@program(args=lambda: (randn(3), [1, 2, 3]))
def sort_with_failing_key_leaves_list(x, items):
    items.append("z")
    try:
        items.sort(key=lambda v: -v)
    except TypeError:
        pass
    return x, items


@program(args=lambda: (randn(3), {1, 2, 3}, {"a": 1, "b": 2}, [5, 6, 7]))
def mutation_while_iterating(x, s, d, l):
    said = []
    for f in (lambda: [s.discard(v) for v in s], lambda: [d.pop(k) for k in d], lambda: [l.remove(v) for v in l]):
        try:
            said.append(f())
        except RuntimeError as e:
            said.append(str(e))
    return x, said, l


@program(args=lambda: (randn(2), iter([1, 2, 3, 4]), (v for v in "abc"), zip([1, 2], "xy"), itertools.count(5)))
def iterators_as_arguments(x, a, b, c, d):
    first = next(a), next(a)
    rest = [next(b)]
    return x, first, rest, dict(c), next(d), next(d)


@program(args=lambda: (randn(2), map(abs, [-1, -2]), enumerate("ab"), reversed([1, 2]), {"k": 1}.items()))
def lazy_objects_as_arguments(x, a, b, c, d):
    return x, list(a), next(b), list(c), list(d)


@program(args=lambda: (torch.arange(6.0).view(2, 3),))
def writes_seen_through_views(x):
    row, col, flat = x[0], x[:, 1], x.view(-1)
    row.add_(10)
    col.mul_(2)
    flat[5] = -1
    x[1] += flat[:3]
    x.t()[0] = 7
    return row, col, flat, x.sum()


@program(args=lambda: (randn(3), randn(3)))
def swap_contents(x, y):
    t = x.clone()
    x.copy_(y)
    y.copy_(t)
    x, y = y, x
    x += 1
    return x, y


@program(args=lambda: (randn(3),))
def inplace_versus_new(x):
    a = x
    a = a + 1
    b = x
    b += 1
    c = [x]
    c[0] *= 2
    d = {"x": x}
    d["x"] = d["x"] - 1
    return a, b is x, c[0] is x, d


@program(args=lambda: (randn(2, 3),))
def loop_writes_rows(x):
    for i, row in enumerate(x):
        row *= i + 1
    for row in x.unbind(0):
        row[0] = 5
    x[x > 100] = 0
    return x


# ---------------------------------------------------------------- introspection


@program
def signature_and_code(x):
    def f(a, b=2, *c, d, **e):
        "doc"
        return a

    return (
        x,
        f.__name__,
        f.__doc__,
        f.__defaults__,
        f.__kwdefaults__,
        f.__code__.co_argcount,
        f.__code__.co_varnames[:2],
        f.__qualname__,
        str(inspect.signature(f)),
        f.__module__ == __name__,
    )


@program
def function_attributes_and_closures(x):
    n = 3

    def f(t):
        f.calls += 1
        return t * n

    f.calls = 0
    f(x)
    y = f(x)
    return y, f.calls, f.__closure__[-1].cell_contents if len(f.__closure__) else None, f.__dict__


@program
def exception_info(x):
    try:
        raise ValueError("v")
    except ValueError as e:
        kind, value, tb = sys.exc_info()
        return x, kind.__name__, value is e, tb is not None, sys.exc_info()[1].args


@program
def type_names_and_modules(x):
    return (
        x,
        type(x).__name__,
        type(x).__mro__[-1] is object,
        x.__class__ is torch.Tensor,
        type(len).__name__,
        (lambda: 1).__name__,
        type(1).__bases__,
        int.__name__,
        [c.__name__ for c in bool.__mro__],
    )


@program
def getattr_with_many_names(x):
    names = ["sin", "cos", "abs"]
    return (
        [getattr(x, n)() for n in names],
        getattr(torch, "relu")(x),
        hasattr(x, "nope"),
        getattr(x, "nope", None),
        callable(getattr(x, "sum")),
    )


@program
def context_variable(x):
    token = DEPTH.set(5)
    inside = DEPTH.get()
    DEPTH.reset(token)
    return x * inside, DEPTH.get()


@program
def lock_around(x):
    with LOCK:
        y = x + 1
    return y, LOCK.locked()


class Node:
    def __init__(self, v, *kids):
        self.v, self.kids = v, list(kids)
        self.parent = None
        for k in kids:
            k.parent = self

    def walk(self):
        yield self
        for k in self.kids:
            yield from k.walk()

    @property
    def depth(self):
        return 0 if self.parent is None else self.parent.depth + 1


@program
def tree_of_objects(x):
    root = Node(1, Node(2, Node(3)), Node(4))
    return x * sum(n.v for n in root.walk()), [n.depth for n in root.walk()], root.kids[0].kids[0].parent.parent is root


@program(args=lambda: (randn(2), Node(1, Node(2), Node(3))))
def tree_as_argument_changed(x, root):
    for n in list(root.walk()):
        n.v *= 10
        n.extra = x if n.parent is None else None
    root.kids.append(Node(9))
    root.kids[0], root.kids[1] = root.kids[1], root.kids[0]
    return root.kids[-1].depth


# ---------------------------------------------------------------- programs


@program
def matrix_chain_order(x):
    dims = [4, 10, 3, 12, 20]
    n = len(dims) - 1
    m = [[0] * n for _ in range(n)]
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length - 1
            m[i][j] = min(m[i][k] + m[k + 1][j] + dims[i] * dims[k + 1] * dims[j + 1] for k in range(i, j))
    return x * m[0][-1]


@program
def state_machine(x):
    def start(c):
        return (word, []) if c.isalpha() else (start, [])

    def word(c):
        return (word, [c]) if c.isalpha() else (start, [])

    state, out = start, []
    for c in "ab1cde 2f":
        state, more = state(c)
        out += more
    return x * len(out), out, state.__name__


@program
def memo_by_dict(x):
    memo = {}

    def fib(n):
        if n in memo:
            return memo[n]
        memo[n] = n if n < 2 else fib(n - 1) + fib(n - 2)
        return memo[n]

    return x * fib(10), len(memo)


@program
def tokenizer(x):
    def tokens(text):
        i = 0
        while i < len(text):
            c = text[i]
            if c.isspace():
                i += 1
            elif c.isdigit():
                j = i
                while j < len(text) and text[j].isdigit():
                    j += 1
                yield "num", int(text[i:j])
                i = j
            else:
                yield "op", c
                i += 1

    def parse(stream):
        it = iter(stream)
        value = next(it)[1]
        for kind, op in it:
            _, right = next(it)
            value = {"+": operator.add, "*": operator.mul, "-": operator.sub}[op](value, right)
        return value

    return x * parse(tokens("12 + 3*4 - 1"))


@program
def event_bus(x):
    handlers = collections.defaultdict(list)

    def on(name, **options):
        def register(f):
            handlers[name].append((options.get("order", 0), f))
            return f

        return register

    @on("a", order=2)
    def second(t):
        return t * 2

    @on("a", order=1)
    def first(t):
        return t + 1

    for _, f in sorted(handlers["a"], key=lambda p: p[0]):
        x = f(x)
    return x, len(handlers["b"])


@program
def beam_search(x):
    beams = [((), 0.0)]
    scores = {"a": 0.5, "b": 0.3, "c": 0.9}
    for step in range(3):
        grown = [(seq + (k,), s + v / (step + 1)) for seq, s in beams for k, v in scores.items() if k not in seq]
        beams = sorted(grown, key=lambda b: (-b[1], b[0]))[:2]
    return x * beams[0][1], ["".join(b) for b, _ in beams]


@program
def group_by_shape(x, y, v):
    groups = {}
    for name, t in dict(x=x, y=y, v=v).items():
        groups.setdefault(tuple(t.shape), []).append(name)
    stacked = {k: torch.stack([{"x": x, "y": y, "v": v}[n] for n in names]) for k, names in groups.items()}
    return groups, stacked


@program
def retry_loop(x):
    attempts = []

    def flaky(n):
        attempts.append(n)
        if n < 2:
            raise ConnectionError(f"try {n}")
        return x * n

    for n in itertools.count():
        try:
            result = flaky(n)
        except ConnectionError as e:
            attempts.append(str(e))
            continue
        else:
            break
        finally:
            attempts.append("f")
    return result, attempts


@program
def registry_of_classes(x):
    table = {c.__name__.lower(): c for c in (Loud, Node, Chain)}
    made = table["node"](7)
    return x * made.v, sorted(table), isinstance(made, table["node"])


@program
def pipeline_of_partials(x):
    steps = [functools.partial(torch.add, other=1), operator.methodcaller("mul", 2), torch.relu, lambda t: t.sum(-1)]
    return functools.reduce(lambda acc, f: f(acc), steps, x)


@program
def visitor_by_name(x):
    class_names = []

    def visit(node):
        kind = type(node).__name__
        class_names.append(kind)
        return VISITORS.get(kind, lambda n: 0)(node)

    VISITORS = {"int": lambda n: n, "list": lambda n: sum(map(visit, n)), "dict": lambda n: visit(list(n.values()))}
    return x * visit([1, {"a": 2, "b": [3]}, "s"]), class_names


@program(args=lambda: (randn(2), ListLike([1, 2])))
def list_subclass_as_argument(x, l):
    l.append(4)
    return x * list.__getitem__(l, 1), l[0], len(l), list(l), l


@program(args=lambda: (randn(2), ListLike([1, 2])))
def list_subclass_behind_a_break(x, l):
    l.extend([7])
    torch._dynamo.graph_break()
    l[0:1] = [5]
    return x, l
