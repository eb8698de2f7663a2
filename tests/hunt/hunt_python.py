"""The Python hunt: functions whose tensors meet dicts, odd classes, hooks, closures, exceptions, mutation, changing numbers.

A program is put together from fragments. Each brings globals of its own, some statements over `x`, `y` (tensors), `n` (an int), `k` (a
float) and `out` (the list of results), and things that can be changed between two calls. Statements may stand in a loop, a branch, a
`try`, a `with`, a closure. Two copies of the module run side by side, one compiled; all that can be seen of them is compared.
The other half of the programs are those of `capture/random_programs.py`: the language itself.
"""

from __future__ import annotations

import contextlib
import linecache
import random
import re
import sys
import textwrap
import types
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import random_programs
import random_runs
import torch
from comparison import Comparison, within
from hypothesis import strategies as st
from running import Run, forget_tracebacks, observe
from torch_values import GROUND

import quern

#: generated kernels may differ in the last bits
COMPARISON = Comparison(within(1e-5), signs=False)

PRELUDE = '''\
import collections, contextlib, contextvars, copy, dataclasses, enum, functools, itertools, math, operator, threading, types, typing, weakref
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F


class Key:
    """Equal by its number, whatever else it holds."""

    def __init__(self, n):
        self.n = n

    def __eq__(self, other):
        return isinstance(other, Key) and self.n == other.n

    def __hash__(self):
        return hash(self.n) % 3

    def act(self):
        return self.n


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass(frozen=True)
class Frozen:
    a: int
    b: str = "b"


Point = collections.namedtuple("Point", "x y")
'''

#: expressions for keys; those of one row are equal to another, in one row alone, or not at all
KEYS = (
    "'s'", "1", "1.0", "True", "None", "Color.RED", "Level.LOW", "int", "len", "Frozen(1)", "Point(1, 2)", "Key(1)", "(1, 'a')", "frozenset([1, 2])",
    "g{u}_p", "g{u}_t", "g{u}_key", "g{u}_key.act", "g{u}_partial", "(g{u}_p, 1)", "frozenset([g{u}_key])", "g{u}_module", "id(g{u}_p)", "type(g{u}_key)", "x.dtype", "x.device", "x.shape", "(g{u}_t, g{u}_key)", "g{u}_fn",
)  # fmt: skip
KEY_GLOBALS = """\
g{u}_p = nn.Parameter(torch.ones(3))
g{u}_t = torch.full((3,), 2.0)
g{u}_key = Key(2)
g{u}_module = nn.Linear(3, 3)
g{u}_partial = functools.partial(max, 1)
def g{u}_fn(v): return v
g{u}_d = {{}}
g{u}_s = set()
"""


@dataclass(frozen=True)
class Fragment:
    """globals, statements, and statements that change something between two calls; {u} makes names its own, {key} is drawn."""

    setup: str
    body: str
    changes: tuple[str, ...] = ()


def _linear(body: str, *changes: str, more: str = "") -> Fragment:
    setup = f"g{{u}}_m = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))\n{more}"
    return Fragment(setup, body, changes)


def _object(cls: str, body: str, *changes: str, make: str = "C{u}()") -> Fragment:
    return Fragment(textwrap.dedent(cls).strip() + f"\ng{{u}}_o = {make}\n", textwrap.dedent(body).strip(), changes)


