"""Which parts of a product are selected by its Iverson brackets, where multiplying by them would turn an infinity into nan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from derive.conditions import complement
from derive.expr import Delta, Expr, Iverson, Mul, Ref, mul, walk
from derive.indices import free_indices
from derive.terms import plain, unbounded


@dataclass(frozen=True)
class Masked:
    """A product with brackets: they, plain numbers and lengths, and all other factors."""

    brackets: tuple[Iverson, ...]
    numbers: tuple[Expr, ...]
    rest: tuple[Expr, ...]


Branches = tuple[int, int, tuple[Iverson, ...], tuple[Expr, ...], tuple[Expr, ...]]


def masked(factors: Sequence[Expr]) -> Masked | None:
    """The parts of a product that has brackets among its factors; None for any other."""
    brackets = tuple(f for f in factors if isinstance(f, Iverson))
    if not brackets:
        return None
    others = [f for f in factors if not isinstance(f, Iverson)]
    numbers = tuple(f for f in others if plain(f))
    return Masked(brackets, numbers, tuple(f for f in others if f not in numbers))


def branches(terms: Sequence[Expr]) -> Branches | None:
    """Two terms [c] a and [not c] b of a sum: their places, c, and the factors of a and of b; one of the two is an array.

    A nan compares false, so that b is chosen where one is compared: if only one of the two has what is compared, it is b.
    """
    for first, term in enumerate(terms):
        found = masked(_factors(term))
        if found is None:
            continue
        opposite = complement(mul(*found.brackets))
        for second, other in enumerate(terms):
            factors = list(_factors(other))
            if second == first or opposite not in factors:
                continue
            factors.remove(opposite)
            if any(isinstance(f, Iverson) for f in factors) or not (found.rest or any(not plain(f) for f in factors)):
                continue
            yes, no = (*found.numbers, *found.rest), tuple(factors)
            if isinstance(opposite, Iverson) and _compared(opposite) & _tensors(yes) and not _compared(opposite) & _tensors(no):
                return first, second, (opposite,), no, yes
            return first, second, found.brackets, yes, no
    return None


def _compared(bracket: Iverson) -> set[str]:
    """The arrays that a bracket compares: those that have indices."""
    return {node.tensor for side in (bracket.left, bracket.right) for node in walk(side) if isinstance(node, Ref) and node.indices}


def _tensors(factors: Sequence[Expr]) -> set[str]:
    return {node.tensor for factor in factors for node in walk(factor) if isinstance(node, Ref)}


def guarded(brackets: Sequence[Iverson], factors: Sequence[Expr]) -> tuple[Expr, ...]:
    """The factors of a summed product that are selected by its brackets.

    Selected are those that may be infinite where a bracket is 0, and whatever adds no index to them; if there are none, a factor
    that has all indices of the brackets, and is a Kronecker delta only if no other has.
    """
    reach = {i for bracket in brackets for i in free_indices(bracket)}
    risky = [f for f in factors if unbounded(f)]
    wide = [f for f in factors if reach <= set(free_indices(f))]
    wide = [f for f in wide if not isinstance(f, Delta)] or wide
    widest = max((set(free_indices(f)) for f in wide), key=len, default=set())
    span = reach.union(*(free_indices(f) for f in risky)) if risky else reach | widest
    return tuple(f for f in factors if set(free_indices(f)) <= span)


def _factors(term: Expr) -> tuple[Expr, ...]:
    return term.factors if isinstance(term, Mul) else (term,)
