"""A page in LaTeX: a fragment to include, or a document that compiles by itself with amsmath, amssymb and geometry."""

from __future__ import annotations

from typing import Any

from derive.proof import Proof
from derive.render import formula_latex as formula
from derive.render import notation
from derive.render.blocks import Bullets, Chain, Figures, Formulas, Givens, Heading, Identities, Page, Paragraph, Results, Worked
from derive.render.breaking import width
from derive.render.display import aligned, equation_lines, result_lines, tables
from derive.render.formula_latex import LINE, escaped, pieces, prose
from derive.render.matrix_layout import of_line
from derive.render.notation import Context
from derive.render.page import page, proof_page
from derive.render.picture import COLORS, tikz

PREAMBLE = r"""\documentclass[10pt,a4paper,fleqn]{article}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb,tikz}
\usepackage[margin=2.2cm]{geometry}
\setlength{\parindent}{0pt}
\setlength{\mathindent}{1.5em}
\setlength{\parskip}{4pt plus 1pt}
\emergencystretch=3em
\allowdisplaybreaks
"""


def document(derivation: Any, detail: str = "full", report: Any = None) -> str:
    """A standalone document; pdflatex compiles it."""
    return whole(page(derivation, detail, report))


def fragment(derivation: Any, detail: str = "full", report: Any = None) -> str:
    """The body alone, for a document that loads amsmath and amssymb, and tikz for its pictures; sections are \\section* and below."""
    return body(page(derivation, detail, report))


def proof(shown: Proof, detail: str = "full") -> str:
    """One proof, to include in a document that loads amsmath and amssymb."""
    return "\n".join(_blocks(proof_page(shown, detail))).strip() + "\n"


def whole(made: Page) -> str:
    """A page as a standalone document."""
    return PREAMBLE + "\\begin{document}\n" + body(made) + "\\end{document}\n"


def body(made: Page) -> str:
    """A page without a preamble."""
    return "\n".join(_blocks(made)) + "\n"


def _blocks(made: Page) -> list[str]:
    where = made.where
    found: list[str] = []
    for block in made.blocks:
        if isinstance(block, Heading):
            command = ("section*", "subsection*", "paragraph")[block.level - 1]
            found.append(f"\n\\{command}{{{prose(block.text, where)}}}")
        elif isinstance(block, Paragraph):
            found.append(prose(block.text, where) + "\n")
        elif isinstance(block, Bullets):
            items = "\n".join(f"  \\item {prose(item, where)}" for item in block.items)
            found.append(f"\\begin{{itemize}}\\setlength{{\\itemsep}}{{1pt}}\n{items}\n\\end{{itemize}}")
        elif isinstance(block, Identities):
            rows = "\n".join(f"  \\item[{escaped(name)}] \\texttt{{{escaped(identity)}}}" for name, identity in block.rows)
            found.append(f"\\begin{{description}}\\setlength{{\\itemsep}}{{1pt}}\\raggedright\\footnotesize\n{rows}\n\\end{{description}}")
        elif isinstance(block, Givens):
            found.append(_givens(block, where))
        elif isinstance(block, Formulas):
            found.append(_display([line for item in block.items for line in equation_lines(item, where)]))
        elif isinstance(block, Chain):
            found.append(_chain(block, where))
        elif isinstance(block, Results):
            found.append(_display([line for item in block.items for line in result_lines(item, where)], gap="6pt"))
        elif isinstance(block, Figures):
            found.append(_figures(block, where))
        else:
            assert isinstance(block, Worked)
            found += ["\\[\n" + " \\qquad\n".join(row) + "\n\\]" for row in tables(block, where)]
    return found


def _display(lines: list[str], gap: str = "") -> str:
    newline = f" \\\\[{gap}]\n" if gap else " \\\\\n"
    return "\\begin{align*}\n" + newline.join(lines) + "\n\\end{align*}"


def _givens(block: Givens, where: Context) -> str:
    rows = []
    for name, dims, role in block.rows:
        shape = "\\(" + " \\times ".join(notation.latex_word(d) for d in dims) + "\\)" if dims else "scalar"
        rows.append(f"  \\({notation.latex_tensor(name, where)}\\) & {shape} & {prose(role, where)} \\\\")
    return "\\begin{center}\n\\begin{tabular}{lll}\n" + "\n".join(rows) + "\n\\end{tabular}\n\\end{center}"


def _figures(block: Figures, where: Context) -> str:
    """Pictures, left out by a document that does not load tikz."""
    drawn = "\n\n\\smallskip\n".join(tikz(picture) for picture in block.pictures)
    return f"\\ifdefined\\tikzpicture\n{prose(block.lead, where)}\n\n\\nobreak\\smallskip\\nobreak\n{COLORS}{drawn}\n\n\\fi"


def _chain(block: Chain, where: Context) -> str:
    """One line a step, its reason beside it where there is room, else on the next line."""
    head = pieces(of_line(block.target, where), where)
    room = LINE - width(head) - 1.5
    lines: list[str] = []
    for n, (expr, reason) in enumerate(block.lines):
        run = pieces(of_line(expr, where), where)
        broken = formula.wrapped(run, room, room - 2)
        left = formula.joined(head) if n == 0 else ""
        for m, line in enumerate(broken):
            lines.append(aligned(left if m == 0 else "", line, m == 0))
        if not reason:
            continue
        text = "\\text{\\footnotesize\\itshape " + prose(reason, where) + "}"
        if len(broken) == 1 and width(run) + 2.5 + 0.42 * len(reason) <= room:
            lines[-1] += f" \\qquad {text}"
        else:
            wide = f"{max(room - 3, 10):.0f}em"
            lines.append(f"  &\\qquad \\parbox[t]{{{wide}}}{{\\footnotesize\\itshape by {prose(reason, where)}}}")
    return _display(lines)
