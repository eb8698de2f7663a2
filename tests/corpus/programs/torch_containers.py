"""Lists, dicts, sets, tuples, strings: made inside, passed in, changed, shared."""

# ruff: noqa
# mypy: ignore-errors
import collections

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)


@program
def list_methods(x):
    a = [x]
    a.append(x + 1)
    a.extend([1, 2])
    a.insert(0, "first")
    b = a.copy()
    b.reverse()
    popped = b.pop(), b.pop(0)
    b.remove(1)
    return a, b, popped, a.index(2), a.count(1)


@program
def list_slices(x):
    a = list(range(10))
    a[2:5] = [x, x]
    del a[0]
    a[::3] = [0] * len(a[::3])
    del a[-2:]
    return a, a[1:3], a[::-1], a[-1]


@program
def list_operators(x):
    a = [1, 2] + [3]
    a += (4,)
    a *= 2
    return x, a, a == [1, 2, 3, 4] * 2, [1, 2] < [1, 3], 3 in a, 9 not in a


@program
def sort_and_sorted(x):
    a = [3, 1, 2]
    a.sort(reverse=True)
    words = sorted(["bb", "a", "ccc"], key=len)
    pairs = sorted([(2, x), (1, x + 1)], key=lambda p: p[0])
    return x, a, words, pairs, max(words, key=len), min([], default=7)


@program(args=lambda: (randn(3), [1, 2]))
def append_to_argument(x, seen):
    seen.append(x * 2)
    return x + len(seen)


@program(args=lambda: (randn(3), [randn(2), randn(2)]))
def replace_in_argument_list(x, items):
    items[0] = items[1] + 1
    items[1] = x
    return items


@program(args=lambda: (randn(3), [5, 6, 7]))
def clear_and_refill_argument(x, items):
    items.clear()
    items.extend([x, 1])
    return len(items)


@program(args=lambda: (randn(3), {"a": 1, "b": 2}))
def change_argument_dict(x, d):
    d["c"] = x
    d["a"] += 10
    del d["b"]
    return list(d), d.get("zzz", 5)


@program(args=lambda: (randn(3), {"a": 1, "b": 2, "c": 3}))
def reorder_argument_dict(x, d):
    v = d.pop("a")
    d["a"] = v
    d.update(b=x)
    return d.setdefault("q", 9), d


@program(args=lambda: (randn(3), [[1], [2]]))
def nested_mutation(x, items):
    items[0].append(x)
    items.append(items[0])
    return items


@program.maker(args=lambda: (lambda shared: (shared, shared))([1]))
def same_list_twice():
    def f(a, b):
        a.append(torch.ones(2))
        return len(b), a is b

    return f


@program(args=lambda: (lambda t: (t, t))(randn(3)))
def same_tensor_twice(a, b):
    return a + b, a is b


@program(args=lambda: (lambda t: (t, t))(randn(3)))
def same_tensor_written(a, b):
    a.add_(1)
    return b * 2


@program
def returns_aliases(x):
    y = x + 1
    a = [y, y]
    return a, {"k": a, "y": y}, (a, x)


@program
def self_referring_list(x):
    a = [x]
    a.append(a)
    return a[1][1][0] + 1


@program
def returns_self_referring_list(x):
    a = [x + 1]
    a.append(a)
    return a


@program
def dict_methods(x):
    d = {"a": x, "b": 2}
    d.update({"c": 3}, d=4)
    e = dict(d, z=1)
    f = dict([("p", 1), ("q", x)])
    g = {**d, "a": 0} | {"m": 1}
    item = e.popitem()
    return d, e, f, g, item, d.pop("nope", None), list(d.keys()), list(f.values()), list(g.items())


@program
def dict_iteration_order(x):
    d = {}
    for k in "cab":
        d[k] = x
    del d["c"]
    d["c"] = x
    return list(d), "a" in d, len(d), list(reversed(d))


@program
def dict_views(x):
    d = {"a": 1, "b": 2}
    return (
        x,
        d.keys() & {"a", "z"},
        ("a", 1) in d.items(),
        sorted(d.keys() | {"q"}),
        2 in d.values(),
        d.keys() == {"b": 0, "a": 0}.keys(),
    )


@program
def dict_with_mixed_keys(x):
    d = {1: "int", (1, 2): "tuple", None: "none", 2.5: "float", True: "bool", "s": x}
    return d[1], d[(1, 2)], d[None], d[2.5], d


@program
def tensor_as_dict_key(x, y):
    d = {x: 1, y: 2}
    return d[x], d[y], x in d, len(d), x + 1


@program
def dtype_as_dict_key(x):
    d = {torch.float32: 2.0, torch.float64: 3.0}
    return x * d[x.dtype]


@program
def type_as_dict_key(x):
    d = {int: 1, torch.Tensor: 2, list: 3}
    return x * d[type(x)] + d[type(1)]


