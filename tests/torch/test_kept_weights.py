"""Weights of which copies are kept from call to call: whoever writes to them, the very next result is eager's."""

# mypy: ignore-errors

from __future__ import annotations

import copy
import gc
import sys
import threading

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from quern.inductor import kept  # noqa: E402
from quern.inductor.codegen.cpp import keeping  # noqa: E402

import quern  # noqa: E402

GENERATED = {"contractions": "generated"}


def T(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape)), dtype=dtype)


class Layer(torch.nn.Module):
    """A product that something follows."""

    def __init__(self, inner=40, columns=36, bias=True, dtype=torch.float32):
        super().__init__()
        self.linear = torch.nn.Linear(inner, columns, bias=bias, dtype=dtype)
        with torch.no_grad():
            self.linear.weight.copy_(T(columns, inner, dtype=dtype))

    def forward(self, x):
        return torch.relu(self.linear(x)) * 2


class Stack(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(Layer(32, 32) for _ in range(3))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x) + x
        return x


def compiled(model, **options):
    return quern.compile(model, options={**GENERATED, **options})


def check(f, model, x, tolerance=2e-5):
    with torch.no_grad():
        wanted, got = model(x), f(x)
    assert (got.dtype, got.shape, got.stride()) == (wanted.dtype, wanted.shape, wanted.stride())
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)


def explained(model, x, **options):
    with torch.no_grad():
        (graph,) = quern.explain(model, options={**GENERATED, **options})(x).graphs
    return graph.record


@pytest.fixture(autouse=True)
def _small_ones_too(monkeypatch):
    monkeypatch.setattr(keeping, "LEAST_BYTES", 0)


@pytest.fixture
def filled(monkeypatch):
    """The copies that are made, in order."""
    made = []
    plain = kept.Copy

    def noting(*args):
        made.append(plain(*args))
        return made[-1]

    monkeypatch.setattr(kept, "Copy", noting)
    return made


# ---------------------------------------------------------------- values

SIZES = [(9, 40, 36), (12, 300, 16), (33, 257, 33), (50, 7, 100), (128, 600, 1), (10, 1, 70), (300, 513, 129)]


