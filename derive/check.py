"""The independent checker: reads a proof's JSON and answers, line by line, whether each line equals the one before it.

It shares no code with the deriver: no rule, no SymPy, no array library, nothing but the standard library. Every line is
evaluated in random worlds, that is pairwise distinct axis sizes (all at least 2, because with size 1 a wrong transpose or a
dropped delta goes unseen) and random tensors that respect the declared facts, at sampled entries of the goal: in exact
rationals where the numbers allow, else to 50 digits (`derive.checker.arithmetic`). Derivatives are dual numbers
(`derive.checker.evaluate`). The first line is compared with what the target means (`derive.checker.meaning`), and a
definition that a proof takes as given has to be one of the layer's or the end of an earlier proof (`derive.checker.form`).
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

from derive.checker.arithmetic import CannotTell, Number, OutsideDomain, Singular
from derive.checker.form import Form, matrices_of, read
from derive.checker.meaning import Context, context_of, extend
from derive.checker.structure import Malformed
from derive.checker.tables import ATTEMPTS, Table, tables
from derive.checker.verdicts import FAILS, HOLDS, UNKNOWN, LineVerdict, ProofReport, Report
from derive.checker.worlds import out_of_reach

__all__ = [
    "FAILS",
    "HOLDS",
    "UNKNOWN",
    "Context",
    "LineVerdict",
    "ProofReport",
    "Report",
    "check_document",
    "check_proof",
    "context_of",
    "extend",
]

Node = Any
FORMAT = "gradproof/1"


def check_document(document: Node, seed: int = 0) -> Report:
    """Check every proof of a document (format: `derive.proof`). Raises ValueError if it is no such document."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"this is no proof document: its format is not {FORMAT!r}")
    try:
        document = _plainly_named(document)
        context = context_of(document["layer"])
        beyond = out_of_reach(document["layer"], seed)
        reports = []
        for proof in document["proofs"]:
            lines = check_proof(proof, seed, context)
            if beyond:
                lines = tuple(replace(line, verdict=UNKNOWN, message=beyond) if line.verdict == HOLDS else line for line in lines)
            reports.append(ProofReport(proof["name"], proof["kind"], lines))
            extend(context, proof)
        return Report(document["layer"]["name"], tuple(reports))
    except (KeyError, TypeError, AttributeError, Malformed) as error:
        raise ValueError(f"this proof document is not well formed ({type(error).__name__}: {error})") from error


def _plainly_named(document: Node) -> Node:
    """The document with upstream gradients under their plain names, `dY`; those that its layer calls otherwise are free of other uses."""
    names = document["layer"].get("upstream", {})
    if not names:
        return document
    layer = document["layer"]
    plain = {f"d{output}" for output in layer["outputs"]}
    used = {tensor["name"] for part in (layer, *document["proofs"]) for tensor in part["tensors"]}
    for new, old in names.items():
        if old not in plain or old in used or new in {tensor["name"] for tensor in layer["tensors"]}:
            raise Malformed(f"{new} cannot be the name of the upstream gradient {old}")

    def renamed(node: Node) -> Node:
        if isinstance(node, dict):
            return {key: names.get(value, value) if key == "name" else renamed(value) for key, value in node.items()}
        if isinstance(node, list):
            if len(node) == 3 and node[0] in ("ref", "whole"):
                return [node[0], names.get(node[1], node[1]), renamed(node[2])]
            return [renamed(part) for part in node]
        return node

    return renamed(document)


def check_proof(proof: Node, seed: int = 0, context: Context | None = None) -> tuple[LineVerdict, ...]:
    """The verdict on each line of one proof; without a `context` its `given` definitions are all that is known of the layer."""
    rules = ["given", *(step["rule"] for step in proof["steps"]), *("matrix" for _ in matrices_of(proof))]
    try:
        form = read(proof, context or Context())
    except (Malformed, CannotTell) as error:
        first = LineVerdict(0, rules[0], FAILS if isinstance(error, Malformed) else UNKNOWN, "exact", str(error))
        why = "what the proof takes as given is at fault"
        return (first, *(LineVerdict(n, rule, UNKNOWN, "exact", why) for n, rule in enumerate(rules[1:], start=1)))
    found = tables(form, seed)
    mode = found[0].arithmetic.mode if found else "exact"
    verdicts = _judge(form, found, len(rules))
    return tuple(LineVerdict(n, rule, verdicts[n][0], mode, verdicts[n][1]) for n, rule in enumerate(rules))


def _judge(form: Form, found: list[Table], count: int) -> list[tuple[str, str]]:
    """Verdict and message of each line: it fails at the first entry that differs from the line before it."""
    verdicts = dict(form.broken)
    for table in found:
        for first, second, entry in table.disagreements():
            line = second - 1
            if verdicts.get(line, (UNKNOWN, ""))[0] == UNKNOWN:
                verdicts[line] = (FAILS, _counterexample(form, table, first, second, entry))
    for table in found:
        for number, row in enumerate(table.rows):
            lost = [(entry, cell) for entry, cell in enumerate(row) if isinstance(cell, OutsideDomain)]
            if lost:
                entry, why = lost[0]
                before = next((other[entry] for other in reversed(table.rows[:number]) if other), why)
                # No value by arithmetic itself, where there was one, is a difference; what is too large to evaluate is none.
                undefined = isinstance(why, Singular) or str(why) == "division by zero"
                verdict = FAILS if undefined and not isinstance(before, OutsideDomain) else UNKNOWN
                verdicts.setdefault(max(number - 1, 0), (verdict, f"{why}, in each of {ATTEMPTS} draws"))
    return [verdicts.get(line, (HOLDS, "")) for line in range(count)]


def _counterexample(form: Form, table: Table, first: int, second: int, entry: int) -> str:
    target = form.proof["goal"]["target"]
    before = f"what {target[1]} means" if first == 0 else "the line before" if second == first + 1 else f"line {first - 1}"
    text = f"{before} is {_show(table.rows[first][entry])}, this line {_show(table.rows[second][entry])}"
    at = ", ".join(f"{index[1]} = {value}" for index, value in zip(target[2], table.keys[entry]))
    sizes = ", ".join(f"{axis} = {size}" for axis, size in table.sizes.items())
    return text + (f", at {at}" if at else "") + (f" (sizes {sizes})" if sizes else "")


def _show(value: Number) -> str:
    text = str(value)
    if len(text) <= 24:
        return text
    with localcontext() as local:
        local.prec = 12
        ratio = Fraction(value)
        return f"about {Decimal(ratio.numerator) / Decimal(ratio.denominator):.8g}"
