"""The formats by name: what each makes of a page."""

from __future__ import annotations

from pathlib import Path

from derive.render import latex, markdown, site, text
from derive.render.blocks import Page


def drawn(made: Page, format: str, detail: str = "full", fragment: bool = False, output: str | None = None) -> str:
    """The page in a format that is text: for pdf, the LaTeX that becomes one.

    An HTML page opens at a level of detail; a Markdown page that becomes the file `output` shows the pictures `beside` it.
    """
    if format == "html":
        return site.standalone(made, detail)
    if format == "markdown":
        return markdown.markdown(made, stem=Path(output).stem if output else "")
    if format in ("latex", "pdf"):
        return latex.body(made) if fragment and format == "latex" else latex.whole(made)
    return text.plain(text.page_lines(made))


def beside(made: Page, format: str, output: str | None) -> dict[str, str]:
    """The files that a page needs next to it: name -> text."""
    return markdown.pictures(made, Path(output).stem) if format == "markdown" and output else {}
