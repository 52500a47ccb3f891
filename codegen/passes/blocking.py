"""Blocking: which stretch of a block is computed for a part of some axes at a time, so that its large arrays are never whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from codegen.passes.assembling import PART, SEEN, assembled, is_matrices
from codegen.program import Block, Loop, Op, dims_used, host_values, is_temporary, makers, needed
from derive.expr import Idx, Tensor

WHOLE = ("read", "place", "matrix", "scan", "item")
"""Kinds of ops that need whole axes: what they give at one place depends on what lies at others."""

Labels = Mapping[str, Idx]
"""Op -> the index of it that runs over a part of the axis."""


def loop_of(
    block: Block,
    arrays: Mapping[str, Tensor],
    small: Callable[[Iterable[str]], bool],
    kept: tuple[str, ...] = (),
    missing: tuple[str, ...] = (),
    without: Collection[str] = (),
) -> Loop | None:
    """The block as a loop over parts of some axes, or None where that saves nothing.

    `small` says which axes an input or output has anyway. Where a value has more, the loop holds the ops that touch such values:
    it is there to save memory. Where none has, the loop holds every op, so that what one computes is still in the cache when the
    next reads it; products of matrices would lose more by smaller blocks than they gain. An axis may be taken in parts if every
    value of the loop has it, or is summed over it and read only after the loop. The last axis stays whole: rows are contiguous.
    Nothing is written over the values `kept`; the results `missing` are those of the whole alone. `without` names
    passes that are left out.
    """
    if any(tensor.is_plain_integer for tensor in arrays.values()):
        return None  # lengths may follow from it, and those of a part would not
    loop = Region(block, arrays, small, kept, missing, without).loop()
    return loop if loop is not None and _knows_its_lengths(loop) else None


def _knows_its_lengths(loop: Loop) -> bool:
    """Whether every length of a part that the loop mentions is that of an array cut to the part."""
    given = {dim for tensor in loop.arrays if tensor.name in {part.name for part in loop.parts} for dim in tensor.dims}
    return all(dim in given for dim in dims_used(loop.body.ops) if dim.endswith((PART, SEEN)))


class Region:
    def __init__(
        self,
        block: Block,
        arrays: Mapping[str, Tensor],
        small: Callable[[Iterable[str]], bool],
        kept: tuple[str, ...],
        missing: tuple[str, ...],
        without: Collection[str] = (),
    ) -> None:
        self.kept, self.missing, self.without = kept, missing, without
        self.block = block
        self.arrays = arrays
        self.made = makers(block.ops)
        self.host = host_values(block.ops)
        self.users: dict[str, list[Op]] = {}
        for op in block.ops:
            for arg in op.args:
                self.users.setdefault(arg.value, []).append(op)
        self.large = [op.out for op in block.ops if len(op.axes) > 1 and not small(i.dim for i in op.axes)]
        self.inside = self._inside()

    def _inside(self) -> set[str]:
        """The ops of the loop."""
        large = set(self.large)
        if not large:
            return {op.out for op in self.block.ops if not self.free(op)}
        touching = {op.out for op in self.block.ops if op.out in large or any(arg.value in large for arg in op.args)}
        # What depends on the loop and is needed by it belongs to it.
        before: set[str] = set()
        for op in self.block.ops:
            if op.out in touching:
                before |= needed(self.block.ops, (op.out,))
        reached = set(touching)
        for op in self.block.ops:
            if any(arg.value in reached for arg in op.args):
                reached.add(op.out)
        inside = {op.out for op in self.block.ops if op.out in touching or (op.out in before and op.out in reached)}
        for op in reversed(self.block.ops):
            # What is written where it is used is written in the loop.
            cheap = op.kind == "map" and is_temporary(op.out) and not self.free(op)
            if cheap and self.users.get(op.out) and all(user.out in inside for user in self.users[op.out]):
                inside.add(op.out)
        return inside

    def free(self, op: Op) -> bool:
        """Whether an op may be written again in the loop at no cost."""
        return op.out in self.host or op.kind == "position"

    def loop(self) -> Loop | None:
        candidates = self.large or [op.out for op in self.block.ops if op.out in self.inside]
        if not candidates or any(self.made[value].kind in WHOLE for value in self.inside):
            return None
        seed = max((self.made[value] for value in candidates if value in self.inside), key=lambda op: len(op.axes))
        if len(seed.axes) < 2 or (not self.large and any(is_matrices(op) for op in self.block.ops)):
            return None
        if not self.large:
            self._shrink(seed)
        found: list[Labels] = []
        axes: list[Idx] = []
        for index in seed.axes[:-1]:
            labels = self._labels(seed, index)
            if labels is not None:
                found.append(labels)
                axes.append(index)
        return assembled(self, seed, tuple(axes), tuple(found)) if found else None

    def _shrink(self, seed: Op) -> None:
        """Leave to the end what is computed of sums over the first axis that is taken in parts."""
        while True:
            reduced = {out for index in seed.axes[:-1] for out in self._reduced(seed, index)}
            gone = {user.out for out in reduced for user in self.users.get(out, ()) if user.out in self.inside}
            if not gone or seed.out in gone:
                return
            for op in self.block.ops:
                if any(arg.value in gone for arg in op.args):
                    gone.add(op.out)
            self.inside -= gone

    def _reduced(self, seed: Op, index: Idx) -> set[str]:
        labels = self.follow(seed, index)
        return {out for out, label in labels.items() if label in self.made[out].over} if labels is not None else set()

    # ------------------------------------------------------------------------------------------------ one axis

    def follow(self, seed: Op, index: Idx) -> dict[str, Idx] | None:
        """What the seed's index is called in each op of the loop that has it; None where an op has it twice."""
        labels: dict[str, Idx] = {}
        pending: list[tuple[str, Idx]] = [(seed.out, index)]
        while pending or (pending := self._beside(labels)):
            out, name = pending.pop()
            if out in labels:
                if labels[out] != name:
                    return None
                continue
            labels[out] = name
            op = self.made[out]
            for arg in op.args:
                if arg.axes.count(name) > 1:
                    return None
                if arg.value in self.inside and name in arg.axes:
                    pending.append((arg.value, self.made[arg.value].axes[arg.axes.index(name)]))
            if name in op.axes:
                at = op.axes.index(name)
                for user in self.users.get(out, ()):
                    if user.out in self.inside:
                        pending += [(user.out, arg.axes[at]) for arg in user.args if arg.value == out]
        return labels

    def _beside(self, labels: Mapping[str, Idx]) -> list[tuple[str, Idx]]:
        """An op that reads, from outside, what an op with the index reads in parts: it takes the same parts. The numbers of places are
        no array that is read: two axes of one length share them."""
        positions = {op.out for op in self.block.ops if op.kind == "position"}
        places = {
            (arg.value, arg.axes.index(name))
            for out, name in labels.items()
            for arg in self.made[out].args
            if arg.value not in self.inside and name in arg.axes and arg.value not in positions
        }
        for op in self.block.ops:
            if op.out in self.inside and op.out not in labels:
                for arg in op.args:
                    for at, name in enumerate(arg.axes):
                        if (arg.value, at) in places:
                            return [(op.out, name)]
        return []

    def _labels(self, seed: Op, index: Idx) -> Labels | None:
        """The same, or None where the axis cannot be taken in parts."""
        labels = self.follow(seed, index)
        if labels is None:
            return None
        for out in sorted(self.inside):
            op = self.made[out]
            if out not in labels:
                # The same in every part: a mask may be made again, a product of matrices may not, nor may a result.
                if (
                    op.kind not in ("map", "number")
                    or out in self.block.outputs
                    or any(u.out not in self.inside for u in self.users.get(out, ()))
                ):
                    return None
                continue
            name = labels[out]
            for arg in op.args:
                if arg.value in labels and name not in arg.axes and labels[arg.value] in self.made[arg.value].axes:
                    return None
            if name in op.over:
                sums = op.kind == "contract" or (op.kind == "reduce" and op.fn == "sum")
                if not sums or any(user.out in self.inside for user in self.users.get(out, ())):
                    return None
            elif name not in op.axes:
                return None
        return labels


def within(shapes: Iterable[Iterable[str]]) -> Callable[[Iterable[str]], bool]:
    """Whether some one of the shapes has all of the axes asked for."""
    counts = [Counter(shape) for shape in shapes]

    def small(dims: Iterable[str]) -> bool:
        wanted = Counter(dims)
        return any(not wanted - count for count in counts)

    return small


def axes_of_data(shapes: Iterable[tuple[str, ...]]) -> set[str]:
    """The axes along which data comes, where others are those of weights: an array without the first axis of all is a weight."""
    every = list(shapes)
    first = next((shape[0] for shape in every if shape), None)
    weights = {dim for shape in every if first not in shape for dim in shape}
    return {dim for shape in every for dim in shape} - weights
