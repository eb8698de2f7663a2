"""DistributedDataParallel and fully_shard on two processes: compiled before and after wrapping, losses and weights are eager's."""

# mypy: ignore-errors

from __future__ import annotations

import os
import socket

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import quern
from quern.callbacks import callback_handler

pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="needs gloo")


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 4))


def shard(net):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (2,))
    for layer in net:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    return fully_shard(net, mesh=mesh)


def in_place(net, backend):
    net.compile(backend=backend)
    return net


def layers_in_place(net, backend):
    for layer in net:
        layer.compile(backend=backend, fullgraph=True)
    return net


#: name -> (net, backend) -> what is trained
DATA_PARALLEL = {
    "compiled after": lambda net, b: torch.compile(DistributedDataParallel(net), backend=b),
    "compiled before": lambda net, b: DistributedDataParallel(torch.compile(net, backend=b)),
    "in place after": lambda net, b: in_place(DistributedDataParallel(net), b),
    "in place before": lambda net, b: DistributedDataParallel(in_place(net, b)),
    "static": lambda net, b: torch.compile(
        DistributedDataParallel(net, static_graph=True, gradient_as_bucket_view=True), backend=b
    ),
}
SHARDED = {
    "layers before": lambda net, b: shard(layers_in_place(net, b)),
    "layers after": lambda net, b: layers_in_place(shard(net), b),
    "compiled after": lambda net, b: torch.compile(shard(net), backend=b),
    "in place after": lambda net, b: in_place(shard(net), b),
    "in place before": lambda net, b: shard(in_place(net, b)),
}


def train(net, rank):
    optimizer, losses = torch.optim.AdamW(net.parameters(), lr=0.05), []
    for step in range(3):
        generator = torch.Generator().manual_seed(10 * rank + step)
        x, y = torch.randn(6, 8, generator=generator), torch.randn(6, 4, generator=generator)
        loss = F.mse_loss(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    whole = [p.full_tensor() if hasattr(p, "full_tensor") else p for p in net.parameters()]
    return losses, [p.detach().clone() for p in whole]


def work(rank, port, ways):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=2)
    quern.install()
    sharded = ways == "sharded"
    expected = train(DistributedDataParallel(make()), rank)
    seen = []
    callback_handler.end_callbacks.append(seen.append)
    for name, way in (SHARDED if sharded else DATA_PARALLEL).items():
        for backend in ("eager", "inductor"):
            seen.clear()
            found = train(way(make(), backend), rank)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5, msg=f"{name}, {backend}")
            assert seen, f"nothing was captured: {name}, {backend}"
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("ways", ["data parallel", "sharded"])
@pytest.mark.filterwarnings("ignore")
def test_two_processes(ways):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(work, (port, ways), nprocs=2)


def test_rank_and_number_of_processes_are_known_in_a_graph():
    def scaled(x):
        if dist.is_available() and dist.is_initialized():
            return x * dist.get_world_size() + dist.get_rank() + len(dist.get_backend())
        return x

    x = torch.ones(2)
    compiled = quern.compile(scaled, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), x)
    dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
    try:
        assert torch.equal(compiled(x), scaled(x)) and compiled(x)[0] == 5
    finally:
        dist.destroy_process_group()
    assert torch.equal(compiled(x), x)
    with pytest.raises(ValueError, match="process group"):
        quern.compile(lambda x: x * dist.get_rank(), backend="eager")(x)
