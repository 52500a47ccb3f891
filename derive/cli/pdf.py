"""LaTeX to PDF, with whatever TeX engine the machine has; where it has none, the LaTeX is kept and one message says so."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from derive.cli.output import write
from derive.errors import SpecError

ENGINES = ("pdflatex", "tectonic")
SECONDS = 300


def write_pdf(path: Path, tex: str, engines: tuple[str, ...] = ENGINES) -> int:
    """Compile `tex` and write the PDF whole or not at all; return its bytes.

    Raises SpecError where there is no engine, or the engine fails; the message names the .tex file left beside `path`.
    """
    if path.is_dir():
        raise SpecError(f"{path} is a folder; name a file: -o {path / 'proof.pdf'}")
    if not path.parent.is_dir():
        raise SpecError(f"{path} cannot be written: there is no folder {path.parent}")
    engine = next((found for found in map(shutil.which, engines) if found), None)
    if engine is None:
        wanted = " or ".join(engines)
        raise SpecError(f"a PDF needs {wanted}, and none is installed; the document is in {_kept(path, tex)}, ready to compile")
    made, problem = compiled(tex, engine)
    if made is None:
        raise SpecError(f"{Path(engine).name} could not compile the document: {problem}; it is in {_kept(path, tex)}")
    return write(path, made)


def compiled(tex: str, engine: str) -> tuple[bytes | None, str]:
    """The PDF, or None and what went wrong in a line. The document may read no file and run no program."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "page.tex").write_text(tex, encoding="utf-8")
        words = [engine, "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "page.tex"]
        if Path(engine).stem == "tectonic":
            words = [engine, "--untrusted", "page.tex"]
        try:
            done = subprocess.run(words, cwd=folder, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return None, f"it took longer than {SECONDS} s"
        except OSError as error:
            return None, error.strerror or str(error)
        said = (done.stdout + done.stderr).decode("utf-8", errors="replace")
        found = folder / "page.pdf"
        if done.returncode or not found.is_file():
            first = re.search(r"^(?:! |error: )(.*)$", said, re.MULTILINE)
            return None, first.group(1).strip() if first else f"exit code {done.returncode}"
        return found.read_bytes(), ""


def _kept(path: Path, tex: str) -> Path:
    """Write the LaTeX beside the PDF that could not be made, over no other file."""
    kept = path.with_suffix(".tex")
    number = 1
    while kept.exists() and (kept.is_dir() or kept.read_text(encoding="utf-8", errors="replace") != tex):
        number += 1
        kept = path.with_name(f"{path.stem}-{number}.tex")
    write(kept, tex)
    return kept
