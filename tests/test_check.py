"""The checker: true proofs hold line by line, and a false line, a false claim or a false assumption is named as such."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from decimal import localcontext
from fractions import Fraction
from typing import Any

import pytest
from derivations import derived

from derive.check import FAILS, HOLDS, UNKNOWN, LineVerdict, check_document, check_proof, context_of, extend
from derive.checker import pinned
from derive.checker.arithmetic import FUNCTIONS, Digits, Exact
from derive.checker.evaluate import World
from derive.checker.form import read
from derive.checker.matrices import _is_condition
from derive.checker.tables import tables
from derive.checker.worlds import draw_sizes, draw_tensors, keys_of, rooted_axes
from derive.layers import LAYERS
from derive.spec import Layer

Node = Any

# ---------------------------------------------------------------------------------------------------- writing proofs


def idx(name: str) -> Node:
    """i, i' and so on run over the axis I."""
    return ["idx", name, name[0].upper()]


def ref(name: str, *indices: Any) -> Node:
    return ["ref", name, [idx(index) if isinstance(index, str) else index for index in indices]]


def num(value: Any) -> Node:
    return ["num", str(value)]


def mul(*factors: Node) -> Node:
    return ["mul", list(factors)]


def add(*terms: Node) -> Node:
    return ["add", list(terms)]


def total(names: str, body: Node) -> Node:
    return ["sum", [idx(name) for name in names.split()], body]


def delta(a: str, b: str) -> Node:
    return ["delta", idx(a), idx(b)]


def fn(name: str, *args: Node) -> Node:
    return ["fn", name, list(args)]


def diff(body: Node, wrt: Node, *through: str) -> Node:
    return ["diff", body, wrt, list(through)]


def tensor(name: str, dims: str = "", kind: str = "real", values: str | None = None) -> Node:
    return {"name": name, "dims": list(dims), "kind": kind, "values": values}


def equation(target: Node, value: Node) -> Node:
    return {"target": target, "value": value}


def proof(target: Node, start: Node, steps: list[Node], tensors: list[Node], **fields: Any) -> Node:
    listed = [{"rule": f"rule {n}", "after": after, "note": "", "detail": "full"} for n, after in enumerate(steps, start=1)]
    made = {"name": target[1], "kind": "name", "goal": equation(target, start), "steps": listed, "tensors": tensors}
    return {**made, "given": [], "facts": [], "batch": [], "matrix": None, **fields}


def verdicts(lines: tuple[LineVerdict, ...]) -> list[str]:
    return [line.verdict for line in lines]


def scalar_identity(left: Node, *right: Node) -> tuple[LineVerdict, ...]:
    """left = right = ..., for every x[i] and y[i]."""
    return check_proof(proof(ref("R", "i"), left, list(right), [tensor("R", "I"), tensor("x", "I"), tensor("y", "I")]))


X, Y = ref("x", "i"), ref("y", "i")


def weight_gradient() -> Node:
    """dW = X^T dY for Y = X W, as the definition, the local derivative, and one contraction a line."""
    start = total("i j'", mul(ref("dY", "i", "j'"), diff(ref("Y", "i", "j'"), ref("W", "k", "j"), "Y")))
    local = total("i j' k'", mul(ref("dY", "i", "j'"), ref("X", "i", "k'"), delta("k'", "k"), delta("j'", "j")))
    once = total("i j'", mul(ref("dY", "i", "j'"), ref("X", "i", "k"), delta("j'", "j")))
    last = total("i", mul(ref("X", "i", "k"), ref("dY", "i", "j")))
    tensors = [tensor("X", "IK"), tensor("W", "KJ"), tensor("Y", "IJ"), tensor("dY", "IJ"), tensor("dW", "KJ")]
    forward = equation(ref("Y", "i", "j"), total("k", mul(ref("X", "i", "k"), ref("W", "k", "j"))))
    matrix = ["product", [["transpose", ["whole", "X", ["I", "K"]]], ["whole", "dY", ["I", "J"]]]]
    return proof(ref("dW", "k", "j"), start, [local, once, last], tensors, kind="lemma", given=[forward], matrix=matrix)


def document(*proofs: Node, facts: tuple[Node, ...] = ()) -> Node:
    """The layer Y = X W with these proofs."""
    made = weight_gradient()
    layer = {"name": "product", "tensors": made["tensors"][:3], "equations": made["given"], "facts": list(facts)}
    layer |= {"inputs": ["X", "W"], "outputs": ["Y"], "wrt": ["X", "W"], "batch": []}
    return {"format": "gradproof/1", "layer": layer, "proofs": list(proofs)}