@pytest.mark.parametrize("level", [None, "x86-64-v3"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("rows", "inner", "columns"), SIZES)
def test_values(rows, inner, columns, dtype, level, monkeypatch):
    monkeypatch.setattr(quern.config, "cpu_level", level)
    model, x = Layer(inner, columns, dtype=dtype), T(rows, inner, dtype=dtype)
    tolerance = 1e-11 if dtype == torch.float64 else 5e-5
    for threads in (1, 2):
        check(compiled(model, threads=threads), model, x, tolerance)
    if columns > 1 and inner > 1:
        record = explained(model, x)
        assert [k.strategy for k in record.plan.kernels] == ["contraction"] and len(record.plan.fills) == 1
        assert record.plan.bytes_kept >= model.linear.weight.nbytes


class Forms(torch.nn.Module):
    """Weights that are read in many ways."""

    def __init__(self):
        super().__init__()
        self.square = torch.nn.Parameter(T(24, 24))
        self.stack = torch.nn.Parameter(T(3, 20, 24))
        self.scale = torch.nn.Parameter(T(24))
        self.columns = torch.nn.Parameter(T(50, 24).t())


FORMS = {
    "turned": (lambda m, x: torch.relu(x @ m.square.t()), (20, 24)),
    "as it lies": (lambda m, x: torch.relu(x @ m.square), (20, 24)),
    "by columns": (lambda m, x: torch.relu(x @ m.columns), (20, 24)),
    "scaled": (lambda m, x: torch.relu(F.linear(x, m.square * m.scale)), (20, 24)),
    "a part": (lambda m, x: torch.relu(F.linear(x, m.square[3:20])), (20, 24)),
    "batches": (lambda m, x: torch.relu(torch.bmm(x, m.stack.transpose(1, 2))), (3, 16, 24)),
    "heads": (lambda m, x: torch.relu(F.linear(x, m.square).view(2, 10, 4, 6).transpose(1, 2)), (2, 10, 24)),
    "on the left": (lambda m, x: torch.relu(m.square @ x), (24, 40)),
    "twice": (lambda m, x: torch.relu(F.linear(torch.relu(F.linear(x, m.square)), m.square)), (20, 24)),
    "itself": (lambda m, x: torch.relu(m.square @ m.square.t()) + x.sum(), (20, 24)),
    "einsum": (lambda m, x: torch.einsum("bmk,bnk->nbm", x, m.stack) + 1, (3, 16, 24)),
}


@pytest.mark.parametrize("name", FORMS)
def test_forms(name, filled):
    form, shape = FORMS[name]

    class Model(Forms):
        def forward(self, x):
            return form(self, x)

    model, x = Model(), T(*shape)
    f = compiled(model)
    for _ in range(3):
        check(f, model, x)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(0.5)
    check(f, model, x)
    if name == "twice":  # one copy for both products, made twice
        assert len(filled) == 2


# ---------------------------------------------------------------- writes

LAYER = Layer()


def in_place(m):
    with torch.no_grad():
        m.linear.weight.mul_(0.5)


def an_element(m):
    with torch.no_grad():
        m.linear.weight[3, 5] = 7


def through_detached(m):
    m.linear.weight.detach().add_(1)


def under_inference_mode(m):
    with torch.inference_mode():
        m.linear.weight.add_(1)


def all_of_data(m):
    m.linear.weight.data.mul_(0.5)


def other_data(m):
    m.linear.weight.data = T(36, 40, seed=5)


def other_parameter(m):
    m.linear.weight = torch.nn.Parameter(T(36, 40, seed=6))


def other_layer(m):
    m.linear = torch.nn.Linear(40, 36)


def state_dict(m):
    m.load_state_dict({k: v * 2 for k, v in LAYER.state_dict().items()})


def assigned_state_dict(m):
    m.load_state_dict({k: v * 2 for k, v in LAYER.state_dict().items()}, assign=True)


def optimizer(m):
    step = torch.optim.SGD(m.parameters(), lr=0.5)
    m.linear(T(4, 40)).sum().backward()
    step.step()
    step.zero_grad()


def through_numpy(m):
    m.linear.weight.detach().numpy()[:] *= 0.5


def other_type(m):
    m.double().float()


def from_another_view(m):
    with torch.no_grad():
        m.linear.weight.t()[2].fill_(3)


WRITES = [
    in_place, an_element, through_detached, under_inference_mode, all_of_data, other_data, other_parameter, other_layer, state_dict,
    assigned_state_dict, optimizer, through_numpy, other_type, from_another_view,
]  # fmt: skip


@pytest.mark.parametrize("write", WRITES, ids=lambda w: w.__name__)
def test_the_next_result_has_what_was_written(write, filled):
    model, x = copy.deepcopy(LAYER), T(20, 40)
    f = compiled(model)
    for _ in range(3):
        check(f, model, x)
    assert len(filled) == 1
    for _ in range(2):
        write(model)
        check(f, model, x)
        check(f, model, x)


def test_only_what_changed_is_laid_down_again(filled):
    model, x = Stack(), T(20, 32)
    f = compiled(model)
    check(f, model, x)
    assert len(filled) == 3
    with torch.no_grad():
        model.layers[1].linear.weight.mul_(2)
    check(f, model, x)
    check(f, model, x)
    assert len(filled) == 4


def test_weights_that_change_all_the_time(filled):
    model, x = Layer(), T(20, 40)
    f = compiled(model)
    for _ in range(12):
        in_place(model)
        check(f, model, x)
    assert len(filled) < 8, "it goes without"
    before = kept.bytes_kept()
    filled.clear()
    gc.collect()
    assert kept.bytes_kept() < before


def test_training_between_evaluations():
    model, x = Stack(), T(20, 32)
    f = compiled(model)
    step = torch.optim.AdamW(model.parameters(), lr=0.05)
    for _ in range(3):
        model(x).square().mean().backward()
        step.step()
        step.zero_grad()
        for seed in range(3):
            check(f, model, T(20, 32, seed=seed), tolerance=1e-4)


def test_a_write_by_the_program_itself():
    class Writing(Layer):
        def forward(self, x):
            self.linear.weight.mul_(0.5)
            return torch.relu(self.linear(x))

    model, x = Writing(), T(20, 40)
    other = copy.deepcopy(model)
    f = compiled(model)
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(f(x), other(x), rtol=2e-5, atol=2e-5)
    assert torch.equal(model.linear.weight, other.linear.weight)


def test_other_tensors_in_place_of_the_parameters():
    model, x = Layer(), T(20, 40)

    @quern.compile(options=GENERATED)
    def called(x, weights):
        return torch.func.functional_call(model, weights, x)

    with torch.no_grad():
        for seed in range(4):
            weights = {"linear.weight": T(36, 40, seed=seed), "linear.bias": T(36, seed=seed)}
            torch.testing.assert_close(
                called(x, weights), torch.func.functional_call(model, weights, x), rtol=2e-5, atol=2e-5
            )
        check(compiled(model), model, x)


# ---------------------------------------------------------------- whose copies are kept, and how long


def test_what_is_no_parameter_is_not_kept():
    w = T(36, 40)
    with torch.no_grad():
        (graph,) = quern.explain(lambda x, w: torch.relu(F.linear(x, w)), options=GENERATED)(T(20, 40), w).graphs
    assert not graph.record.plan.fills


def test_small_weights_are_not_worth_a_look(monkeypatch):
    monkeypatch.undo()
    model, large = Layer(50, 60), Layer(300, 400)
    assert not explained(model, T(20, 50)).plan.fills
    assert explained(large, T(20, 300)).plan.fills


def test_parameters_of_inference_mode():
    with torch.inference_mode():
        model = Layer()
    x = T(20, 40)
    assert not explained(model, x).plan.fills
    f = compiled(model)
    with torch.inference_mode():
        for _ in range(3):
            torch.testing.assert_close(f(x), model(x), rtol=2e-5, atol=2e-5)
            model.linear.weight.mul_(0.5)


def test_memory_of_other_processes():
    model, x = Layer(), T(20, 40)
    f = compiled(model)
    check(f, model, x)
    model.share_memory()
    for _ in range(2):
        check(f, model, x)
        model.linear.weight.data.view(-1)[7] = 3  # as another process would
    check(f, model, x)
    assert not explained(Layer().share_memory(), x).plan.fills


def test_process_groups_write_uncounted(tmp_path):
    model, x = Layer(), T(20, 40)
    f = compiled(model)
    check(f, model, x)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        with torch.autograd._unsafe_preserve_version_counter(model.linear.weight), torch.no_grad():
            model.linear.weight[2, 3] = 9
        check(f, model, x)
        assert not explained(Layer(), x).plan.fills
    finally:
        torch.distributed.destroy_process_group()


def test_copies_go_with_the_weights():
    gc.collect()
    before = kept.bytes_kept()
    model, x = Stack(), T(20, 32)
    f = compiled(model)
    check(f, model, x)
    assert kept.bytes_kept() - before == 3 * 32 * 32 * 4
    del f, model
    gc.collect()
    assert kept.bytes_kept() == before


def test_one_copy_for_all_who_can_use_it(filled):
    model = Layer()
    for rows in (20, 30, 40):
        f = quern.compile(model, options=GENERATED, dynamic=False)
        check(f, model, T(rows, 40))
    g = compiled(lambda x: model(x) + 1)
    check(g, lambda x: model(x) + 1, T(20, 40))
    assert len(filled) in (1, 4)  # kernels of one text share a copy as long as somebody holds it


def test_the_bound(filled):
    gc.collect()
    model, x = Stack(), T(20, 32)
    with quern.config.patch(kept_bytes=kept.bytes_kept() + 2 * 32 * 32 * 4):
        record = explained(model, x)
        assert len(record.plan.fills) <= 2 + kept.bytes_kept() // 4096
        check(compiled(model), model, x)
    with quern.config.patch(kept_bytes=0):
        assert not explained(model, x).plan.fills
        check(compiled(model), model, x)


def test_another_model_has_taken_the_room():
    gc.collect()
    first, second, x = Stack(), Stack(), T(20, 32)
    with quern.config.patch(kept_bytes=kept.bytes_kept() + 4 * 32 * 32 * 4):
        f = compiled(first)
        check(f, first, x)
        with torch.no_grad():
            (graph,) = quern.explain(compiled(second))(x).graphs
        assert "bytes" in graph.record.not_kept and not graph.record.plan.fills
        g = compiled(second)
        for _ in range(2):
            check(g, second, x)
            check(f, first, x)


def test_explained():
    with torch.no_grad():
        text = str(quern.explain(Stack(), options=GENERATED)(T(20, 32)))
    assert "keeps copies of 3 weights, 12.0 KiB" in text


def test_symbols():
    model = Layer()
    f = quern.compile(model, options=GENERATED, dynamic=True)
    for rows in (10, 20, 33):
        check(f, model, T(rows, 40))


# ---------------------------------------------------------------- threads


@pytest.fixture
def eager_threads():
    """Threads that take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("keep_weights", [True, False])
def test_threads_that_write_and_call(keep_weights, eager_threads):
    """Each thread's results are those of a state that the weights had: all of it, or all of another one. What a run reads stays
    there meanwhile, though the parameter has other memory by then.
    """
    model, x = Layer(), T(20, 40)
    f = compiled(model, keep_weights=keep_weights)
    model.linear.bias.data.zero_()
    with torch.no_grad():
        states = [T(36, 40, seed=s) for s in range(2)]
        wanted = [torch.relu(F.linear(x, w)) * 2 for w in states]
    errors, start = [], threading.Barrier(4)

    def work(i):
        try:
            torch.set_grad_enabled(False)
            start.wait()
            for k in range(200):
                if i == 0:
                    model.linear.weight.data = states[k % 2].clone()
                got = f(x)
                close = [torch.allclose(got, w, rtol=1e-4, atol=1e-4) for w in wanted]
                assert any(close)
        except BaseException as error:
            errors.append(error)

    model.linear.weight.data = states[0].clone()
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert errors == []
    check(f, model, x)