HOOK = "def g{u}_hook(m, i, o=None):\n    return None if o is None else o * 2\ndef g{u}_pre(m, i):\n    return (i[0] + 1,)\ng{u}_h = []\n"
FRAGMENTS = (
    # ---- keys that are objects
    Fragment(KEY_GLOBALS, "if {key} not in g{u}_d: g{u}_d[{key}] = torch.zeros(3)\ng{u}_d[{key}] += x\nout.append(g{u}_d[{key}].clone())", ("g{u}_d.clear()", "g{u}_d[{key}] = torch.ones(3)", "g{u}_d.pop({key}, None)", "g{u}_key = Key(3)", "g{u}_key.n = 5", "g{u}_p = nn.Parameter(torch.ones(3))")),
    Fragment(KEY_GLOBALS, "out.append(x * g{u}_d.get({key}, 3))", ("g{u}_d[{key}] = 7", "g{u}_d[{key}] = 8.0", "g{u}_d.clear()", "g{u}_t = torch.zeros(3)", "g{u}_key = Key(2)")),
    Fragment(KEY_GLOBALS, "v = g{u}_d.setdefault({key}, n)\nout.append(y + v)", ("g{u}_d.clear()", "g{u}_d[{key}] = 9", "g{u}_fn = lambda v: v")),
    Fragment(KEY_GLOBALS, "if {key} in g{u}_s:\n    out.append(x + 1)\nelse:\n    g{u}_s.add({key})\n    out.append(x - 1)", ("g{u}_s.clear()", "g{u}_s.add({key})", "g{u}_s.discard({key})", "g{u}_partial = functools.partial(max, 2)")),
    Fragment(KEY_GLOBALS + "g{u}_d[{key}] = 4\n", "for a, b in g{u}_d.items():\n    out.append(x * b)\nout.append(len(g{u}_d))", ("g{u}_d[{key}] = 2", "g{u}_d['more'] = 3", "g{u}_d['first'] = 1; g{u}_d[{key}] = g{u}_d.pop({key}, 1)")),
    Fragment(KEY_GLOBALS + "g{u}_c = collections.Counter()\n", "g{u}_c[{key}] += 1\nout.append(x * g{u}_c[{key}])", ("g{u}_c.clear()", "g{u}_c[{key}] = 5")),
    Fragment(KEY_GLOBALS + "g{u}_dd = collections.defaultdict(lambda: torch.zeros(3))\n", "g{u}_dd[{key}] += y\nout.append(g{u}_dd[{key}] * 1)", ("g{u}_dd.clear()", "del g{u}_dd[next(iter(g{u}_dd))]")),
    Fragment(KEY_GLOBALS + "g{u}_od = collections.OrderedDict(a=1, b=2)\n", "g{u}_od[{key}] = n\nout.append([v for v in g{u}_od.values()])\nout.append(x * list(g{u}_od.values())[0])", ("g{u}_od.move_to_end('a')", "g{u}_od.popitem()", "g{u}_od['a'] = 6")),
    Fragment(KEY_GLOBALS + "@functools.lru_cache\ndef g{u}_cached(k):\n    return len(str(type(k)))\n", "out.append(x * g{u}_cached({key}))", ("g{u}_cached.cache_clear()",)),
    Fragment("g{u}_w = weakref.WeakKeyDictionary()\ng{u}_k = Key(1)\n", "g{u}_w[g{u}_k] = g{u}_w.get(g{u}_k, 0) + 1\nout.append(x * g{u}_w[g{u}_k])", ("g{u}_k = Key(1)", "g{u}_w.clear()")),
    # ---- modules and hooks
    _linear("out.append(g{u}_m(x))", "g{u}_m[0].register_forward_hook(g{u}_hook)", "g{u}_m.register_forward_pre_hook(g{u}_pre)", "g{u}_h.append(g{u}_m[2].register_forward_hook(g{u}_hook))", "[h.remove() for h in g{u}_h]", "g{u}_m[1] = nn.ReLU()", "g{u}_m[0].forward = lambda v: v * 3", "g{u}_m[0].bias = None", more=HOOK),
    _linear("for layer in g{u}_m: x = layer(x)\nout.append(x)", "g{u}_m.append(nn.Sigmoid())", "del g{u}_m[1]", "g{u}_m[0] = nn.Identity()", "g{u}_m[2].register_forward_hook(g{u}_hook)", "g{u}_m[0].weight = nn.Parameter(torch.eye(3))", more=HOOK),
    _linear("torch._dynamo.graph_break if False else None\nout.append(g{u}_use(g{u}_m[0], x) + g{u}_use(g{u}_m[2], y))", "g{u}_m[2].register_forward_hook(g{u}_hook)", "g{u}_m[0].register_forward_pre_hook(g{u}_pre)", "g{u}_m[2].forward = lambda v: v - 1", "g{u}_m[0], g{u}_m[2] = g{u}_m[2], g{u}_m[0]", more=HOOK + "def g{u}_use(m, v):\n    return m(v) * 2\n"),
    _linear("out.append(g{u}_m(x) if g{u}_m.training else x)", "g{u}_m.eval()", "g{u}_m.train()", "g{u}_m[0].eval()"),
    _linear("g{u}_m[0].count = getattr(g{u}_m[0], 'count', 0) + 1\nout.append(x * g{u}_m[0].count)", "g{u}_m[0].count = 10", "del g{u}_m[0].count", "type(g{u}_m[0]).count = 3"),
    Fragment("g{u}_b = nn.BatchNorm1d(3)\n", "out.append(g{u}_b(torch.stack([x, y, x + y])))", ("g{u}_b.eval()", "g{u}_b.momentum = 0.5", "g{u}_b.running_mean.add_(1)", "g{u}_b.track_running_stats = False", "g{u}_b.momentum = None")),
    Fragment("g{u}_dr = nn.Dropout(0.0)\n", "out.append(g{u}_dr(x))", ("g{u}_dr.p = 1.0", "g{u}_dr.eval()")),
    Fragment("class M{u}(nn.Module):\n    def __init__(self):\n        super().__init__()\n        self.w = nn.Parameter(torch.ones(3))\n        self.register_buffer('steps', torch.zeros(()))\n        self.items = {{'a': 2}}\n    def __getattr__(self, name):\n        if name == 'twice':\n            return self.w * 2\n        return super().__getattr__(name)\n    def forward(self, v):\n        self.steps += 1\n        self.last = v\n        return v * self.twice * self.items['a'] + self.steps\ng{u}_m = M{u}()\n", "out.append(g{u}_m(x))", ("g{u}_m.items['a'] = 5", "g{u}_m.twice = 3", "g{u}_m.w = nn.Parameter(torch.zeros(3))", "g{u}_m.steps.zero_()", "g{u}_m.register_buffer('steps', torch.ones(()))", "M{u}.forward = lambda self, v: v")),
    Fragment("g{u}_ms = [nn.Linear(3, 3), nn.Linear(3, 3)]\ndef g{u}_hook(m, i, o):\n    return o + 1\n", "for m in g{u}_ms: x = m(x)\nout.append(x)", ("g{u}_ms[1].register_forward_hook(g{u}_hook)", "g{u}_ms.reverse()", "g{u}_ms.pop()", "g{u}_ms.append(g{u}_ms[0])", "g{u}_ms[0].register_full_backward_hook(lambda m, a, b: None)", "nn.Linear.extra_repr, g{u}_ms[0].weight.data = nn.Linear.extra_repr, torch.eye(3)")),
    Fragment("g{u}_l = nn.ParameterList([nn.Parameter(torch.ones(3)), nn.Parameter(torch.zeros(3))])\ng{u}_pd = nn.ParameterDict({{'a': nn.Parameter(torch.ones(3))}})\n", "out.append(sum(p * x for p in g{u}_l))\nout.append(g{u}_pd['a'] + len(g{u}_pd))", ("g{u}_l.append(nn.Parameter(torch.ones(3)))", "g{u}_pd['b'] = nn.Parameter(torch.ones(3))", "g{u}_pd['a'] = nn.Parameter(torch.zeros(3))")),
    # ---- classes with odd protocols
    _object("class C{u}(dict):\n    __getattr__ = dict.get\n    __setattr__ = dict.__setitem__", "out.append(x * (g{u}_o.scale or 1))\ng{u}_o.seen = n", "g{u}_o.scale = 4", "g{u}_o['scale'] = 5", "g{u}_o.clear()", make="C{u}(scale=2)"),
    _object("class C{u}:\n    def __bool__(self): return self.flag\n    def __len__(self): return self.size\n    flag, size = True, 2", "out.append(x if g{u}_o else y)\nout.append(len(g{u}_o))", "g{u}_o.flag = False", "g{u}_o.flag = 1", "g{u}_o.size = -1", "g{u}_o.size = 2.5", "C{u}.flag = False"),
    _object("class C{u}:\n    def __init__(self): self.log = []\n    def __getattribute__(self, name):\n        if name == 'scale':\n            object.__getattribute__(self, 'log').append(name)\n            return 3\n        return object.__getattribute__(self, name)", "out.append(x * g{u}_o.scale)\nout.append(len(g{u}_o.log))", "g{u}_o.log.clear()"),
    _object("class C{u}:\n    def __init__(self): self.seen = []\n    def __getattr__(self, name):\n        if name.startswith('__'): raise AttributeError(name)\n        self.seen.append(name)\n        return len(name)", "out.append(x * g{u}_o.abc)", "g{u}_o.abc = 7", "g{u}_o.seen.clear()"),
    _object("class C{u}:\n    def __init__(self): self.items = [1, 2]\n    def __len__(self):\n        self.items.append(0)\n        return 2\n    def __iter__(self): return iter(self.items[:2])", "out.append([x * v for v in list(g{u}_o)])\nout.append([*g{u}_o])", "g{u}_o.items[0] = 5"),
    _object("class C{u}:\n    def __getitem__(self, i):\n        if i > 2: raise IndexError(i)\n        return i * self.by\n    by = 2", "out.append(x * sum(g{u}_o))\nout.append(3 in g{u}_o)\nout.append(list(reversed([*g{u}_o])))", "g{u}_o.by = 3", "C{u}.__contains__ = lambda self, i: True"),
    _object("class C{u}:\n    __slots__ = ('a', 'b')\n    def __init__(self): self.a = 1", "out.append(x * g{u}_o.a + (g{u}_o.b if hasattr(g{u}_o, 'b') else 0))\ng{u}_o.a += 1", "g{u}_o.b = 4", "g{u}_o.a = 2.5", "del g{u}_o.a"),
    _object("class D{u}:\n    def __get__(self, obj, cls): return (obj.n if obj is not None else 0) + 1\n    def __set__(self, obj, value): obj.n = value * 2\nclass C{u}:\n    n = 1\n    d = D{u}()", "out.append(x * g{u}_o.d)\ng{u}_o.d = n\nout.append(g{u}_o.n)", "g{u}_o.n = 9", "C{u}.d = 5"),
    _object("class C{u}:\n    def __init__(self): self.calls = 0\n    @functools.cached_property\n    def v(self):\n        self.calls += 1\n        return self.calls * 2\n    @property\n    def p(self): return self.calls + 1", "out.append(x * g{u}_o.v + g{u}_o.p)", "g{u}_o.__dict__.pop('v', None)", "g{u}_o.v = 11", "g{u}_o.calls = 4"),
    _object("class C{u}(threading.local):\n    scale = 2", "g{u}_o.last = n\nout.append(x * g{u}_o.scale)", "g{u}_o.scale = 3", "C{u}.scale = 4"),
    _object("class C{u}: pass", "out.append(x * g{u}_ns.a)\ng{u}_ns.b = n", "g{u}_ns.a = 2", "g{u}_ns.a = 2.5", "del g{u}_ns.a", make="C{u}()\ng{u}_ns = types.SimpleNamespace(a=1)"),
    _object("class C{u}: scale = 2", "out.append(x * g{u}_proxy.scale)", "g{u}_o.scale = 3", "C{u}.scale = 5", make="C{u}()\ng{u}_proxy = weakref.proxy(g{u}_o)"),
    _object("class C{u}(list):\n    def append(self, v): super().append(v * 2)\n    def __len__(self): return 1", "g{u}_o.append(n)\nout.append(len(g{u}_o))\nout.append([x * v for v in g{u}_o])", "g{u}_o.clear()", "g{u}_o[:] = [1, 2]"),
    _object("class C{u}(int):\n    def __add__(self, o): return int(self) + o + 100", "out.append(x * (g{u}_o + n))\nout.append(x + g{u}_o)", "g{u}_o = C{u}(4)", make="C{u}(3)"),
    _object("class C{u}(float): pass", "out.append(x * g{u}_o)\nout.append(type(g{u}_o * 2).__name__)", "g{u}_o = C{u}(1.5)", "g{u}_o = 2", make="C{u}(0.5)"),
    _object("class C{u}:\n    def __eq__(self, o): return self.answer\n    __hash__ = None\n    answer = True", "out.append(x if g{u}_o == 3 else y)\nout.append(g{u}_o in [1, 2])", "g{u}_o.answer = False", "g{u}_o.answer = 0", "g{u}_o.answer = torch.tensor(1)"),
    _object("class C{u}:\n    def __index__(self): return self.i\n    def __str__(self): return self.s\n    i, s = 1, 's'", "out.append(x[g{u}_o])\nout.append(f'{{g{u}_o}}-{{g{u}_o!s:>3}}')\nout.append([4, 5, 6][g{u}_o])", "g{u}_o.i = 2", "g{u}_o.i = 1.5", "g{u}_o.s = 3", "g{u}_o.i = True"),
    _object("class C{u}:\n    def __call__(self, v, by=2): return v * by\n    def __rmul__(self, v): return v * self.k\n    k = 3", "out.append(g{u}_o(x))\nout.append(x * g{u}_o)\nout.append(2 * g{u}_o)", "g{u}_o.k = 4", "C{u}.__call__ = lambda self, v, by=1: v + by", "C{u}.__call__.__defaults__ = (5,)"),
    _object("class C{u}:\n    def __enter__(self): self.depth += 1; return self\n    def __exit__(self, *e): self.depth -= 1; return self.swallow\n    depth, swallow = 0, False", "with g{u}_o as o:\n    out.append(x * o.depth)\n    if n == 1: raise ValueError('inside')\nout.append(g{u}_o.depth)", "g{u}_o.swallow = True", "g{u}_o.depth = 3"),
    _object("class Meta{u}(type):\n    def __call__(cls, *a): cls.made += 1; return super().__call__(*a)\n    def __getattr__(cls, name): return 5\nclass C{u}(metaclass=Meta{u}):\n    made = 0", "C{u}()\nout.append(x * C{u}.made + C{u}.anything)", "C{u}.made = 4", "C{u}.anything = 2"),
    _object("@dataclasses.dataclass\nclass C{u}:\n    a: int = 1\n    items: list = dataclasses.field(default_factory=list)", "g{u}_o.items.append(x)\nout.append(dataclasses.replace(g{u}_o, a=n).a)\nout.append(x * g{u}_o.a + len(g{u}_o.items))", "g{u}_o.a = 3", "g{u}_o.items.clear()", "g{u}_o = C{u}(7)"),
    _object("class C{u}(enum.Enum):\n    A = 1\n    B = 'two'\n    @property\n    def k(self): return 2 if self is C{u}.A else 3", "out.append(x * g{u}_o.k)\nout.append(g{u}_o.name)\nout.append(g{u}_o == C{u}.A)\nout.append(f'{{g{u}_o}}')", "g{u}_o = C{u}.B", make="C{u}.A"),
    # ---- metaclasses, checks, bases
    _object("class Meta{u}(type):\n    @property\n    def p(cls): cls.n += 1; return cls.n\n    @p.setter\n    def p(cls, v): cls.n = v * 10\n    def __len__(cls): return cls.n\n    def __iter__(cls): return iter([cls.n, 1])\n    def __contains__(cls, v): return v == cls.n\nclass C{u}(metaclass=Meta{u}):\n    n = 1", "out.append(x * C{u}.p)\nC{u}.p = n\nout.append([len(C{u}), [*C{u}], 10 in C{u}, C{u}.n])", "C{u}.n = 3", "Meta{u}.p = 7", "Meta{u}.__len__ = lambda cls: 2"),
    _object("class Meta{u}(type):\n    def __instancecheck__(cls, o): cls.log.append(1); return hasattr(o, 'shape')\n    def __subclasscheck__(cls, o): return cls.sub\nclass C{u}(metaclass=Meta{u}):\n    log, sub = [], True", "out.append(x * 2 if isinstance(x, (int, C{u})) else x)\nout.append([isinstance(n, C{u}), issubclass(int, C{u}), isinstance(g{u}_o, C{u}), len(C{u}.log)])", "C{u}.sub = False", "C{u}.log.clear()", "Meta{u}.__instancecheck__ = lambda cls, o: False"),
    _object("class C{u}:\n    def __init_subclass__(cls, **kw): cls.tag = kw.get('tag', 1)\n    def __class_getitem__(cls, i): return i\n    def __set_name__(self, owner, name): owner.names = getattr(owner, 'names', ()) + (name,)", "class D(C{u}, tag=n):\n    a = C{u}()\nout.append(x * D.tag)\nout.append([D.names, C{u}[n]])", "C{u}.__class_getitem__ = classmethod(lambda cls, i: i * 2)"),
    _object("class M{u}(dict):\n    def __missing__(self, key):\n        self.asked = getattr(self, 'asked', 0) + 1\n        return self.asked * 2\nclass C{u}: pass", "out.append(x * g{u}_m[n])\nout.append([n in g{u}_m, g{u}_m.get(n), len(g{u}_m)])", "g{u}_m[2] = 5", "g{u}_m.asked = 4", "del M{u}.__missing__", "g{u}_m.clear()", make="C{u}()\ng{u}_m = M{u}()"),
    _object("class C{u}:\n    def __init__(self, v): self.v = v\n    def __lt__(self, o): C{u}.asked += 1; return self.v < o.v\n    def __hash__(self): C{u}.asked += 1; return hash(self.v)\n    def __eq__(self, o): C{u}.asked += 1; return isinstance(o, C{u}) and self.v == o.v\n    asked = 0", "out.append([o.v for o in sorted([C{u}(n), g{u}_o, C{u}(0)])])\nout.append(x * {{g{u}_o: 3}}.get(C{u}(2), 7))\nout.append([C{u}(n) in [g{u}_o], max(g{u}_o, C{u}(1)).v, C{u}.asked])", "g{u}_o.v = 5", "C{u}.asked = 0", "C{u}.__lt__ = lambda self, o: self.v > o.v", make="C{u}(2)"),
    _object("class C{u}:\n    def __iter__(self):\n        C{u}.runs += 1\n        yield from self.items\n        C{u}.runs += 10\n    items, runs = (1, 2, 3), 0", "a, *b = g{u}_o\nout.append(x * a + sum(b))\nout.append([2 in g{u}_o, next(iter(g{u}_o)), dict.fromkeys(g{u}_o), [*zip(g{u}_o, 'ab')], C{u}.runs])", "C{u}.items = (4, 5)", "C{u}.items = [2.5]", "C{u}.items = ()"),
    _object("class C{u}(collections.UserDict):\n    def __getitem__(self, k): return super().__getitem__(k) * 2", "g{u}_o['n'] = n\nout.append(x * g{u}_o['a'] + g{u}_o['n'])\nout.append([sorted(g{u}_o), g{u}_o.get('z', 1), len(g{u}_o)])", "g{u}_o['a'] = 4", "g{u}_o.data.clear()", "g{u}_o.data = dict(a=9)", make="C{u}(a=1)"),
    _object("class C{u}: pass", "out.append(x * g{u}_chain['a'])\ng{u}_chain['b'] = n\nout.append([sorted(g{u}_chain), g{u}_view['a'], len(g{u}_view)])", "g{u}_one['a'] = 8", "del g{u}_one['a']", "g{u}_two['a'] = 9", "g{u}_chain.maps.reverse()", make="C{u}()\ng{u}_one, g{u}_two = dict(a=1), dict(a=2, c=3)\ng{u}_chain = collections.ChainMap(g{u}_one, g{u}_two)\ng{u}_view = types.MappingProxyType(g{u}_two)"),
    _object("class C{u}:\n    def __copy__(self): C{u}.copies += 1; return C{u}()\n    def __deepcopy__(self, memo): C{u}.copies += 10; return self\n    copies = 0", "out.append([copy.copy(g{u}_o) is g{u}_o, copy.deepcopy([g{u}_o])[0] is g{u}_o, C{u}.copies])\nout.append(x * C{u}.copies)\nout.append(copy.copy(g{u}_l) + [1])", "C{u}.copies = 0", "C{u}.__copy__ = lambda self: self", "g{u}_l.append(3)", make="C{u}()\ng{u}_l = [1, 2]"),
    _object("@functools.singledispatch\ndef f{u}(v): return v * 2\n@f{u}.register\ndef _(v: int): return v + 100\nclass C{u}: pass", "out.append(f{u}(x))\nout.append([f{u}(n), f{u}(k)])", "f{u}.register(float, lambda v: v - 1)", "f{u}.register(torch.Tensor, lambda v: v * 5)"),
    _object("class C{u}:\n    def __getattr__(self, name): raise AttributeError(name + self.suffix)\n    suffix = '!'", "try:\n    out.append(g{u}_o.missing)\nexcept AttributeError as e:\n    out.append(str(e))\nout.append([getattr(g{u}_o, 'a', n), hasattr(g{u}_o, 'b')])\nout.append(x)", "C{u}.suffix = '?'", "g{u}_o.a = 3", "g{u}_o.missing = 1", "C{u}.suffix = 3"),
    _object("class C{u}:\n    def __setattr__(self, name, v): object.__setattr__(self, name, v); object.__setattr__(self, 'last', name)\n    def __delattr__(self, name): self.gone = name; object.__delattr__(self, name)\n    def __setitem__(self, i, v): self.stored = (i, v)\n    def __delitem__(self, i): self.stored = i", "g{u}_o.a = n\nout.append([g{u}_o.last, dict(vars(g{u}_o))])\ndel g{u}_o.a\ng{u}_o[n] = k\nout.append([g{u}_o.gone, g{u}_o.stored, g{u}_o.last])\ndel g{u}_o['x']\nout.append(x + len(vars(g{u}_o)))", "del C{u}.__setattr__", "g{u}_o.extra = 2", "C{u}.__setitem__ = lambda self, i, v: None"),
    _object("class C{u}:\n    def __matmul__(self, o): return ('m', o)\n    def __rsub__(self, o): return o * self.k\n    def __iadd__(self, o): self.k += o; return self\n    def __neg__(self): return -self.k\n    def __abs__(self): return 'abs'\n    def __round__(self, d=None): return d\n    def __divmod__(self, o): return 1, o\n    def __pow__(self, o, m=None): return o, m\n    k = 2", "c = g{u}_o\nc += n\nout.append([c is g{u}_o, c.k, -c, abs(c), round(c), round(c, 1), divmod(c, 3), c ** 2, pow(c, 2, 5), (c @ 1)])\nout.append(x - g{u}_o)", "g{u}_o.k = 9", "del C{u}.__iadd__", "C{u}.__rsub__ = lambda self, o: NotImplemented"),
    # ---- generators, contexts, exceptions
    Fragment("def g{u}_gen(log):\n    total = 0\n    try:\n        while True:\n            got = yield total\n            total += got or 1\n            log.append(total)\n    finally:\n        log.append('closed')\ng{u}_log = []\n", "it = g{u}_gen(g{u}_log)\nnext(it)\nout.append(x * it.send(n))\nout.append(it.send(None))\nit.close()\nout.append(len(g{u}_log))", ("g{u}_log.clear()",)),
    Fragment("@contextlib.contextmanager\ndef g{u}_cm(log):\n    log.append('in')\n    try:\n        yield len(log)\n    except ValueError as e:\n        log.append(str(e))\n    finally:\n        log.append('out')\ng{u}_log = []\n", "with contextlib.ExitStack() as stack:\n    depth = stack.enter_context(g{u}_cm(g{u}_log))\n    stack.callback(g{u}_log.append, n)\n    out.append(x * depth)\n    if n == 1: raise ValueError('one')\nout.append(list(g{u}_log))", ("g{u}_log.clear()", "g{u}_log.append(0)")),
    Fragment("g{u}_log = []\n", "def risky(v):\n    try:\n        if v == 1: raise KeyError(v)\n        return v * 2\n    except KeyError as e:\n        raise ValueError('bad') from e\n    finally:\n        g{u}_log.append(v)\ntry:\n    out.append(x * risky(n))\nexcept ValueError as e:\n    out.append([str(e), type(e.__cause__).__name__, e.__cause__.args])", ("g{u}_log.clear()",)),
    Fragment("class E{u}(Exception):\n    def __init__(self, a, *, code=1): super().__init__(a); self.code = code\n    def __str__(self): return f'{{self.args}}-{{self.code}}'\n", "try:\n    if n < 3: raise E{u}('a', code=n)\n    out.append(y)\nexcept (KeyError, E{u}) as e:\n    out.append([str(e), repr(e), e.code])\n    out.append(x * e.code)", ("E{u}.__str__ = lambda self: 'changed'",)),
    Fragment("g{u}_seen = []\n", "for i in range(3):\n    try:\n        if i == n: break\n        if i == 0: continue\n        g{u}_seen.append(i)\n    finally:\n        g{u}_seen.append(-i)\nelse:\n    out.append('all')\nout.append(x + len(g{u}_seen))", ("g{u}_seen.clear()",)),
    # ---- writes and metadata of held tensors
    Fragment("g{u}_t = torch.zeros(3)\ng{u}_v = g{u}_t[1:]\n", "g{u}_v.add_(n)\nout.append(g{u}_t * 1)\ng{u}_t[0] = k\nout.append(g{u}_v.sum())", ("g{u}_t = torch.ones(3)", "g{u}_v = torch.ones(2)", "g{u}_t.fill_(2)", "g{u}_v = g{u}_t[:2]")),
    Fragment("g{u}_p = nn.Parameter(torch.ones(3))\n", "g{u}_p.grad = x.detach() * n\nwith torch.no_grad():\n    g{u}_p.sub_(g{u}_p.grad, alpha=0.5)\nout.append(g{u}_p.detach() * 1)\ng{u}_p.grad = None if n > 2 else g{u}_p.grad", ("g{u}_p.grad = None", "g{u}_p.requires_grad_(False)", "g{u}_p = nn.Parameter(torch.zeros(3))")),
    Fragment("g{u}_m = nn.Linear(3, 3)\n", "g{u}_m.weight.requires_grad_(n > 1)\nout.append([p.requires_grad for p in g{u}_m.parameters()])\nout.append(g{u}_m(x).requires_grad)", ("g{u}_m.requires_grad_(False)", "g{u}_m.bias.requires_grad_()", "g{u}_m.weight = nn.Parameter(torch.eye(3))")),
    Fragment("g{u}_m = nn.Linear(3, 3)\ng{u}_m2 = nn.Linear(3, 3)\n", "out.append(g{u}_m(x) + g{u}_m2(y))\nout.append(g{u}_m.weight is g{u}_m2.weight)", ("g{u}_m2.weight = g{u}_m.weight", "g{u}_m.weight.data.mul_(2)", "g{u}_m2.load_state_dict(g{u}_m.state_dict())", "g{u}_m.half().float()", "del g{u}_m.bias; g{u}_m.bias = None")),
    Fragment("g{u}_t = torch.zeros(2, 3)\n", "g{u}_t.index_add_(0, torch.tensor([0, 0]), torch.stack([x, y]).detach())\nout.append(g{u}_t * 1)\ntorch.add(x.detach(), n, out=g{u}_t[1])\nout.append(g{u}_t.sum(1))", ("g{u}_t.zero_()", "g{u}_t = torch.ones(2, 3)", "g{u}_t = torch.zeros(3, 2).T")),
    # ---- numbers from anywhere
    Fragment("class O{u}: lr, steps = 0.1, 0\ng{u}_o = O{u}()\n", "g{u}_o.steps += 1\nbias = 1 - 0.9 ** g{u}_o.steps\nout.append(x * (g{u}_o.lr / bias))\nout.append(math.sqrt(bias) * y)", ("g{u}_o.lr = 0.2", "g{u}_o.lr *= 0.5", "g{u}_o.steps = 10", "g{u}_o.steps = torch.tensor(2.0)", "O{u}.lr = 3")),
    Fragment("g{u}_n = np.int64(3)\ng{u}_f = np.float32(0.5)\n", "out.append(x * g{u}_n + g{u}_f)\nout.append(torch.full((int(g{u}_n),), float(g{u}_f)))\nout.append([g{u}_n * n, g{u}_f * k])", ("g{u}_n = np.int64(4)", "g{u}_n = np.int32(2)", "g{u}_f = np.float32(1.5)", "g{u}_f = np.float64(0.1)", "g{u}_n = 5")),
    Fragment("g{u}_c = itertools.count(1)\ng{u}_b = True\n", "i = next(g{u}_c)\nout.append(x * i + (g{u}_b and 2))\nout.append([g{u}_b + 1, i % 3, i // 2, -i, i << 1, i & 5, divmod(i, 2), i == True])", ("g{u}_b = 1", "g{u}_b = False", "g{u}_b = 2.0", "next(g{u}_c)")),
    Fragment("", "a = [n] * 3\na[1] += 1\nb = a[:]\nb.extend(range(n))\nout.append([a, b, sorted(b, key=lambda v: -v), b.index(n), b.count(n), sum(b) / len(b)])\nout.append(x * a[1] + len(b))"),
    Fragment("", "s = f'{{n}}-{{k!r}}'\nout.append([s, s.split('-'), s.encode(), s.partition('-'), s.zfill(9), n.bit_length(), k.is_integer(), int(str(n)), float(repr(k)), k.hex(), complex(n, k), hash(k) == hash(n)])\nout.append(x * len(s))"),
    Fragment("g{u}_cache = {{}}\ndef g{u}_memo(fn):\n    @functools.wraps(fn)\n    def inner(*a):\n        key = (fn.__name__, a)\n        if key not in g{u}_cache: g{u}_cache[key] = fn(*a)\n        return g{u}_cache[key]\n    return inner\n@g{u}_memo\ndef g{u}_f(a, b): return a * 2 + b\n", "out.append(x * g{u}_f(n, k))\nout.append(len(g{u}_cache))", ("g{u}_cache.clear()", "g{u}_cache[('g{u}_f', (2, 0.5))] = 9")),
    Fragment("g{u}_t = torch.ones(3)\ng{u}_cache = {{}}\ndef g{u}_f(t):\n    if t not in g{u}_cache: g{u}_cache[t] = t * 2\n    return g{u}_cache[t]\n", "out.append(x + g{u}_f(g{u}_t))\nout.append(len(g{u}_cache))", ("g{u}_t.add_(1)", "g{u}_t = torch.ones(3)", "g{u}_cache.clear()", "g{u}_cache[g{u}_t] = torch.zeros(3)")),
    # ---- attributes and metadata of tensors
    Fragment("g{u}_p = nn.Parameter(torch.ones(3))\n", "g{u}_p.requires_grad_(n > 1)\nout.append((x * g{u}_p).requires_grad)", ("g{u}_p.requires_grad_(False)", "g{u}_p.grad = torch.ones(3)")),
    Fragment("g{u}_p = nn.Parameter(torch.ones(3))\ng{u}_e = torch.zeros(3)\n", "g{u}_e.mul_(0.5).add_(g{u}_p.data, alpha=0.5)\ng{u}_p.data.add_(1)\nout.append(g{u}_e * 1)", ("g{u}_p.data = torch.zeros(3)", "g{u}_e = torch.ones(3)")),
    Fragment("g{u}_p = nn.Parameter(torch.ones(3))\n", "g{u}_p.data = x.detach() * 2\nout.append(g{u}_p * 1)", ("g{u}_p.data = torch.zeros(3)",)),
    Fragment("g{u}_p = nn.Parameter(torch.ones(3))\n", "g{u}_p.grad = None if g{u}_p.grad is not None else y.detach() * 2\nout.append(0 if g{u}_p.grad is None else g{u}_p.grad + 1)", ("g{u}_p.grad = torch.ones(3)", "g{u}_p.grad = None")),
    Fragment("g{u}_t = torch.arange(6.0)\n", "g{u}_t.resize_(2, 3)\nout.append(g{u}_t + 1)\ng{u}_t.unsqueeze_(0)\nout.append(g{u}_t.shape)", ("g{u}_t = torch.arange(6.0)", "g{u}_t.squeeze_()")),
    Fragment("g{u}_t = torch.arange(3.0)\n", "g{u}_t.set_(x.detach().clone())\nout.append(g{u}_t * 2)", ("g{u}_t = torch.ones(3)",)),
    Fragment("g{u}_t = torch.arange(3.0)\n", "g{u}_t.tag = n\nout.append(g{u}_t * g{u}_t.tag)\nout.append(hasattr(x, 'tag'))", ("g{u}_t.tag = 5", "g{u}_t = torch.ones(3)")),
    Fragment("", "z = x.detach().requires_grad_()\nout.append((z * 2).requires_grad)\nz.detach_()\nout.append(z.requires_grad)"),
    Fragment("g{u}_opt = torch.optim.SGD([nn.Parameter(torch.ones(3))], lr=0.1, momentum=0.9)\n", "p = g{u}_opt.param_groups[0]['params'][0]\nloss = (p * x.detach()).sum()\nloss.backward()\ng{u}_opt.step()\ng{u}_opt.zero_grad()\nout.append(p.detach().clone())", ("g{u}_opt.param_groups[0]['lr'] = 0.5", "g{u}_opt.param_groups[0]['momentum'] = 0.0", "g{u}_opt.state.clear()", "g{u}_opt.param_groups[0]['lr'] *= 0.9")),
    # ---- errors inside
    Fragment("g{u}_log = []\n", "try:\n    g{u}_log.append('before')\n    out.append(torch.linalg.inv(torch.ones(2, 2) * n))\n    g{u}_log.append('after')\nexcept RuntimeError as e:\n    g{u}_log.append(type(e).__name__)\n    out.append(x * 2)\nfinally:\n    g{u}_log.append('finally')"),
    Fragment("g{u}_t = torch.zeros(3)\ng{u}_i = torch.tensor([0, 2])\n", "g{u}_t[0] = n\nout.append(x[g{u}_i])\ng{u}_t[1] = n", ("g{u}_i = torch.tensor([0, 5])", "g{u}_i = torch.tensor([-3, 1])", "g{u}_i = torch.tensor([-4, 1])")),
    Fragment("g{u}_d = torch.tensor([2, 1])\ng{u}_log = []\n", "with contextlib.suppress(RuntimeError):\n    g{u}_log.append(1)\n    out.append(torch.tensor([7, 8]) // g{u}_d)\n    g{u}_log.append(2)\nout.append(len(g{u}_log))", ("g{u}_d = torch.tensor([2, 0])", "g{u}_d.zero_()")),
    Fragment("g{u}_l = torch.tensor([1])\ng{u}_state = [0]\n", "g{u}_state[0] += 1\nx.add_(0.5)\nout.append(F.cross_entropy(y[None], g{u}_l))\ng{u}_state[0] += 10", ("g{u}_l = torch.tensor([3])", "g{u}_l = torch.tensor([-1])", "g{u}_l = torch.tensor([-100])")),
    Fragment("g{u}_e = nn.Embedding(4, 3)\ng{u}_i = torch.tensor([1, 2])\ng{u}_log = []\n", "try:\n    out.append(g{u}_e(g{u}_i).sum(0) + x)\nexcept IndexError as e:\n    g{u}_log.append(str(e))", ("g{u}_i = torch.tensor([4, 0])", "g{u}_i = torch.tensor([-1])")),
    Fragment("g{u}_log = []\n", "try:\n    out.append(x + torch.ones(n + 2))\nexcept RuntimeError as e:\n    g{u}_log.append(str(e))\nelse:\n    g{u}_log.append('fine')"),
    Fragment("g{u}_log = []\n", "try:\n    v = {{'a': 1}}['b' if n == 1 else 'a']\nexcept KeyError as e:\n    g{u}_log.append(repr(e))\n    v = 5\nout.append(x * v)"),
    Fragment("g{u}_state = {{'n': 0}}\n", "g{u}_state['n'] += 1\nassert n != 1, f'n is {{n}}'\ng{u}_state['n'] += 10\nout.append(x * g{u}_state['n'])"),
    Fragment("", "torch._assert(n != 3, 'three')\ntorch._check(n != 4)\nout.append(x + n)"),
    Fragment("g{u}_p = torch.tensor([0.5, 0.2, 0.3])\n", "out.append(torch.bernoulli(g{u}_p).shape)", ("g{u}_p[0] = 1.5", "g{u}_p[1] = -0.5")),
    # ---- numbers that change, globals, closures, containers
    Fragment("g{u}_lr = 0.1\n", "out.append(x * g{u}_lr + math.sqrt(n * n + 1))\nout.append(n ** 0.5)", ("g{u}_lr = 0.2", "g{u}_lr = 0.3", "g{u}_lr = 1", "g{u}_lr = True", "g{u}_lr = np.float64(0.25)")),
    Fragment("g{u}_cfg = {{'a': 1, 'k': [1, 2]}}\n", "out.append(x * g{u}_cfg['a'] + sum(g{u}_cfg['k']))\ng{u}_cfg['a'] += 1", ("g{u}_cfg['k'].append(3)", "g{u}_cfg['a'] = 0.5", "g{u}_cfg = dict(a=4, k=[])", "g{u}_cfg['k'][0] = 9")),
    Fragment("g{u}_n = 0\ndef g{u}_bump():\n    global g{u}_n\n    g{u}_n += 1\n    return g{u}_n\n", "out.append(x * g{u}_bump())", ("g{u}_n = 5", "g{u}_bump = lambda: 2")),
    Fragment("def g{u}_outer(start):\n    count = start\n    def inner(v):\n        nonlocal count\n        count += 1\n        return v * count\n    return inner\ng{u}_f = g{u}_outer(1)\n", "out.append(g{u}_f(x))", ("g{u}_f = g{u}_outer(5)", "g{u}_f(torch.ones(3))")),
    Fragment("def g{u}_f(v, by=2, *, more=1): return v * by + more\n", "out.append(g{u}_f(x))\nout.append(g{u}_f(y, more=n))", ("g{u}_f.__defaults__ = (3,)", "g{u}_f.__kwdefaults__ = {{'more': 7}}", "g{u}_f.__code__ = (lambda v, by=2, *, more=1: v - by).__code__")),
    Fragment("g{u}_list = [torch.ones(3), torch.zeros(3)]\n", "g{u}_list.append(x)\nout.append(sum(g{u}_list))\nif len(g{u}_list) > 3: g{u}_list.pop(0)", ("g{u}_list.clear()", "g{u}_list[0] = torch.full((3,), 5.0)", "g{u}_list.insert(0, torch.ones(3))", "g{u}_list[0].add_(1)")),
    Fragment("g{u}_var = contextvars.ContextVar('v{u}', default=1)\n", "out.append(x * g{u}_var.get())", ("g{u}_var.set(3)",)),
    Fragment("g{u}_dq = collections.deque(maxlen=2)\n", "g{u}_dq.append(n)\nout.append(x * sum(g{u}_dq))\nout.append(list(g{u}_dq))", ("g{u}_dq.clear()", "g{u}_dq.appendleft(4)")),
    Fragment("g{u}_it = iter(range(100))\n", "out.append(x * next(g{u}_it))"),
    Fragment("def g{u}_gen():\n    total = 0\n    while True:\n        total += 1\n        yield total\ng{u}_g = g{u}_gen()\n", "out.append(x * next(g{u}_g))", ("g{u}_g = g{u}_gen()",)),
    Fragment("", "out.append(torch.full((2,), k))\nout.append(torch.tensor(k))\nout.append(x.add(y, alpha=k))\nout.append(k / 20 + n // 2 - n % 3)"),
    Fragment("", "out.append(round(k, 1) * x)\nout.append(int(k) + x)\nout.append(min(k, n) * y)\nout.append(f'{{k:.2f}} {{n:03d}}')"),
    Fragment("", "out.append(x[:n])\nout.append(x[n:])\nout.append(torch.arange(n))\nout.append(torch.zeros(n, 2).shape)"),
    Fragment("", "if k > 1: out.append(x.exp())\nelse: out.append(x.neg())\nif n: out.append(n * y)"),
    Fragment("", "def inner(v, acc=[]):\n    acc.append(v)\n    return sum(acc)\nout.append(inner(x))\nout.append(inner(y))"),
    Fragment("", "out.append('%d %.3f %s' % (n, k, 'a'))\nout.append(str(x.shape) + repr(x.dtype))"),
    Fragment("", "out.append(x.sum().item() > 0)\nout.append(x * float(y[0]))"),
    Fragment("", "with torch.no_grad():\n    out.append((x * 2).requires_grad)\nout.append(torch.is_grad_enabled())"),
    Fragment("g{u}_np = np.arange(3.0)\n", "out.append(x + torch.from_numpy(g{u}_np))\nout.append(g{u}_np * 2)", ("g{u}_np += 1", "g{u}_np = np.zeros(3)", "g{u}_np[0] = 7")),
    Fragment("", "a = x\nb = a\nb += 1\nout.append(a is b)\nc = a[:2]\nc.mul_(2)\nout.append(a)"),
    Fragment("", "x.copy_(y)\ny.zero_()\nout.append(x * 1)"),
    Fragment("", "v = x.view(3, 1)\nv[0] = n\nout.append(v)\nout.append(x)"),
    Fragment("M{u} = types.ModuleType('m{u}')\nM{u}.scale = 2\n", "out.append(x * M{u}.scale)", ("M{u}.scale = 3", "del M{u}.scale", "M{u}.__getattr__ = lambda name: 4")),
    Fragment("class B{u}:\n    def f(self, v): return v + 1\nclass C{u}(B{u}):\n    def f(self, v): return super().f(v) * 2\ng{u}_o = C{u}()\n", "out.append(g{u}_o.f(x))\nh = g{u}_o.f\nout.append(h(y))", ("B{u}.f = lambda self, v: v - 1", "g{u}_o.f = lambda v: v", "C{u}.__bases__ = (type('N', (B{u},), dict(f=lambda self, v: v * 5)),)", "g{u}_o.__class__ = B{u}")),
    Fragment("class C{u}:\n    count = 0\n    @classmethod\n    def make(cls): cls.count += 1; return cls()\n    @staticmethod\n    def s(v): return v * 2\n", "o = C{u}.make()\nout.append(o.s(x) * C{u}.count)", ("C{u}.count = 10", "C{u}.s = staticmethod(lambda v: v)")),
)  # fmt: skip
WRAPPERS = (
    "{body}", "{body}", "{body}", "for i{u} in range(2):\n{inner}", "if n > 1:\n{inner}\nelse:\n    out.append(n)", "try:\n{inner}\nexcept Exception as e{u}:\n    out.append((type(e{u}).__name__, str(e{u})))", "try:\n{inner}\nfinally:\n    out.append('done')",
    "if x.sum() > 0:\n{inner}", "with contextlib.nullcontext():\n{inner}", "def nested{u}(x, y):\n{inner}\nnested{u}(x, y)", "quern.graph_break()\n{body}", "{body}\nquern.graph_break()", "with contextlib.suppress(ValueError, KeyError):\n{inner}", "while True:\n{inner}\n    break",
    "out += [0]\n{body}", "with torch.no_grad():\n{inner}", "print(len(out))\n{body}",
)  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """One fragment, as drawn: which, its key, how it is wrapped."""

    fragment: int
    key: int
    wrapper: int


