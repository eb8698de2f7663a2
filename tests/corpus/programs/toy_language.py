"""Programs that use the language: control flow, functions, closures, generators, exceptions, matching, text."""

# ruff: noqa: F821, B018, B006, B007, B008, B023, B904, E731, F841, C408, UP031, UP032, SIM118
# mypy: ignore-errors

from __future__ import annotations

import collections
import contextlib
import operator

from registry import Expect
from toy import Toy, exp, on_toy

program = on_toy(__name__, expect=Expect.WHOLE)
SCALE = 3
TABLE = {"a": 1, "b": [1, 2]}
counter = 0


@program
def arithmetic(x, y):
    return (x + 2) * y - x / 2, -x, 3 - y, 2 * x


@program
def constant_arithmetic(x):
    a = 7 // 2 + 7 % 3 - 2**5 + (5 & 3 | 8) ^ 1
    b = ~a << 2 >> 1
    return x * a + b, a / 4, divmod(7, 2), -7 // 2, 10 % -3


@program
def chained_comparison(x):
    a = 3
    return x if 1 < a <= 3 < 5 else -x, 1 < a > 7


@program
def boolean_operators(x):
    a = 0 or [] or "z"
    b = 1 and "" and 5
    return x, a, b, not a, not b, (a and b) or 4


@program
def walrus(x):
    if (n := len(x.shape)) > 0:
        x = x * n
    return x, [m := 3, m + 1]


@program
def ternary_nested(x):
    k = 2
    return x * (1 if k == 1 else 2 if k == 2 else 3)


@program
def while_loop(x):
    n = 0
    while n < 5:
        n += 1
        if n == 2:
            continue
        if n == 4:
            break
        x = x + n
    else:
        x = x * 100
    return x, n


@program
def while_else(x):
    n = 3
    while n:
        n -= 1
    else:
        x = x * 10
    return x


@program
def for_else(x):
    for i in range(3):
        if i == 5:
            break
    else:
        x = x + 1
    for i in []:
        pass
    return x, i


@program
def nested_loops(x):
    for i in range(3):
        for j in range(i):
            if j == 1:
                break
            x = x + i * j + 1
    return x


@program
def unpacking(x, y):
    a, (b, c), *d = x, (y, 1), 2, 3
    (e,) = [d]
    *f, g = "abc"
    return a + b, c, d, e, f, g


@program
def star_calls(x, y):
    def f(a, b, *args, k=1, **kw):
        return a + b * k, args, kw

    return f(*[x, y], 3, *(4,), k=2, **{"z": 1}, **dict(w=2)), f(x, b=y)


@program
def defaults(x):
    def f(a, b=2, /, c=3, *, d=4):
        return a * b + c + d

    return f(x), f(x, 1), f(x, 1, 2, d=3), f(x, c=0)


@program
def mutable_default(x):
    def f(a, acc=[]):
        acc.append(a)
        return acc

    f(x)
    return f(x + 1)


@program
def closures(x):
    def outer(n):
        def inner(m):
            return x * n + m

        return inner

    return outer(2)(3), outer(3)(1)


@program
def nonlocal_write(x):
    n = 0

    def inc():
        nonlocal n, x
        n += 1
        x = x + n

    inc()
    inc()
    return x, n


@program
def late_binding(x):
    fs = [lambda: i for i in range(3)]
    gs = [lambda i=i: x * i for i in range(3)]
    return [f() for f in fs], [g() for g in gs]


@program
def returns_closure(x):
    n = 5

    def f(y):
        return y + n, x

    return f


@program
def recursive(x):
    def fact(n):
        return 1 if n < 2 else n * fact(n - 1)

    return x * fact(5)


@program
def mutual_recursion(x):
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    return x if even(10) else -x


@program
def deep_recursion(x):
    def down(v, n):
        return v if n == 0 else down(v + 1, n - 1)

    return down(x, 60)


