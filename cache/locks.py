"""One builder per key: file locks that the kernel drops when their holder dies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

#: seconds a process waits for another one's build before it builds for itself
PATIENCE = 600.0
#: seconds between two looks at a held lock
_POLL = 0.01


@contextlib.contextmanager
def locked(path: Path, wait: float = PATIENCE) -> Iterator[bool]:
    """Hold the lock at `path`; yields False, without it, where it could not be had within `wait` seconds.

    Raises OSError where the lock file cannot be made. The file is removed while still held. A waiter that
    opened it just before then holds a lock on a nameless file, so at worst two processes build the same entry;
    publishing is atomic, so that costs time and nothing else.
    """
    from filelock import FileLock, Timeout  # 40 ms to import, and a warm process never builds

    lock = FileLock(path, mode=0o600)
    try:
        lock.acquire(timeout=wait, poll_interval=_POLL)
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        with contextlib.suppress(OSError):  # Windows does not remove open files; the file is empty and harmless
            os.unlink(path)
        lock.release()
