"""Programs that change one fact between two calls of a compiled function: tensors, modules and torch's own state."""

# ruff: noqa: B006, B023, B905, PLW0603, E731
# mypy: ignore-errors

from __future__ import annotations

import collections
import contextlib
import warnings

import numpy as np
import torch
from changes_objects import X
from registry import Topic
from torch import nn

program = Topic(__name__)

# ------------------------------------------------------------ tensors


def described(f, *args):
    found = f(*args)
    return found, found.requires_grad, found.stride(), found.is_conj(), found.is_neg(), type(found).__name__


@program.script
def metadata(c):
    f = c(lambda x: x * 2 + 1)
    with torch.no_grad():
        for x in (X, X.double(), X.half(), X.int(), X > 2, X.t(), X[:, :2], X[::2], X[0], X.expand(4, 2, 3), X.sum(), X[:0],
                  X.reshape(1, 2, 3), X.to(torch.complex64), X.bfloat16(), X.long(), torch.empty(0), X.permute(1, 0).contiguous()):  # fmt: skip
            yield described(f, x)


@program.script
def requires_grad(c):
    f = c(lambda x: x * 2 + 1)
    a = X.clone().requires_grad_()
    yield described(f, X)
    yield described(f, a)
    a.requires_grad_(False)
    yield described(f, a)
    yield described(f, a * 1)
    a.requires_grad_(True)
    yield described(f, a * 1)
    with torch.no_grad():
        yield described(f, a)
    with torch.inference_mode():
        yield described(f, a)[1:], f(a).is_inference()
    yield f(X).is_inference(), f(a).is_inference()


@program.script
def requires_grad_decides(c):
    f = c(lambda x: x + 1 if x.requires_grad else x - 1)
    a = X.clone()
    yield f(a)
    yield f(a.requires_grad_())
    yield f(a.detach())
    g = c(lambda x: x + 1 if x.is_leaf else x - 1)
    yield g(a), g(a * 1), g(X)


@program.script
def grad_mode_decides(c):
    f = c(lambda x: x + 1 if torch.is_grad_enabled() else x - 1)
    yield f(X)
    with torch.no_grad():
        yield f(X)
    with torch.inference_mode():
        yield f(X).is_inference()
    g = c(lambda x: x + 1 if torch.is_inference_mode_enabled() else x - 1)
    yield g(X)
    with torch.inference_mode():
        yield g(X).tolist()
    with torch.no_grad():
        yield g(X)


@program.script
def grad_attribute(c):
    f = c(lambda x: x + 1 if x.grad is None else x.detach() * x.grad)
    a = X.clone().requires_grad_()
    yield f(a).detach()
    a.sum().backward()
    yield f(a)
    a.grad.mul_(3)
    yield f(a)
    a.grad = None
    yield f(a).detach()


@program.script
def conj_and_neg(c):
    f = c(lambda x: x * 2)
    z = torch.tensor([1 + 2j, 3 - 1j])
    yield f(z)
    yield f(z.conj())
    yield f(torch._neg_view(X))
    yield f(z.conj().imag)
    g = c(lambda x: x.is_conj())
    yield g(z), g(z.conj())


@program.script
def layouts(c):
    f = c(lambda x: x * 2)
    yield f(X)
    yield f(X.to_sparse()).to_dense()
    yield f(X)
    g = c(lambda x: x.contiguous().view(-1) if x.is_contiguous() else x.reshape(-1) + 1)
    y = torch.arange(24.0).reshape(2, 3, 4)
    yield g(y), g(y.transpose(1, 2)), g(y[:, :, ::2]), g(y[:, :1])
    h = c(lambda x: x + 1)
    image = torch.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    for v in (image, image.to(memory_format=torch.channels_last), image.permute(3, 2, 1, 0), image[:, :, ::2, ::2]):
        yield described(h, v)


class Sub(torch.Tensor):
    pass


@program.script
def subclasses(c):
    f = c(lambda x: x * 2)
    yield described(f, X)
    yield described(f, X.as_subclass(Sub))
    yield described(f, nn.Parameter(X))
    yield described(f, nn.Parameter(X, requires_grad=False))
    yield described(f, nn.Buffer(X))
    f = c(lambda x: type(x).__name__)
    yield f(X), f(nn.Parameter(X)), f(X.as_subclass(Sub))


