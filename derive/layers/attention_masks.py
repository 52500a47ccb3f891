"""Attention in which a token sees some of the others: causal, windows, the edges of a graph.

Sources: Vaswani et al., Attention Is All You Need (2017), section 3.2.3; Beltagy, Peters and Cohan, Longformer (2020), section 3.1;
Jiang et al., Mistral 7B (2023), section 2; Velickovic et al., Graph Attention Networks (2018), section 2.1.
"""

from collections.abc import Callable
from typing import Any

from sympy import And, Eq, Piecewise, Sum, exp, sqrt

from derive.scalar import position
from derive.spec import Layer
from derive.symbols import axes, tensors

d, e, d_k = axes("d:d_k e:d_v d_k")


def softmax_where(size: str, sees: Callable[[Any, Any], Any]) -> list[Any]:
    """The equations of attention for `size` keys, with a softmax over the tokens j for which `sees(i, j)` holds."""
    i, j, k = axes(f"i:N j:{size} k:{size}")
    Q, K, V = tensors(f"Q[N,d_k] K[{size},d_k] V[{size},d_v]")
    S, P, O = tensors(f"S[N,{size}] P[N,{size}] O[N,d_v]")
    seen, counted = (Piecewise((exp(S[i, each]), sees(i, each)), (0, True)) for each in (j, k))
    return [
        Eq(S[i, j], Sum(Q[i, d] * K[j, d], d) / sqrt(d_k)),
        Eq(P[i, j], seen / Sum(counted, k)),
        Eq(O[i, e], Sum(P[i, j] * V[j, e], j)),
    ]


ATTENTION_CAUSAL = Layer(
    "attention_causal",
    softmax_where("M", lambda i, j: position(j) <= position(i)),
    batch="b:B h:H",
    doc="A token sees itself and those before it. Vaswani et al. (2017), section 3.2.3.",
)

left, right, width, A = tensors("left:const right:const width:const A[N,M]:const")
ATTENTION_WINDOW = Layer(
    "attention_window",
    softmax_where("N", lambda i, j: And(position(i) - left <= position(j), position(j) <= position(i) + right)),
    inputs="Q K V left right",
    doc="A token sees `left` tokens before it and `right` after it. Beltagy, Peters and Cohan (2020), section 3.1.",
)

ATTENTION_SLIDING_WINDOW = Layer(
    "attention_sliding_window",
    softmax_where("N", lambda i, j: And(position(i) - width < position(j), position(j) <= position(i))),
    inputs="Q K V width",
    doc="A token sees itself and the `width` - 1 tokens before it. Jiang et al. (2023), section 2.",
)

ATTENTION_GRAPH = Layer(
    "attention_graph",
    softmax_where("M", lambda i, j: A[i, j] > 0),
    inputs="Q K V A",
    doc="A node sees those to which it has an edge, A > 0; no gradient flows off an edge. Velickovic et al. (2018), section 2.1.",
)
