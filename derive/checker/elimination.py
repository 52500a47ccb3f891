"""Inverses and determinants by Gaussian elimination, on numbers with a tangent part: the derivative of each comes out with it."""

from __future__ import annotations

from dataclasses import dataclass

from derive.checker.arithmetic import Arithmetic, Number, Singular


@dataclass(frozen=True)
class Dual:
    """`value + slope * e` with e * e = 0: arithmetic on it differentiates."""

    value: Number
    slope: Number = 0

    def __sub__(self, other: Dual) -> Dual:
        return Dual(self.value - other.value, self.slope - other.slope)

    def __mul__(self, other: Dual) -> Dual:
        return Dual(self.value * other.value, self.value * other.slope + self.slope * other.value)

    def inverse(self, arithmetic: Arithmetic) -> Dual:
        one_over = arithmetic.inverse(self.value)
        return Dual(one_over, -self.slope * one_over * one_over)


Rows = list[list[Dual]]


def inverse(rows: Rows, arithmetic: Arithmetic) -> Rows:
    """The inverse matrix. Raises Singular where there is none."""
    return _eliminated(rows, arithmetic)[0]


def determinant(rows: Rows, arithmetic: Arithmetic) -> Dual:
    """The determinant. Raises Singular where it is zero, since its slope is then out of elimination's reach."""
    return _eliminated(rows, arithmetic)[1]


def _eliminated(rows: Rows, arithmetic: Arithmetic) -> tuple[Rows, Dual]:
    """Gauss-Jordan elimination of [rows | identity]: what stands on the right is the inverse, the product of pivots the determinant."""
    size = len(rows)
    work = [[*row, *(Dual(int(n == m)) for m in range(size))] for n, row in enumerate(rows)]
    product = Dual(1)
    for column in range(size):
        at = max(range(column, size), key=lambda n: abs(work[n][column].value))
        pivot = work[at][column]
        if not pivot.value:
            raise Singular("a singular matrix")
        if at != column:
            work[at], work[column] = work[column], work[at]
            product = Dual(0) - product
        product = product * pivot
        scale = pivot.inverse(arithmetic)
        work[column] = [entry * scale for entry in work[column]]
        for n, row in enumerate(work):
            factor = row[column]
            if n != column and (factor.value or factor.slope):
                work[n] = [entry - factor * other for entry, other in zip(row, work[column])]
    return [row[size:] for row in work], product
