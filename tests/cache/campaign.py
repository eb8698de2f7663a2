"""Many processes, random kills: `python campaign.py FOLDER --processes 32 --keys 200 --rounds 100 --seed 1`.

Each process asks for every key in its own order and checks what it gets. The parent kills some of them at
random moments. Prints what happened as JSON; exit code 1 where a promise was broken:
no wrong content, no hang, no error, and at most one wasted build per kill.
"""

import argparse
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from quern.cache import CacheKey, Store
from quern.cache.location import Layout
from quern.cache.upkeep import check_entries, remove_all, sweep

#: a process that takes longer than this hangs
LIMIT = 120.0


def content(number: int, name: str) -> bytes:
    return f"{name} of key {number}\n".encode() * (200 + number)


def key_of(number: int, turn: int) -> CacheKey:
    return CacheKey.make("campaign", {"number": number, "turn": turn, "source": content(number, "source").decode()})


def worker(root: Path, diary: int, keys: int, turn: int, seed: int) -> None:
    dice = random.Random(seed)
    store = Store(root)
    for number in dice.sample(range(keys), keys):

        def build(folder: Path, number: int = number) -> None:
            os.write(diary, f"{number}\n".encode())  # a short append is atomic
            for name in ("kernel.so", "kernel.cpp"):
                half = len(content(number, name)) // 2
                with open(folder / name, "wb", buffering=0) as file:
                    file.write(content(number, name)[:half])
                    time.sleep(dice.random() * 0.002)
                    file.write(content(number, name)[half:])

        entry = store.get_or_build(key_of(number, turn), build)
        for name in ("kernel.so", "kernel.cpp"):
            if entry.read(name) != content(number, name):
                raise AssertionError(f"wrong content in {name} of key {number}")
    if store.counters.degraded or store.counters.quarantined:
        raise AssertionError(f"degraded or damaged: {store.counters}, {store.trouble}")


def start(root: Path, diary: int, keys: int, turn: int, seed: int) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        worker(root, diary, keys, turn, seed)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def play_round(root: Path, args: argparse.Namespace, turn: int, dice: random.Random) -> dict[str, int]:
    diary_path = root.with_name(f"diary-{turn}")
    diary = os.open(diary_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    running = {start(root, diary, args.keys, turn, dice.random()) for _ in range(args.processes)}
    kills = failures = 0
    began = time.monotonic()
    while running:
        if time.monotonic() - began > LIMIT:
            for child in running:
                os.kill(child, signal.SIGKILL)
            raise AssertionError(f"{len(running)} processes hang in round {turn}")
        if kills < args.processes // 2 and dice.random() < 0.3:
            os.kill(dice.choice(sorted(running)), signal.SIGKILL)
            kills += 1
        time.sleep(dice.random() * 0.01)
        while running and (ended := os.waitpid(-1, os.WNOHANG))[0]:
            running.discard(ended[0])
            failures += ended[1] not in (0, signal.SIGKILL)
    # The killed may have taken the last builder of a key with them: one more process completes the set.
    failures += os.waitpid(start(root, diary, args.keys, turn, 0), 0)[1] != 0
    os.close(diary)
    builds = [int(line) for line in diary_path.read_text().split()]
    wasted = len(builds) - args.keys
    diary_path.unlink()
    return {"kills": kills, "failures": failures, "builds": len(builds), "wasted": wasted}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    for name, default in (("processes", 8), ("keys", 20), ("rounds", 3), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    root = args.folder / "cache"
    layout = Layout(root)
    total = {"kills": 0, "failures": 0, "builds": 0, "wasted": 0, "bad": 0, "left": 0, "missing": 0}
    for turn in range(args.rounds):
        result = play_round(root, args, turn, dice)
        for name, value in result.items():
            total[name] += value
        checked = list(check_entries(layout, repair=False))
        total["bad"] += sum(bool(found.problem) for found in checked)
        total["missing"] += args.keys - len(checked)
        sweep(layout)
        # The one lock file whose name is always the same may stay when its holder is killed.
        total["left"] += len(os.listdir(layout.tmp)) + len(set(os.listdir(layout.locks)) - {"upkeep.lock"})
        remove_all(layout)
    print(json.dumps(total))
    broken = total["failures"] or total["bad"] or total["left"] or total["missing"] or total["wasted"] > total["kills"]
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
