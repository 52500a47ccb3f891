"""Errors planted in true proofs, one a proof, to measure the checker: what share it finds, and at the right line.

A mutant is a document with one line changed by a mistake that people make: a dropped delta, a lost sum, a wrong transpose. The
change may leave a line true (the index of a symmetric sum, a factor of a term that is zero). `derive.sameness` decides that
without the checker, on the whole of the line, and such a mutant is not counted. Nothing else is left out.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from derive.check import FAILS, HOLDS, Context, check_proof, context_of, extend
from derive.sameness import same_line, same_matrix

Node = Any
Scope = tuple[tuple[str, str], ...]  # (index, axis), from the outside in
Variant = tuple[str, Node]


@dataclass(frozen=True)
class Mutant:
    """A planted error: `after` stands in `line` of proof number `proof` where `before` stood."""

    kind: str
    proof: int
    line: int
    before: Node
    after: Node
    document: Node


@dataclass(frozen=True)
class Score:
    """How many planted errors were caught, how many of those at the line they were planted in; `by_kind` in the same order."""

    caught: int
    at_right_line: int
    total: int
    by_kind: dict[str, tuple[int, int, int]]
    missed: tuple[Mutant, ...] = ()
    misplaced: tuple[Mutant, ...] = ()

    @property
    def share_caught(self) -> float:
        return self.caught / self.total if self.total else 0.0

    @property
    def share_at_right_line(self) -> float:
        return self.at_right_line / self.total if self.total else 0.0


# ---------------------------------------------------------------------------------------------------- mistakes


def mistakes(node: Node, scope: Scope) -> Iterator[Variant]:
    """Every expression that differs from `node` by one mistake, with the mistake's name."""
    kind = node[0]
    yield from _HERE.get(kind, _nothing)(node, scope)
    if kind in ("add", "mul"):
        for n, part in enumerate(node[1]):
            for name, other in mistakes(part, scope):
                yield name, [kind, [*node[1][:n], other, *node[1][n + 1 :]]]
    elif kind == "pow":
        for name, other in mistakes(node[1], scope):
            yield name, [kind, other, node[2]]
    elif kind == "fn":
        for n, part in enumerate(node[2]):
            for name, other in mistakes(part, scope):
                yield name, [kind, node[1], [*node[2][:n], other, *node[2][n + 1 :]]]
    elif kind in ("sum", "max"):
        inner = scope + tuple((index[1], index[2]) for index in node[1])
        for name, other in mistakes(node[2], inner):
            yield name, [kind, node[1], other]
    elif kind == "matrixfn":
        inner = scope + tuple((index[1], index[2]) for index in node[2])
        for name, other in mistakes(node[3], inner):
            yield name, [*node[:3], other, node[4]]
    elif kind == "along":
        for name, other in mistakes(node[1], scope):
            yield name, [kind, other, *node[2:]]
    elif kind == "diff":
        for name, other in mistakes(node[1], scope):
            yield name, [kind, other, node[2], node[3]]
        for name, other in _ref(node[2], scope):
            yield name, [kind, node[1], other, node[3]]


def _nothing(node: Node, scope: Scope) -> Iterator[Variant]:
    yield from ()


def _mul(node: Node, scope: Scope) -> Iterator[Variant]:
    for n, factor in enumerate(node[1]):
        rest = [*node[1][:n], *node[1][n + 1 :]]
        without = rest[0] if len(rest) == 1 else ["mul", rest]
        if factor[0] == "delta":
            yield "dropped delta", without
        elif factor[0] == "size" or factor[0] == "pow" and factor[1][0] == "size":
            yield "lost 1/N", without
        elif factor[0] == "num" and Fraction(factor[1]) < 0:
            value = -Fraction(factor[1])
            yield "lost sign", without if value == 1 else ["mul", [["num", str(value)], *rest]]
        elif factor[0] != "num":
            yield "dropped factor", without


def _add(node: Node, scope: Scope) -> Iterator[Variant]:
    for n in range(len(node[1])):
        rest = [*node[1][:n], *node[1][n + 1 :]]
        yield "dropped term", rest[0] if len(rest) == 1 else ["add", rest]


def _num(node: Node, scope: Scope) -> Iterator[Variant]:
    value = Fraction(node[1])
    if abs(value) != 1:
        yield "changed coefficient", ["num", str(value + 1)]


def _ref(node: Node, scope: Scope) -> Iterator[Variant]:
    indices = node[2]
    for a in range(len(indices)):
        for b in range(a + 1, len(indices)):
            if indices[a] != indices[b]:
                swapped = [*indices]
                swapped[a], swapped[b] = indices[b], indices[a]
                yield "swapped indices", ["ref", node[1], swapped]
    for n, other in _other_places(indices):
        yield "wrong place", ["ref", node[1], [*indices[:n], other, *indices[n + 1 :]]]
    for n, other in _other_indices(indices, scope):
        yield "wrong index", ["ref", node[1], [*indices[:n], other, *indices[n + 1 :]]]


