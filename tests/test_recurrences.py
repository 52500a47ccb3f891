"""Recurrences: equations that read themselves at an earlier place, from the spec to kernels that equal autograd's."""

from __future__ import annotations

import copy
from typing import Any

import kernel_checks as checks
import pytest
import torch
from derivations import DERIVED
from reference import run

import codegen
from derive import Layer, SpecError
from derive.check import check_document
from derive.engine import derive
from derive.recurrence import groups

LAYERS = {
    "further back": "h[t,j] = tanh(x[t,j] + a[j]*h[t-1,j] + b[j]*h[t-2,j])",
    "from the end": "h[t,j] = sin(x[t,j]*h[t+1,j]) + x[t,j]",
    "a first state": "h[t,j] = where(t == 0, h0[j], tanh(sum(k, W[j,k]*h[t-1,k]))) + x[t,j]",
    "a loss of all": "h[n,j,t] = tanh(x[n,t,j] + sum(k, h[n,k,t-1]*W[k,j]))\nL = sum(n,t,j, h[n,j,t]^2*v[j])/size(t)",
    "two that alternate": "a[t] = x[t]*b[t-1]\nb[s] = y[s] + a[s]\nc[s] = a[s]*c[s-1] + b[s+1]\nL = sum(s, c[s]*a[s])",
    "a softmax inside": (
        "s[t,m] = sum(k, h[t-1,k]*M[m,k]) + x[t,m]\np[t,m] = exp(s[t,m])/sum(q, exp(s[t,q]))\nh[t,k] = sum(m, p[t,m]*M[m,k])"
    ),
    "labels and places": "h[t,j] = tanh(E[y[t],j] + h[t-1,j]*w[j]/(position(t) + 1))",
    "a norm inside": "u[t,j] = h[t-1,j] + x[t,j]\nh[t,j] = u[t,j]/sqrt(sum(k, u[t,k]^2)/size(k) + 1/100)",
    "a log of a sum": "h[t,j] = log(sum(k, exp(h[t-1,k] + A[k,j]))) + x[t,j]",
    "a root of a sum": "h[t,j] = sqrt(sum(k, exp(h[t-1,k])*A[k,j]^2)) + x[t,j]",
}


@pytest.mark.parametrize("name", LAYERS)
def test_proofs_hold_and_kernels_equal_autograd(name: str) -> None:
    layer = Layer.parse("walked", LAYERS[name])
    derivation = derive(layer)
    reports = [check_document(document) for document in derivation.documents()]
    assert all(report.ok for report in reports)
    numpy, function = codegen.kernel(derivation, "numpy"), codegen.kernel(derivation, "torch")
    checks.numpy_equals_autograd(layer, numpy)
    checks.torch_equals_autograd(layer, function)
    checks.passes_gradcheck(layer, function)
    checks.passes_gradgradcheck(layer, function)


@pytest.mark.parametrize("length", [0, 1])
def test_sequences_of_no_and_of_one_step(length: int) -> None:
    derivation = DERIVED["rnn"]
    x, W, U, b = (torch.randn(*shape, dtype=torch.float64) for shape in ((3, length, 4), (4, 5), (5, 5), (5,)))
    given = {"X": x, "W": W, "U": U, "b": b}
    arguments = [given[name].requires_grad_() for name in derivation.layer.inputs]
    found = codegen.kernel(derivation, "torch")(*arguments)
    wanted = torch.tanh(x @ W + b)
    torch.testing.assert_close(found, wanted)
    mine = torch.autograd.grad(found.sum(), arguments, allow_unused=True)
    theirs = torch.autograd.grad(wanted.sum(), arguments, allow_unused=True)
    for one, other, like in zip(mine, theirs, arguments):
        torch.testing.assert_close(one, torch.zeros_like(like) if other is None else other)


def test_the_lstm_is_torchs() -> None:
    derivation = DERIVED["lstm"]
    theirs = torch.nn.LSTM(4, 5, bias=False, batch_first=True, dtype=torch.float64)
    (w, u) = (weights.detach().T.chunk(4, dim=1) for weights in (theirs.weight_ih_l0, theirs.weight_hh_l0))
    # torch's order: input, forget, cell, output.
    named = dict(zip(("W_z", "W_f", "W", "W_o", "U_z", "U_f", "U", "U_o"), (*w, *u)))
    named["X"] = torch.randn(3, 6, 4, dtype=torch.float64)
    arguments = [named[name].clone().requires_grad_() for name in derivation.layer.inputs]
    found = codegen.kernel(derivation, "torch")(*arguments)
    inputs = named["X"].clone().requires_grad_()
    wanted, _ = theirs(inputs)
    torch.testing.assert_close(found, wanted)
    upstream = torch.randn_like(wanted)
    gradients = dict(zip(derivation.layer.inputs, torch.autograd.grad(found, arguments, upstream)))
    wanted.backward(upstream)
    torch.testing.assert_close(gradients["X"], inputs.grad)
    torch.testing.assert_close(torch.cat([gradients[n] for n in ("U_z", "U_f", "U", "U_o")], 1).T, theirs.weight_hh_l0.grad)


