"""Samples of the ops that do not come in families: views, indexing, creation, networks, products."""

from __future__ import annotations

import math
from collections.abc import Iterator

from .samples import Sample, T, b8, bf16, f16, f32, f64, families, i32, i64, layouts


def all_samples() -> Iterator[Sample]:
    """Every sample."""
    yield from families()
    for part in (
        _views,
        _shuffles,
        _creation,
        _indexing,
        _writes,
        _networks,
        _losses,
        _pools,
        _products,
        _sorting,
        _random,
    ):
        yield from part()


VIEWED = [
    T((2, 3, 4)),
    T((2, 3, 4), layout="permuted"),
    T((2, 3, 4), layout="transposed"),
    T((2, 3, 4), layout="expanded"),
    T((2, 3, 4), layout="sliced"),
    T((2, 3, 4), i64),
]


def _views() -> Iterator[Sample]:
    for t in layouts():
        yield Sample("alias", (t,))
        yield Sample("detach", (t,))
        yield Sample("positive", (t,))
    for t in VIEWED:
        for shape in ((6, 4), (2, 12), (24,), (-1, 2), (4, 3, 2), (2, 1, 3, 4, 1), (2, 3, 2, 2), (1, 24), (3, 2, 4)):
            yield Sample("reshape", (t,), {"shape": shape})
            yield Sample("view", (t,), {"shape": shape})
        for start, end in ((0, -1), (0, 1), (1, 2), (1, 1)):
            yield Sample("flatten", (t,), {"start_dim": start, "end_dim": end})
        yield Sample("unflatten", (t,), {"dim": 2, "sizes": (2, -1)})
        yield Sample("unflatten", (t,), {"dim": -3, "sizes": (1, 2)})
        for dims in ((0, 1, 2), (2, 0, 1), (-1, -2, -3), (1, 0, 2)):
            yield Sample("permute", (t,), {"dims": dims})
        for a, c in ((0, 1), (-1, 0), (1, 1)):
            yield Sample("transpose", (t,), {"dim0": a, "dim1": c})
        for dim in (0, 1, 3, -1, -4):
            yield Sample("unsqueeze", (t,), {"dim": dim})
        for dim, index in ((0, 1), (1, -1), (-1, 2), (2, -4), (0, 5)):
            yield Sample("select", (t,), {"dim": dim, "index": index})
        for dim, start, end, step in ((0, 1, None, 1), (1, None, -1, 1), (2, 0, 4, 2), (2, -3, 100, 1), (2, 1, None, 3),
                                      (1, 2, 1, 1), (0, None, 2**63 - 1, 1)):  # fmt: skip
            yield Sample("slice", (t,), {"dim": dim, "start": start, "end": end, "step": step})
        for offset, a, c in ((0, 0, 1), (1, 1, 2), (-1, 2, 0), (0, -1, -2)):
            yield Sample("diagonal", (t,), {"offset": offset, "dim1": a, "dim2": c})
        yield Sample("unfold", (t,), {"dimension": 2, "size": 2, "step": 1})
        yield Sample("unfold", (t,), {"dimension": -2, "size": 2, "step": 2})
        for shape in ((5, 2, 3, 4), (2, 3, 4), (1, 2, -1, 4)):
            yield Sample("expand", (t,), {"shape": shape})
    for shape in ((3, 1, 4), (1, 1, 4), (3, 1, 1), (1, 1, 1)):
        for dim in (None, 0, 1, (0, 2), -1):
            yield Sample("squeeze", (T(shape),), {"dim": dim})
    yield Sample("squeeze", (T(()),), {"dim": None})
    yield Sample("expand", (T((3, 1)),), {"shape": (2, 3, 5)})
    yield Sample("expand", (T((1, 3, 1), layout="transposed"),), {"shape": (4, 3, 2)})
    yield Sample("expand", (T(()),), {"shape": (2, 3)})
    yield Sample("expand", (T(()),), {"shape": (1, 3)})
    yield Sample("expand", (T((3,)),), {"shape": (1, 1, 3)})
    yield Sample("reshape", (T(()),), {"shape": (1, 1)})
    yield Sample("reshape", (T((1,)),), {"shape": ()})
    yield Sample("reshape", (T((0, 3)),), {"shape": (3, 0)})
    yield Sample("reshape", (T((0, 3)),), {"shape": (0, -1)})
    yield Sample("view", (T((2, 4, 3, 5), layout="channels_last"),), {"shape": (2, 4, 15)})
    yield Sample("reshape", (T((2, 4, 3, 5), layout="channels_last"),), {"shape": (2, 2, 2, 15)})
    yield Sample("reshape", (T((6, 10)),), {"shape": (4, 15)})
    yield Sample("flatten", (T(()),))
    yield Sample("unfold", (T(()),), {"dimension": 0, "size": 1, "step": 1})
    for t in (T((4, 6)), T((4, 6), layout="transposed"), T((24,))):
        yield Sample("as_strided", (t,), {"size": (3, 2), "stride": (4, 1), "storage_offset": 2})
        yield Sample("as_strided", (t,), {"size": (2, 2), "stride": (0, 3)})


