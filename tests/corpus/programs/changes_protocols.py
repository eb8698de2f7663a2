"""Programs over classes whose special methods and attribute hooks are C functions, are inherited from C types, do something
beside their answer, or answer with the wrong type; and settings that are members of enums.
"""

# ruff: noqa: B019, B023, E731, UP031, UP032, UP042
# mypy: ignore-errors

from __future__ import annotations

import abc
import collections
import copy
import enum
import functools
import itertools
import operator
import threading
import types
import weakref

import numpy as np
import torch
from changes_objects import X
from registry import Topic

program = Topic(__name__)

# ------------------------------------------------------------ attributes by C functions


@program.script
def attributes_that_are_items(c):
    class Config(dict):
        __getattr__ = dict.get
        __setattr__ = dict.__setitem__
        __delattr__ = dict.__delitem__

    @c
    def f(x, cfg):
        x = x * getattr(cfg, "scale", 1.0)
        x = x + cfg.bias if cfg.bias is not None else x
        cfg.calls = (cfg.calls or 0) + 1
        mine = Config(cfg, depth=2)
        mine.gain = 3.0
        del mine.depth
        return x * mine["gain"], hasattr(cfg, "depth"), "depth" in mine

    cfg = Config(scale=0.5)
    yield f(X, cfg), dict(cfg)
    cfg.bias = 10.0
    yield f(X, cfg), dict(cfg)
    cfg["scale"] = 2.0
    del cfg["bias"]
    yield f(X, cfg), dict(cfg)


@program.script
def attributes_that_must_be_items(c):
    class Config(dict):
        __getattr__ = dict.__getitem__

    class Ordered(collections.OrderedDict):
        __getattr__ = collections.OrderedDict.__getitem__

    class Only(dict):
        __getattribute__ = dict.__getitem__

    class Bound:
        __getattr__ = {"k": 2.0}.get

    @c
    def f(x, cfg):
        try:
            return x * cfg.scale
        except KeyError as error:
            return x, str(error)

    for cls in (Config, Ordered, Only):
        cfg = cls(scale=2.0)
        yield f(X, cfg)
        cls.__setitem__(cfg, "scale", 3.0)
        yield f(X, cfg)
        cls.__delitem__(cfg, "scale")
        yield f(X, cfg)
    g = c(lambda x, b: (x * b.k, b.missing, getattr(b, "z", 7)))
    yield g(X, Bound())


@program.script
def attributes_of_a_thread(c):
    local = threading.local()
    local.scale = 2.0
    f = c(lambda x: x * local.scale if hasattr(local, "scale") else x)
    yield f(X)
    local.scale = 3.0
    yield f(X)
    found = []

    def work():
        found.append(f(X))
        local.scale = 9.0
        found.append(f(X))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    yield found, f(X)

    class Counting(threading.local):
        depth = 2

        def __init__(self):
            self.n = 5

    counting = Counting()

    @c
    def g(x):
        counting.n += 1
        return x * counting.n * counting.depth

    yield g(X), g(X), counting.n


@program.script
def attributes_by_proxy(c):
    class Config:
        def __init__(self):
            self.scale, self.n = 2.0, 0

        def go(self, x):
            self.n += 1
            return x * self.scale

        def __len__(self):
            return 3

        def __call__(self, x):
            return x - 1

    config = Config()
    proxy = weakref.proxy(config)
    f = c(lambda x: proxy.go(x) + len(proxy))
    yield f(X), config.n
    config.scale = 4.0
    yield f(X), config.n
    g = c(lambda x, p: (x * p.scale if isinstance(p, Config) else x - 100, p(x) if p else x))
    yield g(X, proxy), g(X, config)
    config.scale = 5.0
    yield g(X, proxy)


@program.script
def attributes_of_namespaces(c):
    space = types.SimpleNamespace(scale=2.0, inner=types.SimpleNamespace(a=1))

    @c
    def f(x, n):
        x = x * n.scale + n.inner.a
        n.calls = getattr(n, "calls", 0) + 1
        return x + n.bias if hasattr(n, "bias") else x

    yield f(X, space)
    space.bias = 1.0
    yield f(X, space)
    space.inner.a = 7
    del space.bias
    yield f(X, space), space.calls
    g = c(lambda x, n: (x * 2 if n == types.SimpleNamespace(a=1) else x, {**vars(n)}))
    yield g(X, types.SimpleNamespace(a=1)), g(X, types.SimpleNamespace(a=2))


