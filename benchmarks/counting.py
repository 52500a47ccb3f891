"""How much work a row is, counted from its program: products of matrices in FLOP, and the bytes that no way to compute it can spare."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

from benchmarks.rows import Row
from codegen.program import Block, Program
from codegen.source import program_of
from derive.engine import derive
from derive.layers import layer as layer_named


@dataclass(frozen=True)
class Work:
    """FLOP of the contractions of one forward and backward pass, and bytes of float32 that each reads and writes at the least."""

    flop: float
    bytes: float


@cache
def program(layer: str) -> Program:
    return program_of(derive(layer_named(layer)))


def work(row: Row) -> Work:
    """A contraction is a multiplication and an addition for each entry of its indices. What an index condition leaves out is not
    known before it is evaluated: a causal mask is counted as half. Of bytes, inputs, outputs and gradients count once, and what the
    backward pass reads of inputs and outputs once more, unless the gradient is made in the forward pass."""
    found = program(row.layer)
    lengths = {dim: length for name, shape in row.shapes.items() for dim, length in zip(found.array(name).dims, shape)}
    flop = _flop(found.forward, lengths) + _flop(found.backward, lengths)
    loop = found.loop("forward") or found.loop("both")
    if loop is not None and loop.mask is not None:
        flop /= 2
    size = {array.name: math.prod(lengths.get(dim, 1) for dim in array.dims) for array in found.arrays}
    once = [*found.inputs, *found.outputs, *found.gradients]
    again = [] if found.loop("both") else [name for name in (*found.saved, *found.upstream) if name in (*found.inputs, *found.outputs)]
    upstream = [name for name in found.upstream if size.get(name, 1) > 1]
    return Work(flop, 4.0 * sum(size.get(name, 0) for name in (*once, *again, *upstream)))


def _flop(block: Block, lengths: dict[str, int]) -> float:
    total = 0.0
    for op in block.ops:
        if op.kind == "contract":
            indices = {index for arg in op.args for index in arg.axes}
            total += 2.0 * math.prod(lengths.get(index.dim, 1) for index in sorted(indices, key=str))
    return total
