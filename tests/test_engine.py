"""What the engine derives equals autograd: gradients, tangents and second derivatives, for layers of every shape of formula."""

from __future__ import annotations

import pytest
import torch
from derivations import derived
from reference import inputs_of, run, sizes_of

from derive.engine import Derivation, derive
from derive.expr import Sum, walk
from derive.layers import LAYERS
from derive.plain import show
from derive.spec import Layer

FORMULAS = {
    "two_layers": "H[i,h] = relu(sum(k, X[i,k]*W[k,h]) + b[h])\nY[i,j] = sum(h, H[i,h]*U[h,j])",
    "sum_inside_a_function": "Y[i,j] = sum(h, tanh(sum(k, X[i,k]*W[k,h]))*U[h,j])",
    "one_tensor_in_every_place": (
        "S[i,j] = sum(d, X[i,d]*X[j,d])\nP[i,j] = exp(S[i,j])/sum(k, exp(S[i,k]))\nO[i,e] = sum(j, P[i,j]*X[j,e])"
    ),
    "layer_norm": (
        "m[n] = sum(c, X[n,c])/size(c)\ns[n] = sum(c, (X[n,c]-m[n])^2)/size(c)\nY[n,c] = g[c]*(X[n,c]-m[n])/sqrt(s[n]+1/100000) + b[c]"
    ),
    "rms_norm": "Y[n,c] = g[c]*X[n,c]/sqrt(sum(k, X[n,k]^2)/size(c))",
    "residual": "H[i,j] = tanh(X[i,j])*X[i,j] + X[i,j]\nY[i,j] = H[i,j] + sigmoid(X[i,j])",
    "log_sum_exp": "Y[i] = log(sum(k, exp(X[i,k])))",
    "gelu": "Y[i,j] = X[i,j]*(1+erf(X[i,j]/sqrt(2)))/2",
    "gated": "G[i,h] = sum(k, X[i,k]*W[k,h])\nU[i,h] = sum(k, X[i,k]*V[k,h])\nY[i,j] = sum(h, G[i,h]*sigmoid(G[i,h])*U[i,h]*O[h,j])",
    "log_softmax_as_a_line": "P[i,j] = exp(Z[i,j])/sum(k, exp(Z[i,k]))\nG[i,j] = log(P[i,j])\nL = -sum(i,j, T[i,j]*G[i,j])/size(i)",
    "diagonal": "Y[i] = X[i,i]*sum(j, X[i,j])",
    "gram": "G[a,b] = sum(n, X[n,a]*X[n,b])\nL = sum(a,b, G[a,b]^2)",
    "bilinear": "S[i,j] = sum(a,b, X[i,a]*A[a,b]*Y[j,b])",
    "cosine": "Y[i] = sum(k, A[i,k]*B[i,k])/sqrt(sum(k, A[i,k]^2)*sum(k, B[i,k]^2))",
    "quadratic_form": "L = sum(i,j, x[i]*A[i,j]*x[j])",
    "lookup": "Y[i,k] = E[t[i],k]",
    "broadcast": "Y[i,j] = X[i] + b[j]",
    "normalised_twice": "Y[i,j] = X[i,j]/sum(k, X[i,k]^2) - X[i,j]*sum(k,l, X[k,l])",
    "cycle_of_indices": "L = sum(a,b,c, exp(A[a,b]*B[b,c]*C[c,a]))",
    "kernel_attention": "A[i,j] = exp(-sum(d, (Q[i,d]-K[j,d])^2))\nP[i,j] = A[i,j]/sum(k, A[i,k])\nO[i,e] = sum(j, P[i,j]*V[j,e])",
    "causal": (
        "S[i,j] = sum(d, Q[i,d]*K[j,d])/sqrt(size(d))\nP[i,j] = where(j <= i, exp(S[i,j]), 0)/sum(k, where(k <= i, exp(S[i,k]), 0))\n"
        "O[i,e] = sum(j, P[i,j]*V[j,e])"
    ),
    "window": "P[i,j] = where(i-2 <= j and j <= i+1, exp(S[i,j]), 0)/sum(k, where(i-2 <= k and k <= i+1, exp(S[i,k]), 0))",
    "relative_bias": "S[i,j] = X[i,j] - a*abs(position(i) - position(j))\nP[i,j] = exp(S[i,j])/sum(k, exp(S[i,k]))",
    "two_branches": "Y[i,j] = where(X[i,j] > 0, X[i,j], exp(X[i,j]) - 1)",
    "label_left_out": "L = -sum(i, where(y[i] != 1, log(exp(Z[i,y[i]])/sum(k, exp(Z[i,k]))), 0))/sum(i, where(y[i] != 1, 1, 0))",
}
TYPED = tuple(Layer.parse(name, text) for name, text in FORMULAS.items())
EVERY = pytest.mark.parametrize("layer", [*LAYERS, *TYPED], ids=lambda layer: layer.name)


def value(derivation: Derivation, env: dict[str, torch.Tensor], sizes: dict[str, int]) -> dict[str, torch.Tensor]:
    return run((*derivation.forward, *derivation.backward), {name: tensor.detach() for name, tensor in env.items()}, sizes)


def near(ours: torch.Tensor | None, reference: torch.Tensor | None) -> bool:
    """Equal to 1e-10 of the largest entry; a gradient that does not exist is zero."""
    if reference is None or ours is None:
        other = ours if reference is None else reference
        return other is None or not other.detach().abs().max()
    return bool((ours - reference).abs().max() <= 1e-10 * max(1.0, float(reference.detach().abs().max())))


