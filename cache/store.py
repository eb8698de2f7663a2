"""Looking entries up, building the missing ones once, and getting by where the disk does not play along."""

from __future__ import annotations

import atexit
import contextlib
import errno
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..clock import perf_counter, time
from ..config import config
from ..errors import CacheError, UnsafeCacheDirectory, warn
from .entry import BadEntry, Entry, MissingEntry, Signature, open_entry, plain_name, seal_entry, signature
from .key import CacheKey
from .location import Layout, Location, check_parents, check_root, find_location
from .locks import PATIENCE, locked
from .upkeep import remove, set_aside, sweep_builds, tidy

#: seconds between two notes on disk that an entry is in use; far below upkeep.GRACE
TOUCH_INTERVAL = 60.0
#: checked entries remembered per process, so that their content is hashed once
REMEMBERED = 4096
#: room that a build folder must offer before a failed build is taken for a fault of its own
_ROOM = 4 << 20
#: the folder's size is looked at when this process has added so large a share of the bound, or after an hour
_SHARE = 16
_UPKEEP_INTERVAL = 3600.0


class CacheWarning(UserWarning):
    """The cache folder cannot be used; work goes on without it."""


class _Unwritable(Exception):
    """The cache folder took no new entry; the message says why. `vanished`: it, or a part of it, was removed."""

    def __init__(self, why: str, vanished: bool = False) -> None:
        super().__init__(why)
        self.vanished = vanished


@dataclass
class Counters:
    """What a store did in this process.

    hits:        look-ups answered from disk, those that waited for another process's build included
    misses:      look-ups that found nothing to load
    builds:      builds run here that ended in an entry
    quarantined: bad entries set aside
    degraded:    1 once the cache folder was given up for a private one, else 0
    """

    hits: int = 0
    misses: int = 0
    builds: int = 0
    quarantined: int = 0
    degraded: int = 0


@dataclass
class _Checked:
    """An entry whose content was hashed by this process, and how its files looked then."""

    entry: Entry
    seen: Signature
    touched: float


