"""`derive equal A B`: the proof that two layers compute the same, or the numbers at which they differ."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derive.cli.arguments import FILE, Parser
from derive.cli.choice import one_of
from derive.errors import SpecError
from derive.render import FORMATS

if TYPE_CHECKING:
    from derive.spec import Layer

WRITTEN = tuple(name for name in FORMATS if name != "pdf")
EPILOG = """examples:
  derive equal linear linear_out_in
  derive equal attention_tied attention --where "K[j,d] = Q[j,d]"
  derive equal pairwise_convolution_split pairwise_convolution --fact "sum(j, A[i,j]) = 1"
  derive equal "Y[i] = (x[i] + z[i])^2" "Y[i] = x[i]^2 + 2*x[i]*z[i] + z[i]^2"
  derive equal my_layers.py:MINE attention
"""


def equal(words: list[str]) -> int:
    """0 where the two are proved equal and every line holds, 1 where they differ or no proof was found."""
    parser = Parser("derive equal", "Prove that two layers compute the same, or show where they differ.", EPILOG)
    parser.add_argument("first", help="a layer's name, a formula, or a file with the layer's name, FILE:NAME")
    parser.add_argument("second", help="the layer that is to be the same")
    parser.add_argument(
        "--where", action="append", metavar="EQUATION", default=[], help="what a tensor of the second layer is, in terms of the first"
    )
    parser.add_argument("--fact", action="append", metavar="FACT", default=[], help="a hypothesis about the inputs of the first layer")
    parser.add_argument("--detail", choices=("brief", "full", "baby"), default=None, help="how many lines are shown (default: full)")
    parser.add_argument("--format", type=one_of("format", WRITTEN), default="text", help=f"{', '.join(WRITTEN)} (default: text)")
    parser.add_argument("-o", "--output", metavar="FILE", type=FILE, help="write to FILE, whole or not at all")
    parser.add_argument("--ascii", action="store_true", help="ASCII notation in the terminal")
    parser.add_argument("--width", type=int, metavar="N", help="columns of text (default: the screen's, or 100)")
    options = parser.parse_args(words)
    if options.width is not None and options.width < 40:
        raise SpecError(f"--width {options.width} is too narrow for formulas; write 40 or more")
    from derive.agreement import agreement
    from derive.layers.equals import between

    first, second = _one(options.first, "first"), _one(options.second, "second")
    where, facts = tuple(options.where), tuple(options.fact)
    claim = between(options.first, options.second) if not where else None
    if claim is not None:
        if claim.first != options.first:
            first, second = second, first
        where, facts = claim.where, tuple(dict.fromkeys((*claim.facts, *facts)))
    found = agreement(first, second, where, facts)
    if found.difference:
        print(f"{first.name} and {second.name} are different: {found.difference}", file=sys.stderr)
        return 1
    if not found.proved:
        print(
            f"{first.name} and {second.name}: no proof was found that {found.stuck} is equal, and no numbers at which it differs; "
            "they may be equal all the same",
            file=sys.stderr,
        )
        return 1
    return _print(found, options)


def _one(target: str, place: str) -> Layer:
    """The layer that an argument names; a formula is named after its place."""
    from derive.cli.find import find

    layers = find(target)
    if len(layers) == 1 and layers[0].name == "formula":
        from derive.spec import Layer

        return Layer.parse(f"the_{place}_formula", target)
    if len(layers) > 1:
        names = ", ".join(layer.name for layer in layers)
        raise SpecError(f"{target} has several layers ({names}); choose one: {target}:{layers[0].name}")
    return layers[0]


def _print(found: Any, options: argparse.Namespace) -> int:
    from derive.cli.output import on_screen, show, speaks_unicode, width, write
    from derive.render import formats, json, text
    from derive.render.equality import equality_page

    report = found.check()
    detail = options.detail or ("baby" if options.format == "json" else "full")
    ascii = options.ascii or (options.output is None and options.format == "text" and not speaks_unicode())
    page = equality_page(found, detail, report, ascii)
    columns = options.width or (width() if options.output is None else text.WIDTH)
    lines: list[text.Line] = []
    written = ""
    if options.format == "json":
        written = json.dumps(json.at_detail(found.document, detail))
    elif options.format != "text":
        written = formats.drawn(page, options.format, detail)
    else:
        lines = text.page_lines(page, columns)
    if options.output is not None:
        size = write(Path(options.output), written or text.plain(lines))
        print(f"wrote {options.output} ({size:,} bytes)", file=sys.stderr if not on_screen() else sys.stdout)
    elif written:
        sys.stdout.write(written)
    else:
        show(lines)
    return 0 if report.ok else 1
