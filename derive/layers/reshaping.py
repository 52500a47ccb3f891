"""Shapes and places: axes made one and taken apart, tensors one after the other, one-hot rows.

Sources: the row-major order of torch.flatten and torch.reshape; torch.cat; Vaswani et al., Attention Is All You Need (2017),
section 3.5.
"""

from sympy import Eq, Sum

from derive.scalar import delta, position
from derive.spec import Layer
from derive.symbols import axes, tensors

b, c, d, e, f, g, n = axes("b:B c:C d:D e:E f:F g:G n:N")
B, C, D, E, F, G, N, M, V = axes("B C D E F G N M V")

X, Y = tensors("X[B,C,D] Y[B,F]")
FLATTEN = Layer(
    "flatten",
    [Eq(Y[b, f], Sum(X[b, c, d] * delta(f, D * c + d), c, d))],
    sizes=Eq(F, C * D),
    doc="Row c, column d goes to the place D c + d: row after row. As torch.flatten.",
)

X, Y, Z, width = tensors("X[B,C,D] Y[B,F,G] Z[B,E] width:int")
RESHAPE = Layer(
    "reshape",
    [Eq(Z[b, e], Sum(X[b, c, d] * delta(e, D * c + d), c, d)), Eq(Y[b, f, g], Z[b, G * f + g])],
    sizes=(Eq(E, C * D), Eq(G, width), Eq(F, C * D // width)),
    inputs=(X, width),
    doc="The same entries, row after row, in rows of another width. As torch.reshape.",
)

X, Z, Y = tensors("X[B,N] Z[B,M] Y[B,F]")
CONCATENATION = Layer(
    "concatenation",
    [Eq(Y[b, f], X[b, position(f)] + Z[b, f - N])],
    sizes=Eq(F, N + M),
    doc="Y = [X, Z]: each is 0 where it has no entry, so their sum is the one after the other. As torch.cat.",
)

v, m = axes("v:V m:M")
E, A, t, p, S, H, Y = tensors("E[V,C] A[M,C] t[N]:int p[N]:int S[F,C] H[N,F] Y[N,C]")
ONE_HOT_CONCATENATED = Layer(
    "one_hot_concatenated",
    [
        Eq(H[n, f], Sum(delta(v, t[n]) * delta(f, position(v)), v) + Sum(delta(m, p[n]) * delta(f, m + V), m)),
        Eq(S[f, c], E[position(f), c] + A[f - V, c]),
        Eq(Y[n, c], Sum(H[n, f] * S[f, c], f)),
    ],
    sizes=Eq(F, V + M),
    inputs=(E, A, t, p),
    doc="e_i + a_i is one product, [E; A]^T times the one-hot of the token above that of its position: token_and_position.\n"
    "Vaswani et al. (2017), section 3.5.",
)
