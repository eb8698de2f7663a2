"""Contractions as the C++ code emits them in blocks of registers, against float64: every edge of a block, every layout and type.

Blocks are made small here (`SMALL`), so that small products have several of each kind, runs of the inner axes and tasks among
them; a few large products run with the blocks that programs get. The host has one library of all kernels, older CPUs of every other one.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quern.inductor.canonical import canonical_form
from quern.inductor.codegen.cpp import emit
from quern.inductor.codegen.cpp.nest import read_nest
from quern.inductor.codegen.cpp.strategies import STRATEGIES, blocking, tasks
from quern.inductor.codegen.strategy import choose
from quern.inductor.dtypes import DType, bfloat16, bool_, float16, float32, float64, int8, int32, int64
from quern.inductor.kernel import Kernel
from quern.inductor.pipeline import schedule_graph
from quern.inductor.reference import from_bfloat16_bits, run_kernel
from quern.inductor.schedule import Launch, Schedule
from quern.kernels.cpu.library import Call, Segment, functions, packer
from quern.kernels.cpu.toolchain import host_cpu
from schedule_support import builder, tensor
from test_cpp_codegen import Case, Library, call, compiled, guarded, storage

pytestmark = pytest.mark.sampled(2)

#: blocks so small that products of a few elements have many
SMALL = {
    "_LONGEST_RUN": 40, "_LEAST_READ": 1 << 6, "_PANEL_BYTES": 1 << 11, "_LEAST_TASK": 1 << 8,
    "_BLOCKS_PER_PANEL": 2, "_SUMS_BYTES": 1 << 12, "_MOST_SUMS_BYTES": 1 << 13,
}  # fmt: skip
#: of the largest value of a result
TOLERANCE = {float64: 1e-14, float32: 3e-6, float16: 2e-3, bfloat16: 1.6e-2}


@dataclass(frozen=True)
class Operand:
    """values: made up where none are given; order: its axes in memory, outermost first; step: between neighbours there.
    once: axes along which one element is repeated"""

    shape: tuple[int, ...]
    dtype: DType = float32
    order: tuple[int, ...] | None = None
    step: int = 1
    once: tuple[int, ...] = ()
    values: Any = None

    @property
    def stride(self) -> tuple[int, ...]:
        strides, step = [0] * len(self.shape), self.step
        for axis in reversed(self.order or range(len(self.shape))):
            if axis not in self.once:
                strides[axis], step = step, step * self.shape[axis]
        return tuple(strides)


@dataclass(frozen=True)
class Product:
    """make: nodes of the operands to the nodes of the results; wanted: the same with arrays of float64"""

    make: Callable[..., Any]
    wanted: Callable[..., Any]
    operands: tuple[Operand, ...]
    tolerance: float | None = None


@dataclass(frozen=True)
class Prepared:
    """A product's kernel with its arrays by the names of its buffers, and the results by name: type, shape, strides, values."""

    case: Case
    results: Mapping[str, tuple[DType, tuple[int, ...], tuple[int, ...], np.ndarray]] = field(default_factory=dict)
    tolerance: float | None = None


def view(flat: np.ndarray, shape: Sequence[int], stride: Sequence[int]) -> np.ndarray:
    return np.lib.stride_tricks.as_strided(flat, shape, [s * flat.itemsize for s in stride])


def as_double(flat: np.ndarray, dtype: DType) -> np.ndarray:
    return (from_bfloat16_bits(flat) if dtype == bfloat16 else flat).astype(np.float64)


def made_up(operand: Operand, size: int, g: np.random.Generator) -> np.ndarray:
    if operand.dtype.kind == "bool":
        return g.random(size) < 0.5
    if operand.dtype.is_int:
        return g.integers(-100, 100, size).astype(operand.dtype.name)
    return storage(g.standard_normal(size), operand.dtype)


def scheduled(product: Product) -> Schedule:
    b = builder()
    made = product.make(b, *(tensor(b, o.shape, o.dtype, o.stride) for o in product.operands))
    b.graph.outputs = list(made) if isinstance(made, tuple) else [made]
    return schedule_graph(b.graph, contractions="generated")


