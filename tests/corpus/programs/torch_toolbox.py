"""The standard library's tools: itertools, functools, operator, collections, math, text and data modules."""

# ruff: noqa
# mypy: ignore-errors

import bisect
import collections
import copy
import datetime
import decimal
import fractions
import functools
import heapq
import itertools
import json
import logging
import math
import operator
import random
import re
import statistics
import string
import struct
import textwrap
import time
import types
import typing
import uuid
import warnings
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque, namedtuple
from functools import partial, reduce

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)
log = logging.getLogger("quern.corpus")


# ---------------------------------------------------------------- itertools


@program
def itertools_infinite(x):
    out = []
    for i, c in zip(itertools.count(3, 2), itertools.cycle("ab")):
        if i > 11:
            break
        out.append((i, c))
    return x * out[-1][0], out, list(itertools.repeat(7, 3)), list(zip(itertools.repeat(x), range(2)))


@program
def itertools_combinatoric(x):
    pairs = list(itertools.combinations([1, 2, 3], 2))
    perms = list(itertools.permutations("abc", 2))
    multi = list(itertools.combinations_with_replacement("ab", 2))
    prod = list(itertools.product([0, 1], repeat=2))
    return x + len(pairs), pairs, perms, multi, prod, list(itertools.product("ab", [1]))


@program
def itertools_slicing(x):
    rows = list(itertools.islice(x, 2))
    return (
        rows,
        list(itertools.islice(range(10), 2, 8, 3)),
        list(itertools.takewhile(lambda v: v < 3, range(6))),
        list(itertools.dropwhile(lambda v: v < 3, range(6))),
    )


@program
def itertools_filtering(x):
    return (
        x,
        list(itertools.compress("abcd", [1, 0, 1, 1])),
        list(itertools.filterfalse(lambda v: v % 2, range(6))),
        list(itertools.starmap(pow, [(2, 3), (3, 2)])),
    )


@program
def itertools_groupby(x):
    groups = {k: list(g) for k, g in itertools.groupby(sorted([3, 1, 2, 4, 6]), key=lambda v: v % 2)}
    runs = [(k, len(list(g))) for k, g in itertools.groupby("aabccc")]
    return x + len(groups), groups, runs


@program
def itertools_pairing(x):
    return (
        x,
        list(itertools.pairwise([1, 2, 3])),
        list(itertools.zip_longest([1, 2, 3], "ab", fillvalue="-")),
        list(itertools.accumulate([1, 2, 3], operator.mul)),
        list(itertools.accumulate([1, 2, 3], initial=10)),
        list(itertools.chain.from_iterable([[1], [2, 3]])),
    )


@program
def itertools_tee(x):
    a, b = itertools.tee(iter([1, 2, 3]))
    first = next(a)
    return x * first, list(b), list(a)


@program
def itertools_accumulate_tensors(x):
    return list(itertools.accumulate(x, lambda a, b: a * 0.5 + b))


@program
def itertools_chain_of_tensors(x, y):
    out = []
    for row in itertools.chain(x, y):
        out.append(row.sum())
    return torch.stack(out)


@program
def zip_strict(x):
    try:
        list(zip([1, 2], [3], strict=True))
    except ValueError as e:
        return x, str(e), list(zip([1], [2], strict=True))


@program
def enumerate_start(x):
    return [row * i for i, row in enumerate(x, start=5)], list(enumerate("ab", 1))


@program
def map_several(x):
    return (
        list(map(lambda a, b: a + b, x, [1, 2, 3])),
        list(map(operator.add, [1, 2], [3, 4])),
        sum(map(len, ["a", "bc"])),
    )


@program
def filter_none(x):
    return x, list(filter(None, [0, 1, "", "a", None, [], [0]])), list(filter(lambda t: t is not None, [x, None]))


@program
def any_all_lazy(x):
    seen = []

    def check(v):
        seen.append(v)
        return v > 1

    return x, any(check(v) for v in [0, 2, 3]), all(check(v) for v in [2, 0, 5]), seen, any([]), all([])


@program
def sum_with_start(x):
    return sum([x, x], x), sum([[1], [2]], []), sum((1, 2), start=3), sum(v for v in [0.1] * 3)


