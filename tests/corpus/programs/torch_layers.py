"""Modules: containers, hooks, lazy and parametrised modules, recurrent and attention layers, norms, dropout, activations."""

# ruff: noqa
# mypy: ignore-errors
import collections, copy, dataclasses, functools, pickle, typing, math
import torch
import torch.nn.functional as F
from torch_values import on_torch, randn
from torch import nn

program = on_torch(__name__)
A = lambda: (randn(2, 4),)


def module(args=A, calls=2, **kw):
    """A module with the decorated function as forward; `init(self)` is its first default."""

    def deco(cls):
        def make():
            return cls()

        make.__name__ = cls.__name__
        program.maker(make, args=args, calls=calls, **kw)
        return cls

    return deco


@module()
class SeqOps(nn.Module):
    def __init__(self):
        super().__init__()
        self.s = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Tanh())

    def forward(self, x):
        for m in self.s:
            x = m(x)
        y = self.s[:2](x)
        z = self.s[-1](x) + self.s[0].weight.sum()
        head = self.s[1:]
        return x, y, z, head(x), len(self.s), self.s[0] in list(self.s), isinstance(head, nn.Sequential)


@module()
class SeqOD(nn.Module):
    def __init__(self):
        super().__init__()
        self.s = nn.Sequential(collections.OrderedDict(a=nn.Linear(4, 4), b=nn.ReLU()))

    def forward(self, x):
        for n, m in self.s.named_children():
            x = m(x) + len(n)
        return self.s.a(x), self.s._modules["b"](x), list(self.s._modules)


@module()
class ML(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.ModuleList([nn.Linear(4, 4) for _ in range(4)])
        self.r = nn.ModuleList([nn.ReLU()]) + nn.ModuleList([nn.Tanh()])

    def forward(self, x):
        for a, b in zip(self.l[::2], self.l[1::2]):
            x = a(x) + b(x)
        for m in reversed(self.l):
            x = m(x)
        for i in range(len(self.r)):
            x = self.r[i](x)
        return x, self.l[0] in self.l, type(self.l[1:3]).__name__


@module()
class MD(nn.Module):
    def __init__(self):
        super().__init__()
        self.d = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.ReLU()})
        self.d["c"] = nn.Tanh()
        self.d.update({"e": nn.Sigmoid()})

    def forward(self, x):
        for k in self.d:
            x = self.d[k](x)
        for k, v in self.d.items():
            x = v(x)
        for v in self.d.values():
            x = v(x)
        return x, "a" in self.d, "q" in self.d, list(self.d.keys()), len(self.d)


@module()
class PL(nn.Module):
    def __init__(self):
        super().__init__()
        self.p = nn.ParameterList([torch.randn(4) for _ in range(3)])
        self.q = nn.ParameterDict({"a": torch.randn(4), "b": nn.Parameter(torch.ones(4))})

    def forward(self, x):
        for p in self.p:
            x = x * p
        for k, v in self.q.items():
            x = x + v
        x = x + self.q["a"] + self.q.a + self.p[0] + self.p[-1]
        for p in self.p[1:]:
            x = x + p
        return x, len(self.p), "a" in self.q, list(self.q.keys()), len(self.q), isinstance(self.p[0], nn.Parameter)


@module(calls=4)
class Counter(nn.Module):
    def __init__(self):
        super().__init__()
        self.n = 0
        self.log = []
        self.register_buffer("b", torch.zeros(4))
        self.register_buffer("np", torch.zeros(()), persistent=False)

    def forward(self, x):
        self.n += 1
        self.log.append(self.n)
        self.b += x.sum(0)
        self.np = self.np + 1
        self.last = x
        return x * self.np + self.b, self.n, len(self.log)


@module(calls=3)
class AttrsInForward(nn.Module):
    def forward(self, x):
        if not hasattr(self, "w"):
            self.w = x.mean()
            self.register_buffer("mean", x.mean(0))
        return x - self.mean + self.w, "mean" in self._buffers


