"""Exceptions: try, except, finally, raise from, groups of handlers, custom classes, errors that leave the program."""

# ruff: noqa
# mypy: ignore-errors

import contextlib

import torch
from torch_values import on_torch, randn

program = on_torch(__name__)


class Custom(Exception):
    def __init__(self, text, code=1):
        super().__init__(text)
        self.code = code


@program
def try_no_raise(x):
    try:
        y = x + 1
    except ValueError:
        y = x - 1
    else:
        y = y * 2
    finally:
        z = y + 3
    return z


@program
def catch_value_error(x):
    try:
        raise ValueError("bad", 3)
    except ValueError as e:
        return x + e.args[1], str(e), repr(e)


@program
def catch_tuple(x):
    out = []
    for cls in (KeyError, IndexError, TypeError):
        try:
            raise cls("k")
        except (KeyError, IndexError) as e:
            out.append(type(e).__name__)
        except Exception as e:
            out.append("other")
    return x, out


@program
def catch_key_error(x):
    d = {"a": x}
    try:
        return d["b"]
    except KeyError as e:
        return d["a"] + 1, e.args


@program
def catch_builtin_errors(x):
    errors = []
    for f in (
        lambda: [][3],
        lambda: 1 / 0,
        lambda: int("z"),
        lambda: None.foo,
        lambda: "a" + 1,
        lambda: {}["q"],
        lambda: (1).bar,
        lambda: len(3),
        lambda: next(iter([])),
        lambda: [1, 2].index(5),
    ):
        try:
            f()
        except Exception as e:
            errors.append((type(e).__name__, str(e)))
    return x * len(errors), errors


@program
def custom_exception(x):
    try:
        raise Custom("text", code=7)
    except Custom as e:
        return x * e.code, str(e), e


@program
def finally_runs_on_return(x):
    log = []

    def f():
        try:
            return x + 1
        finally:
            log.append("done")

    return f(), log


@program
def finally_overrides(x):
    def f():
        try:
            raise ValueError
        finally:
            return x * 5

    return f()


@program
def nested_try(x):
    log = []
    try:
        try:
            raise KeyError("inner")
        except ValueError:
            log.append("wrong")
        finally:
            log.append("finally")
    except KeyError as e:
        log.append(str(e))
    return x, log


@program
def reraise(x):
    try:
        try:
            raise ValueError("one")
        except ValueError:
            raise
    except ValueError as e:
        return x, str(e)


@program
def raise_from(x):
    try:
        try:
            raise ValueError("one")
        except ValueError as e:
            raise RuntimeError("two") from e
    except RuntimeError as e:
        return x, str(e), str(e.__cause__), e.__suppress_context__


@program
def implicit_context(x):
    try:
        try:
            raise ValueError("one")
        except ValueError:
            raise KeyError("two")
    except KeyError as e:
        return x, repr(e.__context__), e.__cause__


@program
def exception_from_nested_call(x):
    def deep(n):
        if n == 0:
            raise Custom("deep")
        return deep(n - 1) + 1

    try:
        deep(3)
    except Custom as e:
        return x - 1, e.args


@program
def escapes_plain(x):
    y = x * 2
    raise ValueError("nothing good")


@program
def escapes_custom(x):
    if x.shape[0] == 3:
        raise Custom("shape", code=3)
    return x


@program
def escapes_from_nested(x):
    def f(t):
        return g(t + 1)

    def g(t):
        return {"a": t}["b"]

    return f(x)


@program
def escapes_with_cause(x):
    try:
        [][1]
    except IndexError as e:
        raise RuntimeError("wrapped") from e


@program
def escapes_type_error(x):
    return x + "text"


@program
def escapes_shape_error(x):
    return x @ x


@program
def escapes_attribute_error(x):
    return x.no_such_thing


@program
def escapes_after_side_effect(x):
    x.add_(1)
    raise ValueError("after")


@program(args=lambda: (randn(3), []))
def escapes_after_append(x, seen):
    seen.append(x * 2)
    raise KeyError("after")


@program
def catches_shape_error(x):
    try:
        return x @ x
    except RuntimeError:
        return x + 1


@program
def suppress(x):
    with contextlib.suppress(KeyError):
        {}["a"]
        x = x * 100
    return x + 1


@program
def try_in_loop(x):
    for key in ("a", "b", "c"):
        try:
            x = x + {"a": 1, "c": 3}[key]
        except KeyError:
            x = x * 2
    return x


@program
def exception_stored(x):
    caught = None
    try:
        raise ValueError("kept")
    except ValueError as e:
        caught = e
    return x, caught


@program
def exception_returned_new(x):
    return x, ValueError("new", 1), KeyError


@program
def assertion_caught(x):
    try:
        assert x.shape[0] == 5, "no"
    except AssertionError as e:
        return x, str(e)


@program
def not_implemented(x):
    class A:
        def f(self):
            raise NotImplementedError

    return x


@program
def try_else_finally_order(x):
    order = []

    def run(fail):
        try:
            order.append("try")
            if fail:
                raise ValueError
        except ValueError:
            order.append("except")
        else:
            order.append("else")
        finally:
            order.append("finally")

    run(False)
    run(True)
    return x, order


@program
def exception_with_tensor(x):
    try:
        raise ValueError("t", x + 1)
    except ValueError as e:
        return e.args[1] * 2


@program
def except_star(x):
    try:
        raise ExceptionGroup("many", [ValueError("a"), KeyError("b")])
    except* ValueError as g:
        x = x + len(g.exceptions)
    except* KeyError as g:
        x = x * 2
    return x


@program
def stop_iteration_by_hand(x):
    it = iter([x, x + 1])
    out = []
    while True:
        try:
            out.append(next(it))
        except StopIteration:
            break
    return out


@program
def add_note(x):
    try:
        raise ValueError("v")
    except ValueError as e:
        e.add_note("more")
        return x, e.__notes__


@program
def raise_class_without_args(x):
    try:
        raise Custom
    except TypeError as e:
        return x, str(e)


@program
def assert_with_tensor_free_condition(x):
    n = sum(x.shape)
    assert n == 7 and isinstance(x, torch.Tensor)
    return x + n


@program
def exception_with_context_returned(x):
    try:
        try:
            raise ValueError("one")
        except ValueError:
            raise KeyError("two")
    except KeyError as e:
        return x + 1, e


@program
def exception_with_cause_returned(x):
    try:
        try:
            raise ValueError("one")
        except ValueError as e:
            raise Custom("two") from e
    except Custom as e:
        return x + 1, e


@program
def context_is_replaced(x):
    kept = Custom("kept")
    for cls in (ValueError, KeyError):
        try:
            try:
                raise cls("first")
            except cls:
                raise kept
        except Custom:
            pass
    return x + 1, kept


@program
def context_cycle(x):
    first = ValueError("a")
    try:
        try:
            raise first
        except ValueError:
            try:
                raise KeyError("b")
            except KeyError:
                raise first
    except ValueError as e:
        return x + 1, e, e.__context__


@program(args=lambda: (randn(3), Custom("outside", 4)))
def exception_argument_raised(x, error):
    try:
        try:
            {}["k"]
        except KeyError:
            raise error
    except Custom as e:
        return x * e.code, e is error
