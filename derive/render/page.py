"""What a derivation's page says, section by section, as plain blocks that every format prints in its own way."""

from __future__ import annotations

from typing import Any

from derive import matrix as mx
from derive.example import NoExample, work
from derive.expr import ONE, Diff, Differential, Equation, Expr, MatrixFn, Mul, Ref, Tensor, transform, walk
from derive.proof import DETAILS, Proof
from derive.recognize import explain
from derive.recurrence import groups
from derive.render.blocks import (
    Block,
    Bullets,
    Chain,
    Figures,
    Formulas,
    Givens,
    Heading,
    Identities,
    Line,
    Page,
    Paragraph,
    Result,
    Results,
    Worked,
)
from derive.render.boxes import boxes
from derive.render.graph import graph
from derive.render.notation import Context, context, listing, reason, words
from derive.write import write


def page(derivation: Any, detail: str = "full", report: Any = None, ascii: bool = False, stated: Any = None) -> Page:
    """The page of a `derive.engine.Derivation` at a level of detail; `report` is the checker's, if it has run.

    `stated` says in which conventions it is, where they are not the page's own (`derive.conventions.Restated`).
    """
    layer = derivation.layer
    where = context((t.name for t in derivation.tensors), layer.batch, ascii, derivation.inner)
    if stated is not None:
        from derive.render.conventions import context_in

        where = context_in(where, stated)
    blocks: list[Block] = [Heading(_title(derivation), 1)]
    if layer.doc:
        blocks += [Paragraph("The layer as it is given:")] if stated is not None and stated.moved else []
        blocks.append(Paragraph(" ".join(layer.doc.split())))
    blocks += conventions(derivation, where, stated)
    blocks += _given(derivation, where)
    blocks += _section("Rewritten on entry", derivation.prepare, detail)
    blocks += _section("Gradients, from the last equation to the first", derivation.lemmas, detail)
    blocks += _section("Theorems: the whole gradient of each input", derivation.theorems, detail)
    blocks += _section("Finite arithmetic", derivation.stable, detail)
    blocks += _section("Invariants", derivation.invariants, detail)
    blocks += _section("The other convention", derivation.twins, detail)
    from derive.render.equality import mentions

    blocks += mentions(derivation, detail)
    blocks += _worked(derivation, detail)
    if detail != "brief":
        blocks += rules_used(derivation.proofs, detail)
    blocks += _results(derivation, where)
    if report is not None:
        blocks += [Heading("Checked", 2), Paragraph(ledger_line(report))]
    return Page(layer.name, tuple(blocks), where)


def proof_page(proof: Proof, detail: str = "full", ascii: bool = False) -> Page:
    """The page of one proof by itself. In a lemma every derivative goes through one equation and the sums named in it."""
    inner = () if proof.kind == "theorem" else tuple(t.name for t in proof.tensors)
    moved = (proof.goal.target.tensor.removeprefix("t"),) if proof.kind in ("tangent", "differential") else ()
    where = context((*(t.name for t in proof.tensors), *moved), proof.batch, ascii, inner)
    return Page(proof.name, tuple(proof_blocks(proof, detail)), where)


def _title(derivation: Any) -> str:
    wrt = derivation.layer.wrt
    inputs = listing(wrt) if len(wrt) <= 4 else f"all {len(wrt)} inputs"
    return f"{derivation.layer.name}: gradients of {inputs}, step by step"


# ---------------------------------------------------------------------------------------------------- what is given


def conventions(derivation: Any, where: Context, stated: Any = None) -> list[Block]:
    """The banner: what a page's formulas are to be read by."""
    items = [
        "Rows are examples. The gradient of `A` is written `dA`, has `A`'s shape, and holds the derivatives of the loss by its entries.",
        "Every sum is written. It reaches over the product that follows it, up to the next `+` or `−` outside brackets.",
    ]
    if stated is not None:
        from derive.render.conventions import bullets

        items = list(bullets(stated))
    mark = "The bracket `[i = j]`" if where.delta_is_a_tensor else "`δ[i,j]`"
    items += [
        f"{mark} is 1 where `i = j` and 0 elsewhere. Another index over the same axis gets a prime.",
        "`∂T/∂A` is taken through the equation of `T` alone, `∂⁺T/∂⁺A` through every equation from `A` to `T`.",
        "In matrix form, `∘` is the product entry by entry, `1` a vector or a matrix of ones, and every factor has its shape under it.",
    ]
    if any(group.recurs for group in groups(derivation.definitions)):
        items.append("An entry before the first, such as `h[t-1]` at `t = 0`, is 0; what needs earlier entries is computed in their order.")
    batch = derivation.layer.batch
    if batch:
        axes = listing(f"`{i.dim}`" for i in batch)
        plural = "axes lead every tensor and are" if len(batch) > 1 else "axis leads every tensor and is"
        items.append(f"The batch {plural} left out: {axes}. Every line holds for each example on its own.")
    return [Heading("Conventions", 2), Bullets(tuple(items))]


