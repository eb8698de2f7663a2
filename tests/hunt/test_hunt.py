"""The hunt sees what it looks for: faults planted in place of the compiled program are found, and the program itself is not one."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from comparison import Difference  # noqa: E402
from hunt_loops import HEADS, LINES, Call, Line, LoopCase, Nest, function_of, text_of  # noqa: E402
from hunt_loops import check as check_loops  # noqa: E402
from hunt_numpy import NumpyArrays  # noqa: E402
from hunt_ops import TorchArrays  # noqa: E402
from hunt_steps import ArraySpec, CallSpec, Case, Noise, Step, changed, check, legal  # noqa: E402

FIRST = CallSpec((ArraySpec((3, 4), "float32"), ArraySpec((3, 4), "float32", "transposed", 1)))
CASE = Case((Step("{a} * {b} + n", (0, 1, 0)), Step("!{a}.mul_(2)", (1, 0, 0))), (FIRST, changed(FIRST, "numbers", 1)))


class Planted(TorchArrays):
    """Compiles to the program with something wrong in it."""

    def __init__(self, fault):
        self.fault = fault

    def compile(self, function, settings):
        return lambda *args: self.fault(function, *args)


def frozen_number(function, *args):
    return function(*args[:-2], 2, args[-1])


FAULTS = {
    "a value": lambda f, *args: tuple(r + 1e-3 for r in f(*args)),
    "a type": lambda f, *args: tuple(r.double() for r in f(*args)),
    "a layout": lambda f, *args: tuple(r.t().contiguous().t() for r in f(*args)),
    "sharing memory": lambda f, *args: tuple(r.clone() for r in f(*args)),
    "a lost write": lambda f, x, y, *args: f(x, y.clone(), *args),
    "an error": lambda f, *args: f(*args) and [][0],
    "a number of the first call": frozen_number,
}


def test_the_program_itself_agrees() -> None:
    assert "v2 = v0 * v1 + n" in check(CASE, Planted(lambda f, *args: f(*args)))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault) -> None:
    with pytest.raises(Difference):
        check(CASE, Planted(FAULTS[fault]))


def one(*steps, special=False, dtype="float32", shape=(4, 4), layout="plain"):
    """A program of these steps, each of the value before it, with one call."""
    made = 0
    placed = []
    for step in steps:
        placed.append(Step(step, (made, 0, 0)))
        made += not step.startswith("!")
    return Case(tuple(placed), (CallSpec((ArraySpec(shape, dtype, layout, 3, special),)),))


def turned(f, x, *args):
    """Sums in the other order."""
    flipped = x.flip(*range(x.ndim))
    return (x, *f(flipped, *args)[1:])


def exact(f, x, *args):
    """Rounded once."""
    return (x, *(r.to(x.dtype) for r in f(x.double(), *args)[1:]))


#: what eager does in one of several ways, and another of them
FREE = {
    "the order of a cancelling sum": (one("{a}.sum()", special=True), turned),
    "the order of a sum of numbers": (one("{a}.mean()", shape=(17, 3)), turned),
    "digits that eager itself loses": (one("F.gelu({a} - 3)"), exact),
    "a sum that overflows on the way": (one("{a}.mean()", special=True, dtype="float64"), turned),
    "a product that overflows on the way": (one("torch.cross({a}[..., :3] * 1e38, {a}[..., :3].flip(-1) * 10)"), exact),
}


def two_passes(f, x, *args):
    """A mean that is the sum by the number of elements, in a range that no element leaves."""
    return (x, f(x * 2.0**-600, *args)[1] * 2.0**600)


def mean_of(dtype, seed, width):
    call = CallSpec((ArraySpec((8, width), dtype, "plain", seed, special=True),))
    return Case((Step("torch.var_mean({a}, {d})[1]"),), (call,))


def test_whether_a_running_mean_leaves_the_range_is_free_in_the_widest_type():
    for seed, width in ((0, 4), (4, 5), (15, 5)):
        check(mean_of("float64", seed, width), Planted(two_passes))


def test_whether_a_quotient_leaves_the_range_is_free() -> None:
    def singly(f, x, y, *args):
        return (x, y, torch.stack([f(p, q, *args)[2] for p, q in zip(x, y, strict=True)]))

    class Held(Planted):
        leaving = frozenset()

    call = CallSpec((ArraySpec((16,), "float64", special=True, seed=2), ArraySpec((16,), "float64", seed=1)))
    case = Case((Step("{a} % {b}", (0, 1, 0)),), (call,))
    check(case, Planted(singly))
    with pytest.raises(Difference):
        check(case, Held(singly))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_a_mean_does_with_infinities_is_not_free(dtype):
    finite = lambda f, x, *args: (x, f(x, *args)[1].nan_to_num(3.0))  # noqa: E731
    with pytest.raises(Difference):
        for seed in range(10):
            check(mean_of(dtype, seed, 3), Planted(finite))


@pytest.mark.parametrize("choice", FREE)
def test_what_is_left_to_the_framework_is_no_fault(choice) -> None:
    case, way = FREE[choice]
    check(case, Planted(way))


def turned_nans(f, *args):
    """The sign of every NaN in the second value."""
    made = f(*args)
    bits = made[1].view(torch.int32)
    bits[made[1].isnan()] ^= torch.iinfo(torch.int32).min
    return made


def test_the_sign_of_a_new_nan_is_no_fault_and_that_of_one_passed_on_is() -> None:
    check(one("{a}.log()", "{a}.view(torch.int32)"), Planted(turned_nans))
    with pytest.raises(Difference, match="result 2"):
        check(one("{a}[:]", "{a}.view(torch.int32)", special=True), Planted(turned_nans))


def test_limits_of_a_type_are_not_free() -> None:
    wrong = lambda f, x, *args: (x, f(x, *args)[1].clamp(-1e38, 1e38))  # noqa: E731
    with pytest.raises(Difference):
        check(one("{a}.nan_to_num()", special=True), Planted(wrong))


def test_a_program_ends_before_memory_that_it_shows_is_given_back() -> None:
    steps = (Step("np.ravel({a}[::n])"), Step("!{a}.resize((2, 2), refcheck=False)"), Step("!{a}.fill(k)", (1, 0, 0)))
    arrays, (copied, viewed) = NumpyArrays(), (CallSpec((ArraySpec((4, 4), "float64"),), n) for n in (2, 1))
    assert legal(Case(steps, (copied,)), arrays) == steps
    assert legal(Case(steps, (viewed,)), arrays) == steps[:1]
    assert Noise(0).run(steps, copied, arrays) is not None
    assert Noise(0).run(steps, viewed, arrays) is None


def test_the_order_of_a_cancelling_sum_of_integers_is_free() -> None:
    class Turned(NumpyArrays):
        def compile(self, function, settings):
            return lambda x, *args: (x, function(x[:, ::-1].copy(), *args)[1])

    call = CallSpec((ArraySpec((1, 6), "int64", "plain", 25, special=True),))
    check(Case((Step("np.trapezoid({a}, axis={d})", (0, 0, 0), -1),), (call,)), Turned())


def test_a_planted_fault_in_a_loop_is_found(monkeypatch) -> None:
    body = (Nest(HEADS.index("for i in range(len(x)):"), (), (Line(LINES.index("s += {s}")),)),)
    case = LoopCase(body, (Call(), Call(size=3)))
    check_loops(case)
    early = "for i in range(len(x) - 1):"
    compiled = lambda fn, **options: function_of(text_of(case).replace("for i in range(len(x)):", early))  # noqa: E731
    monkeypatch.setattr("quern.compile", compiled)
    with pytest.raises(Difference):
        check_loops(case)
