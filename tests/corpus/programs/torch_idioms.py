"""The language: generators, exceptions, context managers, names, matching, classes and text, as people write them."""

# ruff: noqa
# mypy: ignore-errors

import contextlib
import dataclasses
import enum
import functools
import typing
from dataclasses import KW_ONLY, dataclass, field

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)

LEVEL = 1
HISTORY = []


# ---------------------------------------------------------------- generators


@program
def generator_send_protocol(x):
    def averager():
        total, count = 0, 0
        average = None
        while True:
            value = yield average
            if value is None:
                return total, count
            total, count = total + value, count + 1
            average = total / count

    g = averager()
    next(g)
    a = [g.send(v) for v in (x, x + 1)]
    try:
        g.send(None)
    except StopIteration as stop:
        return a, stop.value


@program
def generator_throw_and_recover(x):
    log = []

    def worker():
        while True:
            try:
                got = yield len(log)
                log.append(got)
            except ValueError as e:
                log.append(str(e))
            except GeneratorExit:
                log.append("exit")
                raise

    w = worker()
    next(w)
    w.send("a")
    n = w.throw(ValueError("bad"))
    w.close()
    return x * n, log, list(w)


@program
def yield_from_with_result(x):
    def inner(t):
        got = yield t
        yield t * 2
        return got

    def outer(t):
        r = yield from inner(t)
        yield r
        r2 = yield from (i for i in range(2))
        yield r2

    g = outer(x)
    first = next(g)
    return first, g.send("sent"), list(g)


@program
def yield_from_throw(x):
    def inner():
        try:
            yield 1
        except KeyError:
            yield "inner"
        finally:
            yield "final"

    def outer():
        yield from inner()
        yield "outer"

    g = outer()
    next(g)
    return x, g.throw(KeyError("k")), list(g)


@program
def generator_expression_late_binding(x):
    n = 1
    g = (i * n for i in range(3))
    n = 10
    return x, list(g), n


@program
def generator_pipeline(x):
    def rows(t):
        for r in t:
            yield r

    def scaled(it, k):
        for r in it:
            yield r * k

    def pairs(it):
        it = iter(it)
        for a in it:
            try:
                yield a, next(it)
            except StopIteration:
                return

    return [a + b for a, b in pairs(scaled(rows(x.repeat(2, 1)), 2))]


@program
def generator_in_comprehension_condition(x):
    seen = set()
    return x, [v for v in [1, 2, 1, 3, 2] if not (v in seen or seen.add(v))]


@program
def generator_attributes(x):
    def g():
        yield x

    it = g()
    return it.__name__, next(it), next(it, "end"), iter(it) is it


@program
def close_ignored(x):
    def stubborn():
        while True:
            try:
                yield 1
            except GeneratorExit:
                pass

    g = stubborn()
    next(g)
    try:
        g.close()
    except RuntimeError as e:
        said = str(e)
        g2 = g
    try:
        raise ValueError("x")
    except ValueError:
        return x, said


# ---------------------------------------------------------------- exceptions


class AppError(Exception):
    code = 5

    def __init__(self, message, *, hint=None):
        super().__init__(message)
        self.hint = hint

    def __str__(self):
        return f"[{self.code}] {self.args[0]}"


class NotFound(AppError, KeyError):
    code = 7


@program
def exception_class_hierarchy(x):
    said = []
    for cls in (AppError, NotFound, KeyError, IndexError):
        try:
            raise cls("m", hint=1) if issubclass(cls, AppError) else cls("m")
        except NotFound as e:
            said.append(("notfound", str(e), e.hint, e.code))
        except AppError as e:
            said.append(("app", str(e), e.hint, e.code))
        except LookupError as e:
            said.append(("lookup", str(e), repr(e)))
    return x, said


@program
def exception_else_and_finally(x):
    log = []

    def attempt(n):
        try:
            log.append("try")
            if n == 0:
                raise ValueError(n)
            if n == 1:
                return "early"
        except ValueError:
            log.append("except")
            return "caught"
        else:
            log.append("else")
        finally:
            log.append("finally")
        return "end"

    return x, [attempt(i) for i in range(3)], log


