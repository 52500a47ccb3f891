"""Where a generated kernel's time goes, by kind of work: a clock is read after every line of the module, and the lines are added up.

The kernel's own text is run, with a call after each statement; the cost of that call is measured and taken off. Times of several
threads are added. What passes between the lines of one pass and the first of the next is spent outside of the module: in autograd and
in the caller.
"""

from __future__ import annotations

import ast
import importlib.util
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import contestants
from benchmarks.measure import LONG
from benchmarks.rows import Row, values
from benchmarks.timing import interleave

PRODUCTS, FUSED, EXP, SUMS, MAPS, CALLS, OUTSIDE = (
    "products of matrices",
    "fused operators",
    "exp and its kin",
    "sums and maxima",
    "other maps",
    "checks, memory and calls",
    "the caller and autograd",
)
KINDS = (PRODUCTS, FUSED, EXP, SUMS, MAPS, CALLS, OUTSIDE)
WORDS = {
    PRODUCTS: "matmul mm bmm addmm baddbmm dot conv2d linear einsum tensordot _matmul _product _add_product _accumulate _linear",
    FUSED: "softmax log_softmax logsumexp gelu silu layer_norm rms_norm scaled_dot_product_attention _softmax_backward_data cross_entropy",
    EXP: "exp exp2 log log2 log1p expm1 tanh erf _erf sigmoid sqrt rsqrt power pow",
    SUMS: "sum max amax mean vecdot min amin reduce _sum sumprod",
    MAPS: "add subtract multiply divide negative where maximum minimum square reciprocal mul sub div copyto abs addcmul clip "
    "take_along_axis _take take_along_dim gather scatter_add _add_at masked_fill copy",
}
KIND_OF = {word: kind for kind, words in WORDS.items() for word in words.split()}


@dataclass(frozen=True)
class Shares:
    """Seconds of a whole pass, unwatched, and the part of them that each kind of work takes; the parts add up to 1."""

    seconds: float
    parts: dict[str, float]

    def took(self, kind: str) -> float:
        return self.seconds * self.parts.get(kind, 0.0)


def said(parts: Mapping[str, float]) -> str:
    """The parts above a percent, the largest first."""
    kept = sorted(((part, kind) for kind, part in parts.items() if part >= 0.01), reverse=True)
    return ", ".join(f"{kind} {100 * part:.0f} %" for part, kind in kept)


class Clock:
    """Adds the time since the last reading in this thread to a line."""

    def __init__(self) -> None:
        self.lines: dict[int, float] = defaultdict(float)
        self.count: dict[int, int] = defaultdict(int)
        self.local = threading.local()

    def __call__(self, line: int) -> None:
        now = time.perf_counter()
        last = getattr(self.local, "last", now)
        self.lines[line] += now - last
        self.count[line] += 1
        self.local.last = time.perf_counter()

    def enter(self, line: int) -> None:
        """The start of a nested function: in a thread of a pool the time before it was spent waiting for work, by nobody."""
        if threading.current_thread() is threading.main_thread():
            self(line)
        else:
            self.local.last = time.perf_counter()

    def clear(self) -> None:
        self.lines.clear()
        self.count.clear()
        self.local.last = time.perf_counter()


def kind_of(node: ast.AST, helper: str = "") -> str:
    """The kind of work of a statement: that of the costliest thing it does. In a helper, arithmetic is on lengths, not on arrays."""
    if KIND_OF.get(helper) == SUMS:
        return SUMS
    found = set()
    for part in ast.walk(node):
        if isinstance(part, (ast.BinOp, ast.AugAssign)):
            found.add(PRODUCTS if isinstance(part.op, ast.MatMult) else CALLS if helper else MAPS)
        elif isinstance(part, ast.Call):
            name = part.func.attr if isinstance(part.func, ast.Attribute) else part.func.id if isinstance(part.func, ast.Name) else ""
            if not (helper and name in ("max", "min", "sum")) and not ast.unparse(part.func).startswith("math."):
                found.add(KIND_OF.get(name.rstrip("_"), CALLS))  # torch's names end in _ where they work in place
    return next((kind for kind in (PRODUCTS, FUSED, EXP, SUMS, MAPS) if kind in found), CALLS)


