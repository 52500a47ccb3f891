"""Layout: which way the large arrays of a loop lie in memory."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from codegen.passes.assembling import MASK, PART, SEEN, is_matrices
from codegen.program import Block, Loop, Op, Part, Program, Read
from derive.expr import Tensor

Item = TypeVar("Item")


def laid(program: Program) -> Program:
    """The large arrays of a loop over products of matrices, with the loop's own rows last.

    A block of rows of a large product is low and wide, and OpenBLAS computes the same product high and narrow, transposed, up to 40 %
    faster; row sums and row maxima then run along the memory, too. The axes of a value made inside a loop are in any order that its
    readers know of, so that nothing but the order changes. Values that come from outside, or leave the loop, stay as they are, but
    for arrays that are saved only where no loop runs, and for the condition that shortens a part: where another such value has both
    axes, nothing is turned.
    """
    if "layout" in program.without:
        return program
    found = {name: _turned(loop, program.dropped) for name, loop in program.loops}
    saved = [set(program.dropped) & found[name] for name in ("forward", "backward") if name in found]
    if "both" in found or not all(saved) or len({frozenset(each) for each in saved}) > 1:
        # The two passes agree on what one leaves to the other, or it is nothing that either turns.
        found = {name: turned for name, turned in found.items() if name == "both"}
        saved = []
    loops = tuple((name, _with_turned(loop, found.get(name, set()))) for name, loop in program.loops)
    gone = saved[0] if saved else set()
    return replace(program, loops=loops, arrays=tuple(_tensor(a, gone) for a in program.arrays))


def _turned(loop: Loop, dropped: tuple[str, ...]) -> set[str]:
    """The values that have the loop's rows next to last, and are to have them last; empty where it would not pay."""
    rows, wide = f"{loop.dims[-1]}{PART}", {loop.width[-1], f"{loop.width[-1]}{SEEN}"} if loop.width else set()
    if not loop.matrices or not loop.large:
        return set()
    made = {op.out: op for op in loop.body.ops}

    def both(dims: tuple[str, ...]) -> bool:
        return rows in dims and bool(wide & set(dims))

    turned = {op.out for op in loop.body.ops if both(_dims(op))}
    # What is given, or read as a whole by its axes' order, keeps its place.
    if any(_dims(made[out])[-2] != rows or _dims(made[out])[-1] not in wide for out in turned):
        return set()
    if any(made[out].kind not in ("map", "contract") or made[out].fn in ("exp_share", "exp_share_gradient") for out in turned):
        return set()
    if not any(is_matrices(made[out]) for out in turned):
        return set()
    for tensor in loop.arrays:
        if both(tensor.dims) and tensor.name not in dropped and tensor.name != MASK:
            return set()
        if tensor.name == MASK and both(tensor.dims):
            if tensor.dims[-2:] != (rows, next(iter(d for d in tensor.dims if d in wide))):
                return set()
            turned.add(MASK)
    if any(
        op.kind in ("gather", "matrix", "diagonal", "read", "place", "scan") and {a.value for a in op.args} & turned for op in made.values()
    ):
        return set()
    return turned


def _dims(op: Op) -> tuple[str, ...]:
    return tuple(i.dim for i in op.axes)


def _swapped(axes: tuple[Item, ...]) -> tuple[Item, ...]:
    return (*axes[:-2], axes[-1], axes[-2])


def _tensor(tensor: Tensor, turned: set[str]) -> Tensor:
    return replace(tensor, dims=_swapped(tensor.dims)) if tensor.name in turned else tensor


def _part(part: Part, turned: set[str]) -> Part:
    return replace(part, at=_swapped(part.at)) if part.name in turned else part


def _block(block: Block, turned: set[str]) -> Block:
    ops = []
    for op in block.ops:
        args = tuple(Read(arg.value, _swapped(arg.axes)) if arg.value in turned else arg for arg in op.args)
        ops.append(replace(op, args=args, axes=_swapped(op.axes) if op.out in turned else op.axes))
    return replace(block, ops=tuple(ops))


def _with_turned(loop: Loop, turned: set[str]) -> Loop:
    if not turned:
        return loop
    mask = loop.mask
    if mask is not None and MASK in turned:
        mask = replace(mask, block=_block(mask.block, {MASK}))
    return replace(
        loop,
        body=_block(loop.body, turned),
        parts=tuple(_part(part, turned) for part in loop.parts),
        results=tuple(_part(part, turned) for part in loop.results),
        arrays=tuple(_tensor(tensor, turned) for tensor in loop.arrays),
        mask=mask,
    )
