"""What each instruction does to the stack and the variables: loads, stores, operators, displays, text.

Control flow, calls and exceptions stand in `opcodes_control`. Each handler takes (ev, frame, arg).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..breaks import NotConstant, UserRaise
from ..values.base import Value
from ..values.classes import SuperValue
from ..values.constant import FALSE, NONE, TRUE, ConstantValue
from ..values.functions import CellValue
from ..values.mappings import DictValue
from ..values.sequences import ListValue, SliceValue, TupleValue
from ..values.sets import SetValue
from . import operators
from .frames import NULL, Frame, op
from .type_lookup import message_name

if TYPE_CHECKING:
    from ..values.base import Machine


# ---------------------------------------------------------------- constants and variables


@op("LOAD_CONST")
def load_const(ev: Machine, frame: Frame, value: Value) -> None:
    frame.push(value)


@op("LOAD_FAST", "LOAD_CLOSURE")
def load_fast(ev: Machine, frame: Frame, name: str) -> None:
    try:
        frame.push(frame.slots[name])
    except KeyError:
        raise unbound(ev, name) from None


def unbound(ev: Machine, name: str) -> BaseException:
    return ev.raise_(
        UnboundLocalError, f"cannot access local variable '{name}' where it is not associated with a value"
    )


@op("STORE_FAST")
def store_fast(ev: Machine, frame: Frame, name: str) -> None:
    value = frame.stack.pop()
    if value is NULL:
        frame.slots.pop(name, None)
    else:
        frame.slots[name] = value
    if ev.abandoned:
        ev.close_abandoned()


@op("DELETE_FAST")
def delete_fast(ev: Machine, frame: Frame, name: str) -> None:
    if name not in frame.slots:
        raise unbound(ev, name)
    ev.forget(frame, name)
    if ev.abandoned:
        ev.close_abandoned()


@op("LOAD_FAST_AND_CLEAR")
def load_fast_and_clear(ev: Machine, frame: Frame, name: str) -> None:
    if name in frame.slots:
        frame.push(frame.slots[name])
        ev.forget(frame, name)
    else:
        frame.push(NULL)


@op("MAKE_CELL")
def make_cell(ev: Machine, frame: Frame, name: str) -> None:
    frame.slots[name] = CellValue(frame.slots.get(name))


@op("LOAD_DEREF")
def load_deref(ev: Machine, frame: Frame, name: str) -> None:
    cell = frame.slots[name]
    assert isinstance(cell, CellValue)
    value = cell.get(ev)
    if value is None:
        if name in frame.view.cell_names:
            raise unbound(ev, name)
        raise ev.raise_(
            NameError,
            f"cannot access free variable '{name}' where it is not associated with a value in enclosing scope",
        )
    frame.push(value)


@op("STORE_DEREF")
def store_deref(ev: Machine, frame: Frame, name: str) -> None:
    cell = frame.slots[name]
    assert isinstance(cell, CellValue)
    cell.set(ev, frame.stack.pop())
    if ev.abandoned:
        ev.close_abandoned()


@op("DELETE_DEREF")
def delete_deref(ev: Machine, frame: Frame, name: str) -> None:
    cell = frame.slots[name]
    assert isinstance(cell, CellValue)
    if cell.get(ev) is None:
        raise unbound(ev, name)
    cell.set(ev, None)


@op("LOAD_GLOBAL")
def load_global(ev: Machine, frame: Frame, name: str) -> None:
    scope = frame.scope
    value = scope.values.get(name)
    frame.push(value if value is not None else scope.read(ev, name))


@op("STORE_GLOBAL")
def store_global(ev: Machine, frame: Frame, name: str) -> None:
    frame.scope.write(ev, name, frame.stack.pop())


@op("DELETE_GLOBAL")
def delete_global(ev: Machine, frame: Frame, name: str) -> None:
    frame.scope.delete(ev, name)


@op("LOAD_NAME")
def load_name(ev: Machine, frame: Frame, name: str) -> None:
    frame.push(frame.slots[name] if name in frame.slots else frame.scope.read(ev, name))


@op("STORE_NAME")
def store_name(ev: Machine, frame: Frame, name: str) -> None:
    frame.slots[name] = frame.stack.pop()


@op("POP_TOP")
def pop_top(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.stack.pop()
    if ev.abandoned:
        ev.close_abandoned()


@op("PUSH_NULL")
def push_null(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.push(NULL)


@op("COPY")
def copy(ev: Machine, frame: Frame, n: int) -> None:
    frame.push(frame.stack[-n])


@op("SWAP")
def swap(ev: Machine, frame: Frame, n: int) -> None:
    stack = frame.stack
    stack[-1], stack[-n] = stack[-n], stack[-1]


# ---------------------------------------------------------------- attributes and items


@op("LOAD_ATTR")
def load_attr(ev: Machine, frame: Frame, name: str) -> None:
    stack = frame.stack
    stack[-1] = stack[-1].getattr_(ev, name)


@op("LOAD_SUPER_ATTR")
def load_super_attr(ev: Machine, frame: Frame, arg: tuple[str, int]) -> None:
    stack = frame.stack
    owner = stack.pop()
    cls = stack.pop()
    maker = stack.pop()
    if maker.is_constant and maker.as_constant() is super:
        frame.push(SuperValue(cls.as_constant(), owner).getattr_(ev, arg[0]))
    else:
        found = ev.call(maker, [cls, owner] if arg[1] else [], {})
        frame.push(found.getattr_(ev, arg[0]))


@op("STORE_ATTR")
def store_attr(ev: Machine, frame: Frame, name: str) -> None:
    stack = frame.stack
    owner = stack.pop()
    owner.setattr_(ev, name, stack.pop())
    if ev.abandoned:
        ev.close_abandoned()


@op("DELETE_ATTR")
def delete_attr(ev: Machine, frame: Frame, name: str) -> None:
    frame.stack.pop().delattr_(ev, name)
    if ev.abandoned:
        ev.close_abandoned()


@op("BINARY_SUBSCR")
def binary_subscr(ev: Machine, frame: Frame, arg: Any) -> None:
    stack = frame.stack
    key = stack.pop()
    stack[-1] = stack[-1].getitem(ev, key)


@op("STORE_SUBSCR")
def store_subscr(ev: Machine, frame: Frame, arg: Any) -> None:
    stack = frame.stack
    key = stack.pop()
    owner = stack.pop()
    owner.setitem(ev, key, stack.pop())
    if ev.abandoned:
        ev.close_abandoned()


@op("DELETE_SUBSCR")
def delete_subscr(ev: Machine, frame: Frame, arg: Any) -> None:
    stack = frame.stack
    key = stack.pop()
    stack.pop().delitem(ev, key)
    if ev.abandoned:
        ev.close_abandoned()


# ---------------------------------------------------------------- operators


@op("BINARY_OP")
def binary_op(ev: Machine, frame: Frame, symbol: str) -> None:
    stack = frame.stack
    right = stack.pop()
    if symbol[-1] == "=":
        stack[-1] = operators.inplace(ev, symbol[:-1], stack[-1], right)
    else:
        stack[-1] = operators.binary(ev, symbol, stack[-1], right)


@op("UNARY_POSITIVE")
def unary_positive(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.stack[-1] = frame.stack[-1].unary(ev, "+")


@op("UNARY_NEGATIVE")
def unary_negative(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.stack[-1] = frame.stack[-1].unary(ev, "-")


@op("UNARY_INVERT")
def unary_invert(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.stack[-1] = frame.stack[-1].unary(ev, "~")


@op("UNARY_NOT")
def unary_not(ev: Machine, frame: Frame, arg: Any) -> None:
    frame.stack[-1] = FALSE if frame.stack[-1].truth(ev) else TRUE


@op("TO_BOOL")
def to_bool(ev: Machine, frame: Frame, arg: Any) -> None:
    value = frame.stack[-1]
    if value is not TRUE and value is not FALSE and not ev.branches_itself(value):
        frame.stack[-1] = TRUE if value.truth(ev) else FALSE


@op("COMPARE_OP")
def compare_op(ev: Machine, frame: Frame, symbol: str) -> None:
    stack = frame.stack
    right = stack.pop()
    stack[-1] = operators.compare(ev, symbol, stack[-1], right)


@op("IS_OP")
def is_op(ev: Machine, frame: Frame, symbol: str) -> None:
    stack = frame.stack
    right = stack.pop()
    stack[-1] = TRUE if ev.is_same(stack[-1], right) == (symbol == "is") else FALSE


@op("CONTAINS_OP")
def contains_op(ev: Machine, frame: Frame, symbol: str) -> None:
    stack = frame.stack
    container = stack.pop()
    stack[-1] = TRUE if container.contains(ev, stack[-1]) == (symbol == "in") else FALSE


# ---------------------------------------------------------------- displays


def take(frame: Frame, n: int) -> list[Value]:
    """Pop the `n` topmost values, in order."""
    stack = frame.stack
    if not n:
        return []
    found = stack[-n:]
    del stack[-n:]
    return found


@op("BUILD_TUPLE")
def build_tuple(ev: Machine, frame: Frame, n: int) -> None:
    frame.push(TupleValue(take(frame, n)))


@op("BUILD_LIST")
def build_list(ev: Machine, frame: Frame, n: int) -> None:
    frame.push(ListValue(take(frame, n)))


@op("BUILD_SET")
def build_set(ev: Machine, frame: Frame, n: int) -> None:
    frame.push(SetValue.of(ev, take(frame, n)))


@op("BUILD_STRING")
def build_string(ev: Machine, frame: Frame, n: int) -> None:
    frame.push(ConstantValue("".join([v.as_constant() for v in take(frame, n)])))


@op("BUILD_SLICE")
def build_slice(ev: Machine, frame: Frame, n: int) -> None:
    parts = take(frame, n)
    frame.push(SliceValue(parts[0], parts[1], parts[2] if n == 3 else NONE))


@op("BUILD_MAP")
def build_map(ev: Machine, frame: Frame, n: int) -> None:
    parts = take(frame, 2 * n)
    new = DictValue()
    for i in range(0, 2 * n, 2):
        new.put(ev, parts[i], parts[i + 1])
    frame.push(new)


@op("BUILD_CONST_KEY_MAP")
def build_const_key_map(ev: Machine, frame: Frame, n: int) -> None:
    keys = frame.stack.pop().items(ev)
    new = DictValue()
    for key, value in zip(keys, take(frame, n)):
        new.put(ev, key, value)
    frame.push(new)


@op("LIST_APPEND")
def list_append(ev: Machine, frame: Frame, n: int) -> None:
    item = frame.stack.pop()
    frame.stack[-n].m_append(ev, item)  # type: ignore[attr-defined]


@op("SET_ADD")
def set_add(ev: Machine, frame: Frame, n: int) -> None:
    item = frame.stack.pop()
    frame.stack[-n].m_add(ev, item)  # type: ignore[attr-defined]


@op("MAP_ADD")
def map_add(ev: Machine, frame: Frame, n: int) -> None:
    value = frame.stack.pop()
    key = frame.stack.pop()
    frame.stack[-n].setitem(ev, key, value)


@op("LIST_EXTEND")
def list_extend(ev: Machine, frame: Frame, n: int) -> None:
    items = frame.stack.pop()
    try:
        frame.stack[-n].m_extend(ev, items)  # type: ignore[attr-defined]
    except UserRaise as error:
        name = message_name(items.python_type())
        if error.value.python_type() is TypeError and not hasattr(items.python_type(), "__iter__"):
            raise ev.type_error(f"Value after * must be an iterable, not {name}") from None
        raise


@op("SET_UPDATE")
def set_update(ev: Machine, frame: Frame, n: int) -> None:
    items = frame.stack.pop()
    frame.stack[-n].m_update(ev, items)  # type: ignore[attr-defined]


@op("DICT_UPDATE")
def dict_update(ev: Machine, frame: Frame, n: int) -> None:
    items = frame.stack.pop()
    if not ev.is_mapping(items):
        raise ev.type_error(f"'{message_name(items.python_type())}' object is not a mapping")
    frame.stack[-n].m_update(ev, items)  # type: ignore[attr-defined]


def called_text(ev: Machine, callee: Value) -> str:
    """How the interpreter names what is called in a message about its arguments."""
    try:
        names = [ev.getattr_or_none(callee, name) for name in ("__qualname__", "__module__")]
        if None in names:
            return callee.str_(ev).as_constant()  # type: ignore[no-any-return]
        qualname, module = (name.as_constant() for name in names if name is not None)
    except NotConstant:
        raise ev.break_("call-message", f"the text of {callee.describe()}", "a message needs it") from None
    return f"{qualname}()" if module in (None, "builtins") else f"{module}.{qualname}()"


def _called_with(stack: list[Any], n: int) -> Value:
    """What is called with the keywords that stand n below the top."""
    below = n + 2  # they stand on the positional arguments
    found: Value = stack[-below] if stack[-below] is not NULL else stack[-below - 1]
    return found


@op("DICT_MERGE")
def dict_merge(ev: Machine, frame: Frame, n: int) -> None:
    items = frame.stack.pop()
    target = frame.stack[-n]
    assert isinstance(target, DictValue)
    if not ev.is_mapping(items):
        called = called_text(ev, _called_with(frame.stack, n))
        raise ev.type_error(f"{called} argument after ** must be a mapping, not {message_name(items.python_type())}")
    for key, value in ev.mapping_pairs(items):
        if target.has(ev, key):
            called = called_text(ev, _called_with(frame.stack, n))
            raise ev.type_error(f"{called} got multiple values for keyword argument {ev.repr_text(key)}")
        target.put(ev, key, value)


# ---------------------------------------------------------------- unpacking


@op("UNPACK_SEQUENCE")
def unpack_sequence(ev: Machine, frame: Frame, n: int) -> None:
    source = frame.stack.pop()
    if not ev.is_iterable(source):
        raise ev.type_error(f"cannot unpack non-iterable {message_name(source.python_type())} object")
    items = unpack_items(ev, source, n)
    if len(items) < n:
        raise ev.raise_(ValueError, f"not enough values to unpack (expected {n}, got {len(items)})")
    if len(items) > n:
        raise ev.raise_(ValueError, f"too many values to unpack (expected {n}{ev.got_count(source, items)})")
    frame.stack.extend(reversed(items))


def unpack_items(ev: Machine, source: Value, n: int) -> list[Value]:
    """At most n + 1 items."""
    if isinstance(source, (TupleValue, ListValue)):
        return list(source.elements(ev))
    it = source.iter_(ev)
    items: list[Value] = []
    while len(items) <= n and (item := it.next_(ev)) is not None:
        items.append(item)
    return items


@op("UNPACK_EX")
def unpack_ex(ev: Machine, frame: Frame, arg: tuple[int, int]) -> None:
    before, after = arg
    source = frame.stack.pop()
    if not ev.is_iterable(source):
        raise ev.type_error(f"cannot unpack non-iterable {message_name(source.python_type())} object")
    it = source.iter_(ev)
    items: list[Value] = []
    while len(items) < before and (item := it.next_(ev)) is not None:
        items.append(item)
    if len(items) == before:
        items += ev.collected(it)
    if len(items) < before + after:
        raise ev.raise_(
            ValueError, f"not enough values to unpack (expected at least {before + after}, got {len(items)})"
        )
    end = len(items) - after
    parts = [*items[:before], ListValue(items[before:end]), *items[end:]]
    frame.stack.extend(reversed(parts))


# ---------------------------------------------------------------- text


@op("CONVERT_VALUE")
def convert_value(ev: Machine, frame: Frame, how: str) -> None:
    value = frame.stack[-1]
    if how == "s":
        frame.stack[-1] = value.str_(ev)
    elif how == "r":
        frame.stack[-1] = value.repr_(ev)
    else:
        frame.stack[-1] = ConstantValue(ascii(_Text(value.repr_(ev).as_constant())))


class _Text:
    """Has the given repr."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


@op("FORMAT_SIMPLE")
def format_simple(ev: Machine, frame: Frame, arg: Any) -> None:
    value = frame.stack[-1]
    if type(value) is not ConstantValue or type(value.value) is not str:
        frame.stack[-1] = value.format_(ev, "")


@op("FORMAT_WITH_SPEC")
def format_with_spec(ev: Machine, frame: Frame, arg: Any) -> None:
    spec = frame.stack.pop()
    frame.stack[-1] = frame.stack[-1].format_(ev, spec.as_constant())
