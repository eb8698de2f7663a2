"""Programs that change one fact between two calls of a compiled function: Python objects.

A program is a generator over `c`, the compiling decorator (or the identity, for plain Python); it yields what calls gave.
"""

# ruff: noqa: B006, B007, F811, B023, B905, PLW0603, E731
# mypy: ignore-errors

from __future__ import annotations

import abc
import builtins
import collections
import copy
import dataclasses
import enum
import functools
import math
import operator
import os
import random
import sys
import time
import types

import numpy as np
import torch
from registry import Topic

import quern

program = Topic(__name__)
X = torch.arange(6.0).reshape(2, 3) + 1

# ------------------------------------------------------------ globals, cells, defaults

FACTOR = 2
ITEMS = [1, 2]
NAMED = {"a": 1, "b": 2}
BOX = {"inner": {"list": [1, [2]]}}
TENSOR = torch.ones(3)


@program.script
def global_rebound(c):
    global FACTOR
    f = c(lambda x: x * FACTOR)
    for FACTOR in (2, 3, 2.0, True, 3):
        yield f(X)
    FACTOR = 2


@program.script
def global_list_mutated(c):
    f = c(lambda x: x * len(ITEMS) + sum(ITEMS))
    yield f(X)
    ITEMS.append(3)
    yield f(X)
    ITEMS[0] = 10
    yield f(X)
    ITEMS[:] = [1, 2]
    yield f(X)


@program.script
def global_nested_mutated(c):
    f = c(lambda x: x * BOX["inner"]["list"][1][0])
    yield f(X)
    BOX["inner"]["list"][1][0] = 5
    yield f(X)
    BOX["inner"] = {"list": [0, [7]]}
    yield f(X)
    BOX["inner"] = {"list": [1, [2]]}


@program.script
def global_deleted(c):
    global LATE
    LATE = 4

    def f(x):
        try:
            return x * LATE
        except NameError as e:
            return str(e)

    f = c(f)
    yield f(X)
    del LATE
    yield f(X)
    LATE = 3
    yield f(X)
    del LATE


@program.script
def global_dict_order(c):
    f = c(lambda x: [x * v for v in NAMED.values()])
    yield f(X)
    NAMED["a"] = NAMED.pop("a")
    yield f(X)
    NAMED.clear()
    NAMED.update(a=1, b=2)
    yield f(X)


@program.script
def global_tensor_rebound_and_written(c):
    global TENSOR
    f = c(lambda x: x + TENSOR)
    yield f(X)
    TENSOR.add_(1)
    yield f(X)
    TENSOR = torch.full((3,), 9.0)
    yield f(X)
    TENSOR = torch.full((1,), 9)
    yield f(X)
    TENSOR = 5
    yield f(X)
    TENSOR = torch.ones(3)


@program.script
def cells(c):
    n = 1
    acc = []

    def bump():
        nonlocal n
        n += 1

    def f(x):
        return x * n + len(acc)

    f = c(f)
    yield f(X)
    bump()
    yield f(X)
    acc.append(1)
    yield f(X)
    n = 2.0
    yield f(X)


@program.script
def cell_emptied(c):
    n = 1

    def f(x):
        try:
            return x * n
        except NameError:
            return x - 1

    f = c(f)
    yield f(X)
    del n
    yield f(X)
    n = 3
    yield f(X)


@program.script
def defaults_changed(c):
    def g(x, n=2, *, k=3):
        return x * n + k

    f = c(lambda x: g(x))
    yield f(X)
    g.__defaults__ = (5,)
    yield f(X)
    g.__kwdefaults__ = {"k": 7}
    yield f(X)
    g.__kwdefaults__["k"] = 8
    yield f(X)


def _global_helper(x, n=2, *, k=3):
    return x * n + k


@program.script
def defaults_of_global_changed(c):
    f = c(lambda x: _global_helper(x))
    yield f(X)
    _global_helper.__kwdefaults__["k"] = 8
    yield f(X)
    _global_helper.__defaults__ = (4,)
    yield f(X)
    _global_helper.__kwdefaults__ = {"k": 1}
    yield f(X)
    _global_helper.__defaults__, _global_helper.__kwdefaults__ = (2,), {"k": 3}
    yield f(X)


@program.script
def defaults_appear(c):
    def g(x, n):
        return x * n

    def f(x):
        try:
            return g(x)
        except TypeError:
            return x - 1

    f = c(f)
    yield f(X)
    g.__defaults__ = (5,)
    yield f(X)


