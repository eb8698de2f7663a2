"""The plan: everything a process needs to run a compiled graph, as plain data that goes to disk as JSON.

A plan names framework ops and kernels; it holds no framework object, no path and no device handle, so any process with the
same framework, compiler target and quern version can bind it (see `inductor.execute`). Sizes are ints, or Python
expressions over the graph's size symbols, as text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..errors import SourceLocation
from . import dtypes, memory
from .chooser import Choice, Chosen, Reason
from .dtypes import DType
from .graph import Dim, ExternRef, Graph, Input, Named, Number, Origin, Scalar
from .lower import ExternCall, StridedBuffer
from .refusal import Refusal
from .schedule import Launch, NotFused, Schedule
from .sizes import python_size

#: bumped when the meaning of a stored plan changes
PLAN_FORMAT = 7

#: a size in a plan: an int, or a Python expression over symbol names
Size = int | str


def size(d: Dim) -> Size:
    """A Dim as plan data."""
    return d if isinstance(d, int) else python_size(d)


@dataclass(frozen=True)
class BufferSpec:
    """Memory of the plan. role: "input", "output", "tensor" (read or written by a framework op), "scratch", "result" (made by a framework op), "kept" (filled
    once for many runs), "table" (known, and there for all runs).

    place:   where it lies in its device's arena, in bytes; None for memory of its own
    instead: a buffer of the same layout, dead by then, whose memory it takes over ("": none)
    """

    name: str
    role: str
    shape: tuple[Size, ...]
    stride: tuple[Size, ...]
    dtype: str
    device: str
    numel: Size
    place: int | None = None
    instead: str = ""


@dataclass(frozen=True)
class View:
    """A strided view of a buffer, as a framework op reads it."""

    buffer: str
    shape: tuple[Size, ...]
    stride: tuple[Size, ...]
    offset: Size
    whole: bool


@dataclass(frozen=True)
class RunKernels:
    """Launches that follow each other: (kernel name, buffer names) each. One native call on the CPU."""

    launches: tuple[tuple[str, tuple[str, ...]], ...]
    device: str

    @property
    def buffers(self) -> tuple[str, ...]:
        """All buffers that it touches, each once, in order of first use: the list that a native call takes."""
        return tuple(dict.fromkeys(b for _, buffers in self.launches for b in buffers))


@dataclass(frozen=True)
class RunOp:
    """A framework kernel. attrs are encoded (see `encode`)."""

    op: str
    inputs: tuple[View | None, ...]
    outputs: tuple[str, ...]
    attrs: Any
    single: bool = True


@dataclass(frozen=True)
class SymbolSpec:
    """A size symbol read from dim `dim` of input `input`, or from the int argument at that position when dim is None."""

    name: str
    input: int
    dim: int | None


@dataclass(frozen=True)
class KernelInfo:
    """A kernel's facts for humans: text of its loops, the graph nodes it computes, its size symbols, the bytes that it loads and
    stores (each place once).

    strategy: which strategy emits it ("": no code was made); refused: those asked before that one, and why they said no
    """

    name: str
    loops: str
    origins: tuple[Origin, ...]
    symbols: tuple[str, ...]
    moved: Size = 0
    strategy: str = ""
    refused: tuple[tuple[str, Refusal], ...] = ()


@dataclass(frozen=True)
class Plan:
    """A compiled graph.

    mutations: (input position, buffer) of what is copied into inputs at the end
    stored:   positions of the inputs into which kernels store; publishes: the first step that does (None: none)
    arenas:   (device, bytes) of memory that intermediate buffers share
    freed:    for each step, the buffers that nobody needs after it
    sources: generated code by file name: one "<kernel>.cpp" or "<kernel>.py" each
    codegen: what made the code of steps on the CPU, "cpp" or "triton" (interpreted); on GPUs it is Triton
    fills:   a launch for each buffer that is kept from run to run, its last, of inputs that seldom change, the others
    tables:  the framework calls that make the known arrays, once for all runs
    """

    steps: tuple[RunKernels | RunOp, ...]
    buffers: tuple[BufferSpec, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    mutations: tuple[tuple[int, str], ...]
    symbols: tuple[SymbolSpec, ...]
    kernels: tuple[KernelInfo, ...]
    sources: Mapping[str, str] = field(default_factory=dict)
    codegen: str = "cpp"
    loops_before: int = 0
    not_fused: tuple[NotFused, ...] = ()
    #: who runs each product of matrices
    chosen: tuple[Chosen, ...] = ()
    #: floating-point errors that a run notes (`runtime.FLOAT_ERRORS`)
    float_errors: int = 0
    stored: tuple[int, ...] = ()
    publishes: int | None = None
    arenas: tuple[tuple[str, int], ...] = ()
    freed: tuple[tuple[str, ...], ...] = ()
    fills: tuple[RunKernels, ...] = ()
    tables: tuple[RunOp, ...] = ()

    @property
    def bytes_kept(self) -> int:
        """Bytes of the buffers that are kept from run to run."""
        return sum(int(b.numel) * dtypes.get(b.dtype).size for b in self.buffers if b.role == "kept")

    def bytes_moved(self, sizes: Mapping[str, int] | None = None) -> int:
        """Bytes that one run reads and writes, each place once a step. `sizes`: those of the symbols."""
        scope = {"max": max, "min": min, **(sizes or {})}

        def number(d: Size) -> int:
            return d if isinstance(d, int) else int(eval(d, {"__builtins__": {}}, scope))  # noqa: S307 - text made here

        specs = {b.name: b for b in self.buffers}
        moved = {k.name: number(k.moved) for k in self.kernels}

        def held(name: str, shape: Sequence[Size] | None = None) -> int:
            b = specs[name]
            return math.prod(map(number, b.shape if shape is None else shape)) * dtypes.get(b.dtype).size

        total = sum(2 * held(name) for _, name in self.mutations)
        for step in self.steps:
            if isinstance(step, RunKernels):
                total += sum(moved[kernel] for kernel, _ in step.launches)
            else:
                total += sum(held(v.buffer, v.shape) for v in step.inputs if v) + sum(map(held, step.outputs))
        return total

    def bytes_held(self) -> int:
        """Bytes of the inputs and results of a plan without symbols, each once: what a run that needs them all moves at least."""
        specs = {b.name: b for b in self.buffers}
        names = dict.fromkeys((*self.inputs, *self.outputs, *(name for _, name in self.mutations)))
        shapes = ((specs[name].shape, specs[name].dtype) for name in names if name in specs)
        return sum(math.prod(map(int, shape)) * dtypes.get(dtype).size for shape, dtype in shapes)

    def is_native(self, step: RunKernels) -> bool:
        """Whether a step is one call of C++ code."""
        return self.codegen == "cpp" and step.device == "cpu"

    def to_json(self) -> str:
        """The plan as text; `from_json` reads it back to an equal plan."""
        data = asdict(self)
        data["kernels"] = [{**asdict(k), "origins": [_without_lines(o) for o in k.origins]} for k in self.kernels]
        data["not_fused"] = [[_without_lines(n.first), _without_lines(n.second), asdict(n.why)] for n in self.not_fused]
        data["chosen"] = [[_without_lines(c.origin), asdict(c.choice)] for c in self.chosen]
        data["steps"] = [{"kind": type(s).__name__, **asdict(s)} for s in self.steps]
        return json.dumps({"format": PLAN_FORMAT, **data}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | bytes) -> Plan:
        """Raises ValueError for another format."""
        data = json.loads(text)
        if data.pop("format", None) != PLAN_FORMAT:
            raise ValueError(f"a plan of another format than {PLAN_FORMAT}")
        steps: list[RunKernels | RunOp] = []
        for s in data["steps"]:
            if s.pop("kind") == "RunKernels":
                steps.append(_run_kernels(s))
            else:
                steps.append(_run_op(s))
        return cls(
            steps=tuple(steps),
            buffers=tuple(
                BufferSpec(**{**b, "shape": tuple(b["shape"]), "stride": tuple(b["stride"])}) for b in data["buffers"]
            ),
            inputs=tuple(data["inputs"]),
            outputs=tuple(data["outputs"]),
            mutations=tuple((i, b) for i, b in data["mutations"]),
            symbols=tuple(SymbolSpec(**s) for s in data["symbols"]),
            kernels=tuple(
                KernelInfo(
                    **{
                        **k,
                        "origins": tuple(map(_origin, k["origins"])),
                        "symbols": tuple(k["symbols"]),
                        "refused": tuple((strategy, Refusal(**why)) for strategy, why in k["refused"]),
                    }
                )
                for k in data["kernels"]
            ),
            sources=data["sources"],
            codegen=data["codegen"],
            loops_before=data["loops_before"],
            not_fused=tuple(NotFused(_origin(a), _origin(b), Refusal(**why)) for a, b, why in data["not_fused"]),
            chosen=tuple(Chosen(_origin(o), _choice(c)) for o, c in data["chosen"]),
            float_errors=data["float_errors"],
            stored=tuple(data["stored"]),
            publishes=data["publishes"],
            arenas=tuple((device, size) for device, size in data["arenas"]),
            freed=tuple(map(tuple, data["freed"])),
            fills=tuple(_run_kernels(s) for s in data["fills"]),
            tables=tuple(_run_op(s) for s in data["tables"]),
        )

    def located(self, graph: Graph) -> Plan:
        """The plan with the lines of `graph`, a program that it serves: those of another one may have been elsewhere."""
        places = [n.loc for n in graph.nodes]

        def here(o: Origin) -> Origin:
            return o if o.place is None else replace(o, loc=places[o.place])

        return replace(
            self,
            kernels=tuple(replace(k, origins=tuple(map(here, k.origins))) for k in self.kernels),
            not_fused=tuple(NotFused(here(n.first), here(n.second), n.why) for n in self.not_fused),
            chosen=tuple(replace(c, origin=here(c.origin)) for c in self.chosen),
        )


def _without_lines(o: Origin) -> Any:
    return [o.node, o.op, o.place]


def _origin(data: Any) -> Origin:
    node, op, place = data
    return Origin(node, op, place=place)


def _choice(data: Any) -> Choice:
    why = data["reason"]
    return Choice(data["runner"], Reason(why["code"], tuple(why["operands"])))


def _run_kernels(s: Mapping[str, Any]) -> RunKernels:
    return RunKernels(tuple((k, tuple(b)) for k, b in s["launches"]), s["device"])


def _run_op(s: Mapping[str, Any]) -> RunOp:
    views = tuple(None if v is None else _view(v) for v in s["inputs"])
    return RunOp(s["op"], views, tuple(s["outputs"]), s["attrs"], s["single"])


def _view(v: Mapping[str, Any]) -> View:
    return View(v["buffer"], tuple(v["shape"]), tuple(v["stride"]), v["offset"], v["whole"])


# --------------------------------------------------------------------------- static attributes on disk


def encode(value: Any) -> Any:
    """A node attribute as JSON data; `decode` reverses it. Raises TypeError for what has no stable form."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return {"$": "float", "v": value.hex()}
    if isinstance(value, complex):
        return {"$": "complex", "v": [value.real.hex(), value.imag.hex()]}
    if isinstance(value, DType):
        return {"$": "dtype", "v": value.name}
    if isinstance(value, tuple):
        return {"$": "tuple", "v": [encode(v) for v in value]}
    if isinstance(value, list):
        return [encode(v) for v in value]
    if isinstance(value, slice):
        return {"$": "slice", "v": [encode(v) for v in (value.start, value.stop, value.step)]}
    if isinstance(value, Mapping):
        return {"$": "dict", "v": [[k, encode(v)] for k, v in value.items()]}
    if isinstance(value, Input):
        return {"$": "input", "v": value.index}
    if isinstance(value, Number):
        return {"$": "number", "v": value.index}
    if isinstance(value, Scalar):
        return {"$": "scalar", "v": value.index}
    if isinstance(value, Named):
        return {"$": "named", "v": value.target}
    if isinstance(value, ExternRef):
        return {"$": "extern", "v": [value.target, encode(value.args), encode(value.kwargs)]}
    if hasattr(value, "free_symbols"):
        return {"$": "size", "v": python_size(value)}
    raise TypeError(f"[plan] an attribute of type {type(value).__name__} cannot be stored: {value!r}")


