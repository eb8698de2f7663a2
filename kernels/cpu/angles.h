// Tangents and what takes them back: tan, atan, atan2, asin, acos, hypot.
//
// The reductions are the classical ones (Hart et al., Computer Approximations, 1968; the method notes in Sun's fdlibm): half angles near the
// diagonal and the ends, with what a division or a root rounded off put back where it would show.
#pragma once
#include "elementary.h"

namespace quern {
namespace vector_math {

// x = n pi/2 + r: tan r for even n, -1 / tan r for odd
template <class V> INLINE V tan(V x) {
  V y;
  if constexpr (is_f32<V>) {
    y = in_double(x, [](auto d) {
      typedef decltype(d) D;
      D q = fma(d, 0x1.45f306dc9c883p-1, magic<D>), n = q - magic<D>;
      D r = fma(n, -0x1.1a62633145c07p-54, fma(n, -0x1.921fb54442d18p0, d)), z = r * r;
      D t = fma(r * z, poly(z, 0.3333335, 0.13332672, 0.05405943, 0.02128295, 0.010836962, 8.512512e-05, 0.004379599), r);
      D y = (((bits<D>)q & 1) != 0) ? -1 / t : t;
      return (d == 0) ? d : y;
    });
  } else {  // error 2^-59 on |r| <= pi/4. What the last subtraction and the last sum round off is put back.
    V q = fma(x, 0x1.45f306dc9c883p-1, magic<V>), n = q - magic<V>, w = fma(n, -0x1.921fb54442d18p0, x);
    V v = n * 0x1.1a62633145c07p-54, r = w - v, z = r * r;
    V r_low = ((w - r) - v) - fma(n, -0x1.f1976b7ed8fbcp-110, fma(n, 0x1.1a62633145c07p-54, -v));
    V p = long_poly(z, 0.3333333333333338, 0.13333333333325342, 0.05396825397290329, 0.021869488399313283, 0.00886323792236941,
               0.0035921008823585547, 0.0014560455342210723, 0.0005888646048164236, 0.0002437514517847168,
               8.355639457229225e-05, 6.722960198134483e-05, -2.564754926370193e-05, 4.865081531212962e-05,
               -2.4282985379133533e-05, 9.80143492374589e-06);
    V tail = fma(r * z, p, fma(r_low, z, r_low)), t = r + tail, t_low = tail - (t - r), inverse = -1 / t;
    inverse = fma(inverse, fma(inverse, t_low, fma(inverse, t, 1)), inverse);
    y = (((bits<V>)q & 1) != 0) ? inverse : t;
    y = (x == 0) ? x : y;
  }
  QUERN_LARGE_ANGLE(tan, x, y)
  return y;
}

// atan t - t on |t| <= 1/2, error 2^-31, 2^-57 of atan
template <class V> INLINE V atan_tail(V t) {
  V z = t * t, p;
  if constexpr (is_f32<V>) {
    p = poly(z, -0.33333328f, 0.19999555f, -0.14273107f, 0.109484114f, -0.080090836f, 0.03904233f);
  } else {
    p = long_poly(z, -0.3333333333333298, 0.19999999999903104, -0.14285714276385608, 0.11111110659635814,
             -0.09090896244931579, 0.07692073917927941, -0.06663810688690544, 0.05858299482431407, -0.05122008566053598,
             0.04186512617409362, -0.02743508883472134, 0.01011694807138034);
  }
  return t * z * p;
}

// the angle of the point (x, y) for x, y >= 0, not both 0, whose sum is finite; or pi less it where `turned` has the sign bit
template <class V> INLINE V angle(V y, V x, bits<V> turned) {
  const bits<V> sign = (bits<V>)splat<V>(-0.0f);
  auto above = y > x;
  V low = lesser(x, y), high = greater(x, y);  // NaN in y stays
  auto middle = low > 0.5f * high;             // from pi/4: the difference is exact
  V t = (middle ? low - high : low) / (middle ? low + high : high), eighths = middle ? splat<V>(1) : V{};
  eighths = above ? 2 - eighths : eighths;
  eighths = (turned < 0) ? 4 - eighths : eighths;
  t = (V)((bits<V>)t ^ (((bits<V>)above ^ turned) & sign));
  constexpr lane<V> eighth = is_f32<V> ? 0x1.921fb6p-1f : 0x1.921fb54442d18p-1;
  constexpr lane<V> rest = is_f32<V> ? -0x1.777a5cp-26f : 0x1.1a62633145c07p-55;
  return fma(eighths, eighth, t + fma(eighths, rest, atan_tail(t)));
}
template <class V> INLINE V atan(V x) { return copysign(angle(abs_float(x), splat<V>(1), bits<V>{}), x); }
template <class V> INLINE V atan2(V y, V x) {
  const V inf = splat<V>(__builtin_inff()), one = splat<V>(1);
  V a = abs_float(y), b = abs_float(x), largest = greater(a, b);
  auto endless = largest == inf, huge = largest > (is_f32<V> ? 0x1p125f : 0x1p1021);
  V r = angle(endless ? ((a == inf) ? one : V{}) : huge ? 0.25f * a : a,
              endless ? ((b == inf) ? one : V{}) : (largest == 0) ? one : huge ? 0.25f * b : b, (bits<V>)x);
  return ((x != x) | (y != y)) ? x + y : copysign(r, y);
}

// asin a - a for z = a^2 <= 1/4, over a
template <class V> INLINE V asin_tail(V z) {
  if constexpr (is_f32<V>)
    return z * poly(z, 0.1666666f, 0.07500521f, 0.04451369f, 0.03183493f, 0.014336277f, 0.037658975f);
  else
    return z * long_poly(z, 0.1666666666666676, 0.07499999999970865, 0.0446428571745628, 0.030381942709764444,
                    0.02237221493890826, 0.017351612797497157, 0.013980811987389206, 0.011398976813517776,
                    0.01077991593028091, 0.0037076010476216146, 0.021704712951743994, -0.020995398243009944,
                    0.032626444836516874);
}
// Beyond 1/2: asin a = pi/2 - 2 asin s with s = sqrt((1 - a) / 2). `tail`: what asin of a or s has beyond it, the root's rounding too.
template <class V> INLINE V asin_reduced(V a, V& tail) {
  auto big = a > 0.5f;
  V z = big ? fma(a, -0.5f, 0.5f) : a * a, s = big ? sqrt(z) : a;
  tail = s * asin_tail(z);
  if constexpr (!is_f32<V>) tail = big ? fma(fma(-s, s, z), 0.5 / greater(splat<V>(0x1p-1022), s), tail) : tail;
  return s;
}
template <class V> INLINE V asin(V x) {
  if constexpr (is_f32<V>) {
    return in_double(x, [](auto d) {
      typedef decltype(d) D;
      D a = abs_float(d), z = (a > 0.5) ? 0.5 - 0.5 * a : a * a, s = (a > 0.5) ? sqrt(z) : a;
      D t = fma(s * z, poly(z, 0.1666666f, 0.07500521f, 0.04451369f, 0.03183493f, 0.014336277f, 0.037658975f), s);
      return copysign((a > 0.5) ? 0x1.921fb54442d18p0 - 2 * t : t, d);
    });
  } else {
    V a = abs_float(x), tail, s = asin_reduced(a, tail);
    return copysign((a > 0.5) ? (0x1.921fb54442d18p0 - 2 * s) + fma(tail, -2, 0x1.1a62633145c07p-54) : s + tail, x);
  }
}
template <class V> INLINE V acos(V x) {
  constexpr lane<V> half_pi = is_f32<V> ? 0x1.921fb6p0f : 0x1.921fb54442d18p0;
  constexpr lane<V> rest = is_f32<V> ? -0x1.777a5cp-25f : 0x1.1a62633145c07p-54;
  V a = abs_float(x), tail, s = asin_reduced(a, tail);
  V near_one = 2 * (s + tail), near_minus_one = (2 * half_pi - 2 * s) + fma(tail, -2, 2 * rest);
  V inner = half_pi - (x + (copysign(tail, x) - rest));
  return (a > 0.5f) ? ((x < 0) ? near_minus_one : near_one) : inner;
}

// scaled by a power of two where a square would leave the range
template <class V> INLINE V hypot(V x, V y) {
  const V inf = splat<V>(__builtin_inff());
  V a = abs_float(x), b = abs_float(y), r;
  if constexpr (is_f32<V>) {
    r = in_double(a, b, [](auto u, auto v) { return sqrt(fma(u, u, v * v)); });
  } else {
    V high = greater(a, b), low = lesser(b, a);
    auto large = high > 0x1p510, little = high < 0x1p-450;
    V up = large ? splat<V>(0x1p-600) : little ? splat<V>(0x1p600) : splat<V>(1);
    V down = large ? splat<V>(0x1p600) : little ? splat<V>(0x1p-600) : splat<V>(1);
    high *= up, low *= up;
    r = down * sqrt(fma(high, high, low * low));
  }
  return ((a == inf) | (b == inf)) ? inf : ((x != x) | (y != y)) ? x + y : r;
}

}  // namespace vector_math
}  // namespace quern