@program.script
def default_is_a_mutable_list(c):
    def g(x, acc=[]):
        acc.append(1)
        return x * len(acc)

    f = c(lambda x: g(x))
    for _ in range(3):
        yield f(X)


@program.script
def own_defaults_changed(c):
    def g(x, n=2, *, k=1):
        return x * n + k

    f = c(g)
    yield f(X)
    g.__defaults__ = (5,)
    yield f(X)
    g.__kwdefaults__ = {"k": 4}
    yield f(X)


@program.script
def code_swapped(c):
    def g(x):
        return x + 1

    def h(x):
        return x - 1

    f = c(lambda x: g(x))
    yield f(X)
    g.__code__ = h.__code__
    yield f(X)


@program.script
def own_code_swapped(c):
    def g(x):
        return x + 1

    def h(x):
        return x - 1

    f = c(g)
    yield f(X)
    g.__code__ = h.__code__
    yield f(X)


@program.script
def function_attribute(c):
    def g(x):
        return x * g.n

    g.n = 2
    f = c(lambda x: g(x))
    yield f(X)
    g.n = 3
    yield f(X)
    del g.n
    try:
        yield f(X)
    except AttributeError as e:
        yield str(e)


@program.script
def function_renamed(c):
    def g(x):
        return x

    f = c(lambda x: (x, g.__name__, g.__qualname__))
    yield f(X)
    g.__name__ = "other"
    yield f(X)
    g.__qualname__ = "some.other"
    yield f(X)


@program.script
def class_renamed(c):
    class Named:
        """What it is."""

    f = c(lambda x: (x, Named.__name__, Named.__doc__))
    yield f(X)
    Named.__name__ = "other"
    yield f(X)
    Named.__doc__ = "something else"
    yield f(X)


@program.script
def class_registered_with_an_abstract_one(c):
    class Shape(abc.ABC):  # noqa: B024
        pass

    class Square:
        pass

    f = c(lambda x, s: x + 1 if isinstance(s, Shape) else x - 1)
    yield f(X, Square())
    Shape.register(Square)
    yield f(X, Square())


@program.script
def list_of_objects(c):
    items = [Config(1), Config(2)]
    f = c(lambda x: x * sum(o.n for o in items))
    yield f(X)
    items[0].n = 5
    yield f(X)
    items.append(Config(7))
    yield f(X)
    items[1] = items[0]
    yield f(X)


@program.script
def constructor_changed(c):
    class A:
        def __init__(self):
            self.n = 1

    f = c(lambda x: x * A().n)
    yield f(X)
    A.__init__ = lambda self: setattr(self, "n", 4)
    yield f(X)
    A.__new__ = staticmethod(lambda cls: Config(9))
    yield f(X)


@program.script
def partial_changed(c):
    g = functools.partial(torch.mul, other=2)
    f = c(lambda x: g(x))
    yield f(X)
    g.keywords["other"] = 5
    yield f(X)
    g.__setstate__((torch.add, (), {"other": 9}, {}))
    yield f(X)


@program.script
def closure_of_helper_rebuilt(c):
    def make(n):
        return lambda x: x * n

    f = c(lambda x, g: g(x))
    for n in (1, 2, 3, 2.5):
        yield f(X, make(n))


# ------------------------------------------------------------ objects and classes


class Config:
    scale = 2

    def __init__(self, n=1):
        self.n = n

    def get(self):
        return self.n * self.scale

    @property
    def prop(self):
        return self.n + 100

    @staticmethod
    def stat(x):
        return x + 1

    @classmethod
    def clsm(cls, x):
        return x * cls.scale


class Child(Config):
    pass


CONFIG = Config()


@program.script
def instance_overrides_class(c):
    o = Config()
    f = c(lambda x, o: x * o.scale + o.get())
    yield f(X, o)
    o.scale = 5
    yield f(X, o)
    del o.scale
    yield f(X, o)
    o.get = lambda: 77
    yield f(X, o)


@program.script
def held_instance_overrides_class(c):
    f = c(lambda x: x * CONFIG.scale + CONFIG.get())
    yield f(X)
    CONFIG.scale = 5
    yield f(X)
    del CONFIG.scale
    yield f(X)
    CONFIG.get = lambda: 77
    yield f(X)
    del CONFIG.get
    yield f(X)


