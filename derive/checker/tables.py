"""The values of a proof's lines in random worlds: exactly where that can be, else to 50 digits."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import DecimalException, localcontext
from functools import partial
from math import prod
from typing import Any

from derive.checker.arithmetic import Arithmetic, CannotTell, Digits, Exact, FinerRoot, Irrational, Number, OutsideDomain, Singular
from derive.checker.evaluate import Key, World, scope_of
from derive.checker.facts import OtherLengths
from derive.checker.form import Form, MatrixForm
from derive.checker.matrices import Matrices
from derive.checker.verdicts import UNKNOWN
from derive.checker.worlds import REDRAWN, axes_in, draw_lengths, draw_tensors, read_places, rooted_axes

Node = Any
WORLDS = 2  # twice as many where the goal is a single number, three times as many where a value takes one of several branches
ENTRIES = 4  # of the goal, in each world
ATTEMPTS = 8
UNITS = (2, 3, 5, 7)  # exp(x) is modelled as a power of this, another one in each world
BRANCHING = ("relu", "abs", "sign", "max", "min")
PRECISION = (75, 175)  # digits to calculate with; the second, where 50 digits do not agree with the first

Cell = Any  # a number, or the OutsideDomain that says why there is none


@dataclass(frozen=True)
class Table:
    """One world's values, entry by entry: `rows[0]` is what the target means, `rows[n + 1]` line n; a row may be empty."""

    sizes: dict[str, int]
    arithmetic: Arithmetic
    keys: list[Key]
    rows: list[list[Cell]]

    def disagreements(self) -> list[tuple[int, int, int]]:
        """(earlier row, row, entry), for each entry of a row that differs from the last row before it with a value there."""
        found = []
        for entry in range(len(self.keys)):
            last = -1
            for number, row in enumerate(self.rows):
                if row and not isinstance(row[entry], OutsideDomain):
                    if last >= 0 and not self.arithmetic.equal(self.rows[last][entry], row[entry]):
                        found.append((last, number, entry))
                    last = number
        return found


def tables(form: Form, seed: int) -> list[Table]:
    """The proof's values; empty where the checker cannot evaluate it at all, which `form.broken` then says of every line."""
    worlds = (1 if form.proof["goal"]["target"][2] else 2) * (3 if _branches(form) else 1) * WORLDS
    extra = form.meaning.tensors if form.meaning else ()
    nodes = [form.proof["tensors"], *extra, form.proof["given"], *_expressions(form), form.proof["goal"]["target"]]
    axes, rooted, least = [["size", axis] for axis in axes_in(nodes)], rooted_axes(nodes), read_places(nodes)
    try:
        try:
            return [_world(form, seed, n, Exact(UNITS[n % len(UNITS)]), axes, rooted, least) for n in range(worlds)]
        except Irrational:
            found: list[Table] = []
            for precision in PRECISION:
                with localcontext() as local:
                    local.prec = precision
                    found = [_world(form, seed, n, Digits(), axes, rooted, least) for n in range(worlds)]
                    # A true line whose values cancel is saved by more digits; a false one is not.
                    if not any(table.disagreements() for table in found):
                        break
            return found
    except CannotTell as error:
        for number in range(len(form.lines) + len(form.matrices)):
            form.broken.setdefault(number, (UNKNOWN, str(error)))
        return []


def _branches(form: Form) -> bool:
    """Whether anything in the proof has branches, so that an error in one of them goes unseen where another is taken."""
    stack: list[Node] = [form.proof["given"], *_expressions(form)]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            stack.extend(node.values())
        elif isinstance(node, list) and node:
            if node[0] in ("max", "iverson") or node[0] == "fn" and node[1] in BRANCHING:
                return True
            stack.extend(node)
    return False


