// Memory of large arrays, kept for the next of the same size: pages that the system hands out anew are cleared first, and that takes as long
// as many a kernel. In the form that NumPy asks of memory handlers (PyDataMem_Handler, NEP 49).
#pragma once
#include "vector.h"

extern "C" {
void* malloc(unsigned long);
void* calloc(unsigned long, unsigned long);
void* realloc(void*, unsigned long);
void free(void*);
int posix_memalign(void**, unsigned long, unsigned long);
int madvise(void*, unsigned long, int);
}

namespace quern {

typedef unsigned long Size;
constexpr Size POOL_LEAST = 1 << 20, POOL_MOST = 256 << 20, PAGE = 4096, HUGE_PAGE = 2 << 20;  // of a block; of all that is kept; bytes
constexpr int POOL_BLOCKS = 16, MADV_HUGEPAGE_ = 14;

struct Kept { void* at; Size size; };
inline Kept pool[POOL_BLOCKS];  // oldest first
inline int pool_count;
inline Size pool_bytes;
inline bool pool_busy;

// Whether the pool is this thread's for a moment. Nobody waits for it: without it memory comes from the system.
INLINE bool pool_enter() { return !__atomic_exchange_n(&pool_busy, true, __ATOMIC_ACQUIRE); }
INLINE void pool_leave() { __atomic_store_n(&pool_busy, false, __ATOMIC_RELEASE); }
INLINE Kept pool_remove(int i) {
  const Kept found = pool[i];
  pool_bytes -= found.size;
  for (--pool_count; i < pool_count; ++i) pool[i] = pool[i + 1];
  return found;
}

inline void* pool_malloc(void*, Size size) {
  if (size < POOL_LEAST) return malloc(size ? size : 1);
  if (pool_enter()) {
    void* found = nullptr;
    for (int i = pool_count - 1; i >= 0 && !found; --i)
      if (pool[i].size == size) found = pool_remove(i).at;
    pool_leave();
    if (found) return found;
  }
  void* made = nullptr;
  if (posix_memalign(&made, 64, size)) return nullptr;  // no more: arrays that all begin a large page compete for the same places of a cache
  const Size first = ((Size)made + PAGE - 1) & ~(PAGE - 1);
  if (size >= 2 * HUGE_PAGE) madvise((void*)first, ((Size)made + size - first) & ~(PAGE - 1), MADV_HUGEPAGE_);
  return made;
}
inline void* pool_calloc(void*, Size count, Size size) { return calloc(count, size); }
inline void* pool_realloc(void*, void* at, Size size) { return realloc(at, size); }
inline void pool_free(void*, void* at, Size size) {
  if (at && size >= POOL_LEAST && size <= POOL_MOST && pool_enter()) {
    void* dropped[POOL_BLOCKS];
    int n = 0;
    while (pool_count == POOL_BLOCKS || pool_bytes + size > POOL_MOST) dropped[n++] = pool_remove(0).at;
    pool[pool_count++] = {at, size};
    pool_bytes += size;
    pool_leave();
    while (n) free(dropped[--n]);
    return;
  }
  free(at);
}

struct Handler {
  char name[127];
  u8 version;
  void* context;
  void* (*malloc)(void*, Size);
  void* (*calloc)(void*, Size, Size);
  void* (*realloc)(void*, void*, Size);
  void (*free)(void*, void*, Size);
};
extern "C" __attribute__((used, visibility("default"))) Handler quern_pool = {
    "quern", 1, nullptr, pool_malloc, pool_calloc, pool_realloc, pool_free};

}  // namespace quern