@program.script
def same_tensor_then_two(c):
    def f(a, b):
        a.add_(1)
        return a * b

    f = c(f)
    x, y = X.clone(), X.clone()
    yield f(x, x), x
    yield f(x, y), x, y
    yield f(x, x), x
    base = torch.arange(8.0)
    yield f(base[:4], base[2:6]), base
    yield f(base[:4], base[4:]), base
    yield f(base[:4], base[:4]), base
    yield f(base[:4], base[:4].clone()), base


@program.script
def overlapping_views(c):
    def f(a, b):
        a[0] = 9
        return b + a

    f = c(f)
    base = torch.zeros(3, 3)
    yield f(base, base), base
    base = torch.zeros(3, 3)
    yield f(base, base.t()), base
    yield f(torch.zeros(3, 3), torch.zeros(3, 3))
    base = torch.zeros(4, 3)
    yield f(base[1:], base[:3]), base


@program.script
def expanded_input(c):
    def f(a):
        return a.add(1), a.storage_offset(), a.stride()

    f = c(f)
    base = torch.zeros(8)
    yield f(base[:4]), f(base[2:6]), f(base[:1].expand(4)), f(base[::2])


@program.script
def storage_offset(c):
    def f(a):
        return a.as_strided((2,), (1,), 0)

    f = c(f)
    base = torch.arange(8.0)
    yield f(base), f(base[4:])


@program.script
def tensor_attributes(c):
    f = c(lambda x: x * getattr(x, "scale", 1))
    a = X.clone()
    yield f(a)
    a.scale = 3
    yield f(a)
    a.scale = 4
    yield f(a)
    yield f(X)


@program.script
def tensors_in_containers(c):
    f = c(lambda d: [v * i for i, v in enumerate(d["xs"])])
    yield f({"xs": [X, X]})
    yield f({"xs": [X, X + 1]})
    yield f({"xs": [X]})
    yield f({"xs": [X, X.double()]})
    yield f({"xs": (X, 3)})


@program.script
def tensor_identity(c):
    f = c(lambda a, b: a + 1 if a is b else b - 1)
    y = X.clone()
    yield f(X, X), f(X, y), f(y, y), f(X, X[:])


@program.script
def none_or_tensor(c):
    f = c(lambda x, mask=None: x if mask is None else x * mask)
    yield f(X), f(X, X), f(X, None), f(X, mask=X), f(X, X > 2)


@program.script
def version_and_data(c):
    f = c(lambda x: x + 1)
    a = X.clone()
    yield f(a)
    a.data = torch.ones(4)
    yield f(a)
    a.data = torch.ones(4, dtype=torch.int64).float()
    yield f(a)
    a.set_(torch.ones(2, 2))
    yield f(a)


@program.script
def scalars_of_tensors(c):
    f = c(lambda x, n: x * n)
    yield (
        f(X, torch.tensor(2)),
        f(X, torch.tensor(2.0)),
        f(X, 2),
        f(X, torch.tensor(2.0, dtype=torch.float64)),
        f(X, np.float64(2)),
    )
    yield (
        f(X, torch.tensor([2.0], dtype=torch.float64)),
        f(X.int(), torch.tensor(2.0)),
        f(X.int(), 2.5),
        f(X.int(), True),
    )


@program.script
def numpy_arrays(c):
    f = c(lambda x, a: x * torch.from_numpy(a))
    a = np.ones(3, dtype=np.float32)
    yield f(X, a)
    a[:] = 3
    yield f(X, a)
    yield f(X, a.astype(np.float64))
    yield f(X, np.ones((2, 3), dtype=np.int64))


@program.script
def random_numbers_by_settings_that_change(c):
    f = c(lambda x, s: (torch.normal(0.0, s, (3,)), torch.rand(2), x.clone().normal_(0.0, s), torch.randperm(5)))
    for spread in (0.5, 1.5, 2.5, 3.5):
        torch.manual_seed(3)
        yield f(X, spread), torch.rand(2)


@program.script
def data_dependent(c):
    f = c(lambda x: x * 2 if x.sum() > 5 else x - 1)
    yield f(X), f(-X), f(X)
    g = c(lambda x: x[: int(x[0, 0])])
    yield g(X), g(X * 2), g(X * 0)
    h = c(lambda x: x * x.max().item() + len(x.nonzero()))
    yield h(X), h(X - 3), h(X * 0)


