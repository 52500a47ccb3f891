"""The formats by name: what each makes of a page."""

from __future__ import annotations

from derive.render import latex, markdown, site, text
from derive.render.page import Page


def drawn(made: Page, format: str, detail: str = "full", fragment: bool = False) -> str:
    """The page in a format that is text: for pdf, the LaTeX that becomes one. An HTML page opens at a level of detail."""
    if format == "html":
        return site.standalone(made, detail)
    if format == "markdown":
        return markdown.markdown(made)
    if format in ("latex", "pdf"):
        return latex.body(made) if fragment and format == "latex" else latex.whole(made)
    return text.plain(text.page_lines(made))
