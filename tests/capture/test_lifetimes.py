"""What a call was given is freed when the caller lets go of it: entries, reports, tracebacks and the line cache hold none of it."""

from __future__ import annotations

import copy
import enum
import functools
import gc
import linecache
import weakref

import pytest

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

import quern  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def strict():
    with torch.no_grad(), quern.config.patch(on_error="raise"):
        yield


@pytest.fixture(autouse=True)
def only_what_the_test_makes_is_collected():
    gc.freeze()


def freed(function, *calls, backend="eager", raises=(), compile=quern.compile):
    """Call a compiled function with what each of `calls` makes; all of it must be gone afterwards, with the results."""
    compiled = compile(function, backend=backend)
    watched = []
    for make in calls:
        arguments = make()
        watched += [weakref.ref(held) for held in _parts(arguments)]
        try:
            result = compiled(*arguments)
            watched += [weakref.ref(held) for held in _parts(result)]
        except raises:
            result = None
        del arguments, result
        gc.collect()
    alive = [reference() for reference in watched if reference() is not None]
    assert not alive, [type(a).__name__ for a in alive]
    return compiled


def _parts(tree):
    if isinstance(tree, (tuple, list)):
        return [part for item in tree for part in _parts(item)]
    if isinstance(tree, dict):
        return _parts(list(tree.values()))
    return [] if isinstance(tree, (int, float, str, bool, type(None))) else [tree]


class Cache:
    def __init__(self):
        self.items = []

    def push(self, x):
        self.items.append(x * 2)
        return torch.stack(self.items).sum(0)


class Owner:
    def __init__(self, weight):
        self.weight = weight

    def scale(self, x):
        return x * self.weight


def product(x, y):
    return torch.relu(x @ y) + 1


def broken(x):
    y = x * 2
    if y.sum() > 0:
        y = y - 1
    return y.cumsum(0)


def loops(x, n):
    for i in range(n):
        if x.sum() > i:
            x = x + 1
    return x


def through(net, x):
    return net(x) * 2


def pushes(cache, x):
    return cache.push(x)


def calls(function, x):
    return function(x) + 1


def fails(x):
    raise ValueError("no", x.shape[0] + 1)


def recovers(x):
    try:
        fails(x)
    except ValueError as error:
        return x * len(error.args)


def generates(x):
    for part in (x * i for i in range(3)):
        x = x + part
    return x


def defined():
    """A function as the top level of a module has it, which the module then forgets."""
    module = {"torch": torch}
    exec("def user(x, k=torch.ones(3), *, scale=2):\n    return x * scale + k", module)
    return module.pop("user")


def nested(held, x):
    return held["functions"][0](x) + held["owner"].scale(x)


def decorated(function):
    @functools.wraps(function)
    def called(*args):
        return function(*args) * 2

    return called


def closure(weight):
    return lambda x: x * weight


def tensors(n):
    return lambda: [torch.randn(n, n), torch.randn(n, n)]


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize(
    "function, made",
    [
        (product, [tensors(4)]),
        (product, [tensors(4), tensors(5), tensors(6), tensors(7)]),
        (broken, [lambda: [torch.ones(8)], lambda: [-torch.ones(8)]]),
        (loops, [lambda: [torch.ones(3), 4]]),
        (through, [lambda: [torch.nn.Linear(4, 4), torch.randn(2, 4)]] * 4),
        (through, [lambda: [torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU()), torch.randn(2, 4)]] * 2),
        (pushes, [lambda: [Cache(), torch.randn(3)]] * 2),
        (calls, [lambda: [closure(torch.randn(3)), torch.randn(3)]] * 3),
        (calls, [lambda: [Owner(torch.randn(3)).scale, torch.randn(3)]] * 3),
        (calls, [lambda: [functools.partial(torch.add, torch.randn(3)), torch.randn(3)]] * 3),
        (calls, [lambda: [defined(), torch.randn(3)]]),
        (calls, [lambda: [defined(), torch.randn(3)]] * 3),
        (calls, [lambda: [decorated(defined()), torch.randn(3)]] * 2),
        (nested, [lambda: [{"functions": [defined()], "owner": Owner(torch.randn(3))}, torch.randn(3)]] * 2),
        (lambda f, xs: list(map(f, xs)), [lambda: [defined(), [torch.randn(3), torch.randn(3)]]] * 2),
        (lambda f, x: {f: x}[f] * len(f.__name__), [lambda: [defined(), torch.randn(3)]] * 2),
        (recovers, [lambda: [torch.randn(3)]]),
        (generates, [lambda: [torch.randn(3)]]),
    ],
    ids=[
        "tensors", "sizes", "break", "loop", "module", "modules", "cache", "closure", "method", "partial", "function", "functions", "decorated",
        "nested", "mapped", "key", "handled", "generator",
    ],
)  # fmt: skip
def test_arguments_and_results(function, made, backend):
    freed(function, *made, backend=backend)


