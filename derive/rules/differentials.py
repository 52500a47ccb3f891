"""Rules of the differential view: the differential D of an expression, and the bracket of a gradient with one.

D(u) is what u changes by, to first order, when the inputs move. The rules of derivatives hold for it word for word, because they
never look at what a derivative is taken by; so each of these is one of those under its own name. The bracket <A, B> is the sum of
all entries of A o B.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from derive.expr import Add, Differential, Equation, Expr, Idx, Mul, Ref, Sum, add, delta, mul, total, transform, walk
from derive.indices import free_indices, fresh, names, rename_apart, substitute
from derive.rules.derivatives import linearity, max_rule, power_rule, product_rule, scalar_chain_rule
from derive.rules.expanding import contract
from derive.rules.matrices import determinant_rule, inverse_rule, log_determinant_rule
from derive.rules.sums import pull_out
from derive.terms import factors, terms


def differential_of_sum(expr: Expr) -> Expr:
    """D(c u + v) = c D(u) + D(v), D(sum(k, u)) = sum(k, D(u)), and D(c) = 0 where nothing in c moves"""
    return linearity(expr)


def differential_of_product(expr: Expr) -> Expr:
    """D(u v) = D(u) v + u D(v)"""
    return product_rule(expr)


def differential_of_power(expr: Expr, definitions: Mapping[str, Equation] | None = None) -> Expr:
    """D(u^n) = n u^(n-1) D(u)"""
    return power_rule(expr, definitions)


def differential_of_function(expr: Expr) -> Expr:
    """D(f(u)) = f'(u) D(u), with f' from SymPy"""
    return scalar_chain_rule(expr)


def differential_of_maximum(expr: Expr) -> Expr:
    """D(max(k, u)) = sum(k, [u = M] D(u)) / sum(k, [u = M]), where M is the maximum"""
    return max_rule(expr)


def differential_of_inverse(expr: Expr) -> Expr:
    """D(inv(A)) = -inv(A) D(A) inv(A)"""
    return inverse_rule(expr)


def differential_of_determinant(expr: Expr) -> Expr:
    """D(det(A)) = det(A) tr(inv(A) D(A))"""
    return determinant_rule(expr)


def differential_of_log_determinant(expr: Expr) -> Expr:
    """D(log|det(A)|) = tr(inv(A) D(A))"""
    return log_determinant_rule(expr)


def differential_of_entry(expr: Expr) -> Expr:
    """D(A[i]) is an entry of the tensor that A moves by"""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Differential) and isinstance(node.body, Ref):
            moved = dict(node.along).get(node.body.tensor)
            return Ref(moved, node.body.indices) if moved is not None else None
        return None

    return transform(expr, rule)


# ---------------------------------------------------------------------------------------------------- brackets


def split_bracket(expr: Expr, moving: Iterable[str]) -> Expr:
    """<A, B + C> = <A, B> + <A, C>: one bracket for every differential

    Those are the tensors in `moving`.
    """
    found = frozenset(moving)

    def moves(node: Expr) -> bool:
        return any(isinstance(part, Ref) and part.tensor in found for part in walk(node))

    def split(node: Expr) -> list[Expr]:
        if not moves(node):
            return [node]
        if isinstance(node, Add):
            return [part for term in node.terms for part in split(term)]
        if isinstance(node, Sum):
            return [total(node.indices, part) for part in split(node.body)]
        if isinstance(node, Mul):
            (place,) = [n for n, factor in enumerate(node.factors) if moves(factor)]
            return [mul(*node.factors[:place], part, *node.factors[place + 1 :]) for part in split(node.factors[place])]
        return [node]

    return add(*(part for term in terms(expr) for part in split(term)))


def own_sums(expr: Expr, moving: Iterable[str]) -> Expr:
    """f (u + v) = f u + f v and f sum(k, u) = sum(k, f u), for each u that moves: one sum of one product for every differential"""
    found = frozenset(moving)
    made = []
    for term in terms(split_bracket(expr, found)):
        bound, product = _flat(rename_apart(term, [i.name for i in free_indices(term)]), found)
        made.append(total(bound, mul(*product)))
    return add(*made)


def move_across(expr: Expr, moving: Mapping[str, tuple[Idx, ...]], batch: int) -> Expr:
    """<A, B C> = <A C^T, B> = <B^T A, C> and <A, B o C> = <A o B, C>: everything but the differential goes to the other side

    Every term has one entry of a tensor of `moving`; in the result it stands last, at the indices given there, of which the
    first `batch` are shared. Where it is read at a place (a label, a diagonal, a shift), a delta says which entries those are.
    """
    return add(*(_moved(term, moving, batch) for term in terms(expr)))


def _moved(term: Expr, moving: Mapping[str, tuple[Idx, ...]], batch: int) -> Expr:
    bound, product = _flat(rename_apart(term, [i.name for i in free_indices(term)]), moving)
    (entry,) = [f for f in product if isinstance(f, Ref) and f.tensor in moving]
    others = mul(*(f for f in product if f is not entry))
    wanted = moving[entry.tensor]
    taken = {i.name for i in (*bound, *wanted)} | names(others)
    at: list[Idx] = list(wanted[:batch])
    deltas: list[Expr] = []
    for index, plain in zip(entry.indices[batch:], wanted[batch:]):
        if isinstance(index, Idx) and index in bound and index not in at:
            at.append(index)
        else:
            at.append(fresh(plain, taken))
            taken.add(at[-1].name)
            deltas.append(delta(at[-1], index))
    inner = total((i for i in bound if i not in at), mul(others, *deltas))
    beside = rename_apart(pull_out(contract(inner) if deltas else inner), taken)
    return total(wanted[batch:], mul(substitute(beside, dict(zip(at, wanted))), Ref(entry.tensor, wanted)))


def _flat(expr: Expr, moving: Collection[str]) -> tuple[tuple[Idx, ...], tuple[Expr, ...]]:
    """The sums around the differential, and the factors under all of them."""
    if isinstance(expr, Sum):
        bound, product = _flat(expr.body, moving)
        return expr.indices + bound, product
    if isinstance(expr, Mul):
        for n, factor in enumerate(expr.factors):
            if any(isinstance(part, Ref) and part.tensor in moving for part in walk(factor)):
                bound, product = _flat(factor, moving)
                return bound, (*expr.factors[:n], *product, *expr.factors[n + 1 :])
    return (), (expr,)


def join_brackets(expr: Expr, moving: Mapping[str, tuple[Idx, ...]], batch: int) -> Expr:
    """<A, C> + <B, C> = <A + B, C>"""
    return in_brackets(beside(expr), moving, batch)


def beside(expr: Expr) -> dict[str, Expr]:
    """What stands beside each differential in a line that `move_across` has made, its terms joined."""
    found: dict[str, list[Expr]] = {}
    for term in terms(expr):
        *others, entry = factors(term.body if isinstance(term, Sum) else term)
        assert isinstance(entry, Ref)
        found.setdefault(entry.tensor, []).append(mul(*others))
    return {name: add(*parts) for name, parts in found.items()}


def in_brackets(beside: Mapping[str, Expr], moving: Mapping[str, tuple[Idx, ...]], batch: int) -> Expr:
    """The line with these expressions beside the differentials."""
    return add(*(total(moving[name][batch:], mul(part, Ref(name, moving[name]))) for name, part in beside.items()))
