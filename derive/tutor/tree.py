"""A person's formula as it was written: a tree whose nodes remember their column, before anything is known of its shapes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from derive.errors import SpecError


@dataclass(frozen=True)
class Node:
    """`kind` is one of those below; `at` is the column where it stands (of an operation, its sign).

    num (value)  name (value)  entry (value: the tensor, parts: its indices)  add, times, product, divide, compare (value: relation)
    negative  power (value)  transpose (value: "T", or "numpy", which leaves a vector alone)  call (value: the function)
    reduce (value: (how, axes or None for all, keep))  reshape (value: a ":" or None for each axis)  over (value: the indices of a sum)
    einsum (value: its string)  size (value: the axis counted from 0, parts: the tensor)
    """

    kind: str
    parts: tuple[Node, ...] = ()
    value: Any = None
    at: int = 0


class Unreadable(SpecError):
    """A formula that does not parse or has impossible shapes; `column` is where."""

    def __init__(self, message: str, column: int, shapes: bool = False) -> None:
        super().__init__(message)
        self.message, self.column, self.shapes = message, column, shapes


def walk(node: Node) -> Iterator[Node]:
    yield node
    for part in node.parts:
        yield from walk(part)


def variants(node: Node, change: Callable[[Node], Iterator[Node]]) -> Iterator[Node]:
    """Every tree that differs from `node` by `change` applied in one place; the arithmetic of a place along an axis stays as it is."""
    yield from change(node)
    for n, part in enumerate(node.parts):
        if node.kind == "entry" and part.kind not in ("name", "entry"):
            continue
        for other in variants(part, change):
            yield replace(node, parts=(*node.parts[:n], other, *node.parts[n + 1 :]))


# ---------------------------------------------------------------------------------------------------- writing back

_LEVEL = {"add": 1, "compare": 0, "negative": 2, "times": 3, "divide": 3, "product": 3, "over": 3, "power": 5, "transpose": 5, "reshape": 6}


def text(node: Node, level: int = 0) -> str:
    """The formula in plain matrix notation."""
    own = _LEVEL.get(node.kind, 7)
    written = _text(node)
    return f"({written})" if own < level else written


def _text(node: Node) -> str:
    kind, parts = node.kind, node.parts
    if kind == "num":
        return str(node.value)
    if kind == "name":
        return str(node.value)
    if kind == "entry":
        return f"{node.value}[{','.join(text(part) for part in parts)}]"
    if kind == "add":
        shown = text(parts[0], 1)
        for part in parts[1:]:
            if part.kind == "num" and part.value < 0:
                shown += f" - {-part.value}"
            else:
                shown += f" - {text(part.parts[0], 3)}" if part.kind == "negative" else f" + {text(part, 2)}"
        return shown
    if kind == "negative":
        return f"-{text(parts[0], 3)}"
    if kind == "times":
        return " * ".join(text(part, 4 if n and part.kind == "divide" else 3) for n, part in enumerate(parts))
    if kind == "product":
        return " ".join(text(part, 4 if part.kind in ("times", "divide", "over") else 3) for part in parts)
    if kind == "divide":
        return f"{text(parts[0], 3)} / {text(parts[1], 4)}"
    if kind == "power" and node.value.denominator == 2 and node.value.numerator == 1:
        return f"sqrt({text(parts[0])})"
    if kind == "power":
        shown = str(node.value)
        return f"{text(parts[0], 6)}^{shown if shown.isdigit() else f'({shown})'}"
    if kind == "transpose":
        return f"{text(parts[0], 5)}^T"
    if kind == "compare":
        return f"{text(parts[0], 1)} {node.value} {text(parts[1], 1)}"
    if kind == "reduce":
        how, axes, keep = node.value
        inner = [] if axes is None else [f"axis={axes[0] if len(axes) == 1 else axes}"]
        return f"{text(parts[0], 6)}.{how}({', '.join([*inner, *(['keepdims=True'] if keep else [])])})"
    if kind == "reshape":
        return f"{text(parts[0], 6)}[{', '.join(':' if axis else 'None' for axis in node.value)}]"
    if kind == "over":
        return f"sum({','.join(node.value)}, {text(parts[0])})"
    if kind == "einsum":
        return f"einsum('{node.value}', {', '.join(text(part) for part in parts)})"
    if kind == "size":
        return f"{text(parts[0], 6)}.shape[{node.value}]"
    return f"{node.value}({', '.join(text(part) for part in parts)})"
