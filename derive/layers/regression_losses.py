"""Losses of regression, besides the mean squared error.

Sources: Bishop, Pattern Recognition and Machine Learning (2006), section 3.1.1; Huber (1964), as in Hastie, Tibshirani and
Friedman (2009), equation (10.23); for smooth L1, Girshick, Fast R-CNN (2015), equation (3). The reductions are the defaults of torch.
"""

from sympy import Abs, Eq, Min, Sum

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k = axes("i:B j:N k:K")
X, W, Y, E, L = tensors("X[B,K] W[K,N] Y[B,N]:const E[B,N] L[]")

LINEAR_REGRESSION = Layer(
    "linear_regression",
    [Eq(E[i, j], Sum(X[i, k] * W[k, j], k) - Y[i, j]), Eq(L, Sum(E[i, j] ** 2, i, j))],
    doc="L = |X W - Y|^2, the sum of the squared residuals. Bishop (2006), section 3.1.1.",
)

i, j, B, N = axes("i:B j:N B N")
Y, T, kappa, beta, E, A, M, L = tensors("Y[B,N] T[B,N]:const kappa:const beta:const E[B,N] A[B,N] M[B,N] L[]")

L1_LOSS = Layer(
    "l1_loss",
    [Eq(E[i, j], Y[i, j] - T[i, j]), Eq(L, Sum(Abs(E[i, j]), i, j) / (B * N))],
    doc="L is the mean of |Y - T|, as in torch.nn.L1Loss.",
)

# With m = min(a, kappa), m (a - m/2) is a^2/2 up to kappa and kappa (a - kappa/2) beyond it, without cancellation.
HUBER = Layer(
    "huber",
    [
        Eq(E[i, j], Y[i, j] - T[i, j]),
        Eq(A[i, j], Abs(E[i, j])),
        Eq(M[i, j], Min(A[i, j], kappa)),
        Eq(L, Sum(M[i, j] * (A[i, j] - M[i, j] / 2), i, j) / (B * N)),
    ],
    doc="The mean of (Y - T)^2 / 2 where |Y - T| <= kappa, else kappa (|Y - T| - kappa/2). Huber (1964).",
)

SMOOTH_L1 = Layer(
    "smooth_l1",
    [
        Eq(E[i, j], Y[i, j] - T[i, j]),
        Eq(A[i, j], Abs(E[i, j])),
        Eq(M[i, j], Min(A[i, j], beta)),
        Eq(L, Sum(M[i, j] * (A[i, j] - M[i, j] / 2), i, j) / (beta * B * N)),
    ],
    doc="The mean of (Y - T)^2 / (2 beta) where |Y - T| <= beta, else |Y - T| - beta/2. Girshick (2015), equation (3).",
)
