"""Which calls an operator's binding takes, by number, names and types of the arguments.

The rules are those of torch's argument parser (torch/csrc/utils/python_arg_parser.cpp): an int is no bool and a bool no int, a
float is no int, a number stands for a tensor in arithmetic alone, and one int for a list of ints where the operator says so.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...values.base import Args, Kwargs, Value
from ...values.constant import ConstantValue
from ...values.sequences import ListValue, TupleValue
from ...values.tensor import ArrayValue
from .context import above
from .schemas import of_python, overloads_of

#: what NumPy calls some arguments: the framework takes these names as well
_ALIASES = {
    "axis": "dim",
    "keepdims": "keepdim",
    "input": "self",
    "x": "self",
    "a": "self",
    "x1": "self",
    "x2": "other",
}
#: what the framework's bindings take of every function that makes tensors, beside its operators' arguments
_BESIDE = frozenset(("requires_grad", "layout", "pin_memory", "names"))
#: functions whose bindings are written by hand, and take other forms than their operators
_OTHERWISE = frozenset(("to", "type", "size", "stride", "nonzero", "tensor", "arange", "range", "einsum"))
#: methods whose tensor is the second argument of their operators
_SECOND = frozenset(("where",))
#: operators that take numbers for tensors
_ARITHMETIC = frozenset(
    f"{name}{written}" for name in ("add", "sub", "subtract", "mul", "multiply", "div", "divide", "true_divide", "floor_divide", "copy")
    for written in ("", "_")
)  # fmt: skip

#: what a value is to the parser: one of the words below, or the set of words for the elements of a list or tuple
Kind = str | frozenset[str]
_WORDS = {bool: "bool", int: "int", float: "float", complex: "complex", str: "str", type(None): "None"}
_TENSORS = frozenset(("tensor", "number tensor"))
_REALS = frozenset(("bool", "int", "float", "number tensor"))
#: a schema's type of an argument -> the words that fit it; types that are not here take what they are given
_FITS: dict[str, frozenset[str]] = {
    "TensorType": _TENSORS,
    "NumberType": _REALS | {"complex"},
    "FloatType": _REALS,
    "IntType": frozenset(("int", "number tensor")),
    "SymIntType": frozenset(("int", "number tensor")),
    "BoolType": frozenset(("bool",)),
    "StringType": frozenset(("str",)),
    "ScalarTypeType": frozenset(),
    "LayoutType": frozenset(),
    "MemoryFormatType": frozenset(),
    "GeneratorType": frozenset(),
    "DeviceObjType": frozenset(("str", "int")),
}


@dataclass(frozen=True)
class Given:
    """What a call gives an operator: the kinds of its arguments in order, and by name."""

    positional: tuple[Kind, ...]
    named: tuple[tuple[str, Kind], ...] = ()


def given_to(args: Args, kwargs: Kwargs) -> Given:
    """What a call gives."""
    return Given(tuple(map(_kind_of, args)), tuple((k, _kind_of(v)) for k, v in kwargs.items()))


def _kind_of(value: Value) -> Kind:
    if isinstance(value, ArrayValue):
        if not isinstance(value, above.tensor):
            return "other"
        return "tensor" if value.meta.shape else "number tensor"
    if type(value) in (TupleValue, ListValue):
        return frozenset(k if isinstance(k, str) else "other" for k in map(_kind_of, value._elements))  # type: ignore[attr-defined]
    word = _WORDS.get(value.python_type(), "other")
    if word == "int" and type(value) is ConstantValue and not -(1 << 63) <= value.value < 1 << 63:
        return "an int of more than 64 bits"
    return word


@functools.cache
def binds(name: str, given: Given, method: bool) -> bool:
    """Whether some operator of this name takes what is given, as a function or as a tensor's method; True for what is no operator."""
    if method and name in _SECOND:
        if len(given.positional) < 2:
            return True
        tensor, first, *others = given.positional
        return binds(name, Given((first, tensor, *others), given.named), False)
    overloads = () if name in _OTHERWISE else of_python(overloads_of(name))
    if method and overloads and any(k == "out" for k, _ in given.named):
        return False
    return not overloads or any(_takes(o._schema.arguments, given, name in _ARITHMETIC, method) for o in overloads)