def _other_places(indices: list[Node]) -> Iterator[tuple[int, Node]]:
    for n, index in enumerate(indices):
        if index[0] == "affine":
            yield n, ["affine", ["add", [index[1], ["num", "1"]]], index[2]]


def _delta(node: Node, scope: Scope) -> Iterator[Variant]:
    for n, other in _other_places(node[1:]):
        yield "wrong place", ["delta", *[other if n == m else index for m, index in enumerate(node[1:])]]
    for n, other in _other_indices(node[1:], scope):
        if other != node[2 - n]:
            yield "wrong index", ["delta", *[other if n == m else index for m, index in enumerate(node[1:])]]


def _iverson(node: Node, scope: Scope) -> Iterator[Variant]:
    yield "wrong condition", ["iverson", node[1], node[3], node[2]]
    other = {"<": "<=", "<=": "<", "==": "!=", "!=": "=="}[node[1]]
    yield "wrong condition", ["iverson", other, node[2], node[3]]


def _other_indices(indices: list[Node], scope: Scope) -> Iterator[tuple[int, Node]]:
    for n, index in enumerate(indices):
        if index[0] == "idx":
            for name, axis in scope:
                if axis == index[2] and name != index[1]:
                    yield n, ["idx", name, axis]


def _pow(node: Node, scope: Scope) -> Iterator[Variant]:
    yield "wrong exponent", ["pow", node[1], str(-Fraction(node[2]))]


def _reduction(node: Node, scope: Scope) -> Iterator[Variant]:
    for n, index in enumerate(node[1]):
        rest = [*node[1][:n], *node[1][n + 1 :]]
        others = [["idx", name, axis] for name, axis in (*scope, *((i[1], i[2]) for i in rest)) if axis == index[2]]
        for other in others or [index]:
            body = _renamed(node[2], index, other)
            yield "lost sum", [node[0], rest, body] if rest else body
        for other in (other for other in others if other not in rest):
            bound = [*node[1][:n], other, *node[1][n + 1 :]]
            yield "captured index", [node[0], bound, _renamed(node[2], index, other)]


def _matrix_function(node: Node, scope: Scope) -> Iterator[Variant]:
    if len(node[4]) == 2:
        yield "swapped indices", [*node[:4], node[4][::-1]]
        yield "lost inverse", _renamed(_renamed(node[3], node[2][0], node[4][0]), node[2][1], node[4][1])


def _renamed(node: Node, old: Node, new: Node) -> Node:
    """Every mention of an index replaced, bound or not: deliberately not capture-free."""
    if node == old:
        return new
    return [_renamed(part, old, new) for part in node] if isinstance(node, list) else node


_HERE = {
    "mul": _mul,
    "add": _add,
    "num": _num,
    "ref": _ref,
    "delta": _delta,
    "iverson": _iverson,
    "pow": _pow,
    "sum": _reduction,
    "max": _reduction,
    "matrixfn": _matrix_function,
}


def matrix_mistakes(node: Node) -> Iterator[Variant]:
    """Every matrix expression that differs from `node` by one mistake."""
    kind = node[0]
    if kind == "transpose":
        yield "wrong transpose", node[1]
    else:
        yield "wrong transpose", ["transpose", node]
    if kind in ("product", "hadamard", "total"):
        for n in range(len(node[1])):
            rest = [*node[1][:n], *node[1][n + 1 :]]
            name = "dropped term" if kind == "total" else "dropped factor"
            yield name, rest[0] if len(rest) == 1 else [kind, rest]
        if kind == "product" and len(node[1]) > 1:
            yield "swapped factors", ["product", [*node[1][1:], node[1][0]]]
        for n, part in enumerate(node[1]):
            for name, other in matrix_mistakes(part):
                yield name, [kind, [*node[1][:n], other, *node[1][n + 1 :]]]
    elif kind == "scale":
        negative = node[1][0] == "num" and Fraction(node[1][1]) < 0
        yield ("lost sign" if negative else "lost 1/N"), node[2]
        for name, other in mistakes(node[1], ()):
            yield name, [kind, other, node[2]]
        for name, other in matrix_mistakes(node[2]):
            yield name, [kind, node[1], other]
    elif kind in ("rowsum", "colsum"):
        yield "lost sum", node[1]
        yield "wrong transpose", [{"rowsum": "colsum", "colsum": "rowsum"}[kind], node[1]]
        for name, other in matrix_mistakes(node[1]):
            yield name, [kind, other]
    elif kind in ("transpose", "entrysum", "inverse"):
        if kind == "inverse":
            yield "lost inverse", node[1]
        for name, other in matrix_mistakes(node[1]):
            yield name, [kind, other]
    elif kind == "power":
        yield "wrong exponent", [kind, node[1], str(-Fraction(node[2]))]
        for name, other in matrix_mistakes(node[1]):
            yield name, [kind, other, node[2]]
    elif kind == "map":
        for n, part in enumerate(node[2]):
            for name, other in matrix_mistakes(part):
                yield name, [kind, node[1], [*node[2][:n], other, *node[2][n + 1 :]]]


