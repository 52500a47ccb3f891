"""Free and bound indices: who is free, fresh names, capture-free substitution, definitions read at an entry."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from derive.affine import place, position, within
from derive.expr import (
    Affine,
    Delta,
    Diff,
    Differential,
    Equation,
    Expr,
    Idx,
    Index,
    Iverson,
    MatrixFn,
    Max,
    Position,
    Ref,
    Sum,
    children,
    delta,
    rebuild,
    total,
    transform,
    walk,
)


def _index_indices(index: Index) -> tuple[Idx, ...]:
    if isinstance(index, Idx):
        return (index,)
    if isinstance(index, Affine):
        return free_indices(index.value)
    return tuple(i for inner in index.indices for i in _index_indices(inner))


@lru_cache(maxsize=65536)
def free_indices(expr: Expr) -> tuple[Idx, ...]:
    """The free indices of `expr`, each once, in order of first appearance."""
    found: dict[Idx, None] = {}
    if isinstance(expr, Ref):
        found.update(dict.fromkeys(i for index in expr.indices for i in _index_indices(index)))
    elif isinstance(expr, Delta):
        found.update(dict.fromkeys(_index_indices(expr.a) + _index_indices(expr.b)))
    elif isinstance(expr, Position):
        found.update(dict.fromkeys(_index_indices(expr.index)))
    else:
        for child in children(expr):
            found.update(dict.fromkeys(free_indices(child)))
        if isinstance(expr, Diff):
            found.update(dict.fromkeys(free_indices(expr.wrt)))
        if isinstance(expr, (Sum, Max, MatrixFn)):
            for index in expr.indices:
                found.pop(index, None)
        if isinstance(expr, MatrixFn):
            found.update(dict.fromkeys(i for index in expr.at for i in _index_indices(index)))
    return tuple(found)


def names(expr: Expr) -> set[str]:
    """Every index name in `expr`, free or bound."""
    found: set[str] = set()
    for node in walk(expr):
        if isinstance(node, MatrixFn):
            found.update(i.name for i in (*node.indices, *free_indices(node)))
        elif isinstance(node, (Sum, Max)):
            found.update(i.name for i in node.indices)
        elif isinstance(node, (Ref, Delta, Position)):
            found.update(i.name for i in free_indices(node))
        elif isinstance(node, Diff):
            found.update(i.name for i in free_indices(node.wrt))
    return found


def tensors_in(expr: Expr, conditions: bool = True) -> tuple[str, ...]:
    """Every tensor `expr` mentions, each once, in order of first appearance (integer tensors inside indices as well).

    Without `conditions`, those that only an Iverson bracket mentions are left out.
    """
    found: dict[str, None] = {}

    def visit(ref: Ref) -> None:
        found[ref.tensor] = None
        for index in ref.indices:
            visit_index(index)

    def visit_index(index: Index) -> None:
        if isinstance(index, Ref):
            visit(index)
        elif isinstance(index, Affine):
            found.update(dict.fromkeys(tensors_in(index.value)))

    for node in walk(expr) if conditions else _outside_conditions(expr):
        if isinstance(node, Ref):
            visit(node)
        elif isinstance(node, Delta):
            visit_index(node.a)
            visit_index(node.b)
        elif isinstance(node, Position):
            visit_index(node.index)
        elif isinstance(node, Diff):
            visit(node.wrt)
        elif isinstance(node, Differential):
            found.update(dict.fromkeys(name for pair in node.along for name in pair))
        elif isinstance(node, MatrixFn):
            for side in node.at:
                if isinstance(side, Ref):
                    visit(side)
    return tuple(found)


def _outside_conditions(expr: Expr) -> Iterator[Expr]:
    if not isinstance(expr, Iverson):
        yield expr
        for child in children(expr):
            yield from _outside_conditions(child)


def refs(expr: Expr) -> list[Ref]:
    """Every entry that `expr` mentions, with the integer entries inside their indices, in reading order."""
    found: list[Ref] = []

    def visit(index: Index) -> None:
        if isinstance(index, Ref):
            found.append(index)
            for inner in index.indices:
                visit(inner)
        elif isinstance(index, Affine):
            found.extend(refs(index.value))

    for node in walk(expr):
        if isinstance(node, Ref):
            visit(node)
        elif isinstance(node, Delta):
            visit(node.a)
            visit(node.b)
        elif isinstance(node, Position):
            visit(node.index)
        elif isinstance(node, MatrixFn):
            for index in node.at:
                visit(index)
    return found


def fresh(index: Idx, taken: Iterable[str]) -> Idx:
    """`index` under a name not among `taken`: primes are added until it is new."""
    avoid = set(taken)
    name = index.name
    while name in avoid:
        name += "'"
    return Idx(name, index.dim)


def substitute(expr: Expr, mapping: Mapping[Idx, Index]) -> Expr:
    """Replace free indices, capture-free: a bound index that would catch a replacement is renamed first."""
    live = {old: new for old, new in mapping.items() if old != new}
    if not live:
        return expr
    return _substitute(expr, live)


def substitute_index(index: Index, mapping: Mapping[Idx, Index]) -> Index:
    if isinstance(index, Idx):
        return mapping.get(index, index)
    if isinstance(index, Affine):
        return place(_substitute(index.value, mapping), index.dim)
    return Ref(index.tensor, tuple(substitute_index(i, mapping) for i in index.indices))


def _substitute(expr: Expr, mapping: Mapping[Idx, Index]) -> Expr:
    if isinstance(expr, Ref):
        return Ref(expr.tensor, tuple(substitute_index(i, mapping) for i in expr.indices))
    if isinstance(expr, Delta):
        return delta(substitute_index(expr.a, mapping), substitute_index(expr.b, mapping))
    if isinstance(expr, Position):
        return position(substitute_index(expr.index, mapping))
    if isinstance(expr, (Sum, Max, MatrixFn)):
        inner = {old: new for old, new in mapping.items() if old not in expr.indices}
        free = set(free_indices(expr.body))
        inner = {old: new for old, new in inner.items() if old in free}
        at = tuple(substitute_index(index, mapping) for index in expr.at) if isinstance(expr, MatrixFn) else ()
        arriving = {i.name for new in (*inner.values(), *at) for i in _index_indices(new)}
        if not inner and not (isinstance(expr, MatrixFn) and at != expr.at):
            return expr
        renamed: dict[Idx, Index] = {}
        bound = []
        for index in expr.indices:
            if index.name in arriving:
                other = fresh(index, arriving | names(expr.body) | {i.name for i in expr.indices})
                renamed[index] = other
                bound.append(other)
            else:
                bound.append(index)
        body = _substitute(expr.body, {**inner, **renamed})
        if isinstance(expr, MatrixFn):
            return MatrixFn(expr.name, (bound[0], bound[1]), body, at)
        return total(bound, body) if isinstance(expr, Sum) else Max(tuple(bound), body)
    if isinstance(expr, Diff):
        wrt = _substitute(expr.wrt, mapping)
        assert isinstance(wrt, Ref)
        return Diff(_substitute(expr.body, mapping), wrt, expr.through)
    parts = children(expr)
    if not parts:
        return expr
    return rebuild(expr, tuple(_substitute(part, mapping) for part in parts))


def rename_apart(expr: Expr, taken: Iterable[str]) -> Expr:
    """The same value with every bound index renamed away from `taken` (and from every other index of the expression)."""
    avoid = set(taken)

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, (Sum, Max, MatrixFn)):
            return None
        mapping: dict[Idx, Index] = {}
        bound = []
        for index in node.indices:
            other = fresh(index, avoid)
            avoid.add(other.name)
            mapping[index] = other
            bound.append(other)
        body = transform(substitute(node.body, mapping), rule)
        if isinstance(node, MatrixFn):
            return MatrixFn(node.name, (bound[0], bound[1]), body, node.at)
        return Sum(tuple(bound), body) if isinstance(node, Sum) else Max(tuple(bound), body)

    return transform(expr, rule)


def renamed(before: Expr, after: Expr) -> dict[str, str]:
    """What `rename_apart` has changed: the new name of each bound index, and the one it had."""
    nodes = (
        (a, b) for a, b in zip(walk(before), walk(after)) if isinstance(a, (Sum, Max, MatrixFn)) and isinstance(b, (Sum, Max, MatrixFn))
    )
    return {new.name: old.name for a, b in nodes for old, new in zip(a.indices, b.indices) if old != new}


def with_names(expr: Expr, wanted: Mapping[str, str]) -> Expr:
    """The same value with bound indices under the names wanted for them, as far as nothing else in it has that name."""
    bound = dict.fromkeys(i.name for node in walk(expr) if isinstance(node, (Sum, Max, MatrixFn)) for i in node.indices)
    if not bound.keys() & wanted.keys():
        return expr
    taken = {i.name for i in free_indices(expr)} | (bound.keys() - wanted.keys())
    final: dict[str, str] = {}
    for name in bound:
        if name in wanted:
            final[name] = wanted[name] if wanted[name] not in taken else fresh(Idx(wanted[name], ""), {*taken, *bound}).name
            taken.add(final[name])

    def named(node: Expr, to: Mapping[str, str]) -> Expr:
        def rule(part: Expr) -> Expr | None:
            if not isinstance(part, (Sum, Max, MatrixFn)):
                return None
            mapping: dict[Idx, Index] = {i: Idx(to.get(i.name, i.name), i.dim) for i in part.indices}
            body = transform(substitute(part.body, mapping), rule)
            first, *others = (i for i in mapping.values() if isinstance(i, Idx))
            if isinstance(part, MatrixFn):
                return MatrixFn(part.name, (first, others[0]), body, part.at)
            return Sum((first, *others), body) if isinstance(part, Sum) else Max((first, *others), body)

        return transform(node, rule)

    # Two steps through names that nothing has, so that a swap is simultaneous.
    between = {name: f"{name} between" for name in final}
    return named(named(expr, between), {between[name]: new for name, new in final.items()})


def instantiate(equation: Equation, ref: Ref, taken: Iterable[str] = ()) -> Expr:
    """The right-hand side of `equation` read at the entry `ref`, its bound indices renamed away from `taken`.

    Where a place in `ref` may lie outside of its axis, where entries are 0, the value is 0 there as well.
    """
    mapping: dict[Idx, Index] = {}
    for formal, actual in zip(equation.target.indices, ref.indices):
        assert isinstance(formal, Idx)
        mapping[formal] = actual
    arriving = {i.name for i in free_indices(ref)}
    # Two steps through names that cannot clash, so that a swap such as T[j,i] is simultaneous.
    value = substitute(rename_apart(equation.value, set(taken) | arriving), mapping)
    for formal, actual in zip(equation.target.indices, ref.indices):
        assert isinstance(formal, Idx)
        value = within(equation.value, value, formal, actual)
    return value
