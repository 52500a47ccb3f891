"""What the checker answers: a verdict a line, a report a proof, a report a document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

HOLDS, FAILS, UNKNOWN = "holds", "fails", "unknown"


@dataclass(frozen=True)
class LineVerdict:
    """One line's verdict: `holds`, `fails` or `unknown` (cannot tell).

    Line 0 is the goal's first expression, 1 to n are the steps, n + 1 is the matrix. `mode` is the arithmetic it was checked
    in, `exact` or `50 digits`; `message` gives both values at a counterexample, with the entry and the axis sizes.
    """

    line: int
    rule: str
    verdict: str
    mode: str
    message: str = ""


@dataclass(frozen=True)
class ProofReport:
    name: str
    kind: str
    lines: tuple[LineVerdict, ...]

    @property
    def ok(self) -> bool:
        return all(line.verdict == HOLDS for line in self.lines)

    @property
    def first_problem(self) -> LineVerdict | None:
        return next((line for line in self.lines if line.verdict != HOLDS), None)


@dataclass(frozen=True)
class Report:
    """The verdicts on every line of every proof of a document; `ok` if every one holds."""

    layer: str
    proofs: tuple[ProofReport, ...]

    def count(self, verdict: str) -> int:
        return sum(line.verdict == verdict for proof in self.proofs for line in proof.lines)

    @property
    def holds(self) -> int:
        return self.count(HOLDS)

    @property
    def fails(self) -> int:
        return self.count(FAILS)

    @property
    def unknown(self) -> int:
        return self.count(UNKNOWN)

    @property
    def ok(self) -> bool:
        return all(proof.ok for proof in self.proofs)

    def to_json(self) -> dict[str, Any]:
        proofs = [{"name": p.name, "kind": p.kind, "ok": p.ok, "lines": [asdict(line) for line in p.lines]} for p in self.proofs]
        counts = {"holds": self.holds, "fails": self.fails, "unknown": self.unknown}
        return {"layer": self.layer, "ok": self.ok, **counts, "proofs": proofs}
