"""Every check of a layer's equations: what a user can get wrong, each with what to write instead."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from derive.conditions import impossible, together_impossible
from derive.errors import SpecError, listing, near
from derive.expr import (
    MATRIX_FUNCTIONS,
    Add,
    Affine,
    Delta,
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
    children,
    walk,
)
from derive.functions import ARITY
from derive.indices import free_indices, refs, tensors_in
from derive.recurrence import Unordered, groups
from derive.terms import brackets
from derive.write import write, write_index

_RESERVED = frozenset({*ARITY, *MATRIX_FUNCTIONS, "sum", "size", "sqrt", "where"})
_WIDEST = 160  # characters of an equation quoted in a message


@dataclass(frozen=True)
class Spec:
    """Equations to be checked and the text each was read from; `dims` are the axes of the tensors that were declared."""

    layer: str
    equations: tuple[Equation, ...]
    texts: tuple[str, ...]
    facts: tuple[Fact, ...] = ()
    lengths: tuple[Length, ...] = ()

    def error(self, number: int, message: str) -> SpecError:
        """The message with the layer and the quoted equation; equations count from 0 here and from 1 for people."""
        where = f"equation {number + 1}, " if len(self.equations) > 1 else ""
        return SpecError(f"{self.layer}: {where}`{_shortened(self.texts[number])}`: {message}")

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(equation.target.tensor for equation in self.equations)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The tensors that no equation defines, in order of first appearance."""
        defined = set(self.targets)
        values = [*(equation.value for equation in self.equations), *(length.value for length in self.lengths)]
        return tuple(dict.fromkeys(name for value in values for name in tensors_in(value) if name not in defined))


def _shortened(text: str) -> str:
    return text if len(text) <= _WIDEST else text[:_WIDEST] + " ..."


def check(spec: Spec, declared: dict[str, tuple[str, ...]] | None = None) -> None:
    """Raise SpecError for the first mistake that does not need the axes' names."""
    check_targets(spec)
    check_order(spec)
    check_ranks(spec, declared or {})
    for number, equation in enumerate(spec.equations):
        check_bound(spec, number, equation)
        check_free(spec, number, equation)
    check_integers(spec)


def check_targets(spec: Spec) -> None:
    """A target is a tensor with plain indices, each once, and is defined once."""
    seen: dict[str, int] = {}
    for number, equation in enumerate(spec.equations):
        target = equation.target
        for index in target.indices:
            if not isinstance(index, Idx):
                raise spec.error(number, f"the left of = has plain indices; {write_index(index)} cannot stand in {write(target)}")
            if target.indices.count(index) > 1:
                raise spec.error(number, f"index {index.name} stands twice on the left, in {write(target)}; give each axis its own index")
        if target.tensor in seen:
            raise spec.error(
                number, f"{target.tensor} is defined twice, first in equation {seen[target.tensor] + 1}; give one of them another name"
            )
        seen[target.tensor] = number


def check_order(spec: Spec) -> None:
    """Every tensor is defined before it is used, and by itself only in a recurrence: an entry by those before it along one axis."""
    try:
        together = {name: group for group in groups(spec.equations) if group.recurs for name in group.members}
    except Unordered as error:
        number = spec.targets.index(error.path[0])
        cycle = " -> ".join(error.path)
        raise spec.error(
            number,
            f"{error.path[0]} is defined in terms of itself ({cycle}); a definition may not be cyclic, unless it reads itself at an "
            f"earlier place along one axis, as in h[t] = a*h[t-1] + x[t] ({error.why})",
        ) from None
    lines = {name: number for number, name in enumerate(spec.targets)}
    for number, equation in enumerate(spec.equations):
        for name in tensors_in(equation.value):
            if lines.get(name, -1) < number or (name in together and equation.target.tensor in together[name].members):
                continue
            raise spec.error(number, f"{name} is used before it is defined, in equation {lines[name] + 1}; move that line up")


def check_ranks(spec: Spec, declared: dict[str, tuple[str, ...]]) -> None:
    """A tensor has as many indices wherever it stands."""
    first: dict[str, tuple[Ref, int]] = {}
    for number, equation in enumerate(spec.equations):
        for ref in refs(equation.target) + refs(equation.value):
            axes = declared.get(ref.tensor)
            if axes is not None and len(axes) != len(ref.indices):
                shape = f"{ref.tensor}[{','.join(axes)}]"
                raise spec.error(
                    number, f"{ref.tensor} has {_count(len(axes))}, {shape}, but stands as {write(ref)}, with {len(ref.indices)}"
                )
            other, line = first.setdefault(ref.tensor, (ref, number))
            if len(other.indices) != len(ref.indices):
                here = f"{_entry(ref)} has {_count(len(ref.indices))}"
                raise spec.error(
                    number,
                    f"{here}, but {_entry(other)} in equation {line + 1} has {len(other.indices)}; a tensor always has the same axes",
                )