# ------------------------------------------------------------ modules


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(3, 3)
        self.drop = nn.Dropout(0.5)
        self.act = nn.ReLU()
        self.register_buffer("buf", torch.ones(3))
        self.scale = 2
        self.flag = False
        self.extra = None
        nn.init.constant_(self.lin.weight, 0.5)
        nn.init.constant_(self.lin.bias, 0.25)

    def forward(self, x):
        y = self.act(self.lin(x) * self.scale + self.buf)
        if self.flag:
            y = y - 1
        if self.extra is not None:
            y = y + self.extra
        if self.training:
            y = y * 100
        return y


@program.script
def module_settings(c):
    m = Net()
    f = c(m)
    with torch.no_grad():
        yield f(X)
        m.eval()
        yield f(X)
        m.scale = 3
        yield f(X)
        m.flag = True
        yield f(X)
        m.scale = 3.0
        yield f(X)
        m.extra = X
        yield f(X)
        m.extra = 4
        yield f(X)
        m.extra = nn.Parameter(torch.ones(3))
        yield f(X)
        m.train()
        yield f(X)


@program.script
def module_parts_replaced(c):
    m = Net().eval()
    f = c(m)
    with torch.no_grad():
        yield f(X)
        m.lin = nn.Linear(3, 2, bias=False)
        m.buf = torch.ones(1)
        nn.init.ones_(m.lin.weight)
        yield f(X)
        m.act = nn.Tanh()
        yield f(X)
        m.act = torch.sin if False else nn.Sigmoid()
        yield f(X)
        m.lin.weight = nn.Parameter(torch.zeros(2, 3))
        yield f(X)
        m.lin.bias = nn.Parameter(torch.ones(2))
        yield f(X)
        m.lin.bias = None
        yield f(X)
        del m.act
        m.act = lambda x: x + 5
        yield f(X)


@program.script
def parameters_change(c):
    m = Net().eval()
    f = c(m)
    yield described(f, X)
    m.lin.weight.requires_grad_(False)
    yield described(f, X)
    m.requires_grad_(False)
    yield described(f, X)
    m.requires_grad_(True)
    yield described(f, X)
    m.double()
    yield described(f, X.double())
    m.float()
    with torch.no_grad():
        m.lin.weight.mul_(2)
    yield described(f, X)
    m.lin.weight.data = torch.ones(3, 3)
    yield described(f, X)
    m.load_state_dict({k: v * 3 for k, v in m.state_dict().items()})
    yield described(f, X)
    m.load_state_dict({k: v * 3 for k, v in m.state_dict().items()}, assign=True)
    yield described(f, X)


@program.script
def buffers_change(c):
    m = Net().eval()
    f = c(m)
    with torch.no_grad():
        m.buf.add_(1)
        yield f(X)
        m.buf = torch.full((3,), 8.0)
        yield f(X)
        m.buf = torch.full((3,), 8, dtype=torch.int64)
        yield f(X)
        m._buffers["buf"] = torch.full((2, 1), 9.0)
        yield f(X)


@program.script
def hooks(c):
    m = Net().eval()
    f = c(m)
    with torch.no_grad():
        yield f(X)
        h = m.register_forward_hook(lambda mod, args, out: out + 1000)
        yield f(X)
        h.remove()
        yield f(X)
        h = m.lin.register_forward_pre_hook(lambda mod, args: (args[0] * 10,))
        yield f(X)
        k = m.lin.register_forward_hook(lambda mod, args, out: out - 7)
        yield f(X)
        h.remove()
        yield f(X)
        k.remove()
        yield f(X)
        g = nn.modules.module.register_module_forward_hook(lambda mod, args, out: out * 2)
        try:
            found = f(X)
        finally:
            g.remove()
        yield found
        yield f(X)


@program.script
def hook_state(c):
    m = Net().eval()
    seen = []
    n = 1
    h = m.register_forward_hook(lambda mod, args, out: seen.append(float(out.sum())) or out * n)
    f = c(m)
    with torch.no_grad():
        yield f(X)
        n = 3
        yield f(X)
    yield seen
    h.remove()
    with torch.no_grad():
        yield f(X)
    yield seen


@program.script
def backward_hooks(c):
    m = Net().eval()
    seen = []
    f = c(m)
    f(X).sum().backward()
    h = m.lin.register_full_backward_hook(lambda mod, gi, go: seen.append(float(go[0].sum())))
    f(X).sum().backward()
    yield seen
    h.remove()
    f(X).sum().backward()
    yield seen, m.lin.weight.grad


