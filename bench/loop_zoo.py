"""NumPy programs for `python -m bench numpy`: their time goes into Python loops over time steps, rows, elements, entries of tables.

Each is a plain function over `np`, which NumPy, quern and Numba run as it stands. Add a program by adding a function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .function_zoo import Program

#: by name; and each program's arguments for a size
PROGRAMS: dict[str, Program] = {}
ARGUMENTS: dict[str, Callable[[int], tuple[Any, ...]]] = {}


def program(
    arguments: Callable[[int], tuple[Any, ...]], size: int
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function into `PROGRAMS` under its name. size: of the arguments with which it is measured"""

    def enter(function: Callable[..., Any]) -> Callable[..., Any]:
        PROGRAMS[function.__name__] = Program(function, lambda _: arguments(size), writes=True)
        ARGUMENTS[function.__name__] = arguments
        return function

    return enter


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).random(shape)


def whole(high: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, high, shape)


def dominant(n: int) -> np.ndarray:
    return draw(n, n) + n * np.eye(n)


# --------------------------------------------------------------------------- recurrences


@program(lambda n: (draw(n), 0.3), 20000)
def exponential_average(x, a):
    y = np.empty_like(x)
    s = x[0]
    y[0] = s
    for i in range(1, len(x)):
        s = a * x[i] + (1 - a) * s
        y[i] = s
    return y


@program(lambda n: (draw(n),), 50000)
def compensated_sum(x):
    s = 0.0
    c = 0.0
    for v in x:
        y = v - c
        t = s + y
        c = (t - s) - y
        s = t
    return s


@program(lambda n: (draw(n),), 50000)
def running_total(x):
    out = np.empty_like(x)
    total = 0
    for i, v in enumerate(x):
        total += v
        out[i] = total
    return out


@program(lambda n: (draw(n), draw(n)), 30000)
def chosen_products(a, b):
    s = 0.0
    for x, y in zip(a, b):
        if x > y:
            s += x * y
        elif x < 0.1:
            continue
        else:
            s -= y
    return s


@program(lambda n: (draw(n), draw(n), draw(n)), 200)
def horner(coefficients, x, out):
    for k in range(len(x)):
        value = 0.0
        for j in range(len(coefficients) - 1, -1, -1):
            value = value * x[k] + coefficients[j]
        out[k] = value


@program(lambda n: (draw(n), draw(n) + 2, draw(n), draw(n)), 10000)
def tridiagonal(lower, diagonal, upper, right):
    n = len(diagonal)
    c = np.zeros(n)
    d = np.zeros(n)
    c[0] = upper[0] / diagonal[0]
    d[0] = right[0] / diagonal[0]
    for i in range(1, n):
        m = diagonal[i] - lower[i] * c[i - 1]
        c[i] = upper[i] / m
        d[i] = (right[i] - lower[i] * d[i - 1]) / m
    for i in reversed(range(n - 1)):
        d[i] -= c[i] * d[i + 1]
    return d


@program(lambda n: (np.zeros(2), np.zeros((2, 2)), draw(n)), 1500)
def kalman(x, p, measured):
    f = np.array([[1.0, 0.1], [0.0, 1.0]])
    out = np.zeros(len(measured))
    for k in range(len(measured)):
        x = f @ x
        p = f @ p @ f.T
        p[0, 0] += 0.01
        p[1, 1] += 0.01
        s = p[0, 0] + 0.5
        gain = p[:, 0] / s
        x = x + gain * (measured[k] - x[0])
        p = p - np.outer(gain, p[0])
        out[k] = x[0]
    return out


def slope(t, y):
    return -2.0 * y + t


@program(lambda n: (np.zeros(n), 0.01), 5000)
def runge_kutta(out, h):
    y = 1.0
    t = 0.0
    for k in range(len(out)):
        a = slope(t, y)
        b = slope(t + h / 2, y + h / 2 * a)
        c = slope(t + h / 2, y + h / 2 * b)
        d = slope(t + h, y + h * c)
        y = y + h / 6 * (a + 2 * b + 2 * c + d)
        t += h
        out[k] = y


