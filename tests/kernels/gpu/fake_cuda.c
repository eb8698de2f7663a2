/* A stand-in for NVIDIA's driver library: answers like one device (two with FAKE_CUDA_DEVICES=2) and records launches. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct launch { uint64_t function; uint32_t grid, threads, shared; uint64_t stream; uint64_t size; unsigned char params[256]; uint64_t context; };
struct launch last, history[64];
int launches, loads, attribute_shared, fail_next;
uint64_t current_context = 0, pushed[16];
int depth = 0;

int cuInit(unsigned flags) { return 0; }
int cuGetErrorString(int code, const char **text) { *text = "a made-up reason"; return 0; }
int cuDeviceGetCount(int *n) { const char *v = getenv("FAKE_CUDA_DEVICES"); *n = v ? atoi(v) : 1; return 0; }
int cuDeviceGet(int *handle, int ordinal) { *handle = ordinal; return ordinal < 2 ? 0 : 101; }
int cuDeviceGetAttribute(int *value, int attribute, int device) { *value = attribute == 75 ? 9 : 0; return 0; }
int cuDevicePrimaryCtxRetain(uint64_t *context, int device) { *context = 0x1000 + device; return 0; }
int cuCtxPushCurrent_v2(uint64_t context) { pushed[depth++] = current_context; current_context = context; return 0; }
int cuCtxPopCurrent_v2(uint64_t *context) { *context = current_context; current_context = pushed[--depth]; return 0; }
int cuModuleLoadData(uint64_t *module, const char *image) { loads++; *module = (current_context << 32) + 0x5000 + loads; return memcmp(image, "\177ELF", 4) ? 200 : 0; }
int cuModuleGetFunction(uint64_t *function, uint64_t module, const char *name) { *function = module + 0x1000; return 0; }
int cuFuncSetAttribute(uint64_t function, int attribute, int value) { attribute_shared = value; return 0; }
int cuLaunchKernel(uint64_t function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, uint64_t stream, void **params, void **extra) {
  if (fail_next) { int code = fail_next; fail_next = 0; return code; }
  if (!current_context) return 201;
  if (function >> 32 != current_context) return 400; /* loaded in another device's context */
  last.function = function; last.grid = gx; last.threads = bx; last.shared = shared; last.stream = stream;
  last.context = current_context;
  if (extra[0] != (void *)1 || extra[2] != (void *)2 || extra[4]) return 1;
  last.size = *(size_t *)extra[3];
  memcpy(last.params, extra[1], last.size);
  history[launches++ % 64] = last;
  return 0;
}
