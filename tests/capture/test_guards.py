"""Guards: whatever a result depended on, changing it gives the new result; and nothing else makes a new entry."""

# ruff: noqa: B023, PLW0603
# mypy: ignore-errors

from __future__ import annotations

import collections
import copy
import functools
import math
import sys
import threading
import types
from typing import Any

import numpy as np
import pytest
from quern.capture.guards import exact
from quern.capture.guards.guards import GuardSet
from quern.capture.guards.sources import Names, local
from quern.capture.guards.spelling import spelling
from toy import Toy, toy_compile

import quern
from quern.errors import RecompileLimitExceeded

ONE = Toy([1.0])
FACTOR = 2
OPTIONS = {"k": 3, "inner": [1, 2]}


def value(x: Any) -> Any:
    return x.data.tolist()[0]


class Thing:
    level = 1

    def __init__(self, n: Any = 1) -> None:
        self.n = n
        self.child = None

    def scale(self) -> Any:
        return self.n

    @property
    def twice(self) -> Any:
        return 2 * self.n


def check(fn: Any, args: tuple, change: Any, undo: Any = lambda: None) -> None:
    """The compiled function follows the plain one before and after a change."""
    compiled = toy_compile(fn)
    try:
        assert value(compiled(*args)) == value(fn(*args))
        assert value(compiled(*args)) == value(fn(*args))
        assert len(compiled.entries) == 1
        before = value(fn(*args))
        change()
        assert value(fn(*args)) != before, "the change must matter"
        assert value(compiled(*args)) == value(fn(*args))
        assert not compiled.entries[0].is_plain
    finally:
        undo()


def test_global_value() -> None:
    def f(x):
        return x * FACTOR

    check(f, (ONE,), lambda: globals().update(FACTOR=7), lambda: globals().update(FACTOR=2))


def test_global_dict_item() -> None:
    def f(x):
        return x * OPTIONS["k"]

    check(f, (ONE,), lambda: OPTIONS.update(k=9), lambda: OPTIONS.update(k=3))


def test_nested_list_in_global() -> None:
    def f(x):
        return x * sum(OPTIONS["inner"])

    check(f, (ONE,), lambda: OPTIONS["inner"].append(5), lambda: OPTIONS["inner"].pop())


def test_global_that_was_missing() -> None:
    def f(x):
        try:
            return x * not_there_yet
        except NameError:
            return x

    check(f, (ONE,), lambda: globals().update(not_there_yet=4), lambda: globals().pop("not_there_yet"))


def test_builtin_shadowed_by_a_global() -> None:
    def f(x):
        return x * len([1, 2])

    check(f, (ONE,), lambda: globals().update(len=lambda v: 9), lambda: globals().pop("len"))


def test_builtin_replaced() -> None:
    import builtins

    def f(x):
        return x * abs(-2)

    original = builtins.abs
    check(f, (ONE,), lambda: setattr(builtins, "abs", lambda v: 5), lambda: setattr(builtins, "abs", original))


def test_closure_variable() -> None:
    n = 2

    def f(x):
        return x * n

    def change():
        nonlocal n
        n = 5

    check(f, (ONE,), change)


def test_function_in_global_replaced() -> None:
    def f(x):
        return _helper(x)

    original = _helper
    check(f, (ONE,), lambda: globals().update(_helper=lambda x: x * 50), lambda: globals().update(_helper=original))


def _helper(x: Any, n: Any = 3) -> Any:
    return x * n


def test_function_code_replaced() -> None:
    def f(x):
        return _helper(x)

    code = _helper.__code__
    check(
        f,
        (ONE,),
        lambda: setattr(_helper, "__code__", (lambda x, n=3: x * 70).__code__),
        lambda: setattr(_helper, "__code__", code),
    )


def test_function_defaults_replaced() -> None:
    def f(x):
        return _helper(x)

    check(f, (ONE,), lambda: setattr(_helper, "__defaults__", (8,)), lambda: setattr(_helper, "__defaults__", (3,)))


