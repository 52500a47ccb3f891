"""Recompute or save: large arrays that the backward pass can make anew, and how each pass runs in parts of some axes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

from codegen.passes.blocking import axes_of_data, loop_of, within
from codegen.passes.dead import pruned
from codegen.passes.logarithm import logarithmic
from codegen.passes.reuse import marked, unmarked
from codegen.passes.sharing import shared
from codegen.program import Block, Loop, Op, Program, Read, is_temporary, makers
from derive.expr import Tensor

Small = Callable[[Iterable[str]], bool]


def block(program: Program) -> Program:
    """Say how the forward and the backward pass run in parts of some axes, and which saved arrays that makes needless.

    A saved array is large if it has more axes than any input or output. Where the passes that read it run in parts, it is not
    saved: each part makes it anew from what is saved anyway and from the smaller sums that it was made of (`Program.recompute`).
    Where the only output is a number, the forward pass makes the gradients on the spot, for an upstream gradient of 1, and the
    backward pass scales them: every gradient is proportional to it. Whether a call runs in parts is decided by the bytes of its
    arguments; the straight blocks stay in the program, for small arguments and for targets without loops.
    """
    arrays = {a.name: a for a in program.arrays}
    shapes = [arrays[name].dims for name in (*program.outputs, *program.inputs)]
    data = axes_of_data(shapes)
    every = within(shapes)
    of_data = within([dim for dim in shape if dim in data] for shape in shapes)
    # A value with more axes of data than any input comes first; that weights have other axes than data counts only if none has.
    first = _in_parts(program, lambda dims: of_data(dim for dim in dims if dim in data))
    return first if first.dropped else _in_parts(program, every)


def _in_parts(program: Program, small: Small) -> Program:
    """The program with its loops, for one notion of what is not large."""
    saving_all = program
    program = _saving_less(program, small) or program
    arrays = {a.name: a for a in program.arrays}
    loops: list[tuple[str, Loop | None]] = []
    if not program.dropped:
        loops.append(("forward", loop_of(program.forward, arrays, small, without=program.without)))
        loops.append(("backward", loop_of(program.backward, arrays, small, without=program.without)))
        if _is_early(program):
            loops.append(("both", loop_of(on_the_spot(program), arrays, small, without=program.without)))
        # A loop over large arrays of one pass alone saves no memory that the other does not use.
        loops = [(name, loop) for name, loop in loops if loop is not None and not loop.large]
        return replace(program, loops=tuple((name, loop) for name, loop in loops if loop is not None))
    if _is_early(program):
        loops.append(("both", loop_of(on_the_spot(program), arrays, small, (), program.dropped, program.without)))
    loops.append(("forward", loop_of(program.forward, arrays, small, (), program.dropped, program.without)))
    loops.append(("backward", loop_of(_anew(program), arrays, small, program.dropped, (), program.without)))
    found = tuple((name, loop) for name, loop in loops if loop is not None and loop.large)
    return replace(program, loops=found) if len(found) == len(loops) else saving_all


def _is_early(program: Program) -> bool:
    """Whether gradients may be made in the forward pass: the only output is a number."""
    return "early" not in program.without and len(program.upstream) == 1 and not program.array(program.upstream[0]).dims


def _saving_less(program: Program, small: Small) -> Program | None:
    """The program with its large saved arrays marked as recomputable; None where it has none."""
    made = makers(program.forward.ops)

    def is_large(op: Op) -> bool:
        return len(op.axes) > 1 and not small(i.dim for i in op.axes)

    dropped = tuple(n for n in program.saved if n in made and n not in program.outputs and is_large(made[n]))
    if not dropped:
        return None
    whole = program.forward
    forward, anew = logarithmic(whole) if "logarithm" not in program.without else (whole, whole.ops)
    made = makers(anew)
    taken: dict[str, None] = {}
    wanted: set[str] = set()
    pending = list(dropped)
    while pending:
        value = pending.pop()
        if value in wanted:
            continue
        if value not in made or (not is_temporary(value) and not is_large(made[value])):
            taken[value] = None
            continue
        wanted.add(value)
        pending += [arg.value for arg in made[value].args]
    order = {name: n for n, name in enumerate((*program.inputs, *(op.out for op in forward.ops)))}
    inputs = tuple(sorted(taken, key=order.__getitem__))
    recompute = Block(inputs, tuple(op for op in anew if op.out in wanted), dropped)
    known = {a.name for a in program.arrays}
    more = tuple(name for name in inputs if name not in program.saved)
    outputs = tuple(name for name in more if name not in (*program.inputs, *program.forward.outputs))
    return replace(
        program,
        arrays=(*program.arrays, *(Tensor(n, tuple(i.dim for i in made[n].axes)) for n in outputs if n not in known)),
        recompute=recompute,
        saved=(*program.saved, *more),
        kept=(*program.kept, *(name for name in more if name not in program.kept)),
        forward=pruned(replace(forward, outputs=(*forward.outputs, *outputs))),
        second=_given(program.second, recompute),
        second_tangent=_given(program.second_tangent, recompute),
    )


def _given(block: Block | None, recompute: Block) -> Block | None:
    """A block that reads a dropped array, with what it can be made of."""
    if block is None or not set(block.inputs) & set(recompute.outputs):
        return block
    return replace(block, inputs=tuple(dict.fromkeys((*block.inputs, *recompute.inputs))))


def _anew(program: Program) -> Block:
    """The backward block, after the ops that make the dropped arrays."""
    recompute = program.recompute
    assert recompute is not None
    inputs = dict.fromkeys((*recompute.inputs, *(n for n in program.backward.inputs if n not in program.dropped)))
    return Block(tuple(inputs), (*_apart(recompute.ops, "r"), *program.backward.ops), program.backward.outputs)


def on_the_spot(program: Program) -> Block:
    """The forward block and the backward block for an upstream gradient of 1: early gradients.

    Where the only output is a number, every gradient is proportional to its upstream gradient. Made in the forward pass, part by part,
    they need neither the large values whole nor the same products a second time; the backward pass scales them.
    """
    known = {op.out for op in program.forward.ops}
    one = Op("%one", "number", number=Fraction(1))
    ops = tuple(
        replace(op, args=tuple(Read(one.out) if arg.value == program.upstream[0] else arg for arg in op.args))
        for op in _apart(program.backward.ops, "b")
        if op.out not in known  # where nothing is saved, the backward block makes forward values itself
    )
    both = pruned(Block(program.inputs, (*program.forward.ops, one, *ops), (*program.outputs, *program.gradients)))
    # What the backward pass makes anew the forward pass has made.
    return both if "sharing" in program.without else marked(shared(unmarked(both)))


def _apart(ops: Iterable[Op], mark: str) -> tuple[Op, ...]:
    """The ops with temporaries of their own."""

    def name(value: str) -> str:
        return f"%{mark}{value[1:]}" if is_temporary(value) else value

    return tuple(
        replace(op, out=name(op.out), into=name(op.into) if op.into else "", args=tuple(replace(a, value=name(a.value)) for a in op.args))
        for op in ops
    )
