"""What graphs, kernels and schedules may be: each rule broken on purpose, and what the error says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import sympy
from quern.inductor.boundary import Boundary, Gradients, Measured, SymbolInfo
from quern.inductor.dtypes import bool_, float16, float32, int32, int64
from quern.inductor.graph import ExternRef, Graph, GraphBuilder, Input, Node, TensorMeta
from quern.inductor.kernel import Buffer, Kernel, Store
from quern.inductor.loops import Var, as_index, cast, const, expr, indirect, load, masked, reduce
from quern.inductor.ops import OPS
from quern.inductor.passes import decompose
from quern.inductor.pipeline import schedule_graph
from schedule_support import builder, scheduled, tensor

from quern.errors import InternalError

# ---------------------------------------------------------------- graphs


def graph() -> Graph:
    """Two inputs, a sum over one axis of what is computed with them."""
    b = builder()
    x, y = tensor(b, (4, 8), name="x"), tensor(b, (8,), name="y")
    b.graph.outputs = [b.sum(b.mul(b.exp(x), y), dim=(1,)), x]
    return b.graph


def with_node(called: str, **changes: Any) -> Graph:
    """The graph with one node changed, and its readers reading that."""
    new, g = {}, graph()
    for n in g.nodes:
        fields = {"inputs": tuple(new[i] for i in n.inputs), **(changes if n.name == called else {})}
        new[n] = replace(n, **fields)
    return Graph([new[n] for n in g.inputs], list(new.values()), [new[n] for n in g.outputs])


def meta(*shape: Any, dtype: Any = float32, device: str = "cpu") -> TensorMeta:
    return TensorMeta(shape, tuple(8 for _ in shape), dtype, device)


STRAY = replace(OPS["exp"], name="stray")
GRAPHS: dict[str, tuple[Callable[[], Graph], str]] = {
    "op of no table": (lambda: with_node("exp", op=STRAY), "%exp has an op 'stray' that is not in the table"),
    "row of another table": (lambda: with_node("exp", op=replace(OPS["exp"])), "has an op 'exp' that is not in"),
    "unknown attribute": (lambda: with_node("exp", attrs={"base": 2}), "%exp has other attributes: op exp has no attribute 'base'"),
    "missing attribute": (lambda: with_node("sum", attrs={"dim": (1,)}), "%sum lacks sum's attribute 'keepdim'"),
    "shape": (lambda: with_node("exp", meta=meta(8, 4)), "%exp is not what the meta rule of exp gives: float32[4, 8] cpu"),
    "dtype": (lambda: with_node("exp", meta=meta(4, 8, dtype=float16)), "%exp is not what the meta rule of exp gives"),
    "device": (lambda: with_node("exp", meta=meta(4, 8, device="cuda:0")), "%exp is not what the meta rule of exp gives"),
    "several results of an op with one": (
        lambda: with_node("exp", meta=(meta(4, 8), meta(4, 8))), "%exp is not what the meta rule of exp gives"
    ),
    "attribute that the rule refuses": (
        lambda: with_node("sum", attrs={**graph().nodes[-1].attrs, "dim": (5,)}), "%sum is refused by the meta rule of sum: IndexError"
    ),
    "operands that the rule refuses": (lambda: with_node("mul", inputs=()), "%mul is refused by the meta rule of mul: TypeError"),
    "use before definition": (lambda: Graph(graph().inputs, graph().nodes[2:]), "uses [%x] before definition"),
    "one name twice": (lambda: with_node("exp", name="x"), "node %x repeats a name"),
    "output of nowhere": (lambda: replace_(graph(), outputs=[graph().outputs[0]]), "%sum is returned or bound but is not in"),
    "input left out": (lambda: replace_(graph(), inputs=[]), "the inputs [] are not the graph's input nodes, in order"),
    "inputs in another order": (lambda: swapped(graph()), "the inputs [%y, %x] are not the graph's input nodes"),
}  # fmt: skip


def replace_(g: Graph, **changes: Any) -> Graph:
    for name, value in changes.items():
        setattr(g, name, value)
    return g


def swapped(g: Graph) -> Graph:
    return replace_(g, inputs=g.inputs[::-1])


def test_the_graph_is_legal() -> None:
    graph().verify(OPS)


@pytest.mark.parametrize("rule", GRAPHS)
def test_an_illegal_graph_is_refused(rule: str) -> None:
    make, says = GRAPHS[rule]
    with pytest.raises(InternalError) as refused:
        make().verify(OPS)
    assert says in str(refused.value) and "%sum = sum(" in str(refused.value)


def test_the_pipeline_refuses_it_too() -> None:
    with pytest.raises(InternalError, match="has an op 'stray' that is not in the table"):
        schedule_graph(with_node("exp", op=STRAY))


def test_strides_may_be_others() -> None:
    with_node("exp", meta=replace(meta(4, 8), stride=(1, 4))).verify(OPS)


S, T, U = sympy.symbols("s t u", integer=True, positive=True)


def sized() -> GraphBuilder:
    b = builder()
    b.graph.boundary = Boundary(symbols=(SymbolInfo(S, 0, 0, 6), SymbolInfo(T, 1, None, 3)), int_inputs=("n",))
    tensor(b, (S, 8), name="x")
    return b


def test_sizes_are_compared_as_capture_saw_them() -> None:
    b = sized()
    row = OPS["exp"]
    b.append(row, b.graph.nodes, {}, meta(2 * T, 8))
    b.graph.verify(OPS)
    b.append(row, b.graph.nodes[:1], {}, meta(T, 8))
    with pytest.raises(InternalError, match=r"%exp_1 is not what the meta rule of exp gives: float32\[6, 8\] cpu"):
        b.graph.verify(OPS)


def test_symbols_are_bound() -> None:
    b = sized()
    b.append(OPS["exp"], b.graph.nodes, {}, meta(S, U))
    with pytest.raises(InternalError, match="%exp has a size with a symbol that nothing binds: u"):
        b.graph.verify(OPS)


def test_a_measured_size_is_bound_and_left_open() -> None:
    b = sized()
    found = extern(b, b.graph.nodes[0], meta(U))
    b.graph.outputs = [b.exp(found), found]
    b.graph.boundary = replace(b.graph.boundary, returned=1, measured=(Measured(U, 1, 0),))
    b.graph.verify(OPS)


def extern(b: GraphBuilder, x: Node, result: TensorMeta, **attrs: Any) -> Node:
    return b.append(OPS["extern"], (x,), {"ref": ExternRef("torch:nonzero", (Input(0),)), **attrs}, result)


@pytest.mark.parametrize(
    ("attrs", "says"),
    [({"rises": True}, "op extern has no attribute 'rises'"), ({}, "")],
)
def test_a_call_of_the_framework_says_what_is_known(attrs: dict[str, Any], says: str) -> None:
    b = builder()
    extern(b, tensor(b, (4,)), meta(4), **attrs)
    if not says:
        return b.graph.verify(OPS)
    with pytest.raises(InternalError, match=says):
        b.graph.verify(OPS)


def test_behind_the_decomposition_stands_nothing_that_has_one() -> None:
    b = builder()
    b.graph.outputs = [b.softmax(tensor(b, (4, 8)), dim=1)]
    b.graph.verify(OPS)
    decompose(b.graph, OPS).verify(OPS, decomposed=True)
    with pytest.raises(InternalError, match="%softmax is left where the decomposition of softmax should stand"):
        b.graph.verify(OPS, decomposed=True)


def test_behind_the_decomposition_every_op_can_be_lowered_or_called() -> None:
    row = replace(OPS["exp"], lower=None, decompose=None)
    with_node("exp", op=row).verify({**OPS, "exp": row})
    with pytest.raises(InternalError, match="%exp can neither be lowered nor called: exp"):
        with_node("exp", op=row).verify({**OPS, "exp": row}, decomposed=True)


BOUNDARIES: dict[str, tuple[Boundary, str]] = {
    "returned": (Boundary(returned=3), "number of returned outputs is 3 of 2"),
    "writes input": (Boundary(writes=((2, 0),)), "writes name input 2 of 2"),
    "writes output": (Boundary(writes=((0, 2),)), "writes name output 2 of 2"),
    "writes twice": (Boundary(writes=((0, 0), (0, 1))), "writes give an input two values"),
    "measured output": (Boundary(measured=(Measured(U, 2, 0),)), "size u is measured and name output 2 of 2"),
    "measured dim": (Boundary(measured=(Measured(U, 0, 1),)), "size u is measured and names dim 1 of output 0, which has 1"),
    "symbol input": (Boundary(symbols=(SymbolInfo(S, 2, 0, 4),)), "symbol s name input 2 of 2"),
    "symbol dim": (Boundary(symbols=(SymbolInfo(S, 1, 1, 4),)), "symbol s names dim 1 of input 1, which has 1"),
    "int input": (Boundary(symbols=(SymbolInfo(S, 2, None, 4),)), "symbol s names int input 2 of 2 inputs and 0 ints"),
    "gradients of": (Boundary(gradients=Gradients((2,), ())), "gradients name input 2 of 2"),
    "gradients from": (Boundary(gradients=Gradients((), (-1,))), "gradients name output -1 of 2"),
}  # fmt: skip


@pytest.mark.parametrize("rule", BOUNDARIES)
def test_a_boundary_that_names_what_is_not_there(rule: str) -> None:
    boundary, says = BOUNDARIES[rule]
    with pytest.raises(InternalError) as refused:
        replace_(graph(), boundary=boundary).verify(OPS)
    assert f"the boundary's {says}" in str(refused.value) and "return" in str(refused.value)


# ---------------------------------------------------------------- kernels

P, R = Var("p0", 4), Var("r0", 8, True)
AT, ROW = as_index(P) * 8 + as_index(R), as_index(P)
X = load("x", AT, float32)
WHOLE = Kernel(
    "k", (P,), (R,), (Store("out", AT, X),),
    (Buffer("x", float32, 32), Buffer("out", float32, 32), Buffer("at", int64, 32), Buffer("truth", bool_, 32)),
)  # fmt: skip


@dataclass(frozen=True)
class Broken:
    """A kernel with other stores (or anything else) than a legal one."""

    says: str
    stores: tuple[Store, ...] = WHOLE.stores
    more: tuple[tuple[str, Any], ...] = ()


def out(value: Any, index: Any = AT, mode: str = "store") -> tuple[Store, ...]:
    return (Store("out", index, value, mode),)


def scalar(op: str, *args: Any, dtype: Any = float32) -> tuple[Store, ...]:
    return out(expr(op, *args, dtype=dtype))


HALF = load("half", AT, float16)
TRUE = const(True, bool_)
PLACE = load("at", AT, int64)
OTHER = Var("p7", 4)
KERNELS = {
    "load of no argument": Broken("y is not an argument", out(load("y", AT, float32))),
    "store to no argument": Broken("z is not an argument", (Store("z", AT, X),)),
    "load as another type": Broken("x holds float32 and is loaded as int32", out(cast(load("x", AT, int32), float32))),
    "store of another type": Broken("out holds float32 and is given int64", out(PLACE)),
    "argument twice": Broken("x is an argument twice", more=(("args", (*WHOLE.args, WHOLE.args[0])),)),
    "read elsewhere than written": Broken("out is read at", out(load("out", ROW, float32))),
    "read where only one store goes": Broken(
        "out is read at", (*out(X, ROW), *out(load("out", AT, float32)))
    ),
    "unknown mode": Broken("out is stored in an unknown mode, 'max'", out(X, mode="max")),
    "numbers joined by or": Broken("out is no truth values and is joined by or", out(X, mode="or")),
    "foreign variable": Broken("variable p7 is not a loop variable", out(load("x", as_index(OTHER), float32))),
    "foreign variable in a place": Broken(
        "variable p7 is not a loop variable", out(X, indirect(load("at", as_index(OTHER), int64)))
    ),
    "outer among the inner": Broken("p7 is an outer variable among", more=(("r", (R, OTHER)),)),
    "inner among the outer": Broken("r7 is a reduction variable among", more=(("p", (P, Var("r7", 2, True))),)),
    "two variables of one name": Broken("two loop variables are called p0", more=(("p", (P, Var("p0", 5))),)),
    "extent": Broken("size symbol s is not an argument", more=(("p", (P, Var("p1", S))),)),
    "coefficient": Broken("size symbol s is not an argument", out(load("x", as_index(P) * S, float32))),
    "size as a value": Broken("size symbol s is not an argument", out(cast(const(S, int64), float32))),
    "symbol in the place of a store": Broken(
        "size symbol s is not an argument",
        out(X, indirect(expr("mod", PLACE, const(S, int64), dtype=int64))),
    ),
    "symbol in the place of a place": Broken(
        "size symbol s is not an argument", out(X, indirect(load("at", as_index(P) * S, int64)))
    ),
    "reduction without space": Broken(
        "reduce without a reduction space", out(reduce("sum", load("x", ROW, float32)), ROW), (("r", ()),)
    ),
    "read behind the end": Broken("x of 32 elements is read at", out(load("x", AT + 1, float32))),
    "read before the beginning": Broken("x of 32 elements is read at", out(load("x", AT + -1, float32))),
    "read behind the end where no condition holds": Broken(
        "x of 32 elements is read at", out(masked(load("truth", AT, bool_), X, load("x", AT + 1, float32)))
    ),
    "row that leaves its buffer under a condition": Broken(
        "x of 32 elements is read at",
        out(masked(load("truth", ROW, bool_), reduce("sum", load("x", AT + 1, float32)), X)),
    ),
    "prefix that leaves its buffer under a condition": Broken(
        "x of 32 elements is read at",
        out(masked(load("truth", AT, bool_), expr("scan", load("x", AT + 1, float32), dtype=float32, attr="sum"), X)),
    ),
    "reduction of another type": Broken("reduce.sum of float32 as int64", out(expr("reduce", X, dtype=int64, attr="sum"))),
    "unknown reduction": Broken("an unknown reduction median", out(expr("reduce", X, dtype=float32, attr="median"))),
    "unknown op": Broken("an unknown op frobnicate", scalar("frobnicate", X)),
    "operands too few": Broken("add of 1 operands, not 2", scalar("add", X)),
    "operands of two types": Broken("add of float32 and int64", scalar("add", X, PLACE)),
    "function of integers": Broken("exp of int64, which is no float", scalar("exp", PLACE, dtype=int64)),
    "sum of truth values": Broken("add of bool, which is no number", scalar("add", TRUE, TRUE, dtype=bool_)),
    "comparison as a number": Broken("lt of float32 as float32, not bool", scalar("lt", X, X)),
    "choice by a number": Broken("where asks a float32", scalar("where", X, X, X)),
    "mask of a number": Broken("masked by float32", scalar("masked", X, X, X)),
    "arithmetic on halves": Broken("arithmetic in a half type: add", scalar("add", HALF, HALF, dtype=float16)),
    "comparison of halves": Broken("arithmetic in a half type: lt", scalar("lt", HALF, HALF, dtype=bool_)),
    "place that is no integer": Broken("an index read as float32", out(X, indirect(X))),
}  # fmt: skip


def test_the_kernel_is_legal() -> None:
    WHOLE.verify()


GUARDED = masked(load("truth", AT, bool_), load("x", AT + 1, float32), X)
LEGAL = {
    "guarded load": GUARDED,
    "row of guarded loads": masked(load("truth", ROW, bool_), reduce("sum", GUARDED), X),
    "reduction under a condition along r": masked(load("truth", AT, bool_), reduce("sum", X), X),
}


@pytest.mark.parametrize("name", LEGAL)
def test_a_condition_guards_what_is_read_at_its_own_point(name: str) -> None:
    replace(WHOLE, stores=out(LEGAL[name])).verify()


@pytest.mark.parametrize("rule", KERNELS)
def test_an_illegal_kernel_is_refused(rule: str) -> None:
    broken = KERNELS[rule]
    with pytest.raises(InternalError) as refused:
        replace(WHOLE, stores=broken.stores, **dict(broken.more)).verify()
    assert broken.says in str(refused.value) and "[loops] illegal kernel" in str(refused.value)
    assert "k(x: float32[32]" in str(refused.value)


# ---------------------------------------------------------------- schedules


def two_steps() -> Any:
    b = builder()
    x = tensor(b, (64, 64))
    return scheduled(b, b.exp(b.sum(b.exp(x), dim=(1,))), b.cumsum(x, dim=0), fuse=False)


def test_a_step_that_reads_what_comes_later() -> None:
    s = two_steps()
    s.verify()
    s.steps.reverse()
    with pytest.raises(InternalError, match=r"\[schedule\] step \d, .* reads buf\d before it is written; around it:\n"):
        s.verify()


def test_a_result_that_no_step_writes() -> None:
    s = two_steps()
    s.steps.pop()
    with pytest.raises(InternalError, match=r"\[schedule\] buf\d leaves the graph, but no step writes it"):
        s.verify()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda launch: launch.buffers[:-1], r"has 2 arguments for \('in0',\)"),
        (lambda launch: launch.buffers[:1] * 2, r"has 2 arguments for \('in0', 'in0'\)"),
        (lambda launch: (*launch.buffers[:-1], "nowhere"), "is given nowhere, which is no buffer"),
    ],
)
def test_a_launch_that_is_given_other_buffers(spoil: Callable[[Any], Any], says: str) -> None:
    s = two_steps()
    at = next(i for i, step in enumerate(s.steps) if len(step.buffers) == 2 and step.buffers[0] == "in0")
    s.steps[at] = replace(s.steps[at], buffers=spoil(s.steps[at]))
    with pytest.raises(InternalError, match=says):
        s.verify()


def test_a_buffer_that_is_not_what_the_argument_describes() -> None:
    s = two_steps()
    s.lowered.buffers["in0"] = replace(s.lowered.buffers["in0"], dtype=int32)
    with pytest.raises(InternalError, match=r"is given StridedBuffer\(name='in0'"):
        s.verify()
