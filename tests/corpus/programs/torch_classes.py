"""User classes: attributes, dunders, properties, descriptors, super, slots, class attributes, metaclasses, dataclasses, enums."""

# ruff: noqa
# mypy: ignore-errors
import abc
import dataclasses
import enum
import functools
import typing

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)


class Point:
    scale = 2
    instances = []

    def __init__(self, a, b=0):
        self.a = a
        self.b = b

    def total(self):
        return (self.a + self.b) * self.scale

    @classmethod
    def make(cls, a):
        return cls(a, 1)

    @staticmethod
    def double(t):
        return t * 2

    @property
    def both(self):
        return self.a, self.b

    @both.setter
    def both(self, pair):
        self.a, self.b = pair


class Scaled(Point):
    scale = 5

    def __init__(self, a, k):
        super().__init__(a, b=k)
        self.k = k

    def total(self):
        return super().total() + self.k

    @property
    def both(self):
        return super().both + (self.k,)


class Vec:
    def __init__(self, t):
        self.t = t

    def __add__(self, other):
        return Vec(self.t + (other.t if isinstance(other, Vec) else other))

    def __radd__(self, other):
        return Vec(other + self.t)

    def __mul__(self, k):
        if not isinstance(k, (int, float)):
            return NotImplemented
        return Vec(self.t * k)

    def __rmul__(self, k):
        return self * k

    def __neg__(self):
        return Vec(-self.t)

    def __matmul__(self, other):
        return Vec(self.t @ other.t)

    def __getitem__(self, i):
        return self.t[i]

    def __setitem__(self, i, v):
        self.t = self.t.clone()
        self.t[i] = v

    def __len__(self):
        return self.t.shape[0]

    def __call__(self, k):
        return self.t * k

    def __contains__(self, n):
        return n in self.t.shape

    def __iter__(self):
        return iter([self.t, self.t + 1])

    def __bool__(self):
        return self.t.ndim > 0

    def __eq__(self, other):
        return isinstance(other, Vec) and self.t.shape == other.t.shape

    def __lt__(self, other):
        return self.t.ndim < other.t.ndim

    def __hash__(self):
        return 7

    def __repr__(self):
        return f"Vec{tuple(self.t.shape)}"

    def __iadd__(self, other):
        self.t = self.t + other
        return self


@program
def make_and_use(x):
    p = Point(x, 1)
    return p.total(), p.a, Point.double(x), p.double(x)


@program
def return_new_object(x):
    p = Point(x + 1)
    p.extra = [p.a]
    return p


@program
def inheritance_super(x):
    s = Scaled(x, 3)
    return s.total(), s.both, s.k


@program
def class_method_chain(x):
    return Point.make(x).total(), Scaled.make(x).total(), type(Scaled.make(x)).__name__


@program
def properties(x):
    p = Point(x)
    p.both = (x * 2, 4)
    return p.both, p.a


@program
def class_attributes(x):
    p = Point(x)
    p.scale = 10
    return p.total(), Point.scale, p.scale, getattr(p, "nothing", "default"), hasattr(p, "a"), hasattr(p, "zz")


@program
def operator_overloads(x, m):
    v = Vec(x)
    w = (v + v * 2) @ Vec(m)
    u = 3 * (1 + -w)
    return u.t, v[0], len(v), v(2), 3 in v, list(v), bool(v), v == w, v < w, repr(v), {v: 1}[v]


@program
def inplace_overload(x):
    v = Vec(x)
    u = v
    v += 5
    v[0] = 0
    return v.t, u is v


@program
def not_implemented_operator(x):
    try:
        Vec(x) * "a"
    except TypeError as e:
        return x, str(e)


@program(args=lambda: (randn(3), Point(randn(3), 2)))
def object_argument_read(x, p):
    return x + p.total()


@program(args=lambda: (randn(3), Point(randn(3), 2)))
def object_argument_written(x, p):
    p.a = x * 2
    p.b += 1
    p.new = [p.a]
    return p.total()


@program(args=lambda: (randn(3), Point(randn(3), 2)))
def object_argument_attribute_deleted(x, p):
    del p.b
    return x + p.a, hasattr(p, "b"), sorted(vars(p))


@program(args=lambda: (randn(3), Point([1, 2], {"k": 3})))
def object_argument_with_containers(x, p):
    p.a.append(x)
    p.b["k"] += 1
    return len(p.a)


@program(args=lambda: (randn(3), Vec(randn(3))))
def object_argument_with_dunders(x, v):
    v += x
    return (v + 1).t, len(v), v[0]


@program(args=lambda: (randn(3), Scaled(randn(3), 2)))
def getattr_setattr_by_name(x, p):
    for name in ("a", "b"):
        setattr(p, name, getattr(p, name) + x)
    delattr(p, "k")
    return vars(p)