@program.script
def class_attribute_changed(c):
    f = c(lambda x, o: x * o.scale + o.clsm(1))
    o = Config()
    yield f(X, o)
    Config.scale = 3
    yield f(X, o)
    Child.scale = 9
    yield f(X, o)
    yield f(X, Child())
    Config.scale = 2
    yield f(X, Child())
    del Child.scale
    yield f(X, Child())


@program.script
def method_patched(c):
    f = c(lambda x, o: o.get() + o.stat(x) + o.prop)
    o = Config()
    yield f(X, o)
    before = Config.get, Config.__dict__["stat"], Config.__dict__["prop"]
    Config.get = lambda self: 1000
    yield f(X, o)
    Config.stat = staticmethod(lambda x: x - 1)
    yield f(X, o)
    Config.prop = property(lambda self: -1)
    yield f(X, o)
    Config.prop = 5
    yield f(X, o)
    Config.get, Config.stat, Config.prop = before


@program.script
def class_of_object_changed(c):
    class A:
        def f(self, x):
            return x + 1

    class B:
        def f(self, x):
            return x - 1

    o = A()
    f = c(lambda x: o.f(x))
    yield f(X)
    o.__class__ = B
    yield f(X)
    o.__class__ = A
    yield f(X)


@program.script
def getattr_hook_appears(c):
    class A:
        pass

    def f(x, o):
        return x * getattr(o, "n", 2)

    f = c(f)
    o = A()
    yield f(X, o)
    A.__getattr__ = lambda self, name: 9
    yield f(X, o)
    A.__getattribute__ = lambda self, name: 11
    yield f(X, o)


@program.script
def bases_changed(c):
    class A:
        n = 1

    class B:
        n = 2

    class M(A):
        pass

    f = c(lambda x, o: x * o.n)
    o = M()
    yield f(X, o)
    M.__bases__ = (B,)
    yield f(X, o)


@program.script
def eq_overridden(c):
    class K:
        def __init__(self, n):
            self.n = n

    def f(x, a, b):
        return x + 1 if a == b else x - 1

    f = c(f)
    a, b = K(1), K(1)
    yield f(X, a, b)
    K.__eq__ = lambda self, other: self.n == other.n
    yield f(X, a, b)
    yield f(X, a, K(2))
    yield f(X, a, a)


@program.script
def identity_and_equality(c):
    def f(x, a, b):
        return x * (2 if a is b else 3) * (5 if a == b else 7)

    f = c(f)
    one, two = [1], [1]
    yield f(X, one, one)
    yield f(X, one, two)
    yield f(X, one, [2])
    yield f(X, 1000, 1000)
    yield f(X, 1.5, 1.5)
    yield f(X, math.nan, math.nan)


@program.script
def bool_and_len_appear(c):
    class A:
        pass

    f = c(lambda x, o: x + 1 if o else x - 1)
    o = A()
    yield f(X, o)
    A.__len__ = lambda self: 0
    yield f(X, o)
    A.__bool__ = lambda self: True
    yield f(X, o)


@program.script
def slots_object(c):
    class S:
        __slots__ = ("a", "b")

    def f(x, s):
        return x * s.a if hasattr(s, "b") else x + s.a

    f = c(f)
    s = S()
    s.a = 2
    yield f(X, s)
    s.b = 1
    yield f(X, s)
    s.a = 3
    yield f(X, s)
    del s.b
    yield f(X, s)


@program.script
def dataclasses_change(c):
    @dataclasses.dataclass
    class D:
        a: int
        b: object = None

    f = c(lambda x, d: x * d.a + (0 if d.b is None else d.b))
    yield f(X, D(1))
    yield f(X, D(2))
    yield f(X, D(2, X))
    yield f(X, D(2.0, 3))
    yield f(X, D(True, 3))


@program.script
def isinstance_changes(c):
    f = c(lambda x, o: x + 1 if isinstance(o, Child) else x - 1)
    yield f(X, Config())
    yield f(X, Child())
    yield f(X, 3)
    yield f(X, None)


@program.script
def dict_of_object(c):
    o = Config()
    f = c(lambda x, o: x * len(vars(o)) + o.__dict__.get("extra", 0))
    yield f(X, o)
    o.extra = 5
    yield f(X, o)
    o.__dict__ = {"n": 1, "extra": 6}
    yield f(X, o)


# ------------------------------------------------------------ modules, builtins, the library


