"""The independent checker: reads a proof's JSON and answers, line by line, whether each line equals the one before it.

It shares no code with the deriver: no rule, no SymPy, no array library, nothing but the standard library. Every line is
evaluated in random worlds, that is pairwise distinct axis sizes (all at least 2, because with size 1 a wrong transpose or a
dropped delta goes unseen) and random tensors that respect the declared facts, at sampled entries of the goal: in exact
rationals where the numbers allow, else to 50 digits (`derive.checker.arithmetic`). Derivatives are dual numbers
(`derive.checker.evaluate`). The first line is compared with what the target means (`derive.checker.meaning`), and a
definition that a proof takes as given has to be one of the layer's or the end of an earlier proof.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from decimal import Decimal, DecimalException, localcontext
from fractions import Fraction
from functools import partial
from typing import Any

from derive.checker.arithmetic import Arithmetic, CannotTell, Digits, Exact, FinerRoot, Irrational, Number, OutsideDomain
from derive.checker.evaluate import Key, World, scope_of, tensors_in
from derive.checker.matrices import Matrices, check_goal, shape_of
from derive.checker.meaning import Context, Meaning, context_of, meaning
from derive.checker.structure import Declarations, Malformed, free_scope
from derive.checker.structure import scope_of as axes_of
from derive.checker.worlds import axes_in, draw_sizes, draw_tensors, rooted_axes

Node = Any
FORMAT = "gradproof/1"
WORLDS = 2  # twice as many where the goal is a single number
ENTRIES = 3
ATTEMPTS = 8
UNITS = (2, 3, 5, 7)
PRECISION = (75, 175)  # digits to calculate with; the second, where 50 digits do not agree with the first
HOLDS, FAILS, UNKNOWN = "holds", "fails", "unknown"


@dataclass(frozen=True)
class LineVerdict:
    """One line's verdict. Line 0 is the goal's first expression, 1 to n are the steps, n + 1 is the matrix."""

    line: int
    rule: str
    verdict: str
    mode: str
    message: str = ""


@dataclass(frozen=True)
class ProofReport:
    name: str
    kind: str
    lines: tuple[LineVerdict, ...]

    @property
    def ok(self) -> bool:
        return all(line.verdict == HOLDS for line in self.lines)

    @property
    def first_problem(self) -> LineVerdict | None:
        return next((line for line in self.lines if line.verdict != HOLDS), None)


@dataclass(frozen=True)
class Report:
    """The verdicts on every line of every proof of a document; `ok` if every one holds."""

    layer: str
    proofs: tuple[ProofReport, ...]

    def count(self, verdict: str) -> int:
        return sum(line.verdict == verdict for proof in self.proofs for line in proof.lines)

    @property
    def holds(self) -> int:
        return self.count(HOLDS)

    @property
    def fails(self) -> int:
        return self.count(FAILS)

    @property
    def unknown(self) -> int:
        return self.count(UNKNOWN)

    @property
    def ok(self) -> bool:
        return all(proof.ok for proof in self.proofs)

    def to_json(self) -> dict[str, Any]:
        proofs = [{"name": p.name, "kind": p.kind, "ok": p.ok, "lines": [asdict(line) for line in p.lines]} for p in self.proofs]
        counts = {"holds": self.holds, "fails": self.fails, "unknown": self.unknown}
        return {"layer": self.layer, "ok": self.ok, **counts, "proofs": proofs}


def check_document(document: Node, seed: int = 0) -> Report:
    """Check every proof of a document (format: `derive.proof`). Raises ValueError if it is no such document."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"this is no proof document: its format is not {FORMAT!r}")
    context = context_of(document["layer"])
    reports = []
    for proof in document["proofs"]:
        reports.append(ProofReport(proof["name"], proof["kind"], check_proof(proof, seed, context)))
        extend(context, proof)
    return Report(document["layer"]["name"], tuple(reports))


def extend(context: Context, proof: Node) -> None:
    """Add to `context` what a proof has shown, for the proofs after it."""
    goal, kind = proof["goal"], proof["kind"]
    name = goal["target"][1]
    last = {"target": goal["target"], "value": proof["steps"][-1]["after"] if proof["steps"] else goal["value"]}
    for tensor in proof["tensors"]:
        context.tensors.setdefault(tensor["name"], tensor)
    for equation in (*proof["given"], goal, last):
        if not context.knows(equation):
            context.learn(equation)
    if kind == "prepare":
        context.equations[name] = last
    elif kind == "name" and name not in context.equations and set(tensors_in(goal["value"])) <= set(context.forward):
        context.equations[name] = goal


