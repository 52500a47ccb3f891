"""What is to be reached, row by row, and whether it was: goals 1 to 5 as data, and their judging.

1 as good as by hand; 2 NumPy; 3 torch; 4 memory; 5 deriving. Speed is how many times as fast, memory a share of theirs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.contestants import OURS
from benchmarks.measure import Result
from benchmarks.rows import Row

BY_HAND = ("by hand NumPy", "by hand torch")
NUMPY, TORCH, PAIR = OURS


@dataclass(frozen=True)
class Goal:
    """Ours against theirs: at least `least` times as fast."""

    number: int
    ours: str
    theirs: str
    least: float


@dataclass(frozen=True)
class Verdict:
    """A goal, what was reached, and whether that is enough: None where it was not measured, and then `reached` says why."""

    number: int
    row: str
    what: str
    goal: str
    reached: str
    met: bool | None
    ours: str = ""
    theirs: str = ""

    @property
    def word(self) -> str:
        return {True: "met", False: "short", None: "not measured"}[self.met]

    def json(self) -> dict[str, Any]:
        return {**asdict(self), "verdict": self.word}


# Goal 2, large rows, over eager: with OpenBLAS's own choice of kernels, and with them pinned to AVX2 where that makes a difference.
NUMPY_LARGE = {
    "linear": (2.0, 1.15),
    "linear_cross_entropy": (2.6, 1.7),
    "attention": (1.6, 1.0),
    "attention_causal": (1.6, 1.0),
    "cross_entropy_labels": (5.0, 5.0),
    "rms_norm": (8.0, 8.0),
    "layer_norm": (1.2, 1.2),
    "softmax": (1.6, 1.6),
    "mse": (3.5, 3.5),
}
HUGE_PAGES = {"cross_entropy_labels": 1.7}
"""Goal 2, large rows, over eager where torch's memory comes in huge pages, which most of what eager loses there is about."""
TORCH_LARGE = {
    "attention": 1.2,
    "attention_causal": 1.2,
    "linear_cross_entropy": 2.5,
    "cross_entropy_labels": 5.0,
    "rms_norm": 8.0,
    "mse": 1.8,
    "mlp_gelu": 1.9,
    "mlp_swiglu": 1.9,
}
MEMORY = {
    "linear_cross_entropy": (("eager", 0.12), ("compile", 0.3)),
    "attention": (("eager", 0.95),),
    "attention_causal": (("eager", 0.95),),
    "cross_entropy_labels": (("eager", 0.34),),
}
WITHIN = 0.9
"""Goal 1: at least this share of the speed of the best by hand."""


def of(row: Row, pinned: bool) -> tuple[Goal, ...]:
    """The goals of a row, beside that of being as good as by hand."""
    found = []
    if row.size == "small":
        found += [Goal(2, NUMPY, "eager", 1.1), Goal(2, NUMPY, "autograd", 3.5)]
    if row.size == "large":
        if row.layer in NUMPY_LARGE:
            found.append(Goal(2, NUMPY, "eager", NUMPY_LARGE[row.layer][pinned]))
        if row.attends:
            found += [Goal(2, NUMPY, "JAX", 4.0), Goal(2, NUMPY, "autograd", 5.0), Goal(3, TORCH, "plain", 2.5)]
        found.append(Goal(3, TORCH, "eager", TORCH_LARGE.get(row.layer, 0.9)))
    else:
        found.append(Goal(3, TORCH, "eager", 0.9))
    if row.size == "small":
        found.append(Goal(3, PAIR, "eager", 2.0))
    return tuple(found)


def judged(result: Result, pinned: bool) -> list[Verdict]:
    """The row's goals, next to what was reached."""
    found = [_by_hand(result)]
    for goal in of(result.row, pinned):
        missing = next((name for name in (goal.ours, goal.theirs) if name not in result.seconds), None)
        what = f"{goal.ours} over {goal.theirs}"
        if missing is not None:
            reason = f"{missing}: {result.skipped.get(missing, 'not asked for')}"
            found.append(Verdict(goal.number, result.row.key, what, f"{goal.least:g}", reason, None, goal.ours, goal.theirs))
            continue
        reached = result.ratio(goal.ours, goal.theirs)
        found.append(
            Verdict(goal.number, result.row.key, what, f"{goal.least:g}", f"{reached:.2f}", reached >= goal.least, goal.ours, goal.theirs)
        )
    return found


