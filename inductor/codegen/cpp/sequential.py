"""Sequential programs (`inductor.sequential.program`) as C++: blocks become labels, edges assignments and jumps.

`source(program)` gives a translation unit that exports `quern_program(words, begin)`. What it is given is one array of eight-byte words (`sequential.words`
says how it lies); with `begin` 0 it gives its memory back.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from ....errors import InternalError
from ...dtypes import get, int_range
from ...sequential.program import (
    ONE,
    ZERO,
    Accumulate,
    Apply,
    ArrayRef,
    Block,
    Branch,
    Check,
    Checked,
    Cholesky,
    Choose,
    Determinant,
    Edge,
    Expr,
    Fill,
    Literal,
    Load,
    New,
    Product,
    Program,
    Reduce,
    Return,
    Scan,
    Set,
    Solve,
    Statement,
    Store,
    Sweep,
    Var,
    View,
    loads,
)
from ...sequential.words import WORDS
from . import types

#: fills in a program from which on it is long
LONG = 12
#: so many of the numbers that an integer was computed from are remembered
MOST_LEAVES = 16
#: how hard the compiler tries: at the most a long program would take it seconds
_SHORT, _LONG = '"O3"', '"O2", "tree-vectorize", "vect-cost-model=dynamic"'
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
_OVERFLOW = {"add": "__builtin_add_overflow", "sub": "__builtin_sub_overflow", "mul": "__builtin_mul_overflow"}


def type_name(dtype: str) -> str:
    """The C++ type of a NumPy type. Raises InternalError for one that programs do not hold."""
    if dtype not in CTYPES:
        raise InternalError(f"[cpp] a sequential program cannot hold {dtype}")
    return CTYPES[dtype]


def _words_given(program: Program) -> int:
    """How many words a program is given; its results follow."""
    numbers, arrays = sum(_number_words(n.type) for n in program.numbers), sum(1 + 2 * a.ndim for a in program.arrays)
    return len(WORDS) + numbers + arrays


def _number_words(dtype: str) -> int:
    return 2 if dtype == "complex128" else 1


def source(program: Program) -> str:
    """The text of a program."""
    return _Writer(program).text()


class _Writer:
    """Writes one program, block after block."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.lines: list[str] = []
        self.depth = 1
        self.fresh = map("q{}".format, itertools.count())
        #: numbers that are read where they stand; what only an edge takes along may be dropped behind it
        self.read = {v for block in program.blocks for part in (_lasting(block), block.end) for v in _read(part)}
        #: the block that is written
        self.number = 0
        #: whether nests are functions of their own: compilers take long over one function with many
        self.is_long = sum(isinstance(s, Fill) for b in program.blocks for s in b.statements) > LONG
        #: strides from row to row of arrays that are given: they are one where rows have one element, which needs no text of its own
        self.rows = {s for a in program.arrays for s in a.strides[:-1]}
        #: strides that are known where the text stands
        self.known: dict[Expr, str] = {}
        #: floats that branches choose between, by name: a compiler that knew them would know what comes of them, and no error is noted
        self.chosen: dict[Expr, str] = {}
        #: what integers were computed from, as a compiler would see it
        self.origins: dict[Var, tuple[Expr, ...]] = {}

    def emit(self, line: str) -> None:
        self.lines.append("  " * self.depth + line)

    def text(self) -> str:
        given = _words_given(self.program)
        self._parameters()
        self._variables()
        begin = len(self.lines)
        for number, block in enumerate(self.program.blocks):
            self._block(number, block, given)
        self.lines[begin:begin] = [
            f"  const {type_name(e.type)} {name} = unfolded<{type_name(e.type)}>({self.expr(e)});"
            for e, name in self.chosen.items()
        ]
        body = "\n".join(self.lines)
        solves = any(isinstance(s, (Solve, Determinant, Cholesky)) for b in self.program.blocks for s in b.statements)
        factors = '\n#include "factors.h"' if solves else ""
        return f"""// Generated by quern.
#pragma GCC optimize({_LONG if self.is_long else _SHORT})
#include "sequential.h"
#include "parallel.h"{factors}

using namespace quern;
using namespace quern::sequential;

static bool run(i64* words, Heap& heap) {{
{body}
bail:
  return false;
}}

extern "C" __attribute__((visibility("default"))) void quern_program(i64* words, int begin) {{
  Heap& heap = *(Heap*)words;
  if (!begin) {{
    heap.free_all();
    return;
  }}
  forget_errors();
  words[3] = !run(words, heap);
  words[4] = noted_errors();
}}
"""

    # ------------------------------------------------------------ variables

    def _parameters(self) -> None:
        at = len(WORDS)
        for number in self.program.numbers:
            self.emit(
                f"const {type_name(number.type)} {number.name} = *(const {type_name(number.type)}*)(words + {at});"
            )
            at += _number_words(number.type)
        for array in self.program.arrays:
            kind = type_name(array.type)
            self.emit(f"{kind}* const {array.name} = ({kind}*)words[{at}];")
            at += 1
            for part in (*array.sizes, *array.strides):
                if isinstance(part, Var) and part not in self.program.numbers and part.name not in self.known.values():
                    self.emit(f"const i64 {part.name} = words[{at}];")
                    self.known[part] = part.name
                at += 1

    def _variables(self) -> None:
        """What edges assign is declared before the first label."""
        given = (
            {v.name for v in self.program.numbers} | {a.name for a in self.program.arrays} | set(self.known.values())
        )
        self.known = {}
        for block in self.program.blocks:
            for edge in _edges(block):
                for var, _ in edge.numbers:
                    if var.name not in given:
                        self.emit(f"{type_name(var.type)} {var.name};")
                        given.add(var.name)
                for array, _ in edge.arrays:
                    if array.name not in given:
                        self.emit(f"{type_name(array.type)}* {array.name};")
                        given.add(array.name)

    # ------------------------------------------------------------ control flow

    def _block(self, number: int, block: Block, given: int) -> None:
        if number:
            self.lines.append(f"B{number}: {{")
        else:
            self.lines.append("  {")
        self.number = number
        self.depth += 1
        for statement in block.statements:
            self._statement(statement)
        end = block.end
        if end is None:
            self.emit("goto bail;")
        elif isinstance(end, Return):
            self._return(end, given)
        elif end.condition is None:
            self._edge(end.then)
        else:
            self.emit(f"if ({self.expr(end.condition)}) {{")
            self.depth += 1
            self._edge(end.then)
            self.depth -= 1
            self.emit("}")
            assert end.other is not None
            self._edge(end.other)
        self.depth -= 1
        self.lines.append("  }")

    def _edge(self, edge: Edge) -> None:
        self.emit("{")
        self.depth += 1
        moves = [(v.name, self._choice(e), type_name(v.type)) for v, e in edge.numbers]
        moves += [(a.name, b.name, f"{type_name(a.type)}*") for a, b in edge.arrays]
        moves = [m for m in moves if m[0] != m[1]]
        held = []
        for name, value, kind in moves:
            temporary = next(self.fresh)
            self.emit(f"{kind} {temporary} = {value};")
            held.append(f"{name} = {temporary};")
        if held:
            self.emit(" ".join(held))
        if edge.sweep is not None and any(map(_takes_memory, _loop(self.program, self.number, edge.target))):
            self._statement(edge.sweep)
        self.emit(f"goto B{edge.target};")
        self.depth -= 1
        self.emit("}")

    def _return(self, end: Return, at: int) -> None:
        for value in end.numbers:
            self.emit(f"*({type_name(value.type)}*)(words + {at}) = {self.expr(value)};")
            at += _number_words(value.type)
        for array in end.arrays:
            parts = [f"(i64){array.name}", *(self.expr(e) for e in (*array.sizes, *array.strides))]
            for part in parts:
                self.emit(f"words[{at}] = {part};")
                at += 1
        self.emit("return true;")

    # ------------------------------------------------------------ expressions

    def expr(self, e: Expr) -> str:
        if e in self.known:
            return self.known[e]
        if isinstance(e, Var):
            return e.name
        if isinstance(e, Literal):
            return _literal(e)
        if isinstance(e, Load):
            return f"{e.array.name}[{self._offset(e.array, e.index)}]"
        if e.op == "sum_over" and (product := _of_runs(e)):
            return self._dot(e.args[0], *product)
        chooses = e.op == "where" and not self.is_long
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
        literal = e.args[0] if isinstance(e, Apply) and e.op == "cast" else e
        if not isinstance(literal, Literal) or not e.type.startswith("float"):
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

    # ------------------------------------------------------------ statements

    def _statement(self, s: Statement) -> None:
        _STATEMENTS[type(s)](self, s)

    def set(self, s: Set) -> None:
        self.emit(f"const {type_name(s.var.type)} {s.var.name} = {self._choice(s.value)};")
        self._came_from(s.var, s.value)
        if may_note(s.value) and s.var not in self.read:
            self.computed(s.var)

    def _came_from(self, var: Var, value: Expr) -> None:
        if not var.type.startswith(("float", "complex")):
            self.origins[var] = self._leaves(value)

    def computed(self, var: Var) -> None:
        """A number is computed where it stands, even if nobody reads it."""
        if var.type.startswith(("float", "complex")):
            self.emit(f"computed({var.name});")

    def checked(self, s: Checked) -> None:
        left, right = (self.expr(a) for a in s.args)
        self.emit(f"{type_name(s.var.type)} {s.var.name};")
        self.emit(f"if (__builtin_expect({_OVERFLOW[s.op]}({left}, {right}, &{s.var.name}), 0)) goto bail;")
        self._came_from(s.var, Apply(s.op, s.args, s.var.type))

    def check(self, s: Check) -> None:
        self.emit(f"if (__builtin_expect(!({self.expr(s.condition)}), 0)) goto bail;")

    def view(self, s: View) -> None:
        kind = type_name(s.target.type)
        self.emit(f"{kind}* const {s.target.name} = {s.base.name} + ({self.expr(s.offset)});")

    def new(self, s: New) -> None:
        kind = type_name(s.target.type)
        count = " * ".join(["sizeof(" + kind + ")", *(self.expr(n) for n in s.target.sizes)])
        self.emit(f"{kind}* const {s.target.name} = ({kind}*)heap.take({count}, {'true' if s.zeroed else 'false'});")
        self.emit(f"if (!{s.target.name}) goto bail;")

    def store(self, s: Store) -> None:
        self.emit(f"{s.array.name}[{self._offset(s.array, s.index)}] = {self.expr(s.value)};")

    def sweep(self, s: Sweep) -> None:
        names = ", ".join(a.name for a in s.live)
        self.emit("if (heap.wants_sweep()) {")
        if s.live:
            self.emit(f"  const void* live[] = {{{names}}};")
            self.emit(f"  heap.sweep(live, {len(s.live)});")
        else:
            self.emit("  heap.sweep(nullptr, 0);")
        self.emit("}")

    # ------------------------------------------------------------ loops over elements

    def nest(
        self, index: Sequence[Var], sizes: Sequence[Expr], body: Callable[[], None], parallel: bool = False
    ) -> None:
        """Loops over a space, `body` inside. parallel: no round depends on another"""
        opened = 0
        for i, n in zip(index, sizes):
            if n == Literal(1, "int64"):
                self.known[i] = "0"
                continue
            if parallel and i is index[-1]:
                self.emit("#pragma GCC ivdep")
            self.emit(f"for (i64 {i.name} = 0; {i.name} < {self.expr(n)}; ++{i.name}) {{")
            self.depth += 1
            opened += 1
        body()
        for _ in range(opened):
            self.depth -= 1
            self.emit("}")
        for i in index:
            self.known.pop(i, None)

    def versions(self, arrays: Iterable[ArrayRef], write: Callable[[], None]) -> None:
        """The text of `write` once for arrays whose innermost strides are one, and once for all others."""
        strides = {a.strides[-1] for a in arrays if a.ndim and isinstance(a.strides[-1], Var)}
        strides -= self.known.keys() | self.rows
        if not strides:
            write()
            return
        names = sorted(self.expr(s) for s in strides)
        self.emit(f"if ({' && '.join(f'{n} == 1' for n in names)}) {{")
        self.depth += 1
        self.known.update(dict.fromkeys(strides, "1"))
        write()
        for s in strides:
            del self.known[s]
        self.depth -= 1
        self.emit("} else {")
        self.depth += 1
        write()
        self.depth -= 1
        self.emit("}")

    def guards(self, guards: Sequence[Expr], index: Sequence[Var], sizes: Sequence[Expr]) -> None:
        if not guards:
            return
        flag = next(self.fresh)
        self.emit(f"bool {flag} = true;")
        self.nest(index, sizes, lambda: self.emit(f"{flag} &= {' & '.join(self.expr(g) for g in guards)};"))
        self.emit(f"if (!{flag}) goto bail;")

    def fill(self, s: Fill) -> None:
        self.guards(s.guards, s.index, s.target.sizes)
        read = {e.array: None for e in loads(s.value)}
        kind = type_name(s.target.type)
        if s.apart or not read:

            def body() -> None:
                self.emit(f"{s.target.name}[{self._offset(s.target, s.index)}] = {self.expr(s.value)};")

            if self.is_long:
                self.emit("[=]() OUTLINE_BODY {")
            heavy = heavy_parts(s.value)
            if heavy and s.index and s.target.sizes[-1] != ONE:
                self._strips(s, heavy, body)
            else:
                self.versions((s.target, *read), lambda: self.nest(s.index, s.target.sizes, body, parallel=True))
            if self.is_long:
                self.emit("}();")
            return
        # where the target may lie upon what is read, elements are computed into memory of their own first
        tests = [test for array in read if (test := self._clear(s, array))]
        if not tests:
            self.fill(replace(s, guards=(), apart=True))
            return
        direct, pointer = next(self.fresh), next(self.fresh)
        self.emit(f"const bool {direct} = {' && '.join(tests)};")
        count = " * ".join(["sizeof(" + kind + ")", *(self.expr(n) for n in s.target.sizes)])
        self.emit(f"{kind}* const {pointer} = {direct} ? {s.target.name} : ({kind}*)heap.take({count}, false);")
        self.emit(f"if (!{pointer}) goto bail;")
        strides: list[Expr] = []
        row = "1"
        for n, stride in zip(reversed(s.target.sizes), reversed(s.target.strides)):
            if row == self.expr(stride):
                strides.insert(0, stride)
            else:
                name = next(self.fresh)
                self.emit(f"const i64 {name} = {direct} ? {self.expr(stride)} : {row};")
                strides.insert(0, Var(name, "int64"))
            row = f"{row} * {self.expr(n)}" if row != "1" else self.expr(n)
        between = ArrayRef(pointer, s.target.type, s.target.sizes, tuple(strides))
        self.fill(Fill(between, s.index, s.value))
        self.emit(f"if (!{direct}) {{")
        self.depth += 1
        self.fill(Fill(s.target, s.index, Load(between, s.index)))
        self.depth -= 1
        self.emit("}")

    def _strips(self, s: Fill, heavy: Sequence[Apply], body: Callable[[], None]) -> None:
        """A fill whose costly functions are vectors: they are computed for a strip of the last axis at a time."""
        begin, width, k = (next(self.fresh) for _ in range(3))
        *outer, last = s.index
        count = self.expr(s.target.sizes[-1])

        def strip() -> None:
            self.emit(f"for (i64 {begin} = 0; {begin} < {count}; {begin} += STRIP) {{")
            self.depth += 1
            self.emit(f"const i64 {width} = {count} - {begin} < STRIP ? {count} - {begin} : STRIP;")
            self.known[last] = f"({begin} + {k})"
            loop = f"for (i64 {k} = 0; {k} < {width}; ++{k})"
            for e in heavy:
                buffers = [next(self.fresh) for _ in e.args]
                kind = type_name(e.type)
                self.emit(f"{kind} {', '.join(f'{b}[STRIP]' for b in buffers)};")
                values = " ".join(f"{b}[{k}] = {self.expr(a)};" for b, a in zip(buffers, e.args))
                self.emit(f"{loop} {{ {values} }}")
                self.emit(f"{e.op}_strip({', '.join(buffers)}, {width});")
                self.known[e] = f"{buffers[0]}[{k}]"
            self.emit("#pragma GCC ivdep")
            self.emit(loop + " {")
            self.depth += 1
            body()
            self.depth -= 1
            self.emit("}")
            self.depth -= 1
            self.emit("}")
            del self.known[last]
            for e in heavy:
                del self.known[e]

        self.nest(outer, s.target.sizes[:-1], strip)

    def _clear(self, s: Fill, array: ArrayRef) -> str:
        """Whether an array that is read is the target itself, element for element, or lies apart from it. "" where it surely does"""
        tests = [f"apart({self._span(s.target)}, {self._span(array)})"]
        same = (array.type, array.ndim) == (s.target.type, s.target.ndim) and all(
            e.index == s.index for e in loads(s.value) if e.array == array
        )
        if same and array == s.target:
            return ""
        if same:
            pairs = [(s.target.name, array.name)]
            pairs += [(self.expr(a), self.expr(b)) for a, b in zip(s.target.strides, array.strides)]
            tests.append("(" + " && ".join(f"{a} == {b}" for a, b in pairs if a != b or a == s.target.name) + ")")
        if array.ndim == s.target.ndim == 1:
            # columns side by side
            step, other = self.expr(s.target.strides[0]), self.expr(array.strides[0])
            tests.append(f"({step} == {other} && {step} != 0 && ({array.name} - {s.target.name}) % {step} != 0)"
                         if array.type == s.target.type else "false")  # fmt: skip
        return "(" + " || ".join(tests) + ")"

    def _span(self, array: ArrayRef) -> str:
        kind = type_name(array.type)
        if not array.ndim:
            return f"Span{{(const char*){array.name}, (const char*)({array.name} + 1)}}"
        sizes, strides = (", ".join(self.expr(e) for e in part) for part in (array.sizes, array.strides))
        return f"span({array.name}, sizeof({kind}), Layout<{array.ndim}>{{{{{sizes}}}, {{{strides}}}}})"

    def reduce(self, s: Reduce) -> None:
        self.guards(s.guards, s.index, s.sizes)
        kind, name = type_name(s.var.type), s.var.name
        self.emit(f"{kind} {name};")
        if s.op == "add" and not s.var.type.startswith(("int", "uint", "bool")) and s.index:
            self.versions((e.array for e in loads(s.value)), lambda: self._sum_of(s, kind))
            self.computed(s.var)
            return
        if s.op in ("argmax", "argmin"):
            self._place(s)
            return
        self.emit(f"{name} = {_neutral(s.op, s.var.type)};")

        def write() -> None:
            self.nest(s.index, s.sizes, lambda: self.emit(f"{name} = {_join(s.op, name, self.expr(s.value))};"))

        self.versions((e.array for e in loads(s.value)), write)
        self.computed(s.var)

    def _sum_of(self, s: Reduce, kind: str) -> None:
        inner = Apply("sum_over", (s.sizes[-1], s.index[-1], s.value), s.var.type)
        text = self.expr(inner)
        for i, n in zip(reversed(s.index[:-1]), reversed(s.sizes[:-1])):
            text = f"sum_over<{kind}>({self.expr(n)}, [=](i64 {i.name}) INLINE_BODY {{ return {text}; }})"
        self.emit(f"{s.var.name} = {text};")

    def _place(self, s: Reduce) -> None:
        """The place of the first extreme; NaN is one, as in np.argmax."""
        best, place, seen, value = (next(self.fresh) for _ in range(4))
        kind = type_name(s.value.type)
        self.emit(f"{kind} {best} = {kind}(); i64 {place} = 0, {seen} = 0;")
        sign = ">" if s.op == "argmax" else "<"

        def body() -> None:
            self.emit(f"const {kind} {value} = {self.expr(s.value)};")
            better = f"{value} {sign} {best} || ({value} != {value} && {best} == {best})"
            self.emit(f"if ({seen} == 0 || {better}) {{ {best} = {value}; {place} = {seen}; }}")
            self.emit(f"++{seen};")

        self.nest(s.index, s.sizes, body)
        self.emit(f"{s.var.name} = {place};")

    def accumulate(self, s: Accumulate) -> None:
        self.guards(s.guards, s.index, s.sizes)

        def write() -> None:
            def body() -> None:
                at = f"{s.target.name}[{self._sum(zip([s.index[k] for k in s.kept], s.target.strides))}]"
                self.emit(f"{at} = {_join(s.op, at, self.expr(s.value))};")

            # the last axis is kept: each of its rounds has an element of its own
            self.nest(s.index, s.sizes, body, parallel=len(s.index) - 1 in s.kept)

        self.versions((e.array for e in loads(s.value)), write)

    def scan(self, s: Scan) -> None:
        self.guards(s.guards, s.index, s.target.sizes)
        kind, along = type_name(s.target.type), s.index[s.axis]
        last = along is s.index[-1]
        value, total = next(self.fresh), next(self.fresh)

        def body() -> None:
            place = f"{s.target.name}[{self._offset(s.target, s.index)}"
            before = total if last else f"{place} - {self.expr(s.target.strides[s.axis])}]"
            self.emit(f"const {kind} {value} = {self.expr(s.value)};")
            self.emit(f"{total} = {self.expr(along)} == 0 ? {value} : {kind}({_join(s.op, before, value)});")
            self.emit(f"{place}] = {total};")

        def write() -> None:
            self.nest(s.index, s.target.sizes, body, parallel=not last)

        self.emit(f"{kind} {total};")
        self.versions((s.target, *(e.array for e in loads(s.value))), write)

    def product(self, s: Product) -> None:
        target, left, right = s.target, s.left, s.right
        (rows, columns), inner = (self.expr(n) for n in target.sizes), self.expr(left.sizes[1])
        if s.target.type in ("float32", "float64"):
            beside = [self.expr(a.strides[1]) for a in (target, right)]
            steps = [self.expr(e) for e in (*left.strides, right.strides[0])]
            self.emit(f"if ({' && '.join(f'{b} == 1' for b in beside)})")
            self.emit(f"  product({target.name}, {self.expr(target.strides[0])}, {left.name}, {steps[0]}, {steps[1]}, "
                      f"{right.name}, {steps[2]}, {rows}, {columns}, {inner});")  # fmt: skip
            self.emit("else {")
        else:
            self.emit("{")
        self.depth += 1
        self._plain_product(s, rows, columns, inner)
        self.depth -= 1
        self.emit("}")

    def _plain_product(self, s: Product, rows: str, columns: str, inner: str) -> None:
        """The sums one after the other, of any type and layout."""
        kind = type_name(s.target.type)
        i, j, k = (Var(next(self.fresh), "int64") for _ in range(3))
        at, left, right = (
            f"{a.name}[{self._sum(zip(index, a.strides))}]"
            for a, index in ((s.target, (i, j)), (s.left, (i, k)), (s.right, (k, j)))
        )
        self.emit(f"for (i64 {i.name} = 0; {i.name} < {rows}; ++{i.name})")
        self.emit(f"  for (i64 {j.name} = 0; {j.name} < {columns}; ++{j.name}) {{")
        self.emit(f"    {kind} sum{{}};")
        self.emit(f"    for (i64 {k.name} = 0; {k.name} < {inner}; ++{k.name}) sum = sum + {left} * {right};")
        self.emit(f"    {at} = sum;")
        self.emit("  }")

    def solve(self, s: Solve) -> None:
        columns = self.expr(s.target.sizes[1]) if s.target.ndim > 1 else "1"
        n = self.expr(s.matrix.sizes[0])
        self._or_bail(f"solve({s.matrix.name}, {n}, {s.target.name}, {columns}, {s.scratch.name})")

    def determinant(self, s: Determinant) -> None:
        self.emit(f"{type_name(s.var.type)} {s.var.name};")
        n = self.expr(s.matrix.sizes[0])
        self._or_bail(f"determinant({s.matrix.name}, {n}, {s.scratch.name}, {s.var.name})")

    def cholesky(self, s: Cholesky) -> None:
        self._or_bail(f"cholesky({s.matrix.name}, {self.expr(s.matrix.sizes[0])}, {s.scratch.name})")

    def _or_bail(self, call: str) -> None:
        self.emit(f"if (!{call}) goto bail;")

    def choose(self, s: Choose) -> None:
        kind, at = type_name(s.target.type), next(self.fresh)
        (size,) = s.target.sizes
        assert isinstance(size, Var)
        count = next(self.fresh)
        self.emit(f"i64 {count} = 0;")
        self.nest(s.index, s.sizes, lambda: self.emit(f"{count} += {self.expr(s.mask)};"))
        self.emit(f"const i64 {size.name} = {count};")
        self.emit(f"{kind}* const {s.target.name} = ({kind}*)heap.take(sizeof({kind}) * {count}, false);")
        self.emit(f"if (!{s.target.name}) goto bail;")
        self.emit(f"i64 {at} = 0;")
        self.nest(s.index, s.sizes, lambda: self.emit(
            f"if ({self.expr(s.mask)}) {s.target.name}[{at}++] = {self.expr(s.value)};"))  # fmt: skip


