"""Functions whose results depend on what tensors hold: Python numbers, and tensors of sizes that only the data tell.

Under `fullgraph` (or as `quern.config` says) they stay in the graph: a number is a node or an unbacked symbol, a size an
unbacked symbol. Elsewhere the graph breaks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from .....inductor.dtypes import bool_, float64, int64, uint8
from .....inductor.graph import Dim, ExternRef, Input, Node, TensorMeta, contiguous_strides
from .....inductor.ops import OPS
from ....values.item import ItemValue, number_node
from ....values.tensor import ArrayValue, ViewStep
from .. import checks
from ..checks import FALSE_CONDITION
from ..context import Context, above
from ..handlers import name, register
from ..known import known_content
from ..state import state_of

if TYPE_CHECKING:
    from ....values.base import Emitter, Machine

#: the most numbers that one `tolist` reads
MAX_ITEMS = 64

# ------------------------------------------------------------------ numbers


def _unknown(what: str) -> Any:
    def call(cx: Context, *args: Any, **kwargs: Any) -> Any:
        raise cx.broken(
            "data-dependent-value",
            f"{what}, whose Python result depends on a tensor's content",
            "the content is known only when the graph runs",
            "keep the result as a tensor (torch.where, masks), or move the call out of the compiled function",
        )

    call.__name__ = what
    return call


def item_of(cx: Context, x: ArrayValue, cls: type | None = None) -> Any:
    """The number that a tensor of one element holds, as `cls`."""
    dtype = x.meta.dtype
    own = bool if dtype == bool_ else float if dtype.is_float else int
    wanted = cls or own
    node = number_node(cx.ev, "torch:Tensor.item", [x.node(cx.ev)], own, effects=wanted is int)
    if wanted is not own:
        node = number_node(cx.ev, f"builtins:{wanted.__name__}", [node], wanted, effects=wanted is int)
    return cx.ev.integer(node) if wanted is int else ItemValue(node, wanted)


def _read(what: str, convert: Any, cls: type | None = None) -> Any:
    """Reading a tensor's content as a Python object: known where it is the same at every call."""
    refuse = _unknown(what)

    def call(cx: Context, *args: Any, **kwargs: Any) -> Any:
        if len(args) != 1 or kwargs:
            return refuse(cx, *args, **kwargs)
        (x,) = args
        content = known_content(cx.ev, x)
        if content is not None:
            return cx.ev.fold(convert, content)
        readable = cls is not None and x.meta.numel == 1 and not x.meta.dtype.is_complex
        if not readable or not cx.ev.reads_data:
            return refuse(cx, *args)
        return item_of(cx, x, None if cls is object else cls)

    call.__name__ = what
    return call


for _name, _cls in (("item", object), ("__int__", int), ("__float__", float), ("__index__", int), ("__bool__", None),
                    ("__complex__", None), ("is_nonzero", None)):  # fmt: skip
    register((f"Tensor.{_name}",), _read(f"Tensor.{_name}", getattr(torch.Tensor, _name), _cls))
register(("torch.is_nonzero",), _read("torch.is_nonzero", torch.is_nonzero))
for _name in ("equal", "allclose"):
    register((f"torch.{_name}", f"Tensor.{_name}"), _unknown(f"torch.{_name}"))


@name("Tensor.tolist")
def tolist(cx: Context, self: ArrayValue) -> Any:
    content = known_content(cx.ev, self)
    if content is not None:
        return cx.ev.fold(torch.Tensor.tolist, content)
    total = self.meta.numel
    if not cx.ev.reads_data or not isinstance(total, int) or total > MAX_ITEMS or self.meta.dtype.is_complex:
        return _unknown("Tensor.tolist")(cx, self)
    return _items(cx, self)


def _items(cx: Context, x: ArrayValue) -> Any:
    if not x.meta.shape:
        return item_of(cx, x)
    return [_items(cx, x.view(cx.ev, "select", dim=0, index=i)) for i in range(int(x.meta.shape[0]))]


# ------------------------------------------------------------------ sizes


def data_size(cx: Context, size: Any, what: str) -> Any:
    """A size or index as Python takes it: tensors stand for the number they hold. Breaks when that is not known, unless
    numbers read from tensors stay in the graph.
    """
    if not isinstance(size, ArrayValue):
        return size
    content = known_content(cx.ev, size)
    if content is not None:
        return content.__index__()
    if not cx.ev.reads_data:
        raise cx.broken("data-dependent-size", f"{what} given as a tensor", "sizes must be known before the graph runs",
                        "pass a Python int (from a shape, or as an argument)")  # fmt: skip
    return item_of(cx, size, int).expr


