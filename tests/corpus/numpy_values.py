"""What can be seen of NumPy's arrays and scalars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from comparison import Comparison, Numbers, Part, Recorder, Tolerance
from running import Ground


def _array(recorder: Recorder, value: np.ndarray, path: str) -> None:
    recorder.fact(path, "dtype", value.dtype)
    recorder.fact(path, "shape", value.shape)
    recorder.fact(path, "strides", [s for n, s in zip(value.shape, value.strides) if n > 1] if value.size else [])
    recorder.fact(path, "writeable", value.flags.writeable)
    if value.size:
        recorder.memory(path, _owner(value))
    if value.dtype.hasobject:
        recorder.write(value.tolist(), f"{path}.tolist()")
    else:
        recorder.fact(path, "values", Numbers(np.array(value), _step(value.dtype)))


def _step(dtype: np.dtype) -> float:
    return float(np.finfo(dtype).eps) if dtype.kind in "fc" else 0.0


def _owner(value: Any) -> int:
    """The object whose memory it is: past arrays, and what stands between them in strided views."""
    while (base := getattr(value, "base", None)) is not None:
        value = base
    return id(value)


def _scalar(recorder: Recorder, value: np.generic, path: str) -> None:
    recorder.fact(path, "dtype", value.dtype)
    recorder.fact(path, "values", Numbers(np.asarray(value), _step(value.dtype)))


NUMPY = Part(atoms=(np.dtype, np.generic), kinds=((np.ndarray, _array), (np.generic, _scalar)))
#: Python's floats may differ as much as those in arrays
FLOATS = Part(kinds=((float, lambda recorder, value, path: _scalar(recorder, np.float64(value), path)),))
GROUND = Ground(parts=(NUMPY, FLOATS))


def near(rtol: float) -> Tolerance:
    """Narrow types may differ by a few of their own last places."""

    def tolerance(want: Numbers, disturbed: Sequence[Numbers]) -> tuple[float, float]:
        size = want.elements.dtype.itemsize
        return max(rtol, {2: 2e-3, 4: 1e-5}.get(size, 0.0)), {2: 1e-3, 4: 1e-6}.get(size, 1e-12)

    return tolerance


def equal(found: Any, expected: Any, rtol: float = 1e-6, strides: bool = False, identity: bool = False) -> None:
    """Assert that two results are the same: structure, types, shapes, values (within `rtol` for floats); on demand how arrays lie
    in memory, and what shares it."""
    ignore = frozenset() if strides else frozenset({"strides", "writeable"})
    Comparison(near(rtol), ignore=ignore).values(expected, found, GROUND.parts, identity)
