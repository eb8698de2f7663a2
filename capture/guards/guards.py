"""Guards: what must still hold for an entry to be valid, compiled into one expression.

A `Guard` tests one place (a `Source`) or one piece of global state. Its test is a Python expression in which `{x}`
stands for the place and `_`-names for injected objects. Guards are kept once each, ordered so that a place is only
looked into after it was tested itself, and share common parts of their paths. An exception inside a guard
(a missing attribute or key) means that it does not hold.
"""

from __future__ import annotations

import itertools
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..machine.type_lookup import own_name
from . import exact
from .seen import Seen, describe, said_of
from .sources import Computed, Names, Source, fill_places, filled, holes, is_local
from .spelling import spelled, spelled_place


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition.

    source: the place, or None for global state (grad mode, default dtype)
    test:   the expression; `{x}` is the place, `{y}` that of `other`
    other:  a second place, for relations
    places: further places, `{p0}`, `{p1}`, ... in the test
    reason: what a recompile report says when it fails: `{label}` is the place, `{was}` the object that was seen there
    rank:   lower runs earlier among guards of the same depth
    shown:  the same as anybody can write it, where the test calls a helper of ours
    """

    source: Source | None
    test: str
    reason: str = ""
    other: Source | None = None
    rank: int = 1
    was: Seen | None = None
    places: tuple[Source, ...] = ()
    shown: str = ""

    @property
    def depth(self) -> int:
        every = (self.source, self.other, *self.places)
        return max((s.depth for s in every if s is not None), default=-1)

    def written(self, read: Callable[[Source], str], shown: bool = False) -> str:
        """The condition as Python. `read` gives the text of a place, and is asked at each mention of it, from left to right."""
        return filled(self.shown if shown and self.shown else self.test, lambda hole: read(self.place(hole)))

    def place(self, hole: str) -> Source:
        """What a hole of the test stands for."""
        found = self.source if hole == "x" else self.other if hole == "y" else self.places[int(hole[1:])]
        assert found is not None
        return found

    def plain_text(self) -> str:
        """The condition with every place written out."""
        return self.written(lambda place: f"({place.text})")

    def readable(self, names: Mapping[str, Any]) -> str:
        """The condition as it can be pasted into the program; what has no name there, in angle brackets. names: the entry's globals."""
        return spelled(self.written(lambda place: spelled_place(place, names), shown=True), names)