@program
def exception_from_chain(x):
    try:
        try:
            {}["missing"]
        except KeyError as e:
            raise AppError("wrapped", hint=2) from e
    except AppError as outer:
        return (
            x,
            type(outer.__cause__),
            outer.__cause__.args,
            outer.__suppress_context__,
            outer.__context__ is outer.__cause__,
        )


@program
def exception_context_suppressed(x):
    try:
        try:
            1 / 0
        except ZeroDivisionError:
            raise AppError("hidden") from None
    except AppError as e:
        return x, e.__cause__, type(e.__context__), e.__suppress_context__


@program
def exception_escapes_with_chain(x):
    try:
        int("x")
    except ValueError as e:
        raise NotFound("deep", hint=3) from e


@program
def exception_escapes_from_finally(x):
    try:
        x = x + 1
        raise ValueError("first")
    finally:
        [][0]


@program
def exception_escapes_helper_frames(x):
    def level(n):
        if n == 0:
            raise AppError("bottom", hint=n)
        return level(n - 1) + 1

    return level(3)


@program
def exception_group_split(x):
    caught = []
    try:
        raise ExceptionGroup("many", [ValueError(1), TypeError(2), ExceptionGroup("in", [ValueError(3)])])
    except* ValueError as g:
        caught.append([len(g.exceptions), g.message])
    except* TypeError as g:
        caught.append(g.exceptions[0].args)
    return x, caught


@program
def exception_group_escapes(x):
    try:
        raise ExceptionGroup("many", [ValueError(1), TypeError(2)])
    except* ValueError:
        x = x + 1
    return x


@program
def bare_raise_in_helper(x):
    def again():
        raise

    try:
        try:
            raise KeyError("k")
        except KeyError:
            again()
    except KeyError as e:
        return x, e.args


@program
def raise_nothing_active(x):
    try:
        raise
    except RuntimeError as e:
        return x, str(e)


@program
def raise_instances_and_classes(x):
    said = []
    for thing in (ValueError, ValueError("v"), AppError("a")):
        try:
            raise thing
        except Exception as e:
            said.append((type(e).__name__, e.args))
    try:
        raise 3
    except TypeError as e:
        said.append(str(e))
    return x, said


@program
def loop_control_in_finally(x):
    log = []
    for i in range(4):
        try:
            if i == 1:
                continue
            if i == 3:
                break
            log.append(i)
        finally:
            log.append(("f", i))
    else:
        log.append("else")

    def swallow():
        for j in range(3):
            try:
                raise ValueError(j)
            finally:
                if j == 2:
                    break
                continue
        return j

    return x * swallow(), log


@program
def return_overridden_in_finally(x):
    def f():
        try:
            return 1
        finally:
            return 2

    def g():
        n = 1
        try:
            return n
        finally:
            n = 5

    return x + f() + g()


@program
def assertion_messages(x):
    said = []
    for v in (1, 0):
        try:
            assert v, f"v was {v}"
        except AssertionError as e:
            said.append(e.args)
    return x, said


@program
def exception_attributes(x):
    try:
        x.nothing
    except AttributeError as e:
        first = e.name
    try:
        undefined_name
    except NameError as e:
        second = e.name, str(e)
    try:
        next(iter([]))
    except StopIteration as e:
        third = e.value
    return x, first, second, third


@program
def exception_variable_is_unbound_after(x):
    e = 1
    try:
        raise ValueError
    except ValueError as e:
        pass
    try:
        e
    except UnboundLocalError as err:
        return x, type(err).__name__


@program
def errors_of_operations(x):
    said = []
    for f in (
        lambda: 1 / 0,
        lambda: [1][5],
        lambda: {}["k"],
        lambda: "a" + 1,
        lambda: int("q"),
        lambda: None.x,
        lambda: (1).y,
        lambda: len(3),
        lambda: [].pop(),
        lambda: {}.popitem(),
        lambda: "abc".index("z"),
        lambda: [1].index(2),
        lambda: (lambda a: a)(),
        lambda: max([]),
        lambda: next(iter([])),
        lambda: 3(),
        lambda: [1, 2] < 3,
        lambda: {[]: 1},
        lambda: float("x"),
        lambda: 2 ** "a",
        lambda: "%d" % "a",
        lambda: "{}".format(),
        lambda: chr(-1),
        lambda: b"a"[3],
        lambda: iter(5),
        lambda: sorted([1, "a"]),
        lambda: sum(["a"]),
        lambda: range(1.5),
        lambda: dict([(1, 2, 3)]),
        lambda: set([[]]),
        lambda: "a".join([1]),
        lambda: isinstance(1, 2),
        lambda: getattr(1, "zz"),
        lambda: int([]),
        lambda: abs("a"),
        lambda: -"a",
        lambda: [1] * "a",
        lambda: (1,) + [2],
        lambda: divmod(1, 0),
        lambda: round("a"),
        lambda: zip(1),
        lambda: enumerate(3),
    ):
        try:
            f()
            said.append("fine")
        except Exception as e:
            said.append((type(e).__name__, str(e)))
    return x, said


