"""Two layers side by side, and what the second one's tensors are in terms of the first one's: the claim that they are equal.

The two become one layer: the first one's equations, an equation for each input of the second that is not an input of the first
(`W_2[j,k] = W[k,j]`), and the second one's equations. Of this layer it is claimed that each output of the second is an output of
the first, or what `where` says of it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from derive.composition import Part, compose, wire
from derive.errors import SpecError, listing, near
from derive.expr import Equation, Expr, Idx, Ref, Tensor
from derive.indices import free_indices, names, substitute, tensors_in
from derive.layer_text import without_batch
from derive.parse import Raw, parse, parse_fact
from derive.shapes import resolve
from derive.spec import Layer
from derive.write import write


@dataclass(frozen=True)
class Claim:
    """That an output of the second layer, whose equation this is, equals one of `values`, likeliest first."""

    equation: Equation
    values: tuple[Expr, ...]


@dataclass(frozen=True)
class Pair:
    """Two layers as one: `second` says what the second one's tensors are called in it, `bridges` what its inputs are."""

    layer: Layer
    names: Mapping[str, str]
    first: tuple[Equation, ...]
    bridges: tuple[Equation, ...]
    second: tuple[Equation, ...]
    claims: tuple[Claim, ...]


def pair(first: Layer, second: Layer, where: Iterable[str] = (), facts: Iterable[str] = ()) -> Pair:
    """The two layers as one, with what is claimed of it.

    A line of `where` gives a tensor of `second` in terms of `first`: an input (`W[j,k] = W[k,j]`, `T[i,j] = where(j == y[i], 1, 0)`)
    or an output (`V_new[i] = -lr*B_new[i]`). An input of the same name needs none, unless its axes are the other way round
    in a way that the other inputs do not settle. `facts` are hypotheses about the inputs of `first`.
    An input of `second` that `first` does not have is any number, as the shift of a softmax is, where every input of `first` has its
    counterpart. Raises SpecError where one has none, or the axes do not fit.
    """
    what = f"{first.name} and {second.name}"
    said = _said(first, second, where, what)
    if tuple(i.dim for i in first.batch) != tuple(i.dim for i in second.batch):
        first, second = (one_example(layer) for layer in (first, second))
    first, second = _with_facts(first, second, facts)
    bridged = _bridged(first, second, said, what)
    called = _names(first, second, bridged)
    inputs = [Equation(Ref(called[e.target.tensor], e.target.indices), e.value) for e in bridged if e.target.tensor in second.inputs]
    outputs = [Equation(Ref(f"{called[e.target.tensor]}_is", e.target.indices), e.value) for e in said if e.target.tensor in second.outputs]
    parts: dict[str, Part] = {"first": wire(first, **{tensor.name: tensor.name for tensor in first.tensors})}
    for label, equations in (("where", inputs), ("claimed", outputs)):
        if equations:
            layer = _read(label, equations, first)
            parts[label] = wire(layer, **{tensor.name: tensor.name for tensor in layer.tensors})
    parts["second"] = wire(second, **called)
    every = tuple(dict.fromkeys((*first.outputs, *(called[output] for output in second.outputs), *(e.target.tensor for e in outputs))))
    whole = compose(f"{first.name}_and_{second.name}", parts, outputs=every, doc=f"{first.name} and {second.name}, side by side.")
    meant = {e.target.tensor: e for e in whole.equations}
    own = {e.target.tensor for e in first.equations}
    claimed = {e.target.tensor for e in outputs}
    kept = _without(whole, claimed)
    claims = []
    for place, output in enumerate(second.outputs):
        equation = meant[called[output]]
        spoken = meant.get(f"{called[output]}_is")
        if spoken is not None:
            values: tuple[Expr, ...] = (_at(spoken, equation.target, what),)
        else:
            values = tuple(_entries(equation.target, _like(output, place, first, second, what), kept))
        claims.append(Claim(equation, values))
    bridges = tuple(meant[e.target.tensor] for e in inputs)
    return Pair(
        layer=kept,
        names=called,
        first=tuple(e for e in kept.equations if e.target.tensor in own),
        bridges=bridges,
        second=tuple(e for e in kept.equations if e.target.tensor not in own and e not in bridges),
        claims=tuple(claims),
    )


# ---------------------------------------------------------------------------------------------------- what was said


def _said(first: Layer, second: Layer, where: Iterable[str], what: str) -> list[Equation]:
    """The lines of `where`, their axes still open."""
    found: list[Equation] = []
    for line in where:
        for equation in parse(what, line).equations:
            name = equation.target.tensor
            able = (*second.inputs, *second.outputs)
            if name not in able:
                raise SpecError(
                    f"{what}: `{write(equation)}` speaks of {name}, which is no input or output of {second.name}{near(name, able)}; "
                    f"the left side is one of {listing(able)}, the right side is in the words of {first.name}"
                )
            if any(name == other.target.tensor for other in found):
                raise SpecError(f"{what}: {name} is said to be two things; leave one of them out")
            known = [tensor.name for tensor in first.tensors]
            # An index in a comparison is read as a tensor until its axis is found.
            indices = names(equation.target) | names(equation.value)
            for other in tensors_in(equation.value):
                if other in indices:
                    continue
                if other not in known or name in second.inputs and other not in first.inputs:
                    options = first.inputs if name in second.inputs else known
                    raise SpecError(
                        f"{what}: in `{write(equation)}`, {other} is no {'input' if name in second.inputs else 'tensor'} of {first.name}"
                        f"{near(other, options)}; write it in terms of {listing(options)}"
                    )
            found.append(equation)
    return found


