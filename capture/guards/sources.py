"""Where a value came from: a path of attribute and item steps that fetches it again at the next call.

A `Source` is a node of a tree whose roots are the parameters of the captured frame (`local`) and objects that the entry
holds itself (`const`). Each step is text around its parent's text (`prefix`, `suffix`), so that guards and
generated code can give any part of a path a name of its own. Nodes are interned per capture: the same step from the
same node is the same node, so sources are compared by identity.
"""

from __future__ import annotations

import keyword
import math
import re
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from ..machine.type_lookup import HEAPTYPE, own_name
from .seen import weak

#: deeper than any path
LAST = 1000
_WRITTEN = (str, bytes, bool, type(None), type(Ellipsis), type(NotImplemented))
#: of longer ints no digits are asked for
_BITS = 4096


_flags, _qualname = type.__dict__["__flags__"].__get__, type.__dict__["__qualname__"].__get__


class Source:
    """One place that can be read again.

    text:   the Python expression in terms of parameters and injected names
    label:  the same in the user's words, for messages
    parent: the place it is read from; None for a root
    depth:  number of steps from its root
    const:  for an object held by the entry: the object, until the capture has ended (see `Names.forget`)
    number: among the held objects with one label
    """

    __slots__ = (
        "parent",
        "prefix",
        "suffix",
        "text",
        "depth",
        "const",
        "is_const",
        "number",
        "_address",
        "_label",
        "_label_suffix",
        "_children",
    )

    def __init__(
        self,
        parent: Source | None,
        prefix: str,
        suffix: str,
        label: str | None = None,
        label_suffix: str | None = None,
        const: Any = None,
        is_const: bool = False,
        number: int = 0,
    ) -> None:
        self.text: str
        self.depth: int
        self.parent = parent
        self.prefix = prefix
        self.suffix = suffix
        self.text = prefix + parent.text + suffix if parent is not None else prefix
        self.depth = parent.depth + 1 if parent is not None else 0
        self.const = const
        self.is_const = is_const
        self.number = number
        self._address: tuple[Any, ...] | None = None
        self._label = label
        self._label_suffix = label_suffix
        self._children: dict[tuple[str, str | tuple[Source, ...]], Any] = {}

    # ------------------------------------------------------------ steps

    def step(self, prefix: str, suffix: str, label_suffix: str | None = None) -> Source:
        """The place read by `prefix + this + suffix`; `label_suffix` is what a message shows in place of `suffix`."""
        key = (prefix, suffix)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = Source(self, prefix, suffix, label_suffix=label_suffix)
        return child

    def attr(self, name: str) -> Source:
        """`this.name`."""
        return self.step("", f".{name}") if is_name(name) else self.step("getattr(", f", {name!r})")

    def item(self, key: Any) -> Source:
        """`this[key]` for a key that can be written: see `written`."""
        return self.step("", f"[{key!r}]")

    def type(self) -> Source:
        """`type(this)`."""
        return self.step("type(", ")")

    def cell(self) -> Source:
        """The content of a cell."""
        return self.step("", ".cell_contents", "")

    def computed(self, template: str, others: tuple[Source, ...] = ()) -> Computed:
        """What Python computes of this place, `{p0}` in the template, and of `others`, `{p1}`, `{p2}`, ..."""
        made: Computed | None = self._children.get((template, others))
        if made is None:
            made = self._children[template, others] = Computed(self, template, others)
        return made

    def last(self) -> Source:
        """This place, to be read when all that does not hang on it was found to hold: the program may see that it is read."""
        self.depth = LAST
        return self

    # ------------------------------------------------------------ reading

    @property
    def is_written(self) -> bool:
        """Whether its text can be read: that of what is computed may be too long."""
        return True

    def render(self, parent_text: str) -> str:
        """The expression, given a name for the parent."""
        return self.prefix + parent_text + self.suffix

    @property
    def root(self) -> Source:
        source = self
        while source.parent is not None:
            source = source.parent
        return source

    @property
    def address(self) -> tuple[Any, ...]:
        """What tells this place from all others of the capture, and finds it again in the next one: a label may do neither."""
        if self._address is None:
            if self.is_const:
                self._address = (self._label, self.number)
            elif self.parent is None:
                self._address = (self.text,)
            else:
                self._address = (self.parent.address, self.prefix, self.suffix)
        return self._address

    @property
    def label(self) -> str:
        """How a message names this place."""
        if self._label is None:
            if self.parent is None:
                self._label = self.text
            elif self._label_suffix is not None:
                self._label = self.parent.label + self._label_suffix
            else:
                self._label = self.prefix + self.parent.label + self.suffix
        return self._label

    def ancestors(self) -> Iterator[Source]:
        """Parents, nearest first."""
        source = self.parent
        while source is not None:
            yield source
            source = source.parent

    def __repr__(self) -> str:
        return f"<source {self.text}>"