# ---------------------------------------------------------------- context managers


class Tracker:
    def __init__(self, log, swallow=()):
        self.log, self.swallow = log, swallow

    def __enter__(self):
        self.log.append("in")
        return self.log

    def __exit__(self, kind, value, tb):
        self.log.append((kind and kind.__name__, value and value.args, tb is not None))
        return bool(kind and issubclass(kind, self.swallow))


@program
def with_several_items(x):
    log = []
    with Tracker(log) as a, Tracker(log, ValueError), contextlib.suppress(KeyError):
        a.append("body")
        raise ValueError("v")
    with (
        Tracker(log) as b,
        contextlib.nullcontext(3) as three,
    ):
        b.append(three)
    return x, log


@program
def with_escaping(x):
    log = []
    with Tracker(log, ValueError):
        x = x + 1
        raise KeyError("escapes")


@program
def with_in_loop(x):
    log = []
    for i in range(3):
        with Tracker(log):
            if i == 1:
                continue
            if i == 2:
                break
            log.append(i)
    return x, log


@program
def enter_fails(x):
    class_log = []

    @contextlib.contextmanager
    def broken():
        class_log.append("enter")
        raise RuntimeError("no")
        yield

    try:
        with broken():
            class_log.append("never")
    except RuntimeError as e:
        return x, class_log, str(e)


@program
def contextmanager_catches_and_yields(x):
    @contextlib.contextmanager
    def scope(name, log):
        log.append(f"+{name}")
        try:
            yield name.upper()
        except ValueError as e:
            log.append(str(e))
        else:
            log.append("ok")
        finally:
            log.append(f"-{name}")

    log = []
    with scope("a", log) as n:
        log.append(n)
    with scope("b", log):
        raise ValueError("v")
    return x, log


@program
def exit_stack_many(x):
    log = []
    with contextlib.ExitStack() as stack:
        for i in range(3):
            stack.enter_context(Tracker(log))
        stack.callback(log.append, "called")
        stack.push(lambda *exc: log.append(exc[0]) or False)
        moved = stack.pop_all()
    log.append("left")
    moved.close()
    return x, log


class Resource:
    def __init__(self, log):
        self.log = log

    def close(self):
        self.log.append("closed")


@program
def closing_and_redirects(x):
    log = []
    with contextlib.closing(Resource(log)) as r:
        r.log.append("use")
    return x, log


class Timer(contextlib.ContextDecorator):
    def __init__(self, log):
        self.log = log

    def __enter__(self):
        self.log.append("start")
        return self

    def __exit__(self, *exc):
        self.log.append("stop")
        return False


@program
def context_decorator(x):
    log = []

    @Timer(log)
    def run(t):
        log.append("run")
        return t * 2

    return run(x), log


@program
def grad_modes_nested(x):
    seen = [torch.is_grad_enabled()]
    with torch.enable_grad():
        seen.append(torch.is_grad_enabled())
        with torch.no_grad():
            seen.append(torch.is_grad_enabled())
        seen.append(torch.is_grad_enabled())
    return x * 2, seen


# ---------------------------------------------------------------- names and scopes


@program
def nonlocal_through_levels(x):
    n = 0

    def outer():
        nonlocal n
        m = 10

        def inner():
            nonlocal n, m
            n += 1
            m += n
            return m

        return inner() + inner()

    return x * outer(), n


@program(state=("LEVEL", "HISTORY"))
def globals_read_and_written(x):
    global LEVEL
    LEVEL += 1
    HISTORY.append(LEVEL)
    globals()["LEVEL"]
    return x * LEVEL, len(HISTORY)


