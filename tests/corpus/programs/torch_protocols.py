"""Object protocols: every dunder, metaclasses, descriptors, containers of one's own, object graphs, weak references."""

# ruff: noqa
# mypy: ignore-errors
import abc, collections, copy, dataclasses, enum, functools, operator, types, typing, weakref, contextlib, itertools, math
import torch
import torch.nn.functional as F
from torch_values import on_torch, randn
from torch import nn

program = on_torch(__name__)


class Vec:
    def __init__(self, d):
        self.d = d

    def __add__(self, o):
        return Vec(self.d + (o.d if isinstance(o, Vec) else o))

    def __radd__(self, o):
        return Vec(o + self.d)

    def __sub__(self, o):
        if not isinstance(o, Vec):
            return NotImplemented
        return Vec(self.d - o.d)

    def __rsub__(self, o):
        return Vec(o - self.d)

    def __iadd__(self, o):
        self.d = self.d + o
        return self

    def __matmul__(self, o):
        return Vec(self.d @ o.d.T)

    def __rmatmul__(self, o):
        return Vec(o @ self.d.T)

    def __neg__(self):
        return Vec(-self.d)

    def __pos__(self):
        return self

    def __invert__(self):
        return Vec(1 - self.d)

    def __abs__(self):
        return Vec(self.d.abs())

    def __len__(self):
        return self.d.shape[0]

    def __getitem__(self, i):
        return self.d[i]

    def __setitem__(self, i, v):
        self.d[i] = v

    def __delitem__(self, i):
        self.d = torch.cat([self.d[:i], self.d[i + 1 :]])

    def __iter__(self):
        return iter(self.d.unbind(0))

    def __contains__(self, v):
        return v == self.d.shape[0]

    def __bool__(self):
        return self.d.dim() > 1

    def __eq__(self, o):
        return isinstance(o, Vec) and self.d.shape == o.d.shape

    def __lt__(self, o):
        return self.d.numel() < o.d.numel()

    def __hash__(self):
        return hash(self.d.shape)

    def __call__(self, k=2):
        return self.d * k

    def __format__(self, spec):
        return f"Vec<{spec}>{tuple(self.d.shape)}"

    def __repr__(self):
        return f"Vec({list(self.d.shape)})"

    def __str__(self):
        return f"vec of {len(self)}"

    def __index__(self):
        return self.d.dim()

    def __int__(self):
        return 7

    def __float__(self):
        return 2.5

    def __complex__(self):
        return 1 + 2j

    def __divmod__(self, o):
        return self.d // o, self.d % o

    def __rdivmod__(self, o):
        return (o, self.d)

    def __pow__(self, o, mod=None):
        return self.d**o if mod is None else (self.d**o) % mod

    def __rpow__(self, o):
        return o**self.d

    def __lshift__(self, o):
        return ("lshift", o)

    def __rshift__(self, o):
        return ("rshift", o)

    def __and__(self, o):
        return ("and", o)

    def __ror__(self, o):
        return ("ror", o)

    def __xor__(self, o):
        return ("xor", o)

    def __round__(self, n=None):
        return self.d.round(decimals=n or 0)

    def __trunc__(self):
        return 3

    def __floor__(self):
        return 4

    def __ceil__(self):
        return 5

    def __reversed__(self):
        return reversed(list(self.d))

    def __length_hint__(self):
        return 3


@program
def vec_arith(x, y):
    a, b = Vec(x), Vec(y)
    c = a + b
    c = c + 1
    c = 2 + c
    c = sum([a, b, c])
    c += 3
    return c.d, (c - a).d, (5 - c).d, (-c).d, (~c).d, abs(c).d, (+c) is c


@program
def vec_arith_arg_holder(x, y):
    a = Vec(x)
    m = a @ Vec(y)
    n = x @ Vec(y)
    return m.d, n.d


@program
def vec_container(x):
    a = Vec(x)
    out = a[0] + a[-1]
    a[1] = out
    n0 = len(a)
    del a[0]
    return a.d, n0, len(a), list(a), 2 in a, 5 in a, bool(a), [v.sum() for v in a]


@program
def vec_compare(x, v):
    a, b = Vec(x), Vec(v)
    d = {a: 1, b: 2}
    s = sorted([a, b])
    return a == b, a != b, a < b, b < a, a > b, d[Vec(x)], s[0] is b, min(a, b) is b, max([a, b]) is a