def is_emitted_in_blocks(kernel: Kernel) -> bool:
    """For registers of every width, or for none."""
    asked = (choose(STRATEGIES, read_nest(canonical_form(kernel), size)) for size in (64, 32, 16))
    (said,) = {choice.strategy == "contraction" for choice in asked}
    return said


def prepare(product: Product, seed: int) -> Prepared:
    g = np.random.default_rng(seed)
    s = scheduled(product)
    (launch,) = (step for step in s.steps if isinstance(step, Launch) and is_emitted_in_blocks(step.kernel))
    named = dict(zip(launch.buffers, launch.kernel.args))
    memory, doubles = {}, []
    for buffer, operand in zip(s.lowered.inputs, product.operands):
        flat = made_up(operand, int(buffer.size), g)
        if operand.values is not None:
            view(flat, operand.shape, operand.stride)[...] = storage(np.asarray(operand.values), operand.dtype)
        doubles.append(view(as_double(flat, operand.dtype), operand.shape, operand.stride))
        memory[buffer.name] = flat
    for step in s.steps[: s.steps.index(launch)]:  # what is laid out otherwise first
        assert isinstance(step, Launch)
        given = dict(zip(step.buffers, step.kernel.args))
        for name, arg in given.items():
            memory.setdefault(name, storage(np.zeros(int(arg.size)), arg.dtype))
        run_kernel(step.kernel, {arg.name: memory[name] for name, arg in given.items()}, {})
    arrays = {arg.name: memory[name] for name, arg in named.items() if name in memory}
    with np.errstate(all="ignore"):
        wanted = product.wanted(*doubles)
    results = {}
    for out, values in zip(s.lowered.outputs, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        arg = named[out.name]
        arrays[arg.name] = storage(np.full(int(out.size), 7), arg.dtype)
        results[arg.name] = (arg.dtype, out.shape, out.stride, np.asarray(values))
    return Prepared(Case(launch.kernel, arrays), results, product.tolerance)


def run(library: Library, name: str, prepared: Prepared, threads: int) -> dict[str, np.ndarray]:
    """All buffers after a call. What lies around them is no number where it is read, and the same afterwards."""
    functions, cases, order = library
    kernel = cases[name].kernel
    memory = {k: guarded(v, 255) for k, v in prepared.case.arrays.items()}
    call(getattr(functions, kernel.name), kernel, {k: v for k, (_, v) in memory.items()}, {}, order, threads)
    for k, (whole, inner) in memory.items():
        assert (whole[:128] == 255).all() and (whole[-128:] == 255).all(), (
            f"{k} of {name} was written outside its bounds"
        )
        if k not in prepared.results:
            np.testing.assert_array_equal(inner.view(np.uint8), prepared.case.arrays[k].view(np.uint8))
    return {k: v for k, (_, v) in memory.items()}


def check(library: Library, name: str, prepared: Prepared) -> None:
    one, three = (run(library, name, prepared, threads) for threads in (1, 3))
    for k, (dtype, shape, stride, wanted) in prepared.results.items():
        assert one[k].tobytes() == three[k].tobytes(), "a result depends on the number of threads"
        got = view(as_double(one[k], dtype), shape, stride)
        if dtype.is_float:
            finite = np.abs(wanted[np.isfinite(wanted)])
            tolerance = (prepared.tolerance or TOLERANCE[dtype]) * max(1, finite.max(initial=0))
            np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance, equal_nan=True, err_msg=name)
        else:
            np.testing.assert_array_equal(got, wanted, err_msg=name)


# --------------------------------------------------------------------------- products


def mm(b: Any, x: Any, y: Any) -> Any:
    return b.mm(x, y)


