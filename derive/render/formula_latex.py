"""Formulas in LaTeX: fractions, roots and big operators, long lines broken by estimated width, shapes under every factor."""

from __future__ import annotations

import re
from dataclasses import replace

from derive import matrix as mx
from derive.expr import Equation, Expr
from derive.render import notation
from derive.render.breaking import Piece, deeper, lines, solid, width
from derive.render.layout import (
    Big,
    Call,
    Dotted,
    Entry,
    Frac,
    Inner,
    Inverted,
    Layout,
    Paren,
    Partial,
    Raised,
    RaisedTo,
    Relation,
    Root,
    Row,
    Shaped,
    Terms,
    Transposed,
    Word,
    of_expr,
)
from derive.render.matrix_layout import of_matrix
from derive.render.notation import Context

# Widths are in em of the 10pt Computer Modern fonts, rounded up: a line estimated to fit has to fit.
LINE = 43.0
FRACTION = 32.0
FUNCTIONS = ("exp", "log", "tanh", "sin", "cos", "max", "min", "det")


def expr_latex(expr: Expr, where: Context) -> str:
    """An index-notation expression, unbroken."""
    return joined(pieces(of_expr(expr, where), where))


def equation_latex(equation: Equation, where: Context) -> str:
    return f"{expr_latex(equation.target, where)} = {expr_latex(equation.value, where)}"


def matrix_latex(matrix: mx.Matrix, where: Context, shapes: bool = True) -> str:
    return joined(pieces(of_matrix(matrix, where, shapes), where))


def shape_latex(shape: mx.Shape) -> str:
    return " \\times ".join("1" if axis is None else notation.latex_word(axis) for axis in shape)


def joined(run: list[Piece]) -> str:
    return "".join(piece.text for piece in run).strip()


def wrapped(run: list[Piece], first: float, rest: float) -> list[str]:
    """The formula in lines no wider than the page."""
    return [joined(line) for line in lines(run, first, rest)]


# ---------------------------------------------------------------------------------------------------- boxes to pieces


def comparison(laid: Layout, where: Context) -> list[Piece]:
    """The pieces of a condition without its brackets, as a hypothesis states it."""
    assert isinstance(laid, Relation)
    sign = {"<": "<", "<=": "\\le", ">": ">", ">=": "\\ge", "==": "=", "!=": "\\ne"}[laid.relation]
    return [*pieces(laid.left, where), Piece(f" {sign} ", 1.3), *pieces(laid.right, where)]


def pieces(laid: Layout, where: Context) -> list[Piece]:
    """The pieces of a layout, with the places where a line may end."""
    if isinstance(laid, Word):
        return [_word(laid, where)]
    if isinstance(laid, Entry):
        return [_entry(laid, where)]
    if isinstance(laid, Paren):
        return _bracketed(laid.body, where)
    if isinstance(laid, Relation):
        run = comparison(laid, where)
        return [Piece("[" + joined(run) + "]", width(run) + 0.6)]
    if isinstance(laid, Terms):
        return _terms(laid, where)
    if isinstance(laid, Row):
        return _row(laid, where)
    if isinstance(laid, Frac):
        return _fraction(laid, where)
    if isinstance(laid, Raised):
        text = str(laid.exponent)
        return _suffixed(
            pieces(laid.base, where), "^{" + ("\\circ " if laid.elementwise else "") + text + "}", 0.5 * len(text) + laid.elementwise
        )
    if isinstance(laid, RaisedTo):
        inner = pieces(laid.exponent, where)
        return _suffixed(pieces(laid.base, where), "^{" + joined(inner) + "}", 0.7 * width(inner))
    if isinstance(laid, Inverted):
        return _suffixed(pieces(laid.base, where), "^{-\\top}" if laid.transposed else "^{-1}", 0.9)
    if isinstance(laid, Transposed):
        return _suffixed(pieces(laid.base, where), "^{\\top}", 0.6)
    if isinstance(laid, Root):
        inner = pieces(laid.body, where)
        return [Piece("\\sqrt{" + joined(inner) + "}", width(inner) + 0.9)]
    if isinstance(laid, Call):
        return _call(laid, where)
    if isinstance(laid, Big):
        if laid.axes:
            return [*_ranging(laid, where), *deeper(pieces(laid.body, where), 1)]
        names = ",".join(joined(pieces(i, where)) for i in laid.indices)
        head = "\\sum" if laid.kind == "sum" else "\\max"
        wide = max(1.5 if laid.kind == "sum" else 1.9, 0.5 * len(laid.indices) + 0.2) + 0.35
        return [Piece(head + "_{" + names + "} ", wide), *deeper(pieces(laid.body, where), 1)]
    if isinstance(laid, Partial):
        return _partial(laid, where)
    if isinstance(laid, Inner):
        size = ("\\Bigl", "\\Bigr") if _tall(laid) else ("", "")
        left, (entry, *others) = (deeper(pieces(side, where)) for side in (laid.left, laid.right))
        first, last = Piece(f"{size[0]}\\langle ", 0.45), Piece(f"{size[1]}\\rangle ", 0.45)
        return [first, *left, Piece(",\\; ", 0.6), replace(entry, cut=2), *others, last]
    if isinstance(laid, Dotted):
        return _suffixed(_bracketed(laid.body, where), "^{\\bullet}", 0.4)
    assert isinstance(laid, Shaped)
    body, under = pieces(laid.body, where), shape_latex((laid.rows, laid.cols))
    return [Piece("\\underset{" + under + "}{" + joined(body) + "}", max(width(body), 0.75 * _letters(under)))]