@program
def lambdas(x):
    f = lambda a, *b, c=1, **d: (a * c, b, d)
    return f(x, 1, 2, c=3, e=4)


@program
def decorated(x):
    def twice(f):
        def wrapped(*a, **k):
            return f(*a, **k), f(*a, **k)

        return wrapped

    @twice
    def g(a, b=1):
        return a + b

    return g(x, b=2)


@program
def read_global(x):
    return x * SCALE, TABLE["b"]


@program
def write_global(x):
    global counter
    counter = 41
    counter += 1
    return x * counter


@program
def new_global(x):
    global _made_here
    _made_here = 5
    value = _made_here
    del _made_here
    return x * value


@program
def comprehensions(x, y):
    a = [v * i for i, v in enumerate([x, y]) if i]
    b = {k: v for k, v in [("p", x), ("q", y)]}
    c = {n % 3 for n in range(7)}
    d = [[i * j for j in range(3)] for i in range(2)]
    e = [i for row in d for i in row if i]
    return a, b, c, d, e


@program
def comprehension_scopes(x):
    i = 10
    a = [i for i in range(3)]
    b = [x * i for _ in range(2)]
    return a, b, i


@program
def generator_expression(x):
    return sum(x * i for i in range(3)), list(i * i for i in range(4)), any(i > 2 for i in range(5))


@program
def generator_function(x):
    def gen(n):
        for i in range(n):
            yield x * i

    return list(gen(3)), sum(gen(2), x)


@program
def generator_send(x):
    def gen():
        total = 0
        while True:
            got = yield total
            if got is None:
                return
            total = total + got

    g = gen()
    next(g)
    a = g.send(3)
    b = g.send(x)
    return a, b


@program
def generator_return_value(x):
    def inner():
        yield 1
        return x

    def outer():
        r = yield from inner()
        yield r + 1

    return list(outer())


@program
def yield_from_list(x):
    def gen():
        yield from [1, 2]
        yield from (x, x)
        yield from range(2)

    return list(gen())


@program
def generator_throw(x):
    def gen():
        try:
            yield 1
        except ValueError as e:
            yield x, str(e)
        finally:
            log.append("closed")

    log = []
    g = gen()
    next(g)
    r = g.throw(ValueError("boo"))
    return r, list(g), log


@program
def generator_close(x):
    log = []

    def gen():
        try:
            yield 1
            yield 2
        finally:
            log.append("finally")

    g = gen()
    next(g)
    g.close()
    return x, log, list(g)


@program
def generator_delegate_throw(x):
    log = []

    def inner():
        try:
            yield 1
        except KeyError:
            log.append("inner")
            yield x

    def outer():
        yield from inner()

    g = outer()
    next(g)
    return g.throw(KeyError), log


@program
def generator_pipeline(x):
    def count(n):
        i = 0
        while i < n:
            yield i
            i += 1

    def square(it):
        for v in it:
            yield v * v

    return sum([x * v for v in square(count(4))])


@program
def stop_iteration_value(x):
    def gen():
        yield 1
        return 7

    g = gen()
    next(g)
    try:
        next(g)
    except StopIteration as e:
        return x * e.value


@program
def generator_raises_stop(x):
    def gen():
        yield 1
        raise StopIteration

    try:
        list(gen())
    except RuntimeError as e:
        return x, str(e)


@program
def iter_with_sentinel(x):
    values = [3, 2, 1, 0]
    return x * sum(iter(values.pop, 3)), values


@program
def next_default(x):
    it = iter([1])
    return next(it), next(it, x), next(it, None)


@program
def try_except(x):
    try:
        x = x + {}["missing"]
    except KeyError as e:
        x = x + 1
        name = type(e).__name__, e.args
    return x, name


@program
def try_else_finally(x):
    log = []
    for n in range(3):
        try:
            if n == 1:
                raise ValueError(n)
            log.append(n)
        except (KeyError, ValueError) as e:
            log.append(str(e))
        else:
            log.append("else")
        finally:
            log.append("finally")
    return x, log


