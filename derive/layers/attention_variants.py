"""Attention with something added: a bias, distances, relative positions, a soft cap, a sink, and attention without softmax.

Sources: Raffel et al., Exploring the Limits of Transfer Learning with T5 (2020), section 2.1; Press, Smith and Lewis, ALiBi (2022),
section 3; Shaw, Uszkoreit and Vaswani, Self-Attention with Relative Position Representations (2018), section 3.1; Gemma Team,
Gemma 2 (2024), section 2; Xiao et al., Efficient Streaming Language Models with Attention Sinks (2024), section 3.3; OpenAI, gpt-oss
model card (2025), for the learned sink; Katharopoulos et al., Transformers are RNNs (2020), section 3.2.
"""

from sympy import Abs, Eq, Min, Sum, exp, sqrt, tanh

from derive.scalar import position, relu
from derive.spec import Layer
from derive.symbols import axes, tensors

h, i, j, k, d, e, d_k = axes("h:H i:N j:M k:M d:d_k e:d_v d_k")
Q, K, V, S, P, O = tensors("Q[H,N,d_k] K[H,M,d_k] V[H,M,d_v] S[H,N,M] P[H,N,M] O[H,N,d_v]")
SCORES = Sum(Q[h, i, d] * K[h, j, d], d) / sqrt(d_k)
WEIGHTS = Eq(P[h, i, j], exp(S[h, i, j]) / Sum(exp(S[h, i, k]), k))
OUTPUT = Eq(O[h, i, e], Sum(P[h, i, j] * V[h, j, e], j))

bias, slope = tensors("bias[H,N,M] slope[H]:const")
ATTENTION_BIAS = Layer(
    "attention_bias",
    [Eq(S[h, i, j], SCORES + bias[h, i, j]), WEIGHTS, OUTPUT],
    doc="O = softmax(Q K^T / sqrt(d_k) + bias) V with a learned bias. Raffel et al. (2020), section 2.1.",
)

ALIBI = Layer(
    "alibi",
    [Eq(S[h, i, j], SCORES - slope[h] * Abs(position(i) - position(j))), WEIGHTS, OUTPUT],
    doc="The scores fall by a slope of each head's own times the distance of the tokens. Press, Smith and Lewis (2022), section 3.",
)

p, R, bucket = *axes("p:L"), *tensors("R[L,d_k] bucket[N,M]:int")
ATTENTION_RELATIVE = Layer(
    "attention_relative",
    [Eq(S[h, i, j], Sum(Q[h, i, d] * (K[h, j, d] + R[bucket[i, j], d]), d) / sqrt(d_k)), WEIGHTS, OUTPUT],
    doc="Keys get a vector for the relative position j - i, given as a bucket number. Shaw, Uszkoreit and Vaswani (2018), section 3.1.",
)

(TABLE,) = tensors("R[L,H]")
ATTENTION_RELATIVE_BIAS = Layer(
    "attention_relative_bias",
    [Eq(S[h, i, j], SCORES + TABLE[bucket[i, j], h]), WEIGHTS, OUTPUT],
    doc="The scores get a learned number for the relative position's bucket. Raffel et al. (2020), section 2.1.",
)

N, i, j, t = axes("N i:N j:N t:T")
Q, K, V, S, P, O = tensors("Q[H,N,d_k] K[H,N,d_k] V[H,N,d_v] S[H,N,N] P[H,N,N] O[H,N,d_v]")
k = axes("k:N")[0]
(R,) = tensors("R[H,T]")
ATTENTION_RELATIVE_SHIFT = Layer(
    "attention_relative_shift",
    [
        Eq(S[h, i, j], Sum(Q[h, i, d] * K[h, j, d], d) / sqrt(d_k) + R[h, i - j + N - 1]),
        Eq(P[h, i, j], exp(S[h, i, j]) / Sum(exp(S[h, i, k]), k)),
        Eq(O[h, i, e], Sum(P[h, i, j] * V[h, j, e], j)),
    ],
    doc="The scores get a learned number for each shift i - j, from 1 - N to N - 1; R has 2 N - 1 of them, and a shift beyond its\n"
    "ends counts 0. Raffel et al. (2020), section 2.1.",
)

i, j, k = axes("i:N j:M k:M")
Q, K, V, S, P, O = tensors("Q[H,N,d_k] K[H,M,d_k] V[H,M,d_v] S[H,N,M] P[H,N,M] O[H,N,d_v]")
Z, cap = tensors("Z[H,N,M] cap:const")
ATTENTION_SOFT_CAP = Layer(
    "attention_soft_cap",
    [Eq(Z[h, i, j], SCORES), Eq(S[h, i, j], cap * tanh(Z[h, i, j] / cap)), WEIGHTS, OUTPUT],
    doc="The scores stay between -cap and cap: S = cap tanh(Q K^T / (sqrt(d_k) cap)). Gemma Team (2024), section 2.",
)

(sink,) = tensors("sink[H]")
ATTENTION_SINK = Layer(
    "attention_sink",
    [Eq(S[h, i, j], SCORES), Eq(P[h, i, j], exp(S[h, i, j]) / (exp(sink[h]) + Sum(exp(S[h, i, k]), k))), OUTPUT],
    doc="A learned sink in the softmax takes what no token gets: P = exp(S) / (exp(sink) + sum exp(S)). Xiao et al. (2024), section 3.3.",
)

F, G, D = tensors("F[H,N,d_k] G[H,M,d_k] D[H,N]")
U, W = tensors("U[H,d_k,d_v] W[H,d_k]")
LINEAR_ATTENTION = Layer(
    "linear_attention",
    [
        Eq(F[h, i, d], relu(Q[h, i, d]) + exp(Min(Q[h, i, d], 0))),
        Eq(G[h, j, d], relu(K[h, j, d]) + exp(Min(K[h, j, d], 0))),
        Eq(U[h, d, e], Sum(G[h, j, d] * V[h, j, e], j)),
        Eq(W[h, d], Sum(G[h, j, d], j)),
        Eq(O[h, i, e], Sum(F[h, i, d] * U[h, d, e], d) / Sum(F[h, i, d] * W[h, d], d)),
    ],
    doc="O = F (G^T V) / (F G^T 1) with F = elu(Q) + 1 and G = elu(K) + 1: linear in tokens. Katharopoulos et al. (2020), section 3.2.",
)
