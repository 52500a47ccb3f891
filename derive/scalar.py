"""The scalar functions in SymPy, and their derivatives, which SymPy computes.

The derivative at a kink is the value torch chooses, which `KINKS` lists with the interval it is chosen from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import sympy as sp

from derive.errors import near
from derive.expr import ZERO, Expr, Fn, Ref, add, iverson, mul, neg, num, power
from derive.functions import ARITY, power_of


class sigmoid(sp.Function):
    """1 / (1 + exp(-x)), kept whole so that its derivative is sigmoid(x) * (1 - sigmoid(x))."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return self * (1 - self)


class softplus(sp.Function):
    """log(1 + exp(x))."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        return sigmoid(self.args[0])


class relu(sp.Function):
    """max(x, 0)."""

    nargs = 1


class xlogy(sp.Function):
    """x log(y), and 0 where x = 0, whatever y is."""

    nargs = 2


class max_over(sp.Function):
    """The largest value of a body over indices: `max_over(S[i, k], k)`; in text, `max(k, S[i,k])`."""


class position(sp.Function):
    """The value of an index as a number: `position(i)`, 0 for the first place."""


class delta(sp.Function):
    """1 where an index is at a place, else 0: `delta(f, D*c + d)`."""

    nargs = 2


SYMPY: dict[str, Callable[..., sp.Expr]] = {
    "exp": sp.exp,
    "log": sp.log,
    "tanh": sp.tanh,
    "erf": sp.erf,
    "sigmoid": sigmoid,
    "relu": relu,
    "abs": sp.Abs,
    "sign": sp.sign,
    "softplus": softplus,
    "sin": sp.sin,
    "cos": sp.cos,
    "max": sp.Max,
    "min": sp.Min,
    "pow": sp.Pow,
    "xlogy": xlogy,
}


@dataclass(frozen=True)
class Kink:
    """Where a function has no derivative: the interval of its subgradients there, and the one that is taken, which is torch's."""

    where: str
    interval: str
    taken: str


KINKS: dict[str, Kink] = {
    "relu": Kink("at 0", "[0, 1]", "0"),
    "abs": Kink("at 0", "[-1, 1]", "0"),
    "max": Kink("where both are equal", "[0, 1]", "1/2"),
    "min": Kink("where both are equal", "[0, 1]", "1/2"),
}


@cache
def scalar_derivative(name: str, n_args: int) -> tuple[Expr, ...]:
    """The partial derivatives of the scalar function `name`, one for each argument.

    The arguments are the placeholders `Ref("x0")`, `Ref("x1")`. Raises KeyError for a function that is not known, or one that
    does not take `n_args` arguments.
    """
    if ARITY.get(name) != n_args:
        raise KeyError(f"no scalar function {name} of {n_args} arguments{near(name, ARITY)}")
    if name in _KINKED:
        x0, x1 = Ref("x0"), Ref("x1")
        return _KINKED[name](x0, x1)
    symbols = sp.symbols(f"x0:{n_args}", real=True)
    whole = SYMPY[name](*symbols)
    return tuple(scalar_expr(sp.diff(whole, symbol)) for symbol in symbols)


def _step(x: Expr) -> Expr:
    """1 where x > 0, else 0."""
    return iverson("<", ZERO, x)


def _half_step(x: Expr) -> Expr:
    """1 where x > 0, one half at 0, else 0."""
    half = num(Fraction(1, 2))
    return add(half, mul(half, Fn("sign", (x,))))


def _log_beside(x: Expr, y: Expr) -> Expr:
    """The slope of x log(y) in x: log(y), and 0 where x = 0 and y <= 0, as in torch."""
    absent, present = iverson("==", x, ZERO), iverson("!=", x, ZERO)
    return add(mul(present, Fn("log", (y,))), mul(absent, _step(y), Fn("log", (y,))))


# SymPy answers these with DiracDelta, Heaviside or a power that divides by its base; a kernel needs a value everywhere.
_KINKED: dict[str, Callable[[Expr, Expr], tuple[Expr, ...]]] = {
    "relu": lambda x, _: (_step(x),),
    "abs": lambda x, _: (Fn("sign", (x,)),),
    "sign": lambda x, _: (ZERO,),
    "max": lambda x, y: (_half_step(add(x, neg(y))), _half_step(add(y, neg(x)))),
    "min": lambda x, y: (_half_step(add(y, neg(x))), _half_step(add(x, neg(y)))),
    # As in torch: a power to 0 does not move with its base, nor one of 0 with its exponent.
    "pow": lambda x, y: (
        mul(iverson("!=", y, ZERO), y, Fn("pow", (x, add(y, num(-1))))),
        mul(iverson("!=", x, ZERO), Fn("pow", (x, y)), Fn("log", (x,))),
    ),
    "xlogy": lambda x, y: (_log_beside(x, y), mul(iverson("!=", x, ZERO), x, power(y, -1))),
}


def scalar_expr(expr: sp.Expr) -> Expr:
    """A SymPy expression of plain symbols in the IR; a symbol `x` is `Ref("x")`, and pi is the function `pi` of no argument."""
    if isinstance(expr, sp.Rational):
        return num(Fraction(int(expr.p), int(expr.q)))
    if expr is sp.pi:
        return Fn("pi", ())
    if isinstance(expr, sp.Symbol):
        return Ref(expr.name)
    if isinstance(expr, sp.Add):
        return add(*(scalar_expr(arg) for arg in expr.args))
    if isinstance(expr, sp.Mul):
        # A sum stands last in a product, as a person writes it: s * (1 - s).
        return mul(*(scalar_expr(arg) for arg in sorted(expr.args, key=lambda arg: isinstance(arg, sp.Add))))
    if isinstance(expr, sp.Pow):
        return power_of(scalar_expr(expr.base), scalar_expr(expr.exp))
    for name, function in SYMPY.items():
        if type(expr) is function:
            arguments: tuple[sp.Expr, ...] = expr.args
            return Fn(name, tuple(scalar_expr(arg) for arg in arguments))
    raise KeyError(f"no scalar function {type(expr).__name__}")
