"""One saved row of numbers in place of two: shares of exponentials are made anew from the logarithms of their sums."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from codegen.passes.admitting import subtracted
from codegen.program import Block, Op, Read, is_temporary, makers, read_op
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
    exp(0), and where a condition may admit nothing it is 1 at least by what `mask_scores` makes of it.
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
    m, total = (_named(read, made) for read in (Read(share.m.value, row), Z))
    equation = Equation(Ref(name, row), add(Ref(m.value, m.axes), Fn("log", (Ref(total.value, total.axes),))))
    return (
        Op(f"%{name}.1", "map", Z.axes, (Z,), fn="log"),
        Op(name, "map", row, (Read(share.m.value, row), Read(f"%{name}.1", Z.axes)), fn="add", source=equation),
    )


def _named(read: Read, made: dict[str, Op]) -> Read:
    """What a value is where a condition admits anything: the value with a name that it stands for."""
    op = read_op(read, made)
    if op is None or not is_temporary(op.out):
        return read
    return op.args[1] if op.fn == "where" else op.args[0]


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
        difference = read_op(exp.args[0], made)
        shifted = subtracted(difference, made) if difference is not None else None
        (Z,) = inverse.args
        if (
            shifted is not None
            and set(shifted[0].axes) == set(op.axes)
            and set(shifted[1].axes) == set(Z.axes)
            and len(Z.axes) < len(op.axes)
        ):
            return _Share(*shifted, Z)
    return None


def _sums_all(share: _Share, made: dict[str, Op]) -> bool:
    """Whether Z is the sum of exp(x - m) over the entries of which m is the maximum, or the larger of 1 and that sum."""
    Z, m = made.get(share.Z.value), made.get(share.m.value)
    if Z is not None and Z.fn == "max" and Z.kind == "map" and made[Z.args[1].value].number == 1:
        Z = read_op(Z.args[0], made)
    if m is not None and m.fn == "where" and len(m.args) == 3:
        m = made.get(m.args[1].value)
    if Z is None or m is None or (Z.kind, Z.fn) != ("reduce", "sum") or (m.kind, m.fn) != ("reduce", "max"):
        return False
    exp = read_op(Z.args[0], made)
    difference = read_op(exp.args[0], made) if exp is not None and exp.fn == "exp" else None
    shifted = subtracted(difference, made) if difference is not None else None
    if shifted is None or shifted[1].value != share.m.value or len(Z.over) != 1 or len(m.over) != 1:
        return False
    names: dict[Idx, Idx] = dict(zip(m.axes, shifted[1].axes))
    names[m.over[0]] = Z.over[0]
    x = Read(m.args[0].value, tuple(names.get(i, i) for i in m.args[0].axes))
    return x == shifted[0] and set(shifted[1].axes) == set(Z.axes)