def _shuffles() -> Iterator[Sample]:
    for t in layouts():
        for memory_format in (None, "contiguous"):
            yield Sample("clone", (t,), {"memory_format": memory_format})
        yield Sample("contiguous", (t,))
        yield Sample("flip", (t,), {"dims": tuple(range(len(t.shape)))[:2]})
        yield Sample("to_device", (t,), {"device": "cpu"})
        yield Sample("rand_like", (t,))
    for t in (T((2, 3, 4, 5)), T((2, 3, 4, 5), layout="channels_last"), T((2, 3, 4, 5), layout="permuted")):
        yield Sample("clone", (t,), {"memory_format": "channels_last"})
        yield Sample("contiguous", (t,), {"memory_format": "channels_last"})
        yield Sample("flip", (t,), {"dims": (-1, 0)})
    yield Sample("restride", (T((3, 4)),), {"stride": (1, 3)})
    yield Sample("copy", (T((3, 4)), T((4,), i64)))
    yield Sample("copy", (T((3, 4), i32, "transposed"), T((3, 1))))
    yield Sample("copy", (T((3, 4), bf16), 2.5))
    yield Sample("copy", (T((3, 4)), T((2, 3, 4))))
    yield from _joins()
    for t in (T((3, 4)), T((3, 4), layout="transposed"), T((3, 4), i64), T((2, 3, 4, 5), layout="channels_last")):
        for pad in ((1, 2), (0, 1, 2, 0), (-1, 1), (0, 0), (-1, -2, 1, 1)):
            yield Sample("pad", (t,), {"pad": pad, "value": 2})
    for mode in ("reflect", "replicate", "circular"):
        yield Sample("pad", (T((2, 3, 4)),), {"pad": (2, 1), "mode": mode})
        yield Sample("pad", (T((2, 3, 4, 5)),), {"pad": (3, 1, 2, 3), "mode": mode})
    for t in (T((3, 4)), T((3, 4), layout="transposed"), T((2, 3, 4), layout="permuted")):
        for shifts, dims in (((1,), (0,)), ((-2, 5), (0, 1)), ((3,), ())):
            yield Sample("roll", (t,), {"shifts": shifts, "dims": dims})
        yield Sample("repeat", (t,), {"repeats": (2,) * len(t.shape)})
        yield Sample("repeat", (t,), {"repeats": (3, *(1,) * len(t.shape))})
        for dim in (None, 0, -1):
            yield Sample("repeat_interleave", (t,), {"repeats": 3, "dim": dim})
    yield Sample("repeat", (T((1, 4)),), {"repeats": (3, 0)})
    for t in (T((2, 3, 4, 5)), T((2, 3, 4, 5), layout="channels_last"), T((1, 3, 2, 2, 2), layout="channels_last")):
        for shifts, dims in (((1,), (0,)), ((2, -1), (1, 2)), ((0,), (1,)), ((3,), ())):
            yield Sample("roll", (t,), {"shifts": shifts, "dims": dims})
        for dim in (0, 1, 2, -1):
            yield Sample("stack", (t, t), {"dim": dim})
        for pad in ((1, 1), (-1, 0), (-1, -1, 0, -1), (1, 0, 0, 1)):
            yield Sample("pad", (t,), {"pad": pad})
    yield Sample("one_hot", (T((3, 4), i64, values=("index", 5)),), {"num_classes": 5})


def _joins() -> Iterator[Sample]:
    last = T((2, 3, 4, 5), layout="channels_last")
    for dim in (0, 1, -1):
        yield Sample("cat", (T((2, 3, 4)), T((2, 3, 4), layout="permuted"), T((2, 3, 4))), {"dim": dim})
        yield Sample("cat", (last, last), {"dim": dim})
        yield Sample("cat", (last, T((2, 3, 4, 5))), {"dim": dim})
        yield Sample("stack", (T((2, 3)), T((2, 3), layout="transposed")), {"dim": dim})
    yield Sample("cat", (T((2, 3)), T((4, 3), i64), T((0,))), {"dim": 0})
    yield Sample("cat", (T((2, 1), i64), T((2, 0), i64), T((2, 3), i32)), {"dim": 1})
    yield Sample("cat", (T((2, 3), bf16), T((1, 3), f16)), {"dim": 0})
    yield Sample("cat", (T((2, 3)), T((3, 3))), {"dim": 1})
    yield Sample("stack", (T(()), T(())), {"dim": 0})


