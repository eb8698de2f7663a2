// What generated sequential programs stand on: Python's and NumPy's arithmetic of numbers, memory that a program takes, sums.
#pragma once

#define QUERN_FLOAT_ERRORS
#include "vecmath.h"

namespace quern::sequential {

// the C library's functions by one name for both types (the headers that declare them take longer to read than a program)
#define QUERN_MATH1(name) \
  inline f64 name##_of(f64 x) { return __builtin_##name(x); } \
  inline f32 name##_of(f32 x) { return __builtin_##name##f(x); }
#define QUERN_MATH2(name) \
  inline f64 name##_of(f64 x, f64 y) { return __builtin_##name(x, y); } \
  inline f32 name##_of(f32 x, f32 y) { return __builtin_##name##f(x, y); }
QUERN_MATH1(fabs) QUERN_MATH1(sqrt) QUERN_MATH1(exp) QUERN_MATH1(exp2) QUERN_MATH1(expm1) QUERN_MATH1(log) QUERN_MATH1(log2)
QUERN_MATH1(log10) QUERN_MATH1(log1p) QUERN_MATH1(sin) QUERN_MATH1(cos) QUERN_MATH1(tan) QUERN_MATH1(asin) QUERN_MATH1(acos)
QUERN_MATH1(atan) QUERN_MATH1(sinh) QUERN_MATH1(cosh) QUERN_MATH1(tanh) QUERN_MATH1(asinh) QUERN_MATH1(acosh) QUERN_MATH1(atanh)
QUERN_MATH1(floor) QUERN_MATH1(ceil) QUERN_MATH1(trunc) QUERN_MATH1(rint) QUERN_MATH1(cbrt)
QUERN_MATH2(pow) QUERN_MATH2(atan2) QUERN_MATH2(hypot) QUERN_MATH2(fmod) QUERN_MATH2(copysign) QUERN_MATH2(fmax) QUERN_MATH2(fmin)
#undef QUERN_MATH1
#undef QUERN_MATH2

// ---------------------------------------------------------------- complex numbers

// As NumPy computes them: products and quotients have no second look at infinities.
template <class T>
struct Complex {
  T re, im;
};
using c64 = Complex<f32>;
using c128 = Complex<f64>;

template <class T> inline Complex<T> operator+(Complex<T> a, Complex<T> b) { return {a.re + b.re, a.im + b.im}; }
template <class T> inline Complex<T> operator-(Complex<T> a, Complex<T> b) { return {a.re - b.re, a.im - b.im}; }
template <class T> inline Complex<T> operator-(Complex<T> a) { return {-a.re, -a.im}; }
template <class T> inline Complex<T> operator*(Complex<T> a, Complex<T> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
// Smith's method: scaled by the larger part of the divisor, as in NumPy's loops
template <class T> inline Complex<T> operator/(Complex<T> a, Complex<T> b) {
  T re = fabs_of(b.re), im = fabs_of(b.im);
  if (re >= im) {
    if (re == 0 && im == 0) return {a.re / re, a.im / re};
    T ratio = b.im / b.re, scale = T(1) / (b.re + b.im * ratio);
    return {(a.re + a.im * ratio) * scale, (a.im - a.re * ratio) * scale};
  }
  T ratio = b.re / b.im, scale = T(1) / (b.im + b.re * ratio);
  return {(a.re * ratio + a.im) * scale, (a.im * ratio - a.re) * scale};
}
// Python's quotient, which divides twice more
template <class T> inline Complex<T> quotient_of(Complex<T> a, Complex<T> b) {
  if (fabs_of(b.re) >= fabs_of(b.im)) {
    T ratio = b.im / b.re, size = b.re + b.im * ratio;
    return {(a.re + a.im * ratio) / size, (a.im - a.re * ratio) / size};
  }
  T ratio = b.re / b.im, size = b.re * ratio + b.im;
  return {(a.re * ratio + a.im) / size, (a.im * ratio - a.re) / size};
}
template <class T> inline Complex<T> reciprocal_of(Complex<T> a) {
  if (fabs_of(a.re) <= fabs_of(a.im)) {
    T ratio = a.re / a.im, size = a.im + a.re * ratio;
    return {ratio / size, T(-1) / size};
  }
  T ratio = a.im / a.re, size = a.re + a.im * ratio;
  return {T(1) / size, -ratio / size};
}
template <class T> inline bool operator==(Complex<T> a, Complex<T> b) { return a.re == b.re && a.im == b.im; }
template <class T> inline bool operator!=(Complex<T> a, Complex<T> b) { return !(a == b); }
template <class T> inline Complex<T>& operator+=(Complex<T>& a, Complex<T> b) { return a = a + b; }
template <class T> inline Complex<T>& operator*=(Complex<T>& a, Complex<T> b) { return a = a * b; }
// both parts are scaled by a power of two where their squares could leave the range
template <class T> inline T abs_of(Complex<T> a) {
  constexpr bool single = sizeof(T) == 4;
  constexpr T large = single ? T(0x1p60) : T(0x1p500), small = single ? T(0x1p-60) : T(0x1p-500);
  constexpr T up = single ? T(0x1p90) : T(0x1p600), down = single ? T(0x1p-90) : T(0x1p-600);
  T re = fabs_of(a.re), im = fabs_of(a.im), most = re > im ? re : im;
  T by = most > large ? down : most < small ? up : T(1), back = most > large ? up : most < small ? down : T(1);
  T x = re * by, y = im * by, found = sqrt_of(x * x + y * y) * back;
  const T infinite = T(__builtin_inf());
  return re == infinite || im == infinite ? infinite : found;
}
template <class T> inline Complex<T> conj_of(Complex<T> a) { return {a.re, -a.im}; }
// the C library's functions, which are NumPy's too
#define QUERN_COMPLEX1(name) \
  inline c128 name##_of(c128 a) { \
    __complex__ double z; \
    __real__ z = a.re, __imag__ z = a.im; \
    z = __builtin_c##name(z); \
    return {__real__ z, __imag__ z}; \
  } \
  inline c64 name##_of(c64 a) { \
    __complex__ float z; \
    __real__ z = a.re, __imag__ z = a.im; \
    z = __builtin_c##name##f(z); \
    return {__real__ z, __imag__ z}; \
  }
