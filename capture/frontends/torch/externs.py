"""Framework functions called as they are: `extern` nodes, whose metas come from running the function on meta tensors."""

from __future__ import annotations

import types
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional

from ....inductor.dtypes import DType
from ....inductor.graph import ExternRef, Input, Named, Node, Number, TensorMeta
from ....inductor.ops import OPS
from ...values.number import NumberValue, changing
from ...values.sequences import ListValue, TupleValue
from ...values.tensor import ArrayValue
from ..size_formulas import another, changes_of
from ..size_formulas import layouts as formulas
from . import autocast, eager_ops
from .calls import refuse_leaf, unwrap, wrap
from .context import Context, above
from .dtypes import device_text, from_torch
from .eager_ops import EAGER
from .handlers import METHODS
from .held_numbers import held_number
from .meta_results import OF_DATA, Foreseen, Unforeseen, foresee_sizes, leaves
from .opaque_calls import Call, Layout, layout_of
from .own_operators import own_name
from .places import resolve, target_of
from .reinterpreted import reinterpret
from .results import Results
from .schemas import overloads_of, scalars
from .state import loosened
from .training import write_again

if TYPE_CHECKING:
    from ...values.base import Machine, Value


def extern_call(
    cx: Context, place: str, args: Sequence[Any], kwargs: Mapping[str, Any], *, effects: bool = False
) -> Any:
    """Call the function at `place` ("torch.x", "Tensor.x", "F.x") in the graph. `effects`: it must neither be dropped nor
    merged nor moved (random numbers). Breaks when its results' metas cannot be known.
    """
    return call_target(cx, target_of(place), resolve(place), args, kwargs, effects)


