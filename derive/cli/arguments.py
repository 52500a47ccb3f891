"""An argument parser whose mistakes are one message, like every other mistake."""

from __future__ import annotations

import argparse
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
