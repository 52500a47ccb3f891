"""Products of inputs and of weights: low rank, Kronecker, bilinear, factorisation machine.

Sources: Hu et al., LoRA (2021), section 4.1, equation (3); Van Loan, The ubiquitous Kronecker product (2000); Tenenbaum
and Freeman, Separating style and content with bilinear models (2000), section 2; Rendle, Factorization Machines (2010), section
III, equation (1) and lemma 3.1.
"""

from sympy import Eq, Piecewise, Sum

from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, r = axes("i:S j:M k:N r:R")
X, W, A, B, scale, Y = tensors("X[S,N] W[N,M]:const A[N,R] B[R,M] scale:const Y[S,M]")
(H,) = tensors("H[S,R]")
LORA = Layer(
    "lora",
    [Eq(H[i, r], Sum(X[i, k] * A[k, r], k)), Eq(Y[i, j], Sum(X[i, k] * W[k, j], k) + scale * Sum(H[i, r] * B[r, j], r))],
    doc="Y = X W + scale X A B: W is frozen, A and B of low rank learn. Hu et al. (2021), equation (3).",
)

i, k, l, p, q = axes("i:S k:N l:M p:P q:Q")
X, A, B, Y = tensors("X[S,N,M] A[P,N] B[Q,M] Y[S,P,Q]")
KRONECKER = Layer(
    "kronecker",
    [Eq(Y[i, p, q], Sum(A[p, k] * X[i, k, l] * B[q, l], k, l))],
    doc="Y = A X B^T for every example: the Kronecker product of A and B times vec(X). Van Loan (2000).",
)

i, o, k, l = axes("i:B o:O k:N l:M")
X, Z, W, b, Y = tensors("X[B,N] Z[B,M] W[O,N,M] b[O] Y[B,O]")
BILINEAR = Layer(
    "bilinear",
    [Eq(Y[i, o], Sum(X[i, k] * W[o, k, l] * Z[i, l], k, l) + b[o])],
    doc="y_o = x^T W_o z + b_o, as torch.nn.Bilinear. Tenenbaum and Freeman (2000), section 2.",
)

i, k, l, f = axes("i:B k:N l:N f:F")
X, w, V, b, H, Y = tensors("X[B,N] w[N] V[N,F] b[] H[B,F] Y[B]")
FACTORISATION_MACHINE = Layer(
    "factorisation_machine",
    [
        Eq(H[i, f], Sum(X[i, k] * V[k, f], k)),
        Eq(Y[i], b + Sum(X[i, k] * w[k], k) + (Sum(H[i, f] ** 2, f) - Sum(X[i, k] ** 2 * V[k, f] ** 2, k, f)) / 2),
    ],
    doc="b + w . x + the sum over pairs of v_k . v_l x_k x_l, in linear time. Rendle (2010), lemma 3.1.",
)

(PAIRS,) = tensors("C[B,N,N]")
FACTORISATION_MACHINE_PAIRS = Layer(
    "factorisation_machine_pairs",
    [
        Eq(PAIRS[i, k, l], Piecewise((Sum(V[k, f] * V[l, f], f) * X[i, k] * X[i, l], k < l), (0, True))),
        Eq(Y[i], b + Sum(X[i, k] * w[k], k) + Sum(PAIRS[i, k, l], k, l)),
    ],
    doc="b + w . x + the sum over pairs k < l of v_k . v_l x_k x_l, as it is defined. Rendle (2010), equation (1).",
)
