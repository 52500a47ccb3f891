"""What is wrong with a formula: the changes that people's mistakes call for are tried, and the first that makes it right is named."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from derive.checker.arithmetic import CannotTell
from derive.expr import Equation, Expr, Fact, Idx, Ref, num, total
from derive.mutate import mistakes
from derive.proof import expr_from, expr_json
from derive.tutor import changes
from derive.tutor.judge import Setting
from derive.tutor.tree import Node, Unreadable, text, walk

if TYPE_CHECKING:
    from derive.tutor.grade import Misfit, Tutor
    from derive.tutor.lines import Claim

Found = tuple[str, str]
MOST_TRIED = 600
ONE = Fraction(1)
NAMED = {
    "dropped delta": "missing delta",
    "lost 1/N": "constant factor",
    "lost sign": "sign",
    "dropped factor": "missing factor",
    "dropped term": "missing term",
    "changed coefficient": "constant factor",
    "swapped indices": "indices swapped",
    "wrong index": "wrong index",
    "wrong condition": "wrong condition",
    "wrong exponent": "wrong power",
    "lost sum": "missing sum",
    "captured index": "wrong index",
    "lost inverse": "missing inverse",
}
"""The mistakes of `derive.mutate`, as a diagnosis calls them."""


def diagnose(tutor: Tutor, claim: Claim, misfit: Misfit | None) -> Found | None:
    """The diagnosis and a sentence; None where no single change makes the formula right."""
    node = claim.node
    if misfit is None:
        found = _factor(tutor, claim, node)
        if found:
            between_axes = "*" in found[0] and not any(part.kind == "entry" and not part.parts for part in walk(node))
            return (_equal_axes(tutor, claim) if between_axes else None) or _scaled(found)
    found = _layout(tutor, claim, node)
    if found:
        return found
    for kind, what, other in itertools.chain(_misfits(claim, misfit), changes.swaps(node)):
        if tutor.equal(other, claim):
            return kind, f"{what}: {claim.left} = {text(other)}."
    other_input = _other_gradient(tutor, claim)
    if other_input:
        return "another gradient", f"this is {other_input}, not {claim.name}."
    for kind, what, other in changes.signs(node):
        if tutor.equal(other, claim):
            return kind, f"{what}: {claim.left} = {text(other)}."
    for make in (_equal_axes, _under_a_fact):
        found = make(tutor, claim) if misfit is None else None
        if found:
            return found
    for kind, what, other in itertools.islice(_others(tutor, claim, node), MOST_TRIED):
        if tutor.equal(other, claim):
            return kind, f"{what}: {claim.left} = {text(other)}."
    found = _from_the_truth(tutor, claim) if misfit is None else None
    if found:
        return found
    for kind, what, other in itertools.chain(_misfits(claim, misfit), changes.swaps(node), changes.toggles(node), changes.signs(node)):
        ratio = _factor(tutor, claim, other)
        if ratio:
            return kind, f"{what}; and {_scaled(ratio)[1]}"
    return None


def _others(tutor: Tutor, claim: Claim, node: Node) -> Iterator[changes.Change]:
    yield from changes.sums(node)
    yield from changes.inner_sums(node, tutor.words.dims(claim.name), _index_axes(tutor, claim))
    yield from changes.toggles(node)
    yield from changes.swapped_toggles(node)
    yield from changes.columns(node)
    yield from changes.products(node)
    yield from changes.names(node, tutor.alike)
    yield from changes.indices(node, _index_axes(tutor, claim))
    yield from changes.parts(node)
    yield from changes.factors(node, _factors(tutor, claim))


def _misfits(claim: Claim, misfit: Misfit | None) -> Iterator[changes.Change]:
    if misfit is None:
        return
    if misfit.extra:
        yield from changes.summed(claim.node, misfit.extra)
    elif misfit.value.dims:
        yield from changes.reduced(claim.node, misfit.value.dims, misfit.wanted)


def _layout(tutor: Tutor, claim: Claim, node: Node) -> Found | None:
    other = changes.transposed(node)
    name = claim.name
    dims = tutor.words.dims(name)
    sizes = f"it is {' x '.join(dims[::-1])}, and {name} is {' x '.join(dims)}" if len(set(dims)) == 2 else "transpose it"
    if node.kind == "entry" or any(part.kind == "entry" for part in walk(node)):
        return None
    if tutor.equal(other, claim):
        layout = "numerator layout has it so, and here a gradient has the shape of its tensor"
        return "transposed", f"this is the transpose of {name}: {sizes} ({layout}): {claim.left} = {text(other)}."
    return None


def _other_gradient(tutor: Tutor, claim: Claim) -> str:
    if claim.indices is not None and any(part.kind == "entry" for part in walk(claim.node)):
        names = [n for n in tutor.results if n != claim.name and len(tutor.words.dims(n)) == len(claim.indices)]
    else:
        names = [n for n in tutor.results if n != claim.name]
    for name in names:
        if claim.node.kind == "name" and claim.node.value == name:
            return name
        if tutor.equal(claim.node, claim, name=name):
            return name
    return ""


# ---------------------------------------------------------------------------------------------------- constant factors


def _factor(tutor: Tutor, claim: Claim, node: Node) -> Found | None:
    """What the formula has to be multiplied by, where that is a number, a monomial in axis sizes, or a scalar of the layer."""
    from derive.tutor.grade import Misfit

    try:
        target, entry = tutor._fit(node, claim)
        found = tutor.judge.ratios(entry, tutor.judge.truth(target), target, claim.setting)
    except (Misfit, Unreadable, CannotTell):
        return None
    if not found:
        return None
    scalars = [t for t in tutor.judge.tensors.values() if not t["dims"] and t["kind"] != "int" and t["name"] not in tutor.judge.definitions]
    measures: dict[str, list[Any]] = {}
    for axis in tutor.layer.dims:
        measures[axis] = [scene.sizes[axis] for _, scene in found]
    for tensor in scalars:
        measures[tensor["name"]] = [scene.world.reader(tensor["name"])(()) for _, scene in found]
    ratios = [ratio for ratio, _ in found]
    equal = found[0][1].arithmetic.equal

    def constant(weights: list[Any]) -> Fraction | None:
        """ratio / weight, where it is the same simple number in every world."""
        if any(not weight for weight in weights):
            return None
        quotients = [Fraction(r) / Fraction(w) for r, w in zip(ratios, weights)]
        if not all(abs(q - quotients[0]) <= abs(quotients[0]) / 10**40 for q in quotients):
            return None
        simple = quotients[0].limit_denominator(1000)
        return simple if simple and equal(1, 1) and abs(simple - quotients[0]) <= abs(simple) / 10**40 else None

    tried: list[tuple[str, list[Any]]] = [("", [1] * len(ratios))]
    for name, sizes in measures.items():
        tried += [(f"1/{name}", [Fraction(1) / Fraction(s) for s in sizes]), (name, sizes)]
    for name, sizes in measures.items():
        roots = [_root(s) for s in sizes]
        tried += [(f"1/sqrt({name})", [1 / r for r in roots]), (f"sqrt({name})", roots)] if None not in roots else []
    for (a, first), (b, second) in itertools.combinations(tried[1 : 1 + 2 * len(measures)], 2):
        tried.append((f"{a} * {b}", [Fraction(x) * Fraction(y) for x, y in zip(first, second)]))
    for name, weights in tried:
        number = constant(weights)
        if number is not None:
            return name, str(number)
    return None


def _root(value: Any) -> Any:
    from decimal import Decimal

    if value < 0:
        return None
    ratio = Fraction(value)
    return Fraction(Decimal(ratio.numerator).sqrt()) / Fraction(Decimal(ratio.denominator).sqrt())


def _scaled(found: Found) -> Found:
    name, number = found
    if not name and number == "-1":
        return "sign", "its sign is wrong; multiply it by -1."
    if not name and number == "1":
        return "right", "with that it is right."
    ratio, words = Fraction(number), name.split(" * ") if name else []
    above = [word for word in words if not word.startswith("1/")]
    below = [word[2:] for word in words if word.startswith("1/")]
    above = [str(ratio.numerator), *above] if abs(ratio.numerator) != 1 or not above else above
    below = [str(ratio.denominator), *below] if ratio.denominator != 1 else below
    bottom = f"({' * '.join(below)})" if len(below) > 1 else "".join(below)
    sign = "-" if ratio == -1 and above and words and not above[0].startswith("-") else ""
    what = sign + " * ".join(above) + (f"/{bottom}" if below else "")
    kind = "sign" if not name and Fraction(number) == -1 else "constant factor"
    return kind, f"a constant factor is wrong; multiply it by {what}."


# ---------------------------------------------------------------------------------------------------- special cases


def _equal_axes(tutor: Tutor, claim: Claim) -> Found | None:
    if tutor.layer.sizes:
        return None
    batch = {index.dim for index in tutor.layer.batch}
    for first, second in itertools.combinations([dim for dim in tutor.layer.dims if dim not in batch], 2):
        if tutor.equal(claim.node, claim, Setting(equal=(first, second), unit=claim.setting.unit)):
            return "equal axes", f"this is right only when {first} = {second}."
    return None


def _facts(tutor: Tutor) -> Iterator[tuple[str, Fact]]:
    """Hypotheses about an input that people make in silence: rows or columns that sum to 1, a symmetric matrix."""
    lead = len(tutor.layer.batch)
    for name in tutor.layer.inputs:
        tensor = tutor.layer.tensor(name)
        if tensor.kind == "int" or not 1 <= len(tensor.dims) - lead <= 2:
            continue
        indices = (*tutor.layer.batch, *(Idx(f"f_{n}", dim) for n, dim in enumerate(tensor.dims[lead:])))
        entry = Ref(name, indices)
        if len(indices) - lead == 2:
            row, column = indices[lead:]
            if row.dim == column.dim:
                yield f"{name} is symmetric", Fact(entry, Ref(name, (*indices[:lead], column, row)))
            yield f"the rows of {name} sum to 1", Fact(total((column,), entry), num(1))
            yield f"the columns of {name} sum to 1", Fact(total((row,), entry), num(1))
        else:
            yield f"{name} sums to 1", Fact(total(indices[lead:], entry), num(1))


def _under_a_fact(tutor: Tutor, claim: Claim) -> Found | None:
    for name, fact in _facts(tutor):
        if tutor.equal(claim.node, claim, Setting(facts=(fact,), unit=claim.setting.unit)):
            return "only under a fact", f"this is right only where {name}, which the layer does not say."
    return None


def _from_the_truth(tutor: Tutor, claim: Claim) -> Found | None:
    """The mistakes of `derive.mutate`, made in the proved result: is one of them this formula?"""
    written = tutor.results.get(claim.name)
    if written is None:
        return None
    from derive.tutor.grade import Misfit

    try:
        target, entry = tutor._fit(claim.node, claim)
    except (Misfit, Unreadable, CannotTell):
        return None
    mapping = dict(zip((i for i in written.target.indices if isinstance(i, Idx)), target.indices))
    from derive.indices import rename_apart, substitute

    truth = rename_apart(substitute(written.value, mapping), {i.name for i in target.indices if isinstance(i, Idx)})
    scope = tuple((index.name, index.dim) for index in target.indices if isinstance(index, Idx))
    for kind, node in itertools.islice(mistakes(expr_json(truth), scope), MOST_TRIED):
        if kind in NAMED and _same(tutor, Equation(target, entry), node, claim):
            return NAMED[kind], f"{_sentence(NAMED[kind])}."
    return None


def _same(tutor: Tutor, mine: Equation, node: Any, claim: Claim) -> bool:
    try:
        other: Expr = expr_from(node)
        return all(tutor.judge.apart(mine.value, expr_json(other), mine.target, claim.setting, most) is None for most in (3, 16))
    except (CannotTell, ValueError, KeyError):  # a mistake may leave an index without a meaning
        return False


def _sentence(kind: str) -> str:
    return {
        "missing term": "a term is missing",
        "missing factor": "a factor is missing",
        "missing sum": "a sum is missing",
        "constant factor": "a constant factor is wrong",
        "missing delta": "a delta is missing",
        "missing inverse": "an inverse is missing",
        "sign": "one term has the wrong sign",
    }.get(kind, f"there is one mistake, a {kind}")


def _index_axes(tutor: Tutor, claim: Claim) -> dict[str, str]:
    """The indices that the formula names, with their axes."""
    found: dict[str, str] = {}
    for part in walk(claim.node):
        name = tutor.words.aliases.get(part.value, part.value) if part.kind == "entry" else ""
        if name in tutor.words.tensors:
            for index, dim in zip(part.parts, tutor.words.dims(name)):
                if index.kind == "name":
                    found.setdefault(index.value, dim)
    for index, dim in zip(claim.indices or (), tutor.words.dims(claim.name)):
        found.setdefault(index.value, dim)
    return found


def _factors(tutor: Tutor, claim: Claim) -> list[Node]:
    """Tensors that could be a missing factor: those whose axes are among the target's, or stand in the formula's sums."""
    named = _index_axes(tutor, claim)
    uses_indices = any(part.kind == "entry" for part in walk(claim.node))
    wanted = tutor.words.dims(claim.name)
    found: list[Node] = []
    for name in tutor.judge.tensors:
        tensor = tutor.words.tensors[name]
        if tensor.kind == "int" or name == claim.name:
            continue
        dims = tutor.words.dims(name)
        if uses_indices:
            by_axis = {dim: index for index, dim in named.items()}
            if dims and all(dim in by_axis for dim in dims) and len(set(dims)) == len(dims):
                found.append(Node("entry", tuple(Node("name", (), by_axis[dim]) for dim in dims), name))
        elif dims == wanted or not dims or dims == wanted[-1:]:
            found.append(Node("name", (), name))
        elif len(wanted) == 2 and dims == wanted[:1]:
            found.append(Node("reshape", (Node("name", (), name),), (True, False)))
        elif len(wanted) == 2 and dims == wanted[::-1]:
            found.append(Node("transpose", (Node("name", (), name),), "T"))
        elif len(dims) == 2:
            found.append(Node("name", (), name))
    return found