def _new(cx: Context, what: str, args: Sequence[Any], shapes: Sequence[Sequence[Dim | None]], metas: Sequence[Any],
         **named: Any) -> list[Node]:  # fmt: skip
    """Call the function `what` in the graph. `shapes`: of its results, None for the one size that the data tell."""
    inputs = [cx.node(a) for a in args if isinstance(a, (ArrayValue, Node))]
    template = tuple(Input(inputs.index(cx.node(a))) if isinstance(a, (ArrayValue, Node)) else a for a in args)
    attrs = {"ref": ExternRef(what, template, tuple(named.items())), "effects": True, "raises": True, "strides": None}
    device = inputs[0].meta.device
    # metas need the symbol, and the symbol its node: first a node without the size
    symbol = cx.ev.symbols.foresee()
    full = tuple(
        TensorMeta(tuple(symbol if s is None else s for s in shape), _strides(shape, symbol, dtype), dtype[0], device)
        for shape, dtype in zip(shapes, metas)
    )
    single = len(full) == 1
    meta: Any = full[0] if single else full
    node = cx.ev.builder.append(OPS["extern"], tuple(inputs), attrs, meta)
    results = [node] if single else [cx.ev.emit("getitem", node, index=i) for i in range(len(full))]
    cx.ev.symbols.tell(symbol, results[0], list(shapes[0]).index(None))
    return results


def _strides(shape: Sequence[Any], symbol: Any, dtype: tuple[Any, str]) -> tuple[Any, ...]:
    sizes = tuple(symbol if s is None else s for s in shape)
    if dtype[1] == "columns":
        return tuple(reversed(contiguous_strides(tuple(reversed(sizes)))))
    return contiguous_strides(sizes)


def _need_sizes(cx: Context, what: str) -> None:
    if not cx.ev.sizes_from_data:
        raise cx.broken(
            "data-dependent-shape",
            f"{what}, the size of whose result depends on a tensor's content",
            "sizes must be known before the graph runs",
            "use masks of fixed size (torch.where, masked_fill) instead",
        )


def nonzero_of(cx: Context, x: ArrayValue | Node) -> Node:
    """Positions of what is not zero, one in a row."""
    meta = cx.node(x).meta
    return _new(cx, "torch:nonzero", [x], [(None, len(meta.shape))], [(int64, "columns")])[0]


def positions(cx: Context, mask: ArrayValue) -> list[Node]:
    """An index tensor per dim of a mask: where it is true. Equal masks have the same places, and as many."""
    known = state_of(cx.ev).positions
    node = mask.node(cx.ev)
    if node not in known:
        rows = cx.array(nonzero_of(cx, mask))
        known[node] = [rows.view(cx.ev, "select", dim=1, index=d).node(cx.ev) for d in range(len(mask.meta.shape))]
    return known[node]


@name("*nonzero")
def nonzero(cx: Context, input: ArrayValue, *, as_tuple: bool = False) -> Any:
    _need_sizes(cx, "torch.nonzero")
    if not as_tuple:
        return nonzero_of(cx, input)
    if not input.meta.shape:
        input = input.view(cx.ev, "unsqueeze", dim=0)
    rows = cx.array(nonzero_of(cx, input))
    return tuple(rows.view(cx.ev, "select", dim=1, index=d) for d in range(len(input.meta.shape)))


@name("*argwhere")
def argwhere(cx: Context, input: ArrayValue) -> Any:
    _need_sizes(cx, "torch.argwhere")
    return nonzero_of(cx, input)


@name("*masked_select")
def masked_select(cx: Context, input: ArrayValue, mask: ArrayValue) -> Any:
    _need_sizes(cx, "torch.masked_select")
    return _new(cx, "torch:masked_select", [input, mask], [(None,)], [(input.meta.dtype, "")])[0]


@name("torch.bincount Tensor.bincount")
def bincount(cx: Context, input: ArrayValue, weights: ArrayValue | None = None, minlength: int = 0) -> Any:
    _need_sizes(cx, "torch.bincount")
    dtype = int64 if weights is None else weights.meta.dtype if weights.meta.dtype.name == "float32" else float64
    return _new(cx, "torch:bincount", [input, weights, minlength], [(None,)], [(dtype, "")])[0]


@name("torch.unique Tensor.unique")
def unique(cx: Context, input: ArrayValue, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
           dim: int | None = None) -> Any:  # fmt: skip
    _need_sizes(cx, "torch.unique")
    return _unique(cx, "torch:unique", input, return_inverse, return_counts, dim, sorted=sorted)


@name("torch.unique_consecutive Tensor.unique_consecutive")
def unique_consecutive(cx: Context, input: ArrayValue, return_inverse: bool = False, return_counts: bool = False,
                       dim: int | None = None) -> Any:  # fmt: skip
    _need_sizes(cx, "torch.unique_consecutive")
    return _unique(cx, "torch:unique_consecutive", input, return_inverse, return_counts, dim)


