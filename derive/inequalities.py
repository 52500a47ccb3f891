"""Whether linear inequalities contradict one another: variables are eliminated one after the other (Fourier and Motzkin).

Source: Schrijver, Theory of Linear and Integer Programming (1986), section 12.2.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from fractions import Fraction

MOST = 200  # rows; a formula has a handful of conditions


@dataclass(frozen=True)
class Row:
    """sum(terms) + constant <= 0, or < 0 where `strict`; it follows from the inequalities numbered in `origin`."""

    terms: tuple[tuple[Hashable, Fraction], ...]
    constant: Fraction
    strict: bool
    origin: frozenset[int]

    @property
    def is_false(self) -> bool:
        return not self.terms and (self.constant > 0 or self.constant == 0 and self.strict)


def contradiction(rows: Sequence[Row]) -> frozenset[int]:
    """The numbers of inequalities that no values satisfy together; empty where there are some, or too many rows to tell."""
    left = list(dict.fromkeys(rows))
    while True:
        false = min((row for row in left if row.is_false), key=lambda row: len(row.origin), default=None)
        if false is not None:
            return false.origin
        counts: dict[Hashable, int] = {}
        for row in left:
            for variable, _ in row.terms:
                counts[variable] = counts.get(variable, 0) + 1
        if not counts or len(left) > MOST:
            return frozenset()
        variable = min(counts, key=lambda each: counts[each])
        above = [row for row in left if dict(row.terms).get(variable, Fraction(0)) > 0]
        below = [row for row in left if dict(row.terms).get(variable, Fraction(0)) < 0]
        rest = [row for row in left if row not in above and row not in below]
        left = list(dict.fromkeys([*rest, *(_joined(a, b, variable) for a in above for b in below)]))


def _joined(above: Row, below: Row, variable: Hashable) -> Row:
    """The sum of two rows, each scaled, without the variable."""
    scales = (-dict(below.terms)[variable], dict(above.terms)[variable])
    found: dict[Hashable, Fraction] = {}
    for row, scale in zip((above, below), scales):
        for each, number in row.terms:
            found[each] = found.get(each, Fraction(0)) + scale * number
    terms = tuple(sorted(((each, number) for each, number in found.items() if number), key=repr))
    constant = above.constant * scales[0] + below.constant * scales[1]
    return Row(terms, constant, above.strict or below.strict, above.origin | below.origin)
