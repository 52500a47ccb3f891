"""Drawings as plain data: boxes, arrows and labels in points, which SVG and TikZ print alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Union

from derive.render import formula_text, notation
from derive.render.formula_latex import joined, pieces
from derive.render.layout import Frac, Inverted, Layout, Root, Row, Transposed, Word
from derive.render.notation import Context

Point = tuple[float, float]
EM = 13.0
"""The size of a name, in points; subscripts are three quarters of it."""


@dataclass(frozen=True)
class Label:
    """A short formula: pieces of text, each italic, upright, sub or sup; and the same in LaTeX."""

    spans: tuple[tuple[str, str], ...]
    tex: str

    @property
    def width(self) -> float:
        """About how wide it is set."""
        return sum(len(text) * EM * (0.42 if style in ("sub", "sup") else 0.58) for text, style in self.spans)


@dataclass(frozen=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True)
class Curve:
    """Through the points, vertical at each of them, with a head at the last one."""

    points: tuple[Point, ...]
    kind: str


@dataclass(frozen=True)
class Text:
    """`anchor` is start, middle or end; `y` is the middle of the letters."""

    x: float
    y: float
    label: Label
    kind: str
    anchor: str = "middle"
    size: float = EM


Item = Union[Box, Curve, Text]


@dataclass(frozen=True)
class Picture:
    """What is drawn, and in words for who cannot see it. Kinds are forward, gradient, plain and soft."""

    width: float
    height: float
    items: tuple[Item, ...]
    words: str


def stacked(pictures: tuple[Picture, ...]) -> Picture:
    """Pictures under one another, as one."""
    items: list[Item] = []
    down = 0.0
    for picture in pictures:
        for item in picture.items:
            if isinstance(item, Curve):
                items.append(replace(item, points=tuple((x, y + down) for x, y in item.points)))
            else:
                items.append(replace(item, y=item.y + down))
        down += picture.height
    return Picture(max(picture.width for picture in pictures), down, tuple(items), "; ".join(picture.words for picture in pictures))


# ---------------------------------------------------------------------------------------------------- labels


def label_of(laid: Layout, where: Context) -> Label:
    """The label of a small formula; what is more than names, quotients and roots is set as plain text."""
    tex = joined(pieces(laid, where))
    if isinstance(laid, Transposed):
        return Label((*label_of(laid.base, where).spans, ("⊤", "sup")), tex)
    if isinstance(laid, Inverted):
        return Label((*label_of(laid.base, where).spans, ("−⊤" if laid.transposed else "−1", "sup")), tex)
    if isinstance(laid, Word) and laid.role in ("tensor", "axis"):
        return Label(_name(laid.text, where, laid.role == "tensor"), tex)
    if isinstance(laid, Frac):
        return Label((*label_of(laid.top, where).spans, ("/", "upright"), *label_of(laid.bottom, where).spans), tex)
    if isinstance(laid, Root):
        return Label((("√", "upright"), *label_of(laid.body, where).spans), tex)
    if isinstance(laid, Row):
        return Label(tuple(span for item in laid.items for span in (*label_of(item, where).spans, (" ", "upright")))[:-1], tex)
    return Label(((formula_text.flat(formula_text.pieces(laid, where)), "upright"),), tex)


def tensor_label(name: str, where: Context) -> Label:
    return label_of(Word(name, "tensor"), where)


def shape_label(dims: tuple[str, ...], where: Context) -> Label:
    """`N × M`, or `scalar`."""
    if not dims:
        return Label((("scalar", "upright"),), "\\text{scalar}")
    labels = [label_of(Word(dim, "axis"), where) for dim in dims]
    spans = [span for n, label in enumerate(labels) for span in ((("×", "upright"),) if n else ()) + label.spans]
    return Label(tuple(spans), "{\\times}".join(label.tex for label in labels))


def _name(name: str, where: Context, tensor: bool) -> tuple[tuple[str, str], ...]:
    prefixes, rest = where.depth(name) if tensor else ((), name)
    base, subscript = notation.base_and_subscript(rest)
    spans = [(prefix, "upright") for prefix in prefixes]
    spans.append((notation.text_word(base, False), "italic" if len(base) == 1 or base in notation.GREEK else "upright"))
    if subscript:
        spans.append((",".join(notation.text_word(part, False) for part in subscript.split("_")), "sub"))
    return tuple(spans)


# ---------------------------------------------------------------------------------------------------- SVG

SHADES = """
.p { --c-forward: #1f5fa8; --c-gradient: #b3441a; --c-plain: #1f1d1a; --c-soft: #6a655d;
  --c-paper: #fffdf9; --c-box: #eef3fa; --c-dbox: #fbeee7 }
@media (prefers-color-scheme: dark) {
.p { --c-forward: #7db4f0; --c-gradient: #f0a37d; --c-plain: #e6e3dc; --c-soft: #9d988d;
  --c-paper: #17181b; --c-box: #1d2733; --c-dbox: #33231c } }
.p text { font-family: "STIX Two Math", "STIX Two Text", "Latin Modern Math", Cambria, "Times New Roman", serif;
  stroke: var(--c-paper); stroke-width: 3px; paint-order: stroke; stroke-linejoin: round }
.p .i { font-style: italic }
"""
"""Colours and letters of every picture; a page has them once, a file of its own inside."""


def svg(picture: Picture, alone: bool = False) -> str:
    """The picture as an SVG element, or as a file that stands alone."""
    own = f"<style>{SHADES}</style>" if alone else ""
    name = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    size = f'width="{_number(picture.width)}" height="{_number(picture.height)}"'
    body = "\n".join(_svg_item(item) for item in picture.items)
    ground = '<rect width="100%" height="100%" fill="var(--c-paper)"/>\n' if alone else ""
    return (
        f'<svg{name} class="p" viewBox="0 0 {_number(picture.width)} {_number(picture.height)}" {size} role="img">\n'
        f"<title>{escape(picture.words)}</title>{own}\n{ground}{body}\n</svg>"
    )


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def _svg_item(item: Item) -> str:
    color = f"var(--c-{item.kind})"
    if isinstance(item, Box):
        fill = {"forward": "var(--c-box)", "gradient": "var(--c-dbox)"}.get(item.kind, "none")
        at = " ".join(f'{k}="{_number(v)}"' for k, v in (("x", item.x), ("y", item.y), ("width", item.width), ("height", item.height)))
        return f'<rect {at} rx="3" fill="{fill}" stroke="{color}"/>'
    if isinstance(item, Curve):
        (x, y), *rest = item.points
        tip = rest[-1]
        down = 1 if tip[1] > item.points[-2][1] else -1
        path = f"M{_number(x)} {_number(y)}"
        for n, (to_x, to_y) in enumerate(rest, 1):
            end = to_y - 6 * down if n == len(rest) else to_y
            half = _number((y + end) / 2)
            path += f"C{_number(x)} {half} {_number(to_x)} {half} {_number(to_x)} {_number(end)}"
            x, y = to_x, end
        head = f"M{_number(tip[0])} {_number(tip[1])}l-4 {-7 * down}h8z"
        return f'<path d="{path}" fill="none" stroke="{color}" stroke-width="1.4"/><path d="{head}" fill="{color}"/>'
    spans = []
    low = 0.0
    for text, style in item.label.spans:
        drop = {"sub": 0.25, "sup": -0.35}.get(style, 0.0) * item.size
        small = f' font-size="{_number(item.size * 0.72)}"' if style in ("sub", "sup") else ""
        move = f' dy="{_number(drop - low)}"' if drop != low else ""
        low = drop
        slant = ' class="i"' if style == "italic" else ""
        spans.append(f"<tspan{move}{small}{slant}>{escape(text)}</tspan>")
    at = f'x="{_number(item.x)}" y="{_number(item.y + item.size * 0.34)}"'
    return f'<text {at} text-anchor="{item.anchor}" font-size="{_number(item.size)}" fill="{color}">{"".join(spans)}</text>'


# ---------------------------------------------------------------------------------------------------- TikZ

COLORS = r"""\definecolor{forward}{HTML}{1F5FA8}
\definecolor{gradient}{HTML}{B3441A}
\definecolor{plain}{HTML}{1F1D1A}
\definecolor{soft}{HTML}{6A655D}
"""
"""What stands before pictures; the document loads tikz."""

PAGE: Point = (620.0, 820.0)
"""The largest picture that fits a page, in its own points, which are three quarters of TeX's."""


def tikz(picture: Picture) -> str:
    """The picture for TikZ, made smaller where it would not fit the page.

    It is drawn with the basic layer, pgf, at places in points: TikZ's own commands take TeX ten times as long, a minute for a book.
    """
    scale = min(1.0, PAGE[0] / picture.width, PAGE[1] / picture.height)
    lines = ["\\begin{pgfpicture}", f"\\pgfsetlinewidth{{{0.7 * scale:.2f}pt}}"]
    lines += [_pgf_item(item, scale) for item in picture.items]
    return "\n".join([*lines, "\\end{pgfpicture}"])


def _pgf_item(item: Item, scale: float) -> str:
    def at(x: float, y: float) -> str:
        return f"{{\\pgfqpoint{{{_number(0.75 * scale * x)}pt}}{{{_number(-0.75 * scale * y)}pt}}}}"

    color = f"\\pgfsetstrokecolor{{{item.kind}}}"
    if isinstance(item, Box):
        filled = item.kind in ("forward", "gradient")
        fill = f"\\pgfsetfillcolor{{{item.kind}!8}}" if filled else ""
        corners = f"\\pgfsetcornersarced{{\\pgfqpoint{{{2 * scale:.1f}pt}}{{{2 * scale:.1f}pt}}}}"
        path = f"\\pgfpathrectangle{at(item.x, item.y)}{at(item.width, item.height)}"
        return f"{color}{fill}{corners}{path}\\pgfusepath{{{'fill,' if filled else ''}stroke}}"
    if isinstance(item, Curve):
        (x, y), *rest = item.points
        tip = rest[-1]
        down = 1 if tip[1] > item.points[-2][1] else -1
        path = f"\\pgfpathmoveto{at(x, y)}"
        for n, (to_x, to_y) in enumerate(rest, 1):
            end = to_y - 5 * down if n == len(rest) else to_y
            half = (y + end) / 2
            path += f"\\pgfpathcurveto{at(x, half)}{at(to_x, half)}{at(to_x, end)}"
            x, y = to_x, end
        left, right = at(tip[0] - 2.6, tip[1] - 6.5 * down), at(tip[0] + 2.6, tip[1] - 6.5 * down)
        head = f"\\pgfpathmoveto{at(*tip)}\\pgfpathlineto{left}\\pgfpathlineto{right}\\pgfpathclose"
        sharp = "\\pgfsetcornersarced{\\pgfpointorigin}"
        return f"{color}\\pgfsetfillcolor{{{item.kind}}}{sharp}{path}\\pgfusepath{{stroke}}{head}\\pgfusepath{{fill}}"
    side = {"start": "left,", "end": "right,", "middle": ""}[item.anchor]
    size = 9.0 * scale * item.size / EM
    font = f"\\fontsize{{{size:.1f}}}{{{size:.1f}}}\\selectfont"
    return f"\\pgftext[{side}at={at(item.x, item.y)}]{{\\color{{{item.kind}}}{font}\\({item.label.tex}\\)}}"