# ---------------------------------------------------------------------------------------------------- true proofs


# Most of the second orders, and those of composed blocks, minutes of checking, are left to `derive check all`.
SECOND = [layer for layer in LAYERS[::4] if len(layer.equations) < 10]
ORDERS = [*((layer, "first") for layer in LAYERS), *((layer, "second") for layer in SECOND)]


@pytest.mark.parametrize(("layer", "order"), ORDERS, ids=[f"{layer.name}-{order}" for layer, order in ORDERS])
def test_every_line_of_every_proof_of_the_catalogue_holds(layer: Layer, order: str) -> None:
    derivation = derived(layer) if order == "first" else derived(layer).second
    report = check_document(json.loads(json.dumps(derivation.document())))
    assert report.ok, [(p.name, line) for p in report.proofs for line in p.lines if line.verdict != HOLDS]
    assert report.holds == sum(len(p.lines) for p in report.proofs) > 5


def test_a_proof_written_by_hand_holds_with_its_matrix() -> None:
    assert verdicts(check_proof(weight_gradient())) == [HOLDS] * 5
    assert check_document(document(weight_gradient())).ok


def test_what_leaves_the_rationals_is_checked_to_fifty_digits() -> None:
    lines = scalar_identity(fn("tanh", fn("sin", X)), mul(num(2), fn("sigmoid", mul(num(2), fn("sin", X)))), num(0))
    assert verdicts(lines) == [HOLDS, FAILS, FAILS]
    lines = scalar_identity(fn("erf", mul(num(-1), X)), mul(num(-1), fn("erf", X)))
    assert verdicts(lines) == [HOLDS, HOLDS] and {line.mode for line in lines} == {"50 digits"}


def test_the_laws_of_exp_hold_exactly_and_coincidences_of_its_model_do_not() -> None:
    lines = scalar_identity(fn("exp", add(X, Y)), mul(fn("exp", X), fn("exp", Y)))
    assert verdicts(lines) == [HOLDS, HOLDS] and {line.mode for line in lines} == {"exact"}
    half = ["pow", fn("exp", mul(num("1/3"), X)), "3"]
    assert verdicts(scalar_identity(fn("exp", X), half)) == [HOLDS, HOLDS]
    assert verdicts(scalar_identity(fn("exp", num(1)), num(2)))[1] == FAILS
    assert verdicts(scalar_identity(fn("exp", fn("log", fn("exp", X))), fn("exp", X))) == [HOLDS, HOLDS]


def test_a_cancelling_line_is_not_taken_for_a_false_one() -> None:
    """exp(x + 60) - exp(x + 60) + log(2) loses 26 of the digits."""
    large = fn("exp", add(X, num(60)))
    lines = scalar_identity(fn("log", num(2)), add(large, fn("log", num(2)), mul(num(-1), fn("exp", num(60)), fn("exp", X))))
    assert verdicts(lines) == [HOLDS, HOLDS]


def test_repeated_labels_add() -> None:
    """dE[c,d] = sum(i, delta(y[i], c) dY[i,d]) for the lookup Y[i,d] = E[y[i],d]."""
    label = ref("y", "i")
    tensors = [tensor("E", "CD"), tensor("y", "I", "int", "C"), tensor("Y", "ID"), tensor("dY", "ID"), tensor("dE", "CD")]
    start = total("i d'", mul(ref("dY", "i", "d'"), diff(ref("Y", "i", "d'"), ref("E", "c", "d"), "Y")))
    right = total("i", mul(["delta", label, idx("c")], ref("dY", "i", "d")))
    wrong = total("i", ref("dY", "i", "d"))
    given = [equation(ref("Y", "i", "d"), ref("E", label, "d"))]
    matrix = ["product", [["transpose", ["onehot", "y", ["I", "C"]]], ["whole", "dY", ["I", "D"]]]]
    lookup = proof(ref("dE", "c", "d"), start, [right], tensors, kind="lemma", given=given, matrix=matrix)
    assert verdicts(check_proof(lookup)) == [HOLDS] * 3
    lookup["steps"][0]["after"] = wrong
    assert verdicts(check_proof(lookup))[1] == FAILS