def _entry(ref: Ref) -> str:
    """A tensor as it was written: a whole matrix has no indices of its own, since its row and column have no names that one writes."""
    named = tuple(index for index in ref.indices if not isinstance(index, Idx) or "." not in index.name)
    return write(ref) if len(named) == len(ref.indices) else f"the matrix {write(Ref(ref.tensor, named))}"


def _count(rank: int) -> str:
    return f"{rank} ind{'ex' if rank == 1 else 'ices'}"


def check_bound(spec: Spec, number: int, equation: Equation) -> None:
    """A bound index is new where it is bound."""

    def visit(expr: Expr, outer: tuple[Idx, ...]) -> None:
        if isinstance(expr, (Sum, Max, MatrixFn)):
            word = "sum" if isinstance(expr, Sum) else "max" if isinstance(expr, Max) else expr.name
            for position, index in enumerate(expr.indices):
                if index in expr.indices[:position]:
                    raise spec.error(number, f"{write(expr)} names the index {index.name} twice")
                if index in outer:
                    where = f"free in {write(equation.target)}" if index in equation.target.indices else "bound by an outer reduction"
                    raise spec.error(
                        number, f"{write(expr)} binds {index.name}, which is already {where}; give the {word} an index of its own"
                    )
                if index not in free_indices(expr.body):
                    instead = f"; size({index.name})*(...) is a sum of equal terms" if word == "sum" else ""
                    raise spec.error(number, f"{write(expr)} runs over {index.name}, which does not stand in what follows{instead}")
            outer += expr.indices
        for child in children(expr):
            visit(child, outer)

    visit(equation.value, tuple(i for i in equation.target.indices if isinstance(i, Idx)))


def check_free(spec: Spec, number: int, equation: Equation) -> None:
    """Both sides have the same free indices."""
    left, right = free_indices(equation.target), free_indices(equation.value)
    bound = {i for node in walk(equation.value) if isinstance(node, (Sum, Max, MatrixFn)) for i in node.indices}
    target = equation.target
    for index in right:
        if index in left:
            continue
        if index in bound:
            raise spec.error(
                number, f"index {index.name} is bound by a sum or max and stands outside it too; widen its brackets, or use another index"
            )
        added = write(Ref(target.tensor, (*target.indices, index)))
        raise spec.error(
            number,
            f"index {index.name} is free on the right but not on the left; sum over it, as in sum({index.name}, ...), or write {added}"
            + (f", or declare a plain integer: int {index.name}" if _only_in_places(index, equation.value) else ""),
        )
    for index in left:
        if index not in right:
            rest = write(Ref(target.tensor, tuple(i for i in target.indices if i != index)))
            if index.name in re.findall(r"\w+", spec.texts[number].partition("=")[2]):
                value = _shortened(write(equation.value))
                raise spec.error(
                    number,
                    f"the right side is the same as {value}, in which the index {index.name} no longer stands; "
                    f"write {rest} = {value}, or a right side that depends on {index.name}",
                )
            raise spec.error(
                number, f"index {index.name} is free on the left but not on the right; write {rest}, or use {index.name} on the right"
            )


def _only_in_places(index: Idx, expr: Expr) -> bool:
    """Whether an index stands in arithmetic alone, where it may be a number that was not declared."""
    return not any(index in ref.indices for ref in refs(expr))


