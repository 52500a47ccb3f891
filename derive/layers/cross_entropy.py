"""The cross-entropy of softmax(Z) against soft targets T or integer labels y.

Source: Goodfellow, Bengio and Courville, Deep Learning (2016), section 6.2.2.3; label smoothing is from Szegedy et al.,
Rethinking the Inception Architecture (2016), section 7; reductions, class weights and ignored labels are those of
torch.nn.CrossEntropyLoss.
"""

from sympy import Eq, Ne, Piecewise, Sum, exp, log

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, m, B, C = axes("i:B j:C k:C m:B B C")
Z, T, y, w, eps, P, L = tensors("Z[B,C] T[B,C]:const y[B]:int w[C]:const eps:const P[B,C] L[]")

PROBABILITIES = Eq(P[i, j], exp(Z[i, j]) / Sum(exp(Z[i, k]), k))
TARGETS_SUM_TO_ONE = "sum(j, T[i,j]) = 1"

CROSS_ENTROPY = Layer(
    "cross_entropy",
    [PROBABILITIES, Eq(L, -Sum(T[i, j] * log(P[i, j]), i, j) / B)],
    facts=TARGETS_SUM_TO_ONE,
    doc="L is the mean over examples of -sum T log softmax(Z). Goodfellow, Bengio and Courville (2016), section 6.2.2.3.",
)

CROSS_ENTROPY_SUM = Layer(
    "cross_entropy_sum",
    [PROBABILITIES, Eq(L, -Sum(T[i, j] * log(P[i, j]), i, j))],
    facts=TARGETS_SUM_TO_ONE,
    doc="L is the sum over examples of -sum T log softmax(Z).",
)

CROSS_ENTROPY_LABELS = Layer(
    "cross_entropy_labels",
    [PROBABILITIES, Eq(L, -Sum(log(P[i, y[i]]), i) / B)],
    doc="L is the mean over examples of -log softmax(Z) at the label y, as in torch.nn.CrossEntropyLoss.",
)

CROSS_ENTROPY_WEIGHTED = Layer(
    "cross_entropy_weighted",
    [PROBABILITIES, Eq(L, -Sum(w[y[i]] * log(P[i, y[i]]), i) / Sum(w[y[m]], m))],
    doc="L is the mean of -log softmax(Z) at the label, weighted by the label's class weight, as in torch.nn.CrossEntropyLoss.",
)

(ignored,) = tensors("ignored:const")
COUNTED, ALL = (Piecewise((1, Ne(y[row], ignored)), (0, True)) for row in (i, m))
CROSS_ENTROPY_IGNORE = Layer(
    "cross_entropy_ignore",
    [PROBABILITIES, Eq(L, -Sum(COUNTED * log(P[i, y[i]]), i) / Sum(ALL, m))],
    inputs=(Z, y, ignored),
    doc="The mean over the labels that are not `ignored`, one of the classes, as ignore_index of torch.nn.CrossEntropyLoss.",
)

Q, L_each = tensors("Q[B,C] L[B]")

CROSS_ENTROPY_NONE = Layer(
    "cross_entropy_none",
    [PROBABILITIES, Eq(L_each[i], -Sum(T[i, j] * log(P[i, j]), j))],
    facts=TARGETS_SUM_TO_ONE,
    doc="L holds -sum T log softmax(Z) of each example.",
)

CROSS_ENTROPY_SMOOTH = Layer(
    "cross_entropy_smooth",
    [
        PROBABILITIES,
        Eq(Q[i, j], (1 - eps) * T[i, j] + eps / C),
        Eq(L, -Sum(Q[i, j] * log(P[i, j]), i, j) / B),
    ],
    facts=TARGETS_SUM_TO_ONE,
    doc="Cross-entropy against the targets mixed with a share eps of the uniform ones. Szegedy et al. (2016), section 7.",
)

CROSS_ENTROPY_LABELS_SMOOTH = Layer(
    "cross_entropy_labels_smooth",
    [
        PROBABILITIES,
        Eq(L, -((1 - eps) * Sum(log(P[i, y[i]]), i) + eps * Sum(log(P[i, j]), i, j) / C) / B),
    ],
    doc="Cross-entropy at the label y, a share eps of it spread evenly over the classes, as in torch.nn.CrossEntropyLoss.",
)

T, r, L_each = tensors("T[B,C] r[B]:const L[B]")
LOG_LIKELIHOOD = (1 - eps) * w[y[i]] * log(P[i, y[i]]) + eps * Sum(w[j] * log(P[i, j]), j) / C

CROSS_ENTROPY_LABELS_KEPT = Layer(
    "cross_entropy_labels_kept",
    [PROBABILITIES, Eq(L, -Sum(Piecewise((log(P[i, y[i]]), r[i] > 0), (0, True)), i) / Sum(r[m], m))],
    inputs="Z y r",
    doc="The mean of -log softmax(Z) at the label y over the rows with r = 1; the others, r = 0, are ignored.",
)

CROSS_ENTROPY_LABELS_ENTRIES = Layer(
    "cross_entropy_labels_entries",
    [PROBABILITIES, Eq(L_each[i], -Piecewise((LOG_LIKELIHOOD, r[i] > 0), (0, True)))],
    inputs="Z y w eps r",
    doc="-log softmax(Z) at the label under class weights w, a share eps of it spread over the classes; 0 where r = 0.",
)

CROSS_ENTROPY_ENTRIES = Layer(
    "cross_entropy_entries",
    [PROBABILITIES, Eq(L_each[i], -Sum(w[j] * ((1 - eps) * T[i, j] + eps / C) * log(P[i, j]), j))],
    inputs="Z T w eps",
    doc="-sum w T log softmax(Z) of each row, the targets mixed with a share eps of the uniform ones; they have a gradient too.",
)

G, L_each = tensors("G[B,C] L[B]")
NLL_ENTRIES = Layer(
    "nll_entries",
    [Eq(L_each[i], -Piecewise((w[y[i]] * G[i, y[i]], r[i] > 0), (0, True)))],
    inputs="G y w r",
    doc="-w G at the label y of each row, with G log-probabilities and w class weights; 0 where r = 0.",
)
