"""Binding a plan to a framework: the plan's steps become one Python function, generated as source and readable.

    def run(in0, in1):
        buf2 = empty((4, 8), (8, 1), float32, 'cpu')
        held = [memory_of(in0), memory_of(in1)]
        given = pack4(segment_0, ptr(in0), ptr(in1), ptr(buf2))
        while held != (held := [memory_of(in0), memory_of(in1)]):
            given = pack4(segment_0, ptr(in0), ptr(in1), ptr(buf2))
        run_segment(given, threads())
        buf3 = op_1(buf2, in1)
        return (buf3,)

Another thread may give an input other memory meanwhile (`parameter.data = ...`): what lies where its address says is held until the
native call is over. Where buffers lie and how long they live, the plan says (`inductor.memory`). Arenas of the CPU are reused from call to call and never
returned; a GPU's, whose work goes on after the call, come from its allocator each time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..config import config
from ..kernels.cpu.library import Segment, packer
from . import dtypes
from .float_errors import FloatErrors
from .kept import Keeper
from .memory import ALIGN
from .ops import OPS
from .plan import BufferSpec, Plan, RunKernels, RunOp, Size, View, attributes_at, by_change, decode, is_static
from .runtime import Runtime, WritesBegun, memory_of, write_all

#: starts one GPU (or interpreted) kernel: (addresses..., symbol values..., stream=) -> the floating-point errors of an interpreted one
LaunchOne = Callable[..., Any]


def bind(
    plan: Plan,
    runtime: Runtime,
    segments: Sequence[Segment],
    launchers: Mapping[tuple[str, str], LaunchOne],
    threads: int | None = None,
    fills: Sequence[Segment] = (),
    consumes: bool = False,
) -> tuple[Callable[..., tuple[Any, ...]], str]:
    """The plan as a callable `(*arrays, *ints) -> tuple of arrays`, and its source; mutated inputs have been written when it returns.

    segments:  for CPU C++ code, the native call of each RunKernels step in order
    launchers: for Triton, each kernel's launcher by name and device
    threads:   of C++ kernels; None: as many as the runtime says at each call
    fills:     the native call of each of the plan's fills; where there are any, the callable raises `kept.NotKept` before it has done
        anything if copies cannot be kept
    consumes:  the callable gets all in one list, which it empties, and lets go of each array behind the last step that reads it
    """
    keeper = Keeper(plan, runtime, fills, threads) if fills else None
    return _Binder(plan, runtime, segments, launchers, threads, keeper, consumes).build()


class _Binder:
    def __init__(
        self,
        plan: Plan,
        runtime: Runtime,
        segments: Sequence[Segment],
        launchers: Mapping[tuple[str, str], LaunchOne],
        threads: int | None,
        keeper: Keeper | None,
        consumes: bool,
    ) -> None:
        self.plan = plan
        self.consumes = consumes
        self.keeper = keeper
        self.runtime = runtime
        self.segments = segments
        self.launchers = launchers
        self.threads = "threads()" if threads is None else str(threads)
        self.specs = {b.name: b for b in plan.buffers}
        self.empty = _soiled(runtime) if config.verify else runtime.empty
        self.names: dict[str, Any] = {
            "empty": self.empty,
            "ptr": runtime.data_ptr,
            "as_strided": runtime.as_strided,
            "laid_out": runtime.laid_out,
            "copy_": runtime.copy_,
            "write_all": write_all,
            "threads": runtime.num_threads,
            "stream": runtime.stream,
            "segments": segments,  # they live as long as what calls them
        }
        self.lines: list[str] = []
        self.arenas = {device: f"base_{device.replace(':', '')}" for device, _ in plan.arenas}

    # ---- source

    def build(self) -> tuple[Callable[..., tuple[Any, ...]], str]:
        plan = self.plan
        parameters = [*plan.inputs, *(s.name for s in plan.symbols if s.dim is None)]
        last = _last_reads(plan) if self.consumes else {}
        if self.consumes:
            self.lines += [f"{''.join(f'{name}, ' for name in parameters)} = given", "given.clear()"]
        for s in plan.symbols:
            if s.dim is not None:
                self.lines.append(f"{s.name} = {plan.inputs[s.input]}.shape[{s.dim}]")
        if self.keeper is not None:
            self._keep(self.keeper)
        for device, size in plan.arenas:
            self._open_arena(device, size)
        self._make_tables()
        made = {*plan.inputs, *(b.name for b in plan.buffers if b.place is not None or b.role in ("kept", "table"))}
        segment = 0
        indented = len(self.lines)
        for position, step in enumerate(plan.steps):
            if position == plan.publishes:
                indented = self._begin_writes()
            if isinstance(step, RunKernels):
                final = plan.publishes is not None and position >= plan.publishes
                for name in step.buffers:
                    if name not in made:
                        self._allocate(self.specs[name])
                        made.add(name)
                if plan.is_native(step):
                    self._segment(segment, step, final)
                    segment += 1
                else:
                    self._launch_each(step, final)
            else:
                self._op(position, step)
                made.update(step.outputs)
            gone = [*plan.freed[position], *last.get(position, ())]
            if gone:
                self.lines.append("del " + ", ".join(gone))
        pairs = [f"({plan.inputs[i]}, {name}), " for i, name in plan.mutations]
        if plan.publishes is not None:
            self.lines += [f"copy_({plan.inputs[i]}, {name})" for i, name in plan.mutations]
            self.lines[indented:] = [f"    {line}" for line in self.lines[indented:]]
            self.lines += ["except Exception as error:", "    raise WritesBegun from error"]
        elif plan.stored:  # their new content is their old one
            self._note_writes()
        if plan.publishes is None and pairs:
            self.lines.append(f"write_all(copy_, ({''.join(pairs)}))")
        if "cpu" in self.arenas:
            self.lines.append("arenas.append(arena)")
        self.lines.append(f"return ({''.join(n + ', ' for n in plan.outputs)})")
        takes = "given" if self.consumes else ", ".join(parameters)
        source = f"def run({takes}):\n" + "\n".join("    " + line for line in self.lines)
        scope = dict(self.names)
        exec(compile(source, "<quern plan>", "exec"), scope)
        run = scope["run"]
        if plan.float_errors and any(isinstance(step, RunOp) for step in plan.steps):
            run = self.runtime.noting(run, plan.float_errors)
        return run, source

    def _make_tables(self) -> None:
        """The known arrays, which live as long as what reads them."""
        for step in self.plan.tables:
            (name,) = step.outputs
            self.names[name] = self.runtime.laid_out(self._operation(step)(), self.specs[name].stride)  # type: ignore[arg-type]

    def _keep(self, keeper: Keeper) -> None:
        """Get the copies of weights, which the run holds, and their addresses."""
        self.names.update(kept=keeper)
        addresses = "".join(f"{f.buffers[-1]}, " for f in self.plan.fills)
        self.lines.append(f"copies, ({addresses}) = kept({', '.join(keeper.inputs)})")

    def _begin_writes(self) -> int:
        """From here on steps store into inputs. Where the lines begin that cannot be taken back."""
        self._note_writes()
        self.names.update(WritesBegun=WritesBegun)
        self.lines.append("try:")
        return len(self.lines)

    def _note_writes(self) -> None:
        """Tell the framework of the writes, which it may refuse."""
        plan = self.plan
        kinds = (plan.stored, [i for i, _ in plan.mutations])
        self.names.update(begin_writes=self.runtime.begin_writes)
        stored, copied = (f"({''.join(f'{plan.inputs[i]}, ' for i in dict.fromkeys(kind))})" for kind in kinds)
        self.lines.append(f"begin_writes({stored}, {copied})")

    def _open_arena(self, device: str, size: int) -> None:
        total = size + ALIGN
        base = self.arenas[device]
        runtime = self.runtime

        def new_arena() -> tuple[Any, int]:
            memory = self.empty((total,), (1,), dtypes.uint8, device)
            start = runtime.data_ptr(memory)
            return memory, -(-start // ALIGN) * ALIGN

        if device != "cpu":
            self.names[f"new_{base}"] = new_arena
            self.lines.append(f"memory_of_{base}, {base} = new_{base}()")
            return
        self.names.update(arenas=[], new_arena=new_arena)
        # list.pop and append are atomic: threads that run the plan at once get an arena each
        self.lines += [
            "try:",
            "    arena = arenas.pop()",
            "except IndexError:",
            "    arena = new_arena()",
            f"{base} = arena[1]",
        ]

    def _allocate(self, b: BufferSpec) -> None:
        if b.instead:
            self.lines += [f"{b.name} = {b.instead}", f"del {b.instead}"]
            return
        dtype = f"dtype_{b.dtype}"
        self.names[dtype] = dtypes.get(b.dtype)
        self.lines.append(f"{b.name} = empty({_tuple(b.shape)}, {_tuple(b.stride)}, {dtype}, {b.device!r})")

    def _pointer(self, name: str) -> str:
        spec = self.specs[name]
        if spec.role == "kept":
            return name
        if spec.role == "table":
            return str(self.runtime.data_ptr(self.names[name]))
        if spec.place is None:
            return f"ptr({name})"
        base = self.arenas[spec.device]
        return f"{base} + {spec.place}" if spec.place else base

    def _segment(self, number: int, step: RunKernels, final: bool) -> None:
        """One native call. final: it only stores what was computed, and meets no floating-point error."""
        segment = self.segments[number]
        self.names["run_segment"] = segment.run
        self.names[f"segment_{number}"] = segment.address
        count = len(step.buffers) + 1
        symbols = [s.name for s in self.plan.symbols]
        self.names[f"pack{count}"] = packer(count, len(symbols))
        given = ", ".join([f"segment_{number}", *map(self._pointer, step.buffers), *symbols])
        packed = f"pack{count}({given})"
        inputs = [n for n in dict.fromkeys(step.buffers) if n in self.plan.inputs]
        hold = memory_of(self.runtime)
        if inputs and hold is not None:
            self.names["memory_of"] = hold
            held = f"[{', '.join(f'memory_of({n})' for n in inputs)}]"
            self.lines += [f"held = {held}", f"given = {packed}"]
            self.lines += [f"while held != (held := {held}):", f"    given = {packed}"]
            packed = "given"
        self._run(f"run_segment({packed}, {self.threads})", noting=not final)

    def _run(self, call: str, noting: bool) -> None:
        """A call of kernels, which gives the floating-point errors that they met."""
        if not self.plan.float_errors or not noting:
            self.lines.append(call)
            return
        self.names["FloatErrors"] = FloatErrors
        self.lines.append(f"if {call} & {self.plan.float_errors}:")
        if "cpu" in self.arenas:
            self.lines.append("    arenas.append(arena)")
        self.lines.append("    raise FloatErrors")

    def _launch_each(self, step: RunKernels, final: bool) -> None:
        symbols = {k.name: k.symbols for k in self.plan.kernels}
        for kernel, buffers in step.launches:
            on = "" if step.device in ("cpu", "cuda:0") else f"_on_{step.device.replace(':', '')}"
            launch = f"launch_{kernel}{on}"
            self.names[launch] = self.launchers[kernel, step.device]
            pointers = list(map(self._pointer, buffers))
            stream = [] if step.device == "cpu" else [f"stream=stream({step.device!r})"]
            self._run(
                f"{launch}({', '.join([*pointers, *symbols[kernel], *stream])})",
                noting=step.device == "cpu" and not final,
            )

    def _op(self, position: int, step: RunOp) -> None:
        args = ", ".join("None" if v is None else self._view(v) for v in step.inputs)
        name = f"op_{position}_{step.op}"
        self.names[name] = self._operation(step)
        if not is_static(step.attrs):
            args = ", ".join(
                x for x in (args, f"sizes=dict({', '.join(f'{s.name}={s.name}' for s in self.plan.symbols)})") if x
            )
        if OPS[step.op].consumes:
            args += f", own={self._own(position, step)!r}"
        target = step.outputs[0] if step.single else "".join(o + ", " for o in step.outputs)
        self.lines.append(f"{target} = {name}({args})" if target else f"{name}({args})")
        for output in step.outputs:
            self.lines.append(f"{output} = laid_out({output}, {_tuple(self.specs[output].stride)})")

    def _own(self, position: int, step: RunOp) -> tuple[bool, ...]:
        """Which inputs of a step lie in memory that nobody looks at afterwards: made by kernels or by steps like this one, for it alone."""
        makers = {name for s in self.plan.steps if isinstance(s, RunKernels) for name in s.buffers}
        shared: set[str] = set()
        for other in self.plan.steps:
            if isinstance(other, RunOp):
                if OPS[other.op].consumes:
                    makers.update(other.outputs)
                else:  # its results may lie in the memory of its inputs
                    shared.update(v.buffer for v in other.inputs if v is not None)
        names = [None if v is None or not v.whole else v.buffer for v in step.inputs]
        gone = (makers - shared) & set(self.plan.freed[position])
        return tuple(n in gone and names.count(n) == 1 for n in names)

    def _view(self, v: View) -> str:
        if v.whole:
            return v.buffer
        return f"as_strided({v.buffer}, {_tuple(v.shape)}, {_tuple(v.stride)}, {v.offset})"

    def _operation(self, step: RunOp) -> Callable[..., Any]:
        """The framework's function with the static attributes filled in."""
        run, attrs = self.runtime.run_op(step.op), step.attrs
        if hasattr(run, "bound"):
            fixed, attrs = by_change(attrs)
            run = run.bound(**decode(fixed, {}))
        if not is_static(attrs):
            attributes = attributes_at(attrs, [s.name for s in self.plan.symbols])
            return lambda *arrays, sizes, **more: run(*arrays, **attributes(**sizes), **more)
        known = decode(attrs, {})
        return (lambda *arrays, **more: run(*arrays, **known, **more)) if known else run


def _soiled(runtime: Runtime) -> Callable[..., Any]:
    """As its `empty`, with content that no program expects: memory that was just freed may hold the very result that a kernel leaves out."""

    def soiled(shape: tuple[int, ...], stride: tuple[int, ...], dtype: dtypes.DType, device: str) -> Any:
        made = runtime.empty(shape, stride, dtype, device)
        runtime.soil(made)
        return made

    return soiled


def _last_reads(plan: Plan) -> dict[int, list[str]]:
    """The inputs that nobody needs behind each step."""
    last: dict[str, int] = {}
    for position, step in enumerate(plan.steps):
        read = step.buffers if isinstance(step, RunKernels) else [v.buffer for v in step.inputs if v is not None]
        last.update((name, position) for name in read)
    found: dict[int, list[str]] = {}
    for name in plan.inputs:
        if name in last and name not in plan.outputs:
            found.setdefault(last[name], []).append(name)
    return found


def _tuple(sizes: Sequence[Size]) -> str:
    return "(" + "".join(f"{s}, " for s in sizes) + ")"
