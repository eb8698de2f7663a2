"""Programs that use objects: classes with special methods, descriptors, inheritance, dataclasses, enums, containers' subclasses."""

# ruff: noqa: B018, UP031, B006, B007, B008, B023, B904, E731, F841, C408, SIM118, B024, B027, B010, B009, PLR0124
# mypy: ignore-errors

from __future__ import annotations

import abc
import collections
import copy
import dataclasses
import enum
import functools
import types
import typing

from registry import Expect
from toy import Toy, on_toy

program = on_toy(__name__, expect=Expect.WHOLE)


class Vec:
    """Every operator."""

    def __init__(self, v, log=None):
        self.v = v
        self.log = log if log is not None else []

    def __add__(self, o):
        return Vec(self.v + getattr(o, "v", o), [*self.log, "add"])

    def __radd__(self, o):
        return Vec(o + self.v, [*self.log, "radd"])

    def __iadd__(self, o):
        self.v = self.v + o
        self.log.append("iadd")
        return self

    def __mul__(self, o):
        return NotImplemented

    def __rmul__(self, o):
        return Vec(self.v * o, ["rmul"])

    def __matmul__(self, o):
        return ("matmul", o)

    def __neg__(self):
        return Vec(-self.v, ["neg"])

    def __invert__(self):
        return "inverted"

    def __pos__(self):
        return "positive"

    def __abs__(self):
        return "absolute"

    def __eq__(self, o):
        return isinstance(o, Vec) and self.log == o.log

    def __lt__(self, o):
        return len(self.log) < len(o.log)

    def __hash__(self):
        return hash(tuple(self.log))

    def __len__(self):
        return len(self.log)

    def __bool__(self):
        return bool(self.log)

    def __getitem__(self, k):
        return (self.v, k)

    def __setitem__(self, k, val):
        self.log.append((k, val))

    def __delitem__(self, k):
        self.log.append(("del", k))

    def __contains__(self, k):
        return k in self.log

    def __iter__(self):
        return iter(self.log)

    def __call__(self, *a, **k):
        return (self.v, a, k)

    def __repr__(self):
        return f"Vec<{self.log}>"

    def __str__(self):
        return "a vec"

    def __format__(self, spec):
        return f"[{spec}]"

    def __round__(self, n=0):
        return ("round", n)

    def __floordiv__(self, o):
        return ("floor", o)

    def __rpow__(self, o):
        return ("rpow", o)

    def __index__(self):
        return 2

    def __int__(self):
        return 7

    def __float__(self):
        return 2.5

    def __reversed__(self):
        return ["reversed"]


@program
def operators(x):
    a, b = Vec(x), Vec(x)
    c = a + b
    d = 2 + a
    e = 3 * a
    a += 1
    return a, c, d, e, a @ 5, -b, ~b, +b, abs(b), b // 3, 2**b, [10, 20, 30][b]


@program
def operator_errors(x):
    found = []
    for f in (
        lambda: Vec(x) * 2,
        lambda: Vec(x) - 1,
        lambda: object() < 1,
        lambda: [] + (),
        lambda: {} | [],
        lambda: 1 in 5,
    ):
        try:
            f()
        except TypeError as e:
            found.append(str(e))
    return x, found


@program
def comparisons(x):
    a, b = Vec(x), Vec(x, ["z"])
    return x, a == Vec(x), a != b, a < b, b > a, sorted([b, a])[0] is a, a in [Vec(x)], {a: 1}[Vec(x)], max(a, b) is b


@program
def container_protocol(x):
    v = Vec(x, ["p", "q"])
    v[1] = 2
    del v[0]
    return v, v["k"], v[1:2], len(v), "p" in v, list(v), [*v], bool(v), bool(Vec(x)), v(1, k=2), list(reversed(v))


@program
def text_protocol(x):
    v = Vec(x, [1])
    return x, repr(v), str(v), f"{v:abc}|{v!r}|{v}", "%s %r" % (v, v), f"{[v]}", int(v), float(v), round(v), round(v, 2)


