"""Losses, pooling, resizing, padding, convolutions, and torch.nn.functional with its keywords."""

# ruff: noqa
# mypy: ignore-errors
import collections, copy, dataclasses, functools, pickle, typing, math
import torch
import torch.nn.functional as F
from torch_values import on_torch, randn
from torch import nn

program = on_torch(__name__)


def layer(make, *shapes, args=None, calls=2, name=None):
    def mk():
        torch.manual_seed(3)
        return make()

    mk.__name__ = name
    program.maker(mk, args=args or (lambda: tuple(randn(*s) for s in shapes)), calls=calls)


I = lambda hi, *s: torch.randint(0, hi, s)
losses = dict(
    l1=(lambda: nn.L1Loss(), lambda: (randn(3, 4), randn(3, 4))),
    mse=(lambda: nn.MSELoss(reduction="sum"), lambda: (randn(3, 4), randn(3, 4))),
    ce=(lambda: nn.CrossEntropyLoss(label_smoothing=0.1), lambda: (randn(3, 4), I(4, 3))),
    cew=(
        lambda: nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2, 3, 4]), ignore_index=1, reduction="none"),
        lambda: (randn(3, 4, 2), I(4, 3, 2)),
    ),
    cep=(lambda: nn.CrossEntropyLoss(), lambda: (randn(3, 4), torch.rand(3, 4))),
    nll=(lambda: nn.NLLLoss(), lambda: (randn(3, 4), I(4, 3))),
    nll2=(lambda: nn.NLLLoss(ignore_index=0, reduction="sum"), lambda: (randn(2, 4, 3, 3), I(4, 2, 3, 3))),
    pnll=(lambda: nn.PoissonNLLLoss(full=True), lambda: (randn(3), torch.rand(3) * 4)),
    gnll=(lambda: nn.GaussianNLLLoss(full=True), lambda: (randn(3, 2), randn(3, 2), torch.rand(3, 2))),
    kl=(lambda: nn.KLDivLoss(reduction="batchmean", log_target=True), lambda: (randn(3, 4), randn(3, 4))),
    kl2=(lambda: nn.KLDivLoss(), lambda: (randn(3, 4), torch.rand(3, 4))),
    bce=(lambda: nn.BCELoss(), lambda: (torch.rand(3), torch.rand(3))),
    bcel=(
        lambda: nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0]), weight=torch.tensor([0.5])),
        lambda: (randn(3, 1), torch.rand(3, 1)),
    ),
    mrl=(lambda: nn.MarginRankingLoss(0.2), lambda: (randn(3), randn(3), torch.tensor([1.0, -1, 1]))),
    hel=(lambda: nn.HingeEmbeddingLoss(), lambda: (randn(3), torch.tensor([1.0, -1, 1]))),
    mlml=(lambda: nn.MultiLabelMarginLoss(), lambda: (randn(1, 4), torch.tensor([[3, 0, -1, 1]]))),
    hub=(lambda: nn.HuberLoss(delta=0.5), lambda: (randn(3), randn(3))),
    sl1=(lambda: nn.SmoothL1Loss(beta=0.5), lambda: (randn(3), randn(3))),
    sl10=(lambda: nn.SmoothL1Loss(beta=0.0), lambda: (randn(3), randn(3))),
    sml=(lambda: nn.SoftMarginLoss(), lambda: (randn(3), torch.tensor([1.0, -1, 1]))),
    mlsm=(lambda: nn.MultiLabelSoftMarginLoss(), lambda: (randn(3, 4), I(2, 3, 4).float())),
    cel=(lambda: nn.CosineEmbeddingLoss(0.1), lambda: (randn(3, 4), randn(3, 4), torch.tensor([1.0, -1, 1]))),
    mml=(lambda: nn.MultiMarginLoss(p=2), lambda: (randn(3, 4), I(4, 3))),
    tml=(lambda: nn.TripletMarginLoss(swap=True), lambda: (randn(3, 4), randn(3, 4), randn(3, 4))),
    tmd=(
        lambda: nn.TripletMarginWithDistanceLoss(distance_function=lambda a, b: 1 - F.cosine_similarity(a, b)),
        lambda: (randn(3, 4), randn(3, 4), randn(3, 4)),
    ),
    ctc=(
        lambda: nn.CTCLoss(),
        lambda: (
            randn(6, 2, 5).log_softmax(2),
            torch.randint(1, 5, (2, 3)),
            torch.tensor([6, 6]),
            torch.tensor([3, 2]),
        ),
    ),
    ctc2=(
        lambda: nn.CTCLoss(zero_infinity=True, reduction="none"),
        lambda: (randn(6, 2, 5).log_softmax(2), torch.randint(1, 5, (2, 3)), (6, 5), (3, 2)),
    ),
    asm=(lambda: nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 6]), lambda: (randn(4, 6), I(10, 4))),
)
for k, (mk, a) in losses.items():
    layer(mk, args=a, name=f"loss_{k}")
