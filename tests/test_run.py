"""`quern run`: a program runs as under `python`, with quern in the place of torch.compile, in it and in the Pythons it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from quern.run import interpreter_flags, split

QUERN = [sys.executable, "-m", "quern", "run"]

#: at the top of programs: whose compiler torch.compile is
WHOSE = """
import torch
def whose():
    return "quern" if type(torch.compile(lambda x: x)).__module__.startswith("quern") else "torch"
"""


def write(folder: Path, text: str, name: str = "program.py") -> Path:
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def run(*words: object, python: bool = False, **settings: object) -> subprocess.CompletedProcess[str]:
    before = [sys.executable] if python else QUERN
    return subprocess.run(
        [*before, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        **settings,  # type: ignore[call-overload]
    )


def same_as_python(*words: object, **settings: object) -> subprocess.CompletedProcess[str]:
    """What `quern run` gives, after seeing that `python` gives the same."""
    ours, theirs = run(*words, **settings), run(*words, python=True, **settings)
    assert (ours.returncode, ours.stdout, ours.stderr) == (theirs.returncode, theirs.stdout, theirs.stderr)
    return ours


# ------------------------------------------------------------ as Python runs a program


def test_a_script_sees_what_it_sees_under_python(tmp_path):
    (tmp_path / "beside.py").write_text("here = True\n")
    script = write(
        tmp_path,
        """
        import sys, beside
        main = sys.modules["__main__"]
        print(__name__, __file__, sys.argv, sys.path, main.__dict__ is globals(), __spec__, __package__, sorted(globals()))
        print(sys.flags, sys.warnoptions, sys.executable)
        """,
    )
    found = same_as_python(script, "--report", "-m", "x", "--", "-h")
    assert found.returncode == 0 and found.stderr == ""


def test_relative_scripts_folders_and_stdin(tmp_path):
    write(tmp_path, "import sys; print(sys.argv, sys.path[0], __file__)")
    same_as_python("program.py", "a", cwd=tmp_path)
    (tmp_path / "packed").mkdir()
    write(tmp_path / "packed", "import sys; print(sys.argv, sys.path[0], __file__)", "__main__.py")
    same_as_python("packed", "b", cwd=tmp_path)
    same_as_python("-", "c", input="import sys; print(sys.argv, sys.path[0])", cwd=tmp_path)


@pytest.mark.parametrize("path", ["", ":", ":/nowhere", "/nowhere::relative", "/nowhere:"])
def test_the_path_is_what_pythonpath_makes_it(tmp_path, path):
    script = write(tmp_path, "import sys; print(sys.path)")
    same_as_python(script, env={**os.environ, "PYTHONPATH": path}, cwd=tmp_path)


def test_a_module_runs_as_under_python(tmp_path):
    write(tmp_path, "import sys; print(__name__, sys.argv, sys.path[0], __spec__.name)", "tool.py")
    same_as_python("-m", "tool", "--report", "-x", cwd=tmp_path)
    gone = run("-m", "no_such_tool", cwd=tmp_path)
    assert gone.returncode == 1 and "No module named no_such_tool" in gone.stderr


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("import sys; sys.exit('why')", 1),
        ("import os; os._exit(9)", 9),
        ("def f():\n    raise ValueError('mine')\nf()", 1),
        ("this is no Python", 1),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("import os, signal; os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM),
    ],
)
def test_exit_codes_and_tracebacks_are_the_programs_own(tmp_path, text, code):
    found = same_as_python(write(tmp_path, text))
    assert found.returncode == code
    assert "quern" not in found.stderr


def test_signals_reach_the_program(tmp_path):
    script = write(
        tmp_path,
        """
        import signal, sys, time
        signal.signal(signal.SIGUSR1, lambda *_: sys.exit(5))
        print("ready", flush=True)
        time.sleep(60)
        """,
    )
    process = subprocess.Popen([*QUERN, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=30) == 5


def test_the_options_end_where_the_program_begins():
    assert split(["--all", "s.py", "--all"]) == (["--all"], ["s.py", "--all"])
    assert split(["--backend", "eager", "-m", "pkg.mod", "-m", "x"]) == (
        ["--backend", "eager", "-m", "pkg.mod"],
        ["-m", "x"],
    )
    assert split(["-mpkg", "--report"]) == (["-mpkg"], ["--report"])
    assert split(["--dynamic", "s.py"]) == (["--dynamic=true"], ["s.py"])
    assert split(["--dynamic", "false", "s.py"]) == (["--dynamic=false"], ["s.py"])
    assert split(["--report", "--", "-odd.py", "--"]) == (["--report"], ["-odd.py", "--"])
    assert split(["-", "x"]) == ([], ["-", "x"])


# ------------------------------------------------------------ what cannot be run


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name a script to run, or a module with -m"),
        (["--report"], "name a script to run"),
        (["nowhere.py"], "there is no script 'nowhere.py' in "),
        (["pip"], "to run the command of that name: quern run /"),
        (["-m"], "argument -m: expected one argument"),
        (["--fast", "x.py"], "unrecognized arguments: --fast"),
        (["--dynamic=maybe", "x.py"], "invalid choice: 'maybe'"),
        (["--mode", "max-autotun", __file__], "Did you mean 'max-autotune'? Known modes: default,"),
    ],
)  # fmt: skip
def test_wrong_use_is_told(words, told, tmp_path):
    if words == ["pip"]:
        (tmp_path / "pip").write_text("#!/bin/sh\n")
        (tmp_path / "pip").chmod(0o755)
    (tmp_path / "cwd").mkdir()
    env = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    found = run(*words, env=env, cwd=tmp_path / "cwd")
    assert found.returncode == 2
    assert told in found.stderr and "Traceback" not in found.stderr and found.stdout == ""


@pytest.mark.torch
def test_a_backend_nobody_has_is_told(tmp_path):
    pytest.importorskip("torch")
    found = run("--backend", "inductr", write(tmp_path, "print('ran')"))
    assert found.returncode == 2 and found.stdout == ""
    assert "no backend is called 'inductr'. Did you mean 'inductor'? Known backends: " in found.stderr


def test_a_python_that_looks_at_no_environment_is_refused(tmp_path):
    command = [sys.executable, "-E", "-m", "quern", "run", str(write(tmp_path, "print('ran')"))]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 2 and "does not look at with -E" in found.stderr


@pytest.mark.parametrize(
    ("original", "flags"),
    [
        (["python", "-m", "quern"], []),
        (["python", "-u", "-X", "dev", "-m", "quern"], ["-u", "-X", "dev"]),
        (["python", "-Bum", "quern"], ["-Bu"]),
        (["python", "-O", "-mquern"], ["-O"]),
        (["python", "/usr/bin/quern"], []),
        (["python", "-W", "error", "/usr/bin/quern"], ["-W", "error"]),
    ],
)
def test_options_of_the_interpreter_are_kept(original, flags):
    assert interpreter_flags([*original, "run", "-m", "x"], ["quern", "run", "-m", "x"]) == flags


def test_help():
    found = run("--help")
    assert found.returncode == 0
    for word in ("--all", "--report", "--backend", "--mode", "--dynamic", "--cache-dir", "-m MODULE", "QUERN_INSTALL"):
        assert word in found.stdout


# ------------------------------------------------------------ a sitecustomize that is there


def test_a_sitecustomize_of_the_user_runs_too(tmp_path):
    (tmp_path / "site").mkdir()
    write(tmp_path / "site", "import builtins; builtins.own = __file__, __name__", "sitecustomize.py")
    script = write(
        tmp_path,
        """
        import sys, sitecustomize, subprocess, os
        print(own, sitecustomize.__file__, sys.path, sys.flags.no_site)
        subprocess.run([sys.executable, "-c", "import sys; print(own, 'quern' in sys.modules)"], check=True)
        """,
    )
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    ours, theirs = run(script, env=env), run(script, python=True, env=env)
    assert ours.stdout.splitlines()[0] == theirs.stdout.splitlines()[0]
    assert ours.stdout.endswith("True\n") and theirs.stdout.endswith("False\n")


def test_no_quern_where_there_is_none(tmp_path):
    """Another Python, without quern, runs its program in peace."""
    startup = Path(__file__).parent.parent / "quern" / "startup"
    code = (
        "import os, sys; sys.path.append(sys.argv[1]); sys.modules['quern'] = None; "
        "os.environ['QUERN_PREFIX'] = sys.argv[2] or sys.prefix; import sitecustomize; print('ran')"
    )
    for prefix, told in (("/elsewhere", ""), ("", "cannot be imported by")):
        command = [sys.executable, "-S", "-c", code, str(startup), prefix]
        found = subprocess.run(command, capture_output=True, text=True)
        assert found.stdout == "ran\n" and told in found.stderr and bool(told) == bool(found.stderr)


# ------------------------------------------------------------ in torch.compile's place, here and in children


@pytest.mark.torch
def test_children_of_every_kind_are_reached(tmp_path):
    pytest.importorskip("torch")
    write(tmp_path, WHOSE, "helper.py")
    script = write(
        tmp_path,
        """
        import multiprocessing, os, subprocess, sys, torch
        from helper import whose

        def tell(queue):
            queue.put(whose())

        class Data(torch.utils.data.Dataset):
            def __len__(self):
                return 2

            def __getitem__(self, i):
                return whose()

        if __name__ == "__main__":
            print("here", whose())
            for way in ("fork", "spawn"):
                context = multiprocessing.get_context(way)
                queue = context.SimpleQueue()
                child = context.Process(target=tell, args=(queue,))
                child.start()
                print(way, queue.get())
                child.join()
            print("workers", *torch.utils.data.DataLoader(Data(), batch_size=None, num_workers=1))
            code = "from helper import whose; print('subprocess', whose())"
            subprocess.run([sys.executable, "-c", code], check=True)
        """,
    )
    found = run(script, env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert found.stdout.split("\n")[:5] == [
        "here quern", "fork quern", "spawn quern", "workers quern quern", "subprocess quern",
    ], found.stderr  # fmt: skip


@pytest.mark.torch
def test_torchrun_reaches_its_workers(tmp_path):
    pytest.importorskip("torch")
    script = write(tmp_path, WHOSE + "import os; print('rank', os.environ['RANK'], whose())")
    words = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", script)
    found = run(*words, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert sorted(line for line in found.stdout.splitlines() if line) == ["rank 0 quern", "rank 1 quern"], found.stderr


@pytest.mark.torch
def test_names_bound_while_torch_is_imported_are_querns(tmp_path):
    pytest.importorskip("torch")
    script = write(
        tmp_path,
        """
        from torch import compile, sin, ones
        import torch._dynamo
        f = compile(lambda x: sin(x) + 1)
        print(type(f).__module__, f(ones(1)).item(), "quern.api" in __import__("sys").modules)
        """,
    )
    assert run(script).stdout.startswith("quern.capture")


@pytest.mark.sampled(4)
@pytest.mark.torch
@pytest.mark.parametrize(
    "first", ["torch._inductor.config", "torch._functorch.aot_autograd", "torch.fx._graph_pickler"]
)
def test_any_module_of_torchs_compiler_may_be_imported_first(tmp_path, first):
    pytest.importorskip("torch")
    script = write(tmp_path, f"import torch\nimport {first}\n{WHOSE}\nprint(whose(), torch._dynamo.explain.__module__)")
    assert run(script).stdout == "quern torch._dynamo.eval_frame\n"


@pytest.mark.torch
def test_the_variable_alone_makes_import_quern_do_it(tmp_path):
    pytest.importorskip("torch")
    for order in ("import quern; import torch", "import torch; import quern"):
        code = f"{order}; print(type(torch.compile(lambda x: x)).__module__)"
        env = {**os.environ, "QUERN_INSTALL": "1"}
        found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
        assert found.stdout.startswith("quern."), found.stderr


def test_programs_without_torch_load_none_of_it(tmp_path):
    script = write(tmp_path, "import sys; print([m for m in ('torch', 'numpy', 'quern.api') if m in sys.modules])")
    began = time.perf_counter()
    assert run(script).stdout == "[]\n"
    assert time.perf_counter() - began < 10


# ------------------------------------------------------------ options and the report

COUNTED = """
import sys, torch

