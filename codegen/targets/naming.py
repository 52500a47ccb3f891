"""Python names for arrays and axes: those of the spec wherever Python allows them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable

from derive.names import RESERVED


def names_for(arrays: Iterable[str], axes: Iterable[str], reserved: Iterable[str] = ()) -> tuple[dict[str, str], dict[str, str]]:
    """(array -> Python name, axis -> Python name of its length), all of them different.

    An axis that shares its name with an array is `size_K`.
    """
    taken = {*RESERVED, *reserved}
    arrays = tuple(arrays)
    named = {array: _free(identifier(array), taken) for array in arrays}
    sizes = {}
    for axis in axes:
        name = identifier(axis)
        sizes[axis] = _free(f"size_{name}" if name in taken else name, taken)
    return named, sizes


def identifier(name: str) -> str:
    """`name` as a Python identifier: primes become `_p`, anything else foreign an underscore.

    Underscores at the beginning go to the end: a field of a tuple may not begin with one, and the module's own functions do.
    """
    text = re.sub(r"\W", "_", name.replace("'", "_p"))
    rest = text.lstrip("_")
    text = rest + "_" * (len(text) - len(rest))
    if not rest or rest[0].isdigit():
        text = f"x{text}"
    return f"{text}_" if keyword.iskeyword(text) else text


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
