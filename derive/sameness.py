"""Whether a changed line of a proof still has the value of the true one: the mutation test's judge, not the checker.

A planted change may be no error (a factor of a term that is zero, a summed index that a delta pins down). To know that without
asking the checker, this file evaluates both lines by other means: double precision, derivatives by central differences,
matrices as dense tables, and every entry of the target instead of a sample.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from fractions import Fraction
from typing import Any

from derive.checker.arithmetic import CannotTell, Digits
from derive.checker.structure import Declarations, Malformed
from derive.checker.worlds import draw_lengths, draw_tensors

Node = Any
Env = dict[str, int]
Table = list[list[float]]
STEP = 1e-5
TOLERANCE = 1e-6
WORLDS = 2
ATTEMPTS = 4
ENTRIES = 60

FUNCTIONS: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "tanh": math.tanh,
    "erf": math.erf,
    "sin": math.sin,
    "cos": math.cos,
    "abs": abs,
    "max": max,
    "min": min,
    "pow": pow,
    "xlogy": lambda x, y: x * math.log(y) if x else 0.0,
    "pi": lambda: math.pi,
    "relu": lambda x: max(x, 0.0),
    "sign": lambda x: float(x > 0) - float(x < 0),
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "softplus": lambda x: math.log1p(math.exp(x)),
}


def same_line(proof: Node, before: Node, after: Node, seed: int = 0) -> bool:
    """Whether `after` has the value of `before` everywhere, under the proof's definitions and facts."""
    scope = {index[1]: index[2] for index in proof["goal"]["target"][2]}
    try:
        Declarations(proof["tensors"]).check_expr(after, scope)
    except Malformed:
        return False
    return _same(proof, seed, [before, after], lambda tensors, env: (tensors.value(before, env), tensors.value(after, env)))


def same_matrix(proof: Node, after: Node, seed: int = 0) -> bool:
    """Whether the matrix expression `after` has the value of the proof's last line."""
    last = proof["steps"][-1]["after"] if proof["steps"] else proof["goal"]["value"]
    batch = {index[1] for index in proof["batch"]}
    rest = [index[1] for index in proof["goal"]["target"][2] if index[1] not in batch]

    def both(tensors: _Tensors, env: Env) -> tuple[float, float]:
        table = _Matrices(tensors, {name: env[name] for name in batch}, proof).table(after)
        rows, columns = len(table), len(table[0])
        place = [env[name] for name in rest]
        expected = [size for size in (rows, columns) if size != 1]
        if expected != [tensors.sizes[index[2]] for index in proof["goal"]["target"][2] if index[1] in rest]:
            raise _Different
        row, column = (place[0], place[1]) if len(place) == 2 else (place[0], 0) if columns == 1 and place else (0, *place, 0)[:2]
        return tensors.value(last, env), table[row][column]

    return _same(proof, seed, [last], both)


class _Different(Exception):
    """The two lines cannot be compared: the changed one has another shape, or no value."""


def _same(proof: Node, seed: int, nodes: list[Node], both: Callable[[_Tensors, Env], tuple[float, float]]) -> bool:
    for number in range(WORLDS):
        rng = random.Random(f"{seed}|same|{number}")
        sizes = draw_lengths(proof, proof["tensors"], [proof["tensors"], proof["given"], proof["goal"], *nodes], set(), rng)
        for attempt in range(ATTEMPTS):
            try:
                if not _same_in(proof, sizes, random.Random(f"{seed}|{number}|{attempt}"), attempt, both):
                    return False
                break
            except (ValueError, OverflowError, ZeroDivisionError, TypeError):
                continue  # a value outside a function's domain
            except (_Different, CannotTell, IndexError, KeyError):
                return False
        else:
            return False
    return True


def _same_in(
    proof: Node, sizes: dict[str, int], rng: random.Random, attempt: int, both: Callable[[_Tensors, Env], tuple[float, float]]
) -> bool:
    given = {equation["target"][1]: equation for equation in proof["given"]}
    free = [tensor for tensor in proof["tensors"] if tensor["name"] not in given]
    drawn = draw_tensors(free, proof["facts"], sizes, Digits(), rng, attempt)
    tensors = _Tensors(sizes, given, {name: _floats(table) for name, table in drawn.items()})
    target = proof["goal"]["target"][2]
    keys = list(itertools.product(*(range(sizes[index[2]]) for index in target)))
    rng.shuffle(keys)
    for key in keys[:ENTRIES]:
        first, second = both(tensors, {index[1]: at for index, at in zip(target, key)})
        if not abs(first - second) <= TOLERANCE * max(1.0, abs(first), abs(second)):
            return False
    return True


