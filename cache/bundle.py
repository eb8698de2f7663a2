"""Portable bundles: entries in one zip file, checked on the way in as strictly as on disk.

A bundle holds machine code. Its checksums show that it arrived whole, not who made it: import only what you trust.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import CacheError
from .entry import MANIFEST, BadEntry, MissingEntry, open_entry, parse_manifest
from .location import Layout
from .locks import locked
from .upkeep import set_aside

_INDEX = "quern-bundle.json"
_FORMAT = 1
#: more than any manifest has; guards against a crafted file that unpacks without end
_MANIFEST_LIMIT = 16 << 20
#: what zipfile raises for a damaged, encrypted or exotic member
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)


@dataclass(frozen=True)
class Verdict:
    """What became of one entry of a bundle: "imported", "present" (it was there already) or "rejected", and why."""

    digest: str
    label: str
    verdict: str
    reason: str = ""


def export_bundle(layout: Layout, digests: Iterable[str], target: Path) -> tuple[list[str], list[Verdict]]:
    """Write the given entries to `target`, each checked first: (digests written, entries left out and why).

    `target` appears whole or not at all; one that exists is replaced. Raises OSError where it cannot be written.
    """
    written: list[str] = []
    left_out: list[Verdict] = []
    handle, unfinished = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with open(handle, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as bundle:
            for digest in sorted(digests):
                try:
                    entry, _ = open_entry(layout.entry(digest), digest)
                    contents = {name: entry.read(name) for name in entry.files}
                    manifest = entry.folder.joinpath(MANIFEST).read_bytes()
                except (BadEntry, MissingEntry, CacheError, OSError) as problem:
                    left_out.append(Verdict(digest, "", "rejected", str(problem)))
                    continue
                bundle.writestr(f"{digest}/{MANIFEST}", manifest)
                for name, data in contents.items():
                    bundle.writestr(f"{digest}/{name}", data)
                written.append(digest)
            bundle.writestr(_INDEX, json.dumps({"format": _FORMAT, "entries": written}))
        os.replace(unfinished, target)
    except BaseException:
        os.unlink(unfinished)
        raise
    return written, left_out


def import_bundle(layout: Layout, source: Path) -> list[Verdict]:
    """Add the entries of a bundle; one verdict per entry.

    Raises CacheError where `source` is not a bundle, OSError where the cache folder cannot be written.
    """
    try:
        with zipfile.ZipFile(source) as bundle:
            layout.prepare()
            return [_import_entry(layout, bundle, digest) for digest in _index(bundle)]
    except (BadEntry, KeyError, ValueError, TypeError, *_UNREADABLE) as error:
        raise CacheError(f"{source} is not a bundle made by `quern cache export`: {error}") from error


def _index(bundle: zipfile.ZipFile) -> list[str]:
    index = json.loads(_member(bundle, _INDEX, _MANIFEST_LIMIT))
    if index["format"] != _FORMAT:
        raise ValueError(f"it has format {index['format']!r}, this quern reads {_FORMAT}")
    for digest in index["entries"]:
        if not (isinstance(digest, str) and len(digest) == 64 and set(digest) <= set("0123456789abcdef")):
            raise ValueError(f"{digest!r} is not the name of an entry")
    return index["entries"]


def _import_entry(layout: Layout, bundle: zipfile.ZipFile, digest: str) -> Verdict:
    label = ""
    try:
        text = _member(bundle, f"{digest}/{MANIFEST}", _MANIFEST_LIMIT)
        manifest = parse_manifest(text, digest)
        label = str(manifest.get("label", ""))
        files = {MANIFEST: text}
        for name, facts in manifest["files"].items():
            data = files[name] = _member(bundle, f"{digest}/{name}", facts["bytes"])
            if hashlib.sha256(data).hexdigest() != facts["sha256"]:
                raise BadEntry(f"the content of {name} does not match its checksum")
    except (BadEntry, KeyError, *_UNREADABLE) as problem:
        return Verdict(digest, label, "rejected", str(problem).strip('"'))
    with locked(layout.lock(digest)):
        try:
            open_entry(layout.entry(digest), digest)
            return Verdict(digest, label, "present")
        except MissingEntry:
            pass
        except BadEntry as problem:
            set_aside(layout, digest, str(problem))
        with _work_folder(layout, digest) as work:
            for name, data in files.items():
                path = work / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            layout.entry(digest).parent.mkdir(mode=0o700, exist_ok=True)
            os.rename(work, layout.entry(digest))
    return Verdict(digest, label, "imported")


def _member(bundle: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """One file of the bundle, never unpacking more than `limit` bytes. Raises KeyError, BadEntry, BadZipFile."""
    with bundle.open(name) as member:
        data = member.read(limit + 1)
    if len(data) > limit:
        raise BadEntry(f"{name} is longer than it should be")
    return data


@contextlib.contextmanager
def _work_folder(layout: Layout, digest: str) -> Iterator[Path]:
    work = Path(tempfile.mkdtemp(prefix=f"{digest}.", dir=layout.tmp))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