def _given(derivation: Any, where: Context) -> list[Block]:
    layer = derivation.layer
    skip = len(layer.batch)
    rows = list(given_rows(layer))
    for name in derivation.upstream:
        tensor = next(t for t in derivation.tensors if t.name == name)
        rows.append((name, tensor.dims[skip:], f"upstream gradient, that of {name[len(derivation.prefix) :]}"))
    blocks: list[Block] = [Heading("Given", 2), Givens(tuple(rows)), Formulas(tuple(layer.equations))]
    if layer.sizes:
        several = "s" if len(layer.sizes) > 1 else ""
        blocks.append(Paragraph(f"with the length{several} {', '.join(write(length) for length in layer.sizes)}."))
    if layer.facts:
        plural = "Hypotheses" if len(layer.facts) > 1 else "Hypothesis"
        blocks += [Paragraph(f"{plural}, declared and used where named:"), Formulas(tuple(layer.facts))]
        from derive.rules import symmetric

        for name in dict.fromkeys(name for item in layer.facts if (name := symmetric(item)) in layer.wrt):
            blocks.append(
                Paragraph(
                    f"The gradient of the symmetric `{name}` holds the derivatives by its entries, each moved alone. Where `{name}` moves "
                    f"within the symmetric matrices, its symmetric part, half the sum of it and its transpose, is the gradient."
                )
            )
    drawn = graph(derivation, where)
    if drawn is not None:
        blocks.append(Figures("graph", "How values flow down, and gradients up:", (drawn,)))
    return blocks


def given_rows(layer: Any) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """A layer's tensors: name, axes, role."""
    return tuple((tensor.name, tensor.dims[len(layer.batch) :], _role(tensor, layer)) for tensor in layer.tensors)


def _role(tensor: Tensor, layer: Any) -> str:
    if tensor.name in layer.outputs:
        return "output"
    if tensor.is_plain_integer:
        return "an integer"
    if tensor.kind == "int":
        return f"integer labels in [0, {tensor.values})"
    if tensor.name in layer.inputs:
        if tensor.kind == "const":
            return "constant, not differentiated"
        return "input" if tensor.name in layer.wrt else "input, not differentiated here"
    return "in between"


# ---------------------------------------------------------------------------------------------------- proofs


def _section(title: str, proofs: tuple[Proof, ...], detail: str) -> list[Block]:
    if not proofs:
        return []
    blocks: list[Block] = [Heading(title, 2)]
    for proof in proofs:
        blocks += proof_blocks(proof, detail)
    return blocks


def proof_blocks(proof: Proof, detail: str) -> list[Block]:
    """One proof: its heading, its lines with their reasons, its last line in matrix form."""
    blocks: list[Block] = [Heading(_heading(proof), 3)]
    if proof.facts:
        blocks += [Paragraph("Under the hypotheses" if len(proof.facts) > 1 else "Under the hypothesis"), Formulas(proof.facts)]
    every = _lines(proof)
    lines = tuple((line.expr, dict(line.reasons)[detail]) for line in every if detail in dict(line.reasons))
    if len(lines) == 1:
        blocks.append(Formulas((Equation(proof.goal.target, proof.goal.value),)))
    elif proof.kind in ("invariant", "bracket") or (proof.kind == "equality" and proof.name != proof.goal.target.tensor):
        blocks.append(Chain(every[0].expr, lines[1:], every[1:]))
    else:
        blocks.append(Chain(proof.goal.target, lines, every))
    moved = isinstance(proof.goal.value, Differential)
    turned = proof.kind == "equality" and isinstance(proof.matrix, mx.Transpose)
    if proof.matrix is not None and (turned or moved or proof.kind in ("lemma", "name", "twin", "jacobian")):
        blocks.append(Results((result(proof),)))
        if detail != "brief":
            blocks += [Paragraph(sentence.replace(" x ", " × ") + ".") for sentence in explain(proof.matrix)]
    return blocks


