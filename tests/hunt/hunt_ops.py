"""The operator hunt: programs of torch operators over types, layouts, views, writes, changing sizes and special values."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from hunt_steps import ArraySpec, Settings
from torch_values import GROUND

import quern

# fmod and remainder by numbers of 2 and more: where the quotient overflows, eager's vectors give NaN and its single elements 0
POINTWISE = (
    "torch.sin({a})", "torch.exp({a})", "{a}.abs()", "torch.sigmoid({a})", "-{a}", "torch.tanh({a})", "{a}.sqrt()", "{a}.rsqrt()", "{a}.log()",
    "{a}.float()", "{a}.double()", "{a}.long()", "{a}.to(torch.int32)", "{a}.to(torch.int8)", "{a}.to(torch.uint8)", "{a} > 0", "{a}.half()", "{a}.bfloat16()",
    "{a}.bool()", "torch.relu({a})", "{a} * 2", "{a} + 1.5", "{a} // 2", "{a} % 3", "2 - {a}", "{a} / 3", "{a} ** 2", "{a} ** {i}", "{a} ** 0.5", "2 ** {a}",
    "{a}.clone()", "F.gelu({a})", "F.gelu({a}, approximate='tanh')", "F.silu({a})", "F.softplus({a})", "F.elu({a})", "F.leaky_relu({a}, 0.1)", "F.hardswish({a})", "F.logsigmoid({a})", "F.mish({a})",
    "torch.floor({a})", "torch.ceil({a})", "torch.round({a})", "torch.trunc({a})", "torch.frac({a})", "torch.round({a}, decimals={i})",
    "torch.where({a} > 0, {a}, 0)", "torch.zeros_like({a})", "torch.full_like({a}, {i})", "{a}.reciprocal()", "{a}.square()", "{a}.sign()", "{a}.sgn()",
    "torch.logical_not({a})", "torch.isnan({a})", "torch.isinf({a})", "torch.signbit({a})", "{a}.contiguous()", "{a}.masked_fill({a} > 1, 0)", "{a}.clamp(-1, {i})", "{a}.clamp(min={i})",
    "~{a}", "{a} << 1", "{a} >> 1", "{a}.erf()", "torch.expm1({a})", "torch.log1p({a})", "torch.atan({a})", "torch.sinh({a})", "{a}.nan_to_num()", "{a}.nan_to_num(1.0, posinf={i})",
    "{a} * n", "{a} + k", "{a} - n", "{a} * k + n", "{a} / n", "{a}.pow(k)", "torch.add({a}, {b}, alpha=n)", "{a}.clamp(max=k)", "torch.full_like({a}, k)", "{a}.fmod(k * 8)", "{a}.remainder(k * 8)",
    "{a} // n", "{a}.masked_fill({a} < k, n)", "torch.logit({a}, 0.1)", "torch.deg2rad({a})", "torch.heaviside({a}, {b})", "torch.special.entr({a})", "torch.xlogy({a}, {b})", "torch.sinc({a})",
    "torch.empty_like({a}).fill_({i})", "torch.ones_like({a}, dtype=torch.int16)", "{a}.type_as({b})", "{a}.new_zeros({a}.shape)", "{a}.new_full((2, 3), k)", "torch.threshold({a}, 0.5, -1)",
)  # fmt: skip
VIEWS = (
    "{a}.transpose(0, -1)", "{a}.flip(0)", "{a}.flip({d})", "{a}.unsqueeze({d})", "{a}.squeeze()", "{a}.squeeze({d})", "{a}.reshape(-1)", "{a}[..., :1]", "{a}[..., ::2]", "{a}[..., -1]",
    "{a}[1:]", "{a}[:-1]", "{a}[0]", "{a}[-1]", "{a}[None]", "{a}.flatten()", "{a}.expand(2, *{a}.shape)", "{a}.roll(1, 0)", "{a}.roll(n, {d})", "{a}.roll({i})", "{a}.repeat(2, *[1] * {a}.ndim)",
    "torch.cat([{a}, {b}])", "torch.cat([{a}, {a}], {d})", "torch.stack([{a}, {a}], {d})", "torch.stack([{a}, {b}])", "{a}.permute(*range({a}.ndim)[::-1])", "F.pad({a}, (1, 2))", "F.pad({a}, (-1, 1), value=k)",
    "F.pad({a}[None], (1, 1), mode='reflect')", "F.pad({a}[None], (1, 2), mode='circular')", "F.pad({a}[None], (2, 1), mode='replicate')", "{a}.unfold({d}, 2, 1)", "torch.tril({a}, {i})", "torch.triu({a})", "{a}.diagonal()",
    "torch.diag_embed({a})", "{a}.narrow({d}, 0, 1)", "{a}.narrow({d}, 1, 2)", "{a}.movedim(0, -1)", "torch.chunk({a}, 2, {d})[0]", "torch.split({a}, 2, {d})[-1]", "torch.unbind({a}, {d})[0]", "{a}.select({d}, 0)",
    "{a}.index_select({d}, torch.tensor([0, 0]))", "{a}.T", "{a}.mT", "{a}.view(-1)", "{a}.view({a}.shape)", "{a}.repeat_interleave(2, {d})", "torch.rot90({a}, n, (0, 1))", "torch.rot90({a})", "{a}.unflatten(0, (1, -1))",
    "({a}.as_strided((2, 2), (1, 1)) if {a}.numel() > 2 else {a})", "({a}.as_strided((2, 2), (2, 1), 1) if {a}.numel() > 4 else {a})", "{a}[n:]", "{a}[:n]", "{a}[..., n:]", "{a}.broadcast_to(torch.broadcast_shapes({a}.shape, {b}.shape))", "{a}.expand_as({b})", "{a}.view(torch.int32)",
    "torch.tile({a}, (2,))", "{a}.contiguous(memory_format=torch.channels_last)", "{a}.to(memory_format=torch.channels_last)", "{a}.clone(memory_format=torch.contiguous_format)", "{a}.swapaxes({d}, 0)", "{a}.detach()",
    "torch.meshgrid({a}.reshape(-1), {b}.reshape(-1), indexing='ij')[0]", "{a}.ravel()", "torch.atleast_2d({a})", "torch.hstack([{a}, {b}])", "torch.vstack([{a}, {b}])", "F.pixel_shuffle({a}, 2)", "F.pixel_unshuffle({a}, 2)", "F.channel_shuffle({a}, 2)",
)  # fmt: skip
#: eager's median along a repeated dim gives what its memory happens to hold; of equal elements far from zero an instance norm shows
#: the last bit of their mean alone, many times larger
REDUCTIONS = (
    "{a}.sum()", "{a}.sum({d})", "{a}.sum(0, keepdim=True)", "{a}.mean({d})", "{a}.mean()", "{a}.amax({d})", "{a}.amin(0)", "{a}.argmax({d})", "{a}.argmin()", "{a}.any()", "{a}.all({d})", "{a}.softmax({d})",
    "{a}.log_softmax({d})", "{a}.cumsum({d})", "{a}.cumprod({d})", "{a}.cummax({d}).values", "{a}.cummin({d}).indices", "{a}.var({d})", "{a}.var({d}, correction={i})", "{a}.std()", "{a}.prod({d})", "{a}.prod()", "{a}.logsumexp({d})",
    "{a}.logcumsumexp({d})", "{a}.norm()", "{a}.norm(1, {d})", "torch.linalg.vector_norm({a}, math.inf, {d})", "{a}.max({d}).values", "{a}.min({d}).indices", "{a}.max()", "{a}.count_nonzero({d})", "{a}.count_nonzero()",
    "F.layer_norm({a}, {a}.shape[-1:])", "F.normalize({a}, dim={d})", "{a}.sort({d}).values", "{a}.sort({d}, descending=True).indices", "{a}.argsort(stable=True)", "{a}.topk(1, {d}).values", "{a}.sum({d}, dtype=torch.float64)", "{a}.median()",
    "{a}.contiguous().median({d}).values", "{a}.mode({d}).values", "{a}.kthvalue(1, {d}).values", "{a}.nansum({d})", "{a}.nanmean()", "{a}.aminmax().max", "torch.var_mean({a}, {d})[1]", "torch.diff({a}, dim={d})", "F.cosine_similarity({a}, {b}, {d})",
    "F.avg_pool1d({a}[None], 2)", "F.max_pool1d({a}[None], 2)", "F.avg_pool2d({a}, 2, 1)", "F.max_pool2d({a}, 2)", "F.adaptive_avg_pool2d({a}, 2)", "F.adaptive_max_pool2d({a}, (2, 1))", "F.interpolate({a}, scale_factor=2)", "F.interpolate({a}, size=(3, 5), mode='bilinear')",
    "F.interpolate({a}, scale_factor=1.5, mode='nearest-exact')", "F.interpolate({a}, size=(4, 3), mode='bicubic', align_corners=True)", "F.instance_norm({a}.clamp(-9, 9))", "F.group_norm({a}, 1)", "F.batch_norm({a}, {a}.mean((0, 2, 3)), {a}.var((0, 2, 3)))", "F.rms_norm({a}, {a}.shape[-1:])",
    "F.glu({a}, {d})", "F.one_hot({a}.long().abs() % 4)", "torch.bincount({a}.long().abs().reshape(-1) % 5, minlength=6)", "torch.trace({a})", "F.local_response_norm({a}, 2)", "F.lp_pool2d({a}, 2, 2)", "torch.histc({a}, 4, -1, 1)",
)  # fmt: skip
#: a cross product of vectors that are parallel is what eager's fused product and difference round it to: never one with itself
BINARY = (
    "{a} + {b}", "{a} - {b}", "{a} * {b}", "{a} / {b}", "{a} // {b}", "{a} % {b}", "torch.fmod({a}, {b})", "{a} ** {b}", "torch.maximum({a}, {b})", "torch.minimum({a}, {b})", "{a} < {b}", "{a} == {b}", "{a} != {b}", "{a} >= {b}",
    "torch.where({a} > 0, {a}, {b})", "torch.where({c} > 0, {a}, {b})", "{a} @ {b}.transpose(-1, -2)", "torch.lerp({a}, {b}, 0.5)", "torch.fmin({a}, {b})", "torch.fmax({a}, {b})", "{a} & ({b} > 0)", "{a} | {b}", "{a} ^ {b}", "torch.atan2({a}, {b})",
    "torch.hypot({a}, {b})", "torch.addcmul({a}, {b}, {c})", "torch.addcdiv({a}, {b}, {c}, value=k)", "torch.remainder({a}, {b}.abs() + 1)", "torch.add({a}, {b}, alpha=2)", "torch.sub({a}, {b}, alpha=k)", "torch.logical_and({a}, {b})", "torch.logical_xor({a}, {b})",
    "torch.copysign({a}, {b})", "torch.nextafter({a}, {b})", "{a} @ {b}", "torch.outer({a}.reshape(-1), {b}.reshape(-1))", "torch.bmm({a}, {b})", "torch.einsum('...i,...i->...', {a}, {b})", "torch.floor_divide({a}, {b})", "torch.div({a}, {b}, rounding_mode='trunc')",
    "torch.div({a}, {b}, rounding_mode='floor')", "torch.gcd({a}, {b})", "torch.logaddexp({a}, {b})", "torch.isclose({a}, {b})", "torch.dist({a}, {b})", "torch.cdist({a}, {b})", "F.linear({a}, {b})", "F.mse_loss({a}, {b})", "F.l1_loss({a}, {b}, reduction='none')", "F.smooth_l1_loss({a}, {b})",
    "F.cross_entropy({a}, {b}.argmax(-1))", "F.binary_cross_entropy_with_logits({a}, {b})", "F.kl_div({a}, {b}, reduction='sum')", "torch.bucketize({a}, {b}.reshape(-1).sort().values)", "torch.searchsorted({a}.sort().values, {b})", "torch.ldexp({a}, {b})", "{a}.bitwise_left_shift({b})", "torch.clamp({a}, {b}, {c})",
    "torch.cross({a}[..., :3], {b}[..., :3].flip(-1))", "torch.kron({a}, {b})", "torch.tensordot({a}, {b}, 1)", "torch.matmul({a}, {b}[..., None])", "F.embedding({a}.long().abs() % {b}.shape[0], {b})", "F.prelu({a}, {b})", "F.conv1d({a}, {b})", "F.conv2d({a}, {b}, padding=1)",
    "F.scaled_dot_product_attention({a}, {b}, {c})", "torch.addmm({a}, {b}, {c})", "torch.baddbmm({a}, {b}, {c})", "torch.dot({a}, {b})", "torch.mv({a}, {b})", "torch.isin({a}, {b})", "torch.inner({a}, {b})",
)  # fmt: skip
INDEXING = (
    "{a}[{b} > 0]", "{a}[{b}.long().abs() % {a}.shape[0]]", "{a}[torch.tensor([0, -1, 0])]", "{a}[..., torch.tensor([[0], [-1]])]", "{a}[torch.tensor([0, 0]), torch.tensor([0, -1])]", "{a}[:, torch.tensor([0, 0, -1])]", "{a}[torch.tensor(0)]", "{a}[torch.tensor([True] * {a}.shape[0])]",
    "{a}[0, ..., torch.tensor([0])]", "{a}[torch.tensor([0]), :, torch.tensor([-1])]", "{a}[None, torch.tensor([0, -1])]", "{a}[[0, -1]]", "{a}.gather({d}, torch.zeros_like({a}, dtype=torch.int64))", "{a}.gather({d}, {b}.long().abs() % {a}.shape[{d}])", "{a}.take(torch.tensor([0, -1]))",
    "torch.take_along_dim({a}, {a}.argsort({d}), {d})", "{a}.scatter({d}, torch.zeros_like({a}, dtype=torch.int64), {b})", "{a}.scatter_add({d}, {b}.long().abs() % {a}.shape[{d}], {b})", "{a}.scatter({d}, torch.zeros_like({a}, dtype=torch.int64), 3)", "{a}.index_add({d}, torch.tensor([0, 0]), {b})",
    "{a}.index_add(0, torch.tensor([0] * {b}.shape[0]), {b}, alpha=n)", "{a}.index_fill({d}, torch.tensor([0]), {i})", "{a}.index_copy(0, torch.tensor([0]), {b}[:1])", "{a}.masked_scatter({a} > 0, {b})", "{a}.masked_select({b} > 0)", "{a}.index_put((torch.tensor([0, 0]),), {b}, accumulate=True)", "{a}.index_put((torch.tensor([0, -1]),), {b}[0])",
    "{a}.scatter_reduce({d}, {b}.long().abs() % {a}.shape[{d}], {b}, 'amax')", "{a}.scatter_reduce({d}, {b}.long().abs() % {a}.shape[{d}], {b}, 'mean', include_self=False)", "torch.select_scatter({a}, {b}, {d}, 0)", "torch.slice_scatter({a}, {b}, {d}, 1)", "torch.diagonal_scatter({a}, {b})", "{a}.put(torch.tensor([0, 0]), torch.tensor([1, 2], dtype={a}.dtype), accumulate=True)",
    "{a}.nonzero()", "torch.unique({a})", "{a}.diff(prepend={b})", "torch.tril_indices(n + 2, 3)", "torch.arange(n, 5) * {a}.sum()", "torch.linspace(0, k, 4) + {a}.mean()", "torch.combinations({a}.reshape(-1)[:4])", "{a}.where({b} > 0, {c})",
)  # fmt: skip
WRITES = (
    "!{a}.add_({b})", "!{a}.mul_(2)", "!{a} += {b}", "!{a} *= k", "!{a}[...] = {b}", "!{a}[0] = {i}", "!{a}[..., -1] = k", "!{a}[{b} > 0] = {i}", "!{a}[1:] = {b}[:-1]", "!{a}[::2] -= 1", "!{a}.fill_({i})", "!{a}.fill_(k)", "!{a}.zero_()", "!{a}.copy_({b})",
    "!{a}.clamp_(-1, 1)", "!{a}.relu_()", "!{a}.neg_()", "!{a}.masked_fill_({a} < 0, {i})", "!{a}.index_add_(0, torch.tensor([0, 0]), {b}[:2])", "!{a}.scatter_({d}, torch.zeros_like({a}, dtype=torch.int64), {b})", "!{a}.scatter_add_({d}, torch.zeros_like({a}, dtype=torch.int64), {b})", "!{a}.index_copy_(0, torch.tensor([0]), {b}[:1])",
    "!{a}.index_fill_({d}, torch.tensor([0]), {i})", "!{a}[torch.tensor([0, 0])] += 1", "!{a}.index_put_((torch.tensor([0, 0]),), {b}, accumulate=True)", "!{a}.masked_scatter_({a} > 0, {b})", "!{a}.t_()", "!{a}.transpose_(0, -1)", "!{a}.squeeze_()", "!{a}.unsqueeze_(0)", "!{a}.diagonal().add_(1)",
    "!{a}.view(-1)[0] = {i}", "!{a}.T[0] = k", "!{a}.flip(0)[0] = 1", "!{a}[1:] = {a}[:-1]", "!{a}[1:] += {a}[:-1]", "!{a}[0], {a}[-1] = {a}[-1].clone(), {a}[0].clone()", "!torch.add({a}, {b}, out={a})", "!torch.mul({b}, 2, out={a})", "!torch.sum({b}, 0, out={a})", "!{a}.addcmul_({b}, {c})", "!{a}.lerp_({b}, k)",
    "!{a}.cumsum_({d})", "!{a}.sub_({b}, alpha=n)", "!{a}.div_({b})", "!{a}.pow_({i})", "!{a}.exp_()", "!{a}.sqrt_()", "!{a}.floor_()", "!{a}.logical_not_()", "!{a}.bitwise_and_(1)", "!{a}.remainder_(3)", "!{a}[n:] = 0", "!{a}[..., :n] = {i}", "!{a}.select({d}, 0).copy_({b}.select({d}, 0))",
    "!{a}.narrow({d}, 0, 1).mul_(3)", "!{a}.tril_()", "!{a}.triu_({i})", "!{a}.fill_diagonal_({i})", "!{a}.expand(2, *{a}.shape)[0].add_(1)", "!torch._foreach_add_([{a}, {b}], 1.0)", "!torch._foreach_mul_([{a}], [{b}])", "!F.relu({a}, inplace=True)", "!{a}.nan_to_num_()", "!{a}.put_(torch.tensor([0, 0]), torch.tensor([1, 2], dtype={a}.dtype), accumulate=True)",
)  # fmt: skip
#: functions whose results are each made of several terms
JOINS = re.compile(r"sum|mean|std|var|prod|norm|softmax|@|mm\(|matmul|linear|conv|einsum|dot|inner|dist|mv\(|cross|attention|loss|kl_div|similarity|avg_pool"
                   r"|lp_pool|interpolate|trace|index_add|scatter_add|'mean'|accumulate|lerp|addcmul|addcdiv|alpha| \* k \+ n")  # fmt: skip
#: functions that read the limits of their operands' type
TYPED = re.compile(r"nan_to_num|nextafter")
#: functions that eager computes by differences from a running mean, or by a quotient
LEAVING = re.compile(r"\bvar|\bstd|batch_norm|layer_norm|group_norm|instance_norm|// \{b|% \{b|fmod|remainder|floor")
#: the integers of the floats' sizes in bytes
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}
TEMPLATES = POINTWISE + VIEWS * 2 + REDUCTIONS + BINARY + INDEXING + WRITES * 2
DTYPES = ("float32", "float32", "float32", "float64", "int64", "int32", "bool", "float16", "bfloat16", "uint8", "int8", "int16", "complex64")  # fmt: skip
SHAPES = ((), (1,), (5,), (3, 4), (4, 1), (2, 3, 4), (1, 4), (17, 3), (2, 4, 3, 5), (1, 2, 4, 4), (0, 3), (33,), (4, 4), (2, 2, 2))  # fmt: skip


class TorchArrays:
    """torch tensors (see `hunt_steps.Arrays`)."""

    names = {"torch": torch, "F": torch.nn.functional, "math": math}
    refused = (RuntimeError, IndexError, TypeError, ValueError, NotImplementedError, ZeroDivisionError, AttributeError)
    parts = GROUND.parts
    joins = frozenset(t for t in TEMPLATES if JOINS.search(t))
    typed = frozenset(t for t in TEMPLATES if TYPED.search(t))
    leaving = frozenset(t for t in TEMPLATES if LEAVING.search(t))

    def make(self, spec: ArraySpec) -> torch.Tensor:
        return laid_out(spec, _values)

    def is_array(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor)

    def size(self, value: torch.Tensor) -> tuple[int, int]:
        return value.numel(), value.ndim

    def noise(self, seed: int) -> torch.Generator:
        return torch.Generator().manual_seed(seed)

    def is_float(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor) and (value.is_floating_point() or value.is_complex())

    def copy(self, value: torch.Tensor, wide: bool = False) -> torch.Tensor:
        wanted = torch.complex128 if value.is_complex() else torch.float64
        return value.to(wanted, copy=True) if wide and self.is_float(value) else value.clone()

    def floating(self, value: torch.Tensor) -> torch.Tensor:
        is_integer = not (value.dtype.is_floating_point or value.is_complex() or value.dtype == torch.bool)
        return value.double() if is_integer else value

    def cancelled(self, value: torch.Tensor, made: Any) -> Any:
        if not self.is_float(made) or made.shape != value.shape:
            return made
        return torch.where((made - value).abs() >= value.abs(), torch.zeros_like(made), made)

    def assign(self, value: torch.Tensor, made: Any) -> torch.Tensor:
        alike = self.is_float(made) and made.shape == value.shape and made.is_complex() == value.is_complex()
        return value.copy_(made) if alike and not _repeats(value) else value

    def unbounded(self, value: torch.Tensor) -> torch.Tensor:
        return torch.where(value.abs().square().isinf(), value * math.inf, value)

    def bounded(self, value: torch.Tensor) -> torch.Tensor:
        widest = value.dtype in (torch.float64, torch.complex128)
        return torch.where(value.abs().square().isinf(), torch.ones_like(value), value) if widest else value

    def disturb(self, value: torch.Tensor, rng: torch.Generator, negative: bool) -> torch.Tensor:
        if _repeats(value):
            return value
        # one way or the other, by different amounts, never left alone: what reads a result's bits must be seen to depend on its last one
        u = (1 - 2 * torch.randint(0, 2, value.shape, generator=rng)) * torch.randint(1, 3, value.shape, generator=rng)
        value.mul_((1 + torch.finfo(value.dtype).eps * u.double()).to(value.dtype))
        for part in (value.real, value.imag) if value.is_complex() else (value,):
            bits = part.view(BITS[part.element_size()])
            sign = torch.iinfo(bits.dtype).min
            bits.copy_(torch.where(part.isnan(), bits | sign if negative else bits & ~sign, bits))
        return value

    def share(self, one: torch.Tensor, other: torch.Tensor) -> bool:
        return one.untyped_storage()._cdata == other.untyped_storage()._cdata

    def lent(self, value: torch.Tensor) -> int:
        return 0  # views keep their memory

    def compile(self, function: Callable[..., Any], settings: Settings) -> Callable[..., Any]:
        quern.reset()
        return quern.compile(function, backend=settings.backend, dynamic=settings.dynamic)


def _repeats(value: torch.Tensor) -> bool:
    return any(n > 1 and s == 0 for n, s in zip(value.shape, value.stride()))


def laid_out(spec: ArraySpec, values: Callable[[ArraySpec, tuple[int, ...]], torch.Tensor]) -> torch.Tensor:
    """A tensor in the layout that was asked for, as far as its rank allows."""
    shape, layout = spec.shape, spec.layout
    if layout == "transposed" and shape:
        return values(spec, shape[::-1]).permute(tuple(range(len(shape)))[::-1])
    if layout == "sliced" and shape:
        return values(spec, (*shape[:-1], shape[-1] * 2))[..., ::2]
    if layout == "expanded" and len(shape) > 1:
        return values(spec, (1, *shape[1:])).expand(shape)
    if layout == "offset" and shape:
        return values(spec, (shape[0] + 1, *shape[1:]))[1:]
    if layout == "last" and len(shape) == 4:
        return values(spec, shape).contiguous(memory_format=torch.channels_last)
    return values(spec, shape)


def _values(spec: ArraySpec, shape: tuple[int, ...]) -> torch.Tensor:
    dtype = getattr(torch, spec.dtype)
    rng = torch.Generator().manual_seed(spec.seed)
    small = torch.randint(-8, 9, shape, generator=rng)
    if dtype == torch.bool:
        return small > 0
    made = (small.abs() if dtype == torch.uint8 else small).to(dtype)
    floating = dtype.is_floating_point or dtype.is_complex
    if floating:
        made = made * 0.5 + torch.rand(shape, generator=rng).to(dtype) * (spec.seed % 2)
    if spec.special and made.numel():
        flat = made.reshape(-1)
        limits = torch.finfo(dtype) if floating else torch.iinfo(dtype)
        chosen = [limits.max, limits.min, 0, 1]
        if floating:
            chosen += [math.inf, -math.inf, math.nan, -0.0, limits.tiny, limits.eps]
        places = torch.randint(0, flat.numel(), (min(len(chosen), flat.numel()),), generator=rng)
        picks = torch.randint(0, len(chosen), places.shape, generator=rng)
        for place, pick in zip(places.tolist(), picks.tolist()):
            flat[place] = chosen[pick]
        made = flat.reshape(shape)
    return made
