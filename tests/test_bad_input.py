"""What a user sees when something is wrong: each message says what happened, where, and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import traceback
import warnings

import numpy as np
import pytest

import quern
from quern.errors import (
    BackendFailed,
    CompilerNotFound,
    InvalidBackend,
    InvalidOption,
    LoweringError,
    UnsupportedPython,
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(quern.config, "cache_dir", None)
    quern.reset()
    yield
    quern.reset()


def scaled(x):
    return np.exp(x) * 2.0 + 1.0


X = np.linspace(0.0, 1.0, 12).reshape(3, 4)


def run_script(body: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(body)], capture_output=True, text=True, env={**os.environ, **env}
    )


SCRIPT = """
    import sys, types, warnings
    import numpy as np, quern
    source = "def f(x):\\n    return np.exp(x) * 2.0 + 1.0\\n"
    with open("{path}", "w") as file:
        file.write("import numpy as np\\n" + source)
    sys.path.insert(0, "{folder}")
    from user_code import f
    {setup}
    x = np.linspace(0, 1, 12)
    result = quern.compile(f)(x)
    assert np.allclose(result, f(x))
    from quern.inductor.compile import COUNTERS
    print("lowerings", COUNTERS["lowerings"], "loaded", COUNTERS["plans_loaded"])
"""


def script(tmp_path, setup: str = "pass") -> str:
    return SCRIPT.format(path=tmp_path / "user_code.py", folder=tmp_path, setup=setup)


# --------------------------------------------------------------------------- no C++ compiler


@pytest.mark.gives_up
def test_no_compiler_warns_once_and_runs_eager(monkeypatch):
    monkeypatch.setattr(quern.config, "cxx", "/nowhere/g++")
    f = quern.compile(scaled)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            np.testing.assert_array_equal(f(X), scaled(X))
    (message,) = [str(w.message) for w in caught]
    assert "CompilerNotFound" in message and "plain Python" in message
    assert "apt install g++" in message or "g++" in message


def test_no_compiler_is_an_error_when_asked(monkeypatch):
    monkeypatch.setattr(quern.config, "cxx", "/nowhere/g++")
    with pytest.raises(CompilerNotFound) as caught:
        quern.compile(scaled)(X)
    assert "/nowhere/g++" in str(caught.value) and "install" in str(caught.value)


def test_a_warm_cache_needs_no_compiler(tmp_path):
    first = run_script(script(tmp_path))
    assert first.returncode == 0 and "lowerings 1" in first.stdout, first.stderr
    again = run_script(script(tmp_path, "quern.config.cxx = '/nowhere/g++'; quern.config.on_error = 'raise'"))
    assert again.returncode == 0 and "lowerings 0 loaded 1" in again.stdout, again.stderr


# --------------------------------------------------------------------------- Python, cache, options


def test_unsupported_python_is_said(monkeypatch):
    import quern.api

    def refuse():
        raise UnsupportedPython("quern does not know the bytecode of Python 3.99")

    monkeypatch.setattr(quern.api, "check_python", refuse)
    with pytest.raises(UnsupportedPython, match="3.99"):
        quern.compile(scaled)
    monkeypatch.setattr(quern.config, "unsupported_python", "eager")
    assert quern.compile(scaled) is scaled


def test_the_message_names_the_versions():
    from quern.capture.bytecode.raw import check_python

    with pytest.raises(UnsupportedPython) as caught:
        check_python((3, 9))
    text = str(caught.value)
    assert "3.9" in text and "3.11" in text and "3.13" in text


@pytest.mark.gives_up
def test_unusable_cache_folder_warns_once_and_works(tmp_path, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    monkeypatch.setenv("QUERN_CACHE_DIR", str(blocked / "cache"))
    f = quern.compile(scaled)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            np.testing.assert_allclose(f(X), scaled(X))
        quern.reset()
        np.testing.assert_allclose(f(X), scaled(X))
    (message,) = [str(w.message) for w in caught]
    assert str(blocked) in message and "QUERN_CACHE_DIR" in message


def test_unknown_names_show_the_nearest():
    with pytest.raises(InvalidBackend, match="Did you mean 'inductor'"):
        quern.compile(scaled, backend="indctor")
    with pytest.raises(InvalidOption, match="Did you mean 'max-autotune'"):
        quern.compile(scaled, mode="max-autotunes")
    with pytest.raises(InvalidOption, match="Did you mean 'threads'"):
        quern.compile(scaled, options={"thread": 2})
    with pytest.raises(InvalidOption, match="'cpp' or 'triton'"):
        quern.compile(scaled, options={"cpu_codegen": "fortran"})


def test_only_callables_compile():
    with pytest.raises(TypeError, match="takes a function"):
        quern.compile(3)
    with pytest.raises(TypeError, match="cannot compile the class dict"):
        quern.compile(dict)


def test_unknown_setting_lists_the_known():
    with pytest.raises(AttributeError, match="no setting 'on_eror'.*on_error"):
        quern.config.on_eror = "raise"


# --------------------------------------------------------------------------- backends and ops that fail


def failing_backend(graph, example_inputs):
    raise ValueError("out of kernels")


@pytest.mark.gives_up
def test_a_failing_backend_runs_eager_where_that_is_asked_for():
    f = quern.compile(scaled, backend=failing_backend)
    with quern.config.patch(on_backend_error="warn"):
        with pytest.warns(UserWarning, match=r"(?s)scaled.*failing_backend.*out of kernels.*plain Python") as said:
            np.testing.assert_array_equal(f(X), scaled(X))
        assert "defect of quern" not in str(said[0].message)
        np.testing.assert_array_equal(f(X), scaled(X))


@pytest.mark.gives_up
def test_a_failing_backend_raises():
    f = quern.compile(scaled, backend=failing_backend)
    for _ in range(2):
        with pytest.raises(BackendFailed) as caught:
            f(X)
        assert str(caught.value) == (
            "backend='failing_backend' raised:\nValueError: out of kernels\n  while it compiled a graph of scaled"
        )
        assert isinstance(caught.value.__cause__, ValueError)
        assert caught.value.inner_exception is caught.value.__cause__
        assert caught.value.backend_name == "failing_backend"


@pytest.fixture
def op_without_lowering(monkeypatch):
    """`exp` as somebody forgot to finish it, met where borders are not checked, as users meet it."""
    import dataclasses

    from quern.inductor.ops import OPS

    broken = dataclasses.replace(OPS["exp"], decompose=None, lower=None)
    monkeypatch.setitem(OPS._rows, "exp", broken)
    with quern.config.patch(verify=False):
        yield


def test_an_op_without_lowering_is_named(op_without_lowering, monkeypatch):
    with pytest.raises(LoweringError) as caught:
        quern.compile(scaled)(X)
    text = str(caught.value)
    assert "op 'exp' has no lowering" in text
    assert "test_bad_input.py" in text and "return np.exp(x) * 2.0 + 1.0" in text
    assert "CONTRIBUTING.md" in text and "backend='eager'" in text


@pytest.mark.gives_up
def test_an_op_without_lowering_runs_eager(op_without_lowering):
    with pytest.warns(UserWarning, match="no lowering"):
        np.testing.assert_array_equal(quern.compile(scaled)(X), scaled(X))


# --------------------------------------------------------------------------- the user's own exceptions


class TooLarge(Exception):
    pass


def check(x, limit):
    if x.shape[0] > limit:
        raise TooLarge(f"{x.shape[0]} rows")
    return x


def guarded(x, limit):
    y = np.exp(x)
    return check(y, limit) * 2.0


def wrong_shapes(x):
    y = x + 1.0
    return y + np.ones(7)


def after_a_break(x):
    y = np.exp(x)
    quern.graph_break()
    return {"a": y}["b"]


def last_line(error: BaseException) -> tuple[str, str]:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return os.path.basename(frame.filename), frame.line or ""


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    "f, args, kind, text, line",
    [
        (guarded, (X, 2), TooLarge, "3 rows", 'raise TooLarge(f"{x.shape[0]} rows")'),
        (wrong_shapes, (X,), ValueError, "operands could not be broadcast", "return y + np.ones(7)"),
        (after_a_break, (X,), KeyError, "'b'", 'return {"a": y}["b"]'),
    ],
    ids=["raised in a callee", "shape error", "after a break"],
)
def test_user_exceptions_arrive_as_in_plain_python(f, args, kind, text, line, backend):
    compiled = quern.compile(f, backend=backend)
    for _ in range(2):
        with pytest.raises(kind, match=text) as caught:
            compiled(*args)
        assert last_line(caught.value) == ("test_bad_input.py", line)
        with pytest.raises(kind) as plain:
            f(*args)
        assert str(caught.value) == str(plain.value)


def test_fullgraph_shows_the_line_and_the_rewrite():
    def f(x):
        y = np.exp(x)
        print(y.sum())
        return y

    with pytest.raises(quern.errors.Unsupported) as caught:
        quern.compile(f, fullgraph=True)(X)
    text = str(caught.value)
    assert "test_bad_input.py" in text and "print(y.sum())" in text and "try:" in text
    assert len(text.splitlines()) <= 12
    names = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert len(names) <= 2, names


@pytest.mark.gives_up
def test_warnings_name_the_users_line(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import numpy as np, quern\n"
        "f = quern.compile(lambda x: np.sin(x) * 2 + x.mean())\n"
        "print(f(np.arange(3.0)).shape)\n"
    )  # fmt: skip
    taken = tmp_path / "taken"
    taken.write_text("")
    env = {**os.environ, "QUERN_CACHE_DIR": str(taken), "CXX": "/no/such/compiler"}
    done = subprocess.run([sys.executable, str(program)], env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "(3,)\n"
    lines = [line for line in done.stderr.splitlines() if "Warning: quern" in line]
    assert len(lines) == 2
    assert all(line.startswith(f"{program}:3: ") for line in lines)
