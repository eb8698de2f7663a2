"""What can be seen of tensors and modules."""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from comparison import Numbers, Part, Recorder
from numpy_values import NUMPY
from registry import Topic, required
from running import Ground


def _tensor(recorder: Recorder, value: torch.Tensor, path: str) -> None:
    with torch._C.DisableTorchFunctionSubclass(), torch.no_grad():
        for name in ("dtype", "device", "layout", "shape", "requires_grad"):
            recorder.fact(path, name, getattr(value, name))
        recorder.fact(path, "lazily conjugated or negated", (value.is_conj(), value.is_neg()))
        if value.layout is torch.strided:
            strides = [s for n, s in zip(value.shape, value.stride()) if n > 1]
            recorder.fact(path, "strides", strides if value.numel() else [])
            of = "" if value.numel() else " of nothing"
            recorder.fact(path, f"storage offset{of}", value.storage_offset())
            recorder.memory(path, value.untyped_storage()._cdata, f"memory{of}")
        if value.device.type != "meta":
            inexact = value.is_floating_point() or value.is_complex()
            step = torch.finfo(value.dtype).eps if inexact else 0.0
            recorder.fact(path, "values", Numbers(_elements(value), step))


def _elements(value: torch.Tensor) -> np.ndarray:
    plain = value.detach()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    plain = plain.resolve_conj().resolve_neg().cpu()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.is_complex():
        return plain.to(torch.complex128, copy=True).numpy()
    if plain.is_floating_point():
        return plain.to(torch.float64, copy=True).numpy()
    return plain.clone().numpy()


def _module(recorder: Recorder, value: torch.nn.Module, path: str) -> None:
    """Its attributes; hooks without their numbers, which count up through the process."""
    skip = ("_compiled_call_impl", "_is_torch_compile")
    shown = {k: v for k, v in vars(value).items() if k not in skip}
    recorder.write(
        {k: list(v.values()) if "_hooks" in k and isinstance(v, dict) else v for k, v in shown.items()}, path
    )


TORCH = Part(
    atoms=(torch.dtype, torch.device, torch.layout, torch.memory_format),
    kinds=((torch.Tensor, _tensor), (torch.nn.Module, _module)),
)

MODES = Path(__file__).parent / "modes.json"


def modes() -> dict[str, dict[str, Any]]:
    """What torch.compile made of each program of the files `torch_*.py`, by `str(program)`; `classify.py` writes it."""
    return json.loads(MODES.read_text()) if MODES.exists() else {}


#: shapes of arguments by parameter name
SHAPES: dict[str, tuple[int, ...]] = {
    "x": (3, 4), "y": (3, 4), "z": (3, 4), "v": (4,), "w": (4,), "m": (4, 4), "s": (), "batch": (2, 3, 4),
}  # fmt: skip


def randn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape)


def by_names(fn: Any) -> Callable[[], tuple[Any, ...]]:
    """Arguments after the names of the required parameters."""
    shapes = [SHAPES[name] for name in required(fn)]
    return lambda: tuple(randn(*shape) for shape in shapes)


on_torch = functools.partial(Topic, arguments=by_names)

GROUND = Ground(
    parts=(TORCH, NUMPY),
    seed=torch.manual_seed,
    around=lambda program: contextlib.nullcontext() if program.grad else torch.no_grad(),
    modes=torch.is_grad_enabled,
    reset=torch.set_grad_enabled,
)
