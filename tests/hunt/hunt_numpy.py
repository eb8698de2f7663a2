"""The NumPy hunt: programs of NumPy functions over types, layouts, views, writes, changing sizes and numbers, special values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from hunt_steps import ArraySpec, Settings
from numpy_values import GROUND

import quern

POINTWISE = (
    "np.sin({a})", "np.exp({a})", "abs({a})", "np.sqrt({a})", "-{a}", "np.tanh({a})", "{a}.astype(np.float32)", "{a}.astype(np.int64)", "{a}.astype(np.int8)", "{a}.astype(bool)", "{a}.astype(np.float16)", "{a} > 0", "{a} * 2", "{a} + 1.5", "{a} // 2",
    "{a} % 3", "2 - {a}", "{a} / 3", "{a} ** 2", "{a} ** {i}", "2.0 ** {a}", "{a} ** 0.5", "{a}.copy()", "np.floor({a})", "np.round({a})", "np.round({a}, {i})", "np.trunc({a})", "np.where({a} > 0, {a}, 0)", "np.zeros_like({a})", "np.full_like({a}, {i})",
    "np.reciprocal({a})", "np.square({a})", "np.sign({a})", "np.logical_not({a})", "np.isnan({a})", "np.isfinite({a})", "np.signbit({a})", "np.clip({a}, -1, {i})", "np.clip({a}, None, k)", "~{a}", "{a} << 1", "np.log1p({a})", "np.expm1({a})", "np.arctan({a})", "np.nan_to_num({a})",
    "{a} * n", "{a} + k", "{a} - n", "{a} * k + n", "{a} / n", "{a} ** k", "{a} // n", "np.full({a}.shape, k)", "np.ones_like({a}, dtype=int)", "np.log({a})", "np.cbrt({a})", "np.rint({a})", "np.deg2rad({a})", "np.exp2({a})", "np.angle({a})", "{a}.real", "{a}.imag", "{a}.conj()", "np.spacing({a})",
    "np.positive({a})", "np.ascontiguousarray({a})", "np.asarray({a})", "np.array({a})", "np.array({a}, order='F')", "np.asfortranarray({a})", "np.fmod({a}, 3)", "np.select([{a} > 1, {a} < 0], [{a}, -{a}], k)", "np.piecewise({a}, [{a} > 0], [1, -1])", "np.heaviside({a}, k)", "np.float32(k) * {a}", "np.int8(2) + {a}", "np.float64(k) + {a}", "np.array(n) * {a}",
)  # fmt: skip
#: NumPy's diagonals by einsum read beyond arrays of no elements, so those get no rows
VIEWS = (
    "{a}.T", "{a}[1:]", "{a}[:-1]", "{a}[::2]", "{a}[::-1]", "{a}[..., ::-1]", "{a}[None]", "{a}.reshape(-1)", "{a}[0]", "{a}[-1]", "{a}.ravel()", "{a}[..., 0]", "{a}[..., 1:]", "np.squeeze({a})", "np.flip({a})", "np.flip({a}, {d})", "{a}[:, None]", "{a}.swapaxes(0, -1)", "{a}[...]", "{a}[()]",
    "{a}.flatten()", "{a}.ravel('F')", "{a}.reshape(-1, order='F')", "np.broadcast_to({a}, (2, *{a}.shape))", "np.roll({a}, 1)", "np.roll({a}, n, {d})", "np.rot90({a})", "np.rot90({a}, n)", "np.expand_dims({a}, {d})", "np.moveaxis({a}, 0, -1)", "np.concatenate([{a}, {b}])", "np.concatenate([{a}, {a}], {d})", "np.stack([{a}, {b}], {d})", "np.hstack([{a}, {b}])",
    "np.vstack([{a}, {b}])", "np.pad({a}, 1)", "np.pad({a}, 1, mode='edge')", "np.pad({a}, ((n, 0),) * {a}.ndim)", "np.tile({a}, 2)", "np.tile({a}, (n, 1))", "np.repeat({a}, 2, {d})", "np.repeat({a}, n)", "np.tril({a}, {i})", "np.triu({a})", "np.diagonal({a})", "np.diag({a})", "{a}.diagonal({i})", "np.split({a}, 2)[0]", "np.array_split({a}, 2, {d})[1]", "np.take({a}, 0, {d})",
    "np.take({a}, [0, -1], {d})", "np.take({a}, 1)", "{a}[n:]", "{a}[:n]", "{a}[..., n:]", "np.atleast_2d({a})", "np.fliplr({a})", "np.flipud({a})", "np.transpose({a})", "{a}.view()", "{a}.view(np.int64)", "np.einsum('ii->i', {a} if {a}.size else {a}[:, :0])", "np.einsum('ij->ji', {a})", "np.resize({a}, (2, 2))", "np.delete({a}, 0, {d})", "np.insert({a}, 0, k, {d})", "np.append({a}, {b})", "np.ravel({a}, order='K')",
    "np.lib.stride_tricks.sliding_window_view({a}, 2, {d})", "np.meshgrid({a}, {b})[0]", "np.broadcast_arrays({a}, {b})[0]", "np.column_stack([{a}, {b}])", "np.dstack([{a}, {b}])", "np.unstack({a})[0]", "{a}.squeeze({d})", "np.rollaxis({a}, {d})", "np.copy({a}, order='K')",
)  # fmt: skip
REDUCTIONS = (
    "{a}.sum(axis={d})", "{a}.mean(axis={d})", "{a}.max(axis={d})", "{a}.sum(axis=-1, keepdims=True)", "np.std({a}, axis={d})", "np.prod({a}, axis={d})", "{a}.min(axis=0)", "np.var({a}, axis={d}, ddof=1)", "np.cumsum({a}, axis={d})", "np.cumsum({a})", "np.cumprod({a}, axis={d})", "np.argmax({a}, axis={d})", "np.argmin({a}, axis=0)", "np.any({a}, axis={d})", "np.all({a}, axis=0)",
    "np.sort({a}, axis={d})", "np.sort({a}, axis=None)", "np.argsort({a}, axis={d}, kind='stable')", "np.median({a}, axis={d})", "np.percentile({a}, 30, axis={d})", "np.quantile({a}, 0.3)", "np.ptp({a}, axis={d})", "np.diff({a}, axis={d})", "np.diff({a}, n=2)", "np.gradient({a}, axis={d})", "np.nansum({a}, axis={d})", "np.nanmax({a}, axis={d})", "np.nanmean({a}, axis={d})", "np.average({a}, axis={d})",
    "np.linalg.norm({a}, axis={d})", "np.linalg.norm({a})", "np.count_nonzero({a}, axis={d})", "np.trace({a})", "np.maximum.accumulate({a}, axis={d})", "np.add.reduce({a}, axis={d})", "np.multiply.reduce({a})", "np.logical_or.reduce({a}, axis={d})", "{a}.sum(axis={d}, dtype=np.float32)", "{a}.mean(keepdims=True)", "np.sum({a}, axis={d}, where={a} > 0)", "np.max({a}, axis={d}, initial=k)",
    "np.trapezoid({a}, axis={d})", "np.convolve({a}, {b})", "np.interp({a}, [0, 1, 2], [k, 1, n])", "np.histogram({a}, 4, (-2, 2))[0]", "np.bincount(abs({a}).astype(int).ravel() % 5)", "np.digitize({a}, [-1, 0, 1])", "np.searchsorted(np.sort({a}), {b})", "np.cov({a})", "np.corrcoef({a})", "np.linalg.det({a})", "np.linalg.inv({a})", "np.unique({a})",
    "np.fft.fft({a}, axis={d})", "np.fft.rfft({a}, axis={d})", "np.fft.ifft2({a})", "np.fft.fftshift({a})", "np.linalg.svd({a}, compute_uv=False)", "np.linalg.slogdet({a})[1]", "np.linalg.matrix_power({a}, 2)", "np.modf({a})[{i}]", "np.divmod({a}, {b})[1]",
)  # fmt: skip
#: of arrays of three axes NumPy makes a product for each pair of rows, we one of matrices: where a term overflows that differs
BINARY = (
    "{a} + {b}", "{a} * {b}", "{a} - {b}", "{a} / {b}", "{a} // {b}", "{a} % {b}", "{a} ** {b}", "np.maximum({a}, {b})", "np.fmin({a}, {b})", "np.where({a} > {b}, {b}, {a})", "np.where({c} > 0, {a}, {b})", "np.hypot({a}, {b})", "np.arctan2({a}, {b})", "{a} < {b}", "{a} == {b}", "{a} != {b}", "{a} & ({b} > 0)", "{a} | {b}", "{a} ^ {b}", "np.logical_and({a}, {b})",
    "np.copysign({a}, {b})", "np.nextafter({a}, {b})", "{a} @ {b}.T", "{a} @ {b}", "np.dot({a}, {b}) if {a}.ndim < 3 > {b}.ndim else np.dot(np.tanh({a}), np.tanh({b}))", "np.outer({a}, {b})", "np.inner({a}, {b}) if {a}.ndim < 3 > {b}.ndim else np.inner(np.tanh({a}), np.tanh({b}))", "np.tensordot({a}, {b}, 1)", "np.einsum('...i,...i->...', {a}, {b})", "np.fmod({a}, {b})", "np.divmod({a}, {b})[0]", "np.float_power({a}, {b})", "np.logaddexp({a}, {b})", "np.isclose({a}, {b})", "np.add.outer({a}, {b})", "np.subtract.outer({a}, {b})",
    "np.multiply({a}, {b}, dtype=np.float64)", "np.add({a}, {b}, where={a} > 0, out=np.zeros(np.broadcast_shapes({a}.shape, {b}.shape)))", "np.left_shift({a}, 1)", "np.gcd({a}, {b})", "np.cross({a}[..., :3], {b}[..., :3])", "np.kron({a}, {b})", "np.ldexp({a}, 2)", "np.isin({a}, {b})", "np.clip({a}, {b}, {c})", "np.vdot({a}, {b})", "np.matmul({a}, {b})", "np.polyval([1, k, n], {a})", "np.linalg.solve({a}, {b})",
)  # fmt: skip
INDEXING = (
    "{a}[{b} > 0]", "{a}[abs({b}).astype(int) % {a}.shape[0]]", "{a}[[0, -1, 0]]", "{a}[..., [[0], [-1]]]", "{a}[[0, 0], [0, -1]]", "{a}[:, [0, 0, -1]]", "{a}[np.array(0)]", "{a}[np.ones({a}.shape[0], bool)]", "{a}[0, ..., [0]]", "{a}[[0], :, [-1]]", "{a}[None, [0, -1]]", "{a}[np.ix_([0, -1], [0])]", "np.take_along_axis({a}, np.argsort({a}, axis={d}), {d})", "np.compress([True, False], {a}, {d})",
    "np.extract({a} > 0, {a})", "np.choose(({a} > 0).astype(int), [{b}, {c}])", "np.nonzero({a})[0]", "np.argwhere({a} > 0)", "np.flatnonzero({a})", "np.arange(n, 5) * {a}.sum()", "np.linspace(0, k, 4) + {a}.mean()", "np.eye(n + 2)", "np.tri(3, k=n)", "np.zeros((n + 2, 2)) + k", "{a}[True]", "{a}[n]", "{a}[..., n]", "{a}.item(0) * {b}", "float({a}.sum()) + {b}", "np.array([n, k]) * {a}[..., :1]", "np.indices({a}.shape)[0]",
)  # fmt: skip
#: NumPy itself crashes where a running sum is to be written into an array of no axes, so that one gets an axis. Whether an
#: array may be resized is not to depend on how many frames hold it: behind a graph break those are more than in plain Python
WRITES = (
    "!{a} += {b}", "!{a} *= 0.5", "!{a}[...] = {b}", "!{a}[0] = 1.5", "!{a}[..., -1] = 0", "!{a}[{b} > 0.3] = 0.25", "!{a}[::2] -= 1", "!np.add({a}, 1, out={a})", "!{a}.fill(k)", "!{a}[-1] *= 2", "!{a}[1:] = {a}[:-1]", "!{a}[1:] += {a}[:-1]", "!{a}[{a} < 0] += 1", "!{a} -= {a}.mean()", "!{a}[[0, 0]] += 1", "!np.add.at({a}, [0, 0], 1)", "!{a}.T[0] = k", "!{a}.sort()", "!{a}[::-1] += {a}", "!np.multiply({a}, {b}, out={a})",
    "!{a}[n:] = 0", "!{a}[..., :n] = {i}", "!np.copyto({a}, {b})", "!np.copyto({a}, k, where={b} > 0)", "!np.put({a}, [0, -1], {i})", "!np.fill_diagonal({a}, k)", "!{a}.reshape(-1)[0] = {i}", "!{a}.flat[0] = {i}", "!{a}[0], {a}[-1] = {a}[-1].copy(), {a}[0].copy()", "!np.clip({a}, -1, 1, out={a})", "!np.put_along_axis({a}, np.argmax({a}, {d}, keepdims=True), 0, {d})", "!{a} //= 2", "!{a} **= 2", "!{a} @= {b}", "!{a} %= 3", "!{a}.itemset", "!np.cumsum({b}, axis=0, out=np.atleast_1d({a}))",
    "!np.place({a}, {a} > 0, [k])", "!np.putmask({a}, {a} < 0, {b})", "!{a}.partition(0)", "!{a}.resize((2, 2), refcheck=False)", "!{a}[:, 0] = {b}[0]", "!{a}[[0, -1]] = {a}[[-1, 0]]", "!np.einsum('ii->i', {a} if {a}.size else {a}[:, :0])[...] = k", "!{a}.real[...] = {i}", "!{a}.setflags(write=False)", "!{a}.ravel()[1:] = k", "!np.diagonal({a})[...] = 1", "!{a}[{b} > 0] = {b}[{b} > 0]",
)  # fmt: skip
#: functions whose results are each made of many terms
JOINS = re.compile(r"sum|mean|std|var|prod|average|norm|trapezoid|convolve|cov|corrcoef|det|inv|solve|@|dot|inner|matmul|cross|trace|interp"
                   r"|gradient|reduce|polyval|fft|svd|matrix_power|add\.at|quantile|percentile|median|accumulate| \* k \+ n")  # fmt: skip
#: functions that read the limits of their operands' type
TYPED = re.compile(r"nan_to_num|spacing|nextafter")
TEMPLATES = POINTWISE + VIEWS * 2 + REDUCTIONS + BINARY + INDEXING + WRITES * 2
DTYPES = (
    "float64",
    "float64",
    "float64",
    "float32",
    "int64",
    "int32",
    "bool",
    "uint8",
    "int8",
    "float16",
    "complex128",
)
SHAPES = ((), (1,), (5,), (3, 4), (4, 1), (2, 3, 4), (1, 4), (17, 3), (0, 3), (33,), (4, 4), (2, 2, 2), (2, 3, 3, 3))


class NumpyArrays:
    """NumPy arrays (see `hunt_steps.Arrays`)."""

    names = {"np": np, "math": math}
    refused = (Exception,)
    parts = GROUND.parts
    joins = frozenset(t for t in TEMPLATES if JOINS.search(t))
    typed = frozenset(t for t in TEMPLATES if TYPED.search(t))
    leaving: frozenset[str] = frozenset()

    def make(self, spec: ArraySpec) -> np.ndarray:
        shape, layout = spec.shape, spec.layout
        if layout == "transposed" and shape:
            return _values(spec, shape[::-1]).T
        if layout == "sliced" and shape:
            return _values(spec, (*shape[:-1], shape[-1] * 2))[..., ::2]
        if layout == "expanded" and len(shape) > 1:
            return np.broadcast_to(_values(spec, (1, *shape[1:])), shape)
        if layout == "offset" and shape:
            return _values(spec, (shape[0] + 1, *shape[1:]))[1:]
        if layout == "last" and shape:
            return _values(spec, shape)[::-1]
        return _values(spec, shape)

    def is_array(self, value: Any) -> bool:
        return isinstance(value, np.ndarray | np.generic)

    def size(self, value: Any) -> tuple[int, int]:
        return value.size, value.ndim

    def noise(self, seed: int) -> np.random.Generator:
        return np.random.default_rng(seed)

    def is_float(self, value: Any) -> bool:
        return self.is_array(value) and value.dtype.kind in "fc"

    def copy(self, value: Any, wide: bool = False) -> Any:
        copied = np.copy(value, order="K")
        if wide and self.is_float(value):
            copied = copied.astype(np.clongdouble if value.dtype.kind == "c" else np.longdouble)
        return copied if isinstance(value, np.ndarray) else copied[()]

    def floating(self, value: Any) -> Any:
        return value.astype(np.float64) if isinstance(value, np.ndarray) and value.dtype.kind in "iu" else value

    def cancelled(self, value: Any, made: Any) -> Any:
        if not self.is_float(made) or made.shape != value.shape:
            return made
        return np.where(np.abs(made - value) >= np.abs(value), np.zeros_like(made), made)

    def assign(self, value: Any, made: Any) -> Any:
        if not self.is_float(made) or made.shape != value.shape or (made.dtype.kind, value.dtype.kind) == ("c", "f"):
            return value
        return _written(value, lambda array: np.copyto(array, made, casting="unsafe"))

    def unbounded(self, value: Any) -> Any:
        return np.where(np.isinf(np.square(value)), value * np.inf, value)

    def bounded(self, value: Any) -> Any:
        return value

    def disturb(self, value: Any, rng: np.random.Generator, negative: bool) -> Any:
        def write(array: np.ndarray) -> None:
            # one way or the other, never left alone: what reads a result's bits must be seen to depend on its last one
            u = rng.choice((-2, -1, 1, 2), array.shape)
            array *= (1 + np.finfo(array.dtype).eps * u).astype(array.dtype)
            for part in (array.real, array.imag) if array.dtype.kind == "c" else (array,):
                np.copysign(part, -1 if negative else 1, out=part, where=np.isnan(part))

        return _written(value, write)

    def share(self, one: Any, other: Any) -> bool:
        return np.may_share_memory(one, other)

    def lent(self, value: Any) -> int:
        owner = value
        while (base := getattr(owner, "base", None)) is not None:
            owner = base
        return 0 if owner is value or not isinstance(owner, np.ndarray) else owner.nbytes

    def compile(self, function: Callable[..., Any], settings: Settings) -> Callable[..., Any]:
        quern.reset()
        return quern.compile(function, backend=settings.backend, dynamic=settings.dynamic)


def _written(value: Any, write: Callable[[np.ndarray], None]) -> Any:
    """The array after it was written to; of a number another one."""
    if not isinstance(value, np.ndarray):
        write(array := np.array(value))
        return array[()]
    if value.flags.writeable:
        write(value)
    return value


def _values(spec: ArraySpec, shape: tuple[int, ...]) -> np.ndarray:
    dtype = np.dtype(spec.dtype)
    rng = np.random.default_rng(spec.seed)
    small = rng.integers(-8, 9, shape)
    if dtype.kind == "b":
        return np.asarray(small > 0)
    made = np.asarray((abs(small) if dtype.kind == "u" else small).astype(dtype))
    if dtype.kind in "fc":
        made = np.asarray(made * dtype.type(0.5) + rng.random(shape).astype(dtype) * (spec.seed % 2))
    if spec.special and made.size:
        limits = np.finfo(dtype) if dtype.kind in "fc" else np.iinfo(dtype)
        chosen = [limits.max, limits.min, 0, 1]
        if dtype.kind == "i" and dtype.itemsize > 2:
            # one end alone: of a float sum of both nothing is left but what its order made of the rest
            del chosen[rng.integers(2)]
        if dtype.kind in "fc":
            chosen += [math.inf, -math.inf, math.nan, -0.0, limits.tiny, limits.eps]
        for _ in range(min(len(chosen), made.size)):
            made.reshape(-1)[rng.integers(made.size)] = chosen[rng.integers(len(chosen))]
    return made
