"""Interleaved timing: every contestant once a round, so that a slow moment of the machine hits them all."""

from __future__ import annotations

import gc
import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from rich.console import Console
from rich.progress import track

SAMPLE = 1e-3
"""Seconds that a sample of a quick call takes: it is called as often as that needs."""
LEAST = 3
"""Rounds that there are at the least."""
SLOWER = 4.0
"""How many times as long as the fastest a contestant may take that has its turn in every round."""
REST = 0.01
"""Seconds of a rest, of which there are as many before a turn as it takes until this process computes nothing."""
RESTS = 50
"""Rests at the most: what still computes then always does."""
IDLE = 0.2
"""Of a core, over a rest: who computes less is idle. After a product OpenBLAS's threads spin for up to 0.2 s, at the cost of whoever
comes next, be it the one core that is left or the other thread of a core."""
Times = Mapping[str, Sequence[float | None]]
"""Contestant -> seconds a call in each round; None where it sat the round out."""


def interleave(
    contestants: Mapping[str, Callable[[], object]], rounds: int, label: str = "", repeat: bool = False
) -> dict[str, list[float]]:
    """Seconds per call for each contestant, `rounds` each, after one call to warm up. With `repeat`, quick calls are made many times
    a sample. The label, if any, is that of a bar of progress on stderr."""
    times: dict[str, list[float]] = {name: [] for name in contestants}
    numbers = {}
    for name, run in contestants.items():
        run()
        numbers[name] = _repeats(run) if repeat else 1
    gc.collect()
    console = Console(stderr=True)
    shown = bool(label) and console.is_terminal
    for _ in track(range(rounds), description=label, console=console, disable=not shown, transient=True):
        for name, run in contestants.items():
            times[name].append(_sample(run, numbers[name]))
    return times


def take_turns(
    contestants: Mapping[str, Callable[[], object]], most: int, budget: float, repeat: bool = False
) -> dict[str, list[float | None]]:
    """Seconds per call for each contestant in each round; all of them have been called before.

    Everyone has a turn in the first round, which says how long the others will be. Where `most` rounds would take longer than the
    budget in seconds, there are as many as fit in, LEAST at the least, and who takes more than SLOWER times as long as the fastest sits
    every second one out, which is None: of three it is in the first and the last. A ratio is taken within the rounds that both had a
    turn in, so that it never is of two different moments. With `repeat`, quick calls are made many times a sample.
    """
    numbers = {name: _repeats(run) if repeat else 1 for name, run in contestants.items()}
    gc.collect()
    first = {name: _turn(run, numbers[name], repeat) for name, run in contestants.items()}
    times: dict[str, list[float | None]] = {name: [took] for name, took in first.items()}
    costs = {name: took * numbers[name] for name, took in first.items()}
    slow = set()
    if most * sum(costs.values()) > budget:
        slow = {name for name, took in first.items() if took > SLOWER * min(first.values())}
    rounds = max(LEAST, min(most, int(budget / max(sum(took / (2 if name in slow else 1) for name, took in costs.items()), 1e-9))))
    for n in range(1, rounds):
        for name, run in contestants.items():
            times[name].append(None if name in slow and n % 2 else _turn(run, numbers[name], repeat))
    return times


def _turn(run: Callable[[], object], number: int, warm: bool) -> float:
    """Seconds of a call, made when nothing of the calls before it runs any more."""
    _rest()
    if warm:
        run()
    return _sample(run, number)


def _rest() -> None:
    """Wait until no thread of this process computes."""
    for _ in range(RESTS):
        wall, processor = time.perf_counter(), time.process_time()
        time.sleep(REST)
        if time.process_time() - processor < IDLE * (time.perf_counter() - wall):
            return


def _repeats(run: Callable[[], object]) -> int:
    """How many calls make a sample."""
    took = min(_sample(run, 1) for _ in range(2))
    return max(1, min(1000, math.ceil(SAMPLE / max(took, 1e-9))))


def _sample(run: Callable[[], object], number: int) -> float:
    """Seconds of a call, the mean of so many."""
    start = time.perf_counter()
    for _ in range(number):
        run()
    return (time.perf_counter() - start) / number


def median(times: Sequence[float | None]) -> float:
    """The median of the rounds that it had a turn in."""
    return statistics.median(each for each in times if each is not None)


def median_ratio(ours: Sequence[float | None], theirs: Sequence[float | None]) -> float:
    """The median of theirs / ours over the rounds that both had a turn in: above 1, ours is faster."""
    return statistics.median(b / a for a, b in zip(ours, theirs) if a is not None and b is not None)
