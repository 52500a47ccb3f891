"""The generated kernels, forward and backward, next to torch's eager operators on the same arrays."""

from __future__ import annotations

import importlib
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.timing import interleave, median_ratio


@dataclass(frozen=True)
class Row:
    """A layer at one size: its arguments, which of them are differentiated, and torch's own way to compute it."""

    layer: str
    size: str
    shapes: dict[str, tuple[int, ...]]
    differentiable: tuple[str, ...]
    eager: Callable[..., Any]
    large: bool = True


def rows() -> tuple[Row, ...]:
    """The layers of the catalogue's first section, small and large."""
    import torch
    from torch.nn import functional as F

    def linear(x: Any, w: Any, b: Any) -> Any:
        return torch.addmm(b, x, w)

    found = []
    for large, n in ((False, 32), (True, 1024)):
        wide = 2 * n
        found += [
            Row("linear", f"{n} x {wide} x {wide}", {"X": (n, wide), "W": (wide, wide), "b": (wide,)}, ("X", "W", "b"), linear, large),
            Row("softmax", f"{n} x {wide}", {"S": (n, wide)}, ("S",), lambda s: torch.softmax(s, -1), large),
            Row("mse", f"{n} x {wide}", {"Y": (n, wide), "T": (n, wide)}, ("Y",), F.mse_loss, large),
            Row("cross_entropy", f"{n} x {wide}", {"Z": (n, wide), "T": (n, wide)}, ("Z",), F.cross_entropy, large),
        ]
    for large, (b, h, t, d) in ((False, (1, 2, 32, 16)), (True, (1, 4, 512, 64))):
        shape = (b, h, t, d)
        shapes = {"Q": shape, "K": shape, "V": shape}
        found.append(Row("attention", f"B{b} H{h} T{t} d{d}", shapes, ("Q", "K", "V"), F.scaled_dot_product_attention, large))
    return tuple(found)


def table(console: Console, quick: bool = False) -> None:
    """Print one row a layer and size: milliseconds, and how many times as long torch's eager operators take (float32)."""
    try:
        import torch
    except ImportError:
        console.print("torch is not installed: the kernels are not compared", style="dim")
        return
    torch.manual_seed(0)
    printed = Table(title=f"Forward and backward, float32, {torch.get_num_threads()} threads, medians (interleaved)")
    for name in ("layer", "size", "ours NumPy ms", "ours torch ms", "eager ms", "eager / NumPy", "eager / torch"):
        printed.add_column(name, justify="left" if name in ("layer", "size") else "right")
    for row in rows():
        if row.large and quick:
            continue
        times = interleave(_contestants(row), 5 if row.large else 100, row.layer)
        ours, generated, eager = times["numpy"], times["torch"], times["eager"]
        medians = [f"{1000 * statistics.median(t):.3g}" for t in (ours, generated, eager)]
        printed.add_row(row.layer, row.size, *medians, f"{median_ratio(ours, eager):.2f}", f"{median_ratio(generated, eager):.2f}")
    console.print(printed)


def _contestants(row: Row) -> dict[str, Callable[[], object]]:
    import torch

    tensors = {name: torch.randn(shape) for name, shape in row.shapes.items()}
    if "T" in tensors:
        tensors["T"] = torch.softmax(tensors["T"], -1)
    arrays = [tensor.numpy() for tensor in tensors.values()]
    leaves = [tensor.clone().requires_grad_(name in row.differentiable) for name, tensor in tensors.items()]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    upstream = torch.ones_like(row.eager(*leaves))
    module = importlib.import_module(f"generated.numpy.{row.layer}")
    function = getattr(importlib.import_module(f"generated.torch.{row.layer}"), row.layer)

    def numpy() -> object:
        _, saved = module.forward(*arrays)
        return module.backward(upstream.numpy(), saved)

    return {
        "numpy": numpy,
        "torch": lambda: torch.autograd.grad(function(*leaves), wanted, upstream),
        "eager": lambda: torch.autograd.grad(row.eager(*leaves), wanted, upstream),
    }
