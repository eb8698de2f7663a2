"""The nodes of symbolic arrays: `ArrayBuilder` adds them for the handlers of NumPy's functions.

Results get the strides that NumPy gives them (see `layout`) where the op table's rule is that of another framework.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ....inductor.dtypes import DType
from ....inductor.graph import Dim, ExternRef, Input, Node, TensorMeta
from ....inductor.ops.dims import same
from ...values.tensor import Storage
from . import layout
from .arrays import Array, Masked, PartStorage, any_array, of_unknown_size, same_layout, unsupported
from .errstate import Settings

if TYPE_CHECKING:
    from ...values.base import Machine

#: a Python number
Number = bool | int | float | complex


class ArrayBuilder:
    """Appends nodes to a graph for symbolic arrays."""

    def __init__(self, ev: Machine, array_class: type[Array], settings: Settings) -> None:
        self.ev = ev
        self.settings = settings
        self.builder = ev.builder
        self.array_class = array_class

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, NumPy computes with numbers that are known now. Raises Unsupported for a floating-point error that the
        program wants to hear of: it must hear of it at each call.
        """
        met: list[str] = []

        def note(text: str, error: int) -> None:
            if error & self.settings.count(self.ev):
                met.append(text)

        with np.errstate(all="call", call=note):
            yield
        if met:
            raise unsupported(
                f"{met[0]} in a call on known numbers",
                why="NumPy warns of it, or raises, at each call",
                code="numpy-float-error",
            )

    # ------------------------------------------------------------ nodes

    def node(self, a: Array) -> Node:
        """The node that holds the array's elements now."""
        return a.node(self.ev)

    def emit(self, op: str, *nodes: Node | None, strides: Sequence[Dim] | str | None = None, **attrs: Any) -> Node:
        """Append a table op; `strides` replaces the table's rule for the result's layout ("C": row-major)."""
        row = self.builder.ops[op]
        full = row.bind({k: _plain(v) for k, v in attrs.items()})
        meta = row.meta(*[None if n is None else n.meta for n in nodes], **full)
        if strides == "C":
            strides = layout.c_strides(meta.shape)
        if strides is not None and meta.stride != tuple(strides):
            meta = replace(meta, stride=tuple(strides))
        return self.builder.append(row, nodes, full, meta)

    def call(
        self, op: str, *arrays: Array, strides: Sequence[Dim] | None = None, scalar: bool | None = None, **attrs: Any
    ) -> Array:
        """A fresh array from a table op. `scalar`: whether it is a NumPy scalar; None: when it has no axes."""
        node = self.emit(op, *map(self.node, arrays), strides=strides, **attrs)
        return self.fresh(node, scalar=not node.shape if scalar is None else scalar)

    def elementwise(self, op: str, *arrays: Array, **attrs: Any) -> Array:
        """A fresh array from an elementwise table op, laid out as NumPy's ufuncs do."""
        nodes = [self.node(a) for a in arrays]
        row = self.builder.ops[op]
        full = row.bind(attrs)
        meta = row.meta(*[n.meta for n in nodes], **full)
        strides = layout.elementwise_strides([(a.shape, a.strides) for a in arrays], meta.shape)
        meta = TensorMeta(meta.shape, strides, meta.dtype, "cpu")
        return self.fresh(self.builder.append(row, nodes, full, meta), scalar=not meta.shape)

    def call_node(self, node: Node) -> Array:
        """A fresh array that holds `node`, a NumPy scalar when it has no axes."""
        return self.fresh(node, scalar=not node.shape)

    def fresh(self, node: Node, scalar: bool = False) -> Array:
        """An array with memory of its own that holds `node`."""
        return self.array_class(Storage(node, node.meta), node.meta, node, scalar=scalar)

    def extern(
        self,
        target: str,
        arrays: Sequence[Array],
        args: Sequence[Any],
        shape: Sequence[Dim],
        dtype: np.dtype,
        *,
        strides: Sequence[Dim] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        scalar: bool | None = None,
        below: Dim | None = None,
        checked: bool = False,
    ) -> Array:
        """A fresh array from a NumPy function called as it is: `args` is the call, `Input(i)` standing for arrays[i].

        The runtime makes results of calls row-major; `strides` are those that NumPy would have given the array.
        below: the function sees to it that its results are integers from 0 to below - 1
        checked: whether the result's shape and dtype are looked at when the graph runs
        """
        meta = self.meta(shape, dtype)
        ref = ExternRef(target, tuple(map(_plain, args)), tuple((k, _plain(v)) for k, v in (kwargs or {}).items()))
        attrs: dict[str, Any] = {"ref": ref, "raises": True, "library": "numpy"}
        if below is not None:
            attrs["below"] = below
        if checked:
            attrs.update(shapes=(meta.shape,), dtypes=(meta.dtype,))
        node = self.builder.append(self.builder.ops["extern"], [self.node(a) for a in arrays], attrs, meta)
        if strides is not None and not same_layout(meta, strides):
            node = self.emit("restride", node, stride=tuple(strides))
        return self.fresh(node, scalar=not meta.shape if scalar is None else scalar)

    def extern_several(
        self,
        target: str,
        arrays: Sequence[Array],
        args: Sequence[Any],
        metas: Sequence[TensorMeta],
        kwargs: Mapping[str, Any] | None = None,
        checked: bool = False,
    ) -> tuple[Array, ...]:
        """As `extern`, for a function with several results. `metas` have the strides that NumPy would have given them."""
        ref = ExternRef(target, tuple(map(_plain, args)), tuple((k, _plain(v)) for k, v in (kwargs or {}).items()))
        row = self.builder.ops["extern"]
        attrs: dict[str, Any] = {"ref": ref, "raises": True, "library": "numpy"}
        if checked:
            attrs.update(shapes=tuple(m.shape for m in metas), dtypes=tuple(m.dtype for m in metas))
        given = tuple(replace(m, stride=layout.c_strides(m.shape)) for m in metas)
        node = self.builder.append(row, [self.node(a) for a in arrays], attrs, given)  # type: ignore[arg-type]
        parts = [self.builder.call("getitem", node, index=i) for i in range(len(metas))]
        return tuple(
            self.call_node(p if same_layout(p.meta, m.stride) else self.emit("restride", p, stride=m.stride))
            for p, m in zip(parts, metas)
        )

    def meta(self, shape: Sequence[Dim], dtype: np.dtype, strides: Sequence[Dim] | None = None) -> TensorMeta:
        """A meta in NumPy's terms. Raises Unsupported for an element type that graphs do not know."""
        shape = tuple(shape)
        return TensorMeta(shape, layout.c_strides(shape) if strides is None else tuple(strides), self.dtype(dtype))

    def dtype(self, dtype: np.dtype) -> DType:
        """The graph's element type. Raises Unsupported for one that graphs do not know."""
        found = layout.graph_dtype(dtype)
        if found is None:
            raise unsupported(
                f"arrays of dtype {dtype}", why="graphs hold booleans, integers, floats and complex numbers"
            )
        return found

    def static(self, size: Dim) -> int:
        """A size as an int, from here on a constant."""
        return size if isinstance(size, int) else self.ev.symbols.specialize(size)

    # ------------------------------------------------------------ constants and conversion

    def number(self, value: Any, dtype: np.dtype) -> Array:
        """A number as a 0-d array of `dtype`. Raises OverflowError for an int that does not fit, as NumPy does."""
        exact = np.array(value, dtype)
        node = self.builder.call("scalar", value=exact.item(), dtype=self.dtype(dtype))
        return self.fresh(node, scalar=True)

    def constant(self, array: np.ndarray) -> Array:
        """A fresh array with known elements; a view of one where NumPy gave a view: of all that it made, or of a column."""
        base = array.base
        if isinstance(base, np.ndarray) and base.flags.c_contiguous:
            if array.size == base.size and array.flags.c_contiguous:
                return self.view(self.constant(base), "reshape", shape=array.shape)
            if base.ndim == 2 and (array.shape, array.strides) == (base.shape[:1], base.strides[:1]):
                column = (array.ctypes.data - base.ctypes.data) // base.itemsize
                return self.view(self.constant(base), "select", dim=1, index=column)
        dtype = self.dtype(array.dtype)
        flat = array.ravel()
        if flat.size and (flat == flat[0]).all() and not _has_negative_zero(flat):
            return self.full(array.shape, flat[0].item(), array.dtype)
        node = self.builder.call("constant", value=tuple(flat.tolist()), shape=array.shape, dtype=dtype)
        return self.fresh(node)

    def full(self, shape: Sequence[Dim], value: Number, dtype: np.dtype, strides: Sequence[Dim] | None = None) -> Array:
        """A fresh array with one value everywhere."""
        return self.call(
            "full", strides=strides, scalar=False, shape=tuple(shape), value=value, dtype=self.dtype(dtype)
        )

    def lift(self, value: Any) -> Array:
        """An operand as an array: arrays as they are, numbers as 0-d, nested lists stacked."""
        if isinstance(value, Array):
            return value
        if isinstance(value, Masked):
            raise of_unknown_size("a NumPy call")
        if isinstance(value, np.generic):
            return self.number(value, value.dtype)
        if isinstance(value, (bool, int, float, complex)):
            return self.number(value, np.result_type(value))
        if isinstance(value, np.ndarray):
            return self.constant(value)
        if isinstance(value, (list, tuple)):
            return self.from_list(value)
        if layout.is_size(value):
            return self.fresh(
                self.builder.call("scalar", value=value, dtype=self.dtype(np.dtype(np.int64))), scalar=True
            )
        raise unsupported(f"an operand of type {type(value).__name__} in a NumPy call")

    def from_list(self, items: Sequence[Any]) -> Array:
        """`np.array(items)` for nested lists that may hold arrays."""
        if not any_array(items):
            return self.constant(np.asarray(items))
        parts = [self.lift(i) for i in items]
        weak = [_numbers_in(i) for i in items]
        dtype = np.result_type(*[w if w is not None else p.dtype for w, p in zip(weak, parts)])
        if any(p.shape != parts[0].shape for p in parts):
            raise ValueError("setting an array element with a sequence: the parts have different shapes")
        nodes = [self.node(self.cast(p, dtype)) for p in parts]
        return self.fresh(self.builder.call("stack", *nodes, dim=0))

    def cast(self, a: Array, dtype: np.dtype) -> Array:
        """The array as `dtype`, itself when it already is."""
        if a.dtype == dtype:
            return a
        if a.kind == "c" and dtype.kind not in "cb":
            raise unsupported("a cast that drops the imaginary part", why="NumPy warns of it", code="numpy-warning",
                              rewrite="take x.real")  # fmt: skip
        strides = layout.order_strides(a.shape, a.strides, "K")
        if "c" in (a.kind, dtype.kind):
            return self.extern(
                "numpy:asarray", [a], [Input(0), dtype.name], a.shape, dtype, strides=strides, scalar=a.scalar
            )
        return self.call("cast", a, strides=strides, scalar=a.scalar, dtype=self.dtype(dtype))

    def converted(self, a: Array, dtype: np.dtype) -> Array:
        """`cast` of an operand that NumPy's loop converts piece by piece: layouts of results follow the array as it was."""
        made = self.cast(a, dtype)
        if made is not a:
            made.strides = a.strides
        return made

    def snapshot(self, a: Array) -> Array:
        """The array's present elements: later writes do not show. (Nothing is copied: nodes do not change.)"""
        return self.fresh(self.node(a), scalar=a.scalar)

    def python_number(self, a: Array, kind: type) -> Array:
        """The only element of an array as a Python number. Raises Unsupported where Python could raise."""
        if not layout.same(a.size, 1):
            raise TypeError("only length-1 arrays can be converted to Python scalars")
        if a.kind == "c" or (kind is int and a.kind == "f") or kind is bool and a.kind != "b":
            raise unsupported(
                f"{kind.__name__}() of {a.dtype}", why="it depends on the number", code="data-dependent-scalar"
            )
        flat = a if not a.ndim else self.call("reshape", a, shape=())
        wanted = (
            a.dtype
            if kind is bool or (kind is int and a.dtype.itemsize == 8)
            else np.dtype(np.int64 if kind is int else np.float64)
        )
        made = self.fresh(self.node(self.cast(flat, wanted)), scalar=True)
        made.number = kind
        return made

    def copy(self, a: Array, order: str = "K", scalar: bool = False) -> Array:
        """Fresh memory with the array's elements."""
        strides = layout.order_strides(a.shape, a.strides, order)
        return self.call("clone", a, strides=strides, scalar=scalar)

    def same(self, a: Array) -> Array:
        """Fresh memory with the array's elements, laid out as a ufunc's result."""
        strides = layout.elementwise_strides([(a.shape, a.strides)], a.shape)
        return self.call("clone", a, strides=strides)

    def laid_out(self, a: Array, strides: Sequence[Dim]) -> Array:
        """A result with these strides: itself where it has them."""
        return a if same_layout(a.meta, strides) else self.call("clone", a, strides=strides, scalar=a.scalar)

    def as_copied(self, a: Array) -> Array:
        """`a` for a NumPy function that first copies it: results are laid out as the copy is."""
        strides = layout.order_strides(a.shape, a.strides, "K")
        return (
            a if strides == layout.elementwise_strides([(a.shape, a.strides)], a.shape) else self.laid_out(a, strides)
        )

    # ------------------------------------------------------------ views and writes

    def view(self, a: Array, op: str, **attrs: Any) -> Array:
        """A view of the array by one table op (see `windows`). A scalar has no memory to look at: it is copied."""
        if a.scalar:
            a = self.fresh(self.node(a))
        return a.view(self.ev, op, **{k: _plain(v) for k, v in attrs.items()})

    def part(self, whole: Array, part: str, compute: Callable[[], Node]) -> Array:
        """The part of an array that its attribute `part` gives; `compute` gives the elements."""
        storage = PartStorage(whole, part, compute)
        return self.array_class(storage, storage.meta, storage.node)

    def write(self, a: Array, value: Array) -> None:
        """`a[...] = value`: convert, broadcast, and put the elements into the memory that `a` looks at.

        Raises ValueError for read-only arrays and for shapes that do not broadcast, as NumPy does.
        """
        if not a.writeable:
            raise ValueError("assignment destination is read-only")
        a.guard_writeable(self.ev)
        value = self.cast(value, a.dtype)
        while value.ndim > a.ndim and layout.is_one(value.shape[0]):
            value = self.view(value, "select", dim=0, index=0)
        node = self.node(value)
        if value.ndim != a.ndim or not all(same(x, y) for x, y in zip(node.shape, a.shape)):
            if value.ndim > a.ndim:
                raise ValueError(f"could not broadcast input array from shape {value.shape} into shape {a.shape}")
            node = self.emit("expand", node, shape=a.shape)
        a.write(self.ev, node)

    def into(self, out: Any, result: Array, casting: Any = "same_kind", *, spreads: bool = False) -> Array:
        """`out=`: the result written into `out`, which is returned; the result itself when `out` is None.

        casting: "no" for functions that compute in the type of `out`, so that it is not the result that is converted
        spreads: whether `out` may have more elements than the result, as ufuncs allow
        """
        if isinstance(out, tuple) and len(out) == 1:
            out = out[0]
        if out is None:
            return result
        if not isinstance(out, Array) or out.scalar:
            raise TypeError("return arrays must be of ArrayType")
        if not np.can_cast(result.dtype, out.dtype, casting):
            raise TypeError(f"Cannot cast output from {result.dtype!r} to {out.dtype!r} with casting rule {casting!r}")
        if len(out.shape) < result.ndim:
            raise ValueError("output parameter has too few dimensions for the result")
        if not spreads and (out.ndim != result.ndim or not all(map(same, out.shape, result.shape))):
            raise ValueError(f"output array of shape {out.shape} for a result of shape {result.shape}")
        self.write(out, result)
        return out


def _numbers_in(item: Any) -> np.dtype | None:
    """The dtype of a list element that holds no array; None when it does."""
    return None if any_array(item) else np.asarray(item).dtype


def _has_negative_zero(flat: np.ndarray) -> bool:
    parts = (flat.real, flat.imag) if flat.dtype.kind == "c" else (flat,)
    return flat.dtype.kind in "fc" and any(bool((np.signbit(part) & (part == 0)).any()) for part in parts)


#: what makes one NumPy function's arrays: (builder, *args, **kwargs) -> Array, tuple of Arrays, or a plain value
Maker = Callable[..., Any]


def _plain(value: Any) -> Any:
    """An attribute with Python's int for NumPy's."""
    return value.item() if isinstance(value, np.integer) else value
