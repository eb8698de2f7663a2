"""The same samples with symbolic sizes: metas and values must be what they are with plain ints.

Every size n above 1 of the operands becomes the symbol s<n>; relations that symbols leave open are answered with the
sizes at hand, as capture's decider does.
"""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")

import sympy  # noqa: E402
from quern.capture.frontends.torch.runtime import tensor_meta  # noqa: E402
from quern.inductor.graph import Node, TensorMeta, contiguous_strides  # noqa: E402
from quern.inductor.ops import OPS  # noqa: E402
from quern.inductor.ops.dims import NeedsGuard, deciding, less, same  # noqa: E402

from .evaluate import Evaluator, to_array, to_tensor  # noqa: E402
from .samples import Sample, T  # noqa: E402
from .support import TOLERANCE, as_tuple, attributes, eager, operands  # noqa: E402
from .test_op_table import BY_OP, result  # noqa: E402

OPS_TO_TRY = (
    "add mul where exp relu gelu cast clamp sum mean amax var argmax logsumexp cumsum softmax log_softmax layer_norm "
    "rms_norm group_norm batch_norm permute transpose unsqueeze squeeze select slice flatten cat stack tril triu "
    "gather embedding index index_select index_put scatter_add slice_scatter select_scatter flip repeat roll matmul "
    "linear convolution scaled_dot_product_attention cross_entropy mse_loss pad one_hot diagonal masked_fill expand "
    "max_pool2d avg_pool2d full_like reshape"
).split()


def symbol(size: int) -> Any:
    return sympy.Symbol(f"s{size}", integer=True, positive=True) if size > 1 else size


def concrete(x: Any) -> int:
    """A size with every symbol replaced by its value, which is its name."""
    return x if isinstance(x, int) else int(x.subs({s: int(s.name[1:]) for s in x.free_symbols}))


def decide(relation: Any) -> bool:
    return bool(relation.subs({s: int(s.name[1:]) for s in relation.free_symbols}))


def evaluate(sample: Sample, values: list[Any], attrs: dict[str, Any]) -> tuple[Node, Any]:
    run = Evaluator(eager, concrete, {f"s{n}": n for n in range(2, 40)})

    def operand(v: Any) -> Node | None:
        if not isinstance(v, torch.Tensor):
            return run.operand(v)
        shape = tuple(map(symbol, v.shape))
        meta = tensor_meta(v)
        node = run.builder.input(TensorMeta(shape, contiguous_strides(shape), meta.dtype))
        run.values[node] = to_array(v)
        return node

    node = run.builder.call(sample.op, *map(operand, values), **attrs)
    return node, run.run(node)


@pytest.mark.parametrize("op", OPS_TO_TRY)
def test_symbolic_sizes(op: str) -> None:
    tried = 0
    for sample in BY_OP[op]:
        if any(isinstance(o, T) and o.layout != "contiguous" for o in sample.operands):
            continue
        values, attrs = operands(sample), OPS[op].bind(attributes(sample))
        wanted = result(sample, values, attrs)
        if wanted is None:
            continue
        try:
            with deciding(decide):
                node, got = evaluate(sample, values, attrs)
            metas = node.meta if isinstance(node.meta, tuple) else (node.meta,)
            for g, w, meta in zip(as_tuple(got), wanted, metas, strict=True):
                shape, stride = tuple(map(concrete, meta.shape)), tuple(map(concrete, meta.stride))
                assert (shape, stride) == (tuple(w.shape), w.stride())
                rtol, atol = TOLERANCE.get(w.dtype, (0, 0))
                fixed = TensorMeta(shape, stride, meta.dtype)
                torch.testing.assert_close(
                    to_tensor(g, fixed), w, rtol=rtol, atol=atol, equal_nan=True, check_stride=False
                )
        except Exception as error:
            raise AssertionError(f"{sample}: {type(error).__name__}: {error}") from error
        tried += 1
    assert tried


def test_open_relation_asks_the_decider() -> None:
    a, b = sympy.symbols("a b", integer=True, positive=True)
    with pytest.raises(NeedsGuard) as info:
        same(a, b)
    assert info.value.relation == sympy.Eq(a, b)
    asked: list[Any] = []

    def decider(relation: Any) -> bool:
        asked.append(relation)
        return True

    with deciding(decider):
        assert same(a, b) and less(a, b)
    assert asked == [sympy.Eq(a, b), sympy.Lt(a, b)]
    assert same(a, a) and not same(a, 1) and not same(0, a * b) and not less(a, a)


def test_ints_stay_ints() -> None:
    meta = OPS["reshape"].meta(tensor_meta(torch.zeros(4, 6)), shape=(sympy.Integer(3), -1))
    assert all(type(d) is int for d in (*meta.shape, *meta.stride))
