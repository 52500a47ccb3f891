"""A page in Markdown, with its formulas in the ```math blocks that code hosts draw."""

from __future__ import annotations

from typing import Any

from derive.proof import Proof
from derive.render import formula_latex as formula
from derive.render import notation
from derive.render.breaking import width
from derive.render.formula_latex import pieces, segments
from derive.render.latex import aligned, equation_lines, result_lines, worked_lines
from derive.render.layout import of_expr
from derive.render.notation import Context
from derive.render.page import (
    Block,
    Bullets,
    Chain,
    Formulas,
    Givens,
    Heading,
    Identities,
    Page,
    Paragraph,
    Results,
    Worked,
    page,
    proof_page,
)

LINE = 60.0
"""The width in em of a formula with its reason beside it; wider, the reason has a line of its own."""


def document(derivation: Any, detail: str = "full", report: Any = None) -> str:
    """The whole page, which opens with its title."""
    return blocks(page(derivation, detail, report))


def proof(shown: Proof, detail: str = "full") -> str:
    """One proof, to stand in a page of one's own: it has no heading."""
    made = proof_page(shown, detail)
    return blocks(Page(made.title, tuple(block for block in made.blocks if not isinstance(block, Heading)), made.where))


def blocks(made: Page) -> str:
    """The blocks of a page, a blank line between them."""
    return "\n\n".join(_block(block, made.where) for block in made.blocks) + "\n"


def _block(block: Block, where: Context) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {prose(block.text, where)}"
    if isinstance(block, Paragraph):
        return prose(block.text, where)
    if isinstance(block, Bullets):
        return "\n".join(f"- {prose(item, where)}" for item in block.items)
    if isinstance(block, Identities):
        return "\n".join(f"- *{name}*: `{identity}`" for name, identity in block.rows)
    if isinstance(block, Givens):
        rows = [
            f"| {_inline(notation.latex_tensor(name, where))} | {_shape(dims)} | {prose(role, where)} |" for name, dims, role in block.rows
        ]
        return "\n".join(["| tensor | shape | what it is |", "|---|---|---|", *rows])
    if isinstance(block, Formulas):
        return _display([line for item in block.items for line in equation_lines(item, where)])
    if isinstance(block, Chain):
        return _chain(block, where)
    if isinstance(block, Results):
        return _display([line for item in block.items for line in result_lines(item, where)], gap="[6pt]")
    assert isinstance(block, Worked)
    return "\n\n".join("```math\n" + " \\qquad\n".join(line) + "\n```" for line in worked_lines(block, where))


def prose(text: str, where: Context) -> str:
    """A sentence with its entries, indices and tensors set as mathematics."""
    return "".join(_inline(part) if mathematics else _plain(part) for part, mathematics in segments(text, where))


def _inline(tex: str) -> str:
    return f"$`{tex.strip()}`$"


def _plain(text: str) -> str:
    """Words in which nothing is a sign of Markdown's."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>|#" else sign for sign in text)


def _given(name: str, dims: tuple[str, ...], role: str, where: Context) -> str:
    return f"| {_inline(notation.latex_tensor(name, where))} | {_shape(dims)} | {prose(role, where)} |"


def _shape(dims: tuple[str, ...]) -> str:
    return _inline(" \\times ".join(notation.latex_word(dim) for dim in dims)) if dims else "scalar"


def _display(lines: list[str], gap: str = "") -> str:
    return "```math\n\\begin{aligned}\n" + f" \\\\{gap}\n".join(lines) + "\n\\end{aligned}\n```"


def _chain(block: Chain, where: Context) -> str:
    """One line a step, its reason beside it where there is room, else under it."""
    head = pieces(of_expr(block.target, where), where)
    lines: list[str] = []
    for n, (expr, reason) in enumerate(block.lines):
        run = pieces(of_expr(expr, where), where)
        broken = formula.wrapped(run, formula.LINE, formula.LINE - 2)
        for m, line in enumerate(broken):
            lines.append(aligned(formula.joined(head) if n == m == 0 else "", line, m == 0))
        if not reason:
            continue
        text = "".join(f"\\({part}\\)" if mathematics else part for part, mathematics in segments(f"by {reason}", where))
        if len(broken) == 1 and width(run) + 0.5 * len(reason) <= LINE:
            lines[-1] += f" \\qquad \\text{{{text}}}"
        else:
            lines.append(f"  &\\qquad \\text{{{text}}}")
    return _display(lines)