class Base:
    kind = "base"
    count = 0

    def __init__(self, x):
        self.x = x

    def scale(self):
        return 2

    def run(self):
        return self.x * self.scale()

    @classmethod
    def make(cls, x):
        return cls(x)

    @staticmethod
    def twice(a):
        return a * 2

    @property
    def size(self):
        return self.x.shape

    @size.setter
    def size(self, n):
        self.x = self.x * n


class Child(Base):
    kind = "child"

    def __init__(self, x, extra=1):
        super().__init__(x)
        self.extra = extra

    def scale(self):
        return super().scale() + self.extra

    @property
    def size(self):
        return super().size, "child"


class Mixin:
    def run(self):
        return ("mixin", super().run())


class Diamond(Mixin, Child):
    pass


@program
def inheritance(x):
    c = Child.make(x)
    d = Diamond(x, extra=3)
    return (
        c.run(),
        d.run(),
        c.size,
        Base(x).size,
        c.kind,
        Child.twice(x),
        d.twice(2),
        isinstance(d, Base),
        [k.__name__ for k in type(d).__mro__],
    )


@program
def property_setter(x):
    b = Base(x)
    b.size = 3
    try:
        Child(x).size = 1
    except AttributeError:
        return b.x, "no setter"


@program
def class_attributes(x):
    b = Base(x)
    b.kind = "own"
    first = b.kind, Base.kind
    del b.kind
    return x, first, b.kind, hasattr(b, "nothing"), getattr(b, "nothing", 3), vars(b)


@program
def class_attribute_write(x):
    class_before = Base.count
    Base.count += 1
    after, seen = Base.count, Child(x).count
    Base.count = 0
    return x, class_before, after, seen


class Hooked:
    def __init__(self):
        self.own = 1
        self.__dict__["log"] = []

    def __getattr__(self, name):
        if name.startswith("dyn"):
            return name.upper()
        raise AttributeError(f"no {name} here")

    def __setattr__(self, name, value):
        if "log" in self.__dict__:
            self.log.append(name)
        object.__setattr__(self, name, value)

    def __delattr__(self, name):
        self.log.append("del " + name)
        super().__delattr__(name)


@program
def attribute_hooks(x):
    h = Hooked()
    h.a = x
    h.b = 2
    del h.b
    try:
        h.missing
    except AttributeError as e:
        return h, h.dynamic, str(e), hasattr(h, "b"), h.a


class Everything:
    def __getattribute__(self, name):
        if name == "magic":
            return 42
        return super().__getattribute__(name)


@program
def getattribute_hook(x):
    e = Everything()
    e.y = x
    return e.magic, e.y


class Doubler:
    """A data descriptor."""

    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, obj, cls=None):
        if obj is None:
            return self
        return getattr(obj, self.name) * 2

    def __set__(self, obj, value):
        setattr(obj, self.name, value)


class Lazy:
    """A non-data descriptor."""

    def __init__(self, f):
        self.f = f

    def __get__(self, obj, cls):
        value = self.f(obj)
        obj.__dict__[self.f.__name__] = value
        return value


class Described:
    d = Doubler()

    def __init__(self, x):
        self.d = x
        self.calls = 0

    @Lazy
    def lazy(self):
        self.calls += 1
        return self.d

    @functools.cached_property
    def cached(self):
        self.calls += 10
        return self.d + 1


@program
def descriptors(x):
    o = Described(x)
    return o.d, o.lazy, o.lazy, o.cached, o.cached, o.calls, o


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a


@program
def slots(x):
    s = Slotted(x)
    s.b = 3
    try:
        s.c = 1
    except AttributeError as e:
        text = str(e)
    del s.b
    return s, s.a, hasattr(s, "b"), text


class Meta(type):
    def __call__(cls, *args):
        obj = super().__call__(*args)
        obj.tagged = True
        return obj

    def __len__(cls):
        return 9

    @property
    def label(cls):
        return "label of " + cls.__name__


class WithMeta(metaclass=Meta):
    def __init__(self, x):
        self.x = x


@program
def metaclass(x):
    return WithMeta(x), len(WithMeta), WithMeta.label


class Singleton:
    made = None

    def __new__(cls, x):
        obj = super().__new__(cls)
        obj.fresh = True
        return obj

    def __init__(self, x):
        self.x = x


class Celsius(float):
    unit = "C"

    def __new__(cls, v):
        return super().__new__(cls, v + 1)

    def up(self):
        return Celsius(self + 1)


