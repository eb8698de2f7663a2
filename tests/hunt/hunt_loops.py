"""The hunt for loops over NumPy's numbers and arrays: nested ones, of all kinds of items, with branches, writes and errors.

A program is a tree of lines and blocks. A line is a template whose holes are filled from a grammar; each choice is a number of the line's
own, so that a smaller number is a simpler line. The loop's variables are numbers and arrays of changing kinds; all that can
be seen of a call is compared: results, arguments, exceptions, warnings.
"""

from __future__ import annotations

import functools
import re
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from comparison import Comparison, Numbers, Recorder
from hunt_numpy import NumpyArrays
from hunt_steps import ArraySpec
from hypothesis import strategies as st
from numpy_values import GROUND
from running import forget_tracebacks

import quern

PRELUDE = """\
import cmath
import math
import numpy as np


def bent(u):
    return u * 2 + 1 if u > 0 else -u


def first_above(row, limit=1):
    for place in range(len(row)):
        if row[place] > limit:
            return place
    return -1


def raised(row, by):
    row[:1] += by
    return row.sum()


def one_of(u, v):
    if u > 1:
        return u
    return v


class Held:
    def __init__(self, by):
        self.by = by

    def scaled(self, u):
        return u * self.by


held = Held(2.5)
"""

#: what a hole may be filled with, the simplest first; i and j are the loops' variables, q counts rounds, x and y are arrays of one axis,
#: a and b of two, p one of indices, v and w arrays of one axis that the loop binds, m one of two; s and t numbers
GRAMMAR: dict[str, tuple[str, ...]] = {
    # an index, mostly inside
    "i": ("i", "0", "-1", "j", "i - 1", "i + 1", "i % 3", "i // 2", "-i", "len(x) - 1 - i", "p[i]", "i % len(x)", "q % len(x)", "-i % len(x)", "int(abs(x[i])) % len(x)", "(i * 3 + j) % len(x)", "n", "p[i] % len(x)", "i * j", "i ^ 1", "np.int64(i) % len(x)", "first_above(y)", "np.argmax(x)", "-1 - i % 3"),
    # a column of a
    "j": ("0", "j % a.shape[1]", "i % a.shape[1]", "-1", "q % a.shape[1]", "p[j] % a.shape[1]", "j", "a.shape[1] - 1"),
    # a number of the size of elements
    "e": ("x[{i}]", "y[{i}]", "2", "0.5", "k", "a[{i}, {j}]", "i", "n", "float(x[{i}])", "int(i)", "b[{j}, {j}]", "p[{i}]", "np.float32(1.5)", "np.int8(3)", "np.int64(i)", "True", "-1", "1j", "bent(x[{i}])", "held.by", "np.uint8(7)", "x.shape[0]", "v[{i}]", "m[{i}, {j}]", "-x[{i}]", "x[{i}].real", "abs(y[{i}])", "x[{i}].item()"),
    # a number
    "s": ("s", "{e}", "t", "s + {e}", "s - {e}", "{e} * s", "{e} * {e}", "s / {e}", "{e} / {e}", "{e} // {e}", "s % {e}", "s // {e}", "{e} + {e}", "-s", "abs(s)", "max(s, {e})", "min({e}, t)", "{e} ** 2", "{e} ** k", "2 ** ({i} % 5)", "math.sqrt(abs({e}))", "np.sqrt({e})", "np.exp(-abs({e}))", "{v}.sum()", "{v}.max()", "{v}.mean()", "np.min({v})", "{v}.any()", "{m}.sum()", "np.dot({v}, {v})", "{v} @ {v}", "one_of({e}, {e})", "bent({e})", "held.scaled({e})", "float({e})", "int({e})", "bool({e})", "{e} if {c} else {e}", "{i} << 2", "{e} >> 1", "{i} & 3", "{e} | 1", "~{i}", "np.maximum({e}, {e})", "np.argmin({v})", "len(v)", "v.size", "np.float64({e})", "np.int32({i})", "{v}.prod()", "np.all({v})", "{v}.std()", "raised(v, {e})", "divmod({e}, {e})[1]", "np.where({c}, {v}, 0).sum()", "x[{k}].sum()", "round({e}, 1)", "np.sign({e})", "({e} > {e}) + 1", "np.hypot({e}, {e})", "{e} ** -1", "np.abs({e})", "(s + {e}).real", "math.exp(-abs({e}))", "math.floor({e})", "pow({e}, 3)", "np.power({e}, 2)", "np.floor({e})", "first_above({v}, {e})", "np.linalg.norm({v})", "np.linalg.norm({v}, 1)", "np.linalg.norm({m})", "np.trace({m})", "np.ptp({v})", "np.count_nonzero({v})", "np.average({v})", "np.average(x, weights=abs(y) + 1)", "np.allclose({v}, {v})", "np.array_equal({v}, {v})", "np.isclose({e}, {e})", "np.linalg.det(b + 5)", "np.add.reduce({v})", "np.cumsum({v})[{i}]", "np.round({e}, 1)", "complex({e}, {e})", "complex(s) ** 2", "complex(s) / {e}", "cmath.exp(1j * {i})", "math.atan2({e}, {e})", "math.isnan({e})", "~int({e})", "np.angle({e})", "np.vstack(({v}, {v})).sum()", "np.linalg.norm({m}, np.inf)", "sum({e} for u in x)", "sum(u * {e} for u in {v})", "sum(u for u in {v} if u > {e})", "sum(a[i, j] for i in range(len(a)) for j in range(4))", "sum({v})", "sum({v}, {e})", "sum([u * u for u in {v}])", "any(u > {e} for u in {v})", "all(u > {e} for u in {v})", "max(u + {e} for u in x)", "min(abs(u) for u in {v})", "max(x)", "min(y)", "any(x)", "sum(u * w[i] for i, u in enumerate(v))", "sum(r.sum() for r in {m})", "sum(x > {e})"),
    # a condition
    "c": ("{e} > {e}", "i > 2", "s < {e}", "{e} == {e}", "i % 2", "{e} <= {e} < {e}", "not {e} > 0", "{e} > 0 and {e} < 2", "{e} != {e} or i == 3", "q > 5", "s", "x[{i}]", "{v}.any()", "{k}.all()", "j == i", "(x > {e}).all()", "{e} is None", "len(v) > 2", "isinstance(s, float)"),
    # an array of one axis, as long as x where nothing is cut off
    "v": ("x", "y", "v", "w", "x + {e}", "x * y", "v * 0.5", "x[::-1]", "v - w", "a[:, {j}]", "x / y", "x // {e}", "x % {e}", "-x", "abs(v)", "np.where({k}, x, {e})", "np.where({k}, v, y)", "x > y", "x[{l}]", "v[{l}]", "np.sqrt(abs(v))", "np.exp(-abs(v))", "np.maximum(v, {e})", "np.minimum(x, y)", "x.astype(np.float32)", "x ** 2", "y[p]", "x[p % len(x)]", "x[{k}]", "np.zeros_like(x)", "np.zeros(len(x))", "np.ones(len(x), dtype=np.int32)", "np.arange(len(x))", "x.copy()", "np.clip(x, 0, {e})", "{e} - x", "{e} / v", "a.sum(axis=1)", "a.max(axis=1)", "a[{i}]", "np.full(len(x), {e})", "a[{i}, :]", "b[{j}] + a[{i}]", "a @ a[{i}]", "x * 1j", "~(x > 1)", "np.isnan(x)", "np.array([s, {e}, t])", "np.flip(v)", "x.real", "np.sign(v)", "a.mean(axis=1)", "np.add(x, y)", "v[None][0]", "np.logical_and(x > 0, y)", "a.ravel()[:len(x)]", "x << 1", "x & 3", "np.empty_like(x) * 0 == 1", "np.square(x)", "a.T[{j}]", "m[:, {j}]", "x.round()", "np.copy(v)", "np.asarray(v)", "v.clip(-1, 1)", "np.float32(2) * v", "s * v", "v + s", "np.outer(x, y)[{i}]", "x.conj()", "np.abs(x - y)", "x ** k", "2 ** y", "np.log(abs(v) + 1)", "np.tanh(x)", "np.floor(v)", "a.argmax(axis=1)", "np.mod(x, 3)", "v.T", "a.any(axis=1)", "a[::-1, {j}]", "v.reshape(-1)", "x[...]", "np.roll(x, {i})", "np.roll(v, -1)", "np.diff({v})", "np.diff({v}, prepend={e})", "np.concatenate(({v}, {v}))[:len(x)]", "np.hstack(({e}, {v}))[1:]", "np.cumsum({v})", "np.cumprod(x)", "np.maximum.accumulate({v})", "np.full_like({v}, {e})", "np.linspace(0, {i}, len(x))", "np.linspace({e}, 1.0, n)", "np.squeeze({v}[:, None])", "np.linalg.norm({m}, axis=1)", "np.diag({m})", "np.diag({m}, 1)", "np.isclose({v}, {v})", "np.repeat({v}, 2)[:len(x)]", "np.tile({v}, 2)[len(x):]", "np.linalg.solve(b + 9 * np.eye(3), a[{i}])", "np.cross(b[{j}], a[{i}])", "np.round({v}, 2)", "np.ptp({m}, axis=1)", "np.average({m}, axis=1)", "np.stack((x, y))[{j} % 2]", "np.count_nonzero({m}, axis=1)", "np.array([1.0, 2.0, 3.0])", "np.append({v}, {e})[1:]", "np.add.reduce({m})", "v.cumsum()", "np.angle({v})", "np.power({v}, 3)", "np.expand_dims({v}, 0)[0]"),
    # a slice
    "l": (":", "1:", ":-1", "::2", "::-1", "{i}:", ":{i}", "{i}:{i} + 3", "-3:", "{i}:{i}", "-{i}:", "{i}::-1", "n:", ":n", "len(x):{i}:-2", "1::2", ":0"),
    # a mask as long as x
    "k": ("x > {e}", "y == {e}", "x != y", "v <= {e}", "(x > 0) & (y > 0)", "~(x > {e})", "(x > 0) | (y < {e})", "np.isnan(x)", "x.astype(bool)"),
    # an array of two axes
    "m": ("a", "m", "a * {e}", "a + x[:, None]", "a.T", "a[::-1]", "a @ b", "a - b[{j}]", "np.outer(x, y[:3])", "np.zeros_like(a)", "a[:, ::-1]", "a[{l}]", "b", "a.copy()", "a > {e}", "a.T.copy()", "np.zeros((2, len(x)))", "a + a[{i}]", "np.where(a > {e}, a, 0)", "a.sum(axis=0, keepdims=True)", "x[None]", "a.reshape(-1, 1)", "m * 0.5", "abs(a)", "a[p]", "a[{l}, 1:]", "np.maximum(a, m)", "a.astype(np.float32)", "m.T + 1", "np.exp(-abs(a))", "a / {e}", "x.reshape(1, -1)", "a.max(axis=1, keepdims=True)", "np.ones((len(x), 2))", "m[{l}]", "np.roll({m}, {i}, axis=0)", "np.roll({m}, 1)", "np.roll({m}, (1, -1), (0, 1))", "np.diff({m}, axis=0)", "np.vstack(({m}, {v}))", "np.column_stack((x, {v}))", "np.stack((x, {v}), axis=1)", "np.concatenate(({m}, {m}))", "np.hstack(({m}, {m}))", "np.triu({m})", "np.tril({m}, {i} - 2)", "np.eye(3)", "np.eye(len(x), 3) * {e}", "np.identity(3)", "np.swapaxes({m}, 0, 1)", "np.cumsum({m}, axis=0)", "np.cumsum({m}, axis=1)", "np.diag({v})", "np.linalg.inv(b + 9 * np.eye(3))", "np.linalg.solve(b + 7 * np.eye(3), b)", "np.linalg.cholesky(b @ b.T + np.eye(3))", "np.array([x, {v}])", "np.array([[{e}, {e}], [0, 1]])", "np.cross(a, b[{j}])", "np.repeat({m}, 2, axis=0)", "np.tile({v}, (2, 1))", "np.expand_dims({v}, 1)", "np.round({m}, 1)", "np.flipud({m})", "np.maximum.accumulate({m}, axis=1)", "np.isclose({m}, {m})", "np.full_like({m}, {e})"),
}  # fmt: skip

