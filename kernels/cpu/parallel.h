// Threads, through whatever OpenMP runtime the process already has.
//
// A kernel library is not linked to an OpenMP runtime: the loader looks for the one in use (a framework may have brought its
// own), and hands over three of its functions. So there is never a second pool of threads in the process.
#pragma once
#include "vector.h"

namespace quern {

struct Runtime {
  void (*parallel)(void (*)(void*), void*, unsigned, unsigned);  // GOMP_parallel
  int (*thread)();                                               // omp_get_thread_num
  int (*team)();                                                 // omp_get_num_threads
};
inline __attribute__((visibility("hidden"))) Runtime runtime;
extern "C" inline __attribute__((used, visibility("default"))) void quern_set_runtime(const Runtime* r) { runtime = *r; }

// Threads worth starting for `work` (estimated nanoseconds on one): each gets some microseconds to do.
INLINE int threads_for(i64 work, int threads) {
  i64 worthwhile = work / 8000;
  return worthwhile < threads ? (int)worthwhile : threads;
}

// body(begin, end) over [0, tasks), one contiguous range per thread
template <class F> INLINE void parallel_for(int threads, i64 tasks, F const& body) {
  if (tasks < threads) threads = (int)tasks;
  if (threads <= 1 || !runtime.parallel) {
    if (tasks > 0) body((i64)0, tasks);
    return;
  }
  struct Job { F const* body; i64 tasks; unsigned errors; } job{&body, tasks, 0};
  runtime.parallel([](void* data) {
    Job& j = *(Job*)data;
    i64 me = runtime.thread(), team = runtime.team();
    i64 share = j.tasks / team, extra = j.tasks % team;
    i64 begin = me * share + (me < extra ? me : extra), end = begin + share + (me < extra);
    if (QUERN_NOTES && me) forget_errors();
    if (begin < end) (*j.body)(begin, end);
    if (QUERN_NOTES && me) __atomic_fetch_or(&j.errors, noted_errors(), __ATOMIC_RELAXED);
  }, &job, threads, 0);
  if (QUERN_NOTES) note_errors(job.errors);
}

}  // namespace quern