@dataclass(frozen=True)
class Case:
    """pieces, for each later call the changes before it (piece, which change), the calls' numbers, and how it is compiled.

    language: a seed for a program of `random_programs` instead
    """

    pieces: tuple[Piece, ...] = ()
    changes: tuple[tuple[tuple[int, int], ...], ...] = ()
    numbers: tuple[tuple[int, float], ...] = ()
    grad: bool = False
    backend: str = "eager"
    dynamic: bool | None = None
    language: tuple[int, int, bool] | None = None


def text_of(case: Case) -> str:
    """The module's text: globals, `program`, and `between(call)`, which changes them."""
    setup, body = [PRELUDE, "import quern\n"], ["out = []"]
    changes: dict[int, list[str]] = {}
    for number, piece in enumerate(case.pieces):
        fragment, u = FRAGMENTS[piece.fragment % len(FRAGMENTS)], number
        key = _key(fragment, piece).format(u=u) if "{key}" in fragment.setup + fragment.body else ""
        setup.append(fragment.setup.format(u=u, key=key))
        text = fragment.body.format(u=u, key=key)
        inner = textwrap.indent(text, "    ")
        body.append(WRAPPERS[piece.wrapper % len(WRAPPERS)].format(u=u, body=text, inner=inner))
    for call, rows in enumerate(case.changes, 1):
        for which, change in rows:
            number = which % len(case.pieces)
            fragment = FRAGMENTS[case.pieces[number].fragment % len(FRAGMENTS)]
            if fragment.changes:
                key = _key(fragment, case.pieces[number]).format(u=number)
                text = fragment.changes[change % len(fragment.changes)].format(u=number, key=key)
                changes.setdefault(call, []).append(text)
    lines = "".join(
        f"if call == {call}:\n{textwrap.indent(chr(10).join(rows), '    ')}\n" for call, rows in changes.items()
    )
    function = "def program(x, y, n, k):\n" + textwrap.indent("\n".join(body), "    ") + "\n    return out\n"
    return "\n".join(setup) + f"\n\n{function}\n\nBETWEEN = '''\n{lines}'''\n"


