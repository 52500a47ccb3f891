"""Reuse: a result takes over the memory of an array that nothing reads afterwards (liveness)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from codegen.inlining import Inlining
from codegen.passes.blocks import each_block
from codegen.program import CONDITIONS, Block, Op, Program


def reuse(program: Program) -> Program:
    """Say, for each elementwise result, whose memory it may be computed in.

    A fresh large array costs several times one that is already in memory, because every page of it is first touched by the
    operating system. An elementwise operation may write over an argument that has its shape, was made by the same block, is no
    output of it, and is read for the last time, once. The values are the same: each entry is read before it is written. Ops are
    marked (`Op.into`), not changed; a target that cannot write in place ignores the mark.
    """
    return each_block(program, marked)


def marked(block: Block, given: Mapping[str, Op] = MappingProxyType({}), apart: bool = False) -> Block:
    """The block with `into` set wherever memory may be taken over; `given` are arrays made for it elsewhere, with what made them.

    `apart` says that large arrays have statements of their own.
    """
    inlining = Inlining(block.ops, apart)
    reads = inlining.statements
    last: dict[str, str] = {}
    for out, found in reads.items():
        for read in found:
            last[read.value] = out
    ops: list[Op] = []
    taken: set[str] = set()
    for op in block.ops:
        if op.kind == "map" and op.fn not in CONDITIONS and len(op.axes) > 1 and op.out in reads:
            names = [read.value for read in reads[op.out]]
            for value in names:
                maker = inlining.made.get(value) or given.get(value)
                ours = maker is not None and value not in block.outputs and _fresh(maker) and _shape(maker) == _shape(op)
                if ours and names.count(value) == 1 and last[value] == op.out and value not in taken:
                    taken.add(value)
                    op = replace(op, into=value)
                    break
        ops.append(op)
    return replace(block, ops=tuple(ops))


def picked_first(block: Block) -> Block:
    """The block with the few entries that it reads of a large array of its own read as soon as that is there.

    Whoever reads all of the array can then write over it: beside a softmax, the logits at the labels.
    """
    inlining = Inlining(block.ops, apart=True)
    ops = list(block.ops)
    for op in block.ops:
        if not inlining.picks(op) or any(arg.value in inlining.made for arg in op.args[1:]):
            continue
        ops.remove(op)
        ops.insert(ops.index(inlining.made[op.args[0].value]) + 1, op)
    return replace(block, ops=tuple(ops))


def unmarked(block: Block) -> Block:
    """The block with no memory taken over."""
    return replace(block, ops=tuple(replace(op, into="") for op in block.ops))


def _fresh(op: Op) -> bool:
    """Whether a result is an array of real numbers of its own, never a view of another."""
    return op.kind in ("contract", "reduce") or (op.kind == "map" and op.fn not in CONDITIONS and (op.fn != "mul" or len(op.args) > 1))


def _shape(op: Op) -> tuple[str, ...]:
    return tuple(i.dim for i in op.axes)
