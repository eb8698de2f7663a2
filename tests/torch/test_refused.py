"""How capture says no: where, what, why, and what to write instead, in a few lines without quern's own frames."""

# mypy: ignore-errors

from __future__ import annotations

import inspect
import linecache
import os
import re
import warnings

import pytest
import torch
from registry import Expect, programs

import quern
from quern.errors import Unsupported

PROGRAMS = programs("refused")


def here(fn):
    """The line that is at fault."""
    lines, first = inspect.getsourcelines(fn)
    return first + next(i for i, line in enumerate(lines) if "# here" in line)


def check(text, program):
    file = program.scope["__file__"]
    lines = text.splitlines()
    assert len(lines) <= 12, text
    found = re.search(r'File "([^"]+)", line (\d+), in \w+', text)
    assert found and found[1] == file, text
    assert int(found[2]) == here(program.make()), text
    assert linecache.getline(file, int(found[2])).strip() in text
    for word in ("why: ", "try: "):
        (line,) = [line for line in lines if line.strip().startswith(word)]
        assert len(line.strip()) > len(word) + 8, text
    assert re.search(r"\[[a-z0-9-]+\]$", lines[0]), text
    for part in ("capture", "inductor", "quern"):
        assert f"{os.sep}{part}{os.sep}" not in text.replace(file, ""), text
    assert not re.search(r"\b(NoneType|Value|<\w+ object at)\b", lines[0]), text


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_an_error_of_fullgraph(program):
    assert program.expect is Expect.REFUSED
    with torch.no_grad(), warnings.catch_warnings(), pytest.raises(Unsupported) as caught:
        warnings.simplefilter("ignore")
        quern.compile(program.make(), fullgraph=True, backend="eager")(*program.args(0))
    check(str(caught.value), program)
    frame = caught.value.__traceback__
    files = []
    while frame is not None:
        files.append(frame.tb_frame.f_code.co_filename)
        frame = frame.tb_next
    assert len(files) <= 2, files  # the test's own, and the call


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.name)
def test_a_break_that_explain_shows(program):
    if "run" in program.known:
        pytest.skip("plain Python takes too long, or fails")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = quern.explain(program.make(), backend="eager")(*program.args(0))
    assert found.breaks, str(found)
    check(str(found.breaks[0]), program)
    assert str(found.breaks[0]).splitlines()[1].strip() in str(found)