@program
def set_operations(x):
    a = {1, 2, 3}
    b = {3, 4}
    a.add(9)
    a.discard(77)
    a.remove(2)
    c = a | b, a & b, a - b, a ^ b, a <= {1, 3, 9, 10}, a.isdisjoint({100}), frozenset(b)
    a.update([5])
    a -= {1}
    return x, a, c, len(a), 5 in a


@program
def tuple_operations(x):
    t = (1, x, "s")
    u = t + (4,)
    return u[1:3], t * 2, len(u), u.index(4), u.count(1), "s" in (1, "s"), (1, 2) < (1, 3), hash((1, 2)) == hash((1, 2))


@program
def string_methods(x):
    s = "Hello, World"
    return (
        x,
        s.lower(),
        s.split(", "),
        s.replace("l", "L"),
        s[::-1],
        s.startswith("He"),
        s.find("W"),
        "-".join(["a", "b"]),
        s.encode(),
        s * 2,
        "a" < "b",
    )


@program
def string_formatting(x):
    n, f, s = 5, 3.14159, "text"
    return (
        x,
        f"{n} {f:.2f} {s!r:>10} {n:04d} {f:e} {s:^9}",
        "%d %s %.1f" % (n, s, f),
        "{1} {0} {k}".format(n, s, k=f),
        f"{x.shape} {tuple(x.shape)} {x.dtype} {x.device}",
        f"{n=} {[1, s]} { {'a': 1} }",
        format(n, "x"),
        f"{n:{'0>5'}}",
    )


@program
def string_builder(x):
    parts = []
    for i, s in enumerate(x.shape):
        parts.append(f"{i}:{s}")
    text = ",".join(parts)
    return x * len(text), text


@program
def bytes_and_ints(x):
    b = b"abc" + bytes([1, 2])
    return (
        x + b[0],
        b[1:],
        int("ff", 16),
        hex(255),
        bin(5),
        chr(65),
        ord("z"),
        (5).bit_length(),
        int.from_bytes(b"\x01\x02", "big"),
    )


@program
def unpack_nested(x):
    (a, (b, *c)), d = (x, (1, 2, 3)), {"k": x}
    [e], f = [d["k"]], c
    return a + e, b, f


@program
def slices_as_objects(x):
    s = slice(1, 3)
    t = slice(None, None, 2)
    return x[s], x[:, t], s.start, s.stop, t.step, s == slice(1, 3), slice(0, 9).indices(5)


@program
def deque_program(x):
    d = collections.deque([1, 2, x], maxlen=3)
    d.append(x + 1)
    d.appendleft(0)
    d.rotate(1)
    return d, d[0], len(d), d.maxlen, list(d)


@program
def counter_program(x):
    c = collections.Counter("abracadabra")
    c["z"] += 2
    return x * c["a"], c.most_common(2), sum(c.values()), c["missing"]


@program
def defaultdict_program(x):
    d = collections.defaultdict(list)
    for i in range(4):
        d[i % 2].append(x * i)
    e = collections.defaultdict(lambda: x)
    return d[0], dict(d), e["q"] + 1, len(e)


@program
def ordereddict_program(x):
    d = collections.OrderedDict(a=x, b=2)
    d.move_to_end("a")
    d["c"] = 3
    return list(d), d, d.popitem(last=False)


@program(args=lambda: (randn(3), collections.OrderedDict(a=1, b=2)))
def ordereddict_argument(x, d):
    d.move_to_end("a")
    d["n"] = x
    return x * d["b"]


@program
def chainmap_program(x):
    c = collections.ChainMap({"a": 1}, {"a": 2, "b": x})
    return c["a"], c["b"] + 1


Pair = collections.namedtuple("Pair", ["first", "second"], defaults=[7])


@program
def namedtuple_program(x):
    p = Pair(x)
    q = p._replace(second=x + 1)
    a, b = q
    return p, q, p.first + b, q._fields, q._asdict(), p == Pair(first=x, second=7) if False else p[1]


@program(args=lambda: (Pair(randn(3), 2),))
def namedtuple_argument(p):
    return Pair(p.first * p.second, p.second + 1), p[0]


@program
def torch_size(x):
    s = x.shape
    return (
        s,
        s[0],
        s[1:],
        s.numel(),
        len(s),
        tuple(s),
        list(s),
        s == (3, 4),
        s + (1,),
        torch.Size([1, 2]),
        x.size(),
        x.size(0),
        x.size(-1),
    )


@program
def zip_unzip(x, y):
    pairs = list(zip([x, y], "ab", range(5)))
    tensors, names, numbers = zip(*pairs)
    return tensors, names, numbers, dict(zip(names, tensors))


@program
def any_all_sum_min_max(x):
    ns = [3, 1, 2]
    return (
        x * sum(ns),
        any(n > 2 for n in ns),
        all(ns),
        min(ns),
        max(ns),
        max(1, 2, 3),
        sum([[1], [2]], []),
        abs(-3),
        round(2.567, 2),
        sum(ns, 10),
    )


@program
def iter_protocol(x):
    it = iter([1, 2, 3])
    first = next(it)
    rest = list(it)
    return x * first, rest, next(it, "done"), next(iter({"a": 1}))


