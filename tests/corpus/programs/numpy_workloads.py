"""Realistic NumPy functions: what people write before they look for a compiler.

Every function is one graph: no printing, no data-dependent branch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from registry import Expect, Topic

Maker = Callable[[np.random.Generator, int], tuple[Any, ...]]

program = Topic(__name__, expect=Expect.WHOLE)


def workload(maker: Maker, small: int = 37, rtol: float = 1e-6) -> Callable[..., Any]:
    """Register the decorated function with a maker of arguments of size `small`: other numbers for each call."""
    return program(args=lambda call: maker(np.random.default_rng(call), small), error=rtol)


def _f64(*dims: int) -> Maker:
    return lambda rng, n: (rng.standard_normal((n, *dims)),)


def _f32(*dims: int) -> Maker:
    return lambda rng, n: (rng.standard_normal((n, *dims)).astype(np.float32),)


def _square(dtype: str = "float64", of: int = 1) -> Maker:
    def make(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
        return tuple(rng.random((n, n + 3)).astype(dtype) for _ in range(of))

    return make


def _image(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    return (rng.integers(0, 256, (n, n + 5, 3), dtype=np.uint8),)


# ------------------------------------------------------------------ finance


def _options(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    return (rng.uniform(10, 200, n), rng.uniform(10, 200, n), rng.uniform(0.1, 3, n), 0.03, rng.uniform(0.1, 0.6, n))


def _normal_cdf(x):
    """Abramowitz and Stegun 26.2.17."""
    t = 1.0 / (1.0 + 0.2316419 * np.abs(x))
    poly = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    tail = np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi) * poly
    return np.where(x >= 0, 1.0 - tail, tail)


@workload(_options)
def black_scholes(spot, strike, years, rate, volatility):
    """European call and put prices."""
    root = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + 0.5 * volatility**2) * years) / root
    d2 = d1 - root
    discounted = strike * np.exp(-rate * years)
    call = spot * _normal_cdf(d1) - discounted * _normal_cdf(d2)
    return call, call - spot + discounted


@workload(lambda rng, n: (100 * np.exp(np.cumsum(rng.normal(0, 0.01, n))),))
def log_returns(prices):
    """Mean, deviation and annualised volatility of daily log returns."""
    returns = np.diff(np.log(prices))
    deviation = returns.std(ddof=1)
    return {"mean": returns.mean(), "std": deviation, "annual": deviation * np.sqrt(252)}


@workload(lambda rng, n: (100 * np.exp(np.cumsum(rng.normal(0, 0.01, n))),))
def max_drawdown(prices):
    """The largest relative fall from a running maximum."""
    peak = np.maximum.accumulate(prices)
    return np.max((peak - prices) / peak)


@workload(lambda rng, n: (rng.standard_normal((8, n)), 1.5))
def sharpe_ratios(returns, free_rate):
    """Per-asset Sharpe ratio, the best first."""
    ratio = (returns.mean(axis=1) - free_rate / 252) / returns.std(axis=1)
    return ratio, ratio.max()


# ------------------------------------------------------------------ machine learning


@workload(_f64(50))
def softmax(x):
    shifted = np.exp(x - x.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


@workload(_f32(50), rtol=1e-5)
def log_softmax(x):
    top = np.max(x, axis=1, keepdims=True)
    return x - top - np.log(np.sum(np.exp(x - top), axis=1, keepdims=True))


@workload(_f32(64), rtol=1e-4)
def layer_norm(x):
    mean = x.mean(-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + 1e-5)


@workload(_f64(12))
def standardize(x):
    """Columns to zero mean and unit deviation; constant columns are left alone."""
    deviation = x.std(axis=0)
    return (x - x.mean(axis=0)) / np.where(deviation == 0, 1.0, deviation)


@workload(lambda rng, n: (rng.standard_normal((n, 16)), rng.standard_normal(16), rng.random(n) < 0.5, 0.1))
def logistic_gradient(x, w, labels, decay):
    """Loss and gradient of regularised logistic regression."""
    z = x @ w
    p = 1 / (1 + np.exp(-z))
    loss = np.mean(np.logaddexp(0, z) - labels * z) + 0.5 * decay * np.sum(w * w)
    return loss, x.T @ (p - labels) / len(labels) + decay * w


@workload(lambda rng, n: (rng.standard_normal((n, 8)), rng.standard_normal((8, 32)), rng.standard_normal(32),
                          rng.standard_normal((32, 4)), rng.standard_normal(4)))  # fmt: skip
def two_layer_net(x, w1, b1, w2, b2):
    hidden = np.maximum(x @ w1 + b1, 0)
    return np.tanh(hidden @ w2 + b2)


@workload(_f32(), rtol=1e-5)
def gelu_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi).astype(np.float32) * (x + 0.044715 * x**3)))


@workload(lambda rng, n: (rng.standard_normal((n, 3)), rng.standard_normal((5, 3))))
def kmeans_step(points, centres):
    """Labels, inertia and new centres of one Lloyd iteration, by one-hot sums."""
    distance = ((points[:, None, :] - centres[None, :, :]) ** 2).sum(axis=2)
    labels = distance.argmin(axis=1)
    member = (labels[:, None] == np.arange(len(centres))).astype(points.dtype)
    counts = member.sum(axis=0)
    moved = member.T @ points / np.maximum(counts, 1)[:, None]
    return labels, distance.min(axis=1).sum(), moved


@workload(lambda rng, n: (rng.standard_normal((n, 16)), rng.standard_normal((n + 2, 16))), small=21)
def pairwise_distances(a, b):
    """Euclidean distances by the expanded square."""
    squared = (a * a).sum(1)[:, np.newaxis] + (b * b).sum(1)[np.newaxis, :] - 2 * (a @ b.T)
    return np.sqrt(np.maximum(squared, 0))


@workload(lambda rng, n: (rng.standard_normal((n, 3)), rng.standard_normal((n, 3))), small=21)
def pairwise_broadcast(a, b):
    return np.sqrt(np.sum((a[:, None] - b[None]) ** 2, axis=-1))


@workload(_f64(6))
def cosine_similarity(x):
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit[0]


@workload(lambda rng, n: (rng.standard_normal((n, 6)), rng.standard_normal(6)))
def pca_power_step(x, v):
    """One power iteration on the covariance matrix, and the Rayleigh quotient."""
    centred = x - x.mean(axis=0)
    covariance = centred.T @ centred / (x.shape[0] - 1)
    w = covariance @ v
    w = w / np.sqrt(w @ w)
    return w, w @ covariance @ w


@workload(lambda rng, n: (rng.integers(0, 10, n), rng.standard_normal((n, 10))))
def cross_entropy(labels, logits):
    top = logits.max(axis=1, keepdims=True)
    log_norm = np.log(np.exp(logits - top).sum(axis=1)) + top[:, 0]
    return (log_norm - logits[np.arange(len(labels)), labels]).mean()


@workload(lambda rng, n: (rng.integers(0, 7, n), 7))
def one_hot(labels, classes):
    return (labels[:, None] == np.arange(classes)[None, :]).astype(np.float32)


@workload(lambda rng, n: (rng.random(n) < 0.4, rng.random(n) < 0.5))
def f1_score(truth, guess):
    hit = np.sum(truth & guess)
    precision = hit / np.maximum(guess.sum(), 1)
    recall = hit / np.maximum(truth.sum(), 1)
    return 2 * precision * recall / (precision + recall + 1e-12)


@workload(lambda rng, n: (rng.standard_normal(n), rng.standard_normal(n), np.zeros(n), np.abs(rng.standard_normal(n)), 3),
         )  # fmt: skip
def adam_step(weights, grad, m, v, step):
    """One Adam update, in place, as optimisers do it."""
    m *= 0.9
    m += 0.1 * grad
    v *= 0.999
    v += 0.001 * grad**2
    weights -= 1e-3 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
    return weights


@workload(lambda rng, n: (rng.standard_normal((2, n, 8)), rng.standard_normal((2, n, 8)), rng.standard_normal((2, n, 8))),
          small=13)  # fmt: skip
def attention(q, k, v):
    """Causal scaled dot-product attention."""
    scores = np.einsum("hqd,hkd->hqk", q, k) / np.sqrt(q.shape[-1])
    n = scores.shape[-1]
    scores = np.where(np.tril(np.ones((n, n), dtype=bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return np.matmul(weights, v)


# ------------------------------------------------------------------ images and signals


@workload(_image)
def rgb_to_gray(image):
    """Rec. 601 luma of 8-bit pixels, rounded."""
    luma = 0.299 * image[..., 0] + 0.587 * image[..., 1] + 0.114 * image[..., 2]
    return np.clip(np.rint(luma), 0, 255).astype(np.uint8)


@workload(_image)
def normalize_image(image):
    """Bytes to float32 planes with ImageNet's mean and deviation."""
    mean = np.array([0.485, 0.456, 0.406], dtype=np.float32)
    deviation = np.array([0.229, 0.224, 0.225], dtype=np.float32)
    return ((image.astype(np.float32) / 255 - mean) / deviation).transpose(2, 0, 1)


