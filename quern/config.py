"""Settings, in two layers.

`config` holds process-wide switches, read from `QUERN_*` variables when quern is imported and
settable at run time (`quern.config.on_error = "raise"`, or scoped: `with quern.config.patch(on_error="raise")`).
`Options` is the frozen record of one compilation: it is made once by `compile()` and passed along, so that
nothing below reads ambient state. Every field changes something. `Options.key()` lists the fields that can change a kernel
and therefore enter cache keys; no other field may.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from .errors import InvalidOption


def _flag(name: str, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() not in ("0", "", "false", "no", "off")


#: field -> what it was before all open `patch` blocks, then (block, value) in the order of entering
_patches: dict[str, list[tuple[object, Any]]] = {}
_patching = threading.RLock()


@dataclass
class Config:
    """Process-wide switches. Assign to change; `patch` restores on exit."""

    #: a failure inside quern. "warn": the call runs as plain Python, one warning says so, and the next one is tried again;
    #: "raise": it raises, as it does under fullgraph=True in any case
    on_error: str = "warn"
    #: a backend of the user's that raises while it compiles a graph. "raise": the user gets BackendFailed; "warn": as above
    on_backend_error: str = "raise"
    #: what `compile` calls without one get: a backend's name or function, a mode, whether sizes are symbols
    backend: Any = "inductor"
    mode: str | None = None
    dynamic: bool | None = None
    #: versions of a compiled function at a time; calls that none of them fits run as plain Python
    recompile_limit: int = 16
    #: a function that would have to be compiled a second time raises `errors.RecompileForbidden`
    error_on_recompile: bool = False
    #: a Python version without bytecode support: "raise", or "eager" to run uncompiled
    unsupported_python: str = "raise"
    #: where the cache lives; None means `$QUERN_CACHE_DIR`, else the XDG cache folder
    cache_dir: str | None = None
    #: bytes kept in the cache before the least recently used entries go
    cache_max_bytes: int = 4 << 30
    #: bytes of copies of weights, laid out for the kernels that read them, that the process keeps at most; 0: none
    kept_bytes: int = 64 << 20
    #: C++ compiler command; None means `$CXX`, else g++, clang++
    cxx: str | None = None
    #: generate code for this level of the x86-64 instruction set ("x86-64-v3" is AVX2) although the CPU may have more;
    #: None means all that the CPU has
    cpu_level: str | None = None
    #: threads of generated CPU code; None means the framework's own number
    threads: int | None = None
    #: stages to print: graph, guards, breaks, recompiles, fusion, code, cache, times
    logs: tuple[str, ...] = ()
    #: check stage borders (graph, loops, kernel legality), and give plans memory with content nobody expects; always on in tests
    verify: bool = False
    #: the source of a kernel that the C++ compiler rejects is kept in a temporary folder
    keep_failed: bool = False
    #: a dimension seen with two sizes becomes symbolic
    automatic_dynamic_shapes: bool = True
    #: Python numbers read from tensors (`.item()`, `int(t)`) stay in the graph, also without `fullgraph`
    capture_scalar_outputs: bool = False
    #: ops whose results' sizes depend on the data (nonzero, boolean masks) stay in the graph, also without `fullgraph`
    capture_dynamic_output_shape_ops: bool = False
    #: `import quern` puts quern in the place of torch.compile as soon as torch is there; read when quern is imported
    install: bool = False
    #: in that place, outermost calls of modules are compiled too, in programs that compile nothing themselves
    compile_all: bool = False
    #: print at exit what was compiled; read when quern is imported
    report: bool = False
    #: turn all compilation off: compiled callables run their plain Python
    disable: bool = False

    @contextlib.contextmanager
    def patch(self, **changes: Any) -> Iterator[Config]:
        """Change fields inside a `with` block, for the whole process. Blocks of several threads may overlap: the one entered
        last holds, and after all of them the fields are what they were. Raises AttributeError for an unknown field.
        """
        for name in changes:
            getattr(self, name)
        token = object()
        with _patching:
            for name, value in changes.items():
                _patches.setdefault(name, [(None, getattr(self, name))]).append((token, value))
                setattr(self, name, value)
        try:
            yield self
        finally:
            with _patching:
                for name in changes:
                    rows = _patches[name]
                    was_last = rows[-1][0] is token
                    rows[:] = [row for row in rows if row[0] is not token]
                    if was_last:
                        setattr(self, name, rows[-1][1])
                    if len(rows) == 1:
                        del _patches[name]

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in self.__dataclass_fields__:
            known = ", ".join(f.name for f in fields(self))
            raise AttributeError(f"quern.config has no setting {name!r}; known settings: {known}")
        object.__setattr__(self, name, value)


def _from_environment() -> Config:
    env = os.environ
    return Config(
        on_error=env.get("QUERN_ON_ERROR", "warn"),
        on_backend_error=env.get("QUERN_ON_BACKEND_ERROR", "raise"),
        backend=env.get("QUERN_BACKEND") or "inductor",
        mode=env.get("QUERN_MODE") or None,
        dynamic=_flag("QUERN_DYNAMIC", False) if env.get("QUERN_DYNAMIC") else None,
        unsupported_python=env.get("QUERN_UNSUPPORTED_PYTHON", "raise"),
        kept_bytes=int(env.get("QUERN_KEPT_BYTES") or Config.kept_bytes),
        cpu_level=env.get("QUERN_CPU_LEVEL") or None,
        logs=tuple(part.strip() for part in env.get("QUERN_LOGS", "").split(",") if part.strip()),
        verify=_flag("QUERN_VERIFY", False),
        keep_failed=_flag("QUERN_KEEP_FAILED", False),
        install=_flag("QUERN_INSTALL", False),
        compile_all=_flag("QUERN_COMPILE_ALL", False),
        report=_flag("QUERN_REPORT", False),
        disable=_flag("QUERN_DISABLE", False),
    )


config = _from_environment()


@dataclass(frozen=True)
class Options:
    """One compilation's settings, as given by `compile(mode=..., options=...)`.

    cpu_codegen: "cpp", or "triton" to run Triton kernels on CPU tensors under its interpreter
    fuse / simplify: switch one stage off to bisect a wrong result
    round_halves: round float16 and bfloat16 after every op, as eager does; False keeps float32 inside a kernel
    contractions: "auto": products of matrices and convolutions are run by the library's kernels unless a strategy of the code
        generator takes them; "generated": all of floats become generated kernels, which fuse with what is around them
    keep_weights: whether copies of module parameters may be kept from call to call, laid out for the kernels that read them
        (`config.kept_bytes` bounds them); what the copies rest on is in docs/numerics.md
    threads: of the generated C++ kernels; None: `config.threads`, else the framework's own number

    Raises InvalidOption for a value that a field does not take.
    """

    cpu_codegen: str = "cpp"
    fuse: bool = True
    simplify: bool = True
    round_halves: bool = True
    contractions: str = "auto"
    keep_weights: bool = True
    threads: int | None = None

    #: the fields that can change generated code, in key order
    KEY = ("cpu_codegen", "fuse", "simplify", "round_halves", "contractions", "keep_weights")

    def __post_init__(self) -> None:
        if self.cpu_codegen not in ("cpp", "triton"):
            raise InvalidOption(f"option cpu_codegen must be 'cpp' or 'triton', not {self.cpu_codegen!r}")
        if self.contractions not in ("auto", "generated"):
            raise InvalidOption(f"option contractions must be 'auto' or 'generated', not {self.contractions!r}")
        for name in ("fuse", "simplify", "round_halves", "keep_weights"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidOption(f"option {name} must be True or False, not {getattr(self, name)!r}")
        if self.threads is not None and (type(self.threads) is not int or self.threads < 1):
            raise InvalidOption(f"option threads must be an int of at least 1, or None, not {self.threads!r}")
        if self.threads is not None and self.cpu_codegen == "triton":
            raise InvalidOption("option threads is of C++ kernels; cpu_codegen='triton' runs one program at a time")

    def key(self) -> tuple[tuple[str, Any], ...]:
        return tuple((name, getattr(self, name)) for name in self.KEY)
