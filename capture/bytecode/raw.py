"""The only module that knows CPython's version: reads `co_code` and says what each real instruction means.

`read(code)` lists the raw instructions; `expand(...)` gives the micros of one of them. To support a further
Python, add its opcodes to the tables below; the import-time check names the ones that are missing.
"""

from __future__ import annotations

import dis
import opcode
import sys
import types
from collections.abc import Callable

from ...errors import InternalError, UnsupportedPython
from .view import CallArgs, Micro, Raw

VERSION = sys.version_info[:2]
SUPPORTED = ((3, 11), (3, 12), (3, 13))
_PY312 = VERSION >= (3, 12)
_PY313 = VERSION >= (3, 13)

#: FOR_ITER lands this many raw instructions beyond its target: END_FOR, and from 3.13 the POP_TOP after it
FOR_ITER_SKIP = 2 if _PY313 else 1 if _PY312 else 0
#: SEND lands on END_SEND, which stays (CLEANUP_THROW jumps there too); normalised SEND goes past it
SEND_SKIP = 1 if _PY312 else 0
#: NULL lies above the callable from 3.13, below it before
NULL_ABOVE = _PY313
#: True when CALL comes as PRECALL + CALL
HAS_PRECALL = not _PY312
#: True when keyword names of a call are a constant pushed on the stack (CALL_KW), not KW_NAMES
KWNAMES_ON_STACK = _PY313

#: opcodes whose argument is a variable slot, and those that pack two slots of four bits each
SLOT_OPS = frozenset(opcode.opname[op] for op in {*opcode.haslocal, *opcode.hasfree}) - {"COPY_FREE_VARS"}
TWO_SLOT_OPS = {
    "LOAD_FAST_LOAD_FAST": ("LOAD_FAST", "LOAD_FAST"),
    "STORE_FAST_LOAD_FAST": ("STORE_FAST", "LOAD_FAST"),
    "STORE_FAST_STORE_FAST": ("STORE_FAST", "STORE_FAST"),
}
#: jumps forward where the value on the stack is false
JUMP_IF_FALSE = "POP_JUMP_IF_FALSE" if _PY312 else "POP_JUMP_FORWARD_IF_FALSE"
#: pushes a variable or raises UnboundLocalError; pushes what a slot holds, also a cell
CHECKED_LOAD = "LOAD_FAST_CHECK" if _PY312 else "LOAD_FAST"
LOAD_CELL = "LOAD_FAST" if _PY313 else "LOAD_CLOSURE"

JUMP_OPS = frozenset(opcode.opname[op] for op in {*opcode.hasjrel, *opcode.hasjabs})
_CONDITIONS = ("IF_TRUE", "IF_FALSE", "IF_NONE", "IF_NOT_NONE")


def check_python(version: tuple[int, int] = VERSION) -> None:
    """Raise `UnsupportedPython` unless `version` (major, minor) is one whose bytecode is known here."""
    if version not in SUPPORTED:
        known = ", ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
        raise UnsupportedPython(
            f"quern cannot read the bytecode of Python {version[0]}.{version[1]}; it knows Python {known}. "
            "Run one of these, or set quern.config.unsupported_python = 'eager' to run functions uncompiled."
        )


def cache_entries(opname: str) -> int:
    """Number of inline CACHE units that follow the instruction."""
    table = dis._inline_cache_entries  # type: ignore[attr-defined]
    return table.get(opname, 0) if isinstance(table, dict) else table[opcode.opmap[opname]]


def has_argument(opname: str) -> bool:
    """True when the instruction takes an argument."""
    number = opcode.opmap[opname]
    return number in dis.hasarg if _PY312 else number >= dis.HAVE_ARGUMENT  # type: ignore[attr-defined]


