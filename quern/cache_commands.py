"""`quern cache`: look into the cache, keep it tidy, move it."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .cache import bundle as bundles
from .cache import find_location, upkeep
from .cache.location import Layout, Location, check_parents, check_root
from .config import config
from .errors import CacheError
from .terminal import UsageError, add_json, ago, complain, date, print_json, print_table, seconds, shorten, size
from .words import count

_EXAMPLES = """\
examples:
  quern cache ls --kind cpp-kernel --limit 10
  quern cache stats --json | jq .bytes
  quern cache prune --max-bytes 500M
  quern cache verify && echo sound
  quern cache export kernels.quern; scp kernels.quern other:; ssh other quern cache import kernels.quern
  QUERN_CACHE_DIR=/scratch/me/quern quern cache path

Every verb takes --json. The folder is $QUERN_CACHE_DIR, else $XDG_CACHE_HOME/quern, else ~/.cache/quern."""


# The verbs: each prints its answer and returns the exit code


def run_ls(args: argparse.Namespace) -> int:
    layout = _open_cache()
    entries = [entry for entry in upkeep.list_entries(layout) if args.kind in (None, entry.kind)]
    if args.sort != "used":
        rank: dict[str, Callable[[upkeep.Listed], Any]] = {
            "size": lambda entry: -entry.bytes,
            "created": lambda entry: -entry.manifest.get("created", 0),
            "build": lambda entry: -entry.manifest.get("build_seconds", 0),
        }
        entries.sort(key=rank[args.sort])
    shown = entries[: args.limit]
    if args.json:
        return print_json({"path": str(layout.root), "total": len(entries), "entries": [_facts(e) for e in shown]})
    if not entries:
        which = f" of kind {args.kind}" if args.kind else ""
        print(f"No entries{which} in {layout.root}")
        return 0
    rows = [
        (
            entry.digest[:12],
            entry.kind,
            entry.problem and f"DAMAGED: {entry.problem}" or str(entry.manifest.get("label", "")),
            size(entry.bytes),
            ago(entry.last_used),
            seconds(entry.manifest.get("build_seconds")),
            str(entry.manifest.get("origin", "")),
        )
        for entry in shown
    ]
    print_table(("KEY", "KIND", "WHAT", ">SIZE", "USED", ">BUILT IN", "FROM"), rows)
    more = f", {len(shown)} shown" if len(shown) < len(entries) else ""
    print(f"{count(len(entries), 'entry', 'entries')}{more}, {size(sum(e.bytes for e in entries))} in {layout.root}")
    return 0


def run_show(args: argparse.Namespace) -> int:
    layout = _open_cache()
    entry = _one_entry(layout, args.key)
    if args.cat:
        if args.json:
            raise UsageError("--cat prints a file as it is; leave out --json")
        return _cat(entry, args.cat)
    manifest = entry.manifest
    if args.json:
        facts = {**_facts(entry), "folder": str(entry.folder), "manifest": manifest}
        return print_json(facts, 1 if entry.problem else 0)
    if entry.problem:
        print(f"{entry.digest} is damaged: {entry.problem}\nIt is never loaded; `quern cache verify` sets it aside.")
        return 1
    standard = ("format", "parts", "files", "seal", "created", "build_seconds", "digest", "kind", "label", "origin")
    lines = [
        ("key", entry.digest),
        ("kind", entry.kind),
        ("what", manifest["label"]),
        ("from", manifest["origin"]),
        ("folder", str(entry.folder)),
        ("size", size(entry.bytes)),
        ("created", f"{date(manifest['created'])} ({ago(manifest['created'])})"),
        ("last used", f"{date(entry.last_used)} ({ago(entry.last_used)})"),
        ("built in", seconds(manifest["build_seconds"])),
        *((name, shorten(value)) for name, value in manifest.items() if name not in standard),
    ]
    for name, text in lines:
        if text:
            print(f"{name + ':':<12}{text}")
    print("\nmade from (the parts of its key):")
    print_table(
        ("PART", "VALUE", "SHA256"),
        [
            (
                name,
                shorten(part["value"]) if "value" in part else f"({part['characters']} characters)",
                part["sha256"][:12],
            )
            for name, part in manifest["parts"].items()
        ],
    )
    print("\nfiles:")
    files = manifest["files"].items()
    print_table(("FILE", ">SIZE", "SHA256"), [(name, size(f["bytes"]), f["sha256"][:12]) for name, f in files])
    return 0


def run_stats(args: argparse.Namespace) -> int:
    layout = _open_cache()
    facts = {**upkeep.statistics(layout), "max_bytes": config.cache_max_bytes}
    if args.json:
        return print_json(facts)
    print(f"{count(facts['entries'], 'entry', 'entries')} in {layout.root}")
    print(f"{size(facts['bytes'])} of at most {size(facts['max_bytes'])}, {facts['files']} files and folders")
    if facts["entries"]:
        print(f"building them took {seconds(facts['build_seconds'])}; last used {ago(facts['most_recent_use'])}\n")
        kinds = sorted(facts["kinds"].items())
        rows = [(name, str(k["entries"]), size(k["bytes"]), seconds(k["build_seconds"])) for name, k in kinds]
        print_table(("KIND", ">ENTRIES", ">SIZE", ">BUILT IN"), rows)
    if facts["quarantined"]:
        print(f"{count(facts['quarantined'], 'bad entry', 'bad entries')} set aside in {layout.quarantine}")
    return 0


def run_clear(args: argparse.Namespace) -> int:
    layout = _open_cache()
    what = f"all entries of kind {args.kind}" if args.kind else "all entries"
    if not args.yes:
        if args.json or not sys.stdin.isatty():
            raise UsageError(f"this removes {what} from {layout.root}; say --yes to go ahead without being asked")
        print(f"Remove {what} from {layout.root}? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            print("Nothing removed.", file=sys.stderr)
            return 1
    removed = upkeep.remove_all(layout, args.kind)
    return _report_removed(args, layout, removed)


def run_path(args: argparse.Namespace) -> int:
    location, problem = location_and_problem()
    if args.json:
        exists = location.root is not None and location.root.is_dir()
        root = None if location.root is None else str(location.root)
        facts = {"path": root, "from": location.source, "exists": exists, "problem": problem}
        return print_json(facts, 1 if problem else 0)
    if location.root is not None:
        print(location.root)
    return complain(problem, 1) if problem else 0


def run_prune(args: argparse.Namespace) -> int:
    layout = _open_cache()
    bound = args.max_bytes
    if bound is None and args.older_than is None:
        bound = config.cache_max_bytes
    if args.dry_run:
        chosen = upkeep.choose(upkeep.list_entries(layout), max_bytes=bound, older_than=args.older_than)
    else:
        chosen = upkeep.prune(layout, max_bytes=bound, older_than=args.older_than)
    return _report_removed(args, layout, chosen, dry_run=args.dry_run)


def run_verify(args: argparse.Namespace) -> int:
    layout = _open_cache()
    checked = list(upkeep.check_entries(layout, repair=not args.dry_run))
    bad = [found for found in checked if found.problem]
    code = 1 if bad else 0
    if args.json:
        found = [{"digest": b.digest, "problem": b.problem, "set_aside": b.set_aside} for b in bad]
        return print_json({"path": str(layout.root), "checked": len(checked), "bad": found}, code)
    for one in bad:
        fate = "set aside" if one.set_aside else "left where it is"
        print(f"{one.digest[:12]}  {one.problem}  ({fate}; it is never loaded)")
    print(f"{count(len(checked), 'entry', 'entries')} checked, {len(bad)} bad")
    return code


def run_export(args: argparse.Namespace) -> int:
    layout = _open_cache()
    entries = [entry for entry in upkeep.list_entries(layout) if args.kind in (None, entry.kind)]
    if args.key:
        wanted = {_one_entry(layout, prefix).digest for prefix in args.key}
        entries = [entry for entry in entries if entry.digest in wanted]
    target = Path(args.file)
    if not target.absolute().parent.is_dir():
        raise UsageError(f"the folder {target.absolute().parent} does not exist; make it first")
    written, left_out = bundles.export_bundle(layout, [entry.digest for entry in entries], target.absolute())
    code = 1 if left_out or not written else 0
    if args.json:
        skipped = [{"digest": one.digest, "reason": one.reason} for one in left_out]
        facts = {"file": str(target), "bytes": target.stat().st_size, "exported": written, "left_out": skipped}
        return print_json(facts, code)
    for one in left_out:
        print(f"left out {one.digest[:12]}: {one.reason}", file=sys.stderr)
    print(f"{count(len(written), 'entry', 'entries')} written to {target} ({size(target.stat().st_size)})")
    return code


def run_import(args: argparse.Namespace) -> int:
    source = Path(args.file)
    if not source.is_file():
        raise UsageError(f"there is no file {source}; make one with `quern cache export {source}`")
    verdicts = bundles.import_bundle(_open_cache(create=True), source)
    code = 1 if any(one.verdict == "rejected" for one in verdicts) else 0
    if args.json:
        found = [{"digest": v.digest, "label": v.label, "verdict": v.verdict, "reason": v.reason} for v in verdicts]
        return print_json({"file": str(source), "entries": found}, code)
    if verdicts:
        print_table(
            ("KEY", "WHAT", "VERDICT", "WHY"), [(v.digest[:12], v.label, v.verdict, v.reason) for v in verdicts]
        )
    tally = {word: sum(v.verdict == word for v in verdicts) for word in ("imported", "present", "rejected")}
    print(f"{tally['imported']} imported, {tally['present']} already present, {tally['rejected']} rejected")
    return code


# The cache folder and its entries


def location_and_problem() -> tuple[Location, str | None]:
    """Where the cache should lie, and why it cannot be used there, if so."""
    location = find_location()
    if location.root is None:
        return location, "no home folder is known for this user; set QUERN_CACHE_DIR to a folder of your own"
    try:
        check_root(location.root)
        check_parents(location.root)
    except CacheError as error:
        return location, str(error)
    return location, None


def _open_cache(create: bool = False) -> Layout:
    """The cache folder, which need not exist yet. Raises CacheError where it cannot be trusted."""
    location, problem = location_and_problem()
    if problem or location.root is None:
        raise CacheError(problem)
    layout = Layout(location.root)
    if create:
        layout.prepare()
    return layout


def _one_entry(layout: Layout, prefix: str) -> upkeep.Listed:
    if not re.fullmatch("[0-9a-f]{1,64}", prefix.lower()):
        raise UsageError(f"{prefix!r} is not the beginning of a key (hexadecimal digits); see `quern cache ls`")
    found = [entry for entry in upkeep.list_entries(layout) if entry.digest.startswith(prefix.lower())]
    if not found:
        raise CacheError(f"no entry begins with {prefix} in {layout.root}; `quern cache ls` lists what there is")
    if len(found) > 1:
        some = ", ".join(entry.digest[:12] for entry in found[:4]) + (", ..." if len(found) > 4 else "")
        raise UsageError(f"{prefix} is the beginning of {len(found)} keys ({some}); give more digits")
    return found[0]


def _cat(entry: upkeep.Listed, name: str) -> int:
    if entry.problem:
        raise CacheError(f"{entry.digest[:12]} is damaged: {entry.problem}")
    if name not in entry.manifest["files"]:
        raise CacheError(f"{entry.digest[:12]} has no file {name!r}; it has {', '.join(entry.manifest['files'])}")
    sys.stdout.buffer.write(entry.folder.joinpath(name).read_bytes())
    return 0


def _facts(entry: upkeep.Listed) -> dict[str, Any]:
    manifest = entry.manifest
    return {
        "digest": entry.digest,
        "kind": entry.kind,
        "label": manifest.get("label", ""),
        "origin": manifest.get("origin", ""),
        "bytes": entry.bytes,
        "created": manifest.get("created"),
        "last_used": entry.last_used,
        "build_seconds": manifest.get("build_seconds"),
        "problem": entry.problem,
    }


def _report_removed(
    args: argparse.Namespace, layout: Layout, removed: list[upkeep.Listed], dry_run: bool = False
) -> int:
    freed = sum(entry.bytes for entry in removed)
    if args.json:
        digests = [entry.digest for entry in removed]
        return print_json({"path": str(layout.root), "removed": digests, "bytes": freed, "dry_run": dry_run})
    verb = "would be removed" if dry_run else "removed"
    print(f"{count(len(removed), 'entry', 'entries')} {verb} from {layout.root}, {size(freed)}")
    return 0


# The command line


def parse_size(text: str) -> int:
    """Bytes from "500M", "2GiB", "1048576"; units are powers of 1024. Raises argparse.ArgumentTypeError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size; write 500M, 2G or a number of bytes")
    return int(float(match[1]) * 1024 ** " kmgt".index(match[2] or " "))