def call_target(
    cx: Context,
    target: str,
    fn: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    effects: bool,
    raises: bool = True,
    axes: Any = None,
    held: bool = False,
    unsure: bool = False,
) -> Any:
    """As `extern_call`, for a function and the "module:name" under which a fresh process finds it.

    held: the graph holds the function itself, whose `foresee` says what it gives, and `target` is what messages call it
    raises: it may raise for some elements, so it is called in any case
    axes: those that it sums products over, where that is all it does (see `inductor.ops.extern`)
    unsure: it is code of the program's, whose results may be others than stand-ins say: they are checked when the graph runs, as
        are those of what the graph holds, and of the program's own operators
    """
    arrays: list[ArrayValue] = []
    state = cx.ev.states["torch"]
    state.began = len(cx.ev.graph.nodes)
    template = [_template(cx, a, arrays) for a in args]
    named = {k: _template(cx, v, arrays) for k, v in kwargs.items()}
    numbers = _held_numbers(cx, (template, named), arrays)
    inputs = [a.node(cx.ev) for a in arrays]
    own = own_name(fn)
    cx.ev.boundary.claim("torch")
    wrapped = autocast.treat_call(cx, target, inputs, template) if state.casts else None
    theirs = bool(own) or held or unsure
    ones = None
    if wrapped is not None:
        if not theirs:
            ones = autocast.stand_ins(cx, target, inputs)
        target, template = wrapped
        fn = autocast.under_autocast
    recording = [state.requires_grad(n) for n in inputs] if held and state.grad else None
    call = Call(
        getattr(fn, "foresee", fn) if held else fn,
        target,
        tuple(_with_hints(template)),
        _with_hints(named),
        [n.meta for n in inputs],
        held,
        held or theirs and wrapped is not None,  # on the meta device autocast casts nothing
        recording,
    )
    if own and not numbers and not call.symbols and cx.ev.sizes_from_data and not _is_foreseeable(call):
        return _sized_by_data(cx, call, ExternRef(target, tuple(template), tuple(named.items())), inputs)
    seen = _foreseen(cx, call, ones)
    for changed in changes_of(numbers):
        other = replace(call, args=tuple(_with_hints(template, changed)), kwargs=_with_hints(named, changed))
        if not call.gives_the_same_layouts(other, _sizes_at_hand(cx, call)):
            for number in numbers:
                number.as_constant()
    template, named = _placed(template, numbers), _placed(named, numbers)
    tensors = list(leaves(seen.results))
    layouts = _layouts(cx, call, seen, tensors)
    origins = [seen.origin(t) for t in tensors]
    if held and state.bodies:  # strides inside of a body are those of one example: a view counts as a tensor of its own
        origins = [(origin if whole else None, whole) for origin, whole in origins]
    picks = tuple(i for i, (origin, _) in enumerate(origins) if origin is None)
    device = _device_of(kwargs, inputs)
    metas = [_meta(cx, tensors[i], layouts[i], device) for i in picks] + [inputs[i].meta for i in seen.written]
    effects = effects or seen.effects
    if not tensors and not metas and not effects:
        raise cx.broken("extern-result", f"the framework function {target.replace(':', '.')}", "it gives no tensor")
    _refuse_overlap(cx, target, arrays, seen.written)
    made: list[Node] = []
    ref = ExternRef(fn if held else target, tuple(template), tuple(named.items()))
    if metas or effects and not tensors:
        attrs: dict[str, Any] = {"ref": ref, "effects": effects, "strides": tuple(m.stride for m in metas)}
        if raises:
            attrs["raises"] = True
        if axes is not None and wrapped is None:
            attrs["axes"] = axes
        if len(picks) < len(tensors):
            attrs["picks"] = picks
        if own:
            attrs["own"] = _own_call(cx, own)
        if seen.written:
            attrs["writes"] = tuple(seen.written)
        if seen.measured or call.symbols or theirs:
            attrs["shapes"] = tuple(m.shape for m in metas)
        if theirs:
            attrs["dtypes"] = tuple(m.dtype for m in metas)
        single = len(metas) == 1 and isinstance(seen.results, torch.Tensor)
        node = cx.ev.builder.append(OPS["extern"], tuple(inputs), attrs, metas[0] if single else tuple(metas))  # type: ignore[arg-type]
        made = [node] if single else [cx.ev.emit("getitem", node, index=i) for i in range(len(metas))]
        if recording is not None:
            state.differentiated.update((n, tensors[i].requires_grad) for n, i in zip(made, picks))
    fresh = iter(made)
    values: list[Any] = [next(fresh) if origin is None else None for origin, _ in origins]
    for k in picks:
        if tensors[k].is_conj():
            values[k] = _lazily_conjugated(cx, values[k])
    for (i, times), new in zip(seen.written.items(), fresh):
        for _ in range(times - 1):
            write_again(cx.ev, arrays[i])
        arrays[i].write(cx.ev, new)
    for k, (origin, whole) in enumerate(origins):
        if origin is not None:
            source = arrays[origin]
            alone = len(tensors) == 1
            if whole:
                values[k] = source
                continue
            view = _view(cx, ref, source, seen.inputs[origin], tensors[k], layouts[k], alone)
            values[k] = loosened(cx.ev, view) if seen.is_loose(tensors[k], origin) else view
    return _rebuilt(cx, target, seen.results, iter(values))


def _own_call(cx: Context, own: str) -> tuple[str, int]:
    """Which call of an operator of the program's own it is."""
    return own, sum((n.attrs.get("own") or ("",))[0] == own for n in cx.ev.graph.nodes)


def _is_foreseeable(call: Call) -> bool:
    try:
        call.at({})
    except Unforeseen:
        return False
    return True