def times(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return x @ y


def plain(m: int, n: int, k: int, dtype: DType = float32, left: int = 0, right: int = 0) -> Product:
    """left, right: how an operand lies: 0 by rows, 1 by columns, 2 by rows with steps, 3 by columns with steps"""

    def operand(shape: tuple[int, int], how: int) -> Operand:
        return Operand(shape, dtype, (1, 0) if how % 2 else (0, 1), 1 + 2 * (how // 2))

    return Product(mm, times, (operand((m, k), left), operand((k, n), right)))


ROWS = (1, 2, 3, 6, 7, 8, 9, 13, 14, 15, 16, 28, 29, 31, 61, 70)
COLUMNS = (1, 2, 3, 7, 8, 9, 15, 16, 17, 32, 33, 48, 49, 64, 65, 70)
INNER = (1, 2, 3, 15, 16, 17, 33, 40, 41, 50, 51, 70, 101)


def products() -> Iterator[tuple[str, Product]]:
    """Sizes around the edges of blocks, each with several others, types and layouts."""
    ways = itertools.cycle(itertools.product((0, 1, 2, 3), (0, 1, 3, 0, 1, 2, 1)))
    dtypes = itertools.cycle((float32, float64, float32, bfloat16, float16))
    for i in range(1, 33):
        m, n, k = ROWS[5 * i % 16], COLUMNS[(3 * i + i // 16) % 16], INNER[7 * i % 13]
        for _ in range(5):
            left, right = next(ways)
        dtype = next(dtypes)
        yield f"{m} by {n} by {k}, {dtype}, {left} {right}", plain(m, n, k, dtype, left, right)


def spelled(
    left: str, right: str, result: str, sizes: Mapping[str, int], dtype: DType = float32, **order: Any
) -> Product:
    """An einsum. order: in memory, of `x` and of `y`"""
    number = {a: i for i, a in enumerate(sizes)}
    labels = {k: tuple(number[a] for a in v) for k, v in (("left", left), ("right", right), ("result", result))}
    operands = tuple(
        Operand(tuple(sizes[a] for a in axes), dtype, order.get(name)) for name, axes in (("x", left), ("y", right))
    )
    return Product(
        lambda b, x, y: b.contract(x, y, **labels),
        lambda x, y: np.einsum(f"{left},{right}->{result}", x, y),
        operands,
    )


def convolution(
    image: tuple[int, ...],
    weight: tuple[int, ...],
    dtype: DType = float32,
    order: tuple[int, ...] | None = None,
    **attrs: Any,
) -> Product:
    n = len(weight) - 2
    attrs = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, **attrs}

    def wanted(x: np.ndarray, w: np.ndarray, bias: np.ndarray) -> np.ndarray:
        steps, borders, gaps = (
            [v] * n if isinstance(v, int) else v for v in (attrs["stride"], attrs["padding"], attrs["dilation"])
        )
        x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in borders)])
        reach = [g * (k - 1) + 1 for g, k in zip(gaps, w.shape[2:])]
        x = np.lib.stride_tricks.sliding_window_view(x, reach, tuple(range(2, 2 + n)))
        x = x[(slice(None), slice(None), *(slice(None, None, s) for s in steps), *(slice(None, None, g) for g in gaps))]
        x = x.reshape(x.shape[0], attrs["groups"], -1, *x.shape[2:])
        w = w.reshape(attrs["groups"], -1, *w.shape[1:])
        made = np.einsum(f"zgc{'hij'[:n]}{'xyw'[:n]},gkc{'xyw'[:n]}->zgk{'hij'[:n]}", x, w)
        return np.maximum(made.reshape(made.shape[0], -1, *made.shape[3:]) + bias.reshape(-1, *[1] * n), 0)

    def make(b: Any, x: Any, w: Any, bias: Any) -> Any:
        return b.relu(b.convolution(x, w, bias, **attrs))

    return Product(make, wanted, (Operand(image, dtype, order), Operand(weight, dtype), Operand(weight[:1], dtype)))


RIGHT, TURNED = Operand((41, 37)), Operand((41, 37), order=(1, 0))


def half_of(x: np.ndarray) -> np.ndarray:
    return as_double(storage(x, bfloat16), bfloat16)


def before(right: Operand, rows: int) -> dict[str, Product]:
    """What is computed on the way to an operand."""
    m, (k, n) = rows, right.shape
    x = Operand((m, k))
    index = Operand((k,), int64, values=np.random.default_rng(5).integers(0, 9, k))
    columns = Operand((n,), int64, values=np.random.default_rng(5).integers(0, 9, n))
    halves = Operand(right.shape, bfloat16, right.order)
    bytes_ = Operand(right.shape, int8, right.order)
    truth = Operand(right.shape, bool_, right.order)
    small = Operand((k - 3, n - 5), order=right.order)

    def scaled(b: Any, x: Any, q: Any, scale: Any) -> Any:
        return b.mm(x, b.mul(b.cast(q, dtype=float32), scale))

    return {
        "cast": Product(lambda b, x, y: b.mm(x, b.cast(y, dtype=float32)), times, (x, halves)),
        "cast to half": Product(
            lambda b, x, y: b.mm(b.cast(x, dtype=bfloat16), y), lambda x, y: half_of(x) @ y, (x, halves)),
        "from double": Product(
            lambda b, x, y: b.mm(x, b.cast(y, dtype=float32)), times, (x, Operand(right.shape, float64, right.order))),
        "from truth": Product(lambda b, x, y: b.mm(x, b.cast(y, dtype=float32)), times, (x, truth)),
        "scaled rows": Product(
            lambda b, x, y, s: b.mm(x, b.mul(y, s)), lambda x, y, s: x @ (y * s), (x, right, Operand((k, 1)))),
        "dequantised": Product(scaled, lambda x, q, s: x @ (q * s), (x, bytes_, Operand((n,)))),
        "dequantised by rows": Product(scaled, lambda x, q, s: x @ (q * s), (x, bytes_, Operand((k, 1)))),
        "both sides scaled": Product(
            lambda b, x, s, y, t: b.mm(b.mul(x, s), b.add(y, t)),
            lambda x, s, y, t: (x * s) @ (y + t), (x, Operand((k,)), right, Operand(right.shape, order=(1, 0)))),
        "padded": Product(
            lambda b, x, y: b.mm(x, b.pad(y, pad=(2, 3, 1, 2), value=0.5)),
            lambda x, y: x @ np.pad(y, ((1, 2), (2, 3)), constant_values=0.5), (x, small)),
        "padded left": Product(
            lambda b, x, y: b.mm(b.pad(x, pad=(2, 0, 0, 1), value=0.0), y),
            lambda x, y: np.pad(x, ((0, 1), (2, 0))) @ y, (Operand((m, k - 2)), right)),
        "side by side": Product(
            lambda b, x, y, z: b.mm(x, b.cat(y, z, dim=1)),
            lambda x, y, z: x @ np.concatenate([y, z], 1), (x, Operand((k, 3), order=right.order), right)),
        "gathered lines": Product(
            lambda b, x, t, i: b.mm(x, b.index_select(t, i, dim=0)),
            lambda x, t, i: x @ t[i.astype(int)], (x, Operand((9, n), order=right.order), index)),
        "gathered columns": Product(
            lambda b, x, t, i: b.mm(x, b.index_select(t, i, dim=1)),
            lambda x, t, i: x @ t[:, i.astype(int)], (x, Operand((k, 9), order=right.order), columns)),
        "chosen": Product(
            lambda b, x, y, c: b.mm(x, b.where(c, y, b.scalar(value=0.25))),
            lambda x, y, c: x @ np.where(c, y, 0.25), (x, right, truth)),
        "lower triangle": Product(lambda b, x, y: b.mm(x, b.tril(y)), lambda x, y: x @ np.tril(y), (x, right)),
        "backwards": Product(
            lambda b, x, y: b.mm(b.flip(x, dims=(1,)), b.flip(y, dims=(0, 1))),
            lambda x, y: x[:, ::-1] @ y[::-1, ::-1], (x, right)),
    }  # fmt: skip


def gelu(x: np.ndarray) -> np.ndarray:
    return x * (1 + np.vectorize(math.erf)(x / math.sqrt(2))) / 2


def after() -> dict[str, Product]:
    """What becomes of the sums."""
    m, n, k = 19, 37, 23
    x, y, bias, weight = Operand((m, k)), Operand((k, n)), Operand((n,)), Operand((n, k))
    halves = Operand((m, k), float16), Operand((k, n), float16)
    doubles = Operand((m, k), float64), Operand((k, n), float64)

    def places(b: Any, p: Any) -> Any:
        return b.where(b.le(b.arange(end=n), b.unsqueeze(b.arange(end=m), dim=1)), p, b.scalar(value=-1.0))

    def several(b: Any, x: Any, y: Any) -> Any:
        p = b.mm(x, y)
        return (
            b.mul(p, b.scalar(value=2.0)),
            b.cast(p, dtype=float16),
            b.gt(p, b.scalar(value=0.3)),
            b.cast(p, dtype=float64),
        )

    return {
        "a layer": Product(
            lambda b, x, w, c: b.gelu(b.linear(x, w, c)), lambda x, w, c: gelu(x @ w.T + c), (x, weight, bias)),
        "residual": Product(
            lambda b, x, y, r: b.add(b.mm(x, y), r), lambda x, y, r: x @ y + r, (x, y, Operand((m, n), order=(1, 0)))),
        "by rows": Product(
            lambda b, x, y, r: b.tanh(b.mul(b.mm(x, y), r)), lambda x, y, r: np.tanh(x @ y * r), (x, y, Operand((m, 1)))),
        "by places": Product(
            lambda b, x, y: places(b, b.mm(x, y)),
            lambda x, y: np.where(np.arange(n) <= np.arange(m)[:, None], x @ y, -1), (x, y)),
        "several": Product(
            several, lambda x, y: (x @ y * 2, x @ y, x @ y > 0.3, x @ y), (x, y), tolerance=2e-3),
        "to int8": Product(
            lambda b, x, y: b.cast(b.mul(b.mm(x, y), b.scalar(value=3.0)), dtype=int8),
            lambda x, y: np.trunc(x @ y * 3), (x, y)),
        "to int32 and int64": Product(
            lambda b, x, y: (b.cast(b.mm(x, y), dtype=int32), b.cast(b.mm(x, y), dtype=int64)),
            lambda x, y: (np.trunc(x @ y), np.trunc(x @ y)), (x, y)),
        "double to single": Product(
            lambda b, x, y, c: b.cast(b.relu(b.add(b.mm(x, y), c)), dtype=float32),
            lambda x, y, c: np.maximum(x @ y + c, 0), (*doubles, Operand((n,), float64))),
        "halves": Product(
            lambda b, x, y, c: b.sigmoid(b.add(b.mm(x, y), c)),
            lambda x, y, c: 1 / (1 + np.exp(-(x @ y + c))), (*halves, Operand((n,), float16)), tolerance=1e-2),
        "looked up": Product(
            lambda b, x, y, t, i: b.add(b.mm(x, y), b.index_select(t, i, dim=0)),
            lambda x, y, t, i: x @ y + t[i.astype(int)],
            (x, y, Operand((5, n)), Operand((m,), int64, values=np.arange(m) % 5))),
        "turned": Product(
            lambda b, x, y, c: b.clone(b.transpose(b.add(b.mm(x, y), c), dim0=0, dim1=1)),
            lambda x, y, c: (x @ y + c).T, (x, y, bias)),
        "weighed": Product(
            lambda b, c, x, y: b.addmm(c, x, y, alpha=-2, beta=0.5),
            lambda c, x, y: 0.5 * c - 2 * (x @ y), (Operand((m, n), step=2), x, y)),
    }  # fmt: skip


def axes() -> dict[str, Product]:
    """Batches, and several axes at once."""
    sizes = {"z": 3, "a": 5, "b": 7, "c": 4, "d": 9, "k": 6, "l": 11}
    return {
        "bmm": spelled("zak", "zkd", "zad", sizes),
        "bmm of rows": spelled("zak", "zdk", "zad", sizes, float64),
        "many rows": spelled("zabk", "zdk", "zabd", sizes),
        "rows and columns": spelled("abk", "ckd", "abcd", sizes),
        "between each other": spelled("abk", "ckd", "cabd", sizes, x=(2, 0, 1)),
        "rows last": spelled("abk", "ckd", "dcab", sizes),
        "columns apart": spelled("ak", "ckd", "cad", sizes, y=(1, 0, 2)),
        "inner axes": spelled("akl", "ldk", "ad", sizes),
        "inner axes in order": spelled("akl", "kld", "ad", sizes),
        "inner axes at the end": spelled("akl", "dkl", "ad", sizes, bfloat16),
        "all kinds": spelled("zakbl", "lczkd", "zbcda", sizes),
        "batch inside": spelled("akz", "kdz", "zad", sizes, float16, x=(2, 0, 1), y=(0, 2, 1)),
        "matrix by vector": spelled("abk", "k", "ab", sizes),
        "vector by matrix": spelled("k", "kdb", "db", sizes),
        "attention": spelled("zakl", "zbkl", "zkab", {**sizes, "l": 33}),
        "one batch repeated": Product(
            lambda b, x, y: b.matmul(x, y), times, (Operand((3, 21, 19)), Operand((3, 19, 18), once=(0,)))),
        "rows repeated": Product(
            lambda b, x, y, s: b.mm(b.mul(x, s), y), lambda x, y, s: (x * s) @ y,
            (Operand((21, 19), once=(0,)), Operand((19, 18)), Operand((21, 1)))),
        "broadcast batches": Product(
            lambda b, x, y: b.matmul(x, y), times, (Operand((2, 1, 9, 19)), Operand((3, 19, 18)))),
        "turned batches": Product(
            lambda b, x, y: b.bmm(x, y), times, (Operand((3, 21, 19), order=(1, 0, 2)), Operand((3, 19, 18), order=(2, 0, 1)))),
        "spelled out": Product(
            lambda b, x, y: b.sum(b.mul(b.unsqueeze(x, dim=1), y), dim=-1),
            lambda x, y: x @ y.T, (Operand((19, 45)), Operand((37, 45)))),
    }  # fmt: skip


def windows() -> dict[str, Product]:
    return {
        "1-d": convolution((2, 4, 19), (6, 4, 3)),
        "2-d": convolution((2, 4, 7, 8), (17, 4, 3, 2)),
        "3-d": convolution((1, 2, 5, 6, 7), (3, 2, 2, 3, 2)),
        "strides": convolution((2, 4, 9, 8), (6, 4, 3, 2), float64, stride=(2, 3)),
        "gaps": convolution((2, 4, 9, 8), (6, 4, 3, 2), dilation=(2, 3)),
        "borders": convolution((2, 4, 7, 8), (6, 4, 3, 2), padding=(1, 2)),
        "groups": convolution((2, 6, 7, 8), (9, 2, 3, 2), groups=3),
        "points": convolution((2, 19, 5, 7), (21, 19, 1, 1)),
        "channels last": convolution((2, 19, 5, 7), (21, 19, 3, 3), order=(0, 2, 3, 1), padding=1),
        "halves": convolution((2, 4, 7, 8), (6, 4, 3, 2), bfloat16, padding=1),
        "all at once": convolution((2, 4, 13, 14), (6, 2, 3, 2), stride=2, padding=3, dilation=2, groups=2),
        "3-d all at once": convolution((1, 4, 5, 6, 7), (6, 2, 2, 3, 2), stride=2, padding=1, groups=2),
    }  # fmt: skip


def strange(shape: tuple[int, int], seed: int) -> np.ndarray:
    """Numbers, and some that are none."""
    g = np.random.default_rng(seed)
    values = g.standard_normal(shape)
    for value in (np.nan, np.inf, -np.inf, 0.0, -0.0):
        values[g.integers(0, shape[0]), g.integers(0, shape[1])] = value
    return values


def odd_numbers() -> dict[str, Product]:
    def product(m: int, n: int, k: int, dtype: DType, order: tuple[int, int] = (0, 1)) -> Product:
        return Product(mm, times, (
            Operand((m, k), dtype, values=strange((m, k), 1)), Operand((k, n), dtype, order, values=strange((k, n), 2))))  # fmt: skip

    return {
        "many rows": product(29, 37, 45, float32),
        "many rows turned": product(29, 37, 45, float64, (1, 0)),
        "few rows": product(5, 37, 53, float32, (1, 0)),
        "few rows read where they lie": product(5, 64, 45, float32),
        "halves": product(19, 37, 45, float16),
    }


def zoo() -> dict[str, Product]:
    return {
        **dict(products()),
        **{f"before, {k}": v for k, v in before(RIGHT, 33).items()},
        **{f"before turned, {k}": v for k, v in before(TURNED, 33).items()},
        **{f"before few rows, {k}": v for k, v in list(before(TURNED, 5).items())[::2]},
        **{f"after, {k}": v for k, v in after().items()},
        **{f"axes, {k}": v for k, v in axes().items()},
        **{f"windows, {k}": v for k, v in windows().items()},
        **{f"odd, {k}": v for k, v in odd_numbers().items()},
    }


@pytest.fixture(scope="module")
def prepared() -> dict[str, Prepared]:
    return {name: prepare(product, seed) for seed, (name, product) in enumerate(zoo().items())}


@pytest.mark.parametrize(
    ("level", "part"), [("host", slice(None)), ("x86-64-v3", slice(0, None, 2)), ("x86-64", slice(1, None, 2))]
)
def test_small_blocks(
    level: str, part: slice, prepared: dict[str, Prepared], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in SMALL.items():
        monkeypatch.setattr(blocking, name, value)
    monkeypatch.setattr(tasks, "_PRODUCT", 1e4)  # worth three threads
    chosen = dict(list(prepared.items())[part])
    library = compiled({name: p.case for name, p in chosen.items()}, tmp_path, level)
    for name, p in chosen.items():
        check(library, name, p)


def large() -> dict[str, Product]:
    """Products of as many tasks, panels and runs as the blocks of programs have."""
    return {
        "many panels": plain(130, 700, 600, float32, right=1),
        "many rows": plain(1300, 33, 1030),
        "doubles": plain(257, 130, 513, float64, left=1),
        "long sums": plain(40, 50, 8200, right=1),
        "few rows": plain(3, 300, 8193, right=1),
        "few rows of halves": plain(7, 90, 9000, bfloat16, right=1),
        "few rows read where they lie": plain(5, 1024, 1100),
        "an image": convolution((2, 8, 30, 31), (33, 8, 3, 3), padding=1),
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, dict[str, Prepared]]:
    prepared = {
        name: prepare(product, seed) for seed, (name, product) in enumerate({**large(), **magnitudes()}.items())
    }
    return compiled({name: p.case for name, p in prepared.items()}, tmp_path_factory.mktemp("whole"), "host"), prepared


@pytest.mark.parametrize("name", large())
def test_large_products(whole: tuple[Library, dict[str, Prepared]], name: str) -> None:
    library, prepared = whole
    check(library, name, prepared[name])


# --------------------------------------------------------------------------- accuracy


@functools.cache
def magnitudes() -> dict[str, Product]:
    """Products that lose digits, for each way in which sums are run: many rows, few, and few of lines."""

    def values(kind: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
        g = np.random.default_rng(seed)
        x = g.standard_normal(shape)
        if kind == "positive":
            return np.abs(x)
        if kind == "cancelling":
            return np.where(np.arange(shape[-1]) % 2, 1.0, -1.0) + x * 1e-3
        return x * np.exp(g.uniform(-20, 20, shape)) if kind == "wild" else x

    made = {}
    for kind, (way, m, n, k, order) in itertools.product(
        ("random", "positive", "cancelling", "wild"),
        (("blocks", 64, 64, 3000, (0, 1)), ("reading", 4, 64, 3000, (0, 1)), ("dots", 4, 64, 20000, (1, 0))),
    ):
        left, right = values(kind, (m, k), 1), values("positive" if kind == "cancelling" else kind, (k, n), 2)
        made[f"{kind}, {way}"] = Product(
            mm, times, (Operand((m, k), values=left), Operand((k, n), order=order, values=right))
        )
    return made


@pytest.mark.parametrize("name", magnitudes())
def test_sums_are_as_accurate_as_the_librarys(whole: tuple[Library, dict[str, Prepared]], name: str) -> None:
    """In the mean over a result: each error is of its own in another order of sums. Half a unit in the last place is none."""
    library, prepared = whole
    p = prepared[name]
    ((k, (_, shape, stride, exact)),) = p.results.items()
    left, right = (
        view(p.case.arrays[a.name], o.shape, o.stride) for a, o in zip(p.case.kernel.args, magnitudes()[name].operands)
    )

    def error(got: np.ndarray) -> float:
        return float(
            np.sqrt(np.mean(((got - exact) / (np.abs(left).astype(float) @ np.abs(right).astype(float))) ** 2))
        )

    ours = error(view(run(library, name, p, 2)[k], shape, stride))
    assert ours <= max(1.5 * error(left @ right), 2**-24) and ours < 2e-7


# --------------------------------------------------------------------------- blocks


@pytest.mark.parametrize("size", [4, 8])
@pytest.mark.parametrize("vector_bytes", [16, 32, 64])
def test_blocks_cover_a_product_and_fit_the_registers(vector_bytes: int, size: int) -> None:
    lanes, registers = vector_bytes // size, 16 if vector_bytes == 32 else 32
    for batch, rows, columns, inner in itertools.product(
        (1, 12), (1, 5, 8, 9, 29, 70, 1031), (1, 17, 64, 777), (1, 512, 8193)
    ):
        sizes = batch, rows, columns, inner
        for b in (
            blocking.choose_blocking(*sizes, size, vector_bytes),
            blocking.choose_reading(*sizes, size, vector_bytes),
            blocking.choose_dots(*sizes, size, vector_bytes),
        ):
            assert sum(n * often for n, often in b.rows.lengths) == rows
            assert sum(n * often for n, often in b.columns.lengths) == -(-columns // b.lanes) and b.lanes in (1, lanes)
            assert b.rows.size * b.columns.size + b.columns.size < registers
            assert b.down * b.task_rows >= b.rows.count > (b.down - 1) * b.task_rows
            assert 1 <= b.task_columns <= b.columns.count
            starts = itertools.accumulate(n for n, often in b.columns.lengths for _ in range(often - 1))
            assert not b.begins_whole(lanes) or all(n * b.lanes % lanes == 0 for n in starts)
            assert 1 <= b.run <= inner and b.width >= min(columns, b.task_columns * b.lanes)


def test_lanes_without_a_column_make_no_errors() -> None:
    """The roots of a row are taken of its own sums: behind them lie the next row's, which are negative where these are not."""
    signs = np.array([[1.0], [-1.0], [1.0], [-1.0], [1.0]])
    operands = (
        Operand((5, 53), values=signs * np.ones((1, 53))),
        Operand((53, 42), order=(1, 0), values=np.ones((53, 42))),
        Operand((5, 1), values=signs),
    )
    product = Product(lambda b, x, y, s: b.sqrt(b.mul(b.mm(x, y), s)), lambda x, y, s: np.sqrt(x @ y * s), operands)
    p = prepare(product, 0)
    made = emit(p.case.kernel, host_cpu().vector_bytes).text
    function = functions([made], notes_errors=True, label="errors")[made]
    segment = Segment([Call(function, tuple(range(4)))], notes_errors=True)
    arrays = [p.case.arrays[a.name] for a in p.case.kernel.args]
    given = packer(5, 0)(segment.address, *(a.ctypes.data for a in arrays))
    assert segment.run(given, 1) == 0
