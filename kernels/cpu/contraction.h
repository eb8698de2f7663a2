// Products of blocks, for sums of products: rows by vectors of columns in registers, the inner axis walked once.
//
// The scheme is that of Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication" (2008): the right operand is laid
// down so that it is read one vector after the other, and stays in the second cache while all rows go by.
#pragma once
#include "reduce.h"

namespace quern {

// A length cut into pieces of `size`, the first `longer` of them, and of one less, the others. even: there are no others.
template <int size_, i64 longer, bool even_> struct Pieces {
  static constexpr int size = size_;
  static constexpr bool even = even_;
  static INLINE i64 start(i64 i) { return i * size - (i > longer ? i - longer : 0); }
  static INLINE bool is_shorter(i64 i) { return !even && i >= longer; }
};

// The rows of each of `count` lines of `length`, cut into pieces for themselves.
template <class P, i64 count, i64 length> struct Lines {
  static constexpr int size = P::size;
  static constexpr bool even = P::even;
  static INLINE i64 start(i64 i) { return i / count * length + P::start(i % count); }
  static INLINE bool is_shorter(i64 i) { return P::is_shorter(i % count); }
};

// A left operand as blocks read it: steps along the rows and along the inner axis.
template <class T> struct Left {
  const T* at;
  i64 row, step;
};

// A right operand: its columns (or vectors of them) are `column` elements apart, and along the inner axis it steps by `step`.
template <class T> struct Right {
  const T* at;
  i64 column, step;
};

// The inner axis in one walk.
struct Walk {
  i64 inner;
  template <class F> INLINE void each(F f) const { f(i64(0), i64(0), inner); }
};

// In one walk at each place of a window: the left operand begins `offsets` further on there, the right one `place` for each.
struct Windows {
  const i64* offsets;
  i64 places, place, inner;
  template <class F> INLINE void each(F f) const {
    for (i64 i = 0; i < places; ++i) f(offsets[i], i * place, inner);
  }
};

// out[r * pitch + c * N + l] = (fresh ? 0 : what is there) + sum over the points t of the walks of a[r, t] * b[c, t, l] for r < R, c < C and
// the N lanes l of V. far: the right operand was not laid down, and the processor does not foresee its long steps; what was laid down
// comes from the second cache or, where that was long ago, from memory. One copy serves all calls: those that know a pitch are no
// faster, and take long to compile.
template <bool far, class V, int R, int C, class Walks>
__attribute__((noinline, noclone)) void multiply_block(
    lane<V>* out, i64 pitch, bool fresh, Left<lane<V>> a, Right<lane<V>> b, Walks walks) {
  constexpr int N = lanes<V>;
  V sum[R][C] = {};
  walks.each([&](i64 left_from, i64 right_from, i64 inner) INLINE_BODY {
    const lane<V>* right_at = b.at + right_from;
    // one pointer for three rows, the middle one: an instruction reaches a row to either side of it
    const lane<V>* middle[(R + 2) / 3];
#pragma GCC unroll 16
    for (int i = 0; i < (R + 2) / 3; ++i) {
      middle[i] = a.at + left_from + (3 * i + 1) * a.row;
      asm("" : "+r"(middle[i]));
    }
    for (i64 t = 0; t < inner; ++t) {
      V right[C];
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        right[c] = load_raw<V>(right_at + c * b.column, full);
        if constexpr (far) __builtin_prefetch(right_at + c * b.column + 16 * b.step, 0, 2);
        else if constexpr (sizeof(V) == 64) __builtin_prefetch(right_at + c * b.column + 8 * b.step, 0, 3);
      }
      right_at += b.step;
#pragma GCC unroll 32
      for (int r = 0; r < R; ++r) {
        const V left = splat<V>(middle[r / 3][(r % 3 - 1) * a.row]);
#pragma GCC unroll 8
        for (int c = 0; c < C; ++c) sum[r][c] = vector_math::fma(left, right[c], sum[r][c]);
      }
#pragma GCC unroll 16
      for (int i = 0; i < (R + 2) / 3; ++i) middle[i] += a.step;
    }
  });
#pragma GCC unroll 32
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      lane<V>* at = out + r * pitch + c * N;
      if (!fresh) sum[r][c] = load_raw<V>(at, full) + sum[r][c];
      store_raw(at, sum[r][c], full);
    }
}

// f(rows, columns, at) for the pieces `first` to `last` of the columns, with the block's height and width as types: R rows or one
// less, C columns or one less. at: columns before the piece
template <class Rows, class Columns, class F> INLINE void each_block(bool shorter, i64 first, i64 last, F f) {
  constexpr int R = Rows::size, C = Columns::size;
  for (i64 i = first; i < last; ++i) {
    const i64 at = Columns::start(i) - Columns::start(first);
    const bool narrower = Columns::is_shorter(i);
    if constexpr (!Rows::even)
      if (shorter) {
        if constexpr (!Columns::even)
          if (narrower) {
            f(Int<R - 1>{}, Int<C - 1>{}, at);
            continue;
          }
        f(Int<R - 1>{}, Int<C>{}, at);
        continue;
      }
    if constexpr (!Columns::even)
      if (narrower) {
        f(Int<R>{}, Int<C - 1>{}, at);
        continue;
      }
    f(Int<R>{}, Int<C>{}, at);
  }
}

// A block's rows by the columns of a task, which are counted in vectors.
template <bool far, class V, class Rows, class Columns, class Walks>
INLINE void multiply_rows(
    bool shorter, i64 first, i64 last, lane<V>* out, i64 pitch, bool fresh, Left<lane<V>> a, Right<lane<V>> b, Walks walks) {
  each_block<Rows, Columns>(shorter, first, last, [&](auto rows, auto columns, i64 at) INLINE_BODY {
    const Right<lane<V>> from{b.at + at * b.column, b.column, b.step};
    multiply_block<far, V, decltype(rows)::value, decltype(columns)::value>(out + at * lanes<V>, pitch, fresh, a, from, walks);
  });
}