LINES = (
    "s = {s}", "x[{i}] = {s}", "v = {v}", "s += {s}", "x[{i}] += {e}", "t = {s}", "s, t = t, s", "m = {m}", "v += {e}", "x[{l}] = {e}", "x[{l}] = {v}", "x[{l}] += {v}", "x[1:] = x[:-1]", "x[:-1] += x[1:] * 0.5", "x[:] = x[::-1] + {e}", "x[::2] = x[1::2]", "a[{i}] = {v}", "a[:, {j}] = {v}", "a[:, {j}] += {e}", "a[{i}, {j}] = {s}", "a[{i}, {j}] -= {e}", "a[{i}] *= {e}", "x[{k}] = {e}", "x[{k}] += {e}", "x[{k}] = y[{k}]", "x[x > {e}] = x[x > {e}] * 2", "v, w = w, v", "w = v", "x, y = y, x", "v *= {v}", "m += {m}", "a += {m}", "np.add({v}, {v}, out=v)", "np.multiply(x, {e}, out=x)", "w[:] = {v}", "v[{i}] = {s}", "m[{i}, {j}] = {s}", "w[{l}] += {e}", "q += 1", "v -= v.mean()", "w = x[{l}]", "w = a[{i}]", "w = a[:, {j}]", "v = w[{l}]", "m = a[{l}]", "x.fill({e})", "x[...] = {e}", "a[{l}] = {m}", "a[{i}] += a[{i} - 1]", "a[:, {j}] += a[:, {j} - 1]", "t = len({v})", "p[{i}] = {i}", "p[{i}] += 1", "s = raised(x, {e})", "u = {e}", "s = u", "b[{j}, {j}] = {s}", "b = b @ b", "b = a.T @ a", "b[{j}] -= b[{j}] * {e}", "np.subtract(x[1:], x[:-1], out=x[1:])", "v //= {e}", "v /= {e}", "x %= {e}", "x[{i}], x[{i}] = x[{i}], x[{i}]", "a[[{i}, {i}]] = 0", "a[{i}], a[{i}] = a[{i}], a[{i}]", "del u", "s = x[{i}] = {e}", "v = x", "m = a", "y[{l}] = x[{l}]", "y[{i}:] += x[{i}:] * {e}", "a[{i}:, {i}:] -= {e}", "a -= np.outer(x, a[0])", "v = v + x if {c} else v", "x[p] = {e}", "x[p] += {v}", "v &= {v}", "v |= x > {e}", "t = x", "s = t", "x[-{i}:] = {e}", "w = np.append(v, {e})", "t = (s, {e})", "s = t[0]", "a.T[{j}] = {v}", "v[::-1] += v", "m[...] = m.T",
    "o.append({e})", "o.append({s})", "o.append({v})", "o.append(s)", "o.append(a[{i}])", "t = len(o)", "v = np.array([{e} for u in x])", "o = [{e} for i in range(len(x))]", "v = np.array(o[:9])",
)  # fmt: skip

