"""The loop preparation passes keep a kernel's meaning and reach the shape that code generators want."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from quern.inductor import dtypes as dt
from quern.inductor.canonical import canonical_form, drop_unit_vars, merge_vars, order_vars, rename_vars, split_vars
from quern.inductor.graph import Graph
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import (
    Index,
    Var,
    as_index,
    cast,
    delinearize,
    expr,
    floordiv,
    index_value,
    indirect,
    load,
    mod,
    reduce,
)
from quern.inductor.pipeline import STAGES, schedule_graph
from quern.inductor.reference import run_kernel
from schedule_support import builder, tensor

f32 = dt.float32


def var(name: str, extent: object) -> Var:
    return Var(name, extent, name.startswith("r"))


def add(a, b):
    return expr("add", a, b, dtype=a.dtype)


def kernel(p, r, stores, sizes, **more) -> Kernel:
    dtypes = more.pop("dtypes", {})
    args = tuple(Buffer(name, dtypes.get(name, f32), size) for name, size in sizes.items())
    made = Kernel("k", tuple(p), tuple(r), tuple(stores), args, **more)
    made.verify()
    return made


def same_meaning(a: Kernel, b: Kernel, symbols=None, **given) -> None:
    """Both kernels leave the same arrays."""
    rng = np.random.default_rng(0)
    arrays = {}
    for buffer in a.args:
        size = (
            buffer.size
            if isinstance(buffer.size, int)
            else int(buffer.size.subs({x: symbols[x.name] for x in buffer.size.free_symbols}))
        )
        fresh = rng.standard_normal(size).astype(buffer.dtype.name)
        arrays[buffer.name] = given.get(buffer.name, fresh)
    first = {k: v.copy() for k, v in arrays.items()}
    second = {k: v.copy() for k, v in arrays.items()}
    b.verify()
    run_kernel(a, first, symbols)
    run_kernel(b, second, symbols)
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-6, err_msg=f"{name}\n{a}\n{b}")


def test_contiguous_pointwise_becomes_one_loop() -> None:
    p0, p1, p2 = var("p0", 2), var("p1", 3), var("p2", 5)
    at = as_index(p0) * 15 + as_index(p1) * 5 + as_index(p2)
    k = kernel([p0, p1, p2], [], [Store("out", at, load("a", at, f32))], {"a": 30, "out": 30})
    s = canonical_form(k)
    assert [(v.name, v.extent) for v in s.p] == [("p0", 30)]
    same_meaning(k, s)


def test_unit_vars_go() -> None:
    p0, p1, r0 = Var("p0", 1), Var("p1", 4), Var("r0", 1, True)
    at = Index(((p0, 4), (p1, 1)))
    value = reduce("sum", load("a", at + Index(((r0, 1),)), f32))
    k = kernel([p0, p1], [r0], [Store("out", at, value)], {"a": 4, "out": 4})
    s = drop_unit_vars(k)
    assert s.p == (p1,) and s.r == (r0,)
    same_meaning(k, s)


def test_broadcast_keeps_two_loops_and_merges_what_it_can() -> None:
    n, c, h, w = (var(f"p{i}", e) for i, e in enumerate((2, 3, 4, 5)))
    at = as_index(n) * 60 + as_index(c) * 20 + as_index(h) * 5 + as_index(w)
    value = add(load("a", at, f32), load("bias", as_index(c), f32))
    k = kernel([n, c, h, w], [], [Store("out", at, value)], {"a": 120, "bias": 3, "out": 120})
    s = canonical_form(k)
    assert [v.extent for v in s.p] == [2, 3, 20]
    same_meaning(k, s)


def test_floor_and_mod_become_affine() -> None:
    p0 = var("p0", 24)
    i, j = delinearize(as_index(p0), (4, 6))
    k = kernel([p0], [], [Store("out", as_index(p0), load("a", j * 4 + i, f32))], {"a": 24, "out": 24})
    s = split_vars(k)
    assert all(e.is_affine for e in (s.stores[0].index, s.stores[0].value.attr[1]))
    assert [v.extent for v in s.p] == [4, 6]
    same_meaning(k, s)


def test_split_through_a_factor() -> None:
    p0, p1 = var("p0", 6), var("p1", 4)
    flat = as_index(p0) * 4 + as_index(p1)
    k = kernel([p0, p1], [], [Store("out", flat, load("a", floordiv(flat, 8), f32))], {"a": 3, "out": 24})
    s = canonical_form(k)
    assert s.stores[0].value.attr[1].is_affine
    same_meaning(k, s)


def test_uneven_split_is_left_alone() -> None:
    p0 = var("p0", 10)
    k = kernel([p0], [], [Store("out", as_index(p0), load("a", mod(as_index(p0), 4), f32))], {"a": 4, "out": 10})
    s = canonical_form(k)
    assert [v.extent for v in s.p] == [10]
    same_meaning(k, s)


def test_unit_stride_of_the_store_is_innermost() -> None:
    p0, p1 = var("p0", 4), var("p1", 6)
    out = as_index(p1) * 4 + as_index(p0)
    k = kernel([p0, p1], [], [Store("out", out, load("a", as_index(p0) * 6 + as_index(p1), f32))], {"a": 24, "out": 24})
    s = canonical_form(k)
    assert [v.extent for v in s.p] == [6, 4]
    assert s.stores[0].index.coefficient(s.p[1]) == 1
    same_meaning(k, s)


def test_reduction_variables_are_ordered_by_the_loads() -> None:
    p0, r0, r1 = var("p0", 3), var("r0", 4), var("r1", 5)
    value = reduce("sum", load("a", as_index(p0) * 4 + as_index(r0) + as_index(r1) * 12, f32))
    k = kernel([p0], [r0, r1], [Store("out", as_index(p0), value)], {"a": 60, "out": 3})
    s = order_vars(k)
    assert s.r == (r1, r0)
    same_meaning(k, s)


@pytest.mark.parametrize("merges", [True, False])
def test_argmax_keeps_the_order_of_r(merges: bool) -> None:
    r0, r1 = var("r0", 4), var("r1", 5)
    at = as_index(r0) * 5 + as_index(r1) if merges else as_index(r1) * 4 + as_index(r0)
    k = kernel(
        [],
        [r0, r1],
        [Store("out", as_index(0), reduce("argmax", load("a", at, f32)))],
        {"a": 20, "out": 1},
        dtypes={"out": dt.int64},
    )
    s = canonical_form(k)
    assert [v.extent for v in s.r] == ([20] if merges else [4, 5])
    same_meaning(k, s)


def test_indices_under_an_indirection_count() -> None:
    p0, p1 = var("p0", 4), var("p1", 6)
    row = load("ids", as_index(p0), dt.int64)
    flat = as_index(p0) * 6 + as_index(p1)
    k = kernel(
        [p0, p1], [], [Store("out", flat, load("table", indirect(row) * 6 + as_index(p1), f32))],
        {"ids": 4, "table": 30, "out": 24}, dtypes={"ids": dt.int64},
    )  # fmt: skip
    s = canonical_form(k)
    assert len(s.p) == 2
    same_meaning(k, s, ids=np.array([4, 0, 2, 2]))


def test_swapping_names_under_an_indirection() -> None:
    # the store walks p0, so the two loops trade names; the indirect load must follow exactly once
    p0, p1 = var("p0", 4), var("p1", 6)
    row = load("ids", as_index(p0) * 6 + as_index(p1), dt.int64)
    k = kernel(
        [p0, p1], [], [Store("out", as_index(p1) * 4 + as_index(p0), load("table", indirect(row), f32))],
        {"ids": 24, "table": 30, "out": 24}, dtypes={"ids": dt.int64},
    )  # fmt: skip
    s = rename_vars(order_vars(k))
    assert [(v.name, v.extent) for v in s.p] == [("p0", 6), ("p1", 4)]
    same_meaning(k, s, ids=np.random.default_rng(1).integers(0, 30, 24))


def test_scatter_target_is_rewritten() -> None:
    p0 = var("p0", 12)
    hi, lo = delinearize(as_index(p0), (4, 3))
    target = indirect(load("ids", hi, dt.int64)) * 3 + lo
    k = kernel(
        [p0], [], [Store("out", target, load("a", as_index(p0), f32), "add")],
        {"ids": 4, "a": 12, "out": 30}, dtypes={"ids": dt.int64},
    )  # fmt: skip
    s = canonical_form(k)
    assert [v.extent for v in s.p] == [4, 3]
    same_meaning(k, s, ids=np.array([1, 1, 9, 0]))


def test_symbolic_sizes_merge_and_split() -> None:
    n = sympy.Symbol("s0", integer=True, positive=True)
    p0, p1 = var("p0", n), var("p1", 8)
    flat = as_index(p0) * 8 + as_index(p1)
    k = kernel([p0, p1], [], [Store("out", flat, load("a", flat, f32))], {"a": 8 * n, "out": 8 * n}, symbols=("s0",))
    s = canonical_form(k)
    assert len(s.p) == 1 and s.p[0].extent == 8 * n
    same_meaning(k, s, {"s0": 5})

    q = var("p0", 8 * n)
    rows, columns = floordiv(as_index(q), 8), mod(as_index(q), 8)
    k = kernel(
        [q],
        [],
        [Store("out", as_index(q), load("a", columns * n + rows, f32))],
        {"a": 8 * n, "out": 8 * n},
        symbols=("s0",),
    )
    s = canonical_form(k)
    assert s.stores[0].value.attr[1].is_affine
    same_meaning(k, s, {"s0": 5})


def test_index_values_block_a_merge() -> None:
    p0, p1 = var("p0", 4), var("p1", 6)
    flat = as_index(p0) * 6 + as_index(p1)
    value = add(load("a", flat, f32), cast(index_value(as_index(p1)), f32))
    k = kernel([p0, p1], [], [Store("out", flat, value)], {"a": 24, "out": 24})
    s = merge_vars(k)
    assert len(s.p) == 2
    same_meaning(k, s)


def test_a_stage_of_the_pipeline() -> None:
    def graph() -> Graph:
        b = builder()
        b.graph.outputs = [b.relu(tensor(b, (4, 6)))]
        return b.graph

    times: dict[str, float] = {}
    scheduled = schedule_graph(graph(), times=times)
    assert tuple(times) == STAGES and "canonical form" in STAGES
    assert [canonical_form(k) for k in scheduled.kernels] == scheduled.kernels, "once is enough"
    assert [v.extent for k in scheduled.kernels for v in k.p] == [24]
    times.clear()
    lowered = schedule_graph(graph(), times=times, simplify=False)
    assert "canonical form" not in times and [v.extent for k in lowered.kernels for v in k.p] == [4, 6]
