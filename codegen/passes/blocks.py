"""What every pass shares: one rewriting applied to each block of a program."""

from __future__ import annotations

from collections.abc import Callable

from codegen.program import BLOCKS, Block, Program, with_block


def each_block(program: Program, rewrite: Callable[[Block], Block]) -> Program:
    for name in BLOCKS:
        block = getattr(program, name)
        if block is not None:
            program = with_block(program, name, rewrite(block))
    return program
