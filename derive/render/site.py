"""HTML files around a page's content: the styles, the script and KaTeX, in the file itself or shared by a whole site."""

from __future__ import annotations

import base64
import re
from functools import cache
from html import escape
from pathlib import Path

from derive.proof import DETAILS
from derive.render.blocks import Page
from derive.render.html import Section, article
from derive.render.languages import speaker
from derive.render.picture import SHADES

HERE = Path(__file__).resolve().parent
KATEX = HERE / "katex"
FAMILIES = ("AMS", "Main", "Math", "Size1", "Size2", "Size3", "Size4")
"""The fonts of KaTeX that our formulas use."""

POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; font-src data:; img-src data:"
"""What a browser may load for a file that needs no other: nothing."""


def standalone(made: Page, detail: str = "full") -> str:
    """A page as one file: KaTeX, its fonts, the styles and the script are inside, and nothing is fetched."""
    content, sections = article(made)
    styles = f"<style>{fonts_inside()}</style>\n<style>{own('page.css')}{SHADES}</style>"
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n{styles}'
    foot = f"<script>{_script(KATEX / 'katex.min.js')}</script>\n<script>{own('page.js')}</script>"
    return shell(made.title, head, frame(content, sections, language=made.where.language), foot, detail, made.where.language)


def shell(title: str, head: str, body: str, foot: str, detail: str = "full", language: str = "en") -> str:
    """An HTML document."""
    return (
        f'<!doctype html>\n<html lang="{language}" data-detail="{detail}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)}</title>\n{head}\n</head>\n'
        f"<body>\n{body}\n{foot}\n</body>\n</html>\n"
    )


def frame(content: str, sections: tuple[Section, ...], above: str = "", detail: bool = True, language: str = "en") -> str:
    """The content with its table of contents, what stands `above` that, and the switch between levels of detail."""
    links = "\n".join(f'<li class="level-{s.level}"><a href="#{s.anchor}">{s.title}</a></li>' for s in sections)
    say = speaker(language)
    choices = "".join(f'<label><input type="radio" name="detail" value="{d}"><span>{say(d)}</span></label>' for d in DETAILS)
    switch = f'<fieldset class="detail"><legend>{say("detail")}</legend>{choices}</fieldset>\n' if detail else ""
    return f'<nav>{above}{switch}<ol class="contents">\n{links}\n</ol></nav>\n<main>\n{content}</main>'


@cache
def own(name: str) -> str:
    """A style sheet or a script of our own."""
    return (HERE / "web" / name).read_text(encoding="utf-8")


def _script(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@cache
def fonts_inside() -> str:
    """KaTeX's style sheet with the fonts our formulas use as data in it."""
    sheet = (KATEX / "katex.min.css").read_text(encoding="utf-8")

    def face(match: re.Match[str]) -> str:
        name = re.search(r"url\(fonts/(KaTeX_(\w+)-\w+\.woff2)\)", match.group(0))
        if name is None or name.group(2) not in FAMILIES:
            return ""
        data = base64.b64encode((KATEX / "fonts" / name.group(1)).read_bytes()).decode("ascii")
        return re.sub(r"src:[^}]*", f'src:url(data:font/woff2;base64,{data}) format("woff2")', match.group(0))

    return re.sub(r"@font-face\{[^}]*\}", face, sheet)
