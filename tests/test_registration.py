"""Kernels registered with torch.library: the checks that torch has for operators, derivatives, batches and compilation."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from kernel_checks import places
from kernel_reference import inputs_of, sizes_of
from test_kernels_torch import loss_of
from torch.autograd import gradcheck, gradgradcheck
from torch.library import opcheck
from torch.utils._python_dispatch import TorchDispatchMode

import codegen
from derive.layers import layer

NAMES = ("linear", "softmax", "attention", "cross_entropy_labels", "convolution_1d", "embedding")


class Recorded(TorchDispatchMode):
    """The arguments with which each of our operators was called last."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[Any, tuple[Any, ...]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.namespace == "gradproof":
            self.calls[func] = args
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("name", NAMES)
def test_every_operator_passes_the_checks_of_torch(name: str) -> None:
    spec = layer(name)
    operator, function = codegen.kernel(spec, "library"), codegen.kernel(spec)
    inputs = inputs_of(spec, sizes_of(spec))
    moving = [inputs[n].clone().requires_grad_() if n in places(spec) else value for n, value in enumerate(inputs)]
    with Recorded() as recorded:
        first = torch.autograd.grad(loss_of(operator)(*moving), [moving[n] for n in places(spec)], create_graph=True)
        sum((gradient**2).sum() for gradient in first).backward()
    assert len(recorded.calls) == 3
    for called, arguments in recorded.calls.items():
        moves = not str(called).endswith("_second.default")  # which has no derivatives
        again = [a.detach().requires_grad_(moves and a.is_floating_point()) if isinstance(a, torch.Tensor) else a for a in arguments]
        opcheck(called, again)
    for got, want in zip(first, torch.autograd.grad(loss_of(function)(*moving), [moving[n] for n in places(spec)])):
        torch.testing.assert_close(got, want)
    assert gradcheck(operator, moving, fast_mode=True) and gradgradcheck(operator, moving, fast_mode=True)


def test_operators_go_through_batches_and_compilation() -> None:
    softmax = codegen.kernel(layer("softmax"), "library")
    rows = torch.randn(3, 4, 5, dtype=torch.float64, requires_grad=True)
    found = torch.vmap(softmax, in_dims=1, out_dims=1)(rows)
    torch.testing.assert_close(found, rows.softmax(-1))
    for got, want in zip(torch.autograd.grad(found[0, 0, 0], rows), torch.autograd.grad(rows.softmax(-1)[0, 0, 0], rows)):
        torch.testing.assert_close(got, want)
    compiled = torch.compile(softmax, fullgraph=True, backend="aot_eager")
    moved = rows[0].detach().requires_grad_()
    torch.testing.assert_close(torch.autograd.grad(compiled(moved)[0, 0], moved), torch.autograd.grad(moved.softmax(-1)[0, 0], moved))


def test_a_third_derivative_is_refused() -> None:
    softmax = codegen.kernel(layer("softmax"), "library")
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(softmax(x).square().sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), x, create_graph=True)
    with pytest.raises(NotImplementedError, match="softmax: third derivatives are not derived"):
        torch.autograd.grad(second.sum(), x)


def test_operators_made_anew_take_the_place_of_the_last() -> None:
    x, w, b = torch.randn(2, 3), torch.randn(3, 4), torch.randn(4)
    for _ in range(2):
        torch.testing.assert_close(codegen.kernel(layer("linear"), "library")(x, w, b), x @ w + b)