L = dict(
    mp1=(lambda: nn.MaxPool1d(2, 1, 1), (2, 3, 6)),
    mp2=(lambda: nn.MaxPool2d(2, return_indices=True), (2, 3, 6, 6)),
    mp2c=(lambda: nn.MaxPool2d(3, 2, ceil_mode=True, dilation=1), (2, 3, 6, 6)),
    mp3=(lambda: nn.MaxPool3d(2), (1, 2, 4, 4, 4)),
    ap1=(lambda: nn.AvgPool1d(2), (2, 3, 6)),
    ap2=(lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False, ceil_mode=True), (2, 3, 6, 6)),
    ap2d=(lambda: nn.AvgPool2d(2, divisor_override=3), (2, 3, 6, 6)),
    ap3=(lambda: nn.AvgPool3d(2), (1, 2, 4, 4, 4)),
    lp1=(lambda: nn.LPPool1d(2, 3), (2, 3, 6)),
    lp2=(lambda: nn.LPPool2d(1.5, 2), (2, 3, 6, 6)),
    amp1=(lambda: nn.AdaptiveMaxPool1d(2), (2, 3, 5)),
    amp2=(lambda: nn.AdaptiveMaxPool2d((2, None), return_indices=True), (2, 3, 5, 6)),
    aap1=(lambda: nn.AdaptiveAvgPool1d(2), (2, 3, 5)),
    aap2=(lambda: nn.AdaptiveAvgPool2d((None, 2)), (2, 3, 5, 6)),
    aap3=(lambda: nn.AdaptiveAvgPool3d(1), (1, 2, 3, 4, 5)),
    amp3=(lambda: nn.AdaptiveMaxPool3d((1, 2, 2)), (1, 2, 3, 4, 5)),
    fmp=(lambda: nn.FractionalMaxPool2d(2, output_ratio=0.5), (1, 2, 6, 6)),
    up_n=(lambda: nn.Upsample(scale_factor=2), (1, 2, 3, 3)),
    up_b=(lambda: nn.Upsample(scale_factor=1.5, mode="bilinear"), (1, 2, 4, 4)),
    up_ba=(lambda: nn.Upsample(size=(5, 7), mode="bilinear", align_corners=True), (1, 2, 4, 4)),
    up_bc=(lambda: nn.Upsample(scale_factor=2, mode="bicubic"), (1, 2, 4, 4)),
    up_l=(lambda: nn.Upsample(scale_factor=2, mode="linear"), (1, 2, 4)),
    up_t=(lambda: nn.Upsample(size=4, mode="trilinear"), (1, 2, 3, 3, 3)),
    upn=(lambda: nn.UpsamplingNearest2d(scale_factor=2), (1, 2, 3, 3)),
    upb=(lambda: nn.UpsamplingBilinear2d(scale_factor=2), (1, 2, 3, 3)),
    up_ne=(lambda: nn.Upsample(size=(5, 5), mode="nearest-exact"), (1, 2, 3, 3)),
    ps=(lambda: nn.PixelShuffle(2), (1, 8, 3, 3)),
    pu=(lambda: nn.PixelUnshuffle(2), (1, 2, 4, 4)),
    cs=(lambda: nn.ChannelShuffle(2), (1, 4, 3, 3)),
    unf=(lambda: nn.Unfold((2, 3), 1, 1, 2), (1, 2, 5, 6)),
    fold=(lambda: nn.Fold((4, 5), (2, 2)), (1, 8, 12)),
    flat=(lambda: nn.Flatten(), (2, 3, 4)),
    unflat=(lambda: nn.Unflatten(1, (2, 2)), (3, 4)),
    ident=(lambda: nn.Identity(3, a=4), (2,)),
    cp1=(lambda: nn.ConstantPad1d((1, 2), 3.5), (2, 3, 4)),
    cp2=(lambda: nn.ConstantPad2d(1, 0.5), (1, 2, 3, 3)),
    zp=(lambda: nn.ZeroPad2d((1, -1, 2, 0)), (1, 2, 3, 3)),
    rp1=(lambda: nn.ReflectionPad1d(2), (1, 2, 4)),
    rp2=(lambda: nn.ReflectionPad2d((1, 2, 1, 0)), (1, 2, 3, 3)),
    rep2=(lambda: nn.ReplicationPad2d(2), (1, 2, 3, 3)),
    rep3=(lambda: nn.ReplicationPad3d(1), (1, 2, 3, 3, 3)),
    circ=(lambda: nn.CircularPad2d(1), (1, 2, 3, 3)),
    rp3=(lambda: nn.ReflectionPad3d(1), (1, 2, 3, 3, 3)),
    c1=(lambda: nn.Conv1d(3, 4, 3, padding="same", padding_mode="circular"), (2, 3, 6)),
    c2=(lambda: nn.Conv2d(3, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2), groups=3), (2, 3, 7, 7)),
    c2r=(lambda: nn.Conv2d(3, 6, 3, padding=1, padding_mode="reflect", bias=False), (2, 3, 7, 7)),
    c3=(lambda: nn.Conv3d(2, 3, 2), (1, 2, 4, 4, 4)),
    ct1=(lambda: nn.ConvTranspose1d(3, 4, 3, stride=2, output_padding=1), (2, 3, 6)),
    ct2=(lambda: nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2), (2, 4, 5, 5)),
    ct3=(lambda: nn.ConvTranspose3d(2, 3, 2), (1, 2, 3, 3, 3)),
    c2u=(lambda: nn.Conv2d(3, 6, 3), (3, 7, 7)),
    cval=(lambda: nn.Conv2d(3, 4, 3, padding="valid"), (1, 3, 5, 5)),
    bil=(lambda: nn.Bilinear(3, 4, 5), (2, 3), (2, 4)),
    cosim=(lambda: nn.CosineSimilarity(dim=0), (3, 4), (3, 4)),
    pd=(lambda: nn.PairwiseDistance(p=1, keepdim=True), (3, 4), (3, 4)),
    lin=(lambda: nn.Linear(4, 3, bias=False), (2, 2, 4)),
    ct2o=(lambda: nn.ConvTranspose2d(4, 6, 3, stride=2), (2, 4, 5, 5)),
)
for k, (mk, *s) in L.items():
    layer(mk, *s, name=k)


