"""What a strategy of Triton code is asked, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ....kernel import Kernel
from ....loops import postorder
from ..tiling import Tiling, TritonOptions
from ..writer import Writer


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
