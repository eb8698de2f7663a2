"""What tests of capture ask for: choices between tensors, legacy constructors, pieces of sizes that change, operators as they are."""

# ruff: noqa
# mypy: ignore-errors

import collections
import copy
import dataclasses

import torch
import torch.utils._pytree as pytree
from registry import Expect
from torch_values import on_torch, randn

program = on_torch(__name__)


@program(expect=Expect.WHOLE)
def the_larger_of_two(x):
    return max(x.sum(), x.mean()) + 1, min(x[0, 0], x[1, 1]) * 2


@program(expect=Expect.WHOLE)
def the_larger_itself(x):
    a, b = x.sum(), x.mean()
    return max(a, b), a, b, min(x[0, 0], x[1, 1])


@program(expect=Expect.WHOLE)
def the_largest_of_many(x):
    return max(x[0, 0], x[1, 1], x[2, 2]).exp(), min([v.sum() for v in x]), max(x.unbind(1)[0].unbind(0))


@program(
    args=lambda call: (torch.tensor(float("nan")) if call else torch.randn(()), torch.randn(())), expect=Expect.WHOLE
)
def nan_among_them(s, t):
    return max(s, t) + 0, max(t, s) + 0, min(s, t) + 0, min(t, s) + 0


@program(args=lambda: (torch.randn(()).requires_grad_(), torch.randn(()).requires_grad_()), grad=True)
def gradients_of_the_larger(s, t):
    return max(s * 2, t * 3) * 4


@program
def written_after_it_was_chosen(x):
    a, b = x.sum(), x.mean()
    m = max(a, b)
    a.add_(100)
    return m + 1, m


@program
def the_chosen_one_written(x):
    a, b = x.sum(), x.mean()
    m = max(a, b)
    m.add_(100)
    return a, b


@program
def a_tensor_and_a_number(x):
    return max(x.sum(), 3.0), min(2, x.mean())


@program(expect=Expect.WHOLE)
def legacy_constructors(x):
    made = (
        torch.LongTensor([1, 2, 3]),
        torch.HalfTensor([1, 2]),
        torch.BoolTensor([True, False]),
        torch.ByteTensor([[3], [4]]),
    )
    sized = (
        torch.FloatTensor(2, 3).fill_(1.0),
        torch.Tensor(2).zero_(),
        torch.Tensor(x.size()).copy_(x),
        torch.IntTensor().shape,
    )
    return made, sized, torch.Tensor([1, 2, 3, 4]) * x, torch.DoubleTensor((1.5, 2))


@program
def legacy_constructor_of_a_tensor(x):
    return torch.Tensor(x), torch.FloatTensor(x)


@program(expect=Expect.WHOLE)
def legacy_types(x):
    if isinstance(x, torch.FloatTensor) and not isinstance(x, torch.LongTensor):
        x = x * 4
    return (
        x.type(torch.LongTensor),
        x.type("torch.DoubleTensor"),
        x.type(),
        x.type(torch.float16),
        x.type(torch.FloatTensor),
    )


def sized(*first):
    return lambda call: (randn(first[call], 2),)


@program(args=sized(6, 8, 10), calls=3)
def halves(x):
    a, b = x.split(x.shape[0] // 2)
    return a + b


@program(args=sized(6, 8, 10), calls=3)
def pieces_of_two(x):
    return [p.sum() for p in x.split(2)], [p.sum() for p in x.chunk(3)]


@program(args=sized(3, 4, 5, 4), calls=4)
def rows_of_a_changing_number(x):
    first, *rest = x
    return sum(x.unbind(0)), torch.stack(list(x)), [r + 1 for r in x], first + sum(rest)


@program(expect=Expect.WHOLE)
def operators_of_numbers(x):
    n = torch.ops.aten.div(2, 3)
    return (
        x + n,
        n,
        torch.ops.aten.add.Tensor(x, torch.ops.aten.mul(2, 3)),
        torch.ops.aten.add(2, 3),
        torch.ops.aten.eq(1, 1),
    )


@program(expect=Expect.WHOLE)
def operators_that_change_layouts(x):
    y = x.clone()
    torch.ops.aten.unsqueeze_(y, 0)
    z = torch.ops.aten.t_.default(x * 2)
    return y + 1, y, z, z.stride()


def named(a):
    return a


@program(expect=Expect.WHOLE)
def reprs_of_functions(x):
    return x + 1, repr(named), str(len), f"{torch.sin}", f"{named}"


@program(expect=Expect.WHOLE)
def dicts_from_keys(x):
    d = collections.defaultdict.fromkeys(["a", "b"], 2)
    return x * d["a"] + dict.fromkeys(["a"], x)["a"], d, collections.OrderedDict.fromkeys("ab", 1)


@program(expect=Expect.WHOLE)
def trees_of_some_types(x):
    doubled = pytree.tree_map_only(torch.Tensor, lambda t: t * 2, {"q": x, "z": (1, [x])})
    leaves, spec = pytree.tree_flatten(doubled)
    return doubled, pytree.tree_unflatten([leaf + 1 for leaf in leaves], spec)


@dataclasses.dataclass
class Settings:
    weight: torch.Tensor
    times: int = 2
    names: list = dataclasses.field(default_factory=list)


@program(args=lambda call: (Settings(randn(3), 2 + call),), calls=4)
def copies_with_changing_numbers(s):
    s.names.append("seen")
    return s.weight * s.times, dataclasses.asdict(s), copy.deepcopy(s.times), copy.deepcopy([s.times])


@program(expect=Expect.WHOLE)
def labels_for_profilers(x):
    with torch.profiler.record_function("outside"):
        with torch.autograd.profiler.record_function("inside") as label:
            y = x * 2
    return y + 1, type(label).__name__


@program
def a_break_inside_of_a_label(x):
    with torch.profiler.record_function("around"):
        y = x + 1
        if y.sum() > 0:
            y = y * 2
    return y


@program.script
def labels_that_are_read(c):
    @c
    def f(x):
        with torch.profiler.record_function("the label"):
            return x * 2

    yield f(randn(3))
    with torch.profiler.profile() as seen:
        yield f(randn(3))
    yield [event.key for event in seen.key_averages() if event.key == "the label"]
    yield f(randn(3))


@program(expect=Expect.WHOLE)
def hooks_for_saved_tensors_forbidden(x):
    with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        y = x * 2
    return y + 1


@program
def hooks_for_saved_tensors_forbidden_around_a_break(x):
    with torch.autograd.graph.disable_saved_tensors_hooks("not here"):
        y = x * 2
        if y.sum() > 100:
            return y
        try:
            with torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t):
                return y
        except RuntimeError as error:
            return y + 1, str(error)
