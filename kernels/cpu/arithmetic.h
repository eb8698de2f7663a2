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
// C's remainder of floats: the dividend's sign. Exact: a quotient is off by its last bit at most, so what is left of the dividend is a
// multiple of the smaller one's last bit, below 2^53 of them; each step takes 53 bits off a quotient that has more, and a step too far is taken back.
template <class V> INLINE V float_remainder(V a, V b) {
  const V x = vector_math::abs_float(a), y = vector_math::abs_float(b), first = x / y, inf = splat<V>(__builtin_inff());
  V r = x, q = first;
  for (;;) {
    r = (vector_math::abs_float(r) < y) ? r : vector_math::fma(-vector_math::trunc(q), y, r);
    if (!any(vector_math::abs_float(r) >= y)) break;
    q = r / y;
  }
  r = vector_math::copysign((r < 0) ? r + y : r, a);
  auto beyond = (first == inf) & (x < inf) & (y > 0);  // the quotient leaves the range
  if (__builtin_expect(any(beyond), 0)) {
    for (int l = 0; l < lanes<V>; ++l)
      if (beyond[l]) r[l] = same<lane<V>, f32> ? (lane<V>)__builtin_fmodf(a[l], b[l]) : (lane<V>)__builtin_fmod(a[l], b[l]);
  }
  return r;
}
template <class V> INLINE V fmod(V a, V b) {
  if constexpr (same<V, f32>) return __builtin_fmodf(a, b);
  else if constexpr (same<V, f64>) return __builtin_fmod(a, b);
  else if constexpr (is_scalar<V>) return remainder(a, b);
  else if constexpr (is_float<lane<V>>) return float_remainder(a, b);
  else return each(a, b, [](lane<V> x, lane<V> y) { return remainder(x, y); });
}
// Python's remainder: the divisor's sign
template <class V> INLINE V mod(V a, V b) {
  if constexpr (is_scalar<V>) {
    V r = fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? (V)(r + b) : r;
  } else if constexpr (is_float<lane<V>>) {
    V r = float_remainder(a, b);
    return ((r != 0) & ((bits<V>)(r < 0) ^ (bits<V>)(b < 0))) ? r + b : r;
  } else return each(a, b, [](lane<V> x, lane<V> y) { return mod(x, y); });
}
// Python's //. For floats by way of the exact remainder, as eager does: 1 // 0.1 is 9.
template <class V> INLINE V floordiv(V a, V b) {
  if constexpr (!is_scalar<V> && is_float<lane<V>>) {
    V r = float_remainder(a, b), q = (a - r) / b;
    q = ((r != 0) & ((bits<V>)(b < 0) ^ (bits<V>)(r < 0))) ? q - 1 : q;
    V whole = vector_math::floor(q);
    whole = (q - whole > 0.5f) ? whole + 1 : whole;
    return (b == 0) ? a / b : (q == 0) ? vector_math::copysign(V{}, a / b) : whole;
  }
  else if constexpr (!is_scalar<V>) return each(a, b, [](lane<V> x, lane<V> y) { return floordiv(x, y); });
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