def test_argument_constants() -> None:
    def f(x, n, s, flag, nothing, t, d):
        return x * n if s == "a" and flag and nothing is None and t == (1, 2) and d["k"] else x

    compiled = toy_compile(f)
    base = (3, "a", True, None, (1, 2), {"k": 1})
    assert value(compiled(ONE, *base)) == 3.0
    for i, other in enumerate((4, "b", False, 1, (1, 3), {"k": 0})):
        args = [*base[:i], other, *base[i + 1 :]]
        assert value(compiled(ONE, *args)) == value(f(ONE, *args))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, True), (1, 1.0), (0.0, -0.0), (2, 2.0), ("a", b"a"), ((1,), [1]), (0, False), (None, 0),
        (0j, complex(0.0, -0.0)), (1j, complex(-0.0, 1)), (complex(2, 0), complex(2, -0.0)), (0j, 0.0),
    ],
)  # fmt: skip
def test_equal_but_not_the_same(one: Any, two: Any) -> None:
    def f(x, v):
        return x, repr(v), type(v).__name__

    compiled = toy_compile(f)
    for v in (one, two, one, two):
        assert compiled(ONE, v)[1:] == f(ONE, v)[1:]


def test_nan_holds() -> None:
    def f(x, v):
        return x * 2 if v != v else x

    compiled = toy_compile(f)
    for _ in range(2):
        assert value(compiled(ONE, float("nan"))) == 2.0
    assert len(compiled.entries) == 1
    assert value(compiled(ONE, 1.0)) == 1.0


@pytest.mark.parametrize("v", [complex(math.nan, 1), complex(0, math.nan), complex(math.nan, math.nan)])
def test_complex_numbers_that_are_partly_nan_hold(v: complex) -> None:
    def f(x, v):
        return x, str(v)

    compiled = toy_compile(f)
    for other in (v, v, complex(1, 2), v):
        assert compiled(ONE, other)[1] == str(other)
    assert len(compiled.entries) == 2


def test_attributes() -> None:
    t = Thing()
    t.child = Thing(4)

    def f(x, t):
        return x * t.n * t.child.n

    check(f, (ONE, t), lambda: setattr(t.child, "n", 6))


def test_attribute_appears_on_the_instance() -> None:
    t = Thing()

    def f(x, t):
        return x * t.level

    check(f, (ONE, t), lambda: setattr(t, "level", 5))


def test_method_shadowed_on_the_instance() -> None:
    t = Thing(2)

    def f(x, t):
        return x * t.scale()

    check(f, (ONE, t), lambda: setattr(t, "scale", lambda: 11))


def test_method_replaced_on_the_class() -> None:
    t = Thing(2)
    original = Thing.scale

    def f(x, t):
        return x * t.scale()

    check(f, (ONE, t), lambda: setattr(Thing, "scale", lambda self: 12), lambda: setattr(Thing, "scale", original))


def test_property_replaced_on_the_class() -> None:
    t = Thing(2)
    original = Thing.twice

    def f(x, t):
        return x * t.twice

    check(
        f,
        (ONE, t),
        lambda: setattr(Thing, "twice", property(lambda self: 12)),
        lambda: setattr(Thing, "twice", original),
    )


def test_class_attribute() -> None:
    def f(x):
        return x * Thing.level

    check(f, (ONE,), lambda: setattr(Thing, "level", 3), lambda: setattr(Thing, "level", 1))


def test_class_attribute_of_an_object() -> None:
    t = Thing()

    def f(x, t):
        return x * t.level

    check(f, (ONE, t), lambda: setattr(Thing, "level", 3), lambda: setattr(Thing, "level", 1))


def test_hasattr() -> None:
    t = Thing()

    def f(x, t):
        return x * 2 if hasattr(t, "extra") else x

    check(f, (ONE, t), lambda: setattr(t, "extra", 1))


def test_object_of_another_class() -> None:
    class Other(Thing):
        def scale(self):
            return 40

    def f(x, t):
        return x * t.scale()

    compiled = toy_compile(f)
    for t in (Thing(2), Other(2), Thing(3), Other(1)):
        assert value(compiled(ONE, t)) == value(f(ONE, t))