@program
def del_forms(x):
    a, b, c = [1, 2, 3, 4], {"k": 1, "l": 2}, x
    del a[0], b["k"]
    del a[-1:], c
    try:
        c
    except UnboundLocalError:
        return x, a, b


@program
def walrus_forms(x):
    if (n := x.shape[0]) > 2 and (m := n * 2) > 5:
        pass
    data = [y for v in range(5) if (y := v * v) > 3]
    while (n := n - 1) > 0:
        data.append(n)
    return x * m, data, y, n, (k := 3) + k


@program
def star_assignments(x):
    a, *b, c = range(5)
    *d, e = "xy"
    f, (g, *h), i = 1, (2, 3, 4), 5
    [j, k] = {"p": 1, "q": 2}
    for q, *r in [(1, 2, 3), (4,)]:
        b.append((q, r))
    first, *_ = x
    return first, a, b, c, d, e, f, g, h, i, j, k


@program
def chained_assignment_and_swap(x):
    a = b = []
    a.append(1)
    c, d = 1, 2
    c, d = d, c
    l = [0, 1, 2]
    i = 0
    i, l[i] = 2, 9
    return x, a is b, b, c, d, l, i


@program
def augmented_on_everything(x):
    class_like = type("O", (), {}) if False else {}
    d = {"n": 1, "l": [1], "s": {1}, "t": (1,), "z": "a"}
    d["n"] **= 3
    d["n"] //= 2
    d["l"] += (2, 3)
    d["s"] |= {4}
    d["t"] += (2,)
    d["z"] *= 3
    alias = d["l"]
    d["l"] *= 2
    return x, d, alias is d["l"]


@program
def closures_in_loops(x):
    late = [lambda: i for i in range(3)]
    early = [lambda i=i: i for i in range(3)]
    made = []
    for k in range(2):

        def f(t, *, k=k):
            return t * k

        made.append(f)
    return [f(x) for f in made], [f() for f in late], [f() for f in early]


@program
def lambda_forms(x):
    return (
        (lambda *a, k=2, **m: (len(a), k, sorted(m)))(1, 2, z=1),
        (lambda t: lambda u: u + t)(x)(1),
        (lambda: (yield)),
    )


@program
def star_args_everywhere(x):
    def f(a, b=2, /, c=3, *args, d, e=5, **kw):
        return a, b, c, args, d, e, sorted(kw.items())

    t, d = (1, 2), {"d": 4}
    return (
        x,
        f(*t, **d),
        f(1, d=0),
        f(*t, 3, *[4, 5], **d, z=1),
        f(*"ab", **{"d": 1, "a": 9}),
        [*t, *{"k": 1}],
        {**d, "d": 5},
        (*t,),
    )


@program
def locals_and_dir(x):
    a = 1
    b = [2]
    found = locals()
    return x, sorted(found), found["a"], found["b"] is b


@program
def imports_inside(x):
    import math as m
    from collections import OrderedDict as OD, deque
    import os.path

    return x * m.floor(2.5), OD(a=1), deque([1]), os.path.basename("a/b")


@program
def recursion_forms(x):
    def depth(tree):
        return 1 + max(map(depth, tree), default=0)

    def hanoi(n, a="a", b="b", c="c"):
        return 0 if n == 0 else hanoi(n - 1, a, c, b) + 1 + hanoi(n - 1, c, b, a)

    def flatten(t):
        return [v for u in t for v in (flatten(u) if isinstance(u, list) else [u])]

    return x * depth([[], [[]]]), hanoi(4), flatten([1, [2, [3, []]], 4])


@program
def annotated_inner_functions(x):
    def f(a: int, b: "str" = "s", *c: float, d: list[int] = None) -> torch.Tensor:
        v: int = a
        w: "undefined"
        return x * v

    return f(2), sorted(f.__annotations__)


async def _not_awaited(t):
    return t


@program
def async_function_defined(x):
    async def inner(t):
        return t + 1

    return x + 1, inner.__name__, callable(_not_awaited)


