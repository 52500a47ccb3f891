"""The two arithmetics of the checker: exact rationals with a model of exp, and decimals with the true functions.

Exact mode reads `exp(x)` as `tau^x` for a rational `tau` drawn anew for every world. That model obeys every law of exp
(`exp(a + b) = exp(a) exp(b)`, and `exp' = exp` as a derivation), so a line that follows from the laws holds in it exactly, and a
line that does not follow fails for almost every `tau`. What is not rational in the model (log, erf, the root of a number
that is no square) raises `Irrational`, and the proof is evaluated again in decimals.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, DecimalException, getcontext
from fractions import Fraction
from functools import lru_cache
from typing import Any

Number = Any  # int | Fraction in exact mode, int | Decimal in digits mode
HALF = Fraction(1, 2)
LARGEST_ROOT = 24
LONGEST = 2000  # bits of a denominator, beyond which 50 digits are quicker by far
LARGEST_EXPONENT = 6000


class CannotTell(Exception):
    """The checker has no means to evaluate this."""


class OutsideDomain(Exception):
    """An input outside a function's domain, or on a kink: another draw may avoid it."""


class Singular(OutsideDomain):
    """A matrix without an inverse: other sizes may avoid it, since a product of a tall and a wide one is singular whatever the draw."""


class Irrational(Exception):
    """A value that exact mode cannot hold."""


class FinerRoot(Exception):
    """`exp` of a fraction with this denominator: the model needs `tau` to be a power of that order."""

    def __init__(self, order: int) -> None:
        super().__init__(order)
        self.order = order


