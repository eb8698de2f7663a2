"""Hands out device functions as text: what a generated kernel uses, and what that uses in turn."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_DEVICE_FILE = Path(__file__).with_name("device.py")


#: NVIDIA's math library, which some device functions use
LIBDEVICE = "libdevice"


@dataclass(frozen=True)
class _Function:
    """A device function: its text, decorator included, and the names that it mentions."""

    text: str
    names: frozenset[str]


@functools.cache
def _functions() -> dict[str, _Function]:
    """The device functions by name, in the file's order."""
    text = _DEVICE_FILE.read_text()
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            first = min(d.lineno for d in node.decorator_list)
            body = "\n".join(lines[first - 1 : node.end_lineno])
            names = frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))
            found[node.name] = _Function(re.sub(r"\s*# noqa.*", "", body), names)
    return found


def helper_names() -> frozenset[str]:
    """Every device function there is."""
    return frozenset(_functions())


def helpers(needs: Iterable[str]) -> tuple[list[str], bool]:
    """The texts of the named device functions and of those they call, in definition order; and whether `LIBDEVICE` is needed.

    Raises KeyError for a name that is neither.
    """
    functions = _functions()
    needed: set[str] = set()
    pending = list(needs)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            if name != LIBDEVICE:
                pending += functions[name].names & {*functions, LIBDEVICE}
    return [f.text for name, f in functions.items() if name in needed], LIBDEVICE in needed
