"""The expressions of sequential programs as C++."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from ....errors import InternalError
from ...sequential.facts import factors_of_runs
from ...sequential.program import ZERO, Apply, ArrayRef, Expr, Literal, Load, Var
from . import types

#: so many of the numbers that an integer was computed from are remembered
MOST_LEAVES = 16
#: the types of memory, which here are those of numbers too, and complex numbers
CTYPES = {**types.CTYPES, "complex64": "c64", "complex128": "c128"}
for _half in ("float16", "bfloat16"):
    del CTYPES[_half]

#: operations on operands of one type, as C++ expressions
_OPS: dict[str, str] = {
    "add": "({0} + {1})", "sub": "({0} - {1})", "mul": "({0} * {1})", "div": "({0} / {1})", "neg": "(-{0})",
    "and": "({0} & {1})", "or": "({0} | {1})", "xor": "({0} ^ {1})", "invert": "(~{0})", "not": "(!{0})",
    "shl": "({0} << {1})", "shr": "({0} >> {1})", "where": "({0} ? {1} : {2})",
    "eq": "({0} == {1})", "ne": "({0} != {1})",
    "floordiv_int": "floordiv_int({0}, {1})", "mod_int": "mod_int({0}, {1})", "power_int": "power_int({0}, {1})",
    "floordiv_float": "floordiv_float({0}, {1})", "mod_float": "mod_float({0}, {1})",
    "max": "max_of({0}, {1})", "min": "min_of({0}, {1})", "sign": "sign_of({0})", "abs_int": "abs_int({0})",
    "wrapped": "wrapped({0}, {1})", "inside": "inside({0}, {1})", "clipped": "clipped({0}, {1})",
    "clipped_down": "clipped_down({0}, {1})", "length": "length({0}, {1}, {2})",
    "isnan": "({0} != {0})", "isinf": "(__builtin_isinf({0}) != 0)", "isfinite": "(__builtin_isfinite({0}) != 0)",
    "signbit": "(__builtin_signbit({0}) != 0)", "both": "({0} && {1})", "either": "({0} || {1})",
    "real": "({0}).re", "imag": "({0}).im", "conj": "conj_of({0})", "abs_complex": "abs_of({0})",
    "reciprocal": "reciprocal_of({0})", "quotient": "quotient_of({0}, {1})", "multiplied": "multiplied({0}, {1})",
}  # fmt: skip
for _name in (
    "fabs sqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh floor ceil "
    "trunc rint cbrt"
).split():
    _OPS[_name] = f"{_name}_of({{0}})"
for _name in "pow atan2 hypot fmod copysign fmax fmin".split():
    _OPS[_name] = f"{_name}_of({{0}}, {{1}})"
#: comparisons: quiet ones for floats, which note no error for NaN
_ORDER = {"lt": ("<", "isless"), "le": ("<=", "islessequal"), "gt": (">", "isgreater"), "ge": (">=", "isgreaterequal")}
_SMALL = frozenset(("bool", "int8", "int16", "uint8", "uint16"))


def type_name(dtype: str) -> str:
    """The C++ type of a NumPy type. Raises InternalError for one that programs do not hold."""
    if dtype not in CTYPES:
        raise InternalError(f"[cpp] a sequential program cannot hold {dtype}")
    return CTYPES[dtype]


def literal(e: Literal) -> str:
    """A number's text."""
    kind, value = type_name(e.type), e.value
    if e.type == "bool":
        return "true" if value else "false"
    if e.type.startswith("complex"):
        number = complex(value)
        part = "float32" if e.type == "complex64" else "float64"
        return f"{kind}{{{literal(Literal(number.real, part))}, {literal(Literal(number.imag, part))}}}"
    if e.type == "int64" and isinstance(value, int) and 0 <= value < 1 << 31:
        return str(value)  # an index is read by people
    return types.literal(value, kind)