def check_proof(proof: Node, seed: int = 0, context: Context | None = None) -> tuple[LineVerdict, ...]:
    """The verdict on each line of one proof; without a `context` its `given` definitions are all that is known of the layer."""
    return _Check(proof, context or Context(), seed).verdicts()


# ---------------------------------------------------------------------------------------------------- one proof


@dataclass(frozen=True)
class _Table:
    """One world's values: what the target means, then every line, entry by entry (an exception where there is no value)."""

    sizes: dict[str, int]
    arithmetic: Arithmetic
    keys: list[Key]
    columns: list[list[Any]]
    precision: int | None


class _Check:
    def __init__(self, proof: Node, context: Context, seed: int) -> None:
        self.proof, self.context, self.seed = proof, context, seed
        self.rules = ["given", *(step["rule"] for step in proof["steps"]), *(["matrix"] if proof["matrix"] is not None else [])]
        self.lines: list[Node] = [proof["goal"]["value"], *(step["after"] for step in proof["steps"])]
        self.target = proof["goal"]["target"]
        self.batch: list[Node] = proof["batch"]
        self.worlds = WORLDS if self.target[2] else 2 * WORLDS
        self.broken: dict[int, tuple[str, str]] = {}  # line -> verdict and message, for lines that cannot be evaluated
        self.meaning: Meaning | None = None
        self.rest: list[str] = []
        self.shape: tuple[Any, Any] = (None, None)

    def verdicts(self) -> tuple[LineVerdict, ...]:
        try:
            self.declared = Declarations(self.proof["tensors"])
            self._givens()
        except (Malformed, CannotTell) as error:
            first = UNKNOWN if isinstance(error, CannotTell) else FAILS
            rest = [self._line(n, UNKNOWN, "exact", "what the proof takes as given is at fault") for n in range(1, len(self.rules))]
            return (self._line(0, first, "exact", str(error)), *rest)
        self._structure()
        self._means()
        return self._compare(self._evaluate())

    def _line(self, number: int, verdict: str, mode: str, message: str = "") -> LineVerdict:
        return LineVerdict(number, self.rules[number], verdict, mode, message)

    # ------------------------------------------------------------------------------------------------ form

    def _givens(self) -> None:
        """Raise Malformed unless the definitions and the facts are well formed, in order, and nobody's invention."""
        context = self.context
        later = {equation["target"][1] for equation in self.proof["given"]}
        if len(later) != len(self.proof["given"]):
            raise Malformed("a tensor is given two definitions")
        for equation in self.proof["given"]:
            name = equation["target"][1]
            self.declared.check_equation(equation)
            early = [other for other in tensors_in(equation["value"]) if other in later]
            if early:
                raise Malformed(f"the definition of {name} mentions {early[0]}, which is not defined before it")
            later.discard(name)
            if name in context.inputs:
                raise Malformed(f"{name} is an input of the layer, and cannot be given a definition")
            new = name not in context.known and name not in context.tensors and not context.names_a_derivative(name)
            if context.stated and not new and not context.knows(equation):
                raise Malformed(f"nobody has shown this definition of {name}")
        if self.target[1] in {equation["target"][1] for equation in self.proof["given"]}:
            raise Malformed(f"{self.target[1]} is both what is to be shown and given")
        for fact in self.proof["facts"]:
            if context.stated and fact not in context.facts:
                raise Malformed("a fact is used that the layer does not declare")
            for side in (fact["left"], fact["right"]):
                self.declared.check_expr(side, {**free_scope(fact["left"]), **free_scope(fact["right"])})

    def _structure(self) -> None:
        scope = axes_of(self.target)
        given = {equation["target"][1]: equation for equation in self.proof["given"]}
        behind = {self.target[1]}  # the target, and what is defined by it
        for name, equation in given.items():
            if behind & set(tensors_in(equation["value"])):
                behind.add(name)
        for number, node in enumerate(self.lines):
            try:
                if number == 0:
                    self.declared.check_equation(self.proof["goal"])
                self.declared.check_expr(node, scope)
                circular = behind & set(tensors_in(node))
                if circular:
                    raise Malformed(f"{sorted(circular)[0]} is what is to be shown")
            except Malformed as error:
                self.broken[number] = (FAILS, str(error))
            except CannotTell as error:
                self.broken[number] = (UNKNOWN, str(error))
        if self.proof["matrix"] is not None:
            try:
                self.shape = shape_of(self.proof["matrix"], self.declared, self.batch)
                self.rest = check_goal(self.shape, self.target, self.batch)
            except Malformed as error:
                self.broken[len(self.lines)] = (FAILS, str(error))
            except CannotTell as error:
                self.broken[len(self.lines)] = (UNKNOWN, str(error))

    def _means(self) -> None:
        if 0 in self.broken:
            return
        context, name = self.context, self.target[1]
        try:
            if context.stated and self.proof["kind"] not in ("lemma", "theorem", "tangent"):
                if context.knows(self.proof["goal"]):
                    return
                if name in context.known and name not in context.equations or name in context.inputs:
                    raise Malformed(f"{name} has been defined before, and not as this first line")
            self.meaning = meaning(self.proof, context)
            if self.meaning is None and context.names_a_derivative(name):
                raise Malformed(f"{name} names a derivative, which this first line does not define")
        except Malformed as error:
            self.broken[0] = (FAILS, str(error))
        except CannotTell as error:
            self.broken[0] = (UNKNOWN, str(error))

    # ------------------------------------------------------------------------------------------------ values

    def _evaluate(self) -> list[_Table]:
        """Tables in exact arithmetic; in decimals if any world needs them, twice if 50 digits do not agree at once."""
        try:
            return [self._world(n, Exact(UNITS[n % len(UNITS)])) for n in range(self.worlds)]
        except Irrational:
            pass
        except CannotTell as error:
            self._all_unknown(str(error))
            return []
        tables: list[_Table] = []
        try:
            for precision in PRECISION:
                with localcontext() as local:
                    local.prec = precision
                    tables = [self._world(n, Digits(), precision) for n in range(self.worlds)]
                    if not any(self._differ(table, a, b) for table in tables for a, b in self._pairs(table)):
                        break
        except CannotTell as error:
            self._all_unknown(str(error))
        return tables

    def _all_unknown(self, message: str) -> None:
        for number in range(len(self.rules)):
            self.broken.setdefault(number, (UNKNOWN, message))

    def _world(self, number: int, arithmetic: Arithmetic, precision: int | None = None) -> _Table:
        """One world, drawn again where a value lies outside a function's domain."""
        extra = self.meaning.tensors if self.meaning else ()
        nodes = [self.proof["tensors"], *extra, self.proof["given"], *self._healthy(), self.target]
        label = f"{self.seed}|{self.proof['name']}|{self.proof['kind']}|{number}"
        rng = random.Random(label)
        sizes = draw_sizes(axes_in([*nodes, self.batch]), {index[2] for index in self.batch}, rooted_axes(nodes), rng)
        keys = self._entries(sizes, rng)
        attempt = 0
        while True:
            try:
                columns = self._columns(sizes, arithmetic, keys, random.Random(f"{label}|{attempt}"), attempt)
            except FinerRoot as finer:
                assert isinstance(arithmetic, Exact)
                arithmetic = Exact(arithmetic.unit, finer.order)
                continue
            attempt += 1
            lost = any(isinstance(value, OutsideDomain) for column in columns for value in column)
            if not lost or attempt == ATTEMPTS:
                return _Table(sizes, arithmetic, keys, columns, precision)

    def _healthy(self) -> list[Node]:
        meant = [self.meaning.value, *({"e": e} for e in self.meaning.definitions.values())] if self.meaning else []
        return [*meant, *(node for n, node in enumerate(self.lines) if n not in self.broken)]

    def _entries(self, sizes: dict[str, int], rng: random.Random) -> list[Key]:
        ranges = [range(sizes[index[2]]) for index in self.target[2]]
        if Fraction(_product(map(len, ranges))) <= ENTRIES:
            return list(itertools.product(*ranges))
        keys: dict[Key, None] = {}
        while len(keys) < ENTRIES:
            keys[tuple(rng.randrange(len(r)) for r in ranges)] = None
        return list(keys)

    def _columns(self, sizes: dict[str, int], arithmetic: Arithmetic, keys: list[Key], rng: random.Random, attempt: int) -> list[list[Any]]:
        given = {equation["target"][1]: equation for equation in self.proof["given"]}
        own, extra = (self.meaning.definitions, self.meaning.tensors) if self.meaning else ({}, ())
        free = [tensor for tensor in (*self.proof["tensors"], *extra) if tensor["name"] not in given]
        values = draw_tensors(free, self.proof["facts"], sizes, arithmetic, rng, attempt)
        world = World(sizes, arithmetic, {**given, **own}, values)
        scope = scope_of(self.target)
        columns: list[list[Any]] = []
        for number in range(-1, len(self.rules)):
            node = self._node(number)
            if node is None:
                columns.append([])
            elif number == len(self.lines):
                columns.append([_attempt(partial(self._matrix_entry, world, key)) for key in keys])
            else:
                try:
                    value = world.compile(node, scope)
                    columns.append([_attempt(partial(world.evaluate, value, key)) for key in keys])
                except CannotTell as error:
                    self.broken.setdefault(max(number, 0), (UNKNOWN, str(error)))
                    columns.append([])
        return columns

    def _node(self, number: int) -> Node | None:
        """The expression of a line; -1 is what the target means. None where there is nothing to evaluate."""
        if max(number, 0) in self.broken:
            return None
        if number < 0:
            return self.meaning.value if self.meaning else None
        return self.lines[number] if number < len(self.lines) else self.proof["matrix"]

    def _matrix_entry(self, world: World, key: Key) -> Number:
        place = {index[1]: at for index, at in zip(self.target[2], key)}
        batch = tuple(place[index[1]] for index in self.batch)
        rest = iter(place[name] for name in self.rest)
        row, column = (0 if axis is None else next(rest) for axis in self.shape)
        return Matrices(world, self.declared, self.batch, batch).cell(self.proof["matrix"])(row, column)

    # ------------------------------------------------------------------------------------------------ verdicts

    def _pairs(self, table: _Table) -> Iterable[tuple[int, int]]:
        """Pairs of columns to compare: each line with the nearest one before it that has values."""
        live = [n for n, column in enumerate(table.columns) if column]
        return zip(live, live[1:])

    def _differ(self, table: _Table, first: int, second: int) -> int | None:
        """The position of the first entry at which two columns have different values."""
        for n, (a, b) in enumerate(zip(table.columns[first], table.columns[second])):
            if not isinstance(a, Exception) and not isinstance(b, Exception) and not table.arithmetic.equal(a, b):
                return n
        return None

    def _compare(self, tables: list[_Table]) -> tuple[LineVerdict, ...]:
        mode = tables[0].arithmetic.mode if tables else "exact"
        found: dict[int, tuple[str, str]] = dict(self.broken)
        for table in tables:
            for first, second in self._pairs(table):
                line = second - 1  # column 0 is what the target means
                where = self._differ(table, first, second)
                if where is not None and found.get(line, (UNKNOWN, ""))[0] == UNKNOWN:
                    found[line] = (FAILS, self._counterexample(table, first, second, where))
                lost = [v for v in table.columns[second] if isinstance(v, Exception)]
                if lost:
                    found.setdefault(line, (UNKNOWN, f"{lost[0]}, in each of {ATTEMPTS} draws"))
        return tuple(self._line(n, *self._outcome(n, found, mode)) for n in range(len(self.rules)))

    def _outcome(self, number: int, found: dict[int, tuple[str, str]], mode: str) -> tuple[str, str, str]:
        verdict, message = found.get(number, (HOLDS, ""))
        return verdict, mode, message

    def _counterexample(self, table: _Table, first: int, second: int, where: int) -> str:
        at = ", ".join(f"{index[1]} = {value}" for index, value in zip(self.target[2], table.keys[where]))
        sizes = ", ".join(f"{axis} = {size}" for axis, size in table.sizes.items())
        before = f"what {self.target[1]} means" if first == 0 else "the line before" if second == first + 1 else f"line {first - 1}"
        a, b = _show(table.columns[first][where]), _show(table.columns[second][where])
        return f"{before} is {a}, this line {b}" + (f", at {at}" if at else "") + (f" (sizes {sizes})" if sizes else "")


def _attempt(evaluate: Any) -> Any:
    """A value, or the reason why there is none here."""
    try:
        return evaluate()
    except OutsideDomain as error:
        return error
    except DecimalException as error:
        return OutsideDomain(f"{type(error).__name__} in decimal arithmetic")


def _product(numbers: Iterable[int]) -> int:
    result = 1
    for number in numbers:
        result *= number
    return result


def _show(value: Number) -> str:
    if isinstance(value, Decimal):
        return f"{value:.12g}"
    text = str(value)
    if len(text) <= 24:
        return text
    with localcontext() as local:
        local.prec = 12
        ratio = Fraction(value)
        return f"about {Decimal(ratio.numerator) / Decimal(ratio.denominator):.8g}"
