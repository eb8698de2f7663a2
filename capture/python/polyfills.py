"""Python code that stands for C functions of the standard library. It is never run: capture inlines it.

Each function follows the library's documented behaviour.
"""

from __future__ import annotations

import bisect
import collections
import functools
import heapq
import itertools
import math
import operator
from typing import Any

from .builtin_table import polyfills

_missing = object()


# what builtins do of arrays, as loops that a front end may make one node of the graph


def added_up(items: Any, total: Any) -> Any:
    for item in items:
        total = total + item
    return total


def any_of(items: Any) -> bool:
    for item in items:
        if item:
            return True
    return False


def all_of(items: Any) -> bool:
    for item in items:
        if not item:
            return False
    return True


def largest(items: Any) -> Any:
    best = items[0]
    for item in items[1:]:
        if item > best:
            best = item
    return best


def smallest(items: Any) -> Any:
    best = items[0]
    for item in items[1:]:
        if item < best:
            best = item
    return best


def backwards(sequence: Any, length: int) -> Any:
    for i in range(length - 1, -1, -1):
        try:
            item = sequence[i]
        except (IndexError, StopIteration):
            return
        yield item


@polyfills(functools.reduce)
def reduce(function: Any, iterable: Any, initial: Any = _missing, /) -> Any:
    it = iter(iterable)
    if initial is _missing:
        try:
            value = next(it)
        except StopIteration:
            raise TypeError("reduce() of empty iterable with no initial value") from None
    else:
        value = initial
    for item in it:
        value = function(value, item)
    return value


@polyfills(math.prod)
def prod(iterable: Any, /, *, start: Any = 1) -> Any:
    total = start
    for item in iterable:
        total = total * item
    return total


class _CmpKey:
    def __init__(self, obj: Any, compare: Any) -> None:
        self.obj = obj
        self.compare = compare

    def __lt__(self, other: Any) -> bool:
        return self.compare(self.obj, other.obj) < 0

    def __gt__(self, other: Any) -> bool:
        return self.compare(self.obj, other.obj) > 0

    def __eq__(self, other: object) -> bool:
        return self.compare(self.obj, other.obj) == 0  # type: ignore[attr-defined]

    __hash__ = None  # type: ignore[assignment]


@polyfills(functools.cmp_to_key)
def cmp_to_key(mycmp: Any) -> Any:
    return lambda obj: _CmpKey(obj, mycmp)


# ---------------------------------------------------------------- operator


@polyfills(operator.itemgetter)
def itemgetter(item: Any, /, *items: Any) -> Any:
    if not items:
        return lambda obj: obj[item]
    return lambda obj: tuple([obj[i] for i in (item, *items)])


def resolve(obj: Any, path: str) -> Any:
    for name in path.split("."):
        obj = getattr(obj, name)
    return obj


@polyfills(operator.attrgetter)
def attrgetter(attr: str, /, *attrs: str) -> Any:
    if not attrs:
        return lambda obj: resolve(obj, attr)
    return lambda obj: tuple([resolve(obj, a) for a in (attr, *attrs)])


@polyfills(operator.methodcaller)
def methodcaller(name: str, /, *args: Any, **kwargs: Any) -> Any:
    return lambda obj: getattr(obj, name)(*args, **kwargs)


# ---------------------------------------------------------------- itertools


@polyfills(itertools.chain)
def chain(*iterables: Any) -> Any:
    for iterable in iterables:
        yield from iterable


@polyfills(itertools.chain.from_iterable)
def chain_from_iterable(iterables: Any) -> Any:
    for iterable in iterables:
        yield from iterable


@polyfills(itertools.repeat)
def repeat(obj: Any, times: Any = None) -> Any:
    if times is None:
        while True:
            yield obj
    else:
        for _ in range(times):
            yield obj


@polyfills(itertools.cycle)
def cycle(iterable: Any, /) -> Any:
    saved = []
    for item in iterable:
        yield item
        saved.append(item)
    while saved:
        yield from saved


