"""Control flow of a decoded code object: successors, stack shapes, loops, live variables.

All of it is static, over `CodeView` alone, and computed once per view.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from ...errors import InternalError
from .view import CodeView, ExceptHandler, Instr, Slot

TERMINAL = frozenset(("RETURN_VALUE", "RAISE_VARARGS", "RERAISE", "JUMP"))
CONDITIONAL = frozenset(
    "POP_JUMP_IF_TRUE POP_JUMP_IF_FALSE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE FOR_ITER SEND".split()
)


def successors(view: CodeView, index: int) -> tuple[int, ...]:
    """Indices where control may go after instruction `index`, exceptions left out."""
    instr = view.instructions[index]
    if instr.op == "JUMP":
        return (instr.arg,)
    if instr.op in TERMINAL:
        return ()
    if instr.op in CONDITIONAL:
        return (index + 1, instr.arg)
    return (index + 1,)


# ---------------------------------------------------------------- stack

#: op -> (slots popped, slots pushed), for ops where both are fixed
_FIXED: dict[str, tuple[int, int]] = {}
for _effect, _ops in {
    (0, 0): "JUMP DELETE_FAST DELETE_GLOBAL DELETE_NAME DELETE_DEREF MAKE_CELL SETUP_ANNOTATIONS",
    (0, 1): """LOAD_CONST LOAD_FAST LOAD_GLOBAL LOAD_NAME LOAD_DEREF LOAD_CLOSURE LOAD_BUILD_CLASS LOAD_LOCALS
        LOAD_ASSERTION_ERROR LOAD_CLASSDEREF IMPORT_FROM GET_LEN MATCH_MAPPING MATCH_SEQUENCE MATCH_KEYS
        WITH_EXCEPT_START GET_ANEXT RETURN_GENERATOR""",
    (1, 0): """POP_TOP STORE_FAST STORE_GLOBAL STORE_NAME STORE_DEREF DELETE_ATTR POP_JUMP_IF_TRUE POP_JUMP_IF_FALSE
        POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE RETURN_VALUE POP_EXCEPT RERAISE IMPORT_STAR PRINT_EXPR LIST_APPEND
        SET_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE""",
    (1, 1): """LOAD_ATTR LOAD_FROM_DICT_OR_GLOBALS LOAD_FROM_DICT_OR_DEREF UNARY_POSITIVE UNARY_NEGATIVE UNARY_INVERT
        UNARY_NOT TO_BOOL CALL_INTRINSIC_1 CONVERT_VALUE FORMAT_SIMPLE GET_ITER GET_AITER GET_AWAITABLE
        GET_YIELD_FROM_ITER YIELD_VALUE CHECK_EXC_MATCH""",
    (1, 2): "BEFORE_WITH BEFORE_ASYNC_WITH FOR_ITER",
    (2, 0): "STORE_ATTR DELETE_SUBSCR MAP_ADD END_ASYNC_FOR",
    (2, 1): """BINARY_SUBSCR BINARY_OP COMPARE_OP IS_OP CONTAINS_OP CALL_INTRINSIC_2 FORMAT_WITH_SPEC IMPORT_NAME
        END_SEND""",
    (2, 2): "SEND CHECK_EG_MATCH",
    (3, 0): "STORE_SUBSCR",
    (3, 1): "LOAD_SUPER_ATTR MATCH_CLASS",
    (3, 2): "CLEANUP_THROW",
}.items():
    _FIXED |= dict.fromkeys(_ops.split(), _effect)

#: op -> (slots popped, slots pushed) from the argument
_BY_ARG: dict[str, Any] = {
    "CALL": lambda arg: (arg.count + 2, 1),
    "CALL_FUNCTION_EX": lambda arg: (3 + arg, 1),
    "MAKE_FUNCTION": lambda arg: (1 + len(arg), 1),
    "BUILD_MAP": lambda arg: (2 * arg, 1),
    "BUILD_CONST_KEY_MAP": lambda arg: (arg + 1, 1),
    "UNPACK_SEQUENCE": lambda arg: (1, arg),
    "UNPACK_EX": lambda arg: (1, sum(arg) + 1),
    "RAISE_VARARGS": lambda arg: (arg, 0),
    **dict.fromkeys(("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_STRING", "BUILD_SLICE"), lambda arg: (arg, 1)),
}


def stack_effect(instr: Instr, jump: bool = False) -> tuple[int, int]:
    """(slots popped, slots pushed) when control goes on, or to the jump target if `jump`."""
    if instr.op == "FOR_ITER" and jump:
        return 1, 0
    if instr.op == "SEND" and jump:
        return 2, 1
    if instr.op in _FIXED:
        return _FIXED[instr.op]
    if instr.op in _BY_ARG:
        return _BY_ARG[instr.op](instr.arg)
    special = {
        "PUSH_NULL": (0, 1), "LOAD_FAST_AND_CLEAR": (0, 1), "COPY": (0, 1), "SWAP": (0, 0), "PUSH_EXC_INFO": (1, 2),
    }  # fmt: skip
    if instr.op in special:
        return special[instr.op]
    raise InternalError(f"no stack effect known for {instr.op} (Python's {instr.opname})")


@dataclass(frozen=True, slots=True)
class StackItem:
    """One slot of a static stack: its kind; for NULL the instructions that may have pushed it; for what
    LOAD_FAST_AND_CLEAR pushed the variable that it saves."""

    kind: Slot
    pushed_by: frozenset[int] = frozenset()
    saves: str | None = None


_VALUE = StackItem(Slot.VALUE)
_Shape = tuple[StackItem, ...]


def stack_shape(view: CodeView, index: int) -> tuple[StackItem, ...] | None:
    """The stack before instruction `index`, bottom first; None if control never arrives there."""
    return _shapes(view)[index]


def stack_depth(view: CodeView, index: int) -> int | None:
    """Slots on the stack before instruction `index`; None if control never arrives there."""
    shape = _shapes(view)[index]
    return None if shape is None else len(shape)


def in_handler(view: CodeView, index: int) -> bool:
    """True when an exception is being handled at `index`: its stack holds what no code object can restore."""
    return any(item.kind in (Slot.EXC_INFO, Slot.LASTI) for item in _shapes(view)[index] or ())


@functools.lru_cache(maxsize=1024)
def _shapes(view: CodeView) -> list[_Shape | None]:
    shapes: list[_Shape | None] = [None] * len(view)
    todo: list[tuple[int, _Shape]] = [(0, ())]
    while todo:
        index, shape = todo.pop()
        known = shapes[index]
        merged = shape if known is None else _merge(view, index, known, shape)
        if merged == known:
            continue
        shapes[index] = merged
        instr = view.instructions[index]
        if instr.op.startswith("UNKNOWN:"):
            continue
        handler = view.handlers[index]
        if handler is not None:
            todo.append((handler.target, _handler_shape(handler, merged)))
        for target in successors(view, index):
            jump = instr.op in CONDITIONAL and target == instr.arg
            todo.append((target, _after(instr, merged, jump)))
            if jump and target == index + 1:  # a jump to the next instruction: both ways
                todo.append((target, _after(instr, merged, False)))
    return shapes


def _handler_shape(handler: ExceptHandler, shape: _Shape) -> _Shape:
    lasti = (StackItem(Slot.LASTI),) if handler.push_lasti else ()
    return (*shape[: handler.depth], *lasti, _VALUE)


def _after(instr: Instr, shape: _Shape, jump: bool) -> _Shape:
    op, arg = instr.op, instr.arg
    if op == "PUSH_NULL":
        return (*shape, StackItem(Slot.NULL, frozenset((instr.index,))))
    if op == "LOAD_FAST_AND_CLEAR":
        return (*shape, StackItem(Slot.MAYBE_NULL, saves=arg))
    if op == "COPY":
        return (*shape, shape[-arg])
    if op == "SWAP":
        items = list(shape)
        items[-1], items[-arg] = items[-arg], items[-1]
        return tuple(items)
    if op == "PUSH_EXC_INFO":
        return (*shape[:-1], StackItem(Slot.EXC_INFO), shape[-1])
    popped, pushed = stack_effect(instr, jump)
    if popped > len(shape):
        raise InternalError(f"stack underflow at {instr}")
    return shape[: len(shape) - popped] + (_VALUE,) * pushed


def _merge(view: CodeView, index: int, one: _Shape, other: _Shape) -> _Shape:
    if len(one) != len(other):
        raise InternalError(
            f"{view.code.co_qualname}: instruction {index} is reached with {len(one)} and with {len(other)} stack slots"
        )
    if one == other:
        return one
    return tuple(_merge_item(a, b) for a, b in zip(one, other))


def _merge_item(a: StackItem, b: StackItem) -> StackItem:
    kind = a.kind if a.kind is b.kind else Slot.MAYBE_NULL
    if Slot.EXC_INFO in (a.kind, b.kind):
        kind = Slot.EXC_INFO
    elif Slot.LASTI in (a.kind, b.kind):
        kind = Slot.LASTI
    return StackItem(kind, a.pushed_by | b.pushed_by, a.saves or b.saves)


# ---------------------------------------------------------------- loops


@dataclass(frozen=True)
class Loop:
    """A loop: where it is entered, the instructions that can run again, where control goes when it is left.

    exits: all indices outside `body` that control reaches from inside without an exception (loop end, break,
           return); places inside an exception handler are left out, since nothing can leave or enter there
    exit:  where control goes when the iteration ends by itself: FOR_ITER's target; else the first of `exits`;
           None for a loop that is only left by return or exception
    """

    header: int
    body: frozenset[int]
    exits: tuple[int, ...]
    exit: int | None


def loops(view: CodeView) -> tuple[Loop, ...]:
    """All loops of the code, an outer one before those inside it."""
    return _loops(view)


def loop_of(view: CodeView, index: int) -> tuple[Loop, Loop] | None:
    """(outermost, innermost) loop that contains instruction `index`; None outside of loops."""
    around = [loop for loop in _loops(view) if index in loop.body]
    return (around[0], around[-1]) if around else None


@functools.lru_cache(maxsize=1024)
def _loops(view: CodeView) -> tuple[Loop, ...]:
    edges: dict[int, list[int]] = {}
    for index, shape in enumerate(_shapes(view)):
        if shape is not None:
            handler = view.handlers[index]
            edges[index] = [*successors(view, index), *([handler.target] if handler else [])]
    found: list[Loop] = []
    _nest(view, edges, frozenset(edges), frozenset((0,)), found)
    return tuple(found)


def _nest(
    view: CodeView, edges: dict[int, list[int]], nodes: frozenset[int], entries: frozenset[int], found: list[Loop]
) -> None:
    """Loops are the strongly connected parts; without the edges back to its header, a loop shows those inside it.

    (The loop nesting forest of Steensgaard, "Sequentializing program dependence graphs", 1993.)
    """
    for part in _connected(edges, nodes):
        inside = frozenset(part)
        if len(part) == 1 and part[0] not in edges[part[0]]:
            continue
        entered = {t for i in nodes - inside for t in edges[i] if t in inside} | (entries & inside)
        # code from CPython's compiler enters a loop at one place; `min` decides should there ever be more
        header = min(entered or inside)
        body_edges = {i: [t for t in edges[i] if t != header] for i in inside}
        left = {t for i in inside for t in successors(view, i) if t not in inside}
        exits = sorted(t for t in left if not in_handler(view, t))
        instr = view.instructions[header]
        ends = instr.arg if instr.op == "FOR_ITER" else exits[0] if exits else None
        found.append(Loop(header, inside, tuple(exits), ends))
        _nest(view, body_edges, inside, frozenset((header,)), found)


def _connected(edges: dict[int, list[int]], nodes: frozenset[int]) -> list[list[int]]:
    """Strongly connected components, in order of their first instruction (Tarjan, iterative)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    parts: list[list[int]] = []
    for root in sorted(nodes):
        if root in order:
            continue
        work = [(root, iter(edges[root]))]
        order[root] = low[root] = len(order)
        stack.append(root)
        on_stack.add(root)
        while work:
            node, targets = work[-1]
            for target in targets:
                if target not in nodes:
                    continue
                if target not in order:
                    order[target] = low[target] = len(order)
                    stack.append(target)
                    on_stack.add(target)
                    work.append((target, iter(edges[target])))
                    break
                if target in on_stack:
                    low[node] = min(low[node], order[target])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[node])
                if low[node] == order[node]:
                    cut = stack.index(node)
                    parts.append(stack[cut:])
                    on_stack.difference_update(stack[cut:])
                    del stack[cut:]
    return sorted(parts, key=min)