@torch.compile
def step(x):
    x = torch.sin(x) + 1
    if x.sum() > 0:
        x = x * 2
    return x + 3

step(torch.ones(3))
step(torch.ones(3, 2))
"""


@pytest.mark.torch
def test_the_report_says_what_was_done(tmp_path):
    pytest.importorskip("torch")
    script = write(tmp_path, COUNTED)
    found = run("--report", "--cache-dir", tmp_path / "cache", script, env={**os.environ, "QUERN_ON_ERROR": "raise"})
    text = found.stderr
    assert text.count("quern: report of process") == 1
    assert "compiled: 4 graphs" in text and f"step ({script}:4)" in text and "kernel" in text
    assert "graph breaks: 1" in text and f'File "{script}", line 7' in text
    assert "recompilations: 2" in text and "left to plain Python: none" in text
    assert (tmp_path / "cache").is_dir()
    again = run("--report", "--cache-dir", tmp_path / "cache", script)
    assert "4 found in the cache" in again.stderr


@pytest.mark.torch
def test_options_reach_compile_calls(tmp_path):
    pytest.importorskip("torch")
    script = write(tmp_path, "import quern; print(quern.config.backend, quern.config.mode, quern.config.dynamic)\n")
    assert (
        run("--backend", "eager", "--mode", "reduce-overhead", "--dynamic", script).stdout
        == "eager reduce-overhead True\n"
    )
    assert run("--dynamic=false", script).stdout == "inductor None False\n"
    sized = COUNTED.replace("x.sum() > 0", "x.shape[0] > 1")
    found = run("--report", "--backend=eager", "--dynamic", write(tmp_path, sized))
    assert "kernel" not in found.stderr and "graph breaks: none" in found.stderr


MODULES = """
import torch