@program
def iter_callable_sentinel(x):
    numbers = [3, 1, 4, 1]
    return x, list(iter(lambda: numbers.pop(), 3)), numbers


@program
def reversed_of_things(x):
    return (
        list(reversed([1, 2])),
        list(reversed(range(3))),
        list(reversed("ab")),
        list(reversed({"a": 1, "b": 2})),
        x,
        list(reversed((x, 1))),
    )


@program
def min_max_forms(x):
    return (
        x,
        min(3, 1, 2),
        max([1, 5], key=lambda v: -v),
        min([], default=4),
        max("abc"),
        min((2, "b"), (1, "z")),
        max(x.shape),
        min({"b": 1, "a": 2}),
    )


@program
def sorted_forms(x):
    words = ["bb", "a", "ccc"]
    return (
        x,
        sorted(words, key=len, reverse=True),
        sorted({3, 1}),
        sorted([(1, "b"), (1, "a")]),
        sorted({"a": 2, "b": 1}.items(), key=operator.itemgetter(1)),
    )


# ---------------------------------------------------------------- functools


@program
def partial_forms(x):
    def f(a, b, *rest, c=1, **more):
        return a + b * c, rest, more

    g = partial(f, x, c=2)
    h = partial(g, 3, d=4)
    return g(1), h(), h(5, c=7), h.args[1:], sorted(h.keywords), h.func is f


@program
def reduce_forms(x):
    return (
        reduce(lambda a, b: a + b, [x, x, x]),
        reduce(operator.mul, range(1, 5)),
        reduce(lambda a, b: [*a, b], "ab", []),
    )


@program
def reduce_empty(x):
    try:
        return reduce(operator.add, [])
    except TypeError as e:
        return x, str(e)


@program
def wraps_local(x):
    def logged(fn):
        @functools.wraps(fn)
        def inner(*args):
            "inner doc"
            return fn(*args) + 1

        return inner

    @logged
    def scale(t):
        "outer doc"
        return t * 2

    return scale(x), scale.__name__, scale.__doc__, scale.__wrapped__(x)


@program
def decorator_with_arguments(x):
    def times(n):
        def deco(fn):
            def run(t):
                for _ in range(n):
                    t = fn(t)
                return t

            return run

        return deco

    @times(3)
    @times(2)
    def bump(t):
        return t + 1

    return bump(x)


@functools.lru_cache(maxsize=None)
def _table(n):
    return [n, n + 1]


@functools.cache
def _fib(n):
    return n if n < 2 else _fib(n - 1) + _fib(n - 2)


@program
def cached_functions(x):
    return x * _fib(8), _table(3)[1]


@program
def local_lru_cache(x):
    calls = []

    @functools.lru_cache
    def slow(n):
        calls.append(n)
        return n * 2

    return x + slow(2) + slow(2), calls


class _Lazy:
    def __init__(self, n):
        self.n = n

    @functools.cached_property
    def square(self):
        return self.n * self.n


@program
def cached_property_used(x):
    lazy = _Lazy(3)
    return x * lazy.square, lazy.square, "square" in lazy.__dict__


@functools.singledispatch
def _describe(v):
    return "object"


@_describe.register
def _(v: int):
    return "int"


@_describe.register(list)
def _(v):
    return "list of " + ",".join(_describe(i) for i in v)


@_describe.register
def _(v: torch.Tensor):
    return "tensor"


@program
def singledispatch_used(x):
    return x, _describe(1), _describe([1, "a"]), _describe(x), _describe(True), _describe(None)


# ---------------------------------------------------------------- operator


@program
def operator_getters(x):
    get = operator.itemgetter(1, "a"[0:0] or 0)
    return (
        x,
        get(["p", "q"]),
        operator.attrgetter("shape")(x),
        operator.methodcaller("sum", 0)(x),
        operator.attrgetter("a.b")(types.SimpleNamespace(a=types.SimpleNamespace(b=4))),
        operator.itemgetter(slice(0, 2))([1, 2, 3]),
    )


