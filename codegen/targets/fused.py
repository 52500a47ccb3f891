"""Sub-programs that a target has one operator for: found in the ops of a block, whatever layer they come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from codegen.passes.admitting import subtracted
from codegen.passes.dead import pruned
from codegen.program import BLOCKS, Block, Op, Program, Read, makers, needed, read_op

Match = Callable[[Op, dict[str, Op]], Op | None]


def fused(program: Program, table: tuple[str, ...]) -> Program:
    """The program with every sub-program of the `table` as one op, a map with the operator's name and its axis in `over`.

    An operator that is written for its purpose reads memory once where single operations read it several times. What it does not
    give, such as the maximum inside a softmax, is still computed where something else reads it, and then nothing is replaced.
    """
    if "fused" in program.without:
        return program
    blocks = {name: fused_block(block, table) for name in BLOCKS if (block := getattr(program, name)) is not None}
    loops = tuple((name, replace(loop, body=fused_block(loop.body, table))) for name, loop in program.loops)
    return replace(program, loops=loops, **blocks)  # type: ignore[arg-type]


def fused_block(block: Block, table: tuple[str, ...]) -> Block:
    """The same for one block."""
    for name in table:
        for op in block.ops:
            made = makers(block.ops)
            found = MATCHES[name](op, made)
            if found is None:
                continue
            rest = pruned(replace(block, ops=tuple(found if other is op else other for other in block.ops)))
            inner = needed(block.ops, (op.out,)) - needed(block.ops, [arg.value for arg in found.args]) - {op.out}
            if not any(other.out in inner and other.axes for other in rest.ops):
                block = rest
    return block


def _shares(op: Op, made: dict[str, Op]) -> Op | None:
    """exp(x - m)/Z with m the maximum of x, and Z the sum of exp(x - m), along one axis."""
    if op.kind != "map" or op.fn != "mul" or len(op.args) != 2:
        return None
    for top, below in (op.args, op.args[::-1]):
        exp, inverse = read_op(top, made), read_op(below, made)
        if exp is None or exp.fn != "exp" or inverse is None or inverse.fn != "power" or inverse.number != -1:
            continue
        total = read_op(inverse.args[0], made)
        shifted = read_op(exp.args[0], made)
        difference = subtracted(shifted, made) if shifted is not None else None
        if total is None or total.kind != "reduce" or total.fn != "sum" or difference is None:
            continue
        along = [i for i in op.axes if i not in below.axes]
        whole = _inlined(total.args[0], made)
        if len(along) != 1 or set(total.axes) | {*along} != set(op.axes) or len(total.over) != 1:
            continue
        x, maximum = difference
        index, same = along[0], {along[0]: total.over[0]}
        if whole != ("exp", x.value, tuple(same.get(i, i) for i in x.axes)) or set(x.axes) != set(op.axes):
            continue
        if _maximum(maximum, x, made) and index not in maximum.axes:
            return replace(op, fn="exp_share", args=(x,), over=(index,), into="")
    return None


def _inlined(read: Read, made: dict[str, Op]) -> tuple[object, ...]:
    """The exponential of a shifted array, and what is shifted."""
    exp = read_op(read, made)
    shifted = read_op(exp.args[0], made) if exp is not None and exp.fn == "exp" else None
    if shifted is None or shifted.fn != "add":
        return ()
    return "exp", shifted.args[0].value, shifted.args[0].axes


def _maximum(read: Read, x: Read, made: dict[str, Op]) -> bool:
    op = read_op(read, made)
    if op is None or op.kind != "reduce" or op.fn != "max" or len(op.over) != 1 or op.args[0].value != x.value:
        return False
    return all(a == b or a == op.over[0] for a, b in zip(op.args[0].axes, x.axes)) and op.over[0] in op.args[0].axes


def _share_gradient(op: Op, made: dict[str, Op]) -> Op | None:
    """P o (g - D) with D the sum of g o P along one axis: what a gradient g of shares of exponentials is for the exponents."""
    if op.kind != "map" or op.fn != "mul" or len(op.args) != 2:
        return None
    for shares, below in (op.args, op.args[::-1]):
        shifted = read_op(below, made)
        difference = subtracted(shifted, made) if shifted is not None else None
        if shifted is None or difference is None:
            continue
        mapping = dict(zip(shifted.axes, below.axes))
        upstream, mean = (Read(read.value, tuple(mapping[i] for i in read.axes)) for read in difference)
        total = read_op(mean, made)
        along = [i for i in op.axes if i not in mean.axes]
        if total is None or total.kind != "contract" or len(total.args) != 2 or len(total.over) != 1 or len(along) != 1:
            continue
        inner = {**dict(zip(total.axes, mean.axes)), total.over[0]: along[0]}
        summed = {Read(arg.value, tuple(inner[i] for i in arg.axes)) for arg in total.args}
        if summed == {shares, upstream} and len(summed) == 2 and set(shares.axes) == set(upstream.axes) == set(op.axes):
            return replace(op, fn="exp_share_gradient", args=(upstream, shares), over=(along[0],), into="")
    return None


MATCHES: dict[str, Match] = {"exp_share": _shares, "exp_share_gradient": _share_gradient}
