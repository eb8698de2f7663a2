"""What can be seen of values, written down: two runs agree when their records do.

A record is made when a call ends, so later calls change nothing in it. It is a list of facts in the order of one walk: types,
values, layouts, and which places hold the same object or the same memory. What a framework's values have to show is
told by a `Part` (`torch_values.py`, `numpy_values.py`, `toy.py`).
"""

from __future__ import annotations

import collections
import dataclasses
import re
import types
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Difference(AssertionError):
    """The two runs can be told apart."""


class Fact(NamedTuple):
    """One thing that was seen: where, what about it, and that."""

    path: str
    about: str
    value: Any


@dataclasses.dataclass(frozen=True)
class Part:
    """What a framework adds to the walk.

    atoms: types whose values have no inside and may be one object or two
    kinds: how to write down values of a type
    """

    atoms: tuple[type, ...] = ()
    kinds: tuple[tuple[type, Callable[[Recorder, Any, str], None]], ...] = ()


@dataclasses.dataclass(frozen=True)
class Numbers:
    """The elements of an array, where NumPy has no type like theirs in a wider one.

    step: of floats, how far the next number is from 1
    """

    elements: np.ndarray
    step: float = 0.0


#: how far floats may be from the expected ones: (relative, absolute), by those and by what disturbed runs made of them
Tolerance = Callable[[Numbers, Sequence[Numbers]], tuple[float, float | np.ndarray]]


def within(error: float) -> Tolerance:
    """The same for all."""
    return lambda want, disturbed: (error, error)


_ATOMS = (
    int, float, complex, str, bytes, bool, type(None), type(Ellipsis), type(NotImplemented), range, slice, type, types.ModuleType,
)  # fmt: skip
#: containers are walked by what their own type in C holds, whatever a subclass makes of it
_SEQUENCES = (list, tuple, collections.deque)
_ADDRESS = re.compile(r"0x[0-9a-f]+")


class Recorder:
    """Walks values and keeps the facts.

    identity: note which places hold one object, and one memory, among all that is written
    """

    def __init__(self, parts: Iterable[Part] = (), identity: bool = True) -> None:
        self.facts: list[Fact] = []
        self._identity = identity
        self._parts = tuple(parts)
        self._atoms = (*_ATOMS, *(a for p in self._parts for a in p.atoms))
        self._kinds = tuple(k for p in self._parts for k in p.kinds)
        self._seen: dict[int, int] = {}
        self._memory: dict[str, dict[Any, int]] = {}
        self._kept: list[Any] = []  # no address may be used twice

    def fact(self, path: str, about: str, value: Any) -> None:
        self.facts.append(Fact(path, about, value))

    def memory(self, path: str, place: Any, about: str = "memory") -> None:
        """Which memory a value lives in, among those seen."""
        if self._identity:
            places = self._memory.setdefault(about, {})
            self.fact(path, about, places.setdefault(place, len(places)))

    def write(self, value: Any, path: str = "result") -> None:
        """Write down all that can be seen of `value`."""
        self.fact(path, "type", type(value))
        kind = next((write for of, write in self._kinds if isinstance(value, of)), None)
        if kind is None and isinstance(value, self._atoms):
            self.fact(path, "value", value)
            return
        if self._identity and not isinstance(value, (tuple, frozenset, *self._atoms)):
            known = id(value) in self._seen
            self.fact(path, "object", self._seen.setdefault(id(value), len(self._seen)))
            if known:
                return
            self._kept.append(value)
        if kind is not None:
            kind(self, value, path)
        else:
            self._inside(value, path)

    def _inside(self, value: Any, path: str) -> None:
        if isinstance(value, types.FunctionType):
            self._function(value, path)
            return
        if isinstance(value, types.MethodType):
            self.write(value.__func__, f"{path}.__func__")
            self.write(value.__self__, f"{path}.__self__")
            return
        if isinstance(
            value, (types.BuiltinFunctionType, types.MethodWrapperType)
        ):  # of a module, or bound to an object
            self.fact(path, "name", value.__qualname__)
            self.write(value.__self__, f"{path}.__self__")
            return
        if isinstance(value, BaseException):
            for name in ("args", "__cause__", "__context__"):
                self.write(getattr(value, name), f"{path}.{name}")
        elif isinstance(value, dict):
            kind = collections.OrderedDict if isinstance(value, collections.OrderedDict) else dict
            self.fact(path, "length", dict.__len__(value))
            for key in kind.keys(value):
                self.write(key, f"{path}.keys()")
            for key, item in kind.items(value):
                self.write(item, f"{path}[{key!r}]" if isinstance(key, (str, int)) else f"{path}[...]")
        elif isinstance(value, _SEQUENCES):
            kind = next(c for c in _SEQUENCES if isinstance(value, c))
            self.fact(path, "length", kind.__len__(value))
            for i, item in enumerate(kind.__iter__(value)):
                self.write(item, f"{path}[{i}]")
        elif isinstance(value, (set, frozenset)):
            self.fact(path, "elements", sorted(map(self._apart, value)))
        else:
            self._shown(value, path)
        self._attributes(value, path)

    def _apart(self, element: Any) -> str:
        """An element of a set, whose order says nothing."""
        if isinstance(element, self._atoms):
            return f"{type(element).__qualname__} {_ADDRESS.sub('', repr(element))}"
        other = Recorder(self._parts, self._identity)
        other._seen, other._memory = dict(self._seen), {k: dict(v) for k, v in self._memory.items()}
        other.write(element, "")
        return _ADDRESS.sub("", str([(f.path, f.about, f.value) for f in other.facts]))

    def _shown(self, value: Any, path: str) -> None:
        """What the type in C shows of itself: it has no attributes to walk."""
        for cls in type(value).__mro__[:-1]:
            if isinstance(shown := cls.__dict__.get("__repr__"), types.WrapperDescriptorType):
                self.fact(path, "shown", _ADDRESS.sub("", shown(value)))
                return

    def _attributes(self, value: Any, path: str) -> None:
        try:
            found = object.__getattribute__(value, "__dict__")
        except AttributeError:
            found = None
        if found is not None:
            self.write(found, f"{path}.__dict__")
        for cls in type(value).__mro__:
            if "__slots__" in cls.__dict__:
                for name, slot in cls.__dict__.items():
                    if isinstance(slot, types.MemberDescriptorType):
                        self.write(_content(lambda slot=slot: slot.__get__(value)), f"{path}.{name}")

    def _function(self, value: types.FunctionType, path: str) -> None:
        self.fact(path, "code", value.__code__)
        self.write(value.__defaults__, f"{path}.__defaults__")
        self.write(value.__kwdefaults__, f"{path}.__kwdefaults__")
        for i, cell in enumerate(value.__closure__ or ()):
            self.write(_content(lambda cell=cell: cell.cell_contents), f"{path}.cell{i}")
        self.write(dict(vars(value)), f"{path}.__dict__")


