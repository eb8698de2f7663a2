"""`python -m bench coverage`: who differentiates the entries of PyTorch's own database of operators.

    python -m bench coverage [ENTRY ...] [--samples N] [--json FILE]

Each entry that has gradients is compiled as one graph, on some of its float32 sample inputs spread over all of them, and its results
and gradients are compared with eager's. An entry is *generated* where every op of its graphs that gradients flow through has a rule in
the op table, *framework* where some are differentiated by the framework between generated parts (which is said), *not captured* where
no single graph is made of it, and *wrong* where a result or a gradient differs by more than 1e-3 of its largest element (1e-5 of the
largest of all, where that is more: some gradients are zero but for rounding).
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

KINDS = ("generated", "framework", "not captured", "wrong")


def entries() -> dict[str, Any]:
    """PyTorch's database by name. Its modules ask for `expecttest`, which no entry uses. Entries that draw random numbers save and restore
    the generator's state around the call: who calls them seeds it instead.
    """
    if "expecttest" not in sys.modules:
        stand_in: Any = types.ModuleType("expecttest")
        stand_in.TestCase = type("TestCase", (__import__("unittest").TestCase,), {})
        sys.modules["expecttest"] = stand_in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal import common_methods_invocations as invocations
    invocations.wrapper_set_seed = lambda op, *args, **kwargs: op(*args, **kwargs)
    return {op.name + (f".{op.variant_test_name}" if op.variant_test_name else ""): op for op in invocations.op_db}


def samples(op: Any, count: int) -> list[Any]:
    """Some of an entry's samples that want gradients; none where it has none in float32."""
    import torch

    if not op.supports_autograd or torch.float32 not in op.supported_backward_dtypes("cpu"):
        return []
    torch.manual_seed(0)
    found = list(itertools.islice(op.sample_inputs("cpu", torch.float32, requires_grad=True), 40))
    places = (
        sorted({i * (len(found) - 1) // max(count - 1, 1) for i in range(count)})
        if len(found) > count
        else range(len(found))
    )
    return [found[i] for i in places]


def _tensors(tree: Any) -> Iterator[Any]:
    import torch

    if isinstance(tree, torch.Tensor):
        yield tree
    elif isinstance(tree, (list, tuple, dict)):
        for part in tree.values() if isinstance(tree, dict) else tree:
            yield from _tensors(part)


def _copied(tree: Any) -> Any:
    import torch

    if isinstance(tree, torch.Tensor):
        return tree.detach().clone().requires_grad_(tree.requires_grad)
    if isinstance(tree, dict):
        return {k: _copied(v) for k, v in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(map(_copied, tree))
    return tree


def differentiated(call: Callable[..., Any], sample: Any) -> list[Any]:
    """The results of a call, and the gradients of what it is given, by a sum in which each element has its own weight."""
    import torch

    x, args, kwargs = _copied((sample.input, sample.args, sample.kwargs))
    torch.manual_seed(0)
    results = list(_tensors(call(x, args, kwargs)))
    given = [t for t in _tensors((x, args, kwargs)) if t.requires_grad]
    losses = [
        (r * torch.arange(1.0, r.numel() + 1).reshape(r.shape).cos()).sum().abs() for r in results if r.requires_grad
    ]
    gradients = torch.autograd.grad(sum(losses), given, allow_unused=True) if losses and given else ()
    return [*(r.detach() for r in results), *gradients]


def ask(op: Any, count: int) -> dict[str, Any]:
    """What becomes of an entry: its kind, the framework's ops in it, and what is wrong or refused."""
    from quern.capture.entry import execution
    from quern.inductor import parts, training

    import quern
    from quern.errors import QuernError

    seen: list[Any] = []
    before, worth = execution.compile_for_gradients, parts.WORTH

    def compile_for_gradients(*args: Any, **kwargs: Any) -> Any:
        made = training.compile_for_gradients(*args, **kwargs)
        seen.append(made.gradients)
        return made

    def program(x: Any, args: Any, kwargs: Any) -> Any:
        return function(x, *args, **kwargs)

    function, asked = op.get_op(), 0
    # a single op is worth no part of its own: here it is asked whether it could be one
    execution.compile_for_gradients, parts.WORTH = compile_for_gradients, 1
    try:
        for sample in samples(op, count):
            try:
                expected = differentiated(program, sample)
            except Exception:  # noqa: S112 - the sample is not for this: eager refuses it
                continue
            asked += 1
            try:
                found = differentiated(quern.compile(program, fullgraph=True), sample)
            except QuernError as error:
                return {"kind": "not captured", "why": str(error).splitlines()[0]}
            largest = max(map(_largest, expected), default=0.0)
            if not all(_alike(f, e, largest) for f, e in zip(found, expected)):
                return {"kind": "wrong", "why": f"sample {asked}"}
    finally:
        execution.compile_for_gradients, parts.WORTH = before, worth
    if not asked:
        return {}
    names = sorted({name for g in seen for name in g.framework})
    return {"kind": "framework" if names else "generated", "framework": names, "ops": sum(g.generated for g in seen)}


def _largest(t: Any) -> float:
    """The largest of its finite elements."""
    finite = [] if t is None else t[t.isfinite()]
    return float(finite.abs().max()) if len(finite) else 0.0


def _alike(found: Any, expected: Any, largest: float) -> bool:
    """largest: of all results and gradients; what is smaller by far is zero, up to rounding"""
    import torch

    if found is None or expected is None:
        return found is expected
    return torch.allclose(found, expected, 1e-3, max(1e-3 * _largest(expected), 1e-5 * largest), equal_nan=True)


def table(rows: dict[str, dict[str, Any]]) -> Table:
    made = Table(title="PyTorch's database of operators: who differentiates its entries")
    for heading in ("kind", "entries", "which"):
        made.add_column(heading, overflow="fold")
    for kind in KINDS:
        names = [name for name, row in rows.items() if row["kind"] == kind]
        shown = names if kind in ("not captured", "wrong") else []
        made.add_row(kind, str(len(names)), ", ".join(shown))
    return made


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench coverage", description=__doc__)
    parser.add_argument("entries", nargs="*", metavar="ENTRY", help="default: all")
    parser.add_argument("--samples", type=int, default=2, help="of each entry")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    options = parser.parse_args(argv)
    known = entries()
    unknown = [name for name in options.entries if name not in known]
    if unknown:
        parser.error(f"no entry {unknown[0]!r} in the database")
    rows = {}
    warnings.simplefilter("ignore")
    for name in track(options.entries or list(known), description="entries"):
        row = ask(known[name], options.samples)
        if row:
            rows[name] = row
    Console().print(table(rows))
    calls = collections.Counter(call for row in rows.values() for call in row.get("framework", ()))
    print("differentiated by the framework, by entries:", ", ".join(f"{name} {n}" for name, n in calls.most_common()))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
