"""What people get wrong, as changes of a formula: each is undone in one place, to see whether the formula becomes right."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from fractions import Fraction

from derive.tutor.tree import Node, text, variants, walk

Change = tuple[str, str, Node]  # the diagnosis, what to do about it, the formula changed
POWERS = tuple(Fraction(value) for value in ("1", "2", "-1", "1/2", "-1/2", "-2", "3", "-3/2"))
LONGEST_CHAIN = 4


def chain(node: Node) -> tuple[Node, ...]:
    """The factors of a product of several, from left to right."""
    if node.kind != "product":
        return (node,)
    return tuple(factor for part in node.parts for factor in chain(part))


def transposed(node: Node) -> Node:
    if node.kind == "transpose":
        return node.parts[0]
    return Node("transpose", (node,), "T", node.at)


def orders(node: Node) -> Iterator[Node]:
    """A product with its factors in other orders, the reverse first."""
    factors = chain(node)
    if not 2 <= len(factors) <= LONGEST_CHAIN:
        return
    for order in sorted(itertools.permutations(range(len(factors))), reverse=True):
        if order != tuple(range(len(factors))):
            yield Node("product", tuple(factors[n] for n in order), at=node.at)


def swaps(node: Node) -> Iterator[Change]:
    for other in variants(node, orders):
        yield "factors swapped", "swap the factors", other


def toggles(node: Node) -> Iterator[Change]:
    def toggle(part: Node) -> Iterator[Node]:
        if part.kind in ("name", "product", "times", "add", "divide", "call"):
            yield Node("transpose", (part,), "T", part.at)

    def untoggle(part: Node) -> Iterator[Node]:
        if part.kind == "transpose":
            yield part.parts[0]

    for part in dict.fromkeys(walk(node)):
        for other in variants(node, lambda place, part=part: untoggle(place) if place is part else iter(())):  # type: ignore[misc]
            yield "transpose inside", f"{text(part.parts[0])} wants no transpose", other
        for other in variants(node, lambda place, part=part: toggle(place) if place is part else iter(())):  # type: ignore[misc]
            yield "transpose inside", f"{text(part)} wants a transpose", other


def swapped_toggles(node: Node) -> Iterator[Change]:
    """Another order of the factors, with the transposes that then fit."""
    for other in variants(node, orders):
        for _, _, twice in toggles(other):
            yield "factors swapped", "swap the factors, with the transposes that then fit", twice
    factors = chain(node)
    if len(factors) == 2:
        for signs in itertools.product((False, True), repeat=2):
            for pair in (factors, factors[::-1]):
                parts = tuple(transposed(part) if flip else part for part, flip in zip(pair, signs))
                same_order = pair == factors
                kind = "transpose inside" if same_order else "factors swapped"
                yield (
                    kind,
                    "the transposes are on the wrong factors" if same_order else "swap the factors",
                    Node("product", parts, at=node.at),
                )


def signs(node: Node) -> Iterator[Change]:
    def flip(part: Node) -> Iterator[Node]:
        if part.kind == "add":
            for n, term in enumerate(part.parts):
                other = term.parts[0] if term.kind == "negative" else Node("negative", (term,), at=term.at)
                yield replace(part, parts=(*part.parts[:n], other, *part.parts[n + 1 :]))

    for other in variants(node, flip):
        yield "sign", "one term has the wrong sign", other


def sums(node: Node) -> Iterator[Change]:
    """Sums left out, or over another axis."""

    def without(part: Node) -> Iterator[Node]:
        if part.kind == "over":
            for n in range(len(part.value)):
                rest = (*part.value[:n], *part.value[n + 1 :])
                yield replace(part, value=rest) if rest else part.parts[0]
        elif part.kind == "reduce":
            yield part.parts[0]

    def otherwise(part: Node) -> Iterator[Node]:
        if part.kind == "reduce":
            for axes in ((0,), (1,), None):
                if axes != part.value[1]:
                    yield replace(part, value=(part.value[0], axes, part.value[2]))
                    yield replace(part, value=(part.value[0], axes, True))

    for other in variants(node, without):
        yield "extra sum", "there is a sum too many", other
    for other in variants(node, otherwise):
        yield "wrong axis", "a sum runs over the wrong axis", other


def summed(node: Node, indices: tuple[str, ...]) -> Iterator[Change]:
    """A sum over indices that are free on the right alone: over the whole, or over each term that has them."""
    what = f"sum over {', '.join(indices)}"
    yield "missing sum", what, Node("over", (node,), indices, node.at)
    if node.kind == "add":
        parts = []
        for term in node.parts:
            inside = term.parts[0] if term.kind == "negative" else term
            mentioned = {part.value for part in walk(inside) if part.kind == "name"}
            own = tuple(index for index in indices if index in mentioned)
            new = Node("over", (inside,), own, term.at) if own else inside
            parts.append(replace(term, parts=(new,)) if term.kind == "negative" else new)
        yield "missing sum", what, replace(node, parts=tuple(parts))

    def around(part: Node) -> Iterator[Node]:
        if part.kind in ("times", "product", "entry"):
            yield Node("over", (part,), indices, part.at)

    for other in variants(node, around):
        yield "missing sum", what, other


def reduced(node: Node, dims: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[Change]:
    """Sums over axes of an array that the target has not got."""
    for count in range(1, len(dims) + 1):
        for axes in itertools.combinations(range(len(dims)), count):
            if tuple(dim for n, dim in enumerate(dims) if n not in axes) == wanted:
                what = f"it was broadcast over {', '.join(dims[n] for n in axes)}, so its gradient sums over that axis"
                yield "missing sum", what, Node("reduce", (node,), ("sum", axes, False), node.at)


def inner_sums(node: Node, dims: tuple[str, ...], axes: Mapping[str, str]) -> Iterator[Change]:
    """A sum over an axis that the formula goes on to have: of an array that is spread along it again, or over an index of its own."""
    for n, dim in enumerate(dims):

        def kept(part: Node, n: int = n) -> Iterator[Node]:
            for inside, outside in _taken_apart(part):
                yield _times(Node("reduce", (inside,), ("sum", (n,), True), part.at), outside)

        for other in variants(node, kept):
            yield "missing sum", f"a sum over {dim} is missing", other
    used = {part.value for part in walk(node) if part.kind in ("name", "entry")}
    fresh = next(name for name in (*"klmnpqrst", "k_1") if name not in used and name not in axes)
    for index, dim in axes.items():

        def bound(part: Node, index: str = index) -> Iterator[Node]:
            for inside, outside in _taken_apart(part):
                if any(inner.kind == "entry" for inner in walk(inside)):
                    yield _times(Node("over", (_renamed(inside, index, fresh),), (fresh,), part.at), outside)

        for other in variants(node, bound):
            yield "missing sum", f"a sum over {dim} is missing", other


def _taken_apart(node: Node) -> Iterator[tuple[Node, tuple[Node, ...]]]:
    """Some factors of a product entry by entry, and the others."""
    if node.kind in ("product", "name", "entry"):
        yield node, ()
    factors = _entrywise(node)
    for count in range(len(factors), 1, -1):
        for chosen in itertools.combinations(range(len(factors)), count):
            first, *rest = (factors[n] for n in chosen)
            yield _times(first, tuple(rest)), tuple(factor for n, factor in enumerate(factors) if n not in chosen)


def _entrywise(node: Node) -> tuple[Node, ...]:
    return tuple(factor for part in node.parts for factor in _entrywise(part)) if node.kind == "times" else (node,)


def _times(first: Node, rest: tuple[Node, ...]) -> Node:
    return Node("times", (first, *rest), at=first.at) if rest else first


def _renamed(node: Node, index: str, name: str) -> Node:
    """The formula with an index called otherwise."""
    if node.kind == "name" and node.value == index:
        return replace(node, value=name)
    return replace(node, parts=tuple(_renamed(part, index, name) for part in node.parts))


def products(node: Node) -> Iterator[Change]:
    def other(part: Node) -> Iterator[Node]:
        if part.kind in ("times", "product"):
            yield replace(part, kind="product" if part.kind == "times" else "times")

    for changed in variants(node, other):
        yield "wrong product", "an entrywise product and a matrix product are confused", changed


def columns(node: Node) -> Iterator[Change]:
    """A vector that has to be a column, to be broadcast along the rows."""

    def column(part: Node) -> Iterator[Node]:
        if part.kind in ("name", "reduce"):
            yield Node("reshape", (part,), (True, False), part.at)

    for changed in variants(node, column):
        yield "missing broadcast", "a vector with an entry for each row is a column", changed


def names(node: Node, alike: Mapping[str, Collection[str]]) -> Iterator[Change]:
    """Another tensor of the same axes in the place of one."""

    def other(part: Node) -> Iterator[Node]:
        if part.kind in ("name", "entry"):
            for name in alike.get(part.value, ()):
                yield replace(part, value=name)

    for changed in variants(node, other):
        was, new = _difference(node, changed)
        yield "wrong tensor", f"{new} belongs where {was} stands", changed


def _difference(first: Node, second: Node) -> tuple[str, str]:
    for a, b in zip(walk(first), walk(second)):
        if a.value != b.value:
            return str(a.value), str(b.value)
    return text(first), text(second)


def _places(index: Node) -> Iterator[Node]:
    """The places beside one: those one or two steps off, and those as far on the other side."""
    if index.kind not in ("name", "add"):
        return
    parts = index.parts if index.kind == "add" else (index,)
    constant = sum((part.value for part in parts if part.kind == "num"), Fraction(0))
    rest = tuple(part for part in parts if part.kind != "num")
    for other in dict.fromkeys((-constant, Fraction(0), constant + 1, constant - 1)):
        if other != constant:
            moved = (*rest, Node("num", (), other, index.at)) if other else rest
            yield moved[0] if len(moved) == 1 else Node("add", moved, at=index.at)


def indices(node: Node, axes: dict[str, str]) -> Iterator[Change]:
    def swapped(part: Node) -> Iterator[Node]:
        if part.kind == "entry":
            for a, b in itertools.combinations(range(len(part.parts)), 2):
                parts = list(part.parts)
                parts[a], parts[b] = parts[b], parts[a]
                yield replace(part, parts=tuple(parts))

    def renamed(part: Node) -> Iterator[Node]:
        if part.kind == "entry":
            for n, index in enumerate(part.parts):
                for name, axis in axes.items():
                    if index.kind == "name" and name != index.value and axes.get(index.value) == axis:
                        yield replace(part, parts=(*part.parts[:n], replace(index, value=name), *part.parts[n + 1 :]))

    def shifted(part: Node) -> Iterator[Node]:
        if part.kind == "entry":
            for n, index in enumerate(part.parts):
                for other in _places(index):
                    yield replace(part, parts=(*part.parts[:n], other, *part.parts[n + 1 :]))

    for other in variants(node, shifted):
        yield "wrong index", "one entry is read at another place", other
    for other in variants(node, swapped):
        yield "indices swapped", "two indices stand in the wrong order", other
    for other in variants(node, renamed):
        yield "wrong index", "one index is another one", other


def parts(node: Node) -> Iterator[Change]:
    """A term or a factor left out, a power changed."""

    def fewer(part: Node) -> Iterator[Node]:
        if part.kind in ("add", "times", "product"):
            for n in range(len(part.parts)):
                rest = (*part.parts[:n], *part.parts[n + 1 :])
                yield rest[0] if len(rest) == 1 else replace(part, parts=rest)
        elif part.kind == "divide":
            yield part.parts[0]

    def powers(part: Node) -> Iterator[Node]:
        if part.kind == "power":
            for exponent in POWERS:
                if exponent != part.value:
                    yield part.parts[0] if exponent == 1 else replace(part, value=exponent)
        if part.kind in ("name", "entry"):
            yield Node("power", (part,), Fraction(2), part.at)

    def only_terms(part: Node) -> Iterator[Node]:
        yield from fewer(part) if part.kind == "add" else ()

    def only_factors(part: Node) -> Iterator[Node]:
        yield from fewer(part) if part.kind != "add" else ()

    for other in variants(node, only_terms):
        yield "extra term", "there is a term too many", other
    for other in variants(node, only_factors):
        yield "extra factor", "there is a factor too many", other
    for other in variants(node, powers):
        yield "wrong power", "a power is another one", other


def factors(node: Node, candidates: Collection[Node]) -> Iterator[Change]:
    """One more factor, entry by entry: on the whole or on one of its terms."""
    for factor in candidates:
        yield "missing factor", f"the factor {text(factor)} is missing", Node("times", (node, factor), at=node.at)

        def on_a_term(part: Node, factor: Node = factor) -> Iterator[Node]:
            if part.kind in ("add",):
                for n, term in enumerate(part.parts):
                    yield replace(part, parts=(*part.parts[:n], Node("times", (term, factor), at=term.at), *part.parts[n + 1 :]))
            elif part.kind in ("over", "reduce"):
                yield replace(part, parts=(Node("times", (part.parts[0], factor), at=part.at),))

        for other in variants(node, on_a_term):
            yield "missing factor", f"the factor {text(factor)} is missing", other
