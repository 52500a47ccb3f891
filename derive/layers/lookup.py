"""Rows of a table, by integers.

Source: Bengio et al., A Neural Probabilistic Language Model (2003), section 2; the mean is that of torch.nn.EmbeddingBag.
"""

from sympy import Eq, Piecewise, Sum

from derive.scalar import delta
from derive.spec import Layer
from derive.symbols import axes, tensors

b, n, c, N = axes("b:B n:N c:C N")
E, t, Y = tensors("E[V,C] t[B,N]:int Y[B,N,C]")
EMBEDDING = Layer(
    "embedding",
    [Eq(Y[b, n, c], E[t[b, n], c])],
    doc="Y holds the row of E for each token; the gradients of repeated tokens add. Bengio et al. (2003), section 2.",
)

(Y,) = tensors("Y[B,C]")
EMBEDDING_BAG = Layer(
    "embedding_bag",
    [Eq(Y[b, c], Sum(E[t[b, n], c], n) / N)],
    doc="The mean of the rows of a bag of tokens, as torch.nn.EmbeddingBag.",
)

n, c = axes("n:N c:C")
E, F, t, r, Y = tensors("E[V,C] F[V,C]:const t[N]:int r[N]:const Y[N,C]")
EMBEDDING_PADDED = Layer(
    "embedding_padded",
    [Eq(Y[n, c], Piecewise((E[t[n], c], r[n] > 0), (F[t[n], c], True)))],
    inputs="E F t r",
    doc="Rows of E where r = 1; where r = 0, the same rows from a constant copy F, so that padding has no gradient.",
)

b, n, c, p = axes("b:B n:N c:C p:P")
B = axes("B")[0]
E, w, t, s, bags, Y = tensors("E[V,C] w[N] t[N]:int s[N]:int bags:int Y[B,C]")
EMBEDDING_BAG_WEIGHTED = Layer(
    "embedding_bag_weighted",
    [Eq(Y[b, c], Sum(delta(s[n], b) * w[n] * E[t[n], c], n))],
    sizes=Eq(B, bags),
    inputs=(E, w, t, s, bags),
    doc="Token n goes into bag s_n with the weight w_n: the sum of each bag of tokens, as torch.nn.EmbeddingBag.",
)

X, a, Y = tensors("X[N,P] a[N,C]:int Y[N,C]")
PICKED = Layer(
    "picked",
    [Eq(Y[n, c], X[n, a[n, c]])],
    inputs="X a",
    doc="Entries of each row, by their places: with the places of the largest entries of windows, this is a max pooling.",
)
