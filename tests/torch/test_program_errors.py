"""Errors that only the data cause are the program's own: they come at their place, after what was done before them and before
what is done behind them, and the program's handlers see them; type, message and context are eager's.
"""

from __future__ import annotations

import contextlib
import copy
import functools
import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch_checks import randn, tensors

import quern

T = torch.tensor
LOG = logging.getLogger("quern.tests")

#: (program, arguments that it accepts, arguments that it refuses)
PROGRAMS: list[Any] = []


def program(*arguments: Any) -> Callable[[Any], Any]:
    """Register a program with the arguments of some calls; it raises in one of them at least, inside or out of itself."""

    def add(fn: Any) -> Any:
        PROGRAMS.append(pytest.param(fn, arguments, id=fn.__name__))
        return fn

    return add


# ---------------------------------------------------------------- effects before and behind


@program((torch.eye(3), []), (torch.zeros(3, 3), []))
def a_list_is_appended_to_before_and_behind(m, log):
    log.append("start")
    inverse = torch.linalg.inv(m)
    log.append("end")
    return inverse


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def a_tensor_is_written_before_and_behind(x, i):
    x.add_(1)
    picked = x[i]
    x.mul_(2)
    return picked


class Counter:
    def __init__(self) -> None:
        self.calls = self.done = 0


@program((torch.arange(4), T([1, 2, 3, 4]), {}), (torch.arange(4), T([1, 0, 3, 4]), {}))
def attributes_and_items_are_set_before_and_behind(x, divisor, stats):
    counter = Counter()
    stats["counter"] = counter.calls
    for _ in range(2):
        counter.calls += 1
        stats["calls"] = counter.calls
        x = x // divisor
        stats["done"] = counter.calls
    return x


@program((torch.randn(4, 3), T([0, 2, 1, 0])), (torch.randn(4, 3), T([0, 3, 1, 0])))
def lines_are_printed_before_and_behind(x, target):
    print("loss of", x.shape)
    loss = F.cross_entropy(x, target)
    print("done")
    return loss


@program((torch.eye(2),), (torch.zeros(2, 2),))
def random_numbers_are_drawn_once(m):
    return torch.rand(3), torch.linalg.inv(m), torch.rand(2)


@program((torch.rand(3),), (-torch.rand(3),))
def random_numbers_go_on_after_a_draw_that_failed(p):
    first = torch.rand(2)
    try:
        drawn = torch.bernoulli(p)
    except RuntimeError:
        drawn = torch.zeros(1)
    return first, drawn, torch.rand(2)


# ---------------------------------------------------------------- handlers


@program((torch.eye(3), []), (-torch.eye(3), []))
def all_clauses_of_a_try_statement(m, log):
    try:
        factor = torch.linalg.cholesky(m)
        log.append("factor")
    except torch.linalg.LinAlgError as error:
        log.append(str(error))
        factor = m
    else:
        log.append("else")
    finally:
        log.append("finally")
    return factor * 2


@program((torch.ones(2, 2) + torch.eye(2),), (torch.ones(2, 2),), (-torch.ones(2, 2),))
def jitter_is_added_until_it_works(m):
    for k in range(6):
        try:
            return torch.linalg.cholesky(m + (10.0 ** (k - 9) if k else 0.0) * torch.eye(2)), k
        except RuntimeError:
            continue
    return None, -1


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def an_error_is_suppressed(x, i):
    with contextlib.suppress(IndexError):
        x.add_(1)
        x = x[i] * 3
    return x + 1


