"""Arguments that are of another kind at each call: what a compiled version relies on must be guarded."""

# ruff: noqa
# mypy: ignore-errors

import collections
import dataclasses
import functools

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)


def cycle(*makers):
    """Arguments that go through the makers, and through them again."""
    return lambda call: makers[call % len(makers)]()


def varying(*makers, **more):
    return program(args=cycle(*makers), calls=2 * len(makers), **more)


def pick(x, *cases):
    return [(lambda c=c: (randn(*x), c() if callable(c) else c)) for c in cases]


@varying(*pick((3,), 1, 2.0, True, None, "s", (1, 2), [1], {"a": 1}, torch.float32, 1 + 2j))
def type_of_argument(x, a):
    return x + 1, type(a).__name__, a is None, isinstance(a, int)


@varying(*pick((3,), 0, 1, 2, -1, 100, 0.0, -0.0, 1.0, True, False))
def number_argument(x, n):
    return x * n, n, -n, str(n), n == 1, bool(n)


@varying(*pick((3,), float("nan"), float("inf"), float("-inf"), 0.5))
def odd_floats(x, f):
    return x + f, f != f, f > 0


@varying(*pick((3,), lambda: [], lambda: [1], lambda: [1, 2], lambda: [2.0, 1], lambda: [True, False]))
def list_argument(x, items):
    total = x
    for i in items:
        total = total + i
    return total, len(items), items[::-1], bool(items)


@varying(*pick((3,), lambda: [], lambda: [1], lambda: [1, 2, 3]))
def list_appended_unseen(x, items):
    items.append(x)
    items += [1, 2]
    return x + 1


@varying(*pick((3,), lambda: {"a": 1}, lambda: {"a": 1, "z": 9}, lambda: {"z": 1, "a": 1}, lambda: {"a": 2, "b": [1]}))
def dict_one_key_read(x, d):
    return x * d["a"]


@varying(*pick((3,), lambda: {"a": 1}, lambda: {"a": 1, "z": 9}, lambda: {"z": 1, "a": 1}, lambda: {"a": 1, "b": [1]}))
def dict_moved_key(x, d):
    d["a"] = d.pop("a")
    return x


@varying(*pick((3,), lambda: {"a": 1}, lambda: {"a": 1, "z": 9}, lambda: {"z": 1, "a": 1}, lambda: {"q": 5}))
def dict_written_key(x, d):
    d["n"] = x
    d["a"] = 0
    return x


@varying(*pick((3,), lambda: {"a": 1, "b": 2}, lambda: {"a": 1, "z": 9}, lambda: {"z": 1, "a": 1}, lambda: {"q": 5}))
def dict_deleted_key(x, d):
    d.pop("b", None)
    d.pop("a", None)
    return x + 1


@varying(*pick((3,), lambda: {}, lambda: {"a": 1}, lambda: {"b": 1}, lambda: {"a": 1, "b": 2}))
def dict_get_and_in(x, d):
    return x, d.get("a"), "b" in d, d.get("c", "none"), not d


@varying(
    *pick((3,), lambda: {}, lambda: {"a": 1}, lambda: {"b": 1}, lambda: {"a": 1, "b": 2}, lambda: {"b": 2, "a": 1})
)
def dict_iterated(x, d):
    return x, [*d], [*d.values()], len(d)


@varying(*pick((3,), lambda: {}, lambda: {"a": 1}, lambda: {"b": 1}))
def dict_cleared(x, d):
    d.clear()
    d["x"] = x
    return x


@varying(*pick((3,), lambda: {}, lambda: {"a": 1}, lambda: {"b": 1}))
def dict_setdefault(x, d):
    d.setdefault("a", []) if not isinstance(d.get("a"), int) else None
    return x, d.setdefault("b", 7)


@varying(*pick((3,), lambda: {1, 2}, lambda: {3}, lambda: set(), lambda: {"a", 1}))
def set_argument(x, s):
    s.add(5)
    return x * len(s), 1 in s


@varying(
    lambda: (torch.zeros(3), torch.ones(3)),
    lambda: (lambda t: (t, t))(randn(3)),
    lambda: (torch.zeros(2), torch.ones(2)),
)
def same_tensors_or_not(a, b):
    a.add_(1)
    return a is b, b * 2


@varying(lambda: ([1], [1]), lambda: (lambda t: (t, t))([1]), lambda: ([2], [3]))
def same_lists_or_not(a, b):
    a.append(torch.ones(2))
    return a is b, len(b)


@varying(lambda: ([1], [1]), lambda: (lambda t: (t, t))([1]), lambda: ([2], [3]))
def same_lists_only_compared(a, b):
    return torch.ones(2), a is b


@varying(lambda: (randn(3), randn(3)), lambda: (lambda t: (t, t))(randn(3)))
def same_tensors_only_compared(a, b):
    return a + b, a is b, [a, b]


@varying(lambda: ({"k": 1}, {"k": 1}), lambda: (lambda t: (t, t))({"k": 1}))
def same_dicts_or_not(a, b):
    a["k"] = torch.ones(2)
    return b["k"]


