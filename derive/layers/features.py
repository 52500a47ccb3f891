"""Features of a kernel: radial basis functions, polynomials, random Fourier features.

Sources: Bishop, Pattern Recognition and Machine Learning (2006), sections 6.2 and 6.3; Rahimi and Recht, Random Features for
Large-Scale Kernel Machines (2007), section 3.
"""

from sympy import Eq, Sum, cos, exp, sqrt

from derive.spec import Layer
from derive.symbols import axes, tensors

i, m, k, M = axes("i:B m:M k:N M")
X, C, gamma, c, Y = tensors("X[B,N] C[M,N] gamma[] c[] Y[B,M]")
RBF = Layer(
    "rbf",
    [Eq(Y[i, m], exp(-gamma * Sum((X[i, k] - C[m, k]) ** 2, k)))],
    doc="exp(-gamma |x - c|^2) for every centre c. Bishop (2006), section 6.3.",
)

POLYNOMIAL_KERNEL = Layer(
    "polynomial_kernel",
    [Eq(Y[i, m], (Sum(X[i, k] * C[m, k], k) + c) ** 3)],
    doc="(x . c_m + c)^3 for every row c_m of C. Bishop (2006), section 6.2.",
)

k, l = axes("k:N l:N")
(Y,) = tensors("Y[B,N,N]")
QUADRATIC_FEATURES = Layer(
    "quadratic_features",
    [Eq(Y[i, k, l], X[i, k] * X[i, l])],
    doc="Every product x_k x_l of two features. Bishop (2006), section 6.2.",
)

W, b, Y = tensors("W[N,M]:const b[M]:const Y[B,M]")
FOURIER_FEATURES = Layer(
    "fourier_features",
    [Eq(Y[i, m], sqrt(2) * cos(Sum(X[i, k] * W[k, m], k) + b[m]) / sqrt(M))],
    doc="sqrt(2/M) cos(X W + b) with random W and b. Rahimi and Recht (2007), section 3.",
)