def test_objects_of_one_class_share_an_entry() -> None:
    def f(x, t):
        t.seen = x
        return x * t.n

    compiled = toy_compile(f)
    for _ in range(5):
        t = Thing(3)
        compiled(ONE, t)
        assert isinstance(t.seen, Toy)
    assert len(compiled.entries) == 1


def test_lists_and_dicts_of_other_lengths() -> None:
    def f(x, items, named):
        for v in items:
            x = x + v
        for k, v in named.items():
            x = x * v if k != "skip" else x
        return x

    compiled = toy_compile(f)
    for items, named in (
        ([1], {"a": 2}),
        ([1, 2], {"a": 2}),
        ([], {}),
        ([1], {"b": 2}),
        ([1], {"skip": 2}),
        ([1], {"a": 3, "b": 1}),
        ([1], {"b": 1, "a": 3}),
    ):
        assert value(compiled(ONE, items, named)) == value(f(ONE, items, named))


def test_aliasing_of_arguments() -> None:
    def f(x, a, b):
        a.append(1)
        return x * len(b)

    compiled = toy_compile(f)
    assert value(compiled(ONE, [], [5])) == 1.0
    shared = []
    assert value(compiled(ONE, shared, shared)) == 1.0
    assert value(compiled(ONE, [1], [5, 6])) == 2.0


@pytest.mark.parametrize("many", [2, 3, 4, 20])
@pytest.mark.parametrize("twice", [(0, 1), (1, "other"), (0, -1)])
def test_aliasing_of_many_that_are_changed(many, twice) -> None:
    def f(x, things, other):
        for i, thing in enumerate(things):
            thing.n += i + 1
        return x * (other.n + sum([thing.n for thing in things]))

    def arguments(shared):
        things, other = [Thing() for _ in range(many)], Thing()
        if shared:
            first, second = twice
            things[first] = other if second == "other" else things[second]
        return ONE, things, other

    compiled = toy_compile(f)
    for shared in (False, True, False, True):
        assert value(compiled(*arguments(shared))) == value(f(*arguments(shared)))
    assert not any(entry.is_plain for entry in compiled.entries)


def test_guards_of_objects_that_are_changed_grow_with_their_number() -> None:
    def f(x, things):
        for thing in things:
            thing.n = 2
        return x

    def length(many):
        compiled = toy_compile(f)
        compiled(ONE, [Thing() for _ in range(many)])
        return len(compiled.entries[0].source)

    assert length(80) < 3 * length(40)
    compiled, things = toy_compile(f), [Thing() for _ in range(5)]
    compiled(ONE, things)
    compiled(ONE, [*things[:4], things[0]])
    (record,) = compiled.recompiles
    assert "things[0], things[1] and 3 more were objects at one place each" in str(record)


def test_identity_of_arguments() -> None:
    def f(x, a, b):
        return x * 2 if a is b else x

    compiled = toy_compile(f)
    s, t = Thing(), Thing()
    assert [value(compiled(ONE, *p)) for p in ((s, s), (s, t), (t, t))] == [2.0, 1.0, 2.0]


def test_objects_as_dict_keys() -> None:
    def f(x, a, b):
        return x * len({a: 1, b: 2})

    compiled = toy_compile(f)
    s, t = Thing(), Thing()
    assert [value(compiled(ONE, *p)) for p in ((s, t), (s, s), (t, s))] == [2.0, 1.0, 2.0]


def test_functions_as_arguments() -> None:
    def f(x, g):
        return g(x)

    compiled = toy_compile(f)

    def make(n):
        return lambda v: v * n

    for g in (
        make(2),
        make(2),
        make(3),
        functools.partial(_helper, n=5),
        functools.partial(_helper, n=6),
        Thing(4).scale and _helper,
        lambda v: v + 9,
    ):
        assert value(compiled(ONE, g)) == value(f(ONE, g))


