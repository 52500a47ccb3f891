"""What a proof's target means, written down without its proof: the expression that the first line has to equal.

The gradient `dA` of a tensor A is the sum over T and o of `dT[o] * d T[o] / d A[a]`, where T runs over the tensors whose
gradients the proof takes as free variables (the upstream gradients, in the end), and the derivative goes through all of
the layer's equations in between. The tangent `tT` is the derivative of T along the free tangents `tA`. Neither reads the
proof's own lines, so a true chain from a wrong first line is found out. The names follow `derive.proof`: a gradient is called
`d` (in a second order `d2`) and the tensor's name, with `_total` where an output is also used further on. In numerator layout a
gradient by a tensor with two axes or more besides the batch has the last two exchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from derive.checker.evaluate import moving_in, tensors_in
from derive.checker.recurrence import circles
from derive.checker.structure import Declarations, Malformed, normal_form

Node = Any
PREFIXES = ("d", "d2", "d3")
DERIVATIVES = ("lemma", "theorem", "tangent")  # the kinds of proof whose target is a derivative
LAYOUTS = ("gradient", "numerator")
TOTAL = "_total"
OWN = "own "  # no name in a document begins so


@dataclass
class Context:
    """What a document has said up to a proof: its tensors, its equations, and every definition that has been shown."""

    tensors: dict[str, Node] = field(default_factory=dict)
    equations: dict[str, Node] = field(default_factory=dict)
    """The forward equations by target: the layer's, as rewritten by the proofs so far, and the named sums in them."""
    named: dict[str, Node] = field(default_factory=dict)
    """The sums that proofs have named; those that a rewritten equation mentions are forward tensors as well."""
    known: dict[str, list[Any]] = field(default_factory=dict)
    """Normal forms of every shown definition, by target."""
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    wrt: tuple[str, ...] = ()
    facts: tuple[Node, ...] = ()
    batch: list[Node] = field(default_factory=list)
    sizes: list[Node] = field(default_factory=list)
    layout: str = LAYOUTS[0]
    stated: bool = False
    """Whether there is a layer: a proof on its own is read against its own definitions."""

    def learn(self, equation: Node) -> None:
        self.known.setdefault(equation["target"][1], []).append(normal_form(equation))

    def knows(self, equation: Node) -> bool:
        return normal_form(equation) in self.known.get(equation["target"][1], [])

    @property
    def forward(self) -> tuple[str, ...]:
        """The tensors that have gradients and tangents: the inputs, and what is computed from them alone."""
        return (*self.inputs, *self.equations)

    def names_a_derivative(self, name: str) -> bool:
        return any(variable_of(name, prefix, self.forward) is not None for prefix in (*PREFIXES, "t"))


def context_of(layer: Node) -> Context:
    """What a document knows before its first proof. Raises Malformed if the layer is not well formed."""
    context = Context(stated=True, facts=tuple(layer["facts"]), batch=layer["batch"], sizes=layer.get("sizes", []))
    context.layout = layer.get("layout", LAYOUTS[0])
    if context.layout not in LAYOUTS:
        raise Malformed(f"there is no layout {context.layout!r}")
    context.inputs, context.outputs, context.wrt = tuple(layer["inputs"]), tuple(layer["outputs"]), tuple(layer["wrt"])
    context.tensors = {tensor["name"]: tensor for tensor in layer["tensors"]}
    declared = Declarations(layer["tensors"])
    for equation in layer["equations"]:
        declared.check_equation(equation)
        context.equations[equation["target"][1]] = equation
        context.learn(equation)
    return context


def extend(context: Context, proof: Node) -> None:
    """Add to `context` what a proof has shown, for the proofs after it."""
    goal, kind = proof["goal"], proof["kind"]
    name = goal["target"][1]
    last = {"target": goal["target"], "value": proof["steps"][-1]["after"] if proof["steps"] else goal["value"]}
    for tensor in proof["tensors"]:
        context.tensors.setdefault(tensor["name"], tensor)
    for equation in (*proof["given"], goal, last):
        if not context.knows(equation):
            context.learn(equation)
    if kind == "name":
        context.named.setdefault(name, goal)
    if kind == "prepare":
        context.equations[name] = last
        waiting = list(tensors_in(last["value"]))
        while waiting:
            other = waiting.pop()
            if other in context.named and other not in context.equations:
                context.equations[other] = context.named[other]
                waiting.extend(tensors_in(context.named[other]["value"]))


def variable_of(name: str, prefix: str, tensors: Iterable[str]) -> str | None:
    """The tensor whose gradient (or tangent) has this name."""
    if not name.startswith(prefix):
        return None
    rest = name[len(prefix) :]
    if rest in tensors:
        return rest
    return rest[: -len(TOTAL)] if rest.endswith(TOTAL) and rest[: -len(TOTAL)] in tensors else None


