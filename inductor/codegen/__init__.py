"""Code generation."""

from __future__ import annotations

from ...config import Options
from ...errors import UserError
from ...kernels.device import device_of
from ..graph import Graph, Node, TensorMeta
from .target import CppTarget, MixedTarget, Target


def target_for(graph: Graph, options: Options) -> Target:
    """The target of a graph by its device and the options. Raises UserError for mixed or unknown devices."""
    kinds = {device_of(m.device).kind for n in graph.nodes if n.op.kind != "literal" for m in _metas(n)}
    if kinds <= {"cpu"}:
        return _triton_target("cpu") if options.cpu_codegen == "triton" else CppTarget()
    if kinds == {"cuda"}:
        return _triton_target("cuda")
    if kinds == {"cpu", "cuda"}:
        return MixedTarget(CppTarget(), _triton_target("cuda"))
    raise UserError(f"no code generator for device {', '.join(sorted(kinds))}; quern compiles for cpu and cuda")


def _metas(n: Node) -> tuple[TensorMeta, ...]:
    return n.meta if isinstance(n.meta, tuple) else (n.meta,)


def _triton_target(device: str) -> Target:
    """Loaded when it is asked for: who compiles for the CPU need not wait for it."""
    from .triton_target import TritonTarget

    return TritonTarget(device)
