"""Graph breaks in every kind of place."""

# ruff: noqa
# mypy: ignore-errors

import contextlib
import functools

import torch
import torch.nn.functional as F
from torch_values import on_torch, randn

program = on_torch(__name__)
LOG = []


def note(*values):
    torch._dynamo.graph_break()
    LOG.append(len(values))
    return values[0] if values else None


def logged(fn):
    return program(fn, state=("LOG",))


@logged
def break_in_no_grad(x):
    with torch.no_grad():
        y = x * 2
        note()
        z = y + 1
    return z


@contextlib.contextmanager
def scaled(name):
    LOG.append(f"enter {name}")
    try:
        yield 3
    finally:
        LOG.append(f"exit {name}")


class Tracked:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        LOG.append(("in", self.name))
        return self

    def __exit__(self, kind, error, tb):
        LOG.append(("out", self.name, kind))
        return kind is KeyError


@logged
def break_in_user_context(x):
    with scaled("a") as k:
        y = x * k
        note()
        z = y + k
    return z


@logged
def break_in_class_context(x):
    with Tracked("t") as t:
        y = x * 2
        note()
        y = y + len(t.name)
    return y


@logged
def break_in_nested_contexts(x):
    with Tracked("a"), torch.no_grad(), scaled("b") as k:
        y = x * k
        note()
        with Tracked("c"):
            y = y + 1
            note()
            y = y * 2
        y = y - 1
    return y


@logged
def suppressed(x):
    with contextlib.suppress(KeyError):
        y = x * 2
        note()
        raise KeyError("gone")
    return y + 1


@logged
def context_swallows(x):
    y = x
    with Tracked("s"):
        y = x * 2
        note()
        raise KeyError("swallowed")
    return y + 1


@logged
def context_lets_pass(x):
    with Tracked("s"):
        note()
        raise ValueError("passes")


@logged
def exit_stack(x):
    with contextlib.ExitStack() as stack:
        stack.enter_context(Tracked("one"))
        y = x * 2
        note()
        stack.callback(LOG.append, "callback")
        y = y + 1
    return y


@logged
def break_in_try(x):
    try:
        y = x * 2
        note()
        y = y + 1
    except ValueError:
        y = x
    finally:
        LOG.append("finally")
    return y


@logged
def break_in_except(x):
    try:
        raise ValueError("bad")
    except ValueError as e:
        y = x * 2
        note()
        return y, str(e)


@logged
def break_in_finally(x):
    try:
        y = x * 2
    finally:
        note()
        z = x + 1
    return y + z


@logged
def raise_through_break(x):
    try:
        try:
            note()
            raise ValueError("inner")
        finally:
            y = x * 2
            note()
    except ValueError as e:
        return y, e.args
    return x


@logged
def reraise(x):
    try:
        note()
        raise ValueError("first")
    except ValueError as e:
        note()
        raise RuntimeError("second") from e


@logged
def break_in_for(x):
    for i in range(4):
        x = x * 2
        note(i)
        x = x + i
    return x


@logged
def break_in_while(x):
    i = 0
    while i < 4:
        x = x + i
        note()
        i += 1
    else:
        x = x * 2
    return x


@logged
def break_in_enumerate_zip(x):
    for i, (a, b) in enumerate(zip([1, 2, 3], (4, 5, 6))):
        x = x * a
        note()
        x = x + b + i
    return x


@logged
def break_in_dict_loop(x):
    d = {"a": 1, "b": 2}
    for k, v in d.items():
        x = x + v
        note(k)
        x = x * v
    return x


@logged
def break_with_continue_and_break(x):
    for i in range(10):
        if i == 2:
            continue
        note()
        if i == 5:
            break
        x = x + i
    return x


def numbers(x):
    for i in range(3):
        yield x * i


@logged
def break_in_generator_loop(x):
    out = []
    for y in numbers(x):
        note()
        out.append(y + 1)
    return out


def breaking_numbers(x):
    for i in range(3):
        note()
        yield x * i


@logged
def break_inside_generator(x):
    out = []
    for y in breaking_numbers(x):
        out.append(y + 1)
    return out


@logged
def break_in_comprehension(x):
    return [note(x * i) + 1 for i in range(3)]


@logged
def break_in_comprehensions_callee(x):
    def f(i):
        note()
        return x + i

    return torch.stack([f(i) for i in range(3)])


@logged
def break_in_generator_expression(x):
    return sum(note(x * i) for i in range(3))


@logged
def break_deep(x):
    def a(x):
        y = x + 1
        return b(y) * 2

    def b(x):
        y = x + 2
        z = c(y)
        return z * y

    def c(x):
        y = x * 3
        note()
        return y + 1

    return a(x) - 1


class Obj:
    def __init__(self, k):
        self.k = k
        self.calls = 0

    def method(self, x):
        self.calls += 1
        y = x * self.k
        note()
        return y + self.calls

    @property
    def prop(self):
        note()
        return self.k

    def __getitem__(self, i):
        note()
        return i * self.k

    def __add__(self, other):
        note()
        return other + self.k

    def __call__(self, x):
        note()
        return x * self.k


@logged
def break_in_method(x):
    o = Obj(3)
    y = o.method(x)
    return o.method(y) + o.calls


@logged
def break_in_property_and_dunders(x):
    o = Obj(3)
    return x * o.prop + o[2] + (o + x) + o(x)


@logged
def break_in_lambda(x):
    f = lambda t: note(t * 2) + 1
    return f(x) + f(x)