def _creation() -> Iterator[Sample]:
    for value, dtype in (
        (1.5, None),
        (2, None),
        (True, None),
        (2.5, "bfloat16"),
        (3, "float32"),
        (-math.inf, "float64"),
    ):
        yield Sample("full", (), {"shape": (2, 3), "value": value, "dtype": dtype})
    yield Sample("full", (), {"shape": (), "value": 7})
    for t in layouts():
        yield Sample("full_like", (t,), {"value": 2.5})
        yield Sample("full_like", (t,), {"value": 1, "dtype": "int64", "memory_format": "contiguous"})
    for start, end, step in ((0, 5, 1), (2, 11, 3), (5, -3, -2), (0.0, 1.0, 0.1), (1, 4.5, 0.5), (3, 3, 1)):
        yield Sample("arange", (), {"start": start, "end": end, "step": step})
    yield Sample("arange", (), {"end": 6, "dtype": "float32"})
    yield Sample("arange", (), {"end": 6, "dtype": "bfloat16"})
    yield Sample("arange", (), {"start": 4, "end": 1})
    for start, end, steps in ((0.0, 1.0, 5), (-2.0, 3.0, 8), (1.0, 2.0, 1), (3.0, -3.0, 7), (0.0, 1.0, 0)):
        yield Sample("linspace", (), {"start": start, "end": end, "steps": steps})
        yield Sample("linspace", (), {"start": start, "end": end, "steps": steps, "dtype": "float64"})
    for n, m in ((3, None), (2, 4), (4, 2)):
        yield Sample("eye", (), {"n": n, "m": m})
        yield Sample("eye", (), {"n": n, "m": m, "dtype": "int64"})
    for name in ("tril", "triu"):
        for t in (T((4, 5)), T((2, 3, 4), layout="permuted"), T((3, 3), b8), T((3, 3), bf16), T((3,))):
            for diagonal in (0, 1, -2):
                yield Sample(name, (t,), {"diagonal": diagonal})
    for offset in (0, 2, -1):
        yield Sample("diag_embed", (T((3,)),), {"offset": offset})
        yield Sample("diag_embed", (T((2, 3), i64),), {"offset": offset, "dim1": 0, "dim2": 2})
    for t in (T((3, 4)), T((4, 3), i64, "transposed"), T((3,))):
        yield Sample("trace", (t,))
    yield Sample("constant", (), {"value": (1, 5, 2, 7, 7, 7), "shape": (2, 3), "dtype": "int64"})
    yield Sample("constant", (), {"value": (1.5,), "shape": (), "dtype": "float32"})
    yield Sample("constant", (), {"value": (), "shape": (0,), "dtype": "float32"})


def _index(shape: tuple[int, ...], n: int, dtype: object = i64, layout: str = "contiguous") -> T:
    return T(shape, dtype, layout, ("index", n))  # type: ignore[arg-type]