def _sized_by_data(cx: Context, call: Call, ref: ExternRef, inputs: Sequence[Node]) -> Any:
    """A call of an operator of the program's own that has results of sizes which only the data tell."""
    name = call.target.replace(":", ".")
    try:
        seen = foresee_sizes(call.fn, call.args, call.kwargs, call.metas)
    except Unforeseen as error:
        raise cx.broken(
            "unknown-function",
            f"the framework function {name}",
            f"its result could not be foreseen without data ({error})",
        ) from error
    tensors, symbols = list(leaves(seen.results)), cx.ev.symbols
    if seen.written or seen.resized or any(seen.origin(t)[0] is not None for t in tensors) or not tensors:
        raise cx.broken(
            "data-dependent-shape",
            f"the framework function {name}",
            "it gives sizes from data, and more than new tensors",
        )
    ours: dict[Any, Any] = {}

    def dim(size: Any) -> Any:
        if isinstance(size, int):
            return size
        found = size.node.expr
        ours.update({s: symbols.foresee() for s in found.free_symbols if s not in ours})
        return found.xreplace(ours)

    device = _device_of({}, inputs)
    metas = [_meta(cx, t, Layout(tuple(map(dim, t.shape)), tuple(map(dim, t.stride())), 0), device) for t in tensors]
    attrs = {
        "ref": ref,
        "effects": True,
        "raises": True,
        "dtypes": tuple(m.dtype for m in metas),
        "own": _own_call(cx, own_name(call.fn)),
    }
    single = isinstance(seen.results, torch.Tensor)
    node = cx.ev.builder.append(OPS["extern"], tuple(inputs), attrs, metas[0] if single else tuple(metas))  # type: ignore[arg-type]
    made = [node] if single else [cx.ev.emit("getitem", node, index=i) for i in range(len(metas))]
    for symbol in ours.values():
        place = next(((n, n.meta.shape.index(symbol)) for n in made if symbol in n.meta.shape), None)
        if place is None:
            raise cx.broken(
                "data-dependent-shape",
                f"the framework function {name}",
                "no size of a result is what the data tell alone",
            )
        symbols.tell(symbol, *place)
    return _rebuilt(cx, call.target, seen.results, iter(made))


def _refuse_overlap(cx: Context, target: str, arrays: Sequence[ArrayValue], written: Iterable[int]) -> None:
    """A call works on a copy of what it writes to; a second argument over the same memory would not see the writes."""
    for i in written:
        if any(other.storage is arrays[i].storage for k, other in enumerate(arrays) if k != i):
            raise cx.broken("overlapping-write", f"{target.replace(':', '.')} on arguments that share memory",
                            "it writes to one of them", "pass a copy of the other one")  # fmt: skip


def _lazily_conjugated(cx: Context, node: Node) -> Any:
    """A result that eager leaves to be conjugated when it is read: a node's value never is."""
    target = f"{eager_ops.__name__}:NAMED.conj"
    stored = call_target(cx, target, EAGER["conj"], [node], {}, effects=False, raises=False)
    return METHODS["conj"](cx.ev, [cx.array(stored)], {})


def _view(
    cx: Context, ref: ExternRef, source: ArrayValue, base: torch.Tensor, result: torch.Tensor, layout: Layout,
    alone: bool,
) -> ArrayValue:  # fmt: skip
    """A result that is a view of an argument: a strided view where the elements stay what they are."""
    same = result.dtype == base.dtype and result.is_conj() == base.is_conj() and result.is_neg() == base.is_neg()
    if same:
        return source.view(cx.ev, "as_strided", size=layout.shape, stride=layout.stride, storage_offset=layout.offset)
    if not alone or any(isinstance(a, Input) and a.index for a in (*ref.args, *dict(ref.kwargs).values())):
        raise cx.broken("extern-view", f"the framework function {ref.target} returns views of its arguments' memory")
    if layout.is_dynamic:
        raise cx.broken("extern-view", f"the framework function {ref.target} on tensors of dynamic size")
    return reinterpret(cx.ev, ref, source, _meta(cx, result, layout, source.meta.device))


