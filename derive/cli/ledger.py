"""The checker's ledger: a line a proof, what fails and where, and what a mutation test says of the checker itself."""

from __future__ import annotations

from typing import Any

from derive.render.page import ledger_line
from derive.render.text import Line


def ledger(report: Any) -> list[Line]:
    """A table of one layer's proofs with their verdicts, and every line that does not hold."""
    found: list[Line] = [((report.layer, "title"),)]
    wide = max((len(f"{p.kind} {p.name}") for p in report.proofs), default=0)
    for proof in report.proofs:
        count = len(proof.lines)
        held = sum(line.verdict == "holds" for line in proof.lines)
        modes = ", ".join(dict.fromkeys(line.mode for line in proof.lines))
        verdict = (f"holds, {modes}", "good") if proof.ok else (f"{count - held} of {count} do not hold", "bad")
        lines = f"{count} line{'' if count == 1 else 's'}"
        found.append(((f"  {f'{proof.kind} {proof.name}'.ljust(wide)}   {lines.rjust(9)}   ", "plain"), verdict))
        for line in proof.lines:
            if line.verdict != "holds":
                what = "does not hold" if line.verdict == "fails" else "cannot tell"
                found.append(((f"      line {line.line} ({line.rule.replace('_', ' ')}): {what}: {line.message}", "bad"),))
    return [*found, (("  " + ledger_line(report), "good" if report.ok else "bad"),), ()]


def strength(documents: list[dict[str, Any]], count: int = 240) -> list[Line]:
    """What share of planted errors the checker catches, and catches at the right line."""
    from derive.mutate import score

    found = score(documents, count, 0)
    caught, placed = found.caught / found.total, found.at_right_line / found.total
    text = f"Of {found.total} errors planted in these proofs the checker catches {caught:.1%}, {placed:.1%} at the right line."
    return [(("Mutation test", "title"),), (("  " + text, "plain"),)]
