"""The corpus over toy arrays: every program gives, compiled in one graph, exactly what it gives as plain Python."""

from __future__ import annotations

import pytest
from registry import Expect, Program, programs
from toy import agree, captured_whole

ALL = programs("toy")


@pytest.mark.parametrize("program", ALL, ids=lambda p: p.name)
def test_program(program: Program) -> None:
    compiled = agree(program, fullgraph=True)
    if program.expect is Expect.WHOLE:
        captured_whole(compiled)


def test_names_are_unique() -> None:
    names = [p.name for p in ALL]
    assert len(set(names)) == len(names)
