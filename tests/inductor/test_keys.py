"""What a plan is found by: programs that differ in any way that shows have keys of their own, others share one."""

from __future__ import annotations

import numpy as np
import pytest
from quern.inductor import dtypes
from quern.inductor.graph import ExternRef, Graph, Input, Named, TensorMeta
from quern.inductor.keys import graph_data, value_data
from quern.inductor.ops import OPS
from quern.inductor.pipeline import schedule_graph
from quern.inductor.plan import Plan, make_plan
from schedule_support import builder, tensor

import quern
from quern.errors import SourceLocation


def one_call(*args, **attrs) -> Graph:
    b = builder()
    x = tensor(b, (4,))
    ref = ExternRef("torch:clone", (Input(0), *args))
    b.graph.outputs = [b.append(OPS["extern"], [x], {"ref": ref, **attrs}, x.meta)]
    return b.graph


DIFFERENT = {
    "text after a comment mark": ("by   # two", "by   # three"),
    "text and what it prints like": ("float32", dtypes.float32),
    "text of a number": ("1", 1),
    "int and float": (1, 1.0),
    "int and bool": (1, True),
    "zeros": (0.0, -0.0),
    "complex zeros": (0j, complex(0.0, -0.0)),
    "tuple and list": ((1, 2), [1, 2]),
    "nested text": (("a, b",), ("a", "b")),
    "None": (None, "None"),
    "placeholder": (Input(1), "Input(index=1)"),
    "constant": (Named("torch:strided"), "torch:strided"),
    "slice": (slice(1, 2), (1, 2)),
    "ellipsis of digits": (0.1 + 0.2, 0.3),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_arguments_that_differ_are_told_apart(name):
    one, other = DIFFERENT[name]
    assert graph_data(one_call(one)) != graph_data(one_call(other)) or type(one) is not type(other)
    assert repr(value_data(one)) != repr(value_data(other))


def test_layouts_that_print_alike_are_told_apart():
    def of(stride):
        b = builder()
        b.graph.outputs = [b.abs(b.input(TensorMeta((1, 4), stride, dtypes.float32)))]
        return graph_data(b.graph)

    assert of((4, 1)) != of((1, 1))
    assert of((4, 1)) == of((4, 1))


def test_functions_of_another_framework_are_told_apart():
    def of(library):
        b = builder()
        x, y = tensor(b, (4,), dtypes.int64), tensor(b, (4,), dtypes.int64)
        with b.of_library(library):
            b.graph.outputs = [b.remainder(x, y)]
        return b.graph

    plain, hosted = of(""), of("numpy")
    steps = [len(schedule_graph(graph).steps) for graph in (plain, hosted)]
    assert steps[0] > steps[1], "what the frameworks refuse differs"
    assert graph_data(plain) != graph_data(hosted)


def test_sizes_are_told_by_their_structure():
    sympy = pytest.importorskip("sympy")
    s, t = (sympy.Symbol(n, integer=True, positive=True) for n in ("s0", "s1"))
    sizes = [s, t, s + t, s * t, 2 * s, s // 2, s / 2, (s + 1) // 2, sympy.Max(s, t), sympy.Min(s, t), s % 3]
    assert len({repr(value_data(e)) for e in sizes}) == len(sizes)
    assert value_data(s + t) == value_data(t + s)


def test_names_and_places_do_not_matter():
    def of(name):
        b = builder()
        x = tensor(b, (4,), name=name)
        b.graph.outputs = [b.exp(x)]
        return graph_data(b.graph)

    assert of("x") == of("weight")


def test_what_has_no_form_is_refused():
    with pytest.raises(TypeError, match="no stable form"):
        value_data(object())


def two_programs(tmp_path, monkeypatch, *texts):
    """Reports of programs that are written into files of their own, one after the other in one cache."""
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "cache"))
    found = []
    for i, text in enumerate(texts):
        path = tmp_path / f"program_{i}.py"
        path.write_text(text)
        scope = {}
        exec(compile(text, str(path), "exec"), scope)
        found.append(quern.explain(scope["f"])(np.arange(12.0).reshape(3, 4)))
    return found


def test_a_plan_shows_the_lines_of_the_program_that_it_runs_for(tmp_path, monkeypatch):
    body = "def f(x):\n    y = x - x.mean(axis=1, keepdims=True)\n    return y * 2 + 1\n"
    one, other = two_programs(tmp_path, monkeypatch, body, f"# another place\n\n\n{body}")
    assert other.graphs[0].record.cached and not one.graphs[0].record.cached
    for said, file, line in ((one, "program_0.py", 2), (other, "program_1.py", 5)):
        origins = [o for k in said.graphs[0].record.plan.kernels for o in k.origins]
        assert {o.op for o in origins} == {"mean", "add"}
        assert {(o.loc.short) for o in origins} == {f"{file}:{line}", f"{file}:{line + 1}"}
        assert f": mean  {file}:{line}" in str(said)


def test_kernels_are_equal_by_what_they_do():
    def kernels(name, *shapes):
        b = builder()
        b.loc = SourceLocation(f"{name}.py", 1, "f")
        b.graph.outputs = [b.exp(tensor(b, shape, name=f"{name}{i}")) for i, shape in enumerate(shapes)]
        s = schedule_graph(b.graph, fuse=False)
        return [step.kernel for step in s.steps]

    (x,), (y,), (other,) = kernels("x", (4, 8)), kernels("y", (4, 8)), kernels("x", (4, 9))
    assert x == y and hash(x) == hash(y) and x.origins != y.origins
    assert x != other
    turned = kernels("x", (4, 8), (8, 4))
    assert turned[0] is turned[1], "in canonical form both walk 32 numbers"


def test_a_plan_holds_no_file_and_no_line():
    b = builder()
    b.loc = SourceLocation("/home/somebody/secret.py", 77, "f")
    x = tensor(b, (4, 8))
    b.graph.outputs = [b.softmax(x, dim=1)]
    schedule = schedule_graph(b.graph)
    plan = make_plan(b.graph, schedule, {}, "cpp")
    assert plan.kernels[0].origins[0].loc == b.loc
    text = plan.to_json()
    assert "secret" not in text and "77" not in text
    assert Plan.from_json(text).located(b.graph) == plan
