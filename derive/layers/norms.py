"""Normalisations, and the norms and angles of rows.

Sources: Ba, Kiros and Hinton, Layer Normalization (2016), section 3; Zhang and Sennrich, Root Mean Square Layer Normalization (2019),
equation (4); Ioffe and Szegedy, Batch Normalization (2015), algorithms 1 and 2; Wu and He, Group Normalization (2018), section 3.1.
"""

from sympy import Abs, Eq, Max, Piecewise, Sum, sqrt

from derive.spec import Layer
from derive.symbols import axes, tensors

n, c, C = axes("n:N c:C C")
X, g, b, eps, m, v, Y = tensors("X[N,C] g[C] b[C] eps:const m[N] v[N] Y[N,C]")

LAYER_NORM = Layer(
    "layer_norm",
    [
        Eq(m[n], Sum(X[n, c], c) / C),
        Eq(v[n], Sum((X[n, c] - m[n]) ** 2, c) / C),
        Eq(Y[n, c], g[c] * (X[n, c] - m[n]) / sqrt(v[n] + eps) + b[c]),
    ],
    doc="Each row with mean 0 and variance 1, then scaled by g and shifted by b. Ba, Kiros and Hinton (2016), section 3.",
)

RMS_NORM = Layer(
    "rms_norm",
    [Eq(v[n], Sum(X[n, c] ** 2, c) / C), Eq(Y[n, c], g[c] * X[n, c] / sqrt(v[n] + eps))],
    doc="Each row divided by its root mean square, then scaled by g. Zhang and Sennrich (2019), equation (4).",
)

n, c, N = axes("n:N c:C N")
X, g, b, eps, m, v, Y = tensors("X[N,C] g[C] b[C] eps:const m[C] v[C] Y[N,C]")

BATCH_NORM = Layer(
    "batch_norm",
    [
        Eq(m[c], Sum(X[n, c], n) / N),
        Eq(v[c], Sum((X[n, c] - m[c]) ** 2, n) / N),
        Eq(Y[n, c], g[c] * (X[n, c] - m[c]) / sqrt(v[c] + eps) + b[c]),
    ],
    doc="Training: each channel with mean 0 and variance 1 over the batch, then g and b. Ioffe and Szegedy (2015), algorithm 1.",
)

STANDARDIZE = Layer(
    "standardize",
    [
        Eq(m[c], Sum(X[n, c], n) / N),
        Eq(v[c], Sum((X[n, c] - m[c]) ** 2, n) / N),
        Eq(Y[n, c], (X[n, c] - m[c]) / sqrt(v[c] + eps)),
    ],
    doc="Each column of the data with mean 0 and variance 1, eps aside. Hastie, Tibshirani and Friedman (2009), section 11.5.3.",
)

X, g, b, m, v, eps, Y = tensors("X[N,C] g[C] b[C] m[C]:const v[C]:const eps:const Y[N,C]")

BATCH_NORM_EVAL = Layer(
    "batch_norm_eval",
    [Eq(Y[n, c], g[c] * (X[n, c] - m[c]) / sqrt(v[c] + eps) + b[c])],
    doc="Evaluation: the mean m and the variance v were kept from training. Ioffe and Szegedy (2015), algorithm 2.",
)

n, k, c, s, C, S = axes("n:N k:G c:C s:S C S")
X, g, b, eps, m, v, Y = tensors("X[N,G,C,S] g[G,C] b[G,C] eps:const m[N,G] v[N,G] Y[N,G,C,S]")

GROUP_NORM = Layer(
    "group_norm",
    [
        Eq(m[n, k], Sum(X[n, k, c, s], c, s) / (C * S)),
        Eq(v[n, k], Sum((X[n, k, c, s] - m[n, k]) ** 2, c, s) / (C * S)),
        Eq(Y[n, k, c, s], g[k, c] * (X[n, k, c, s] - m[n, k]) / sqrt(v[n, k] + eps) + b[k, c]),
    ],
    doc="Each of G groups of C channels with mean 0 and variance 1 over channels and positions. Wu and He (2018), section 3.1.",
)

n, k = axes("n:N k:K")
X, Y, R, S, eps = tensors("X[N,K] Y[N,K] R[N] S[N] eps:const")

ROW_NORM = Layer(
    "row_norm",
    [Eq(R[n], sqrt(Sum(X[n, k] ** 2, k)))],
    doc="R = |X|, the Euclidean length of each row.",
)

U, V = tensors("U[N] V[N]")

COSINE_SIMILARITY = Layer(
    "cosine_similarity",
    [
        Eq(U[n], Sum(X[n, k] ** 2, k)),
        Eq(V[n], Sum(Y[n, k] ** 2, k)),
        Eq(S[n], Sum(X[n, k] * Y[n, k], k) / (sqrt(Max(U[n], eps**2)) * sqrt(Max(V[n], eps**2)))),
    ],
    doc="S = X.Y / (|X| |Y|), each length at least eps, as in torch.nn.CosineSimilarity.",
)

p, M = tensors("p:const M[N]")

ROWS_NORMALIZED = Layer(
    "rows_normalized",
    [
        Eq(S[n], Sum(Abs(X[n, k]) ** p, k)),
        Eq(R[n], Piecewise((S[n] ** (1 / p), S[n] > 0), (0, True))),
        Eq(M[n], Piecewise((R[n], R[n] >= eps), (eps, True))),
        Eq(Y[n, k], X[n, k] / M[n]),
    ],
    inputs="X p eps",
    doc="Each row divided by its p-norm, or by eps where that is smaller, as torch.nn.functional.normalize.",
)
