"""A pre-norm transformer block, with one head and with several.

Source: Xiong et al., On Layer Normalization in the Transformer Architecture (2020), section 3.1, table 1 (pre-LN).
"""

from sympy import Eq, Rational, Sum, erf, exp, sqrt

from derive.spec import Layer
from derive.symbols import axes, tensors

b, i, j, k, c, m, f, h, d, e, C, d_k = axes("b:B i:N j:N k:N c:C m:C f:F h:H d:d_k e:d_v C d_k")
X, A, M, Y = tensors("X[B,N,C] A[B,N,C] M[B,N,C] Y[B,N,C]")
mu_1, var_1, g_1, b_1, mu_2, var_2, g_2, b_2 = tensors("mu_1[B,N] var_1[B,N] g_1[C] b_1[C] mu_2[B,N] var_2[B,N] g_2[C] b_2[C]")
eps = Rational(1, 100000)
U, W_1, c_1, W_2, c_2, Z, G = tensors("U[B,N,C] W_1[C,F] c_1[F] W_2[F,C] c_2[C] Z[B,N,F] G[B,N,F]")

NORM_1 = [
    Eq(mu_1[b, i], Sum(X[b, i, c], c) / C),
    Eq(var_1[b, i], Sum((X[b, i, c] - mu_1[b, i]) ** 2, c) / C),
    Eq(A[b, i, c], g_1[c] * (X[b, i, c] - mu_1[b, i]) / sqrt(var_1[b, i] + eps) + b_1[c]),
]
FEED_FORWARD = [
    Eq(mu_2[b, i], Sum(M[b, i, c], c) / C),
    Eq(var_2[b, i], Sum((M[b, i, c] - mu_2[b, i]) ** 2, c) / C),
    Eq(U[b, i, c], g_2[c] * (M[b, i, c] - mu_2[b, i]) / sqrt(var_2[b, i] + eps) + b_2[c]),
    Eq(Z[b, i, f], Sum(U[b, i, c] * W_1[c, f], c) + c_1[f]),
    Eq(G[b, i, f], Z[b, i, f] * (1 + erf(Z[b, i, f] / sqrt(2))) / 2),
    Eq(Y[b, i, m], M[b, i, m] + Sum(G[b, i, f] * W_2[f, m], f) + c_2[m]),
]

W_q, W_k, W_v, W_o = tensors("W_q[C,d_k] W_k[C,d_k] W_v[C,d_v] W_o[d_v,C]")
Q, K, V, S, P, O = tensors("Q[B,N,d_k] K[B,N,d_k] V[B,N,d_v] S[B,N,N] P[B,N,N] O[B,N,d_v]")
TRANSFORMER_BLOCK = Layer(
    "transformer_block",
    [
        *NORM_1,
        Eq(Q[b, i, d], Sum(A[b, i, c] * W_q[c, d], c)),
        Eq(K[b, j, d], Sum(A[b, j, c] * W_k[c, d], c)),
        Eq(V[b, j, e], Sum(A[b, j, c] * W_v[c, e], c)),
        Eq(S[b, i, j], Sum(Q[b, i, d] * K[b, j, d], d) / sqrt(d_k)),
        Eq(P[b, i, j], exp(S[b, i, j]) / Sum(exp(S[b, i, k]), k)),
        Eq(O[b, i, e], Sum(P[b, i, j] * V[b, j, e], j)),
        Eq(M[b, i, m], X[b, i, m] + Sum(O[b, i, e] * W_o[e, m], e)),
        *FEED_FORWARD,
    ],
    doc="X + attention(norm(X)), then M + mlp(norm(M)), with one head. Xiong et al. (2020), table 1.",
)

W_q, W_k, W_v, W_o = tensors("W_q[H,C,d_k] W_k[H,C,d_k] W_v[H,C,d_v] W_o[H,d_v,C]")
Q, K, V, S, P, O = tensors("Q[B,H,N,d_k] K[B,H,N,d_k] V[B,H,N,d_v] S[B,H,N,N] P[B,H,N,N] O[B,H,N,d_v]")
TRANSFORMER_BLOCK_HEADS = Layer(
    "transformer_block_heads",
    [
        *NORM_1,
        Eq(Q[b, h, i, d], Sum(A[b, i, c] * W_q[h, c, d], c)),
        Eq(K[b, h, j, d], Sum(A[b, j, c] * W_k[h, c, d], c)),
        Eq(V[b, h, j, e], Sum(A[b, j, c] * W_v[h, c, e], c)),
        Eq(S[b, h, i, j], Sum(Q[b, h, i, d] * K[b, h, j, d], d) / sqrt(d_k)),
        Eq(P[b, h, i, j], exp(S[b, h, i, j]) / Sum(exp(S[b, h, i, k]), k)),
        Eq(O[b, h, i, e], Sum(P[b, h, i, j] * V[b, h, j, e], j)),
        Eq(M[b, i, m], X[b, i, m] + Sum(O[b, h, i, e] * W_o[h, e, m], h, e)),
        *FEED_FORWARD,
    ],
    doc="X + multi_head(norm(X)), then M + mlp(norm(M)). Xiong et al. (2020), table 1.",
)
