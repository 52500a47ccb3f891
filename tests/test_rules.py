"""Every rule preserves the value of what it rewrites, on random expressions; and no bound index is ever captured."""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import evaluate

from derive import rules
from derive.conditions import compare, impossible
from derive.engine import derive
from derive.equality import canonical
from derive.expr import ZERO, Add, Delta, Equation, Expr, Fn, Idx, Iverson, Mul, Position, Pow, Ref, Size, Sum, add, mul, num, power, total
from derive.indices import free_indices, instantiate, names, rename_apart, substitute
from derive.layers import layer
from derive.plain import show
from derive.proof import DETAILS, expr_from, expr_json
from derive.spec import Layer

SIZES = {"N": 2, "M": 3}
DRAW = torch.Generator().manual_seed(0)
ENV = {
    "A": torch.rand(2, 3, generator=DRAW, dtype=torch.float64) + 0.5,
    "B": torch.rand(3, 2, generator=DRAW, dtype=torch.float64) + 0.5,
    "u": torch.rand(2, generator=DRAW, dtype=torch.float64) + 0.5,
    "v": torch.rand(3, generator=DRAW, dtype=torch.float64) + 0.5,
    "s": torch.rand((), generator=DRAW, dtype=torch.float64) + 0.5,
}
DIMS = {"A": "NM", "B": "MN", "u": "N", "v": "M", "s": ""}
FREE = (Idx("i", "N"), Idx("j", "M"))
POOL = {"N": ("i", "a", "c"), "M": ("j", "b", "d")}


@st.composite
def expressions(draw: Callable[..., object], depth: int = 3, scope: tuple[Idx, ...] = FREE) -> Expr:
    """Expressions over the tensors of ENV whose free indices are in `scope`; bound names are reused across branches."""
    kind = draw(st.sampled_from(["ref", "ref", "delta", "num"] if depth == 0 else ["ref", "add", "mul", "mul", "sum", "sum", "pow", "fn"]))
    if kind == "num":
        return num(draw(st.integers(-3, 3)))
    if kind in ("ref", "delta"):
        name = draw(st.sampled_from(sorted(DIMS)))
        picked = tuple(draw(st.sampled_from([i for i in scope if i.dim == dim])) for dim in DIMS[name])
        if kind == "delta":
            axis = draw(st.sampled_from("NM"))
            own = [i for i in scope if i.dim == axis]
            a, b = draw(st.sampled_from(own)), draw(st.sampled_from(own))
            return num(1) if a == b else Delta(a, b)
        return Ref(name, picked)
    if kind in ("add", "mul"):
        parts = draw(st.lists(expressions(depth - 1, scope), min_size=2, max_size=3))
        return add(*parts) if kind == "add" else mul(*parts)
    if kind == "sum":
        taken = {i.name for i in scope}
        free = [Idx(name, dim) for dim, names in POOL.items() for name in names if name not in taken]
        if not free:
            return draw(expressions(0, scope))
        bound = draw(st.sampled_from(free))
        return total((bound,), draw(expressions(depth - 1, (*scope, bound))))
    if kind == "pow":
        return power(Ref("s"), draw(st.sampled_from([Fraction(2), Fraction(-1), Fraction(1, 2)])))
    return Fn("exp", (mul(Ref("u", (next(i for i in scope if i.dim == "N"),)), num(Fraction(1, 4))),))


def value(expr: Expr) -> torch.Tensor:
    return evaluate(expr, ENV, SIZES, list(FREE)).expand(2, 3)


def same(a: Expr, b: Expr) -> bool:
    left, right = value(a), value(b)
    return bool((left - right).abs().max() <= 1e-9 * max(1.0, float(left.abs().max())))


KNOWN = (
    Equation(Ref("T", FREE), mul(Ref("A", FREE), Ref("u", FREE[:1]))),
    Equation(Ref("R", FREE[:1]), Sum((Idx("q", "M"),), mul(Ref("A", (FREE[0], Idx("q", "M"))), Ref("v", (Idx("q", "M"),))))),
)


def fold_known(expr: Expr) -> Expr:
    folded, used = rules.fold(expr, KNOWN)
    return rules.unfold(folded, used)


PRESERVING = {
    "distribute": rules.distribute,
    "pull_out": rules.pull_out,
    "count_ones": rules.count_ones,
    "exchange": rules.exchange,
    "rename_bound": rules.rename_bound,
    "cancel": rules.cancel,
    "collect": rules.collect,
    "split_terms": rules.split_terms,
    "order_factors": lambda expr: rules.order_factors(expr, ["v"]),
    "contract_delta": lambda expr: (rules.contract_delta(expr) or (expr,))[0],
    "fold, then unfold": fold_known,
    "rename_apart": lambda expr: rename_apart(expr, ["i", "j", "a", "b"]),
    "canonical": canonical,
    "JSON": lambda expr: expr_from(expr_json(expr)),
}


@pytest.mark.parametrize("name", PRESERVING)
@settings(max_examples=60, deadline=None)
@given(expr=expressions())
def test_a_rule_preserves_the_value(name: str, expr: Expr) -> None:
    assert same(expr, PRESERVING[name](expr)), show(expr)


