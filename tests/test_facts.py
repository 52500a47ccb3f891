"""Declared facts: read and written back, drawn by the checker, used by the deriver, checked by a kernel on demand."""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kernel_reference import load
from sympy import Eq, Sum

from codegen.source import rendered
from derive import Layer, SpecError, axes, derive, tensors
from derive.check import check_document
from derive.checker.arithmetic import Exact
from derive.checker.worlds import draw_tensors
from derive.expr import Fact, Fn, Iverson, Ref, walk
from derive.proof import fact_json, tensor_json
from derive.signs import Signs
from derive.write import write

ONE_HOT = ("T[i,j]*T[i,k] = where(j == k, T[i,j], 0)", "sum(j, T[i,j]) = 1")
STOCHASTIC = ("sum(j, A[i,j]) = 1", "A[i,j] > 0")
ORTHONORMAL = ("sum(k, Q[k,i]*Q[k,j]) = where(i == j, 1, 0)",)
SYMMETRIC = ("A[i,j] = A[j,i]",)


def layer(text: str, facts: tuple[str, ...], wrt: str = "x") -> Layer:
    return Layer.parse("layer", text, wrt=wrt, facts=facts)


def drawn(made: Layer, sizes: dict[str, int], seed: int) -> dict[str, dict[tuple[int, ...], Fraction]]:
    inputs = [tensor_json(t) for t in made.tensors if t.name in made.inputs]
    return draw_tensors(inputs, [fact_json(f) for f in made.facts], sizes, Exact(), random.Random(seed), 0)


# ---------------------------------------------------------------------------------------------------- reading


def test_a_comparison_is_a_fact_in_text_and_in_sympy_and_is_written_back() -> None:
    (i,) = axes("i:N")
    v, x, Y = tensors("v[N]:const x[N] Y[N]")
    spoken = Layer("scaled", [Eq(Y[i], v[i] * x[i])], facts=[v[i] > 0])
    written = Layer.parse("scaled", "axes i:N\nconst v\nfact v[i] > 0\nY[i] = v[i]*x[i]")
    assert spoken == written
    assert write(written.facts[0]) == "0 < v[i]"
    assert Layer.parse("scaled", written.text()) == written


LAYERS = {
    "one_hot": ("axes i:N j:M k:M\nconst T\nL = sum(i,j, T[i,j]*x[j])", ONE_HOT),
    "row_stochastic": ("axes i:N j:M\nconst A\nL = sum(i,j, A[i,j]*x[j])", STOCHASTIC),
    "orthonormal": ("axes k:K i:N j:N\nconst Q\nL = sum(k,i, Q[k,i]*x[i])", ORTHONORMAL),
    "symmetric": ("axes i:N j:N\nconst A\nL = sum(i,j, A[i,j]*x[j])", SYMMETRIC),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_with_facts_is_its_own_text(name: str) -> None:
    made = layer(*LAYERS[name])
    assert Layer.parse("layer", made.text()) == made


def test_what_is_neither_an_equation_nor_a_comparison_is_no_fact() -> None:
    with pytest.raises(SpecError, match="'=' is expected"):
        layer("const v\nY[i] = v[i]*x[i]", ("v[i] + 1",))
    (i,) = axes("i:N")
    v, x, Y = tensors("v[N]:const x[N] Y[N]")
    with pytest.raises(SpecError, match=r"an equation or a comparison; write Eq\(Sum"):
        Layer("scaled", [Eq(Y[i], v[i] * x[i])], facts=[Sum(v[i], i)])


# ---------------------------------------------------------------------------------------------------- the checker's draws


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (("v[i] > 0", "v[i] < 0"), "no random values of v satisfy the facts"),
        (("v[i] > 0", "sum(i, v[i]) = -1"), "no random values of v satisfy the facts"),
        (("1 = 2",), "a fact about lengths and numbers alone holds on no axes"),
        (("size(i) < 2",), "a fact about lengths and numbers alone holds on no axes"),
        (("v[i] > 0", "exp(v[i]) < 2"), "the facts need values that the checker does not draw"),
    ],
)
def test_no_line_holds_under_facts_that_nothing_satisfies(facts: tuple[str, ...], said: str) -> None:
    report = check_document(derive(layer("Y[i] = x[i]*v[i]", facts)).document())
    assert report.holds == report.fails == 0
    assert all(said in line.message for proof in report.proofs for line in proof.lines)