@program
def return_in_finally_order(x):
    log = []

    def f():
        try:
            return log.append("try")
        finally:
            log.append("finally")

    f()
    return x, log


@program
def nested_try(x):
    try:
        try:
            raise ValueError("inner")
        finally:
            x = x + 1
    except ValueError:
        x = x * 2
    return x


@program
def reraise(x):
    def f():
        try:
            raise KeyError("k")
        except KeyError:
            raise

    try:
        f()
    except KeyError as e:
        return x, e.args


@program
def raise_from(x):
    try:
        try:
            1 // 0
        except ZeroDivisionError as e:
            raise ValueError("outer") from e
    except ValueError as e:
        return x, type(e.__cause__).__name__, str(e.__cause__), e.__suppress_context__


@program
def exception_context(x):
    try:
        try:
            raise KeyError(1)
        except KeyError:
            raise ValueError(2)
    except ValueError as e:
        return x, type(e.__context__).__name__, e.__cause__


class Custom(Exception):
    def __init__(self, code, x):
        super().__init__(f"code {code}")
        self.code = code
        self.x = x


class Sub(Custom):
    pass


@program
def custom_exceptions(x):
    try:
        raise Sub(4, x)
    except Custom as e:
        return e.x * e.code, str(e), isinstance(e, Exception), e.args


@program
def exception_name_unbound(x):
    e = 1
    try:
        raise ValueError
    except ValueError as e:
        pass
    try:
        return e
    except UnboundLocalError:
        return x


@program
def exceptions_from_builtins(x):
    found = []
    for f in (
        lambda: [][0],
        lambda: int("q"),
        lambda: {}["k"],
        lambda: None.foo,
        lambda: 1 + "",
        lambda: len(5),
        lambda: (1)[0],
    ):
        try:
            f()
        except Exception as e:
            found.append((type(e).__name__, str(e)))
    return x, found


@program(expect=Expect.RAISES)
def escaping(x):
    x = x + 1
    raise Custom(3, 4)


@program(expect=Expect.RAISES)
def escaping_from_call(x):
    def f(n):
        return [1, 2][n]

    return x, f(2)


@program(expect=Expect.RAISES)
def failing_assert(x):
    assert len(x.shape) == 7, f"got {len(x.shape)}"
    return x


@program
def passing_assert(x):
    assert x.shape == (3,), "no"
    return x


@program(expect=Expect.RAISES)
def wrong_arguments(x):
    def f(a, b):
        return a

    return f(x)


@program
def with_class(x):
    class_log = []

    with Manager(class_log, "a") as a, Manager(class_log, "b"):
        x = x + a
    return x, class_log


class Manager:
    def __init__(self, log, name, swallow=False):
        self.log, self.name, self.swallow = log, name, swallow

    def __enter__(self):
        self.log.append("enter " + self.name)
        return 5

    def __exit__(self, kind, value, tb):
        self.log.append(("exit", self.name, kind.__name__ if kind else None, str(value)))
        return self.swallow


@program
def with_swallows(x):
    log = []
    with Manager(log, "m", True):
        raise ValueError("gone")
    return x, log


@program
def with_raises(x):
    log = []
    try:
        with Manager(log, "m"):
            raise ValueError("kept")
    except ValueError as e:
        log.append(str(e))
    return x, log


@program
def with_return_inside(x):
    log = []

    def f():
        with Manager(log, "m"):
            return x + 1

    return f(), log


@program
def with_break_inside(x):
    log = []
    for i in range(3):
        with Manager(log, str(i)):
            if i == 1:
                break
    return x * i, log


@contextlib.contextmanager
def managed(log, value):
    log.append("in")
    try:
        yield value
    except KeyError:
        log.append("caught")
    finally:
        log.append("out")


@program
def contextmanager_decorator(x):
    log = []
    with managed(log, x) as v:
        x = v * 2
    with managed(log, 1):
        raise KeyError
    return x, log


