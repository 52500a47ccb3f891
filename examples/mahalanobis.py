"""A Mahalanobis metric, learned from triplets: an anchor, a neighbour of its class, and a stranger (Weinberger & Saul 2009).

The distance is d(a, b) = (a - b)^T W^T W (a - b); a stranger should be further away than a neighbour by a margin of 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from training import Function, leave, side_by_side

import codegen
from derive import Layer

SPEC = """
U[n,k] = sum(c, W[k,c] * (A[n,c] - B[n,c]))
V[n,k] = sum(c, W[k,c] * (A[n,c] - Z[n,c]))
L = sum(n, relu(1 + sum(k, U[n,k]^2) - sum(k, V[n,k]^2))) / size(n)
"""


def plain(W: Tensor, A: Tensor, B: Tensor, Z: Tensor) -> Tensor:
    """The same loss in torch's own operations."""
    near, far = ((A - B) @ W.T).square().sum(1), ((A - Z) @ W.T).square().sum(1)
    return torch.relu(1 + near - far).mean()


class Model(nn.Module):
    """A small embedding, and a metric on it."""

    def __init__(self, loss: Function) -> None:
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(8, 16), nn.Tanh())
        self.metric = nn.Parameter(0.1 * torch.randn(4, 16))
        self.loss = loss

    def forward(self, anchor: Tensor, neighbour: Tensor, stranger: Tensor) -> Tensor:
        return self.loss(self.metric, self.embed(anchor), self.embed(neighbour), self.embed(stranger))


def triplets(random: torch.Generator) -> tuple[Tensor, ...]:
    """Points of two classes that differ in two of eight coordinates; the other six are louder, and noise."""
    side = torch.randint(0, 2, (64, 1), generator=random) * 2.0 - 1
    centre = torch.tensor([1.0, -1.0, 0, 0, 0, 0, 0, 0])
    loud = torch.tensor([0.8, 0.8, 2, 2, 2, 2, 2, 2])
    return tuple(where * side * centre + loud * torch.randn(64, 8, generator=random) for where in (1, 1, -1))


def main() -> bool:
    """Train both; whether they agree."""
    kernel = codegen.kernel(Layer.parse("metric_loss", SPEC))
    return side_by_side(Model, triplets, kernel, plain, rate=0.02)


if __name__ == "__main__":
    leave(main())