class Store:
    """A cache folder as seen by one process. All methods may be called from many threads and processes.

    `root=None` stands for "no place was found" and makes the store private to the process. A folder that
    cannot be written, or must not be trusted, is given up with one `CacheWarning`; what was readable and safe
    in it is still used, new entries go to a private temporary folder that ends with the process.
    """

    def __init__(self, root: Path | str | None, *, max_bytes: int | None = None, patience: float = PATIENCE) -> None:
        self.root = None if root is None else Path(root)
        self.counters = Counters()
        self._primary = None if root is None else Layout(Path(root))
        self._private: Layout | None = None
        self._max_bytes = max_bytes
        self._patience = patience
        self._trouble: str | None = None
        self._parents_checked = False
        self._checked: dict[str, _Checked] = {}
        self._added_bytes = 0
        self._building = threading.local()
        self._mutex = threading.Lock()
        _stores.add(self)

    def get(self, key: CacheKey) -> Entry | None:
        """The entry of `key`, checked, or None. Takes no lock. A damaged entry is set aside and counts as absent."""
        entry = self._find(key.digest)
        self._count("misses" if entry is None else "hits")
        _log("miss" if entry is None else "hit", key)
        return entry

    def get_or_build(
        self, key: CacheKey, build: Callable[[Path], object], manifest: Mapping[str, Any] | None = None
    ) -> Entry:
        """The entry of `key`; if there is none, `build(folder)` writes its files into an empty folder first.

        However many threads and processes ask at once, one builds and the others wait for it. The entry
        appears whole or not at all; if `build` raises, nothing is left and the exception goes on.
        `manifest` adds fields to the entry's manifest; `label` and `origin` are shown by the command line.
        `build` may run a second time, in another folder, where the first one turns out to be full.

        Raises CacheError where not even a temporary folder can be written, or where `build` asks for its own key.
        """
        entry = self._find(key.digest)
        if entry is not None:
            self._count("hits")
            _log("hit", key)
            return entry
        with self._entered(key):
            for attempt in range(3):
                layout = self._place()
                try:
                    return self._build_in(layout, key, build, manifest or {})
                except _Unwritable as error:
                    trouble = error
                if layout is self._private:
                    break
                # A folder that somebody removed at this moment can be made again; anything else is for good.
                if not trouble.vanished or attempt:
                    self._degrade(str(trouble))
        raise CacheError(
            f"neither the cache folder {self.root} ({self._trouble}) nor the temporary folder {layout.root} ({trouble}) "
            "can be written; free some space, or set QUERN_CACHE_DIR or TMPDIR to a folder with room"
        ) from trouble

    def put(self, key: CacheKey, files: Mapping[str, bytes], manifest: Mapping[str, Any] | None = None) -> Entry:
        """Keep `files` under `key`; the entry as it now is. One that exists is left as it is, for a key names its content.

        Raises CacheError for a file name that is not a plain relative path, and as `get_or_build` does.
        """
        for name in files:
            if not plain_name(name):
                raise CacheError(f"{name!r} cannot be the name of a file in a cache entry; use a plain relative path")

        def write(folder: Path) -> None:
            for name, data in files.items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

        return self.get_or_build(key, write, manifest)

    # Finding

    def _find(self, digest: str, locked_in: Layout | None = None) -> Entry | None:
        for layout in self._readable():
            if (entry := self._recall(layout, digest)) is not None:
                return entry
            try:
                entry, seen = open_entry(layout.entry(digest), digest)
            except (MissingEntry, OSError):
                continue
            except BadEntry as trouble:
                if (again := self._replace_bad(layout, digest, str(trouble), layout is locked_in)) is None:
                    continue
                entry, seen = again
            self._remember(entry, seen)
            return entry
        return None

    def _recall(self, layout: Layout, digest: str) -> Entry | None:
        """The entry if this process has checked it before and its files have not been touched since."""
        known = self._checked.get(digest)
        if known is None or known.entry.folder != layout.entry(digest):
            return None
        try:
            unchanged = signature(known.entry) == known.seen
        except OSError:
            unchanged = False
        if not unchanged:
            self._checked.pop(digest, None)
            return None
        now = time()
        if now - known.touched > TOUCH_INTERVAL:
            known.touched = now
            _touch(known.entry.folder)
        return known.entry

    def _remember(self, entry: Entry, seen: Signature) -> None:
        _touch(entry.folder)
        with self._mutex:
            while len(self._checked) >= REMEMBERED:
                self._checked.pop(next(iter(self._checked)), None)
            self._checked[entry.digest] = _Checked(entry, seen, time())

    def _replace_bad(self, layout: Layout, digest: str, why: str, lock_held: bool) -> tuple[Entry, Signature] | None:
        """Set a bad entry aside, unless its builder is at it already; a good one that took its place is returned."""
        try:
            with contextlib.nullcontext(True) if lock_held else locked(layout.lock(digest), wait=0) as mine:
                if not mine:
                    return None
                try:
                    return open_entry(layout.entry(digest), digest)
                except MissingEntry:
                    return None
                except BadEntry as trouble:
                    why = str(trouble)
                set_aside(layout, digest, why)
        except OSError as error:
            # A folder that takes no writes keeps its bad entry: never loaded, and built anew elsewhere.
            _note(f"bad entry {digest[:12]} stays in {layout.root}: {why}; {_reason(error)}")
            return None
        self._count("quarantined")
        _note(f"bad entry {digest[:12]} set aside: {why}")
        return None

    # Building

    def _build_in(
        self, layout: Layout, key: CacheKey, build: Callable[[Path], object], about: Mapping[str, Any]
    ) -> Entry:
        with contextlib.ExitStack() as stack:
            with _writing():
                layout.prepare()
                mine = stack.enter_context(locked(layout.lock(key.digest), self._patience))
            if not mine:
                _note(f"waited {self._patience:.0f} s for another process to build {key.digest[:12]}; building it here")
            if (entry := self._find(key.digest, locked_in=layout if mine else None)) is not None:
                self._count("hits")
                _log("hit (after waiting)", key)
                return entry
            self._count("misses")
            _log("miss, building", key, about)
            with _writing():
                if mine:  # then whoever left a half-built folder is dead
                    sweep_builds(layout, key.digest)
                work = Path(tempfile.mkdtemp(prefix=f"{key.digest}.", dir=layout.tmp))
            try:
                entry = self._fill_and_publish(layout, work, key, build, about)
            finally:
                shutil.rmtree(work, ignore_errors=True)
        self._count("builds")
        self._after_publishing(layout, entry)
        return entry

    def _fill_and_publish(
        self, layout: Layout, work: Path, key: CacheKey, build: Callable[[Path], object], about: Mapping[str, Any]
    ) -> Entry:
        start = perf_counter()
        try:
            build(work)
        except Exception as error:
            if (full := _lack_of_room(work)) is not None:
                raise _Unwritable(full, vanished=not work.exists()) from error
            raise
        with _writing():
            manifest = seal_entry(work, key, about, perf_counter() - start)
            final = layout.entry(key.digest)
            final.parent.mkdir(mode=0o700, exist_ok=True)
            try:
                os.rename(work, final)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                    raise
                return self._yield_to_other(layout, work, key.digest)
            entry = Entry(final, manifest)
            self._remember(entry, signature(entry))
            return entry

    def _yield_to_other(self, layout: Layout, work: Path, digest: str) -> Entry:
        """Another process published first (ours ran out of patience for its lock): use its entry if it is good."""
        final = layout.entry(digest)
        try:
            entry, seen = open_entry(final, digest)
        except (BadEntry, MissingEntry):
            with contextlib.suppress(FileNotFoundError):
                remove(layout, digest)
            os.rename(work, final)
            entry, seen = open_entry(final, digest)
        self._remember(entry, seen)
        return entry

    def _after_publishing(self, layout: Layout, entry: Entry) -> None:
        """Now and then, keep the folder within its bound."""
        if layout is self._private:
            return
        bound = config.cache_max_bytes if self._max_bytes is None else self._max_bytes
        with self._mutex:
            self._added_bytes += entry.size
            due = self._added_bytes * _SHARE >= bound
        with contextlib.suppress(OSError):  # a failed clean-up harms nobody and comes round again
            if due or _age(layout.upkeep) > _UPKEEP_INTERVAL:
                self._added_bytes = 0
                if removed := tidy(layout, bound):
                    _note(f"{len(removed)} least recently used entries removed to keep within {bound} bytes")

    @contextlib.contextmanager
    def _entered(self, key: CacheKey) -> Iterator[None]:
        """Refuse a build that asks for its own key: it would wait for itself."""
        active: set[str] = self._building.__dict__.setdefault("digests", set())
        if key.digest in active:
            raise CacheError(
                f"the build of {key.kind} {key.digest[:12]} asked for its own result; it cannot wait for itself"
            )
        active.add(key.digest)
        try:
            yield
        finally:
            active.discard(key.digest)

    # Where to

    def _readable(self) -> list[Layout]:
        layouts = []
        if self._primary is not None and self._trusted(self._primary):
            layouts.append(self._primary)
        if self._private is not None and _still_ours(self._private):
            layouts.append(self._private)
        return layouts

    def _trusted(self, layout: Layout) -> bool:
        """Whether the cache folder is there and only this user can put files into it."""
        try:
            if check_root(layout.root) is None:
                return False
            if not self._parents_checked:
                check_parents(layout.root)
                self._parents_checked = True
        except CacheError as error:
            self._degrade(str(error))
            return False
        return True

    def _place(self) -> Layout:
        """Where a new entry goes: the cache folder, or the private one once there is trouble with that."""
        if self._primary is None:
            self._degrade("no home folder is known for this user")
        elif self._trouble is None:
            try:
                check_root(self._primary.root)
                check_parents(self._primary.root)
                return self._primary
            except CacheError as error:
                self._degrade(str(error))
        with self._mutex:
            if self._private is None or not _still_ours(self._private):
                self._private = _private_layout(self.root)
            return self._private

    def _degrade(self, why: str) -> None:
        with self._mutex:
            if self._trouble is not None:
                return
            self._trouble = why
            self.counters.degraded = 1
        where = "no folder for the cache was found" if self.root is None else f"cache folder {self.root} cannot be used"
        advice = "" if "QUERN_CACHE_DIR" in why else "; set QUERN_CACHE_DIR to a folder that you can write"
        warn(f"quern: {where}: {why}{advice}. What is compiled now is lost when this process ends.", CacheWarning)

    @property
    def trouble(self) -> str | None:
        """Why the cache folder was given up, or None."""
        return self._trouble

    def _count(self, name: str) -> None:
        with self._mutex:
            setattr(self.counters, name, getattr(self.counters, name) + 1)


