"""Programs that use the standard library: functools, itertools, operator, collections, math, and more; and mutation."""

# ruff: noqa: F601, UP031, B006, B007, B008, B023, B904, B905, E731, F841, C408, C413, C417, SIM118, RUF005
# mypy: ignore-errors

from __future__ import annotations

import bisect
import collections
import copy
import functools
import heapq
import itertools
import math
import numbers
import operator
import re
import string
import textwrap

from registry import Expect
from toy import Toy, exp, on_toy

program = on_toy(__name__, expect=Expect.WHOLE)


def add(a, b, c=0):
    return a + b + c


@functools.cache
def cached(n):
    return n * n


@functools.cache
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


GLOBAL_PARTIAL = functools.partial(add, 1, c=2)
GET_A = operator.attrgetter("shape")
GET_0 = operator.itemgetter(0)


@program
def partials(x):
    p = functools.partial(add, x, c=3)
    q = functools.partial(p, 4)
    return p(1), q(), p.func is add, p.args, p.keywords, GLOBAL_PARTIAL(x), functools.partial(lambda **k: k, a=1)(b=2)


@program
def reduces(x):
    return (
        functools.reduce(operator.add, [x, x, x]), functools.reduce(lambda a, b: a * b, range(1, 5)), functools.reduce(operator.mul, [], 7),
        functools.reduce(lambda acc, v: {**acc, v: 1}, "ab", {}),
    )  # fmt: skip


@program
def wrapped(x):
    def deco(f):
        @functools.wraps(f)
        def inner(*a, **k):
            return f(*a, **k) * 2

        return inner

    @deco
    def named(v):
        "docs"
        return v + 1

    return named(x), named.__name__, named.__doc__, named.__wrapped__(x)


@program
def caches(x):
    return x * cached(4) + fib(10), cached(4)


@program
def cmp_keys(x):
    return x, sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: b - a))


@functools.singledispatch
def kind(v):
    return "other"


@functools.total_ordering
class Ordered:
    def __init__(self, n):
        self.n = n

    def __eq__(self, o):
        return self.n == o.n

    def __lt__(self, o):
        return self.n < o.n

    __hash__ = None


@program
def total_order(x):
    a, b = Ordered(1), Ordered(2)
    return x, a < b, a <= b, a > b, a >= b, a != b, max(a, b).n, max([a, b]).n, sorted([b, a])[0].n


class Partial:
    def f(self, a, b=1):
        return (a, b)

    g = functools.partialmethod(f, b=5)


@program
def partial_methods(x):
    return x, Partial().g(1)


@program
def itertools_basic(x):
    i = itertools
    return (
        x, list(i.chain([1], (2, 3), "a")), list(i.chain.from_iterable([[1], [2]])), list(i.islice(i.count(5, 2), 3)), list(i.repeat(x, 2)),
        list(i.islice(i.cycle("ab"), 5)), list(i.accumulate([1, 2, 3])), list(i.accumulate([1, 2, 3], operator.mul, initial=10)),
        list(i.takewhile(lambda v: v < 3, [1, 2, 3, 1])), list(i.dropwhile(lambda v: v < 3, [1, 2, 3, 1])), list(i.compress("abc", [1, 0, 1])),
        list(i.filterfalse(None, [0, 1, 2])), list(i.starmap(add, [(1, 2), (3, 4, 5)])), list(i.pairwise([1, 2, 3])),
        list(i.zip_longest([1, 2, 3], "a", fillvalue="-")), list(i.islice([1, 2, 3, 4, 5], 1, None, 2)),
    )  # fmt: skip


@program
def itertools_combinatoric(x):
    i = itertools
    return (
        x, list(i.product([1, 2], "ab")), list(i.product([0, 1], repeat=3)), list(i.permutations([1, 2, 3], 2)), list(i.combinations("abcd", 2)),
        list(i.combinations_with_replacement("ab", 2)), [(k, list(g)) for k, g in i.groupby([1, 1, 2, 3, 3, 1])],
        [(k, list(g)) for k, g in i.groupby(["aa", "b", "cc"], key=len)], [list(t) for t in i.tee([1, 2])],
    )  # fmt: skip


