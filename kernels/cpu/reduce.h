// Loops over vectors, and what accumulates in them: reductions, positions of extremes, prefix sums.
#pragma once
#include "arithmetic.h"

namespace quern {

template <int K> struct Int { static constexpr int value = K; };

// body(i, n, k) for i = begin, begin + N, ...: n is `full`, or the number of lanes left at the end; k = 0 .. U-1 tells unrolled
// copies apart, so that each has its own accumulators. exact: (end - begin) is known to be a multiple of N.
template <int N, int U, bool exact, class F> INLINE void vector_loop(i64 begin, i64 end, F body) {
  i64 i = begin;
  if constexpr (U >= 2) {
    for (; i + U * N <= end; i += U * N) {
      body(i, full, Int<0>{});
      body(i + N, full, Int<1>{});
      if constexpr (U >= 4) {
        body(i + 2 * N, full, Int<2>{});
        body(i + 3 * N, full, Int<3>{});
      }
    }
  }
  for (; i + N <= end; i += N) body(i, full, Int<0>{});
  if constexpr (!exact)
    if (i < end) body(i, (int)(end - i), Int<0>{});
}

// ------------------------------------------------------------------ reductions

template <class T> struct limits {
  static constexpr T lowest = is_signed<T> ? (T)((u64)1 << (8 * sizeof(T) - 1)) : (T)0;
  static constexpr T highest = (T)~lowest;
};
template <> struct limits<f32> {
  static constexpr f32 lowest = -__builtin_inff(), highest = __builtin_inff();
};
template <> struct limits<f64> {
  static constexpr f64 lowest = -__builtin_inf(), highest = __builtin_inf();
};

// What changes nothing when it is joined to any other value: inductor/reducers.py says which it is for a reduction. Generated
// code defines a struct of each that it uses: `start`, the neutral element; `step`, which joins two; `exact`, whether that rounds.
template <class V> struct Neutral {
  static INLINE V zero() { return V{}; }
  static INLINE V one() { return splat<V>(1); }
  static INLINE V lowest() { return splat<V>(limits<lane<V>>::lowest); }
  static INLINE V highest() { return splat<V>(limits<lane<V>>::highest); }
  static INLINE V ones() {  // of truth values: masks, or bool
    if constexpr (same<V, bool>) return true;
    else return (V)~V{};
  }
};

// a over the lanes of v, halving: lane l with lane l + N/2, then N/4, ...
template <class Op, class V> INLINE lane<V> horizontal(V v) {
  typedef bits<V> B;
  constexpr int N = lanes<V>;
  if constexpr (N > 32) v = Op::step(v, (V)__builtin_shuffle(v, iota<B>() ^ (lane<B>)32));
  if constexpr (N > 16) v = Op::step(v, (V)__builtin_shuffle(v, iota<B>() ^ (lane<B>)16));
  if constexpr (N > 8) v = Op::step(v, (V)__builtin_shuffle(v, iota<B>() ^ (lane<B>)8));
  if constexpr (N > 4) v = Op::step(v, (V)__builtin_shuffle(v, iota<B>() ^ (lane<B>)4));
  if constexpr (N > 2) v = Op::step(v, (V)__builtin_shuffle(v, iota<B>() ^ (lane<B>)2));
  v = Op::step(v, (V)__builtin_shuffle(v, iota<B>() ^ (lane<B>)1));
  return v[0];
}

// One reduction's running value, in U independent vectors (or one scalar).
template <class Op, class V, int U = 1> struct Accumulator {
  static constexpr int N = lanes<V>;
  V a = Op::template start<V>(), b = a, c = a, d = a;
  V total = a;  // of finished runs

  template <int K> INLINE V& part(Int<K>) {
    if constexpr (K == 0) return a;
    else if constexpr (K == 1) return b;
    else if constexpr (K == 2) return c;
    else return d;
  }
  template <int K> INLINE void add(V x, Full, Int<K> k) { part(k) = Op::step(part(k), x); }
  template <int K> INLINE void add(V x, int n, Int<K> k) {
    part(k) = where(first<lanes<V>>(n), Op::step(part(k), x), part(k));
  }
  INLINE V run() {
    if constexpr (U == 1) return a;
    else if constexpr (U == 2) return Op::step(a, b);
    else return Op::step(Op::step(a, b), Op::step(c, d));
  }
  INLINE V all() { return Op::step(total, run()); }
  // end a run: long sums stay accurate when runs of bounded length are added up
  INLINE void flush() {
    total = all();
    a = b = c = d = Op::template start<V>();
  }
  INLINE lane<V> value() {
    if constexpr (is_scalar<V>) return all();
    else return horizontal<Op>(all());
  }
  // running values that lie in an array between runs
  template <class T, class P> INLINE void resume(const T* p, P n) { total = load_raw<V>(p, n); }
  template <class T, class P> INLINE void save(T* p, P n) { store_raw(p, all(), n); }
  // another part's result
  template <class T, class P> INLINE void absorb(const T* p, P n) { total = Op::step(total, load_raw<V>(p, n)); }
  // truth values: lanes of masks are 0 or -1
  INLINE bool truth() { return value() != 0; }
};

// Where the largest (sign > 0) or smallest value is: the first such position, NaN winning over numbers.
// V: values, I: positions, as many lanes.
template <int sign, class V, class I> struct ArgAccumulator {
  static constexpr int N = lanes<V>;
  V best;
  I at;
  INLINE ArgAccumulator(i64 begin = 0) {
    best = splat<V>(sign > 0 ? limits<lane<V>>::lowest : limits<lane<V>>::highest);
    at = splat<I>((lane<I>)begin);
  }
  static INLINE auto better(V x, V y) {
    if constexpr (is_scalar<V>) return (bool)((sign > 0 ? x > y : x < y) | ((x != x) & (y == y)));
    else return as_mask((sign > 0 ? x > y : x < y) | ((x != x) & (y == y)));
  }
  INLINE void add(V x, I i, Full) {
    auto take = better(x, best);
    best = where(take, x, best);
    at = where(take, i, at);
  }
  INLINE void add(V x, I i, int n) {
    auto take = better(x, best) & first<lanes<V>>(n);
    best = where(take, x, best);
    at = where(take, i, at);
  }
  // running values that lie in arrays between runs
  template <class T, class S, class P> INLINE void resume(const T* p, const S* q, P n) {
    best = load_raw<V>(p, n);
    at = load_raw<I>(q, n);
  }
  template <class T, class S, class P> INLINE void save(T* p, S* q, P n) {
    store_raw(p, best, n);
    store_raw(q, at, n);
  }
  // another part's result, of later positions than those seen so far
  template <class T, class S, class P> INLINE void absorb(const T* p, const S* q, P n) {
    add(load_raw<V>(p, n), load_raw<I>(q, n), full);
  }
  // another candidate for one lane; ties go to the lower position
  static INLINE void merge(lane<V>& best, i64& at, lane<V> x, i64 i) {
    bool wins = (sign > 0 ? x > best : x < best) || (x != x && best == best);
    bool ties = (x == best || (x != x && best != best)) && i < at;
    if (wins || ties) best = x, at = i;
  }
  INLINE void fold(lane<V>& one, i64& position) {  // all lanes into one
    if constexpr (is_scalar<V>) one = best, position = at;
    else {
      one = best[0], position = at[0];
      for (int l = 1; l < lanes<V>; ++l) merge(one, position, best[l], at[l]);
    }
  }
  INLINE i64 value() {
    lane<V> one;
    i64 position;
    fold(one, position);
    return position;
  }
};

// The results of all chunks of a reduction, combined in a fixed order: pairs, pairs of pairs, ...
template <class Op, class T> T combine(const T* partial, i64 count) {
  if (count == 1) return partial[0];
  if (count <= 0) return Op::template start<T>();
  i64 half = count / 2;
  return Op::step(combine<Op>(partial, half), combine<Op>(partial + half, count - half));
}
template <class Op, class T> void combine_rows(const T* partial, T* total, i64 rows, i64 chunks) {
  for (i64 r = 0; r < rows; ++r) total[r] = combine<Op>(partial + r * chunks, chunks);
}
template <int sign, class T>
void combine_positions(const T* partial, const i64* partial_at, T* total, i64* total_at, i64 rows, i64 chunks) {
  for (i64 r = 0; r < rows; ++r) {
    ArgAccumulator<sign, T, i64> all;
    for (i64 c = r * chunks; c < (r + 1) * chunks; ++c) all.add(partial[c], partial_at[c], full);
    total[r] = all.best, total_at[r] = all.at;
  }
}
// A: the accumulator of the columns; partial[row][chunk][column] to total[row][column]
template <class A, class T> void combine_columns(const T* partial, T* total, i64 rows, i64 chunks, i64 width) {
  constexpr int N = A::N;
  for (i64 r = 0; r < rows; ++r)
    vector_loop<N, 1, false>(0, width, [&](i64 i, auto n, auto) {
      A all;
      for (i64 c = r * chunks; c < (r + 1) * chunks; ++c) all.absorb(partial + c * width + i, n);
      all.save(total + r * width + i, n);
    });
}
template <class A, class T, class I>
void combine_columns(const T* partial, const I* partial_at, T* total, I* total_at, i64 rows, i64 chunks, i64 width) {
  constexpr int N = A::N;
  for (i64 r = 0; r < rows; ++r)
    vector_loop<N, 1, false>(0, width, [&](i64 i, auto n, auto) {
      A all;
      for (i64 c = r * chunks; c < (r + 1) * chunks; ++c) all.absorb(partial + c * width + i, partial_at + c * width + i, n);
      all.save(total + r * width + i, total_at + r * width + i, n);
    });
}

// Memory for partial results, freed at the end of the scope. It begins with a line of the cache.
template <class T> struct Scratch {
  void* whole;
  T* data;
  Scratch(i64 count) : whole(__builtin_malloc(count * sizeof(T) + 64)), data((T*)(((u64)whole + 63) / 64 * 64)) {}
  ~Scratch() { __builtin_free(whole); }
};

// ------------------------------------------------------------------ prefixes

// An inclusive prefix along the lanes and from one vector to the next. Floats are added (or multiplied) one after the other, as a
// loop over elements does it: every partial result is seen, and where a running sum cancels another order is another result.
template <class Op, class V> struct Scan {
  static constexpr bool in_order = is_float<lane<V>> && !Op::exact;
  lane<V> carry = Op::template start<lane<V>>();

  template <int shift> static INLINE V shifted(V v) {  // lanes moved up by `shift`, the neutral element moving in
    typedef bits<V> B;
    constexpr int N = lanes<V>;
    return __builtin_shuffle(Op::template start<V>(), v, iota<B>() + (lane<B>)(N - shift));
  }
  template <class P> INLINE V next(V x, P n) {
    constexpr int N = lanes<V>;
    if constexpr (!same<P, Full>) x = where(first<N>(n), x, Op::template start<V>());
    if constexpr (in_order) {
      alignas(64) lane<V> row[N];
      store_raw(row, x, full);
      for (int l = 0; l < N; ++l) row[l] = carry = Op::step(carry, row[l]);
      return load_raw<V>(row, full);
    }
    x = Op::step(shifted<1>(x), x);
    if constexpr (N > 2) x = Op::step(shifted<2>(x), x);
    if constexpr (N > 4) x = Op::step(shifted<4>(x), x);
    if constexpr (N > 8) x = Op::step(shifted<8>(x), x);
    if constexpr (N > 16) x = Op::step(shifted<16>(x), x);
    if constexpr (N > 32) x = Op::step(shifted<32>(x), x);
    lane<V> before = carry;
    carry = Op::step(before, x[N - 1]);
    return Op::step(splat<V>(before), x);
  }
};

// The same for one lane, or for lanes that each run on their own.
template <class Op, class V> struct ScanAcross {
  V carry = Op::template start<V>();
  INLINE V next(V x) { return carry = Op::step(carry, x); }
};

}  // namespace quern
