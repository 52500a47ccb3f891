"""`python -m benchmarks.conventions`: every convention on every layer, derived anew and proved to give the same gradients.

A cell is the number of lines the checker verified: those of the gradients derived in the convention, those of the proof that outputs
and gradients are the layer's own, and those of every formula as it is written and read. `-` stands where there is nothing to switch.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from derive.check import check_document
from derive.conventions import Conventions, Restated, other_indices, renamed_document, restate
from derive.engine import Derivation, derive
from derive.jacobian import jacobian
from derive.layers import layer as of_name
from derive.layers import names
from derive.layouts import transposed_jacobian
from derive.proof import proof_json
from derive.reading import readings
from derive.recurrence import recurrent
from derive.spec import Layer

NOTHING = "-"
SWITCHES: dict[str, Callable[[Layer], Conventions]] = {
    "batch cols": lambda layer: Conventions(batch="cols"),
    "weight in_out": lambda layer: Conventions(weight="in_out"),
    "weight out_in": lambda layer: Conventions(weight="out_in"),
    "layout numerator": lambda layer: Conventions(layout="numerator"),
    "layout denominator": lambda layer: Conventions(layout="denominator"),
    "upstream G": lambda layer: Conventions(upstream="G"),
    "upstream delta": lambda layer: Conventions(upstream="delta"),
    "indices": lambda layer: Conventions(indices=other_indices(layer)),
    "sum einstein": lambda layer: Conventions(sum="einstein"),
    "index base 1": lambda layer: Conventions(index_base=1),
    "all at once": lambda layer: Conventions("numerator", "cols", "out_in", "G", other_indices(layer), "einstein", 1),
}
JACOBIAN = "Jacobians"
LONGEST = 12
"""Equations of a layer whose Jacobians are derived here: those of a whole transformer block fill pages."""
LONG = "long"


@dataclass(frozen=True)
class Cell:
    """Whether it holds, and what is printed of it."""

    good: bool
    text: str


def cells(name: str) -> dict[str, Cell]:
    """Every switch on the layer of that name."""
    layer = of_name(name)
    own = derive(layer)
    found = {}
    for switch, asked in SWITCHES.items():
        try:
            found[switch] = cell(restate(layer, asked(layer), lambda each: own if each is layer else derive(each)))
        except Exception as error:
            found[switch] = Cell(False, f"{type(error).__name__}: {error}")
    found[JACOBIAN] = both_jacobians(own)
    return found


def cell(stated: Restated) -> Cell:
    """The verdict on one layer in some conventions."""
    moved = stated.derivation.lemmas != stated.first.lemmas
    rewritten = any(stated.rewrites) and bool(readings(stated.derivation, *stated.rewrites))
    if not moved and not stated.upstream and not rewritten:
        return Cell(True, NOTHING)
    if stated.rederived and not stated.agreement.proved:
        return Cell(
            False, f"no proof of {stated.agreement.stuck}{': ' if stated.agreement.difference else ''}{stated.agreement.difference}"
        )
    reports = list(stated.reports)
    if stated.upstream or not rewritten:  # where lines are rewritten, their proof has every line of these
        here = stated.derivation
        reports.append(check_document(stated.document((*here.prepare, *here.lemmas, *here.theorems))))
    return counted(reports)


def both_jacobians(own: Derivation) -> Cell:
    """The Jacobian by each input in both layouts, and the proof that they are transposes of each other."""
    if len(own.layer.equations) > LONGEST:
        return Cell(True, LONG)
    if recurrent(own.definitions):
        return Cell(True, NOTHING)
    document = own.document((*own.prepare, *own.lemmas))
    before = sum(len(proof["steps"]) for proof in document["proofs"])
    try:
        for name in own.layer.wrt:
            if any(proof.name == f"{own.prefix}{name}" for proof in own.lemmas):
                proof = jacobian(own, name)
                both = [proof_json(each) for each in (proof, *transposed_jacobian(proof, own.layer))]
                document["proofs"] += renamed_document(both, {each: f"{each}_{name}" for each in (proof.name, both[1]["name"])})
        found = counted([check_document(document)])
    except Exception as error:
        return Cell(False, f"{type(error).__name__}: {error}")
    return found if not found.good or sum(len(p["steps"]) for p in document["proofs"]) > before else Cell(True, NOTHING)


def counted(reports: list[Any]) -> Cell:
    """The number of lines that hold, or the first that does not."""
    for report in reports:
        if not report.ok:
            bad = next(proof for proof in report.proofs if not proof.ok)
            return Cell(False, f"{bad.kind} {bad.name}: {bad.first_problem.message}")
    return Cell(True, str(sum(len(proof.lines) for report in reports for proof in report.proofs)))


# ---------------------------------------------------------------------------------------------------- all of them


def table(found: dict[str, dict[str, Cell]]) -> Table:
    """A line for each layer; what is wrong is said below the table."""
    printed = Table(title="Conventions, switched and proved", box=box.SIMPLE_HEAD, caption=LEGEND)
    printed.add_column("layer", no_wrap=True)
    for switch in (*SWITCHES, JACOBIAN):
        printed.add_column(switch, justify="right")
    for name, row in found.items():
        printed.add_row(name, *(each.text if each.good else "[bold red]NO[/bold red]" for each in row.values()))
    return printed


LEGEND = (
    f"lines that the checker verified; {NOTHING}: nothing to switch, or a Jacobian without a closed form; {LONG}: more than {LONGEST} "
    "equations, Jacobians not derived"
)


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit code 1 where a proof is missing or a line does not hold, 2 for a name that is no layer."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conventions", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="a layer; may be repeated")
    options = parser.parse_args(arguments)
    missing = [name for name in options.only if name not in names()]
    if missing:
        print(f"benchmarks.conventions: error: there is no layer {', '.join(missing)}", file=sys.stderr)
        return 2
    os.environ["OMP_NUM_THREADS"] = "1"
    start = time.perf_counter()
    chosen = options.only or list(names())
    found: dict[str, dict[str, Cell]] = {}
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for name in progress.track(chosen, description="switching conventions"):
            found[name] = cells(name)
            if not console.is_terminal:
                print(name, *(each.text if each.good else "NO" for each in found[name].values()), file=sys.stderr, flush=True)
    out = Console(width=None if sys.stdout.isatty() else 190)
    out.print(table(found))
    bad = [(name, switch, each) for name, row in found.items() for switch, each in row.items() if not each.good]
    for name, switch, each in bad:
        out.print(f"{name}: {switch}: {each.text}", style="red", markup=False)
    every = [each for row in found.values() for each in row.values()]
    idle = sum(each.text in (NOTHING, LONG) for each in every)
    lines = sum(int(each.text) for each in every if each.good and each.text.isdigit())
    out.print(
        f"{len(found)} layers, {len(every)} cells: {len(every) - idle - len(bad)} proved ({lines:,} lines), {idle} with nothing to "
        f"prove, {len(bad)} failed; {time.perf_counter() - start:.0f} s"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