@program
def new_method(x):
    c = Celsius(20)
    return Singleton(x), c.up() * 1, c + 2, c.unit, c > 20, x * c


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...

    def double(self):
        return self.area() * 2


class Square(Shape):
    def __init__(self, x):
        self.x = x

    def area(self):
        return self.x * self.x


@program
def abstract_classes(x):
    try:
        Shape()
    except TypeError as e:
        failed = str(e)
    return Square(x).double(), isinstance(Square(x), Shape), failed


@program
def abc_queries(x):
    from collections.abc import Callable, Iterable, Mapping, Sequence

    return (
        x, isinstance([], Sequence), isinstance({}, Mapping), isinstance(len, Callable), isinstance((i for i in []), Iterable),
        isinstance("a", Iterable), isinstance(3, Iterable), isinstance(collections.OrderedDict(), Mapping),
    )  # fmt: skip


@dataclasses.dataclass
class Config:
    width: int = 3
    scale: float = 0.5
    names: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.total = self.width * 2


@dataclasses.dataclass(frozen=True, order=True)
class Frozen:
    a: int
    b: str = "b"


@dataclasses.dataclass
class Holder:
    x: object
    config: Config = dataclasses.field(default_factory=Config)


@program
def dataclass_basics(x):
    c = Config(4, names=["n"])
    c.names.append("m")
    d = dataclasses.replace(c, width=9)
    return (
        c,
        d,
        c == Config(4, names=["n", "m"]),
        repr(c),
        x * c.scale,
        [f.name for f in dataclasses.fields(c)],
        d.total,
    )


@program
def dataclass_frozen(x):
    f = Frozen(1)
    try:
        f.a = 2
    except dataclasses.FrozenInstanceError as e:
        text = str(e)
    return (
        x,
        f,
        Frozen(1) < Frozen(2),
        {f: 5}[Frozen(1)],
        text,
        hash(f) == hash(Frozen(1)),
        dataclasses.astuple(f),
        dataclasses.asdict(f),
    )


@program
def dataclass_holding_array(x):
    h = Holder(x + 1)
    h.x = h.x * 2
    return h, h.config.width


@program(args=lambda: (Toy([1.0, 2.0]), Config(7, names=["q"]), Holder(Toy([5.0]))))
def dataclass_arguments(x, c, h):
    h.x = h.x + x.sum()
    c.width += 1
    c.extra = h
    return x * c.width, h


class Color(enum.Enum):
    RED = 1
    GREEN = "g"

    @property
    def nice(self):
        return self.name.lower()

    @classmethod
    def default(cls):
        return cls.RED


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 5


class Perm(enum.Flag):
    R = enum.auto()
    W = enum.auto()


@program(args=lambda: (Toy([1.0]), Color.GREEN))
def enums(x, color):
    return (
        x * Level.HIGH, color, color is Color.GREEN, Color("g"), Color["RED"], Color.RED.value, color.name, color.nice, Color.default(),
        [c.name for c in Color], Level.LOW + 1, Level.LOW < Level.HIGH, Color.RED in (Color.RED,), {Color.RED: 1}[Color.RED],
        Perm.R | Perm.W, Perm.R in (Perm.R | Perm.W), f"{Color.RED}", str(Level.HIGH), repr(color), len(Color), isinstance(color, Color),
        color == Color.RED, Level(5) is Level.HIGH, (Perm.R & Perm.W).value, bool(Perm.R & Perm.W),
    )  # fmt: skip


Pair = collections.namedtuple("Pair", "left right", defaults=[7])


class Typed(typing.NamedTuple):
    a: int
    b: object = None

    def both(self):
        return (self.b, self.a)


@program(args=lambda: (Toy([1.0]), Pair(Toy([2.0]), 3)))
def namedtuples(x, p):
    q = Pair(x)
    left, right = q
    return (
        q,
        p.left * p.right,
        q._replace(left=1),
        p._asdict(),
        left,
        right,
        Typed(1, x).both(),
        Typed(2),
        Pair._make([1, 2]),
        p[0],
        q == (x, 7) if False else 0,
        Pair._fields,
    )