@program
def iter_with_sentinel(x):
    values = [3, 2, 1, 0, 9]
    return x, list(iter(lambda: values.pop(0), 0)), values


@program(args=lambda: (randn(3), iter([1, 2, 3])))
def iterator_argument(x, it):
    a = next(it)
    return x * a


@program(args=lambda: (randn(3), (i for i in range(4))))
def generator_argument(x, g):
    return x * next(g)


@program
def enumerate_zip_range_objects(x):
    e = enumerate("ab")
    z = zip([1], [2])
    return x, list(e), list(z), list(range(3)), type(e).__name__


@program
def list_of_lists_aliasing(x):
    grid = [[0] * 2] * 2
    grid[0][0] = x
    other = [row[:] for row in grid]
    other[1][1] = 5
    return grid, other, grid[0] is grid[1]


@program
def del_items(x):
    d = {"a": x, "b": 1}
    a = [1, 2, 3, 4]
    del d["a"], a[1:3]
    return d, a


@program
def augmented_assignment_targets(x):
    d = {"a": 1}
    a = [1, 2]
    d["a"] += 5
    a[0] *= 3
    a[-1] -= 1
    a += "xy"
    t = (1,)
    t += (2,)
    return x, d, a, t


@program
def stack_of_tensors(x, y):
    stack = [x]
    stack.append(stack[-1] + y)
    top = stack.pop()
    return torch.stack([top, *stack]), torch.cat((x, y), dim=1)


@program
def membership_in_tensors_list(x):
    items = [1, "a", None]
    return None in items, "a" in items, x + 1


@program
def dict_of_functions(x):
    table = dict(a=lambda t: t + 1, b=torch.sin)
    return {k: f(x) for k, f in table.items()}


@program
def list_equality_with_tensors(x, y):
    a = [x, 1]
    return a == [x, 1], a != [x, 2], (x, 1) == (x, 1)


@program
def copy_module(x):
    import copy

    a = [x, [1]]
    b = copy.copy(a)
    b[1].append(2)
    c = copy.deepcopy([1, [2]])
    return a, b, c


@program(args=lambda: (randn(3), {"inner": {"t": randn(3)}, "l": [1]}))
def deep_argument(x, tree):
    tree["inner"]["t2"] = tree["inner"]["t"] + x
    tree["l"] = tree["l"] + [2]
    return tree["inner"]


@program(args=lambda: (randn(3), {3: "a", "k": 2, (1, 2): 5}))
def argument_dict_with_mixed_keys(x, d):
    return x * d["k"] + d[(1, 2)], d[3], sorted(map(str, d))


@program(args=lambda: (randn(3), {1, 2, 3}))
def set_argument(x, s):
    s.add(10)
    return x * len(s), 2 in s


@program(args=lambda: (randn(3), collections.deque([1, 2], maxlen=2)))
def deque_argument(x, d):
    d.append(x)
    return d[0]


@program(args=lambda: (randn(3), collections.defaultdict(list)))
def defaultdict_argument(x, d):
    d["a"].append(x)
    return len(d)


@program(args=lambda: (randn(3), {"a": 1, "b": 2, "c": randn(2)}))
def swap_argument_dict_values(x, d):
    d["a"], d["b"] = d["b"], d["a"]
    d["c"], d["x"] = x, d["c"]
    return x + 1


@program(args=lambda: (randn(3), [randn(2), randn(2), 3]))
def swap_argument_list_items(x, a):
    a[0], a[1] = a[1], a[0]
    a.reverse()
    return x + a[0]


@program
def concatenation_errors(x):
    texts = []
    for make in (lambda: [1] + (2,), lambda: (1,) + [2], lambda: [1] * "a", lambda: "a" + [1], lambda: [x] + 3):
        try:
            make()
        except TypeError as e:
            texts.append(str(e))
    return x, texts


class Addable:
    def __radd__(self, other):
        return ("radd", other)

    def __rmul__(self, other):
        return ("rmul", other)


@program
def list_plus_object(x):
    return [x] + Addable(), (1,) * Addable(), "a" + Addable()


@program
def wrong_arguments_of_methods(x):
    said = []
    for fails in (
        lambda: [].extend(),
        lambda: {}.get(),
        lambda: set().add(1, 2),
        lambda: [1].append(k=1),
        lambda: dict([1]),
    ):
        try:
            fails()
        except TypeError as e:
            said.append(str(e))
    return x, said


@program(args=lambda: (randn(2), {"a": 1}))
def iterates_over_grown_dict(x, d):
    d.update(e=2)
    seen = []
    for v in d.values():
        if x.sum().item() > 100:
            x = x + 1
        seen.append(v)
    del d["a"]
    for i, (k, v) in enumerate(zip(d, d.items())):
        torch._dynamo.graph_break()
        seen.append((i, k, v))
    return x, seen


@program(args=lambda: (randn(3).expand(2, 3), torch.zeros(3, 1).expand(3, 3)[1:]))
def write_through_row_of_expanded_argument(x, y):
    x[1].add_(2)
    y[0].mul_(3)
    return x, y