def test_equal_closures_share_an_entry() -> None:
    def f(x, g):
        return g(x)

    compiled = toy_compile(f)
    for _ in range(4):
        n = 2
        compiled(ONE, lambda v: v * n)
    assert len(compiled.entries) == 1


def test_bound_methods_as_arguments() -> None:
    def f(x, g):
        return x * g()

    compiled = toy_compile(f)
    for n in (2, 2, 3):
        assert value(compiled(ONE, Thing(n).scale)) == n


def test_shape() -> None:
    def f(x):
        return x * len(x.shape)

    compiled = toy_compile(f)
    assert value(compiled(Toy([1.0]))) == 1.0
    assert compiled(Toy([[1.0]])).data.tolist() == [[2.0]]


def test_defaultdict_and_ordered_dict() -> None:
    def f(x, d):
        return x * d["k"]

    compiled = toy_compile(f)
    for d in (
        collections.defaultdict(lambda: 4),
        collections.defaultdict(lambda: 5),
        collections.OrderedDict(k=1),
        {"k": 2},
    ):
        assert value(compiled(ONE, d)) == value(
            f(ONE, type(d)(d.default_factory) if hasattr(d, "default_factory") else d)
        )


def test_module_attribute() -> None:
    module = types.ModuleType("scratch_module")
    module.level = 2

    def f(x):
        return x * module.level

    check(f, (ONE,), lambda: setattr(module, "level", 8))


def test_standard_library_constant() -> None:
    def f(x):
        return x * (2 if sys.maxsize > 0 else 1)

    compiled = toy_compile(f)
    assert value(compiled(ONE)) == 2.0


def test_mutated_global_list_each_call() -> None:
    log = []

    def f(x):
        log.append(1)
        return x * 2

    compiled = toy_compile(f)
    for _ in range(5):
        compiled(ONE)
    assert log == [1] * 5
    assert len(compiled.entries) == 1


# ---------------------------------------------------------------- recompiles


def test_recompile_reason_calls_a_global_by_its_name(monkeypatch) -> None:
    def f(x):
        return x * FACTOR

    compiled = toy_compile(f)
    compiled(ONE)
    monkeypatch.setitem(globals(), "FACTOR", 5)
    compiled(ONE)
    assert "entry 0: FACTOR was 2; now it is 5" in str(compiled.recompiles[0])


def test_recompile_reason_names_the_users_value() -> None:
    def f(x, mode):
        return x * 2 if mode == "a" else x

    compiled = toy_compile(f)
    compiled(ONE, "a")
    compiled(ONE, "b")
    assert len(compiled.recompiles) == 1
    text = str(compiled.recompiles[0])
    assert "mode was 'a'" in text and "now it is 'b'" in text and "test_guards.py" in text


def test_beyond_the_limit_calls_run_plainly_and_it_says_so() -> None:
    def f(x, mode):
        return x * len(mode)

    compiled = toy_compile(f, limit=3)
    modes = ["a" * n for n in range(1, 5)]
    with pytest.warns(UserWarning, match=r"compiled 3 times, the limit is 3; .*mode was"):
        for m in modes:
            assert value(compiled(ONE, m)) == len(m)
    assert len(compiled.entries) == len(compiled.explain_records) == 3
    assert value(compiled(ONE, "aaaaa")) == 5
    assert len(compiled.explain_records) == 3


def test_limit_is_an_error_under_fullgraph() -> None:
    def f(x, mode):
        return x * len(mode)

    compiled = toy_compile(f, limit=2, fullgraph=True)
    compiled(ONE, "a")
    compiled(ONE, "aa")
    with pytest.raises(RecompileLimitExceeded, match="mode was"):
        compiled(ONE, "aaa")


def test_reset() -> None:
    def f(x):
        return x * 2

    compiled = toy_compile(f)
    compiled(ONE)
    compiled.reset()
    assert not compiled.entries and not compiled.explain_records
    assert value(compiled(ONE)) == 2.0


def test_two_threads_compile_once() -> None:
    def f(x):
        for i in range(50):
            x = x + i
        return x

    compiled = toy_compile(f)
    barrier = threading.Barrier(4)
    results, errors = [], []

    def work():
        try:
            barrier.wait()
            results.append(value(compiled(ONE)))
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors and len(set(results)) == 1 and len(results) == 4
    assert len(compiled.explain_records) == 1


