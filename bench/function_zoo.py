"""NumPy functions for `python -m bench functions`: what scientists and analysts write over arrays of one to eight million elements.

A program is a plain function over `np`, so that the same text runs in NumPy, quern, Numba and, with jax.numpy as its `np`, in JAX. What numexpr can
say stands beside it as a string over the argument names. Add a program by adding a function.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MILLION = 1 << 20


@dataclass(frozen=True)
class Program:
    """inputs: the arguments, from a generator of random numbers; numexpr: the same in numexpr's language, "" where it has none
    writes: it may write to its arguments: each call gets copies
    """

    function: Callable[..., Any]
    inputs: Callable[[np.random.Generator], tuple[Any, ...]]
    numexpr: str = ""
    writes: bool = False


#: by name
PROGRAMS: dict[str, Program] = {}

Inputs = Callable[[np.random.Generator], tuple[Any, ...]]


def program(inputs: Inputs, numexpr: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into `PROGRAMS` under its name."""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS[function.__name__] = Program(function, inputs, numexpr)
        return function

    return enter


def normal(*shapes: tuple[int, ...], dtype: Any = np.float64) -> Inputs:
    return lambda g: tuple(g.standard_normal(shape).astype(dtype) for shape in shapes)


def uniform(*bounds: tuple[float, float], size: int = MILLION, dtype: Any = np.float64) -> Inputs:
    """One array for each pair of bounds."""
    return lambda g: tuple(g.uniform(low, high, size).astype(dtype) for low, high in bounds)


# --------------------------------------------------------------------------- element by element


@program(
    normal((4 * MILLION,), (4 * MILLION,), dtype=np.float32), "tanh(sin(x) * cos(y) + exp(-x * x)) / (1 + abs(x - y))"
)
def pointwise_chain(x, y):
    return np.tanh(np.sin(x) * np.cos(y) + np.exp(-x * x)) / (1 + np.abs(x - y))


@program(uniform((50, 150), (50, 150), (0.1, 2)))
def black_scholes(price, strike, years):
    """With the normal distribution function of Abramowitz and Stegun, 26.2.17."""
    rate, volatility = 0.02, 0.3
    root = volatility * np.sqrt(years)
    d1 = (np.log(price / strike) + (rate + 0.5 * volatility * volatility) * years) / root
    d2 = d1 - root
    t1 = 1 / (1 + 0.2316419 * np.abs(d1))
    t2 = 1 / (1 + 0.2316419 * np.abs(d2))
    p1 = t1 * (0.319381530 + t1 * (-0.356563782 + t1 * (1.781477937 + t1 * (-1.821255978 + t1 * 1.330274429))))
    p2 = t2 * (0.319381530 + t2 * (-0.356563782 + t2 * (1.781477937 + t2 * (-1.821255978 + t2 * 1.330274429))))
    tail1 = np.exp(-0.5 * d1 * d1) * 0.3989422804014327 * p1
    tail2 = np.exp(-0.5 * d2 * d2) * 0.3989422804014327 * p2
    n1 = np.where(d1 < 0, tail1, 1 - tail1)
    n2 = np.where(d2 < 0, tail2, 1 - tail2)
    return price * n1 - strike * np.exp(-rate * years) * n2


@program(
    normal((8 * MILLION,)),
    "1 + x * (0.5 + x * (0.25 + x * (-0.125 + x * (0.0625 + x * (-0.03 + x * (0.01 + x * (-0.002 + x * 0.0003)))))))",
)
def polynomial(x):
    """Degree 8, by Horner's rule."""
    return 1 + x * (
        0.5 + x * (0.25 + x * (-0.125 + x * (0.0625 + x * (-0.03 + x * (0.01 + x * (-0.002 + x * 0.0003))))))
    )


