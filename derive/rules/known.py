"""Rules that put known values in and back: definitions, lemmas, facts, names."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from derive.expr import (
    Diff,
    Differential,
    Equation,
    Expr,
    Fact,
    Fn,
    Idx,
    MatrixFn,
    Max,
    Mul,
    Pow,
    Ref,
    Sum,
    children,
    mul,
    rebuild,
    transform,
    walk,
)
from derive.indices import free_indices, instantiate, names, substitute
from derive.matching import replace_product
from derive.rules.matrices import symmetric
from derive.rules.sums import pull_out, rename_bound
from derive.terms import brackets, unbounded


def fold(expr: Expr, known: Iterable[Equation]) -> tuple[Expr, tuple[Equation, ...]]:
    """f(o) = T[o], read from right to left: a value the forward pass already has is put back

    Returns the expression and the equations that were used, in order.
    """
    used: dict[Equation, None] = {}
    equations = tuple(known)

    def visit(node: Expr) -> Expr:
        changed = True
        while changed:
            changed = False
            if isinstance(node, (Mul, Sum, Fn, Pow, Max, MatrixFn)):
                for equation in equations:
                    found = replace_product(equation, node)
                    if found is not None:
                        used[equation] = None
                        node = found
                        changed = True
                        break
        parts = tuple(visit(part) for part in children(node)) if not isinstance(node, (Diff, Differential)) else ()
        if parts and any(a is not b for a, b in zip(parts, children(node))):
            rebuilt = rebuild(node, parts)
            return visit(rebuilt) if type(rebuilt) is not type(node) else rebuilt
        return node

    after = visit(expr)
    return _without_repeated(after, used) if used else after, tuple(used)


def _without_repeated(expr: Expr, known: Iterable[Equation]) -> Expr:
    """Without the conditions that a tensor beside them has in its definition already, unless something else needs them."""
    masks = {e.target.tensor: e for e in known if brackets(e.value)}

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Mul) or not brackets(node) or any(unbounded(f) for f in node.factors):
            return None
        entries = [f for f in node.factors if isinstance(f, Ref) and f.tensor in masks]
        repeated = {c for f in entries for c in brackets(instantiate(masks[f.tensor], f, names(node)))}
        left = tuple(f for f in node.factors if f not in repeated)
        return mul(*(transform(f, rule) for f in left)) if len(left) < len(node.factors) else None

    return transform(expr, rule) if masks else expr


def fact(expr: Expr, facts: Iterable[Fact]) -> tuple[Expr, tuple[Fact, ...]]:
    """a declared fact, read from left to right"""
    used: dict[Fact, None] = {}
    marker = "#fact"
    for item in facts:
        if symmetric(item) is not None:
            continue  # a rule of its own: read from left to right, it would only turn entries over
        target = Ref(marker, free_indices(item.left))
        folded, hit = fold(expr, (Equation(target, item.left),))
        if hit:
            mapping_source = item

            def value(node: Expr, source: Fact = mapping_source) -> Expr | None:
                if isinstance(node, Ref) and node.tensor == marker:
                    mapping = dict(zip(free_indices(source.left), node.indices))
                    return substitute(source.right, mapping)
                return None

            expr = transform(folded, value)
            used[item] = None
    return expr, tuple(used)


def normalised_sum(
    expr: Expr, definitions: Mapping[str, Equation], known: Callable[[Expr], Iterable[Equation]]
) -> tuple[Expr, tuple[Equation, ...]]:
    """sum(j, f(j)/Z) = 1, where Z = sum(j, f(j)): what was divided by its own sum adds up to 1

    `known` answers the definitions that may be put back in an expression. Returns the expression and those that were used.
    """
    used: dict[Equation, None] = {}

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Sum) or not isinstance(node.body, Ref) or node.body.tensor not in definitions:
            return None
        source = definitions[node.body.tensor]
        if source not in known(source.value):
            return None
        opened = pull_out(Sum(node.indices, instantiate(source, node.body, names(node))))
        folded, through = fold(opened, [e for e in known(opened) if e is not source])
        if any(isinstance(part, (Sum, Ref)) for part in walk(folded)):
            return None
        used.update(dict.fromkeys((source, *through)))
        return folded

    return transform(expr, rule), tuple(used)


def unfold(expr: Expr, equations: Iterable[Equation]) -> Expr:
    """T[o] = f(o), read from left to right: an entry is replaced by what defines it"""
    known = {e.target.tensor: e for e in equations}
    taken = names(expr)

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Ref) and node.tensor in known:
            return instantiate(known[node.tensor], node, taken)
        return None

    return transform(expr, rule)


def lemma(expr: Expr, proved: Equation) -> Expr:
    """dT[o] = its closed form, by the lemma of dT"""
    return unfold(expr, [proved])


def name_sum(node: Expr, name: str, indices: tuple[Idx, ...]) -> tuple[Ref, Equation]:
    """sum(k, f(o,k)) = D[o], where D is the name of that sum: computed once, not once an entry"""
    target = Ref(name, indices)
    return target, Equation(target, rename_bound(node))
