"""Grad mode, inference mode, autocast, default dtype, torch modes, and questions that captured code asks torch."""

from __future__ import annotations

import re
import warnings

import pytest
import torch
from torch_checks import check, compare, compiled, randn

import quern
from quern.testing import CompileCounter

X = randn(3, 4)


def test_grad_mode_is_part_of_the_entry():
    counter = CompileCounter()

    def fn(x):
        return (x * 2, torch.is_grad_enabled())

    function = compiled(fn, backend=counter)
    for mode in (True, False, True, False):
        with torch.set_grad_enabled(mode):
            assert function(X)[1] is mode
    assert counter.frame_count == 2


@torch.no_grad()
def decorated(x):
    return x * 2, torch.is_grad_enabled()


def modes_inside(x):
    found = [torch.is_grad_enabled()]
    with torch.no_grad():
        found.append(torch.is_grad_enabled())
        with torch.enable_grad():
            found.append(torch.is_grad_enabled())
        with torch.set_grad_enabled(False):
            found.append(torch.is_grad_enabled())
    with torch.inference_mode():
        found += [torch.is_grad_enabled(), torch.is_inference_mode_enabled()]
    found.append(decorated(x)[1])
    return x + sum(found), found


@pytest.mark.parametrize("mode", [True, False])
def test_modes_inside(mode):
    with torch.set_grad_enabled(mode):
        compare(modes_inside(X), compiled(modes_inside)(X))
        assert torch.is_grad_enabled() is mode


def test_grad_mode_that_is_left_changed():
    def fn(x):
        y = x + 1
        torch.set_grad_enabled(False)
        return y * 2

    with torch.enable_grad():
        function = compiled(fn)
        compare(fn(X), function(X))
        assert not torch.is_grad_enabled()
    with torch.enable_grad():
        function(X)
        assert not torch.is_grad_enabled()


def test_mode_around_a_graph_break():
    def fn(x):
        with torch.no_grad():
            y = x + 1
            quern.graph_break()
            z = y * 2, torch.is_grad_enabled()
        return z, torch.is_grad_enabled()

    with torch.enable_grad():
        function = quern.compile(fn, backend="eager")
        for _ in range(2):
            compare(fn(X), function(X))
            assert torch.is_grad_enabled()


def test_inference_mode_outside():
    def fn(x):
        return x * 2

    function = compiled(fn)
    with torch.inference_mode():
        compare(fn(X), function(X))
    with torch.no_grad():
        compare(fn(X), function(X))


def test_default_dtype():
    def fn(x):
        return torch.ones(2) + torch.arange(2) / 3, x

    function = quern.compile(fn, backend="eager")
    torch.set_default_dtype(torch.float64)
    try:
        compare(fn(X), function(X))
    finally:
        torch.set_default_dtype(torch.float32)
    compare(fn(X), function(X))


