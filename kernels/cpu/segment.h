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

// Memory that is looked at.
struct Seen {
  const char* at;
  long long bytes;
};

// What a few words here and there in each of these are, made one number: whoever writes to all of one changes it.
extern "C" inline __attribute__((used, visibility("default"))) unsigned long long quern_glance(const Seen* seen, int count) {
  unsigned long long all = 0;
  for (int i = 0; i < count; ++i) {
    const unsigned long long words = seen[i].bytes / 8;
    for (unsigned long long k = 1; k <= 64 && words; ++k) {
      const unsigned long long spread = k * 0x9E3779B97F4A7C15ull;  // the golden ratio: no two near each other, in no row or column
      unsigned long long word;
      __builtin_memcpy(&word, seen[i].at + (unsigned long long)(((unsigned __int128)spread * words) >> 64) * 8, 8);
      all = (all ^ word) * 0x100000001B3ull + (all >> 47);
    }
  }
  return all;
}

}  // namespace quern