def read(code: types.CodeType) -> list[Raw]:
    """The raw instructions of `code`, without CACHE and EXTENDED_ARG. Jump targets are resolved to indices."""
    data = code.co_code
    positions = list(code.co_positions())
    found: list[tuple[str, int, int, int, int | None]] = []
    index_at: dict[int, int] = {}
    unit, arg, start = 0, 0, None
    while unit < len(data) // 2:
        opname = opcode.opname[data[2 * unit]]
        arg |= data[2 * unit + 1]
        start = unit if start is None else start
        if opname == "EXTENDED_ARG":
            arg <<= 8
            unit += 1
            continue
        following = unit + 1 + cache_entries(opname) if opname in opcode.opmap else unit + 1
        target = None
        if opname in JUMP_OPS:
            target = following - arg if "BACKWARD" in opname else following + arg
        index_at[start] = len(found)
        found.append((opname, arg, start, unit, target))
        unit, arg, start = following, 0, None
    return [
        Raw(opname, arg, start, at, None if target is None else index_at[target], positions[at])
        for opname, arg, start, at, target in found
    ]


def read_exception_table(code: types.CodeType) -> list[tuple[int, int, int, int, bool]]:
    """Entries (start, end, target, depth, push_lasti) of `co_exceptiontable`; offsets in units, end excluded."""
    data = iter(code.co_exceptiontable)

    def varint(first: int) -> int:
        value = first & 63
        while first & 64:
            first = next(data)
            value = value << 6 | first & 63
        return value

    entries = []
    for byte in data:
        start = varint(byte)
        length, target, depth_lasti = (varint(next(data)) for _ in range(3))
        entries.append((start, start + length, target, depth_lasti >> 1, bool(depth_lasti & 1)))
    return entries


class Expander:
    """Turns raw instructions of one code object into micros."""

    def __init__(self, code: types.CodeType) -> None:
        plain = set(code.co_varnames)
        extra_cells = tuple(c for c in code.co_cellvars if c not in plain)
        self.code = code
        self.slots = code.co_varnames + extra_cells + code.co_freevars
        self.cells = frozenset(code.co_cellvars + code.co_freevars)

    def expand(self, raw: Raw, index: int) -> list[Micro]:
        """The micros that stand for `raw`, the instruction at `index`: executed in order they do what it does."""
        rule = _RULES.get(raw.opname)
        if rule is None:
            return [Micro(raw.opname, raw.arg, f"UNKNOWN:{raw.opname}", raw.arg, index)]
        return [Micro(opname, oparg, op, value, index) for opname, oparg, op, value in rule(self, raw)]


# One rule per opcode: (expander, raw) -> [(real name, real argument, normalised op, resolved argument)].
_Row = tuple[str, int, str, object]
_Rule = Callable[[Expander, Raw], list[_Row]]
_RULES: dict[str, _Rule] = {}

_PUSH_NULL: _Row = ("PUSH_NULL", 0, "PUSH_NULL", None)
#: after a value was pushed: make it the callable of a call that has no self
_NULL_AFTER: list[_Row] = [_PUSH_NULL] if NULL_ABOVE else [_PUSH_NULL, ("SWAP", 2, "SWAP", 2)]


def _plain(op: str | None = None, arg: Callable[[Expander, int], object] = lambda e, n: None) -> _Rule:
    return lambda e, raw: [(raw.opname, raw.arg, op if op is not None else raw.opname, arg(e, raw.arg))]


def _number(e: Expander, n: int) -> int:
    return n


def _name(e: Expander, n: int) -> str:
    return e.code.co_names[n]


def _slot(e: Expander, n: int) -> str:
    return e.slots[n]


def _load_fast(e: Expander, n: int) -> _Row:
    # from 3.13 LOAD_CLOSURE is written as LOAD_FAST of the cell's slot
    name = e.slots[n]
    return ("LOAD_FAST", n, "LOAD_CLOSURE" if name in e.cells else "LOAD_FAST", name)


def _load_const(e: Expander, n: int) -> _Row:
    return ("LOAD_CONST", n, "LOAD_CONST", e.code.co_consts[n])