def test_torch_function_mode_sees_the_calls():
    seen = []

    class Watch(torch.overrides.TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    def fn(x):
        return torch.sin(x)

    function = quern.compile(fn, backend="eager")
    with torch.no_grad():
        with Watch():
            compare(fn(X), function(X))
        assert seen.count(torch.sin) == 2
        compare(fn(X), function(X))


def test_inside_of_vmap_it_runs_eagerly():
    def fn(x):
        return x.sin().sum()

    function = quern.compile(fn, backend="eager")
    with torch.no_grad():
        compare(torch.vmap(fn)(X), torch.vmap(function)(X))


def test_subclasses_with_operators_of_their_own_run_eagerly():
    class Wrapped(torch.Tensor):
        @classmethod
        def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
            with torch._C._DisableTorchDispatch():
                return func(*args, **(kwargs or {}))

    def fn(x):
        return x.sin().sum()

    sub = X.as_subclass(Wrapped)
    with torch.no_grad():
        assert torch.equal(quern.compile(fn, backend="eager")(sub), fn(sub))
        with pytest.raises(quern.errors.Unsupported, match="__torch_dispatch__"):
            compiled(fn)(sub)


def test_sparse_and_other_layouts_run_eagerly():
    def fn(x):
        return x * 2

    function = quern.compile(fn, backend="eager")
    with torch.no_grad():
        sparse = torch.eye(3).to_sparse()
        assert torch.equal(function(sparse).to_dense(), torch.eye(3) * 2)


def test_questions():
    def fn(x):
        return (
            torch.is_tensor(x), torch.is_tensor(3), isinstance(x, torch.Tensor), isinstance(x, torch.nn.Parameter),
            isinstance(x, torch.FloatTensor), isinstance(x, torch.LongTensor), torch.jit.is_tracing(), torch.jit.is_scripting(),
            torch.get_default_dtype(), torch.finfo(x.dtype).min, torch.iinfo(torch.int64).max, x.dtype.is_floating_point,
            torch.promote_types(torch.int32, torch.float16), torch.result_type(x, 1), torch.can_cast(torch.float32, torch.int32),
            x.requires_grad, x.is_leaf, x.grad_fn, x.is_cuda, x.device.type, x.device == torch.device("cpu"), x.layout,
            torch.Size([1, 2]), x.shape[-1] * 2, torch.is_floating_point(x), x.is_sparse, x.itemsize, x.nbytes,
        )  # fmt: skip

    check(fn, X)


def test_is_compiling():
    def fn(x):
        return x + (1 if torch.compiler.is_compiling() else 2)

    with torch.no_grad():
        assert torch.equal(compiled(fn)(X), X + 1)


def test_checks_in_graphs():
    def fn(x, n):
        torch._check(n > 0)
        torch._check(x.shape[0] == 3, lambda: "three rows")
        return x * n

    check(fn, X, 2)
    with torch.no_grad(), pytest.raises(RuntimeError, match="three rows"):
        quern.compile(fn, backend="eager")(X[:2], 2)


def test_tensor_check_runs_with_the_graph():
    def fn(x):
        torch._check_tensor_all(x < 100)
        return x + 1

    function = compiled(fn)
    with torch.no_grad():
        compare(X + 1, function(X))
        with pytest.raises(RuntimeError):
            function(X + 1000)


def test_warnings_of_the_program_stay():
    def fn(x):
        warnings.warn("careful", stacklevel=2)
        return x + 1

    with torch.no_grad(), pytest.warns(UserWarning, match="careful"):
        quern.compile(fn, backend="eager")(X)


DATA_DEPENDENT = [
    (lambda x: x if x.sum() > 0 else -x, "data-dependent-branch", "torch.where"),
    (lambda x: f"{x}", "tensor-text", "print"),
    (lambda x: x.data_ptr() + x, "memory-address", ""),
]


@pytest.mark.parametrize(("fn", "code", "rewrite"), DATA_DEPENDENT)
def test_data_dependent_code(fn, code, rewrite):
    """One graph is refused with the user's line and a rewrite; otherwise the graph breaks, and the result is eager's."""
    x = X.abs()
    with torch.no_grad():
        with pytest.raises(quern.errors.Unsupported, match=rewrite) as error:
            compiled(fn)(x)
        assert error.value.code == code
        assert "test_torch_modes.py" in str(error.value) and len(str(error.value).splitlines()) <= 12
        if code != "memory-address":
            compare(fn(x), quern.compile(fn, backend="eager")(x))


KEPT_UNDER_FULLGRAPH = [
    (lambda x: x * x.sum().item(), "data-dependent-value", "torch.where"),
    (lambda x: [v + 1 for v in x[0].tolist()], "data-dependent-value", "move"),
    (lambda x: x[x > 0], "data-dependent-shape", "torch.where"),
    (lambda x: x.nonzero(), "data-dependent-shape", "mask"),
    (lambda x: torch.unique(x), "data-dependent-shape", "mask"),
    (lambda x: float(x.sum()) + x, "data-dependent-value", ""),
    (lambda x: torch.arange(x.sum().long()), "data-dependent-size", "Python"),
]


@pytest.mark.parametrize(("fn", "code", "rewrite"), KEPT_UNDER_FULLGRAPH)
def test_data_dependent_code_that_one_graph_can_hold(fn, code, rewrite):
    """The graph breaks with a rewrite; under `fullgraph` it does not."""
    x = X.abs()
    function = quern.compile(fn, backend="eager")
    with torch.no_grad():
        compare(fn(x), function(x))
        compare(fn(x), compiled(fn)(x))
    (reason,) = {b.code: b for b in function.breaks}.values()
    assert reason.code == code and rewrite in str(reason)


def test_random_state_is_eagers():
    def fn(x):
        unused = torch.rand(3)  # noqa: F841 - it still draws
        return torch.randn_like(x) + torch.nn.functional.dropout(x, 0.3), torch.rand(2)

    check(fn, X)


def test_objects_with_a_state_are_not_shared_between_calls():
    pattern = re.compile("a+")
    found = quern.compile(
        lambda x: (x + 1, [m.group() for m in pattern.finditer("aabaa")]), backend="eager", fullgraph=True
    )
    scan = quern.compile(lambda x: (x + 1, pattern.scanner("aabaa")), backend="eager")
    x = torch.ones(2)
    for _ in range(2):
        assert found(x)[1] == ["aa", "aa"]
        assert scan(x)[1].search().span() == (0, 2)


# --------------------------------------------------------------------------- devices as contexts


def of_one_graph(x):
    with torch.device("cpu") as device:
        y = torch.ones(3) + torch.zeros(3, device="cpu")
    return y * x.sum(), device


def of_another_device(x):
    with torch.device("meta"):
        y = torch.ones(3)
        z = torch.ones(3, device="cpu") + 1
    return y.device, y.shape, z, torch.ones(2) + x


def nested_devices(x):
    with torch.device("meta"):
        with torch.device("cpu"):
            a = torch.ones(2)
        b = torch.ones(2)
    return a, b.device, torch.ones(2)


def left_by_an_error(x):
    try:
        with torch.device("meta"):
            torch.ones(3)
            raise ValueError("x")
    except ValueError:
        pass
    return torch.ones(2) + x


def broken_inside(x):
    with torch.device("meta"):
        a = torch.ones(3)
        quern.graph_break()
        b = torch.ones(3)
    return a.device, b.device, torch.ones(2) + x


def broken_and_left_inside(x):
    with torch.device("cpu"):
        quern.graph_break()
        return torch.ones(3) + torch.arange(3)


@pytest.mark.parametrize("backend", ["inductor", "eager"])
@pytest.mark.parametrize(
    ("f", "whole"),
    [
        (of_one_graph, True),
        (of_another_device, True),
        (nested_devices, True),
        (left_by_an_error, True),
        (broken_inside, False),
        (broken_and_left_inside, False),
    ],
)
def test_devices_as_contexts(f, whole, backend):
    """Tensors are made there; nothing is left on behind the block, nor while the function is captured."""
    compiled = quern.compile(f, backend=backend, fullgraph=whole)
    for x in (torch.ones(2), torch.full((2,), 3.0)):
        got, wanted = compiled(x), f(x)
        assert torch._C._len_torch_function_stack() == 0
        for g, w in zip(*(v if isinstance(v, tuple) else (v,) for v in (got, wanted))):
            assert torch.equal(g, w) if isinstance(w, torch.Tensor) else g == w
