"""Every rewriting rule, one function each: its docstring is the identity, and the proof's reason.

A rule takes an expression and returns an equal one, or the expression itself where it does not apply. Rules know nothing of
layers; the engine decides their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

from derive.expr import (
    ONE,
    ZERO,
    Add,
    Delta,
    Diff,
    Equation,
    Expr,
    Fact,
    Fn,
    Idx,
    Index,
    Max,
    Mul,
    Num,
    Pow,
    Ref,
    Sum,
    add,
    canonical,
    delta,
    free_indices,
    fresh,
    instantiate,
    mul,
    names,
    neg,
    power,
    rebuild,
    rename_apart,
    substitute,
    tensors_in,
    total,
    transform,
)
from derive.matching import replace_product
from derive.terms import (
    coefficient,
    common_factors,
    divide,
    factors,
    flat_sum,
    has_delta,
    positive,
    pull,
    split_power,
)

# ---------------------------------------------------------------------------------------------------- derivatives


def varies(expr: Expr, diff: Diff) -> bool:
    """Whether `expr` depends on the variable of `diff`, itself or through a tensor that varies with it."""
    moving = {diff.wrt.tensor, *diff.through}
    return any(name in moving for name in tensors_in(expr))


def definition(expr: Expr, definitions: Mapping[str, Equation]) -> Expr:
    """d T[o] / d A[a] = d f(o) / d A[a], where T[o] = f(o)"""
    taken = names(expr)

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Diff) and isinstance(node.body, Ref):
            ref = node.body
            if ref.tensor in node.through and ref.tensor != node.wrt.tensor:
                return Diff(instantiate(definitions[ref.tensor], ref, taken), node.wrt, node.through)
        return None

    return transform(expr, rule)


def linearity(expr: Expr) -> Expr:
    """d (c u + v) / d A = c du/dA + dv/dA, sums likewise; d v / d A = 0 where v does not depend on A"""

    def push(node: Diff) -> Expr:
        body = node.body
        if not varies(body, node):
            return ZERO
        if isinstance(body, Add):
            return add(*(push(Diff(term, node.wrt, node.through)) for term in body.terms))
        if isinstance(body, Sum):
            return total(body.indices, push(Diff(body.body, node.wrt, node.through)))
        if isinstance(body, Mul):
            moving = [factor for factor in body.factors if varies(factor, node)]
            if len(moving) == 1:
                return mul(*(push(Diff(f, node.wrt, node.through)) if f is moving[0] else f for f in body.factors))
        return node

    return transform(expr, lambda node: push(node) if isinstance(node, Diff) else None)


def product_rule(expr: Expr) -> Expr:
    """d (u v) / d A = du/dA v + u dv/dA"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Diff) or not isinstance(node.body, Mul):
            return None
        parts = node.body.factors
        moving = [n for n, factor in enumerate(parts) if varies(factor, node)]
        if len(moving) < 2:
            return None
        return add(*(mul(*(Diff(f, node.wrt, node.through) if m == n else f for m, f in enumerate(parts))) for n in moving))

    return transform(expr, rule)


