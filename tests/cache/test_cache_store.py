import dataclasses
import json
import os
import stat
import threading
import time

import pytest
from quern.cache import CacheKey, EntryGone, Store, default_store
from quern.cache import store as store_module
from quern.cache.location import Layout

from quern.config import config
from quern.errors import CacheError


def test_build_once_then_hit(store, key, build):
    assert store.get(key) is None
    entry = store.get_or_build(key, build, {"label": "softmax_0 (cpp)", "origin": "user.py:3", "symbol": "f"})
    assert store.get_or_build(key, build) == entry == store.get(key)
    assert build.runs == 1
    assert dataclasses.asdict(store.counters) == {"hits": 2, "misses": 2, "builds": 1, "quarantined": 0, "degraded": 0}
    assert entry.read("kernel_cpp") == b"int f();"
    assert entry.path("kernel_so").read_bytes() == build.files["kernel_so"]
    assert entry.manifest["symbol"] == "f" and entry.label == "softmax_0 (cpp)"


def test_another_process_sees_what_was_published(tmp_path, store, key, build):
    store.get_or_build(key, build)
    other = Store(tmp_path / "cache")
    assert other.get(key).read("kernel_so") == build.files["kernel_so"]
    assert dataclasses.asdict(other.counters) == {"hits": 1, "misses": 0, "builds": 0, "quarantined": 0, "degraded": 0}


def test_manifest_tells_what_the_entry_is(store, key, build):
    entry = store.get_or_build(key, build, {"label": "softmax_0 (cpp)"})
    manifest = json.loads((entry.folder / "manifest.json").read_text())
    assert manifest["kind"] == "cpp-kernel" and manifest["digest"] == key.digest
    assert manifest["parts"]["flags"]["value"] == "-O3" and "characters" in manifest["parts"]["source"]
    assert manifest["files"]["kernel_cpp"]["bytes"] == 8
    assert abs(manifest["created"] - time.time()) < 60 and manifest["build_seconds"] >= 0


def test_everything_is_private_to_the_user(store, key, build):
    entry = store.get_or_build(key, build)
    for folder in (store.root, *entry.folder.relative_to(store.root).parents, entry.folder):
        assert stat.S_IMODE(os.stat(store.root / folder).st_mode) == 0o700


def test_nothing_is_left_beside_the_entry(store, key, build):
    store.get_or_build(key, build)
    layout = Layout(store.root)
    assert os.listdir(layout.tmp) == [] and os.listdir(layout.locks) == []


def test_everything_reaches_the_disk_before_it_is_published(store, key, build, monkeypatch):
    steps = []
    fsync, rename = os.fsync, os.rename
    monkeypatch.setattr(os, "fsync", lambda fd: steps.append(os.readlink(f"/proc/self/fd/{fd}")) or fsync(fd))
    monkeypatch.setattr(os, "rename", lambda *args: steps.append("publish") or rename(*args))
    store.get_or_build(key, build)
    *synced, folder, last = steps
    assert last == "publish" and os.path.basename(folder).startswith(key.digest)
    assert [os.path.basename(path) for path in synced] == ["kernel_cpp", "kernel_so", "manifest.json"]


def test_a_failing_build_leaves_nothing_and_passes_its_error_on(store, key, build):
    def fails(folder):
        (folder / "half").write_bytes(b"x")
        raise ZeroDivisionError("the compiler's own error")

    for _ in range(2):
        with pytest.raises(ZeroDivisionError, match="compiler's own"):
            store.get_or_build(key, fails)
    layout = Layout(store.root)
    assert os.listdir(layout.tmp) == [] and os.listdir(layout.locks) == [] and store.get(key) is None
    assert store.counters.degraded == 0
    assert store.get_or_build(key, build).read("kernel_cpp") == b"int f();"


def test_an_os_error_of_the_build_is_not_taken_for_the_disks(store, key):
    def no_compiler(folder):
        raise FileNotFoundError(2, "No such file or directory", "g++")

    with pytest.raises(FileNotFoundError):
        store.get_or_build(key, no_compiler)
    assert store.counters.degraded == 0


