// Kernels that run one after the other in one native call, as data: what `library.Segment` lays out.
#pragma once
#include "flags.h"

namespace quern {

// given: pointers of buffers and size symbols; places: of the kernel's own among them
typedef void Kernel(void* const* given, const int* places, int threads);

struct Call {
  Kernel* kernel;
  const int* places;
};

struct Segment {
  const Call* calls;
  int count, notes_errors;
};

// given[0] is the segment; gives the floating-point errors that were noted
extern "C" inline __attribute__((used, visibility("default"))) int quern_run(void* const* given, int threads) {
  const Segment& s = *(const Segment*)given[0];
  if (s.notes_errors) forget_errors();
  for (int i = 0; i < s.count; ++i) s.calls[i].kernel(given + 1, s.calls[i].places, threads);
  return s.notes_errors ? (int)noted_errors() : 0;
}

}  // namespace quern
