"""Functions of a whole matrix: traces, quadratic forms, inverse, determinant, and the losses built of them.

Sources: Petersen and Pedersen, The Matrix Cookbook (2012), section 2, by equation; Bishop, Pattern Recognition and Machine Learning
(2006), section 2.3 for the Gaussian. An inverse and a gradient of a determinant ask for a matrix that is not singular.
"""

from sympy import Eq, Sum, log, pi

from derive.matrix_symbols import det, inv, logdet
from derive.spec import Layer
from derive.symbols import axes, tensors

i, j, k, l, N = axes("i:N j:N k:M l:N N")
A, B, X, Y, x, S, L = tensors("A[N,N] B[N,N] X[N,M] Y[M,N] x[N] S[N,N] L[]")

TRACE_OF_PRODUCT = Layer(
    "trace_of_product",
    [Eq(L, Sum(X[i, k] * Y[k, i], i, k))],
    doc="L = tr(X Y), whose gradient by X is Y transposed. The Matrix Cookbook, equation (100).",
)

QUADRATIC_FORM = Layer(
    "quadratic_form",
    [Eq(L, Sum(x[i] * A[i, j] * x[j], i, j))],
    doc="L = x^T A x, whose gradient by x is (A + A^T) x. The Matrix Cookbook, equation (81).",
)

MATRIX_INVERSE = Layer(
    "matrix_inverse",
    [Eq(B[i, j], inv(A)[i, j])],
    doc="B = A^-1, whose gradient is -B^T dB B^T. The Matrix Cookbook, equation (60).",
)

MATRIX_DETERMINANT = Layer(
    "matrix_determinant",
    [Eq(L, det(A))],
    doc="L = det A, whose gradient is det(A) A^-T. The Matrix Cookbook, equation (49).",
)

LOG_DETERMINANT = Layer(
    "log_determinant",
    [Eq(L, logdet(A))],
    doc="L = log |det A|, whose gradient is A^-T. The Matrix Cookbook, equation (57).",
)

SYMMETRIC_LOG_DETERMINANT = Layer(
    "symmetric_log_determinant",
    [Eq(A[i, j], (S[i, j] + S[j, i]) / 2), Eq(L, logdet(A))],
    doc="L = log |det A| of the symmetric part A of S: the gradient of a symmetric variable is the symmetric part of the free gradient.",
)

n, B = axes("n:B B")
X, m, S, D, Q, L = tensors("X[B,N] m[N] S[N,N]:const D[B,N] Q[B] L[]")

MAHALANOBIS = Layer(
    "mahalanobis",
    [Eq(D[n, i], X[n, i] - m[i]), Eq(Q[n], Sum(D[n, i] * inv(S)[i, j] * D[n, j], i, j))],
    facts="S[i,j] = S[j,i]",
    doc="The squared Mahalanobis distance of each row of X from m, for a given symmetric covariance S. Bishop (2006), equation (2.44).",
)

S, Q, L = tensors("S[N,N] Q[] L[]")

GAUSSIAN_NLL = Layer(
    "gaussian_nll",
    [
        Eq(D[n, i], X[n, i] - m[i]),
        Eq(Q, Sum(D[n, i] * inv(S)[i, j] * D[n, j], n, i, j)),
        Eq(L, Q / (2 * B) + logdet(S) / 2 + N * log(2 * pi) / 2),
    ],
    doc="The mean negative log-likelihood of the rows of X under a Gaussian with mean m and covariance S. Bishop (2006), equation (2.118).",
)
