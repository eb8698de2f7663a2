"""The `quern` command: run a program with quern in torch.compile's place (`run.py`); look into the cache, keep it tidy, move it; and
say what quern found on this machine.

Exit codes: 0 all well; 1 the answer is no (no such entry, damage found, an unsafe folder); 2 wrong usage.
With `--json`, stdout holds one JSON document and nothing else. Messages go to stderr.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence

from . import cache_commands, run
from .cache_commands import location_and_problem
from .config import config
from .errors import QuernError
from .terminal import UsageError, add_json, complain, print_json

SUPPORTED_PYTHONS = ("3.11", "3.12", "3.13")
_PACKAGES = ("numpy", "sympy", "torch", "triton", "bytecode", "filelock", "rich")

_DESCRIPTION = """\
quern compiles Python functions over arrays (PyTorch modules, NumPy functions) into a few fused kernels:

    import quern
    fast = quern.compile(model_or_function)
    fast(*args)              # the first call compiles, later calls and later processes do not

This command runs programs written for torch.compile with quern in its place, looks after the kernels kept on disk, and reports
what quern found on this machine."""

_EXAMPLES = """\
examples:
  quern run train.py --epochs 3       as `python train.py --epochs 3`, with quern in torch.compile's place
  quern info                          what this machine offers: compiler, versions, cache folder
  quern cache ls                      what is cached, most recently used first
  quern cache show 3fa9               one entry: what it is, where it came from, what its key is made of
  quern cache show 3fa9 --cat kernel.cpp    read a generated kernel
  quern cache prune --older-than 30d  drop what was not used for a month

exit codes: 0 all well, 1 the answer is no (nothing found, damage found), 2 wrong usage"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code. Prints to stdout and stderr, raises SystemExit for argparse's own exits."""
    words = list(sys.argv[1:] if argv is None else argv)
    parser, program = _parser()
    try:
        if words[:1] == ["run"]:
            run.run(program, words[1:])
        args = parser.parse_args(words)
        if args.run is None:
            parser.print_help()
            return 0
        code = args.run(args)
        sys.stdout.flush()
        return code
    except UsageError as error:
        return complain(error, 2)
    except QuernError as error:
        return complain(error, 1)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return complain(f"{error.strerror or error}{where}; check the disk and the permissions of that path", 1)
    except KeyboardInterrupt:
        return complain("interrupted", 130)


def run_info(args: argparse.Namespace) -> int:
    location, cache_problem = location_and_problem()
    compiler = _find_compiler()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    packages = {name: _package_version(name) for name in _PACKAGES}
    problems = []
    if version not in SUPPORTED_PYTHONS:
        problems.append(f"Python {version} is not supported; use one of {', '.join(SUPPORTED_PYTHONS)}")
    if compiler is None:
        problems.append(
            "no C++ compiler was found: install g++ or clang++ (on Debian: `apt install g++`), or name one in CXX; "
            "kernels that are in the cache already run without"
        )
    if cache_problem:
        problems.append(cache_problem)
    facts = {
        "quern": _package_version("quern"),
        "python": {"version": platform.python_version(), "executable": sys.executable, "supported": SUPPORTED_PYTHONS},
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        "packages": packages,
        "compiler": compiler,
        "cache": {"path": None if location.root is None else str(location.root), "from": location.source},
        "problems": problems,
    }
    if args.json:
        return print_json(facts)
    rows = [
        ("quern", facts["quern"] or "not installed as a package"),
        ("python", f"{platform.python_version()} (supported: {', '.join(SUPPORTED_PYTHONS)})"),
        ("platform", f"{facts['platform']}, {facts['cpus']} CPUs"),
        ("C++", f"{compiler['version']} ({compiler['path']})" if compiler else "none found"),
        ("cache", f"{location.root or 'none'} (from {location.source})"),
        *((name, found or "not installed") for name, found in packages.items()),
    ]
    for name, text in rows:
        print(f"{name:<10}{text}")
    for problem in problems:
        print(f"problem: {problem}", file=sys.stderr)
    return 0


def _package_version(name: str) -> str | None:
    """The installed version of a package, without importing it."""
    from importlib import metadata  # 20 ms, and only asked for by `info` and `--version`

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _find_compiler() -> dict[str, str] | None:
    for command in (config.cxx, os.environ.get("CXX"), "g++", "clang++"):
        words = shlex.split(command or "")
        path = shutil.which(words[0]) if words else None
        if path is None:
            continue
        try:
            said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.TimeoutExpired):
            continue
        if said.returncode == 0:
            return {"command": str(command), "path": path, "version": said.stdout.partition("\n")[0]}
    return None


class _Version(argparse.Action):
    """`--version`, looked up only when asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        print(f"quern {_package_version('quern') or '(not installed as a package)'}")
        parser.exit()


def _parser() -> tuple[argparse.ArgumentParser, argparse.ArgumentParser]:
    """The command's options, and those of `quern run`, whose program has words of its own."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("quern", description=_DESCRIPTION, epilog=_EXAMPLES, formatter_class=raw)
    parser.add_argument("--version", action=_Version, nargs=0, help="print quern's version")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")

    program = run.add_parser(commands)
    info = commands.add_parser("info", help="versions, compiler and cache folder on this machine")
    info.set_defaults(run=run_info)
    add_json(info)
    cache_commands.add_parser(commands)
    return parser, program