def _takes(arguments: Sequence[Any], given: Given, arithmetic: bool, method: bool) -> bool:
    in_order = [a for a in arguments if not a.kwarg_only]
    kinds = given.positional
    spread = in_order and in_order[-1].type.kind() == "ListType" and len(in_order) == 1 + method
    if spread and len(kinds) >= len(in_order) and kinds[len(in_order) - 1] in ("int", "number tensor", "other"):
        # `x.view(2, 3)` stands for `x.view((2, 3))`
        kinds = (
            *kinds[: len(in_order) - 1],
            frozenset(k if isinstance(k, str) else "list" for k in kinds[len(in_order) - 1 :]),
        )
    if len(kinds) > len(in_order) or not all(_fits(a, k, arithmetic) for a, k in zip(in_order, kinds)):
        return False
    bound = {a.name for a in in_order[: len(kinds)]}
    by_name = {a.name: a for a in arguments}
    for asked, kind in given.named:
        word = asked if asked in by_name else _ALIASES.get(asked, asked)
        if word in bound or word not in by_name and word not in _BESIDE:
            return False
        if word in by_name and not _fits(by_name[word], kind, arithmetic):
            return False
        bound.add(word)
    return all(a.name in bound or a.has_default_value() for a in arguments)


def _fits(argument: Any, kind: Kind, arithmetic: bool = False) -> bool:
    if kind == "None":
        return _takes_none(argument)
    wanted = argument.real_type
    if wanted.kind() == "OptionalType":
        wanted = wanted.getElementType()
    if wanted.kind() == "ListType":
        return _fits_list(wanted.getElementType(), kind, bool(argument.N))
    if kind == "other" or wanted.kind() not in _FITS:
        return True
    if arithmetic and wanted.kind() == "TensorType" and kind in ("bool", "int", "float", "complex"):
        return True
    return kind in _FITS[wanted.kind()]


def _fits_list(element: Any, kind: Kind, one_for_all: bool) -> bool:
    optional = element.kind() == "OptionalType"
    words = _FITS.get(element.getElementType().kind() if optional else element.kind())
    if words is None or kind == "other":
        return True
    if isinstance(kind, str):
        return one_for_all and kind in words
    return all(k in words or k == "other" or optional and k == "None" for k in kind)


def _takes_none(argument: Any) -> bool:
    """Whether None may be given: for what may be left out, and for results that are made anew then."""
    if argument.type.kind() == "OptionalType":
        return True
    return argument.kwarg_only and argument.alias_info is not None and argument.alias_info.is_write


# ------------------------------------------------------------------ functions in Python over one operator


def passes_on(name: str, fn: Callable[..., Any], args: Args, kwargs: Kwargs) -> bool:
    """Whether what a Python function of the framework is given fits the operator of this name, by the names of its arguments.
    True where there is no such operator, of arguments that it does not have, and of words and None, which such functions
    translate.
    """
    wanted = _arguments_by_name(name)
    if not wanted:
        return True
    try:
        given: Mapping[str, Any] = inspect.signature(fn).bind_partial(*args, **kwargs).arguments
    except TypeError:
        return False
    named = {k if k in wanted else _ALIASES.get(k, k): v for k, v in given.items()}
    kinds = {k: _kind_of(v) for k, v in named.items() if k in wanted and isinstance(v, Value)}
    return all(
        kind == "str"
        or "None" in (kind if isinstance(kind, frozenset) else (kind,))
        or any(_fits(a, kind) for a in wanted[k])
        for k, kind in kinds.items()
    )


@functools.cache
def _arguments_by_name(name: str) -> Mapping[str, Iterable[Any]]:
    """The arguments that all operators of a name have, by their names, one for each operator."""
    found = [
        {a.name: a for a in o._schema.arguments} for o in of_python(overloads_of(name)) if "out" not in o._overloadname
    ]
    if not found:
        return {}
    return {k: [arguments[k] for arguments in found] for k in found[0] if all(k in arguments for arguments in found)}
