"""Calls that eager refuses are refused by the meta rules, with a message that names what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from quern.inductor import dtypes
from quern.inductor.graph import TensorMeta, contiguous_strides
from quern.inductor.ops import OPS


def t(*shape: int, dtype: str = "float32") -> TensorMeta:
    return TensorMeta(shape, contiguous_strides(shape), dtypes.get(dtype))


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any], str]] = [
    ("add", (t(2, 3), t(4)), {}, r"shapes \(2, 3\) and \(4,\) do not broadcast: sizes 3 and 4 at dimension 1"),
    ("sub", (t(2, dtype="bool"), t(2, dtype="bool")), {}, "sub is not defined for bool"),
    ("bitwise_and", (t(2), t(2)), {}, "bitwise_and is not defined for float32"),
    ("where", (t(2), t(2), t(2)), {}, "where needs a bool condition, not float32"),
    ("masked_fill", (t(2), t(2, dtype="bool"), t(3)), {}, "0-dim value"),
    ("sum", (t(2, 3),), {"dim": 2}, "dim 2 is out of range for a tensor of 2 dimensions"),
    ("sum", (t(2, 3),), {"dim": (0, -2)}, "a dimension appears twice"),
    ("mean", (t(2, dtype="int64"),), {}, "mean needs a float or complex tensor"),
    ("amax", (t(0, 3),), {"dim": 0}, "hold no element"),
    ("argmax", (t(2, dtype="bool"),), {}, "argmax is not defined for bool"),
    ("var", (t(2, dtype="int32"),), {}, "need a float tensor"),
    ("cumsum", (t(2),), {"dim": 1}, "out of range"),
    ("view", (TensorMeta((2, 3), (1, 2), dtypes.float32),), {"shape": (6,)}, "use reshape"),
    ("reshape", (t(2, 3),), {"shape": (4, -1)}, "does not hold the 6 elements"),
    ("reshape", (t(2, 3),), {"shape": (-1, -1)}, "may be -1"),
    ("permute", (t(2, 3),), {"dims": (0, 0)}, "names a dimension twice"),
    ("permute", (t(2, 3),), {"dims": (0,)}, "does not name all 2 dimensions"),
    ("expand", (t(2, 3),), {"shape": (2, 4)}, "size 3 at dimension 1 cannot become 4"),
    ("select", (t(2, 3),), {"dim": 0, "index": 2}, "index 2 is out of range"),
    ("slice", (t(2, 3),), {"step": 0}, "step must be a positive int"),
    ("as_strided", (t(2, 3),), {"size": (3,), "stride": (3,)}, "reaches element 6 of a tensor that holds 6"),
    ("cat", (t(2, 3), t(2, 4)), {"dim": 0}, "differ outside dimension 0"),
    ("stack", (t(2), t(3)), {}, "differ"),
    ("pad", (t(2, 3),), {"pad": (1,)}, "does not pair up"),
    ("pad", (t(1, 3),), {"pad": (3, 0), "mode": "reflect"}, "reflection"),
    ("gather", (t(2, 3), t(2, 3)), {"dim": 0}, "int64 or int32 index, not float32"),
    ("index", (t(2), t(2, dtype="int64"), t(2, dtype="int64")), {}, "2 indices for a tensor of 1 dimensions"),
    ("index_put", (t(3), t(4), t(2, dtype="int64")), {}, r"do not expand to \(2,\)"),
    ("embedding", (t(2), t(3, 4)), {}, "needs an int64 or int32 index"),
    ("slice_scatter", (t(4), t(3)), {"end": 2}, r"does not expand to \(2,\)"),
    ("softmax", (t(2, dtype="int64"),), {"dim": 0}, "softmax needs a float tensor"),
    ("layer_norm", (t(2, 3), t(4), None), {"normalized_shape": (3,)}, r"must have shape \(3,\), not \(4,\)"),
    ("group_norm", (t(2, 5), None, None), {"num_groups": 2}, "5 channels do not divide into 2 groups"),
    ("batch_norm", (t(2, 5), t(4), t(5), None, None), {}, r"must have shape \(5,\), not \(4,\)"),
    ("matmul", (t(2, 3), t(4, 5)), {}, "cannot be multiplied"),
    ("matmul", (t(2, 3), t(3, 5, dtype="float64")), {}, "one dtype, got float32 and float64"),
    ("linear", (t(2, 3), t(4, 5), None), {}, "differ in their last size"),
    ("convolution", (t(1, 3, 8, 8), t(4, 2, 3, 3), None), {}, "expects 2 input channels"),
    ("convolution", (t(1, 2, 8, 8), t(4, 2, 3, 3), None), {"padding": "full"}, '"same" or "valid"'),
    ("cross_entropy", (t(2, 3), t(3, dtype="int64"), None), {}, r"needs a target of shape \(2,\)"),
    ("mse_loss", (t(2), t(2)), {"reduction": "max"}, "reduction must be"),
    ("max_pool2d", (t(3, 8, 8),), {"kernel_size": 3, "padding": 2}, "at most half of the window"),
    ("scaled_dot_product_attention", (t(2, 3), t(2, 4), t(2, 4), None), {}, "differ in their last size"),
    ("topk", (t(3),), {"k": 5}, "k=5 of a dimension of size 3"),
    ("arange", (), {"end": 3, "step": 0}, "step must not be 0"),
    ("full", (), {"shape": (2, -1), "value": 0}, "size -1 is negative"),
    ("constant", (), {"value": (1, 2), "shape": (3,), "dtype": dtypes.int64}, "needs 3 values, not 2"),
    ("input", (), {}, "GraphBuilder.input"),
    ("extern", (), {"ref": "f"}, "GraphBuilder.append"),
    ("getitem", (t(2),), {"index": 0}, "its input has one"),
]


@pytest.mark.parametrize(("op", "metas", "attrs", "message"), WRONG, ids=[f"{w[0]}-{w[3][:20]}" for w in WRONG])
def test_refused(op: str, metas: tuple[Any, ...], attrs: dict[str, Any], message: str) -> None:
    row = OPS[op]
    with pytest.raises((ValueError, TypeError, IndexError), match=message):
        row.meta(*metas, **row.bind(attrs))
