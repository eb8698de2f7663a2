"""What a backend made for torch.compile is given: a `torch.fx.GraphModule` and example inputs.

The module is the recorded program (`recording`), node by node: torch's own functions and methods, tensors from outside as
placeholders (parameters and buffers are lifted, as torch.compile lifts them), sizes that change as SymInts in front of the first
tensor that has them, an example of each value in `meta["example_value"]`, the program's line in `stack_trace`. A program without a
recording is given as the nodes of quern's own graph (`graph_calls`). That graph is the module's `quern_graph` in either case.

What a backend concludes about sizes while it compiles (fake tensors note it in their ShapeEnv) becomes guards.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.fx

from ....inductor.graph import Graph, Input, Node, TensorMeta
from ....inductor.sizes import python_size
from ...breaks import BreakReason, Restart
from ...values.base import Value
from ...values.number import NumberValue
from ...values.symint import SymIntValue
from ...values.tensor import ArrayValue
from . import autocast
from .graph_calls import Built, of_graph
from .places import resolve_name
from .recording import Call, Part, Program, number_call, rebuilt
from .runtime import TorchRuntime

if TYPE_CHECKING:
    from ...values.base import SymbolTable


def call_backend(
    backend: Callable[..., Any],
    graph: Graph,
    examples: Sequence[Any],
    program: Program | None,
    symbols: SymbolTable,
    runtime: TorchRuntime,
    reason: BreakReason | None,
) -> Callable[..., Any]:
    """What a backend makes of a graph: a callable over the module's inputs.

    examples: the inputs of this call; symbols: of the capture, where what is concluded of sizes is guarded
    reason: the graph break that the graph ends at
    """
    built = _of_program(program) if program is not None else of_graph(graph, runtime)
    module = torch.fx.GraphModule(torch.nn.Module(), built.graph)
    module.quern_graph = graph  # type: ignore[assignment]
    module.compile_subgraph_reason = _Ending.of(reason)  # type: ignore[assignment]
    fakes = _Fakes(symbols)
    with _random_numbers_kept(), fakes.traced():
        inputs = [fakes.of(node, meta, x) for (node, meta), x in zip(built.inputs, examples)]
        fakes.run(module)
        fakes.settle()
        made = backend(module, inputs)
        fakes.settle()
    if graph.boundary.own_history and made is not module and getattr(made, "__self__", None) is not module:
        symbols.assume.own_history = False
        raise Restart
    return _Holding(made, built.held) if built.held else made


@dataclass(frozen=True)
class _Holding:
    """What a backend made, and what it needs."""

    made: Callable[..., Any]
    held: Sequence[Any]

    def __call__(self, *inputs: Any) -> Any:
        return self.made(*inputs)


# ------------------------------------------------------------------ the module


@dataclass(frozen=True)
class _Ending:
    """Why the graph ends where it does, as torch.compile's modules say it."""

    reason: str
    user_stack: list[traceback.FrameSummary]
    graph_break: bool

    @classmethod
    def of(cls, reason: BreakReason | None) -> _Ending:
        if reason is None:
            return cls("return_value", [], False)
        return cls(reason.what, user_stack(reason), True)


def user_stack(reason: BreakReason) -> list[traceback.FrameSummary]:
    """The program's frames at a break, as tracebacks have them."""
    return [traceback.FrameSummary(p.file, p.line, p.function, line=p.text or None) for p in reason.stack]


def _of_program(program: Program) -> Built:
    """The recorded program, call by call."""
    return _Writer(program).built