class _Watched:
    """Things that one test compares with what they were."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.live: list[Any] = []
        self.then: list[Any] = []
        self._seen: set[int] = set()

    def inject(self, names: Names) -> tuple[str, str]:
        return names.inject(self.live, "live"), names.inject(self.then, "then")

    def add(self, live: Any, then: Any, key: int) -> None:
        if key not in self._seen:
            self._seen.add(key)
            self.live.append(live)
            self.then.append(then)


class GuardSet:
    """The guards of one capture. Each is kept once."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self._guards: dict[tuple[Source | None, str, Any], Guard] = {}
        #: the names of the classes that places are guarded to have
        self.types: dict[Source, str] = {}
        self._registries = _Watched("a registry that is held was changed")
        self._classes = _Watched("a class got or lost attributes")
        self._watched_local: set[type] = set()
        self._objects = _Watched("an object that is held had another class")
        self._sizes = _Watched("an object that is held got or lost attributes")
        self._class_sizes = _Watched("a class of a library got or lost attributes")
        self._hidden: tuple[list[Any], list[str]] = ([], [])
        self._hidden_seen: set[tuple[int, str]] = set()
        #: what tests whether places are apart -> a written place -> the places that share no memory with it
        self._apart: dict[Callable[..., bool], dict[Source, dict[Source, None]]] = {}
        self._steady: dict[int, tuple[Mapping[str, Any], str, dict[str, Any]]] = {}

    def add(self, guard: Guard) -> None:
        self._guards.setdefault((guard.source, guard.test, guard.places or guard.other), guard)

    def __contains__(self, guard: Guard) -> bool:
        return (guard.source, guard.test, guard.places or guard.other) in self._guards

    def __len__(self) -> int:
        return len(self._guards)

    def __iter__(self) -> Iterator[Guard]:
        return iter(self._guards.values())

    # ------------------------------------------------------------ the usual kinds

    def test(
        self, source: Source | None, test: str, reason: str = "", rank: int = 1, was: Any = None, shown: str = ""
    ) -> None:
        """Any expression over `{x}`. `reason` may show `{label}` and `{was}`; `shown` is as in `Guard`."""
        key = (source, test, None)
        if key not in self._guards:
            self._guards[key] = Guard(
                source, test, reason, None, rank, Seen(was) if "{was}" in reason else None, shown=shown
            )

    def relation(self, test: str, places: tuple[Source, ...], reason: str) -> None:
        """An expression over `{p0}`, `{p1}`, ...; so may the reason be."""
        self.add(Guard(None, test, fill_places(reason, lambda i: places[i].label), None, 2, None, places))

    def type_is(self, source: Source, cls: type) -> None:
        """`type(x) is cls`. Nothing to do for a place that the entry holds itself."""
        if not source.is_const:
            self._has_type(source, cls)

    def _has_type(self, source: Source, cls: type) -> None:
        name = self.types[source] = self.names.inject(cls, cls.__name__)
        self.test(source, f"type({{x}}) is {name}", f"{{label}} was a {cls.__name__}", 0)

    def is_(self, source: Source, obj: Any) -> None:
        """`x is obj`."""
        if source.is_const:
            return
        if obj is None or obj is True or obj is False:
            self.test(source, f"{{x}} is {obj}", f"{{label}} was {obj}", 0)
            return
        name = self.names.inject(obj, own_name(obj))
        self.test(source, f"{{x}} is {name}", "{label} was another object: {was}", 0, obj)

    def equals(self, source: Source, value: Any) -> None:
        """`x` has the same type and the same value as a constant: for floats and complex numbers the sign of a zero
        counts too, one NaN is as good as another, and so on (see `exact`).
        """
        if value is None or value is True or value is False or value is Ellipsis or value is NotImplemented:
            self.is_(source, value)
            return
        self.type_is(source, type(value))
        reason = "{label} was {was}"
        form = exact.form_of(type(value))
        if form is not None:
            told, wanted = self.names.inject(form, "form"), self.names.inject(form(value), "form")
            self.test(source, f"{told}({{x}}) == {wanted}", reason, 2, value)
            return
        if not isinstance(value, numbers.Complex) or isinstance(value, numbers.Rational):
            self.test(source, f"{{x}} == {self.names.literal(value)}", reason, 2, value)
            return
        real = isinstance(value, numbers.Real)  # a float of Python or of a framework; else a complex number
        parts: dict[str, Any] = {"{x}": value} if real else {"{x}.real": value.real, "{x}.imag": value.imag}
        for place, part in parts.items():
            if part != part:
                self.test(source, f"{place} != {place}", reason, 2, value)
                continue
            self.test(source, f"{place} == {self.names.literal(part)}", reason, 2, value)
            if part == 0:
                copysign = self.names.inject(math.copysign)
                self.test(source, f"{copysign}(1.0, {place}) == {math.copysign(1.0, part)}", reason, 2, value)

    def length(self, source: Source, n: int) -> None:
        self.test(source, f"len({{x}}) == {n}", f"len({{label}}) was {n}", 1)

    def keys(self, source: Source, keys: tuple[Any, ...], each: str = "[*{x}]") -> None:
        """The keys of a dict, in order; `each` lists them."""
        if keys:
            self.items(source, list(keys), "the keys of {label} were {was}", each)
        else:
            self.test(source, "not {x}" if each == "[*{x}]" else f"not {each}", "{label} was empty", 1)

    def items(self, source: Source, items: list[Any], reason: str, each: str = "[*{x}]") -> None:
        """What the place iterates over, in order: equal, and of the same types when equality alone does not say so."""
        self.test(source, f"{each} == {self.names.inject(items, 'items')}", reason, 1, items)
        if any(type(item) is not str for item in items):
            exactly = self.names.inject(exact.same_items)
            self.test(source, f"{exactly}({each}, {self.names.inject(items, 'items')})", reason, 1, items)

    def lacks(self, source: Source, key: Any) -> None:
        """`key` is not in the mapping."""
        self.test(source, f"{self.names.literal(key)} not in {{x}}", "{label} had no {was}", 1, key)

    def unchanged(self, held: dict[Any, Any], label: str = "") -> None:
        """A dict that the entry holds must hold the same objects under the same keys: much cheaper than a guard per item.

        Its values must not be equal to other objects (as modules are; not numbers, strings or containers).
        """
        if not self._registries.live:
            live, then = self._registries.inject(self.names)
            self.test(None, f"{live} == {then}", self._registries.reason, 1)
        self._registries.add(held, dict(held), id(held))

    # ------------------------------------------------------------ facts about held objects, many in one test

    def bases(self, cls: type) -> None:
        """`super`, `isinstance` and lookups that find nothing go by the order of the bases, which can be replaced."""
        place, bases = self.names.const(cls, label=own_name(cls)).attr("__mro__"), cls.__mro__
        if not self.names.holds_weakly(cls):
            self.is_(place, bases)
            return
        self.length(place, len(bases))
        for i, base in enumerate(bases):
            self.is_(place.item(i), base)

    def class_names(self, cls: type) -> None:
        """The class has the attributes that it has: a lookup passed it by. What they are is guarded where they are found."""
        if is_local(cls):  # its dict holds what holds the class
            if cls not in self._watched_local:
                self._watched_local.add(cls)
                names = self.names.inject(list(cls.__dict__), "names")
                place = self.names.const(cls, label=own_name(cls))
                self.test(place, f"[*{{x}}.__dict__] == {names}", self._classes.reason)
            return
        if not self._classes.live:
            live, then = self._classes.inject(self.names)
            self.test(
                None, f"[*{self.names.inject(map)}({self.names.inject(list)}, {live})] == {then}", self._classes.reason
            )
        self._classes.add(cls.__dict__, list(cls.__dict__), id(cls))

    def class_stays(self, source: Source, obj: Any) -> None:
        """A held object keeps its class (`obj.__class__ = Other` is allowed in Python)."""
        if source.parent is not None:  # held weakly: it may not stand in a list of ours
            self._has_type(source, type(obj))
            return
        if not self._objects.live:
            live, then = self._objects.inject(self.names)
            self.test(
                None, f"[*{self.names.inject(map)}({self.names.inject(type)}, {live})] == {then}", self._objects.reason
            )
        self._objects.add(obj, type(obj), id(obj))

    def size_stays(self, held: dict[str, Any]) -> None:
        """A held instance's dict has as many names as it has now."""
        if not self._sizes.live:
            live, then = self._sizes.inject(self.names)
            self.test(
                None, f"[*{self.names.inject(map)}({self.names.inject(len)}, {live})] == {then}", self._sizes.reason
            )
        self._sizes.add(held, len(held), id(held))

    def class_size_stays(self, cls: type) -> None:
        """A class has as many names as it has now."""
        if not self._class_sizes.live:
            live, then = self._class_sizes.inject(self.names)
            self.test(
                None,
                f"[*{self.names.inject(map)}({self.names.inject(len)}, {live})] == {then}",
                self._class_sizes.reason,
            )
        self._class_sizes.add(cls.__dict__, len(cls.__dict__), id(cls))

    def not_hidden(self, held: dict[str, Any], name: str) -> None:
        """A held instance's dict lacks `name`, which its class has."""
        dicts, names = self._hidden
        if not dicts:
            has, each = self.names.inject(operator.contains), self.names.inject(map)
            texts = self.names.inject(dicts, "dicts"), self.names.inject(names, "hidden")
            self.test(
                None, f"True not in {each}({has}, {texts[0]}, {texts[1]})", "no attribute of an object hid its class's"
            )
        key = (id(held), name)
        if key not in self._hidden_seen:
            self._hidden_seen.add(key)
            dicts.append(held)
            names.append(name)

    def steady(self, owner: type | dict[str, Any], name: str, obj: Any, label: str) -> None:
        """A class of a library, or a module of one (given as its dict), holds `obj` under `name`: one test for each of them."""
        if isinstance(owner, type) and is_local(owner):
            place = self.names.const(owner, label=label).step("", f".__dict__[{self.names.literal(name)}]", f".{name}")
            self.is_(place, obj)
            return
        held = owner.__dict__ if isinstance(owner, type) else owner  # of a class, a new view at each asking
        self._steady.setdefault(id(owner), (held, label, {}))[2][name] = obj

    def apart(self, test: Callable[..., bool], written: Source, other: Source) -> None:
        """A place that is written to shares no memory with another. `test(written, others)` is asked of many places at once: of
        each of the first, whether it is apart from the rest of the first and from all others.
        """
        self._apart.setdefault(test, {}).setdefault(written, {})[other] = None

    def _settle(self) -> None:
        """Make the tests that wait for the end."""
        for test, pairs in self._apart.items():
            groups: dict[frozenset[Source], list[Source]] = {}
            for place, others in pairs.items():
                groups.setdefault(frozenset((place, *others)), []).append(place)
            for written in groups.values():
                alike = set(written)
                self._all_apart(test, written, [p for p in pairs[written[0]] if p not in alike])
        self._apart.clear()
        for held, label, found in self._steady.values():
            where = self.names.inject(held, "library")
            if len(found) == 1:
                ((name, obj),) = found.items()
                self.test(
                    None,
                    f"{where}[{self.names.literal(name)}] is {self.names.inject(obj)}",
                    f"{label}.{name} was another object",
                )
                continue
            get, objects = self.names.inject(operator.itemgetter(*found)), self.names.inject((*found.values(),))
            shown = ", ".join(found) if len(found) < 5 else f"one of {len(found)} names"
            self.test(None, f"{get}({where}) == {objects}", f"{label} held other objects: {shown}")
        self._steady.clear()

    def _all_apart(self, test: Callable[..., bool], written: list[Source], others: list[Source]) -> None:
        read = [p for p in (*written, *others) if not p.is_const]
        texts = iter(f"{{p{i}}}" for i in range(len(read)))
        first, rest = (
            "".join(f"{p.text if p.is_const else next(texts)}, " for p in part) for part in (written, others)
        )
        labels = [p.label for p in (*written, *others)]
        shown = " and ".join(labels) if len(labels) < 4 else f"{labels[0]}, {labels[1]} and {len(labels) - 2} more"
        text = f"{self.names.inject(test, test.__name__)}(({first}), ({rest}))"
        self.add(Guard(None, text, f"{shown} shared no memory", None, 3, None, tuple(read)))

    def same(self, one: Source, other: Source) -> None:
        """Both places hold one object."""
        self.add(Guard(one, "{x} is {y}", f"{{label}} and {other.label} were the same object", other, 1))

    def different(self, one: Source, other: Source) -> None:
        """The places hold two objects."""
        self.add(Guard(one, "{x} is not {y}", f"{{label}} and {other.label} were two objects", other, 1))

    def distinct(self, changed: Sequence[Source], others: Sequence[Source]) -> None:
        """The objects at the places `changed` stand once among all these places. Of those that the entry holds it is known."""
        if all(place.is_const for place in changed):
            others = [place for place in others if not place.is_const]
            if not others:
                return
        if len(changed) > _FEW:  # in one test: there are too many pairs
            ids = [f"id({{p{i}}})" for i in range(len(changed) + len(others))]
            ours, rest = ", ".join(ids[: len(changed)]), ", ".join(ids[len(changed) :])
            test = f"len(set([{ours}]).difference([{rest}])) == {len(changed)}"
            reason = f"{{p0}}, {{p1}} and {len(changed) - 2} more were objects at one place each"
            self.relation(test, (*changed, *others), reason)
            return
        for one, other in (*itertools.combinations(changed, 2), *itertools.product(changed, others)):
            if not (one.is_const and other.is_const):
                self.different(one, other)

    # ------------------------------------------------------------ code

    def ordered(self) -> list[Guard]:
        """Shallow places first, so that nothing is looked into before it was tested."""
        return sorted(self._guards.values(), key=lambda g: (g.depth, g.rank))

    def conditions(self, extra: Iterable[Source] = ()) -> tuple[list[str], Callable[[Source], str]]:
        """(conditions that must hold, in the order of `ordered`; a function that gives the expression of a place).

        extra: places that the caller will read as well, after the conditions held, in this order: what they share
        with the guards and among each other is read once.
        """
        self._settle()
        ordered = self.ordered()
        uses: dict[Source, int] = {}
        for guard in ordered:
            for hole in holes(guard.test):
                _count(guard.place(hole), uses)
        for source in extra:
            _count(source, uses)
        assigned: dict[Source, str] = {}

        def read(source: Source) -> str:
            """The place's expression; the first reading of a shared place names it."""
            if source.parent is None:
                return source.text
            name = assigned.get(source)
            if name is not None:
                return name
            text = source.computing(read) if isinstance(source, Computed) else source.render(read(source.parent))
            if uses.get(source, 0) > 1:
                name = assigned[source] = f"_v{len(assigned)}"
                return f"({name} := {text})"
            return text

        return [guard.written(read) for guard in ordered], read