QUERN_COMPLEX1(exp) QUERN_COMPLEX1(log) QUERN_COMPLEX1(sqrt) QUERN_COMPLEX1(sin) QUERN_COMPLEX1(cos) QUERN_COMPLEX1(tan)
QUERN_COMPLEX1(sinh) QUERN_COMPLEX1(cosh) QUERN_COMPLEX1(tanh)
#undef QUERN_COMPLEX1
inline c128 general_power(c128 a, c128 b) {
  __complex__ double x, y;
  __real__ x = a.re, __imag__ x = a.im, __real__ y = b.re, __imag__ y = b.im;
  x = __builtin_cpow(x, y);
  return {__real__ x, __imag__ x};
}
inline c64 general_power(c64 a, c64 b) {
  __complex__ float x, y;
  __real__ x = a.re, __imag__ x = a.im, __real__ y = b.re, __imag__ y = b.im;
  x = __builtin_cpowf(x, y);
  return {__real__ x, __imag__ x};
}
// Python's power of a complex number and an int, and NumPy's where that is small
template <class T> Complex<T> multiplied(Complex<T> a, i64 n) {
  Complex<T> made{T(1), T(0)};
  for (i64 bit = 1; n; a = a * a) {
    if (n & bit) made = made * a;
    bit <<= 1;
    if (n < bit) break;
  }
  return made;
}
template <class T> __attribute__((noinline)) Complex<T> rare_power(Complex<T> a, Complex<T> b) {
  if (b.re == 0 && b.im == 0) return {T(1), T(0)};
  if (a.re == 0 && a.im == 0) {
    T invalid = fabs_of(a.re) / fabs_of(a.im);
    return {invalid, invalid};
  }
  if (!(b.im == 0 && b.re > -100 && b.re < 100 && T(int(b.re)) == b.re)) return general_power(a, b);
  return b.re < 0 ? Complex<T>{T(1), T(0)} / multiplied(a, i64(-b.re)) : multiplied(a, i64(b.re));
}
// a number that the compiler does not know
template <class T> INLINE T unfolded(T x) {
  volatile T held = x;
  return held;
}

template <class T> INLINE Complex<T> pow_of(Complex<T> a, Complex<T> b) {
  if (a.re == 0 && a.im == 0 && b.re > 0) return {T(0), T(0)};
  if (b.im == 0 && b.re == 1) return a;
  if (b.im == 0 && b.re == 2) return a * a;
  if (b.im == 0 && b.re == 3) return a * (a * a);
  return rare_power(a, b);
}

