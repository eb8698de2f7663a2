"""Joint graphs and their cut: what is saved, what is computed again; the cut itself against all cuts of small networks."""

from __future__ import annotations

import itertools
import math
import random

import pytest
from quern.inductor import dtypes
from quern.inductor.boundary import Boundary
from quern.inductor.differentiate import Undifferentiable, differentiate
from quern.inductor.graph import Graph, GraphBuilder, TensorMeta, contiguous_strides
from quern.inductor.maximum_flow import Network
from quern.inductor.ops import OPS
from quern.inductor.partition import Names, partition


def graph(build, *shapes):
    b = GraphBuilder(OPS, Graph(name="g"))
    inputs = [b.input(TensorMeta(s, contiguous_strides(s), dtypes.float32), f"x{i}") for i, s in enumerate(shapes)]
    made = build(b, *inputs)
    b.graph.outputs = list(made) if isinstance(made, tuple) else [made]
    return b.graph


def parts(build, *shapes, inputs=None, given=(0,)):
    whole = graph(build, *shapes)
    joint = differentiate(whole, OPS, range(len(shapes)) if inputs is None else inputs, given)
    found, saved, names = partition(joint, OPS, Boundary())
    assert isinstance(names, Names) and len(saved) == len(found.saved)
    found.forward.verify(OPS)
    found.backward.verify(OPS)
    return found


def saved(build, *shapes, **more):
    return [(s.kind, s.position) for s in parts(build, *shapes, **more).saved]


def test_what_eager_keeps_costs_nothing():
    assert saved(lambda b, x: b.exp(x), (8,)) == [("output", 0)]
    assert saved(lambda b, x: b.sin(x), (8,)) == [("input", 0)]
    assert saved(lambda b, x, w: b.mm(x, w), (4, 5), (5, 6)) == [("input", 0), ("input", 1)]


def test_an_input_that_no_rule_reads_is_never_saved():
    # sin reads x + 1, which could be computed again from x: but the program may write to x
    assert saved(lambda b, x: b.sin(b.add(x, b.scalar(value=1.0))), (8,)) == [("more", 0)]


def test_a_chain_is_computed_again_from_one_value():
    def chain(b, x):
        y = b.sin(x)
        for _ in range(5):
            y = b.sin(b.mul(y, y))
        return y

    found = parts(chain, (100,))
    assert [(s.kind, s.position) for s in found.saved] == [("input", 0)]
    assert sum(n.op.name == "sin" for n in found.backward.nodes) == 5


def test_reductions_and_products_are_saved_not_repeated():
    def norm(b, x, w):
        return b.softmax(b.mm(x, w), dim=-1)

    found = parts(norm, (64, 32), (32, 48))
    assert not any(n.op.kind == "reduction" and n.op.name == "amax" for n in found.backward.nodes)
    assert all(n.op.contraction is None or n.origin.startswith("gradient") for n in found.backward.nodes)


def test_only_gradients_that_are_wanted_are_computed():
    found = parts(lambda b, x, w: b.mm(x, w), (4, 5), (5, 6), inputs=[1])
    assert found.gradients == (1,) and [(s.kind, s.position) for s in found.saved] == [("input", 0)]
    assert sum(n.op.contraction is not None for n in found.backward.nodes) == 1


def test_an_op_without_a_rule_is_named():
    whole = graph(lambda b, x: b.prod(b.exp(x), dim=0), (4, 3))
    with pytest.raises(Undifferentiable) as raised:
        differentiate(whole, OPS, [0], [0])
    assert raised.value.node.op.name == "prod"


def test_the_cheapest_cut_of_small_networks():
    rng = random.Random(0)
    for _ in range(200):
        size = rng.randint(3, 6)
        edges = [(a, b, rng.choice((0, 1, 2, 5, 9, math.inf))) for a in range(size) for b in range(size)
                 if a != b and rng.random() < 0.5]  # fmt: skip
        network = Network(size)
        for a, b, capacity in edges:
            network.connect(a, b, capacity)

        def cost(behind, edges=edges):
            return sum(c for a, b, c in edges if a not in behind and b in behind)

        inner = range(1, size - 1)
        sides = [{size - 1, *s} for n in range(size - 1) for s in itertools.combinations(inner, n)]
        best = min(map(cost, sides))
        if best == math.inf:
            with pytest.raises(ValueError, match="cannot be cut"):
                network.cut(0, size - 1)
            continue
        found = network.cut(0, size - 1)
        assert cost(found) == best and 0 not in found
        assert len(found) == min(len(s) for s in sides if cost(s) == best)