def test_a_fact_about_lengths_is_respected() -> None:
    assert check_document(derive(layer("Y[i,j] = x[i]*v[j]", ("size(i) < size(j)",))).document()).ok


@pytest.mark.parametrize("seed", range(3))
def test_the_checkers_inputs_respect_every_kind_of_fact(seed: int) -> None:
    T = drawn(layer(*LAYERS["one_hot"]), {"N": 5, "M": 4}, seed)["T"]
    assert set(T.values()) == {0, 1}
    assert all(sum(T[i, j] for j in range(4)) == 1 for i in range(5))
    A = drawn(layer(*LAYERS["row_stochastic"]), {"N": 3, "M": 4}, seed)["A"]
    assert all(value > 0 for value in A.values())
    assert len(set(A.values())) > 3
    assert all(sum(A[i, j] for j in range(4)) == 1 for i in range(3))
    Q = drawn(layer(*LAYERS["orthonormal"]), {"K": 4, "N": 3}, seed)["Q"]
    assert all(sum(Q[k, i] * Q[k, j] for k in range(4)) == (i == j) for i in range(3) for j in range(3))
    assert len(set(Q.values())) > 3
    A = drawn(layer(*LAYERS["symmetric"]), {"N": 3}, seed)["A"]
    assert all(A[i, j] == A[j, i] for i in range(3) for j in range(3))
    assert len(set(A.values())) > 2


# ---------------------------------------------------------------------------------------------------- the deriver


def gradient(text: str, facts: tuple[str, ...]) -> str:
    found = derive(layer(text, facts))
    assert found.check().ok
    return write(found.gradient("x").equation)


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("axes i:N j:N\nconst A\nL = sum(i,j, x[i]*A[i,j]*x[j])", SYMMETRIC, "dx[i] = 2*dL*sum(j, A[i,j]*x[j])"),
        ("axes k:K i:N j:N\nconst Q\nL = sum(k,i,j, x[i]*Q[k,i]*Q[k,j]*x[j])", ORTHONORMAL, "dx[i] = 2*dL*x[i]"),
        ("axes i:B j:C k:C\nconst T\nL = sum(i,j,k, T[i,j]*T[i,k]*x[j]*x[k])", ONE_HOT, "dx[j] = 2*dL*x[j]*sum(i, T[i,j])"),
        ("axes i:N j:M\nconst A z\nY[i] = sum(j, A[i,j]*(x[i] - z[j]))", STOCHASTIC, "dx[i] = dY[i]"),
        ("axes i:N\nconst v\nY[i] = abs(v[i])*x[i]", ("v[i] > 0",), "dx[i] = dY[i]*v[i]"),
    ],
    ids=["symmetric", "orthonormal", "one_hot", "row_stochastic", "positive"],
)
def test_a_gradient_uses_each_kind_of_fact(text: str, facts: tuple[str, ...], expected: str) -> None:
    assert gradient(text, facts) == expected
    assert gradient(text, ()) != expected


def test_a_fact_about_the_diagonal_is_none_about_the_whole() -> None:
    made = layer("axes i:N j:N\nconst A\nY[i] = sum(j, abs(A[i,j])*x[j])", ("A[i,i] > 0",))
    assert not Signs(made.facts).positive(Ref("A", made.equations[0].target.indices * 2))
    found = derive(made)
    assert found.check().ok
    assert "abs" in write(found.gradient("x").equation)
    text = "axes i:N j:N\nconst A\nY[i] = A[i,i]*x[i] + sum(j, A[i,j])"
    assert gradient(text, ("A[i,i] = 1",)) == "dx[i] = dY[i]"


