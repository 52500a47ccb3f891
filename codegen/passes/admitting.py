"""Exponentials of what a condition admits: one mask over the scores in place of one over each array made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from codegen.passes.dead import pruned
from codegen.program import Block, Op, Program, Read, makers, read_op, with_block
from derive.exponentials import LOWEST
from derive.expr import Idx


def mask_scores(program: Program) -> Program:
    """Where m is the maximum of `where(c, x, LOWEST)`, the exponentials that count are those of the masked scores themselves.

    LOWEST stands for minus infinity: `where(c, exp(x - m), 0)` is `exp(where(c, x, LOWEST) - m)`, for any m that a score may have. A row
    of which the condition admits nothing has LOWEST for its maximum, and 0 is subtracted in its place. The sum Z of the exponentials is
    then at least 1, or 0 in such a row, so that `where(c, exp(x - m)/Z, 0)` is the masked exponential over `max(Z, 1)`: a share that is
    nowhere the quotient of two zeros.
    """
    block = program.forward
    for op in block.ops:
        found = _found(block, op)
        if found is not None:
            block = _rewritten(block, found)
    return with_block(program, "forward", block)


@dataclass(frozen=True)
class _Scores:
    """A row maximum, the exponentials of which it is subtracted, what masks them, and their sums."""

    maximum: Op
    masked: Op
    exponential: Op
    difference: Op
    inverses: dict[str, Op]
    """Inverse of a sum of the masked exponentials -> the sum."""
    shares: tuple[Op, ...]
    """Masked quotients of the exponential and such a sum."""
    same: tuple[Op, ...]
    """Masked exponentials."""


def _found(block: Block, maximum: Op) -> _Scores | None:
    made = makers(block.ops)
    if (maximum.kind, maximum.fn) != ("reduce", "max") or len(maximum.over) != 1:
        return None
    masked = made.get(maximum.args[0].value)
    if masked is None or masked.fn != "where" or len(masked.args) != 3:
        return None
    lowest = made.get(masked.args[2].value)
    if lowest is None or lowest.number != LOWEST.value or lowest.kind != "number":
        return None
    for op in block.ops:
        if op.fn != "exp":
            continue
        difference = made.get(op.args[0].value)
        shifted = subtracted(difference, made) if difference is not None else None
        if difference is None or shifted is None or shifted[1].value != maximum.out or shifted[0].value != masked.args[1].value:
            continue
        found = _Use(block, maximum, masked, op, difference).scores()
        if found is not None:
            return found
    return None


def subtracted(difference: Op, made: dict[str, Op]) -> tuple[Read, Read] | None:
    """(x, m) of `x - m`, with the indices of the op."""
    if difference.kind != "map" or difference.fn != "add" or len(difference.args) != 2:
        return None
    x, other = difference.args
    negative = read_op(other, made)
    if negative is None or negative.fn != "mul" or len(negative.args) != 2:
        return None
    sign, m = negative.args
    number = made.get(sign.value)
    return (x, m) if number is not None and number.kind == "number" and number.number == -1 else None


@dataclass(frozen=True)
class _Use:
    """What reads an exponential."""

    block: Block
    maximum: Op
    masked: Op
    exponential: Op
    difference: Op

    def scores(self) -> _Scores | None:
        made, exp = makers(self.block.ops), self.exponential
        if exp.out in self.block.outputs or exp.source is not None or not self._aligned():
            return None
        same: list[Op] = []
        shares: list[Op] = []
        inverses: dict[str, Op] = {}
        quotients: list[Op] = []
        for user in self._users(exp.out):
            if self._is_masked(user, exp):
                same.append(user)
            elif user.fn == "mul" and len(user.args) == 2 and user.source is None:
                quotients.append(user)
            else:
                return None
        for quotient in quotients:
            inverse = next((made.get(arg.value) for arg in quotient.args if arg.value != exp.out), None)
            total = made.get(inverse.args[0].value) if inverse is not None and inverse.fn == "power" and inverse.number == -1 else None
            if inverse is None or total is None or (total.kind, total.fn) != ("reduce", "sum"):
                return None
            if total.args[0].value not in {op.out for op in same} or len(total.over) != 1:
                return None
            users = self._users(quotient.out)
            if not users or not all(self._is_masked(user, quotient) for user in users):
                return None
            inverses[inverse.out] = total
            shares += users
        return _Scores(self.maximum, self.masked, exp, self.difference, inverses, tuple(shares), tuple(same)) if same else None

    def _users(self, value: str) -> Sequence[Op]:
        return [op for op in self.block.ops if any(arg.value == value for arg in op.args)]

    def _condition(self, of: Op) -> Read:
        """The condition as it stands for an array that has the axes of the scores."""
        condition, x = self.masked.args[:2]
        names = dict(zip(x.axes, self._x(of)))
        return replace(condition, axes=tuple(names[i] for i in condition.axes))

    def _x(self, of: Op) -> tuple[Idx, ...]:
        """The indices by which the scores are read, in the indices of an op that has the exponential's axes."""
        (x,) = (arg for arg in self.difference.args if arg.value == self.masked.args[1].value)
        inner = dict(zip(self.difference.axes, self.exponential.args[0].axes))
        at = dict(zip(self.exponential.axes, of.axes))
        return tuple(at[inner[i]] for i in x.axes)

    def _aligned(self) -> bool:
        """Whether the maximum is subtracted from the scores of its own row."""
        made = makers(self.block.ops)
        shifted = subtracted(self.difference, made)
        if shifted is None:
            return False
        masked = dict(zip(self.masked.axes, self.maximum.args[0].axes))
        names = {masked[a]: b for a, b in zip(self.masked.args[1].axes, shifted[0].axes) if a in masked}
        return [names.get(i) for i in self.maximum.axes] == list(shifted[1].axes)

    def _is_masked(self, user: Op, of: Op) -> bool:
        if user.fn != "where" or len(user.args) != 2 or user.args[1].value != of.out:
            return False
        here = replace(of, axes=user.args[1].axes)
        if of is not self.exponential:
            (exp,) = (arg for arg in of.args if arg.value == self.exponential.out)
            names = dict(zip(of.axes, user.args[1].axes))
            here = replace(self.exponential, axes=tuple(names[i] for i in exp.axes))
        return user.args[0] == self._condition(here)


