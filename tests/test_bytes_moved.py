"""Memory traffic of small functions, counted from their plans: `python -m bench bytes` prints the whole table."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from bench.traffic import functions, measure  # noqa: E402

#: what moves more than a tenth beyond the least, and how much at most
KNOWN = {
    "nearest": 53, "stack of turned": 2.4, "smooth cross entropy": 2.1, "kl divergence": 2.1, "rms norm and rotary": 1.9, "gather": 1.51
}  # fmt: skip


@pytest.mark.slow
def test_the_table():
    found = {}
    with torch.no_grad():
        for f in functions():
            found[f.name] = measure(f).ratio
    assert len(found) >= 60
    assert {name: ratio for name, ratio in found.items() if ratio > KNOWN.get(name, 1.1)} == {}
    assert all(found[name] > 1.1 for name in KNOWN), "one of these is mended: take it out of the list"


@pytest.mark.parametrize("name", ["cosine similarity", "cat of columns", "rotary", "residual kept, layer norm"])
def test_nothing_is_moved_twice(name):
    (f,) = (f for f in functions() if f.name == name)
    with torch.no_grad():
        moved = measure(f)
    assert moved.ratio <= 1.01 and moved.kernels == 1
