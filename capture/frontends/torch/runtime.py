"""torch as a plan sees it: memory, views, pointers, and eager's own kernels."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Any

import torch
from torch.autograd.graph import increment_version

from ....config import config
from ....inductor.dtypes import DType
from ....inductor.graph import ExternRef, Input, Named, Number, TensorMeta
from ....kernels.device import device_of
from .array_memory import by_numpy, numpy_runtime
from .autocast import UNDER_AUTOCAST, switched_off
from .differentiable import differentiable
from .dtypes import device_text, from_torch, to_device, to_torch
from .eager_gradients import EAGER
from .eager_ops import copied
from .layouts import laid_out
from .own_operators import note_call
from .places import resolve_name

#: the C++ allocation shortcut for strided CPU memory; absent from some builds
_FAST_CPU: Callable[..., Any] | None = getattr(
    getattr(getattr(torch._C, "_dynamo", None), "guards", None), "_empty_strided_cpu", None
)


class TorchRuntime:
    """`inductor.runtime.Runtime` for torch. Stateless; one instance serves the process."""

    name = "torch"
    graph_decides_layouts = False
    memory_of = staticmethod(torch._C.TensorBase.untyped_storage)

    def version(self) -> str:
        return str(torch.__version__)

    def empty(self, shape: tuple[int, ...], stride: tuple[int, ...], dtype: DType, device: str) -> torch.Tensor:
        """Uninitialised memory; strides in elements."""
        if device == "cpu" and _FAST_CPU is not None:
            return _FAST_CPU(shape, stride, to_torch(dtype))
        return torch.empty_strided(shape, stride, dtype=to_torch(dtype), device=to_device(device))

    def soil(self, array: torch.Tensor) -> None:
        # which is no write that the tensor counts
        array.untyped_storage().fill_(255)  # type: ignore[attr-defined]

    def as_strided(
        self, array: torch.Tensor, shape: tuple[int, ...], stride: tuple[int, ...], offset: int
    ) -> torch.Tensor:
        """A view; the offset counts from the array's first element, not from its storage's."""
        return torch.as_strided(array, shape, stride, array.storage_offset() + offset)

    def laid_out(self, array: torch.Tensor, stride: tuple[int, ...]) -> torch.Tensor:
        """`array` itself, or a copy with these strides; either as its memory is read."""
        return laid_out(array, stride)

    def data_ptr(self, array: torch.Tensor) -> int:
        return array.data_ptr()

    def meta_of(self, array: torch.Tensor) -> TensorMeta:
        return tensor_meta(array)

    def not_kept(self, array: Any) -> str:
        """Parameters of modules seldom change. Of what is shared with other processes, or set up by a distributed wrapper, which writes
        uncounted, no copy is good.
        """
        if not isinstance(array, torch.nn.Parameter):
            return "it is no parameter of a module"
        if array.is_inference():
            return "tensors of inference mode do not count what is written to them"
        if array.device.type != "cpu" or array.layout is not torch.strided:
            return "it is not in plain memory"
        if array.untyped_storage().is_shared():
            return "other processes may write to its memory"
        if _is_distributed():
            return "distributed wrappers write to weights without counting"
        return ""

    def stamps(self, arrays: Sequence[torch.Tensor]) -> tuple[Any, ...] | None:
        """Where each one's memory is, and how often it was written to."""
        try:
            return None if _is_distributed() else tuple([(x.data_ptr(), x._version) for x in arrays])
        except RuntimeError:  # a tensor of inference mode
            return None

    def copy_(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """In-place copy. Autograd does not see it: plans run where no gradient is asked for."""
        with torch.no_grad():
            target.copy_(source)

    def begin_writes(self, stored: Sequence[torch.Tensor], copied: Sequence[torch.Tensor]) -> None:
        """Autograd counts the writes to a tensor, and refuses a backward pass over one that it saved and that changed. It
        sees a copy by itself.
        """
        if not torch.is_inference_mode_enabled() and any(x.is_inference() for x in (*stored, *copied)):
            raise RuntimeError("a tensor of inference mode is written to outside of inference mode")
        increment_version(stored)

    def run_op(self, op: str, library: str = "") -> Callable[..., Any]:
        """Eager's implementation of a table op; Python numbers may stand for `scalar` inputs. Raises KeyError."""
        if library == "numpy" or op == "loop":
            return by_numpy(numpy_runtime().run_op(op))
        if op == "extern":
            return self._run_extern
        return EAGER[op]

    def _run_extern(
        self, *arrays: Any, ref: ExternRef, effects: bool = False, strides: Any = None, shapes: Any = None, dtypes: Any = None,
        writes: tuple[int, ...] = (), picks: tuple[int, ...] | None = None, raises: bool = False, axes: Any = None,
        own: tuple[str, int] | None = None, copies: bool = True, library: str = "", stores: str = "", below: Any = None,
    ) -> Any:  # fmt: skip
        """The call that `ref` describes; results are laid out in `strides`, on which the plan relies.

        writes: positions of the arrays that the call writes to: it gets copies, which follow the results
        copies: these are none yet
        raises: the graph's business: it calls also where nobody needs the results
        axes:   the compiler's business: what the call sums over
        own:    the operator of the program's own that it calls, and how many calls of it come before
        library: "numpy": it is a function of NumPy
        stores: the compiler's business: whether it writes to the very tensors that it gets
        below:  the compiler's business: a bound of the results
        picks:  positions, among the results, of those that the graph needs (the others alias arguments); None: all
        shapes, dtypes: what the results' must be, where that was not certain
        """
        if library == "numpy":
            return by_numpy(numpy_runtime().run_op("extern"))(*arrays, ref=ref, shapes=shapes, dtypes=dtypes)
        if writes and copies:
            arrays = tuple(copied(x) if i in writes else x for i, x in enumerate(arrays))
        from_template = _Template(arrays, self)
        args = [from_template(a) for a in ref.args]
        kwargs = {name: from_template(a) for name, a in ref.kwargs}
        try:
            results = self.resolve(ref.target)(*args, **kwargs)
        except Exception as error:
            if own is not None:
                note_call(own, ref, args, kwargs, [arrays[i] for i in writes], error)
            raise
        if own is not None:
            note_call(own, ref, args, kwargs, [arrays[i] for i in writes], results)
        if isinstance(results, (int, float)):  # a Python number of the program
            return results
        if isinstance(results, torch.Tensor) and not writes:
            found = [results]
        else:
            found = _tensors(results)
            if picks is not None:
                found = [found[i] for i in picks]
            found += [arrays[i] for i in writes]
        if dtypes is not None:
            _check_dtypes(ref, found, dtypes)
        if shapes is not None:
            _check_shapes(ref, found, shapes)
        if strides is not None:
            found = _apart(list(map(laid_out, found, strides)))
        return found[0] if len(found) == 1 and isinstance(results, torch.Tensor) else tuple(found)

    def resolve(self, target: str) -> Callable[..., Any]:
        """The function named "module:qualified.name". Raises ImportError or AttributeError when it is gone. Graphs that are
        never stored may hold the function itself.
        """
        return target if callable(target) else resolve_name(target)

    def encode(self, value: Any) -> Any:
        if isinstance(value, Named):
            return resolve_name(value.target)
        return to_torch(value) if isinstance(value, DType) else value

    def num_threads(self) -> int:
        """`config.threads`, else torch's own number."""
        return torch.get_num_threads() if config.threads is None else config.threads

    def set_grad(self, mode: bool) -> bool:
        before = torch.is_grad_enabled()
        torch._C._set_grad_enabled(mode)
        return before

    def isolate(self, run: Callable[..., Any], what: frozenset[str]) -> Callable[..., Any]:
        def isolated(*inputs: Any) -> Any:
            with switched_off() if "autocast" in what else contextlib.nullcontext():
                before = self.set_grad("gradients" not in what and torch.is_grad_enabled())
                try:
                    return run(*inputs)
                finally:
                    self.set_grad(before)

        return isolated

    def replayable(self, run: Callable[..., Any], devices: Collection[str]) -> Callable[..., Any]:
        def replayed(*inputs: Any) -> Any:
            generators = [_generator(device) for device in devices if device != "meta"]  # nothing is drawn there
            states = [g.get_state() for g in generators]
            try:
                return run(*inputs)
            except Exception:
                for g, state in zip(generators, states):
                    g.set_state(state)
                raise

        return replayed

    def differentiable(self, part: Any) -> Callable[..., Sequence[Any]]:
        return differentiable(part)

    def noting(self, run: Callable[..., Any], errors: int) -> Callable[..., Any]:
        """torch notes none; NumPy's functions in the graph do."""
        noting: Callable[..., Any] = numpy_runtime().noting if errors else lambda run, _: run
        return noting(run, errors)

    def stream(self, device: str) -> int:
        if device_of(device).kind != "cuda":
            return 0
        return torch.cuda.current_stream(to_device(device)).cuda_stream


def _is_distributed() -> bool:
    """Whether there is a process group."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def _generator(device: str) -> torch.Generator:
    """The generator of a device's random numbers."""
    if device == "cpu":
        return torch.default_generator
    torch.cuda.init()
    found = to_device(device)
    return torch.cuda.default_generators[torch.cuda.current_device() if found.index is None else found.index]


def _tensors(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    return [t for part in tree for t in _tensors(part)] if isinstance(tree, (tuple, list)) else []


def _apart(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """The tensors, copied where two share memory: the plan may write into any of them."""
    if len(tensors) > 1:
        seen: set[int] = set()
        for i, t in enumerate(tensors):
            key = t.untyped_storage()._cdata
            if key in seen:
                tensors[i] = copied(t)
            seen.add(key)
    return tensors


def _check_shapes(ref: ExternRef, found: list[torch.Tensor], shapes: Any) -> None:
    for x, shape in zip(found, shapes):
        if tuple(x.shape) != tuple(shape):
            raise RuntimeError(
                f"{_called(ref)} gave a result of shape {tuple(x.shape)} where {tuple(shape)} was foreseen: "
                "the size of its result depends on the data, or its fake implementation gives another; wrap the call in quern.disable"
            )


def _check_dtypes(ref: ExternRef, found: list[torch.Tensor], dtypes: Any) -> None:
    for x, dtype in zip(found, dtypes):
        if x.dtype != to_torch(dtype):
            raise RuntimeError(
                f"{_called(ref)} gave a result of {x.dtype} where {to_torch(dtype)} was foreseen, as its fake implementation gives: "
                "let the two agree, or wrap the call in quern.disable"
            )


def _called(ref: ExternRef) -> str:
    """What messages call the function."""
    target = ref.args[0] if ref.target == UNDER_AUTOCAST else ref.target
    return str(target).replace(":", ".")


class _Template:
    """Fills an extern template's `Input(i)` and DTypes."""

    def __init__(self, arrays: tuple[Any, ...], runtime: TorchRuntime) -> None:
        self.arrays = arrays
        self.runtime = runtime

    def __call__(self, value: Any) -> Any:
        if isinstance(value, Input):
            return self.arrays[value.index]
        if isinstance(value, Number):
            return self.arrays[value.index].item()
        if isinstance(value, (tuple, list)):
            return type(value)(self(v) for v in value)
        if isinstance(value, dict):
            return {k: self(v) for k, v in value.items()}
        return self.runtime.encode(value)


def tensor_meta(x: torch.Tensor) -> TensorMeta:
    """Shape, strides, dtype, device. Raises KeyError for a dtype that graphs do not know."""
    return TensorMeta(tuple(x.shape), x.stride(), from_torch(x.dtype), device_text(x.device))