def _store_fast(e: Expander, n: int) -> _Row:
    return ("STORE_FAST", n, "STORE_FAST", e.slots[n])


def _load_global(e: Expander, raw: Raw) -> list[_Row]:
    load: _Row = ("LOAD_GLOBAL", raw.arg & ~1, "LOAD_GLOBAL", e.code.co_names[raw.arg >> 1])
    if not raw.arg & 1:
        return [load]
    return [load, _PUSH_NULL] if NULL_ABOVE else [_PUSH_NULL, load]


def _load_attr(e: Expander, raw: Raw) -> list[_Row]:
    if not _PY312:
        return [(raw.opname, raw.arg, "LOAD_ATTR", e.code.co_names[raw.arg])]
    load: _Row = ("LOAD_ATTR", raw.arg & ~1, "LOAD_ATTR", e.code.co_names[raw.arg >> 1])
    return [load, *_NULL_AFTER] if raw.arg & 1 else [load]


def _load_method(e: Expander, raw: Raw) -> list[_Row]:
    return [("LOAD_ATTR", raw.arg, "LOAD_ATTR", e.code.co_names[raw.arg]), *_NULL_AFTER]


def _load_super_attr(e: Expander, raw: Raw) -> list[_Row]:
    value = (e.code.co_names[raw.arg >> 2], 2 if raw.arg & 2 else 0)
    load: _Row = ("LOAD_SUPER_ATTR", raw.arg & ~1, "LOAD_SUPER_ATTR", value)
    return [load, *_NULL_AFTER] if raw.arg & 1 else [load]


def _compare(e: Expander, raw: Raw) -> list[_Row]:
    shift = 5 if _PY313 else 4 if _PY312 else 0
    symbol = dis.cmp_op[raw.arg >> shift]
    if _PY313 and raw.arg & 16:
        return [("COMPARE_OP", raw.arg & ~16, "COMPARE_OP", symbol), ("TO_BOOL", 0, "TO_BOOL", None)]
    return [("COMPARE_OP", raw.arg, "COMPARE_OP", symbol)]


def _jump_or_pop(condition: str) -> _Rule:
    def rule(e: Expander, raw: Raw) -> list[_Row]:
        return [
            ("COPY", 1, "COPY", 1),
            (f"POP_JUMP_FORWARD_{condition}", 0, f"POP_JUMP_{condition}", None),
            ("POP_TOP", 0, "POP_TOP", None),
        ]

    return rule


_CONVERSIONS = (None, "s", "r", "a")


def _format_value(e: Expander, raw: Raw) -> list[_Row]:
    conversion, has_spec = raw.arg & 3, raw.arg & 4
    convert: list[_Row] = []
    if conversion:
        convert = [("FORMAT_VALUE", conversion, "CONVERT_VALUE", _CONVERSIONS[conversion])]
    if not has_spec:
        return [*convert, ("FORMAT_VALUE", 0, "FORMAT_SIMPLE", None)]
    swap: list[_Row] = [("SWAP", 2, "SWAP", 2)] if conversion else []
    return [*swap, *convert, *swap, ("FORMAT_VALUE", 4, "FORMAT_WITH_SPEC", None)]


def _make_function(e: Expander, raw: Raw) -> list[_Row]:
    names = ("defaults", "kwdefaults", "annotations", "closure")
    flags = 0 if _PY313 else raw.arg
    given = tuple(name for bit, name in enumerate(names) if flags >> bit & 1)
    return [("MAKE_FUNCTION", raw.arg, "MAKE_FUNCTION", given)]


def _intrinsic_1(e: Expander, raw: Raw) -> list[_Row]:
    name = opcode._intrinsic_1_descs[raw.arg].removeprefix("INTRINSIC_")  # type: ignore[attr-defined]
    if name == "UNARY_POSITIVE":
        return [(raw.opname, raw.arg, name, None)]
    return [(raw.opname, raw.arg, "CALL_INTRINSIC_1", name)]


