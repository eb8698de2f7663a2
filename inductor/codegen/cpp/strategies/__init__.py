"""The strategies of C++ code, in the order in which they are asked; the last takes every kernel."""

from __future__ import annotations

from ...strategy import Strategy
from ..nest import Nest
from . import columns, contraction, pieces, rows, scan, split, tiles
from .way import Way

STRATEGIES: tuple[Strategy[Nest, Way], ...] = (
    Strategy("contraction", contraction.plan),
    Strategy("split", split.plan),
    Strategy("scan", scan.plan),
    Strategy("columns", columns.plan),
    Strategy("tiles", tiles.plan),
    Strategy("pieces", pieces.plan),
    Strategy("rows", rows.plan),
)
