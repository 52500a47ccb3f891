"""What the machine can do: products of matrices and memory, as NumPy and torch reach them."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from rich.console import Console


def best(run: Callable[[], object], rounds: int = 5) -> float:
    """Seconds of the fastest of some runs, after one to warm up."""
    run()
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        found.append(time.perf_counter() - start)
    return min(found)


def table(console: Console, n: int = 1024) -> None:
    """Print GFLOP/s of a float32 product of n x n matrices, and GB/s of a copy of 256 MB."""
    a, b = np.ones((n, n), np.float32), np.ones((n, n), np.float32)
    c = np.empty_like(a)
    parts = [f"NumPy {2e-9 * n**3 / best(lambda: np.matmul(a, b, out=c)):.0f}"]
    try:
        import torch

        x, y = torch.from_numpy(a), torch.from_numpy(b)
        parts.append(f"torch {2e-9 * n**3 / best(lambda: x @ y):.0f} GFLOP/s with {torch.get_num_threads()} threads")
    except ImportError:
        parts.append("torch is not installed")
    big = np.ones(32 << 20, np.float32)
    out = np.empty_like(big)
    rate = 2e-9 * big.nbytes / best(lambda: np.copyto(out, big))
    console.print(f"float32 {n} x {n} x {n}: {', '.join(parts)}; a copy {rate:.0f} GB/s")