def _key(fragment: Fragment, piece: Piece) -> str:
    """The key drawn for a fragment. Where it is wanted before the program runs, the program's arguments are not there."""
    keys = [k for k in KEYS if not k.startswith("x.")] if "{key}" in fragment.setup else KEYS
    return keys[piece.key % len(keys)]


@contextlib.contextmanager
def module_of(text: str, name: str = "hunted") -> Iterator[types.ModuleType]:
    """The text as an imported module, with its lines known to tracebacks and messages."""
    module = types.ModuleType(name)
    module.__file__ = f"<{name}>"
    linecache.cache[module.__file__] = (len(text), None, text.splitlines(True), module.__file__)
    sys.modules[name] = module
    torch.manual_seed(0)
    try:
        exec(compile(text, module.__file__, "exec"), module.__dict__)  # noqa: S102 - our own text
        yield module
    finally:
        sys.modules.pop(name, None)
        linecache.cache.pop(module.__file__, None)


def check(case: Case) -> None:
    """Raises Difference, or what quern raised, when the compiled program can be told from the plain one."""
    quern.reset()
    if case.language is not None:
        seed, size, breaks = case.language
        text = random_programs.write(random.Random(seed), size, breaks)
        try:
            random_runs.check(text)
        except Exception as error:
            error.add_note(text[len(random_programs.PRELUDE) :])
            raise
        return
    text = text_of(case)
    try:
        with module_of(text) as plain, module_of(text) as other:
            compiled = quern.compile(other.program, backend=case.backend, dynamic=case.dynamic)
            for number, (n, k) in enumerate(case.numbers):
                want, result = _call(plain, plain.program, number, n, k, case.grad)
                if any(map(_is_ambiguous, _tensors(result))):
                    return
                got, _ = _call(other, compiled, number, n, k, case.grad, fails=want.error is not None)
                COMPARISON.check(want.facts, got.facts, f"call {number} ")
    except Exception as error:
        error.add_note(text[len(PRELUDE) :] + f"\n{case}")
        raise


