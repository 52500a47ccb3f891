"""What a page is made of: blocks that say what stands there, and nothing of how it is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Union

from derive import matrix as mx
from derive.example import Example
from derive.expr import Equation, Expr, Fact
from derive.render.notation import Context
from derive.render.picture import Picture


@dataclass(frozen=True)
class Heading:
    """A section (level 1 is the page's title, 2 a section, 3 one proof)."""

    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Bullets:
    items: tuple[str, ...]


@dataclass(frozen=True)
class Identities:
    """Rules by name, each with its identity in plain text."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Givens:
    """The tensors: name, axes, role."""

    rows: tuple[tuple[str, tuple[str, ...], str], ...]


@dataclass(frozen=True)
class Formulas:
    """Equations on lines of their own."""

    items: tuple[Union[Equation, Fact], ...]


@dataclass(frozen=True)
class Line:
    """An expression or a matrix, and by level of detail the reason it is given there; a level that leaves the line out has none."""

    expr: Expr | mx.Matrix
    reasons: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Chain:
    """`target` equals each line in turn; a line is an expression and its reason.

    `every` has the lines of all levels of detail, for a format that can fold and unfold them.
    """

    target: Expr | mx.Matrix
    lines: tuple[tuple[Expr | mx.Matrix, str], ...]
    every: tuple[Line, ...]


@dataclass(frozen=True)
class Result:
    """A tensor in matrix form, several equal ones in turn; without one, in index notation."""

    name: str
    shape: mx.Shape
    forms: tuple[mx.Matrix, ...]
    entry: Equation


@dataclass(frozen=True)
class Results:
    items: tuple[Result, ...]


@dataclass(frozen=True)
class Worked:
    """The worked example; `roles` says which values are shown."""

    example: Example
    roles: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """Pictures, for the formats that can draw; `name` tells them apart where they are files of their own."""

    name: str
    lead: str
    pictures: tuple[Picture, ...]


Block = Union[Heading, Paragraph, Bullets, Identities, Givens, Formulas, Chain, Results, Worked, Figures]


@dataclass(frozen=True)
class Page:
    """A whole page, and what its names are read against."""

    title: str
    blocks: tuple[Block, ...]
    where: Context
