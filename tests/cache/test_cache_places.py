"""Folders that are unsafe, missing, full or read-only: said once, never wrong."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
import warnings
from pathlib import Path

import pytest
from quern.cache import CacheKey, CacheWarning, Store, default_store, find_location
from quern.cache.location import check_parents, check_root

from quern.errors import CacheError, UnsafeCacheDirectory

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def other_key(name="other"):
    return CacheKey.make("plan", {"of": name})


def degraded_once(store, key, build, pattern):
    """Two keys are built in a private folder, with one warning that matches; returns the first entry."""
    with pytest.warns(CacheWarning, match=pattern) as said:
        entry = store.get_or_build(key, build)
        store.put(other_key(), {"plan": b"x"})
        assert store.get(key) == entry and store.get(other_key()).read("plan") == b"x"
        assert store.get_or_build(key, build).read("kernel_cpp") == b"int f();"
    assert len(said) == 1 and "lost when this process ends" in str(said[0].message)
    assert "set QUERN_CACHE_DIR to" in str(said[0].message)
    assert build.runs == 1 and store.counters.degraded == 1 and store.trouble
    assert store.root is None or not entry.folder.is_relative_to(store.root)
    assert entry.folder.parents[3].stat().st_mode & 0o777 == 0o700
    return entry


def test_a_path_below_a_file(tmp_path, key, build):
    (tmp_path / "file").write_text("")
    degraded_once(Store(tmp_path / "file" / "cache"), key, build, "file/cache cannot be .*Not a directory")


def test_a_file_in_the_folders_place(tmp_path, key, build):
    (tmp_path / "file").write_text("")
    degraded_once(Store(tmp_path / "file"), key, build, "is not a folder; remove it")


def test_no_home(key, build, monkeypatch):
    for name in ("QUERN_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("Could not determine home")))
    assert find_location().root is None
    degraded_once(default_store(), key, build, "no folder for the cache was found: no home folder is known")


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777, 0o702])
def test_a_folder_that_others_can_write_is_refused(tmp_path, key, build, mode):
    root = tmp_path / "cache"
    Store(root).put(key, {"kernel_so": b"planted", "kernel_cpp": b"planted"})
    root.chmod(mode)
    entry = degraded_once(Store(root), key, build, rf"can be written by other users \(mode {mode:04o}\)")
    assert entry.read("kernel_so") == build.files["kernel_so"]
    with pytest.raises(UnsafeCacheDirectory, match="nothing is loaded from it; remove it and let quern make"):
        check_root(root)


def test_a_folder_opened_up_later_is_refused_from_then_on(store, key, build):
    store.get_or_build(key, build)
    store.root.chmod(0o777)
    with pytest.warns(CacheWarning, match="written by other users"):
        assert store.get(key) is None


def test_a_replaceable_parent_is_refused(tmp_path, key, build):
    parent = tmp_path / "open"
    parent.mkdir()
    parent.chmod(0o777)
    with pytest.raises(UnsafeCacheDirectory, match="which anyone can write to .*chmod o-w"):
        check_parents(parent / "cache")
    degraded_once(Store(parent / "cache"), key, build, "which anyone can write to")
    parent.chmod(0o1777)  # sticky, as /tmp is: only owners rename
    assert Store(parent / "cache").get_or_build(key, build).folder.is_relative_to(parent)


def test_links_by_the_user_are_followed(tmp_path, key, build):
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    store = Store(tmp_path / "link")
    store.get_or_build(key, build)
    assert store.counters.degraded == 0 and (tmp_path / "real" / "v1").is_dir()


def test_a_link_to_an_open_folder_is_refused(tmp_path, key, build):
    (tmp_path / "real").mkdir()
    (tmp_path / "real").chmod(0o777)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    degraded_once(Store(tmp_path / "link"), key, build, "written by other users")


@as_root
def test_links_and_folders_and_files_of_other_users_are_refused(tmp_path, key, build):
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    os.lchown(link, 65534, 65534)
    degraded_once(Store(link), key, build, "symbolic link made by user 65534, who could point it elsewhere")
    os.chown(tmp_path / "real", 65534, 65534)
    build.runs = 0
    degraded_once(Store(tmp_path / "real"), key, build, "belongs to user 65534, not to you")
    store = Store(tmp_path / "mixed")
    entry = store.put(key, {"kernel_so": b"x"})
    os.chown(entry.path("kernel_so"), 65534, 65534)
    assert Store(tmp_path / "mixed").get(key) is None


@contextlib.contextmanager
def unprivileged():
    """As user 65534, in a folder that it may reach."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield folder
    finally:
        os.seteuid(0)
        os.setegid(0)
        shutil.rmtree(folder)


@as_root
def test_a_folder_one_may_not_write(key, build):
    with unprivileged() as folder:
        degraded_once(Store(folder / "cache"), key, build, "Permission denied")


