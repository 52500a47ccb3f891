"""Gated linear attention (Yang et al. 2024): the spec is its parallel form, autograd runs the recurrence.

The state forgets by a gate for each feature and takes in a new outer product, S_t = diag(a_t) S_{t-1} + k_t v_t^T with a_t = sigmoid(z_t),
and is read by o_t = S_t^T q_t. Unrolled, a_{s+1} ... a_t is exp(G_t - G_s) for the running sum G of log a.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from training import Function, leave, side_by_side

import codegen
from derive import Layer

SPEC = """
axes t:T s:T
inputs Q K V Z
G[b,t,d] = -sum(s, where(s <= t, softplus(-Z[b,s,d]), 0))
A[b,t,s] = sum(d, where(s <= t, Q[b,t,d] * K[b,s,d] * exp(G[b,t,d] - G[b,s,d]), 0))
O[b,t,e] = sum(s, A[b,t,s] * V[b,s,e])
"""


def plain(Q: Tensor, K: Tensor, V: Tensor, Z: Tensor) -> Tensor:
    """The recurrence, a step at a time."""
    state = torch.zeros(Q.shape[0], Q.shape[2], V.shape[2])
    read = []
    for q, k, v, gate in zip(Q.unbind(1), K.unbind(1), V.unbind(1), torch.sigmoid(Z).unbind(1)):
        state = gate[:, :, None] * state + k[:, :, None] * v[:, None, :]
        read.append((q[:, :, None] * state).sum(1))
    return torch.stack(read, 1)


class Model(nn.Module):
    """Projections around the attention, and the mean squared error of what is read off."""

    def __init__(self, attention: Function) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(4, width) for width in (6, 6, 5, 6))
        self.out = nn.Linear(5, 1)
        self.attention = attention

    def forward(self, X: Tensor, Y: Tensor) -> Tensor:
        read = self.out(self.attention(*(project(X) for project in self.project)))
        return (read - Y).square().mean()


def averages(random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Sequences and the fading sum of one coordinate of theirs, which the gates have to find: half is forgotten in three steps."""
    X = torch.randn(16, 12, 4, generator=random)
    X[:, :, 3] = 1
    Y = torch.zeros(16, 12, 1)
    for t in range(12):
        Y[:, t] = X[:, t, :1] + (0.8 * Y[:, t - 1] if t else 0)
    return X, Y


def main() -> bool:
    """Train both; whether they agree."""
    kernel = codegen.kernel(Layer.parse("gated_linear_attention", SPEC))
    return side_by_side(Model, averages, kernel, plain, rate=0.02)


if __name__ == "__main__":
    leave(main())
