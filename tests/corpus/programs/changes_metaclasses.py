"""Programs over classes whose metaclass has a say: in calls, attributes, operators, `isinstance`; and what it notes when asked.
Classes whose bases are replaced.
"""

# mypy: ignore-errors
# ruff: noqa: UP031

from __future__ import annotations

import abc
import functools

import torch
from changes_objects import X
from registry import Topic

program = Topic(__name__)


@program.script
def metaclasses_that_answer_to_any_name(c):
    class Answers(type):
        def __call__(cls, *args):
            cls.made += 1
            return super().__call__(*args)

        def __getattr__(cls, name):
            cls.asked.append(name)
            return 5

    class Thing(metaclass=Answers):
        made = 0
        asked = []  # noqa: RUF012

        def __init__(self, scale=1):
            self.scale = scale

    @c
    def f(x):
        thing = Thing(2)
        found = [isinstance(x, Thing), isinstance(thing, Thing), issubclass(Thing, int)]
        match thing:
            case Thing(scale=s):
                found.append(s)
        return x * thing.scale + Thing.made + Thing.anything, found, getattr(Thing, "other", 3), hasattr(Thing, "more")

    yield f(X), Thing.made, Thing.asked
    yield f(X), Thing.made, Thing.asked
    Thing.made, Thing.anything = 10, 2
    yield f(X), Thing.made, Thing.asked


@program.script
def metaclasses_that_see_every_look(c):
    log = []

    class Watched(type):
        def __getattribute__(cls, name):
            log.append(name)
            return super().__getattribute__(name)

    class Thing(metaclass=Watched):
        scale = 3

        def __init__(self, by=1):
            self.by = by

        def times(self, v):
            return v * self.by

    held = Thing(4)

    @c
    def f(x):
        return x * Thing(2).by, held.times(x), Thing.scale * x, type(held) is Thing, isinstance(held, Thing)

    yield f(X), list(log)
    Thing.scale = 5
    yield f(X), list(log)


@program.script
def properties_of_a_metaclass(c):
    class Meta(type):
        @property
        def count(cls):
            cls.n += 1
            return cls.n

        @count.setter
        def count(cls, value):
            cls.n = value * 10

        def helper(cls, v):
            return v + cls.n

    class Thing(metaclass=Meta):
        n = 0

    class Other(Thing):
        pass

    @c
    def f(x):
        first = x * Thing.count, Thing.helper(x), Other.helper(1), Other.count
        Other.count = 2
        Thing.count = 3
        return first, Thing.n, Other.n

    yield f(X), Thing.n, Other.n
    Thing.n = 7
    yield f(X), Thing.n, Other.n


@program.script
def data_descriptors_of_a_metaclass_go_first(c):
    class Doubled:
        def __get__(self, cls, meta):
            return cls.raw * 2

        def __set__(self, cls, value):
            cls.raw = value + 1

    class Meta(type):
        scale = Doubled()

        @property
        def kind(cls):
            return "meta's"

    class Thing(metaclass=Meta):
        raw = 1
        kind = "class's"

    @c
    def f(x, new):
        before = Thing.scale
        Thing.scale = new
        return x * before + Thing.scale, Thing.kind, Thing().kind

    yield f(X, 3), Thing.raw
    yield f(X, 5), Thing.raw


@program.script
def checks_of_a_metaclass(c):
    log = []

    class Checks(type):
        def __instancecheck__(cls, obj):
            log.append("instance")
            return isinstance(obj, int)

        def __subclasscheck__(cls, sub):
            log.append("subclass")
            return sub is float

    class Number(metaclass=Checks):
        pass

    number = Number()

    @c
    def f(x):
        asked = isinstance(3, Number), isinstance(x, Number), issubclass(float, Number), issubclass(int, (str, Number))
        return x + 1, asked, isinstance(number, Number), isinstance(Number(), (str, Number)), len(log)

    yield f(X), list(log)
    yield f(X), list(log)
    Checks.__subclasscheck__ = lambda cls, sub: True
    yield f(X), list(log)


