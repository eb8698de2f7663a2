"""Special methods: what may be answered, who is asked, and how often."""

# ruff: noqa: UP031, UP032
# mypy: ignore-errors

from __future__ import annotations

import collections
import copy
import functools
import operator
import types

import pytest
from toy import agrees

import quern


def answering(**answers):
    """A class whose special methods answer with what is given."""
    methods = {name: None if value is None else _always(value) for name, value in answers.items()}
    return type("Answering", (), methods)


def _always(value):
    return lambda self, *args: value


USES = [
    ("__bool__", 1, [bool, operator.not_, lambda o: 1 if o else 2]),
    ("__bool__", "a", [bool, lambda o: o and 3]),
    ("__len__", "a", [len, bool]),
    ("__len__", 1.5, [len, bool]),
    ("__len__", -1, [len, bool]),
    ("__len__", 2**70, [len]),
    ("__len__", True, [len, bool]),
    ("__len__", None, [len, bool]),
    ("__index__", "a", [lambda o: [1, 2][o], lambda o: len(range(o)), operator.index]),
    ("__index__", True, [lambda o: [1, 2][o], operator.index, lambda o: [1, 2, 3][:o]]),
    ("__int__", True, [int]),
    ("__length_hint__", 3, [operator.length_hint, lambda o: operator.length_hint(o, 5)]),
    ("__length_hint__", -1, [operator.length_hint]),
    ("__length_hint__", "a", [operator.length_hint]),
    ("__length_hint__", NotImplemented, [operator.length_hint, lambda o: operator.length_hint(o, 5)]),
    ("__len__", 4, [operator.length_hint, lambda o: operator.length_hint(o, "a")]),
    ("__str__", 3, [str, lambda o: f"{o}", lambda o: "%s" % o, lambda o: "{}".format(o)]),
    ("__repr__", 3, [str, repr, lambda o: f"{o!r}", lambda o: "%r" % o]),
    ("__format__", 3, [lambda o: format(o, "x"), lambda o: f"{o:x}", lambda o: f"{o}"]),
    ("__hash__", "a", [hash, lambda o: len({o: 1}), lambda o: len({o})]),
    ("__hash__", 2**70, [hash]),
    ("__hash__", -1, [hash]),
    ("__hash__", None, [hash, lambda o: {o: 1}]),
    ("__iter__", 3, [iter, list, lambda o: [*o]]),
    ("__iter__", [1], [list, lambda o: [i for i in o]]),
    ("__iter__", None, [list, lambda o: 1 in o]),
    ("__contains__", None, [lambda o: 1 in o]),
    ("__contains__", "yes", [lambda o: 1 in o, lambda o: 1 not in o]),
    ("__contains__", [], [lambda o: 1 in o]),
    ("__add__", None, [lambda o: o + 1]),
    ("__eq__", None, [lambda o: o == 1]),
    ("__call__", None, [lambda o: o()]),
    ("__getitem__", None, [lambda o: o[0]]),
    ("__int__", "a", [int]),
    ("__float__", "a", [float]),
    ("__float__", 1, [float]),
    ("__complex__", "a", [complex]),
    ("__reversed__", None, [reversed]),
    ("unused", 0, [len, iter, next, reversed, round, abs, lambda o: o[0], lambda o: format(o, "x"), lambda o: -o, lambda o: o < o,
                   lambda o: 1 in o, lambda o: [1][o], lambda o: o(), bool]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer", "uses"), USES, ids=[f"{name}-{answer!r:.8}" for name, answer, _ in USES])
def test_an_answer_of_the_wrong_type_is_pythons_own_error(name, answer, uses):
    cls = answering(**{name: answer})
    for use in uses:

        def program(x, obj, use=use):
            try:
                found = use(obj)
            except Exception as error:
                return x + 1, type(error).__name__, str(error)
            return x * 2, repr(found)

        agrees(program, lambda: (1.0, cls()))


class Asked:
    """Writes down what it is asked."""

    def __init__(self):
        self.log = []


class Sized(Asked):
    def __iter__(self):
        self.log.append("iter")
        return iter([1, 2])

    def __len__(self):
        self.log.append("len")
        return 2


class Hinting(Asked):
    def __iter__(self):
        self.log.append("iter")
        return iter([1, 2])

    def __length_hint__(self):
        self.log.append("hint")
        return 2


class Indexed(Asked):
    def __getitem__(self, i):
        self.log.append(i)
        return [1, 2][i]

    def __len__(self):
        self.log.append("len")
        return 2


class Running(Asked):
    def __iter__(self):
        return self

    def __next__(self):
        self.log.append("next")
        if len(self.log) > 4:
            raise StopIteration
        return len(self.log)

    def __length_hint__(self):
        self.log.append("hint")
        return 1


class Lying(Asked):
    """Neither answer is a length: the first is not believed, the second is an error."""

    def __iter__(self):
        return iter([1, 2])

    def __len__(self):
        self.log.append("len")
        return "two"

    def __length_hint__(self):
        self.log.append("hint")
        return -1


LOG: list[str] = []


def sized(base):
    return type(f"Sized{base.__name__}", (base,), {"__len__": lambda self: LOG.append("len") or 2})


def extended(o):
    found = [0]
    found.extend(o)
    found += o
    return found


def starred(o):
    first, *rest = o
    return first, rest


def unpacked(o):
    first, second = o
    return first, second


def passed(*args):
    return args


WALKS = [
    list, tuple, set, frozenset, sorted, sum, min, extended, starred, unpacked, dict.fromkeys, collections.deque, lambda o: [*o],
    lambda o: (*o,), lambda o: {*o}, lambda o: passed(*o), lambda o: passed(0, *o), lambda o: list(iter(o)),
    lambda o: list(enumerate(o)), lambda o: list(zip(o, o)), lambda o: [i for i in o],
]  # fmt: skip
SIZED_LIST, SIZED_TUPLE, SIZED_DICT = sized(list), sized(tuple), sized(dict)
MAKERS = [Sized, Hinting, Indexed, Running, Lying, lambda: SIZED_LIST([1, 2]), lambda: SIZED_TUPLE((1, 2)),
          lambda: SIZED_DICT({1: 1, 2: 2})]  # fmt: skip


@pytest.mark.parametrize(
    "make", MAKERS, ids=["sized", "hinting", "indexed", "running", "lying", "list", "tuple", "dict"]
)
def test_an_object_is_asked_for_its_length_where_python_asks(make):
    for walk in WALKS:

        def program(obj, walk=walk):
            try:
                return walk(obj), list(getattr(obj, "log", ()))
            except (TypeError, ValueError) as error:
                return str(error), list(getattr(obj, "log", ()))

        LOG.clear()
        agrees(program, lambda: (make(),))
        # twice as plain Python, twice compiled
        assert len(LOG) % 4 == 0


def test_texts_of_exceptions_with_several_arguments():
    def program(x):
        found = []
        for error in (OSError(2, "no"), KeyError("k"), ValueError("a", 1), ImportError("m"), UnboundLocalError("u"), OSError("one"),
                      UnicodeDecodeError("utf8", b"a", 0, 1, "bad")):  # fmt: skip
            try:
                raise error
            except Exception as caught:
                found.append((str(caught), repr(caught)))
        return x * 2, found

    agrees(program, lambda: (1.0,))


class ReadInItsOwnWay(dict):
    def __iter__(self):
        return iter(["z"])

    def keys(self):
        return ["a"]

    def items(self):
        return [("a", 5)]


class ItemsOnly(dict):
    def items(self):
        LOG.append("items")
        return [("b", 6), *super().items()]


class DoubledList(list):
    def __iter__(self):
        return iter([*super().__iter__(), 1])


class DoubledSet(set):
    def __iter__(self):
        return iter([*super().__iter__(), 7])


class DoubledDeque(collections.deque):
    def __iter__(self):
        return iter([*super().__iter__(), 7])


class OrderedItems(collections.OrderedDict):
    def items(self):
        return [("b", 6)]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize(
    "make",
    [
        lambda: ReadInItsOwnWay(a=1, b=2), lambda: ItemsOnly(a=1), lambda: DoubledList([3]), lambda: DoubledSet([3]), lambda: DoubledDeque([3]),
        lambda: OrderedItems(a=1),
    ],
)  # fmt: skip
def test_a_copy_is_filled_with_what_the_classes_own_methods_give(make, copied):
    def program(x, obj):
        other = copied(obj)
        return (
            x + 1,
            other == obj,
            other,
            type(other),
            len(other),
            list(dict.items(other)) if isinstance(other, dict) else None,
        )

    agrees(program, lambda: (1.0, make()))


class Taking:
    def few(self, a, b=1, *, c=2, d=3):
        return a

    def one(self, *, c=2):
        return c

    def __init__(self, *needed):
        pass


@pytest.mark.parametrize(
    "call",
    [
        lambda o: o.few(), lambda o: o.few(1, 2, 3), lambda o: o.few(1, 2, 3, c=4), lambda o: o.few(1, 2, 3, c=4, d=5), lambda o: o.one(1, c=2),
        lambda o: o.one(1), lambda o: o.few(1, a=2), lambda o: o.few(1, e=2), lambda o: (lambda a, /: a)(a=1), lambda o: (lambda q: q)(),
        lambda o: (lambda *, q, r: q)(1, q=2, r=3), lambda o: (lambda *, q, r: q)(r=1), lambda o: (lambda a, b, c: a)(), lambda o: (lambda: 1)(2),
    ],
)  # fmt: skip
def test_calls_that_do_not_fit_say_so_as_python_does(call):
    def program(x, obj):
        try:
            return x, call(obj)
        except TypeError as error:
            return x + 1, str(error)

    agrees(program, lambda: (1.0, Taking()))


MADE_IN_C = [
    types.SimpleNamespace(a=1),
    collections.OrderedDict(),
    collections.deque(),
    collections.Counter(),
    3,
    functools.partial(int),
]
MISUSES = [
    lambda o: o.missing,
    lambda o: type(o).missing,
    lambda o: o + None,
    lambda o: -o,
    lambda o: o < None,
    lambda o: [*o, o[0][1]],
    lambda o: o(1)(2),
    lambda o: {o: 1},
]


@pytest.mark.parametrize("misuse", MISUSES)
@pytest.mark.parametrize("obj", MADE_IN_C, ids=lambda o: type(o).__name__)
def test_errors_name_classes_as_python_does(obj, misuse):
    """What C code made is named with its module in Python's messages."""
    agrees(misuse, lambda: (obj,))


class Counted:
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __int__(self):
        return self.count


def test_a_length_that_becomes_a_number_of_the_graph_stays_one():
    compiled = quern.compile(lambda x, o: (x + 1, len(o), int(o)))
    for count in (2, 5, 7, -1, 2**70, 3):
        outcomes = []
        for function in (compiled, lambda x, o: (x + 1, len(o), int(o))):
            try:
                outcomes.append(function(1.5, Counted(count)))
            except (ValueError, OverflowError) as error:
                outcomes.append((type(error), str(error)))
        assert outcomes[0] == outcomes[1]


class Odd:
    """Operators of the standard library as methods: they are not bound, and get one operand."""

    __eq__ = operator.is_
    __contains__ = operator.contains
    __neg__ = operator.neg
    __add__ = operator.add
    __hash__ = object.__hash__


@pytest.mark.parametrize("use", [lambda o: o == o, lambda o: 1 in o, lambda o: -o, lambda o: o + 1])
def test_library_functions_as_methods(use):
    def program(x, o):
        try:
            return x, use(o)
        except TypeError as error:
            return x, str(error)

    assert quern.compile(program)(1.5, o := Odd()) == program(1.5, o)


class Shrinking(Indexed):
    """Has fewer items than it says."""

    def __len__(self):
        return 4


def first_backwards(o):
    for i in reversed(o):
        o.log.append("got")
        return i


def two_backwards(o):
    items = reversed(o)
    first = next(items)
    o.log.append("got")
    return first, next(items)


@pytest.mark.parametrize("make", [Indexed, Shrinking])
@pytest.mark.parametrize("walk", [first_backwards, two_backwards, lambda o: [i for i in reversed(o)]])
def test_items_are_asked_for_backwards_one_by_one(make, walk):
    def program(obj):
        try:
            return walk(obj), obj.log
        except StopIteration:
            return "none", obj.log

    agrees(program, lambda: (make(),))


class Halves:
    """Knows `//` and `%`, of which no divmod follows."""

    def __floordiv__(self, other):
        return 1

    def __mod__(self, other):
        return 2


class Refuses(Halves):
    def __divmod__(self, other):
        return NotImplemented


class Answers(Halves):
    def __divmod__(self, other):
        return "own", other


class Reflects(Halves):
    def __rdivmod__(self, other):
        return "reflected", type(other).__name__


class Whole(int):
    pass


@pytest.mark.parametrize("left", [Halves(), Refuses(), Answers(), Reflects(), Whole(7), 7, [1]])
@pytest.mark.parametrize("right", [Halves(), Refuses(), Reflects(), Whole(2), 2, None])
def test_divmod_asks_for_its_own_methods(left, right):
    def program(left, right):
        try:
            return divmod(left, right)
        except TypeError as error:
            return str(error)

    def shown(result):
        return result if isinstance(result, str) else [type(part).__name__ for part in result]

    assert shown(quern.compile(program, backend="eager")(left, right)) == shown(program(left, right))
