"""Pooling: the mean or the largest entry of windows along one or two axes.

Sources: LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998), section II.B; Dumoulin and Visin, A Guide to
Convolution Arithmetic for Deep Learning (2016), section 3.
"""

from sympy import Eq, Sum

from derive.scalar import max_over
from derive.spec import Layer
from derive.symbols import axes, tensors

b, c, i, j, k, m = axes("b:B c:C i:I j:J k:K m:M")
I, J, K, L, M, P, Q = axes("I J K L M P Q")
window, stride, pad = tensors("window:int stride:int pad:int")

X, Y = tensors("X[B,C,L] Y[B,C,I]")
AVERAGE_POOL_1D = Layer(
    "average_pool_1d",
    [Eq(Y[b, c, i], Sum(X[b, c, stride * i + k - pad], k) / K)],
    sizes=(Eq(K, window), Eq(I, (L + 2 * pad - window) // stride + 1)),
    inputs=(X, window, stride, pad),
    doc="The mean of each window; beyond the ends X is 0 and counts. As torch.nn.functional.avg_pool1d.",
)

MAX_POOL_1D = Layer(
    "max_pool_1d",
    [Eq(Y[b, c, i], max_over(X[b, c, stride * i + k], k))],
    sizes=(Eq(K, window), Eq(I, (L - window) // stride + 1)),
    inputs=(X, window, stride),
    doc="The largest entry of each window; at a tie the gradient is shared evenly. As torch.nn.functional.max_pool1d.",
)

X, Y = tensors("X[B,C,P,Q] Y[B,C,I,J]")
AVERAGE_POOL_2D = Layer(
    "average_pool_2d",
    [Eq(Y[b, c, i, j], Sum(X[b, c, stride * i + k - pad, stride * j + m - pad], k, m) / (K * M))],
    sizes=(Eq(K, window), Eq(M, window), Eq(I, (P + 2 * pad - window) // stride + 1), Eq(J, (Q + 2 * pad - window) // stride + 1)),
    inputs=(X, window, stride, pad),
    doc="The mean of each window of an image; beyond its edges X is 0 and counts. As torch.nn.functional.avg_pool2d.",
)

MAX_POOL_2D = Layer(
    "max_pool_2d",
    [Eq(Y[b, c, i, j], max_over(X[b, c, stride * i + k, stride * j + m], k, m))],
    sizes=(Eq(K, window), Eq(M, window), Eq(I, (P - window) // stride + 1), Eq(J, (Q - window) // stride + 1)),
    inputs=(X, window, stride),
    doc="The largest entry of each window of an image. As torch.nn.functional.max_pool2d. LeCun et al. (1998), section II.B.",
)

X, r, Y = tensors("X[B,P,Q] r[I,J]:const Y[B,I,J]")
height, width, stride_i, stride_j, pad_i, pad_j = tensors("height:int width:int stride_i:int stride_j:int pad_i:int pad_j:int")
AVERAGE_POOL_SHARES = Layer(
    "average_pool_shares",
    [Eq(Y[b, i, j], r[i, j] * Sum(X[b, stride_i * i + k - pad_i, stride_j * j + m - pad_j], k, m))],
    sizes=(Eq(K, height), Eq(M, width)),
    inputs=(X, r, height, width, stride_i, stride_j, pad_i, pad_j),
    doc="The sum of each window of an image, times a share of its own: one over the places that count, whichever a library counts.",
)
