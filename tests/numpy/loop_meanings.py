"""Loops in which NumPy or Python mean something that is easily taken for something else, each with its arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

#: name -> (program, arguments)
MEANINGS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {}

X = np.arange(1.0, 16)
MATRIX = np.random.default_rng(0).random((15, 4))
COMPLEX = np.arange(15) * (1 + 2j)
SPECIAL = np.array([1.0, 0.0, -1.0, np.nan, np.inf, -np.inf, -0.0, 2.5] * 2)


def meaning(*arguments: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        MEANINGS[function.__name__] = function, arguments
        return function

    return add


# --------------------------------------------------------------------------- indices


@meaning(X)
def a_truth_value_as_an_index_makes_an_axis(x):
    s = 0.0
    for i in range(len(x)):
        x[i > 3] = x[i] + 1
        s += x[i > 5].sum()
    return s


@meaning(MATRIX)
def a_list_as_an_index_is_no_tuple(a):
    for i in range(3):
        for j in range(3):
            a[[i, j]] += i
    return a


@meaning(np.array([0, 3, 7, 15]), X)
def a_range_counts_in_ints_of_python(p, x):
    k = 0
    for r in range(len(p) - 1):
        for i in range(p[r], p[r + 1]):
            k = i
            x[i] += r
    return k


@meaning(X, 2**61)
def a_count_that_is_large(x, start):
    k = 0
    for i, v in enumerate(x, start):
        k = i * 3 + int(v)
    return k


# --------------------------------------------------------------------------- what is a view, and what is not


@meaning(X)
def a_cast_to_the_same_type_need_not_copy(x):
    for i in range(len(x)):
        y = x.astype(np.float64, copy=False)
        y[i] = 3.0
        z = np.asarray(x, dtype=np.float64)
        z[i] += 1.0
    return y


@meaning(X)
def a_conjugate_of_real_numbers_is_the_array(x):
    for i in range(len(x)):
        y = x.conj()
        y[i] = 3.0
    return x.sum()


@meaning(COMPLEX)
def parts_of_complex_numbers_are_views(z):
    s = 0.0
    for i in range(len(z)):
        r = z.real
        r[i] = 7
        z[i] += 1
        s += r[i]
    return s


@meaning(MATRIX)
def flattening_columns_copies(a):
    for i in range(len(a)):
        y = a.T * 2
        z = y.ravel()
        z[i] = 1
    return y.sum()


@meaning(X, X * 2)
def an_array_with_an_axis_is_no_number(x, y):
    for i in range(len(x)):
        x[i] = y[i : i + 1]


@meaning(X)
def an_array_with_an_axis_is_not_converted(x):
    s = 0.0
    for i in range(len(x)):
        s += float(x[i : i + 1])
    return s


# --------------------------------------------------------------------------- layouts


@meaning(MATRIX)
def results_lie_as_their_operands(a):
    for i in range(len(a)):
        y = a.T * 2
        a[i] += 1
    return y


@meaning(np.asfortranarray(MATRIX))
def results_of_columns_lie_in_columns(a):
    for i in range(len(a)):
        y = a * 2
        z = np.zeros_like(a)
        w = np.copy(a)
        a[i] += 1
    return y, z, w, a.copy()


@meaning(X, np.ones((1, 15)))
def a_result_with_more_axes_than_its_target(x, y):
    for i in range(len(x)):
        x += y
        x[i] = 1


@meaning(X)
def operations_on_arrays_without_axes_give_numbers(x):
    y = x
    for i in range(len(x)):
        y = x[i, ...] + 1
        x[i] = y
    return y


# --------------------------------------------------------------------------- functions


@meaning(np.arange(15))
def rounding_keeps_integers(x):
    for i in range(len(x)):
        y = x.round()
        x[i] += 1
    return y


@meaning(COMPLEX, COMPLEX * 1j)
def a_product_of_conjugates(z, w):
    s = 0
    for i in range(len(z)):
        s += np.vdot(z, w)
        z[i] = i
    return s


@meaning(MATRIX, MATRIX[:4] * 2)
def inner_products_of_matrices(a, b):
    s = np.zeros(4)
    for i in range(len(a)):
        s += np.inner(a[i], b) + np.vdot(a[:4], b) + np.inner(a[:4], b)[0]
        a[i, 0] = i
    return s


@meaning(np.full(15, -128, np.int8))
def a_number_without_an_absolute_value(x):
    for i in range(len(x)):
        s = abs(x[i])
    return s


@meaning(np.arange(15) - 5, np.arange(15, dtype=np.uint64))
def order_of_signed_and_unsigned_numbers(a, b):
    n = 0
    for i in range(len(a)):
        n += (a < b).sum()
        if a[i] < b[i]:
            n += 100
    return n


@meaning(
    np.array([1e308 + 1e308j, 1e-320 + 0j, 3 + 4j] * 5), np.array([3e38 + 1e37j, 1e-44 + 0j, 3 + 4j] * 5, "complex64")
)
def absolute_values_at_the_ends_of_the_range(z, w):
    out = np.zeros((2, len(z)))
    with np.errstate(all="ignore"):
        for i in range(len(z)):
            out[0, i] = abs(z[i])
            out[1, i] = abs(w[i])
    return out


@meaning(SPECIAL, np.array([0.0] * 5 + [-0.0] * 5 + [np.inf] * 6))
def quotients_by_zero(x, y):
    with np.errstate(all="ignore"):
        for i in range(len(x)):
            a = x // y
            b = x % y
            c = x[i] // y[i]
            x[i] = x[i]
    return a, b, c


@meaning(SPECIAL, 0.5)
def powers_and_roots(x, k):
    out = np.zeros((2, len(x)))
    with np.errstate(all="ignore"):
        for i in range(len(x)):
            out[0, i] = x[i] ** 0.5
            out[1, i] = x[i] ** k
            y = x**0.5 - x**k
            z = np.power(x[i], 0.5) - np.power(x[i], k)
    return out, y, z


@meaning(np.array([1, 2, 300, 2**40] * 4))
def a_number_that_does_not_fit_its_element(x):
    y = np.zeros(16, np.uint8)
    z = np.zeros(16, np.int8)
    for i in range(len(x)):
        y[i] = x[i]
        if i > 7:
            z[i:] = x[i]
    return y, z


# --------------------------------------------------------------------------- iterators


@meaning(X)
def an_iterator_goes_on_where_it_was_left(x):
    n = 0
    for k in range(len(x)):
        e = enumerate(x)
        for i, v in e:
            if i == 2:
                break
            n += v
        for i, v in e:
            n += i * v
        x[k] = n
    return n


@meaning(X)
def an_iterator_from_before_the_loop(x):
    n = 0.0
    it = iter(range(10))
    for k in range(len(x)):
        for v in it:
            n += v
            if v % 3 == 2:
                break
        x[k] = n
    return n


@meaning(X)
def a_variable_that_the_loop_deletes(x):
    z = 1
    for i in range(len(x)):
        x[i] += 1
        if i == 5:
            del z
    return z


# --------------------------------------------------------------------------- loops whose results are not read


@meaning(X)
def an_index_out_of_range_in_what_nobody_reads(x):
    for i in range(len(x)):
        if x[i ^ 1] > x[i]:
            pass
    return 1


@meaning(np.arange(15), COMPLEX, MATRIX)
def arrays_that_only_change_their_names(x, y, a):
    for _ in range(len(x)):
        x, y = y, x
        for _ in a:
            x, y = y, x
    x[2] = 5
    return x


# --------------------------------------------------------------------------- warnings


@meaning(X)
def an_error_in_what_nobody_reads(x):
    for i in range(len(x)):
        r = 1.0 / (x[i] - 3)
        r = 2.0
    return r


@meaning(X)
def an_error_in_what_the_last_round_overwrites(x):
    for i in range(len(x)):
        r = 1.0 / (x[i] - 3)
    return r


@meaning(X)
def an_error_in_an_element_that_is_overwritten(x):
    for i in range(len(x)):
        x[i] = 1.0 / (x[i] - 3)
        x[i] = 2.0


@meaning(X)
def errors_in_elements_that_nobody_reads(x):
    s = 0
    for i in range(3, len(x)):
        s += len(x[:i] // (x[:i] - 1)) + (1 / (x - i)).size
        s += (1 / (x - i))[0] + (2 / (x - i))[x > 20].sum()
        s += np.where(x > 20, 3 / (x - i), 1.0)[1]
    return s


@meaning(np.arange(15))
def integers_that_nobody_reads(x):
    s = 0
    for _ in range(len(x)):
        s += len(x[1:] // x[:-1]) + (x[1:] % x[:-1])[5] + len(x[x * 2 - 14])
    return s


@meaning(X)
def a_variable_is_an_array_and_a_number_in_turn(x):
    s = x
    for i in range(len(x)):
        x[i] = i
        s = x[0] + 0.5
        t = s
        s = x * 2
        if i > 3:
            s = t
    return s