def _lines(proof: Proof) -> tuple[Line, ...]:
    """What the proof starts from and every step of it."""
    reasons: list[list[tuple[str, str]]] = [[] for _ in proof.steps]
    for detail in DETAILS:
        for n, note in proof.shown(detail):
            reasons[n].append((detail, reason(proof.steps[n].rule, note)))
    forms = dict(proof.forms)
    first = Line(forms.get(0, proof.goal.value), tuple((detail, _opening(proof)) for detail in DETAILS))
    return (first, *(Line(forms.get(n, step.after), tuple(given)) for n, (step, given) in enumerate(zip(proof.steps, reasons), start=1)))


KINDS = {
    "lemma": "Lemma",
    "name": "Named sum",
    "theorem": "Theorem",
    "tangent": "Tangent",
    "prepare": "Equation",
    "stable": "Finite form",
    "invariant": "Invariant",
    "twin": "Transposed storage",
    "equality": "Equal",
    "jacobian": "Derivative",
    "bracket": "Bracket",
    "differential": "Theorem",
}


def kind_of(proof: Proof) -> str:
    """What a proof's heading says before its name, and a kernel's comment before the equation in which it ends."""
    if proof.kind == "name" and isinstance(proof.goal.value, MatrixFn):
        return "Named"
    return KINDS.get(proof.kind, proof.kind.capitalize())


def _heading(proof: Proof) -> str:
    return f"{kind_of(proof)}: {proof.name}"


def _varied(proof: Proof, entry: str) -> list[str]:
    """The tensors whose gradients the chain rule multiplies; of one that a recurrence computes, the right-hand side stands there."""
    prefix = proof.goal.target.tensor.removesuffix("_total").removesuffix(entry)
    found = []
    for node in walk(proof.goal.value):
        for n, factor in enumerate(node.factors if isinstance(node, Mul) else ()):
            before = node.factors[n - 1] if isinstance(node, Mul) and n else None
            if isinstance(factor, Diff) and isinstance(factor.body, Ref):
                found.append(factor.body.tensor)
            elif isinstance(factor, Diff) and isinstance(before, Ref):
                found.append(before.tensor.removeprefix(prefix).removesuffix("_total"))
    return found


def _opening(proof: Proof) -> str:
    """The reason of a proof's first line, which is what its left-hand side means."""
    by = [node for node in walk(proof.goal.value) if isinstance(node, Diff)]
    if proof.kind in ("lemma", "theorem") and by:
        tensors = dict.fromkeys(_varied(proof, by[0].wrt.tensor))
        whole = ", by every path" if proof.kind == "theorem" else ""
        return f"chain rule: {by[0].wrt.tensor} reaches the loss through {listing(tensors)}{whole}"
    if proof.kind == "lemma":
        return "read off: what stands beside the differential"
    if proof.kind == "tangent" and isinstance(proof.goal.value, Differential):
        return "the differential of both sides"
    if proof.kind == "tangent":
        return "chain rule, forward: every operand moves the value"
    return {
        "name": "definition",
        "prepare": "the layer's equation",
        "twin": "the lemma of the other layer, at the same numbers",
        "equality": "the other layer's equation",
        "jacobian": "the derivative along every path",
        "stable": "what was derived",
        "bracket": "what the loss moves by through it",
        "differential": "what the outputs move the loss by",
    }.get(proof.kind, "")


def result(proof: Proof, forms: tuple[mx.Matrix, ...] = ()) -> Result:
    matrix = proof.matrix
    found = forms or ((matrix,) if matrix is not None else ())
    shape = mx.shape(found[0]) if found else (None, None)
    return Result(proof.name, shape, found, proof.result)


# ---------------------------------------------------------------------------------------------------- the end


def _worked(derivation: Any, detail: str) -> list[Block]:
    try:
        example = work(derivation)
    except NoExample:
        return []
    roles: tuple[str, ...] = ("input", "output", "upstream", "gradient")
    if detail != "brief":
        roles = (*roles, "forward", "backward")
    sizes = ", ".join(f"`{axis}` = {size}" for axis, size in example.sizes)
    text = f"The equations above on axes {sizes}, in exact numbers (long ones to six digits)."
    text = text if sizes else "The equations above, in exact numbers (long ones to six digits)."
    return [Heading("A small example", 2), Paragraph(text), Worked(example, roles)]


def rules_used(proofs: tuple[Proof, ...], detail: str) -> list[Block]:
    """The identities behind the reasons, each rule once, in order of first use."""
    from derive import rules

    used = dict.fromkeys(step.rule for proof in proofs for step in proof.at(detail).steps)
    rows = []
    for rule in used:
        text = (getattr(getattr(rules, rule, None), "__doc__", None) or "").strip().split("\n\n")[0]
        if text:
            rows.append((words(rule), " ".join(text.split())))
    return [Heading("The rules used", 2), Identities(tuple(rows))] if rows else []


