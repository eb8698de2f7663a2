"""What each scalar op is in C++: one row per op of `inductor.ops.scalar`, for scalars and vectors alike.

An operator takes vectors and scalars mixed; a function call wants all its operands to be vectors once one is.
Truth values are `bool` as scalars and masks (0 or -1 per lane) as vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...loops.reducers import Reducer
from ...ops.scalar import SCALAR

#: op -> C++ text over numbers, for ops that are operators
OPERATORS: dict[str, str] = {
    "neg": "-{0}",
    "not": "~{0}",
    **{op.name: f"{{0}} {op.symbol} {{1}}" for op in SCALAR.values() if op.symbol},
}

#: ops that are functions under their own name (kernels/cpu/*.h), and how many operands they take
FUNCTIONS: dict[str, int] = {
    **{op.name: op.arity for op in SCALAR.values() if op.name not in OPERATORS},
    "ipow": 2,  # pow over integers
}

#: ops that cost much more than an addition, in hundredths of a nanosecond per float lane
HEAVY: dict[str, int] = {op.name: op.cost for op in SCALAR.values() if op.cost}

#: functions of many instructions. Where a kernel uses one more often than `MOST_IN_PLACE` times it is called: put in place
#: each time, compilation takes a second for every two hundred.
LARGE = frozenset(op.name for op in SCALAR.values() if op.heavy)
MOST_IN_PLACE = 24


def reducer_name(row: Reducer) -> str:
    """The struct that joins two values of a reduction."""
    return row.name.capitalize()


def reducer_text(row: Reducer) -> str:
    """Its text, for scalars and vectors alike (kernels/cpu/reduce.h)."""
    step = template(row.combine, False, False).text.format("a", "x")
    return f"""struct {reducer_name(row)} {{
  static constexpr bool exact = {str(row.exact).lower()};
  template <class V> static INLINE V start() {{ return Neutral<V>::{row.neutral}(); }}
  template <class V> static INLINE V step(V a, V x) {{ return {step}; }}
}};"""


@dataclass(frozen=True)
class Template:
    """How an op reads: text with places for the operands. mixes: whether vectors and scalars may stand in it together."""

    text: str
    mixes: bool


def template(op: str, operands_bool: bool, is_vector: bool, *, apart: bool = False) -> Template:
    """The template of `op`; apart: as a call that is not put in place. Raises KeyError for an op without a row."""
    read = op
    if operands_bool:
        read = SCALAR[op].on_bools or op
        if is_vector:  # a mask's true is -1, so order is reversed
            read = SCALAR[op].swapped or read
    if operands_bool and op == "not" and not is_vector:
        text = "!{0}"  # ~ of a bool is an int, and not zero
    elif read in OPERATORS:
        text = OPERATORS[read]
    else:
        places = ", ".join(f"{{{i}}}" for i in range(FUNCTIONS[op]))
        return Template(f"{'apart_' if apart else ''}{op}({places})", mixes=False)
    is_mask = is_vector and SCALAR[op].is_comparison
    return Template(f"as_mask({text})" if is_mask else text, mixes=not operands_bool)
