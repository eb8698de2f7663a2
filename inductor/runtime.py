"""What inductor asks of the framework at run time, and of nothing else. Each front end implements `Runtime` once.

Arrays are the framework's own (torch.Tensor, numpy.ndarray). A finished plan holds only names and numbers; it is
bound to a Runtime when it is loaded, so the same plan file serves any process.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Protocol

from .dtypes import DType
from .graph import TensorMeta


class WritesBegun(Exception):
    """A graph raised while it wrote its results into its inputs: the program cannot be run again. The cause is the error."""


def write_all(copy_: Callable[[Any, Any], None], pairs: Sequence[tuple[Any, Any]]) -> None:
    """Write each (target, source), the last thing that a graph does. Raises what the first write raises, or WritesBegun."""
    for position, (target, source) in enumerate(pairs):
        try:
            copy_(target, source)
        except Exception as error:
            if not position:
                raise
            raise WritesBegun from error


def memory_of(runtime: Runtime) -> Callable[[Any], Any] | None:
    """Gives an array's memory, which stays there while that is held, whatever another thread gives the array in its place. None for
    frameworks whose arrays keep theirs: their runtimes have no method of this name.
    """
    return getattr(runtime, "memory_of", None)


class Runtime(Protocol):
    """The framework as seen from a plan."""

    #: "torch" or "numpy"; enters plan keys
    name: str
    #: whether the framework's own functions, given a graph's ops, may lay results out otherwise than the graph says
    graph_decides_layouts: bool

    def version(self) -> str:
        """The framework's version; enters plan keys."""
        ...

    def empty(self, shape: tuple[int, ...], stride: tuple[int, ...], dtype: DType, device: str) -> Any:
        """Uninitialised memory with the given layout (strides in elements)."""
        ...

    def soil(self, array: Any) -> None:
        """Fill what `empty` gave with what no program expects."""
        ...

    def as_strided(self, array: Any, shape: tuple[int, ...], stride: tuple[int, ...], offset: int) -> Any:
        """A view of the array's storage; strides and offset in elements, offset counted from the array's first element."""
        ...

    def laid_out(self, array: Any, stride: tuple[int, ...]) -> Any:
        """`array` with these strides (in elements; those of dims of size 1 do not count): itself, or a copy. What the
        framework's own kernels return is passed through here, since a plan relies on the layouts that it knows.
        """
        ...

    def data_ptr(self, array: Any) -> int:
        """Address of the first element."""
        ...

    def meta_of(self, array: Any) -> TensorMeta:
        """Shape, strides (elements), dtype and device of an array."""
        ...

    def not_kept(self, array: Any) -> str:
        """Why no copy of an array may be kept from run to run; "" where it seldom changes and its writes are counted."""
        ...

    def stamps(self, arrays: Sequence[Any]) -> tuple[Any, ...] | None:
        """The states of arrays: where an array is the same object and its stamp is equal, the framework has not written to it.
        None where it does not count the writes to one of them.
        """
        ...

    def copy_(self, target: Any, source: Any) -> None:
        """Write `source` into `target`, as an in-place copy."""
        ...

    def begin_writes(self, stored: Sequence[Any], copied: Sequence[Any]) -> None:
        """Called before kernels store into some inputs, which the framework does not see, and others are written with `copy_`: raises
        what the framework would raise for a write to one of them, and else notes that the former were written to.
        """
        ...

    def run_op(self, op: str, library: str = "") -> Callable[..., Any]:
        """The framework's own implementation of a table op: `(*arrays, **attrs) -> array` (or a tuple for several results).

        Used by the eager backend for every op, and by plans for extern kernels. Takes and returns the framework's
        arrays; dtype attributes are `DType`s. Where it has an attribute `bound`, `bound(**attrs)` is the function of the arrays alone.
        Raises KeyError for an op the framework does not have.
        library: another framework, whose implementation is wanted, over this one's arrays
        """
        ...

    def resolve(self, target: str) -> Callable[..., Any]:
        """The function called "module:qualified.name" (see `ExternRef`)."""
        ...

    def encode(self, value: Any) -> Any:
        """A static extern argument in framework form: DType -> the framework's dtype, device strings, the rest unchanged."""
        ...

    def num_threads(self) -> int:
        """CPU threads that generated kernels may use, where no option says it: `config.threads`, else the framework's number."""
        ...

    def set_grad(self, mode: bool) -> bool:
        """Turn gradient recording on or off in this thread; the previous mode. False where there is no such thing."""
        ...

    def isolate(self, run: Callable[..., Any], what: frozenset[str]) -> Callable[..., Any]:
        """`run`, with what the framework does around a graph (`Boundary.isolated`) switched off."""
        ...

    def replayable(self, run: Callable[..., Any], devices: Collection[str]) -> Callable[..., Any]:
        """`run`; where it raises, the random numbers of these devices are drawn anew by who runs the program again."""
        ...

    def differentiable(self, part: Any) -> Callable[..., Sequence[Any]]:
        """A part of a graph (`training.Generated`) as a function that the framework differentiates: (tensors, ints) -> outputs."""
        ...

    def noting(self, run: Callable[..., Any], errors: int) -> Callable[..., Any]:
        """`run`, which calls the framework. A floating-point error of such a call raises FloatErrors where `errors` has it,
        and is ignored otherwise.
        """
        ...

    def stream(self, device: str) -> int:
        """Handle of the current stream of a GPU (0 on the CPU)."""
        ...
