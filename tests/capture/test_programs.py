"""The corpus: every program gives, compiled in one graph, exactly what it gives as plain Python."""

from __future__ import annotations

import pytest
from compare import agree, captured_whole
from corpus import Program
from programs_language import program as language
from programs_library import program as library
from programs_objects import program as objects

ALL = [*language, *objects, *library]


@pytest.mark.parametrize("program", ALL, ids=lambda p: p.name)
def test_program(program: Program) -> None:
    compiled = agree(program.fn, program.make, fullgraph=True)
    if not program.raises:
        captured_whole(compiled)


def test_names_are_unique() -> None:
    names = [p.name for p in ALL]
    assert len(set(names)) == len(names)
