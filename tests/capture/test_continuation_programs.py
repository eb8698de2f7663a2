"""Continuations: modules of the standard library whose functions run in pieces give the results they always give."""

from __future__ import annotations

import functools
import importlib.util
import inspect
import operator
import pathlib
import random
import sys
import textwrap
import types
from collections.abc import Callable
from typing import Any

import pytest
from cutting import Activation, can_cut
from quern.capture.bytecode.instructions import decode


def fresh(name: str) -> types.ModuleType:
    """A private copy of a standard library module, so that what is changed in it stays here."""
    found = importlib.util.find_spec(name)
    assert found is not None and found.origin is not None
    spec = importlib.util.spec_from_file_location(name + "_cut", found.origin)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and the like look their module up
    spec.loader.exec_module(module)
    return module


class Cutter:
    """Replaces functions by ones that run in pieces, cut at random places."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.made = 0
        self.allowed: dict[int, list[int]] = {}

    def places(self, code: types.CodeType) -> list[int]:
        if id(code) not in self.allowed:
            self.allowed[id(code)] = [i for i in range(len(decode(code))) if can_cut(code, i)]
        return self.allowed[id(code)]

    def cut(self, function: types.FunctionType) -> Callable[..., Any]:
        signature = inspect.signature(function, follow_wrapped=False)
        places = self.places(function.__code__)
        if not places:
            return function

        @functools.wraps(function)
        def in_pieces(*args: Any, **kwargs: Any) -> Any:
            # cut where control is likely to come by, early in the code, or anywhere
            first = self.random.choice(places)
            second = self.random.choice(places[: len(places) // 4 + 1])
            self.made += 1
            activation = Activation(function, args, kwargs, signature)
            return activation.run(lambda entry: iter({first, second} if entry == 0 else ()))

        return in_pieces

    def cut_all(self, namespace: types.ModuleType | type, module: str) -> None:
        for name, value in list(vars(namespace).items()):
            if isinstance(value, types.FunctionType) and value.__module__ == module:
                setattr(namespace, name, self.cut(value))
            elif isinstance(value, (staticmethod, classmethod)):
                if isinstance(value.__func__, types.FunctionType):
                    setattr(namespace, name, type(value)(self.cut(value.__func__)))
            elif isinstance(value, type) and value.__module__ == module and namespace is not value:
                if isinstance(namespace, types.ModuleType):
                    self.cut_all(value, module)


def run_toml(module: types.ModuleType) -> Any:
    text = """
    title = "a \\u00e9 b"
    [owner]
    when = 1979-05-27T07:32:00-08:00
    list = [1, 2.5, 0xff, [true, "x", {a = 1}]]
    text = '''raw
    lines'''
    [[products]]
    name = "nail"
    [[products]]
    sku = 284_758
    """
    results = [module.loads(text)]
    for bad in ("a = ", "a = 1\na = 2", "[a\n", 'x = "\\q"', "x = [1, 2"):
        try:
            results.append(module.loads(bad))
        except ValueError as error:
            results.append((type(error).__name__, str(error)))
    return results


def run_textwrap(module: types.ModuleType) -> Any:
    text = "The quick brown fox, jumped-over the   lazy dog.\n\n  An indented line; averyveryverylongword_indeed."
    return [module.fill(text, width) for width in (10, 17, 40)], module.dedent("  a\n    b\n"), module.shorten(text, 20)


def run_argparse(module: types.ModuleType) -> Any:
    parser = module.ArgumentParser(prog="prog", description="does things")
    parser.add_argument("files", nargs="*", type=str, help="the files")
    parser.add_argument("-n", "--number", type=int, default=3, choices=[1, 2, 3])
    parser.add_argument("--flag", action="store_true")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--one", action="append")
    group.add_argument("--two")
    lines = ["a b -n 2 --flag", "--one 1 --one 2", "-n2 --two=x y", "--one=1 -- -z"]
    parsed = [sorted(vars(parser.parse_args(line.split())).items()) for line in lines]
    return parsed, parser.format_help(), parser.format_usage()


def run_json(module: types.ModuleType) -> Any:
    decoder = module.JSONDecoder()
    decoder.parse_string = module.py_scanstring
    decoder.scan_once = importlib.import_module("json.scanner").py_make_scanner(decoder)
    texts = [
        '{"a": [1, 2.5e3, -0.1, true, null, "\\u00e9\\n"], "b": {}}',
        "[]",
        '"x"',
        "[1,",
        '{"a" 1}',
        '"\\ud83d\\ude00"',
    ]
    results = []
    for text in texts:
        try:
            results.append(decoder.decode(text))
        except ValueError as error:
            results.append(str(error))
    return results


def run_ast(module: types.ModuleType) -> Any:
    import ast

    tree = ast.parse(pathlib.Path(textwrap.__file__).read_text(encoding="utf-8"))
    unparse = getattr(module, "unparse", None)
    return [unparse(node) for node in tree.body[-6:]] if unparse else None


def run_decimal(module: types.ModuleType) -> Any:
    number = module.Decimal
    values = [number("1.1"), number("-2.25"), number("3e5"), number("0"), number("Infinity")]
    results = []
    for a in values:
        for b in values:
            for operate in (operator.add, operator.mul, operator.truediv, operator.sub, operator.lt):
                try:
                    results.append(str(operate(a, b)))
                except ArithmeticError as error:
                    results.append(type(error).__name__)
        results.append((str(a), repr(a), hash(a) if a.is_finite() else None, f"{a:.3f}"))
    return results, str(number(2).sqrt()), str(number(1).exp())


def run_regular_expressions(module: types.ModuleType) -> Any:
    patterns = [r"(?P<a>x+)(?:y|z{2,3}?)*", r"^[\w.-]+@[^\s@]+$", r"(?i)a(?=b)(?<!c)\1?", "(a", "[z-a]", "*"]
    results = []
    for pattern in patterns:
        try:
            results.append(repr(module.parse(pattern)))
        except Exception as error:
            results.append((type(error).__name__, str(error)))
    return results


PROGRAMS = [
    ("tomllib._parser", run_toml),
    ("textwrap", run_textwrap),
    ("argparse", run_argparse),
    ("json.decoder", run_json),
    ("re._parser", run_regular_expressions),
    ("_pydecimal", run_decimal),
    ("ast", run_ast),
]


def run_cut(name: str, program: Callable[[types.ModuleType], Any], seed: int) -> int:
    plain = program(fresh(name))
    module = fresh(name)
    cutter = Cutter(seed)
    cutter.cut_all(module, module.__name__)
    assert program(module) == plain, f"seed {seed}"
    return cutter.made


@pytest.mark.parametrize(("name", "program"), PROGRAMS[:2], ids=[name for name, _ in PROGRAMS[:2]])
def test_library_programs_run_cut(name: str, program: Callable[[types.ModuleType], Any]) -> None:
    assert run_cut(name, program, 0) > 20


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("name", "program"), PROGRAMS, ids=[name for name, _ in PROGRAMS])
def test_more_library_programs_run_cut(name: str, program: Callable[[types.ModuleType], Any], seed: int) -> None:
    assert run_cut(name, program, seed) > 10
