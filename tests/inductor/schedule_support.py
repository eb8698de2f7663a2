"""Runs a schedule with the kernel oracle: what the tests of lowering and fusion compare with NumPy."""

from __future__ import annotations

import numpy as np
from quern.inductor import dtypes
from quern.inductor.graph import Graph, GraphBuilder, TensorMeta, contiguous_strides
from quern.inductor.ops import OPS
from quern.inductor.pipeline import schedule_graph
from quern.inductor.reference import numpy_dtype, run_kernel
from quern.inductor.schedule import Launch, Schedule


def builder() -> GraphBuilder:
    return GraphBuilder(OPS, Graph())


def tensor(b: GraphBuilder, shape, dtype=dtypes.float32, stride=None, name="x"):
    """A graph input."""
    return b.input(TensorMeta(tuple(shape), tuple(stride or contiguous_strides(shape)), dtype), name)


def scheduled(b: GraphBuilder, *outputs, fuse: bool = True) -> Schedule:
    b.graph.outputs = list(outputs)
    return schedule_graph(b.graph, fuse=fuse)


def run(s: Schedule, *arrays: np.ndarray) -> list[np.ndarray]:
    """Results of a schedule without framework calls, as NumPy arrays in their own layout."""
    memory: dict[str, np.ndarray] = {}
    for storage in s.lowered.buffers.values():
        memory[storage.name] = np.zeros(max(int(storage.size), 1), numpy_dtype(storage.dtype))
    for storage, array in zip(s.lowered.inputs, arrays):
        flat = memory[storage.name]
        _view(flat, storage)[...] = array
    for step in s.steps:
        assert isinstance(step, Launch), f"framework call {step}"
        run_kernel(step.kernel, {arg.name: memory[b] for arg, b in zip(step.kernel.args, step.buffers)})
    return [_view(memory[storage.name], storage).copy() for storage in s.lowered.outputs]


def _view(flat, storage):
    strides = [st * flat.itemsize for st in storage.stride]
    return np.lib.stride_tricks.as_strided(flat[storage.offset :], storage.shape, strides)