class _Writer:
    """Writes a program's calls as nodes."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.built = Built()
        self.calls: dict[Call, torch.fx.Node] = {}
        self.parts: dict[tuple[Call, tuple[int, ...]], torch.fx.Node] = {}
        #: by a source's place, or a symbol's name
        self.taken: dict[Any, torch.fx.Node] = {}
        for taken in program.taken:
            self._take(taken.what, taken.source)
        for call in program.calls:
            self._write(call)
        self.built.graph.output(tuple(self._argument(o) for o in program.outputs))

    def _take(self, what: Any, source: Any) -> None:
        if isinstance(what, NumberValue):
            node = self.built.take(f"L_{what.place.label}_", what)
            if type(what.hint) is float:
                node = self.built.graph.call_method("item", (node,))
            self.taken[what.place] = node
        elif isinstance(what, ArrayValue):
            storage: Any = what.storage
            self.taken[storage.source] = self.built.take(f"L_{source.label}_", storage.meta)
        else:
            self.taken[what.name] = self.built.take(what.name, what)

    def _write(self, call: Call) -> None:
        args = tuple(self._argument(a) for a in call.args)
        kwargs = {k: self._argument(v) for k, v in call.kwargs.items()}
        node = self.built.graph.create_node(call.kind, _named(call.target), args, kwargs)
        node.meta["source_fn_stack"] = [(node.name, call.target)]
        if call.loc is not None:
            node.meta["stack_trace"] = "  " + str(call.loc).replace("\n", "\n  ") + "\n"
        self.calls[call] = node

    def _argument(self, value: Any) -> Any:
        if isinstance(value, Part):
            return self._part(value.call, value.path)
        if isinstance(value, Node):
            return self._number(value)
        if isinstance(value, SymIntValue):
            return self._size(value.expr)
        if isinstance(value, ArrayValue):
            return self.taken[value.storage.source]  # type: ignore[attr-defined]
        if isinstance(value, NumberValue):
            return self.taken[value.place]
        assert not isinstance(value, Value)
        return rebuilt(value, self._argument)

    def _part(self, call: Call, path: tuple[int, ...]) -> torch.fx.Node:
        """A part of what a call gives."""
        if not path:
            return self.calls[call]
        node = self.parts.get((call, path))
        if node is None:
            whole = self._part(call, path[:-1])
            node = self.parts[call, path] = self.built.graph.call_function(operator.getitem, (whole, path[-1]))
        return node

    def _size(self, size: Any) -> Any:
        """A size: a number, or nodes that compute it from the symbols' own."""
        if isinstance(size, int):
            return size
        names = {s.name: torch.fx.Proxy(self._symbol(s.name)) for s in size.free_symbols}
        code = compile(python_size(size), "<quern size>", "eval")
        made = eval(code, {"__builtins__": {}, "max": _max, "min": _min}, names)  # noqa: S307 - text made above
        return made.node if isinstance(made, torch.fx.Proxy) else made

    def _symbol(self, name: str) -> torch.fx.Node:
        if name not in self.taken:
            node, dim = self.program.sizes[name]
            if dim is None:
                self.taken[name] = self._number(node)
            else:
                self.taken[name] = self.built.graph.call_method("size", (self._argument(self.program.made[node]), dim))
        return self.taken[name]

    def _number(self, node: Node) -> torch.fx.Node:
        """A Python number that the program computes."""
        part = self.program.made.get(node)
        if part is not None:
            return self._part(part.call, part.path)
        if node not in self.taken:
            ref = number_call(node)
            assert ref is not None
            args = tuple(self._operand(node, a) for a in ref.args)
            self.taken[node] = self.built.graph.call_function(resolve_name(ref.target), args)
        return self.taken[node]

    def _operand(self, node: Node, given: Any) -> Any:
        if isinstance(given, Input):
            operand = node.inputs[given.index]
            assert operand is not None
            return self._number(operand)
        return self._size(given) if hasattr(given, "free_symbols") else given


def _max(*sizes: Any) -> Any:
    return _extreme(torch.sym_max, sizes)


def _min(*sizes: Any) -> Any:
    return _extreme(torch.sym_min, sizes)


def _extreme(function: Callable[..., Any], sizes: Sequence[Any]) -> Any:
    """The largest or smallest of sizes, some of which are proxies."""
    found = sizes[0]
    for size in sizes[1:]:
        tracer = next(s.tracer for s in (found, size) if isinstance(s, torch.fx.Proxy))
        found = tracer.create_proxy("call_function", function, (found, size), {})
    return found


