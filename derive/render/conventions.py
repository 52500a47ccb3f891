"""What a page says of the conventions it is in, its formulas written in them, and the page of the proof that they change nothing."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from derive import matrix as mx
from derive.expr import Equation, Fact, Idx, Tensor
from derive.indices import free_indices
from derive.reading import counted_from_one, equation_written, read, written
from derive.render.blocks import (
    Block,
    Bullets,
    Chain,
    Formulas,
    Givens,
    Heading,
    Line,
    Page,
    Paragraph,
    Result,
    Results,
    Worked,
)
from derive.render.notation import Context, context, listing
from derive.render.page import ledger_line, proof_blocks, rules_used
from derive.storage import IN_OUT


def bullets(stated: Any) -> tuple[str, ...]:
    """A sentence for each convention of a `derive.conventions.Restated`, what it has switched, and where it has nothing to switch."""
    asked = stated.conventions
    return (*_storage(stated), *_gradients(stated), *_writing(stated), *(() if asked.index_base is None else (_base(asked.index_base),)))


def _storage(stated: Any) -> list[str]:
    asked = stated.conventions
    found = ["Rows are examples."]
    if asked.batch == "cols" and stated.data:
        found = [f"Columns are examples: against the layer as it is given, {_are(stated.data)} stored transposed."]
    elif asked.batch == "cols":
        found = ["No matrix of the layer holds an example in each row, so there is none to store transposed as a matrix of columns."]
    if asked.weight is not None:
        shape = "in × out" if asked.weight == IN_OUT else "out × in"
        moved = [name for name, way in stated.weights.items() if way != asked.weight]
        already = [name for name in stated.weights if name not in moved]
        if moved:
            found.append(f"Weights are stored {shape}: against the layer as it is given, {_are(moved)} stored transposed.")
        if already:
            found.append(f"Weights are stored {shape}, and {_are(already)} so in the layer as it is given.")
        if not stated.weights:
            found.append(f"The layer has no weight that could be stored {shape}: no input takes its features in and gives others out.")
    return found


def _are(names: Collection[str]) -> str:
    return f"{listing(f'`{name}`' for name in names)} {'is' if len(names) == 1 else 'are'}"


def _gradients(stated: Any) -> list[str]:
    layout = stated.derivation.layout
    if layout == "numerator":
        found = [
            "Numerator layout: the gradient of `A` is written `dA` and has the shape of the transpose of `A`, that of a vector is a row; "
            "it holds the derivatives of the loss by the entries of `A`."
        ]
    elif layout == "denominator":
        found = [
            "Denominator layout: the gradient of `A` is written `dA`, has the shape of `A`, that of a vector is a column, and holds the "
            "derivatives of the loss by its entries. For a scalar loss this is the gradient layout; Jacobians are transposed."
        ]
    else:
        found = ["The gradient of `A` is written `dA`, has `A`'s shape, and holds the derivatives of the loss by its entries."]
    if stated.upstream:
        prefix = stated.derivation.prefix
        found += [f"The upstream gradient of `{old[len(prefix) :]}` is called `{new}`." for old, new in stated.upstream.items()]
    return found


def _writing(stated: Any) -> list[str]:
    asked = stated.conventions
    found = []
    if stated.called:
        old, new = (listing(f"`{name}`" for name in names) for names in (stated.called, stated.called.values()))
        found.append(f"Indices are renamed: {old} {'are' if len(stated.called) > 1 else 'is'} now {new}.")
    if asked.sum == "einstein":
        found += [
            "Summation convention: an index that stands twice in a product, and not on the left of the equation, is summed over.",
            "A sum is written where its index stands once or more than twice, in a function, a power or a condition, at a place that is a "
            "formula, or in some terms of a bracket only.",
        ]
    else:
        found.append("Every sum is written. It reaches over the product that follows it, up to the next `+` or `−` outside brackets.")
    return found


def _base(base: int) -> str:
    if base:
        return "Indices, positions and labels count from 1 to the length of their axis."
    return "Indices, positions and labels count from 0 to the length of their axis less 1."


# ---------------------------------------------------------------------------------------------------- the page


def context_in(where: Context, stated: Any) -> Context:
    """What names are read against, with what the conventions call otherwise."""
    return replace(where, called=tuple(stated.upstream.items()), ranges=stated.conventions.index_base)


def finished(made: Page, stated: Any, check: bool) -> Page:
    """A page in its conventions; with `check`, the verdict on the proof that they change no gradient."""
    made = replace(made, where=context_in(made.where, stated))
    if check:
        made = replace(made, blocks=(*made.blocks, *(Paragraph(text) for text in verdicts(stated))))
    return rewritten(made, stated)


def rewritten(made: Page, stated: Any) -> Page:
    """The page with its formulas written in the conventions for sums and index values."""
    einstein, base = stated.conventions.sum == "einstein", stated.conventions.index_base or 0
    if not einstein and not base:
        return made
    tensors = stated.derivation.tensors
    return replace(made, blocks=tuple(_block(block, einstein, base, tensors) for block in made.blocks))


def _block(block: Block, einstein: bool, base: int, tensors: tuple[Tensor, ...]) -> Block:
    def shown(expr: Any, left: Collection[Idx]) -> Any:
        return written(expr, left, einstein, base, tensors)

    def formula(item: Equation | Fact) -> Equation | Fact:
        if isinstance(item, Equation):
            return equation_written(item, einstein, base, tensors)
        left = {*free_indices(item.left), *free_indices(item.right)}
        return Fact(shown(item.left, left), shown(item.right, left))

    if isinstance(block, Formulas):
        return Formulas(tuple(formula(item) for item in block.items))
    if isinstance(block, Chain):
        left = free_indices(block.target)
        lines = tuple((shown(expr, left), reason) for expr, reason in block.lines)
        every = tuple(Line(shown(line.expr, left), line.reasons) for line in block.every)
        return Chain(shown(block.target, left), lines, every)
    if isinstance(block, Results):
        return Results(
            tuple(
                Result(r.name, r.shape, tuple(_matrix(form, base) for form in r.forms), equation_written(r.entry, einstein, base, tensors))
                for r in block.items
            )
        )
    if isinstance(block, Givens) and base:
        return Givens(tuple((name, dims, _role(role)) for name, dims, role in block.rows))
    if isinstance(block, Worked) and base:
        labels = {t.name for t in tensors if t.values is not None}
        values = tuple(replace(v, entries=tuple(entry + 1 for entry in v.entries)) if v.name in labels else v for v in block.example.values)
        return replace(block, example=replace(block.example, values=values))
    return block


def _role(role: str) -> str:
    head = "integer labels in [0, "
    return f"integer labels in [1, {role[len(head) : -1]}]" if role.startswith(head) else role


def _matrix(matrix: mx.Matrix, base: int) -> mx.Matrix:
    if isinstance(matrix, mx.Entries) and base:
        return replace(matrix, entry=counted_from_one(matrix.entry))
    return mx.rebuild(matrix, tuple(_matrix(part, base) for part in mx.parts(matrix)))


# ---------------------------------------------------------------------------------------------------- the proof


SAME = "In the layer's own conventions the gradients are the same."
READ = "Every line of a gradient's proof, read as it is written here, is the line that was proved."


def verdicts(stated: Any) -> list[str]:
    """What the checker says of the proof that the gradients are the layer's own, and that the lines are what they are read as."""
    if stated.rederived and not stated.agreement.proved:
        return [f"No proof was found that {stated.agreement.stuck} is what it is in the layer's own conventions."]
    said = [*([SAME] if stated.rederived else []), *([READ] if any(stated.rewrites) else [])]
    return [text for first, report in zip(said, stated.reports) for text in (first, ledger_line(report))]


