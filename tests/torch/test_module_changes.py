"""What an entry assumed of a module is asked of the module that it is given: one function called with many modules, modules that
are entered behind a graph break, in containers, with something changed before or after the first call.
"""

from __future__ import annotations

import collections
import types

import pytest
import torch
from torch import nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrizations, parametrize

import quern

pytestmark = pytest.mark.sampled(2)


class Block(nn.Module):
    scale = 2.0

    def __init__(self):
        super().__init__()
        self.linear, self.act = nn.Linear(3, 3), nn.Tanh()
        self.gain = nn.Parameter(torch.full((3,), 1.5))
        self.register_buffer("shift", torch.ones(3))
        self.register_parameter("bias", None)
        self.kind, self.extra = "a", None

    def forward(self, x):
        y = self.act(self.linear(x)) * self.scale * self.gain + self.shift
        if self.bias is not None:
            y = y + self.bias
        if self.extra is not None:
            y = self.extra(y)
        return self.helper(y * 7 if self.kind == "b" else y)

    def helper(self, y):
        return y + 0.5


class Louder(Block):
    def forward(self, x):
        return super().forward(x) * 10


class Negated(nn.Module):
    def forward(self, x):
        return -x


def _hook(kind, function, where=lambda b: b, **settings):
    def change(block):
        handle = getattr(where(block), f"register_{kind}_hook")(function, **settings)
        return handle.remove

    return change


def _global(register, function):
    return lambda block: register(lambda m, *rest: function(m, *rest) if isinstance(m, nn.Tanh) else None).remove


def _set(name, make, where=lambda b: b):
    """Assign an attribute; undone by assigning what was there, or by deleting it."""

    def change(block):
        owner = where(block)
        had, before = name in owner.__dict__ or not hasattr(type(owner), name), getattr(owner, name)
        setattr(owner, name, make(owner))
        return lambda: setattr(owner, name, before) if had else delattr(owner, name)

    return change


def _shadowed(block):
    block.__dict__["gain"] = torch.full((3,), 4.0)
    return lambda: block.__dict__.pop("gain")


def _replaced(plain):
    """A parameter becomes a buffer, or a plain attribute."""

    def change(block):
        before = block.gain
        del block.gain
        block.gain = torch.full((3,), 4.0) if plain else None
        if not plain:
            del block.gain
            block.register_buffer("gain", torch.full((3,), 3.0))

        def undo():
            del block.gain
            block.gain = before

        return undo

    return change


def _parametrized(block):
    parametrize.register_parametrization(block.linear, "weight", Negated())
    return lambda: parametrize.remove_parametrizations(block.linear, "weight", leave_parametrized=False)


def _weight_norm(block):
    parametrizations.weight_norm(block.linear)
    with torch.no_grad():
        block.linear.parametrizations.weight.original0.mul_(3)
    return lambda: parametrize.remove_parametrizations(block.linear, "weight")


def _class(block):
    block.__class__ = Louder

    def undo():
        block.__class__ = Block

    return undo


def _frozen(block):
    block.linear.requires_grad_(False)
    return lambda: block.linear.requires_grad_(True)


def _new_dict_of_hooks(block):
    block._forward_hooks = collections.OrderedDict()
    return block.register_forward_hook(lambda m, args, out: out * 3).remove


def _new_dict(registry, make, where=lambda b: b):
    """The instance's dict of parameters, buffers or parts gives way to another one."""

    def change(block):
        owner = where(block)
        before = owner.__dict__[registry]
        owner.__dict__[registry] = type(before)({name: make(part) for name, part in before.items()})

        def undo():
            owner.__dict__[registry] = before

        return undo

    return change


def _new_hooks(registry, hook, where=lambda b: b):
    """A filled dict of hooks in the place of an empty one, and the empty one back."""

    def change(block):
        owner = where(block)
        before = owner.__dict__[registry]
        setattr(owner, registry, collections.OrderedDict({7: hook}))

        def undo():
            setattr(owner, registry, before)

        return undo

    return change


_inner = lambda b: b.linear  # noqa: E731

