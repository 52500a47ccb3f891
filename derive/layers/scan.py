"""Sums over what came before: a state that decays by a factor of each channel's own.

Sources: Gu, Goel and Re, Efficiently Modeling Long Sequences with Structured State Spaces (2022), section 2.4 (a recurrence as a
convolution); Orvieto et al., Resurrecting Recurrent Neural Networks for Long Sequences (2023), section 3.
"""

from sympy import Eq, Pow, Sum

from derive.scalar import position
from derive.spec import Layer
from derive.symbols import axes, tensors

b, n, k, c = axes("b:B n:N k:N c:C")
X, a, H = tensors("X[B,N,C] a[C] H[B,N,C]")
DECAY_SCAN = Layer(
    "decay_scan",
    [Eq(H[b, n, c], Sum(Pow(a[c], position(k), evaluate=False) * X[b, n - k, c], k))],
    wrt=(X, a),
    doc="H[n] = a H[n-1] + X[n], written out: k steps ago counts a^k. Gu, Goel and Re (2022), section 2.4.",
)
