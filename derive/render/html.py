"""A page in HTML: formulas for KaTeX (or a notebook's MathJax) to draw, every line of a proof there to fold and unfold."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html import escape
from typing import Any

from derive import matrix as mx
from derive.expr import Equation, Expr, Fact
from derive.proof import DETAILS
from derive.render import formula_latex as formula
from derive.render import notation
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
from derive.render.display import tables
from derive.render.formula_latex import FORMULA, formula_in, marked_index, pieces
from derive.render.languages import speaker
from derive.render.layout import of_expr
from derive.render.matrix_layout import of_line, of_matrix
from derive.render.notation import Context
from derive.render.page import page
from derive.render.picture import svg
from derive.signs import is_comparison

Math = Callable[[str], str]
"""What encloses the LaTeX of a formula."""


def katex(tex: str) -> str:
    """A formula that the page's own script draws."""
    return f'<span class="tex">{escape(tex, quote=False)}</span>'


def mathjax(tex: str) -> str:
    """A formula that a notebook draws."""
    return escape(f"${tex}$", quote=False)


@dataclass(frozen=True)
class Section:
    """A part of the page to link to: where it is, what it is called (HTML), and how deep it lies."""

    anchor: str
    title: str
    level: int


def document(derivation: Any, detail: str = "full", report: Any = None) -> str:
    """The whole page of a derivation as one file that needs no other; `detail` is the level it opens at."""
    from derive.render.site import standalone

    return standalone(page(derivation, "baby", report), detail)


def article(made: Page, math: Math = katex) -> tuple[str, tuple[Section, ...]]:
    """The page's content, and its sections for a table of contents.

    For KaTeX the lines of all levels of detail are there to unfold, whatever the level of `made`; a notebook gets those of `made`.
    """
    rules = frozenset(name for block in made.blocks if isinstance(block, Identities) for name, _ in block.rows)
    return _Drawing(replace(made.where, marked=math is katex), math, rules).article(made)


