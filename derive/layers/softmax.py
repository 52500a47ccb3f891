"""Softmax, along either axis.

Source: Bridle, Probabilistic interpretation of feedforward classification network outputs (1990).
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
Z, Y = tensors("Z[B] Y[B,C]")
LOG_SOFTMAX = Layer(
    "log_softmax",
    [Eq(Z[i], log(Sum(exp(S[i, k]), k))), Eq(Y[i, j], S[i, j] - Z[i])],
    doc="Y = log softmax(S), row by row. Goodfellow, Bengio and Courville (2016), section 6.2.2.3.",
)
