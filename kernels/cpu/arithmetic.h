// Arithmetic that integers and floats share: sign, extremes, division with its two remainders, shifts, integer powers.
#pragma once
#include "vecmath.h"

namespace quern {

template <class V> INLINE V abs(V x) {
  if constexpr (is_scalar<V>) return is_float<V> ? (V)__builtin_fabs((f64)x) : x < 0 ? -x : x;
  else if constexpr (is_float<lane<V>>) return vector_math::abs_float(x);
  else if constexpr (!is_signed<lane<V>>) return x;
  else return x < 0 ? -x : x;
}
template <class V> INLINE V sign(V x) {
  if constexpr (is_float<lane<V>>) {
    if constexpr (is_scalar<V>) return x != x ? x : (V)((x > 0) - (x < 0));
    else return (x > 0) ? splat<V>(1) : (x < 0) ? splat<V>(-1) : (x == 0) ? V{} : x;
  }
  else if constexpr (is_scalar<V>) return (V)((x > 0) - (x < 0));
  else return (x > 0) ? splat<V>(1) : (x < 0) ? splat<V>((lane<V>)-1) : V{};
}

// max and min keep NaN; the second operand where both are equal (zeros of either sign are)
template <class V> INLINE V max(V a, V b) {
  if constexpr (is_scalar<V>) return (a > b || a != a) ? a : b;
  else if constexpr (is_float<lane<V>>) return (a != a) ? a : vector_math::greater(a, b);
  else return a > b ? a : b;
}
template <class V> INLINE V min(V a, V b) {
  if constexpr (is_scalar<V>) return (a < b || a != a) ? a : b;
  else if constexpr (is_float<lane<V>>) return (a != a) ? a : vector_math::lesser(a, b);
  else return a < b ? a : b;
}
// fmax and fmin ignore NaN
template <class V> INLINE V fmax(V a, V b) {
  if constexpr (is_scalar<V>) return b != b || a >= b ? a : b;
  else return (b != b) ? a : (a >= b) ? a : b;
}
template <class V> INLINE V fmin(V a, V b) {
  if constexpr (is_scalar<V>) return b != b || a <= b ? a : b;
  else return (b != b) ? a : (a <= b) ? a : b;
}

// Integer division never traps: by zero it gives 0, and the smallest integer by -1 wraps around.
template <class T> INLINE T quotient(T a, T b) {
  if (b == 0) return 0;
  if (is_signed<T> && b == (T)-1) return (T)(0 - a);
  return a / b;
}
template <class T> INLINE T remainder(T a, T b) {
  if (b == 0 || (is_signed<T> && b == (T)-1)) return 0;
  return a % b;
}
// C's remainder: the dividend's sign
template <class V> INLINE V fmod(V a, V b) {
  if constexpr (!is_scalar<V>) return each(a, b, [](lane<V> x, lane<V> y) { return fmod(x, y); });
  else if constexpr (same<V, f32>) return __builtin_fmodf(a, b);
  else if constexpr (same<V, f64>) return __builtin_fmod(a, b);
  else return remainder(a, b);
}
// Python's remainder: the divisor's sign
template <class V> INLINE V mod(V a, V b) {
  if constexpr (!is_scalar<V>) return each(a, b, [](lane<V> x, lane<V> y) { return mod(x, y); });
  else {
    V r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? (V)(r + b) : r;
  }
}
// Python's //. For floats by way of the exact remainder, as eager does: 1 // 0.1 is 9.
template <class V> INLINE V floordiv(V a, V b) {
  if constexpr (!is_scalar<V>) return each(a, b, [](lane<V> x, lane<V> y) { return floordiv(x, y); });
  else if constexpr (is_float<V>) {
    if (b == 0) return a / b;
    V r = fmod(a, b), q = (a - r) / b;
    if (r != 0 && (b < 0) != (r < 0)) q -= 1;
    if (q == 0) return copysign((V)0, a / b);
    V whole = floor(q);
    return q - whole > (V)0.5 ? whole + 1 : whole;
  } else {
    V q = quotient(a, b);
    return q * b != a && b != 0 && (a < 0) != (b < 0) ? (V)(q - 1) : q;
  }
}
// integer powers wrap around; a negative exponent gives 0 but for bases 1 and -1
template <class T> INLINE T int_power(T a, T n) {
  if (n < 0) return a == 1 ? 1 : a == (T)-1 ? (n & 1 ? a : (T)1) : (T)0;
  T r = 1;
  for (; n; n >>= 1, a *= a)
    if (n & 1) r *= a;
  return r;
}
// shifting by the width or more leaves nothing (or the sign)
template <class V> INLINE V shl(V a, V b) {
  constexpr lane<V> width = 8 * sizeof(lane<V>);
  if constexpr (is_scalar<V>) return b < 0 || b >= width ? (V)0 : (V)(a << b);
  else return ((b < 0) | (b >= width)) ? V{} : a << b;
}
template <class V> INLINE V shr(V a, V b) {
  constexpr lane<V> width = 8 * sizeof(lane<V>);
  if constexpr (is_scalar<V>) return b < 0 || b >= width ? (V)(a < 0 ? -1 : 0) : (V)(a >> b);
  else return ((b < 0) | (b >= width)) ? (V)(a < 0) : a >> b;
}
template <class V> INLINE V ipow(V a, V b) {
  if constexpr (is_scalar<V>) return int_power(a, b);
  else return each(a, b, [](lane<V> x, lane<V> y) { return int_power(x, y); });
}

}  // namespace quern