#: characters of a text in which each place is written out: of `b = b * b % m` in a loop each is twice as long as the one before
_LONGEST_TEXT = 1 << 12
#: stands for a text that is longer
_UNWRITTEN = "_unwritten"


class Computed(Source):
    """What Python computes, at each call, of the numbers that stand at some places.

    places:  what is computed of, in the order of the template's holes; the first is the parent
    nesting: how deep the expression is, down to places that have names
    """

    __slots__ = ("template", "places", "nesting")

    def __init__(self, first: Source, template: str, others: tuple[Source, ...]) -> None:
        super().__init__(first, "", "")
        self.template = template
        self.places = (first, *others)
        self.depth = max(source.depth for source in self.places) + 1
        self.nesting: int = 1 + max(place.nesting if isinstance(place, Computed) else 0 for place in self.places)
        length = sum(len(self.places[int(hole[1:])].text) for hole in holes(template))
        can_be_written = length <= _LONGEST_TEXT and all(place.is_written for place in self.places)
        self.text = self.computing(lambda place: place.text) if can_be_written else _UNWRITTEN

    @property
    def is_written(self) -> bool:
        return self.text is not _UNWRITTEN

    def computing(self, text: Callable[[Source], str]) -> str:
        """The expression over the texts of its places, asked from left to right."""
        return fill_places(self.template, lambda i: text(self.places[i]))

    def render(self, parent_text: str) -> str:
        return self.computing(lambda place: parent_text if place is self.parent else place.text)

    @property
    def address(self) -> tuple[Any, ...]:
        if self._address is None:
            address = (self.template, *(place.address for place in self.places))
            self._address = address if self.is_written else (hash(address),)
        return self._address

    @property
    def label(self) -> str:
        if self._label is None:
            if self.is_written:
                self._label = self.computing(lambda place: place.label)
            else:
                self._label = f"what is computed of {', '.join(dict.fromkeys(place.label for place in self._leaves()))}"
        return self._label

    def _leaves(self) -> list[Source]:
        """The places from outside that it is computed of."""
        seen: set[Source] = set()
        leaves, stack = [], [*self.places]
        while stack:
            place = stack.pop()
            if place in seen:
                continue
            seen.add(place)
            if isinstance(place, Computed):
                stack += place.places
            else:
                leaves.append(place)
        return leaves[::-1]


#: where a text goes: that of the place, of a second one, of places with numbers; of messages, what people call it and what it was
_HOLE = re.compile(r"\{(x|y|p\d+|label|was)\}")


def holes(template: str) -> list[str]:
    """What has its place in a template, from left to right."""
    return _HOLE.findall(template)


def filled(template: str, text: Callable[[str], str]) -> str:
    """`template` with a text in each hole, asked from left to right. What is put in is not looked into; what stands in a template
    beside its holes is ours: texts of the program are written by `Names.literal`.
    """
    return _HOLE.sub(lambda found: text(found[1]), template)


def fill_places(template: str, text: Callable[[int], str]) -> str:
    """`template` with the text of each place with a number in it."""
    return filled(template, lambda hole: text(int(hole[1:])))


def is_name(text: str) -> bool:
    """Whether Python reads this very name where it is written as one. (Letters beyond ASCII it may exchange for others.)"""
    return text.isascii() and text.isidentifier() and not keyword.iskeyword(text) and text != "__debug__"