@program
def vec_text(x):
    a = Vec(x)
    return (
        f"{a}",
        f"{a!r}",
        f"{a:>10}",
        str(a),
        repr(a),
        format(a, "q"),
        "%s %r" % (a, a),
        "{0} {0!r} {0:z}".format(a),
        str([a]),
        x + 1,
    )


@program
def vec_numbers(x):
    a = Vec(x)
    return int(a), float(a), operator.index(a), [10, 20, 30][a], complex(a), x * float(a), list(range(a)), hex(a)


@program
def vec_misc(x):
    a = Vec(x)
    return (
        divmod(a, 2),
        a**2,
        2**a,
        pow(a, 2),
        pow(a, 2, 3),
        a << 1,
        a >> 2,
        a & 3,
        4 | a,
        a ^ 5,
        round(a),
        round(a, 1),
        math.trunc(a),
        math.floor(a),
        math.ceil(a),
        list(reversed(a)),
        a(),
        a(k=3),
        callable(a),
    )


class Lazy:
    def __init__(self, x):
        self.x = x
        self.log = []

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        self.log.append(name)
        return self.x * len(name)


@program
def getattr_computed(x):
    l = Lazy(x)
    return l.abc, l.defgh, l.log, hasattr(l, "_no"), getattr(l, "_no", 5), hasattr(l, "zz")


@program(args=lambda: (randn(3), Lazy(randn(3))))
def getattr_computed_arg(x, l):
    return l.abc + x, hasattr(l, "_q")


class Logged:
    def __init__(self):
        object.__setattr__(self, "names", [])
        self.a = 1

    def __setattr__(self, k, v):
        self.names.append(k)
        super().__setattr__(k, v)

    def __delattr__(self, k):
        self.names.append("-" + k)
        object.__delattr__(self, k)

    def __getattribute__(self, k):
        v = object.__getattribute__(self, k)
        if k == "a":
            return v * 10
        return v


@program
def all_attribute_hooks(x):
    o = Logged()
    o.b = x + o.a
    o.c = 3
    del o.c
    setattr(o, "d", x)
    delattr(o, "d")
    return o.b, o.names, hasattr(o, "c"), o


@program(args=lambda: (randn(3), Logged()))
def all_attribute_hooks_arg(x, o):
    o.b = x + o.a
    o.c = 3
    del o.c
    return o.names, o.__dict__


class Plugin:
    registry = {}

    def __init_subclass__(cls, tag=None, **kw):
        super().__init_subclass__(**kw)
        cls.tag = tag
        Plugin.registry[tag] = cls


class P1(Plugin, tag="one"):
    def run(self, x):
        return x + 1


class P2(Plugin, tag="two"):
    def run(self, x):
        return x * 2


@program
def plugins(x):
    for tag, cls in Plugin.registry.items():
        x = cls().run(x)
    return x, P1.tag, [c.__name__ for c in Plugin.registry.values()]


class Generic1:
    def __init__(self, k):
        self.k = k

    def __class_getitem__(cls, k):
        return cls(k)


T = typing.TypeVar("T")


class Box(typing.Generic[T]):
    def __init__(self, v: T):
        self.v = v

    def get(self) -> T:
        return self.v


@program
def class_getitem(x):
    return x * Generic1[3].k, Box[int](4).get(), Box(x).get() + 1


class Named:
    def __set_name__(self, owner, name):
        self.name = name
        self.owner = owner.__name__

    def __get__(self, obj, cls=None):
        if obj is None:
            return self
        return obj.__dict__.get("_" + self.name, 0)

    def __set__(self, obj, v):
        obj.__dict__["_" + self.name] = v

    def __delete__(self, obj):
        obj.__dict__.pop("_" + self.name)


class HasNamed:
    w = Named()
    b = Named()


@program
def descriptor_named(x):
    o = HasNamed()
    o.w = x
    o.b = 2
    r = o.w * o.b
    del o.b
    return r, o.b, HasNamed.w.name, HasNamed.w.owner, vars(o)


class Temp:
    def __init__(self, c):
        self._c = c

    @property
    def c(self):
        "doc"
        return self._c

    @c.setter
    def c(self, v):
        self._c = v + 1

    @c.deleter
    def c(self):
        self._c = None

    @property
    def ro(self):
        return self._c


@program(args=lambda: (randn(3), Temp(randn(3))))
def property_full(x, t):
    t.c = t.c + x
    a = t.c
    t.c += 1
    b = t.c
    del t.c
    try:
        t.ro = 5
    except AttributeError as e:
        msg = "no"
    return a, b, t.c, msg


