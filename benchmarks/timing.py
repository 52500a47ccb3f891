"""Interleaved timing: every contestant once a round, so that a slow moment of the machine hits them all."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping

from rich.console import Console
from rich.progress import track

SAMPLE = 1e-3
"""Seconds that a sample of a quick call takes: it is called as often as that needs."""


def interleave(
    contestants: Mapping[str, Callable[[], object]], rounds: int, label: str = "", repeat: bool = False
) -> dict[str, list[float]]:
    """Seconds per call for each contestant, `rounds` each, after one call to warm up. With `repeat`, quick calls are made many times
    a sample. The label, if any, is that of a bar of progress on stderr."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    numbers = {}
    for name, run in contestants.items():
        run()
        numbers[name] = 1
        if repeat:
            took = min(_sample(run, 1) for _ in range(2))
            numbers[name] = max(1, min(1000, math.ceil(SAMPLE / max(took, 1e-9))))
    gc.collect()
    console = Console(stderr=True)
    shown = bool(label) and console.is_terminal
    for _ in track(range(rounds), description=label, console=console, disable=not shown, transient=True):
        for name, run in contestants.items():
            times[name].append(_sample(run, numbers[name]))
    return times


def _sample(run: Callable[[], object], number: int) -> float:
    """Seconds of a call, the mean of so many."""
    start = time.perf_counter()
    for _ in range(number):
        run()
    return (time.perf_counter() - start) / number


def median_ratio(ours: list[float], theirs: list[float]) -> float:
    """The median over rounds of theirs / ours: above 1, ours is faster."""
    return statistics.median(b / a for a, b in zip(ours, theirs))
