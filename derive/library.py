"""Known equations, found by the tensors they mention: what may stand in an expression is looked up, not tried one by one."""

from __future__ import annotations

from collections.abc import Iterable

from derive.expr import Equation, Expr
from derive.indices import tensors_in


class Library:
    """Equations in order; `among` answers those that can occur in an expression."""

    def __init__(self, equations: Iterable[Equation] = ()) -> None:
        self._equations: list[Equation] = []
        self._mentions: list[frozenset[str]] = []
        self._with: dict[str, list[int]] = {}
        self._always: list[int] = []
        for equation in equations:
            self.add(equation)

    def add(self, equation: Equation) -> None:
        number = len(self._equations)
        mentioned = tensors_in(equation.value)
        self._equations.append(equation)
        self._mentions.append(frozenset(mentioned))
        for name in mentioned:
            self._with.setdefault(name, []).append(number)
        if not mentioned:
            self._always.append(number)

    def among(self, expr: Expr) -> tuple[Equation, ...]:
        """The equations whose right-hand side may occur in `expr`, also after others of them were put back, in order."""
        waiting = [*tensors_in(expr), *(self._equations[n].target.tensor for n in self._always)]
        present = set(waiting)
        found = set(self._always)
        while waiting:
            for number in self._with.get(waiting.pop(), ()):
                if number not in found and self._mentions[number] <= present:
                    found.add(number)
                    target = self._equations[number].target.tensor
                    if target not in present:
                        present.add(target)
                        waiting.append(target)
        return tuple(self._equations[number] for number in sorted(found))