def _call(
    module: types.ModuleType, function: Any, number: int, n: int, k: float, grad: bool, fails: bool = True
) -> tuple[Run, Any]:
    """One call, and its result: between it and the one before, what was drawn to change is changed.

    fails: it may raise (see `observe`)
    """
    torch.manual_seed(number)
    with contextlib.suppress(Exception):
        exec(module.BETWEEN, module.__dict__, {"call": number}) if number else None  # noqa: S102 - our own text
    leaf_x, leaf_y = (torch.randint(-4, 5, (3,)).float().requires_grad_(grad) for _ in range(2))
    args = (leaf_x * 1, leaf_y * 1) if grad else (leaf_x, leaf_y)
    older = [*args, *(t for name, value in vars(module).items() if name[0] == "g" for t in _tensors(value))]
    with torch.set_grad_enabled(grad):
        seen = observe(lambda: function(*args, n, k), GROUND, fails=fails)
        failed = _backward(seen.result) if grad and seen.error is None else None
    if failed is not None and not fails:
        raise failed
    left = {k: _comparable(v) for k, v in vars(module).items() if k[0] == "g" and k[1:2].isdigit() and k[-2:] != "_h"}
    seen.recorder.write(
        (_refusal(failed), *args, _flowing(leaf_x.grad), _flowing(leaf_y.grad)), "(backward, arguments, gradients)"
    )
    seen.recorder.write([t._version for t in older], "numbers of writes")
    seen.recorder.write(left, "globals")
    return Run(seen.recorder.facts, seen.error or failed), seen.result


