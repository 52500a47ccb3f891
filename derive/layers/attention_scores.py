"""Attention with other scores and conventions: bilinear, additive, pairwise, columns, tied.

Sources: Luong, Pham and Manning, Effective Approaches to Attention-based Neural Machine Translation (2015), section 3.1,
"general"; Bahdanau, Cho and Bengio, Neural Machine Translation by Jointly Learning to Align and Translate (2015),
appendix A.1.2; Velickovic et al., Graph Attention Networks (2018), section 2.1; Kitaev, Kaiser and Levskaya, Reformer (2020),
section 2, "shared-QK".
"""

from sympy import Eq, Sum, exp, sqrt, tanh

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, d, e, h, d_k = axes("i:N j:M k:M d:d_k e:d_v h:H d_k")
Q, K, V, S, P, O = tensors("Q[N,d_k] K[M,d_k] V[M,d_v] S[N,M] P[N,M] O[N,d_v]")
WEIGHTS = Eq(P[i, j], exp(S[i, j]) / Sum(exp(S[i, k]), k))
OUTPUT = Eq(O[i, e], Sum(P[i, j] * V[j, e], j))

W_q, W_k, b, v, U = tensors("W_q[d_k,H] W_k[d_k,H] b[H] v[H] U[N,M,H]")
ATTENTION_ADDITIVE = Layer(
    "attention_additive",
    [
        Eq(U[i, j, h], tanh(Sum(Q[i, d] * W_q[d, h], d) + Sum(K[j, d] * W_k[d, h], d) + b[h])),
        Eq(S[i, j], Sum(v[h] * U[i, j, h], h)),
        WEIGHTS,
        OUTPUT,
    ],
    doc="O = softmax(S) V with S[i,j] = v . tanh(W_q^T q_i + W_k^T k_j + b). Bahdanau, Cho and Bengio (2015), appendix A.1.2.",
)

a, c, x, y = axes("a:C c:C x:C y:C")
i, j, k, C = axes("i:N j:N k:N C")
X, A, W_v, V, S, P, O = tensors("X[N,C] A[C,C] W_v[C,d_v] V[N,d_v] S[N,N] P[N,N] O[N,d_v]")
ATTENTION_BILINEAR = Layer(
    "attention_bilinear",
    [
        Eq(S[i, j], Sum(X[i, a] * A[a, c] * X[j, c], a, c)),
        Eq(P[i, j], exp(S[i, j]) / Sum(exp(S[i, k]), k)),
        Eq(V[j, e], Sum(X[j, c] * W_v[c, e], c)),
        Eq(O[i, e], Sum(P[i, j] * V[j, e], j)),
    ],
    doc="O = softmax(X A X^T) X W_v: the score x_i^T A x_j. Luong, Pham and Manning (2015), section 3.1.",
)

Q, V, S, P, O = tensors("Q[N,d_k] V[N,d_v] S[N,N] P[N,N] O[N,d_v]")
ATTENTION_TIED = Layer(
    "attention_tied",
    [
        Eq(S[i, j], Sum(Q[i, d] * Q[j, d], d) / sqrt(d_k)),
        Eq(P[i, j], exp(S[i, j]) / Sum(exp(S[i, k]), k)),
        Eq(O[i, e], Sum(P[i, j] * V[j, e], j)),
    ],
    doc="O = softmax(Q Q^T / sqrt(d_k)) V: queries are keys, and their two gradients add. Kitaev et al. (2020), section 2.",
)

A, V_1, V_2, Y = tensors("A[N,N] V_1[d_v,C] V_2[d_v,C] Y[N,d_v]")
PAIRWISE_CONVOLUTION = Layer(
    "pairwise_convolution",
    [Eq(Y[i, e], Sum(A[i, j] * (Sum(V_1[e, c] * X[j, c], c) + Sum(V_2[e, c] * X[i, c], c)), j))],
    wrt=(A, X, V_1, V_2),
    doc="y_i is the sum of V_1 x_j + V_2 x_i under the weights of row i. Velickovic et al. (2018), section 2.1.",
)

PAIRWISE_CONVOLUTION_SPLIT = Layer(
    "pairwise_convolution_split",
    [Eq(Y[i, e], Sum(A[i, j] * X[j, c] * V_1[e, c], j, c) + Sum(X[i, c] * V_2[e, c], c))],
    wrt=(A, X, V_1, V_2),
    doc="Y = A X V_1^T + X V_2^T, which pairwise_convolution is when the rows of A sum to 1. Velickovic et al. (2018), section 2.1.",
)

i, j, k, d, e, d_k = axes("i:N j:M k:M d:d_k e:d_v d_k")
Q, K, V, S, P, O = tensors("Q[d_k,N] K[d_k,M] V[d_v,M] S[M,N] P[M,N] O[d_v,N]")
ATTENTION_COLUMNS = Layer(
    "attention_columns",
    [
        Eq(S[j, i], Sum(K[d, j] * Q[d, i], d) / sqrt(d_k)),
        Eq(P[j, i], exp(S[j, i]) / Sum(exp(S[k, i]), k)),
        Eq(O[e, i], Sum(V[e, j] * P[j, i], j)),
    ],
    batch="b:B h:H",
    doc="O = V softmax(K^T Q / sqrt(d_k)): tokens are columns, and each column of the softmax sums to 1.",
)
