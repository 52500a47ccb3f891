"""Whether a formula is a gradient, in the checker's arithmetic: worlds of distinct axis sizes, entry by entry, exactly where that can be.

What a gradient is comes from `derive.checker.meaning`, that is from the layer's equations and dual numbers alone. The many formulas
that a diagnosis tries are compared with the proved result, which is quicker; a formula is called right only where it equals both.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import DecimalException, localcontext
from fractions import Fraction
from math import prod
from typing import Any

from derive.checker.arithmetic import Arithmetic, CannotTell, Digits, Exact, FinerRoot, Irrational, OutsideDomain, Singular
from derive.checker.evaluate import Key, World, scope_of, tensors_in
from derive.checker.facts import OtherLengths
from derive.checker.meaning import Context, Meaning, context_of, extend, meaning
from derive.checker.structure import Malformed
from derive.checker.worlds import axes_in, draw_lengths, draw_tensors, lengthened, read_places, rooted_axes
from derive.engine import Derivation
from derive.expr import Equation, Expr, Fact, Ref
from derive.proof import equation_json, expr_json, fact_json, tensor_json

Node = Any
Number = Any
UNITS = (2, 3, 5, 7)
ATTEMPTS = 8
REDRAWN = 64
ENTRIES = 16
SAMPLED = 4  # entries of each world at which the meaning itself is evaluated
WORLDS = 3
PRECISION = 75


@dataclass(frozen=True)
class Setting:
    """The worlds of a comparison: two axes made equal, facts added, the layer's own equations dropped, upstream gradients set to 1."""

    equal: tuple[str, str] | None = None
    facts: tuple[Fact, ...] = ()
    bare: bool = False
    unit: bool = False


PLAIN = Setting()


@dataclass
class Scene:
    """A world with the entries to compare there, and the values of the formulas that stay the same."""

    world: World
    arithmetic: Arithmetic
    sizes: dict[str, int]
    known: dict[Any, list[Number]] = field(default_factory=dict)


@dataclass(frozen=True)
class Apart:
    """Where two formulas differ: the entry, the axis sizes, and the values."""

    key: Key
    sizes: dict[str, int]
    given: Number
    wanted: Number


