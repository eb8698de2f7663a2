"""Listing, pruning, sweeping: what goes, what stays, in which order."""

import os
import time

import pytest
from filelock import FileLock
from quern.cache import CacheKey, Store
from quern.cache import store as store_module
from quern.cache.location import Layout
from quern.cache.upkeep import check_entries, choose, list_entries, prune, remove_all, statistics, sweep

from quern.config import config


@pytest.fixture
def layout(store):
    return Layout(store.root)


def fill(store, number, size=1000, age=None, kind="plan"):
    """Put one entry, last used `age` seconds ago; its digest."""
    key = CacheKey.make(kind, {"n": number})
    entry = store.put(key, {"data": bytes([number % 256]) * size}, {"label": f"plan {number}"})
    if age is not None:
        moment = time.time() - age
        os.utime(entry.folder, (moment, moment))
    return entry.digest


def test_listing_is_by_last_use(store, layout):
    old, new, middle = (fill(store, n, age=age) for n, age in ((0, 3000), (1, 1000), (2, 2000)))
    listed = list_entries(layout)
    assert [entry.digest for entry in listed] == [new, middle, old]
    assert listed[0].manifest["label"] == "plan 1" and listed[0].kind == "plan" and listed[0].bytes > 1000


def test_an_absent_or_empty_cache_lists_nothing(layout):
    assert list_entries(layout) == [] and list(check_entries(layout)) == [] and prune(layout) == []
    assert remove_all(layout) == [] and statistics(layout)["entries"] == 0
    assert not layout.root.exists()


def test_a_damaged_entry_is_listed_with_its_problem(store, layout):
    digest = fill(store, 0)
    (layout.entry(digest) / "manifest.json").write_text("{}")
    (listed,) = list_entries(layout)
    assert listed.problem == "the manifest is damaged: its seal does not match" and listed.kind == "?"
    assert statistics(layout)["damaged"] == 1


def test_least_recently_used_goes_first_and_no_more_than_needed(store, layout):
    digests = [fill(store, n, age=10_000 - n * 1000) for n in range(6)]
    size = list_entries(layout)[0].bytes
    removed = prune(layout, max_bytes=3 * size + 100)  # sizes differ by the digits of a date
    assert [entry.digest for entry in removed] == digests[:3]
    assert {entry.digest for entry in list_entries(layout)} == set(digests[3:])
    assert Store(layout.root).get(CacheKey.make("plan", {"n": 5})) is not None


def test_what_is_in_use_stays_however_full(store, layout):
    used, idle = fill(store, 0, age=30), fill(store, 1, age=700)
    assert [entry.digest for entry in prune(layout, max_bytes=0)] == [idle]
    assert [entry.digest for entry in list_entries(layout)] == [used]


def test_by_age(store, layout):
    old, young = fill(store, 0, age=40 * 86400), fill(store, 1, age=5 * 86400)
    assert [entry.digest for entry in prune(layout, older_than=30 * 86400)] == [old]
    assert [entry.digest for entry in choose(list_entries(layout), older_than=86400)] == [young]
    assert len(list_entries(layout)) == 1


def test_a_store_keeps_within_its_bound(tmp_path):
    store = Store(tmp_path / "cache", max_bytes=20_000)
    layout = Layout(store.root)
    for number in range(60):
        fill(store, number, size=2000, age=10_000 - number)
    left = list_entries(layout)
    assert sum(entry.bytes for entry in left) <= 20_000 + 5_000
    assert {int(entry.manifest["label"].split()[1]) for entry in left} >= {58, 59}


def test_the_bound_is_the_settings(tmp_path, monkeypatch):
    store = Store(tmp_path / "cache")
    with config.patch(cache_max_bytes=1):
        for number in range(4):
            fill(store, number, age=5000)
    assert len(list_entries(Layout(store.root))) == 1  # the newest, published after the last look


def test_sizes_are_looked_at_rarely(store, layout, monkeypatch):
    looks = []
    monkeypatch.setattr(store_module, "tidy", lambda *args: looks.append(args) or layout.upkeep.touch())
    for number in range(5):
        fill(store, number)
    assert len(looks) == 1
    os.utime(layout.upkeep, (1e9, 1e9))  # long ago
    fill(store, 6)
    assert len(looks) == 2


def test_one_process_prunes_at_a_time(store, layout):
    fill(store, 0, age=5000)
    with FileLock(layout.lock("upkeep")):
        assert prune(layout, max_bytes=0) == []
    assert len(prune(layout, max_bytes=0)) == 1


def test_sweeping_removes_what_the_dead_left_and_spares_the_living(store, layout):
    fill(store, 0)
    dead, alive = "a" * 64, "b" * 64
    for digest in (dead, alive):
        (layout.tmp / f"{digest}.xyz").mkdir()
        (layout.tmp / f"{digest}.xyz" / "half").write_bytes(b"x")
        layout.lock(digest).touch()
    with FileLock(layout.lock(alive)):
        sweep(layout)
        assert os.listdir(layout.tmp) == [f"{alive}.xyz"] and os.listdir(layout.locks) == [f"{alive}.lock"]
    sweep(layout)
    assert os.listdir(layout.tmp) == [] and os.listdir(layout.locks) == []
    assert len(list_entries(layout)) == 1


def test_a_builder_sweeps_its_dead_predecessors_folder(store, layout, key, build):
    layout.prepare()
    layout.upkeep.touch()  # so that no general sweep is due
    left = layout.tmp / f"{key.digest}.dead"
    left.mkdir()
    store.get_or_build(key, build)
    assert not left.exists()


def test_clear_by_kind_and_all(store, layout):
    fill(store, 0, kind="plan")
    kernel = fill(store, 1, kind="cpp-kernel")
    assert [entry.kind for entry in remove_all(layout, "plan")] == ["plan"]
    assert [entry.digest for entry in list_entries(layout)] == [kernel]
    layout.quarantine.mkdir()
    (layout.quarantine / "bad").mkdir()
    assert len(remove_all(layout)) == 1
    assert list_entries(layout) == [] and not layout.quarantine.exists() and os.listdir(layout.tmp) == []
    assert store.get(CacheKey.make("plan", {"n": 0})) is None


def test_statistics(store, layout):
    fill(store, 0, age=5000), fill(store, 1), fill(store, 2, kind="cpp-kernel", size=50_000)
    facts = statistics(layout)
    assert facts["entries"] == 3 and facts["kinds"]["plan"]["entries"] == 2 and facts["quarantined"] == 0
    assert facts["bytes"] >= 52_000 and facts["kinds"]["cpp-kernel"]["bytes"] > 50_000
    assert facts["files"] >= 9 and facts["least_recent_use"] < facts["most_recent_use"]


def test_check_sets_bad_entries_aside_unless_told_not_to(store, layout):
    good, bad = fill(store, 0), fill(store, 1)
    (layout.entry(bad) / "data").write_bytes(b"x")
    found = {check.digest: check for check in check_entries(layout, repair=False)}
    assert found[good].problem == "" and found[bad].problem == "data has 1 bytes, its manifest says 1000"
    assert not found[bad].set_aside and layout.entry(bad).exists()
    assert [check.set_aside for check in check_entries(layout) if check.problem] == [True]
    assert not layout.entry(bad).exists() and len(os.listdir(layout.quarantine)) == 1
