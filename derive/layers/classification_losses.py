"""Losses of classification on logits and on log-probabilities, besides the cross-entropy.

Sources: Bishop, Pattern Recognition and Machine Learning (2006), sections 1.6.1, 4.3 and 7.1.2; Lin et al., Focal Loss (2017),
equation (5); Zoph et al., ST-MoE (2022), equation (5), for the z-loss. The reductions are the defaults of torch.
"""

from sympy import Eq, Sum, exp, log

from derive.scalar import softplus, xlogy
from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, B, N = axes("i:B j:N B N")
Z, T, L = tensors("Z[B,N] T[B,N]:const L[]")

# -T log(sigmoid(Z)) - (1 - T) log(1 - sigmoid(Z)), in the form that no logit overflows.
BCE_WITH_LOGITS = Layer(
    "bce_with_logits",
    [Eq(L, Sum(softplus(Z[i, j]) - T[i, j] * Z[i, j], i, j) / (B * N))],
    doc="The mean binary cross-entropy of sigmoid(Z) against T in [0, 1], as in torch.nn.BCEWithLogitsLoss.",
)

i, k, B = axes("i:B k:K B")
X, w, b, t, z, L = tensors("X[B,K] w[K] b[] t[B]:const z[B] L[]")

LOGISTIC_REGRESSION = Layer(
    "logistic_regression",
    [Eq(z[i], Sum(X[i, k] * w[k], k) + b), Eq(L, Sum(softplus(z[i]) - t[i] * z[i], i) / B)],
    doc="The mean binary cross-entropy of sigmoid(X w + b) against t in [0, 1]. Bishop (2006), section 4.3.2, equation (4.90).",
)

z, s, L = tensors("z[B] s[B]:const L[]")

LOGISTIC = Layer(
    "logistic",
    [Eq(L, Sum(softplus(-s[i] * z[i]), i) / B)],
    doc="L is the mean of log(1 + exp(-s z)), with s = -1 or 1. Bishop (2006), section 7.1.2.",
)

i, j, k, B, C = axes("i:B j:C k:C B C")
G, T, y, L = tensors("G[B,C] T[B,C]:const y[B]:int L[]")

NLL = Layer(
    "nll",
    [Eq(L, -Sum(G[i, y[i]], i) / B)],
    doc="L is the mean of -G at the label y, with G log-probabilities, as in torch.nn.NLLLoss.",
)

KL_DIVERGENCE = Layer(
    "kl_divergence",
    [Eq(L, Sum(xlogy(T[i, j], T[i, j]) - T[i, j] * G[i, j], i, j) / B)],
    doc="L is the mean over rows of KL(T || exp(G)), with G log-probabilities; a target may be 0. Bishop (2006), equation (1.113).",
)

Z, Q, L = tensors("Z[B,C] Q[B] L[]")

Z_LOSS = Layer(
    "z_loss",
    [Eq(Q[i], log(Sum(exp(Z[i, k]), k))), Eq(L, Sum(Q[i] ** 2, i) / B)],
    doc="L is the mean of (log sum exp(Z))^2. Zoph et al. (2022), equation (5).",
)

i, B = axes("i:B B")
z, t, alpha, gamma, u, w, L = tensors("z[B] t[B]:const alpha:const gamma:const u[B] w[B] L[]")

# exp(-gamma softplus(u)) is (1 - sigmoid(u))^gamma, finite with its derivatives for every u and gamma.
FOCAL = Layer(
    "focal",
    [
        Eq(u[i], (2 * t[i] - 1) * z[i]),
        Eq(w[i], (2 * t[i] - 1) * alpha + 1 - t[i]),
        Eq(L, Sum(w[i] * exp(-gamma * softplus(u[i])) * softplus(-u[i]), i) / B),
    ],
    doc="L is the mean of -alpha_t (1 - p)^gamma log p, with p the probability of the label t = 0 or 1. Lin et al. (2017), equation (5).",
)

i, j, k, d, B = axes("i:B j:C k:C d:K B")
X, W, y, Z, P, L = tensors("X[B,K] W[K,C] y[B]:int Z[B,C] P[B,C] L[]")

LINEAR_CROSS_ENTROPY = Layer(
    "linear_cross_entropy",
    [
        Eq(Z[i, j], Sum(X[i, d] * W[d, j], d)),
        Eq(P[i, j], exp(Z[i, j]) / Sum(exp(Z[i, k]), k)),
        Eq(L, -Sum(log(P[i, y[i]]), i) / B),
    ],
    doc="L is the mean of -log softmax(X W) at the label y: a language model's head. Bishop (2006), section 4.3.4.",
)
