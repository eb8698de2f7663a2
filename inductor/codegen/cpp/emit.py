"""What each scalar op is in C++: one row per op of `inductor.ops.scalar`, for scalars and vectors alike.

A template that is a bare operator takes vectors and scalars mixed; a function call wants all its operands to be vectors once one is.
Truth values are `bool` as scalars and masks (0 or -1 per lane) as vectors: ops over them have rows of their own.
"""

from __future__ import annotations

from ...loops.reducers import Reducer

#: op -> C++ text over numbers
EMIT: dict[str, str] = {
    **{
        name: f"{name}({{0}})"
        for name in (
            "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sqrt", "rsqrt", "sin", "cos", "tan", "asin", "acos",
            "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc", "lgamma", "sigmoid", "floor", "ceil",
            "trunc", "round", "isnan", "isinf", "signbit", "abs", "sign",
        )
    },
    **{
        name: f"{name}({{0}}, {{1}})"
        for name in (
            "floordiv", "mod", "fmod", "pow", "atan2", "hypot", "copysign", "nextafter", "max", "min", "fmax", "fmin",
            "shl", "shr",
        )
    },
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
    "where": "where({0}, {1}, {2})",
    "fma": "fma({0}, {1}, {2})",
    "ipow": "ipow({0}, {1})",  # pow over integers
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
    step = EMIT[row.combine].format("a", "x")
    return f"""struct {reducer_name(row)} {{
  static constexpr bool exact = {str(row.exact).lower()};
  template <class V> static INLINE V start() {{ return Neutral<V>::{row.neutral}(); }}
  template <class V> static INLINE V step(V a, V x) {{ return {step}; }}
}};"""


def is_operator(template: str) -> bool:
    """Whether vectors and scalars may be mixed in it."""
    return "(" not in template


def text_of(op: str, operands_bool: bool, is_vector: bool) -> str:
    """The template of `op`. Raises KeyError for an op without a row."""
    if operands_bool and op in EMIT_BOOL:
        template = EMIT_BOOL[op][1 if is_vector else 0]
    else:
        template = EMIT[op]
    if is_vector and op in COMPARISONS:
        return f"as_mask({template})"
    return template
