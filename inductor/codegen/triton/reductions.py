"""What reductions and scans have in common, whether a row lies in one block or is walked by a loop."""

from __future__ import annotations

from ...dtypes import DType, int32
from ...loops import Expr
from ...loops.reducers import REDUCERS, Reducer, neutral_element, reducer
from .scalars import combine_name, combine_text, literal, template, type_text
from .writer import Mask, Value, Writer


def row_of(e: Expr) -> Reducer:
    return reducer(e.attr, e.args[0].dtype)


def reducible_dtype(e: Expr) -> DType:
    return int32 if e.args[0].dtype.kind == "bool" or REDUCERS[e.attr].finish == "truth" else e.args[0].dtype


def combine_function(w: Writer, e: Expr) -> str:
    """The function that joins two values of a reduction or scan."""
    row, dtype = row_of(e), reducible_dtype(e)
    name = combine_name(row, dtype)
    if row.is_position:
        w.need(name)
    else:
        w.combiners[name] = combine_text(row, dtype)
        w.need(template(row.combine, dtype).needs)
    return name


def neutral_text(e: Expr) -> str:
    dtype = reducible_dtype(e)
    return literal(neutral_element(row_of(e), dtype), dtype)


def reducible(w: Writer, e: Expr) -> tuple[Value, DType]:
    """The operand of a reduction or scan as a value that varies in r, truth values as int32."""
    value, dtype = w.value(e.args[0]), reducible_dtype(e)
    text = value.text
    if REDUCERS[e.attr].finish == "truth" and e.args[0].dtype.kind != "bool":
        text = f"({text} != 0)"
    if dtype != e.args[0].dtype:
        text = f"{text}.to(tl.int32)"
    return Value(text, value.axes), dtype


def without_tail(w: Writer, value: Value, fill: str, dtype: DType) -> str:
    """The operand with lanes beyond the end made neutral, at its full size along r."""
    axes = value.axes | {"r"}
    text = value.text
    if "r" in w.masks:
        exact = dtype.name in ("float32", "int32")
        text = f"tl.where(r_mask, {text}, {fill if exact else f'tl.full([], {fill}, {type_text(dtype)})'})"
    if "r" not in value.axes and not ("r" in w.masks and axes == {"r"}):
        text = f"tl.broadcast_to({text}, {w.shape(axes)})"
    return text


def positions(w: Writer, axes: frozenset[str]) -> str:
    """r as a block of the given axes."""
    text = "r" if w.wide is False else "r.to(tl.int64)"
    return text if axes == {"r"} else f"tl.broadcast_to({text}, {w.shape(axes)})"


def reduce_line(w: Writer, e: Expr, operands: list[str], combine: str, axes: frozenset[str]) -> None:
    """Reduce finished operands along r and record the value of `e`."""
    position = w.order.index("r")
    keep = ", keep_dims=True" if len(w.order) > 1 else ""
    name = w.fresh(e.attr)
    if len(operands) == 2:
        pair = f"({', '.join(operands)})"
        top, at = w.fresh(f"{e.attr}_top"), w.fresh(f"{e.attr}_first")
        w.outer.lines.append(f"{top}, {at} = tl.reduce({pair}, {position}, {combine}{keep})")
        w.outer.lines.append(f"{name} = {at}.to(tl.int64)")
    else:
        text = f"tl.reduce({operands[0]}, {position}, {combine}{keep})"
        if e.dtype.kind == "bool":
            text = f"{text} != 0"
        w.outer.lines.append(f"{name} = {text}")
    w.outer.known[e, ()] = Value(name, axes - {"r"})


def scan_operand(w: Writer, e: Expr) -> tuple[Value, str]:
    """The operand of a scan under a name of its own, and its prefixes within one block."""
    value, dtype = reducible(w, e)
    fill = neutral_text(e)
    text = without_tail(w, value, fill, dtype)
    operand = w.name_value(Value(text, value.axes | {"r"}), f"{e.attr}_in", w.inner is not None)
    return operand, f"tl.associative_scan({operand.text}, {w.order.index('r')}, {combine_function(w, e)})"


def know_scan(w: Writer, e: Expr, conds: tuple[Mask, ...], text: str, axes: frozenset[str]) -> None:
    w.know(e, conds, Value(f"{text} != 0" if e.dtype.kind == "bool" else text, axes))