def explain(guard: Guard, scope: dict[str, Any], error: str = "") -> str:
    """Why a guard does not hold in `scope`, in the user's words. error: what testing it raised."""
    label = guard.source.label if guard.source is not None else ""
    reason = guard.reason or guard.readable(scope)
    told = {"label": label, "was": str(guard.was)}
    text = filled(reason, lambda hole: told.get(hole, f"{{{hole}}}"))
    now = [_now(p, scope) for p in guard.places] if len(guard.places) < _SHOWN else []
    if guard.source is not None:
        found = _now(guard.source, scope)
        said = "; ".join([f"{text}; now it is {found}", *(f"{p.label} is {n}" for p, n in zip(guard.places, now))])
    else:
        said = "; now ".join([text, *(f"{p.label} is {n}" for p, n in zip(guard.places, now))])
    return f"{said} ({error})" if error else said


#: of more places than this nobody wants to read what stands there
_SHOWN = 5
#: changed objects whose places are compared one by one
_FEW = 3


def _now(place: Source, scope: dict[str, Any]) -> str:
    """What stands at a place now."""
    if not place.is_written:
        return "another number"
    try:
        return describe(eval(place.text, scope))  # noqa: S307 - text that quern generated
    except Exception:
        return "missing"


def failing(
    conditions: Iterable[str], parameters: tuple[str, ...], names: dict[str, Any]
) -> Callable[..., tuple[int, str]]:
    """A function over an entry's parameters: which condition does not hold, and what testing it raised; -1 where all hold."""
    lines = [f"def failing({', '.join(parameters)}):", " try:"]
    lines += [f"  if not ({test}): return {i}, ''" for i, test in enumerate(conditions)]
    lines += [
        "  pass",
        " except Exception as _error:",
        f"  return _error.__traceback__.tb_lineno - {_FIRST}, _said_of(_error)",
    ]
    names["_said_of"] = said_of
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, " return -1, ''"]), names, scope)  # noqa: S102 - text that quern generated
    return scope["failing"]


#: the line of the first condition in the text of `failing`
_FIRST = 3


def _count(source: Source, uses: dict[Source, int]) -> None:
    """Count a reading; a place read once by name costs its parents once only."""
    seen = source in uses
    uses[source] = uses.get(source, 0) + 1
    if seen or source.parent is None:
        return
    if isinstance(source, Computed):
        for hole in holes(source.template):
            _count(source.places[int(hole[1:])], uses)
    else:
        _count(source.parent, uses)