@polyfills(itertools.accumulate)
def accumulate(iterable: Any, func: Any = None, *, initial: Any = None) -> Any:
    it = iter(iterable)
    total = initial
    if initial is None:
        try:
            total = next(it)
        except StopIteration:
            return
    yield total
    for item in it:
        total = total + item if func is None else func(total, item)
        yield total


@polyfills(itertools.compress)
def compress(data: Any, selectors: Any) -> Any:
    return (d for d, s in zip(data, selectors) if s)


@polyfills(itertools.dropwhile)
def dropwhile(predicate: Any, iterable: Any, /) -> Any:
    it = iter(iterable)
    for item in it:
        if not predicate(item):
            yield item
            break
    yield from it


@polyfills(itertools.takewhile)
def takewhile(predicate: Any, iterable: Any, /) -> Any:
    for item in iterable:
        if not predicate(item):
            break
        yield item


@polyfills(itertools.filterfalse)
def filterfalse(function: Any, iterable: Any, /) -> Any:
    for item in iterable:
        if not (item if function is None else function(item)):
            yield item


@polyfills(itertools.starmap)
def starmap(function: Any, iterable: Any, /) -> Any:
    for args in iterable:
        yield function(*args)


@polyfills(itertools.islice)
def islice(iterable: Any, *args: Any) -> Any:
    bounds = slice(*args)
    start = 0 if bounds.start is None else bounds.start
    step = 1 if bounds.step is None else bounds.step
    stop = bounds.stop
    it = iter(iterable)
    position = 0
    wanted = start
    while stop is None or wanted < stop:
        try:
            item = next(it)
        except StopIteration:
            return
        if position == wanted:
            yield item
            wanted += step
        position += 1


@polyfills(itertools.pairwise)
def pairwise(iterable: Any, /) -> Any:
    it = iter(iterable)
    previous = next(it, _missing)
    if previous is _missing:
        return
    for item in it:
        yield previous, item
        previous = item


@polyfills(itertools.zip_longest)
def zip_longest(*iterables: Any, fillvalue: Any = None) -> Any:
    its = [iter(i) for i in iterables]
    left = len(its)
    ended = [False] * left
    while left:
        row = []
        for i, it in enumerate(its):
            value = fillvalue
            if not ended[i]:
                found = next(it, _missing)
                if found is _missing:
                    ended[i] = True
                    left -= 1
                    if not left:
                        return
                else:
                    value = found
            row.append(value)
        yield tuple(row)


@polyfills(itertools.product)
def product(*iterables: Any, repeat: int = 1) -> Any:
    pools = [tuple(i) for i in iterables] * repeat
    rows: list[tuple[Any, ...]] = [()]
    for pool in pools:
        rows = [(*row, item) for row in rows for item in pool]
    return iter(rows)


@polyfills(itertools.permutations)
def permutations(iterable: Any, r: Any = None) -> Any:
    pool = tuple(iterable)
    length = len(pool) if r is None else r
    rows: list[tuple[int, ...]] = [()]
    for _ in range(length):
        rows = [(*row, i) for row in rows for i in range(len(pool)) if i not in row]
    return iter([tuple([pool[i] for i in row]) for row in rows])


@polyfills(itertools.combinations)
def combinations(iterable: Any, r: int) -> Any:
    pool = tuple(iterable)
    rows: list[tuple[int, ...]] = [()]
    for _ in range(r):
        rows = [(*row, i) for row in rows for i in range(row[-1] + 1 if row else 0, len(pool))]
    return iter([tuple([pool[i] for i in row]) for row in rows])


@polyfills(itertools.combinations_with_replacement)
def combinations_with_replacement(iterable: Any, r: int) -> Any:
    pool = tuple(iterable)
    rows: list[tuple[int, ...]] = [()]
    for _ in range(r):
        rows = [(*row, i) for row in rows for i in range(row[-1] if row else 0, len(pool))]
    return iter([tuple([pool[i] for i in row]) for row in rows])


