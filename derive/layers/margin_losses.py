"""Losses that ask for a margin. Labels are -1 and 1, or classes; reductions and kinks are those of torch.

Sources: Rosenblatt (1958), as in Bishop, Pattern Recognition and Machine Learning (2006), section 4.1.7; Cortes and Vapnik (1995);
Weston and Watkins (1999); Balntas et al., Learning local feature descriptors with triplets (2016).
"""

from sympy import Eq, Rational, Sum, sqrt

from derive.scalar import relu
from derive.spec import Layer
from derive.symbols import axes, tensors

i, B = axes("i:B B")
z, s, margin, L = tensors("z[B] s[B]:const margin:const L[]")

PERCEPTRON = Layer(
    "perceptron",
    [Eq(L, Sum(relu(-s[i] * z[i]), i) / B)],
    doc="L is the mean of max(-s z, 0), with s = -1 or 1. Bishop (2006), section 4.1.7, equation (4.54).",
)

HINGE = Layer(
    "hinge",
    [Eq(L, Sum(relu(1 - s[i] * z[i]), i) / B)],
    doc="L is the mean of max(1 - s z, 0), with s = -1 or 1. Cortes and Vapnik (1995); Bishop (2006), section 7.1.2.",
)

# torch clamps at 0 in the three losses below, which has the slope 1 at the kink itself: u + relu(-u) is max(u, 0) with that slope.
z, v, s, margin, u, L = tensors("z[B] v[B] s[B]:const margin:const u[B] L[]")
MARGIN_RANKING = Layer(
    "margin_ranking",
    [
        Eq(u[i], margin - s[i] * (z[i] - v[i])),
        Eq(L, Sum(u[i] + relu(-u[i]), i) / B),
    ],
    doc="L is the mean of max(margin - s (z - v), 0), with s = -1 or 1, as in torch.nn.MarginRankingLoss.",
)

i, k, B = axes("i:B k:K B")
A, P, N, margin, p, n, u, L = tensors("A[B,K] P[B,K] N[B,K] margin:const p[B] n[B] u[B] L[]")
TINY = Rational(1, 10**6)

TRIPLET = Layer(
    "triplet",
    [
        Eq(p[i], sqrt(Sum((A[i, k] - P[i, k] + TINY) ** 2, k))),
        Eq(n[i], sqrt(Sum((A[i, k] - N[i, k] + TINY) ** 2, k))),
        Eq(u[i], margin + p[i] - n[i]),
        Eq(L, Sum(u[i] + relu(-u[i]), i) / B),
    ],
    doc="The mean of max(margin + |A - P| - |A - N|, 0), as in torch.nn.TripletMarginLoss. Balntas et al. (2016).",
)

X, Y, s, margin, c, u, U, V, L = tensors("X[B,K] Y[B,K] s[B]:const margin:const c[B] u[B] U[B] V[B] L[]")
TINY = Rational(1, 10**12)

COSINE_EMBEDDING = Layer(
    "cosine_embedding",
    [
        Eq(U[i], Sum(X[i, k] ** 2, k) + TINY),
        Eq(V[i], Sum(Y[i, k] ** 2, k) + TINY),
        Eq(c[i], Sum(X[i, k] * Y[i, k], k) / sqrt(U[i] * V[i])),
        Eq(u[i], c[i] - margin),
        Eq(L, Sum((1 + s[i]) * (1 - c[i]) + (1 - s[i]) * (u[i] + relu(-u[i])), i) / (2 * B)),
    ],
    doc="The mean of 1 - cos(X, Y) where s = 1, of max(cos(X, Y) - margin, 0) where s = -1, as in torch.nn.CosineEmbeddingLoss.",
)

i, j, B, C = axes("i:B j:C B C")
Z, y, margin, L = tensors("Z[B,C] y[B]:int margin:const L[]")

# The sum runs over every class; the label's own term is the margin, which is subtracted again.
MULTI_CLASS_HINGE = Layer(
    "multi_class_hinge",
    [Eq(L, Sum(relu(margin + Z[i, j] - Z[i, y[i]]), i, j) / (B * C) - relu(margin) / C)],
    doc="L is the mean of max(margin + Z_j - Z_y, 0) over the classes j other than y, divided by C. Weston and Watkins (1999).",
)
