"""Running a program plain and compiled, and comparing all that can be seen of it."""

from __future__ import annotations

import collections
import contextlib
import copy
import io
import random
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from corpus_registry import Program

_ATOMS = (
    int, float, complex, str, bytes, bool, type(None), type(Ellipsis), range, slice, type, types.ModuleType, types.BuiltinFunctionType,
    torch.dtype, torch.device, torch.layout, torch.memory_format,
)  # fmt: skip


class Difference(AssertionError):
    """The two runs can be told apart."""


class Comparison:
    """Compares two object graphs: types, values, and that the same places hold the same objects and the same memory.

    exact: floats must agree to the last bits (one op of ours may be two roundings of a fused one); otherwise to 1e-5
    """

    def __init__(self, exact: bool = True) -> None:
        self.exact = exact
        self._pairs: dict[int, int] = {}
        self._back: dict[int, int] = {}
        self._memory: dict[int, int] = {}
        self._memory_back: dict[int, int] = {}
        self._kept: list[Any] = []

    def same(self, one: Any, other: Any, path: str = "result") -> None:
        """Raises Difference with the path to the first thing that differs."""
        if type(one) is not type(other) and not _same_class(type(one), type(other)):
            raise Difference(f"{path}: {type(one).__name__} {one!r} against {type(other).__name__} {other!r}")
        if isinstance(one, _ATOMS) and type(one).__name__ not in ("IntEnum",):
            alike = isinstance(one, type) and _same_class(one, other)
            if not (one is other or alike or one == other or one != one and other != other):
                raise Difference(f"{path}: {one!r} against {other!r}")
            if type(one) is float and repr(one) != repr(other) and self.exact:
                raise Difference(f"{path}: {one!r} against {other!r}")
            return
        if not isinstance(one, (tuple, frozenset, torch.Size)):
            seen, back = self._pairs.get(id(one)), self._back.get(id(other))
            if seen is not None or back is not None:
                if seen != id(other) or back != id(one):
                    raise Difference(f"{path}: aliasing differs")
                return
            self._pairs[id(one)], self._back[id(other)] = id(other), id(one)
            self._kept += [one, other]
        self._parts(one, other, path)

    def _parts(self, one: Any, other: Any, path: str) -> None:
        if isinstance(one, torch.Tensor):
            self._tensor(one, other, path)
            return
        if isinstance(one, BaseException):
            self.same(one.args, other.args, f"{path}.args")
            self.same(one.__cause__, other.__cause__, f"{path}.__cause__")
            self.same(one.__context__, other.__context__, f"{path}.__context__")
        elif isinstance(one, dict):
            kind = collections.OrderedDict if isinstance(one, collections.OrderedDict) else dict
            self.same(list(kind.keys(one)), list(kind.keys(other)), f"{path}.keys()")
            for a, b in zip(kind.items(one), kind.items(other)):
                self.same(a[1], b[1], f"{path}[{a[0]!r}]")
        elif isinstance(one, (list, tuple)) or type(one).__name__ == "deque":
            if len(one) != len(other):
                raise Difference(f"{path}: {one!r} against {other!r}")
            for i, (a, b) in enumerate(zip(one, other)):
                self.same(a, b, f"{path}[{i}]")
        elif isinstance(one, (set, frozenset)):
            self._set(one, other, path)
        elif isinstance(one, types.FunctionType):
            self._function(one, other, path)
            return
        elif isinstance(one, types.MethodType):
            self.same(one.__func__, other.__func__, f"{path}.__func__")
            self.same(one.__self__, other.__self__, f"{path}.__self__")
        elif isinstance(one, torch.nn.Module):
            self._module(one, other, path)
            return
        if hasattr(one, "__dict__") and not isinstance(one, types.MethodType):
            self.same(vars(one), vars(other), f"{path}.__dict__")
        for name in _slots(type(one)):
            missing = "<missing>"
            self.same(getattr(one, name, missing), getattr(other, name, missing), f"{path}.{name}")

    def _set(self, one: Any, other: Any, path: str) -> None:
        if all(isinstance(i, _ATOMS) for i in (*one, *other)):
            if sorted(map(repr, one)) != sorted(map(repr, other)):  # classes are each run's own
                raise Difference(f"{path}: {one!r} against {other!r}")
        elif len(one) != len(other):
            raise Difference(f"{path}: {len(one)} items against {len(other)}")

    def _function(self, one: Any, other: Any, path: str) -> None:
        if one.__code__ is not other.__code__ and one.__code__ != other.__code__:
            raise Difference(f"{path}: another function")
        self.same(one.__defaults__, other.__defaults__, f"{path}.__defaults__")
        self.same(one.__kwdefaults__, other.__kwdefaults__, f"{path}.__kwdefaults__")
        for i, (a, b) in enumerate(zip(one.__closure__ or (), other.__closure__ or ())):
            self.same(_content(a), _content(b), f"{path}.cell{i}")
        self.same(dict(vars(one)), dict(vars(other)), f"{path}.__dict__")

    def _module(self, one: Any, other: Any, path: str) -> None:
        self.same(_visible(one), _visible(other), path)

    def _tensor(self, one: torch.Tensor, other: torch.Tensor, path: str) -> None:
        for name in ("dtype", "device", "shape", "requires_grad"):
            a, b = getattr(one, name), getattr(other, name)
            if a != b:
                raise Difference(f"{path}.{name}: {a} against {b}")
        strides = [(n, a, b) for n, a, b in zip(one.shape, one.stride(), other.stride()) if n > 1]
        if any(a != b for _, a, b in strides) and one.numel():
            raise Difference(f"{path}.stride(): {one.stride()} against {other.stride()}")
        if one.storage_offset() != other.storage_offset():
            raise Difference(f"{path}.storage_offset(): {one.storage_offset()} against {other.storage_offset()}")
        floating = one.is_floating_point() or one.is_complex()
        if not (torch.equal(one, other) or floating and _close(one, other, 1e-6 if self.exact else 1e-5)):
            raise Difference(f"{path}: {one} against {other}")
        mine, theirs = one.untyped_storage()._cdata, other.untyped_storage()._cdata
        if self._memory.setdefault(mine, theirs) != theirs or self._memory_back.setdefault(theirs, mine) != mine:
            raise Difference(f"{path}: shares memory with another tensor in one run only")


