"""Writes into memory that the same call reads: what eager refuses, and what it leaves to the order in which a kernel happens to
go through memory. The graph reads everything before it writes, so neither can be captured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from ...values.overlap import Overlap, shared_with
from ...values.tensor import ArrayValue

if TYPE_CHECKING:
    from ...values.base import Machine

#: what eager says of a write into elements that the call reads
REFUSAL = (
    "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory location. "
    "Please clone() the tensor before performing the operation."
)


#: operators with torch's tag that take the elements of an argument one behind the other
_IN_ORDER = frozenset(("masked_scatter", "masked_scatter_"))


def is_pointwise(name: str) -> bool:
    """Whether the operator works element by element: then the same elements may be read and written."""
    if name in _IN_ORDER:
        return False
    packet = getattr(torch.ops.aten, name, None)
    return packet is not None and any(torch.Tag.pointwise in getattr(packet, o).tags for o in packet.overloads())


def check_written(ev: Machine, target: ArrayValue, operands: Any, pointwise: bool) -> None:
    """Break for a call that reads `operands` (tensors in nested lists, tuples, dicts) and writes to `target`, where plain Python may
    do something else than reading first.
    """
    found = shared_with(target, operands)
    if Overlap.PARTIAL in found:
        raise ev.framework_error(RuntimeError(REFUSAL))
    if Overlap.UNCLEAR in found or (Overlap.SAME in found and not pointwise):
        raise ev.break_(
            "overlapping-write",
            f"writing to {target.describe()} what is read from the same memory",
            "the result depends on the order of reads and writes, or eager refuses it",
            "read from a copy (.clone())",
        )