def decode(data: Any, sizes: Mapping[str, int]) -> Any:
    """The attribute that `encode` stored, its symbolic sizes evaluated with `sizes`."""
    if isinstance(data, list):
        return [decode(v, sizes) for v in data]
    if not isinstance(data, dict):
        return data
    kind, v = data["$"], data["v"]
    if kind == "float":
        return float.fromhex(v)
    if kind == "complex":
        return complex(float.fromhex(v[0]), float.fromhex(v[1]))
    if kind == "dtype":
        return dtypes.get(v)
    if kind == "tuple":
        return tuple(decode(x, sizes) for x in v)
    if kind == "slice":
        return slice(*(decode(x, sizes) for x in v))
    if kind == "dict":
        return {k: decode(x, sizes) for k, x in v}
    if kind == "input":
        return Input(v)
    if kind == "number":
        return Number(v)
    if kind == "scalar":
        return Scalar(v)
    if kind == "named":
        return Named(v)
    if kind == "extern":
        return ExternRef(v[0], decode(v[1], sizes), decode(v[2], sizes))
    if kind == "size":
        return eval(v, {"__builtins__": {"max": max, "min": min}}, dict(sizes))
    raise ValueError(f"[plan] unknown attribute form {kind!r}")


def attributes_at(data: Any, symbols: Sequence[str]) -> Callable[..., Any]:
    """As `decode`, made ready: a function of the size symbols, by name, that gives the attributes."""
    scope: dict[str, Any] = {"__builtins__": {"max": max, "min": min}, "ExternRef": ExternRef, "slice": slice}
    return eval(f"lambda {', '.join(symbols)}: {_as_source(data, scope)}", scope)  # noqa: S307 - text made here


