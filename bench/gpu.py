"""Measures quern on a machine with an NVIDIA GPU, in one run of under nine minutes that loses nothing when it is cut.

    python bench/gpu.py [--out FOLDER] [--seconds 520] [--phases NAME ...] [--only NAME ...] [--dry]

Needs nothing but this checkout and an environment with PyTorch, Triton, NumPy, sympy, filelock, bytecode and rich; quern
need not be installed. What is missing is named first, and found in `.bench-packages` if it was put there beforehand
(`pip install --target .bench-packages bytecode`). Every phase (`gpu_phases.py`) runs in a process of its own with its own
time limit; each row is on the disk (`FOLDER/gpu.jsonl`) before the next is begun, and `FOLDER/gpu.json` and the
tables are made anew after every phase. FOLDER is $OUT, or the current one.

`--dry` runs the same code on the CPU with tiny sizes, kernels under Triton's interpreter: for testing the script.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
CARRIED = REPOSITORY / ".bench-packages"
NEEDED = ("torch", "triton", "numpy", "sympy", "filelock", "bytecode", "rich")
#: seconds that each phase may take at most, in order: right answers first, then the most telling figures
LIMITS = {
    "environment": 40, "answers": 120, "programs": 60, "refusals": 40, "start": 60, "launches": 60, "bandwidth": 400,
}  # fmt: skip
Row = dict[str, Any]


def preflight() -> list[str]:
    """The packages that this interpreter cannot import, what is carried along included."""
    sys.path.append(str(CARRIED))
    return [name for name in NEEDED if importlib.util.find_spec(name) is None]


def import_from_checkout() -> None:
    """Make `import quern` find this checkout, installed or not: its folders linked together as one package."""
    tree = Path(tempfile.mkdtemp(prefix="quern-tree-"))
    package = tree / "quern"
    package.mkdir()
    for item in (REPOSITORY / "quern").iterdir():
        (package / item.name).symlink_to(item)
    for room in ("capture", "inductor", "kernels", "cache"):
        (package / room).symlink_to(REPOSITORY / room)
    sys.path[:0] = [str(tree), str(REPOSITORY / "tests" / "kernels" / "gpu")]


# ----------------------------------------------------------------------------- one phase, in its own process


def run_phase(name: str, seconds: float, dry: bool, only: tuple[str, ...], rows: Path | None) -> None:
    """Run a phase here, writing each row to `rows` as it comes."""
    import_from_checkout()
    import gpu_phases  # after the checkout was put on the path

    bench = gpu_phases.Bench(dry, time.monotonic() + seconds, only)
    if name == "first-result":
        print(gpu_phases.first_result(bench))
        return
    for row in gpu_phases.PHASES[name](bench):
        text = json.dumps({"phase": name, **row})
        print(text, flush=True)
        if rows is not None:
            with rows.open("a") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())


def start_phase(name: str, seconds: float, args: argparse.Namespace, rows: Path) -> str:
    """Run a phase in a child process; why it did not end well, or ""."""
    command = [
        sys.executable,
        str(Path(__file__).resolve()),
        "--phase",
        name,
        "--seconds",
        str(seconds),
        "--rows",
        str(rows),
    ]
    command += (["--dry"] if args.dry else []) + (["--only", *args.only] if args.only else [])
    print(f"-- {name}, at most {seconds:.0f} s", flush=True)
    # its own process group: what it started is ended with it
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        _, errors = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        return f"cut after {seconds:.0f} s"
    return "" if child.returncode == 0 else f"ended with {child.returncode}: {errors.strip()[-1500:]}"


# ----------------------------------------------------------------------------- the report


def read_rows(path: Path) -> list[Row]:
    """The rows so far; a last line that was cut in the middle does not count."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            rows.append(json.loads(line))
        except ValueError:
            continue
    return rows


def report_of(rows: list[Row], ended: dict[str, str], seconds: float) -> dict[str, Any]:
    """Everything that was found out, in one document."""
    by_phase: dict[str, list[Row]] = {}
    for row in rows:
        by_phase.setdefault(row["phase"], []).append({k: v for k, v in row.items() if k != "phase"})
    facts: Row = {}
    for row in by_phase.pop("environment", []):
        facts |= row
    return {**facts, "phases": by_phase, "ended": ended, "seconds": round(seconds, 1)}


def print_tables(report: dict[str, Any]) -> None:
    """The summary, last of all output."""
    phases, copy = report["phases"], report.get("copy_gb_per_s", 0.0)
    print("\n== environment: " + ", ".join(f"{k} {v}" for k, v in report.get("environment", {}).items()))
    print(f"   device copy: {copy:.0f} GB/s")
    checked = [r for name in ("answers", "programs", "refusals") for r in phases.get(name, [])]
    print(f"== right answers: {sum(not r['wrong'] for r in checked)} of {len(checked)}")
    for r in checked:
        if r["wrong"]:
            print(f"   WRONG {r.get('loops') or r.get('program')}: {r['wrong'].strip().splitlines()[-1]}")
    labels = ("eager", "torch.compile", "quern", "kernel")
    print("== GB/s (share of the device copy); quern: quern.compile, kernel: its generator on hand-made loops")
    print(f"   {'':36}" + "".join(f"{label:>22}" for label in labels))
    table: dict[str, dict[str, str]] = {}
    for r in phases.get("bandwidth", []):
        speed = r.get("gb_per_s")
        share = speed / copy if speed and copy else 0.0
        cell = "failed" if speed is None else f"{speed:9.0f} ({share:6.1%}){' WRONG' if r['wrong'] else ''}"
        table.setdefault(r["workload"], {})[r["system"]] = cell
    for name, cells in table.items():
        print(f"   {name:36}" + "".join(f"{cells.get(label, '-'):>22}" for label in labels))
    print("== host us per call: " + ", ".join(f"{r['launch']} {r['us']}" for r in phases.get("launches", [])))
    print("== first result, s: " + ", ".join(f"{r['start']} {r['s']}" for r in phases.get("start", [])))
    for name, why in report["ended"].items():
        print(f"== {name} {why.splitlines()[0] if why else 'ended well'}")
    print(f"== took {report['seconds']:.0f} s", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", ".")), help="folder for the results")
    parser.add_argument("--seconds", type=float, default=520.0, help="for everything")
    parser.add_argument("--phases", nargs="*", choices=list(LIMITS), help="some phases only")
    parser.add_argument("--only", nargs="*", default=[], help="workloads by (part of) name")
    parser.add_argument("--dry", action="store_true", help="on the CPU, tiny, interpreted")
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    parser.add_argument("--rows", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    missing = preflight()
    if missing:
        here = ", ".join(missing)
        print(
            f"missing here: {here}. Where there is a network: pip install --target .bench-packages {' '.join(missing)}"
        )
        return 2
    if args.phase:
        run_phase(args.phase, args.seconds, args.dry, tuple(args.only), args.rows)
        return 0
    begin = time.monotonic()
    args.out.mkdir(parents=True, exist_ok=True)
    rows = args.out / "gpu.jsonl"
    rows.unlink(missing_ok=True)
    ended: dict[str, str] = {}
    for name in args.phases or LIMITS:
        left = args.seconds - (time.monotonic() - begin)
        ended[name] = start_phase(name, min(left, LIMITS[name]), args, rows) if left > 10 else "left out: no time"
        report = report_of(read_rows(rows), ended, time.monotonic() - begin)
        (args.out / "gpu.json").write_text(json.dumps(report, indent=1))
    print_tables(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