def _bridged(first: Layer, second: Layer, said: list[Equation], what: str) -> list[Equation]:
    """What each input of the second layer is that is not simply the first one's of that name."""
    found = [e for e in said if e.target.tensor in second.inputs]
    axes: dict[str, str] = {}
    shared: list[tuple[str, str]] = []
    for equation in found:
        plain = _renames(equation)
        if plain:
            shared.append((equation.target.tensor, plain))
    explicit = {e.target.tensor for e in found}
    matched = {*second.inputs} - explicit | {name for e in found for name in tensors_in(e.value)}
    unmatched = [name for name in first.inputs if name not in matched]
    for name in second.inputs:
        if name in explicit:
            continue
        if name not in first.inputs and not unmatched:
            continue  # what the first layer does not have either: the claim is for any value of it
        if name not in first.inputs:
            hint = f"--where '{_entry(second.tensor(name))} = ...'"
            raise SpecError(f"{what}: {second.name} has an input {name} and {first.name} has none of that name; say what it is: {hint}")
        shared.append((name, name))
    waiting = []
    for name, other in shared:
        mine, theirs = second.tensor(name), first.tensor(other)
        if len(mine.dims) != len(theirs.dims) or (mine.kind == "int") != (theirs.kind == "int"):
            raise SpecError(
                f"{what}: {_entry(mine)} of {second.name} cannot be {_entry(theirs)} of {first.name}; say what it is by --where"
            )
        if mine.dims == theirs.dims or name in explicit:
            axes.update(zip(mine.dims, theirs.dims))
        else:
            waiting.append((mine, theirs))
    for (mine, theirs), order in zip(waiting, _orders(waiting, axes, len(second.batch), what)):
        if order != tuple(range(len(order))):
            found.append(_transposed(mine, theirs, order, len(second.batch)))
    return found


def _transposed(mine: Tensor, theirs: Tensor, order: tuple[int, ...], batch: int) -> Equation:
    """`mine` entry by entry, for one example: `W[m,n] = W[n,m]`."""
    letters: dict[int, Idx] = {}
    for place in range(batch, len(order)):
        name = mine.dims[place][0].lower()
        while any(index.name == name for index in letters.values()):
            name += "'"
        letters[place] = Idx(name, "")
    there = tuple(letters[order.index(n)] for n in range(batch, len(order)))
    return Equation(Ref(mine.name, tuple(letters.values())), Ref(theirs.name, there))


Order = tuple[int, ...]


def _orders(waiting: list[tuple[Tensor, Tensor]], axes: Mapping[str, str], batch: int, what: str) -> tuple[Order, ...]:
    """For each pair of tensors, and each axis of the one, its place in the other: the way in which all of them fit.

    Among several the one in which no two axes become one, most axes keep their names, and most tensors lie as they did. Raises
    SpecError where none fits, or two do equally well.
    """
    found: list[tuple[tuple[bool, int, int], tuple[Order, ...]]] = []

    def visit(done: tuple[Order, ...], known: Mapping[str, str]) -> None:
        if len(done) == len(waiting):
            same = sum(a == b for a, b in known.items())
            plain = sum(order == tuple(range(len(order))) for order in done)
            found.append(((len(set(known.values())) == len(known), same, plain), done))
            return
        mine, theirs = waiting[len(done)]
        for order in itertools.permutations(range(len(mine.dims))):
            more = dict(known)
            if order[:batch] == tuple(range(batch)) and all(
                more.setdefault(dim, theirs.dims[place]) == theirs.dims[place] for dim, place in zip(mine.dims, order)
            ):
                visit((*done, order), more)

    visit((), axes)
    best = max((score for score, _ in found), default=None)
    chosen = [orders for score, orders in found if score == best]
    if len(chosen) == 1:
        return chosen[0]
    mine = waiting[0][0]
    raise SpecError(f"{what}: how {mine.name} lies in the two cannot be told from its axes; say it: --where '{_entry(mine)} = ...'")


def _renames(equation: Equation) -> str:
    """The tensor that a line says another one is, entry by entry in the same order."""
    value = equation.value
    return value.tensor if isinstance(value, Ref) and value.indices == equation.target.indices else ""


def _entry(tensor: Tensor) -> str:
    return write(Ref(tensor.name, tuple(Idx(dim[0].lower(), dim) for dim in tensor.dims)))


