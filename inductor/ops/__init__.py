"""The op table: importing this package fills `OPS` (name -> row)."""

from . import (
    activations,
    creation,
    extern,
    indexing,
    losses,
    matrix,
    nn,
    pointwise,
    reductions,
    shuffles,
    views,
    writes,
)
from .table import OPS, REQUIRED, Op, OpTable

__all__ = ["OPS", "REQUIRED", "Op", "OpTable"]

_rows = (activations, creation, extern, indexing, losses, matrix, nn, pointwise, reductions, shuffles, views, writes)