@polyfills(itertools.groupby)
def groupby(iterable: Any, key: Any = None) -> Any:
    groups: list[tuple[Any, list[Any]]] = []
    for item in iterable:
        k = item if key is None else key(item)
        if groups and groups[-1][0] == k:
            groups[-1][1].append(item)
        else:
            groups.append((k, [item]))
    return ((k, iter(items)) for k, items in groups)


@polyfills(itertools.tee)
def tee(iterable: Any, n: int = 2, /) -> Any:
    items = list(iterable)
    return tuple([iter(items) for _ in range(n)])


def batched(iterable: Any, n: int, *, strict: bool = False) -> Any:
    if n < 1:
        raise ValueError("n must be at least one")
    items = list(iterable)
    for start in range(0, len(items), n):
        part = tuple(items[start : start + n])
        if strict and len(part) != n:
            raise ValueError("batched(): incomplete batch")
        yield part


if hasattr(itertools, "batched"):  # from Python 3.12
    polyfills(itertools.batched)(batched)


# ---------------------------------------------------------------- collections


def count_elements(mapping: Any, iterable: Any) -> None:
    for item in iterable:
        mapping[item] = mapping.get(item, 0) + 1


polyfills(collections._count_elements)(count_elements)  # type: ignore[attr-defined]


# ---------------------------------------------------------------- heapq


def _rise(heap: Any, first: int, position: int) -> None:
    """Move the item at `position` towards the root until its parent is not larger."""
    item = heap[position]
    while position > first:
        parent = (position - 1) // 2
        if not item < heap[parent]:
            break
        heap[position] = heap[parent]
        position = parent
    heap[position] = item


def _sink(heap: Any, position: int) -> None:
    """Move the item at `position` down to a leaf along smaller children, then up to its place."""
    end, first, item = len(heap), position, heap[position]
    child = 2 * position + 1
    while child < end:
        right = child + 1
        if right < end and not heap[child] < heap[right]:
            child = right
        heap[position] = heap[child]
        position = child
        child = 2 * position + 1
    heap[position] = item
    _rise(heap, first, position)


@polyfills(heapq.heapify)
def heapify(heap: Any, /) -> None:
    for i in reversed(range(len(heap) // 2)):
        _sink(heap, i)


@polyfills(heapq.heappush)
def heappush(heap: Any, item: Any, /) -> None:
    heap.append(item)
    _rise(heap, 0, len(heap) - 1)


@polyfills(heapq.heappop)
def heappop(heap: Any, /) -> Any:
    last = heap.pop()
    if not heap:
        return last
    smallest = heap[0]
    heap[0] = last
    _sink(heap, 0)
    return smallest


@polyfills(heapq.heapreplace)
def heapreplace(heap: Any, item: Any, /) -> Any:
    smallest = heap[0]
    heap[0] = item
    _sink(heap, 0)
    return smallest


@polyfills(heapq.heappushpop)
def heappushpop(heap: Any, item: Any, /) -> Any:
    if heap and heap[0] < item:
        item, heap[0] = heap[0], item
        _sink(heap, 0)
    return item


@polyfills(heapq.nsmallest)
def nsmallest(n: int, iterable: Any, key: Any = None) -> Any:
    return sorted(iterable, key=key)[: max(n, 0)]


@polyfills(heapq.nlargest)
def nlargest(n: int, iterable: Any, key: Any = None) -> Any:
    return sorted(iterable, key=key, reverse=True)[: max(n, 0)]


@polyfills(bisect.insort_right)
def insort_right(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> None:
    a.insert(bisect.bisect_right(a, x if key is None else key(x), lo, hi, key=key), x)


@polyfills(bisect.insort_left)
def insort_left(a: Any, x: Any, lo: Any = 0, hi: Any = None, *, key: Any = None) -> None:
    a.insert(bisect.bisect_left(a, x if key is None else key(x), lo, hi, key=key), x)
