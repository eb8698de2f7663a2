"""PyTorch's own database of operators as test programs: per entry sample inputs, each as a function, a method and an in-place
method, run plain and compiled."""

from __future__ import annotations

import copy
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from comparison import Comparison, Difference, Numbers, Tolerance
from torch_values import GROUND

import quern
from bench.coverage import entries as database  # noqa: F401
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
        raise Difference(f"{case}: {type(error).__name__}: {error}") from error
    tolerance = _tolerance(case, backend)
    ignore = frozenset({"values"}) if case.entry.partition(".")[0] in UNDEFINED else frozenset()
    try:
        Comparison(tolerance, ignore=ignore).values((expected, _tree(one)), (found, _tree(other)), GROUND.parts)
        if ignore:
            Comparison(tolerance).values(_tree(one), _tree(other), GROUND.parts)
    except Difference as difference:
        raise Difference(f"{case}: {difference}") from None
    return ""


def _call(fn: Callable[..., Any], sample: Any) -> Any:
    torch.manual_seed(7)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return fn(sample.input, *sample.args, **sample.kwargs)


def _tree(sample: Any) -> Any:
    return [sample.input, sample.args, sample.kwargs]


def _tolerance(case: Case, backend: str) -> Tolerance:
    """Absolutely, what it is of the largest element."""
    error = 1e-6 if backend == "eager" else {"float16": 4e-3, "bfloat16": 3e-2, "float64": 1e-9}.get(case.dtype, 2e-5)

    def tolerance(want: Numbers, disturbed: Sequence[Numbers]) -> tuple[float, float]:
        finite = np.abs(want.elements[np.isfinite(want.elements)])
        real = want.elements.dtype.kind == "f" and finite.size
        return error, error * min(max(1.0, float(finite.max())), 100.0) if real else error

    return tolerance
