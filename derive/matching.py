"""Finding a known equation inside an expression: one-way matching up to factor order and the names of bound indices."""

from __future__ import annotations

from fractions import Fraction

from derive.conditions import surely_met
from derive.equality import equal
from derive.expr import (
    Add,
    Affine,
    Delta,
    Equation,
    Expr,
    Fn,
    Idx,
    Index,
    Iverson,
    MatrixFn,
    Max,
    Mul,
    Num,
    Position,
    Pow,
    Ref,
    Size,
    Sum,
    children,
    mul,
    power,
    total,
)
from derive.indices import free_indices, substitute, substitute_index
from derive.terms import brackets, factors, split_power, unbounded

Mapping = dict[Idx, Index]
Powers = list[tuple[Expr, Fraction]]


def unify(pattern: Expr, target: Expr, mapping: Mapping, formal: frozenset[Idx]) -> Mapping | None:
    """Extend `mapping` of the pattern's formal indices so that the pattern reads as `target`, or None."""
    if isinstance(pattern, Ref):
        if not isinstance(target, Ref) or pattern.tensor != target.tensor:
            return None
        return _unify_indices(pattern.indices, target.indices, mapping, formal)
    if isinstance(pattern, Delta):
        return _unify_indices((pattern.a, pattern.b), (target.a, target.b), mapping, formal) if isinstance(target, Delta) else None
    if isinstance(pattern, Position):
        return _unify_indices((pattern.index,), (target.index,), mapping, formal) if isinstance(target, Position) else None
    if isinstance(pattern, Iverson) and isinstance(target, Iverson) and pattern.relation != target.relation:
        return None
    if isinstance(pattern, (Num, Size)):
        return mapping if pattern == target else None
    if type(pattern) is not type(target):
        return None
    if isinstance(pattern, Pow):
        assert isinstance(target, Pow)
        return unify(pattern.base, target.base, mapping, formal) if pattern.exponent == target.exponent else None
    if isinstance(pattern, Fn):
        assert isinstance(target, Fn)
        if pattern.name != target.name or len(pattern.args) != len(target.args):
            return None
    if isinstance(pattern, (Sum, Max)):
        # A nested sum is compared whole: its own free indices must already be known.
        if set(free_indices(pattern)) & formal <= set(mapping):
            return mapping if equal(substitute(pattern, mapping), target) else None
        if not isinstance(target, (Sum, Max)) or [i.dim for i in pattern.indices] != [i.dim for i in target.indices]:
            return None
        inner = unify(pattern.body, target.body, {**mapping, **dict(zip(pattern.indices, target.indices))}, formal | set(pattern.indices))
        return None if inner is None else {k: v for k, v in inner.items() if k not in pattern.indices}
    if isinstance(pattern, MatrixFn):
        assert isinstance(target, MatrixFn)
        if pattern.name != target.name:
            return None
        outer = _unify_indices(pattern.at, target.at, mapping, formal)
        if outer is None:
            return None
        renamed = {**outer, **dict(zip(pattern.indices, target.indices))}
        inner = unify(pattern.body, target.body, renamed, formal | set(pattern.indices))
        return None if inner is None else {**outer, **{k: v for k, v in inner.items() if k not in pattern.indices}}
    left, right = children(pattern), children(target)
    if len(left) != len(right):
        return None
    if isinstance(pattern, (Add, Mul)):
        return _unify_unordered(left, right, mapping, formal)
    found = mapping
    for a, b in zip(left, right):
        extended = unify(a, b, found, formal)
        if extended is None:
            return None
        found = extended
    return found


def _unify_unordered(left: tuple[Expr, ...], right: tuple[Expr, ...], mapping: Mapping, formal: frozenset[Idx]) -> Mapping | None:
    if not left:
        return mapping
    for n, candidate in enumerate(right):
        found = unify(left[0], candidate, mapping, formal)
        if found is not None:
            rest = _unify_unordered(left[1:], right[:n] + right[n + 1 :], found, formal)
            if rest is not None:
                return rest
    return None


