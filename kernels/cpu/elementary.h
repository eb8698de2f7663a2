// Vector mathematics for float and double, over vector.h: exponentials, logarithms, sines. No -ffast-math: NaN, infinities, signed zeros and denormals
// come out as IEEE and libm have them. Results are within 2 ulp (most within 1; see tests/kernels/cpu).
//
// Polynomials are minimax fits (tests/kernels/cpu/minimax.py has those of the later functions; Lawson's reweighted least squares in 40
// digits made the others; coefficients are rounded one by one with the rest refitted), by relative error on the reduced range named beside each. Reductions are Cody and Waite's: constants
// in two or three parts, subtracted with fused multiply-adds. What has no vector form runs libm lane by lane (`each`).
#pragma once
#include "vector.h"

namespace quern {
namespace vector_math {

template <class V> constexpr bool is_f32 = same<lane<V>, f32>;

// ------------------------------------------------------------------ one instruction each

template <class V> INLINE V fma(V a, V b, V c) {
  constexpr int size = sizeof(V);
#if QUERN_AVX512 && !__clang__
  if constexpr (size == 64 && is_f32<V>) return __builtin_ia32_vfmaddps512_mask(a, b, c, -1, 4);
  if constexpr (size == 64 && !is_f32<V>) return __builtin_ia32_vfmaddpd512_mask(a, b, c, -1, 4);
#endif
#if __FMA__
  if constexpr (size == 32 && is_f32<V>) return __builtin_ia32_vfmaddps256(a, b, c);
  if constexpr (size == 32 && !is_f32<V>) return __builtin_ia32_vfmaddpd256(a, b, c);
  if constexpr (size == 16 && is_f32<V>) return __builtin_ia32_vfmaddps(a, b, c);
  if constexpr (size == 16 && !is_f32<V>) return __builtin_ia32_vfmaddpd(a, b, c);
#endif
  for (int l = 0; l < lanes<V>; ++l) {
    if constexpr (is_f32<V>) a[l] = __builtin_fmaf(a[l], b[l], c[l]);
    else a[l] = __builtin_fma(a[l], b[l], c[l]);
  }
  return a;
}
template <class V> INLINE V fma(V a, lane<V> b, V c) { return fma(a, splat<V>(b), c); }
template <class V> INLINE V fma(V a, V b, lane<V> c) { return fma(a, b, splat<V>(c)); }
template <class V> INLINE V fma(V a, lane<V> b, lane<V> c) { return fma(a, splat<V>(b), splat<V>(c)); }

// c0 + c1 x + c2 x^2 + ...
template <class V> INLINE V poly(V, lane<V> c) { return splat<V>(c); }
template <class V, class... C> INLINE V poly(V x, lane<V> c, C... rest) { return fma(poly(x, (lane<V>)rest...), x, c); }

// The same as even powers and odd ones, two chains of half the length: a processor sees only so many instructions ahead. One more rounding of
// the sum's size, so for what is added to something larger.
template <class V> INLINE V alternate(V, lane<V> c) { return splat<V>(c); }
template <class V> INLINE V alternate(V, lane<V> c, lane<V>) { return splat<V>(c); }
template <class V, class... C> INLINE V alternate(V z, lane<V> c, lane<V>, C... rest) {
  return fma(alternate(z, (lane<V>)rest...), z, c);
}
template <class V, class... C> INLINE V long_poly(V x, lane<V> c, C... rest) {
  V z = x * x;
  return fma(alternate(z, (lane<V>)rest...), x, alternate(z, c, (lane<V>)rest...));
}

template <class V> INLINE V sqrt(V x) {
#if QUERN_AVX512
  if constexpr (sizeof(V) == 64 && is_f32<V>) return __builtin_ia32_sqrtps512_mask(x, x, -1, 4);
  if constexpr (sizeof(V) == 64 && !is_f32<V>) return __builtin_ia32_sqrtpd512_mask(x, x, -1, 4);
#endif
#if __AVX__
  if constexpr (sizeof(V) == 32 && is_f32<V>) return __builtin_ia32_sqrtps256(x);
  if constexpr (sizeof(V) == 32 && !is_f32<V>) return __builtin_ia32_sqrtpd256(x);
#endif
  for (int l = 0; l < lanes<V>; ++l) {
    if constexpr (is_f32<V>) x[l] = __builtin_sqrtf(x[l]);
    else x[l] = __builtin_sqrt(x[l]);
  }
  return x;
}
template <class V> INLINE V rsqrt(V x) { return 1 / sqrt(x); }

template <class V> INLINE bits<V> sign_bit(V x) { return (bits<V>)x & (bits<V>)splat<V>(-0.0f); }
template <class V> INLINE V abs_float(V x) { return (V)((bits<V>)x & ~(bits<V>)splat<V>(-0.0f)); }
// |x| with the sign of s
template <class V> INLINE V copysign(V x, V s) { return (V)((bits<V>)abs_float(x) | sign_bit(s)); }
template <class V> INLINE mask<lanes<V>> isnan(V x) { return as_mask(x != x); }
template <class V> INLINE mask<lanes<V>> isinf(V x) {
  return as_mask(abs_float(x) == splat<V>(is_f32<V> ? __builtin_inff() : __builtin_inf()));
}
template <class V> INLINE mask<lanes<V>> signbit(V x) { return as_mask((bits<V>)x < 0); }

// the smaller and the larger of two; the second where either is NaN
template <class V> INLINE V lesser(V a, V b) {
#if QUERN_AVX512
  if constexpr (sizeof(V) == 64 && is_f32<V>) return __builtin_ia32_minps512_mask(a, b, a, -1, 4);
  if constexpr (sizeof(V) == 64 && !is_f32<V>) return __builtin_ia32_minpd512_mask(a, b, a, -1, 4);
#endif
#if __AVX__
  if constexpr (sizeof(V) == 32 && is_f32<V>) return __builtin_ia32_minps256(a, b);
  if constexpr (sizeof(V) == 32 && !is_f32<V>) return __builtin_ia32_minpd256(a, b);
#endif
  return a < b ? a : b;
}
template <class V> INLINE V greater(V a, V b) {
#if QUERN_AVX512
  if constexpr (sizeof(V) == 64 && is_f32<V>) return __builtin_ia32_maxps512_mask(a, b, a, -1, 4);
  if constexpr (sizeof(V) == 64 && !is_f32<V>) return __builtin_ia32_maxpd512_mask(a, b, a, -1, 4);
#endif
#if __AVX__
  if constexpr (sizeof(V) == 32 && is_f32<V>) return __builtin_ia32_maxps256(a, b);
  if constexpr (sizeof(V) == 32 && !is_f32<V>) return __builtin_ia32_maxpd256(a, b);
#endif
  return a > b ? a : b;
}
template <class V> INLINE V clamp(V x, lane<V> low, lane<V> high) {  // NaN stays
  return lesser(splat<V>(high), greater(splat<V>(low), x));
}

// rounding to an integer; mode as in the x86 instruction: 0 nearest even, 1 down, 2 up, 3 to zero
template <int mode, class V> INLINE V round_to(V x) {
#if QUERN_AVX512
  if constexpr (sizeof(V) == 64 && is_f32<V>) return __builtin_ia32_rndscaleps_mask(x, mode, x, -1, 4);
  if constexpr (sizeof(V) == 64 && !is_f32<V>) return __builtin_ia32_rndscalepd_mask(x, mode, x, -1, 4);
#endif
#if __AVX__
  if constexpr (sizeof(V) == 32 && is_f32<V>) return __builtin_ia32_roundps256(x, mode);
  if constexpr (sizeof(V) == 32 && !is_f32<V>) return __builtin_ia32_roundpd256(x, mode);
#endif
  for (int l = 0; l < lanes<V>; ++l) {
    if constexpr (is_f32<V>)
      x[l] = mode == 0 ? __builtin_rintf(x[l]) : mode == 1 ? __builtin_floorf(x[l])
           : mode == 2 ? __builtin_ceilf(x[l]) : __builtin_truncf(x[l]);
    else
      x[l] = mode == 0 ? __builtin_rint(x[l]) : mode == 1 ? __builtin_floor(x[l])
           : mode == 2 ? __builtin_ceil(x[l]) : __builtin_trunc(x[l]);
  }
  return x;
}
template <class V> INLINE V round(V x) { return round_to<0>(x); }
template <class V> INLINE V floor(V x) { return round_to<1>(x); }
template <class V> INLINE V ceil(V x) { return round_to<2>(x); }
template <class V> INLINE V trunc(V x) { return round_to<3>(x); }

// Adding `magic` rounds to the nearest integer and leaves it in the low bits of the sum.
template <class V> constexpr lane<V> magic = is_f32<V> ? 0x1.8p23 : 0x1.8p52;

template <class V> INLINE V power_of_two(bits<V> k) {  // k within the normal exponents
  if constexpr (is_f32<V>) return (V)((k + 127) << 23);
  else return (V)((k + 1023) << 52);
}

// 2^n for an integer-valued n within the normal exponents
template <class V> INLINE V small_power_of_two(V n) {
  return power_of_two<V>((bits<V>)(n + magic<V>) - (bits<V>)splat<V>(magic<V>));
}

// x * 2^n for an integer-valued n, rounding once; overflow and denormals included
template <class V> INLINE V scale(V x, V n) {
#if QUERN_AVX512
  if constexpr (sizeof(V) == 64 && is_f32<V>) return __builtin_ia32_scalefps512_mask(x, n, x, -1, 4);
  if constexpr (sizeof(V) == 64 && !is_f32<V>) return __builtin_ia32_scalefpd512_mask(x, n, x, -1, 4);
#endif
  bits<V> k = (bits<V>)(n + magic<V>) - (bits<V>)splat<V>(magic<V>);
  bits<V> half = k >> 1;
  return x * power_of_two<V>(half) * power_of_two<V>(k - half);
}

// A function of doubles applied to floats: for those where single precision would not reach 2 ulp.
template <class V, class F> INLINE V in_double(V x, F f) {
  constexpr int N = lanes<V>;
  if constexpr (N * 8 > QUERN_VECTOR_BYTES) {
    typedef vec<f32, N / 2> H;
    return join<V>(in_double(part<H>(x, 0), f), in_double(part<H>(x, 1), f));
  } else {
    return __builtin_convertvector(f(__builtin_convertvector(x, vec<f64, N>)), V);
  }
}
template <class V, class F> INLINE V in_double(V x, V y, F f) {
  constexpr int N = lanes<V>;
  if constexpr (N * 8 > QUERN_VECTOR_BYTES) {
    typedef vec<f32, N / 2> H;
    return join<V>(in_double(part<H>(x, 0), part<H>(y, 0), f), in_double(part<H>(x, 1), part<H>(y, 1), f));
  } else {
    typedef vec<f64, N> D;
    return __builtin_convertvector(f(__builtin_convertvector(x, D), __builtin_convertvector(y, D)), V);
  }
}

// ------------------------------------------------------------------ exponentials

// x = n ln2 + r, |r| <= ln2/2. Returns r.
template <class V> INLINE V reduce_ln2(V x, V& n) {
  if constexpr (is_f32<V>) {
    n = fma(x, 0x1.715476p0f, magic<V>) - magic<V>;
    return fma(n, -0x1.7f7d1cp-20f, fma(n, -0x1.62e4p-1f, x));
  } else {
    n = fma(x, 0x1.71547652b82fep0, magic<V>) - magic<V>;
    return fma(n, -0x1.a39ef35793c76p-33, fma(n, -0x1.62e42feep-1, x));
  }
}

// exp(r) on |r| <= ln2/2: error 2^-28 (float), 2^-57 (double)
template <class V> INLINE V exp_reduced(V r) {
  if constexpr (is_f32<V>) {
    return poly(r, 1.0f, 1.0f, 0.49999994f, 0.16666521f, 0.041668274f, 0.008368686f, 0.0013820136f);
  } else {
    return poly(r, 1.0, 1.0, 0.5, 0.16666666666666433, 0.041666666666603736, 0.008333333333500611,
                0.0013888888926895954, 0.00019841269465255759, 2.4801508545406437e-05, 2.755764141453287e-06,
                2.762524584422495e-07, 2.4978317421951946e-08);
  }
}
// (exp(r) - 1 - r) / r^2 on the same range, to a relative error of exp(r) - 1 of 2^-31, 2^-61
template <class V> INLINE V exp_tail(V r) {
  V p;
  if constexpr (is_f32<V>) {
    p = poly(r, 0.5f, 0.16666666f, 0.041666493f, 0.008333544f, 0.0013932342f, 0.00019763397f);
  } else {
    p = poly(r, 0.5, 0.16666666666666677, 0.041666666666666574, 0.008333333333322118, 0.0013888888888942735,
             0.00019841269885059984, 2.4801587198204782e-05, 2.755724516377322e-06, 2.755738694123687e-07,
             2.510873578677789e-08, 2.0878981716557688e-09);
  }
  return p;
}
template <class V> INLINE V expm1_reduced(V r) { return fma(r * r, exp_tail(r), r); }

template <class V> INLINE V exp(V x) {
  x = is_f32<V> ? clamp(x, -105.0f, 89.0f) : clamp(x, -746.0, 710.0);
  V n, r = reduce_ln2(x, n);
  return scale(exp_reduced(r), n);
}

// exp(x) for x <= 0; 0 where that would be below the normal numbers
template <class V> INLINE V exp_of_negative(V x) {
  const lane<V> low = is_f32<V> ? -87.3 : -708.3;
  V n, r = reduce_ln2(greater(splat<V>(low), x), n);
  const V y = exp_reduced(r) * small_power_of_two(n);
  return (V)((bits<V>)y & ~(bits<V>)(x < splat<V>(low)));
}

template <class V> INLINE V exp2(V x) {
  if constexpr (is_f32<V>) {
    x = clamp(x, -151.0f, 129.0f);
    V n = round(x), r = x - n;
    return scale(poly(r, 1.0f, 0.6931472f, 0.24022648f, 0.055503596f, 0.009618503f, 0.0013390997f, 0.00015327803f), n);
  } else {
    x = clamp(x, -1076.0, 1025.0);
    V n = round(x), r = x - n;
    return scale(exp_reduced(fma(r, 0x1.62e42fefa39efp-1, r * 0x1.abc9e3b39803fp-56)), n);
  }
}

// 2^n (1 + p) - 1 without cancellation: 2^n p + (2^n - 1), computed at half size so that n = 128 does not overflow
template <class V> INLINE V expm1(V x) {
  V y = is_f32<V> ? clamp(x, -18.0f, 89.0f) : clamp(x, -38.0, 710.0);
  V n, r = reduce_ln2(y, n);
  V half = scale(splat<V>(0.5f), n);
  return copysign(2 * fma(half, expm1_reduced(r), half - 0.5f), x);
}

template <class V> INLINE V sigmoid(V x) {
  V e = exp((V)((bits<V>)x | (bits<V>)splat<V>(-0.0f)));  // exp(-|x|)
  return (((bits<V>)x < 0) ? e : splat<V>(1)) / (1 + e);
}

// |x| < 0.55: x + x^3 P(x^2), error 2^-29, 2^-60; beyond, with e = exp(-2|x|): 1 - 2e / (1 + e)
template <class V> INLINE V tanh(V x) {
  V a = abs_float(x), z = x * x, p;
  if constexpr (is_f32<V>) {
    p = poly(z, -0.33333313f, 0.13332437f, -0.053835757f, 0.021000376f, -0.006169614f);
  } else {
    p = poly(z, -0.3333333333333328, 0.13333333333323943, -0.05396825396218922, 0.021869488340429243,
             -0.008863231850091522, 0.0035920843731810964, -0.0014554931286122753, 0.0005882383491569523,
             -0.00023285332297700667, 8.255437145497519e-05, -1.9021435207067473e-05);
  }
  V n, r = reduce_ln2(-2 * lesser(splat<V>(is_f32<V> ? 10 : 22), a), n);
  V e = exp_reduced(r) * small_power_of_two(n);
  return copysign((a < 0.55f) ? fma(x * z, p, x) : 1 - 2 * e / (1 + e), x);
}

// ------------------------------------------------------------------ logarithms

// x = 2^e (1 + f), 1 + f within sqrt(1/2) .. sqrt(2), for positive finite x
template <class V> INLINE V split_power(V x, V& e) {
  bits<V> b;
  if constexpr (is_f32<V>) {
    auto tiny = x < 0x1p-126f;
    b = (bits<V>)(tiny ? x * 0x1p24f : x) - 0x3f3504f3;
    e = __builtin_convertvector(b >> 23, V) - (tiny ? splat<V>(24) : V{});
    return (V)((b & 0x7fffff) + 0x3f3504f3) - 1;
  } else {
    auto tiny = x < 0x1p-1022;
    b = (bits<V>)(tiny ? x * 0x1p54 : x) - 0x3fe6a09e667f3bcd;
    // the exponent by way of the adder: no 64-bit conversion needed
    e = (V)((b >> 52) + (bits<V>)splat<V>(magic<V>)) - magic<V> - (tiny ? splat<V>(54) : V{});
    return (V)((b & 0xfffffffffffff) + 0x3fe6a09e667f3bcd) - 1;
  }
}

// log(1 + f) - f on the range of split_power. f^2/2 is exact enough to be subtracted last.
template <class V> INLINE V log_tail(V f) {
  V half = 0.5f * f * f;
  if constexpr (is_f32<V>) {
    V p = poly(f, 0.33333313f, -0.2500001f, 0.20002072f, -0.1666799f, 0.14220363f, -0.124062076f, 0.118834704f,
               -0.11670192f, 0.06749556f);
    return fma(f * f * f, p, -half);
  } else {  // s = f / (2 + f): log(1 + f) = f - f^2/2 + s (f^2/2 + R(s^2))
    V s = f / (2 + f), z = s * s;
    V p = poly(z, 0.6666666666666666, 0.40000000000006253, 0.28571428569084345, 0.22222222647022916,
               0.18181775647690243, 0.1538709152850411, 0.13250100875232151, 0.1325148525719606);
    return fma(s, fma(z, p, half), -half);
  }
}

// what every logarithm gives outside (0, inf)
template <class V> INLINE V log_special(V x, V y) {
  const V inf = splat<V>(__builtin_inff());
  y = (x == inf) ? inf : y;
  y = (x == 0) ? -inf : y;
  return (x >= 0) ? y : splat<V>(__builtin_nanf(""));
}

template <class V> INLINE V log(V x) {
  V e, f = split_power(x, e);
  if constexpr (is_f32<V>) return log_special(x, fma(e, 0x1.62e4p-1f, f + fma(e, 0x1.7f7d1cp-20f, log_tail(f))));
  else return log_special(x, fma(e, 0x1.62e42feep-1, f + fma(e, 0x1.a39ef35793c76p-33, log_tail(f))));
}

// f / ln2 + tail / ln2 in two parts, so that results near 0 keep their bits
template <class V> INLINE V log2(V x) {
  V e, f = split_power(x, e), t = log_tail(f);
  if constexpr (is_f32<V>) {
    V low = fma(t, 0x1.715476p0f, f * 0x1.4ae0cp-26f);
    return log_special(x, e + fma(f, 0x1.715476p0f, low));
  } else {
    V low = fma(t, 0x1.71547652b82fep0, f * 0x1.777d0ffda0d24p-56);
    return log_special(x, e + fma(f, 0x1.71547652b82fep0, low));
  }
}
template <class V> INLINE V log10(V x) {
  V e, f = split_power(x, e), t = log_tail(f);
  if constexpr (is_f32<V>) {
    V low = fma(e, 0x1.3509f8p-18f, fma(t, 0x1.bcb7b2p-2f, f * -0x1.5b235ep-27f));
    return log_special(x, fma(e, 0x1.344p-2f, fma(f, 0x1.bcb7b2p-2f, low)));
  } else {
    V low = fma(e, 0x1.3fde623e2566bp-43, fma(t, 0x1.bcb7b1526e50ep-2, f * 0x1.95355baaafad3p-57));
    return log_special(x, fma(e, 0x1.34413509f7p-2, fma(f, 0x1.bcb7b1526e50ep-2, low)));
  }
}

// log(1 + x + rest), rest being less than x's last bit. u = 1 + x rounded; what the rounding lost is put back to first order.
template <class V> INLINE V log1p(V x, V rest) {
  V u = 1 + x;
  V lost = (u < (is_f32<V> ? 0x1p24f : 0x1p53)) ? (x - (u - 1) + rest) / u : V{};
  V e, f = split_power(u, e), y;
  if constexpr (is_f32<V>) y = fma(e, 0x1.62e4p-1f, f + (fma(e, 0x1.7f7d1cp-20f, log_tail(f)) + lost));
  else y = fma(e, 0x1.62e42feep-1, f + (fma(e, 0x1.a39ef35793c76p-33, log_tail(f)) + lost));
  y = log_special(u, y);
  return (x == 0) ? x : y;
}
template <class V> INLINE V log1p(V x) { return log1p(x, V{}); }

// ------------------------------------------------------------------ circular functions

// sin r on |r| <= pi/2
template <class V> INLINE V sin_reduced(V r) {
  V z = r * r, p;
  if constexpr (is_f32<V>) p = poly(z, -0.1666666f, 0.008333069f, -0.00019809768f, 2.6060538e-06f);
  else
    p = poly(z, -0.16666666666666666, 0.008333333333333194, -0.00019841269841209142, 2.755731921112367e-06,
             -2.5052106871532223e-08, 1.605893964081408e-10, -7.642989763551585e-13, 2.72115645970823e-15);
  return fma(r * z, p, r);
}

// a - n c in three parts of c; n small enough that n times the first part is exact
template <class V> INLINE V minus_multiple(V a, V n, lane<V> c1, lane<V> c2, lane<V> c3) {
  return fma(n, -c3, fma(n, -c2, fma(n, -c1, a)));
}

// lanes beyond the range where the three-part reduction is exact go to libm
#define QUERN_LARGE_ANGLE(name, x, y) \
  auto large = is_f32<V> ? (abs_float(x) > 30000.0f) : (abs_float(x) > 1e8f); \
  if (__builtin_expect(any(large), 0)) { \
    for (int l = 0; l < lanes<V>; ++l) \
      if (large[l]) y[l] = is_f32<V> ? __builtin_##name##f(x[l]) : __builtin_##name(x[l]); \
  }

template <class V> INLINE V sin(V x) {
  V a = abs_float(x), q, r;
  if constexpr (is_f32<V>) {
    q = fma(a, 0x1.45f306p-2f, magic<V>);
    r = minus_multiple(a, q - magic<V>, 0x1.921fb6p1f, -0x1.777a5cp-24f, -0x1.ee59dap-49f);
  } else {
    q = fma(a, 0x1.45f306dc9c883p-2, magic<V>);
    r = minus_multiple(a, q - magic<V>, 0x1.921fb54442d18p1, 0x1.1a62633145c07p-53, -0x1.f1976b7ed8fbcp-109);
  }
  V y = (V)((bits<V>)sin_reduced(r) ^ ((bits<V>)q << (8 * sizeof(lane<V>) - 1)) ^ sign_bit(x));
  QUERN_LARGE_ANGLE(sin, x, y)
  return y;
}

// x = (n + 1/2) pi + r: cos x = -sin r for even n, sin r for odd
template <class V> INLINE V cos(V x) {
  V a = abs_float(x), q, r;
  if constexpr (is_f32<V>) {
    q = fma(a, 0x1.45f306p-2f, -0.5f) + magic<V>;
    r = minus_multiple(a, fma(q - magic<V>, 2, 1), 0x1.921fb6p0f, -0x1.777a5cp-25f, -0x1.ee59dap-50f);
  } else {
    q = fma(a, 0x1.45f306dc9c883p-2, -0.5) + magic<V>;
    r = minus_multiple(a, fma(q - magic<V>, 2, 1), 0x1.921fb54442d18p0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110);
  }
  V y = (V)((bits<V>)sin_reduced(r) ^ ((~(bits<V>)q) << (8 * sizeof(lane<V>) - 1)));
  QUERN_LARGE_ANGLE(cos, x, y)
  return y;
}

}  // namespace vector_math
}  // namespace quern