@program
def contextmanager_raises(x):
    log = []
    try:
        with managed(log, 1):
            raise ValueError("v")
    except ValueError as e:
        log.append(str(e))
    return x, log


@program
def suppress_and_null(x):
    with contextlib.suppress(KeyError, ValueError):
        raise ValueError
    with contextlib.nullcontext(x) as v:
        return v + 1


@program
def exit_stack(x):
    log = []
    with contextlib.ExitStack() as stack:
        stack.enter_context(Manager(log, "a"))
        stack.callback(log.append, "callback")
        x = x + 1
    return x, log


@program
def closing_object(x):
    class_log = Closable()
    with contextlib.closing(class_log) as c:
        x = x + 1
    return x, c.closed


class Closable:
    closed = False

    def close(self):
        self.closed = True


@program(args=lambda: (Toy([1.0]), {"kind": "pair", "v": [1, 2]}))
def match_mapping(x, cmd):
    match cmd:
        case {"kind": "pair", "v": [a, b], **rest}:
            return x * a + b, rest
        case _:
            return x


class Point:
    __match_args__ = ("px", "py")

    def __init__(self, px, py):
        self.px, self.py = px, py


@program(args=lambda: (Toy([1.0]), [Point(0, 2), Point(3, 3), 5, "s", (1, 2, 3), None, {"q": 1}, 2.5, True]))
def match_kinds(x, values):
    found = []
    for v in values:
        match v:
            case Point(0, y):
                found.append(("y", y))
            case Point(px=a, py=b) if a == b:
                found.append(("same", a))
            case True | False:
                found.append("bool")
            case int(n):
                found.append(n + 1)
            case str() as s:
                found.append(s * 2)
            case (first, *_, last):
                found.append((first, last))
            case None:
                found.append("none")
            case {"q": q}:
                found.append(q)
            case _:
                found.append("other")
    return x, found


@program
def del_things(x):
    a = [1, 2, 3, 4]
    del a[0], a[-1:]
    d = {"p": 1, "q": 2}
    del d["p"]
    b = 1
    del b
    try:
        b
    except UnboundLocalError:
        return x, a, d


@program
def f_strings(x):
    n, s, w = 3.14159, "hi", 8
    return x, f"{n:.2f}|{s!r:>{w}}|{n=}|{s:^6}|{len(s)}|{'ab'}|{{}}", f"{x.shape}", f"{None}{True}{1 + 1}"


@program
def formatting(x):
    return (
        x,
        "%s-%d-%5.1f" % ("a", 3, 2.55),
        "{0}{1}{0}{k!r}".format(1, [2], k="z"),
        "%(a)s" % {"a": 1},
        "{:>4}".format(7),
    )


@program
def string_methods(x):
    s = "Hello, World"
    return (
        x, s.lower(), s.split(", "), "-".join(["a", "b"]), s.replace("l", "L"), s[::-1], s.find("o"), s.startswith("He"),
        "a" in s, s.partition(","), s.encode(), s.count("l"), "x".isdigit(), "é".upper(), s.title(), s * 2, s[1:4],
        "".join(c for c in s if c.isupper()), ",".join(map(str, range(3))), "ab".zfill(5), s.rstrip("d"),
    )  # fmt: skip


@program
def bytes_methods(x):
    b = b"abc"
    return x, b + b"d", b[0], b[1:], list(b), b.decode(), b.hex(), bytes([1, 2])


@program
def slices(x):
    a = list(range(10))
    s = slice(1, 8, 2)
    return x, a[2:5], a[::-1], a[s], a[-3:], tuple(a)[1:3], s.indices(5), "abcdef"[s], a[:2] + a[8:]


@program
def slice_assignment(x):
    a = list(range(6))
    a[1:3] = [x, x, x]
    a[::2] = a[::2][::-1]
    del a[-2:]
    return a


