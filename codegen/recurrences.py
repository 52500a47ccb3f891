"""A recurrence -> one `scan`: what needs no earlier entry is computed for all places at once, the rest a step at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fractions import Fraction

from codegen.program import Block, Op, Read, Scan, host_values, makers
from derive.expr import Equation, Expr, Idx, Ref, transform
from derive.indices import free_indices, substitute
from derive.plain import show
from derive.recurrence import Group, lag

WALKED = "@"  # the name of the walked index, which no spec can have


def walked_equations(group: Group) -> tuple[Idx, tuple[Equation, ...]]:
    """The walked index, and the equations of a group written with it; a member at another place is a tensor of its own, `h@-1`."""
    axes = dict(group.axes)
    first = group.equations[0].target
    dim = first.indices[axes[first.tensor]]
    assert isinstance(dim, Idx)
    walked = Idx(WALKED, dim.dim)

    def earlier(node: Expr) -> Expr | None:
        if not isinstance(node, Ref) or node.tensor not in axes:
            return None
        axis = axes[node.tensor]
        offset = lag(node, axis, walked)
        indices = (*node.indices[:axis], walked, *node.indices[axis + 1 :])
        return Ref(past_name(node.tensor, offset) if offset else node.tensor, indices)

    found = []
    for equation in group.equations:
        here = equation.target.indices[axes[equation.target.tensor]]
        assert isinstance(here, Idx)
        target = Ref(equation.target.tensor, tuple(walked if i == here else i for i in equation.target.indices))
        found.append(Equation(target, transform(substitute(equation.value, {here: walked}), earlier)))
    return walked, tuple(found)


def past_name(member: str, offset: int) -> str:
    return f"{member}@{offset}"


def scan(out: str, group: Group, walked: Idx, ops: Sequence[Op]) -> tuple[list[Op], list[Op]]:
    """The ops of a group's equations, split: those for all places at once, and a scan called `out` with an item for each member.

    Raises NotImplementedError for a member that is read at the walked index along another axis as well.
    """
    inside = _inside(group, ops)
    made = makers(ops)
    host = host_values(ops)
    args: dict[Read, str] = {}
    past: dict[str, tuple[int, int]] = {}
    body: list[Op] = []
    copied: set[str] = set()

    def copy(value: str) -> None:
        """Numbers are written where they are used."""
        if value not in copied:
            copied.add(value)
            for arg in made[value].args:
                copy(arg.value)
            body.append(made[value])

    def read(arg: Read) -> Read:
        rest = tuple(i for i in arg.axes if i != walked)
        if arg.value in inside:
            return Read(arg.value, rest)
        member, at, offset = arg.value.partition("@")
        if at:
            if arg.axes.count(walked) > 1:
                raise NotImplementedError(f"no kernel for a recurrence that reads {member} at its own place along another axis")
            past[arg.value] = (group.members.index(member), int(offset))
            return Read(arg.value, rest)
        if arg.value in host:
            copy(arg.value)
            return arg
        if arg.value in made and made[arg.value].kind == "position" and arg.axes == (walked,):
            if STEP not in copied:
                copied.add(STEP)
                body.append(Op(STEP, "step"))
            return Read(STEP)
        if arg.axes.count(walked) > 1:
            raise NotImplementedError(f"no kernel for a recurrence that reads a diagonal of {arg.value}")
        # The same array read along the same axis is one argument, whatever its other indices are called.
        place = arg.axes.index(walked) if walked in arg.axes else -1
        key = Read(arg.value, (Idx(str(place), ""),))
        return Read(args.setdefault(key, f"@{len(args)}"), rest)

    for op in ops:
        if op.out not in inside:
            continue
        if any(walked in free_indices(place.value) for place in op.at) or walked in op.over:
            raise NotImplementedError(
                f"no kernel for a recurrence that reads at places which depend on its own: {show(group.equations[0].target)}"
            )
        made_of = tuple(read(arg) for arg in op.args)
        source = next((e for e in group.equations if e.target.tensor == op.out), None)
        body.append(replace(op, axes=tuple(i for i in op.axes if i != walked), args=made_of, source=source))
    outer = [op for op in ops if op.out not in inside]
    last = {op.out: op for op in ops}
    members = tuple((e.target.tensor, tuple(i for i in last[e.target.tensor].axes if i != walked)) for e in group.equations)
    parts = tuple((name, int(key.axes[0].name)) for key, name in args.items())
    inputs = (*(name for name, _ in parts), *past)
    found = Scan(
        Block(inputs, tuple(body), group.members),
        parts,
        tuple((name, *where) for name, where in past.items()),
        tuple(axes for _, axes in members),
        group.backwards,
    )
    whole = tuple(Read(key.value, ()) for key in args)
    start = group.equations[0].target
    here = start.indices[dict(group.axes)[start.tensor]]
    assert isinstance(here, Idx)
    results = [Op(out, "scan", (), whole, (here,), dim=walked.dim, scan=found)]
    for n, equation in enumerate(group.equations):
        target = equation.target
        axes = tuple(i for i in target.indices if isinstance(i, Idx))
        results.append(Op(target.tensor, "item", axes, (Read(out),), number=Fraction(n), source=equation, scan=found))
    return outer, results


STEP = "@step"


def _inside(group: Group, ops: Iterable[Op]) -> set[str]:
    """What rests on a member of the group."""
    found: set[str] = set()
    for op in ops:
        if op.out in group.members or any(arg.value in found or "@" in arg.value for arg in op.args):
            found.add(op.out)
    return found
