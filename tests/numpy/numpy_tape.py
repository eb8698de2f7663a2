"""Capture without bytecode: NumPy functions applied to symbolic arrays directly, and the graph run by NumPy.

`check(f, *args)` records one call of a NumPy function, method or operator, runs the graph op by op, and compares with
NumPy: values, dtype, shape, strides, whether the result is a scalar, and what was written into the arguments.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy_values import equal
from quern.capture.frontends.numpy import names
from quern.capture.frontends.numpy.arrays import Array, Memory
from quern.capture.frontends.numpy.builder import ArrayBuilder
from quern.capture.frontends.numpy.errstate import Settings
from quern.capture.frontends.numpy.layout import element_strides
from quern.capture.frontends.numpy.runtime import NumpyRuntime
from quern.capture.values.tensor import ArrayState, InputStorage
from quern.inductor.graph import GraphBuilder, Input, Node
from quern.inductor.ops import OPS

RUNTIME = NumpyRuntime()


class TapeInput(InputStorage):
    """An array from outside."""

    def entry_node(self, ev: Any) -> Node:
        node = ev.builder.input(self.meta)
        ev.values[node] = self.real
        return node


class Tape:
    """Stands for the evaluator: a graph under construction, and inputs for it."""

    def __init__(self) -> None:
        self.builder = GraphBuilder(OPS)
        self.graph = self.builder.graph
        self.states = {"numpy": ArrayState()}
        with np.errstate(all="ignore"):
            self.b = ArrayBuilder(self, Array, Settings())  # type: ignore[arg-type]
        self.values: dict[Node, np.ndarray] = {}
        self.guards = SimpleNamespace(add=lambda guard: None, test=lambda *text, shown="": None)
        self.names = SimpleNamespace(inject=lambda obj, stem="": stem)

    def emit(self, op: str, *nodes: Node, **attrs: Any) -> Node:
        return self.builder.call(op, *nodes, **attrs)

    def break_(self, code: str, what: str, why: str = "", rewrite: str = "") -> Exception:
        return RuntimeError(f"{code}: {what}")

    def input(self, array: np.ndarray) -> Array:
        """A symbolic array for a real one."""
        meta = RUNTIME.meta_of(array)
        storage = TapeInput(meta, None, array, Memory(array))  # type: ignore[arg-type]
        self.states["numpy"].inputs.append(storage)
        return Array(storage, meta, strides=element_strides(array))

    def symbolic(self, value: Any) -> Any:
        """Arrays inside of a (nested) argument replaced by symbolic ones."""
        if isinstance(value, np.ndarray):
            return self.input(value)
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.symbolic, value))
        if isinstance(value, dict):
            return {k: self.symbolic(v) for k, v in value.items()}
        return value

    def run(self) -> None:
        """Compute every node, with NumPy."""
        self.graph.verify()
        with np.errstate(all="ignore"):
            for n in self.graph.nodes:
                if n in self.values:
                    continue
                inputs = [None if i is None else self.values[i] for i in n.inputs]
                if n.op.name == "extern":
                    ref = n.attrs["ref"]

                    def fill(v: Any, inputs: Any = inputs) -> Any:
                        return inputs[v.index] if isinstance(v, Input) else v

                    made = RUNTIME.resolve(ref.target)(*map(fill, ref.args), **{k: fill(v) for k, v in ref.kwargs})
                else:
                    made = RUNTIME.run_op(n.op.name)(*inputs, **n.attrs)
                self.values[n] = made
                check_meta(n, made)

    def real(self, value: Any) -> Any:
        """The array (or scalar) that a symbolic one stands for, laid out as promised."""
        if isinstance(value, Array):
            made = np.asarray(self.values[value.node(self)])  # type: ignore[arg-type]
            if value.number:
                return made.item()
            return made[()] if value.scalar else made
        if isinstance(value, (list, tuple)):
            return type(value)(map(self.real, value))
        return value


def check_meta(node: Node, made: Any) -> None:
    """What NumPy made has the shape and dtype that the node's meta promises."""
    if isinstance(node.meta, tuple):
        return
    made = np.asarray(made)
    assert made.shape == tuple(node.shape), f"{node}: NumPy made {made.shape}"
    if not node.meta.weak:
        assert made.dtype.name == node.dtype.name, f"{node}: NumPy made {made.dtype}"


