"""PDF from the command: with a TeX engine a file, without one a message and the LaTeX, never half of either."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from derive.__main__ import main
from derive.cli.pdf import compiled

needs_latex = pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")


@needs_latex
def test_a_pdf_is_written_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["linear", "--format", "pdf", "-o", str(tmp_path / "linear.pdf")]) == 0
    assert (tmp_path / "linear.pdf").read_bytes().startswith(b"%PDF-")
    assert [path.name for path in tmp_path.iterdir()] == ["linear.pdf"], "nothing else is left behind"


def test_without_an_engine_the_latex_is_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    mine = tmp_path / "mse.tex"
    mine.write_text("a document of my own")
    for _ in range(2):
        assert main(["mse", "--format", "pdf", "-o", str(tmp_path / "mse.pdf")]) == 2
        err = capsys.readouterr().err
        assert err.startswith("derive: error: a PDF needs pdflatex or tectonic") and err.count("\n") == 1
        assert str(tmp_path / "mse-2.tex") in err
    assert mine.read_text() == "a document of my own", "a file of the user's is never replaced"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mse-2.tex", "mse.tex"]
    assert "\\end{document}" in (tmp_path / "mse-2.tex").read_text()


@needs_latex
def test_a_document_that_does_not_compile_says_why() -> None:
    made, problem = compiled("\\documentclass{article}\\begin{document}\\nowhere\\end{document}", shutil.which("pdflatex") or "")
    assert made is None and problem == "Undefined control sequence."


@needs_latex
def test_an_older_pdf_stays_where_a_new_one_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "old.pdf"
    target.write_bytes(b"old")
    assert main(["Y[i] = X[i,j]", "--format", "pdf", "-o", str(target)]) == 2
    assert target.read_bytes() == b"old"
