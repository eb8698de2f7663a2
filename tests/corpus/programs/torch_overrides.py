"""`__torch_function__`: tensor subclasses, modes, and classes that are no tensors."""

# ruff: noqa
# mypy: ignore-errors

import copy

import torch
import torch.nn.functional as F
from torch import nn
from torch_values import on_torch, randn

program = on_torch(__name__)


# ------------------------------------------------------------ __torch_function__


class Logged(torch.Tensor):
    """Counts what is asked of it."""

    calls = 0

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        Logged.calls += 1
        return super().__torch_function__(func, types, args, kwargs or {})


class Celsius(torch.Tensor):
    pass


@program(args=lambda: (randn(3, 4).as_subclass(Celsius),))
def subclass_argument(x):
    y = x * 2
    return y, type(y).__name__, isinstance(y, Celsius)


@program
def subclass_made_inside(x):
    y = x.as_subclass(Celsius)
    return (y + 1).sum(), type(y + 1).__name__


@program(args=lambda: (randn(3, 4).as_subclass(Logged),))
def subclass_with_function(x):
    return x + 1


class Doubling(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        return out * 2 if func is torch.sin else out


@program
def function_mode_inside(x):
    with Doubling():
        return torch.sin(x), torch.cos(x)


@program.maker
def function_mode_from_outside():
    mode = Doubling()

    def fn(x):
        with mode:
            y = torch.sin(x)
        return y + torch.sin(x)

    return fn


@program
def function_disabled(x):
    with torch._C.DisableTorchFunctionSubclass():
        return x + 1


@program
def device_mode(x):
    with torch.device("cpu"):
        return torch.ones(3) + torch.arange(3)


class Wrapper:
    """A duck-typed array."""

    def __init__(self, data):
        self.data = data

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        plain = [a.data if isinstance(a, Wrapper) else a for a in args]
        return Wrapper(func(*plain, **(kwargs or {})))


@program
def duck_typed_array(x):
    w = Wrapper(x)
    return torch.add(w, 1).data, torch.sin(w).data, torch.stack([x, x]).shape


# ------------------------------------------------------------ what such code sees


class Noting(torch.overrides.TorchFunctionMode):
    """Notes functions, types and arguments."""

    def __init__(self, seen):
        self.seen = seen

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        self.seen.append((getattr(func, "__name__", None), [t.__name__ for t in types], len(args), sorted(kwargs)))
        return func(*args, **kwargs)


@program
def mode_sees_operators(x, y):
    seen = []
    with Noting(seen):
        z = x + y - 1
        z = 1 - z * 2
        z = z / 2 + 2 / (z.abs() + 1) + z // 2 + z % 3
        z = -z @ y.T
        z = z**2 + 2 ** z.clamp(-1, 1)
        mask = (z == 1) | (z < 1)
        z = torch.where(mask, z, 0.0)
    return z, seen


@program
def mode_sees_methods_and_attributes(x):
    seen = []
    with Noting(seen):
        a = x.sin().sum(dim=0, keepdim=True)
        b = x[0], x[1:, ::2], x.shape, x.dtype, x.ndim, len(x), x.size(0)
        c = x.view(-1).to(torch.float64).float()
    return a, b, c, seen


@program
def mode_sees_functions(x, m):
    seen = []
    with Noting(seen):
        a = torch.zeros(3) + torch.arange(3)
        b = F.relu(x) + F.softmax(x, dim=-1) + F.linear(x, m) + F.dropout(x, 0.5, training=False)
        c = torch.stack([x, x]).sum() + torch.cat((x, x), dim=1).mean()
    return a, b, c, seen


@program
def mode_sees_writes(x):
    seen = []
    y = x.clone()
    with Noting(seen):
        y.add_(1)
        y += 2
        y[0] = 3
        y.mul_(2).relu_()
    return y, seen


@program.maker
def mode_sees_a_module():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.LayerNorm(3))

    def fn(x):
        seen = []
        with Noting(seen):
            y = net(x)
        return y, seen

    return fn


@program
def modes_nested(x):
    outer, inner = [], []
    with Noting(outer), Doubling():
        with Noting(inner):
            y = torch.sin(x)
        z = torch.sin(y)
    return y, z, outer, inner