def _ranging(laid: Big, where: Context) -> list[Piece]:
    """A big operator whose indices say where they run."""
    found = []
    for index, axis in zip(laid.indices, laid.axes):
        name, end = joined(pieces(index, where)), joined(pieces(axis, where)) + ("" if laid.start else "-1")
        if laid.kind == "sum":
            found.append(
                Piece(f"\\sum_{{{name}={laid.start}}}^{{{end}}} ", max(1.9, 0.75 * (_letters(name) + 1.6), 0.75 * _letters(end)) + 0.35)
            )
        else:
            found.append(Piece(f"\\max_{{{laid.start} \\le {name} \\le {end}}} ", 0.75 * (_letters(name + end) + 3.4) + 0.35))
    return found


def _letters(tex: str) -> float:
    """About how wide LaTeX source sets, in em: its commands count as one letter, its braces as none."""
    bare = re.sub(r"\\htmlData\{[^}]*\}|\\(mathrm|mathbf|operatorname|dot)", "", tex)
    bare = re.sub(r"\\[a-zA-Z]+", "m", bare)
    bare = re.sub(r"[{}_^\\ ]", "", bare)
    return sum(0.8 if c.isupper() or c == "m" else 0.56 for c in bare)


def _word(word: Word, where: Context) -> Piece:
    if word.role == "tensor":
        tex = notation.latex_tensor(word.text, where)
    elif word.role == "ones":
        tex = "\\mathbf{1}"
    elif word.role == "function":
        tex = "\\" + word.text
    else:
        tex = notation.latex_word(word.text)
        if word.role == "index" and where.marked:
            tex = marked_index(word.text)
    return Piece(tex, _letters(tex))


def marked_index(name: str) -> str:
    """An index that says its name to the page it stands on (KaTeX's \\htmlData)."""
    return f"\\htmlData{{i={name}}}{{{notation.latex_word(name)}}}"


def flowing(run: list[Piece]) -> str:
    """A formula in one run whose lines KaTeX may end at the places to break, before an operator and not after it."""
    out = []
    for n, piece in enumerate(run):
        text = piece.text
        if n and piece.cut is not None:
            text = "\\allowbreak " + text + ("\\nobreak " if text.strip() in ("+", "-", "\\circ") else "")
        out.append(text)
    return "".join(out).strip()


def _entry(laid: Entry, where: Context) -> Piece:
    head = _word(laid.head, where) if isinstance(laid.head, Word) else _solid(laid.head, where)
    tex = f"[{head.text}]" if "_" in head.text else head.text
    inner = [joined(pieces(i, where)) for i in laid.indices]
    plain = all(isinstance(i, Word) and len(i.text.rstrip("'")) == 1 for i in laid.indices)
    subscript = ("" if plain else ",").join(inner)
    return Piece(f"{tex}_{{{subscript}}}", head.width + 0.75 * _letters(subscript) + 0.1)


def _solid(laid: Layout, where: Context) -> Piece:
    run = pieces(laid, where)
    return Piece(joined(run), width(run))


def _suffixed(run: list[Piece], suffix: str, wide: float) -> list[Piece]:
    last = run[-1]
    return [*run[:-1], Piece(last.text + suffix, last.width + wide, last.cut)]


