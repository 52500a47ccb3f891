"""Long formulas into lines: pieces that must stay whole, and where between them a line may end."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Piece:
    """A run of output of some width. A line may end before it if `cut` is not None: the lower, the better a place to break.

    `below` is written on the line under it (a shape), centred, and takes no part in the width but through `width`.
    """

    text: str
    width: float
    cut: int | None = None
    below: str = ""
    role: str = ""


def deeper(pieces: list[Piece], by: int = 2) -> list[Piece]:
    """The same pieces inside one more pair of brackets, where breaking is worse."""
    return [piece if piece.cut is None else replace(piece, cut=piece.cut + by) for piece in pieces]


def solid(pieces: list[Piece]) -> list[Piece]:
    """The same pieces with no place to break."""
    return [piece if piece.cut is None else replace(piece, cut=None) for piece in pieces]


def width(pieces: list[Piece]) -> float:
    return sum(piece.width for piece in pieces)


def lines(pieces: list[Piece], first: float, rest: float) -> list[list[Piece]]:
    """Break `pieces` so that the first line is at most `first` wide and the others at most `rest`, as far as places allow.

    Each line ends at the outermost place that leaves it reasonably full (a third), else at the last place that fits.
    """
    done: list[list[Piece]] = []
    room = first
    left = list(pieces)
    while left and width(left) > room:
        at = _place(left, room)
        if at is None:
            break
        done.append(left[:at])
        left = left[at:]
        room = rest
    return done + [left]


def _place(pieces: list[Piece], room: float) -> int | None:
    """Where to end the first line of `pieces`, or None where no place is left."""
    filled = 0.0
    best: tuple[int, int, int] | None = None
    overflow: int | None = None
    for n, piece in enumerate(pieces):
        if n and piece.cut is not None:
            if filled <= room:
                rank = (0 if filled > room / 3 else 1, piece.cut, -n)
                best = rank if best is None else min(best, rank)
            elif overflow is None:
                overflow = n
        filled += piece.width
    return -best[2] if best is not None else overflow