# ---------------------------------------------------------------------------------------------------- mutants


def every_mutant(document: Node) -> Iterator[Mutant]:
    """All one-line mistakes in a document, also those that leave the line true."""
    for number, proof in enumerate(document["proofs"]):
        target = proof["goal"]["target"]
        scope = tuple((index[1], index[2]) for index in target[2])
        lines = [proof["goal"]["value"], *(step["after"] for step in proof["steps"])]
        for line, node in enumerate(lines):
            # The first line of a named sum or an invariant is a definition: another one is another name, not an error.
            if line == 0 and proof["kind"] in ("name", "invariant"):
                continue
            for kind, after in mistakes(node, scope):
                yield Mutant(kind, number, line, node, after, _with_line(document, number, line, after))
        if proof["matrix"] is not None:
            for kind, after in matrix_mistakes(proof["matrix"]):
                mutated = _with_proof(document, number, {**proof, "matrix": after})
                yield Mutant(kind, number, len(lines), proof["matrix"], after, mutated)


def _with_proof(document: Node, number: int, proof: Node) -> Node:
    return {**document, "proofs": [*document["proofs"][:number], proof, *document["proofs"][number + 1 :]]}


def _with_line(document: Node, number: int, line: int, after: Node) -> Node:
    proof = document["proofs"][number]
    if line == 0:
        return _with_proof(document, number, {**proof, "goal": {**proof["goal"], "value": after}})
    steps = [*proof["steps"]]
    steps[line - 1] = {**steps[line - 1], "after": after}
    return _with_proof(document, number, {**proof, "steps": steps})


def is_an_error(mutant: Mutant, original: Node, seed: int = 0) -> bool:
    """Whether the planted change makes the line false, as `derive.sameness` sees it."""
    proof = original["proofs"][mutant.proof]
    if mutant.line == len(proof["steps"]) + 1:
        return not same_matrix(proof, mutant.after, seed)
    return not same_line(proof, mutant.before, mutant.after, seed)


def mutants(document: Node, seed: int = 0, count: int = 200) -> Iterator[Mutant]:
    """Up to `count` errors planted in a document, the kinds of mistake taking turns."""
    for _, mutant in _errors([document], seed, count):
        yield mutant


def _errors(documents: list[Node], seed: int, count: int) -> Iterator[tuple[int, Mutant]]:
    rng = random.Random(seed)
    by_kind: dict[str, list[tuple[int, Mutant]]] = {}
    for number, document in enumerate(documents):
        for mutant in every_mutant(document):
            by_kind.setdefault(mutant.kind, []).append((number, mutant))
    for kind in sorted(by_kind):
        rng.shuffle(by_kind[kind])
    found = 0
    while found < count and any(by_kind.values()):
        for kind in sorted(by_kind):
            # A turn ends with a true error of this kind, or with the kind exhausted.
            while found < count and by_kind[kind]:
                number, mutant = by_kind[kind].pop()
                if is_an_error(mutant, documents[number], seed):
                    found += 1
                    yield number, mutant
                    break


def score(documents: Iterable[Node], count: int = 250, seed: int = 0) -> Score:
    """Plant `count` errors in true documents, one at a time, and let the checker look at each proof with one.

    `caught` counts the proofs in which some line fails; `at_right_line` those whose first line that does not hold is the
    planted one, and fails.
    """
    documents = list(documents)
    contexts = [_contexts(document) for document in documents]
    missed: list[Mutant] = []
    misplaced: list[Mutant] = []
    tally: dict[str, list[int]] = {}
    for number, mutant in _errors(documents, seed, count):
        verdicts = check_proof(mutant.document["proofs"][mutant.proof], seed, contexts[number][mutant.proof])
        first = next((line for line in verdicts if line.verdict != HOLDS), None)
        caught = any(line.verdict == FAILS for line in verdicts)
        right = first is not None and first.line == mutant.line and first.verdict == FAILS
        if not caught:
            missed.append(mutant)
        elif not right:
            misplaced.append(mutant)
        counts = tally.setdefault(mutant.kind, [0, 0, 0])
        for n, hit in enumerate((caught, right, True)):
            counts[n] += hit
    by_kind = {kind: (c[0], c[1], c[2]) for kind, c in sorted(tally.items())}
    caught_all, right_all, total = (sum(counts[n] for counts in by_kind.values()) for n in range(3))
    return Score(caught_all, right_all, total, by_kind, tuple(missed), tuple(misplaced))


def _contexts(document: Node) -> list[Context]:
    """What the document has said before each of its proofs."""
    contexts = []
    context = context_of(document["layer"])
    for proof in document["proofs"]:
        contexts.append(deepcopy(context))
        extend(context, proof)
    return contexts
