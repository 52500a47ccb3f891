"""How long it takes to derive every gradient of a layer: ours, SymPy and PyTensor on the same task, and from the shell."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable

from rich.console import Console
from rich.table import Table

from benchmarks.timing import interleave, median_ratio
from derive.engine import derive
from derive.layers.attention import ATTENTION


def ours() -> object:
    """Every lemma and theorem, with all steps: the engine is called afresh, nothing is cached between calls but SymPy's tables."""
    return derive(ATTENTION)


def sympy_entries() -> object:
    """SymPy has no gradient of a matrix softmax, so it gets what it can do: entries written out at 4 x 4, differentiated one by one."""
    import sympy as sp

    size = 4
    q, k, v, g = (sp.Matrix(size, size, lambda i, j, name=name: sp.Symbol(f"{name}{i}{j}")) for name in "qkvg")
    scores = (q * k.T / sp.sqrt(size)).applyfunc(sp.exp)
    weights = sp.Matrix(size, size, lambda i, j: scores[i, j] / sum(scores[i, m] for m in range(size)))
    loss = sum(sp.matrix_multiply_elementwise(g, weights * v))
    return [sp.diff(loss, entry) for matrix in (q, k, v) for entry in matrix]


def pytensor_graph() -> Callable[[], object] | None:
    """PyTensor's symbolic graph of the same gradients (no proof, no closed form); None where it is not installed."""
    try:
        import pytensor.tensor as pt
        from pytensor import grad
    except ImportError:
        return None

    def run() -> object:
        q, k, v, g = (pt.tensor4(name) for name in "qkvg")
        scores = pt.exp(q @ k.transpose(0, 1, 3, 2) / pt.sqrt(q.shape[-1]))
        weights = scores / scores.sum(axis=-1, keepdims=True)
        return grad((g * (weights @ v)).sum(), [q, k, v])

    return run


def table(console: Console, rounds: int = 20) -> None:
    """Print the median of `rounds` derivations of attention, each contestant's ratio to ours, and the shell's time."""
    contestants: dict[str, Callable[[], object]] = {"gradproof: closed forms with proofs": ours}
    contestants["SymPy: 4 x 4 entries, one by one"] = sympy_entries
    tensor = pytensor_graph()
    if tensor is not None:
        contestants["PyTensor: a graph, no closed form"] = tensor
    else:
        console.print("PyTensor is not installed: skipped", style="dim")
    times = interleave(contestants, rounds, "deriving attention")
    first = next(iter(times.values()))
    rows = Table(title=f"All gradients of attention, median of {rounds} (interleaved)")
    rows.add_column("contestant")
    rows.add_column("ms", justify="right")
    rows.add_column("times ours", justify="right")
    for name, found in times.items():
        rows.add_row(name, f"{1000 * statistics.median(found):.1f}", f"{median_ratio(first, found):.1f}")
    console.print(rows)
    shell = interleave({"derive attention": _shell}, 3, "from the shell")["derive attention"]
    console.print(f"`derive attention` from the shell, proof and ledger: {statistics.median(shell):.2f} s (median of 3)")


def _shell() -> object:
    return subprocess.run([sys.executable, "-m", "derive", "attention"], check=True, capture_output=True)
