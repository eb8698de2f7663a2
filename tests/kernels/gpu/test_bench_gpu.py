"""bench/gpu.py runs from a bare checkout: its dry mode, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton")

SCRIPT = Path(__file__).parents[3] / "bench" / "gpu.py"


def run(folder: Path, *arguments: str, **environment: str) -> tuple[dict[str, Any], str]:
    """The report and what was printed."""
    command = [sys.executable, str(SCRIPT), "--dry", "--out", str(folder), *arguments]
    env = {**os.environ, "QUERN_CACHE_DIR": str(folder / "cache"), **environment}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "gpu.json").read_text()), done.stdout


@pytest.mark.slow
def test_dry_run(tmp_path) -> None:
    only = ("pointwise fp32", "layer norm 16384", "column", "Adam", "cache write", "cross entropy")
    report, printed = run(tmp_path, "--only", *only)
    assert set(report["ended"].values()) == {""}, report["ended"]
    phases = report["phases"]
    checked = [r for name in ("answers", "programs", "refusals") for r in phases[name]]
    assert len(checked) > 10 and not [r for r in checked if r["wrong"]]
    systems: dict[str, set[str]] = {}
    for row in phases["bandwidth"]:
        assert row["wrong"] == "" and row["ms"] > 0, row
        systems.setdefault(row["workload"], set()).add(row["system"])
    assert len(systems) == len(only) and all(found >= {"eager", "quern"} for found in systems.values())
    assert sum("kernel" in found for found in systems.values()) == 3
    assert {r["launch"] for r in phases["launches"]} == {"kernel", "eager", "quern"}
    assert [r["start"] for r in phases["start"]] == ["cold", "warm"]
    assert "GB/s (share of the device copy)" in printed and "Adam step" in printed


def test_a_phase_that_is_cut_loses_only_what_it_had_not_begun(tmp_path) -> None:
    report, _ = run(tmp_path, "--phases", "environment", "answers", "launches", "--seconds", "11")
    assert report["environment"]["torch"] and report["copy_gb_per_s"] > 0
    assert report["ended"]["environment"] == ""
    assert "left out" in report["ended"]["launches"]
    rows = (tmp_path / "gpu.jsonl").read_text().splitlines()
    assert len(rows) == 2 and all(json.loads(row)["phase"] for row in rows)


def test_missing_packages_are_named_first(tmp_path) -> None:
    code = (
        "import importlib.util, runpy, sys\n"
        "real = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'bytecode' else real(name, *a)\n"
        f"sys.argv = ['gpu.py', '--dry', '--out', {str(tmp_path)!r}]\n"
        f"runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2
    assert (
        "missing here: bytecode. Where there is a network: pip install --target .bench-packages bytecode" in done.stdout
    )