_STATEMENTS: dict[type, Callable[..., None]] = {
    Set: _Writer.set, Checked: _Writer.checked, Check: _Writer.check, View: _Writer.view, New: _Writer.new,
    Store: _Writer.store, Fill: _Writer.fill, Reduce: _Writer.reduce, Accumulate: _Writer.accumulate,
    Scan: _Writer.scan, Product: _Writer.product, Solve: _Writer.solve, Determinant: _Writer.determinant,
    Cholesky: _Writer.cholesky, Choose: _Writer.choose, Sweep: _Writer.sweep,
}  # fmt: skip
_SMALL = frozenset(("bool", "int8", "int16", "uint8", "uint16"))
#: operations on floats that note no error
_QUIET = frozenset("neg fabs max min copysign sign where real imag conj complex floor ceil trunc".split())


def may_note(e: Expr) -> bool:
    """Whether computing a number may note a floating-point error."""
    if not isinstance(e, Apply):
        return False
    exact = e.op in _QUIET or e.op == "cast" and not e.args[0].type.startswith(("float", "complex"))
    return e.type.startswith(("float", "complex")) and not exact or any(map(may_note, e.args))


def _of_runs(e: Apply) -> tuple[Load, Load] | None:
    """The factors of a sum of products of elements that follow each other along its index; None for another sum."""
    _, index, value = e.args
    if not isinstance(value, Apply) or value.op != "mul" or e.type not in ("float32", "float64"):
        return None
    left, right = value.args
    if not isinstance(left, Load) or not isinstance(right, Load) or not left.type == right.type == e.type:
        return None
    if any(f.index[-1:] != (index,) or any(_has(i, index) for i in f.index[:-1]) for f in (left, right)):
        return None
    return left, right