@as_root
def test_a_cache_baked_by_root_is_read(key, build):
    with unprivileged() as folder:
        os.seteuid(0)
        Store(folder / "cache").put(key, {"kernel_so": b"baked"})
        for path in (folder / "cache", *(folder / "cache").rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
        os.seteuid(65534)
        store = Store(folder / "cache")
        assert store.get(key).read("kernel_so") == b"baked"
        with pytest.warns(CacheWarning, match="Permission denied"):
            store.put(other_key(), {"plan": b"x"})
        assert store.get(key).read("kernel_so") == b"baked" and store.get(other_key()).read("plan") == b"x"


FAULTS = {
    "mkdtemp": ("tempfile.mkdtemp", errno.ENOSPC),
    "rename": ("os.rename", errno.EROFS),
    "fsync": ("os.fsync", errno.EIO),
    "quota": ("os.fsync", errno.EDQUOT),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_disk_that_fails_at_each_step(tmp_path, key, build, monkeypatch, fault):
    name, code = FAULTS[fault]
    owner, _, function = name.rpartition(".")
    real = getattr(sys.modules[owner], function)

    def failing(*args, **kwargs):
        where = str(kwargs.get("dir") or args[0])
        if isinstance(args[0] if args else None, int):
            where = os.readlink(f"/proc/self/fd/{args[0]}")
        if where.startswith(str(tmp_path)):
            raise OSError(code, os.strerror(code), where)
        return real(*args, **kwargs)

    monkeypatch.setattr(name, failing)
    store = Store(tmp_path / "cache")
    with pytest.warns(CacheWarning, match=os.strerror(code)) as said:
        entry = store.get_or_build(key, build)
    assert len(said) == 1 and entry.read("kernel_cpp") == b"int f();"
    assert build.runs == (1 if fault == "mkdtemp" else 2)
    monkeypatch.undo()
    assert list((tmp_path / "cache" / "v1" / "tmp").iterdir()) == []


def test_nowhere_to_write_at_all_is_an_error_that_says_what_to_do(tmp_path, key, build, monkeypatch):
    monkeypatch.setattr("tempfile.mkdtemp", lambda **_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left")))
    store = Store(tmp_path / "cache")
    with pytest.warns(CacheWarning), pytest.raises(CacheError, match="set QUERN_CACHE_DIR or TMPDIR to a folder"):
        store.get_or_build(key, build)
    assert build.runs == 0


def test_the_private_folder_ends_with_its_process_and_not_with_a_child(tmp_path):
    script = """
import os, sys, warnings
from quern.cache import CacheKey, Store
warnings.simplefilter("ignore")
entry = Store("/dev/null/cache").put(CacheKey.make("plan", {"n": 1}), {"data": b"x"})
if os.fork() == 0:
    sys.exit()
os.wait()
assert entry.read("data") == b"x"
print(entry.folder.parents[3])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    private = done.stdout.strip()
    assert "quern-private-" in private and not os.path.exists(private)


def test_a_private_folder_that_was_taken_over_is_left(tmp_path, key, build):
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file")
    with pytest.warns(CacheWarning):
        first = store.get_or_build(key, build)
    first.folder.parents[3].chmod(0o777)
    assert store.get(key) is None
    again = store.get_or_build(key, build)
    assert again.folder.parents[3] != first.folder.parents[3] and build.runs == 2


# A real full disk and a real read-only one, where mounting is allowed

SCRIPT = """
import os, sys, warnings
from pathlib import Path
from quern.cache import CacheKey, Store
from quern.cache.location import Layout
root = Path(sys.argv[1]) / "cache"
def key(n): return CacheKey.make("plan", {"n": n})
warnings.simplefilter("always")
"""


def on_a_small_disk(tmp_path, script, before="true"):
    mount = f'mount -t tmpfs -o size=2m,mode=700 none "$0" && {before} && exec "$@"'
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        mount,
        str(tmp_path),
        sys.executable,
        "-c",
        SCRIPT + textwrap.dedent(script),
    ]
    return subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, timeout=60)


def can_mount():
    if not shutil.which("unshare"):
        return False
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=1m", "none", "/mnt"]
    return subprocess.run(command, capture_output=True).returncode == 0


needs_mount = pytest.mark.skipif(not can_mount(), reason="may not mount a file system here")


@needs_mount
def test_a_full_disk(tmp_path):
    done = on_a_small_disk(
        tmp_path,
        """
        store = Store(root)
        entries = [store.put(key(n), {"data": bytes([n]) * 300_000}) for n in range(12)]
        for n, entry in enumerate(entries):
            assert entry.read("data") == bytes([n]) * 300_000
            assert store.get(key(n)).read("data") == bytes([n]) * 300_000
        inside = [entry.folder.is_relative_to(root) for entry in entries]
        assert inside[0] and not inside[-1] and store.counters.degraded == 1, inside
        assert os.listdir(Layout(root).tmp) == []
        # A build that fails because its disk is full (as a compiler would) is run again where there is room.
        def compiler(folder):
            try:
                (folder / "big").write_bytes(bytes(3_000_000))
            except OSError:
                raise RuntimeError("compiler: error writing big") from None
        fresh = Store(root)
        assert len(fresh.get_or_build(key("big"), compiler).read("big")) == 3_000_000
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("CacheWarning") == 2 and "No space left on device" in done.stderr


@needs_mount
def test_a_read_only_disk_still_gives_what_it_has(tmp_path):
    done = on_a_small_disk(
        tmp_path,
        """
        import subprocess
        Store(root).put(key(1), {"data": b"warm"})
        broken = Store(root).put(key(2), {"data": b"soon bad"})
        broken.path("data").write_bytes(b"bad now!")
        subprocess.run(["mount", "-o", "remount,ro", sys.argv[1]], check=True)
        store = Store(root)
        assert store.get(key(1)).read("data") == b"warm" and store.counters.degraded == 0
        assert store.put(key(2), {"data": b"soon bad"}).read("data") == b"soon bad"
        assert store.put(key(3), {"data": b"new"}).read("data") == b"new"
        assert store.get(key(1)).read("data") == b"warm" and store.get(key(3)).read("data") == b"new"
        """,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("CacheWarning") == 1 and "Read-only file system" in done.stderr


def test_no_warning_in_ordinary_use(store, key, build):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        store.get_or_build(key, build)
        Store(store.root).get(key)