class MyDict(dict):
    def __getitem__(self, k):
        return ("got", super().get(k))

    def __missing__(self, k):
        return "missing"

    def extra(self):
        return len(self)


class Missing(dict):
    def __missing__(self, k):
        self[k] = k * 2
        return self[k]


class MyList(list):
    def __init__(self, *a):
        super().__init__(a)
        self.tag = "t"

    def append(self, v):
        super().append((v, v))

    def total(self):
        return sum(len(p) for p in self if isinstance(p, tuple))


class MyTuple(tuple):
    def first(self):
        return self[0]


class MySet(set):
    def add(self, v):
        super().add(v * 2)


class MyStr(str):
    def shout(self):
        return self.upper() + "!"


class MyInt(int):
    def __add__(self, o):
        return MyInt(int(self) + o + 100)


@program
def builtin_subclasses(x):
    d = MyDict(a=x)
    d["b"] = 2
    m = Missing()
    got = m["k"], m["k"]
    items = MyList(1, 2)
    items.append(x)
    s = MySet([1])
    s.add(5)
    t = MyTuple([x, 2])
    return (
        d,
        d["a"],
        d.extra(),
        got,
        m,
        items,
        items.total(),
        items[0],
        s,
        t,
        t.first(),
        MyStr("hi").shout(),
        MyInt(1) + 1,
        list(d.items()),
        len(items),
        5 in s,
    )


@program(args=lambda: (Toy([1.0]), MyList(1), Missing(p=1), MyTuple([Toy([3.0])]), MySet([4])))
def builtin_subclass_arguments(x, items, m, t, s):
    items.append(x)
    items.tag = "new"
    m["q"]
    s.add(1)
    return items, m["p"], t.first() + x


class Output(collections.OrderedDict):
    """Like a model's output: a dict whose keys are attributes too."""

    def __init__(self, **kw):
        super().__init__()
        for k, v in kw.items():
            if v is not None:
                self[k] = v

    def __setitem__(self, k, v):
        super().__setitem__(k, v)
        super().__setattr__(k, v)

    def __getitem__(self, k):
        if isinstance(k, str):
            return dict(self.items())[k]
        return self.to_tuple()[k]

    def to_tuple(self):
        return tuple(self[k] for k in self.keys())


@program
def output_class(x):
    o = Output(logits=x + 1, loss=None, hidden=(x, x))
    o["more"] = 3
    return o, o.logits, o["hidden"][0], o[0], o.to_tuple(), list(o), "loss" in o, isinstance(o, dict)


@program(args=lambda: (Toy([1.0]), Base(Toy([2.0])), [Base(Toy([3.0]))]))
def object_arguments(x, b, many):
    b.x = b.x + x
    b.new = many
    many[0].x = b.x * 2
    many.append(b)
    return b.run(), many[0]


@program(args=lambda: (Toy([1.0]), Base(Toy([2.0]))))
def object_deletion(x, b):
    b.a = 1
    b.c = 3
    del b.a
    b.a = 2
    del b.x
    return x, hasattr(b, "x")


@program
def object_cycles(x):
    a, b = Base(x), Base(x)
    a.other, b.other = b, a
    a.me = a
    return a, [b]


@program
def bound_methods(x):
    b = Child(x)
    f = b.run
    g = Base.run
    return f(), g(b), f.__self__ is b, f.__func__ is Child.run, f == b.run, f.__name__, b.run


@program
def instance_dict(x):
    b = Base(x)
    b.__dict__["k"] = 1
    b.__dict__.update(m=2)
    vars(b)["n"] = 3
    return b, b.k + b.m, sorted(b.__dict__), "x" in b.__dict__, list(vars(b).items())[1:], b.__dict__.get("zz")


@program
def getattr_setattr(x):
    b = Base(x)
    setattr(b, "p" + "q", 5)
    for name in ("one", "two"):
        setattr(b, name, len(name))
    delattr(b, "one")
    return b, getattr(b, "pq"), getattr(Base, "kind"), hasattr(b, "one")


class Countdown:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        if self.n <= 0:
            raise StopIteration
        self.n -= 1
        return self.n


class OldIter:
    def __getitem__(self, i):
        if i > 2:
            raise IndexError
        return i * i


