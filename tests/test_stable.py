"""Sums of exponentials stay finite, whatever stands beside the sum: a sink, a one, a weight; the shift is a proved step."""

from __future__ import annotations

import pytest
import torch
from reference import Env, inputs_of, run, sizes_of

from derive.check import check_document
from derive.engine import Derivation, derive
from derive.spec import Layer

FORMS = {
    "a sink for every row": "P[i,j] = exp(S[i,j])/(exp(s) + sum(k, exp(S[i,k])))",
    "a sink of its own for every head": "P[h,i,j] = exp(S[h,i,j])/(exp(s[h]) + sum(k, exp(S[h,i,k])))",
    "softmax plus one": "P[i,j] = exp(S[i,j])/(1 + sum(k, exp(S[i,k])))",
    "the share of the sink": "P[i] = exp(s)/(exp(s) + sum(k, exp(S[i,k])))",
    "a masked sum and a sink": "P[i,j] = where(j <= i, exp(S[i,j]), 0)/(exp(s) + sum(k, where(k <= i, exp(S[i,k]), 0)))",
    "a numerator that is summed": "O[i,e] = sum(j, exp(S[i,j])*V[j,e])/(exp(s) + sum(k, exp(S[i,k])))",
    "a logarithm": "L[i] = log(exp(s) + sum(k, exp(S[i,k])))",
    "two exponentials": "L[i] = log(exp(a[i]) + exp(b[i]))",
    "a logistic function written out": "Y[i,j] = 1/(1 + exp(-X[i,j]))",
    "a hyperbolic tangent written out": "Y[i,j] = (exp(X[i,j]) - exp(-X[i,j]))/(exp(X[i,j]) + exp(-X[i,j]))",
    "weights": "L[i,e] = log(sum(j, exp(S[i,j])*W[j,e]^2))",
}


def _orders(derivation: Derivation, env: Env, sizes: dict[str, int]) -> Env:
    """Every value of the forward, backward and tangent equations, and of the second order."""
    second = derivation.second
    given = dict(env)
    for tensor in (*derivation.tensors, *derivation.tangent_tensors, *second.tensors):
        fresh = tensor.name in (*derivation.upstream, *second.upstream) or tensor.name in [f"t{n}" for n in derivation.layer.wrt]
        if fresh:
            given[tensor.name] = torch.ones([sizes[dim] for dim in tensor.dims], dtype=torch.float64)
    found = run((*derivation.forward, *derivation.backward, *derivation.tangents), given, sizes)
    return {**found, **run((*second.forward, *second.backward), given, sizes)}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_sum_of_exponentials_has_the_gradient_of_autograd_and_stays_finite_at_huge_exponents(text: str) -> None:
    layer = Layer.parse("form", text)
    derivation, sizes = derive(layer), sizes_of(layer)
    env = inputs_of(layer, sizes, 5)
    output = run(layer.equations, env, sizes)[layer.outputs[0]]
    wanted = torch.autograd.grad(output.sum(), [env[name] for name in layer.wrt])
    plain = {name: tensor.detach() for name, tensor in env.items()}
    ours = _orders(derivation, plain, sizes)
    for name, gradient in zip(layer.wrt, wanted):
        assert torch.allclose(ours[f"d{name}"], gradient, rtol=1e-10, atol=1e-13), name
    places = [name for name in layer.wrt if name not in ("V", "W")]
    for signs in (1.0, -1.0, None):
        far = {n: (t.sign() if signs is None else signs) * 1e4 + t if n in places else t for n, t in plain.items()}
        lost = [name for name, value in _orders(derivation, far, sizes).items() if not torch.isfinite(value).all()]
        assert not lost


@pytest.mark.parametrize("form", ["a sink of its own for every head", "the share of the sink", "a numerator that is summed"])
def test_every_line_of_the_shift_is_proved_in_all_orders(form: str) -> None:
    for document in derive(Layer.parse("form", FORMS[form])).documents():
        report = check_document(document)
        assert report.ok, [(proof.name, proof.first_problem) for proof in report.proofs if not proof.ok]
