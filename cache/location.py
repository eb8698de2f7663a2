"""Where the cache lies on disk, and whether that place can be trusted.

Layout under the root (`v1` changes when a reader of one format could misread the other)::

    v1/entries/ab/<digest>/    one finished entry: its files and manifest.json; the folder's mtime is "last used"
    v1/locks/<digest>.lock     held by the process that is building that entry, removed afterwards
    v1/tmp/<digest>.<random>/  an entry being built; stale as soon as nobody holds the digest's lock
    v1/quarantine/             bad entries set aside for inspection, a bounded number of them
    v1/upkeep                  its mtime is when the size of the cache was last looked at
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ..config import config
from ..errors import CacheError, UnsafeCacheDirectory

FORMAT = "v1"


@dataclass(frozen=True)
class Layout:
    """The paths of one cache root. Nothing here touches the disk except `prepare`."""

    root: Path

    @property
    def base(self) -> Path:
        return self.root / FORMAT

    @property
    def entries(self) -> Path:
        return self.base / "entries"

    @property
    def tmp(self) -> Path:
        return self.base / "tmp"

    @property
    def quarantine(self) -> Path:
        return self.base / "quarantine"

    @property
    def locks(self) -> Path:
        return self.base / "locks"

    @property
    def upkeep(self) -> Path:
        return self.base / "upkeep"

    def entry(self, digest: str) -> Path:
        return self.entries / digest[:2] / digest

    def lock(self, name: str) -> Path:
        """The lock of an entry (by digest), or of the folder's upkeep."""
        return self.locks / f"{name}.lock"

    def prepare(self) -> None:
        """Make the folders, private to this user. Raises OSError where that cannot be done."""
        if not self.root.is_dir():
            self.root.parent.mkdir(parents=True, exist_ok=True)
            self.root.mkdir(mode=0o700, exist_ok=True)
        for folder in (self.base, self.entries, self.tmp, self.locks):
            if not folder.is_dir():
                folder.mkdir(mode=0o700, exist_ok=True)


@dataclass(frozen=True)
class Location:
    """A cache root and what named it. `root` is None where no place could be found."""

    root: Path | None
    source: str


def find_location() -> Location:
    """The cache root that the settings ask for: `config.cache_dir`, `$QUERN_CACHE_DIR`, `$XDG_CACHE_HOME/quern`,
    `~/.cache/quern`; the first that is set. Read anew at each call; touches no disk."""
    if config.cache_dir:
        return Location(_absolute(config.cache_dir), "quern.config.cache_dir")
    if chosen := os.environ.get("QUERN_CACHE_DIR"):
        return Location(_absolute(chosen), "QUERN_CACHE_DIR")
    # The XDG specification asks that a relative path be ignored.
    if (xdg := os.environ.get("XDG_CACHE_HOME", "")) and os.path.isabs(xdg):
        return Location(Path(xdg, "quern"), "XDG_CACHE_HOME")
    try:
        return Location(Path.home() / ".cache" / "quern", "home folder")
    except RuntimeError:  # neither HOME nor an entry for this user in the password database
        return Location(None, "home folder")


def _absolute(path: str) -> Path:
    return Path(os.path.abspath(os.path.expanduser(path)))


def check_root(root: Path) -> os.stat_result | None:
    """Raise UnsafeCacheDirectory where another user could put files into `root`; None where it does not exist.

    Cheap (one or two stat calls), so it is asked at every look-up. Files made by root are trusted: root
    can do anything anyway, and images are baked by it.
    """
    if not hasattr(os, "geteuid"):
        return os.stat(root) if root.exists() else None
    trusted = (os.geteuid(), 0)
    try:
        info = os.lstat(root)
        if stat.S_ISLNK(info.st_mode):
            if info.st_uid not in trusted:
                raise UnsafeCacheDirectory(
                    f"cache folder {root} is a symbolic link made by user {info.st_uid}, who could point it elsewhere; "
                    "set QUERN_CACHE_DIR to a folder of your own"
                )
            info = os.stat(root)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CacheError(
            f"cache folder {root} cannot be looked at: {error.strerror}; set QUERN_CACHE_DIR to a folder of your own"
        ) from error
    if not stat.S_ISDIR(info.st_mode):
        raise CacheError(f"cache folder {root} is not a folder; remove it, or set QUERN_CACHE_DIR to another place")
    if info.st_uid not in trusted:
        raise UnsafeCacheDirectory(
            f"cache folder {root} belongs to user {info.st_uid}, not to you (user {trusted[0]}): nothing is loaded "
            "from it; set QUERN_CACHE_DIR to a folder of your own"
        )
    if info.st_mode & 0o022:
        raise UnsafeCacheDirectory(
            f"cache folder {root} can be written by other users (mode {stat.S_IMODE(info.st_mode):04o}): nothing is "
            f"loaded from it; remove it and let quern make a private one, or set QUERN_CACHE_DIR to a folder of your own"
        )
    return info


def check_parents(root: Path) -> None:
    """Raise UnsafeCacheDirectory where anyone may replace a folder on the way to `root`.

    A world-writable folder is harmless when sticky (as /tmp is): there only the owner renames or removes.
    """
    if not hasattr(os, "geteuid"):
        return
    for parent in Path(os.path.realpath(root)).parents:
        try:
            mode = os.stat(parent).st_mode
        except OSError:
            continue  # it does not exist yet, and will then be made by this user
        if mode & 0o002 and not mode & stat.S_ISVTX:
            raise UnsafeCacheDirectory(
                f"cache folder {root} lies in {parent}, which anyone can write to (mode {stat.S_IMODE(mode):04o}) and "
                f"so replace it: nothing is loaded from it; run `chmod o-w {parent}` if it is yours, or set "
                "QUERN_CACHE_DIR to a folder of your own"
            )
