"""Two layers proved equal: every claim of the catalogue, formulas, what is different, what is not proved, and what cannot be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from kernel_reference import load
from reference import SIZES, inputs_of, run

from codegen.source import rendered
from derive import Layer, SpecError, derive
from derive.__main__ import main
from derive.agreement import Agreement, agreement
from derive.check import check_document
from derive.correspondence import one_example
from derive.layers import layer, names
from derive.layers.equals import EQUALS, Same, equals_of
from derive.write import write

CLAIMS = {f"{same.first}-{same.second}": same for same in EQUALS}


def claimed(same: Same) -> Agreement:
    return agreement(layer(same.first), layer(same.second), same.where, same.facts)


def formulas(first: str, second: str, where: tuple[str, ...] = (), facts: tuple[str, ...] = ()) -> Agreement:
    return agreement(Layer.parse("first", first), Layer.parse("second", second), where, facts)


# ---------------------------------------------------------------------------------------------------- the catalogue


@pytest.mark.parametrize("name", CLAIMS)
def test_every_claim_of_the_catalogue_is_proved_and_every_line_holds(name: str) -> None:
    found = claimed(CLAIMS[name])
    assert found.proved, found.difference or found.stuck
    report = found.check()
    assert report.ok, [proof.first_problem for proof in report.proofs if not proof.ok]
    shown = {proof.goal.target.tensor for proof in found.proofs}
    assert {found.pair.names[output] for output in found.second.outputs} <= shown


@pytest.mark.parametrize("name", CLAIMS)
def test_what_is_proved_equal_has_equal_numbers(name: str) -> None:
    """The second layer by itself, on what the correspondence says its inputs are, computes what the proofs end in."""
    found = claimed(CLAIMS[name])
    both = found.pair.layer
    sizes = dict(zip(both.dims, SIZES))
    env = {key: value.detach() for key, value in inputs_of(both, sizes, seed=3).items()}
    side_by_side = run(both.equations, env, sizes)
    second = found.second if found.second.batch == both.batch else one_example(found.second)
    own = {name: side_by_side[found.pair.names[name]] for name in second.inputs}
    lengths = {dim: size for t in second.tensors if t.name in own for dim, size in zip(t.dims, own[t.name].shape)}
    alone = run(second.equations, own, lengths)
    for proof in found.proofs:
        ends = run((proof.result,), side_by_side, sizes)[proof.goal.target.tensor]
        torch.testing.assert_close(side_by_side[proof.goal.target.tensor], ends)
    for output in second.outputs:
        torch.testing.assert_close(side_by_side[found.pair.names[output]], alone[output])


def test_a_claim_names_layers_of_the_catalogue_and_needs_its_hypotheses() -> None:
    assert {name for same in EQUALS for name in (same.first, same.second)} <= set(names())
    assert [same.second for same in equals_of("linear")] == ["linear_out_in"]
    same = CLAIMS["pairwise_convolution_split-pairwise_convolution"]
    without = agreement(layer(same.first), layer(same.second))
    assert not without.proved
    assert "sizes" in without.difference


def test_a_false_line_in_a_proof_of_equality_is_found() -> None:
    found = claimed(CLAIMS["factorisation_machine-factorisation_machine_pairs"])
    document = json.loads(json.dumps(found.document))
    (proof,) = document["proofs"]
    for number, step in enumerate(proof["steps"][:-1]):
        wrong = json.loads(json.dumps(document))
        wrong["proofs"][0]["steps"][number]["after"] = ["mul", [["num", "2"], step["after"]]]
        report = check_document(wrong)
        assert not report.ok
        assert report.proofs[0].first_problem is not None
        assert report.proofs[0].first_problem.line == number + 1
    claim = json.loads(json.dumps(document))
    claim["proofs"][0]["goal"]["value"] = claim["layer"]["equations"][0]["value"]
    assert not check_document(claim).ok


def test_a_layers_page_tells_of_its_equals() -> None:
    derivation = derive(layer("linear"))
    assert [found.second.name for found in derivation.equals] == ["linear_out_in"]
    assert derive(Layer.parse("linear", "Y[i] = 2*X[i]")).equals == ()
    from derive.render.text import document

    text = document(derivation, ascii=True)
    assert "Equal: linear_out_in" in text
    assert "W_2[j,k] = W[k,j]" in text
    assert any(report["layer"]["name"] == "linear_and_linear_out_in" for report in derivation.documents())


# ---------------------------------------------------------------------------------------------------- formulas

PROVED = {
    "a softmax does not see a shift": (
        "P[i,j] = exp(S[i,j]) / sum(k, exp(S[i,k]))",
        "P[i,j] = exp(S[i,j] - m[i]) / sum(k, exp(S[i,k] - m[i]))",
        (),
        (),
    ),
    "a square": ("Y[i] = (x[i] + z[i])^2", "Y[i] = x[i]^2 + 2*x[i]*z[i] + z[i]^2", (), ()),
    "tanh is a sigmoid": ("Y[i] = tanh(x[i])", "Y[i] = 2*sigmoid(2*x[i]) - 1", (), ()),
    "softplus and its mirror": ("Y[i] = softplus(-x[i])", "Y[i] = softplus(x[i]) - x[i]", (), ()),
    "a sigmoid and its mirror": ("Y[i] = sigmoid(-x[i])", "Y[i] = 1 - sigmoid(x[i])", (), ()),
    "relu is a scaled step": ("Y[i] = relu(3*x[i])", "Y[i] = 3*relu(x[i])", (), ()),
    "an orthogonal map keeps lengths": (
        "L = sum(k, x[k]^2)",
        "axes k:K i:N j:N\nL = sum(k, sum(i, Q[k,i]*x[i])*sum(j, Q[k,j]*x[j]))",
        (),
        ("sum(k, Q[k,i]*Q[k,j]) = where(i == j, 1, 0)",),
    ),
    "the logarithm of a quotient": ("Y[i] = log(v[i]) - log(w[i])", "Y[i] = log(v[i]/w[i])", (), ("v[i] > 0", "w[i] > 0")),
    "variance": (
        "s = sum(i, x[i]^2)/size(i) - (sum(i, x[i])/size(i))^2",
        "m = sum(i, x[i])/size(i)\ns = sum(i, (x[i] - m)^2)/size(i)",
        (),
        (),
    ),
    "trace of a product": ("L = sum(i,j, A[i,j]*B[j,i])", "L = sum(i,j, B[i,j]*A[j,i])", (), ()),
    "a symmetric form": ("axes i:N j:N\nY[i] = sum(j, A[i,j]*x[j])", "axes i:N j:N\nY[i] = sum(j, x[j]*A[j,i])", (), ("A[i,j] = A[j,i]",)),
    "axes of other names": ("Y[i,j] = sum(k, X[i,k]*W[k,j])", "Y[a,b] = sum(c, W[b,c]*X[a,c])", (), ()),
    "a rename": ("Y[i] = sum(j, A[i,j]*x[j])", "Z[i] = sum(j, B[i,j]*u[j])", ("B[i,j] = A[i,j]", "u = x"), ()),
}


@pytest.mark.parametrize("name", PROVED)
def test_equal_formulas_are_proved_equal(name: str) -> None:
    first, second, where, facts = PROVED[name]
    found = formulas(first, second, where, facts)
    assert found.proved, found.difference or found.stuck
    assert found.check().ok


def test_what_differs_is_said_to_differ_with_numbers() -> None:
    found = formulas("Y[i] = sum(j, A[i,j]*x[j])", "Y[i] = sum(j, A[j,i]*x[j])", ("A[j,i] = A[j,i]",))
    assert not found.proved
    assert "Y_2: the second is" in found.difference
    found = formulas("Y[i] = (x[i] + 1)^2", "Y[i] = x[i]^2 + 1")
    assert "the first" in found.difference
    assert "sizes I = " in found.difference


def test_what_is_not_proved_is_not_called_different() -> None:
    found = formulas("Y[i] = sin(x[i])^2", "Y[i] = 1 - cos(x[i])^2")
    assert (found.proved, found.difference) == (False, "")
    assert found.stuck == "Y_2"


# ---------------------------------------------------------------------------------------------------- the command


def test_the_command_prints_the_proof_and_its_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["equal", "linear_out_in", "linear"]) == 0
    out = capsys.readouterr().out
    assert "linear_out_in computes what linear does" in out
    assert "All 4 lines in 1 proof hold" in out
    assert main(["equal", "Y[i] = 2*x[i]", "Y[i] = x[i] + x[i]"]) == 0
    assert main(["equal", "softmax", "softmax_columns", "--format", "json", "-o", str(tmp_path / "proof.json")]) == 0
    assert check_document(json.loads((tmp_path / "proof.json").read_text())).ok
    assert main(["equal", "softmax", "softmax_columns", "--format", "latex"]) == 0
    assert "\\begin{document}" in capsys.readouterr().out


def test_files_are_compared_like_layers_of_the_catalogue(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "mine.layer").write_text("Y[i,j] = b[j] + sum(k, W[j,k]*X[i,k])\n")
    (tmp_path / "two.py").write_text(
        "from derive import Layer\nONE = Layer.parse('one', 'Y[i] = 2*x[i]')\nTWO = Layer.parse('two', 'Y[i] = x[i] + x[i]')\n"
    )
    assert main(["equal", str(tmp_path / "mine.layer"), "linear_out_in"]) == 0
    assert main(["equal", f"{tmp_path}/two.py:one", f"{tmp_path}/two.py:two"]) == 0
    assert "two computes what one does" in capsys.readouterr().out
    assert main(["equal", f"{tmp_path}/two.py", "linear"]) == 2
    assert "has several layers (one, two); choose one" in capsys.readouterr().err


def test_the_command_exits_1_where_nothing_is_proved(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equal", "attention", "attention_causal"]) == 1
    assert capsys.readouterr().err.startswith("attention and attention_causal are different: O_2: the second is")
    assert main(["equal", "Y[i] = sin(x[i])^2", "Y[i] = 1 - cos(x[i])^2"]) == 1
    assert "no proof was found that Y_2 is equal, and no numbers at which it differs" in capsys.readouterr().err


BAD = [
    (["linear", "softmax"], "softmax has an input S and linear has none of that name; say what it is: --where 'S[b,c] = ...'"),
    (["linear", "linear", "--where", "V = W"], "`V = W` speaks of V, which is no input or output of linear"),
    (["linear", "linear", "--where", "W[k,j] = V[k,j]"], "in `W[k,j] = V[k,j]`, V is no input of linear"),
    (["linear", "linear", "--where", "W = W", "--where", "W[j,k] = W[k,j]"], "W is said to be two things"),
    (["linear", "linear", "--where", "W[j,k] = "], "the line ends where"),
    (["linear", "linear", "--fact", "sum(j, V[i,j]) = 1"], "V is in no equation"),
    (["linear", "no_such_layer"], "there is no layer 'no_such_layer'"),
    (["Y[i] = X[i]", "Y[i,j] = X[i,j]"], "X[i,j] of the_second_formula cannot be X[i] of the_first_formula"),
    (["linear", "Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]; Z[i,j] = 2*Y[i,j]", "--where", "Z[i] = Y[i,j]"], "index j is free on the right"),
]


@pytest.mark.parametrize(("words", "message"), BAD)
def test_what_cannot_be_asked_is_said_in_a_sentence(words: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["equal", *words]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said


def test_a_correspondence_has_to_fit_the_axes() -> None:
    with pytest.raises(SpecError, match="cannot be one tensor"):
        formulas("Y[i,j] = sum(k, X[i,k]*W[k,j])", "Y[i,j] = sum(k, X[i,k]*W[k,j])", ("W[k] = X[k,k]",))


# ---------------------------------------------------------------------------------------------------- parameter updates

RATES = {"lr": 0.05, "weight_decay": 0.1, "mu": 0.9, "tau": 0.3, "beta_1": 0.8, "beta_2": 0.95, "eps": 1e-3}


def steps(kernel: Any, optimiser: Any, theta: torch.Tensor, names_in: tuple[str, ...], state: dict[str, str], first: int) -> None:
    """Several steps of torch's optimiser on a quartic, and at each the kernel's step from the same state: the same numbers."""
    order = {"theta_new": "theta", **{f"{name}_new": name for name in state}}
    for count in range(1, 6):
        optimiser.zero_grad()
        ((theta**4).sum() / 4 + (theta * torch.arange(1.0, 5.0)).sum()).backward()
        held = optimiser.state[theta]
        given: dict[str, Any] = {**RATES, "theta": theta.detach().numpy().copy(), "G": theta.grad.numpy().copy(), "t": float(count)}
        for name, key in state.items():
            given[name] = held[key].numpy().copy() if held else np.zeros(4)
        optimiser.step()
        if count >= first:
            values, _ = kernel.forward(*(np.asarray(given[name], dtype=float) for name in names_in))
            made = dict(zip(order, values if isinstance(values, tuple) else (values,)))
            np.testing.assert_allclose(made["theta_new"], theta.detach().numpy(), rtol=1e-12)
            for name, key in state.items():
                np.testing.assert_allclose(made[f"{name}_new"], optimiser.state[theta][key].numpy(), rtol=1e-12)


OPTIMISERS: dict[str, tuple[Any, dict[str, str], int]] = {
    "sgd_torch": (lambda p: torch.optim.SGD(p, lr=0.05, weight_decay=0.1), {}, 1),
    # torch starts its buffer with the gradient itself, undamped: from the second step on the formula holds.
    "momentum_torch": (lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.3, weight_decay=0.1), {"B": "momentum_buffer"}, 2),
    "nesterov_torch": (lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.1), {"B": "momentum_buffer"}, 1),
    "adam_torch": (
        lambda p: torch.optim.Adam(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        {"M": "exp_avg", "V": "exp_avg_sq"},
        1,
    ),
    "adamw_torch": (
        lambda p: torch.optim.AdamW(p, lr=0.05, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.1),
        {"M": "exp_avg", "V": "exp_avg_sq"},
        1,
    ),
}


@pytest.mark.parametrize("name", OPTIMISERS)
def test_an_update_is_the_step_that_torch_takes(name: str, tmp_path: Path) -> None:
    make, state, first = OPTIMISERS[name]
    made = layer(name)
    kernel = load(rendered(derive(made), ("numpy",))["numpy"], name, tmp_path)
    theta = torch.tensor([0.5, -0.25, 1.0, 0.75], dtype=torch.float64, requires_grad=True)
    steps(kernel, make([theta]), theta, made.inputs, state, first)


def test_each_update_of_a_paper_is_one_that_torch_takes() -> None:
    papers = {same.second: same.first for same in EQUALS if same.first in OPTIMISERS}
    assert papers == {
        "sgd": "sgd_torch",
        "momentum": "momentum_torch",
        "nesterov": "nesterov_torch",
        "adam": "adam_torch",
        "adamw": "adamw_torch",
    }
    found = claimed(CLAIMS["nesterov_torch-nesterov"])
    results = {write(proof.result) for proof in found.proofs}
    assert "phi_new_2[p] = theta_new[p]" in results
    assert "V_new_2[p] = -lr*B_new[p]" in results
