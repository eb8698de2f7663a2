"""Helpers for tests of compiled code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .capture.frontend import frontends
from .inductor.graph import Graph
from .inductor.interpreter import interpret


class CompileCounter:
    """A backend that counts: `frame_count` graphs compiled, `op_count` calls in them. Runs each as it is.

    graph: as for `quern.register_backend`: with "quern", and for NumPy programs, ops of quern's own graphs are counted

    >>> counter = CompileCounter()
    >>> f = quern.compile(g, backend=counter); f(x); counter.frame_count
    1
    """

    def __init__(self, graph: str = "torch") -> None:
        self.quern_graph = graph == "quern"
        self.frame_count = 0
        self.op_count = 0
        self.graphs: list[Any] = []

    def __call__(self, module: Any, example_inputs: Sequence[Any]) -> Callable[..., Any]:
        self.frame_count += 1
        self.graphs.append(module)
        if not isinstance(module, Graph):
            self.op_count += sum(node.op.startswith("call_") for node in module.graph.nodes)
            return module.forward
        self.op_count += module.op_count
        (frontend,) = (f for f in frontends() if f.name == module.boundary.framework)
        return interpret(module, frontend.runtime)

    def clear(self) -> None:
        """Forget what was counted."""
        self.frame_count = 0
        self.op_count = 0
        self.graphs.clear()


def same(a: Any, b: Any, *, rtol: float = 1e-5, atol: float = 1e-6) -> bool:
    """True when two results agree: type, structure, dtype, shape, strides, and values within the tolerances (NaN equals NaN)."""
    if hasattr(a, "dtype") and hasattr(a, "shape") and hasattr(a, "tolist"):
        return _same_array(a, b, rtol, atol)
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[k], b[k], rtol=rtol, atol=atol) for k in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y, rtol=rtol, atol=atol) for x, y in zip(a, b))
    if isinstance(a, float):
        return a == b or (a != a and b != b) or abs(a - b) <= atol + rtol * abs(b)
    return a is b or bool(a == b)


def _same_array(a: Any, b: Any, rtol: float, atol: float) -> bool:
    if type(a) is not type(b) or a.dtype != b.dtype or tuple(a.shape) != tuple(b.shape):
        return False
    stride = lambda t: tuple(t.stride()) if callable(getattr(t, "stride", None)) else getattr(t, "strides", ())  # noqa: E731
    if 0 not in tuple(a.shape):
        kept = [i for i, n in enumerate(a.shape) if n != 1]
        if [stride(a)[i] for i in kept] != [stride(b)[i] for i in kept]:
            return False
    if callable(getattr(a, "isclose", None)):
        close = a.detach().isclose(b.detach(), rtol=rtol, atol=atol, equal_nan=True)
        return bool(close.all())
    import numpy as np

    if a.dtype.kind in "fc":
        return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))
    return bool((a == b).all())
