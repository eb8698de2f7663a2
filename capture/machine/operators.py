"""Python's operator protocol over Values: who is asked first, what a missing method means."""

from __future__ import annotations

import collections
import operator
from typing import TYPE_CHECKING, Any

from ..breaks import UserRaise
from ..values.base import Value
from ..values.constant import FALSE, TRUE, ConstantValue, is_nan
from ..values.sequences import TupleValue
from .type_lookup import inherits, message_name, type_lookup

if TYPE_CHECKING:
    from ..values.base import Machine

BINARY: dict[str, Any] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "@": operator.matmul, "<<": operator.lshift, ">>": operator.rshift,
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
}  # fmt: skip
INPLACE: dict[str, Any] = {
    "+": operator.iadd, "-": operator.isub, "*": operator.imul, "/": operator.itruediv, "//": operator.ifloordiv,
    "%": operator.imod, "**": operator.ipow, "@": operator.imatmul, "<<": operator.ilshift, ">>": operator.irshift,
    "&": operator.iand, "|": operator.ior, "^": operator.ixor,
}  # fmt: skip
UNARY: dict[str, Any] = {"+": operator.pos, "-": operator.neg, "~": operator.invert}
COMPARE: dict[str, Any] = {
    "==": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
#: dunder stem by operator: `__add__`, `__radd__`, `__iadd__`
STEMS = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow", "@": "matmul",
    "<<": "lshift", ">>": "rshift", "&": "and", "|": "or", "^": "xor",
}  # fmt: skip
UNARY_STEMS = {"+": "pos", "-": "neg", "~": "invert"}
COMPARE_STEMS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
BY_DUNDER = {f"__{stem}__": op for op, stem in STEMS.items()}
BY_REFLECTED = {f"__r{stem}__": op for op, stem in STEMS.items()}
BY_INPLACE = {f"__i{stem}__": op for op, stem in STEMS.items()}
BY_UNARY = {f"__{stem}__": op for op, stem in UNARY_STEMS.items()}
BY_COMPARE = {f"__{stem}__": op for op, stem in COMPARE_STEMS.items()}


def binary(ev: Machine, op: str, left: Value, right: Value) -> Value:
    """`left op right`."""
    if type(left) is ConstantValue and type(right) is ConstantValue:
        return ev.fold(BINARY[op], left.value, right.value)
    found = None
    asked = False
    lt, rt = left.python_type(), right.python_type()
    if lt is not rt and inherits(rt, lt) and _overrides(ev, rt, lt, f"__r{STEMS[op]}__"):
        found = right.binary(ev, op, left, True)
        asked = True
    if found is None:
        found = left.binary(ev, op, right, False)
    if found is None and not asked and (lt is not rt or left is not right):
        found = right.binary(ev, op, left, True)
    if found is None:
        raise ev.type_error(refusal(op, lt, rt))
    return found


_CONCATENATES = (list, tuple, str, bytes, bytearray, collections.deque)


def refusal(op: str, lt: type, rt: type) -> str:
    """What the TypeError says when neither side knows the operator. Sequences concatenate and repeat after all else."""
    if op == "+" and issubclass(lt, _CONCATENATES):
        base = next(c for c in _CONCATENATES if issubclass(lt, c))
        if base in (bytes, bytearray):
            return f"can't concat {message_name(rt)} to {message_name(lt)}"
        return f'can only concatenate {base.__name__} (not "{message_name(rt)}") to {base.__name__}'
    if op == "*" and (issubclass(lt, _CONCATENATES) or issubclass(rt, _CONCATENATES)):
        count = rt if issubclass(lt, _CONCATENATES) else lt
        return f"can't multiply sequence by non-int of type '{message_name(count)}'"
    shown = "** or pow()" if op == "**" else op
    return f"unsupported operand type(s) for {shown}: '{message_name(lt)}' and '{message_name(rt)}'"


def _overrides(ev: Machine, sub: type, base: type, name: str) -> bool:
    mine = type_lookup(sub, name)
    return mine is not None and mine is not type_lookup(base, name)


def inplace(ev: Machine, op: str, left: Value, right: Value) -> Value:
    """`left op= right`: the object that replaces `left`."""
    if type(left) is not ConstantValue:
        found = left.inplace(ev, op, right)
        if found is not None:
            return found
    try:
        return binary(ev, op, left, right)
    except UserRaise as error:
        # the message names the operator that was written
        if error.value.python_type() is TypeError:
            args: list[Value] = getattr(error.value, "args", [])
            if len(args) == 1 and args[0].is_constant:
                text = str(args[0].as_constant())
                head = f"unsupported operand type(s) for {op}: "
                if text.startswith(head):
                    raise ev.type_error(text.replace(f"for {op}:", f"for {op}=:", 1)) from None
        raise


def compare(ev: Machine, op: str, left: Value, right: Value) -> Value:
    """`left op right` for one of the six comparisons."""
    if type(left) is ConstantValue and type(right) is ConstantValue:
        return ev.fold(COMPARE[op], left.value, right.value)
    lt, rt = left.python_type(), right.python_type()
    found = None
    asked = False
    if lt is not rt and inherits(rt, lt):
        found = right.compare(ev, _MIRRORED[op], left)
        asked = True
    if found is None:
        found = left.compare(ev, op, right)
    if found is None and not asked:
        found = right.compare(ev, _MIRRORED[op], left)
    if found is not None:
        return found
    if op in ("==", "!="):
        return TRUE if ev.is_same(left, right) == (op == "==") else FALSE
    raise ev.type_error(f"'{op}' not supported between instances of '{message_name(lt)}' and '{message_name(rt)}'")


def equal(ev: Machine, left: Value, right: Value) -> bool:
    """`bool(left == right)`."""
    return compare(ev, "==", left, right).truth(ev)


def same_or_equal(ev: Machine, left: Value, right: Value) -> bool:
    """`left is right or left == right`, as containers compare what they hold."""
    return left is right or _is_one_nan(ev, left, right) or equal(ev, left, right)


def _is_one_nan(ev: Machine, left: Value, right: Value) -> bool:
    """Whether both are the one object that is a NaN: then a container finds it, though it is not equal to itself."""
    if (
        type(left) is not ConstantValue
        or type(right) is not ConstantValue
        or not (is_nan(left.value) and is_nan(right.value))
    ):
        return False
    if left.source is not None or right.source is not None:
        raise ev.break_("nan-identity", "looking for a NaN among others", "it is found by identity, and which one a call brings is not guarded",
                        "use math.isnan")  # fmt: skip
    return left.value is right.value


def is_same(left: Value, right: Value) -> bool:
    """`left is right`."""
    if left is right:
        return True
    if type(left) is TupleValue and type(right) is TupleValue:
        return not left._elements and not right._elements  # there is one empty tuple
    if left.is_constant and right.is_constant:
        one, other = left.as_constant(), right.as_constant()
        if one is other:
            return True
        # constants are rebuilt from their values: equal ones of a type that Python interns count as one
        return (
            type(one) is type(other)
            and isinstance(one, (int, str, bytes))
            and one == other
            and not isinstance(one, bool)
        )
    return False
