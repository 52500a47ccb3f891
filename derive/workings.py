"""What the engine knows while it works on one layer: the equations, the names in use, what may be put back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from derive.expr import Equation, Expr, Fact, Idx, Ref, Tensor, free_indices, tensors_in, walk
from derive.proof import Proof, Step
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

    def taken(self) -> set[str]:
        """Names that a new tensor may not have."""
        return {*self.tensors, *self.layer.dims, *(f"{self.prefix}{name}" for name in self.tensors)}

    def new_name(self, pool: Iterable[str]) -> str:
        taken = self.taken()
        pool = tuple(pool)
        for name in pool:
            if name not in taken:
                return name
        number = 1
        while f"{pool[0]}_{number}" in taken:
            number += 1
        return f"{pool[0]}_{number}"

    def declare(self, name: str, indices: Iterable[Idx]) -> Tensor:
        tensor = Tensor(name, tuple(i.dim for i in indices))
        self.tensors[name] = tensor
        return tensor

    def adjoint(self, name: str) -> str:
        """The gradient's name; a tensor that is an output and is used again has a total gradient besides its upstream one."""
        plain = f"{self.prefix}{name}"
        if name in self.layer.outputs and any(name in self.operands(other) for other in self.definitions if other != name):
            return f"{plain}_total"
        return plain

    def operands(self, target: str) -> tuple[str, ...]:
        """The tensors an equation mentions, its named inner sums looked into."""
        found: dict[str, None] = {}
        for name in tensors_in(self.definitions[target].value):
            if name in self.inner:
                found.update(dict.fromkeys(self.operands(name)))
            else:
                found[name] = None
        return tuple(found)

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
        return tuple(target for target in self.definitions if target not in self.inner and name in self.operands(target))

    def indices_of(self, name: str) -> tuple[Idx, ...]:
        """Indices for an entry of a tensor: the ones it is first written with, where these are distinct."""
        ordered = sorted(self.definitions, key=lambda target: target in self.inner)
        for target in (self.definitions[each] for each in ordered):
            for node in (target.target, *walk(target.value)):
                if isinstance(node, Ref) and node.tensor == name:
                    plain = tuple(i for i in node.indices if isinstance(i, Idx))
                    if len(set(plain)) == len(node.indices):
                        return plain
        indices: list[Idx] = []
        for dim in self.tensors[name].dims:
            indices.append(self._index_over(dim, indices))
        return tuple(indices)

    def _index_over(self, dim: str, used: list[Idx]) -> Idx:
        for equation in self.definitions.values():
            for node in (equation.target, *walk(equation.value)):
                for index in free_indices(node):
                    if index.dim == dim and index not in used:
                        return index
        name = dim[0].lower()
        while any(i.name == name for i in used):
            name += "'"
        return Idx(name, dim)

    def given(self, used: Iterable[str]) -> tuple[Equation, ...]:
        """The definitions of the named tensors, in an order in which each mentions only earlier ones."""
        wanted = set(used)
        found = [self.definitions[name] for name in self.definitions if name in wanted]
        found += [self.meanings[name] for name in self.meanings if name in wanted]
        found += [self.results[name] for name in self.results if name in wanted and name not in self.meanings]
        return tuple(found)


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

    def proof(self, workings: Workings, given: tuple[Equation, ...] | None = None) -> Proof:
        """The finished proof with exactly the declarations it mentions."""
        given = workings.given(self.used) if given is None else given
        mentioned: dict[str, None] = {self.goal.target.tensor: None}
        for expr in (self.goal.value, *(s.after for s in self.steps), *(part for e in given for part in (e.target, e.value))):
            mentioned.update(dict.fromkeys(tensors_in(expr)))
        for item in self.facts:
            mentioned.update(dict.fromkeys((*tensors_in(item.left), *tensors_in(item.right))))
        tensors = tuple(tensor for name, tensor in workings.tensors.items() if name in mentioned)
        batch = workings.layer.batch
        return Proof(self.name, self.kind, self.goal, tuple(self.steps), tensors, given, tuple(self.facts), batch)