def _template(cx: Context, value: Any, arrays: list[ArrayValue]) -> Any:
    if isinstance(value, Node):
        value = cx.array(value)
    if isinstance(value, ArrayValue):
        for i, known in enumerate(arrays):
            if known is value:
                return Input(i)
        arrays.append(value)
        return Input(len(arrays) - 1)
    if isinstance(value, NumberValue):
        return value.as_constant() if cx.ev.states["torch"].casts else value
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return tuple(value) if isinstance(value, torch.Size) else type(value)(_template(cx, v, arrays) for v in value)
    if isinstance(value, torch.dtype):
        return cx.dtype(value)
    if isinstance(value, torch.device):
        return device_text(value)
    if value is None or isinstance(value, (bool, int, float, complex, str, DType)) or hasattr(value, "free_symbols"):
        return value
    if isinstance(value, slice):
        return slice(*(_template(cx, v, arrays) for v in (value.start, value.stop, value.step)))
    if value is Ellipsis:
        return Named("builtins:Ellipsis")
    if isinstance(value, (torch.layout, torch.memory_format)):
        return Named(str(value).replace(".", ":", 1))
    shown = f"the class {value.__name__}" if isinstance(value, type) else f"an argument of type {type(value).__name__}"
    raise cx.broken("extern-argument", f"passing {shown} to a framework function", "graphs cannot hold it")


def _held_numbers(cx: Context, template: Any, arrays: list[ArrayValue]) -> dict[NumberValue, Number]:
    """Add the tensors that hold the numbers of a template; where each number is found."""
    found: dict[NumberValue, Number] = {}
    for number in _numbers_in(template):
        if number not in found:
            arrays.append(cx.array(held_number(cx.ev, number)))
            found[number] = Number(len(arrays) - 1)
    return found


def _numbers_in(value: Any) -> Iterator[NumberValue]:
    if isinstance(value, NumberValue):
        yield value
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _numbers_in(v)
    elif isinstance(value, Mapping):
        yield from _numbers_in(tuple(value.values()))


def _with_hints(value: Any, changed: Collection[NumberValue] = ()) -> Any:
    """A template with the values of this capture in place of numbers that change; of some of them, with others."""
    return _replaced(value, lambda number: another(number.hint) if number in changed else number.hint)


def _placed(value: Any, numbers: Mapping[NumberValue, Number]) -> Any:
    return _replaced(value, lambda number: numbers[number]) if numbers else value


def _replaced(value: Any, by: Callable[[NumberValue], Any]) -> Any:
    if isinstance(value, NumberValue):
        return by(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_replaced(v, by) for v in value)
    return {k: _replaced(v, by) for k, v in value.items()} if isinstance(value, dict) else value


def _foreseen(cx: Context, call: Call, stand_ins: Sequence[torch.Tensor] | None) -> Foreseen:
    name = call.target.replace(":", ".")
    try:
        seen = call.at(_sizes_at_hand(cx, call), stand_ins)
    except Unforeseen as error:
        if call.held and not isinstance(error.__cause__, OF_DATA):
            raise cx.ev.framework_error(error.__cause__) from error  # type: ignore[arg-type]
        raise cx.broken("unknown-function", f"the framework function {name}",
                        f"its result could not be foreseen without data ({error})") from error  # fmt: skip
    if any(t.layout is not torch.strided for t in leaves(seen.results)):
        raise cx.broken("layout", f"a result of {name} that is not a dense tensor", "graphs hold dense tensors only")
    if seen.resized:
        raise cx.broken(
            "metadata-inplace", f"the framework function {name}", "it changes a tensor's layout, not its content"
        )
    return seen


def _sizes_at_hand(cx: Context, call: Call) -> dict[str, int]:
    """What the call's symbols are in this capture; for those that the graph computes, anything."""
    symbols = cx.ev.symbols
    return {
        n: 11 + 2 * i if symbols.is_unbacked(s) else symbols.hint(s) for i, (n, s) in enumerate(call.symbols.items())
    }


