"""Graphs as data for keys: two graphs have equal data only where they mean the same.

Everything that can reach a plan is told by value and by type, nothing by how it prints. Names and places in the program are
left out: nodes are told by their positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .boundary import Boundary
from .dtypes import DType
from .graph import ExternRef, Graph, Input, Named, Node, Number, Scalar, TensorMeta

#: JSON data
Data = Any


def graph_data(graph: Graph) -> Data:
    """Everything of a graph that its plan can depend on, as JSON data."""
    numbers = {n: i for i, n in enumerate(graph.nodes)}
    return {
        "nodes": [_node(n, numbers) for n in graph.nodes],
        "inputs": [numbers[n] for n in graph.inputs],
        "outputs": [numbers[n] for n in graph.outputs],
        "boundary": _boundary(graph.boundary),
    }


def _boundary(b: Boundary) -> Data:
    """All but its gradients, isolation and reason to run op by op: what is compiled has no gradients and no such reason, and
    isolation is laid around the plan.
    """
    return {
        "returned": b.returned,
        "writes": b.writes,
        "symbols": [[s.symbol.name, s.input, s.dim, s.low, s.high] for s in b.symbols],
        "ints": b.int_inputs,
        "measured": [[m.symbol.name, m.output, m.dim] for m in b.measured],
        "framework": b.framework,
        "errors": b.float_errors,
        "trains": b.trains,
        "checked": b.checked,
    }


def _node(n: Node, numbers: Mapping[Node, int]) -> Data:
    meta: Data = [_meta(m) for m in n.meta] if isinstance(n.meta, tuple) else _meta(n.meta)
    attrs = [[name, value_data(v)] for name, v in sorted(n.attrs.items())]
    return [n.op.name, [None if i is None else numbers[i] for i in n.inputs], attrs, meta, n.library]


def _meta(m: TensorMeta) -> Data:
    return [value_data(m.shape), value_data(m.stride), m.dtype.name, m.device, m.weak]


#: how each type of attribute is told; the first item of its data says which it is
_FORMS: dict[type, Callable[[Any], Data]] = {
    float: lambda v: ["float", v.hex()],
    complex: lambda v: ["complex", v.real.hex(), v.imag.hex()],
    DType: lambda v: ["dtype", v.name],
    tuple: lambda v: ["tuple", *map(value_data, v)],
    list: lambda v: ["list", *map(value_data, v)],
    slice: lambda v: ["slice", *map(value_data, (v.start, v.stop, v.step))],
    dict: lambda v: ["dict", *([value_data(k), value_data(x)] for k, x in v.items())],
    Input: lambda v: ["input", v.index],
    Number: lambda v: ["number", v.index],
    Scalar: lambda v: ["scalar", v.index],
    Named: lambda v: ["named", v.target],
    ExternRef: lambda v: ["call", v.target, value_data(v.args), value_data(v.kwargs)],
}


def value_data(value: Any) -> Data:
    """A static attribute as JSON data. Raises TypeError for a type that has no form."""
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    form = _FORMS.get(kind)
    if form is not None:
        return form(value)
    if hasattr(value, "free_symbols"):
        return _size(value)
    for known, form in _FORMS.items():
        if isinstance(value, known):
            return form(value)
    if isinstance(value, int):
        return int(value)  # an enumeration's member, a named number
    if isinstance(value, str):
        return str.__str__(value)
    raise TypeError(f"[keys] an attribute of type {kind.__name__} has no stable form: {value!r}")


def _size(e: Any) -> Data:
    """A sympy expression: its head and its operands, which sympy keeps in an order of its own."""
    if e.is_Symbol:
        return ["symbol", e.name]
    if e.is_Rational:
        return ["number", e.p, e.q]
    if e.is_Float:
        raise TypeError(f"[keys] a size is a whole number, not {e!r}")
    if not e.args:
        return ["atom", type(e).__name__, str(e)]
    return ["apply", type(e).__name__, *map(_size, e.args)]
