"""Every verb by the real command, as text and as JSON, with its exit codes."""

import json
import os
import subprocess
import sys
import time

import pytest
from quern.cache import CacheKey, Store
from quern.cache.location import Layout

from quern.cache_commands import parse_duration, parse_size
from quern.cli import main


@pytest.fixture
def root(tmp_path):
    """A cache of three entries: two kernels (the second one idle for an hour) and a plan."""
    root = tmp_path / "default"
    store = Store(root)
    for number, age in ((1, 100), (2, 3600)):
        key = CacheKey.make(
            "cpp-kernel", {"source": f"int f{number}();" * 100, "compiler": "g++ 12.2", "flags": ["-O3"]}
        )
        about = {"label": f"softmax_{number} [cpp]", "origin": "model.py:12", "kernels": number}
        entry = store.put(key, {"kernel.so": b"\x7fELF" * 1000, "kernel.cpp": b"int f();\n"}, about)
        os.utime(entry.folder, (time.time() - age,) * 2)
    store.put(CacheKey.make("plan", {"graph": "abc"}), {"plan.json": b"{}"}, {"label": "plan of f"})
    return root


@pytest.fixture
def quern(tmp_path):
    """Runs the command; returns (exit code, stdout, stderr)."""

    def run(*args, code=0, env=None, stdin=subprocess.DEVNULL):
        settings = {**os.environ, "QUERN_CACHE_DIR": str(tmp_path / "default"), **(env or {})}
        command = [sys.executable, "-m", "quern", *map(str, args)]
        done = subprocess.run(command, capture_output=True, text=True, env=settings, stdin=stdin, timeout=60)
        assert done.returncode == code, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done.stdout, done.stderr

    return run


@pytest.fixture
def as_json(quern):
    def run(*args, code=0, **options):
        out, _ = quern(*args, "--json", code=code, **options)
        return json.loads(out)

    return run


def test_ls(quern, as_json, root):
    out, err = quern("cache", "ls")
    lines = out.splitlines()
    assert lines[0].split() == ["KEY", "KIND", "WHAT", "SIZE", "USED", "BUILT", "IN", "FROM"] and err == ""
    assert "plan of f" in lines[1] and "softmax_1 [cpp]" in lines[2] and "1 min ago" in lines[2]
    assert "softmax_2 [cpp]" in lines[3] and "1 h ago" in lines[3] and "model.py:12" in lines[3]
    assert lines[4].startswith("3 entries, ") and lines[4].endswith(f"in {root}")
    facts = as_json("cache", "ls", "--kind", "cpp-kernel", "--sort", "size", "--limit", 1)
    assert facts["total"] == 2 and facts["path"] == str(root) and len(facts["entries"]) == 1
    entry = facts["entries"][0]
    assert entry["kind"] == "cpp-kernel" and entry["origin"] == "model.py:12" and entry["problem"] == ""
    assert entry["bytes"] > 4000 and len(entry["digest"]) == 64 and entry["created"] <= time.time()
    for order in ("used", "created", "build"):
        assert len(as_json("cache", "ls", "--sort", order)["entries"]) == 3


def test_ls_of_nothing(quern, as_json, tmp_path):
    out, _ = quern("cache", "ls")
    assert out == f"No entries in {tmp_path / 'default'}\n"
    assert as_json("cache", "ls") == {"path": str(tmp_path / "default"), "total": 0, "entries": []}
    assert not (tmp_path / "default").exists()


def test_show(quern, as_json, root):
    digest = as_json("cache", "ls", "--kind", "cpp-kernel")["entries"][0]["digest"]
    out, _ = quern("cache", "show", digest[:10])
    for text in (digest, "softmax_1 [cpp]", "model.py:12", "kernels:    1", "g++ 12.2", '["-O3"]', "(902 characters)"):
        assert text in out
    assert "kernel.so" in out and "3.9 KiB" in out and str(root) in out
    facts = as_json("cache", "show", digest.upper())
    assert facts["digest"] == digest and facts["manifest"]["parts"]["compiler"]["value"] == "g++ 12.2"
    assert facts["manifest"]["files"]["kernel.so"]["bytes"] == 4000 and os.path.isdir(facts["folder"])
    assert quern("cache", "show", digest, "--cat", "kernel.cpp") == ("int f();\n", "")


