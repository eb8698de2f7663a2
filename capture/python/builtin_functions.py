"""Python's builtin functions and types, as calls over Values."""

from __future__ import annotations

import collections
import sys
import types
import typing
from typing import TYPE_CHECKING, Any

from ..breaks import Break, NotConstant, UserRaise
from ..machine import operators
from ..machine.consumed import array_behind, consume
from ..machine.type_lookup import MISSING, inherits, message_name, type_find, type_lookup
from ..values.address import AddressValue
from ..values.attribute_text import keywords
from ..values.base import Args, Kwargs, Value
from ..values.classes import ClassValue, SuperValue, builtin_new, instantiate, object_new
from ..values.constant import FALSE, NONE, TRUE, ConstantValue
from ..values.functions import BoundMethodValue, BuiltinValue, CellValue, FunctionValue, PartialValue
from ..values.iterators import CallIterator, EnumerateValue, FilterValue, MapValue, RangeIterator, ZipValue
from ..values.mappings import DictValue
from ..values.number import NumberValue, call_of_numbers
from ..values.objects import ObjectValue
from ..values.ranges import RangeValue
from ..values.sequences import ListValue, SliceValue, TupleValue, sort_values
from ..values.sets import SetValue
from ..values.special_methods import SpecialMethods, none_if_not_implemented
from ..values.tensor import ArrayValue
from . import polyfills
from .builtin_table import TABLE, handles, pure, simple

if TYPE_CHECKING:
    from ..values.base import Machine

for _fn in (bin, chr, hex, oct, ord):
    TABLE[_fn] = pure(_fn)


def boolean(value: bool) -> Value:
    return TRUE if value else FALSE


# ---------------------------------------------------------------- numbers and text


@simple(abs)
def _abs(ev: Machine, x: Value, /) -> Value:
    if type(x) is ConstantValue:
        return ev.fold(abs, x.value)
    if not ev.has_special(x, "__abs__"):
        raise ev.type_error(f"bad operand type for abs(): '{message_name(x.python_type())}'")
    return ev.get_special(x, "__abs__").call(ev, [], {})


@simple(round)
def _round(ev: Machine, number: Value, ndigits: Value | None = None) -> Value:
    rest = [ndigits] if ndigits is not None else []
    if type(number) is ConstantValue:
        return ev.fold(round, number.value, *[ev.known(n) for n in rest])
    if not ev.has_special(number, "__round__"):
        raise ev.type_error(f"type {message_name(number.python_type())} doesn't define __round__ method")
    return ev.get_special(number, "__round__").call(ev, rest, {})


@simple(divmod)
def _divmod(ev: Machine, x: Value, y: Value, /) -> Value:
    if type(x) is ConstantValue and type(y) is ConstantValue:  # its errors have words of their own
        return ev.fold(divmod, x.value, y.value)
    lt, rt = x.python_type(), y.python_type()
    asked = [(x, "__divmod__", y), *([] if lt is rt else [(y, "__rdivmod__", x)])]
    for owner, name, other in reversed(asked) if lt is not rt and inherits(rt, lt) else asked:
        method = owner.special(ev, name) if isinstance(owner, SpecialMethods) else None
        found = none_if_not_implemented(method.call(ev, [other], {})) if method is not None else None
        if found is not None:
            return found
    # of numbers and NumPy's arrays it is these two; torch's tensors have none
    knows = [not isinstance(v, SpecialMethods) and ev.has_special(v, "__divmod__") for v in map(ev.payload, (x, y))]
    arrays = [known for v, known in zip((x, y), knows) if isinstance(v, ArrayValue)]
    if not all(arrays or knows):
        raise ev.type_error(operators.refusal("divmod()", lt, rt))
    return TupleValue([ev.binary("//", x, y), ev.binary("%", x, y)])


@simple(pow)
def _pow(ev: Machine, base: Value, exp: Value, mod: Value = NONE) -> Value:
    if ev.is_none(mod):
        return ev.binary("**", base, exp)
    found = call_of_numbers(ev, pow, [base, exp, mod])
    if found is not None:
        return found
    if isinstance(base, NumberValue) and all(isinstance(v, NumberValue) or v.is_constant for v in (exp, mod)):
        return ev.fold(pow, *[v.as_constant() for v in (base, exp, mod)])
    if ev.has_special(base, "__pow__") and not base.is_constant:
        return ev.get_special(base, "__pow__").call(ev, [exp, mod], {})
    return ev.fold(pow, *[ev.known(v) for v in (base, exp, mod)])


