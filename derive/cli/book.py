"""`derive book -o DIR`: a site of every layer's proof beside its kernels, and one PDF of them all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

from derive.cli.arguments import FOLDER, Parser
from derive.cli.choice import one_of
from derive.cli.output import followed
from derive.errors import SpecError
from derive.proof import DETAILS

if TYPE_CHECKING:
    from derive.render.book import Entry
    from derive.spec import Layer

KERNELS = Path(__file__).resolve().parent.parent.parent / "generated"
"""Where the generated kernels lie, as text to print; a book of layers that have none is a book of proofs."""

MARK = "assets/search.js"
"""A folder with this file in it is a book, and may be replaced by a new one."""


def command(words: Sequence[str]) -> int:
    parser = Parser("derive book", "Write every layer's proof and kernels as a site, and as one PDF.")
    parser.add_argument("layers", nargs="*", metavar="LAYER", help="names, or files of your own (default: the whole catalogue)")
    parser.add_argument("-o", "--output", metavar="DIR", type=FOLDER, required=True, help="the folder to write, whole or not at all")
    parser.add_argument("--detail", type=one_of("level of detail", DETAILS), default="full", help="how many lines are printed on paper")
    parser.add_argument("--no-pdf", action="store_true", help="the site alone")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="processes to derive in (default: one a core)")
    options = parser.parse_args(words)
    target = followed(Path(options.output))
    _free(target)
    topics = _topics(options.layers)
    report = _written(target, topics, options.detail, not options.no_pdf, max(options.jobs, 1))
    print(report)
    return 0


def _free(target: Path) -> None:
    """Raise SpecError where the folder cannot be written, or holds something that is no book."""
    if target.exists() and not target.is_dir():
        raise SpecError(f"{target} is a file; name a folder for the book")
    if target.is_dir() and any(target.iterdir()) and not (target / MARK).is_file():
        raise SpecError(f"{target} holds other files; name a new folder, or an older book to replace")
    if not target.absolute().parent.is_dir():
        raise SpecError(f"{target} cannot be written: there is no folder {target.absolute().parent}")


def _topics(targets: Sequence[str]) -> list[tuple[str, tuple[Layer, ...]]]:
    if not targets:
        from derive.layers import TOPICS

        return list(TOPICS)
    from derive.cli.find import find

    found = [(target, find(target)) for target in targets]
    names = [layer.name for _, layers in found for layer in layers]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise SpecError(f"two layers are called {double}; a book has one page a name")
    return [("Layers", tuple(layer for _, layers in found for layer in layers))]


def _written(target: Path, topics: Sequence[tuple[str, tuple[Layer, ...]]], detail: str, pdf: bool, jobs: int) -> str:
    """Make the book in a folder beside `target`, then put it in its place; return what to say."""
    from derive.render import book

    layers = [layer for _, found in topics for layer in found]
    with _progress(len(layers) + pdf) as step:
        entries = {made.name: made for made in _made(layers, detail, jobs, step)}
        chapters = [(topic, [entries[layer.name] for layer in found]) for topic, found in topics]
        try:
            folder = Path(tempfile.mkdtemp(dir=target.absolute().parent, prefix=f".{target.name}."))
        except OSError as error:
            raise SpecError(f"{target} cannot be written: {error.strerror or error}") from None
        try:
            said = _paper(folder, book.document(chapters), step) if pdf else ""
            for name, content in book.files(chapters, (folder / "book.pdf").is_file()).items():
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            folder.chmod(0o755)
            _put(folder, target)
        except OSError as error:
            raise SpecError(f"{target} cannot be written: {error.strerror or error}") from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return f"wrote {target / 'index.html'}: {len(layers)} layers{said.format(target=target)}"


def _put(folder: Path, target: Path) -> None:
    """The new folder takes the old one's place, and the old one goes."""
    old = Path(tempfile.mkdtemp(dir=target.absolute().parent, prefix=f".{target.name}."))
    try:
        if target.is_dir():
            os.replace(target, old / "old")
        os.replace(folder, target)
    finally:
        if not target.is_dir() and (old / "old").is_dir():
            os.replace(old / "old", target)
        shutil.rmtree(old, ignore_errors=True)


def _made(layers: Sequence[Layer], detail: str, jobs: int, step: Callable[[str], None]) -> Iterator[Entry]:
    make = partial(_entry, detail=detail)
    if jobs == 1 or len(layers) < 4:
        for layer in layers:
            yield make(layer)
            step(layer.name)
        return
    # Fresh processes, since the bar of progress is drawn by a thread, and a process with threads must not be copied.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for layer, made in zip(layers, pool.map(make, layers, chunksize=2)):
            yield made
            step(layer.name)


def _entry(layer: Layer, detail: str) -> Entry:
    from derive.cli.pages import derived
    from derive.render.book import entry

    derivation = derived(layer)
    sources = {}
    for folder in ("numpy", "torch"):
        path = KERNELS / folder / f"{layer.name}.py"
        if path.is_file():
            sources[folder] = path.read_text(encoding="utf-8")
    return entry(derivation, None, sources, detail)


def _paper(folder: Path, tex: str, step: Callable[[str], None]) -> str:
    """Write book.pdf, or book.tex where there is no engine for it; return what to add to the message."""
    from derive.cli.pdf import ENGINES, compiled

    step("book.pdf")
    engine = next((found for found in map(shutil.which, ENGINES) if found), None)
    made, problem = (None, f"a PDF needs {' or '.join(ENGINES)}") if engine is None else compiled(tex, engine)
    if made is None:
        (folder / "book.tex").write_text(tex, encoding="utf-8")
        return f"; no PDF ({problem}), its LaTeX is {{target}}{os.sep}book.tex"
    (folder / "book.pdf").write_bytes(made)
    return " and book.pdf"


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str], None]]:
    """A bar on a screen; nothing elsewhere."""
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda name: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.completed}/{task.total}"), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda name: bar.update(task, advance=1, description=name)