def _content(read: Callable[[], Any]) -> Any:
    """What a cell or a slot holds."""
    try:
        return read()
    except (AttributeError, ValueError):
        return "<nothing>"


@dataclasses.dataclass(frozen=True)
class Comparison:
    """How records are compared.

    tolerance: how far floats in arrays may differ; those outside of arrays may not
    signs: the sign of zero counts
    ignore: what need not agree, by the facts' `about`
    """

    tolerance: Tolerance = within(1e-6)
    signs: bool = True
    ignore: frozenset[str] = frozenset()

    def values(self, want: Any, got: Any, parts: Iterable[Part] = (), identity: bool = True) -> None:
        """Raises Difference when two values can be told apart."""
        one, other = Recorder(parts, identity), Recorder(parts, identity)
        one.write(want)
        other.write(got)
        self.check(one.facts, other.facts)

    def check(
        self, want: Sequence[Fact], got: Sequence[Fact], where: str = "", disturbed: Sequence[Sequence[Fact]] = ()
    ) -> None:
        """Raises Difference with the path to the first thing that differs.

        disturbed: records of runs whose floats were rounded otherwise: values that are not the same in those need not be here,
                   nor what follows where there is something else in one of them
        """
        for i, (w, g) in enumerate(zip(want, got)):
            if (w.path, w.about) != (g.path, g.about):
                raise Difference(f"{where}{w.path}: {g.about} of {g.path} instead of {w.about}")
            if any(len(facts) <= i or (facts[i].path, facts[i].about) != (w.path, w.about) for facts in disturbed):
                return
            if w.about in self.ignore:
                continue
            others = [facts[i].value for facts in disturbed]
            if isinstance(w.value, Numbers):
                report = self._numbers_differ(w.value, g.value, others)
            else:
                settled = w.about != "value" or all(o == w.value for o in others)
                report = self._differ(w.value, g.value) if settled else ""
            if report:
                raise Difference(f"{where}{w.path}: {w.about} {report}")
        if len(want) != len(got):
            raise Difference(f"{where}{len(got)} facts instead of {len(want)}")

    def _differ(self, want: Any, got: Any) -> str:
        if isinstance(want, type) and isinstance(got, type):
            return "" if _same_class(want, got) else f"{_name(got)} instead of {_name(want)}"
        alike = want is got or want == got or want != want and got != got
        if alike and type(want) is float:
            alike = repr(want) == repr(got) or not self.signs
        return "" if alike else f"{got!r} instead of {want!r}"

    def _numbers_differ(self, want: Numbers, got: Numbers, others: Sequence[Numbers]) -> str:
        w, g = want.elements, got.elements
        if w.shape != g.shape:
            return f"of {g.shape} instead of {w.shape}"
        if any(o.elements.shape != w.shape for o in others):
            return ""  # how many there are depends on a rounding
        with np.errstate(all="ignore"):
            if w.dtype.kind in "fc":
                relative, absolute = self.tolerance(want, others)
                near = np.isclose(g, w, rtol=relative, atol=absolute, equal_nan=True) | np.isinf(absolute)
                if self.signs and w.dtype.kind == "f":
                    near &= (w != 0) | (g != 0) | (np.signbit(w) == np.signbit(g))
            else:
                near = np.asarray((w == g) | (w != w) & (g != g))
                for o in others:
                    near |= o.elements != w
        if near.all():
            return ""
        bad = np.flatnonzero(~near)
        return f"{bad.size} of {w.size} differ, element {bad[0]}: {g.reshape(-1)[bad[0]]} instead of {w.reshape(-1)[bad[0]]}"


def _same_class(one: type, other: type) -> bool:
    """Classes made anew by each run's own maker; compiled modules are of a subclass of the same name."""
    named = one.__qualname__ == other.__qualname__
    return one is other or named and (one.__module__ == other.__module__ or issubclass(other, one))


def _name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"