def convention_page(stated: Any, detail: str, ascii: bool) -> Page:
    """The page of the proof that switching the conventions changes no gradient but in how it lies and how it is written."""
    agreement = stated.agreement
    both = agreement.pair
    where = context((t.name for t in both.layer.tensors), both.layer.batch, ascii)
    blocks: list[Block] = [Heading(f"{stated.first.layer.name}: the same gradients in other conventions", 1)]
    blocks += [Heading("Conventions", 2), Bullets(bullets(stated))]
    if stated.rederived:
        blocks += [Heading("Given", 2), Paragraph("The layer as it is given, with its gradients:"), Formulas(both.first)]
        blocks += [Paragraph("The layer in these conventions, derived anew, its tensors told apart by a 2:"), Formulas(both.second)]
        if both.bridges:
            blocks += [Paragraph("Its inputs are"), Formulas(both.bridges)]
        claims = tuple(Equation(claim.equation.target, claim.values[0]) for claim in both.claims)
        blocks += [Paragraph("Then its outputs and its gradients are"), Formulas(claims), Heading("Proof", 2)]
        for proof in agreement.proofs:
            blocks += proof_blocks(proof, detail)
        if detail != "brief":
            blocks += rules_used(agreement.proofs, detail)
    if any(stated.rewrites):
        where = replace(where, tensors=where.tensors | {t.name for t in stated.derivation.tensors})
        blocks += _readings(stated)
    blocks += [Heading("Checked", 2), *(Paragraph(text) for text in verdicts(stated))]
    return Page(f"{stated.first.layer.name}, conventions", tuple(blocks), replace(where, ranges=stated.conventions.index_base))


def _readings(stated: Any) -> list[Block]:
    """Each equation and result as it is written, and as it is read."""
    blocks: list[Block] = [Heading("Written and read", 2)]
    tensors = stated.derivation.tensors
    einstein, base = stated.rewrites
    for equation in (*stated.derivation.layer.equations, *stated.derivation.results):
        left = [i for i in equation.target.indices if isinstance(i, Idx)]
        short = equation_written(equation, einstein, base, tensors)
        if short != equation:
            meant = Equation(equation.target, read(short.value, left, einstein, 0, tensors))
            blocks.append(Formulas((short, meant) if meant != short else (short,)))
    if len(blocks) == 1:
        blocks.append(Paragraph("Every formula of this layer is written as before."))
    return blocks
