"""The author's order of factors and terms, which SymPy does not keep.

`derive.symbols.WRITTEN` lists the entries of tensors in the order in which Python evaluated them. An equation's own part of
that list is found by its entries, so the order depends on the author's file alone: not on what else was imported, nor on the
hash seed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sympy as sp

from derive.matrix_symbols import entry_of
from derive.symbols import WRITTEN, Entry, Scalar, TensorBase

_NEVER = 1 << 60
# How long WRITTEN was when a tensor's equations were last read: what a layer says was mostly written after the one before it.
_READ: dict[int, int] = {}


class AuthorOrder:
    """Finds, equation after equation of one layer, when each entry was written."""

    def __init__(self) -> None:
        self.cursor = 0
        self.times: dict[Entry, int] = {}
        self.tensors: set[int] = set()

    def leave(self) -> None:
        """The layer has been read."""
        _READ.update(dict.fromkeys(self.tensors, len(WRITTEN)))

    def enter(self, equation: Any) -> None:
        """Turn to the next equation: its entries are dated by the first later run of WRITTEN that holds them all and nothing else."""
        wanted = {entry for node in sp.preorder_traversal(equation) if (entry := _entry(node)) is not None}
        recent = max((_READ.get(position, 0) for position, _ in wanted), default=0)
        runs = (self._run(wanted, at) for at in (max(recent, self.cursor), self.cursor, 0))
        start = next((run for run in runs if run is not None), 0)
        self.tensors.update(position for position, _ in wanted)
        self.times = {}
        for time in range(start, len(WRITTEN)):
            if WRITTEN[time] in wanted:
                self.times.setdefault(WRITTEN[time], time)
            if len(self.times) == len(wanted):
                self.cursor = time + 1
                break

    def _run(self, wanted: set[Entry], start: int) -> int | None:
        seen: set[Entry] = set()
        first = start
        for time in range(start, len(WRITTEN)):
            if WRITTEN[time] not in wanted:
                seen, first = set(), time + 1
                continue
            seen.add(WRITTEN[time])
            if len(seen) == len(wanted):
                return first
        return None

    def factor(self, expr: Any) -> tuple[int, int, str]:
        """The sort key of a factor: scalar coefficients, then entries as written, then sizes of axes."""
        return self._key(expr, -1)

    def term(self, expr: Any) -> tuple[int, int, str]:
        """The sort key of a term: entries as written, then scalars, then sizes of axes."""
        return self._key(expr, 1)

    def terms(self, args: Iterable[Any]) -> list[Any]:
        """The terms of a sum in order. Nobody begins with a minus where a plain number can stand in front: 1 - x, not -x + 1."""
        ordered = sorted(args, key=self.term)
        if ordered[0].could_extract_minus_sign():
            front = next((arg for arg in ordered if self.term(arg)[0] and not arg.could_extract_minus_sign()), None)
            if front is not None:
                ordered.remove(front)
                ordered.insert(0, front)
        return ordered

    def _key(self, expr: Any, scalars: int) -> tuple[int, int, str]:
        first, scalar = _NEVER, _NEVER
        for node in sp.preorder_traversal(expr):
            entry = _entry(node)
            if entry is not None:
                first = min(first, self.times.get(entry, _NEVER - 1))
            elif isinstance(node, Scalar):
                scalar = min(scalar, node.position)
        if first < _NEVER:
            # What is plain before what is not, where both begin with the same entry: x - f(x), x * f(x).
            return 0, first, str(expr) if first == _NEVER - 1 else "" if _entry(_plain(expr)) is not None else "~"
        return (scalars, scalar, str(expr)) if scalar < _NEVER else (2, 0, str(expr))


def _plain(expr: Any) -> Any:
    """An expression without its number in front."""
    return expr.as_coeff_Mul()[1]


def _entry(node: Any) -> Entry | None:
    if (found := entry_of(node)) is not None:
        return found
    return (node.base.position, node.indices) if isinstance(node, sp.Indexed) and isinstance(node.base, TensorBase) else None
