"""A loop of the user's program as one op: a sequential program (see `inductor.sequential`)."""

from __future__ import annotations

from typing import Any

from ..dtypes import get
from ..graph import Dim, TensorMeta
from .common import REQUIRED, fresh, new_meta, row
from .facts import MEMORY, QUIET


def _meta_loop(*given: TensorMeta, values: tuple[Any, ...], written: tuple[bool, ...], numbers: tuple[str, ...],
               arrays: tuple[tuple[str, tuple[Dim, ...]], ...], **more: Any) -> tuple[TensorMeta, ...]:  # fmt: skip
    count = values.count(None)
    if len(given) != count + len(written) or any(m.shape for m in given[:count]):
        raise TypeError(f"loop: {len(given)} inputs for {count} numbers and {len(written)} arrays")
    contents = [fresh(m) for m, writes in zip(given[count:], written) if writes]
    scalars = [new_meta((), get(name), "cpu") for name in numbers]
    return (*contents, *scalars, *(new_meta(shape, get(name), "cpu") for name, shape in arrays))


# text: the program's source
# types: of the numbers that it is given; values: of these numbers (None: the next input without axes). The other inputs are its arrays.
# written: which arrays it writes to (their new content is its first results); ranks: their numbers of axes
# numbers, arrays: types of the numbers, types and shapes of the arrays, that it gives besides
# errors: the floating-point errors that it raises for
row("loop", "extern", _meta_loop,
    attrs={"text": REQUIRED, "types": (), "values": (), "written": (), "ranks": (), "numbers": (), "arrays": (), "errors": 0},
    operands=(MEMORY,), bounds=None, errors=QUIET, raises=True, eager="function", consumes=True)  # fmt: skip
