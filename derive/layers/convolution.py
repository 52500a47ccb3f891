"""Convolutions over one and two axes, by stride and padding; one that keeps channels apart, and one written as attention.

Sources: LeCun et al., Gradient-Based Learning Applied to Document Recognition (1998), section II.A; Dumoulin and Visin, A Guide to
Convolution Arithmetic for Deep Learning (2016), section 2.4; Chollet, Xception (2017), section 2; Cordonnier, Loukas and Jaggi, On the
Relationship between Self-Attention and Convolutional Layers (2020), section 3.1.
"""

from typing import Any

from sympy import Eq, Sum

from derive.scalar import delta
from derive.spec import Layer
from derive.symbols import axes, tensors

b, c, o, i, j, k, m = axes("b:B c:C o:O i:I j:J k:K m:M")
I, J, K, L, M, P, Q = axes("I J K L M P Q")
stride, pad = tensors("stride:int pad:int")


def swept(output: Any, size: Any, window: Any) -> Any:
    """How many windows there are along an axis."""
    return Eq(output, (size + 2 * pad - window) // stride + 1)


X, W, h, Y = tensors("X[B,C,L] W[O,C,K] h[O] Y[B,O,I]")
CONVOLUTION_1D = Layer(
    "convolution_1d",
    [Eq(Y[b, o, i], Sum(X[b, c, stride * i + k - pad] * W[o, c, k], c, k) + h[o])],
    sizes=swept(I, L, K),
    inputs=(X, W, h, stride, pad),
    doc="A window of K places moves along X by the stride; beyond its ends X is 0. As torch.nn.functional.conv1d.",
)

X, W, Y = tensors("X[B,C,P,Q] W[O,C,K,M] Y[B,O,I,J]")
CONVOLUTION_2D = Layer(
    "convolution_2d",
    [
        Eq(
            Y[b, o, i, j],
            Sum(X[b, c, stride * i + k - pad, stride * j + m - pad] * W[o, c, k, m], c, k, m) + h[o],
        )
    ],
    sizes=(swept(I, P, K), swept(J, Q, M)),
    inputs=(X, W, h, stride, pad),
    doc="A K x M window moves over an image of P x Q places. As torch.nn.functional.conv2d. LeCun et al. (1998), section II.A.",
)

X, W, Y = tensors("X[B,C,P,Q] W[C,K,M] Y[B,C,I,J]")
DEPTHWISE_CONVOLUTION = Layer(
    "depthwise_convolution",
    [Eq(Y[b, c, i, j], Sum(X[b, c, stride * i + k - pad, stride * j + m - pad] * W[c, k, m], k, m))],
    sizes=(swept(I, P, K), swept(J, Q, M)),
    inputs=(X, W, stride, pad),
    doc="Every channel has a window of its own, and no channels mix: conv2d with as many groups as channels. Chollet (2017), section 2.",
)

l = axes("l:L")[0]
X, W, A, H, Y = tensors("X[B,L,C] W[K,C,O] A[K,L,L] H[B,K,L,C] Y[B,L,O]")
n = axes("n:L")[0]
CONVOLUTION_AS_ATTENTION = Layer(
    "convolution_as_attention",
    [
        Eq(A[k, l, n], delta(n, l + k - pad)),
        Eq(H[b, k, l, c], Sum(A[k, l, n] * X[b, n, c], n)),
        Eq(Y[b, l, o], Sum(H[b, k, l, c] * W[k, c, o], k, c)),
    ],
    inputs=(X, W, pad),
    doc="Head k attends to the place k - pad from its own and to no other; what it finds is mapped by W_k. With one-hot weights at a\n"
    "fixed shift, attention is convolution_same. Cordonnier, Loukas and Jaggi (2020), section 3.1.",
)

CONVOLUTION_SAME = Layer(
    "convolution_same",
    [Eq(Y[b, l, o], Sum(X[b, l + k - pad, c] * W[k, c, o], k, c))],
    inputs=(X, W, pad),
    doc="A convolution by stride 1 whose output is as long as its input, channels last. Dumoulin and Visin (2016), section 2.3.",
)

g = axes("g:G")[0]
X, W, h, Y = tensors("X[B,G,C,P,Q] W[G,O,C,K,M] h[G,O] Y[B,G,O,I,J]")
rows, stride_i, dilation_i, pad_i = tensors("rows:int stride_i:int dilation_i:int pad_i:int")
columns, stride_j, dilation_j, pad_j = tensors("columns:int stride_j:int dilation_j:int pad_j:int")
CONVOLUTION_GROUPED = Layer(
    "convolution_grouped",
    [
        Eq(
            Y[b, g, o, i, j],
            Sum(
                X[b, g, c, stride_i * i + dilation_i * k - pad_i, stride_j * j + dilation_j * m - pad_j] * W[g, o, c, k, m],
                c,
                k,
                m,
            )
            + h[g, o],
        )
    ],
    sizes=(Eq(I, rows), Eq(J, columns)),
    inputs=(X, W, h, rows, columns, stride_i, stride_j, dilation_i, dilation_j, pad_i, pad_j),
    doc="G groups of channels, each with windows of its own, whose places are the dilation apart. Beyond its edges X is 0, so that rows\n"
    "and columns say how much padding there is after it. Dumoulin and Visin (2016), sections 2.4 and 5.1.",
)