CHANGES = {
    "forward hook": _hook("forward", lambda m, args, out: out + 1),
    "forward hook with kwargs": _hook("forward", lambda m, args, kwargs, out: out * 2, with_kwargs=True),
    "forward hook always called": _hook("forward", lambda m, args, out: out * 2, always_call=True),
    "forward pre-hook": _hook("forward_pre", lambda m, args: (args[0] * 2,)),
    "forward pre-hook with kwargs": _hook("forward_pre", lambda m, a, k: ((a[0] * 3,), k), with_kwargs=True),
    "full backward hook": _hook("full_backward", lambda m, gi, go: (gi[0] * 5,)),
    "full backward pre-hook": _hook("full_backward_pre", lambda m, go: (go[0] * 5,)),
    "hook of a part": _hook("forward", lambda m, args, out: out + 1, _inner),
    "pre-hook of a part": _hook("forward_pre", lambda m, args: args[0] * 2, _inner),
    "backward hook of a part": _hook("full_backward", lambda m, gi, go: (gi[0] * 5,), _inner),
    "global hook": _global(torch_module.register_module_forward_hook, lambda m, args, out: out * 2),
    "global pre-hook": _global(torch_module.register_module_forward_pre_hook, lambda m, args: (args[0] * 2,)),
    "global backward hook": _global(torch_module.register_module_full_backward_hook, lambda m, gi, go: (gi[0] * 2,)),
    "own forward": _set("forward", lambda b: lambda x: x * 3),
    "call of its own": _set("_call_impl", lambda b: lambda x: x * 3),
    "call of a part's own": _set("_compiled_call_impl", lambda b: lambda x: x * 3, _inner),
    "own forward of a part": _set("forward", lambda m: lambda x: x * 3, _inner),
    "own bound forward": _set("forward", lambda m: types.MethodType(lambda self, x: x @ self.weight, m), _inner),
    "own helper": _set("helper", lambda b: lambda y: y * 4),
    "own scale": _set("scale", lambda b: 5.0),
    "setting": _set("kind", lambda b: "b"),
    "optional part": _set("extra", lambda b: nn.ReLU()),
    "other part": _set("linear", lambda b: nn.Identity()),
    "other buffer": _set("shift", lambda b: torch.full((3,), 3.0)),
    "optional parameter": _set("bias", lambda b: nn.Parameter(torch.full((3,), 2.0))),
    "parameter made a buffer": _replaced(plain=False),
    "parameter made an attribute": _replaced(plain=True),
    "attribute before a parameter": _shadowed,
    "parametrization": _parametrized,
    "weight norm": _weight_norm,
    "other class": _class,
    "frozen": _frozen,
    "new dict of hooks": _new_dict_of_hooks,
    "filled dict of hooks": _new_hooks("_forward_hooks", lambda m, args, out: out * 3),
    "filled dict of pre-hooks of a part": _new_hooks("_forward_pre_hooks", lambda m, args: (args[0] * 3,), _inner),
    "filled dict of backward hooks": _new_hooks("_backward_pre_hooks", lambda m, go: (go[0] * 5,), _inner),
    "new dict of parameters": _new_dict("_parameters", lambda p: p if p is None else nn.Parameter(p.detach() + 1)),
    "new dict of a part's parameters": _new_dict("_parameters", lambda p: nn.Parameter(p.detach() * 2), _inner),
    "new dict of equal parameters": _new_dict("_parameters", lambda p: nn.Parameter(p.detach().clone()), _inner),
    "new dict of buffers": _new_dict("_buffers", lambda b: b * 4),
    "new dict of parts": _new_dict("_modules", lambda m: nn.Identity()),
}  # fmt: skip


def _behind_breaks(blocks, compiled):
    def run(x):
        for block in blocks:
            if float(x.detach().sum()) > 1e9:
                x = x * 0
            x = block(x)
        return x

    return compiled(run)


def _one_function(blocks, compiled):
    def apply(block, x):
        return block(x)

    function = compiled(apply)

    def run(x):
        for block in blocks:
            x = function(block, x)
        return x

    return run


def _new_lists(blocks, compiled):
    def apply(some, x):
        for block in some:
            x = block(x)
        return x

    function = compiled(apply)
    return lambda x: function(list(blocks[1:]), function(blocks[:1], x))


def _one_by_one(blocks, compiled):
    return _one_function([compiled(b) for b in blocks], lambda f: f)


CONTEXTS = [_behind_breaks, _one_function, _new_lists, _one_by_one]


def _observe(context, change, when, compiled):
    """Results and gradients before the change, after it, when it is undone, and when another block is changed."""
    torch.manual_seed(0)
    blocks = [Block() for _ in range(3)]
    run = context(blocks, compiled)
    x = torch.linspace(-1, 1, 6).reshape(2, 3).requires_grad_()
    seen = []

    def call():
        x.grad = None
        for block in blocks:
            block.zero_grad()
        out = run(x)
        out.sum().backward()
        seen.append([out.detach(), x.grad, *(p.grad for b in blocks for p in b.parameters())])

    if when == "after":
        call()
    for block in (blocks[2], blocks[1]):
        torch.manual_seed(1)
        undo = change(block)
        try:
            call()
        finally:
            undo()
        call()
    return seen


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("context", CONTEXTS)
def test_a_changed_module_computes_what_it_does_in_eager(context, change, when):
    expected = _observe(context, CHANGES[change], when, lambda f: f)
    found = _observe(context, CHANGES[change], when, lambda f: quern.compile(f, backend="eager"))
    for call, (a, b) in enumerate(zip(expected, found)):
        for one, other in zip(a, b):
            assert (one is None) == (other is None), f"call {call}"
            assert one is None or torch.allclose(one, other, rtol=1e-4, atol=1e-5), f"call {call}: {one} {other}"


