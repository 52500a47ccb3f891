"""The tutor: what it calls right, what it says is wrong, and that nothing wrong is ever called right."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import pytest

from derive.__main__ import main
from derive.layers import layer
from derive.mutate import mistakes
from derive.proof import equation_json, expr_from, proof_json
from derive.sameness import same_line
from derive.tutor import Tutor
from derive.write import write

# A layer: (what a person writes, the outcome, the diagnosis).
TABLE = {
    "lstm": (
        ("dC[n,t,j] = dY_total[n,t,j]*O[n,t,j]*(1 - tanh(C[n,t,j])^2) + dC[n,t+1,j]*F[n,t+1,j]", "right", "right"),
        ("dC[n,t,j] = dY_total[n,t,j]*O[n,t,j]*(1 - tanh(C[n,t,j])^2)", "wrong", "missing term"),
        ("dF = dC * C", "wrong", "wrong"),
    ),
    "decay": (
        ("da[c] = sum(b,n, dH_total[b,n,c]*H[b,n-1,c])", "right", "right"),
        (r"da_{c} = \sum_{b,n} dH\_total_{b,n,c} H_{b,n-1,c}", "unreadable", "syntax"),
        ("da[c] = dH_total[b,n,c]*H[b,n-1,c]", "right", "right"),
        ("da[c] = sum(b,n, dH_total[b,n,c]*H[b,n,c])", "wrong", "wrong index"),
        ("da[c] = sum(b,n, dH[b,n,c]*H[b,n-1,c])", "wrong", "wrong tensor"),
        ("dX = dH_total", "right", "right"),
        ("dX = dH", "wrong", "wrong tensor"),
        ("dX[b,n,c] = dH[b,n,c] + a[c]*dX[b,n+1,c]", "right", "right"),
        ("dX[b,n,c] = dH[b,n,c] + a[c]*dX[b,n,c]", "unreadable", "syntax"),
        ("dX[b,n,c] = dH[b,n,c] + a[c]*dX[b,n^2,c]", "unreadable", "syntax"),
    ),
    "linear": (
        ("dX = dY W^T", "right", "right"),
        ("dX = dY @ W.T", "right", "right"),
        ("dX = dY W", "unreadable", "transpose inside"),
        ("dX = W dY^T", "wrong", "transposed"),
        (r"dL/dW = X^\top G", "right", "right"),
        (r"\frac{\partial L}{\partial W} = X^\top \frac{\partial L}{\partial Y}", "right", "right"),
        ("dW = torch.einsum('ik,ij->kj', X, dY)", "right", "right"),
        ("dW[a,b] = sum(n, X[n,a]*dY[n,b])", "right", "right"),
        (r"dW_{kj} = \sum_i X_{ik} dY_{ij}", "right", "right"),
        ("dW = -X^T dY", "wrong", "sign"),
        ("dW = X^T dY / B", "wrong", "constant factor"),
        ("db = dY", "wrong", "missing sum"),
        ("db = dY.sum(1)", "wrong", "wrong axis"),
        ("db = 1^T dY", "right", "right"),
        ("db[j] = dY[i,j]", "wrong", "missing sum"),
        ("db[j] = sum(i, dY[i,j]) / size(i)", "wrong", "constant factor"),
        ("dW = dY W^T", "wrong", "another gradient"),
        ("dX = X^T dY", "wrong", "another gradient"),
        ("dW = X^T dZ", "unreadable", "syntax"),
        ("dW = X^T (dY", "unreadable", "syntax"),
        ("dQ = X^T dY", "unreadable", "syntax"),
        ("dW = X^T Y", "wrong", "wrong tensor"),
        ("dW[k,j] = sum(i, X[k,i]*dY[i,j])", "unreadable", "indices swapped"),
        ("dW = X.t().mm(dY)", "right", "right"),
        ("dW = np.matmul(X.T, dY)", "right", "right"),
        ("dW = X.T.dot(dY)", "right", "right"),
        ("dX = dY.mm(W)", "unreadable", "transpose inside"),
        ("= 3", "unreadable", "syntax"),
        ("dW", "unreadable", "syntax"),
        ("dW = X^T dY)", "unreadable", "syntax"),
        ("dW = foo(X)", "unreadable", "syntax"),
        ("dW = X^T * dY", "unreadable", "wrong product"),
        ("db = dY.sum(axis=0, keepdims=True)", "right", "right"),
        ("db = dY.mean(0)", "wrong", "constant factor"),
        ("dY = X", "unreadable", "syntax"),
        # An index that stands twice and not on the left is summed, where no sum is written.
        ("dW[k,j] = X[i,k] dY[i,j]", "right", "right"),
        (r"dW_{kj} = X_{ik} dY_{ij}", "right", "right"),
        ("dX[i,k] = dY[i,j]*W[k,j]", "right", "right"),
        ("dX[i,k] = 2 dY[i,j] W[k,j]", "wrong", "constant factor"),
        ("dX[i,k] = -dY[i,j] W[k,j]", "wrong", "sign"),
        ("dX[i,k] = dY[i,k] W[k,j]", "unreadable", "shapes"),
        ("dW = np.einsum('ik,ij->kj', X, dY)", "right", "right"),
        ("dX = np.einsum('ij,kj', dY, W)", "right", "right"),
        ("dW = np.einsum('ij,ik', dY, X)", "wrong", "transposed"),
        ("dX = torch.einsum('ij, kj -> ik', dY, W)", "right", "right"),
        ("db = torch.einsum('ij->j', dY)", "right", "right"),
        ("dW = np.einsum('ik,jk->ij', X, dY)", "unreadable", "shapes"),
    ),
    "softmax": (
        ("dS = P * (dP - D[:, None])", "right", "right"),
        ("dS = P * (dP - np.sum(P * dP, axis=1, keepdims=True))", "right", "right"),
        (r"dS = P \odot (dP - \mathrm{rowsum}(dP \odot P))", "right", "right"),
        ("dS = P ∘ (dP − D 1ᵀ)", "right", "right"),
        ("dS = P * (dP - D)", "unreadable", "missing broadcast"),
        ("dS = P * dP", "wrong", "missing term"),
        ("dS = P * (dP - dP*P)", "wrong", "missing sum"),
        ("dS[i,j] = P[i,j]*dP[i,j] - P[i,j]*P[i,j]*dP[i,j]", "wrong", "missing sum"),
        ("dS = P * (dP + D[:, None])", "wrong", "sign"),
        ("dS = dP - D[:, None]", "wrong", "missing factor"),
        ("dS = P * (dP - np.sum(P * dP, axis=0))", "wrong", "wrong axis"),
        ("dS[i,j] = P[i,j]*(dP[i,j] - sum(k, P[i,k]*dP[i,k]))", "right", "right"),
        ("dS[i,j] = P[i,j]*(dP[i,j] - P[i,k]*dP[i,k])", "right", "right"),
        ("dS[i,j] = P[i,j] dP[i,j] - P[i,j] P[i,k] dP[i,k]", "right", "right"),
        ("dS[i,j] = P[i,j]*(dP[i,j] - P[i,k]*dP[i,j])", "wrong", "shape"),
        ("dS[i,j] = P[i,j]*(dP[i,j] + P[i,k]*dP[i,k])", "wrong", "sign"),
        ("dS[i,j] = P[i,j]*(dP[i,j] - sum(j, P[i,j]*dP[i,j]))", "right", "right"),
        ("dS = P * (1 - P) * dP", "wrong", "wrong"),
        ("dS = P (dP - D)", "unreadable", "shapes"),
        ("dS = P * (dP - rowsum(dP * P))", "right", "right"),
    ),
    "mse": (
        ("dY = 2 (Y - T) / (B N)", "right", "right"),
        ("dY = 2 * (Y - T) / (B * N)", "right", "right"),
        ("dY = 2 * (Y - T)", "wrong", "constant factor"),
        ("dY = (Y - T) / (B*N)", "wrong", "constant factor"),
        ("dY = 2*(T - Y)/(B*N)", "wrong", "sign"),
        ("dY = 2*(Y - T)/(B*B)", "wrong", "equal axes"),
        ("dY = 2*dL*(Y - T)/(B*N)", "right", "right"),
        ("dY = 2*(Y - T)/Y.shape[0]", "wrong", "constant factor"),
        ("dY = 2*(Y + T)/(B*N)", "wrong", "sign"),
        ("dY = 2*(Y-T)/6", "wrong", "constant factor"),
    ),
    "cross_entropy": (
        ("dZ = (P - T)/B", "right", "under a fact"),
        ("dZ = P - T", "wrong", "constant factor"),
        ("dZ = (softmax(Z) - T)/B", "right", "under a fact"),
        ("dZ = (T - P)/B", "wrong", "sign"),
        ("dZ = (P - T)/C", "wrong", "equal axes"),
        ("dP = -T / P / B", "right", "right"),
        (r"dL/dZ = \frac{1}{B} (P - T)", "right", "under a fact"),
        (r"\nabla_Z L = \frac{P - T}{B}", "right", "under a fact"),
    ),
    "cross_entropy_labels": (
        ("dZ = (P - onehot(y))/B", "right", "right"),
        ("dZ[i,j] = (P[i,j] - delta(y[i],j))/size(i)", "right", "right"),
    ),
    "attention": (
        ("dQ = dS K / sqrt(d_k)", "right", "right"),
        ("dQ = dS K", "wrong", "constant factor"),
        ("dQ = dS^T K / sqrt(d_k)", "unreadable", "transpose inside"),
        ("dQ = dS @ K / sqrt(d_v)", "wrong", "equal axes"),
        (r"dK = dS^T Q / \sqrt{d_k}", "right", "right"),
        ("dK = dS Q / sqrt(d_k)", "unreadable", "transpose inside"),
        ("dV = P^T dO", "right", "right"),
        ("dV = P dO", "unreadable", "transpose inside"),
        ("dS = P * (dP - D 1^T)", "right", "right"),
        ("dS = P * (dO V^T - rowsum(dO * O))", "right", "right"),
        ("dP = dO V^T", "right", "right"),
        ("dQ[i,d] = sum(j, dS[i,j]*K[j,d])/sqrt(d_k)", "right", "right"),
        ("D = rowsum(dO * O)", "right", "right"),
        ("dQ = dS K / 2", "wrong", "constant factor"),
        ("dP = dO^T V", "unreadable", "factors swapped"),
    ),
    "logistic_regression": (
        ("dw = X^T (sigmoid(z) - t) / B", "right", "right"),
        ("dw = X^T dz", "right", "right"),
        ("dw = X^T (sigmoid(z) - t)", "wrong", "constant factor"),
        ("dw = X (sigmoid(z) - t) / B", "unreadable", "factors swapped"),
        ("db = sum(sigmoid(z) - t) / B", "right", "right"),
        ("db = (sigmoid(z) - t).mean()", "right", "right"),
        ("db = (sigmoid(z) - t) / B", "wrong", "missing sum"),
        ("dX = dz w^T", "right", "right"),
        ("dX = np.outer(dz, w)", "right", "right"),
    ),
    "quadratic_form": (
        ("dx = (A + A^T) x", "right", "right"),
        ("dx = 2 A x", "wrong", "only under a fact"),
        ("dx = A x", "wrong", "missing term"),
        ("dA = x x^T", "right", "right"),
        ("dA = x * x", "wrong", "missing broadcast"),
    ),
    "log_determinant": (
        ("dA = A^{-T}", "right", "right"),
        ("dA = inv(A).T", "right", "right"),
        ("dA = A^{-1}", "wrong", "transposed"),
    ),
    "relu": (
        ("dX = dY * (X > 0)", "right", "right"),
        ("dX = np.where(X > 0, dY, 0)", "right", "right"),
        ("dX = dY * (X < 0)", "wrong", "wrong condition"),
        ("dX = dY * X", "wrong", "wrong"),
    ),
    "rms_norm": (
        ("dg = np.sum(dY * X / np.sqrt(v + eps)[:, None], axis=0)", "right", "right"),
        ("dX = dY * g / sqrt(v + eps)[:, None]", "wrong", "missing term"),
        ("dg = dY * X / np.sqrt(v + eps)[:, None]", "wrong", "missing sum"),
    ),
    "two_layer": (
        ("dZ = dH * (Z > 0)", "right", "right"),
        ("dW_1 = X^T dZ", "right", "right"),
        ("dW_1 = X^T dH", "wrong", "wrong tensor"),
        ("dH = dY W_2^T", "right", "right"),
        ("dW_2 = H^T dY", "right", "right"),
    ),
    "bilinear": (
        ("dX[i,k] = sum(o,l, dY[i,o]*W[o,k,l]*Z[i,l])", "right", "right"),
        ("dX[i,k] = sum(o, dY[i,o]*W[o,k,l]*Z[i,l])", "wrong", "missing sum"),
    ),
    "sigmoid": (
        ("dX = dY * Y * (1 - Y)", "right", "right"),
        ("dX = Y * (1 - Y)", "wrong", "missing factor"),
        ("dX = dY * Y", "wrong", "missing factor"),
    ),
}
MUTATED = ("linear", "softmax", "mse", "cross_entropy", "quadratic_form", "two_layer", "sigmoid", "bilinear", "rms_norm", "attention")
MUTANTS = 500

SOFTMAX = """
# the chain rule, entry by entry
A[i,j,l] = P[i,j] * (delta(j,l) - P[i,l])      # the Jacobian
q[i] = sum(j, P[i,j] * dP[i,j])
dS[i,l] = sum(j, dP[i,j] * A[i,j,l])
dS = P * (dP - q[:, None])
"""


@functools.cache
def tutor(name: str) -> Tutor:
    return Tutor(layer(name))


@pytest.mark.parametrize("name", TABLE)
def test_the_table_of_gradings(name: str) -> None:
    found = [(formula, *_graded(name, formula)) for formula, _, _ in TABLE[name]]
    assert found == list(TABLE[name])


def _graded(name: str, formula: str) -> tuple[str, str]:
    verdict = tutor(name).grade(formula)
    return verdict.outcome, verdict.diagnosis


def test_the_table_is_wide_enough() -> None:
    rows = [row for rows in TABLE.values() for row in rows]
    assert len(rows) >= 60 and len(TABLE) >= 8
    wanted = {"transposed", "factors swapped", "missing sum", "wrong axis", "constant factor", "sign", "missing broadcast", "equal axes"}
    assert wanted | {"only under a fact", "under a fact", "another gradient", "right"} <= {diagnosis for _, _, diagnosis in rows}


def test_no_mutated_formula_is_called_right_unless_it_is_equal() -> None:
    """Whether it is equal is decided in floating point by `derive.sameness`, which shares no code with the checker."""
    rng = random.Random(3)
    pool = []
    for name in MUTATED:
        derivation = tutor(name).derivation
        for proof in derivation.lemmas:
            result = equation_json(proof.result)
            scope = tuple((index[1], index[2]) for index in result["target"][2])
            found = list(mistakes(result["value"], scope))
            pool += [(name, proof, result, kind, after) for kind, after in found]
    read = 0
    while read < MUTANTS:
        name, proof, result, kind, after = rng.choice(pool)
        formula = f"{write(proof.result.target)} = {write(expr_from(after))}"
        verdict = tutor(name).judged(formula)
        read += verdict != "unreadable"
        if verdict == "right":
            assert same_line(proof_json(proof), result["value"], after), (name, formula, kind)


@pytest.mark.parametrize("name", MUTATED)
def test_what_the_engine_proves_is_right(name: str) -> None:
    for equation in tutor(name).derivation.results:
        verdict = tutor(name).grade(write(equation))
        assert verdict.outcome == "right", verdict


def test_lengths_of_axes_cannot_be_stood_for_by_numbers() -> None:
    for formula in ("dY = 2*(Y-T)/6", "dY = 2*(Y-T)/(B*(B+1))", "dY = 2*(Y-T)*(N-B)/(B*N)", "dY = 2*(B-N)*(Y-T)/(B*N)"):
        assert tutor("mse").grade(formula).outcome == "wrong", formula


# ---------------------------------------------------------------------------------------------------- derivations


def test_a_derivation_follows_line_by_line() -> None:
    verdicts = tutor("softmax").grade_lines(SOFTMAX)
    assert [v.outcome for v in verdicts] == ["right"] * 4
    assert [v.diagnosis for v in verdicts] == ["definition", "definition", "right", "right"]


def test_the_first_line_that_does_not_follow_is_pointed_at() -> None:
    verdicts = tutor("softmax").grade_lines(SOFTMAX.replace("dP[i,j] * A[i,j,l]", "dP[i,l] * A[i,j,l]"))
    assert (verdicts[-1].outcome, verdicts[-1].line) == ("wrong", 5)


def test_a_derivation_may_leave_its_sums_out() -> None:
    verdicts = tutor("softmax").grade_lines("q[i] = P[i,j] dP[i,j]\ndS[i,j] = P[i,j] (dP[i,j] - q[i])")
    assert [verdict.outcome for verdict in verdicts] == ["right", "right"]
    assert "summed over i by the summation convention" in tutor("linear").grade("dW[k,j] = X[i,k] dY[i,j]").message


def test_names_of_ones_own_are_forgotten_with_the_next_derivation() -> None:
    tutor("linear").grade_lines("R = X^T dY\ndW = R")
    assert tutor("linear").grade_lines("dW = R")[-1].outcome == "unreadable"


@pytest.mark.parametrize(
    ("formula", "factor"),
    [("dQ = dS K", "1/sqrt(d_k)"), ("dQ = 1/3*dS K", "3/sqrt(d_k)"), ("dQ = dS K / 2", "2/sqrt(d_k)"), ("dQ = dS K / 4", "4/sqrt(d_k)")],
)
def test_a_number_does_not_stand_for_the_root_of_a_length(formula: str, factor: str) -> None:
    verdict = tutor("attention").grade(formula)
    assert verdict.outcome == "wrong" and f"multiply it by {factor}." in verdict.message


def test_no_axis_keeps_its_length_from_world_to_world() -> None:
    for name in ("attention", "softmax", "layer_norm", "lstm"):
        judge = tutor(name).judge
        axes = tuple(judge.derivation.layer.dims)
        for rooted in (set(), {axes[-1]}):
            worlds = [judge._varied(axes, rooted, number) for number in range(4)]
            assert all(one[axis] != other[axis] for one, other in zip(worlds, worlds[1:]) for axis in axes)
            assert all(len(set(sizes.values())) == len(axes) for sizes in worlds)


# ---------------------------------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("formula", "code", "said"),
    [
        ("dW = X^T dY", 0, "is right"),
        ("dW = dY^T X", 1, "transpose of dW: it is M x N, and dW is N x M"),
        ("dW = dY X^T", 2, "no matrix product of B x M and N x B. swap the factors: dW = X^T dY"),
        ("dW = X^T (dY", 2, "the line ends here; expected ')'"),
        ("dW = X^T dy", 2, "there is no dy here; did you mean dY?"),
        ("dW = X^T softmx(dY)", 2, "there is no function softmx; did you mean softmax?"),
        ("dw = X^T dY", 2, "did you mean dW?"),
        ("dW = __import__('os')", 2, "__import__"),
        ("no_such_file.txt", 2, "neither an equation"),
    ],
)
def test_the_command_says_so_and_exits_so(formula: str, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["grade", "linear", formula]) == code
    out, err = capsys.readouterr()
    assert said in out + err
    assert "Traceback" not in err
    if code == 2 and "=" in formula:
        line, caret = err.splitlines()[-2:]
        assert line.strip() == formula and caret.strip() == "^"


def test_a_file_is_graded_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.txt"
    path.write_text("R = dY\ndW = X^T R\ndX = W R^T\n")
    assert main(["grade", "linear", str(path)]) == 1
    out = capsys.readouterr().out
    assert "line 2: dW = X^T R is right." in out and "line 3: dX = W R^T is wrong: this is the transpose" in out
