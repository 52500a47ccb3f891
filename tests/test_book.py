"""The book: its links lead somewhere, its kernels stand beside what they came from, and it is written whole or not at all."""

from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest
from browser import CHROMIUM, browser

from derive.__main__ import main
from derive.cli import book as command
from derive.layers import names
from derive.render.kernels import statements

ROOT = Path(__file__).resolve().parent.parent
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")

# One layer in eight, and those that are asked for below: the whole book takes a minute.
NAMES = tuple(
    name for n, name in enumerate(names()) if n % 8 == 0 or name in ("attention", "cross_entropy_labels", "softmax", "softmax_columns")
)


class Page(HTMLParser):
    """What a page refers to, and what on it can be referred to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: list[str] = []
        self.rows = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in ("href", "src") and value is not None:
                self.links.append(value)
            elif name == "id" and value is not None:
                self.anchors.append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site") / "book"
    assert main(["book", *NAMES, "--no-pdf", "--jobs", "1", "-o", str(target)]) == 0
    return target


def test_every_link_leads_somewhere(site: Path) -> None:
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    assert len(pages) == len(NAMES) + 2
    for path, page in pages.items():
        assert len(set(page.anchors)) == len(page.anchors), path
        for link in page.links:
            assert not re.match(r"[a-z]+:|//", link), (path, link)
            file, _, anchor = unquote(link).partition("#")
            target = (path.parent / file).resolve() if file else path
            assert target.is_file() and target.is_relative_to(site), (path, link)
            assert not anchor or anchor in pages[target].anchors, (path, link)


def test_both_indexes_lead_to_every_layer(site: Path) -> None:
    wanted = {f"layers/{name}.html" for name in NAMES}
    for index in ("index.html", "symbols.html"):
        assert wanted <= set(Page(site / index).links), index
    search = (site / "assets/search.js").read_text(encoding="utf-8")
    assert all(f'["{name}",' in search for name in NAMES)


def test_every_statement_of_a_kernel_stands_beside_the_proof_it_came_from(site: Path) -> None:
    for name in NAMES:
        written = (site / f"layers/{name}.html").read_text(encoding="utf-8")
        for target in ("numpy", "torch"):
            source = (ROOT / f"generated/{target}/{name}.py").read_text(encoding="utf-8")
            for step, made in statements(source):
                start = written.index(f"<h3>{target}: {step}</h3>")
                rows = re.findall(
                    r"<tr><td><pre>.*?</pre></td><td>(.*?)</td></tr>", written[start : written.index("</table>", start)], re.DOTALL
                )
                assert len(rows) == len(made) > 0, (name, target, step)
                assert all('class="tex"' in row for row in rows), (name, target, step)
                if step == "backward":
                    assert all('href="#' in row for row in rows), (name, target)


def test_statements_are_read_off_the_comments() -> None:
    body = ["n = 1", "# Y[i] = 2*X[i]", "t = X", "Y = 2 * t", "# Z = Y[0]", "Z = Y[0]", "return Y"]
    source = "def forward(X):\n" + "".join(f"    {line}\n" for line in body) + "\n\ndef _check():\n    # a = b\n    x = 1\n"
    ((name, made),) = statements(source)
    assert name == "forward" and [m.computes for m in made] == ["Y", "Z"]
    assert made[0].code == "# Y[i] = 2*X[i]\nt = X\nY = 2 * t"


@needs_chromium
def test_the_book_is_read_without_a_server(site: Path) -> None:
    with browser() as page:
        for file in ("index.html", "symbols.html", "layers/linear.html", "layers/cross_entropy_labels.html"):
            page.open(site / file)
            assert page.said == [] and all(address.startswith(("file:", "about:", "data:")) for address in page.asked), file
            assert page.run("document.querySelectorAll('.katex-error').length") == 0, file
        page.open(site / "index.html")
        find = "(() => { const box = document.querySelector('.search input'); box.value = %r; box.dispatchEvent(new Event('input'));"
        find += " return [...document.querySelectorAll('.search a')].map(a => a.href.split('/').pop()); })()"
        assert page.run(find % "softmax")[:2] == ["softmax.html", "softmax_columns.html"]
        assert "attention.html" in page.run(find % "vaswani exchange")
        assert page.run(find % "no such layer") == []


# ------------------------------------------------------------------------------------------- written whole or not at all


def make(*words: str) -> int:
    return main(["book", "linear", "mse", *words])


@needs_latex
def test_one_pdf_of_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert make("-o", str(tmp_path / "book")) == 0
    assert (tmp_path / "book/book.pdf").read_bytes().startswith(b"%PDF-")
    assert "book.pdf" in Page(tmp_path / "book/index.html").links
    assert "2 layers and book.pdf" in capsys.readouterr().out


def test_without_an_engine_the_book_holds_its_latex(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert make("-o", str(tmp_path / "book")) == 0
    assert (tmp_path / "book/book.tex").is_file() and not (tmp_path / "book/book.pdf").exists()
    assert "book.pdf" not in Page(tmp_path / "book/index.html").links
    assert "a PDF needs pdflatex or tectonic" in capsys.readouterr().out


def test_only_an_older_book_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "book"
    for _ in range(2):
        assert make("--no-pdf", "-o", str(target)) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["book"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep")
    cases = {
        str(mine): "holds other files",
        str(mine / "notes.txt"): "is a file; name a folder",
        str(tmp_path / "no" / "book"): "there is no folder",
    }
    for words, expected in cases.items():
        assert make("--no-pdf", "-o", words) == 2
        assert expected in capsys.readouterr().err
    assert (mine / "notes.txt").read_text() == "keep"
    assert main(["book", "liner", "-o", str(tmp_path / "x")]) == 2
    assert "did you mean linear?" in capsys.readouterr().err


def test_a_link_to_a_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    assert make("--no-pdf", "-o", str(tmp_path / "link")) == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "folder" / "index.html").is_file()


def test_a_book_that_fails_half_way_leaves_the_old_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "book"
    assert make("--no-pdf", "-o", str(target)) == 0
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command, "_put", full)
    assert make("--no-pdf", "-o", str(target)) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["book"]