@workload(_square("float32"), rtol=1e-5)
def box_blur(image):
    """3x3 mean by nine shifted views."""
    total = np.zeros_like(image[1:-1, 1:-1])
    for dy in range(3):
        for dx in range(3):
            total = total + image[dy : dy + image.shape[0] - 2, dx : dx + image.shape[1] - 2]
    return total / 9


@workload(_square())
def sobel(image):
    """Gradient magnitude and direction."""
    p = np.pad(image, 1, mode="edge")
    gx = (p[:-2, 2:] + 2 * p[1:-1, 2:] + p[2:, 2:]) - (p[:-2, :-2] + 2 * p[1:-1, :-2] + p[2:, :-2])
    gy = (p[2:, :-2] + 2 * p[2:, 1:-1] + p[2:, 2:]) - (p[:-2, :-2] + 2 * p[:-2, 1:-1] + p[:-2, 2:])
    return np.hypot(gx, gy), np.arctan2(gy, gx)


@workload(_square())
def unsharp_mask(image):
    blurred = (
        4 * image
        + np.roll(image, 1, 0) + np.roll(image, -1, 0)
        + np.roll(image, 1, 1) + np.roll(image, -1, 1)
    ) / 8  # fmt: skip
    return np.clip(image + 1.5 * (image - blurred), 0, 1)