def power_rule(expr: Expr) -> Expr:
    """d u^n / d A = n u^(n-1) du/dA"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Diff) or not isinstance(node.body, Pow):
            return None
        base, exponent = node.body.base, node.body.exponent
        return mul(Num(exponent), power(base, exponent - 1), Diff(base, node.wrt, node.through))

    return transform(expr, rule)


def chain_rule_scalar(expr: Expr) -> Expr:
    """d f(u) / d A = f'(u) du/dA, with f' from SymPy"""
    from derive.sympy_io import scalar_derivative

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Diff) or not isinstance(node.body, Fn):
            return None
        args = node.body.args
        partials = scalar_derivative(node.body.name, len(args))
        found = []
        for arg, partial in zip(args, partials):
            if varies(arg, node):
                found.append(mul(fill_placeholders(partial, args), Diff(arg, node.wrt, node.through)))
        return add(*found)

    return transform(expr, rule)


def fill_placeholders(expr: Expr, args: Sequence[Expr]) -> Expr:
    """`expr` with its placeholder scalars x0, x1, ... replaced by `args`."""
    values = {f"x{n}": arg for n, arg in enumerate(args)}
    return transform(expr, lambda node: values.get(node.tensor) if isinstance(node, Ref) and not node.indices else None)


def local_derivative(expr: Expr) -> Expr:
    """d A[x,y] / d A[a,b] = delta(x,a) delta(y,b)"""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Diff) and isinstance(node.body, Ref) and node.body.tensor == node.wrt.tensor:
            return mul(*(delta(x, a) for x, a in zip(node.body.indices, node.wrt.indices)))
        return None

    return transform(expr, rule)


# ---------------------------------------------------------------------------------------------------- sums and deltas


def distribute(expr: Expr) -> Expr:
    """f (u + v) = f u + f v, sum(u + v) = sum(u) + sum(v), f sum(k, u) = sum(k, f u): as far as a delta needs it"""
    return add(*_expand(rename_apart(expr, [i.name for i in free_indices(expr)])))


def _expand(expr: Expr) -> list[Expr]:
    if not has_delta(expr) or isinstance(expr, Delta):
        return [expr]
    if isinstance(expr, Add):
        return [part for term in expr.terms for part in _expand(term)]
    if isinstance(expr, Sum):
        return [flat_sum(expr.indices, part) for part in _expand(expr.body)]
    if isinstance(expr, Mul):
        products: list[Expr] = [ONE]
        for factor in expr.factors:
            products = [_times(left, right) for left in products for right in _expand(factor)]
        return products
    return [expr]


def _times(left: Expr, right: Expr) -> Expr:
    """The product of two terms, a sum that holds a delta made to enclose both."""
    if isinstance(left, Sum) and has_delta(left):
        inner = _times(left.body, right)
        return flat_sum(left.indices, inner)
    if isinstance(right, Sum) and has_delta(right):
        return flat_sum(right.indices, _times(left, right.body))
    return mul(left, right)


def contract_delta(term: Expr) -> tuple[Expr, Idx, Index] | None:
    """sum(x, delta(x,a) f(x)) = f(a): of the sum over x only x = a survives

    Returns the shorter term, the index that was summed, and what it became; None where no delta has a summed index.
    """
    if not isinstance(term, Sum):
        return None
    bound = term.indices
    for factor in factors(term.body):
        if not isinstance(factor, Delta):
            continue
        for index, other in ((factor.a, factor.b), (factor.b, factor.a)):
            if not isinstance(index, Idx) or index not in bound:
                continue
            if isinstance(other, Idx) and other in bound and bound.index(other) > bound.index(index):
                continue
            if isinstance(other, Ref) and index in free_indices(other):
                continue
            rest = mul(*(f for f in factors(term.body) if f is not factor))
            left = tuple(i for i in bound if i != index)
            return total(left, substitute(rest, {index: other})), index, other
    return None


def pull_out(expr: Expr) -> Expr:
    """sum(k, c f(k)) = c sum(k, f(k)), where c does not mention k"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Sum):
            return None
        body = pull_out(node.body)
        if isinstance(body, Sum):
            return pull_out(flat_sum(node.indices, body))
        outside, inside = pull(node.indices, body)
        if not outside and body is node.body:
            return node
        return mul(*outside, total(node.indices, mul(*inside))) if inside else mul(*outside, Sum(node.indices, ONE))

    return transform(expr, rule)


def count_ones(expr: Expr) -> Expr:
    """sum(k, 1) = size(k)"""
    from derive.expr import Size

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Sum):
            idle = [i for i in node.indices if i not in free_indices(node.body)]
            if idle:
                left = tuple(i for i in node.indices if i not in idle)
                return mul(*(Size(i.dim) for i in idle), total(left, count_ones(node.body)))
        return None

    return transform(expr, rule)


def exchange(expr: Expr) -> Expr:
    """sum(j, f(j) sum(e, g(j,e))) = sum(e, sum(j, f(j) g(j,e))): finite sums may be taken in either order"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Sum):
            return None
        inner = rename_apart(node.body, [i.name for i in node.indices] + [i.name for i in free_indices(node)])
        plain = [f for f in factors(inner) if not isinstance(f, Sum)]
        sums = [f for f in factors(inner) if isinstance(f, Sum)]
        if not sums:
            return None
        bound = tuple(i for s in sums for i in s.indices)
        body = mul(*plain, *(s.body for s in sums))
        return flat_sum(bound + node.indices, body)

    return transform(expr, rule)


def rename_bound(expr: Expr) -> Expr:
    """sum(i', f(i')) = sum(i, f(i)), where i stands nowhere else"""
    free = {i.name for i in free_indices(expr)}

    def visit(node: Expr, scope: set[str]) -> Expr:
        if isinstance(node, (Sum, Max)):
            mapping: dict[Idx, Index] = {}
            bound: list[Idx] = []
            inner = {i.name for i in free_indices(node)} | scope
            for index in node.indices:
                plain = fresh(Idx(index.name.rstrip("'"), index.dim), inner | {b.name for b in bound})
                mapping[index] = plain
                bound.append(plain)
            body = visit(substitute(node.body, mapping), scope | {b.name for b in bound})
            return total(bound, body) if isinstance(node, Sum) else Max(tuple(bound), body)
        parts = tuple(visit(part, scope) for part in _children(node))
        return rebuild(node, parts) if parts else node

    return visit(expr, free)


def _children(node: Expr) -> tuple[Expr, ...]:
    from derive.expr import children

    return children(node)


# ---------------------------------------------------------------------------------------------------- known values


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
            if isinstance(node, (Mul, Sum, Fn, Pow)):
                for equation in equations:
                    found = replace_product(equation, node)
                    if found is not None:
                        used[equation] = None
                        node = found
                        changed = True
                        break
        parts = tuple(visit(part) for part in _children(node)) if not isinstance(node, Diff) else ()
        if parts and any(a is not b for a, b in zip(parts, _children(node))):
            rebuilt = rebuild(node, parts)
            return visit(rebuilt) if type(rebuilt) is not type(node) else rebuilt
        return node

    return visit(expr), tuple(used)


def fact(expr: Expr, facts: Iterable[Fact]) -> tuple[Expr, tuple[Fact, ...]]:
    """a declared fact, read from left to right"""
    used: dict[Fact, None] = {}
    marker = "#fact"
    for item in facts:
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


# ---------------------------------------------------------------------------------------------------- collecting


def cancel(expr: Expr) -> Expr:
    """c t + d t = (c + d) t, and a term with coefficient 0 goes"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Add):
            return None
        groups: dict[Expr, tuple[Fraction, Expr]] = {}
        for term in node.terms:
            scale, rest = coefficient(cancel(term))
            key = canonical(rest)
            previous = groups.get(key)
            groups[key] = (scale + (previous[0] if previous else Fraction(0)), previous[1] if previous else rest)
        return add(*(mul(Num(scale), rest) for scale, rest in groups.values() if scale))

    return transform(expr, rule)


