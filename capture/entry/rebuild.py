"""Code that makes an entry's results: the return value, the stack and variables at a graph break, the side effects.

Generated code runs in this order, so that nothing it reads was changed by what it does:
    fetch    what existed before is read from its source
    graph    the compiled graph runs
    build    new objects are made; one object is made once, whatever refers to it
    effects  changes are written into objects that existed before, in the order given; what needs a change to have been
             written (an iterator over a changed dict) is made among them, and so is what holds it
    enter    context managers that the program is inside of are entered again (at a graph break)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from ...inductor.graph import Node
from ..breaks import Break
from ..guards.sources import Names, Source, written
from ..values.base import Value
from ..values.constant import ConstantValue

if TYPE_CHECKING:
    from ..machine.evaluator import Evaluator


class Rebuilder:
    """Collects the statements of one entry."""

    def __init__(self, ev: Evaluator) -> None:
        self.ev = ev
        self.graph = ev.graph
        #: places to read, each under a name
        self.fetched: dict[Source, str] = {}
        self.built: list[str] = []
        self.effects: list[str] = []
        self.entered: list[str] = []
        #: values made among the effects, by id
        self._late: set[int] = set()
        #: whether what is being made has asked for such a value
        self._asked_late = False
        #: whose changes are written, by id: False while they are being written
        self._replayed: dict[int, bool] = {}
        #: text by value
        self._names: dict[int, str] = {}
        #: values being built that may refer to themselves: id -> (empty form, name once asked for)
        self._open: dict[int, list[Any]] = {}
        self._deferred: list[Callable[[], None]] = []
        self._outputs: dict[Any, str] = {}
        self._kept: list[Value] = []
        self._count = 0

    # ------------------------------------------------------------ what Values ask

    def value(self, value: Value) -> str:
        """An expression for a value; the same object is the same expression."""
        if type(value) is ConstantValue and value.source is None:
            return self.constant(value.value)
        known = self._names.get(id(value))
        if known is not None:
            self._asked_late |= id(value) in self._late
            return known
        if value.source is not None:
            return self.source(value.source)
        opened = self._open.get(id(value))
        if opened is not None:
            if opened[1] is None:
                opened[1] = self.temp(opened[0])
            return opened[1]
        self._kept.append(value)
        before, self._asked_late = self._asked_late, False
        text = value.rebuild(self)
        known = self._names.get(id(value))
        if known is None:
            known = text if text.isidentifier() else self.temp(text)
            self._names[id(value)] = known
        if self._asked_late:
            self._late.add(id(value))
        self._asked_late |= before
        return known

    def source(self, source: Source) -> str:
        """What stood at a place before the entry did anything."""
        if source.parent is None:
            return source.text
        name = self.fetched.get(source)
        if name is None:
            name = self.fetched[source] = f"_s{len(self.fetched)}"
        return name

    def constant(self, obj: Any) -> str:
        """A literal, or a name for an object that the entry holds."""
        cls = type(obj)
        if cls is tuple:
            return f"({''.join(self.constant(o) + ', ' for o in obj)})"
        text = written(obj)
        return self.inject(obj) if not text else f"({text})" if cls is int and obj < 0 else text

    def inject(self, obj: Any, stem: str = "") -> str:
        """A name for an object that the entry holds."""
        return self.ev.names.inject(obj, stem)

    def output(self, node: Node, array: Value | None = None) -> str:
        """The name of a graph output. array: the very array that the node's value is for, where that matters."""
        asked = node if array is None else array
        name = self._outputs.get(asked)
        if name is None:
            if node in self.ev.builder.sealed:
                raise self.ev.leaked()
            name = self._outputs[asked] = f"_g{len(self._outputs)}"
            self.graph.outputs.append(node)
        return name

    @property
    def names(self) -> Names:
        """The entry's names."""
        return self.ev.names

    def size(self, dim: Any) -> str:
        """Code for a size: an int, or an expression over symbols."""
        return str(dim) if isinstance(dim, int) else self.ev.symbols.text(dim, self.source, self.computed)

    def sizes(self, dims: Iterable[Any]) -> str:
        """Code for a tuple of sizes."""
        return f"({''.join(f'{self.size(d)}, ' for d in dims)})"

    def computed(self, symbol: Any) -> str:
        """Code for a symbol that the graph computes."""
        return self.output(self.ev.number_of(symbol))

    def temp(self, expression: str) -> str:
        """Name an expression."""
        name = f"_t{self._count}"
        self._count += 1
        self.emit(f"{name} = {expression}")
        return name

    def name_value(self, value: Value, expression: str) -> str:
        """Name a value before its parts are built: they may refer to it."""
        name = self._names[id(value)] = self.temp(expression)
        return name

    def fill(self, value: Value, empty: str, whole: Callable[[], str], fill: str) -> str:
        """Build a container that may hold itself: as a whole, or, when a part asks for it, first empty and then filled."""
        opened = self._open[id(value)] = [empty, None]
        text = whole()
        del self._open[id(value)]
        if opened[1] is None:
            return text
        self._names[id(value)] = opened[1]
        self.emit(fill.format(opened[1], text))
        return opened[1]

    def emit(self, statement: str) -> None:
        """A statement that builds new objects."""
        (self.effects if self._asked_late else self.built).append(statement)

    def late_temp(self, expression: str) -> str:
        """Name an expression that is evaluated behind the effects so far, and so is what uses it."""
        self._asked_late = True
        return self.temp(expression)

    def effect(self, statement: str) -> None:
        """A statement that changes something outside; effects run after everything was built, in the order given."""
        self.effects.append(statement)

    def enter(self, statement: str) -> None:
        """A statement that enters a context manager again, after all effects."""
        self.entered.append(statement)

    def defer(self, action: Callable[[], None]) -> None:
        """Do something once all values are built."""
        self._deferred.append(action)

    def cannot(self, value: Value, why: str = "") -> Break:
        """The Break for a value that cannot be made again."""
        return self.ev.break_(
            "not-rebuildable",
            f"{value.describe()} is needed outside of the captured graph",
            why or "it cannot be made again",
        )

    # ------------------------------------------------------------ the whole

    def replay_effects(self) -> None:
        """Statements for all that the program changed outside."""
        for touched in self.ev.effects:
            self.replay(touched)

    def replay(self, touched: Any) -> bool:
        """Statements for what the program changed of one object, at their place among the others. False while they are being made."""
        done = self._replayed.get(id(touched))
        if done is not None:
            return done
        self._replayed[id(touched)] = False
        before, self._asked_late = self._asked_late, False
        source = touched.source if hasattr(touched, "source") else touched.root
        touched.replay(self, self.source(source) if source is not None else "")
        self._asked_late = before
        self._replayed[id(touched)] = True
        return True

    def settle(self) -> None:
        """Run what was deferred."""
        while self._deferred:
            self._asked_late = False
            self._deferred.pop(0)()

    @property
    def output_names(self) -> list[str]:
        return list(self._outputs.values())

    @property
    def outputs(self) -> list[Any]:
        """What `output` was asked for, in the order of the names."""
        return list(self._outputs)