def _convert(cls: type, *methods: str) -> None:
    """int, float, complex: from constants, or by the object's own conversion."""

    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        if not args and not kwargs:
            return ConstantValue(cls())
        value = args[0] if args else NONE
        if not kwargs and len(args) == 1 and not value.is_constant:
            inside = ev.payload(value)
            if (
                isinstance(value, ObjectValue)
                and type(inside) is ConstantValue
                and not any(value.special(ev, m) for m in methods)
            ):
                return ev.fold(cls, inside.value)
            for name in methods:
                if ev.has_special(value, name):
                    return _checked(ev, cls, name, value, ev.get_special(value, name).call(ev, [], {}))
        return ev.fold(lambda: cls(*[ev.known(a) for a in args], **{k: ev.known(v) for k, v in kwargs.items()}))

    TABLE[cls] = handler


def _checked(ev: Machine, cls: type, name: str, owner: Value, value: Value) -> Value:
    """What a conversion method gave, if that is of the type that Python asks of it."""
    wanted = _CONVERSIONS[name]
    if name != "__trunc__" and not issubclass(value.python_type(), wanted):
        shown = f"{message_name(owner.python_type())}.{name}" if name == "__float__" else name
        raise ev.type_error(f"{shown} returned non-{wanted.__name__} (type {message_name(value.python_type())})")
    if name != "__trunc__":
        ev.refuse_subclass(value, wanted, name)
    if type(value) is ConstantValue and cls is not wanted:
        return ev.fold(cls, value.value)
    if cls is complex and not issubclass(value.python_type(), complex):
        raise ev.break_("data-dependent-scalar", f"complex() of {value.describe()}", "quern does not model such a number",
                        "call it outside of the compiled function")  # fmt: skip
    return value


_CONVERSIONS = {"__int__": int, "__index__": int, "__trunc__": int, "__float__": float, "__complex__": complex}
_convert(int, "__int__", "__index__", "__trunc__")
_convert(float, "__float__", "__index__")
_convert(complex, "__complex__", "__float__", "__index__")


@simple(bool)
def _bool(ev: Machine, x: Value = FALSE, /) -> Value:
    return boolean(x.truth(ev))


