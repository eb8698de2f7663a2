"""PyTorch's own database of operators as test programs: per entry sample inputs, each as a function, a method and an in-place
method, run plain and compiled."""

from __future__ import annotations

import copy
import itertools
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch

import quern
from quern.errors import Unsupported

#: results whose content is not defined
UNDEFINED = ("empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided")
DTYPES = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool, "float16": torch.float16,
          "bfloat16": torch.bfloat16, "float64": torch.float64, "complex64": torch.complex64}  # fmt: skip
FORMS = ("function", "method", "inplace")


@dataclass(frozen=True)
class Case:
    """One call: an entry's form on one sample."""

    entry: str
    form: str
    dtype: str
    sample: int

    def __str__(self) -> str:
        return f"{self.entry} {self.form} {self.dtype} {self.sample}"


def database() -> dict[str, Any]:
    """All entries by name. The database's modules ask for `expecttest`, which none of the entries uses."""
    if "expecttest" not in sys.modules:
        stand_in: Any = types.ModuleType("expecttest")
        stand_in.TestCase = type("TestCase", (__import__("unittest").TestCase,), {})
        sys.modules["expecttest"] = stand_in
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal import common_methods_invocations as invocations
    # entries that draw random numbers save and restore the generator's state around the call: the driver seeds it instead
    invocations.wrapper_set_seed = lambda op, *args, **kwargs: op(*args, **kwargs)
    found: dict[str, Any] = {}
    for op in invocations.op_db:
        name = op.name + (f".{op.variant_test_name}" if op.variant_test_name else "")
        found[name] = op
    return found