// A number is computed here, whoever needs it: what it notes of errors is asked for.
#if defined(__x86_64__)
#define QUERN_FLOAT_REGISTER "x"
#else
#define QUERN_FLOAT_REGISTER "w"
#endif
inline void computed(f64 x) { __asm__ volatile("" : : QUERN_FLOAT_REGISTER(x)); }
inline void computed(f32 x) { __asm__ volatile("" : : QUERN_FLOAT_REGISTER(x)); }
template <class T> inline void computed(Complex<T> x) {
  computed(x.re);
  computed(x.im);
}
#undef QUERN_FLOAT_REGISTER

// ---------------------------------------------------------------- numbers

template <class T> inline T floordiv_int(T a, T b) {
  T q = a / b;
  return T(-1) < T(0) && (a % b != 0) && ((a < 0) != (b < 0)) ? q - 1 : q;
}
template <class T> inline T mod_int(T a, T b) {
  T r = a % b;
  return T(-1) < T(0) && r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}
// Python's, and NumPy's, remainder of floats: it has the divisor's sign
template <class T> inline T mod_float(T a, T b) {
  T r = T(fmod_of(a, b));
  if (r != 0) return (b < 0) != (r < 0) ? r + b : r;
  return T(copysign_of(T(0), b));
}
template <class T> inline T floordiv_float(T a, T b) {
  if (b == 0) return a / b;
  T r = T(fmod_of(a, b)), q = (a - r) / b;
  if (r != 0 && (b < 0) != (r < 0)) q -= 1;
  if (q == 0) return T(copysign_of(T(0), a / b));
  T f = T(floor_of(q));
  return q - f > T(0.5) ? f + 1 : f;
}
template <class T> inline T power_int(T a, T n) {
  T r = 1;
  for (; n > 0; n >>= 1, a *= a)
    if (n & 1) r *= a;
  return r;
}
// NaN wins, as in np.maximum
template <class T> inline T max_of(T a, T b) { return a >= b ? a : b; }
template <class T> inline T min_of(T a, T b) { return a <= b ? a : b; }
inline f64 max_of(f64 a, f64 b) { return __builtin_isgreaterequal(a, b) || a != a ? a : b; }
inline f64 min_of(f64 a, f64 b) { return __builtin_islessequal(a, b) || a != a ? a : b; }
inline f32 max_of(f32 a, f32 b) { return __builtin_isgreaterequal(a, b) || a != a ? a : b; }
inline f32 min_of(f32 a, f32 b) { return __builtin_islessequal(a, b) || a != a ? a : b; }
template <class T> inline T sign_of(T a) { return a > 0 ? T(1) : a < 0 ? T(-1) : a == 0 ? T(0) : a; }
template <class T> inline T abs_int(T a) { return a < 0 ? -a : a; }

// an index that may count from the end
inline i64 wrapped(i64 i, i64 n) { return i < 0 ? i + n : i; }
inline bool inside(i64 i, i64 n) { return (unsigned long long)i < (unsigned long long)n; }
// the bounds of a slice, as slice.indices gives them
inline i64 clipped(i64 i, i64 n) { return i < 0 ? (i + n < 0 ? 0 : i + n) : i > n ? n : i; }
inline i64 clipped_down(i64 i, i64 n) { return i < 0 ? (i + n < 0 ? -1 : i + n) : i >= n ? n - 1 : i; }
inline i64 length(i64 from, i64 to, i64 step) {
  return step > 0 ? (from < to ? (to - from - 1) / step + 1 : 0) : (to < from ? (from - to - 1) / -step + 1 : 0);
}

// ---------------------------------------------------------------- functions of many instructions

// Applied to strips of values: the loops around them stay plain, and these are vectors. A strip is padded with its first value.
constexpr i64 STRIP = 128;
template <class T> inline i64 padded(T* p, i64 n) {
  constexpr i64 N = lanes<whole<T>>;
  i64 end = (n + N - 1) / N * N;
  for (i64 i = n; i < end; ++i) p[i] = p[0];
  return end;
}
#define QUERN_STRIP1(name) \
  template <class T> inline void name##_strip(T* p, i64 n) { \
    typedef whole<T> V; \
    i64 end = padded(p, n); \
    for (i64 i = 0; i < end; i += lanes<V>) store<V>(p + i, apart_##name<V>(load<V>(p + i, full)), full); \
  }