# ---------------------------------------------------------------- live variables

_READS = frozenset(
    """LOAD_FAST LOAD_CLOSURE LOAD_FAST_AND_CLEAR DELETE_FAST MAKE_CELL LOAD_DEREF STORE_DEREF DELETE_DEREF
    LOAD_CLASSDEREF LOAD_FROM_DICT_OR_DEREF""".split()
)
_WRITES = frozenset(("STORE_FAST", "DELETE_FAST", "LOAD_FAST_AND_CLEAR"))
#: names whose use may look at every variable of the frame
_FRAME_READERS = frozenset("locals vars dir eval exec _getframe currentframe f_locals f_back".split())


def live_locals(view: CodeView, index: int) -> frozenset[str]:
    """Variables (locals, cells, free variables) that may be read at or after `index` before being written.

    A cell counts as read by any use of it, since inner functions may share it. Code that can look at its own frame
    (`locals()`, `eval`, ...) reads every variable; code that mentions `super` reads its first parameter.
    """
    return _live(view)[index]


@functools.lru_cache(maxsize=256)
def _live(view: CodeView) -> list[frozenset[str]]:
    names = view.slot_names
    mentioned = set(view.code.co_names)
    if mentioned & _FRAME_READERS:
        return [frozenset(names)] * len(view)
    always = frozenset(view.local_names[:1]) if "super" in mentioned and view.argcount else frozenset()
    bit = {name: 1 << i for i, name in enumerate(names)}
    base = sum(bit[name] for name in always)
    reads, keeps = [], []
    for instr in view.instructions:
        reads.append(bit[instr.arg] if instr.op in _READS else 0)
        keeps.append(~bit[instr.arg] if instr.op in _WRITES else -1)
    live = [base] * len(view)
    changed = True
    while changed:
        changed = False
        for i in range(len(view) - 1, -1, -1):
            after = 0
            for target in successors(view, i):
                after |= live[target]
            handler = view.handlers[i]
            caught = live[handler.target] if handler else 0
            now = base | reads[i] | (after & keeps[i]) | caught
            if now != live[i]:
                live[i] = now
                changed = True
    return [frozenset(name for name in names if bits & bit[name]) for bits in live]
