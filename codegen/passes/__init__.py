"""The passes over a Program, in the order in which they run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from codegen.passes.admitting import mask_scores
from codegen.passes.dead import remove_dead_code
from codegen.passes.order import order_contractions
from codegen.passes.recompute import block
from codegen.passes.reuse import reuse
from codegen.passes.saving import rematerialize, saving_nothing
from codegen.passes.scaling import divide_late, scale_small
from codegen.passes.sharing import share
from codegen.program import Program
from derive.errors import SpecError, listing

PASSES: dict[str, Callable[[Program], Program]] = {
    "order": order_contractions,
    "sharing": share,
    "dead": remove_dead_code,
    "scaling": scale_small,
    "admitting": mask_scores,
    "reuse": reuse,
    "rematerialization": rematerialize,
    "blocking": block,
    "division": divide_late,
}
WITHIN = ("logarithm", "masking", "early", "layout", "bits", "inplace", "memory", "threads", "fused", "onednn")
"""Passes that run where their subject is at hand: where loops are found (`logarithm.logarithmic`, `masking.sight`,
`recompute.on_the_spot`), where they are fitted to a target (`layout.laid`, `bits.exponentials_of_two`, `fused.fused`), and where
statements are written (`inplace.Unfolding`, `memory.Memory`, `looped.Looped`, `torch.producing`)."""
OPTIONAL = ("saving", *(name for name in PASSES if name != "order"), *WITHIN)
"""What may be left out: the targets spell products of two arrays only, so that `order` may not. Without saving, a backward pass makes
anew what it needs; without blocking, it makes nothing anew, and there is nothing to mask, to make early or to give memory."""


def optimize(program: Program, without: Collection[str] = ()) -> Program:
    """Every pass but those left out, once, in order. Raises SpecError for a name that is none of `OPTIONAL`."""
    known(without)
    program = replace(program, without=tuple(name for name in OPTIONAL if name in without))
    if "saving" in without:
        program = saving_nothing(program)
    for name, run in PASSES.items():
        if name not in without:
            program = run(program)
    return program


def known(without: Collection[str]) -> None:
    """Raise SpecError for a name of no pass that may be left out."""
    for name in without:
        if name not in OPTIONAL:
            raise SpecError(f"there is no pass {name!r} to leave out; choose {listing(OPTIONAL)}")
