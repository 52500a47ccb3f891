"""Dead code: ops that no output depends on."""

from __future__ import annotations

from dataclasses import replace

from codegen.passes.blocks import each_block
from codegen.program import Block, Program, needed


def remove_dead_code(program: Program) -> Program:
    """Drop every op on which no output of its block depends.

    Other passes may leave such ops behind (a value that turned out to be a copy of another), and lowering does: an equation
    of the forward pass that the second order does not mention is not recomputed there.
    """
    return each_block(program, pruned)


def pruned(block: Block) -> Block:
    """The block without the ops that its outputs do not need."""
    live = needed(block.ops, block.outputs)
    return replace(block, ops=tuple(op for op in block.ops if op.out in live))
