"""What the captured program changed outside of itself: objects in the order of their first change.

Changes are kept in the Values themselves; an entry writes the final state of each touched object. The order of
changes within one object (new keys, new attributes) is kept by the object's Value.
"""

from __future__ import annotations

from typing import Any


class Effects:
    """The touched Values and scopes of one capture."""

    def __init__(self) -> None:
        self._touched: dict[int, Any] = {}
        #: how often something was changed
        self.count = 0

    def touch(self, value: Any) -> None:
        """Note that `value`, which exists outside, was changed."""
        self.count += 1
        self._touched.setdefault(id(value), value)

    def take_back(self, first: int) -> None:
        """Keep only what was touched first, so many of them."""
        for key in list(self._touched)[first:]:
            del self._touched[key]

    def __iter__(self) -> Any:
        return iter(list(self._touched.values()))

    def __len__(self) -> int:
        return len(self._touched)

    def __contains__(self, value: object) -> bool:
        return id(value) in self._touched

    def forget(self) -> None:
        """What was changed is written, or is not to be."""
        self._touched.clear()
