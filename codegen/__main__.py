"""The `codegen` command: regenerate generated/, check it, or write the kernels of a user's own layers."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from derive.cli.arguments import FOLDER, Parser
from derive.errors import SpecError, listing

USAGE = """\
codegen                         write generated/ anew from the catalogue's proofs
codegen --check                 exit 1 and show a diff if generated/ is not what codegen would write
codegen my_layers.py -o DIR     the kernels of your own layers: DIR/numpy/NAME.py, DIR/torch/NAME.py, DIR/test_NAME.py
codegen my_layers.py -o DIR --registration library
                                the same, those for torch as operators of torch.library
"""

REGISTRATIONS = ("function", "library")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0, 1 for a difference, 2 for a mistake in what was asked."""
    try:
        return _run(_parser().parse_args(arguments))
    except (SpecError, NotImplementedError) as error:
        return _refuse(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{where}{error.strerror or error}")
    except KeyboardInterrupt:
        print("codegen: interrupted; nothing was written", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = Parser("codegen", USAGE)
    parser.add_argument("layers", nargs="?", help="a file of layers (.py or .layer, :NAME for one of them), a layer's name or a formula")
    parser.add_argument("-o", "--output", metavar="DIR", type=FOLDER, help="the folder to write kernels and their tests to")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and show a diff where a file is out of date")
    parser.add_argument(
        "--without",
        metavar="PASS",
        action="append",
        default=[],
        help="leave a pass out, to see its worth; without saving, backward passes make forward values anew",
    )
    parser.add_argument(
        "--registration",
        choices=REGISTRATIONS,
        default="function",
        help="how torch knows a kernel: as autograd Functions, or as operators of torch.library (no forward mode, no torch.func.grad)",
    )
    return parser


def _run(options: argparse.Namespace) -> int:
    from codegen.files import GENERATED, catalogue_files, differences, stale, user_files, write
    from codegen.passes import known

    if options.layers is not None and options.output is None:
        raise SpecError(f"say where to write: codegen {options.layers} -o DIR")
    known(options.without)
    if options.layers is None and options.registration != "function":
        raise SpecError("the catalogue's kernels are autograd Functions; name a file of layers, and where to write with -o DIR")
    layers = _layers(options.layers)
    if options.output is None:
        root, files = GENERATED, catalogue_files(_derivations(layers), options.without)
        gone = stale(root, files)
    else:
        root, files, gone = Path(options.output), user_files(_derivations(layers), options.without, options.registration), []
    if options.check:
        return _compare(root, differences(root, files), gone, len(files))
    if root.exists() and not root.is_dir():
        raise SpecError(f"{root} is a file; name a folder")
    count = write(root, files, gone)
    print(f"{root}: {len(files)} files of {len(layers)} {'layer' if len(layers) == 1 else 'layers'}, {count} changed")
    return 0


def _layers(target: str | None) -> tuple[Any, ...]:
    if target is None:
        from derive.layers import LAYERS

        return LAYERS
    from derive.cli.find import find
    from derive.names import check_kernel_name

    layers = find(target)
    for layer in layers:
        check_kernel_name(layer.name)
    names = [layer.name for layer in layers]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SpecError(f"{target} has two layers named {listing(twice)}: each needs a name of its own, because it names a file")
    return layers


def _derivations(layers: Sequence[Any]) -> Iterator[Any]:
    """Each layer derived, in order, under a progress bar where someone is watching."""
    from derive.engine import derive
    from derive.lemma import CannotDerive

    def each(sequence: Any) -> Iterator[Any]:
        for layer in sequence:
            try:
                yield derive(layer)
            except CannotDerive as error:
                raise SpecError(f"{layer.name}: {error}") from None
            except NotImplementedError as error:
                raise SpecError(f"{layer.name}: {error}") from None

    if not sys.stderr.isatty():
        yield from each(layers)
        return
    from rich.console import Console
    from rich.progress import track

    yield from each(track(layers, description="deriving", console=Console(stderr=True), transient=True))


def _compare(root: Path, lines: list[str], gone: list[str], count: int) -> int:
    for line in lines:
        print(line)
    for name in gone:
        print(f"{root / name}: codegen would remove it")
    if lines or gone:
        print("codegen: out of date; run codegen to write it anew", file=sys.stderr)
        return 1
    print(f"{root}: {count} files, all as codegen writes them")
    return 0


def _refuse(message: str) -> int:
    print(f"codegen: error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
