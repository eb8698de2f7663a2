// Small systems of linear equations, as LAPACK solves them: factors with partial pivoting, of matrices that lie row by row.
//
// Each function is false where NumPy has the last word: for numbers that are not finite, and for matrices that are singular, or so close to it
// that a pivot is what rounding left of larger numbers.
#pragma once

#include "sequential.h"

namespace quern::sequential {

template <class T> struct RealOf { typedef T type; };
template <class T> struct RealOf<Complex<T>> { typedef T type; };
template <class T> using real_of = typename RealOf<T>::type;

// how pivots are compared: of complex numbers as izamax does it
inline f64 size_of(f64 a) { return fabs_of(a); }
inline f32 size_of(f32 a) { return fabs_of(a); }
template <class T> inline T size_of(Complex<T> a) { return fabs_of(a.re) + fabs_of(a.im); }
inline f64 conj_of(f64 a) { return a; }
inline f32 conj_of(f32 a) { return a; }
template <class T> inline T real_part(T a) { return a; }
template <class T> inline T real_part(Complex<T> a) { return a.re; }

template <class T> inline bool all_finite(const T* a, i64 n) {
  bool all = true;
  for (i64 i = 0; i < n; ++i) all &= __builtin_isfinite(size_of(a[i])) != 0;
  return all;
}
template <class T> inline void swap_runs(T* a, T* b, i64 n) {
  for (i64 i = 0; i < n; ++i) {
    T held = a[i];
    a[i] = b[i], b[i] = held;
  }
}
// a -= factor b
template <class T> inline void take_away(T* a, T factor, const T* b, i64 n) {
#pragma GCC ivdep
  for (i64 i = 0; i < n; ++i) a[i] = a[i] - factor * b[i];
}
// what is no more than this share of the numbers that it was made of is rounding
template <class T> inline T rounding(i64 n) { return (sizeof(T) == 4 ? T(0x1p-21) : T(0x1p-50)) * T(n); }

// The upper factor in place of a; what is done to the rows of a is done to those of b. largest: room for a number of each column.
// odd: is turned with each exchange of rows
template <class T>
inline bool eliminate(T* a, i64 n, T* b, i64 columns, real_of<T>* largest, bool& odd) {
  typedef real_of<T> R;
  if (!all_finite(a, n * n) || !all_finite(b, n * columns)) return false;
  for (i64 j = 0; j < n; ++j) largest[j] = 0;
  for (i64 i = 0; i < n; ++i)
    for (i64 j = 0; j < n; ++j) largest[j] = max_of(largest[j], size_of(a[i * n + j]));
  for (i64 k = 0; k < n; ++k) {
    T* row = a + k * n;
    i64 pivot = k;
    R best = size_of(row[k]);
    for (i64 i = k + 1; i < n; ++i)
      if (R size = size_of(a[i * n + k]); size > best) best = size, pivot = i;
    if (!(best > rounding<R>(n) * largest[k])) return false;
    if (pivot != k) {
      swap_runs(row + k, a + pivot * n + k, n - k);
      swap_runs(b + k * columns, b + pivot * columns, columns);
      odd = !odd;
    }
    for (i64 j = k + 1; j < n; ++j) largest[j] = max_of(largest[j], size_of(row[j]));
    for (i64 i = k + 1; i < n; ++i) {
      T factor = a[i * n + k] / row[k];
      take_away(a + i * n + k + 1, factor, row + k + 1, n - k - 1);
      take_away(b + i * columns, factor, b + k * columns, columns);
    }
  }
  return true;
}

// a x = b, with x in place of b
template <class T> inline bool solve(T* a, i64 n, T* b, i64 columns, real_of<T>* largest) {
  bool odd = false;
  if (!eliminate(a, n, b, columns, largest, odd)) return false;
  for (i64 k = n - 1; k >= 0; --k) {
    T* row = b + k * columns;
    for (i64 j = 0; j < columns; ++j) row[j] = row[j] / a[k * n + k];
    for (i64 i = 0; i < k; ++i) take_away(b + i * columns, a[i * n + k], row, columns);
  }
  return true;
}

// As NumPy multiplies the pivots: their logarithms are added, which cannot overflow.
template <class T> inline T sign_and_size(T a, T& size) {
  size = fabs_of(a);
  return a < 0 ? T(-1) : T(1);
}
template <class T> inline Complex<T> sign_and_size(Complex<T> a, T& size) {
  size = abs_of(a);
  return {a.re / size, a.im / size};
}
inline f64 scaled(f64 sign, f64 by) { return sign * by; }
inline f32 scaled(f32 sign, f32 by) { return sign * by; }
template <class T> inline Complex<T> scaled(Complex<T> sign, T by) { return sign * Complex<T>{by, T(0)}; }
template <class T> inline bool determinant(T* a, i64 n, real_of<T>* largest, T& found) {
  typedef real_of<T> R;
  bool odd = false;
  if (!eliminate(a, n, (T*)nullptr, 0, largest, odd)) return false;
  T sign = T{R(odd ? -1 : 1)};
  R total = 0;
  for (i64 k = 0; k < n; ++k) {
    R size;
    sign = sign * sign_and_size(a[k * n + k], size);
    total += R(log_of(size));
  }
  found = scaled(sign, R(exp_of(total)));
  return true;
}

// The lower factor in place of a, of which only the lower triangle counts. Rows of the factor's adjoint are made above the diagonal,
// where they lie side by side.
template <class T> inline bool cholesky(T* a, i64 n, real_of<T>* largest) {
  typedef real_of<T> R;
  if (!all_finite(a, n * n)) return false;
  for (i64 i = 0; i < n; ++i) {
    largest[i] = real_part(a[i * n + i]);
    a[i * n + i] = T{largest[i]};
    for (i64 k = i + 1; k < n; ++k) a[i * n + k] = conj_of(a[k * n + i]);
  }
  for (i64 j = 0; j < n; ++j) {
    T* row = a + j * n;
    R rest = real_part(row[j]);
    if (!(rest > rounding<R>(n) * largest[j])) return false;
    R root = R(sqrt_of(rest));
    row[j] = T{root};
    for (i64 k = j + 1; k < n; ++k) row[k] = row[k] / T{root};
    for (i64 i = j + 1; i < n; ++i) take_away(a + i * n + i, conj_of(row[i]), row + i, n - i);
  }
  for (i64 i = 0; i < n; ++i)
    for (i64 k = i + 1; k < n; ++k) {
      a[k * n + i] = conj_of(a[i * n + k]);
      a[i * n + k] = T{};
    }
  return true;
}

}  // namespace quern::sequential
