"""Classic mistakes of a custom backward, each planted in a generated function or kernel: the comparisons with torch catch all.

The comparisons are those that the other tests of the functions make: values and gradients in one and in two orders, for broadcast,
strided, expanded and empty inputs, under a random upstream gradient, reductions, masks, and a repeated call.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as theirs
from torch import Tensor

GENERATED = Path(__file__).parent.parent / "generated" / "torch"


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def moving(*shape: int, seed: int = 0) -> Tensor:
    return random(*shape, seed=seed).requires_grad_()


def planted(module: str, old: str, new: str) -> Any:
    """The functions, over a kernel (or the module of functions itself) in whose source `old` is `new`."""
    source = (GENERATED / f"{module}.py").read_text(encoding="utf-8")
    assert len(re.findall(old, source)) >= 1, f"{module} has no {old}: plant the mistake anew"
    source = re.sub(old, new, source, count=1)
    found = types.ModuleType(f"planted_{module}")
    sys.modules[found.__name__] = found
    exec(compile(source, f"{module}.py", "exec"), found.__dict__)
    if module == "functional":
        return found
    functions = types.ModuleType("planted_functional")
    exec(compile((GENERATED / "functional.py").read_text(encoding="utf-8"), "functional.py", "exec"), functions.__dict__)
    functions.__dict__[f"_{module}_kernel"] = getattr(found, module)
    return functions


# ---------------------------------------------------------------------------------------------------- the comparisons


def compare(F: Any, call: Callable[[Any], Tensor], inputs: list[Tensor]) -> None:
    """AssertionError unless values, gradients and second gradients are those of torch."""
    results = []
    for module in (F, theirs):
        torch.manual_seed(0)
        value = call(module)
        # Not one number after the other: the axes of memory run the other way.
        upstream = random(*reversed(value.shape), seed=9).permute(tuple(reversed(range(value.ndim))))
        gradients = torch.autograd.grad(value, inputs, upstream, create_graph=True)
        second = sum((gradient * random(*gradient.shape, seed=8)).sum() for gradient in gradients)
        found = torch.autograd.grad(second, inputs, allow_unused=True, materialize_grads=True) if second.requires_grad else ()
        results.append([value, *gradients, *found])
    for got, want in zip(*results):
        assert got.shape == want.shape, (got.shape, want.shape)
        torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-11)


def linear(F: Any) -> None:
    weight, bias = moving(4, 3, seed=1), moving(4, seed=2)
    for input in (moving(5, 3), moving(2, 3, 5).transpose(1, 2), random(1, 3).expand(5, 3).requires_grad_()):
        compare(F, lambda F, input=input: F.linear(input, weight, bias), [input, weight, bias])
    plain = random(5, 3).requires_grad_()
    (gradient,) = torch.autograd.grad(F.linear(plain, weight.detach(), bias.detach()).sum(), plain)
    assert torch.equal(gradient, weight.detach().sum(0).expand(5, 3))


def softmax(F: Any) -> None:
    for input in (moving(5, 4), moving(4, 5).T):
        compare(F, lambda F, input=input: F.softmax(input, -1), [input])
    huge = (random(3, 4) * 1e4).requires_grad_()
    assert F.softmax(huge, -1).isfinite().all()


def squared(F: Any) -> None:
    input, target = moving(5, 1), moving(5, 4, seed=1)
    for reduction in ("mean", "sum", "none"):
        compare(F, lambda F, reduction=reduction: F.mse_loss(input, target, reduction=reduction), [input, target])


def labels(F: Any) -> None:
    input, label = moving(6, 4), torch.tensor([1, 3, -100, 0, 1, -100])
    for reduction in ("mean", "sum"):
        compare(F, lambda F, reduction=reduction: F.cross_entropy(input, label, reduction=reduction), [input])


def normalised(F: Any) -> None:
    input, weight, bias = moving(6, 4), moving(4, seed=1), moving(4, seed=2)
    compare(F, lambda F: F.layer_norm(input, (4,), weight, bias), [input, weight, bias])


def attended(F: Any) -> None:
    query, key, value = moving(2, 5, 3), moving(2, 6, 3, seed=1), moving(2, 6, 4, seed=2)
    mask = moving(5, 6, seed=3)
    compare(F, lambda F: F.scaled_dot_product_attention(query, key, value, attn_mask=mask), [query, key, value, mask])
    compare(F, lambda F: F.scaled_dot_product_attention(query, key, value, is_causal=True), [query, key, value])


def dropped(F: Any) -> None:
    input = moving(50, 40)
    compare(F, lambda F: F.dropout(input, 0.3), [input])
    torch.manual_seed(0)
    first, second = F.dropout(input, 0.5), F.dropout(input, 0.5)
    assert not torch.equal(first == 0, second == 0)


def looked_up(F: Any) -> None:
    table = moving(5, 3)
    compare(F, lambda F: F.embedding(torch.tensor([[1, 1, 4], [0, 1, 2]]), table, padding_idx=2), [table])


def kinked(F: Any) -> None:
    input = torch.cat([random(20), torch.zeros(2, dtype=torch.float64)]).requires_grad_()
    before = input.detach().clone()
    compare(F, lambda F: F.relu(input), [input])
    assert torch.equal(input.detach(), before)


COMPARISONS = {check.__name__: check for check in (linear, softmax, squared, labels, normalised, attended, dropped, looked_up, kinked)}

# What is wrong, the comparison that has to see it, the module, what stands there, and the mistake.
BUGS = (
    (
        "a broadcast axis is not summed",
        "squared",
        "functional",
        r'input, target = _together\("mse_loss", input, target\)',
        "input = torch.cat([input, input.detach().expand_as(target)[:, 1:]], 1)",
    ),
    ("the upstream gradient is ignored", "softmax", "softmax", r"dS = P \* \(dP - D", "dS = P * (dP * 0 + 1 - D"),
    ("the bias gradient is not summed over the batch", "linear", "linear_out_in", r"dY\.sum\(dim=0\)", "dY[0]"),
    ("what is saved does not reach the second order", "softmax", "softmax", r"None, d2S, None, d2dP", "None, None, None, d2dP"),
    (
        "the upstream gradient is taken to be contiguous",
        "linear",
        "linear_out_in",
        r"dW = dY\.T @ X",
        "dW = dY.as_strided(dY.shape[::-1], (1, dY.shape[1])) @ X",
    ),
    ("the factor of the reduction is lost", "squared", "mean_of_entries", r"\(dL / N\)", "dL"),
    (
        "the dropout mask is the same each time",
        "dropped",
        "functional",
        r"\.bernoulli_\(1 - p\)",
        ".bernoulli_(1 - p, generator=torch.Generator().manual_seed(3))",
    ),
    ("ignored labels are counted", "labels", "functional", r"kept = labels != ignore_index", "kept = labels == labels"),
    ("padding gets a gradient", "looked_up", "functional", r"kept = \(places != padding\)", "kept = (places == places)"),
    ("the scale is missing from one gradient", "attended", "attention_masked_bias", r"dK = scale \* \(dS\.mT @ Q\)", "dK = dS.mT @ Q"),
    ("the mean's own gradient is forgotten", "normalised", "layer_norm", r"dX = \(dm / C\)\[:, None\] \+", "dX ="),
    ("the input is changed in place", "kinked", "relu", r"Y = torch\.relu\(X\)", "Y = X.detach().relu_().clone()"),
)


@pytest.mark.parametrize("check", COMPARISONS.values(), ids=COMPARISONS)
def test_the_generated_functions_pass(check: Callable[[Any], None]) -> None:
    import generated.torch.functional as ours

    check(ours)


@pytest.mark.parametrize(("check", "module", "old", "new"), [bug[1:] for bug in BUGS], ids=[bug[0] for bug in BUGS])
def test_a_planted_bug_is_caught(check: str, module: str, old: str, new: str) -> None:
    with pytest.raises((AssertionError, RuntimeError)):
        COMPARISONS[check](planted(module, old, new))