def _indexing() -> Iterator[Sample]:
    for t in (T((4, 5)), T((4, 5), layout="transposed"), T((4, 5), bf16), T((4, 5), b8)):
        yield Sample("gather", (t, _index((2, 5), 4)), {"dim": 0})
        yield Sample("gather", (t, _index((4, 7), 5, layout="transposed")), {"dim": -1})
        yield Sample("index_select", (t, _index((3,), 4)), {"dim": 0})
        yield Sample("index_select", (t, _index((6,), 5, i32)), {"dim": -1})
        yield Sample("take", (t, _index((2, 3), 20)))
        yield Sample("take_along_dim", (t, _index((1, 5), 4)), {"dim": 0})
        yield Sample("take_along_dim", (t, _index((4, 2), 5)), {"dim": 1})
    yield Sample("take_along_dim", (T((4, 5)), _index((6,), 20)), {"dim": None})
    yield Sample("gather", (T(()), _index((), 1)), {"dim": 0})
    yield Sample("gather", (T((4, 5)), _index((5, 6), 4)), {"dim": 0})
    yield Sample("take", (T((4, 5)), T((6,), i64, values="small")))
    for dtype in (f32, bf16):
        yield Sample("embedding", (_index((2, 3), 7), T((7, 4), dtype)))
        yield Sample("embedding", (_index((3,), 7, i32), T((7, 4), dtype, "transposed")), {"padding_idx": 1})
    x = T((3, 4, 5))
    for t in (x, T((3, 4, 5), layout="permuted"), T((3, 4, 5), i64), T((3, 4, 5), layout="transposed")):
        yield Sample("index", (t, _index((2,), 3)))
        yield Sample("index", (t, _index((2,), 3), _index((2,), 4)))
        yield Sample("index", (t, None, _index((2, 3), 4)))
        yield Sample("index", (t, _index((2, 1), 3), None, _index((3,), 5)))
        yield Sample("index", (t, None, None, _index((6,), 5, i32)))
        yield Sample("index", (t, _index((2, 2), 3), _index((2,), 4), _index((), 5)))
    yield Sample("index", (T((5,)), T((4,), i64, values="small")))
    yield Sample("index", (T((3, 4)), _index((2,), 3), _index((3,), 4)))
    yield Sample("index", (T((0, 4)), None, _index((3,), 4)))
    for accumulate in (False, True):
        attrs = {"accumulate": accumulate}
        yield Sample("index_put", (x, T((4, 5)), _index((1,), 3)), attrs)
        yield Sample("index_put", (x, 2.0, None, _index((1,), 4)), attrs)
        yield Sample("index_put", (T((3, 4, 5), layout="permuted"), T((1, 5)), _index((1,), 3), _index((1,), 4)), attrs)
        yield Sample("index_put", (T((5,), i64), T((1,), i64), _index((1,), 5)), attrs)
    yield Sample("index_put", (T((5,)), T((8,)), _index((8,), 5)), {"accumulate": True})
    yield Sample("index_put", (x, T((3, 2, 3)), _index((2, 1), 3), None, _index((3,), 5)), {"accumulate": True})
    yield Sample("index_put", (T((5,)), T((1,), f64), _index((1,), 5)))
    yield from _scatters()


def _scatters() -> Iterator[Sample]:
    for dim in (0, 1):
        yield Sample("scatter", (T((4, 5)), T((1, 1), i64, values=("index", 4)), T((1, 1))), {"dim": dim})
        yield Sample("scatter", (T((4, 5), layout="transposed"), _index((1, 1), 4), 3.5), {"dim": dim})
        yield Sample("scatter_add", (T((4, 5)), _index((3, 4), 4), T((3, 4))), {"dim": dim})
        yield Sample("scatter_add", (T((4, 5), i64), _index((3, 4), 4), T((4, 5), i64)), {"dim": dim})
        src = T((6, 5) if dim == 0 else (4, 6))
        yield Sample("index_add", (T((4, 5)), _index((6,), 4), src), {"dim": dim})
        yield Sample("index_copy", (T((4, 5)), _index((1,), 4), T((1, 5) if dim == 0 else (4, 1))), {"dim": dim})
        yield Sample("index_fill", (T((4, 5), layout="transposed"), _index((3,), 4), 9.0), {"dim": dim})
    yield Sample("index_fill", (T((4, 5)), T((3,), i64, values="small"), 9.0), {"dim": 0})
    yield Sample("check", (T((), b8, values=("index", 1)),), {})
    yield Sample("scatter", (T(()), _index((), 1), T(())), {"dim": 0})
    yield Sample("scatter", (T((4, 5)), _index((1, 1), 4), T((1, 1), f64)), {"dim": 0})
    yield Sample("scatter_add", (T((4,), bf16), _index((6,), 4), T((6,), bf16)), {"dim": 0})
    for reduce in ("sum", "amax", "mean"):
        yield Sample("scatter_reduce", (T((4, 5)), _index((3, 4), 4), T((3, 4))), {"dim": 0, "reduce": reduce})


def _writes() -> Iterator[Sample]:
    for t in (T((4, 6)), T((4, 6), layout="transposed"), T((4, 6), i64), T((4, 6), bf16)):
        for dim, start, end, step, shape in ((0, 1, 3, 1, (2, 6)), (1, None, None, 2, (4, 3)), (1, -2, None, 1, (4, 2)),
                                             (1, 1, 6, 3, (4, 2)), (0, None, None, 1, (4, 6)), (0, 2, 2, 1, (0, 6))):  # fmt: skip
            yield Sample(
                "slice_scatter", (t, T(shape, t.dtype)), {"dim": dim, "start": start, "end": end, "step": step}
            )
        yield Sample("select_scatter", (t, T((6,), t.dtype)), {"dim": 0, "index": 2})
        yield Sample("select_scatter", (t, T((4,), t.dtype)), {"dim": -1, "index": -1})
        for offset, n in ((0, 4), (2, 4), (-1, 3)):
            yield Sample("diagonal_scatter", (t, T((n,), t.dtype)), {"offset": offset})
    for t in (T((4, 6)), T((4, 6), layout="transposed")):
        yield Sample("as_strided_scatter", (t, T((3, 2))), {"size": (3, 2), "stride": (5, 1), "storage_offset": 2})
    yield Sample("masked_scatter", (T((3, 4)), T((3, 4), b8), T((12,))))
    yield Sample("masked_scatter", (T((3, 4)), T((4,), b8), T((12,))))


