"""Rules that take a derivative apart, down to Kronecker deltas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction

from derive.expr import (
    ZERO,
    Add,
    Diff,
    Differential,
    Equation,
    Expr,
    Fn,
    Idx,
    Iverson,
    Max,
    Mul,
    Num,
    Pow,
    Ref,
    Sum,
    add,
    delta,
    iverson,
    mul,
    power,
    total,
    transform,
    walk,
)
from derive.indices import free_indices, fresh, instantiate, names, rename_apart, tensors_in
from derive.terms import positive

DERIVATIVES = (Diff, Differential)


def varies(expr: Expr, node: Diff | Differential) -> bool:
    """Whether `expr` depends on the variable of a derivative, itself or through a tensor that varies with it."""
    moving = {*sources(node), *node.through}
    return any(name in moving for name in tensors_in(expr))


def sources(node: Diff | Differential) -> tuple[str, ...]:
    """The tensors that a derivative is taken by."""
    return (node.wrt.tensor,) if isinstance(node, Diff) else tuple(name for name, _ in node.along)


def inside(node: Diff | Differential, body: Expr) -> Diff | Differential:
    """The same derivative, of another expression."""
    return replace(node, body=body)


def definition(expr: Expr, definitions: Mapping[str, Equation]) -> Expr:
    """d T[o] / d A[a] = d f(o) / d A[a], where T[o] = f(o)"""
    taken = names(expr)

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, DERIVATIVES) and isinstance(node.body, Ref):
            ref = node.body
            if ref.tensor in node.through and ref.tensor not in sources(node):
                return inside(node, instantiate(definitions[ref.tensor], ref, taken))
        return None

    return transform(expr, rule)


def linearity(expr: Expr) -> Expr:
    """d (c u + v) / d A = c du/dA + dv/dA, sums likewise; d v / d A = 0 where v does not depend on A, or steps"""

    def push(node: Diff | Differential) -> Expr:
        body = node.body
        if not varies(body, node) or isinstance(body, Iverson):
            return ZERO
        if isinstance(body, Add):
            return add(*(push(inside(node, term)) for term in body.terms))
        if isinstance(body, Sum):
            return total(body.indices, push(inside(node, body.body)))
        if isinstance(body, Mul):
            moving = [factor for factor in body.factors if varies(factor, node)]
            if len(moving) == 1:
                return mul(*(push(inside(node, f)) if f is moving[0] else f for f in body.factors))
        return node

    return transform(expr, lambda node: push(node) if isinstance(node, DERIVATIVES) else None)


def product_rule(expr: Expr) -> Expr:
    """d (u v) / d A = du/dA v + u dv/dA"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, DERIVATIVES) or not isinstance(node.body, Mul):
            return None
        parts = node.body.factors
        moving = [n for n, factor in enumerate(parts) if varies(factor, node)]
        if len(moving) < 2:
            return None
        return add(*(mul(*(inside(node, f) if m == n else f for m, f in enumerate(parts))) for n in moving))

    return transform(expr, rule)


def power_rule(expr: Expr, definitions: Mapping[str, Equation] | None = None) -> Expr:
    """d u^n / d A = n u^(n-1) du/dA

    The length u^(1/2) of a vector has a kink where it is 0: its derivative is taken to be 0 there, whatever u^(-1/2) is.
    """

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, DERIVATIVES) or not isinstance(node.body, Pow):
            return None
        base, exponent = node.body.base, node.body.exponent
        kept = (iverson("!=", node.body, ZERO),) if is_length(node.body, definitions or {}) else ()
        return mul(Num(exponent), *kept, power(base, exponent - 1), inside(node, base))

    return transform(expr, rule)


def length_note(expr: Expr, definitions: Mapping[str, Equation]) -> str:
    """What `power_rule` takes for a length that is 0, where it is about to differentiate one in `expr`."""
    if any(isinstance(node, DERIVATIVES) and isinstance(node.body, Pow) and is_length(node.body, definitions) for node in walk(expr)):
        return "where a length is 0, its subgradients are the vectors of length at most 1: 0 is taken, as torch.linalg.vector_norm does"
    return ""


def is_length(expr: Pow, definitions: Mapping[str, Equation]) -> bool:
    """Whether `expr` is the root of a sum of squares: 0 only where every square is, with a kink there."""
    return expr.exponent == Fraction(1, 2) and _squares(expr.base, definitions)