@EVERY
def test_gradients_tangents_and_second_derivatives_equal_autograd(layer: Layer) -> None:
    sizes = sizes_of(layer)
    env = inputs_of(layer, sizes, seed=1)
    derivation = derived(layer)
    reference = run(layer.equations, env, sizes)
    draw = torch.Generator().manual_seed(2)

    def like(tensor: torch.Tensor) -> torch.Tensor:
        return torch.randn(tensor.shape, generator=draw, dtype=torch.float64)

    upstream = {f"d{name}": like(reference[name]).requires_grad_() for name in layer.outputs}
    loss = sum((reference[name] * upstream[f"d{name}"]).sum() for name in layer.outputs)
    wanted = torch.autograd.grad(loss, [env[name] for name in layer.wrt], create_graph=True, allow_unused=True)
    ours = value(derivation, {**env, **upstream}, sizes)
    for name in layer.outputs:
        assert near(ours[name], reference[name]), name
    for name, gradient in zip(layer.wrt, wanted):
        assert near(ours.get(f"d{name}"), gradient), f"d{name}"

    tangent = {f"t{name}": like(env[name]) for name in layer.wrt}
    forward = run(derivation.tangents, {**ours, **tangent}, sizes)
    pushed = sum((forward[f"t{name}"] * upstream[f"d{name}"]).sum() for name in layer.outputs)
    pulled = sum((tangent[f"t{name}"] * gradient).sum() for name, gradient in zip(layer.wrt, wanted) if gradient is not None)
    assert near(torch.as_tensor(pushed), torch.as_tensor(pulled))

    second_upstream = {f"d2d{name}": like(env[name]) for name in layer.wrt}
    pairs = [(name, gradient) for name, gradient in zip(layer.wrt, wanted) if gradient is not None]
    total = sum((gradient * second_upstream[f"d2d{name}"]).sum() for name, gradient in pairs)
    variables = {**{name: env[name] for name in layer.wrt}, **upstream}
    again = torch.autograd.grad(total, list(variables.values()), allow_unused=True)
    twice = value(derivation.second, {**env, **upstream, **second_upstream}, sizes)
    for name, gradient in zip(variables, again):
        assert near(twice.get(f"d2{name}"), gradient), f"d2{name}"


def results(name: str) -> dict[str, str]:
    layer = next(layer for layer in LAYERS if layer.name == name)
    return {equation.target.tensor: show(equation.value) for equation in derive(layer).results}


def test_the_row_sum_of_attention_is_found_from_the_output() -> None:
    found = results("attention")
    assert found["D"] == "sum(e, dO[b,h,i,e]*O[b,h,i,e])"
    assert found["dS"] == "P[b,h,i,j]*(dP[b,h,i,j] - D[b,h,i])"


def test_probabilities_minus_targets_is_found_for_cross_entropy() -> None:
    assert results("cross_entropy")["dZ"] == "dL*size(B)^-1*(P[i,j] - T[i,j])"
    assert results("cross_entropy_labels")["dZ"] == "dL*size(B)^-1*(P[i,j] - delta(y[i],j))"


def test_a_fact_is_used_only_where_it_is_declared() -> None:
    layer = next(layer for layer in LAYERS if layer.name == "cross_entropy")
    free = Layer.of(layer.name, layer.tensors, layer.equations, (), layer.inputs, layer.outputs, layer.wrt, layer.batch, layer.doc)
    with_fact, without = derive(layer), derive(free)
    assert [proof.facts for proof in with_fact.lemmas] == [layer.facts]
    assert all(not proof.facts for proof in without.proofs)
    assert without.results != with_fact.results


def test_a_kernel_never_exponentiates_an_unshifted_logit() -> None:
    for name in ("softmax", "attention", "cross_entropy", "cross_entropy_labels"):
        derivation = derive(next(layer for layer in LAYERS if layer.name == name))
        text = " ".join(show(e.value) for e in (*derivation.forward, *derivation.backward, *derivation.tangents))
        exponents = text.count("exp(")
        assert exponents and exponents == text.count(" - m["), name


def test_rows_of_a_softmax_gradient_sum_to_zero_is_proved() -> None:
    derivation = derive(next(layer for layer in LAYERS if layer.name == "softmax"))
    assert [proof.name for proof in derivation.invariants] == ["sum of dS over j"]


@EVERY
def test_every_line_of_a_proof_follows_from_the_line_before_by_a_named_rule(layer: Layer) -> None:
    from derive import rules

    known = {rule.__name__ for rule in rules.RULES if rules.identity(rule.__name__)}
    for proof in (*derived(layer).proofs, *derived(layer).tangent_proofs):
        for step in proof.steps:
            assert step.rule in known, step.rule


@EVERY
def test_no_derivative_and_no_summed_delta_is_left_in_a_result(layer: Layer) -> None:
    from derive.expr import Delta, Diff, Idx

    for equation in (*derived(layer).results, *derived(layer).second.results):
        for node in walk(equation.value):
            assert not isinstance(node, Diff)
            if isinstance(node, Sum):
                for inner in walk(node.body):
                    if isinstance(inner, Delta):
                        assert not any(isinstance(side, Idx) and side in node.indices for side in (inner.a, inner.b))


def test_deriving_is_the_same_twice() -> None:
    for layer in LAYERS[::3]:
        assert derive(layer).document() == derived(layer).document()
