"""A small evaluator of graphs: every node that is not extern decomposes or lowers, and its loops run on the oracle.

Each node is computed over its whole index space into a contiguous array of its own, so an op is tested by itself:
no fusion, no scheduling, no code generation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from quern.capture.frontends.torch.runtime import tensor_meta
from quern.inductor.dtypes import DType, bfloat16, compute_dtype
from quern.inductor.graph import Graph, GraphBuilder, Node, TensorMeta
from quern.inductor.kernel import Buffer, Kernel, Store, symbols_of
from quern.inductor.loops import Attend, Fn, Reduce, Scan, Scatter, Var, as_index, cast, expr, linearize, load
from quern.inductor.ops import OPS
from quern.inductor.reference import numpy_dtype, run_kernel

MAX_DEPTH = 20


def to_array(x: torch.Tensor) -> np.ndarray:
    """A tensor's values as the oracle keeps them: contiguous, bfloat16 as raw bits."""
    x = x.detach().contiguous()
    return (x.view(torch.int16).numpy().view(np.uint16) if x.dtype == torch.bfloat16 else x.numpy()).copy()


def to_tensor(array: np.ndarray, meta: TensorMeta) -> torch.Tensor:
    """The reverse of `to_array`."""
    array = np.ascontiguousarray(array).reshape(meta.shape)
    if meta.dtype == bfloat16:
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def storage_dtype(dtype: DType) -> np.dtype:
    return np.dtype(np.uint16) if dtype == bfloat16 else numpy_dtype(dtype)


class Evaluator:
    """Values of nodes, computed on demand."""

    def __init__(
        self, eager: Any, size: Callable[[Any], int] = int, symbols: Mapping[str, int] = MappingProxyType({})
    ) -> None:
        """eager: op name -> the framework's function; size: a dim as an int; symbols: their values by name."""
        self.eager, self.size, self.symbols = eager, size, symbols
        self.builder = GraphBuilder(OPS, Graph())
        self.values: dict[Node, Any] = {}
        self.depth: dict[Node, int] = {}
        #: names of the ops met, decompositions included
        self.seen: set[str] = set()

    def operand(self, value: Any) -> Node | None:
        """A graph input for a tensor, a `scalar` node for a number, None for None."""
        if value is None:
            return None
        if not isinstance(value, torch.Tensor):
            return self.builder.call("scalar", value=value)
        node = self.builder.input(tensor_meta(value))
        self.values[node] = to_array(value)
        return node

    def run(self, node: Node) -> Any:
        """The node's value as an array; a tuple of arrays for a node with several results."""
        if node not in self.values:
            self.values[node] = self.compute(node)
        return self.values[node]

    def expand(self, node: Node) -> Any:
        """The node's decomposition; what it is made of stands one level deeper than the node."""
        depth = self.depth.get(node, 0)
        assert depth < MAX_DEPTH, f"{node.op.name} does not end in primitives"
        start = len(self.builder.graph.nodes)
        made = node.op.decompose(self.builder, node)
        for n in self.builder.graph.nodes[start:]:
            self.depth[n] = depth + 1
        return made

    def compute(self, node: Node) -> Any:
        self.seen.add(node.op.name)
        op = node.op
        if op.decompose is not None:
            made = self.expand(node)
            if isinstance(node.meta, tuple):
                assert isinstance(made, tuple) and len(made) == len(node.meta)
                for m, meta in zip(made, node.meta):
                    same_kind(m.meta, meta, op.name)
                return tuple(self.run(m) for m in made)
            same_kind(made.meta, node.meta, op.name)
            return self.run(made)
        if op.lower is not None:
            return self.lower(node)
        inputs = [None if i is None else self.tensor(i) for i in node.inputs]
        result = self.eager(op.name)(*inputs, **node.attrs)
        return tuple(map(to_array, result)) if isinstance(result, tuple) else to_array(result)

    def tensor(self, node: Node) -> Any:
        if node.op.name == "scalar":
            return node.attrs["value"]
        shape = tuple(map(self.size, node.shape))
        return to_tensor(self.run(node), TensorMeta(shape, shape, node.dtype))

    def lower(self, node: Node) -> np.ndarray:
        arrays: dict[str, np.ndarray] = {}
        args: list[Buffer] = []
        fns: list[Fn | None] = []
        for k, i in enumerate(node.inputs):
            if i is None:
                fns.append(None)
            elif i.op.name == "scalar":
                fns.append(i.op.lower(i))
            else:
                fns.append(self.reader(f"in{k}", i, arrays, args))
        lowered = node.op.lower(node, *fns)
        shape = tuple(map(self.size, node.shape))
        count = math.prod(shape)
        out = Buffer("out", node.dtype, max(count, 1))
        array = np.zeros(out.size, storage_dtype(node.dtype))
        arrays["out"] = array
        for kernel in kernels(node, lowered, out, args):
            kernel.verify()
            run_kernel(kernel, arrays, self.symbols)
        return array[:count].reshape(shape)

    def reader(self, name: str, node: Node, arrays: dict[str, np.ndarray], args: list[Buffer]) -> Fn:
        arrays[name] = self.run(node).reshape(-1)
        args.append(Buffer(name, node.dtype, arrays[name].size))
        dtype = node.dtype

        def fn(index: Any) -> Any:
            assert len(index) == len(node.shape), f"{len(index)} indices for {node}"
            return cast(load(name, linearize(index, node.shape), dtype), compute_dtype(dtype))

        return fn