def test_the_written_out_sum_is_the_recurrence() -> None:
    one, other = (DERIVED[name].layer for name in ("decay", "decay_scan"))
    given = {"X": torch.randn(2, 5, 3, dtype=torch.float64), "a": torch.randn(3, dtype=torch.float64)}
    sizes = {"B": 2, "N": 5, "C": 3}
    torch.testing.assert_close(run(one.equations, given, sizes)["H"], run(other.equations, given, sizes)["H"])


def test_the_whole_graph_is_compiled() -> None:
    derivation = DERIVED["gated_linear_attention"]
    function = codegen.kernel(derivation, "torch")
    layer = derivation.layer
    sizes = dict(zip(layer.dims, (2, 3, 4, 5)))
    arguments = [torch.randn([sizes[d] for d in layer.tensor(n).dims], requires_grad=True) for n in layer.inputs]
    plain = function(*arguments)
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")(*arguments)
    torch.testing.assert_close(compiled, plain)
    for a, b in zip(torch.autograd.grad(compiled.sum(), arguments), torch.autograd.grad(plain.sum(), arguments)):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("h[t] = x[t] + h[t-1] + h[t+1]", "one way"),
        ("h[t] = x[t]*h[t]", "h -> h"),
        ("h[t] = x[t] + sum(s, h[s])", "fixed distance from t"),
        ("h[t] = x[t] + h[2*t]", "fixed distance from t"),
        ("h[t,j] = x[t,j] + h[t-1,j] + h[t,j-1]", "at its own place"),
        ("a[t] = b[t] + x[t]\nb[t] = a[t] + a[t-1]", "a -> b -> a"),
    ],
)
def test_a_circle_that_no_axis_unrolls_is_refused(text: str, said: str) -> None:
    with pytest.raises(SpecError, match="defined in terms of itself") as raised:
        Layer.parse("layer", text)
    assert said in str(raised.value) and "h[t] = a*h[t-1] + x[t]" in str(raised.value)


def test_a_derivative_without_a_closed_form_is_refused() -> None:
    from derive.jacobian import jacobian

    with pytest.raises(SpecError, match="a step at a time"):
        jacobian(derive(Layer.parse("layer", "h[t] = a*h[t-1] + x[t]")), "x")


def test_groups_stand_in_an_order_in_which_they_can_be_computed() -> None:
    layer = Layer.parse("layer", "c[t] = h[t-1]*x[t]\nu[t] = 2*c[t]\nh[t] = c[t] + y[t]\nv[t] = u[t]*h[t]", outputs=("v", "u"))
    assert [group.members for group in groups(layer.equations)] == [("c", "h"), ("u",), ("v",)]
    derivation = derive(layer)
    assert derivation.check().ok
    checks.torch_equals_autograd(layer, codegen.kernel(derivation, "torch"))


def _changed(document: dict[str, Any], name: str, change: Any) -> Any:
    """The verdicts on one proof of a document after a change to it."""
    document = copy.deepcopy(document)
    proof = next(proof for proof in document["proofs"] if proof["name"] == name)
    change(proof)
    return next(report for report in check_document(document).proofs if report.name == name)


def _lag(node: Any, tensor: str, value: str) -> None:
    """Every reading of the tensor at a place moved to another distance."""
    if isinstance(node, list):
        if node and node[0] == "ref" and node[1] == tensor:
            for index in node[2]:
                if index[0] == "affine":
                    index[1][1][1] = ["num", value]
        for part in node:
            _lag(part, tensor, value)
    elif isinstance(node, dict):
        for part in node.values():
            _lag(part, tensor, value)


@pytest.mark.parametrize("text", ["h[t] = a*h[t-1] + x[t]", "h[t] = log(exp(h[t-1]) + x[t])"])  # in the second by way of a named sum
def test_the_checker_takes_no_circle_for_a_recurrence(text: str) -> None:
    document = derive(Layer.parse("layer", text)).document()
    assert check_document(document).ok

    def at_its_own_place(proof: Any) -> None:
        _lag(proof["given"], "h", "0")

    assert not _changed(document, "dx in full", at_its_own_place).ok

    def shown_by_itself(proof: Any) -> None:
        last = copy.deepcopy(proof["steps"][-1])
        last["after"] = proof["goal"]["target"]
        proof["steps"].append(last)

    assert not _changed(document, "dh_total", shown_by_itself).ok

    def wrong_way(proof: Any) -> None:
        _lag(proof["steps"][-1], "dh_total", "-1")

    assert not _changed(document, "dh_total", wrong_way).ok

    def without_what_it_passes_on(proof: Any) -> None:
        for step in proof["steps"]:
            step["after"] = ["ref", "dh", [["idx", "t", "T"]]]
        proof["goal"]["value"] = ["ref", "dh", [["idx", "t", "T"]]]

    assert not _changed(document, "dh_total", without_what_it_passes_on).ok
