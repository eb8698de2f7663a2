"""Passes from graph to graph, by what they leave."""

from __future__ import annotations

from dataclasses import replace

from quern.inductor import dtypes
from quern.inductor.boundary import Boundary
from quern.inductor.graph import ExternRef, Graph, GraphBuilder, Input, TensorMeta, symbols_in
from quern.inductor.ops import OPS
from quern.inductor.passes import move_scalars
from quern.inductor.pipeline import PASSES, schedule_graph

GPU = "cuda:0"


def mixed_graph() -> Graph:
    """A tensor of a GPU, a number, and a 0-dim tensor of the CPU that is computed with first."""
    graph = Graph()
    b = GraphBuilder(OPS, graph)
    x = b.input(TensorMeta((4, 5), (5, 1), dtypes.float32, GPU), "x")
    held = b.input(TensorMeta((), (), dtypes.float64, "cpu"), "number")
    small = b.input(TensorMeta((), (), dtypes.float32, "cpu"), "small")
    scaled = b.mul(x, b.number(held))
    graph.outputs = [b.add(scaled, b.exp(b.mul(small, b.scalar(value=2))))]
    return graph


def test_a_kernel_reads_its_own_device_only() -> None:
    schedule = schedule_graph(mixed_graph())
    assert schedule.kernels and {buffer.device for kernel in schedule.kernels for buffer in kernel.args} == {GPU}


def test_only_what_is_read_is_moved() -> None:
    moved = move_scalars(mixed_graph(), OPS)
    copies = [n for n in moved.nodes if n.op.name == "to_device"]
    assert [n.inputs[0].name for n in copies] == ["number", "small"]
    assert [n.op.name for n in moved.outputs[0].inputs] == ["mul", "exp"]
    result = moved.outputs[0].meta
    assert (result.dtype, result.device) == (dtypes.float32, GPU)


def test_a_graph_of_the_cpu_is_left_alone() -> None:
    graph = Graph()
    b = GraphBuilder(OPS, graph)
    x = b.input(TensorMeta((3,), (1,), dtypes.float32, "cpu"), "x")
    graph.outputs = [b.exp(x)]
    assert move_scalars(graph, OPS) is graph


def test_a_value_used_often_is_moved_once() -> None:
    graph = Graph()
    b = GraphBuilder(OPS, graph)
    x = b.input(TensorMeta((4,), (1,), dtypes.float32, GPU), "x")
    small = b.input(TensorMeta((), (), dtypes.float32, "cpu"), "small")
    for _ in range(40):  # as often as 2 ** 40, were each use moved by itself
        small = b.add(small, small)
    graph.outputs = [b.mul(x, small)]
    assert len(move_scalars(graph, OPS).nodes) < 100


def test_passes_hand_the_boundary_on():
    """Whatever surrounds a graph is there behind every pass, dead nodes or not."""
    b = GraphBuilder(OPS)
    x = b.input(TensorMeta((4,), (1,), dtypes.float32))
    b.exp(x)  # dead
    b.graph.outputs = [b.neg(x), b.add(x, x)]
    b.graph.boundary = Boundary(
        returned=1, writes=((0, 1),), framework="torch", float_errors=3, isolated=frozenset({"autocast"})
    )
    graph = b.graph
    for transform in PASSES:
        graph = transform(graph, OPS)
        assert graph.boundary == b.graph.boundary
    assert [n.op.name for n in graph.returned] == ["neg"]
    assert [(i, n.op.name) for i, n in graph.mutations] == [(0, "add")]


def test_a_graph_by_hand_says_what_it_writes():
    b = GraphBuilder(OPS)
    x = b.input(TensorMeta((4,), (1,), dtypes.float32))
    y, z = b.neg(x), b.exp(x)
    graph = Graph([x], b.graph.nodes, [y], mutations=[(0, z)])
    assert graph.returned == [y] and graph.mutations == [(0, z)] and graph.outputs == [y, z]
    again = replace(graph, mutations=[(0, y)])
    assert again.returned == [y] and again.mutations == [(0, y)]
    assert replace(graph, name="other").mutations == [(0, z)]


def test_symbols_are_found_wherever_an_attribute_holds_them():
    import sympy

    s = sympy.Symbol("s0", integer=True, positive=True)
    b = GraphBuilder(OPS)
    x = b.input(TensorMeta((4,), (1,), dtypes.float32))
    for held in (ExternRef("m:f", (Input(0), s)), ExternRef("m:f", (), (("k", [s + 1]),)), slice(0, s), {"k": (1, s)}):
        node = b.append(OPS["extern"], [x], {"ref": held}, x.meta)
        assert set(symbols_in(node.attrs)) == {s} and node.is_dynamic
    assert not b.append(OPS["extern"], [x], {"ref": ExternRef("m:f", (Input(0), 2))}, x.meta).is_dynamic