@program.script
def items_by_proxy(c):
    held = {"a": 2.0}
    proxy = types.MappingProxyType(held)
    f = c(lambda x: x * proxy["a"] if "a" in proxy else x * len(proxy))
    yield f(X)
    held["a"] = 3.0
    yield f(X)
    del held["a"]
    yield f(X)
    held.update(b=1, d=2)
    yield f(X)


@program.script
def records(c):
    rows = np.array([(1.0, 2)], dtype=[("a", "f8"), ("b", "i4")])
    record = np.rec.array([(1.0, 2)], dtype=[("a", "f8"), ("b", "i4")])
    f = c(lambda x, row: x * float(row["a"]))
    g = c(lambda x: x * float(record.a[0]) + int(record[0].b))
    yield f(X, rows[0]), g(X)
    rows["a"][0] = record.a[0] = 7.0
    yield f(X, rows[0]), g(X)


# ------------------------------------------------------------ hooks that do something


@program.script
def attributes_made_when_asked_for(c):
    class Growing(dict):
        def __getattr__(self, name):
            if name not in self:
                self[name] = Growing()
            return self[name]

    class Asked:
        def __init__(self):
            self.log = []

        def __getattr__(self, name):
            self.log.append(name)
            return 2.0

    @c
    def f(x, growing, asked):
        if not growing.model:
            growing.model["n"] = 1
        return x * asked.gain * len(growing.model)

    growing, asked = Growing(), Asked()
    yield f(X, growing, asked), list(growing), asked.log
    yield f(X, growing, asked), list(growing), list(growing.model), asked.log
    asked.gain = 5.0
    yield f(X, growing, asked), asked.log
    del asked.gain
    yield f(X, growing, asked), asked.log


@program.script
def every_access_is_seen(c):
    class Watched:
        log = []

        def __init__(self):
            self.gain = 2.0

        def __getattribute__(self, name):
            if not name.startswith("__"):
                Watched.log.append(name)
            return object.__getattribute__(self, name)

    watched = Watched()
    f, g = c(lambda x, w: x * w.gain), c(lambda x: x * watched.gain)
    Watched.log.clear()
    yield f(X, watched), f(X, watched), g(X), g(X), list(Watched.log)
    watched.gain = 3.0
    yield f(X, watched), g(X), list(Watched.log)


@program.script
def empty_slots_ask_the_class(c):
    class Slotted:
        __slots__ = ("a", "b")
        log = []

        def __getattr__(self, name):
            Slotted.log.append(name)
            return 5.0

    obj = Slotted()
    f = c(lambda x, o: x * o.a)
    yield f(X, obj), f(X, obj)
    obj.a = 2.0
    yield f(X, obj)
    del obj.a
    yield f(X, obj), Slotted.log