class Thing:
    kind = "thing"

    def __init__(self, a=1, **more):
        self.a = a
        self.__dict__.update(more)

    def f(self, x):
        return x + 1


class Other(Thing):
    kind = "other"

    def f(self, x):
        return x + 2


def _with_f():
    t = Thing()
    t.f = lambda x: x * 50
    return t


@varying(*pick((3,), Thing, Other, lambda: Thing(2), lambda: Thing(a=3, kind="own"), lambda: Thing(b=4), _with_f))
def object_argument(x, t):
    return t.f(x) * t.a, t.kind, hasattr(t, "b"), getattr(t, "b", None)


@varying(lambda: (Thing([1]), Thing([1])), lambda: (lambda t: (t, t))(Thing([1])))
def same_objects_or_not(p, q):
    p.a.append(2)
    p.b = torch.ones(2)
    return q.a, hasattr(q, "b"), p is q


@varying(lambda: (lambda s: (Thing(s), Thing(s)))([1]), lambda: (Thing([1]), Thing([1])))
def shared_part(p, q):
    p.a.append(torch.ones(2))
    return len(q.a), p.a is q.a


@varying(
    *pick(
        (3,),
        lambda: torch.relu,
        lambda: torch.sin,
        lambda: lambda t: t * 2,
        lambda: lambda t: t * 3,
        lambda: Thing().f,
        lambda: functools.partial(torch.add, 1),
        lambda: abs,
    )
)
def callable_argument(x, f):
    return f(x)


@varying(
    *pick(
        (3,),
        lambda: (lambda k: lambda t: t * k)(2),
        lambda: (lambda k: lambda t: t * k)(3),
        lambda: (lambda k: lambda t: t * k)(torch.ones(3) * 7),
    )
)
def closures_of_one_code(x, f):
    return f(x)


@varying(*pick((3,), lambda: lambda t, k=2: t * k, lambda: lambda t, k=3: t * k))
def defaults_differ(x, f):
    return f(x)


def _made(k):
    def g(t, by=k):
        return t * by

    return g


@varying(*pick((3,), lambda: _made(2), lambda: _made(3), lambda: _made(2.5)))
def defaults_of_one_code_differ(x, f):
    return f(x)


@varying(*pick((3,), int, float, torch.Tensor, list, Thing, dict))
def class_argument(x, cls):
    return x + 1, cls.__name__, isinstance(x, cls), cls is list


@varying(
    lambda: (randn(3),),
    lambda: (randn(3, 4),),
    lambda: (randn(4, 3).T,),
    lambda: (randn(3, 4).double(),),
    lambda: (torch.arange(12).reshape(3, 4),),
    lambda: (randn(3, 1).expand(3, 4),),
    lambda: (randn(6, 4)[::2],),
    lambda: (torch.zeros(0, 4),),
    lambda: (torch.tensor(2.5),),
)
def tensor_layouts(x):
    y = x * 2
    return y, y.shape, y.stride(), y.dtype, x.is_contiguous(), y.dim()


@varying(
    lambda: (randn(3, 4), randn(3, 4)),
    lambda: (randn(3, 4), randn(4)),
    lambda: (randn(3, 1), randn(4)),
    lambda: (randn(3, 4), torch.tensor(2)),
    lambda: (randn(3, 4), torch.tensor(2.0, dtype=torch.float64)),
    lambda: (torch.ones(3, 4, dtype=torch.int64), randn(4)),
)
def broadcasting(a, b):
    return a + b, a * b, torch.maximum(a.float(), b.float())


@varying(*[lambda n=n: (randn(n, 3), n) for n in (2, 3, 4, 5, 1, 0)])
def sizes(x, n):
    return x.sum(0) / max(n, 1), x.shape[0] == n, x.new_zeros(x.shape[0]), [i for i in range(x.shape[0])]


@varying(*[lambda n=n: (randn(n),) for n in (2, 5, 7, 3, 9)])
def branch_on_size(x):
    if x.shape[0] > 4:
        return x * 2, "big"
    return x + 1, "small"


@varying(*[lambda n=n: (randn(2, n), n) for n in (4, 6, 8, 10)])
def size_arithmetic(x, n):
    half = x.shape[1] // 2
    a, b = x[:, :half], x[:, half:]
    return a * b, x.view(-1, 2), half % 2, x.numel() - n, f"{x.shape[1]}"


@varying(lambda: (3,), lambda: (4,), lambda: (5,), lambda: (6,))
def int_only(n):
    return torch.arange(n) * n, torch.full((2, n), n)


@varying(*pick((3,), "relu", "sin", "neg", "relu"))
def dispatch_by_name(x, name):
    return getattr(torch, name)(x)


@varying(
    lambda: (randn(3),),
    lambda: (randn(3), 1),
    lambda: (randn(3), 1, 2),
    lambda: (randn(3), randn(3)),
)
def optional_arguments(x, a=None, *rest):
    if a is None:
        return x
    return x + a + sum(rest), len(rest)