def _as_source(data: Any, scope: dict[str, Any]) -> str:
    """The attribute as Python over the size symbols; what holds none is put into `scope` once."""
    if is_static(data):
        name = f"_{len(scope)}"
        scope[name] = decode(data, {})
        return name
    if isinstance(data, list):
        return f"[{', '.join(_as_source(v, scope) for v in data)}]"
    kind, v = data["$"], data["v"]
    if kind == "size":
        return f"({v})"
    if kind == "dict":
        return f"{{{', '.join(f'{k!r}: {_as_source(x, scope)}' for k, x in v)}}}"
    if kind == "extern":
        return f"ExternRef({v[0]!r}, {_as_source(v[1], scope)}, {_as_source(v[2], scope)})"
    parts = [_as_source(x, scope) for x in v]
    return f"slice({', '.join(parts)})" if kind == "slice" else f"({''.join(part + ', ' for part in parts)})"


def by_change(data: Any) -> tuple[Any, Any]:
    """Encoded attributes as two: those without symbolic sizes, and the others."""
    fixed, changing = ([[k, x] for k, x in data["v"] if is_static(x) is static] for static in (True, False))
    return {**data, "v": fixed}, {**data, "v": changing}


def is_static(data: Any) -> bool:
    """True when an encoded attribute holds no symbolic size."""
    if isinstance(data, list):
        return all(map(is_static, data))
    if isinstance(data, dict):
        if data["$"] == "size":
            return False
        return is_static(data["v"]) if isinstance(data["v"], list) else True
    return True