def _named(target: Any) -> Any:
    """A function as code can name it. Some of torch's Python functions do not stand where they say."""
    target = getattr(target, "_opoverload", target)
    if isinstance(target, types.FunctionType) and target.__module__.partition(".")[0] == "torch":
        path = f"{target.__module__}.{target.__name__}".split(".")[1:]
        found: Any = torch
        for name in path:
            found = getattr(found, name, None)
        return target if found is target else _elsewhere(target)
    return target


def _elsewhere(function: Any) -> Any:
    """The same under a name that is nobody's place."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    call.__module__ = __name__
    return call


# ------------------------------------------------------------------ examples


@functools.cache
def _shape_tools() -> Any:
    """torch's fake tensors and symbolic sizes, which are slow to import: only processes with such a backend pay for them."""
    from torch._dispatch.python import enable_python_dispatcher  # without it many an op takes sizes for constants
    from torch._dynamo.source import ConstantSource
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatefulSymbolicContext

    return types.SimpleNamespace(
        ConstantSource=ConstantSource, FakeTensorMode=FakeTensorMode, DimDynamic=DimDynamic, ShapeEnv=ShapeEnv,
        StatefulSymbolicContext=StatefulSymbolicContext, enable_python_dispatcher=enable_python_dispatcher,
    )  # fmt: skip


