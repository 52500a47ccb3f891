"""The page of the differential view: what each equation and the loss move by, in matrix notation where there is one."""

from __future__ import annotations

from typing import Any

from derive.errors import listing
from derive.proof import Proof
from derive.render.blocks import Block, Bullets, Heading, Page, Paragraph
from derive.render.notation import context
from derive.render.page import _given, _results, _title, conventions, ledger_line, proof_blocks, rules_used

CONVENTIONS = (
    "`tA` is the differential of `A`: what `A` changes by, to first order, when the inputs move. Elsewhere it is often written as a d "
    "before the name, which is the gradient here. A dot after brackets is the differential of what stands in them.",
    "`⟨A, B⟩` is the sum of all entries of `A ∘ B`, the trace of the transpose of `A` times `B`.",
    "The loss moves by the bracket of each output's gradient with its differential. Back through an equation, everything but the "
    "differential goes to the other side of its bracket; the differential of an input is any tensor of its shape, so what stands beside "
    "it is the gradient.",
)


def differential_page(view: Any, detail: str = "full", report: Any = None, ascii: bool = False) -> Page:
    """The page of a `derive.differential.View` at a level of detail; `report` is the checker's, if it has run."""
    derivation = view.derivation
    layer = derivation.layer
    known = (t.name for t in (*derivation.tensors, *view.tensors))
    where = context((*known, view.loss.removeprefix("t"), "A"), layer.batch, ascii, derivation.inner)
    blocks: list[Block] = [Heading(_title(derivation).replace("step by step", "by differentials"), 1)]
    if layer.doc:
        blocks.append(Paragraph(" ".join(layer.doc.split())))
    heading, said = conventions(derivation, where)
    assert isinstance(said, Bullets)
    first, *others = (item for item in said.items if not item.startswith("`∂"))
    blocks += [heading, Bullets((first, *CONVENTIONS, *others))]
    blocks += _given(derivation, where)
    blocks += _section("Rewritten on entry", derivation.prepare, detail)
    blocks += _section("The differential of each equation", view.differentials, detail)
    blocks += _section("From the last equation to the first", view.back, detail)
    blocks += _section("What the loss moves by", (view.whole,), detail)
    if detail != "brief":
        rules = rules_used(view.proofs, detail)
        blocks += [*rules[:1], Paragraph("`D(u)` stands for the differential of `u`."), *rules[1:]] if rules else []
    blocks += [*_results(derivation, where), Heading("The two views", 2), Paragraph(agreement(view))]
    if report is not None:
        blocks += [Heading("Checked", 2), Paragraph(ledger_line(report))]
    return Page(layer.name, tuple(blocks), where)


def agreement(view: Any) -> str:
    """How it is known that the gradients are the index view's."""
    if not view.unproved:
        return "Every gradient ends in the last line of the index view, by rules alone."
    names = listing(f"`{name}`" for name in view.unproved)
    return f"The gradients end in the last lines of the index view: {names} by the checker's random numbers, the others by rules alone."


def _section(title: str, proofs: tuple[Proof, ...], detail: str) -> list[Block]:
    return [Heading(title, 2), *(block for proof in proofs for block in moves(proof, detail))] if proofs else []


def moves(proof: Proof, detail: str) -> list[Block]:
    """One proof of the view, under a heading that says what it does."""
    headings = {"tangent": f"Differential of {proof.name[1:]}", "bracket": proof.name.capitalize(), "differential": "The whole way"}
    blocks = proof_blocks(proof, detail)
    return [Heading(headings[proof.kind], 3), *blocks[1:]] if proof.kind in headings else blocks
