"""Every mapped torch function, method and operator against eager: one line each."""

from __future__ import annotations

import operator

import pytest
import torch
import torch.nn.functional as F
from torch_checks import check, randn

import quern

X, Y = randn(3, 4), randn(3, 4, seed=1)
POS = X.abs() + 0.1
UNIT = X.sigmoid()
INT = torch.tensor([[5, -3, 2], [0, 7, -8]])
INT2 = torch.tensor([[2, 2, 3], [1, 3, 5]])
BOOL = X > 0
IMAGE = randn(2, 3, 8, 8)
SIGNAL = randn(2, 3, 12)


def _cases():
    unary = (
        "exp exp2 expm1 sin cos tan asinh sinh cosh tanh atan erf erfc sigmoid neg abs sign floor ceil trunc frac round "
        "square isnan isinf isfinite signbit logical_not deg2rad rad2deg positive sinc"
    )
    for name in unary.split():
        yield name, getattr(torch, name), (X,)
        yield f"Tensor.{name}", lambda x, name=name: getattr(x, name)(), (X,)
    for name in "log log2 log10 log1p sqrt rsqrt reciprocal lgamma acosh".split():
        yield name, getattr(torch, name), (POS + 1,)
    for name in "asin acos atanh erfinv logit".split():
        yield name, getattr(torch, name), (UNIT * 0.9 + 0.05,)
    binary = (
        "add sub mul div maximum minimum fmax fmin atan2 hypot copysign nextafter heaviside fmod remainder floor_divide eq ne "
        "lt le gt ge logical_and logical_or logical_xor logaddexp logaddexp2 true_divide multiply subtract"
    )
    for name in binary.split():
        yield name, getattr(torch, name), (X, Y)
        yield f"{name} broadcast", getattr(torch, name), (X, Y[:1])
    for name in "bitwise_and bitwise_or bitwise_xor gcd lcm".split():
        yield name, getattr(torch, name), (INT, INT2)
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        yield name, getattr(torch, name), (INT.abs(), INT2)
    for op in "add sub mul truediv floordiv mod pow lt le gt ge eq ne".split():
        fn = getattr(operator, op)
        yield f"x {op} y", fn, (POS, Y.abs() + 0.5)
        yield f"x {op} 2.5", lambda x, fn=fn: fn(x, 2.5), (POS,)
        yield f"x {op} 2", lambda x, fn=fn: fn(x, 2), (POS,)
        yield f"2.5 {op} x", lambda x, fn=fn: fn(2.5, x), (POS,)
        yield f"int {op} 2", lambda x, fn=fn: fn(x, 2), (INT,)
        yield f"int {op} 2.5", lambda x, fn=fn: fn(x, 2.5), (INT,)
    for op in "and_ or_ xor lshift rshift".split():
        fn = getattr(operator, op)
        yield f"x {op} y", fn, (INT.abs(), INT2)
        yield f"x {op} 1", lambda x, fn=fn: fn(x, 1), (INT.abs(),)
    yield "matmul operator", operator.matmul, (X, Y.t())
    yield "invert", operator.invert, (INT,)
    yield "invert bool", operator.invert, (BOOL,)
    yield "neg", operator.neg, (X,)
    yield "abs", abs, (X,)
    yield "round decimals", lambda x: torch.round(x, decimals=2), (X,)
    yield "add alpha", lambda x, y: torch.add(x, y, alpha=0.5), (X, Y)
    yield "sub alpha", lambda x, y: x.sub(y, alpha=2), (X, Y)
    yield "rsub", lambda x: torch.rsub(x, 1.5), (X,)
    yield "div floor", lambda x, y: torch.div(x, y, rounding_mode="floor"), (X, Y)
    yield "div trunc", lambda x, y: x.div(y, rounding_mode="trunc"), (X, Y)
    yield "pow 2", lambda x: x**2, (X,)
    yield "pow tensor", torch.pow, (POS, Y)
    yield "clamp", lambda x: x.clamp(-0.5, 0.5), (X,)
    yield "clamp min", lambda x: torch.clamp(x, min=0.1), (X,)
    yield "clamp tensor", lambda x, y: x.clamp(max=y), (X, Y)
    yield "clamp int", lambda x: x.clamp(0, 3), (INT,)
    yield "clamp_min", lambda x: x.clamp_min(0.0), (X,)
    yield "where", torch.where, (BOOL, X, Y)
    yield "where number", lambda c, x: torch.where(c, x, 0.0), (BOOL, X)
    yield "Tensor.where", lambda x, c, y: x.where(c, y), (X, BOOL, Y)
    yield "masked_fill", lambda x, m: x.masked_fill(m, -1e9), (X, BOOL)
    yield "masked_fill tensor", lambda x, m: x.masked_fill(m, torch.tensor(2.0)), (X, BOOL)
    yield "lerp", lambda x, y: torch.lerp(x, y, 0.3), (X, Y)
    yield "lerp tensor", torch.lerp, (X, Y, UNIT)
    yield "addcmul", lambda x, y, z: torch.addcmul(x, y, z, value=0.5), (X, Y, POS)
    yield "addcdiv", lambda x, y, z: torch.addcdiv(x, y, z, value=0.5), (X, Y, POS)
    yield "isclose", lambda x, y: torch.isclose(x, y, rtol=0.5), (X, Y)
    yield "nan_to_num", lambda x: torch.nan_to_num(x / 0), (torch.tensor([-1.0, 0.0, 1.0]),)
    yield "prelu", lambda x: F.prelu(x, torch.tensor([0.2])), (X,)
    yield "glu", F.glu, (X,)
    yield "cross", lambda x, y: torch.linalg.cross(x, y), (X[:, :3], Y[:, :3])
    # reductions
    for name in "sum mean prod amax amin argmax argmin std var norm any all".split():
        yield f"{name} all", lambda x, name=name: getattr(x, name)(), (X,)
        if name != "norm":
            yield f"{name} dim", lambda x, name=name: getattr(torch, name)(x, dim=1), (X,)
            yield f"{name} keepdim", lambda x, name=name: getattr(x, name)(dim=0, keepdim=True), (X,)
    for name in "sum mean amax amin std var logsumexp".split():
        yield f"{name} dims", lambda x, name=name: getattr(x, name)((0, 2)), (IMAGE,)
    yield "sum dtype", lambda x: x.sum(dtype=torch.float64), (X,)
    yield "sum int", torch.sum, (INT,)
    yield "sum bool", torch.sum, (BOOL,)
    yield "mean axis", lambda x: x.mean(axis=-1), (X,)
    yield "var unbiased", lambda x: x.var(-1, unbiased=False), (X,)
    yield "var correction", lambda x: torch.var(x, dim=1, correction=0, keepdim=True), (X,)
    yield "var_mean", lambda x: torch.var_mean(x, 1), (X,)
    yield "std_mean", lambda x: torch.std_mean(x, dim=0, keepdim=True), (X,)
    yield "max dim", lambda x: torch.max(x, 1), (X,)
    yield "min dim fields", lambda x: (x.min(0).values, x.min(0).indices), (X,)
    yield "max unpack", lambda x: [*x.max(dim=1)], (X,)
    yield "max pair", torch.max, (X, Y)
    yield "aminmax", lambda x: tuple(torch.aminmax(x)), (X,)
    yield "count_nonzero", lambda x: torch.count_nonzero(x, dim=1), (INT,)
    yield "cumsum", lambda x: x.cumsum(1), (X,)
    yield "cumsum int", lambda x: x.cumsum(-1), (BOOL,)
    yield "cumprod", lambda x: torch.cumprod(x, 0), (X,)
    yield "cummax", lambda x: torch.cummax(x, 1).values, (X,)
    yield "logsumexp", lambda x: torch.logsumexp(x, 1), (X,)
    yield "vector_norm", lambda x: torch.linalg.vector_norm(x, 3, dim=1), (X,)
    yield "linalg.norm", lambda x: torch.linalg.norm(x, dim=-1), (X,)
    yield "norm p", lambda x: x.norm(p=1, dim=0, keepdim=True), (X,)
    yield "normalize", F.normalize, (X,)
    yield "dist", torch.dist, (X, Y)
    yield "cosine_similarity", F.cosine_similarity, (X, Y)
    yield "sort", lambda x: tuple(x.sort(descending=True)), (X,)
    yield "argsort", lambda x: x.argsort(dim=0), (X,)
    yield "topk", lambda x: torch.topk(x, 2), (X,)
    yield "median", lambda x: x.median(), (X,)
    yield "kthvalue", lambda x: torch.kthvalue(x, 2, dim=1).values, (X,)
    # shapes
    yield "reshape", lambda x: x.reshape(4, 3), (X,)
    yield "reshape copy", lambda x: x.t().reshape(-1), (X,)
    yield "view", lambda x: x.view(2, -1), (X,)
    yield "view size", lambda x, y: x.view(y.size()), (X, Y.view(4, 3))
    yield "view_as", lambda x, y: x.view_as(y), (X, Y.view(2, 6))
    yield "flatten", lambda x: x.flatten(1), (IMAGE,)
    yield "flatten same", lambda x: x.flatten(0, 0), (X,)
    yield "ravel", lambda x: x.t().ravel(), (X,)
    yield "unflatten", lambda x: x.unflatten(1, (2, 2)), (X,)
    yield "permute", lambda x: x.permute(0, 2, 3, 1), (IMAGE,)
    yield "permute tuple", lambda x: torch.permute(x, (3, 1, 0, 2)), (IMAGE,)
    yield "transpose", lambda x: x.transpose(-1, -2), (IMAGE,)
    yield "t", lambda x: x.t(), (X,)
    yield "T", lambda x: x.T, (X,)
    yield "mT", lambda x: x.mT, (IMAGE,)
    yield "swapaxes", lambda x: x.swapaxes(0, 1), (X,)
    yield "movedim", lambda x: x.movedim(1, -1), (IMAGE,)
    yield "movedim many", lambda x: torch.movedim(x, (0, 1), (2, 0)), (IMAGE,)
    yield "squeeze", lambda x: x[:1].squeeze(), (X,)
    yield "squeeze dim", lambda x: x[:1].squeeze(0), (X,)
    yield "unsqueeze", lambda x: x.unsqueeze(1), (X,)
    yield "expand", lambda x: x.unsqueeze(0).expand(2, -1, -1), (X,)
    yield "expand_as", lambda x, y: x[:1].expand_as(y), (X, Y)
    yield "broadcast_to", lambda x: torch.broadcast_to(x, (2, 3, 4)), (X,)
    yield "broadcast_tensors", lambda x, y: torch.broadcast_tensors(x, y), (X, Y[:1])
    yield "narrow", lambda x: x.narrow(1, 1, 2), (X,)
    yield "select", lambda x: x.select(1, -1), (X,)
    yield "diagonal", lambda x: x.diagonal(1), (X,)
    yield "unfold", lambda x: x.unfold(1, 2, 1), (X,)
    yield "diag_embed", lambda x: torch.diag_embed(x, offset=1), (X,)
    yield "diag", lambda x: (torch.diag(x[0]), x.diag(1)), (X,)
    yield "trace", torch.trace, (X,)
    yield "split", lambda x: x.split(3, dim=1), (X,)
    yield "split sizes", lambda x: torch.split(x, [1, 3], 1), (X,)
    yield "chunk", lambda x: x.chunk(2, -1), (X,)
    yield "tensor_split", lambda x: x.tensor_split(3, dim=1), (X,)
    yield "unbind", lambda x: x.unbind(1), (X,)
    yield "iterate", lambda x: [r * 2 for r in x], (X,)
    yield "contiguous", lambda x: x.t().contiguous(), (X,)
    yield "contiguous same", lambda x: x.contiguous(), (X,)
    yield "channels_last", lambda x: x.contiguous(memory_format=torch.channels_last), (IMAGE,)
    yield "clone", lambda x: x.t().clone(), (X,)
    yield "detach", lambda x: x.detach(), (X,)
    yield "cat", lambda x, y: torch.cat([x, y], 1), (X, Y)
    yield "cat promote", lambda x, y: torch.cat((x, y)), (X[:, :3], INT)
    yield "stack", lambda x, y: torch.stack((x, y), dim=-1), (X, Y)
    yield "hstack", lambda x, y: torch.hstack((x, y)), (X, Y)
    yield "vstack", lambda x, y: torch.vstack((x, y)), (X[0], Y[0])
    yield "repeat", lambda x: x.repeat(2, 1, 3), (X,)
    yield "tile", lambda x: x.tile(2), (X,)
    yield "repeat_interleave", lambda x: x.repeat_interleave(2, dim=0), (X,)
    yield "flip", lambda x: x.flip(0, 1), (X,)
    yield "roll", lambda x: x.roll(1, 0), (X,)
    yield "meshgrid", lambda x, y: torch.meshgrid(x[0], y[0], indexing="ij"), (X, Y)
    yield "meshgrid xy", lambda x, y: torch.meshgrid(x[0], y[:, 0], indexing="xy"), (X, Y)
    yield "tril", lambda x: x.tril(1), (X,)
    yield "triu", lambda x: torch.triu(x, -1), (X,)
    yield "atleast", lambda x: torch.atleast_3d(x), (X,)
    yield "shape facts", lambda x: (x.shape, x.size(), x.size(1), x.dim(), x.ndim, x.numel(), len(x), x.stride()), (X,)
    yield "dtype facts", lambda x: (x.dtype, x.is_floating_point(), x.device, x.element_size(), x.is_contiguous()), (X,)
    yield "size arithmetic", lambda x: x.new_zeros(x.shape[:-1] + (7,)), (X,)
    # conversion
    for name in "float double half bfloat16 int long bool short".split():
        yield f"to {name}", lambda x, name=name: getattr(x, name)(), (X * 3,)
    yield "to dtype", lambda x: x.to(torch.float64), (X,)
    yield "to same", lambda x: x.to(torch.float32), (X,)
    yield "to device", lambda x: x.to("cpu"), (X,)
    yield "to other", lambda x, y: x.to(y), (X, INT)
    yield "type_as", lambda x, y: x.type_as(y), (X, INT)
    yield "to copy", lambda x: x.to(torch.float32, copy=True), (X,)
    yield "type", lambda x: (x.type(), x.type(torch.int32)), (X,)
    # indexing
    for label, key in (
        ("int", 1), ("negative", -1), ("slice", slice(1, None)), ("step", slice(None, None, 2)), ("none", None),
        ("dots", (..., 1)), ("mixed", (slice(None), 1, None, slice(0, 2))), ("full", slice(None)), ("list", [0, 2]),
        ("two lists", ([0, 1], [1, 2])), ("slice and list", (slice(None), [1, 0])),
    ):  # fmt: skip
        yield f"x[{label}]", lambda x, key=key: x[key], (X if label != "mixed" else IMAGE,)
    yield "x[tensor]", lambda x, i: x[i], (X, torch.tensor([2, 0]))
    yield "x[:, tensor]", lambda x, i: x[:, i], (X, torch.tensor([2, 0]))
    yield "x[tensor, tensor]", lambda x, i, j: x[i, j], (X, torch.tensor([2, 0]), torch.tensor([1, 1]))
    yield "x[0-dim tensor]", lambda x, i: x[i] * 1, (X, torch.tensor(2))
    yield "x[0-dim tensor, :, tensor]", lambda x, i, j: x[i, :, j] * 1, (IMAGE, torch.tensor(1), torch.tensor([1, 0]))
    yield "gather", lambda x, i: x.gather(1, i), (X, torch.tensor([[0, 1], [2, 3], [1, 1]]))
    yield "take_along_dim", lambda x, i: torch.take_along_dim(x, i, 1), (X, torch.tensor([[0], [2], [1]]))
    yield "index_select", lambda x, i: x.index_select(1, i), (X, torch.tensor([3, 0]))
    yield "scatter", lambda x, i, s: x.scatter(1, i, s), (X, torch.tensor([[0], [2], [1]]), Y)
    yield "scatter value", lambda x, i: x.scatter(1, i, 5.0), (X, torch.tensor([[0], [2], [1]]))
    yield "scatter_add", lambda x, i, s: x.scatter_add(0, i, s), (X, torch.tensor([[0, 0, 1, 2]]), Y)
    yield "index_add", lambda x, i, s: x.index_add(0, i, s), (X, torch.tensor([0, 0]), Y[:2])
    yield "index_copy", lambda x, i, s: x.index_copy(0, i, s), (X, torch.tensor([2, 0]), Y[:2])
    yield "index_fill", lambda x, i: x.index_fill(1, i, 9.0), (X, torch.tensor([2, 0]))
    yield "searchsorted", torch.searchsorted, (torch.tensor([0.0, 1.0, 2.0]), POS)
    # creation
    yield "zeros", lambda: torch.zeros(2, 3), ()
    yield "ones dtype", lambda: torch.ones((2, 3), dtype=torch.int32), ()
    yield "full", lambda: torch.full((2,), 7), ()
    yield "zeros_like", lambda x: torch.zeros_like(x), (X.t(),)
    yield "ones_like dtype", lambda x: torch.ones_like(x, dtype=torch.bool), (X,)
    yield "full_like", lambda x: torch.full_like(x, 2.5), (X,)
    yield "new_full", lambda x: x.new_full((2, 2), 3.0), (X,)
    yield "new_tensor", lambda x: x.new_tensor([1, 2]), (X,)
    yield "arange", lambda: torch.arange(5), ()
    yield "arange float", lambda: torch.arange(0.0, 1.0, 0.25), ()
    yield "arange dtype", lambda x: torch.arange(x.shape[1], dtype=torch.float32, device=x.device), (X,)
    yield "linspace", lambda: torch.linspace(0, 1, 5), ()
    yield "eye", lambda: torch.eye(3), ()
    yield "tensor", lambda: torch.tensor([[1.0, 2.0], [3.0, 4.0]]), ()
    yield "tensor scalar", lambda: torch.tensor(3), ()
    yield "tensor dtype", lambda: torch.tensor([1, 0], dtype=torch.bool), ()
    yield "as_tensor", lambda x: torch.as_tensor(x), (X,)
    yield "finfo", lambda x: x + torch.finfo(x.dtype).eps, (X,)
    yield "iinfo", lambda x: x + torch.iinfo(torch.int8).max, (INT,)
    # networks
    for name in "relu relu6 leaky_relu elu selu celu gelu silu mish softplus hardsigmoid hardswish logsigmoid softsign tanhshrink".split():
        yield f"F.{name}", getattr(F, name), (X,)
    yield "F.softshrink", lambda x: F.softshrink(x, 0.3), (X,)
    yield "F.hardshrink", F.hardshrink, (X,)
    yield "F.hardtanh", lambda x: F.hardtanh(x, -0.5, 0.7), (X,)
    yield "F.threshold", lambda x: F.threshold(x, 0.1, 20.0), (X,)
    yield "F.gelu tanh", lambda x: F.gelu(x, approximate="tanh"), (X,)
    yield "F.relu inplace", lambda x: F.relu(x, inplace=True), (X,)
    yield "F.softmax", lambda x: F.softmax(x, dim=-1), (X,)
    yield "F.softmax dtype", lambda x: F.softmax(x, dim=0, dtype=torch.float64), (X,)
    yield "F.log_softmax", lambda x: x.log_softmax(1), (X,)
    yield "F.linear", F.linear, (X, randn(5, 4), randn(5))
    yield "matmul", torch.matmul, (IMAGE, randn(8, 5))
    yield "mm", torch.mm, (X, Y.t())
    yield "bmm", torch.bmm, (SIGNAL, SIGNAL.transpose(1, 2))
    yield "mv", torch.mv, (X, Y[0])
    yield "dot", torch.dot, (X[0], Y[0])
    yield "outer", torch.outer, (X[0], Y[0])
    yield "addmm", lambda c, a, b: torch.addmm(c, a, b, beta=0.5, alpha=2), (randn(3, 3), X, Y.t())
    yield "baddbmm", torch.baddbmm, (randn(2, 3, 3), SIGNAL, SIGNAL.transpose(1, 2))
    yield "einsum", lambda x, y: torch.einsum("ij,kj->ik", x, y), (X, Y)
    yield "conv1d", F.conv1d, (SIGNAL, randn(4, 3, 3))
    yield "conv2d", lambda x, w, b: F.conv2d(x, w, b, stride=2, padding=1), (IMAGE, randn(4, 3, 3, 3), randn(4))
    yield "conv2d groups", lambda x, w: F.conv2d(x, w, groups=3, padding="same"), (IMAGE, randn(3, 1, 3, 3))
    yield "conv_transpose2d", lambda x, w: F.conv_transpose2d(x, w, stride=2), (IMAGE, randn(3, 4, 2, 2))
    yield "layer_norm", lambda x: F.layer_norm(x, (4,)), (X,)
    yield "layer_norm affine", lambda x, w, b: F.layer_norm(x, (8, 8), w, b, 1e-6), (IMAGE, randn(8, 8), randn(8, 8))
    yield "rms_norm", lambda x, w: F.rms_norm(x, (4,), w), (X, randn(4))
    yield "group_norm", lambda x: F.group_norm(x, 3), (IMAGE,)
    yield "instance_norm", lambda x: F.instance_norm(x), (IMAGE,)
    yield "batch_norm", lambda x, m, v: F.batch_norm(x, m, v), (IMAGE, randn(3), randn(3).abs())
    yield "batch_norm train", lambda x, m, v: F.batch_norm(x, m, v, training=True), (IMAGE, randn(3), randn(3).abs())
    yield "embedding", F.embedding, (INT2, randn(8, 4))
    yield "one_hot", lambda x: F.one_hot(x, 9), (INT2,)
    yield (
        "attention",
        F.scaled_dot_product_attention,
        (randn(2, 2, 5, 4), randn(2, 2, 5, 4, seed=1), randn(2, 2, 5, 4, seed=2)),
    )
    yield "attention causal", lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), (randn(2, 2, 5, 4),)
    yield "dropout eval", lambda x: F.dropout(x, 0.5, training=False), (X,)
    yield "dropout train", lambda x: F.dropout(x, 0.5, training=True), (X,)
    yield "max_pool2d", lambda x: F.max_pool2d(x, 2), (IMAGE,)
    yield "max_pool2d indices", lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True), (IMAGE,)
    yield "avg_pool2d", lambda x: F.avg_pool2d(x, 3, stride=2, padding=1), (IMAGE,)
    yield "adaptive_avg_pool2d", lambda x: F.adaptive_avg_pool2d(x, 1), (IMAGE,)
    yield "adaptive_avg_pool2d odd", lambda x: F.adaptive_avg_pool2d(x, (3, None)), (IMAGE,)
    yield "adaptive_max_pool2d", lambda x: F.adaptive_max_pool2d(x, 2), (IMAGE,)
    yield "max_pool1d", lambda x: F.max_pool1d(x, 3), (SIGNAL,)
    yield "avg_pool1d", lambda x: F.avg_pool1d(x, 2), (SIGNAL,)
    yield "interpolate nearest", lambda x: F.interpolate(x, scale_factor=2), (IMAGE,)
    yield "interpolate size", lambda x: F.interpolate(x, size=(5, 6), mode="bilinear", align_corners=False), (IMAGE,)
    yield "interpolate bicubic", lambda x: F.interpolate(x, size=(5, 6), mode="bicubic"), (IMAGE,)
    yield "pad", lambda x: F.pad(x, (1, 2)), (X,)
    yield "pad value", lambda x: F.pad(x, (0, 1, 1, 0), value=3.0), (X,)
    yield "pad reflect", lambda x: F.pad(x, (1, 1, 2, 2), mode="reflect"), (IMAGE,)
    yield "pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), (randn(1, 8, 3, 3),)
    yield "pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), (randn(1, 2, 4, 4),)
    yield "unfold layer", lambda x: F.unfold(x, 3), (IMAGE,)
    yield "mse_loss", F.mse_loss, (X, Y)
    yield "l1_loss", lambda x, y: F.l1_loss(x, y, reduction="sum"), (X, Y)
    yield "smooth_l1", F.smooth_l1_loss, (X, Y)
    yield "huber", F.huber_loss, (X, Y)
    yield "bce", F.binary_cross_entropy, (UNIT, Y.sigmoid())
    yield "bce logits", F.binary_cross_entropy_with_logits, (X, Y.sigmoid())
    yield "kl_div", lambda x, y: F.kl_div(x, y, reduction="batchmean"), (X, UNIT)
    yield "cross_entropy", F.cross_entropy, (X, torch.tensor([0, 3, 1]))
    yield "nll_loss", lambda x, t: F.nll_loss(x, t), (X, torch.tensor([0, 3, 1]))
    # left to the framework
    yield "digamma", torch.digamma, (POS,)
    yield "special.i0e", torch.special.i0e, (X,)
    yield "linalg.inv", torch.linalg.inv, (randn(3, 3) + 3 * torch.eye(3),)
    yield "linalg.svd", lambda x: torch.linalg.svdvals(x), (X,)
    yield "cdist", lambda x, y: torch.cdist(x, y), (X, Y)
    yield "Tensor.renorm", lambda x: x.renorm(2, 0, 1.0), (X,)
    yield "fft", lambda x: torch.fft.rfft(x).real * 1, (X,)
    yield "complex product", lambda x, y: torch.view_as_real(torch.view_as_complex(x) * torch.view_as_complex(y)), (
        X.view(3, 2, 2), Y.view(3, 2, 2),
    )  # fmt: skip
    yield "polar", lambda x: torch.view_as_real(torch.polar(torch.ones_like(x), x)).flatten(1), (X,)
    yield "complex abs", lambda x: torch.fft.fft(x).abs(), (X,)
    yield "trapezoid", torch.trapezoid, (X,)
    yield "diff", torch.diff, (X,)
    yield "histc", lambda x: torch.histc(x, 5, -2, 2), (X,)
    yield "kron", torch.kron, (X, Y)
    yield "tensordot", lambda x, y: torch.tensordot(x, y, dims=([1], [1])), (X, Y)
    yield "bilinear", F.bilinear, (X, Y, randn(5, 4, 4))
    # random: the numbers of eager
    for name in ("rand", "randn"):
        yield f"torch.{name}", lambda name=name: getattr(torch, name)(2, 3), ()
        yield f"torch.{name}_like", lambda x, name=name: getattr(torch, f"{name}_like")(x), (X,)
    yield "randint", lambda: torch.randint(0, 10, (5,)), ()
    yield "randperm", lambda: torch.randperm(6), ()
    yield "bernoulli", torch.bernoulli, (UNIT,)
    yield "multinomial", lambda x: torch.multinomial(x, 2), (UNIT,)
    yield "random order", lambda: (torch.rand(2), torch.randn(2), torch.rand(2)), ()


