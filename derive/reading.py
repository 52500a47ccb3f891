"""How formulas are written, and read back: sums left to the summation convention, indices that count from 1.

A page writes a formula as `written` gives it; `read` says what such a formula means. That the two are inverse is not assumed:
`readings` is a proof, for the checker, that every line as it is written and read has the value of the line that was proved.

The summation convention (Einstein 1916): an index that stands exactly twice in a product, and not on the left of the equation, is
summed over. A sum stays written where its index stands once or more than twice, inside a function, a power or a condition, at a place
that is a formula (`X[i + k]`), in some terms of a factor in brackets and not in others, or where another index of the product has its name.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from derive.affine import NotLinear, _sum, monomials, place
from derive.engine import Derivation
from derive.expr import (
    Add,
    Affine,
    Delta,
    Diff,
    Equation,
    Expr,
    Idx,
    Index,
    Iverson,
    MatrixFn,
    Mul,
    Num,
    Position,
    Ref,
    Size,
    Sum,
    Tensor,
    add,
    children,
    num,
    rebuild,
    total,
    walk,
)
from derive.indices import free_indices, names
from derive.proof import Proof, Step

MANY = 99


def written(expr: Expr, left: Iterable[Idx], einstein: bool, base: int, tensors: Collection[Tensor]) -> Expr:
    """A line as a page writes it; `left` are the indices on the left of its equation."""
    if base:
        expr = counted_from_one(expr, _whole_numbers(tensors))
    return implied(expr, tuple(left)) if einstein else expr


def read(expr: Expr, left: Iterable[Idx], einstein: bool, base: int, tensors: Collection[Tensor]) -> Expr:
    """What a line written so means."""
    if einstein:
        expr = _read_product(expr, {i.name for i in left})
    return counted_from_zero(expr, _whole_numbers(tensors)) if base else expr


def readings(derivation: Derivation, einstein: bool, base: int) -> tuple[Proof, ...]:
    """For each equation of the layer, lemma and theorem the proof that its lines, written and read, are the lines that were proved."""
    layer = derivation.layer
    own = (
        Proof(e.target.tensor, "equality", e, (), layer.tensors, (), layer.facts, layer.batch, None, layer.sizes) for e in layer.equations
    )
    found = []
    for proof in (*own, *derivation.lemmas, *derivation.theorems):
        left = [i for i in proof.goal.target.indices if isinstance(i, Idx)]
        steps: list[Step] = []
        for n, line in enumerate((proof.goal.value, *(step.after for step in proof.steps))):
            if n:
                steps.append(proof.steps[n - 1])
            shown = written(line, left, einstein, base, proof.tensors)
            meant = read(shown, left, einstein, base, proof.tensors)
            if shown != line or meant != line:
                steps.append(Step("reading", meant, "as the line is written here"))
                steps.append(Step("reading", line, "as it was proved"))
        if len(steps) > len(proof.steps):
            found.append(replace(proof, steps=tuple(steps)))
    return tuple(found)


def reading_document(derivation: Derivation, einstein: bool, base: int) -> dict[str, Any]:
    """The document of the gradients' proofs, with `readings` in the place of the proofs they are readings of."""
    by = {(proof.kind, proof.name): proof for proof in readings(derivation, einstein, base)}
    equations = tuple(by.pop(key) for key in tuple(by) if key[0] == "equality")
    proofs = (*derivation.prepare, *derivation.lemmas, *derivation.theorems)
    return derivation.document((*equations, *(by.get((proof.kind, proof.name), proof) for proof in proofs)))


# ---------------------------------------------------------------------------------------------------- sums


def implied(expr: Expr, left: tuple[Idx, ...]) -> Expr:
    """`expr` without the sums that the summation convention says."""
    return _implied(expr, {i.name for i in left})


def _implied(expr: Expr, outside: set[str]) -> Expr:
    """A line or a term in brackets; `outside` are the names that stand on the left and in the factors around it."""
    if isinstance(expr, Add):
        return Add(tuple(_implied(term, outside) for term in expr.terms))
    bound = [index for node in _scope(expr) if isinstance(node, Sum) for index in node.indices]
    spoken = [index.name for index in bound]
    dropped = {i for i in bound if spoken.count(i.name) == 1 and i.name not in outside and _counts(expr, i.name) == {2}}
    return _stripped(expr, dropped, outside)


