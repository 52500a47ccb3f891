"""The page of two layers proved equal: what is claimed, under which hypotheses, and the proof of each output."""

from __future__ import annotations

from typing import Any

from derive.agreement import declared
from derive.expr import Equation
from derive.render.blocks import Block, Formulas, Givens, Heading, Identities, Page, Paragraph
from derive.render.notation import context, listing
from derive.render.page import given_rows, ledger_line, proof_blocks, rules_used


def equality_page(agreement: Any, detail: str = "full", report: Any = None, ascii: bool = False) -> Page:
    """The page of a proved `derive.agreement.Agreement`; `report` is the checker's, if it has run."""
    first, second, both = agreement.first, agreement.second, agreement.pair
    where = context((t.name for t in both.layer.tensors), both.layer.batch, ascii)
    blocks: list[Block] = [Heading(f"{second.name} computes what {first.name} does", 1)]
    blocks += [Heading("Given", 2), Givens(given_rows(both.layer))]
    blocks += [Paragraph(f"{first.name}:"), Formulas(both.first)]
    blocks += [Paragraph(f"{second.name}, whose tensors are told apart by a 2:"), Formulas(both.second)]
    blocks += claim_blocks(agreement)
    blocks.append(Heading("Proof", 2))
    for proof in agreement.proofs:
        blocks += proof_blocks(proof, detail)
    if detail != "brief":
        blocks += rules_used(agreement.proofs, detail)
    if report is not None:
        blocks += [Heading("Checked", 2), Paragraph(ledger_line(report))]
    return Page(both.layer.name, tuple(blocks), where)


def claim_blocks(agreement: Any) -> list[Block]:
    """What the second layer's inputs are, the hypotheses, and what is then claimed of its outputs."""
    both = agreement.pair
    blocks: list[Block] = []
    if both.bridges:
        blocks += [Paragraph(f"The inputs of {agreement.second.name} are"), Formulas(both.bridges)]
    if both.layer.facts:
        plural = "hypotheses" if len(both.layer.facts) > 1 else "hypothesis"
        blocks += [Paragraph(f"Under the {plural}"), Formulas(both.layer.facts)]
    results = tuple(_result(claim, agreement) for claim in both.claims)
    names = listing(f"`{claim.equation.target.tensor}`" for claim in both.claims)
    blocks += [Paragraph(f"Then {names} {'is' if len(results) == 1 else 'are'}"), Formulas(results)]
    return blocks


def _result(claim: Any, agreement: Any) -> Equation:
    target = claim.equation.target
    proof = next((proof for proof in agreement.proofs if proof.goal.target.tensor == target.tensor), None)
    return Equation(target, claim.values[0] if proof is None else proof.result.value)


def mentions(derivation: Any, detail: str) -> list[Block]:
    """What a layer's own page says of the layers that compute the same: the proof, or where it is the second of the two, the claim."""
    blocks: list[Block] = []
    rows = [
        (same.first, "; ".join((*same.where, *same.facts))) for same in declared(derivation.layer) if same.second == derivation.layer.name
    ]
    if rows:
        blocks += [Heading("Equal", 2), Paragraph("The same is computed by, with the proof on that layer's page,")]
        blocks.append(Identities(tuple((name, said or "for the same inputs") for name, said in rows)))
    for agreement in derivation.equals:
        blocks += [Heading(f"Equal: {agreement.second.name}", 2)]
        blocks += [Paragraph(f"The layer {agreement.second.name}, its tensors told apart by a 2, is"), Formulas(agreement.pair.second)]
        blocks += claim_blocks(agreement)
        for proof in agreement.proofs:
            blocks += proof_blocks(proof, detail)
    return blocks