def _networks() -> Iterator[Sample]:
    for name in ("softmax", "log_softmax"):
        for t in (
            T((3, 5)),
            T((3, 5), layout="transposed"),
            T((2, 3, 4), bf16),
            T((3, 5), f64),
            T((2, 3, 4, 5), f32, "channels_last"),
        ):
            for dim in (0, -1):
                yield Sample(name, (t,), {"dim": dim})
        yield Sample(name, (T(()),), {"dim": 0})
        yield Sample(name, (T((3, 0)),), {"dim": 1})
        yield Sample(name, (T((3, 5), bf16),), {"dim": 1, "dtype": "float32"})
        yield Sample(name, (T((3, 5), i64),), {"dim": 1, "dtype": "float32"})
        yield Sample(name, (T((3, 5), i64),), {"dim": 1})
        yield Sample(name, (T((8, 16), values="special"),), {"dim": 1})
    for t in (T((2, 3, 6)), T((2, 3, 6), layout="permuted"), T((2, 3, 6), bf16), T((2, 3, 6), f64)):
        weight = T((6,), t.dtype)
        for w, bias in ((weight, weight), (weight, None), (None, None)):
            yield Sample("layer_norm", (t, w, bias), {"normalized_shape": (6,)})
        yield Sample("layer_norm", (t, T((3, 6), t.dtype), None), {"normalized_shape": (3, 6), "eps": 0.1})
        yield Sample("layer_norm", (t, None, None), {"normalized_shape": (5,)})
        for eps in (None, 1e-6):
            yield Sample("rms_norm", (t, weight), {"normalized_shape": (6,), "eps": eps})
            yield Sample("rms_norm", (t, None), {"normalized_shape": (3, 6), "eps": eps})
    yield Sample("rms_norm", (T((2, 3, 4, 6), layout="channels_last"), None), {"normalized_shape": (6,)})
    for t in (T((2, 6, 4, 5)), T((2, 6, 4, 5), layout="channels_last"), T((2, 6, 4, 5), bf16), T((3, 6)), T((2, 6, 4))):
        weight = T((6,), t.dtype)
        yield Sample("group_norm", (t, weight, weight), {"num_groups": 3})
        yield Sample("group_norm", (t, None, None), {"num_groups": 2, "eps": 0.01})
        stats = (T((6,)), T((6,), values="positive"))
        affine = (T((6,)), T((6,)))
        if t.dtype == f32:
            yield Sample("batch_norm", (t, *stats, *affine))
            yield Sample("batch_norm", (t, *stats, None, None), {"eps": 0.1})
            yield Sample("batch_norm_train", (t, *stats, *affine))
            yield Sample("batch_norm_train", (t, *stats, None, None), {"momentum": 0.3})
    yield Sample("group_norm", (T((2, 5, 4)), None, None), {"num_groups": 2})
    yield Sample("batch_norm_train", (T((1, 6)), T((6,)), T((6,)), None, None))
    for dim in (1, -1):
        yield Sample("cosine_similarity", (T((3, 4, 5)), T((3, 4, 5))), {"dim": dim})
    yield Sample("cross", (T((4, 3)), T((4, 3))))
    yield Sample("cross", (T((3, 4), layout="transposed"), T((3, 4))), {"dim": 0})
    yield from _attention()


