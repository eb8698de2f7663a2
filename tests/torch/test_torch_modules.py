"""Modules: layers, containers, state, hooks, and what makes an entry invalid."""

from __future__ import annotations

import copy
import io
import itertools
import pickle

import pytest
import torch
from quern.capture.frontends.torch.module import compile_call
from torch import nn
from torch_checks import compare, compiled, randn

import quern
from quern.testing import CompileCounter

X = randn(3, 4)
IMAGE = randn(2, 3, 8, 8)
TOKENS = torch.tensor([[1, 2, 3], [4, 5, 0]])
SERIES = randn(2, 5, 4)

LAYERS = [
    (nn.Linear(4, 5), X), (nn.Linear(4, 5, bias=False), X), (nn.Bilinear(4, 4, 3), X, X), (nn.Identity(), X),
    (nn.Conv1d(5, 6, 3, padding=1), SERIES), (nn.Conv2d(3, 4, 3, stride=2, padding=1), IMAGE),
    (nn.Conv2d(3, 4, 3, padding="same", padding_mode="circular"), IMAGE), (nn.ConvTranspose2d(3, 4, 2, stride=2), IMAGE),
    (nn.BatchNorm2d(3), IMAGE), (nn.BatchNorm1d(4), X), (nn.LayerNorm(4), X), (nn.RMSNorm(4), X), (nn.GroupNorm(3, 3), IMAGE),
    (nn.InstanceNorm2d(3, affine=True), IMAGE), (nn.Embedding(8, 4, padding_idx=0), TOKENS),
    (nn.Dropout(0.5), X), (nn.Dropout2d(0.5), IMAGE), (nn.MaxPool2d(2), IMAGE), (nn.AvgPool2d(3, 2, 1), IMAGE),
    (nn.AdaptiveAvgPool2d(1), IMAGE), (nn.AdaptiveMaxPool2d(2), IMAGE), (nn.LPPool2d(2, 2), IMAGE),
    (nn.Upsample(scale_factor=2), IMAGE), (nn.Upsample(size=(5, 5), mode="bilinear"), IMAGE),
    (nn.PixelShuffle(2), randn(1, 8, 3, 3)), (nn.Flatten(), IMAGE), (nn.Unflatten(1, (2, 2)), X), (nn.ZeroPad2d(1), IMAGE),
    (nn.ReflectionPad2d(1), IMAGE), (nn.Fold((4, 4), 2), randn(1, 12, 9)), (nn.Unfold(3), IMAGE),
    (nn.ReLU(), X), (nn.ReLU(inplace=True), X), (nn.GELU("tanh"), X), (nn.SiLU(), X), (nn.Softmax(-1), X), (nn.LogSoftmax(1), X),
    (nn.PReLU(), X), (nn.PReLU(3), IMAGE), (nn.ELU(), X), (nn.SELU(), X), (nn.CELU(), X), (nn.Hardtanh(), X), (nn.Hardswish(), X),
    (nn.Mish(), X), (nn.Softplus(), X), (nn.LogSigmoid(), X), (nn.Softsign(), X), (nn.Tanh(), X), (nn.Sigmoid(), X),
    (nn.Threshold(0.1, 2.0), X), (nn.GLU(), X), (nn.CosineSimilarity(), X, X + 1), (nn.PairwiseDistance(), X, X + 1),
    (nn.MSELoss(), X, X + 1), (nn.CrossEntropyLoss(), X, torch.tensor([0, 1, 2])), (nn.L1Loss(reduction="none"), X, X + 1),
    (nn.BCEWithLogitsLoss(), X, X.sigmoid()), (nn.KLDivLoss(reduction="batchmean"), X, X.softmax(1)),
    (nn.NLLLoss(), X.log_softmax(1), torch.tensor([0, 1, 2])), (nn.TripletMarginLoss(), X, X + 1, X - 1),
    (nn.CrossEntropyLoss(weight=torch.ones(4), label_smoothing=0.1), X, torch.tensor([0, 1, 2])),
    (nn.MultiheadAttention(4, 2, batch_first=True), SERIES, SERIES, SERIES),
    (nn.TransformerEncoderLayer(4, 2, 8, batch_first=True), SERIES),
    (nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True), 2), SERIES),
    (nn.TransformerDecoderLayer(4, 2, 8, batch_first=True), SERIES, SERIES), (nn.EmbeddingBag(8, 4), TOKENS),
    (nn.LSTM(4, 6, batch_first=True), SERIES), (nn.GRU(4, 6), SERIES), (nn.RNN(4, 6, num_layers=2), SERIES),
    (nn.LSTMCell(4, 6), X), (nn.GRUCell(4, 6), X),
    (nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), X), (nn.Softmin(1), X), (nn.ChannelShuffle(3), IMAGE),
    (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 2))), X), (nn.Tanhshrink(), X), (nn.Hardshrink(), X),
]  # fmt: skip


