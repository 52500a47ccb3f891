"""Dead code: ops that no output depends on."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from codegen.passes.blocks import each_block
from codegen.program import Block, Op, Program, needed


def remove_dead_code(program: Program) -> Program:
    """Drop every op on which no output of its block depends.

    Other passes may leave such ops behind (a value that turned out to be a copy of another), and lowering does: an equation
    of the forward pass that the second order does not mention is not recomputed there.
    """
    return each_block(program, pruned)


def pruned(block: Block) -> Block:
    """The block without the ops that its outputs do not need."""
    live = needed(block.ops, block.outputs)
    kept = tuple(op for op in block.ops if op.out in live)
    wanted: dict[str, set[int]] = {}
    for op in kept:
        if op.kind == "item" and op.number is not None:
            wanted.setdefault(op.args[0].value, set()).add(int(op.number))
    return replace(block, ops=tuple(_needed_members(op, wanted) if op.scan is not None else op for op in kept))


def _needed_members(op: Op, wanted: dict[str, set[int]]) -> Op:
    """A scan, or an item of one, with only those members that are asked for afterwards or read by later entries."""
    scan = op.scan
    assert scan is not None
    asked = wanted[op.out if op.kind == "scan" else op.args[0].value] | {member for _, member, _ in scan.past}
    left = [n for n in range(len(scan.axes)) if n in asked]
    body = pruned(replace(scan.body, outputs=tuple(scan.body.outputs[n] for n in left)))
    past = tuple((name, left.index(member), offset) for name, member, offset in scan.past)
    number = Fraction(left.index(int(op.number))) if op.kind == "item" and op.number is not None else op.number
    return replace(op, number=number, scan=replace(scan, body=body, past=past, axes=tuple(scan.axes[n] for n in left)))
