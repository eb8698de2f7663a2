"""All functions of NumPy, and methods of its arrays, that rolled loops know: the tables of their families together."""

from __future__ import annotations

from typing import Any

from . import algebra, functions, joining, making, measuring, rearranging, scans
from .functions import Rule

_FAMILIES = (algebra, functions, joining, making, measuring, rearranging, scans)
FUNCTIONS: dict[Any, Rule] = {real: rule for family in _FAMILIES for real, rule in family.FUNCTIONS.items()}
METHODS: dict[str, Rule] = {
    name: rule for family in (functions, measuring, rearranging, scans) for name, rule in family.METHODS.items()
}
