"""What is known about signs: from declared facts such as `v[i] > 0`, from definitions, and from what a formula is built of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeGuard

from derive.expr import ONE, ZERO, Add, Delta, Equation, Expr, Fact, Fn, Idx, Iverson, Max, Mul, Num, Pow, Ref, Size, Sum, children, neg

BETWEEN_ZERO_AND_ONE = ("sigmoid",)
ABOVE_ZERO = ("exp", "sigmoid", "softplus", "pi")
NOT_BELOW_ZERO = (*ABOVE_ZERO, "abs", "relu")


def is_comparison(fact: Fact) -> bool:
    """Whether a fact says that a comparison holds, as in `v[i] > 0`, and not that two things are equal."""
    return isinstance(fact.left, Iverson) and fact.right == ONE


def _every_entry(expr: Expr) -> TypeGuard[Ref]:
    """Whether a fact about this is one about every entry of a tensor, and not about its diagonal or the entries at labels."""
    return isinstance(expr, Ref) and all(isinstance(i, Idx) for i in expr.indices) and len(set(expr.indices)) == len(expr.indices)


class Signs:
    """Answers whether an expression is surely positive, not negative, or below one; "no" means that nobody said so."""

    def __init__(self, facts: Iterable[Fact] = (), definitions: Mapping[str, Equation] | None = None) -> None:
        self.definitions = definitions or {}
        self.facts = tuple(fact for fact in facts if is_comparison(fact))
        self._positive: dict[str, Fact] = {}
        self._not_negative: dict[str, Fact] = {}
        self._below_one: dict[str, Fact] = {}
        self._known: dict[tuple[str, str], bool] = {}
        for fact in self.facts:
            bracket = fact.left
            assert isinstance(bracket, Iverson)
            low, high = bracket.left, bracket.right
            if _every_entry(high) and isinstance(low, Num) and low.value >= 0 and bracket.relation in ("<", "<="):
                (self._positive if low.value or bracket.relation == "<" else self._not_negative)[high.tensor] = fact
            if _every_entry(low) and isinstance(high, Num) and high.value <= 1 and bracket.relation == "<":
                self._below_one[low.tensor] = fact

    def positive(self, expr: Expr) -> bool:
        if isinstance(expr, Num):
            return expr.value > 0
        if isinstance(expr, Size):
            return True
        if isinstance(expr, Ref):
            return expr.tensor in self._positive or self._by_definition("positive", expr)
        if isinstance(expr, Fn):
            return expr.name in ABOVE_ZERO or expr.name == "pow" and self.positive(expr.args[0])
        if isinstance(expr, Add):
            if self._one_minus(expr):
                return True
            return all(self.not_negative(term) for term in expr.terms) and any(self.positive(term) for term in expr.terms)
        if isinstance(expr, (Mul, Pow, Sum, Max)):
            return all(self.positive(child) for child in children(expr))
        return False

    def not_negative(self, expr: Expr) -> bool:
        if isinstance(expr, (Delta, Iverson)) or self.positive(expr):
            return True
        if isinstance(expr, Num):
            return expr.value == 0
        if isinstance(expr, Ref):
            return expr.tensor in self._not_negative or self._by_definition("not_negative", expr)
        if isinstance(expr, Fn):
            return expr.name in NOT_BELOW_ZERO
        if isinstance(expr, Pow):
            # What a root or an inverse gives is defined only where its sign is that of its base.
            return expr.exponent.numerator % 2 == 0 or expr.exponent.denominator % 2 == 0 or self.not_negative(expr.base)
        if isinstance(expr, (Add, Mul, Sum, Max)):
            return all(self.not_negative(child) for child in children(expr))
        return False

    def below_one(self, expr: Expr) -> bool:
        if isinstance(expr, Num):
            return expr.value < 1
        if isinstance(expr, Ref):
            return expr.tensor in self._below_one or self._by_definition("below_one", expr)
        if isinstance(expr, Fn):
            power = expr.name == "pow" and self.not_negative(expr.args[0]) and self.below_one(expr.args[0]) and self.positive(expr.args[1])
            return power or expr.name in BETWEEN_ZERO_AND_ONE
        if isinstance(expr, Mul):
            return all(self.positive(factor) and self.below_one(factor) for factor in expr.factors)
        return False

    def _one_minus(self, expr: Add) -> bool:
        """1 - u, for u < 1."""
        if len(expr.terms) != 2 or ONE not in expr.terms:
            return False
        other = next(term for term in expr.terms if term != ONE)
        return self.below_one(neg(other))

    def _by_definition(self, question: str, ref: Ref) -> bool:
        key = (question, ref.tensor)
        if ref.tensor not in self.definitions:
            return False
        if key not in self._known:
            self._known[key] = False
            self._known[key] = bool(getattr(self, question)(self.definitions[ref.tensor].value))
        return self._known[key]


def comparison(low: Expr, high: Expr) -> Fact:
    """The fact low < high."""
    return Fact(Iverson("<", low, high), ONE)


def above_zero(expr: Expr) -> Fact:
    """The fact expr > 0."""
    return comparison(ZERO, expr)
