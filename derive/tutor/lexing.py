"""The words of a person's formula, with their columns, and the stream of them that the reader takes from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from derive.tutor.tree import Unreadable
from derive.tutor.words import LATEX, SIGNS, SILENT

_TOKEN = re.compile(
    r"""(?P<one>\\math(?:bf|bb|bbm)\{?1\}?)
      | (?P<styled>\\(?:mathrm|mathbf|mathit|mathsf|text|operatorname|boldsymbol|bm)\{\w+\})
      | (?P<space>(?:\s|\\[,;:!\ ]|&|~|\\quad|\\displaystyle)+)
      | (?P<number>\d+\.\d+(?:[eE][+-]?\d+)?|\d+(?:\.(?![A-Za-z]))?(?:[eE][+-]?\d+)?|\.\d+)
      | (?P<latex>\\[A-Za-z]+)
      | (?P<text>'[A-Za-z, ]*(?:->[^']*|,[A-Za-z, ]*)'|"[^"]*")
      | (?P<name>[^\W\d_ᵀ](?:[^\Wᵀ]*[^\W_ᵀ])?|𝟏|∂)
      | (?P<op>\*\*|<=|>=|==|!=|[-+*/^()\[\],=:<>@._{}'|∘⊙·⋅×ᵀ⊤∑Σ−′])""",
    re.VERBOSE,
)
_LONGEST = 2000


@dataclass(frozen=True)
class Token:
    kind: str
    text: str
    at: int


def tokenize(source: str) -> list[Token]:
    if len(source) > _LONGEST:
        raise Unreadable(
            f"this line has {len(source)} characters; a formula has at most {_LONGEST}: name its parts on lines of their own", 0
        )
    tokens: list[Token] = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            raise Unreadable(
                f"{source[position]!r} has no meaning in a formula; expected a tensor, a number or one of + - * / @ ^T", position
            )
        kind, word = match.lastgroup or "", match.group()
        if kind == "one":
            kind, word = "name", "𝟏"
        elif kind == "styled":
            kind, word = "name", word[word.index("{") + 1 : -1]
        elif kind == "latex":
            word = word[1:]
            kind = "op" if word in LATEX else "name"
            word = LATEX.get(word, word)
            if word == "T":
                kind = "name"
        word = SIGNS.get(word, word)
        if kind != "space" and not (kind == "name" and word in SILENT and match.group().startswith("\\")):
            tokens.append(Token(kind, word, position))
        position = match.end()
    tokens.append(Token("end", "", len(source)))
    return _joined(tokens)


def _joined(tokens: list[Token]) -> list[Token]:
    r"""`dL/dY` and `\partial L / \partial Y` are one name, dY: nobody divides by a gradient."""
    found: list[Token] = []
    n = 0
    while n < len(tokens):
        words = [token.text for token in tokens[n : n + 5]]
        if len(words) > 3 and words[0] in ("partial", "∂") and words[2] == "/" and words[3] == words[0]:
            found.append(Token("name", f"d{words[4]}", tokens[n].at))
            n += 5
        elif (
            len(words) > 2
            and words[1] == "/"
            and re.fullmatch(r"d[A-Z]", words[0])
            and re.fullmatch(r"d[A-Za-z]\w*", words[2])
            and words[2] != "d"
        ):
            found.append(Token("name", words[2], tokens[n].at))
            n += 3
        else:
            found.append(tokens[n])
            n += 1
    return found


class Stream:
    """Words taken one after the other; `names` are the tensors and sizes that a formula may mention."""

    def __init__(self, tokens: list[Token], names: frozenset[str]) -> None:
        self.tokens, self.names, self.position, self.depth = tokens, names, 0, 0

    @property
    def token(self) -> Token:
        return self.tokens[self.position]

    def ahead(self, n: int = 1) -> Token:
        return self.tokens[min(self.position + n, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.position += 1
        return token

    def accept(self, *texts: str) -> Token | None:
        return self.take() if self.token.text in texts and self.token.kind == "op" else None

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.unexpected(repr(text))

    def unexpected(self, wanted: str) -> Unreadable:
        found = "the line ends here" if self.token.kind == "end" else f"there is {self.token.text!r} here"
        return Unreadable(f"{found}; expected {wanted}", self.token.at)