@settings(max_examples=60, deadline=None)
@given(expr=expressions())
def test_equal_up_to_order_and_bound_names_has_one_canonical_form(expr: Expr) -> None:
    def shuffled(node: Expr) -> Expr:
        if isinstance(node, Add):
            return Add(tuple(shuffled(t) for t in reversed(node.terms)))
        if isinstance(node, Mul):
            return Mul(tuple(shuffled(f) for f in reversed(node.factors)))
        if isinstance(node, Sum):
            return Sum(node.indices, shuffled(node.body))
        return node

    assert canonical(rename_apart(shuffled(expr), [i.name for i in FREE] + ["a", "b"])) == canonical(expr)


def test_bound_indices_are_never_captured() -> None:
    i, k = Idx("i", "N"), Idx("k", "N")
    inner = Sum((k,), mul(Ref("u", (k,)), Ref("u", (i,))))
    moved = substitute(inner, {i: k})
    assert free_indices(moved) == (k,)
    assert show(moved) == "sum(k', u[k']*u[k])"
    swapped = instantiate(Equation(Ref("T", (i, k)), mul(Ref("C", (i, k)), Ref("u", (i,)))), Ref("T", (k, i)))
    assert show(swapped) == "C[k,i]*u[k]"


def test_a_delta_contracts_the_index_that_is_summed() -> None:
    i, a, c = Idx("i", "N"), Idx("a", "N"), Idx("c", "N")
    term = Sum((a, c), Mul((Delta(a, i), Delta(a, c), Ref("u", (a,)), Ref("u", (c,)))))
    once = rules.contract_delta(term)
    assert once is not None and once[1:] == (a, i)
    twice = rules.contract_delta(once[0])
    assert twice is not None and show(twice[0]) == "u[i]^2"
    assert rules.contract_delta(twice[0]) is None


def test_a_logarithm_is_opened_only_where_everything_is_positive() -> None:
    i = Idx("i", "N")
    k = Idx("k", "N")
    total_exp = Equation(Ref("Z", ()), Sum((k,), Fn("exp", (Ref("u", (k,)),))))
    softmax = Equation(Ref("P", (i,)), Mul((Fn("exp", (Ref("u", (i,)),)), Pow(Ref("Z"), Fraction(-1)))))
    signed = Equation(Ref("P", (i,)), Mul((Fn("exp", (Ref("u", (i,)),)), Ref("w", (i,)))))
    log = Fn("log", (Ref("P", (i,)),))
    opened, used = rules.log_of_product(log, {"Z": total_exp, "P": softmax})
    assert show(opened) == "u[i] - log(Z)" and used == (softmax,)
    assert rules.log_of_product(log, {"P": signed}) == (log, ())


def test_conditions_that_exclude_each_other_are_seen_and_no_others() -> None:
    i, j, size = Position(Idx("i", "N")), Position(Idx("j", "N")), Size("N")
    a, one, two = Ref("s"), num(1), num(2)
    never = (
        [("<", i, j), ("<", j, i)],
        [("<", i, j), ("<", j, add(i, one))],  # positions are whole numbers
        [("<", i, ZERO)],
        [(">=", i, size)],
        [("==", a, one), ("!=", a, one)],
        [(">", mul(two, a), num(3)), ("<", a, one)],
        [("<", a, ZERO), ("<", ZERO, a)],
    )
    some = (
        [("<=", i, j), ("<=", j, i)],
        [("<", i, j), ("<", j, add(i, two))],
        [("<", a, one), (">", a, ZERO)],
        [(">=", add(i, one), size)],
        [("==", i, one), ("==", j, two)],
        [("<", a, one), ("<", i, a)],
    )
    for group, expected in ((never, True), (some, False)):
        for conditions in group:
            brackets = [compare(*condition) for condition in conditions]
            assert bool(impossible([b for b in brackets if isinstance(b, Iverson)])) is expected, conditions
    assert rules.exclude(add(mul(compare("<", a, ZERO), compare("<", ZERO, a), a), a)) == a


def test_every_rule_states_its_identity() -> None:
    for rule in rules.RULES:
        assert rules.identity(rule.__name__), rule.__name__
    with pytest.raises(KeyError):
        rules.identity("magic")


def test_a_reason_names_the_indices_that_are_printed() -> None:
    """Every index that a contraction's reason names stands in its line or in the one shown before it, at every level of detail."""
    texts = ("y[n] = sum(c, X[n,c]*w[c]) / sqrt(sum(c, w[c]^2))", "Y[i,j] = exp(X[i,j])/sum(k, exp(X[i,k]))*sum(k, X[i,k]*w[k])")
    cases = [layer(name) for name in ("layer_norm", "attention_additive", "clip", "convolution_1d")]
    cases += [Layer.parse("typed", text) for text in texts]
    told = 0
    for each in cases:
        for proof in derive(each).lemmas:
            for detail in DETAILS:
                shown = proof.at(detail)
                lines = [shown.goal.value, *(step.after for step in shown.steps)]
                for before, step in zip(lines, shown.steps):
                    found = re.findall(r"the sum over (\S+) collapses: only \1 = (.+?) survives", step.note)
                    said = {name for index, other in found for name in (index, *re.findall(r"[a-z]\w*'+", other))}
                    printed = {index.name for line in (before, step.after, shown.goal.target) for index in free_indices(line)}
                    assert said <= names(before) | names(step.after) | printed, (each.name, proof.name, detail, step.note)
                    told += len(found)
    assert told > 100
