"""One finished entry: a folder of files and a sealed, readable manifest.

`manifest.json` lists every file with its size and sha256 and ends in a seal, the sha256 of all of its own text
before the seal, so that no byte of an entry can change unseen::

    {
      "format": 1,
      "kind": "cpp-kernel",
      "digest": "ab12...",
      "label": "softmax_layer_norm_0 (cpp)",
      ...
      "files": {"kernel.so": {"bytes": 20480, "sha256": "..."}},
      "seal": "..."
    }
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..clock import time
from ..errors import CacheError
from .key import CacheKey, digest_of

MANIFEST = "manifest.json"
FORMAT_NUMBER = 1
_SEAL = b'  "seal": "'
_END = b'"\n}\n'
#: fields that the cache itself writes; a caller's manifest may not set them
RESERVED = ("format", "kind", "digest", "created", "build_seconds", "parts", "files", "seal")

#: what must agree for a file to be taken as the one that was checked: inode, size, modification time
Signature = tuple[tuple[int, int, int], ...]


class BadEntry(Exception):
    """An entry that must not be loaded; the message says what is wrong with it."""


class MissingEntry(Exception):
    """There is no such entry, or it went away while it was being read."""


class EntryGone(CacheError):
    """An entry was removed (by `quern cache clear`, say) after it was looked up. Look it up again."""


@dataclass(frozen=True)
class Entry:
    """A checked entry. Read it soon: one unused for ten minutes may be removed to make room."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def digest(self) -> str:
        return self.manifest["digest"]

    @property
    def kind(self) -> str:
        return self.manifest["kind"]

    @property
    def label(self) -> str:
        return self.manifest.get("label", "")

    @property
    def files(self) -> dict[str, dict[str, Any]]:
        """Size and sha256 of each file, by name."""
        return self.manifest["files"]

    @property
    def size(self) -> int:
        """Bytes of all files together, without the manifest."""
        return sum(facts["bytes"] for facts in self.files.values())

    def path(self, name: str) -> Path:
        """The path of one file. Raises CacheError where the entry has no such file, EntryGone where it was removed."""
        if name not in self.files:
            raise CacheError(f"cache entry {self.digest[:12]} has no file {name!r}; it has {', '.join(self.files)}")
        path = self.folder / name
        if not path.exists():
            raise EntryGone(f"cache entry {self.digest[:12]} was removed from {self.folder} while in use; try again")
        return path

    def read(self, name: str) -> bytes:
        """The content of one file. Raises as `path` does."""
        path = self.path(name)
        try:
            return path.read_bytes()
        except FileNotFoundError as error:
            raise EntryGone(
                f"cache entry {self.digest[:12]} was removed from {self.folder} in use; try again"
            ) from error

    def last_used(self) -> float:
        """When the entry was last used (seconds since the epoch, to about a minute). Raises OSError where it is gone."""
        return os.stat(self.folder).st_mtime


