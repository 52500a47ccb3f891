"""Saving, and the pass that undoes it: a backward pass that makes forward values anew from the inputs and outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from codegen.passes.dead import pruned
from codegen.program import Block, Op, Program, Read, makers, needed


def saving_nothing(program: Program) -> Program:
    """Nothing is saved but inputs and outputs, which their owner holds anyway: every other forward value that a backward pass reads
    is made anew by the operations that made it, in front of it. The result is the same, since they are the same operations; memory
    between the passes is less, and time more."""
    held = (*program.inputs, *program.outputs)
    gone = tuple(name for name in program.kept if name not in held)
    if not gone:
        return program
    blocks = {name: _anew(getattr(program, name), program.forward.ops, gone, held) for name in ("backward", "second", "second_tangent")}
    read = {name for block in blocks.values() if block is not None for name in block.inputs}
    kept = tuple(name for name in held if name in read or name in program.kept)
    backward = blocks["backward"]
    assert backward is not None
    saved = tuple(name for name in kept if name in backward.inputs)
    return replace(
        program,
        forward=pruned(replace(program.forward, outputs=program.outputs)),
        saved=saved,
        kept=kept,
        backward=replace(backward, inputs=(*saved, *program.upstream)),
        second=blocks["second"],
        second_tangent=blocks["second_tangent"],
    )


def _anew(block: Block | None, ops: Sequence[Op], gone: Iterable[str], held: Iterable[str]) -> Block | None:
    """The block, after the operations that make what it reads of `gone`."""
    wanted = tuple(name for name in gone if block is not None and name in block.inputs)
    if block is None or not wanted:
        return block
    wanting = needed([op for op in ops if op.out not in held], wanted)
    chosen = [op for op in ops if op.out in wanting and op.out not in held]
    # What the block does not read has no name of its own in it, lest it make a value of that name itself.
    names = {op.out: f"%s{op.out}" for op in chosen if op.out not in wanted}
    made = tuple(
        replace(
            op,
            out=names.get(op.out, op.out),
            args=tuple(Read(names.get(arg.value, arg.value), arg.axes) for arg in op.args),
            source=op.source if op.out in wanted else None,
        )
        for op in chosen
    )
    outs = makers(made)
    read = dict.fromkeys(arg.value for op in made for arg in op.args if arg.value not in outs)
    inputs = tuple(dict.fromkeys((*(name for name in held if name in read or name in block.inputs), *block.inputs)))
    return pruned(Block(tuple(name for name in inputs if name not in wanted), (*made, *block.ops), block.outputs))