def _scope(expr: Expr) -> Iterable[Expr]:
    """The nodes of a product that are multiplied, sums opened."""
    yield expr
    for part in expr.factors if isinstance(expr, Mul) else (expr.body,) if isinstance(expr, Sum) else ():
        yield from _scope(part)


def _stripped(expr: Expr, dropped: set[Idx], outside: set[str]) -> Expr:
    """A product without its `dropped` sums; what stands in brackets in it is a scope of its own."""
    if isinstance(expr, Sum):
        kept = tuple(i for i in expr.indices if i not in dropped)
        return total(kept, _stripped(expr.body, dropped, outside | {i.name for i in kept}))
    if isinstance(expr, Mul):
        made = []
        for n, factor in enumerate(expr.factors):
            beside = {name for m, other in enumerate(expr.factors) if m != n for name in names(other)}
            made.append(_stripped(factor, dropped, outside | beside))
        return Mul(tuple(part for factor in made for part in (factor.factors if isinstance(factor, Mul) else (factor,))))
    if isinstance(expr, Add):
        return _implied(expr, outside | {i.name for i in dropped})
    if isinstance(expr, Diff):
        return Diff(_implied(expr.body, outside | {i.name for i in dropped} | names(expr.wrt)), expr.wrt, expr.through)
    return expr


def _counts(expr: Expr, name: str) -> set[int]:
    """How often an index stands in each product that `expr` is when multiplied out; MANY where it cannot be summed silently."""
    if isinstance(expr, Add):
        return {count for term in expr.terms for count in _counts(term, name)}
    if isinstance(expr, Mul):
        found = {0}
        for factor in expr.factors:
            found = {a + b for a in found for b in _counts(factor, name)}
        return found
    if isinstance(expr, Sum):
        return _counts(expr.body, name)
    if isinstance(expr, Diff):
        return {a + b for a in _counts(expr.body, name) for b in _counts(expr.wrt, name)}
    if isinstance(expr, Ref):
        return {_standing(expr.indices, name)}
    if isinstance(expr, Delta):
        return {_standing((expr.a, expr.b), name)}
    return {MANY if name in names(expr) else 0}


def _standing(indices: Iterable[Index], name: str) -> int:
    found = 0
    for index in indices:
        if isinstance(index, Idx):
            found += index.name == name
        elif isinstance(index, Ref):
            found += MANY * (name in names(index))
        else:
            found += MANY * (name in names(index.value))
    return found


def _read_product(expr: Expr, known: set[str]) -> Expr:
    """A line or a term: an index in it that is neither `known` nor bound is summed over in the smallest product that holds it.

    One that does not stand there exactly twice is not: it stays free, and the line means nothing.
    """
    if isinstance(expr, Add):
        return Add(tuple(_read_product(term, known) for term in expr.terms))
    inside = _read_inside(expr, known)
    open_indices = tuple(i for i in free_indices(inside) if i.name not in known and _counts(inside, i.name) == {2})
    return total(open_indices, inside)


def _read_inside(expr: Expr, known: set[str]) -> Expr:
    if isinstance(expr, Sum):
        return Sum(expr.indices, _read_inside(expr.body, known | {i.name for i in expr.indices}))
    if isinstance(expr, Mul):
        made = []
        for n, factor in enumerate(expr.factors):
            beside = {i.name for m, other in enumerate(expr.factors) if m != n for i in free_indices(other)}
            made.append(_read_inside(factor, known | beside))
        return Mul(tuple(made))
    if isinstance(expr, Add):
        return _read_product(expr, known)
    if isinstance(expr, Diff):
        return Diff(_read_product(expr.body, known | names(expr.wrt)), expr.wrt, expr.through)
    return expr


# ---------------------------------------------------------------------------------------------------- index values


def counted_from_one(expr: Expr, whole: Collection[str] = ()) -> Expr:
    """`expr` with an index's value written as a count from 1: the number i becomes i - 1; `whole` are the plain integers."""
    return _shifted(expr, -1, frozenset(whole))


def counted_from_zero(expr: Expr, whole: Collection[str] = ()) -> Expr:
    """The same read back."""
    return _shifted(expr, 1, frozenset(whole))


