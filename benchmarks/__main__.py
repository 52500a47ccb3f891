"""`python -m benchmarks`: the generated kernels next to what a user would pick instead, the goals, and why a row falls short of one."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from benchmarks import contestants, rows
from derive.errors import SpecError

if TYPE_CHECKING:
    from benchmarks.report import Report


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
    """Print the tables. Exit code 0; 1 where a part went wrong, 2 for a layer, a contestant or a folder that there is not, 130 where it
    was interrupted, and then what was measured so far is printed."""
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
    from benchmarks import session
    from benchmarks.report import show

    command = shlex.join(["python", "-m", "benchmarks", *given])
    try:
        for path in (options.markdown, options.plot):
            if path is not None and not path.parent.is_dir():
                raise SpecError(f"{path} cannot be written: there is no folder {path.parent}")
        report, interrupted = session.run(options, asked, names, lambda found: keep(found, options, command))
        keep(report, options, command)
    except SpecError as error:
        print(f"benchmarks: error: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(report.json())
    else:
        show(report, console)
    if interrupted:
        print(f"benchmarks: interrupted; still to come: {', '.join(report.to_come)}", file=sys.stderr)
        return 130
    return 1 if report.failed else 0


def keep(report: Report, options: argparse.Namespace, command: str) -> None:
    """Write the page and the drawing of what has been measured so far, each whole or not at all."""
    from benchmarks.plot import bars
    from benchmarks.report import markdown
    from derive.cli import output

    if options.markdown:
        output.write(options.markdown, markdown(report, command))
    if options.plot and report.results:
        output.write(options.plot, bars(report.results))


if __name__ == "__main__":
    sys.exit(main())
