"""A small transformer, trained twice on the repository's own proofs: with torch.nn.functional and with the generated functions.

Run `python -m benchmarks.training [--steps 200] [--compile BACKEND] [--parallel ddp|fsdp]`: it prints the two losses every
20 steps and their largest relative difference, in float64. With --parallel, two processes over gloo share each step.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as theirs
from torch import Tensor, nn

import generated.torch.functional as ours

TEXT = Path(__file__).parent.parent / "generated" / "proofs" / "attention.tex"
BATCH, LENGTH, WIDTH, HEADS, DEPTH = 4, 24, 16, 2, 2
ALLOWED = 1e-6


class Block(nn.Module):
    """A pre-norm block whose functions are those of `F`."""

    def __init__(self, F: Any) -> None:
        super().__init__()
        self.F = F
        self.first, self.second = (nn.Parameter(torch.ones(WIDTH)) for _ in range(2))
        self.mixing, self.output = nn.Parameter(torch.randn(3 * WIDTH, WIDTH) / 4), nn.Parameter(torch.randn(WIDTH, WIDTH) / 4)
        self.wide, self.narrow = nn.Parameter(torch.randn(4 * WIDTH, WIDTH) / 4), nn.Parameter(torch.randn(WIDTH, 4 * WIDTH) / 8)
        self.bias = nn.Parameter(torch.zeros(4 * WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        F = self.F
        parts = F.linear(F.layer_norm(x, (WIDTH,), self.first), self.mixing).chunk(3, -1)
        query, key, value = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + F.linear(mixed.transpose(1, 2).flatten(2), self.output)
        return x + F.linear(F.gelu(F.linear(F.layer_norm(x, (WIDTH,), self.second), self.wide, self.bias)), self.narrow)


class Transformer(nn.Module):
    """Characters in, the mean cross-entropy of the next ones out."""

    def __init__(self, F: Any, characters: int) -> None:
        super().__init__()
        self.F = F
        self.table = nn.Parameter(torch.randn(characters, WIDTH) / 4)
        self.place = nn.Parameter(torch.randn(LENGTH, WIDTH) / 4)
        self.blocks = nn.ModuleList(Block(F) for _ in range(DEPTH))
        self.norm = nn.Parameter(torch.ones(WIDTH))

    def forward(self, tokens: Tensor) -> Tensor:
        F = self.F
        x = F.embedding(tokens[:, :-1], self.table) + self.place
        for block in self.blocks:
            x = block(x)
        logits = F.linear(F.layer_norm(x, (WIDTH,), self.norm), self.table)
        return F.cross_entropy(logits.transpose(1, 2), tokens[:, 1:])  # type: ignore[no-any-return]


def text() -> tuple[Tensor, int]:
    """The characters of a generated proof as numbers, and how many different ones there are."""
    found = TEXT.read_text(encoding="utf-8")
    letters = sorted(set(found))
    return torch.tensor([letters.index(letter) for letter in found]), len(letters)


def train(F: Any, steps: int, backend: str = "", parallel: str = "", rank: int = 0, world: int = 1) -> list[float]:
    """The loss of every step, of AdamW from one seed. In parallel, each process has its own rows of every batch."""
    torch.manual_seed(0)
    characters, count = text()
    model: Any = Transformer(F, count).double()
    if parallel == "ddp":
        model = torch.nn.parallel.DistributedDataParallel(model)
    elif parallel == "fsdp":
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh("cpu", (world,))
        for block in model.blocks:
            fully_shard(block, mesh=mesh)
        fully_shard(model, mesh=mesh)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    torch._dynamo.reset()
    run = torch.compile(model, fullgraph=not parallel, backend=backend) if backend else model
    places = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(steps):
        starts = torch.randint(0, len(characters) - LENGTH - 1, (BATCH * world,), generator=places)[rank::world]
        loss = run(torch.stack([characters[start : start + LENGTH + 1] for start in starts]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss))
    return losses


def difference(mine: list[float], wanted: list[float]) -> float:
    """The largest relative difference of two runs."""
    return max(abs(a - b) / abs(b) for a, b in zip(mine, wanted))


def _worker(rank: int, options: argparse.Namespace, store: str, found: str) -> None:
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    try:
        runs = [train(F, options.steps, options.compile, options.parallel, rank, 2) for F in (ours, theirs)]
        if rank == 0:
            torch.save(runs, found)
    finally:
        dist.destroy_process_group()


def both(options: argparse.Namespace) -> tuple[list[float], list[float]]:
    """The losses of ours and of torch's."""
    if not options.parallel:
        return train(ours, options.steps, options.compile), train(theirs, options.steps, options.compile)
    with tempfile.TemporaryDirectory() as folder:
        found = os.path.join(folder, "losses")
        torch.multiprocessing.spawn(_worker, args=(options, os.path.join(folder, "store"), found), nprocs=2)
        mine, wanted = torch.load(found)
        return mine, wanted


def main(arguments: list[str]) -> int:
    """Train twice and compare; return 1 if the losses differ by more than a millionth."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--compile", default="", metavar="BACKEND", help="a backend of torch.compile, such as inductor")
    parser.add_argument("--parallel", default="", choices=["ddp", "fsdp"])
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)  # the tensors are small
    mine, wanted = both(options)
    print(f"{'step':>5} {'generated':>20} {'torch':>20}")
    for step in range(0, options.steps, 20):
        print(f"{step:5} {mine[step]:20.15f} {wanted[step]:20.15f}")
    print(f"{options.steps:5} {mine[-1]:20.15f} {wanted[-1]:20.15f}")
    found = difference(mine, wanted)
    print(f"largest relative difference of the losses: {found:.1e} ({'within' if found < ALLOWED else 'beyond'} {ALLOWED:.0e})")
    return 0 if found < ALLOWED else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
