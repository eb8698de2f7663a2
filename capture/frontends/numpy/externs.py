"""NumPy functions that run as they are inside of a graph: what sorts, searches, transforms and factorises.

A rule says what the function gives: a list of (shape, dtype), one for each result; layouts are row by row, or told. Everything else about the call is
written into the graph as it stands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ....inductor.graph import Dim, Input
from . import layout
from .arrays import Array, any_array, unsupported
from .builder import ArrayBuilder
from .shaping import integer, ravel, roll, sizes, wrap_axis

Results = list[tuple[Sequence[Dim], np.dtype]]
_INT64, _BOOL, _FLOAT64 = np.dtype(np.int64), np.dtype(bool), np.dtype(np.float64)


#: strides of a new array of a shape
Layout = Callable[[Sequence[Dim]], tuple[Dim, ...]]


def call_numpy(b: ArrayBuilder, target: str, args: Sequence[Any], kwargs: dict[str, Any], results: Results,
               laid_out: Layout = layout.c_strides) -> Any:  # fmt: skip
    """`target(*args, **kwargs)` as one node; arrays among the arguments are its inputs."""
    arrays: list[Array] = []

    def place(value: Any) -> Any:
        if isinstance(value, Array):
            arrays.append(value)
            return Input(len(arrays) - 1)
        if any_array(value):
            raise unsupported(f"np.{target.partition(':')[2]} with arrays inside of a list")
        return value

    template = [place(a) for a in args]
    named = {k: place(v) for k, v in kwargs.items() if v is not None}
    if len(results) == 1:
        shape, dtype = results[0]
        return b.extern(target, arrays, template, shape, dtype, strides=laid_out(shape), kwargs=named)
    return b.extern_several(target, arrays, template, [b.meta(s, d, laid_out(s)) for s, d in results], named)


# --------------------------------------------------------------------------- sorting and searching


def _ordered(name: str, dtype: np.dtype | None) -> Callable[..., Any]:
    """Functions along one axis (None: flattened) that keep the shape."""

    def apply(b: ArrayBuilder, a: Any, *args: Any, axis: Any = -1, kind: Any = None, order: Any = None,
              stable: Any = None) -> Any:  # fmt: skip
        x = b.lift(a)
        needed = 1 if "partition" in name else 0
        rest = list(args[needed:])
        axis = rest.pop(0) if rest else axis
        if rest or order is not None or x.kind == "c":
            raise unsupported(f"np.{name} with these arguments")
        if axis is None:
            x, axis = ravel(b, x), -1
        axis = wrap_axis(axis, x.ndim)
        made = call_numpy(b, f"numpy:{name}", [x, *args[:needed], axis], {"kind": kind, "stable": stable},
                          [(x.shape, dtype or x.dtype)])  # fmt: skip
        strides = layout.order_strides(x.shape, x.strides, "K")
        return (
            made
            if dtype is not None or made.strides == strides
            else b.copy(made, "C")
            if not made.ndim
            else _laid_out(b, made, strides)
        )

    return apply


def _laid_out(b: ArrayBuilder, a: Array, strides: Sequence[Dim]) -> Array:
    return b.fresh(b.emit("restride", b.node(a), stride=tuple(strides)))


sort, partition = _ordered("sort", None), _ordered("partition", None)
argsort, argpartition = _ordered("argsort", _INT64), _ordered("argpartition", _INT64)


def sort_method(b: ArrayBuilder, a: Array, *args: Any, **kwargs: Any) -> None:
    """`a.sort()`, in place."""
    b.write(a, sort(b, a, *args, **kwargs))


def searchsorted(b: ArrayBuilder, a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    if sorter is not None:
        raise unsupported("np.searchsorted with sorter=")
    x, values = b.lift(a), b.lift(v)
    return call_numpy(b, "numpy:searchsorted", [x, values, side], {}, [(values.shape, _INT64)])


def digitize(b: ArrayBuilder, x: Any, bins: Any, right: bool = False) -> Any:
    values, edges = b.lift(x), b.lift(bins)
    return call_numpy(b, "numpy:digitize", [values, edges, bool(right)], {}, [(values.shape, _INT64)])


def isin(b: ArrayBuilder, element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *,
         kind: Any = None) -> Any:  # fmt: skip
    x = b.lift(element)
    call = [x, b.lift(test_elements), bool(assume_unique), bool(invert)]
    made = call_numpy(b, "numpy:isin", call, {"kind": kind}, [(x.shape, _BOOL)])
    made.scalar = False  # an array even of one number
    return made


def interp(b: ArrayBuilder, x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    values, positions, heights = b.lift(x), b.lift(xp), b.lift(fp)
    if "c" in (values.kind, heights.kind) or any_array([left, right, period]):
        raise unsupported("np.interp with complex values or computed bounds")
    return call_numpy(
        b, "numpy:interp", [values, positions, heights, left, right, period], {}, [(values.shape, _FLOAT64)]
    )


def histogram(
    b: ArrayBuilder, a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> Any:
    x = b.lift(a)
    if isinstance(bins, Array) and bins.ndim == 1 and weights is None and density in (None, True, False):
        size = b.static(bins.shape[0])
        counts = call_numpy(b, "quern.capture.frontends.numpy.checks:histogram_counts", [x, bins, bool(density)], {},
                            [((size - 1,), _FLOAT64 if density else _INT64)])  # fmt: skip
        return counts, bins
    if not isinstance(bins, (int, np.integer)) or range is None or density or weights is not None or any_array(range):
        raise unsupported("np.histogram without a number of bins and a range", why="its edges depend on the data")
    edges = np.result_type(*range, x.dtype, 0.0) if x.kind == "f" else _FLOAT64
    if edges != _FLOAT64:
        raise unsupported(f"np.histogram of {x.dtype}")
    results: Results = [((int(bins),), _INT64), ((int(bins) + 1,), _FLOAT64)]
    return call_numpy(b, "numpy:histogram", [x, int(bins), tuple(range)], {}, results)


def convolution(name: str) -> Callable[..., Any]:
    """np.convolve (mode "full" unless given) and np.correlate (mode "valid")."""

    def apply(b: ArrayBuilder, a: Any, v: Any, mode: str = "full" if name == "convolve" else "valid") -> Any:
        x, y = b.lift(a), b.lift(v)
        if x.ndim != 1 or y.ndim != 1 or mode not in ("full", "same", "valid"):
            raise unsupported(f"np.{name} with these arguments")
        n, m = x.shape[0], y.shape[0]
        if not isinstance(n, int) or not isinstance(m, int):
            raise unsupported(f"np.{name} of arrays whose size is dynamic")
        if not n or not m:
            raise ValueError("v cannot be empty" if n else "a cannot be empty")
        size = {"full": n + m - 1, "same": max(n, m), "valid": max(n, m) - min(n, m) + 1}[mode]
        return call_numpy(b, f"numpy:{name}", [x, y, mode], {}, [((size,), np.result_type(x.dtype, y.dtype))])

    return apply


# --------------------------------------------------------------------------- np.linalg


def _square(a: Array) -> None:
    if a.ndim < 2 or not layout.same(a.shape[-1], a.shape[-2]):
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")


def _factor(name: str, rule: Callable[..., Results], square: bool = True, named: Any = None) -> Callable[..., Any]:
    """A function of one matrix, or a stack of them. `rule(shape, dtype, *args)`; `named()` gives a
    result of the named tuple that the function returns.
    """

    def apply(b: ArrayBuilder, a: Any, *args: Any, **kwargs: Any) -> Any:
        x = b.lift(a)
        if square:
            _square(x)
        if x.ndim < 2:
            raise np.linalg.LinAlgError(f"{x.ndim}-dimensional array given. Array must be at least two-dimensional")
        dtype = _FLOAT64 if x.kind in "biu" else x.dtype
        if dtype.kind != "f" or dtype == np.float16 or any_array([args, list(kwargs.values())]):
            raise unsupported(f"np.linalg.{name} of {x.dtype}, or with computed arguments")
        stack = (x.shape[:-2], x.strides[:-2])

        def laid_out(shape: Sequence[Dim]) -> tuple[Dim, ...]:
            return layout.stacked_strides([stack], x.ndim - 2, shape)

        results = rule(x.shape, dtype, *args, **kwargs)
        made = call_numpy(b, f"numpy:linalg.{name}", [x, *args], kwargs, results, laid_out)
        return type(named())(*made) if named is not None and isinstance(made, tuple) else made

    return apply


def _svd(
    shape: Any, dtype: np.dtype, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> Results:
    *lead, m, n = shape
    if not isinstance(m, int) or not isinstance(n, int):
        raise unsupported("np.linalg.svd of a matrix whose size is dynamic")
    k = min(m, n)
    values = ((*lead, k), dtype)
    if not compute_uv:
        return [values]
    return [((*lead, m, m if full_matrices else k), dtype), values, ((*lead, n if full_matrices else k, n), dtype)]


def _qr(shape: Any, dtype: np.dtype, mode: str = "reduced") -> Results:
    *lead, m, n = shape
    if mode not in ("reduced", "complete") or not isinstance(m, int) or not isinstance(n, int):
        raise unsupported(f"np.linalg.qr with mode={mode!r}, or of a matrix whose size is dynamic")
    k = m if mode == "complete" else min(m, n)
    return [((*lead, m, k), dtype), ((*lead, k, n), dtype)]


inv = _factor("inv", lambda shape, dtype: [(shape, dtype)])
det = _factor("det", lambda shape, dtype: [(shape[:-2], dtype)])
slogdet = _factor("slogdet", lambda shape, dtype: [(shape[:-2], dtype)] * 2, named=lambda: np.linalg.slogdet(np.eye(1)))
cholesky = _factor("cholesky", lambda shape, dtype: [(shape, dtype)])
eigvalsh = _factor("eigvalsh", lambda shape, dtype, UPLO="L": [(shape[:-1], dtype)])
eigh = _factor(
    "eigh",
    lambda shape, dtype, UPLO="L": [(shape[:-1], dtype), (shape, dtype)],
    named=lambda: np.linalg.eigh(np.eye(1)),
)
svd = _factor("svd", _svd, square=False, named=lambda: np.linalg.svd(np.eye(1)))
svdvals = _factor("svdvals", lambda shape, dtype: _svd(shape, dtype, compute_uv=False), square=False)
_qr_of_rows = _factor("qr", _qr, square=False, named=lambda: np.linalg.qr(np.eye(1)))
pinv = _factor("pinv", lambda shape, dtype: [((*shape[:-2], shape[-1], shape[-2]), dtype)], square=False)


def qr(b: ArrayBuilder, a: Any, mode: str = "reduced") -> Any:
    x = b.lift(a)
    if not layout.is_c_contiguous(x.shape, x.strides):
        raise unsupported("np.linalg.qr of a matrix that does not lie row by row", why="its layout follows many steps")
    return _qr_of_rows(b, x, mode)


def solve(b: ArrayBuilder, a: Any, b_: Any) -> Any:
    x, y = b.lift(a), b.lift(b_)
    _square(x)
    dtype = np.result_type(*(_FLOAT64 if v.kind in "biu" else v.dtype for v in (x, y)))
    if x.ndim != 2 or y.ndim not in (1, 2) or dtype.kind != "f" or dtype == np.float16:
        raise unsupported("np.linalg.solve of stacks of matrices, complex numbers or halves")
    if not layout.same(y.shape[0], x.shape[0]):
        raise ValueError(f"solve: mismatch in the core dimension 0 (size {y.shape[0]} is different from {x.shape[0]})")
    return call_numpy(b, "numpy:linalg.solve", [x, y], {}, [(y.shape, dtype)])


# --------------------------------------------------------------------------- np.fft


def _transform(name: str, axes: int, kind: str) -> Callable[..., Any]:
    """np.fft functions over the last one or two axes. kind: "complex", "real" (half a spectrum), "back" (from half of one)."""

    def apply(b: ArrayBuilder, a: Any, n: Any = None, axis: Any = None, norm: Any = None, **more: Any) -> Any:
        x = b.lift(a)
        if more or any_array([n, axis]) or (axes == 2 and not (n is None and axis is None)) or x.ndim < axes:
            raise unsupported(f"np.fft.{name} with these arguments")
        d = x.ndim - 1 if axis is None else wrap_axis(axis, x.ndim)
        shape = list(x.shape)
        if n is not None:
            shape[d] = n = integer(n)
        elif kind == "back":
            shape[d] = 2 * (shape[d] - 1)
        if kind == "real":
            shape[d] = shape[d] // 2 + 1
        if any(isinstance(s, int) and s < 1 for s in shape):
            raise ValueError("Invalid number of FFT data points specified.")
        narrow = x.dtype in (np.dtype(np.float32), np.dtype(np.complex64), np.dtype(np.float16))
        dtype = np.dtype(
            (np.float32 if narrow else np.float64) if kind == "back" else np.complex64 if narrow else np.complex128
        )
        if not layout.same(shape[d], x.shape[d]) and layout.is_one(x.shape[d]):
            raise unsupported(f"np.fft.{name} of one number", why="where its axis lies in memory follows the array")
        order = layout.axis_order([(x.shape, x.strides)], x.ndim, repeated_first=True)
        call: dict[str, Any] = {"norm": norm} if axes == 2 else {"n": n, "axis": d, "norm": norm}
        return call_numpy(
            b, f"numpy:fft.{name}", [x], call, [(shape, dtype)], lambda new: layout.ordered_strides(new, order)
        )

    return apply


fft, ifft = _transform("fft", 1, "complex"), _transform("ifft", 1, "complex")
rfft, irfft = _transform("rfft", 1, "real"), _transform("irfft", 1, "back")
fft2, ifft2 = _transform("fft2", 2, "complex"), _transform("ifft2", 2, "complex")


def _shift(back: bool) -> Callable[..., Any]:
    def apply(b: ArrayBuilder, x: Any, axes: Any = None) -> Any:
        a = b.lift(x)
        if a.kind == "c" or not all(isinstance(s, int) for s in a.shape):
            raise unsupported("np.fft.fftshift of complex numbers, or of a size that is dynamic")
        dims = tuple(range(a.ndim)) if axes is None else sizes(axes)
        return roll(b, a, tuple(-(a.shape[d] // 2) if back else a.shape[d] // 2 for d in dims), dims)

    return apply


fftshift, ifftshift = _shift(False), _shift(True)