def _world(form: Form, seed: int, number: int, arithmetic: Arithmetic, axes: list[Node], rooted: set[str], least: dict[str, int]) -> Table:
    """One world, drawn again where a value lies outside a function's domain."""
    proof, target = form.proof, form.proof["goal"]["target"]
    extra = form.meaning.tensors if form.meaning else ()
    label = f"{seed}|{proof['name']}|{proof['kind']}|{number}"
    rng = random.Random(label)
    # The axes, and the lengths that the proof states for some of them.
    draw = partial(draw_lengths, proof, [*proof["tensors"], *extra], axes, rooted, rng, least)
    sizes = draw()
    keys = _entries([index[2] for index in target[2]], sizes, rng)
    attempt = redrawn = 0
    while True:
        try:
            rows = _rows(form, sizes, arithmetic, keys, random.Random(f"{label}|{attempt}"), attempt)
        except FinerRoot as finer:
            assert isinstance(arithmetic, Exact)
            arithmetic = Exact(arithmetic.unit, finer.order)
            continue
        except OtherLengths:
            redrawn += 1
            if redrawn == REDRAWN:
                raise
            sizes = draw()
            keys = _entries([index[2] for index in target[2]], sizes, rng)
            continue
        attempt += 1
        lost = any(isinstance(value, OutsideDomain) for row in rows for value in row)
        if not lost or attempt == ATTEMPTS:
            return Table(sizes, arithmetic, keys, rows)
        if any(isinstance(value, Singular) for row in rows for value in row):
            sizes = draw()
            keys = _entries([index[2] for index in target[2]], sizes, rng)


def _expressions(form: Form) -> list[Node]:
    meant = [form.meaning.value, *form.meaning.definitions.values()] if form.meaning else []
    return [*meant, *(node for n, node in enumerate(form.lines) if n not in form.broken)]


def _entries(axes: list[str], sizes: dict[str, int], rng: random.Random) -> list[Key]:
    """Entries of the goal; where two of its indices run over one axis, one entry is on the diagonal, where deltas are not 0."""
    lengths = [sizes[axis] for axis in axes]
    if prod(lengths) <= ENTRIES:
        return list(itertools.product(*map(range, lengths)))
    keys: dict[Key, None] = {}
    while len(keys) < ENTRIES:
        keys[tuple(rng.randrange(length) for length in lengths)] = None
    found = list(keys)
    found[-1] = tuple(found[-1][axes.index(axis)] for axis in axes)
    return list(dict.fromkeys(found))


def _hit(key: Key, axes: list[str], tensors: list[Node], values: Mapping[str, Mapping[Key, Number]]) -> Key:
    """The entry with a label in the place of each index that labels number: there delta(y[i], j) is not 0."""
    hit = list(key)
    for tensor in tensors:
        for place, axis in enumerate(axes):
            if tensor["kind"] == "int" and tensor["values"] == axis:
                known = dict(zip(axes, hit))
                at = tuple(known.get(dim, 0) for dim in tensor["dims"])
                hit[place] = int(values[tensor["name"]][at])
    return tuple(hit)


def _rows(form: Form, sizes: dict[str, int], arithmetic: Arithmetic, keys: list[Key], rng: random.Random, attempt: int) -> list[list[Cell]]:
    proof, meant = form.proof, form.meaning
    definitions = {equation["target"][1]: equation for equation in proof["given"]}
    free = [tensor for tensor in proof["tensors"] if tensor["name"] not in definitions]
    if meant:
        free += meant.tensors
        definitions.update(meant.definitions)
    values = draw_tensors(free, proof["facts"], sizes, arithmetic, rng, attempt)
    world = World(sizes, arithmetic, definitions, values)
    if keys:
        keys[0] = _hit(keys[0], [index[2] for index in proof["goal"]["target"][2]], free, values)
    scope = scope_of(proof["goal"]["target"])

    def row(number: int, node: Node) -> list[Cell]:
        if node is None or number in form.broken:
            return []
        try:
            value = world.compile(node, scope)
            return [_cell(partial(world.evaluate, value, key)) for key in keys]
        except CannotTell as error:
            form.broken[number] = (UNKNOWN, str(error))
            return []

    rows = [row(0, meant.value if meant else None), *(row(n, node) for n, node in enumerate(form.lines))]
    for number, matrix in enumerate(form.matrices, start=len(form.lines)):
        sound = number not in form.broken
        rows.append([_cell(partial(_matrix_entry, form, matrix, world, key)) for key in keys] if sound else [])
    return rows


def _matrix_entry(form: Form, matrix: MatrixForm, world: World, key: Key) -> Number:
    place = {index[1]: at for index, at in zip(form.proof["goal"]["target"][2], key)}
    batch: Key = tuple(place[index[1]] for index in form.proof["batch"])
    rest = iter([place[name] for name in matrix.rest])
    row, column = (0 if axis is None else next(rest) for axis in matrix.shape)
    return Matrices(world, form.declared, form.proof["batch"], batch).cell(matrix.node)(row, column)


def _cell(evaluate: Callable[[], Number]) -> Cell:
    """A value, or the reason why there is none here."""
    try:
        return evaluate()
    except OutsideDomain as error:
        return error
    except DecimalException as error:
        return OutsideDomain(f"{type(error).__name__} in decimal arithmetic")
