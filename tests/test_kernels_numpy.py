"""The NumPy kernels against autograd on the author's own equations, and what they say about bad input."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from kernel_checks import arrays, numpy_equals_autograd, numpy_is_finite_at_extremes
from kernel_reference import empty_along, inputs_of, listed, plain, sizes_of, strided

from derive.expr import Size, walk
from derive.layers import LAYERS
from derive.spec import Layer

every_layer = pytest.mark.parametrize("layer", LAYERS, ids=[layer.name for layer in LAYERS])


def kernel(layer: Layer) -> ModuleType:
    return importlib.import_module(f"generated.numpy.{layer.name}")


def differentiated(layer: Layer, inputs: list[torch.Tensor]) -> list[torch.Tensor]:
    return [tensor.requires_grad_() for name, tensor in zip(layer.inputs, inputs) if name in layer.wrt]


@every_layer
@pytest.mark.parametrize("seed", range(3))
def test_float64_values_and_gradients_equal_autograd(layer: Layer, seed: int) -> None:
    numpy_equals_autograd(layer, kernel(layer), seed)


@every_layer
def test_forward_mode_equals_torch(layer: Layer) -> None:
    inputs = inputs_of(layer, sizes_of(layer), 7)
    places = [n for n, name in enumerate(layer.inputs) if name in layer.wrt]
    generator = torch.Generator().manual_seed(1)
    tangents = [strided(tuple(inputs[n].shape), generator, torch.float64) for n in places]

    def outputs(*moving: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = list(inputs)
        for n, value in zip(places, moving):
            given[n] = value
        return plain(layer, *given)

    want, derivatives = torch.func.jvp(outputs, tuple(inputs[n] for n in places), tuple(tangents))
    values, found = kernel(layer).jvp(*arrays(inputs), *arrays(tangents))
    for got, expected in zip([*listed(values), *listed(found)], [*want, *derivatives]):
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-10, atol=1e-13)


@every_layer
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_element_type_is_kept(layer: Layer, dtype: Any) -> None:
    inputs = inputs_of(layer, sizes_of(layer))
    given = [array.astype(dtype) if getattr(array, "dtype", None) == np.float64 else array for array in arrays(inputs)]
    exact = [array.astype(np.float64) if getattr(array, "dtype", None) == dtype else array for array in given]
    values, saved = kernel(layer).forward(*given)
    reference, saved_exactly = kernel(layer).forward(*exact)
    upstream = [np.ones(np.shape(value)) for value in listed(values)]
    found = listed(kernel(layer).backward(*upstream, saved))
    for got, expected in zip([*listed(values), *found], [*listed(reference), *listed(kernel(layer).backward(*upstream, saved_exactly))]):
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=200 * np.finfo(dtype).eps, atol=200 * np.finfo(dtype).eps)


@every_layer
def test_inputs_are_never_changed_and_may_be_read_only_or_broadcast(layer: Layer) -> None:
    given = arrays(inputs_of(layer, sizes_of(layer)))
    own = [array for array in given if isinstance(array, np.ndarray)]
    before = [array.copy() for array in own]
    for array in own:
        array.flags.writeable = False
    values, saved = kernel(layer).forward(*given)
    upstream = [np.broadcast_to(np.float64(1.5), np.shape(value)) for value in listed(values)]
    found = listed(kernel(layer).backward(*upstream, saved))
    for array, copy in zip(own, before):
        np.testing.assert_array_equal(array, copy)
    for gradient in found:
        assert not any(np.shares_memory(gradient, array) for array in [*own, *upstream])


@every_layer
def test_any_axis_may_be_empty_or_is_refused_by_name(layer: Layer) -> None:
    for axis in layer.dims:
        sizes = empty_along(layer, axis)
        inputs = inputs_of(layer, sizes)
        try:
            with warnings.catch_warnings():
                # A mean over nothing is nan, as it is in NumPy.
                warnings.simplefilter("ignore", RuntimeWarning)
                values, saved = kernel(layer).forward(*arrays(inputs))
                upstream = [np.ones(np.shape(value)) for value in listed(values)]
                found = listed(kernel(layer).backward(*upstream, saved))
        except ValueError as error:
            if "no output is left" in str(error):
                assert layer.sizes and axis in {node.dim for each in layer.sizes for node in walk(each.value) if isinstance(node, Size)}
                continue
            if axis in {each.dim for each in layer.sizes}:
                continue
            assert f"axis {axis} has length 0" in str(error), error
            labelled = [layer.tensor(name).values for name in layer.inputs]
            assert axis in labelled or layer.tensor(layer.inputs[0]).dims[0] != axis or "max" in str(error)
            continue
        for gradient, name in zip(found, layer.wrt):
            assert gradient.shape == tuple(sizes[dim] for dim in layer.tensor(name).dims)


@every_layer
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_huge_logits_stay_finite(layer: Layer, dtype: torch.dtype) -> None:
    numpy_is_finite_at_extremes(layer, kernel(layer), dtype)


# ---------------------------------------------------------------------------------------------------- bad input


def message(kind: type[Exception], call: Any) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_a_shape_that_does_not_fit_is_named_with_its_axis() -> None:
    from generated.numpy import linear

    X, W, b = np.ones((5, 4)), np.ones((3, 7)), np.ones(7)
    assert message(ValueError, lambda: linear.forward(X, W, b)) == "linear: X is (5, 4) but W is (3, 7): axis N is 4 in X and 3 in W"
    assert message(ValueError, lambda: linear.forward(np.ones(5), W, b)) == "linear: X has shape (5,), expected 2 axes (B, N)"
    Y, saved = linear.forward(np.ones((5, 3)), W, b)
    assert Y.shape == (5, 7)
    assert message(ValueError, lambda: linear.backward(np.ones((5, 6)), saved)) == ("linear: dY has shape (5, 6), expected (B, M) = (5, 7)")
    assert "tX" in message(ValueError, lambda: linear.jvp(np.ones((5, 3)), W, b, np.ones((5, 2)), W, b))


def test_integers_and_complex_numbers_are_refused_for_real_arguments() -> None:
    from generated.numpy import linear

    W, b = np.ones((3, 7)), np.ones(7)
    assert "X holds int64" in message(TypeError, lambda: linear.forward(np.ones((5, 3), np.int64), W, b))
    assert "X holds complex128" in message(TypeError, lambda: linear.forward(np.ones((5, 3), complex), W, b))
    _, saved = linear.forward(np.ones((5, 3)), W, b)
    assert "dY holds int64" in message(TypeError, lambda: linear.backward(np.ones((5, 7), np.int64), saved))


def test_anything_that_numpy_takes_is_an_argument() -> None:
    from generated.numpy import mse

    loss, saved = mse.forward([[1.0, 2.0]], ((0.0, 0.5),))
    assert loss == pytest.approx((1 + 1.5**2) / 2)
    np.testing.assert_allclose(mse.backward(1.0, saved), [[1.0, 1.5]])


def test_labels_must_be_integers_in_range() -> None:
    from generated.numpy import cross_entropy_labels as layer

    Z = np.zeros((4, 5))
    assert layer.forward(Z, [0, 4, 2, 1])[0] == pytest.approx(np.log(5))
    assert layer.forward(Z, np.array([0, 4, 2, 1], np.uint8))[0] == pytest.approx(np.log(5))
    wrong = message(ValueError, lambda: layer.forward(Z, [0, 1, 2, 7]))
    assert wrong == "cross_entropy_labels: y[3] is 7, but axis C has length 5"
    assert "y[0] is -1" in message(ValueError, lambda: layer.forward(Z, [-1, 1, 2, 3]))
    assert "y holds float64" in message(TypeError, lambda: layer.forward(Z, [0.0, 1.0, 2.0, 3.0]))
    assert "axis B is 4 in Z and 3 in y" in message(ValueError, lambda: layer.forward(Z, [0, 1, 2]))


def test_a_maximum_over_nothing_is_refused() -> None:
    from generated.numpy import softmax

    assert message(ValueError, lambda: softmax.forward(np.zeros((3, 0)))) == (
        "softmax: axis C has length 0, and there is no maximum over it"
    )
    assert softmax.forward(np.zeros((0, 3)))[0].shape == (0, 3)
