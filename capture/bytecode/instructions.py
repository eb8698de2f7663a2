"""One instruction set for CPython 3.11, 3.12 and 3.13: `decode(code)` gives a `CodeView`; nobody above sees a version.

The normalised stack *is* the machine's stack: same depth, same order, same NULLs at every instruction. So a stack
modelled by an evaluator can be handed to `continuation.build_continuation` as it stands, no reordering.
Where versions order things differently (NULL below or above the callable) the instructions say so by their own
order (PUSH_NULL, SWAP), and the rule of CALL holds for all.

Calls. CALL finds `a, b, arg1 .. argn` (n = arg.count, the last len(arg.names) of them keywords):
    if a is NULL: call b(args);   if b is NULL: call a(args);   else call a(b, args).      (`callee` does it)
CALL_FUNCTION_EX finds `a, b, positional[, keywords]`, the same rule. Method calls appear as
LOAD_ATTR, PUSH_NULL[, SWAP 2]: the bound method is the callable.

Variables. A frame has one slot per name in `view.slot_names`. A slot of `cell_names` or `free_names` holds a cell from
the start: the leading MAKE_CELL and COPY_FREE_VARS are not shown; a parameter that is a cell variable starts
as a new cell holding the argument, other cell variables as empty cells. From 3.12 an inlined comprehension may
borrow such a slot: it saves the cell with LOAD_FAST_AND_CLEAR, uses the slot with STORE_FAST / LOAD_CLOSURE /
MAKE_CELL, and puts the cell back with STORE_FAST. LOAD_CLOSURE therefore always means "push what the slot holds".

Not shown: NOP, RESUME, CACHE, EXTENDED_ARG, END_FOR. Jump arguments are indices into `view.instructions`.
An opcode without a rule appears as "UNKNOWN:<name>".

The table (stack grows to the right; `..` is what lies below and stays):
    LOAD_CONST value | LOAD_FAST name | LOAD_GLOBAL name | LOAD_NAME name | LOAD_DEREF name          ..      -> .. x
    LOAD_CLOSURE name                    what the slot holds, usually the cell                       ..      -> .. cell
    LOAD_FAST_AND_CLEAR name             the slot's content (NULL if unbound), then unbinds it       ..      -> .. x
    LOAD_BUILD_CLASS | LOAD_ASSERTION_ERROR | LOAD_LOCALS                                            ..      -> .. x
    LOAD_FROM_DICT_OR_GLOBALS name | LOAD_FROM_DICT_OR_DEREF name     (class bodies only)            .. d    -> .. x
    LOAD_CLASSDEREF name                                              (class bodies only)            ..      -> .. x
    STORE_FAST name (NULL unbinds) | STORE_GLOBAL | STORE_NAME | STORE_DEREF                         .. x    -> ..
    DELETE_FAST | DELETE_GLOBAL | DELETE_NAME | DELETE_DEREF name | MAKE_CELL name | SETUP_ANNOTATIONS  ..   -> ..
    LOAD_ATTR name                                                                                   .. o    -> .. o.name
    LOAD_SUPER_ATTR (name, 0 or 2)       super() or super(cls, self) was written                     .. super cls self -> .. x
    STORE_ATTR name                      o.name = x                                                  .. x o  -> ..
    DELETE_ATTR name                                                                                 .. o    -> ..
    BINARY_SUBSCR                                                                                    .. o k  -> .. o[k]
    STORE_SUBSCR                         o[k] = x                                                    .. x o k -> ..
    DELETE_SUBSCR                                                                                    .. o k  -> ..
    UNARY_POSITIVE | UNARY_NEGATIVE | UNARY_INVERT | UNARY_NOT | TO_BOOL                             .. x    -> .. y
    BINARY_OP symbol                     '+', '+=', '@', '//=' ...                                   .. x y  -> .. z
    COMPARE_OP symbol | IS_OP 'is'/'is not' | CONTAINS_OP 'in'/'not in'                              .. x y  -> .. z
    COPY n                               push the n-th from the top (1 is the top)                   .. x .. -> .. x .. x
    SWAP n                               exchange the top with the n-th from the top
    POP_TOP                                                                                          .. x    -> ..
    PUSH_NULL                                                                                        ..      -> .. NULL
    CALL CallArgs(count, names) | CALL_FUNCTION_EX has_keywords        see above                     .. a b args -> .. x
    CALL_INTRINSIC_1 name                LIST_TO_TUPLE, STOPITERATION_ERROR, ASYNC_GEN_WRAP, TYPEVAR ...  .. x -> .. y
    CALL_INTRINSIC_2 name                PREP_RERAISE_STAR, TYPEVAR_WITH_BOUND ...                   .. x y  -> .. z
    MAKE_FUNCTION attributes             attributes: those of ('defaults', 'kwdefaults', 'annotations', 'closure')
                                         that lie below the code object, in this order               .. a.. code -> .. f
    BUILD_TUPLE n | BUILD_LIST n | BUILD_SET n | BUILD_STRING n | BUILD_SLICE 2 or 3                 .. x1..xn -> .. c
    BUILD_MAP n                                                                                      .. k1 v1 .. kn vn -> .. d
    BUILD_CONST_KEY_MAP n                                                                            .. v1..vn keys -> .. d
    LIST_APPEND n | SET_ADD n            the container is the n-th once x is popped                  .. x    -> ..
    MAP_ADD n                            likewise, once both are popped                              .. k v  -> ..
    LIST_EXTEND n | SET_UPDATE n | DICT_UPDATE n | DICT_MERGE n  likewise (MERGE: duplicates raise)  .. x    -> ..
    UNPACK_SEQUENCE n                    leftmost on top                                             .. s    -> .. xn..x1
    UNPACK_EX (before, after)            leftmost on top, the rest as one list                       .. s    -> .. after list before
    CONVERT_VALUE 's'/'r'/'a'            str, repr, ascii                                            .. x    -> .. s
    FORMAT_SIMPLE                        format(x, "")                                               .. x    -> .. s
    FORMAT_WITH_SPEC                                                                                 .. x spec -> .. s
    JUMP index
    POP_JUMP_IF_TRUE / FALSE index       by truth value, of any object                               .. x    -> ..
    POP_JUMP_IF_NONE / NOT_NONE index                                                                .. x    -> ..
    GET_ITER | GET_AITER | GET_AWAITABLE | GET_YIELD_FROM_ITER                                       .. x    -> .. it
    FOR_ITER index                       next item                                                   .. it   -> .. it x
                                         exhausted: goes to index                                    .. it   -> ..
    GET_LEN                                                                                          .. x    -> .. x len(x)
    MATCH_MAPPING | MATCH_SEQUENCE                                                                   .. x    -> .. x bool
    MATCH_KEYS                           tuple of values, or None                                    .. x keys -> .. x keys t
    MATCH_CLASS n                        tuple of attributes, or None                                .. x cls names -> .. t
    RETURN_VALUE                                                                                     .. x    ->
    IMPORT_NAME name                                                                                 .. level fromlist -> .. m
    IMPORT_FROM name                                                                                 .. m    -> .. m x
    IMPORT_STAR | PRINT_EXPR             (3.11, never in functions)                                  .. x    -> ..
    RAISE_VARARGS 0, 1, 2                raise; raise x; raise x from y
    BEFORE_WITH                          pushes the bound __exit__, then the result of __enter__()   .. m    -> .. exit x
    WITH_EXCEPT_START                    calls exit(type, exc, tb)                       .. exit lasti prev exc -> same, result
    PUSH_EXC_INFO                        exc becomes the handled exception                           .. exc  -> .. prev exc
    POP_EXCEPT                           prev becomes the handled exception                          .. prev -> ..
    CHECK_EXC_MATCH                                                                                  .. exc type -> .. exc bool
    CHECK_EG_MATCH                                                                                   .. exc type -> .. rest match
    RERAISE n                            n = 1: a LASTI lies below                                   .. exc  ->
    RETURN_GENERATOR                     the call returns the generator; the first send pushes None  ..      -> .. None
    YIELD_VALUE                          pushes what is sent                                         .. x    -> .. sent
    SEND index                           sends v to it: it yields                                    .. it v -> .. it x
                                         it returns: goes to index                                   .. it v -> .. x
    END_SEND                                                                                         .. it x -> .. x
    CLEANUP_THROW                                                                            .. it sent exc -> .. None x
    BEFORE_ASYNC_WITH | GET_ANEXT | END_ASYNC_FOR     as in CPython's `dis`

An exception handler (`view.handlers[index]`) starts with the stack cut to `depth`, then LASTI if `push_lasti`,
then the exception.
"""

