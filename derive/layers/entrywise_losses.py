"""Losses entry by entry or row by row, without a reduction; targets have gradients too, as in torch.nn.functional.

Sources: those of the losses with their reductions, in `derive/layers/regression_losses.py`, `classification_losses.py`,
`margin_losses.py` and `cross_entropy.py`; the kinks are those of torch.
"""

from typing import Any

from sympy import Abs, Eq, Min, Piecewise, Sum, exp, log, sqrt

from derive.scalar import relu, softplus, xlogy
from derive.spec import Layer
from derive.symbols import axes, tensors

(i,) = axes("i:N")
x, t, p, s, kappa, beta, E, A, M, L = tensors("x[N] t[N] p[N]:const s[N] kappa:const beta:const E[N] A[N] M[N] L[N]")
tiny, margin, u = tensors("tiny:const margin:const u[N]")
ERROR = Eq(E[i], x[i] - t[i])

SQUARED_DIFFERENCE = Layer("squared_difference", [Eq(L[i], (x[i] - t[i]) ** 2)], doc="L = (x - t)^2.")

ABSOLUTE_DIFFERENCE = Layer("absolute_difference", [Eq(L[i], Abs(x[i] - t[i]))], doc="L = |x - t|.")

# M is min(A, kappa) with the slope 0 where both are equal, which is where torch has its second derivative 0.
HUBER_ENTRIES = Layer(
    "huber_entries",
    [ERROR, Eq(A[i], Abs(E[i])), Eq(M[i], Piecewise((A[i], A[i] < kappa), (kappa, True))), Eq(L[i], M[i] * (A[i] - M[i] / 2))],
    inputs="x t kappa",
    doc="L = (x - t)^2 / 2 where |x - t| <= kappa, else kappa (|x - t| - kappa/2). Huber (1964).",
)

SMOOTH_L1_ENTRIES = Layer(
    "smooth_l1_entries",
    [ERROR, Eq(A[i], Abs(E[i])), Eq(M[i], Piecewise((A[i], A[i] < beta), (beta, True))), Eq(L[i], M[i] * (A[i] - M[i] / 2) / beta)],
    inputs="x t beta",
    doc="L = (x - t)^2 / (2 beta) where |x - t| <= beta, else |x - t| - beta/2. Girshick (2015), equation (3).",
)

BCE_WITH_LOGITS_ENTRIES = Layer(
    "bce_with_logits_entries",
    [Eq(L[i], (1 - t[i]) * x[i] + (1 + (p[i] - 1) * t[i]) * softplus(-x[i]))],
    inputs="x t p",
    doc="L = -p t log sigmoid(x) - (1 - t) log(1 - sigmoid(x)), with p the weight of the positive label.",
)

SOFT_MARGIN_ENTRIES = Layer(
    "soft_margin_entries",
    [Eq(L[i], softplus(-t[i] * x[i]))],
    inputs="x t",
    doc="L = log(1 + exp(-t x)), with t = -1 or 1.",
)

# With tiny = exp(-100) no logarithm is below -100, as in torch; beyond it the slope is 0.
BCE_ENTRIES = Layer(
    "bce_entries",
    [
        Eq(
            L[i],
            -t[i] * Piecewise((-100, x[i] <= tiny), (log(x[i]), True))
            - (1 - t[i]) * Piecewise((-100, 1 - x[i] <= tiny), (log(1 - x[i]), True)),
        )
    ],
    inputs="x t tiny",
    doc="L = -t log x - (1 - t) log(1 - x), with x a probability, and -100 for the logarithm of tiny or less.",
)

(y,) = tensors("y[N]:const")
# As in torch, both terms stand where y is neither -1 nor 1, and u + relu(-u) is max(u, 0) with the slope 1 at 0.
HINGE_EMBEDDING_ENTRIES = Layer(
    "hinge_embedding_entries",
    [
        Eq(u[i], margin - x[i]),
        Eq(L[i], Piecewise((0, Eq(y[i], 1)), (u[i] + relu(-u[i]), True)) + Piecewise((0, Eq(y[i], -1)), (x[i], True))),
    ],
    inputs="x y margin",
    doc="L = x where y = 1, max(margin - x, 0) where y = -1, as in torch.nn.HingeEmbeddingLoss.",
)