class Inner(torch.nn.Module):
    def forward(self, x):
        return torch.sin(x) + 1

class Outer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Inner()

    def forward(self, x):
        x = self.inner(x)
        if x.sum() > 0:
            x = self.inner(x)
        return x * 2

model = Outer()
with torch.no_grad():
    for _ in range(3):
        print(model(torch.ones(3)))
"""


@pytest.mark.torch
def test_all_compiles_outermost_calls_of_modules(tmp_path):
    pytest.importorskip("torch")
    script = write(tmp_path, MODULES)
    plain, found = run("--report", script), run("--all", "--report", script)
    assert plain.stdout == found.stdout and "nothing was compiled" in plain.stderr
    compiled = [line.split(" (")[0].strip() for line in found.stderr.splitlines() if f" ({script}:" in line]
    assert compiled[:1] == ["Outer.forward"] and set(compiled) <= {"Outer.forward", "Inner.forward"}
    assert "compiled: 2 graphs" in found.stderr and "recompilations: none" in found.stderr


@pytest.mark.torch
def test_all_leaves_programs_alone_that_compile_themselves(tmp_path):
    pytest.importorskip("torch")
    script = write(
        tmp_path, MODULES.replace("model = Outer()", "torch.compile(lambda x: x + 1)(torch.ones(2)); model = Outer()")
    )
    found = run("--all", "--report", script)
    assert "compiled: 1 graph," in found.stderr


@pytest.mark.slow
@pytest.mark.torch
def test_all_with_hooks_training_and_copies(tmp_path):
    pytest.importorskip("torch")
    script = write(
        tmp_path,
        MODULES
        + """
