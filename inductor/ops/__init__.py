"""The op table: importing this package fills `OPS` (name -> row)."""

from . import (  # noqa: F401  imported for the rows they add
    activations,
    arithmetic,
    attention,
    composites,
    contractions,
    conversion,
    creation,
    extern,
    indexing,
    literals,
    loop,
    losses,
    matrix,
    nn,
    pointwise,
    pooling,
    random,
    reductions,
    selection,
    shuffles,
    views,
    writes,
)
from .table import OPS, REQUIRED, Op, OpTable

# isort: split
from . import gradients  # noqa: F401  its rules speak of the rows above

__all__ = ["OPS", "REQUIRED", "Op", "OpTable"]