@program
def itertools_over_arrays(x, y):
    total = x
    for a, b in itertools.product([x, y], [1, 2]):
        total = total + a * b
    for a, b in itertools.pairwise([x, y, x]):
        total = total + a - b
    return total, list(itertools.accumulate([x, y]))


@program
def operator_functions(x):
    o = operator
    d = {"a": 1}
    o.setitem(d, "b", 2)
    o.delitem(d, "a")
    items = [1]
    items2 = o.iadd(items, [2])
    return (
        o.add(x, 1), o.mul(x, x), o.neg(x), o.sub(5, 2), o.truediv(1, 2), o.floordiv(7, 2), o.mod(7, 2), o.pow(2, 3), o.and_(6, 3), o.xor(6, 3),
        o.not_(0), o.truth([1]), o.is_(None, None), o.eq(1, 1), o.lt(1, 2), o.getitem([1, 2], 1), o.contains([1], 1), d, items2 is items, items,
        o.itemgetter(1)([1, 2]), o.itemgetter("a", "b")({"a": 1, "b": 2}), o.attrgetter("shape")(x), o.methodcaller("relu")(x), o.index(3),
        GET_0([7]), GET_A(x), o.concat([1], [2]), o.countOf([1, 1], 1), o.inv(5), o.abs(-2),
    )  # fmt: skip


@program
def ordered_dict(x):
    d = collections.OrderedDict([("a", 1), ("b", x)])
    d["c"] = 3
    d.move_to_end("a")
    d.move_to_end("c", last=False)
    first = d.popitem(last=False)
    return (
        d,
        first,
        list(d),
        list(reversed(d)),
        d == {"b": x, "a": 1} if False else None,
        repr(collections.OrderedDict(a=1)),
    )


@program
def default_dict(x):
    d = collections.defaultdict(list)
    d["a"].append(x)
    d["b"] += [1]
    e = collections.defaultdict(lambda: 5, k=1)
    return (
        d,
        e["zz"],
        e,
        d.get("none"),
        "q" in d,
        collections.defaultdict(int)["n"],
        dict(e),
        d.default_factory is list,
        len(d),
    )


@program
def counters(x):
    c = collections.Counter("mississippi")
    c.update("sss")
    d = c - collections.Counter(s=2)
    return (
        x,
        c,
        c.most_common(2),
        c["zzz"],
        d,
        sum(c.values()),
        sorted(c.elements())[:3],
        collections.Counter(a=1) + collections.Counter(a=2),
        dict(c),
    )


@program
def deques(x):
    d = collections.deque([1, 2, 3], maxlen=4)
    d.append(x)
    d.append(5)
    d.appendleft(0)
    d.rotate(1)
    a = d.popleft()
    b = d.pop()
    d.extend([7, 8])
    d.extendleft([9])
    return d, a, b, len(d), d[0], d.maxlen, list(d), 7 in d, repr(collections.deque([1]))


@program(
    args=lambda: (
        Toy([1.0]),
        collections.deque([1, 2], maxlen=3),
        collections.defaultdict(list, a=[1]),
        collections.OrderedDict(p=1, q=2),
    )
)
def collection_arguments(x, d, dd, od):
    d.append(x)
    d.append(4)
    dd["a"].append(x)
    dd["b"].append(2)
    od.move_to_end("p")
    od["r"] = x
    return len(d), list(dd), list(od)


@program
def chain_map(x):
    c = collections.ChainMap({"a": 1}, {"a": 2, "b": x})
    c["c"] = 3
    return c["b"], c["a"], sorted(c), "zz" in c, c.maps[0], len(c)