def _unique(cx: Context, what: str, x: ArrayValue, inverse: bool, counts: bool, dim: int | None, **named: Any) -> Any:
    if dim is not None:
        raise cx.broken("data-dependent-shape", f"{what.replace(':', '.')} along a dimension", "it is not captured")
    shapes: list[tuple[Any, ...]] = [(None,)]
    metas: list[Any] = [(x.meta.dtype, "")]
    if inverse:
        shapes.append(x.meta.shape)
        metas.append((int64, ""))
    if counts:
        shapes.append((None,))
        metas.append((int64, ""))
    found = _new(cx, what, [x], shapes, metas, return_inverse=inverse, return_counts=counts, **named)
    return found[0] if len(found) == 1 else tuple(found)


def repeated(cx: Context, input: ArrayValue, repeats: ArrayValue, dim: int | None) -> Node:
    """`torch.repeat_interleave` with a tensor of counts."""
    _need_sizes(cx, "torch.repeat_interleave with repeats given as a tensor")
    shape: list[Any] = list(input.meta.shape)
    if dim is None:
        shape, named = [None], {}
    else:
        shape[dim], named = None, {"dim": dim}
    return _new(cx, "torch:repeat_interleave", [input, repeats], [shape], [(input.meta.dtype, "")], **named)[0]


# ------------------------------------------------------------------ slices


class OpenSlice(ViewStep):
    """`x[a:b]` with bounds that only the graph knows; `size` is the symbol of its size."""

    is_placed = False

    def apply(self, ev: Machine, parent: Node) -> Node:
        d, step, size = self.attrs["dim"], self.attrs["step"], self.attrs["size"]
        shape = (*parent.meta.shape[:d], size, *parent.meta.shape[d + 1 :])
        stride = (*parent.meta.stride[:d], parent.meta.stride[d] * step, *parent.meta.stride[d + 1 :])
        meta = TensorMeta(shape, stride, parent.dtype, parent.meta.device)
        ref = ExternRef("torch:ops.aten.slice", (Input(0), *self._bounds()))
        return ev.builder.append(OPS["extern"], (parent,), {"ref": ref, "effects": True, "strides": None}, meta)

    def _bounds(self) -> tuple[Any, ...]:
        return tuple(self.attrs[k] for k in ("dim", "start", "end", "step"))

    def undo(self, ev: Machine, parent: Node, new: Node) -> Node | None:
        ref = ExternRef("torch:slice_scatter", (Input(0), Input(1), *self._bounds()))
        attrs = {"ref": ref, "effects": False, "strides": None}
        return ev.builder.append(OPS["extern"], (parent, new), attrs, parent.meta)

    def remake(self, rb: Emitter, parent: str) -> str:
        bounds = ":".join("" if b is None else rb.size(b) for b in (self.attrs["start"], self.attrs["end"]))
        return f"{parent}[{':, ' * self.attrs['dim']}{bounds}:{self.attrs['step']}]"


def open_slice(cx: Context, x: ArrayValue, dim: int, start: Any, end: Any, step: int) -> ArrayValue:
    """The view `x[start:end:step]` in one dim, whose size is a new symbol."""
    known, key = state_of(cx.ev).slices, (x.meta.shape[dim], start, end, step)
    symbol = known.get(key) or cx.ev.symbols.foresee()
    view = OpenSlice("open_slice", {"dim": dim, "start": start, "end": end, "step": step, "size": symbol})
    node = view.apply(cx.ev, x.node(cx.ev))
    known[key] = symbol
    if not cx.ev.symbols.is_told(symbol):
        cx.ev.symbols.tell(symbol, node, dim)
    made = above.tensor(x.storage, node.meta, node, parent=x, step=view, offset=x.offset)
    made.recorded = state_of(cx.ev).grad
    return made


def split_by_data(cx: Context, x: ArrayValue, sections: Sequence[Any], dim: int) -> tuple[ArrayValue, ...]:
    """Pieces of sizes that only the graph knows. That they make up the whole is checked when it runs."""
    dim %= len(x.meta.shape)
    left = x.meta.shape[dim] - sum(sections)
    for size in sections:
        check_number(cx.ev, ">=", size, RuntimeError)
    check_number(cx.ev, "==", left, RuntimeError)
    pieces, start = [], 0
    for size in sections:
        pieces.append(open_slice(cx, x, dim, start, start + size, 1))
        start = start + size
    return tuple(pieces)


def check_number(ev: Machine, sign: str, difference: Any, error: type[Exception], text: str = FALSE_CONDITION) -> None:
    """Check a number's relation to 0 when the graph runs."""
    target = f"{checks.__name__}:check_number"
    number_node(ev, target, [sign, difference, error.__name__, text], int, effects=True)


def is_mask(item: Any) -> bool:
    """Whether a subscript is a boolean mask."""
    return isinstance(item, ArrayValue) and item.meta.dtype in (bool_, uint8)
