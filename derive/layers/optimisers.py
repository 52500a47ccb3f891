"""Parameter updates: gradient descent, momentum, Nesterov's momentum, Adam and AdamW, as in the papers and as torch.optim writes them.

Sources: Robbins and Monro, A Stochastic Approximation Method (1951); Sutskever, Martens, Dahl and Hinton, On the importance of
initialization and momentum in deep learning (2013), section 2, equations (1) to (4); Kingma and Ba, Adam (2015), algorithm 1;
Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), equation (1) and algorithm 2; torch.optim.SGD, Adam and AdamW.
One step, for the parameters in a row; G is the loss's gradient there. The step can be differentiated like any layer.
"""

from typing import Any

from sympy import Eq, sqrt

from derive.spec import Layer
from derive.symbols import axes, tensors

(p,) = axes("p:P")
theta, G, alpha, lam, theta_new = tensors("theta[P] G[P] alpha[] lam:const theta_new[P]")
SGD = Layer(
    "sgd",
    [Eq(theta_new[p], (1 - lam) * theta[p] - alpha * G[p])],
    doc="theta <- (1 - lam) theta - alpha G: a step against the gradient, with weight decay. Loshchilov and Hutter (2019), equation (1).",
)

theta, G, lr, weight_decay, D, theta_new = tensors("theta[P] G[P] lr[] weight_decay:const D[P] theta_new[P]")
DECAYED = Eq(D[p], G[p] + weight_decay * theta[p])
SGD_TORCH = Layer(
    "sgd_torch",
    [DECAYED, Eq(theta_new[p], theta[p] - lr * D[p])],
    doc="One step of torch.optim.SGD without momentum: the decay is part of the gradient.",
)

theta, G, V, epsilon, mu, V_new, theta_new, phi_new = tensors("theta[P] G[P] V[P] epsilon[] mu:const V_new[P] theta_new[P] phi_new[P]")
VELOCITY = [Eq(V_new[p], mu * V[p] - epsilon * G[p]), Eq(theta_new[p], theta[p] + V_new[p])]
MOMENTUM = Layer(
    "momentum",
    VELOCITY,
    outputs=(theta_new, V_new),
    doc="V <- mu V - epsilon G, theta <- theta + V: classical momentum. Sutskever et al. (2013), equations (1) and (2).",
)

NESTEROV = Layer(
    "nesterov",
    [*VELOCITY, Eq(phi_new[p], theta_new[p] + mu * V_new[p])],
    outputs=(phi_new, theta_new, V_new),
    doc="Momentum with G taken at phi = theta + mu V, which is given for the next step. Sutskever et al. (2013), equations (3) and (4).",
)

theta, G, B, lr, mu, tau, weight_decay = tensors("theta[P] G[P] B[P] lr[] mu:const tau:const weight_decay:const")
D, B_new, theta_new = tensors("D[P] B_new[P] theta_new[P]")
DECAYED = Eq(D[p], G[p] + weight_decay * theta[p])
MOMENTUM_TORCH = Layer(
    "momentum_torch",
    [DECAYED, Eq(B_new[p], mu * B[p] + (1 - tau) * D[p]), Eq(theta_new[p], theta[p] - lr * B_new[p])],
    outputs=(theta_new, B_new),
    doc="A step of torch.optim.SGD with momentum mu and dampening tau; B is its buffer, which the first step sets to D alone.",
)

NESTEROV_TORCH = Layer(
    "nesterov_torch",
    [DECAYED, Eq(B_new[p], mu * B[p] + D[p]), Eq(theta_new[p], theta[p] - lr * (D[p] + mu * B_new[p]))],
    outputs=(theta_new, B_new),
    doc="One step of torch.optim.SGD with nesterov=True: the parameters it keeps are the points at which gradients are taken.",
)

theta, G, M, V, t, alpha, eta, lam = tensors("theta[P] G[P] M[P] V[P] t:const alpha[] eta:const lam:const")
beta_1, beta_2, eps = tensors("beta_1:const beta_2:const eps:const")
M_new, V_new, M_hat, V_hat, theta_new = tensors("M_new[P] V_new[P] M_hat[P] V_hat[P] theta_new[P]")
RATES = ("beta_1 >= 0", "beta_1 < 1", "beta_2 >= 0", "beta_2 < 1", "t > 0", "V[p] >= 0")
MOMENTS = [Eq(M_new[p], beta_1 * M[p] + (1 - beta_1) * G[p]), Eq(V_new[p], beta_2 * V[p] + (1 - beta_2) * G[p] ** 2)]
CORRECTED = [Eq(M_hat[p], M_new[p] / (1 - beta_1**t)), Eq(V_hat[p], V_new[p] / (1 - beta_2**t))]
ADAM = Layer(
    "adam",
    [*MOMENTS, *CORRECTED, Eq(theta_new[p], theta[p] - alpha * M_hat[p] / (sqrt(V_hat[p]) + eps))],
    facts=RATES,
    outputs=(theta_new, M_new, V_new),
    doc="A step along the mean of the gradients over the root of that of their squares. Kingma and Ba (2015), algorithm 1.",
)

ADAMW = Layer(
    "adamw",
    [*MOMENTS, *CORRECTED, Eq(theta_new[p], theta[p] - eta * (alpha * M_hat[p] / (sqrt(V_hat[p]) + eps) + lam * theta[p]))],
    facts=RATES,
    outputs=(theta_new, M_new, V_new),
    doc="Adam with the weight decay outside the adaptive step. Loshchilov and Hutter (2019), algorithm 2.",
)

theta, G, M, V, t, lr, weight_decay = tensors("theta[P] G[P] M[P] V[P] t:const lr[] weight_decay:const")
beta_1, beta_2, eps = tensors("beta_1:const beta_2:const eps:const")
D, M_new, V_new, S, kept, theta_new = tensors("D[P] M_new[P] V_new[P] S[P] kept[P] theta_new[P]")
SCALED = Eq(S[p], sqrt(V_new[p]) / sqrt(1 - beta_2**t) + eps)


def lerped(gradient: Any) -> list[Any]:
    """The moments as torch moves them: the mean by a share of its distance, the mean square by a product of its own."""
    mean = Eq(M_new[p], M[p] + (1 - beta_1) * (gradient[p] - M[p]))
    return [mean, Eq(V_new[p], beta_2 * V[p] + (1 - beta_2) * gradient[p] * gradient[p])]


ADAM_TORCH = Layer(
    "adam_torch",
    [
        Eq(D[p], G[p] + weight_decay * theta[p]),
        *lerped(D),
        SCALED,
        Eq(theta_new[p], theta[p] - lr / (1 - beta_1**t) * (M_new[p] / S[p])),
    ],
    facts=RATES,
    outputs=(theta_new, M_new, V_new),
    doc="One step of torch.optim.Adam: the decay is in the gradient, the corrections of the bias in step size and denominator.",
)

ADAMW_TORCH = Layer(
    "adamw_torch",
    [
        *lerped(G),
        SCALED,
        Eq(kept[p], theta[p] * (1 - lr * weight_decay)),
        Eq(theta_new[p], kept[p] - lr / (1 - beta_1**t) * (M_new[p] / S[p])),
    ],
    facts=RATES,
    outputs=(theta_new, M_new, V_new),
    doc="One step of torch.optim.AdamW: the decay comes first, and is scaled by the learning rate.",
)
