"""What the engine knows while it works on one layer: the equations, the names in use, what may be put back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice

from derive.expr import Equation, Expr, Fact, Fn, Idx, Pow, Ref, Tensor, walk
from derive.indices import free_indices, tensors_in
from derive.library import Library
from derive.matching import is_monomial
from derive.proof import Proof, Step
from derive.recurrence import Group, groups
from derive.signs import is_comparison
from derive.spec import Layer

HELPER_NAMES = ("Z", "E", "A", "G", "U", "H")
SUM_NAMES = ("D", "F", "R", "C", "M", "J")


@dataclass
class Workings:
    """The state of one derivation: grows while the engine works, is thrown away afterwards."""

    layer: Layer
    prefix: str = "d"
    tensors: dict[str, Tensor] = field(default_factory=dict)
    definitions: dict[str, Equation] = field(default_factory=dict)
    """Forward equations by target, in order: the author's, prepared, and the named inner sums."""
    inner: dict[str, None] = field(default_factory=dict)
    """The named inner sums that are differentiated as part of the equation that mentions them."""
    results: dict[str, Equation] = field(default_factory=dict)
    """What has been proved of the backward pass, by target, in order."""
    meanings: dict[str, Equation] = field(default_factory=dict)
    """The defining sums of named sums, by target."""
    opened: dict[str, None] = field(default_factory=dict)
    """Definitions that are written out, never put back."""
    facts: dict[Fact, None] = field(default_factory=dict)
    """The facts that some result rests on."""

    def __post_init__(self) -> None:
        for tensor in self.layer.tensors:
            self.tensors[tensor.name] = tensor
        self._lines = _Lines(self)
        self._numbers: dict[str, int] = {}
        self._places: dict[str, dict[str, int]] = {}
        self._grouped: tuple[int, tuple[Group, ...]] | None = None
        self._recurring: frozenset[str] = frozenset()
        self._declared: tuple[frozenset[str], tuple[Tensor, ...]] | None = None

    @cached_property
    def _dims(self) -> frozenset[str]:
        return frozenset(self.layer.dims)

    @property
    def groups(self) -> tuple[Group, ...]:
        """The forward equations in groups: one by one, but for recurrences, in an order in which they can be computed."""
        if self._grouped is None or self._grouped[0] != len(self.definitions):
            self._grouped = (len(self.definitions), groups(self.definitions.values()))
            self._recurring = frozenset(name for group in self._grouped[1] if group.recurs for name in group.members)
        return self._grouped[1]

    def recurs(self, target: str) -> bool:
        """Whether a tensor is computed by a recurrence."""
        return bool(self.groups) and target in self._recurring

    @cached_property
    def upstream(self) -> frozenset[str]:
        """The gradients that are given: those of the outputs."""
        return frozenset(f"{self.prefix}{name}" for name in self.layer.outputs)

    @cached_property
    def in_hand(self) -> frozenset[str]:
        """What is whole before the backward pass starts: arguments, results, upstream gradients."""
        return self.upstream | {*self.layer.inputs, *self.layer.outputs}

    def is_taken(self, name: str) -> bool:
        """Whether a new tensor may not have this name."""
        known = self.tensors
        return name in known or name in self._dims or (name.startswith(self.prefix) and name[len(self.prefix) :] in known)

    def new_name(self, pool: Iterable[str]) -> str:
        pool = tuple(pool)
        for name in pool:
            if not self.is_taken(name):
                return name
        # A name once taken stays taken: the count goes on from where it was.
        number = self._numbers.get(pool[0], 1)
        while self.is_taken(f"{pool[0]}_{number}"):
            number += 1
        self._numbers[pool[0]] = number
        return f"{pool[0]}_{number}"

    def declare(self, name: str, indices: Iterable[Idx]) -> Tensor:
        tensor = Tensor(name, tuple(i.dim for i in indices))
        self.tensors[name] = tensor
        return tensor

    def adjoint(self, name: str) -> str:
        """The gradient's name; a tensor that is an output and is used again has a total gradient besides its upstream one."""
        plain = f"{self.prefix}{name}"
        if name in self.layer.outputs and self.consumers(name):
            return f"{plain}_total"
        return plain

    def operands(self, target: str) -> tuple[str, ...]:
        """The tensors an equation mentions, its named inner sums looked into."""
        return self._lines.current().operands[target]

    def inner_of(self, target: str) -> tuple[str, ...]:
        """The named inner sums an equation depends on."""
        found: dict[str, None] = {}
        for name in tensors_in(self.definitions[target].value):
            if name in self.inner:
                found[name] = None
                found.update(dict.fromkeys(self.inner_of(name)))
        return tuple(found)

    def consumers(self, name: str) -> tuple[str, ...]:
        """The equations that mention a tensor, in the layer's order."""
        return tuple(self._lines.current().consumers.get(name, ()))

    def definitions_among(self, expr: Expr) -> tuple[Equation, ...]:
        """The forward equations whose right-hand side may occur in `expr`."""
        return self._lines.current().all.among(expr)

    def foldable(self, expr: Expr) -> tuple[Equation, ...]:
        """Forward values that may be put back in `expr`: those whose definition is one product."""
        return tuple(e for e in self._lines.current().foldable.among(expr) if e.target.tensor not in self.opened)

    def meanings_among(self, expr: Expr) -> tuple[Equation, ...]:
        """The named sums that may occur in `expr`."""
        return self._lines.current().meanings.among(expr)

    def indices_of(self, name: str) -> tuple[Idx, ...]:
        """Indices for an entry of a tensor: the ones it is first written with, where these are distinct."""
        lines = self._lines.current()
        found = lines.written.get(name, lines.written_inside.get(name))
        if found is not None:
            return found
        dims = self.tensors[name].dims
        known: list[Idx | None] = []
        for dim in dims:
            known.append(self._index_over(dim, known))
        indices: list[Idx] = []
        for dim, index in zip(dims, known):
            letter = dim[0].lower()
            # A name of our own is none that the tensor's other indices have, before it or after it.
            while any(other is not None and other.name == letter for other in (*known, *indices)):
                letter += "'"
            indices.append(index or Idx(letter, dim))
        return tuple(indices)

    def _index_over(self, dim: str, used: list[Idx | None]) -> Idx | None:
        """The first index that stands over an axis and is not used yet."""
        for equation in self.definitions.values():
            for node in (equation.target, *walk(equation.value)):
                for index in free_indices(node):
                    if index.dim == dim and index not in used:
                        return index
        return None

    def given(self, used: Iterable[str]) -> tuple[Equation, ...]:
        """The definitions of the named tensors, in an order in which each mentions only earlier ones."""
        wanted = set(used)
        found = [self.definitions[name] for name in self._in_order("definitions", wanted)]
        found += [self.meanings[name] for name in self._in_order("meanings", wanted)]
        found += [self.results[name] for name in self._in_order("results", wanted) if name not in self.meanings]
        return tuple(found)

    def declared(self, mentioned: Iterable[str]) -> tuple[Tensor, ...]:
        """The declarations of the named tensors, in the order in which they were made."""
        names = frozenset(mentioned)
        if self._declared is None or self._declared[0] != names:  # one theorem after another mentions everything
            self._declared = (names, tuple(self.tensors[name] for name in self._in_order("tensors", names)))
        return self._declared[1]

    def _in_order(self, kind: str, wanted: Iterable[str]) -> list[str]:
        """The wanted names that one of the tables has, in its order. The tables only grow."""
        table: dict[str, object] = getattr(self, kind)
        places = self._places.setdefault(kind, {})
        if len(places) < len(table):
            places.update(zip(islice(table, len(places), None), range(len(places), len(table))))
        return sorted((name for name in wanted if name in places), key=places.__getitem__)


