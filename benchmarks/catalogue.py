"""`python -m benchmarks.catalogue`: every row of the catalogue by name, and whether each of its layers does all that is promised.

Nothing is remembered from the tests: every cell of the table is run here, on kernels generated anew from the proofs.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

TESTS = str(Path(__file__).resolve().parent.parent / "tests")
CELLS = ("derived", "lines", "NumPy", "torch", "gradcheck", "gradgradcheck", "finite")
MEANING = "lines: of its proofs, checked; NumPy, torch: the kernel equals autograd in float64 to 1e-10; finite: at inputs of +-1e4"


@dataclass(frozen=True)
class Cell:
    """Whether it holds, and what is printed: a short text where it does, what went wrong where it does not."""

    good: bool
    text: str


@dataclass(frozen=True)
class Verdict:
    """A layer with its cells, in the order of CELLS; those after one that nothing can do without are left out."""

    layer: str
    cells: tuple[Cell, ...]
    seconds: float

    @property
    def good(self) -> bool:
        return len(self.cells) == len(CELLS) and all(cell.good for cell in self.cells)


def verdict(name: str) -> Verdict:
    """Run every check on the layer of that name."""
    start = time.perf_counter()
    cells = []
    for cell in _cells(name):
        cells.append(cell)
    return Verdict(name, tuple(cells), time.perf_counter() - start)


def _cells(name: str) -> Iterator[Cell]:
    """The cells of one layer, as they are found."""
    if TESTS not in sys.path:
        sys.path.insert(0, TESTS)
    warnings.simplefilter("ignore")
    import kernel_checks as checks
    import torch

    import codegen
    from derive.engine import derive
    from derive.layers import layer as of_name

    torch.set_num_threads(1)
    try:
        layer = of_name(name)
        derivation = derive(layer)
        numpy, function = codegen.kernel(derivation, "numpy"), codegen.kernel(derivation, "torch")
    except KeyError:
        yield Cell(False, "there is no such layer")
        return
    except Exception as error:
        yield Cell(False, _said(error))
        return
    yield Cell(True, "yes")
    yield _lines(derivation)

    def finite() -> None:
        for dtype in (torch.float32, torch.float64):
            checks.numpy_is_finite_at_extremes(layer, numpy, dtype)
            checks.torch_is_finite_at_extremes(layer, function, dtype)

    yield _cell(lambda: checks.numpy_equals_autograd(layer, numpy))
    yield _cell(lambda: checks.torch_equals_autograd(layer, function))
    yield _cell(lambda: checks.passes_gradcheck(layer, function))
    yield _cell(lambda: checks.passes_gradgradcheck(layer, function))
    yield _cell(finite)


def _lines(derivation: Any) -> Cell:
    """The lines of every proof, forward, backward and second order, that the checker verifies: all of them, or how many not."""
    from derive.check import check_document

    try:
        reports = [check_document(document) for document in derivation.documents()]
    except Exception as error:
        return Cell(False, _said(error))
    lines = [line for report in reports for proof in report.proofs for line in proof.lines]
    held = sum(line.verdict == "holds" for line in lines)
    return Cell(all(report.ok for report in reports) and held == len(lines) > 0, f"{held}/{len(lines)}")


def _cell(check: Callable[[], None]) -> Cell:
    try:
        check()
    except Exception as error:
        return Cell(False, _said(error))
    return Cell(True, "yes")


def _said(error: Exception) -> str:
    """What an error says, in a line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {' '.join(lines)[:160]}" if lines else type(error).__name__


# ---------------------------------------------------------------------------------------------------- all of them


def verdicts(names: list[str], processes: int) -> dict[str, Verdict]:
    """Every layer's verdict, found by several processes under a progress bar."""
    os.environ["OMP_NUM_THREADS"] = "1"
    console = Console(stderr=True)
    found: dict[str, Verdict] = {}
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("running the catalogue", total=len(names))
        # Fresh processes: a fork of one in which torch has started threads may hang.
        with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
            for future in as_completed([pool.submit(verdict, name) for name in names]):
                found[future.result().layer] = future.result()
                progress.advance(task)
    return found


def chosen(rows: tuple[tuple[str, str, tuple[str, ...]], ...], only: list[str]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """The rows that have one of the words in their name, whole, or one of them as a layer, with that layer alone."""
    found = []
    for section, row, layers in rows:
        whole = any(word.lower() in row.lower() for word in only)
        kept = layers if whole or not only else tuple(name for name in layers if name in only)
        if kept or whole or not only:
            found.append((section, row, kept))
    return tuple(found)


def table(rows: tuple[tuple[str, str, tuple[str, ...]], ...], found: dict[str, Verdict]) -> Table:
    """A line for each layer under the name of its row; what is wrong is said below the table."""
    printed = Table(title="The catalogue, run", box=box.SIMPLE_HEAD, caption=MEANING)
    printed.add_column("", overflow="fold")
    printed.add_column("row", min_width=40, overflow="fold")
    printed.add_column("layer", no_wrap=True)
    for cell in CELLS:
        printed.add_column(cell, justify="right")
    last = ""
    for section, row, layers in rows:
        title, last = "" if section == last else str(section), section
        if title:
            printed.add_section()
        if not layers:
            printed.add_row(title, row, "[bold red]no layer[/bold red]")
        for n, name in enumerate(layers):
            cells = [cell.text if cell.good else "[bold red]NO[/bold red]" for cell in found[name].cells]
            printed.add_row(title if n == 0 else "", row if n == 0 else "", name, *cells)
    return printed


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit code 1 where a cell fails or a row has no layer, 2 for a name that is in no row."""
    sys.path.insert(0, TESTS)
    from catalogue_rows import ROWS

    parser = argparse.ArgumentParser(prog="python -m benchmarks.catalogue", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="a layer, or a word of a row; may be repeated")
    parser.add_argument("--json", action="store_true", help="the cells as JSON")
    parser.add_argument("--processes", type=int, metavar="N", default=min(os.cpu_count() or 1, 8), help="default: one a core, at most 8")
    options = parser.parse_args(arguments)
    if options.processes < 1:
        parser.error(f"--processes {options.processes}: write 1 or more")
    rows = chosen(ROWS, options.only)
    missing = [name for name in options.only if not chosen(ROWS, [name])]
    if missing:
        print(f"benchmarks.catalogue: error: no row and no layer of one is called {', '.join(missing)}", file=sys.stderr)
        return 2
    start = time.perf_counter()
    names = list(dict.fromkeys(name for _, _, layers in rows for name in layers))
    found = verdicts(names, options.processes)
    good = all(layers and all(found[name].good for name in layers) for _, _, layers in rows)
    if options.json:
        every = [
            {"section": section, "row": row, "layers": [{**asdict(found[n]), "good": found[n].good} for n in layers]}
            for section, row, layers in rows
        ]
        print(json.dumps({"good": good, "cells": CELLS, "rows": every}, indent=1))
        return 0 if good else 1
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table(rows, found))
    for name in names:
        for cell, what in zip(found[name].cells, CELLS):
            if not cell.good:
                console.print(f"{name}: {what}: {cell.text}", style="red", markup=False)
    count = sum(result.good for result in found.values())
    took = time.perf_counter() - start
    console.print(f"{len(rows)} rows, {count} of {len(names)} layers good in every cell, {took:.0f} s on {options.processes} processes")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