def judged_other(result: Result, pinned: bool, said: str) -> list[Verdict]:
    """Goal 2 against eager once more, in another environment, which `said` names."""
    least = [goal.least for goal in of(result.row, pinned) if (goal.ours, goal.theirs) == (NUMPY, "eager")]
    if said == "huge pages":
        least = [HUGE_PAGES[result.row.layer]]
    if not {NUMPY, "eager"} <= set(result.seconds):
        reason = "; ".join(f"{name}: {why}" for name, why in result.skipped.items() if name in (NUMPY, "eager"))
        return [Verdict(2, result.row.key, f"{NUMPY} over eager, {said}", f"{each:g}", reason, None, NUMPY, "eager") for each in least]
    reached = result.ratio(NUMPY, "eager")
    what = f"{NUMPY} over eager, {said}"
    return [Verdict(2, result.row.key, what, f"{each:g}", f"{reached:.2f}", reached >= each, NUMPY, "eager") for each in least]


def _by_hand(result: Result) -> Verdict:
    ours, theirs = result.fastest(OURS), result.fastest(BY_HAND)
    if ours is None or theirs is None:
        missing = "ours" if ours is None else "by hand"
        return Verdict(1, result.row.key, "the best of ours over the best by hand", f"{WITHIN:g}", f"{missing} is missing", None)
    reached = result.ratio(ours, theirs)
    return Verdict(1, result.row.key, f"{ours} over {theirs}", f"{WITHIN:g}", f"{reached:.2f}", reached >= WITHIN, ours, theirs)


def judged_memory(rows: tuple[Row, ...], peaks: Mapping[str, Mapping[str, float | str]], targets: tuple[str, ...]) -> list[Verdict]:
    """Goal 4: the share of their peak memory that ours takes."""
    found = []
    for row in rows:
        for theirs, most in MEMORY.get(row.layer, ()):
            for ours in targets:
                mine, other = (peaks.get(row.key, {}).get(name, "not asked for") for name in (ours, theirs))
                what, goal = f"memory of {ours} over {theirs}", f"at most {most:g}"
                if isinstance(mine, str) or isinstance(other, str):
                    reached = f"{ours}: {mine}" if isinstance(mine, str) else f"{theirs}: {other}"
                    found.append(Verdict(4, row.key, what, goal, reached, None, ours, theirs))
                else:
                    found.append(Verdict(4, row.key, what, goal, f"{mine / other:.2f}", mine / other <= most, ours, theirs))
    return found


def judged_growth(rows: tuple[Row, ...], peaks: Mapping[str, Mapping[str, float | str]], targets: tuple[str, ...]) -> list[Verdict]:
    """Goal 4: attention's memory for a head is linear in the length, from the shortest of its rows to the longest."""
    found = []
    attention = sorted((row for row in rows if row.layer == "attention"), key=lambda row: row.shapes["Q"][2])
    for ours in targets if len(attention) > 1 else ():
        first, last = attention[0], attention[-1]
        less, more = (peaks.get(row.key, {}).get(ours, "not asked for") for row in (first, last))
        what, key = f"memory of {ours}, its growth with the length", f"{first.name} to {last.name}"
        if isinstance(less, str) or isinstance(more, str):
            found.append(Verdict(4, key, what, "at most 1.1", str(less if isinstance(less, str) else more), None, ours))
            continue
        heads = [row.shapes["Q"][0] * row.shapes["Q"][1] for row in (first, last)]
        times = last.shapes["Q"][2] / first.shapes["Q"][2]
        slope = math.log((more / heads[1]) / (less / heads[0])) / math.log(times)
        found.append(Verdict(4, key, what, "at most 1.1", f"{slope:.2f}", slope <= 1.1, ours))
    return found


DERIVING = {
    "all gradients of attention": (0.035, "s"),
    "a transformer block": (0.5, "s"),
    "growth in depth, log-log slope": (1.1, ""),
    "derive attention from the shell": (1.0, "s"),
}


def judged_deriving(times: Mapping[str, float]) -> list[Verdict]:
    """Goal 5: seconds, and the slope that depth grows by."""
    found = []
    for what, (most, unit) in DERIVING.items():
        reached = times.get(what)
        said = "not asked for" if reached is None else f"{reached:.3f} {unit}".strip()
        found.append(Verdict(5, "deriving", what, f"at most {most:g} {unit}".strip(), said, None if reached is None else reached <= most))
    return found