def _refusal(error: BaseException | None) -> Any:
    """What a backward pass raised. Where autograd refuses a tensor that changed, it gives the shape of what was kept, names the node
    that made it and counts its changes. That is an intermediate tensor (a layer keeps a vector as a matrix of one row), which
    nobody can ask for: those are the graph's own. (Writes to the program's tensors are compared by themselves.)
    """
    if error is None or "modified by an inplace operation" not in str(error):
        return error
    return type(error), re.sub(
        r"\[[\d, ]*\]\], which is output \d+ of [\w:]+, is at version \d+; expected version \d+", "...", str(error)
    )


def _flowing(grad: torch.Tensor | None) -> torch.Tensor | None:
    """A gradient, None where it is zeros: a layer over a vector gives a view of a matrix that nobody sees, so what is written over
    its result as a whole leaves zeros behind, where the layer of a graph leaves none.
    """
    return grad if grad is None or grad.count_nonzero() else None


def _comparable(value: Any) -> Any:
    """A global without what differs from copy to copy: the identities among a container's keys (handles of hooks, which are
    numbered through the process, are left out as a whole).
    """
    if isinstance(value, dict | set) and any(type(k) is int and k > 2**32 for k in value):
        return sorted(map(str, (type(k).__name__ if type(k) is int else k for k in value))), len(value)
    return value