def parse_duration(text: str) -> float:
    """Seconds from "30d", "12h", "45m", "90s". Raises argparse.ArgumentTypeError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip().lower())
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time span; write 30d, 12h, 45m or 90s")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}[match[2]]


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def add_parser(commands: Any) -> None:
    """The options of all verbs, for the command's own parser."""
    raw = argparse.RawDescriptionHelpFormatter
    cache = commands.add_parser(
        "cache", help="look into the cache, tidy it, move it", epilog=_EXAMPLES, formatter_class=raw
    )
    verbs = cache.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        made.set_defaults(run=run)
        add_json(made)
        return made

    ls = verb("ls", run_ls, "list the entries, most recently used first")
    ls.add_argument("--kind", help="only entries of this kind, such as cpp-kernel or plan")
    ls.add_argument(
        "--sort", choices=("used", "size", "created", "build"), default="used", help="order (default: used)"
    )
    ls.add_argument("--limit", type=_positive, metavar="N", help="show the first N only")

    show = verb("show", run_show, "show one entry: what it is, what its key is made of, its files")
    show.add_argument("key", metavar="KEY", help="a key, or as many of its first digits as make it unique")
    show.add_argument("--cat", metavar="FILE", help="print this file of the entry instead")

    verb("stats", run_stats, "sum up the cache: entries, bytes, files, by kind")

    clear = verb("clear", run_clear, "remove all entries")
    clear.add_argument("--yes", action="store_true", help="do not ask")
    clear.add_argument("--kind", help="only entries of this kind")

    verb("path", run_path, "print the cache folder; exit 1 where it cannot be used")

    prune = verb("prune", run_prune, "remove what is old, or least recently used; entries in use stay")
    prune.add_argument("--max-bytes", type=parse_size, metavar="SIZE", help="until at most this remains: 500M, 2G")
    prune.add_argument("--older-than", type=parse_duration, metavar="SPAN", help="what was not used for 30d, 12h, 45m")
    prune.add_argument("--dry-run", action="store_true", help="say what would be removed")

    verify = verb("verify", run_verify, "read and check every entry; bad ones are set aside; exit 1 if there were any")
    verify.add_argument("--dry-run", action="store_true", help="leave bad entries where they are")

    export = verb("export", run_export, "write entries to one file, to be imported elsewhere")
    export.add_argument("file", metavar="FILE", help="the file to write; replaced if it exists")
    export.add_argument("--key", action="append", help="only this entry (may be repeated)")
    export.add_argument("--kind", help="only entries of this kind")

    bring = verb("import", run_import, "add the entries of an exported file; it holds machine code: trust its maker")
    bring.add_argument("file", metavar="FILE", help="a file made by `quern cache export`")
