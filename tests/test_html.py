"""HTML pages in a browser: every formula is drawn, nothing is fetched, lines fold, indices light up, light, dark and on a phone."""

from __future__ import annotations

import html as standard_html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import CHROMIUM, Browser, browser
from pages import finest

from derive.engine import Derivation, derive
from derive.layers import layer, names
from derive.proof import DETAILS
from derive.render import html, site

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
TEX = re.compile(r'<span class="tex">([^<]*)</span>')
SAMPLE = ("linear", "attention", "cross_entropy_labels", "huber")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    made = {}
    for name in SAMPLE:
        made[name] = folder / f"{name}.html"
        derivation = derive(layer(name))
        made[name].write_text(html.document(derivation, report=derivation.check()), encoding="utf-8")
    return made


def local(asked: list[str]) -> bool:
    return all(address.startswith(("file:", "data:", "about:")) for address in asked)


# ------------------------------------------------------------------------------------------- what is drawn


@needs_chromium
def test_katex_draws_every_formula_of_every_layer(chromium: Browser, tmp_path: Path) -> None:
    """Each formula once, as strictly as KaTeX can be; the pages themselves are opened for a sample."""
    found: dict[str, str] = {}
    for name in names():
        content, _ = html.article(finest(name))
        for tex in TEX.findall(content):
            found.setdefault(standard_html.unescape(tex), name)
    assert len(found) > 3000
    file = tmp_path / "formulas.html"
    script = f"<script>{(site.KATEX / 'katex.min.js').read_text(encoding='utf-8')}</script>"
    done = '<script>document.documentElement.dataset.ready = "yes"</script>'
    file.write_text(f"<!doctype html><html><body>{script}{done}</body></html>", encoding="utf-8")
    chromium.open(file)
    wrong = chromium.run(
        f"""(() => {{ const strict = code => code === "htmlExtension" ? "ignore" : "error";
        const wrong = [];
        for (const tex of {json.dumps(list(found))})
          try {{ katex.renderToString(tex, {{strict, trust: true, output: "html"}}); }}
          catch (error) {{ wrong.push([tex, error.message]); }}
        return wrong.slice(0, 5); }})()"""
    )
    assert wrong == [], [found[tex] for tex, _ in wrong]


@needs_chromium
@pytest.mark.parametrize("name", SAMPLE)
def test_a_page_is_drawn_from_one_file_without_a_word_in_the_console(chromium: Browser, files: dict[str, Path], name: str) -> None:
    chromium.open(files[name], at="#results")
    chromium.run("document.querySelector('input[value=baby]').click()")
    counts = chromium.run("['.tex', '.tex > .katex', '.katex-error'].map(s => document.querySelectorAll(s).length)")
    assert counts[0] == counts[1] > 30 and counts[2] == 0
    assert chromium.said == [] and local(chromium.asked)
    assert chromium.run("document.fonts.check('16px KaTeX_Math') && document.fonts.check('16px KaTeX_Main')")
    # What KaTeX drew says what was meant: the last result's accessible form holds its LaTeX.
    assert "\\mathrm{d}" in chromium.run("document.querySelector('#results annotation').textContent")


@needs_chromium
def test_a_phone_scrolls_in_one_direction(chromium: Browser, files: dict[str, Path]) -> None:
    for path in files.values():
        chromium.open(path, width=380, height=800)
        assert chromium.run("document.documentElement.scrollWidth") <= 380, path.name


@needs_chromium
def test_light_and_dark(chromium: Browser, files: dict[str, Path]) -> None:
    shades = []
    for dark in (False, True):
        chromium.open(files["linear"], dark=dark)
        paper, ink = chromium.run(
            "['backgroundColor', 'color'].map(k => getComputedStyle(document.body)[k].match(/\\d+/g).reduce((a, b) => +a + +b, 0))"
        )
        shades.append((paper, ink))
        assert abs(paper - ink) > 400, "what is written can be read"
    assert shades[0][0] > shades[1][0]


# ------------------------------------------------------------------------------------------- folding and lighting up

VISIBLE = "[...document.querySelectorAll('#lemma-ds .line')].filter(row => row.checkVisibility())"


