"""Step, Proof, Derivation: plain data, JSON there and back.

A proof is self-contained. It says what it assumes (`tensors` with their axes, `given` definitions, `facts`), what it claims
(`goal`: the target equals the first expression) and a chain of expressions, each equal to the one before it for every value of
the goal's free indices, and for every value of the tensors that `given` does not define.

The JSON form, which `derive.check` reads and nothing else (`format` is "gradproof/1"):

    document    {"format", "layer": layer, "proofs": [proof, ...]}
    layer       {"name", "tensors": [tensor, ...], "equations": [equation, ...], "facts": [fact, ...],
                 "inputs": [name, ...], "outputs": [name, ...], "wrt": [name, ...], "batch": [idx, ...],
                 "sizes": [{"axis", "value": expr}, ...], "layout": "gradient" | "numerator",
                 "upstream": {name: name, ...}}
    proof       {"name", "kind", "goal": equation, "steps": [step, ...], "tensors": [tensor, ...],
                 "given": [equation, ...], "facts": [fact, ...], "batch": [idx, ...], "matrix": matrix | null,
                 "sizes": as above, "forms": [[line, matrix], ...]}
    step        {"rule", "after": expr, "note", "detail": "brief" | "full" | "baby"}
    tensor      {"name", "dims": [axis, ...], "kind": "real" | "const" | "int", "values": axis | null}
    equation    {"target": ref, "value": expr}          fact   {"left": expr, "right": expr}
    idx         ["idx", name, axis]
    ref         ["ref", tensor, [index, ...]]           index  idx | ref (an entry of an integer tensor) | ["affine", expr, axis]
    expr        ref | ["num", "3/2"] | ["size", axis] | ["delta", index, index] | ["add", [expr, ...]] | ["mul", [expr, ...]]
                | ["pow", expr, "1/2"] | ["fn", name, [expr, ...]] | ["sum", [idx, ...], expr] | ["max", [idx, ...], expr]
                | ["diff", expr, ref, [tensor, ...]] | ["position", index] | ["iverson", "<" | "<=" | "==" | "!=", expr, expr]
                | ["along", expr, {tensor: tensor, ...}, [tensor, ...]]
                | ["matrixfn", "inv" | "det" | "logdet", [idx, idx], expr, [index, ...]]
    matrix      ["whole", tensor, shape] | ["transpose", matrix] | ["product", [matrix, ...]] | ["hadamard", [matrix, ...]]
                | ["total", [matrix, ...]] | ["scale", expr, matrix] | ["ones", shape] | ["map", name, [matrix, ...]]
                | ["power", matrix, "2"] | ["onehot", labels, shape] | ["entries", expr, idx | null, idx | null]
                | ["diag", matrix] | ["rowsum", matrix] | ["colsum", matrix] | ["entrysum", matrix]
                | ["inverse", matrix]
    shape       [axis | null, axis | null]

`["matrixfn", name, [row, column], body, at]` is a function of the square matrix whose entry in row `row` and column `column` is
`body`: the entry `at` of its inverse, its determinant, or log |det|, where `at` is empty for the last two.

A fact that a comparison holds is `["iverson", ...] = ["num", "1"]`.

`["affine", value, axis]` is the place `value` along the axis, `value` being a sum of products of integers, sizes and positions
(and of their whole powers). An entry of a tensor at a place outside of the axis is 0, and its derivative too. An integer tensor
without `values` is a plain integer, such as a stride. `sizes`, of a layer and of each of its proofs (left out where there are none),
are the lengths of axes that no input has: `value` may hold `["fn", "floor_div", [a, b]]`, a quotient rounded down.

`["along", body, {A: B, ...}, through]` is what `body` changes by, to first order, where each tensor A moves by the tensor B of the
same axes; `through` as for a derivative.

`layout`, left out where it is "gradient", says how gradients lie: in "numerator" layout, a gradient by a tensor with two axes or
more besides the batch has the last two exchanged, and so does an upstream gradient.

`upstream`, left out where it is empty, says which upstream gradient, `dY`, a name such as `G` stands for. A document that was asked for
in other conventions than the page's own says in `conventions` which they are.

`["diff", body, ref, through]` is the derivative of `body` by the entry `ref`, where the tensors named in `through` vary by
their `given` definitions and every other tensor is held fixed. `given` is in an order in which each definition mentions only
earlier ones. `batch` indices lead every tensor, are free in every line, and are left out of matrix notation: `matrix` equals
the last line for each value of them, its rows and columns being the goal's remaining indices in order (one remaining index
may lie along either axis).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from derive import matrix as mx
from derive.expr import (
    Add,
    Affine,
    Delta,
    Diff,
    Differential,
    Equation,
    Expr,
    Fact,
    Fn,
    Idx,
    Index,
    Iverson,
    Length,
    MatrixFn,
    Max,
    Mul,
    Num,
    Position,
    Pow,
    Ref,
    Size,
    Sum,
    Tensor,
)
from derive.indices import free_indices, names

FORMAT = "gradproof/1"
DETAILS = ("brief", "full", "baby")


@dataclass(frozen=True)
class Step:
    """One line: `after` equals the line before it by `rule`; `detail` is the coarsest level of detail that shows it."""

    rule: str
    after: Expr
    note: str = ""
    detail: str = "full"


@dataclass(frozen=True)
class Proof:
    """A chain of equal expressions from `goal.value` to the last step; see the module docstring for what each field means.

    `kind` is `lemma` (the gradient of one tensor), `name` (a sum worth a name), `theorem` (an input's whole gradient),
    `tangent` (forward mode), `bracket` and `differential` (what the loss moves by, through one equation and in all), `prepare` (an
    equation rewritten on entry), `stable` (an equation rewritten for finite arithmetic), `equality` (an output of one layer is that of
    another) or `invariant`.
    """

    name: str
    kind: str
    goal: Equation
    steps: tuple[Step, ...]
    tensors: tuple[Tensor, ...]
    given: tuple[Equation, ...] = ()
    facts: tuple[Fact, ...] = ()
    batch: tuple[Idx, ...] = ()
    matrix: mx.Matrix | None = None
    sizes: tuple[Length, ...] = ()
    forms: tuple[tuple[int, mx.Matrix], ...] = ()
    """Lines in matrix notation: the number of a line, 0 for the first, and the matrix expression equal to it."""

    @property
    def start(self) -> Expr:
        return self.goal.value

    @property
    def result(self) -> Equation:
        """What the proof has shown: the target equals its last line."""
        return Equation(self.goal.target, self.steps[-1].after if self.steps else self.goal.value)

    def shown(self, detail: str) -> tuple[tuple[int, str], ...]:
        """The steps that a level of detail shows: the number of each, and its note.

        Where several applications of one rule become one line, its note says all of theirs that are about indices in that line or the
        one shown before it.
        """
        finer = DETAILS[: DETAILS.index(detail) + 1]
        found: list[tuple[int, str]] = []
        notes: list[str] = []
        before = self.goal.value
        for n, step in enumerate(self.steps):
            if n and self.steps[n - 1].rule != step.rule:
                notes = []
            if step.note and step.note not in notes:
                notes.append(step.note)
            if step.detail in finer or n == len(self.steps) - 1:
                said = [note for note in notes if not _unseen(note, before, step.after)]
                found.append((n, "; ".join(said) if said or not notes else EQUAL_INDICES))
                notes, before = [], step.after
        return tuple(found)

    def at(self, detail: str) -> "Proof":
        """The same proof with the steps of a level of detail; a step left out leaves a longer but equally true one."""
        shown = self.shown(detail)
        places = {0: 0, **{n + 1: place for place, (n, _) in enumerate(shown, start=1)}}
        forms = tuple((places[n], form) for n, form in self.forms if n in places)
        return replace(self, steps=tuple(replace(self.steps[n], note=note) for n, note in shown), forms=forms)

    def latex(self, detail: str = "full") -> str:
        """This proof in LaTeX, to include in a document that loads amsmath and amssymb."""
        from derive.render.latex import proof

        return proof(self, detail)

    def text(self, detail: str = "full", width: int = 100) -> str:
        """This proof as plain text, at most `width` columns wide where its formulas can be broken."""
        from derive.render.text import proof

        return proof(self, detail, width)

    def _repr_html_(self) -> str:
        from derive.render.notebook import as_html

        return as_html(self)

    def _repr_markdown_(self) -> str:
        from derive.render.notebook import as_markdown

        return as_markdown(self)

    def _repr_latex_(self) -> str:
        from derive.render.notebook import as_latex

        return as_latex(self)


EQUAL_INDICES = "only equal indices survive"
_COLLAPSED = re.compile(r"the sum over (\S+) collapses: only \1 = (.*) survives")


def _unseen(note: str, *lines: Expr) -> bool:
    """Whether a note is about an index that none of the lines has: one of lines in between, which are not shown."""
    found = _COLLAPSED.search(note)
    if found is None:
        return False
    said = {found.group(1), *re.findall(r"[A-Za-z]\w*'+", found.group(2))}
    return not said <= {name for line in lines for name in (*names(line), *(i.name for i in free_indices(line)))}


# ---------------------------------------------------------------------------------------------------- JSON


def expr_json(expr: Expr | Index) -> list[Any]:
    if isinstance(expr, Affine):
        return ["affine", expr_json(expr.value), expr.dim]
    if isinstance(expr, Idx):
        return ["idx", expr.name, expr.dim]
    if isinstance(expr, Num):
        return ["num", str(expr.value)]
    if isinstance(expr, Size):
        return ["size", expr.dim]
    if isinstance(expr, Ref):
        return ["ref", expr.tensor, [expr_json(i) for i in expr.indices]]
    if isinstance(expr, Delta):
        return ["delta", expr_json(expr.a), expr_json(expr.b)]
    if isinstance(expr, Add):
        return ["add", [expr_json(t) for t in expr.terms]]
    if isinstance(expr, Mul):
        return ["mul", [expr_json(f) for f in expr.factors]]
    if isinstance(expr, Pow):
        return ["pow", expr_json(expr.base), str(expr.exponent)]
    if isinstance(expr, Fn):
        return ["fn", expr.name, [expr_json(a) for a in expr.args]]
    if isinstance(expr, (Sum, Max)):
        return ["sum" if isinstance(expr, Sum) else "max", [expr_json(i) for i in expr.indices], expr_json(expr.body)]
    if isinstance(expr, Position):
        return ["position", expr_json(expr.index)]
    if isinstance(expr, Iverson):
        return ["iverson", expr.relation, expr_json(expr.left), expr_json(expr.right)]
    if isinstance(expr, MatrixFn):
        return ["matrixfn", expr.name, [expr_json(i) for i in expr.indices], expr_json(expr.body), [expr_json(i) for i in expr.at]]
    if isinstance(expr, Differential):
        return ["along", expr_json(expr.body), dict(expr.along), list(expr.through)]
    return ["diff", expr_json(expr.body), expr_json(expr.wrt), list(expr.through)]


def expr_from(data: list[Any]) -> Expr:
    kind = data[0]
    if kind == "num":
        return Num(Fraction(data[1]))
    if kind == "size":
        return Size(data[1])
    if kind == "ref":
        return Ref(data[1], tuple(_index_from(i) for i in data[2]))
    if kind == "delta":
        return Delta(_index_from(data[1]), _index_from(data[2]))
    if kind == "add":
        return Add(tuple(expr_from(t) for t in data[1]))
    if kind == "mul":
        return Mul(tuple(expr_from(f) for f in data[1]))
    if kind == "pow":
        return Pow(expr_from(data[1]), Fraction(data[2]))
    if kind == "fn":
        return Fn(data[1], tuple(expr_from(a) for a in data[2]))
    if kind in ("sum", "max"):
        indices = tuple(_idx_from(i) for i in data[1])
        return Sum(indices, expr_from(data[2])) if kind == "sum" else Max(indices, expr_from(data[2]))
    if kind == "diff":
        return Diff(expr_from(data[1]), _ref_from(data[2]), tuple(data[3]))
    if kind == "position":
        return Position(_index_from(data[1]))
    if kind == "iverson":
        return Iverson(data[1], expr_from(data[2]), expr_from(data[3]))
    if kind == "along":
        return Differential(expr_from(data[1]), tuple(data[2].items()), tuple(data[3]))
    if kind == "matrixfn":
        return MatrixFn(data[1], (_idx_from(data[2][0]), _idx_from(data[2][1])), expr_from(data[3]), tuple(_index_from(i) for i in data[4]))
    raise ValueError(f"no such node: {kind!r}")


def _idx_from(data: list[Any]) -> Idx:
    return Idx(data[1], data[2])


def _ref_from(data: list[Any]) -> Ref:
    return Ref(data[1], tuple(_index_from(i) for i in data[2]))


def _index_from(data: list[Any]) -> Index:
    if data[0] == "affine":
        return Affine(expr_from(data[1]), data[2])
    return _idx_from(data) if data[0] == "idx" else _ref_from(data)


_MATRIX_LISTS: dict[str, Any] = {"product": mx.Product, "hadamard": mx.Hadamard, "total": mx.Total}
_MATRIX_UNARY: dict[str, Any] = {
    "transpose": mx.Transpose,
    "diag": mx.Diag,
    "rowsum": mx.RowSum,
    "colsum": mx.ColSum,
    "entrysum": mx.EntrySum,
    "inverse": mx.Inverse,
}


def matrix_json(matrix: mx.Matrix) -> list[Any]:
    if isinstance(matrix, mx.Whole):
        return ["whole", matrix.tensor, list(matrix.shape)]
    if isinstance(matrix, mx.Ones):
        return ["ones", list(matrix.shape)]
    if isinstance(matrix, mx.OneHot):
        return ["onehot", matrix.labels, list(matrix.shape)]
    if isinstance(matrix, mx.Entries):
        ends = [None if i is None else expr_json(i) for i in (matrix.row, matrix.col)]
        return ["entries", expr_json(matrix.entry), *ends]
    if isinstance(matrix, mx.Scale):
        return ["scale", expr_json(matrix.scalar), matrix_json(matrix.arg)]
    if isinstance(matrix, mx.Map):
        return ["map", matrix.name, [matrix_json(a) for a in matrix.args]]
    if isinstance(matrix, mx.Power):
        return ["power", matrix_json(matrix.arg), str(matrix.exponent)]
    for name, node in _MATRIX_LISTS.items():
        if isinstance(matrix, node):
            return [name, [matrix_json(part) for part in mx.parts(matrix)]]
    name = next(name for name, node in _MATRIX_UNARY.items() if isinstance(matrix, node))
    return [name, matrix_json(mx.parts(matrix)[0])]


def matrix_from(data: list[Any]) -> mx.Matrix:
    kind = data[0]
    if kind == "whole":
        return mx.Whole(data[1], (data[2][0], data[2][1]))
    if kind == "ones":
        return mx.Ones((data[1][0], data[1][1]))
    if kind == "onehot":
        return mx.OneHot(data[1], (data[2][0], data[2][1]))
    if kind == "entries":
        ends = [None if i is None else _idx_from(i) for i in data[2:4]]
        return mx.Entries(expr_from(data[1]), ends[0], ends[1])
    if kind == "scale":
        return mx.Scale(expr_from(data[1]), matrix_from(data[2]))
    if kind == "map":
        return mx.Map(data[1], tuple(matrix_from(a) for a in data[2]))
    if kind == "power":
        return mx.Power(matrix_from(data[1]), Fraction(data[2]))
    if kind in _MATRIX_LISTS:
        made: mx.Matrix = _MATRIX_LISTS[kind](tuple(matrix_from(part) for part in data[1]))
        return made
    if kind in _MATRIX_UNARY:
        made = _MATRIX_UNARY[kind](matrix_from(data[1]))
        return made
    raise ValueError(f"no such matrix node: {kind!r}")


def tensor_json(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "dims": list(tensor.dims), "kind": tensor.kind, "values": tensor.values}


def equation_json(equation: Equation) -> dict[str, Any]:
    return {"target": expr_json(equation.target), "value": expr_json(equation.value)}


def fact_json(fact: Fact) -> dict[str, Any]:
    return {"left": expr_json(fact.left), "right": expr_json(fact.right)}


def sizes_json(sizes: tuple[Length, ...]) -> dict[str, Any]:
    """The field `sizes`, where there are any."""
    return {"sizes": [{"axis": length.dim, "value": expr_json(length.value)} for length in sizes]} if sizes else {}


def proof_json(proof: Proof) -> dict[str, Any]:
    return {
        "name": proof.name,
        "kind": proof.kind,
        "goal": equation_json(proof.goal),
        "steps": [{"rule": s.rule, "after": expr_json(s.after), "note": s.note, "detail": s.detail} for s in proof.steps],
        "tensors": [tensor_json(t) for t in proof.tensors],
        "given": [equation_json(e) for e in proof.given],
        "facts": [fact_json(f) for f in proof.facts],
        "batch": [expr_json(i) for i in proof.batch],
        "matrix": None if proof.matrix is None else matrix_json(proof.matrix),
        **sizes_json(proof.sizes),
        **({"forms": [[n, matrix_json(form)] for n, form in proof.forms]} if proof.forms else {}),
    }


def proof_from(data: dict[str, Any]) -> Proof:
    return Proof(
        name=data["name"],
        kind=data["kind"],
        goal=_equation_from(data["goal"]),
        steps=tuple(Step(s["rule"], expr_from(s["after"]), s["note"], s["detail"]) for s in data["steps"]),
        tensors=tuple(Tensor(t["name"], tuple(t["dims"]), t["kind"], t["values"]) for t in data["tensors"]),
        given=tuple(_equation_from(e) for e in data["given"]),
        facts=tuple(Fact(expr_from(f["left"]), expr_from(f["right"])) for f in data["facts"]),
        batch=tuple(_idx_from(i) for i in data["batch"]),
        matrix=None if data["matrix"] is None else matrix_from(data["matrix"]),
        sizes=tuple(Length(each["axis"], expr_from(each["value"])) for each in data.get("sizes", ())),
        forms=tuple((n, matrix_from(form)) for n, form in data.get("forms", ())),
    )


def _equation_from(data: dict[str, Any]) -> Equation:
    return Equation(_ref_from(data["target"]), expr_from(data["value"]))
