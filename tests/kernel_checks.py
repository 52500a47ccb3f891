"""What a layer's kernels must do, each as a function that raises AssertionError: the tests and the table of the catalogue call the same.

A NumPy kernel is a module, a torch kernel a function. They are compared with the author's own equations under autograd, on
strided inputs and upstream gradients, with axes of pairwise different lengths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from kernel_reference import huge, inputs_of, listed, plain, sizes_of, strided

from derive.spec import Layer

LARGE = 150
"""The number of entries beyond which derivatives are checked along random directions: a whole numerical Jacobian of the second
order would take more than a few seconds."""


def places(layer: Layer) -> tuple[int, ...]:
    """Where the differentiable inputs stand among the arguments."""
    return tuple(n for n, name in enumerate(layer.inputs) if name in layer.wrt)


def moving_inputs(layer: Layer, seed: int = 0, start: int = 2) -> list[Any]:
    """Random inputs that respect the facts; the differentiable ones require a gradient."""
    inputs = inputs_of(layer, sizes_of(layer, start), seed)
    for n in places(layer):
        inputs[n].requires_grad_()
    return inputs


def entries(layer: Layer) -> int:
    """The number of entries that are differentiated."""
    return sum(tensor.numel() for n, tensor in enumerate(moving_inputs(layer)) if n in places(layer))


def arrays(tensors: list[Any]) -> list[Any]:
    """Tensors as arrays that share their memory and strides; anything else as it is."""
    return [tensor.detach().numpy() if isinstance(tensor, torch.Tensor) else tensor for tensor in tensors]


def case(layer: Layer, seed: int) -> tuple[list[Any], list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]:
    """Inputs, the values of the equations, upstream gradients, and the gradients that autograd finds."""
    inputs = moving_inputs(layer, seed, 2 + seed)
    want = list(plain(layer, *inputs))
    generator = torch.Generator().manual_seed(100 + seed)
    upstream = [strided(tuple(output.shape), generator, output.dtype) for output in want]
    return inputs, want, upstream, list(torch.autograd.grad(want, [inputs[n] for n in places(layer)], upstream))


def numpy_equals_autograd(layer: Layer, kernel: Any, seed: int = 0) -> None:
    """Values and gradients in float64, to 1e-10 relative."""
    inputs, want, upstream, gradients = case(layer, seed)
    values, saved = kernel.forward(*arrays(inputs))
    found = kernel.backward(*arrays(upstream), saved)
    for got, expected in zip([*listed(values), *listed(found)], [*want, *gradients], strict=True):
        np.testing.assert_allclose(got, expected.detach().numpy(), rtol=1e-10, atol=1e-13)


def torch_equals_autograd(layer: Layer, kernel: Callable[..., Any], seed: int = 0, pair: Any = None) -> None:
    """Values and gradients in float64, to 1e-10 relative: of the function, and of the `pair` of passes without autograd if one is given."""
    inputs, want, upstream, gradients = case(layer, seed)
    found = listed(kernel(*inputs))
    slopes = torch.autograd.grad(found, [inputs[n] for n in places(layer)], upstream)
    results = [[*found, *slopes]]
    if pair is not None:
        values, saved = pair.forward(*inputs)
        results.append([*listed(values), *listed(pair.backward(*upstream, saved))])
        assert not any(tensor.requires_grad for tensor in (*results[-1], *saved) if isinstance(tensor, torch.Tensor)), "it is recorded"
    for result in results:
        for got, expected in zip(result, [*want, *gradients], strict=True):
            torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-13)


def passes_gradcheck(layer: Layer, kernel: Callable[..., Any]) -> None:
    """The first derivative in reverse and in forward mode, one at a time and batched, against differences."""
    modes = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    assert torch.autograd.gradcheck(kernel, moving_inputs(layer), fast_mode=entries(layer) > LARGE, **modes)


def passes_gradgradcheck(layer: Layer, kernel: Callable[..., Any]) -> None:
    """The second derivative against differences of the first."""
    assert torch.autograd.gradgradcheck(kernel, moving_inputs(layer), fast_mode=entries(layer) > LARGE)


def numpy_is_finite_at_extremes(layer: Layer, kernel: Any, dtype: torch.dtype = torch.float64) -> None:
    """Values, gradients and tangents at inputs of about +-1e4."""
    inputs = [t.to(dtype) if isinstance(t, torch.Tensor) and t.is_floating_point() else t for t in inputs_of(layer, sizes_of(layer))]
    for given in map(arrays, huge(layer, inputs)):
        values, saved = kernel.forward(*given)
        found = kernel.backward(*[np.ones_like(value) for value in listed(values)], saved)
        tangents = [np.ones_like(given[n]) for n in places(layer)]
        _, slopes = kernel.jvp(*given, *tangents)
        for array in [*listed(values), *listed(found), *listed(slopes)]:
            assert np.isfinite(array).all(), "a value or a gradient is not finite"


def torch_is_finite_at_extremes(layer: Layer, kernel: Callable[..., Any], dtype: torch.dtype = torch.float64) -> None:
    """Values and gradients at inputs of about +-1e4, in the type of the inputs."""
    inputs = [t.to(dtype) if isinstance(t, torch.Tensor) and t.is_floating_point() else t for t in inputs_of(layer, sizes_of(layer))]
    for given in huge(layer, inputs):
        moving = [given[n].requires_grad_() for n in places(layer)]
        found = listed(kernel(*given))
        gradients = torch.autograd.grad(found, moving, [torch.ones_like(f) for f in found])
        for tensor in [*found, *gradients]:
            assert tensor.dtype == dtype and tensor.isfinite().all(), "a value or a gradient is not finite"
