"""Recurrent cells, one step of an RNN, a GRU and an LSTM, and a short sequence with shared weights.

Sources: Elman, Finding Structure in Time (1990); Cho et al., Learning Phrase Representations using RNN Encoder-Decoder (2014),
section 2.3, equations (5) to (8); Hochreiter and Schmidhuber, Long Short-Term Memory (1997), with the forget gate of Gers,
Schmidhuber and Cummins (2000), section 3.
"""

from sympy import Eq, Sum, tanh

from derive.composition import compose, wire
from derive.scalar import sigmoid
from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, l = axes("i:B j:D k:N l:D")
X, H, C, b, Y = tensors("X[B,N] H[B,D] C[B,D] b[D] Y[B,D]")
W, U = tensors("W[N,D] U[D,D]")

RNN_CELL = Layer(
    "rnn_cell",
    [Eq(Y[i, j], tanh(Sum(X[i, k] * W[k, j], k) + Sum(H[i, l] * U[l, j], l) + b[j]))],
    doc="The next state is tanh(X W + H U + b). Elman (1990).",
)

RNN_SEQUENCE = compose(
    "rnn_sequence",
    {str(t): wire(RNN_CELL, X=f"X_{t}", H=f"H_{t - 1}", W="W", U="U", b="b", Y=f"H_{t}") for t in (1, 2, 3)},
    outputs=("H_1", "H_2", "H_3"),
    doc="Three steps of an RNN; the gradients of W, U and b are sums over the steps. Elman (1990).",
)

W_z, U_z, b_z, W_r, U_r, b_r = tensors("W_z[N,D] U_z[D,D] b_z[D] W_r[N,D] U_r[D,D] b_r[D]")
Z, R, G = tensors("Z[B,D] R[B,D] G[B,D]")
GRU_CELL = Layer(
    "gru_cell",
    [
        Eq(Z[i, j], sigmoid(Sum(X[i, k] * W_z[k, j], k) + Sum(H[i, l] * U_z[l, j], l) + b_z[j])),
        Eq(R[i, j], sigmoid(Sum(X[i, k] * W_r[k, j], k) + Sum(H[i, l] * U_r[l, j], l) + b_r[j])),
        Eq(G[i, j], tanh(Sum(X[i, k] * W[k, j], k) + Sum(R[i, l] * H[i, l] * U[l, j], l) + b[j])),
        Eq(Y[i, j], Z[i, j] * H[i, j] + (1 - Z[i, j]) * G[i, j]),
    ],
    doc="The next state mixes the old one and a candidate by the update gate. Cho et al. (2014), equations (5) to (8).",
)

W_i, U_i, b_i, W_f, U_f, b_f, W_o, U_o, b_o = tensors("W_i[N,D] U_i[D,D] b_i[D] W_f[N,D] U_f[D,D] b_f[D] W_o[N,D] U_o[D,D] b_o[D]")
I, F, O, C_new, H_new = tensors("I[B,D] F[B,D] O[B,D] C_new[B,D] H_new[B,D]")
LSTM_CELL = Layer(
    "lstm_cell",
    [
        Eq(I[i, j], sigmoid(Sum(X[i, k] * W_i[k, j], k) + Sum(H[i, l] * U_i[l, j], l) + b_i[j])),
        Eq(F[i, j], sigmoid(Sum(X[i, k] * W_f[k, j], k) + Sum(H[i, l] * U_f[l, j], l) + b_f[j])),
        Eq(O[i, j], sigmoid(Sum(X[i, k] * W_o[k, j], k) + Sum(H[i, l] * U_o[l, j], l) + b_o[j])),
        Eq(G[i, j], tanh(Sum(X[i, k] * W[k, j], k) + Sum(H[i, l] * U[l, j], l) + b[j])),
        Eq(C_new[i, j], F[i, j] * C[i, j] + I[i, j] * G[i, j]),
        Eq(H_new[i, j], O[i, j] * tanh(C_new[i, j])),
    ],
    inputs=(X, H, C),
    outputs=(H_new, C_new),
    doc="The next cell is F o C + I o G and the next state O o tanh of it. Gers, Schmidhuber and Cummins (2000), section 3.",
)