def _squares(expr: Expr, definitions: Mapping[str, Equation]) -> bool:
    if isinstance(expr, Ref):
        return expr.tensor in definitions and _squares(definitions[expr.tensor].value, definitions)
    if isinstance(expr, Pow):
        return expr.exponent % 2 == 0  # the square of a square is one power, and so is the square of what is divided by
    if isinstance(expr, Sum):
        return _squares(expr.body, definitions)
    if isinstance(expr, Add):
        return all(_squares(term, definitions) for term in expr.terms)
    if isinstance(expr, Mul):
        rest = [f for f in expr.factors if not (positive(f) or isinstance(f, Iverson))]
        return bool(rest) and all(_squares(f, definitions) for f in rest)
    return False


def scalar_chain_rule(expr: Expr) -> Expr:
    """d f(u) / d A = f'(u) du/dA, with f' from SymPy"""
    from derive.sympy_io import scalar_derivative

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, DERIVATIVES) or not isinstance(node.body, Fn):
            return None
        args = node.body.args
        partials = scalar_derivative(node.body.name, len(args))
        found = []
        for arg, partial in zip(args, partials):
            if varies(arg, node):
                found.append(mul(fill_placeholders(partial, args), inside(node, arg)))
        return add(*found)

    return transform(expr, rule)


def subgradient_note(expr: Expr) -> str:
    """What `scalar_chain_rule` takes at the kinks of the functions that it is about to differentiate in `expr`."""
    from derive.scalar import KINKS

    found = dict.fromkeys(node.body.name for node in walk(expr) if isinstance(node, DERIVATIVES) and isinstance(node.body, Fn))
    kinks = [(name, KINKS[name]) for name in found if name in KINKS]
    return "; ".join(
        f"{kink.where}, the subgradient of {name} is {kink.interval}: {kink.taken} is taken, as torch does" for name, kink in kinks
    )


def fill_placeholders(expr: Expr, args: Sequence[Expr]) -> Expr:
    """`expr` with its placeholder scalars x0, x1, ... replaced by `args`."""
    values = {f"x{n}": arg for n, arg in enumerate(args)}
    return transform(expr, lambda node: values.get(node.tensor) if isinstance(node, Ref) and not node.indices else None)


def max_rule(expr: Expr) -> Expr:
    """d max(k, f(k)) / d A = sum(k, [f(k) = M] df(k)/dA) / sum(k, [f(k) = M]), where M is the maximum

    Away from ties this is the derivative at the largest entry; at a tie it shares the gradient evenly, as torch.amax does.
    """

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, DERIVATIVES) or not isinstance(node.body, Max):
            return None
        body, bound = node.body.body, node.body.indices
        taken = names(node)
        largest = rename_apart(node.body, taken)
        at = Iverson("==", body, largest)
        count = rename_apart(total(bound, at), taken | names(largest))
        return mul(total(bound, mul(at, inside(node, body))), power(count, -1))

    return transform(expr, rule)


def local_derivative(expr: Expr) -> Expr:
    """d A[x,y] / d A[a,b] = delta(x,a) delta(y,b)"""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Diff) and isinstance(node.body, Ref) and node.body.tensor == node.wrt.tensor:
            return mul(*(delta(x, a) for x, a in zip(node.body.indices, node.wrt.indices)))
        return None

    return transform(expr, rule)


def chain_rule(upstream: str, output: Ref, entry: Ref, through: tuple[str, ...], batch: int, recurrence: Equation | None = None) -> Expr:
    """dA[a] = sum(o, dT[o] d T[o] / d A[a]), over every tensor T computed from A

    The first `batch` indices are shared, not summed: the examples of a batch do not meet. Where T is computed by a `recurrence`, it
    is the right-hand side alone that is differentiated: what earlier entries of T pass on is in their own gradients.
    """
    taken = {i.name for i in free_indices(entry)}
    outer: list[Idx] = []
    for position, index in enumerate(output.indices):
        assert isinstance(index, Idx)
        if position >= batch:
            index = fresh(Idx(index.name, index.dim), taken)
            taken.add(index.name)
        outer.append(index)
    moved = Ref(output.tensor, tuple(outer))
    body = moved if recurrence is None else instantiate(recurrence, moved, taken)
    return total(outer[batch:], mul(Ref(upstream, tuple(outer)), Diff(body, entry, through)))
