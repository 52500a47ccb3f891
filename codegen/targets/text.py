"""Pieces of Python source with the axes of what they compute: precedence, transposes, and axes inserted to broadcast."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from derive.expr import Idx

TEST, ADD, MUL, NEG, POW, ATOM = 0, 1, 2, 3, 4, 5
"""How tightly an expression binds; `@`, `*` and `/` are all MUL, comparisons and `&` all TEST."""


@dataclass(frozen=True)
class Text:
    """Source text, how tightly it binds, and the axes of its value.

    `host` marks a plain Python number, `view` an array that may share its memory with another, `fresh` one that is new. A sum or a
    product also has its `steps`, (sign, operand) each, the value of a function its `call`, a pattern and the argument,
    rows with a single 1 each their labels, in `hot`, and what can be written to a given array, or added to one, the pattern for that, in
    `out` and `added`; what need not be written where there is room, but may be, has another pattern in `spare`.
    """

    code: str
    level: int = ATOM
    axes: tuple[Idx, ...] = ()
    host: bool = False
    view: bool = False
    fresh: bool = field(default=False, compare=False)
    steps: tuple[tuple[str, Text], ...] = field(default=(), compare=False)
    call: tuple[str, Text] | None = field(default=None, compare=False)
    hot: str = field(default="", compare=False)
    out: str = field(default="", compare=False)
    added: str = field(default="", compare=False)
    spare: str = field(default="", compare=False)
    choice: tuple[Text, str] | None = field(default=None, compare=False)

    def at(self, level: int) -> str:
        """The code, in parentheses where it binds less tightly than `level`."""
        return self.code if self.level >= level else f"({self.code})"


@dataclass(frozen=True)
class Spelling:
    """How a target spells what NumPy and torch spell differently; a pattern's fields are filled by `str.format`."""

    module: str
    axis: str
    permute: str
    maximum: str
    vecdot: str
    functions: dict[str, str]
    copy: str
    broadcast: str
    full: str
    arange: str
    eye: str
    one_hot: str
    take: str
    diagonal: str
    kind_of: str
    """The element type of a named array, as an argument to one_hot, full and real."""
    real: str
    discarding: str
    """The header of a block in which numbers may overflow, because a mask drops them; empty where that needs no saying."""
    in_place: bool = False
    """Whether results are computed in place: not where arrays are recorded for derivatives."""
    unary: frozenset[str] = frozenset()
    """The functions that take `out`."""
    fused: Mapping[str, str] = field(default_factory=dict)
    """The operators along an axis that stand for sub-programs."""
    fill: str = ""
    """A number put in place into the entries of an array for which a condition fails; empty where that is slower than a choice."""
    product: str = ""
    """A product of matrices, where it is not `@` whatever their size; it takes `out`, and `spare`."""
    add_product: str = ""
    """A product of matrices added to an array; empty where that is no single operation."""
    added_at: str = ""
    """An array to which a number is added at each label along its last axis, as a value of its own."""
    gather: str = ""
    """Entries of an array at labels that have all of its other axes; empty where `take` is as fast."""
    dot: str = ""
    """The sum over all axes of the products of two arrays' entries; empty where a sum of sums of rows is more exact."""
    sums: str = ""
    """A sum along axes that is fast where rows are long; empty where the plain one is."""


HOST_FUNCTIONS = {name: f"math.{name}({{0}})" for name in ("exp", "log", "sqrt", "tanh", "erf", "sin", "cos")} | {
    "abs": "abs({0})",
    "max": "max({0}, {1})",
    "min": "min({0}, {1})",
    "pow": "({0} ** {1})",
}


def permuted(text: Text, axes: Sequence[Idx], spelling: Spelling) -> Text:
    """The same array with its axes in another order."""
    if tuple(axes) == text.axes:
        return text
    order = [text.axes.index(i) for i in axes]
    n = len(order)
    if n == 2:
        code = f"{text.at(ATOM)}.T"
    elif order == [*range(n - 2), n - 1, n - 2]:
        code = f"{text.at(ATOM)}.mT"
    else:
        code = spelling.permute.format(text.at(ATOM), ", ".join(map(str, order)))
    return Text(code, ATOM, tuple(axes), view=True)


def renamed(text: Text, mapping: Mapping[Idx, Idx]) -> Text:
    """The same with other names for its axes, and for those of its operands."""
    return replace(
        text,
        axes=tuple(mapping.get(i, i) for i in text.axes),
        steps=tuple((sign, renamed(operand, mapping)) for sign, operand in text.steps),
        call=(text.call[0], renamed(text.call[1], mapping)) if text.call else None,
        choice=(renamed(text.choice[0], mapping), text.choice[1]) if text.choice else None,
    )


