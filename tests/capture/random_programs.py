"""Random Python programs over tensors, as source text: what `test_random_programs.py` runs plain and compiled.

A program is a module: a few helpers that are always the same (`PRELUDE`) and one function, `program`, that is drawn. The drawing
keeps track of the variables in scope by kind, so that most programs run far before they raise, if they raise at all. Loops
are bounded by construction. All choices come from one `random.Random`, or anything with its methods.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator

PRELUDE = """\
import contextlib
import functools
import itertools
import torch
import quern

COUNT = 0
LOG = []


class Err(Exception):
    def __init__(self, code, *more):
        super().__init__(code, *more)
        self.code = code


class Box:
    kind = "box"

    def __init__(self, n, v):
        self.n = n
        self.v = v
        self.items = []

    def bump(self, by=1):
        self.n += by
        self.items.append(by)
        return self

    @property
    def double(self):
        return self.n * 2

    def __len__(self):
        return len(self.items)

    def __bool__(self):
        return self.n % 2 == 0

    def __eq__(self, other):
        return isinstance(other, Box) and self.n == other.n

    def __hash__(self):
        return 7

    def __add__(self, other):
        return Box(self.n + (other.n if isinstance(other, Box) else other), self.v)

    def __getitem__(self, i):
        return self.items[i]

    def __iter__(self):
        yield self.n
        yield from self.items

    def __contains__(self, item):
        return item == self.n

    def __call__(self, v, k=1):
        self.v = v * k
        return self.v + self.n


class Sub(Box):
    def bump(self, by=1):
        super().bump(by + 1)
        return self

    def __getattr__(self, name):
        if name == "extra":
            return 5
        raise AttributeError(name)


class Guard:
    def __init__(self, log, name, swallow=False):
        self.log = log
        self.name = name
        self.swallow = swallow

    def __enter__(self):
        self.log.append(("enter", self.name))
        return self

    def __exit__(self, kind, value, tb):
        self.log.append(("exit", self.name, None if kind is None else kind.__name__))
        return self.swallow


@contextlib.contextmanager
def scope(log, name):
    log.append(name)
    try:
        yield len(log)
    except ZeroDivisionError:
        log.append("div")
    finally:
        log.append("end " + name)


def helper(a, b=2, *rest, k=1, **more):
    return a * b + sum(rest) * k + sum(more.values())


def vector(v, *others, scale=1.0):
    for o in others:
        v = v + o * scale
    return v


def numbers(n, log):
    try:
        for i in range(n):
            got = yield i
            if got is not None:
                log.append(("got", got))
    finally:
        log.append("closed")
    return n * 10


def quiet_numbers(n, log):
    for i in range(n):
        log.append(i)
        yield i


def chain(n, log):
    r = yield from numbers(n, log)
    yield r


def twice(fn):
    @functools.wraps(fn)
    def wrapper(*args, **kwargs):
        return fn(*args, **kwargs) + fn(*args, **kwargs)
    return wrapper