@dataclass(frozen=True)
class Meaning:
    """The expression, and the definitions (under names of the checker's own) that it needs besides the proof's."""

    value: Node
    definitions: Mapping[str, Node]
    tensors: tuple[Node, ...]


def meaning(proof: Node, context: Context) -> Meaning | None:
    """What the target of a lemma, theorem or tangent means; None for a target that its first line defines.

    Raises Malformed where a derivative reaches past what the proof has declared.
    """
    target = proof["goal"]["target"]
    frontier = _Frontier(proof, context)
    if proof["kind"] not in DERIVATIVES:
        return frontier.equation(target) if context.stated and target[1] in context.equations else None
    names = context.forward if context.stated else tuple(tensor["name"] for tensor in proof["tensors"])
    for prefix in ("t",) if proof["kind"] == "tangent" else PREFIXES:
        variable = variable_of(target[1], prefix, names)
        if variable is not None:
            dims = frontier.dims(variable)
            here = target[2] if prefix == "t" else frontier.laid(target[2])
            if dims != [index[2] for index in here]:
                raise Malformed(f"{variable} has the axes ({', '.join(dims)}), its derivative others")
            return frontier.tangent(variable) if prefix == "t" else frontier.gradient(variable, prefix)
    raise Malformed(f"{target[1]} is not the name of a derivative of any tensor of the layer")