@program
def comprehensions_nested(x):
    m = [[i * j for j in range(3)] for i in range(2)]
    t = [list(r) for r in zip(*m)]
    d = {k: {v for v in range(k)} for k in range(3) if k}
    f = [(a, b) for a in range(3) for b in range(a) if (a + b) % 2]
    s = {len(w) for w in ("a", "bb", "cc")}
    return [row * len(r) for row, r in zip(x, t)], m, t, d, f, s, [[] for _ in range(2)], {**{i: i for i in range(2)}}


@program
def ternaries_and_chains(x):
    a, b, c = 1, 5, 3
    return (
        x if a < c < b != 4 else -x,
        a < b > c,
        a == 1 == True,
        1 < 3 in [3],
        not a < b,
        (a, b) < (1, 6),
        a if not a else b or c,
    )


@program
def loops_with_else(x):
    out = []
    for n in range(2, 8):
        for d in range(2, n):
            if n % d == 0:
                break
        else:
            out.append(n)
    i = 5
    while i:
        i -= 2
        if i < 0:
            break
    else:
        out.append("else")
    return x, out


@program
def slices_everywhere(x):
    l = list(range(8))
    l[2:4] = "ab"
    l[::3] = [0] * len(l[::3])
    s = slice(1, None, 2)
    return x[s], l, l[s], "abcdef"[-3:], (1, 2, 3)[::-1], x[..., 1:][:, ::2], s.indices(5), range(10)[2:8:3]


@program
def dict_merging(x):
    a, b = {"p": 1, "q": 2}, {"q": 3}
    c = a | b
    a |= {"r": x}
    d = {**a, **b, "z": 0}
    return a, c, d, list(d), a.keys() & b.keys(), a.keys() - b, b.items() <= c.items()


# ---------------------------------------------------------------- match


@dataclass
class Circle:
    r: float


class Rect:
    __match_args__ = ("w", "h")

    def __init__(self, w, h):
        self.w, self.h = w, h


class Shade(enum.Enum):
    LIGHT = 1
    DARK = 2


def _name_of(v):
    match v:
        case None | True | False:
            return "singleton"
        case int(n) if n > 100:
            return f"big {n}"
        case int() | float():
            return "number"
        case str() as s if s.startswith("x"):
            return f"x-word {s[1:]}"
        case "hello" | "bye":
            return "greeting"
        case Shade.DARK:
            return "dark"
        case Circle(r=r) if r > 1:
            return f"circle {r}"
        case Circle(r):
            return f"small {r}"
        case Rect(w, h=2):
            return f"rect {w}"
        case Rect(w=Circle(), h=_):
            return "odd"
        case []:
            return "empty"
        case [x]:
            return f"one {x}"
        case [1, [2, y], *_]:
            return f"nested {y}"
        case (a, *mid, b) if mid:
            return f"seq {a} {mid} {b}"
        case {"kind": "k", "n": int(n), **rest}:
            return f"map {n} {rest}"
        case {}:
            return "dict"
        case b"raw":
            return "bytes"
        case _:
            return "other"


@program
def match_all_patterns(x):
    values = [
        None, True, 500, 3, 2.5, "xyz", "bye", Shade.DARK, Shade.LIGHT, Circle(5), Circle(0), Rect(1, 2), Rect(Circle(1), 7), [], [9], [1, [2, 3], 4], (1, 2, 3), (1, 2),
        {"kind": "k", "n": 4, "z": 0}, {"kind": "q"}, b"raw", "other", {1}, range(3),
    ]  # fmt: skip
    return x, [_name_of(v) for v in values]


@program
def match_on_shape(x):
    match x.shape:
        case (a, b) if a > b:
            return x.t()
        case (a, b):
            return x * b
        case _:
            return x


# ---------------------------------------------------------------- classes, dataclasses, enums


@dataclass(frozen=True, order=True)
class Frozen:
    a: int
    b: str = "b"
    tags: tuple = field(default=(), compare=False, repr=False)


@dataclass
class Base:
    n: int
    log: list = field(default_factory=list)
    made: int = field(init=False)

    def __post_init__(self):
        self.made = self.n * 2


@dataclass
class Derived(Base):
    _: KW_ONLY
    extra: dict = field(default_factory=dict)
    limit: typing.ClassVar[int] = 9


@dataclass(slots=True)
class Slotted:
    t: object
    k: int = 1