@program.script
def builtin_patched(c):
    f = c(lambda x: x * len([1, 2]) + divmod(7, 3)[0] + max(1, 2))
    yield f(X)
    before = builtins.divmod
    builtins.divmod = lambda a, b: (7, 7)
    try:
        found = f(X)
    finally:
        builtins.divmod = before
    yield found
    yield f(X)


@program.script
def module_attribute_patched(c):
    f = c(lambda x: x * math.sqrt(4) + operator.add(1, 2))
    yield f(X)
    before = math.sqrt
    math.sqrt = lambda v: 100
    try:
        found = f(X)
    finally:
        math.sqrt = before
    yield found
    yield f(X)


@program.script
def torch_function_patched(c):
    f = c(lambda x: torch.sin(x))
    yield f(X)
    before = torch.sin
    torch.sin = lambda x: x * 0
    try:
        found = f(X)
    finally:
        torch.sin = before
    yield found
    yield f(X)


@program.script
def torch_functional_patched(c):
    f = c(lambda x: torch.nn.functional.relu(x - 3))
    yield f(X)
    before = torch.nn.functional.relu
    torch.nn.functional.relu = lambda x: x * 100
    try:
        found = f(X)
    finally:
        torch.nn.functional.relu = before
    yield found
    yield f(X)


@program.script
def tensor_method_patched(c):
    f = c(lambda x: x.sin())
    yield f(X)
    before = torch.Tensor.__dict__.get("sin")
    torch.Tensor.sin = lambda self: self * 0
    try:
        found = f(X)
    finally:
        if before is None:
            del torch.Tensor.sin
        else:
            torch.Tensor.sin = before
    yield found
    yield f(X)


@program.script
def user_module_patched(c):
    m = types.ModuleType("user_made")
    m.n = 3
    m.f = lambda x: x * m.n
    f = c(lambda x: m.f(x))
    yield f(X)
    m.n = 4
    yield f(X)
    m.f = lambda x: x
    yield f(X)


@program.script
def sys_modules_swapped(c):
    one, two = types.ModuleType("swapped_mod"), types.ModuleType("swapped_mod")
    one.n, two.n = 1, 2

    def f(x):
        import swapped_mod

        return x * swapped_mod.n

    f = c(f)
    sys.modules["swapped_mod"] = one
    yield f(X)
    sys.modules["swapped_mod"] = two
    yield f(X)
    two.n = 5
    yield f(X)
    del sys.modules["swapped_mod"]
    try:
        yield f(X)
    except ImportError as e:
        yield str(e)


@program.script
def environment(c):
    def f(x):
        return x * int(os.environ.get("QUERN_TEST_N", "2")) + (1 if "QUERN_TEST_M" in os.environ else 0)

    f = c(f)
    yield f(X)
    os.environ["QUERN_TEST_N"] = "5"
    yield f(X)
    os.environ["QUERN_TEST_M"] = "1"
    yield f(X)
    del os.environ["QUERN_TEST_N"], os.environ["QUERN_TEST_M"]
    yield f(X)


@program.script
def getenv(c):
    f = c(lambda x: x * int(os.getenv("QUERN_TEST_N", "2")))
    yield f(X)
    os.environ["QUERN_TEST_N"] = "5"
    yield f(X)
    os.putenv("QUERN_TEST_N", "6")
    yield f(X)
    del os.environ["QUERN_TEST_N"]


@program.script
def random_state(c):
    f = c(lambda x: x * random.random() + random.randint(0, 100))
    random.seed(3)
    yield f(X)
    yield f(X)
    random.seed(4)
    yield f(X)
    random.seed(3)
    yield f(X)
    yield random.random()


@program.script
def numpy_random_state(c):
    f = c(lambda x: x * float(np.random.rand()))
    np.random.seed(3)
    yield f(X)
    yield f(X)
    np.random.seed(4)
    yield f(X)


@program.script
def own_random(c):
    r = random.Random(3)
    f = c(lambda x: x * r.random() + r.choice([1, 2, 3]))
    yield f(X)
    yield f(X)
    yield r.random()


@program.script
def torch_random_state(c):
    f = c(lambda x: x + torch.rand(3))
    torch.manual_seed(0)
    yield f(X)
    yield f(X)
    torch.manual_seed(0)
    yield f(X)


@program.script
def clock(c):
    seen = []

    def f(x):
        seen.append(time.perf_counter())
        return x + 1

    f = c(f)
    for _ in range(3):
        yield f(X)
    yield seen[0] < seen[1] < seen[2]
    g = c(lambda x: (x, time.time()))
    a, b = g(X)[1], g(X)[1]
    yield a < b