def _tall(laid: Layout) -> bool:
    """Whether a layout stands higher than a line of text, so that its brackets should too."""
    if isinstance(laid, (Frac, Big, Partial)):
        return True
    if isinstance(laid, (Word, Entry, Shaped)):
        return False
    if isinstance(laid, Terms):
        return any(_tall(term) for _, term in laid.items)
    if isinstance(laid, Row):
        return any(_tall(item) for item in laid.items)
    if isinstance(laid, Call):
        return any(_tall(arg) for arg in laid.args)
    if isinstance(laid, Relation):
        return _tall(laid.left) or _tall(laid.right)
    if isinstance(laid, (Paren, Root, Dotted)):
        return _tall(laid.body)
    if isinstance(laid, Inner):
        return _tall(laid.left) or _tall(laid.right)
    return _tall(laid.base)


def _bracketed(body: Layout, where: Context, head: str = "", left: str = "(", right: str = ")") -> list[Piece]:
    """Brackets of a fixed size, and not \\left and \\right, since a line may have to end inside them."""
    size = ["\\Bigl", "\\Bigr"] if _tall(body) else ["", ""]
    return [Piece(head + size[0] + left, 0.5), *deeper(pieces(body, where)), Piece(size[1] + right, 0.5)]


def _terms(laid: Terms, where: Context) -> list[Piece]:
    found: list[Piece] = []
    for n, (negative, term) in enumerate(laid.items):
        if n:
            found.append(Piece(" - " if negative else " + ", 1.25, 0))
        elif negative:
            found.append(Piece("-", 0.8))
        found.extend(deeper(pieces(term, where), 1))
    return found


def _row(laid: Row, where: Context) -> list[Piece]:
    gap = Piece(" \\circ ", 0.95, 1) if laid.joint else Piece("\\, ", 0.17, 1)
    apart = gap if laid.joint else Piece("\\;\\; ", 0.56, 1)  # the shapes under two factors must not touch
    found: list[Piece] = []
    for n, item in enumerate(laid.items):
        if n:
            found.append(apart if isinstance(item, Shaped) and isinstance(laid.items[n - 1], Shaped) else gap)
        # A quotient too wide for a bar has a slash, and would swallow the factors after it.
        slashed = isinstance(item, Frac) and _too_wide(item, where)
        found.extend(deeper(_bracketed(item, where) if slashed else pieces(item, where)))
    return found


def _too_wide(laid: Frac, where: Context) -> bool:
    return width(pieces(laid.bottom, where)) > FRACTION


def _fraction(laid: Frac, where: Context) -> list[Piece]:
    top, bottom = pieces(laid.top, where), pieces(laid.bottom, where)
    if max(width(top), width(bottom)) <= FRACTION:
        return [Piece("\\frac{" + joined(top) + "}{" + joined(bottom) + "}", max(width(top), width(bottom)) + 0.3)]
    if width(bottom) <= FRACTION:
        over = Piece("\\frac{1}{" + joined(bottom) + "}\\, ", width(bottom) + 0.4)
        return [over, *_bracketed(laid.top, where)]
    return [*_bracketed(laid.top, where), Piece(" \\Big/ ", 0.8, 1), *_bracketed(laid.bottom, where)]


def _call(laid: Call, where: Context) -> list[Piece]:
    if laid.name == "abs":
        return _bracketed(laid.args[0], where, "", "\\lvert ", "\\rvert ")
    if laid.name == "logdet" and len(laid.args) == 1:
        return [Piece("\\log ", 1.5), *_bracketed(Call("det", laid.args), where, "", "\\lvert ", "\\rvert ")]
    name = f"\\{laid.name}" if laid.name in FUNCTIONS else "\\operatorname{" + laid.name.replace("_", "\\_") + "}"
    head = Piece(name, 0.5 * len(laid.name) + 0.1)
    if len(laid.args) == 1:
        return [head, *_bracketed(laid.args[0], where)]
    found = [head, Piece("(", 0.4)]
    for n, arg in enumerate(laid.args):
        if n:
            found.append(Piece(", ", 0.5, 2))
        found.extend(deeper(pieces(arg, where)))
    return [*found, Piece(")", 0.4)]


def _partial(laid: Partial, where: Context) -> list[Piece]:
    top, bottom = pieces(laid.top, where), solid(pieces(laid.bottom, where))
    d = "\\partial^{+}" if laid.total else "\\partial "
    if isinstance(laid.top, (Word, Entry)):
        wide = max(width(top), width(bottom)) + 1.2
        return [Piece("\\frac{" + d + joined(top) + "}{" + d + joined(bottom) + "}", wide)]
    head = "\\frac{" + d.strip() + "}{" + d + joined(bottom) + "}"
    return [Piece(head, width(bottom) + 1.2), *_bracketed(laid.top, where)]


