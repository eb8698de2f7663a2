"""Control flow: branches, loops, comprehensions, walrus, match."""

# ruff: noqa
# mypy: ignore-errors

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)


@program
def if_on_shape(x):
    if x.shape[0] > 2:
        return x + 1
    return x - 1


@program(args=lambda: (randn(3), 4))
def if_on_int(x, n):
    if n % 2 == 0:
        x = x * n
    elif n > 3:
        x = x - n
    else:
        x = x / n
    return x


@program(args=lambda: (randn(3), None))
def if_on_none(x, bias):
    return x if bias is None else x + bias


@program(args=lambda: (randn(3), True, False))
def boolean_logic(x, a, b):
    if a and not b or (b and a):
        x = x.sin()
    return x, a and b, a or b, not a


@program
def for_range(x):
    for i in range(4):
        x = x + i
    return x


@program
def for_range_step(x):
    out = []
    for i in range(10, 0, -3):
        out.append(x * i)
    return out


@program
def for_break_else(x):
    for i in range(9):
        if i == 4:
            x = x * i
            break
    else:
        x = x * 100
    return x, i


@program
def nested_loops_continue(x):
    total = x
    for i in range(3):
        for j in range(3):
            if j == i:
                continue
            if i + j == 3:
                break
            total = total + x * (i * 3 + j)
    return total, i, j


@program
def while_counter(x):
    n = 0
    while n < 5:
        x = x * 1.5
        n += 1
    return x, n


@program
def while_true_break(x):
    n = 1
    while True:
        n *= 2
        if n > 20:
            break
        x = x + n
    return x


@program
def loop_over_rows(x):
    total = 0
    for row in x:
        total = total + row.sum()
    return total


@program
def loop_over_zip(x, y):
    out = x
    for a, b in zip(x, y):
        out = out + a * b
    return out


@program
def loop_enumerate_reversed(x):
    rows = []
    for i, row in enumerate(reversed([x[0], x[1], x[2]]), start=5):
        rows.append(row * i)
    return torch.stack(rows)


@program
def loop_over_shape(x):
    n = 1
    for s in x.shape:
        n *= s
    return x.reshape(n), n


@program(args=lambda: (randn(3), [1, 2, 3]))
def loop_over_list_arg(x, items):
    for i in items:
        x = x + i
    return x


@program(args=lambda: (randn(3), {"a": 1.5, "b": 2.5}))
def loop_over_dict_arg(x, items):
    for k, v in items.items():
        if k != "a":
            x = x * v
    return x, list(items)


@program
def list_comprehension(x):
    return [x * i for i in range(5) if i % 2]


@program
def nested_comprehension(x):
    return [[x[i, j] + 1 for j in range(2)] for i in range(3)]


@program
def dict_set_comprehension(x):
    d = {f"k{i}": x + i for i in range(3)}
    s = {i % 2 for i in range(5)}
    return d, s


@program
def generator_expression(x):
    return sum(x * i for i in range(4)), max(i * 2 for i in range(3))


@program
def walrus_in_while(x):
    n = 10
    seen = []
    while (n := n - 3) > 0:
        seen.append(n)
        x = x + n
    return x, seen


@program
def walrus_in_comprehension(x):
    last = None
    rows = [last := x[i] * 2 for i in range(3)]
    return rows, last


@program
def ternary_chain(x):
    k = len(x.shape)
    return x * (1 if k == 1 else 2 if k == 2 else 3)


@program
def chained_comparison(x):
    return x if 0 < x.shape[0] <= x.shape[1] < 10 else -x


@program(args=lambda: (randn(3), ("scale", 2.0)))
def match_sequence(x, command):
    match command:
        case ("shift", a):
            return x + a
        case ("scale", float(a)):
            return x * a
        case _:
            return x


@program(args=lambda: (randn(3), {"op": "add", "value": 3, "extra": None}))
def match_mapping(x, command):
    match command:
        case {"op": "mul", "value": v}:
            return x * v
        case {"op": "add", "value": v, **rest} if v > 2:
            return x + v, rest
    return x


class Point:
    __match_args__ = ("a", "b")

    def __init__(self, a, b):
        self.a = a
        self.b = b


@program
def match_class(x):
    p = Point(x, 3)
    match p:
        case Point(a, 2):
            return a
        case Point(a=t, b=3 | 4 as n):
            return t * n
    return None


@program(args=lambda: (randn(3), [1, 2, 3, 4]))
def match_star(x, items):
    match items:
        case [first, *middle, last]:
            return x * first + last, middle
    return x


@program
def unpack_star(x):
    a, *rest, b = [x, x + 1, x + 2, x + 3]
    (c, d), [e] = (a, b), [rest]
    return a + b, rest, c - d, e


@program
def swap_and_rotate(x, y):
    x, y = y, x
    a, b, c = x, y, x + y
    a, b, c = c, a, b
    return a, b, c


@program
def early_return_in_loop(x):
    for i in range(10):
        x = x + 1
        if i == 2:
            return x, i
    return None


@program
def conditional_variable(x):
    if x.ndim == 2:
        name = "two"
    try:
        return x, name
    except NameError:
        return None


@program
def del_local(x):
    t = x + 1
    u = t * 2
    del t
    try:
        t
    except UnboundLocalError as e:
        return u, str(e)


@program
def assert_true(x):
    assert x.shape[0] == 3, "bad shape"
    assert x.ndim
    return x * 2


@program
def assert_fails(x):
    y = x + 1
    assert y.shape[0] == 4, f"got {tuple(y.shape)}"
    return y


@program
def loop_carried_list(x):
    state = [x, x * 2]
    for _ in range(3):
        state = [state[1], state[0] + state[1]]
    return state


@program
def while_over_list(x):
    todo = [1, 2, 3]
    while todo:
        x = x * todo.pop()
    return x, todo


@program
def fizzbuzz(x):
    out = []
    for i in range(1, 16):
        match (i % 3, i % 5):
            case (0, 0):
                out.append("fizzbuzz")
            case (0, _):
                out.append("fizz")
            case (_, 0):
                out.append("buzz")
            case _:
                out.append(i)
    return x + sum(o for o in out if isinstance(o, int)), out


@program
def range_operations(x):
    r = range(2, 20, 3)
    return x * r[2], r[1:3], len(r), 8 in r, 9 in r, r.index(8), list(reversed(r))


@program(args=lambda: (randn(4), 3))
def int_arithmetic(x, n):
    return x * (n // 2) + (n % 2) - (-n // 2) + (n**2 >> 1) + (n & 1 | 4 ^ n), divmod(-n, 2), ~n, n / 2


@program(args=lambda: (randn(4), 2.5))
def float_arithmetic(x, f):
    return x * f, f // 1, f % 1, round(f), int(f), f.is_integer(), abs(-f), pow(f, 2), divmod(f, 0.75)


@program
def tensor_truth_via_shape(x):
    flag = bool(x.shape) and len(x) and x.numel() != 0
    return x if flag else None, flag
