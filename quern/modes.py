"""torch.compile's modes, by name."""

from __future__ import annotations

_NO_CUDA_GRAPHS = (
    "it asks for CUDA graphs, which quern does not record yet; on a CPU, kernels that follow each other are one native call "
    "in every mode"
)
_NO_TUNING = (
    "it asks for measured variants of kernels; quern chooses a kernel's form from sizes and costs, in every mode"
)

#: mode -> why it changes nothing here ("": it asks for nothing)
MODES: dict[str, str] = {
    "default": "",
    "reduce-overhead": _NO_CUDA_GRAPHS,
    "max-autotune": f"{_NO_TUNING}; and {_NO_CUDA_GRAPHS}",
    "max-autotune-no-cudagraphs": _NO_TUNING,
    "lite": "it asks to compile marked regions alone; here what cannot be compiled is left to the framework, in every mode",
}
