"""The differential view: a second derivation of every gradient that ends where the index view does, line by line checked.

`python -m benchmarks.differential` does this for the whole catalogue.
"""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path

import pytest

from derive.__main__ import main
from derive.check import check_document
from derive.differential import View, differential_view
from derive.engine import derive
from derive.layers import layer
from derive.proof import proof_from, proof_json
from derive.render import LANGUAGES, html, latex, markdown, text
from derive.render.blocks import Chain, Heading, Paragraph
from derive.render.differential import differential_page
from derive.render.languages import reason_in, speaker, translated
from derive.rules import identity
from derive.spec import Layer

# A batch and a named sum; a repeated operand; a label, a shift and a diagonal as places; kinks and a maximum; a fact; an inverse; an
# output that is used again; a recurrence.
SAMPLE = (
    "attention",
    "attention_tied",
    "embedding",
    "convolution_same",
    "max_pool_1d",
    "cross_entropy",
    "matrix_inverse",
    "lstm_cell",
    "rnn",
)


@cache
def view(name: str) -> View:
    return differential_view(derive(layer(name)))


@pytest.mark.parametrize("name", SAMPLE)
def test_the_view_ends_where_the_index_view_does(name: str) -> None:
    found = view(name)
    index = {proof.name: proof.result for proof in found.derivation.lemmas if proof.kind == "lemma"}
    assert {proof.name: proof.result for proof in found.gradients} == index
    assert not found.unproved
    report = found.check()
    assert report.ok, [line for proof in report.proofs for line in proof.lines if line.verdict != "holds"]


@pytest.mark.parametrize(
    "text",
    [
        "L = sum(i,j, A[i,i]*A[i,j]*A[j,i])",  # one tensor three times, once on its diagonal
        "Y[i] = where(X[i] > 0, X[i]^3, 0) * sum(j, X[j]*w[j])",
        "M[i] = max(j, X[i,j])\nY[i,j] = exp(X[i,j] - M[i])/sum(k, exp(X[i,k] - M[i]))",
        "S[i] = sum(j, X[i,j])\nZ[i,j] = S[i]*X[i,j]\noutputs S Z",
        "shape X[I,L]\nsize(j) = size(L)//2\nY[j] = sum(i, X[i, 2*j + 1]*w[i]) / sqrt(1 + sum(i, w[i]^2))",
    ],
)
def test_layers_that_the_catalogue_does_not_have(text: str) -> None:
    found = differential_view(derive(Layer.parse("mine", text)))
    assert found.check().ok and not found.unproved


def test_no_rule_of_the_view_differentiates_by_an_entry() -> None:
    for name in SAMPLE:
        own = [proof for proof in view(name).proofs if proof.kind in ("tangent", "bracket", "differential")]
        assert not any('"diff"' in str(proof_json(proof)).replace("'", '"') for proof in own)
        assert all(identity(step.rule) for proof in own for step in proof.steps)


def test_the_checker_finds_a_planted_mistake_in_a_line_and_in_its_matrix() -> None:
    document = view("attention").document()
    assert all(proof_json(proof_from(proof)) == proof for proof in document["proofs"])
    place = next(n for n, proof in enumerate(document["proofs"]) if proof["name"] == "back through S")
    swapped = copy.deepcopy(document)
    last = swapped["proofs"][place]["steps"][-1]["after"]
    last[1].reverse()  # the same line: the order of terms means nothing
    assert check_document(swapped).ok
    last[1].pop()
    assert not check_document(swapped).ok
    for wrong in (["transpose", ["whole", "dS", ["N", "M"]]], ["scale", ["num", "-1"], document["proofs"][place]["forms"][0][1]]):
        planted = copy.deepcopy(document)
        planted["proofs"][place]["forms"][0][1] = wrong
        report = check_document(planted)
        assert [proof.name for proof in report.proofs if not proof.ok] == ["back through S"]
    along = copy.deepcopy(document)
    first = along["proofs"][next(n for n, proof in enumerate(along["proofs"]) if proof["name"] == "tS")]
    first["goal"]["value"][2]["Q"] = "tK"
    assert not check_document(along).ok


def test_every_format_draws_the_view() -> None:
    made = differential_page(view("attention"))
    assert "= ⟨dO Vᵀ, Ṗ⟩ + ⟨Pᵀ dO, V̇⟩" in text.plain(text.page_lines(made))
    bracket = r"\langle \mathrm{d}O\, V^{\top},\; \dot{P}\rangle"
    assert all(
        bracket.replace(" ", "") in drawn.replace(" ", "")
        for drawn in (latex.whole(made), markdown.markdown(made), html.article(made, html.mathjax)[0])
    )
    plain = text.plain(text.page_lines(differential_page(view("attention"), ascii=True)))
    assert "= <dO V^T, tP> + <P^T dO, tV>" in plain and plain.isascii()


def test_shapes_stand_under_dotted_letters() -> None:
    lines = text.plain(text.page_lines(differential_page(view("attention"), "brief"))).splitlines()
    at = next(n for n, line in enumerate(lines) if "V̇" in line and "Ȯ" in line)
    above, below = lines[at], lines[at + 1]
    assert abs(text.cells(above[: above.index("V̇")]) - below.rindex("M×d_v") - 2) <= 1


@pytest.mark.parametrize("language", [language for language in LANGUAGES if language != "en"])
def test_the_view_is_said_in_every_language(language: str) -> None:
    say = speaker(language)
    for name in ("attention", "max_pool_1d", "lstm_cell"):
        made = differential_page(view(name), "baby", view(name).check())
        about = " ".join(layer(name).doc.split())
        said = [block.text for block in made.blocks if isinstance(block, (Heading, Paragraph)) and block.text != about]
        said += [
            reason for block in made.blocks if isinstance(block, Chain) for line in block.every for _, reason in line.reasons if reason
        ]
        for sentence in dict.fromkeys(said):
            assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", reason_in(sentence, say)), sentence
            assert reason_in(sentence, say) != sentence, sentence
        assert len(translated(made, language).blocks) == len(made.blocks)


def test_the_command_shows_the_view(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["linear", "--view", "differential"]) == 0
    assert "= ⟨dY Wᵀ, Ẋ⟩ + ⟨Xᵀ dY, Ẇ⟩ + ⟨1ᵀ dY, ḃ⟩" in capsys.readouterr().out
    assert main(["linear", "--view", "differential", "--format", "json", "-o", str(tmp_path / "linear.json")]) == 0
    assert main(["linear", "--view", "differential", "--proof", "tY"]) == 0
    assert "Ẏ" in capsys.readouterr().out
    for words, expected in (
        (["linear", "--view", "diferential"], "did you mean differential?"),
        (["linear", "--view", "differential", "--jacobian", "W"], "leave --jacobian out"),
    ):
        assert main(words) == 2
        assert expected in capsys.readouterr().err
