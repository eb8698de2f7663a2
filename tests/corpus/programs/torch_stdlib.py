"""functools, operator, math, copy, re, and other parts of the standard library in captured code."""

# ruff: noqa
# mypy: ignore-errors

import copy
import functools
import math
import operator
import re
import string
import typing
import types
import warnings

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)


@program
def math_functions(x):
    return (
        x * math.sqrt(2.0) + math.pi,
        math.floor(2.5),
        math.ceil(2.1),
        math.prod([2, 3]),
        math.isclose(0.1 + 0.2, 0.3),
        math.gcd(12, 18),
        math.log(8, 2),
        math.inf,
        math.copysign(1, -0.0),
        math.isnan(math.nan),
    )


@program
def math_of_shape(x):
    return x / math.sqrt(x.shape[-1]), math.ceil(x.numel() / 5)


@program
def operator_functions(x, y):
    return (
        operator.add(x, y), operator.mul(x, 2), operator.neg(x), operator.itemgetter(1)([1, x]), operator.attrgetter("shape")(x),
        operator.methodcaller("sum", 0)(x), operator.contains([1], 1), operator.getitem([3], 0), operator.truth([]), operator.index(3),
        operator.matmul(x, y.T), operator.itemgetter(0, 1)("ab"),
    )  # fmt: skip


@program
def inplace_operators(x):
    a = [1]
    b = operator.iadd(a, [2])
    y = x.clone()
    z = operator.iadd(y, 1)
    return a is b, y, z is y


@program
def reduce_program(x, y):
    return functools.reduce(operator.add, [x, y, x]), functools.reduce(lambda a, b: a * 2 + b, [1, 2, 3], 10)


@functools.lru_cache(maxsize=None)
def cached(n):
    return n * 2


@program
def lru_cache_program(x):
    return x * cached(3) + cached(3)


@functools.singledispatch
def kind(a):
    return "other"


@kind.register
def _(a: int):
    return "int"


@kind.register
def _(a: torch.Tensor):
    return "tensor"


@program
def singledispatch_program(x):
    return x, kind(1), kind(x), kind("s")


@program
def cmp_to_key(x):
    return x, sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: b - a))


@program
def regular_expressions(x):
    m = re.match(r"(\w+)-(\d+)", "layer-12")
    return (
        x * int(m.group(2)),
        m.groups(),
        re.sub("a", "b", "banana"),
        re.findall(r"\d", "a1b2"),
        bool(re.search("q", "abc")),
    )


@program
def copy_objects(x):
    a = {"t": x, "l": [1, [2]]}
    b = copy.copy(a)
    b["l"].append(3)
    return b, copy.copy([x]), copy.deepcopy({"a": [1, {"b": 2}]})


@program
def deepcopy_with_tensor(x):
    a = {"t": x}
    return copy.deepcopy(a)


@program
def builtin_functions(x):
    return (
        x, abs(-2), divmod(7, 3), pow(2, 5, 7), round(2.5), round(-1.5), hash(5) == hash(5.0), sorted("hello"), list(map(str, [1, 2])),
        bool([]), int("12"), float("1.5"), str(1.0), repr("a"), ascii("é"), chr(97), list(reversed([1, 2])), sum((i for i in range(3)), 5),
        isinstance(1, (int, float)), callable(len), getattr(3, "real"), complex(1, 2), bytes(2), oct(8), frozenset([1]), type(1.0),
        dict(zip("ab", [1, 2])), set("aab"), tuple([1]), slice(1), id(x) == id(x), next(iter("z")), any([]), all([]), min("b", "a"),
    )  # fmt: skip


@program
def number_methods(x):
    return (
        x,
        (2.5).as_integer_ratio(),
        (7).bit_count(),
        (0.1).hex(),
        (1.0).is_integer(),
        (3 + 4j).conjugate(),
        abs(3 + 4j),
        int.from_bytes(b"a", "big"),
        (5).to_bytes(1, "big"),
        float.fromhex("0x1p-1"),
    )


