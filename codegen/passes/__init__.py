"""The passes over a Program, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable

from codegen.passes.dead import remove_dead_code
from codegen.passes.order import order_contractions
from codegen.passes.recompute import block
from codegen.passes.reuse import reuse
from codegen.passes.sharing import share
from codegen.program import Program

PASSES: tuple[Callable[[Program], Program], ...] = (order_contractions, share, remove_dead_code, reuse, block)


def optimize(program: Program) -> Program:
    """Every pass, once, in order."""
    for run in PASSES:
        program = run(program)
    return program