def aligned(text: Text, axes: Sequence[Idx | None], spelling: Spelling) -> Text:
    """`text` with its axes in the order of `axes` and an axis of length 1 for each of those it lacks.

    Missing axes in front are left out, because broadcasting supplies them; None asks for an axis of length 1.
    """
    if text.host or not text.axes:
        return text
    text = permuted(text, [i for i in axes if i is not None and i in text.axes], spelling)
    marks = [":" if i is not None and i in text.axes else "None" for i in axes]
    if "None" in marks and ":" in marks:
        while marks[0] == "None" and axes[len(axes) - len(marks)] is not None:
            marks = marks[1:]
    if "None" not in marks:
        return text
    lead = marks.index("None")
    if lead > 1:
        marks = ["...", *marks[lead:]]
    return Text(f"{text.at(ATOM)}[{', '.join(marks)}]", ATOM, text.axes, view=True)


LARGEST_EXACT = 2**53
"""Beyond this a float does not hold every integer, and torch takes no integer beyond 2**63."""


def number(value: Fraction) -> Text:
    """A rational constant as Python writes it."""
    try:
        exact = repr(float(value)).replace("e+", "e")
    except OverflowError:
        raise NotImplementedError(f"no kernel for the number {value}: it is beyond every floating-point number") from None
    if value.denominator == 1 and abs(value) > LARGEST_EXACT:
        return Text(exact, NEG if value < 0 else ATOM, host=True)
    if value.denominator == 1:
        return Text(str(value.numerator), NEG if value < 0 else ATOM, host=True)
    if Fraction(exact) == value and len(exact) <= 12:
        return Text(exact, NEG if value < 0 else ATOM, host=True)
    return Text(f"{value.numerator} / {value.denominator}", MUL, host=True)


@dataclass(frozen=True)
class Factor:
    """One factor of a product: its text, and whether it divides."""

    text: Text
    below: bool = False


def product(coefficient: Fraction, factors: Sequence[Factor], axes: tuple[Idx, ...]) -> tuple[bool, Text]:
    """(whether it is negative, the product's text without its sign).

    Scalars meet before arrays do, and a plain number is never divided by another: the divisor may be the length of an empty axis,
    which Python refuses where an array gives nan.
    """
    above = [f.text for f in factors if not f.below]
    below = [f.text for f in factors if f.below]
    rest = abs(coefficient)
    # One third is a division; 0.5 and 0.044715 are factors, because a long denominator would overflow short floats.
    divides = rest.numerator == 1 and 1 < rest.denominator < 1000 and rest.denominator not in (2, 4, 8)
    numbers = [] if divides or rest == 1 else [number(rest)]
    divisors = [number(Fraction(rest.denominator))] if divides else []
    scalars = numbers + [t for t in above if t.host] + [t for t in above if not t.host and not t.axes]
    divisors += [t for t in below if t.host] + [t for t in below if not t.host and not t.axes]
    arrays = [t for t in above if t.axes]
    quotients = [t for t in below if t.axes]
    by = [_joined(divisors)] if divisors else []
    if any(not t.host for t in scalars):
        chain = [*_each("*", scalars), *_each("/", by), *_each("*", arrays), *_each("/", quotients)]
    elif arrays:
        chain = [*_each("*", scalars), *_each("*", arrays), *_each("/", by), *_each("/", quotients)]
    else:
        chain = [*_each("*", scalars), *_each("/", quotients), *_each("/", by)]
    host = all(f.text.host for f in factors)
    if not chain or chain[0][0] == "/":
        chain.insert(0, ("*", Text("1", host=True)))
    first = chain[0][1]
    if len(chain) == 1:
        hot = first.hot if first.axes == axes else ""
        return coefficient < 0, Text(first.code, first.level, axes, host, first.view, hot=hot)
    code = first.at(MUL) + "".join(f" {sign} {text.at(NEG)}" for sign, text in chain[1:])
    return coefficient < 0, Text(code, MUL, axes, host, steps=tuple(chain))


def _each(sign: str, texts: Sequence[Text]) -> list[tuple[str, Text]]:
    return [(sign, text) for text in texts]


def _joined(texts: Sequence[Text]) -> Text:
    return texts[0] if len(texts) == 1 else Text(" * ".join(t.at(NEG) for t in texts), MUL)


def signed(negative: bool, text: Text) -> Text:
    return Text(f"-{text.at(MUL)}", MUL if text.level == MUL else NEG, text.axes, text.host) if negative else text


def total(terms: Sequence[tuple[bool, Text]], axes: tuple[Idx, ...]) -> Text:
    """A sum of signed terms; a positive one is put first where there is one."""
    ordered = list(terms)
    first = next((n for n, (negative, _) in enumerate(ordered) if not negative), 0)
    ordered.insert(0, ordered.pop(first))
    code = signed(*ordered[0]).at(ADD)
    for negative, text in ordered[1:]:
        code += f" - {text.at(MUL)}" if negative else f" + {text.at(ADD if text.level != ADD else MUL)}"
    steps = tuple(("-" if negative else "+", text) for negative, text in ordered)
    return Text(code, ADD, axes, all(text.host for _, text in terms), steps=steps)


def tuple_of(parts: Sequence[str]) -> str:
    """A tuple's source."""
    return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"


def comment(text: str) -> list[str]:
    """A comment, in lines that fit under a method's indentation."""
    lines = textwrap.wrap(text, 100, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)
    return [f"# {line}" for line in lines]
