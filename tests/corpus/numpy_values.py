"""What can be seen of NumPy's arrays and scalars."""

from __future__ import annotations

from typing import Any

import numpy as np
from comparison import Numbers, Part, Recorder


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
        recorder.fact(path, "values", Numbers(np.array(value), value.dtype.name))


def _owner(value: Any) -> int:
    """The object whose memory it is: past arrays, and what stands between them in strided views."""
    while (base := getattr(value, "base", None)) is not None:
        value = base
    return id(value)


def _scalar(recorder: Recorder, value: np.generic, path: str) -> None:
    recorder.fact(path, "values", Numbers(np.asarray(value), value.dtype.name))


NUMPY = Part(atoms=(np.dtype,), kinds=((np.ndarray, _array), (np.generic, _scalar)))
