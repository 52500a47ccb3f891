"""An option that takes one of a few words: an unknown word is told the near one."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence

from derive.errors import listing, near


def one_of(what: str, known: Sequence[str]) -> Callable[[str], str]:
    """For argparse's `type`: the word itself, or a message that lists `known` and suggests the nearest."""

    def chosen(word: str) -> str:
        if word not in known:
            said = near(word, known)
            raise ArgumentTypeError(f"there is no {what} {word!r}{said or ';'} {'There are' if said else 'there are'} {listing(known)}")
        return word

    return chosen