@program
def augmented(x):
    a = [1]
    b = a
    a += [2]
    a *= 2
    t = (1,)
    u = t
    t += (2,)
    s = {1}
    r = s
    s |= {2}
    n = 5
    n -= 2
    n **= 2
    n //= 2
    d = {"k": 1}
    d["k"] += 4
    d |= {"z": x}
    return x, a, b, t, u, s, r, n, d


@program
def swap_and_rotate(x, y):
    x, y = y, x
    a, b, c = 1, 2, 3
    a, b, c = c, a, b
    return x - y, a, b, c


@program
def assignment_targets(x):
    a = [0, 0]
    d = {}
    a[0], d["k"], (p, q) = x, 1, (2, 3)
    i = j = k = [1]
    i.append(2)
    return a, d, p, q, j is k, k


@program
def bit_operations(x):
    return x, 6 & 3, 6 | 3, 6 ^ 3, ~6, 6 << 2, -9 >> 1, True & False, 1 << 40


@program
def identity_tests(x):
    a, b = [], []
    return x is x, a is b, a is not b, None is None, a is a, x is not None, type(x) is Toy, () == ()


@program
def membership(x):
    return (
        x,
        1 in [1, 2],
        "k" in {"k": 1},
        3 not in {1, 2},
        "ab" in "cabd",
        (1, 2) in [(1, 2)],
        None in [0, None],
        5 in range(3, 9, 2),
    )


@program
def imports_inside(x):
    import math
    import os.path as p
    from collections import Counter
    from collections import OrderedDict as OD
    from math import floor

    return x * math.floor(2.7) + floor(1.2), Counter("aab")["a"], list(OD(a=1)), p.basename("/a/b")


@program
def global_function_calls(x):
    return helper(helper(x), n=3)


def helper(x, n=2):
    return exp(x) * n


@program
def locals_call(x):
    a = 1
    found = locals()
    return x, sorted(found), found["a"]


@program
def conditional_on_shape(x):
    if x.shape[0] > 2 and len(x.shape) == 1:
        return x.relu()
    return x


@program(args=lambda: (Toy([1.0, 2.0]), 3, True, "mode", None, 2.5))
def constant_arguments(x, n, flag, mode, nothing, f):
    if flag and mode == "mode" and nothing is None:
        return x * n + f
    return x


@program(args=lambda: ([Toy([1.0]), Toy([2.0])], {"k": Toy([3.0])}, (Toy([4.0]), [Toy([5.0])])))
def nested_arguments(items, named, pair):
    total = pair[0] + pair[1][0] + named["k"]
    for i in items:
        total = total + i
    return total


@program
def same_object_twice(x):
    a = [x]
    return a, a, {"a": a}, (a,)


@program
def self_containing(x):
    a = [x]
    a.append(a)
    d = {"d": 1}
    d["self"] = d
    return a, d


@program
def argument_returned(x, y):
    z = x + y
    return x, z, y, z


@program
def no_array_result(x):
    return 5, "a", None, (1, [2, {"k": {3}}])


@program
def complex_numbers(x):
    z = 1 + 2j
    return x, z * z, z.real, z.conjugate(), abs(3 + 4j), complex(1, 2)


@program
def conversions(x):
    return (
        x, int("12"), int(3.9), float("2.5"), str(5), bool([]), list("ab"), tuple([1]), set([1, 1]), dict(a=1), dict([("b", 2)]),
        int("ff", 16), bool(0.0), str(None), repr("q"), float("inf"), int(True), list({"k": 1}), chr(65), ord("A"), hex(255),
    )  # fmt: skip


@program
def min_max_sorted(x):
    v = [3, 1, 2]
    return (
        x, min(v), max(v), min(v, key=lambda a: -a), max(4, 5), sorted(v), sorted(v, reverse=True), min([], default=9),
        sorted(["b", "A", "c"], key=str.lower), sorted([(1, "b"), (1, "a"), (0, "z")]), sorted({"y": 1, "x": 2}), max("ab", "b", key=len),
    )  # fmt: skip