def test_batch_indices_stay_out_of_the_matrix() -> None:
    tensors = [tensor("A", "BIK"), tensor("C", "BKJ"), tensor("R", "BIJ")]
    start = total("k", mul(ref("A", "b", "i", "k"), ref("C", "b", "k", "j")))
    matrix = ["product", [["whole", "A", ["I", "K"]], ["whole", "C", ["K", "J"]]]]
    made = proof(ref("R", "b", "i", "j"), start, [], tensors, batch=[idx("b")], matrix=matrix)
    assert verdicts(check_proof(made)) == [HOLDS, HOLDS]


# ---------------------------------------------------------------------------------------------------- false lines


def test_a_false_line_is_named_with_both_values() -> None:
    wrong = weight_gradient()
    wrong["steps"][1]["after"][2][1].pop()  # the last delta
    lines = check_proof(wrong)
    assert verdicts(lines) == [HOLDS, HOLDS, FAILS, FAILS, HOLDS]
    assert lines[2].rule == "rule 2"
    assert "the line before is" in lines[2].message and "k =" in lines[2].message and "sizes" in lines[2].message


def test_a_true_chain_from_a_false_first_line_fails_at_the_first_line() -> None:
    wrong = weight_gradient()
    for holder, key in [(wrong["goal"], "value"), *((step, "after") for step in wrong["steps"])]:
        holder[key] = mul(num(2), holder[key])
    wrong["matrix"] = ["scale", num(2), wrong["matrix"]]
    lines = check_proof(wrong)
    assert verdicts(lines) == [FAILS, HOLDS, HOLDS, HOLDS, HOLDS]
    assert "what dW means" in lines[0].message


def test_a_forgotten_path_fails_at_the_first_line() -> None:
    """For Y = X W and U = Y + W' W', the gradient of W has a term from U that a chain through Y alone leaves out."""
    made = weight_gradient()
    tensors = [*made["tensors"], tensor("U", "KJ"), tensor("dU", "KJ")]
    square = equation(ref("U", "k", "j"), ["pow", ref("W", "k", "j"), "2"])
    layer = document()["layer"]
    layer = {**layer, "tensors": tensors[:3] + tensors[5:6], "equations": [*layer["equations"], square], "outputs": ["Y", "U"]}
    report = check_document({"format": "gradproof/1", "layer": layer, "proofs": [made]})
    assert report.proofs[0].lines[0].verdict == FAILS and "dU" in report.proofs[0].lines[0].message


Change = Callable[[Node], Any]


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (lambda p: p["steps"][0]["after"][1].pop(), 1, "index k' is free here"),
        (lambda p: p["steps"][2]["after"].__setitem__(1, [["idx", "k", "I"]]), 3, "captured"),
        (lambda p: p["steps"][2]["after"][2][1][0][2].reverse(), 3, "index 1 of X runs over I"),
        (lambda p: p["steps"][2]["after"][2][1].append(ref("Q")), 3, "no tensor Q is declared"),
        (lambda p: p["steps"][2]["after"][2][1].append(ref("X", "i")), 3, "X has 2 axes (I, K), not 1"),
        (lambda p: p["steps"][2]["after"][2][1].append(ref("dW", "k", "j")), 3, "dW is what is to be shown"),
        (lambda p: p["steps"][2].__setitem__("after", ["power"]), 3, "no such node"),
        (lambda p: p["steps"][2].__setitem__("after", ["num", "x"]), 3, "no expression"),
        (lambda p: p["matrix"][1].reverse(), 4, "a product of I x J and K x I"),
        (lambda p: p["matrix"][1].__setitem__(0, ["whole", "X", ["I", "K"]]), 4, "a product of I x K and I x J"),
        (lambda p: p.__setitem__("matrix", ["transpose", p["matrix"]]), 4, "a matrix of J x K cannot be dW[K, J]"),
        (lambda p: p["given"].append(p["given"][0]), 0, "two definitions"),
        (lambda p: p["given"][0]["value"].__setitem__(2, ref("Y", "i", "j")), 0, "not defined before it"),
    ],
)
def test_a_line_that_means_nothing_fails_with_the_reason(change: Change, line: int, words: str) -> None:
    wrong = deepcopy(weight_gradient())
    change(wrong)
    lines = check_proof(wrong)
    assert lines[line].verdict == FAILS and words in lines[line].message
    assert all(verdict.verdict == HOLDS for verdict in lines[:line])