# --------------------------------------------------------------------------- from a schedule


def make_plan(graph: Graph, schedule: Schedule, sources: Mapping[str, str], codegen: str) -> Plan:
    """The schedule as data. Buffers nobody reads any more are left out."""
    lowered = schedule.lowered
    steps: list[RunKernels | RunOp] = []
    touched: dict[str, str] = {s.name: "input" for s in lowered.inputs}
    touched |= {name: "kept" for fill in schedule.fills for name in fill.writes}
    touched |= {storage.name: "table" for storage, _ in lowered.tables}

    def touch(name: str, role: str) -> None:
        rank = {"scratch": 0, "tensor": 1, "result": 2, "input": 3, "kept": 4, "table": 4}
        if rank[role] >= rank.get(touched.get(name, "scratch"), 0):
            touched[name] = role

    stored = {lowered.inputs[i].name for i in lowered.stored}
    publishes: int | None = None
    for step in schedule.steps:
        if isinstance(step, Launch):
            for b in step.buffers:
                touch(b, "scratch")
            begins = publishes is None and not stored.isdisjoint(step.writes)
            # where kernels note errors, those that store into inputs are a step of their own, after all others
            _append_launch(steps, step, lowered.buffers, apart=begins and bool(graph.boundary.float_errors))
            if begins:
                publishes = len(steps) - 1
        else:
            for s in step.inputs:
                if s is not None:
                    touch(s.name, "tensor")
            for s in step.outputs:
                touch(s.name, "result")
            steps.append(_framework_call(step, lowered.buffers))
    places: dict[SourceLocation | None, int] = {}
    for i, n in enumerate(graph.nodes):
        places.setdefault(n.loc, i)

    def placed(o: Origin) -> Origin:
        return replace(o, place=None if o.loc is None else places.get(o.loc))

    outputs = {s.name for s in lowered.outputs}
    returned = outputs | {s.name for _, s in lowered.mutations}
    buffers = []
    for name, role in touched.items():
        if role in ("scratch", "tensor") and name in returned:
            role = "output"
        buffers.append(_buffer_spec(lowered.buffers[name], role))
    specs, arenas, freed = _memory(steps, buffers, returned)
    return Plan(
        steps=tuple(steps),
        buffers=specs,
        inputs=tuple(s.name for s in lowered.inputs),
        outputs=tuple(s.name for s in lowered.outputs),
        mutations=tuple((i, s.name) for i, s in lowered.mutations),
        symbols=tuple(SymbolSpec(s.symbol.name, s.input, s.dim) for s in graph.boundary.symbols),
        kernels=tuple(
            KernelInfo(k.name, str(k), tuple(map(placed, k.origins)), k.symbols, size(k.moved))
            for k in schedule.kernels
        ),
        sources=dict(sources),
        codegen=codegen,
        loops_before=schedule.loops_before,
        not_fused=tuple(
            NotFused(placed(n.first), placed(n.second), n.why)
            for n in schedule.refused
            if n.why.code != "different-iteration-space"
        ),
        chosen=tuple(replace(c, origin=placed(c.origin)) for c in schedule.chosen),
        float_errors=graph.boundary.float_errors,
        stored=lowered.stored,
        publishes=publishes,
        arenas=arenas,
        freed=freed,
        fills=tuple(RunKernels(((f.kernel.name, f.buffers),), "cpu") for f in schedule.fills),
        tables=tuple(_framework_call(ExternCall(node, (), (s,)), lowered.buffers) for s, node in lowered.tables),
    )


