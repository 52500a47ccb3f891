"""Why a row falls short: the profile of the generated kernel, taken there and then, and a sentence that only it decides."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.counting import work
from benchmarks.goals import Verdict
from benchmarks.machine import Machine
from benchmarks.measure import Result
from benchmarks.shares import CALLS, EXP, FUSED, MAPS, OUTSIDE, PRODUCTS, SUMS, Shares, said, shares

APART = 1.5
"""How many times as long a kernel may take in turn with the others as alone before it is said."""


@dataclass(frozen=True)
class Reason:
    """What falls short of some goals: what it takes, the shares of that by kind, which add up to 1, and what follows from them."""

    row: str
    ours: str
    goals: tuple[str, ...]
    taken: str
    parts: dict[str, float]
    sentence: str

    def lines(self) -> tuple[str, str]:
        return f"{self.row}: {self.ours} ({'; '.join(self.goals)})", f"{self.taken}: {said(self.parts)}. {self.sentence}"

    def json(self) -> dict[str, Any]:
        return asdict(self)


def goal_said(verdict: Verdict) -> str:
    """A goal that is missed, in a few words."""
    over = f" over {verdict.theirs}" if verdict.theirs else ""
    _, comma, where = verdict.what.partition(", ")
    return f"{verdict.reached} of {verdict.goal}{over}{comma}{where}"


def reasons(result: Result, verdicts: list[Verdict], machine: Machine, bare: float | None = None) -> list[Reason]:
    """A profile and a sentence for each kernel of the row that falls short of some goal of speed."""
    found = []
    short = [v for v in verdicts if v.row == result.row.key and v.met is False and v.ours in result.seconds]
    for ours in dict.fromkeys(verdict.ours for verdict in short):
        mine = [v for v in short if v.ours == ours]
        profile = shares(result.row, ours)
        sentence = explained(result, ours, mine[0].theirs, profile, machine, bare)
        goals = tuple(goal_said(verdict) for verdict in mine)
        found.append(Reason(result.row.key, ours, goals, f"{1e3 * profile.seconds:.3g} ms", profile.parts, sentence))
    return found


def explained(result: Result, ours: str, theirs: str, profile: Shares, machine: Machine, bare: float | None) -> str:
    """What the numbers say: which kind of work takes most of the time, next to what theirs takes in all."""
    calls = profile.took(CALLS) + profile.took(OUTSIDE)
    maps = profile.took(EXP) + profile.took(SUMS) + profile.took(MAPS)
    products, fused = profile.took(PRODUCTS), profile.took(FUSED)
    flop = work(result.row).flop
    more = ""
    if calls >= max(products, maps, fused):
        most = f"Calls, checks and memory take {1e3 * calls:.3g} ms, more than any kind of arithmetic"
        if bare is not None and ours == "ours torch" and result.row.size == "small":
            more = f"; an autograd.Function that does nothing takes {1e3 * bare:.3g} ms here"
    elif products >= max(maps, fused):
        most = f"The products take {1e3 * products:.3g} ms"
        if result.row.size != "small" and flop > 1e8:
            rate = flop / products / 1e9 / machine.best_gemm
            more = f"; the row's own products run at {100 * rate:.0f} % of this machine's limit"
    elif fused >= maps:
        most = f"torch's fused operators take {1e3 * fused:.3g} ms"
    else:
        kind = max((EXP, SUMS, MAPS), key=profile.took)
        most = f"Elementwise work takes {1e3 * maps:.3g} ms, most of it {kind}"
        if result.row.size == "large":
            more = f"; to move the row's arrays once takes {1e3 * work(result.row).bytes / machine.best_memory / 1e9:.3g} ms"
    turn = result.median(ours)
    if turn > APART * profile.seconds:
        more += f"; the profile is of the kernel alone, and in turn with the others it takes {1e3 * turn:.3g} ms"
    return f"{most}, and {theirs} takes {1e3 * result.median(theirs):.3g} ms in all{more}."