@program.script
def ids(c):
    f = c(lambda x, o: id(o) % 7 + x * 0)
    objects = [Config() for _ in range(4)]
    g = lambda x, o: id(o) % 7 + x * 0
    yield [torch.equal(f(X, o), g(X, o)) for o in objects]


@program.script
def counters(c):
    f = c(lambda x, it: x * next(it))
    it = iter(range(5))
    yield f(X, it)
    yield f(X, it)
    yield next(it)
    gen = (i for i in range(10))
    yield f(X, gen)
    yield f(X, gen)
    yield next(gen)


@program.script
def recursion_limit(c):
    f = c(lambda x: x * (sys.getrecursionlimit() % 7))
    yield f(X)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 1)
    yield f(X)
    sys.setrecursionlimit(before)


@program.script
def lru_cache_stale(c):
    calls = []

    @functools.lru_cache(None)
    def slow(n):
        calls.append(n)
        return n * FACTOR

    global FACTOR
    f = c(lambda x: x * slow(3))
    yield f(X)
    FACTOR = 10
    yield f(X)
    FACTOR = 2
    yield calls
    slow.cache_clear()
    yield f(X)
    yield calls


@program.script
def cached_property(c):
    class A:
        def __init__(self):
            self.n = 1

        @functools.cached_property
        def value(self):
            return self.n * 10

    o = A()
    f = c(lambda x, o: x * o.value)
    yield f(X, o)
    o.n = 2
    yield f(X, o)
    yield sorted(o.__dict__)
    del o.value
    yield f(X, o)


# ------------------------------------------------------------ arguments


@program.script
def numbers(c):
    f = c(lambda x, n: (x * n, type(n).__name__, n))
    for n in (
        1,
        True,
        1.0,
        np.float32(1),
        np.float64(1),
        np.int64(1),
        np.bool_(True),
        1 + 0j,
        0,
        False,
        0.0,
        -0.0,
        -1,
        2**40,
        math.inf,
        -math.inf,
    ):
        yield f(X, n)


@program.script
def zeros_and_nans(c):
    f = c(lambda x, n: (x * n, math.copysign(1, n), n))
    for n in (0.0, -0.0, 0.0, math.nan, 1.0, math.nan):
        yield f(X, n)


@program.script
def nested_zeros(c):
    f = c(lambda x, t: x * math.copysign(1.0, t[0]))
    yield f(X, (0.0,))
    yield f(X, (-0.0,))
    yield f(X, (0,))
    yield f(X, (False,))


@program.script
def dict_keys_equal_but_of_other_types(c):
    f = c(lambda x, d: [(type(k).__name__, x * v) for k, v in d.items()])
    yield f(X, {1: 2})
    yield f(X, {True: 2})
    yield f(X, {1.0: 2})
    yield f(X, {1: 2.0})


@program.script
def set_items_equal_but_of_other_types(c):
    f = c(lambda x, s: [type(k).__name__ for k in s] + [x * len(s)])
    yield f(X, {1})
    yield f(X, {True})
    yield f(X, {1.0})
    yield f(X, frozenset({1}))
    yield f(X, {1, 2})


@program.script
def set_with_zero_signs(c):
    f = c(lambda x, s: [math.copysign(1.0, k) for k in s])
    yield f(X, {0.0})
    yield f(X, {-0.0})


@program.script
def tuples_equal_but_of_other_types(c):
    P = collections.namedtuple("P", "a b")
    f = c(lambda x, t: (type(t).__name__, x * t[0] + t[1]))
    yield f(X, (1, 2))
    yield f(X, [1, 2])
    yield f(X, P(1, 2))
    yield f(X, (1.0, True))
    yield f(X, torch.Size([1, 2]))


class Str(str):
    pass


class Int(int):
    extra = 3


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@program.script
def strings_and_enums(c):
    f = c(lambda x, m: (x + 1 if m == "add" else x - 1, type(m).__name__, m))
    for m in ("add", "sub", Str("add"), b"add", Colour.RED, Colour.BLUE, Level.LOW, 1, None, "ad" + "d"):
        yield f(X, m)