@program
def operator_arithmetic(x, y):
    return (
        operator.add(x, y),
        operator.matmul(x, y.t()),
        operator.neg(x),
        operator.truediv(x, 2),
        operator.getitem(x, 0),
        operator.lt(1, 2),
        operator.contains([1], 1),
        operator.not_(0),
        operator.index(True),
        operator.xor(5, 1),
        operator.concat([1], [2]),
        operator.countOf([1, 1], 1),
        operator.is_(None, None),
    )


@program
def operator_inplace(x):
    a = x.clone()
    b = operator.iadd(a, 1)
    c = [1]
    d = operator.iconcat(c, [2])
    operator.setitem(c, 0, 9)
    operator.delitem(c, 1)
    return a, b is a, c, d is c


# ---------------------------------------------------------------- collections

Point = namedtuple("Point", "x y", defaults=[5])


@program
def namedtuple_methods(x):
    p = Point(x)
    q = p._replace(y=2)
    a, b = q
    return (
        p,
        q._asdict(),
        Point._fields,
        Point._make([1, 2]),
        p.y + b,
        q[1],
        len(q),
        Point._field_defaults,
        q == (x, 2) or True,
    )


@program
def namedtuple_made_inside(x):
    Pair = namedtuple("Pair", ["first", "second"])
    p = Pair(x, second=3)
    return p.first * p.second


@program
def defaultdict_forms(x):
    groups = defaultdict(list)
    for i in range(5):
        groups[i % 2].append(x + i)
    counts = defaultdict(int, a=1)
    counts["b"] += 2
    nested = defaultdict(lambda: defaultdict(int))
    nested["p"]["q"] += 1
    return dict(groups), dict(counts), nested["p"]["q"], counts.default_factory is int, "z" in counts


@program
def ordereddict_moves(x):
    d = OrderedDict(a=1, b=2, c=3)
    d.move_to_end("a")
    d.move_to_end("c", last=False)
    first = d.popitem(last=False)
    return x, d, first, list(reversed(d)), d == OrderedDict(a=1, b=2), d == {"a": 1, "b": 2}


@program
def deque_forms(x):
    d = deque([1, 2, 3], maxlen=3)
    d.append(4)
    d.appendleft(0)
    d.rotate(1)
    e = deque("abc")
    e.extendleft("xy")
    e.remove("b")
    e.insert(1, "q")
    return x, list(d), d.maxlen, list(e), e.index("q"), e.count("x"), e[0], list(reversed(e)), e.pop(), e.popleft(), e


@program
def counter_forms(x):
    c = Counter("abracadabra")
    c.update(a=2)
    c.subtract("b")
    e = Counter(a=1, z=3)
    return (
        x,
        c.most_common(2),
        c["nothing"],
        sorted(c.elements())[:3],
        c + e,
        c - e,
        c & e,
        c | e,
        sum(c.values()),
        c.total(),
    )


@program
def chainmap_forms(x):
    base = {"a": 1, "b": 2}
    c = ChainMap({}, base)
    c["a"] = 9
    child = c.new_child({"z": 0})
    return x, c["a"], c["b"], base, list(c), len(child), child["z"], c.maps[0], "q" in c, dict(c), c.get("q", 4)


class _Bag(collections.UserDict):
    def __setitem__(self, key, value):
        super().__setitem__(key.lower(), value)


@program
def userdict_subclass(x):
    b = _Bag()
    b["AB"] = x
    b.update(Cd=2)
    return b["ab"] * b["cd"], sorted(b), len(b)


@program
def heapq_and_bisect(x):
    h = [5, 1, 4]
    heapq.heapify(h)
    heapq.heappush(h, 0)
    small = heapq.heappop(h)
    return (
        x,
        small,
        heapq.nsmallest(2, h),
        heapq.nlargest(1, h),
        bisect.bisect([1, 3, 5], 3),
        bisect.bisect_left([1, 3, 5], 3),
    )


# ---------------------------------------------------------------- numbers


