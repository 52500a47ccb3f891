"""Attention with its projections: several heads, shared keys and values, another sequence.

Sources: Vaswani et al., Attention Is All You Need (2017), section 3.2.2; Shazeer, Fast Transformer Decoding (2019), section 3;
Ainslie et al., GQA (2023), section 2.2.
"""

from sympy import Eq, Sum, exp, sqrt

from derive.spec import Layer
from derive.symbols import axes, tensors

b, h, i, j, k, d, e, c, m, d_k = axes("b:B h:H i:N j:N k:N d:d_k e:d_v c:C m:C d_k")
X, W_q, W_k, W_v, W_o = tensors("X[B,N,C] W_q[H,C,d_k] W_k[H,C,d_k] W_v[H,C,d_v] W_o[H,d_v,C]")
Q, K, V, S, P, O, Y = tensors("Q[B,H,N,d_k] K[B,H,N,d_k] V[B,H,N,d_v] S[B,H,N,N] P[B,H,N,N] O[B,H,N,d_v] Y[B,N,C]")
MULTI_HEAD = Layer(
    "multi_head",
    [
        Eq(Q[b, h, i, d], Sum(X[b, i, c] * W_q[h, c, d], c)),
        Eq(K[b, h, j, d], Sum(X[b, j, c] * W_k[h, c, d], c)),
        Eq(V[b, h, j, e], Sum(X[b, j, c] * W_v[h, c, e], c)),
        Eq(S[b, h, i, j], Sum(Q[b, h, i, d] * K[b, h, j, d], d) / sqrt(d_k)),
        Eq(P[b, h, i, j], exp(S[b, h, i, j]) / Sum(exp(S[b, h, i, k]), k)),
        Eq(O[b, h, i, e], Sum(P[b, h, i, j] * V[b, h, j, e], j)),
        Eq(Y[b, i, m], Sum(O[b, h, i, e] * W_o[h, e, m], h, e)),
    ],
    doc="Self-attention with h heads and W_q, W_k, W_v, W_o; dX sums three paths. Vaswani et al. (2017), section 3.2.2.",
)

b, h, i, j, k, d, e, c, m, d_k = axes("b:B h:H i:N j:M k:M d:d_k e:d_v c:C m:C d_k")
X, Z = tensors("X[B,N,C] Z[B,M,C]")
Q, K, V, S, P, O, Y = tensors("Q[B,H,N,d_k] K[B,H,M,d_k] V[B,H,M,d_v] S[B,H,N,M] P[B,H,N,M] O[B,H,N,d_v] Y[B,N,C]")
CROSS_ATTENTION = Layer(
    "cross_attention",
    [
        Eq(Q[b, h, i, d], Sum(X[b, i, c] * W_q[h, c, d], c)),
        Eq(K[b, h, j, d], Sum(Z[b, j, c] * W_k[h, c, d], c)),
        Eq(V[b, h, j, e], Sum(Z[b, j, c] * W_v[h, c, e], c)),
        Eq(S[b, h, i, j], Sum(Q[b, h, i, d] * K[b, h, j, d], d) / sqrt(d_k)),
        Eq(P[b, h, i, j], exp(S[b, h, i, j]) / Sum(exp(S[b, h, i, k]), k)),
        Eq(O[b, h, i, e], Sum(P[b, h, i, j] * V[b, h, j, e], j)),
        Eq(Y[b, i, m], Sum(O[b, h, i, e] * W_o[h, e, m], h, e)),
    ],
    doc="Queries from X, keys and values from another sequence Z. Vaswani et al. (2017), section 3.2.3.",
)

g, r, i, j, k, d, e, d_k = axes("g:G r:R i:N j:M k:M d:d_k e:d_v d_k")
Q, K, V, S, P, O = tensors("Q[G,R,N,d_k] K[G,M,d_k] V[G,M,d_v] S[G,R,N,M] P[G,R,N,M] O[G,R,N,d_v]")
GROUPED_QUERY = Layer(
    "grouped_query",
    [
        Eq(S[g, r, i, j], Sum(Q[g, r, i, d] * K[g, j, d], d) / sqrt(d_k)),
        Eq(P[g, r, i, j], exp(S[g, r, i, j]) / Sum(exp(S[g, r, i, k]), k)),
        Eq(O[g, r, i, e], Sum(P[g, r, i, j] * V[g, j, e], j)),
    ],
    batch="b:B",
    doc="r query heads share the keys and values of their group, whose gradients add over them. Ainslie et al. (2023), section 2.2.",
)

(h,) = axes("h:H")
Q, K, V, S, P, O = tensors("Q[H,N,d_k] K[M,d_k] V[M,d_v] S[H,N,M] P[H,N,M] O[H,N,d_v]")
MULTI_QUERY = Layer(
    "multi_query",
    [
        Eq(S[h, i, j], Sum(Q[h, i, d] * K[j, d], d) / sqrt(d_k)),
        Eq(P[h, i, j], exp(S[h, i, j]) / Sum(exp(S[h, i, k]), k)),
        Eq(O[h, i, e], Sum(P[h, i, j] * V[j, e], j)),
    ],
    batch="b:B",
    doc="All heads share one set of keys and values. Shazeer (2019), section 3.",
)
