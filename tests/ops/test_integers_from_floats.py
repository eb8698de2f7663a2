"""Floats made integers and floats again: what C leaves open beyond an integer's range is not what a compiler may go by."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402


def there_and_back(x):
    return x.long().float(), torch.sin(x.long()), x.int().double(), x.long().double() + 1


@pytest.mark.parametrize("value", [torch.inf, 1e30, -1e30, 3e9, -2.7, 1e18, 0.0])
@pytest.mark.parametrize("shape", [(), (37,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_there_and_back(value, shape, dtype):
    x = torch.full(shape, value, dtype=dtype)
    for got, wanted in zip(quern.compile(there_and_back)(x), there_and_back(x)):
        torch.testing.assert_close(got, wanted, rtol=0, atol=0, equal_nan=True)
