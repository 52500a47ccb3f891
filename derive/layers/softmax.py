"""Softmax, along either axis, and the softmax that may leave a row empty.

Sources: Bridle, Probabilistic interpretation of feedforward classification network outputs (1990); Xiao et al., Efficient Streaming
Language Models with Attention Sinks (2024), section 3.3, equation (2).
"""

from sympy import Eq, Sum, exp, log

from derive.spec import Layer
from derive.symbols import axes, tensors

S, P = tensors("S[B,C] P[B,C]")

i, j, k = axes("i:B j:C k:C")
SOFTMAX = Layer(
    "softmax",
    [Eq(P[i, j], exp(S[i, j]) / Sum(exp(S[i, k]), k))],
    doc="P = softmax(S), each row sums to 1. Bridle (1990).",
)

i, j, k = axes("i:B j:C k:B")
SOFTMAX_COLUMNS = Layer(
    "softmax_columns",
    [Eq(P[i, j], exp(S[i, j]) / Sum(exp(S[k, j]), k))],
    doc="P = softmax(S) along the first axis, each column sums to 1.",
)

i, j, k = axes("i:B j:C k:C")
SOFTMAX_PLUS_ONE = Layer(
    "softmax_plus_one",
    [Eq(P[i, j], exp(S[i, j]) / (1 + Sum(exp(S[i, k]), k)))],
    doc="P = exp(S) / (1 + sum exp(S)): softmax with a score of 0 beside the others. Xiao et al. (2024), equation (2).",
)

Z, Y = tensors("Z[B] Y[B,C]")
LOG_SOFTMAX = Layer(
    "log_softmax",
    [Eq(Z[i], log(Sum(exp(S[i, k]), k))), Eq(Y[i, j], S[i, j] - Z[i])],
    doc="Y = log softmax(S), row by row. Goodfellow, Bengio and Courville (2016), section 6.2.2.3.",
)
