"""What the NumPy front end keeps during one capture."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from ....inductor.float_errors import may_meet
from ....inductor.graph import Node
from ...values.tensor import ArrayState
from .errstate import Settings

if TYPE_CHECKING:
    from ...guards.sources import Source
    from ...values.base import Machine
    from .arrays import Array
    from .builder import ArrayBuilder


class NumpyState(ArrayState):
    """The arrays of one capture, and the builder that makes them.

    nodes: how many nodes of the graph NumPy calls made
    heard: the floating-point errors that nodes may meet and the program wants to hear of
    """

    def __init__(self, new_builder: Callable[[Settings], ArrayBuilder]) -> None:
        super().__init__()
        self.settings = Settings()
        self._new_builder = new_builder
        self.nodes = 0
        self.heard: dict[Node, int] = {}
        #: numbers that change, by where the entry reads them
        self.numbers: dict[Source, Array] = {}

    @functools.cached_property
    def builder(self) -> ArrayBuilder:
        return self._new_builder(self.settings)

    @property
    def is_used(self) -> bool:
        """Whether the capture called functions of NumPy, or wrote to an array."""
        return bool(self.nodes or self.entries or self.heard)

    def listen(self, ev: Machine, nodes: list[Node]) -> None:
        """Note what new nodes may meet of the errors that are not ignored at this place of the program."""
        for node in nodes:
            errors = may_meet(node)
            errors = errors and errors & self.settings.count(ev)
            if errors:
                self.heard[node] = errors
