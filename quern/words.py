"""Pieces that messages are made of."""

from __future__ import annotations

import difflib
from collections.abc import Collection


def nearest(word: str, known: Collection[str]) -> str:
    """A hint at what a misspelt word was meant to be, with a space before it; "" where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f" Did you mean {near[0]!r}?" if near else ""


def unknown(kind: str, name: str, known: Collection[str]) -> str:
    """Says that nothing of the kind ("mode") has the name, and what there is."""
    return f"no {kind} is called {name!r}.{nearest(name, known)} Known {kind}s: {', '.join(known)}"


def count(number: int, one: str, many: str = "") -> str:
    """ "1 graph", "2 graphs": `many` where it is not `one` with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