def _floats(table: Any) -> Callable[[tuple[int, ...]], Any]:
    def read(key: tuple[int, ...]) -> Any:
        value = table[key]
        return float(value) if isinstance(value, Decimal) else value

    return read


class _Tensors:
    """Tensors in double precision: drawn ones, and defined ones computed when they are read."""

    def __init__(self, sizes: dict[str, int], given: dict[str, Node], drawn: dict[str, Callable[[tuple[int, ...]], Any]]) -> None:
        self.sizes = sizes
        self.given = given
        self.drawn = drawn
        self.memo: dict[tuple[str, tuple[int, ...]], Any] = {}
        self.moved: dict[Any, _Moved] = {}

    def entry(self, name: str, key: tuple[int, ...]) -> Any:
        if (name, key) not in self.memo:
            if name in self.given:
                equation = self.given[name]
                env = {index[1]: at for index, at in zip(equation["target"][2], key)}
                self.memo[name, key] = self.value(equation["value"], env)
            else:
                self.memo[name, key] = self.drawn[name](key)
        return self.memo[name, key]

    def index(self, index: Node, env: Env) -> int:
        if index[0] == "affine":
            place: int = round(self.value(index[1], env))
            return place
        return env[index[1]] if index[0] == "idx" else int(self.value(index, env))

    def _envs(self, indices: list[Node], env: Env) -> Iterator[Env]:
        for key in itertools.product(*(range(self.sizes[index[2]]) for index in indices)):
            yield {**env, **{index[1]: at for index, at in zip(indices, key)}}

    def value(self, node: Node, env: Env) -> Any:
        kind = node[0]
        if kind == "num":
            return float(Fraction(node[1]))
        if kind == "size":
            return float(self.sizes[node[1]])
        if kind == "ref":
            places = tuple(self.index(index, env) for index in node[2])
            if any(i[0] == "affine" and not 0 <= place < self.sizes[i[2]] for i, place in zip(node[2], places)):
                return 0.0
            return self.entry(node[1], places)
        if kind == "delta":
            return 1.0 if self.index(node[1], env) == self.index(node[2], env) else 0.0
        if kind == "position":
            return float(self.index(node[1], env))
        if kind == "iverson":
            left, right = self.value(node[2], env), self.value(node[3], env)
            return float({"<": left < right, "<=": left <= right, "==": left == right, "!=": left != right}[node[1]])
        if kind == "add":
            return sum(self.value(part, env) for part in node[1])
        if kind == "mul":
            return math.prod(self.value(part, env) for part in node[1])
        if kind == "pow":
            result = self.value(node[1], env) ** float(Fraction(node[2]))
            if isinstance(result, complex):
                raise ValueError("a root of a negative number")
            return result
        if kind == "fn":
            return FUNCTIONS[node[1]](*(self.value(part, env) for part in node[2]))
        if kind == "sum":
            return sum(self.value(node[2], inner) for inner in self._envs(node[1], env))
        if kind == "max":
            return max(self.value(node[2], inner) for inner in self._envs(node[1], env))
        if kind == "matrixfn":
            return self.matrix_function(node, env)
        key = tuple(self.index(index, env) for index in node[2][2])
        ahead, behind = (self._moved(node[2][1], key, step, tuple(node[3])) for step in (STEP, -STEP))
        return (ahead.value(node[1], env) - behind.value(node[1], env)) / (2 * STEP)

    def matrix_function(self, node: Node, env: Env) -> float:
        _, name, (row, column), body, at = node
        size = range(self.sizes[row[2]])
        table = [[self.value(body, {**env, row[1]: i, column[1]: j}) for j in size] for i in size]
        if name == "inv":
            first, second = (self.index(index, env) for index in at)
            return inverse(table)[first][second]
        found: float = determinant(table)
        return found if name == "det" else math.log(abs(found))

    def _moved(self, name: str, key: tuple[int, ...], step: float, through: tuple[str, ...]) -> _Moved:
        label = (name, key, step, through)
        if label not in self.moved:
            self.moved[label] = _Moved(self, name, key, step, through)
        return self.moved[label]


