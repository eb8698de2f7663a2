"""Several real processes on one folder: built once, killed at any moment, pruned and cleared meanwhile."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from quern.cache import CacheKey, Store
from quern.cache.location import Layout

KEY = CacheKey.make("plan", {"of": "many processes"})

BUILDER = """
import os, sys, time
from pathlib import Path
from quern.cache import CacheKey, Store
root, diary, pause = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
def build(folder):
    with open(diary, "a") as file:
        file.write(f"{os.getpid()}\\n")
    (folder / "data").write_bytes(b"first half, ")
    time.sleep(pause)
    with open(folder / "data", "ab") as file:
        file.write(b"second half")
store = Store(root)
entry = store.get_or_build(CacheKey.make("plan", {"of": "many processes"}), build)
print(entry.read("data").decode(), store.counters.builds, store.counters.hits)
"""


def start(script, *args):
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def wait_for(condition, what):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.005)


def test_many_processes_build_once(tmp_path):
    processes = [start(BUILDER, tmp_path / "cache", tmp_path / "diary", 0.5) for _ in range(8)]
    said = [finish(process).split() for process in processes]
    assert (tmp_path / "diary").read_text().count("\n") == 1
    assert all(words[:4] == ["first", "half,", "second", "half"] for words in said)
    assert sorted(words[4:] for words in said) == [["0", "1"]] * 7 + [["1", "0"]]


def test_killed_while_building(tmp_path):
    """The lock goes with its holder, a waiter takes over at once, and no half entry is ever seen."""
    layout = Layout(tmp_path / "cache")
    victim = start(BUILDER, layout.root, tmp_path / "diary", 60)
    wait_for(lambda: any(layout.tmp.glob("*/data")), "the build")
    waiter = start(BUILDER, layout.root, tmp_path / "diary", 0)
    assert Store(layout.root).get(KEY) is None
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    killed = time.monotonic()
    assert finish(waiter).startswith("first half, second half 1")
    assert time.monotonic() - killed < 10
    assert (tmp_path / "diary").read_text().count("\n") == 2
    assert os.listdir(layout.tmp) == [] and os.listdir(layout.locks) == []


def test_readers_need_no_lock(tmp_path, store):
    from filelock import FileLock

    store.put(KEY, {"data": b"x"})
    with FileLock(Layout(store.root).lock(KEY.digest)):
        assert Store(store.root).get(KEY).read("data") == b"x"
        assert Store(store.root).put(KEY, {"data": b"x"}).read("data") == b"x"


READER = """
import sys, time
from quern.cache import CacheKey, EntryGone, Store
store = Store(sys.argv[1])
gone = reads = 0
end = time.monotonic() + 1.5
print("started", flush=True)
while time.monotonic() < end:
    for n in range(10):
        key = CacheKey.make("plan", {"n": n})
        try:
            data = store.put(key, {"data": bytes([n]) * 5000}).read("data")
        except EntryGone:
            gone += 1
            continue
        assert data == bytes([n]) * 5000
        reads += 1
assert store.counters.degraded == 0 and store.counters.quarantined == 0, store.counters
print(gone, reads, store.counters.builds)
"""


@pytest.mark.parametrize("verb", ["prune", "clear"])
def test_readers_beside_prune_and_clear(tmp_path, verb):
    from quern.cache.upkeep import prune, remove_all

    layout = Layout(tmp_path / "cache")
    readers = [start(READER, layout.root) for _ in range(2)]
    for reader in readers:
        assert reader.stdout.readline() == "started\n"
    rounds = 0
    while any(reader.poll() is None for reader in readers):
        prune(layout, max_bytes=0) if verb == "prune" else remove_all(layout)
        rounds += 1
        time.sleep(0.01)
    results = [tuple(map(int, finish(reader).split())) for reader in readers]
    assert rounds > 5 and all(reads > 20 for _, reads, _ in results)
    if verb == "prune":  # what was used a moment ago is never pruned
        assert sum(builds for _, _, builds in results) == 10 and all(gone == 0 for gone, _, _ in results)
    else:
        assert sum(builds for _, _, builds in results) > 10


def run_campaign(folder, **sizes):
    options = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    script = Path(__file__).with_name("campaign.py")
    done = subprocess.run([sys.executable, script, folder, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_kills_at_random(tmp_path):
    result = run_campaign(tmp_path, processes=8, keys=20, rounds=4, seed=7)
    assert result["kills"] >= 4 and result["builds"] >= 80


@pytest.mark.slow
def test_kills_at_random_at_length(tmp_path):
    result = run_campaign(tmp_path, processes=32, keys=200, rounds=100, seed=1)
    assert result["kills"] >= 1000
