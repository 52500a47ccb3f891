"""The conventions a derivation is written in, and what switching them makes of a layer.

Where examples and weights lie (`batch`, `weight`) and what indices are called (`indices`) change the layer, which is derived anew.
How gradients lie (`layout`) and what the upstream gradient is called (`upstream`) change what is derived. How sums and index values are
written (`sum`, `index_base`) changes the page: see `derive.reading`. In each case it is proved that the gradients are the same.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from derive.agreement import Agreement
from derive.check import check_document
from derive.engine import Derivation
from derive.errors import SpecError, listing, near
from derive.expr import Idx, Tensor, everywhere
from derive.layer_text import axes_of
from derive.layouts import adjoints, laid_out, turned_in
from derive.proof import Proof
from derive.reading import reading_document
from derive.render import CONVENTIONS
from derive.restated import Place, restated
from derive.spec import Layer
from derive.storage import data, swapped, transposed, weights


@dataclass(frozen=True)
class Conventions:
    """What was asked for: None leaves a convention as the layer has it, or as pages have it."""

    layout: str | None = None
    batch: str | None = None
    weight: str | None = None
    upstream: str | None = None
    indices: tuple[str, ...] | None = None
    sum: str | None = None
    index_base: int | None = None

    def __post_init__(self) -> None:
        for name, known in CONVENTIONS.items():
            value = getattr(self, name)
            if value is not None and str(value) not in known:
                raise SpecError(f"there is no {name} convention {value!r}{near(str(value), known)}; choose from {listing(known)}")


@dataclass(frozen=True)
class Restated:
    """A layer's derivation in other conventions, beside its own."""

    conventions: Conventions
    first: Derivation
    """The layer as it was given, derived."""
    plain: Derivation
    """The layer as it is stored now, derived, in gradient layout."""
    derivation: Derivation
    """The same in the layout asked for."""
    data: tuple[str, ...] = ()
    """The tensors whose examples were rows and are columns."""
    weights: Mapping[str, str] = field(default_factory=dict)
    """How each weight of the layer lay."""
    called: Mapping[str, str] = field(default_factory=dict)
    """What indices are called now."""
    upstream: Mapping[str, str] = field(default_factory=dict)
    """What upstream gradients are called now."""

    @property
    def moved(self) -> tuple[str, ...]:
        """The tensors that are stored transposed."""
        wanted = self.conventions.weight
        return (*self.data, *(name for name, way in self.weights.items() if wanted is not None and way != wanted))

    @cached_property
    def agreement(self) -> Agreement:
        """The proof that the gradients are those of the layer as it was given."""
        turned = turned_in(self.plain, self.derivation.layout)
        places = {t.name: Place(t.name, t.name in self.moved) for t in self.first.layer.tensors}
        prefix = self.first.prefix
        for name in adjoints(self.derivation):
            stem = name[len(prefix) :]
            moved = stem in self.moved or stem.removesuffix("_total") in self.moved
            places[name] = Place(name, moved != (name in turned))
        # The sums that were named on the way have the same names, most of them.
        own = {t.name: t.dims for t in self.first.tensors}
        for t in self.derivation.tensors:
            for turn in (False, True):
                if t.name not in places and own.get(t.name) == (swapped(t.dims) if turn else t.dims):
                    places[t.name] = Place(t.name, turn)
        return restated(self.first, self.derivation, places, self.upstream)

    @property
    def rederived(self) -> bool:
        """Whether there are two derivations, or two names, to prove equal."""
        return self.derivation is not self.first or bool(self.upstream)

    @property
    def rewrites(self) -> tuple[bool, int]:
        """How lines are written: whether by the summation convention, and what index values count from."""
        return self.conventions.sum == "einstein", self.conventions.index_base or 0

    @cached_property
    def reports(self) -> tuple[Any, ...]:
        """The checker's reports on the proof that the gradients are the same, and on that of what lines as they are written mean."""
        found = [self.agreement.check()] if self.rederived and self.agreement.proved else []
        if any(self.rewrites):
            found.append(check_document(reading_document(self.derivation, *self.rewrites)))
        return tuple(found)

    @property
    def proved(self) -> bool:
        """Whether what has to be proved is, and every line holds."""
        return (not self.rederived or self.agreement.proved) and all(report.ok for report in self.reports)

    def document(self, proofs: tuple[Proof, ...] | None = None) -> dict[str, Any]:
        """The document of the derivation, upstream gradients under their names, and what the conventions are."""
        made = self.named(self.derivation.document(proofs))
        if self.upstream:
            made["layer"]["upstream"] = {new: old for old, new in self.upstream.items()}
        return made

    def named(self, document: dict[str, Any]) -> dict[str, Any]:
        """A document with upstream gradients under their names, and what the conventions are."""
        return {**renamed_document(document, self.upstream), "conventions": self.to_json()}

    def to_json(self) -> dict[str, Any]:
        """The conventions in force, and what they have switched."""
        asked = self.conventions
        return {
            "layout": asked.layout or "gradient",
            "batch": asked.batch or "rows",
            "weight": asked.weight or "as given",
            "transposed": list(self.moved),
            "upstream": dict(self.upstream),
            "indices": dict(self.called),
            "sum": asked.sum or "explicit",
            "index_base": asked.index_base or 0,
        }


