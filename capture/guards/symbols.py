"""Sizes and ints that change between calls: one capture's symbols, and what was assumed of them.

The first capture takes every size and every int as a constant. One that changed between calls (`learn` notes it in the
`Policy`) becomes a sympy symbol in the next capture; so does a dim that the user marked, and with dynamic=True every dim
of a tensor from outside. The values 0 and 1 stay constants. Equal sizes share one symbol.

A relation between symbols that their ranges leave open is decided by the values at hand and guarded. Where the program
needs one value (a loop over a size, a size that must equal a constant), the attempt is given up and the capture begins
anew with that dim as a constant: `Assumptions` carries such knowledge from attempt to attempt.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...errors import SpecializationError
from ...inductor.boundary import SymbolInfo
from ...inductor.graph import Graph, Node, symbols_in
from ...inductor.sizes import Fact, Relations, linear, normal_form, python_size
from .. import locations
from ..breaks import Break, Restart
from ..switches import marked_dims
from ..values.base import Value
from ..values.constant import ConstantValue
from ..values.number import NumberValue
from ..values.symint import RULES, SymIntValue
from .guards import Guard
from .sources import Source
from .varying import Key

if TYPE_CHECKING:
    from ..values.base import Machine

#: ints beyond it stay constants: arithmetic on them could leave 64 bits
LARGEST_INT = (1 << 31) - 1

#: numbers that had to become constants one by one before all others become constants at once: a long list of them would take an
#: attempt each
MANY_PINNED = 16


@dataclass
class Assumptions:
    """What earlier attempts at one capture found out.

    pinned: dims and ints that must be constants
    apart:  dims that must not share a symbol with others
    joined: pairs that are one symbol: the program needs them to be equal
    recorded: it may be that the program can be recorded as its framework's own calls
    own_history: it may be that the backend leaves tensors at their places in the history (`Boundary.own_history`)
    told: what cached functions gave, by call, in the order in which the program asked them
    fresh_views: it may be that no view is read that the framework refuses because of a write to its memory
    """

    pinned: set[Key] = field(default_factory=set)
    apart: set[Key] = field(default_factory=set)
    joined: set[frozenset[Key]] = field(default_factory=set)
    recorded: bool = True
    own_history: bool = True
    fresh_views: bool = True
    told: dict[Any, list[Any]] = field(default_factory=dict)

    @property
    def many_numbers(self) -> bool:
        """Whether so many numbers had to be constants that the rest are taken as such too."""
        return sum(axis is None for _, axis in self.pinned) > MANY_PINNED

    def partners(self, key: Key) -> set[Key]:
        """All keys that are joined with `key`, directly or over others."""
        found, todo = {key}, [key]
        while todo:
            one = todo.pop()
            for pair in self.joined:
                if one in pair:
                    todo += pair - found
                    found |= pair
        return found


@dataclass
class Bound:
    """A symbol and the places that have its value.

    places: (key, source of the number), the first one gives the value
    mark:   the range that the user gave, when one of the places was marked
    """

    symbol: Any
    hint: int
    places: list[tuple[Key, Source]]
    mark: marked_dims.Mark | None = None


class Symbols:
    """The size symbols of one capture."""

    def __init__(self, ev: Machine, assume: Assumptions | None = None) -> None:
        self.ev = ev
        self.assume = assume if assume is not None else Assumptions()
        self.bound: dict[Key, Bound] = {}
        self.by_name: dict[str, Bound] = {}
        self.relations = Relations()
        #: sizes and numbers taken as constants: (key, source of the number, value)
        self.constants: list[tuple[Key, Source, int | float]] = []
        #: numbers that change and their graph nodes, by where the entry reads them
        self.numbers: dict[Source, tuple[NumberValue, Node]] = {}
        #: symbols whose values only the running graph knows: the node, and the dim of its value (None: the value itself)
        self.unbacked: dict[str, tuple[Node, int | None] | None] = {}
        #: whether there are any
        self.changing = False
        #: frameworks' scalars from outside that are inputs of the graph, and whether they are integers
        self.scalars: dict[Key, bool] = {}
        self._shared: dict[int, Bound] = {}
        self._values: dict[Any, Value] = {}

    def __bool__(self) -> bool:
        return bool(self.bound)

    # ------------------------------------------------------------ from outside

    @property
    def _mode(self) -> bool | None:
        return getattr(self.ev.engine, "dynamic", None)

    def dim(self, source: Source, axis: int, size: int, array: Any = None) -> Any:
        """Size `axis` of the array at `source`: an int, or its symbol."""
        key = (source.address, axis)
        known = self.bound.get(key)
        if known is not None:
            return known.symbol
        place = source.attr("shape").item(axis)
        mark = marked_dims.of(array).get(axis) if array is not None else None
        if not self._dim_varies(source, key, size, mark):
            self.constants.append((key, place, size))
            return size
        made = self._bind(key, place, size, shares=True)
        if mark is not None and mark.dynamic and not mark.soft:
            made.mark = mark
            low, high = self.relations.ranges[made.symbol.name]
            low, high = max(low, mark.low), min(high, math.inf if mark.high is None else mark.high)
            self.relations.ranges[made.symbol.name] = (low, high)
        return made.symbol

    def _dim_varies(self, source: Source, key: Key, size: int, mark: marked_dims.Mark | None) -> bool:
        if size < 2 or self._mode is False or source.is_const or key in self.assume.pinned:
            return False
        if mark is not None:
            return mark.dynamic
        return self._mode is True or key in self.ev.policy.dynamic

    def number_input(self, source: Source, value: int | float) -> Value | None:
        """What stands for the number at `source` when it changed between calls; None: it is a constant."""
        key = (source.address, None)
        if not self._number_varies(source, key, value):
            self.constants.append((key, source, value))
            return None
        found = self._values.get(source)
        if found is None:
            self.ev.guards.type_is(source, type(value))
            found = self._values[source] = NumberValue(source, value, key, self)
            self.changing = True
        return found

    def _number_varies(self, source: Source, key: Key, value: int | float) -> bool:
        if self._mode is False or key in self.assume.pinned or self.assume.many_numbers:
            return False
        if key in self.ev.policy.dynamic:
            return True
        # variables of a function's rest behind a graph break are often sizes
        return self._mode is True and self.ev.resuming and source.parent is None and self.in_range(value)

    def scalar_varies(self, source: Source, value: Any) -> bool:
        """Whether a framework's scalar from outside is an input of the graph. Where that breaks the graph, it is a constant in
        the next attempt.
        """
        key = (source.address, None)
        varies = key not in self.assume.pinned
        if varies:
            self.scalars[key] = hasattr(value, "__index__")
        else:
            self.constants.append((key, source, value))
        return varies

    def settle_scalars(self, branching: bool) -> bool:
        """Take the scalars from outside for constants in the next attempt: for a branch's sake the integers alone, which are
        flags and counts more often than data. False where none is left to take.
        """
        settled = {key for key, whole in self.scalars.items() if whole or not branching} - self.assume.pinned
        self.assume.pinned |= settled
        return bool(settled)

    def in_range(self, value: Any) -> bool:
        """Whether an int may be a symbol: 0 and 1 mean something else for a size than other ints do."""
        return type(value) is int and 2 <= value <= LARGEST_INT

    def bind_number(self, number: NumberValue) -> Any:
        """A symbol for an int that is used as a size, or minus the symbol of its opposite. One that cannot be a symbol is a
        constant from here on.
        """
        place, hint = number.place, int(number.hint)
        if hint < 0:
            place, hint = place.computed("(-{p0})", ()), -hint
        key = (place.address, None)
        known = self.bound.get(key)
        if known is None:
            if not self.in_range(hint) or key in self.assume.pinned:
                self.pin(number.origin)
            known = self._bind(key, place, hint, shares=False)
            low, high = self.relations.ranges[known.symbol.name]
            self.relations.ranges[known.symbol.name] = (low, min(high, LARGEST_INT))
        return known.symbol if number.hint > 0 else -known.symbol

    def derived(self, op: str, left: Any, right: Any) -> Any:
        """The size that an operator gives for two sizes or ints; None where no rule tells."""
        rule = RULES.get(op)
        return None if rule is None else rule(self, left, right)

    def number_of(self, size: Any) -> NumberValue:
        """A size as a number that Python computes at each call."""
        symbols = sorted(size.free_symbols, key=lambda s: s.name)
        numbers = {s.name: i for i, s in enumerate(symbols)}
        places = [self.place(s) for s in symbols]
        self.changing = True
        template = python_size(size, lambda s: f"{{p{numbers[s.name]}}}")
        place = places[0] if template == "{p0}" else places[0].computed(template, tuple(places[1:]))
        return NumberValue(place, self.hint(size), self.by_name[symbols[0].name].places[0][0], self, lambda: size)

    def number_behind(self, node: Node) -> NumberValue | None:
        """The number that a node of the graph stands for."""
        return next((number for number, known in self.numbers.values() if known is node), None)

    def pin_numbers(self, nodes: Iterable[Node | None]) -> None:
        """Where an op takes no such number: those among its operands are constants in the next attempt."""
        for node in nodes:
            number = self.number_behind(node) if node is not None else None
            if number is not None:
                number.as_constant()

    def pin(self, key: Key) -> Any:
        """A dim or number is a constant in the next attempt, which begins now."""
        bound = self.bound.get(key)
        if bound is not None:
            self.specialize(bound.symbol)
        self.assume.pinned.add(key)
        raise Restart

    def _bind(self, key: Key, place: Source, hint: int, shares: bool) -> Bound:
        """The symbol of a place: one that others have already where they are joined, or equal and free to share."""
        shares = shares and key not in self.assume.apart
        joined = sorted(self.assume.partners(key) - {key}, key=str)
        partner = next((self.bound[k] for k in joined if k in self.bound), None)
        if partner is None and shares:
            partner = self._shared.get(hint)
            if partner is not None and any(frozenset((key, k)) in self.ev.policy.unequal for k, _ in partner.places):
                partner = None
        if partner is None:
            symbol = _sympy().Symbol(f"s{len(self.by_name)}", integer=True, positive=True)
            partner = Bound(symbol, hint, [])
            self.by_name[symbol.name] = partner
            self.relations.ranges[symbol.name] = (2, math.inf)
            if shares:
                self._shared.setdefault(hint, partner)
        partner.places.append((key, place))
        self.bound[key] = partner
        return partner

    def new_unbacked(self, node: Node, dim: int | None) -> Any:
        """A symbol for an int that a node gives: size `dim` of its value, or the value itself."""
        symbol = self.foresee(is_size=dim is not None)
        self.tell(symbol, node, dim)
        return symbol

    def foresee(self, is_size: bool = True) -> Any:
        """A symbol for an int that the graph will compute. `tell` says by which node."""
        name = f"u{len(self.unbacked)}"
        symbol = _sympy().Symbol(name, integer=True, nonnegative=True if is_size else None)
        self.unbacked[name] = None
        self.relations.ranges[name] = (0 if is_size else -math.inf, math.inf)
        self.ev.boundary.op_by_op = "its sizes depend on the data"
        return symbol

    def tell(self, symbol: Any, node: Node, dim: int | None) -> None:
        """The node that gives a foreseen int."""
        self.unbacked[symbol.name] = (node, dim)
        self.ev.boundary.measured.append((symbol, node, dim))

    def is_told(self, symbol: Any) -> bool:
        """Whether `tell` was called for a foreseen int."""
        return self.unbacked[symbol.name] is not None

    def is_unbacked(self, size: Any) -> bool:
        """Whether the running graph alone knows the value of a size or relation."""
        return bool(self.unbacked) and any(s.name in self.unbacked for s in getattr(size, "free_symbols", ()))

    def _data_dependent(self, what: Any) -> Break:
        return self.ev.break_(
            "data-dependent-size",
            f"the value of {what}, which depends on a tensor's content",
            "it is known only when the graph runs",
            "state what holds of it with torch._check, or move the decision out of the compiled function",
        )

    # ------------------------------------------------------------ values

    def value_of(self, size: Any) -> Value:
        """A Value for a size."""
        if isinstance(size, int):
            return ConstantValue(size)
        if size.is_Integer:
            return ConstantValue(int(size))
        found = self._values.get(size)
        if found is None:
            found = self._values[size] = SymIntValue(size, self)
        return found

    def hint(self, size: Any) -> int:
        """What a size is in this capture. Breaks for one that the graph computes."""
        if self.is_unbacked(size):
            raise self._data_dependent(size)
        return size if isinstance(size, int) else int(self._with_hints(size))

    def _with_hints(self, e: Any) -> Any:
        return e.xreplace({s: _sympy().Integer(self.by_name[s.name].hint) for s in e.free_symbols})

    # ------------------------------------------------------------ relations

    def decide(self, relation: Any) -> bool:
        """The truth of a relation between sizes, guarded where it is open. May raise Restart."""
        known = self.relations.decided(relation)
        if known is not None:
            return known
        if self.is_unbacked(relation):
            raise self._data_dependent(relation)
        holds = bool(self._with_hints(relation))
        kind, d, positive = normal_form(relation)
        if kind == "eq" and holds is positive:
            self._equal(d)
        self.relations.note(relation, holds)
        return holds

    def decide_layout(self, relation: Any) -> bool:
        """As `decide`, for rules about layouts: sizes that the graph computes are taken to be neither 0 nor 1, where strides
        mean nothing.
        """
        if self.is_unbacked(relation):
            ranges = {n: (max(low, 2), high) if n in self.unbacked and low >= 0 else (low, high)
                      for n, (low, high) in self.relations.ranges.items()}  # fmt: skip
            known = Relations(ranges).decided(relation)
            if known is not None:
                return known
        return self.decide(relation)

    def _equal(self, d: Any) -> None:
        """`d == 0` is about to be guarded. One symbol alone is a constant then, and one that is halved again and again until it is what
        the program waits for: few sizes come to the same there, and all that is computed on the way would be of many roundings.
        Two are one.
        """
        if (
            len(d.free_symbols) == 1
            and _roundings(d) > 1
            and all(self.by_name[s.name].mark is None for s in d.free_symbols)
        ):
            self.specialize(d, "the program divides it until it is a certain number")
        line = linear(d)
        if line is not None:
            self.specialize(line[0], f"the program needs it to be {self.hint(line[0])}")
        symbols = sorted(d.free_symbols, key=lambda s: s.name)
        if len(symbols) == 2 and d in (symbols[0] - symbols[1], symbols[1] - symbols[0]):
            one, other = (self.by_name[s.name] for s in symbols)
            self.assume.joined.add(frozenset((one.places[0][0], other.places[0][0])))
            raise Restart

    def specialize(self, size: Any, why: str = "the program needs its value while it is captured") -> int:
        """A size as an int, from here on a constant. Raises Restart for one with symbols: the capture begins anew with
        them as constants. Where the user marked one, the Restart carries a SpecializationError.
        """
        if isinstance(size, Value):
            if not isinstance(size, SymIntValue):
                return int(size.as_constant())
            size = size.expr
        if isinstance(size, int):
            return size
        if self.is_unbacked(size):
            raise self._data_dependent(size)
        for symbol in sorted(size.free_symbols, key=lambda s: s.name):
            bound = self.by_name[symbol.name]
            keys = {k for k, _ in bound.places}
            if len(keys) > 1 and not keys <= self.assume.apart and not any(keys & pair for pair in self.assume.joined):
                self.assume.apart.update(keys)  # equal by chance, perhaps: find out which of them it is
            elif bound.mark is not None:
                raise Restart(self._marked_error(bound, why))
            else:
                self.assume.pinned.update(keys)
        raise Restart

    def pin_all(self) -> None:
        """Every symbol is a constant in the next attempt."""
        self.assume.pinned.update(self.bound)

    def _marked_error(self, bound: Bound, why: str) -> SpecializationError:
        (_, axis), place = next((p for p in bound.places if p[0][1] is not None), bound.places[0])
        array = place if axis is None or place.parent is None or place.parent.parent is None else place.parent.parent
        label = array.label
        where = locations.current(self.ev, text=True)
        at = "\n  " + str(where).replace("\n", "\n  ") if where is not None else ""
        return SpecializationError(
            f"dimension {axis} of `{label}` is marked dynamic, but here it can only be {bound.hint}: {why}{at}\n"
            f"  try: compute with {label}.shape[{axis}] as it is, instead of with a fixed number or in a Python loop over it; "
            f"or quern.mark_static({label}, {axis})"
        )

    # ------------------------------------------------------------ at the end

    def guards(self) -> list[Guard]:
        """What the symbols' values must fulfil: equal places, ranges, facts."""
        found = []
        for bound in self.by_name.values():
            (_, first), *others = bound.places
            for _, place in others:
                reason = f"{{label}} and {first.label} were equal"
                found.append(Guard(place, "{x} == {p0}", reason, rank=2, places=(first,)))
            found.append(self._range_guard(first, *self.relations.ranges[bound.symbol.name]))
        found += [self._fact_guard(fact) for fact in self.relations.facts if not self.is_unbacked(fact.d)]
        return found

    def _range_guard(self, place: Source, low: Any, high: Any) -> Guard:
        if low == high:
            return Guard(place, f"{{x}} == {low}", f"{{label}} was {low}")
        if math.isinf(high):
            return Guard(place, f"{low} <= {{x}}", f"{{label}} was {low} or more")
        return Guard(place, f"{low} <= {{x}} <= {high}", f"{{label}} was from {low} to {high}")

    def _fact_guard(self, fact: Fact) -> Guard:
        symbols = sorted(fact.d.free_symbols, key=lambda s: int(s.name[1:]))
        numbers = {s.name: i for i, s in enumerate(symbols)}
        said = fact.text(lambda s: self.place(s).label)
        test = fact.text(lambda s: f"{{p{numbers[s.name]}}}")
        return Guard(None, test, f"{said} held", rank=3, places=tuple(map(self.place, symbols)))

    def guard_equal(self, place: Source, size: Any) -> None:
        """The number at a place equals a size."""
        if isinstance(size, int):
            self.ev.guards.test(place, f"{{x}} == {size}", f"{{label}} was {size}")
            return
        symbols = sorted(size.free_symbols, key=lambda s: s.name)
        numbers = {s.name: i for i, s in enumerate(symbols)}
        test = python_size(size, lambda s: f"{{p{numbers[s.name]}}}")
        said = f"{{label}} was {self.text(size, lambda source: source.label)}"
        self.ev.guards.add(Guard(place, f"{{x}} == {test}", said, rank=3, places=tuple(map(self.place, symbols))))

    def place(self, symbol: Any) -> Source:
        """Where a symbol's value is read."""
        return self.by_name[symbol.name].places[0][1]

    def text(self, size: Any, name: Callable[[Source], str], computed: Callable[[Any], str] = str) -> str:
        """A size as Python; `name` gives the text of a place, `computed` that of a symbol which the graph computes."""
        return python_size(size, lambda s: computed(s) if s.name in self.unbacked else name(self.place(s)))

    def bind(self, graph: Graph, inputs: Iterable[tuple[Source, Any]]) -> list[tuple[Source, int]]:
        """Say in the boundary where the graph's symbols come from. Returns (place, value) of those that must be passed as ints."""
        if not self.bound:
            return []
        boundary = self.ev.boundary
        position = {source: i for i, (source, _) in enumerate(inputs)}
        used = symbols_of(graph)
        ints: list[tuple[Source, int]] = []
        for bound in self.by_name.values():
            if bound.symbol not in used:
                continue
            low, high = self.relations.ranges[bound.symbol.name]
            where = self._input_dim(bound, position)
            if where is None:
                where = (len(graph.inputs) + len(ints), None)
                ints.append((bound.places[0][1], bound.hint))
                boundary.int_inputs.append(bound.symbol.name)
            info = SymbolInfo(bound.symbol, *where, bound.hint, int(low), None if math.isinf(high) else int(high))
            boundary.symbols.append(info)
        return ints

    def _input_dim(self, bound: Bound, position: Mapping[Source, int]) -> tuple[int, int | None] | None:
        """(input, axis) of a graph input that has the symbol's value."""
        for (_, axis), place in bound.places:
            array = place.parent.parent if axis is not None and place.parent is not None else None
            if array is not None and array in position:
                return position[array], axis
        return None

    # ------------------------------------------------------------ for later captures

    def equal_places(self) -> list[tuple[tuple[Key, Source], tuple[Key, Source]]]:
        """Pairs of places that share one symbol."""
        return [(bound.places[0], other) for bound in self.by_name.values() for other in bound.places[1:]]


def _sympy() -> Any:
    """sympy, which only captures with symbols pay for."""
    return importlib.import_module("sympy")


def symbols_of(graph: Graph) -> set[Any]:
    """Size symbols that a graph's metas and attributes mention."""
    return set(symbols_in([(node.meta, node.attrs) for node in graph.nodes]))


def _roundings(e: Any) -> int:
    """How many quotients that are rounded lie inside of one another."""
    inside = max(map(_roundings, e.args), default=0)
    return inside + (type(e).__name__ in ("floor", "ceiling"))
