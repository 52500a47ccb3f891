"""The torch kernels against autograd on the author's own equations: twice, in forward mode, under torch.func and torch.compile."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest
import torch
from kernel_checks import (
    entries,
    moving_inputs,
    passes_gradcheck,
    passes_gradgradcheck,
    places,
    torch_equals_autograd,
    torch_is_finite_at_extremes,
)
from kernel_reference import detached, empty_along, inputs_of, listed, plain, sizes_of
from torch.autograd import gradcheck

from derive.layers import LAYERS
from derive.spec import Layer

every_layer = pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])


def kernel(layer: Layer) -> Callable[..., Any]:
    function: Callable[..., Any] = getattr(importlib.import_module(f"generated.torch.{layer.name}"), layer.name)
    return function


def loss_of(function: Callable[..., Any]) -> Callable[..., torch.Tensor]:
    """A scalar that bends: the sum of the squares of all outputs."""

    def loss(*inputs: torch.Tensor) -> torch.Tensor:
        return sum(((output**2).sum() for output in listed(function(*inputs))), torch.zeros((), dtype=torch.float64))

    return loss


@every_layer
@pytest.mark.parametrize("seed", range(3))
def test_values_and_gradients_equal_autograd(layer: Layer, seed: int) -> None:
    torch_equals_autograd(layer, kernel(layer), seed, importlib.import_module(f"generated.torch.{layer.name}"))


@every_layer
def test_each_gradient_alone_is_the_same(layer: Layer) -> None:
    inputs = moving_inputs(layer)
    together = torch.autograd.grad(loss_of(kernel(layer))(*inputs), [inputs[n] for n in places(layer)])
    for n, expected in zip(places(layer), together):
        alone = [detached(tensor) for tensor in inputs]
        alone[n].requires_grad_()
        (got,) = torch.autograd.grad(loss_of(kernel(layer))(*alone), [alone[n]])
        torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-14)


@every_layer
def test_gradcheck_in_both_modes_and_batched(layer: Layer) -> None:
    passes_gradcheck(layer, kernel(layer))


@every_layer
def test_each_input_may_move_alone_in_forward_mode(layer: Layer) -> None:
    inputs = inputs_of(layer, sizes_of(layer))
    for n in places(layer):
        moving = [t.clone().requires_grad_() if k == n else t for k, t in enumerate(inputs)]
        assert gradcheck(kernel(layer), moving, check_forward_ad=True, fast_mode=True)


@every_layer
def test_gradgradcheck(layer: Layer) -> None:
    passes_gradgradcheck(layer, kernel(layer))


@every_layer
def test_every_mix_of_modes_gives_the_same_second_derivatives_along_a_direction(layer: Layer) -> None:
    inputs = [detached(tensor) for tensor in moving_inputs(layer)]
    at = places(layer)
    moving = tuple(inputs[n] for n in at)
    generator = torch.Generator().manual_seed(3)
    direction = tuple(torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in moving)

    def restricted(function: Callable[..., Any]) -> Callable[..., torch.Tensor]:
        def loss(*given: torch.Tensor) -> torch.Tensor:
            places_of = dict(zip(at, given))
            return loss_of(function)(*(places_of.get(n, t) for n, t in enumerate(inputs)))

        return loss

    def slope(loss: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        return lambda *given: torch.func.jvp(loss, given, direction)[1]

    def projected(loss: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        every = tuple(range(len(at)))
        return lambda *given: sum(((g * d).sum() for g, d in zip(torch.func.grad(loss, every)(*given), direction)), torch.zeros(()))

    every = tuple(range(len(at)))
    reference = torch.func.grad(projected(restricted(lambda *given: plain(layer, *given))), every)(*moving)
    loss = restricted(kernel(layer))
    forward_over_reverse = torch.func.jvp(torch.func.grad(loss, every), moving, direction)[1]
    reverse_over_forward = torch.func.grad(slope(loss), every)(*moving)
    reverse_over_reverse = torch.func.grad(projected(loss), every)(*moving)
    for found in (forward_over_reverse, reverse_over_forward, reverse_over_reverse):
        for got, want in zip(found, reference):
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)
    curvature = sum((r * d).sum() for r, d in zip(reference, direction))
    forward_over_forward = torch.func.jvp(slope(loss), moving, direction)[1]
    torch.testing.assert_close(forward_over_forward, curvature, rtol=1e-9, atol=1e-11)


SMALL = 24
"""The number of entries up to which all second derivatives are compared: their cost grows with its square."""


@pytest.mark.parametrize("layer", [layer for layer in LAYERS if entries(layer) <= SMALL], ids=lambda layer: layer.name)
def test_every_mix_of_modes_gives_the_same_hessian(layer: Layer) -> None:
    inputs = [detached(tensor) for tensor in moving_inputs(layer)]
    at = places(layer)
    loss = loss_of(kernel(layer))
    reference = torch.func.hessian(loss_of(lambda *given: plain(layer, *given)), argnums=at)(*inputs)
    modes = (torch.func.jacrev, torch.func.jacfwd)
    for outer in modes:
        for inner in modes:
            found = outer(inner(loss, argnums=at), argnums=at)(*inputs)
            for rows, expected in zip(found, reference):
                for block, want in zip(rows, expected):
                    torch.testing.assert_close(block, want, rtol=1e-9, atol=1e-11)


@every_layer
def test_a_batch_of_gradients_is_the_gradients_of_a_batch(layer: Layer) -> None:
    at = places(layer)
    batch = [[detached(t) for t in moving_inputs(layer, seed)] for seed in range(3)]
    gradient = torch.func.grad(loss_of(kernel(layer)), argnums=at)
    stacked = [torch.stack(column) if n in at else column[0] for n, column in enumerate(zip(*batch))]
    dims = tuple(0 if n in at else None for n in range(len(stacked)))
    found = torch.func.vmap(gradient, in_dims=dims)(*stacked)
    for k, given in enumerate(batch):
        shared = [t if n in at else batch[0][n] for n, t in enumerate(given)]
        for got, want in zip(found, gradient(*shared)):
            torch.testing.assert_close(got[k], want, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("layer", LAYERS[::12], ids=lambda layer: layer.name)  # a second each
def test_compiles_to_one_graph(layer: Layer) -> None:
    torch._dynamo.reset()
    inputs = moving_inputs(layer)
    moving = [inputs[n] for n in places(layer)]
    compiled = torch.compile(loss_of(kernel(layer)), fullgraph=True, backend="aot_eager")
    found = torch.autograd.grad(compiled(*inputs), moving)
    for got, want in zip(found, torch.autograd.grad(loss_of(kernel(layer))(*inputs), moving)):
        torch.testing.assert_close(got, want)


@every_layer
def test_a_third_derivative_is_refused(layer: Layer) -> None:
    inputs = moving_inputs(layer)
    moving = [inputs[n] for n in places(layer)]
    first = torch.autograd.grad(loss_of(kernel(layer))(*inputs), moving, create_graph=True)
    second = torch.autograd.grad(sum((g**2).sum() for g in first), moving, create_graph=True)
    with pytest.raises(NotImplementedError, match="third derivatives"):
        torch.autograd.grad(sum((g**2).sum() for g in second), moving)


@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_logits_stay_finite(layer: Layer, dtype: torch.dtype) -> None:
    torch_is_finite_at_extremes(layer, kernel(layer), dtype)


@every_layer
def test_an_empty_first_axis_works(layer: Layer) -> None:
    axis = layer.tensor(layer.inputs[0]).dims[0]
    sizes = empty_along(layer, axis)
    inputs = inputs_of(layer, sizes)
    moving = [inputs[n].requires_grad_() for n in places(layer)]
    try:
        found = listed(kernel(layer)(*inputs))
    except ValueError as error:
        assert f"axis {axis} has length 0" in str(error)
        return
    gradients = torch.autograd.grad(found, moving, [torch.ones_like(f) for f in found])
    for name, gradient in zip(layer.wrt, gradients):
        assert gradient.shape == tuple(sizes[dim] for dim in layer.tensor(name).dims)


# ---------------------------------------------------------------------------------------------------- bad input


def message(kind: type[Exception], call: Callable[[], Any]) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_a_shape_that_does_not_fit_is_named_with_its_axis() -> None:
    from generated.torch.linear import linear

    X, W, b = torch.ones(5, 4), torch.ones(3, 7), torch.ones(7)
    assert message(ValueError, lambda: linear(X, W, b)) == "linear: X is (5, 4) but W is (3, 7): axis N is 4 in X and 3 in W"
    assert message(ValueError, lambda: linear(torch.ones(5), W, b)) == "linear: X has shape (5,), expected 2 axes (B, N)"


def test_types_that_have_no_gradient_are_refused() -> None:
    from generated.torch.cross_entropy_labels import cross_entropy_labels
    from generated.torch.linear import linear
    from generated.torch.mse import mse

    X, W, b = torch.ones(5, 3), torch.ones(3, 7), torch.ones(7)
    assert "X holds torch.int64" in message(TypeError, lambda: linear(X.long(), W, b))
    assert "X holds torch.complex64" in message(TypeError, lambda: linear(X.to(torch.complex64), W, b))
    assert "W holds torch.float64 and X holds torch.float32" in message(TypeError, lambda: linear(X, W.double(), b))
    assert "X is a list" in message(TypeError, lambda: linear([[1.0]], W, b))
    assert "y holds torch.float32" in message(TypeError, lambda: cross_entropy_labels(X, torch.zeros(5)))
    assert "T is a constant" in message(ValueError, lambda: mse(X, X.clone().requires_grad_()))


def test_labels_along_an_empty_axis_are_refused() -> None:
    from generated.torch.nll import nll

    labels = torch.zeros(3, dtype=torch.long)
    assert message(ValueError, lambda: nll(torch.zeros(3, 0), labels)) == "nll: y has 3 entries, but axis C has length 0"
    assert nll(torch.zeros(0, 0), labels[:0]).isnan()