# --------------------------------------------------------------------------- linear algebra by hand


@program(lambda n: (dominant(n),), 120)
def cholesky(a):
    a[0, 0] = np.sqrt(a[0, 0])
    for i in range(1, a.shape[0]):
        for j in range(i):
            a[i, j] -= np.dot(a[i, :j], a[j, :j])
            a[i, j] /= a[j, j]
        a[i, i] -= np.dot(a[i, :i], a[i, :i])
        a[i, i] = np.sqrt(a[i, i])


@program(lambda n: (dominant(n),), 100)
def lower_upper(a):
    for i in range(a.shape[0]):
        for j in range(i):
            a[i, j] -= a[i, :j] @ a[:j, j]
            a[i, j] /= a[j, j]
        for j in range(i, a.shape[0]):
            a[i, j] -= a[i, :i] @ a[:i, j]


@program(lambda n: (dominant(n), draw(n)), 800)
def triangular_solve(a, b):
    x = np.zeros(b.shape[0])
    for i in range(x.shape[0]):
        x[i] = (b[i] - a[i, :i] @ x[:i]) / a[i, i]
    return x


@program(lambda n: (draw(n, n),), 80)
def orthogonal(a):
    q = np.zeros_like(a)
    r = np.zeros((a.shape[1], a.shape[1]), dtype=a.dtype)
    for k in range(a.shape[1]):
        r[k, k] = np.sqrt(np.dot(a[:, k], a[:, k]))
        q[:, k] = a[:, k] / r[k, k]
        for j in range(k + 1, a.shape[1]):
            r[k, j] = np.dot(q[:, k], a[:, j])
            a[:, j] -= q[:, k] * r[k, j]
    return q, r


@program(lambda n: (draw(n) * 0.2,), 800)
def toeplitz_solve(r):
    y = np.empty_like(r)
    alpha = -r[0]
    beta = 1.0
    y[0] = -r[0]
    for k in range(1, r.shape[0]):
        beta *= 1.0 - alpha * alpha
        alpha = -(r[k] + np.dot(np.flip(r[:k]), y[:k])) / beta
        y[:k] += alpha * np.flip(y[:k])
        y[k] = alpha
    return y


@program(lambda n: (draw(n, n), draw(n, n), 1.5, 1.2), 80)
def rank_update(c, a, alpha, beta):
    for i in range(a.shape[0]):
        c[i, : i + 1] *= beta
        for k in range(a.shape[1]):
            c[i, : i + 1] += alpha * a[i, k] * a[: i + 1, k]
    return c


@program(lambda n: (draw(4, n, 6), draw(6, 6)), 800)
def tensor_times_matrix(a, b):
    for r in range(a.shape[0]):
        for q in range(a.shape[1]):
            a[r, q, :] = a[r, q, :] @ b
    return a


@program(lambda n: (np.arange(0, 3 * n + 1, 3), whole(n, 3 * n), draw(3 * n), draw(n)), 5000)
def sparse_product(begins, columns, values, x):
    y = np.empty(begins.size - 1, values.dtype)
    for i in range(begins.size - 1):
        own = columns[begins[i] : begins[i + 1]]
        y[i] = values[begins[i] : begins[i + 1]] @ x[own]
    return y


@program(lambda n: (draw(30, n),), 300)
def correlation(data):
    count = data.shape[1]
    mean = np.mean(data, axis=0)
    deviation = np.std(data, axis=0)
    data -= mean
    data /= np.sqrt(20.0) * deviation
    out = np.eye(count, dtype=data.dtype)
    for i in range(count - 1):
        out[i + 1 : count, i] = out[i, i + 1 : count] = data[:, i] @ data[:, i + 1 : count]
    return out


@program(lambda n: (draw(n, n), 20), 300)
def power_iteration(a, rounds):
    v = np.ones(a.shape[0])
    for _ in range(rounds):
        w = a @ v
        v = w / np.sqrt(w @ w)
    return v


# --------------------------------------------------------------------------- stencils