def test_a_wrong_transpose_of_a_square_matrix_fails_by_its_values() -> None:
    tensors = [tensor("A", "II"), tensor("R", "II")]
    start = total("i''", mul(ref("A", "i", "i''"), ref("A", "i'", "i''")))
    whole = ["whole", "A", ["I", "I"]]
    right, wrong = ["product", [whole, ["transpose", whole]]], ["product", [["transpose", whole], whole]]
    for matrix, verdict in ((right, HOLDS), (wrong, FAILS)):
        assert verdicts(check_proof(proof(ref("R", "i", "i'"), start, [], tensors, matrix=matrix)))[1] == verdict


def test_a_condition_spread_along_an_axis_is_one_and_a_sum_of_conditions_is_none() -> None:
    table = ["entries", ["iverson", "<", ["position", idx("j")], ["position", idx("i")]], idx("i"), idx("j")]
    column = ["entries", ["iverson", "<", ["position", idx("i")], num(2)], idx("i"), None]
    row = ["transpose", column]
    assert all(map(_is_condition, (table, row, ["product", [column, ["ones", [None, "J"]]]], ["product", [["ones", ["J", None]], row]])))
    counts = [["product", [table, ["ones", ["J", None]]]], ["product", [["ones", [None, "I"]], table]], ["product", [row, column]]]
    assert not any(map(_is_condition, counts)), "0 of them is a number, whatever stands beside it"


def test_the_derivative_of_a_maximum_is_at_the_largest_entry() -> None:
    tensors = [tensor("x", "I"), tensor("L"), tensor("dL"), tensor("dx", "I")]
    largest = equation(ref("L"), ["max", [idx("i")], X])
    start = mul(ref("dL"), diff(ref("L"), X, "L"))
    for where, verdict in ((fn("sign", add(X, mul(num(-1), ref("L")))), HOLDS), (num(0), FAILS)):
        step = mul(ref("dL"), add(num(1), where)) if verdict == HOLDS else where
        assert verdicts(check_proof(proof(ref("dx", "i"), start, [step], tensors, kind="lemma", given=[largest])))[1] == verdict


# ---------------------------------------------------------------------------------------------------- assumptions


def test_a_definition_that_nobody_has_shown_is_refused() -> None:
    wrong = weight_gradient()
    wrong["given"][0]["value"][2][1].append(num(2))
    lines = check_document({**document(), "proofs": [wrong]}).proofs[0].lines
    assert lines[0].verdict == FAILS and "nobody has shown this definition of Y" in lines[0].message
    assert verdicts(lines)[1:] == [UNKNOWN] * 4


def test_a_given_gradient_must_be_the_end_of_an_earlier_proof() -> None:
    made = weight_gradient()
    shown = equation(made["goal"]["target"], made["steps"][-1]["after"])
    double = proof(ref("R", "k"), total("j", ref("dW", "k", "j")), [total("j i", mul(ref("X", "i", "k"), ref("dY", "i", "j")))], [])
    double |= {"given": [shown], "tensors": [*made["tensors"], tensor("R", "K")]}
    assert check_document(document(made, double)).ok
    assert not check_document(document(double)).ok
    other = deepcopy(double)
    other["given"][0]["value"] = mul(num(2), shown["value"])
    other["steps"][0]["after"] = mul(num(2), other["steps"][0]["after"])
    report = check_document(document(made, other))
    assert report.proofs[1].lines[0].verdict == FAILS


def test_a_name_cannot_be_defined_twice() -> None:
    tensors = [tensor("X", "IK"), tensor("R", "I")]
    first = proof(ref("R", "i"), total("k", ref("X", "i", "k")), [], tensors)
    second = proof(ref("R", "i"), total("k", ["pow", ref("X", "i", "k"), "2"]), [], tensors)
    report = check_document(document(first, second))
    assert [p.ok for p in report.proofs] == [True, False]


def test_a_fact_is_used_only_if_the_layer_declares_it() -> None:
    fact = {"left": total("k", ref("X", "i", "k")), "right": num(1)}
    made = proof(ref("R", "i"), total("k", ref("X", "i", "k")), [num(1)], [tensor("X", "IK"), tensor("R", "I")])
    assert verdicts(check_proof({**made, "facts": [fact]})) == [HOLDS, HOLDS]
    assert verdicts(check_proof(made)) == [HOLDS, FAILS]
    assert check_document(document({**made, "facts": [fact]}, facts=(fact,))).ok
    assert not check_document(document({**made, "facts": [fact]})).ok


