"""What is done with the entries of a loss: their sum, their mean, and both under weights.

Source: the reductions of torch.nn.functional; a weighted mean divides by the sum of the weights.
"""

from sympy import Eq, Sum

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, N = axes("i:N j:N N")
X, w, Y, L = tensors("X[N] w[N]:const Y[N] L[]")

SUM_OF_ENTRIES = Layer("sum_of_entries", [Eq(L, Sum(X[i], i))], doc="L is the sum of all entries.")

MEAN_OF_ENTRIES = Layer("mean_of_entries", [Eq(L, Sum(X[i], i) / N)], doc="L is the mean of all entries.")

MEAN_PER_WEIGHT = Layer(
    "mean_per_weight",
    [Eq(L, Sum(X[i], i) / Sum(w[j], j))],
    doc="L is the sum of entries that carry their weights already, divided by the sum of the weights.",
)

WEIGHTED_ENTRIES = Layer("weighted_entries", [Eq(Y[i], w[i] * X[i])], doc="Each entry times its weight.")
