"""`python -m benchmarks.memory`: the memory that attention takes beside its inputs, forward and backward, next to torch's own operator.

Each contestant runs in a process of its own, which reports its peak resident memory less what it held with the inputs in place.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

HEADS, WIDTH = 8, 64
CONTESTANTS = ("torch SDPA", "ours, torch", "ours, NumPy")


def _peak() -> int:
    """The most memory this process has held, in bytes (Linux)."""
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def _forget_peak() -> None:
    """Let the peak count from now on."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as refs:
        refs.write("5")


def _torch_run(function: Callable[..., object]) -> Callable[[int], int]:
    def run(length: int) -> int:
        import torch

        small = [torch.randn(1, 2, 64, WIDTH, requires_grad=True) for _ in range(3)]
        torch.autograd.grad(function(*small).sum(), small)  # type: ignore[attr-defined]
        given = [torch.randn(1, HEADS, length, WIDTH, requires_grad=True) for _ in range(3)]
        upstream = torch.randn(1, HEADS, length, WIDTH)
        _forget_peak()
        before = _peak()
        torch.autograd.grad(function(*given), given, upstream)  # type: ignore[call-overload]
        return _peak() - before

    return run


def _numpy_run(length: int) -> int:
    import numpy as np

    from generated.numpy import attention

    shape = (1, HEADS, length, WIDTH)
    small = [np.random.randn(1, 2, 64, WIDTH).astype(np.float32) for _ in range(3)]
    output, saved = attention.forward(*small)
    attention.backward(output, saved)
    given = [np.random.randn(*shape).astype(np.float32) for _ in range(3)]
    upstream = np.random.randn(*shape).astype(np.float32)
    _forget_peak()
    before = _peak()
    _, saved = attention.forward(*given)
    attention.backward(upstream, saved)
    return _peak() - before


def measure(contestant: str, length: int) -> int:
    """The bytes that one contestant takes, in this process."""
    if contestant == "ours, NumPy":
        return _numpy_run(length)
    if contestant == "torch SDPA":
        from torch.nn.functional import scaled_dot_product_attention as function
    else:
        from generated.torch.attention import attention as function
    return _torch_run(function)(length)


def table(console: Console, lengths: tuple[int, ...]) -> bool:
    """Print megabytes for each length; whether ours take less than 1.2 times torch's at the longest."""
    rows = Table(title=f"Attention, {HEADS} heads of {WIDTH}: memory beside the inputs, forward and backward, MB")
    rows.add_column("length", justify="right")
    for contestant in CONTESTANTS:
        rows.add_column(contestant, justify="right")
    good = True
    for length in lengths:
        found = []
        for contestant in CONTESTANTS:
            words = [sys.executable, "-m", "benchmarks.memory", "--one", contestant, "--length", str(length)]
            found.append(json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout))
        cells = [f"{found[0] / 2**20:.0f}", *(f"{each / 2**20:.0f} ({each / found[0]:.2f})" for each in found[1:])]
        rows.add_row(str(length), *cells)
        good = all(each < 1.2 * found[0] for each in found[1:])
    console.print(rows)
    console.print("In brackets: times torch's; the goal at the longest is 1.2.")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--length", type=int, action="append", help="of the sequence; may be repeated (default: 2048, 4096, 8192)")
    parser.add_argument("--one", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    lengths = tuple(options.length or (2048, 4096, 8192))
    if options.one:
        print(json.dumps(measure(options.one, lengths[0])))
        return 0
    return 0 if table(Console(width=110), lengths) else 1


if __name__ == "__main__":
    sys.exit(main())
