"""What a user did wrong, in their words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SpecError(Exception):
    """A mistake in a spec. The message names the layer, the equation and the index, and says what to write instead."""


def near(name: str, known: Iterable[str]) -> str:
    """`: did you mean X?` for the known name nearest to `name`, or nothing when none is near."""
    pool = sorted(set(known) - {name})
    same = [other for other in pool if other.lower() == name.lower()]
    found = same or difflib.get_close_matches(name, pool, n=1, cutoff=0.6)
    return f"; did you mean {found[0]}?" if found else ""


def listing(names: Iterable[str]) -> str:
    """The names in order, for the end of a message: `X, W and b`."""
    every = list(names)
    if len(every) < 2:
        return "".join(every) or "none"
    return ", ".join(every[:-1]) + " and " + every[-1]
