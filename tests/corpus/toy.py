"""A toy array framework and its front end: the smallest thing that capture can work with. No torch needed.

A `Toy` wraps a numpy array of float64. It has `+ - * / @ **`, comparisons, unary minus, `.relu()`, `.sum()`, `.shape`,
`.item()`, `bool()`, in-place `add_`, and the functions `exp`, `where`, `stack`.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import running
from comparison import Comparison, Numbers, Part, Recorder, within
from quern.capture.entry.dispatch import CompiledFunction
from quern.capture.entry.execution import eager_backend
from quern.capture.frontend import register_frontend
from quern.capture.values.base import Value
from quern.capture.values.constant import ConstantValue
from quern.capture.values.number import NumberValue
from quern.capture.values.sequences import TupleValue
from quern.capture.values.symint import SymIntValue
from quern.inductor import dtypes
from quern.inductor.graph import TensorMeta, contiguous_strides
from registry import Program, Topic, required
from running import Ground

from quern.config import config


class Toy:
    """An array of float64."""

    def __init__(self, data: Any) -> None:
        self.data = np.asarray(data, dtype=np.float64)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    def _other(self, other: Any) -> Any:
        return other.data if isinstance(other, Toy) else other

    def _binary(self, fn: Any, other: Any) -> Any:
        if not isinstance(other, (Toy, int, float)):
            return NotImplemented
        return Toy(fn(self.data, self._other(other)))

    def __add__(self, other: Any) -> Any:
        return self._binary(np.add, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self._binary(np.subtract, other)

    def __rsub__(self, other: Any) -> Any:
        return Toy(self._other(other) - self.data)

    def __mul__(self, other: Any) -> Any:
        return self._binary(np.multiply, other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self._binary(np.true_divide, other)

    def __neg__(self) -> Any:
        return Toy(-self.data)

    def __gt__(self, other: Any) -> Any:
        return Toy(self.data > self._other(other))

    def __eq__(self, other: object) -> Any:
        return Toy(self.data == self._other(other))

    __hash__ = object.__hash__

    def relu(self) -> Toy:
        return Toy(np.maximum(self.data, 0))

    def sum(self) -> Toy:
        return Toy(self.data.sum())

    def item(self) -> float:
        return float(self.data)

    def add_(self, other: Any) -> Toy:
        self.data += self._other(other)
        return self

    def __bool__(self) -> bool:
        return bool(self.data)

    def __repr__(self) -> str:
        return f"Toy({self.data.tolist()})"


def exp(x: Toy) -> Toy:
    return Toy(np.exp(x.data))


_OPS = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
_COMPARE = {">": "gt", "==": "eq"}
_RUN = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "neg": np.negative, "exp": np.exp,
    "relu": lambda x: np.maximum(x, 0), "gt": np.greater, "eq": np.equal,
    "scalar": lambda value, dtype=None: np.float64(value), "sum": lambda x, **_: x.sum(),
}  # fmt: skip


class ToyRuntime:
    """Runs ops on Toys."""

    name = "toy"
    graph_decides_layouts = False

    def run_op(self, op: str) -> Any:
        fn = _RUN[op]

        def call(*args: Any, **attrs: Any) -> Toy:
            return Toy(fn(*[a.data if isinstance(a, Toy) else a for a in args], **attrs))

        return call

    def set_grad(self, mode: bool) -> bool:
        return False

    def noting(self, run: Any, errors: int) -> Any:
        return run

    def copy_(self, target: Toy, source: Toy) -> None:
        target.data[...] = source.data


def _meta(x: Toy) -> TensorMeta:
    return TensorMeta(x.data.shape, contiguous_strides(x.data.shape), dtypes.float64)


class ToyValue(Value):
    """A Toy during capture. `node` is its present content."""

    __slots__ = ("node", "written")
    branches = True

    def __init__(self, node: Any, source: Any = None) -> None:
        super().__init__(source)
        self.node = node
        self.written = False

    def python_type(self) -> type:
        return Toy

    def truth(self, ev: Any) -> bool:
        raise ev.break_(
            "data-dependent-branch",
            "a branch on the value of an array",
            "it is not known during capture",
            "use where()",
        )

    def getattr_(self, ev: Any, name: str) -> Value:
        if name == "shape":
            return TupleValue([ConstantValue(n) for n in self.node.shape])
        return super().getattr_(ev, name)

    def _node_of(self, ev: Any, other: Value) -> Any:
        other = ev.payload(other)
        if isinstance(other, ToyValue):
            return other.node
        if isinstance(other, (SymIntValue, NumberValue)):  # Toys know no symbols
            other = ConstantValue(ev.known(other))
        if type(other) is ConstantValue and isinstance(other.value, (int, float)):
            return ev.emit("scalar", value=float(other.value), dtype=None)
        return None

    def binary(self, ev: Any, op: str, other: Value, reflected: bool) -> Value | None:
        node = self._node_of(ev, other)
        if node is None or op not in _OPS:
            return None
        one, two = (node, self.node) if reflected else (self.node, node)
        return ToyValue(ev.emit(_OPS[op], one, two))

    def compare(self, ev: Any, op: str, other: Value) -> Value | None:
        node = self._node_of(ev, other)
        return ToyValue(ev.emit(_COMPARE[op], self.node, node)) if node is not None and op in _COMPARE else None

    def unary(self, ev: Any, op: str) -> Value:
        return ToyValue(ev.emit("neg", self.node))

    def m_relu(self, ev: Any) -> Value:
        return ToyValue(ev.emit("relu", self.node))

    def m_sum(self, ev: Any) -> Value:
        return ToyValue(ev.emit("sum", self.node))

    def m_item(self, ev: Any) -> Value:
        raise ev.break_("item", "calling .item()", "the value is not known during capture", "keep it an array")

    def m_add_(self, ev: Any, other: Value) -> Value:
        self.node = ev.emit("add", self.node, self._node_of(ev, other))
        if self.source is not None and self not in ev.states["toy"]:
            ev.states["toy"].append(self)
        return self

    def rebuild(self, rb: Any) -> str:
        rb.ev.boundary.framework = "toy"
        return rb.output(self.node)


class ToyFrontend:
    """See `quern.capture.frontend.Frontend`."""

    name = "toy"

    def __init__(self) -> None:
        self.runtime = ToyRuntime()

    def owns_type(self, cls: type) -> bool:
        return cls is Toy

    def wrap(self, ev: Any, obj: Toy, source: Any) -> Value:
        meta = _meta(obj)
        if not source.is_const:
            ev.guards.type_is(source, Toy)
            ev.guards.test(source, f"{{x}}.data.shape == {meta.shape}", f"{{label}} had shape {meta.shape}")
        return ToyValue(ev.add_input(source, meta, obj, source.label or "arg"), source)

    def function(self, fn: Any) -> Any:
        if fn is exp:
            return lambda ev, args, kwargs: ToyValue(ev.emit("exp", args[0].node))
        return None

    def is_framework_code(self, fn: Any) -> bool:
        return False

    def may_inline(self, fn: Any) -> bool:
        return True

    def new_state(self, ev: Any) -> list[ToyValue]:
        return []

    def global_guards(self, ev: Any) -> None:
        pass

    def finish(self, ev: Any, rb: Any) -> None:
        sources = [s for s, _ in ev.inputs]
        for value in ev.states["toy"]:
            ev.boundary.writes.append((ev.graph.inputs[sources.index(value.source)], value.node))

    def take(self, ev, inputs):
        return inputs

    def raised_by_program(self, error):
        return False

    def remembering(self, graph, run):
        return run

    def repeating(self, error):
        return contextlib.nullcontext()

    def roll(self, ev, frame, loop, start, top, region):
        return False

    def records_calls(self):
        return False

    def unseen(self):
        return contextlib.nullcontext()

    def location_is_framework(self, filename: str) -> bool:
        return filename == __file__


register_frontend(ToyFrontend())  # type: ignore[arg-type]


def toy_compile(fn: Any, **options: Any) -> CompiledFunction:
    """`fn` compiled with the debug backend."""
    return CompiledFunction(fn, backend=eager_backend, **options)


# ---------------------------------------------------------------- programs over Toys


def _toy(recorder: Recorder, value: Toy, path: str) -> None:
    recorder.fact(path, "values", Numbers(value.data.copy()))


EXACT = Comparison(within(0.0))
GROUND = Ground(parts=(Part(kinds=((Toy, _toy),)),))


def two() -> tuple[Any, ...]:
    return Toy([1.0, -2.0, 3.0]), Toy([0.5, 0.25, -1.0])


def one() -> tuple[Any, ...]:
    return two()[:1]


on_toy = functools.partial(Topic, arguments=lambda fn: one if len(required(fn)) == 1 else two)


def agree(program: Program, **options: Any) -> CompiledFunction:
    """Every call of the compiled program is as the plain one's, to the last bit. Errors inside quern are raised."""
    made: list[CompiledFunction] = []
    with config.patch(on_error="raise"):
        running.agree(program, lambda fn: made.append(toy_compile(fn, **options)) or made[0], GROUND, EXACT)
    return made[0]


def agrees(fn: Callable[..., Any], make: Callable[[], tuple[Any, ...]]) -> CompiledFunction:
    """`agree` for a function of a test's own."""
    return agree(Program(fn.__name__, fn.__module__, lambda: fn, lambda call: make()))


def captured_whole(compiled: CompiledFunction) -> None:
    """One entry, one graph, no breaks, no fallback to plain Python."""
    assert not compiled.breaks, compiled.breaks[0]
    assert len(compiled.entries) == 1, compiled.recompiles
    assert not compiled.entries[0].is_plain, compiled.entries[0].captured.reason
