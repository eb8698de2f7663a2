"""What each scalar op is in C++: one row per op of `inductor.ops.scalar`, for scalars and vectors alike.

An operator takes vectors and scalars mixed; a function call wants all its operands to be vectors once one is.
Truth values are `bool` as scalars and masks (0 or -1 per lane) as vectors: ops over them have rows of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

from ...loops.reducers import Reducer

#: op -> C++ text over numbers, for ops that are operators
OPERATORS: dict[str, str] = {
    "neg": "-{0}",
    "not": "~{0}",
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "and": "{0} & {1}",
    "or": "{0} | {1}",
    "xor": "{0} ^ {1}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
}

#: ops that are functions under their own name (kernels/cpu/*.h), and how many operands they take
FUNCTIONS: dict[str, int] = {
    **dict.fromkeys(
        (
            "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos",
            "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "lgamma", "sigmoid", "floor", "ceil",
            "trunc", "round", "isnan", "isinf", "signbit", "abs", "sign",
        ),
        1,
    ),
    **dict.fromkeys(
        (
            "floordiv", "mod", "fmod", "pow", "atan2", "hypot", "copysign", "nextafter", "max", "min", "fmax", "fmin",
            "shl", "shr", "ipow",  # pow over integers
        ),
        2,
    ),
    "where": 3,
    "fma": 3,
}  # fmt: skip

#: op over truth values -> (scalar text, mask text). A mask's true is -1, so order is reversed.
EMIT_BOOL: dict[str, tuple[str, str]] = {
    "not": ("!{0}", "~{0}"),
    "max": ("{0} | {1}", "{0} | {1}"),
    "min": ("{0} & {1}", "{0} & {1}"),
    "lt": ("{0} < {1}", "{0} > {1}"),
    "le": ("{0} <= {1}", "{0} >= {1}"),
    "gt": ("{0} > {1}", "{0} < {1}"),
    "ge": ("{0} >= {1}", "{0} <= {1}"),
}

COMPARISONS = frozenset(("eq", "ne", "lt", "le", "gt", "ge"))

#: ops that cost much more than an addition: nanoseconds per float lane, roughly, times 100
HEAVY: dict[str, int] = {
    "exp": 35, "exp2": 30, "expm1": 45, "log": 60, "log2": 60, "log10": 60, "log1p": 80, "sqrt": 30, "rsqrt": 40,
    "sin": 50, "cos": 50, "tan": 110, "asin": 100, "acos": 50, "atan": 45, "sinh": 130, "cosh": 130, "tanh": 65,
    "asinh": 200, "acosh": 200, "atanh": 200, "erf": 70, "erfc": 2000, "lgamma": 3000, "sigmoid": 45, "div": 20,
    "floordiv": 1000, "mod": 1000, "fmod": 1000, "pow": 370, "atan2": 2000, "hypot": 1000, "nextafter": 1000,
}  # fmt: skip

#: functions of many instructions. Where a kernel uses one more often than `MOST_IN_PLACE` times it is called: put in place
#: each time, compilation takes a second for every two hundred.
LARGE = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc lgamma sigmoid "
    "pow atan2 hypot".split()
)
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
    if operands_bool and op in EMIT_BOOL:
        text = EMIT_BOOL[op][1 if is_vector else 0]
    elif op in OPERATORS:
        text = OPERATORS[op]
    else:
        places = ", ".join(f"{{{i}}}" for i in range(FUNCTIONS[op]))
        return Template(f"{'apart_' if apart else ''}{op}({places})", mixes=False)
    mixes = not operands_bool
    return Template(f"as_mask({text})" if is_vector and op in COMPARISONS else text, mixes)
