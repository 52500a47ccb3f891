"""What a run found, as tables for the terminal, as Markdown and as JSON: three ways to print the same lines."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import deriving
from benchmarks.contestants import EVERY, OURS
from benchmarks.counting import work
from benchmarks.deriving import Deriving
from benchmarks.goals import Verdict
from benchmarks.machine import Machine
from benchmarks.measure import Result
from benchmarks.other_blas import CONTESTANTS, Setting
from benchmarks.reasons import Reason

Cells = list[list[str]]
THEIRS = tuple(name for name in EVERY if name not in OURS)
GOALS = {
    1: "as good as by hand, within 10 %",
    2: "NumPy, times as fast",
    3: "PyTorch, times as fast",
    4: "peak memory, a share of theirs",
    5: "deriving, seconds",
}


@dataclass
class Report:
    """A run: the machine, the rows, the rows in other environments, memory, deriving, goals and reasons; and what is still to come."""

    machine: Machine
    results: list[Result]
    other: list[Setting] = field(default_factory=list)
    memory: dict[str, dict[str, float | str]] = field(default_factory=dict)
    deriving: Deriving | None = None
    verdicts: list[Verdict] = field(default_factory=list)
    reasons: list[Reason] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    to_come: list[str] = field(default_factory=list)

    def json(self) -> str:
        return json.dumps(
            {
                "machine": self.machine.json(),
                "rows": [result.json() for result in self.results],
                "other environments": [setting.json() for setting in self.other],
                "memory MB": self.memory,
                "deriving": self.deriving.json() if self.deriving else None,
                "goals": [verdict.json() for verdict in self.verdicts],
                "short": [reason.json() for reason in self.reasons],
                "skipped": self.missing,
                "failed": self.failed,
                "still to come": self.to_come,
            },
            indent=1,
        )

    def left_out(self) -> list[str]:
        """Who and what is not in the tables, and why."""
        return [*self.missing.values(), *skipped(self.results), *(f"{part}: {why}" for part, why in self.failed.items())]


def times(results: Iterable[Result]) -> tuple[list[str], Cells]:
    """A line a row: the milliseconds of everyone; the fastest is marked."""
    results = list(results)
    names = [name for name in EVERY if any(name in result.seconds for result in results)]
    cells = []
    for result in results:
        best = result.fastest(names)
        mark = {name: "*" if name == best else "" for name in names}
        shown = [f"{1e3 * result.median(name):.3g}{mark[name]}" if name in result.seconds else "-" for name in names]
        cells.append([result.row.key, *shown])
    return ["ms, forward + backward", *names], cells


def ratios(results: Iterable[Result], machine: Machine) -> tuple[list[str], Cells]:
    """A line a row and kernel of ours: how many times as fast as everyone else, and how near to the machine's limits."""
    results = list(results)
    names = [name for name in THEIRS if any(name in result.seconds for result in results)]
    cells = []
    for result in results:
        done = work(result.row)
        for ours in OURS:
            if ours not in result.seconds:
                continue
            took = result.median(ours)
            shown = [f"{result.ratio(ours, name):.2f}" if name in result.seconds else "-" for name in names]
            products, moved = done.flop / took / 1e9 / machine.best_gemm, done.bytes / took / 1e9 / machine.best_memory
            cells.append([result.row.key, ours, *shown, f"{100 * products:.0f} %", f"{100 * moved:.0f} %"])
    return ["times as fast as", "", *names, "of GEMM", "of memory"], cells


def peaks(memory: dict[str, dict[str, float | str]]) -> tuple[list[str], Cells]:
    """A line a row: megabytes of everyone."""
    names = [name for name in EVERY if any(name in found for found in memory.values())]
    cells = [[row, *(_megabytes(found.get(name, "-")) for name in names)] for row, found in memory.items()]
    return ["peak extra memory, MB", *names], cells


def _megabytes(found: float | str) -> str:
    return found.partition(":")[0] if isinstance(found, str) else f"{found:.0f}"


def verdicts(found: Iterable[Verdict]) -> tuple[list[str], Cells]:
    cells = [[str(v.number), v.row, v.what, v.goal, v.reached, v.word] for v in sorted(found, key=lambda v: v.number)]
    return ["goal", "row", "what", "at least", "reached", ""], cells


def other_lines(setting: Setting) -> Cells:
    """A line a row of the run in another environment."""
    cells = []
    for line in setting.lines:
        shown = [f"{1e3 * line.medians[name]:.3g}" if name in line.medians else "-" for name in CONTESTANTS]
        cells.append([line.row, *shown, "-" if line.ratio is None else f"{line.ratio:.2f}"])
    return cells


