"""A sum of a product of two arrays, spelt as the matrix product or dot product that it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from codegen.targets.text import ATOM, MUL, NEG, Spelling, Text, aligned, permuted
from derive.expr import Idx


def contraction(a: Text, b: Text, over: Sequence[Idx], axes: Sequence[Idx], sizes: Mapping[str, str], spelling: Spelling) -> Text:
    """The sum of `a * b` over `over`, whose indices both have; the axes of the result may come in another order than `axes`.

    `sizes` names the length of each axis. The indices in both and in the result are batch axes; those in one of them alone are its
    rows or columns.
    """
    batch = [i for i in axes if i in a.axes and i in b.axes]
    left = [i for i in a.axes if i not in b.axes]
    right = [i for i in b.axes if i not in a.axes]
    if not left and not right:
        return _dot(a, b, over, spelling)
    if len(over) > 1:
        a, b = (_flattened(text, over, sizes, spelling) for text in (a, b))
        over = [i for i in a.axes if i in b.axes and i not in batch]
    if not left or not right:
        swap = len(left) < len(right)
        if not batch and len(left) + len(right) == 1:
            # A vector may stand on either side: the side on which the matrix needs no transpose.
            matrix = a if left else b
            swap = (matrix.axes[0] == over[0]) != (matrix is b)
    else:
        # The operand with several free indices stands left; of two equals, the one whose index comes first in the result.
        swap = len(right) > len(left) or (len(right) == len(left) and axes.index(right[0]) < axes.index(left[0]))
    first, second, rows, columns = (b, a, right, left) if swap else (a, b, left, right)
    return _matmul(first, second, batch, rows, columns, over[0], spelling)


def _flattened(text: Text, over: Sequence[Idx], sizes: Mapping[str, str], spelling: Spelling) -> Text:
    """The array with its summed axes made one, in the order of `over`; lengths are spelt out, since -1 fails for empty arrays."""
    at = text.axes.index(over[0])
    if text.axes[at : at + len(over)] != tuple(over):
        rest = [i for i in text.axes if i not in over]
        text, at = permuted(text, (*rest, *over), spelling), len(rest)
    one = Idx("*".join(i.name for i in over), "*".join(i.dim for i in over))
    axes = (*text.axes[:at], one, *text.axes[at + len(over) :])
    lengths = [" * ".join(sizes[i.dim] for i in over) if i == one else sizes[i.dim] for i in axes]
    return Text(f"{text.at(ATOM)}.reshape({', '.join(lengths)})", ATOM, axes, view=True)


def _dot(a: Text, b: Text, over: Sequence[Idx], spelling: Spelling) -> Text:
    """Both have the same indices: a dot product along one axis, or the sum of an elementwise product."""
    b = permuted(b, a.axes, spelling)
    rest = tuple(i for i in a.axes if i not in over)
    if len(over) == 1 and a.axes[-1] == over[0]:
        if len(a.axes) == 1:
            return Text(f"{a.at(MUL)} @ {b.at(NEG)}", MUL, rest, fresh=True)
        return Text(spelling.vecdot.format(a.code, b.code), ATOM, rest, fresh=True)
    if not rest and spelling.dot:
        return Text(spelling.dot.format(a.code, b.code), ATOM, rest, fresh=True)
    if a.axes[-1] in over and len(a.axes) > 1:
        rows = Text(spelling.vecdot.format(a.code, b.code), ATOM, a.axes[:-1], fresh=True)
        return summed(rows, [i for i in over if i != a.axes[-1]], "sum", spelling)
    return summed(Text(f"{a.at(MUL)} * {b.at(NEG)}", MUL, a.axes), over, "sum", spelling)


def summed(text: Text, over: Sequence[Idx], fn: str, spelling: Spelling) -> Text:
    """A sum or a maximum along axes."""
    rest = tuple(i for i in text.axes if i not in over)
    positions = [text.axes.index(i) for i in text.axes if i in over]
    method = "sum" if fn == "sum" else spelling.maximum
    if fn == "sum" and len(positions) == 1 and rest and spelling.sums:
        last = positions[0] == len(text.axes) - 1
        return Text(spelling.sums.format(text.code, -1 if last else positions[0]), ATOM, rest, fresh=True)
    if not rest:
        where = ""
    elif len(positions) == 1:
        where = f"{spelling.axis}={-1 if positions[0] == len(text.axes) - 1 else positions[0]}"
    else:
        where = f"{spelling.axis}=({', '.join(map(str, positions))})"
    return Text(f"{text.at(ATOM)}.{method}({where})", ATOM, rest, fresh=True)


def _matmul(a: Text, b: Text, batch: list[Idx], rows: list[Idx], columns: list[Idx], over: Idx, spelling: Spelling) -> Text:
    """`a` as (batch, rows, over) times `b` as (batch, over, columns); all rows but the last, and all columns but the last,
    are broadcast."""
    if not batch and len(columns) <= 1:
        left = permuted(a, (*rows, over), spelling)
        right = permuted(b, (over, *columns), spelling)
        return _times(left, right, (*rows, *columns), spelling)
    one: list[Idx | None] = [None]
    left = aligned(a, (*batch, *rows[:-1], *(one * (len(columns) - 1)), *(rows[-1:] or one), over), spelling)
    right = aligned(b, (*batch, *(one * (len(rows) - 1)), *columns[:-1], over, *(columns[-1:] or one)), spelling)
    found = (*batch, *rows[:-1], *columns[:-1], *rows[-1:], *columns[-1:])
    drop = {(True, False): "[..., 0]", (False, True): "[..., 0, :]"}.get((bool(rows), bool(columns)))
    if not drop:
        return _times(left, right, found, spelling)
    text = _times(left, right, found, replace(spelling, product=""))
    return Text(f"({text.code}){drop}", ATOM, found, view=True)


def _times(left: Text, right: Text, axes: tuple[Idx, ...], spelling: Spelling) -> Text:
    out = f"{spelling.module}.matmul({left.code}, {right.code}, out={{0}})"
    added = spelling.add_product.format("{0}", left.code, right.code) if spelling.add_product else ""
    if spelling.product and len(axes) >= 2 and min(len(left.axes), len(right.axes)) >= 2:
        out, spare = (spelling.product.format(left.code, right.code, f", {given}={{0}}") for given in ("out", "spare"))
        return Text(spelling.product.format(left.code, right.code, ""), ATOM, axes, fresh=True, out=out, added=added, spare=spare)
    return Text(f"{left.at(MUL)} @ {right.at(NEG)}", MUL, axes, fresh=True, out=out, added=added)
