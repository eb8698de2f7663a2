"""Random programs over a few arrays: views of views, writes through them, functions of all sorts; as Python source.

Every statement is legal NumPy for the shapes at hand (the generator runs the program as it writes it). Programs that
read and write the same memory in many ways are what the functional form of writes has to get right.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

_UNARY = ("np.sin({})", "-{}", "abs({})", "np.sqrt(abs({}))", "{} ** 2", "np.exp(-abs({}))", "{}.copy()", "np.cumsum({}, axis=0)",
          "np.where({0} > 0, {0}, 0.5)", "np.clip({}, -1, 1)", "np.tanh({})", "np.sort({}, axis=-1)", "{} / 3", "2 - {}")  # fmt: skip
_BINARY = ("{} + {}", "{} * {}", "{} - {}", "np.maximum({}, {})", "np.where({0} > {1}, {1}, {0})", "np.hypot({}, {})")
_VIEWS = ("{}.T", "{}[1:]", "{}[:-1]", "{}[::2]", "{}[::-1]", "{}[..., ::-1]", "{}[None]", "{}.reshape(-1)", "{}[0]", "{}[-1]",
          "{}.ravel()", "{}[..., 0]", "{}[..., 1:]", "np.squeeze({})", "np.flip({})", "{}[:, None]", "{}.swapaxes(0, -1)", "{}[...]")  # fmt: skip
_REDUCTIONS = (
    "{}.sum()",
    "{}.mean(axis=0)",
    "{}.max()",
    "{}.sum(axis=-1, keepdims=True)",
    "{}.std()",
    "np.prod({})",
    "{}.min(axis=0)",
)
_WRITES = ("{} += {}", "{} *= 0.5", "{}[...] = {}", "{}[0] = 1.5", "{}[..., -1] = 0", "{}[{}> 0.3] = 0.25", "{}[::2] -= 1",
           "np.add({}, 1, out={})", "{}.fill(0.75)", "{}[-1] *= 2", "{0}[1:] = {0}[:-1]", "{0}[{0} < 0] += 1", "{0} -= {0}.mean()")  # fmt: skip


def program(seed: int, length: int = 12) -> tuple[str, list[np.ndarray]]:
    """(source of `def f(a, b): ...`, arguments). The same seed gives the same program."""
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    shapes = [(4, 3), (4, 3)] if rng.random() < 0.5 else [(3, 2, 4), (2, 4)]
    arguments = [numbers.standard_normal(s) for s in shapes]
    if rng.random() < 0.3:
        arguments[0] = np.asfortranarray(arguments[0])
    scope: dict[str, Any] = {"np": np, "a": arguments[0].copy(order="K"), "b": arguments[1].copy(order="K")}
    names, lines = ["a", "b"], []
    while len(lines) < length:
        line = _statement(rng, scope, names, len(lines))
        if line is not None:
            lines.append(line)
    picked = list(dict.fromkeys([*rng.sample(names, min(4, len(names))), names[-1]]))
    body = "".join(f"    {line}\n" for line in lines)
    return f"def f(a, b):\n{body}    return {', '.join(picked)},\n", arguments


def _statement(rng: random.Random, scope: dict[str, Any], names: list[str], number: int) -> str | None:
    """One more statement, run in `scope`; None when the attempt was not legal."""
    table = rng.choices((_UNARY, _BINARY, _VIEWS, _REDUCTIONS, _WRITES), (3, 4, 5, 1, 5))[0]
    text = rng.choice(table)
    one, two = rng.choice(names), rng.choice(names)
    if table is _WRITES:
        line = text.format(one, one if text == "{}[{}> 0.3] = 0.25" or "out=" in text else two)
        target = ""
    else:
        target = f"v{number}"
        line = f"{target} = {text.format(one, two)}"
    trial = {k: v for k, v in scope.items()}
    before = {k: np.array(v) for k, v in scope.items() if isinstance(v, np.ndarray)}
    try:
        with np.errstate(all="raise"):
            exec(line, trial)  # noqa: S102 - our own text
    except Exception:
        for k, v in before.items():  # a failed statement may have written already
            if scope[k].flags.writeable:
                scope[k][...] = v
        return None
    scope.update(trial)
    if target:
        names.append(target)
    return line
