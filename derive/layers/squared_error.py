"""The squared error of predictions Y against targets T, with each of the usual reductions.

Source: Bishop, Pattern Recognition and Machine Learning (2006), section 1.2.5; the reductions are those of torch.nn.MSELoss.
"""

from sympy import Eq, Sum

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, B, N = axes("i:B j:N B N")
Y, T, L = tensors("Y[B,N] T[B,N]:const L[]")

MSE = Layer(
    "mse",
    [Eq(L, Sum((Y[i, j] - T[i, j]) ** 2, i, j) / (B * N))],
    doc="L is the mean of (Y - T)^2 over all entries. Bishop (2006), section 1.2.5.",
)

MSE_SUM = Layer(
    "mse_sum",
    [Eq(L, Sum((Y[i, j] - T[i, j]) ** 2, i, j))],
    doc="L is the sum of (Y - T)^2 over all entries.",
)

Y, T, L = tensors("Y[B,N] T[B,N]:const L[B,N]")
MSE_NONE = Layer(
    "mse_none",
    [Eq(L[i, j], (Y[i, j] - T[i, j]) ** 2)],
    doc="L = (Y - T)^2, entry by entry.",
)
