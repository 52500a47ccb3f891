"""Times the contestants of a row against each other: those that compute it right, in turn, in this process."""

from __future__ import annotations

import gc
import importlib
import time
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contestants import EVERY, Run, Skipped
from benchmarks.rows import Row, values
from benchmarks.timing import Times, median, median_ratio, take_turns

SLOW = ("compile", "PyTensor")
"""Contestants that take long to build, which a quick run gives up when its time runs out."""
ROUNDS = {"small": 15, "mid": 9, "large": 5}
"""Rounds at the most."""
BUDGET = 25.0
"""Seconds that the rounds of a row may take; there are three of them in any case."""
LONG = 0.5
"""Seconds of a first call from which there is no second one to warm up."""
TOLERANCE = 2e-4
COMPARED = 1 << 22
"""Entries of two arrays that are compared at a time."""


@dataclass(frozen=True)
class Result:
    """A row's times, and who was left out, with the reason."""

    row: Row
    seconds: Times
    skipped: dict[str, str] = field(default_factory=dict)

    def median(self, name: str) -> float:
        return median(self.seconds[name])

    def ratio(self, ours: str, theirs: str) -> float:
        """Times as fast: the median of theirs / ours over the rounds that both had a turn in."""
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


def everyone(rows: Iterable[Row], names: Iterable[str], quick: bool = False, deadline: float | None = None) -> Iterator[Result]:
    """The rows' results, each as soon as it is there. After the deadline (of time.monotonic) those slow to build are left out."""
    names = list(names)
    for row in rows:
        yield one(row, names, quick, deadline)


def one(row: Row, names: Iterable[str], quick: bool = False, deadline: float | None = None) -> Result:
    """A row's times, its contestants in turn. The first call of each is to warm up and to compare what it computes."""
    warnings.simplefilter("ignore")
    given = values(row)
    runs: dict[str, Run] = {}
    skipped: dict[str, str] = {}
    first, expected = "", None
    for name in sorted(names, key=lambda each: (each != "eager", list(EVERY).index(each))):
        try:
            _allow(row, name, deadline)
            run = EVERY[name](row, given)
            start = time.perf_counter()
            found = run()
            took = time.perf_counter() - start
            if expected is None:
                first, expected = name, flat(found)
            else:
                _equal(flat(found), expected, first)
            del found
            if took < LONG:
                run()
            runs[name] = run
        except Skipped as reason:
            skipped[name] = str(reason)
        except Exception as error:
            # Whatever a library raises is the reason why it is not in the table.
            skipped[name] = " ".join(f"{type(error).__name__}: {error}".split())[:160]
        if row.size == "large":
            gc.collect()  # a collection costs more than a small row
    del expected
    rounds = ROUNDS[row.size] // (2 if quick else 1)
    order = {name: runs[name] for name in EVERY if name in runs}
    return Result(row, take_turns(order, rounds, BUDGET, repeat=row.size != "large") if order else {}, skipped)


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


def _equal(found: list[Any], expected: list[Any], by: str = "eager") -> None:
    """Skipped unless the arrays have the same shapes and are the same up to rounding of float32."""
    if len(found) != len(expected):
        raise Skipped(f"returns {len(found)} arrays, {by} {len(expected)}")
    for a, b in zip(found, expected):
        if a.shape != b.shape:
            raise Skipped(f"returns an array of shape {a.shape}, {by} {b.shape}: not timed")
        # A stretch at a time: three more arrays as large as the logits of a vocabulary are too many.
        one, other = a.reshape(-1), b.reshape(-1)
        parts = [slice(start, start + COMPARED) for start in range(0, a.size, COMPARED)]
        largest = float(np.max([np.abs(other[part]).max() for part in parts], initial=0.0))
        worst = float(np.max([np.abs(one[part] - other[part]).max() for part in parts], initial=0.0)) / (largest + 1e-30)
        if not worst < TOLERANCE:
            raise Skipped(f"differs from {by} by {worst:.0e}: not timed")


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