@pytest.mark.parametrize("case", LAYERS, ids=[type(c[0]).__name__ + str(k) for k, c in enumerate(LAYERS)])
@pytest.mark.parametrize("training", [False, True])
def test_layer(case, training):
    """Evaluation and training mode (without gradients), twice each, with the state that layers keep."""
    module, *args = case
    module = copy.deepcopy(module).train(training)
    ours = copy.deepcopy(module)
    function = compiled(ours)
    with torch.no_grad():
        for _ in range(2):
            torch.manual_seed(0)
            expected = module(*(a.clone() for a in args))
            torch.manual_seed(0)
            found = function(*(a.clone() for a in args))
            compare(expected, found, tolerance=1e-5)
    for a, b in zip(module.state_dict().values(), ours.state_dict().values()):
        compare(a, b, 1e-5)


class Net(nn.Module):
    scale = 2.0

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
        self.named = nn.ModuleDict({"a": nn.Linear(4, 4), "b": nn.Identity()})
        self.extra = nn.ParameterList([nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))])
        self.table = nn.ParameterDict({"p": nn.Parameter(torch.full((4,), 0.5))})
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("nothing", None)
        self.tied = self.layers[0]
        self.flag = True
        self.sizes = (1, 2)
        self.config = {"eps": 1e-5, "names": ["x"]}
        self.alpha = nn.Parameter(torch.tensor(0.1))

    def forward(self, x, *, twice=False):
        for i, layer in enumerate(self.layers):
            x = layer(x) + i
        for name, layer in self.named.items():
            if name in self.named and self.flag:
                x = layer(x)
        for layer in self.layers[1:]:
            x = x + layer.weight.sum() * self.scale
        for p in self.extra:
            x = x * p + p
        x = x + self.table["p"] + self.config["eps"] + sum(self.sizes)
        if self.nothing is None and len(self.layers) == 3:
            x = x + self.tied(x) * self.alpha
        self.count = self.count + 1
        self.last_shape = x.shape
        return self.helper(x) if twice else x

    def helper(self, x):
        return x * self.doubled

    @property
    def doubled(self):
        return self.scale * 2


@pytest.fixture
def no_grad():
    with torch.no_grad():
        yield


def test_containers_state_and_attributes(no_grad):
    torch.manual_seed(0)
    net = Net()
    ours = copy.deepcopy(net)
    function = compiled(ours)
    for twice in (False, True, False):
        compare(net(X, twice=twice), function(X, twice=twice))
    assert ours.count.item() == 3 and ours.last_shape == X.shape
    assert ours.count is ours._buffers["count"]


def _recompiles(function, before, change):
    """How many graphs a change makes necessary, with the result checked."""
    module = function._orig_mod
    counter = function.counter
    assert counter.frame_count == before
    change(module)
    compare(module(X), function(X))
    compare(module(X), function(X))
    return counter.frame_count - before


@pytest.mark.parametrize(
    "change",
    [
        lambda m: setattr(m.layers, "1", nn.Linear(4, 4)),
        lambda m: setattr(m, "flag", False),
        lambda m: setattr(m, "scale", 3.0),
        lambda m: setattr(m, "sizes", (5, 6)),
        lambda m: m.config.__setitem__("eps", 1.0),
        lambda m: setattr(m, "alpha", nn.Parameter(torch.tensor(0.7))),
        lambda m: m.extra.append(nn.Parameter(torch.ones(4))),
        lambda m: m.named.update({"c": nn.ReLU()}),
        lambda m: setattr(m, "nothing", torch.ones(1)),
        lambda m: m.layers[1].register_forward_hook(lambda mod, args, out: out * 2),
        lambda m: m.layers[1].register_forward_pre_hook(lambda mod, args: (args[0] + 1,)),
        lambda m: setattr(m.layers[2], "forward", lambda x: x * 3),
        lambda m: setattr(m, "helper", lambda x: x),
    ],
)
def test_changes_are_noticed(no_grad, change):
    torch.manual_seed(0)
    counter = CompileCounter()
    function = compiled(Net(), backend=counter)
    type(function).counter = counter
    function(X)
    _recompiles(function, 1, change)


