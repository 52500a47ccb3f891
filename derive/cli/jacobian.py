"""`derive LAYER --jacobian X`, `--hessian X`, `--hvp X`, `--proof dX`: one proof each, what is assumed about layout, and the verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from derive.errors import SpecError, near
from derive.proof import Proof, proof_json
from derive.render.blocks import Bullets, Page, Paragraph
from derive.render.page import ledger_line, proof_page

LAYOUT = (
    "Numerator layout: the axes of what is differentiated come first, so M outputs of N inputs give M × N; in denominator "
    "layout it is the transpose."
)
DENOMINATOR = (
    "Denominator layout: the axes of what is differentiated by come first, so M outputs of N inputs give N × M; in gradient and in "
    "numerator layout it is the transpose."
)
SYMMETRIC = "The rows are the entries of the first tensor, the columns those of the second; dL is the upstream gradient of the scalar."


VECTOR = (
    "The Hessian by the tensor, times a direction of its shape, which stands as the upstream gradient of the backward pass: no Hessian "
    "is built. What is differentiated twice is the sum of the outputs times their upstream gradients."
)


def proof_of(derivation: Any, jacobian: str | None, hessian: str | None, hvp: str | None = None) -> tuple[Proof, Any]:
    """The proof asked for and the derivation whose layer it speaks of. Raises SpecError for a name that is no input."""
    from derive.jacobian import hessian as second
    from derive.jacobian import hessian_vector
    from derive.jacobian import jacobian as first

    layer = derivation.layer
    names = [name.strip() for name in (jacobian or hessian or hvp or "").split(",")]
    for name in names:
        if name not in layer.wrt:
            known = ", ".join(layer.wrt)
            raise SpecError(f"{layer.name}: {name or 'nothing'} is no differentiable input{near(name, layer.wrt)}; choose from {known}")
    try:
        if jacobian is not None:
            if len(names) > 1:
                raise SpecError(f"{layer.name}: --jacobian takes one input, got {jacobian}")
            return first(derivation, names[0]), derivation
        if hvp is not None:
            if len(names) > 1:
                raise SpecError(f"{layer.name}: --hvp takes one input, got {hvp}")
            return hessian_vector(derivation, names[0]), derivation.second
        if len(names) > 2:
            raise SpecError(f"{layer.name}: --hessian takes one input or two, got {hessian}")
        return second(derivation, names[0], names[-1]), derivation.second
    except ValueError as error:
        raise SpecError(str(error)) from None
    except KeyError:
        raise SpecError(f"{layer.name}: the output does not depend on {' and '.join(names)}: every derivative is 0") from None


def named(derivation: Any, name: str) -> Proof:
    """The proof of that name. Raises SpecError where there is none."""
    known: dict[str, Proof] = {}
    for proof in derivation.proofs:
        known.setdefault(proof.name, proof)
    if name not in known:
        raise SpecError(
            f"{derivation.layer.name}: there is no proof of {name or 'nothing'}{near(name, known)}; choose from {', '.join(known)}"
        )
    return known[name]


def page_of(proof: Proof, derivation: Any, detail: str, ascii: bool, check: bool, stated: Any = None) -> tuple[Page, bool]:
    """The proof's page, a derivative's with its layout, and, unless `check` is off, the verdict; and whether every line holds.

    `stated` says in which conventions it is, where they are not the page's own (`derive.conventions.Restated`).
    """
    from derive.check import check_document

    made = proof_page(proof, detail, ascii)
    blocks = list(made.blocks)
    own = any(each is proof for each in derivation.proofs)
    if not own:
        layout = DENOMINATOR if stated is not None and stated.conventions.layout == "denominator" else LAYOUT
        blocks.append(Paragraph(layout if proof.name.startswith("J") else VECTOR if proof.name.startswith("HV") else SYMMETRIC))
    good = True
    if check:
        document = derivation.document()
        if not own:
            document["proofs"].append(proof_json(proof))
        report = check_document(document)
        good = report.ok
        blocks.append(Paragraph(ledger_line(report)))
    made = replace(made, blocks=tuple(blocks))
    if stated is not None:
        from derive.render.conventions import bullets, finished

        made = finished(replace(made, blocks=(Bullets(bullets(stated)), *made.blocks)), stated, False)
    return made, good