@program.script
def tensor_hooks(c):
    seen = []
    f = c(lambda x: (x * 2).sum())
    a = X.clone().requires_grad_()
    h = a.register_hook(lambda g: seen.append(float(g.sum())) or g * 3)
    f(a).backward()
    yield a.grad, seen
    h.remove()
    a.grad = None
    f(a).backward()
    yield a.grad, seen


@program.script
def forward_patched(c):
    m = Net().eval()
    f = c(lambda x: m(x))
    with torch.no_grad():
        yield f(X)
        m.forward = lambda x: x * 7
        yield f(X)
        del m.forward
        yield f(X)
        before = Net.forward
        Net.forward = lambda self, x: x * 9
        try:
            found = f(X)
        finally:
            Net.forward = before
        yield found
        m.lin.forward = lambda x: x
        yield f(X)


@program.script
def forward_patched_of_compiled(c):
    m = Net().eval()
    f = c(m)
    with torch.no_grad():
        yield f(X)
        before = Net.forward
        Net.forward = lambda self, x: x * 9
        try:
            found = f(X)
        finally:
            Net.forward = before
        yield found
        m.forward = lambda x: x * 7
        yield f(X)
        m.lin.forward = lambda x: x
        del m.forward
        yield f(X)


@program.script
def module_lists(c):
    class Seq(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.ReLU(), nn.Tanh()])
            self.named = nn.ModuleDict({"a": nn.ReLU()})
            self.ps = nn.ParameterList([torch.ones(3)])

        def forward(self, x):
            for layer in self.layers:
                x = layer(x)
            for k, m in self.named.items():
                x = m(x) + len(k)
            for p in self.ps:
                x = x * p
            return x

    m = Seq()
    f = c(m)
    with torch.no_grad():
        yield f(X)
        m.layers.append(nn.Sigmoid())
        yield f(X)
        m.layers[0] = nn.Identity()
        yield f(X)
        del m.layers[1]
        yield f(X)
        m.named["bb"] = nn.Tanh()
        yield f(X)
        m.ps.append(nn.Parameter(torch.full((3,), 2.0)))
        yield f(X)
        m.named.pop("a")
        yield f(X)


@program.script
def submodule_train_flag(c):
    m = nn.Sequential(nn.BatchNorm1d(3), nn.Dropout(0.5))
    f = c(m)
    with torch.no_grad():
        m.eval()
        yield f(X)
        m[0].train()
        yield f(X), m[0].running_mean, m[0].num_batches_tracked
        m[0].momentum = 0.5
        yield f(X), m[0].running_mean, m[0].num_batches_tracked
        m[0].momentum = None
        yield f(X), m[0].running_mean, m[0].num_batches_tracked
        m[0].eval()
        m[0].eps = 1.0
        yield f(X)
        m[0].track_running_stats = False
        yield f(X)
        m[0].running_mean = None
        m[0].running_var = None
        yield f(X)


@program.script
def dropout_rate(c):
    m = nn.Dropout(0.5)
    f = c(m)
    torch.manual_seed(0)
    yield f(X)
    m.p = 0.0
    yield f(X)
    m.p = 1.0
    yield f(X)
    m.inplace = True
    y = X.clone()
    yield f(y), y


@program.script
def two_instances_of_a_class(c):
    one, two = Net().eval(), Net().eval()
    two.scale = 5
    f = c(lambda m, x: m(x))
    with torch.no_grad():
        yield f(one, X), f(two, X), f(one, X)
        two.act = nn.Tanh()
        yield f(two, X), f(one, X)


@program.script
def shared_parameters(c):
    m = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    for p in m.parameters():
        nn.init.constant_(p, 0.5)
    f = c(m)
    yield described(f, X)
    m[1].weight = m[0].weight
    with torch.no_grad():
        m[0].weight.add_(1)
    yield described(f, X)
    f(X).sum().backward()
    yield m[0].weight.grad
    m[1].weight = nn.Parameter(torch.ones(3, 3))
    yield described(f, X)


@program.script
def class_of_module_changed(c):
    class Other(Net):
        def forward(self, x):
            return x * 5

    m = Net().eval()
    f = c(lambda x: m(x))
    with torch.no_grad():
        yield f(X)
        m.__class__ = Other
        yield f(X)


