"""Gates: a mixture of experts, the choice of a few of them, and a highway.

Sources: Jacobs et al., Adaptive Mixtures of Local Experts (1991), equation (1.1); Shazeer et al., Outrageously Large Neural Networks:
The Sparsely-Gated Mixture-of-Experts Layer (2017), section 2.1, equations (3) to (5); Srivastava, Greff and Schmidhuber, Highway
Networks (2015), section 2, equation (3).
"""

from sympy import Eq, Piecewise, Sum, exp

from derive.scalar import relu, sigmoid, softplus
from derive.spec import Layer
from derive.symbols import axes, tensors

i, e, g, c, o = axes("i:B e:E g:E c:N o:M")
X, W_g, W, b, S, P, H, Y = tensors("X[B,N] W_g[N,E] W[E,N,M] b[E,M] S[B,E] P[B,E] H[B,E,M] Y[B,M]")
MIXTURE_OF_EXPERTS = Layer(
    "mixture_of_experts",
    [
        Eq(S[i, e], Sum(X[i, c] * W_g[c, e], c)),
        Eq(P[i, e], exp(S[i, e]) / Sum(exp(S[i, g]), g)),
        Eq(H[i, e, o], relu(Sum(X[i, c] * W[e, c, o], c) + b[e, o])),
        Eq(Y[i, o], Sum(P[i, e] * H[i, e, o], e)),
    ],
    doc="Experts relu(x W_e + b_e), mixed by the weights softmax(x W_g). Jacobs et al. (1991), equation (1.1).",
)

X, W_g, W_noise, noise, count = tensors("X[B,N] W_g[N,E] W_noise[N,E] noise[B,E]:const count:const")
U, S, R, G = tensors("U[B,E] S[B,E] R[B,E] G[B,E]")
# R is how many experts score higher; of several that tie for the last place all are kept.
KEPT, OTHERS = (Piecewise((exp(S[i, each]), R[i, each] < count), (0, True)) for each in (e, g))
TOP_K_GATE = Layer(
    "top_k_gate",
    [
        Eq(U[i, e], Sum(X[i, c] * W_noise[c, e], c)),
        Eq(S[i, e], Sum(X[i, c] * W_g[c, e], c) + noise[i, e] * softplus(U[i, e])),
        Eq(R[i, e], Sum(Piecewise((1, S[i, g] > S[i, e]), (0, True)), g)),
        Eq(G[i, e], KEPT / Sum(OTHERS, g)),
    ],
    inputs=(X, W_g, W_noise, noise, count),
    doc="The softmax of the `count` largest noisy scores, and 0 for all other experts. Shazeer et al. (2017), equations (3) to (5).",
)

i, j, k = axes("i:B j:N k:N")
X, W, b, W_t, b_t, H, T, Y = tensors("X[B,N] W[N,N] b[N] W_t[N,N] b_t[N] H[B,N] T[B,N] Y[B,N]")
HIGHWAY = Layer(
    "highway",
    [
        Eq(H[i, j], relu(Sum(X[i, k] * W[k, j], k) + b[j])),
        Eq(T[i, j], sigmoid(Sum(X[i, k] * W_t[k, j], k) + b_t[j])),
        Eq(Y[i, j], T[i, j] * H[i, j] + (1 - T[i, j]) * X[i, j]),
    ],
    doc="A gate chooses between a layer and its input: Y = T o H + (1 - T) o X. Srivastava et al. (2015), equation (3).",
)
