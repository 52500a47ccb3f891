"""What every pass shares: one rewriting applied to each block of a program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from codegen.program import BLOCKS, Block, Program


def each_block(program: Program, rewrite: Callable[[Block], Block]) -> Program:
    blocks = {name: getattr(program, name) for name in BLOCKS}
    return replace(program, **{name: rewrite(block) for name, block in blocks.items() if block is not None})
