"""Layers wired into one layer: any graph without cycles, its tensors joined by their names.

    compose("net", {"linear": wire(LINEAR, Y="Z"), "loss": wire(CROSS_ENTROPY, Z="Z")})

A part is a layer with names for some of its tensors. Parts that give a tensor the same name share it: an output joined to an
input is a wire, one input of two parts is a shared weight. A tensor without a given name is the part's own: it keeps its name, or,
where two parts have one of that name, gets the part's label, `W_hidden`. Axes are unified through the shared tensors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from derive.affine import place
from derive.errors import SpecError, listing, near
from derive.expr import Affine, Idx, Length, Ref, Size, Tensor, everywhere
from derive.indices import tensors_in
from derive.spec import Layer, check_wrt
from derive.validate import Spec, check_names, check_used
from derive.write import write


@dataclass(frozen=True)
class Part:
    """A layer and the names that some of its tensors get."""

    layer: Layer
    names: Mapping[str, str]


def wire(layer: Layer, **names: str) -> Part:
    """`layer` with its tensors named, `wire(LINEAR, X="H", Y="Z")`. Raises SpecError for a tensor the layer has not."""
    for own, name in names.items():
        layer.tensor(own)
        if not isinstance(name, str) or not name.isidentifier():
            raise SpecError(f"{layer.name}: {name!r} cannot be the name of {own}; write letters, digits and _")
    return Part(layer, names)


def compose(
    name: str,
    parts: Mapping[str, Layer | Part],
    outputs: str | Iterable[str] | None = None,
    wrt: str | Iterable[str] | None = None,
    doc: str = "",
) -> Layer:
    """One layer of several, given by label in any order.

    By default the outputs are the parts' outputs that no part uses, and `wrt` what some part differentiates by. A fact is kept
    while its tensors are inputs of the whole. Raises SpecError for a cycle, named as a path, and for tensors that cannot be one.
    """
    placed = _placed(name, parts)
    ordered = _ordered(name, placed)
    axes = _Axes(name, placed)
    defined = {target for part in placed for target in part.targets}
    known: dict[str, str] = {}
    for part in ordered:
        part.choose_indices(axes, known)
    equations = tuple(part.moved(equation, axes) for part in ordered for equation in part.layer.equations)
    consumed = {used for equation in equations for used in tensors_in(equation.value)}
    found = tuple(part.names[output] for part in ordered for output in part.layer.outputs)
    chosen = _listed(outputs) if outputs is not None else tuple(output for output in found if output not in consumed)
    for output in chosen:
        if output not in defined:
            raise SpecError(
                f"{name}: the output {output} is defined by no part{near(output, defined)}; defined are {listing(sorted(defined))}"
            )
    tensors = _tensors(placed, axes, defined)
    inputs = tuple(dict.fromkeys(part.names[each] for part in placed for each in part.layer.inputs if part.names[each] not in defined))
    moving = {part.names[each] for part in placed for each in part.layer.wrt}
    wanted = tuple(each for each in inputs if each in moving) if wrt is None else check_wrt(name, _listed(wrt), inputs, tensors)
    facts = dict.fromkeys(part.moved(fact, axes) for part in ordered for fact in part.layer.facts)
    kept = tuple(fact for fact in facts if defined.isdisjoint((*tensors_in(fact.left), *tensors_in(fact.right))))
    spec = Spec(name, equations, tuple(write(equation) for equation in equations))
    check_names(spec, set(tensors))
    check_used(spec, chosen)
    batches = {tuple(part.indices[index] for index in part.layer.batch) for part in placed}
    batch = batches.pop() if len(batches) == 1 else ()
    about = doc or f"{listing(part.layer.name for part in ordered)}, composed."
    declared = (tensors[each] for each in (*inputs, *spec.targets))
    sizes = dict.fromkeys(part.moved(length, axes) for part in ordered for length in part.layer.sizes)
    return Layer.of(name, declared, equations, kept, inputs, chosen, wanted, batch, about, sizes)


def _listed(names: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(names.replace(",", " ").split()) if isinstance(names, str) else tuple(names)


# ---------------------------------------------------------------------------------------------------- parts


@dataclass
class _Placed:
    """A part in its place: what each of its tensors and indices is called in the whole."""

    label: str
    layer: Layer
    names: dict[str, str]
    indices: dict[Idx, Idx] = field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self.names[equation.target.tensor] for equation in self.layer.equations)

    def choose_indices(self, axes: _Axes, known: dict[str, str]) -> None:
        """Each index keeps its name, or gets another one that runs over its axis in the whole."""
        for index in dict.fromkeys((*self.layer.batch, *_indices(self.layer.equations), *_indices(self.layer.facts))):
            axis = axes.name(self.label, index.dim)
            used = {other.name for other in self.indices.values()}
            numbered = (f"{index.name}_{n}" for n in range(2, 2 + len(known) + len(used)))
            choice = (index.name, *(name for name, over in known.items() if over == axis), *numbered)
            name = next(name for name in choice if known.get(name, axis) == axis and name not in used)
            known[name] = axis
            self.indices[index] = Idx(name, axis)

    def moved(self, node: Any, axes: _Axes) -> Any:
        """An equation, a fact or an expression of the part, in the words of the whole."""

        def rule(part: object) -> Any:
            if isinstance(part, Idx):
                return self.indices[part]
            if isinstance(part, Ref):
                return Ref(self.names[part.tensor], everywhere(part.indices, rule))
            if isinstance(part, Affine):
                return place(everywhere(part.value, rule), axes.name(self.label, part.dim))
            if isinstance(part, Length):
                return Length(axes.name(self.label, part.dim), everywhere(part.value, rule))
            return Size(axes.name(self.label, part.dim)) if isinstance(part, Size) else None

        return everywhere(node, rule)


def _indices(node: Any) -> list[Idx]:
    """Every index, free or bound, in reading order."""
    if isinstance(node, Idx):
        return [node]
    if isinstance(node, tuple):
        return [index for item in node for index in _indices(item)]
    if is_dataclass(node) and not isinstance(node, type):
        return [index for item in fields(node) for index in _indices(getattr(node, item.name))]
    return []


def _placed(name: str, parts: Mapping[str, Layer | Part]) -> tuple[_Placed, ...]:
    if not parts:
        raise SpecError(f"{name}: there is no part to compose; write {{'label': layer, ...}}")
    every = {label: part if isinstance(part, Part) else wire(part) for label, part in parts.items()}
    for label in every:
        if not f"_{label}".isidentifier():
            raise SpecError(f"{name}: {label!r} cannot be the label of a part; write letters, digits and _")
    given = {name: label for label, part in every.items() for name in part.names.values()}
    owners: dict[str, int] = {}
    for part in every.values():
        for tensor in part.layer.tensors:
            owners[tensor.name] = owners.get(tensor.name, 0) + (tensor.name not in part.names)
    taken = set(given)
    placed = []
    for label, part in every.items():
        names = dict(part.names)
        for own in (tensor.name for tensor in part.layer.tensors if tensor.name not in part.names):
            if own in given:
                raise SpecError(
                    f"{name}: {given[own]} names a tensor {own}, and {label} ({part.layer.name}) has one of its own; "
                    f"to join them write wire(..., {own}={own!r})"
                )
            names[own] = own if owners[own] == 1 else f"{own}_{label}"
            if names[own] in taken:
                raise SpecError(f"{name}: {names[own]} would be the name of two tensors; name {own} of {label} yourself")
            taken.add(names[own])
        placed.append(_Placed(label, part.layer, names))
    return tuple(placed)


def _ordered(name: str, placed: tuple[_Placed, ...]) -> tuple[_Placed, ...]:
    """The parts, each after those it uses, otherwise as given."""
    source: dict[str, _Placed] = {}
    for part in placed:
        for target in part.targets:
            if target in source:
                raise SpecError(
                    f"{name}: {target} is computed by {source[target].label} and by {part.label}; give one of them another name"
                )
            source[target] = part
    ordered: dict[str, _Placed] = {}
    path: dict[str, None] = {}
    # A stack of what is left to visit: a deep net may have more layers than Python allows calls.
    for start in placed:
        stack = [(start, iter(_uses(start, source)))] if start.label not in ordered else []
        path[start.label] = None
        while stack:
            part, waiting = stack[-1]
            following = next((each for each in waiting if each.label not in ordered), None)
            if following is None:
                ordered[part.label] = part
                path.pop(part.label)
                stack.pop()
            elif following.label in path:
                names = list(path)
                cycle = names[names.index(following.label) :]
                flow = " -> ".join([following.label, *reversed(cycle)])
                raise SpecError(f"{name}: the parts form a cycle, {flow}; what a part computes cannot reach its own inputs")
            else:
                path[following.label] = None
                stack.append((following, iter(_uses(following, source))))
        path.clear()
    return tuple(ordered.values())


def _uses(part: _Placed, source: Mapping[str, _Placed]) -> list[_Placed]:
    found = {source[part.names[each]].label: source[part.names[each]] for each in part.layer.inputs if part.names[each] in source}
    return list(found.values())


# ---------------------------------------------------------------------------------------------------- axes


class _Axes:
    """The axes of the whole: those that a shared tensor has in two parts are one."""

    def __init__(self, name: str, placed: tuple[_Placed, ...]) -> None:
        self._parent: dict[tuple[str, str], tuple[str, str]] = {
            (part.label, dim): (part.label, dim) for part in placed for dim in part.layer.dims
        }
        first: dict[str, tuple[_Placed, Tensor]] = {}
        for part in placed:
            for tensor in part.layer.tensors:
                other, like = first.setdefault(part.names[tensor.name], (part, tensor))
                if len(like.dims) != len(tensor.dims) or (like.kind == "int") != (tensor.kind == "int"):
                    here, there = (f"{_shape(t)} of {p.label} ({p.layer.name})" for p, t in ((part, tensor), (other, like)))
                    raise SpecError(
                        f"{name}: {part.names[tensor.name]} is {there} and {here}, which cannot be one tensor; name one of them otherwise"
                    )
                pairs = [*zip(like.dims, tensor.dims), *([(like.values, tensor.values)] if like.values and tensor.values else [])]
                for left, right in pairs:
                    self._parent[self._root(part.label, right)] = self._root(other.label, left)
        self._names: dict[tuple[str, str], str] = {}
        for label, dim in self._parent:
            root = self._root(label, dim)
            if root not in self._names:
                taken = self._names.values()
                self._names[root] = next(each for each in (dim, *(f"{dim}_{n}" for n in range(2, 3 + len(taken)))) if each not in taken)

    def _root(self, label: str, dim: str) -> tuple[str, str]:
        here = (label, dim)
        while self._parent[here] != here:
            self._parent[here] = self._parent[self._parent[here]]
            here = self._parent[here]
        return here

    def name(self, label: str, dim: str) -> str:
        return self._names[self._root(label, dim)]


def _shape(tensor: Tensor) -> str:
    kind = "" if tensor.kind == "real" else f":{tensor.kind}"
    return f"{tensor.name}[{','.join(tensor.dims)}]{kind}"


def _tensors(placed: tuple[_Placed, ...], axes: _Axes, defined: set[str]) -> dict[str, Tensor]:
    """The declarations of the whole; an input is constant where every part that has it says so."""
    found: dict[str, Tensor] = {}
    for part in placed:
        for tensor in part.layer.tensors:
            name = part.names[tensor.name]
            dims = tuple(axes.name(part.label, dim) for dim in tensor.dims)
            values = None if tensor.values is None else axes.name(part.label, tensor.values)
            earlier = found.get(name)
            real = name in defined or tensor.kind == "real" or (earlier is not None and earlier.kind == "real")
            found[name] = Tensor(name, dims, tensor.kind if tensor.kind == "int" else "real" if real else "const", values)
    return found
