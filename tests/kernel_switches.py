"""A kernel made without some pass next to the one made with all: values and derivatives of the whole, and of the same in parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from kernel_checks import arrays, places
from kernel_reference import inputs_of, listed

from derive.spec import Layer

ROUNDING = 1e-10
"""The largest relative difference that another order of the same float64 operations may make."""


def module_of(source: str) -> ModuleType:
    """The module of a source text, which nothing else knows of."""
    module = ModuleType("switched")
    exec(compile(source, "<switched>", "exec"), module.__dict__)
    return module


def in_parts(kernel: ModuleType, put: Callable[[Any, str, Any], None] = setattr) -> None:
    """Make a generated module run its loops, if it has any, in parts of two rows however small its arguments are."""
    if not hasattr(kernel, "_parts"):
        return
    put(kernel, "_CACHE", 16)
    for name in ("_whole", "_saved_whole"):
        if hasattr(kernel, name):
            traced = getattr(kernel, "_traced", lambda *_: False)
            put(kernel, name, lambda _, *given, traced=traced: traced(*given))
    cut = kernel._parts
    put(kernel, "_parts", lambda lengths, width, like, least: cut(lengths, width, like, 2))


def results(layer: Layer, kernel: ModuleType, sizes: dict[str, int]) -> list[Any]:
    """Outputs, gradients and tangents of a NumPy module; outputs and derivatives of both orders of a torch one."""
    inputs = inputs_of(layer, sizes)
    if hasattr(kernel, layer.name):
        return arrays(derivatives(layer, getattr(kernel, layer.name), inputs))
    given = arrays(inputs)
    values, saved = kernel.forward(*given)
    upstream = [np.cos(np.arange(float(np.size(value)))).reshape(np.shape(value)) for value in listed(values)]
    tangents = [np.sin(1 + np.arange(float(np.size(given[n])))).reshape(np.shape(given[n])) for n in places(layer)]
    return [*listed(values), *listed(kernel.backward(*upstream, saved)), *listed(kernel.jvp(*given, *tangents)[1])]


def derivatives(layer: Layer, function: Any, inputs: list[Any]) -> list[torch.Tensor]:
    """The outputs of a torch kernel, and the first and second derivatives of what is made of them."""
    moving = [inputs[n].requires_grad_() for n in places(layer)]
    values = listed(function(*inputs))
    first = torch.autograd.grad([(value**3).sum() for value in values], moving, create_graph=True)
    return [*values, *first, *torch.autograd.grad(sum((g**2).sum() for g in first), moving, allow_unused=True, materialize_grads=True)]


def difference(layer: Layer, source: str, want: Sequence[Any], sizes: dict[str, int]) -> float:
    """How far what a module computes is from what is wanted, straight and in parts: the largest difference of two entries over the
    largest entry of their array. Infinite where one of them is no number."""
    kernel = module_of(source)
    straight = results(layer, kernel, sizes)
    in_parts(kernel)
    return max(apart(found, want) for found in (straight, results(layer, kernel, sizes)))


def apart(found: Sequence[Any], want: Sequence[Any]) -> float:
    worst = 0.0
    for mine, other in zip(found, want, strict=True):
        mine, other = np.asarray(mine), np.asarray(other)
        if (mine.shape, mine.dtype) != (other.shape, other.dtype):
            return np.inf
        far = ~((mine == other) | (np.isnan(mine) & np.isnan(other)))
        if not (np.isfinite(mine[far]).all() and np.isfinite(other[far]).all()):
            return np.inf
        if far.any():
            worst = max(worst, float(np.abs(mine - other)[far].max() / max(np.abs(other[np.isfinite(other)]).max(), 1e-3)))
    return worst