@program
def user_collections(x):
    class_dict = collections.UserDict(a=x)
    class_dict["b"] = 2
    items = collections.UserList([1, x])
    items.append(3)
    return class_dict["a"], len(class_dict), items[1], len(items), items.data


@program
def maths(x):
    m = math
    return (
        x * m.pi, m.sqrt(2), m.floor(2.5), m.ceil(2.5), m.sin(1), m.log(8, 2), m.exp(1), m.isnan(m.nan), m.inf, m.gcd(12, 18), m.prod([1, 2, 3]),
        m.factorial(5), m.comb(5, 2), m.hypot(3, 4), m.copysign(1, -0.0), m.isclose(0.1 + 0.2, 0.3), m.fsum([0.1] * 3), m.trunc(-2.5), m.log2(8),
        m.atan2(1, 2), m.degrees(m.pi), m.modf(2.5), m.frexp(8), m.isqrt(10),
    )  # fmt: skip


@program
def regular_expressions(x):
    pattern = re.compile(r"(\w+)@(\w+)")
    found = pattern.match("me@home")
    return x, found.group(1), found.groups(), WORDS.findall("a1 b2"), bool(pattern.search("none"))


WORDS = re.compile(r"[a-z]\d")


@program
def heaps_and_bisect(x):
    h = [5, 1, 4]
    heapq.heapify(h)
    heapq.heappush(h, 0)
    a = heapq.heappop(h)
    return x, h, a, bisect.bisect_left([1, 3, 5], 3), heapq.nsmallest(2, [3, 1, 2])


@program
def text_modules(x):
    return x, string.ascii_lowercase[:3], textwrap.dedent("  a\n  b"), string.digits


@program
def number_classes(x):
    return (
        x,
        isinstance(3, numbers.Number),
        isinstance(2.5, numbers.Real),
        isinstance("a", numbers.Number),
        (3).bit_length(),
        (2.5).is_integer(),
        (5).real,
        (0.1).hex(),
        int.from_bytes(b"\x01\x00", "big"),
        float.fromhex("0x1p3"),
        (7).to_bytes(2, "big"),
    )


@program
def list_methods(x):
    a = [3, 1, 2]
    a.append(5)
    a.extend((6, 7))
    a.insert(1, x)
    p = a.pop()
    q = a.pop(0)
    del a[0]
    a.remove(2)
    b = a.copy()
    b.reverse()
    c = [3, 1, 2]
    c.sort(reverse=True)
    d = ["bb", "a"]
    d.sort(key=len)
    e = [1, 2]
    e.clear()
    return (
        a,
        p,
        q,
        b,
        c,
        d,
        e,
        [1, 2, 1].count(1),
        [1, 2].index(2),
        [1] * 3,
        [[0]] * 2,
        [1] + [2],
        [1, 2] < [1, 3],
        [1] == [1],
        [4, 5].__len__(),
    )


@program
def list_errors(x):
    found = []
    for f in (
        lambda: [].pop(),
        lambda: [1].remove(2),
        lambda: [1].index(5),
        lambda: [1][5],
        lambda: [1]["a"],
        lambda: (1,)[3],
        lambda: {}.popitem(),
        lambda: set().pop(),
    ):
        try:
            f()
        except Exception as e:
            found.append((type(e).__name__, str(e)))
    return x, found


@program
def dict_methods(x):
    d = {"a": 1, "b": x}
    d["c"] = d.pop("a")
    d.setdefault("d", []).append(2)
    d.update({"e": 5}, f=6)
    last = d.popitem()
    e = d | {"z": 1}
    f = d.copy()
    f.clear()
    g = dict.fromkeys("ab", 0)
    return (
        d, last, e, f, g, d.get("q"), d.get("q", 1), list(d.keys()), len(d.values()), [k for k, v in d.items() if k > "b"], "c" in d,
        d.keys() & {"c"}, d.keys() - {"c"}, list(reversed(d)), {**d, "c": 0}, d.pop("nope", 3), {1: "a", True: "b"}, dict(zip("xy", [1, 2])),
        {(1, 2): x}[(1, 2)], d.items() >= {("c", 1)}, {"a": 1} == {"a": 1.0}, d.keys() == {"c", "b", "d", "e"},
    )  # fmt: skip


