"""What a framework function will give, found by running it on tensors without data: layouts, writes, and what aliases what."""

from __future__ import annotations

import contextlib
import importlib
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
    UnsupportedOperatorException,
)
from torch.autograd.graph import increment_version

from ....inductor.dtypes import DType
from ....inductor.graph import Input, Named, TensorMeta
from ....inductor.ops import OPS
from . import eager_ops
from .dtypes import to_device, to_torch
from .places import resolve_name
from .schemas import Watch, storage_of

#: functions whose layouts differ between the meta device and the CPU: they are run once on small real tensors
MEASURED = frozenset(
    ("torch:svd", "torch:Tensor.svd", "torch:native_batch_norm", "torch:_native_batch_norm_legit", "torch._C._nn:max_unpool2d",
     "torch._C._nn:max_unpool3d", "torch._C._nn:adaptive_max_pool3d", "torch:conv3d", "torch:conv_transpose3d",
     "torch:instance_norm", "torch:embedding_bag", "torch.nn.functional:embedding_bag", "torch:istft", "torch:Tensor.istft", "torch:addr", "torch:Tensor.addr",
     "torch:conv1d", "torch:conv2d", "torch:conv_transpose1d", "torch:conv_transpose2d", "torch:float_power", "torch:ldexp", "torch:Tensor.ldexp",
     "torch:angle", "torch:Tensor.angle", "torch:isin", "torch:poisson", "torch:normal", "torch:_standard_gamma")
) | frozenset(f"torch.linalg:{name}" for name in ("svd", "eig")) | frozenset(
    f"{eager_ops.__name__}:NAMED.{row.name}" for row in OPS.values() if row.measured
) | frozenset(
    f"torch.fft:{name}" for name in ("rfft2", "rfftn", "hfft", "hfft2", "hfftn", "ihfft2", "ihfftn", "irfft", "irfft2", "irfftn")
)  # fmt: skip
#: the most elements of such a call's arguments
MEASURED_ELEMENTS = 1 << 18


#: functions whose kernels take the sizes of all but their first tensor as they are, and read beyond them where they do not fit
_TRUSTING = frozenset(
    f"torch:{name}{cell}" for name in ("gru", "lstm", "rnn_tanh", "rnn_relu") for cell in ("", "_cell")
) | frozenset(("torch:native_batch_norm", "torch:_native_batch_norm_legit"))  # fmt: skip


def trusts_sizes(target: str) -> bool:
    """Whether a function must not be asked what it gives at sizes that may not fit one another."""
    return target.replace("torch._VF:", "torch:") in _TRUSTING


def needs_measuring(target: str) -> bool:
    """Whether what stand-ins without data say of a function's results is not to be relied on."""
    return target.replace("torch._VF:", "torch:") in MEASURED


def measurable(target: str, metas: Sequence[TensorMeta]) -> list[torch.Tensor] | None:
    """Real stand-ins for a call whose layouts are to be measured; None for other calls, and large ones."""
    if (
        not needs_measuring(target)
        or any(m.device != "cpu" for m in metas)
        or sum(m.numel for m in metas) > MEASURED_ELEMENTS
    ):
        return None
    made = []
    for m in metas:
        span = 1 + sum((n - 1) * s for n, s in zip(m.shape, m.stride) if n)
        numbers = m.dtype.is_float or m.dtype.is_complex
        memory = torch.arange(span).remainder(7).add(1) if numbers else torch.zeros(span)
        made.append(memory.to(to_torch(m.dtype)).as_strided(m.shape, m.stride))
    return made


#: what fake tensors raise where the program itself need not
OF_DATA = (
    DataDependentOutputException, DynamicOutputShapeException, UnsupportedFakeTensorException, UnsupportedOperatorException,
)  # fmt: skip


class Unforeseen(Exception):
    """The results cannot be known without data. `args[0]` is the framework's own message."""


@dataclass(frozen=True)
class Foreseen:
    """results:  what the call returned, over stand-ins
    inputs:   the stand-ins of the call's tensors
    written:  positions of the tensors that the call wrote to, and how often it did
    resized:  positions of the tensors whose layout it changed
    effects:  it draws random numbers, or calls an operator of the program's own: it must run even where nothing is read
    measured: the layouts come from a run of the real kernel, and are checked when the graph runs
    """

    results: Any
    inputs: Sequence[torch.Tensor]
    written: dict[int, int]
    resized: tuple[int, ...]
    effects: bool = False
    measured: bool = False

    def origin(self, result: torch.Tensor) -> tuple[int | None, bool]:
        """The input that a result is, or whose memory it shares: (position, whether it is that very object)."""
        for i, x in enumerate(self.inputs):
            if result is x:
                return i, True
        key = storage_of(result)
        for i, x in enumerate(self.inputs):
            if storage_of(x) == key:
                return i, False
        return None, False

    def is_loose(self, result: torch.Tensor, origin: int) -> bool:
        """Whether autograd takes a result in an input's memory for a tensor of its own: a write to one is not counted at the other."""
        source = self.inputs[origin]
        before = _version(result)
        increment_version((source,))
        return not source.is_inference() and _version(result) == before