def default_store() -> Store:
    """The store that the settings name: one per process and place, made anew when the settings change."""
    global _default
    location = find_location()
    current = _default
    if current is None or current[0] != location:
        with _default_mutex:
            current = _default
            if current is None or current[0] != location:
                current = _default = (location, Store(location.root))
    return current[1]


_default: tuple[Location, Store] | None = None
_default_mutex = threading.Lock()
_stores: weakref.WeakSet[Store] = weakref.WeakSet()


def _after_fork() -> None:
    """A fork may copy a mutex that another thread holds, and nobody in the child would ever release it."""
    global _default_mutex
    _default_mutex = threading.Lock()
    for store in _stores:
        store._mutex = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Turn a failing disk into `_Unwritable`. Never put around a caller's code."""
    try:
        yield
    except OSError as error:
        raise _Unwritable(_reason(error), vanished=isinstance(error, FileNotFoundError)) from error


def _reason(error: OSError) -> str:
    text = error.strerror or str(error)
    return f"{text} ({error.filename})" if error.filename else text


def _lack_of_room(folder: Path) -> str | None:
    """Why `folder` cannot take a file of a few MB, or None: tells a full disk from a build that failed on its own."""
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(probe.fileno(), 0, _ROOM)
            else:
                probe.write(bytes(_ROOM))
                probe.flush()
    except OSError as error:
        return _reason(error)
    return None


