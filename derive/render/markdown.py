"""A page in Markdown, for a code host (fenced math blocks) or a notebook (dollar signs).

Code hosts refuse some of LaTeX (`\\operatorname`, `\\mbox`, `\\def`) and draw no formula longer than a thousand characters, so
lines are short, each in a formula of its own, and names inside sentences are code rather than mathematics.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from derive.proof import Proof
from derive.render import formula_latex as formula
from derive.render import notation
from derive.render.blocks import Bullets, Chain, Figures, Formulas, Givens, Heading, Identities, Page, Paragraph, Results, Worked
from derive.render.breaking import Piece, lines
from derive.render.display import equation_lines, result_lines, tables
from derive.render.formula_latex import FORMULA, LINE, formula_in, pieces
from derive.render.languages import speaker
from derive.render.matrix_layout import of_line
from derive.render.notation import Context
from derive.render.page import page, proof_page
from derive.render.picture import stacked, svg

LONGEST = 950
"""Characters in one formula; code hosts draw up to a thousand."""


@dataclass(frozen=True)
class Marks:
    """How a kind of Markdown marks mathematics, inside a line and on lines of its own."""

    inline: tuple[str, str]
    display: tuple[str, str]


HOST = Marks(("$`", "`$"), ("```math\n", "\n```"))
NOTEBOOK = Marks(("$", "$"), ("$$\n", "\n$$"))


def document(derivation: Any, detail: str = "full", report: Any = None, marks: Marks = HOST) -> str:
    """The whole page of a derivation without its pictures, ending in a newline."""
    return markdown(page(derivation, detail, report), marks)


def proof(shown: Proof, detail: str = "full", marks: Marks = HOST) -> str:
    """One proof."""
    return markdown(proof_page(shown, detail), marks)


def pictures(made: Page, stem: str) -> dict[str, str]:
    """The pictures of a page as files beside it: name -> SVG."""
    figures = (block for block in made.blocks if isinstance(block, Figures))
    return {f"{stem}.{block.name}.svg": svg(stacked(block.pictures), alone=True) + "\n" for block in figures}


def markdown(made: Page, marks: Marks = HOST, stem: str = "") -> str:
    """The page; with a `stem`, it shows the pictures that `pictures` gives for it."""
    where = made.where
    found: list[str] = []
    for block in made.blocks:
        if isinstance(block, Heading):
            found.append(f"{'#' * block.level} {prose(block.text, where)}")
        elif isinstance(block, Paragraph):
            found.append(prose(block.text, where))
        elif isinstance(block, Bullets):
            found.append("\n".join(f"- {prose(item, where)}" for item in block.items))
        elif isinstance(block, Identities):
            found.append("\n".join(f"- **{escaped(name)}**: {_code(identity)}" for name, identity in block.rows))
        elif isinstance(block, Givens):
            found.append(_givens(block, where, marks))
        elif isinstance(block, Formulas):
            found += _aligned((equation_lines(item, where) for item in block.items), marks)
        elif isinstance(block, Chain):
            found.append(_chain(block, where, marks))
        elif isinstance(block, Results):
            found += _aligned((result_lines(item, where) for item in block.items), marks)
        elif isinstance(block, Figures):
            if stem:
                found += [prose(block.lead, where), f"![{block.name}]({quote(stem)}.{block.name}.svg)"]
        else:
            assert isinstance(block, Worked)
            found += [_display(" \\qquad\n".join(row), marks) for row in tables(block, where)]
    return "\n\n".join(found) + "\n"


# ---------------------------------------------------------------------------------------------------- mathematics


def plain_commands(tex: str) -> str:
    """The same formula in commands that every code host draws."""
    return re.sub(r"\\operatorname\{", r"\\mathrm{", tex)


def _inline(tex: str, marks: Marks) -> str:
    return marks.inline[0] + plain_commands(tex) + marks.inline[1]


def _display(tex: str, marks: Marks) -> str:
    return marks.display[0] + plain_commands(tex) + marks.display[1]


def _aligned(items: Iterable[list[str]], marks: Marks) -> list[str]:
    """Equations in as few alignments as their length allows; one that is too long by itself goes on in the next."""
    groups: list[list[str]] = []
    for item in items:
        for run in [item] if _length(item) <= LONGEST else [[line] for line in item]:
            if groups and _length(groups[-1]) + _length(run) <= LONGEST:
                groups[-1] += run
            else:
                groups.append(list(run))
    return [_display("\\begin{aligned}\n" + " \\\\\n".join(group) + "\n\\end{aligned}", marks) for group in groups]


def _length(run: list[str]) -> int:
    """The characters of some lines in an alignment."""
    return 40 + sum(len(plain_commands(line)) + 4 for line in run)


def _givens(block: Givens, where: Context, marks: Marks) -> str:
    say = speaker(where.language)
    rows = [f"| {say('tensor')} | {say('shape')} | {say('role')} |", "|---|---|---|"]
    for name, dims, role in block.rows:
        shape = _inline(" \\times ".join(notation.latex_word(d) for d in dims), marks) if dims else say("scalar")
        rows.append(f"| {_inline(notation.latex_tensor(name, where), marks)} | {shape} | {prose(role, where)} |")
    return "\n".join(rows)


def _chain(block: Chain, where: Context, marks: Marks) -> str:
    """The left-hand side, then a numbered item a line: what it is equal to, and why."""
    found = [_inline("\\displaystyle " + formula.joined(pieces(of_line(block.target, where), where)), marks), ""]
    for n, (expr, reason) in enumerate(block.lines, 1):
        run = pieces(of_line(expr, where), where)
        item = [_inline("\\displaystyle " + ("= " if m == 0 else "\\qquad ") + tex, marks) for m, tex in enumerate(_broken(run))]
        if reason:
            item.append(f"*{prose(reason, where)}*")
        indent = " " * (len(str(n)) + 2)
        found.append(f"{n}. " + f"  \n{indent}".join(item))
    return "\n".join(found)


def _broken(run: list[Piece]) -> list[str]:
    """A formula in lines that fit the page, none of them longer than a code host draws if it can be broken."""
    room = LINE
    while True:
        found = [formula.joined(line) for line in lines(run, room, room - 2)]
        if max(map(len, found)) <= LONGEST - 20 or room < LINE / 3:
            return found
        room *= 0.8


# ---------------------------------------------------------------------------------------------------- sentences


def prose(text: str, where: Context) -> str:
    """A sentence with its entries, indices and tensors as code, and the rest escaped."""
    out = []
    at = 0
    for match in FORMULA.finditer(text):
        word = match.group(0)
        if formula_in(word, where) is None:
            continue
        out += [escaped(text[at : match.start()]), _code(_plain(word, where))]
        at = match.end()
    return "".join(out) + escaped(text[at:])


def _plain(word: str, where: Context) -> str:
    if word.startswith("`"):
        return re.sub(r"\b([A-Za-z]\w*'*)", lambda name: notation.text_tensor(name.group(0), where), word[1:-1])
    return notation.text_tensor(word, where) if "[" not in word else re.sub(r"'", "′", word)


def _code(text: str) -> str:
    mark = "``" if "`" in text else "`"
    return f"{mark}{text}{mark}"


def escaped(text: str) -> str:
    """Plain text made safe for Markdown."""
    return re.sub(r"([\\`*_\[\]<>|$~])", r"\\\1", text)