"""

PARAMETERS = (
    ("x", "vec"), ("y", "vec"), ("m", "mat"), ("n", "int"), ("items", "list"), ("table", "dict"), ("vs", "vecs"), ("box", "box"),
)  # fmt: skip
KINDS = ("int", "vec", "mat", "list", "dict", "set", "tuple", "str", "vecs", "box", "fn", "log", "cond")


class Scope:
    """Variables that can be read, by kind.

    outer:   scope of the enclosing function, for `nonlocal`
    """

    def __init__(self, outer: Scope | None = None) -> None:
        self.vars: dict[str, list[str]] = (
            {k: list(v) for k, v in outer.vars.items()} if outer else {k: [] for k in KINDS}
        )
        self.outer = outer
        #: names that this function has made its own, and those that it declared
        self.own: set[str] = set()
        self.declared: set[str] = set()


class Writer:
    """Draws one program.

    size: about how many statements
    """

    def __init__(self, rng: random.Random, size: int = 14, breaks: bool = True) -> None:
        self.rng = rng
        self.left = size
        self.breaks = breaks
        # behind a graph break, frames of the compiled call hold a loop's iterator a little longer than its own frame does:
        # until the exception that left the loop is gone
        self.numbers = "quiet_numbers" if breaks else "numbers"
        self.lines: list[str] = []
        self.depth = 1
        self.loops = 0
        self.generators = 0
        self.functions = 0
        self.count = 0
        self.scope = Scope()

    # ---------------------------------------------------------------- helpers

    def pick(self, *options: str) -> str:
        return self.rng.choice(options)

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def fresh(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}{self.count}"

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def bind(self, name: str, kind: str) -> str:
        self.scope.vars[kind].append(name)
        self.scope.own.add(name)
        return name

    def var(self, kind: str) -> str:
        return self.rng.choice(self.scope.vars[kind])

    def has(self, kind: str) -> bool:
        return bool(self.scope.vars[kind])

    def own(self, kind: str) -> str | None:
        """A variable that may be assigned here."""
        names = [n for n in self.scope.vars[kind] if n in self.scope.own or n in self.scope.declared]
        return self.rng.choice(names) if names else None

    @contextlib.contextmanager
    def block(self, header: str) -> Iterator[None]:
        """An indented block; names bound in it are not used behind it."""
        self.line(header)
        self.depth += 1
        before = {k: list(v) for k, v in self.scope.vars.items()}
        yield
        self.scope.vars = before
        self.depth -= 1

    def body(self, most: int = 3) -> None:
        for _ in range(self.rng.randint(1, most)):
            self.statement()

    # ---------------------------------------------------------------- expressions
    # What a loop over a list computes may call a function that appends to the list: such loops end after nine turns.

    def expression(self, kind: str, deep: int = 2) -> str:
        return getattr(self, "e_" + kind)(deep)

    def e_int(self, deep: int) -> str:
        if deep <= 0 or self.chance(35):
            return self.var("int") if self.has("int") and self.chance(65) else str(self.rng.randint(0, 4))
        a, b = self.e_int(deep - 1), self.e_int(deep - 1)
        lst, vec = self.var("list"), self.var("vec")
        options = [
            f"({a} + {b}) % 7", f"({a} * {b}) % 5", f"({a} - {b})", f"{a} // ({b} or 1)", f"len({lst})", f"sum({lst}) % 9",
            f"({a} if {self.e_cond(deep - 1)} else {b})", f"max({a}, {b})", f"min({a}, {b}, key=lambda q: -q)", f"{vec}.shape[0]",
            f"{self.var('mat')}.size(0)", f"({a} ^ {b}) & 7", f"{self.var('dict')}.get({self.e_key()}, {a})", f"helper({a}, {b}) % 11",
            f"len({self.var('str')})", f"abs({a} - {b})", f"divmod({a}, 3)[1]", f"{self.var('box')}.n % 6", f"len({self.var('vecs')})",
            f"helper(*{lst}[:2] or (1,), k={b}) % 8", f"({a} and {b})", f"({a} or {b})", f"int({self.e_cond(deep - 1)})",
            f"len({self.var('box')})", f"{self.var('box')}.double % 5", f"next(iter({lst}), {a})", f"helper(**dict(a={a}, b={b}, z=1)) % 13",
            f"sum(q for q in {lst}[:9] if q > {b}) % 10", f"sorted({lst} + [{a}], reverse=True)[0] % 12", f"-{a} % 4", f"{lst}[{b} % len({lst})]",
            f"functools.reduce(lambda p, q: (p * 2 + q) % 7, {lst}, {a})", f"hash({b})", f"{self.var('tuple')}[0]", f"len({self.var('set')})",
        ]  # fmt: skip
        if self.has("fn"):
            options += [f"{self.var('fn')}({a}, {b})"] * 3
        if self.breaks and self.chance(12):
            return f"int({vec}.sum().item()) % 4"
        return self.rng.choice(options)

    def e_key(self) -> str:
        return self.pick("'a'", "'b'", "'c'", "'d'")

    def e_cond(self, deep: int) -> str:
        if deep <= 0:
            return f"{self.e_int(0)} {self.pick('<', '>', '==', '!=', '<=')} {self.e_int(0)}"
        a, b = self.e_int(deep - 1), self.e_int(deep - 1)
        lst, name = self.var("list"), self.var("vec")
        options = [
            f"{a} {self.pick('<', '>', '==', '!=', '>=')} {b}", f"{a} < {b} <= {self.e_int(0)}", f"{lst}", f"not {lst}", f"{a} in {lst}",
            f"{self.e_key()} in {self.var('dict')}", f"{self.var('list')} is {lst}", f"{self.var('vec')} is {name}", f"{self.var('box')} == {self.var('box')}",
            f"({self.e_cond(deep - 1)} and {self.e_cond(deep - 1)})", f"({self.e_cond(deep - 1)} or {self.e_cond(0)})", f"bool({self.var('box')})",
            f"{self.var('str')}.startswith('a')", f"isinstance({self.var('box')}, Sub)", f"any(q > {a} for q in itertools.islice({lst}, 9))", f"all([q < {b} for q in {lst}[:9]])",
            f"{self.var('mat')}.shape[0] > {a}", f"{name}.dim() == 1", f"{a} not in {self.var('set')}", f"{lst} == {self.var('list')}",
            f"(w := {a}) > {b} and w % 2 == 0", f"{self.var('dict')} != {self.var('dict')}", f"{a} in {self.var('box')}", f"{self.var('tuple')} < ({a}, {b})",
        ]  # fmt: skip
        if self.breaks and self.chance(10):
            return self.pick(f"{name}.sum().item() > {a}", f"{name}[0] > {b}", f"bool(({name} > 0).all())")
        return self.rng.choice(options)

    def e_vec(self, deep: int) -> str:
        if deep <= 0 or self.chance(25):
            return self.var("vec")
        a, b, k = self.e_vec(deep - 1), self.e_vec(deep - 1), self.e_int(deep - 1)
        m, vs = self.var("mat"), self.var("vecs")
        options = [
            f"({a} + {b})", f"({a} * {k})", f"({a} - {b} / 4)", f"torch.sin({a})", f"{m}[{self.pick('0', '1', '-1')}]", f"{m}.sum(0)", f"{a}.clone()",
            f"{a}.flip(0)", f"torch.where({a} > 0, {a}, {b})", f"(-{a})", f"{m}.mean(dim=0)", f"torch.full((3,), float({k}))", f"{a}.relu()",
            f"vector({a}, {b}, scale={k})", f"vector(*{vs}[:2] or [{a}])", "torch.zeros(3)", f"{self.var('box')}.v", f"torch.tensor([1.0, {k}, 2.0])",
            f"({a} if {self.e_cond(deep - 1)} else {b})", f"sum({vs}, {a})", f"{self.var('box')}({a})", f"{a}[:]", f"{a}.view(3)", f"{a}.t()", f"torch.stack([{a}, {b}])[{k} % 2]",
            f"functools.reduce(torch.maximum, {vs}, {a})", f"{a}.clamp(-1, {k})", f"torch.cat([{a}[:1], {b}[1:]])", f"{a}.cumsum(0)", f"(({a} @ {b}) * {a})", f"{a}.expand(3)",
            f"(torch.arange(3) * {a})", f"({k} * {a} ** 2)", f"next(iter({vs}), {a})", f"{a}.detach()", f"({a} > {b}).float()", f"[q for q in ({a}, {b})][-1]", f"({m}[:, 0].sum() + {a})",
        ]  # fmt: skip
        return self.rng.choice(options)

    def e_mat(self, deep: int) -> str:
        m = self.var("mat")
        if deep <= 0:
            return m
        a = self.e_vec(deep - 1)
        return self.pick(
            f"{m} + {a}", f"{m} * {self.e_int(deep - 1)}", f"torch.stack([{a}, {self.e_vec(deep - 1)}])", f"{m}.clone()", f"{m}[:]", f"torch.cat([{m}, {self.e_mat(0)}])[:2]",
            f"{m}.softmax(-1)", f"{a}.expand(2, 3)", f"{m}.t().t()", f"torch.outer({a}[:2], {a})", "torch.zeros(2, 3)", f"{a}.repeat(2, 1)", f"{m}.reshape(-1, 3)", f"{m}.flip(0)",
        )  # fmt: skip

    def e_list(self, deep: int) -> str:
        lst = self.var("list")
        if deep <= 0:
            return f"[{self.e_int(0)}, {self.e_int(0)}]"
        a, b = self.e_int(deep - 1), self.e_int(deep - 1)
        return self.pick(
            f"[{a}, {b}]", f"[*{lst}, {a}]", f"list(range({a} % 5))", f"[q * {a} % 9 for q in itertools.islice({lst}, 9) if q != {b}]", f"sorted({lst})", f"{lst}[::-1]", f"{lst}[1:]", f"{lst} + [{b}]",
            f"list(map(lambda q: (q + {a}) % 5, {lst}[:9]))", f"[p + q for p in {lst}[:3] for q in range(2)]", f"list({self.var('dict')}.values())", f"list(numbers({a} % 3, {self.var('log')}))",
            f"[i for i, q in enumerate({lst}, {b})]", f"{lst}.copy()", f"list(itertools.accumulate({lst}))", f"list(zip({lst}, {lst}[1:]))[:1] and [1]", f"list(chain({a} % 3, {self.var('log')}))",
            f"list({self.var('box')})", f"sorted({self.var('set')})", f"[j for i in range(2) for j in [{a}] * i]", f"list(reversed({lst}))", f"[{a}] * 2", f"list(itertools.islice({lst}, 2))",
            f"list(filter(lambda q: q % 2, {lst}))", f"list({self.var('tuple')})", f"[(lambda z: z + i)(1) for i in {lst}]", f"list(itertools.chain({lst}[:2], ({a},)))",
        )  # fmt: skip

    def e_dict(self, deep: int) -> str:
        d = self.var("dict")
        a, b = self.e_int(deep - 1), self.e_int(deep - 1)
        return self.pick(
            f"{{'a': {a}, {self.e_key()}: {b}}}", f"dict({d})", f"{{**{d}, {self.e_key()}: {a}}}", f"{{k: v + 1 for k, v in {d}.items() if v != {b}}}", f"dict(a={a}, c={b})",
            f"{d} | {{{self.e_key()}: {b}}}", f"dict(zip('abc', {self.var('list')}))", f"{d}.copy()", f"dict.fromkeys('ab', {a})", f"dict(sorted({d}.items()))",
        )  # fmt: skip

    def e_set(self, deep: int) -> str:
        a, b = self.e_int(deep - 1), self.e_int(deep - 1)
        s = self.var("set")
        return self.pick(
            f"{{{a}, {b}}}",
            f"set({self.var('list')})",
            f"{s} | {{{a}}}",
            f"{{q % 3 for q in {self.var('list')}}}",
            f"{s} - {{{b}}}",
            "set()",
            f"{s} ^ {{{a}}}",
        )

    def e_tuple(self, deep: int) -> str:
        return self.pick(f"({self.e_int(deep)}, {self.e_int(deep - 1)})", f"({self.e_int(deep)}, *{self.var('list')})")

    def e_str(self, deep: int) -> str:
        s, a = self.var("str"), self.e_int(0)
        return self.pick(
            f"f'a{{{a}}}'", f"f'{{{a}:>3}}|{{{s}!r}}'", f"{s}.upper()[:6]", f"'%d-%s' % ({a}, {s}[:3])", f"'-'.join(str(q) for q in {self.var('list')})", f"{s}[:4] + 'z'", f"str({self.var('list')})",
            f"'{{}}{{k}}'.format({a}, k=1)", f"f'{{{self.var('dict')}}}'", f"{s}.replace('a', 'bc')[:8]", f"repr({self.var('tuple')})", f"f'{{{self.var('vec')}.shape}}'",
        )  # fmt: skip

    def e_vecs(self, deep: int) -> str:
        vs = self.var("vecs")
        return self.pick(
            f"[{self.e_vec(deep - 1)}, {self.e_vec(deep - 1)}]", f"[v * {self.e_int(0)} for v in {vs}]", f"list({self.var('mat')})", f"{vs}[::-1]", f"[*{vs}, {self.e_vec(0)}]",
            f"list(torch.unbind({self.var('mat')}))", f"[{self.var('vec')}] * 2", f"list(map(torch.cos, {vs}))", f"list({vs})",
        )  # fmt: skip

    def e_box(self, deep: int) -> str:
        a = self.e_int(deep - 1)
        return self.pick(
            f"Box({a}, {self.e_vec(deep - 1)})",
            f"Sub({a}, {self.e_vec(deep - 1)})",
            f"{self.var('box')} + {a}",
            f"{self.var('box')}.bump({a})",
        )

    # ---------------------------------------------------------------- statements

    def statement(self) -> None:
        self.left -= 1
        if self.left < 0 or self.depth > 7:
            self.simple()
            return
        choose = self.rng.choices(
            [self.simple, self.s_if, self.s_for, self.s_while, self.s_try, self.s_with, self.s_def, self.s_generator, self.s_match, self.s_leave, self.s_class],
            [60, 14, 10, 4, 10, 6, 7, 4, 3, 5, 2],
        )  # fmt: skip
        choose[0]()

    def simple(self) -> None:
        kinds: list[Callable[[], None]] = [
            self.s_assign, self.s_assign, self.s_alias, self.s_augment, self.s_tensor, self.s_tensor, self.s_list, self.s_dict, self.s_set, self.s_object, self.s_unpack, self.s_note, self.s_call,
        ]  # fmt: skip
        if self.breaks and self.chance(9):
            self.line("quern.graph_break()")
            return
        self.rng.choice(kinds)()

    def s_assign(self) -> None:
        kind = self.pick(
            "int", "vec", "mat", "list", "dict", "set", "tuple", "str", "vecs", "box", "int", "vec", "list"
        )
        text = self.expression(kind)
        name = self.own(kind) if self.chance(60) else None
        if name is None:
            name = self.bind(self.fresh(kind[0]), kind)
        self.line(f"{name} = {text}")

    def s_alias(self) -> None:
        kind = self.pick("list", "dict", "vec", "vecs", "box", "mat", "set")
        text = self.var(kind)
        self.line(f"{self.bind(self.fresh(kind[0]), kind)} = {text}")

    def s_augment(self) -> None:
        kind = self.pick("int", "vec", "list", "set", "vec", "str")
        name = self.own(kind)
        if name is None:
            return self.s_tensor()
        if kind == "int":
            self.line(f"{name} {self.pick('+=', '-=', '*=', '|=')} {self.e_int(1)}")
            self.line(f"{name} %= 17")
        elif kind == "str":
            self.line(f"{name} += 'q'")
        else:
            text = self.expression(kind, 1)
            self.line(
                f"{name} += ({text})[:9]"  # its own elements again and again would fill the memory
                if kind == "list"
                else f"{name} {self.pick('|=', '-=', '&=') if kind == 'set' else self.pick('+=', '*=', '-=') if kind == 'vec' else '+='} {text}"
            )

    def s_tensor(self) -> None:
        v, m, k = self.var("vec"), self.var("mat"), self.e_int(1)
        self.line(self.pick(
            f"{v}.add_({self.e_vec(1)})", f"{v}[{k} % 3] = {self.e_int(0)}", f"{m}[0] = {self.e_vec(1)}", f"{v}.mul_({k})", f"{m}[-1].add_({k})", f"{m}[:, 1:].zero_()", f"{v}[1:] += 1",
            f"{v}.copy_({self.e_vec(1)})", f"{m}.t()[0].fill_({k})", f"{v}.view(-1)[{k} % 3].add_(1)", f"{v}.clamp_(max={k})", f"{m}.select(0, 1).copy_({v})", f"{m}[0, {k} % 3] = {v}[0]",
            f"{v}[{v} > {k}] = 0", f"{m}.view(-1)[1:3].mul_(2)", f"{v}.neg_()", f"{self.var('vecs')}[0:1] and {self.var('vecs')}[0].add_(1)", f"torch.add({v}, 1, out={v})",
        ))  # fmt: skip
        if self.chance(20):
            name = self.bind(self.fresh("v"), "vec")
            self.line(
                f"{name} = {self.pick(f'{m}[0]', f'{m}[-1]', f'{v}[:]', f'{m}.select(0, 1)', f'{m}.view(-1)[1:4]', f'{v}.view(3)')}"
            )

    def s_list(self) -> None:
        lst, k = self.var("list"), self.e_int(1)
        self.line(self.pick(
            f"{lst}.append({k})", f"{lst}.insert({self.e_int(0)}, {k})", f"{lst}.extend([{k}, 1])", f"{lst} and {lst}.pop()", f"{lst}.reverse()", f"{lst}.sort(key=lambda q: -q)", f"{lst}[:1] = [{k}, 2]",
            f"{lst}[1:2] = []", f"del {lst}[2:]", f"{lst}.remove({k})" if self.chance(25) else f"{lst}.append(3)", f"{lst}[{k}] = 9" if self.chance(25) else f"{lst}.append(1)",
            f"{self.var('vecs')}.append({self.e_vec(1)})", f"{self.var('vecs')}[0:1] = [{self.e_vec(1)}]", f"{lst}.clear()", f"{lst}.append(len({lst}))",
        ))  # fmt: skip

    def s_dict(self) -> None:
        d, k = self.var("dict"), self.e_int(1)
        self.line(self.pick(
            f"{d}[{self.e_key()}] = {k}", f"{d}.setdefault({self.e_key()}, {k})", f"{d}.pop({self.e_key()}, None)", f"{d}.update(a={k})", f"{d} and {d}.popitem()", f"{d}.update({{'e': {k}}})",
            f"del {d}[{self.e_key()}]" if self.chance(25) else f"{d}['f'] = {k}", f"{d}['a'] = {d}.get('a', 0) + 1",
        ))  # fmt: skip

    def s_set(self) -> None:
        s, k = self.var("set"), self.e_int(1)
        self.line(
            self.pick(
                f"{s}.add({k})",
                f"{s}.discard({k})",
                f"{s}.update({self.var('list')})",
                f"{s} and {s}.remove(min({s}))",
                f"{s}.clear()",
                f"{s}.difference_update([{k}])",
            )
        )

    def s_object(self) -> None:
        box, k = self.var("box"), self.e_int(1)
        self.line(self.pick(
            f"{box}.n = {k}", f"{box}.bump({k}).bump()", f"{box}.v = {self.e_vec(1)}", f"{box}.items = {self.var('list')}", f"{box}.items.append({k})", f"setattr({box}, 'tag', {k})", f"{box}.n += {k}",
            f"{box}({self.e_vec(1)}, k={k})", f"{box}.v.add_(1)", f"{self.var('log')}.append({box}.extra)" if self.chance(25) else f"{box}.other = {self.var('box')}", f"{box}.__dict__['z'] = {k}",
        ))  # fmt: skip

    def s_unpack(self) -> None:
        a, b = self.fresh("i"), self.fresh("i")
        text = self.pick(
            f"{a}, {b} = {self.e_int(1)}, {self.e_int(1)}", f"{a}, *{b}s = {self.e_list(1)} or [1]", f"({a}, {b}), _ = ({self.e_int(1)}, 2), 3", f"{a} = {b} = {self.e_int(1)}",
            f"*{b}s, {a} = [5, *{self.var('list')}]", f"{a}, {b} = {self.var('list')}[:2]" if self.chance(30) else f"{a}, {b} = divmod({self.e_int(1)}, 2)",
        )  # fmt: skip
        self.line(text)
        self.bind(a, "int")
        self.bind(b + "s", "list") if f"{b}s" in text else self.bind(b, "int")

    def s_note(self) -> None:
        log = self.var("log")
        name = self.var(self.pick("int", "list", "dict", "str", "tuple", "set"))
        self.line(self.pick(f"{log}.append({self.e_int(1)})", f"print({name})", f"LOG.append({self.e_int(1)})", f"print(f'{{{self.e_int(0)}:03d}}', {self.var('list')}, sep='/')", f"{log}.append({self.var('list')})", f"{log}.append(({self.e_str(1)}, {self.e_cond(1)}))",
                            f"assert {self.e_int(1)} >= 0, {self.e_str(1)}" if self.chance(40) else "pass"))  # fmt: skip

    def s_call(self) -> None:
        if not self.has("fn"):
            return self.s_note()
        text = f"{self.var('fn')}({self.e_int(1)}, {self.e_int(1)}) % 23"
        self.line(f"{self.bind(self.fresh('i'), 'int')} = {text}")

    def s_if(self) -> None:
        with self.block(f"if {self.e_cond(2)}:"):
            self.body()
        if self.chance(25):
            with self.block(f"elif {self.e_cond(1)}:"):
                self.body(2)
        if self.chance(50):
            with self.block("else:"):
                self.body(2)

    def s_for(self) -> None:
        i, j, lst = self.fresh("i"), self.fresh("i"), self.var("list")
        name, header, binds = self.rng.choice([
            (i, f"range({self.e_int(1)} % 4)", [(i, "int")]), (i, f"{lst}[:4]", [(i, "int")]), (f"{i}, {j}", f"enumerate({lst}[:3], 1)", [(i, "int"), (j, "int")]),
            (f"_, {i}", f"sorted({self.var('dict')}.items())", [(i, "int")]), (i, f"{self.var('vecs')}[:4]", [(i, "vec")]), (f"{i}, {j}", f"zip(range(3), {lst})", [(i, "int"), (j, "int")]),
            (i, f"{self.numbers}({self.e_int(1)} % 4, {self.var('log')})", [(i, "int")]), (i, self.var("mat"), [(i, "vec")]), (i, f"list({self.var('dict')}.values())", [(i, "int")]), (i, f"reversed({lst}[:3])", [(i, "int")]),
            (i, f"sorted({self.var('set')})[:3]", [(i, "int")]), (i, f"(q * 2 for q in {lst}[:3])", [(i, "int")]), (f"{i}, {j}", f"itertools.product(range(2), {lst}[:2])", [(i, "int"), (j, "int")]),
            (i, f"list({self.var('box')})[:3]", [(i, "int")]), (f"{i}, {j}", f"zip({self.var('vecs')}[:3], {self.var('mat')})", [(i, "vec"), (j, "vec")]), (i, f"{self.var('tuple')}[:3]", [(i, "int")]),
            (i, f"{self.var('dict')}.values()", [(i, "int")]),
        ])  # fmt: skip
        before = {k: list(v) for k, v in self.scope.vars.items()}
        self.loops += 1
        with self.block(f"for {name} in {header}:"):
            for n, kind in binds:
                self.bind(n, kind)
            self.body()
        self.loops -= 1
        if self.chance(20):
            with self.block("else:"):
                self.body(1)
        self.scope.vars = before

    def s_while(self) -> None:
        k = self.fresh("k")
        self.line(f"{k} = 0")
        self.loops += 1
        with self.block(f"while {k} < {self.rng.randint(1, 3)}{f' and {self.e_cond(1)}' if self.chance(30) else ''}:"):
            self.line(f"{k} += 1")
            self.body()
        self.loops -= 1
        if self.chance(30):
            with self.block("else:"):
                self.body(1)
        self.bind(k, "int")

    def s_try(self) -> None:
        with self.block("try:"):
            self.body()
            if self.chance(55):
                self.line(self.pick(
                    f"1 // ({self.e_int(1)} % 2)", f"raise ValueError({self.e_int(1)})", f"log.append({self.var('list')}[{self.e_int(1)}])", f"{self.var('dict')}[{self.e_key()}]",
                    f"raise Err({self.e_int(1)}, 'more')", f"if {self.e_cond(1)}: raise Err({self.e_int(0)})", f"next(iter({self.var('list')}[:0]))", f"int({self.var('str')})", f"{self.var('box')}.missing",
                ))  # fmt: skip
        caught = self.chance(85)
        if caught:
            e = self.fresh("e")
            log = self.var("log")
            with self.block(
                f"except {self.pick('Exception', '(ValueError, KeyError)', 'Err', 'ZeroDivisionError', 'Exception', 'LookupError')} as {e}:"
            ):
                self.line(
                    self.pick(
                        f"{log}.append(type({e}).__name__)",
                        f"{log}.append({e}.args)",
                        f"{log}.append(str({e}))",
                        "pass",
                        f"{log}.append({e})",
                    )
                )
                if self.chance(60):
                    self.body(2)
                if self.chance(15):
                    self.line(
                        self.pick(
                            "raise",
                            f"raise Err(9) from {e}",
                            "raise ValueError('again')",
                            f"raise Err({e}.args) from None",
                        )
                    )
            if self.chance(25):
                with self.block("except Exception:"):
                    self.body(1)
            if self.chance(30):
                with self.block("else:"):
                    self.body(2)
        if not caught or self.chance(35):
            with self.block("finally:"):
                loops, self.loops = self.loops, 0 if self.chance(85) else self.loops
                self.body(2)
                self.loops = loops

    def s_with(self) -> None:
        log = self.var("log")
        a = self.fresh("i")
        header, binds = self.rng.choice([
            (f"Guard({log}, 'g', {self.pick('False', 'True', self.e_cond(1))})", []), (f"scope({log}, 's') as {a}", [a]), (f"contextlib.suppress({self.pick('Err', 'ValueError', 'ZeroDivisionError')})", []),
            (f"Guard({log}, 1) as {a}, scope({log}, 't')", []), ("torch.no_grad()", []), (f"contextlib.nullcontext({self.e_int(1)}) as {a}", [a]), ("contextlib.ExitStack() as st", []),
        ])  # fmt: skip
        with self.block(f"with {header}:"):
            if "ExitStack" in header:
                self.line(f"st.callback({log}.append, {self.e_int(1)})")
                self.line(f"st.enter_context(Guard({log}, 'x'))")
            for name in binds:
                self.bind(name, "int")
            self.body()
            if self.chance(20):
                self.line(self.pick(f"raise Err({self.e_int(0)})", f"1 // {self.e_int(1)}", "raise ValueError('v')"))

    @contextlib.contextmanager
    def function(self, header: str) -> Iterator[Scope]:
        outer, loops, generators = self.scope, self.loops, self.generators
        self.line(header)
        self.depth += 1
        self.functions += 1
        self.scope, self.loops, self.generators = Scope(outer), 0, 0
        yield outer
        self.scope, self.loops, self.generators = outer, loops, generators
        self.functions -= 1
        self.depth -= 1

    def nonlocals(self, outer: Scope) -> None:
        """Declare some of the enclosing function's variables."""
        names = [(k, n) for k in ("int", "vec", "list") for n in outer.vars[k] if n in outer.own or n in outer.declared]
        for _, name in self.rng.sample(names, min(len(names), self.rng.randint(0, 2))):
            if outer.outer is None or name in outer.own:
                if name not in self.scope.declared:
                    self.line(f"nonlocal {name}")
                    self.scope.declared.add(name)

    def s_def(self) -> None:
        f, p, q = self.fresh("f"), self.fresh("p"), self.fresh("p")
        if self.functions > 2:
            return self.s_note()
        if self.chance(20):
            self.line(f"{f} = lambda {p}, {q}=1: {self.e_int(1)} + {p} - {q}")
            self.bind(f, "fn")
            return
        if self.chance(15):
            self.line("@twice")
        with self.function(f"def {f}({p}, {q}={self.e_int(0)}, *rest, key={self.e_int(0)}):") as outer:
            self.nonlocals(outer)
            self.bind(p, "int")
            self.bind(q, "int")
            self.body(4)
            self.line(f"return ({self.e_int(1)} + {p}) % 9")
        self.bind(f, "fn")

    def s_generator(self) -> None:
        if self.functions > 2:
            return self.s_note()
        g, p, log = self.fresh("g"), self.fresh("p"), self.var("log")
        with self.function(f"def {g}({p}):") as outer:
            self.nonlocals(outer)
            self.bind(p, "int")
            self.generators = 1
            self.body(2)
            with self.block(self.pick(f"for _ in range({p} % 3):", "try:")):
                tried = self.lines[-1].endswith("try:")
                self.line(f"got = yield {self.e_int(1)}")
                self.line(f"{log}.append(got)")
            if tried:
                with self.block("finally:"):
                    self.line(f"{log}.append('fin')")
            self.line(f"yield from {self.var('list')}[:2]")
        call, name = f"{g}({self.e_int(1)})", self.fresh("i")
        how = self.rng.randrange(4)
        if how == 0:
            self.line(f"{self.bind(self.fresh('l'), 'list')} = list({call})")
        elif how == 1:
            self.line(f"{self.bind(name, 'int')} = sum({call}) % 9")
        else:
            it = self.fresh("it")
            self.line(f"{it} = {call}")
            self.line(f"{self.bind(name, 'int')} = next({it}, 0)")
            if how == 2 and self.chance(50):
                self.line("quern.graph_break()" if self.breaks else "pass")
            self.line(self.pick(f"{it}.close()", f"{log}.extend({it})", f"{log}.append(next({it}, None))"))

    def s_match(self) -> None:
        with self.block(
            f"match {self.pick(self.e_list(1), self.var('dict'), self.e_int(1), self.var('box'), self.var('tuple'))}:"
        ):
            a, r = self.fresh("i"), self.fresh("l")
            with self.block(self.pick(f"case [{a}, *{r}]:", f"case [{a}, 2, *{r}] | [{a}, *{r}]:")):
                self.bind(a, "int"), self.bind(r, "list")
                self.body(1)
            with self.block(f"case {{'a': {a}, **{r}}} if {a} > 0:"):
                self.bind(a, "int"), self.bind(r, "dict")
                self.body(1)
            with self.block("case 0 | 1:"):
                self.body(1)
            with self.block(f"case Sub(n={a}, items=[]):"):
                self.bind(a, "int")
                self.body(1)
            with self.block(self.pick("case Box(n=2 | 3):", "case _:")):
                self.body(1)

    def s_class(self) -> None:
        c, name = self.fresh("C"), self.var("box")
        base = self.pick("", "(Box)", "(Sub)")
        with self.block(f"class {c}{base}:"):
            self.line(f"size = {self.e_int(1)}")
            self.line("def area(self, k=2):")
            self.line(f"    return (self.size * k + {self.e_int(0)}) % 19")
        text = f"{c}{f'({self.e_int(0)}, {name}.v)' if base else '()'}.area({self.e_int(1)})"
        self.line(f"{self.bind(self.fresh('i'), 'int')} = {text}")

    def s_leave(self) -> None:
        options = ["return"] * 2 + ["break", "continue"] * (3 if self.loops else 0)
        how = self.rng.choice(options)
        if how == "return":
            if self.functions and not self.generators:
                text = f"return {self.e_int(1)}"
            elif self.functions:
                text = "return"
            else:
                text = f"return {self.results()}" if self.chance(70) else f"raise Err({self.e_int(1)}, {self.e_str(1)})"
        else:
            text = how
        if self.chance(97 if how == "return" else 85):
            self.line(f"if {self.e_cond(1)}:")
            self.line("    " + text)
        else:
            self.line(text)

    def results(self) -> str:
        """What the program returns: some of its variables, each perhaps twice."""
        kinds = [
            k for k in ("int", "vec", "mat", "list", "dict", "set", "tuple", "str", "vecs", "box", "log") if self.has(k)
        ]
        shown = [self.var(self.rng.choice(kinds)) for _ in range(self.rng.randint(1, 4))]
        return self.pick(", ".join([*shown, "log"]), f"[{', '.join(shown)}], {{'r': log}}", f"({shown[0]},)")

    def program(self) -> str:
        """The whole module's text."""
        for name, kind in PARAMETERS:
            self.bind(name, kind)
        self.line("global COUNT")
        self.line("log = []")
        for name, kind, text in (
            ("log", "log", ""),
            ("t", "tuple", "(1, n)"),
            ("word", "str", "'abc'"),
            ("bag", "set", "{1, 2}"),
        ):
            if text:
                self.line(f"{name} = {text}")
            self.bind(name, kind)
        while self.left > 0:
            self.statement()
            if self.chance(6):
                self.line("COUNT += 1")
        self.line(f"return {self.results()}")
        names = ", ".join(name for name, _ in PARAMETERS)
        return f"{PRELUDE}\n\ndef program({names}):\n" + "\n".join(self.lines) + "\n"


def write(rng: random.Random, size: int = 14, breaks: bool = True) -> str:
    """The text of one random program."""
    return Writer(rng, size, breaks).program()