@needs_chromium
def test_each_level_shows_its_lines_with_its_reasons(chromium: Browser, files: dict[str, Path]) -> None:
    proof = derive(layer("attention")).proof("S")
    chromium.open(files["attention"])
    for detail in DETAILS:
        chromium.run(f"document.querySelector('input[value={detail}]').click()")
        shown = chromium.run(f"{VISIBLE}.map(row => [...row.querySelectorAll('.why')].filter(why => !why.hidden).length)")
        assert shown == [1] * (len(proof.at(detail).steps) + 1), detail
        rules = chromium.run(f"{VISIBLE}.map(row => row.querySelector('.why:not([hidden])').textContent.split(':')[0])")
        assert rules == ["chain rule"] + [step.rule.replace("_", " ") for step in proof.at(detail).steps], detail


@needs_chromium
def test_a_line_unfolds_what_leads_to_it(chromium: Browser, files: dict[str, Path]) -> None:
    chromium.open(files["attention"])
    chromium.run("document.querySelector('input[value=brief]').click()")
    before = chromium.run(f"{VISIBLE}.length")
    assert chromium.run("document.querySelector('#lemma-ds .more').open") is False
    chromium.run("document.querySelector('#lemma-ds .more > summary').click()")
    chromium.run("new Promise(done => setTimeout(done, 50))")
    assert chromium.run(f"{VISIBLE}.length") > before
    assert chromium.run(f"{VISIBLE}.every(row => row.querySelector('.katex'))"), "what unfolds is drawn"
    assert chromium.run(f"{VISIBLE}.every(row => [...row.querySelectorAll('.why')].filter(why => !why.hidden).length === 1)")


@needs_chromium
def test_an_index_lights_up_in_its_line_and_the_next(chromium: Browser, files: dict[str, Path]) -> None:
    chromium.open(files["attention"])
    chromium.run(f"{VISIBLE}[1].querySelector('[data-i=\"j\\'\"]').dispatchEvent(new PointerEvent('pointerover', {{bubbles: true}}))")
    lit: Any = chromium.run(
        f"[...document.querySelectorAll('.lit')].map(mark => [mark.dataset.i, {VISIBLE}.indexOf(mark.closest('.line'))])"
    )
    assert {name for name, _ in lit} == {"j'"} and {row for _, row in lit} == {1, 2}
    every = chromium.run(f"{VISIBLE}.slice(1, 3).map(row => row.querySelectorAll('[data-i=\"j\\'\"]').length).reduce((a, b) => a + b)")
    assert len(lit) == every > 4
    chromium.run("document.body.dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))")
    assert chromium.run("document.querySelectorAll('.lit').length") == 0


# ------------------------------------------------------------------------------------------- what is written


def test_a_page_refers_to_nothing_outside_itself() -> None:
    written = html.document(derive(layer("linear")))
    assert "default-src 'none'" in written and len(written) < 700_000
    content = re.sub(r"<(script|style)>.*?</\1>", "", written, flags=re.DOTALL)
    anchors = set(re.findall(r'id="([^"]+)"', content))
    links = re.findall(r'(?:href|src)="([^"]+)"', content)
    assert links and all(link.startswith("#") and link[1:] in anchors for link in links)
    assert "url(fonts/" not in written


def test_katex_is_whole_and_has_its_licence() -> None:
    version = (site.KATEX / "VERSION").read_text().strip()
    assert f'"{version}"' in (site.KATEX / "katex.min.js").read_text(encoding="utf-8")
    assert "MIT" in (site.KATEX / "LICENSE").read_text()


def test_what_a_notebook_shows(tmp_path: Path) -> None:
    derivation: Derivation = derive(layer("linear"))
    for shown in (derivation, derivation.proof("W")):
        page = shown._repr_html_()
        assert "<script" not in page and "htmlData" not in page and "<details" in page and "$\\displaystyle" in page
        assert page.count("<details") == page.count("</details>") and page.count("<div") == page.count("</div>")
        latex = shown._repr_latex_()
        assert latex.startswith("$") and latex.endswith("$") and "\\underset{N \\times M}{\\mathrm{d}W}" in latex
        assert "$\\displaystyle" in shown._repr_markdown_()
