"""Trains one model twice, on a generated kernel and on plain torch operations under autograd, and compares them step by step."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Function = Callable[..., Tensor]

CLOSE = 1e-9
"""The largest difference of two losses in float64 over some hundred steps; rounding alone makes about 1e-14."""


def side_by_side(
    build: Callable[[Function], nn.Module],
    batch: Callable[[torch.Generator], Any],
    kernel: Function,
    plain: Function,
    rate: float,
    steps: int = 300,
) -> bool:
    """Print both losses every fifty steps; whether they agree at every step and the loss has halved.

    `build` makes the model around a function, `batch` draws what the model is called with; the model returns its loss.
    """
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)  # with tensors this small, threads would only wait for each other
    models, random = [], torch.Generator().manual_seed(0)
    for function in (kernel, plain):
        torch.manual_seed(0)
        models.append(build(function))
    # Not Adam, which would hide a gradient that is wrong by a factor.
    optimisers = [torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9) for model in models]
    first = last = worst = 0.0
    print(f"{'step':>5}  {'generated kernel':>20}  {'autograd':>20}  {'largest difference':>18}")
    for step in range(steps + 1):
        given = batch(random)
        losses = [model(*given) for model in models]
        for loss, optimiser in zip(losses, optimisers):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        last, other = (loss.item() for loss in losses)
        first = first or last
        worst = max(worst, abs(last - other))
        if step % 50 == 0:
            print(f"{step:>5}  {last:>20.15f}  {other:>20.15f}  {worst:>18.1e}", flush=True)
    torch.set_default_dtype(torch.float32)
    good = worst < CLOSE and last < first / 2
    print("equal at every step, and the loss goes down" if good else "the two differ, or the loss does not go down")
    return good


def leave(good: bool) -> None:
    """End the program with 0 where all is well, else 1."""
    sys.exit(0 if good else 1)