class Noted:
    """A context manager that hides IndexErrors and keeps what it saw."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def __enter__(self) -> None:
        self.log.append("enter")

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> bool:
        self.log.append(kind and kind.__name__)
        return kind is IndexError


@program((torch.arange(4.0), T([0, 1]), []), (torch.arange(4.0), T([0, 9]), []))
def a_context_manager_sees_the_error(x, i, log):
    with Noted(log):
        x = x[i]
        log.append("picked")
    return x


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def a_handler_around_a_call(x, i):
    def pick(x):
        try:
            return x[i]
        finally:
            x.add_(1)

    try:
        return pick(x), pick(x)
    except IndexError:
        return x * 10


@program((torch.arange(2), T([0, 1])), (torch.arange(2), T([0, 5])))
def another_error_is_raised_from_it(x, i):
    try:
        return x[i]
    except IndexError as error:
        raise ValueError("no such row") from error


@program((torch.arange(2), T([0, 1])), (torch.arange(2), T([0, 5])))
def a_generator_raises_half_way(x, i):
    def rows():
        yield x
        yield x[i]
        yield x * 2

    found = []
    try:
        for row in rows():
            found.append(row)
    except IndexError:
        found.append("stopped")
    return found


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def nobody_reads_the_result(x, i):
    try:
        x[i]
    except IndexError:
        return False
    return True


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def a_break_inside_of_the_try_statement(x, i):
    try:
        x.add_(1)
        quern.graph_break()
        x.add_(1)
        x = x[i]
        x.add_(100)
    except IndexError:
        x = x * 10
    return x


class Tagger(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rows = torch.nn.Embedding.from_pretrained(torch.arange(10.0).reshape(5, 2))
        self.register_buffer("seen", torch.zeros(1))
        self.calls = 0

    def forward(self, i):
        self.calls += 1
        self.seen.add_(1)
        found = self.rows(i)
        self.calls += 10
        self.seen.mul_(2)
        return found.sum()


@program((Tagger(), T([0, 4])), (Tagger(), T([0, 5])))
def a_module_changes_before_and_behind(module, i):
    try:
        found = module(i)
    except IndexError:
        found = None
    return found, module.calls, module.seen.clone()


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def an_exit_stack_unwinds(x, i):
    log = []
    try:
        with contextlib.ExitStack() as stack:
            stack.callback(log.append, "left")
            x = x[i]
            log.append("picked")
    except IndexError:
        log.append("caught")
    return x, log


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def a_loop_goes_on_and_its_finally_clause_counts(x, i):
    for _ in range(3):
        try:
            x = x[i]
        except IndexError:
            continue
        finally:
            x = x * 2
    return x


inner = quern.compile(lambda x, i: x[i] * 2, backend="eager")


@program((torch.arange(4.0), T([0, 1])), (torch.arange(4.0), T([0, 9])))
def a_compiled_function_inside(x, i):
    try:
        return inner(x, i)
    except IndexError as error:
        return str(error)


# ---------------------------------------------------------------- what raises


@torch.library.custom_op("quern_program_errors::root", mutates_args=())
def root(x: torch.Tensor) -> torch.Tensor:
    if bool((x < 0).any()):
        raise ValueError(f"no root of {x.min().item():.1f}")
    return x.sqrt()


@root.register_fake
def _(x):
    return torch.empty_like(x)


@program((torch.ones(3), []), (-torch.ones(3), []))
def a_custom_operator(x, log):
    log.append("start")
    try:
        return root(x)
    except ValueError as error:
        return str(error)


@program((T([4, 5, -7]), T([1, 2, 3])), (T([4, 5, -7]), T([1, 0, 3])))
def integer_division_of_which_a_part_is_used(a, b):
    return (a // b)[:1], torch.div(a, b, rounding_mode="trunc")[2:]


@program((T([4, 5]), T([1, 2])), (T([4, 5]), T([1, 0])), (T([4.0, 5]), T([1, 0])))
def remainders(a, b):
    try:
        return a % b, torch.fmod(a, b)
    except RuntimeError as error:
        return str(error)


@program((T([4, 5]), 2), (T([4, 5]), 0), (T([4, 5]), 3), (T([4, 5]), 0))
def division_by_a_number_that_changes(a, n):
    return a // n


@program((T([4, 5]), 2), (T([4, 5]), -1), (T([4, 5]), 3), (T([4, 5]), -2))
def an_integer_power_that_changes(a, n):
    return a**n


@program((7, T([1, 2])), (7, T([1, 0])), (8, T([1, 2], dtype=torch.int8)), (9, T([0, 0], dtype=torch.int8)))
def a_number_divided(n, divisor):
    return n // divisor, n % divisor


@program((torch.arange(5.0), 2), (torch.arange(5.0), 3), (torch.arange(5.0), 7), (torch.arange(5.0), -6))
def a_subscript_that_changes(x, n):
    return x[n]


@program((torch.arange(5.0), T(2)), (torch.arange(5.0), T(5)), (torch.arange(5.0), T(-6)))
def a_subscript_without_dimensions(x, i):
    x.mul_(2)
    return x[i]


TABLE = torch.arange(6.0).reshape(2, 3)


@program((TABLE, T([0, 5])), (TABLE, T([0, 6])), (TABLE, T([0, -6])), (TABLE, T([0, -7])))
def elements_taken(x, i):
    return torch.take(x, i)


@program((TABLE, T([[0], [2]])), (TABLE, T([[0], [3]])), (TABLE, T([[0], [-1]])))
def positions_along_a_dim(x, i):
    return torch.take_along_dim(x, i, 1), x.gather(1, i)[0]


@program((torch.zeros(3), T([0, 1]), torch.ones(2)), (torch.zeros(3), T([0, 3]), torch.ones(2)))
def rows_added(x, i, rows):
    x.index_add_(0, i, rows)
    return x.scatter(0, i, rows), x.scatter_reduce(0, i, rows, "amax"), x.index_fill(0, i, 2.0)


@program((torch.zeros(3), T([0, -3]), torch.ones(2)), (torch.zeros(3), T([0, -4]), torch.ones(2)))
def rows_set(x, i, rows):
    x[i] = rows
    return x * 2


@program((torch.zeros(3), T([True, False, True]), torch.ones(2)), (torch.zeros(3), T([True] * 3), torch.ones(2)))
def masked_rows_set(x, mask, rows):
    return x.masked_scatter(mask, rows)


@program((randn(5, 3), T([0, 4])), (randn(5, 3), T([0, 5])), (randn(5, 3), T([0, -1])))
def rows_of_an_embedding(weight, i):
    return F.embedding(i, weight).sum()


@program((randn(4, 3), T([0, 1, 2, 0])), (randn(4, 3), T([0, 1, -1, 0])), (randn(4, 3), T([0, -100, 2, 0])))
def class_numbers(x, target):
    return F.nll_loss(F.log_softmax(x, 1), target, reduction="sum"), F.cross_entropy(x, target)


@program((randn(2, 3, 4), torch.zeros(2, 4, dtype=torch.long)), (randn(2, 3, 4), torch.full((2, 4), 3)))
def class_numbers_of_pictures(x, target):
    return F.cross_entropy(x, target, label_smoothing=0.1), F.nll_loss(x, target, reduction="none")


@program((T([0, 1]),), (T([0, 3]),), (T([0, -1]),))
def one_of_some_classes(i):
    return F.one_hot(i, 3)


@program((T([0.0, 0.5, 1.0]),), (T([0.0, 1.5, 1.0]),), (T([float("nan"), 0.5, 1.0]),))
def probabilities(p):
    return F.binary_cross_entropy(p, torch.ones(3))


@program((T([0.5, 0.5]), {}), (T([-0.5, 0.5]), {}), (torch.zeros(2), {}))
def draws(p, found):
    found["before"] = torch.rand(1)
    found["drawn"] = torch.multinomial(p, 1)
    return found


@program((T([True, True]), []), (T([True, False]), []))
def assertions(condition, log):
    log.append("first")
    torch._assert(condition.any(), "none")
    log.append("second")
    torch._assert_async(condition.all(), "not all")
    return condition


@program((T(3.0), T(1.0)), (T(3.0), T(-1.0)))
def parameters_of_a_distribution(x, scale):
    try:
        return torch.distributions.Normal(x, scale).log_prob(x)
    except ValueError as error:
        return str(error)


@program((torch.eye(2), torch.ones(2)), (torch.zeros(2, 2), torch.ones(2)))
def a_system_of_equations(m, b):
    try:
        return torch.linalg.solve(m, b)
    except RuntimeError as error:
        return type(error).__name__, str(error)


# ---------------------------------------------------------------- the test


def outcome(fn: Any, args: tuple[Any, ...], capsys: Any) -> list[Any]:
    """All that can be seen of one call."""
    torch.manual_seed(1)
    try:
        gave: Any = ("gave", fn(*args))
    except Exception as error:
        gave = ("raised", type(error), str(error), repr(error.__cause__), repr(error.__context__))
    return [gave, args, capsys.readouterr().out, torch.rand(1)]


def without_tensors(tree: Any) -> Any:
    if isinstance(tree, torch.Tensor):
        return tree.dtype, tree.shape
    if isinstance(tree, (list, tuple)):
        return [without_tensors(part) for part in tree]
    if isinstance(tree, torch.nn.Module):
        return repr(tree)
    return {k: without_tensors(v) for k, v in tree.items()} if isinstance(tree, dict) else tree


@pytest.mark.parametrize("grad", [False, True], ids=["", "gradients"])
@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(("fn", "calls"), PROGRAMS)
def test_as_in_eager(fn, calls, backend, grad, capsys):
    if grad and backend == "inductor":
        pytest.skip("gradients run op by op")
    compiled = quern.compile(fn, backend=backend)
    with warnings.catch_warnings(), torch.set_grad_enabled(grad):
        warnings.simplefilter("error")
        for args in (*calls, *calls):
            expected = outcome(fn, copy.deepcopy(args), capsys)
            found = outcome(compiled, copy.deepcopy(args), capsys)
            assert without_tensors(found) == without_tensors(expected)
            torch.testing.assert_close(tensors(found), tensors(expected), equal_nan=True)
    if "break" not in fn.__name__:
        assert not compiled.breaks or {b.code for b in compiled.breaks} <= {"raises", "framework-error"}


def test_a_write_that_autograd_records_is_done_once():
    def f(x, factor, i, log):
        x.mul_(factor)
        log.append("written")
        y = x[i]
        log.append("picked")
        return y * 2

    compiled = quern.compile(f, backend="eager")
    for i in ([0, 1], [0, 9], [1, 0]):
        seen = []
        for fn in (f, compiled):
            leaf = torch.ones(3, requires_grad=True)
            x, log = leaf * 2, []
            try:
                fn(x, T(3.0), T(i), log).sum().backward()
            except IndexError as error:
                log.append(str(error))
            seen.append([x.tolist(), log, leaf.grad])
        assert repr(seen[0]) == repr(seen[1])


# ---------------------------------------------------------------- names and arguments that eager does not know

UNKNOWN = {
    "a function's name": lambda x: x.relu6(),
    "another function's name": lambda x: x.celu(),
    "a view has no in-place form": lambda x: x.contiguous_(),
    "nor has a reduction": lambda x: x.sum_(),
    "inplace= of a function": lambda x: torch.relu(x, inplace=True),
    "inplace= of a method": lambda x: x.relu(inplace=True),
    "inplace by position": lambda x: torch.celu(x, 1.0, True),
    "keepdim without dim": lambda x: x.sum(keepdim=True),
    "keepdim of all maxima": lambda x: torch.max(x, keepdim=True),
    "a rounding mode of true_divide": lambda x: torch.true_divide(x, 2, rounding_mode="floor"),
    "a keyword of nobody": lambda x: x.view(4, foo=1),
    "a keyword of another": lambda x: x.repeat(2, 2, dim=1),
    "of a new tensor": lambda x: x.new_zeros(2, 2, foo=1),
    "given twice": lambda x: torch.mean(x, 0, dim=1),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_eager_does_not_take_is_refused(name):
    def outcome(f):
        try:
            return f(torch.ones(2, 2))
        except (AttributeError, TypeError) as error:
            return type(error).__name__, str(error).split("(")[0].replace("TensorBase", "Tensor")

    wanted = outcome(UNKNOWN[name])
    assert isinstance(wanted, tuple)
    assert outcome(quern.compile(UNKNOWN[name], backend="eager")) == wanted


def test_a_tensor_has_no_attribute_that_eager_does_not_know():
    found = quern.compile(lambda x: hasattr(x, "relu6") or x + 1, backend="eager", fullgraph=True)(torch.ones(2, 2))
    assert torch.equal(found, torch.full((2, 2), 2.0))


TAKEN = {
    "NumPy's words": (lambda x: x.sum(axis=0, keepdims=True) + torch.cumsum(x, axis=1), 2),
    "sizes one by one": (lambda x: x.view(2, 1, 2).permute(1, 0, 2).expand(3, 2, 2).repeat(1, 1, 2), 0),
    "sizes by name": (lambda x: x.view(size=(4,)).reshape(shape=(2, 2)).permute(dims=(1, 0)) * 2, 0),
    "types": (lambda x: x.softmax(dim=0, dtype=torch.float64).to("cpu", copy=True) + x.new_zeros(2, dtype=torch.int32), 0),
    "corrections": (lambda x: x.std(dim=0, correction=0) + torch.var(x, unbiased=False), 0),
}  # fmt: skip


@pytest.mark.parametrize("name", TAKEN)
def test_what_eager_takes_stays_in_the_graph(name):
    f, calls = TAKEN[name]
    x = randn(2, 2)
    assert torch.allclose(quern.compile(f, fullgraph=True)(x), f(x))
    assert f"{calls} framework calls" in str(quern.explain(f)(x))


@pytest.mark.parametrize("given, wanted", [
    (torch.int64, torch.uint8), (torch.int64, torch.int8), (torch.int32, torch.int8), (torch.uint8, torch.int8),
    (torch.int64, torch.int32), (torch.uint8, torch.int64), (torch.int64, torch.float16),
])  # fmt: skip
def test_elements_of_a_new_tensor_that_its_type_does_not_hold(given, wanted):
    def made(x):
        return torch.tensor([x[0], 2], dtype=wanted)

    def new(x):
        return torch.zeros(1, dtype=wanted).new_tensor([[x[0]], [x[1]]])

    def outcome(f, x):
        try:
            return f(x).tolist()
        except RuntimeError as error:
            return str(error)

    for f in (made, new):
        for backend in ("eager", "inductor"):
            compiled = quern.compile(f, backend=backend)
            for number in (1, 200, -1, 300, -300, 2**40, 3):
                x = torch.tensor([number, 1]).to(given)
                assert outcome(compiled, x) == outcome(f, x), (f.__name__, number)


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("mode", [None, "trunc", "floor"])
def test_a_number_too_large_for_its_operand_is_infinite(mode, backend):
    def f(x):
        return torch.div(1e39, x, rounding_mode=mode), torch.remainder(1e39, x), torch.copysign(x, -1e39)

    for x in (torch.tensor([1.0, 2e5]), torch.tensor([1, 2]), torch.tensor([3.0], dtype=torch.float16)):
        for found, wanted in zip(quern.compile(f, backend=backend)(x), f(x)):
            torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)


MIXED = {
    "layer_norm": lambda x, w: F.layer_norm(x, (3,), w[0], w[1]),
    "layer_norm without bias": lambda x, w: F.layer_norm(x, (3,), w[0]),
    "group_norm": lambda x, w: F.group_norm(x, 3, w[0], w[1]),
    "batch_norm": lambda x, w: F.batch_norm(x, w[0], w[1].abs(), training=False),
    "batch_norm in training": lambda x, w: F.batch_norm(x, None, None, w[0], w[1], training=True),
    "cross": lambda x, w: torch.cross(x, w, dim=1),
    "linalg.cross": lambda x, w: torch.linalg.cross(x, w),
}


@pytest.mark.parametrize("name", MIXED)
def test_operands_of_two_types_are_taken_where_eager_takes_them(name):
    def outcome(f, one, two):
        torch.manual_seed(0)
        x, w = torch.randn(2, 3, 2).to(one), torch.randn(2, 3).to(two)
        try:
            return f(x if "cross" not in name and "layer" not in name else x[..., 0], w)
        except (RuntimeError, ValueError) as error:
            return type(error).__name__

    types = (torch.float64, torch.float32, torch.float16, torch.bfloat16)
    for one in types:
        for two in types:
            wanted = outcome(MIXED[name], one, two)
            found = outcome(quern.compile(MIXED[name]), one, two)
            if isinstance(wanted, str):
                assert found == wanted, (one, two)
            else:
                assert found.dtype == wanted.dtype, (one, two)
                error = 4 * max(torch.finfo(one).eps, torch.finfo(two).eps)
                torch.testing.assert_close(found, wanted, rtol=error, atol=error)


@pytest.mark.parametrize("dynamic", [None, True])
def test_a_size_that_is_no_longer_even_is_refused(dynamic):
    def f(x):
        return x.sin(), torch.nn.functional.glu(x, -1)

    compiled = quern.compile(f, dynamic=dynamic)
    for n in (4, 6, 5, 10, 7, 8):
        x = torch.arange(3.0 * n).reshape(3, n)
        if n % 2:
            with pytest.raises(RuntimeError, match=f"Halving dimension must be even, but dimension 1 is size {n}"):
                compiled(x)
        else:
            torch.testing.assert_close(compiled(x), f(x))


@functools.lru_cache(None)
def warning_once(logger, text):
    logger.warning(text)


def test_a_message_that_a_cached_function_gives_is_given_once(caplog):
    def f(x):
        warning_once(LOG, "seen")
        return x * 2

    compiled = quern.compile(f, backend="eager", fullgraph=True)
    for _ in range(3):
        assert torch.equal(compiled(torch.ones(2)), torch.full((2,), 2.0))
    assert [r.message for r in caplog.records] == ["seen"]
    warning_once.cache_clear()
    compiled(torch.ones(2))
    assert [r.message for r in caplog.records] == ["seen", "seen"]