@program.script
def parametrization_added(c):
    m = nn.Linear(3, 3, bias=False)
    nn.init.ones_(m.weight)

    class Double(nn.Module):
        def forward(self, w):
            return w * 2

    f = c(lambda x: m(x))
    with torch.no_grad():
        yield f(X)
        nn.utils.parametrize.register_parametrization(m, "weight", Double())
        yield f(X)


# ------------------------------------------------------------ torch's state


@program.script
def autocast(c):
    f = c(lambda x, w: x @ w)
    w = torch.ones(3, 3)
    yield f(X, w)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield f(X, w)
    with torch.autocast("cpu", dtype=torch.float16):
        yield f(X, w)
    with torch.autocast("cpu", enabled=False):
        yield f(X, w)
    yield f(X, w)
    g = c(lambda x: x + 1 if torch.is_autocast_enabled("cpu") else x - 1)
    yield g(X)
    with torch.autocast("cpu"):
        yield g(X)


@program.script
def default_dtype(c):
    f = c(lambda x: x + torch.ones(3) * torch.tensor(2.5))
    yield f(X)
    torch.set_default_dtype(torch.float64)
    try:
        found = f(X)
    finally:
        torch.set_default_dtype(torch.float32)
    yield found
    yield f(X)
    g = c(lambda x: x.to(torch.get_default_dtype()))
    yield g(X)


@program.script
def default_device(c):
    f = c(lambda x: torch.ones(3).device.type + torch.empty(0).device.type)
    yield f(X)
    with torch.device("meta"):
        found = f(X)
    yield found
    yield f(X)
    torch.set_default_device("meta")
    try:
        found = f(X)
    finally:
        torch.set_default_device(None)
    yield found
    yield f(X)


