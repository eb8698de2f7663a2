"""A no with its reason, as a value: why two loop groups were not fused, why a strategy does not emit a kernel."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """Why something is not done. kind: "legality" (would be wrong) or "heuristic" (would be slow)."""

    code: str
    kind: str
    detail: str = ""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        return f"{self.code} ({self.kind})" + (f": {self.detail}" if self.detail else "")
