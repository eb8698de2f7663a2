// Floating-point errors, as the processor notes them while kernels run: each thread has sticky flags of its own.
//
// Only where the including file defines QUERN_FLOAT_ERRORS. Then lanes that take no part hold what the first lane holds, so that
// they raise nothing of their own, and logarithms and their kin raise what their formulas would not (`noted` in vecmath.h).
// An error may be noted that the program did not make (a comparison with NaN is one): who reads the flags looks closer.
#pragma once

#ifdef QUERN_FLOAT_ERRORS
#define QUERN_NOTES 1
#else
#define QUERN_NOTES 0
#endif

namespace quern {

// the errors as NumPy numbers them; processors have the first three side by side, in the same order, and the last at bit 0
enum : unsigned { BY_ZERO = 1, OVERFLOW_ = 2, UNDERFLOW_ = 4, INVALID = 8 };

#if defined(__SSE2__)
// MXCSR: 1 invalid, 4 division by zero, 8 overflow, 16 underflow
inline unsigned noted_errors() {
  unsigned f = __builtin_ia32_stmxcsr();
  return (f >> 2 & 7) | (f & 1) << 3;
}
inline void forget_errors() { __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() & ~0x3fu); }
inline void note_errors(unsigned e) { __builtin_ia32_ldmxcsr(__builtin_ia32_stmxcsr() | (e & 7) << 2 | e >> 3); }
#elif defined(__aarch64__)
// FPSR: 1 invalid, 2 division by zero, 4 overflow, 8 underflow
inline unsigned noted_errors() {
  unsigned long f;
  __asm__ volatile("mrs %0, fpsr" : "=r"(f));
  return (f >> 1 & 7) | (f & 1) << 3;
}
inline void set_fpsr(unsigned long keep, unsigned long set) {
  unsigned long f;
  __asm__ volatile("mrs %0, fpsr" : "=r"(f));
  __asm__ volatile("msr fpsr, %0" : : "r"((f & keep) | set));
}
inline void forget_errors() { set_fpsr(~0x1ful, 0); }
inline void note_errors(unsigned e) { set_fpsr(~0ul, (e & 7) << 1 | e >> 3); }
#else
// not known here: every error may have happened
inline unsigned noted_errors() { return BY_ZERO | OVERFLOW_ | UNDERFLOW_ | INVALID; }
inline void forget_errors() {}
inline void note_errors(unsigned) {}
#endif

}  // namespace quern
