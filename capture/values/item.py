"""Python numbers that the graph computes: what `tensor.item()` gives, and arithmetic on it.

The number is a weak node: it promotes like a Python number. An int is better known as a symbol (`values.symint`), so that
it can be a size. Which way a branch on such a number goes is not known.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...inductor import dtypes
from ...inductor.graph import ExternRef, Input, Node, TensorMeta
from ...inductor.ops import OPS
from .base import Value
from .constant import ConstantValue
from .number import NumberValue

if TYPE_CHECKING:
    from .base import Emitter, Machine

_DTYPES = {float: dtypes.float64, bool: dtypes.bool_, int: dtypes.int64}
_BINARY = {
    "+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod", "**": "pow",
}  # fmt: skip
_COMPARE = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
_UNARY = {"-": "neg", "+": "pos"}


def number_node(ev: Machine, target: str, args: list[Any], cls: type, effects: bool = False) -> Node:
    """A node that calls the function at "module:name" and gives a Python number of type `cls`. Nodes among `args` are inputs."""
    inputs = [a for a in args if isinstance(a, Node)]
    template = tuple(Input(inputs.index(a)) if isinstance(a, Node) else a for a in args)
    attrs = {"ref": ExternRef(target, template), "effects": effects, "raises": True, "strides": None}
    ev.boundary.op_by_op = "it computes Python numbers"
    meta = TensorMeta((), (), _DTYPES[cls], inputs[0].meta.device if inputs else "cpu", weak=True)
    return ev.builder.append(OPS["extern"], tuple(inputs), attrs, meta)


class ItemValue(Value):
    """A float or bool that a node of the graph holds."""

    __slots__ = ("node", "cls")

    def __init__(self, node: Node, cls: type) -> None:
        super().__init__()
        self.node = node
        self.cls = cls

    def python_type(self) -> type:
        return self.cls

    def describe(self) -> str:
        return f"a {self.cls.__name__} read from a tensor"

    def rebuild(self, rb: Emitter) -> str:
        return rb.output(self.node)

    # ------------------------------------------------------------ arithmetic

    def binary(self, ev: Machine, op: str, other: Value, reflected: bool) -> Value | None:
        name, operand = _BINARY.get(op), operand_of(ev, other)
        if name is None or operand is None or op == "**" and not reflected and not isinstance(operand, int):
            return None
        args = [operand, self.node] if reflected else [self.node, operand]
        both_int = self.cls is bool and type_of(ev, other) in (int, bool) and op != "/"
        if both_int:
            return ev.integer(number_node(ev, f"operator:{name}", args, int, effects=True))
        return ItemValue(number_node(ev, f"operator:{name}", args, float), float)

    def unary(self, ev: Machine, op: str) -> Value:
        if self.cls is bool or op not in _UNARY:
            return super().unary(ev, op)
        return ItemValue(number_node(ev, f"operator:{_UNARY[op]}", [self.node], float), float)

    def compare(self, ev: Machine, op: str, other: Value) -> Value | None:
        name, operand = _COMPARE.get(op), operand_of(ev, other)
        if name is None or operand is None:
            return None
        return ItemValue(number_node(ev, f"operator:{name}", [self.node, operand], bool), bool)

    def truth(self, ev: Machine) -> bool:
        raise ev.branch_break(self.describe())

    # ------------------------------------------------------------ conversions

    def m___float__(self, ev: Machine) -> Value:
        return self if self.cls is float else ItemValue(number_node(ev, "builtins:float", [self.node], float), float)

    def m___int__(self, ev: Machine) -> Value:
        return ev.integer(number_node(ev, "builtins:int", [self.node], int, effects=True))

    m___trunc__ = m___int__

    def m___abs__(self, ev: Machine) -> Value:
        return ItemValue(number_node(ev, "builtins:abs", [self.node], float), float)


def operand_of(ev: Machine, value: Value) -> Any:
    """A number as an argument of `number_node`; None for another Value."""
    if isinstance(value, ItemValue):
        return value.node
    if isinstance(value, NumberValue):
        return value.as_constant()
    if type(value) is ConstantValue and type(value.value) in (int, float, bool):
        return value.value
    return getattr(value, "expr", None)


def type_of(ev: Machine, value: Value) -> type:
    return type(value.value) if isinstance(value, ConstantValue) else value.python_type()
