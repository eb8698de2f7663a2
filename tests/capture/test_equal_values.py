"""Immutable objects that == takes for equal and a program can tell apart: each has a version of its own, wherever it comes from."""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from decimal import Decimal

import pytest

np = pytest.importorskip("numpy")

import quern  # noqa: E402

UTC = dt.UTC
PAIRS = {
    "bool and int": (1, True),
    "int and float": (1, 1.0),
    "signs of zero": (0.0, -0.0),
    "signs of zero in complex numbers": (0j, complex(0.0, -0.0)),
    "digits of a Decimal": (Decimal("1.0"), Decimal("1.00")),
    "signs of a Decimal": (Decimal("0"), Decimal("-0")),
    "ranges": (range(0, 3, 2), range(0, 4, 2)),
    "units of a time": (np.datetime64("2020-01"), np.datetime64("2020-01-01")),
    "units of a span": (np.timedelta64(1, "D"), np.timedelta64(24, "h")),
    "time zones": (
        dt.datetime(2020, 1, 1, 12, tzinfo=UTC), dt.datetime(2020, 1, 1, 13, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    ),
    "names of time zones": (dt.datetime(2020, 1, 1, tzinfo=UTC), dt.datetime(2020, 1, 1, tzinfo=dt.timezone(dt.timedelta(0), "Z"))),
    "folds": (dt.datetime(2020, 1, 1), dt.datetime(2020, 1, 1, fold=1)),
    "order of a union": (int | str, str | int),
    "safety of a UUID": (uuid.UUID(int=1), uuid.UUID(int=1, is_safe=uuid.SafeUUID.safe)),
    "NaN": (float("nan"), float("nan")),
    "NaN of Decimal": (Decimal("nan"), Decimal("nan")),
    "no time": (np.datetime64("NaT"), np.datetime64("NaT")),
    "no span": (np.timedelta64("NaT", "D"), np.timedelta64("NaT", "h")),
    "metadata of a dtype": (np.dtype("f4"), np.dtype("f4", metadata={"unit": "m"})),
    "an aligned dtype": (np.dtype([("a", "f8")]), np.dtype([("a", "f8")], align=True)),
}  # fmt: skip
HOLDERS = {
    "argument": lambda value: value,
    "list": lambda value: [value],
    "tuple": lambda value: (value, 1),
    "key": lambda value: {value: 1},
    "key in a tuple": lambda value: {(value, 2): 1},
    "set": lambda value: {value},
    "frozenset": lambda value: frozenset((value,)),
}


def shown(value):
    if isinstance(value, np.dtype):
        return repr(value), value.metadata
    if isinstance(value, uuid.UUID):
        return value.is_safe
    if isinstance(value, (np.datetime64, np.timedelta64)):
        return str(value), value.dtype
    return repr(value)


@pytest.mark.parametrize("holder", HOLDERS)
@pytest.mark.parametrize("name", PAIRS)
def test_values_that_are_equal_and_not_the_same(name, holder):
    def program(x, held):
        items = list(held) if isinstance(held, (list, tuple, dict, set, frozenset)) else [held]
        return x * 2, [i[0] if isinstance(i, tuple) else i for i in items][0]

    hold = HOLDERS[holder]
    with quern.config.patch(on_error="raise"):
        fast = quern.compile(program, backend="eager")
        for value in (*PAIRS[name], PAIRS[name][0]):
            wanted, got = program(np.ones(2), hold(value)), fast(np.ones(2), hold(value))
            assert type(got[1]) is type(wanted[1]) and shown(got[1]) == shown(wanted[1])
    assert not fast.breaks


def test_what_a_capture_imports_may_change_what_it_read(tmp_path, monkeypatch):
    (tmp_path / "adds_a_type.py").write_text("import lists_types\nlists_types.types.append(int)\n")
    (tmp_path / "lists_types.py").write_text("types = [float]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import lists_types  # pyright: ignore[reportMissingImports]

    def program(x):
        count = len(lists_types.types)
        import adds_a_type  # noqa: F401  # pyright: ignore[reportMissingImports]

        return x * count * len(lists_types.types)

    fast = quern.compile(program, backend="eager")
    with quern.config.patch(on_error="raise"):
        fast(np.ones(2))
        assert fast(np.ones(2))[0] == 4


CONTEXTS = ((28, "ROUND_HALF_EVEN"), (5, "ROUND_UP"), (3, "ROUND_DOWN"))
DECIMALS = {
    "quotient": lambda: Decimal(1) / 3,
    "sum": lambda: sum([Decimal("1.2345678"), Decimal("2.2")]),
    "minus": lambda: -Decimal("1.2345678"),
    "abs": lambda: abs(Decimal("-1.2345678")),
    "root": lambda: Decimal(2).sqrt(),
    "quantized": lambda: Decimal("1.256").quantize(Decimal("0.01")),
    "rounded": lambda: round(Decimal("2.345"), 2),
    "formatted": lambda: f"{Decimal('1.25'):.1f}",
    "divmod": lambda: divmod(Decimal("7.12345678"), Decimal("3.1")),
    "power": lambda: pow(Decimal("1.1"), 20),
    "compared": lambda: Decimal("1.1") < Decimal("2.2"),
    "parts": lambda: Decimal("1.25").as_tuple(),
}


@pytest.mark.parametrize("name", DECIMALS)
def test_decimals_follow_their_context(name):
    def program(x):
        return x + 1, str(DECIMALS[name]())

    compiled = quern.compile(program)
    for precision, rounding in CONTEXTS:
        with decimal.localcontext() as context:
            context.prec, context.rounding = precision, rounding
            assert compiled(np.ones(2))[1] == program(np.ones(2))[1]
