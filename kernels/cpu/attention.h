// Softmax along keys that come by a block at a time, and the sum that it weighs.
//
// After each block a row knows its largest score so far and what was summed relative to it; a larger score shrinks the sums. (Milakov
// and Gimelshein, "Online normalizer calculation for softmax", 2018; Dao et al., "FlashAttention", 2022.)
#pragma once
#include "contraction.h"

namespace quern {

struct Larger {
  template <class V> static INLINE V step(V a, V x) { return max(a, x); }
};

// A row's scores become exp(score - the largest so far), and are added to `total`. Gives the factor by which what was summed before
// shrinks. While all scores are -inf there is nothing to subtract: they weigh nothing.
template <class V> INLINE lane<V> weigh(lane<V>* scores, i64 count, lane<V>& most, lane<V>& total) {
  constexpr int N = lanes<V>;
  typedef lane<V> T;
  const T none = limits<T>::lowest;
  V largest = splat<V>(most), other = largest, third = largest, fourth = largest;  // one waits for itself
  i64 i = 0;
  for (; i + 4 * N <= count; i += 4 * N) {
    largest = max(largest, load_raw<V>(scores + i, full));
    other = max(other, load_raw<V>(scores + i + N, full));
    third = max(third, load_raw<V>(scores + i + 2 * N, full));
    fourth = max(fourth, load_raw<V>(scores + i + 3 * N, full));
  }
  for (; i + N <= count; i += N) largest = max(largest, load_raw<V>(scores + i, full));
  largest = max(max(largest, other), max(third, fourth));
  if (i < count) {
    const V last = where(first<N>((int)(count - i)), load_raw<V>(scores + i, full), splat<V>(none));
    store_raw(scores + i, last, full);  // what stands behind the row weighs nothing
    largest = max(largest, last);
  }
  const T now = horizontal<Larger>(largest), base = now == none ? T(0) : now;
  V sum{};
  for (i = 0; i < count; i += N) {
    const V weight = vector_math::exp_of_negative(load_raw<V>(scores + i, full) - splat<V>(base));
    store_raw(scores + i, weight, full);
    sum = sum + weight;
  }
  const T factor = vector_math::exp_of_negative(splat<V>(most - base))[0];
  most = now;
  total = total * factor + horizontal<Plus>(sum);
  return factor;
}

// A row's sums, shrunk. width: a whole number of vectors
template <class V> INLINE void shrink(lane<V>* sums, i64 width, lane<V> factor) {
  if (factor == 1) return;
  for (i64 i = 0; i < width; i += lanes<V>) store_raw(sums + i, load_raw<V>(sums + i, full) * splat<V>(factor), full);
}

}  // namespace quern