class GenIter:
    def __init__(self, x):
        self.x = x

    def __iter__(self):
        for i in range(2):
            yield self.x * i


@program
def user_iterators(x):
    a, *b = Countdown(3)
    return (
        x,
        list(Countdown(3)),
        [v for v in OldIter()],
        a,
        b,
        sum(Countdown(4)),
        4 in OldIter(),
        list(GenIter(x)),
        dict(zip("ab", Countdown(2))),
    )


@program
def copying(x):
    b = Base(x)
    b.items = [1, [2]]
    c, d = copy.copy(b), copy.deepcopy([1, {"k": [3]}])
    c.items.append(3)
    e = copy.deepcopy(b.items)
    e[1].append(9)
    return b, c, d, e, copy.copy([1]), copy.copy({"a": 1})


@program
def simple_namespace(x):
    n = types.SimpleNamespace(a=x, b=1)
    n.c = n.a + n.b
    return n.c, n.b, n


class Generic_(typing.Generic[typing.TypeVar("T")]):
    def __init__(self, v):
        self.v = v


class Plain:
    pass


@typing.runtime_checkable
class HasRun(typing.Protocol):
    def run(self): ...


@program
def typing_things(x):
    g = Generic_[int](x)
    n: int = 3
    return (
        g,
        typing.cast(int, n),
        isinstance(Base(x), HasRun),
        isinstance(3, HasRun),
        isinstance(3, int | str),
        typing.Optional,
    )


class Context:
    current = None

    def __init__(self, v):
        self.v = v

    def __enter__(self):
        self.saved = Context.current
        Context.current = self.v
        return self

    def __exit__(self, *a):
        Context.current = self.saved


@program
def dynamic_scoping(x):
    seen = [Context.current]
    with Context(1):
        seen.append(Context.current)
        with Context(2) as c:
            seen.append(Context.current)
        seen.append(Context.current)
    return x, seen


class Chain:
    def __init__(self, x):
        self.x = x

    def add(self, n):
        self.x = self.x + n
        return self

    def __enter__(self):
        return self

    def __exit__(self, *a):
        return False


@program
def method_chaining(x):
    return Chain(x).add(1).add(2).x


class Registry:
    _items: dict = {}

    @classmethod
    def lookup(cls, k):
        return cls._items.get(k, "none")


@program
def class_level_dict(x):
    return x, Registry.lookup("a"), Registry._items


@program
def equality_default(x):
    a, b = Plain(), Plain()
    return x, a == a, a == b, a != b, {a: 1}[a], a in [b], [a, b].index(b), len({a, b, a})


@program
def type_of_object(x):
    b = Child(x)
    cls = type(b)
    return (
        cls(x).extra,
        cls.__name__,
        b.__class__ is Child,
        type(b).kind,
        isinstance(b, (int, Base)),
        b.__module__ == __name__,
        cls.__doc__,
    )


class Visitor:
    def visit(self, node):
        return getattr(self, "visit_" + type(node).__name__, self.generic)(node)

    def generic(self, node):
        return "generic"

    def visit_int(self, node):
        return node + 1

    def visit_list(self, node):
        return [self.visit(n) for n in node]


@program
def visitor(x):
    return x, Visitor().visit([1, "s", [2]])


class Stack:
    def __init__(self):
        self._items = []

    def push(self, v):
        self._items.append(v)
        return self

    def pop(self):
        return self._items.pop()

    @property
    def top(self):
        return self._items[-1]

    def __len__(self):
        return len(self._items)


@program(args=lambda: (Toy([1.0]), Stack().push(5)))
def stack_machine(x, s):
    s.push(x).push(2)
    a = s.pop()
    b = s.top
    return a * b, len(s)


class Layer:
    def __init__(self, n):
        self.w = Toy([float(n)])

    def __call__(self, x):
        return x * self.w

    forward = __call__


class Net:
    def __init__(self):
        self.layers = [Layer(i) for i in range(1, 4)]
        self.by_name = {"a": Layer(5)}

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.by_name["a"].forward(x)


NET = Net()


@program
def global_object(x):
    return NET(x)


@program(args=lambda: (Toy([1.0]), Net()))
def net_argument(x, net):
    return net(x), net.layers[1].w