@dataclasses.dataclass
class Config:
    scale: float = 1.0
    bias: torch.Tensor = None


@varying(*pick((3,), Config, lambda: Config(2.0), lambda: Config(2.0, torch.ones(3)), lambda: Config(3)))
def dataclass_argument(x, c):
    y = x * c.scale
    return y if c.bias is None else y + c.bias


@varying(
    *pick(
        (3,),
        lambda: collections.OrderedDict(a=1, b=2),
        lambda: collections.OrderedDict(b=2, a=1),
        lambda: {"a": 1, "b": 2},
        lambda: collections.Counter("aab"),
    )
)
def kinds_of_dicts(x, d):
    d["a"] += 1
    return x * d["a"], list(d), type(d).__name__


@varying(*pick((3,), (1, 2), (1, 2, 3), ((1,), 2), (), ("a", None)))
def tuples(x, t):
    return x + len(t), t[1:], t == (1, 2)


@varying(*pick((3,), lambda: [1, [2, [3]]], lambda: [1, [2, [4]]], lambda: [1, [2, []]]))
def nested_lists(x, t):
    t[1][1].append(x)
    return t[1][0]


@varying(*pick((3,), lambda: iter([1, 2]), lambda: iter([5]), lambda: iter((1, 2)), lambda: iter([])))
def iterators(x, it):
    return [x * i for i in it]


@varying(*pick((3,), slice(0, 1), slice(1, None), slice(None, None, 2), 0, -1, None, ..., (0,)))
def index_argument(x, i):
    return x[i] * 2


@varying(*pick((3,), torch.float32, torch.float64, torch.int32, torch.bool))
def dtype_argument(x, d):
    return x.to(d), torch.zeros(2, dtype=d), d.is_floating_point, d


class Switch:
    flag = False
    factor = 2


@program.maker(args=lambda: (randn(3),), calls=6)
def class_attribute_changes():
    class S:
        factor = 1

    def f(x):
        S.factor = S.factor + 1
        return x * S.factor

    return f


GLOBAL_LIST = [1]
GLOBAL_FN = torch.sin
GLOBAL_NUMBER = 0


@program(args=lambda: (randn(3),), calls=5, state=("GLOBAL_NUMBER", "GLOBAL_LIST", "GLOBAL_FN"))
def globals_change(x):
    global GLOBAL_NUMBER, GLOBAL_FN, GLOBAL_LIST
    y = GLOBAL_FN(x) * len(GLOBAL_LIST) + GLOBAL_NUMBER
    GLOBAL_NUMBER += 1
    GLOBAL_LIST = GLOBAL_LIST + [GLOBAL_NUMBER]
    GLOBAL_FN = torch.cos if GLOBAL_NUMBER % 2 else torch.sin
    return y


@program.maker(args=lambda: (randn(3),), calls=5)
def closure_cell_changes():
    k = 1

    def f(x):
        return x * k

    def run(x):
        nonlocal k
        k = k + 1 if k < 3 else [1.5, 2][k % 2]
        return f(x)

    return run


@program.maker(args=lambda: (randn(3),), calls=4)
def method_replaced():
    t = Thing()

    def run(x):
        y = t.f(x)
        t.f = (lambda x: x * 10) if t.a % 2 else (lambda x: x * 20)
        t.a += 1
        return y

    return run


@program(args=lambda call: (randn(3), {k: call for k in "abc"[: call + 1]}), calls=3)
def keyword_dict(x, d):
    return helper(x, **d)


def helper(x, a=0, **kw):
    return x + a + len(kw), sorted(kw)


@program(args=lambda call: (randn(3), [randn(3) for _ in range(call + 1)]), calls=4)
def list_of_tensors(x, ts):
    return torch.stack([x, *ts]).sum(0), len(ts)


@program.maker(args=lambda call: (randn(2, 4),), calls=4)
def module_mode_flips():
    m = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.BatchNorm1d(4))

    def run(x):
        m.train(not m.training)
        return m(x)

    return run


@program.maker(args=lambda call: (randn(2, 4),), calls=4)
def module_member_replaced():
    class M(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = torch.nn.Linear(4, 4)
            self.n = 0

        def forward(self, x):
            return self.fc(x)

    m = M()

    def run(x):
        y = m(x)
        m.n += 1
        return y, m.n

    return run


@program(args=lambda call: (randn(2), call + 2, call + 5), calls=5)
def remainders_of_remainders(x, a, b):
    return x + 1, a * b % 6 % 9, (2 * (a % 9)) % 17, (a % 8) * 3 % 5, (a % 4 + b) // 3 % 2, (3 * (b % 7) + 1) % 4


@program(args=lambda call: (randn(2 + call), [0] * call), calls=4)
def remainders_of_sizes(x, items):
    n = x.shape[0]
    k = (n % 5) * 2 % 3
    return x * k, (2 * (n % 9)) % 17, len(items) * n % 6 % 4
