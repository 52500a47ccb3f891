"""Which support functions some generated lines call, and their source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from types import ModuleType


def functions_called(module: ModuleType, lines: Iterable[str]) -> list[str]:
    """The source lines of every function of `module` that the lines call, in the module's order, two empty lines before each."""
    text = "\n".join(lines)
    found: list[str] = []
    for name, function in vars(module).items():
        if inspect.isfunction(function) and function.__module__ == module.__name__ and re.search(rf"\b{name}\b", text):
            found += ["", "", *inspect.getsource(function).rstrip().splitlines()]
    return found