def written(obj: Any) -> str:
    """A constant as it is written; "" for what is held instead: no literal gives it, or Python does not read so long a number."""
    cls = type(obj)
    if cls is tuple:
        parts = [written(part) for part in obj]
        return f"({''.join(f'{part}, ' for part in parts)})" if all(parts) else ""
    plain = cls in _WRITTEN or cls is int and obj.bit_length() < _BITS or cls is float and math.isfinite(obj)
    return repr(obj) if plain else ""


class Names:
    """The names under which an entry's code finds the objects it holds; one object has one name.

    An object's id is its key, so a capture keeps alive what it injects (`Evaluator.kept`).
    """

    def __init__(self) -> None:
        self.namespace: dict[str, Any] = {}
        #: what the entry refers to weakly: it is of no use once one of them is gone
        self.references: list[weakref.ref[Any]] = []
        self._names: dict[int, str] = {}
        self._weak: set[int] = set()
        self._roots: dict[int, Source] = {}
        self._labels: Counter[str] = Counter()
        self._count = 0

    def inject(self, obj: Any, stem: str = "") -> str:
        """The name of `obj` in the entry's globals; `stem` makes it readable."""
        name = self._names.get(id(obj))
        if name is None and isinstance(obj, type) and is_local(obj):
            self.weakly(obj, own_name(obj))
            name = self._names[id(obj)]
        if name is None:
            stem = "".join(c for c in stem if is_name(f"_{c}"))
            name = f"_{stem or 'o'}_{self._count}"  # locals of generated code have no second underscore
            self._count += 1
            self._names[id(obj)] = name
            self.namespace[name] = obj
        return name

    def literal(self, obj: Any) -> str:
        """A constant as it is written, or a name for what has no text that could stand in a template."""
        text = written(obj)
        return text if text and "{" not in text else self.inject(obj, "constant")

    def const(self, obj: Any, label: str | None = None) -> Source:
        """A root source for an object that the entry holds. `label` says how a message calls it."""
        root = self._roots.get(id(obj))
        if root is None and isinstance(obj, type) and is_local(obj):
            return self.weakly(obj, own_name(obj) if label is None else label)
        if root is None:
            name = self.inject(obj, _stem(obj))
            root = self._roots[id(obj)] = self._held(None, name, "", name if label is None else label, obj)
        return root

    def weakly(self, obj: Any, label: str) -> Source:
        """As `const`, for an object of the program that must not live as long as the entry: the entry has a weak reference to it,
        unless it holds the object already or the class allows none.
        """
        if id(obj) in self._names:
            return self.const(obj, label)
        reference = weak(obj)
        if reference is None:
            return self.const(obj, label)
        name = self.inject(reference, _stem(obj))
        self._names[id(obj)] = f"{name}()"
        self._weak.add(id(obj))
        self.references.append(reference)
        holder = Source(None, name, "", label=label, const=reference, is_const=True)
        root = self._roots[id(obj)] = self._held(holder, "", "()", label, obj)
        return root

    def holds_weakly(self, obj: Any) -> bool:
        """Whether the entry has but a weak reference to an object."""
        return id(obj) in self._weak

    def _held(self, holder: Source | None, prefix: str, suffix: str, label: str, obj: Any) -> Source:
        self._labels[label] += 1
        return Source(holder, prefix, suffix, label=label, const=obj, is_const=True, number=self._labels[label])

    def forget(self) -> None:
        """The capture has ended: its places no longer keep the objects alive."""
        for root in self._roots.values():
            root.const = None


def is_local(cls: type) -> bool:
    """Whether a class was made by a function: it lives as long as somebody uses it."""
    return bool(_flags(cls) & HEAPTYPE) and "<locals>" in _qualname(cls)


def _stem(obj: Any) -> str:
    return own_name(obj) or type(obj).__name__


def local(name: str, label: str | None = None) -> Source:
    """A root source for a parameter. label: what the program calls it, where that is something else"""
    return Source(None, name, "", label=label)
