"""The pages below docs/: what they show is what the commands print now, and their links lead somewhere."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

from derive import Layer, derive
from derive.layers import LAYERS
from derive.render import markdown

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = sorted(DOCS.rglob("*.md"))


def test_every_block_is_what_its_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    fill = runpy.run_path(str(DOCS / "fill.py"))
    assert fill["main"](["--check"]) == 0, capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_line_that_a_page_proves_is_verified(page: Path) -> None:
    blocks = re.findall(r"<!-- \$ derive .*?<!-- end -->", page.read_text("utf-8"), re.DOTALL)
    assert blocks or page.stem == "README" or page.parent == DOCS
    assert all(re.search(r"^All \d+ lines in \d+ proofs hold", block, re.MULTILINE) for block in blocks)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_every_mistake_is_in_the_index() -> None:
    index = (DOCS / "mistakes" / "README.md").read_text("utf-8")
    for page in (DOCS / "mistakes").glob("*.md"):
        assert page.name == "README.md" or f"({page.name})" in index, page


@pytest.mark.parametrize("layer", LAYERS[:: max(len(LAYERS) // 6, 1)], ids=lambda layer: layer.name)
def test_a_page_in_markdown_is_well_formed(layer: Layer) -> None:
    text = markdown.document(derive(layer))
    assert text.startswith(f"# {markdown.prose(layer.name, markdown.page(derive(layer)).where)}")
    outside = re.sub(r"```math\n.*?\n```", "", text, flags=re.DOTALL)
    assert "```" not in outside and "\\begin" not in outside
    for block in re.findall(r"```math\n(.*?)\n```", text, re.DOTALL):
        assert block.count("{") == block.count("}") and "\n\n" not in block and "\\footnotesize" not in block
        assert re.findall(r"\\begin\{(\w+)\}", block).count("aligned") == block.count("\\end{aligned}")
    for row in re.findall(r"^\|.*$", outside, re.MULTILINE):
        assert len(re.findall(r"(?<!\\)\|", row)) == 4