def test_arrays():
    freed(lambda x, k: np.sqrt(x) * k, *(lambda n=n: [np.ones(n), float(n)] for n in (3, 4, 5)), backend="inductor")


def _stored(x):
    x[0] = 5.0
    x[x > 3] += 1
    return x


ARRAYS = {
    "stored": _stored,
    "read by a list": lambda x: x[[0, 2]],
    "options": lambda x: (np.sum(x, keepdims=True), np.add(x, 1, where=x > 2, out=np.zeros_like(x))),
    "by example": lambda x: (np.convolve(x, x[:3]), np.histogram(x, 4)),
    "a loop": lambda x: np.array([v * 2 for v in x]),
    "a method": lambda x: (x.fill(2.0), x.sum(0, keepdims=True)),
}


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_all_handlers(name, backend):
    freed(
        ARRAYS[name],
        lambda: (np.arange(40.0),),
        lambda: (np.arange(50.0),),
        lambda: (np.arange(60.0),),
        backend=backend,
    )


def test_an_exception_that_leaves_the_function():
    freed(fails, lambda: [torch.randn(3)], lambda: [torch.randn(3)], raises=ValueError)


def test_an_error_under_fullgraph():
    def prints(x):
        print(x.sum())
        return x

    freed(
        prints,
        lambda: [torch.randn(3)],
        raises=quern.errors.Unsupported,
        compile=functools.partial(quern.compile, fullgraph=True),
    )


def test_a_failure_of_the_backend():
    def backend(graph, examples):
        raise RuntimeError("no")

    with quern.config.patch(on_backend_error="warn"), pytest.warns(UserWarning, match="could not compile"):
        freed(product, tensors(3), tensors(4), backend=backend)


def test_an_explanation_holds_the_result_only():
    x = torch.randn(4, 4)
    reference = weakref.ref(x)
    explained = quern.explain(product)(x, x.clone())
    del x
    gc.collect()
    assert reference() is None and "relu" in str(explained)


def test_a_report_of_a_recompilation():
    compiled = freed(
        lambda x, cache: x * len(cache), *(lambda n=n: [torch.randn(2), [torch.randn(3)] * n] for n in range(1, 5))
    )
    assert compiled.recompiles and "len(cache) was" in str(compiled.recompiles[0])


def test_an_entry_goes_with_the_module_it_is_about():
    compiled = quern.compile(through, backend="eager")
    nets = [torch.nn.Linear(4, 4) for _ in range(3)]
    for net in nets:
        compiled(net, torch.randn(2, 4))
    assert 1 <= len(compiled.entries) <= 3
    lines = len(linecache.cache)
    del net
    nets.clear()
    gc.collect()
    assert all(not entry.captured.references for entry in compiled.entries)
    assert len(linecache.cache) <= lines
    x = torch.randn(2, 4)
    fresh = torch.nn.Linear(4, 4)
    torch.testing.assert_close(compiled(fresh, x), through(fresh, x))


NET = None


def test_a_module_in_a_global_that_is_replaced():
    global NET
    compiled = quern.compile(lambda x: NET(x), backend="eager")
    references = []
    for _ in range(3):
        NET = torch.nn.Linear(2, 2)
        references.append(weakref.ref(NET))
        x = torch.randn(3, 2)
        torch.testing.assert_close(compiled(x), NET(x))
    NET = None
    gc.collect()
    assert [r() for r in references] == [None] * 3


def test_a_compiled_module_goes_when_nobody_holds_it():
    net = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.Tanh())
    compiled = quern.compile(net, backend="eager")
    compiled(torch.randn(2, 3))
    reference, inner = weakref.ref(net), weakref.ref(net[0].weight)
    del net, compiled
    gc.collect()
    assert reference() is None and inner() is None


def _stored_before_a_break(x, held):
    held["x"] = x
    y = x + 1
    quern.graph_break()
    return y * 2


def _stored_before_two_sizes(x, held):
    held["x"], held["n"] = x, x.shape[0]
    return torch.zeros(x.shape[0], 2) + float(x.sum())


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("function", [lambda x, held: product(x, x), _stored_before_a_break, _stored_before_two_sizes])
def test_what_a_call_used_goes_without_the_collector(function, backend):
    compiled = quern.compile(function, backend=backend)
    gc.collect()
    gc.disable()
    try:
        for size in (4, 4, 5, 6):
            x, held = torch.randn(size, size), {}
            reference = weakref.ref(x)
            compiled(x, held)
            held.clear()
            del x
            assert reference() is None
    finally:
        gc.enable()