class _Watched(ast.NodeTransformer):
    """Puts a reading of the clock after every statement of every function."""

    def __init__(self) -> None:
        self.kinds: dict[int, str] = {}
        self.helper = ""
        self.depth = 0

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        outer = self.helper
        self.helper = (
            node.name if node.name.startswith("_") and not node.name.endswith(("_part", "_parts")) or node.name == "_parts" else ""
        )
        self.kinds[node.lineno] = CALLS if node.name.startswith("_") or self.depth else OUTSIDE
        self.depth += 1
        node.body = [*self.reading(node.lineno, ".enter" if self.depth > 1 else ""), *self.block(node.body)]
        self.depth -= 1
        self.helper = outer
        return node

    def reading(self, line: int, method: str = "") -> list[ast.stmt]:
        return ast.parse(f"_clock{method}({line})").body

    def block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in body:
            line = statement.lineno
            if isinstance(statement, ast.Return) and statement.value is not None:
                self.kinds[line] = kind_of(statement, self.helper)
                keep = ast.Assign([ast.Name("_kept", ast.Store())], statement.value)
                found += [keep, *self.reading(line), ast.Return(ast.Name("_kept", ast.Load()))]
            elif isinstance(statement, (ast.For, ast.While, ast.If, ast.With)):
                head = (
                    statement.items[0] if isinstance(statement, ast.With) else getattr(statement, "iter", getattr(statement, "test", None))
                )
                self.kinds[line] = kind_of(head or statement, self.helper)
                statement.body = [*self.reading(line), *self.block(statement.body)]
                if getattr(statement, "orelse", None):
                    statement.orelse = [*self.reading(line), *self.block(statement.orelse)]  # type: ignore[union-attr]
                found.append(statement)
            elif isinstance(statement, (ast.FunctionDef, ast.Try, ast.ClassDef)):
                found.append(self.visit(statement))
            elif isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr)):
                self.kinds[line] = kind_of(statement, self.helper)
                found += [statement, *self.reading(line)]
            else:
                found.append(statement)
        return found


def watched(name: str, clock: Clock) -> tuple[ModuleType, dict[int, str]]:
    """The module with a clock read after every line, and the kind of work of each line."""
    spec = importlib.util.find_spec(name)
    assert spec is not None and spec.origin is not None
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    transformer = _Watched()
    tree = ast.fix_missing_locations(transformer.visit(tree))
    module = ModuleType(name)
    module.__dict__["_clock"] = clock
    exec(compile(tree, spec.origin, "exec"), module.__dict__)
    return module, transformer.kinds


MODULES = {"ours NumPy": "numpy", "ours torch": "torch", "ours torch pair": "torch"}


def shares(row: Row, contestant: str, rounds: int = 5) -> Shares:
    """Run a contestant of ours as it is and watched, and add up its lines."""
    given = values(row)
    plain = contestants.EVERY[contestant](row, given)
    once = _seconds(plain)
    if once < LONG:
        once = _seconds(plain)
    number = max(1, min(100, int(0.02 / once)))
    samples = []
    for _ in range(min(rounds, int(0.5 / once))):
        start = time.perf_counter()
        for _ in range(number):
            plain()
        samples.append((time.perf_counter() - start) / number)
    seconds = statistics.median(samples or [once])
    clock = Clock()
    module, kinds = watched(f"generated.{MODULES[contestant]}.{row.layer}", clock)
    run = _of_module(row, given, module, contestant)
    if once < LONG:
        run()
    clock.clear()
    for _ in range(number):
        run()
    own = _cost(clock)
    found: dict[str, float] = dict.fromkeys(KINDS, 0.0)
    for line, took in list(clock.lines.items()):
        found[kinds.get(line, CALLS)] += max(took - own * clock.count[line], 0.0) / number
    total = sum(found.values())
    return Shares(seconds, {kind: took / total for kind, took in found.items() if took})


def _seconds(run: contestants.Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _of_module(row: Row, given: Mapping[str, Any], module: ModuleType, contestant: str) -> contestants.Run:
    """The contestant with that module in the place of its own."""
    before = contestants._import
    contestants._import = lambda name, package="": module if name == module.__name__ else before(name, package)
    try:
        return contestants.EVERY[contestant](row, given)
    finally:
        contestants._import = before


def _cost(clock: Clock) -> float:
    """Seconds between two readings with nothing between them, as a line sees them."""
    other = Clock()
    for _ in range(2000):
        other(0)
    return other.lines[0] / 2000


def bare_function() -> float:
    """Seconds of a forward and backward pass of an autograd.Function that does nothing: what any of them costs at the least."""
    import torch

    class Nothing(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x.view_as(x)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            return dy

    x, dy = torch.ones(4, requires_grad=True), torch.ones(4)
    run = lambda: torch.autograd.grad(Nothing.apply(x), x, dy)  # noqa: E731
    return statistics.median(interleave({"": run}, 7, repeat=True)[""])