class Base1:
    def f(self, x):
        return x + 1

    @classmethod
    def make(cls):
        return cls()

    @staticmethod
    def st(x):
        return x * 3


class MixA:
    def f(self, x):
        return super().f(x) * 2


class MixB:
    def f(self, x):
        return super().f(x) - 3


class Multi(MixA, MixB, Base1):
    def f(self, x):
        return super().f(x) + super(MixA, self).f(x)


@program
def mixins(x):
    m = Multi.make()
    return (
        m.f(x),
        Multi.st(x),
        [c.__name__ for c in Multi.__mro__],
        Multi.__bases__[0].__name__,
        isinstance(m, MixB),
        issubclass(Multi, Base1),
        type(m) is Multi,
        m.__class__.__name__,
    )


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...
    @property
    @abc.abstractmethod
    def name(self): ...
    def describe(self):
        return f"{self.name}"


class Sq(Shape):
    def __init__(self, s):
        self.s = s

    def area(self):
        return self.s * self.s

    @property
    def name(self):
        return "sq"


@program
def abstract_instances(x):
    s = Sq(x)
    try:
        Shape()
        bad = False
    except TypeError:
        bad = True
    return s.area(), s.describe(), bad, isinstance(s, Shape)


class Sized3(collections.abc.Sequence):
    def __init__(self, items):
        self.i = items

    def __len__(self):
        return len(self.i)

    def __getitem__(self, k):
        return self.i[k]


class MapLike(collections.abc.MutableMapping):
    def __init__(self, **k):
        self.d = dict(k)

    def __getitem__(self, k):
        return self.d[k]

    def __setitem__(self, k, v):
        self.d[k] = v

    def __delitem__(self, k):
        del self.d[k]

    def __iter__(self):
        return iter(self.d)

    def __len__(self):
        return len(self.d)


@program
def abc_sequence(x):
    s = Sized3([x, x + 1, 3])
    return (
        list(reversed(s)),
        3 in s,
        s.index(3),
        s.count(3),
        isinstance(s, collections.abc.Sequence),
        [i for i in s][0],
        s[0],
    )


@program
def abc_mapping(x):
    m = MapLike(a=x, b=2)
    m["c"] = x * 2
    m.update(d=4)
    m.setdefault("e", 5)
    p = m.pop("b")
    return dict(m), p, list(m.keys()), list(m.values()), "a" in m, m.get("zz"), len(m), {**m}


@dataclasses.dataclass
class DC:
    a: torch.Tensor
    b: int = 2
    c: list = dataclasses.field(default_factory=list)

    def __post_init__(self):
        self.d = self.b + 1


@dataclasses.dataclass(order=True, frozen=True)
class DCO:
    k: int
    v: float = 0.5


@dataclasses.dataclass(kw_only=True)
class DCK(DC):
    e: int


@dataclasses.dataclass
class DCI:
    x: dataclasses.InitVar[int]
    y: int = dataclasses.field(init=False, repr=False)

    def __post_init__(self, x):
        self.y = x * 2


@program
def dataclasses_more(x):
    d = DC(x)
    d.c.append(x + 1)
    e = dataclasses.replace(d, b=5)
    k = DCK(a=x, e=3)
    return (
        d,
        e,
        k,
        DCO(1) < DCO(2),
        sorted([DCO(3), DCO(1)]),
        hash(DCO(1)) == hash(DCO(1)),
        DCI(4).y,
        DCO(1) == DCO(1),
        {DCO(1): 2}[DCO(1)],
        repr(DCO(2)),
    )


@program
def dataclass_asdict(x):
    d = DC(x, c=[1, 2])
    dd = dataclasses.asdict(d)
    return (
        dd["b"],
        dd["c"],
        dataclasses.astuple(DCO(2)),
        dd["a"],
        [f.name for f in dataclasses.fields(d)],
        dataclasses.is_dataclass(d),
    )


@program
def frozen_write(x):
    o = DCO(1)
    try:
        o.k = 2
    except dataclasses.FrozenInstanceError as e:
        return x + 1, str(e)
    return x


class Stack(list):
    def push(self, v):
        self.append(v)
        return self

    @property
    def top(self):
        return self[-1]


class Cfg(dict):
    def __getattr__(self, k):
        try:
            return self[k]
        except KeyError:
            raise AttributeError(k)

    def __setattr__(self, k, v):
        self[k] = v


class Def(dict):
    def __missing__(self, k):
        self[k] = len(self)
        return self[k]


