"""What generated Triton kernels stand on: device functions, compiling, the interpreter, launching."""
