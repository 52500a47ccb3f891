"""Random layers: the derived gradient equals autograd's and every line of every proof holds, or the spec is refused with a reason.

`make test` runs 100, always the same; `make soak` (python tests/test_random_layers.py 1000) draws new ones and prints what fails.
"""

from __future__ import annotations

import sys
import time

from hypothesis import HealthCheck, example, given, seed, settings
from random_layers import disagreements, layers

from derive.errors import SpecError

REFUSED: list[str] = []


def check(text: str) -> None:
    try:
        found = disagreements(text)
    except SpecError as error:
        assert str(error)
        REFUSED.append(text)
        return
    assert not found, "\n".join([*found, text])


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@example(  # both sums over its axes vanish
    text="axes i:N a:N j:M b:M c:C d:C\nA[i,j] = X[i,j]*(X[i,j] - X[i,j])\nB[i,j] = (X[i,j]*A[i,j])*A[i,j]\nY[i,j] = (X[i,j]*A[i,j])*B[i,j]"
)
@example(  # a maximum whose own index is free in the gradient
    text="A[i,j] = X[i,j]*exp(X[i,j])/sum(b, exp(X[i,b]))\nB[j] = max(i, u[i]*exp(X[i,j])/sum(b, exp(X[i,b])))*sum(a, A[a,j])"
)
@example(  # a place with the square of an integer
    text="axes i:N a:N j:M b:M c:C d:C\nint p\nshape X[N,M] v[M] u[N]\n"
    "Y[i,j] = X[i,j]*(u[i]*sum(b, v[b]*delta(i, p*b - b + 1))*X[i + 1,p*i - i + 1])"
)
@example(  # sums that look alike, of places along one axis that indices over two others make
    text="axes i:N a:N j:M c:C d:C\nshape X[N,M] W[M,C] V[N,C] u[N] w[C]\nint p\n"
    "G[i,c] = sin(V[i,c]*W[p*c,c + 1]/(1 + (tanh(w[c]*V[c + 1,c]/4))^2)*u[i]*sum(d, w[d]*G[i - 1,d])) + "
    "V[i,c]*W[p*c,c + 1]/(1 + (tanh(w[c]*V[c + 1,c]/4))^2)*u[i]\nY[i,j] = X[i,j] + sum(d, G[i,d])"
)
@example(  # the root of a sum of fourth powers that are all 0 in the first row, whatever the inputs are
    text="axes i:N a:N j:M b:M c:C d:C\nshape X[N,M] W[M,C] V[N,C] u[N] v[M] w[C]\n"
    "A[i,j] = tanh(X[i,j]*sum(a, u[a]*sum(b, v[b]*(X[2*i - 1,i + i - 2])^2)) + sum(b, v[b]*A[i - 1,b]))\n"
    "Y[i,j] = X[i,j]*sum(d, w[d]*sqrt(sum(c, (w[c]*(A[i,j])^2)^2))) + tanh(Y[i,j - 1])/2"
)
@example(  # a recurrence whose gradient is read at a distance that only a delta fixes
    text="axes i:N a:N j:M b:M c:C d:C\nshape X[N,M] u[N]\n"
    "Y[i,j] = (X[i,j]*where(i <= j, sum(a, u[a]*delta(i, 2*a - 1)), X[i,j]))/(1 + (Y[i - 1,j])^2)"
)
@example(  # a recurrence through sin that multiplies the last digit of its inputs by 1e10
    text="axes i:N a:N j:M b:M c:C d:C\nshape X[N,M] V[N,C] u[N] w[C]\n"
    "A[i,j] = sin(X[i,j]*(sqrt(sum(a, (u[a]*relu(u[a]/4))^2))*max(a, u[a]*3)*max(d, w[d]*w[d]))*A[i - 2,j]) + X[i,j]*max(a, u[a]*3)\n"
    "B[i,c] = V[i,c] + sum(a, u[a]*where(V[a,c] != 0, sum(d, w[d]*3)/V[a,c], s)) + sum(b, A[i,b])\n"
    "Y[i,j] = sin((X[i,j] + exp(A[i,j]/4))*sum(d, B[i,d])*Y[i - 1,j]) + X[i,j]*sum(d, B[i,d])"
)
@example(  # a row that the condition excludes as a whole: what it would be divided by is 0
    text="Y[i,j] = where(j < i, exp(X[i,j]), 0)/sum(k, where(k < i, exp(X[i,k]), 0))"
)
@example(  # the same, its matrix forms too
    text="Y[i,j] = X[i,j]*(where(j < i, exp(X[i,j]), 0)/sum(b, where(b < i, exp(X[i,b]), 0)))"
)
@example(  # the same inside a sum, beside an exponential that the excluded row makes infinite
    text="Y = sum(i, u[i]*sum(b, where(b < i, v[b]*X[i,b]/sum(e, where(e < i, exp(X[i,e]), 0)), 0)))"
)
@example(  # a number that multiplies a matrix form, and has no value where the condition excludes every entry
    text="axes i:N a:N j:M b:M e:M\nshape X[N,M] u[N] v[M]\n"
    "B[i] = u[i]*sum(b, where(b > i, v[b]*sum(a, u[a]*delta(i, 1))/sum(e, where(e > i, exp(X[i,e]), 0)), 0))"
)
@example(  # a length that is 0 for every input where the condition excludes it, divided by a square
    text="axes i:N a:N j:M e:M\nshape X[N,M] u[N]\n"
    "Y[i,j] = sqrt(sum(a, (u[a]*where(j < i, exp(X[i,j]), 0)/sum(e, where(e < i, exp(X[i,e]), 0)))^2))"
)
@example(  # a recurrence that is divided by a sum of exponentials, read beside another
    text="axes i:N b:M\nshape X[N,M] u[N]\nA[i] = (u[i]*(exp(s/4)/(1 + sum(b, exp(X[i,b])))))/(1 + (A[i - 1])^2)\n"
    "Y = sum(i, u[i]*(exp(A[i]/4)/(exp(s) + sum(b, exp(X[i,b]))))*A[i])"
)
@example(  # a condition that would hold outside of the axis, where what it keeps out has no value
    text="axes i:N b:M e:M c:C\nshape X[N,M] u[N] v[M] w[C]\n"
    "Y = sum(i, u[i]*sum(b, where(b < i, v[b]*w[b + 1]/sum(e, where(e < i, exp(X[i,e]), 0)), 0)))"
)
@given(text=layers())
def each(text: str) -> None:
    check(text)


FEW = 0.1
"""The share of random layers that may be refused: a check that refuses them says nothing of them."""


def test_a_random_layer_is_derived_right_or_refused_and_few_are_refused() -> None:
    REFUSED.clear()
    each()
    assert len(REFUSED) <= 100 * FEW, "\n\n".join(REFUSED)


def soak(count: int, start: int) -> None:
    """Draw `count` new layers; a failure prints the seed and the smallest layer that fails."""

    @seed(start)
    @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(text=layers())
    def run(text: str) -> None:
        check(text)

    run()
    assert len(REFUSED) <= count * FEW, "\n\n".join(["these were refused:", *REFUSED[:5]])
    print(f"{count} random layers with seed {start}: none wrong, {len(REFUSED)} refused")


if __name__ == "__main__":
    soak(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time()))