class Expressions:
    """Writes numbers.

    branches: whether a choice between numbers may become a branch
    """

    def __init__(self, branches: bool) -> None:
        self.branches = branches
        #: strides that are known where the text stands
        self.known: dict[Expr, str] = {}
        #: floats that branches choose between, by name: a compiler that knew them would know what comes of them, and no error is noted
        self.chosen: dict[Expr, str] = {}
        #: what integers were computed from, as a compiler would see it
        self.origins: dict[Var, tuple[Expr, ...]] = {}

    def expr(self, e: Expr) -> str:
        if e in self.known:
            return self.known[e]
        if isinstance(e, Var):
            return e.name
        if isinstance(e, Literal):
            return literal(e)
        if isinstance(e, Load):
            return f"{e.array.name}[{self._offset(e.array, e.index)}]"
        if e.op == "sum_over" and (product := factors_of_runs(e)):
            return self._dot(e.args[0], *product)
        chooses = e.op == "where" and self.branches
        args = [self._choice(a) if chooses and k else self._operand(a) for k, a in enumerate(e.args)]
        kind = type_name(e.type)
        if e.op in ("sum_over", "all_over"):
            size, index, value = args
            return f"{e.op}<{kind}>({size}, [=](i64 {index}) INLINE_BODY {{ return {value}; }})"
        if e.op == "cast":
            text = self._cast(args[0], e.args[0].type, e.type)
            meets_floats = e.type.startswith("float") and not e.args[0].type.startswith("float")
            return f"unfolded<{kind}>({text})" if meets_floats and self._is_foldable(e.args[0]) else text
        if e.op == "complex":
            return f"{kind}{{{args[0]}, {args[1]}}}"
        if e.op in _ORDER:
            symbol, quiet = _ORDER[e.op]
            floats = e.args[0].type.startswith("float")
            return f"(__builtin_{quiet}({args[0]}, {args[1]}) != 0)" if floats else f"({args[0]} {symbol} {args[1]})"
        text = _OPS[e.op].format(*args)
        # C computes small integers as int
        return f"{kind}({text})" if e.type in _SMALL else text

    def _dot(self, size: Expr, left: Load, right: Load) -> str:
        """The sum of products of two runs, along the last index of each."""
        runs = []
        for e in (left, right):
            first = self._offset(e.array, (*e.index[:-1], ZERO))
            runs.append(f"{e.array.name} + ({first}), {self.expr(e.array.strides[-1])}")
        return f"dot_over<{type_name(left.type)}>({self.expr(size)}, {', '.join(runs)})"

    def _choice(self, e: Expr) -> str:
        """What may be chosen in a branch."""
        number = e.args[0] if isinstance(e, Apply) and e.op == "cast" else e
        if not isinstance(number, Literal) or not e.type.startswith("float"):
            return self._operand(e)
        return self.chosen.setdefault(e, f"c{len(self.chosen)}")

    def _is_foldable(self, e: Expr) -> bool:
        """Whether a compiler may know an integer, as it knows `x - x`: no error would be noted where a float is divided by it."""
        leaves = self._leaves(e)
        return len(set(leaves)) < len(leaves) or any(isinstance(x, Literal) and not x.value for x in leaves)

    def _leaves(self, e: Expr) -> tuple[Expr, ...]:
        """The numbers, elements and literals that an integer is computed from."""
        if isinstance(e, Apply):
            args = dict.fromkeys(e.args) if e.op in ("add", "mul") else e.args  # a square is not known
            return tuple(itertools.chain.from_iterable(map(self._leaves, args)))[:MOST_LEAVES]
        return self.origins.get(e, (e,)) if isinstance(e, Var) else (e,)

    def _operand(self, e: Expr) -> str:
        """An operand, literals of its very type: C++ takes 0 for an int."""
        text = self.expr(e)
        return f"i64({text})" if e.type == "int64" and text.isdigit() else text

    def _cast(self, text: str, given: str, wanted: str) -> str:
        if given == wanted:
            return text
        if wanted.startswith("complex"):
            part = type_name("float32" if wanted == "complex64" else "float64")
            if given.startswith("complex"):
                return f"{type_name(wanted)}{{{part}(({text}).re), {part}(({text}).im)}}"
            return f"{type_name(wanted)}{{{part}({text}), {part}(0)}}"
        if wanted == "uint32" and given.startswith("float"):
            text = f"i64({text})"  # beyond the type's range too as a scalar conversion gives it, in loops that become vectors
        return f"({text} != 0)" if wanted == "bool" else f"{type_name(wanted)}({text})"

    def _offset(self, array: ArrayRef, index: Sequence[Expr]) -> str:
        return self._sum(zip(index, array.strides))

    def _sum(self, terms: Iterable[tuple[Expr, Expr]]) -> str:
        parts = []
        for i, stride in terms:
            place, step = self.expr(i), self.expr(stride)
            if step != "0" and place != "0":
                parts.append(place if step == "1" else step if place == "1" else f"{place} * {step}")
        return " + ".join(parts) or "0"

    def came_from(self, var: Var, value: Expr) -> None:
        """Remember what a number is computed from."""
        if not var.type.startswith(("float", "complex")):
            self.origins[var] = self._leaves(value)
