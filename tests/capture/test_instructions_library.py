"""The instruction layer on the standard library's own code: read as `dis` reads it, consistent, laid out again alike."""

from __future__ import annotations

import dis
import pathlib
import sysconfig
import types
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from quern.capture.bytecode import instructions
from quern.capture.bytecode import raw as bytecode_raw
from quern.capture.bytecode.assemble import Assembly, Label, assemble
from quern.capture.bytecode.flow import CONDITIONAL
from quern.capture.bytecode.instructions import CodeView, live_locals, loops, stack_depth, successors


def code_objects(source: pathlib.Path) -> Iterator[types.CodeType]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            todo = [compile(source.read_bytes(), str(source), "exec")]
        except (SyntaxError, ValueError):  # files that test Python's own error messages
            return
    while todo:
        code = todo.pop()
        todo += [const for const in code.co_consts if isinstance(const, types.CodeType)]
        yield code


def library() -> list[pathlib.Path]:
    root = pathlib.Path(sysconfig.get_path("stdlib"))
    return sorted(path for path in root.rglob("*.py") if "site-packages" not in path.parts)


SAMPLE = """ast.py dataclasses.py contextlib.py enum.py functools.py json/decoder.py asyncio/tasks.py threading.py
    traceback.py statistics.py""".split()


def check_view(view: CodeView) -> None:
    code = view.code
    assert not [instr for instr in view.instructions if instr.op.startswith("UNKNOWN:")]
    for index, instr in enumerate(view.instructions):
        assert instr.index == index
        assert all(0 <= target < len(view) for target in successors(view, index)), (code, instr)
        if instr.op in CONDITIONAL or instr.op == "JUMP":
            assert isinstance(instr.arg, int)
        # depth is consistent on every path, or stack_shape raises; and it exceeds CPython's own maximum only by
        # the value that JUMP_IF_*_OR_POP and RETURN_CONST do not push
        depth = stack_depth(view, index)
        assert depth is None or depth <= code.co_stacksize + 1
        handler = view.handlers[index]
        if handler is not None and depth is not None:
            assert handler.depth <= depth, (code, instr)
        assert live_locals(view, index) <= set(view.slot_names)
    for loop in loops(view):
        assert loop.header in loop.body and not set(loop.exits) & loop.body
    # every real instruction is shown once, or is one that is never shown
    shown = [position for start, end in view.spans for position in range(start, end)]
    assert len(shown) == len(set(shown))
    hidden = {view.micros[i].opname for i in set(range(len(view.micros))) - set(shown)}
    assert hidden <= {"NOP", "RESUME", "COPY_FREE_VARS", "MAKE_CELL", "END_FOR", "POP_TOP"}, hidden


def check_against_dis(view: CodeView) -> None:
    """The raw instructions, their arguments and jump targets are those that `dis` reads."""
    shown = [i for i in dis.get_instructions(view.code) if i.opname not in ("EXTENDED_ARG", "CACHE")]
    assert [raw.opname for raw in view.raws] == [i.opname for i in shown]
    starts = {raw.start * 2: index for index, raw in enumerate(view.raws)}
    jumps = {*dis.hasjrel, *dis.hasjabs}
    for raw, instr in zip(view.raws, shown):
        assert raw.at * 2 == instr.offset
        if instr.opcode in jumps:
            assert raw.target == starts[instr.argval]
        elif instr.arg is not None:
            assert raw.arg == instr.arg
    for raw, micro in zip(view.raws, _first_micros(view)):
        if micro.op in ("LOAD_FAST", "LOAD_DEREF", "STORE_FAST", "LOAD_ATTR", "LOAD_CONST"):
            one = next(i for i in shown if i.offset == raw.at * 2)
            if isinstance(one.argval, str) and micro.opname == one.opname:
                assert micro.arg == one.argval


def _first_micros(view: CodeView) -> list[Any]:
    first: dict[int, Any] = {}
    for micro in view.micros:
        first.setdefault(micro.raw, micro)
    return [first[index] for index in range(len(view.raws))]


def check_reassembly(view: CodeView) -> None:
    """Taken apart and laid out again, the code, its positions and its exception table are what they were."""
    code = view.code
    out = Assembly()
    labels = [Label() for _ in range(len(view.raws) + 1)]
    for index, raw in enumerate(view.raws):
        out.mark(labels[index])
        out.position = raw.position
        out.emit(raw.opname, raw.arg, None if raw.target is None else labels[raw.target])
        out.units[-1].extended = raw.at - raw.start  # the compiler leaves some prefixes it does not need
    out.mark(labels[-1])
    for start, end, target, depth, push_lasti in view.protected:
        out.protected.append((labels[start], labels[end], labels[target], depth, push_lasti))
    again = assemble(
        out,
        code,
        argcount=code.co_argcount,
        flags=code.co_flags,
        stacksize=code.co_stacksize,
        consts=code.co_consts,
        varnames=code.co_varnames,
        freevars=code.co_freevars,
    )
    assert again.co_code == code.co_code, code
    assert _visible(again) == _visible(code), code
    assert bytecode_raw.read_exception_table(again) == bytecode_raw.read_exception_table(code), code
    assert (again.co_names, again.co_varnames, again.co_cellvars) == (code.co_names, code.co_varnames, code.co_cellvars)


def _visible(code: types.CodeType) -> list[Any]:
    """Positions as tracebacks use them: without columns, the end line says nothing."""
    return [(line, end, col, end_col) if col is not None else line for line, end, col, end_col in code.co_positions()]


def check_all(code: types.CodeType) -> int:
    view = instructions._decode(code)
    check_view(view)
    check_against_dis(view)
    check_reassembly(view)
    return len(view)


def test_library_sample() -> None:
    root = pathlib.Path(sysconfig.get_path("stdlib"))
    chosen = [root / name for name in SAMPLE]
    assert all(path.exists() for path in chosen)
    count = sum(check_all(code) for path in chosen for code in code_objects(path))
    assert count > 20_000


@pytest.mark.slow
def test_whole_library() -> None:
    count = 0
    for path in library():
        for code in code_objects(path):
            count += check_all(code)
    assert count > 1_000_000
