// The functions of kernels by name, for vectors and scalars: mathematics (elementary.h and its kin), and the errors it notes.
#pragma once
#include "angles.h"
#include "error_function.h"
#include "hyperbolic.h"
#include "power.h"

namespace quern {
namespace vector_math {

// the next number towards y: its bits are the next integer, away from zero or to it
template <class V> INLINE V nextafter(V x, V y) {
  bits<V> b = (bits<V>)x, one = splat<bits<V>>(1);
  bits<V> away = (x > 0) ? (bits<V>)(y > x) : (bits<V>)(y < x);
  V next = (x == 0) ? (V)(one | sign_bit(y)) : (V)(b + (away ? one : -one));
  return ((x != x) | (y != y)) ? x + y : (x == y) ? y : next;
}

// in double for floats too: libm's float version is off by up to 4 ulp
template <class V> INLINE V lgamma(V x) {
  return each(x, [](lane<V> l) { return (lane<V>)__builtin_lgamma((f64)l); });
}

}  // namespace vector_math

// ------------------------------------------------------------------ the functions by name, for vectors and scalars

// a scalar runs on one lane of the vector version
template <class T> using whole = vec<T, QUERN_VECTOR_BYTES / sizeof(T)>;

// For functions that choose their special results by comparison, and so raise no flags where there are errors to be noted: where
// a result is not finite, `divisor` and `root` are computed once more the plain way. 1 / divisor raises division by zero where
// that is 0, the square root of `root` raises invalid where that is negative.
template <class V> INLINE bool any_special(V y) {
#if QUERN_AVX512
  if constexpr (sizeof(V) == 64 && vector_math::is_f32<V>) return __builtin_ia32_fpclassps512_mask(y, 0x99, -1) != 0;
  if constexpr (sizeof(V) == 64 && !vector_math::is_f32<V>) return __builtin_ia32_fpclasspd512_mask(y, 0x99, -1) != 0;
#endif
  constexpr auto exponent = vector_math::is_f32<V> ? (lane<bits<V>>)0x7f800000 : (lane<bits<V>>)0x7ff0000000000000;
  return any(((bits<V>)y & exponent) == exponent);
}
template <class V> INLINE V noted(V y, V divisor, V root) {
  if (QUERN_NOTES && __builtin_expect(any_special(y), 0)) {
    V quotient = 1 / divisor, rooted = vector_math::sqrt(root);
    __asm__ volatile("" : : "m"(quotient), "m"(rooted));
  }
  return y;
}
// divisor and root in terms of x and one
#define QUERN_NOTED_UNARY(name, divisor, root) \
  template <class T> INLINE auto name(T x) { \
    if constexpr (is_scalar<T>) return name(splat<whole<T>>(x))[0]; \
    else { \
      const T one = splat<T>(1); \
      return noted(vector_math::name(x), divisor, root); \
    } \
  }
#define QUERN_UNARY(name) \
  template <class T> INLINE auto name(T x) { \
    if constexpr (is_scalar<T>) return vector_math::name(splat<whole<T>>(x))[0]; \
    else return vector_math::name(x); \
  }
QUERN_NOTED_UNARY(log, x, x) QUERN_NOTED_UNARY(log2, x, x) QUERN_NOTED_UNARY(log10, x, x)
QUERN_NOTED_UNARY(log1p, one + x, one + x) QUERN_NOTED_UNARY(acosh, one, x - one)
QUERN_NOTED_UNARY(atanh, one, one - vector_math::abs_float(x))
QUERN_UNARY(exp) QUERN_UNARY(exp2) QUERN_UNARY(expm1) QUERN_UNARY(sin) QUERN_UNARY(cos) QUERN_UNARY(tan)
QUERN_UNARY(asin) QUERN_UNARY(acos) QUERN_UNARY(atan) QUERN_UNARY(sinh) QUERN_UNARY(cosh) QUERN_UNARY(tanh)
QUERN_UNARY(asinh) QUERN_UNARY(erf) QUERN_UNARY(erfc) QUERN_UNARY(lgamma) QUERN_UNARY(sigmoid) QUERN_UNARY(sqrt)
QUERN_UNARY(rsqrt) QUERN_UNARY(round) QUERN_UNARY(floor) QUERN_UNARY(ceil) QUERN_UNARY(trunc)
template <class T> INLINE auto isnan(T x) {
  if constexpr (is_scalar<T>) return x != x;
  else return vector_math::isnan(x);
}
template <class T> INLINE auto isinf(T x) {
  if constexpr (is_scalar<T>) return (bool)__builtin_isinf(x);
  else return vector_math::isinf(x);
}
template <class T> INLINE auto signbit(T x) {
  if constexpr (is_scalar<T>) return (bool)__builtin_signbit(x);
  else return vector_math::signbit(x);
}
#define QUERN_BINARY(name) \
  template <class T> INLINE T name(T x, T y) { \
    if constexpr (is_scalar<T>) return vector_math::name(splat<whole<T>>(x), splat<whole<T>>(y))[0]; \
    else return vector_math::name(x, y); \
  }
template <class T> INLINE T pow(T x, T y) {
  if constexpr (is_scalar<T>) return pow(splat<whole<T>>(x), splat<whole<T>>(y))[0];
  else return noted(vector_math::pow(x, y), x, x);
}
QUERN_BINARY(atan2) QUERN_BINARY(hypot) QUERN_BINARY(nextafter) QUERN_BINARY(copysign)
template <class T> INLINE T fma(T a, T b, T c) {
  if constexpr (same<T, f32>) return __builtin_fmaf(a, b, c);
  else if constexpr (same<T, f64>) return __builtin_fma(a, b, c);
  else return vector_math::fma(a, b, c);
}

// The same as functions that are called: for kernels that use one very often.
#define QUERN_APART(name) \
  template <class T> __attribute__((noinline)) T apart_##name(T x) { return name(x); }
QUERN_APART(exp) QUERN_APART(exp2) QUERN_APART(expm1) QUERN_APART(log) QUERN_APART(log2) QUERN_APART(log10)
QUERN_APART(log1p) QUERN_APART(sin) QUERN_APART(cos) QUERN_APART(tan) QUERN_APART(asin) QUERN_APART(acos)
QUERN_APART(atan) QUERN_APART(sinh) QUERN_APART(cosh) QUERN_APART(tanh) QUERN_APART(asinh) QUERN_APART(acosh)
QUERN_APART(atanh) QUERN_APART(erf) QUERN_APART(erfc) QUERN_APART(lgamma) QUERN_APART(sigmoid)
#define QUERN_APART_BINARY(name) \
  template <class T> __attribute__((noinline)) T apart_##name(T x, T y) { return name(x, y); }
QUERN_APART_BINARY(pow) QUERN_APART_BINARY(atan2) QUERN_APART_BINARY(hypot)

}  // namespace quern
