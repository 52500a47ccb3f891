"""Markdown that a code host can draw: commands it knows, formulas short enough, and structure that survives the parser."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt
from pages import derivation, finest

from derive.engine import derive
from derive.layers import names
from derive.render import markdown
from derive.render.notation import GREEK, GREEK_COMMAND, context
from derive.spec import Layer

INLINE = re.compile(r"\$`([^`]*)`\$")

KNOWN = {GREEK_COMMAND.get(name, name) for name in GREEK}
WORDS = """frac sqrt sum max min exp log det tanh sin cos delta partial circ times top cdot le ge ne lvert rvert dot mathrm mathbf
underset displaystyle qquad begin end Bigl Bigr Big"""
KNOWN |= set(WORDS.split())
"""Commands that a code host draws. It refuses \\operatorname, \\mbox, \\phantom and whatever defines or hides things."""


def formulas(page: str) -> list[str]:
    fenced = [token.content for token in MarkdownIt().parse(page) if token.type == "fence" and token.info == "math"]
    return fenced + INLINE.findall(page)


def test_a_code_host_draws_every_formula_of_every_layer() -> None:
    """At the finest level of detail, whose lines include those of the others."""
    for name in names():
        page = markdown.markdown(finest(name), stem=name)
        found = formulas(page)
        assert page.count("```math") + page.count("$`") == len(found), name
        for tex in found:
            assert set(re.findall(r"\\([A-Za-z]+)", tex)) <= KNOWN, (name, tex)
            assert len(tex) < 1000 and "\n\n" not in tex and "$" not in tex, (name, tex)
            assert tex.count("{") == tex.count("}"), (name, tex)


def test_every_line_of_a_proof_is_a_numbered_item_with_its_reason() -> None:
    page = markdown.markdown(finest("softmax"))
    lemma = derivation("softmax").proof("S")
    section = page[page.index("### Lemma: `dS`") :]
    section = section[: section.index("\n#")]
    numbers = [int(n) for n in re.findall(r"^(\d+)\. ", section, re.MULTILINE)]
    assert numbers == list(range(1, len(lemma.at("baby").steps) + 2))
    tokens = MarkdownIt().parse(section)
    assert sum(token.type == "ordered_list_open" for token in tokens) == 1
    assert sum(token.type == "list_item_open" for token in tokens) == len(numbers)
    assert section.count("   *") == len(numbers), "every line says why"


def test_sentences_keep_their_signs() -> None:
    where = context(["X", "W"])
    assert markdown.prose("only i' = i of X[i',k] in a_b * c | <d> survives", where).replace("`", "") == (
        "only i′ = i of X[i′,k] in a_b \\* c \\| \\<d\\> survives"
    )
    html = MarkdownIt().render(markdown.prose("a * b * c and snake_case_word <script>", where))
    assert "<em>" not in html and "<script>" not in html


def test_a_layer_whose_words_are_markup_stays_a_page() -> None:
    layer = Layer.parse("odd", "Y[i] = X[i]*w_a_b[i]")
    page = markdown.document(derive(layer))
    assert "# odd: gradients of `X` and `w_a_b`, step by step" in page


def test_a_notebook_gets_dollar_signs() -> None:
    proof = derivation("linear").proof("W")
    page = markdown.proof(proof, marks=markdown.NOTEBOOK)
    assert "`$" not in page and "```" not in page and "$\\displaystyle" in page