def check_lengths(spec: Spec, tensors: dict[str, Tensor]) -> None:
    """Every axis has a length: an input's, that of a label's range, or a line of its own."""
    held = {dim for name in spec.inputs for dim in tensors[name].dims}
    known = held | {tensors[name].values for name in spec.inputs}
    for length in spec.lengths:
        where = f"{spec.layer}: `{write(length)}`: "
        if length.dim in held:
            holder = next(name for name in spec.inputs if length.dim in tensors[name].dims)
            raise SpecError(f"{where}the axis {length.dim} has the length that it has in the input {holder}; leave this line out")
        if length.dim in {other.dim for other in spec.lengths if other is not length}:
            raise SpecError(f"{where}the length of the axis {length.dim} is given twice")
        for node in walk(length.value):
            if isinstance(node, Size) and node.dim not in known:
                raise SpecError(f"{where}no input has the axis {node.dim}; write the length by the axes of inputs, or of lines before")
            power = isinstance(node, Pow) and node.exponent.denominator == 1 and node.exponent > 0
            if (
                not isinstance(node, (Num, Size, Position, Add, Mul))
                and not power
                and not (isinstance(node, Fn) and node.name == "floor_div")
            ):
                raise SpecError(f"{where}a length is made of lengths and plain integers by + - * and //")
            if isinstance(node, Num) and node.value.denominator != 1:
                raise SpecError(f"{where}a length is a whole number; write // for a quotient rounded down")
            if isinstance(node, Position) and not (isinstance(node.index, Ref) and tensors[node.index.tensor].is_plain_integer):
                raise SpecError(f"{where}{write(node)} is no number that is the same for all entries")
        known.add(length.dim)
    for number, equation in enumerate(spec.equations):
        arithmetic = [
            node for node in walk(equation.value) if isinstance(node, Delta) or any(isinstance(i, Affine) for i in _indices(node))
        ]
        bound = [i for node in walk(equation.value) if isinstance(node, (Sum, Max)) for i in node.indices]
        for index in (*equation.target.indices, *bound) if arithmetic else ():
            if isinstance(index, Idx) and index.dim not in known:
                name = index.name
                raise spec.error(
                    number,
                    f"no input has the axis {index.dim} of the index {name}; say how long it is on a line of its own, "
                    f"as in size({name}) = size(l) - size(k) + 1",
                )
        known.update(index.dim for index in equation.target.indices if isinstance(index, Idx))


def _indices(node: Expr) -> tuple[Index, ...]:
    return node.indices if isinstance(node, Ref) else ()


def check_integers(spec: Spec) -> None:
    """A tensor used as an index is an integer input, and is nothing else."""
    readers = integer_tensors(spec.equations)
    for number, equation in enumerate(spec.equations):
        if equation.target.tensor in readers:
            raise spec.error(
                number, f"{equation.target.tensor} is used as an index, so it is an integer input and cannot be computed by an equation"
            )
        for node in walk(equation.value):
            if isinstance(node, Ref) and node.tensor in readers:
                raise spec.error(
                    number, f"{node.tensor} holds integers, it is used as an index, so {write(node)} cannot stand as a real number"
                )


def check_sizes(spec: Spec, known: Collection[str]) -> None:
    """Every axis that an equation runs over, or asks the size of, is among those `known`: the axes of the inputs."""
    for number, equation in enumerate(spec.equations):
        for node in (equation.target, *walk(equation.value)):
            running = node.indices if isinstance(node, (Sum, Max)) or node is equation.target else ()
            for index in running:
                if isinstance(index, Idx) and index.dim not in known:
                    raise spec.error(
                        number,
                        f"{index.name} runs over the axis {index.dim}, which no input has, so its size is not known; declare its size, "
                        f"as in size({index.name}) = {_some_size(equation, known)}, or give an input that axis"
                        + _beside(index, equation, known),
                    )
            if isinstance(node, Size) and node.dim not in known:
                example = f"size({node.dim}) = {_some_size(equation, known)}"
                raise spec.error(number, f"no input has the axis {node.dim}, so its size is not known; declare its size, as in {example}")


def _some_size(equation: Equation, known: Collection[str]) -> str:
    """The length of an axis that is known, to write an example with; a number where the equation has none."""
    running = (*equation.target.indices, *(i for node in walk(equation.value) if isinstance(node, (Sum, Max)) for i in node.indices))
    return next((f"size({i.name})" for i in running if isinstance(i, Idx) and i.dim in known), "10")


def _beside(index: Idx, equation: Equation, known: Collection[str]) -> str:
    """The advice to let an index run over the axis of one that it is compared with, where that axis is known."""
    for node in walk(equation.value):
        if isinstance(node, Iverson):
            compared = [i for side in (node.left, node.right) for i in free_indices(side)]
            other = next((i for i in compared if i.dim in known), None)
            if index in compared and other is not None:
                axis = index.dim if index.dim in (index.name.upper(), other.name.upper()) else other.dim
                return f"; if {index.name} and {other.name} run over one axis, write axes {index.name}:{axis} {other.name}:{axis}"
    return ""