@module(calls=3)
class LazyLin(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.LazyLinear(3)
        self.l(torch.zeros(1, 4))

    def forward(self, x):
        return self.l(x)


@module(calls=2)
class LazyUninit(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.LazyLinear(3)

    def forward(self, x):
        return self.l(x).shape


@module()
class WN(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
        self.b = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4)).eval()
        self.c = torch.nn.utils.parametrizations.orthogonal(nn.Linear(4, 4))

    def forward(self, x):
        return self.a(x), self.b(x)


@module(calls=3)
class SNTrain(nn.Module):
    def __init__(self):
        super().__init__()
        self.b = torch.nn.utils.parametrizations.spectral_norm(nn.Linear(4, 4))

    def forward(self, x):
        return self.b(x)


@module(calls=3)
class OldWN(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = torch.nn.utils.weight_norm(nn.Linear(4, 4))
        self.b = torch.nn.utils.spectral_norm(nn.Linear(4, 4))

    def forward(self, x):
        return self.a(x), self.b(x)


@module()
class Orth(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = torch.nn.utils.parametrizations.orthogonal(nn.Linear(4, 4))

    def forward(self, x):
        return self.c(x)


class Sym(nn.Module):
    def forward(self, X):
        return X.triu() + X.triu(1).T

    def right_inverse(self, A):
        return A.triu()


@module()
class ParamSym(nn.Module):
    def __init__(self):
        super().__init__()
        self.l = nn.Linear(4, 4)
        nn.utils.parametrize.register_parametrization(self.l, "weight", Sym())

    def forward(self, x):
        with nn.utils.parametrize.cached():
            y = self.l(x) + self.l.weight.sum()
        return y, nn.utils.parametrize.is_parametrized(self.l), self.l.parametrizations.weight.original


@module()
class Enumerate(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.bn = nn.BatchNorm1d(4)
        self.s = nn.Sequential(nn.ReLU(), nn.Sequential(nn.Linear(4, 4)))

    def forward(self, x):
        names = [n for n, _ in self.named_modules()]
        pn = [n for n, p in self.named_parameters() if p.requires_grad]
        bn = [n for n, b in self.named_buffers()]
        tot = sum(p.numel() for p in self.parameters())
        s = sum((p * p).sum() for p in self.parameters())
        ch = [type(c).__name__ for c in self.children()]
        sub = self.get_submodule("s.1.0")(x)
        par = self.get_parameter("a.weight").sum()
        buf = self.get_buffer("bn.running_mean").sum()
        mods = len(list(self.modules()))
        nd = [n for n, _ in self.named_children()]
        sd = list(self.state_dict().keys())
        return (
            names,
            pn,
            bn,
            tot,
            s,
            ch,
            sub,
            par,
            buf,
            mods,
            nd,
            sd,
            next(self.parameters()).dtype,
            next(self.parameters()).device,
        )


@module()
class ApplyInForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)
        self.kids = nn.ModuleList([nn.Linear(4, 4)])

    def forward(self, x):
        seen = []
        self.apply(lambda m: seen.append(type(m).__name__))
        return self.a(x), seen


@module()
class StateDictIn(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Linear(4, 4)

    def forward(self, x):
        sd = self.state_dict()
        return torch.func.functional_call(self.a, {"weight": sd["a.weight"] * 2, "bias": sd["a.bias"]}, (x,))


@module()
class FuncCall(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)).eval()

    def forward(self, x):
        p = {k: v + 1 for k, v in self.a.named_parameters()}
        b = dict(self.a.named_buffers())
        return torch.func.functional_call(self.a, (p, b), x)


@module(calls=3)
class TrainSwitchInside(nn.Module):
    def __init__(self):
        super().__init__()
        self.d = nn.Dropout(0.5)
        self.bn = nn.BatchNorm1d(4)

    def forward(self, x):
        was = self.training
        self.eval()
        y = self.d(self.bn(x))
        self.train(was)
        return y, self.training, self.d.training


@module()
class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(4, 4)
        self.o = nn.Linear(4, 4, bias=False)
        self.o.weight = self.e.weight
        self.same = self.o

    def forward(self, x):
        i = torch.tensor([0, 1, 3])
        return (
            self.o(self.e(i)),
            self.o.weight is self.e.weight,
            self.same is self.o,
            self.same(x),
            len(list(self.parameters())),
        )


@module()
class GetattrModule(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def __getattr__(self, n):
        try:
            return super().__getattr__(n)
        except AttributeError:
            return getattr(self.inner, n)

    def forward(self, x):
        return x @ self.weight + self.bias, self.in_features, hasattr(self, "nope")


@module()
class MadeInForward(nn.Module):
    def forward(self, x):
        l = nn.Linear(4, 4)
        with torch.no_grad():
            l.weight.fill_(0.5)
            l.bias.zero_()
        r = nn.ReLU()
        d = nn.Identity()
        s = nn.Sequential(nn.ReLU(), nn.Tanh())
        return r(d(s(x))), l(x)


@module()
class ParamInForward(nn.Module):
    def forward(self, x):
        p = nn.Parameter(torch.ones(4))
        return x * p, isinstance(p, nn.Parameter), p.requires_grad


# hooks
def _hooked(reg):
    class M(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Linear(4, 4)
            self.log = []
            reg(self)

        def forward(self, x, k=1):
            return self.a(x) * k

    return M()


@program.maker(args=A)
def hook_forward():
    def h(m, a, o):
        m.tag = 1
        return o * 2

    return _hooked(lambda s: s.register_forward_hook(h))


@program.maker(args=A)
def hook_inner_forward():
    def h(m, a, o):
        return o * 2 + a[0]

    return _hooked(lambda s: s.a.register_forward_hook(h))


@program.maker(args=A)
def hook_pre():
    def h(m, a):
        return (a[0] + 1,)

    def h2(m, a):
        return a[0] * 3

    return _hooked(lambda s: (s.register_forward_pre_hook(h), s.a.register_forward_pre_hook(h2)))


@program.maker(args=A)
def hook_kwargs():
    def pre(m, a, kw):
        return a, {"k": kw.get("k", 1) + 4}

    def post(m, a, kw, o):
        return o + kw["k"]

    return _hooked(
        lambda s: (s.register_forward_pre_hook(pre, with_kwargs=True), s.register_forward_hook(post, with_kwargs=True))
    )


@program.maker(args=A)
def hook_prepend_always():
    def one(m, a, o):
        m.log.append(1)

    def two(m, a, o):
        m.log.append(2)
        return o - 1

    return _hooked(
        lambda s: (
            s.register_forward_hook(one),
            s.register_forward_hook(two, prepend=True),
            s.register_forward_hook(one, always_call=True),
        )
    )


@program.maker(args=A)
def hook_made_and_removed_inside():
    m = nn.Linear(4, 4)

    def fn(x):
        got = []
        h = m.register_forward_hook(lambda mod, a, o: got.append(o.shape))
        y = m(x)
        h.remove()
        z = m(x)
        return y, z, got

    return fn


@program.maker(args=A)
def hook_backward_registered():
    def h(m, gi, go):
        return None

    return _hooked(lambda s: s.a.register_full_backward_hook(h))


@program.maker(args=A)
def hook_backward_modifying():
    def h(m, gi, go):
        return (gi[0] * 2,)

    def hp(m, go):
        return (go[0] * 3,)

    return _hooked(lambda s: (s.a.register_full_backward_hook(h), s.register_full_backward_pre_hook(hp)))


@program.maker(args=A)
def hook_tensor():
    def fn(x):
        y = x * 2
        if y.requires_grad:
            y.register_hook(lambda g: g * 5)
        return y.sin()

    return fn


# recurrent, attention, transformer
def layer(make, *shapes, args=None, calls=2, name=None, post=None):
    def mk():
        torch.manual_seed(3)
        return make()

    mk.__name__ = name
    program.maker(mk, args=args or (lambda: tuple(randn(*s) for s in shapes)), calls=calls)


layer(lambda: nn.LSTM(4, 5, num_layers=2, batch_first=True), (2, 3, 4), name="lstm")
layer(lambda: nn.LSTM(4, 5, bidirectional=True, proj_size=3), (3, 2, 4), name="lstm_proj")
layer(lambda: nn.LSTM(4, 5, dropout=0.5, num_layers=2), (3, 2, 4), name="lstm_dropout")
layer(lambda: nn.GRU(4, 5, bidirectional=True), (3, 2, 4), (2, 2, 5), name="gru")
layer(lambda: nn.RNN(4, 5, nonlinearity="relu"), (3, 2, 4), name="rnn")
layer(lambda: nn.LSTM(4, 5), (3, 4), name="lstm_unbatched")
layer(lambda: nn.LSTM(4, 5), name="lstm_state", args=lambda: (randn(3, 2, 4), (randn(1, 2, 5), randn(1, 2, 5))))
layer(lambda: nn.LSTMCell(4, 5), (2, 4), name="lstmcell")
layer(lambda: nn.GRUCell(4, 5), (2, 4), (2, 5), name="grucell")
layer(lambda: nn.RNNCell(4, 5), (2, 4), name="rnncell")


class MHA(nn.Module):
    def __init__(self, **k):
        super().__init__()
        self.call = k.pop("call", {})
        self.m = nn.MultiheadAttention(4, 2, **k)

    def forward(self, q, k, v):
        return self.m(q, k, v, **self.call)


for i, (k, c) in enumerate(
    [
        ({}, {}),
        ({"batch_first": True}, {"need_weights": False}),
        ({"add_bias_kv": True, "add_zero_attn": True}, {"average_attn_weights": False}),
        ({"kdim": 4, "vdim": 4, "bias": False}, {}),
        ({"batch_first": True, "dropout": 0.3}, {"need_weights": True}),
        (
            {"batch_first": True},
            {"attn_mask": torch.triu(torch.ones(3, 3, dtype=torch.bool), 1), "need_weights": False},
        ),
        (
            {"batch_first": True},
            {"attn_mask": torch.triu(torch.ones(3, 3), 1), "is_causal": True, "need_weights": False},
        ),
        ({"batch_first": True}, {"key_padding_mask": torch.tensor([[False, False, True], [False, True, True]])}),
    ]
):
    layer(lambda k=k, c=c: MHA(call=c, **k), (2, 3, 4), (2, 3, 4), (2, 3, 4), name=f"mha{i}")
    layer(lambda k=k, c=c: MHA(call=c, **k).eval(), (2, 3, 4), (2, 3, 4), (2, 3, 4), name=f"mha_eval{i}")
layer(lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), (2, 3, 4), name="enc_layer_train")
layer(lambda: nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval(), (2, 3, 4), name="enc_layer_eval")
layer(
    lambda: nn.TransformerEncoderLayer(4, 2, 8, activation="gelu", norm_first=True, dropout=0.0),
    (2, 3, 4),
    name="enc_layer_prenorm",
)
layer(
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 2).eval(),
    (2, 3, 4),
    name="encoder_eval",
)
layer(
    lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), 2, norm=nn.LayerNorm(4)),
    (2, 3, 4),
    name="encoder_train",
)
layer(lambda: nn.TransformerDecoderLayer(4, 2, 8), (2, 3, 4), (5, 3, 4), name="dec_layer")
layer(
    lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 8, batch_first=True), 2).eval(),
    (2, 3, 4),
    (2, 5, 4),
    name="decoder",
)
layer(lambda: nn.Transformer(4, 2, 1, 1, 8, batch_first=True).eval(), (2, 3, 4), (2, 5, 4), name="transformer_eval")
layer(lambda: nn.Transformer(4, 2, 1, 1, 8, dropout=0.1), (2, 3, 4), (5, 3, 4), name="transformer_train")


