"""Inverse, determinant and log-determinant: read, derived, checked and computed; symmetric matrices."""

from __future__ import annotations

import importlib
import json
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from reference import inputs_of, run, sizes_of
from sympy import Eq, Sum

from derive import Layer, SpecError, axes, derive, det, inv, logdet, tensors
from derive.check import FAILS, check_document
from derive.checker.arithmetic import Exact, Singular
from derive.checker.elimination import Dual, determinant, inverse
from derive.render.formula_latex import matrix_latex
from derive.render.formula_text import matrix_text
from derive.render.notation import context
from derive.render.page import page
from derive.render.text import page_lines, plain

SPECS = {
    "an inverse": "B[i,j] = inv(A)[i,j]",
    "a determinant in a function": "L = x*tanh(det(A)/100)",
    "a quadratic form": "D[n,i] = X[n,i] - m[i]\nL[n] = sum(i,j, D[n,i]*inv(S)[i,j]*D[n,j])",
    "a matrix of entries": "axes n:Q i:P j:P\nL = logdet(i,j, sum(n, X[n,i]*C[n]^2*X[n,j]) + E[i,j])",
    "the diagonal of an inverse": "L = sum(i, inv(A)[i,i]*x[i])",
    "a function of an inverse": "Y[i,j] = exp(inv(A)[j,i])*det(A)/10",
    "an inverse of an inverse": "B[i,j] = inv(A)[i,j]\nC[i,j] = sum(k, B[i,k]*X[k,j])\nL = sum(i, inv(C)[i,i])",
    "a matrix for each n": "L[n] = logdet(A[n]) + sum(i,j, inv(A[n])[i,j]*Y[i,j])",
    "a batch": "batch b:B\naxes i:N j:N\nY[i,j] = inv(A)[i,j]*logdet(A)",
    "an entry by labels": "axes i:N j:N n:B\nY[n] = inv(A)[y[n],y[n]]*A[y[n],y[n]]",
}