# ---------------------------------------------------------------------------------------------------- prose


SPECIAL = {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
SYMBOLS = {
    "<": "<",
    ">": ">",
    "|": "|",
    "Σ": "\\Sigma",
    "∂": "\\partial",
    "δ": "\\delta",
    "×": "\\times",
    "∘": "\\circ",
    "−": "-",
    "≥": "\\ge",
    "≤": "\\le",
    "≈": "\\approx",
    "√": "\\surd",
    "∞": "\\infty",
    "⁺": "^{+}",
    "·": "\\cdot",
    "⟨": "\\langle",
    "⟩": "\\rangle",
}
FORMULA = re.compile(
    r"`[^`]+`"  # marked as a formula by whoever wrote the sentence
    r"|[A-Za-z]\w*'*\[[^\[\]]*(?:\[[^\[\]]*\][^\[\]]*)*\]"  # an entry: dY[i,j], Z[i, y[i]]
    r"|\b[A-Za-z]'+(?!\w)"  # a primed index
    r"|(?<![\w'])[b-zB-HJ-Z](?![\w'’])"  # a name of one letter that is no word
    r"|\b[a-zA-Z]_\w+\b"  # a name with a subscript
    r"|(?<!')\b\w+\b"  # a tensor's name, where it is one
)


def escaped(text: str) -> str:
    """Plain text made safe for LaTeX."""
    out = []
    for character in text:
        if character in SPECIAL:
            out.append(SPECIAL[character])
        elif character in "#$%&_{}":
            out.append("\\" + character)
        elif character in SYMBOLS:
            out.append(f"\\({SYMBOLS[character]}\\)")
        else:
            out.append(character)
    return re.sub(r"(?<=\w)\.(?=\w)", r".\\allowbreak{}", "".join(out))


def prose(text: str, where: Context) -> str:
    """A sentence with its entries, indices and tensors set as mathematics."""
    return "".join(f"\\({text}\\)" if formula else escaped(text) for text, formula in segments(text, where))


def segments(text: str, where: Context) -> list[tuple[str, bool]]:
    """The parts of a sentence in order: words as they stand (False), and formulas in LaTeX (True)."""
    out = []
    at = 0
    for match in FORMULA.finditer(text):
        tex = formula_in(match.group(0), where)
        if tex is None:
            continue
        out += [(text[at : match.start()], False), (tex, True)]
        at = match.end()
    return [*out, (text[at:], False)]


def formula_in(word: str, where: Context) -> str | None:
    """The LaTeX of a match of FORMULA in a sentence, or None where it is a word of the language."""
    if word.startswith("`"):
        return _marked(word[1:-1], where)
    if "[" in word:
        head, _, inner = word[:-1].partition("[")
        parts = [p.strip() for p in re.split(r",(?![^\[]*\])", inner)]
        found = [formula_in(p, where) or notation.latex_word(p) if p else "" for p in parts]
        plain = all(len(p.rstrip("'")) == 1 for p in parts)
        return f"{notation.latex_tensor(head, where)}_{{{('' if plain else ',').join(found)}}}"
    if where.depth(word)[0] or word in where.tensors:
        return notation.latex_tensor(word, where)
    if not word.isascii():
        return None
    if (len(word.rstrip("'")) == 1 and word not in ("a", "A", "I") and not word.isdigit()) or (
        "_" in word and len(word.split("_")[0]) == 1
    ):
        return notation.latex_word(word)
    return None


def _marked(text: str, where: Context) -> str:
    """A short formula written in the terminal's notation."""
    out = []
    for word in re.findall(r"[A-Za-zδ]\w*'*(?:\[[^\]]*\])?|.", text):
        if word.startswith("δ["):
            out.append("\\delta_{" + word[2:-1].replace(",", "") + "}")
        elif re.fullmatch(r"d[A-Z]", word):
            out.append("\\mathrm{d}" + word[1:])
        elif word in SYMBOLS:
            out.append(SYMBOLS[word] + " ")
        elif word.isalpha():
            out.append(notation.latex_tensor(word, where))
        else:
            out.append(word if word in "[]" else formula_in(word, where) or escaped(word))
    return "".join(out)