def _whole_numbers(tensors: Collection[Tensor]) -> frozenset[str]:
    return frozenset(t.name for t in tensors if t.is_plain_integer)


def _shifted(expr: Expr, by: int, whole: frozenset[str]) -> Expr:
    if isinstance(expr, (Ref, Delta, Position)):
        return _shifted_leaf(expr, by, whole)
    if not any(_has_position(node, whole) for node in walk(expr)):
        parts = children(expr)
        made = rebuild(expr, tuple(_shifted(part, by, whole) for part in parts)) if parts else expr
        return _shifted_ends(made, by, whole)
    if isinstance(expr, Iverson):
        return _shifted_condition(expr, by, whole)
    if isinstance(expr, (Add, Mul)):
        try:
            return _sum(monomials(_values(expr, by, whole)))
        except NotLinear:
            pass
    parts = tuple(_shifted(part, by, whole) for part in children(expr))
    return _shifted_ends(rebuild(expr, parts), by, whole)


def _shifted_leaf(expr: Expr, by: int, whole: frozenset[str]) -> Expr:
    if isinstance(expr, Ref):
        return Ref(expr.tensor, tuple(_shifted_index(i, by, whole) for i in expr.indices))
    if isinstance(expr, Delta):
        return Delta(_shifted_index(expr.a, by, whole), _shifted_index(expr.b, by, whole))
    return add(expr, num(by)) if _has_position(expr, whole) else expr


def _shifted_ends(expr: Expr, by: int, whole: frozenset[str]) -> Expr:
    """What a node holds besides its children."""
    if isinstance(expr, MatrixFn):
        return MatrixFn(expr.name, expr.indices, expr.body, tuple(_shifted_index(i, by, whole) for i in expr.at))
    if isinstance(expr, Diff):
        return Diff(expr.body, Ref(expr.wrt.tensor, tuple(_shifted_index(i, by, whole) for i in expr.wrt.indices)), expr.through)
    return expr


def _shifted_index(index: Index, by: int, whole: frozenset[str]) -> Index:
    """A place: its value counts from 1 too."""
    if isinstance(index, Affine):
        return place(add(_sum(monomials(_values(index.value, by, whole))), num(-by)), index.dim)
    if isinstance(index, Ref):
        return Ref(index.tensor, tuple(_shifted_index(i, by, whole) for i in index.indices))
    return index


def _has_position(node: Expr, whole: frozenset[str]) -> bool:
    """Whether a node is the value of an index or of a label."""
    if not isinstance(node, Position):
        return False
    return not (isinstance(node.index, Ref) and node.index.tensor in whole)


def _values(expr: Expr, by: int, whole: frozenset[str]) -> Expr:
    """`expr` with every position shifted, and nothing gathered."""
    if isinstance(expr, Position):
        return Add((expr, num(by))) if _has_position(expr, whole) else expr
    if isinstance(expr, (Num, Size)):
        return expr
    if isinstance(expr, Add):
        return Add(tuple(_values(term, by, whole) for term in expr.terms))
    if isinstance(expr, Mul):
        return Mul(tuple(_values(factor, by, whole) for factor in expr.factors))
    raise NotLinear(type(expr).__name__)


def _shifted_condition(expr: Iverson, by: int, whole: frozenset[str]) -> Expr:
    """A condition: what is added to one side for counting from 1 is added to the other, where both are whole numbers."""
    try:
        left, right = (monomials(_values(side, by, whole)) for side in (expr.left, expr.right))
    except NotLinear:
        return Iverson(expr.relation, _shifted(expr.left, by, whole), _shifted(expr.right, by, whole))
    side, other = (left, right) if set(left) - {()} else (right, left)
    shift = side.pop((), Fraction(0))
    rest = other.get((), Fraction(0)) - shift
    other[()] = rest
    if not rest:
        other.pop(())
    return Iverson(expr.relation, _sum(left), _sum(right))


def equation_written(equation: Equation, einstein: bool, base: int, tensors: Collection[Tensor]) -> Equation:
    """An equation as a page writes it."""
    left = [i for i in equation.target.indices if isinstance(i, Idx)]
    return Equation(equation.target, written(equation.value, left, einstein, base, tensors))