@program(lambda n: (14, draw(n, n), draw(n, n)), 200)
def jacobi(steps, a, b):
    for _ in range(1, steps):
        b[1:-1, 1:-1] = 0.2 * (a[1:-1, 1:-1] + a[1:-1, :-2] + a[1:-1, 2:] + a[2:, 1:-1] + a[:-2, 1:-1])
        a[1:-1, 1:-1] = 0.2 * (b[1:-1, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:] + b[2:, 1:-1] + b[:-2, 1:-1])


@program(lambda n: (5, draw(n, n)), 80)
def gauss_seidel(steps, a):
    n = a.shape[0]
    for _ in range(steps):
        for i in range(1, n - 1):
            for j in range(1, n - 1):
                a[i, j] = (a[i - 1, j] + a[i, j - 1] + a[i, j] + a[i + 1, j] + a[i, j + 1]) / 5.0


@program(lambda n: (draw(n), 15, 0.1), 20000)
def heat_by_turns(u, steps, k):
    v = u.copy()
    for _ in range(steps):
        v[1:-1] = u[1:-1] + k * (u[2:] - 2 * u[1:-1] + u[:-2])
        u, v = v, u
    return u


@program(lambda n: (draw(n, n), draw(n, n), draw(n, n), 13), 200)
def waves(ex, ey, hz, steps):
    for t in range(steps):
        ey[0, :] = t * 0.01
        ey[1:, :] -= 0.5 * (hz[1:, :] - hz[:-1, :])
        ex[:, 1:] -= 0.5 * (hz[:, 1:] - hz[:, :-1])
        hz[:-1, :-1] -= 0.7 * (ex[:-1, 1:] - ex[:-1, :-1] + ey[1:, :-1] - ey[:-1, :-1])


@program(lambda n: (draw(n, n) > 0.6, 15), 200)
def game_of_life(board, steps):
    g = board.astype(np.int64)
    for _ in range(steps):
        near = np.zeros_like(g)
        near[1:-1, 1:-1] = (
            g[:-2, :-2] + g[:-2, 1:-1] + g[:-2, 2:] + g[1:-1, :-2] + g[1:-1, 2:] + g[2:, :-2] + g[2:, 1:-1] + g[2:, 2:]
        )
        g = ((near == 3) | ((g == 1) & (near == 2))).astype(np.int64)
    return g


@program(lambda n: (6, draw(n, n)), 150)
def alternating_directions(steps, u):
    n = u.shape[0]
    v, p, q = np.zeros_like(u), np.zeros_like(u), np.zeros_like(u)
    a = -0.4
    for _ in range(steps):
        v[0, 1:-1] = 1.0
        p[1:-1, 0] = 0.0
        q[1:-1, 0] = v[0, 1:-1]
        for j in range(1, n - 1):
            p[1:-1, j] = -a / (a * p[1:-1, j - 1] + 1.8)
            q[1:-1, j] = (0.2 * u[j, :-2] + 0.6 * u[j, 1:-1] + 0.2 * u[j, 2:] - a * q[1:-1, j - 1]) / (
                a * p[1:-1, j - 1] + 1.8
            )
        v[n - 1, 1:-1] = 1.0
        for j in range(n - 2, 0, -1):
            v[j, 1:-1] = p[1:-1, j] * v[j + 1, 1:-1] + q[1:-1, j]
        u[1:-1, 1:-1] = v[1:-1, 1:-1]
    return v


@program(lambda n: (draw(4, 5, n), 0.5), 300)
def sweeps_along_the_last_axis(u, g):
    c = np.zeros_like(u)
    d = np.zeros_like(u)
    last = u.shape[2]
    for k in range(last):
        if k == 0:
            c[:, :, k] = u[:, :, k] * g
            d[:, :, k] = u[:, :, k]
        else:
            divisor = 1.0 / (2.0 - c[:, :, k - 1] * g)
            c[:, :, k] = g * divisor
            d[:, :, k] = (u[:, :, k] - d[:, :, k - 1] * g) * divisor
    for k in range(last - 2, -1, -1):
        d[:, :, k] -= c[:, :, k] * d[:, :, k + 1]
    return d


