"""What keeps a network trainable and small: dropout, the residual connection, penalties on weights.

Sources: Srivastava et al., Dropout (2014), section 4; He et al., Deep Residual Learning (2016), equation (1); Goodfellow, Bengio and
Courville, Deep Learning (2016), sections 7.1.1 and 7.1.2.
"""

from sympy import Abs, Eq, Sum

from derive.scalar import relu
from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k = axes("i:B j:N k:N")
X, M, scale, W, b, H, Y = tensors("X[B,N] M[B,N]:const scale:const W[N,N] b[N] H[B,N] Y[B,N]")

DROPOUT = Layer(
    "dropout",
    [Eq(Y[i, j], scale * M[i, j] * X[i, j])],
    doc="Y = scale M X, with M the mask of the kept entries and scale = 1 / (1 - p). Srivastava et al. (2014), section 4.",
)

RESIDUAL = Layer(
    "residual",
    [Eq(H[i, j], Sum(X[i, k] * W[k, j], k) + b[j]), Eq(Y[i, j], X[i, j] + relu(H[i, j]))],
    doc="Y = X + relu(X W + b): the gradient of X is dY plus what comes through the branch. He et al. (2016), equation (1).",
)

k, j = axes("k:K j:N")
W, decay, L = tensors("W[K,N] decay:const L[]")

L1_PENALTY = Layer(
    "l1_penalty",
    [Eq(L, decay * Sum(Abs(W[k, j]), k, j))],
    doc="L = decay sum |W|. Goodfellow, Bengio and Courville (2016), section 7.1.2.",
)

L2_PENALTY = Layer(
    "l2_penalty",
    [Eq(L, decay * Sum(W[k, j] ** 2, k, j) / 2)],
    doc="L = decay/2 sum W^2. Goodfellow, Bengio and Courville (2016), section 7.1.1.",
)
