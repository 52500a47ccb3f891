"""Conventions: what is switched, that the gradients are proved the same, that lines are read back, and what a user may get wrong."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
import torch
from derivations import DERIVED
from reference import SIZES, inputs_of, run
from test_languages import LETTERS, OTHERS

from benchmarks.conventions import NOTHING, cells
from derive import reading
from derive.__main__ import main
from derive.check import check_document
from derive.conventions import Conventions, Restated, other_indices, restate
from derive.engine import derive
from derive.equality import equal
from derive.expr import Expr, Idx, Sum, mul, num, transform
from derive.jacobian import jacobian
from derive.layers import layer
from derive.layouts import laid_out, transposed_jacobian
from derive.render.blocks import Bullets, Heading, Paragraph
from derive.render.conventions import convention_page
from derive.render.languages import speaker
from derive.render.page import page
from derive.restated import renamed
from derive.rules import pull_out
from derive.spec import Layer
from derive.storage import data, example_axes, transposed, weights
from derive.write import write

ASKED = "--layout numerator --batch cols --weight out_in --upstream G --indices n,m,k --sum einstein --index-base 1"
EVERYTHING = ASKED.split()


def restated(name: str, **asked: object) -> Restated:
    return restate(layer(name), Conventions(**asked), derive)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------------------------------- what is switched

LIES = {
    "linear": ("X Y", {"W": "in_out"}),
    "linear_out_in": ("X Y", {"W": "out_in"}),
    "softmax": ("S P", {}),
    "attention": ("Q K V S P O", {}),
    "grouped_query": ("Q K V S P O", {}),
    "attention_bias": ("Q K V bias S P O", {}),
    "multi_head": ("X Q K V S P O Y", dict.fromkeys(("W_q", "W_k", "W_v", "W_o"), "in_out")),
    "cross_entropy_labels": ("Z P", {}),
    "convolution_1d": ("", {}),
    "kronecker": ("", {"A": "out_in", "B": "out_in"}),
    "embedding": ("Y", {}),
    "residual": ("X H Y", {"W": "in_out"}),
    "quadratic_form": ("", {}),
}


@pytest.mark.parametrize("name", LIES)
def test_examples_and_weights_are_found_from_the_equations_alone(name: str) -> None:
    spec = layer(name)
    assert (" ".join(data(spec)), weights(spec)) == LIES[name]
    new = {t.name: f"T_{n}" for n, t in enumerate(spec.tensors)}
    tensors = [replace(t, name=new[t.name]) for t in spec.tensors]
    names = [[new[name] for name in each] for each in (spec.inputs, spec.outputs, spec.wrt)]
    other = Layer.of("other", tensors, renamed(spec.equations, new), (), *names, spec.batch, "", renamed(spec.sizes, new))
    assert list(data(other)) == [new[name] for name in data(spec)]
    assert weights(other) == {new[name]: way for name, way in weights(spec).items()}


def test_a_layer_transposed_twice_is_itself_and_examples_are_columns_then() -> None:
    spec = layer("multi_head")
    names = (*data(spec), *weights(spec))
    assert transposed(transposed(spec, names), names) == spec
    columns = transposed(spec, data(spec))
    assert example_axes(spec) == ("N",) and all(columns.tensor(name).dims[-1] == "N" for name in data(spec))


# ---------------------------------------------------------------------------------------------------- what is proved


@pytest.mark.parametrize("name", ["linear", "softmax", "cross_entropy_labels", "kronecker", "mahalanobis", "decay", "residual", "row_norm"])
def test_every_switch_is_proved_to_give_the_same_gradients(name: str) -> None:
    found = cells(name)
    assert all(cell.good for cell in found.values()), found
    assert found["upstream G"].text != NOTHING and found["all at once"].text != NOTHING


@pytest.mark.parametrize("name", ["linear", "softmax", "attention_additive"])
def test_the_switched_gradients_have_the_numbers_of_the_given_ones_transposed(name: str) -> None:
    own = DERIVED[name]
    stated = restate(own.layer, Conventions("numerator", "cols", "out_in", None, other_indices(own.layer)), derive)
    sizes = dict(zip(own.layer.dims, SIZES))
    env = {key: value.detach() for key, value in inputs_of(own.layer, sizes, seed=5).items()}
    shape = {t.name: [sizes[dim] for dim in t.dims] for t in own.tensors}
    env.update({name: torch.randn(shape[name], dtype=torch.float64) for name in own.upstream})
    turned = {*stated.moved} | {n for n in (*own.upstream, *own.gradients) if (n[1:] in stated.moved) != (len(shape[n]) > 1)}
    first = run((*own.definitions, *own.results), env, sizes)
    other = {name: value.mT if name in turned else value for name, value in env.items()}
    second = run((*stated.derivation.definitions, *stated.derivation.results), other, sizes)
    for gradient in (*own.layer.outputs, *own.gradients):
        here = second[gradient].mT if gradient in turned else second[gradient]
        assert torch.allclose(here, first[gradient], rtol=1e-10), gradient


def test_a_gradient_that_does_not_lie_as_it_is_said_to_is_found_out() -> None:
    turned = laid_out(DERIVED["linear"], "numerator").document()
    assert check_document(turned).ok
    for wrong in ({**turned["layer"], "layout": "gradient"}, {k: v for k, v in turned["layer"].items() if k != "layout"}):
        assert not check_document({**turned, "layer": wrong}).ok
    with pytest.raises(ValueError, match="there is no layout"):
        check_document({**turned, "layer": {**turned["layer"], "layout": "sideways"}})
    named = restated("linear", upstream="G").document()
    assert check_document(named).ok
    with pytest.raises(ValueError, match="cannot be the name"):
        check_document({**named, "layer": {**named["layer"], "upstream": {"G": "dX"}}})


def test_a_wrong_gradient_in_the_other_convention_is_not_proved() -> None:
    stated = restated("linear", batch="cols")
    lemma = stated.plain.proof("W")
    last = lemma.steps[-1]
    twice = replace(lemma, steps=(*lemma.steps[:-1], replace(last, after=mul(num(2), last.after))))
    wrong = replace(stated.plain, lemmas=tuple(twice if proof is lemma else proof for proof in stated.plain.lemmas))
    found = replace(stated, plain=wrong, derivation=wrong).agreement
    assert not found.proved and found.stuck == "dW_2" and "the second" in found.difference


def test_an_index_that_no_equation_names_gets_a_name_of_its_own() -> None:
    spec = Layer.parse("formula", "shape X[N,B] Z[M,B]\nsize(f) = size(N) + size(M)\nY[f,n] = X[position(f),n] + Z[f - size(N),n]")
    made = derive(spec)
    assert made.check().ok
    assert [i.name for i in made.gradient("X").equation.target.indices if isinstance(i, Idx)] == ["n'", "n"]


def test_jacobians_in_the_two_layouts_are_transposes() -> None:
    own = DERIVED["softmax"]
    numerator = jacobian(own, "S")
    other, same = transposed_jacobian(numerator, own.layer)
    assert [i.name for i in other.goal.target.indices if isinstance(i, Idx)] == ["i", "j", "i'", "j'"]
    assert same.result.value == numerator.goal.target


# ---------------------------------------------------------------------------------------------------- what is written

WRITTEN = {
    "sum(k, X[i,k]*W[k,j]) + b[j]": "X[i,k]*W[k,j] + b[j]",
    "sum(k,l, X[i,k]*A[k,l]*W[l,j])": "X[i,k]*A[k,l]*W[l,j]",
    "sum(k, X[i,k]*(W[k,j] - V[k,j]))": "X[i,k]*(W[k,j] - V[k,j])",
    "sum(k, A[k,k])*X[i,j]": "A[k,k]*X[i,j]",
    # once, three times, in a power, in a function, around one, in one term of two, beside another k
    "sum(k, X[i,k])*b[j]": None,
    "sum(k, A[k,k]*X[i,j])/sum(k, B[k,k])": None,
    "sum(k, X[i,k]*W[k,j]*c[k])": None,
    "sum(k, X[i,k]*X[i,k]*W[k,j])": None,
    "sum(k, exp(X[i,k])*W[k,j])": None,
    "exp(sum(k, X[i,k]*W[k,j]))": None,
    "sum(k, X[i,k]*(W[k,j] - b[j]))": None,
    "sum(k, X[i,k]*W[k,j])*sum(k, X[i,k]*V[k,j])": None,
    "sum(k, X[i,k]*W[j + k,k]) + b[j]": None,
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_sum_is_left_out_where_its_index_stands_twice_in_a_product_and_only_there(text: str) -> None:
    spec = Layer.parse("formula", ("shape W[L,K]\n" if "W[j + k" in text else "") + f"Y[i,j] = {text}")
    value, left = spec.equations[0].value, [i for i in spec.equations[0].target.indices if isinstance(i, Idx)]
    short = reading.written(value, left, True, 0, spec.tensors)
    assert write(short) == (WRITTEN[text] or write(value))
    assert equal(pull_out(reading.read(short, left, True, 0, spec.tensors)), pull_out(value))


COUNTED = {
    "sum(k, X[i,k]*where(k <= j, 1, 0))": "sum(k, X[i,k]*where(k <= j, 1, 0))",
    "X[i,j]*where(0 < j, 1, 0)": "X[i,j]*where(1 < j, 1, 0)",
    "b[j]*sin(position(j))": "b[j]*sin(position(j) - 1)",
    "sum(k, X[i,2*j + k - 1]*W[k])": "sum(k, X[i,2*j + k - 3]*W[k])",
    "X[i,y[j]]*position(y[j])": "X[i,y[j]]*(position(y[j]) - 1)",
    "b[j]*(position(i) - position(j))": "b[j]*(position(i) - position(j))",
}


@pytest.mark.parametrize("text", COUNTED)
def test_what_an_index_is_worth_is_written_as_counted_from_one(text: str) -> None:
    spec = Layer.parse("formula", ("int y:K\n" if "y[" in text else "") + f"shape X[I,K]\nY[i,j] = {text} + X[i,position(i)]*b[j]")
    value = spec.equations[0].value.terms[0]  # type: ignore[union-attr]
    short = reading.written(value, (), False, 1, spec.tensors)
    assert write(short) == COUNTED[text]
    assert write(reading.read(short, (), False, 1, spec.tensors)) == write(value)


@pytest.mark.parametrize(("name", "einstein", "base"), [("softmax", True, 0), ("decay_scan", False, 1), ("attention_window", True, 1)])
def test_every_line_as_it_is_written_is_the_line_that_was_proved(name: str, einstein: bool, base: int) -> None:
    report = check_document(reading.reading_document(DERIVED[name], einstein, base))
    assert report.ok, [proof.first_problem for proof in report.proofs if not proof.ok]


def test_a_sum_left_out_where_it_has_to_stay_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(node: Expr) -> Expr | None:
        return transform(node.body, bare) if isinstance(node, Sum) else None

    monkeypatch.setattr(reading, "implied", lambda expr, left: transform(expr, bare))
    assert not check_document(reading.reading_document(DERIVED["linear"], True, 0)).ok
    monkeypatch.undo()
    monkeypatch.setattr(reading, "counted_from_one", lambda expr, whole=(): expr)
    assert not check_document(reading.reading_document(DERIVED["decay_scan"], False, 1)).ok


# ---------------------------------------------------------------------------------------------------- the command


def run_command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    try:
        code = main(words)
    except SystemExit as left:
        code = int(left.code or 0)
    return (code, *capsys.readouterr())


@pytest.mark.parametrize("format", ["text", "latex", "markdown", "html", "json"])
def test_every_format_says_which_conventions_it_is_in(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(capsys, "linear", *EVERYTHING, "--format", format)
    assert code == 0
    if format == "json":
        said = json.loads(out)["conventions"]
        assert said["transposed"] == ["X", "Y", "W"] and said["upstream"] == {"dY": "G"} and said["index_base"] == 1
        assert check_document(json.loads(out)).ok
        return
    plain = re.sub(r"<[^>]*>|[`\\()$]", "", out)
    for sentence in ("Columns are examples", "Weights are stored out", "Numerator layout", "Indices are renamed", "Summation convention"):
        assert sentence in plain
    assert "count from 1" in plain and "upstream gradient of Y is called G" in plain


def test_the_results_are_those_of_the_convention(capsys: pytest.CaptureFixture[str]) -> None:
    def results(*words: str) -> str:
        return run_command(capsys, "linear", *words, "--no-check", "--detail", "brief")[1].partition("Results\n")[2]

    assert "dW = Xᵀ dY" in re.sub(" +", " ", results())
    assert "dW = X dYᵀ" in re.sub(" +", " ", results("--batch", "cols"))
    assert "dW = dYᵀ X" in re.sub(" +", " ", results("--weight", "out_in"))
    assert "dX = W G" in re.sub(" +", " ", results("--layout", "numerator", "--upstream", "G"))
    assert "db = rowsum(dYᵀ)" in re.sub(" +", " ", results("--layout", "denominator"))


def test_the_proof_is_printed_and_says_what_is_equal(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run_command(capsys, "linear", "--batch", "cols", "--prove-convention")
    assert code == 0 and "dW_2[k,j] = dW[k,j]" in out and "dX_2[k,i] = dX[i,k]" in out and "do not hold" not in out
    code, out, _ = run_command(capsys, "linear", "--batch", "cols", "--prove-convention", "--format", "json")
    assert code == 0 and check_document(json.loads(out)).ok
    code, out, _ = run_command(capsys, "softmax", "--sum", "einstein", "--prove-convention")
    assert code == 0 and "D[i] = dP[i,j] P[i,j]\n  D[i] = Σ_j dP[i,j] P[i,j]" in out
    code, out, _ = run_command(capsys, "linear_weight", "--jacobian", "W", "--layout", "denominator", "--prove-convention")
    assert code == 0 and "fold: what J is" in out and "do not hold" not in out


def test_a_layer_with_nothing_to_switch_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    out = " ".join(run_command(capsys, "convolution_1d", "--batch", "cols", "--weight", "in_out", "--no-check")[1].split())
    assert "No matrix of the layer holds an example in each row" in out and "The layer has no weight that could be stored in × out" in out


MISTAKES = {
    "--layout numerater": "did you mean numerator?",
    "--batch column": "there is no batch convention 'column'",
    "--weight inout": "did you mean in_out?",
    "--upstream dL": "there are dY, G and delta",
    "--sum einstien": "did you mean einstein?",
    "--index-base 2": "there are 0 and 1",
    "--indices n,m": "linear: --indices has 2 names, but linear has the indices i, j and k; write one for each",
    "--indices n,m,k,l": "--indices has 4 names",
    "--indices n,n,k": "--indices names n twice",
    "--indices n,X,k": "X is a tensor of the layer",
    "--indices n,B,k": "B is an axis of the layer",
    "--indices n,dW,k": "dW is the name of a gradient of the layer",
    "--indices n,2m,k": "'2m' cannot be an index",
    "--prove-convention": "name one, such as --batch cols",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_convention_that_cannot_be_is_one_clear_message(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run_command(capsys, "linear", *words.split())
    assert (code, out) == (2, "") and MISTAKES[words] in err and err.count("\n") == 1


@pytest.mark.parametrize("language", OTHERS)
def test_every_convention_is_said(language: str) -> None:
    say = speaker(language)
    found: set[str] = set()
    for name, asked in (
        ("linear", Conventions("numerator", "cols", "out_in", "G", ("n", "j", "k"), "einstein", 1)),
        ("linear", Conventions("denominator", "rows", "in_out", "delta", ("n", "m", "k"), None, 0)),
        ("convolution_1d", Conventions(batch="cols", weight="in_out")),
    ):
        stated = restate(layer(name), asked, derive)
        for block in (*convention_page(stated, "brief", False).blocks, *page(stated.derivation, "brief", None, False, stated).blocks[:4]):
            found.update(block.items if isinstance(block, Bullets) else ())
            found.update([block.text] if isinstance(block, (Heading, Paragraph)) else [])
    for sentence in found - {" ".join(layer(name).doc.split()) for name in ("linear", "convolution_1d")}:
        assert re.search(LETTERS[language], say(sentence).lower()), sentence
        assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", say(sentence)), sentence