#: what begins a block: where a second line is given it is the body's first
HEADS = (
    "if {c}:", "for i in range(len(x)):", "for j in range(3):", "for i in range(n):", "for u in x:", "for i, u in enumerate(x):", "for u, t in zip(x, y):", "for w in a:", "for i in range(len(x) - 1, -1, -1):", "for i in range(1, len(x), 2):", "while q < 12:\n    q += 1", "while {c} and q < 15:\n    q += 1", "for i in reversed(range(len(x))):", "for j, w in enumerate(a):", "for u in x[::-1]:", "for i in p:", "for j in range({i}, len(x)):", "for j in range({i}):", "for i in range(5, n, -2):", "for u in v:", "for w, u in zip(a, x):", "for i, (u, w) in enumerate(zip(y, a)):", "for u in (1, 2.5, s):", "for i in range(0):", "for j in range(i + 1, a.shape[1]):", "for i, u in enumerate(x, 1):", "for i in range(p[0] % 4, len(x)):", "for i, j in np.ndindex(len(x), 3):", "for i, j in np.ndindex(a.shape):", "for (i, j), u in np.ndenumerate(a):", "for i, u in zip(range(n), x):", "for j, i in enumerate(range(1, n)):", "while True:\n    q += 1\n    if q > 9 or {c}: break", "with np.errstate(all='ignore'):", "try:",
)  # fmt: skip
ENDS = ("", "break", "continue")
#: what a block ends with besides its body
TAILS = ("", "s = {s}", "x[{i}] = {e}", "v = {v}")
#: how deep holes are filled with holes
DEEPEST = 3