def _rewritten(block: Block, found: _Scores) -> Block:
    maximum, masked = found.maximum, found.masked
    name = f"%{maximum.out}"
    row = maximum.axes
    instead = {op.out: op for op in found.same}
    ops: list[Op] = []
    for op in block.ops:
        if op.out in instead:
            continue
        op = replace(op, args=tuple(_through(arg, instead, found.exponential) for arg in op.args))
        if op.out == maximum.out:
            lowest = Read(masked.args[2].value)
            ops += [
                op,
                Op(f"{name}.0", "number", number=Fraction(0)),
                Op(f"{name}.any", "map", row, (lowest, Read(op.out, row)), fn="less"),
                Op(f"{name}.kept", "map", row, (Read(f"{name}.any", row), Read(op.out, row), Read(f"{name}.0")), fn="where"),
            ]
        elif op.out == found.difference.out:
            shifted = subtracted(op, makers(block.ops))
            assert shifted is not None
            x, m = shifted
            names = dict(zip(masked.args[1].axes, x.axes))
            minus = next(makers(block.ops)[arg.value] for arg in op.args if arg.value != x.value).args[0]
            ops += [
                Op(f"{name}.minus", "map", row, (minus, Read(f"{name}.kept", row)), fn="mul"),
                replace(op, args=(Read(masked.out, tuple(names[i] for i in masked.axes)), Read(f"{name}.minus", m.axes))),
            ]
        elif op.out in found.inverses:
            total = op.args[0]
            ops += [
                Op(f"%{op.out[1:]}.1", "number", number=Fraction(1)),
                Op(f"%{op.out[1:]}.least", "map", op.axes, (total, Read(f"%{op.out[1:]}.1")), fn="max"),
                replace(op, args=(Read(f"%{op.out[1:]}.least", op.axes),)),
            ]
        elif op in found.shares or any(op.out == share.out for share in found.shares):
            quotient = read_op(op.args[1], makers(ops))
            assert quotient is not None
            ops.append(replace(op, fn="mul", args=quotient.args))
        else:
            ops.append(op)
    return pruned(replace(block, ops=tuple(ops)))


def _through(arg: Read, instead: dict[str, Op], exponential: Op) -> Read:
    """A masked exponential is the exponential."""
    op = instead.get(arg.value)
    if op is None:
        return arg
    names = dict(zip(op.axes, arg.axes))
    return Read(exponential.out, tuple(names[i] for i in op.args[1].axes))