@program.script
def a_module_with_attributes_of_its_own(c):
    class Outer(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.extra = torch.nn.Linear(3, 3), {"gain": 2.0}

        def __getattr__(self, name):
            try:
                return super().__getattr__(name)
            except AttributeError:
                return self.extra[name] if name in self.extra else getattr(self.inner, name)

        def forward(self, x):
            return self.inner(x) * self.gain + self.weight.sum() * self.in_features

    module = Outer()
    f = c(module)
    with torch.no_grad():
        yield f(X)
        module.extra["gain"] = 3.0
        yield f(X)
        module.gain = 1.0
        yield f(X)
        module.inner.weight.add_(1)
        yield f(X)


@program.script
def a_python_module_with_attributes_of_its_own(c):
    module, log = types.ModuleType("settings"), []

    def asked(name):
        log.append(name)
        if name == "late":
            return 3.0
        raise AttributeError(name)

    module.__getattr__, module.early = asked, 2.0
    f = c(lambda x: x * module.early * module.late + hasattr(module, "more"))
    yield f(X), f(X), log
    module.late = 5.0
    yield f(X), log
    module.more = 1
    yield f(X), log


@program.script
def what_an_object_says_that_it_is(c):
    class Mock:
        @property
        def __class__(self):
            return dict

    f = c(lambda x, m: (x, isinstance(m, dict), isinstance(m, Mock), m.__class__ is dict, type(m) is Mock))
    yield f(X, Mock())

    class Meta(type):
        def __getattribute__(cls, name):
            return 5.0 if name == "magic" else super().__getattribute__(name)

    class Magic(metaclass=Meta):
        magic = 1.0

    yield c(lambda x: x * Magic.magic)(X)


@program.script
def a_dict_of_ones_own(c):
    class Hidden:
        asked = 0

        def __init__(self):
            object.__setattr__(self, "k", 2.0)

        @property
        def __dict__(self):
            Hidden.asked += 1
            return {"fake": 1}

    hidden = Hidden()
    f = c(lambda x, h: (x * h.k, vars(h)))
    yield f(X, hidden), f(X, hidden), Hidden.asked


# ------------------------------------------------------------ descriptors


@program.script
def properties_kept_after_the_first_time(c):
    class Kept(functools.cached_property): ...

    class Layer:
        made = 0

        def __init__(self, n):
            self.n = n

        @functools.cached_property
        def w(self):
            self.made += 1
            return self.n * 2.0

        @Kept
        def v(self):
            return self.n * 3.0

    f = c(lambda x, layer: x * layer.w + layer.w + layer.v)
    layer = Layer(1)
    yield f(X, layer), f(X, layer), vars(layer)
    layer.n = 5
    yield f(X, layer)
    del layer.w
    yield f(X, layer), layer.made
    layer.w = 100.0
    yield f(X, layer), f(X, Layer(3))


@program.script
def subclasses_of_descriptors(c):
    class Property(property): ...

    class Static(staticmethod): ...

    class Class(classmethod): ...

    class Layer:
        reads = 0
        _v = 1.0

        @Property
        def v(self):
            Layer.reads += 1
            return self._v

        @v.setter
        def v(self, value):
            self._v = value * 2

        abstract = abc.abstractproperty(lambda self: 3.0)
        plus = Static(lambda x: x + 2)
        named = Class(lambda cls, x: x + len(cls.__name__))

    @c
    def f(x, layer):
        y = x * layer.v
        layer.v = x.shape[0] * 1.0
        return y + layer.abstract, layer.plus(x), layer.named(x), Layer.plus(x), Layer.named(x)

    layer = Layer()
    yield f(X, layer), f(X, layer), layer._v, Layer.reads, list(vars(layer))


@program.script
def callables_of_a_class(c):
    class Layer(torch.nn.Module):
        act, second, count = torch.tanh, torch.nn.functional.gelu, len
        pick, item, negate = operator.attrgetter("w"), operator.itemgetter(0), operator.methodcaller("neg")
        bound = [4, 5, 6].index

        @functools.lru_cache(None)
        def cached(self, n):
            return n * 2

        def forward(self, x):
            x = self.act(x) + self.second() if False else self.act(x)
            return (
                self.negate(x) * self.pick(Weighted) * self.item([2.0]),
                self.count([1, 2]),
                self.cached(3),
                self.bound(5),
            )

    class Weighted:
        w = 3.0

    f = c(Layer())
    yield f(X)
    Weighted.w = 4.0
    yield f(X)

    class Method:
        def go(self, x):
            return x * 2

    class Holder:
        method = Method().go

    yield c(lambda x, h: h.method(x))(X, Holder())


@program.script
def methods_chosen_by_type(c):
    class Layer:
        @functools.singledispatchmethod
        def go(self, value, x):
            return x

        @go.register
        def _(self, value: int, x):
            return x + value

        @go.register
        def _(self, value: str, x):
            return x * len(value)

    f = c(lambda x, layer, v: layer.go(v, x))
    yield f(X, Layer(), 1), f(X, Layer(), "abc"), f(X, Layer(), 2.0)


# ------------------------------------------------------------ special methods by C functions


@program.script
def methods_under_other_names(c):
    class Items(list):
        __call__ = list.index
        __bool__ = list.__len__
        __contains__ = list.count

    class Table(dict):
        __call__ = dict.get
        __lt__ = dict.__contains__
        lookup = dict.get

    class Foreign:
        lookup = dict.get

    def of(thing, *args):
        try:
            return thing(*args)
        except TypeError as error:
            return str(error)

    f = c(lambda x, items: (x, of(bool, items), items(5), len(items), 5 in items, 9 in items))
    yield f(X, Items([4, 5])), f(X, Items([5]))
    g = c(lambda x, table: (x * table("k", 2.0), table < "k", table.lookup("k"), of(lambda: Foreign().lookup(1))))
    yield g(X, Table(k=3.0)), g(X, Table(j=4.0))


@program.script
def overrides_of_builtin_methods(c):
    class Items(list):
        def __eq__(self, other):
            return True

        def __contains__(self, item):
            return True

        def __iter__(self):
            return iter([7])

    class Text(str):
        def __repr__(self):
            return "shown"

        def __len__(self):
            return 99

    class Number(int):
        def __str__(self):
            return "number"

    class Formatted(float):
        def __format__(self, spec):
            return "F" + spec

    f = c(lambda x, v: (x, v == [1], v != [1, 2], v != [9], 5 in v, [i for i in v], len(v), v + [3], list(v)))
    yield f(X, Items([1, 2]))
    g = c(lambda x, s: (x, str(s) == "ab", f"{s}", f"{s!r}", len(s), f"{s!s:>4}", "%s %r" % (s, s), s + "a", s.upper()))
    yield g(X, Text("ab"))
    h = c(lambda x, i: (x * i, str(i), f"{i}", i + 1, -i, f"{i:03d}", "%d %s" % (i, i)))
    yield h(X, Number(4)), h(X, Number(5))
    k = c(lambda x, v: (x * v, f"{v}", f"{v:.2f}", v + 1, "%.1f" % v, str(v)))
    yield k(X, Formatted(2.5))


@program.script
def what_super_reaches(c):
    class Table(dict):
        def __getitem__(self, key):
            return super().__getitem__(key) * 2

        def __missing__(self, key):
            return 10.0

        def __setitem__(self, key, value):
            super().__setitem__(key, value + 1)

        def __contains__(self, key):
            return super().__contains__(key.lower())

    class Named:
        def __hash__(self):
            return super().__hash__()

        def __eq__(self, other):
            return super().__eq__(other)

        def __repr__(self):
            return "named"

        def __str__(self):
            return super().__str__() + "!"

        def __format__(self, spec):
            return super().__format__(spec) + "?"

    @c
    def f(x, table):
        table["n"] = 1.0
        return x * table["a"] * table["zz"], "A" in table, table.get("n"), len(table)

    table = Table(a=2.0)
    yield f(X, table), f(X, table), dict(table)
    named, known = Named(), {}
    g = c(lambda x, n: (x, n in known, str(n), f"{n}", n == n, n != n, n == 3))
    yield g(X, named)
    known[named] = 1
    yield g(X, named)


@program.script
def copies_are_filled_by_the_class(c):
    class Doubling(dict):
        def __setitem__(self, key, value):
            super().__setitem__(key, value * 2)

    class Appending(list):
        def append(self, item):
            super().append(item + 1)

    class Made(set):
        made = 0

        def __init__(self, *items):
            Made.made += 1
            super().__init__(*items)

    f = c(
        lambda x, *parts: (x, [sorted(copy.copy(p)) for p in parts], [copy.deepcopy(p) == p for p in parts], Made.made)
    )
    yield f(X, Doubling(a=1.0), Appending([1, 2]), Made([3])), dict(copy.copy(Doubling(a=1.0)))
    g = c(lambda x, d: x * copy.copy(d)["a"])
    yield g(X, Doubling(a=1.0)), g(X, Doubling(a=2.0))


@program.script
def what_c_keeps_of_an_exception(c):
    class Carrying(StopIteration):
        def __init__(self, value):
            super().__init__(value)
            self.extra = value

    @c
    def f(x):
        found = []
        for make in (
            lambda: StopIteration(5),
            lambda: Carrying(6),
            lambda: OSError(2, "no", "file"),
            lambda: ImportError("m", name="n"),
        ):
            try:
                raise make()
            except Exception as error:
                found.append(error)
        return x * 2, found

    _, (stop, carrying, system, imported) = f(X)
    yield stop.value, carrying.value, carrying.extra, carrying.args, system.errno, str(system), imported.name
    g = c(lambda x: (x, OSError(2, "no").errno))
    yield g(X)


@program.script
def iterators_of_c(c):
    numbers, counting = iter([1, 2, 3]), itertools.count(5)
    f = c(lambda x: x * next(numbers) + next(counting))
    yield f(X), f(X), next(numbers), next(counting)
    lock = threading.Lock()

    @c
    def g(x):
        with lock:
            return x * 2

    yield g(X), g(X), lock.locked()


# ------------------------------------------------------------ settings that are members of enums


class Act(str, enum.Enum):
    RELU = "relu"
    TANH = "tanh"


class Dim(enum.IntEnum):
    FIRST = 0
    LAST = 1


class Mode(str, enum.Enum):
    SUM = "sum"
    EQUATION = "ij,kj->ik"
    DEVICE = "cpu"
    APPROXIMATE = "tanh"


class Gain(float, enum.Enum):
    TWO = 2.0


class Rank(enum.Enum):
    LOW = 1
    HIGH = 2

    def __eq__(self, other):
        return isinstance(other, Rank)

    def __hash__(self):
        return 5

    def __bool__(self):
        return self.value > 1

    def __str__(self):
        return "rank " + self.name.lower()

    def __format__(self, spec):
        return "F" + spec


@program.script
def members_as_names(c):
    class Text(str): ...

    class Layer(torch.nn.Module):
        table = {Act.RELU: 2.0, "tanh": 3.0}

        def __init__(self):
            super().__init__()
            self.act, self.dim = Act.RELU, Dim.FIRST
            self.layers = torch.nn.ModuleDict({"relu": torch.nn.ReLU(), "tanh": torch.nn.Tanh()})

        def forward(self, x):
            y = getattr(torch, self.act)(x) * self.table[self.act] + self.layers[self.act](x)
            setattr(self, self.act, self.dim)
            kept = vars(self)[self.act], hasattr(self, self.act), operator.attrgetter(self.act)(self)
            return (
                y.sum(self.dim),
                operator.methodcaller(self.act)(x),
                kept,
                self.act + "!",
                self.act[1:],
                f"{self.dim:d}",
            )

    layer = Layer()
    f = c(layer)
    yield f(X)
    for act, dim in ((Act.TANH, Dim.FIRST), (Act.TANH, Dim.LAST), (Text("relu"), 0), ("tanh", -1)):
        layer.act, layer.dim = act, dim
        yield f(X), list(vars(layer))[-2:]


@program.script
def members_as_arguments(c):
    @c
    def f(x, d, g):
        y = x.transpose(d, -1), x[:, d], x[d], torch.zeros(d + 1, Dim.LAST), x.narrow(d, 0, 1), torch.tensor([d, 1])
        z = torch.full((2,), g), x.clamp(max=g), torch.nn.functional.leaky_relu(x, g), torch.add(x, x, alpha=g)
        s = (
            torch.einsum(Mode.EQUATION, x, x),
            x.to(Mode.DEVICE),
            torch.nn.functional.gelu(x, approximate=Mode.APPROXIMATE),
        )
        return y, z, s, torch.nn.functional.mse_loss(x, x * g, reduction=Mode.SUM), torch.cat([x, x], dim=d), x * d + g

    yield f(X, Dim.FIRST, Gain.TWO), f(X, Dim.LAST, Gain.TWO), f(X, 1, 2.0), f(X, Dim.LAST, 0.5)


@program.script
def members_in_branches(c):
    @c
    def f(x, setting):
        match setting:
            case Act.RELU:
                return x.relu()
            case "tanh":
                return x.tanh()
            case Dim.LAST:
                return x.sum(setting)
            case Dim():
                return x + setting
            case str():
                return x * len(setting)
        return x

    for setting in (Act.RELU, Act.TANH, Dim.LAST, Dim.FIRST, "abc", Rank.LOW):
        yield f(X, setting)
    g = c(lambda x, name: (x, Act(name).name) if name in [a.value for a in Act] else (x, [a is Act.TANH for a in Act]))
    yield g(X, "relu"), g(X, "none")


@program.script
def members_with_methods_of_their_own(c):
    f = c(
        lambda x, r: (
            x,
            r == Rank.HIGH,
            len({r, Rank.HIGH}),
            {Rank.LOW: 1}.get(r),
            bool(r),
            str(r),
            f"{r:z}",
            r in [Rank.LOW],
        )
    )
    yield f(X, Rank.LOW), f(X, Rank.HIGH)


@program.script
def members_as_keys(c):
    table = {Act.RELU: 2.0, "tanh": 3.0, Dim.LAST: 4.0, Rank: 6.0}
    f = c(lambda x, k: (x * table.get(k, 0.5), k in table))
    for key in (Act.RELU, "relu", Act.TANH, "tanh", Dim.LAST, 1, True, 1.0, Rank, Gain.TWO):
        yield f(X, key)
    del table[Act.RELU]
    table[Gain.TWO] = 7.0
    yield f(X, Act.RELU), f(X, 2), f(X, Gain.TWO)


@program.script
def deletions_by_a_descriptor(c):
    log = []

    class Logged:
        def __get__(self, owner, cls=None):
            return owner.__dict__["kept"]

        def __set__(self, owner, value):
            log.append("set")
            owner.__dict__["kept"] = value

        def __delete__(self, owner):
            log.append("delete")
            del owner.__dict__["kept"]
            owner.gone = True

    class Holder:
        kept = Logged()

        @property
        def size(self):
            return self.__dict__["size"]

        @size.setter
        def size(self, value):
            log.append(value)
            self.__dict__["size"] = value * 2

        @size.deleter
        def size(self):
            log.append("delete size")
            del self.__dict__["size"]

    @c
    def f(x, holder):
        holder.size = holder.kept + 1
        x = x * holder.size
        del holder.kept, holder.size
        return x, "size" in vars(holder)

    @c
    def g(holder):
        del holder.kept

    for value in (1.0, 2.0, 3.0):
        holder = Holder()
        holder.kept = value
        yield f(X, holder), dict(vars(holder)), list(log)
        holder.kept = value
        g(holder)
        yield dict(vars(holder)), list(log)


@program.script
def writes_past_getattribute(c):
    asked = []

    class Watched:
        def __getattribute__(self, name):
            asked.append(name)
            return object.__getattribute__(self, name)

        def __setattr__(self, name, value):
            object.__setattr__(self, name, value + 1)

        def __delattr__(self, name):
            asked.append("del")
            object.__delattr__(self, name)

    @c
    def f(x, watched):
        watched.size = x.shape[0]
        watched.gain = 2
        x = x * watched.size * watched.gain
        del watched.gain
        return x

    watched = Watched()
    for n in (1, 2, 3):
        yield f(X[:n], watched), list(asked), object.__getattribute__(watched, "__dict__")


# ------------------------------------------------------------ subclasses of builtins whose conversions say something else


@program.script
def numbers_that_convert_to_others(c):
    class Odd(int):
        def __int__(self):
            return 50

        def __index__(self):
            return 1

        def __pos__(self):
            return 60

    class Half(float):
        def __float__(self):
            return 50.0

    f = c(
        lambda x, i, h: (
            x * i + h, x[:, i], i + 1, int(i), float(i), float(h), h * 2, [4, 5, 6][i], list(range(i)), i == 2, hash(i),
            f"{i:03d} {h:.2f}", torch.arange(i), abs(i), i in [2], +i, x.reshape(-1)[i:].sum(),
        )
    )  # fmt: skip
    yield f(X, Odd(2), Half(0.5))
    yield f(X, Odd(1), Half(1.5))


@program.script
def texts_that_say_something_else(c):
    class Text(str):
        def __str__(self):
            return "said"

        def __len__(self):
            return 9

    f = c(
        lambda x, t: (
            x * len(t),
            str(t),
            " ".join([t, t]),
            t + "b",
            t.upper(),
            t == "ab",
            f"{t} {t!s}",
            {"ab": 1}.get(t),
        )
    )
    yield f(X, Text("ab"))
    yield f(X, Text("cd"))


@program.script
def dicts_that_iterate_over_something_else(c):
    class Shown(dict):
        def __iter__(self):
            return iter(["shown"])

        def keys(self):
            return ["a"]

        def __getitem__(self, key):
            return super().__getitem__(key) + 100

    class Keyed(dict):
        def keys(self):
            return ["a"]

    class Ordered(collections.OrderedDict):
        def keys(self):
            return ["a"]

    f = c(lambda x, d: (x * d["a"], dict(d), {**d}, {"z": 0} | dict(d), d.copy() == d, [*d], d.get("a")))
    g = c(lambda x, d: (x + 1, {"z": 0} | d, d | {"z": 0}, d.copy()))
    for cls in (Shown, Keyed, Ordered):
        yield f(X, cls(a=1, b=2))
        yield f(X, cls(a=2))
    for cls in (Shown, Keyed):
        yield g(X, cls(a=1, b=2)), g(X, cls(a=2))


@program.script
def comparisons_and_truth_of_classes(c):
    class Meta(type):
        tag = 1

        def __eq__(cls, other):
            return other == cls.tag or NotImplemented

        def __lt__(cls, other):
            return "less"

        def __bool__(cls):
            return cls.tag != 1

        def __str__(cls):
            return f"class {cls.tag}"

        __hash__ = type.__hash__

    class Sized(type):
        size = 0

        def __len__(cls):
            return cls.size

    class A(metaclass=Meta):
        pass

    class B(metaclass=Sized):
        pass

    class Plain:
        pass

    @c
    def f(x):
        if A:
            x = x + 1
        if B:
            x = x + 10
        if not Plain:
            x = x + 100
        return (
            x,
            A == 1,
            A != 1,
            2 == A,
            A < 1,
            A == A,
            A == B,
            A in [2],
            [2].count(A),
            str(A),
            Plain == Plain,
            Plain != B,
        )

    yield f(X)
    Meta.tag = 2
    yield f(X)
    Sized.size = 3
    yield f(X)
    Meta.__eq__ = lambda cls, other: "equal"
    yield f(X)


@program.script
def texts_of_subclasses_behind_a_percent_sign(c):
    class Text(str):
        def __str__(self):
            return "own text"

        def __repr__(self):
            return "<own>"

    class Number(int):
        def __str__(self):
            return "own number"

    text, number = Text("a"), Number(3)
    f = c(
        lambda x: (
            x + 1,
            "%s" % text,
            "%r" % text,
            "%9s|" % text,
            "%s %s" % (text, number),
            "%d" % number,
            "%s" % number,
        )
    )
    yield f(X)
    text, number = Text("b"), Number(4)
    yield f(X)


@program.script
def weakly_registered_objects_go_when_the_program_lets_go(c):
    class Node:
        def __init__(self, value):
            self.value = value

    alive, by_name = weakref.WeakSet(), weakref.WeakValueDictionary()
    nodes = [Node(1), Node(2)]
    for node in nodes:
        alive.add(node)
        by_name[f"n{node.value}"] = node
    del node

    @c
    def f(x):
        return x * sum(n.value for n in alive) + len(by_name), sorted(by_name.keys())

    yield f(X)
    nodes[0].value = 5
    yield f(X)
    nodes.pop()
    yield f(X)
    nodes.append(Node(9))
    alive.add(nodes[-1])
    by_name["new"] = nodes[-1]
    yield f(X)
    nodes.clear()
    yield f(X), len(alive)


@program.script
def generators_that_only_a_generator_held(c):
    log = []

    def source(x, n):
        try:
            for i in range(n):
                log.append(i)
                yield x * i
        finally:
            log.append("closed")

    def pairs(values):
        before = None
        for value in values:
            if before is not None:
                yield before + value
            before = value

    def firsts(values, n):
        for value in values:
            if not n:
                return
            yield value
            n -= 1

    @c
    def f(x, n):
        found = pairs(source(x, n))
        total = x * 0
        for k, value in enumerate(found):
            total = total + value
            if k == 1:
                break
        found.close()
        log.append("behind")
        return total + sum(firsts(source(x, n), 1)), len(log)

    for n in (2, 5, 0, 5):
        yield f(X, n), list(log)


@program.script
def a_bounded_cache_forgets_what_was_asked_longest_ago(c):
    calls = []

    @functools.lru_cache(maxsize=2)
    def mask(n, lower):
        calls.append((n, lower))
        return torch.tril(torch.ones(n, n)) if lower else torch.ones(n, n)

    f = c(lambda x, lower: x @ mask(x.shape[1], lower))
    for x, lower in ((X, True), (X, True), (X, 1), (X, False), (X[:, :2], True), (X, True), (X, False), (X, True)):
        yield f(x, lower), len(calls)
    mask.cache_clear()
    yield f(X, True), len(calls)


@program.script
def deep_copies_share_what_the_originals_share(c):
    class Holder:
        def __init__(self):
            self.tensor = torch.ones(3)
            self.items, self.me, self.kinds = [self.tensor], self, {1}
            self.again = self.kinds

    class Copying:
        def __init__(self, tensor):
            self.tensor = tensor

        def __deepcopy__(self, memo):
            made = memo[id(self)] = Copying(copy.deepcopy(self.tensor, memo))
            made.copies = len(memo) > 1
            return made

    holder = Holder()
    own = Copying(holder.tensor)

    @c
    def f(x):
        made = copy.deepcopy(holder)
        made.tensor.add_(1)
        pair = copy.deepcopy([own, own.tensor, own])
        same = made.items[0] is made.tensor, made.me is made, made.again is made.kinds
        return x + made.tensor, same, pair[0].tensor is pair[1], pair[0] is pair[2], pair[0].copies

    yield f(X)
    holder.tensor.mul_(3)
    yield f(X)
    holder.items.append(2)
    holder.tensor = torch.zeros(3)
    yield f(X)


@program.script
def methods_of_a_base_that_the_class_has_anew(c):
    ordered, missing = collections.OrderedDict(a=1, b=2), collections.defaultdict(list)
    ordered.move_to_end("a")

    @c
    def f(x, flag):
        views = dict.items(ordered), dict.keys(ordered), dict.values(ordered)
        shown = [type(v).__name__ for v in views], [*dict.__iter__(ordered)], list(ordered)
        return x + 1, shown, dict.items(ordered), dict.get(missing, "k"), int.__repr__(flag), object.__eq__(1.0, 1.0)

    yield f(X, True)
    ordered.move_to_end("b")
    yield f(X, False)
    ordered["c"] = 3
    yield f(X, True)


@program.script
def methods_in_c_that_are_replaced(c):
    class Config(dict):
        __getattr__ = dict.get
        __call__ = dict.get
        __getitem__ = dict.get
        __len__ = dict.__len__

    class Slots:
        __slots__ = ("a",)

    cfg, slots = Config(scale=2.0), Slots()
    slots.a = 5.0

    @c
    def f(x):
        return x * cfg.scale, cfg("scale"), cfg["other"], len(cfg), slots.a

    yield f(X)
    Config.__getattr__ = lambda self, name: len(name)
    yield f(X)
    Config.__call__ = dict.__contains__
    yield f(X)
    Config.__getitem__ = lambda self, key: key
    yield f(X)
    Config.__len__ = lambda self: 7
    yield f(X)
    member = Slots.__dict__["a"]
    Slots.a = property(lambda self: member.__get__(self) * 2)
    yield f(X)
    del Config.__getattr__, Config.__call__
    Config.scale, Config.__call__ = 3.0, lambda self, key: None
    yield f(X)


@program.script
def attributes_in_formats(c):
    @c
    def f(x, n, text):
        shown = "{0[0]}{1.__class__}{1.__doc__}".format([n], n), "{.__class__.__name__}".format(text)
        return x * len(text), shown, "{a.shape[0]:03d}".format(a=x)

    yield f(X, 1, "a")
    yield f(X, 2.5, "bc")
    yield f(X, (1,), "bc")


@program.script
def arguments_that_do_not_bind(c):
    @c
    def f(x, *, k):
        return x * k

    yield f(X, k=1)
    for args, kwargs in (((), {}), ((X,), {}), ((X, 1), {"k": 1}), ((X,), {"k": 1, "x": 2}), ((X,), {"z": 1})):
        try:
            f(*args, **kwargs)
        except TypeError as error:
            yield str(error)


@program.script
def weak_references_to_objects_of_the_call(c):
    class Held:
        pass

    def gone(x):
        held = Held()
        seen = weakref.ref(held)
        alive = seen() is held
        del held
        return x + 1, alive, seen() is None

    def rebound(x):
        held = Held()
        seen = weakref.ref(held)
        held = Held()
        return x + 1, seen() is None, held is not None

    def kept(x):
        held = Held()
        seen = weakref.ref(held)
        box = [held]
        del held
        return x + len(box), seen() is box[0]

    def array(x):
        y = x * 2
        seen = weakref.ref(y)
        y = None
        return x + 1, seen() is None

    for fn in (gone, rebound, kept, array):
        f = c(fn)
        yield f(X)
        yield f(X * 2)