TYPES = ("float64", "float64", "float64", "int64", "float32", "int32", "int8", "uint8", "bool", "complex128", "uint64", "complex64", "int16", "uint32")  # fmt: skip
SIZES = (15, 3, 1, 0, 28)
LAYOUTS = ("plain", "plain", "transposed", "sliced", "last", "offset")
CHANGES = ("size", "values", "layout", "numbers", "special", "type", "nothing", "alias", "read-only")


#: what may be read behind the loops
VARIABLES = ("s", "t", "i", "v", "x", "u", "q", "j", "m", "w", "o", "np.array(o)")


@dataclass(frozen=True)
class Line:
    template: int
    choices: tuple[int, ...] = ()


@dataclass(frozen=True)
class Nest:
    """A block. end: an early way out, and tail: what an `else` holds, if anything."""

    head: int
    choices: tuple[int, ...]
    body: tuple[Line | Nest, ...]
    end: int = 0
    tail: int = 0


@dataclass(frozen=True)
class Call:
    """One call's arguments."""

    size: int = 15
    types: tuple[str, str, str] = ("float64", "float64", "float64")
    layout: str = "plain"
    seed: int = 0
    special: bool = False
    n: int = 4
    k: float = 0.5
    alias: bool = False
    read_only: bool = False

    def changed(self, how: str, amount: int) -> Call:
        if how == "size":
            return replace(self, size=SIZES[amount % len(SIZES)])
        if how == "values":
            return replace(self, seed=self.seed + 1 + amount)
        if how == "layout":
            return replace(self, layout=LAYOUTS[amount % len(LAYOUTS)])
        if how == "numbers":
            return replace(self, n=(5, 0, -2, 1, 20)[amount % 5], k=(1.5, -2.0, 0.0, 3.0)[amount % 4])
        if how == "special":
            return replace(self, special=True, seed=self.seed + amount)
        if how == "type":
            return replace(self, types=(*self.types[1:], TYPES[amount % len(TYPES)]))
        return replace(self, alias=how == "alias", read_only=how == "read-only")

    def arguments(self) -> list[Any]:
        arrays = NumpyArrays()
        one, two, three = self.types
        specs = (
            ArraySpec((self.size,), one, self.layout, self.seed, self.special),
            ArraySpec((self.size,), two, self.layout if self.seed % 2 else "plain", self.seed + 1),
            ArraySpec((self.size, 4), three, self.layout, self.seed, self.special),
            ArraySpec((4, 4), three, "plain", self.seed + 3),
        )
        x, y, a, b = (arrays.make(s) for s in specs)
        p = np.random.default_rng(self.seed).permutation(self.size)
        if self.alias and self.size:
            y = x[::-1]
        if self.read_only:
            x.flags.writeable = False
        return [x, y, a, b, p, self.n, self.k]


