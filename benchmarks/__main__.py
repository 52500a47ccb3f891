"""`python -m benchmarks`: what deriving costs, how it grows with depth, and the generated kernels next to torch's operators and goals."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from benchmarks import depth, deriving, kernels, limits, passes


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("layer", nargs="?", help="one layer alone: its kernels, and no deriving")
    parser.add_argument("--size", choices=kernels.SIZES, help="one size alone")
    parser.add_argument("--target", choices=("numpy", "torch"), help="one target alone")
    parser.add_argument("--json", action="store_true", help="the kernels' times as JSON")
    parser.add_argument("--quick", action="store_true", help="fewer rounds and small sizes only")
    parser.add_argument("--memory", action="store_true", help="the peak memory next to eager's, and nothing else")
    parser.add_argument("--passes", action="store_true", help="what each pass of codegen brings, and nothing else")
    parser.add_argument("--markdown", action="store_true", help="the table of the passes as Markdown")
    options = parser.parse_args(arguments)
    console = Console()
    if options.passes:
        targets = (options.target,) if options.target else ("numpy", "torch")
        passes.table(console, options.layer, targets, rounds=3 if options.quick else 9, markdown=options.markdown)
        return 0
    if options.layer is None and not options.json and not options.memory:
        deriving.table(console, rounds=5 if options.quick else 20)
        depth.table(console, rounds=1 if options.quick else 3, largest=8 if options.quick else 24)
    try:
        import torch  # noqa: F401
    except ImportError:
        console.print("torch is not installed: the kernels are not compared", style="dim")
        return 0
    targets = (options.target,) if options.target else ("numpy", "torch")
    if options.memory:
        kernels.memory(console, options.layer, targets)
        return 0
    if not options.json:
        limits.table(console)
    sizes = (options.size,) if options.size else ("small",) if options.quick else kernels.SIZES
    compare = ("eager",) if options.quick else ("eager", "compile")
    kernels.table(console, options.layer, sizes, targets, compare, options.json)
    if not options.quick and not options.json and options.size in (None, "large"):
        kernels.memory(console, options.layer, targets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
