"""`python -m benchmarks`: the generated kernels next to what a user would pick instead, the goals, and why a row falls short of one."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from benchmarks import contestants, goals, rows

if TYPE_CHECKING:
    from benchmarks.report import Report

QUICK = 35.0
"""Seconds after which a quick run builds no more of the contestants that take long to build."""


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    found.add_argument("layer", nargs="?", help="the rows of one layer, and no deriving")
    found.add_argument("--size", choices=rows.SIZES, help="one size alone")
    found.add_argument("--target", choices=("numpy", "torch"), help="our kernels of one target alone")
    found.add_argument("--only", metavar="NAMES", help=f"some contestants alone, with commas between: {', '.join(contestants.EVERY)}")
    found.add_argument("--json", action="store_true", help="everything as JSON")
    found.add_argument("--quick", action="store_true", help="small sizes and a few of the middle one, in under two minutes")
    found.add_argument("--markdown", metavar="FILE", type=Path, help="write the tables to a file as well")
    found.add_argument("--plot", metavar="FILE", type=Path, help="draw the ratios to eager, or the growth, as SVG")
    found.add_argument("--growth", action="store_true", help="time and memory against length, vocabulary and depth, and nothing else")
    found.add_argument("--memory", action="store_true", help="the peak memory of the large rows, and nothing else")
    found.add_argument("--passes", action="store_true", help="what each pass of codegen brings, and nothing else")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; exit code 0, or 2 for a layer or a contestant that there is not."""
    given = sys.argv[1:] if arguments is None else arguments
    options = parser().parse_args(given)
    console = Console(width=None if sys.stdout.isatty() else 200)
    if options.passes:
        from benchmarks import passes

        targets = (options.target,) if options.target else ("numpy", "torch")
        command = shlex.join(["python", "-m", "benchmarks", *given])
        passes.table(console, options.layer, targets, 3 if options.quick else 9, options.markdown, command)
        return 0
    names = contestants.of_target(options.target)
    try:
        asked = rows.chosen(options.layer, options.size, options.quick)
        if options.only:
            names = contestants.chosen(options.only, names)
    except ValueError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    if options.growth:
        from benchmarks import growth

        found = growth.measured(options.quick)
        growth.show(found, console)
        if options.plot:
            options.plot.write_text(growth.drawn(found), encoding="utf-8")
        return 0
    report = run(options, asked, names)
    if options.json:
        print(report.json())
    else:
        from benchmarks.report import show

        show(report, console)
    if options.markdown:
        from benchmarks.report import markdown

        options.markdown.write_text(markdown(report, shlex.join(["python", "-m", "benchmarks", *given])), encoding="utf-8")
    if options.plot:
        from benchmarks.plot import bars

        options.plot.write_text(bars(report.results), encoding="utf-8")
    return 0


def run(options: argparse.Namespace, asked: tuple[rows.Row, ...], names: tuple[str, ...]) -> Report:
    """Measure all that is asked for."""
    from benchmarks import deriving, machine, measure, memory, other_blas, reasons, report, shares

    deadline = time.monotonic() + QUICK if options.quick else None
    machine.equal_threads()
    progress = Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
    ours = tuple(name for name in contestants.OURS[:2] if name in names)
    found = report.Report(machine.measured(1024 if options.quick else 2048), [], missing=measure.missing())
    with progress:
        if not options.memory:
            found.results.extend(measure.everyone(asked, names, options.quick, deadline, progress))
            if "ours NumPy" in names and "eager" in names:
                task = progress.add_task("OpenBLAS's kernels chosen the other way", total=None)
                found.other.update(other_blas.measured(asked, options.quick))
                progress.remove_task(task)
        large = options.size in (None, "large") and not options.quick
        if options.memory or large:
            found.memory.update(memory.peaks(options.layer, names, progress))
            kept = memory.memory_rows(options.layer)
            found.verdicts.extend(goals.judged_memory(kept, found.memory, ours))
            found.verdicts.extend(goals.judged_growth(kept, found.memory, ours))
        for result in found.results:
            found.verdicts.extend(goals.judged(result, found.machine.pinned))
        found.verdicts.extend(goals.judged_other(found.other, {row.key: row for row in asked}))
        if options.layer is None and options.size is None and not options.memory and not options.only:
            progress.add_task("deriving", total=None)
            derived = deriving.measured(3 if options.quick else 20, 4 if options.quick else 24)
            found = report.with_deriving(found, derived)
            found.verdicts.extend(goals.judged_deriving(derived.goals))
        progress.add_task("profiles of the rows that fall short", total=None)
        bare = shares.bare_function() if any("ours torch" in result.seconds for result in found.results) else None
        found.reasons.extend(reasons.reasons(found.results, found.verdicts, found.machine, bare))
    return found


if __name__ == "__main__":
    sys.exit(main())