@dataclass(frozen=True)
class LoopCase:
    body: tuple[Line | Nest, ...]
    calls: tuple[Call, ...]
    shown: tuple[str, ...] = VARIABLES
    quiet: bool = False
    backend: str = "inductor"
    dynamic: bool | None = None


# --------------------------------------------------------------------------- text

_HOLE = re.compile(r"\{(\w)\}")


def _filled(template: str, choices: Iterator[int], depth: int = 0) -> str:
    def fill(hole: re.Match[str]) -> str:
        ways = GRAMMAR[hole[1]]
        # behind the deepest only what has no holes itself
        fitting = ways if depth < DEEPEST else [w for w in ways if not _HOLE.search(w)]
        text = _filled(fitting[next(choices, 0) % len(fitting)], choices, depth + 1)
        return f"({text})" if depth and " " in text and hole[1] != "l" else text

    return _HOLE.sub(fill, template)


def _lines(part: Line | Nest, loops: int) -> list[str]:
    choices = iter(part.choices)
    if isinstance(part, Line):
        return [_filled(LINES[part.template % len(LINES)], choices)]
    head, *more = _filled(HEADS[part.head % len(HEADS)], choices).split("\n")
    is_loop = head.startswith(("for", "while"))
    body = [line.removeprefix("    ") for line in more]
    for inner in part.body:
        body += _lines(inner, loops + is_loop)
    end = ENDS[part.end % len(ENDS)]
    if end and loops + is_loop:
        body.append(f"if {_filled('{c}', choices)}: {end}" if is_loop else end)
    made = [head, *("    " + line for line in body or ["pass"])]
    tail = TAILS[part.tail % len(TAILS)]
    if head == "try:":
        made += ["except (ArithmeticError, IndexError, ValueError, TypeError):", "    s = -1"]
    elif tail and (is_loop or head.startswith("if")):
        made += ["else:", "    " + _filled(tail, choices)]
    return made


