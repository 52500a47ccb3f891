"""Activations, entry by entry. At a kink the derivative is the one torch takes; the proofs print what else it could be.

Sources: Nair and Hinton (2010) for relu; Maas, Hannun and Ng (2013) for leaky_relu; He et al. (2015), equation (1), for prelu;
Clevert, Unterthiner and Hochreiter (2016), section 3, for elu; Hendrycks and Gimpel (2016), section 2, for gelu and silu; Klambauer et
al. (2017), section 2, and Barron (2017) for elu_scaled; Howard et al. (2019), section 5.2, for hard_sigmoid and hard_swish; Misra (2019)
for mish; Dauphin et al. (2017), section 3, for glu; Donoho and Johnstone (1994), section 2, for soft_shrink and hard_shrink.
"""

from sympy import Abs, Eq, Piecewise, Rational, erf, exp, pi, sqrt, tanh

from derive.scalar import relu, sigmoid, softplus
from derive.spec import Layer
from derive.symbols import axes, tensors

i, j = axes("i:B j:N")
X, Y, slope, scale, alpha = tensors("X[B,N] Y[B,N] slope:const scale:const alpha[N]")
u, beta, threshold = tensors("u[B,N] beta:const threshold:const")
outer, width, low, high, value, G = tensors("outer:const width:const low:const high:const value:const G[B,N]")
x, y = X[i, j], Y[i, j]

RELU = Layer("relu", [Eq(y, relu(x))], doc="Y = max(X, 0). Nair and Hinton (2010).")

# Here and below x - relu(x) is min(x, 0) with derivative 1 at 0, so that the slope at 0 is that of the left branch, as in torch.
LEAKY_RELU = Layer(
    "leaky_relu",
    [Eq(y, relu(x) + slope * (x - relu(x)))],
    doc="Y = X where X > 0, else slope X. Maas, Hannun and Ng (2013).",
)

PRELU = Layer(
    "prelu",
    [Eq(y, relu(x) + alpha[j] * (x - relu(x)))],
    doc="Y = X where X > 0, else alpha X, with a learned slope alpha for each channel. He et al. (2015), equation (1).",
)

ELU = Layer(
    "elu",
    [Eq(y, relu(x) + scale * (exp(x - relu(x)) - 1))],
    doc="Y = X where X > 0, else scale (exp(X) - 1). Clevert, Unterthiner and Hochreiter (2016), section 3.",
)

SIGMOID = Layer("sigmoid", [Eq(y, sigmoid(x))], doc="Y = 1 / (1 + exp(-X)). Goodfellow, Bengio and Courville (2016), section 3.10.")

TANH = Layer("tanh", [Eq(y, tanh(x))], doc="Y = tanh(X). Goodfellow, Bengio and Courville (2016), section 6.3.2.")

SOFTPLUS = Layer("softplus", [Eq(y, softplus(x))], doc="Y = log(1 + exp(X)). Goodfellow, Bengio and Courville (2016), section 3.10.")

SOFTPLUS_SCALED = Layer(
    "softplus_scaled",
    [Eq(u[i, j], beta * x), Eq(y, Piecewise((softplus(u[i, j]) / beta, u[i, j] <= threshold), (x, True)))],
    inputs="X beta threshold",
    doc="Y = log(1 + exp(beta X)) / beta, and X itself where beta X > threshold, as in torch.nn.Softplus.",
)

GELU = Layer(
    "gelu",
    [Eq(y, x * (1 + erf(x / sqrt(2))) / 2)],
    doc="Y = X Phi(X), with Phi the standard normal distribution function. Hendrycks and Gimpel (2016), section 2.",
)

GELU_TANH = Layer(
    "gelu_tanh",
    [Eq(y, x * (1 + tanh(sqrt(2 / pi) * (x + Rational(44715, 10**6) * x**3))) / 2)],
    doc="Y = X Phi(X), with Phi approximated by tanh. Hendrycks and Gimpel (2016), section 2.",
)

SILU = Layer("silu", [Eq(y, x * sigmoid(x))], doc="Y = X sigmoid(X). Hendrycks and Gimpel (2016), section 2.")

# min(max(x + 3, 0), 6) / 6, written so that the derivative is 0 at both kinks, as in torch.
HARD_SIGMOID = Layer(
    "hard_sigmoid",
    [Eq(y, 1 - relu(6 - relu(x + 3)) / 6)],
    doc="Y = min(max(X + 3, 0), 6) / 6. Howard et al., Searching for MobileNetV3 (2019), section 5.2.",
)

HALF_SQUARE = Layer("half_square", [Eq(y, x**2 / 2)], doc="Y = X^2 / 2, whose derivative is X.")

ELU_SCALED = Layer(
    "elu_scaled",
    [Eq(y, outer * (relu(x) + scale * (exp((x - relu(x)) / width) - 1)))],
    inputs="X outer scale width",
    doc="Y = outer X where X > 0, else outer scale (exp(X / width) - 1): selu with width = 1, celu with scale = width and outer = 1.\n"
    "Klambauer et al. (2017), section 2; Barron (2017).",
)

HARDTANH = Layer(
    "hardtanh",
    [Eq(y, Piecewise((Piecewise((x, x < high), (high, True)), low < x), (low, True)))],
    inputs="X low high",
    doc="Y = min(max(X, low), high), with slope 0 at both ends, as torch.nn.Hardtanh; relu6 is that from 0 to 6.",
)

HARD_SWISH = Layer(
    "hard_swish",
    [Eq(y, x * (1 - relu(6 - relu(x + 3)) / 6))],
    doc="Y = X min(max(X + 3, 0), 6) / 6. Howard et al. (2019), section 5.2.",
)

MISH = Layer("mish", [Eq(y, x * tanh(softplus(x)))], doc="Y = X tanh(log(1 + exp(X))). Misra (2019).")

SOFTSIGN = Layer("softsign", [Eq(y, x / (1 + Abs(x)))], doc="Y = X / (1 + |X|), as torch.nn.Softsign.")

TANHSHRINK = Layer("tanhshrink", [Eq(y, x - tanh(x))], doc="Y = X - tanh(X), as torch.nn.Tanhshrink.")

SOFT_SHRINK = Layer(
    "soft_shrink",
    [Eq(y, relu(x - threshold) - relu(-x - threshold))],
    doc="Y = X brought nearer to 0 by the threshold, or 0 where |X| is no more than that. Donoho and Johnstone (1994), section 2.",
)

HARD_SHRINK = Layer(
    "hard_shrink",
    [Eq(y, Piecewise((x, threshold < Abs(x)), (value, True)))],
    inputs="X threshold value",
    doc="Y = X where |X| > threshold, else the value, which is 0. Donoho and Johnstone (1994), section 2.",
)

THRESHOLD = Layer(
    "threshold",
    [Eq(y, Piecewise((x, low < x), (value, True)))],
    inputs="X low value",
    doc="Y = X where X > low, else the value, as torch.nn.Threshold.",
)

GLU = Layer("glu", [Eq(y, x * sigmoid(G[i, j]))], inputs="X G", doc="Y = X sigmoid(G). Dauphin et al. (2017), section 3.")