class Lazy:
    def __init__(self):
        self.log = []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self.log.append(name)
        return len(name)


@program
def getattr_hook(x):
    o = Lazy()
    return x * o.abc + o.de, o.log, hasattr(o, "_private")


class Recorder:
    def __init__(self):
        object.__setattr__(self, "writes", [])

    def __setattr__(self, name, value):
        self.writes.append(name)
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        self.writes.append("del " + name)
        object.__delattr__(self, name)

    def __getattribute__(self, name):
        return object.__getattribute__(self, name)


@program
def setattr_hook(x):
    r = Recorder()
    r.a = x
    r.b = 1
    del r.b
    return r.a + 1, r.writes


class Positive:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, obj, cls=None):
        if obj is None:
            return self
        return getattr(obj, self.name, 0)

    def __set__(self, obj, value):
        if isinstance(value, int) and value < 0:
            raise ValueError("negative")
        setattr(obj, self.name, value)


class Account:
    amount = Positive()

    def __init__(self, amount):
        self.amount = amount


@program
def descriptors(x):
    a = Account(5)
    a.amount = a.amount + 1
    try:
        a.amount = -1
    except ValueError as e:
        text = str(e)
    return x * a.amount, text, vars(a)


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


@program(args=lambda: (randn(3), Slotted(randn(3))))
def slots_argument(x, s):
    s.b = s.a + x
    s.a = 1
    return s.b * 2


class Cached:
    def __init__(self, n):
        self.n = n
        self.calls = 0

    @functools.cached_property
    def square(self):
        self.calls += 1
        return self.n**2


@program
def cached_property_program(x):
    c = Cached(3)
    return x * c.square + c.square, c.calls, "square" in vars(c)


@program(args=lambda: (randn(3), Cached(4)))
def cached_property_argument(x, c):
    return x * c.square


class Meta(type):
    def __call__(cls, *args, **kwargs):
        obj = super().__call__(*args, **kwargs)
        obj.tagged = cls.tag
        return obj

    @property
    def tag(cls):
        return cls.__name__.lower()


class Tagged(metaclass=Meta):
    def __init__(self, a):
        self.a = a


@program
def metaclass_call(x):
    t = Tagged(x)
    return t.a + 1, t.tagged, Tagged.tag


class Single:
    _it = None

    def __new__(cls, *args):
        obj = super().__new__(cls)
        obj.made = "new"
        return obj

    def __init__(self, a):
        self.a = a


@program
def custom_new(x):
    s = Single(x)
    return s.a, s.made


class A:
    def who(self):
        return ["A"]


class B(A):
    def who(self):
        return ["B"] + super().who()


class C(A):
    def who(self):
        return ["C"] + super().who()


class D(B, C):
    def who(self):
        return ["D"] + super().who()


@program
def diamond_mro(x):
    return x, D().who(), [k.__name__ for k in D.__mro__], super(B, D()).who()


@program
def isinstance_checks(x):
    d = D()
    return (
        isinstance(d, A), isinstance(d, (int, B)), issubclass(D, C), isinstance(x, torch.Tensor), isinstance(3, int | str),
        type(d) is D, isinstance(True, int), isinstance(None, type(None)), callable(d.who), x + 1,
    )  # fmt: skip


class Base(abc.ABC):
    @abc.abstractmethod
    def f(self, x): ...

    def g(self, x):
        return self.f(x) + 1


class Impl(Base):
    def f(self, x):
        return x * 3


@program
def abstract_base(x):
    try:
        Base()
    except TypeError:
        return Impl().g(x)


@dataclasses.dataclass
class Config:
    size: int
    scale: float = 1.5
    items: list = dataclasses.field(default_factory=list)
    t: torch.Tensor | None = None

    def __post_init__(self):
        self.area = self.size**2


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    a: int
    b: str = "x"


@dataclasses.dataclass(slots=True)
class SlottedData:
    a: torch.Tensor
    b: int = 1


@program
def dataclass_program(x):
    c = Config(3, t=x)
    c.items.append(x + 1)
    d = dataclasses.replace(c, size=5)
    return c.t * c.scale, c.area, d.area, d.items is c.items


@program
def dataclass_returned(x):
    return Config(2, items=[x], t=x * 2)


@program
def frozen_dataclass(x):
    f = Frozen(1)
    g = Frozen(1, "y")
    try:
        f.a = 2
    except dataclasses.FrozenInstanceError as e:
        text = str(e)
    return x * f.a, f == Frozen(1), f < g, hash(f) == hash(Frozen(1)), text, repr(g), {f: 1}[Frozen(1)]


@program
def slotted_dataclass(x):
    s = SlottedData(x, 4)
    s.b += 1
    return s.a * s.b, s


@program(args=lambda: (Config(3, t=randn(3)),))
def dataclass_argument(c):
    c.items.append(1)
    c.scale = 2.0
    return c.t * c.scale * c.size