// strip[r * N + l] = sum over the places of a window of image[r, place, l] * weights[place, l] for r < R and the N lanes l of V, of which n
// are used: each lane is a channel that is filtered for itself. The last axis of the window has `taps` places. Along it and along the rows
// the image is read every `unit` elements, `gap` of these from one tap to the next, `step` from one row to the next: what two rows read
// is loaded once. offsets: where the image begins at each point of the window's other axes.
template <class V, int R, int taps, int step, int gap, class P>
INLINE void filter_block(
    lane<V>* strip, const lane<V>* image, i64 unit, const i64* offsets, i64 lines, const lane<V>* weights, P n) {
  V sum[R] = {};
  for (i64 i = 0; i < lines; ++i, weights += taps * lanes<V>) {
    const lane<V>* at = image + offsets[i];
#pragma GCC unroll 16
    for (int t = 0; t < taps; ++t) {
      const V weight = load_raw<V>(weights + t * lanes<V>, full);
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r)
        sum[r] = vector_math::fma(load_raw<V>(at + (r * step + t * gap) * unit, n), weight, sum[r]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) store_raw(strip + r * lanes<V>, sum[r], full);
}

// The same for a block's rows, R or one less.
template <class V, class Rows, int taps, int step, int gap, class P>
INLINE void filter_rows(
    bool shorter, lane<V>* strip, const lane<V>* image, i64 unit, const i64* offsets, i64 lines, const lane<V>* weights, P n) {
  if constexpr (!Rows::even)
    if (shorter) return filter_block<V, Rows::size - 1, taps, step, gap>(strip, image, unit, offsets, lines, weights, n);
  filter_block<V, Rows::size, taps, step, gap>(strip, image, unit, offsets, lines, weights, n);
}

struct Plus {
  template <class V> static INLINE V step(V a, V x) { return a + x; }
};

// out[r * pitch + c] = (fresh ? 0 : what is there) + sum over t < inner of a[r, t] * b[c, t], for r < R and c < C: both operands step
// by one along the inner axis. What the processor reads ahead of its own accord is too little where the right operand comes from far.
template <class V, int R, int C>
__attribute__((noinline, noclone)) void dot_block(lane<V>* out, i64 pitch, bool fresh, Left<lane<V>> a, Right<lane<V>> b, i64 inner) {
  constexpr int N = lanes<V>;
  V sum[R][C] = {};
  auto step = [&](i64 t, auto n) INLINE_BODY {
    V right[C];
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      right[c] = load_raw<V>(b.at + c * b.column + t, n);
      __builtin_prefetch(b.at + (C + c) * b.column + t, 0, 2);
    }
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
      const V left = load_raw<V>(a.at + r * a.row + t, n);
#pragma GCC unroll 8
      for (int c = 0; c < C; ++c) {
        const V more = vector_math::fma(left, right[c], sum[r][c]);
        if constexpr (same<decltype(n), Full>) sum[r][c] = more;
        else sum[r][c] = where(first<N>(n), more, sum[r][c]);
      }
    }
  };
  i64 t = 0;
  for (; t + N <= inner; t += N) step(t, full);
  if (t < inner) step(t, (int)(inner - t));
#pragma GCC unroll 8
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) {
      const lane<V> all = horizontal<Plus>(sum[r][c]);
      out[r * pitch + c] = fresh ? all : out[r * pitch + c] + all;
    }
}

// A block's rows by the columns of a task, where both operands run along the inner axis.
template <class V, class Rows, class Columns>
INLINE void dot_rows(
    bool shorter, i64 first, i64 last, lane<V>* out, i64 pitch, bool fresh, Left<lane<V>> a, Right<lane<V>> b, i64 inner) {
  each_block<Rows, Columns>(shorter, first, last, [&](auto rows, auto columns, i64 at) INLINE_BODY {
    const Right<lane<V>> from{b.at + at * b.column, b.column, b.step};
    dot_block<V, decltype(rows)::value, decltype(columns)::value>(out + at, pitch, fresh, a, from, inner);
  });
}

// Asks for a share of what will be laid down next: `count` lines of memory of `length` elements, `step` elements apart.
template <class T> INLINE void ask_ahead(const T* at, i64 count, i64 step, i64 length, i64 part, i64 parts) {
  for (i64 i = count * part / parts; i < count * (part + 1) / parts; ++i)
    for (i64 t = 0; t < length; t += 64 / sizeof(T)) __builtin_prefetch(at + i * step + t, 0, 2);
}

// One point of the inner axis of a right operand, a line of `count` columns, cut into vectors that are `group` apart. There is room
// for a vector behind the line; its last element fills up the last vector, so that it makes no floating-point error of its own.
template <class V> INLINE void lay_down(lane<V>* panel, i64 group, lane<V>* line, i64 count) {
  constexpr int N = lanes<V>;
  store_raw(line + count, splat<V>(line[count - 1]), full);
  for (i64 i = 0; i < count; i += N) store_raw(panel + i / N * group, load_raw<V>(line + i, full), full);
}

// The lanes of a vector of columns from `used` on, all along the inner axis: those of its first column.
template <class V> INLINE void fill_up(lane<V>* vector, i64 inner, int used) {
  for (i64 t = 0; t < inner; ++t)
    for (int l = used; l < lanes<V>; ++l) vector[t * lanes<V> + l] = vector[t * lanes<V>];
}

}  // namespace quern