def test_blocks_guarded_by_type_share_one_entry():
    """What is asked of each block does not make an entry per block."""
    blocks = [Block() for _ in range(6)]
    counter = quern.testing.CompileCounter()
    run = _one_function(blocks, lambda f: quern.compile(f, backend=counter))
    with torch.no_grad():
        run(torch.ones(2, 3))
        assert counter.frame_count == 2
        blocks[4].linear.register_forward_hook(lambda m, args, out: out + 1)
        run(torch.ones(2, 3))
        assert counter.frame_count == 3


class Refusing(nn.Module):
    def forward(self, x):
        if x.shape[0] > 2:
            raise ValueError("too long")
        return x * 2


def test_hooks_that_are_always_called_see_a_forward_that_raises():
    def observe(compiled):
        seen = []
        inner = nn.Sequential(nn.Linear(3, 3), Refusing())
        inner[1].register_forward_hook(lambda m, args, out: seen.append(out is None), always_call=True)

        def forgiving(x):
            try:
                return inner(x)
            except ValueError as error:
                return x + len(str(error))

        function = compiled(forgiving)
        with torch.no_grad():
            return [function(torch.ones(n, 3)).shape for n in (2, 5, 2, 5)], seen

    assert observe(lambda f: f) == observe(lambda f: quern.compile(f, backend="eager"))


def test_a_compiled_module_looks_at_the_dict_of_hooks_that_it_has_now():
    module = nn.Linear(3, 3)
    function = quern.compile(module, backend="eager")
    with torch.no_grad():
        before = function(torch.ones(2, 3))
        module._forward_hooks = collections.OrderedDict()
        module.register_forward_hook(lambda m, args, out: out + 1)
        assert torch.allclose(function(torch.ones(2, 3)), before + 1)


def test_a_call_of_the_modules_own():
    """An instance's `_call_impl` stands before `forward`, and its hooks."""

    def run(blocks, x):
        for block in blocks:
            x = block(x)
        return x

    blocks = [Block() for _ in range(2)]
    blocks[1].__dict__["_call_impl"] = lambda x: x * 3
    with torch.no_grad():
        x = torch.ones(2, 3)
        assert torch.allclose(quern.compile(run, backend="eager")(blocks, x), run(blocks, x))


def test_a_compiled_call_that_the_instance_got_later():
    model = nn.Linear(2, 2)
    function = quern.compile(model, backend="eager")
    x = torch.ones(1, 2)
    assert torch.equal(function(x), model(x))
    model._compiled_call_impl = lambda x: x * 100
    assert torch.equal(function(x), x * 100)
    model._compiled_call_impl = None
    assert torch.equal(function(x), model(x))


# ---------------------------------------------------------------- another `__dict__`


def _another_dict(m, other):
    m.__dict__ = other.__dict__


def _a_changed_copy(m, other):
    m.__dict__ = {**m.__dict__, "kind": "b"}


def _another_dict_inside(m, other):
    m.linear.__dict__ = other.linear.__dict__


def _other_registries(m, other):
    m.__dict__["_parameters"] = {**m._parameters, "gain": other.gain}
    m.__dict__["_buffers"] = dict(other._buffers)


def _hooks_of_another(m, other):
    other.register_forward_hook(lambda module, args, result: result * 3)
    m.__dict__ = other.__dict__


@pytest.mark.parametrize(
    "change",
    [_another_dict, _a_changed_copy, _another_dict_inside, _other_registries, _hooks_of_another],
    ids=lambda f: f.__name__,
)
def test_a_module_with_another_dict(change):
    def results(compiled):
        torch.manual_seed(0)
        m, other = Block(), Block()
        other.kind = "b"
        with torch.no_grad():
            other.shift.zero_()
        uses = [lambda x: m(x), lambda x: m.gain.sum() * x, lambda x: m.shift + x, lambda x: m.linear(x)]
        calls = [quern.compile(use, backend="eager") if compiled else use for use in uses]
        calls.append(quern.compile(m, backend="eager") if compiled else m)
        found = []
        with torch.no_grad():
            for _ in range(2):
                found += [call(torch.ones(2, 3)) for call in calls]
                change(m, other)
        return found

    torch.testing.assert_close(results(True), results(False))