class Pair(tuple):
    def __new__(cls, a, b):
        return super().__new__(cls, (a, b))

    @property
    def a(self):
        return self[0]

    def __add__(self, o):
        return Pair(self[0] + o[0], self[1] + o[1])


class Int(int):
    def __add__(self, o):
        return Int(int(self) + int(o) + 100)

    def twice(self):
        return self * 2


class Str(str):
    def shout(self):
        return Str(self.upper() + "!")


class Flt(float):
    unit = "m"


@program
def builtin_sub_list(x):
    s = Stack([x])
    s.push(x + 1).push(3)
    s[0] = 9
    t = s + [1]
    return s, s.top, len(s), type(t).__name__, s[1:], 3 in s, isinstance(s, list)


@program
def builtin_sub_dict(x):
    c = Cfg(a=x)
    c.b = 2
    c["d"] = c.a * c.b
    m = Def()
    return c, c.d, hasattr(c, "zz"), m["q"], m["r"], m["q"], m, c.get("a"), list(c)


@program(args=lambda: (randn(3), Cfg(a=randn(3), n=2)))
def builtin_sub_dict_arg(x, c):
    c.b = x * c.n
    c["k"] = 5
    del c["n"]
    return c.a + c.b, sorted(c)


@program
def builtin_sub_tuple(x):
    p = Pair(x, 2)
    q = p + p
    a, b = q
    return p, q, p.a, a, b, type(q).__name__, len(p), p == (x, 2) if False else 0


@program
def builtin_sub_scalars(x):
    i = Int(3)
    j = i + 4
    s = Str("ab").shout()
    f = Flt(2.5)
    return (
        x * i,
        j,
        j.twice(),
        type(j).__name__,
        s,
        type(s).__name__,
        x * f,
        f.unit,
        f + 1,
        s == "AB!",
        {Int(3): 1}[3],
        isinstance(i, int),
    )


@program(args=lambda: (randn(3), Int(3), Str("ab"), Flt(1.5)))
def builtin_sub_scalar_args(x, i, s, f):
    return x * i + f, i + 1, s.shout(), s + "c", f * 2, type(i).__name__


class Ring:
    def __init__(self, n):
        self.n = n
        self.buf = [None] * n
        self.i = 0

    def push(self, v):
        self.buf[self.i % self.n] = v
        self.i += 1

    def __iter__(self):
        for k in range(self.i, self.i + self.n):
            yield self.buf[k % self.n]

    def __len__(self):
        return min(self.i, self.n)


@program(args=lambda: (randn(3), Ring(3)))
def ring_buffer_arg(x, r):
    r.push(x)
    r.push(x + 1)
    return [v for v in r if v is not None], len(r)


class Node:
    def __init__(self, v):
        self.v = v
        self.next = None
        self.parent = None
        self.kids = []

    def add(self, k):
        k.parent = self
        self.kids.append(k)
        return k

    def total(self):
        return self.v + sum(k.total() for k in self.kids)


def _tree():
    r = Node(randn(3))
    a = r.add(Node(randn(3)))
    a.add(Node(randn(3)))
    r.add(Node(randn(3)))
    return r


@program(args=lambda: (_tree(),))
def tree_arg(r):
    t = r.total()
    r.kids[0].v = t
    n = r.kids[0].kids[0]
    n.add(Node(t * 2))
    return t, n.parent.parent is r, r


@program
def cyclic_made(x):
    a, b = Node(x), Node(x + 1)
    a.next, b.next = b, a
    a.kids.append(a)
    return a, a.next.next is a


def _ring_list():
    a = Node(randn(3))
    b = Node(randn(3))
    c = Node(randn(3))
    a.next, b.next, c.next = b, c, a
    return a


@program(args=lambda: (_ring_list(),))
def cyclic_arg(a):
    n, s = a.next, a.v
    while n is not a:
        s = s + n.v
        n.v = s
        n = n.next
    return s


@program(args=lambda: (lambda l: (randn(3), l, l))([1, 2]))
def two_names(x, a, b):
    a.append(x)
    b.append(3)
    return a is b, len(b), x + len(a)


@program
def two_names_made(x):
    a = [x]
    d = {"l": a, "m": a}
    d["l"].append(x + 1)
    return d, a, len(d["m"])


@program
def weakrefs(x):
    n = Node(x)
    r = weakref.ref(n)
    return r().v + 1, r() is n


_N = Node(torch.ones(3))
_R = weakref.ref(_N)


