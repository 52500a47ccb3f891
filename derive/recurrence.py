"""Recurrences: equations that read themselves, or one another, at an earlier place along one axis, as in `h[t] = a*h[t-1] + x[t]`.

Equations that need each other form a group. A group makes sense where one axis of each of its tensors is walked in one
direction: every reading of a member stands there at a fixed distance behind (t-1, t-2, ...: forwards) or ahead (t+1, ...:
backwards), or at the same place, and those at the same place need each other in no circle. An entry before the first one is 0,
as at any place outside of an axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from derive.affine import NotLinear, coefficients
from derive.expr import ONE, Affine, Equation, Idx, Index, Num, Ref
from derive.indices import refs, tensors_in


@dataclass(frozen=True)
class Group:
    """Equations that are computed together, in an order in which each needs only earlier ones at its own place.

    A group without an `axis` is one equation that does not need itself. `axes` say which axis of each member is walked, and
    `backwards` whether from the last place to the first.
    """

    equations: tuple[Equation, ...]
    axes: tuple[tuple[str, int], ...] = ()
    backwards: bool = False

    @property
    def members(self) -> tuple[str, ...]:
        return tuple(equation.target.tensor for equation in self.equations)

    @property
    def recurs(self) -> bool:
        return bool(self.axes)


class Unordered(Exception):
    """Equations that need each other in a circle that no axis unrolls: `path`, and why."""

    def __init__(self, path: Sequence[str], why: str) -> None:
        super().__init__(why)
        self.path, self.why = tuple(path), why


def groups(equations: Iterable[Equation]) -> tuple[Group, ...]:
    """The equations in groups, in an order in which each group needs only earlier ones; as they stand, where that is one.

    Raises Unordered for a circle that is no recurrence.
    """
    table = {equation.target.tensor: equation for equation in equations}
    needs = {name: [other for other in tensors_in(equation.value) if other in table] for name, equation in table.items()}
    place = {name: n for n, name in enumerate(table)}
    found = []
    for component in _components(needs):
        members = sorted(component, key=place.__getitem__)
        if len(members) == 1 and members[0] not in needs[members[0]]:
            found.append(Group((table[members[0]],)))
        else:
            found.append(_recurrence([table[name] for name in members], needs))
    return tuple(found)


def recurrent(equations: Iterable[Equation]) -> frozenset[str]:
    """The tensors that are computed by recurrences."""
    return frozenset(name for group in groups(equations) if group.recurs for name in group.members)


def _components(needs: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """The strongly connected components of what needs what, those that are needed first (Tarjan), stable in the given order."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(start: str) -> None:
        work: list[tuple[str, Iterator[str]]] = [(start, iter(needs[start]))]
        number[start] = low[start] = len(number)
        stack.append(start)
        while work:
            name, rest = work[-1]
            following = next(rest, None)
            if following is None:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[name])
                if low[name] == number[name]:
                    at = stack.index(name)
                    found.append(stack[at:])
                    del stack[at:]
            elif following not in number:
                number[following] = low[following] = len(number)
                stack.append(following)
                work.append((following, iter(needs[following])))
            elif following in stack:
                low[name] = min(low[name], number[following])

    for name in needs:
        if name not in number:
            visit(name)
    return found


def _recurrence(equations: list[Equation], needs: Mapping[str, Sequence[str]]) -> Group:
    """The group of equations that need each other, its axis found."""
    members = {equation.target.tensor: equation for equation in equations}
    first = next(iter(members))
    why = ""
    for axis in range(len(members[first].target.indices)):
        try:
            axes, lags = _walked(members, {first: axis})
        except Unordered as error:
            why = why or error.why
            continue
        if any(lag < 0 for _, _, lag in lags) and any(lag > 0 for _, _, lag in lags):
            raise Unordered(_circle(first, members, needs), "it is read both behind and ahead of its own place; a recurrence goes one way")
        here = {name: [other for one, other, lag in lags if one == name and lag == 0] for name in members}
        component = next((c for c in _components(here) if len(c) > 1 or c[0] in here[c[0]]), None)
        if component is not None:
            why = why or "each needs the other at its own place"
            continue
        order = [name for component in _components(here) for name in component]
        return Group(tuple(members[name] for name in order), tuple((name, axes[name]) for name in order), any(lag > 0 for *_, lag in lags))
    raise Unordered(_circle(first, members, needs), why)


def _walked(members: Mapping[str, Equation], start: dict[str, int]) -> tuple[dict[str, int], list[tuple[str, str, int]]]:
    """The walked axis of every member, given that of one, and how far off each member that an equation reads stands."""
    axes = dict(start)
    lags: list[tuple[str, str, int]] = []
    waiting = list(start)
    seen = set(start)
    while waiting:
        name = waiting.pop(0)
        here = members[name].target.indices[axes[name]]
        assert isinstance(here, Idx)
        for ref in refs(members[name].value):
            if ref.tensor not in members:
                continue
            offsets = [_offset(index, here) for index in ref.indices]
            at = axes.get(ref.tensor, next((n for n, offset in enumerate(offsets) if offset is not None), None))
            offset = None if at is None else offsets[at]
            if at is None or offset is None:
                raise Unordered((), f"{ref.tensor} is not read at a fixed distance from {here.name}")
            axes[ref.tensor] = at
            lags.append((name, ref.tensor, offset))
            if ref.tensor not in seen:
                seen.add(ref.tensor)
                waiting.append(ref.tensor)
    return axes, lags


def _offset(index: Index, here: Idx) -> int | None:
    """How far a place stands from the index, in steps; None where that is no fixed number. (Axes may not have their names yet.)"""
    if isinstance(index, Idx):
        return 0 if index.name == here.name else None
    if not isinstance(index, Affine):
        return None
    try:
        multiples, rest = coefficients(index.value)
    except NotLinear:
        return None
    walked = [(each.name, multiple) for each, multiple in multiples.items()] == [(here.name, ONE)]
    return int(rest.value) if walked and isinstance(rest, Num) else None


def lag(ref: Ref, axis: int, here: Idx) -> int:
    """How far off the walked index a member is read: -1 for h[t-1]."""
    offset = _offset(ref.indices[axis], here)
    assert offset is not None
    return offset


def _circle(start: str, members: Mapping[str, Equation], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """A shortest way from a member back to itself."""
    ways = [[start]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for name in needs[way[-1]]:
            if name == start:
                return [*way, start]
            if name in members and name not in seen:
                seen.add(name)
                ways.append([*way, name])
    return [start, start]
