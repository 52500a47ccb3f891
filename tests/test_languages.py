"""Pages in Russian and Chinese: every heading, rule and reason is said, formulas stay, and lines keep to their width."""

from __future__ import annotations

import re
import string
from functools import cache
from pathlib import Path

import pytest
from pages import finest

from derive.__main__ import main
from derive.engine import derive
from derive.layers import layer, names
from derive.render import LANGUAGES, html, markdown, text
from derive.render.blocks import Bullets, Chain, Figures, Givens, Heading, Identities, Paragraph
from derive.render.languages import reason_in, said, speaker, table, translated
from derive.render.page import page

OTHERS = tuple(language for language in LANGUAGES if language != "en")
LETTERS = {"ru": "[а-яё]", "zh": "[\u4e00-\u9fff]"}


@cache
def sentences(name: str) -> set[str]:
    """Everything on a layer's page that is said, and not the layer's own words."""
    found: set[str] = set()
    for block in finest(name).blocks:
        if isinstance(block, (Heading, Paragraph)):
            found.add(block.text)
        elif isinstance(block, Bullets):
            found.update(block.items)
        elif isinstance(block, Identities):
            found.update(rule for rule, _ in block.rows if rule not in names())
        elif isinstance(block, Givens):
            found.update(role for _, _, role in block.rows)
        elif isinstance(block, Figures):
            found.add(block.lead)
        elif isinstance(block, Chain):
            found.update(reason for line in block.every for _, reason in line.reasons if reason)
    return found - {" ".join(layer(name).doc.split())}


@pytest.mark.parametrize("language", OTHERS)
def test_everything_on_a_page_is_said(language: str) -> None:
    say = speaker(language)
    for name in names():
        for sentence in sentences(name):
            for part in reason_in(sentence, say).split("; "):
                assert re.search(LETTERS[language], part.lower()), (name, sentence, part)
            assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", reason_in(sentence, say)), (name, sentence)


@pytest.mark.parametrize("language", OTHERS)
def test_every_place_of_a_sentence_is_filled(language: str) -> None:
    for english, other in table(language).items():
        places = {int(field) for _, field, _, _ in string.Formatter().parse(other) if field}
        assert places == set(range(english.count("{}"))), english
        assert max(places, default=-1) < english.count("{}"), english


@pytest.mark.parametrize("language", OTHERS)
@pytest.mark.parametrize("width", [80, 100])
def test_no_line_is_wider_than_the_screen(language: str, width: int) -> None:
    for name in ("attention", "huber", "transformer_block"):
        made = translated(page(derive(layer(name))), language)
        assert max(sum(text.cells(run) for run, _ in line) for line in text.page_lines(made, width)) <= width, name


@pytest.mark.parametrize("language", OTHERS)
def test_formulas_are_the_same_in_every_language(language: str) -> None:
    made = page(derive(layer("attention")))
    other = translated(made, language)
    inline = re.compile(r"\$`[^`]*`\$|```math.*?```", re.DOTALL)
    assert inline.findall(markdown.markdown(made)) == inline.findall(markdown.markdown(other))
    assert len(html.article(made)[1]) == len(html.article(other)[1])


def test_a_list_and_a_reason_are_said_part_by_part() -> None:
    assert said("attention: gradients of Q, K and V, step by step", "ru") == "attention: градиенты по Q, K и V, шаг за шагом"
    reason = "contract delta: term 1: the sum over i' collapses: only i' = i survives; the sum over k collapses: only k = j survives"
    assert reason_in(reason, speaker("zh")).count("坍缩") == 2
    assert said("a sentence nobody has translated", "ru") == "a sentence nobody has translated"


def test_the_command_speaks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["linear", "--lang", "ru"]) == 0
    assert "Лемма: dW" in capsys.readouterr().out
    for format, ending in (("markdown", "md"), ("html", "html")):
        target = tmp_path / f"linear.{ending}"
        assert main(["linear", "--lang", "zh", "--format", format, "-o", str(target)]) == 0
        assert "引理" in target.read_text(encoding="utf-8")
    capsys.readouterr()
    for words, expected in (
        (["linear", "--lang", "rus"], "did you mean ru?"),
        (["linear", "--lang", "ru", "--format", "latex"], "latex speaks English alone"),
        (["linear", "--lang", "zh", "--ascii"], "--ascii leaves no letters"),
    ):
        try:
            code = main(words)
        except SystemExit as error:
            code = int(str(error.code))
        assert code == 2 and expected in capsys.readouterr().err