@program
def weakref_global(v):
    return _R().v + v[:3]


def _cb_log(log, x):
    log.append(x.shape[0])
    return x * 2


@program(args=lambda: (randn(3), {"a": [lambda t: t + 1, torch.relu], "b": []}))
def callbacks_dict(x, cbs):
    cbs["b"].append(len(cbs))
    for name, fns in cbs.items():
        for f in fns:
            if callable(f):
                x = f(x)
    return x


class Emitter:
    def __init__(self):
        self.h = collections.defaultdict(list)

    def on(self, name, f=None):
        if f is None:

            def deco(f):
                self.h[name].append(f)
                return f

            return deco
        self.h[name].append(f)

    def emit(self, name, *a, **k):
        return [f(*a, **k) for f in self.h[name]]


@program
def event_emitter(x):
    e = Emitter()
    e.on("x", torch.sin)

    @e.on("x")
    def g(t, k=1):
        return t + k

    e.on("x", functools.partial(torch.add, other=2))
    return e.emit("x", x), e.emit("y", x)


class Counter1:
    count = 0
    items = []

    def __init__(self):
        type(self).count += 1
        self.id = Counter1.count
        Counter1.items.append(self.id)


@program.maker
def class_counter():
    class C:
        count = 0
        seen = []

        def __init__(self):
            C.count += 1
            self.n = C.count
            self.seen.append(self.n)

        @classmethod
        def bump(cls):
            cls.count += 10
            return cls.count

    def fn(x):
        a, b = C(), C()
        return x + a.n, x * b.n, C.bump(), C.count, list(C.seen)

    return fn


class Single:
    _inst = None

    def __new__(cls):
        if cls._inst is None:
            cls._inst = super().__new__(cls)
            cls._inst.n = 0
        return cls._inst


STATE = Single()


@program.maker
def closure_state():
    class Acc:
        def __init__(self):
            self.t = torch.zeros(4)
            self.n = 0
            self.log = []

        def __call__(self, x):
            self.t = self.t + x
            self.n += 1
            self.log.append(self.n)
            return self.t / self.n

    a = Acc()

    def fn(v):
        return a(v) + a.n, a.log

    return fn


class Meta(type):
    def __new__(m, name, bases, ns, **k):
        ns["added"] = name.lower()
        return super().__new__(m, name, bases, ns)

    def __getitem__(cls, k):
        return cls(k)

    def __len__(cls):
        return 42

    def __iter__(cls):
        return iter([1, 2, 3])

    def __contains__(cls, v):
        return v == "in"

    def __getattr__(cls, n):
        if n == "dyn":
            return 99
        raise AttributeError(n)

    @property
    def mp(cls):
        return cls.added * 2

    def __add__(cls, o):
        return (cls.__name__, o)

    def __eq__(cls, o):
        return cls is o

    def __hash__(cls):
        return 5


class WithMeta(metaclass=Meta):
    def __init__(self, k):
        self.k = k


@program
def metaclass_all(x):
    return (
        x * WithMeta[3].k,
        len(WithMeta),
        list(WithMeta),
        "in" in WithMeta,
        WithMeta.added,
        WithMeta.dyn,
        WithMeta.mp,
        WithMeta + 1,
        type(WithMeta) is Meta,
        isinstance(WithMeta, Meta),
        WithMeta == WithMeta,
        {WithMeta: 1}[WithMeta],
    )


class IC(type):
    def __instancecheck__(cls, o):
        return hasattr(o, "quack")

    def __subclasscheck__(cls, c):
        return "quack" in c.__dict__


class Duck(metaclass=IC):
    pass


class Mallard:
    quack = 1


@program
def instancecheck(x):
    return isinstance(Mallard(), Duck), isinstance(3, Duck), issubclass(Mallard, Duck), x + 1


@program
def class_made_inside(x):
    class Local:
        k = 3

        def __init__(self, v):
            self.v = v

        def f(self):
            return self.v * self.k

    class Sub(Local):
        k = 4

        def f(self):
            return super().f() + 1

    return Sub(x).f(), Local(x).f()


@program
def namedtuple_made_inside(x):
    P = collections.namedtuple("P", "a b")
    p = P(x, 2)
    return p.a * p.b


class Ctx:
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append("in")
        return self

    def __exit__(self, t, v, tb):
        self.log.append(t.__name__ if t else "out")
        return t is ValueError


