"""Capture: Python bytecode to graphs, guards and resume code.

    compiled = CompiledFunction(fn, backend=eager_backend)

The public face (`quern.compile`) stands on `CompiledFunction`; front ends plug in through `capture.frontend`.
"""
