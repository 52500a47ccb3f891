"""The generated kernels, forward and backward, next to torch's operators on the same arrays: time, goals, and peak memory."""

from __future__ import annotations

import importlib
import json
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.goals import LARGE, OVERHEAD, REASONS, SMALL, Goal
from benchmarks.timing import interleave, median_ratio

Shapes = dict[str, tuple[int, ...]]
ABSENT = ("jax", "autograd", "pytensor")
"""Contestants that are named when they are not installed."""


@dataclass(frozen=True)
class Row:
    """A layer at one size: its arguments in order, the axis that labels number, and torch's own way to compute it."""

    layer: str
    size: str
    shapes: Shapes
    differentiable: tuple[str, ...]
    eager: Callable[..., Any]
    labels: int = 0

    @property
    def goal(self) -> Goal:
        return SMALL if self.size == "small" else LARGE[self.layer]


SIZES = ("small", "mid", "large")


def rows(size: str) -> tuple[Row, ...]:
    """The rows of one size. Raises ImportError without torch."""
    from torch.nn import functional as F

    n, c = {"small": (32, 64), "mid": (512, 1024), "large": (4096, 4096)}[size]
    b, k, m = {"small": (32, 64, 64), "mid": (512, 1024, 1024), "large": (512, 1024, 1024)}[size]
    hidden = {"small": 128, "mid": 1024, "large": 4096}[size]
    tokens, vocabulary = {"small": (32, 128), "mid": (512, 8192), "large": (4096, 50257)}[size]
    heads = {"small": (1, 1, 32, 16), "mid": (1, 8, 512, 64), "large": (2, 8, 2048, 64)}[size]
    matrix: Shapes = {"X": (n, c)}
    attention: Shapes = {"Q": heads, "K": heads, "V": heads}

    def gelu(x: Any, w: Any, b1: Any, v: Any, b2: Any) -> Any:
        return F.gelu(x @ w + b1) @ v + b2

    return (
        Row("linear", size, {"X": (b, k), "W": (k, m), "b": (m,)}, ("X", "W", "b"), lambda x, w, b: x @ w + b),
        Row(
            "mlp_gelu",
            size,
            {"X": (b, k), "W_1": (k, hidden), "b_1": (hidden,), "W_2": (hidden, k), "b_2": (k,)},
            ("X", "W_1", "b_1", "W_2", "b_2"),
            gelu,
        ),
        Row("softmax", size, {"S": (n, c)}, ("S",), lambda s: F.softmax(s, -1)),
        Row("mse", size, {"Y": (n, c), "T": (n, c)}, ("Y",), F.mse_loss),
        Row("cross_entropy_labels", size, {"Z": (tokens, vocabulary), "y": (tokens,)}, ("Z",), F.cross_entropy, vocabulary),
        Row(
            "layer_norm",
            size,
            {**matrix, "g": (c,), "b": (c,), "eps": ()},
            ("X", "g", "b"),
            lambda x, g, b, e: F.layer_norm(x, (c,), g, b, 1e-5),
        ),
        Row("rms_norm", size, {**matrix, "g": (c,), "eps": ()}, ("X", "g"), lambda x, g, e: F.rms_norm(x, (c,), g, 1e-5)),
        Row("attention", size, attention, ("Q", "K", "V"), F.scaled_dot_product_attention),
        Row(
            "attention_causal",
            size,
            attention,
            ("Q", "K", "V"),
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        ),
        Row(
            "linear_cross_entropy",
            size,
            {"X": (tokens, 768 if size == "large" else 64), "W": (768 if size == "large" else 64, vocabulary), "y": (tokens,)},
            ("X", "W"),
            lambda x, w, y: F.cross_entropy(x @ w, y),
            vocabulary,
        ),
    )


def contestants(row: Row, names: Iterable[str] = ("numpy", "torch", "eager")) -> dict[str, Callable[[], object]]:
    """Name -> one forward and backward pass."""
    import torch

    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in row.shapes.items():
        labels = row.labels and name == "y"
        tensors[name] = torch.randint(0, row.labels, shape) if labels else torch.randn(shape, generator=generator)
    if "eps" in tensors:
        tensors["eps"] = torch.tensor(1e-5)
    arrays = [tensor.numpy() for tensor in tensors.values()]
    leaves = [tensor.clone().requires_grad_() if name in row.differentiable else tensor for name, tensor in tensors.items()]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    with torch.no_grad():
        tiny = row.eager(*leaves) if row.size == "small" or not row.layer.startswith("attention") else None
    upstream = torch.ones_like(tiny) if tiny is not None else torch.ones(row.shapes["Q"])
    module = importlib.import_module(f"generated.numpy.{row.layer}")
    function = getattr(importlib.import_module(f"generated.torch.{row.layer}"), row.layer)
    compiled = torch.compile(row.eager)

    def numpy() -> object:
        _, saved = module.forward(*arrays)
        return module.backward(upstream.numpy(), saved)

    every: dict[str, Callable[[], object]] = {
        "numpy": numpy,
        "torch": lambda: torch.autograd.grad(function(*leaves), wanted, upstream),
        "eager": lambda: torch.autograd.grad(row.eager(*leaves), wanted, upstream),
        "compile": lambda: torch.autograd.grad(compiled(*leaves), wanted, upstream),
    }
    return {name: every[name] for name in names}