def _has(e: Expr, part: Expr) -> bool:
    inside: tuple[Expr, ...] = e.args if isinstance(e, Apply) else e.index if isinstance(e, Load) else ()
    return e == part or any(_has(x, part) for x in inside)


#: functions of many instructions, which are vectors where a strip of values is computed
_HEAVY = frozenset(
    "exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh pow atan2 hypot".split()
)


def heavy_parts(e: Expr) -> list[Apply]:
    """The costly functions of an expression, operands first, each once."""
    found: dict[Apply, None] = {}

    def visit(x: Expr) -> None:
        if isinstance(x, Apply) and x.op not in ("sum_over", "all_over"):
            for a in x.args:
                visit(a)
            if x.op in _HEAVY and x.type in ("float32", "float64"):
                found[x] = None

    visit(e)
    return list(found)


def _lasting(block: Block) -> tuple[Statement, ...]:
    """The statements of a block that no other one undoes: of several stores the last may be all that is left."""
    stores = sum(isinstance(s, Store) for s in block.statements)
    return tuple(s for s in block.statements if stores < 2 or not isinstance(s, Store))


def _read(part: Any) -> Iterator[Var]:
    """The numbers that a statement, the end of a block or an expression reads, edges left out."""
    if isinstance(part, Var):
        yield part
    elif isinstance(part, tuple):
        for p in part:
            yield from _read(p)
    elif is_dataclass(part) and not isinstance(part, Edge):
        for f in fields(part):
            if not (f.name == "var" and isinstance(part, (Set, Checked, Reduce, Determinant))):
                yield from _read(getattr(part, f.name))


