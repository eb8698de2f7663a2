"""What the commands print, and how they refuse."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence


class UsageError(Exception):
    """A command line that cannot be carried out as written: exit code 2."""


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")


def print_json(data: object, code: int = 0) -> int:
    print(json.dumps(data, indent=2))
    return code


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table as wide as the terminal; a column whose head begins with `>` is set to the right."""
    from rich.console import Console  # 60 ms, and --json does without
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in head:
        table.add_column(
            name.removeprefix(">"),
            justify="right" if name.startswith(">") else "left",
            no_wrap=True,
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    # A pipe or file has no width: cut nothing that `grep` might look for.
    console = Console(width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as text:  # printed below, for rich would exit by itself where a pipe is closed
        console.print(table)
    print(text.get(), end="")


def complain(what: object, code: int) -> int:
    sys.stdout.flush()
    print(f"quern: {what}", file=sys.stderr)
    return code


def shorten(value: object, limit: int = 100) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    text = text.replace("\n", "\\n")
    return text if len(text) <= limit else text[: limit - 3] + "..."


def size(number: float) -> str:
    if number < 1024:
        return f"{int(number)} B"
    for unit in ("KiB", "MiB", "GiB"):
        number /= 1024
        if number < 1024:
            return f"{number:.1f} {unit}"
    return f"{number / 1024:.1f} TiB"


def seconds(number: float | None) -> str:
    if number is None:
        return ""
    return f"{number * 1000:.0f} ms" if number < 1 else f"{number:.1f} s"


def ago(moment: float) -> str:
    passed = max(0.0, time.time() - moment)
    for length, name in ((86400, "d"), (3600, "h"), (60, "min")):
        if passed >= length:
            return f"{int(passed // length)} {name} ago"
    return "just now"


def date(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