def measured(row: Row, names: tuple[str, ...], rounds: int) -> dict[str, Any]:
    """Medians in milliseconds, and each contestant's ratio to eager."""
    times = interleave(contestants(row, names), rounds, row.layer)
    found: dict[str, Any] = {"layer": row.layer, "size": row.size}
    for name, seconds in times.items():
        found[f"{name} ms"] = round(1000 * statistics.median(seconds), 4)
        found[f"{name} ratio"] = round(median_ratio(seconds, times["eager"]), 3)
    return found


def table(
    console: Console, layer: str | None, sizes: tuple[str, ...], targets: tuple[str, ...], compare: tuple[str, ...], as_json: bool
) -> None:
    """Print a line a layer and size, next to its goal; then those that fall short, with the reason."""
    for name in ABSENT:
        try:
            importlib.import_module(name)
        except ImportError:
            console.print(f"{name} is not installed: skipped", style="dim")
    found = []
    short = []
    for size in sizes:
        for row in rows(size):
            if layer is not None and row.layer != layer:
                continue
            line = measured(row, (*targets, *compare), {"small": 100, "mid": 7, "large": 3}[size])
            found.append(line)
            for target in targets:
                goal = getattr(row.goal, target)
                if goal is not None and line[f"{target} ratio"] < goal:
                    reason = OVERHEAD if size == "small" else REASONS.get(row.layer, "no profile yet")
                    short.append(f"{row.layer} {size}, {target}: {line[f'{target} ratio']:.2f}, goal {goal}: {reason}")
    if as_json:
        console.print_json(json.dumps(found))
        return
    printed = Table(title="Forward and backward, float32: times as fast as eager (goal), medians of interleaved rounds")
    for name in ("layer", "size", "eager ms", *targets, *(c for c in compare if c != "eager")):
        printed.add_column(name, justify="left" if name in ("layer", "size") else "right")
    for line in found:
        goal = SMALL if line["size"] == "small" else LARGE[line["layer"]]
        ratios = [f"{line[f'{t} ratio']:.2f} ({getattr(goal, t)})" for t in targets]
        others = [f"{line[f'{c} ratio']:.2f}" for c in compare if c != "eager"]
        printed.add_row(line["layer"], line["size"], f"{line['eager ms']:.3g}", *ratios, *others)
    console.print(printed)
    for line_short in short:
        console.print(f"short: {line_short}", style="dim")


# ---------------------------------------------------------------------------------------------------- memory


MEMORY = ("attention", "attention_causal", "linear_cross_entropy", "cross_entropy_labels")


def memory_row(layer: str) -> Row:
    """What memory is measured on: attention over 8192 places, the others at their large size."""
    row = next(row for row in rows("large") if row.layer == layer)
    if "Q" in row.shapes:
        return Row(row.layer, "T 8192", dict.fromkeys(row.shapes, (1, 8, 8192, 64)), row.differentiable, row.eager)
    return row


def peak(layer: str, contestant: str) -> float:
    """Megabytes that one forward and backward pass adds to a fresh process at its peak. Linux counts them."""
    code = "import sys; from benchmarks.kernels import added; print(added(*sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, layer, contestant], check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def added(layer: str, contestant: str) -> float:
    """The same, in this process: its highest memory during the call, above what it has before."""

    def status(field: str) -> int:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(field))

    run = contestants(memory_row(layer), (contestant,))[contestant]
    # The highest memory so far was that of the imports; 5 starts it anew.
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")
    before = status("VmRSS")
    run()
    return (status("VmHWM") - before) / 1024


def memory(console: Console, layer: str | None, targets: tuple[str, ...]) -> None:
    """Print the peak memory of each target next to eager's, and its goal."""
    printed = Table(title="Peak memory of a forward and a backward pass, MB (times eager's; goal)")
    for name in ("layer", "size", "eager", *targets):
        printed.add_column(name, justify="left" if name in ("layer", "size") else "right")
    for name in MEMORY:
        if layer is not None and layer != name:
            continue
        theirs = peak(name, "eager")
        ours = [peak(name, target) for target in targets]
        printed.add_row(
            name, memory_row(name).size, f"{theirs:.0f}", *(f"{mine:.0f} ({mine / theirs:.2f}; {LARGE[name].memory})" for mine in ours)
        )
    console.print(printed)
