"""Affine maps of rows: weights in x out, and out x in.

Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5.6; for out x in, torch.nn.Linear.
"""

from sympy import Eq, Sum

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k = axes("i:B j:M k:N")

X, W, b, Y = tensors("X[B,N] W[N,M] b[M] Y[B,M]")
LINEAR = Layer(
    "linear",
    [Eq(Y[i, j], Sum(X[i, k] * W[k, j], k) + b[j])],
    doc="Y = X W + b, rows are examples. Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.5.6.",
)

X, W, b, Y = tensors("X[B,N] W[M,N] b[M] Y[B,M]")
LINEAR_OUT_IN = Layer(
    "linear_out_in",
    [Eq(Y[i, j], Sum(X[i, k] * W[j, k], k) + b[j])],
    doc="Y = X W^T + b, with a row of W for each output, as torch.nn.Linear stores it.",
)

LINEAR_WEIGHT = Layer(
    "linear_weight",
    [Eq(Y[i, j], Sum(X[i, k] * W[j, k], k))],
    doc="Y = X W^T, with a row of W for each output and no bias.",
)