@program
def type_annotations(x: torch.Tensor) -> torch.Tensor:
    k: int = 3
    y: "typing.Any" = x * k
    return typing.cast(torch.Tensor, y)


@program
def simple_namespace(x):
    ns = types.SimpleNamespace(a=1, t=x)
    ns.b = ns.a + 1
    return ns.t * ns.b, ns


@program(args=lambda: (randn(3), types.SimpleNamespace(scale=2.0, log=[])))
def namespace_argument(x, ns):
    ns.log.append("seen")
    ns.scale *= 2
    return x * ns.scale


@program
def mapping_proxy(x):
    d = types.MappingProxyType({"a": 2})
    return x * d["a"], "b" in d, list(d)


@program
def string_templates(x):
    return (
        x,
        string.ascii_lowercase[:3],
        "abc".translate(str.maketrans("a", "z")),
        "a,b".partition(","),
        " x ".strip(),
        "Ab".swapcase(),
        "%s" % (1,),
        "a\tb".expandtabs(2),
    )


@program
def warns(x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("careful")
    return x + 1


@program
def prints(x):
    y = x + 1
    print("shape", tuple(y.shape), sep=":")
    return y * 2


@program
def isinstance_of_typing(x):
    return x, isinstance([1], typing.Sequence), isinstance({}, typing.Mapping), isinstance(3, typing.Hashable)


@program
def getattr_chains(x):
    return getattr(getattr(torch, "nn"), "functional").relu(x), getattr(x, "sum")(), getattr(torch, "nothing", None)


@program
def sorting_stability(x):
    items = [("b", 2), ("a", 2), ("c", 1)]
    items.sort(key=operator.itemgetter(1))
    return x, items, sorted(items, key=lambda p: (-p[1], p[0])), max(items, key=lambda p: p[1])


@program
def sorted_with_failing_key(x):
    try:
        sorted([1, "a"])
    except TypeError as e:
        return x, str(e)


@program
def dict_fromkeys_and_zip(x):
    d = dict.fromkeys(["a", "b"], 0)
    d["a"] += 1
    return x, d, dict(zip(d, [x, x])), {v: k for k, v in d.items()}


@program
def integer_limits(x):
    big = 2**70
    return x, big, big // 3, -big % 7, int(1e20), 10**20 == 1e20


@program
def float_corner_cases(x):
    inf, nan = float("inf"), float("nan")
    return x, inf > 1, nan != nan, nan == nan, -0.0, 0.0 == -0.0, inf - inf, max(nan, 1), min(1, nan), [nan] == [nan]


@program
def division_errors(x):
    out = []
    for f in (lambda: 1 // 0, lambda: 1 % 0, lambda: 1.0 / 0, lambda: divmod(1, 0), lambda: 0**-1, lambda: 2 << -1):
        try:
            f()
        except Exception as e:
            out.append((type(e).__name__, str(e)))
    return x, out


@program
def tensor_in_format_of_shape(x):
    return x, "x".join(str(s) for s in x.shape), f"{x.ndim}d", "%dx%d" % tuple(x.shape), "{0[0]}".format(x.shape)


@program
def partialmethod_and_wraps(x):
    p = Widget()
    return p.big(x), p.small(x), p.big.__name__ if hasattr(p.big, "__name__") else None


class Widget:
    def scale(self, t, k):
        return t * k

    big = functools.partialmethod(scale, k=10)
    small = functools.partialmethod(scale, k=1)


CALLED = []


@functools.lru_cache
def cached_with_effect(n):
    CALLED.append(n)
    return n * 2


@program(state=("CALLED",), calls=1)
def lru_cache_with_effect(x):
    cached_with_effect.cache_clear()
    return x * cached_with_effect(3) + cached_with_effect(3), len(CALLED)


@functools.lru_cache
def cached_list(n):
    return [n]


@program
def lru_cache_gives_one_object(x):
    return x, cached_list(1) is cached_list(1), cached_list(1) is cached_list(2)