def seal_entry(folder: Path, key: CacheKey, about: Mapping[str, Any], build_seconds: float) -> dict[str, Any]:
    """Write the manifest of the files found in `folder` and fsync everything: the last step before publishing.

    Raises CacheError for a link or other special file, or where `about` sets a reserved field.
    """
    if taken := sorted(set(about) & set(RESERVED)):
        raise CacheError(f"manifest field {taken[0]!r} is written by the cache itself; use another name")
    files = {}
    for name, path in sorted(_walk(folder)):
        if path.is_symlink() or not path.is_file():
            raise CacheError(f"{name!r} in a cache entry is a link or special file; write plain files")
        if name == MANIFEST:
            raise CacheError(f"a cache entry's own files may not be called {MANIFEST}; use another name")
        data = path.read_bytes()
        _sync(path)
        files[name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    manifest = {
        "format": FORMAT_NUMBER,
        "kind": key.kind,
        "digest": key.digest,
        "label": "",
        "origin": "",
        **about,
        "created": round(time(), 3),
        "build_seconds": round(build_seconds, 4),
        "parts": key.describe_parts(),
        "files": files,
    }
    path = folder / MANIFEST
    path.write_bytes(sealed_text(manifest))
    _sync(path)
    _sync(folder)
    return manifest


def sealed_text(manifest: Mapping[str, Any]) -> bytes:
    """The bytes of a manifest file. Raises CacheError where a field is not JSON data."""
    try:
        body = json.dumps(manifest, indent=2, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise CacheError(f"a cache manifest must be plain JSON data: {error}") from error
    body = body.removesuffix(b"\n}") + b",\n"
    return body + _SEAL + hashlib.sha256(body).hexdigest().encode() + _END


def parse_manifest(data: bytes, digest: str) -> dict[str, Any]:
    """The manifest in `data`. Raises BadEntry where it is damaged, of another format, or of another entry."""
    body, seal, tail = data.rpartition(_SEAL)
    if not seal or tail != hashlib.sha256(body).hexdigest().encode() + _END:
        raise BadEntry("the manifest is damaged: its seal does not match")
    try:
        manifest = json.loads(body.removesuffix(b",\n") + b"\n}")
        _check_manifest(manifest, digest)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadEntry(f"the manifest is sealed but malformed: {error!r}") from error
    return manifest


def _check_manifest(manifest: dict[str, Any], digest: str) -> None:
    if manifest["format"] != FORMAT_NUMBER:
        raise BadEntry(f"the manifest has format {manifest['format']!r}, this quern reads {FORMAT_NUMBER}")
    # The seal shows that nothing changed by accident; this shows that the entry is what its address says.
    if manifest["digest"] != digest:
        raise BadEntry(f"the manifest is that of entry {manifest['digest'][:12]}")
    if digest_of(manifest["kind"], {name: part["sha256"] for name, part in manifest["parts"].items()}) != digest:
        raise BadEntry("the key's parts do not give the entry's digest")
    for name in manifest["files"]:
        if not plain_name(name):
            raise BadEntry(f"file name {name!r} leads out of the entry")


def plain_name(name: str) -> bool:
    """Whether `name` is a relative path that stays inside its folder and is not the manifest."""
    path = PurePosixPath(name)
    inside = not path.is_absolute() and ".." not in path.parts and "\\" not in name and "\0" not in name
    return inside and name not in ("", ".", MANIFEST) and str(path) == name


def open_entry(folder: Path, digest: str) -> tuple[Entry, Signature]:
    """Read and check one entry completely.

    Returns the entry and the signature of its files (manifest first). Raises MissingEntry, BadEntry, or OSError
    where the disk fails.
    """
    entry = Entry(folder, parse_manifest(_read_owned(folder, MANIFEST), digest))
    for name, facts in entry.files.items():
        data = _read_owned(folder, name)
        if len(data) != facts["bytes"]:
            raise BadEntry(f"{name} has {len(data)} bytes, its manifest says {facts['bytes']}")
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise BadEntry(f"the content of {name} does not match its checksum")
    return entry, signature(entry)


def signature(entry: Entry) -> Signature:
    """A cheap fingerprint of the entry's files as they now lie on disk. Raises OSError where one is missing."""
    found = []
    for name in (MANIFEST, *entry.files):
        info = os.lstat(f"{entry.folder}/{name}")
        found.append((info.st_ino, info.st_size, info.st_mtime_ns))
    return tuple(found)


def _read_owned(folder: Path, name: str) -> bytes:
    """The content of a file, refusing links and files of other users."""
    try:
        fd = os.open(f"{folder}/{name}", os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        # Removal renames the whole folder: if it still stands, one file was lost.
        if folder.is_dir():
            raise BadEntry(f"{name} is missing") from None
        raise MissingEntry(str(folder)) from None
    except OSError as error:
        if folder.joinpath(name).is_symlink():
            raise BadEntry(f"{name} is a symbolic link") from error
        raise
    with open(fd, "rb") as file:
        info = os.fstat(fd)
        if hasattr(os, "geteuid") and info.st_uid not in (os.geteuid(), 0):
            raise BadEntry(f"{name} belongs to user {info.st_uid}")
        return file.read()


def _walk(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every file below `folder` with its name relative to it, `/` between the parts; links are not followed."""
    for top, folders, files in os.walk(folder):
        # os.walk lists links to folders among the folders, and does not enter them.
        links = [name for name in folders if os.path.islink(os.path.join(top, name))]
        for name in files + links:
            path = Path(top, name)
            yield path.relative_to(folder).as_posix(), path


def _sync(path: Path) -> None:
    """Have the file or folder reach the disk, where the system can."""
    if os.name != "posix" and path.is_dir():
        return
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
