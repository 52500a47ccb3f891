"""Jacobians and Hessians: equal to autograd's, every line checked, and in the matrix form the books give."""

from __future__ import annotations

import pytest
import torch
from reference import inputs_of, run, sizes_of

from derive.check import check_document
from derive.engine import Derivation, derive
from derive.expr import Idx
from derive.jacobian import hessian, hessian_vector, jacobian
from derive.proof import Proof, proof_json
from derive.render.formula_text import matrix_text
from derive.render.notation import context
from derive.spec import Layer

SOFTMAX = "p[j] = exp(s[j])/sum(k, exp(s[k]))"
JACOBIANS = {
    ("z[m] = sum(n, W[m,n]*x[n])", "x"): "W",
    (SOFTMAX, "s"): "diag(p) − p pᵀ",
    ("h[a] = tanh(sum(n, W[a,n]*x[n]))\nz[m] = sum(a, V[m,a]*h[a])", "x"): None,
    ("P[i,j] = exp(S[i,j])/sum(k, exp(S[i,k]))", "S"): None,
    ("y[c] = x[c]/sqrt(sum(k, x[k]^2))", "x"): None,
}
LOGISTIC_REGRESSION = "z[i] = sum(k, X[i,k]*w[k])\nL = sum(i, softplus(z[i]) - t[i]*z[i])\nconst t"
HESSIANS = {
    (LOGISTIC_REGRESSION, "w"): "dL Xᵀ diag(sigmoid(z) ∘ (1 − sigmoid(z))) X",
    ("L = logdet(A)", "A"): None,
    ("L = sum(i, (sum(k, X[i,k]*w[k]) - y[i])^2)", "w"): "2 dL Xᵀ X",
    ("L = sum(i, softplus(-y[i]*sum(k, X[i,k]*w[k])))", "w"): None,
    (SOFTMAX + "\nL = -sum(j, t[j]*log(p[j]))\nfact sum(j, t[j]) = 1\nconst t", "s"): "dL diag(p) − dL p pᵀ",
}


def holds(proof: Proof, document: dict[str, object]) -> bool:
    proofs = document["proofs"]
    assert isinstance(proofs, list)
    proofs.append(proof_json(proof))
    report = check_document(document)
    return bool(report.ok) and report.proofs[-1].name == proof.name


def value_of(proof: Proof, derivation: Derivation, env: dict[str, torch.Tensor], sizes: dict[str, int]) -> torch.Tensor:
    definitions = derivation.definitions
    plain = {name: tensor.detach() for name, tensor in env.items()}
    found = run((*definitions, proof.result), plain, sizes)[proof.goal.target.tensor]
    assert found.shape == tuple(sizes[i.dim] for i in proof.goal.target.indices if isinstance(i, Idx))
    return found


@pytest.mark.parametrize(("text", "name"), JACOBIANS)
def test_a_jacobian_equals_autograds_and_its_lines_hold(text: str, name: str) -> None:
    layer = Layer.parse("layer", text)
    derivation = derive(layer)
    proof = jacobian(derivation, name)
    assert holds(proof, derivation.document())
    sizes = sizes_of(layer)
    env = inputs_of(layer, sizes, seed=3)
    (output,) = layer.outputs
    wanted = torch.autograd.functional.jacobian(lambda x: run(layer.equations, {**env, name: x}, sizes)[output], env[name])
    assert torch.allclose(value_of(proof, derivation, env, sizes), wanted, rtol=1e-10, atol=1e-12)
    shown = JACOBIANS[text, name]
    if shown is not None:
        assert proof.matrix is not None
        assert matrix_text(proof.matrix, context((t.name for t in proof.tensors), (), False)) == shown


@pytest.mark.parametrize(("text", "name"), HESSIANS)
def test_a_hessian_equals_autograds_and_its_lines_hold(text: str, name: str) -> None:
    layer = Layer.parse("layer", text)
    derivation = derive(layer)
    proof = hessian(derivation, name)
    assert holds(proof, derivation.second.document())
    sizes = sizes_of(layer)
    env = {**inputs_of(layer, sizes, seed=3), "dL": torch.tensor(1.0, dtype=torch.float64)}
    if layer.facts:
        env["t"] = torch.softmax(torch.randn(sizes["J"], dtype=torch.float64), 0)
    wanted = torch.autograd.functional.hessian(lambda x: run(layer.equations, {**env, name: x}, sizes)["L"], env[name])
    assert torch.allclose(value_of(proof, derivation.second, env, sizes), wanted, rtol=1e-10, atol=1e-12)
    shown = HESSIANS[text, name]
    if shown is not None:
        assert proof.matrix is not None
        assert matrix_text(proof.matrix, context((t.name for t in proof.tensors), (), False)) == shown


PRODUCTS = {
    ("E[i,j] = sum(k, X[i,k]*W[k,j]) - Y[i,j]\nL = sum(i,j, E[i,j]^2)", "W"): "2 dL Xᵀ (X V)",
    (LOGISTIC_REGRESSION, "X"): None,
    ("L = logdet(A)", "A"): "−dL A_invᵀ Vᵀ A_invᵀ",
    ("P[i,j] = exp(S[i,j])/sum(k, exp(S[i,k]))", "S"): None,
}


@pytest.mark.parametrize(("text", "name"), PRODUCTS)
def test_a_hessian_vector_product_equals_autograds_and_its_lines_hold(text: str, name: str) -> None:
    layer = Layer.parse("layer", text)
    derivation = derive(layer)
    proof = hessian_vector(derivation, name)
    assert holds(proof, derivation.second.document())
    sizes = sizes_of(layer)
    env = inputs_of(layer, sizes, seed=3)
    (output,) = layer.outputs
    draw = torch.Generator().manual_seed(5)
    upstream = torch.randn([sizes[d] for d in layer.tensor(output).dims], generator=draw, dtype=torch.float64)
    along = torch.randn(env[name].shape, generator=draw, dtype=torch.float64)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return (run(layer.equations, {**env, name: x}, sizes)[output] * upstream).sum()

    wanted = torch.autograd.functional.hvp(loss, env[name], along)[1]
    found = value_of(proof, derivation.second, {**env, f"d{output}": upstream, "V": along}, sizes)
    assert torch.allclose(found, wanted, rtol=1e-10, atol=1e-12)
    shown = PRODUCTS[text, name]
    if shown is not None:
        assert proof.matrix is not None
        assert matrix_text(proof.matrix, context((t.name for t in proof.tensors), (), False)) == shown


def test_a_hessian_is_of_a_scalar() -> None:
    with pytest.raises(ValueError, match="a Hessian is of one scalar, but the output is p"):
        hessian(derive(Layer.parse("layer", SOFTMAX)), "s")
