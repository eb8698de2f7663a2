import pickle

import pytest
from quern.cache import CacheKey
from quern.cache.key import VERBATIM_LIMIT, digest_of

from quern.errors import CacheError


def test_order_of_parts_does_not_matter():
    one = CacheKey.make("plan", {"a": 1, "b": {"x": 1, "y": [2, 3]}})
    two = CacheKey.make("plan", {"b": {"y": (2, 3), "x": 1}, "a": 1})
    assert one == two and one.digest == two.digest and hash(one) == hash(two)
    assert len(one.digest) == 64


@pytest.mark.parametrize(
    "other",
    [
        ("cpp", {"a": 1, "b": "x"}),
        ("plan", {"a": 2, "b": "x"}),
        ("plan", {"a": 1}),
        ("plan", {"a": "1", "b": "x"}),
        ("plan", {"a": True, "b": "x"}),
        ("plan", {"a": 1.0, "b": "x"}),
        ("plan", {"ab": "x", "": 1}),
        ("plan", {"a": 1, "b": "x", "c": None}),
    ],
)
def test_any_difference_changes_the_digest(other):
    assert CacheKey.make("plan", {"a": 1, "b": "x"}).digest != CacheKey.make(*other).digest


def test_digest_is_the_same_in_every_process_and_release():
    # A change here makes every cache on every disk miss: it must be meant.
    key = CacheKey.make("cpp-kernel", {"source": "x = 1\n", "threads": 2})
    assert key.digest == "52b95f89fde215cb87e398f75b9b5322cfd96a21b2d6f34dbd256e613c447373"


@pytest.mark.parametrize("value", [{1, 2}, object(), float("nan"), {"x": float("inf")}, {1: 2}, [{("a",): 1}], b"raw"])
def test_what_is_not_json_is_refused_by_name(value):
    with pytest.raises(CacheError, match="part 'shape' of a 'plan' cache key is not plain JSON"):
        CacheKey.make("plan", {"fine": 1, "shape": value})


def test_manifest_parts_keep_short_values_and_hash_long_ones():
    key = CacheKey.make("cpp", {"flags": ["-O3"], "source": "y" * (VERBATIM_LIMIT + 1)})
    described = key.describe_parts()
    assert described["flags"]["value"] == ["-O3"]
    assert described["source"]["characters"] == VERBATIM_LIMIT + 3 and "value" not in described["source"]
    assert digest_of("cpp", {name: part["sha256"] for name, part in described.items()}) == key.digest


def test_a_key_can_be_sent_to_a_worker(key):
    assert pickle.loads(pickle.dumps(key)) == key


def test_a_part_that_holds_itself_is_refused():
    part: list = []
    part.append(part)
    with pytest.raises(CacheError, match="part 'p'"):
        CacheKey.make("plan", {"p": part})