def text_of(case: LoopCase) -> str:
    lines = [line for part in case.body for line in _lines(part, 0)]
    if case.quiet:
        lines = ["with np.errstate(all='ignore'):", *("    " + line for line in lines)]
    begun = ["i = j = q = 0", "s = 0", "t = 1.0", "u = k", "v = x * 1", "w = y", "m = a + 0", "o = []"]
    return (
        "def program(x, y, a, b, p, n, k):\n"
        + "".join(f"    {line}\n" for line in [*begun, *lines])
        + f"    return {', '.join(case.shown)}\n"
    )


@functools.lru_cache(256)
def _code_of(text: str) -> types.CodeType:
    return compile(PRELUDE + text, "<hunted loops>", "exec")


def function_of(text: str) -> Callable[..., Any]:
    scope: dict[str, Any] = {}
    exec(_code_of(text), scope)  # noqa: S102 - our own text
    return scope["program"]


# --------------------------------------------------------------------------- comparing


def _close(want: Numbers, disturbed: Sequence[Numbers]) -> tuple[float, float]:
    """Sums may be made in another order, and functions differ in their last places."""
    w = np.abs(want.elements[np.isfinite(want.elements)])
    relative = 2.0**15 * want.step
    return relative, relative * min(float(w.max(initial=0.0)), 1e100)


COMPARISON = Comparison(_close, signs=False)