def test_a_sign_is_known_only_where_it_follows() -> None:
    def fact(text: str) -> Fact:
        return layer("const v b t\nY[i] = v[i]*b*t*x[i]", (text,)).facts[0]

    signs = Signs([fact("v[i] > 0"), fact("b >= 0"), fact("b < 1"), fact("t > 0")])

    def value(text: str) -> Any:
        """The expression, read as a factor of an equation."""
        factor = Layer.parse("value", f"Y[i] = tanh(x[i]) + exp({text})").equations[0].value
        return next(n.args[0] for n in walk(factor) if isinstance(n, Fn) and n.name == "exp")

    for text in ("v[i]*exp(x[i])", "1 - b^t", "v[i] + x[i]^2", "sqrt(v[i])/(1 - b)"):
        assert signs.positive(value(text)), text
    for text in ("x[i]*x[i] + b", "abs(x[i])", "b*v[i]"):
        assert signs.not_negative(value(text)), text
        assert not signs.positive(value(text)), text
    for text in ("x[i]", "v[i] - x[i]^2", "1 - t", "1 - x[i]^t", "x[i]^3"):
        assert not signs.not_negative(value(text)), text


# ---------------------------------------------------------------------------------------------------- kernels


def kernels(made: Layer, folder: Path) -> tuple[Any, Any]:
    texts = rendered(derive(made))
    return load(texts["numpy"], "facts_numpy", folder), load(texts["torch"], "facts_torch", folder)


def test_a_kernel_says_which_fact_its_arguments_break_and_where(tmp_path: Path) -> None:
    made = layer("axes i:N j:M\nconst A\nY[i] = sum(j, A[i,j]*x[j])", STOCHASTIC)
    numpy_kernel, torch_kernel = kernels(made, tmp_path)
    A, x = np.full((3, 4), 0.25), np.arange(4.0)

    def both(wrong: np.ndarray[Any, Any], message: str) -> None:
        numpy_kernel.forward(wrong, x)
        torch_kernel.layer(torch.tensor(wrong), torch.tensor(x))
        with pytest.raises(ValueError, match=message):
            numpy_kernel.forward(wrong, x, validate=True)
        with pytest.raises(ValueError, match=message):
            torch_kernel.layer(torch.tensor(wrong), torch.tensor(x), validate=True)

    assert np.allclose(numpy_kernel.forward(A, x, validate=True)[0], torch_kernel.layer(torch.tensor(A), torch.tensor(x), validate=True))
    heavy = A.copy()
    heavy[1] *= 1.5
    heavy[2] *= 2
    both(
        heavy, r"layer: A does not respect the declared fact sum\(j, A\[i,j\]\) = 1: its sides differ by 1 at i = 2, the worst of 2 places"
    )
    negative = A.copy()
    negative[0, 1:3] = -0.25, 0.75
    both(negative, r"fact 0 < A\[i,j\]: the greater side minus the other is -0.25 at i = 0, j = 1$")
    missing = A.copy()
    missing[1, 1] = np.nan
    both(missing, r"sides differ by nan at i = 1$")


def test_facts_with_conditions_and_scalars_are_checked_too(tmp_path: Path) -> None:
    made = layer("axes i:B j:C k:C\nconst T b\nY[i] = b*sum(j, T[i,j]*x[j])", (*ONE_HOT, "b < 1"))
    numpy_kernel, torch_kernel = kernels(made, tmp_path)
    T, x = np.eye(3)[[0, 2, 1, 1]], np.ones(3)
    half = np.array(0.5)
    order = {"T": T, "b": half, "x": x}
    numpy_kernel.forward(*(order[name] for name in made.inputs), validate=True)
    for wrong, message in (
        ({"T": T / 2 + 1 / 6}, "T does not respect"),
        ({"b": np.array(1.0)}, "b does not respect the declared fact b < 1"),
    ):
        given = [{**order, **wrong}[name] for name in made.inputs]
        with pytest.raises(ValueError, match=message):
            numpy_kernel.forward(*given, validate=True)
        with pytest.raises(ValueError, match=message):
            torch_kernel.layer(*map(torch.tensor, given), validate=True)


def test_a_layer_without_facts_has_nothing_to_validate(tmp_path: Path) -> None:
    numpy_kernel, _ = kernels(layer("Y[i] = 2*x[i]", ()), tmp_path)
    with pytest.raises(TypeError, match="validate"):
        numpy_kernel.forward(np.ones(2), validate=True)


def test_a_comparison_is_an_iverson_bracket_that_is_one() -> None:
    (fact,) = layer("const v\nY[i] = v[i]*x[i]", ("v[i] > 0",)).facts
    assert isinstance(fact.left, Iverson)
    assert isinstance(fact.left.right, Ref)
