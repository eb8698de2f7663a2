"""Looking over and tidying a whole cache folder. Every function takes a `Layout` and works beside running readers."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clock import time, time_ns
from .entry import MANIFEST, BadEntry, MissingEntry, open_entry, parse_manifest
from .location import Layout
from .locks import locked

#: an entry used within this many seconds is not evicted: somebody may be about to load it
GRACE = 600.0
#: eviction goes down to this share of the bound, so that it is rare
_LOW_WATER = 0.8
#: bad entries kept for inspection
_KEPT_BAD = 20


@dataclass(frozen=True)
class Listed:
    """One entry as a listing shows it. `manifest` is empty and `problem` set where the manifest cannot be used."""

    digest: str
    folder: Path
    bytes: int
    last_used: float
    manifest: dict[str, Any]
    problem: str = ""

    @property
    def kind(self) -> str:
        return self.manifest.get("kind", "?")


@dataclass(frozen=True)
class Checked:
    """What a full check of one entry found: `problem` is "" where it is good."""

    digest: str
    problem: str
    set_aside: bool


def entry_folders(layout: Layout) -> Iterator[os.DirEntry[str]]:
    """The folders of all entries, in no order. One that vanishes meanwhile is passed over."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(layout.entries) as groups:
        for group in groups:
            if len(group.name) != 2 or not group.is_dir(follow_symlinks=False):
                continue
            with contextlib.suppress(FileNotFoundError), os.scandir(group.path) as folders:
                for folder in folders:
                    if len(folder.name) == 64 and folder.is_dir(follow_symlinks=False):
                        yield folder


def list_entries(layout: Layout) -> list[Listed]:
    """All entries, most recently used first. Reads manifests, not the files themselves."""
    listed = []
    for found in entry_folders(layout):
        folder = Path(found.path)
        try:
            last_used = os.stat(folder).st_mtime
            size = folder_size(folder)[0]
            manifest = parse_manifest(folder.joinpath(MANIFEST).read_bytes(), found.name)
            listed.append(Listed(found.name, folder, size, last_used, manifest))
        except BadEntry as problem:
            listed.append(Listed(found.name, folder, size, last_used, {}, str(problem)))
        except OSError as error:
            if folder.is_dir():
                listed.append(Listed(found.name, folder, 0, 0.0, {}, error.strerror or str(error)))
    return sorted(listed, key=lambda entry: (-entry.last_used, entry.digest))


def check_entries(layout: Layout, repair: bool = True) -> Iterator[Checked]:
    """Read every entry completely. With `repair`, bad ones are set aside, to be built anew when next asked for."""
    for found in sorted(entry_folders(layout), key=lambda folder: folder.name):
        digest = found.name
        problem = _problem(layout, digest)
        if problem is None:
            continue
        aside = False
        if problem and repair:
            with contextlib.suppress(OSError), locked(layout.lock(digest), wait=0) as mine:
                if mine and _problem(layout, digest):  # nobody has replaced it meanwhile
                    set_aside(layout, digest, problem)
                    aside = True
        yield Checked(digest, problem, aside)


def _problem(layout: Layout, digest: str) -> str | None:
    """What is wrong with an entry: "" for nothing, None where it is gone."""
    try:
        open_entry(layout.entry(digest), digest)
    except MissingEntry:
        return None
    except BadEntry as problem:
        return str(problem)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    return ""


def statistics(layout: Layout) -> dict[str, Any]:
    """The folder summed up, as JSON data: entries, bytes, files and folders (inodes), by kind. Raises OSError."""
    entries = list_entries(layout)
    size, files = folder_size(layout.base)
    kinds: dict[str, dict[str, Any]] = {}
    for entry in entries:
        kind = kinds.setdefault(entry.kind, {"entries": 0, "bytes": 0, "build_seconds": 0.0})
        kind["entries"] += 1
        kind["bytes"] += entry.bytes
        kind["build_seconds"] = round(kind["build_seconds"] + entry.manifest.get("build_seconds", 0.0), 4)
    return {
        "path": str(layout.root),
        "entries": len(entries),
        "bytes": size,
        "files": files,
        "build_seconds": round(sum(kind["build_seconds"] for kind in kinds.values()), 4),
        "damaged": sum(bool(entry.problem) for entry in entries),
        "quarantined": len(_names(layout.quarantine)),
        "unfinished": len(_names(layout.tmp)),
        "least_recent_use": entries[-1].last_used if entries else None,
        "most_recent_use": entries[0].last_used if entries else None,
        "kinds": kinds,
    }


def folder_size(folder: Path | str) -> tuple[int, int]:
    """(bytes, number of files and folders) below `folder`; what vanishes meanwhile is not counted."""
    size = count = 0
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as inside:
        for item in inside:
            count += 1
            if item.is_dir(follow_symlinks=False):
                inner = folder_size(item.path)
                size, count = size + inner[0], count + inner[1]
            else:
                with contextlib.suppress(FileNotFoundError):
                    size += item.stat(follow_symlinks=False).st_size
    return size, count