def observe(function: Callable[..., Any], call: Call) -> Recorder:
    """Call once, on fresh arguments: all that there is to see of it."""
    arguments = call.arguments()
    result = error = None
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            result = function(*arguments)
        except Exception as raised:
            if type(raised).__module__.startswith("quern"):
                raise
            error = raised
            forget_tracebacks(raised)
    recorder = Recorder(GROUND.parts)
    recorder.write(None if error is None else f"{type(error).__name__}: {error}", "error")
    recorder.write(result, "result")
    recorder.write(arguments, "arguments")
    own = {f"{w.category.__name__}: {w.message}" for w in heard if not str(w.message).startswith("quern")}
    recorder.write(sorted(own), "warnings")
    return recorder


def check(case: LoopCase) -> None:
    """Raises Difference, or what quern raised, when the compiled program can be told from the plain one."""
    text = text_of(case)
    plain = function_of(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            plain(*case.calls[0].arguments())
        except TypeError:  # which types go together is no question of loops
            return
        except Exception:  # noqa: S110  # compared below, as every other outcome is
            pass
    quern.reset()
    fast = quern.compile(function_of(text), backend=case.backend, dynamic=case.dynamic)
    for number, call in enumerate(case.calls):
        try:
            want, got = observe(plain, call), observe(fast, call)
            COMPARISON.check(want.facts, got.facts)
        except Exception as error:
            calls = "\n".join(map(str, case.calls[: number + 1]))
            error.add_note(f"call {number}\n{text}{case.backend}, dynamic={case.dynamic}\n{calls}")
            raise


# --------------------------------------------------------------------------- drawing

_SMALL = st.integers(0, 60)
_CHOICES = st.lists(_SMALL, max_size=8).map(tuple)
_LINE = st.builds(Line, st.integers(0, len(LINES) - 1), _CHOICES)
_ENDS = st.sampled_from((0, 0, 0, 0, 0, 1, 2))
_TAILS = st.sampled_from((0, 0, 0, 0, 0, 0, 0, 1, 2, 3))
_HEAD = st.integers(0, len(HEADS) - 1)


def _nest(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(Nest, _HEAD, _CHOICES, st.lists(inner, min_size=1, max_size=3).map(tuple), _ENDS, _TAILS)


_PART = st.recursive(_LINE, lambda inner: st.one_of(inner, _nest(inner)), max_leaves=3)
_BODY = st.lists(_PART, min_size=1, max_size=3).map(tuple)
#: a loop over everything, then what else there is
_PROGRAM = st.tuples(
    st.builds(Nest, st.integers(1, len(HEADS) - 1), _CHOICES, _BODY, _ENDS, _TAILS), st.lists(_LINE, max_size=1)
)
_FIRST = st.builds(
    Call, st.sampled_from((15, 15, 15, *SIZES)), st.tuples(*[st.sampled_from(TYPES)] * 3), st.sampled_from(LAYOUTS), st.integers(0, 50), st.booleans(),
    st.sampled_from((4, 1, 9, 0)), st.sampled_from((0.5, 2.0, -1.25)),
)  # fmt: skip


def _calls(first: Call, changes: Sequence[tuple[str, int]]) -> tuple[Call, ...]:
    made = [first]
    for how, amount in changes:
        made.append(made[-1].changed(how, amount))
    return tuple(made)


#: how programs are drawn
CASES = st.builds(
    LoopCase,
    _PROGRAM.map(lambda drawn: (drawn[0], *drawn[1])),
    st.builds(
        _calls, _FIRST, st.lists(st.tuples(st.sampled_from(CHANGES), st.integers(0, 13)), min_size=1, max_size=4)
    ),
    st.lists(st.sampled_from(VARIABLES), min_size=1, max_size=5, unique=True).map(tuple),
    st.booleans(),
    st.sampled_from(("inductor", "inductor", "inductor", "eager")),
    st.sampled_from((None, None, None, True, False)),
)
