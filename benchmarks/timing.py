"""Interleaved timing: every contestant once a round, so that a slow moment of the machine hits them all."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import track


def interleave(contestants: Mapping[str, Callable[[], object]], rounds: int, label: str) -> dict[str, list[float]]:
    """Seconds per call for each contestant, `rounds` each, after one call to warm up."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for run in contestants.values():
        run()
    console = Console(stderr=True)
    for _ in track(range(rounds), description=label, console=console, disable=not console.is_terminal, transient=True):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over rounds of theirs / ours: above 1, ours is faster."""
    return statistics.median(b / a for a, b in zip(ours, theirs))
