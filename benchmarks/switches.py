"""Every pass of codegen switched off in turn: do the kernels still give the same values, gradients and second derivatives?

python -m benchmarks.switches [LAYER ...] [--random N] [--seed S]

For each layer of the catalogue, or those named, and N random ones, the NumPy and the torch kernel without a pass are compared in float64
with those that all passes made, as they run on small arguments and with every loop forced to run in parts. The first line of the table is
the kernel with all passes, in parts.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from codegen.passes import OPTIONAL
from derive.errors import SpecError
from derive.spec import Layer

TESTS = str(Path(__file__).resolve().parent.parent / "tests")
TARGETS = ("numpy", "torch")


@dataclass
class Row:
    """What leaving out a pass did: the layers whose source changed, the largest difference with the layer that has it, failures."""

    changed: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TARGETS, 0))
    largest: float = 0.0
    where: str = ""
    failures: list[str] = field(default_factory=list)


def compared(layer: Layer, rows: dict[str, Row]) -> None:
    """Add one layer to the rows. Raises SpecError or NotImplementedError for a layer that has no kernel."""
    from kernel_reference import sizes_of
    from kernel_switches import ROUNDING, difference, module_of, results

    from codegen.source import rendered
    from derive.engine import derive

    derivation, sizes = derive(layer), sizes_of(layer, 3)
    full = rendered(derivation, TARGETS)
    want: dict[str, Any] = {}
    for name, row in rows.items():
        texts = rendered(derivation, TARGETS, (name,)) if name else full
        for target, text in texts.items():
            if name and text == full[target]:
                continue
            where = f"{layer.name}, {target}"
            try:
                if target not in want:
                    want[target] = results(layer, module_of(full[target]), sizes)
                found = difference(layer, text, want[target], sizes)
            except Exception as error:  # one layer must not hide the others
                row.failures.append(f"{where}: {type(error).__name__}: {error}")
                continue
            row.changed[target] += 1
            if found > row.largest:
                row.largest, row.where = found, where
            if not found <= ROUNDING:
                row.failures.append(f"{where}: a relative difference of {found:.1e}")


def random_layers(count: int, start: int) -> Iterator[Layer]:
    """The first `count` layers that a seed draws."""
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from random_layers import layers

    texts: dict[str, None] = {}

    @seed(start)
    @settings(max_examples=count, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck))
    @given(text=layers())
    def draw(text: str) -> None:
        texts[text] = None

    draw()
    for n, text in enumerate(texts):
        try:
            yield Layer.parse(f"random_{n}", text)
        except SpecError:
            continue


def main(arguments: list[str] | None = None) -> int:
    """Print the table; exit code 1 where a pass changes a value, 2 for a layer that does not exist."""
    if TESTS not in sys.path:
        sys.path.insert(0, TESTS)
    warnings.simplefilter("ignore")
    import numpy as np
    import torch

    from derive.layers import LAYERS, names
    from derive.layers import layer as of_name

    parser = argparse.ArgumentParser(prog="python -m benchmarks.switches", description=__doc__.partition("\n")[0])
    parser.add_argument("layers", nargs="*", metavar="LAYER", help="default: the whole catalogue")
    parser.add_argument("--random", type=int, metavar="N", default=0, help="and so many random layers")
    parser.add_argument("--seed", type=int, metavar="S", help="what the random layers are drawn with; default: the time")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.layers if name not in names()]
    if unknown:
        print(f"benchmarks.switches: error: no layer is called {', '.join(unknown)}", file=sys.stderr)
        return 2
    np.seterr(all="ignore")
    torch.set_num_threads(1)
    start = time.perf_counter()
    drawn = int(time.time()) if options.seed is None else options.seed
    layers = [of_name(name) for name in options.layers] or ([] if options.random else list(LAYERS))
    layers += random_layers(options.random, drawn) if options.random else ()
    rows = {name: Row() for name in ("", *OPTIONAL)}
    refused = 0
    console, watched = Console(width=None if sys.stdout.isatty() else 120), Console(stderr=True)
    with Progress(console=watched, transient=True, disable=not watched.is_terminal) as progress:
        for layer in progress.track(layers, description="without each pass"):
            try:
                compared(layer, rows)
            except (SpecError, NotImplementedError):
                refused += 1
    console.print(table(rows))
    for name, row in rows.items():
        for failure in row.failures:
            console.print(f"without {name or 'none'}: {failure}", style="red", markup=False)
    count = sum(len(row.failures) for row in rows.values())
    seeded = f", {options.random} of them drawn with seed {drawn}" if options.random else ""
    gone = f", {refused} refused" if refused else ""
    console.print(f"{len(layers)} layers{seeded}{gone}; {count or 'no'} failures, {time.perf_counter() - start:.0f} s")
    return 1 if count else 0


def table(rows: dict[str, Row]) -> Table:
    printed = Table(title="Without a pass: kernels whose source changes, and how far their values are from those of all passes")
    for name in ("without", *TARGETS, "largest relative difference", "in", "failures"):
        printed.add_column(name, justify="left" if name in ("without", "in") else "right")
    for name, row in rows.items():
        counts = [str(row.changed[target]) for target in TARGETS]
        printed.add_row(name or "none, in parts", *counts, f"{row.largest:.1e}", row.where, str(len(row.failures)))
    return printed


if __name__ == "__main__":
    sys.exit(main())