def test_linear_facts_are_met_together_and_a_mask_by_trying() -> None:
    tensors = [tensor("T", "IJ"), tensor("M", "I")]
    entry, mask = ref("T", "i", "j"), ref("M", "i")
    facts = [
        {"left": total("j", entry), "right": num(3)},
        {"left": total("i", entry), "right": num(2)},
        {"left": mul(mask, mask), "right": mask},
    ]
    values = draw_tensors(tensors, facts[:2], {"I": 2, "J": 3}, Exact(), random.Random(0), 0)
    assert all(sum(values["T"][i, j] for j in range(3)) == 3 for i in range(2))
    assert all(sum(values["T"][i, j] for i in range(2)) == 2 for j in range(3))
    assert len(set(values["T"].values())) > 2
    values = draw_tensors(tensors, facts[2:], {"I": 5, "J": 3}, Exact(), random.Random(0), 0)
    assert set(values["M"].values()) == {0, 1}


def test_a_fact_that_no_draw_meets_leaves_the_lines_open() -> None:
    fact = {"left": ["pow", X, "2"], "right": num(-1)}
    lines = check_proof(proof(ref("R", "i"), X, [X], [tensor("x", "I"), tensor("R", "I")], facts=[fact]))
    assert verdicts(lines) == [UNKNOWN, UNKNOWN] and "no random values of x satisfy the facts" in lines[0].message


def test_what_the_checker_does_not_know_it_says() -> None:
    lines = scalar_identity(X, fn("gamma", X), X)
    assert verdicts(lines) == [HOLDS, UNKNOWN, HOLDS] and "gamma" in lines[1].message
    lines = scalar_identity(X, diff(diff(["pow", X, "2"], X), X), X)
    assert verdicts(lines) == [HOLDS, UNKNOWN, HOLDS] and "derivative inside a derivative" in lines[1].message


def test_a_line_that_has_no_value_where_there_was_one_does_not_hold() -> None:
    lines = scalar_identity(X, mul(X, ["pow", add(X, mul(num(-1), X)), "-1"]), mul(num(2), X))
    assert verdicts(lines) == [HOLDS, FAILS, FAILS] and "division by zero" in lines[1].message


@pytest.mark.parametrize("junk", [None, [], {}, {"format": "gradproof/2"}, {"format": "gradproof/1"}, {**document(), "proofs": [{}]}])
def test_what_is_no_document_is_refused(junk: Any) -> None:
    with pytest.raises(ValueError, match="proof document"):
        check_document(junk)


# ---------------------------------------------------------------------------------------------------- its parts


def test_axis_sizes_are_distinct_and_at_least_two() -> None:
    axes = list("ABCDEFG")
    for seed in range(20):
        sizes = draw_sizes(axes, {"B"}, {"D", "F"}, random.Random(seed))
        assert len(set(sizes.values())) == 7 and min(sizes.values()) == sizes["B"] == 2
        assert all(math.isqrt(sizes[axis]) ** 2 == sizes[axis] for axis in "DF")


def at(place: Node, axis: str) -> Node:
    return ["affine", place, axis]


@pytest.mark.parametrize(
    "left",
    [
        ref("X", "i", at(num(5), "J")),
        total("j", mul(ref("X", "i", "j"), ref("v", at(add(["position", idx("j")], num(-7)), "J")))),
        total("j", mul(ref("X", "i", "j"), ["iverson", "<", num(9), ["position", idx("j")]])),
    ],
)
def test_an_axis_is_longer_than_the_places_that_are_read_along_it(left: Node) -> None:
    tensors = [tensor("R", "I"), tensor("X", "IJ"), tensor("v", "J")]
    assert verdicts(check_proof(proof(ref("R", "i"), left, [num(0)], tensors))) == [HOLDS, FAILS]
    layer = Layer.parse("layer", "L = max(i, X[i,2])")
    assert all(check_document(each).ok for each in derived(layer).documents())


WINDOWS = (
    "shape X[H,W]; size(i) = (size(H) + 2 - 2*(size(p) - 1) - 1)//3 + 1; size(j) = (size(W) - 3*(size(q) - 1) - 1)//2 + 1;"
    "Y[i,j] = sum(p,q, X[3*i+2*p-1,2*j+3*q]*K[p,q]) + h"
)


@pytest.mark.parametrize("text", [WINDOWS, "shape X[H]; size(i) = size(H) - 40; Y[i] = X[i+40]"], ids=["windows", "far"])
def test_axes_are_drawn_that_are_several_times_as_long_as_others(text: str) -> None:
    documents = derived(Layer.parse("layer", text.replace("; ", ";").replace(";", "\n"))).documents()
    assert all(check_document(each).ok for each in documents)


