"""Random worlds: pairwise distinct axis sizes, and tensors drawn so that the declared facts hold."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import partial
from typing import Any

from derive.checker.arithmetic import Arithmetic, CannotTell, Exact, Number
from derive.checker.evaluate import Key, World, tensors_in
from derive.checker.lengths import fitting, plain_integers
from derive.checker.structure import free_scope

Node = Any
Table = dict[Key, Number]


def axes_in(nodes: Iterable[Node]) -> list[str]:
    """Every axis that the JSON in `nodes` mentions, in order."""
    found: dict[str, None] = {}
    stack = list(nodes)[::-1]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if "axis" in node:
                found[node["axis"]] = None
                stack.append(node["value"])
            elif "dims" in node:
                found.update(dict.fromkeys(node["dims"]))
                if node["values"] is not None:
                    found[node["values"]] = None
            else:
                stack.extend(list(node.values())[::-1])
        elif isinstance(node, list) and node:
            if node[0] == "idx" or node[0] == "size":
                found[node[-1]] = None
            else:
                if node[0] == "affine":
                    found[node[-1]] = None
                stack.extend(node[::-1])
    return list(found)


def rooted_axes(nodes: Iterable[Node]) -> set[str]:
    """The axes whose size stands under a root with nothing but numbers and sizes: a square there keeps the root rational."""
    found: set[str] = set()
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list) and node:
            root = node[0] == "pow" and Fraction(node[2]).denominator == 2 or node[0] == "fn" and node[1] == "sqrt"
            if root:
                under = node[1] if node[0] == "pow" else node[2][0]
                if not tensors_in(under):
                    found.update(axes_in([under]))
            stack.extend(node)
    return found


def draw_sizes(axes: list[str], batch: set[str], rooted: set[str], rng: random.Random) -> dict[str, int]:
    """Pairwise distinct sizes, all at least 2; batch axes, which every line carries along, get the smallest."""
    sizes: dict[str, int] = {}
    squares = [n * n for n in range(2, 2 + len(rooted))]
    rng.shuffle(squares)
    for axis, size in zip((axis for axis in axes if axis in rooted), squares):
        sizes[axis] = size
    free = (n for n in itertools.count(2) if n not in squares)
    for group in ([a for a in axes if a in batch], [a for a in axes if a not in batch]):
        group = [axis for axis in group if axis not in rooted]
        numbers = list(itertools.islice(free, len(group)))
        rng.shuffle(numbers)
        sizes.update(zip(group, numbers))
    return sizes


def draw_lengths(proof: Node, tensors: Iterable[Node], nodes: list[Node], rooted: set[str], rng: random.Random) -> dict[str, int]:
    """Sizes for every axis in `nodes`, and the plain integers among the tensors, such that the lengths which the proof states fit."""
    rules = proof.get("sizes", [])
    given = {rule["axis"] for rule in rules}
    axes = axes_in([*nodes, proof["batch"], rules])
    integers = plain_integers(tensors)
    if rules or integers:
        return fitting([axis for axis in axes if axis not in given], integers, rules, rng)
    return draw_sizes(axes, {index[2] for index in proof["batch"]}, rooted, rng)


def keys_of(dims: Iterable[str], sizes: Mapping[str, int]) -> list[Key]:
    return list(itertools.product(*(range(sizes[axis]) for axis in dims)))


class Drawn(dict[Key, Number]):
    """A tensor whose entries are drawn when they are first read."""

    def __init__(self, draw: Callable[[], Number]) -> None:
        super().__init__()
        self.draw = draw

    def __missing__(self, key: Key) -> Number:
        value = self[key] = self.draw()
        return value


def draw_tensors(
    tensors: Iterable[Node], facts: list[Node], sizes: Mapping[str, int], arithmetic: Arithmetic, rng: random.Random, attempt: int
) -> dict[str, Table]:
    """Values for `tensors` under which the `facts` hold.

    The first attempt draws signed numbers; later ones alternate with positive ones, for logarithms and roots, and widen the
    range, against ties. Raises CannotTell for facts that no draw satisfies.
    """
    values: dict[str, Table] = {}
    bound = set(tensors_in([[fact["left"], fact["right"]] for fact in facts]))
    exact: dict[str, Table] = {}
    for tensor in tensors:
        name = tensor["name"]
        if tensor["kind"] == "int" and tensor["values"] is None:
            values[name] = {(): sizes[name]}
        elif tensor["kind"] == "int":
            size = sizes[tensor["values"]]
            values[name] = Drawn(partial(rng.randrange, size))
        else:
            values[name] = Drawn(partial(_entry, rng, arithmetic, attempt, not tensor["dims"]))
        if name in bound:
            every = keys_of(tensor["dims"], sizes)
            own = {key: values[name][key] if tensor["kind"] == "int" else _number(rng, arithmetic, attempt) for key in every}
            exact[name] = own
    real = {t["name"] for t in tensors if t["kind"] != "int"}
    own_facts = [fact for fact in facts if set(tensors_in([fact["left"], fact["right"]])) & real]
    if own_facts:
        _satisfy(own_facts, exact, real, sizes, rng)
    for name in exact:
        values[name] = {key: arithmetic.number(Fraction(value)) for key, value in exact[name].items()}
    return values


def _entry(rng: random.Random, arithmetic: Arithmetic, attempt: int, scalar: bool) -> Number:
    return arithmetic.number(_number(rng, arithmetic, attempt, scalar))


SCALARS = (11, 13, 17, 19, 23, 29)


def _number(rng: random.Random, arithmetic: Arithmetic, attempt: int, scalar: bool = False) -> Fraction:
    """Never 0, 1 or -1: a missing factor of these would go unseen.

    A scalar has a single draw in a world, so it is a prime above the axis sizes and the small numbers of a formula: it
    cannot make up for a factor of theirs, as 2 c / (2 * 3) = 1 would for c = 3; or one over it, so that it is not always
    the largest number of a comparison.
    """
    sign = 1 if attempt % 2 else rng.choice((-1, 1))
    if scalar and isinstance(arithmetic, Exact):
        prime = Fraction(sign * rng.choice(SCALARS))
        return rng.choice((prime, 1 / prime))
    if isinstance(arithmetic, Exact):
        return Fraction(sign * rng.randint(2, 2 + 3 * 3**attempt))
    return Fraction(sign * (2 * rng.randint(1, 30 * 10**attempt) + 1), 40 * 10**attempt)


# ---------------------------------------------------------------------------------------------------- facts


def _instances(facts: list[Node], sizes: Mapping[str, int]) -> Iterable[tuple[Node, list[str], Key]]:
    for fact in facts:
        difference = ["add", [fact["left"], ["mul", [["num", "-1"], fact["right"]]]]]
        scope = free_scope(difference)
        for key in itertools.product(*(range(sizes[axis]) for axis in scope.values())):
            yield difference, list(scope), key


def _residuals(facts: list[Node], values: Mapping[str, Table], sizes: Mapping[str, int]) -> list[Fraction]:
    world = World(sizes, Exact(), {}, values)
    found = []
    for difference, names, key in _instances(facts, sizes):
        value = world.compile(difference, {name: n for n, name in enumerate(names)})
        found.append(Fraction(world.evaluate(value, key)))
    return found


def _satisfy(facts: list[Node], values: dict[str, Table], real: set[str], sizes: Mapping[str, int], rng: random.Random) -> None:
    """Move `values` onto the facts: by elimination if they are linear in the entries, else by trying small sets of values."""
    mentioned = sorted({name for fact in facts for name in tensors_in([fact["left"], fact["right"]])} & real)
    entries = [(name, key) for name in mentioned for key in values[name]]
    rng.shuffle(entries)
    if _linear(facts, values, sizes, entries) and not any(_residuals(facts, values, sizes)):
        return
    for choices in ((0, 1), (-1, 1), (1,), (0,)):
        for _ in range(4):
            for name, key in entries:
                values[name][key] = rng.choice(choices)
            if not any(_residuals(facts, values, sizes)):
                return
    raise CannotTell(f"no random values of {', '.join(mentioned)} satisfy the facts")


def _linear(facts: list[Node], values: dict[str, Table], sizes: Mapping[str, int], entries: list[tuple[str, Key]]) -> bool:
    """Gauss-Jordan elimination on the residuals, which are affine in the entries if the facts are linear."""
    base = _residuals(facts, values, sizes)
    rows = [[Fraction(0)] * len(entries) + [-r] for r in base]
    for column, (name, key) in enumerate(entries):
        values[name][key] += 1
        for line, moved, start in zip(rows, _residuals(facts, values, sizes), base):
            line[column] = moved - start
        values[name][key] -= 1
    pivots: list[int] = []
    for column in range(len(entries)):
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
        name, key = entries[column]
        values[name][key] += rows[n][-1]
    return True