class _Frontier:
    """The layer's equations as seen from one proof: which tensors are free in it, and how the others follow."""

    def __init__(self, proof: Node, context: Context) -> None:
        self.proof = proof
        self.context = context
        self.given = {equation["target"][1]: equation for equation in proof["given"]}
        self.target = proof["goal"]["target"]
        self.declared = {tensor["name"] for tensor in proof["tensors"]}
        self.equations = context.equations if context.stated else self.given
        self.mentions = {name: tensors_in(equation["value"]) for name, equation in self.equations.items()}
        self.moved_by = {name: moving_in(equation["value"]) for name, equation in self.equations.items()}
        self.recurring = {name for circle in circles(self.mentions) for name in circle}
        self.own: dict[str, str] = {}
        self._rename()

    def _free(self, name: str) -> bool:
        return name in self.declared and name not in self.given and name != self.target[1]

    # ------------------------------------------------------------------------------------------------ reading

    def alias(self, name: str) -> str:
        """The name under which a tensor of the layer is evaluated: a free one and one with the layer's own definition, its own."""
        return self.own.get(name, name)

    def _rename(self) -> None:
        """The tensors whose definitions here, or those of what they rest on, are not the layer's get names of the checker's own."""
        bound = [name for name in self.equations if not (self._free(name) and self.context.stated)]
        for name in bound:
            if name not in self.given or normal_form(self.given[name]) != normal_form(self.equations[name]):
                self.own[name] = OWN + name
        changed = True
        while changed:
            more = [name for name in bound if name not in self.own and any(other in self.own for other in self.mentions[name])]
            self.own.update((name, OWN + name) for name in more)
            changed = bool(more)

    def _finish(self, value: Node) -> Meaning:
        definitions: dict[str, Node] = {}
        tensors: dict[str, Node] = {}
        waiting = list(tensors_in(value))
        while waiting:
            name = waiting.pop()
            plain = name[len(OWN) :] if name.startswith(OWN) else name
            if name in definitions or name in tensors:
                continue
            if name != plain:
                equation = self.equations[plain]
                definitions[name] = {"target": self._renamed(equation["target"]), "value": self._renamed(equation["value"])}
                waiting.extend(tensors_in(definitions[name]["value"]))
            elif plain not in self.declared:
                if plain not in self.context.tensors:
                    raise Malformed(f"no tensor {plain} is declared")
                tensors[plain] = self.context.tensors[plain]
        return Meaning(value, definitions, tuple(tensors.values()))

    def _renamed(self, node: Node) -> Node:
        if not isinstance(node, list):
            return node
        if node and node[0] == "ref":
            return ["ref", self.alias(node[1]), [self._renamed(index) for index in node[2]]]
        return [self._renamed(part) for part in node]

    def dims(self, name: str) -> list[str]:
        for tensor in self.proof["tensors"]:
            if tensor["name"] == name:
                return list(tensor["dims"])
        if name not in self.context.tensors:
            raise Malformed(f"no tensor {name} is declared")
        return list(self.context.tensors[name]["dims"])

    def laid(self, indices: list[Node]) -> list[Node]:
        """The indices of a gradient's entry as those of its tensor's entry, or the other way round."""
        turned = self.context.layout == LAYOUTS[1] and len(indices) - len(self.proof["batch"]) >= 2
        return [*indices[:-2], indices[-1], indices[-2]] if turned else indices

    # ------------------------------------------------------------------------------------------------ meanings

    def equation(self, target: Node) -> Meaning:
        """The layer's own right-hand side, at the target's indices."""
        return self._finish(self._right(target[1], target[2]))

    def _right(self, name: str, indices: list[Node]) -> Node:
        equation = self.equations[name]
        names = {old[1]: new for old, new in zip(equation["target"][2], indices)}
        return _reindexed(self._renamed(equation["value"]), names)

    def gradient(self, variable: str, prefix: str) -> Meaning:
        consumers: dict[str, list[str]] = {}
        for name, others in self.moved_by.items():
            for other in others:
                consumers.setdefault(other, []).append(name)
        weights: dict[str, str] = {}
        again = ""  # the gradient of the variable itself, where it is read by later entries of its own
        seen = {variable}
        waiting = [variable]
        while waiting:
            name = waiting.pop(0)
            output = name in self.context.outputs
            total, plain = f"{prefix}{name}{TOTAL}", f"{prefix}{name}"
            if name != variable and self._free(total):
                weights[name] = total
                continue
            if self._free(plain) and (output or name != variable):
                weights[name] = plain
                if not output or not consumers.get(name):
                    continue
            elif output:
                raise Malformed(f"{variable} reaches the output {name}, but {plain} is not among the proof's free tensors")
            # By its own equation, or by way of tensors that have no gradient of their own here, such as a named sum.
            if variable in consumers.get(name, ()) and self.target[1] in self.declared:
                again = self.target[1]
            for other in consumers.get(name, ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        # Where no gradient of a recurrence is at hand, its entries pass everything on by their definitions.
        held = set() if variable in self.recurring and self.target[1] not in self.declared else {self.alias(variable)}
        between = [self.alias(name) for name in self.equations if name not in weights or self._passes(name, prefix)]
        wrt = ["ref", self.alias(variable), self.laid(self.target[2])]
        terms = []
        for name, weight in [*weights.items(), *([(variable, again)] if again else [])]:
            indices = [["idx", f"o {n}", axis] for n, axis in enumerate(self.dims(name))]
            body = ["ref", self.alias(name), indices]
            through = sorted({*between, self.alias(name)} - held)
            if name in self.recurring and not (name in self.context.outputs and weight == f"{prefix}{name}" and weight != again):
                # The right-hand side alone: what its entries pass on to later ones is in its gradient.
                body = self._right(name, indices)
                through = sorted({*between} - {self.alias(n) for n in weights} - {self.alias(variable)})
            term = ["mul", [["ref", weight, self.laid(indices)], ["diff", body, wrt, [t for t in through if self._defined(t)]]]]
            terms.append(["sum", indices, term] if indices else term)
        return self._finish(["add", terms] if terms else ["num", "0"])

    def _passes(self, name: str, prefix: str) -> bool:
        """Whether a tensor with a weight also hands derivatives on: an output used further, with its upstream gradient alone."""
        return name in self.context.outputs and not self._free(f"{prefix}{name}{TOTAL}")

    def _defined(self, alias: str) -> bool:
        return alias.startswith(OWN) or alias in self.given

    def tangent(self, variable: str) -> Meaning:
        directions: dict[str, str] = {}
        seen = {variable}
        waiting = [variable]
        while waiting:
            name = waiting.pop(0)
            if name != variable and self._free(f"t{name}"):
                directions[self.alias(name)] = f"t{name}"
                continue
            if name in self.context.wrt:
                raise Malformed(f"{variable} depends on {name}, but t{name} is not among the proof's free tensors")
            for other in self.moved_by.get(name, ()):
                if other == variable:  # earlier entries of its own, read by its equation or by way of tensors without a tangent here
                    directions[self.alias(variable)] = self.target[1]
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        through = [alias for alias in (self.alias(name) for name in self.equations) if self._defined(alias)]
        body = self._right(variable, self.target[2]) if variable in self.recurring else ["ref", self.alias(variable), self.target[2]]
        return self._finish(["along", body, directions, through])


def _reindexed(node: Node, names: Mapping[str, Node]) -> Node:
    """An expression at other free indices; its bound ones get names of the checker's own, so that none is captured."""
    if not isinstance(node, list) or not node:
        return node
    if node[0] == "idx":
        return names.get(node[1], node)
    if node[0] in ("sum", "max"):
        inner = {**names, **{index[1]: ["idx", f"bound {index[1]}", index[2]] for index in node[1]}}
        return [node[0], [inner[index[1]] for index in node[1]], _reindexed(node[2], inner)]
    if node[0] == "matrixfn":
        inner = {**names, **{index[1]: ["idx", f"bound {index[1]}", index[2]] for index in node[2]}}
        return [*node[:2], [inner[index[1]] for index in node[2]], _reindexed(node[3], inner), _reindexed(node[4], names)]
    return [_reindexed(part, names) for part in node]
