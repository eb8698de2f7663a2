"""Kernels with running prefixes: rows whose passes carry a state from point to point of r, along the lanes or across them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ....loops import Expr
from ....refusal import Refusal
from ..nest import Nest
from ..reductions import finish, joiner
from ..sharing import Sharing
from ..types import storage_type, value_type
from ..writer import Value, Writer
from .rows import declare_states, emit_pass, emit_points, scans_of, share_rows
from .way import Array, Function


@dataclass(frozen=True)
class Scan:
    """Rows with running prefixes."""

    nest: Nest
    sharing: Sharing
    note: str = ""

    def functions(self) -> list[Function]:
        return [emit_points(self.nest, self.sharing, _emit_passes)]

    def arrays(self) -> list[Array]:
        return []


def plan(nest: Nest) -> Scan | Refusal:
    """For kernels with a scan."""
    if not nest.has_scan:
        return Refusal("no-scan", "heuristic", "no value runs along r step by step")
    return Scan(nest, share_rows(nest))


def _emit_passes(w: Writer) -> None:
    for one in w.nest.passes:
        states = declare_states(w, one)
        for e in scans_of(one):
            w.at_hand[e] = _running(w, e)
        emit_pass(w, one, states)
        for state, x in zip(states, one.reductions):
            finish(w, state, x)
    w.stores(w.nest.final)


def _running(w: Writer, e: Expr) -> Callable[[], Value]:
    """Declare a running prefix; what gives its value at the next point of r."""
    vectors, along = w.nest.vector is not None, w.nest.along_r
    state = w.fresh("a")
    kind = "Scan" if along else "ScanAcross"
    w.line(f"{kind}<{joiner(e)}, {w.type_name(storage_type(e.dtype), vectors)}> {state};")

    def following() -> Value:
        x = w.as_type(w.value(e.args[0]), value_type(e, vectors))
        if not vectors:
            return Value(f"{state}.next({x.text})", x.ctype, False, w.level)
        return Value(f"{state}.next({w.as_vector(x)}{', n' if along else ''})", x.ctype, True, w.level)

    return following