#define QUERN_STRIP2(name) \
  template <class T> inline void name##_strip(T* p, T* q, i64 n) { \
    typedef whole<T> V; \
    i64 end = padded(p, n); \
    padded(q, n); \
    for (i64 i = 0; i < end; i += lanes<V>) \
      store<V>(p + i, apart_##name<V>(load<V>(p + i, full), load<V>(q + i, full)), full); \
  }
QUERN_STRIP1(exp) QUERN_STRIP1(exp2) QUERN_STRIP1(expm1) QUERN_STRIP1(log) QUERN_STRIP1(log2) QUERN_STRIP1(log10)
QUERN_STRIP1(log1p) QUERN_STRIP1(sin) QUERN_STRIP1(cos) QUERN_STRIP1(tan) QUERN_STRIP1(asin) QUERN_STRIP1(acos)
QUERN_STRIP1(atan) QUERN_STRIP1(sinh) QUERN_STRIP1(cosh) QUERN_STRIP1(tanh) QUERN_STRIP1(asinh) QUERN_STRIP1(acosh)
QUERN_STRIP1(atanh) QUERN_STRIP2(pow) QUERN_STRIP2(atan2) QUERN_STRIP2(hypot)
#undef QUERN_STRIP1
#undef QUERN_STRIP2

// ---------------------------------------------------------------- sums

// In halves down to a few elements, and eight at a time below: the error grows with the logarithm of n, as NumPy's does
// (pairwise summation; Higham, "The accuracy of floating point summation", 1993).
template <class T, class F> inline T sum_run(i64 from, i64 n, F f) {
  if (n < 8) {
    T s = f(from);
    for (i64 i = 1; i < n; ++i) s = s + f(from + i);
    return s;
  }
  T r[8];
  for (int k = 0; k < 8; ++k) r[k] = f(from + k);
  i64 i = 8;
  for (; i + 8 <= n; i += 8)
    for (int k = 0; k < 8; ++k) r[k] = r[k] + f(from + i + k);
  T s = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
  for (; i < n; ++i) s = s + f(from + i);
  return s;
}
template <class T, class F> T sum_halves(i64 from, i64 n, F f) {
  if (n <= 128) return sum_run<T>(from, n, f);
  i64 half = n / 2;
  half -= half % 8;
  return sum_halves<T>(from, half, f) + sum_halves<T>(from + half, n - half, f);
}
template <class T, class F> inline T sum_over(i64 n, F f) { return n <= 0 ? T{} : sum_halves<T>(0, n, f); }
template <class T, class F> inline bool all_over(i64 n, F f) {
  bool all = true;
  for (i64 i = 0; i < n; ++i) all &= f(i);
  return all;
}

// The sum of products of two runs of floats: in four vectors where both lie side by side.
template <class T> inline T dot_over(i64 n, const T* a, i64 a_step, const T* b, i64 b_step) {
  if (a_step != 1 || b_step != 1)
    return sum_over<T>(n, [=](i64 i) INLINE_BODY { return a[i * a_step] * b[i * b_step]; });
  typedef whole<T> V;
  constexpr i64 N = lanes<V>;
  V sums[4] = {};
  i64 i = 0;
  for (; i + 4 * N <= n; i += 4 * N)
    for (int k = 0; k < 4; ++k) sums[k] = fma(load<V>(a + i + k * N, full), load<V>(b + i + k * N, full), sums[k]);
  for (; i + N <= n; i += N) sums[0] = fma(load<V>(a + i, full), load<V>(b + i, full), sums[0]);
  if (i < n) {  // lanes that take no part hold what the first one does, which may be infinite
    auto taken = first<N>(int(n - i));
    V left = where<V>(taken, load<V>(a + i, int(n - i)), V{}), right = where<V>(taken, load<V>(b + i, int(n - i)), V{});
    sums[1] = fma(left, right, sums[1]);
  }
  V total = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  T found = 0;
  for (int k = 0; k < N; ++k) found += total[k];
  return found;
}

// ---------------------------------------------------------------- products of matrices

