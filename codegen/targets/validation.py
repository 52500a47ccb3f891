"""`validate=True`: a kernel's own check that its arguments respect the layer's declared facts, off by default and then free.

Each fact becomes a plain equation, how far its sides are apart at each place, which is lowered and written like any other.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

from codegen.lower import lower_equations
from codegen.passes.order import ordered
from codegen.targets.parts import Parts, dims_of
from codegen.targets.text import tuple_of
from derive.errors import listing
from derive.expr import Equation, Expr, Fact, Idx, Iverson, Ref, Tensor, add, neg
from derive.indices import free_indices, tensors_in
from derive.signs import is_comparison
from derive.write import write


@dataclass(frozen=True)
class Validation:
    """The lines of the function `_facts` of one module, and the arguments it is called with."""

    lines: tuple[str, ...]
    arguments: tuple[str, ...]

    def parameter(self) -> str:
        """What a kernel's parameters end in."""
        return ", *, validate: bool = False" if self.arguments else ""

    def sentence(self) -> str:
        """What a kernel's documentation says of it."""
        return " With `validate`, the arguments are first checked against the declared facts." if self.arguments else ""

    def call(self, passed: str = "{}") -> list[str]:
        """The lines of a kernel that call it; `passed` says how an argument is handed on."""
        if not self.arguments:
            return []
        return ["if validate:", f"    _facts({', '.join(passed.format(name) for name in self.arguments)})"]


def validation(parts: Parts, array: str) -> Validation:
    """The check of a layer's facts, its arrays annotated as `array`; nothing for a layer without facts."""
    facts, program = parts.derivation.layer.facts, parts.program
    if not facts:
        return Validation((), ())
    mentioned = {name for fact in facts for name in (*tensors_in(fact.left), *tensors_in(fact.right))}
    inputs = tuple(name for name in program.inputs if name in mentioned)
    taken = {a.name for a in program.arrays}
    equations, gaps = [], []
    for number, fact in enumerate(facts, 1):
        name = next(each for each in (f"gap_{number}", f"gap_{number}_fact", f"gap_{number}_of_fact") if each not in taken)
        indices = tuple(dict.fromkeys((*free_indices(fact.left), *free_indices(fact.right))))
        equations.append(Equation(Ref(name, indices), _gap(fact)))
        gaps.append(Tensor(name, tuple(i.dim for i in indices)))
    block = ordered(lower_equations(equations, inputs, tuple(gap.name for gap in gaps)))
    own = replace(parts, program=replace(program, arrays=(*program.arrays, *gaps), forward=block), derived=False)
    names = own.names
    lines = ["", "", f"def _facts({', '.join(f'{names[n]}: {array}' for n in inputs)}) -> None:"]
    lines.append('    """ValueError unless the arguments respect the declared facts."""')
    body = [*own.lengths(dims_of(block), inputs), *own.code(block)]
    for fact, equation, gap in zip(facts, equations, gaps):
        about = listing([names[n] for n in inputs if n in (*tensors_in(fact.left), *tensors_in(fact.right))])
        at = tuple_of([json.dumps(i.name) for i in equation.target.indices if isinstance(i, Idx)])
        relation = fact.left.relation if is_comparison(fact) and isinstance(fact.left, Iverson) else "="
        body.append(f'_respected("{about}", {json.dumps(write(fact))}, {at}, "{relation}", {names[gap.name]})')
    return Validation((*lines, *(f"    {line}" for line in body)), tuple(parts.names[n] for n in inputs))


def _gap(fact: Fact) -> Expr:
    """What has to be 0, or above it, or not below it."""
    if is_comparison(fact) and isinstance(fact.left, Iverson):
        return add(fact.left.right, neg(fact.left.left))
    return add(fact.left, neg(fact.right))