def _takes_memory(block: Block) -> bool:
    return any(isinstance(s, (New, Choose)) or isinstance(s, Fill) and not s.apart for s in block.statements)


def _loop(program: Program, last: int, head: int) -> list[Block]:
    """The blocks of the loop that a jump from block `last` back to block `head` makes."""
    before: dict[int, list[int]] = {}
    for number, block in enumerate(program.blocks):
        for edge in _edges(block):
            before.setdefault(edge.target, []).append(number)
    found, todo = {head}, [last]
    while todo:
        at = todo.pop()
        if at not in found:
            found.add(at)
            todo += before.get(at, [])
    return [program.blocks[number] for number in sorted(found)]


def _edges(block: Block) -> list[Edge]:
    if not isinstance(block.end, Branch):
        return []
    return [e for e in (block.end.then, block.end.other) if e is not None]


def _literal(e: Literal) -> str:
    kind, value = type_name(e.type), e.value
    if e.type == "bool":
        return "true" if value else "false"
    if e.type.startswith("complex"):
        number = complex(value)
        part = "float32" if e.type == "complex64" else "float64"
        return f"{kind}{{{_literal(Literal(number.real, part))}, {_literal(Literal(number.imag, part))}}}"
    if e.type == "int64" and isinstance(value, int) and 0 <= value < 1 << 31:
        return str(value)  # an index is read by people
    return types.literal(value, kind)


def _neutral(op: str, dtype: str) -> str:
    kind = type_name(dtype)
    if op in ("add", "or"):
        return f"{kind}()" if op == "add" else "false"
    if op in ("mul", "and"):
        return _literal(Literal(1, dtype)) if op == "mul" else "true"
    if dtype.startswith("float"):
        return f"{kind}({'-' if op == 'max' else ''}__builtin_inf())"
    if dtype == "bool":
        return "false" if op == "max" else "true"
    low, high = int_range(get(dtype))
    return _literal(Literal(low if op == "max" else high, dtype))


def _join(op: str, left: str, right: str) -> str:
    return {
        "add": f"{left} + {right}",
        "mul": f"{left} * {right}",
        "max": f"max_of({right}, {left})",
        "min": f"min_of({right}, {left})",
        "and": f"{left} & {right}",
        "or": f"{left} | {right}",
    }[op]