def _attention() -> Iterator[Sample]:
    name = "scaled_dot_product_attention"
    q, k = T((2, 4, 6, 8)), T((2, 4, 5, 8))
    yield Sample(name, (q, k, k, None))
    yield Sample(name, (q, q, q, None), {"is_causal": True})
    yield Sample(name, (T((2, 1, 6, 8)), T((3, 5, 8)), T((3, 5, 7)), None))
    yield Sample(name, (T((6, 8)), T((2, 3, 5, 8)), T((3, 5, 8)), T((3, 1, 5))))
    yield Sample(name, (q, k, k, T((6, 5))), {"scale": 0.3})
    yield Sample(name, (q, k, k, T((2, 1, 6, 5), b8)))
    yield Sample(name, (T((2, 6, 4, 8), layout="contiguous"), T((2, 6, 4, 8)), T((2, 6, 4, 8)), None))
    yield Sample(name, (T((4, 6, 8)), T((4, 5, 8)), T((4, 5, 8)), None))
    yield Sample(name, (q, T((2, 2, 5, 8)), T((2, 2, 5, 8)), None), {"enable_gqa": True})
    yield Sample(name, (T((2, 4, 6, 8), bf16), T((2, 4, 5, 8), bf16), T((2, 4, 5, 8), bf16), None))
    for t, mask in ((q, None), (q, T((6, 6)))):
        yield Sample("attention_with_logsumexp", (t, t, t, mask), {"scale": 0.3})
        rows = T(t.shape[:3])
        yield Sample("attention_backward", (t, t, t, t, t, rows, None), {"is_causal": True})


def _losses() -> Iterator[Sample]:
    for reduction in ("none", "mean", "sum"):
        attrs = {"reduction": reduction}
        for name in ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"):
            yield Sample(name, (T((3, 5)), T((3, 5), layout="transposed")), attrs)
            yield Sample(name, (T((3, 5), bf16), T((3, 5), bf16)), attrs)
        for name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
            values = "probability" if name == "binary_cross_entropy" else "normal"
            yield Sample(name, (T((3, 5), values=values), T((3, 5), values="probability")), attrs)
        yield Sample("smooth_l1_loss", (T((3, 5)), T((3, 5))), {**attrs, "beta": 0.3})
        yield Sample("huber_loss", (T((3, 5)), T((3, 5))), {**attrs, "delta": 0.3})
        for log_target in (False, True):
            target = T((3, 5), values="normal" if log_target else "probability")
            yield Sample("kl_div", (T((3, 5)), target), {**attrs, "log_target": log_target})
        for logits, target in ((T((4, 6)), (4,)), (T((2, 6, 3)), (2, 3)), (T((6,)), ()), (T((4, 6), bf16), (4,))):
            chosen = _index(target, 6)
            weight = T((6,), logits.dtype, values="positive")
            yield Sample("nll_loss", (logits, chosen, None), attrs)
            yield Sample("cross_entropy", (logits, chosen, None), attrs)
            yield Sample("nll_loss", (logits, chosen, weight), {**attrs, "ignore_index": 2})
            yield Sample("cross_entropy", (logits, chosen, weight), {**attrs, "ignore_index": 2})
            yield Sample("cross_entropy", (logits, chosen, weight), {**attrs, "label_smoothing": 0.1})
        soft = T((4, 6), values="probability")
        yield Sample("cross_entropy", (T((4, 6)), soft, None), attrs)
        yield Sample("cross_entropy", (T((4, 6)), soft, T((6,), values="positive")), {**attrs, "label_smoothing": 0.2})
    yield Sample("nll_loss", (T((4, 6)), _index((3,), 6), None))
    yield Sample("cross_entropy", (T((4, 6)), T((4,), b8), None))


