// x^y = exp(y log x) with the logarithm in two doubles, so that a large exponent takes no digits. Floats are computed in double.
#pragma once
#include "elementary.h"

namespace quern {
namespace vector_math {

// log x as a sum of two doubles, error 2^-65, for positive finite x. With x = 2^e (1 + f) and s = f / (2 + f): log(1 + f) = 2 s + s z (2/3 + z P(z)),
// z = s^2; what each product and sum rounds off is carried along (T. Dekker, 1971), but for P, which is small enough.
template <class V> INLINE V log_in_two(V x, V& low) {
  V e, f = split_power(x, e), d = 2 + f, s = f / d;
  V s_low = fma(-s, f - (d - 2), fma(-s, d, f)) / d;
  V z = s * s, z_low = fma(2 * s, s_low, fma(s, s, -z));
  V q = z * poly(z, 0.40000000000002267, 0.28571428570093715, 0.222222225210656, 0.1818178425919545, 0.1538676264436242,
                 0.13256686600595655, 0.1319761039077814);
  V c = q + 0x1.5555555555555p-1, c_low = (q - (c - 0x1.5555555555555p-1)) + 0x1.5555555555555p-55;
  V v = z * c, v_low = fma(z, c, -v) + fma(z, c_low, z_low * c);
  V w = s * v, w_low = fma(s, v, -w) + fma(s, v_low, s_low * v);
  V h = fma(s, 2, w), h_low = (w - (h - 2 * s)) + fma(s_low, 2, w_low);
  V m = e * 0x1.62e42feep-1, sum = m + h;  // the product is exact
  low = (h - (sum - m)) + fma(e, 0x1.a39ef35793c76p-33, h_low);
  return sum;
}

template <class V> INLINE V pow(V x, V y) {
  constexpr lane<V> even = is_f32<V> ? 0x1p24f : 0x1p53;  // from there on all numbers are
  const V inf = splat<V>(__builtin_inff());
  V a = abs_float(x), r;
  if constexpr (is_f32<V>) {
    r = in_double(a, y, [](auto a, auto b) { return exp(b * log(a)); });
  } else {
    V low, high = log_in_two(a, low), exponent = clamp(y, -0x1p65, 0x1p65);
    V p = exponent * high, p_low = fma(exponent, high, -p) + exponent * low;
    p_low = (abs_float(p) > 750) ? V{} : p_low;
    V n, t = reduce_ln2(clamp(p, -750, 750), n) + p_low;
    r = scale(1 + expm1_reduced(t), n);
    r = ((a == 0) | (a == inf)) ? (((bits<V>)(a == 0) ^ (bits<V>)(y < 0)) ? V{} : inf) : r;
    r = ((x != x) | (y != y)) ? x + y : r;
  }
  bits<V> integral = (round_to<3>(y) == y) | (abs_float(y) >= even);
  V half = 0.5f * y;
  bits<V> odd = integral & (round_to<3>(half) != half) & (abs_float(y) < even);
  bits<V> negative = (bits<V>)x < 0;
  r = (V)((bits<V>)r ^ (negative & odd & (bits<V>)splat<V>(-0.0f)));
  r = (negative & ~integral & (x < 0) & (x > -inf)) ? splat<V>(__builtin_nanf("")) : r;
  bits<V> one = (x == 1) | (y == 0) | ((x == -1) & (abs_float(y) == inf));
  return one ? splat<V>(1) : r;
}

}  // namespace vector_math
}  // namespace quern
