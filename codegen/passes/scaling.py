"""Scaling: factors meet the smallest array that they may multiply, before or after a product of matrices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from codegen.passes.assembling import PART, SEEN, is_matrices
from codegen.passes.blocking import within
from codegen.passes.dead import pruned
from codegen.passes.reuse import marked
from codegen.program import Block, Loop, Op, Program, Read, host_values, is_temporary, makers, needed, with_block

Large = Callable[[Op], bool]


def scale_small(program: Program) -> Program:
    """A number that multiplies a large product of matrices multiplies the rows of one of its operands instead.

    `(A B) c` is `(A c) B`: a product is large if it has more axes than any input or output, and none of its operands is then. The
    sums are the same but for where they round.
    """
    arrays = {a.name: a for a in program.arrays}
    small = within([arrays[name].dims for name in (*program.outputs, *program.inputs)])

    def large(op: Op) -> bool:
        return len(op.axes) > 1 and not small(i.dim for i in op.axes)

    for name in ("forward", "backward"):
        program = with_block(program, name, _numbers_first(getattr(program, name), large))
    return program


def divide_late(program: Program) -> Program:
    """A factor of one number a row, inside a loop, multiplies the product of a large array with a matrix instead of the array.

    Where `r` has no summed index, `(r o E) V` is `r o (E V)`: softmax is divided by its sums after the product with the values. The
    large array itself comes last then, for those calls that keep it.
    """
    return replace(program, loops=tuple((name, _late(loop, program.dropped)) for name, loop in program.loops))


def _late(loop: Loop, dropped: tuple[str, ...]) -> Loop:
    if not loop.matrices or not loop.large:
        return loop
    wide = [{dim, f"{dim}{SEEN}"} for dim in loop.width]
    parts = {f"{dim}{PART}" for dim in loop.dims}

    def large(op: Op) -> bool:
        dims = {i.dim for i in op.axes}
        return bool(dims & parts) and all(dims & names for names in wide)

    body = loop.body
    missing = [part.name for part in loop.results if part.name in dropped]
    changed = _factors_last(body, large)
    if changed == body or not missing:
        return loop
    first = needed(changed.ops, [name for name in changed.outputs if name not in missing])
    order = [*(op for op in changed.ops if op.out in first), *(op for op in changed.ops if op.out not in first)]
    changed = replace(changed, ops=tuple(replace(op, into="") for op in order))
    return replace(loop, body=marked(changed, apart=True))


def _numbers_first(block: Block, large: Large) -> Block:
    """`(A B) c` as `(A c) B`, where A lacks the last axis of the product, which a loop never takes in parts."""
    made, host = makers(block.ops), host_values(block.ops)
    uses = _uses(block)
    ops: list[Op] = []
    for op in block.ops:
        inner = _single([arg for arg in op.args if arg.value not in host])
        product = made.get(inner.value) if inner is not None else None
        if (
            op.kind == "map"
            and op.fn == "mul"
            and large(op)
            and inner is not None
            and product is not None
            and is_matrices(product)
            and is_temporary(product.out)
            and uses[product.out] == 1
            and product.out not in block.outputs
        ):
            names = dict(zip(product.axes, inner.axes))
            product = replace(product, args=tuple(Read(a.value, tuple(names.get(i, i) for i in a.axes)) for a in product.args))
            rows = [n for n in rows_of(replace(product, axes=op.axes)) if not _made_large(product.args[n], made, large)]
            if rows:
                arg = product.args[rows[0]]
                numbers = tuple(a for a in op.args if a.value in host)
                scaled = Op(f"%{op.out}.scaled", "map", arg.axes, (arg, *numbers), fn="mul")
                args = tuple(Read(scaled.out, arg.axes) if n == rows[0] else a for n, a in enumerate(product.args))
                ops += [scaled, replace(op, kind="contract", fn="", args=args, over=product.over)]
                continue
        ops.append(op)
    return pruned(replace(block, ops=tuple(ops)))


def rows_of(product: Op) -> list[int]:
    """The operands of a product of matrices that lack its last axis, which a loop never takes in parts."""
    return [n for n, arg in enumerate(product.args) if product.axes[-1] not in arg.axes]


def _factors_last(block: Block, large: Large) -> Block:
    """`(r o E) V` as `r o (E V)`."""
    made, host = makers(block.ops), host_values(block.ops)
    ops: list[Op] = []
    for op in block.ops:
        found = next((n for n, arg in enumerate(op.args) if _parted(made.get(arg.value), large, host)), None) if is_matrices(op) else None
        if found is None or large(op):
            ops.append(op)
            continue
        arg = op.args[found]
        product = made[arg.value]
        names = dict(zip(product.axes, arg.axes))
        factors = [Read(a.value, tuple(names[i] for i in a.axes)) for a in product.args]
        free = [a for a in factors if not set(a.axes) & set(op.over) and set(a.axes) <= set(op.axes)]
        rest = [a for a in factors if a not in free]
        if not free or len(rest) != 1 or rest[0].axes != arg.axes:
            ops.append(op)
            continue
        inner = replace(op, out=f"%{op.out}.product", source=None, args=tuple(rest[0] if n == found else a for n, a in enumerate(op.args)))
        ops += [inner, Op(op.out, "map", op.axes, (Read(inner.out, op.axes), *free), fn="mul", source=op.source)]
    return pruned(replace(block, ops=tuple(ops)))


def _parted(op: Op | None, large: Large, host: set[str]) -> bool:
    """Whether an op multiplies a large array by smaller ones."""
    return op is not None and op.kind == "map" and op.fn == "mul" and large(op) and len(op.args) > 1


def _made_large(arg: Read, made: dict[str, Op], large: Large) -> bool:
    return arg.value in made and large(made[arg.value])


def _single(reads: Iterable[Read]) -> Read | None:
    found = list(reads)
    return found[0] if len(found) == 1 else None


def _uses(block: Block) -> Counter[str]:
    return Counter(arg.value for op in block.ops for arg in op.args)
