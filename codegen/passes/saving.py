"""Saving less: backward passes that make forward values anew, those that take no longer than to save them, or all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from codegen.passes.dead import pruned
from codegen.program import Block, Op, Program, Read, is_temporary, makers, needed
from derive.expr import Tensor


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


CHEAP = ("add", "mul", "where", "exp", "power", "max", "min", "abs", "sign", "relu")
"""Maps that take about as long as writing an array to memory and reading it again."""


def rematerialize(program: Program) -> Program:
    """An array that a few cheap maps make of inputs and of smaller values is not saved: the backward pass makes it anew.

    Writing a large array and reading it back takes as long as making it while its part is in the cache, and its memory is not held
    between the passes: of a cross-entropy are kept two numbers a row, not the probabilities. Reductions and products are not made
    twice, and what a product of matrices reads is whole in memory anyway.
    """
    made = makers(program.forward.ops)
    whole = {arg.value for op in program.backward.ops if op.kind in ("contract", "matrix", "scan") for arg in op.args}
    gone = tuple(name for name in program.kept if name not in (*program.outputs, *whole) and _is_cheap(name, made))
    if not gone:
        return program
    ops = program.forward.ops
    least = min(len(made[name].axes) for name in gone)
    rows = tuple(op.out for op in ops if not is_temporary(op.out) and len(op.axes) < least)
    held = (*program.inputs, *program.outputs, *(name for name in program.kept if name not in gone), *rows)
    wanted = needed([op for op in ops if op.out not in held], gone)
    if any(made[name].axes and made[name].kind != "map" for name in wanted if name in made and name not in held):
        return program
    blocks = {name: _anew(getattr(program, name), ops, gone, held) for name in ("backward", "second", "second_tangent")}
    read = {name for block in blocks.values() if block is not None for name in block.inputs}
    kept = tuple(name for name in dict.fromkeys((*program.kept, *held)) if name not in gone and (name in read or name in program.kept))
    backward = blocks["backward"]
    assert backward is not None
    saved = tuple(name for name in kept if name in backward.inputs or name in made)
    known = {a.name for a in program.arrays}
    new = tuple(Tensor(name, tuple(i.dim for i in made[name].axes)) for name in kept if name not in known)
    more = tuple(name for name in saved if name in made and name not in program.outputs)
    return replace(
        program,
        arrays=(*program.arrays, *new),
        forward=pruned(replace(program.forward, outputs=(*program.outputs, *more))),
        saved=saved,
        kept=kept,
        backward=replace(backward, inputs=(*saved, *program.upstream)),
        second=blocks["second"],
        second_tangent=blocks["second_tangent"],
    )


def _is_cheap(name: str, made: Mapping[str, Op]) -> bool:
    """Whether cheap maps make an array of more than one axis of inputs and of values with fewer axes."""
    if name not in made or len(made[name].axes) < 2:
        return False
    pending = [name]
    while pending:
        op = made.get(pending.pop())
        if op is None or len(op.axes) < len(made[name].axes):
            continue
        if op.kind != "map" or op.fn not in CHEAP:
            return False
        pending += [arg.value for arg in op.args]
    return True


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