def _pools() -> Iterator[Sample]:
    images = {1: T((2, 3, 9)), 2: T((2, 3, 8, 9)), 3: T((1, 2, 5, 6, 7))}
    for n, x in images.items():
        for attrs in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1},
                      {"kernel_size": 3, "stride": 2, "ceil_mode": True}, {"kernel_size": 5, "stride": 3, "padding": 2},
                      {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}):  # fmt: skip
            for t in (x, T(x.shape[1:]), T(x.shape, f64 if n == 3 else bf16)):
                yield Sample(f"max_pool{n}d", (t,), attrs)
                yield Sample(f"avg_pool{n}d", (t,), attrs)
            yield Sample(f"max_pool{n}d_with_indices", (x,), attrs)
            if n > 1 and attrs["kernel_size"] < 5:
                for values in ("normal", "small", "special"):
                    yield Sample(f"max_pool{n}d_with_places", (T(x.shape, values=values),), attrs)
            yield Sample(f"avg_pool{n}d", (x,), {**attrs, "count_include_pad": False})
        yield Sample(f"max_pool{n}d", (x,), {"kernel_size": 2, "stride": 1, "dilation": 2})
        yield Sample(f"max_pool{n}d", (x,), {"kernel_size": 2, "padding": 2})
        yield Sample(f"max_pool{n}d", (x,), {"kernel_size": 20})
        for size in (1, 2, 3, 5):
            yield Sample(f"adaptive_avg_pool{n}d", (x,), {"output_size": (size,) * n})
            yield Sample(f"adaptive_max_pool{n}d", (x,), {"output_size": (size,) * n})
    for n, g, x in ((2, T((2, 3, 4, 5)), images[2]), (3, T((1, 2, 3, 3, 4)), images[3])):
        attrs = {"kernel_size": 3, "stride": 2, "padding": 1}
        for layout in ("contiguous", "channels_last"):
            given = T(g.shape, layout=layout), T(x.shape, layout=layout)
            yield Sample(f"max_pool{n}d_backward", (*given, T(g.shape, i64, layout, ("index", 60))), attrs)
            yield Sample(f"avg_pool{n}d_backward", given, {**attrs, "count_include_pad": False})
    last = T((2, 3, 8, 9), layout="channels_last")
    yield Sample(
        "max_pool2d_with_places", (last,), {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "dilation": 2}
    )
    yield Sample("max_pool2d", (last,), {"kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0)})
    yield Sample("max_pool2d", (T((16, 16)),), {"kernel_size": 2})
    yield Sample("max_pool2d", (T((1, 16, 16)),), {"kernel_size": 7, "stride": 2, "padding": 3, "dilation": 2})
    yield Sample("max_pool2d", (T((1, 16, 16)),), {"kernel_size": 6, "stride": 4})
    yield Sample("avg_pool2d", (last,), {"kernel_size": 2, "divisor_override": 3})
    yield Sample(
        "avg_pool2d", (T((1, 16, 16)),), {"kernel_size": 6, "stride": 3, "padding": 1, "count_include_pad": False}
    )
    yield Sample("adaptive_avg_pool2d", (last,), {"output_size": (4, None)})
    yield Sample("adaptive_avg_pool2d", (T((2, 3, 8, 9), bf16),), {"output_size": 1})
    for size, scales in (((16, 18), None), ((5, 4), None), ((13, 20), None), ((12, 13), (1.5, 1.5))):
        for x in (images[2], last):
            yield Sample("upsample_nearest", (x,), {"size": size, "scales": scales})
            for corners in (False, True):
                yield Sample("upsample_linear", (x,), {"size": size, "scales": scales, "align_corners": corners})
    yield Sample("upsample_nearest", (images[1],), {"size": (27,)})
    yield Sample("upsample_linear", (images[1],), {"size": (4,)})
    yield Sample("upsample_linear", (images[3],), {"size": (10, 6, 5)})


def _products() -> Iterator[Sample]:
    for a, c in (((3, 4), (4, 5)), ((4,), (4,)), ((3, 4), (4,)), ((4,), (4, 5)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
                 ((6, 1, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)), ((2, 3, 4), (4,)), ((4,), (2, 4, 5)), ((3, 4), (3, 4))):  # fmt: skip
        yield Sample("matmul", (T(a), T(c)))
    for layout in ("transposed", "sliced"):
        yield Sample("matmul", (T((3, 4), layout=layout), T((4, 5), layout=layout)))
        yield Sample("matmul", (T((2, 3, 4), layout=layout), T((4, 5), layout=layout)))
        yield Sample("mm", (T((3, 4), layout=layout), T((4, 5), layout=layout)))
    for a, c, left, right in (((4, 3), (4, 5), True, False), ((3, 4), (5, 4), False, True), ((4, 3), (5, 4), True, True),
                              ((2, 4, 3), (4, 5), True, False), ((2, 3, 4), (2, 5, 4), False, True), ((3, 4), (4, 5), False, False)):  # fmt: skip
        for layout in ("contiguous", "transposed"):
            yield Sample("matmul_turned", (T(a, layout=layout), T(c, layout=layout)), {"left": left, "right": right})
    yield Sample("matmul_turned", (T((4,)), T((4, 5))), {"left": True})
    yield Sample("matmul", (T((3, 4), i64), T((4, 5), i64)))
    yield Sample("matmul", (T((3, 4)), T((4, 5), f64)))
    yield Sample("mm", (T((3, 4)), T((5, 5))))
    yield Sample("bmm", (T((2, 3, 4)), T((2, 4, 5), layout="permuted")))
    yield Sample("mv", (T((3, 4)), T((4,))))
    yield Sample("dot", (T((4,)), T((4,))))
    yield Sample("outer", (T((3,)), T((4,))))
    for x in (T((5,)), T((3, 5)), T((3, 1))):
        yield Sample("addmm", (x, T((3, 4)), T((4, 5))), {"beta": 0.5, "alpha": 2})
    yield Sample("baddbmm", (T((2, 3, 5)), T((2, 3, 4)), T((2, 4, 5))))
    for x in (T((4,)), T((3, 4)), T((2, 3, 4)), T((2, 3, 4), layout="permuted")):
        yield Sample("linear", (x, T((5, 4)), T((5,))))
        yield Sample("linear", (x, T((5, 4)), None))
        yield Sample("linear", (x, T((5, 3)), None))
    for t in (T((2, 4, 7, 8)), T((2, 4, 7, 8), layout="channels_last"), T((4, 7, 8))):
        for attrs in (
            {},
            {"stride": 2, "padding": 1},
            {"groups": 2, "dilation": (2, 1)},
            {"padding": "same"},
            {"padding": "valid"},
        ):
            weight = T((6, 4 // attrs.get("groups", 1), 3, 3))
            yield Sample("convolution", (t, weight, T((6,))), attrs)
        yield Sample("conv_transpose", (t, T((4, 6, 3, 3)), None), {"stride": 2, "padding": 1, "output_padding": 1})
    yield Sample("convolution", (T((2, 4, 7, 8)), T((6, 4, 3, 3), layout="channels_last"), None))
    yield Sample("convolution", (T((2, 4, 9)), T((6, 4, 3)), T((6,))), {"padding": 1})
    yield Sample("convolution", (T((1, 2, 5, 6, 7)), T((3, 2, 2, 2, 2)), None))
    yield Sample("convolution", (T((2, 3, 7, 8)), T((6, 4, 3, 3)), None))
    yield Sample("convolution", (T((2, 4, 2, 2)), T((6, 4, 3, 3)), None))
    yield Sample("conv_transpose", (T((2, 4, 9)), T((4, 3, 3)), T((6,))), {"groups": 2, "dilation": 2})
    for of in ("input", "weight"):
        for layout in ("contiguous", "channels_last"):
            g, x = T((2, 6, 4, 4)), T((2, 4, 7, 8), layout=layout)
            yield Sample("convolution_backward", (g, x, T((6, 4, 3, 3))), {"of": of, "stride": 2, "padding": 1})
            yield Sample(
                "convolution_backward", (g, x, T((6, 4, 3, 3), layout=layout)), {"of": of, "stride": 2, "padding": 1}
            )
        yield Sample("convolution_backward", (T((2, 6, 7)), T((2, 4, 9)), T((6, 2, 3))), {"of": of, "groups": 2})
        yield Sample("convolution_backward", (T((2, 6, 7)), T((2, 4, 9)), T((6, 4, 3))), {"of": of, "groups": 2})
        yield Sample(
            "convolution_backward", (T((2, 6, 5, 5)), T((2, 4, 3, 3)), T((4, 6, 3, 3))), {"of": of, "transposed": True}
        )


def _sorting() -> Iterator[Sample]:
    for t in (T((3, 5)), T((3, 5), layout="transposed"), T((3, 5), i64)):
        for dim in (0, -1):
            yield Sample("sort", (t,), {"dim": dim, "stable": True})
            yield Sample("argsort", (t,), {"dim": dim, "descending": True})
            yield Sample("topk", (t,), {"k": 2, "dim": dim})
            yield Sample("kthvalue", (t,), {"k": 2, "dim": dim})
            yield Sample("median", (t,), {"dim": dim})
            yield Sample("cummax", (t,), {"dim": dim})
            yield Sample("cummin", (t,), {"dim": dim})
        yield Sample("median_all", (t,))
    yield Sample("topk", (T((3, 5)),), {"k": 9})
    yield Sample("logcumsumexp", (T((3, 5)),), {"dim": 1})
    yield Sample("searchsorted", (T((5,)), T((2, 3))))
    yield Sample("searchsorted", (T((2, 5)), T((2, 3))), {"out_int32": True})


def _random() -> Iterator[Sample]:
    for name in ("rand", "randn"):
        yield Sample(name, (), {"shape": (2, 3)})
        yield Sample(name, (), {"shape": (2, 3), "dtype": "bfloat16"})
    yield Sample("randint", (), {"high": 5, "shape": (3,)})
    yield Sample("randint", (), {"low": 5, "high": 5, "shape": (3,)})
    yield Sample("randperm", (), {"n": 6})
    yield Sample("randn_like", (T((3, 4), layout="transposed"),))
    yield Sample("bernoulli", (T((3, 4), layout="transposed", values="probability"),))
    yield Sample("dropout", (T((3, 4), layout="transposed"),), {"p": 0.25})
    yield Sample("dropout", (T((3, 4)),), {"p": 1.5})
    yield Sample(
        "dropout_noise", (), {"shape": (3, 4), "stride": (1, 3), "dtype": "float32", "device": "cpu", "p": 0.25}
    )
    yield Sample("multinomial", (T((2, 4), values="positive"),), {"num_samples": 2})