@pytest.mark.gives_up
def test_a_failing_backend_falls_back_with_a_warning() -> None:
    def broken(graph, inputs, context):
        raise RuntimeError("no luck")

    def f(x):
        return x * 2

    from quern.capture.entry.dispatch import CompiledFunction

    compiled = CompiledFunction(f, backend=broken)
    with pytest.warns(UserWarning, match="no luck"):
        assert value(compiled(ONE)) == 2.0
    with quern.config.patch(on_error="raise"), pytest.raises(quern.errors.InternalError, match="no luck"):
        CompiledFunction(f, backend=broken)(ONE)


# ---------------------------------------------------------------- what people read


def test_guards_are_written_as_the_program_would() -> None:
    """In its own names, and with paths for the objects that the entry holds: each can be pasted."""

    def f(x, t, pick):
        return x * t.n * FACTOR * pick(2.0, math.copysign(1.0, 3.0)) + OPTIONS["k"] * t.scale()

    compiled = toy_compile(f)
    thing = Thing(0.0)
    compiled(ONE, thing, max)
    (entry,) = compiled.entries
    written = entry.captured.readable()
    assert f"type(t) is {__name__}.Thing" in written
    assert "FACTOR == 2" in written and "<OPTIONS['k']> == 3" in written and "math.copysign(1.0, t.n) == 1.0" in written
    assert "pick is max" in written
    scope = {**sys.modules, **globals(), "x": ONE, "t": thing, "pick": max, "f": f}
    plain = [text for text in written if "<" not in text]
    assert len(plain) > len(written) // 2
    assert all(eval(text, scope) for text in plain), plain


@pytest.mark.parametrize(("obj", "text"), [
    (int, "int"), (len, "len"), (math, "math"), (math.floor, "math.floor"), (collections.OrderedDict, "collections.OrderedDict"),
    (Thing.scale, f"{__name__}.Thing.scale"), (Thing.__dict__, f"{__name__}.Thing.__dict__"), (math.__dict__, "math.__dict__"),
    (float("inf"), "float('inf')"), ((1, int), "(1, int)"), ({"k": [2]}, "{'k': [2]}"), ((), "()"),
])  # fmt: skip
def test_objects_that_entries_hold_are_spelled(obj: Any, text: str) -> None:
    assert spelling(obj) == text


def test_what_has_no_spelling_is_described_and_not_asked() -> None:
    class Loud:
        def __repr__(self) -> str:
            raise AssertionError

        __class__ = property(__repr__)

    assert spelling(Loud()).startswith("<a Loud at 0x")
    assert spelling([Loud(), int]).startswith("[<a Loud at 0x") and spelling([Loud()]).startswith("<")
    assert spelling("long" * 100).startswith("<'longlong")


# ---------------------------------------------------------------- the guard set by itself


def test_shared_paths_are_read_once() -> None:
    names = Names()
    guards = GuardSet(names)
    base = local("a").attr("b")
    for name in ("c", "d", "e"):
        guards.is_(base.attr(name), None)
    conditions, _ = guards.conditions()
    assert sum(text.count("a.b") for text in conditions) == 1


def test_places_are_tested_before_they_are_looked_into() -> None:
    guards = GuardSet(Names())
    guards.is_(local("a").attr("b").attr("c"), None)
    guards.type_is(local("a"), Thing)
    conditions, _ = guards.conditions()
    assert "type(a)" in conditions[0]


def test_a_guard_is_kept_once() -> None:
    guards = GuardSet(Names())
    place = local("a")
    for _ in range(3):
        guards.equals(place, 5)
    assert len(guards) == 2


def test_an_exception_inside_guards_means_no() -> None:
    def f(x, t):
        return x * t.n

    compiled = toy_compile(f)
    compiled(ONE, Thing(2))
    t = Thing(2)
    del t.n
    with pytest.raises(AttributeError):
        compiled(ONE, t)


