"""Which kernels are contractions, which axis is which, who runs a product, and why."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import sympy
from quern.inductor import dtypes as dt
from quern.inductor.chooser import REASONS, Choice, Reason, choose, choose_runners, described
from quern.inductor.codegen import cpp, triton
from quern.inductor.contraction import Attention, Axes, Contraction, Product, recognise
from quern.inductor.graph import TensorMeta, contiguous_strides
from quern.inductor.kernel import Kernel
from quern.inductor.ops import OPS
from quern.inductor.pipeline import schedule_graph
from quern.inductor.plan import Plan, make_plan
from quern.inductor.refusal import Refusal
from schedule_support import builder, run, tensor

from quern.errors import InternalError

M = sympy.Symbol("m", integer=True, positive=True)
T = np.random.default_rng(0).standard_normal


def kernels(b, *outputs) -> list[Kernel]:
    """The kernels of a graph whose products are generated."""
    b.graph.outputs = list(outputs)
    return schedule_graph(b.graph, contractions="generated").kernels


def only(b, *outputs) -> Contraction:
    """The one contraction; an image may be laid out for it first."""
    (kernel,) = [k for k in kernels(b, *outputs) if k.r]
    found = recognise(kernel)
    assert isinstance(found, Contraction), found
    return found


def axes(c: Contraction) -> dict[str, list[int]]:
    """The extents of each kind of axis."""
    return {k: [v.extent for v in getattr(c, k)] for k in ("batch", "rows", "columns", "inner")}


def refused(b, *outputs) -> str:
    (kernel,) = kernels(b, *outputs)
    found = recognise(kernel)
    assert isinstance(found, Refusal) and found.kind == "legality"
    return found.code


def test_rows_columns_inner():
    b = builder()
    c = only(b, b.mm(tensor(b, (7, 5)), tensor(b, (5, 9))))
    assert axes(c) == {"batch": [], "rows": [7], "columns": [9], "inner": [5]}
    assert {c.left.op, c.right.op} == {"load"} and len(c.stores) == 1


def test_batches():
    b = builder()
    c = only(b, b.bmm(tensor(b, (3, 7, 5)), tensor(b, (3, 5, 9))))
    assert axes(c) == {"batch": [3], "rows": [7], "columns": [9], "inner": [5]}


def test_batches_of_one_operand_are_rows_or_columns():
    b = builder()
    c = only(b, b.matmul(tensor(b, (2, 1, 7, 5)), tensor(b, (3, 5, 9))))
    assert axes(c) == {"batch": [], "rows": [2, 7], "columns": [3, 9], "inner": [5]}


def test_batches_and_rows_of_a_layer_are_one_axis():
    b = builder()
    c = only(b, b.linear(tensor(b, (2, 3, 5)), tensor(b, (9, 5)), tensor(b, (9,))))
    assert axes(c) == {"batch": [], "rows": [6], "columns": [9], "inner": [5]}


def test_vectors():
    b = builder()
    assert axes(only(b, b.mv(tensor(b, (7, 5)), tensor(b, (5,))))) == {
        "batch": [], "rows": [7], "columns": [], "inner": [5],
    }  # fmt: skip
    b = builder()
    assert axes(only(b, b.dot(tensor(b, (5,)), tensor(b, (5,))))) == {
        "batch": [], "rows": [], "columns": [], "inner": [5],
    }  # fmt: skip


def test_dynamic_axes():
    m, k = sympy.symbols("m k", integer=True, positive=True)
    b = builder()
    c = only(b, b.mm(tensor(b, (m, k)), tensor(b, (k, 9))))
    assert axes(c) == {"batch": [], "rows": [m], "columns": [9], "inner": [k]}


def test_an_inner_axis_of_one_element():
    b = builder()
    assert axes(only(b, b.mm(tensor(b, (7, 1)), tensor(b, (1, 9)))))["inner"] == [1]


def test_prologue_and_epilogue():
    b = builder()
    x, w, bias = tensor(b, (33, 40)), tensor(b, (40, 24)), tensor(b, (24,))
    made = b.relu(b.add(b.mm(b.mul(x, b.scalar(value=0.5)), w), bias))
    c = only(b, made)
    assert c.left.op == "mul" and c.right.op == "load"
    (store,) = c.stores
    assert store.value is not c.total and not store.value.varies_in_r


def test_a_window_stands_in_an_operands_index():
    b = builder()
    made = b.convolution(
        tensor(b, (2, 4, 7, 8)), tensor(b, (6, 4, 3, 2)), None, stride=2, padding=0, dilation=1, groups=1
    )
    c = only(b, made)
    assert axes(c) == {"batch": [], "rows": [2, 3, 4], "columns": [6], "inner": [3, 4, 2]}
    assert c.left.op == "load" and c.left.attr[1].is_affine
    assert sorted(v for _, v in c.left.attr[1].terms) == sorted([224, 64, 8, 1, 32, 4]), "channels last, and steps of 2"


def test_groups_are_batches():
    b = builder()
    made = b.convolution(tensor(b, (2, 4, 9)), tensor(b, (6, 2, 3)), None, stride=1, padding=0, dilation=1, groups=2)
    assert axes(only(b, made)) == {"batch": [2], "rows": [2, 7], "columns": [3], "inner": [2, 3]}


def test_sums_of_products_that_the_program_spells_out():
    b = builder()
    x, y = tensor(b, (7, 5)), tensor(b, (5, 9))
    made = b.sum(b.mul(b.unsqueeze(x, dim=2), y), dim=1)
    assert axes(only(b, made)) == {"batch": [], "rows": [7], "columns": [9], "inner": [5]}


def test_what_is_no_contraction():
    b = builder()
    x = tensor(b, (64, 48))
    assert refused(b, b.exp(x)) == "not-one-sum"
    b = builder()
    assert refused(b, b.sum(tensor(b, (64, 48)), dim=1)) == "no-product"
    b = builder()
    x = tensor(b, (64, 48))
    assert refused(b, b.amax(b.mul(x, x), dim=1)) == "no-sum-of-floats"
    b = builder()
    i = tensor(b, (64, 48), dt.int64)
    assert refused(b, b.sum(b.mul(i, i), dim=1)) == "no-sum-of-floats"
    b = builder()
    x = tensor(b, (64, 48))
    assert refused(b, b.softmax(x, dim=-1)) == "not-one-sum"
    b = builder()
    x = tensor(b, (64, 48))
    assert refused(b, b.div(x, b.sum(b.mul(x, x), dim=1, keepdim=True))) == "stores-along-inner"
    b = builder()
    x, y = tensor(b, (64, 48)), tensor(b, (64, 1))
    assert refused(b, b.sum(b.mul(x, y), dim=1)) == "inner-of-one-operand"
    b = builder()
    assert refused(b, b.cumsum(tensor(b, (64, 48)), dim=1)) == "runs-in-order"


def test_values():
    b = builder()
    x, w, bias = tensor(b, (33, 40)), tensor(b, (24, 40)), tensor(b, (24,))
    made = b.relu(b.linear(x, w, bias))
    b.graph.outputs = [made]
    arrays = [T(n).astype(np.float32) for n in ((33, 40), (24, 40), (24,))]
    (got,) = run(schedule_graph(b.graph, contractions="generated"), *arrays)
    np.testing.assert_allclose(got, np.maximum(arrays[0] @ arrays[1].T + arrays[2], 0), rtol=1e-5, atol=1e-5)


def test_products_of_one_row_and_their_sum_are_not_computed_again():
    """A reader with axes of its own reads the product from memory."""
    b = builder()
    product = b.mm(tensor(b, (17, 12)), tensor(b, (12, 23)))
    made = b.mul(b.unsqueeze(product, dim=0), tensor(b, (4, 1, 1)))
    found = [recognise(k) for k in kernels(b, made)]
    assert [isinstance(f, Contraction) for f in found] == [True, False]


# --------------------------------------------------------------------------- the choice


def node(dtype=dt.float32, shape=(7, 5)):
    b = builder()
    return b.mm(tensor(b, shape, dtype), tensor(b, (shape[1], 9), dtype))


def no(product, device):
    return Refusal("no-blocks", "heuristic", "none are written")


def yes(product, device):
    assert product.axes == Axes((), (7,), (9,), (5,)) and device == "cpu"
    return "tiles"


def test_the_library_runs_until_a_strategy_says_yes():
    assert choose(node(), OPS, "auto", no) == Choice(
        "library", Reason("no-strategy", ("no-blocks", "none are written"))
    )
    assert choose(node(), OPS, "auto", yes) == Choice("generated", Reason("strategy", ("tiles",)))
    assert choose(node(), OPS, "generated", no) == Choice("generated", Reason("asked-for"))


def test_products_of_other_types_stay_with_the_library():
    for option in ("auto", "generated"):
        assert choose(node(dt.int64), OPS, option, yes) == Choice("library", Reason("dtype", ("int64",)))


def test_reasons_are_a_closed_list():
    assert {str(Reason(code, ("a", "b"))) for code in REASONS}
    with pytest.raises(InternalError, match="unknown reason 'whim'"):
        Reason("whim")


#: what makes a product; its kernel has the axes that the code generators were asked about
ASKED = {
    "rows and columns": lambda b: b.mm(tensor(b, (7, 5), stride=(1, 7)), tensor(b, (5, 9))),
    "batches": lambda b: b.bmm(tensor(b, (3, 7, 5)), tensor(b, (3, 5, 9))),
    "a layer": lambda b: b.linear(tensor(b, (7, 5)), tensor(b, (9, 5)), tensor(b, (9,))),
    "a layer of halves": lambda b: b.linear(tensor(b, (7, 5), dt.bfloat16), tensor(b, (9, 5), dt.bfloat16), None),
    "one row": lambda b: b.mm(tensor(b, (1, 5)), tensor(b, (5, 9))),
    "one element summed": lambda b: b.mm(tensor(b, (7, 1)), tensor(b, (1, 9))),
    "vectors": lambda b: b.dot(tensor(b, (5,)), tensor(b, (5,))),
    "batches of one operand": lambda b: b.matmul(tensor(b, (2, 1, 7, 5)), tensor(b, (3, 5, 9))),
    "windows": lambda b: b.convolution(
        tensor(b, (2, 4, 7, 8)), tensor(b, (6, 2, 3, 2)), None, stride=2, padding=0, dilation=1, groups=2
    ),
    "dynamic rows": lambda b: b.mm(tensor(b, (M, 5)), tensor(b, (5, 9))),
}


@pytest.mark.parametrize("name", ASKED)
def test_code_generators_are_asked_about_the_axes_of_the_kernel_to_be(name):
    b = builder()
    made = ASKED[name](b)
    asked = described(made, OPS)
    b.graph.outputs = [made]
    kernels = schedule_graph(b.graph, contractions="generated", simplify=False).kernels
    (kernel,) = [k for k in kernels if k.r]  # an image may be laid out for it first
    found = recognise(kernel)
    assert isinstance(found, Contraction) and isinstance(asked, Product) and found.axes == asked.axes


@pytest.mark.parametrize(("codegen", "blocks", "nothing"), [
    ("cpp", "nothing-to-finish", "nothing-to-block"), ("triton", "not-measured", "nothing-to-tile"),
])  # fmt: skip
def test_code_generators_say_why_they_leave_a_product_to_the_library(codegen, blocks, nothing):
    pytest.importorskip("triton")
    emits = {"cpp": cpp.emits, "triton": triton.emits}[codegen]
    b = builder()
    for made, code in ((node(), blocks), (b.mv(tensor(b, (7, 5)), tensor(b, (5,))), nothing)):
        asked = described(made, OPS)
        assert isinstance(asked, Product)
        said = emits(asked)
        assert isinstance(said, Refusal) and said.code == code and said.kind == "heuristic"


PLAIN = Product(Axes((), (128,), (256,), (64,)), dt.float32, finished=True)
LEFT = [
    ("nothing-to-finish", dataclasses.replace(PLAIN, finished=False)),
    ("nothing-to-block", dataclasses.replace(PLAIN, axes=Axes((), (128,), (), (64,)))),
    ("nothing-to-block", Product(Axes((), (), (4096,), (1024,)), dt.float32, finished=True)),
    ("halves", dataclasses.replace(PLAIN, dtype=dt.bfloat16)),
    ("windows", dataclasses.replace(PLAIN, axes=Axes((), (2, 14, 14), (32,), (16, 3, 3)), windows="gathered")),
    ("no-number", dataclasses.replace(PLAIN, axes=Axes((), (M,), (256,), (64,)))),
]


@pytest.mark.parametrize(("code", "product"), LEFT)
def test_what_cpp_leaves_to_the_library(code, product):
    assert cpp.emits(PLAIN) == "contraction"
    said = cpp.emits(product)
    assert isinstance(said, Refusal) and said.code == code


@pytest.mark.parametrize("product", [
    Product(Axes((), (4,), (4096,), (1024,)), dt.float32, finished=False),
    Product(Axes((), (), (4096,), (1024,)), dt.float32, finished=False, in_lines=True),
    Product(Axes((), (4096,), (), (1024,)), dt.float64, finished=True, in_lines=True),
    Product(Axes((2,), (128,), (512,), (512,)), dt.float32, finished=False),
])  # fmt: skip
def test_cpp_emits_what_reads_long_and_what_multiplies_much(product):
    assert cpp.emits(product) == "contraction"


@pytest.mark.parametrize(("columns", "vector_bytes", "worth"), [(512, 64, True), (512, 32, False), (4096, 32, True)])
def test_registers_of_64_bytes_multiply_faster_than_the_library(columns, vector_bytes, worth):
    said = cpp.emits(Product(Axes((2,), (128,), (columns,), (512,)), dt.float32, finished=False), vector_bytes)
    assert said == "contraction" if worth else said.code == "nothing-to-finish"


@pytest.mark.parametrize(("rows", "kept", "vector_bytes", "worth"), [
    (64, 1 << 19, 64, True), (64, 0, 64, False), (64, 1 << 16, 64, False), (64, 1 << 19, 32, False), (8, 1 << 19, 64, False),
])  # fmt: skip
def test_what_is_laid_down_once_is_multiplied_faster_than_the_library(rows, kept, vector_bytes, worth):
    product = Product(Axes((), (rows,), (512,), (256,)), dt.float32, finished=False, kept=kept)
    said = cpp.emits(product, vector_bytes)
    assert said == "contraction" if worth else said.code == "nothing-to-finish"


def test_a_product_reads_a_weight_through_views():
    told = {}

    def note(product, device):
        told[product.axes.columns] = product.kept
        return Refusal("none", "heuristic")

    b = builder()
    x, w, other = tensor(b, (9, 5)), tensor(b, (7, 5)), tensor(b, (5, 8))
    b.graph.outputs = [
        b.matmul(x, b.transpose(w, dim0=0, dim1=1)),
        b.matmul(x, other),
        b.linear(x, tensor(b, (6, 5)), None),
    ]
    choose_runners(b.graph, OPS, "auto", note, weights=(1, 3))
    assert told == {(7,): 140, (8,): 0, (6,): 120}


@pytest.mark.parametrize("name", ["linear", "matmul", "mv", "matmul of columns"])
def test_a_product_says_whether_its_larger_operand_is_read_in_lines(name):
    b = builder()
    x, w = tensor(b, (1, 5)), tensor(b, (7, 5))
    made, wanted = {
        "linear": lambda: (b.linear(x, w, None), True),
        "matmul": lambda: (b.matmul(x, tensor(b, (5, 7))), False),
        "mv": lambda: (b.mv(w, tensor(b, (5,))), True),
        "matmul of columns": lambda: (b.matmul(x, b.transpose(w, dim0=0, dim1=1)), True),
    }[name]()
    asked = described(made, OPS)
    assert isinstance(asked, Product) and asked.in_lines == wanted


@pytest.mark.parametrize(("shapes", "attrs", "batch", "rows"), [
    (((2, 4, 40, 8), (2, 4, 50, 8), (2, 4, 50, 6)), {}, (2, 4), (40,)),
    (((2, 4, 40, 8), (50, 8), (50, 6)), {}, (), (2, 4, 40)),
    (((60, 8), (2, 50, 8), (2, 50, 6)), {}, (2,), (60,)),
    (((2, 4, 40, 8), (2, 1, 50, 8), (2, 1, 50, 6)), {"is_causal": True}, (2,), (4, 40)),
])  # fmt: skip
def test_attention_is_described(shapes, attrs, batch, rows):
    b = builder()
    made = b.scaled_dot_product_attention(*(tensor(b, shape) for shape in shapes), None, **attrs)
    asked = described(made, OPS)
    assert asked == Attention(batch, rows, keys=50, inner=8, columns=(6,), dtype=dt.float32)
    assert cpp.emits(asked) == "attention"
    for other in (dataclasses.replace(asked, dtype=dt.bfloat16), dataclasses.replace(asked, keys=2)):
        assert isinstance(cpp.emits(other), Refusal)
    assert isinstance(triton.emits(asked), Refusal)


def test_a_product_is_finished_by_loops_over_its_own_elements():
    asked = {}

    def note(product, device):
        asked[product.finished] = asked.get(product.finished, 0) + 1
        return Refusal("none", "heuristic")

    b = builder()
    x, w = tensor(b, (7, 7)), tensor(b, (7, 7))
    stored, turned = b.mm(x, w), b.transpose(b.mm(w, x), dim0=0, dim1=1)
    both = b.mm(w, w)
    b.graph.outputs = [b.exp(b.mm(x, x)), stored, b.exp(turned), both, b.exp(both), b.mm(b.mm(x, b.mm(x, x)), w)]
    schedule_graph(b.graph, emits=note)
    assert asked == {True: 1, False: 1}  # equal ones are asked about once


@pytest.mark.parametrize(("shape", "finish", "finished"), [
    ((3, 14), lambda b, x: b.exp(x), True),
    ((3, 14), lambda b, x: b.exp(b.view(x, shape=(3, 7, 2))), True),
    ((3, 14), lambda b, x: b.exp(b.unsqueeze(b.view(x, shape=(6, 7)), dim=0)), True),
    ((3, 14), lambda b, x: b.mul(b.view(b.exp(x), shape=(42,)), b.view(x, shape=(42,))), True),
    ((3, 14), lambda b, x: b.exp(b.transpose(x, dim0=0, dim1=1)), False),
    ((3, 14), lambda b, x: b.exp(b.slice(x, dim=0, start=0, end=2)), False),
    ((3, 14), lambda b, x: b.exp(b.expand(b.view(x, shape=(1, 3, 14)), shape=(2, 3, 14))), False),
    ((3, 14), lambda b, x: b.view(x, shape=(14, 3)), False),
])  # fmt: skip
def test_a_product_is_finished_in_another_shape(shape, finish, finished):
    asked = []
    b = builder()
    b.graph.outputs = [finish(b, b.mm(tensor(b, (shape[0], 5)), tensor(b, (5, shape[1]))))]
    schedule_graph(b.graph, emits=lambda product, device: asked.append(product.finished) or no(product, device))
    assert asked == [finished]


def test_equal_layers_are_asked_about_once():
    asked = []
    b = builder()
    x = tensor(b, (7, 7))
    for _ in range(5):
        x = b.mm(x, tensor(b, (7, 7)))
    b.graph.outputs = [x]
    found = schedule_graph(b.graph, emits=lambda *question: asked.append(question) or no(*question))
    assert len(asked) == 1 and len(found.chosen) == 5


def test_choices_are_in_the_plan():
    b = builder()
    b.graph.outputs = [b.mm(tensor(b, (7, 5)), tensor(b, (5, 9)))]
    plan = make_plan(b.graph, schedule_graph(b.graph, emits=no), {}, "cpp")
    (chosen,) = plan.chosen
    assert chosen.origin.op == "mm" and chosen.choice.reason == Reason("no-strategy", ("no-blocks", "none are written"))
    assert Plan.from_json(plan.to_json()) == plan


def test_contract_refuses_axes_that_differ():
    x = TensorMeta((7, 5), contiguous_strides((7, 5)), dt.float32)
    labels = {"left": (0, 2), "right": (1, 2), "result": (0, 1), "dtype": None}
    with pytest.raises(ValueError, match="axis 2 has sizes 5 and 4"):
        OPS["contract"].meta(x, dataclasses.replace(x, shape=(7, 4)), **labels)
    with pytest.raises(TypeError, match="one dtype"):
        OPS["contract"].meta(x, dataclasses.replace(x, dtype=dt.float64), **labels)
