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
U, h0, Y, bias, W = tensors("U[D,D] h0[B,D] Y[B,T,D] b[D] W[I,D]")
(INPUT,) = tensors("X[B,T,I]")
RNN = Layer(
    "rnn",
    [Eq(Y[b, t, j], tanh(Sum(INPUT[b, t, i] * W[i, j], i) + Sum(Y[b, t - 1, l] * U[l, j], l) + bias[j]))],
    doc="An RNN over a sequence: each state is tanh(X W + H U + b) of the one before, which is 0 at first. Elman (1990).",
)

U_z, U_r, W_z, W_r = tensors("U_z[D,D] U_r[D,D] W_z[I,D] W_r[I,D]")
Z, R, G = tensors("Z[B,T,D] R[B,T,D] G[B,T,D]")
GRU = Layer(
    "gru",
    [
        Eq(Z[b, t, j], sigmoid(Sum(INPUT[b, t, i] * W_z[i, j], i) + Sum(Y[b, t - 1, l] * U_z[l, j], l))),
        Eq(R[b, t, j], sigmoid(Sum(INPUT[b, t, i] * W_r[i, j], i) + Sum(Y[b, t - 1, l] * U_r[l, j], l))),
        Eq(G[b, t, j], tanh(Sum(INPUT[b, t, i] * W[i, j], i) + Sum(R[b, t, l] * Y[b, t - 1, l] * U[l, j], l))),
        Eq(Y[b, t, j], Z[b, t, j] * Y[b, t - 1, j] + (1 - Z[b, t, j]) * G[b, t, j]),
    ],
    doc="A GRU over a sequence: each state mixes the one before and a candidate. Cho et al. (2014), equations (5) to (8).",
)

W_f, W_o, U_f, U_o = tensors("W_f[I,D] W_o[I,D] U_f[D,D] U_o[D,D]")
A, F, O, C_t = tensors("A[B,T,D] F[B,T,D] O[B,T,D] C[B,T,D]")
LSTM = Layer(
    "lstm",
    [
        Eq(A[b, t, j], sigmoid(Sum(INPUT[b, t, i] * W_z[i, j], i) + Sum(Y[b, t - 1, l] * U_z[l, j], l))),
        Eq(F[b, t, j], sigmoid(Sum(INPUT[b, t, i] * W_f[i, j], i) + Sum(Y[b, t - 1, l] * U_f[l, j], l))),
        Eq(O[b, t, j], sigmoid(Sum(INPUT[b, t, i] * W_o[i, j], i) + Sum(Y[b, t - 1, l] * U_o[l, j], l))),
        Eq(G[b, t, j], tanh(Sum(INPUT[b, t, i] * W[i, j], i) + Sum(Y[b, t - 1, l] * U[l, j], l))),
        Eq(C_t[b, t, j], F[b, t, j] * C_t[b, t - 1, j] + A[b, t, j] * G[b, t, j]),
        Eq(Y[b, t, j], O[b, t, j] * tanh(C_t[b, t, j])),
    ],
    doc="An LSTM over a sequence: two states that need each other's past. Gers, Schmidhuber and Cummins (2000), section 3.",
)

d, e = axes("d:D e:E")
Q, K, V, S, GATE, OUT = tensors("Q[B,T,D] K[B,T,D] V[B,T,E] S[B,T,D,E] A[B,T,D] O[B,T,E]")
GATED_LINEAR_ATTENTION = Layer(
    "gated_linear_attention",
    [
        Eq(S[b, t, d, e], GATE[b, t, d] * S[b, t - 1, d, e] + K[b, t, d] * V[b, t, e]),
        Eq(OUT[b, t, e], Sum(Q[b, t, d] * S[b, t, d, e], d)),
    ],
    wrt=(Q, K, V, GATE),
    doc="A state of outer products that a gate lets fade, read by the query. Yang et al. (2024), equation (3).",
)