class Judge:
    """One layer, its gradients, and worlds to compare formulas in, each drawn once."""

    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        layer = derivation.layer
        document = derivation.document()
        self.layer = document["layer"]
        self.context: Context = context_of(self.layer)
        full = context_of(self.layer)
        for proof in document["proofs"]:
            extend(full, proof)
        self.definitions: dict[str, Node] = {e["target"][1]: e for e in self.layer["equations"]}
        inner = [equation_json(e) for e in derivation.definitions if e.target.tensor in derivation.inner]
        results = [equation_json(e) for e in derivation.results]
        for equation in (*inner, *results):
            self.definitions.setdefault(equation["target"][1], equation)
        self.tensors = {t.name: tensor_json(t) for t in (*layer.tensors, *derivation.tensors)}
        self.comparisons = tuple(fact for fact in self.layer["facts"] if fact["left"][0] == "iverson")
        self.scenes: dict[Any, Scene] = {}
        self.meanings: dict[Ref, Meaning] = {}

    def define(self, equation: Equation) -> None:
        """Give a name of the person's own (one that nobody else has) its meaning."""
        self.definitions[equation.target.tensor] = equation_json(equation)

    # ------------------------------------------------------------------------------------------------ meanings

    def meaning(self, target: Ref) -> Meaning:
        """What the gradient `target` is, by the layer's equations alone. Raises CannotTell where the checker has no words for it."""
        if target not in self.meanings:
            upstream = [self.tensors[name] for name in self.derivation.upstream]
            proof = {
                "name": target.tensor,
                "kind": "lemma",
                "goal": {"target": expr_json(target), "value": ["num", "0"]},
                "tensors": [*self.layer["tensors"], *(t for t in upstream if t["name"] != target.tensor)],
                "given": self.layer["equations"],
                "facts": self.layer["facts"],
                "batch": self.layer["batch"],
            }
            try:
                self.meanings[target] = meaning(proof, self.context) or Meaning(["num", "0"], {}, ())
            except Malformed as error:
                raise CannotTell(str(error)) from None
        return self.meanings[target]

    # ------------------------------------------------------------------------------------------------ worlds

    def _draw(self, number: int, attempt: int, arithmetic: Arithmetic, setting: Setting) -> Scene:
        rng = random.Random(f"{number}|{attempt}|{setting}")
        defined = set(self.definitions)
        free = [t for t in self.tensors.values() if t["name"] not in defined]
        nodes: list[Node] = [free, list(self.layer["equations"]), self.layer["tensors"]]
        facts = list(self.comparisons if setting.bare else self.layer["facts"]) + [fact_json(fact) for fact in setting.facts]
        proof = {"batch": self.layer["batch"], "sizes": self.layer.get("sizes", [])}
        for _ in range(REDRAWN):
            rooted, least = rooted_axes(nodes), read_places(nodes)
            sizes = draw_lengths(proof, free, nodes, rooted, rng, least)
            if not proof["sizes"] and not any(t["kind"] == "int" and t["values"] is None for t in free):
                sizes = lengthened(self._varied(tuple(sizes), rooted, number), least, rooted)
            if setting.equal is not None:
                sizes[setting.equal[1]] = sizes[setting.equal[0]]
            try:
                values = draw_tensors(free, facts, sizes, arithmetic, random.Random(f"{rng.random()}"), attempt)
                break
            except OtherLengths:
                continue
        else:
            raise CannotTell("no axis lengths fit the facts")
        if setting.unit:
            for name in self.derivation.upstream:
                values[name] = dict.fromkeys(itertools.product(*(range(sizes[d]) for d in self.tensors[name]["dims"])), 1)
        return Scene(World(sizes, arithmetic, self.definitions, values), arithmetic, sizes)

    def _varied(self, axes: tuple[str, ...], rooted: set[str], number: int) -> dict[str, int]:
        """Other distinct lengths in every world, so that no number in a formula can stand for one of them or for a product of some."""
        batch = {index[2] for index in self.layer["batch"]}
        before = [self._varied(axes, rooted, other) for other in range(max(0, number - 2), number)]
        drawn: dict[str, int] = {}
        for draw in range(REDRAWN):
            drawn = self._lengths(axes, rooted, number, random.Random(f"lengths {number}" + (f" {draw}" if draw else "")))
            # Batch axes, which are the shortest, take turns between two lengths.
            if all(drawn[axis] != other[axis] for axis in axes for other in (before[-1:] if axis in batch else before)):
                break
        return drawn

    def _lengths(self, axes: tuple[str, ...], rooted: set[str], number: int, rng: random.Random) -> dict[str, int]:
        batch = {index[2] for index in self.layer["batch"]}
        groups = [[a for a in axes if a in rooted], [a for a in axes if a in batch - rooted], [a for a in axes if a not in rooted | batch]]
        found: dict[str, int] = {}
        for group, spare, start, squared in zip(groups, (2, 0, 2), (2, 2 + number % 2, 2 + number), (True, False, False)):
            pool = (n * n if squared else n for n in itertools.count(start))
            numbers = list(itertools.islice((n for n in pool if n not in found.values()), len(group) + spare))
            rng.shuffle(numbers)
            found.update(zip(group, numbers))
        return {axis: found[axis] for axis in axes}

    def scene(self, number: int, attempt: int, arithmetic: Arithmetic, setting: Setting) -> Scene:
        label = (number, attempt, arithmetic.mode, getattr(arithmetic, "root", 0), setting)
        if label not in self.scenes:
            self.scenes[label] = self._draw(number, attempt, arithmetic, setting)
        return self.scenes[label]

    def keys(self, target: Ref, scene: Scene, number: int, most: int) -> list[Key]:
        """The entries to compare: all of them where they are few; else some, one on the diagonal and one at a label among them."""
        dims = [index.dim for index in target.indices if hasattr(index, "dim")]
        lengths = [scene.sizes[dim] for dim in dims]
        if prod(lengths) <= most:
            return list(itertools.product(*map(range, lengths)))
        rng = random.Random(f"{target}|{number}")
        found: dict[Key, None] = {}
        shared = [dims.index(dim) for dim in dims]
        first = tuple(rng.randrange(length) for length in lengths)
        found[tuple(first[place] for place in shared)] = None
        for tensor in self.tensors.values():
            if tensor["kind"] == "int" and tensor["values"] in dims and set(tensor["dims"]) <= set(dims):
                at = dict(zip(dims, first))
                label = int(scene.world.reader(tensor["name"])(tuple(at[dim] for dim in tensor["dims"])))
                found[tuple(label if dim == tensor["values"] else at[dim] for dim in dims)] = None
        while len(found) < most:
            found[tuple(rng.randrange(length) for length in lengths)] = None
        return list(found)

    # ------------------------------------------------------------------------------------------------ values

    def values(self, what: Node, target: Ref, scene: Scene, number: int, most: int) -> list[Number]:
        value = scene.world.compile(what, scope_of(expr_json(target)))
        return [scene.world.evaluate(value, key) for key in self.keys(target, scene, number, most)]

    def tables(
        self, formulas: Sequence[Node], target: Ref, setting: Setting = PLAIN, most: int = ENTRIES, worlds: int | None = None
    ) -> list[tuple[Scene, list[Key], list[list[Number]]]]:
        """The values of formulas over the target's indices, in several worlds in which all of them are defined.

        Raises CannotTell where there are none.
        """
        count = worlds or (WORLDS if target.indices else WORLDS + 1)
        try:
            return [self._table(formulas, target, setting, most, number, Exact(UNITS[number % 4])) for number in range(count)]
        except Irrational:
            with localcontext() as local:
                local.prec = PRECISION
                return [self._table(formulas, target, setting, most, number, Digits()) for number in range(count)]

    def _table(
        self, formulas: Sequence[Node], target: Ref, setting: Setting, most: int, number: int, arithmetic: Arithmetic
    ) -> tuple[Scene, list[Key], list[list[Number]]]:
        attempt = 0
        while True:
            try:
                scene = self.scene(number, attempt, arithmetic, setting)
                rows = []
                for formula in formulas:
                    label = (repr(formula), target, most)
                    if label not in scene.known:
                        scene.known[label] = self.values(formula, target, scene, number, most)
                    rows.append(scene.known[label])
                return scene, self.keys(target, scene, number, most), rows
            except FinerRoot as finer:
                assert isinstance(arithmetic, Exact)
                arithmetic = Exact(arithmetic.unit, finer.order)
            except (OutsideDomain, DecimalException) as error:
                attempt += 1
                if attempt == ATTEMPTS:
                    kind = "singular" if isinstance(error, Singular) else "outside of a function's domain"
                    raise CannotTell(f"a value is {kind} wherever it was tried") from None

    def apart(self, formula: Expr, truth: Node, target: Ref, setting: Setting = PLAIN, most: int = ENTRIES) -> Apart | None:
        """The first entry at which the formula is not the truth; None where they agree. Raises CannotTell."""
        given = expr_json(formula)
        with localcontext() as local:
            local.prec = PRECISION
            for scene, keys, (mine, right) in self.tables([given, truth], target, setting, most):
                for key, a, b in zip(keys, mine, right):
                    if not scene.arithmetic.equal(a, b):
                        return Apart(key, scene.sizes, a, b)
        return None

    def truth(self, target: Ref) -> Node:
        """The proved result for a gradient, or its meaning where the derivation has no result of that name."""
        if target.tensor in self.definitions:
            return expr_json(target)
        return self.with_meaning(target)

    def with_meaning(self, target: Ref) -> Node:
        """The meaning of a gradient as a formula; its definitions get names of their own."""
        meant = self.meaning(target)
        for name, equation in meant.definitions.items():
            self.definitions.setdefault(name, equation)
        return meant.value

    def is_meant(self, formula: Expr, target: Ref, setting: Setting = PLAIN) -> Apart | None:
        """As `apart`, against the gradient's meaning instead of the proved result, at fewer entries."""
        return self.apart(formula, self.with_meaning(target), target, setting, SAMPLED)

    def ratios(self, formula: Expr, truth: Node, target: Ref, setting: Setting = PLAIN) -> list[tuple[Number, Scene]] | None:
        """truth / formula in each world, where it is one number there; None where it is not, or where the formula is 0."""
        found = []
        with localcontext() as local:
            local.prec = PRECISION
            for scene, _, (mine, right) in self.tables([expr_json(formula), truth], target, setting):
                ratio: Number = None
                for a, b in zip(mine, right):
                    if not a and not b:
                        continue
                    if not a or not b:
                        return None
                    one = Fraction(b) / Fraction(a) if scene.arithmetic.mode == "exact" else b / a
                    if ratio is not None and not scene.arithmetic.equal(ratio, one):
                        return None
                    ratio = one
                if ratio is None:
                    return None
                found.append((ratio, scene))
        return found


def safely(compare: Callable[[], Any]) -> Any:
    """The answer, or None where the checker cannot tell."""
    try:
        return compare()
    except CannotTell:
        return None


__all__ = ["PLAIN", "Apart", "Judge", "Setting", "axes_in", "safely", "tensors_in"]