def _unify_indices(pattern: tuple[Index, ...], target: tuple[Index, ...], mapping: Mapping, formal: frozenset[Idx]) -> Mapping | None:
    if len(pattern) != len(target):
        return None
    found = dict(mapping)
    for left, right in zip(pattern, target):
        if isinstance(left, Idx) and left in formal:
            if isinstance(right, Affine):
                return None  # outside of the axis the two need not agree
            if isinstance(right, Idx) and right.dim != left.dim:
                return None  # as parts of places, indices over different axes may look alike
            if found.setdefault(left, right) != right:
                return None
        elif isinstance(left, Ref) and isinstance(right, Ref):
            if left.tensor != right.tensor:
                return None
            inner = _unify_indices(left.indices, right.indices, found, formal)
            if inner is None:
                return None
            found = inner
        elif isinstance(left, Affine) and isinstance(right, Affine) and left.dim == right.dim:
            extended = unify(left.value, right.value, found, formal)
            if extended is None:
                return None
            found = extended
        elif substitute_index(left, found) != right:
            return None
    return found


def same_value(equation: Equation, expr: Expr) -> Expr | None:
    """The equation's target where `expr`, whole, is its right-hand side for some of its indices."""
    formal = frozenset(i for i in equation.target.indices if isinstance(i, Idx))
    found = unify(equation.value, expr, {}, formal)
    if found is None or any(i not in found for i in formal):
        return None
    return Ref(equation.target.tensor, tuple(substitute_index(i, found) for i in equation.target.indices))


def is_monomial(value: Expr) -> bool:
    """Whether a definition is one sum of one product, and more than a copy of another tensor."""
    if isinstance(value, Sum):
        return not isinstance(value.body, Add)
    if isinstance(value, Mul):
        weight = [
            f for f in value.factors if not isinstance(f, (Num, Size)) and not (isinstance(f, Pow) and isinstance(f.base, (Num, Size)))
        ]
        return len(weight) > 1 or any(not isinstance(f, Ref) for f in weight)
    return isinstance(value, (Fn, Pow, Max, MatrixFn))


def replace_product(equation: Equation, expr: Expr) -> Expr | None:
    """`expr`, a product or a sum of one product, with one occurrence of the equation's right-hand side put back as its target.

    A definition `T[o] = sum(b, f1 f2)` is found inside `sum(b', c, f1' g f2')` when some renaming of o and b makes its factors some of the
    factors, with no summed b' left anywhere else.
    """
    bound: tuple[Idx, ...] = ()
    body = expr
    if isinstance(expr, Sum):
        bound, body = expr.indices, expr.body
    outer: list[Expr] = []
    value = equation.value
    pattern_bound: tuple[Idx, ...] = ()
    pattern_body = value
    if isinstance(value, Sum):
        pattern_bound, pattern_body = value.indices, value.body
    elif isinstance(value, Mul):
        sums = [f for f in value.factors if isinstance(f, Sum)]
        if len(sums) == 1 and not isinstance(sums[0].body, Add):
            # c * sum(b, f) is the sum of c f.
            pattern_bound = sums[0].indices
            pattern_body = mul(*(f for f in value.factors if f is not sums[0]), *factors(sums[0].body))
    if isinstance(body, Mul) and not isinstance(expr, Sum):
        sums = [f for f in body.factors if isinstance(f, Sum)]
        if len(sums) == 1 and pattern_bound:
            outer = [f for f in body.factors if f is not sums[0]]
            bound, body = sums[0].indices, mul(*outer, *factors(sums[0].body))
            if not set(free_indices(mul(*outer))).isdisjoint(bound):
                return None
    if len(pattern_bound) > len(bound) or isinstance(body, Add):
        return None
    formal = frozenset(i for i in equation.target.indices if isinstance(i, Idx)) | frozenset(pattern_bound)
    wanted = [split_power(f) for f in factors(pattern_body) if not isinstance(f, Num)]
    if not wanted:
        return None
    # The rarest kinds of factor first: fewer wrong turns.
    wanted.sort(key=lambda f: isinstance(f[0], Ref))
    have = [split_power(f) for f in factors(body) if not isinstance(f, Num)]
    scale = mul(*(f for f in factors(body) if isinstance(f, Num)))
    if not pattern_bound and len(wanted) == 1 and wanted[0][1].denominator != 1:
        found = _inverse_root(equation, wanted[0], have, formal)
        if found is not None:
            return total(bound, mul(scale, *found))
    pattern_scale = mul(*(f for f in factors(pattern_body) if isinstance(f, Num)))
    for mapping, rest in _matches(wanted, have, {}, formal):
        if any(i not in mapping for i in equation.target.indices):
            continue  # a definition that is the same along some axis of its target names no one entry
        images = [mapping.get(i) for i in pattern_bound]
        if any(image not in bound for image in images) or len(set(images)) < len(images):
            continue
        remaining = mul(scale, power(pattern_scale, -1), *(power(base, exponent) for base, exponent in rest))
        if any(unbounded(f) for f in factors(remaining) if f not in outer):
            found_in = substitute(pattern_body, mapping)
            if not surely_met(tuple(i for i in images if isinstance(i, Idx)), found_in, brackets(remaining)):
                continue  # where the conditions exclude every entry the sum was 0, whatever stands beside it
        target = Ref(equation.target.tensor, tuple(substitute_index(i, mapping) for i in equation.target.indices))
        if any(image in free_indices(remaining) or image in free_indices(target) for image in images):
            continue
        left = tuple(i for i in bound if i not in images)
        position = next((n for n, (base, _) in enumerate(have) if (base, _) not in rest), 0)
        ordered = [power(base, exponent) for base, exponent in rest]
        ordered[min(position, len(ordered)) : 0] = [*_conditions(pattern_body, pattern_bound, mapping, remaining), target]
        return mul(scale, power(pattern_scale, -1), total(left, mul(*ordered)))
    return None


