"""Positions: a table added to the tokens, and the rotation of queries and keys.

Sources: Vaswani et al., Attention Is All You Need (2017), section 3.5; Su et al., RoFormer (2021), section 3.4.2, equation (34).
"""

from sympy import Eq, cos, sin

from derive.scalar import position
from derive.spec import Layer
from derive.symbols import axes, tensors

n, c = axes("n:N c:C")
E, A, t, p, Y = tensors("E[V,C] A[M,C] t[N]:int p[N]:int Y[N,C]")
TOKEN_AND_POSITION = Layer(
    "token_and_position",
    [Eq(Y[n, c], E[t[n], c] + A[p[n], c])],
    doc="e_i + a_i: the row of the token's table plus the row of the position's. Vaswani et al. (2017), section 3.5.",
)

b, n, f = axes("b:B n:N f:F")
X_even, X_odd, w, A, Y_even, Y_odd = tensors("X_even[B,N,F] X_odd[B,N,F] w[F]:const A[N,F] Y_even[B,N,F] Y_odd[B,N,F]")
ANGLE = Eq(A[n, f], position(n) * w[f])
SINUSOIDAL_POSITION = Layer(
    "sinusoidal_position",
    [
        ANGLE,
        Eq(Y_even[b, n, f], X_even[b, n, f] + sin(A[n, f])),
        Eq(Y_odd[b, n, f], X_odd[b, n, f] + cos(A[n, f])),
    ],
    outputs=(Y_even, Y_odd),
    doc="Even features get the sine and odd ones the cosine of position times frequency. Vaswani et al. (2017), section 3.5.",
)

ROTARY = Layer(
    "rotary",
    [
        ANGLE,
        Eq(Y_even[b, n, f], X_even[b, n, f] * cos(A[n, f]) - X_odd[b, n, f] * sin(A[n, f])),
        Eq(Y_odd[b, n, f], X_odd[b, n, f] * cos(A[n, f]) + X_even[b, n, f] * sin(A[n, f])),
    ],
    outputs=(Y_even, Y_odd),
    doc="Each pair of features turns by position times frequency. Su et al. (2021), equation (34).",
)
