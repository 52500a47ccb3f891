"""Random tensors moved onto declared facts: sums, symmetries, signs, one-hot rows, orthonormal columns.

A fact is `left = right`, for every value of its free indices; that a comparison holds is `["iverson", ...] = 1`.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

from derive.checker.arithmetic import CannotTell, Exact, FinerRoot, Irrational, OutsideDomain
from derive.checker.evaluate import Key, Value, World, tensors_in
from derive.checker.structure import free_scope

Node = Any
Table = dict[Key, Any]
Entry = tuple[str, Key]
CHOICES = ((0, 1), (-1, 1), (1,), (0,))
REPAIRS = 400
UNITS = (11, 13, 17, 19, 23)


class NoDraw(CannotTell):
    """No values were found that satisfy the facts."""


class OtherLengths(NoDraw):
    """No values satisfy the facts on axes of these lengths; on others there are some."""


@dataclass(frozen=True)
class _Instance:
    """A fact at one value of its free indices."""

    value: Value
    key: Key
    comparison: bool


class _Read(dict[Key, Any]):
    """A table that notes which of its entries are read."""

    def __init__(self, name: str, entries: Table, seen: dict[Entry, None]) -> None:
        super().__init__(entries)
        self.name, self.seen = name, seen

    def __getitem__(self, key: Key) -> Any:
        self.seen[self.name, key] = None
        return super().__getitem__(key)


def satisfy(facts: list[Node], values: dict[str, Table], real: set[str], sizes: Mapping[str, int], rng: random.Random) -> None:
    """Move the real tensors among `values` onto the facts: by elimination where these are linear in the entries, by construction
    where columns are orthonormal, else entry by entry from small sets of values. Raises NoDraw where none of this succeeds."""
    with _within_reach():
        _satisfy(facts, values, real, sizes, rng)


def _satisfy(facts: list[Node], values: dict[str, Table], real: set[str], sizes: Mapping[str, int], rng: random.Random) -> None:
    mentioned = sorted({name for fact in facts for name in tensors_in([fact["left"], fact["right"]])} & real)
    search = _Search(facts, values, sizes, rng, mentioned)
    for scale in (None, 1, prod(len(values[name]) for name in mentioned)):
        if scale is not None:
            search.draw_positive(scale)
        search.repair(comparisons_alone=True)
        search.orthonormal()
        search.eliminate()
        if search.holds():
            return
    for choices in CHOICES:
        search.draw(choices)
        search.orthonormal()
        if search.repair(choices=choices):
            return
    raise NoDraw(f"no random values of {', '.join(mentioned)} satisfy the facts")


def sizes_alone(facts: list[Node], sizes: Mapping[str, int]) -> None:
    """Raises OtherLengths where a fact without tensors, such as one about lengths, does not hold on axes of these."""
    plain = [fact for fact in facts if not tensors_in([fact["left"], fact["right"]])]
    with _within_reach():
        if plain and not _Search(plain, {}, sizes, random.Random(0), []).holds():
            raise OtherLengths("a fact about lengths and numbers alone holds on no axes")


@contextmanager
def _within_reach() -> Iterator[None]:
    """Facts are met by exact numbers alone: where they need others the checker has no values."""
    try:
        yield
    except (Irrational, FinerRoot, OutsideDomain) as error:
        why = "exp of a fraction" if isinstance(error, FinerRoot) else error
        raise NoDraw(f"the facts need values that the checker does not draw ({why})") from None


class _Search:
    def __init__(
        self, facts: list[Node], values: dict[str, Table], sizes: Mapping[str, int], rng: random.Random, mentioned: list[str]
    ) -> None:
        self.facts, self.sizes, self.rng = facts, sizes, rng
        self.seen: dict[Entry, None] = {}
        for name in values:
            values[name] = _Read(name, values[name], self.seen)
        self.values = values
        self.mentioned = set(mentioned)
        self.entries = [(name, key) for name in mentioned for key in values[name]]
        rng.shuffle(self.entries)
        world = World(sizes, Exact(), {}, values)
        self.world = world
        self.instances = [_Instance(world.compile(node, scope), key, comparison) for node, scope, key, comparison in self._each()]

    def _each(self) -> Iterator[tuple[Node, dict[str, int], Key, bool]]:
        for fact in self.facts:
            difference = ["add", [fact["left"], ["mul", [["num", "-1"], fact["right"]]]]]
            scope = free_scope(difference)
            for key in itertools.product(*(range(self.sizes[axis]) for axis in scope.values())):
                yield difference, {name: n for n, name in enumerate(scope)}, key, _is_comparison(fact)

    def apart(self, instance: _Instance) -> Fraction:
        return Fraction(self.world.evaluate(instance.value, instance.key))

    def holds(self) -> bool:
        return not any(self.apart(instance) for instance in self.instances)

    # ------------------------------------------------------------------------------------------------ drawing

    def draw(self, choices: tuple[int, ...]) -> None:
        for name, key in self.entries:
            self.values[name][key] = self.rng.choice(choices)

    def draw_positive(self, scale: int) -> None:
        """Positive numbers; with a `scale`, so small that all of them together are below 1."""
        for name, key in self.entries:
            self.values[name][key] = Fraction(self.rng.randint(2, 9), 1 if scale == 1 else 10 * scale)

    def repair(self, choices: tuple[int, ...] = (), comparisons_alone: bool = False) -> bool:
        """Draw the entries of a fact that fails anew, again and again; whether no fact failed in the end.

        Facts that share few entries are met so after few draws (Moser and Tardos, 2010).
        """
        wanted = [i for i in self.instances if i.comparison or not comparisons_alone]
        drawn = 0
        while True:
            failing = 0
            for instance in wanted:
                while True:
                    self.seen.clear()
                    if not self.apart(instance):
                        break
                    read = [entry for entry in self.seen if entry[0] in self.mentioned]
                    drawn += 1
                    failing += 1
                    if drawn > REPAIRS or not read:
                        return False
                    for name, key in read:
                        self.values[name][key] = self.rng.choice(choices) if choices else self._any()
            if not failing:
                return True

    def _any(self) -> Fraction:
        """A number of any kind: of either sign, above one or below."""
        unit = self.rng.choice(UNITS)
        kind = self.rng.randrange(3)
        if kind == 2:
            return Fraction(self.rng.choice((-1, 1)) * self.rng.randint(2, 30))
        return Fraction(self.rng.randint(1, unit - 1), unit) if kind else Fraction(self.rng.randint(2, 30))

    # ------------------------------------------------------------------------------------------------ linear facts

    def eliminate(self) -> None:
        """Gauss-Jordan elimination on the residuals of the equations, which are affine in the entries if the facts are linear."""
        equations = [i for i in self.instances if not i.comparison]
        base = [self.apart(i) for i in equations]
        if not any(base):
            return
        rows = [[Fraction(0)] * len(self.entries) + [-r] for r in base]
        for column, (name, key) in enumerate(self.entries):
            self.values[name][key] += 1
            for line, instance, start in zip(rows, equations, base):
                line[column] = self.apart(instance) - start
            self.values[name][key] -= 1
        pivots: list[int] = []
        for column in range(len(self.entries)):
            at = next((n for n in range(len(pivots), len(rows)) if rows[n][column]), None)
            if at is None:
                continue
            done = len(pivots)
            rows[done], rows[at] = rows[at], rows[done]
            lead = rows[done][column]
            rows[done] = [entry / lead for entry in rows[done]]
            for n, row in enumerate(rows):
                if n != done and row[column]:
                    factor = row[column]
                    rows[n] = [entry - factor * other for entry, other in zip(row, rows[done])]
            pivots.append(column)
            if len(pivots) == len(rows):
                break
        # The free entries keep their drawn values (their change is 0), so a pivot's change is its row's right-hand side.
        for n, column in enumerate(pivots):
            name, key = self.entries[column]
            self.values[name][key] += rows[n][-1]

    # ------------------------------------------------------------------------------------------------ orthonormal columns

    def orthonormal(self) -> None:
        """Where `sum(k, Q[k,i] Q[k,j]) = [i = j]`: the columns of products of reflections I - 2 v v^T / v^T v, which are rational."""
        for fact in self.facts:
            found = _orthonormal(fact)
            if found is None:
                continue
            name, rows, column, rest = found
            dims = {place: sorted({key[place] for key in self.values[name]}) for place in (*rows, column, *rest)}
            lines = list(itertools.product(*(dims[place] for place in rows)))
            if len(lines) < len(dims[column]):
                raise OtherLengths(f"no {name} with {len(lines)} rows has {len(dims[column])} orthonormal columns")
            for others in itertools.product(*(dims[place] for place in rest)):
                table = self._reflected(len(lines))
                for n, line in enumerate(lines):
                    for m in dims[column]:
                        at = {**dict(zip(rows, line)), column: m, **dict(zip(rest, others))}
                        self.values[name][tuple(at[place] for place in sorted(at))] = table[n][m]

    def _reflected(self, size: int) -> list[list[Fraction]]:
        table = [[Fraction(n == m) for m in range(size)] for n in range(size)]
        for _ in range(2):
            v = [Fraction(self.rng.choice((-2, -1, 1, 2, 3))) for _ in range(size)]
            norm = sum(x * x for x in v)
            along = [sum(v[n] * table[n][m] for n in range(size)) for m in range(size)]
            table = [[table[n][m] - 2 * v[n] * along[m] / norm for m in range(size)] for n in range(size)]
        return table


def _is_comparison(fact: Node) -> bool:
    return bool(fact["left"][0] == "iverson" and fact["right"] == ["num", "1"])


def _orthonormal(fact: Node) -> tuple[str, list[int], int, list[int]] | None:
    """The tensor, and its places: those summed over, the one that differs, the others; None for another fact."""
    left, right = fact["left"], fact["right"]
    if left[0] != "sum" or left[2][0] != "mul" or len(left[2][1]) != 2 or any(f[0] != "ref" for f in left[2][1]):
        return None
    (_, name, first), (_, other, second) = left[2][1]
    places = [n for n, (a, b) in enumerate(zip(first, second)) if a != b]
    if name != other or len(places) != 1 or any(index[0] != "idx" for index in (*first, *second)):
        return None
    pair = sorted([first[places[0]], second[places[0]]])
    ends = [right[1], right[2]] if right[0] == "delta" else []
    if right[0] == "iverson" and right[1] == "==" and right[2][0] == right[3][0] == "position":
        ends = [right[2][1], right[3][1]]
    if sorted(ends) != pair:
        return None
    rows = [n for n, index in enumerate(first) if index in left[1]]
    return name, rows, places[0], [n for n in range(len(first)) if n not in rows and n != places[0]]