def same_strides(array: Array, expected: Any) -> bool:
    """The strides that were promised are NumPy's, axes of size 1 and empty arrays aside."""
    theirs = element_strides(expected)
    return expected.size == 0 or all(n == 1 or m == t for n, m, t in zip(expected.shape, array.strides, theirs))


def check(function: Any, *args: Any, strides: bool = True, rtol: float = 1e-6, **kwargs: Any) -> Tape:
    """Record `function(*args)` (a NumPy function, a method or attribute name, or an operator), run it, compare."""
    tape = Tape()
    symbolic, named = tape.symbolic(args), tape.symbolic(kwargs)
    real_args, real_kwargs = _copies(args), _copies(kwargs)
    if isinstance(function, str):
        found, expected = _by_name(tape, function, symbolic, named, real_args, real_kwargs)
    else:
        found = names.call(tape.b, function, symbolic, named)
        with np.errstate(all="ignore"):
            expected = function(*real_args, **real_kwargs)
    # read before running: nodes of views are appended by reading
    _read(tape, found)
    _read(tape, symbolic)
    tape.run()
    equal(tape.real(found), expected, rtol)
    # what was written into arguments
    equal(tape.real(list(symbolic)), list(real_args), rtol)
    if strides:
        _check_strides(found, expected)
    return tape


def _read(tape: Tape, value: Any) -> None:
    if isinstance(value, Array):
        value.node(tape)  # type: ignore[arg-type]
    elif isinstance(value, (list, tuple)):
        for v in value:
            _read(tape, v)


def _check_strides(found: Any, expected: Any) -> None:
    if isinstance(found, Array) and isinstance(expected, np.ndarray):
        assert same_strides(found, expected), f"strides {found.strides}, NumPy's are {element_strides(expected)}"
    elif isinstance(found, (list, tuple)):
        for f, e in zip(found, expected):
            _check_strides(f, e)


def _copies(value: Any) -> Any:
    """Arrays copied in their own layout, so that a call that writes leaves the tape's inputs alone."""
    if isinstance(value, np.ndarray):
        made = RUNTIME.empty(
            value.shape, tuple(abs(s) for s in element_strides(value)), RUNTIME.meta_of(value).dtype, "cpu"
        )
        for axis, stride in enumerate(value.strides):
            made = np.flip(made, axis) if stride < 0 else made
        if value.flags.writeable:
            made[...] = value
            return made
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(map(_copies, value))
    if isinstance(value, dict):
        return {k: _copies(v) for k, v in value.items()}
    return value


def _by_name(tape: Tape, name: str, symbolic: Any, named: Any, real: Any, real_named: Any) -> tuple[Any, Any]:
    """Operators ("+", "+=", "=="), attributes (".T") and methods ("sum")."""
    b = tape.b
    with np.errstate(all="ignore"):
        if name.startswith("."):
            return names.ATTRIBUTES[name[1:]](b, *symbolic), getattr(real[0], name[1:])
        if name in names.COMPARE:
            return names.call(b, names.COMPARE[name], symbolic, {}), names.COMPARE[name](*real)
        if name.endswith("="):
            scope = {"x": real[0], "y": real[1]}
            exec(f"x {name} y", scope)
            return names.inplace(b, name[:-1], *symbolic), scope["x"]
        if name in names.BINARY:
            return names.binary(b, name, *symbolic), eval(f"x {name} y", {"x": real[0], "y": real[1]})
        return names.METHODS[name](b, *symbolic, **named), getattr(real[0], name)(*real[1:], **real_named)
