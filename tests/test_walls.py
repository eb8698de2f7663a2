"""The walls of the house: which room may import which, where torch may be imported, and how light `import quern` is."""

from __future__ import annotations

import ast
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

import quern

ROOT = Path(quern.__file__).resolve().parent.parent
ROOMS = ["quern", "capture", "inductor", "kernels", "cache"]
GROUND = {("quern", "errors"), ("quern", "config"), ("quern", "clock")}


def modules():
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            yield room, path


def own_imports(path: Path, room: str):
    """(line, room, first module inside it, inside a function) for every import of our own packages."""
    tree = ast.parse(path.read_text())
    inside = {
        id(n) for f in ast.walk(tree) if isinstance(f, (ast.FunctionDef, ast.AsyncFunctionDef)) for n in ast.walk(f)
    }
    typing_only = {
        id(n)
        for i in ast.walk(tree)
        if isinstance(i, ast.If) and "TYPE_CHECKING" in ast.unparse(i.test)
        for n in ast.walk(i)
    }
    relative = path.relative_to(ROOT).with_suffix("").parts
    package = list(relative[:-1])
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.level:
            # relative to quern.<room>.<...>: the quern package itself is the folder quern/
            dotted = ["quern", *(package[1:] if package[0] == "quern" else package)]
            base = dotted[: len(dotted) - (node.level - 1)]
            target = base + (node.module.split(".") if node.module else [])
            names = [[*target, alias.name] for alias in node.names] if not node.module else [target]
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "quern":
            names = [node.module.split(".")]
        elif isinstance(node, ast.Import):
            names = [a.name.split(".") for a in node.names if a.name.split(".")[0] == "quern"]
        else:
            continue
        for target in names:
            rest = target[1:]
            if rest and rest[0] in ROOMS[1:]:
                yield node.lineno, rest[0], rest[1] if len(rest) > 1 else "", id(node) in inside
            else:
                yield node.lineno, "quern", rest[0] if rest else "", id(node) in inside


def test_imports_go_one_way():
    wrong = []
    for room, path in modules():
        for line, target, module, _ in own_imports(path, room):
            if (target, module) in GROUND:
                continue
            if ROOMS.index(target) < ROOMS.index(room):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {target}.{module}")
    assert not wrong, "\n".join(wrong)


#: what loads a heavy part of itself when that is first needed
LATE = ("capture/frontends/numpy/frontend.py", "capture/frontends/numpy/runtime.py")


def test_no_own_import_inside_a_function():
    late = [
        f"{path.relative_to(ROOT)}:{line} imports {target}.{module} inside a function"
        for room, path in modules()
        for line, target, module, inside in own_imports(path, room)
        if inside and path.name != "__init__.py" and path.relative_to(ROOT).as_posix() not in LATE
    ]
    assert not late, "\n".join(late)


def dynamic_imports(path: Path):
    """Lines that import a module of ours by a text: what the checks of this file could not see."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called not in ("import_module", "__import__", "find_spec"):
            continue
        name = ast.unparse(node.args[0]).lstrip("f").strip("'\"")
        if name.startswith((".", "quern")) or "__package__" in ast.unparse(node):
            yield node.lineno


def test_no_own_module_is_imported_by_a_text():
    """But by the front door, whose names are loaded when they are asked for."""
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for room, path in modules()
        for line in dynamic_imports(path)
        if (room, path.name) != ("quern", "__init__.py")
    ]
    assert not found, "\n".join(found)


def import_graph() -> dict[str, set[str]]:
    """Which of our modules imports which, for type checking and inside functions too."""
    paths = {}
    for _, path in modules():
        parts = path.relative_to(ROOT).with_suffix("").parts
        dotted = parts if parts[0] == "quern" else ("quern", *parts)
        paths[".".join(dotted[:-1] if dotted[-1] == "__init__" else dotted)] = path
    graph: dict[str, set[str]] = {}
    for name, path in paths.items():
        package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
        found = graph[name] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                target = ".".join([*base, *(node.module.split(".") if node.module else [])])
                found |= {t for a in node.names for t in [f"{target}.{a.name}"] if t in paths} or {target} & set(paths)
            elif isinstance(node, ast.Import):
                found |= {a.name for a in node.names} & set(paths)
        found.discard(name)
    return graph


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a ring, or none."""
    done: set[str] = set()

    def walk(name: str, way: list[str]) -> list[str]:
        if name in way:
            return way[way.index(name) :]
        if name in done:
            return []
        for target in sorted(graph[name]):
            found = walk(target, [*way, name])
            if found:
                return found
        done.add(name)
        return []

    return next((found for name in graph if (found := walk(name, []))), [])


def test_imports_have_no_circle():
    assert not (found := circle(import_graph())), " -> ".join(found)


def test_a_circle_is_noticed():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]


def test_torch_only_in_its_front_end():
    found = []
    for _, path in modules():
        if "torch" in path.relative_to(ROOT).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            if any(n.split(".")[0] == "torch" for n in names):
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not found, f"torch imported outside capture/frontends/torch: {found}"


def test_a_crossing_is_noticed(tmp_path, monkeypatch):
    """The checks above can fail: a file in the cache room that imports capture is reported."""
    (tmp_path / "cache").mkdir()
    bad = tmp_path / "cache" / "bad.py"
    bad.write_text("from ..capture import frontend\n")
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    assert [(t, m) for _, t, m, _ in own_imports(bad, "cache")] == [("capture", "")]


def test_every_room_is_in_the_package():
    """What an installed package lacks, a source tree does not miss."""
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    rooms = {
        ".".join(("quern", *path.parent.relative_to(ROOT).parts[room == "quern" :]))
        for room, path in modules()
        if path.name == "__init__.py"
    }
    assert rooms == set(told)


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_loads_no_framework():
    loaded = run_python(
        "import sys, quern; print([m for m in ('torch', 'triton', 'sympy', 'rich', 'numpy') if m in sys.modules])"
    )
    heavy = set(ast.literal_eval(loaded)) - {"numpy"}
    assert not heavy, f"import quern loads {heavy}"


def test_import_is_quick():
    """Under 150 ms beyond numpy's own import, the best of several runs (machines are noisy)."""
    code = "import time, numpy; t = time.perf_counter(); import quern; print(time.perf_counter() - t)"
    run_python(code)
    assert min(float(run_python(code)) for _ in range(5)) < 0.150


@pytest.mark.parametrize("room", ROOMS[1:])
def test_rooms_import_without_torch(room):
    start = time.perf_counter()
    run_python(
        "import sys; sys.modules['torch'] = None; import importlib, quern; "
        f"importlib.import_module('quern.{room}'); assert 'triton' not in sys.modules"
    )
    assert time.perf_counter() - start < 30


#: what the compiler may look for words in, and why
WORDS_OF_OTHERS = {
    "inductor/codegen/cpp/types.py": "names of buffers become C++ identifiers",
    "kernels/cpu/openmp.py": "the libraries that the process has loaded",
    "kernels/gpu/library.py": "comments for linters in a file of ours",
    "kernels/gpu/source.py": "sizes of a stored plan hold arithmetic and nothing else",
    "kernels/gpu/toolchain.py": "what the assembler says",
}


def test_the_compiler_looks_for_no_words_in_its_own_text():
    """Facts are fields: whoever needs one has it from where it was made, not from a text that mentions it."""
    found = {
        str(path.relative_to(ROOT))
        for room, path in modules()
        if room in ("inductor", "kernels", "cache")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Import) and any(a.name == "re" for a in node.names)
    }
    assert found == set(WORDS_OF_OTHERS)
