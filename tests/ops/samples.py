"""Sample calls of every op, from which the shared op tests are made.

A sample is an op name, operand specs and attributes. `T` describes a tensor by shape, dtype, layout and the range of
its values; a plain Python number stands for a `scalar` node, None for an absent operand. Adding an op to the table
means adding a line here: the walk in test_op_table.py fails for a row without samples.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from quern.inductor.ops.scalar import SCALAR

f16, bf16, f32, f64 = torch.float16, torch.bfloat16, torch.float32, torch.float64
i64, i32, u8, i8, b8 = torch.int64, torch.int32, torch.uint8, torch.int8, torch.bool


@dataclass(frozen=True)
class T:
    """A tensor. layout: "contiguous", "channels_last", "transposed", "expanded", "sliced", "permuted".

    values: "normal", "positive", "unit" (-1..1), "probability" (0..1), "big" (1..), "special" (NaN, infinities, signed
    zeros), "edge" (special without huge and tiny numbers), ("index", n), "small" (few distinct values).
    """

    shape: tuple[int, ...]
    dtype: torch.dtype = f32
    layout: str = "contiguous"
    values: Any = "normal"

    def __str__(self) -> str:
        text = f"{str(self.dtype)[6:]}{list(self.shape)}"
        return text if self.layout == "contiguous" else f"{text}/{self.layout}"


@dataclass(frozen=True)
class Sample:
    op: str
    operands: tuple[Any, ...] = ()
    attrs: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = [str(o) for o in self.operands] + [f"{k}={v}" for k, v in self.attrs.items()]
        return f"{self.op}({', '.join(parts)})"


SPECIAL = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 1e30, -1e30, 3.7, -2.5, 1e-30, 88.0]


def make(spec: T, seed: str = "") -> torch.Tensor:
    """The tensor a spec describes; the same every time."""
    g = torch.Generator().manual_seed(zlib.crc32(f"{spec}{spec.values}{seed}".encode()))
    base = {
        "transposed": tuple(reversed(spec.shape)),
        "expanded": tuple(
            1 if d == len(spec.shape) - 2 or len(spec.shape) == 1 else s for d, s in enumerate(spec.shape)
        ),
        "sliced": tuple(2 * s + 1 for s in spec.shape),
        "permuted": spec.shape[1:] + spec.shape[:1],
    }.get(spec.layout, spec.shape)
    x = _fill(base, spec, g)
    if spec.layout == "channels_last":
        return x.contiguous(memory_format=torch.channels_last if x.ndim == 4 else torch.channels_last_3d)
    if spec.layout == "transposed":
        return x.permute(*reversed(range(x.ndim)))
    if spec.layout == "expanded":
        return x.expand(spec.shape)
    if spec.layout == "sliced":
        return x[tuple(slice(1, 2 * s + 1, 2) for s in spec.shape)]
    if spec.layout == "permuted":
        return x.permute(x.ndim - 1, *range(x.ndim - 1))
    return x


def _fill(shape: tuple[int, ...], spec: T, g: torch.Generator) -> torch.Tensor:
    if isinstance(spec.values, tuple):
        return torch.randint(0, spec.values[1], shape, generator=g).to(spec.dtype)
    if spec.dtype == b8:
        return torch.randint(0, 2, shape, generator=g).bool()
    if not spec.dtype.is_floating_point:
        if spec.values == "small":
            return torch.randint(0 if spec.dtype == u8 else -2, 3, shape, generator=g).to(spec.dtype)
        low, high = (1, 9) if spec.values in ("positive", "big") else (0 if spec.dtype == u8 else -9, 10)
        return torch.randint(low, high, shape, generator=g).to(spec.dtype)
    if spec.values in ("special", "edge"):
        numbers = SPECIAL if spec.values == "special" else [v for v in SPECIAL if not 1e10 < abs(v) < math.inf]
        pick = torch.randint(0, len(numbers), shape, generator=g)
        return torch.tensor(numbers, dtype=f64)[pick].to(spec.dtype)
    if spec.values == "small":
        return torch.randint(-2, 3, shape, generator=g).to(spec.dtype)
    x = torch.randn(shape, generator=g, dtype=f64)
    if spec.values == "positive":
        x = x.abs() + 0.1
    elif spec.values == "unit":
        x = torch.tanh(x) * 0.99
    elif spec.values == "probability":
        x = torch.sigmoid(x)
    elif spec.values == "big":
        x = x.abs() + 1.1
    return x.to(spec.dtype)


# --------------------------------------------------------------------------- families

UNARY_FLOAT = {
    name: "normal"
    for name in "exp exp2 expm1 sin cos tan atan sinh cosh tanh asinh erf erfc sigmoid sinc rad2deg deg2rad".split()
}
UNARY_FLOAT |= {name: "positive" for name in "log log2 log10 log1p sqrt rsqrt lgamma reciprocal".split()}
UNARY_FLOAT |= {
    "asin": "unit",
    "acos": "unit",
    "atanh": "unit",
    "erfinv": "unit",
    "acosh": "big",
    "logit": "probability",
}
UNARY_ANY = "isnan isinf isfinite logical_not sign abs signbit square isposinf isneginf".split()
UNARY_NUMBER = "neg floor ceil trunc round positive nan_to_num".split()
BINARY_NUMBER = "add mul sub maximum minimum fmax fmin div remainder fmod floor_divide trunc_divide rsub".split()
BINARY_FLOAT = "atan2 copysign xlogy".split()
BINARY_FLOAT_ONLY = "hypot nextafter logaddexp logaddexp2".split()
COMPARE = "eq ne lt le gt ge".split()
LOGICAL = "logical_and logical_or logical_xor".split()
BITWISE = "bitwise_and bitwise_or bitwise_xor".split()
ACTIVATIONS = (
    "relu relu6 hardtanh leaky_relu elu selu celu gelu silu mish softplus hardsigmoid hardswish log_sigmoid softsign "
    "tanhshrink softshrink hardshrink threshold"
).split()
# functions of the scalar table that nothing is said of above
UNARY_FLOAT |= {op.name: "normal" for op in SCALAR.values() if op.errors is not None and op.name not in UNARY_FLOAT}
REDUCTIONS = "sum prod any all amax amin".split()


def layouts(dtype: torch.dtype = f32, values: Any = "normal") -> list[T]:
    """One operand in every layout."""
    return [
        T((3, 4), dtype, "contiguous", values),
        T((), dtype, "contiguous", values),
        T((2, 3, 4, 5), dtype, "channels_last", values),
        T((3, 4), dtype, "transposed", values),
        T((3, 4), dtype, "sliced", values),
        T((3, 2, 4), dtype, "permuted", values),
        T((3, 2, 4), dtype, "expanded", values),
        T((0, 3), dtype, "contiguous", values),
    ]


PAIRS = [
    (T((3, 4)), T((3, 4), layout="transposed")),
    (T((3, 4), layout="transposed"), T((3, 4), layout="transposed")),
    (T((2, 3, 4, 5), layout="channels_last"), T((1, 3, 1, 1))),
    (T((2, 3, 4, 5), layout="channels_last"), T((2, 3, 4, 5))),
    (T((3, 1)), T((4,))),
    (T((3, 4)), T(())),
    (T(()), T((2, 3, 4), layout="permuted")),
    (T((3, 4), layout="sliced"), T((3, 1), layout="sliced")),
    (T((2, 3, 4), layout="expanded"), T((4,))),
    (T((0, 4)), T((1, 4))),
    (T((1, 4), layout="transposed"), T((3, 1))),
]


def _retyped(pair: tuple[T, T], dtype: torch.dtype, values: Any = "normal") -> tuple[T, T]:
    return tuple(T(t.shape, dtype, t.layout, values) for t in pair)  # type: ignore[return-value]


def _unary() -> Iterator[Sample]:
    for name, values in UNARY_FLOAT.items():
        for t in layouts(f32, values):
            yield Sample(name, (t,))
        for dtype in (f64, bf16, f16):
            yield Sample(name, (T((3, 5), dtype, values=values),))
        yield Sample(name, (T((16,), values="special"),))
        if name not in ("asin", "acos", "atanh", "acosh", "logit", "erfinv"):
            yield Sample(name, (T((3, 5), i64, values=values),))
            if name != "lgamma":
                yield Sample(name, (T((3, 5), b8),))
    for name in UNARY_ANY:
        for t in layouts():
            yield Sample(name, (t,))
        for dtype in (f64, bf16, i64, u8, b8):
            yield Sample(name, (T((3, 5), dtype),))
        yield Sample(name, (T((16,), values="special"),))
    for name in UNARY_NUMBER:
        for t in layouts():
            yield Sample(name, (t,))
        for dtype in (f64, bf16, i64, u8):
            yield Sample(name, (T((3, 5), dtype),))
        yield Sample(name, (T((16,), values="special"),))
    yield Sample("frac", (T((3, 5)),))
    yield Sample("fix", (T((3, 5)),))
    yield Sample("cbrt", (T((3, 5), values="positive"),))
    for decimals in (1, -1):
        yield Sample("round", (T((3, 5)),), {"decimals": decimals})
    for dtype in (i64, u8, i32, b8):
        yield Sample("bitwise_not", (T((3, 5), dtype),))
    yield Sample("logit", (T((3, 5), values="probability"),), {"eps": 0.1})
    yield Sample("logit", (T((3, 5), b8),))
    for name in ("logaddexp", "logaddexp2"):
        yield Sample(name, (T((3, 5)), T((3, 5), b8)))
        yield Sample(name, (T((), b8), T((3, 5), bf16)))
    yield Sample("digamma", (T((3, 5), values="positive"),))
    yield Sample("nan_to_num", (T((16,), values="special"),), {"nan": 1.5, "posinf": 7.0, "neginf": -3.0})


def _binary() -> Iterator[Sample]:
    for name in BINARY_NUMBER + BINARY_FLOAT + BINARY_FLOAT_ONLY + COMPARE:
        values = "positive" if name in ("xlogy",) else "normal"
        for pair in PAIRS:
            yield Sample(name, _retyped(pair, f32, values))
        for dtype in (f64, bf16):
            if not (name == "nextafter" and dtype == bf16):
                yield Sample(name, (T((3, 4), dtype, values=values), T((4,), dtype, values="positive")))
        values = "edge" if name in ("remainder", "fmod", "floor_divide", "trunc_divide") else "special"
        yield Sample(name, (T((64,), values=values), T((64,), layout="transposed", values=values)))
    for name in BINARY_NUMBER + BINARY_FLOAT + COMPARE:
        for left, right in ((i64, i64), (u8, i8), (i32, f32), (f64, i64), (bf16, f32), (u8, u8)):
            if name in ("rsub", "xlogy", "copysign", "atan2") and left == u8:
                continue
            yield Sample(name, (T((3, 4), left), T((3, 4), right, values="positive")))
        for number in (2, 2.5):
            for dtype in (f32, bf16, i64):
                yield Sample(name, (T((3, 4), dtype, values="positive"), number))
        yield Sample(name, (T((), f64, values="positive"), T((3,), f32, values="positive")))
        yield Sample(name, (T((2, 3, 4, 5), f32, "channels_last", "positive"), 3))
    for name in ("sub", "div", "pow"):
        yield Sample(name, (3, T((3, 4), values="positive")))
    for name in ("add", "mul", "maximum", "minimum", *COMPARE):
        yield Sample(name, (T((3, 4), b8), T((3, 4), b8)))
        yield Sample(name, (T((3, 4), b8), T((4,), i64)))
    for name in LOGICAL:
        for pair in PAIRS:
            yield Sample(name, _retyped(pair, f32, "small"))
        for dtype in (b8, i64, bf16):
            yield Sample(name, (T((3, 4), dtype, values="small"), T((3, 4), b8)))
    for name in BITWISE:
        for dtype in (b8, i64, u8):
            yield Sample(name, (T((3, 4), dtype), T((3, 4), dtype)))
        yield Sample(name, (T((3, 4), i64), 5))
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        for dtype in (i64, i32, u8):
            yield Sample(name, (T((3, 4), dtype), T((3, 4), dtype, values=("index", 9))))
        yield Sample(name, (T((3, 4), i32), 40))
        yield Sample(name, (T((3, 4), i64), 2))
    yield from _powers()
    for name in ("gcd", "lcm"):
        yield Sample(name, (T((3, 4), i64, values="positive"), T((4,), i32, values="positive")))
    for right in (T((4,), i64), T((3, 4)), 2):
        yield Sample("float_power", (T((3, 4), values="positive"), right))
        if not isinstance(right, int):
            yield Sample("ldexp", (T((3, 4)), right))
    yield Sample("heaviside", (T((3, 4), values="small"), T((4,))))
    yield Sample("xlog1py", (T((3, 4)), T((4,), values="positive")))
    yield Sample("isclose", (T((3, 4), values="small"), T((3, 4), layout="transposed", values="small")))
    yield Sample(
        "isclose", (T((64,), values="special"), T((64,), layout="sliced", values="special")), {"equal_nan": True}
    )
    yield Sample("isclose", (T((3, 4), i64), T((3, 4), i64)), {"rtol": 0.5, "atol": 1.0})


def _powers() -> Iterator[Sample]:
    for exponent in (0, 1, 2, 3, 4, 0.5, -0.5, -1, -2, 2.5, -1.5):
        yield Sample("pow", (T((3, 4), values="positive"), exponent))
        yield Sample("pow", (T((16,), values="special"), exponent))
    for exponent in (0, 2, 3, 5, 2.0, 0.5):
        yield Sample("pow", (T((3, 4), i64, values="positive"), exponent))
    yield Sample("pow", (T((3, 4), bf16, values="positive"), 2))
    yield Sample("pow", (2, T((3, 4), i64, values="positive")))
    yield Sample("pow", (2.0, T((3, 4))))
    yield Sample("pow", (T((3, 4), values="positive"), T((4,))))
    yield Sample("pow", (T((64,), values="special"), T((64,), layout="sliced", values="special")))
    yield Sample("pow", (T((2, 3, 4, 5), layout="channels_last", values="positive"), 2))


def _selection() -> Iterator[Sample]:
    for x, y in PAIRS:
        yield Sample("where", (T(x.shape, b8, x.layout), x, y))
        yield Sample("where", (T((1,), b8), x, y))
    yield Sample("where", (T((3, 4), b8), T((3, 4)), 1.5))
    yield Sample("where", (T((3, 4), b8), 1, T((3, 4), i64)))
    yield Sample("where", (T((3, 4), b8), 1.0, 2.0))
    yield Sample("where", (T((3, 4), b8), T((3, 4), bf16), T((), f64)))
    yield Sample("masked_fill", (T((3, 4)), T((4,), b8), 2.0))
    yield Sample("masked_fill", (T((3, 4), layout="transposed"), T((3, 4), b8), -math.inf))
    yield Sample("masked_fill", (T((3, 4), i64), T((3, 4), b8), T((), i64)))
    for t in layouts():
        for dtype in ("float64", "bfloat16", "int64", "bool"):
            yield Sample("cast", (t,), {"dtype": dtype})
    for source in (i64, b8, bf16, f64):
        for dtype in ("float32", "int32", "float16", "uint8", "bool"):
            yield Sample("cast", (T((3, 4), source, values="positive"),), {"dtype": dtype})
    for low, high in ((None, 0.5), (-0.5, None), (-0.5, 0.5), (1.0, -1.0)):
        yield Sample("clamp", (T((3, 4)), low, high))
        yield Sample("clamp", (T((2, 3, 4, 5), bf16, "channels_last"), low, high))
        yield Sample("clamp", (T((16,), values="special"), low, high))
    yield Sample("clamp", (T((3, 4), i64), -2, 3))
    yield Sample("clamp", (T((3, 4), i64), -2.5, None))
    yield Sample("clamp", (T((3, 4)), T((4,)), T((3, 1))))
    for name in ("addcmul", "addcdiv"):
        yield Sample(name, (T((3, 4)), T((3, 1)), T((4,), values="positive"), 1))
        yield Sample(name, (T((3, 4)), T((3, 4), layout="transposed"), T((3, 4), values="positive"), 0.5))
    yield Sample("addcmul", (T((3, 4), i64), T((3, 4), i64), T((3, 4), i64), 3))
    yield Sample("fma", (T((3, 4)), T((4,)), T((3, 4), layout="transposed")))
    yield Sample("add_scaled", (T((3, 4)), T((4,)), 1.5))
    yield Sample("add_scaled", (T((3, 4), i64), T((3, 4), i32), -3))
    yield Sample("lerp", (T((3, 4)), T((3, 4), layout="transposed"), 0.3))
    yield Sample("lerp", (T((3, 4)), T((3, 4)), T((3, 4), values="probability")))
    yield Sample("lerp", (T((3, 4), bf16), T((3, 4), bf16), 0.7))


def _activations() -> Iterator[Sample]:
    for name in ACTIVATIONS:
        attrs = {"threshold": 0.3, "value": 1.5} if name == "threshold" else {}
        for t in layouts():
            yield Sample(name, (t,), attrs)
        for dtype in (f64, bf16, f16):
            yield Sample(name, (T((3, 5), dtype),), attrs)
        if name != "gelu":  # eager's vectorised CPU kernel makes NaN of infinity
            yield Sample(name, (T((16,), values="special"),), attrs)
    for name in ("relu", "relu6", "hardtanh"):
        yield Sample(name, (T((3, 5), i64),))
    yield Sample("gelu", (T((3, 5)),), {"approximate": "tanh"})
    yield Sample("gelu", (T((3, 5), bf16),), {"approximate": "tanh"})
    yield Sample("softplus", (T((3, 5)),), {"beta": 2.0, "threshold": 1.0})
    yield Sample("elu", (T((3, 5)),), {"alpha": 0.5, "scale": 2.0, "input_scale": 1.5})
    yield Sample("celu", (T((3, 5)),), {"alpha": 0.5})
    yield Sample("hardtanh", (T((3, 5)),), {"min_val": -0.5, "max_val": 0.25})
    yield Sample("leaky_relu", (T((3, 5)),), {"negative_slope": 0.2})
    yield Sample("prelu", (T((3, 5)), T((1,))))
    for dim in (0, -1):
        yield Sample("glu", (T((4, 6)),), {"dim": dim})
        yield Sample("glu", (T((4, 6), bf16, "transposed"),), {"dim": dim})


def _reductions() -> Iterator[Sample]:
    for name in REDUCTIONS:
        for dtype in (f32, bf16, i64, i32, u8, b8):
            for dim in (None, 0, -1, (0, 2), (1,)):
                for keepdim in (False, True):
                    if dtype in (f32, i64) or dim in (None, -1):
                        yield Sample(name, (T((2, 3, 4), dtype),), {"dim": dim, "keepdim": keepdim})
        for t in layouts():
            if 0 not in t.shape or name not in ("amax", "amin"):
                yield Sample(name, (t,), {"dim": None})
                yield Sample(name, (t,), {"dim": -1})
        yield Sample(name, (T((4, 16), values="special"),), {"dim": -1})
    for name in ("sum", "prod"):
        yield Sample(name, (T((2, 3), bf16),), {"dim": -1, "dtype": "float32"})
        yield Sample(name, (T((2, 3), i32),), {"dim": -1, "dtype": "int32"})
        yield Sample(name, (T((2, 3), b8),), {"dim": 0, "dtype": "float32"})
    for name in ("argmax", "argmin"):
        for dtype in (f32, bf16, i64, u8):
            for dim in (None, 0, -1):
                for keepdim in (False, True):
                    yield Sample(name, (T((4, 6), dtype, values="small"),), {"dim": dim, "keepdim": keepdim})
        yield Sample(name, (T((4, 16), values="special"),), {"dim": -1})
        yield Sample(name, (T((4, 6), layout="transposed"),), {"dim": None})
        yield Sample(name, (T(()),), {"dim": 0})
    for name in ("max_dim", "min_dim"):
        for dtype in (f32, i64, b8):
            yield Sample(name, (T((4, 6), dtype, values="small"),), {"dim": 1})
            yield Sample(name, (T((4, 6), dtype, "transposed", "small"),), {"dim": 0, "keepdim": True})
        yield Sample(name, (T((4, 16), values="special"),), {"dim": -1})
    for name in ("mean", "var", "std", "var_mean", "std_mean", "logsumexp", "vector_norm"):
        for dtype in (f32, f64, bf16):
            for dim in (None, 0, (0, 2), -1):
                yield Sample(name, (T((2, 3, 4), dtype),), {"dim": dim, "keepdim": dim == -1})
        yield Sample(name, (T((3, 5), layout="transposed"),), {"dim": 1})
        yield Sample(name, (T((0, 3)),), {"dim": 0})
    for name in ("var", "std"):
        yield Sample(name, (T((3, 5)),), {"dim": 1, "correction": 0})
        yield Sample(name, (T((3, 1)),), {"dim": 1})
    yield Sample("mean", (T((3, 4), i64),), {"dim": 1, "dtype": "float32"})
    yield Sample("logsumexp", (T((4, 16), values="special"),), {"dim": -1})
    for order in (0, 1, 2, 3, 0.5, -1, math.inf, -math.inf):
        yield Sample("vector_norm", (T((3, 5)),), {"ord": order, "dim": 1})
    for dtype in (f32, i64, b8):
        yield Sample("count_nonzero", (T((3, 5), dtype, values="small"),))
        yield Sample("count_nonzero", (T((3, 5), dtype, values="small"),), {"dim": 1})
    for name in ("cumsum", "cumprod"):
        for dtype in (f32, bf16, i64, i32, b8):
            for dim in (0, -1):
                yield Sample(name, (T((3, 5), dtype, values="unit"),), {"dim": dim})
        yield Sample(name, (T((2, 3, 4), layout="permuted"),), {"dim": 1})
        yield Sample(name, (T(()),), {"dim": 0})
        yield Sample(name, (T((3, 5), i32),), {"dim": 0, "dtype": "float32"})


def families() -> Iterator[Sample]:
    """Samples of all ops that come in families."""
    yield from _unary()
    yield from _binary()
    yield from _selection()
    yield from _activations()
    yield from _reductions()
