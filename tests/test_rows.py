"""The catalogue's rows: each is there by name, and those with an edge of their own equal torch at that edge."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from catalogue_rows import ROWS
from reference import Env, run

from derive.engine import derive
from derive.layers import LAYERS
from derive.spec import Layer

CATALOGUE = {layer.name: layer for layer in LAYERS}
DRAW = torch.Generator().manual_seed(7)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=DRAW, dtype=torch.float64)


def number(value: float) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_every_layer_answers_a_row_and_no_row_is_said_twice() -> None:
    assert len({(row.section, row.words) for row in ROWS}) == len(ROWS)
    assert all(row.layers and len(set(row.layers)) == len(row.layers) for row in ROWS)
    named = {name for row in ROWS for name in row.layers}
    extra = {"highway", *(name for name in CATALOGUE if name in named)}
    assert set(CATALOGUE) <= extra, sorted(set(CATALOGUE) - extra)


# ---------------------------------------------------------------------------------------------------- against torch

Z, G = drawn(5, 4), drawn(5, 4)
T = torch.tensor(
    [[0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 1.0, 0.0], [0.1, 0.2, 0.3, 0.4]]
).double()
LABELS = torch.tensor([2, 0, 3, 2, 1])
Q, K, V, SINK = drawn(2, 3, 4), drawn(2, 5, 4), drawn(2, 5, 6), drawn(2)
X, GATE, SPREAD, NOISE = drawn(3, 4), drawn(4, 6), drawn(4, 6), drawn(3, 6)
EDGES = torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 1.0, 0.0]]).double()


def with_sink(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sink: torch.Tensor) -> torch.Tensor:
    scores = q @ k.mT / 2
    beside = torch.cat([scores, sink[:, None, None].expand(2, 3, 1)], dim=2)
    return beside.softmax(2)[..., :-1] @ v


def top_two(x: torch.Tensor, gate: torch.Tensor, spread: torch.Tensor) -> torch.Tensor:
    scores = x @ gate + NOISE * F.softplus(x @ spread)
    kept = torch.full_like(scores, -torch.inf).scatter(1, scores.topk(2, dim=1).indices, 0.0)
    return (scores + kept).softmax(1)


Case = tuple[Env, Callable[..., torch.Tensor]]
CASES: dict[str, Case] = {
    "cross_entropy_ignore": ({"Z": Z, "y": LABELS, "ignored": number(2.0)}, lambda z: F.cross_entropy(z, LABELS, ignore_index=2)),
    "kl_divergence": ({"G": G, "T": T}, lambda g: F.kl_div(g, T, reduction="batchmean")),
    "attention_sink": ({"Q": Q, "K": K, "V": V, "sink": SINK}, with_sink),
    "softmax_plus_one": ({"S": Z}, lambda s: torch.cat([s, torch.zeros(5, 1).double()], 1).softmax(1)[:, :-1]),
    "top_k_gate": ({"X": X, "W_g": GATE, "W_noise": SPREAD, "noise": NOISE, "count": number(2.0)}, top_two),
    "row_norm": ({"X": T * 0.0}, lambda x: torch.linalg.vector_norm(x, dim=1)),
}


def results(layer: Layer, env: Env, upstream: torch.Tensor) -> Env:
    derivation = derive(layer)
    sizes = {dim: length for n in layer.inputs for dim, length in zip(layer.tensor(n).dims, env[n].shape)}
    return run((*derivation.forward, *derivation.backward), {**env, f"d{layer.outputs[0]}": upstream}, sizes)


@pytest.mark.parametrize("name", CASES)
def test_a_row_with_an_edge_of_its_own_equals_torch(name: str) -> None:
    env, function = CASES[name]
    layer = CATALOGUE[name]
    moving = [env[n].clone().requires_grad_() for n in layer.wrt]
    value = function(*moving)
    upstream = torch.linspace(0.5, 1.5, max(value.numel(), 1), dtype=torch.float64).reshape(value.shape)
    wanted = torch.autograd.grad(value, moving, upstream)
    ours = results(layer, env, upstream)
    assert torch.allclose(ours[layer.outputs[0]], value.detach(), rtol=1e-12, atol=1e-12)
    for wrt, gradient in zip(layer.wrt, wanted):
        assert torch.allclose(ours[f"d{wrt}"], gradient, rtol=1e-10, atol=1e-12), wrt


def test_a_fully_masked_row_gives_zeros_and_hands_back_zero_gradient() -> None:
    ours = results(CATALOGUE["attention_graph"], {"Q": Q[0], "K": K[0], "V": V[0], "A": EDGES}, torch.ones(3, 6, dtype=torch.float64))
    assert not ours["O"][1].any() and not ours["dQ"][1].any()  # the isolated node
    assert torch.allclose(ours["P"].sum(1), torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    for name in ("dQ", "dK", "dV"):
        assert torch.isfinite(ours[name]).all() and ours[name].any()


def test_entropy_is_finite_where_a_probability_is_zero() -> None:
    layer = Layer.parse("entropy", "H[i] = -sum(j, xlogy(P[i,j], P[i,j]))")
    ours = results(layer, {"P": T}, torch.ones(5, dtype=torch.float64))
    assert torch.allclose(ours["H"], torch.special.entr(T).sum(1))
    inside = T[T > 0]
    assert torch.allclose(ours["dP"][T > 0], -inside.log() - 1) and not ours["dP"][T == 0].any()
    assert derive(layer).check().ok