def _still_ours(layout: Layout) -> bool:
    """Whether a temporary folder is there and private: a forked child outlives its parent's, and in /tmp anybody
    may then take the name."""
    try:
        return check_root(layout.root) is not None
    except CacheError:
        return False


def _private_layout(root: Path | None) -> Layout:
    """A temporary folder for this process in place of `root`, removed when the process ends."""
    candidates = []
    with contextlib.suppress(FileNotFoundError):
        candidates.append(tempfile.gettempdir())
    if os.path.isdir("/dev/shm"):
        candidates.append("/dev/shm")
    for parent in candidates:
        try:
            check_parents(Path(parent, "quern"))
            folder = Path(tempfile.mkdtemp(prefix="quern-private-", dir=parent))
        except (OSError, UnsafeCacheDirectory):
            continue
        if _lack_of_room(folder) is None:
            atexit.register(_remove_private, folder, os.getpid())
            return Layout(folder)
        shutil.rmtree(folder, ignore_errors=True)
    tried = ", ".join(candidates) or "none found"
    raise CacheError(
        f"neither the cache folder {root} nor a temporary folder ({tried}) can be used to compile in; "
        "set QUERN_CACHE_DIR or TMPDIR to a folder that you can write"
    )


def _remove_private(folder: Path, pid: int) -> None:
    if os.getpid() == pid:  # a forked child must not remove its parent's folder
        shutil.rmtree(folder, ignore_errors=True)


def _touch(folder: Path) -> None:
    """Note that an entry is in use, unless that was noted just now. A folder that takes no notes is fine."""
    with contextlib.suppress(OSError):
        if time() - os.stat(folder).st_mtime > TOUCH_INTERVAL:
            os.utime(folder)


def _age(path: Path) -> float:
    try:
        return time() - os.stat(path).st_mtime
    except FileNotFoundError:
        return float("inf")


def _log(what: str, key: CacheKey, about: Mapping[str, Any] | None = None) -> None:
    if "cache" in config.logs:
        label = f" {about['label']}" if about and about.get("label") else ""
        print(f"[quern cache] {what}: {key.kind} {key.digest[:12]}{label}", file=sys.stderr)


def _note(text: str) -> None:
    if "cache" in config.logs:
        print(f"[quern cache] {text}", file=sys.stderr)