@program
def builtin_iteration(x):
    return (
        x, list(zip([1, 2], "ab")), list(enumerate("ab", 1)), list(map(lambda a, b: a + b, [1, 2], [3, 4])), list(filter(None, [0, 1, 2])),
        list(reversed([1, 2])), all([]), any([0, 1]), sum([1, 2], 10), list(range(5, 0, -2)), round(2.567, 2), abs(-3), pow(2, 3, 5),
        list(reversed("abc")), dict(zip("ab", [1, 2])), [*map(str, [1])], list(filter(lambda a: a > 1, [1, 2])), divmod(-7, 3), round(2.5),
    )  # fmt: skip


@program
def zip_strict(x):
    try:
        list(zip([1, 2], [1], strict=True))
    except ValueError as e:
        return x, str(e)


@program
def iterator_shared(x):
    it = iter(range(6))
    pairs = list(zip(it, it))
    it2 = iter([1, 2, 3])
    first = next(it2)
    return x, pairs, first, list(it2), list(it2)


@program
def list_grows_while_iterating(x):
    a = [1]
    for v in a:
        if len(a) < 4:
            a.append(v + 1)
    return x, a


@program
def dict_changes_while_iterating(x):
    d = {"a": 1}
    try:
        for k in d:
            d["b"] = 2
    except RuntimeError as e:
        return x, str(e)


@program
def ellipsis_and_not_implemented(x):
    return x, ..., NotImplemented is NotImplemented


@program
def type_queries(x):
    return (
        x,
        int is int,
        type([]).__name__,
        isinstance(True, int),
        isinstance(1, (str, int)),
        issubclass(bool, int),
        callable(len),
        callable(1),
    )


@program
def unpack_error(x):
    try:
        a, b = [1, 2, 3]
    except ValueError as e:
        first = str(e)
    try:
        a, b = [1]
    except ValueError as e:
        return x, first, str(e)


@program
def nested_functions_share_cell(x):
    total = []

    def add(v):
        total.append(v)

    def get():
        return total

    add(x)
    add(1)
    return get(), add, get


@program
def function_attributes(x):
    def f():
        "doc"
        return f.calls

    f.calls = 3
    return f() * x, f.__name__, f.__doc__, f.__qualname__


@program
def keyword_only_error(x):
    def f(a, *, b):
        return a

    try:
        f(1, 2)
    except TypeError as e:
        first = str(e)
    try:
        f(1)
    except TypeError as e:
        return x, first, str(e)


@program
def argument_errors(x):
    def f(a, b, c=1, /, d=2):
        return a

    found = []
    for call in (
        lambda: f(),
        lambda: f(1),
        lambda: f(1, 2, 3, 4, 5),
        lambda: f(1, 2, a=3),
        lambda: f(1, 2, z=3),
        lambda: f(1, 2, 3, 4, d=4),
    ):
        try:
            call()
        except TypeError as e:
            found.append(str(e))
    return x, found


@program
def errors_of_sequences(x):
    found = []
    for make in (lambda: [1, 2], lambda: collections.deque([1, 2]), lambda: (1, 2)):
        items = make()
        calls = [
            lambda: items[5],
            lambda: items["k"],
            lambda: items.index(9),
            lambda: items.missing,
            lambda: {items: 1},
        ]
        if not isinstance(items, tuple):
            calls += [
                lambda: items.__setitem__(5, 1),
                lambda: items.__delitem__(5),
                lambda: operator.setitem(items, "k", 1),
                lambda: operator.delitem(items, "k"),
                lambda: items.remove(9),
            ]
        if isinstance(items, collections.deque):
            calls += [lambda: items[0:1], lambda: operator.setitem(items, slice(1), [3])]
            calls += [lambda: operator.delitem(items, slice(1)), lambda: items.clear() or items.pop()]
        for call in calls:
            try:
                found.append(call())
            except (IndexError, ValueError, TypeError, AttributeError) as e:
                found.append((type(e).__name__, str(e)))
    return x, found