@program
def math_many(x):
    n = x.shape[1]
    return (
        x * math.sqrt(n),
        math.ceil(2.1), math.floor(-2.1), math.trunc(2.9), math.gcd(12, 18), math.lcm(4, 6), math.factorial(5), math.comb(5, 2),
        math.perm(5, 2), math.isclose(0.1 + 0.2, 0.3), math.fsum([0.1] * 10), math.prod([1, 2, 3]), math.hypot(3, 4), math.log2(8),
        math.log(8, 2), math.exp(1), math.copysign(1, -0.0), math.isnan(math.nan), math.isinf(-math.inf), math.degrees(math.pi),
        math.modf(2.5), math.frexp(8.0), math.ldexp(0.5, 4), math.fmod(-7, 3), math.remainder(7, 4), math.dist([0, 0], [3, 4]),
        math.isqrt(17), math.atan2(1, 2), math.erf(0.5), math.gamma(5), math.pow(2, 3), math.e, math.tau,
    )  # fmt: skip


@program
def int_and_float_methods(x):
    return (
        x,
        (10).bit_length(), (10).bit_count(), (1.5).as_integer_ratio(), (2.0).is_integer(), (255).to_bytes(2, "big"), int.from_bytes(b"\x01\x00", "big"),
        float.fromhex("0x1p-2"), (0.5).hex(), int("ff", 16), int("0b11", 0), float("inf"), float("1e3"), int(-2.7), round(2.5), round(2.675, 2), round(-1234, -2),
        complex(1, 2).conjugate(), abs(3 + 4j), divmod(-7, 3), pow(3, -1, 7), 7 // -2, -7 % 3, hex(255), oct(8), bin(5), chr(97), ord("b"), (5).real, (5).numerator, True + True,
    )  # fmt: skip


@program
def bit_operations(x):
    a, b = 0b1100, 0b1010
    a |= 1
    b <<= 2
    b >>= 1
    a ^= 7
    return x * (a & b), a, b, ~a, a | b, a ^ b, 1 << 10, -8 >> 1


@program
def fractions_and_decimals(x):
    half = fractions.Fraction(1, 2)
    return x * float(half), str(half + fractions.Fraction(1, 3))


@program
def statistics_of_sizes(x):
    return x * statistics.mean([1, 2, 3])


# ---------------------------------------------------------------- text


@program
def string_methods_many(x):
    s = " Hello, World "
    t = s.strip()
    return (
        x,
        t.lower(), t.upper(), t.title(), t.swapcase(), t.split(", "), t.partition(","), t.rpartition("o"), t.find("o"), t.rfind("o"), t.index("W"), t.count("l"),
        t.replace("l", "L", 1), t.startswith(("He", "x")), t.endswith("d"), t.center(20, "*"), t.ljust(15, "."), t.rjust(15), "7".zfill(3), "a-b_c".translate(str.maketrans("-_", "  ")),
        "ab".isalpha(), "12".isdigit(), "a1".isalnum(), "x".join(["a", "b"]), "a\tb".expandtabs(4), "abc"[::-1], "abc" * 2, "a" in "abc", "line\nnext".splitlines(), "abc".removeprefix("a"),
        "abc".removesuffix("c"), "ABC".casefold(), "a b  c".split(), "a,b,c".rsplit(",", 1), "é".encode(), b"abc".decode(), "abc".isidentifier(), "%s" % "q", "Ab".isupper(), " ".isspace(),
    )  # fmt: skip


@program
def format_strings(x):
    n, f, s, d = 42, 3.14159, "abc", {"k": 1}
    w = 8
    return (
        x,
        f"{n:05d} {n:x} {n:#b} {n:+d} {n:,} {f:.2f} {f:8.3e} {f:{w}.1f} {s:>6} {s:^7} {s!r:<8}| {d['k']} {n=} {f=:.1f} {{}} {x.shape} {x.shape[0] * 2:>4} {s[0]!s} {None} {True:d}",
        "{} {1} {0}".replace("{} ", "").format(1, 2), "{a[k]} {b.real}".format(a=d, b=5), "{:>{w}}".format(s, w=w), format(f, ".3g"), format(n, "08b"), "{!r}".format(s),
    )  # fmt: skip