def _names(first: Layer, second: Layer, bridged: list[Equation]) -> dict[str, str]:
    """What the second layer's tensors are called: an input that is one of the first's has its name."""
    taken = {*(t.name for t in first.tensors), *first.dims, *second.dims}
    found: dict[str, str] = {}
    renamed = {e.target.tensor: _renames(e) for e in bridged}
    for tensor in second.tensors:
        free = tensor.name not in first.inputs and tensor.name not in renamed
        if tensor.name in second.inputs and renamed.get(tensor.name, tensor.name) and (not free or tensor.name not in taken):
            taken.add(tensor.name)
            found[tensor.name] = renamed.get(tensor.name, tensor.name)
            continue
        options = itertools.chain((f"{tensor.name}_2",), (f"{tensor.name}_2_{n}" for n in itertools.count(2)))
        found[tensor.name] = next(name for name in options if name not in taken)
        taken.add(found[tensor.name])
    bridged[:] = [e for e in bridged if not renamed[e.target.tensor]]
    return found


def _read(label: str, equations: list[Equation], first: Layer) -> Layer:
    """Lines of `where` as a layer over the tensors of the first one."""
    known = {tensor.name for tensor in first.tensors}
    used = [name for name in dict.fromkeys(name for e in equations for name in tensors_in(e.value)) if name in known]
    rows = []
    for kind in ("int", "const"):
        of_kind = [name for name in used if first.tensor(name).kind == kind]
        rows += [f"{kind} {' '.join(of_kind)}"] if of_kind else []
    rows.append("outputs " + " ".join(e.target.tensor for e in equations))
    rows += [write(e) for e in equations]
    raw = parse(label, "\n".join(rows))
    raw.batch.extend(first.batch)
    for index in first.batch:
        raw.axes.setdefault(index.name, index.dim)
    spec, tensors, outputs = resolve(raw, fragment=True)
    declared = [tensors[name] for name in (*spec.inputs, *spec.targets)]
    return Layer.of(label, declared, spec.equations, (), spec.inputs, outputs, (), raw.batch)


def _with_facts(first: Layer, second: Layer, facts: Iterable[str]) -> tuple[Layer, Layer]:
    """The layers with further hypotheses, each about the inputs of the first, or of the second where it has others."""
    made = [first, second]
    for fact in facts:
        raw = Raw(first.name)
        parse_fact(first.name, fact, raw)
        mentioned = {*tensors_in(raw.facts[0].left), *tensors_in(raw.facts[0].right)} & {*first.inputs, *second.inputs}
        place = 1 if mentioned and not mentioned <= set(first.inputs) and mentioned <= set(second.inputs) else 0
        made[place] = Layer.parse(made[place].name, made[place].text() + f"fact {fact}\n")
    return made[0], made[1]


def one_example(layer: Layer) -> Layer:
    """The layer for one example of its batch: the batch indices left out."""
    count = len(layer.batch)
    if not count:
        return layer
    tensors = [Tensor(t.name, t.dims[count:], t.kind, t.values) for t in layer.tensors]
    equations = [Equation(Ref(e.target.tensor, e.target.indices[count:]), without_batch(e.value, count)) for e in layer.equations]
    return layer.changed(tensors=tensors, equations=equations, batch=())


def _without(layer: Layer, targets: set[str]) -> Layer:
    if not targets:
        return layer
    tensors = [t for t in layer.tensors if t.name not in targets]
    equations = [e for e in layer.equations if e.target.tensor not in targets]
    outputs = [name for name in layer.outputs if name not in targets]
    return layer.changed(tensors=tensors, equations=equations, outputs=outputs)


# ---------------------------------------------------------------------------------------------------- what is claimed


def _like(output: str, place: int, first: Layer, second: Layer, what: str) -> str:
    """The output of the first layer that one of the second has to be: that of its name, else the one in its place."""
    if output in first.outputs:
        return output
    if len(first.outputs) == len(second.outputs):
        return first.outputs[place]
    raise SpecError(
        f"{what}: {second.name} has the output {output}, {first.name} has {listing(first.outputs)}; "
        f"say what it is by --where '{_entry(second.tensor(output))} = ...'"
    )


def _at(spoken: Equation, target: Ref, what: str) -> Expr:
    """What was said of an output, at the indices of its own equation."""
    mapping = {}
    for old, new in zip(spoken.target.indices, target.indices):
        assert isinstance(old, Idx) and isinstance(new, Idx)
        mapping[old] = new
    used = free_indices(spoken.value)
    wrong = [i for i in used if i in mapping and mapping[i].dim != i.dim]
    if len(spoken.target.indices) != len(target.indices) or wrong:
        raise SpecError(f"{what}: `{write(spoken)}` does not have the axes of the output {target.tensor}")
    return substitute(spoken.value, mapping)


def _entries(target: Ref, name: str, layer: Layer) -> Iterator[Expr]:
    """The entries of a tensor over the indices of `target`, in the same order first."""
    dims = layer.tensor(name).dims
    for order in itertools.permutations(target.indices):
        if tuple(i.dim for i in order if isinstance(i, Idx)) == dims and order[: len(layer.batch)] == target.indices[: len(layer.batch)]:
            yield Ref(name, order)