def shown(text: str, name: str, latex: bool = False) -> str:
    proof = derive(Layer.parse("layer", text)).proof(name)
    assert proof.matrix is not None
    return (matrix_latex if latex else matrix_text)(proof.matrix, context((t.name for t in proof.tensors), proof.batch))


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_gradients_equal_autograds_and_every_line_holds(text: str) -> None:
    layer = Layer.parse("layer", text)
    derivation = derive(layer)
    reports = [check_document(document) for document in derivation.documents()]
    assert all(report.ok for report in reports)
    sizes = sizes_of(layer)
    env = inputs_of(layer, sizes, seed=2)
    (output,) = layer.outputs
    value = run(layer.equations, env, sizes)[output]
    upstream = torch.randn(value.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    wanted = torch.autograd.grad(value, [env[name] for name in layer.wrt], upstream)
    plain_env = {**{name: tensor.detach() for name, tensor in env.items()}, f"d{output}": upstream}
    found = run((*derivation.definitions, *derivation.results), plain_env, sizes)
    for name, gradient in zip(layer.wrt, wanted):
        torch.testing.assert_close(found[f"d{name}"], gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("text", SPECS.values(), ids=SPECS)
def test_text_and_sympy_and_the_proof_document_read_back(text: str) -> None:
    layer = Layer.parse("layer", text)
    assert Layer.parse("layer", layer.text()).equations == layer.equations
    kinds = {"inputs": layer.inputs, "batch": [f"{i.name}:{i.dim}" for i in layer.batch]}
    assert Layer("layer", layer.sympy(), **kinds).equations == layer.equations  # type: ignore[arg-type]
    document = json.loads(json.dumps(derive(layer).document()))
    assert check_document(document).ok


def test_the_two_forms_of_a_spec_say_the_same() -> None:
    i, j, k, l = axes("i:N j:N k:N l:N")
    A, X, B, Y, L = tensors("A[N,N] X[N,N] B[N,N] Y[N,N] L[]")
    in_sympy = Layer("layer", [Eq(B[i, j], inv(A)[i, j]), Eq(L, Sum(X[i, j] * B[j, i], i, j) * det(A) + logdet(A[k, l] + X[k, l], k, l))])
    in_text = Layer.parse(
        "layer", "axes i:N j:N k:N\nB[i,j] = inv(A)[i,j]\nL = sum(i,j, X[i,j]*B[j,i])*det(A) + logdet(k,l, A[k,l] + X[k,l])"
    )
    assert in_sympy.equations == in_text.equations
    Z = Layer("layer", [Eq(Y[i, j], Sum(X[i, k] * inv(A)[k, l] * X[l, j], k, l))]).equations[0]
    assert str(Z) == str(Layer.parse("layer", "axes i:N\nY[i,j] = sum(k,l, X[i,k]*inv(A)[k,l]*X[l,j])").equations[0])


# ---------------------------------------------------------------------------------------------------- on paper


def test_matrix_form() -> None:
    assert shown("L = logdet(A)", "A") == "dL A⁻ᵀ"
    assert shown("L = det(A)", "A") == "dL L A⁻ᵀ"
    assert shown("B[i,j] = inv(A)[i,j]", "A") == "−Bᵀ dB Bᵀ"
    assert shown("L = logdet(A)", "A", latex=True) == "\\mathrm{d}L\\, \\underset{N \\times N}{A^{-\\top}}"
    text = plain(page_lines(page(derive(Layer.parse("layer", "Y[i,j] = det(A)*inv(A)[j,i] + logdet(A)")))))
    assert "Y[i,j] = det(A) A⁻¹[j,i] + logdet(A)" in text
    latex = derive(Layer.parse("layer", "L = logdet(A)*sum(i, inv(A)[i,i])")).proof("A").latex("baby")
    assert "\\log \\lvert \\det(A)\\rvert" in latex and "A^{-1}_{ii}" in latex.replace("'", "").replace("kk", "ii").replace("jj", "ii")


# ---------------------------------------------------------------------------------------------------- symmetry

SYMMETRIC = {
    "L = sum(i,j, x[i]*A[i,j]*x[j])": ("x", "2 dL A x"),
    "L = logdet(A)": ("A", "dL A⁻¹"),
    "D[n,i] = X[n,i] - m[i]\nL = sum(n,i,j, D[n,i]*inv(A)[i,j]*D[n,j])": ("D", "2 dL D A_inv"),
}


@pytest.mark.parametrize("text", SYMMETRIC)
def test_a_declared_symmetry_lets_terms_meet_and_the_check_rests_on_it(text: str) -> None:
    name, form = SYMMETRIC[text]
    derivation = derive(Layer.parse("layer", text, facts="A[i,j] = A[j,i]"))
    document = derivation.document()
    assert derivation.check().ok
    proof = derivation.proof(name)
    assert matrix_text(proof.matrix, context(t.name for t in proof.tensors)) == form  # type: ignore[arg-type]
    assert [step.rule for step in proof.steps].count("symmetry") == 1 and len(proof.facts) == 1
    document["layer"]["facts"] = []
    for each in document["proofs"]:
        each["facts"] = []
    report = check_document(document)
    line = next(each for each in report.proofs if each.name == f"d{name}").first_problem
    assert line is not None and line.verdict == FAILS and line.rule == "symmetry"


def test_the_page_says_what_the_gradient_of_a_symmetric_matrix_means() -> None:
    text = plain(page_lines(page(derive(Layer.parse("layer", "L = logdet(A)", facts="A[i,j] = A[j,i]")))))
    assert "The gradient of the symmetric A holds the derivatives by its entries, each moved alone." in " ".join(text.split())


# ---------------------------------------------------------------------------------------------------- the checker


def cofactors(table: list[list[Fraction]]) -> Fraction:
    if not table:
        return Fraction(1)
    rest = [[row[:j] + row[j + 1 :] for row in table[1:]] for j in range(len(table))]
    return sum(((-1) ** j * table[0][j] * cofactors(rest[j]) for j in range(len(table))), Fraction(0))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_elimination_inverts_and_differentiates_exactly(size: int) -> None:
    rng = np.random.default_rng(size)
    values, slopes = ([[Fraction(int(n)) for n in row] for row in rng.integers(-9, 10, (size, size))] for _ in range(2))
    rows = [[Dual(v, s) for v, s in zip(*both)] for both in zip(values, slopes)]
    inverted, found = inverse(rows, Exact()), determinant(rows, Exact())
    assert found.value == cofactors(values)
    # d det along S is the sum of the determinants with one row of S in the place of its own.
    assert found.slope == sum(cofactors([slopes[n] if n == k else row for n, row in enumerate(values)]) for k in range(size))
    for i, j in product(range(size), repeat=2):
        assert sum(values[i][k] * inverted[k][j].value for k in range(size)) == (i == j)
        # A inv(A) is constant.
        assert sum(slopes[i][k] * inverted[k][j].value + values[i][k] * inverted[k][j].slope for k in range(size)) == 0
    with pytest.raises(Singular):
        inverse([[Dual(0)] * size] * size, Exact())


@pytest.mark.parametrize("text", ["L = logdet(A)", "L = det(A)", "B[i,j] = inv(A)[i,j]"])
def test_a_wrong_rule_is_caught_at_its_line(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from derive.expr import Expr, MatrixFn, transform
    from derive.rules import matrices

    right = matrices.substitute

    def turned(expr: Expr, mapping: Any) -> Expr:
        return transform(
            right(expr, mapping),
            lambda node: MatrixFn(node.name, node.indices, node.body, node.at[::-1]) if isinstance(node, MatrixFn) else None,
        )

    rule = {"L = logdet(A)": "log_determinant_rule", "L = det(A)": "determinant_rule", "B[i,j] = inv(A)[i,j]": "inverse_rule"}[text]
    original = getattr(matrices, rule)

    def wrong(expr: Expr) -> Expr:
        after = original(expr)
        if after == expr:
            return expr
        return transform(
            after, lambda node: MatrixFn(node.name, node.indices, node.body, node.at[::-1]) if isinstance(node, MatrixFn) else None
        )

    monkeypatch.setattr("derive.rules." + rule, wrong)
    report = derive(Layer.parse("layer", text)).check()
    problem = next(proof for proof in report.proofs if proof.name == "dA").first_problem
    assert problem is not None and problem.rule == rule and problem.verdict == FAILS


# ---------------------------------------------------------------------------------------------------- kernels


def test_a_singular_matrix_is_named_by_the_kernel() -> None:
    singular = np.ones((3, 3))
    for name in ("matrix_inverse", "gaussian_nll"):
        kernel = importlib.import_module(f"generated.numpy.{name}")
        arguments = (singular,) if name == "matrix_inverse" else (np.ones((2, 3)), np.ones(3), singular)
        with pytest.raises(np.linalg.LinAlgError, match=f"{name}: a matrix to be inverted is singular"):
            kernel.forward(*arguments)
        assert "Raises LinAlgError where a matrix to be inverted is singular." in (kernel.__doc__ or "")
    torch_kernel = importlib.import_module("generated.torch.matrix_inverse")
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        torch_kernel.matrix_inverse(torch.ones(3, 3, dtype=torch.float64))
    determinant = importlib.import_module("generated.numpy.matrix_determinant")
    value, saved = determinant.forward(singular)
    assert value == 0
    with pytest.raises(np.linalg.LinAlgError, match="matrix_determinant: a matrix to be inverted is singular"):
        determinant.backward(1.0, saved)
    assert importlib.import_module("generated.numpy.log_determinant").forward(singular)[0] == -np.inf


# ---------------------------------------------------------------------------------------------------- mistakes

MISTAKES = {
    "axes i:N j:M\nL = sum(i,j, A[i,j])*det(A)": "the matrix of det(A) has to be square: axis 1 of A is N, but axis 2 of A is M",
    "axes i:N j:M\nB[i,j] = inv(A)[i,j]": "the matrix of inv(A)[i,j] has to be square: its rows run over N, but the index j runs over M",
    "L = inv(A)": "inv is a matrix: read it at two indices, as in inv(A)[i,j]",
    "L = sum(i, inv(A)[i])": "an inverse has two indices, as in inv(A)[i,j], not 1",
    "L = det(A + B)": "det takes a tensor of two axes by its name, as in det(A), or two indices and an entry, as in det(i,j, X[i]*X[j])",
    "L = inverse(A)": "there is no function inverse; write inv(A)[i,j]",
    "L = trace(A)": "there is no function trace; write sum(i, A[i,i])",
    "L = det(b) + sum(i, b[i])": "b[i] has 1 index, but the matrix b in equation 1 has 2",
    "det[i] = A[i]": "det is a function and cannot be the name of a tensor",
    "L = det(i,j, A[i])": "runs over j, which does not stand in what follows",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_mistakes_are_named_with_what_to_write(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        Layer.parse("layer", text)
    assert MISTAKES[text] in str(caught.value)
    assert "\n\n" not in str(caught.value)


def test_mistakes_in_sympy_are_named() -> None:
    i, j = axes("i:N j:N")
    A, C, L = tensors("A[N,N] C[B,N,N] L[]")
    with pytest.raises(SpecError, match=r"inv\(A\) is a matrix: read it at two indices, as in inv\(A\)\[i, j\]"):
        inv(A)[i]
    with pytest.raises(SpecError, match=r"C has 3 axes; give its rows and columns: det\(C\[n, i, j\], i, j\)"):
        Layer("layer", [Eq(L, det(C))])
    with pytest.raises(SpecError, match=r"det takes a tensor of two axes, det\(A\), or an entry and two indices"):
        Layer("layer", [Eq(L, det(A[i, j]))])