class EncMask(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), 1).eval()

    def forward(self, x):
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        pad = torch.tensor([[False, False, True], [False, False, False]])
        return self.e(x, mask=mask), self.e(x, mask=mask, is_causal=True)


layer(EncMask, (2, 3, 4), name="enc_masks")

bag = lambda: (torch.tensor([1, 2, 4, 5, 4, 3]), torch.tensor([0, 3]))
for m in ("sum", "mean", "max"):
    layer(lambda m=m: nn.EmbeddingBag(10, 3, mode=m), name=f"bag_{m}", args=bag)
layer(lambda: nn.EmbeddingBag(10, 3, mode="sum", include_last_offset=True, padding_idx=1), name="bag_pad", args=bag)
layer(lambda: nn.EmbeddingBag(10, 3), name="bag2d", args=lambda: (torch.tensor([[1, 2], [4, 5]]),))
layer(
    lambda: nn.Embedding(10, 3, padding_idx=0, max_norm=1.0),
    name="emb_maxnorm",
    args=lambda: (torch.tensor([[1, 2], [4, 0]]),),
)

norms = dict(
    bn1=(lambda: nn.BatchNorm1d(3), (4, 3)),
    bn1b=(lambda: nn.BatchNorm1d(3, momentum=None), (4, 3, 2)),
    bn2=(lambda: nn.BatchNorm2d(3, affine=False), (2, 3, 4, 4)),
    bn3=(lambda: nn.BatchNorm3d(3), (2, 3, 2, 2, 2)),
    bnn=(lambda: nn.BatchNorm2d(3, track_running_stats=False), (2, 3, 4, 4)),
    inorm1=(lambda: nn.InstanceNorm1d(3), (2, 3, 4)),
    inorm2=(lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True), (2, 3, 4, 4)),
    inorm3=(lambda: nn.InstanceNorm3d(3), (2, 3, 2, 2, 2)),
    inormu=(lambda: nn.InstanceNorm2d(3), (3, 4, 4)),
    gn=(lambda: nn.GroupNorm(2, 4), (2, 4, 5)),
    gnn=(lambda: nn.GroupNorm(1, 4, affine=False), (2, 4)),
    ln=(lambda: nn.LayerNorm([3, 4]), (2, 3, 4)),
    lnb=(lambda: nn.LayerNorm(4, bias=False), (2, 3, 4)),
    rms=(lambda: nn.RMSNorm(4, eps=1e-6), (2, 4)),
    rmsn=(lambda: nn.RMSNorm(4, elementwise_affine=False), (2, 4)),
    lrn=(lambda: nn.LocalResponseNorm(2), (2, 4, 3, 3)),
)
for k, (mk, s) in norms.items():
    layer(mk, s, name=f"{k}_train", calls=3)
    layer(lambda mk=mk: mk().eval(), s, name=f"{k}_eval")
