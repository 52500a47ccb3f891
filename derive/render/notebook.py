"""What Jupyter shows of a derivation or a proof: HTML that folds, or Markdown or LaTeX where a notebook prefers it."""

from __future__ import annotations

from typing import Any

from derive.proof import Proof
from derive.render import html, markdown
from derive.render.blocks import Page, Results
from derive.render.display import equation_lines, result_lines
from derive.render.page import page, proof_page
from derive.render.picture import SHADES

STYLE = (
    SHADES
    + """
.gradproof figure svg { background: var(--c-paper); max-width: 100%; height: auto; }
.gradproof .line { display: grid; grid-template-columns: 2em minmax(0, 1fr) 18em; gap: 0 .6em; align-items: center; padding: .3em 0; }
.gradproof .no, .gradproof .by { opacity: .7; font-size: .9em; }
.gradproof .is, .gradproof .equations { overflow-x: auto; }
.gradproof .head { padding-left: 2.6em; }
.gradproof .equations { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .6em .3em; align-items: center; }
.gradproof .tables { display: flex; flex-wrap: wrap; gap: 1em 2em; }
.gradproof h3 { display: inline; }
"""
)


def page_of(shown: Any, detail: str = "full") -> Page:
    """The page of a derivation or of a single proof."""
    return proof_page(shown, detail) if isinstance(shown, Proof) else page(shown, detail)


def as_html(shown: Any) -> str:
    """Sections and proofs that fold; the notebook's own MathJax draws the formulas."""
    content, _ = html.article(page_of(shown), html.mathjax)
    return f'<style>{STYLE}</style>\n<div class="gradproof">\n{content}</div>\n'


def as_markdown(shown: Any) -> str:
    return markdown.markdown(page_of(shown), markdown.NOTEBOOK)


def as_latex(shown: Any) -> str:
    """What is proved, without the steps: MathJax draws a formula, not a document."""
    made = page_of(shown)
    results = [block for block in made.blocks if isinstance(block, Results)][-1:]
    lines = [line for block in results for item in block.items for line in result_lines(item, made.where)]
    if not lines:
        lines = equation_lines(shown.result, made.where)
    return "$\\displaystyle\n\\begin{aligned}\n" + " \\\\\n".join(lines) + "\n\\end{aligned}$"