@program.script
def classes_registered_between_calls(c):
    class Shape(abc.ABC):  # noqa: B024
        pass

    class Square:
        pass

    f = c(lambda x: (x * 2 if issubclass(Square, Shape) else x, isinstance(Square(), (int, Shape))))
    yield f(X)
    Shape.register(Square)
    yield f(X)


@program.script
def one_instance_for_all_calls(c):
    class Single(type):
        instances = {}  # noqa: RUF012

        def __call__(cls, *args, **kwargs):
            if cls not in cls.instances:
                cls.instances[cls] = super().__call__(*args, **kwargs)
            return cls.instances[cls]

    class Settings(metaclass=Single):
        def __init__(self, scale):
            self.scale = scale
            self.uses = 0

    @c
    def f(x, scale):
        settings = Settings(scale)
        settings.uses += 1
        return x * settings.scale, settings.uses, Settings(9) is settings

    yield f(X, 2), f(X, 3)
    Single.instances.clear()
    yield f(X, 3), Settings(0).uses


@program.script
def bases_replaced(c):
    class Base:
        def f(self, v):
            return v + 1

    class Between(Base):
        def f(self, v):
            return v * 5

        def __bool__(self):
            return False

    class Thing(Base):
        def f(self, v):
            return super().f(v) * 2

    thing = Thing()

    @c
    def f(x):
        return thing.f(x), isinstance(thing, Between), 1 if thing else 2, hasattr(thing, "__bool__")

    yield f(X)
    Thing.__bases__ = (Between,)
    yield f(X)
    Thing.__bases__ = (Base,)
    yield f(X)


@program.script
def names_that_classes_may_lack(c):
    class Plain:
        pass

    class Abstract(abc.ABC):
        @abc.abstractmethod
        def f(self): ...

    class Typed:
        a: int = 1

    class Derived(Typed):
        pass

    @c
    def f(x):
        asked = getattr(Plain, "__annotations__", 0), Typed.__annotations__, hasattr(int, "__annotations__")
        lacks = hasattr(Plain, "__abstractmethods__"), Abstract.__abstractmethods__
        return x + 1, asked, lacks, Derived.__annotations__

    yield f(X)
    yield f(X)
    Typed.__annotations__["b"] = str
    yield f(X)


@program.script
def functions_dispatched_on_the_type(c):
    @functools.singledispatch
    def twice(v):
        return v * 2

    @twice.register
    def _(v: int):
        return v + 100

    f = c(lambda x, n: (twice(x), twice(n), twice(2.5)))
    yield f(X, 2)
    twice.register(float, lambda v: v - 1)
    yield f(X, 3)
    twice.register(torch.Tensor, lambda v: v * 5)
    yield f(X, 3)


@program.script
def metaclasses_that_write_their_classes(c):
    class Written(type):
        def __format__(cls, spec):
            return f"{cls.__name__}:{spec}"

        def __repr__(cls):
            cls.asked += 1
            return cls.text

    class Thing(metaclass=Written):
        asked, text = 0, "a thing"

    @c
    def f(x):
        try:
            texts = [f"{Thing}", f"{Thing:>3}", format(Thing), "%s" % Thing, f"{Thing}", str(Thing), repr([Thing])]
        except TypeError as error:
            texts = [str(error)]
        return x + len(texts), texts

    yield f(X), Thing.asked
    Thing.text = "another"
    yield f(X), Thing.asked
    Thing.text = 3
    yield f(X), Thing.asked
    Thing.text, Written.__format__ = "none", lambda cls, spec: spec.join("ab")
    yield f(X), Thing.asked
    Written.__format__ = lambda cls, spec: NotImplemented
    yield f(X), Thing.asked
    del Written.__format__
    yield f(X), Thing.asked