import copy, io
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 1))
for p in model.parameters():
    torch.nn.init.constant_(p, 0.25)
model[1].register_forward_hook(lambda module, args, result: result * 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    loss = torch.nn.MSELoss()(model(torch.ones(2, 3)), torch.zeros(2, 1))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"{loss.item():.5f}")
other = copy.deepcopy(model)
print(other(torch.ones(1, 3)).detach(), list(model.state_dict()))
buffer = io.BytesIO()
torch.save(model.state_dict(), buffer)
print(torch.export.export(torch.nn.Linear(3, 2), (torch.ones(1, 3),)).module()(torch.ones(1, 3)).shape)
""",
    )
    plain, found = run(script), run("--all", script, env={**os.environ, "QUERN_ON_ERROR": "raise"})
    assert found.returncode == 0, found.stderr
    assert plain.stdout == found.stdout


def test_a_report_of_nothing(tmp_path):
    found = run("--report", write(tmp_path, "import subprocess, sys; subprocess.run([sys.executable, '-c', ''])"))
    assert found.stderr.count("quern: report of process") == 1 and "nothing was compiled" in found.stderr


# ------------------------------------------------------------ tests that were written for torch.compile


@pytest.mark.slow
@pytest.mark.torch
def test_tests_of_torch_compile_pass_unchanged(tmp_path):
    """Each of them by what quern compiled, none by running plain Python."""
    pytest.importorskip("torch")
    tests = Path(__file__).parent / "torch" / "unchanged_compile_tests.py"
    for words in ((tests,), ("-m", "unittest", "unchanged_compile_tests")):
        found = run("--report", *words, cwd=tests.parent)
        assert found.returncode == 0, found.stderr
        assert "\nOK\n" in found.stderr and "left to plain Python: none" in found.stderr
        assert "29 graphs" in found.stderr and "[disallowed]" not in found.stderr
        for name in ("Unsupported", "defect", "could not compile"):
            assert name not in found.stderr


@pytest.mark.torch
@pytest.mark.slow
def test_tests_of_torch_compile_are_torchs():
    """They pass with torch.compile itself."""
    pytest.importorskip("torch")
    found = run(Path(__file__).parent / "torch" / "unchanged_compile_tests.py", python=True)
    assert found.returncode == 0, found.stderr
