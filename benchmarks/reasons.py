"""Why a row falls short: the profile of the generated kernel, taken there and then, and a sentence that only it decides."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.counting import work
from benchmarks.goals import Verdict
from benchmarks.machine import Machine
from benchmarks.measure import Result
from benchmarks.shares import CALLS, EXP, FUSED, MAPS, OUTSIDE, PRODUCTS, SUMS, Shares, shares


@dataclass(frozen=True)
class Reason:
    """Rows that fall short by the same kernel: its profile, and what follows from it."""

    row: str
    ours: str
    goals: tuple[str, ...]
    profile: Shares
    sentence: str

    def lines(self) -> tuple[str, str]:
        return (
            f"{self.row}: {self.ours} ({'; '.join(self.goals)})",
            f"{1e3 * self.profile.seconds:.3g} ms: {self.profile.text()}. {self.sentence}",
        )


def reasons(results: list[Result], verdicts: list[Verdict], machine: Machine, bare: float | None = None) -> list[Reason]:
    """A profile and a sentence for each kernel of a row that falls short of some goal of speed."""
    found = []
    for result in results:
        short = [v for v in verdicts if v.row == result.row.key and v.met is False and v.number in (1, 2, 3) and v.ours in result.seconds]
        for ours in dict.fromkeys(verdict.ours for verdict in short):
            mine = [v for v in short if v.ours == ours]
            profile = shares(result.row, ours)
            sentence = explained(result, ours, mine[0].theirs, profile, machine, bare)
            found.append(Reason(result.row.key, ours, tuple(f"{v.reached} of {v.goal} over {v.theirs}" for v in mine), profile, sentence))
    return found


def explained(result: Result, ours: str, theirs: str, profile: Shares, machine: Machine, bare: float | None) -> str:
    """What the numbers say, in a sentence: which kind of work takes more than theirs takes in all, or most of the time."""
    others = result.median(theirs)
    calls = profile.took(CALLS) + profile.took(OUTSIDE)
    maps = profile.took(EXP) + profile.took(SUMS) + profile.took(MAPS)
    products, fused = profile.took(PRODUCTS), profile.took(FUSED)
    in_all = f"{theirs} takes {1e3 * others:.3g} ms in all"
    flop = work(result.row).flop
    if calls >= max(products, maps, fused):
        said = f"Calls, checks and memory take {1e3 * calls:.3g} ms, more than any arithmetic, and {in_all}"
        if bare is not None and ours == "ours torch" and result.row.size == "small":
            said += f"; an autograd.Function that does nothing takes {1e3 * bare:.3g} ms here"
        return said + "."
    if products >= max(maps, fused):
        rate = flop / products / 1e9 if products else 0.0
        said = f"The products take {1e3 * products:.3g} ms, and {in_all}"
        if result.row.size != "small" and flop > 1e8:
            said += f"; the row's own products run at {100 * rate / machine.best_gemm:.0f} % of this machine's limit"
        return said + "."
    if fused >= maps:
        return f"torch's fused operators take {1e3 * fused:.3g} ms, and {in_all}."
    most = max((EXP, SUMS, MAPS), key=profile.took)
    least = work(result.row).bytes / machine.best_memory / 1e9
    said = f"Elementwise work takes {1e3 * maps:.3g} ms, most of it {most}, and {in_all}"
    if result.row.size == "large":
        said += f"; to move the row's arrays once takes {1e3 * least:.3g} ms"
    return said + "."
