"""Functions that cannot be one graph, each for its own reason. The line at fault ends with the comment `here`.

known=("run",): plain Python does not finish, or fails.
"""

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
from registry import Expect, Topic

import quern

X = torch.arange(6.0).reshape(2, 3)
program = Topic(__name__, lambda fn: lambda: (X,), expect=Expect.REFUSED)


@program
def branch(x):
    if x.sum() > 0:  # here
        return x + 1
    return x - 1


@program
def loop_condition(x):
    while x.sum() < 100:  # here
        x = x * 2
    return x


@program
def ternary(x):
    return x + 1 if x[0, 0] > 3 else x  # here


@program
def conjunction(x):
    return x.sum() > 0 and x.mean() > 0  # here


@program
def truth(x):
    return bool(x.sum())  # here


@program
def assertion(x):
    assert x.min() >= 0, "negative"  # here
    return x


@program
def membership(x):
    return 3.0 in x  # here


@program
def comparison_of_numbers(x):
    return max(x.sum().item(), 3) + x  # here


@program
def range_over_data(x):
    for i in range(int(x.sum())):  # here
        x = x + i
    return x


@program
def key_from_data(x):
    return {0: x, 15: x + 1}[int(x.sum())]  # here


@program
def text_of_tensor(x):
    return f"{x}", x + 1  # here


@program
def repr_of_tensor(x):
    return repr(x)  # here


@program
def printing(x):
    print(x + 1)  # here
    return x


@program
def requested(x):
    quern.graph_break("a reason of mine")  # here
    return x


@quern.disable(reason="it must stay as it is")
def disabled_function(x):
    return x


@program
def disabled(x):
    return disabled_function(x) + 1  # here


@torch.compiler.disable
def disabled_by_torch(x):
    return x


@program
def disabled_torchs_way(x):
    return disabled_by_torch(x) + 1  # here


@program(known=("run",))
def deep(x):
    def down(n):
        return x if n == 0 else down(n - 1) + 1  # here

    return down(5000)


@program(known=("run",))
def long_loop(x):
    n = 0
    while n < 10**9:  # here
        n += 1
    return x + n


@program
def identity(x):
    return x + id(x) % 2  # here


@program
def hash_of_tensor(x):
    return x + hash(x) % 2  # here


@program
def address(x):
    return x + x.data_ptr() % 2  # here


@program
def storage(x):
    return x.untyped_storage().nbytes() + x  # here


@program
def executed(x):
    exec("y = 1")  # here
    return x


@program
def evaluated(x):
    return eval("x + 1")  # here


@program
def compiled_text(x):
    compile("1", "f", "eval")  # here
    return x


@program
def global_names(x):
    return x + len(globals())  # here


@program
def frames(x):
    return x + sys._getframe().f_lineno  # here


@program
def inspected(x):
    return x + len(inspect.stack())  # here


@program
def caller(x):
    return x, inspect.currentframe().f_code.co_name  # here


@program
def traces(x):
    return x + len(traceback.format_stack())  # here


@program
def coroutine(x):
    async def later():
        return x + 1

    return asyncio.run(later())  # here


@program
def backward(x):
    y = x.clone().requires_grad_()  # here
    y.sum().backward()
    return y.grad


@program
def sparse(x):
    return x.to_sparse()  # here


@program
def file(x):
    with open(os.devnull) as f:  # here
        return x + len(f.read())


@program
def temporary(x):
    return x, tempfile.mkstemp()[1] is None  # here


@program
def lock(x):
    with threading.Lock():  # here
        return x + 1


@program
def thread(x):
    t = threading.Thread(target=lambda: None)  # here
    t.start()
    t.join()
    return x


@program
def sockets(x):
    s = socket.socket()  # here
    s.close()
    return x


@program
def process(x):
    return x + subprocess.call(["true"])  # here


@program
def sleeping(x):
    time.sleep(0)  # here
    return x + 1


@program
def clock(x):
    return x * (time.time() > 0)  # here


@program
def today(x):
    return x + datetime.datetime.now().year  # here


@program
def random_number(x):
    return x * random.random()  # here


@program
def secret(x):
    return x, secrets.token_bytes(2)  # here


@program
def unique(x):
    return x, uuid.uuid4()  # here


@program
def numpys_random(x):
    return x * float(np.random.rand())  # here


@program
def seeded(x):
    torch.manual_seed(0)  # here
    return x + torch.rand(3)


@program
def numpy_of_a_tensor(x):
    return np.frexp(x), x  # here


@program
def from_c(x):
    return x + ctypes.sizeof(ctypes.c_int)  # here


@program
def compressed(x):
    return x + zlib.crc32(b"abc") % 3, zlib.decompressobj()  # here


@program
def packed(x):
    return x, struct.Struct("i").pack(3)  # here


@program
def pickled(x):
    return x, pickle.dumps([x])  # here


@program
def saved(x):
    torch.save(x, io.BytesIO())  # here
    return x


@program
def written(x):
    return json.dumps({"a": x.sum().item()}), x  # here


@program
def matched(x):
    return re.compile("a+").scanner("aaa"), x  # here


@program
def collected(x):
    gc.collect()  # here
    return x + 1


@program
def referenced(x):
    return x, weakref.ref(x) is None  # here


@program
def tracing(x):
    sys.settrace(None)  # here
    return x


@program
def waiting(x):
    return x, select.select([], [], [], 0)  # here


@program
def default_changed(x):
    torch.set_default_dtype(torch.float32)  # here
    return x


@program
def class_made(x):
    class Local:  # here
        pass

    return x, Local


@program(known=("run",))
def scripted(x):
    return torch.jit.script(lambda v: v)(x)  # here


@program
def finalised(x):
    weakref.finalize(branch, print)  # here
    return x