def test_show_what_is_not_there(quern, root):
    _, err = quern("cache", "show", "0" * 64, code=1)
    assert "no entry begins with 000" in err and "`quern cache ls` lists" in err
    _, err = quern("cache", "show", "xyz", code=2)
    assert "'xyz' is not the beginning of a key" in err
    entries = json.loads(quern("cache", "ls", "--json")[0])["entries"]
    _, err = quern("cache", "show", entries[0]["digest"], "--cat", "nothing", code=1)
    assert "has no file 'nothing'; it has plan.json" in err
    _, err = quern("cache", "show", entries[0]["digest"], "--cat", "plan.json", "--json", code=2)
    assert "leave out --json" in err


def test_show_asks_for_more_digits(quern, tmp_path):
    store = Store(tmp_path / "default")
    for number in range(17):  # so that two of them begin alike
        store.put(CacheKey.make("plan", {"n": number}), {"p": b""})
    firsts = [entry["digest"][0] for entry in json.loads(quern("cache", "ls", "--json")[0])["entries"]]
    shared = next(digit for digit in firsts if firsts.count(digit) > 1)
    _, err = quern("cache", "show", shared, code=2)
    assert f"{shared} is the beginning of {firsts.count(shared)} keys" in err and "give more digits" in err


def test_show_a_damaged_entry(quern, as_json, root):
    digest = as_json("cache", "ls")["entries"][0]["digest"]
    (Layout(root).entry(digest) / "manifest.json").write_text("{}")
    out, _ = quern("cache", "show", digest, code=1)
    assert "is damaged: the manifest is damaged" in out and "never loaded" in out
    assert as_json("cache", "show", digest, code=1)["problem"].startswith("the manifest is damaged")
    assert "DAMAGED" in quern("cache", "ls")[0]
    quern("cache", "show", digest, "--cat", "plan.json", code=1)


def test_stats(quern, as_json, root):
    out, _ = quern("cache", "stats")
    assert out.startswith(f"3 entries in {root}\n") and "of at most 4.0 GiB" in out and "cpp-kernel" in out
    facts = as_json("cache", "stats")
    assert facts["entries"] == 3 and facts["kinds"]["cpp-kernel"]["entries"] == 2 and facts["max_bytes"] == 4 << 30
    assert facts["bytes"] > 8000 and facts["files"] > 10 and facts["damaged"] == facts["quarantined"] == 0


def test_stats_of_nothing(quern, as_json):
    assert quern("cache", "stats")[0].startswith("0 entries in ")
    assert as_json("cache", "stats")["entries"] == 0


def test_clear(quern, as_json, root):
    _, err = quern("cache", "clear", code=2)
    assert f"removes all entries from {root}; say --yes" in err
    _, err = quern("cache", "clear", "--json", "--kind", "plan", code=2)
    assert "all entries of kind plan" in err
    assert as_json("cache", "ls")["total"] == 3
    assert len(as_json("cache", "clear", "--yes", "--kind", "plan")["removed"]) == 1
    out, _ = quern("cache", "clear", "--yes")
    assert out.startswith(f"2 entries removed from {root}, ")
    assert as_json("cache", "ls")["total"] == 0


def test_clear_asks_on_a_terminal(root):
    """Through a pseudo-terminal: "n" keeps all, "y" removes all."""
    for answer, code, left in (("n\n", 1, 3), ("y\n", 0, 0)):
        master, slave = os.openpty()
        os.write(master, answer.encode())
        command = [sys.executable, "-m", "quern", "cache", "clear"]
        done = subprocess.run(
            command, stdin=slave, capture_output=True, text=True, env={**os.environ, "QUERN_CACHE_DIR": str(root)}
        )
        os.close(master), os.close(slave)
        assert done.returncode == code and "Remove all entries from" in done.stderr
        assert len(list(Layout(root).entries.glob("*/*"))) == left