class Holder(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("held", torch.ones(2))
        self.register_buffer("short", None, persistent=False)
        self.weight = nn.Parameter(torch.ones(2))
        self.plain = torch.ones(2)
        self.inner = nn.ReLU()


def _registered(module):
    names = [
        sorted(n for n, _ in found)
        for found in (module.named_parameters(), module.named_buffers(), module.named_children())
    ]
    return names, sorted(module.state_dict()), sorted(k for k in vars(module) if k[0] != "_")


ASSIGNED = {
    "a parameter": lambda: nn.Parameter(torch.ones(2) * 3),
    "a buffer": lambda: nn.Buffer(torch.zeros(2)),
    "a short buffer": lambda: nn.Buffer(torch.zeros(2), persistent=False),
    "a module": nn.Tanh,
    "a tensor": lambda: torch.zeros(2),
    "None": lambda: None,
    "text": lambda: "text",
}


@pytest.mark.parametrize("name", ["held", "short", "weight", "plain", "inner", "new"])
@pytest.mark.parametrize("value", ASSIGNED)
def test_what_is_assigned_is_registered_as_torch_does(value, name):
    def step(module, x, given):
        setattr(module, name, given)
        return x + 1

    def made_inside(module, x, make):
        setattr(module, name, make())
        return x + 1

    for program, given in ((step, ASSIGNED[value]()), (made_inside, ASSIGNED[value])):
        found = []
        for function in (program, quern.compile(program, backend="eager")):
            module, outcomes = Holder(), []
            for _ in range(2):
                try:
                    outcomes.append(function(module, torch.ones(2), given).tolist())
                except (TypeError, KeyError, AttributeError) as error:
                    outcomes.append((type(error), str(error)))
                outcomes.append(_registered(module))
            found.append(outcomes)
        assert found[0] == found[1]


class Counted(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.ones(2))


def _sum_of_buffers(m, x):
    m.seen = m.seen * 2 + x
    return sum(b.sum() for b in m.buffers()), m.state_dict()["seen"] * 1


def _written_through_its_dict(m, x):
    m.seen = m.seen * 2
    m._buffers["seen"].add_(1)
    return x


def _loaded(m, x):
    m.seen = m.seen + x
    m.load_state_dict({"seen": x * 7})
    return m.seen * 1


def _added_in_the_dict(m, x):
    m.seen = m.seen + x
    m._buffers["seen"] += 1
    return m.seen * 1


def _all_added_to(m, x):
    m.seen = m.seen + x
    for b in m._buffers.values():
        b.add_(1)
    return m.seen * 1


def _emptied(m, x):
    m.seen = None
    return x + (m._buffers["seen"] is None) + len(list(m.buffers()))


def _deleted(m, x):
    m.seen = m.seen + x
    del m.seen
    return x + hasattr(m, "seen") + len(m._buffers)


def _registered_again(m, x):
    m.register_buffer("other", x * 2)
    m.other = m.other + 5
    return m._buffers["other"] * 1


def _deleted_and_set(m, x):
    del m.seen
    m.seen = x * 3
    return x + ("seen" in m._buffers) + 2 * ("seen" in vars(m))


ASSIGNED_BUFFERS = [_sum_of_buffers, _written_through_its_dict, _loaded, _added_in_the_dict, _all_added_to, _emptied, _deleted,
                    _registered_again, _deleted_and_set]  # fmt: skip


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("program", ASSIGNED_BUFFERS)
def test_a_buffer_that_was_assigned_is_there_for_all_who_look(program, backend):
    found = []
    for function in (program, quern.compile(program, backend=backend)):
        for _ in range(2):
            module = Counted()
            made = function(module, torch.full((2,), 0.5))
            found.append((made, module.state_dict(), sorted(vars(module))))
    for given in found[2:]:
        assert str(given) == str(found[0])


def _functional(m, x, p):
    return torch.func.functional_call(m, p, (x,))


def _functional_twice(m, x, p):
    own = {"seen": p["seen"] * 2}
    return torch.func.functional_call(m, own, (x,)), torch.func.functional_call(m, own, (x,)), own["seen"]


def _functional_of_two(m, x, p):
    return torch.func.functional_call(m, ({"seen": p["seen"]}, {}), (x,)), p["seen"]


class Adding(Counted):
    def forward(self, x):
        self.seen = self.seen + x
        return x * self.seen


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("program", [_functional, _functional_twice, _functional_of_two])
def test_what_a_functional_call_assigns_is_in_the_dict_that_it_was_given(program, backend):
    found = []
    for function in (program, quern.compile(program, backend=backend)):
        module, given = Adding(), {"seen": torch.ones(2)}
        found.append(str(([function(module, torch.ones(2), given) for _ in range(3)], given, module.seen)))
    assert found[0] == found[1]