OTHER = ["ms", *CONTESTANTS, "ours over eager"]


def skipped(results: Iterable[Result]) -> list[str]:
    """Who was left out of which rows, and why; a line for each reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for name, reason in result.skipped.items():
            if reason not in ("the same as eager", "not written by hand"):
                found.setdefault((name, reason), []).append(result.row.key)
    return [
        f"{name} skipped: {reason} ({', '.join(rows) if len(rows) < 4 else f'{len(rows)} rows'})" for (name, reason), rows in found.items()
    ]


def tables(report: Report) -> list[tuple[str, list[str], Cells]]:
    """Title, heads and cells of everything there is to print, in order."""
    found = []
    if report.results:
        found.append(("Times", *times(report.results)))
        found.append(("Ours against each, medians of the rounds' ratios", *ratios(report.results, report.machine)))
    for setting in report.other:
        if setting.lines:
            found.append((setting.title, OTHER, other_lines(setting)))
    if report.memory:
        found.append(("Memory", *peaks(report.memory)))
    if report.verdicts:
        found.append(("Goals 1 to 5, and what was reached", *verdicts(report.verdicts)))
    return found


def summary(report: Report) -> list[str]:
    """A line for each goal: how many of its lines are met."""
    found = []
    for number, what in GOALS.items():
        mine = [verdict for verdict in report.verdicts if verdict.number == number]
        if mine:
            met, short = (sum(verdict.met is state for verdict in mine) for state in (True, False))
            rest = len(mine) - met - short
            found.append(f"goal {number} ({what}): {met} met, {short} short" + (f", {rest} not measured" if rest else ""))
    return found


def show(report: Report, console: Console) -> None:
    """Print it to a terminal."""
    for line in report.machine.lines():
        console.print(line, highlight=False)
    if report.deriving:
        deriving.table(console, report.deriving)
    for title, heads, cells in tables(report):
        printed = Table(title=title, box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
        for n, head in enumerate(heads):
            printed.add_column(head, justify="left" if n == 0 or title.startswith("Goals") else "right")
        for line in cells:
            styled = [f"[bold red]{cell}[/bold red]" if cell == "short" else cell for cell in line]
            printed.add_row(*styled)
        console.print(printed)
    for line in report.left_out():
        console.print(f"skipped: {line}" if " skipped: " not in line else line, style="dim", highlight=False, markup=False)
    if report.reasons:
        console.print("\nShort, and the profile that shows why", style="bold")
    for reason in report.reasons:
        head, body = reason.lines()
        console.print(head, highlight=False, markup=False)
        console.print(f"    {body}", highlight=False, markup=False)
    for line in summary(report):
        console.print(line, highlight=False, markup=False)


def markdown(report: Report, command: str) -> str:
    """The same as a page of docs/."""
    lines = [
        "# The benchmark",
        "",
        f"Written by `{command}`; forward and backward pass, float32, all contestants in turn in one process.",
        "",
    ]
    if report.to_come:
        lines += [f"**Not done yet.** Still to come: {'; '.join(report.to_come)}.", ""]
    lines += [f"- {line}" for line in report.machine.lines()] + ["", *(f"- {line}" for line in summary(report)), ""]
    if report.deriving:
        lines += ["## Deriving", "", *_grid(["All gradients of attention", "ms"], _derived(report.deriving)), ""]
    for title, heads, cells in tables(report):
        lines += [f"## {title}", "", *_grid(heads, cells), ""]
    if report.reasons:
        lines += ["## Short, and the profile that shows why", ""]
        lines += [f"- **{head}**: {body}" for head, body in (reason.lines() for reason in report.reasons)]
        lines.append("")
    left = report.left_out()
    if left:
        lines += ["## Left out", "", *(f"- {line}" for line in left), ""]
    return "\n".join(lines)


def _derived(found: Deriving) -> Cells:
    import statistics

    return [[name, f"{1e3 * statistics.median(seconds):.1f}"] for name, seconds in found.seconds.items()]


def _grid(heads: list[str], cells: Cells) -> list[str]:
    """A Markdown table; the names of things stand left, numbers right."""
    sides = ["---" if n == 0 or any(c[n][:1].isalpha() for c in cells) else "---:" for n in range(len(heads))]
    return [f"| {' | '.join(row)} |" for row in (heads, sides, *cells)]
