"""The strategies of Triton code, in the order in which they are asked; the last takes what the others leave."""

from __future__ import annotations

from ...strategy import Strategy
from . import contraction, looped, persistent, pointwise
from .way import Request, Way

STRATEGIES: tuple[Strategy[Request, Way], ...] = (
    Strategy("contraction", contraction.plan),
    Strategy("persistent", persistent.plan),
    Strategy("looped", looped.plan),
    Strategy("pointwise", pointwise.plan),
)
