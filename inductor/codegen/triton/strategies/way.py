"""What a strategy of Triton code is asked, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ....kernel import Kernel
from ....loops import Expr, postorder
from ..tiling import Tiling, TritonOptions
from ..writer import Mask, Writer


@dataclass(frozen=True)
class Request:
    """A kernel, and the choices that are forced."""

    kernel: Kernel
    options: TritonOptions

    @property
    def joins(self) -> bool:
        """Whether something runs along r."""
        return any(e.op in ("reduce", "scan") for e in postorder([s.value for s in self.kernel.stores]))


class Way(Protocol):
    """A kernel's index space, cut."""

    @property
    def tiling(self) -> Tiling: ...

    def write(self, kernel: Kernel) -> Writer:
        """The kernel's lines."""
        ...


@dataclass(frozen=True)
class OneBlock:
    """A way without loops: all stores of a kernel in one block of each program. What it derives says how values are joined."""

    tiling: Tiling

    def write(self, kernel: Kernel) -> Writer:
        w = Writer(kernel, self.tiling, self)
        w.open_axes()
        w.stores(list(kernel.stores), w.outer)
        return w

    if TYPE_CHECKING:  # each kind of block joins in its own way

        def reduce(self, w: Writer, e: Expr) -> None: ...
        def scan(self, w: Writer, e: Expr, conds: tuple[Mask, ...]) -> None: ...
