"""Contraction order: products of more than two arrays, two at a time, in the cheapest order."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import opt_einsum

from codegen.passes.blocks import each_block
from codegen.program import Block, Op, Program, Read, host_values, is_temporary, makers, rename_read, rows_of_labels
from derive.expr import Idx

NOMINAL = 64
"""The length every axis is taken to have when orders are compared: the generated code does not know the true ones."""


def order_contractions(program: Program) -> Program:
    """Split every contraction into steps of two arrays each, in the order opt_einsum finds cheapest.

    An index summed in one argument alone is summed there first. A step that sums nothing is an elementwise product. The sum of a
    square, or of a product, that nothing else reads is a contraction as well: it needs no array of squares. Where two orders cost
    the same, the arrays with most axes meet first, and what is left is the product of a matrix and a vector.
    """
    return each_block(program, ordered)


def ordered(block: Block) -> Block:
    """One block with its contractions in steps of two arrays."""
    ops: list[Op] = []
    fresh = itertools.count(1)
    made, rows = makers(block.ops), rows_of_labels(block.ops)
    hot = {out: made[out].axes.index(made[out].args[n].axes[0]) for out, n in rows.items()}
    for op in _contracted(block):
        if op.scan is not None:
            op = replace(op, scan=replace(op.scan, body=ordered(op.scan.body)))
        ops.extend(_steps(op, fresh, hot) if op.kind == "contract" else (op,))
    return replace(block, ops=tuple(ops))


def _contracted(block: Block) -> list[Op]:
    """The ops, with sums of products as contractions."""
    uses = Counter(arg.value for op in block.ops for arg in op.args)
    made = makers(block.ops)
    host = host_values(block.ops)
    found = []
    for op in block.ops:
        inner = made.get(op.args[0].value) if op.kind == "reduce" and op.fn == "sum" else None
        if inner is not None and is_temporary(inner.out) and uses[inner.out] == 1:
            mapping = dict(zip(inner.axes, op.args[0].axes))
            args = [rename_read(arg, mapping) for arg in inner.args]
            if inner.fn == "power" and inner.number == 2 and len(inner.axes) == len(mapping) > len(op.axes):
                op = replace(op, kind="contract", fn="", args=(*args, *args))
            elif inner.fn == "mul" and len(args) == 2 and not any(arg.value in host for arg in args):
                op = replace(op, kind="contract", fn="", args=tuple(args))
        found.append(op)
    return found


def _steps(op: Op, fresh: "itertools.count[int]", hot: Mapping[str, int]) -> list[Op]:
    """The steps of one contraction. `hot` are rows with a single 1 each, and which of their axes it lies along: where the result has
    that axis they come last, and what the others make is added up at the labels, which takes no more memory than the result."""
    ops: list[Op] = []
    args: list[Read] = []
    added: list[int] = []
    over = list(op.over)
    for n, arg in enumerate(op.args):
        others = {i for m, other in enumerate(op.args) if m != n for i in other.axes}
        if arg.value in hot and len(op.args) > 1 and arg.axes[hot[arg.value]] in set(op.axes) - others:
            args.append(arg)
            added.append(len(args) - 1)
            continue
        alone = tuple(i for i in arg.axes if i in over and i not in others)
        if alone:
            over = [i for i in over if i not in alone]
            axes = tuple(i for i in arg.axes if i not in alone)
            ops.append(Op(f"%{op.out}.{next(fresh)}", "reduce", axes, (arg,), alone, "sum"))
            arg = Read(ops[-1].out, axes)
        args.append(arg)
    if added and len(args) > 2:
        rows = args.pop(added[0])
        rest = tuple(i for i in dict.fromkeys(i for arg in args for i in arg.axes) if i in (*op.axes, *rows.axes))
        inner = replace(op, out=f"%{op.out}.{next(fresh)}", axes=rest, args=tuple(args), over=(), source=None)
        ops += _steps(inner, fresh, hot)
        args = [Read(ops[-1].out, ops[-1].axes), rows]
        return [*ops, replace(_product(op.out, op.axes, args), source=op.source)]
    for positions in _path(tuple(arg.axes for arg in args), op.axes)[:-1]:
        pair = [args[p] for p in sorted(positions)]
        args = [arg for n, arg in enumerate(args) if n not in positions]
        later = {i for arg in args for i in arg.axes} | set(op.axes)
        union = tuple(dict.fromkeys(i for arg in pair for i in arg.axes))
        ops.append(_product(f"%{op.out}.{next(fresh)}", tuple(i for i in union if i in later), pair, free=True))
        args.append(Read(ops[-1].out, ops[-1].axes))
    last = _product(op.out, op.axes, args)
    ops.append(replace(last, source=op.source))
    return ops


def _product(out: str, axes: tuple[Idx, ...], args: list[Read], free: bool = False) -> Op:
    """The product of the arguments; the order of its axes is `free` where no reader of it exists yet."""
    over = tuple(dict.fromkeys(i for arg in args for i in arg.axes if i not in axes))
    if over:
        return Op(out, "contract", axes, tuple(args), over)
    for arg in args:
        # An elementwise product lies the way its widest argument does.
        if free and set(arg.axes) == set(axes):
            axes = arg.axes
            break
    return Op(out, "map", axes, tuple(args), fn="mul")


@cache
def _path(inputs: tuple[tuple[Idx, ...], ...], output: tuple[Idx, ...]) -> tuple[tuple[int, ...], ...]:
    """Which two arguments to multiply at each step; a product always goes to the end of the list."""
    if len(inputs) <= 2:
        return (tuple(range(len(inputs))),)
    if len(inputs) == 3:
        return min((((a, b), (0, 1)) for a, b in ((0, 1), (0, 2), (1, 2))), key=lambda path: _cost(inputs, output, path[0]))
    letters = {i: opt_einsum.get_symbol(n) for n, i in enumerate(dict.fromkeys(i for axes in inputs for i in axes))}
    equation = ",".join("".join(letters[i] for i in axes) for axes in inputs) + "->" + "".join(letters[i] for i in output)
    shapes = [(NOMINAL,) * len(axes) for axes in inputs]
    path, _ = opt_einsum.contract_path(equation, *shapes, shapes=True, optimize="optimal")
    return tuple(tuple(step) for step in path)


def _cost(inputs: tuple[tuple[Idx, ...], ...], output: tuple[Idx, ...], pair: tuple[int, int]) -> tuple[float, ...]:
    """What multiplying a pair of three arrays, and then the third, costs: in products, then in how they are computed."""
    (third,) = (axes for n, axes in enumerate(inputs) if n not in pair)
    left, right = (set(inputs[n]) for n in pair)
    kept = (left | right) & (set(third) | set(output))
    work = NOMINAL ** len(left | right) + NOMINAL ** len(kept | set(third))
    entries = NOMINAL ** len(kept)
    # Two arrays of the same axes are no product of matrices, nor of a matrix and a vector: such a sum goes entry by entry.
    slow = kept == set(third)
    return work, entries, slow, -len(left & right)