from __future__ import annotations

import inspect
import types
from collections import OrderedDict
from typing import Any, TypeVar

from .flow import Loop, in_handler, live_locals, loop_of, loops, stack_depth, stack_shape, successors
from .raw import (
    FOR_ITER_SKIP,
    KWNAMES_ON_STACK,
    SEND_SKIP,
    SUPPORTED,
    Expander,
    check_python,
    read,
    read_exception_table,
)
from .view import CallArgs, CodeView, ExceptHandler, Instr, Micro, Raw, Slot

__all__ = [
    "SUPPORTED",
    "CallArgs",
    "CodeView",
    "ExceptHandler",
    "Instr",
    "Loop",
    "Slot",
    "callee",
    "check_python",
    "decode",
    "in_handler",
    "live_locals",
    "loop_of",
    "loops",
    "stack_depth",
    "stack_shape",
    "successors",
]

T = TypeVar("T")

_CACHE_LIMIT = 4096
_cache: OrderedDict[int, CodeView] = OrderedDict()


def decode(code: types.CodeType) -> CodeView:
    """The normalised view of `code`; decoded once per code object (the last few thousand are kept).

    Raises errors.UnsupportedPython when the running Python's bytecode is not known.
    """
    view = _cache.get(id(code))
    # the view keeps its code alive, so an id that is found can only be that code's
    if view is None:
        check_python()
        view = _decode(code)
        _cache[id(code)] = view
        if len(_cache) > _CACHE_LIMIT:
            _cache.popitem(last=False)
    return view


