"""Bars as an SVG file: for each row of a bench one bar a system, as a share of what the machine can do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

_COLOURS = ("#9aa5b1", "#d9822b", "#2b6cb0", "#7b5ea7", "#3d8f5f")
_LABEL, _WIDTH, _BAR, _GAP, _HEAD = 300, 520, 9, 10, 56


def bars(rows: Sequence[tuple[str, Mapping[str, float]]], title: str, path: Path) -> None:
    """rows: (name, system -> share, 1 being the limit). The systems are those of the first row, in order."""
    systems = list(rows[0][1])
    height = len(systems) * _BAR + _GAP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LABEL + _WIDTH + 60}" height="{_HEAD + height * len(rows) + 20}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="8" y="18" font-size="14">{escape(title)}</text>',
    ]
    for i, system in enumerate(systems):
        x = _LABEL + 130 * i
        lines.append(f'<rect x="{x}" y="30" width="10" height="10" fill="{_COLOURS[i]}"/>')
        lines.append(f'<text x="{x + 14}" y="39">{escape(system)}</text>')
    for share in (0, 0.25, 0.5, 0.75, 1):
        x = _LABEL + _WIDTH * share
        lines.append(f'<line x1="{x}" y1="{_HEAD - 8}" x2="{x}" y2="{_HEAD + height * len(rows)}" stroke="#ddd"/>')
        lines.append(f'<text x="{x - 10}" y="{_HEAD + height * len(rows) + 14}">{share:.0%}</text>')
    for k, (name, shares) in enumerate(rows):
        top = _HEAD + height * k
        lines.append(f'<text x="8" y="{top + height / 2}">{escape(name)}</text>')
        for i, system in enumerate(systems):
            width = _WIDTH * min(shares[system], 1.1)
            y = top + i * _BAR
            lines.append(
                f'<rect x="{_LABEL}" y="{y}" width="{width:.1f}" height="{_BAR - 1}" fill="{_COLOURS[i]}">'
                f"<title>{escape(system)}: {shares[system]:.0%}</title></rect>"
            )
    path.write_text("\n".join([*lines, "</svg>"]) + "\n")