def _visible(module: torch.nn.Module) -> dict[str, Any]:
    """A module's attributes; hooks without their numbers, which count up through the process."""
    skip = ("_compiled_call_impl", "_is_torch_compile")
    shown = {k: v for k, v in vars(module).items() if k not in skip}
    return {k: list(v.values()) if "_hooks" in k and isinstance(v, dict) else v for k, v in shown.items()}


def _close(one: torch.Tensor, other: torch.Tensor, error: float) -> bool:
    return torch.allclose(one, other, rtol=error, atol=error, equal_nan=True)


def _same_class(one: type, other: type) -> bool:
    """Classes made anew by each run's own maker; compiled modules are of a subclass of the same name."""
    return one.__name__ == other.__name__ and one.__qualname__ == other.__qualname__


def _slots(cls: type) -> list[str]:
    names = []
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return [n for n in names if n not in ("__dict__", "__weakref__")]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return "<empty cell>"


# ---------------------------------------------------------------- running


@dataclass
class Run:
    """What one call could be seen to do."""

    result: Any
    error: BaseException | None
    lines: list[tuple[str, int]]
    printed: str
    args: tuple[Any, ...]
    state: dict[str, Any]
    function: Any
    grad: bool


class Side:
    """One of the two sides: its function and its copy of the globals that the program changes.

    prepare: what is called in place of the function
    """

    def __init__(self, program: Program, prepare: Callable[[Any], Any]) -> None:
        self.program = program
        self.state = copy.deepcopy({k: program.scope[k] for k in program.state if k in program.scope})
        with self._installed(), _grad(program):
            torch.manual_seed(0)
            self.function = program.make()
            self.callee = prepare(self.function)

    @contextlib.contextmanager
    def _installed(self) -> Iterator[None]:
        """The program's globals are this side's."""
        scope, names = self.program.scope, self.program.state
        before = {k: scope[k] for k in names if k in scope}
        for name in names:
            scope.pop(name, None)
        scope.update(self.state)
        try:
            yield
        finally:
            self.state = {k: scope[k] for k in names if k in scope}
            for name in names:
                scope.pop(name, None)
            scope.update(before)

    def call(self, number: int) -> Run:
        torch.manual_seed(number)
        random.seed(number)
        args = self.program.args(number)
        torch.manual_seed(100 + number)
        result = error = None
        lines: list[tuple[str, int]] = []
        with self._installed(), _grad(self.program), contextlib.redirect_stdout(io.StringIO()) as out:
            before = torch.is_grad_enabled()
            try:
                result = self.callee(*args)
            except Exception as raised:
                error = raised
                lines = _user_lines(self.program, raised)
                _forget_tracebacks(raised)
            grad = torch.is_grad_enabled()
            torch.set_grad_enabled(before)
        return Run(result, error, lines, out.getvalue(), args, self.state, self.function, grad)


def _grad(program: Program) -> Any:
    return contextlib.nullcontext() if program.grad else torch.no_grad()


def _user_lines(program: Program, error: BaseException) -> list[tuple[str, int]]:
    """(function, line) of the program's own frames that the exception passed."""
    own = program.scope["__file__"]
    return [(f.name, f.lineno or 0) for f in traceback.extract_tb(error.__traceback__) if f.filename == own]


def _forget_tracebacks(error: BaseException | None) -> None:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        error.__traceback__ = None
        if error.__cause__ is not None:
            _forget_tracebacks(error.__cause__)
        error = error.__context__


def compare_runs(want: Run, got: Run, path: str, exact: bool = True) -> None:
    """Raises Difference when the calls can be told apart; an error that only the compiled call raised is raised itself."""
    if got.error is not None and want.error is None:
        raise got.error
    comparison = Comparison(exact)
    comparison.same(want.error, got.error, f"{path} error")
    if want.lines != got.lines:
        raise Difference(f"{path} traceback: {want.lines} against {got.lines}")
    comparison.same(
        (want.result, want.args, want.state, want.function), (got.result, got.args, got.state, got.function), path
    )
    if want.printed != got.printed:
        raise Difference(f"{path} printed {want.printed!r} against {got.printed!r}")
    if want.grad != got.grad:
        raise Difference(f"{path} left grad mode {want.grad} against {got.grad}")


def agree(program: Program, prepare: Callable[[Any], Any], exact: bool = True) -> Any:
    """Run a program plain and prepared side by side; every call must agree. Returns what `prepare` gave."""
    plain, compiled = Side(program, lambda fn: fn), Side(program, prepare)
    for number in range(program.calls):
        compare_runs(plain.call(number), compiled.call(number), f"call {number}", exact)
    return compiled.callee