def test_weights_may_change_without_recompiling(no_grad):
    counter = CompileCounter()
    net = Net()
    function = compiled(net, backend=counter)
    function(X)
    for p in net.parameters():
        p.mul_(1.5)
    net.load_state_dict({k: v + 1 for k, v in net.state_dict().items()})
    compare(net(X), function(X))
    assert counter.frame_count == 1


def test_dtype_and_device_of_weights_are_watched(no_grad):
    net = Net()
    function = compiled(net)
    function(X)
    net.double()
    compare(net(X.double()), function(X.double()))


def test_training_flag(no_grad):
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    function = compiled(net)
    function.eval()
    compare(net(X), function(X))
    function.train()
    torch.manual_seed(3)
    expected = net(X)
    torch.manual_seed(3)
    compare(expected, function(X))
    assert net.training


def test_hooks_everywhere(no_grad):
    """Forward hooks, pre-hooks, with keywords, on the root and inside, in eager's order."""
    seen = []

    def pre(module, args):
        seen.append(f"pre {type(module).__name__}")
        return (args[0] * 2,)

    def post(module, args, output):
        seen.append(f"post {type(module).__name__}")
        return output + 1

    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    net.register_forward_pre_hook(pre)
    net.register_forward_hook(post)
    net[0].register_forward_pre_hook(pre)
    net[1].register_forward_hook(lambda m, args, kwargs, out: out * len(kwargs) + out, with_kwargs=True)
    expected = net(X)
    order, seen[:] = list(seen), []
    function = compiled(net)
    compare(expected, function(X))
    compare(expected, function(X))
    assert seen == order * 2


def test_global_hook(no_grad):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    function = compiled(net)
    plain = function(X)
    handle = torch.nn.modules.module.register_module_forward_hook(lambda m, args, out: out + 1)
    try:
        compare(net(X), function(X))
        assert not torch.equal(plain, function(X))
    finally:
        handle.remove()
    compare(net(X), function(X))


def test_module_as_an_argument(no_grad):
    def apply(layer, x, layers):
        return layers[0](layer(x))

    function = compiled(apply)
    one, two = nn.Linear(4, 4), nn.Linear(4, 4)
    for a, b in ((one, two), (two, one), (one, one)):
        compare(apply(a, X, [b]), function(a, X, [b]))


def test_module_made_inside(no_grad):
    def fn(x):
        return nn.Sequential(nn.ReLU(), nn.Softmax(dim=-1))(x) + nn.functional.relu(x)

    compare(fn(X), compiled(fn)(X))


def test_iterating_over_a_modules_parts(no_grad):
    def fn(net, x):
        total = x.sum()
        for name, p in net.named_parameters():
            if name.endswith("weight"):
                total = total + p.sum()
        for p in net.buffers():
            total = total + p.sum()
        for child in net.children():
            if isinstance(child, nn.ModuleList):
                total = total + len(child)
        return total + sum(1 for _ in net.modules()) + len(net.state_dict())

    net = Net()
    compare(fn(net, X), quern.compile(fn, backend="eager")(net, X))


