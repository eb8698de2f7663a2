"""The functions that test_continuation.py cuts at every instruction, and the arguments they are called with."""

# They are meant to compile to many kinds of bytecode, not to be good style.
# ruff: noqa: B007, B018, B023, B026, UP030, UP032

from __future__ import annotations

from typing import Any

from registry import Topic

program = Topic(__name__)
trace: list[Any] = []


def log(value: Any) -> Any:
    trace.append(value)
    return value


class Guard:
    """A context manager that logs, and swallows ValueError if asked."""

    def __init__(self, name: str, swallow: bool = False) -> None:
        self.name, self.swallow = name, swallow

    def __enter__(self) -> Guard:
        log(("enter", self.name))
        return self

    def __exit__(self, kind: Any, value: Any, tb: Any) -> bool:
        log(("exit", self.name, kind))
        return self.swallow and kind is ValueError

    def method(self, *args: Any, **kwargs: Any) -> Any:
        return log((self.name, args, sorted(kwargs.items())))


class Truth:
    """Comparison gives an object whose truth is asked for separately."""

    def __init__(self, value: int) -> None:
        self.value = value

    def __lt__(self, other: int) -> Truth:
        log("lt")
        return Truth(self.value < other)

    def __bool__(self) -> bool:
        log(("bool", self.value))
        return bool(self.value)


class Raises:
    def __bool__(self) -> bool:
        raise ValueError("no truth value")


class Base:
    def greet(self, word: str) -> str:
        return f"base {word}"


class Derived(Base):
    def greet(self, word: str) -> str:
        here = super().greet(log(word))
        return here + "!"

    def greet_from_cell(self, word: str) -> Any:
        later = super()
        return [later.greet(word), (lambda: self is not None)()]

    def only_self_from_cell(self) -> Any:
        return super().greet("x"), (lambda: self is not None)()


@program.given((1, 2), (1, 2, 3, 4))
def straight(a, b, *rest, c=3, **more):
    t = a + b * c
    t -= len(rest)
    return t, rest, more, -t, +t, ~t, not t


@program.given((0,), (4,))
def loops(n):
    total = 0
    for i in range(n):
        if i == 1:
            continue
        for j in (i, i + 1):
            if j > 2:
                break
            total += log(j)
        else:
            total += 10
    while total > 5:
        total -= 4
        if total == 7:
            break
    else:
        total += 100
    return total


@program.given((1,))
def calls(a):
    g = Guard("g")
    x = g.method(a, 1, k=a, *[2], **{"z": 3})
    y = g.method(log(a), k=log(a + 1))
    z = max(a, log(4), key=lambda v: -v)
    return x, y, z, "{}".format(a), print, (log if a else max)(a), sorted([3, 1, 2], reverse=True)


@program.given((3,))
def nested_calls(a):
    return log(max(log(a), Guard("n").method(log(1), q=min(2, log(a)))[1][0], len([log(5)])))


@program.given((0,), (1,))
def withs(a):
    with Guard("one") as one, Guard("two", swallow=True) as two:
        log(one.name)
        if a:
            raise ValueError(two.name)
        log("body done")
    return "after"


@program.given((1,), (7,))
def with_return(a):
    with Guard("w"):
        for i in range(3):
            with Guard(i):
                if i == a:
                    return i
    return None


