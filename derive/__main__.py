"""The `derive` command: the catalogue, a proof in any format, the checker's ledger."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derive import __version__
from derive.cli.arguments import FILE, Parser
from derive.cli.choice import one_of
from derive.cli.conventions import add_options
from derive.errors import SpecError
from derive.render import FORMATS, LANGUAGES

if TYPE_CHECKING:
    from derive.spec import Layer

VIEWS = ("index", "differential")

EPILOG = """examples:
  derive                                              the catalogue
  derive search softmax                               what it has about softmax
  derive attention                                    the whole proof
  derive attention --wrt Q --detail baby              one gradient, at a lecture's pace
  derive linear --format pdf -o linear.pdf            or html, markdown, latex, json
  derive linear --view differential                   the gradients again, by differentials: <dY, D(X W)> = <dY W^T, D(X)> ...
  derive "Y[i,j] = sum(k, X[i,k]*W[k,j]) + b[j]" --wrt W
  derive logistic_regression --hessian w              second derivatives; --hvp w times a direction, --jacobian
  derive my_layers.py[:NAME]                          your own layers (.py, or .layer as text)
  derive check attention | all | my_layers.py         the checker's verdict on every line
  derive new my_layer [--text]                        a file to start a layer of your own from
  derive equal linear linear_out_in                   the proof that two layers compute the same
  derive grade linear "dW = X^T dY"                   is it right? what is wrong with it?
  derive book -o DIR                                  every proof and kernel as a site, and one PDF
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit code is 0, 1 where a line does not hold, 2 for a mistake in what was asked."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        commands = {"book": _book, "check": _check, "equal": _equal, "grade": _grade, "new": _new, "search": _search}
        code = commands[words[0]](words[1:]) if words and words[0] in commands else _derive(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader has gone (`derive attention | head`): nothing is wrong, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except SpecError as error:
        print(f"derive: error: {error}", file=sys.stderr)
        return 2


# ---------------------------------------------------------------------------------------------------- derive


def _derive(words: list[str]) -> int:
    parser = Parser("derive", "Gradients of a layer written in index notation, in matrix form, with a step-by-step checked proof.", EPILOG)
    parser.add_argument("layer", nargs="?", help="a layer's name, a formula, or a file; without one, the catalogue is listed")
    parser.add_argument("--wrt", metavar="NAMES", help="the inputs to differentiate by, separated by commas (default: every real input)")
    parser.add_argument(
        "--detail", choices=("brief", "full", "baby"), default=None, help="how many lines are shown (default: full; json: all)"
    )
    parser.add_argument("--format", type=one_of("format", FORMATS), default="text", help=f"{', '.join(FORMATS)} (default: text)")
    parser.add_argument("--lang", type=one_of("language", LANGUAGES), default="en", help=f"{', '.join(LANGUAGES)} (default: en)")
    parser.add_argument("-o", "--output", metavar="FILE", type=FILE, help="write to FILE, whole or not at all")
    parser.add_argument("--ascii", action="store_true", help="ASCII notation in the terminal")
    parser.add_argument("--width", type=int, metavar="N", help="columns of text (default: the screen's, or 100)")
    parser.add_argument("--fragment", action="store_true", help="LaTeX without a preamble, to include in a document")
    parser.add_argument("--proof", metavar="NAME", help="one proof by itself, that of dW for instance")
    parser.add_argument("--view", type=one_of("view", VIEWS), default="index", help=f"{', '.join(VIEWS)} (default: index)")
    parser.add_argument("--jacobian", metavar="NAME", help="the Jacobian of the output by one input instead of the gradients")
    parser.add_argument("--hessian", metavar="NAME[,NAME]", help="the Hessian of a scalar output by one input, or by two")
    parser.add_argument("--hvp", metavar="NAME", help="the Hessian by one input times a direction, without the Hessian")
    add_options(parser)
    parser.add_argument("--no-check", action="store_true", help="leave out the checker's verdict at the end")
    parser.add_argument("--version", action="version", version=f"gradproof {__version__}")
    options = parser.parse_args(words)
    if options.layer is None:
        return _catalogue(options)
    if options.width is not None and options.width < 40:
        raise SpecError(f"--width {options.width} is too narrow for formulas; write 40 or more")
    if options.format == "pdf" and options.output is None:
        raise SpecError("a PDF is written to a file; name it: -o proof.pdf")
    if options.lang != "en" and options.format in ("latex", "pdf"):
        raise SpecError(f"{options.format} speaks English alone; --lang {options.lang} is for text, markdown and html")
    if options.lang != "en" and options.ascii:
        raise SpecError(f"--ascii leaves no letters for --lang {options.lang}; leave one of them out")
    alone = [f"--{name}" for name in ("proof", "jacobian", "hessian") if getattr(options, name) is not None]
    if len(alone) > 1:
        raise SpecError(f"{' and '.join(alone)} ask for one proof each; choose one of them")
    if options.fragment and options.format != "latex":
        raise SpecError(f"--fragment is a part of a LaTeX document, and --format is {options.format}; write --format latex --fragment")
    if options.view != "index" and alone not in ([], ["--proof"]) or options.view != "index" and options.hvp is not None:
        raise SpecError(f"--view {options.view} is a second way to the gradients; leave {(alone or ['--hvp'])[0]} out")
    from derive.cli.find import find, with_respect_to

    layers = find(options.layer)
    if len(layers) > 1 and options.format != "text":
        names = ", ".join(layer.name for layer in layers)
        raise SpecError(f"{options.layer} has several layers ({names}); choose one for {options.format}: {options.layer}:{layers[0].name}")
    if options.wrt is not None:
        layers = tuple(with_respect_to(layer, options.wrt) for layer in layers)
    return _proofs(layers, options)


def _catalogue(options: argparse.Namespace) -> int:
    for name, value in vars(options).items():
        if value not in (None, False) and (name, value) not in (("format", "text"), ("lang", "en"), ("view", "index")):
            option = f"--{name.replace('_', '-')}"
            raise SpecError(f"{option} needs a layer: derive NAME {option}{'' if value is True else ' ...'}")
    from derive.layers import TOPICS

    _list(TOPICS)
    return 0


def _list(topics: tuple[tuple[str, tuple[Layer, ...]], ...]) -> None:
    """Print layers by topic, a line each: the name, and the first line of what it is."""
    from derive.cli.output import show

    wide = max(len(layer.name) for _, layers in topics for layer in layers)
    lines: list[Any] = []
    for topic, layers in topics:
        lines += [()] if lines else []
        lines.append(((topic, "section"),))
        for layer in layers:
            about = layer.doc.strip().partition("\n")[0].rstrip(".") if layer.doc.strip() else ""
            lines.append(((f"  {layer.name.ljust(wide)}", "proof"), (f"   {about}", "plain")))
    show(lines)


def _proofs(layers: tuple[Layer, ...], options: argparse.Namespace) -> int:
    """Print or write the proofs of the layers; 1 where the checker finds a line that does not hold."""
    from derive.cli.conventions import asked
    from derive.cli.output import on_screen, show, speaks_unicode, width, write
    from derive.cli.pages import page_in
    from derive.render import formats, json, text
    from derive.render.languages import translated

    detail = options.detail or ("baby" if options.format == "json" else "full")
    ascii = options.ascii or (options.output is None and options.format == "text" and not speaks_unicode())
    columns = options.width or (width() if options.output is None else text.WIDTH)
    lines: list[text.Line] = []
    written = ""
    beside: dict[str, str] = {}
    good = True
    conventions = asked(options)
    for layer in layers:
        made, data, held = page_in(layer, conventions, options, detail, ascii)
        good = good and held
        if options.format == "json":
            written += json.dumps(json.at_detail(data, detail) if "proofs" in data else data)
            continue
        made = translated(made, options.lang)
        if options.format == "text":
            lines += ([()] if lines else []) + text.page_lines(made, columns)
        else:
            written += formats.drawn(made, options.format, detail, options.fragment, options.output)
            beside = formats.beside(made, options.format, options.output)
    if options.output is not None:
        if options.format == "pdf":
            from derive.cli.pdf import write_pdf

            size = write_pdf(Path(options.output), written)
        else:
            for name, picture in beside.items():
                write(Path(options.output).parent / name, picture)
            size = write(Path(options.output), written or text.plain(lines))
        print(f"wrote {options.output} ({size:,} bytes)", file=sys.stderr if not on_screen() else sys.stdout)
    elif written:
        sys.stdout.write(written)
    else:
        show(lines)
    return 0 if good else 1


# ---------------------------------------------------------------------------------------------------- derive search


def _search(words: list[str]) -> int:
    parser = Parser("derive search", "Find layers of the catalogue by name, description or topic.")
    parser.add_argument("word", nargs="+", help="what to look for; a layer has to mention every word")
    from derive.cli.find import search

    _list(search(parser.parse_args(words).word))
    return 0


# ---------------------------------------------------------------------------------------------------- derive book


def _book(words: list[str]) -> int:
    from derive.cli.book import command

    return command(words)


# ---------------------------------------------------------------------------------------------------- derive new


def _new(words: list[str]) -> int:
    from derive.cli.new import new

    return new(words)


# ---------------------------------------------------------------------------------------------------- derive equal


def _equal(words: list[str]) -> int:
    from derive.cli.equal import equal

    return equal(words)


# ---------------------------------------------------------------------------------------------------- derive grade


def _grade(words: list[str]) -> int:
    from derive.cli.grade import grade

    return grade(words)


# ---------------------------------------------------------------------------------------------------- derive check


def _check(words: list[str]) -> int:
    parser = Parser("derive check", "Verify every line of every proof, independently of how it was derived.")
    parser.add_argument("layer", help="a layer's name, `all` for the catalogue, a formula, or a file")
    parser.add_argument("--wrt", metavar="NAMES", help="the inputs to differentiate by, separated by commas")
    parser.add_argument("--json", action="store_true", help="the ledger as JSON")
    options = parser.parse_args(words)
    from derive.check import check_document
    from derive.cli.find import find, with_respect_to
    from derive.cli.ledger import ledger, strength
    from derive.cli.output import show
    from derive.cli.pages import derived

    if options.layer == "all":
        from derive.layers import LAYERS

        layers: tuple[Layer, ...] = LAYERS
    else:
        layers = find(options.layer)
    if options.wrt is not None:
        layers = tuple(with_respect_to(layer, options.wrt) for layer in layers)
    documents = []
    reports = []
    for layer in layers:
        every = derived(layer).documents()
        documents.append(every[0])
        for document in every:
            reports.append(check_document(document))
            if not options.json:
                show(ledger(reports[-1]))
    if options.json:
        import json

        print(json.dumps([report.to_json() for report in reports], indent=1))
    elif options.layer == "all":
        show(strength(documents))
    return 0 if all(report.ok for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
