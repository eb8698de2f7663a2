"""The on-disk store: content-addressed, file-locked, checked.

>>> key = CacheKey.make("cpp-kernel", {"source": text, "compiler": "g++ 12.2", "flags": "-O3"})
>>> entry = default_store().get_or_build(key, compile_into, manifest={"label": "softmax_0 (cpp)"})
>>> ctypes.CDLL(entry.path("kernel.so"))

An entry is a folder of files under a name that is the hash of everything that can change them. It appears whole
or not at all, is built once however many processes ask, and is checked before it is used. What the files mean
is the caller's business: this package knows nothing of compilers.
"""

from .entry import Entry, EntryGone
from .key import CacheKey
from .location import find_location
from .store import CacheWarning, Counters, Store, default_store

__all__ = ["CacheKey", "CacheWarning", "Counters", "Entry", "EntryGone", "Store", "default_store", "find_location"]