def _inverse_root(equation: Equation, root: tuple[Expr, Fraction], have: Powers, formal: frozenset[Idx]) -> list[Expr] | None:
    """The factors with T^-n for u^(-n/2), where T[o] = c u^(1/2)."""
    for n, (base, exponent) in enumerate(have):
        ratio = exponent / root[1]
        mapping = unify(root[0], base, {}, formal) if ratio < 0 and ratio.denominator == 1 else None
        if mapping is None or any(i not in mapping for i in equation.target.indices):
            continue
        target = Ref(equation.target.tensor, tuple(substitute_index(i, mapping) for i in equation.target.indices))
        number = mul(*(f for f in factors(equation.value) if isinstance(f, Num)))
        entry = mul(power(number, -ratio), power(target, ratio))
        return [entry if m == n else power(*each) for m, each in enumerate(have)]
    return None


def _conditions(pattern: Expr, bound: tuple[Idx, ...], mapping: Mapping, remaining: Expr) -> list[Expr]:
    """The conditions of a definition that are said again beside its name: [c] [c] = [c], and what else stands there may have no
    value where c does not hold."""
    if not unbounded(remaining):
        return []
    return [substitute(c, mapping) for c in brackets(pattern) if set(free_indices(c)).isdisjoint(bound)]


def _matches(wanted: Powers, have: Powers, mapping: Mapping, formal: frozenset[Idx]) -> list[tuple[Mapping, Powers]]:
    if not wanted:
        return [(mapping, have)]
    (base, exponent), rest = wanted[0], wanted[1:]
    found: list[tuple[Mapping, Powers]] = []
    for n, (other, available) in enumerate(have):
        if (available > 0) != (exponent > 0) or abs(available) < abs(exponent):
            continue
        if (available - exponent).denominator != 1 and available != exponent:
            continue
        extended = unify(base, other, mapping, formal)
        if extended is None:
            continue
        left = available - exponent
        remaining = have[:n] + ([(other, left)] if left else []) + have[n + 1 :]
        found.extend(_matches(rest, remaining, extended, formal))
        if found:
            break
    return found