def _layouts(cx: Context, call: Call, seen: Foreseen, tensors: Sequence[torch.Tensor]) -> Sequence[Layout]:
    """The results' layouts, as formulas where sizes are symbols. Where there are none, the sizes become constants."""
    if not call.symbols:
        return [layout_of(seen, t) for t in tensors]
    asked = call.asked(seen, _sizes_at_hand(cx, call))
    found = None if asked is None else formulas(asked, [t.ndim for t in tensors], cx.ev.symbols.decide)
    if found is not None:
        return [Layout(*one) for one in found]
    why = "a framework function's result has no size known as a formula"
    bound = cx.ev.symbols.by_name
    if any(name in bound and bound[name].mark is not None for name in call.symbols):
        raise cx.broken("dynamic-extern", f"{call.target.replace(':', '.')} on tensors of dynamic size", why)
    unknown = call.trusted if asked is None else [call.symbols[name] for name in asked.unknown()]
    for symbol in unknown or call.symbols.values():
        cx.ev.symbols.specialize(symbol, why)
    raise AssertionError("a symbol was specialised")


def _rebuilt(cx: Context, target: str, results: Any, values: Iterator[Any]) -> Any:
    """The results with values in place of their tensors."""
    if isinstance(results, torch.Tensor):
        return next(values)
    cls = type(results)
    if isinstance(results, (tuple, list)):
        parts = [_rebuilt(cx, target, r, values) for r in results]
        return cls(parts) if cls in (tuple, list) else Results(cls, tuple(parts))
    if results is None or isinstance(results, (bool, int, float, str)):
        return results
    raise cx.broken("extern-result", f"the framework function {target} gives a {cls.__name__}",
                    "only tensors and numbers can leave the graph")  # fmt: skip


def _device_of(kwargs: Mapping[str, Any], inputs: Sequence[Node]) -> str | None:
    device = kwargs.get("device")
    if device is not None:
        return device_text(torch.device(device))
    for n in inputs:
        if n.meta.shape or len(inputs) == 1:
            return n.meta.device
    return inputs[0].meta.device if inputs else None


def _meta(cx: Context, result: torch.Tensor, layout: Layout, device: str | None) -> TensorMeta:
    try:
        dtype = from_torch(result.dtype)
    except KeyError:
        raise cx.broken("dtype", f"a result of dtype {result.dtype}", "graphs have no such element type") from None
    return TensorMeta(layout.shape, layout.stride, dtype, cx.device(None) if device is None else device)


# ------------------------------------------------------------------ functions that no table names


def handler_of_unknown(fn: Any) -> Any:
    """A handler that puts a C function of torch, or an operator of `torch.ops`, into the graph as it is; None for what is not
    a tensor function.
    """
    found = _place_of(fn)
    if found is None:
        return None
    place, effects = found

    def handler(ev: Machine, args: Any, kwargs: Any) -> Any:
        refuse_leaf(ev, kwargs)
        plain, named = _arguments(ev, args, kwargs, scalars(_operators_of(place)))
        return wrap(ev, call_target(Context(ev), place, fn, plain, named, effects))

    return handler


