"""A written kernel as a module: imports, the functions it calls, the kernel itself, and how it is launched."""

from __future__ import annotations

from collections.abc import Iterator

from ....kernels.gpu.library import LIBDEVICE, helpers
from ....kernels.gpu.source import ENTRY, TritonSource
from .sizes import size_text
from .tiling import Tiling
from .writer import Writer

_HEADER = "import triton\nimport triton.language as tl"
_LIBDEVICE = f"\nfrom triton.language.extra import {LIBDEVICE}"


def module_source(w: Writer) -> TritonSource:
    kernel, tiling = w.kernel, w.tiling
    constants = [(a.constant, a.block) for a in tiling.axes if a.role != "program"]
    params = [*w.pointers.values(), *kernel.symbols, *(f"{name}: tl.constexpr" for name, _ in constants)]
    comments = [f"    # {line}" for line in _space_comment(tiling)]
    body = [f"    {line}" for line in w.outer.lines]
    function = "\n".join(["@triton.jit", f"def {ENTRY}({', '.join(params)}):", *comments, *body])
    called, uses_libdevice = helpers(w.needs)
    header = _HEADER + _LIBDEVICE if uses_libdevice else _HEADER
    text = "\n\n\n".join([header, *called, *w.combiners.values(), function]) + "\n"
    return TritonSource(
        name=kernel.name,
        text=text,
        pointers=tuple((w.pointers[b.name], b.dtype.name) for b in kernel.args),
        symbols=kernel.symbols,
        constants=tuple(constants),
        grid=tuple((size_text(a.numel), a.block) for a in tiling.outer),
        extents=tuple(size_text(d) for d in w.extents()) if kernel.symbols else (),
        num_warps=tiling.num_warps,
        num_stages=tiling.num_stages,
    )


def _space_comment(tiling: Tiling) -> Iterator[str]:
    for a in tiling.axes:
        what = f"{a.name} < {size_text(a.numel)}"
        if len(a.vars) > 1 or (a.vars and a.vars[0].extent != a.numel):
            what += f" = ({', '.join(f'{v.name} < {size_text(v.extent)}' for v in a.vars)})"
        if a.role == "program":
            yield what + ", one per program"
        elif a.role == "loop":
            yield f"{what}, in steps of {a.block}"
        else:
            yield f"{what}, {'in one block' if a.name == 'r' else 'per program'} of {a.block}"
