"""How capture says no: where, what, why, and what to write instead, in a few lines without quern's own frames."""

# mypy: ignore-errors

from __future__ import annotations

import inspect
import linecache
import os
import re
import warnings

import pytest
import refused
import torch
from refused import CAUSES

import quern
from quern.errors import Unsupported

X = torch.arange(6.0).reshape(2, 3)


#: programs that plain Python does not finish
NOT_RUN = (refused.long_loop, refused.deep, refused.hooked, refused.scripted)


def here(fn):
    """The line that is at fault."""
    lines, first = inspect.getsourcelines(fn)
    return first + next(i for i, line in enumerate(lines) if "# here" in line)


def check(text, fn):
    lines = text.splitlines()
    assert len(lines) <= 12, text
    found = re.search(r'File "([^"]+)", line (\d+), in \w+', text)
    assert found and found[1] == refused.__file__, text
    assert int(found[2]) == here(fn), text
    assert linecache.getline(refused.__file__, int(found[2])).strip() in text
    for word in ("why: ", "try: "):
        (line,) = [line for line in lines if line.strip().startswith(word)]
        assert len(line.strip()) > len(word) + 8, text
    assert re.search(r"\[[a-z0-9-]+\]$", lines[0]), text
    for part in ("capture", "inductor", "quern"):
        assert f"{os.sep}{part}{os.sep}" not in text.replace(refused.__file__, ""), text
    assert not re.search(r"\b(NoneType|Value|<\w+ object at)\b", lines[0]), text


@pytest.mark.parametrize("fn", CAUSES, ids=lambda fn: fn.__name__)
def test_an_error_of_fullgraph(fn):
    with torch.no_grad(), warnings.catch_warnings(), pytest.raises(Unsupported) as caught:
        warnings.simplefilter("ignore")
        quern.compile(fn, fullgraph=True, backend="eager")(X)
    check(str(caught.value), fn)
    frame = caught.value.__traceback__
    files = []
    while frame is not None:
        files.append(frame.tb_frame.f_code.co_filename)
        frame = frame.tb_next
    assert len(files) <= 2, files  # the test's own, and the call


@pytest.mark.parametrize("fn", CAUSES, ids=lambda fn: fn.__name__)
def test_a_break_that_explain_shows(fn):
    if fn in NOT_RUN:
        pytest.skip("plain Python takes too long, or fails")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = quern.explain(fn, backend="eager")(X)
    assert found.breaks, str(found)
    check(str(found.breaks[0]), fn)
    assert str(found.breaks[0]).splitlines()[1].strip() in str(found)
