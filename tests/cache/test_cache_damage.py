"""No damaged byte is ever loaded; what is damaged is set aside and built anew."""

import json
import os
import shutil

import pytest
from quern.cache import CacheKey, Store
from quern.cache.entry import MANIFEST, plain_name, sealed_text
from quern.cache.location import Layout

from quern.config import config

CONTENT = {"kernel.so": bytes(range(64)), "kernel.cpp": b"int f() { return 1; }\n"}


@pytest.fixture
def kept(store):
    key = CacheKey.make("cpp-kernel", {"source": "text", "flags": "-O3"})
    return store.put(key, CONTENT, {"label": "f"}), key


def reopened(store, key):
    """What a new process gets, with the store it used."""
    fresh = Store(store.root)
    return fresh.get(key), fresh


def assert_refused_and_rebuilt(store, key):
    entry, fresh = reopened(store, key)
    assert entry is None and fresh.counters.quarantined == 1
    rebuilt = fresh.put(key, CONTENT)
    assert {name: rebuilt.read(name) for name in rebuilt.files} == CONTENT and fresh.counters.builds == 1


def test_every_byte_flipped_in_turn(store, kept):
    entry, key = kept
    for name in (*CONTENT, MANIFEST):
        path = entry.folder / name
        good = path.read_bytes()
        for position in range(len(good)):
            bad = bytearray(good)
            bad[position] ^= 1 << position % 8
            path.write_bytes(bad)
            found, fresh = reopened(store, key)
            assert found is None, f"byte {position} of {name} was changed and the entry still loaded"
            # Put back what the look-up set aside, undamaged, for the next byte.
            (aside,) = Layout(store.root).quarantine.iterdir()
            (aside / "WHY").unlink()
            os.rename(aside, entry.folder)
            path.write_bytes(good)
    assert reopened(store, key)[0].read("kernel.so") == CONTENT["kernel.so"]


@pytest.mark.parametrize("name", [*CONTENT, MANIFEST])
@pytest.mark.parametrize("keep", [0, 1, -1])
def test_truncation(store, kept, name, keep):
    entry, key = kept
    path = entry.folder / name
    path.write_bytes(path.read_bytes()[:keep])
    assert_refused_and_rebuilt(store, key)


@pytest.mark.parametrize("name", [*CONTENT, MANIFEST])
def test_added_bytes_and_lost_files(store, kept, name):
    entry, key = kept
    with open(entry.folder / name, "ab") as file:
        file.write(b"\n")
    assert_refused_and_rebuilt(store, key)
    (entry.folder / name).unlink()
    assert_refused_and_rebuilt(store, key)


def reseal(entry, **changes):
    manifest = {name: value for name, value in entry.manifest.items() if name != "seal"} | changes
    (entry.folder / MANIFEST).write_bytes(sealed_text(manifest))


def test_a_manifest_of_another_format(store, kept):
    entry, key = kept
    reseal(entry, format=2)
    assert_refused_and_rebuilt(store, key)
    why = next(Layout(store.root).quarantine.iterdir()).joinpath("WHY").read_text()
    assert why == "the manifest has format 2, this quern reads 1\n"


def test_an_entry_under_another_ones_name(store, kept):
    entry, key = kept
    other = CacheKey.make("cpp-kernel", {"source": "text", "flags": "-O0"})
    place = Layout(store.root).entry(other.digest)
    place.parent.mkdir(exist_ok=True)
    shutil.copytree(entry.folder, place)
    assert_refused_and_rebuilt(store, other)
    reseal(entry, digest=other.digest)
    shutil.rmtree(place)
    shutil.copytree(entry.folder, place)
    assert_refused_and_rebuilt(store, other)  # sealed and named alike, but its parts hash to another digest
    assert_refused_and_rebuilt(store, key)


@pytest.mark.parametrize("changes", [{"files": None}, {"parts": []}, {"files": {"a": {}}}, {"kind": None}])
def test_a_sealed_but_malformed_manifest(store, kept, changes):
    entry, key = kept
    reseal(entry, **changes)
    assert_refused_and_rebuilt(store, key)


def test_files_outside_the_entry_are_not_followed(store, kept, tmp_path):
    entry, key = kept
    (tmp_path / "evil").write_bytes(CONTENT["kernel.so"])
    facts = entry.files["kernel.so"]
    reseal(entry, files={"../../../../../evil": facts})
    assert_refused_and_rebuilt(store, key)


def test_names_that_lead_out_of_an_entry():
    assert all(map(plain_name, ["a", "a.b", "a/b", "..a", "a b", ".hidden"]))
    assert not any(map(plain_name, ["", ".", "..", "/a", "../a", "a/..", "a/./b", "a//b", "a\\b", "a\0", MANIFEST]))


@pytest.mark.parametrize("name", ["kernel.so", MANIFEST])
def test_a_link_in_place_of_a_file_is_refused(store, kept, tmp_path, name):
    entry, key = kept
    target = tmp_path / "target"
    shutil.copy(entry.folder / name, target)
    (entry.folder / name).unlink()
    (entry.folder / name).symlink_to(target)
    assert_refused_and_rebuilt(store, key)


def test_a_pipe_in_place_of_a_file_does_not_hang(store, kept):
    entry, key = kept
    (entry.folder / "kernel.so").unlink()
    os.mkfifo(entry.folder / "kernel.so")
    assert_refused_and_rebuilt(store, key)


def test_an_empty_folder_in_place_of_an_entry(store, kept):
    entry, key = kept
    shutil.rmtree(entry.folder)
    entry.folder.mkdir()
    assert_refused_and_rebuilt(store, key)


def test_a_change_after_the_first_look_up_is_seen_too(store, kept):
    entry, key = kept
    assert store.get(key) is not None
    (entry.folder / "kernel.so").write_bytes(b"changed")
    assert store.get(key) is None and store.counters.quarantined == 1


def test_the_bad_entry_is_kept_with_its_reason_and_only_so_many(store, kept, monkeypatch, capsys):
    entry, key = kept
    monkeypatch.setattr("quern.cache.upkeep._KEPT_BAD", 3)
    for _ in range(5):
        (entry.folder / "kernel.so").write_bytes(b"changed")
        with config.patch(logs=("cache",)):
            assert store.get(key) is None
        store.put(key, CONTENT)
    aside = list(Layout(store.root).quarantine.iterdir())
    assert len(aside) == 3
    assert aside[0].joinpath("WHY").read_text() == "kernel.so has 7 bytes, its manifest says 64\n"
    assert json.loads(aside[0].joinpath(MANIFEST).read_text())["label"] in ("f", "")
    assert f"bad entry {key.digest[:12]} set aside: kernel.so has 7 bytes" in capsys.readouterr().err


def test_a_bad_entry_is_left_to_the_process_that_builds_it(store, kept):
    from filelock import FileLock

    entry, key = kept
    (entry.folder / "kernel.so").write_bytes(b"changed")
    layout = Layout(store.root)
    with FileLock(layout.lock(key.digest)):
        found, fresh = reopened(store, key)
    assert found is None and fresh.counters.quarantined == 0 and entry.folder.exists()