def doubling(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        note()
        out = fn(*args, **kwargs)
        note()
        return out * 2

    return wrapper


@doubling
def _decorated(x, k=3):
    return x * k


@logged
def break_in_decorator(x):
    return _decorated(x, k=4) + 1


@logged
def break_mid_expression(x):
    return (x + 1) * note(x) + (x - 1) / note(x + 2)


@logged
def break_in_arguments(x):
    def f(a, b, *c, d, **e):
        return a + b + sum(c) + d + e["z"]

    return f(x + 1, note(x), *[note(x * 2), 1], d=note(x - 1), z=x)


@logged
def break_in_fstring(x):
    y = x * 2
    s = f"{note(3)} and {note('a')!r:>5} {y.shape[0]}"
    return y + len(s), s


@logged
def break_in_subscript(x):
    d = {"a": x * 2}
    y = x[note(1)] + d[note("a")][0]
    d[note("b")] = y
    x[note(0)] = y
    return d


@logged
def break_in_containers(x):
    return [x, note(x + 1), (x, note(x * 2))], {"a": note(x), note("k"): x}, {*[1, note(2)]}


@logged
def break_in_unpacking(x):
    a, *b = note([x, x + 1, x + 2])
    (c, d), e = note((b, a))
    return c + d * e


@logged
def break_in_boolean(x):
    return (note(0) or note(x)) if note(1) and not note(0) else x


@logged
def break_in_condition(x):
    if note(x.shape[0]) > 2:
        x = x + 1
    while note(len(LOG)) < 3:
        x = x * 2
    return x


@logged
def break_in_chained_comparison(x):
    return x + 1 if 0 < note(3) < note(5) else x


@logged
def break_in_walrus(x):
    if (n := note(3)) > 2:
        return x * n
    return x


@logged
def break_in_assert(x):
    assert note(1), "message"
    return x + 1


@logged
def break_in_return_tuple(x):
    y = x * 2
    return y, note(y), y + 1


@logged
def break_in_augmented(x):
    y = x * 2
    y += note(x)
    d = {"n": 1}
    d["n"] += note(2)
    return y, d


@logged
def break_in_closure_with_nonlocal(x):
    n = 0

    def inc():
        nonlocal n
        n += 1
        note()
        n += 1
        return n

    y = x + inc()
    return y * n + inc(), n


@logged
def break_in_global(x):
    global COUNT
    COUNT += 1
    note()
    COUNT += 1
    return x + COUNT


COUNT = 0
program[-1] = program[-1].__class__(**{**vars(program[-1]), "state": ("LOG", "COUNT")})


class Breaking(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = torch.nn.Linear(4, 4)

    def forward(self, x):
        y = self.lin(x)
        torch._dynamo.graph_break()
        return y.relu()


@program.maker(args=lambda: (randn(3, 4),))
def break_in_sequential():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(4, 4), Breaking(), torch.nn.Tanh(), Breaking())


class Stack(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList([Breaking() for _ in range(4)])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x) + x
        return x


@program.maker
def break_in_module_list():
    torch.manual_seed(0)
    return Stack()


@program.maker(args=lambda: (randn(3, 4),))
def break_in_forward_hook():
    torch.manual_seed(0)
    m = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())

    def hook(module, args, out):
        torch._dynamo.graph_break()
        return out + 1

    m[0].register_forward_hook(hook)
    return m


@logged
def break_with_inplace(x):
    y = x.clone()
    v = y[1:]
    v.add_(1)
    note()
    v.mul_(2)
    x.add_(1)
    note()
    y[0] = 3
    return y, v, x


@logged
def break_with_pending_writes(x):
    out = []
    d = {}
    o = Obj(2)
    out.append(x + 1)
    d["a"] = out
    o.extra = x * 2
    note()
    out.append(o.extra)
    return out, d, o


@logged
def break_with_iterators(x):
    it = iter([1, 2, 3, 4])
    a = next(it)
    note()
    b = next(it)
    rest = list(it)
    z = zip(range(3), "abc")
    next(z)
    note()
    return x + a + b, rest, list(z)


@logged
def break_in_loop_over_tensor(x):
    total = 0
    for row in x:
        total = total + row
        note()
    return total


@logged
def two_loops(x):
    for i in range(3):
        for j in range(2):
            x = x + i * j
            note()
        x = x * 2
    return x


@logged
def break_then_exception_in_rest(x):
    note()
    y = x + 1
    return y[10]


@logged
def break_in_match(x):
    match note((1, 2)):
        case (a, b) if note(a) == 1:
            return x + a + b
        case _:
            return x


@logged
def break_in_star_call(x):
    args = (x, x + 1)
    kw = {"alpha": 2}
    return note(*args) + torch.add(*args, **kw)


@logged
def break_in_default(x):
    def f(a, b=note(2)):
        return a * b

    return f(x)


@logged
def break_in_class_body(x):
    class Local:
        k = note(3)

        def go(self, x):
            return x * self.k

    return Local().go(x)


@logged
def break_in_sorted_key(x):
    order = sorted([3, 1, 2], key=lambda i: note(-i))
    return x + order[0], order


@logged
def break_in_map(x):
    return list(map(lambda i: note(x + i), range(3)))


@logged
def break_in_reduce(x):
    return functools.reduce(lambda a, b: note(a + b), [x, x, x])


@logged
def break_in_partial(x):
    f = functools.partial(note, x * 2)
    return f() + 1


@logged
def break_in_del(x):
    y = x * 2
    z = y + 1
    del y
    note()
    try:
        return y
    except UnboundLocalError as e:
        return z, str(e)


@logged
def recursion(x):
    def go(x, n):
        if n == 0:
            note()
            return x
        return go(x + n, n - 1) * 2

    return go(x, 3)


@logged
def break_in_inplace_operator_of_list(x):
    out = [x]
    out += [note(x + 1)]
    out[note(0)] = x * 2
    return out
