"""Sequences as recurrences: a decaying state, its sum written out, an RNN, a GRU, an LSTM, and linear attention with a gate.

Sources: Gu, Goel and Re, Efficiently Modeling Long Sequences with Structured State Spaces (2022), section 2.4 (a recurrence as a
convolution); Orvieto et al., Resurrecting Recurrent Neural Networks for Long Sequences (2023), section 3; Elman, Finding Structure
in Time (1990); Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014), section 2.3; Gers, Schmidhuber and
Cummins, Learning to Forget (2000), section 3; Yang et al., Gated Linear Attention Transformers with Hardware-Efficient Training
(2024), section 3.
"""

from sympy import Eq, Pow, Sum, tanh

from derive.scalar import position, sigmoid
from derive.spec import Layer
from derive.symbols import axes, tensors

b, n, k, c = axes("b:B n:N k:N c:C")
X, a, H = tensors("X[B,N,C] a[C] H[B,N,C]")
DECAY_SCAN = Layer(
    "decay_scan",
    [Eq(H[b, n, c], Sum(Pow(a[c], position(k), evaluate=False) * X[b, n - k, c], k))],
    wrt=(X, a),
    doc="H[n] = a H[n-1] + X[n], written out: k steps ago counts a^k. Gu, Goel and Re (2022), section 2.4.",
)

DECAY = Layer(
    "decay",
    [Eq(H[b, n, c], a[c] * H[b, n - 1, c] + X[b, n, c])],
    wrt=(X, a),
    doc="H[n] = a H[n-1] + X[n] as it stands, a step at a time. Gu, Goel and Re (2022), section 2.4.",
)

t, j, i, l = axes("t:T j:D i:I l:D")
U, Y, bias, W = tensors("U[D,D] Y[N,T,D] b[D] W[I,D]")
(INPUT,) = tensors("X[N,T,I]")
RNN = Layer(
    "rnn",
    [Eq(Y[n, t, j], tanh(Sum(INPUT[n, t, i] * W[i, j], i) + Sum(Y[n, t - 1, l] * U[l, j], l) + bias[j]))],
    doc="An RNN over a sequence: each state is tanh(X W + H U + b) of the one before, which is 0 at first. Elman (1990).",
)

U_z, U_r, W_z, W_r = tensors("U_z[D,D] U_r[D,D] W_z[I,D] W_r[I,D]")
Z, R, G = tensors("Z[N,T,D] R[N,T,D] G[N,T,D]")
GRU = Layer(
    "gru",
    [
        Eq(Z[n, t, j], sigmoid(Sum(INPUT[n, t, i] * W_z[i, j], i) + Sum(Y[n, t - 1, l] * U_z[l, j], l))),
        Eq(R[n, t, j], sigmoid(Sum(INPUT[n, t, i] * W_r[i, j], i) + Sum(Y[n, t - 1, l] * U_r[l, j], l))),
        Eq(G[n, t, j], tanh(Sum(INPUT[n, t, i] * W[i, j], i) + Sum(R[n, t, l] * Y[n, t - 1, l] * U[l, j], l))),
        Eq(Y[n, t, j], Z[n, t, j] * Y[n, t - 1, j] + (1 - Z[n, t, j]) * G[n, t, j]),
    ],
    doc="A GRU over a sequence: each state mixes the one before and a candidate. Cho et al. (2014), equations (5) to (8).",
)

W_f, W_o, U_f, U_o = tensors("W_f[I,D] W_o[I,D] U_f[D,D] U_o[D,D]")
A, F, O, C_t = tensors("A[N,T,D] F[N,T,D] O[N,T,D] C[N,T,D]")
LSTM = Layer(
    "lstm",
    [
        Eq(A[n, t, j], sigmoid(Sum(INPUT[n, t, i] * W_z[i, j], i) + Sum(Y[n, t - 1, l] * U_z[l, j], l))),
        Eq(F[n, t, j], sigmoid(Sum(INPUT[n, t, i] * W_f[i, j], i) + Sum(Y[n, t - 1, l] * U_f[l, j], l))),
        Eq(O[n, t, j], sigmoid(Sum(INPUT[n, t, i] * W_o[i, j], i) + Sum(Y[n, t - 1, l] * U_o[l, j], l))),
        Eq(G[n, t, j], tanh(Sum(INPUT[n, t, i] * W[i, j], i) + Sum(Y[n, t - 1, l] * U[l, j], l))),
        Eq(C_t[n, t, j], F[n, t, j] * C_t[n, t - 1, j] + A[n, t, j] * G[n, t, j]),
        Eq(Y[n, t, j], O[n, t, j] * tanh(C_t[n, t, j])),
    ],
    doc="An LSTM over a sequence: two states that need each other's past. Gers, Schmidhuber and Cummins (2000), section 3.",
)

d, e = axes("d:D e:E")
Q, K, V, S, GATE, OUT = tensors("Q[N,T,D] K[N,T,D] V[N,T,E] S[N,T,D,E] A[N,T,D] O[N,T,E]")
GATED_LINEAR_ATTENTION = Layer(
    "gated_linear_attention",
    [
        Eq(S[n, t, d, e], GATE[n, t, d] * S[n, t - 1, d, e] + K[n, t, d] * V[n, t, e]),
        Eq(OUT[n, t, e], Sum(Q[n, t, d] * S[n, t, d, e], d)),
    ],
    wrt=(Q, K, V, GATE),
    doc="A state of outer products that a gate lets fade, read by the query. Yang et al. (2024), equation (3).",
)
