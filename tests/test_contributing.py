"""The examples of CONTRIBUTING.md, each made in a scratch copy of the sources and run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("capture", "inductor", "kernels", "cache")


@dataclass(frozen=True)
class Edit:
    """Lines put behind others: `context` stands in `path` once; a line that ends in "..." is the beginning of one."""

    path: str
    context: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    title: str
    places: int
    edits: tuple[Edit, ...]
    program: str


def _edits(diff: str) -> tuple[Edit, ...]:
    found, path = [], ""
    for part in re.split(r"^(?=[a-z])", diff, flags=re.M):
        path, *lines = part.splitlines() or [""]
        if path:
            context = tuple(line[1:] for line in lines if line.startswith(" "))
            found.append(Edit(path, context, tuple(line[1:] for line in lines if line.startswith("+"))))
    return tuple(found)


def examples() -> list[Example]:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    found = re.findall(
        r"^### ([^\n]*): (\d) places?\n(.*?)^```diff\n(.*?)^```\n\n```python\n(.*?)^```", text, re.M | re.S
    )
    return [Example(title, int(places), _edits(diff), program) for title, places, _, diff, program in found]


def _matches(line: str, wanted: str) -> bool:
    return line.startswith(wanted[:-3]) if wanted.endswith("...") else line == wanted


def apply(edit: Edit, root: Path) -> None:
    path = root / edit.path
    lines = path.read_text().splitlines()
    size = len(edit.context)
    places = [k for k in range(len(lines) - size + 1) if all(map(_matches, lines[k : k + size], edit.context))]
    assert len(places) == 1, f"CONTRIBUTING.md: {edit.context} stands {len(places)} times in {edit.path}, not once"
    behind = places[0] + size
    path.write_text("\n".join([*lines[:behind], *edit.added, *lines[behind:]]) + "\n")


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """The package as it is installed, its rooms inside it, and the tests beside it."""
    shutil.copytree(ROOT / "quern", tmp_path / "quern")
    for room in ROOMS:
        shutil.copytree(ROOT / room, tmp_path / "quern" / room)
        (tmp_path / room).symlink_to(tmp_path / "quern" / room)
    shutil.copytree(ROOT / "tests" / "ops", tmp_path / "tests" / "ops")
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path / "tests")
    return tmp_path


def test_every_kind_has_an_example() -> None:
    assert [e.title for e in examples()] == ["A scalar function", "A reduction", "A composite", "A NumPy function"]


@pytest.mark.parametrize("example", examples(), ids=lambda e: e.title)
def test_the_example_is_all_there_is_to_do(example: Example, scratch: Path) -> None:
    if "torch" in example.program:
        pytest.importorskip("torch")
    assert len(example.edits) == example.places, f"{example.title}: {example.places} places are promised"
    for edit in example.edits:
        apply(edit, scratch)
    (scratch / "program.py").write_text(example.program)
    run = [["program.py"]]
    if "torch.special" in example.program:
        (op,) = re.findall(r"torch\.special\.(\w+)\(x\) \+ 1", example.program)
        run.append(
            ["-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "tests/ops/test_op_table.py", "-k", f"[{op}]"]
        )
    environment = {**os.environ, "PYTHONPATH": str(scratch), "QUERN_CACHE_DIR": str(scratch / "cached")}
    for arguments in run:
        done = subprocess.run(
            [sys.executable, *arguments], cwd=scratch, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
