"""Conditions that shorten a part: a loop over some axes reads along another only what one of the part's rows is let see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from codegen.program import CONDITIONS, Op, Read, needed
from derive.exponentials import LOWEST
from derive.expr import Idx

if TYPE_CHECKING:
    from codegen.passes.blocking import Labels, Region


@dataclass(frozen=True)
class Sight:
    """The condition `mask`, an op of the loop over its parts and one more axis, which each op that has it calls as in `labels`.

    Wherever the condition fails for all rows of a part, nothing that the loop computes there reaches a result: it is multiplied by 0,
    or stands in a maximum as a number below all others. `gone` are the ops that only the condition needs.
    """

    mask: Op
    labels: Labels
    index: Idx
    gone: frozenset[str]


def sight(region: Region, inside: set[str], seed: Op, axes: Sequence[Idx], found: Sequence[Labels], missing: Sequence[str]) -> Sight | None:
    """The condition by which the parts of a loop may be shortened along the seed's last axis, if there is one.

    A part then reads and computes what one of its rows is let see, and nothing else: half of causal attention, a band of one with a window.
    What is left out is 0 wherever it is used, or below a maximum, which is shown op by op. `found` are the names of the parts' axes in each
    op, and `missing` the results that the loop does not keep.
    """
    index = seed.axes[-1]
    labels = region.follow(seed, index)
    if index in axes or labels is None:
        return None
    for op in region.block.ops:
        name = labels.get(op.out)
        if op.out not in inside or op.fn not in CONDITIONS or name is None or op.axes.count(name) != 1:
            continue
        rows = {each[op.out] for each in found if op.out in each}
        if not rows or set(op.axes) != rows | {name} or any(user.fn in CONDITIONS for user in region.users.get(op.out, ())):
            continue
        made = [region.made[value] for value in needed(region.block.ops, (op.out,)) if value in region.made]
        if any(each.kind not in ("map", "number", "size", "position") or each.fn == "where" for each in made):
            continue
        if any(labels.get(each.out) in arg.axes for each in made for arg in each.args if arg.value not in region.made and arg.axes):
            continue
        if _Vanishing(region, inside, op, labels, found).everywhere(missing):
            return Sight(op, labels, index, _only_for(region, inside, op))
    return None


def _only_for(region: Region, inside: set[str], mask: Op) -> frozenset[str]:
    """The ops of the loop whose readers are all among those of the condition."""
    gone = {mask.out}
    for op in reversed(region.block.ops):
        users = region.users.get(op.out, ())
        if op.out in inside and users and all(user.out in gone for user in users):
            gone.add(op.out)
    return frozenset(gone)


@dataclass(frozen=True)
class _Vanishing:
    """Which values are 0 wherever the condition fails."""

    region: Region
    inside: set[str]
    mask: Op
    labels: Mapping[str, Idx]
    found: Sequence[Labels]

    def everywhere(self, missing: Sequence[str]) -> bool:
        """Whether nothing outside of what is seen reaches a value without the axis, or a result."""
        for out in self.inside:
            op, name = self.region.made[out], self.labels.get(out)
            if name is None or op.fn in CONDITIONS:
                continue
            if name in op.over and not self._ends(op):
                return False
            if name in op.axes:
                users = self.region.users.get(out, ())
                result = out in self.region.block.outputs or any(user.out not in self.inside for user in users)
                if result and out not in missing and not (self._summed(op) and self._vanishes(op)):
                    return False
                if not result and self._summed(op):
                    return False
        return True

    def _summed(self, op: Op) -> bool:
        """Whether an op sums over some axis of the parts."""
        return any(each.get(op.out) in op.over for each in self.found)

    def _ends(self, op: Op) -> bool:
        """Whether an op that uses up the axis is the same without what is not seen."""
        if op.kind == "reduce" and op.fn == "max":
            return self._lowest(op.args[0])
        return self._vanishes(op)

    def _lowest(self, read: Read) -> bool:
        """Whether an array is LOWEST, which stands for minus infinity, wherever the condition fails."""
        op = self.region.made.get(read.value)
        if op is None or not self._masked(op) or len(op.args) != 3:
            return False
        other = self.region.made.get(op.args[2].value)
        return other is not None and other.kind == "number" and other.number is not None and other.number <= LOWEST.value

    def _masked(self, op: Op) -> bool:
        """Whether an op chooses by the condition, each entry by its own."""
        if op.fn != "where" or op.args[0].value != self.mask.out:
            return False
        mine = {self.labels.get(op.out), *(each.get(op.out) for each in self.found)}
        return set(op.args[0].axes) <= mine and self._aligned(op.args[0], op)

    def _aligned(self, read: Read, op: Op) -> bool:
        names = dict(zip(self.mask.axes, read.axes))
        pairs = [self.labels, *self.found]
        return all(names[each[self.mask.out]] == each.get(op.out) for each in pairs if self.mask.out in each)

    def _vanishes(self, op: Op) -> bool:
        if op.kind == "map" and op.fn == "where":
            return (self._masked(op) and len(op.args) == 2) or self._any(op.args[1:2], op)
        if op.kind == "contract" or (op.kind == "map" and op.fn == "mul"):
            return self._any(op.args, op)
        if op.fn == "exp":
            difference = self.region.made.get(op.args[0].value)
            return difference is not None and difference.fn == "add" and any(self._lowest(arg) for arg in difference.args)
        if op.kind == "map" and op.fn == "add":
            return all(self._any([arg], op) for arg in op.args)
        return op.kind == "reduce" and op.fn == "sum" and self._any(op.args, op)

    def _any(self, args: Sequence[Read], op: Op) -> bool:
        return any(arg.value in self.inside and arg.value in self.labels and self._vanishes(self.region.made[arg.value]) for arg in args)