@program
def set_methods(x):
    s = {1, 2, 3}
    s.add(4)
    s.discard(9)
    s.remove(1)
    t = s | {7}
    s.update([5, 6])
    s &= {2, 3, 5, 6}
    s -= {6}
    s ^= {2, 9}
    return (
        x, s, t, s & t, s - t, s ^ t, s <= t, s < s, s == {3, 5, 9}, s.isdisjoint({1}), frozenset(s), {frozenset([1])}, len(s), 3 in s,
        sorted(s.union([0])), s.intersection([3]), s.difference([3]), s.symmetric_difference([3]), s.issubset({3, 5, 9, 1}), s.issuperset([3]), s.copy(),
        set("aab"), {c.upper() for c in "ab"}, frozenset([1]) | {2}, s.pop() in (3, 5, 9),
    )  # fmt: skip


@program
def tuple_methods(x):
    t = (x, 1, 2, 1)
    return (
        t,
        t[1:],
        t[1:].count(1),
        t[1:].index(2),
        t + (3,),
        (1, 2) < (1, 3),
        len(t),
        1 in t[1:],
        (1,) * 3,
        hash((1, "a")) == hash((1, "a")),
        tuple(reversed((1, 2))),
        (1, (2, 3)) == (1, (2, 3)),
    )


@program(args=lambda: (Toy([1.0]), [1, 2, 3], {"a": 1, "b": [2]}, {1, 2}))
def mutated_arguments(x, items, named, group):
    items.append(x)
    items[0] = 9
    del items[1]
    named["c"] = items
    named["b"].append(5)
    del named["a"]
    group.add(7)
    group.discard(1)
    return items, named["b"]


@program(args=lambda: (Toy([1.0]), []))
def only_appended(x, items):
    for i in range(3):
        items.append(x * i)
    items.extend([1, 2])
    return None


@program(args=lambda: (Toy([1.0]), [3, 1, 2], [1, 2], ["a"]))
def list_arguments_in_place(x, a, b, c):
    a.sort()
    b += [x]
    c *= 2
    a.reverse()
    return a is a, b


@program(args=lambda: (Toy([1.0]), {"k": 1, "m": 2, "n": 3}))
def dict_order_kept(x, d):
    d["k"] = d.pop("k")
    d["z"] = x
    d["m"] = 5
    return list(d)


@program(args=lambda: (Toy([1.0]), {"a": 1}))
def dict_cleared(x, d):
    d.clear()
    d["b"] = x
    return d


def shared() -> tuple:
    inner = [1]
    return Toy([1.0]), inner, {"inner": inner}, (inner, inner)


@program(args=shared)
def aliased_arguments(x, a, d, t):
    a.append(x)
    return d["inner"], t[0] is t[1], t[1] is a, len(d["inner"])


@program(args=lambda: (Toy([1.0]), [[1], [2]]))
def nested_mutation(x, rows):
    rows[0].append(x)
    rows[1], rows[0] = rows[0], rows[1]
    new = [3]
    rows.append(new)
    rows.append(new)
    new.append(4)
    return rows[0]


def cyclic() -> tuple:
    a: list = [1]
    a.append(a)
    return Toy([1.0]), a


@program(args=cyclic)
def cyclic_argument(x, a):
    a.append(x)
    a[1].append(2)
    return a[1] is a, len(a)


@program(args=lambda: (Toy([1.0, 2.0]),))
def in_place_array(x):
    y = x
    x.add_(1)
    return y is x, x * 2, y


@program(args=lambda: (Toy([1.0]), lambda v: v * 3, functools.partial(add, 1)))
def function_arguments(x, f, g):
    return f(x), g(x), f(2)


