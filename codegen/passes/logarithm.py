"""One saved row of numbers in place of two: shares of exponentials are made anew from the logarithms of their sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from codegen.program import Block, Op, Read, host_values, makers, read_op
from derive.expr import Equation, Fn, Idx, Ref, add


@dataclass(frozen=True)
class _Share:
    """`exp(x - m)/Z` as three values that its maker reads with the same indices."""

    x: Read
    m: Read
    Z: Read


def logarithmic(forward: Block) -> tuple[Block, tuple[Op, ...]]:
    """The forward block with logarithms of sums, and the ops by which its arrays may be made anew from those.

    A large array `exp(x - m)/Z`, with Z the sum of the exponentials, is made anew as `exp(x - (m + log Z))`: the forward pass saves one
    number a row rather than two, and the backward pass divides no large array. Z is at least 1, because the largest exponential is
    exp(0); or 0 where a condition admits no entry at all, and there any number may stand for its logarithm.
    """
    made = makers(forward.ops)
    ops, anew = list(forward.ops), []
    rows: dict[tuple[str, str], str] = {}
    for op in forward.ops:
        share = _share(op, made)
        if share is None or not op.axes or not _sums_all(share, made):
            anew.append(op)
            continue
        key = share.m.value, share.Z.value
        if key not in rows:
            rows[key] = next(n for n in ("lse", *(f"lse_{k}" for k in range(2, 99))) if n not in {*forward.inputs, *(o.out for o in ops)})
            ops += _logarithm(rows[key], share, made)
        anew += _from_logarithm(rows[key], share, op)
    return (replace(forward, ops=tuple(ops)), (*ops[len(forward.ops) :], *anew)) if rows else (forward, forward.ops)


def _logarithm(name: str, share: _Share, made: dict[str, Op]) -> tuple[Op, ...]:
    """`m + log Z`, with the axes of m."""
    row = made[share.m.value].axes
    names = dict(zip(share.m.axes, row))
    Z = Read(share.Z.value, tuple(names[i] for i in share.Z.axes))
    equation = Equation(Ref(name, row), add(Ref(share.m.value, row), Fn("log", (Ref(Z.value, Z.axes),))))
    return (
        Op(f"%{name}.1", "number", number=Fraction(1)),
        Op(f"%{name}.2", "map", Z.axes, (Z, Read(f"%{name}.1")), fn="max"),
        Op(f"%{name}.3", "map", Z.axes, (Read(f"%{name}.2", Z.axes),), fn="log"),
        Op(name, "map", row, (Read(share.m.value, row), Read(f"%{name}.3", Z.axes)), fn="add", source=equation),
    )


def _from_logarithm(name: str, share: _Share, op: Op) -> tuple[Op, ...]:
    """The share, as the exponential of a difference."""
    return (
        Op(f"%{op.out}.1", "number", number=Fraction(-1)),
        Op(f"%{op.out}.2", "map", share.m.axes, (Read(f"%{op.out}.1"), Read(name, share.m.axes)), fn="mul"),
        Op(f"%{op.out}.3", "map", op.axes, (share.x, Read(f"%{op.out}.2", share.m.axes)), fn="add"),
        replace(op, fn="exp", args=(Read(f"%{op.out}.3", op.axes),)),
    )


def _share(op: Op, made: dict[str, Op]) -> _Share | None:
    """What the op makes, if it is an exponential times an inverse."""
    if op.kind != "map" or op.fn != "mul" or len(op.args) != 2:
        return None
    for top, below in (op.args, op.args[::-1]):
        exp, inverse = read_op(top, made), read_op(below, made)
        if exp is None or inverse is None or exp.fn != "exp" or inverse.fn != "power" or inverse.number != -1:
            continue
        shifted = _shifted(exp, made)
        (Z,) = inverse.args
        if (
            shifted is not None
            and set(shifted[0].axes) == set(op.axes)
            and set(shifted[1].axes) == set(Z.axes)
            and len(Z.axes) < len(op.axes)
        ):
            return _Share(*shifted, Z)
    return None


def _shifted(exp: Op, made: dict[str, Op]) -> tuple[Read, Read] | None:
    """(x, m) of `exp(x - m)`, with the indices of the op."""
    difference = read_op(exp.args[0], made) if exp.fn == "exp" else None
    if difference is None or difference.fn != "add" or len(difference.args) != 2:
        return None
    x, other = difference.args
    negative = read_op(other, made)
    if negative is None or negative.fn != "mul" or len(negative.args) != 2:
        return None
    sign, m = negative.args
    number = made.get(sign.value)
    return (x, m) if number is not None and number.kind == "number" and number.number == -1 else None


def _sums_all(share: _Share, made: dict[str, Op]) -> bool:
    """Whether Z is the sum of exp(x - m) over the entries of which m is the maximum, all of them or those that a condition admits."""
    Z, m = made.get(share.Z.value), made.get(share.m.value)
    if Z is None or m is None or (Z.kind, Z.fn) != ("reduce", "sum") or (m.kind, m.fn) != ("reduce", "max"):
        return False
    summed, largest = _admitted(Z.args[0], made), _admitted(m.args[0], made)
    exp = read_op(summed[0], made)
    shifted = _shifted(exp, made) if exp is not None else None
    if shifted is None or shifted[1].value != m.out or len(Z.over) != 1 or len(m.over) != 1:
        return False
    names: dict[Idx, Idx] = dict(zip(m.axes, shifted[1].axes))
    names[m.over[0]] = Z.over[0]
    x, condition = (None if read is None else Read(read.value, tuple(names.get(i, i) for i in read.axes)) for read in largest)
    return x == shifted[0] and condition == summed[1] and set(shifted[1].axes) == set(Z.axes)


def _admitted(read: Read, made: dict[str, Op]) -> tuple[Read, Read | None]:
    """The array, and the condition by which its entries count, if there is one."""
    op = read_op(read, made)
    if op is not None and op.fn == "where" and not (len(op.args) == 3 and op.args[2].value not in host_values(made.values())):
        return op.args[1], op.args[0]
    return read, None