@program(
    uniform((-1.5, 1.5), (-3, 3), (-1.5, 1.5), (-3, 3)),
    "12742.0 * arcsin(sqrt(sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2))",
)
def haversine(lat1, lon1, lat2, lon2):
    """Great-circle distances in km."""
    h = np.sin((lat2 - lat1) / 2) ** 2 + np.cos(lat1) * np.cos(lat2) * np.sin((lon2 - lon1) / 2) ** 2
    return 12742.0 * np.arcsin(np.sqrt(h))


@program(
    uniform((-1.5, 1.5), (-3, 3), (-1.5, 1.5), (-3, 3)),
    "2 * arctan2(sqrt(sin((a2 - a1) / 2) ** 2 + cos(a1) * cos(a2) * sin((b2 - b1) / 2) ** 2),"
    " sqrt(1 - sin((a2 - a1) / 2) ** 2 - cos(a1) * cos(a2) * sin((b2 - b1) / 2) ** 2))",
)
def arc_distance(a1, b1, a2, b2):
    t = np.sin((a2 - a1) / 2) ** 2 + np.cos(a1) * np.cos(a2) * np.sin((b2 - b1) / 2) ** 2
    return 2 * np.arctan2(np.sqrt(t), np.sqrt(1 - t))


@program(normal((2 * MILLION,), (2 * MILLION,)))
def polar(x, y):
    """Radius and angle of points."""
    return np.hypot(x, y), np.arctan2(y, x)


@program(uniform((-100, 100), size=2 * MILLION), "(x + pi) % (2 * pi) - pi".replace("pi", str(math.pi)))
def wrap_angles(x):
    return (x + math.pi) % (2 * math.pi) - math.pi


@program(uniform((-40, 10), (5, 100), size=2 * MILLION), "13.12 + 0.6215 * t - 11.37 * v**0.16 + 0.3965 * t * v**0.16")
def wind_chill(t, v):
    w = v**0.16
    return 13.12 + 0.6215 * t - 11.37 * w + 0.3965 * t * w


@program(
    normal((8 * MILLION,), (8 * MILLION,), dtype=np.float32), "where(x > y, x * x - y, where(x < -y, y - 2 * x, x * y))"
)
def branches(x, y):
    """Comparisons and `where`, nested."""
    return np.where(x > y, x * x - y, np.where(x < -y, y - 2 * x, x * y))


@program(uniform((-2, 0.5), (-1.2, 1.2), size=MILLION, dtype=np.float32))
def mandelbrot(cr, ci):
    """How many of twenty steps stay near the origin."""
    x, y = cr * 0, ci * 0
    count = cr * 0
    for _ in range(20):
        xx, yy = x * x, y * y
        inside = xx + yy < 4
        count = count + inside
        y = np.where(inside, 2 * x * y + ci, y)
        x = np.where(inside, xx - yy + cr, x)
    return count


@program(lambda g: (g.integers(0, 1 << 32, 4 * MILLION, np.uint32),))
def integer_hash(x):
    """Shifts, exclusive ors and wrap-around products of 32-bit integers."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x7FEB352D)
    x = (x ^ (x >> np.uint32(15))) * np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


# --------------------------------------------------------------------------- down to one number


@program(normal((8 * MILLION,)))
def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@program(normal((8 * MILLION,), (8 * MILLION,), dtype=np.float32))
def l2_distance(a, b):
    d = a - b
    return np.sqrt(np.sum(d * d))


@program(normal((4 * MILLION,), (4 * MILLION,)))
def correlation(x, y):
    """Pearson's."""
    u, v = x - x.mean(), y - y.mean()
    return (u * v).sum() / np.sqrt((u * u).sum() * (v * v).sum())


@program(uniform((0, 1), (-1, 1), size=8 * MILLION))
def weighted_mean(w, x):
    return (w * x).sum() / w.sum()


@program(
    lambda g: (g.standard_normal(4 * MILLION).astype(np.float32), (g.random(4 * MILLION) < 0.5).astype(np.float32))
)
def cross_entropy(logits, targets):
    """Of a logistic regression."""
    return np.mean(np.maximum(logits, 0) - logits * targets + np.log1p(np.exp(-np.abs(logits))))