@program.given((0,), (1,), (-1,))
def tries(a):
    out = []
    try:
        out.append(10 // a)
        try:
            out.append([1][a])
        except (KeyError, TypeError):
            out.append("never")
        finally:
            log("inner finally")
    except ZeroDivisionError as e:
        out.append(str(e))
    except IndexError:
        out.append("index")
        raise
    else:
        out.append("else")
    finally:
        log("finally")
    return out


@program.given((["1", "x", "3"],))
def try_loop(values):
    good = []
    for v in values:
        try:
            good.append(int(v))
        except ValueError:
            continue
        finally:
            log(v)
    return good


@program.given((1,))
def raises_from(a):
    try:
        log(a)
        raise KeyError(a)
    except KeyError as e:
        raise RuntimeError("outer") from e


@program.given((2,))
def closures(a):
    count = 0
    later = None

    def add(k, *, scale=2):
        nonlocal count
        count += k * scale
        return a + count

    def look():
        return later

    add(1)
    later = add(2, scale=3)
    a += 1
    return add(a), look(), count, [add(i) for i in range(2)]


@program.given(([1, 2, 3],))
def comprehensions(xs):
    squares = [x * x for x in xs if x]
    table = {x: [y for y in range(x)] for x in xs}
    return squares, table, {x % 2 for x in xs}, sum(x for x in xs), [(x, y) for x in xs for y in xs if x < y]


@program.given(([1, 2], 5))
def comprehension_shadows(xs, x):
    before = x
    found = [x + before for x in xs]
    return found, x


@program.given(([1, 2], 5))
def comprehension_of_cell(xs, x):
    show = lambda: x  # noqa: E731
    found = [x + 1 for x in xs]
    return found, show(), [(lambda: x)() for x in xs], x


@program.given(([1, 2],), ([0],), ([],))
def walrus(xs):
    if (n := len(xs)) > 1 and (m := xs[0]):
        return n, m
    return n, [last := x for x in xs], last


@program.given((1, 2), (0, 5), (7, 2))
def booleans(a, b):
    c = a and b or not a
    d = a if a < b < 10 else b
    e = not (a < b)
    return c, d, e, a is None, b is not None, a in [b], a not in (1, 2), a == b, a != b


@program.given((0,), (5,), (2,))
def truths(a):
    t = Truth(a)
    if t < 3 and not (t < 1):
        log("in")
    while t < 2:
        t = Truth(t.value + 1)
    x = t or None
    return x is t, t.value if t < 9 else None


@program.given((1,))
def no_truth(a):
    try:
        if Raises() and a:
            return 1
    except ValueError as e:
        return str(e)


@program.given((None,), (1,), (1, 2))
def nones(a, b=None):
    if a is None:
        return 0
    if b is not None:
        return 1
    while a is not None:
        a = None
    return 2


@program.given((0,), (1,))
def deletes(a):
    b = [1, 2, 3]
    del b[0]
    x = a
    del a
    if x:
        a = 1
    g = Guard("d")
    g.extra = 5
    del g.extra
    return a, b, hasattr(g, "extra")


@program.given((0,), (1,))
def unbound(a):
    if a:
        x = 1
    log("before")
    return x


@program.given((0,), (1,))
def unbound_cell(a):
    def look():
        return x

    if a:
        x = 1
        del x
    x = look() if not a else 2
    return x


@program.given(([1, 2, 3, 4, 5],))
def slices(a):
    a[1:3] = [7, 8]
    a[0] = a[-1]
    del a[-1:]
    return a[1:], a[:2], a[::2], a[0]


@program.given(("é", 5))
def formats(a, w):
    return f"{a}{a!r}{a:>{w}}{a!s:<{w}}" + f"{a!a}" + "{0}".format(a)


@program.given(([1, 2, 3],), ([1],))
def unpacks(a):
    first, *middle, last = a
    (p, q), r = (first, last), middle
    return [*a, *r], {*a, p}, {**{"q": q}, "r": 1}, (lambda *v, **k: (v, k))(*a, **{"z": 2})


@program.given((1,))
def builds(a):
    return {"a": a, "b": {a, 1}, "c": (a, [a, 2]), a: 3, "d": slice(a, 2, 3)}


@program.given(([1, 2, 3],), ({"k": 1, "m": 2},), (Guard("g"),), ("s",), (1.5,))
def matches(v):
    match v:
        case [1, x, *rest]:
            return "sequence", x, rest
        case {"k": w, **others}:
            return "mapping", w, others
        case Guard(name="g" as n, swallow=s):
            return "class", n, s
        case str() | int():
            return "value", v
        case _:
            return "other"


@program.given((1,), (0,))
def globals_and_imports(a):
    global _made
    _made = a
    import math as m
    from os.path import join

    assert a, "a must be true"
    return m.floor(2.5), join("x", "y"), _made


@program.given((1,))
def many_locals(a):
    b = c = d = e = f = g = h = i = j = k = l = m = n = o = p = a  # noqa: F841
    q, r = p, o
    s, t = q + 1, r + 2
    u = lambda: s + t  # noqa: E731
    q, s = s, q
    return u(), q, s, t


@program.given((1,))
def sees_frame(a):
    b = a + 1
    c = lambda: b  # noqa: E731
    return sorted(locals()), eval("b + a"), c()


@program.given(("hi",))
def method_call(a):
    return Derived().greet(a), Derived().greet_from_cell(a)


@program.given((3,))
def decorated(a):
    class Inner(Base):
        value: int = a

        def get(self, plus: int = a) -> int:
            return self.value + plus

    return Inner().get(), Inner.value


@program.given((1,))
def exception_group(a):
    try:
        raise ExceptionGroup("g", [ValueError(a), KeyError(a)])
    except* ValueError as eg:
        log(len(eg.exceptions))
    except* KeyError:
        log("key")
    return a


@program.given((1,))
def dies(a):
    x = [a]
    y = {"k": x}
    return y["missing"]


@program.given(([5, 3, 2],))
def long_jumps(a):
    """Its loop is longer than a jump's one-byte argument can say."""
    t = 0
    for i in range(2):
        t += a[0] + a[1] * a[2] - a[0] // a[1] + a[2] % a[1] + a[0] * a[1] - a[2] + a[0] + a[1] * a[2] - a[0] // a[1]
        t += a[0] + a[1] * a[2] - a[0] // a[1] + a[2] % a[1] + a[0] * a[1] - a[2] + a[0] + a[1] * a[2] - a[0] // a[1]
        if t > 1000:
            break
        t += a[0] + a[1] * a[2] - a[0] // a[1] + a[2] % a[1] + a[0] * a[1] - a[2] + a[0] + a[1] * a[2] - a[0] // a[1]
    return t


# their first arguments are instances of the class, which is there now
program.given((Derived(), "hi"))(Derived.greet)
program.given((Derived(), "hi"))(Derived.greet_from_cell)
program.given((Derived(),))(Derived.only_self_from_cell)
