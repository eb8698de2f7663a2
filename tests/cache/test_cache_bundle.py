"""Bundles: all that goes out comes in elsewhere; nothing damaged or crafted does."""

import json
import shutil
import zipfile

import pytest
from quern.cache import CacheKey, Store
from quern.cache.bundle import export_bundle, import_bundle
from quern.cache.location import Layout

from quern.errors import CacheError


@pytest.fixture
def exported(store, tmp_path):
    keys = [CacheKey.make("plan", {"n": n}) for n in range(3)]
    for key in keys:
        store.put(key, {"data": key.digest.encode(), "code/a.py": b"pass"}, {"label": f"plan {key.parts['n']}"})
    target = tmp_path / "out.quern"
    written, left_out = export_bundle(Layout(store.root), [key.digest for key in keys], target)
    assert sorted(written) == sorted(key.digest for key in keys) and left_out == []
    return keys, target


def test_round_trip(exported, tmp_path):
    keys, target = exported
    elsewhere = Layout(tmp_path / "elsewhere")
    verdicts = import_bundle(elsewhere, target)
    assert {verdict.verdict for verdict in verdicts} == {"imported"} and len(verdicts) == 3
    assert sorted(verdict.label for verdict in verdicts) == ["plan 0", "plan 1", "plan 2"]
    store = Store(elsewhere.root)
    for key in keys:
        assert store.get(key).read("data") == key.digest.encode() and store.get(key).read("code/a.py") == b"pass"
    assert store.counters.misses == 0
    assert {verdict.verdict for verdict in import_bundle(elsewhere, target)} == {"present"}
    assert list(elsewhere.tmp.iterdir()) == [] and list(elsewhere.locks.iterdir()) == []


def test_a_bad_entry_is_replaced_on_import_and_left_out_of_exports(exported, store, tmp_path):
    keys, target = exported
    layout = Layout(store.root)
    (layout.entry(keys[1].digest) / "data").write_bytes(b"bad")
    written, left_out = export_bundle(layout, [key.digest for key in keys], tmp_path / "second")
    assert len(written) == 2 and [one.digest for one in left_out] == [keys[1].digest]
    verdicts = {verdict.digest: verdict.verdict for verdict in import_bundle(layout, target)}
    assert verdicts.pop(keys[1].digest) == "imported" and set(verdicts.values()) == {"present"}
    assert Store(layout.root).get(keys[1]).read("data") == keys[1].digest.encode()


def rewritten(target, change):
    """A copy of a bundle in which `change(name, data)` gives each member's new data, None to drop it."""
    crafted = target.with_name("crafted")
    with zipfile.ZipFile(target) as old, zipfile.ZipFile(crafted, "w") as new:
        for name in old.namelist():
            if (data := change(name, old.read(name))) is not None:
                new.writestr(name, data)
    return crafted


def test_tampered_members_are_rejected_each_for_its_reason(exported, tmp_path):
    keys, target = exported
    data, manifest, lost = (f"{key.digest}/" for key in keys)
    changes = {
        data + "data": lambda old: b"X" + old[1:],
        manifest + "manifest.json": lambda old: old.replace(b"plan 1", b"plan 7"),
        lost + "data": lambda old: None,
    }
    crafted = rewritten(target, lambda name, old: changes.get(name, lambda old: old)(old))
    layout = Layout(tmp_path / "elsewhere")
    verdicts = {verdict.digest: verdict for verdict in import_bundle(layout, crafted)}
    assert {verdict.verdict for verdict in verdicts.values()} == {"rejected"}
    reasons = [verdicts[key.digest].reason for key in keys]
    assert reasons[0] == "the content of data does not match its checksum"
    assert reasons[1] == "the manifest is damaged: its seal does not match"
    assert "no item named" in reasons[2]
    assert not any(layout.entries.glob("*/*"))


def test_a_member_longer_than_promised_is_not_unpacked(exported, tmp_path):
    keys, target = exported
    crafted = rewritten(target, lambda name, old: old * 1000 if name.endswith("/data") else old)
    verdicts = import_bundle(Layout(tmp_path / "elsewhere"), crafted)
    assert {verdict.reason.partition("/")[2] for verdict in verdicts} == {"data is longer than it should be"}


@pytest.mark.parametrize(
    "index",
    [
        {"format": 2, "entries": []},
        {"format": 1, "entries": ["../../../etc"]},
        {"format": 1, "entries": [7]},
        {"format": 1},
        [],
        {"format": 1, "entries": None},
    ],
)
def test_a_crafted_index_is_refused(exported, tmp_path, index):
    crafted = rewritten(exported[1], lambda name, old: json.dumps(index) if name == "quern-bundle.json" else old)
    with pytest.raises(CacheError, match="is not a bundle made by `quern cache export`"):
        import_bundle(Layout(tmp_path / "elsewhere"), crafted)


def test_other_files_are_refused(tmp_path):
    plain, empty_zip = tmp_path / "plain", tmp_path / "empty.zip"
    plain.write_bytes(b"not a zip at all")
    zipfile.ZipFile(empty_zip, "w").close()
    for path in (plain, empty_zip):
        with pytest.raises(CacheError, match="is not a bundle made by"):
            import_bundle(Layout(tmp_path / "elsewhere"), path)


def test_every_truncation_and_flip_is_refused_or_rejected(exported, tmp_path):
    keys, target = exported
    good = target.read_bytes()
    damaged = tmp_path / "damaged"
    for position in range(0, len(good), 29):
        for bad in (good[:position], good[:position] + bytes([good[position] ^ 0x41]) + good[position + 1 :]):
            damaged.write_bytes(bad)
            layout = Layout(tmp_path / "elsewhere")
            try:
                verdicts = import_bundle(layout, damaged)
            except CacheError:
                verdicts = []
            store = Store(layout.root)
            for verdict in verdicts:
                assert verdict.verdict in ("imported", "rejected")
            for key in keys:  # whatever came in is right
                entry = store.get(key)
                assert entry is None or entry.read("data") == key.digest.encode()
            assert store.counters.quarantined == 0
            shutil.rmtree(layout.root, ignore_errors=True)


def test_an_export_that_fails_leaves_the_old_file(store, exported, tmp_path, monkeypatch):
    keys, target = exported
    before = target.read_bytes()
    monkeypatch.setattr(zipfile.ZipFile, "writestr", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        export_bundle(Layout(store.root), [key.digest for key in keys], target)
    assert target.read_bytes() == before and sorted(p.name for p in tmp_path.iterdir()) == ["cache", "out.quern"]