@program
def dataclass_forms(x):
    d = Derived(3, extra={"q": 1})
    e = dataclasses.replace(d, n=5)
    s = Slotted(x)
    s.k += 1
    return (
        d,
        e,
        d.made,
        e.made,
        d == Derived(3, extra={"q": 1}),
        s.t * s.k,
        repr(Base(1)),
        dataclasses.is_dataclass(d),
        [f.name for f in dataclasses.fields(d)],
        Derived.limit,
    )


@program
def dataclass_frozen_forms(x):
    f = Frozen(1)
    try:
        f.a = 2
    except dataclasses.FrozenInstanceError as e:
        said = str(e)
    return (
        x,
        said,
        f < Frozen(2),
        hash(f) == hash(Frozen(1)),
        {f: 1}[Frozen(1)],
        sorted([Frozen(2), f])[0].a,
        repr(f),
        dataclasses.asdict(f),
        dataclasses.astuple(f),
    )


class Color(enum.Enum):
    RED = enum.auto()
    GREEN = enum.auto()
    ALIAS = 1

    @property
    def pretty(self):
        return self.name.title()

    @classmethod
    def parse(cls, s):
        return cls[s.upper()]


class Perm(enum.Flag):
    R = 4
    W = 2
    X = 1
    RW = R | W


class Size(enum.IntEnum):
    S = 1
    L = 3


class Mode(str, enum.Enum):
    TRAIN = "train"
    EVAL = "eval"


@program
def enum_forms(x):
    return (
        x * Size.L, Color.RED.pretty, Color.parse("green"), Color(2), Color.ALIAS is Color.RED, [c.name for c in Color], Color.RED == 1, Size.S < Size.L, Size.L + 1, Mode.TRAIN == "train",
        Mode("eval").value, Perm.RW & Perm.W, bool(Perm.RW & Perm.X), Perm.R in Perm.RW, (Perm.R | Perm.X).value, len(Color), Color.RED in Color, {Color.RED: 1}[Color.RED], repr(Color.RED), str(Size.S),
        f"{Mode.TRAIN.value}", isinstance(Size.S, int), list(Size), Color.__members__["RED"].value, Perm(6) is Perm.RW, ~Perm.R & Perm.W,
    )  # fmt: skip


@program
def enum_errors(x):
    said = []
    for f in (lambda: Color(9), lambda: Color["BLUE"], lambda: setattr(Color, "RED", 3)):
        try:
            f()
        except Exception as e:
            said.append((type(e).__name__, str(e)))
    return x, said


class Employee(typing.NamedTuple):
    name: str
    level: int = 1

    def title(self):
        return f"{self.name}-{self.level}"


@program
def typed_namedtuple_forms(x):
    e = Employee("ann")
    n, l = e._replace(level=4)
    return x * l, e.title(), e, e == ("ann", 1), Employee._field_defaults, isinstance(e, tuple), e + (1,), e.index(1)


class Celsius:
    scale = 1

    def __init__(self, v):
        self._v = v

    @property
    def v(self):
        return self._v

    @v.setter
    def v(self, new):
        if new < -273:
            raise ValueError("too cold")
        self._v = new

    @v.deleter
    def v(self):
        self._v = None

    @staticmethod
    def zero():
        return Celsius(0)

    @classmethod
    def make(cls, v):
        return cls(v * cls.scale)

    def __eq__(self, o):
        return isinstance(o, Celsius) and self._v == o._v

    def __hash__(self):
        return hash(self._v)

    def __lt__(self, o):
        return self._v < o._v

    def __add__(self, o):
        return type(self)(self._v + (o._v if isinstance(o, Celsius) else o))

    __radd__ = __add__

    def __iadd__(self, o):
        self._v += o
        return self

    def __neg__(self):
        return type(self)(-self._v)

    def __bool__(self):
        return self._v != 0

    def __int__(self):
        return int(self._v)

    def __index__(self):
        return int(self._v)

    def __float__(self):
        return float(self._v)

    def __repr__(self):
        return f"{type(self).__name__}({self._v})"

    def __format__(self, spec):
        return f"<{self._v:{spec or 'd'}}>"

    def __call__(self, t):
        return t * self._v

    def __len__(self):
        return 3

    def __getitem__(self, i):
        if isinstance(i, slice):
            return "slice"
        if i >= 3:
            raise IndexError(i)
        return self._v + i

    def __contains__(self, i):
        return i == self._v

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        return True

    def __abs__(self):
        return abs(self._v)

    def __matmul__(self, o):
        return "matmul"

    def __divmod__(self, o):
        return divmod(self._v, o)

    def __pow__(self, o):
        return self._v**o

    def __round__(self, n=None):
        return "round"

    def __reversed__(self):
        return iter("rev")

    def __getattr__(self, name):
        if name.startswith("dyn_"):
            return name[4:]
        raise AttributeError(name)


