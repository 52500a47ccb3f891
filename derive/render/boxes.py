"""The boxes a lecturer draws: a matrix expression as rectangles whose sides are its axes, equal axes drawn equally long."""

from __future__ import annotations

from dataclasses import dataclass

from derive import matrix as mx
from derive.render.layout import (
    Big,
    Call,
    Entry,
    Frac,
    Inverted,
    Layout,
    Paren,
    Partial,
    Raised,
    RaisedTo,
    Relation,
    Root,
    Row,
    Shaped,
    Terms,
    Transposed,
    Word,
)
from derive.render.matrix_layout import of_matrix
from derive.render.notation import Context
from derive.render.picture import Box, Item, Label, Picture, Text, label_of

LENGTHS = (58.0, 38.0, 76.0, 48.0, 28.0, 66.0, 88.0, 33.0)
"""Sides of the axes, in the order in which the layer names them; an axis of length 1 is a thin strip."""
THIN = 15.0
MARGIN = 12.0
WIDEST = 800.0
SMALL = 9.5


@dataclass(frozen=True)
class _Sign:
    """What stands between boxes; `gap` is the room around it."""

    label: Label
    gap: float = 3.0


def boxes(name: str, matrix: mx.Matrix, where: Context, axes: tuple[str, ...]) -> Picture | None:
    """The diagram of `name = matrix`; None where no product is in it, or it would be too wide to read.

    `axes` are all axes of the page, so that an axis is as long in every diagram.
    """
    if not _has_product(matrix):
        return None
    head = Shaped(Word(name, "tensor"), *mx.shape(matrix))
    run: list[Shaped | _Sign] = [head, _sign("="), *_run(of_matrix(matrix, where), where)]
    if sum(isinstance(part, Shaped) for part in run) < 3:
        return None
    sides = {axis: LENGTHS[n % len(LENGTHS)] for n, axis in enumerate(axes)}
    tallest = max(THIN if part.rows is None else sides[part.rows] for part in run if isinstance(part, Shaped))
    middle = MARGIN + 16 + tallest / 2
    items: list[Item] = []
    at = MARGIN
    for part in run:
        if isinstance(part, _Sign):
            at += part.gap
            items.append(Text(at + part.label.width / 2, middle, part.label, "plain"))
            at += part.label.width + part.gap
            continue
        label = label_of(part.body, where)
        wide, tall = (THIN if axis is None else sides[axis] for axis in (part.cols, part.rows))
        rows, cols = (label_of(Word(axis, "axis"), where) if axis else None for axis in (part.rows, part.cols))
        at += 6 + (rows.width * SMALL / 13 if rows else 0)
        kind = "gradient" if _is_gradient(part.body, where) else "forward"
        items.append(Box(at, middle - tall / 2, wide, tall, kind))
        if rows:
            items.append(Text(at - 3, middle, rows, "soft", "end", SMALL))
        if cols:
            items.append(Text(at + wide / 2, middle - tall / 2 - 8, cols, "soft", "middle", SMALL))
        # A name too wide for its strip stands below it.
        inside = label.width <= wide - 2 or tall < THIN + 1 < label.width <= wide
        items.append(Text(at + wide / 2, middle if inside else middle + tall / 2 + 10, label, "plain", "middle", 13.0 if inside else 11.0))
        at += wide + 6
    height = middle + tallest / 2 + 20
    if at > WIDEST:
        return None
    shape = " × ".join("1" if axis is None else axis for axis in mx.shape(matrix))
    return Picture(at + MARGIN, height, tuple(items), f"{name}, {shape}, as a product of boxes with a side for each axis")


def _has_product(matrix: mx.Matrix) -> bool:
    return isinstance(matrix, mx.Product) or any(_has_product(part) for part in mx.parts(matrix))


def _is_gradient(body: Layout, where: Context) -> bool:
    base = body.base if isinstance(body, Transposed) else body
    return isinstance(base, Word) and base.role == "tensor" and bool(where.depth(base.text)[0])


def _sign(text: str, gap: float = 5.0) -> _Sign:
    tex = {"∘": "\\circ", "−": "-", "⊤": "^{\\top}"}.get(text, text)
    return _Sign(Label(((text, "upright"),), tex), gap)


def _boxed(laid: Layout) -> bool:
    """Whether anything in a layout has a shape to draw."""
    if isinstance(laid, Shaped):
        return True
    if isinstance(laid, Terms):
        return any(_boxed(term) for _, term in laid.items)
    if isinstance(laid, (Row, Call)):
        return any(map(_boxed, laid.items if isinstance(laid, Row) else laid.args))
    if isinstance(laid, Frac):
        return _boxed(laid.top) or _boxed(laid.bottom)
    if isinstance(laid, (Raised, RaisedTo, Transposed, Inverted)):
        return _boxed(laid.base)
    return isinstance(laid, (Paren, Root)) and _boxed(laid.body)


def _run(laid: Layout, where: Context) -> list[Shaped | _Sign]:
    """The boxes of a layout from left to right, and the signs between them."""
    if isinstance(laid, Shaped):
        return [laid]
    if not _boxed(laid) or isinstance(laid, (Word, Entry, Big, Partial, Relation, RaisedTo)):
        return [_Sign(label_of(laid, where))]
    if isinstance(laid, Paren):
        return [_sign("(", 1), *_run(laid.body, where), _sign(")", 1)]
    if isinstance(laid, Row):
        found: list[Shaped | _Sign] = []
        for n, item in enumerate(laid.items):
            found += ([_sign("∘")] if n and laid.joint else []) + _run(item, where)
        return found
    if isinstance(laid, Terms):
        found = []
        for n, (negative, term) in enumerate(laid.items):
            found += ([_sign("−" if negative else "+")] if n or negative else []) + _run(term, where)
        return found
    if isinstance(laid, Frac):
        return [*_run(laid.top, where), _sign("/", 2), *_run(laid.bottom, where)]
    if isinstance(laid, Transposed):
        return [*_run(laid.base, where), _sign("⊤", 1)]
    if isinstance(laid, Inverted):
        power = ("−⊤", "{}^{-\\top}") if laid.transposed else ("−1", "{}^{-1}")
        return [*_run(laid.base, where), _Sign(Label(((power[0], "sup"),), power[1]), 1)]
    if isinstance(laid, Raised):
        raised = Label(((f"{'∘' if laid.elementwise else ''}{laid.exponent}", "sup"),), f"^{{\\circ {laid.exponent}}}")
        return [*_run(laid.base, where), _Sign(raised, 1)]
    if isinstance(laid, Root):
        return [_Sign(Label((("√", "upright"),), "\\surd"), 1), *_run(laid.body, where)]
    assert isinstance(laid, Call)
    name = Label(((laid.name, "upright"),), f"\\mathrm{{{laid.name}}}".replace("_", "\\_"))
    found = [_Sign(name, 2), _sign("(", 1)]
    for n, arg in enumerate(laid.args):
        found += ([_sign(",", 1)] if n else []) + _run(arg, where)
    return [*found, _sign(")", 1)]
