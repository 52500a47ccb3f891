"""How the time to derive every gradient grows with depth: transformers of 1 to 24 blocks, each block with weights of its own.

Run `python -m benchmarks.depth`; `python -m benchmarks` prints it as well.
"""

from __future__ import annotations

import gc
import math
import statistics
from collections.abc import Sequence
from time import process_time

from rich.console import Console
from rich.table import Table

from derive.composition import compose, wire
from derive.engine import derive
from derive.layers.block import TRANSFORMER_BLOCK
from derive.spec import Layer

BLOCKS = (1, 2, 4, 8, 16, 24)


def transformer(blocks: int) -> Layer:
    """That many pre-norm blocks, one after the other."""
    return compose("transformer", {str(n): wire(TRANSFORMER_BLOCK, X=f"X_{n}", Y=f"X_{n + 1}") for n in range(1, blocks + 1)})


def seconds(depths: Sequence[int], rounds: int) -> dict[int, float]:
    """The median processor time to derive all gradients of so many blocks, every lemma with its steps and its matrix form.

    Each round derives every depth once, so that what else the machine does meets them all.
    """
    layers = {blocks: transformer(blocks) for blocks in depths}
    found: dict[int, list[float]] = {blocks: [] for blocks in depths}
    for _ in range(rounds):
        for blocks, layer in layers.items():
            gc.collect()
            start = process_time()
            derive(layer)
            found[blocks].append(process_time() - start)
    return {blocks: statistics.median(times) for blocks, times in found.items()}


def slope(times: dict[int, float]) -> float:
    """The least-squares slope of log time over log blocks: 1 is linear."""
    x = [math.log(blocks) for blocks in times]
    y = [math.log(time) for time in times.values()]
    middle_x, middle_y = statistics.mean(x), statistics.mean(y)
    return sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y)) / sum((a - middle_x) ** 2 for a in x)


def table(console: Console, rounds: int = 3, largest: int = 24) -> None:
    """Print seconds for each depth, and the slope."""
    seconds([1], 1)
    times = seconds([blocks for blocks in BLOCKS if blocks <= largest], rounds)
    rows = Table(title=f"All gradients of a transformer, median of {rounds} rounds")
    for name in ("blocks", "equations", "seconds", "seconds a block"):
        rows.add_column(name, justify="right")
    for blocks, time in times.items():
        rows.add_row(str(blocks), str(blocks * len(TRANSFORMER_BLOCK.equations)), f"{time:.3f}", f"{time / blocks:.3f}")
    console.print(rows)
    console.print(f"log-log slope {slope(times):.2f} (1 is linear)")


if __name__ == "__main__":
    table(Console(width=100))