@program
def percent_formatting(x):
    return (
        x,
        "%d %5.2f %s %r %x %o %e %%" % (5, 1.5, "a", "b", 255, 8, 1234.5),
        "%(a)s-%(b)03d" % {"a": 1, "b": 2},
        "%-5s|" % "ab",
        "%c" % 97,
        "%s" % (None,),
        "%+d" % 3,
    )


@program
def template_and_textwrap(x):
    return x, string.ascii_lowercase[:3], string.digits, textwrap.dedent("  a\n  b")


@program
def bytes_methods(x):
    b = b"abc" + bytes([100, 101])
    m = bytearray(b"xyz")
    m[0] = 65
    m.extend(b"!")
    return (
        x * b[0],
        b[1:3],
        b.hex(),
        bytes.fromhex("00ff"),
        b.find(b"c"),
        b.upper(),
        bytes(m),
        list(b"ab"),
        b.split(b"c"),
        len(m),
        b == b"abcde",
        bytes(3),
    )


@program
def regular_expressions_many(x):
    pattern = re.compile(r"(?P<name>\w+)_(\d+)")
    m = pattern.match("layer_12")
    return (
        x * int(m.group(2)), m["name"], m.groups(), m.groupdict(), m.span(), re.sub(r"\d", "#", "a1b2"), re.findall(r"\d+", "1 22"), re.split(r"[,;]", "a,b;c"), bool(re.fullmatch("a+", "aab")),
        re.search("z", "abc"), [t.group() for t in re.finditer(".", "ab")], re.sub("(a)", lambda k: k.group(1).upper(), "banana"), re.escape("a.b"),
    )  # fmt: skip


# ---------------------------------------------------------------- data and system


@program
def struct_pack(x):
    data = struct.pack("<HI", 1, 2)
    return x * struct.unpack("<HI", data)[1], data, struct.calcsize("<q")


@program
def json_round_trip(x):
    text = json.dumps({"a": [1, 2.5, None, True], "b": {"c": "d"}}, sort_keys=True)
    return x * json.loads(text)["a"][0], text


@program
def copy_and_deepcopy(x):
    a = {"t": x, "l": [1, [2]]}
    b = copy.copy(a)
    c = copy.deepcopy({"l": [1, [2]], "s": {3}})
    b["l"].append(3)
    c["l"][1].append(9)
    return a, b, c, b["t"] is x


@program
def random_numbers(x):
    return x * random.random(), random.randint(0, 10)


@program
def random_instance(x):
    r = random.Random(3)
    return x * r.random(), r.randint(1, 6), r.choice([1, 2, 3])


@program
def time_is_taken(x):
    start = time.perf_counter()
    y = x * 2
    return y, time.perf_counter() >= start


@program
def datetime_used(x):
    d = datetime.date(2020, 2, 29)
    return x * d.day, d.isoformat(), (d + datetime.timedelta(days=1)).month


@program
def uuid_used(x):
    return x + 1, str(uuid.UUID(int=5))


@program
def logging_calls(x):
    log.debug("value %s", x.shape)
    if log.isEnabledFor(logging.CRITICAL + 10):
        x = x + 100
    return x + 1


@program
def warning_is_raised(x):
    warnings.warn("careful", stacklevel=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        y = x * 2
    return y


@program
def prints_many(x):
    print("a", 1, [2], sep="-", end="!\n")
    print()
    print(f"{x.shape}", x.dtype, None)
    return x + 1


@program
def typing_helpers(x):
    a: typing.Optional[int] = typing.cast(int, 3)
    T = typing.TypeVar("T")
    b: "list[undefined]" = []
    return x * a, typing.get_origin(list[int]) is list, b, isinstance(3, int | str)


@program
def simple_namespace_used(x):
    ns = types.SimpleNamespace(a=1, t=x)
    ns.b = ns.a + 1
    del ns.a
    return ns, vars(ns), ns == types.SimpleNamespace(t=x, b=2) or True


@program
def type_call_and_checks(x):
    return (
        x,
        type(3) is int,
        type(x) is torch.Tensor,
        type("a")("b"),
        type([])((1, 2)),
        isinstance(True, int),
        issubclass(bool, int),
        callable(len),
        type(None) is type(x.grad),
    )