def _memory(
    steps: Sequence[RunKernels | RunOp], buffers: Sequence[BufferSpec], returned: Collection[str]
) -> tuple[tuple[BufferSpec, ...], tuple[tuple[str, int], ...], tuple[tuple[str, ...], ...]]:
    """(the buffers with their places, the arenas, what is freed after each step)."""
    touched = [[set(b) for _, b in s.launches] if isinstance(s, RunKernels) else [_touched_by(s)] for s in steps]
    moments = memory.lifetimes(names for step in touched for names in step)
    in_arena: dict[str, dict[str, int]] = {}
    for b in buffers:
        if b.role == "scratch" and isinstance(b.numel, int):
            in_arena.setdefault(b.device, {})[b.name] = b.numel * dtypes.get(b.dtype).size
    arenas = [memory.place(device, sizes, moments) for device, sizes in in_arena.items()]
    places = {name: at for arena in arenas for name, at in arena.places.items()}
    kept = {*returned, *places, *(b.name for b in buffers if b.role in ("input", "kept", "table"))}
    whole = memory.lifetimes(set().union(*step) for step in touched)
    loose = {
        b.name: (b.shape, b.stride, b.dtype, b.device) for b in buffers if b.role == "scratch" and b.name not in kept
    }
    instead = memory.taken_over(loose, whole)
    kept.update(instead.values())
    freed = [tuple(n for n in whole.last if whole.last[n] == k and n not in kept) for k in range(len(steps))]
    return (
        tuple(replace(b, place=places.get(b.name), instead=instead.get(b.name, "")) for b in buffers),
        tuple((arena.device, arena.size) for arena in arenas),
        tuple(freed),
    )


def _touched_by(step: RunOp) -> set[str]:
    return {v.buffer for v in step.inputs if v} | set(step.outputs)


def _append_launch(
    steps: list[RunKernels | RunOp], launch: Launch, buffers: Mapping[str, StridedBuffer], apart: bool
) -> None:
    device = buffers[launch.buffers[0]].device
    item = (launch.kernel.name, launch.buffers)
    last = steps[-1] if steps else None
    if isinstance(last, RunKernels) and last.device == device and not apart:
        steps[-1] = RunKernels((*last.launches, item), device)
    else:
        steps.append(RunKernels((item,), device))


def _framework_call(call: ExternCall, buffers: Mapping[str, StridedBuffer]) -> RunOp:
    views: list[View | None] = []
    for s in call.inputs:
        if s is None:
            views.append(None)
            continue
        base = buffers[s.name]
        whole = s.shape == base.shape and s.stride == base.stride and s.offset == 0
        views.append(View(s.name, tuple(map(size, s.shape)), tuple(map(size, s.stride)), size(s.offset), whole))
    attrs = encode(dict(call.node.attrs))
    return RunOp(
        call.node.op.name,
        tuple(views),
        tuple(s.name for s in call.outputs),
        attrs,
        not isinstance(call.node.meta, tuple),
    )


def _buffer_spec(s: StridedBuffer, role: str) -> BufferSpec:
    return BufferSpec(
        s.name, role, tuple(map(size, s.shape)), tuple(map(size, s.stride)), s.dtype.name, s.device, size(s.size)
    )
