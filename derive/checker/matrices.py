"""Evaluation of matrix notation: each node is a table of two axes, read entry by entry for fixed batch indices."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from derive.checker.arithmetic import Number, function
from derive.checker.elimination import Dual, inverse
from derive.checker.evaluate import Key, World
from derive.checker.structure import Declarations, Malformed

Node = Any
Shape = tuple[Any, Any]
Cell = Callable[[int, int], Number]
_LISTS = ("product", "hadamard", "total")
_UNARY = ("transpose", "diag", "rowsum", "colsum", "entrysum", "inverse")


def shape_of(node: Node, declared: Declarations, batch: list[Node]) -> Shape:
    """The two axes of a matrix expression; raises Malformed where the shapes inside it do not fit."""
    try:
        return _shape(node, declared, batch)
    except (IndexError, KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise Malformed(f"this is no matrix expression ({type(error).__name__}: {error})") from None


def _shape(node: Node, declared: Declarations, batch: list[Node]) -> Shape:
    kind = node[0]
    if kind == "whole":
        tensor = _tensor(node[1], declared)
        if _own_axes(tensor, batch) != [axis for axis in node[2] if axis is not None] or tensor["kind"] == "int":
            raise Malformed(f"{node[1]}[{', '.join(tensor['dims'])}] is not {_text((node[2][0], node[2][1]))}")
        return node[2][0], node[2][1]
    if kind == "ones":
        return node[1][0], node[1][1]
    if kind == "onehot":
        tensor = _tensor(node[1], declared)
        if tensor["kind"] != "int" or tensor["values"] != node[2][1] or _own_axes(tensor, batch) != [node[2][0]]:
            raise Malformed(f"{node[1]} is no column of labels over {node[2][1]}")
        return node[2][0], node[2][1]
    if kind == "entries":
        ends = [index for index in (node[2], node[3]) if index is not None]
        declared.check_expr(node[1], {index[1]: index[2] for index in (*batch, *ends)})
        return tuple(None if index is None else index[2] for index in (node[2], node[3]))  # type: ignore[return-value]
    if kind in _LISTS or kind == "map":
        shapes = [_shape(part, declared, batch) for part in (node[2] if kind == "map" else node[1])]
        if kind == "product":
            for left, right in zip(shapes, shapes[1:]):
                if left[1] != right[0]:
                    raise Malformed(f"a product of {_text(left)} and {_text(right)}")
            return shapes[0][0], shapes[-1][1]
        if any(shape != shapes[0] for shape in shapes):
            raise Malformed(f"a {kind} of {' and '.join(_text(shape) for shape in shapes)}")
        if kind == "map" and len(shapes) != len(function(node[1]).partials):
            raise Malformed(f"{node[1]} of {len(shapes)} matrices")
        return shapes[0]
    if kind == "scale":
        declared.check_expr(node[1], {index[1]: index[2] for index in batch})
        return _shape(node[2], declared, batch)
    if kind == "power":
        Fraction(node[2])
        return _shape(node[1], declared, batch)
    if kind not in _UNARY:
        raise Malformed(f"no such matrix node: {kind!r}")
    rows, columns = _shape(node[1], declared, batch)
    if kind == "diag" and columns is not None:
        raise Malformed(f"a diagonal is a column, not {_text((rows, columns))}")
    if kind == "inverse" and rows != columns:
        raise Malformed(f"the inverse of {_text((rows, columns))}, which is not square")
    return {
        "inverse": (rows, columns),
        "transpose": (columns, rows),
        "diag": (rows, rows),
        "rowsum": (rows, None),
        "colsum": (None, columns),
        "entrysum": (None, None),
    }[str(kind)]


def _tensor(name: str, declared: Declarations) -> Node:
    if name not in declared.tensors:
        raise Malformed(f"no tensor {name} is declared")
    return declared.tensors[name]


def _own_axes(tensor: Node, batch: list[Node]) -> list[str]:
    """A tensor's axes after the batch axes."""
    leading = [index[2] for index in batch]
    if tensor["dims"][: len(leading)] != leading:
        raise Malformed(f"{tensor['name']}[{', '.join(tensor['dims'])}] does not begin with the batch axes {', '.join(leading)}")
    return list(tensor["dims"][len(leading) :])


def _text(shape: Shape) -> str:
    return f"{shape[0] or 1} x {shape[1] or 1}"


def check_goal(shape: Shape, target: Node, batch: list[Node]) -> list[str]:
    """The target's indices after the batch; raises Malformed unless they are the rows and columns of `shape`."""
    rest = [index for index in target[2] if index not in batch]
    axes = [index[2] for index in rest]
    if len(rest) > 2 or [axis for axis in shape if axis is not None] != axes:
        raise Malformed(f"a matrix of {_text(shape)} cannot be {target[1]}[{', '.join(axes)}]")
    return [index[1] for index in rest]


