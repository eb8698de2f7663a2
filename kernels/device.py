"""Devices as plans, metas and generated code name them: "cpu", "cuda:0". This is where such a text is taken apart."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """kind: "cpu", "cuda", ...; index: which one of its kind ("cuda" is the first)"""

    kind: str
    index: int


def device_of(text: str) -> Device:
    """The device that a text names."""
    kind, _, index = text.partition(":")
    return Device(kind, int(index or 0))


def usable_cpus() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