# --------------------------------------------------------------------------- tables and graphs


@program(lambda n: (draw(n), draw(n)), 150)
def time_warping(a, b):
    n, m = len(a), len(b)
    cost = np.full((n + 1, m + 1), np.inf)
    cost[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            d = abs(a[i - 1] - b[j - 1])
            cost[i, j] = d + min(cost[i - 1, j], cost[i, j - 1], cost[i - 1, j - 1])
    return cost[n, m]


@program(lambda n: (whole(4, n).astype(np.uint8), whole(4, n + 2).astype(np.uint8)), 150)
def edit_distance(a, b):
    d = np.zeros((len(a) + 1, len(b) + 1), np.int64)
    for i in range(len(a) + 1):
        d[i, 0] = i
    for j in range(len(b) + 1):
        d[0, j] = j
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            cost = 0 if a[i - 1] == b[j - 1] else 1
            d[i, j] = min(d[i - 1, j] + 1, d[i, j - 1] + 1, d[i - 1, j - 1] + cost)
    return d


def pairs(a, b):
    return 1 if a + b == 3 else 0


@program(lambda n: (whole(4, n),), 60)
def folding(bases):
    n = bases.shape[0]
    t = np.zeros((n, n), np.int32)
    for i in range(n - 1, -1, -1):
        for j in range(i + 1, n):
            if j - 1 >= 0:
                t[i, j] = max(t[i, j], t[i, j - 1])
            if i + 1 < n:
                t[i, j] = max(t[i, j], t[i + 1, j])
            if j - 1 >= 0 and i + 1 < n:
                if i < j - 1:
                    t[i, j] = max(t[i, j], t[i + 1, j - 1] + pairs(bases[i], bases[j]))
                else:
                    t[i, j] = max(t[i, j], t[i + 1, j - 1])
            for k in range(i + 1, j):
                t[i, j] = max(t[i, j], t[i, k] + t[k + 1, j])
    return t


@program(lambda n: (draw(n, n) * 10,), 150)
def shortest_paths(path):
    for k in range(path.shape[0]):
        path[:] = np.minimum(path[:], np.add.outer(path[:, k], path[k, :]))


@program(lambda n: (n * 10,), 20000)
def primes(n):
    sieve = np.ones(n, dtype=bool)
    sieve[:2] = False
    for i in range(2, int(n**0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = False
    return sieve


@program(lambda n: (whole(20, 10 * n), np.zeros(20, np.int64)), 4000)
def histogram(values, counts):
    for v in values:
        counts[v] += 1
    return counts


@program(lambda n: (whole(256, n).astype(np.uint8),), 3000)
def checksum(data):
    crc = 0xFFFF
    for byte in data:
        current = 0xFF & byte
        for _ in range(8):
            if (crc & 1) ^ (current & 1):
                crc = (crc >> 1) ^ 0x8408
            else:
                crc >>= 1
            current >>= 1
    return crc


@program(lambda n: (draw(n), np.sort(draw(2 * n))), 3000)
def binary_search(wanted, sorted_values):
    places = np.zeros(len(wanted), np.int64)
    for k in range(len(wanted)):
        low, high = 0, len(sorted_values)
        while low < high:
            middle = (low + high) // 2
            if sorted_values[middle] < wanted[k]:
                low = middle + 1
            else:
                high = middle
        places[k] = low
    return places


@program(lambda n: (draw(n),), 300)
def insertion_sort(x):
    for i in range(1, len(x)):
        v = x[i]
        j = i - 1
        while j >= 0 and x[j] > v:
            x[j + 1] = x[j]
            j -= 1
        x[j + 1] = v


# --------------------------------------------------------------------------- points, pixels, particles


@program(lambda n: (draw(n, n) * 4 - 2, draw(n, n) * 4 - 2), 60)
def mandelbrot_by_points(real, imaginary):
    out = np.zeros(real.shape, np.int64)
    for i in range(real.shape[0]):
        for j in range(real.shape[1]):
            zr = 0.0
            zi = 0.0
            k = 0
            while k < 50:
                if zr * zr + zi * zi > 4.0:
                    break
                zr, zi = zr * zr - zi * zi + real[i, j], 2 * zr * zi + imaginary[i, j]
                k += 1
            out[i, j] = k
    return out


@program(lambda n: (np.linspace(-2, 0.5, n)[None, :] + 1j * np.linspace(-1.25, 1.25, n)[:, None], 20), 150)
def mandelbrot_by_masks(c, rounds):
    z = np.zeros_like(c)
    count = np.zeros(c.shape, dtype=int)
    for i in range(rounds):
        inside = np.abs(z) <= 2
        z[inside] = z[inside] * z[inside] + c[inside]
        count[inside] = i
    return count


@program(lambda n: (draw(n, 3), np.zeros((n, 3)), draw(n), 14, 0.01), 150)
def bodies(position, velocity, mass, steps, dt):
    def pull(position, mass):
        x, y, z = position[:, 0:1], position[:, 1:2], position[:, 2:3]
        dx, dy, dz = x.T - x, y.T - y, z.T - z
        inverse = (dx**2 + dy**2 + dz**2 + 0.01) ** (-1.5)
        return (dx * inverse) @ mass, (dy * inverse) @ mass, (dz * inverse) @ mass

    for _ in range(steps):
        ax, ay, az = pull(position, mass)
        velocity[:, 0] += ax * dt
        velocity[:, 1] += ay * dt
        velocity[:, 2] += az * dt
        position += velocity * dt
    return position


@program(lambda n: (draw(10), draw(20 * n) * 2, draw(20 * n)), 500)
def ring_means(out, radius, data):
    largest = radius.max()
    n = out.shape[0]
    for i in range(n):
        inner = largest * i / n
        outer = largest * (i + 1) / n
        ring = np.logical_and(inner <= radius, radius < outer)
        out[i] = data[ring].mean() if ring.any() else 0.0
    return out


@program(lambda n: (draw(n, 4), draw(5, 4)), 2000)
def nearest_centres(x, centres):
    label = np.empty(x.shape[0], np.int64)
    for i in range(x.shape[0]):
        d = ((centres - x[i]) ** 2).sum(axis=1)
        label[i] = np.argmin(d)
    return label


@program(lambda n: (draw(n), draw(n)), 200)
def convolution(x, h):
    y = np.zeros(len(x) + len(h) - 1)
    for i in range(len(x)):
        for j in range(len(h)):
            y[i + j] += x[i] * h[j]
    return y


@program(lambda n: (draw(n, n),), 60)
def box_blur(image):
    out = np.zeros_like(image)
    for i in range(1, image.shape[0] - 1):
        for j in range(1, image.shape[1] - 1):
            out[i, j] = image[i - 1 : i + 2, j - 1 : j + 2].mean()
    return out


@program(lambda n: (draw(n, n),), 300)
def centred_rows(x):
    for i in range(x.shape[0]):
        x[i] -= x[i].mean()
    return x


@program(lambda n: (draw(n, n),), 300)
def normed_rows(x):
    for row in x:
        row /= np.sqrt((row**2).sum())


@program(lambda n: (draw(n) + 0.5, draw(n) + 0.5, 1e-6), 100000)
def newton(x, y, tolerance):
    error = 1.0
    rounds = 0
    while error > tolerance:
        better = 0.5 * (x + y / x)
        error = np.abs(better - x).max()
        x = better
        rounds += 1
    return x, rounds


@program(lambda n: (draw(n, n),), 300)
def trace_of_tanh(a):
    trace = 0.0
    for i in range(a.shape[0]):
        trace += np.tanh(a[i, i])
    return a + trace


@program(lambda n: (draw(n).astype(np.float32), draw(n).astype(np.float32)), 10000)
def single_precision(a, b):
    s = np.float32(0)
    for i in range(len(a)):
        s += a[i] * b[i] * 2
        a[i] = s / (1 + b[i])
    return s
