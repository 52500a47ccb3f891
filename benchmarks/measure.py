"""Times the contestants of a row against each other: those that compute it right, in turn, in this process."""

from __future__ import annotations

import gc
import importlib
import statistics
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.contestants import EVERY, Run, Skipped
from benchmarks.rows import Row, values
from benchmarks.timing import interleave, median_ratio

SLOW = ("compile", "PyTensor")
"""Contestants that take long to build, which a quick run gives up when its time runs out."""
ROUNDS = {"small": 15, "mid": 9, "large": 5}
LONG = 3.0
"""Seconds of a call from which three rounds have to do."""
COMPARED = 1 << 22
"""Entries up to which what a contestant computes is compared with eager's; the formulas are the same at every size."""
TOLERANCE = 2e-4


@dataclass(frozen=True)
class Result:
    """A row's times: contestant -> seconds a call in each round; and who was left out, with the reason."""

    row: Row
    seconds: dict[str, list[float]]
    skipped: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return statistics.median(self.seconds[name])

    def ratio(self, ours: str, theirs: str) -> float:
        """Times as fast: the median over rounds of theirs / ours."""
        return median_ratio(self.seconds[ours], self.seconds[theirs])

    def fastest(self, names: Iterable[str]) -> str | None:
        """The contestant of these that has the smallest median."""
        return min((name for name in names if name in self.seconds), key=self.median, default=None)

    def json(self) -> dict[str, Any]:
        medians = {name: self.median(name) for name in self.seconds}
        return {
            "row": self.row.key,
            "name": self.row.name,
            "layer": self.row.layer,
            "size": self.row.size,
            "shapes": {name: list(shape) for name, shape in self.row.shapes.items()},
            "medians": medians,
            "seconds": self.seconds,
            "skipped": self.skipped,
        }


def everyone(
    rows: Iterable[Row], names: Iterable[str], quick: bool = False, deadline: float | None = None, progress: Progress | None = None
) -> list[Result]:
    """The rows' results, in order. After the deadline (of time.monotonic) contestants that are slow to build are left out."""
    rows, names = list(rows), list(names)
    task = progress.add_task("", total=len(rows)) if progress else None
    found = []
    for row in rows:
        if progress and task is not None:
            progress.update(task, description=row.key)
        found.append(one(row, names, quick, deadline))
        if progress and task is not None:
            progress.advance(task)
    return found


def one(row: Row, names: Iterable[str], quick: bool = False, deadline: float | None = None) -> Result:
    """A row's times, its contestants in turn."""
    warnings.simplefilter("ignore")
    given = values(row)
    runs: dict[str, Run] = {}
    skipped: dict[str, str] = {}
    expected = None
    slowest = 0.0
    for name in sorted(names, key=lambda each: (each != "eager", list(EVERY).index(each))):
        try:
            _allow(row, name, deadline)
            run = EVERY[name](row, given)
            if row.size == "small" or row.entries <= COMPARED:
                found = flat(run())
                expected = found if expected is None else expected
                _equal(found, expected)
            start = time.perf_counter()
            run()
            slowest = max(slowest, time.perf_counter() - start)
            runs[name] = run
        except Skipped as reason:
            skipped[name] = str(reason)
        except Exception as error:
            # Whatever a library raises is the reason why it is not in the table.
            skipped[name] = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        if row.size == "large":
            gc.collect()  # a collection costs more than a small row
    rounds = 3 if slowest > LONG else max(3, ROUNDS[row.size] // (2 if quick else 1))
    order = {name: runs[name] for name in EVERY if name in runs}
    return Result(row, interleave(order, rounds, repeat=row.size != "large"), skipped)


def _allow(row: Row, name: str, deadline: float | None) -> None:
    """Skipped for a contestant that would take too long to build, or too much memory."""
    if name in SLOW and deadline is not None and time.monotonic() > deadline:
        raise Skipped("left out of a quick run to keep its time")
    if row.attends and name in ("plain", "JAX", "autograd", "PyTensor"):
        heads, length = row.shapes["Q"][0] * row.shapes["Q"][1], row.shapes["Q"][2]
        needs, free = 6 * 4 * heads * length**2, _available()
        if needs > free / 2:
            raise Skipped(f"stores six arrays of {length} x {length} for every head, {needs / 1e9:.0f} GB of the {free / 1e9:.0f} GB free")


def _available() -> float:
    """Bytes of memory that are free; without bound where the system does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        return next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return float("inf")


def flat(result: Any) -> list[Any]:
    """Output and gradients as NumPy arrays."""
    value, gradients = result
    gradients = gradients if isinstance(gradients, (tuple, list)) else (gradients,)
    return [np.asarray(each.detach() if hasattr(each, "detach") else each) for each in (value, *gradients) if each is not None]


def _equal(found: list[Any], expected: list[Any]) -> None:
    """Skipped unless the arrays are the same up to rounding of float32."""
    if len(found) != len(expected):
        raise Skipped(f"returns {len(found)} arrays, eager {len(expected)}")
    for a, b in zip(found, expected):
        worst = float(np.abs(a - b).max() / (np.abs(b).max() + 1e-30)) if a.size else 0.0
        if not worst < TOLERANCE:
            raise Skipped(f"differs from eager by {worst:.0e}: not timed")


def missing() -> dict[str, str]:
    """Contestants whose library is not installed -> what to install."""
    needs = {"eager": "torch", "JAX": "jax", "autograd": "autograd", "PyTensor": "pytensor", "by hand NumPy": "threadpoolctl"}
    found = {}
    for name, package in needs.items():
        try:
            importlib.import_module(package)
        except ImportError:
            found[name] = f'{package} is not installed: pip install -e ".[bench]"'
    return found
