"""The oracle for kernels: a NumPy interpreter of `kernel.Kernel`, slow, plain, and independent of both code generators.

The whole index space is one NumPy broadcast: axis k belongs to the k-th loop variable (outer ones first), and an
expression's value has size 1 along the axes that it does not depend on. An index outside its buffer raises
IndexError, so the oracle also checks bounds.

Arrays are flat, one element per storage position. bfloat16 has no NumPy dtype: such an array holds the raw bits as
uint16 (`to_bfloat16_bits`, `from_bfloat16_bits`), and values in flight are float32 that were rounded to bfloat16.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..errors import InternalError
from .dtypes import DType, bfloat16
from .graph import Dim
from .kernel import Kernel
from .loops import Expr, FloorDiv, Index, Indirect, Mod, Var, postorder
from .loops.reducers import REDUCERS, Reducer
from .ops.scalar import SCALAR


def to_bfloat16_bits(values: np.ndarray) -> np.ndarray:
    """Round float32 to bfloat16 (half to even); NaN stays NaN. Returns uint16 bits."""
    bits = np.asarray(values, np.float32, order="C").view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded.astype(np.uint16)).astype(np.uint16)


def from_bfloat16_bits(bits: np.ndarray) -> np.ndarray:
    """uint16 bits of bfloat16 as float32."""
    return (np.asarray(bits, np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)


def numpy_dtype(dtype: DType) -> np.dtype:
    """The NumPy dtype in which values of `dtype` are computed here."""
    return np.dtype(np.float32 if dtype == bfloat16 else dtype.name)


def convert(value: np.ndarray, dtype: DType) -> np.ndarray:
    """`value` as `dtype`, as C converts: bool is != 0, float to int truncates; out of range is unspecified."""
    if dtype.kind == "bool":
        return value != 0
    if dtype == bfloat16:
        return from_bfloat16_bits(to_bfloat16_bits(value.astype(np.float32)))
    return value.astype(numpy_dtype(dtype))


def _lifted(name: str) -> Callable[..., np.ndarray]:
    """A scalar op's Python meaning, applied element by element."""
    meaning, result = SCALAR[name].python, SCALAR[name].result

    def call(*args: np.ndarray) -> np.ndarray:
        values = np.broadcast_arrays(*args)
        flat = [meaning(*(x.item() for x in point)) for point in zip(*(v.reshape(-1) for v in values))]
        dtype = np.dtype(bool) if result == "bool" else args[-1].dtype
        return np.array(flat, dtype=dtype).reshape(values[0].shape)

    return call