@program
def context_nested(x):
    log = []
    with Ctx(log) as a, Ctx(log):
        x = x + len(a.log)
        raise ValueError("q")
    with contextlib.suppress(KeyError):
        {}["a"]
    with contextlib.ExitStack() as st:
        st.enter_context(Ctx(log))
        st.callback(log.append, "cb")
    return x, log


class It:
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return self

    def __next__(self):
        if self.n <= 0:
            raise StopIteration
        self.n -= 1
        return self.n


class OldIt:
    def __getitem__(self, i):
        if i > 3:
            raise IndexError
        return i * 10


@program(args=lambda: (randn(3), It(3)))
def iterators(x, it):
    first = next(it)
    rest = list(it)
    return (
        x + first,
        rest,
        next(it, "end"),
        list(OldIt()),
        20 in OldIt(),
        list(zip(It(3), OldIt())),
        dict(enumerate(It(2))),
    )


class Slotted:
    __slots__ = ("a", "b", "__weakref__")

    def __init__(self, a):
        self.a = a


class SlotSub(Slotted):
    __slots__ = ("c",)


@program(args=lambda: (randn(3), SlotSub(randn(3))))
def slots_more(x, s):
    r = hasattr(s, "b")
    s.b = x + s.a
    s.c = 3
    del s.a
    try:
        s.zz = 1
    except AttributeError:
        r2 = True
    t = SlotSub(x)
    return r, s.b, hasattr(s, "a"), r2, t, hasattr(s, "__dict__")


@program
def getset_names(x):
    n = Node(x)
    for k, v in {"p": 1, "q": x + 1}.items():
        setattr(n, k, v)
    names = sorted(vars(n))
    delattr(n, "p")
    return n, names, getattr(n, "p", None), getattr(n, "q"), "q" in n.__dict__, n.__dict__.get("v")


@program
def dict_update_self(x):
    n = Node(x)
    n.__dict__.update(a=1, b=x * 2)
    n.__dict__["c"] = 3
    return n.a, n.b, n.c, len(n.__dict__)


@program
def method_objects(x):
    n = Vec(x)
    f = n.__add__
    g = Vec.__len__
    h = getattr(Vec, "__call__")
    return (
        f(1).d,
        g(n),
        h(n, 3),
        f.__self__ is n,
        f.__func__ is Vec.__add__,
        f.__name__,
        types.MethodType(lambda self, k: self.d + k, n)(5),
    )


@program
def copy_objects(x):
    n = Node([1, 2])
    m = copy.copy(n)
    m.v.append(3)
    k = copy.deepcopy({"a": [1, {2}], "b": (3,)})
    k["a"].append(5)
    return m, n.v, m is n, k, x + 1


@program
def deepcopy_tensors(x):
    d = {"x": x, "n": Node(x)}
    e = copy.deepcopy(d)
    e["x"].add_(1)
    return e["x"], d["x"], e["n"].v is e["x"], copy.copy(x)


@program
def operator_module(x):
    d = {"a": x, "b": [1, 2]}
    n = Node(x)
    return (
        operator.itemgetter("a")(d),
        operator.attrgetter("v")(n),
        operator.methodcaller("total")(n),
        operator.attrgetter("v", "next")(n),
        operator.itemgetter(1, 0)([1, 2]),
    )


class Money:
    def __init__(self, v):
        self.v = v

    __slots__ = ("v",)

    def __eq__(self, o):
        return self.v == o.v

    __hash__ = None


@program
def unhashable(x):
    try:
        {Money(1): 2}
    except TypeError as e:
        return x, str(e)


@program
def eq_in_list(x):
    l = [Money(1), Money(2), Money(3)]
    return (
        Money(2) in l,
        l.index(Money(3)),
        l.count(Money(1)),
        l == [Money(1), Money(2), Money(3)],
        x + 1,
        Money(1) != Money(2),
    )


class Tracked:
    def __init__(self, t):
        self.t = t

    @functools.cached_property
    def norm(self):
        return (self.t * self.t).sum().sqrt()

    @functools.lru_cache(maxsize=None)
    def k(self, n):
        return n * 2

    @functools.singledispatchmethod
    def do(self, a):
        return "any"

    @do.register
    def _(self, a: int):
        return "int"

    @do.register(list)
    def _(self, a):
        return "list"


@program
def partialmethods(x):
    class Q:
        def f(self, a, b):
            return a + b * 2

        g = functools.partialmethod(f, 1)
        h = functools.partialmethod(f, b=3)

    return Q().g(x), Q().h(x)
