"""A bilinear pooling head (Lin, RoyChowdhury & Maji 2015), which tells textures apart by what goes with what, wherever it is.

Two feature maps are multiplied at every place and averaged over places; the products get a signed root, each image's are scaled to
length one, and a linear map reads the classes off them.
"""

from __future__ import annotations

import torch
from sympy import Abs, Eq, Rational, Sum, sqrt
from torch import Tensor, nn
from torch.nn import functional as F
from training import Function, leave, side_by_side

import codegen
from derive import Layer, axes, tensors

b, s, p, q, k, S = axes("b:B s:S p:P q:Q k:K S")
X, Y, W, c, Z, R, l, O = tensors("X[B,S,P] Y[B,S,Q] W[P,Q,K] c[K] Z[B,P,Q] R[B,P,Q] l[B] O[B,K]")
POOLING = Layer(
    "bilinear_pooling",
    [
        Eq(Z[b, p, q], Sum(X[b, s, p] * Y[b, s, q], s) / S),
        Eq(R[b, p, q], Z[b, p, q] / sqrt(Abs(Z[b, p, q]) + Rational(1, 100))),
        Eq(l[b], sqrt(Sum(R[b, p, q] ** 2, p, q))),
        Eq(O[b, k], Sum(R[b, p, q] * W[p, q, k], p, q) / l[b] + c[k]),
    ],
)


def plain(X: Tensor, Y: Tensor, W: Tensor, c: Tensor) -> Tensor:
    """The same head in torch's own operations."""
    Z = X.mT @ Y / X.shape[1]
    R = (Z / (Z.abs() + 0.01).sqrt()).flatten(1)
    return F.normalize(R) @ W.flatten(0, 1) + c


class Model(nn.Module):
    """Two small feature maps, the head, and cross-entropy."""

    def __init__(self, head: Function) -> None:
        super().__init__()
        self.left = nn.Sequential(nn.Linear(6, 5), nn.Tanh())
        self.right = nn.Sequential(nn.Linear(6, 4), nn.Tanh())
        self.W = nn.Parameter(0.1 * torch.randn(5, 4, 3))
        self.c = nn.Parameter(torch.zeros(3))
        self.head = head

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.head(self.left(images), self.right(images), self.W, self.c), labels)


def textures(random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images as sets of 20 places with 6 channels: a class says which channels go together, and nothing else."""
    labels = torch.randint(0, 3, (32,), generator=random)
    images = torch.randn(32, 20, 6, generator=random)
    for label, (one, other) in enumerate(((0, 1), (2, 3), (4, 5))):
        images[labels == label, :, one] = images[labels == label, :, other]
    return images, labels


def main() -> bool:
    """Train both; whether they agree."""
    return side_by_side(Model, textures, codegen.kernel(POOLING), plain, rate=0.2)


if __name__ == "__main__":
    leave(main())
