"""Convolutions: who runs them, in what layout, and that nobody can tell from what comes out."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from quern.inductor.codegen.cpp.strategies import tasks  # noqa: E402

import quern  # noqa: E402

GENERATED = {"contractions": "generated"}


def T(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed + sum(shape))).to(dtype)


def check(f, *args, options=None, tolerance=2e-5, twice=None):
    """Values, types, shapes and strides of the results, compiled and eager, with one set of arguments or two. Gives the plan."""
    with torch.no_grad():
        said = quern.explain(f, options=options)(*args)
        compiled = quern.compile(f, options=options)
        for given in (args, twice) if twice else (args,):
            wanted, got = f(*given), compiled(*given)
            for w, g in zip(*(x if isinstance(x, tuple) else (x,) for x in (wanted, got))):
                assert (g.shape, g.stride(), g.dtype) == (w.shape, w.stride(), w.dtype)
                torch.testing.assert_close(g, w, rtol=tolerance, atol=tolerance, equal_nan=True)
    (graph,) = said.graphs
    return graph.record.plan


def calls(plan):
    return [s.op for s in plan.steps if hasattr(s, "op")]


def windows(plan):
    """Kernels that read an image where it lies."""
    return [text for text in plan.sources.values() if "Windows{" in text]


#: channels, filters, groups, sizes of the image, of the window, steps, padding, gaps
SHAPES = {
    "a window": (16, 24, 1, (20, 20), (3, 3), 1, 1, 1),
    "no padding": (16, 24, 1, (20, 20), (3, 3), 1, 0, 1),
    "steps": (16, 24, 1, (21, 19), (3, 3), 2, 1, 1),
    "uneven steps and padding": (5, 7, 1, (13, 17), (3, 2), (2, 1), (0, 1), 1),
    "gaps": (8, 17, 1, (19, 18), (3, 3), 1, 2, 2),
    "same": (8, 17, 1, (9, 11), (4, 3), 1, "same", 1),
    "the first layer": (3, 33, 1, (32, 32), (7, 7), 2, 3, 1),
    "one channel": (1, 16, 1, (12, 12), (3, 3), 1, 1, 1),
    "one filter": (16, 1, 1, (12, 12), (3, 3), 1, 1, 1),
    "points, in steps": (40, 24, 1, (14, 14), (1, 1), 2, 0, 1),
    "groups": (12, 20, 4, (11, 10), (3, 3), 1, 1, 1),
    "each channel for itself": (16, 16, 16, (11, 10), (3, 3), 1, 1, 1),
    "more channels than are summed at a time": (300, 16, 1, (6, 5), (3, 3), 1, 1, 1),
    "one place": (16, 24, 1, (3, 3), (3, 3), 1, 0, 1),
    "one line": (16, 24, 1, (3, 30), (3, 3), 1, 0, 1),
    "lines of one place": (16, 24, 1, (30, 3), (3, 3), 1, 0, 1),
    "a volume": (6, 10, 1, (5, 8, 7), (3, 2, 3), 1, 1, 1),
}


@pytest.mark.parametrize("option", ["auto", "generated"])
@pytest.mark.parametrize("name", SHAPES)
def test_values(name, option):
    channels, filters, groups, image, window, step, padding, gap = SHAPES[name]
    conv = {2: F.conv2d, 3: F.conv3d}[len(image)]

    def f(x, w, b):
        return torch.relu(conv(x, w, b, step, padding, gap, groups))

    check(f, T(2, channels, *image), T(filters, channels // groups, *window) / 4, T(filters),
          options={"contractions": option})  # fmt: skip


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", None])
def test_each_width_of_vectors(level, monkeypatch):
    monkeypatch.setattr(quern.config, "cpu_level", level)
    for filters in (3, 8, 33):
        plan = check(lambda x, w: torch.relu(F.conv2d(x, w, padding=1)), T(2, 19, 13, 18), T(filters, 19, 3, 3) / 12)
        assert not calls(plan) and windows(plan)


#: channels, image, window, steps, gaps
DEPTHWISE = {
    "one vector": (16, (14, 14), (3, 3), 1, 1),
    "less than a vector": (7, (16, 16), (1, 3), (1, 2), 1),
    "vectors and a bit": (50, (9, 12), (5, 5), 1, 1),
    "steps": (48, (17, 15), (3, 3), 2, 1),
    "gaps": (48, (17, 15), (3, 3), 1, 2),
    "steps and gaps": (33, (19, 21), (3, 2), 3, 2),
    "a large window": (32, (13, 12), (7, 7), 1, 1),
    "too many taps": (16, (4, 40), (2, 19), 1, 1),
    "one column": (24, (12, 3), (3, 3), 1, 1),
}


@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", None])
@pytest.mark.parametrize("name", DEPTHWISE)
def test_channels_for_themselves(name, level, monkeypatch):
    monkeypatch.setattr(quern.config, "cpu_level", level)
    channels, image, window, step, gap = DEPTHWISE[name]

    def f(x, w, b):
        return torch.relu(F.conv2d(x * 2, w, b, step, 1, gap, channels))

    x = T(2, channels, *image)
    assert calls(check(f, x, T(channels, 1, *window), T(channels))) == ["convolution"], (
        "nothing is turned around for it alone"
    )
    plan = check(f, x.to(memory_format=torch.channels_last), T(channels, 1, *window), T(channels))
    assert not calls(plan)
    assert any("filter_rows" in text for text in plan.sources.values()) == (name != "too many taps")


def test_a_channel_filter_that_nothing_follows():
    def f(x, one, two):
        return F.conv2d(F.conv2d(x, one, padding=1), two, padding=1, groups=16).permute(0, 2, 3, 1).mean(-1)

    assert calls(check(f, T(2, 8, 12, 12), T(16, 8, 3, 3), T(16, 1, 3, 3))) == ["convolution"]


@pytest.mark.parametrize("image", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("weights", [torch.contiguous_format, torch.channels_last])
def test_whatever_the_layouts(image, weights):
    x, w = T(2, 16, 9, 10).to(memory_format=image), T(24, 16, 3, 3).to(memory_format=weights)
    check(lambda x, w: F.conv2d(x, w, padding=1).tanh(), x, w)
    check(lambda x, w: F.conv2d(x[:, ::2, 1:], w[:, ::2], padding=1).tanh(), x, w)
    check(lambda x, w: F.conv2d(x[0], w, padding=1).tanh(), x, w)


def test_double_precision_and_not_a_number():
    x = T(2, 16, 9, 10)
    x[0, 3, 4, 5], x[1, 2, 0, 0], x[1, 5, 8, 8] = torch.nan, torch.inf, -torch.inf
    for dtype in (torch.float64, torch.float32):
        plan = check(lambda x, w: F.conv2d(x, w, padding=1) + 1, x.to(dtype), T(24, 16, 3, 3).to(dtype),
                     options=GENERATED)  # fmt: skip
        assert not calls(plan)


def test_what_follows_is_in_the_kernel_and_padding_is_not_computed_again():
    norm, other = torch.nn.BatchNorm2d(24).eval(), T(2, 24, 20, 20)
    norm.running_mean.normal_(), norm.running_var.uniform_(0.5, 2)
    plan = check(
        lambda x, w, r: torch.relu(norm(F.conv2d(x, w, padding=1)) + r), T(2, 16, 20, 20), T(24, 16, 3, 3), other
    )
    (text,) = windows(plan)
    assert not calls(plan) and "max(" in text and "where" not in text, "no border is asked for in the windows"


def test_threads_do_not_show(monkeypatch):
    monkeypatch.setattr(tasks, "_PRODUCT", 1e4)  # worth three threads
    f = quern.compile(lambda x, w: torch.relu(F.conv2d(x, w, padding=1)))
    args = T(2, 64, 40, 40), T(48, 64, 3, 3)
    before = torch.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(f(*args))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(r, results[0]) for r in results)


# --------------------------------------------------------------------------- layouts of the graph


def net(x, one, two):
    return F.conv2d(torch.relu(F.conv2d(x, one, padding=1)), two, padding=1)


NET = T(2, 8, 12, 12), T(16, 8, 3, 3) / 8, T(8, 16, 3, 3) / 12


def test_images_are_turned_around_at_the_borders_only():
    plan = check(net, *NET, twice=(T(2, 8, 12, 12, seed=1), *NET[1:]))
    images = [b for b in plan.buffers if len(b.shape) == 4 and b.name not in plan.inputs]
    assert {b.name for b in images if b.stride[1] != 1} == set(plan.outputs) and len(images) > 2


FOLLOWED = {
    "a view": lambda y: y.view(2, -1) * 2,
    "flattened": lambda y: y.flatten(1) @ torch.ones(y[0].numel(), 3),
    "pooled": lambda y: F.max_pool2d(y, 3, 2, 1),
    "averaged": lambda y: F.adaptive_avg_pool2d(y, 1).flatten(1),
    "joined": lambda y: torch.cat([y, y * 2], 1),
    "a part": lambda y: y[:, 1:3, ::2],
    "turned": lambda y: y.permute(0, 2, 3, 1).reshape(-1, y.shape[1]),
    "read as it lies": lambda y: torch.as_strided(y, (2, 5), (7, 3)),
    "a copy in its own layout": lambda y: (y.clone(), y.contiguous(), torch.empty_like(y).fill_(1)),
    "sorted": lambda y: torch.sort(y, dim=1).values,
    "resized": lambda y: F.interpolate(y, scale_factor=2, mode="bilinear"),
    "normalised": lambda y: F.group_norm(y, 2),
    "transposed convolution": lambda y: F.conv_transpose2d(y, torch.ones(8, 5, 2, 2), stride=2),
    "an ndarray": lambda y: y.sum((2, 3)),
    "both": lambda y: (y, y + 1),
}


@pytest.mark.parametrize("name", FOLLOWED)
def test_nobody_sees_how_images_lie_in_between(name):
    check(lambda x, one, two: FOLLOWED[name](net(x, one, two)), *NET, tolerance=5e-5)


def test_random_numbers_are_those_of_eager():
    def f(x, one, two):
        return F.dropout(net(x, one, two), 0.5) + torch.rand_like(F.conv2d(x, one))[:, :8, :1, :1]

    compiled = quern.compile(f)
    with torch.no_grad():
        torch.manual_seed(3)
        wanted = f(*NET)
        torch.manual_seed(3)
        torch.testing.assert_close(compiled(*NET), wanted, rtol=2e-5, atol=2e-5)


def test_what_is_written_keeps_its_layout():
    def f(x, one, two, kept):
        y = net(x, one, two)
        kept.mul_(0.9).add_(y)
        return y.mean()

    for made in (torch.zeros(2, 8, 12, 12), torch.zeros(2, 8, 12, 12).to(memory_format=torch.channels_last)):
        ours, theirs = made.clone(), made.clone()
        with torch.no_grad():
            for _ in range(2):
                torch.testing.assert_close(quern.compile(f)(*NET, ours), f(*NET, theirs))
        assert ours.stride() == theirs.stride()
        torch.testing.assert_close(ours, theirs, rtol=2e-5, atol=2e-5)


def test_sizes_that_change():
    compiled = quern.compile(lambda x, one, two: net(x, one, two).relu(), dynamic=True)
    with torch.no_grad():
        for batch, side in ((2, 12), (3, 9), (1, 15)):
            args = T(batch, 8, side, side), *NET[1:]
            got, wanted = compiled(*args), net(*args).relu()
            assert got.stride() == wanted.stride()
            torch.testing.assert_close(got, wanted, rtol=2e-5, atol=2e-5)


def test_zeros_around_an_image_are_factors():
    x, w = T(1, 16, 8, 8).abs().to(memory_format=torch.channels_last) + 1, T(16, 16, 3, 3).abs() + 1
    w[3, 0, 0, 0], w[5, 0, 1, 1] = torch.inf, torch.nan
    check(lambda x, w: torch.relu(F.conv2d(x, w, padding=1)), x, w)
    apart = quern.compile(lambda x, w: torch.relu(F.conv2d(x, w, padding=1, groups=16)))(x, w[:, :1].contiguous())
    assert apart[0, 3].isnan().sum() == 15 and apart[0, 5].isnan().all(), "docs/numerics.md says so"