def restate(layer: Layer, asked: Conventions, derived: Callable[[Layer], Derivation]) -> Restated:
    """The layer in the conventions asked for; `derived` derives one. Raises SpecError for names of indices that cannot be."""
    called = _indices(layer, asked.indices) if asked.indices is not None else {}
    columns = data(layer) if asked.batch == "cols" else ()
    ways = weights(layer)
    turned = (*columns, *(name for name, way in ways.items() if asked.weight is not None and way != asked.weight))
    stored = reindexed(transposed(layer, turned), called)
    first = derived(layer)
    plain = first if stored == layer else derived(stored)
    made = laid_out(plain, asked.layout or "gradient")
    names = _upstream(made, asked.upstream, first.tensors) if asked.upstream not in (None, "dY") else {}
    return Restated(asked, first, plain, made, columns, ways, called, names)


# ---------------------------------------------------------------------------------------------------- indices


def reindexed(layer: Layer, called: Mapping[str, str]) -> Layer:
    """The layer with its indices called otherwise."""
    if not called:
        return layer

    def rule(part: object) -> Idx | None:
        return Idx(called.get(part.name, part.name), part.dim) if isinstance(part, Idx) else None

    return layer.changed(
        equations=everywhere(layer.equations, rule), facts=everywhere(layer.facts, rule), sizes=everywhere(layer.sizes, rule)
    )


def other_indices(layer: Layer) -> tuple[str, ...]:
    """A name for each index of the layer that is none of its own."""
    own = axes_of(layer)
    return tuple(_free_names(len(own), {*own, *_taken(layer)}))


def _indices(layer: Layer, names: tuple[str, ...]) -> dict[str, str]:
    """What each index of the layer is to be called, in the order in which they first stand in its equations."""
    own = tuple(axes_of(layer))
    say = f"{layer.name} has the {'index' if len(own) == 1 else 'indices'} {listing(own)}"
    example = ",".join(_free_names(len(own), _taken(layer)))
    for name in names:
        if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise SpecError(f"{layer.name}: --indices: {name!r} cannot be an index; write letters, digits and _, as in --indices {example}")
        if names.count(name) > 1:
            raise SpecError(f"{layer.name}: --indices names {name} twice; {say}, each with a name of its own, as in --indices {example}")
        what = _taken(layer).get(name)
        if what is not None:
            raise SpecError(f"{layer.name}: --indices: {name} is {what} of the layer and cannot be an index too; choose another name")
    if len(names) != len(own):
        count = f"{len(names)} name{'' if len(names) == 1 else 's'}" if names else "no name"
        raise SpecError(f"{layer.name}: --indices has {count}, but {say}; write one for each, as in --indices {example}")
    return {old: new for old, new in zip(own, names) if old != new}


def _taken(layer: Layer) -> dict[str, str]:
    """The names that no index may have, and what they are."""
    found = {index.name: "a batch index" for index in layer.batch}
    found.update(dict.fromkeys(layer.dims, "an axis"))
    for tensor in layer.tensors:
        found[f"d{tensor.name}"] = "the name of a gradient"
        found[f"t{tensor.name}"] = "the name of a tangent"
    found.update({tensor.name: "a tensor" for tensor in layer.tensors})
    return found


def _free_names(count: int, taken: Collection[str]) -> list[str]:
    letters = [letter for letter in "nmkpqrstuvwabcefghijl" if letter not in taken]
    return [letters[n] if n < len(letters) else f"i_{n}" for n in range(count)]


# ---------------------------------------------------------------------------------------------------- upstream gradients


def _upstream(derivation: Derivation, asked: str | None, also: tuple[Tensor, ...]) -> dict[str, str]:
    """What each upstream gradient is called: by the letter alone where there is one and the name is free, else `G_Y` for that of Y."""
    assert asked is not None
    indices = set(axes_of(derivation.layer))
    taken = {
        *(t.name for t in (*derivation.tensors, *also)),
        *(t.name for t in derivation.tangent_tensors),
        *derivation.layer.dims,
        *indices,
    }
    found: dict[str, str] = {}
    for name in derivation.upstream:
        plain = f"{asked}_{name[len(derivation.prefix) :]}"
        options = [asked, plain] if len(derivation.upstream) == 1 else [plain]
        options += [f"{plain}_{n}" for n in range(2, len(taken) + 3)]
        found[name] = next(option for option in options if option not in taken)
        taken.add(found[name])
    return found


def renamed_document(node: Any, names: Mapping[str, str]) -> Any:
    """A JSON document with tensors called otherwise."""
    if isinstance(node, dict):
        return {key: renamed_document(value, names) for key, value in node.items()}
    if isinstance(node, list):
        if len(node) == 3 and node[0] in ("ref", "whole") and node[1] in names:
            return [node[0], names[node[1]], renamed_document(node[2], names)]
        return [renamed_document(item, names) for item in node]
    return names.get(node, node) if isinstance(node, str) else node
