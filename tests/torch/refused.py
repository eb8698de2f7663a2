"""Functions that cannot be one graph, each for its own reason. The line at fault ends with the comment `here`."""

# ruff: noqa: B018, F841, S102, S301, S307, E731, PLW0603, T201, SIM115, B023, UP031
# mypy: ignore-errors

from __future__ import annotations

import asyncio
import ctypes
import datetime
import gc
import inspect
import io
import json
import os
import pickle
import random
import re
import secrets
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import uuid
import weakref
import zlib

import numpy as np
import torch

import quern

CAUSES = []


def cause(fn):
    """Register a function of one tensor."""
    CAUSES.append(fn)
    return fn


class Sub(torch.Tensor):
    pass


@cause
def branch(x):
    if x.sum() > 0:  # here
        return x + 1
    return x - 1


@cause
def loop_condition(x):
    while x.sum() < 100:  # here
        x = x * 2
    return x


@cause
def ternary(x):
    return x + 1 if x[0, 0] > 3 else x  # here


@cause
def conjunction(x):
    return x.sum() > 0 and x.mean() > 0  # here


@cause
def truth(x):
    return bool(x.sum())  # here


@cause
def assertion(x):
    assert x.min() >= 0, "negative"  # here
    return x


@cause
def membership(x):
    return 3.0 in x  # here


@cause
def comparison_of_numbers(x):
    return max(x.sum().item(), 3) + x  # here


@cause
def range_over_data(x):
    for i in range(int(x.sum())):  # here
        x = x + i
    return x


@cause
def key_from_data(x):
    return {0: x, 15: x + 1}[int(x.sum())]  # here


@cause
def text_of_tensor(x):
    return f"{x}", x + 1  # here


@cause
def repr_of_tensor(x):
    return repr(x)  # here


@cause
def printing(x):
    print(x + 1)  # here
    return x


@cause
def requested(x):
    quern.graph_break("a reason of mine")  # here
    return x


@quern.disable(reason="it must stay as it is")
def disabled_function(x):
    return x


@cause
def disabled(x):
    return disabled_function(x) + 1  # here


@torch.compiler.disable
def disabled_by_torch(x):
    return x


@cause
def disabled_torchs_way(x):
    return disabled_by_torch(x) + 1  # here


@cause
def deep(x):
    def down(n):
        return x if n == 0 else down(n - 1) + 1  # here

    return down(5000)


@cause
def long_loop(x):
    n = 0
    while n < 10**9:  # here
        n += 1
    return x + n


@cause
def identity(x):
    return x + id(x) % 2  # here


@cause
def hash_of_tensor(x):
    return x + hash(x) % 2  # here


@cause
def address(x):
    return x + x.data_ptr() % 2  # here


@cause
def storage(x):
    return x.untyped_storage().nbytes() + x  # here


@cause
def executed(x):
    exec("y = 1")  # here
    return x


@cause
def evaluated(x):
    return eval("x + 1")  # here


@cause
def compiled_text(x):
    compile("1", "f", "eval")  # here
    return x


@cause
def global_names(x):
    return x + len(globals())  # here


@cause
def frames(x):
    return x + sys._getframe().f_lineno  # here


@cause
def inspected(x):
    return x + len(inspect.stack())  # here


@cause
def caller(x):
    return x, inspect.currentframe().f_code.co_name  # here


@cause
def traces(x):
    return x + len(traceback.format_stack())  # here


@cause
def coroutine(x):
    async def later():
        return x + 1

    return asyncio.run(later())  # here


@cause
def backward(x):
    y = x.clone().requires_grad_()  # here
    y.sum().backward()
    return y.grad


@cause
def sparse(x):
    return x.to_sparse()  # here


@cause
def subclass(x):
    return x.as_subclass(Sub)  # here


@cause
def file(x):
    with open(os.devnull) as f:  # here
        return x + len(f.read())


@cause
def temporary(x):
    return x, tempfile.mkstemp()[1] is None  # here


@cause
def lock(x):
    with threading.Lock():  # here
        return x + 1


@cause
def thread(x):
    t = threading.Thread(target=lambda: None)  # here
    t.start()
    t.join()
    return x


@cause
def sockets(x):
    s = socket.socket()  # here
    s.close()
    return x


@cause
def process(x):
    return x + subprocess.call(["true"])  # here


@cause
def sleeping(x):
    time.sleep(0)  # here
    return x + 1


@cause
def clock(x):
    return x * (time.time() > 0)  # here


@cause
def today(x):
    return x + datetime.datetime.now().year  # here


@cause
def random_number(x):
    return x * random.random()  # here


@cause
def secret(x):
    return x, secrets.token_bytes(2)  # here


@cause
def unique(x):
    return x, uuid.uuid4()  # here


@cause
def numpys_random(x):
    return x * float(np.random.rand())  # here


@cause
def seeded(x):
    torch.manual_seed(0)  # here
    return x + torch.rand(3)


@cause
def to_numpy(x):
    return np.fft.fft(x.numpy()), x  # here


@cause
def from_c(x):
    return x + ctypes.sizeof(ctypes.c_int)  # here


@cause
def compressed(x):
    return x + zlib.crc32(b"abc") % 3, zlib.decompressobj()  # here


@cause
def packed(x):
    return x, struct.Struct("i").pack(3)  # here


@cause
def pickled(x):
    return x, pickle.dumps([x])  # here


@cause
def saved(x):
    torch.save(x, io.BytesIO())  # here
    return x


@cause
def written(x):
    return json.dumps({"a": x.sum().item()}), x  # here


@cause
def matched(x):
    return re.compile("a+").scanner("aaa"), x  # here


@cause
def collected(x):
    gc.collect()  # here
    return x + 1


@cause
def referenced(x):
    return x, weakref.ref(x) is None  # here


@cause
def tracing(x):
    sys.settrace(None)  # here
    return x


@cause
def waiting(x):
    return x, select.select([], [], [], 0)  # here


@cause
def default_changed(x):
    torch.set_default_dtype(torch.float32)  # here
    return x


@cause
def hooked(x):
    y = x * 2
    y.register_hook(lambda g: g)  # here
    return y


@cause
def class_made(x):
    class Local:  # here
        pass

    return x, Local


@cause
def scripted(x):
    return torch.jit.script(lambda v: v)(x)  # here


@cause
def finalised(x):
    weakref.finalize(CAUSES[0], print)  # here
    return x