def _results(derivation: Any, where: Context) -> list[Block]:
    """Every result in matrix form, first what plain products give on the way, then what was asked for."""
    on_the_way, asked = _found(derivation)
    blocks: list[Block] = []
    if on_the_way:
        blocks += [Heading("On the way, by matrix products alone", 2), Results(on_the_way)]
    blocks += [Heading("Results", 2), Results(asked)]
    axes = tuple(dict.fromkeys(dim for tensor in derivation.tensors for dim in tensor.dims))
    drawn = (boxes(item.name, item.forms[0], where, axes) for item in (*on_the_way, *asked) if item.forms)
    shapes = tuple(picture for picture in drawn if picture is not None)
    if shapes:
        blocks.append(Figures("shapes", "The matrix products as boxes; equal axes are equally long:", shapes))
    scalars = [t.name for t in derivation.tensors if t.name in derivation.upstream and len(t.dims) == len(derivation.layer.batch)]
    if scalars:
        alone = tuple(_with_unit_upstream(item, tuple(scalars)) for item in asked)
        if alone != asked:
            ones = listing(f"{name} = 1" for name in scalars)
            blocks += [Paragraph(f"Where the loss is the end of the computation, {ones}:"), Results(alone)]
    if derivation.general is not None:
        blocks += [Paragraph("In general, without the hypothesis:"), Results(_found(derivation.general)[1])]
    return blocks


def _found(derivation: Any) -> tuple[tuple[Result, ...], tuple[Result, ...]]:
    """The intermediate gradients that are plain products, and all other results."""
    named = {p.name: p.matrix for p in derivation.lemmas if p.kind == "name" and p.matrix is not None and not p.steps}
    on_the_way: list[Result] = []
    asked: list[Result] = []
    for proof in derivation.lemmas:
        forms: tuple[mx.Matrix, ...] = ()
        if proof.matrix is not None:
            opened = mx.replace_whole(proof.matrix, named) if named and proof.kind == "lemma" else proof.matrix
            forms = (proof.matrix,) if opened == proof.matrix else (proof.matrix, opened)
        plain = proof.kind == "lemma" and proof.name not in derivation.gradients and _is_product(proof.matrix)
        (on_the_way if plain else asked).append(result(proof, forms))
    return tuple(on_the_way), tuple(asked)


def _is_product(matrix: mx.Matrix | None) -> bool:
    if isinstance(matrix, mx.Scale):
        return _is_product(matrix.arg)
    leaf = (mx.Whole, mx.Transpose)
    return isinstance(matrix, mx.Product) and all(isinstance(part, leaf) for part in matrix.factors)


def _with_unit_upstream(item: Result, scalars: tuple[str, ...]) -> Result:
    def rule(node: Expr) -> Expr | None:
        return ONE if isinstance(node, Ref) and node.tensor in scalars else None

    def visit(matrix: mx.Matrix) -> mx.Matrix:
        if isinstance(matrix, mx.Scale):
            scalar = transform(matrix.scalar, rule)
            inner = visit(matrix.arg)
            return inner if scalar == ONE else mx.Scale(scalar, inner)
        return mx.rebuild(matrix, tuple(visit(part) for part in mx.parts(matrix)))

    entry = Equation(item.entry.target, transform(item.entry.value, rule))
    return Result(item.name, item.shape, tuple(visit(form) for form in item.forms), entry)


def ledger_line(report: Any) -> str:
    """The checker's report in a sentence."""
    lines = [line for proof in report.proofs for line in proof.lines]
    proofs = f"{len(report.proofs)} proof{'' if len(report.proofs) == 1 else 's'}"
    if not report.ok:
        first = next(proof for proof in report.proofs if not proof.ok)
        where = f"the first is line {first.first_problem.line} of {first.kind} {first.name}"
        return f"{report.fails} of {len(lines)} lines in {proofs} do not hold, {report.unknown} cannot be told; {where}."
    if not lines:
        return "There is no proof here, and so no line to check."
    modes: dict[str, int] = {}
    for line in lines:
        modes[line.mode] = modes.get(line.mode, 0) + 1
    how = listing(f"{count} in exact arithmetic" if mode == "exact" else f"{count} to {mode}" for mode, count in modes.items())
    return f"All {len(lines)} lines in {proofs} hold, checked independently of how they were derived: {how}."
