"""One form for equal formulas: multiplied out, deltas contracted, facts used, powers and conditions read in one way.

It decides nothing: two expressions whose forms agree are equal, two whose forms differ may still be. Each rule that changes
something is a line, so that the way to the form is a proof.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from derive import rules
from derive.equality import equal
from derive.expr import Equation, Expr, Fact, Ref, walk
from derive.rules.expanding import TooLong
from derive.signs import Signs, is_comparison

ROUNDS = 8
LONGEST = 4000  # nodes


@dataclass(frozen=True)
class Line:
    """An expression, and the rule that gave it."""

    rule: str
    after: Expr
    note: str = ""
    detail: str = "full"
    facts: tuple[Fact, ...] = ()


@dataclass
class Known:
    """What may be used: declared facts, signs, the axes of integer entries, symmetric tensors."""

    facts: tuple[Fact, ...] = ()
    definitions: Mapping[str, Equation] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signs = Signs(self.facts, self.definitions)
        self.symmetric = symmetric(self.facts)
        self.equations = read_from_left(self.facts)


def read_from_left(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    """The facts that are equations and can be used from left to right without end: a symmetry could not."""
    return tuple(fact for fact in facts if not is_comparison(fact) and not symmetric((fact,)))


def symmetric(facts: Iterable[Fact]) -> dict[str, tuple[int, int]]:
    """The tensors that a fact such as `A[i,j] = A[j,i]` declares symmetric, with the two places."""
    return {fact.left.tensor: places for fact in facts if isinstance(fact.left, Ref) and (places := rules.exchanged(fact)) is not None}


def normalised(expr: Expr, known: Known, target: Ref, by_definition: bool = False) -> Iterator[Line]:
    """The lines from `expr` to its form; with `by_definition` the functions that exp defines are written out.

    Raises TooLong where the form would fill pages.
    """
    current = expr
    for _ in range(ROUNDS):
        before = current
        lines: list[Line] = []
        for line in _round(current, known, target, by_definition):
            if sum(1 for _ in walk(line.after)) > LONGEST:
                raise TooLong
            if not equal(line.after, current):
                lines.append(line)
            current = line.after
        if equal(current, before):
            return
        yield from lines


def _round(expr: Expr, known: Known, target: Ref, by_definition: bool) -> Iterator[Line]:
    """Every rule once, each from where the one before it ended."""
    signs = known.signs
    under = tuple(f for f in signs.facts)
    current = expr

    def step(rule: str, after: Expr, note: str = "", detail: str = "full", facts: tuple[Fact, ...] = ()) -> Line:
        nonlocal current
        used = facts if after != current else ()
        current = after
        return Line(rule, after, note, detail, used)

    yield step("bracket_delta", rules.bracket_delta(current, known.values))
    if by_definition:
        yield step("elementary", rules.elementary(current), "what these functions are")
    yield step("known_sign", rules.known_sign(current, signs), "by the declared sign", facts=under)
    yield step("exp_of_sum", rules.exp_of_sum(current))
    yield step("expand", rules.expand(current, target), "multiplied out")
    yield step("power_of_product", rules.power_of_product(current, signs), "no factor is negative", facts=under)
    yield step("log_of_factors", rules.log_of_factors(current, signs), "every factor is positive", facts=under)
    yield step("common_denominator", rules.common_denominator(current, signs))
    yield step("contract_delta", rules.contract(current), "only equal indices survive")
    after, used = rules.fact(current, known.equations)
    yield step("fact", after, "by the declared hypothesis", facts=used)
    yield step("symmetric_order", rules.symmetric_order(current, known.symmetric), "by the declared symmetry", facts=_about(known, current))
    yield step("quotient", rules.rename_bound(rules.quotient(current), target), "a sum over itself is 1")
    yield step("pull_out", rules.rename_bound(rules.pull_out(current), target), "what a sum does not run over leaves it", "baby")
    yield step("count_ones", rules.count_ones(current))
    yield step("halve", rules.rename_bound(rules.halve(current), target), "each pair stands twice in the whole sum, once in either order")
    yield step("divide_out", rules.divide_out(current))
    yield step("cancel", rules.cancel(current), "like terms")


def _about(known: Known, expr: Expr) -> tuple[Fact, ...]:
    mentioned = {node.tensor for node in walk(expr) if isinstance(node, Ref)} & set(known.symmetric)
    return tuple(f for f in known.facts if set(symmetric((f,))) & mentioned)