@program.script
def int_subclasses(c):
    f = c(lambda x, n: (x * n, getattr(n, "extra", 0), type(n).__name__))
    a = Int(2)
    yield f(X, 2)
    yield f(X, a)
    a.extra = 5
    yield f(X, a)
    yield f(X, Level.HIGH)
    yield f(X, True)


@program.script
def keyword_default_varargs(c):
    f = c(lambda x, n=2, *rest, k=1, **more: (x * n + k, rest, more))
    yield f(X)
    yield f(X, 3)
    yield f(X, n=3)
    yield f(X, 3, 4, 5)
    yield f(X, 3, 4)
    yield f(X, k=4)
    yield f(X, z=1, y=2)
    yield f(X, y=2, z=1)
    yield f(n=4, x=X)


@program.script
def containers(c):
    f = c(lambda x, d: [x * v for v in d])
    yield f(X, [1, 2])
    yield f(X, [1, 2, 3])
    yield f(X, (1, 2))
    yield f(X, [])
    yield f(X, {1: 0, 2: 0})
    yield f(X, collections.deque([1, 2]))
    yield f(X, range(2))
    yield f(X, range(3))
    yield f(X, np.array([1, 2]))


@program.script
def dict_order(c):
    f = c(lambda x, d: [(k, x * v) for k, v in d.items()])
    yield f(X, {"a": 1, "b": 2})
    yield f(X, {"b": 2, "a": 1})
    yield f(X, collections.OrderedDict(a=1, b=2))
    yield f(X, collections.OrderedDict(b=2, a=1))
    yield f(X, collections.defaultdict(int, a=1, b=2))


@program.script
def missing_in_defaultdict(c):
    d = collections.defaultdict(lambda: 5)
    f = c(lambda x, d: x * d["k"])
    yield f(X, d)
    yield dict(d)
    d["k"] = 2
    yield f(X, d)
    d.default_factory = None
    yield f(X, d)
    del d["k"]
    try:
        yield f(X, d)
    except KeyError as e:
        yield repr(e)


@program.script
def callables(c):
    f = c(lambda x, g: g(x))
    yield f(X, torch.sin)
    yield f(X, torch.cos)
    yield f(X, torch.Tensor.exp)
    yield f(X, lambda x: x + 1)
    yield f(X, functools.partial(torch.add, 1))
    yield f(X, functools.partial(torch.add, 2))
    yield f(X, functools.partial(torch.add, other=3))
    yield f(X, Config().stat)
    yield f(X, Config(3).clsm)
    yield f(X, operator.neg)
    yield f(X, type)


@program.script
def types_as_arguments(c):
    f = c(lambda x, t: (t(3), x.to(t) if isinstance(t, torch.dtype) else x))
    for t in (int, float, str, Int, Str):
        yield f(X, t)
    g = c(lambda x, t: x.to(t))
    for t in (torch.float64, torch.int32, torch.bool, "cpu", torch.device("cpu")):
        yield g(X, t)


@program.script
def slices(c):
    f = c(lambda x, s: x[s])
    yield f(X, slice(0, 1))
    yield f(X, slice(0, 2))
    yield f(X, 0)
    yield f(X, 1)
    yield f(X, True)
    yield f(X, None)
    yield f(X, (0, slice(None)))
    yield f(X, [0, 1])
    yield f(X, [1, 0])
    yield f(X, [True, False])
    yield f(X, torch.tensor([True, False]))
    yield f(X, torch.tensor([1, 0]))
    yield f(X, np.array([1, 0]))
    yield f(X, Ellipsis)


@program.script
def exceptions_as_arguments(c):
    def f(x, e):
        try:
            raise e
        except ValueError as found:
            return x + len(found.args)
        except Exception:
            return x - 1

    f = c(f)
    yield f(X, ValueError())
    yield f(X, ValueError(1))
    yield f(X, KeyError(1))
    yield f(X, ValueError)


@program.script
def mutated_arguments(c):
    def f(x, items, d):
        items.append(x * len(items))
        d[len(d)] = x
        return len(items)

    f = c(f)
    items, d = [], {}
    for _ in range(4):
        yield f(X, items, d)
    yield items, d


@program.script
def copies(c):
    o = Config(3)
    o.items = [1, X]
    f = c(lambda o: (copy.copy(o).n, copy.deepcopy(o).items[1] * copy.deepcopy(o).n))
    yield f(o)
    o.n = 4
    yield f(o)
    o.items[1] = X + 1
    yield f(o)
    Config.__deepcopy__ = lambda self, memo: Config2()
    try:
        found = f(o)
    finally:
        del Config.__deepcopy__
    yield found


