"""`quern run`: a Python program as it is, with quern in the place of torch.compile.

The program is run by a Python that takes the place of this process: arguments, `__main__`, `sys.path`, exit code, tracebacks and
signals are Python's own. What puts quern in place is in the environment (`startup/sitecustomize.py` on `PYTHONPATH`), so that
the Pythons which the program starts find it too.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from .modes import MODES
from .terminal import UsageError
from .words import unknown

DESCRIPTION = """\
Run a Python program with quern in the place of torch.compile: torch.compile, module.compile(), torch.compiler and torch._dynamo
are quern's, in this process and in the Python processes it starts (multiprocessing, DataLoader workers, torchrun,
subprocesses). The program itself is not changed. Options of quern stand before the script; all that follows is the program's."""

EXAMPLES = """\
examples:
  quern run train.py --epochs 3              as `python train.py --epochs 3`
  quern run --report train.py                and say at the end what was compiled, what broke, what was compiled again
  quern run --all --report infer.py          a script that never calls torch.compile
  quern run -m torch.distributed.run --nproc-per-node 2 train.py
  quern run --backend eager -m unittest test_model

`QUERN_INSTALL=1` in the environment makes a program's own `import quern` do the same."""

_ON_OFF = {"true": "1", "false": "0", "auto": ""}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """The command's options, for `quern --help` and for what stands before the script."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "run",
        help="run a Python program with quern in the place of torch.compile",
        usage="quern run [options] (SCRIPT | -m MODULE) [arguments of the program ...]",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-m", metavar="MODULE", dest="module", help="run a module, as `python -m MODULE` does")
    parser.add_argument(
        "--all", action="store_true", help="compile outermost module calls too, in programs that compile nothing"
    )
    parser.add_argument(
        "--report", action="store_true", help="say at exit, on stderr, what was compiled, broken, compiled again"
    )
    parser.add_argument(
        "--backend", metavar="NAME", help="the backend of compile calls that name none (default: inductor)"
    )
    parser.add_argument("--mode", metavar="NAME", help="the mode of compile calls that give neither mode nor options")
    parser.add_argument(
        "--dynamic", metavar="WHEN", choices=tuple(_ON_OFF), nargs="?", const="true",
        help="sizes in compile calls that do not say: true (or no word): symbols from the first call on; false: a version for "
        "each; auto: symbols once they changed (default)",
    )  # fmt: skip
    parser.add_argument("--cache-dir", metavar="FOLDER", help="where compiled kernels are kept")
    return parser


#: options with a value of their own word
_WITH_VALUE = ("-m", "--backend", "--mode", "--cache-dir")


def split(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words of `quern run` up to the program, and the program's: its script with arguments, or its arguments after `-m`."""
    options: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        if word == "--dynamic":
            word = f"--dynamic={rest.pop(0) if rest and rest[0] in _ON_OFF else 'true'}"
        options.append(word)
        if word in _WITH_VALUE and rest:
            options.append(rest.pop(0))
        if word == "-m" or word.startswith("-m") and not word.startswith("--"):
            break
    return options, rest


def command_of(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """What Python is given to run the program, and what is added to its environment. Raises UsageError for what cannot be run,
    SystemExit for wrong options.
    """
    options, rest = split(words)
    args = parser.parse_args(options)
    if args.module is not None:
        program = ["-m", args.module, *rest]
    elif rest:
        _check_script(rest[0])
        program = rest
    else:
        parser.error("name a script to run, or a module with -m")
    deaf = {"-I": sys.flags.isolated, "-E": sys.flags.ignore_environment, "-S": sys.flags.no_site}
    for flag, is_set in deaf.items():
        if is_set:
            raise UsageError(
                f"`quern run` reaches the program by its environment, which Python does not look at with {flag}"
            )
    return [*interpreter_flags(sys.orig_argv, sys.argv), *program], _environment(args)


def interpreter_flags(original: Sequence[str], argv: Sequence[str]) -> list[str]:
    """The options of the interpreter itself, for the one that takes its place.

    original, argv: `sys.orig_argv` and `sys.argv` of `python [options] -m quern ...`, or of a script `quern`
    """
    *flags, last = original[1 : len(original) - len(argv) + 1]
    if last == "quern" and flags and flags[-1].startswith("-") and flags[-1].endswith("m"):
        last = flags.pop()[:-1]  # "-m", or at the end of several in one word
        return [*flags, last] if last != "-" else flags
    return flags


def _environment(args: argparse.Namespace) -> dict[str, str]:
    startup = os.path.join(os.path.dirname(os.path.abspath(__file__)), "startup")
    given = os.environ.get("PYTHONPATH")
    # (an empty entry is the current folder)
    path = [entry for entry in given.split(os.pathsep) if entry != startup] if given else []
    added = {"PYTHONPATH": os.pathsep.join([startup, *path]), "QUERN_INSTALL": "1", "QUERN_PREFIX": sys.prefix}
    if args.all:
        added["QUERN_COMPILE_ALL"] = "1"
    if args.report:
        added["QUERN_REPORT"] = str(os.getpid())
    if args.backend is not None:
        _check_backend(args.backend)
        added["QUERN_BACKEND"] = args.backend
    if args.mode is not None:
        if args.mode not in MODES:
            raise UsageError(unknown("mode", args.mode, MODES))
        added["QUERN_MODE"] = args.mode
    if args.dynamic is not None:
        added["QUERN_DYNAMIC"] = _ON_OFF[args.dynamic]
    if args.cache_dir is not None:
        added["QUERN_CACHE_DIR"] = os.path.abspath(os.path.expanduser(args.cache_dir))
    return added


def _check_script(script: str) -> None:
    if script == "-" or os.path.exists(script):
        return
    found = shutil.which(script)
    hint = f"; to run the command of that name: quern run {found}" if found else ""
    raise UsageError(f"there is no script {script!r} in {os.getcwd()}{hint}")


def _check_backend(name: str) -> None:
    front: Any = sys.modules[__package__]  # what knows the backends is loaded for this alone
    list_backends = front.backends.list_backends
    if name in list_backends(exclude_tags=()):
        return
    try:
        registry: Any = importlib.import_module("torch._dynamo.backends.registry")
    except ModuleNotFoundError:
        known = list_backends()
    else:
        if name in registry.list_backends(exclude_tags=()):
            return
        known = sorted({*list_backends(), *registry.list_backends()})
    raise UsageError(unknown("backend", name, known))


def run(parser: argparse.ArgumentParser, words: Sequence[str]) -> NoReturn:
    """Become the Python that runs the program. Raises as `command_of`."""
    command, added = command_of(parser, words)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *command], {**os.environ, **added})