def check_conditions(spec: Spec) -> None:
    """No condition is one that can never hold, for any index and any value; the equations are typed."""
    for number, equation in enumerate(spec.equations):
        for node in walk(equation.value):
            found = impossible(brackets(node)) if isinstance(node, (Mul, Iverson)) else ()
            found = found or (together_impossible(brackets(node)) if isinstance(node, Mul) else ())
            if len(found) == 1:
                raise spec.error(number, f"the condition {_condition(found[0])} never holds; leave out what it selects")
            if found:
                every = listing(_condition(each) for each in found)
                raise spec.error(number, f"the conditions {every} never hold together; leave out what they select")


def _condition(bracket: Iverson) -> str:
    """A condition as it is written in the text form."""
    return write(bracket).removeprefix("where(").removesuffix(", 1, 0)")


def check_names(spec: Spec, named: set[str]) -> None:
    """Names of tensors: no function, no gradient of another, and no likely slip of the pen (unless it was `named` on purpose)."""
    ranks = {ref.tensor: len(ref.indices) for equation in spec.equations for ref in refs(equation.target) + refs(equation.value)}
    uses: dict[str, list[int]] = {}
    for number, equation in enumerate(spec.equations):
        for ref in refs(equation.value):
            uses.setdefault(ref.tensor, []).append(number)
    for number, equation in enumerate(spec.equations):
        for name in (equation.target.tensor, *tensors_in(equation.value)):
            if name in _RESERVED:
                raise spec.error(number, f"{name} is a function and cannot be the name of a tensor")
            if "'" in name:
                raise spec.error(number, f"{name} cannot be the name of a tensor: generated code uses it; leave out the prime")
            if name[0] in "dt" and name[1:] in ranks:
                what = "gradient" if name[0] == "d" else "tangent"
                raise spec.error(number, f"{name} is the name that the {what} of {name[1:]} gets; give this tensor another name")
    targets, integers = set(spec.targets), integer_tensors(spec.equations)
    for name in spec.inputs:
        if name in named or name in integers or len(uses.get(name, ())) != 1:
            continue
        for other in sorted(ranks):
            if other != name and other not in integers and ranks[other] == ranks[name] and _slip(name, other, other in targets):
                also = f"if {name} is an input of its own, say so on a line of its own: inputs {name} ..."
                raise spec.error(uses[name][0], f"{name} is used once and defined nowhere; did you mean {other}? ({also})")


def check_used(spec: Spec, outputs: Sequence[str]) -> None:
    """Every equation is there for something."""
    for number, name in enumerate(spec.targets):
        if name in outputs or any(name in tensors_in(equation.value) for equation in spec.equations):
            continue
        raise spec.error(number, f"{name} is never used and is not the output, {listing(outputs)}{near(name, spec.inputs)}")


def _slip(name: str, other: str, defined: bool) -> bool:
    """Likely to be one name typed in two ways: W_q and W_k, b1 and b2 are not."""
    if name.lower() == other.lower():
        return True
    if any(c == "_" or c.isdigit() for c in name + other):
        return False
    short = min(len(name), len(other))
    return _distance(name, other) <= (0 if short < 4 or (not defined and short < 6) else 1 if short < 6 else 2)


def _distance(a: str, b: str) -> int:
    """The edits that turn one name into the other."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
    return row[-1]


def check_axes(spec: Spec, tensors: dict[str, Tensor]) -> None:
    """Every index of finished equations runs over the axis of the tensor at its place."""
    for number, equation in enumerate(spec.equations):
        for ref in refs(equation.target) + refs(equation.value):
            tensor = tensors.get(ref.tensor)
            if tensor is None:
                raise spec.error(number, f"{ref.tensor} is not among the layer's tensors{near(ref.tensor, tensors)}")
            for place, (index, axis) in enumerate(zip(ref.indices, tensor.dims), 1):
                over = tensors[index.tensor].values if isinstance(index, Ref) else index.dim
                if over != axis:
                    raise spec.error(number, f"in {write(ref)}, axis {place} of {ref.tensor} is {axis}, but the index runs over {over}")


# ---------------------------------------------------------------------------------------------------- helpers


def integer_tensors(equations: Sequence[Equation]) -> set[str]:
    """The tensors that stand as an index somewhere."""
    sides = [side for equation in equations for side in (equation.target, equation.value)]
    found = {index.tensor for side in sides for ref in refs(side) for index in ref.indices if isinstance(index, Ref)}
    deltas = [node for side in sides for node in walk(side) if isinstance(node, Delta)]
    return found | {index.tensor for delta in deltas for index in (delta.a, delta.b) if isinstance(index, Ref)}
