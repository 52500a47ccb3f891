"""Small networks: two and three layers, and the feed-forward part of a transformer.

Sources: Goodfellow, Bengio and Courville, Deep Learning (2016), sections 6.1 and 6.5.7; Hendrycks and Gimpel, Gaussian Error Linear
Units (2016), section 2; Shazeer, GLU Variants Improve Transformer (2020), section 2, equation (6).
"""

from sympy import Eq, Sum, erf, sqrt

from derive.scalar import relu, sigmoid
from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, h, l = axes("i:B j:M k:N h:F l:K")

X, W_1, b_1, W_2, b_2, Z, H, Y = tensors("X[B,N] W_1[N,F] b_1[F] W_2[F,M] b_2[M] Z[B,F] H[B,F] Y[B,M]")
FIRST = Eq(Z[i, h], Sum(X[i, k] * W_1[k, h], k) + b_1[h])
LAST = Eq(Y[i, j], Sum(H[i, h] * W_2[h, j], h) + b_2[j])
TWO_LAYER = Layer(
    "two_layer",
    [FIRST, Eq(H[i, h], relu(Z[i, h])), LAST],
    doc="Y = relu(X W_1 + b_1) W_2 + b_2. Goodfellow, Bengio and Courville (2016), section 6.5.7.",
)

MLP_GELU = Layer(
    "mlp_gelu",
    [FIRST, Eq(H[i, h], Z[i, h] * (1 + erf(Z[i, h] / sqrt(2))) / 2), LAST],
    doc="Y = gelu(X W_1 + b_1) W_2 + b_2, the feed-forward part of a transformer. Hendrycks and Gimpel (2016), section 2.",
)

W_g, W_u, W_o, G, U = tensors("W_g[N,F] W_u[N,F] W_o[F,M] G[B,F] U[B,F]")
MLP_SWIGLU = Layer(
    "mlp_swiglu",
    [
        Eq(G[i, h], Sum(X[i, k] * W_g[k, h], k)),
        Eq(U[i, h], Sum(X[i, k] * W_u[k, h], k)),
        Eq(H[i, h], G[i, h] * sigmoid(G[i, h]) * U[i, h]),
        Eq(Y[i, j], Sum(H[i, h] * W_o[h, j], h)),
    ],
    doc="Y = (silu(X W_g) o X W_u) W_o. Shazeer (2020), equation (6).",
)

W_2, b_2, W_3, b_3 = tensors("W_2[F,K] b_2[K] W_3[K,M] b_3[M]")
Z_1, H_1, Z_2, H_2 = tensors("Z_1[B,F] H_1[B,F] Z_2[B,K] H_2[B,K]")
THREE_LAYER = Layer(
    "three_layer",
    [
        Eq(Z_1[i, h], Sum(X[i, k] * W_1[k, h], k) + b_1[h]),
        Eq(H_1[i, h], relu(Z_1[i, h])),
        Eq(Z_2[i, l], Sum(H_1[i, h] * W_2[h, l], h) + b_2[l]),
        Eq(H_2[i, l], relu(Z_2[i, l])),
        Eq(Y[i, j], Sum(H_2[i, l] * W_3[l, j], l) + b_3[j]),
    ],
    doc="Y = relu(relu(X W_1 + b_1) W_2 + b_2) W_3 + b_3. Goodfellow, Bengio and Courville (2016), section 6.5.7.",
)