class Unpool(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.MaxPool2d(2, return_indices=True)
        self.u = nn.MaxUnpool2d(2)

    def forward(self, x):
        y, i = self.p(x)
        return self.u(y, i, output_size=x.size())


layer(Unpool, (1, 2, 5, 4), name="unpool")


class CTOut(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.ConvTranspose2d(2, 2, 3, stride=2)

    def forward(self, x):
        return self.c(x, output_size=[10, 10])


layer(CTOut, (1, 2, 4, 4), name="convt_output_size")


class ASMlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.AdaptiveLogSoftmaxWithLoss(6, 10, [3, 6])

    def forward(self, x):
        return self.a.log_prob(x), self.a.predict(x)


layer(ASMlp, (4, 6), name="asm_logprob")


def fn(f=None, **kw):
    return program(f, **kw) if f else functools.partial(program, **kw)


@program(args=lambda: (randn(2, 3, 8, 8),))
def functional_pools(x):
    return (
        F.max_pool2d(x, 2, stride=2, padding=1, dilation=1, ceil_mode=False, return_indices=False),
        F.avg_pool2d(x, (2, 2), stride=None, padding=0),
        F.adaptive_avg_pool2d(x, (3, 2)),
        F.lp_pool2d(x, 2, 2),
        F.max_pool2d(x, kernel_size=(3, 2), stride=(1, 2)),
    )


@program(args=lambda: (randn(2, 3, 8, 8),))
def functional_interp(x):
    return (
        F.interpolate(x, size=5),
        F.interpolate(x, scale_factor=(2, 1.5), mode="bilinear", align_corners=False),
        F.interpolate(x, scale_factor=0.5, mode="area"),
        F.interpolate(x, size=(4, 6), mode="bilinear", antialias=True),
        F.interpolate(x, scale_factor=2.0, mode="nearest", recompute_scale_factor=True),
        F.interpolate(x, size=[x.shape[2] * 2, 3], mode="bicubic"),
    )


@program(args=lambda: (randn(2, 3, 4, 4),))
def functional_pad(x):
    return (
        F.pad(x, (1, 2)),
        F.pad(x, [1, 1, 2, 0], mode="reflect"),
        F.pad(x, (1, 1, 1, 1), "replicate"),
        F.pad(x, (1, 1), value=3),
        F.pad(x, (-1, 0, 0, 1)),
        F.pad(x, (2, 1, 0, 0), mode="circular"),
    )


@program(args=lambda: (randn(2, 3, 4, 4), randn(2, 5, 5, 2).clamp(-1, 1)))
def functional_grid(x, g):
    th = torch.tensor([[[1.0, 0, 0.1], [0, 1, 0]]]).expand(2, 2, 3)
    return (
        F.grid_sample(x, g, align_corners=False),
        F.grid_sample(x, g, mode="nearest", padding_mode="border", align_corners=True),
        F.affine_grid(th, [2, 3, 4, 4], align_corners=False),
    )


@program(args=lambda: (randn(4, 3), torch.tensor([0, 2, 1, 2])))
def functional_misc(x, i):
    return (
        F.one_hot(i),
        F.one_hot(i, num_classes=5),
        F.normalize(x, p=1, dim=0),
        F.cosine_similarity(x, x + 1, dim=0),
        F.pairwise_distance(x, x + 1),
        F.gumbel_softmax(x, tau=0.5, hard=True).sum(-1),
        F.softmax(x, dim=1, dtype=torch.float64),
        F.log_softmax(x, -1),
        F.glu(torch.cat([x, x], 1)),
        F.threshold(x, 0.1, 5),
        F.softmin(x, dim=0),
    )


@program(args=lambda: (randn(4, 3), torch.tensor([0, 2, 1, 2])))
def functional_losses(x, i):
    return (
        F.cross_entropy(x, i, reduction="none"),
        F.nll_loss(F.log_softmax(x, 1), i, weight=torch.ones(3)),
        F.mse_loss(x, x + 1, reduction="mean"),
        F.smooth_l1_loss(x, x * 2),
        F.binary_cross_entropy_with_logits(x, x.sigmoid()),
        F.kl_div(x, x.softmax(1), reduction="sum"),
        F.huber_loss(x, x * 2),
        F.cosine_embedding_loss(x, x + 1, torch.ones(4)),
        F.margin_ranking_loss(x[:, 0], x[:, 1], torch.ones(4)),
        F.triplet_margin_loss(x, x + 1, x - 2),
        F.l1_loss(x, x * 3),
        F.gaussian_nll_loss(x, x + 1, x * x),
        F.hinge_embedding_loss(x, torch.ones(4, 3)),
        F.multi_margin_loss(x, i),
        F.soft_margin_loss(x, torch.ones(4, 3)),
        F.poisson_nll_loss(x, x.abs()),
    )


@program(args=lambda: (randn(2, 2, 3, 4),))
def functional_sdpa(x):
    m = torch.ones(3, 3, dtype=torch.bool).tril()
    return (
        F.scaled_dot_product_attention(x, x, x),
        F.scaled_dot_product_attention(x, x, x, is_causal=True),
        F.scaled_dot_product_attention(x, x, x, attn_mask=m, scale=0.3),
        F.scaled_dot_product_attention(x, x[:, :1], x[:, :1], enable_gqa=True),
        F.scaled_dot_product_attention(x, x, x, dropout_p=0.0, attn_mask=m.float()),
    )


@program(args=lambda: (randn(2, 3, 4),))
def functional_norms(x):
    return (
        F.layer_norm(x, (4,)),
        F.layer_norm(x, [3, 4], weight=torch.ones(3, 4), eps=1e-3),
        F.group_norm(x, 3),
        F.instance_norm(x),
        F.batch_norm(x, None, None, training=True),
        F.batch_norm(x, torch.zeros(3), torch.ones(3)),
        F.rms_norm(x, (4,)),
        F.local_response_norm(x, 2),
        F.normalize(x, dim=-1, eps=1e-3),
    )


@program(args=lambda: (randn(3, 4), torch.tensor([[0, 1], [2, 2]])))
def functional_embedding(w, i):
    return (
        F.embedding(i, w),
        F.embedding(i, w, padding_idx=1),
        F.embedding_bag(i, w),
        F.embedding_bag(i.view(-1), w, torch.tensor([0, 1]), mode="max"),
        F.linear(w, w, w[:, 0]),
        F.bilinear(w, w, randn(2, 4, 4) * 0 + 1),
    )


@program(args=lambda: (randn(2, 4),))
def functional_dropouts(x):
    return (
        F.dropout(x, 0.5, training=True),
        F.dropout(x, training=False),
        F.alpha_dropout(x, 0.3, True),
        F.feature_alpha_dropout(x, 0.3, training=True),
        F.dropout1d(x, 0.5),
        F.rrelu(x, training=True),
        F.dropout(x, p=0.2, training=True, inplace=False),
    )


@program(args=lambda: (randn(2, 4),))
def functional_inplace_acts(x):
    y = x.clone()
    F.relu(y, inplace=True)
    F.relu_(y)
    F.elu(y, inplace=True)
    F.leaky_relu_(y)
    F.hardtanh(y, inplace=True)
    F.silu(y, inplace=True)
    F.threshold_(y, 0.1, 1)
    F.celu(y, inplace=True)
    F.selu(y, inplace=True)
    F.hardswish(y, inplace=True)
    F.mish(y, inplace=True)
    return y, torch.relu_(x)


@program(args=lambda: (randn(2, 8), randn(5, 8)))
def functional_more(x, y):
    return (
        F.pixel_shuffle(x.view(1, 4, 2, 2), 2),
        F.unfold(x.view(1, 1, 4, 4), 2),
        F.fold(F.unfold(x.view(1, 1, 4, 4), 2), (4, 4), 2),
        F.pdist(y),
        torch.cdist(x, y),
        F.channel_shuffle(x.view(1, 4, 2, 2), 2),
        F.native_channel_shuffle(x.view(1, 4, 2, 2), 2),
        F.multi_head_attention_forward,
    )