@program
def dataclass_introspection(x):
    c = Config(3)
    return (
        x,
        [f.name for f in dataclasses.fields(c)],
        dataclasses.is_dataclass(c),
        dataclasses.asdict(Config(1, t=None)),
    )


class Color(enum.Enum):
    RED = 1
    BLUE = 2

    @property
    def nice(self):
        return self.name.title()


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 10


class Flags(enum.Flag):
    A = 1
    B = 2


@program(args=lambda: (randn(3), Color.RED))
def enum_argument(x, color):
    if color is Color.RED:
        x = x * color.value
    return x + Color["BLUE"].value, color.name, color.nice, Color(2), color == Color.BLUE, color


@program
def enum_iteration(x):
    return x * Level.HIGH, [c.name for c in Color], Level.LOW + 1, Level.HIGH > 5, len(Color), {Color.RED: 1}[Color.RED]


@program
def flags(x):
    f = Flags.A | Flags.B
    return x, f, Flags.A in f, f & Flags.A


class Typed(typing.NamedTuple):
    t: torch.Tensor
    n: int = 3

    def scaled(self):
        return self.t * self.n


@program
def typed_namedtuple(x):
    p = Typed(x)
    return p.scaled(), p, p._replace(n=1).scaled()


class MyList(list):
    def total(self):
        return sum(self)


class MyDict(dict):
    def __missing__(self, key):
        return key * 2

    def __getattr__(self, name):
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name)


@program
def list_subclass(x):
    a = MyList([x, x + 1])
    a.append(x * 2)
    a.note = "n"
    return a.total(), a, len(a), isinstance(a, list), a[0]


@program
def dict_subclass(x):
    d = MyDict(a=x)
    d["b"] = 1
    return d["zz"], d.a + d.b, d, "q" in d


@program(args=lambda: (randn(3), MyDict(a=1)))
def dict_subclass_argument(x, d):
    d["t"] = x
    d.field = 5
    return x * d["a"]


@program(args=lambda: (randn(3), MyList([1, 2])))
def list_subclass_argument(x, a):
    a.append(x)
    a.note = 1
    return x * a[0]


class MyInt(int):
    def twice(self):
        return self * 2


class MyStr(str):
    def shout(self):
        return self.upper() + "!"


@program
def builtin_subclasses(x):
    n, s = MyInt(4), MyStr("abc")
    return x * n.twice(), s.shout(), n + 1, s + "d", isinstance(n, int), len(s)


class Manager:
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append("enter")
        return self

    def __exit__(self, kind, value, tb):
        self.log.append(kind.__name__ if kind else "exit")
        return kind is KeyError


@program
def context_manager_lets_through(x):
    log = []
    try:
        with Manager(log):
            raise ValueError("out")
    except ValueError:
        log.append("caught")
    return x, log


@program
def return_inside_with(x):
    log = []

    def f():
        for i in range(3):
            with Manager(log):
                if i == 1:
                    return x * i

    return f(), log


@program
def bound_method_as_value(x):
    p = Point(x, 1)
    f = p.total
    p.a = x * 2
    return f(), f.__self__ is p, f.__func__ is Point.total


@program
def class_as_value(x):
    cls = Scaled if x.ndim == 2 else Point
    o = cls(x, 2)
    return o.total(), cls.__name__, type(o) is cls, cls


@program(state=("REGISTRY",))
def class_attribute_written(x):
    REGISTRY.append(Point)
    Counter.count += 1
    return x * 1


class Counter:
    count = 0


REGISTRY = []


@program
def dunder_dict_access(x):
    p = Point(x, 2)
    p.__dict__["c"] = 5
    return p.c, p.__dict__, p.__class__.__name__, vars(p) is p.__dict__


@program
def str_and_format(x):
    class_text = str(Point), Point.__name__, Point.__module__, Point.__qualname__
    return x, class_text[1:], f"{Color.RED} {Level.LOW} {Color.RED!r}"


class Iter:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        if self.n == 0:
            raise StopIteration
        self.n -= 1
        return self.n


class Indexed:
    def __getitem__(self, i):
        if i > 2:
            raise IndexError(i)
        return i * 10


@program
def user_iterators(x):
    return (
        x,
        list(Iter(3)),
        [i for i in Indexed()],
        max(Iter(4)),
        20 in Indexed(),
        list(zip(Iter(2), Indexed())),
        sum(Iter(3)),
    )


class Index:
    def __index__(self):
        return 1

    def __int__(self):
        return 7

    def __float__(self):
        return 2.5


@program
def conversions(x):
    i = Index()
    return x[i], [1, 2, 3][i], int(i), float(i), range(3)[i]


@program
def overridden_attribute_on_instance(x):
    p = Point(x, 1)
    p.total = lambda: x * 100
    return p.total()
