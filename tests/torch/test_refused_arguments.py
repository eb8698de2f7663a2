"""Arguments that torch's own bindings refuse: None where nothing may be left out, a memory format that is none, `out=` for a method.
What eager refuses with a TypeError compiled code refuses with the same one, and takes what eager takes.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import quern

INF = float("inf")
CALLS = {
    "float(1)": lambda x: x.float(1),
    "float(None)": lambda x: x.float(None),
    "int('a')": lambda x: x.int("a"),
    "bool(1)": lambda x: x.bool(1),
    "double of a format": lambda x: x.double(memory_format=torch.contiguous_format),
    "squeeze()": lambda x: x.squeeze(),
    "squeeze(0)": lambda x: x.squeeze(0),
    "squeeze of axes": lambda x: x.squeeze((0, 1)),
    "squeeze of an axis by name": lambda x: torch.squeeze(x, axis=0),
    "squeeze(None)": lambda x: x.squeeze(None),
    "squeeze(dim=None)": lambda x: x.squeeze(dim=None),
    "torch.squeeze of None": lambda x: torch.squeeze(x, None),
    "squeeze_(None)": lambda x: x.clone().squeeze_(None),
    "sum of None": lambda x: x.sum(None),
    "mean of None": lambda x: x.mean(None),
    "std of dim=None": lambda x: torch.std(x, dim=None),
    "std of None twice": lambda x: x.std(None, None),
    "prod of None": lambda x: x.prod(None),
    "max of None": lambda x: x.max(None),
    "argmax of None": lambda x: x.argmax(None),
    "median of None": lambda x: x.median(None),
    "logsumexp of None": lambda x: x.logsumexp(None),
    "softmax of None": lambda x: x.softmax(None),
    "cumsum of None": lambda x: x.cumsum(None),
    "clamp of None": lambda x: x.clamp(None, 1),
    "clamp_ of None": lambda x: x.clone().clamp_(None, 1),
    "add of None": lambda x: x.add(None),
    "alpha=None": lambda x: x.add(x, alpha=None),
    "rounding_mode=None": lambda x: x.div(2, rounding_mode=None),
    "round of decimals=None": lambda x: x.round(decimals=None),
    "pow of None": lambda x: x.pow(None),
    "matmul of None": lambda x: x.matmul(None),
    "split of None": lambda x: x.split(None)[0],
    "chunk of None": lambda x: x.chunk(None)[0],
    "eye of None": lambda x: torch.eye(3, None),
    "type_as of None": lambda x: x.type_as(None),
    "expand_as of None": lambda x: x.expand_as(None),
    "method with out=": lambda x: x.sum(0, out=torch.empty(4)),
    "sum in a method with out=": lambda x: x.add(1, out=x),
    "function with out=": lambda x: torch.sum(x, 0, out=torch.empty(4)),
    "function with out=None": lambda x: torch.add(x, 1, out=None),
    "contiguous(1)": lambda x: x.contiguous(memory_format=1),
    "contiguous(None)": lambda x: x.contiguous(memory_format=None),
    "is_contiguous(1)": lambda x: torch.tensor(x.is_contiguous(memory_format=1)),
    "clone(1)": lambda x: x.clone(memory_format=1),
    "clone(None)": lambda x: x.clone(memory_format=None),
    "to of 3": lambda x: x.to(torch.float64, memory_format=3),
    "zeros_like of 1": lambda x: torch.zeros_like(x, memory_format=1),
    "what may be None": lambda x: F.layer_norm(F.linear(x, x, None), (3,), None, None),
    "options that may be None": lambda x: torch.zeros(2, dtype=None, device=None, out=None),
}


#: ints for bools, bools for ints, floats for ints, numbers for tensors, one int for several dims, several for one, numbers that do
#: not fit
TYPES = {
    "narrow below the start": lambda x: x.narrow(0, -5, 1),
    "narrow from infinity": lambda x: x.narrow(0, INF, 1),
    "narrow of True": lambda x: x.narrow(0, 0, True),
    "a slice to infinity": lambda x: x[:INF],
    "a slice from a float": lambda x: x[1.0:],
    "keepdim=1": lambda x: x.sum(0, keepdim=1),
    "keepdim='mean'": lambda x: x.sum(0, keepdim="mean"),
    "keepdim in order": lambda x: x.sum(0, 1),
    "argmax of keepdim=0.5": lambda x: x.argmax(0, keepdim=0.5),
    "unbiased=1": lambda x: x.std(0, unbiased=1),
    "prod of two dims": lambda x: x.prod((0, 1)),
    "movedim of a tuple to an int": lambda x: x.movedim((0,), 0),
    "logsumexp of no dims": lambda x: x.logsumexp(()),
    "maximum of a number": lambda x: x.maximum(1),
    "hypot of a number": lambda x: x.hypot(1.5),
    "logical_or of a bool": lambda x: torch.logical_or(x, True),
    "add of a number": lambda x: x.add(1),
    "mul_ of a bool": lambda x: x.clone().mul_(True),
    "max over a dim in a tensor": lambda x: x.max(dim=torch.tensor(1)).values,
    "max over half a dim": lambda x: x.max(dim=torch.tensor(1.5)).values,
    "max of two tensors": lambda x: x.max(torch.tensor(1)),
    "max by name": lambda x: torch.max(x, other=x),
    "max of dim and keepdim": lambda x: x.max(1, True).indices,
    "any over no dims": lambda x: x.any(()),
    "all over no dims": lambda x: x.all(dim=()),
    "round to 1.0 decimals": lambda x: x.round(decimals=1.0),
    "tril of a float": lambda x: x.tril(0.0),
    "diagonal of True": lambda x: x.diagonal(True),
    "roll by True": lambda x: x.roll(True),
    "view of ints": lambda x: x.view(2, -1),
    "view of a bool": lambda x: x.view(True, -1),
    "view of a float": lambda x: x.view(2.0, 6),
    "permute of a list": lambda x: x.permute([1, 0]),
    "permute of ints": lambda x: x.permute(1, 0),
    "torch.permute of ints": lambda x: torch.permute(x, 1, 0),
    "flip of an int": lambda x: x.flip(0),
    "torch.flip of an int": lambda x: torch.flip(x, 0),
    "expand of a bool": lambda x: x[None].expand(True, 3, 4),
    "chunk of True": lambda x: x.chunk(True)[0],
    "zeros of True": lambda x: torch.zeros(True),
    "zeros of ints": lambda x: torch.zeros(2, 3),
    "zeros of a float": lambda x: torch.zeros(2.5),
    "ones of a dtype that is a number": lambda x: torch.ones(2, dtype=1),
    "linspace of True": lambda x: torch.linspace(0, 1, True),
    "repeat_interleave of True": lambda x: x.repeat_interleave(True),
    "pad of bools": lambda x: F.pad(x, (True, True)),
    "layer_norm over an int": lambda x: F.layer_norm(x, 4),
    "dropout with training=0": lambda x: F.dropout(x, 0.5, 0),
    "cat of a tensor": lambda x: torch.cat(x),
    "softmax over a float": lambda x: x.softmax(1.0),
    "fill_ with 1j": lambda x: x.clone().fill_(1j),
    "full_like of 1j": lambda x: torch.full_like(x, 1j),
    "full_like of 1 + 0j": lambda x: torch.full_like(x, 1 + 0j),
    "full_like beyond 64 bits": lambda x: torch.full_like(x, 2**64),
    "elu beyond float32": lambda x: F.elu(x, 1e40),
    "softplus beyond float32": lambda x: F.softplus(x, 1e40),
    "leaky_relu beyond 64 bits": lambda x: F.leaky_relu(x, 2**64),
    "threshold beyond 64 bits": lambda x: F.threshold(x, 2**64, 0),
    "elu of infinity": lambda x: F.elu(x, INF),
    "logit above a half": lambda x: torch.logit(x, 1.0),
    "logit of NaN": lambda x: torch.logit(x / 12, float("nan")),
    "sin of a number": lambda x: torch.sin(1.5) + x,
    "exp of a size": lambda x: torch.exp(x.shape[0]),
    "sqrt of a number that was read": lambda x: torch.sqrt(x.sum().item()),
    "isnan of a number": lambda x: torch.isnan(1.0),
    "floor of a number": lambda x: torch.floor(1.5),
    "pow of numbers": lambda x: torch.pow(2, 3),
    "eq of a number first": lambda x: torch.eq(1, x),
    "lt of numbers": lambda x: torch.lt(1, 2),
    "sum of a number": lambda x: torch.sum(1.0),
    "relu of a number": lambda x: F.relu(1.0),
    "gelu of a number": lambda x: F.gelu(1.0),
    "add of numbers": lambda x: torch.add(x, 2) + torch.mul(2, x),
}


@pytest.mark.parametrize("name", [*CALLS, *TYPES])
def test_arguments_are_refused_as_in_eager(name):
    def outcome(call):
        try:
            result = call(torch.arange(12.0).reshape(3, 4))
        except (TypeError, IndexError, RuntimeError, OverflowError) as refusal:
            return type(refusal), str(refusal)
        shown = (
            result.double().round(decimals=4) if result.is_floating_point() else result
        )  # last bits are the processor's
        return str(shown.tolist()), result.dtype, result.shape

    program = {**CALLS, **TYPES}[name]
    for backend in ("eager", "inductor") if name in TYPES else ("eager",):
        assert outcome(quern.compile(lambda x: program(x), backend=backend)) == outcome(program)


POOLS = [F.avg_pool1d, F.max_pool1d, F.avg_pool2d, F.max_pool2d, F.avg_pool3d, F.max_pool3d, F.adaptive_avg_pool2d]


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("pool", POOLS, ids=lambda p: p.__name__)
def test_pools_of_no_channels(pool, dynamic):
    compiled = quern.compile(lambda x: pool(x, 2), dynamic=dynamic)
    spatial = (4,) * int(pool.__name__[-2])
    for lead in ((2, 3), (2, 0), (0, 3), (0,), (3,)):
        outcomes = []
        for function in (lambda x: pool(x, 2), compiled):
            try:
                outcomes.append(function(torch.ones(lead + spatial)).shape)
            except RuntimeError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("border", [(-1, 1), (1, -1), (-2, -1), (0, -4), (2, -3), (-4, 4)])
def test_pads_that_take_more_than_there_is(border, dynamic):
    """Eager crops first, and then pads what is left."""

    def pad(x):
        return F.pad(x, border) * 1

    compiled = quern.compile(pad, dynamic=dynamic)
    for shape in ((0,), (1,), (3,), (2, 3)):
        outcomes = []
        for function in (pad, compiled):
            try:
                outcomes.append(function(torch.ones(shape)).tolist())
            except RuntimeError as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


REFUSED = {
    "narrow beyond the end": lambda x: x.narrow(0, 1, 3),
    "narrow from beyond the end": lambda x: x.narrow(0, 5, 0),
    "narrow of a length below zero": lambda x: x.narrow(0, 0, -1),
    "narrow from behind": lambda x: x.narrow(0, -2, 2),
    "narrow of nothing at the end": lambda x: x.narrow(0, 3, 0),
    "conv2d of a weight of three dims": lambda x: F.conv2d(x[None], x[None], padding=1),
    "conv1d of a weight of two dims": lambda x: F.conv1d(x, x),
    "conv1d of an input of four dims": lambda x: F.conv1d(x[None, None], x[None]),
    "conv_transpose2d of a weight of three dims": lambda x: F.conv_transpose2d(x[None], x[None]),
    "conv1d without a batch": lambda x: F.conv1d(x, x[None]),
}


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("name", REFUSED)
def test_sizes_are_refused_as_in_eager(name, dynamic):
    program = REFUSED[name]
    compiled = quern.compile(lambda x: program(x), dynamic=dynamic)
    for shape in ((3, 4), (5, 4), (4, 6), (7, 9)):
        outcomes = []
        for function in (program, compiled):
            try:
                outcomes.append(function(torch.ones(shape)).tolist())
            except (RuntimeError, IndexError) as error:
                outcomes.append(str(error))
        assert outcomes[0] == outcomes[1]


#: numbers at the ends, about which eager's kernels have their own ideas
EDGES = {
    "a power of less than float32 holds": lambda x: x**5e-324,
    "a negative one": lambda x: (x + 1) ** -1e-40,
    "a norm of more than float32 holds": lambda x: x.norm(1e40),
    "a norm of less": lambda x: x.norm(1e-40),
    "a norm of infinite order": lambda x: x.norm(INF),
    "a correction that is NaN": lambda x: x.var(correction=float("nan")),
    "arange of bools": lambda x: torch.arange(2, dtype=torch.bool),
    "linspace of bools": lambda x: torch.linspace(0, 1, 3, dtype=torch.bool),
    "split by more than 63 bits": lambda x: x.split(1 << 63),
    "meshgrid in no order": lambda x: torch.meshgrid(x[0], x[1], indexing=0),
}


@pytest.mark.parametrize("name", EDGES)
def test_numbers_at_the_ends(name):
    outcomes = []
    for function in (EDGES[name], quern.compile(EDGES[name])):
        try:
            outcomes.append(function(torch.arange(6.0).reshape(2, 3)).tolist())
        except (RuntimeError, TypeError, ValueError) as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]


#: random functions that lay their result out by rows, whatever they are given
ROWS = {
    "poisson": lambda x: torch.poisson(x),
    "normal": lambda x: torch.normal(x, x),
    "normal of a number": lambda x: torch.normal(x, 1.0),
    "gamma": lambda x: torch._standard_gamma(x),
    "bernoulli": lambda x: torch.bernoulli(x / 10),
    "rand_like": lambda x: torch.rand_like(x),
}


@pytest.mark.parametrize("name", ROWS)
def test_random_functions_of_turned_tensors(name):
    compiled = quern.compile(ROWS[name])
    for x in (torch.rand(3, 4).t(), torch.rand(5, 4).t(), torch.rand(2, 3, 4).transpose(0, 2)):
        torch.manual_seed(0)
        wanted = ROWS[name](x)
        torch.manual_seed(0)
        found = compiled(x)
        assert torch.equal(found, wanted) and found.stride() == wanted.stride()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.where(True, x, 0),
        lambda x: torch.where(1, x, x),
        lambda x: torch.where([True], x, x),
        lambda x: x.where(True, x),
        lambda x: torch.where(x > 0, x, "a"),
    ],
)
def test_a_choice_by_what_is_no_tensor(function):
    x = torch.tensor([1.0, -2.0])
    with pytest.raises(TypeError) as ours:
        quern.compile(function)(x)
    with pytest.raises(TypeError) as eagers:
        function(x)
    assert str(ours.value).splitlines()[0] == str(eagers.value).splitlines()[0]


def test_a_choice_however_it_is_written():
    @quern.compile(fullgraph=True)
    def chosen(x):
        c = x > 0
        return (
            torch.where(c, x, 2.0), torch.where(c, 1, x), torch.where(condition=c, input=x, other=x + 1), torch.where(c),
            x.where(c, 1), x.where(condition=c, other=x + 1), torch.where(c, True, 2),
        )  # fmt: skip

    x = torch.tensor([1.0, -2.0])
    expected = ([1, 2], [1, -2], [1, -1], None, [1, 1], [1, -1], [1, 2])
    for found, wanted in zip(chosen(x), expected):
        assert found[0].tolist() == [0] if wanted is None else found.tolist() == wanted


IMAGE = torch.arange(72.0).reshape(1, 2, 6, 6)
MATRIX = torch.linspace(-2, 2, 24).reshape(4, 6)
BLOCKS = MATRIX.view(1, 4, 2, 3)


@pytest.mark.parametrize(
    "function",
    [
        *(lambda x, pool=pool: pool(IMAGE, 2, stride=0) for pool in (F.max_pool2d, F.avg_pool2d)),
        *(lambda x, pool=pool: pool(IMAGE, 1, stride=0) for pool in (F.max_pool3d, F.avg_pool3d)),
        *(lambda x, pool=pool: pool(IMAGE[0], 2, 0) for pool in (F.max_pool1d, F.avg_pool1d)),
        lambda x: F.max_pool2d(IMAGE, 2, dilation=0), lambda x: F.max_pool1d(IMAGE[0], 3, dilation=0),
        lambda x: F.conv2d(BLOCKS, torch.ones(3, 4, 2, 2), dilation=0),
        lambda x: F.conv2d(BLOCKS, torch.ones(3, 2, 2, 2), groups=2),
        lambda x: F.adaptive_avg_pool2d(IMAGE, -1),
        lambda x: F.batch_norm(x[None], None, None),
        lambda x: F.scaled_dot_product_attention(BLOCKS, BLOCKS[:, :3], BLOCKS[:, :3], enable_gqa=True),
        lambda x: F.gelu(x, approximate="another"), lambda x: F.celu(x, 0.0), lambda x: F.softshrink(x, -0.5),
        lambda x: F.softshrink(x, float("nan")), lambda x: F.rrelu(x, 0.5, 0.1),
        lambda x: divmod(x, 2), lambda x: divmod(7, x), lambda x: divmod(x, x),
        lambda x: x[torch.tensor([1], dtype=torch.int16)], lambda x: x[:, torch.tensor([1], dtype=torch.int8)],
        lambda x: torch.tensor_split(x, 0), lambda x: x.tensor_split(-1), lambda x: torch.tensor_split(x, torch.tensor(0)),
        lambda x: torch.linalg.vector_norm(x, dtype=torch.float16), lambda x: torch.linalg.vector_norm(x, dtype=torch.int64),
        lambda x: torch.linalg.vector_norm(x, dtype=torch.complex64), lambda x: torch.norm(x.double(), dtype=torch.float32),
        lambda x: torch.searchsorted(x[0], x[1], right=True, side="left"), lambda x: torch.searchsorted(x[0], x[1], side="both"),
        lambda x: x.cumsum(0, dtype=torch.bool), lambda x: x.cumprod(0, dtype=torch.bool),
        lambda x: torch.arange(0, 1, 0.3, dtype=torch.int64), lambda x: torch.arange(0, float("inf")),
    ],
)  # fmt: skip
def test_an_argument_out_of_its_range(function):
    def program(x):
        effects.append("before")
        y = function(x)
        effects.append("behind")
        return y

    effects = []
    with pytest.raises(Exception) as eagers:  # noqa: PT011
        program(MATRIX)
    with pytest.raises(type(eagers.value)) as ours:
        quern.compile(program)(MATRIX)
    assert str(ours.value) == str(eagers.value) and effects == ["before"] * 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.max_pool1d(x[0], 3), lambda x: F.avg_pool1d(x[0], 3), lambda x: F.lp_pool1d(x[0], 2, 3),
        lambda x: F.max_pool1d(x[0], 2, dilation=2), lambda x: F.max_pool2d(x, 3), lambda x: F.avg_pool2d(x, 3),
    ],
)  # fmt: skip
def test_a_window_that_a_later_input_is_too_small_for(function):
    compiled = quern.compile(function)
    for size in (8, 7, 5, 2, 6):
        x = torch.arange(float(size * size)).reshape(1, size, size)
        try:
            expected = function(x)
        except RuntimeError as error:
            with pytest.raises(RuntimeError) as ours:
                compiled(x)
            assert str(ours.value) == str(error)
        else:
            torch.testing.assert_close(compiled(x), expected)


def test_pools_to_no_places():
    for pool in (lambda x: F.adaptive_avg_pool2d(x, (0, 2)), lambda x: F.adaptive_avg_pool1d(x[0], 0)):
        assert quern.compile(pool)(IMAGE).shape == pool(IMAGE).shape
