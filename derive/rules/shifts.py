"""Rules for logarithms and exponentials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from derive.expr import Equation, Expr, Fn, Mul, Num, Pow, Ref, add, mul, neg, transform, walk
from derive.indices import instantiate, names
from derive.terms import (
    factors,
    positive,
    split_power,
)


def log_of_product(expr: Expr, definitions: Mapping[str, Equation], taken: Iterable[str] = ()) -> tuple[Expr, tuple[Equation, ...]]:
    """log(a b^n) = log a + n log b for a, b > 0, and log(exp u) = u"""
    used: dict[Equation, None] = {}
    if not any(isinstance(node, Fn) and node.name == "log" for node in walk(expr)):
        return expr, ()
    avoid = set(taken) | names(expr)
    above_zero: set[str] = set()
    for name, equation in definitions.items():
        if positive(equation.value, above_zero):
            above_zero.add(name)

    def logarithm(node: Expr) -> Expr:
        if isinstance(node, Fn) and node.name == "exp":
            return node.args[0]
        if isinstance(node, Mul):
            return add(*(logarithm(f) for f in node.factors))
        if isinstance(node, Pow):
            return mul(Num(node.exponent), logarithm(node.base))
        return Fn("log", (node,))

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Fn) or node.name != "log":
            return None
        argument = node.args[0]
        if isinstance(argument, Ref) and argument.tensor in definitions:
            source = definitions[argument.tensor]
            value = instantiate(source, argument, avoid)
            if positive(value, above_zero) and any(_is_exp(f) for f in factors(value)):
                used[source] = None
                return logarithm(value)
            return None
        if isinstance(argument, (Mul, Pow)) and positive(argument, above_zero) and any(_is_exp(f) for f in factors(argument)):
            return logarithm(argument)
        return None

    return transform(expr, rule), tuple(used)


def _is_exp(expr: Expr) -> bool:
    base, _ = split_power(expr)
    return isinstance(base, Fn) and base.name == "exp"


def shift_exponent(node: Fn, shift: Ref) -> Expr:
    """exp(u) = exp(m) exp(u - m), for any m"""
    return Mul((Fn("exp", (shift,)), Fn("exp", (add(node.args[0], neg(shift)),))))