def callee(first: T, second: T, null: Any) -> tuple[T, tuple[T, ...]]:
    """What CALL calls, given the two slots below its arguments: (callable, leading arguments: none, or self)."""
    if first is null:
        return second, ()
    if second is null:
        return first, ()
    return first, (second,)


def _decode(code: types.CodeType) -> CodeView:
    raws = read(code)
    expander = Expander(code)
    micros = [micro for index, raw in enumerate(raws) for micro in expander.expand(raw, index)]
    raw_at = {raw.start: index for index, raw in enumerate(raws)}
    raw_at[len(code.co_code) // 2] = len(raws)
    protected = tuple(
        # an entry may start at an instruction itself, behind its EXTENDED_ARG
        (_raw_index(raws, start), _raw_index(raws, end), raw_at[target], depth, push_lasti)
        for start, end, target, depth, push_lasti in read_exception_table(code)
    )
    joins = {_landing(raw)[0] for raw in raws if raw.target is not None} | {entry[2] for entry in protected}
    groups = _group(raws, micros, joins)
    index_of_raw = _index_by_raw(groups, micros, len(raws))
    handler_of_raw: list[ExceptHandler | None] = [None] * len(raws)
    for start, end, target, depth, push_lasti in protected:
        handler_of_raw[start:end] = [ExceptHandler(index_of_raw[target], depth, push_lasti)] * (end - start)

    instructions = []
    for index, (op, arg, start, end) in enumerate(groups):
        main = raws[micros[end - 1].raw]
        if main.target is not None and micros[end - 1].op in _JUMPS:
            arg = index_of_raw[_landing(main)[1]]
        line, end_line, col, end_col = main.position
        first = raws[micros[start].raw]
        instructions.append(Instr(op, arg, index, 2 * first.start, line, end_line, col, end_col, main.opname))
    flags = code.co_flags
    return CodeView(
        code=code,
        instructions=tuple(instructions),
        handlers=tuple(handler_of_raw[micros[start].raw] for _, _, start, _ in groups),
        local_names=code.co_varnames,
        cell_names=code.co_cellvars,
        free_names=code.co_freevars,
        argcount=code.co_argcount,
        posonlyargcount=code.co_posonlyargcount,
        kwonlyargcount=code.co_kwonlyargcount,
        has_varargs=bool(flags & inspect.CO_VARARGS),
        has_varkw=bool(flags & inspect.CO_VARKEYWORDS),
        is_generator=bool(flags & inspect.CO_GENERATOR),
        is_coroutine=bool(flags & (inspect.CO_COROUTINE | inspect.CO_ITERABLE_COROUTINE)),
        is_async_generator=bool(flags & inspect.CO_ASYNC_GENERATOR),
        raws=tuple(raws),
        micros=tuple(micros),
        spans=tuple((start, end) for _, _, start, end in groups),
        protected=protected,
    )


_JUMPS = frozenset(
    "JUMP POP_JUMP_IF_TRUE POP_JUMP_IF_FALSE POP_JUMP_IF_NONE POP_JUMP_IF_NOT_NONE FOR_ITER SEND".split()
)


def _raw_index(raws: list[Raw], unit: int) -> int:
    """Index of the first raw instruction whose own offset is at or behind `unit`."""
    low, high = 0, len(raws)
    while low < high:
        middle = (low + high) // 2
        if raws[middle].at < unit:
            low = middle + 1
        else:
            high = middle
    return low


def _landing(raw: Raw) -> tuple[int, int]:
    """(raw index written in a jump, raw index where control really arrives)."""
    assert raw.target is not None
    skip = {"FOR_ITER": FOR_ITER_SKIP, "SEND": SEND_SKIP}.get(raw.opname, 0)
    return raw.target, raw.target + skip


_Group = tuple[str, Any, int, int]


def _group(raws: list[Raw], micros: list[Micro], joins: set[int]) -> list[_Group]:
    """Fold micros into normalised instructions (op, arg, first micro, one past last micro).

    Nothing is folded across a raw instruction in `joins`, where control may arrive from elsewhere.
    """
    groups: list[_Group] = []
    hidden = _hidden(raws, micros)
    open_at: int | None = None  # first micro of a group that has begun but has no op of its own yet
    kwnames: tuple[str, ...] = ()
    for position, micro in enumerate(micros):
        op, arg = micro.op, micro.arg
        if not op or position in hidden:
            continue
        joined = micro.raw in joins and (position == 0 or micros[position - 1].raw != micro.raw)
        previous = groups[-1] if groups and not joined else None
        if op == "KW_NAMES":
            open_at, kwnames = position, arg
            continue
        if op == "PRECALL":
            open_at = position if open_at is None else open_at
            continue
        start = position if open_at is None else open_at
        open_at = None
        if op == "CALL":
            arg, kwnames = CallArgs(arg.count, kwnames), ()
        elif op == "CALL_KW":
            if KWNAMES_ON_STACK and previous and previous[0] == "LOAD_CONST":
                _, names, start, _ = groups.pop()
                op, arg = "CALL", CallArgs(arg, names)
            else:
                op = "UNKNOWN:CALL_KW"
        elif op == "SET_FUNCTION_ATTRIBUTE":
            if previous and previous[0] == "MAKE_FUNCTION":
                _, attributes, start, _ = groups.pop()
                op, arg = "MAKE_FUNCTION", (arg, *attributes)
            else:
                op = "UNKNOWN:SET_FUNCTION_ATTRIBUTE"
        elif op in ("POP_JUMP_IF_TRUE", "POP_JUMP_IF_FALSE", "UNARY_NOT"):
            # these test any object; the real ones of 3.13 want a bool, made just before
            if previous and previous[0] == "TO_BOOL":
                _, _, start, _ = groups.pop()
        groups.append((op, arg, start, position + 1))
    return groups


def _hidden(raws: list[Raw], micros: list[Micro]) -> set[int]:
    """Micros that no normalised instruction shows although they have an op."""
    hidden = set()
    for position, micro in enumerate(micros):  # the leading MAKE_CELLs
        if micro.op == "MAKE_CELL":
            hidden.add(position)
        elif micro.op:
            break
    if FOR_ITER_SKIP == 2:  # the POP_TOP behind END_FOR
        ends = {raw.target for raw in raws if raw.opname == "FOR_ITER"}
        hidden |= {position for position, micro in enumerate(micros) if micro.raw - 1 in ends}
    return hidden


def _index_by_raw(groups: list[_Group], micros: list[Micro], count: int) -> list[int]:
    """For each raw instruction, and one past the last: the index of the first normalised one at or behind it."""
    index_of_raw = [len(groups)] * (count + 1)
    for index, (_, _, start, end) in enumerate(groups):
        for micro in micros[start:end]:
            index_of_raw[micro.raw] = min(index_of_raw[micro.raw], index)
    for raw in range(count - 1, -1, -1):
        index_of_raw[raw] = min(index_of_raw[raw], index_of_raw[raw + 1])
    return index_of_raw
