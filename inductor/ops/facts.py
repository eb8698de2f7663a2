"""What a row says of its op beyond its value: small types, for each column that is more than one word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

# floating-point errors that an element may meet, as NumPy numbers them
QUIET, DIVIDE, OVER, UNDER, INVALID = 0, 1, 2, 4, 8
ALL_ERRORS = DIVIDE | OVER | UNDER | INVALID

#: a node's errors where they depend on its attributes or dtypes
Errors = int | Callable[[Any], int]


@dataclass(frozen=True)
class Operand:
    """What an op takes of an input.

    role:   its elements ("value"), positions in another input ("index"), or its shape, strides and type alone ("layout")
    part:   whether some elements may not be read
    memory: whether it reads memory, not elements: the input must lie as it does in eager
    once:   whether each element is used once: it is computed where it is used, however much that is
    """

    role: str = "value"
    part: bool = False
    memory: bool = False
    once: bool = False


VALUE = Operand()
PART = Operand(part=True)
INDEX = Operand("index")
LAYOUT = Operand("layout")
MEMORY = Operand(memory=True)
COMPUTED_IN_PLACE = Operand(once=True)

ROLES = ("value", "index", "layout")


@dataclass(frozen=True)
class Rounding:
    """How eager rounds half-precision numbers around an op.

    result:  after it (False: its results are halves already)
    steps:   after each step of its decomposition too: eager runs several kernels
    numbers: operands at which CPUs meet a Python number in the tensor's own type
    whole:   operands of which one element keeps digits that a half cannot hold
    """

    result: bool = True
    steps: bool = False
    numbers: tuple[int, ...] = ()
    whole: tuple[int, ...] = ()


ROUNDED = Rounding()
IS_HALF = Rounding(result=False)
IN_STEPS = Rounding(steps=True)

#: where a result's elements come from: the first input, any of the inputs, an attribute; or they are computed
ELEMENTS = ("first", "any", "given", "computed")
#: what evaluating an element again costs: nothing, an instruction or a few, a function of many, a framework's call
COSTS = ("free", "cheap", "heavy", "call")
#: how the framework runs it: its function for the op, the call that the node describes, by picking one of several results; or it
#: has no such op: a step of decompositions
EAGER_FORMS = ("function", "call", "pick", "none")
#: who differentiates it, where it has no rule: the framework, as it runs the same op; its decomposition does; or nobody: gradients
#: end here
GRADIENTS = ("framework", "decomposition", "stopped")
#: what mixed precision makes of float operands: nothing, the lower precision, float32, the widest of their types
PRECISIONS = ("", "lower", "float32", "widest")