def test_copies_of_a_module_do_not_keep_each_other():
    net = torch.nn.Linear(3, 3)
    compiled = quern.compile(through, backend="eager")
    for _ in range(3):
        twin = copy.deepcopy(net)
        reference = weakref.ref(twin)
        compiled(twin, torch.randn(2, 3))
        del twin
        gc.collect()
        assert reference() is None


def test_describing_asks_no_object_for_its_text():
    class Loud:
        def __init__(self, n):
            self.n = n

        def __repr__(self):
            raise AssertionError("nobody reads this")

    compiled = quern.compile(lambda x, thing: x * thing.n, backend="eager", dynamic=False)
    for n in range(3):
        assert compiled(torch.ones(2), Loud(n)).tolist() == [n, n]
    with quern.config.patch(logs=("recompiles",)):
        assert compiled(torch.ones(2), Loud(7)).tolist() == [7, 7]
    assert "thing.n was" in str(compiled.recompiles[-1])


def _instance(base=object):
    class Local(base):
        scale = 3

        def __init__(self):
            super().__init__()
            if base is not object:
                self.inner = torch.nn.Linear(3, 3)

        def forward(self, x):
            return self.inner(x) if base is not object else x * self.scale

        @property
        def twice(self):
            return self.scale * 2

    return Local()


def _module():
    return _instance(torch.nn.Module)


def _member():
    class Choice(enum.Enum):
        ONE = 3

    return Choice.ONE


@pytest.mark.parametrize("backend", ["eager", "inductor"])
@pytest.mark.parametrize("grad", [False, True], ids=["no gradients", "gradients"])
@pytest.mark.parametrize(
    ("function", "make"),
    [
        (lambda o, x: o.forward(x) * o.twice * o.scale, lambda: (_instance(), torch.ones(3))),
        (lambda cls, x: cls().forward(x) * cls.scale, lambda: (type(_instance()), torch.ones(3))),
        (lambda cls, x: x * 2 if isinstance(x, cls) else x * 3, lambda: (type(_instance()), torch.ones(3))),
        (lambda e, x: x * e.value, lambda: (_member(), torch.ones(3))),
        (lambda m, x: m(x), lambda: (_module(), torch.ones(3))),
        (lambda m, x: m.forward(x), lambda: (_module(), torch.ones(3))),
    ],
    ids=["instance", "class", "isinstance", "member of an enum", "module", "module's method"],
)
def test_classes_that_functions_make_are_freed(function, make, grad, backend):
    with torch.set_grad_enabled(grad):
        compiled = quern.compile(function, backend=backend)
        watched = []
        for _ in range(3):
            args = make()
            held = args[0]
            parts = [held, held if isinstance(held, type) else type(held)]
            watched += [weakref.ref(part) for part in (*parts, *getattr(held, "_modules", {}).values())]
            assert torch.equal(compiled(*args), function(*args))
            del args, held, parts
            gc.collect()
    assert [r() for r in watched if r() is not None] == []


def test_a_class_that_a_function_makes_may_change():
    made = _instance()
    compiled = quern.compile(lambda o, x: o.forward(x) * o.twice, backend="eager", fullgraph=True)
    x = torch.ones(3)
    assert compiled(made, x)[0] == 18
    type(made).scale = 4
    assert compiled(made, x)[0] == 32
    type(made).forward = lambda self, x: x
    assert compiled(made, x)[0] == 8
    type(made).__getattr__ = lambda self, name: 1
    type(made).twice = property(lambda self: 5)
    assert compiled(made, x)[0] == 5


@pytest.mark.parametrize("backend", ["eager", "inductor"])
def test_generators_that_the_program_drops_are_closed_without_the_collector(backend):
    def numbers(n, log):
        try:
            yield from range(n)
        finally:
            log.append(n)

    def outer(n, log):
        try:
            yield from numbers(n, log)
        except GeneratorExit:
            log.append("outer")
            raise

    def dropped(x, log):
        for i in numbers(3, log):
            log.append(x.ndim + i)
            break
        log.append("after")
        for i, letter in zip(outer(4, log), "ab"):
            log.append(x.ndim + i)
            if letter == "b":
                break
        log.append("end")
        return x + 1

    gc.disable()
    try:
        log, expected = [], []
        quern.compile(dropped, backend=backend)(torch.ones(2), log)
        dropped(torch.ones(2), expected)
    finally:
        gc.enable()
    assert log == expected == [1, 3, "after", 1, 2, 4, "outer", "end"]
