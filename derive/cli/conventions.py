"""`--layout`, `--batch`, `--weight`, `--upstream`, `--indices`, `--sum`, `--index-base`, and the proof that they change no gradient."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from derive.cli.choice import one_of
from derive.errors import SpecError
from derive.render import CONVENTIONS

if TYPE_CHECKING:
    from derive.proof import Proof
    from derive.render.blocks import Page

HELP = {
    "layout": ("layout", "the shape of a gradient: its tensor's (gradient), the transpose's (numerator), columns (denominator)"),
    "batch": ("batch convention", "examples are rows, or columns: matrices of examples are stored transposed"),
    "weight": ("weight convention", "how weights are stored"),
    "upstream": ("name of the upstream gradient", "what the upstream gradient is called"),
    "sum": ("sum convention", "every sum is written, or left to the summation convention"),
    "index_base": ("index base", "what indices count from; sums say where they run"),
}


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options, for the parser of `derive`."""
    group = parser.add_argument_group("conventions, each of which is derived anew and proved to have the same gradients")
    for name, (what, about) in HELP.items():
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=one_of(what, CONVENTIONS[name]), metavar="|".join(CONVENTIONS[name]), default=None, help=about)
    group.add_argument("--indices", metavar="NAMES", default=None, help="names for the indices, in the order in which they first stand")
    group.add_argument("--prove-convention", action="store_true", help="the proof that the gradients are the same, instead of the page")


def asked(options: argparse.Namespace) -> Any:
    """The `derive.conventions.Conventions` that were asked for, or None."""
    names = [*CONVENTIONS, "indices"]
    if all(getattr(options, name) is None for name in names):
        if options.prove_convention:
            raise SpecError("--prove-convention proves what a convention changes; name one, such as --batch cols")
        return None
    from derive.conventions import Conventions

    indices = None if options.indices is None else tuple(options.indices.replace(",", " ").split())
    base = None if options.index_base is None else int(options.index_base)
    return Conventions(options.layout, options.batch, options.weight, options.upstream, indices, options.sum, base)


def proof_of(stated: Any, detail: str, ascii: bool) -> tuple[Page, dict[str, Any], bool]:
    """The page and the document of the proof that the conventions change no gradient, and whether every line holds.

    Raises SpecError where no proof is found.
    """
    from derive.reading import reading_document
    from derive.render.conventions import convention_page

    found = stated.agreement
    if not found.proved:
        what = f"they differ: {found.difference}" if found.difference else f"no proof was found that {found.stuck} is equal"
        raise SpecError(f"{stated.first.layer.name}: {what}")
    document = found.document if stated.rederived else reading_document(stated.derivation, *stated.rewrites)
    return convention_page(stated, detail, ascii), document, stated.proved


def jacobian_of(
    proof: Proof, derivation: Any, stated: Any, options: argparse.Namespace, detail: str, ascii: bool
) -> tuple[Page, dict[str, Any], bool]:
    """A Jacobian in the layout asked for: its page, its JSON, and whether every line holds; or the proof that it is the transpose."""
    from derive.check import check_document
    from derive.cli.jacobian import page_of
    from derive.layouts import jacobian_in, transposed_jacobian
    from derive.proof import proof_json
    from derive.render.blocks import Heading, Page, Paragraph
    from derive.render.conventions import finished
    from derive.render.notation import context
    from derive.render.page import conventions, ledger_line, proof_blocks

    laid = jacobian_in(proof, stated.conventions.layout, derivation.layer)
    if not options.prove_convention:
        made, held = page_of(laid, derivation, detail, ascii, not options.no_check, stated)
        return made, stated.named(proof_json(laid)), held
    proofs = (proof, *transposed_jacobian(proof, derivation.layer))
    document = derivation.document()
    document["proofs"] += [proof_json(each) for each in proofs]
    report = check_document(document)
    tensors = {t.name: t for each in proofs for t in each.tensors}
    where = context(tensors, proof.batch, ascii)
    blocks = [Heading(f"{derivation.layer.name}: the Jacobian in both layouts", 1), *conventions(derivation, where, stated)]
    for each in proofs:
        blocks += proof_blocks(each, detail)
    blocks += [Heading("Checked", 2), Paragraph(ledger_line(report))]
    return finished(Page(proof.name, tuple(blocks), where), stated, False), document, report.ok
