"""Reading a proof before anything is evaluated: what it may take for granted, which lines mean something, what it claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from derive.checker.arithmetic import CannotTell
from derive.checker.evaluate import tensors_in
from derive.checker.matrices import check_goal, shape_of
from derive.checker.meaning import DERIVATIVES, Context, Meaning, meaning
from derive.checker.recurrence import circles, determined
from derive.checker.structure import Declarations, Malformed, free_scope, scope_of
from derive.checker.verdicts import FAILS, UNKNOWN

Node = Any


@dataclass(frozen=True)
class MatrixForm:
    """A matrix expression that a proof says its lines are equal to: its shape, and the indices along its rows and columns."""

    node: Node
    shape: tuple[Any, Any]
    rest: list[str]


@dataclass
class Form:
    """A proof as read. `lines` are its expressions, after which come its `matrices`.

    `broken` says of a line that cannot be evaluated why, with its verdict.
    """

    proof: Node
    declared: Declarations
    lines: list[Node]
    broken: dict[int, tuple[str, str]] = field(default_factory=dict)
    meaning: Meaning | None = None
    matrices: list[MatrixForm] = field(default_factory=list)

    def try_line(self, number: int, look: Callable[[], None]) -> None:
        """Note what is wrong with a line, if anything is."""
        try:
            look()
        except Malformed as error:
            self.broken.setdefault(number, (FAILS, str(error)))
        except CannotTell as error:
            self.broken.setdefault(number, (UNKNOWN, str(error)))


def read(proof: Node, context: Context) -> Form:
    """Raises Malformed, or CannotTell, where the fault lies in what the proof takes as given, so that no line can be judged."""
    declared = Declarations(proof["tensors"])
    _declarations_agree(proof, context)
    _definitions_are_shown(proof, context, declared)
    _facts_are_declared(proof, context, declared)
    form = Form(proof, declared, [proof["goal"]["value"], *(step["after"] for step in proof["steps"])])
    scope = scope_of(proof["goal"]["target"])
    given = {equation["target"][1]: equation for equation in proof["given"]}
    form.try_line(0, lambda: declared.check_equation(proof["goal"]))
    for number, node in enumerate(form.lines):
        form.try_line(number, lambda node=node: declared.check_expr(node, scope))  # type: ignore[misc]
        if proof["kind"] not in DERIVATIVES or number == len(form.lines) - 1:
            form.try_line(number, lambda node=node: _rests_on_more(node, proof["goal"]["target"], given))  # type: ignore[misc]
    form.matrices = [MatrixForm(node, (None, None), []) for node in matrices_of(proof)]
    for number in range(len(form.matrices)):
        form.try_line(len(form.lines) + number, lambda number=number: _matrix(form, number))  # type: ignore[misc]
    if 0 not in form.broken:
        form.try_line(0, lambda: _claim(form, context))
    return form


def _declarations_agree(proof: Node, context: Context) -> None:
    for tensor in proof["tensors"]:
        if context.stated and context.tensors.get(tensor["name"], tensor) != tensor:
            raise Malformed(f"{tensor['name']} is declared otherwise than before")
    if context.stated and proof["batch"] != context.batch:
        raise Malformed("the proof's batch indices are not the layer's")
    if context.stated and proof.get("sizes", []) != context.sizes:
        raise Malformed("the lengths of axes are not those that the layer gives")


def _definitions_are_shown(proof: Node, context: Context, declared: Declarations) -> None:
    """A definition must be the layer's, or shown by an earlier proof, or that of a name nobody has used yet."""
    names = [equation["target"][1] for equation in proof["given"]]
    if len(set(names)) != len(names):
        raise Malformed("a tensor is given two definitions")
    if proof["goal"]["target"][1] in names:
        raise Malformed(f"{proof['goal']['target'][1]} is both what is to be shown and given")
    given = {equation["target"][1]: equation for equation in proof["given"]}
    around = circles({name: tensors_in(equation["value"]) for name, equation in given.items()})
    for number, equation in enumerate(proof["given"]):
        name = equation["target"][1]
        declared.check_equation(equation)
        early = [other for other in tensors_in(equation["value"]) if other in names[number:]]
        if early and any(name in circle and not determined({n: given[n] for n in circle}) for circle in around):
            raise Malformed(f"the definition of {name} mentions {early[0]}, which is not defined before it")
        if not context.stated:
            continue
        if name in context.inputs:
            raise Malformed(f"{name} is an input of the layer, and cannot be given a definition")
        new = name not in context.known and name not in context.tensors and not context.names_a_derivative(name)
        if not new and not context.knows(equation):
            raise Malformed(f"nobody has shown this definition of {name}")


def _facts_are_declared(proof: Node, context: Context, declared: Declarations) -> None:
    for fact in proof["facts"]:
        if context.stated and fact not in context.facts:
            raise Malformed("a fact is used that the layer does not declare")
        scope = {**free_scope(fact["left"]), **free_scope(fact["right"])}
        for side in (fact["left"], fact["right"]):
            declared.check_expr(side, scope)


def _behind(names: Iterable[str], given: dict[str, Node]) -> set[str]:
    """The named tensors, and all that their definitions rest on."""
    found = set(names)
    waiting = list(found)
    while waiting:
        name = waiting.pop()
        more = set(tensors_in(given[name]["value"])) - found if name in given else set()
        found |= more
        waiting += more
    return found


def _rests_on_more(node: Node, target: Node, given: dict[str, Node]) -> None:
    """A line may rest on the target, by itself or through a definition, only as a recurrence does: it would assume what it shows.

    Inside the proof of a derivative the target is a free variable, also of its meaning, so that only the end of it has to be one.
    """
    if target[1] not in _behind(tensors_in(node), given):
        return
    equations = {**given, target[1]: {"target": target, "value": node}}
    for circle in circles({name: tensors_in(equation["value"]) for name, equation in equations.items()}):
        if target[1] in circle and not determined({name: equations[name] for name in circle}):
            raise Malformed(f"{min(set(circle) & set(tensors_in(node)))} is what is to be shown")


def matrices_of(proof: Node) -> list[Node]:
    """The matrix expressions in a proof: that of its last line, and those of the lines in `forms`."""
    last = [] if proof["matrix"] is None else [proof["matrix"]]
    return [*last, *(form for _, form in proof.get("forms", []))]


def _matrix(form: Form, number: int) -> None:
    node = form.matrices[number].node
    shape = shape_of(node, form.declared, form.proof["batch"])
    form.matrices[number] = MatrixForm(node, shape, check_goal(shape, form.proof["goal"]["target"], form.proof["batch"]))


def _claim(form: Form, context: Context) -> None:
    """Settle what the first line has to equal, if it is not a definition itself."""
    goal, kind = form.proof["goal"], form.proof["kind"]
    name = goal["target"][1]
    if context.stated and kind not in DERIVATIVES:
        if context.knows(goal):
            return
        if name in context.inputs or name in context.known and name not in context.equations:
            raise Malformed(f"{name} has been defined before, and not as this first line")
    form.meaning = meaning(form.proof, context)
    if form.meaning is None and context.names_a_derivative(name):
        raise Malformed(f"{name} names a derivative, which this first line does not define")
