"""How long it takes to derive every gradient of a layer: ours, SymPy, PyTensor and tensorgrad on one task, and from the shell."""

from __future__ import annotations

import cProfile
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import depth
from benchmarks.goals import Verdict
from benchmarks.reasons import Reason, goal_said
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


def tensorgrad_tensors() -> Callable[[], object] | None:
    """tensorgrad's simplified derivatives of the same product of tensors, which show no steps; None where it is not installed."""
    try:
        import sympy as sp
        import tensorgrad.functions as F
        from tensorgrad import Derivative, Variable
    except ImportError:
        return None

    def run() -> object:
        n, m, d, e = sp.symbols("n m d e")
        q, k, v, g = Variable("Q", n, d), Variable("K", m, d), Variable("V", m, e), Variable("G", n, e)
        loss = (F.softmax(q @ k, dim="m") @ v) @ g
        return [Derivative(loss, each).full_simplify() for each in (q, k, v)]

    return run


SHELL = ("-m", "derive", "attention")
OURS = "gradproof: closed forms with proofs"


@dataclass(frozen=True)
class Deriving:
    """Seconds of every contestant on attention, the goals' own measures, and who is missing."""

    seconds: dict[str, list[float]]
    goals: dict[str, float]
    skipped: dict[str, str]

    def json(self) -> dict[str, object]:
        return {"seconds": self.seconds, "goals": self.goals, "skipped": self.skipped}


def measured(rounds: int, largest: int) -> Deriving:
    """Derive attention with every contestant in turn, a transformer block, transformers of more and more blocks, and from the shell."""
    contestants: dict[str, Callable[[], object]] = {OURS: ours, "SymPy: 4 x 4 entries, one by one": sympy_entries}
    skipped = {}
    for name, found, said in (
        ("PyTensor", pytensor_graph(), "PyTensor: a graph, no closed form"),
        ("tensorgrad", tensorgrad_tensors(), "tensorgrad: closed forms, no steps"),
    ):
        if found is None:
            skipped[name] = f"{name.lower()} is not installed"
        else:
            contestants[said] = found
    times = interleave(contestants, rounds)
    shell = interleave({"shell": _shell}, 3)["shell"]
    depths = [blocks for blocks in depth.BLOCKS if blocks <= largest]
    depth.seconds([1], 1)
    grown = depth.seconds(depths, 2)
    goals = {
        "all gradients of attention": statistics.median(times[OURS]),
        "a transformer block": grown[1],
        "growth in depth, log-log slope": depth.slope(grown),
        "derive attention from the shell": statistics.median(shell),
    }
    return Deriving(times, goals, skipped)


def table(console: Console, found: Deriving) -> None:
    """Print the median derivation of attention and each contestant's ratio to ours."""
    rows = Table(title="All gradients of attention, medians (interleaved)")
    rows.add_column("contestant")
    rows.add_column("ms", justify="right")
    rows.add_column("times ours", justify="right")
    for name, times in found.seconds.items():
        rows.add_row(name, f"{1000 * statistics.median(times):.1f}", f"{median_ratio(found.seconds[OURS], times):.1f}")
    console.print(rows)
    for reason in found.skipped.values():
        console.print(f"skipped: {reason}", style="dim")


def reasons(verdicts: list[Verdict], found: Deriving) -> list[Reason]:
    """For each goal that is missed: the profile by module of what it measures, or what the shell spends before it derives."""
    made = []
    for verdict in verdicts:
        if verdict.met is False:
            taken, parts = _start() if "shell" in verdict.what else _profiled(four_blocks if "attention" not in verdict.what else ours)
            most = max(parts, key=lambda each: parts[each])
            sentence = f"Most of it is {most}, {1e3 * taken * parts[most]:.3g} ms."
            made.append(Reason(verdict.what, "deriving", (goal_said(verdict),), f"{1e3 * taken:.3g} ms", parts, sentence))
    return made


def four_blocks() -> object:
    """A transformer, for what a block of it costs."""
    return derive(depth.transformer(4))


def _profiled(run: Callable[[], object]) -> tuple[float, dict[str, float]]:
    """Seconds of one call, unwatched, and the share of it that Python's own profiler counts in each module."""
    run()
    start = time.perf_counter()
    run()
    taken = time.perf_counter() - start
    profile = cProfile.Profile()
    profile.runcall(run)
    spent: dict[str, float] = {}
    for entry in profile.getstats():
        place = entry.code.co_filename if not isinstance(entry.code, str) else ""
        names = Path(place.removesuffix(".py")).parts
        kept = next((n for n, name in enumerate(names) if name in ("derive", "sympy")), None)
        module = "Python itself" if kept is None else "SymPy" if names[kept] == "sympy" else ".".join(names[kept:])
        spent[module] = spent.get(module, 0.0) + entry.inlinetime
    total = sum(spent.values())
    return taken, {module: each / total for module, each in spent.items()}


def _start() -> tuple[float, dict[str, float]]:
    """Seconds of `derive attention` from the shell, and the shares of imports, as Python counts them, and of the rest."""
    _shell()
    start = time.perf_counter()
    done = subprocess.run([sys.executable, "-X", "importtime", *SHELL], check=True, capture_output=True, text=True)
    taken = time.perf_counter() - start
    spent = {"importing SymPy": 0.0, "importing gradproof": 0.0, "importing Python's library": 0.0}
    for line in done.stderr.splitlines():
        own, _, name = (word.strip() for word in line.removeprefix("import time:").split("|"))
        if own.isdigit():
            package = {"sympy": "SymPy", "mpmath": "SymPy", "derive": "gradproof"}.get(name.split(".")[0], "Python's library")
            spent[f"importing {package}"] += 1e-6 * int(own)
    parts = {what: each / taken for what, each in spent.items()}
    return taken, {**parts, "Python's start, deriving and printing": 1 - sum(parts.values())}


def _shell() -> object:
    return subprocess.run([sys.executable, *SHELL], check=True, capture_output=True)
