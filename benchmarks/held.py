"""Why memory falls short of its goal: what a kernel holds at its peak, measured pass by pass in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping

from benchmarks.goals import Verdict
from benchmarks.memory import held
from benchmarks.reasons import Reason, goal_said
from benchmarks.rows import Row

RESULTS, SAVED, REST = "output and gradients", "saved for the backward pass", "blocks, workspace and the libraries' own"


def reasons(row: Row, verdicts: list[Verdict], peaks: Mapping[str, float | str]) -> list[Reason]:
    """For each kernel that falls short on this row: the parts of its peak, and in which pass that is."""
    found = []
    short = [verdict for verdict in verdicts if verdict.met is False and verdict.row == row.key]
    for ours in dict.fromkeys(verdict.ours for verdict in short):
        mine = tuple(verdict for verdict in short if verdict.ours == ours)
        against = "; ".join(f"{v.theirs} takes {peaks[v.theirs]:.0f} MB in all" for v in mine if not isinstance(peaks[v.theirs], str))
        found.append(_reason(row, ours, row.key, tuple(goal_said(verdict) for verdict in mine), against))
    return found


def reasons_of_growth(rows: tuple[Row, ...], verdicts: list[Verdict]) -> list[Reason]:
    """For each kernel whose memory grows faster than the length: the parts of its peak on the longest row."""
    longest = max((row for row in rows if row.attends), key=lambda row: row.shapes["Q"][2])
    return [
        _reason(longest, verdict.ours, verdict.row, (f"slope {goal_said(verdict)}",), f"these are of {longest.key}")
        for verdict in verdicts
        if verdict.met is False
    ]


def _reason(row: Row, ours: str, key: str, goals: tuple[str, ...], against: str) -> Reason:
    found = held(row.key, ours)
    peak = max(found["forward"], found["backward"])
    when = "forward" if found["forward"] > found["backward"] else "backward"
    results = min(found["results"], peak)
    saved = min(found["saved"], peak - results)
    parts = {RESULTS: results / peak, SAVED: saved / peak, REST: 1 - (results + saved) / peak}
    sentence = (
        f"The peak is in the {when} pass (forward {found['forward']:.0f}, between them {found['between']:.0f}, backward "
        f"{found['backward']:.0f} MB); most of it is {max(parts, key=lambda each: parts[each])}; {against}."
    )
    return Reason(key, ours, goals, f"{peak:.0f} MB", parts, sentence)
