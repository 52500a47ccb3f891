"""A run of the benchmark in parts: rows, other kernels of OpenBLAS, memory, deriving. After each of them there is a whole report."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import Progress

from benchmarks import contestants, deriving, goals, held, machine, measure, memory, other_blas, reasons, shares
from benchmarks.report import Report
from benchmarks.rows import Row

QUICK = 45.0
"""Seconds after which a quick run builds no more of the contestants that take long to build."""
Part = tuple[str, Callable[[], str]]
"""What it measures, and what does so and returns what it found in a few words."""


def run(options: argparse.Namespace, asked: tuple[Row, ...], names: tuple[str, ...], keep: Callable[[Report], None]) -> tuple[Report, bool]:
    """Measure all that is asked for, and hand over the report after each part; and whether it was interrupted before its end.

    A bar of progress on a terminal; else a line for each part on stderr. A part that goes wrong is left out, and the report says so.
    """
    machine.equal_threads()
    found = Report(machine.measured(1024 if options.quick else 2048), [], missing=measure.missing())
    every = list(parts(found, options, asked, names))
    found.to_come.extend(label for label, _ in every)
    screen = sys.stderr.isatty()
    with Progress(console=Console(stderr=True), transient=True, disable=not screen) as progress:
        task = progress.add_task("", total=len(every))
        try:
            for n, (label, measured) in enumerate(every, 1):
                progress.update(task, description=label)
                start = time.monotonic()
                try:
                    said = measured()
                except Exception as error:
                    # One part less is better than nothing after half an hour.
                    said = f"{type(error).__name__}: {error}".splitlines()[0][:160]
                    found.failed[label] = said
                found.to_come.remove(label)
                progress.advance(task)
                if not screen:
                    print(f"[{n}/{len(every)}] {label}: {time.monotonic() - start:.1f} s; {said}", file=sys.stderr, flush=True)
                if n < len(every):
                    keep(found)
        except KeyboardInterrupt:
            return found, True
    return found, False


def parts(found: Report, options: argparse.Namespace, asked: tuple[Row, ...], names: tuple[str, ...]) -> Iterator[Part]:
    """What there is to measure, in order; each part adds what it finds to the report."""
    quick = options.quick
    deadline = time.monotonic() + QUICK if quick else None
    if not options.memory:
        for row in asked:
            yield row.key, lambda row=row: timed(found, row, names, quick, deadline)  # type: ignore[misc]
        if "ours NumPy" in names and "eager" in names:
            # The goals that name another setting are about large rows.
            large = tuple(row for row in asked if row.size == "large") or asked
            huge = tuple(row for row in large if row.size == "large" and row.layer in goals.HUGE_PAGES)
            for setting, kept in ((other_blas.kernels(found.machine.pinned), large), (other_blas.huge_pages(), huge)):
                if kept:
                    found.other.append(setting)
                stream = other_blas.measured(kept, setting, quick)
                for row in kept:
                    yield f"{row.key}, {setting.said}", lambda setting=setting, stream=stream: elsewhere(found, setting, stream)  # type: ignore[misc]
    if options.memory or (options.size in (None, "large") and not quick):
        ours = tuple(name for name in contestants.OURS[:2] if name in names)
        weighty = memory.memory_rows(options.layer)
        for row in weighty:
            yield f"memory of {row.key}", lambda row=row: weighed(found, row, names, ours)  # type: ignore[misc]
        if any(row.attends for row in weighty):
            yield "memory against length", lambda: grown(found, weighty, ours)
    if options.layer is None and options.size is None and not options.memory and not options.only:
        yield "deriving", lambda: derived(found, quick)


def timed(found: Report, row: Row, names: tuple[str, ...], quick: bool, deadline: float | None) -> str:
    result = measure.one(row, names, quick, deadline)
    found.results.append(result)
    verdicts = goals.judged(result, found.machine.pinned)
    found.verdicts.extend(verdicts)
    bare = shares.bare_function() if row.size == "small" and "ours torch" in result.seconds else None
    found.reasons.extend(reasons.reasons(result, verdicts, found.machine, bare))
    ratios = [f"{ours} {result.ratio(ours, 'eager'):.2f}" for ours in contestants.OURS if {ours, "eager"} <= set(result.seconds)]
    return f"{', '.join(ratios)} times as fast as eager" if ratios else "no ratio to eager"


def elsewhere(found: Report, setting: other_blas.Setting, stream: Iterator[other_blas.Line]) -> str:
    line = next(stream, None)
    if line is None:
        raise RuntimeError("the child process has ended")
    setting.lines.append(line)
    found.verdicts.extend(line.verdicts)
    found.reasons.extend(line.reasons)
    return f"ours NumPy {line.ratio:.2f} times as fast as eager" if line.ratio is not None else "no ratio to eager"


def weighed(found: Report, row: Row, names: tuple[str, ...], ours: tuple[str, ...]) -> str:
    peaks = found.memory[row.key] = memory.peaks(row, names)
    verdicts = goals.judged_memory((row,), found.memory, ours)
    found.verdicts.extend(verdicts)
    found.reasons.extend(held.reasons(row, verdicts, peaks))
    return ", ".join(f"{name} {peak if isinstance(peak, str) else f'{peak:.0f} MB'}" for name, peak in peaks.items())


def grown(found: Report, kept: tuple[Row, ...], ours: tuple[str, ...]) -> str:
    verdicts = goals.judged_growth(kept, found.memory, ours)
    found.verdicts.extend(verdicts)
    found.reasons.extend(held.reasons_of_growth(kept, verdicts))
    return ", ".join(f"{verdict.ours} slope {verdict.reached}" for verdict in verdicts)


def derived(found: Report, quick: bool) -> str:
    found.deriving = deriving.measured(3 if quick else 20, 4 if quick else 24)
    verdicts = goals.judged_deriving(found.deriving.goals)
    found.verdicts.extend(verdicts)
    found.reasons.extend(deriving.reasons(verdicts, found.deriving))
    return ", ".join(f"{verdict.what} {verdict.reached}" for verdict in verdicts)
