// Kernels that run one after the other in one native call, as data: what `library.Segment` lays out.
#pragma once
#include "flags.h"
#include "vector.h"

namespace quern {

struct Call {
  void (*kernel)(void* const*, const i64*, int);
  int buffers, symbols;
  const int* places;  // of the kernel's buffers, then of its size symbols, in the segment's lists
};

struct Segment {
  const Call* calls;
  int count, most_buffers, most_symbols, notes_errors;
};

// list[0] is the segment, the buffers follow; gives the floating-point errors that were noted
extern "C" inline __attribute__((used, visibility("default"))) int quern_run(void* const* list, const i64* symbols, int threads) {
  const Segment& s = *(const Segment*)list[0];
  void* const* buffers = list + 1;
  void** own = (void**)__builtin_alloca(sizeof(void*) * (s.most_buffers + 1));
  i64* sizes = (i64*)__builtin_alloca(sizeof(i64) * (s.most_symbols + 1));
  if (s.notes_errors) forget_errors();
  for (int k = 0; k < s.count; ++k) {
    const Call& c = s.calls[k];
    for (int i = 0; i < c.buffers; ++i) own[i] = buffers[c.places[i]];
    for (int i = 0; i < c.symbols; ++i) sizes[i] = symbols[c.places[c.buffers + i]];
    c.kernel(own, sizes, threads);
  }
  return s.notes_errors ? (int)noted_errors() : 0;
}

}  // namespace quern