// Some rows of c = a b, in blocks of registers: R rows by two vectors of columns. Columns of b and c lie side by side.
template <int R, class T>
inline void product_rows(T* c, i64 c_row, const T* a, i64 a_row, i64 a_column, const T* b, i64 b_row, i64 columns, i64 inner) {
  typedef whole<T> V;
  constexpr i64 N = lanes<V>;
  i64 j = 0;
  for (; j + 2 * N <= columns; j += 2 * N) {
    V low[R] = {}, high[R] = {};
    for (i64 k = 0; k < inner; ++k) {
      V left = load<V>(b + k * b_row + j, full), right = load<V>(b + k * b_row + j + N, full);
      for (int r = 0; r < R; ++r) {
        V x = splat<V>(a[r * a_row + k * a_column]);
        low[r] = fma(x, left, low[r]);
        high[r] = fma(x, right, high[r]);
      }
    }
    for (int r = 0; r < R; ++r) {
      store<V>(c + r * c_row + j, low[r], full);
      store<V>(c + r * c_row + j + N, high[r], full);
    }
  }
  for (; j < columns; j += N) {
    int n = columns - j < N ? int(columns - j) : int(N);
    V sums[R] = {};
    for (i64 k = 0; k < inner; ++k) {
      V right = load<V>(b + k * b_row + j, n);
      for (int r = 0; r < R; ++r) sums[r] = fma(splat<V>(a[r * a_row + k * a_column]), right, sums[r]);
    }
    for (int r = 0; r < R; ++r) store<V>(c + r * c_row + j, sums[r], n);
  }
}
template <class T>
inline void product(T* c, i64 c_row, const T* a, i64 a_row, i64 a_column, const T* b, i64 b_row, i64 rows, i64 columns,
                    i64 inner) {
  i64 i = 0;
  for (; i + 4 <= rows; i += 4) product_rows<4>(c + i * c_row, c_row, a + i * a_row, a_row, a_column, b, b_row, columns, inner);
  for (; i < rows; ++i) product_rows<1>(c + i * c_row, c_row, a + i * a_row, a_row, a_column, b, b_row, columns, inner);
}

// ---------------------------------------------------------------- memory

// What a program takes while it runs. Nobody counts references: at places where the program says which arrays it still has
// (`sweep`), the rest is free for what is taken next.
struct Heap {
  struct Piece {
    char* at;
    unsigned long bytes;
    bool used;
  };
  Piece* pieces = nullptr;
  int count = 0, room = 0, taken = 0;

  void* take(unsigned long bytes, bool zeroed) {
    bytes = bytes < 64 ? 64 : bytes;
    ++taken;
    for (int i = 0; i < count; ++i)
      if (!pieces[i].used && pieces[i].bytes >= bytes && pieces[i].bytes <= 2 * bytes + 4096) {
        pieces[i].used = true;
        if (zeroed) __builtin_memset(pieces[i].at, 0, bytes);
        return pieces[i].at;
      }
    if (count == room) {
      int more = room ? 2 * room : 16;
      Piece* grown = (Piece*)__builtin_realloc(pieces, more * sizeof(Piece));
      if (!grown) return nullptr;
      pieces = grown, room = more;
    }
    char* at = (char*)(zeroed ? __builtin_calloc(bytes, 1) : __builtin_malloc(bytes));
    if (!at) return nullptr;
    pieces[count++] = {at, bytes, true};
    return at;
  }
  bool wants_sweep() const { return taken >= 8; }
  void sweep(const void* const* live, int n) {
    taken = 0;
    for (int i = 0; i < count; ++i) {
      bool used = false;
      for (int k = 0; k < n; ++k) {
        const char* p = (const char*)live[k];
        used |= p >= pieces[i].at && p <= pieces[i].at + pieces[i].bytes;
      }
      pieces[i].used = used;
    }
  }
  void free_all() {
    for (int i = 0; i < count; ++i) __builtin_free(pieces[i].at);
    __builtin_free(pieces);
    pieces = nullptr;
    count = room = taken = 0;
  }
};

// memory that an array spans, as byte addresses [low, high)
struct Span {
  const char *low, *high;
};
template <int N> struct Layout {
  i64 sizes[N], strides[N];
};
template <int N> inline Span span(const void* p, unsigned long item, Layout<N> a) {
  i64 low = 0, high = 0;
  for (int d = 0; d < N; ++d) {
    if (a.sizes[d] <= 0) return {(const char*)p, (const char*)p};
    i64 reach = (a.sizes[d] - 1) * a.strides[d];
    (reach < 0 ? low : high) += reach;
  }
  return {(const char*)p + low * (i64)item, (const char*)p + (high + 1) * (i64)item};
}
inline bool apart(Span a, Span b) { return a.high <= b.low || b.high <= a.low; }

}  // namespace quern::sequential