def remove(layout: Layout, digest: str) -> None:
    """Remove one entry: gone for readers at once, its files a moment later. Raises FileNotFoundError if there is none."""
    doomed = layout.tmp / f"{digest}.gone.{secrets.token_hex(4)}"
    layout.tmp.mkdir(mode=0o700, exist_ok=True)
    os.rename(layout.entry(digest), doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def remove_all(layout: Layout, kind: str | None = None) -> list[Listed]:
    """Remove all entries, or those of one kind; with all, also what was set aside or left behind. What was removed.

    An entry that is being built is left to its builder and appears afterwards.
    """
    removed = [entry for entry in list_entries(layout) if kind in (None, entry.kind) and _removed(layout, entry.digest)]
    if kind is None:
        shutil.rmtree(layout.quarantine, ignore_errors=True)
        sweep(layout)
    return removed


def choose(
    entries: list[Listed], *, max_bytes: int | None = None, older_than: float | None = None, grace: float = GRACE
) -> list[Listed]:
    """The entries to remove, least recently used first: those unused for `older_than` seconds, then as many as it
    takes for the rest to fit `max_bytes`. None used within the last `grace` seconds is chosen."""
    now = time()
    total = sum(entry.bytes for entry in entries)
    chosen = []
    for entry in sorted(entries, key=lambda entry: entry.last_used):
        idle = now - entry.last_used
        too_old = older_than is not None and idle > older_than
        too_much = max_bytes is not None and total > max_bytes
        if idle >= grace and (too_old or too_much):
            chosen.append(entry)
            total -= entry.bytes
    return chosen


def prune(
    layout: Layout, *, max_bytes: int | None = None, older_than: float | None = None, grace: float = GRACE
) -> list[Listed]:
    """Remove what `choose` chooses, and whatever dead processes left. The entries removed.

    One process at a time does this; where another is at it, nothing is removed. Raises OSError.
    """
    if not layout.base.is_dir():
        return []
    layout.prepare()
    with locked(layout.lock("upkeep"), wait=0) as mine:
        if not mine:
            return []
        sweep(layout)
        chosen = choose(_sizes(layout), max_bytes=max_bytes, older_than=older_than, grace=grace)
        return [entry for entry in chosen if _removed(layout, entry.digest)]


def tidy(layout: Layout, max_bytes: int) -> list[Listed]:
    """The upkeep that a running process does now and then: nothing is removed while the folder is within its bound."""
    layout.upkeep.touch(mode=0o600)
    total = sum(entry.bytes for entry in _sizes(layout))
    return prune(layout, max_bytes=int(max_bytes * _LOW_WATER) if total > max_bytes else None)


def set_aside(layout: Layout, digest: str, why: str) -> None:
    """Move a bad entry out of the readers' way, with a note of what is wrong with it. Raises OSError."""
    layout.quarantine.mkdir(mode=0o700, exist_ok=True)
    place = layout.quarantine / f"{digest}.{time_ns()}"
    with contextlib.suppress(FileNotFoundError):
        os.rename(layout.entry(digest), place)
        place.joinpath("WHY").write_text(why + "\n")
    by_age = sorted(_names(layout.quarantine), key=lambda name: name.rpartition(".")[2])
    for name in by_age[:-_KEPT_BAD]:
        shutil.rmtree(layout.quarantine / name, ignore_errors=True)


def sweep(layout: Layout) -> None:
    """Remove folders and lock files of builders that are no more: those whose lock nobody holds."""
    digests = {name.partition(".")[0] for name in _names(layout.tmp)}
    digests |= {name.removesuffix(".lock") for name in _names(layout.locks)} - {"upkeep"}
    for digest in digests:
        with locked(layout.lock(digest), wait=0) as mine:
            if mine:
                sweep_builds(layout, digest)


def sweep_builds(layout: Layout, digest: str) -> None:
    """Remove half-built folders of one entry. The caller holds the entry's lock."""
    for name in _names(layout.tmp, lambda name: name.startswith(f"{digest}.")):
        shutil.rmtree(layout.tmp / name, ignore_errors=True)


def _removed(layout: Layout, digest: str) -> bool:
    try:
        remove(layout, digest)
    except FileNotFoundError:
        return False  # another process was quicker
    return True


def _sizes(layout: Layout) -> list[Listed]:
    """All entries with size and last use only: much cheaper than reading manifests."""
    found = []
    for folder in entry_folders(layout):
        with contextlib.suppress(FileNotFoundError):
            last_used = os.stat(folder.path).st_mtime
            found.append(Listed(folder.name, Path(folder.path), folder_size(folder.path)[0], last_used, {}))
    return found


def _names(folder: Path, wanted: Callable[[str], bool] = lambda name: True) -> list[str]:
    try:
        return [name for name in os.listdir(folder) if wanted(name)]
    except FileNotFoundError:
        return []
