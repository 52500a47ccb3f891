"""What a condition excludes never reaches a result: no nan and no infinity from the branch that is not taken, in any order."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kernel_reference import listed, load, sizes_of

from codegen.source import sources
from derive.engine import derive
from derive.spec import Layer

FORMS = {
    "a quotient": "Y[i,j] = where(X[i,j] > 0, Z[i,j]/X[i,j], 0)",
    "a quotient or a number": "Y[i,j] = where(X[i,j] != 0, Z[i,j]/X[i,j], 1)",
    "a root": "Y[i,j] = where(X[i,j] > 0, Z[i,j]*sqrt(X[i,j]), 0)",
    "a logarithm or a line": "Y[i,j] = where(X[i,j] > 0, log(X[i,j]), X[i,j]*Z[i,j])",
    "a summed quotient": "Y[i,k] = sum(j, where(X[i,j] > 0, Z[i,j]/X[i,j], 0)*W[j,k])",
    "a unit vector": "R[i] = sum(j, X[i,j]^2)\nY[i,j] = where(R[i] > 0, Z[i,j]*X[i,j]/sqrt(R[i]), 0)",
    "two conditions": "Y[i,j] = where(X[i,j] > 1, Z[i,j]/X[i,j], 0) + where(X[i,j] < -1, Z[i,j]^2/X[i,j], 0)",
    "a row of a mask with nothing in it": "P[i,j] = where(X[i,j] > 0, exp(Z[i,j]), 0)/sum(k, where(X[i,k] > 0, exp(Z[i,k]), 0))\n"
    "Y[i,e] = sum(j, P[i,j]*W[j,e])",
}


def _inputs(layer: Layer) -> list[torch.Tensor]:
    """Random numbers, in X a row of zeros and a zero and a negative number elsewhere."""
    draw, sizes = torch.Generator().manual_seed(2), sizes_of(layer, 3)
    found = []
    for name in layer.inputs:
        value = torch.randn([sizes[dim] for dim in layer.tensor(name).dims], generator=draw, dtype=torch.float64)
        if name == "X":
            value = value.abs() + 0.5
            value[0], value[1, 0], value[1, 1] = 0.0, 0.0, -2.0
        found.append(value)
    return found


def _finite(values: list[Any]) -> bool:
    return all(bool(np.isfinite(np.asarray(value)).all()) for value in values)


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_the_branch_that_is_not_taken_leaves_no_trace_in_any_order(text: str, tmp_path: Path) -> None:
    layer = Layer.parse("masked", text)
    derivation = derive(layer)
    assert derivation.check().ok
    modules = {target: load(source, f"masked_{target}", tmp_path) for target, source in sources(derivation).items()}
    given = _inputs(layer)
    arrays = [tensor.numpy() for tensor in given]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        value, saved = modules["numpy"].forward(*arrays)
        gradients = listed(modules["numpy"].backward(np.ones_like(value), saved))
        _, tangent = modules["numpy"].jvp(*arrays, *(np.ones_like(array) for array in arrays))
    assert _finite([value, *gradients, tangent])
    moving = [tensor.clone().requires_grad_() for tensor in given]
    output = modules["torch"].masked(*moving)
    first = torch.autograd.grad(output, moving, torch.ones_like(output), create_graph=True)
    second = torch.autograd.grad(sum((g * g.detach().cos()).sum() for g in first), moving, allow_unused=True)
    assert _finite([g.detach() for g in (*first, *second) if g is not None])
    if text.endswith(" 0)"):
        assert not first[layer.inputs.index("X")][0].any()  # nothing flows into a row that no condition admits
    for gradient, other in zip(first, gradients):
        np.testing.assert_allclose(gradient.detach().numpy(), other, rtol=1e-12, atol=1e-12)


def test_conditions_that_can_hold_together_are_kept() -> None:
    for text in (
        "axes i:N j:N k:N\nY[i,j,k] = where(i < j and j < k and i + 2 <= k, X[i,j,k], 0)",
        "axes i:N j:N k:N\nY[i,j,k] = where(i <= j and j <= k and k <= i, X[i,j,k], 0)",
        "Y[i,j] = where(X[i,j] < u[i], where(u[i] < v[j], where(X[i,j] <= v[j], 1, 0), 0), 0)",
    ):
        Layer.parse("layer", text)
