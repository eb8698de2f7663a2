"""torch tests need torch; they run on one thread, so that results do not depend on the machine's load."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import quern  # noqa: E402


@pytest.fixture(autouse=True)
def _alone():
    """One thread, and nothing compiled is kept from test to test."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    quern.reset()


@pytest.fixture(autouse=True)
def _modes_are_left():
    """Programs leave torch's modes as they found them: one that is left open makes others wrong, much later."""

    def modes():
        torch.autocast_increment_nesting()
        return torch.autocast_decrement_nesting(), torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled(), \
            torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch._C._len_torch_function_stack()  # fmt: skip

    before = modes()
    yield
    assert modes() == before
