"""The few functions of NVIDIA's driver library that launching a kernel takes, called with ctypes.

No framework and no compiled extension: a kernel starts from addresses and a stream handle. Devices are used
through their primary context, the one that the CUDA runtime (and so every framework) uses.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Iterator
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint, c_void_p

from ...errors import UserError

_DYNAMIC_SHARED_BYTES = 8  # CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
_COMPUTE_MAJOR, _COMPUTE_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
#: the calling thread has no context, or not the one that the kernel was loaded in
WRONG_CONTEXT = (201, 400)
#: a block may use this much shared memory without asking
_SHARED_BY_DEFAULT = 48 << 10


class CudaError(UserError):
    """A call to the CUDA driver failed; the message names the call and CUDA's reason."""

    def __init__(self, call: str, code: int, reason: str) -> None:
        self.code = code
        super().__init__(f"{call} failed with CUDA error {code} ({reason})")


class Driver:
    """The driver library. Raises UserError when it cannot be loaded or finds no device."""

    def __init__(self, path: str = "libcuda.so.1") -> None:
        try:
            self.library = ctypes.CDLL(path)
        except OSError as error:
            raise UserError(f"no NVIDIA driver: {error}; GPU kernels need one, or use device='cpu'") from None
        self._contexts: dict[int, c_void_p] = {}
        self._mutex = threading.Lock()
        #: cuLaunchKernel, its argument types fixed once
        self.launch_kernel = self.library.cuLaunchKernel
        self.launch_kernel.argtypes = [c_void_p, *[c_uint] * 7, c_void_p, c_void_p, c_void_p]
        self.check("cuInit", self.library.cuInit(c_uint(0)))

    def check(self, call: str, code: int) -> None:
        """Raise CudaError unless `code` is success."""
        if code:
            text = c_char_p()
            self.library.cuGetErrorString(c_int(code), byref(text))
            raise CudaError(call, code, (text.value or b"unknown").decode())

    def device_count(self) -> int:
        count = c_int()
        self.check("cuDeviceGetCount", self.library.cuDeviceGetCount(byref(count)))
        return count.value

    def architecture(self, device: int) -> int:
        """90 for compute capability 9.0."""
        parts = []
        for attribute in (_COMPUTE_MAJOR, _COMPUTE_MINOR):
            value = c_int()
            self.check(
                "cuDeviceGetAttribute",
                self.library.cuDeviceGetAttribute(byref(value), c_int(attribute), self._handle(device)),
            )
            parts.append(value.value)
        return parts[0] * 10 + parts[1]

    def _handle(self, device: int) -> c_int:
        handle = c_int()
        self.check("cuDeviceGet", self.library.cuDeviceGet(byref(handle), c_int(device)))
        return handle

    def context(self, device: int) -> c_void_p:
        """The device's primary context, kept until the process ends."""
        with self._mutex:
            if device not in self._contexts:
                made = c_void_p()
                self.check(
                    "cuDevicePrimaryCtxRetain", self.library.cuDevicePrimaryCtxRetain(byref(made), self._handle(device))
                )
                self._contexts[device] = made
            return self._contexts[device]

    @contextlib.contextmanager
    def on(self, device: int) -> Iterator[None]:
        """Make a device's context the calling thread's for a while."""
        self.check("cuCtxPushCurrent", self.library.cuCtxPushCurrent_v2(self.context(device)))
        try:
            yield
        finally:
            popped = c_void_p()
            self.check("cuCtxPopCurrent", self.library.cuCtxPopCurrent_v2(byref(popped)))

    def load(self, device: int, cubin: bytes, name: str, shared: int) -> int:
        """Load machine code; the handle of its kernel `name`, which may use `shared` bytes per block."""
        with self.on(device):
            module, function = c_void_p(), c_void_p()
            self.check("cuModuleLoadData", self.library.cuModuleLoadData(byref(module), c_char_p(cubin)))
            self.check(
                "cuModuleGetFunction",
                self.library.cuModuleGetFunction(byref(function), module, c_char_p(name.encode())),
            )
            if shared > _SHARED_BY_DEFAULT:
                code = self.library.cuFuncSetAttribute(function, c_int(_DYNAMIC_SHARED_BYTES), c_int(shared))
                self.check("cuFuncSetAttribute", code)
        assert function.value is not None
        return function.value


@functools.cache
def driver() -> Driver:
    """This process's driver library."""
    return Driver()


class Parameters:
    """A packed parameter buffer and cuLaunchKernel's description of it, reused from launch to launch."""

    __slots__ = ("buffer", "extra", "size")

    def __init__(self, size: int) -> None:
        self.buffer = ctypes.create_string_buffer(max(size, 1))
        self.size = c_size_t(size)
        # CU_LAUNCH_PARAM_BUFFER_POINTER, address, CU_LAUNCH_PARAM_BUFFER_SIZE, address of size, CU_LAUNCH_PARAM_END
        self.extra = (c_void_p * 5)(1, ctypes.addressof(self.buffer), 2, ctypes.addressof(self.size), None)
