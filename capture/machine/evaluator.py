"""The evaluator: the state of one capture and the services that Values, handlers and front ends use.

One `Evaluator` lives for one attempt at capturing one frame. All that the program does is kept in it (and in the Values it
made), so an attempt is discarded by forgetting it.
"""

from __future__ import annotations

import abc
import math
import operator
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...config import config
from ...errors import SourceLocation
from ...inductor.checks import may_raise
from ...inductor.graph import Graph, GraphBuilder, Node, TensorMeta
from ...inductor.ops import OPS
from ...inductor.ops.table import Op
from .. import locations
from ..breaks import Break, UserRaise
from ..entry.boundary import BoundaryBuilder
from ..entry.effects import Effects
from ..frontend import Frontend
from ..guards.guards import Guard, GuardSet
from ..guards.sources import Names, Source
from ..guards.symbols import Assumptions, Symbols
from ..python import builtin_table
from ..switches import stance
from ..values.base import Args, Kwargs, Value
from ..values.classes import ClassValue
from ..values.constant import FALSE, ConstantValue
from ..values.functions import BoundMethodValue, BuiltinValue, CellValue, FunctionValue
from ..values.generators import GeneratorValue
from ..values.item import number_node
from ..values.iterators import (
    IteratorValue,
)
from ..values.literals import LITERAL_TYPES
from ..values.mappings import DictValue
from ..values.number import NumberValue
from ..values.objects import ObjectValue
from ..values.sequences import DequeValue, ListValue
from ..values.sets import SetValue
from ..values.tensor import ArrayValue
from . import calls, frames, objects, operators, wrapping
from .class_service import ClassService
from .conversion_service import ConversionService
from .error_service import ErrorService
from .frames import Frame
from .iteration_service import IterationService
from .key_service import KeyService
from .scopes import GlobalScope
from .text_service import TextService
from .type_lookup import MISSING, message_name, type_find
from .wrapping import Policy

#: iterations of one loop that are unrolled before capture gives up
MAX_ITERATIONS = 20_000


class _Builder(GraphBuilder):
    """Notes which of the nodes that may raise were made where the program may catch the error."""

    def __init__(self, ev: Evaluator) -> None:
        super().__init__(OPS, ev.graph)
        self.ev = ev
        self.protected: set[Node] = set()
        #: nodes that stand in a function of their own, and not in this graph
        self.sealed: set[Node] = set()

    def append(self, row: Op, inputs: Sequence[Node | None], attrs: Mapping[str, Any], meta: TensorMeta) -> Node:
        if self.sealed and not self.sealed.isdisjoint(inputs):
            raise self.ev.leaked()
        node = super().append(row, inputs, attrs, meta)
        if row.requires is not None or row.raises or attrs.get("raises"):
            if self.ev.wrote_outside and may_raise(node):
                raise self.ev.break_(
                    "error-after-write", f"{row.name}, which may raise, behind a write to a tensor from outside that autograd "
                    "records", "the write is done while the graph runs, and could not be undone", "write to a copy (.clone())",
                )  # fmt: skip
            if self.ev.is_protected():
                self.protected.add(node)
        return node


