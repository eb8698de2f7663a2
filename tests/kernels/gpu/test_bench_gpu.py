"""bench/gpu.py runs from a bare checkout: its dry mode, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("triton")

SCRIPT = Path(__file__).parents[3] / "bench" / "gpu.py"


def test_dry_run(tmp_path) -> None:
    out = tmp_path / "gpu.json"
    command = [
        sys.executable,
        str(SCRIPT),
        "--dry",
        "--json",
        str(out),
        "--only",
        "pointwise fp32",
        "layer norm",
        "column",
    ]
    environment = {**os.environ, "QUERN_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(out.read_text())
    assert report["skipped"] == []
    assert report["correctness"]["zoo"]["wrong"] == {} and report["correctness"]["zoo"]["cases"] > 3
    for row in report["workloads"]:
        assert row["wrong"] == {}, row
        assert set(row["ms"]) == {"eager", "quern", "kernel"}
    assert [r["name"] for r in report["workloads"]] == [
        "pointwise fp32",
        "layer norm 16384x4096",
        "column sums 65536x2048",
    ]
    assert set(report["launch_us"]) == {"kernel", "eager", "quern"}
    assert set(report["start"]) == {"cold", "warm"}
    tables = done.stdout.split("== environment")[1]
    assert "GB/s (share of the device copy)" in tables and "layer norm 16384x4096" in tables