def samples(op: Any, dtype: str, count: int) -> list[tuple[int, Any]]:
    """Some samples of an entry, spread over its first forty, with their places."""
    if DTYPES[dtype] not in op.supported_dtypes("cpu"):
        return []
    torch.manual_seed(0)
    found = list(itertools.islice(op.sample_inputs("cpu", DTYPES[dtype], requires_grad=False), 40))
    if len(found) <= count:
        return list(enumerate(found))
    places = sorted({i * (len(found) - 1) // max(count - 1, 1) for i in range(count)})
    return [(i, found[i]) for i in places]


def callables(op: Any, forms: tuple[str, ...] = FORMS) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The entry's forms, each as a program: a Python function that makes the call."""
    for form in forms:
        target = {"function": op.get_op, "method": op.get_method, "inplace": op.get_inplace}[form]()
        if target is not None:
            yield form, program(target)


def program(target: Callable[..., Any]) -> Callable[..., Any]:
    """A function of its own that calls `target`."""
    return lambda *args, **kwargs: target(*args, **kwargs)


class Wrong(AssertionError):
    """The compiled program can be told from the plain one."""


def run(case: Case, fn: Callable[..., Any], sample: Any, backend: str) -> str:
    """Compare one call; "" when all agrees, "eager" when the plain call raises, else what was not captured."""
    one, other = copy.deepcopy(sample), copy.deepcopy(sample)
    try:
        expected = _call(fn, one)
    except Exception:
        return "eager"
    quern.reset()
    compiled = quern.compile(fn, backend=backend, fullgraph=True, dynamic=False)
    try:
        found = _call(compiled, other)
    except Unsupported as error:
        return f"[{error.code}] {error.what}: {error.why}"
    except Exception as error:
        raise Wrong(f"{case}: {type(error).__name__}: {error}") from error
    base = case.entry.partition(".")[0]
    tolerance = _tolerance(case, backend)
    _same(case, expected, found, tolerance, values=base not in UNDEFINED)
    _same(case, _tree(one), _tree(other), tolerance, values=True, where="inputs")
    relations = _relations(_tensors(_tree(one)) + _tensors(expected))
    if relations != (ours := _relations(_tensors(_tree(other)) + _tensors(found))):
        raise Wrong(f"{case}: memory shared: {ours} instead of {relations}")
    return ""


def _call(fn: Callable[..., Any], sample: Any) -> Any:
    torch.manual_seed(7)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return fn(sample.input, *sample.args, **sample.kwargs)


def _tree(sample: Any) -> Any:
    return [sample.input, sample.args, sample.kwargs]


def _tolerance(case: Case, backend: str) -> float:
    if backend == "eager":
        return 1e-6
    return {"float16": 4e-3, "bfloat16": 3e-2, "float64": 1e-9}.get(case.dtype, 2e-5)


def _tensors(tree: Any) -> list[torch.Tensor]:
    if isinstance(tree, torch.Tensor):
        return [tree]
    if isinstance(tree, dict):
        return [t for v in tree.values() for t in _tensors(v)]
    if isinstance(tree, (list, tuple)):
        return [t for v in tree for t in _tensors(v)]
    return []


def _relations(values: list[torch.Tensor]) -> list[tuple[int, int, str]]:
    found = []
    for (i, a), (j, b) in itertools.combinations(enumerate(values), 2):
        if a is b:
            found.append((i, j, "same"))
        elif a.layout is b.layout is torch.strided and a.numel() and b.numel():
            if a.untyped_storage()._cdata == b.untyped_storage()._cdata:
                found.append((i, j, f"shares, {b.storage_offset() - a.storage_offset()} apart"))
    return found


def _same(case: Case, expected: Any, found: Any, tolerance: float, values: bool, where: str = "result") -> None:
    if type(expected) is not type(found):
        raise Wrong(f"{case}: {where}: {type(found).__name__} instead of {type(expected).__name__}")
    if isinstance(expected, torch.Tensor):
        _same_tensor(case, expected, found, tolerance, values, where)
    elif isinstance(expected, dict):
        if list(expected) != list(found):
            raise Wrong(f"{case}: {where}: keys {list(found)} instead of {list(expected)}")
        for key in expected:
            _same(case, expected[key], found[key], tolerance, values, f"{where}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        if len(expected) != len(found):
            raise Wrong(f"{case}: {where}: {len(found)} instead of {len(expected)} elements")
        for i, (a, b) in enumerate(zip(expected, found)):
            _same(case, a, b, tolerance, values, f"{where}[{i}]")
    elif isinstance(expected, (bool, int, float, complex, str, type(None), torch.dtype, torch.device, torch.Size)):
        if not (expected == found or expected != expected and found != found):
            raise Wrong(f"{case}: {where}: {found!r} instead of {expected!r}")


def _same_tensor(case: Case, a: torch.Tensor, b: torch.Tensor, tolerance: float, values: bool, where: str) -> None:
    for what in ("dtype", "shape", "device", "layout", "requires_grad"):
        if getattr(a, what) != getattr(b, what):
            raise Wrong(f"{case}: {where}: {what} {getattr(b, what)} instead of {getattr(a, what)}")
    if a.layout is torch.strided and a.numel() and not _same_strides(a, b):
        raise Wrong(f"{case}: {where}: strides {b.stride()} instead of {a.stride()} for {tuple(a.shape)}")
    if a.is_conj() != b.is_conj() or a.is_neg() != b.is_neg():
        raise Wrong(f"{case}: {where}: lazily conjugated or negated: {b.is_conj(), b.is_neg()}")
    if not values or not a.numel():
        return
    if a.layout is not torch.strided:
        a, b = a.to_dense(), b.to_dense()
    kind = torch.complex128 if a.is_complex() else torch.float64 if a.is_floating_point() else a.dtype
    scale = 1.0
    if a.is_floating_point() and (finite := a[a.isfinite()]).numel():
        scale = max(1.0, float(finite.abs().max()))
    if not torch.allclose(a.to(kind), b.to(kind), rtol=tolerance, atol=tolerance * min(scale, 100.0), equal_nan=True):
        raise Wrong(f"{case}: {where}: values {b.flatten()[:6].tolist()} instead of {a.flatten()[:6].tolist()}")


def _same_strides(a: torch.Tensor, b: torch.Tensor) -> bool:
    return all(n <= 1 or s == t for s, t, n in zip(a.stride(), b.stride(), a.shape))
