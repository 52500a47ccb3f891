"""An argument parser whose mistakes are one message, like every other mistake."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NoReturn

from derive.errors import SpecError


class Parser(argparse.ArgumentParser):
    """Raises SpecError where argparse would print the usage, six lines of it, before what is wrong. Its help keeps its line ends."""

    def __init__(self, prog: str, description: str, epilog: str = "") -> None:
        kind = argparse.RawDescriptionHelpFormatter
        # An option is written out: with a new one, what an abbreviation means would change.
        super().__init__(prog=prog, description=description, epilog=epilog, formatter_class=kind, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise SpecError(f"{message}; {self.prog} --help lists what there is")


def filled(what: str) -> Callable[[str], str]:
    """For argparse's `type`: the word itself, or a message that it is empty and should be `what`."""

    def checked(word: str) -> str:
        if not word.strip():
            raise argparse.ArgumentTypeError(f"it is empty; write {what}")
        return word

    return checked


FILE = filled("the name of a file, as in -o proof.txt")
FOLDER = filled("the name of a folder, as in -o kernels, or -o . for the one you are in")
