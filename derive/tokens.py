"""A line of a text spec cut into tokens, and messages that point at one."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from fractions import Fraction

from derive.errors import SpecError
from derive.matrix_words import with_indices

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<number>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?)
      | (?P<name>[^\W\d]\w*'*)
      | (?P<op>\*\*|//|<=|>=|==|!=|[-+*/^()\[\],=:<>])""",
    re.VERBOSE,
)
CONNECTIVES = ("and", "or", "not")
_LONGEST_NUMBER = 40
_LARGEST_POWER = 1000
_WIDEST = 100  # columns of a line shown in a message
_LIKELY = {"×": "*", "·": "*", "−": "-", "⋅": "*", "{": "(", "}": ")", "∑": "sum(k, ...)"}


@dataclass(frozen=True)
class Token:
    """`kind` is `number`, `name`, `op` or `end`; `column` counts from 0."""

    kind: str
    text: str
    column: int


@dataclass(frozen=True)
class Line:
    """One statement of a spec: where it was read and its text."""

    layer: str
    number: int
    text: str

    def error(self, column: int, message: str) -> SpecError:
        """The message with the line and a caret under `column`."""
        start = max(0, column - _WIDEST // 2)
        shown = self.text[start : start + _WIDEST]
        where = f"{self.layer}: line {self.number}, column {column + 1}"
        return SpecError(f"{where}: {message}\n    {shown}\n    {' ' * (column - start)}^")


def tokenize(line: Line) -> list[Token]:
    """The tokens of a line, closed by an `end`. Raises SpecError at a character no formula has."""
    tokens: list[Token] = []
    position = 0
    while position < len(line.text):
        match = _TOKEN.match(line.text, position)
        if match is None:
            character = line.text[position]
            whole = with_indices(line.text) if character in "@'" else None
            also = "" if whole is None else f"; with indices this line is {whole}"
            raise line.error(position, f"{character!r} has no meaning in a formula{_instead(character)}{also}")
        kind = match.lastgroup or ""
        if kind == "name" and match.group() in CONNECTIVES:
            kind = "op"
        if kind == "name":
            _check_name(line, match.group(), position)
        if kind != "space":
            tokens.append(Token(kind, match.group(), position))
        position = match.end()
    tokens.append(Token("end", "", len(line.text)))
    return tokens


_WRITTEN = {
    "@": "a matrix product is a sum: sum(k, X[i,k]*W[k,j])",
    "'": "a transpose is another order of indices, X[j,i]",
    "|": "an absolute value is abs(x); conditions are joined by and, or, not",
}
"""What signs of other notations are here."""


def _instead(character: str) -> str:
    if character in _LIKELY:
        return f"; write {_LIKELY[character]}"
    if character in _WRITTEN:
        return f"; {_WRITTEN[character]}"
    if character in "!&|?":
        return "; conditions are written with < <= > >= == != and, or, not, as in where(j <= i, X[i,j], 0)"
    if character in "'\".;\\@%$`":
        return "; a formula is read, never run: it has tensors, indices, numbers, + - * / ^ and functions"
    return ""


def _check_name(line: Line, name: str, column: int) -> None:
    # Generated kernels use the spec's names, so a word of Python cannot be one.
    if name.startswith("__"):
        raise line.error(column, f"{name} cannot be a name here; a formula is read, never run")
    if keyword.iskeyword(name):
        hint = "a choice is where(condition, a, b)" if name in ("if", "else") else "a formula is read, never run"
        raise line.error(column, f"{name} is a word of Python and cannot be a name here; {hint}")


def number(line: Line, token: Token) -> Fraction:
    """The exact value of a number token: 0.1 is 1/10. Raises SpecError for one too long to mean anything."""
    digits, _, exponent = token.text.lower().partition("e")
    if len(digits) > _LONGEST_NUMBER or len(exponent) > 4 or (exponent and abs(int(exponent)) > 99):
        raise line.error(
            token.column, f"the number {token.text[:20]}... is too large or too long; use at most {_LONGEST_NUMBER} digits and e-99 to e99"
        )
    return Fraction(token.text)


def check_power(line: Line, column: int, base: Fraction | None, exponent: Fraction) -> None:
    """Refuse a power that is undefined or too large to write out."""
    if base == 0 and exponent < 0:
        raise line.error(column, "this divides by zero")
    if max(abs(exponent.numerator), exponent.denominator) > _LARGEST_POWER:
        raise line.error(column, f"the exponent {str(exponent)[:20]} is too large; use at most {_LARGEST_POWER}")
    if base is not None:
        digits = max(len(str(abs(base.numerator))), len(str(base.denominator)))
        if digits * abs(exponent.numerator) > 300:
            raise line.error(column, "this power of a number is too large; use at most 300 digits")
        if base < 0 and exponent.denominator != 1:
            raise line.error(column, f"a negative number, {base}, has no real power {exponent}")


def check_logarithm(line: Line, column: int, argument: Fraction) -> None:
    """Refuse a logarithm that is no real number."""
    if argument <= 0:
        what = "0 has no logarithm" if argument == 0 else f"a negative number, {argument}, has no real logarithm"
        raise line.error(column, f"{what}; a logarithm is taken of a number greater than 0, as in log(2), or of a tensor, as in log(X[i])")
