"""Which support functions some generated lines call, and their source."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from types import ModuleType


def functions_called(module: ModuleType, lines: Iterable[str]) -> list[str]:
    """The source lines of every function of `module` that the lines need, in the module's order, two empty lines before each."""
    sources = _sources(module)
    needed: set[str] = set()
    pending = ["\n".join(lines)]
    while pending:
        text = pending.pop()
        for name, source in sources.items():
            if name not in needed and re.search(rf"\b{name}\b", text):
                needed.add(name)
                pending.append(source)
    return [line for name, source in sources.items() if name in needed for line in ["", "", *source.splitlines()]]


@cache
def _sources(module: ModuleType) -> Mapping[str, str]:
    """Function of the module -> its source, in the module's order. Reading it takes longer than printing a kernel."""
    return {
        name: inspect.getsource(function).rstrip()
        for name, value in vars(module).items()
        if callable(value) and inspect.isfunction(function := inspect.unwrap(value)) and function.__module__ == module.__name__
    }
