"""Sharing: one op for equal values (common subexpressions, by value numbering)."""

from __future__ import annotations

from dataclasses import replace

from codegen.passes.blocks import each_block
from codegen.program import COMMUTATIVE, Block, Op, Program, Read, is_temporary
from derive.expr import Idx
from derive.indices import substitute_index

Key = tuple[object, ...]


def share(program: Program) -> Program:
    """Compute equal values once.

    Two ops are equal when they are the same function of equal arguments once the indices they bind are numbered by position:
    `exp(S[i,k] - m[i])` and `exp(S[i,j] - m[i])` are one array. Blocks do not share with each other, because what one holds for
    another is a matter of memory (`Program.saved`), not of arithmetic.
    """
    return each_block(program, shared)


def shared(block: Block) -> Block:
    """One block in which equal values are computed once; no op in it writes over what another reads."""
    first: dict[Key, str] = {}
    same: dict[str, str] = {}
    ops: list[Op] = []
    for op in block.ops:
        if op.scan is not None:
            op = replace(op, scan=replace(op.scan, body=shared(op.scan.body)))
        op = replace(op, args=tuple(Read(same.get(arg.value, arg.value), arg.axes) for arg in op.args))
        key = _key(op)
        known = first.get(key)
        if known is not None and is_temporary(op.out):
            same[op.out] = known
            continue
        if known is None:
            first[key] = op.out
        ops.append(op)
    return replace(block, ops=tuple(ops))


def _key(op: Op) -> Key:
    number: dict[Idx, int] = {index: n for n, index in enumerate((*op.axes, *op.over))}
    args = [(arg.value, tuple(number[i] for i in arg.axes)) for arg in op.args]
    if op.kind == "contract" or op.fn in COMMUTATIVE:
        args.sort()
    dims = tuple(i.dim for i in op.axes) if op.kind in ("expand", "position", "read", "place") else ()
    at = tuple(substitute_index(place, {i: Idx(f"#{n}", i.dim) for i, n in number.items()}) for place in op.at)
    return (op.kind, op.fn, op.number, op.dim, tuple(args), len(op.axes), len(op.over), dims, at, op.scan)