def _backward(result: Any) -> BaseException | None:
    """Gradients of all results; what that raised, where something is kept from an earlier call."""
    losses = [_loss(r) for r in _tensors(result) if not _is_ambiguous(r) and r.requires_grad]
    try:
        if losses:
            sum(losses).backward()  # type: ignore[union-attr]
    except RuntimeError as raised:
        forget_tracebacks(raised)
        return raised
    return None


def _loss(result: torch.Tensor) -> torch.Tensor:
    """A number with a gradient of its own for each element. (The plain sum of what a layer has normalised does not depend on what it
    is given: its gradients are rounding and nothing else, or zeros.)
    """
    weights = torch.arange(1, result.numel() + 1, dtype=result.dtype).reshape(result.shape)
    return (result * weights).sum()


def _is_ambiguous(tensor: torch.Tensor) -> bool:
    """A view made under no_grad whose base was written: eager forbids to ask where its gradients go."""
    try:
        assert tensor.grad_fn is not tensor
    except RuntimeError:
        return True
    return False


def _tensors(value: Any) -> list[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        return [value]
    return [t for v in value for t in _tensors(v)] if isinstance(value, list | tuple) else []


_SMALL = st.integers(0, 400)
_PIECES = st.lists(st.builds(Piece, _SMALL, _SMALL, _SMALL), min_size=1, max_size=4).map(tuple)
_NUMBERS = st.tuples(st.sampled_from((2, 1, 3, 0, 5)), st.sampled_from((0.5, 1.5, 2.0, -0.25)))
_ROWS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), max_size=2).map(tuple)
_BACKENDS = st.sampled_from(("eager", "inductor"))
_DYNAMIC = st.sampled_from((None, None, True))


def _case(pieces: Any, later: Any, first: Any, grad: bool, backend: str, dynamic: bool | None) -> Case:
    return Case(pieces, tuple(r for r, _ in later), (first, *(n for _, n in later)), grad, backend, dynamic)


#: how programs are drawn
CASES = st.one_of(
    st.builds(_case, _PIECES, st.lists(st.tuples(_ROWS, _NUMBERS), min_size=1, max_size=3), _NUMBERS, st.booleans(), _BACKENDS, _DYNAMIC),
    st.builds(_case, _PIECES, st.lists(st.tuples(_ROWS, _NUMBERS), min_size=1, max_size=3), _NUMBERS, st.booleans(), _BACKENDS, _DYNAMIC),
    st.builds(lambda *drawn: Case(language=drawn), st.integers(0, 2**40), st.sampled_from((6, 14, 30)), st.booleans()),
)  # fmt: skip