class Matrices:
    """Matrix expressions in a world, for one value of the batch indices."""

    def __init__(self, world: World, declared: Declarations, batch: list[Node], at: Key) -> None:
        self.world = world
        self.declared = declared
        self.batch = batch
        self.at = at

    def _length(self, axis: str | None) -> int:
        return 1 if axis is None else self.world.sizes[axis]

    def cell(self, node: Node) -> Cell:
        """`node` as a function of its row and column, each entry evaluated once."""
        read = self._cell(node)
        memo: dict[tuple[int, int], Number] = {}

        def remembered(row: int, column: int) -> Number:
            found = memo.get((row, column))
            if found is None:
                found = memo[row, column] = read(row, column)
            return found

        return remembered

    def _cell(self, node: Node) -> Cell:
        kind, world = node[0], self.world
        if kind == "whole":
            return self._whole(node)
        if kind == "ones":
            return lambda row, column: 1
        if kind == "onehot":
            labels, at = world.reader(node[1]), self.at
            return lambda row, column: 1 if labels((*at, row)) == column else 0
        if kind == "entries":
            ends = [index for index in (node[2], node[3]) if index is not None]
            names = {index[1]: n for n, index in enumerate((*self.batch, *ends))}
            entry = world.compile(node[1], names)
            both = node[2] is not None and node[3] is not None
            return lambda row, column: world.evaluate(
                entry, (*self.at, row, column) if both else (*self.at, column if node[2] is None else row)[: len(names)]
            )
        if kind == "scale":
            names = {index[1]: n for n, index in enumerate(self.batch)}
            factor, cell, at = world.compile(node[1], names), self.cell(node[2]), self.at
            conditions = [self.cell(part) for part in _conditions(node[2])]
            return lambda row, column: (
                0 if any(each(row, column) == 0 for each in conditions) else world.evaluate(factor, at) * cell(row, column)
            )
        if kind == "power":
            cell, exponent, arithmetic = self.cell(node[1]), Fraction(node[2]), world.arithmetic
            return lambda row, column: arithmetic.power(cell(row, column), exponent)
        if kind == "map":
            call, cells, arithmetic = function(node[1]).value, [self.cell(part) for part in node[2]], world.arithmetic
            return lambda row, column: call(arithmetic, *[cell(row, column) for cell in cells])
        if kind == "product":
            return self._product(node[1])
        if kind in _LISTS:
            # Conditions come first, as they do in index notation: where one is 0 nothing else is looked at.
            cells = [self.cell(part) for part in sorted(node[1], key=lambda part: not _is_condition(part))]
            if kind == "total":
                return lambda row, column: sum(cell(row, column) for cell in cells)
            first = sum(map(_is_condition, node[1]))
            return lambda row, column: _times(cells, first, row, column)
        return self._unary(node)

    def _whole(self, node: Node) -> Cell:
        read, at = self.world.reader(node[1]), self.at
        rows, columns = node[2]
        if rows is None and columns is None:
            return lambda row, column: read(at)
        if columns is None:
            return lambda row, column: read((*at, row))
        if rows is None:
            return lambda row, column: read((*at, column))
        return lambda row, column: read((*at, row, column))

    def _product(self, factors: list[Node]) -> Cell:
        if len(factors) == 1:
            return self.cell(factors[0])
        last = self.cell(factors[-1])
        first = self.cell(factors[0] if len(factors) == 2 else ["product", factors[:-1]])
        inner = self._length(shape_of(factors[-1], self.declared, self.batch)[0])
        return lambda row, column: sum(first(row, k) * last(k, column) for k in range(inner))

    def _unary(self, node: Node) -> Cell:
        cell = self.cell(node[1])
        rows, columns = (range(self._length(axis)) for axis in shape_of(node[1], self.declared, self.batch))
        if node[0] == "transpose":
            return lambda row, column: cell(column, row)
        if node[0] == "inverse":
            table = inverse([[Dual(cell(row, column)) for column in columns] for row in rows], self.world.arithmetic)
            return lambda row, column: table[row][column].value
        if node[0] == "diag":
            return lambda row, column: cell(row, 0) if row == column else 0
        if node[0] == "rowsum":
            return lambda row, column: sum(cell(row, k) for k in columns)
        if node[0] == "colsum":
            return lambda row, column: sum(cell(k, column) for k in rows)
        return lambda row, column: sum(cell(i, j) for i in rows for j in columns)


def _is_condition(node: Node) -> bool:
    """Whether a matrix is a table of a condition, perhaps turned over, or spread along an axis by an outer product with ones; a sum of
    conditions, as a product with ones over an axis is, is none: its 0 is a number like any other."""
    if node[0] == "entries":
        return bool(node[1][0] == "iverson" or node[1][0] == "mul" and all(part[0] == "iverson" for part in node[1][1]))
    if node[0] == "transpose":
        return _is_condition(node[1])
    if node[0] != "product" or len(node[1]) != 2:
        return False
    first, second = node[1]
    return (
        _is_condition(first)
        and second[0] == "ones"
        and second[1][0] is None
        or (_is_condition(second) and first[0] == "ones" and first[1][1] is None)
    )


def _conditions(node: Node) -> list[Node]:
    """The conditions among the factors of a product entry by entry."""
    if _is_condition(node):
        return [node]
    if node[0] in ("hadamard", "scale"):
        return [found for part in (node[1] if node[0] == "hadamard" else node[2:]) for found in _conditions(part)]
    return []


def _times(cells: list[Cell], conditions: int, row: int, column: int) -> Number:
    """The product of an entry of each matrix, the first so many of them conditions."""
    result: Number = 1
    for number, cell in enumerate(cells):
        result *= cell(row, column)
        if number < conditions and result == 0:
            return 0
    return result
