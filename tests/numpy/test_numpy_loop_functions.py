"""NumPy's functions inside of loops that become one op of the graph: each is what it is outside of them."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from numpy_compiled import compiled, some
from test_numpy_loops import both, loops_of

run = importlib.import_module("quern.capture.frontends.numpy.rolling.run")
build = run.build


def looped(expression, step="x += 1"):
    """A loop that evaluates an expression of the arrays x and y, the size n and the round i, and changes x."""
    scope: dict = {"np": np}
    text = (
        f"def program(x, y, n):\n    for i in range(15):\n        out = {expression}\n        {step}\n    return out\n"
    )
    exec(text, scope)
    return scope["program"]


def vectors(n, dtype=np.float64):
    r = np.random.default_rng(n)
    x, y = ((10 * r.random(n) - 5).astype(dtype) for _ in range(2))
    return x, y, n


def matrices(n, dtype=np.float64):
    r = np.random.default_rng(n)
    x, y = ((10 * r.random((n, n + 2)) - 5).astype(dtype) for _ in range(2))
    return x, y, n


def squares(n, dtype=np.float64):
    r = np.random.default_rng(n)
    x, y = ((10 * r.random((n, n)) - 5).astype(dtype) for _ in range(2))
    return x, y, n


def rolled(program, *calls, rebuilt=False):
    """Calls agree with plain NumPy, by one loop op; arguments of other sizes compile nothing (rebuilt: they may)."""
    fast = compiled(program, "inductor")
    both(program, fast, calls[0])
    assert loops_of(fast) == 1
    for n, arguments in enumerate(calls):
        with pytest.MonkeyPatch.context() as patch:
            if n != 1 and not rebuilt:
                patch.setattr(run, "build", lambda *a, **k: pytest.fail("a loop is compiled again"))
            both(program, fast, arguments)
    return fast


VECTORS = """
np.roll(x, 1)
np.roll(x, -3)
np.roll(x, i - 7)
np.roll(x * 2 + y, 2) - np.roll(x, -1)
np.roll(x, 2, axis=0)
np.roll(x, (1, 2), axis=(0, 0))
np.diff(x)
np.diff(x, 2)
np.diff(x * y)
np.diff(x, prepend=0.0)
np.diff(x, prepend=y[0], append=x[:2])
np.concatenate((x, y))
np.concatenate([x[1:], [0.0], y * 2])
np.concatenate((x, y[:i % 3 + 1], x)).sum()
np.concatenate((x, y), axis=None)
np.append(x, i)
np.hstack((0.0, x, i))
np.hstack([x, y[::-1]])
np.vstack((x, y))
np.vstack([x, y, x])
np.column_stack((x, y))
np.column_stack((x, np.zeros((n, 2)), y))
np.stack((x, y))
np.stack([x, y, x * i], axis=1)
np.stack((x, y), axis=-1)
np.array([x, y])
np.array([[1.0, x[0]], [y[0], i]])
np.array([x[0], 2.0, i], dtype=np.float32)
np.array([1.0, 2.0, 3.0, 4.0])
np.concatenate((x, [1.0, 2.0, 3.0, 4.0]))
np.array([[1, 2, 3, 4], [i, 6, 7, 8]])
np.array(((1, 2, 3), (4, 5, 6)), dtype=np.float32)
np.linalg.norm(x)
np.linalg.norm(x - y)
np.linalg.norm(x, 2)
np.linalg.norm(x, 1)
np.linalg.norm(x, np.inf)
np.linalg.norm(x, -np.inf)
np.linalg.norm(x, 0)
np.linalg.norm(x, keepdims=True)
np.full_like(x, 3)
np.full_like(x, i, dtype=np.int32)
np.eye(3)
np.eye(n) * x
np.eye(n, n + 1, k=1, dtype=np.int64)
np.identity(n) + x
np.linspace(0.0, i, n)
np.linspace(0, 1, 7)
np.linspace(x[0], y[0], 13)
np.linspace(1.0, 2.0, n, endpoint=False)
np.linspace(1.0, 1.0, 5)
np.linspace(i, 2, 1)
np.linspace(i, 1.0, 0)
np.linspace(0.0, 5e-324, 9)
np.squeeze(x) + 0
np.expand_dims(x, 0) + 0
np.expand_dims(x, axis=(0, 2)) + 0
np.squeeze(x[:, None]) + 0
np.squeeze(x[None, :, None], axis=0) + 0
np.diag(x)
np.diag(x, 2)
np.diag(x, -1)
np.count_nonzero(x)
np.count_nonzero(x > y)
np.average(x)
np.average(x, weights=y + 6)
np.ptp(x)
np.ptp(x * y)
np.isclose(x, y)
np.isclose(x, y, atol=3)
np.isclose(x, y, rtol=0.5, equal_nan=True)
np.isclose(x[0], y[0], 0.1, 2.0)
np.isclose(i, 3)
np.isclose(x, 1)
np.allclose(x, y)
np.allclose(x, y + i, atol=100.0)
np.allclose(x, x + 1e-9)
np.array_equal(x, y)
np.array_equal(x, x + 0)
np.repeat(x, 3)
np.repeat(x + y, 1)
np.tile(x, 2)
np.tile(x, (2, 3))
np.flipud(x) + 0
""".strip().splitlines()

MATRICES = """
np.roll(x, 1)
np.roll(x, i, axis=1)
np.roll(x, -1, axis=0) + np.roll(x, 1, 0)
np.roll(x, (1, -2), axis=(0, 1))
np.roll(x, 2, axis=(0, 1))
np.diff(x)
np.diff(x, axis=0)
np.diff(x, 1, 1, prepend=0)
np.concatenate((x, y))
np.concatenate([x, y, x * 2], axis=1)
np.concatenate((x, y), axis=None)
np.append(x, y)
np.append(x, y, axis=0)
np.hstack((x, y))
np.hstack((x, x[:, :1]))
np.vstack((x, y[0]))
np.column_stack((x, y))
np.column_stack((x[:, 0], y))
np.stack((x, y))
np.stack((x, y), axis=1)
np.stack((x, y), axis=2)
np.array([x, y])
np.array([x[0], y[1]])
np.linalg.norm(x)
np.linalg.norm(x, 'fro')
np.linalg.norm(x, 1)
np.linalg.norm(x, np.inf)
np.linalg.norm(x, axis=0)
np.linalg.norm(x - y, axis=1)
np.linalg.norm(x, axis=1, keepdims=True)
np.linalg.norm(x, 1, axis=0)
np.linalg.norm(x, np.inf, axis=-1)
np.linalg.norm(x, axis=(0, 1))
np.triu(x)
np.tril(x)
np.triu(x, 1)
np.tril(x * y, k=-1)
np.triu(x, i - 6) + np.tril(y, i - 6)
np.full_like(x, 3)
np.swapaxes(x, 0, 1) @ y
np.squeeze(x) + 0
np.squeeze(x[:, :1]) + 0
np.squeeze(x[:1, :1]) + 0
np.expand_dims(x, 1) + 0
np.expand_dims(x, -1) + 0
x.swapaxes(0, 1).copy()
x[:, :1].squeeze() + 0
np.trace(x)
np.trace(x, offset=1)
x.trace(-1)
np.diag(x).copy()
np.diag(x, 1) + 0
np.diag(x, -2) + 0
np.diagonal(x).sum()
x.diagonal() * 2
np.count_nonzero(x)
np.count_nonzero(x > 0, axis=0)
np.average(x)
np.average(x, axis=0)
np.average(x, axis=1)
np.average(x, weights=y + 6)
np.average(x, axis=0, weights=y[:, 0] + 6)
np.average(x, axis=1, weights=y[0] + 6)
np.ptp(x)
np.ptp(x, axis=0)
np.ptp(x, 1)
np.isclose(x, y, atol=2.0)
np.isclose(x, y[0], atol=2.0)
np.allclose(x, y)
np.array_equal(x, y)
np.array_equal(x, y[0])
np.repeat(x, 2, axis=0)
np.repeat(x, 3, axis=1)
x.repeat(2, 0)
np.tile(x, 2)
np.tile(x, (2, 1))
np.tile(x[0], (n, 1))
np.flipud(x) + 0
np.fliplr(x) + 0
""".strip().splitlines()


@pytest.mark.parametrize("expression", some(VECTORS))
def test_of_vectors(expression):
    rolled(looped(expression), vectors(6), vectors(9), vectors(17))


@pytest.mark.parametrize("expression", some(MATRICES))
def test_of_matrices(expression):
    rolled(looped(expression), matrices(6), matrices(9), matrices(13))


# --------------------------------------------------------------------------- memory


VIEWS = ["np.squeeze(x[:, None])", "np.expand_dims(x, 0)[0]", "np.expand_dims(x, 1).swapaxes(0, 1)[0]", "np.flipud(x)",
         "x[None].squeeze()", "x[None, :, None].squeeze(axis=0)[:, 0]"]  # fmt: skip


@pytest.mark.parametrize("view", some(VIEWS))
def test_views_stay_views(view):
    rolled(looped(f"{view}.sum()", f"out = {view}; out[i % n] = i; out = x * 1"), vectors(6), vectors(9))


COPIES = [
    "np.roll(x, 0)",
    "np.concatenate((x,))",
    "np.repeat(x, 1)",
    "np.tile(x, 1)",
    "np.hstack([x])",
    "np.array([x])[0]",
]


@pytest.mark.parametrize("copy", some(COPIES))
def test_copies_are_copies(copy):
    rolled(looped("x * 1", f"out = {copy}; out[i % n] = i; x += out"), vectors(6), vectors(9))


def test_a_diagonal_is_read_only():
    fast = compiled(looped("np.diag(x)[0]", "np.diag(x)[i % n] = 1"), "inductor", fullgraph=False)
    both(looped("np.diag(x)[0]", "np.diag(x)[i % n] = 1"), fast, squares(6))


def test_a_result_of_columns_is_no_result_of_rows():
    for expression in ("np.roll(x, 1, 0)", "np.concatenate((x, x))", "np.stack((x, x))", "np.triu(x)", "np.full_like(x, 2)",
                       "np.diff(x)", "np.tile(x, 2)", "np.repeat(x, 2, axis=0)", "np.array([x, x])"):  # fmt: skip
        x, y, n = squares(6)
        program = looped(expression)
        both(program, compiled(program, "inductor", fullgraph=False), (np.asfortranarray(x), y, n))
        both(program, compiled(program, "inductor", fullgraph=False), (x.T, np.asfortranarray(y), n))


def test_what_is_shifted_is_read_before_it_is_written():
    for statement in ("x[:] = np.roll(x, 1, 0)", "x += np.roll(x, -1, axis=0)", "x[1:] = np.roll(x, 2, 0)[1:]", "x[0] = np.roll(x, 1, 0)[2]",
                      "y = np.roll(x, 1, 0); x[0] = 7; x += y", "x = np.roll(np.roll(x, 1, 0), i, 1)"):  # fmt: skip
        rolled(looped("x.sum()", statement), matrices(6), matrices(9))


def test_an_expression_as_the_argument_of_a_function():
    def program(x, y, n):
        def energy(u, by):
            u = u * by
            u[0] = 0
            return np.linalg.norm(u)

        total = 0.0
        for i in range(15):
            total += energy(np.roll(x, i, 0), y + i)
            x[0] += 1
        return total

    rolled(program, matrices(6), matrices(9))


# --------------------------------------------------------------------------- types


OF_ANY_TYPE = """
np.roll(x, 2)
np.diff(x)
np.concatenate((x, y, [1]))
np.concatenate((x, [0.5]))
np.hstack((x, 1.5, y))
np.stack((x, y > 0))
np.array([x[0], y[0], 1])
np.array([[x[0], 1], [2, y[0]]])
np.full_like(x, 1)
np.linalg.norm(x)
np.linalg.norm(x, 1)
np.count_nonzero(x)
np.average(x)
np.average(x, weights=np.ones(n))
np.ptp(x)
np.isclose(x, y)
np.isclose(x, y[0])
np.isclose(x[1], y[0], atol=1)
np.allclose(x, y, 0.1)
np.array_equal(x, y)
np.repeat(x, 2)
np.tile(x, 3)
np.diag(x)
np.trace(np.diag(x[:3]))
np.triu(np.diag(x, 1) + y)
""".strip().splitlines()


@pytest.mark.parametrize("expression", some(OF_ANY_TYPE))
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "complex64"])
def test_types(expression, dtype):
    program = looped(
        expression, "x |= y" if dtype == "bool" else "x //= 2" if np.dtype(dtype).kind in "iu" else "x *= 0.5"
    )
    x, y, n = vectors(5)
    both(
        program,
        compiled(program, "inductor", fullgraph=False),
        (np.abs(x).astype(dtype), np.abs(y).astype(dtype), n),
    )


# --------------------------------------------------------------------------- special numbers, and none


SPECIAL = np.array([1.0, 0.0, -1.0, np.nan, np.inf, -np.inf, -0.0, 2.5])


@pytest.mark.parametrize(
    "expression",
    some(["np.isclose(x, y)", "np.isclose(y, x, equal_nan=True)", "np.allclose(x, y, equal_nan=True)", "np.allclose(x, y)",
     "np.isclose(x, y[i % n])", "np.isclose(x[i % n], y[(3 * i) % n])", "np.array_equal(x, y)", "np.count_nonzero(x)",
     "np.triu(np.diag(x))", "np.roll(x, i)", "np.isclose(x[i % n], np.inf)", "np.isclose(np.inf, y)",
     "np.linalg.norm(x, np.inf)", "np.linalg.norm(x, -np.inf)"]),
)  # fmt: skip
def test_not_a_number_and_infinity(expression):
    program = looped(expression, "y[i % n] = x[(i // 3) % n]")
    fast = compiled(program, "inductor")
    for _ in range(2):
        both(program, fast, (SPECIAL, SPECIAL[::-1].copy(), len(SPECIAL)))
        both(program, fast, (SPECIAL, SPECIAL.copy(), len(SPECIAL)))
    assert loops_of(fast) == 1


@pytest.mark.parametrize("expression", some([e for e in VECTORS if "[0]" not in e], 20))
def test_no_elements(expression):
    program = looped(expression, "x = x + 0")
    fast = compiled(program, "inductor", fullgraph=False)
    both(program, fast, vectors(0))
    both(program, fast, vectors(1))


@pytest.mark.parametrize("expression", some([e for e in MATRICES if "[0]" not in e and "[1]" not in e], 20))
def test_no_rows_or_columns(expression):
    program = looped(expression, "x = x + 0")
    fast = compiled(program, "inductor", fullgraph=False)
    for shape in ((0, 8), (5, 1)) if len(expression) % 2 else ((4, 0), (1, 5)):
        x = np.arange(float(shape[0] * shape[1])).reshape(shape)
        both(program, fast, (x, x + 1, shape[0]))


def test_reductions_along_and_beside_axes_of_one():
    for shape in ((5, 1), (1, 5), (1, 1)):
        x = np.arange(1.0, 1 + shape[0] * shape[1]).reshape(shape)
        for axis in (0, 1):
            for name in ("sum", "max", "argmax", "mean"):
                program = looped(f"np.{name}(x, axis={axis})")
                both(program, compiled(program, "inductor", fullgraph=False), (x, x, 5))


# --------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    "expression",
    some(["np.roll(x, 1, axis=1)", "np.roll(x, 1.5)", "np.diff(x, -1)", "np.concatenate((x, y[None]))", "np.concatenate(())",
     "np.stack((x, y[1:]))", "np.vstack((x, y[:i]))", "np.linspace(0, 1, 3 - i)", "np.squeeze(x, axis=0)",
     "np.expand_dims(x, 3)", "np.average(x, weights=y * 0)", "np.average(x, weights=y[1:])", "np.eye(3 - i)",
     "np.diag(x[0])", "np.tile(x, -1)", "np.repeat(x, -1)", "np.isclose(x, y, np.nan)", "np.array([x, y[1:]])",
     "np.full_like(x, 1j)", "np.trace(x)", "np.column_stack((x, y[1:]))", "np.diff(x, 1, 1)", "np.swapaxes(x, 0, 1)"]),
)  # fmt: skip
def test_errors_are_those_of_numpy(expression):
    program = looped(expression)
    fast = compiled(program, "inductor", fullgraph=False)
    for _ in range(2):
        both(program, fast, vectors(6))


# --------------------------------------------------------------------------- running totals, reductions of ufuncs


SCANS = """
np.cumsum(x)
np.cumsum(x * y)
np.cumprod(x)
x.cumsum()
x.cumprod(axis=0)
np.cumsum(x, dtype=np.float32)
np.add.accumulate(x)
np.multiply.accumulate(x * 0.1)
np.maximum.accumulate(x)
np.minimum.accumulate(x[::-1])
np.add.reduce(x)
np.multiply.reduce(x)
np.maximum.reduce(x)
np.minimum.reduce(x, axis=0)
np.logical_or.reduce(x > 9)
np.logical_and.reduce(x > -9)
np.cumsum(x[i % n:]).sum()
np.concatenate(([0.0], np.cumsum(x)))
""".strip().splitlines()
SCANS_OF_MATRICES = """
np.cumsum(x)
np.cumsum(x, axis=0)
np.cumsum(x, axis=1)
np.cumprod(x, axis=-1)
x.cumsum(0)
np.add.accumulate(x)
np.maximum.accumulate(x, axis=1)
np.minimum.accumulate(x)
np.add.reduce(x)
np.add.reduce(x, axis=None)
np.maximum.reduce(x, axis=1)
np.minimum.reduce(x, axis=(0, 1))
np.multiply.reduce(x, axis=1, keepdims=True)
np.cumsum(x.T, axis=0).sum(axis=0)
""".strip().splitlines()


@pytest.mark.parametrize("expression", some(SCANS))
def test_scans_of_vectors(expression):
    rolled(looped(expression), vectors(6), vectors(9), vectors(17))


@pytest.mark.parametrize("expression", some(SCANS_OF_MATRICES))
def test_scans_of_matrices(expression):
    rolled(looped(expression), matrices(6), matrices(9), matrices(13))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "uint64", "float32", "complex64"])
def test_types_of_scans(dtype):
    for expression in ("np.cumsum(x)", "np.cumprod(x)", "np.add.accumulate(x)", "np.maximum.accumulate(x)", "np.add.reduce(x)",
                       "np.minimum.reduce(x)", "np.cumsum(x, dtype=np.float64)", "np.logical_or.reduce(x)"):  # fmt: skip
        program = looped(expression, "x |= y" if dtype == "bool" else "x += y")
        x, y, n = vectors(6)
        both(
            program,
            compiled(program, "inductor", fullgraph=False),
            (np.abs(x).astype(dtype), np.abs(y).astype(dtype), n),
        )


def test_products_of_infinities():
    for n in range(1, 20):
        x = np.ones(n)
        x[-1] = np.inf
        program = looped("np.linalg.norm(x) + np.dot(x, y)", "y[0] = i")
        both(program, compiled(program, "inductor", fullgraph=False), (x, np.ones(n), n))


def test_scans_of_columns_nothing_and_special_numbers():
    x, y, n = matrices(6)
    for expression in ("np.cumsum(x)", "np.cumsum(x, axis=0)", "np.maximum.accumulate(x, axis=1)"):
        program = looped(expression)
        fast = compiled(program, "inductor", fullgraph=False)
        both(program, fast, (x, y, n))
        both(program, fast, (np.asfortranarray(x), y, n))
        both(program, fast, (x[:0], y, n))
        both(program, fast, (x[:1], y, n))
    for expression in (
        "np.cumsum(x)",
        "np.cumprod(x)",
        "np.maximum.accumulate(x)",
        "np.minimum.accumulate(x)",
        "np.cumsum(-x * 0.0)",
    ):
        program = looped(f"{expression}[:i]", "x = np.roll(x, 1)")
        with np.errstate(all="ignore"):
            both(program, compiled(program, "inductor", fullgraph=False), (SPECIAL, SPECIAL, 8))


# --------------------------------------------------------------------------- linear algebra


SOLVED = """
np.linalg.solve(x, y[0])
np.linalg.solve(x, y)
np.linalg.solve(x, y[:, :2])
np.linalg.solve(x.T, y[:, 1])
np.linalg.solve(x + y, x @ y)
np.linalg.inv(x)
np.linalg.inv(x + 3) @ y
np.linalg.det(x)
np.linalg.det(x @ y)
np.linalg.cholesky(x @ x.T + np.eye(n))
np.linalg.solve(x @ x.T + np.eye(n), y)
""".strip().splitlines()


@pytest.mark.parametrize("expression", some(SOLVED))
def test_equations(expression):
    rolled(looped(expression, "x[i % n, i % n] += 1"), squares(3), squares(4), squares(2), squares(12))


@pytest.mark.parametrize("dtype", ["int64", "complex128"])
@pytest.mark.parametrize("expression", some([e for e in SOLVED if "cholesky" not in e and "x.T" not in e]))
def test_equations_of_other_types(expression, dtype):
    x, y, n = squares(4, dtype)
    if dtype == "complex128":
        x, y = x + 1j * y, y - 2j * x
    rolled(looped(expression, "x[i % n, i % n] += 1"), (x, y, n))
    rolled(looped(expression, "x[i % n, i % n] += 1"), (x[:1, :1], y[:1, :1] + 1, 1))


def test_equations_in_single_precision():
    r = np.random.default_rng(1)
    x = (r.random((4, 4)) + 3 * np.eye(4)).astype(np.float32)
    for expression in (
        "np.linalg.solve(x, x[0])",
        "np.linalg.inv(x)",
        "np.linalg.det(x)",
        "np.linalg.cholesky(x @ x.T)",
    ):
        program = looped(expression, "x[i % n, i % n] += 1")
        fast = compiled(program, "inductor")
        found, expected = fast(x.copy(), x, 4), program(x.copy(), x, 4)
        assert found.dtype == expected.dtype == np.float32 and loops_of(fast) == 1
        np.testing.assert_allclose(found, expected, 1e-4)


@pytest.mark.parametrize(
    "expression", ["np.linalg.solve(x, y[0])", "np.linalg.inv(x)", "np.linalg.det(x)", "np.linalg.cholesky(x)"]
)
@pytest.mark.parametrize("kind", some(["zero", "equal rows", "small", "nan", "inf", "negative", "empty"], 2))
def test_matrices_without_an_answer(expression, kind):
    x = {
        "zero": np.zeros((3, 3)), "equal rows": np.ones((3, 3)), "small": np.diag([1.0, 1e-200, 1e200]),
        "nan": np.diag([1.0, np.nan, 1.0]), "inf": np.diag([1.0, np.inf, 1.0]), "negative": -np.eye(3), "empty": np.zeros((0, 0)),
    }[kind]  # fmt: skip
    y = np.ones((max(len(x), 1), len(x)))
    program = looped(expression, "y[0, :1] += 1")
    fast = compiled(program, "inductor", fullgraph=False)
    for _ in range(2):
        both(program, fast, (x, y, len(x)))


def test_a_matrix_that_becomes_singular_raises_in_its_round():
    program = looped("np.linalg.solve(x, y[0])", "x[i % n] -= y[i % n] * (i == 9)")
    x, y, n = squares(3)
    y[:] = x
    fast = compiled(program, "inductor")
    for _ in range(2):
        both(program, fast, (x, y, n))
    assert loops_of(fast) == 1


@pytest.mark.parametrize(
    "expression", ["np.cross(x[0], y[1])", "np.cross(x, y)", "np.cross(x, y[0])", "np.cross(x[i % n], [0.0, 1.0, i])"]
)
def test_cross_products(expression):
    def given(n):
        r = np.random.default_rng(n)
        return r.random((n, 3)), r.random((n, 3)), n

    rolled(looped(expression), given(5), given(8), given(12))
    x = np.arange(15, dtype=np.int8).reshape(5, 3)
    program = looped(expression)
    both(program, compiled(program, "inductor", fullgraph=False), (x * 20, x * 11, 5))
    both(program, compiled(program, "inductor", fullgraph=False), (x[:, :2] * 1.0, x[:, :2] * 2.0, 5))