class _Lines:
    """Tables over the forward equations and named sums, brought up to date as these grow; nothing is ever taken out of them."""

    def __init__(self, workings: Workings) -> None:
        self._workings = workings
        self._read = self._meant = 0
        self.operands: dict[str, tuple[str, ...]] = {}
        self.consumers: dict[str, list[str]] = {}
        self.all, self.foldable, self.meanings = Library(), Library(), Library()
        self.written: dict[str, tuple[Idx, ...]] = {}
        self.written_inside: dict[str, tuple[Idx, ...]] = {}

    def current(self) -> _Lines:
        workings = self._workings
        if self._read < len(workings.definitions):
            for target, equation in islice(workings.definitions.items(), self._read, None):
                self._add(target, equation, target in workings.inner)
            self._read = len(workings.definitions)
        if self._meant < len(workings.meanings):
            for equation in islice(workings.meanings.values(), self._meant, None):
                self.meanings.add(equation)
            self._meant = len(workings.meanings)
        return self

    def _add(self, target: str, equation: Equation, inside: bool) -> None:
        self.all.add(equation)
        if is_monomial(equation.value):
            self.foldable.add(equation)
        found: dict[str, None] = {}
        moving = tensors_in(equation.value, conditions=False)
        for name in tensors_in(equation.value):
            # A condition is flat, so what only conditions read needs no gradient; an input is told that its own is 0.
            if name in moving or name in self._workings.layer.inputs or name in self._workings.inner:
                found.update(dict.fromkeys(self.operands[name] if name in self._workings.inner else (name,)))
        self.operands[target] = tuple(found)
        if not inside:
            for name in found:
                self.consumers.setdefault(name, []).append(target)
        written = self.written_inside if inside else self.written
        for node in (equation.target, *walk(equation.value)):
            if isinstance(node, Ref) and node.tensor not in written:
                plain = tuple(i for i in node.indices if isinstance(i, Idx))
                if len(set(plain)) == len(node.indices):
                    written[node.tensor] = plain