@pytest.mark.parametrize(
    "text",
    [
        "Y = sum(a,b,c,d, X[a,b,c,d]^2)",
        "L = sum(a, max(b, sum(c, X[a,c]*W[c,b])))",
        "size(i) = size(h) - size(p) + 1\nY[i,j] = sum(p, X[i+p,j]*K[p])*sum(h, X[h,j]^3)",
    ],
)
def test_terms_of_a_sum_that_are_0_are_passed_over_without_a_change_of_any_value(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def rows() -> list[Any]:
        found = []
        for each in derived(Layer.parse("layer", text)).documents():
            context = context_of(each["layer"])
            for made in each["proofs"]:
                found += [[str(cell) for row in table.rows for cell in row] for table in tables(read(made, context), 0)]
                extend(context, made)
        return found

    short = rows()
    for name in ("by_deltas", "by_entry"):
        monkeypatch.setattr(pinned, name, lambda *_: {})
    assert rows() == short


def test_a_layer_of_six_axes_is_checked_in_seconds() -> None:
    documents = derived(Layer.parse("layer", "Y = sum(a,b,c,d,e,f, X[a,b,c,d,e,f]^2)")).documents()
    assert all(check_document(each).ok for each in documents)


def test_only_a_root_of_sizes_alone_asks_for_a_square() -> None:
    plain = ["pow", mul(["size", "D"], num(4)), "-1/2"]
    mixed = ["pow", add(["size", "E"], X), "1/2"]
    assert rooted_axes([add(plain, mixed, ["size", "F"])]) == {"D"}


POINTS = {"log": 0.7, "sqrt": 0.7, "max": (0.3, -0.4), "min": (0.3, -0.4), "pow": (0.7, 1.3), "xlogy": (-0.4, 1.3), "pi": ()}


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_scalar_functions_and_their_slopes_are_the_true_ones(name: str) -> None:
    known: dict[str, Callable[..., float]] = {
        "abs": abs,
        "max": max,
        "min": min,
        "pi": lambda: math.pi,
        "relu": lambda x: max(x, 0.0),
        "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
        "sign": lambda x: math.copysign(1, x),
        "softplus": lambda x: math.log1p(math.exp(x)),
        "xlogy": lambda x, y: x * math.log(y),
    }
    true = known.get(name) or getattr(math, name)
    points = POINTS.get(name, -0.6)
    at = points if isinstance(points, tuple) else (points,)
    arithmetic = Digits()
    with localcontext() as local:
        local.prec = 75
        inside = [arithmetic.number(Fraction(x).limit_denominator(1000)) for x in at]
        assert float(FUNCTIONS[name].value(arithmetic, *inside)) == pytest.approx(true(*at), rel=1e-14)
        for n, slope in enumerate(FUNCTIONS[name].partials):
            ahead, behind = ([x + sign * 1e-6 * (m == n) for m, x in enumerate(at)] for sign in (1, -1))
            assert float(slope(arithmetic, *inside)) == pytest.approx((true(*ahead) - true(*behind)) / 2e-6, rel=1e-8, abs=1e-9)


def test_derivatives_go_through_the_named_tensors_alone() -> None:
    """z = y x, y = x^2: dz/dx is 3 x^2 through y, and y with y held fixed."""
    definitions = {"y": equation(ref("y"), ["pow", ref("x"), "2"])}
    world = World({}, Exact(), definitions, {"x": {(): 5}})
    body = mul(ref("y"), ref("x"))
    assert world.compile(diff(body, ref("x"), "y"), {})([]) == 75
    assert world.compile(diff(body, ref("x")), {})([]) == 25
    assert world.compile(diff(body, ref("y")), {})([]) == 5


def test_every_position_of_a_tensor_is_listed_once() -> None:
    assert keys_of("AB", {"A": 2, "B": 2}) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert keys_of("", {}) == [()]


def test_the_report_does_not_depend_on_the_hash_seed() -> None:
    wrong = weight_gradient()
    wrong["steps"][1]["after"][2][1].pop()
    text = "import json, sys; from derive.check import check_document; print(check_document(json.load(sys.stdin)).to_json())"
    found = set()
    for seed in ("0", "1"):
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", text], input=json.dumps(document(wrong)), capture_output=True, text=True, env=environment, check=True
        )
        found.add(run.stdout)
    assert len(found) == 1 and "'fails': 2" in found.pop()