def _int_floordiv(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.where(b == 0, 0, np.floor_divide(a, np.where(b == 0, 1, b))).astype(a.dtype)


def _floordiv(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _int_floordiv(a, b) if a.dtype.kind in "iu" else _lifted("floordiv")(a, b)


def _mod(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu":
        return np.where(b == 0, 0, np.mod(a, np.where(b == 0, 1, b))).astype(a.dtype)
    return _lifted("mod")(a, b)


def _fmod(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    if a.dtype.kind in "iu":
        return np.where(b == 0, 0, np.fmod(a, np.where(b == 0, 1, b))).astype(a.dtype)
    return np.fmod(a, b)


def _pow(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _lifted("pow")(a, b) if a.dtype.kind in "iu" and (b < 0).any() else np.power(a, b)


#: NumPy's function where it agrees with the scalar op's meaning; all others are applied element by element
_VECTOR: dict[str, Callable[..., np.ndarray]] = {
    "exp": np.exp, "exp2": np.exp2, "expm1": np.expm1, "log": np.log, "log2": np.log2, "log10": np.log10,
    "log1p": np.log1p, "sqrt": np.sqrt, "rsqrt": lambda x: (1 / np.sqrt(x)).astype(x.dtype),
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh,
    "atanh": np.arctanh, "sigmoid": lambda x: (1 / (1 + np.exp(-x))).astype(x.dtype),
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint,
    "isnan": np.isnan, "isinf": np.isinf, "signbit": np.signbit,
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "not": np.invert,
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "floordiv": _floordiv, "mod": _mod,
    "fmod": _fmod, "pow": _pow, "atan2": np.arctan2, "hypot": np.hypot, "copysign": np.copysign,
    "nextafter": np.nextafter, "max": np.maximum, "min": np.minimum, "fmax": np.fmax, "fmin": np.fmin,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "shl": np.left_shift, "shr": np.right_shift,
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "where": np.where, "fma": lambda a, b, c: a * b + c,
}  # fmt: skip


def apply_scalar(name: str, *args: np.ndarray) -> np.ndarray:
    """A scalar op over arrays. Raises KeyError for an unknown name."""
    function = _VECTOR.get(name) or _lifted(name)
    with np.errstate(all="ignore"):
        return function(*args)


def _row(kind: str, v: np.ndarray) -> Reducer:
    row = REDUCERS[kind]
    return REDUCERS[row.truths] if v.dtype.kind == "b" else row


def _join(row: Reducer, v: np.ndarray) -> np.ndarray:
    """The last axis joined into one element; floats in double precision where joining them rounds."""
    if row.is_position:
        find = {"lowest": np.argmax, "highest": np.argmin}[row.neutral]
        return find(v, axis=-1, keepdims=True).astype(np.int64)
    if row.finish == "truth":
        v = v != 0
    wide = v if row.exact or v.dtype.kind != "f" else v.astype(np.float64)
    combine = _VECTOR.get(row.combine)
    if isinstance(combine, np.ufunc):
        return combine.reduce(wide, axis=-1, keepdims=True, dtype=wide.dtype).astype(v.dtype)
    parts = (wide[..., k : k + 1] for k in range(wide.shape[-1]))
    return functools.reduce(lambda a, b: apply_scalar(row.combine, a, b), parts).astype(v.dtype)


def _prefixes(row: Reducer, v: np.ndarray) -> np.ndarray:
    combine = _VECTOR.get(row.combine)
    if isinstance(combine, np.ufunc):
        return combine.accumulate(v, axis=-1, dtype=v.dtype)
    parts = (v[..., k : k + 1] for k in range(v.shape[-1]))
    return np.concatenate(list(itertools.accumulate(parts, lambda a, b: apply_scalar(row.combine, a, b))), axis=-1)


class _Run:
    """One interpretation: values of expressions, by identity and by the mask under which their loads happen."""

    def __init__(self, kernel: Kernel, arrays: Mapping[str, np.ndarray], symbols: Mapping[str, int]) -> None:
        self.kernel, self.arrays, self.symbols = kernel, arrays, symbols
        self.dtypes = {b.name: b.dtype for b in kernel.args}
        below = postorder([root for s in kernel.stores for root in s.roots])
        own = tuple(dict.fromkeys(e.attr for e in below if e.op == "dot"))
        variables = (*kernel.p, *kernel.r, *own)
        self.own = len(own)
        self.extents = tuple(self.size(v.extent) for v in variables)
        self.axis = {v: k for k, v in enumerate(variables)}
        self.values: dict[tuple[int, int], np.ndarray] = {}
        self.masks: list[np.ndarray] = []  # kept alive: masks are told apart by id

    def size(self, d: Dim) -> int:
        """A size as an int, symbols replaced by their values."""
        if isinstance(d, int):
            return d
        return int(d.subs({s: self.symbols[s.name] for s in d.free_symbols}))

    def index(self, i: Index, mask: np.ndarray | None) -> np.ndarray:
        total: Any = np.full((1,) * len(self.extents), self.size(i.const), np.int64)
        for atom, c in i.terms:
            if isinstance(atom, Var):
                axis = self.axis[atom]
                shape = [1] * len(self.extents)
                shape[axis] = self.extents[axis]
                part: Any = np.arange(self.extents[axis], dtype=np.int64).reshape(shape)
            elif isinstance(atom, FloorDiv):
                part = self.index(atom.base, mask) // self.size(atom.divisor)
            elif isinstance(atom, Mod):
                part = self.index(atom.base, mask) % self.size(atom.divisor)
            elif isinstance(atom, Indirect):
                part = self.value(atom.value, mask).astype(np.int64)
            else:
                raise InternalError(f"[reference] unknown index atom {atom!r}")
            total = total + self.size(c) * part
        return total

    def value(self, e: Expr, mask: np.ndarray | None) -> np.ndarray:
        key = (id(e), id(mask))
        if key not in self.values:
            self.values[key] = self.compute(e, mask)
        return self.values[key]

    def compute(self, e: Expr, mask: np.ndarray | None) -> np.ndarray:
        if e.op == "const":
            number = e.attr if isinstance(e.attr, (bool, int, float)) else self.size(e.attr)
            unit = (1,) * len(self.extents)
            return convert(np.full(unit, number), e.dtype) if e.dtype != bfloat16 else np.full(unit, number, np.float32)
        if e.op == "index":
            return self.index(e.attr, mask)
        if e.op == "load":
            return self.load(e, mask)
        if e.op == "masked":
            cond = self.value(e.args[0], mask)
            inner = cond if mask is None else cond & mask
            self.masks.append(inner)
            return np.where(cond, self.value(e.args[1], inner), self.value(e.args[2], mask))
        args = [self.value(a, mask) for a in e.args]
        if e.op == "cast":
            with np.errstate(all="ignore"):
                return convert(args[0], e.dtype)
        if e.op == "reduce":
            return self.reduced(e.attr, args[0])
        if e.op == "scan":
            return self.scanned(e.attr, args[0])
        if e.op == "dot":
            return args[0].sum(axis=self.axis[e.attr], keepdims=True, dtype=np.float64).astype(args[0].dtype)
        if e.op == "attend":
            return self.attended(e.attr, *args)
        return apply_scalar(e.op, *args)

    def load(self, e: Expr, mask: np.ndarray | None) -> np.ndarray:
        name, index = e.attr
        at = self.index(index, mask)
        array = self.arrays[name]
        outside = (at < 0) | (at >= array.size)
        if mask is not None:
            outside = outside & mask
        if outside.any():
            raise IndexError(f"{self.kernel.name} loads {name}[{index}] outside its {array.size} elements")
        if array.size == 0:
            return np.zeros(at.shape, numpy_dtype(e.dtype))
        got = array[np.clip(at, 0, array.size - 1)]
        return from_bfloat16_bits(got) if self.dtypes[name] == bfloat16 else got

    def flat_r(self, v: np.ndarray) -> np.ndarray:
        """`v` with its reduction axes at full size and merged into one last axis."""
        p = len(self.kernel.p)
        r = self.extents[p : p + len(self.kernel.r)]
        full = np.broadcast_to(v, v.shape[:p] + r + (1,) * self.own)
        return full.reshape(*full.shape[:p], math.prod(r))

    def reduced(self, kind: str, v: np.ndarray) -> np.ndarray:
        flat = self.flat_r(v)
        with np.errstate(all="ignore"):
            out = _join(_row(kind, flat), flat)
        return out.reshape(out.shape[:-1] + (1,) * (len(self.kernel.r) + self.own))

    def attended(self, empty: str, score: np.ndarray, value: np.ndarray) -> np.ndarray:
        scores, values = (self.flat_r(x).astype(np.float64) for x in (score, value))
        with np.errstate(all="ignore"):
            most = scores.max(-1, keepdims=True)
            weights = np.exp(scores - most)
            mean = (weights * values).sum(-1, keepdims=True) / weights.sum(-1, keepdims=True)
        if empty == "zero":
            mean = np.where(most == -np.inf, 0.0, mean)
        return mean.astype(value.dtype).reshape(mean.shape[:-1] + (1,) * (len(self.kernel.r) + self.own))

    def scanned(self, kind: str, v: np.ndarray) -> np.ndarray:
        flat = self.flat_r(v)
        with np.errstate(all="ignore"):
            out = _prefixes(_row(kind, flat), flat)
        p, r = len(self.kernel.p), len(self.kernel.r)
        return out.reshape(flat.shape[:-1] + self.extents[p : p + r] + (1,) * self.own)


def run_kernel(kernel: Kernel, arrays: Mapping[str, np.ndarray], symbols: Mapping[str, int] | None = None) -> None:
    """Run `kernel`, writing its results into `arrays` (flat, by buffer name; bfloat16 as uint16 bits).

    All values are computed before any is stored. symbols: values of the kernel's size symbols by name.
    Raises IndexError for a load or store outside a buffer, KeyError for a missing array.
    """
    run = _Run(kernel, arrays, symbols or {})
    if math.prod(run.extents[: len(kernel.p)]) == 0:
        return
    results = [(s, run.index(s.index, None), run.value(s.value, None)) for s in kernel.stores]
    for store, at, value in results:
        array, dtype = arrays[store.buffer], run.dtypes[store.buffer]
        p, own = len(kernel.p), (1,) * run.own
        along_r = at.shape[p:] if store.mode == "store" else ()
        points = run.extents[:p] + (along_r or (1,) * len(kernel.r) + own)
        if store.value.varies_in_r:
            points = run.extents[: p + len(kernel.r)] + own
        at = np.broadcast_to(at, points)
        value = np.broadcast_to(value, points)
        if at.size and (at.min() < 0 or at.max() >= array.size):
            raise IndexError(f"{kernel.name} stores {store.buffer}[{store.index}] outside its {array.size} elements")
        at, value = at.reshape(-1), value.reshape(-1)
        if dtype != bfloat16:
            value = convert(value, dtype)
            if store.mode == "add":
                np.add.at(array, at, value)
            elif store.mode == "or":
                np.logical_or.at(array, at, value)
            else:
                array[at] = value
        elif store.mode == "add":
            total = from_bfloat16_bits(array)
            np.add.at(total, at, value)
            array[:] = to_bfloat16_bits(total)
        else:
            array[at] = to_bfloat16_bits(value)
