// Vectors of any lane count over GCC's vector extensions: memory, masks, conversions, selection, rounding.
//
// Self-contained on purpose: no other header is included, so that a kernel compiles in about a tenth of a second.
// A kernel picks one lane count N. Its widest values fill a vector register (QUERN_VECTOR_BYTES), narrower ones part of
// one. Truth values are masks: signed integers, 0 or -1, that fill a register too (`mask<N>`).
//
// Every function takes scalars as well; a scalar math function runs on one lane of the vector version, so both agree bit for bit.
#pragma once
#include "flags.h"

#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#define QUERN_AVX512 1
#define QUERN_VECTOR_BYTES 64
#elif defined(__AVX2__) && defined(__FMA__)
#define QUERN_AVX2 1
#define QUERN_VECTOR_BYTES 32
#else
#define QUERN_VECTOR_BYTES 16
#endif

#define INLINE inline __attribute__((always_inline))
#define INLINE_BODY __attribute__((always_inline))
#define OUTLINE_BODY __attribute__((noinline))

namespace quern {

// ------------------------------------------------------------------ types

typedef float f32;
typedef double f64;
typedef signed char i8;
typedef short i16;
typedef int i32;
typedef __INT64_TYPE__ i64;
typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef __UINT64_TYPE__ u64;
struct bf16 { u16 bits; };  // storage only: values are f32 in registers
struct f16 { u16 bits; };

template <class T, int N> struct vector_of { typedef T type __attribute__((vector_size(N * sizeof(T)))); };
template <class T, int N> using vec = typename vector_of<T, N>::type;

// vec<f32, 8> and its kin by names of their own; without the template, whose every use costs the compiler time
#define QUERN_VECTOR(T, n) typedef T T##x##n __attribute__((vector_size(n * sizeof(T))));
#define QUERN_LANES(n) \
  QUERN_VECTOR(f32, n) QUERN_VECTOR(f64, n) \
  QUERN_VECTOR(i8, n) QUERN_VECTOR(i16, n) QUERN_VECTOR(i32, n) QUERN_VECTOR(i64, n) \
  QUERN_VECTOR(u8, n) QUERN_VECTOR(u16, n) QUERN_VECTOR(u32, n) QUERN_VECTOR(u64, n)
QUERN_LANES(2) QUERN_LANES(4) QUERN_LANES(8) QUERN_LANES(16) QUERN_LANES(32) QUERN_LANES(64)
#undef QUERN_LANES
#undef QUERN_VECTOR

template <class T> struct strip { typedef T type; };
template <class T> struct strip<T&> { typedef T type; };
template <class A, class B> constexpr bool same = false;
template <class A> constexpr bool same<A, A> = true;
template <bool C, class A, class B> struct choose { typedef A type; };
template <class A, class B> struct choose<false, A, B> { typedef B type; };

template <class T> constexpr bool is_scalar =
    same<T, f32> || same<T, f64> || same<T, bool> || same<T, i8> || same<T, i16> || same<T, i32> || same<T, i64> ||
    same<T, long long> || same<T, u8> || same<T, u16> || same<T, u32> || same<T, u64>;

template <class V, bool scalar> struct lane_of { typedef V type; };
template <class V> struct lane_of<V, false> { typedef typename strip<decltype(((V*)0)[0][0])>::type type; };
template <class V> using lane = typename lane_of<V, is_scalar<V>>::type;
template <class V> constexpr int lanes = sizeof(V) / sizeof(lane<V>);
template <class T> constexpr bool is_float = same<T, f32> || same<T, f64>;
template <class T> constexpr bool is_signed = (T)-1 < (T)0;

template <int size> struct signed_of { typedef i64 type; };
template <> struct signed_of<1> { typedef i8 type; };
template <> struct signed_of<2> { typedef i16 type; };
template <> struct signed_of<4> { typedef i32 type; };
template <int size> struct unsigned_of { typedef u64 type; };
template <> struct unsigned_of<1> { typedef u8 type; };
template <> struct unsigned_of<2> { typedef u16 type; };
template <> struct unsigned_of<4> { typedef u32 type; };

template <class T, class V, bool scalar> struct as_wide_as { typedef T type; };
template <class T, class V> struct as_wide_as<T, V, false> { typedef vec<T, lanes<V>> type; };
template <class T, class V> using other_lanes = typename as_wide_as<T, V, is_scalar<V>>::type;  // T, as many lanes as V has

template <class V> using bits = vec<typename signed_of<sizeof(lane<V>)>::type, lanes<V>>;  // integers of V's own width
template <int N> using mask = vec<typename signed_of<QUERN_VECTOR_BYTES / N>::type, N>;

template <class To, class From> INLINE To bit_cast(From x) {
  static_assert(sizeof(To) == sizeof(From), "bit_cast between different sizes");
  To y;
  __builtin_memcpy(&y, &x, sizeof y);
  return y;
}

template <class V> INLINE V splat(lane<V> x) {
  if constexpr (is_scalar<V>) return x;
  else return x - V{};  // not V{} + x: -0 must stay -0
}

// lane numbers 0, 1, 2, ...
template <class V> INLINE V iota() {
  constexpr int N = lanes<V>;
  typedef lane<V> T;
  if constexpr (N == 2) return V{T(0), T(1)};
  else if constexpr (N == 4) return V{T(0), T(1), T(2), T(3)};
  else if constexpr (N == 8) return V{T(0), T(1), T(2), T(3), T(4), T(5), T(6), T(7)};
  else if constexpr (N == 16)
    return V{T(0), T(1), T(2), T(3), T(4), T(5), T(6), T(7), T(8), T(9), T(10), T(11), T(12), T(13), T(14), T(15)};
  else {
    V v{};
    for (int l = 0; l < N; ++l) v[l] = T(l);
    return v;
  }
}

// start, start + step, start + 2 step, ...
template <class V> INLINE V count(i64 start, i64 step = 1) {
  return splat<V>((lane<V>)start) + iota<V>() * splat<V>((lane<V>)step);
}

// the K-th part of v, as a narrower vector
template <class H, class V> INLINE H part(V v, int k) {
  H h;
  __builtin_memcpy(&h, (const char*)&v + k * sizeof(H), sizeof h);
  return h;
}
template <class V, class H> INLINE V join(H low, H high) {
  V v;
  __builtin_memcpy(&v, &low, sizeof low);
  __builtin_memcpy((char*)&v + sizeof low, &high, sizeof high);
  return v;
}

// a function of scalars applied lane by lane: for what has no vector form
template <class V, class F> INLINE V each(V x, F f) {
  for (int l = 0; l < lanes<V>; ++l) x[l] = f(x[l]);
  return x;
}
template <class V, class F> INLINE V each(V x, V y, F f) {
  for (int l = 0; l < lanes<V>; ++l) x[l] = f(x[l], y[l]);
  return x;
}

// ------------------------------------------------------------------ masks

struct Full {};            // every lane takes part
constexpr Full full{};     // else: an int (the first n lanes do), or a mask

template <int N> INLINE mask<N> first(int n) {
  typedef lane<mask<N>> T;
  return iota<mask<N>>() < (T)n;
}
template <int N> INLINE mask<N> both(Full, mask<N> m) { return m; }
template <int N> INLINE mask<N> both(int n, mask<N> m) { return first<N>(n) & m; }
template <int N> INLINE mask<N> both(mask<N> a, mask<N> b) { return a & b; }

// a comparison's result as a full-register mask
template <class B> INLINE mask<lanes<B>> as_mask(B b) {
  if constexpr (sizeof(B) == QUERN_VECTOR_BYTES) return (mask<lanes<B>>)b;
  else return __builtin_convertvector(b, mask<lanes<B>>);
}

// a mask as wide as V's own lanes
template <class V> INLINE bits<V> narrow_mask(mask<lanes<V>> m) {
  if constexpr (sizeof(V) == QUERN_VECTOR_BYTES) return (bits<V>)m;
  else return __builtin_convertvector(m, bits<V>);
}

// `x / (m ? 1 : 0)` must divide where its errors are noted: GCC would choose between the quotients that it knows
template <class V> INLINE V at_run_time(V v) {
#ifdef QUERN_FLOAT_ERRORS
  if constexpr (is_float<lane<V>>)
    if (__builtin_constant_p(v[0])) {
      lane<bits<V>> none = 0;
      __asm__("" : "+r"(none));
      return (V)((bits<V>)v ^ splat<bits<V>>(none));
    }
#endif
  return v;
}

template <class V> INLINE V where(mask<lanes<V>> m, V a, V b) {
  if constexpr (is_scalar<V>) return m ? a : b;
  else return narrow_mask<V>(m) ? at_run_time(a) : at_run_time(b);
}
INLINE bool where(bool m, bool a, bool b) { return m ? a : b; }
#define QUERN_SCALAR_WHERE(T) INLINE T where(bool m, T a, T b) { return m ? a : b; }
QUERN_SCALAR_WHERE(f32) QUERN_SCALAR_WHERE(f64) QUERN_SCALAR_WHERE(i8) QUERN_SCALAR_WHERE(i16) QUERN_SCALAR_WHERE(i32)
QUERN_SCALAR_WHERE(i64) QUERN_SCALAR_WHERE(u8) QUERN_SCALAR_WHERE(u16) QUERN_SCALAR_WHERE(u32) QUERN_SCALAR_WHERE(u64)
#undef QUERN_SCALAR_WHERE

template <class M> INLINE M splat_mask(bool b) { return splat<M>(b ? -1 : 0); }
// one condition for all lanes; by a mask, because GCC 12 fails on `x >= 0 ? vector : zeros` (it shifts a vector by its sign bit)
template <class V> INLINE V where_all(bool m, V a, V b) { return splat_mask<bits<V>>(m) ? a : b; }
// 1 where m holds, else 0
template <class V> INLINE V ones(mask<lanes<V>> m) { return where(m, splat<V>(1), V{}); }

template <class M> INLINE bool any(M m) {
  typedef vec<i64, sizeof(M) / 8> W;
  W w = (W)m;
#if QUERN_AVX512
  if constexpr (sizeof(M) == 64) return __builtin_ia32_ptestmq512((vec<long long, 8>)w, (vec<long long, 8>)w, -1) != 0;
#elif QUERN_AVX2
  if constexpr (sizeof(M) == 32) return !__builtin_ia32_ptestz256((vec<long long, 4>)w, (vec<long long, 4>)w);
#endif
  i64 all = 0;
  for (int l = 0; l < lanes<W>; ++l) all |= w[l];
  return all != 0;
}
INLINE bool any(bool m) { return m; }

// ------------------------------------------------------------------ memory

#if QUERN_AVX512
template <int N> INLINE u64 mask_bits(mask<N> m) {
  if constexpr (N == 8) return __builtin_ia32_cvtq2mask512((vec<long long, 8>)m);
  else if constexpr (N == 16) return __builtin_ia32_cvtd2mask512((vec<int, 16>)m);
  else if constexpr (N == 32) return __builtin_ia32_cvtw2mask512((vec<short, 32>)m);
  else return __builtin_ia32_cvtb2mask512((vec<char, 64>)m);
}
template <int N> INLINE u64 mask_bits(int n) { return __builtin_ia32_bzhi_di(~0ull, (u32)n); }

// lanes outside of m are those of `rest`
template <int size, class V> INLINE auto load_bits(const void* p, V rest, u64 m) {
  if constexpr (size == 8) return __builtin_ia32_loadupd512_mask((const double*)p, (vec<double, 8>)rest, (u8)m);
  else if constexpr (size == 4) return __builtin_ia32_loadups512_mask((const float*)p, (vec<float, 16>)rest, (u16)m);
  else if constexpr (size == 2) return __builtin_ia32_loaddquhi512_mask((const short*)p, (vec<short, 32>)rest, (u32)m);
  else return __builtin_ia32_loaddquqi512_mask((const char*)p, (vec<char, 64>)rest, m);
}
template <int size, class V> INLINE void store_bits(void* p, V v, u64 m) {
  if constexpr (size == 8) __builtin_ia32_storeupd512_mask((double*)p, (vec<double, 8>)v, (u8)m);
  else if constexpr (size == 4) __builtin_ia32_storeups512_mask((float*)p, (vec<float, 16>)v, (u16)m);
  else if constexpr (size == 2) __builtin_ia32_storedquhi512_mask((short*)p, (vec<short, 32>)v, (u32)m);
  else __builtin_ia32_storedquqi512_mask((char*)p, (vec<char, 64>)v, m);
}
#endif

#if QUERN_AVX2 && !QUERN_AVX512
// lanes outside of m are 0
template <class R> INLINE R load_lanes(const void* p, bits<R> m) {
  typedef vec<long long, sizeof(R) / 8> L;
  typedef vec<int, sizeof(R) / 4> I;
  if constexpr (sizeof(R) == 32 && sizeof(lane<R>) == 8) return (R)__builtin_ia32_maskloadq256((const L*)p, (L)m);
  else if constexpr (sizeof(R) == 32) return (R)__builtin_ia32_maskloadd256((const I*)p, (I)m);
  else if constexpr (sizeof(lane<R>) == 8) return (R)__builtin_ia32_maskloadq((const L*)p, (L)m);
  else return (R)__builtin_ia32_maskloadd((const I*)p, (I)m);
}
template <class R> INLINE void store_lanes(void* p, R v, bits<R> m) {
  typedef vec<long long, sizeof(R) / 8> L;
  typedef vec<int, sizeof(R) / 4> I;
  if constexpr (sizeof(R) == 32 && sizeof(lane<R>) == 8) __builtin_ia32_maskstoreq256((L*)p, (L)m, (L)v);
  else if constexpr (sizeof(R) == 32) __builtin_ia32_maskstored256((I*)p, (I)m, (I)v);
  else if constexpr (sizeof(lane<R>) == 8) __builtin_ia32_maskstoreq((L*)p, (L)m, (L)v);
  else __builtin_ia32_maskstored((I*)p, (I)m, (I)v);
}
template <class R> constexpr bool has_lanes = (sizeof(R) == 32 || sizeof(R) == 16) && sizeof(lane<R>) >= 4;
template <class R> INLINE bits<R> taking_part(int n) { return narrow_mask<R>(first<lanes<R>>(n)); }
template <class R> INLINE bits<R> taking_part(mask<lanes<R>> m) { return narrow_mask<R>(m); }
#endif

// bytes as they lie in memory, any alignment; lanes that take no part are neither read nor written, and read as 0 (as the first
// lane where errors are noted, see flags.h)
template <class R> INLINE R load_raw(const void* p, Full) {
  R v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
template <class R> INLINE void store_raw(void* p, R v, Full) { __builtin_memcpy(p, &v, sizeof v); }

template <class R, class P> INLINE R load_raw(const void* p, P n) {
  typedef lane<R> T;
#if QUERN_AVX512
  if constexpr (sizeof(R) <= 64) {
    typedef vec<T, 64 / sizeof(T)> Wide;
    Wide rest{};
    if constexpr (QUERN_NOTES && same<P, int>) rest = splat<Wide>(*(const T*)p);
    auto wide = load_bits<sizeof(T)>(p, rest, mask_bits<lanes<R>>(n));
    R v;
    __builtin_memcpy(&v, &wide, sizeof v);
    return v;
  }
#endif
#if QUERN_AVX2 && !QUERN_AVX512
  if constexpr (has_lanes<R>) {
    const R v = load_lanes<R>(p, taking_part<R>(n));
    if constexpr (QUERN_NOTES && same<P, int>) return taking_part<R>(n) ? v : splat<R>(*(const T*)p);
    return v;
  }
#endif
  R v{};
  if constexpr (QUERN_NOTES && same<P, int>) v = splat<R>(*(const T*)p);
#pragma GCC unroll 64
  for (int l = 0; l < lanes<R>; ++l) {
    bool on;
    if constexpr (same<P, int>) on = l < n; else on = n[l] != 0;
    if (on) v[l] = ((const T*)p)[l];
  }
  return v;
}
template <class R, class P> INLINE void store_raw(void* p, R v, P n) {
  typedef lane<R> T;
#if QUERN_AVX512
  if constexpr (sizeof(R) <= 64) {
    vec<char, 64> wide{};
    __builtin_memcpy(&wide, &v, sizeof v);
    return store_bits<sizeof(T)>(p, wide, mask_bits<lanes<R>>(n));
  }
#elif QUERN_AVX2
  if constexpr (has_lanes<R>) return store_lanes(p, v, taking_part<R>(n));
#endif
  // written out: of a loop GCC 12 makes one over v's own address, and then takes what is stored to lie in v
#pragma GCC unroll 64
  for (int l = 0; l < lanes<R>; ++l) {
    bool on;
    if constexpr (same<P, int>) on = l < n; else on = n[l] != 0;
    if (on) ((T*)p)[l] = v[l];
  }
}

// ------------------------------------------------------------------ conversions

// x, of which the compiler knows nothing: it takes the integer of what is never negative (a root, a square) not to be negative
// either, which for NaN and for what has no such integer it is.
#if defined __x86_64__
#define QUERN_IN_VECTOR_REGISTER "+v"
#elif defined __aarch64__
#define QUERN_IN_VECTOR_REGISTER "+w"
#else
#define QUERN_IN_VECTOR_REGISTER "+m"
#endif
template <class V> INLINE V opaque(V x) {
  if constexpr (sizeof(V) > QUERN_VECTOR_BYTES) {
    typedef vec<lane<V>, lanes<V> / 2> H;
    return join<V>(opaque(part<H>(x, 0)), opaque(part<H>(x, 1)));
  } else {
    asm("" : QUERN_IN_VECTOR_REGISTER(x));
    return x;
  }
}
#undef QUERN_IN_VECTOR_REGISTER

// C's conversion, lane by lane; float to a narrow integer goes through i32, to an unsigned one through a signed one, and wraps. Where C
// leaves the result open (no such integer) it is what a processor of the x86 family gives.
template <class To, class From> INLINE To convert(From x) {
  typedef lane<To> T;
  typedef lane<From> S;
  if constexpr (same<To, From>) return x;
  else if constexpr (is_float<S> && !is_float<T> && sizeof(T) < 4) {
    if constexpr (is_scalar<From>) return (To)(i32)opaque(x);
    else return __builtin_convertvector(__builtin_convertvector(opaque(x), vec<i32, lanes<From>>), To);
  }
  else if constexpr (is_float<S> && !is_float<T> && !is_signed<T>) {  // by way of the signed integer of the same width
    typedef typename signed_of<sizeof(T)>::type W;
    constexpr T top = (T)1 << (8 * sizeof(T) - 1);
    const From half = splat<From>((S)top);
    const auto high = convert<other_lanes<W, From>>(x - half), low = convert<other_lanes<W, From>>(x);
    if constexpr (is_scalar<From>) return x >= half ? (T)high ^ top : (T)low;
    else return where(as_mask(x >= half), (To)high ^ top, (To)low);
  }
  else if constexpr (is_float<S> && !is_float<T>) {
    // the compiler is to know nothing of the integer either: converted back, it would take it for x without its fraction, also
    // where that is beyond the integer's range
    if constexpr (is_scalar<From>) {
      To made = (To)opaque(x);
      asm("" : "+r"(made));
      return made;
    } else return opaque(__builtin_convertvector(opaque(x), To));
  }
#ifdef QUERN_FLOAT_ERRORS
  // `1 / (x - x)` of integers must divide where its errors are noted: the compiler knows the integer
  else if constexpr (is_float<T> && !is_float<S>) {
    if constexpr (is_scalar<From>) return opaque((To)x);
    else return opaque(__builtin_convertvector(x, To));
  }
#endif
  else if constexpr (is_scalar<From>) return (To)x;
  else return __builtin_convertvector(x, To);
}

template <class V> INLINE V widen_bf16(vec<u16, lanes<V>> h) {
  return (V)(__builtin_convertvector(h, vec<u32, lanes<V>>) << 16);
}

// round to nearest even; NaN stays NaN (its payload may be lost)
template <class V> INLINE vec<u16, lanes<V>> narrow_bf16(V x) {
  typedef vec<u32, lanes<V>> U;
  U u = (U)x;
  U rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
  U quiet = (u >> 16) | 0x40;
  return __builtin_convertvector((x == x) ? rounded : quiet, vec<u16, lanes<V>>);
}

template <class V> INLINE V widen_f16(vec<u16, lanes<V>> h) {
#if QUERN_AVX512
  if constexpr (lanes<V> == 16) return __builtin_ia32_vcvtph2ps512_mask((vec<short, 16>)h, V{}, -1, 4);
#endif
#if __F16C__
  if constexpr (lanes<V> == 8) return __builtin_ia32_vcvtph2ps256((vec<short, 8>)h);
#endif
  // shift the exponent into place and multiply by 2^112: exact, denormals included; 31 marks infinity and NaN
  typedef vec<u32, lanes<V>> U;
  U u = __builtin_convertvector(h, U);
  U sign = (u & 0x8000) << 16, rest = (u & 0x7fff) << 13;
  V scaled = (V)rest * 0x1p112f;
  U special = rest | 0x7f800000;
  return (V)(((rest >= 0x0f800000) ? special : (U)scaled) | sign);
}

template <class V> INLINE vec<u16, lanes<V>> narrow_f16(V x) {
  typedef vec<u16, lanes<V>> H;
#if QUERN_AVX512
  if constexpr (lanes<V> == 16) return (H)__builtin_ia32_vcvtps2ph512_mask(x, 8, vec<short, 16>{}, -1);
#endif
#if __F16C__
  if constexpr (lanes<V> == 8) return (H)__builtin_ia32_vcvtps2ph256(x, 8);
#endif
  if constexpr (QUERN_NOTES) {  // overflows where the rounded half does
    V large = x * 0x1.00101p112f;
    __asm__ volatile("" : : "m"(large));
  }
  typedef vec<u32, lanes<V>> U;
  U u = (U)x, sign = (u >> 16) & 0x8000, a = u & 0x7fffffff;
  U normal = (a - 0x38000000 + 0xfff + ((a >> 13) & 1)) >> 13;          // rebias, round to nearest even
  U tiny = (U)((V)a + 0.5f) - 0x3f000000;                               // the adder rounds denormals
  U r = (a < 0x38800000) ? tiny : normal;
  r = (a >= 0x477ff000) ? (U{} + 0x7c00) : r;                           // 65520 and above: infinity
  r = (a > 0x7f800000) ? (U{} + 0x7e00) : r;                            // NaN
  return __builtin_convertvector(r | sign, H);
}

// a float as the nearest half-precision number, still a float
template <class T> INLINE T round_bf16(T x) {
  if constexpr (is_scalar<T>) return bit_cast<f32>((u32)narrow_bf16(splat<f32x4>(x))[0] << 16);
  else return widen_bf16<T>(narrow_bf16(x));
}
template <class T> INLINE T round_f16(T x) {
  if constexpr (is_scalar<T>) return widen_f16<f32x8>(narrow_f16(splat<f32x8>(x)))[0];
  else return widen_f16<T>(narrow_f16(x));
}

// ------------------------------------------------------------------ typed loads and stores

// n elements of storage type T as values of register type V
template <class V, class T, class P> INLINE V load(const T* p, P n) {
  constexpr int N = lanes<V>;
  if constexpr (same<T, bf16>) return widen_bf16<V>(load_raw<vec<u16, N>>(p, n));
  else if constexpr (same<T, f16>) return widen_f16<V>(load_raw<vec<u16, N>>(p, n));
  else if constexpr (same<T, bool>) return as_mask(load_raw<vec<u8, N>>(p, n) != 0);
  else return load_raw<V>(p, n);
}
template <class V, class T, class P> INLINE void store(T* p, V v, P n) {
  constexpr int N = lanes<V>;
  if constexpr (same<T, bf16>) store_raw(p, narrow_bf16(v), n);
  else if constexpr (same<T, f16>) store_raw(p, narrow_f16(v), n);
  else if constexpr (same<T, bool>) store_raw(p, __builtin_convertvector(v & 1, vec<u8, N>), n);
  else if constexpr (same<T, lane<V>>) store_raw(p, v, n);
  else {  // a narrow index into int64 storage: half a vector at a time
    typedef vec<lane<V>, N / 2> H;
    typedef vec<T, N / 2> W;
    if constexpr (same<P, Full>) {
      store_raw(p, __builtin_convertvector(part<H>(v, 0), W), full);
      store_raw(p + N / 2, __builtin_convertvector(part<H>(v, 1), W), full);
    } else {
#pragma GCC unroll 64
      for (int l = 0; l < N; ++l) {
        bool on;
        if constexpr (same<P, int>) on = l < n; else on = n[l] != 0;
        if (on) p[l] = (T)v[l];
      }
    }
  }
}

// one element
template <class V, class T> INLINE V load(const T* p) {
  if constexpr (same<T, bf16>) return bit_cast<f32>((u32)p->bits << 16);
  else if constexpr (same<T, f16>) {
    u16x8 h{};
    h[0] = p->bits;
    return widen_f16<f32x8>(h)[0];
  }
  else return (V)*p;
}
template <class V, class T> INLINE void store(T* p, V v) {
  if constexpr (same<T, bf16>) p->bits = narrow_bf16(splat<f32x4>(v))[0];
  else if constexpr (same<T, f16>) p->bits = narrow_f16(splat<f32x8>(v))[0];
  else *p = (T)v;
}

// lanes from anywhere: f(lane) gives each element; lanes that take no part are not evaluated, and read as in load_raw
template <class V, class P, class F> INLINE V gather(P n, F f) {
  V v{};
  if constexpr (QUERN_NOTES && same<P, int>) v = splat<V>(f(0));
  if constexpr (same<P, Full>) {
    for (int l = 0; l < lanes<V>; ++l) v[l] = f(l);
  } else {
#pragma GCC unroll 16
    for (int l = 0; l < lanes<V>; ++l) {
      bool on;
      if constexpr (same<P, int>) on = l < n; else on = n[l] != 0;
      if (on) v[l] = f(l);
    }
  }
  return v;
}
// p[l * stride] in lane l, for strides of a few elements: what lies between is read too, and shuffled out; nothing before the first
// lane's element or behind the last one's is. stride -1: backwards.
template <int stride, class V, class T, class P> INLINE V load_every(const T* p, P n) {
  constexpr int N = lanes<V>;
  constexpr bool halves = same<T, bf16> || same<T, f16>;
  if constexpr (same<P, Full> && (halves || same<T, lane<V>>) && (sizeof(T) > 1 || N <= 16)) {
    typedef vec<typename choose<halves, u16, lane<V>>::type, N> R;
    typedef bits<R> B;
    const B l = iota<B>();
    R v;
    if constexpr (stride == -1) {
      v = load_raw<R>(p - (N - 1), full);
      v = __builtin_shuffle(v, N - 1 - l);
    } else {
      const B at = l * (lane<B>)stride;
      v = load_raw<R>(p, full);
#pragma GCC unroll 4
      for (int k = 1; k < stride; ++k) {  // lanes from k N on come from the next piece; the last piece ends with the last lane
        const int start = k < stride - 1 ? k * N : (N - 1) * stride + 1 - N;
        const B before = k == 1 ? at : l;
        v = __builtin_shuffle(v, load_raw<R>(p + start, full), at >= (lane<B>)(k * N) ? at + (lane<B>)(N - start) : before);
      }
    }
    if constexpr (same<T, bf16>) return widen_bf16<V>(v);
    else if constexpr (same<T, f16>) return widen_f16<V>(v);
    else return v;
  } else {
    return gather<V>(n, [&](int l) INLINE_BODY { return load<lane<V>>(p + l * stride); });
  }
}
// f(lane) for each lane that takes part, in lane order
template <int N, class P, class F> INLINE void scatter(P n, F f) {
#pragma GCC unroll 16
  for (int l = 0; l < N; ++l) {
    bool on = true;
    if constexpr (same<P, int>) on = l < n;
    else if constexpr (!same<P, Full>) on = n[l] != 0;
    if (on) f(l);
  }
}

// ------------------------------------------------------------------ tiles

// one stage of a transposition: rows i and i + h exchange the blocks off the diagonal
template <int h, class V> INLINE void exchange(V* m) {
  typedef bits<V> B;
  typedef lane<B> T;
  constexpr int N = lanes<V>;
  const B l = iota<B>();
  const B low = (l & h) != 0 ? l + (T)(N - h) : l;       // a[l] or b[l - h]
  const B high = (l & h) != 0 ? l + (T)N : l + (T)h;     // b[l] or a[l + h]
#pragma GCC unroll 16
  for (int i = 0; i < N; ++i)
    if (!(i & h)) {
      V a = m[i], b = m[i + h];
      m[i] = __builtin_shuffle(a, b, low);
      m[i + h] = __builtin_shuffle(a, b, high);
    }
}

// tile[r * N + l] = p[l * stride + r]: reads along r, lays down lane by lane. Lanes that take no part read as 0.
template <class V, class T, class P> INLINE void load_turned(lane<V>* tile, const T* p, i64 stride, P n, int rows) {
  constexpr int N = lanes<V>;
  int count = N;
  if constexpr (!same<P, Full>) count = n;
  if constexpr (N <= 16) {
    V m[N];
    auto read = [&](auto lanes_read) INLINE_BODY {
#pragma GCC unroll 16
      for (int l = 0; l < N; ++l) {
        m[l] = QUERN_NOTES && l ? m[0] : V{};
        if (l < count) m[l] = load<V>(p + l * stride, lanes_read);
      }
    };
    if (rows == N) read(full);
    else read(rows);
    if constexpr (N > 8) exchange<8>(m);
    if constexpr (N > 4) exchange<4>(m);
    if constexpr (N > 2) exchange<2>(m);
    exchange<1>(m);
#pragma GCC unroll 16
    for (int r = 0; r < N; ++r) store_raw(tile + r * N, m[r], full);
  } else {
    for (int l = 0; l < N; ++l) {
      V v = l < count || QUERN_NOTES ? load<V>(p + (l < count ? l : 0) * stride, rows) : V{};
      for (int r = 0; r < N; ++r) tile[r * N + l] = v[r];
    }
  }
}

}  // namespace quern