def collect(expr: Expr) -> Expr:
    """f u + f v = f (u + v)"""

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Add) or len(node.terms) < 2:
            return None
        parts = tuple(collect(term) for term in node.terms)
        shared = common_factors(parts)
        scales = [abs(coefficient(part)[0]) for part in parts]
        scale = scales[0] if all(s == scales[0] for s in scales) else Fraction(1)
        rest = [mul(Num(1 / scale), divide(part, shared)) for part in parts]
        # A sum reads best with a positive term in front; if all are negative the sign goes outside.
        signs = [coefficient(part)[0] < 0 for part in rest]
        if all(signs):
            rest, scale = [neg(part) for part in rest], -scale
        elif signs[0]:
            first = signs.index(False)
            rest.insert(0, rest.pop(first))
        inside = add(*rest)
        if not shared and scale == 1:
            return inside
        return mul(Num(scale), *(power(base, exponent) for base, exponent in shared.items()), inside)

    return transform(expr, rule)


def order_factors(expr: Expr, first: Iterable[str]) -> Expr:
    """u v = v u: numbers, then the entries of the tensors in `first`, then the rest in the order they stood"""
    leading = set(first)

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Mul):
            return None
        parts = [order_factors(f, leading) for f in node.factors]
        return Mul(tuple(sorted(parts, key=lambda f: 0 if isinstance(f, Num) else 1 if isinstance(f, Ref) and f.tensor in leading else 2)))

    return transform(expr, rule)


def split_terms(expr: Expr) -> Expr:
    """(u + v) f = u f + v f, everywhere outside functions: the inverse of collecting"""

    def visit(node: Expr) -> list[Expr]:
        if isinstance(node, Add):
            return [part for term in node.terms for part in visit(term)]
        if isinstance(node, Sum):
            return [total(node.indices, part) for part in visit(node.body)]
        if isinstance(node, Mul):
            products: list[Expr] = [ONE]
            for factor in node.factors:
                products = [mul(left, right) for left in products for right in visit(factor)]
            return products
        return [node]

    return add(*visit(expr))


# ---------------------------------------------------------------------------------------------------- logs and shifts


def log_of_product(expr: Expr, definitions: Mapping[str, Equation], taken: Iterable[str] = ()) -> tuple[Expr, tuple[Equation, ...]]:
    """log(a b^n) = log a + n log b for a, b > 0, and log(exp u) = u"""
    used: dict[Equation, None] = {}
    avoid = set(taken) | names(expr)
    above_zero: set[str] = set()
    for name, equation in definitions.items():
        if positive(equation.value, above_zero):
            above_zero.add(name)

    def logarithm(node: Expr) -> Expr:
        if isinstance(node, Fn) and node.name == "exp":
            return node.args[0]
        if isinstance(node, Mul):
            return add(*(logarithm(f) for f in node.factors))
        if isinstance(node, Pow):
            return mul(Num(node.exponent), logarithm(node.base))
        return Fn("log", (node,))

    def rule(node: Expr) -> Expr | None:
        if not isinstance(node, Fn) or node.name != "log":
            return None
        argument = node.args[0]
        if isinstance(argument, Ref) and argument.tensor in definitions:
            source = definitions[argument.tensor]
            value = instantiate(source, argument, avoid)
            if positive(value, above_zero) and any(_is_exp(f) for f in factors(value)):
                used[source] = None
                return logarithm(value)
            return None
        if isinstance(argument, (Mul, Pow)) and positive(argument, above_zero) and any(_is_exp(f) for f in factors(argument)):
            return logarithm(argument)
        return None

    return transform(expr, rule), tuple(used)


def _is_exp(expr: Expr) -> bool:
    base, _ = split_power(expr)
    return isinstance(base, Fn) and base.name == "exp"