def determinant(table: Table) -> float:
    """By cofactors along the first row."""
    if not table:
        return 1.0
    return sum((-1.0) ** j * entry * determinant(_minor(table, 0, j)) for j, entry in enumerate(table[0]))


def inverse(table: Table) -> Table:
    """The transposed cofactors over the determinant."""
    whole, size = determinant(table), range(len(table))
    return [[(-1.0) ** (i + j) * determinant(_minor(table, j, i)) / whole for j in size] for i in size]


def _minor(table: Table, row: int, column: int) -> Table:
    return [[*line[:column], *line[column + 1 :]] for n, line in enumerate(table) if n != row]


class _Moved(_Tensors):
    """The same tensors with one entry moved by a step, and the tensors that vary with it computed anew."""

    def __init__(self, base: _Tensors, name: str, key: tuple[int, ...], step: float, through: tuple[str, ...]) -> None:
        super().__init__(base.sizes, base.given, base.drawn)
        self.base, self.name, self.key, self.step, self.through = base, name, key, step, through

    def entry(self, name: str, key: tuple[int, ...]) -> Any:
        if name == self.name:
            return self.base.entry(name, key) + (self.step if key == self.key else 0.0)
        return super().entry(name, key) if name in self.through else self.base.entry(name, key)


class _Matrices:
    """Matrix notation as dense tables, for one value of the batch indices."""

    def __init__(self, tensors: _Tensors, batch: Env, proof: Node) -> None:
        self.tensors, self.batch = tensors, batch
        self.at = tuple(batch[index[1]] for index in proof["batch"])

    def _fill(self, shape: Node, entry: Callable[[int, int], float]) -> Table:
        rows, columns = (1 if axis is None else self.tensors.sizes[axis] for axis in shape)
        return [[entry(row, column) for column in range(columns)] for row in range(rows)]

    def table(self, node: Node) -> Table:
        kind = node[0]
        if kind == "whole":
            rows, columns = node[2]
            keep = (rows is not None, columns is not None)
            return self._fill(node[2], lambda *at: self.tensors.entry(node[1], self.at + tuple(itertools.compress(at, keep))))
        if kind == "ones":
            return self._fill(node[1], lambda row, column: 1.0)
        if kind == "onehot":
            return self._fill(node[2], lambda row, column: float(self.tensors.entry(node[1], (*self.at, row)) == column))
        if kind == "entries":
            ends = [index for index in node[2:4] if index is not None]

            def entry(*at: int) -> float:
                place = [n for n, index in zip(at, node[2:4]) if index is not None]
                env = {**self.batch, **{index[1]: n for index, n in zip(ends, place)}}
                return float(self.tensors.value(node[1], env))

            return self._fill([None if index is None else index[2] for index in node[2:4]], entry)
        if kind == "diag":
            column = [row[0] for row in self.table(node[1])]
            return [[value if i == j else 0.0 for j in range(len(column))] for i, value in enumerate(column)]
        if kind == "scale":
            factor = self.tensors.value(node[1], self.batch)
            return [[factor * entry for entry in row] for row in self.table(node[2])]
        if kind == "power":
            return [[entry ** float(Fraction(node[2])) for entry in row] for row in self.table(node[1])]
        if kind == "inverse":
            return inverse(self.table(node[1]))
        if kind == "transpose":
            return [list(column) for column in zip(*self.table(node[1]))]
        if kind in ("rowsum", "colsum", "entrysum"):
            table = self.table(node[1])
            if kind == "rowsum":
                return [[sum(row)] for row in table]
            return [[sum(column) for column in zip(*table)]] if kind == "colsum" else [[sum(map(sum, table))]]
        if kind not in ("product", "hadamard", "total", "map"):
            raise NotImplementedError(f"no dense form of the matrix node {kind!r}: whether a change to it is an error cannot be judged")
        tables = [self.table(part) for part in (node[2] if kind == "map" else node[1])]
        result = tables[0]
        if kind == "product":
            for other in tables[1:]:
                if len(result[0]) != len(other):
                    raise _Different
                result = [[sum(a * b for a, b in zip(row, column)) for column in zip(*other)] for row in result]
            return result
        if any((len(other), len(other[0])) != (len(result), len(result[0])) for other in tables):
            raise _Different
        combine: Callable[..., float] = {"hadamard": lambda *x: math.prod(x), "total": lambda *x: sum(x)}.get(kind) or FUNCTIONS[node[1]]
        return [[combine(*entries) for entries in zip(*rows)] for rows in zip(*tables)]