layer(lambda: nn.SyncBatchNorm(3).eval(), (2, 3, 4), name="syncbn_eval")

drops = dict(
    dropout=(lambda: nn.Dropout(0.5), (2, 4)),
    dropout1=(lambda: nn.Dropout1d(0.5), (2, 3, 4)),
    dropout2=(lambda: nn.Dropout2d(0.5), (2, 3, 4, 4)),
    dropout3=(lambda: nn.Dropout3d(0.5), (2, 3, 2, 2, 2)),
    alpha=(lambda: nn.AlphaDropout(0.5), (2, 4)),
    falpha=(lambda: nn.FeatureAlphaDropout(0.5), (2, 3, 4)),
    dropinp=(lambda: nn.Dropout(0.5, inplace=True), (2, 4)),
    rrelu=(lambda: nn.RReLU(), (2, 4)),
    dropall=(lambda: nn.Dropout(1.0), (2, 4)),
)
for k, (mk, s) in drops.items():
    layer(mk, s, name=f"{k}_train", calls=2)

acts = [
    nn.ELU(0.5),
    nn.Hardshrink(),
    nn.Hardsigmoid(),
    nn.Hardtanh(-2, 2),
    nn.Hardswish(),
    nn.LeakyReLU(0.1),
    nn.LogSigmoid(),
    nn.PReLU(),
    nn.ReLU6(),
    nn.SELU(),
    nn.CELU(1.2),
    nn.GELU("tanh"),
    nn.Sigmoid(),
    nn.SiLU(),
    nn.Mish(),
    nn.Softplus(2, 3),
    nn.Softshrink(0.3),
    nn.Softsign(),
    nn.Tanh(),
    nn.Tanhshrink(),
    nn.Threshold(0.1, 20),
    nn.GLU(),
    nn.Softmin(1),
    nn.Softmax(0),
    nn.LogSoftmax(1),
    nn.ReLU(inplace=True),
    nn.SiLU(inplace=True),
    nn.Softmax(),
]
for a in acts:
    layer(
        lambda a=a: copy.deepcopy(a),
        (2, 4),
        name="act_"
        + type(a).__name__
        + ("_inp" if getattr(a, "inplace", False) else "")
        + ("_nodim" if isinstance(a, nn.Softmax) and a.dim is None else ""),
    )
layer(nn.Softmax2d, (2, 3, 4, 4), name="softmax2d")
layer(lambda: nn.PReLU(3), (2, 3, 4), name="prelu3")
