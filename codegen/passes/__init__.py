"""The passes over a Program, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Collection

from codegen.passes.admitting import mask_scores
from codegen.passes.dead import remove_dead_code
from codegen.passes.order import order_contractions
from codegen.passes.recompute import block
from codegen.passes.reuse import reuse
from codegen.passes.saving import saving_nothing
from codegen.passes.scaling import divide_late, scale_small
from codegen.passes.sharing import share
from codegen.program import Program

PASSES: dict[str, Callable[[Program], Program]] = {
    "order": order_contractions,
    "sharing": share,
    "dead": remove_dead_code,
    "scaling": scale_small,
    "admitting": mask_scores,
    "reuse": reuse,
    "blocking": block,
    "division": divide_late,
}
OPTIONAL = ("saving", "sharing", "dead", "scaling", "admitting", "reuse", "blocking", "division")
"""What may be left out: the targets spell products of two arrays only, so that `order` may not. Without saving, a backward pass makes
anew what it needs; without blocking, it makes nothing anew."""


def optimize(program: Program, without: Collection[str] = ()) -> Program:
    """Every pass but those left out, once, in order."""
    if "saving" in without:
        program = saving_nothing(program)
    for name, run in PASSES.items():
        if name not in without:
            program = run(program)
    return program