def test_put_small_files(store):
    key = CacheKey.make("plan", {"graph": "abc"})
    entry = store.put(key, {"plan.json": b"{}", "code/a.py": b"pass"}, {"label": "plan of f"})
    assert entry.read("plan.json") == b"{}" and store.get(key).read("code/a.py") == b"pass"
    assert store.put(key, {"plan.json": b"other"}).read("plan.json") == b"{}"


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out", "manifest.json", "", ".", "a//b", "./a"])
def test_put_refuses_names_that_lead_out(store, key, name):
    with pytest.raises(CacheError, match="cannot be the name of a file"):
        store.put(key, {name: b""})


def test_a_build_may_not_leave_links_or_a_manifest(store, key):
    with pytest.raises(CacheError, match="link or special file"):
        store.get_or_build(key, lambda folder: (folder / "k").symlink_to("/etc/passwd"))
    with pytest.raises(CacheError, match="link or special file"):
        store.get_or_build(key, lambda folder: (folder / "k").symlink_to("/etc"))
    with pytest.raises(CacheError, match="may not be called manifest.json"):
        store.get_or_build(key, lambda folder: (folder / "manifest.json").write_text("{}"))
    assert store.get(key) is None


def test_manifest_fields_are_checked(store, key, build):
    with pytest.raises(CacheError, match="'files' is written by the cache itself"):
        store.get_or_build(key, build, {"files": {}})
    with pytest.raises(CacheError, match="plain JSON"):
        store.get_or_build(key, build, {"extra": object()})
    assert store.get(key) is None


def test_asking_for_an_unknown_file_names_those_there_are(store, key, build):
    with pytest.raises(CacheError, match="has no file 'kernel.o'; it has kernel_cpp, kernel_so"):
        store.get_or_build(key, build).path("kernel.o")


def test_a_build_that_asks_for_itself_is_an_error_not_a_hang(store, key, build):
    with pytest.raises(CacheError, match="asked for its own result"):
        store.get_or_build(key, lambda folder: store.get_or_build(key, build))


def test_a_build_may_ask_for_other_entries(store, key, build):
    inner = CacheKey.make("header", {"text": "h"})

    def outer(folder):
        (folder / "all").write_bytes(store.get_or_build(inner, build).read("kernel_cpp") + b"!")

    assert store.get_or_build(key, outer).read("all") == b"int f();!"


