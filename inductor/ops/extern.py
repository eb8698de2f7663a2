"""Calls of the framework's own functions, and picking one result of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..graph import TensorMeta
from .common import REQUIRED, row
from .contractions import of_call
from .facts import MEMORY
from .intervals import below_checked, of_checked_call


def _meta_extern(*_: TensorMeta, ref: Any, **more: Any) -> TensorMeta:
    raise TypeError(f"the meta of {ref} is given, not computed: use GraphBuilder.append")


# ref: an ExternRef, the call's template
# raises: the call may raise for some elements of its arguments
# axes: the call gives sums of products of its two arguments over these axes: (left, right, result) of `contract`
# effects: it must run in its place, as ops with effects do
# strides: of its results, as capture promised them (None: nothing is promised)
# shapes, dtypes: of its results, to be checked where code of the program says what they are (None: the framework vouches for them)
# writes: positions of the arrays that it writes to; copies of them follow the results
# picks: positions, among its results, of those that are needed (None: all)
# own: the operator of the program's own that it calls, and how many calls of it come before (None: it is the framework's)
# library: the framework whose function it is, where that is not the graph's own
# stores: what it does to the very tensors that it gets, which the framework's history sees: "content": it writes to the first, which is
#         its result; "count": it notes that they are written to; "": nothing
# below: the call checked its result: integers from 0 to below - 1 (None: nothing is known of them)
row("extern", "extern", _meta_extern,
    attrs={"ref": REQUIRED, "effects": False, "raises": False, "strides": None, "shapes": None, "dtypes": None, "writes": (), "picks": None,
           "stores": "", "below": None, "axes": None, "own": None, "library": ""},
    operands=(MEMORY,), bounds=of_checked_call, below=below_checked, eager="call", opaque=True,
    contraction=of_call)  # fmt: skip


def _meta_getitem(source: Sequence[TensorMeta], *, index: int) -> TensorMeta:
    if isinstance(source, TensorMeta):
        raise TypeError("getitem picks one of several results; its input has one")
    if not 0 <= index < len(source):
        raise IndexError(f"getitem: result {index} of an op that has {len(source)}")
    return source[index]


# the input's meta is a tuple; a decomposition that returns a tuple of nodes replaces its getitems
row("getitem", "extern", _meta_getitem, attrs={"index": REQUIRED}, elements="first", bounds=None, eager="pick")


# raises where its input, one bool, is true (see `inductor.checks`)
row("check", "extern", lambda flag: flag, effects=True, raises=True)
