"""The NumPy contestants and eager once more in a child process with another environment: OpenBLAS's kernels chosen the other way (pinned,
or by itself), or huge pages for torch's memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import goals, machine
from benchmarks.goals import Verdict
from benchmarks.measure import everyone
from benchmarks.reasons import Reason, reasons
from benchmarks.rows import Row, chosen

PINNED = "Haswell"
PAGES = "THP_MEM_ALLOC_ENABLE"
CONTESTANTS = ("ours NumPy", "by hand NumPy", "eager")


@dataclass(frozen=True)
class Line:
    """A row in the child: medians by contestant, ours over eager, and what its goals and profiles say."""

    row: str
    medians: dict[str, float]
    ratio: float | None
    verdicts: list[Verdict]
    reasons: list[Reason]

    def json(self) -> dict[str, Any]:
        verdicts, reasons = ([each.json() for each in found] for found in (self.verdicts, self.reasons))
        return {"row": self.row, "medians": self.medians, "ratio to eager": self.ratio, "goals": verdicts, "short": reasons}


@dataclass
class Setting:
    """A variable of the child's environment, its value or None where it is unset, and the rows found so."""

    variable: str
    value: str | None
    said: str
    lines: list[Line] = field(default_factory=list)

    @property
    def title(self) -> str:
        return f"The same with {self.variable}{f'={self.value}' if self.value else ' unset'} ({self.said}), in a child process"

    def environment(self) -> dict[str, str]:
        found = {name: value for name, value in os.environ.items() if name != self.variable}
        return found if self.value is None else {**found, self.variable: self.value}

    def json(self) -> dict[str, Any]:
        return {"title": self.title, "rows": [line.json() for line in self.lines]}


def kernels(pinned: bool) -> Setting:
    """OpenBLAS's kernels the other way than in this process."""
    return Setting(machine.VARIABLE, None if pinned else PINNED, "not pinned" if pinned else "pinned")


def huge_pages() -> Setting:
    return Setting(PAGES, "1", "huge pages")


def measured(rows: Sequence[Row], setting: Setting, quick: bool) -> Iterator[Line]:
    """The rows in order, each as soon as the child has measured it. Raises RuntimeError with what the child said where it ends early."""
    words = [
        sys.executable,
        "-m",
        "benchmarks.other_blas",
        json.dumps([row.key for row in rows]),
        setting.said,
        "quick" if quick else "full",
    ]
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        child = subprocess.Popen(words, env=setting.environment(), stdout=subprocess.PIPE, stderr=said, text=True)
        try:
            assert child.stdout is not None
            done = 0
            for line in child.stdout:
                done += 1
                found = json.loads(line)
                verdicts = [Verdict(**each) for each in found["verdicts"]]
                yield Line(found["row"], found["medians"], found["ratio"], verdicts, [Reason(**each) for each in found["reasons"]])
            said.seek(0)
            if done < len(rows):
                raise RuntimeError(f"the child process ended with {child.wait()}: {' '.join(said.read().splitlines()[-1:])}")
        finally:
            child.kill()
            child.wait()


def main(arguments: list[str]) -> int:
    """Measure the rows of these keys and print each as a line of JSON."""
    from dataclasses import asdict

    machine.equal_threads()
    keys, said, quick = json.loads(arguments[0]), arguments[1], arguments[2] == "quick"
    limits = machine.measured(1024 if quick else 2048)
    for result in everyone([row for row in chosen() if row.key in keys], CONTESTANTS, quick):
        verdicts = goals.judged_other(result, limits.pinned, said)
        found = {
            "row": result.row.key,
            "medians": {name: result.median(name) for name in result.seconds},
            "ratio": result.ratio("ours NumPy", "eager") if {"ours NumPy", "eager"} <= set(result.seconds) else None,
            "verdicts": [asdict(verdict) for verdict in verdicts],
            "reasons": [asdict(reason) for reason in reasons(result, verdicts, limits)],
        }
        print(json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