@handles(str)
def _str(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if len(args) == 1 and not kwargs:
        return args[0].str_(ev)
    return ev.fold(lambda: str(*[ev.known(a) for a in args], **{k: ev.known(v) for k, v in kwargs.items()}))


@handles(bytes)
def _bytes(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return ev.fold(lambda: bytes(*[ev.known(a) for a in args], **{k: ev.known(v) for k, v in kwargs.items()}))


@simple(repr)
def _repr(ev: Machine, x: Value, /) -> Value:
    return x.repr_(ev)


@simple(ascii)
def _ascii(ev: Machine, x: Value, /) -> Value:
    text = x.repr_(ev).as_constant()
    return ConstantValue(text.encode("ascii", "backslashreplace").decode("ascii"))


@simple(format)
def _format(ev: Machine, x: Value, spec: Value = ConstantValue(""), /) -> Value:  # noqa: B008 - immutable
    return x.format_(ev, spec.as_constant())


@simple(hash)
def _hash(ev: Machine, x: Value, /) -> Value:
    return ev.hash_of(x)


#: Values of which one is one object
_ADDRESSED = (ArrayValue, ListValue, DictValue, SetValue, ObjectValue, CellValue)


@simple(id)
def _id(ev: Machine, x: Value, /) -> Value:
    if x.source is not None and x.source.is_const:  # the entry holds the object: it stays where it is
        return ConstantValue(id(x.source.const))
    if x.is_constant and (x.as_constant() is None or isinstance(x.as_constant(), bool)):
        return ConstantValue(id(x.as_constant()))
    if isinstance(x, _ADDRESSED) and not x.is_undecided:
        return AddressValue(x)
    raise ev.break_("object-id", "calling id()", "addresses change from call to call", "compare with `is`")


@handles(print)
def _print(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if any(k not in ("sep", "end", "flush") for k in kwargs):
        raise ev.break_(
            "print",
            "calling print() with a file",
            "it writes while the program runs",
            "print outside of the compiled function",
        )
    try:
        texts = [a.str_(ev).as_constant() for a in args]
        named = {k: ev.to_python(v) for k, v in kwargs.items()}
    except (NotConstant, Break):
        raise ev.break_(
            "print", "calling print() with a value that is not known during capture", "it shows values while the program runs",
            "print outside of the compiled function",
        ) from None  # fmt: skip
    ev.effects.touch(
        CallEffect(print, [ConstantValue(t) for t in texts], {k: ConstantValue(v) for k, v in named.items()})
    )
    return NONE


class CallEffect:
    """A call without a result that the entry makes after the graph ran, in its place among the other effects."""

    source = None

    def __init__(self, fn: Any, args: Args, kwargs: Kwargs) -> None:
        self.fn, self.args, self.kwargs = fn, args, kwargs

    def replay(self, rb: Any, target: str) -> None:
        parts = [*map(rb.value, self.args), *keywords(rb, self.kwargs)]
        rb.effect(f"{rb.inject(self.fn, 'call')}({', '.join(parts)})")


# ---------------------------------------------------------------- attributes and classes


@simple(getattr)
def _getattr(ev: Machine, obj: Value, name: Value, default: Value | None = None, /) -> Value:
    text = ev.attribute_name(name)
    if default is None:
        return obj.getattr_(ev, text)
    found = ev.getattr_or_none(obj, text)
    return default if found is None else found


@simple(hasattr)
def _hasattr(ev: Machine, obj: Value, name: Value, /) -> Value:
    return boolean(ev.getattr_or_none(obj, ev.attribute_name(name)) is not None)


@simple(setattr)
def _setattr(ev: Machine, obj: Value, name: Value, value: Value, /) -> Value:
    obj.setattr_(ev, ev.new_attribute_name(name), value)
    return NONE


@simple(delattr)
def _delattr(ev: Machine, obj: Value, name: Value, /) -> Value:
    obj.delattr_(ev, ev.attribute_name(name))
    return NONE


@simple(vars)
def _vars(ev: Machine, obj: Value | None = None, /) -> Value:
    return _locals(ev) if obj is None else obj.getattr_(ev, "__dict__")


@simple(dir)
def _dir(ev: Machine, obj: Value, /) -> Value:
    method = obj.getattr_(ev, "__dir__") if isinstance(obj, ObjectValue) else None
    if method is not None:
        return ListValue(sort_values(ev, method.call(ev, [], {}).items(ev), None, False))
    return ev.fold(lambda: dir(ev.known(obj)))


@simple(locals)
def _locals(ev: Machine) -> Value:
    frame = ev.frame
    assert frame is not None
    found = DictValue()
    view = frame.view
    for name in (*view.local_names, *view.cell_names, *view.free_names):
        slot = frame.slots.get(name) if name in frame.slots else None
        value = slot.get(ev) if isinstance(slot, CellValue) and name in (*view.cell_names, *view.free_names) else slot
        if value is not None and not name.startswith("."):
            found.put(ev, ConstantValue(name), value)
    return found


@simple(globals)
def _globals(ev: Machine) -> Value:
    return ev.break_globals()


@simple(callable)
def _callable(ev: Machine, x: Value, /) -> Value:
    if isinstance(x, (FunctionValue, BoundMethodValue, BuiltinValue, ClassValue, PartialValue)):
        return TRUE
    return boolean(ev.has_special(x, "__call__"))


@simple(isinstance)
def _isinstance(ev: Machine, obj: Value, cls: Value, /) -> Value:
    return boolean(_is_instance(ev, obj, cls))


def _is_instance(ev: Machine, obj: Value, cls: Value) -> bool:
    inside = ev.payload(cls)
    if isinstance(inside, TupleValue):
        return any(_is_instance(ev, obj, c) for c in inside.items(ev))
    if isinstance(cls, ClassValue):
        own_check = ev.metaclass_check(cls.real, "__instancecheck__") is not None
        if type_lookup(cls.real, "_is_protocol") and not own_check:
            names = sorted(_protocol_names(cls.real))
            return all(ev.getattr_or_none(obj, n) is not None for n in names)
        return ev.isinstance(obj, cls.real)
    if isinstance(cls, ConstantValue) and isinstance(cls.value, types.UnionType):
        return any(ev.isinstance(obj, c) if c is not type(None) else ev.is_none(obj) for c in cls.value.__args__)
    real = getattr(cls, "real", None)
    origin = typing.get_origin(real) if real is not None else None
    if origin is typing.Union:
        return any(ev.isinstance(obj, c) for c in typing.get_args(real))
    if isinstance(origin, type) and not typing.get_args(real):
        return ev.isinstance(obj, origin)
    raise ev.type_error("isinstance() arg 2 must be a type, a tuple of types, or a union")


def _protocol_names(cls: type) -> set[str]:
    """The attributes that a runtime-checkable protocol asks for."""
    known = type_lookup(cls, "__protocol_attrs__")  # from Python 3.12
    if known is not None:
        return set(known)
    found: set[str] = set()
    for base in cls.__mro__[:-1]:
        if base.__name__ in ("Protocol", "Generic"):
            continue
        found |= {
            n
            for n in (*base.__dict__, *base.__dict__.get("__annotations__", {}))
            if not n.startswith("_abc_") and n not in _NOT_PROTOCOL
        }
    return found


_NOT_PROTOCOL = frozenset(
    """__abstractmethods__ __annotations__ __dict__ __doc__ __init__ __module__ __new__ __slots__ __subclasshook__ __weakref__
    __class_getitem__ __parameters__ __orig_bases__ __match_args__ _is_protocol _is_runtime_protocol __protocol_attrs__
    __non_callable_proto_members__ __static_attributes__ __firstlineno__ __type_params__""".split()
)


@simple(issubclass)
def _issubclass(ev: Machine, cls: Value, bases: Value, /) -> Value:
    return boolean(_is_subclass(ev, cls, bases))


def _is_subclass(ev: Machine, cls: Value, bases: Value) -> bool:
    inside = ev.payload(bases)
    if isinstance(inside, TupleValue):
        return any(_is_subclass(ev, cls, base) for base in inside.items(ev))
    if isinstance(bases, ClassValue):
        check = ev.metaclass_check(bases.real, "__subclasscheck__")
        if check is not None:
            return check.call(ev, [bases, cls], {}).truth(ev)
        ev.guard_registrations(bases.real)
    return ev.fold_raw(lambda: issubclass(ev.known(cls), ev.known(bases)))


@handles(type)
def _type(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if len(args) == 1:
        return ev.class_value(args[0].python_type())
    raise ev.break_(
        "class-statement",
        "making a class with type()",
        "classes are not made during capture",
        "make it outside of the compiled function",
    )


@handles(super)
def _super(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if args:
        return SuperValue(args[0].as_constant(), args[1])
    frame = ev.frame
    assert frame is not None
    cell = frame.slots.get("__class__")
    first = (
        frame.slots.get(frame.view.local_names[0])
        if frame.view.local_names and frame.view.local_names[0] in frame.slots
        else None
    )
    if isinstance(first, CellValue):
        first = first.get(ev)
    cls = cell.get(ev) if isinstance(cell, CellValue) else None
    if cls is None or first is None:
        raise ev.raise_(RuntimeError, "super(): no arguments")
    return SuperValue(cls.as_constant(), first)


@handles(object)
def _object(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return object_new(ev, ev.class_info(object))


@handles("__new__")
def _new(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    """`base.__new__(cls, ...)`, spelled out: the handler is looked up by name, the base is what the class inherits."""
    cls = args[0]
    assert isinstance(cls, ClassValue)
    return builtin_new(ev, _c_base(cls.real), cls.info, args[1:], kwargs)


def _c_base(cls: type) -> type:
    """The nearest base whose `__new__` is written in C: what decides an instance's layout."""
    for base in cls.__mro__:
        new = base.__dict__.get("__new__")
        if isinstance(new, types.BuiltinFunctionType):
            return base
    return object


TABLE[type.__call__] = lambda ev, args, kwargs: instantiate(ev, args[0], args[1:], kwargs)  # type: ignore[arg-type]

# ---------------------------------------------------------------- containers


@simple(len)
def _len(ev: Machine, x: Value, /) -> Value:
    return x.len_(ev)


@handles(list)
def _list(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return ListValue(ev.collected(args[0]) if args else [])


@handles(tuple)
def _tuple(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if args and type(args[0]) is TupleValue:
        return args[0]
    return TupleValue(ev.collected(args[0]) if args else [])


@handles(set)
def _set(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return SetValue.copied(ev, args[0], set) if args else SetValue()


@handles(frozenset)
def _frozenset(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return SetValue.copied(ev, args[0], frozenset) if args else SetValue(frozenset)


def _make_dict(cls: type) -> None:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        new = DictValue(cls=cls)
        new.m_update(ev, *args, **kwargs)
        return new

    TABLE[cls] = handler
    TABLE[(cls, "fromkeys")] = lambda ev, args, kwargs: DictValue(cls=cls).m_fromkeys(ev, *args, **kwargs)


@handles((collections.defaultdict, "fromkeys"))
def _defaultdict_fromkeys(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    new = ev.call(ev.class_value(collections.defaultdict), [])
    value = args[1] if len(args) > 1 else NONE
    for key in args[0].items(ev):
        ev.call_method(new, "__setitem__", [key, value])
    return new


_make_dict(dict)
_make_dict(collections.OrderedDict)


@handles(collections.defaultdict)
def _defaultdict(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    new = ev.new_object(ev.class_info(collections.defaultdict), payload=DictValue())
    new.call_method(ev, "__init__", args, kwargs)
    return new


@handles(collections.deque)
def _deque(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    new = builtin_new(ev, collections.deque, ev.class_info(collections.deque), args, kwargs)
    assert isinstance(new, ObjectValue) and new.payload is not None
    new.payload.m___init__(ev, *args, **kwargs)  # type: ignore[attr-defined]
    return new.payload


@handles(slice)
def _slice(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if len(args) == 1:
        return SliceValue(NONE, args[0], NONE)
    return SliceValue(args[0], args[1], args[2] if len(args) > 2 else NONE)


@handles(range)
def _range(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    changing = None if kwargs else RangeValue.of(ev, args)
    return changing if changing is not None else ev.fold(lambda: range(*[ev.index(a) for a in args]))


@simple(sorted)
def _sorted(ev: Machine, iterable: Value, /, *, key: Value | None = None, reverse: Value = FALSE) -> Value:
    return ListValue(sort_values(ev, list(ev.collected(iterable)), key, reverse.truth(ev)))


@simple(reversed)
def _reversed(ev: Machine, x: Value, /) -> Value:
    if isinstance(x, RangeValue):
        return x.backward(ev)
    if type(x) is ConstantValue and type(x.value) is range:
        return ev.range_iterator(x.value[::-1])
    if isinstance(x, ConstantValue):
        return ev.iterator_of([ev.from_python(v) for v in ev.fold_raw(lambda: list(reversed(x.value)))])
    hook = type_find(x.python_type(), "__reversed__")
    if hook is None or hook is MISSING and not (ev.has_special(x, "__len__") and ev.has_special(x, "__getitem__")):
        raise ev.type_error(f"'{message_name(x.python_type())}' object is not reversible")
    if hook is not MISSING:
        return ev.get_special(x, "__reversed__").call(ev, [], {})
    if isinstance(ev.payload(x), TupleValue):
        return ev.iterator_of(x.items(ev)[::-1])
    n = ev.index(x.len_(ev))
    if isinstance(x, ObjectValue):
        return ev.call_function(polyfills.backwards, [x, ConstantValue(n)])
    return ev.iterator_of([x.getitem(ev, ConstantValue(i)) for i in range(n - 1, -1, -1)])


# ---------------------------------------------------------------- iteration


@handles(iter)
def _iter(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    if len(args) == 2:
        return CallIterator(args[0], args[1])
    if type(args[0]) is ConstantValue and type(args[0].value) is range:
        return RangeIterator(args[0].value)
    return args[0].iter_(ev)


@simple(next)
def _next(ev: Machine, it: Value, default: Value | None = None, /) -> Value:
    try:
        found, result = ev.next_with_result(it)
    except UserRaise as error:
        if default is not None and issubclass(error.value.python_type(), StopIteration):
            return default
        raise
    if found is None:
        if default is not None:
            return default
        raise ev.raise_value(StopIteration, *([] if ev.is_none(result) else [result]))
    return found


@simple(enumerate)
def _enumerate(ev: Machine, iterable: Value, start: Value = ConstantValue(0)) -> Value:  # noqa: B008 - immutable
    return EnumerateValue(iterable.iter_(ev), ev.index(start))


@handles(zip)
def _zip(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    strict = "strict" in kwargs and kwargs["strict"].truth(ev)
    return ZipValue([a.iter_(ev) for a in args], strict)


@handles(map)
def _map(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return MapValue(args[0], [a.iter_(ev) for a in args[1:]])


@handles(filter)
def _filter(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
    return FilterValue(args[0], args[1].iter_(ev))


def _as_loop(ev: Machine, iterable: Value, builtin: str, loop: Any, *start: Value) -> Value | None:
    """What a builtin makes of a generator expression over arrays, or of an array, as a loop that a front end may roll; None of others."""
    found = consume(ev, iterable, builtin, *start)
    rows = array_behind(ev, iterable) if found is None else None
    return found if rows is None else ev.call_function(loop, [rows, *start])


@simple(all)
def _all(ev: Machine, iterable: Value, /) -> Value:
    found = _as_loop(ev, iterable, "all", polyfills.all_of)
    if found is not None:
        return found
    it = iterable.iter_(ev)
    while (item := it.next_(ev)) is not None:
        if not item.truth(ev):
            return FALSE
    return TRUE


@simple(any)
def _any(ev: Machine, iterable: Value, /) -> Value:
    found = _as_loop(ev, iterable, "any", polyfills.any_of)
    if found is not None:
        return found
    it = iterable.iter_(ev)
    while (item := it.next_(ev)) is not None:
        if item.truth(ev):
            return TRUE
    return FALSE


@simple(sum)
def _sum(ev: Machine, iterable: Value, /, start: Value = ConstantValue(0)) -> Value:  # noqa: B008 - immutable
    found = _as_loop(ev, iterable, "sum", polyfills.added_up, start)
    if found is not None:
        if sys.version_info >= (3, 12) and found.python_type() is float:
            raise ev.break_("sum-of-floats", "the sum of Python's floats of an array", "Python adds them with more digits than it keeps",
                            "call the array's own sum")  # fmt: skip
        return found
    items = iterable.items(ev)
    if type(start) is ConstantValue and all(type(i) is ConstantValue for i in items):
        return ev.fold(lambda: sum([i.value for i in items], start.value))  # type: ignore[attr-defined]
    total = start
    for item in items:
        total = ev.binary("+", total, item)
    return total


#: elements of an array beyond which the largest is looked for in a loop
_FEW_ELEMENTS = 12


def _extreme(fn: Any, op: str, in_rounds: Any) -> None:
    def handler(ev: Machine, args: Args, kwargs: Kwargs) -> Value:
        key, default = kwargs.get("key"), kwargs.get("default")
        listed = consume(ev, args[0], "list") if len(args) == 1 else None
        args = args if listed is None else [listed]
        rows = array_behind(ev, args[0]) if len(args) == 1 and not kwargs else None
        if rows is not None and len(rows.meta.shape) == 1 and ev.hint(rows.meta.shape[0]) > _FEW_ELEMENTS:
            return ev.call_function(in_rounds, [rows])
        items = args[0].items(ev) if len(args) == 1 else list(args)
        if not items:
            if default is not None:
                return default
            shown = "iterable argument is empty" if sys.version_info >= (3, 12) else "arg is an empty sequence"
            raise ev.raise_(ValueError, f"{fn.__name__}() {shown}")
        if key is not None and ev.is_none(key):
            key = None
        best, best_key = items[0], key.call(ev, [items[0]], {}) if key is not None else items[0]
        for item in items[1:]:
            item_key = key.call(ev, [item], {}) if key is not None else item
            chosen = item.chosen(ev, op, best) if item_key is item and best_key is best else None
            if chosen is not None:
                best = best_key = chosen
                continue
            if ev.compare(op, item_key, best_key).truth(ev):
                best, best_key = item, item_key
        return best

    TABLE[fn] = handler


_extreme(min, "<", polyfills.smallest)
_extreme(max, ">", polyfills.largest)