def slug(text: str) -> str:
    """An anchor made from a heading or a rule's name."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")


@dataclass(frozen=True)
class _Drawing:
    where: Context
    math: Math
    rules: frozenset[str]

    def article(self, made: Page) -> tuple[str, tuple[Section, ...]]:
        """Sections inside one another as their headings say; a proof is a section that folds."""
        out: list[str] = []
        sections: list[Section] = []
        taken: dict[str, int] = {}
        opened: list[int] = []

        def close(level: int) -> None:
            while opened and opened[-1] >= level:
                out.append("</details>" if opened.pop() == 3 else "</section>")

        for block in made.blocks:
            if not isinstance(block, Heading):
                out.append(self.block(block))
                continue
            close(block.level)
            title = self.prose(block.text)
            anchor = slug(block.text) or "section"
            taken[anchor] = taken.get(anchor, 0) + 1
            anchor += f"-{taken[anchor]}" if taken[anchor] > 1 else ""
            if block.level == 1:
                out.append(f"<h1>{title}</h1>")
                continue
            sections.append(Section(anchor, title, block.level))
            opened.append(block.level)
            if block.level == 2:
                out.append(f'<section id="{anchor}">\n<h2>{title}</h2>')
            else:
                out.append(f'<details class="proof" id="{anchor}" open>\n<summary><h3>{title}</h3></summary>')
        close(1)
        return "\n".join(out) + "\n", tuple(sections)

    def say(self, text: str) -> str:
        return speaker(self.where.language)(text)

    def block(self, block: Block) -> str:
        if isinstance(block, Paragraph):
            return f"<p>{self.prose(block.text)}</p>"
        if isinstance(block, Bullets):
            return "<ul>\n" + "\n".join(f"<li>{self.prose(item)}</li>" for item in block.items) + "\n</ul>"
        if isinstance(block, Identities):
            rows = (f'<dt id="rule-{slug(n)}">{escape(n)}</dt><dd><code>{escape(identity)}</code></dd>' for n, identity in block.rows)
            return '<dl class="rules">\n' + "\n".join(rows) + "\n</dl>"
        if isinstance(block, Givens):
            return self.givens(block)
        if isinstance(block, Formulas):
            return self.grid([self.equation(item) for item in block.items])
        if isinstance(block, Results):
            return self.grid([row for item in block.items for row in self.result(item)])
        if isinstance(block, Chain):
            return self.chain(block)
        if isinstance(block, Figures):
            drawn = "\n".join(f"<div>{svg(picture)}</div>" for picture in block.pictures)
            return f'<p>{self.prose(block.lead)}</p>\n<figure class="{block.name}">\n{drawn}\n</figure>'
        assert isinstance(block, Worked)
        shown = (self.math(tex) for row in tables(block, replace(self.where, marked=False)) for tex in row)
        return '<div class="tables">\n' + "\n".join(f"<div>{table}</div>" for table in shown) + "\n</div>"

    # ------------------------------------------------------------------------------------------------ formulas

    def tex(self, expr: Expr | mx.Matrix) -> str:
        run = pieces(of_line(expr, self.where), self.where)
        return formula.flowing(run) if self.math is katex else formula.joined(run)

    def grid(self, rows: list[tuple[str, str]]) -> str:
        """Equations under one another at their equals signs."""
        cells = (f"<div>{self.math(left) if left else ''}</div><div>{self.math(right)}</div>" for left, right in rows)
        return '<div class="equations">\n' + "\n".join(cells) + "\n</div>"

    def equation(self, item: Equation | Fact) -> tuple[str, str]:
        left, right = (item.target, item.value) if isinstance(item, Equation) else (item.left, item.right)
        if isinstance(item, Fact) and is_comparison(item):
            return "", "\\displaystyle " + formula.joined(formula.comparison(of_expr(left, self.where), self.where))
        return "\\displaystyle " + self.tex(left), "\\displaystyle {}=" + self.tex(right)

    def result(self, item: Result) -> list[tuple[str, str]]:
        if not item.forms:
            return [self.equation(item.entry)]
        name = notation.latex_tensor(item.name, self.where)
        if item.shape != (None, None):
            name = f"\\underset{{{formula.shape_latex(item.shape)}}}{{{name}}}"
        found = []
        for n, form in enumerate(item.forms):
            run = pieces(of_matrix(form, self.where), self.where)
            body = formula.flowing(run) if self.math is katex else formula.joined(run)
            found.append((name if n == 0 else "", "\\displaystyle {}=" + body))
        return found

    def givens(self, block: Givens) -> str:
        rows = []
        for name, dims, role in block.rows:
            shape = self.math(" \\times ".join(notation.latex_word(d) for d in dims)) if dims else self.say("scalar")
            rows.append(
                f"<tr><td>{self.math(notation.latex_tensor(name, self.where))}</td><td>{shape}</td><td>{self.prose(role)}</td></tr>"
            )
        return '<table class="givens">\n' + "\n".join(rows) + "\n</table>"

    # ------------------------------------------------------------------------------------------------ proofs

    def chain(self, block: Chain) -> str:
        """The left-hand side, then a row a line, those that only a finer level of detail shows folded before the row they lead to."""
        head = self.math("\\displaystyle " + self.tex(block.target))
        rows = [f'<div class="head">{head}</div>']
        plain = (Line(expr, tuple((detail, reason) for detail in DETAILS)) for expr, reason in block.lines)
        rows += self.folded(list(enumerate(block.every if self.where.marked else plain, 1)), 0)
        return '<div class="chain">\n' + "\n".join(rows) + "\n</div>"

    def folded(self, lines: list[tuple[int, Line]], level: int) -> list[str]:
        rows: list[str] = []
        waiting: list[tuple[int, Line]] = []
        for number, line in lines:
            if DETAILS[level] not in dict(line.reasons):
                waiting.append((number, line))
                continue
            rows += [*self.fold(waiting, level), self.row(number, line)]
            waiting = []
        return rows + self.fold(waiting, level)

    def fold(self, lines: list[tuple[int, Line]], level: int) -> list[str]:
        """The rows that a level of detail leaves out, under the next level that shows any of them."""
        if not lines:
            return []
        finer = next(n for n in range(level + 1, len(DETAILS)) if any(DETAILS[n] in dict(line.reasons) for _, line in lines))
        inner = "\n".join(self.folded(lines, finer))
        between = self.say("1 line between" if len(lines) == 1 else f"{len(lines)} lines between")
        return [f'<details class="more {DETAILS[finer]}" data-under="{DETAILS[level]}"><summary>{between}</summary>\n{inner}\n</details>']

    def row(self, number: int, line: Line) -> str:
        levels: dict[str, list[str]] = {}
        for detail, text in line.reasons:
            levels.setdefault(text, []).append(detail)
        why = "".join(f'<span class="why {" ".join(shown)}">{self.reason(text)}</span>' for text, shown in levels.items())
        body = self.math("\\displaystyle {}= " + self.tex(line.expr))
        return f'<div class="line"><span class="no">{number}</span><div class="is">{body}</div><div class="by">{why}</div></div>'

    def reason(self, text: str) -> str:
        name, colon, note = text.partition(": ")
        known = name in self.rules and self.where.marked  # a notebook's anchors are not its page's
        said = f'<a class="rule" href="#rule-{slug(name)}">{escape(name)}</a>' if known else self.prose(name)
        return said + colon + self.prose(note)

    # ------------------------------------------------------------------------------------------------ sentences

    def prose(self, text: str) -> str:
        """A sentence with its formulas as mathematics."""
        out = []
        at = 0
        for match in FORMULA.finditer(text):
            tex = formula_in(match.group(0), self.where)
            if tex is None:
                continue
            word = match.group(0).strip("`")
            if self.where.marked and re.fullmatch(r"[a-z]'*", word) and word not in self.where.tensors:
                tex = marked_index(word)
            out.append(escape(text[at : match.start()], quote=False))
            at = match.end()
            # A sign that ends a phrase stays on the line of the formula before it.
            after = re.match(r"[.,;:)]*", text[at:])
            signs = after.group(0) if after else ""
            out.append(f'<span class="whole">{self.math(tex)}{signs}</span>' if signs else self.math(tex))
            at += len(signs)
        return "".join(out) + escape(text[at:], quote=False)
