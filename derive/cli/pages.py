"""What `derive LAYER` shows of one layer: its page, one proof, or a derivative's, in the conventions asked for."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from derive.errors import SpecError
from derive.proof import proof_json

if TYPE_CHECKING:
    from derive.render.blocks import Page
    from derive.spec import Layer


def derived(layer: Layer) -> Any:
    """The derivation of a layer. Raises SpecError where no rule covers it."""
    from derive.engine import derive
    from derive.lemma import CannotDerive

    try:
        return derive(layer)
    except CannotDerive as error:
        raise SpecError(f"{layer.name}: {error}") from None


def page_in(layer: Layer, conventions: Any, options: argparse.Namespace, detail: str, ascii: bool) -> tuple[Page, dict[str, Any], bool]:
    """The page, its document, and whether every line holds; a document that is not asked for is empty, a page likewise without blocks."""
    from derive.render.blocks import Page
    from derive.render.notation import Context
    from derive.render.page import page

    if options.view == "differential":
        if conventions is not None:
            raise SpecError("--view differential is written in the page's own conventions; leave out one or the other")
        return _by_differentials(layer, options, detail, ascii)
    stated = None
    if conventions is not None:
        from derive.conventions import restate

        stated = restate(layer, conventions, derived)
    derivation = derived(layer) if stated is None else stated.derivation
    if any(each is not None for each in (options.proof, options.jacobian, options.hessian, options.hvp)):
        return _one_proof(derivation, stated, options, detail, ascii)
    if options.prove_convention:
        from derive.cli.conventions import proof_of

        return proof_of(stated, detail, ascii)
    if options.format == "json":
        return Page(layer.name, (), Context()), derivation.document() if stated is None else stated.document(), True
    report = None if options.no_check else derivation.check()
    # An HTML page holds the lines of every level, and opens at the one asked for.
    made = page(derivation, "baby" if options.format == "html" else detail, report, ascii, stated)
    good = report is None or report.ok
    if stated is not None:
        from derive.render.conventions import finished

        made = finished(made, stated, not options.no_check)
        good = good and (options.no_check or stated.proved)
    return made, {}, good


def _by_differentials(layer: Layer, options: argparse.Namespace, detail: str, ascii: bool) -> tuple[Page, dict[str, Any], bool]:
    """The second view of a layer, or one of its proofs."""
    from derive.differential import differential_view
    from derive.render.blocks import Page
    from derive.render.differential import differential_page
    from derive.render.notation import Context

    view = differential_view(derived(layer))
    if any(each is not None for each in (options.proof, options.jacobian, options.hessian, options.hvp)):
        return _one_proof(view, None, options, detail, ascii)
    if options.format == "json":
        return Page(layer.name, (), Context()), view.document(), True
    report = None if options.no_check else view.check()
    made = differential_page(view, "baby" if options.format == "html" else detail, report, ascii)
    return made, {}, report is None or report.ok


def _one_proof(derivation: Any, stated: Any, options: argparse.Namespace, detail: str, ascii: bool) -> tuple[Page, dict[str, Any], bool]:
    from derive.cli.jacobian import named, page_of, proof_of

    if options.proof is not None:
        proof, about = named(derivation, options.proof), derivation
    else:
        plain = derivation if stated is None else stated.plain
        proof, about = proof_of(plain, options.jacobian, options.hessian, options.hvp)
        if options.jacobian is not None and stated is not None:
            from derive.cli.conventions import jacobian_of

            return jacobian_of(proof, about, stated, options, detail, ascii)
    made, held = page_of(proof, about, detail, ascii, not options.no_check, stated)
    return made, proof_json(proof) if stated is None else stated.named(proof_json(proof)), held
