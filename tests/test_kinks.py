"""Where a function has no derivative: what is taken is what torch takes, and the proof says so."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from reference import run

import codegen
from derive.engine import derive
from derive.layers import LAYERS
from derive.scalar import KINKS
from derive.spec import Layer

CATALOGUE = {layer.name: layer for layer in LAYERS}
X = torch.tensor([[0.0, 1.5, -3.0], [3.0, -0.5, 0.0]], dtype=torch.float64)
ALPHA = torch.tensor([0.25, 0.5, 0.1], dtype=torch.float64)
SIGNS = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
SCORES = torch.tensor([0.0, 0.0, 1.0, -1.0], dtype=torch.float64)
ROWS = torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0], [0.0, 0.0]], dtype=torch.float64)

ZERO = torch.zeros(2, 1, dtype=torch.float64)


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


Case = tuple[dict[str, torch.Tensor], Callable[..., torch.Tensor]]
LABELS = torch.tensor([0, 2])
AT_KINKS: dict[str, Case] = {
    "relu": ({"X": X}, F.relu),
    "leaky_relu": ({"X": X, "slope": number(0.25)}, lambda x: F.leaky_relu(x, 0.25)),
    "prelu": ({"X": X, "alpha": ALPHA}, F.prelu),
    "elu": ({"X": X, "scale": number(1.5)}, lambda x: F.elu(x, 1.5)),
    "hard_sigmoid": ({"X": X}, F.hardsigmoid),
    "l1_penalty": ({"W": X, "decay": number(1.0)}, lambda w: w.abs().sum()),
    "l1_loss": ({"Y": X, "T": X * 0.0}, lambda y: F.l1_loss(y, X * 0.0)),
    "huber": ({"Y": X, "T": X * 0.0, "kappa": number(1.5)}, lambda y: F.huber_loss(y, X * 0.0, delta=1.5)),
    "smooth_l1": ({"Y": X, "T": X * 0.0, "beta": number(0.5)}, lambda y: F.smooth_l1_loss(y, X * 0.0, beta=0.5)),
    "multi_class_hinge": (
        {"Z": X, "y": LABELS, "margin": number(1.5)},
        lambda z: F.multi_margin_loss(z, LABELS, margin=1.5),
    ),
    "margin_ranking": (
        {"z": SCORES, "v": SCORES * 0.0, "s": SIGNS, "margin": number(1.0)},
        lambda z, v: F.margin_ranking_loss(z, v, SIGNS, margin=1.0),
    ),
    "triplet": (
        {"A": ZERO, "P": ZERO - 1.0 + 1e-6, "N": ZERO - 3.0 + 1e-6, "margin": number(2.0)},
        lambda a, p, n: F.triplet_margin_loss(a, p, n, margin=2.0),
    ),
    "cosine_embedding": (
        {"X": ROWS, "Y": ROWS.flip(1), "s": SIGNS, "margin": number(0.0)},
        lambda x, y: F.cosine_embedding_loss(x, y, SIGNS, margin=0.0),
    ),
    "cosine_similarity": (
        {"X": ROWS, "Y": ROWS.flip(0), "eps": number(1e-8)},
        lambda x, y: F.cosine_similarity(x, y),
    ),
}


@pytest.mark.parametrize("name", AT_KINKS)
def test_values_and_gradients_at_a_kink_are_those_of_torch(name: str) -> None:
    layer = CATALOGUE[name]
    env, function = AT_KINKS[name]
    wanted = [env[n].clone().requires_grad_() for n in layer.wrt]
    value = function(*wanted)
    upstream = torch.full_like(value, 2.0)
    gradients = torch.autograd.grad(value, wanted, upstream)
    derivation = derive(layer)
    sizes = {dim: length for n in layer.inputs for dim, length in zip(layer.tensor(n).dims, env[n].shape)}
    ours = run((*derivation.forward, *derivation.backward), {**env, f"d{layer.outputs[0]}": upstream}, sizes)
    assert torch.allclose(ours[layer.outputs[0]], value.detach(), rtol=1e-12, atol=1e-12)
    for wrt, gradient in zip(layer.wrt, gradients):
        assert torch.allclose(ours[f"d{wrt}"], gradient, rtol=1e-7, atol=1e-12), wrt  # torch has 1/6 in single precision


FUNCTIONS = {"relu": torch.relu, "abs": torch.abs, "max": torch.maximum, "min": torch.minimum}


@pytest.mark.parametrize("name", KINKS)
def test_what_a_kink_is_said_to_take_is_what_torch_takes(name: str) -> None:
    places = [number(0.0).requires_grad_() for _ in range(2 if name in ("max", "min") else 1)]
    taken = [float(g) for g in torch.autograd.grad(FUNCTIONS[name](*places), places)]
    assert taken == [{"0": 0.0, "1/2": 0.5}[KINKS[name].taken]] * len(places)


@pytest.mark.parametrize(
    ("formula", "interval"), [("relu(X[i])", "[0, 1]"), ("abs(X[i])", "[-1, 1]"), ("max(X[i], b)", "[0, 1]"), ("min(X[i], b)", "[0, 1]")]
)
def test_the_step_that_passes_a_kink_prints_the_interval_and_the_choice(formula: str, interval: str) -> None:
    function = formula.partition("(")[0]
    derivation = derive(Layer.parse("kinked", f"Y[i] = {formula}"))
    notes = [step.note for step in derivation.proof("X").steps if step.rule == "scalar_chain_rule"]
    assert len(notes) == 1
    assert f"subgradient of {function} is {interval}: {KINKS[function].taken} is taken, as torch does" in notes[0]


def test_a_smooth_function_says_nothing_of_kinks() -> None:
    proof = derive(Layer.parse("smooth", "Y[i] = tanh(X[i])")).proof("X")
    assert not any("subgradient" in step.note for step in proof.steps)


LENGTHS = {
    "R[i] = sqrt(sum(j, X[i,j]^2))": lambda x: torch.linalg.vector_norm(x, dim=1),
    "U[i] = sum(j, X[i,j]^2)\nR[i] = sqrt(U[i])": lambda x: torch.linalg.vector_norm(x, dim=1),
    "n = sqrt(sum(i,j, X[i,j]^2))\nR[i] = n*sum(j, X[i,j])": lambda x: torch.linalg.vector_norm(x) * x.sum(1),
    "n[i] = sqrt(sum(j, X[i,j]^2))\nY[i,j] = 2*X[i,j]/max(n[i], 2)": lambda x: (
        2 * x / torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp(min=2)
    ),
}


@pytest.mark.parametrize("text", LENGTHS)
@pytest.mark.parametrize("rows", [slice(0, 1), slice(None)])
def test_the_length_of_a_zero_vector_has_the_gradient_zero_as_in_torch(text: str, rows: slice) -> None:
    layer = Layer.parse("length", text)
    derivation = derive(layer)
    assert derivation.check().ok
    x = torch.tensor([[0.3, -0.4, 1.2], [3.0, 4.0, -1.0]], dtype=torch.float64)
    x[rows] = 0.0
    x.requires_grad_()
    sizes = dict(zip(layer.tensor("X").dims, x.shape))
    value = LENGTHS[text](x)
    (wanted,) = torch.autograd.grad(value, x, torch.ones_like(value))
    given = {"X": x.detach(), f"d{layer.outputs[0]}": torch.ones_like(value)}
    assert torch.allclose(run((*derivation.forward, *derivation.backward), given, sizes)["dX"], wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("text", "base"), [("Y[i] = X[i]^p[i]", lambda x: x), ("Y[i] = abs(X[i])^p[i]", torch.abs)])
def test_a_power_of_zero_and_a_power_to_zero_have_the_gradients_of_torch(text: str, base: Callable[[torch.Tensor], torch.Tensor]) -> None:
    layer = Layer.parse("power", text)
    derivation = derive(layer)
    assert derivation.check().ok
    x = torch.tensor([0.0, 0.0, 0.0, 2.0, 1.5], dtype=torch.float64, requires_grad=True)
    p = torch.tensor([2.0, 0.0, 1.0, 0.0, 3.0], dtype=torch.float64, requires_grad=True)
    wanted = torch.autograd.grad((base(x) ** p).sum(), (x, p))
    given = {"X": x.detach(), "p": p.detach(), "dY": torch.ones(5, dtype=torch.float64)}
    ours = run((*derivation.forward, *derivation.backward), given, {layer.tensor("X").dims[0]: 5})
    for name, gradient in zip(("dX", "dp"), wanted):
        assert torch.allclose(ours[name], gradient, rtol=1e-12, atol=1e-12), name
    function = codegen.kernel(layer)
    for got, gradient in zip(torch.autograd.grad(function(x, p).sum(), (x, p)), wanted):
        assert torch.allclose(got, gradient, rtol=1e-12, atol=1e-12)


def test_the_step_that_differentiates_a_length_says_what_is_taken_at_zero() -> None:
    notes = [step.note for step in derive(Layer.parse("length", "R[i] = sqrt(sum(j, X[i,j]^2))")).proof("X").steps]
    assert any("where a length is 0" in note and "0 is taken" in note for note in notes)
    smooth = derive(Layer.parse("length", "R[i] = sqrt(sum(j, X[i,j]^2) + 1/100)")).proof("X")
    assert not any("length" in step.note for step in smooth.steps)