@program(normal((8 * MILLION,)))
def count_between(x):
    return np.sum((x > -0.5) & (x < 1.5))


# --------------------------------------------------------------------------- rows, columns, windows


@program(normal((4096, 1024), dtype=np.float32))
def softmax_rows(x):
    e = np.exp(x - x.max(axis=1).reshape(-1, 1))
    return e / e.sum(axis=1).reshape(-1, 1)


@program(normal((8192, 256)))
def log_sum_exp(x):
    m = x.max(axis=1)
    return m + np.log(np.exp(x - m.reshape(-1, 1)).sum(axis=1))


@program(normal((4000, 1000), dtype=np.float32))
def standardise_rows(x):
    return (x - x.mean(axis=1, keepdims=True)) / x.std(axis=1, keepdims=True)


@program(normal((40000, 100)))
def standardise_columns(x):
    return (x - x.mean(axis=0)) / x.std(axis=0)


@program(normal((200000, 20)))
def column_statistics(x):
    return x.mean(axis=0), x.std(axis=0), x.min(axis=0), x.max(axis=0)


@program(normal((200000, 20), dtype=np.float32))
def scale_columns(x):
    """To 0 .. 1."""
    low, high = x.min(axis=0), x.max(axis=0)
    return (x - low) / (high - low)


@program(lambda g: (g.random((1024, 2048, 3), np.float32), np.array([0.2126, 0.7152, 0.0722], np.float32)))
def luminance(image, weights):
    """A reduction over three channels that lie side by side."""
    return (image * weights).sum(axis=-1)


@program(lambda g: (g.random((1024, 2048, 3), np.float32),))
def greyscale(image):
    """The same by slices, with gamma and contrast."""
    grey = 0.2126 * image[:, :, 0] + 0.7152 * image[:, :, 1] + 0.0722 * image[:, :, 2]
    return np.minimum(np.maximum((np.sqrt(grey) - 0.5) * 1.5 + 0.5, 0), 1)


@program(normal((1500, 3), (1500, 3)))
def pairwise_distances(a, b):
    d = a.reshape(-1, 1, 3) - b.reshape(1, -1, 3)
    return np.sqrt((d * d).sum(axis=-1))


@program(normal((2000,), (1000,), dtype=np.float32))
def gaussian_kernel(x, y):
    """exp(-(x - y)^2 / 2) of all pairs."""
    d = x.reshape(-1, 1) - y
    return np.exp(-0.5 * d * d)


@program(normal((8 * MILLION,)))
def moving_average(x):
    """Five points, by slices."""
    return (x[:-4] + x[1:-3] + x[2:-2] + x[3:-1] + x[4:]) / 5


@program(normal((MILLION,)))
def rolling_windows(x):
    """Mean and spread of each run of sixteen."""
    w = np.lib.stride_tricks.sliding_window_view(x, 16)
    return w.mean(axis=-1), w.std(axis=-1)


@program(normal((4000, 1000)))
def windowed_rows(x):
    """Rows under a window: an array that is known when the function is compiled."""
    return x * np.hanning(1000)


@program(normal((2048, 2048)))
def heat_step(u):
    """One step of the five-point stencil."""
    return u[1:-1, 1:-1] + 0.1 * (u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1])


@program(normal((2048, 2048), dtype=np.float32))
def symmetrise(a):
    return (a + a.T) / 2


@program(normal((4 * MILLION,)))
def cumulative_mean(x):
    return np.cumsum(x) / np.arange(1, x.size + 1)


@program(normal((2000, 2000), dtype=np.float32))
def cumulative_rows(x):
    return np.cumsum(x * x, axis=1)


@program(lambda g: (g.standard_normal(4 * MILLION),))
def largest_step(x):
    d = np.abs(x[1:] - x[:-1])
    return d.max(), np.argmax(d)