class Evaluator(ClassService, TextService, ConversionService, IterationService, KeyService, ErrorService):
    """See the module's text.

    frontends: the array frameworks in use
    policy:    what earlier captures taught about places that change
    """

    operators = operators
    objects = objects
    quotes_abstract = sys.version_info >= (3, 12)

    def __init__(
        self,
        frontends: Iterable[Frontend],
        policy: Policy | None = None,
        engine: Any = None,
        assume: Assumptions | None = None,
    ) -> None:
        self.frontends = list(frontends)
        self.policy = policy if policy is not None else Policy()
        self.engine = engine
        self.graph = Graph()
        self.boundary = BoundaryBuilder()
        self.builder = _Builder(self)
        self.builder.locate = lambda: locations.current(self)
        self.names = Names()
        self.guards = GuardSet(self.names)
        self.effects = Effects()
        self.symbols = Symbols(self, assume)
        #: the target is a function's rest behind a graph break
        self.resuming = False
        #: places whose objects each call makes: a dict of keyword arguments
        self.fresh: set[Source] = set()
        #: whether breaks are errors at this point of the program (see `function_flags.error_on_graph_break`)
        self.strict = stance.strict()
        #: Values of real objects, by id; the objects are kept alive while their ids are in use
        self.memo: dict[int, Value] = {}
        self.kept: list[Any] = []
        #: the real objects, by the ids of their Values
        self.reals: dict[int, Any] = {}
        #: objects from outside that were used as dict keys by identity
        self.keyed: list[Value] = []
        self.wrappers: dict[type, Any] = {}
        #: graph inputs: (source, example), in the order of `graph.inputs`
        self.inputs: list[tuple[Source, Any]] = []
        self.frame: Frame | None = None
        self.root: Frame | None = None
        self.depth = 0
        #: loops that could not be made one node, by their code and where they begin: how often that was tried
        self.rolled: dict[Any, int] = {}
        #: loops that plain Python shall run as a whole if a break stands inside, by their code and where they begin
        self.whole_loops: dict[Any, Any] = {}
        #: loops that are unrolled, by their code and where they begin, with their rounds
        self.unrolled: dict[Any, tuple[Any, int]] = {}
        #: the exception that the program is handling
        self.handled: Value | None = None
        #: places guarded by identity, and what they held, by label
        self.identity_places: dict[str, tuple[Source, Any]] = {}
        #: results of functions that keep their results, by function and arguments
        self.cached_calls: dict[Any, Value] = {}
        #: how often such functions were asked for what they keep, by call
        self.asked: dict[Any, int] = {}
        #: generators that the program dropped while they had something left to do
        self.abandoned: list[GeneratorValue] = []
        #: the graph writes to an object from outside before its end
        self.wrote_outside = False
        #: an error that was no break, and the line of the program that was being evaluated
        self.failure: tuple[Exception, SourceLocation | None] | None = None
        self._scopes: dict[int, GlobalScope] = {}
        self._iterations: dict[Any, int] = {}
        self._trusted: dict[str | None, bool] = {}
        self._roots = {f.name for f in self.frontends}
        self.init_classes()
        self.init_text()
        self.states: dict[str, Any] = {}
        for frontend in self.frontends:
            self.states[frontend.name] = frontend.new_state(self)

    def discard(self) -> None:
        """The capture has ended: let go of what it looked at, without waiting for the collector of cycles."""
        self.names.forget()
        for held in (
            self.memo,
            self.reals,
            self.kept,
            self.inputs,
            self.keyed,
            self.identity_places,
            self.states,
            self._scopes,
        ):
            held.clear()
        self.effects.forget()
        self.frame = self.root = None
        self.handled = None

    # ------------------------------------------------------------ real objects to Values and back

    def wrap(self, obj: Any, source: Source) -> Value:
        """The Value of a real object found at `source`. See `wrapping`."""
        return wrapping.wrap(self, obj, source)

    def close_abandoned(self) -> None:
        """Do what Python does when the last reference to a generator goes."""
        while self.abandoned:
            generator = self.abandoned.pop(0)
            try:
                generator.close(self)
            except UserRaise:
                raise self.break_(
                    "abandoned-generator", f"an exception while {generator.describe()} is closed",
                    "nobody holds the generator any more, so Python only prints the exception",
                ) from None  # fmt: skip

    # ------------------------------------------------------------ small questions

    def is_none(self, value: Value) -> bool:
        return type(value) is ConstantValue and value.value is None

    def is_same(self, left: Value, right: Value) -> bool:
        """`left is right`; that two places hold different objects is guarded."""
        if operators.is_same(left, right):
            return True
        for number, other in ((left, right), (right, left)):
            if isinstance(number, NumberValue) and number.python_type() is other.python_type():
                number.as_constant()  # which of two equal numbers it is may be seen
            if number.is_undecided and number.python_type() is other.python_type():
                raise self.branch_break(f"whether {number.describe()} is another object")
        self._guard_different(left, right)
        return False

    def _guard_different(self, one: Value, other: Value) -> None:
        first, second = one.source, other.source
        if first is not None and second is not None and not (first.is_const and second.is_const):
            if one.python_type() is other.python_type() and self.fresh.isdisjoint((first, second)):
                self.guards.different(first, second)

    def has_index(self, value: Value) -> bool:
        """True when `value` can stand as an index."""
        if type(value) is ConstantValue:
            return hasattr(value.value, "__index__")
        return self.has_special(value, "__index__")

    def index(self, value: Value) -> int:
        """`operator.index(value)`, known now."""
        if type(value) is ConstantValue and hasattr(value.value, "__index__"):
            return operator.index(value.value)
        if isinstance(value, ObjectValue):
            if type(value.payload) is ConstantValue:
                return int(value.payload.value)
            method = value.special(self, "__index__")
            if method is not None:
                found = method.call(self, [], {})
                if not issubclass(found.python_type(), int):
                    raise self.type_error(f"__index__ returned non-int (type {message_name(found.python_type())})")
                self.refuse_subclass(found, int, "__index__")
                return self.index(found)
        if not self.has_index(value):
            raise self.type_error(f"'{message_name(value.python_type())}' object cannot be interpreted as an integer")
        number = value.python_number(self) or value
        if isinstance(number, ArrayValue) and not number.is_constant:
            raise self.break_(
                "data-dependent-scalar",
                f"the value of {number.describe()} as an integer",
                "it is known when the program runs only",
            )
        return self.symbols.specialize(number)

    def refuse_subclass(self, found: Value, wanted: type, method: str) -> None:
        """Break where a conversion gave an instance of a subclass (an int's True): Python takes it, with a warning."""
        if found.python_type() is not wanted and issubclass(found.python_type(), wanted):
            raise self.break_("conversion", f"{method} that returns a {message_name(found.python_type())}",
                              "Python warns of it", f"return a plain {wanted.__name__}")  # fmt: skip

    def is_iterable(self, value: Value) -> bool:
        return self.has_special(value, "__iter__") or self.has_special(value, "__getitem__")

    def is_mapping(self, value: Value) -> bool:
        return (
            isinstance(self.payload(value), DictValue)
            or issubclass(value.python_type(), Mapping)
            or self.has_special(value, "keys")
        )

    def payload(self, value: Value) -> Value:
        """The builtin content of a subclass's instance; other Values as they are."""
        return value.payload if isinstance(value, ObjectValue) and value.payload is not None else value

    def plain(self, value: Value) -> Value:
        """The number or text that an instance of a subclass of int, float or str is (an enum's member, say), as frameworks take
        it; other Values as they are.
        """
        inside = self.payload(value)
        return inside if type(inside) is ConstantValue else value

    def isinstance(self, value: Value, cls: Any) -> bool:
        if isinstance(cls, tuple):
            return any(self.isinstance(value, c) for c in cls)
        if value.python_type() is cls:  # nobody is asked
            return True
        check = self.metaclass_check(cls, "__instancecheck__")
        if check is not None:
            return check.call(self, [self.class_value(cls), value], {}).truth(self)
        self.guard_registrations(cls)
        return value.isinstance_(self, cls)

    def guard_registrations(self, cls: Any) -> None:
        """Where `cls` is an abstract class of the program: other classes may be registered with it later."""
        if isinstance(cls, abc.ABCMeta) and not self.trusted_module(cls.__module__):
            token = self.names.inject(abc.get_cache_token)
            self.guards.test(
                None, f"{token}() == {abc.get_cache_token()}", "a class was registered with an abstract one", 3
            )

    def branches_itself(self, value: Value) -> bool:
        """True for a value whose truth only a jump may ask for (an array's): the jump breaks the graph better."""
        return getattr(value, "branches", False)

    # ------------------------------------------------------------ operations

    def binary(self, op: str, left: Value, right: Value) -> Value:
        return operators.binary(self, op, left, right)

    def compare(self, op: str, left: Value, right: Value) -> Value:
        return operators.compare(self, op, left, right)

    def equal(self, left: Value, right: Value) -> bool:
        return operators.equal(self, left, right)

    def same_or_equal(self, left: Value, right: Value) -> bool:
        return operators.same_or_equal(self, left, right)

    def call(self, function: Value, args: Args, kwargs: Kwargs | None = None) -> Value:
        return function.call(self, args, kwargs or {})

    def call_method(self, value: Value, name: str, args: Args, kwargs: Kwargs | None = None) -> Value:
        """`value.name(*args)`."""
        return value.getattr_(self, name).call(self, args, kwargs or {})

    def call_function(self, function: Any, args: Args, kwargs: Kwargs | None = None) -> Value:
        """Call a real function with Values: inlined when it is Python."""
        return calls.call_python(self, function, args, kwargs)

    def inline(self, fn: FunctionValue, args: Args, kwargs: Kwargs) -> Value:
        return calls.inline(self, fn, args, kwargs)

    def run(self, frame: Frame, error: UserRaise | None = None) -> Value:
        return frames.run(self, frame, error)

    def handler(self, fn: Any) -> Any:
        """What models a call of the real callable `fn`: (ev, args, kwargs) -> Value; None to inline it."""
        return builtin_table.find_handler(self, fn)

    def unknown_callable(self, value: Value, args: Args, kwargs: Kwargs) -> BaseException:
        """The Break for a C function that nothing models."""
        return self.break_(
            "unknown-builtin", f"calling {value.describe()}", "it is written in C and quern does not model it",
            "call it outside of the compiled function, or pass its result in",
        )  # fmt: skip

    def constant_call(self, fn: Any, args: Args, kwargs: Kwargs) -> Value:
        """Call a function marked as constant now, and keep its result."""
        plain = [self.known(a) for a in args]
        named = {k: self.known(v) for k, v in kwargs.items()}
        found = self.fold_raw(lambda: fn(*plain, **named))
        return self.constant(found)

    def opaque_call(self, fn: Any, args: Args, kwargs: Kwargs) -> Value:
        """Call a function marked as opaque: one node of the graph."""
        name = f"{fn.__module__}:{fn.__qualname__}"
        for frontend in self.frontends:
            opaque = getattr(frontend, "opaque", None)
            if opaque is not None:
                return opaque(self, fn, name, args, kwargs)
        raise self.break_(
            "opaque-call", f"calling {name.replace(':', '.')}, which is marked with allow_in_graph",
            "only functions that take and give arrays of PyTorch can be one node", "leave out the mark",
        )  # fmt: skip

    def getattr_or_none(self, value: Value, name: str) -> Value | None:
        """`value.name`, or None when that raises AttributeError."""
        try:
            return value.getattr_(self, name)
        except UserRaise as error:
            if issubclass(error.value.python_type(), AttributeError):
                return None
            raise

    def has_special(self, value: Value, name: str) -> bool:
        return type_find(value.python_type(), name) is not MISSING

    def get_special(self, value: Value, name: str) -> Value:
        """A special method, looked up on the class as the interpreter does."""
        if isinstance(value, ObjectValue):
            raw = value.info.find(name)
            if raw is not MISSING:
                return value.bind(self, name, raw)
        return value.getattr_(self, name)

    def got_count(self, source: Value, items: list[Value]) -> str:
        """What UNPACK_SEQUENCE's error says of the number it got (Python 3.13 said no more than 3.11 does)."""
        return ""

    # ------------------------------------------------------------ scopes, cells, variables

    def scope(self, real: dict[str, Any]) -> GlobalScope:
        found = self._scopes.get(id(real))
        if found is None:
            found = self._scopes[id(real)] = GlobalScope(self, real)
        return found

    def is_scope(self, real: Any) -> bool:
        """Whether an object is the dict of a module whose globals are read."""
        return id(real) in self._scopes

    def cell(self, real: types.CellType, source: Source) -> CellValue:
        found = self.wrap(real, source)
        assert isinstance(found, CellValue)
        return found

    def forget(self, frame: Frame, name: str) -> None:
        """Unbind a local variable."""
        frame.slots.pop(name, None)
        removed = getattr(frame.slots, "removed", None)
        if removed is not None:
            removed.add(name)

    def trusted_module(self, name: Any) -> bool:
        """True for modules whose functions and classes are taken not to change: the standard library, the frameworks."""
        found = self._trusted.get(name) if isinstance(name, str) else False
        if found is None:
            root = name.partition(".")[0]
            found = root in sys.stdlib_module_names and root != "__main__" or root in self._roots or name in ("quern",)
            self._trusted[name] = found
        return found

    def is_steady(self, obj: Any) -> bool:
        """True for an object of a trusted module that needs no guard: all but plain data."""
        return (
            type(obj) not in LITERAL_TYPES
            and not isinstance(obj, (list, dict, set, tuple))
            or isinstance(obj, float)
            and obj in _MATHS
        )

    def guard_builtin(self, name: str, obj: Any) -> None:
        self.guards.is_(self.names.const(_BUILTINS, label="builtins").step("", f"[{name!r}]", f".{name}"), obj)

    def count_iteration(self, frame: Frame, target: int) -> int:
        """Called at each jump backwards: how many there were; gives up on loops that would unroll without end."""
        key = (id(frame), target)
        count = self._iterations[key] = self._iterations.get(key, 0) + 1
        if count > MAX_ITERATIONS:
            raise self.break_(
                "long-loop", f"a loop ran {MAX_ITERATIONS} times", "capture unrolls loops", "write the loop over arrays"
            )
        return count

    # ------------------------------------------------------------ graph

    def emit(self, op: str, *nodes: Node | None, **attrs: Any) -> Node:
        """Append a table op at the current place. Arguments that the op refuses become the program's own error: plain
        Python is left to raise it.
        """
        try:
            return self.builder.call(op, *nodes, **attrs)
        except (ValueError, TypeError, IndexError, NotImplementedError) as error:
            raise self.framework_error(error) from error

    def seal(self, nodes: Iterable[Node]) -> None:
        """These nodes stand in a function of their own now."""
        self.builder.sealed.update(nodes)

    def leaked(self) -> Break:
        """The Break for an array that is used outside of the function that it was made in."""
        return self.break_(
            "leaked-array", "an array of a function that the framework calls is used outside of it",
            "it has no value there", "return it from the function",
        )  # fmt: skip

    def framework_error(self, error: Exception) -> Break:
        """The Break for a call that the framework itself would refuse."""
        return self.break_(
            "framework-error", f"{type(error).__name__}: {error}", "the framework refuses this call", eager=True
        )

    def add_input(self, source: Source, meta: TensorMeta, example: Any, name: str = "arg") -> Node:
        """A graph input that the entry fetches at `source`."""
        self.builder.loc = None
        node = self.builder.input(meta, name)
        self.inputs.append((source, example))
        return node

    def dim(self, source: Source, axis: int, size: int, array: Any = None) -> Any:
        """Size `axis` of the array at `source`: the int, or a symbol when that dim is dynamic."""
        return self.symbols.dim(source, axis, size, array)

    def size(self, dim: Any) -> Value:
        """A Value for a size: a constant, or a symbolic int."""
        return ConstantValue(dim) if isinstance(dim, int) else self.symbols.value_of(dim)

    def is_protected(self) -> bool:
        """Whether the program stands inside of a `try` or `with` that may catch an error."""
        frame = self.frame
        while frame is not None:
            if frame.pc and frame.view.handlers[frame.pc - 1] is not None:
                return True
            frame = frame.parent
        return False

    def integer(self, node: Node) -> Value:
        """The Python int that a node gives, as a symbol."""
        return self.symbols.value_of(self.symbols.new_unbacked(node, None))

    def number_of(self, symbol: Any) -> Node:
        """The node that gives the value of a symbol which the graph computes."""
        told = self.symbols.unbacked[symbol.name]
        assert told is not None
        node, dim = told
        return node if dim is None else number_node(self, "builtins:int", [symbol], int)

    @property
    def reads_data(self) -> bool:
        """Whether numbers read from tensors stay in the graph."""
        return self.engine.fullgraph or config.capture_scalar_outputs

    @property
    def sizes_from_data(self) -> bool:
        """Whether results whose sizes depend on the data stay in the graph."""
        return self.engine.fullgraph or config.capture_dynamic_output_shape_ops

    def hint(self, dim: Any) -> int:
        """What a size is in this capture."""
        return dim if isinstance(dim, int) else self.symbols.hint(dim)

    def note_failure(self, error: Exception) -> None:
        """A defect showed while the program was evaluated: note where in the user's code, before its frames are left."""
        if self.failure is None or self.failure[0] is not error:
            self.failure = error, locations.current(self, text=True)

    def guard_aliases(self) -> None:
        """What was changed must not be, at a later call, the same object as something else that was looked at; nor two dict
        keys that count by identity.
        """
        keys = [v.source for v in self.keyed if v.source is not None]
        if len(keys) > 1 and not all(k.is_const for k in keys):
            ids = ", ".join(f"id({{p{i}}})" for i in range(len(keys)))
            self.guards.add(
                Guard(None, f"len(set(({ids}))) == {len(keys)}", "dict keys were different objects", places=tuple(keys))
            )
        changed = [v for v in self.effects if isinstance(v, _ALIASABLE) and v.source is not None]
        # the places of what was changed, and those of all else, by kind
        kinds: dict[Any, tuple[list[Source], list[Source]]] = {(type(v), v.python_type()): ([], []) for v in changed}
        types = {kind for kind, _ in kinds}
        for value in dict.fromkeys((*changed, *self.memo.values())):
            if type(value) in types and value.source is not None and value.source not in self.fresh:
                places = kinds.get((type(value), value.python_type()))
                if places is not None:
                    places[value not in self.effects].append(value.source)
        for ours, others in kinds.values():
            self.guards.distinct(ours, others)


_ALIASABLE = (ListValue, DictValue, SetValue, DequeValue, ObjectValue, CellValue, ArrayValue)
_BUILTINS: dict[str, Any] = __builtins__ if isinstance(__builtins__, dict) else __builtins__.__dict__
_MATHS = frozenset((math.pi, math.e, math.tau, math.inf))

__all__ = ["FALSE", "BoundMethodValue", "BuiltinValue", "ClassValue", "Evaluator", "IteratorValue"]