class Chain:
    """A proof as it grows: each recorded expression becomes a step, unless nothing changed."""

    def __init__(self, name: str, kind: str, target: Ref, start: Expr) -> None:
        self.name, self.kind = name, kind
        self.goal = Equation(target, start)
        self.current = start
        self.steps: list[Step] = []
        self.used: dict[str, None] = {}
        self.facts: dict[Fact, None] = {}

    def record(self, rule: str, after: Expr, note: str = "", detail: str = "full") -> bool:
        if after == self.current:
            return False
        self.steps.append(Step(rule, after, note, detail))
        self.current = after
        return True

    def rewrite_last(self, after: Expr) -> None:
        """Another order of factors in the last line: no step of its own."""
        if self.steps:
            self.steps[-1] = replace(self.steps[-1], after=after)
            self.current = after

    def use(self, names: Iterable[str]) -> None:
        self.used.update(dict.fromkeys(names))

    def proof(self, workings: Workings, given: tuple[Equation, ...] | None = None, also: Iterable[str] | None = None) -> Proof:
        """The finished proof with exactly the declarations it mentions; `also` are those of `given`, where they are known."""
        given = workings.given(self.used) if given is None else given
        mentioned: dict[str, None] = {self.goal.target.tensor: None, **dict.fromkeys(also or ())}
        inside = given if also is None else ()
        for expr in (self.goal.value, *(s.after for s in self.steps), *(part for e in inside for part in (e.target, e.value))):
            mentioned.update(dict.fromkeys(tensors_in(expr)))
        exprs = itertools.chain((self.goal.value,), (s.after for s in self.steps), (e.value for e in given))
        facts = {
            **self.facts,
            **dict.fromkeys(f for f in domain(workings.layer, exprs) if {*tensors_in(f.left), *tensors_in(f.right)} <= mentioned.keys()),
        }
        for item in facts:
            mentioned.update(dict.fromkeys((*tensors_in(item.left), *tensors_in(item.right))))
        for length in workings.layer.sizes:
            mentioned.update(dict.fromkeys(tensors_in(length.value)))
        tensors = workings.declared(mentioned)
        layer = workings.layer
        return Proof(self.name, self.kind, self.goal, tuple(self.steps), tensors, given, tuple(facts), layer.batch, sizes=layer.sizes)


PARTIAL = ("log", "pow")


def domain(layer: Layer, exprs: Iterable[Expr]) -> tuple[Fact, ...]:
    """The declared comparisons, which say where roots and logarithms are defined, if the expressions have any."""
    comparisons = [fact for fact in layer.facts if is_comparison(fact)]
    if not comparisons:
        return ()
    nodes = (node for expr in exprs for node in walk(expr))
    if not any(isinstance(n, Pow) and n.exponent.denominator != 1 or isinstance(n, Fn) and n.name in PARTIAL for n in nodes):
        return ()
    return tuple(comparisons)