class Config2:
    n = 50
    items = [0, X]


@program.script
def descriptors(c):
    class Desc:
        value = 3

        def __get__(self, obj, cls=None):
            return self.value

    class A:
        d = Desc()

    f = c(lambda x, a: x * a.d)
    a = A()
    yield f(X, a)
    A.__dict__["d"].value = 4
    yield f(X, a)
    a.__dict__["d"] = 9
    yield f(X, a)
    Desc.__set__ = lambda self, obj, value: None
    yield f(X, a)


@program.script
def operators_appear(c):
    class V:
        def __init__(self, n):
            self.n = n

        def __add__(self, other):
            return self.n + other

    f = c(lambda x, v: x * (v + 1))
    v = V(2)
    yield f(X, v)
    V.__add__ = lambda self, other: self.n * 100
    yield f(X, v)
    v.n = 3
    yield f(X, v)


@program.script
def weak_global_function_replaced_by_object(c):
    global helper

    def helper(x):
        return x + 1

    f = c(lambda x: helper(x))
    yield f(X)

    class Callable:
        n = 5

        def __call__(self, x):
            return x * self.n

    helper = Callable()
    yield f(X)
    helper.n = 6
    yield f(X)
    helper = torch.nn.Linear(3, 3, bias=False)
    torch.nn.init.ones_(helper.weight)
    yield f(X)
    helper = torch.sin
    yield f(X)


@program.script
def returned_container_is_fresh(c):
    f = c(lambda x: [x, {"k": []}])
    a, b = f(X), f(X)
    a[1]["k"].append(1)
    yield b, a[1] is b[1]


@program.script
def returned_global_is_the_global(c):
    f = c(lambda x: (ITEMS, NAMED, x))
    yield f(X)[0] is ITEMS, f(X)[1] is NAMED


@program.script
def names_by_getattr(c):
    f = c(lambda x, name: getattr(torch, name)(x))
    yield f(X, "sin")
    yield f(X, "cos")
    g = c(lambda x, name: getattr(x, name)())
    yield g(X, "sum")
    yield g(X, "size")
    yield g(X, "dim")


@program.script
def global_scope_through_globals(c):
    global FACTOR
    f = c(lambda x: x * globals()["FACTOR"])
    yield f(X)
    FACTOR = 9
    yield f(X)
    FACTOR = 2


@program.script
def metaclass_attribute(c):
    class Meta(type):
        n = 2

    class A(metaclass=Meta):
        pass

    f = c(lambda x: x * A.n)
    yield f(X)
    Meta.n = 3
    yield f(X)
    A.n = 4
    yield f(X)


@program.script
def super_target_patched(c):
    class A:
        def f(self, x):
            return x + 1

    class B(A):
        def f(self, x):
            return super().f(x) * 2

    f = c(lambda x, b: b.f(x))
    b = B()
    yield f(X, b)
    A.f = lambda self, x: x - 1
    yield f(X, b)


@program.script
def iterating_class(c):
    class It:
        def __init__(self, n):
            self.n = n

        def __iter__(self):
            return iter(range(self.n))

        def __len__(self):
            return self.n

        def __getitem__(self, i):
            return i * 10

        def __contains__(self, v):
            return v < self.n

    f = c(lambda x, o: [x * i for i in o] + [len(o), o[1], 2 in o])
    o = It(2)
    yield f(X, o)
    o.n = 3
    yield f(X, o)
    It.__iter__ = lambda self: iter([7])
    yield f(X, o)
    It.__contains__ = lambda self, v: v == 99
    yield f(X, o)


@program.script
def unbound_behind_a_break(c):
    brk = quern.disable(lambda: None)

    def f(x, flag=False):
        if flag:
            y = x
        brk()
        z = x + 1
        try:
            return y * 2
        except UnboundLocalError as error:
            brk()
            return z, str(error)

    f = c(f)
    yield f(X)
    yield f(X, True)
    yield f(X)


@program.script
def dispatch_on_the_type(c):
    @functools.singledispatch
    def scaled(by, value):
        return value

    scaled.register(int, lambda by, value: value * by)
    scaled.register(str, lambda by, value: value * len(by))
    f = c(lambda x: [scaled(by, x) for by in (2, "abc", 1.5, True)])
    yield f(X)
    scaled.register(float, lambda by, value: value - by)
    yield f(X)