#: held while a call runs unnoticed: what is set for it belongs to the process
_UNNOTICED = threading.Lock()


@contextlib.contextmanager
def unnoticed() -> Iterator[None]:
    """What runs here is no part of the program: its warnings, those that come once included, and the random numbers that some
    functions draw even without data are left to the program's own run.
    """
    with _UNNOTICED, warnings.catch_warnings():
        state, always = torch.get_rng_state(), torch.is_warn_always_enabled()
        warnings.simplefilter("ignore")
        torch.set_warn_always(True)
        try:
            yield
        finally:
            torch.set_warn_always(always)
            torch.set_rng_state(state)


@unnoticed()
def foresee(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    metas: Sequence[TensorMeta],
    stand_ins: Sequence[torch.Tensor] | None = None,
    faked: bool = False,
    recording: Sequence[bool] | None = None,
) -> Foreseen:
    """Run `fn` on the template's stand-ins: on the meta device, or, for functions that it does not know, as fake tensors.
    Real stand-ins may be given instead. faked: fake tensors at once, for functions that make tensors of their own; recording: of
    them, which require gradients, where these are recorded.
    """
    try:
        if stand_ins is not None:
            return _run(fn, args, kwargs, list(stand_ins), None, True)
        if faked:
            with FakeTensorMode(allow_non_fake_inputs=True):
                made = [stand_in(m, m.device) for m in metas]
                for t, wanted in zip(made, recording or ()):
                    t.requires_grad_(wanted)
                return _run(fn, args, kwargs, made, None, True, recording is not None)
        return _run(fn, args, kwargs, [stand_in(m, "meta") for m in metas], "meta", False)
    except Exception as error:
        if stand_ins is not None or faked or not isinstance(error, NotImplementedError):
            raise Unforeseen(first_line(error)) from error
        first = error
    try:
        with FakeTensorMode():
            return _run(fn, args, kwargs, [stand_in(m, m.device) for m in metas], None, True)
    except Exception:
        raise Unforeseen(first_line(first)) from first


@unnoticed()
def foresee_sizes(
    fn: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], metas: Sequence[TensorMeta]
) -> Foreseen:
    """As `foresee`, for an operator that says which sizes of its results the data tell: they are symbols of a `ShapeEnv`."""
    shapes = importlib.import_module("torch.fx.experimental.symbolic_shapes")
    try:
        with FakeTensorMode(shape_env=shapes.ShapeEnv()):
            return _run(fn, args, kwargs, [stand_in(m, m.device) for m in metas], None, False)
    except Exception as error:
        raise Unforeseen(first_line(error)) from error


def first_line(error: Exception) -> str:
    """An error's class and the first line of its message."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def stand_in(m: TensorMeta, device: str) -> torch.Tensor:
    return torch.empty_strided(m.shape, m.stride, dtype=to_torch(m.dtype), device=to_device(device))


def _version(t: torch.Tensor) -> int:
    """How often a tensor was written to; tensors of inference mode do not count."""
    return 0 if t.is_inference() else t._version


def _run(
    fn: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    tensors: list[torch.Tensor],
    device: Any,
    measured: bool,
    records: bool = False,
) -> Foreseen:
    def fill(value: Any) -> Any:
        if isinstance(value, Input):
            return tensors[value.index]
        if isinstance(value, (list, tuple)):
            return type(value)(fill(v) for v in value)
        if isinstance(value, Named):
            return resolve_name(value.target)
        return to_torch(value) if isinstance(value, DType) else value

    named = {k: fill(v) for k, v in kwargs.items()}
    if device is not None and (not tensors or "device" in named):
        named["device"] = device
    before = [(_version(t), t.shape, t.stride(), t.dtype) for t in tensors]
    watch = Watch()
    with torch.set_grad_enabled(records), watch:
        results = fn(*[fill(a) for a in args], **named)
    written = {
        i: _version(t) - b[0]
        for i, (t, b) in enumerate(zip(tensors, before))
        if _version(t) != b[0] or storage_of(t) in watch.written
    }
    resized = tuple(i for i, (t, b) in enumerate(zip(tensors, before)) if (t.shape, t.stride(), t.dtype) != b[1:])
    return Foreseen(results, tensors, written, resized, watch.effects, measured)


def leaves(tree: Any) -> Iterator[torch.Tensor]:
    """The tensors of nested tuples and lists, in order."""
    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, (tuple, list)):
        for t in tree:
            yield from leaves(t)
