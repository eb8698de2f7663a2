// sinh, cosh and what takes hyperbolic functions back: asinh, acosh, atanh. Floats are computed in double.
#pragma once
#include "elementary.h"

namespace quern {
namespace vector_math {

// e^a / 8 = up (1 + p), e^-a / 8 = down (1 - p + rest); returns p. The powers of two, up and down, have an exact sum and an exact
// difference where both count, so nothing cancels.
template <class V> INLINE V exp_pair(V a, V& up, V& down, V& rest) {
  V n, r = reduce_ln2(lesser(splat<V>(711), a), n), p = expm1_reduced(r);
  up = small_power_of_two(n - 3);
  down = small_power_of_two(-3 - lesser(splat<V>(80), n));
  rest = p * p / (1 + p);
  return p;
}

template <class V> INLINE V sinh(V x) {
  if constexpr (is_f32<V>) {
    return in_double(x, [](auto d) {
      auto t = expm1(clamp(abs_float(d), 0, 100));
      return copysign(0.5 * (t + t / (t + 1)), d);
    });
  } else {
    V a = abs_float(x), up, down, rest, p = exp_pair(a, up, down, rest);
    V y = 4 * ((up - down) + fma(up + down, p, -(down * rest)));
    return copysign((a < 0x1p-28) ? a : y, x);
  }
}
template <class V> INLINE V cosh(V x) {
  if constexpr (is_f32<V>) {
    return in_double(x, [](auto d) {
      auto e = exp(d);
      return 0.5 * (e + 1 / e);
    });
  } else {
    V up, down, rest, p = exp_pair(abs_float(x), up, down, rest);
    return 4 * ((up + down) + fma(up - down, p, down * rest));
  }
}

// |x| < 1/2: x + x^3 P(x^2), error 2^-60. Beyond, by logarithms; where squares would overflow, of 2 |x|.
template <class V> INLINE V asinh(V x) {
  if constexpr (is_f32<V>) {
    return in_double(x, [](auto d) {
      auto a = abs_float(d), y = log1p(a + a * a / (1 + sqrt(1 + a * a)));
      return copysign((a == __builtin_inf()) ? a : y, d);
    });
  } else {
    V a = abs_float(x), z = a * a;
    V small = fma(a * z, long_poly(z, -0.1666666666666661, 0.07499999999984416, -0.044642857127830865, 0.030381943716370114,
                              -0.02237213835789678, 0.017352386954025578, -0.013960232289563206, 0.011512984537419632,
                              -0.009534145210016465, 0.007465607966659583, -0.004747525487147676, 0.0017180925534065567), a);
    auto large = a > 0x1p60;
    V y = log1p(large ? a : a + z / (1 + sqrt(1 + z)));
    return copysign((a < 0.5) ? small : large ? y + 0x1.62e42fefa39efp-1 : y, x);
  }
}
template <class V> INLINE V acosh(V x) {
  if constexpr (is_f32<V>) {
    return in_double(x, [](auto d) {
      auto y = log(d + sqrt(d * d - 1));
      return (d < 1) ? d - d + __builtin_nan("") : y;
    });
  } else {
    V t = x - 1;
    auto large = x > 0x1p60;
    V root = sqrt(fma(t, t, 2 * t)), sum = t + root;
    V y = log1p(large ? x : sum, large ? V{} : t - (sum - root));
    y = large ? y + 0x1.62e42fefa39efp-1 : y;
    return (x < 1) ? splat<V>(__builtin_nan("")) : y;
  }
}
template <class V> INLINE V atanh(V x) {
  if constexpr (is_f32<V>) {
    return in_double(x, [](auto d) { return copysign(0.5 * log1p(2 * abs_float(d) / (1 - abs_float(d))), d); });
  } else {
    V a = abs_float(x), z = a * a;
    V small = fma(a * z, long_poly(z, 0.3333333333333328, 0.20000000000018558, 0.14285714283388196, 0.11111111258246989,
                              0.09090903583930932, 0.07692440735802053, 0.06664482056658141, 0.059074831006356514,
                              0.05057622972884482, 0.05958434978088124, -0.005400018472012288, 0.175081487372946,
                              -0.19629984584700785, 0.24123158841550324), a);
    return copysign((a < 0.5) ? small : 0.5 * log1p(2 * a / (1 - a)), x);
  }
}

}  // namespace vector_math
}  // namespace quern