def test_path(quern, as_json, tmp_path):
    assert quern("cache", "path") == (f"{tmp_path / 'default'}\n", "")
    facts = as_json("cache", "path")
    assert facts == {"path": str(tmp_path / "default"), "from": "QUERN_CACHE_DIR", "exists": False, "problem": None}
    home = {"QUERN_CACHE_DIR": "", "XDG_CACHE_HOME": "", "HOME": str(tmp_path)}
    assert quern("cache", "path", env=home)[0] == f"{tmp_path}/.cache/quern\n"


@pytest.mark.parametrize("verb", ["ls", "stats", "verify", "prune", "path", "clear --yes", "show 0", "import {file}"])
def test_an_unsafe_folder_is_an_error_of_every_verb(root, tmp_path, capsys, verb):
    (tmp_path / "file").write_text("")
    root.chmod(0o777)
    for form in ([], ["--json"]):
        assert main(["cache", *verb.format(file=tmp_path / "file").split(), *form]) == 1
        out, err = capsys.readouterr()
        said = err or json.loads(out)["problem"]
        assert "can be written by other users (mode 0777)" in said and "set QUERN_CACHE_DIR" in said
    assert len(list(Layout(root).entries.glob("*/*"))) == 3


def test_a_path_below_a_file(quern, tmp_path):
    (tmp_path / "file").write_text("")
    _, err = quern("cache", "ls", env={"QUERN_CACHE_DIR": str(tmp_path / "file" / "cache")}, code=1)
    assert "Not a directory; set QUERN_CACHE_DIR to a folder of your own" in err


def test_prune(quern, as_json, root):
    out, _ = quern("cache", "prune", "--older-than", "30m", "--dry-run")
    assert out.startswith("1 entry would be removed from")
    assert as_json("cache", "prune")["removed"] == []  # well within the bound of the settings
    facts = as_json("cache", "prune", "--max-bytes", "0")  # the others were used within ten minutes
    assert len(facts["removed"]) == 1 and facts["bytes"] > 4000 and facts["dry_run"] is False
    assert quern("cache", "prune", "--older-than", "0s")[0].startswith("0 entries removed")
    assert as_json("cache", "ls")["total"] == 2
    for wrong in (("--max-bytes", "lots"), ("--older-than", "30")):
        _, err = quern("cache", "prune", *wrong, code=2)
        assert "write 500M, 2G" in err or "write 30d, 12h" in err


def test_verify(quern, as_json, root):
    assert quern("cache", "verify") == ("3 entries checked, 0 bad\n", "")
    assert as_json("cache", "verify") == {"path": str(root), "checked": 3, "bad": []}
    digest = as_json("cache", "ls", "--kind", "plan")["entries"][0]["digest"]
    (Layout(root).entry(digest) / "plan.json").write_bytes(b"[]")
    problem = "the content of plan.json does not match its checksum"
    facts = as_json("cache", "verify", "--dry-run", code=1)
    assert facts["bad"] == [{"digest": digest, "problem": problem, "set_aside": False}]
    out, _ = quern("cache", "verify", code=1)
    assert f"{digest[:12]}  {problem}  (set aside; it is never loaded)" in out and "3 entries checked, 1 bad" in out
    assert quern("cache", "verify")[0] == "2 entries checked, 0 bad\n"
    assert "1 bad entry set aside in" in quern("cache", "stats")[0]


def test_export_and_import(quern, as_json, root, tmp_path):
    bundle, other = tmp_path / "kernels.quern", {"QUERN_CACHE_DIR": str(tmp_path / "other")}
    assert quern("cache", "export", bundle)[0].startswith(f"3 entries written to {bundle} (")
    out, _ = quern("cache", "import", bundle, env=other)
    assert out.count("imported") == 4 and "3 imported, 0 already present, 0 rejected" in out
    verdicts = as_json("cache", "import", bundle, env=other)["entries"]
    assert [entry["verdict"] for entry in verdicts] == ["present"] * 3
    one = as_json("cache", "ls", "--kind", "plan")["entries"][0]["digest"]
    assert as_json("cache", "export", bundle, "--key", one[:10])["exported"] == [one]
    assert len(as_json("cache", "export", bundle, "--kind", "cpp-kernel")["exported"]) == 2


