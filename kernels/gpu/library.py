"""Hands out device functions as text: what a generated kernel uses, and what that uses in turn."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable
from pathlib import Path

_DEVICE_FILE = Path(__file__).with_name("device.py")


@functools.cache
def _functions() -> dict[str, str]:
    """Device function name -> its text, decorator included, in the file's order."""
    text = _DEVICE_FILE.read_text()
    lines = text.splitlines()
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            first = min(d.lineno for d in node.decorator_list)
            body = "\n".join(lines[first - 1 : node.end_lineno])
            found[node.name] = re.sub(r"\s*# noqa.*", "", body)
    return found


def helper_names() -> frozenset[str]:
    """Every device function there is."""
    return frozenset(_functions())


def helper_source(names: Iterable[str]) -> str:
    """The text of the named device functions and of those they call, in definition order.

    Raises KeyError for a name that is not a device function.
    """
    functions = _functions()
    needed: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name not in needed:
            needed.add(name)
            words = set(re.findall(r"\w+", functions[name]))
            pending += [other for other in functions if other in words and other != name]
    return "\n\n\n".join(text for name, text in functions.items() if name in needed)