def method_call(ev: Machine, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """`args[0].name(...)` as it is: a method that no table names."""
    refuse_leaf(ev, kwargs)
    overloads = overloads_of(name)
    plain, named = _arguments(ev, args, kwargs, scalars(overloads))
    return wrap(ev, extern_call(Context(ev), f"Tensor.{name}", plain, named, effects=_is_random(overloads)))


def _arguments(
    ev: Machine, args: Sequence[Value], kwargs: Mapping[str, Value], scalars: frozenset[str | int] = frozenset()
) -> tuple[list[Any], dict[str, Any]]:
    """A call's arguments for `call_target`, which takes floats that change as they are, and ints where the function takes any
    number; elsewhere an int may say how large the result is.
    """

    def argument(where: str | int, value: Value) -> Any:
        if isinstance(value, NumberValue) and (type(value.hint) is float or where in scalars):
            return value
        if isinstance(value, (TupleValue, ListValue)) and any(type(n.hint) is float for n in changing(ev, (value,))):
            return [argument(-1, v) for v in value.items(ev)]
        return unwrap(ev, value)

    return [argument(i, a) for i, a in enumerate(args)], {k: argument(k, v) for k, v in kwargs.items()}


def opaque_call(ev: Machine, fn: Any, target: str, args: Any, kwargs: Any) -> Any:
    """A user's function as one node; its results' metas come from running it on meta tensors. The graph holds one that no
    other process could find, a local function or a lambda.
    """
    plain, named = _arguments(ev, args, kwargs)
    held = "<" in target
    if held:
        ev.boundary.op_by_op = f"{target.replace(':', '.')} is held by the graph"
    return wrap(ev, call_target(Context(ev), target, fn, plain, named, False, held=held, unsure=True))


#: operators: an overload, all overloads of a name, a user's `torch.library.custom_op`
OPERATORS = (torch._ops.OpOverload, torch._ops.OpOverloadPacket, torch.library.CustomOpDef)
#: where C functions over tensors stand, and how their operators' names begin there
_HOMES: tuple[tuple[Any, str], ...] = (
    (torch, ""), (torch.nn.functional, ""), (torch.linalg, "linalg_"), (torch.fft, "fft_"), (torch.special, "special_"),
    (torch._C._nn, ""), (torch._VF, ""),
)  # fmt: skip


def _place_of(fn: Any) -> tuple[str, bool] | None:
    """ "module:name" of a C function over tensors, and whether it draws random numbers; None for other functions."""
    if isinstance(fn, OPERATORS):
        return _operator(fn)
    if not isinstance(fn, types.BuiltinFunctionType):
        return None
    for module, prefix in _HOMES:
        for name in {fn.__name__, fn.__name__.removeprefix(prefix)}:
            if getattr(module, name, None) is fn and (overloads := overloads_of(prefix + name)):
                return f"{module.__name__}:{name}", _is_random(overloads)
    return None


def _operator(fn: Any) -> tuple[str, bool]:
    fn = getattr(fn, "_opoverload", fn)
    if isinstance(fn, torch._ops.OpOverload):
        return f"torch:ops.{fn}", _is_random([fn])
    return f"torch:ops.{fn}", _is_random([getattr(fn, o) for o in fn.overloads()])


def _operators_of(place: str) -> list[Any]:
    """The operators behind a place that `_place_of` gave."""
    module, _, name = place.partition(":")
    if name.startswith("ops."):
        found: Any = torch
        for part in name.split("."):
            found = getattr(found, part)
        return [found] if isinstance(found, torch._ops.OpOverload) else [getattr(found, o) for o in found.overloads()]
    prefix = next((p for home, p in _HOMES if home.__name__ == module), "")
    return overloads_of(prefix + name)


def _is_random(overloads: Sequence[Any]) -> bool:
    return any(torch.Tag.nondeterministic_seeded in o.tags for o in overloads)


above.unknown = handler_of_unknown
above.method_call = method_call


# ------------------------------------------------------------------ arithmetic that is the framework's


def complex_op(cx: Context, name: str, nodes: Sequence[Node | None], attrs: Mapping[str, Any]) -> Any:
    """A table op over complex tensors, as an opaque call of eager's implementation: generated kernels know real numbers. The same
    for the unsigned integers of which eager's kernels know few ops: it raises for the others.
    """
    row = OPS[name]
    if row.kind == "view" or row.eager == "pick":
        return cx.ev.emit(name, *nodes, **attrs)
    full = row.bind(attrs)
    operands = [n.attrs["value"] if n is not None and n.op.kind == "literal" else n for n in nodes]
    target = f"{eager_ops.__name__}:NAMED.{name}"
    raises = row.raises or row.requires is not None or not any(n is not None and n.dtype.is_complex for n in nodes)
    return call_target(cx, target, EAGER[name], operands, full, effects=False, raises=raises)


above.complex_op = complex_op
