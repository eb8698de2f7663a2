"""Cache keys: a kind and named parts, hashed so that two keys can later be compared part by part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import CacheError

#: parts whose canonical JSON is longer than this are kept in manifests as hash and length only
VERBATIM_LIMIT = 400

#: what holds no other values
_PLAIN = frozenset((str, int, float, bool, type(None)))
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class CacheKey:
    """What an entry is found by. Make one with `CacheKey.make`.

    kind:   what sort of thing the entry is, e.g. ``"cpp-kernel"``, ``"plan"``
    parts:  everything that can change the result, by name; not to be written to
    hashes: sha256 of each part's canonical JSON, by name
    digest: sha256 over the kind and the parts' hashes: 64 hex digits
    """

    kind: str = field(compare=False)
    parts: Mapping[str, Any] = field(compare=False, repr=False)
    hashes: Mapping[str, str] = field(compare=False, repr=False)
    digest: str

    @staticmethod
    def make(kind: str, parts: Mapping[str, Any]) -> CacheKey:
        """The key of `parts`; the order of the parts does not matter.

        Raises CacheError, naming the part, where a value is not plain JSON data (str, int, finite float,
        bool, None, lists and string-keyed dicts of these).
        """
        hashes = {}
        for name in sorted(parts):
            try:
                text = _canonical(parts[name])  # it refuses what holds itself
                _refuse_other_keys(parts[name])
            except (TypeError, ValueError) as error:
                raise CacheError(
                    f"part {name!r} of a {kind!r} cache key is not plain JSON data ({error}); "
                    "pass strings, numbers, lists and string-keyed dicts"
                ) from None
            hashes[name] = hashlib.sha256(text.encode()).hexdigest()
        return CacheKey(kind, dict(parts), hashes, digest_of(kind, hashes))

    def describe_parts(self) -> dict[str, dict[str, Any]]:
        """The parts as a manifest keeps them: each one's hash, and its value (short) or length (long)."""
        described = {}
        for name, part_hash in self.hashes.items():
            text = _canonical(self.parts[name])
            kept = {"value": self.parts[name]} if len(text) <= VERBATIM_LIMIT else {"characters": len(text)}
            described[name] = {"sha256": part_hash, **kept}
        return described


def _refuse_other_keys(value: Any) -> None:
    """JSON would silently turn the keys 1 and "1" into one; two different parts must not share a hash."""
    todo = [value]
    for held in todo:  # it grows meanwhile: a part may hold thousands of values
        if isinstance(held, dict):
            for name in held:
                if not isinstance(name, str):
                    raise TypeError(f"dict key {name!r} is not a string")
            todo.extend(held.values())
        elif isinstance(held, (list, tuple)):
            todo.extend([inner for inner in held if type(inner) not in _PLAIN])


def digest_of(kind: str, hashes: Mapping[str, str]) -> str:
    """The digest of a key with these part hashes: lets a manifest be checked against its own address."""
    return hashlib.sha256(_canonical([kind, sorted(hashes.items())]).encode()).hexdigest()