def _intrinsic_2(e: Expander, n: int) -> str:
    return opcode._intrinsic_2_descs[n].removeprefix("INTRINSIC_")  # type: ignore[attr-defined]


def _build_slice_then(op: str) -> _Rule:
    return lambda e, raw: [("BUILD_SLICE", 2, "BUILD_SLICE", 2), (op, 0, op, None)]


def _jump(op: str) -> _Rule:
    # the target is filled in by `instructions`, which knows the indices
    return lambda e, raw: [(raw.opname, 0, op, None)]


def _fill(rules: dict[str, _Rule]) -> None:
    for op in """
        POP_TOP PUSH_NULL UNARY_POSITIVE UNARY_NEGATIVE UNARY_NOT UNARY_INVERT BINARY_SUBSCR GET_LEN MATCH_MAPPING
        MATCH_SEQUENCE MATCH_KEYS PUSH_EXC_INFO CHECK_EXC_MATCH CHECK_EG_MATCH WITH_EXCEPT_START GET_AITER GET_ANEXT
        BEFORE_ASYNC_WITH BEFORE_WITH END_ASYNC_FOR STORE_SUBSCR DELETE_SUBSCR GET_ITER GET_YIELD_FROM_ITER
        PRINT_EXPR LOAD_BUILD_CLASS LOAD_ASSERTION_ERROR RETURN_GENERATOR RETURN_VALUE IMPORT_STAR
        SETUP_ANNOTATIONS POP_EXCEPT END_SEND CLEANUP_THROW LOAD_LOCALS TO_BOOL FORMAT_SIMPLE FORMAT_WITH_SPEC
        YIELD_VALUE GET_AWAITABLE""".split():
        rules[op] = _plain()
    for op in """
        UNPACK_SEQUENCE SWAP COPY BUILD_TUPLE BUILD_LIST BUILD_SET BUILD_MAP BUILD_CONST_KEY_MAP BUILD_STRING
        BUILD_SLICE RAISE_VARARGS RERAISE LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_MERGE
        DICT_UPDATE MATCH_CLASS""".split():
        rules[op] = _plain(arg=_number)
    for op in """
        STORE_NAME DELETE_NAME STORE_ATTR DELETE_ATTR STORE_GLOBAL DELETE_GLOBAL LOAD_NAME IMPORT_NAME IMPORT_FROM
        LOAD_FROM_DICT_OR_GLOBALS""".split():
        rules[op] = _plain(arg=_name)
    for op in """
        STORE_FAST DELETE_FAST LOAD_FAST_AND_CLEAR MAKE_CELL LOAD_CLOSURE LOAD_DEREF STORE_DEREF DELETE_DEREF
        LOAD_CLASSDEREF LOAD_FROM_DICT_OR_DEREF""".split():
        rules[op] = _plain(arg=_slot)
    for op in "NOP RESUME COPY_FREE_VARS END_FOR CACHE".split():
        rules[op] = _plain("")

    rules["LOAD_CONST"] = lambda e, raw: [_load_const(e, raw.arg)]
    rules["RETURN_CONST"] = lambda e, raw: [_load_const(e, raw.arg), ("RETURN_VALUE", 0, "RETURN_VALUE", None)]
    rules["LOAD_FAST"] = lambda e, raw: [_load_fast(e, raw.arg)]
    rules["LOAD_FAST_CHECK"] = _plain("LOAD_FAST", _slot)
    high, low = (lambda raw: raw.arg >> 4), (lambda raw: raw.arg & 15)
    rules["LOAD_FAST_LOAD_FAST"] = lambda e, raw: [_load_fast(e, high(raw)), _load_fast(e, low(raw))]
    rules["STORE_FAST_LOAD_FAST"] = lambda e, raw: [_store_fast(e, high(raw)), _load_fast(e, low(raw))]
    rules["STORE_FAST_STORE_FAST"] = lambda e, raw: [_store_fast(e, high(raw)), _store_fast(e, low(raw))]
    rules["LOAD_GLOBAL"] = _load_global
    rules["LOAD_ATTR"] = _load_attr
    rules["LOAD_METHOD"] = _load_method
    rules["LOAD_SUPER_ATTR"] = _load_super_attr

    rules["BINARY_OP"] = _plain(arg=lambda e, n: opcode._nb_ops[n][1])  # type: ignore[attr-defined]
    rules["COMPARE_OP"] = _compare
    rules["IS_OP"] = _plain(arg=lambda e, n: "is not" if n else "is")
    rules["CONTAINS_OP"] = _plain(arg=lambda e, n: "not in" if n else "in")
    rules["UNPACK_EX"] = _plain(arg=lambda e, n: (n & 255, n >> 8))
    rules["BINARY_SLICE"] = _build_slice_then("BINARY_SUBSCR")
    rules["STORE_SLICE"] = _build_slice_then("STORE_SUBSCR")
    rules["FORMAT_VALUE"] = _format_value
    rules["CONVERT_VALUE"] = _plain(arg=lambda e, n: _CONVERSIONS[n])
    rules["MAKE_FUNCTION"] = _make_function
    attributes = {1: "defaults", 2: "kwdefaults", 4: "annotations", 8: "closure"}
    rules["SET_FUNCTION_ATTRIBUTE"] = _plain(arg=lambda e, n: attributes[n])

    rules["CALL_INTRINSIC_1"] = _intrinsic_1
    rules["CALL_INTRINSIC_2"] = _plain(arg=_intrinsic_2)
    rules["LIST_TO_TUPLE"] = _plain("CALL_INTRINSIC_1", lambda e, n: "LIST_TO_TUPLE")
    rules["ASYNC_GEN_WRAP"] = _plain("CALL_INTRINSIC_1", lambda e, n: "ASYNC_GEN_WRAP")
    rules["PREP_RERAISE_STAR"] = _plain("CALL_INTRINSIC_2", lambda e, n: "PREP_RERAISE_STAR")

    # calls: KW_NAMES and PRECALL (3.11, 3.12) or a constant before CALL_KW (3.13) become part of one CALL
    rules["KW_NAMES"] = _plain("KW_NAMES", lambda e, n: e.code.co_consts[n])
    rules["PRECALL"] = _plain("PRECALL")
    rules["CALL"] = _plain(arg=lambda e, n: CallArgs(n))
    rules["CALL_KW"] = _plain(arg=_number)
    rules["CALL_FUNCTION_EX"] = _plain(arg=lambda e, n: bool(n & 1))

    for condition in _CONDITIONS:
        for name in (f"POP_JUMP_{condition}", f"POP_JUMP_FORWARD_{condition}", f"POP_JUMP_BACKWARD_{condition}"):
            rules[name] = _jump(f"POP_JUMP_{condition}")
    for name in ("JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT"):
        rules[name] = _jump("JUMP")
    rules["FOR_ITER"] = _jump("FOR_ITER")
    rules["SEND"] = _jump("SEND")
    rules["JUMP_IF_FALSE_OR_POP"] = _jump_or_pop("IF_FALSE")
    rules["JUMP_IF_TRUE_OR_POP"] = _jump_or_pop("IF_TRUE")


#: opcodes of the interpreter's own frames, or that `co_code` never shows (it yields the unspecialised ones)
_NEVER_SEEN = {"INTERPRETER_EXIT", "RESERVED", "EXIT_INIT_CHECK", "ENTER_EXECUTOR", "EXTENDED_ARG"}


def _missing_rules() -> set[str]:
    """Opcodes of the running Python that have no rule."""
    real = {name for name, number in opcode.opmap.items() if number < 256 and not name.startswith("INSTRUMENTED_")}
    return real - set(_RULES) - _NEVER_SEEN


_fill(_RULES)
if VERSION in SUPPORTED and _missing_rules():
    raise InternalError(f"opcodes of Python {VERSION} without a rule in bytecode_raw: {sorted(_missing_rules())}")