KL_ENTRIES = Layer(
    "kl_entries",
    [Eq(L[i], xlogy(t[i], t[i]) - t[i] * x[i])],
    inputs="x t",
    facts="t[i] >= 0",
    doc="L = t (log t - x), with x a log-probability; where t is 0, so is L.",
)

KL_LOG_ENTRIES = Layer(
    "kl_log_entries",
    [Eq(L[i], exp(t[i]) * (t[i] - x[i]))],
    inputs="x t",
    doc="L = exp(t) (t - x), with x and t log-probabilities.",
)

# torch clamps at 0 here, with the slope 1 at the kink itself: u + relu(-u) is max(u, 0) with that slope.
a, b, margin, u = tensors("a[N] b[N] margin:const u[N]")
MARGIN_RANKING_ENTRIES = Layer(
    "margin_ranking_entries",
    [Eq(u[i], margin - s[i] * (a[i] - b[i])), Eq(L[i], u[i] + relu(-u[i]))],
    inputs="a b s margin",
    doc="L = max(margin - s (a - b), 0), with s = -1 or 1.",
)

MARGIN_OF_DISTANCES = Layer(
    "margin_of_distances",
    [Eq(u[i], margin + a[i] - b[i]), Eq(L[i], u[i] + relu(-u[i]))],
    inputs="a b margin",
    doc="L = max(margin + a - b, 0), with a the distance to the positive and b that to the negative example.",
)

SMALLER_ENTRIES = Layer("smaller_entries", [Eq(L[i], Min(a[i], b[i]))], inputs="a b", doc="L = min(a, b), entry by entry.")

i, k = axes("i:N k:K")
X, Y, eps, margin, s, U, V, c, u, R, L = tensors("X[N,K] Y[N,K] eps:const margin:const s[N]:const U[N] V[N] c[N] u[N] R[N] L[N]")

# At distance 0 the derivative is 0, as in torch.
Z, p = tensors("Z[N] p:const")
ROW_DISTANCE = Layer(
    "row_distance",
    [
        Eq(Z[i], Sum((X[i, k] - Y[i, k] + eps) ** 2, k)),
        Eq(R[i], Piecewise((sqrt(Z[i]), Z[i] > 0), (0, True))),
    ],
    inputs="X Y eps",
    doc="R = |X - Y + eps|, the Euclidean distance of each pair of rows.",
)

ROW_DISTANCE_P = Layer(
    "row_distance_p",
    [
        Eq(Z[i], Sum(Abs(X[i, k] - Y[i, k] + eps) ** p, k)),
        Eq(R[i], Piecewise((Z[i] ** (1 / p), Z[i] > 0), (0, True))),
    ],
    inputs="X Y eps p",
    doc="R is the p-norm of X - Y + eps for each pair of rows.",
)

COSINE_EMBEDDING_ENTRIES = Layer(
    "cosine_embedding_entries",
    [
        Eq(U[i], Sum(X[i, k] ** 2, k) + eps),
        Eq(V[i], Sum(Y[i, k] ** 2, k) + eps),
        Eq(c[i], Sum(X[i, k] * Y[i, k], k) / sqrt(U[i] * V[i])),
        Eq(u[i], c[i] - margin),
        Eq(L[i], Piecewise((1 - c[i], s[i] > 0), (u[i] + relu(-u[i]), True))),
    ],
    inputs="X Y s margin eps",
    doc="L = 1 - cos(X, Y) where s > 0, else max(cos(X, Y) - margin, 0).",
)

i, j, C = axes("i:N j:C C")
Z, y, w, p, margin, r, own, L = tensors("Z[N,C] y[N]:int w[C]:const p:const margin:const r[N,C] own[] L[N]")


def power(base: Any) -> Any:
    """A term of the hinge to the power p, which is 1 or 2."""
    return Piecewise((base**2, p >= 2), (base, True))


# The sum runs over every class; the label's own term is that of the margin, which is subtracted again.
MULTI_MARGIN_ENTRIES = Layer(
    "multi_margin_entries",
    [
        Eq(r[i, j], relu(margin + Z[i, j] - Z[i, y[i]])),
        Eq(own, power(relu(margin))),
        Eq(L[i], w[y[i]] * (Sum(power(r[i, j]), j) - own) / C),
    ],
    inputs="Z y w p margin",
    doc="L is the sum of w_y max(margin + Z_j - Z_y, 0)^p over the classes j other than y, divided by C, with p = 1 or 2.",
)
