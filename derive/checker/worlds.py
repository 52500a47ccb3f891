"""Random worlds: pairwise distinct axis sizes, and tensors drawn so that the declared facts hold."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from functools import partial
from math import isqrt
from types import MappingProxyType
from typing import Any

from derive.checker.arithmetic import Arithmetic, Exact, Number
from derive.checker.evaluate import Key, tensors_in
from derive.checker.facts import NoDraw, OtherLengths, satisfy, sizes_alone
from derive.checker.lengths import fitting, plain_integers
from derive.checker.structure import fraction

Node = Any
Table = dict[Key, Number]
FARTHEST = 12
REDRAWN = 64  # lengths of axes, where facts hold on some lengths alone: a matrix with orthonormal columns is no wider than high
TRIED = 4  # lengths of axes on which no values satisfy the facts


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
            root = node[0] == "pow" and fraction(node[2]).denominator == 2 or node[0] == "fn" and node[1] == "sqrt"
            if root:
                under = node[1] if node[0] == "pow" else node[2][0]
                if not tensors_in(under):
                    found.update(axes_in([under]))
            stack.extend(node)
    return found


def read_places(nodes: Iterable[Node]) -> dict[str, int]:
    """How long axes have to be for every place to be one that is read at a fixed place, or at a fixed distance from an index.

    On a shorter axis `X[2]` and `h[t - 2]` would be 0 everywhere, and `t < 2` always hold. Longer axes than `FARTHEST` take time.
    """
    found: dict[str, int] = {}
    stack = list(nodes)
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(value for key, value in node.items() if key != "dims")
        elif isinstance(node, list) and node:
            if node[0] == "affine":
                axis, needed = node[2], abs(_constant(_terms(node[1]))) + 1
            elif node[0] == "iverson":
                axis, needed = _threshold(*map(_terms, node[2:]))
            else:
                axis, needed = "", Fraction(0)
            if axis and 2 < needed <= FARTHEST:
                found[axis] = max(found.get(axis, 0), int(needed))
            stack.extend(node)
    return found


def _terms(node: Node) -> list[Node]:
    return list(node[1]) if node[0] == "add" else [node]


def _constant(terms: list[Node]) -> Fraction:
    return sum((fraction(term[1]) for term in terms if term[0] == "num"), Fraction(0))


def _threshold(left: list[Node], right: list[Node]) -> tuple[str, Fraction]:
    """The axis along which a comparison changes at a fixed place or a fixed distance from the end, and how long that has to be."""
    places = [(term[1][-1], side) for side in (left, right) for term in side if term[0] == "position" and term[1][0] != "ref"]
    if len(places) != 1:
        return "", Fraction(0)
    axis, own = places[0]
    other = right if own is left else left
    if any(term[0] == "size" for term in (*left, *right)):
        return axis, abs(_constant(other) - _constant(own)) + 1
    return axis, _constant(other) - _constant(own) + 2


def lengthened(sizes: dict[str, int], least: Mapping[str, int], rooted: set[str]) -> dict[str, int]:
    """The sizes with those made longer that are too short; they stay pairwise distinct, and squares stay squares."""
    found = dict(sizes)
    for axis in sizes:
        if sizes[axis] < least.get(axis, 0):
            longer = (n for n in itertools.count(least[axis]) if n not in found.values())
            found[axis] = next(n for n in longer if axis not in rooted or isqrt(n) ** 2 == n)
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


def draw_lengths(
    proof: Node,
    tensors: Iterable[Node],
    nodes: list[Node],
    rooted: set[str],
    rng: random.Random,
    least: Mapping[str, int] = MappingProxyType({}),
) -> dict[str, int]:
    """Sizes for every axis in `nodes`, and the plain integers among the tensors, such that the lengths which the proof states fit.

    No axis whose length is free is shorter than `least` says.
    """
    rules = proof.get("sizes", [])
    given = {rule["axis"] for rule in rules}
    axes = axes_in([*nodes, proof["batch"], rules])
    integers = plain_integers(tensors)
    if rules or integers:
        return fitting([axis for axis in axes if axis not in given], integers, rules, rng, least)
    return lengthened(draw_sizes(axes, {index[2] for index in proof["batch"]}, rooted, rng), least, rooted)


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
    range, against ties. Raises `derive.checker.facts.NoDraw` for facts that no draw satisfies.
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
    sizes_alone(facts, sizes)
    real = {t["name"] for t in tensors if t["kind"] != "int"}
    own_facts = [fact for fact in facts if set(tensors_in([fact["left"], fact["right"]])) & real]
    if own_facts:
        satisfy(own_facts, exact, real, sizes, rng)
    for name in exact:
        values[name] = {key: arithmetic.number(Fraction(value)) for key, value in exact[name].items()}
    return values


def out_of_reach(layer: Node, seed: int) -> str:
    """Why no values of a layer's inputs satisfy all of its facts together; empty where some do, or there are no facts.

    From facts that contradict one another everything would follow, also in a proof that mentions one of them alone, or none.
    """
    if not layer["facts"]:
        return ""
    defined = {equation["target"][1] for equation in layer["equations"]}
    free = [tensor for tensor in layer["tensors"] if tensor["name"] not in defined]
    rng = random.Random(f"{seed}|facts")
    why, others = "", 0
    while others < REDRAWN:
        sizes = draw_lengths(layer, free, [free, layer["facts"]], set(), rng, read_places([layer["facts"]]))
        try:
            draw_tensors(free, layer["facts"], sizes, Exact(), rng, 0)
            return ""
        except OtherLengths as error:
            why, others = str(error), others + 1
        except NoDraw as error:
            why, others = str(error), others + REDRAWN // TRIED
    return why


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
