"""The formats by name: what each makes of a page."""

from __future__ import annotations

from derive.render import latex, markdown, text
from derive.render.page import Page


def drawn(made: Page, format: str, fragment: bool = False) -> str:
    """The page in a format that is text: for pdf, the LaTeX that becomes one."""
    if format == "markdown":
        return markdown.markdown(made)
    if format in ("latex", "pdf"):
        return latex.body(made) if fragment and format == "latex" else latex.whole(made)
    return text.plain(text.page_lines(made))