class Kelvin(Celsius):
    scale = 2

    def __init__(self, v):
        super().__init__(v)
        self.kind = "k"


@program
def dunder_methods_all(x):
    a, b = Celsius(3), Kelvin.make(2)
    a.v = 5
    alias = a
    a += 1
    with a:
        raise ValueError
    c = sum([a, b])
    said = None
    try:
        a.v = -300
    except ValueError as e:
        said = str(e)
    return (
        a(x), a is alias, b.kind, b.v, a == Celsius(6), a != b, sorted([a, b])[0].v, max(a, b).v, (a + b).v, (1 + a).v, (-a).v, bool(Celsius.zero()), int(a), float(a), [1, 2, 3, 4, 5, 6, 7][a], repr(b),
        f"{a} {a:04d}", len(a), list(a), a[1], a[1:], 6 in a, abs(-a), a @ a, divmod(a, 4), a**2, round(a), list(reversed(a)), a.dyn_name, hasattr(a, "zzz"), {a: 1}[Celsius(6)], said, type(c).__name__, str(b), hex(a),
    )  # fmt: skip


@program
def class_defined_inside(x):
    class Local:
        factor = 3

        def __init__(self, t):
            self.t = t

        def scaled(self):
            return self.t * self.factor

    return Local(x).scaled(), Local.factor, Local.__name__


@program
def class_inside_with_closure(x):
    k = 2

    class Acc(list):
        def add(self, v):
            self.append(v * k)
            return self

    return x + sum(Acc().add(1).add(2))


@program
def dataclass_inside(x):
    @dataclass
    class Local:
        a: int
        b: list = field(default_factory=list)

    p = Local(2)
    p.b.append(1)
    return x * p.a, p.b, repr(p)


@program
def namespace_class_inside(x):
    class Config:
        width = 4
        depth = width * 2

    return x * Config.depth


class Plugin:
    registry = {}

    def __init_subclass__(cls, /, tag=None, **kw):
        super().__init_subclass__(**kw)
        cls.tag = tag


class PluginA(Plugin, tag="a"):
    pass


class Meta(type):
    def __getitem__(cls, k):
        return f"{cls.__name__}[{k}]"

    @property
    def size(cls):
        return 4


class WithMeta(metaclass=Meta):
    __slots__ = ("p", "q")

    def __init__(self):
        self.p = 1

    @functools.cached_property
    def never(self):
        return 1


@program
def class_machinery(x):
    w = WithMeta()
    try:
        w.q
    except AttributeError as e:
        said = str(e)
    return (
        x,
        PluginA.tag,
        WithMeta["k"],
        WithMeta.size,
        said,
        isinstance(PluginA(), Plugin),
        PluginA.__mro__[1].__name__,
        getattr(w, "p"),
        w.__class__ is WithMeta,
        vars(PluginA()).get("z", 5),
    )


class A:
    def who(self):
        return ["A"]


class B(A):
    def who(self):
        return ["B", *super().who()]


class C(A):
    def who(self):
        return ["C", *super().who()]


class D(B, C):
    def who(self):
        return ["D", *super().who()]

    def __init__(self):
        self.__private = 3

    def private(self):
        return self.__private


@program
def diamond_and_mangling(x):
    d = D()
    d.__dict__["dyn"] = 4
    return (
        x * d.dyn,
        d.who(),
        d.private(),
        sorted(vars(d)),
        A.who(d),
        super(B, d).who(),
        [c.__name__ for c in D.__mro__],
    )


class Finalized:
    def __init__(self, log):
        self.log = log

    def __del__(self):
        self.log.append("gone")


@program(args=lambda: (randn(2), []))
def object_with_finalizer(x, log):
    f = Finalized(log)
    log.append("made")
    del f
    log.append("after")
    return x + 1
