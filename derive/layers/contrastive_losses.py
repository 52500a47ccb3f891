"""Losses on pairs: matching ones against all others of the batch, preferred ones against rejected ones.

Sources: van den Oord, Li and Vinyals, Contrastive Predictive Coding (2018), equation (4); Radford et al., CLIP (2021), figure 3;
Rafailov et al., Direct Preference Optimization (2023), equation (7).
"""

from sympy import Eq, Sum, exp, log, sqrt

from derive.scalar import softplus
from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, d, B = axes("i:B j:B k:B d:K B")
Q, K, tau, S, P, L = tensors("Q[B,K] K[B,K] tau:const S[B,B] P[B,B] L[]")

INFO_NCE = Layer(
    "info_nce",
    [
        Eq(S[i, j], Sum(Q[i, d] * K[j, d], d) / tau),
        Eq(P[i, j], exp(S[i, j]) / Sum(exp(S[i, k]), k)),
        Eq(L, -Sum(log(P[i, i]), i) / B),
    ],
    doc="The mean cross-entropy of picking key i for query i among all keys, at temperature tau. van den Oord et al. (2018), equation (4).",
)

i, j, k, d, e, B = axes("i:B j:B k:B d:K e:K B")
X, Y, scale, U, V, R, C = tensors("X[B,K] Y[B,K] scale[] U[B,K] V[B,K] R[B,B] C[B,B]")

CLIP = Layer(
    "clip",
    [
        Eq(U[i, d], X[i, d] / sqrt(Sum(X[i, e] ** 2, e))),
        Eq(V[i, d], Y[i, d] / sqrt(Sum(Y[i, e] ** 2, e))),
        Eq(S[i, j], scale * Sum(U[i, d] * V[j, d], d)),
        Eq(R[i, j], exp(S[i, j]) / Sum(exp(S[i, k]), k)),
        Eq(C[i, j], exp(S[i, j]) / Sum(exp(S[k, j]), k)),
        Eq(L, -(Sum(log(R[i, i]), i) + Sum(log(C[i, i]), i)) / (2 * B)),
    ],
    doc="InfoNCE from images X to texts Y and back, on unit rows, at a learned scale. Radford et al. (2021), figure 3.",
)

i, B = axes("i:B B")
w, l, w_ref, l_ref, beta, h, L = tensors("w[B] l[B] w_ref[B]:const l_ref[B]:const beta:const h[B] L[]")

DPO = Layer(
    "dpo",
    [
        Eq(h[i], beta * ((w[i] - w_ref[i]) - (l[i] - l_ref[i]))),
        Eq(L, Sum(softplus(-h[i]), i) / B),
    ],
    doc="The mean of -log sigmoid(beta (log-ratio of preferred w - log-ratio of rejected l)). Rafailov et al. (2023), equation (7).",
)