@workload(_square())
def gamma_and_contrast(image):
    low, high = image.min(), image.max()
    return ((image - low) / (high - low)) ** (1 / 2.2)


@workload(_image)
def rgb_to_hsv(image):
    rgb = image / 255.0
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    top = np.maximum(np.maximum(r, g), b)
    span = top - np.minimum(np.minimum(r, g), b)
    safe = np.where(span == 0, 1.0, span)
    hue = np.where(top == r, (g - b) / safe % 6, np.where(top == g, (b - r) / safe + 2, (r - g) / safe + 4)) / 6
    return np.stack(
        [np.where(span == 0, 0.0, hue), np.where(top == 0, 0.0, span / np.where(top == 0, 1, top)), top], axis=-1
    )


@workload(lambda rng, n: (rng.random((2 * n, 2 * n)),), small=13)
def average_pool(image):
    """2x2 means by reshaping."""
    h, w = image.shape
    return image.reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))


@workload(lambda rng, n: (rng.standard_normal(n), 5))
def moving_average(x, width):
    """Running mean by differences of a prefix sum."""
    total = np.cumsum(x)
    total[width:] = total[width:] - total[:-width]
    return total[width - 1 :] / width


@workload(lambda rng, n: (rng.standard_normal(n),))
def windowed_stats(x):
    """Mean, deviation and range of blocks of eight; the tail is dropped."""
    blocks = x[: len(x) // 8 * 8].reshape(-1, 8)
    return blocks.mean(1), blocks.std(1), np.ptp(blocks, axis=1)


@workload(lambda rng, n: (rng.standard_normal(n + 6), rng.standard_normal(7)))
def fir_filter(signal, taps):
    """Direct-form FIR filter by accumulated shifts."""
    n = signal.shape[0] - taps.shape[0] + 1
    out = np.zeros(n)
    for i in range(taps.shape[0]):
        out += taps[i] * signal[i : i + n]
    return out


@workload(_f64())
def autocorrelation(x):
    """First four normalised lags."""
    y = x - x.mean()
    return np.array([np.sum(y[lag:] * y[: len(y) - lag]) for lag in range(4)]) / np.sum(y * y)


@workload(_f64())
def zero_crossings(x):
    positive = np.signbit(x)
    return np.count_nonzero(positive[1:] != positive[:-1])


# ------------------------------------------------------------------ physics and numerics


def _plane(rng: np.random.Generator, n: int) -> tuple[Any, ...]:
    c = rng.uniform(-2, 0.5, (n, n)) + 1j * rng.uniform(-1, 1, (n, n))
    return c.real.copy(), c.imag.copy()


@workload(_plane, small=19)
def mandelbrot_steps(cx, cy):
    """Escape counts after eight iterations, on real pairs."""
    x, y = np.zeros_like(cx), np.zeros_like(cy)
    count = np.zeros(cx.shape, dtype=np.int32)
    for _ in range(8):
        x, y = x * x - y * y + cx, 2 * x * y + cy
        inside = x * x + y * y <= 4
        x, y = np.where(inside, x, 2.0), np.where(inside, y, 2.0)
        count += inside
    return count


@workload(lambda rng, n: (rng.random((n, n + 2)) < 0.3,))
def game_of_life(cells):
    """One generation on a torus."""
    near = np.zeros(cells.shape, dtype=np.uint8)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if (dy, dx) != (0, 0):
                near += np.roll(np.roll(cells, dy, axis=0), dx, axis=1)
    return (near == 3) | (cells & (near == 2))


@workload(lambda rng, n: (rng.standard_normal((n, 3)), rng.uniform(1, 2, n)), small=17)
def n_body_forces(position, mass):
    """Softened gravity on each body."""
    offset = position[None, :, :] - position[:, None, :]
    squared = np.einsum("ijk,ijk->ij", offset, offset) + 1e-3
    return np.sum(offset * (mass / (squared * np.sqrt(squared)))[:, :, None], axis=1)


@workload(_square())
def heat_step(u):
    """One explicit diffusion step; borders fixed."""
    new = u.copy()
    new[1:-1, 1:-1] = u[1:-1, 1:-1] + 0.1 * (
        u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * u[1:-1, 1:-1]
    )
    return new


@workload(_square(of=2))
def gray_scott_step(u, v):
    """One reaction-diffusion step, in place."""

    def laplacian(a):
        return np.roll(a, 1, 0) + np.roll(a, -1, 0) + np.roll(a, 1, 1) + np.roll(a, -1, 1) - 4 * a

    reaction = u * v * v
    du = 0.16 * laplacian(u) - reaction + 0.035 * (1 - u)
    dv = 0.08 * laplacian(v) + reaction - 0.1 * v
    u += du
    v += dv
    return u.mean(), v.mean()


@workload(_f64())
def polynomial(x):
    """Horner's rule with Python coefficients."""
    out = np.full_like(x, 0.3)
    for c in (-1.2, 0.5, 2.0, -0.25, 1.0):
        out = out * x + c
    return out


@workload(lambda rng, n: (rng.uniform(-1, 1, n), np.array([1.0, -0.5, 0.25, 2.0])))
def polyval_array(x, coefficients):
    return np.polyval(coefficients, x)


@workload(lambda rng, n: (np.linspace(0, 10, n), rng.standard_normal(n)))
def trapezoid(x, y):
    return np.sum((x[1:] - x[:-1]) * (y[1:] + y[:-1]) / 2)


@workload(lambda rng, n: (rng.uniform(-3, 3, n),))
def newton_cube_root(x):
    """Five Newton iterations, vectorised."""
    y = np.sign(x) * np.maximum(np.abs(x), 1e-6)
    for _ in range(5):
        y = y - (y**3 - x) / (3 * y**2)
    return y


@workload(lambda rng, n: (rng.uniform(-90, 90, n), rng.uniform(-180, 180, n), 48.85, 2.35))
def haversine(latitude, longitude, lat0, lon0):
    """Great-circle kilometres to one point."""
    phi, phi0 = np.radians(latitude), np.radians(lat0)
    a = np.sin((phi - phi0) / 2) ** 2 + np.cos(phi) * np.cos(phi0) * np.sin(np.radians(longitude - lon0) / 2) ** 2
    return 2 * 6371.0 * np.arcsin(np.sqrt(a))


@workload(lambda rng, n: (rng.standard_normal((n, 4)), rng.standard_normal((n, 4))))
def quaternion_product(p, q):
    a1, b1, c1, d1 = p[:, 0], p[:, 1], p[:, 2], p[:, 3]
    a2, b2, c2, d2 = q.T
    return np.stack(
        (
            a1 * a2 - b1 * b2 - c1 * c2 - d1 * d2,
            a1 * b2 + b1 * a2 + c1 * d2 - d1 * c2,
            a1 * c2 - b1 * d2 + c1 * a2 + d1 * b2,
            a1 * d2 + b1 * c2 - c1 * b2 + d1 * a2,
        ),
        axis=1,
    )


@workload(lambda rng, n: (rng.standard_normal((n, 3)), 0.7))
def rotate_points(points, angle):
    c, s = np.cos(angle), np.sin(angle)
    rotation = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return points @ rotation.T


@workload(lambda rng, n: (rng.random(n) * 5, rng.random(n) * 5))
def rosenbrock(x, y):
    return ((1 - x) ** 2 + 100 * (y - x**2) ** 2).sum()


@workload(lambda rng, n: (rng.standard_normal((n, n)), rng.standard_normal(n)), small=24)
def jacobi_step(a, b):
    """One Jacobi iteration from zero and its residual."""
    d = np.diagonal(a)
    x = b / d
    x = (b - (a @ x - d * x)) / d
    return x, np.linalg.norm(a @ x - b)


# ------------------------------------------------------------------ data handling


@workload(lambda rng, n: (np.where(rng.random(n) < 0.2, np.nan, rng.standard_normal(n)),))
def fill_missing(x):
    """Replace NaN by the mean of the rest."""
    missing = np.isnan(x)
    mean = np.where(missing, 0.0, x).sum() / np.maximum(np.sum(~missing), 1)
    return np.where(missing, mean, x), np.nanmax(x)


@workload(lambda rng, n: (rng.standard_normal(n),))
def winsorize(x):
    """Clip at three deviations, by boolean assignment on a copy."""
    mean, deviation = x.mean(), x.std()
    low, high = mean - 3 * deviation, mean + 3 * deviation
    out = x.copy()
    out[out < low] = low
    out[out > high] = high
    return out


@workload(lambda rng, n: (rng.integers(0, 2**32, n, dtype=np.uint32),))
def xorshift(state):
    """One round of a 32-bit xorshift generator."""
    state = state ^ (state << np.uint32(13))
    state = state ^ (state >> np.uint32(17))
    return state ^ (state << np.uint32(5))


@workload(lambda rng, n: (rng.integers(1900, 2100, n), rng.integers(1, 13, n), rng.integers(1, 29, n)))
def julian_day(year, month, day):
    """Day numbers of Gregorian dates, integer arithmetic only."""
    a = (14 - month) // 12
    y = year + 4800 - a
    m = month + 12 * a - 3
    return day + (153 * m + 2) // 5 + 365 * y + y // 4 - y // 100 + y // 400 - 32045


@workload(lambda rng, n: (rng.standard_normal(n), rng.standard_normal(n)))
def pearson(x, y):
    dx, dy = x - np.mean(x), y - np.mean(y)
    return np.dot(dx, dy) / np.sqrt(np.dot(dx, dx) * np.dot(dy, dy))


@workload(lambda rng, n: (rng.standard_normal((n, 5)), rng.random(n)))
def weighted_moments(x, weights):
    w = weights / weights.sum()
    mean = np.average(x, axis=0, weights=weights)
    return mean, np.einsum("i,ij->j", w, (x - mean) ** 2)


@workload(lambda rng, n: (rng.uniform(0, 40, n),))
def temperature_bands(celsius):
    """Categories by thresholds."""
    return np.select([celsius < 10, celsius < 20, celsius < 30], [0, 1, 2], default=3)


@workload(lambda rng, n: (rng.integers(0, 50, (n, 3)), rng.standard_normal((50, 8)).astype(np.float32)))
def embedding_mean(tokens, table):
    return table[tokens].mean(axis=1)


@workload(lambda rng, n: (rng.standard_normal((3, n)), rng.standard_normal((2, n))))
def stack_and_tile(a, b):
    both = np.concatenate([a, b], axis=0)
    centred = both - both.mean(axis=1, keepdims=True)
    return np.vstack([centred, centred[::-1]]), np.tile(centred[0], 2)


@workload(lambda rng, n: (rng.standard_normal(n), rng.integers(-5, 5, n).astype(np.int16)))
def mixed_dtypes(x, k):
    """Promotion at work: int16 with float64, bool sums, float32 scalars."""
    half = (k * 0.5).astype(np.float32)
    return x + k, half * 2, (k > 0).sum(), k // 2, k % 3, np.float32(1.5) * half
