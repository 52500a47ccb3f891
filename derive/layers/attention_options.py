"""Scaled dot-product attention with what torch.nn.functional lets a user choose: a scale, a mask, a bias, dropped weights.

Sources: Vaswani et al., Attention Is All You Need (2017), section 3.2.1; dropout of the weights as in Srivastava et al. (2014). A
query that sees no key gets zeros.
"""

from collections.abc import Callable
from typing import Any

from sympy import Eq, Piecewise, Sum, exp

from derive.scalar import position
from derive.spec import Layer
from derive.symbols import axes, tensors

b, i, j, k, d, e = axes("b:B i:N j:M k:M d:d_k e:d_v")
Q, K, V, S, P, O = tensors("Q[B,N,d_k] K[B,M,d_k] V[B,M,d_v] S[B,N,M] P[B,N,M] O[B,N,d_v]")
scale, A, D, bias = tensors("scale:const A[B,N,M]:const D[B,N,M]:const bias[B,N,M]")
SCORES = scale * Sum(Q[b, i, d] * K[b, j, d], d)
WEIGHTED = Sum(P[b, i, j] * V[b, j, e], j)
KEPT = Sum(P[b, i, j] * D[b, i, j] * V[b, j, e], j)


def weights(scores: Any, sees: Callable[[Any, Any], Any] | None) -> list[Any]:
    """The scores, and the softmax over the keys that a query sees."""
    seen, counted = (exp(S[b, i, n]) if sees is None else Piecewise((exp(S[b, i, n]), sees(i, n)), (0, True)) for n in (j, k))
    return [Eq(S[b, i, j], scores), Eq(P[b, i, j], seen / Sum(counted, k))]


def attention(name: str, scores: Any, output: Any, inputs: str, doc: str, sees: Callable[[Any, Any], Any] | None = None) -> Layer:
    """Attention with these scores and output, over the keys that a query sees."""
    return Layer(name, [*weights(scores, sees), Eq(O[b, i, e], output)], inputs=inputs, doc=doc)


ATTENTION_SCALED = attention("attention_scaled", SCORES, WEIGHTED, "Q K V scale", "O = softmax(scale Q K^T) V.")

ATTENTION_CAUSAL_SCALED = attention(
    "attention_causal_scaled",
    SCORES,
    WEIGHTED,
    "Q K V scale",
    "O = softmax(scale Q K^T) V over the keys up to the query's own place.",
    lambda i, j: position(j) <= position(i),
)

ATTENTION_MASKED = attention(
    "attention_masked",
    SCORES,
    WEIGHTED,
    "Q K V A scale",
    "O = softmax(scale Q K^T) V over the keys with A > 0.",
    lambda i, j: A[b, i, j] > 0,
)

ATTENTION_MASKED_BIAS = attention(
    "attention_masked_bias",
    SCORES + bias[b, i, j],
    WEIGHTED,
    "Q K V bias A scale",
    "O = softmax(scale Q K^T + bias) V over the keys with A > 0.",
    lambda i, j: A[b, i, j] > 0,
)

ATTENTION_DROPPED = attention(
    "attention_dropped",
    SCORES + bias[b, i, j],
    KEPT,
    "Q K V bias A D scale",
    "O = (D o softmax(scale Q K^T + bias)) V over the keys with A > 0; D is 0 or 1 / (1 - p).",
    lambda i, j: A[b, i, j] > 0,
)

R, O = tensors("R[B,N,M] O[B,N,d_v]")
ATTENTION_WITH_WEIGHTS = Layer(
    "attention_with_weights",
    [
        *weights(SCORES + bias[b, i, j], lambda i, j: A[b, i, j] > 0),
        Eq(R[b, i, j], D[b, i, j] * P[b, i, j]),
        Eq(O[b, i, e], Sum(R[b, i, j] * V[b, j, e], j)),
    ],
    inputs="Q K V bias A D scale",
    outputs=(O, R),
    doc="O = R V and the weights R = D o softmax(scale Q K^T + bias) over the keys with A > 0; D is 0 or 1 / (1 - p).",
)