def make_counter() -> tuple:
    n = 0

    def inc(v):
        nonlocal n
        n += 1
        return v * n

    return Toy([1.0]), inc, lambda: n


@program(args=make_counter)
def closure_argument_with_state(x, inc, read):
    a = inc(x)
    b = inc(x)
    return a, b, read()


@program(args=lambda: (Toy([1.0]), iter([1, 2]), [1, 2].append, "abc".upper, [Toy([2.0])].pop))
def odd_callables(x, it, append, upper, pop):
    append(5)
    return x * 2, upper(), pop()


@program
def printing(x):
    print("shown", 1, [2], sep="-", end="")
    return x + 1


@program
def deep_copies(x):
    a = {"k": [1, {"z": (1, [2])}]}
    b = copy.deepcopy(a)
    b["k"][1]["z"][1].append(3)
    c = copy.copy(a)
    c["k"].append(4)
    shared = [0]
    d = copy.deepcopy([shared, shared])
    d[0].append(1)
    return x, a, b, c, d


@program
def enumerate_zip_unpack(x, y):
    total = 0
    for i, (name, (a, b)) in enumerate({"p": (x, y), "q": (y, 2)}.items(), start=1):
        total = total + a * i - b
    return total


@program
def matrix_of_lists(x):
    grid = [[i * 3 + j for j in range(3)] for i in range(3)]
    transposed = list(map(list, zip(*grid)))
    flat = [v for row in transposed for v in row if v % 2]
    return x * sum(flat), transposed, max(map(max, grid)), [sum(r) for r in grid]


@program
def string_building(x):
    out = ""
    for i, c in enumerate("abc"):
        out += c * i
    parts = []
    for n in (1, 22, 333):
        parts.append(f"{n:>5}|{n!s:<4}|{n:05d}|{n:x}")
    return (
        x,
        out,
        "\n".join(parts),
        out.upper().center(9, "*"),
        "a,b".split(","),
        "%r" % (None,),
        f"{12345:,}",
        f"{0.5:%}",
    )


@program
def tree_walk(x):
    tree = {"a": x, "b": {"c": [x, {"d": x}], "e": (1, x)}}

    def walk(node, path=()):
        if isinstance(node, dict):
            for k, v in node.items():
                yield from walk(v, (*path, k))
        elif isinstance(node, (list, tuple)):
            for i, v in enumerate(node):
                yield from walk(v, path + (i,))
        else:
            yield path, node

    def rebuild(node):
        if isinstance(node, dict):
            return {k: rebuild(v) for k, v in node.items()}
        if isinstance(node, (list, tuple)):
            return type(node)([rebuild(v) for v in node])
        return node * 2

    return [p for p, _ in walk(tree)], rebuild(tree)


@program
def pipeline_of_functions(x):
    def compose(*fs):
        return lambda v: functools.reduce(lambda acc, f: f(acc), fs, v)

    return compose(exp, lambda v: v + 1, lambda v: v * 2)(x)


@program
def memo_table(x):
    memo = {}

    def ways(n):
        if n not in memo:
            memo[n] = 1 if n <= 1 else ways(n - 1) + ways(n - 2)
        return memo[n]

    return x * ways(12), len(memo)


@program
def state_machine(x):
    state, log = "start", []
    transitions = {"start": lambda: "middle", "middle": lambda: "end"}
    while state != "end":
        log.append(state)
        state = transitions[state]()
    return x, log


@program
def insertion_in_order(x):
    data, by_size = [5, 1, 3], ["aaa"]
    data.sort()
    bisect.insort(data, 2)
    bisect.insort_left(data, 3, 1)
    bisect.insort_right(by_size, "b", key=len)
    bisect.insort(by_size, "cc", lo=0, hi=2, key=len)
    return x * data[1], data, by_size, bisect.bisect(data, 3)
