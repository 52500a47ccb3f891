"""Inputs for the kernels and what they are compared with: the author's equations, which autograd differentiates.

`reference` evaluates the equations node by node; nothing there or here is shared with codegen.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from reference import bounded, far_from_singular, run, square
from torch import Tensor

from derive import rules
from derive.expr import Iverson, Num, Ref, Sum
from derive.lengths import completed, small_sizes


def plain(layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The layer's outputs from its own equations."""
    sizes: dict[str, int] = {}
    for name, tensor in zip(layer.inputs, inputs):
        if layer.tensor(name).is_plain_integer:
            sizes[name] = int(tensor)
        else:
            sizes.update(zip(layer.tensor(name).dims, tensor.shape))
    sizes = completed(layer, sizes)
    found = run(layer.equations, dict(zip(layer.inputs, inputs)), sizes)
    return tuple(found[name] for name in layer.outputs)


# ---------------------------------------------------------------------------------------------------- inputs


def sizes_of(layer: Any, start: int = 2) -> dict[str, int]:
    """Lengths of all axes, pairwise distinct (where the layer's own lengths allow it) and at least 2; and the plain integers."""
    return small_sizes(layer, start)


def huge(layer: Any, inputs: list[Any]) -> list[list[Any]]:
    """Inputs of about +-1e4: all that are differentiated at once in float64, each in its turn in float32, where the products of
    several overflow by themselves. A scalar is a rate or a temperature, and stays small and positive."""
    matrices = [n for n, name in enumerate(layer.inputs) if name in square(layer)]
    places = [n for n, name in enumerate(layer.inputs) if name in layer.wrt and layer.tensor(name).dims]
    positive = [t.abs() if is_real(t) and not t.ndim else t for t in inputs]
    short = any(is_real(t) and t.dtype == torch.float32 for t in inputs)
    cases = [[n] for n in places] if short else [places]
    logarithms = [n for n, name in enumerate(layer.inputs) if (layer.name, name) in LOGARITHMS]
    signs = [-1.0 if n in logarithms else t.sign() if isinstance(t, Tensor) else t for n, t in enumerate(positive)]
    found = [
        [
            t * 1e4 if n in case and n in matrices else signs[n] * 1e4 + t if n in case else t.clone() if isinstance(t, Tensor) else t
            for n, t in enumerate(positive)
        ]
        for case in cases
    ]
    for case in found:
        arrays = dict(zip(layer.inputs, case))
        for fact in layer.facts:
            if isinstance(fact.left, Iverson):
                bounded(arrays, fact)
        case[:] = arrays.values()
    return found


def is_real(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


LOGARITHMS = {("kl_log_entries", "t")}
"""The inputs of layers that are logarithms of probabilities: huge ones are below 0, and above it their exponential overflows."""


def strided(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Random numbers that do not lie one after the other: every second entry of a buffer, its axes in reverse order."""
    buffer = torch.randn([2 * n for n in reversed(shape)], generator=generator, dtype=dtype)
    return buffer[tuple(slice(None, None, 2) for _ in shape)].permute(tuple(reversed(range(len(shape)))))


def inputs_of(layer: Any, sizes: dict[str, int], seed: int = 0, dtype: torch.dtype = torch.float64, positive: bool = False) -> list[Any]:
    """Inputs that respect the layer's facts, in argument order."""
    generator = torch.Generator().manual_seed(seed)
    arrays: dict[str, Any] = {}
    for name in layer.inputs:
        tensor = layer.tensor(name)
        shape = tuple(sizes[dim] for dim in tensor.dims)
        if tensor.is_plain_integer:
            arrays[name] = sizes[name]
        elif tensor.kind == "int":
            arrays[name] = torch.randint(0, max(sizes[tensor.values], 1), shape, generator=generator)
        else:
            arrays[name] = strided(shape, generator, dtype)
            if positive or tensor.kind == "const":
                arrays[name] = arrays[name].abs() + 0.5
    symmetric = [rules.symmetric(fact) for fact in layer.facts]
    for name in square(layer):
        arrays[name] = far_from_singular(arrays[name], name in symmetric)
    for fact in layer.facts:
        if rules.symmetric(fact) in square(layer):
            continue
        if isinstance(fact.left, Iverson):
            bounded(arrays, fact)
            continue
        assert isinstance(fact.left, Sum) and isinstance(fact.left.body, Ref) and isinstance(fact.right, Num), fact
        ref = fact.left.body
        over = tuple(ref.indices.index(i) for i in fact.left.indices)
        weights = arrays[ref.tensor].abs() + 0.1
        arrays[ref.tensor] = weights / weights.sum(over, keepdim=True) * float(fact.right.value)
    return [arrays[name] for name in layer.inputs]


def detached(value: Any) -> Any:
    """A tensor without its history; a plain integer as it is."""
    return value.detach() if isinstance(value, Tensor) else value


def empty_along(layer: Any, axis: str) -> dict[str, int]:
    """Sizes with one axis empty, and the lengths that follow from it."""
    sizes = {**sizes_of(layer), axis: 0}
    return completed(layer, sizes)


def load(source: str, name: str, folder: Path) -> ModuleType:
    """A generated module, imported from a file of its own."""
    path = folder / f"{name}_{next(_COUNT)}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module  # torch.compile looks a function's module up by name
    spec.loader.exec_module(module)
    return module


_COUNT = itertools.count()


def listed(values: Any) -> list[Any]:
    """One value or a tuple of them, as a list."""
    return list(values) if isinstance(values, tuple) and not hasattr(values, "_fields") else [values]
