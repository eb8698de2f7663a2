"""`python -m bench bytes`: what functions move to and from memory, counted from their plans, beside the least that is possible.

    python -m bench bytes [--only WORD] [--json FILE]

Each kernel and each call of the library reads and writes its buffers once. The least is: every argument read once, every result
written once; where a function needs but a part of an argument, its row says how much.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Function:
    """read: bytes of the arguments that it needs (None: all); written: bytes that it writes beside its results"""

    name: str
    call: Callable[..., Any]
    args: tuple[Any, ...]
    read: int | None = None
    written: int = 0


@dataclass(frozen=True)
class Traffic:
    name: str
    moved: int
    least: int
    kernels: int
    calls: int

    @property
    def ratio(self) -> float:
        return self.moved / self.least


def functions() -> list[Function]:
    """Small functions of the usual kinds: pointwise, reductions, normalisations, losses, joins, pieces, moves, writes in place."""
    import torch
    import torch.nn.functional as F

    make = torch.Generator().manual_seed(0)

    def T(*shape: int) -> Any:
        return torch.randn(*shape, generator=make)

    def ids(count: int, *shape: int) -> Any:
        return torch.randint(0, count, shape, generator=make)

    x, y, z = T(256, 512), T(256, 512), T(256, 512)
    row, column = T(512), T(256, 1)
    image, channel = T(4, 16, 32, 32), T(16)
    whole, line = x.numel() * 4, 512 * 4
    rows, hot = ids(256, 64), ids(512, 256)
    qkv, heads = T(2, 128, 3 * 128), T(2, 4, 128, 32)
    cos, sin = T(128, 32), T(128, 32)
    cache, new = T(2, 4, 256, 32), T(2, 4, 1, 32)

    def rotary(x: Any, cos: Any, sin: Any) -> Any:
        left, right = x.chunk(2, -1)
        return x * cos + torch.cat([-right, left], -1) * sin

    def rms(x: Any, weight: Any) -> Any:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weight

    def write_row(cache: Any, new: Any) -> Any:
        cache[:, :, 7:8] = new

    def adam(p: Any, g: Any, m: Any, v: Any) -> None:
        m.lerp_(g, 0.1)
        v.mul_(0.99).addcmul_(g, g, value=0.01)
        p.addcdiv_(m, v.sqrt() + 1e-8, value=-1e-3)

    return [
        Function("add", lambda x, y: x + y, (x, y)),
        Function("add a row", lambda x, b: x + b, (x, row)),
        Function("add a column", lambda x, b: x + b, (x, column)),
        Function("gelu of a sum", lambda x, b: F.gelu(x + b), (x, row)),
        Function("four steps", lambda x, y: torch.sigmoid(x * 2 + 1) * y.tanh(), (x, y)),
        Function("addcmul", torch.addcmul, (x, y, z)),
        Function("where", lambda x, y, z: torch.where(x > 0, y, z), (x, y, z)),
        Function("clamp, two results", lambda x: (x.clamp(min=0), x.clamp(max=0)), (x,)),
        Function("swiglu", lambda x: (lambda a, b: F.silu(a) * b)(*x.chunk(2, -1)), (x,)),
        Function("dropout off", lambda x: F.dropout(x, 0.5, False) + 1, (x,)),
        Function("cast", lambda x: (x * 2).to(torch.bfloat16), (x,)),
        Function("masked fill", lambda x, m: x.masked_fill(m, 0.0), (x, x > 0)),
        Function("lerp", lambda x, y: torch.lerp(x, y, 0.3), (x, y)),
        Function("complex steps", lambda x, y: torch.hypot(x, y).log1p().atan2(y), (x, y)),
        Function("sum", lambda x: x.sum(), (x,)),
        Function("sum of rows", lambda x: x.sum(-1), (x,)),
        Function("sum of columns", lambda x: x.sum(0), (x,)),
        Function("mean of squares", lambda x, y: ((x - y) ** 2).mean(), (x, y)),
        Function("norm of rows", lambda x: x.norm(dim=-1), (x,)),
        Function("variance of rows", lambda x: x.var(-1), (x,)),
        Function("variance of columns", lambda x: x.var(0), (x,)),
        Function("variance and mean", lambda x: torch.var_mean(x, -1), (x,)),
        Function("largest", lambda x: x.amax(-1), (x,)),
        Function("places of the largest", lambda x: x.argmax(-1), (x,)),
        Function("largest and smallest", lambda x: (x.amax(-1), x.amin(-1)), (x,)),
        Function("any", lambda x: (x > 3).any(-1), (x,)),
        Function("logsumexp", lambda x: x.logsumexp(-1), (x,)),
        Function("cosine similarity", lambda x, y: F.cosine_similarity(x, y), (x, y)),
        Function("normalised rows", lambda x: F.normalize(x), (x,)),
        Function("standardised rows", lambda x: (x - x.mean(-1, keepdim=True)) / x.std(-1, keepdim=True), (x,)),
        Function("nearest", lambda a, b: ((a[:, None] - b) ** 2).sum(-1).min(-1).values, (T(128, 3), T(256, 3))),
        Function("softmax", lambda x: F.softmax(x, -1), (x,)),
        Function("softmax of columns", lambda x: F.softmax(x, 0), (x,)),
        Function("log softmax, scaled", lambda x: F.log_softmax(x * 0.5, -1), (x,)),
        Function("masked softmax", lambda x, m: F.softmax(x.masked_fill(m, -math.inf), -1), (x, x > 1)),
        Function("layer norm", lambda x, w, b: F.layer_norm(x, (512,), w, b), (x, row, row)),
        Function("residual and layer norm", lambda x, y, w: F.layer_norm(x + y, (512,), w), (x, y, row)),
        Function("residual kept, layer norm", lambda x, y, w: (x + y, F.layer_norm(x + y, (512,), w)), (x, y, row)),
        Function("rms norm", rms, (x, row)),
        Function("rms norm, then halves", lambda x, w: rms(x, w).chunk(2, -1), (x, row)),
        Function("batch norm", lambda x, m, v, w: F.batch_norm(x, m, v, w), (image, channel, channel.abs(), channel)),
        Function("group norm", lambda x, w, b: F.group_norm(x, 4, w, b), (image, channel, channel)),
        Function("instance norm", lambda x: F.instance_norm(x), (image,)),
        Function("cross entropy", lambda x, t: F.cross_entropy(x, t), (x, hot)),
        Function("smooth cross entropy", lambda x, t: F.cross_entropy(x, t, label_smoothing=0.1), (x, hot)),
        Function("binary cross entropy", lambda x, y: F.binary_cross_entropy_with_logits(x, y), (x, y)),
        Function("huber", lambda x, y: F.huber_loss(x, y), (x, y)),
        Function("kl divergence", lambda x, y: F.kl_div(F.log_softmax(x, -1), F.softmax(y, -1)), (x, y)),
        Function("rotary", rotary, (heads, cos, sin)),
        Function("rms norm and rotary", lambda x, w, c, s: rotary(rms(x, w), c, s), (heads, T(32), cos, sin)),
        Function("cat", lambda x, y: torch.cat([x, y]), (x, y)),
        Function("cat of columns", lambda x, y: torch.cat([x, y], -1), (x, y)),
        Function("cat of computed", lambda x, y: torch.cat([x.relu(), y * 2, x + y], -1), (x, y)),
        Function("stack", lambda x, y: torch.stack([x, y]), (x, y)),
        Function("stack of turned", lambda x: torch.stack([x.sin(), x.cos()], -1), (x,)),
        Function("cat of sums", lambda x, y: torch.cat([x.mean(-1), y.amax(-1)]), (x, y)),
        Function("split, three uses", lambda x: [t.relu() for t in x.split(128, -1)], (qkv,)),
        Function("heads of a projection", lambda x: [t.view(2, 128, 4, 32).transpose(1, 2).contiguous() for t in x.split(128, -1)], (qkv,)),
        Function("pad", lambda x: F.pad(x, (1, 1, 1, 1)), (image,)),
        Function("pad and scale", lambda x: F.pad(x * 2, (2, 2), mode="reflect"), (T(4, 512),)),
        Function("roll", lambda x: torch.roll(x, 3, -1), (x,)),
        Function("flip", lambda x: x.flip(-1) * 2, (x,)),
        Function("transpose and add", lambda x, y: x.t() + y, (x, T(512, 256))),
        Function("permute", lambda x: x.permute(0, 2, 3, 1).contiguous(), (image,)),
        Function("pixel shuffle", lambda x: F.pixel_shuffle(x, 2), (image,)),
        Function("repeat", lambda x: x.repeat(2, 1), (x,)),
        Function("interpolate", lambda x: F.interpolate(x, scale_factor=2), (image,)),
        Function("average pool", lambda x: F.avg_pool2d(x, 2), (image,)),
        Function("global average", lambda x: F.adaptive_avg_pool2d(x, 1), (image,)),
        Function("some rows", lambda x, i: x[i], (x, rows), read=64 * (line + 8)),
        Function("embedding and positions", lambda t, i, p: F.embedding(i, t) + p, (T(1000, 64), ids(1000, 2, 128), T(128, 64)), read=256 * 8 + 256 * 256 + 128 * 256),
        Function("gather", lambda x, i: x.gather(-1, i), (x, ids(512, 256, 4)), read=256 * 4 * 12),
        Function("one hot", lambda i: F.one_hot(i, 64), (ids(64, 256),)),
        Function("a slice", lambda x: x[:, 100:200] * 2, (x,), read=256 * 400),
        Function("cumulative sum", lambda x: x.cumsum(-1), (x,)),
        Function("a causal mask", lambda x: x.masked_fill(torch.ones(128, 128).triu(1).bool(), -math.inf), (T(4, 128, 128),)),
        Function("outer product", lambda a, b: a[:, None] * b, (T(256), row)),
        Function("distances", lambda a, b: ((a[:, None] - b) ** 2).sum(-1), (T(128, 3), T(256, 3))),
        Function("relu in place", lambda x: x.relu_(), (x.clone(),)),
        Function("add in place", lambda x, y: x.add_(y), (x.clone(), y)),
        Function("a row of a cache", write_row, (cache, new), read=new.numel() * 4, written=new.numel() * 4),
        Function("adam", adam, (x.clone(), y, z.clone(), z.abs()), written=3 * whole),
    ]  # fmt: skip


def measure(f: Function) -> Traffic:
    """Raises AssertionError where the function is more than one graph."""
    import torch

    import quern

    def size(value: Any) -> int:
        return sum(
            t.numel() * t.element_size() for t in torch.utils._pytree.tree_leaves(value) if isinstance(t, torch.Tensor)
        )

    def own(value: Any) -> Any:
        return value.clone() if isinstance(value, torch.Tensor) else value

    said = quern.explain(f.call)(*map(own, f.args))
    (graph,) = said.graphs
    plan = graph.record.plan
    launches = sum(len(s.launches) for s in plan.steps if hasattr(s, "launches"))
    results = 0 if f.written else size(said.result)
    least = (size(f.args) if f.read is None else f.read) + results + f.written
    return Traffic(f.name, plan.bytes_moved(), least, launches, graph.record.calls)


def main(arguments: list[str]) -> None:
    import torch

    parser = argparse.ArgumentParser(prog="python -m bench bytes", description=__doc__)
    parser.add_argument("--only", default="", help="rows whose name has this word")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    torch.set_grad_enabled(False)
    rows = [measure(f) for f in functions() if asked.only in f.name]
    table = Table(title="bytes moved, counted from the plans")
    for heading in ("function", "KiB", "least", "ratio", "kernels", "calls"):
        table.add_column(heading, justify="left" if heading == "function" else "right")
    for r in sorted(rows, key=lambda r: -r.ratio):
        table.add_row(
            r.name, f"{r.moved / 1024:.0f}", f"{r.least / 1024:.0f}", f"{r.ratio:.2f}", str(r.kernels), str(r.calls)
        )
    console = Console(width=100)
    console.print(table)
    console.print(f"{sum(r.ratio <= 1.1 for r in rows)} of {len(rows)} within 10 % of the least")
    if asked.json:
        asked.json.write_text(json.dumps([{**asdict(r), "ratio": r.ratio} for r in rows], indent=1) + "\n")
