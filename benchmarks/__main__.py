"""`python -m benchmarks`: what deriving costs, how it grows with depth, and what the generated kernels cost next to torch's operators."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from benchmarks import depth, deriving, kernels


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; exit code 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and small sizes only: under half a minute")
    options = parser.parse_args(arguments)
    console = Console()
    deriving.table(console, rounds=20)
    depth.table(console, rounds=1 if options.quick else 3, largest=8 if options.quick else 24)
    kernels.table(console, quick=options.quick)
    return 0


if __name__ == "__main__":
    sys.exit(main())