class Mode(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.sin:
            return args[0] * 1000
        return func(*args, **(kwargs or {}))


@program.script
def function_modes(c):
    f = c(lambda x: torch.sin(x) + 1)
    yield f(X)
    with Mode():
        yield f(X)
    yield f(X)
    with torch._C.DisableTorchFunctionSubclass():
        yield f(X)


@program.script
def deterministic(c):
    def f(x):
        return x + 1 if torch.are_deterministic_algorithms_enabled() else x - 1

    f = c(f)
    yield f(X)
    torch.use_deterministic_algorithms(True)
    try:
        found = f(X)
    finally:
        torch.use_deterministic_algorithms(False)
    yield found
    yield f(X)


@program.script
def flags_of_backends(c):
    def f(x):
        flags = torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32, torch.backends.mkldnn.enabled
        return x + sum(flags), torch.get_float32_matmul_precision()

    f = c(f)
    yield f(X)
    with torch.backends.cudnn.flags(enabled=True, benchmark=True):
        yield f(X)
    torch.set_float32_matmul_precision("high")
    yield f(X)
    torch.set_float32_matmul_precision("highest")


@program.script
def thread_count(c):
    f = c(lambda x: x * torch.get_num_threads())
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield f(X)
    torch.set_num_threads(2)
    found = f(X)
    torch.set_num_threads(before)
    yield found


@program.script
def warnings_given(c):
    def f(x):
        warnings.warn("careful", stacklevel=1)
        return x + 1

    f = c(f)
    for action in ("ignore", "always", "error", "always"):
        with warnings.catch_warnings(record=action != "error") as seen:
            warnings.simplefilter(action)
            try:
                yield f(X)
            except UserWarning as e:
                yield repr(e)
        yield [str(w.message) for w in seen or ()]


@program.script
def errors_of_numpy(c):
    def f(a):
        return a / 0

    f = c(f)
    a = np.ones(3)
    with np.errstate(all="ignore"):
        yield f(a)
    with np.errstate(all="raise"):
        try:
            yield f(a)
        except FloatingPointError as e:
            yield repr(e)
    with np.errstate(all="ignore"):
        yield f(a)


@program.script
def anomaly_and_flush(c):
    f = c(lambda x: x + torch.is_anomaly_enabled())
    yield f(X)
    with torch.autograd.detect_anomaly(check_nan=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield f(X)
    g = c(lambda x: x * 1e-30)
    small = torch.full((4,), 1e-10)
    yield g(small)
    if torch.set_flush_denormal(True):
        try:
            found = g(small)
        finally:
            torch.set_flush_denormal(False)
        yield found


@program.script
def saved_tensor_hooks(c):
    f = c(lambda x: (x * x).sum())
    a = X.clone().requires_grad_()
    f(a).backward()
    seen = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: seen.append(1) or t * 2, lambda t: t):
        out = f(a)
    a.grad = None
    out.backward()
    yield a.grad, len(seen) > 0


@program.script
def functional_transforms(c):
    f = c(lambda x: x.sin().sum())
    yield f(X)
    yield torch.func.grad(f)(X)
    yield torch.func.vmap(f)(X)
    yield f(X)
    out, tangent = torch.func.jvp(f, (X,), (torch.ones_like(X),))
    yield out, tangent


@program.script
def forward_mode_ad(c):
    f = c(lambda x: x.sin())
    yield f(X)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(X, torch.ones_like(X))
        out = torch.autograd.forward_ad.unpack_dual(f(dual))
        yield out.primal, out.tangent
    yield f(X)


@program.script
def context_inside(c):
    def f(x, on):
        with torch.set_grad_enabled(on):
            y = x * 2
        return y

    f = c(f)
    a = X.clone().requires_grad_()
    yield described(f, a, True), described(f, a, False), described(f, a, True)
    with contextlib.suppress(ValueError), torch.no_grad():
        yield described(f, a, True)


@program.script
def inference_tensors(c):
    with torch.inference_mode():
        inside = X * 1
    f = c(lambda x: x * 2)
    yield f(X).is_inference()
    yield f(inside).is_inference()
    with torch.inference_mode():
        yield f(X).is_inference()
        yield f(inside).is_inference()
    a = X.clone().requires_grad_()
    try:
        yield c(lambda x, y: x * y)(a, inside).requires_grad
    except RuntimeError as e:
        yield str(e)[:40]


@program.script
def autograd_leaf_written(c):
    def f(x):
        x.add_(1)
        return x * 2

    f = c(f)
    yield f(X.clone())
    a = X.clone().requires_grad_()
    try:
        yield f(a)
    except RuntimeError as e:
        yield str(e)[:50]
    with torch.no_grad():
        yield f(a), a
    b = a * 1
    yield described(f, b), b.requires_grad


@program.script
def grad_fn_names(c):
    f = c(lambda x: x.grad_fn is None)
    a = X.clone().requires_grad_()
    yield f(a), f(a * 2), f(X)


@program.script
def a_tensor_class_that_sees_what_is_asked_of_it(c):
    seen = []

    class Watching(torch.Tensor):
        @classmethod
        def __torch_function__(cls, function, classes, args=(), kwargs=None):
            seen.append(function.__name__)
            return super().__torch_function__(function, classes, args, kwargs or {})

    @c
    def f(x):
        return torch.add(x, 1) * 2

    yield f(X), list(seen)
    yield torch.Tensor(f(X.clone().as_subclass(Watching))), list(seen)
    yield f(X[:1]), list(seen)
    yield torch.Tensor(f(X[:1].clone().as_subclass(Watching))), list(seen)


@program.script
def inference_mode_switched_inside(c):
    w = torch.ones(3, requires_grad=True)

    @c
    def f(x):
        before = x * w
        with torch.inference_mode(False):
            off, recording = x * w, torch.is_grad_enabled()
        with torch.inference_mode(), torch.enable_grad():
            inside, enabled = x * w, torch.is_grad_enabled()
        with torch.no_grad(), torch.inference_mode(False):
            again = x * w
        records = [t.requires_grad for t in (before, off, inside, again)]
        return records, recording, enabled, torch.is_grad_enabled()

    yield f(X)
    with torch.inference_mode():
        yield f(X)
    with torch.no_grad():
        yield f(X)


@program.script
def hooks_in_other_dicts(c):
    layers = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.ReLU())

    @c
    def f(x):
        return layers(x)

    with torch.no_grad():
        yield f(X)
        kept = layers[1]._forward_hooks
        layers[1]._forward_hooks = collections.OrderedDict({0: lambda m, args, out: out + 100})
        yield f(X)
        layers[1]._forward_hooks = collections.OrderedDict()
        yield f(X)
        layers[1].register_forward_hook(lambda m, args, out: out - 50)
        yield f(X)
        layers[1]._forward_hooks = kept
        yield f(X)
        layers[0]._parameters = {"weight": torch.nn.Parameter(torch.eye(3)), "bias": None}
        yield f(X)
        layers._modules = {"only": layers[0]}
        yield f(X)
