"""The author's equations evaluated with torch, one node at a time: the plain formula, which autograd differentiates.

Nothing here is shared with codegen: an expression over some indices is a tensor with one axis for each of them, every product and
sum is spelt out, and no equation is rewritten.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from derive.expr import Add, Delta, Expr, Fn, Idx, Index, Max, Mul, Num, Pow, Ref, Size, Sum

FUNCTIONS = {
    "exp": torch.exp,
    "log": torch.log,
    "tanh": torch.tanh,
    "erf": torch.erf,
    "sigmoid": torch.sigmoid,
    "relu": torch.relu,
    "abs": torch.abs,
    "sign": torch.sign,
    "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),
    "sin": torch.sin,
    "cos": torch.cos,
    "max": torch.maximum,
    "min": torch.minimum,
    "pow": torch.pow,
}


class Plain:
    """Evaluates expressions; the value of each is broadcast over all indices in scope, in the order of `scope`."""

    def __init__(self, arrays: dict[str, Tensor], sizes: dict[str, int], dtype: torch.dtype) -> None:
        self.arrays = arrays
        self.sizes = sizes
        self.dtype = dtype

    def value(self, expr: Expr, scope: tuple[Idx, ...]) -> Tensor:
        if isinstance(expr, Num):
            return torch.tensor(float(expr.value), dtype=self.dtype)
        if isinstance(expr, Size):
            return torch.tensor(float(self.sizes[expr.dim]), dtype=self.dtype)
        if isinstance(expr, Ref):
            return self.arrays[expr.tensor][tuple(self.place(i, scope) for i in expr.indices)]
        if isinstance(expr, Delta):
            return (self.place(expr.a, scope) == self.place(expr.b, scope)).to(self.dtype)
        if isinstance(expr, Add):
            parts = [self.value(term, scope) for term in expr.terms]
            total = parts[0]
            for part in parts[1:]:
                total = total + part
            return total
        if isinstance(expr, Mul):
            product = self.value(expr.factors[0], scope)
            for factor in expr.factors[1:]:
                product = product * self.value(factor, scope)
            return product
        if isinstance(expr, Pow):
            base = self.value(expr.base, scope)
            return base ** int(expr.exponent) if expr.exponent.denominator == 1 else base ** float(expr.exponent)
        if isinstance(expr, Fn):
            return FUNCTIONS[expr.name](*(self.value(arg, scope) for arg in expr.args))
        assert isinstance(expr, (Sum, Max))
        inner = (*scope, *expr.indices)
        body = self.value(expr.body, inner).expand([self.sizes[i.dim] for i in inner])
        over = tuple(range(len(scope), len(inner)))
        return body.sum(over) if isinstance(expr, Sum) else body.amax(over)

    def place(self, index: Index, scope: tuple[Idx, ...]) -> Tensor:
        """The position an index stands for, as integers over the scope. The innermost index of a name counts."""
        if isinstance(index, Ref):
            return self.arrays[index.tensor][tuple(self.place(i, scope) for i in index.indices)]
        at = len(scope) - 1 - scope[::-1].index(index)
        return torch.arange(self.sizes[index.dim]).reshape([-1 if n == at else 1 for n in range(len(scope))])


def plain(layer: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
    """The layer's outputs from its own equations."""
    sizes: dict[str, int] = {}
    for name, tensor in zip(layer.inputs, inputs):
        sizes.update(zip(layer.tensor(name).dims, tensor.shape))
    real = next(t for t in inputs if t.is_floating_point())
    run = Plain(dict(zip(layer.inputs, inputs)), sizes, real.dtype)
    for equation in layer.equations:
        scope = tuple(equation.target.indices)
        run.arrays[equation.target.tensor] = run.value(equation.value, scope).expand([sizes[i.dim] for i in scope])
    return tuple(run.arrays[name] for name in layer.outputs)


# ---------------------------------------------------------------------------------------------------- inputs


def sizes_of(layer: Any, start: int = 2) -> dict[str, int]:
    """Lengths of all axes, pairwise distinct and at least 2."""
    return {dim: start + n for n, dim in enumerate(layer.dims)}


def strided(shape: tuple[int, ...], generator: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Random numbers that do not lie one after the other: every second entry of a buffer, its axes in reverse order."""
    buffer = torch.randn([2 * n for n in reversed(shape)], generator=generator, dtype=dtype)
    return buffer[tuple(slice(None, None, 2) for _ in shape)].permute(tuple(reversed(range(len(shape)))))


def inputs_of(layer: Any, sizes: dict[str, int], seed: int = 0, dtype: torch.dtype = torch.float64, positive: bool = False) -> list[Tensor]:
    """Inputs that respect the layer's facts, in argument order."""
    generator = torch.Generator().manual_seed(seed)
    arrays: dict[str, Tensor] = {}
    for name in layer.inputs:
        tensor = layer.tensor(name)
        shape = tuple(sizes[dim] for dim in tensor.dims)
        if tensor.kind == "int":
            arrays[name] = torch.randint(0, max(sizes[tensor.values], 1), shape, generator=generator)
        else:
            arrays[name] = strided(shape, generator, dtype)
            if positive or tensor.kind == "const":
                arrays[name] = arrays[name].abs() + 0.5
    for fact in layer.facts:
        assert isinstance(fact.left, Sum) and isinstance(fact.left.body, Ref) and isinstance(fact.right, Num), fact
        ref = fact.left.body
        over = tuple(ref.indices.index(i) for i in fact.left.indices)
        weights = arrays[ref.tensor].abs() + 0.1
        arrays[ref.tensor] = weights / weights.sum(over, keepdim=True) * float(fact.right.value)
    return [arrays[name] for name in layer.inputs]


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