def test_threads_build_once(store, key, build):
    def slow(folder):
        time.sleep(0.1)
        build(folder)

    results = []
    threads = [threading.Thread(target=lambda: results.append(store.get_or_build(key, slow))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert build.runs == 1 and len(results) == 16 and len(set(map(id, results))) >= 1
    assert store.counters.builds == 1 and store.counters.hits == 15 and store.counters.misses == 1


def test_a_waiter_runs_out_of_patience_and_builds_for_itself(tmp_path, key, build):
    from filelock import FileLock

    store = Store(tmp_path / "cache", patience=0.05)
    layout = Layout(store.root)
    layout.prepare()
    with FileLock(layout.lock(key.digest)):
        assert store.get_or_build(key, build).read("kernel_cpp") == b"int f();"
    assert build.runs == 1


def test_the_slower_of_two_builders_takes_the_others_entry(tmp_path, key, build):
    fast, slow = Store(tmp_path / "cache"), Store(tmp_path / "cache", patience=0.01)

    def overtaken(folder):
        # The other process publishes while this one, tired of waiting for its lock, still builds.
        os.rename(fast_made.folder, place)
        (folder / "kernel_cpp").write_bytes(b"mine")

    fast_made = fast.get_or_build(key, build)
    place = fast_made.folder
    elsewhere = place.with_name("elsewhere")
    os.rename(place, elsewhere)
    fast_made = type(fast_made)(elsewhere, fast_made.manifest)
    assert slow.get_or_build(key, overtaken).read("kernel_cpp") == b"int f();"
    assert os.listdir(Layout(slow.root).tmp) == []


def test_use_is_noted_without_touching_files(store, key, build):
    entry = store.get_or_build(key, build)
    os.utime(entry.folder, (1e9, 1e9))
    before = {path.name: path.stat().st_mtime_ns for path in entry.folder.iterdir()}
    Store(store.root).get(key)
    assert time.time() - entry.last_used() < 60
    assert {path.name: path.stat().st_mtime_ns for path in entry.folder.iterdir()} == before


def test_a_long_running_process_notes_use_again(store, key, build, monkeypatch):
    entry = store.get_or_build(key, build)
    os.utime(entry.folder, (1e9, 1e9))
    assert store.get(key) is entry and entry.last_used() == 1e9  # noted a moment ago, so not again
    monkeypatch.setattr(store_module, "TOUCH_INTERVAL", 0.0)
    store.get(key)
    assert time.time() - entry.last_used() < 60


def test_an_entry_removed_while_held_says_so(store, key, build):
    import shutil

    entry = store.get_or_build(key, build)
    shutil.rmtree(store.root)
    with pytest.raises(EntryGone, match="was removed from .* try again"):
        entry.path("kernel_so")
    with pytest.raises(EntryGone):
        entry.read("kernel_so")
    assert store.get(key) is None
    assert store.get_or_build(key, build).read("kernel_cpp") == b"int f();"
    assert store.counters.degraded == 0


def test_a_folder_removed_during_a_build_is_made_again(store, key, build):
    import shutil

    def removed_the_first_time(folder):
        if build.runs == 0:
            build.runs += 1
            shutil.rmtree(store.root)
            return
        build(folder)

    assert store.get_or_build(key, removed_the_first_time).folder.is_relative_to(store.root)
    assert store.counters.degraded == 0


def test_moving_the_cache_keeps_all_hits(tmp_path, store, key, build):
    store.get_or_build(key, build)
    os.rename(store.root, tmp_path / "moved")
    moved = Store(tmp_path / "moved")
    assert moved.get(key).read("kernel_so") == build.files["kernel_so"]


def test_memory_of_checked_entries_is_bounded(store, build, monkeypatch):
    monkeypatch.setattr(store_module, "REMEMBERED", 3)
    for number in range(6):
        store.put(CacheKey.make("plan", {"n": number}), {"plan": b"x"})
    assert len(store._checked) == 3


def test_hot_and_first_look_ups_are_fast(store, key, build):
    store.get_or_build(key, build)

    def best(look_up):
        times = []
        for _ in range(200):
            start = time.perf_counter()
            look_up()
            times.append(time.perf_counter() - start)
        return min(times)

    assert best(lambda: store.get(key)) < 200e-6

    def first_time():
        store._checked.clear()
        store.get(key)

    assert best(first_time) < 1e-3


def test_default_store_follows_the_settings(tmp_path, monkeypatch):
    first = default_store()
    assert first is default_store() and first.root == tmp_path / "default"
    monkeypatch.setenv("QUERN_CACHE_DIR", str(tmp_path / "second"))
    assert default_store().root == tmp_path / "second"
    with config.patch(cache_dir=str(tmp_path / "third")):
        assert default_store().root == tmp_path / "third"
    monkeypatch.delenv("QUERN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert default_store().root == tmp_path / "xdg" / "quern"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert default_store().root == tmp_path / "home" / ".cache" / "quern"


def test_the_log_shows_hits_and_misses(store, key, build, capsys):
    with config.patch(logs=("cache",)):
        store.get_or_build(key, build, {"label": "softmax_0"})
        store.get_or_build(key, build)
    said = capsys.readouterr()
    assert said.out == ""
    assert f"miss, building: cpp-kernel {key.digest[:12]} softmax_0" in said.err and "hit: cpp-kernel" in said.err


def test_a_forked_child_works_on(store, key, build):
    """The child gets copies of mutexes; one that was held at the fork must not block it."""
    store.get_or_build(key, build)
    store._mutex.acquire()
    child = os.fork()
    if child == 0:
        other = CacheKey.make("plan", {"of": "child"})
        fine = store.get(key) is not None and store.put(other, {"p": b"1"}).read("p") == b"1"
        os._exit(0 if fine else 1)
    store._mutex.release()
    assert os.waitpid(child, 0)[1] == 0
