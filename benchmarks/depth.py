"""How the time to derive every gradient grows with depth: transformers of 1 to 24 blocks, each block with weights of its own."""

from __future__ import annotations

import math
import statistics
from time import perf_counter

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


def seconds(blocks: int, rounds: int) -> float:
    """The median time to derive all gradients of `blocks` blocks, every lemma with its steps and its matrix form."""
    layer = transformer(blocks)
    found = []
    for _ in range(rounds):
        start = perf_counter()
        derive(layer)
        found.append(perf_counter() - start)
    return statistics.median(found)


def slope(times: dict[int, float]) -> float:
    """The least-squares slope of log time over log blocks: 1 is linear."""
    x = [math.log(blocks) for blocks in times]
    y = [math.log(time) for time in times.values()]
    middle_x, middle_y = statistics.mean(x), statistics.mean(y)
    return sum((a - middle_x) * (b - middle_y) for a, b in zip(x, y)) / sum((a - middle_x) ** 2 for a in x)


def table(console: Console, rounds: int = 3, largest: int = 24) -> None:
    """Print seconds for each depth, and the slope."""
    seconds(1, 1)
    times = {blocks: seconds(blocks, rounds) for blocks in BLOCKS if blocks <= largest}
    rows = Table(title=f"All gradients of a transformer, median of {rounds}")
    for name in ("blocks", "equations", "seconds", "seconds a block"):
        rows.add_column(name, justify="right")
    for blocks, time in times.items():
        rows.add_row(str(blocks), str(blocks * len(TRANSFORMER_BLOCK.equations)), f"{time:.3f}", f"{time / blocks:.3f}")
    console.print(rows)
    console.print(f"log-log slope {slope(times):.2f} (1 is linear)")
