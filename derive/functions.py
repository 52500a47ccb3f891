"""The scalar functions a spec may use, by name and number of arguments; their derivatives are in `derive.scalar`."""

from __future__ import annotations

from derive.expr import Expr, Fn, Num, power

ARITY: dict[str, int] = {
    "exp": 1,
    "log": 1,
    "tanh": 1,
    "erf": 1,
    "sigmoid": 1,
    "relu": 1,
    "abs": 1,
    "sign": 1,
    "softplus": 1,
    "sin": 1,
    "cos": 1,
    "max": 2,
    "min": 2,
    "pow": 2,
    "xlogy": 2,
}


def power_of(base: Expr, exponent: Expr) -> Expr:
    """`base ** exponent`: a Pow where the exponent is a number, else the function `pow`."""
    return power(base, exponent.value) if isinstance(exponent, Num) else Fn("pow", (base, exponent))