class Replacing(torch.overrides.TorchFunctionMode):
    """Computes cosines in place of sines, and calls other functions."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.sin, torch.Tensor.sin):
            return torch.cos(*args) * 2
        if func is torch.Tensor.add:
            return torch.sub(args[0], args[1])
        return func(*args, **(kwargs or {}))


@program
def mode_replaces(x):
    with Replacing():
        return torch.sin(x), x.sin() + 1, x.cos()


@program
def mode_around_a_break(x):
    with Doubling():
        y = torch.sin(x)
        print("broken")
        z = torch.sin(y)
    return y, z, torch.sin(x)


class Refusing(torch.overrides.TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is torch.exp:
            raise ValueError("no exp")
        return func(*args, **(kwargs or {}))


@program
def mode_that_raises(x):
    try:
        with Refusing():
            return torch.exp(x)
    except ValueError as error:
        return str(error), torch.exp(x)


# ------------------------------------------------------------ subclasses


class Scaled(torch.Tensor):
    factor = 2

    def twice(self):
        return self * self.factor

    @property
    def rows(self):
        return self.shape[0]


class Recording(torch.Tensor):
    """Notes what is asked of it."""

    seen = []

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        cls.seen.append((getattr(func, "__name__", None), [t.__name__ for t in types], len(args)))
        return super().__torch_function__(func, types, args, kwargs or {})


@program(args=lambda: (randn(3, 4).as_subclass(Scaled),))
def subclass_methods(x):
    y = x.twice()
    return y, y.rows, y.factor, type(y).__name__, (y + 1).twice()


@program(args=lambda: (randn(3, 4).as_subclass(Celsius), randn(3, 4)))
def subclass_and_plain(x, y):
    return x + y, y + x, torch.cat([y, x]), y * 2, [type(t).__name__ for t in (x + y, y + x, torch.add(y, x), y * 2)]


@program(args=lambda: (randn(3, 4).as_subclass(Celsius),))
def subclass_views_and_items(x):
    y = x[1:]
    return y, x.t(), x.view(-1), x.shape, type(x.shape).__name__, type(y).__name__, x.unbind(0), x.max(dim=0)


@program(args=lambda: (randn(3, 4).as_subclass(Celsius),))
def subclass_writes(x):
    x.add_(1)
    x[0] = 5
    y = x * 1
    y.mul_(2)
    return x, y, type(x.mul_(2)).__name__


@program(args=lambda: (randn(3, 4).as_subclass(Recording),), state=("Recording",))
def subclass_notes(x):
    Recording.seen = []
    y = (x + 1).sin() @ x.t()
    return y.sum(), list(Recording.seen)


@program(args=lambda call: (randn(3, 4).as_subclass(Celsius) if call % 2 else randn(3, 4),), calls=4)
def subclass_at_times(x):
    y = x.exp()
    return y, type(y).__name__


@program(grad=True, args=lambda: (randn(3, 4).requires_grad_(),))
def subclass_with_gradients(x):
    y = x.as_subclass(Celsius)
    z = (y * 2).sum()
    return z, z.requires_grad, type(z).__name__


@program(args=lambda: (_with(randn(3, 4).as_subclass(Celsius), unit="K"),))
def subclass_with_attributes(x):
    y = x + 1
    y.unit = "C"
    return x.unit, y, hasattr(x * 2, "unit")


def _with(x, **attrs):
    for k, v in attrs.items():
        setattr(x, k, v)
    return x


@program
def subclass_back_to_plain(x):
    y = x.as_subclass(Celsius) + 1
    return y.as_subclass(torch.Tensor), type(y.as_subclass(torch.Tensor)).__name__


@program(args=lambda: (randn(3, 4).as_subclass(Celsius),))
def subclass_under_a_mode(x):
    seen = []
    with Noting(seen):
        y = x + 1
    return y, type(y).__name__, seen


@program(args=lambda: (randn(3, 4).as_subclass(Celsius),))
def subclass_disabled(x):
    with torch._C.DisableTorchFunctionSubclass():
        y = x + 1
    return type(y).__name__, y


@program(args=lambda: (randn(3, 4).as_subclass(Celsius),))
def subclass_across_a_break(x):
    y = x + 1
    print("broken")
    return y * 2, type(y).__name__


@program.maker
def subclass_through_a_module():
    net = nn.Sequential(nn.Linear(4, 2), nn.Tanh())
    return lambda x: (lambda y: (y, type(y).__name__))(net(x.as_subclass(Celsius)))


class Diagonal:
    """A matrix with one number, for which some functions are its own."""

    handled = {}

    def __init__(self, n, value):
        self.n, self.value = n, value

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        if func not in cls.handled or not all(issubclass(t, (torch.Tensor, cls)) for t in types):
            return NotImplemented
        return cls.handled[func](*args, **(kwargs or {}))


def _implements(*functions):
    def add(fn):
        Diagonal.handled.update({f: fn for f in functions})
        return fn

    return add


@_implements(torch.mean)
def _mean(d):
    return d.value / d.n


@_implements(torch.matmul, torch.mm)
def _matmul(a, b):
    if isinstance(a, Diagonal):
        return a.value * b
    return a * b.value


@program
def diagonal_matrix(x):
    d = Diagonal(4, 3.0)
    return torch.mean(d), torch.matmul(x, d), torch.mm(d, x.t())


@program
def diagonal_matrix_refuses(x):
    d = Diagonal(4, 3.0)
    return torch.add(d, 1)