def plain(value: Number) -> Number:
    """An integral fraction as an int, which is many times faster to calculate with."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


class Exact:
    """Rational arithmetic; `exp(x) = unit^(root * x)`, so tau is `unit^root`."""

    mode = "exact"

    def __init__(self, unit: int = 2, root: int = 1) -> None:
        self.unit = unit
        self.root = root

    def number(self, value: Fraction) -> Number:
        return plain(value)

    def keep(self, x: Number) -> Number:
        """An entry that will be used again. Raises Irrational where exact numbers have grown too long to go on with."""
        if type(x) is Fraction and x.denominator.bit_length() > LONGEST:
            raise Irrational("numbers of thousands of digits")
        return x

    def inverse(self, x: Number) -> Number:
        if not x:
            raise OutsideDomain("division by zero")
        return Fraction(1, x) if type(x) is int else plain(1 / x)

    def power(self, x: Number, exponent: Fraction) -> Number:
        if exponent < 0:
            return self.inverse(self.power(x, -exponent))
        if exponent.denominator == 1:
            return x**exponent.numerator
        if x < 0:
            raise OutsideDomain(f"a power {exponent} of a negative number")
        ratio = Fraction(x)
        parts = [_integer_root(part, exponent.denominator) for part in (ratio.numerator, ratio.denominator)]
        return plain(Fraction(parts[0], parts[1]) ** exponent.numerator)

    def exp(self, x: Number) -> Number:
        steps = x * self.root
        if steps.denominator != 1:
            order = math.lcm(self.root, Fraction(x).denominator)
            if order > LARGEST_ROOT:
                raise Irrational("exp of a fraction")
            raise FinerRoot(order)
        steps = steps.numerator
        if abs(steps) > LARGEST_EXPONENT:
            raise Irrational("exp of a large number")
        return self.unit**steps if steps >= 0 else Fraction(1, self.unit**-steps)

    def log(self, x: Number) -> Number:
        if x <= 0:
            raise OutsideDomain("log of a number that is not positive")
        if x == 1:
            return 0
        raise Irrational("log")

    def transcendental(self, name: str, x: Number) -> Number:
        if x == 0:
            return 1 if name == "cos" else 0
        raise Irrational(name)

    def pi(self) -> Number:
        raise Irrational("pi")

    def equal(self, a: Number, b: Number) -> bool:
        return bool(a == b)


TURNING = 200  # beyond this the digits that sin and cos lose to their period are more than there are to spare


class Digits:
    """Decimal arithmetic in the current context, with the true functions; two values agree if they share 50 digits."""

    mode = "50 digits"
    tolerance = Decimal("1e-50")

    def number(self, value: Fraction) -> Number:
        return value.numerator if value.denominator == 1 else Decimal(value.numerator) / Decimal(value.denominator)

    def keep(self, x: Number) -> Number:
        return x

    def inverse(self, x: Number) -> Number:
        if not x:
            raise OutsideDomain("division by zero")
        return 1 / Decimal(x)

    def power(self, x: Number, exponent: Fraction) -> Number:
        if exponent.denominator == 1:
            return self.inverse(x**-exponent.numerator) if exponent < 0 else x**exponent.numerator
        if x < 0:
            raise OutsideDomain(f"a power {exponent} of a negative number")
        if exponent < 0:
            return self.inverse(self.power(x, -exponent))
        if exponent.denominator == 2:
            return Decimal(x).sqrt() ** exponent.numerator
        return Decimal(x) ** (Decimal(exponent.numerator) / Decimal(exponent.denominator))

    def exp(self, x: Number) -> Number:
        try:
            return Decimal(x).exp()
        except DecimalException:
            raise OutsideDomain("exp of a number too large") from None

    def log(self, x: Number) -> Number:
        if x <= 0:
            raise OutsideDomain("log of a number that is not positive")
        return Decimal(x).ln()

    def transcendental(self, name: str, x: Number) -> Number:
        if name in ("sin", "cos") and abs(x) > TURNING:
            raise OutsideDomain(f"{name} of a number too large")
        return _SERIES[name](Decimal(x))

    def pi(self) -> Number:
        """16 atan(1/5) - 4 atan(1/239) (Machin)."""
        return _pi(getcontext().prec)

    def equal(self, a: Number, b: Number) -> bool:
        return bool(abs(a - b) <= self.tolerance * max(1, abs(a), abs(b)))


Arithmetic = Exact | Digits


def _integer_root(value: int, order: int) -> int:
    root = math.isqrt(value) if order == 2 else round(value ** (1.0 / order))
    if root**order != value:
        raise Irrational(f"a root of order {order}")
    return root


def _series(first: Decimal, ratio: Callable[[int], Decimal]) -> Decimal:
    """first (1 + ratio(1) (1 + ratio(2) (...))), until a term no longer counts."""
    total, term, n = first, first, 0
    while term and term.adjusted() > total.adjusted() - getcontext().prec - 5:
        n += 1
        term *= ratio(n)
        total += term
    return total


@lru_cache(maxsize=8)
def _pi(digits: int) -> Decimal:
    """As many digits of pi as the current context has."""
    return 16 * _arctan_of_inverse(5) - 4 * _arctan_of_inverse(239)


def _arctan_of_inverse(n: int) -> Decimal:
    total, term, odd, square = Decimal(0), Decimal(1) / n, 1, n * n
    while term.adjusted() > -getcontext().prec - 5:
        total += term / odd if odd % 4 == 1 else -term / odd
        term /= square
        odd += 2
    return total


def _erf(x: Decimal) -> Decimal:
    """2/sqrt(pi) exp(-x^2) sum_n 2^n x^(2n+1) / (2n+1)!!, all of whose terms have one sign (DLMF 7.6.2)."""
    if abs(x) > 12:
        raise OutsideDomain("erf of a number so large that it is 1 to 50 digits")
    square = x * x
    front: Decimal = 2 / Digits().pi().sqrt() * (-square).exp()
    return front * _series(x, lambda n: 2 * square / (2 * n + 1))


def _sin(x: Decimal) -> Decimal:
    return _series(x, lambda n: -x * x / (2 * n * (2 * n + 1))) if x else Decimal(0)


def _cos(x: Decimal) -> Decimal:
    return _series(Decimal(1), lambda n: -x * x / (2 * n * (2 * n - 1)))


_SERIES: dict[str, Callable[[Decimal], Decimal]] = {"erf": _erf, "sin": _sin, "cos": _cos}


# ---------------------------------------------------------------------------------------------------- functions


@dataclass(frozen=True)
class Function:
    """A scalar function: its value and its partial derivative by each argument, in either arithmetic."""

    value: Callable[..., Number]
    partials: tuple[Callable[..., Number], ...]


def _tanh(a: Arithmetic, x: Number) -> Number:
    square = a.exp(2 * x)
    return (square - 1) * a.inverse(square + 1)


def _sigmoid(a: Arithmetic, x: Number) -> Number:
    return a.inverse(1 + a.exp(-x))


def _sign(x: Number) -> int:
    return int(x > 0) - int(x < 0)


def _slope_erf(a: Arithmetic, x: Number) -> Number:
    return 2 * a.inverse(a.power(a.pi(), HALF)) * a.exp(-x * x)


def _pow(a: Arithmetic, x: Number, y: Number) -> Number:
    if y == int(y):
        return a.power(x, Fraction(int(y)))
    return a.exp(y * a.log(x))


def _xlogy(a: Arithmetic, x: Number, y: Number) -> Number:
    return x * a.log(y) if x else 0


def _wins(x: Number, y: Number) -> int:
    if x == y:
        raise OutsideDomain("a tie inside max or min")
    return 1 if x > y else 0


# The value at a kink is torch's: relu'(0) = abs'(0) = 0. At a tie of max or min the draw is thrown away.
FUNCTIONS: dict[str, Function] = {
    "exp": Function(lambda a, x: a.exp(x), (lambda a, x: a.exp(x),)),
    "log": Function(lambda a, x: a.log(x), (lambda a, x: a.inverse(x),)),
    "sqrt": Function(lambda a, x: a.power(x, HALF), (lambda a, x: a.inverse(2 * a.power(x, HALF)),)),
    "tanh": Function(_tanh, (lambda a, x: 1 - _tanh(a, x) ** 2,)),
    "sigmoid": Function(_sigmoid, (lambda a, x: _sigmoid(a, x) * _sigmoid(a, -x),)),
    "softplus": Function(lambda a, x: a.log(1 + a.exp(x)), (_sigmoid,)),
    "erf": Function(lambda a, x: a.transcendental("erf", x), (_slope_erf,)),
    "sin": Function(lambda a, x: a.transcendental("sin", x), (lambda a, x: a.transcendental("cos", x),)),
    "cos": Function(lambda a, x: a.transcendental("cos", x), (lambda a, x: -a.transcendental("sin", x),)),
    "relu": Function(lambda a, x: max(x, 0), (lambda a, x: 1 if x > 0 else 0,)),
    "abs": Function(lambda a, x: abs(x), (lambda a, x: _sign(x),)),
    "sign": Function(lambda a, x: _sign(x), (lambda a, x: 0,)),
    "pi": Function(lambda a: a.pi(), ()),
    "pow": Function(_pow, (lambda a, x, y: y * _pow(a, x, y - 1), lambda a, x, y: _pow(a, x, y) * a.log(x))),
    "xlogy": Function(
        _xlogy, (lambda a, x, y: a.log(y) if x or y > 0 else 0, lambda a, x, y: a.number(Fraction(x)) * a.inverse(y) if x else 0)
    ),
    "max": Function(lambda a, x, y: max(x, y), (lambda a, x, y: _wins(x, y), lambda a, x, y: _wins(y, x))),
    "min": Function(lambda a, x, y: min(x, y), (lambda a, x, y: _wins(y, x), lambda a, x, y: _wins(x, y))),
}


def function(name: str) -> Function:
    if name not in FUNCTIONS:
        raise CannotTell(f"the checker knows no function {name!r}; it knows {', '.join(sorted(FUNCTIONS))}")
    return FUNCTIONS[name]