def test_export_and_import_gone_wrong(quern, as_json, root, tmp_path):
    assert "make it first" in quern("cache", "export", tmp_path / "no" / "such", code=2)[1]
    assert "there is no file" in quern("cache", "import", tmp_path / "nothing", code=2)[1]
    (tmp_path / "text").write_text("hello")
    assert "is not a bundle made by `quern cache export`" in quern("cache", "import", tmp_path / "text", code=1)[1]
    (Layout(root).entry(as_json("cache", "ls")["entries"][0]["digest"]) / "plan.json").write_bytes(b"")
    out, err = quern("cache", "export", tmp_path / "part", code=1)
    assert "2 entries written" in out and "plan.json has 0 bytes" in err
    assert len(as_json("cache", "export", tmp_path / "part", code=1)["left_out"]) == 1


def test_info(quern, as_json, root):
    out, _ = quern("info")
    assert f"cache     {root} (from QUERN_CACHE_DIR)" in out and "supported: 3.11, 3.12, 3.13" in out
    facts = as_json("info")
    assert facts["python"]["version"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    assert facts["packages"]["numpy"] and facts["cache"]["path"] == str(root)
    empty = {"PATH": "", "CXX": "no-such-compiler"}
    out, err = quern("info", env=empty)
    assert "none found" in out and "install g++ or clang++" in err
    facts = as_json("info", env=empty)
    assert facts["compiler"] is None and "no C++ compiler was found" in facts["problems"][0]


def test_help_is_useful_to_a_newcomer(quern, capsys):
    for args in (["--help"], []):
        out, _ = quern(*args)
        assert "quern.compile(" in out and "examples:" in out and "exit codes:" in out
    out, _ = quern("cache", "--help")
    assert "QUERN_CACHE_DIR" in out and "quern cache prune --max-bytes 500M" in out
    for verb in ("ls", "show", "stats", "clear", "path", "prune", "verify", "export", "import"):
        assert f"    {verb} " in out
        with pytest.raises(SystemExit, match="0"):
            main(["cache", verb, "--help"])
        assert "--json" in capsys.readouterr().out


def test_version(quern):
    from importlib.metadata import version

    assert quern("--version")[0] == f"quern {version('quern')}\n"


def test_wrong_usage(quern):
    assert "invalid choice: 'tidy'" in quern("cache", "tidy", code=2)[1]
    assert "required: VERB" in quern("cache", code=2)[1]
    assert "not a positive whole number" in quern("cache", "ls", "--limit", "0", code=2)[1]


def test_the_installed_command_is_the_same(root):
    command = os.path.join(os.path.dirname(sys.executable), "quern")
    if not os.path.exists(command):
        pytest.skip("quern is not installed here")
    done = subprocess.run([command, "cache", "path"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout == f"{root}\n"


def test_a_reader_that_stops_early_is_no_error(root):
    script = f"{sys.executable} -m quern cache ls | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""


def test_the_command_is_light(root):
    script = """
import sys, time
from quern.cli import main
assert main(["cache", "ls"]) == 0 and main(["info"]) == 0
heavy = {"torch", "triton", "sympy", "numpy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


def test_the_command_answers_at_once(root):
    """In processor time, which other work on the machine does not stretch much."""

    def seconds(*command):
        before = os.times()
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(seconds("-m", "quern", "cache", "ls") for _ in range(3)) < 0.3
    assert min(seconds("-m", "quern", "cache", "path") for _ in range(3)) < 0.2


@pytest.mark.parametrize(
    "text, size", [("500M", 500 << 20), ("2G", 2 << 30), ("1.5k", 1536), ("7", 7), ("3 MiB", 3 << 20)]
)
def test_sizes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize("text, span", [("30d", 2592000), ("12h", 43200), ("1.5m", 90), ("90s", 90), ("1w", 604800)])
def test_durations(text, span):
    assert parse_duration(text) == span