class Custom(nn.Module):
    """Own __getattr__, own __call__."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(4, 4)

    def __getattr__(self, name):
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.inner, name)

    def __call__(self, x):
        return super().__call__(x) * 2

    def forward(self, x):
        return self.inner(x) + self.weight.sum()


def test_custom_attribute_lookup_and_call(no_grad):
    net = Custom()
    compare(net(X), compiled(net)(X))
    outer = nn.Sequential(net)
    compare(outer(X), compiled(outer)(X))


def test_super_forward(no_grad):
    class Doubled(nn.Linear):
        def forward(self, x):
            return super().forward(x) * 2

    net = Doubled(4, 4)
    compare(net(X), compiled(net)(X))


def test_functional_state(no_grad):
    """A layer whose class attribute changes."""

    class Scaled(nn.Module):
        factor = 2

        def forward(self, x):
            return x * self.factor

    net = Scaled()
    function = compiled(net)
    compare(net(X), function(X))
    Scaled.factor = 5
    compare(net(X), function(X))


# ---------------------------------------------------------------- the compiled module as an object


def test_compiled_module_is_a_module(no_grad):
    net = Net()
    function = compiled(net)
    assert isinstance(function, Net) and isinstance(function, nn.Module)
    assert list(function.state_dict()) == list(net.state_dict())
    assert function.alpha is net.alpha and function.layers is net.layers
    function.flag = False
    assert net.flag is False
    function.eval()
    assert not net.training
    assert repr(function) == repr(net)
    assert function._orig_mod is net


def test_saved_and_copied(no_grad):
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    function = compiled(net)
    expected = function(X)
    loaded = pickle.loads(pickle.dumps(function))
    assert type(loaded) is nn.Sequential
    compare(expected, loaded(X))
    stream = io.BytesIO()
    torch.save(function, stream)
    stream.seek(0)
    compare(expected, torch.load(stream, weights_only=False)(X))
    copied = copy.deepcopy(function)
    assert copied[0].weight is not net[0].weight and isinstance(copied, nn.Sequential)
    compare(expected, copied(X))


def test_compiled_part_of_a_model(no_grad):
    net = Net()
    expected = copy.deepcopy(net)(X)
    net.layers[0] = compiled(net.layers[0])
    net.named["a"].compile = None
    assert "layers.0.weight" in net.state_dict()
    compare(expected, copy.deepcopy(net)(X))
    compare(expected, compiled(net)(X))


def test_methods_of_a_class_are_compiled_per_instance(no_grad):
    class Block(nn.Module):
        def __init__(self, k):
            super().__init__()
            self.k = k
            self.linear = nn.Linear(4, 4)

        @quern.compile(backend="eager", fullgraph=True)
        def forward(self, x):
            return self.linear(x) * self.k

    blocks = [Block(k) for k in range(3)]
    for _ in range(2):
        for block in blocks:
            compare(block.linear(X) * block.k, block(X))


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("heads", [2, 3], ids="{} heads".format)
def test_attention_is_laid_out_as_eagers_one_kernel_lays_it_out(batch_first, bias, heads):
    """In evaluation, without gradients, and where nothing forbids it, eager computes attention in one kernel."""
    attention = torch.nn.MultiheadAttention(12, heads, batch_first=batch_first, bias=bias).eval()
    padded = torch.zeros((3, 5) if batch_first else (5, 3), dtype=torch.bool)
    padded[:, -1] = True
    x = torch.randn(3, 5, 12)
    for mask, weights in itertools.product((None, padded), (True, False)):

        def program(x, mask=mask, weights=weights):
            return attention(x, x, x, key_padding_mask=mask, need_weights=weights)

        compiled = quern.compile(program, backend="eager", fullgraph=True)
        for mode in (torch.no_grad, torch.enable_grad):
            with mode():
                (found, w), (expected, v) = compiled(x), program(x)
            torch.testing.assert_close(found, expected)
            assert found.stride() == expected.stride()
            assert (w is None) == (v is None) == (not weights)
            if weights:
                torch.testing.assert_close(w, v)


def test_whether_eager_has_its_one_kernel_is_asked_at_each_call():
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True).eval()
    x = torch.randn(2, 3, 4)
    compiled = quern.compile(lambda x: attention(x, x, x)[0], backend="eager", fullgraph=True)
    before = torch.backends.mha.get_fastpath_enabled()
    try:
        for enabled in (True, False, True):
            torch.backends.mha.set_fastpath_enabled(enabled)
            with torch.no_grad():
                assert compiled(x).stride() == attention(x, x, x)[0].stride()
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


@pytest.mark.parametrize("checks", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_an_encoder_gives_zeros_for_what_is_masked(checks, frozen):
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 1, nn.LayerNorm(4), mask_check=checks).eval()
    encoder.requires_grad_(not frozen)
    right = torch.tensor([[False, False, False], [False, True, True]])
    masks = [right, ~right.flip(0), right.flip(1), None] if checks else [right]
    compiled = quern.compile(encoder)
    for mode in (torch.no_grad, torch.enable_grad):
        for mask in masks:
            x = torch.randn(2, 3, 4)
            with mode():
                found, expected = (f(x, src_key_padding_mask=mask) for f in (compiled, encoder))
            torch.testing.assert_close(found, expected, equal_nan=True)


def test_an_encoder_of_one_graph_looks_at_no_mask():
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    encoder = torch.nn.TransformerEncoder(layer, 1).eval()
    x, mask = torch.randn(2, 3, 4), torch.tensor([[False, False, False], [False, True, True]])
    with torch.no_grad():
        found = quern.compile(encoder, fullgraph=True)(x, src_key_padding_mask=mask)
        torch.testing.assert_close(found[~mask], encoder(x, src_key_padding_mask=mask)[~mask])


class LazyScale(nn.modules.lazy.LazyModuleMixin, nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.parameter.UninitializedParameter()

    def initialize_parameters(self, x):
        self.weight.materialize((x.shape[-1],))
        nn.init.constant_(self.weight, 2.0)

    def forward(self, x):
        return x * self.weight


@pytest.mark.parametrize(
    "make", [lambda: nn.LazyLinear(4), LazyScale, lambda: nn.Sequential(LazyScale(), nn.LazyLinear(2))]
)
@pytest.mark.parametrize("in_place", [False, True])
def test_lazy_modules_are_initialised_and_compiled(no_grad, make, in_place):
    plain, module = make(), make()
    if in_place:
        module._compiled_call_impl = compile_call(module, quern.compile(backend="eager", fullgraph=True), in_place=True)
    function = module if in_place else quern.compile(module, backend="eager", fullgraph=True)
    for x in (X, X + 1):
        torch.manual_seed(0)
        expected = plain(x)
        torch.manual_seed(0)
        compare(expected, function(x))
    assert type(module) is type(plain)
    assert sum(len(f.entries) for f in quern.api.functions_of(function)) == 1


def _hooked(where, kind):
    """A model with hooks marked with `disable`, on all of it or on a part."""
    torch.manual_seed(0)
    part = nn.Sequential(nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 3))
    model = part if where == "model" else nn.Sequential(nn.Linear(3, 3), part, nn.Tanh())
    model.seen = []

    def after(module, args, result):
        model.seen.append(float(result.sum()))
        return result * 2

    def before(module, args):
        model.seen.append(len(args))
        return (args[0] + 1,)

    if "after" in kind:
        part.register_forward_hook(quern.disable(after))
    if "before" in kind:
        part.register_forward_pre_hook(torch.compiler.disable(before))
    return model


@pytest.mark.parametrize("kind", ["after", "before", "before and after"])
@pytest.mark.parametrize("where", ["model", "part"])
def test_hooks_marked_with_disable_run_around_compiled_code(where, kind):
    counter = quern.testing.CompileCounter()
    model, plain = _hooked(where, kind), _hooked(where, kind)
    compiled = quern.compile(model, backend=counter)
    for number in range(3):
        x = torch.randn(2, 3)
        torch.testing.assert_close(compiled(x), plain(x))
        assert model.seen == pytest.approx(plain.seen), number
    assert counter.frame_count == (1 if where == "model" else 3)
    for part in model.modules():
        part._forward_hooks.clear(), part._forward_pre_hooks.clear()
    torch.testing.assert_close(compiled(x), model(x))
    assert "forward" not in model.__dict__


class Sized(nn.Linear):
    pass


LOOKUPS = {
    "getattr": lambda m, x: x * getattr(m, "scale", 1),
    "hasattr": lambda m, x: x * 2 if hasattr(m, "scale") else x,
    "of the class": lambda m, x: x * getattr(type(m), "scale", 1),
    "counted": lambda m, x: setattr(m, "scale", getattr(m, "scale", 0) + 1) or x * m.scale,
}


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize(
    ("cls", "changed"), [(nn.Linear, nn.Linear), (nn.Linear, nn.Module), (Sized, nn.Linear), (Sized, Sized)]
)
def test_an_attribute_that_a_class_gets_later_is_seen(monkeypatch, cls, changed, lookup):
    def outcomes(wrap):
        module, x = cls(3, 3), torch.ones(2)
        call = wrap(lambda x: LOOKUPS[lookup](module, x))
        found = [call(x).tolist(), call(x).tolist()]
        module.__dict__.pop("scale", None)
        with monkeypatch.context() as patch:
            patch.setattr(changed, "scale", 5, raising=False)
            found += [call(x).tolist(), call(x).tolist()]
        module.__dict__.pop("scale", None)
        return [*found, call(x).tolist()]

    assert outcomes(lambda f: quern.compile(f, backend="eager")) == outcomes(lambda f: f)