@pytest.mark.parametrize("make", [lambda: float("nan"), lambda: complex("nan"), lambda: (1, float("nan"))])
def test_a_nan_is_found_by_identity(make) -> None:
    def lookup(x, key, memo):
        return x * memo[key] if key in memo else x

    def note(x, key, seen):
        seen[key] = 1
        return x * len(seen)

    def among(x, key, others):
        return x * 3 if key in others else x

    def given(x, key):
        return x, key

    one, other = make(), make()
    for function, state in ((lookup, {one: 5.0}), (note, {}), (among, [one]), (among, (one, 1)), (among, {one})):
        mine, theirs = copy.copy(state), copy.copy(state)
        compiled = toy_compile(function)
        for key in (one, other, one, make(), other):
            assert value(compiled(ONE, key, mine)) == value(function(ONE, key, theirs))
            assert len(mine) == len(theirs)
    compiled = toy_compile(given)
    assert [compiled(ONE, key)[1] is key for key in (one, other, one)] == [True] * 3


def test_numbers_are_compared_by_value_and_sign_not_by_how_they_print():
    class Shy(float):
        def __repr__(self) -> str:
            return "a number"

    same = exact.same_items
    assert same([Shy(1.5), -0.0, math.nan, complex(0.0, -0.0)], [Shy(1.5), -0.0, math.nan, complex(0.0, -0.0)])
    for one, other in ((Shy(0.0), Shy(-0.0)), (0.0, -0.0), (0j, complex(0.0, -0.0)), (1, 1.0), ((0.0,), (-0.0,))):
        assert not same([one], [other])


def _counting():
    class Counting:
        asked = 0

        @property
        def weight(self):
            self.asked += 1
            return self.asked

        def __getattr__(self, name):
            self.__dict__.setdefault("missed", []).append(name)
            raise AttributeError(name)

    return Counting()


class _Answering(dict):
    asked = 0

    def __getitem__(self, key):
        self.asked += 1
        return self.asked


def test_objects_of_other_classes_are_not_read():
    """What changed since the last capture is looked for in objects of the classes that it met: others may notice."""

    def attribute(x, held):
        return x + held.weight, held.__dict__.get("missed")

    def item(x, held):
        return x + held["weight"], getattr(held, "asked", None)

    def size(x, held):
        return x + (len(held) if isinstance(held, np.ndarray) else 1), getattr(held, "__dict__", {}).get("missed")

    for function, plain, other in (
        (attribute, types.SimpleNamespace(weight=5), _counting),
        (item, {"weight": 5}, lambda: _Answering(weight=7)),
        (size, np.ones(3), _counting),
    ):
        compiled = quern.compile(function)
        for make in (lambda plain=plain: plain, other, other):
            wanted, found = function(np.ones(2), make()), compiled(np.ones(2), make())
            assert np.array_equal(found[0], wanted[0]) and found[1] == wanted[1]


def test_a_default_dict_keeps_its_keys():
    def total(held):
        made = 0
        for part in held:
            made = made + (held[part] if isinstance(held, dict) else part)
        return made

    compiled = quern.compile(total)
    x = np.ones(2)
    compiled([x, x])
    held = collections.defaultdict(list, {"a": x})
    assert np.array_equal(compiled(held), x) and list(held) == ["a"]


class _Base:
    def scaled(self, x):
        return x + 1


class _Derived(_Base):
    def scaled(self, x):
        return super().scaled(x) * 2


HELD_OBJECT = _Derived()


def test_a_held_object_that_changes_its_class():
    compiled = quern.compile(lambda x: HELD_OBJECT.scaled(x))
    x = np.zeros(2)
    try:
        assert compiled(x).tolist() == [2.0, 2.0]
        HELD_OBJECT.__class__ = _Base
        assert compiled(x).tolist() == [1.0, 1.0]
        HELD_OBJECT.__class__ = _Derived
        assert compiled(x).tolist() == [2.0, 2.0]
    finally:
        HELD_OBJECT.__class__ = _Derived