class _Fakes:
    """Fake tensors for the module's values, with symbols of torch's own for sizes that change; and what is concluded of these."""

    def __init__(self, symbols: SymbolTable) -> None:
        self.shape_tools = _shape_tools()
        self.symbols = symbols
        self.shapes = self.shape_tools.ShapeEnv()
        self.mode = self.shape_tools.FakeTensorMode(shape_env=self.shapes, allow_non_fake_inputs=True)
        self.context = torch._guards.TracingContext(self.mode)
        #: torch's symbols -> quern's sizes, or a number that becomes a constant where anything is concluded of it
        self.sizes: dict[Any, Any] = {}
        #: quern's symbols by name -> the first SymInt for it
        self.known: dict[str, Any] = {}
        self.settled = 0
        self.waiting: list[tuple[torch.fx.Node, Any]] = []

    @contextlib.contextmanager
    def traced(self) -> Iterator[None]:
        """Inside, backends find these fake tensors and this ShapeEnv."""
        with torch._guards.tracing(self.context):
            yield

    def of(self, node: torch.fx.Node, known: Any, example: Any) -> Any:
        """The example input for a placeholder: a tensor as it is, an int as a SymInt. Its node gets the fake one."""
        if isinstance(known, TensorMeta):
            fake = self._tensor(node.name, known, example)
            node.meta["example_value"] = node.meta["val"] = fake
            return example
        if isinstance(known, NumberValue) and type(known.hint) is float:
            fake = self.mode.from_tensor(example, static_shapes=True, source=self.shape_tools.ConstantSource(node.name))
            self._note(fake.item_memo, known)
            node.meta["example_value"] = node.meta["val"] = fake
            return example
        made = self._int(node.name, known, example)
        node.meta["example_value"] = node.meta["val"] = made
        return made

    def _int(self, name: str, known: Any, example: int) -> Any:
        source, dynamic = self.shape_tools.ConstantSource(name), self.shape_tools.DimDynamic.DYNAMIC
        if isinstance(known, NumberValue):
            made = self.shapes.create_unspecified_symint_and_symbol(example, source, dynamic)
        else:
            symbol = self.shapes.create_symbol(example, source, dynamic)
            made = self.shapes.create_symintnode(symbol, hint=example, source=source)
            self.known[known.name] = made
        self._note(made, known)
        return made

    def _tensor(self, name: str, meta: TensorMeta, example: torch.Tensor) -> Any:
        if not meta.is_dynamic:
            return self.mode.from_tensor(example, static_shapes=True)
        source = self.shape_tools.ConstantSource(name)
        context = self._context(source, meta.shape, example)
        self.context.tensor_to_context[example] = context
        fake = self.mode.from_tensor(example, symbolic_context=context, source=source)
        for found, size in zip((*fake.shape, *fake.stride()), (*meta.shape, *meta.stride)):
            self._note(found, size)
        for found, size in zip(fake.shape, meta.shape):
            if not isinstance(size, int):
                torch._check(found == self.known.setdefault(size.name, found))
        return fake

    def _context(self, source: Any, sizes: Sequence[Any], example: torch.Tensor) -> Any:
        """Which sizes of a tensor are symbols. Those of the tensor that it is a view of are not."""
        dims, base = self.shape_tools.DimDynamic, example._base
        return self.shape_tools.StatefulSymbolicContext(
            [dims.STATIC if isinstance(n, int) else dims.DYNAMIC for n in sizes],
            tensor_source=source,
            view_base_context=None if base is None else self._context(source, base.shape, base),
        )

    def _note(self, found: Any, known: Any) -> None:
        if isinstance(found, (torch.SymInt, torch.SymFloat)) and found.node.expr.is_Symbol:
            self.sizes.setdefault(found.node.expr, known)

    def run(self, module: torch.fx.GraphModule) -> None:
        """Give each node its example, as far as torch can say what comes out of it without data. torch.compile refuses the
        programs of which it cannot; here the nodes that follow have none, and `meta["examples_end"]` says why.
        """
        before, grad = autocast.ambient(), torch.is_grad_enabled()
        try:
            with self.mode, self.shape_tools.enable_python_dispatcher(), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they come when the program runs
                _Examples(module, garbage_collect_values=False).run()
        except Exception as error:
            module.meta["examples_end"] = f"{type(error).__name__}: {error}"
        finally:
            torch._C._set_grad_enabled(grad)
            autocast.restore(before, before.nesting - autocast.depth())

    def settle(self) -> None:
        """Guard what was concluded of sizes since the last time."""
        guards = self.shapes.guards
        while self.settled < len(guards):
            said = guards[self.settled].expr
            self.settled += 1
            if any(s not in self.sizes for s in said.free_symbols):
                continue  # it is about what belongs to an input: the gradient of a parameter has its sizes
            known = {s: self.sizes[s] for s in said.free_symbols}
            for symbol, number in known.items():
                # an int that can be no size becomes a constant, and so does a float
                if isinstance(number, NumberValue):
                    known[symbol] = number.expr if type(number.hint) is int else number.as_constant()
            relation = _in_sympy(said).xreplace(known)
            try:
                if relation not in (True, False):
                    self.symbols.decide(relation)
            except ValueError:  # it has no form as a guard
                self.symbols.specialize(relation, "a backend needs its value")


def _in_sympy(said: Any) -> Any:
    """An expression of torch's own sympy functions in those that guards know."""
    import sympy

    known: dict[str, Callable[..., Any]] = {
        "FloorDiv": lambda a, b: sympy.floor(a / b), "CleanDiv": lambda a, b: sympy.floor(a / b),
        "CeilDiv": lambda a, b: sympy.ceiling(a / b), "PythonMod": sympy.Mod, "Mod": sympy.Mod, "Max": sympy.Max, "Min": sympy.Min,
    }  # fmt: skip
    return said.replace(lambda e: type(e).__name__ in known, lambda e: known[type(e).__name__](*e.args))


class _Examples(torch.fx.Interpreter):
    """Runs a module on its placeholders' examples, and notes what each node gives."""

    def placeholder(self, target: Any, args: Any, kwargs: Any) -> Any:
        return self.current.meta["example_value"]

    def run_node(self, n: torch.fx.Node) -> Any:
        self.current = n
        value = super().run_node(n)
        if n.op not in ("placeholder", "output") and value is not None:
            n.meta["example_value"] = n.meta["val"] = value
        return value


def _random_numbers_kept() -> contextlib.AbstractContextManager[None]:
    """What is drawn inside is drawn again behind it."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else ()
    return torch.random.fork_rng(devices)
