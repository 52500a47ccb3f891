"""Scaled dot-product attention, for every head of every example.

Source: Vaswani et al., Attention Is All You Need (2017), section 3.2.1, equation (1).
"""

from sympy import Eq, Sum, exp, sqrt

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, d, e, d_k = axes("i:N j:M k:M d:d_k e:d_v d_k")
Q, K, V, S, P, O = tensors("Q[N,d_k] K[M,d_k] V[M,d_v] S[N,M] P[N,M] O[N,d_v]")

ATTENTION = Layer(
    "attention",
    [
        Eq(S[i, j], Sum(Q[i, d] * K[j, d], d) / sqrt(d_k)),
        Eq(P[i, j], exp(S[i, j]) / Sum(exp(S[i, k]), k)),
        Eq(O[i, e], Sum(P[i, j] * V[j, e], j)),
    ],
    batch="b:B h:H",
    doc="O = softmax(Q K^T / sqrt(d_k)) V for every head. Vaswani et al. (2017), section 3.2.1, equation (1).",
)