def same_kind(got: TensorMeta, wanted: TensorMeta, op: str) -> None:
    assert got.shape == wanted.shape, f"{op} decomposes to shape {got.shape}, its meta says {wanted.shape}"
    assert got.dtype == wanted.dtype, f"{op} decomposes to {got.dtype}, its meta says {wanted.dtype}"


def kernels(node: Node, lowered: Any, out: Buffer, args: list[Buffer]) -> list[Kernel]:
    """One kernel that stores the node's value (two for a scatter: base, then the writes)."""

    def loop(shape: Any, letter: str = "p") -> tuple[tuple[Var, ...], tuple[Any, ...]]:
        variables = tuple(Var(f"{letter}{k}", s, letter == "r") for k, s in enumerate(shape))
        return variables, tuple(map(as_index, variables))

    def stored(p: Any, r: Any, index: Any, value: Any, mode: str = "store", reads: bool = True) -> Kernel:
        expected = compute_dtype(node.dtype)
        assert value.dtype == expected, f"{node.op.name} lowers to {value.dtype}, not {expected}"
        store = Store("out", linearize(index, node.shape), cast(value, node.dtype), mode)
        return Kernel(node.op.name, p, r, (store,), (*args, out), symbols_of((*p, *r), [store]))

    p, index = loop(node.shape)
    if isinstance(lowered, (Reduce, Attend)):
        r, inner = loop(lowered.extents, "r")
        return [stored(p, r, index, lowered.total(index, inner))]
    if isinstance(lowered, Scan):
        r = (Var("r0", node.shape[lowered.dim], True),)
        p = tuple(v for d, v in enumerate(p) if d != lowered.dim)
        index = tuple(as_index(r[0]) if d == lowered.dim else i for d, i in enumerate(index))
        inner = lowered.inner(index)
        total = expr("scan", inner, dtype=inner.dtype, attr=lowered.kind)  # may run in a wider dtype than the result's
        return [stored(p, r, index, cast(total, compute_dtype(node.dtype)))]
    if isinstance(lowered, Scatter):
        base = stored(p, (), index, lowered.base(index))
        q, point = loop(lowered.ranges)
        return [base, stored(q, (), lowered.target(point), lowered.value(point), lowered.mode)]
    return [stored(p, (), index, lowered(index))]