CASES = list(_cases())


@pytest.mark.parametrize(("label", "fn", "args"), CASES, ids=[c[0] for c in CASES])
def test_function(label, fn, args):
    check(fn, *args)


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("n", [4, 5])
def test_shifts_of_what_is_reversed(n, dynamic):
    def f(a):
        return (
            a.roll(1, -1).flip(0),
            a.flip(0).roll(2),
            a.roll(-1, 0).flip(0)[1:],
            a.flip(0).roll(1).flip(0),
            a.roll(3).flip(0).reshape(-1, 1),
        )

    a = torch.arange(n)
    for found, expected in zip(quern.compile(f, dynamic=dynamic)(a), f(a)):
        assert torch.equal(found, expected)


PYTHON_TYPES = {
    "to": lambda x, t: x.to(t),
    "to, by name": lambda x, t: x.to(dtype=t),
    "to, behind a device": lambda x, t: x.to("cpu", t),
    "sum": lambda x, t: x.sum(dtype=t),
    "zeros": lambda x, t: torch.zeros(2, dtype=t),
    "tensor": lambda x, t: torch.tensor([1, 2], dtype=t),
    "new_full": lambda x, t: x.new_full((2,), 3, dtype=t),
    "full_like": lambda x, t: torch.full_like(x, 1, dtype=t),
}


@pytest.mark.parametrize("kind", [float, int, bool, complex])
@pytest.mark.parametrize("call", PYTHON_TYPES.values(), ids=PYTHON_TYPES)
def test_pythons_types_stand_for_dtypes(call, kind):
    """A Python float has 64 bits, whatever the default dtype is."""
    x = torch.tensor([1.5, 0.0, -2.0])
    want, got = call(x, kind), quern.compile(call, fullgraph=True)(x, kind)
    assert got.dtype == want.dtype
    assert torch.equal(got, want)


def test_a_python_type_is_no_tensor_type():
    with pytest.raises(ValueError, match="invalid type: 'float'"):
        quern.compile(lambda x: x.type(float))(torch.ones(2))
