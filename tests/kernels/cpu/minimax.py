"""Where the coefficients of `kernels/cpu` come from: `python tests/kernels/cpu/minimax.py [NAME ...]` fits them anew and prints them.

Remez's exchange (E. Remez, 1934; W. Fraser, 1965) in 50 digits, by relative error of the function, with the coefficients rounded one after the
other, lowest first, and the rest fitted again to what is left.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from mpmath import mp, mpf

mp.dps = 50
GRID = 800  # points at which the error is looked at


@dataclass(frozen=True)
class Fit:
    """goal(x) is what the polynomial in x is to be, over low .. high; weight(x): what an error of 1 means, relative to the function"""

    goal: Callable[[Any], Any]
    weight: Callable[[Any], Any]
    low: Any
    high: Any
    terms: int
    kind: type = np.float64


def _rounded(x: Any, kind: type) -> Any:
    if kind is np.float64:
        return mpf(float(x))
    # to float32 without a rounding to float64 between, as far as 53 bits tell
    return mpf(float(np.float32(float(x))))


def _remez(xs: list[Any], goal: list[Any], weight: list[Any], powers: range) -> tuple[list[Any], Any]:
    """Coefficients of the powers that make the largest weighted error over the points least, and that error."""
    n, last = len(powers), len(xs) - 1
    at = sorted(
        {round(last * (1 - float(mpmath.cos(mpmath.pi * i / n))) // 2) for i in range(n + 1)} if n > 1 else {0, last}
    )
    while len(at) < n + 1:
        at = sorted({*at, next(i for i in range(last + 1) if i not in at)})
    best: tuple[list[Any], Any] | None = None
    for _ in range(12):
        rows = [[xs[i] ** p for p in powers] + [(-1) ** k / weight[i]] for k, i in enumerate(at)]
        solved = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([goal[i] for i in at]))
        found = [solved[i] for i in range(n)]
        errors = []
        for x, g, w in zip(xs, goal, weight):
            y = mpf(0)
            for c in reversed(found):
                y = y * x + c
            errors.append((y * x ** powers[0] - g) * w)
        worst = max(abs(e) for e in errors)
        if best is None or worst < best[1]:
            best = found, worst
        if worst <= abs(solved[n]) * mpf("1.01"):
            break
        runs: list[int] = []  # the largest error of each run of one sign
        for i, e in enumerate(errors):
            if runs and (e > 0) == (errors[runs[-1]] > 0):
                if abs(e) > abs(errors[runs[-1]]):
                    runs[-1] = i
            else:
                runs.append(i)
        while len(runs) > n + 1:
            runs.pop(0 if abs(errors[runs[0]]) < abs(errors[runs[-1]]) else -1)
        if len(runs) < n + 1:
            break
        at = runs
    assert best is not None
    return best


def fit(f: Fit) -> tuple[list[Any], Any]:
    """The rounded coefficients, lowest first, and the largest relative error."""
    middle, half = (mpf(f.high) + f.low) / 2, (mpf(f.high) - f.low) / 2
    xs = [middle - half * mpmath.cos(mpmath.pi * i / GRID) for i in range(GRID + 1)]
    xs = [x for x in xs if x != 0]
    goal, weight = [f.goal(x) for x in xs], [f.weight(x) for x in xs]
    left, made = goal, []
    centred = f.low < 0 < f.high  # then the higher powers alone cannot mend what the lower ones lost
    found, _ = _remez(xs, left, weight, range(f.terms))
    for p in range(f.terms):
        if p and not centred:
            found = [mpf(0)] * p + _remez(xs, left, weight, range(p, f.terms))[0]
        made.append(_rounded(found[p], f.kind))
        left = [g - made[-1] * x**p for g, x in zip(left, xs)]
    return made, max(abs(g * w) for g, w in zip(left, weight))


def _odd(function: Callable[[Any], Any], low: Any, high: Any, terms: int, kind: type = np.float64) -> Fit:
    """f(x) = x + x z P(z), z = x^2, on low .. high of z"""

    def goal(z: Any) -> Any:
        x = mpmath.sqrt(z)
        return (function(x) / x - 1) / z

    def weight(z: Any) -> Any:
        x = mpmath.sqrt(z)
        return x * z / function(x)

    return Fit(goal, weight, low, high, terms, kind)


def erfcx(x: Any) -> Any:
    """exp(x^2) erfc(x)"""
    return mpmath.exp(x * x) * mpmath.erfc(x)


#: of the variable u = (x - ERFC_CENTRE) / (x + ERFC_CENTRE); 3.5 is one whose first coefficients are near doubles
ERFC_CENTRE = mpf("3.5")


def _erfc_goal(u: Any) -> Any:
    x = ERFC_CENTRE * (1 + u) / (1 - u)
    return erfcx(x) * (1 + 2 * x)


def _erf_goal(z: Any) -> Any:
    x = mpmath.sqrt(z)
    return mpmath.erf(x) / x - 1


FITS = {
    "atan": _odd(mpmath.atan, 0, 0.25, 12),
    "atan float": _odd(mpmath.atan, 0, 0.25, 6, np.float32),
    "tan": _odd(mpmath.tan, 0, (mpmath.pi / 4) ** 2 * 1.001, 15),
    "asin": _odd(mpmath.asin, 0, 0.25, 13),
    "asinh": _odd(mpmath.asinh, 0, 0.25, 12),
    "atanh": _odd(mpmath.atanh, 0, 0.25, 14),
    "erf": Fit(_erf_goal, lambda z: mpmath.sqrt(z) / mpmath.erf(mpmath.sqrt(z)), 0, mpf("0.845") ** 2, 12),
    "log erfc": Fit(
        lambda x: mpmath.log(mpmath.erfc(x)), lambda x: mpmath.erfc(x) / mpmath.erf(x), mpf("0.84"), mpf("5.93"), 19
    ),
    "erfc": Fit(
        _erfc_goal, lambda u: 1 / _erfc_goal(u), (mpf("0.46") - ERFC_CENTRE) / (mpf("0.46") + ERFC_CENTRE),
        (mpf("27.3") - ERFC_CENTRE) / (mpf("27.3") + ERFC_CENTRE), 22,
    ),
    # pow: 2 atanh(s) = 2 s + s z (2/3 + z P(z)); an error of P is as z^2 / 2 to the whole
    "log": Fit(
        lambda z: (2 * mpmath.atanh(mpmath.sqrt(z)) / mpmath.sqrt(z) - 2 - z * 2 / 3) / z**2,
        lambda z: z**2 * mpmath.sqrt(z) / (2 * mpmath.atanh(mpmath.sqrt(z))),
        0, (mpmath.sqrt(2) - 1) ** 4 * 1.001, 7,
    ),
}  # fmt: skip


def main(names: list[str]) -> None:
    for name in names or FITS:
        made, worst = fit(FITS[name])
        print(f"{name}: 2^{float(mpmath.log(worst, 2)):.1f}")
        print(
            ", ".join(repr(float(c)) if FITS[name].kind is np.float64 else f"{np.float32(float(c))!s}f" for c in made)
        )


if __name__ == "__main__":
    main(sys.argv[1:])
