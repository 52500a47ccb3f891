"""Blocking: a stretch of a block that is computed for a part of some axes at a time, so that its large arrays are never whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from codegen.passes.dead import pruned
from codegen.passes.reuse import marked
from codegen.program import Block, Loop, Op, Part, dims_used, host_values, is_temporary, makers, needed
from derive.expr import Equation, Idx, Tensor

WHOLE = ("read", "place", "matrix", "scan", "item")
"""Kinds of ops that need whole axes: what they give at one place depends on what lies at others."""

Labels = Mapping[str, Idx]
"""Op -> the index of it that runs over a part of the axis."""


def loop_of(block: Block, arrays: Mapping[str, Tensor], small: Callable[[Iterable[str]], bool], kept: tuple[str, ...] = ()) -> Loop | None:
    """The block as a loop over parts of some axes, or None where that saves nothing.

    `small` says which axes an input or output has anyway. Where a value has more, the loop holds the ops that touch such values:
    it is there to save memory. Where none has, the loop holds every op, so that what one computes is still in the cache when the
    next reads it; products of matrices would lose more by smaller blocks than they gain. An axis may be taken in parts if every
    value of the loop has it, or is summed over it and read only after the loop. The last axis stays whole: rows are contiguous.
    Nothing is written over the values `kept`.
    """
    if any(tensor.is_plain_integer for tensor in arrays.values()):
        return None  # lengths may follow from it, and those of a part would not
    loop = _Region(block, arrays, small, kept).loop()
    return loop if loop is not None and _knows_its_lengths(loop) else None


def _knows_its_lengths(loop: Loop) -> bool:
    """Whether every length of a part that the loop mentions is that of an array cut to the part."""
    given = {dim for tensor in loop.arrays if tensor.name in {part.name for part in loop.parts} for dim in tensor.dims}
    return all(dim in given for dim in dims_used(loop.body.ops) if dim.endswith("_block"))


class _Region:
    def __init__(self, block: Block, arrays: Mapping[str, Tensor], small: Callable[[Iterable[str]], bool], kept: tuple[str, ...]) -> None:
        self.kept = kept
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
            return {op.out for op in self.block.ops if not self._free(op)}
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
            cheap = op.kind == "map" and is_temporary(op.out) and not self._free(op)
            if cheap and self.users.get(op.out) and all(user.out in inside for user in self.users[op.out]):
                inside.add(op.out)
        return inside

    def _free(self, op: Op) -> bool:
        """Whether an op may be written again in the loop at no cost."""
        return op.out in self.host or op.kind == "position"

    def loop(self) -> Loop | None:
        candidates = self.large or [op.out for op in self.block.ops if op.out in self.inside]
        if not candidates or any(self.made[value].kind in WHOLE for value in self.inside):
            return None
        seed = max((self.made[value] for value in candidates if value in self.inside), key=lambda op: len(op.axes))
        if len(seed.axes) < 2 or (not self.large and any(_matrices(op) for op in self.block.ops)):
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
        return self._assembled(seed, tuple(axes), tuple(found)) if found else None

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
        labels = self._follow(seed, index)
        return {out for out, label in labels.items() if label in self.made[out].over} if labels is not None else set()

    # ------------------------------------------------------------------------------------------------ one axis

    def _follow(self, seed: Op, index: Idx) -> dict[str, Idx] | None:
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
        """An op that reads, from outside, what an op with the index reads in parts: it takes the same parts."""
        places = {
            (arg.value, arg.axes.index(name))
            for out, name in labels.items()
            for arg in self.made[out].args
            if arg.value not in self.inside and name in arg.axes
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
        labels = self._follow(seed, index)
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

    # ------------------------------------------------------------------------------------------------ the loop

    def _assembled(self, seed: Op, axes: tuple[Idx, ...], found: tuple[Labels, ...]) -> Loop | None:
        inside, labels = self._finished(found)
        ops = [op for op in self.block.ops if op.out in inside]
        behind = set(inside)
        for op in self.block.ops:
            if op.out not in inside and any(arg.value in behind for arg in op.args):
                behind.add(op.out)
        before = tuple(op for op in self.block.ops if op.out not in behind)
        after = tuple(op for op in self.block.ops if op.out in behind and op.out not in inside)
        if not self.large and any(len(op.axes) >= len(seed.axes) for op in (*before, *after)):
            return None
        naming = _Naming(self.block)
        parts: dict[tuple[str, tuple[int | None, ...]], Part] = {}
        positions: dict[str, str] = {}
        body: dict[str, Op] = {}
        results = [op for op in ops if op.out in self.block.outputs or any(user.out not in inside for user in self.users.get(op.out, ()))]
        renamed = {op.out: naming.result(op, self._source(op)) for op in results}
        for op in ops:
            names = [labels[n].get(op.out) for n in range(len(axes))]
            args = []
            for arg in op.args:
                value = arg.value
                if value not in inside:
                    at = tuple(next((n for n, name in enumerate(names) if name == i), None) for i in arg.axes)
                    maker = self.made.get(value)
                    if maker is not None and self._free(maker) and not any(n is not None for n in at):
                        for free in needed(self.block.ops, (value,)):
                            body[free] = self.made[free]
                    else:
                        if (value, at) not in parts:
                            known = any(other == value for other, _ in parts)
                            parts[value, at] = Part(naming.part(value, maker, known), value, at)
                            if maker is not None and maker.kind == "position":
                                positions[parts[value, at].name] = maker.axes[0].dim
                        value = parts[value, at].name
                args.append(replace(arg, value=renamed.get(value, value)))
            part = {name: Idx(name.name, f"{axis.dim}_block") for name, axis in zip(names, axes) if name is not None}
            source = op.source or (self._source(op) if op in results else None)
            body[op.out] = _in_part(replace(op, args=tuple(args), out=renamed.get(op.out, op.out), source=source, into=""), part)
        order = {op.out: n for n, op in enumerate(self.block.ops)}
        made = tuple(body[out] for out in sorted(body, key=order.__getitem__))
        outputs = tuple(
            Part(renamed[op.out], op.out, tuple(next((n for n in range(len(axes)) if labels[n].get(op.out) == i), None) for i in op.axes))
            for op in results
        )
        names_out = tuple(part.name for part in outputs)
        block = Block(tuple(part.name for part in parts.values()), made, (*names_out, *self.kept))
        block = replace(marked(block), outputs=names_out)
        declared = self._declared(axes, parts.values(), outputs, results)
        if all(tensor.kind == "int" for tensor in declared[: len(parts)]):
            return None
        first, last = self._around(before, after, parts.values(), outputs, naming)
        return Loop(
            dims=tuple(axis.dim for axis in axes),
            indices=tuple(axis.name for axis in axes),
            width=tuple(i.dim for i in seed.axes if i not in axes),
            matrices=any(_matrices(op) for op in ops),
            large=bool(self.large),
            body=block,
            parts=tuple(replace(part, value=first.get(part.value, part.value)) for part in parts.values()),
            positions=tuple(positions.items()),
            results=outputs,
            arrays=declared,
            before=self._before(before, first, last, parts.values()),
            after=last,
        )

    def _around(
        self, before: tuple[Op, ...], after: tuple[Op, ...], parts: Iterable[Part], outputs: tuple[Part, ...], naming: _Naming
    ) -> tuple[dict[str, str], Block]:
        """Names for what the ops before the loop leave to it and to those behind, and the latter as a block."""
        made = makers(before)
        read = {part.value for part in parts} | {arg.value for op in after for arg in op.args}
        left = [op for op in before if op.out in read and not self._free(op)]
        first = {op.out: naming.left(op) for op in left if is_temporary(op.out)}
        rename = {**first, **{part.value: part.name for part in outputs}}
        free = {
            out
            for op in after
            for arg in op.args
            if arg.value in made and self._free(made[arg.value])
            for out in needed(before, (arg.value,))
        }
        ops = tuple(
            replace(op, into="", args=tuple(replace(a, value=rename.get(a.value, a.value)) for a in op.args))
            for op in self.block.ops
            if op.out in free or op in after
        )
        ends = tuple(name for name in self.block.outputs if name in {op.out for op in ops})
        given = {part.name: self.made[part.value] for part in outputs if part.value not in self.block.outputs}
        return first, marked(Block(self.block.inputs, ops, ends), given)

    def _before(self, before: tuple[Op, ...], first: Mapping[str, str], last: Block, parts: Iterable[Part]) -> Block:
        read = {part.value for part in parts} | {arg.value for op in last.ops for arg in op.args}
        ops = tuple(
            replace(
                op,
                into="",
                out=first.get(op.out, op.out),
                args=tuple(replace(a, value=first.get(a.value, a.value)) for a in op.args),
                source=op.source or (self._source(op) if op.out in first else None),
            )
            for op in before
        )
        wanted = {first.get(value, value) for value in read} | set(self.block.outputs)
        outputs = tuple(op.out for op in ops if op.out in wanted and op.kind != "position")
        return marked(pruned(Block(self.block.inputs, ops, outputs)))

    def _finished(self, found: tuple[Labels, ...]) -> tuple[set[str], list[dict[str, Idx]]]:
        """The loop with the elementwise ops that finish its results, where those are complete in every part."""
        inside = set(self.inside)
        labels = [dict(each) for each in found]
        for op in self.block.ops:
            ours = [arg for arg in op.args if arg.value in inside]
            if op.out in inside or not ours or not ours[0].axes or not (op.kind == "map" or (op.kind == "reduce" and op.fn == "sum")):
                continue
            if any(arg.value not in inside and arg.value in self.made and not self._free(self.made[arg.value]) for arg in op.args):
                continue
            if any(self.made[arg.value].kind == "reduce" and arg.value not in self.inside for arg in ours):
                continue
            names = [
                {
                    arg.axes[self.made[arg.value].axes.index(each[arg.value])] if each.get(arg.value) in self.made[arg.value].axes else None
                    for arg in ours
                }
                for each in labels
            ]
            if all(len(name) == 1 and None not in name for name in names):
                inside.add(op.out)
                for each, name in zip(labels, names):
                    (index,) = name
                    assert index is not None
                    each[op.out] = index
        return inside, labels

    def _source(self, op: Op) -> Equation | None:
        """The equation that a result completes, or serves."""
        while op.source is None:
            op = self.users[op.out][0]
        return op.source

    def _declared(self, axes: tuple[Idx, ...], parts: Iterable[Part], outputs: tuple[Part, ...], results: list[Op]) -> tuple[Tensor, ...]:
        """The parts and results as arrays, in the loop's own lengths of the axes."""
        found = []
        for part in parts:
            maker = self.made.get(part.value)
            tensor = Tensor(part.name, tuple(i.dim for i in maker.axes)) if maker is not None else self.arrays[part.value]
            kind = "int" if maker is not None and maker.kind == "position" else tensor.kind
            dims = tuple(f"{axes[n].dim}_block" if n is not None else dim for n, dim in zip(part.at, tensor.dims))
            found.append(replace(tensor, name=part.name, dims=dims, kind=kind))
        for part, op in zip(outputs, results):
            dims = tuple(f"{axes[n].dim}_block" if n is not None else i.dim for n, i in zip(part.at, op.axes))
            found.append(Tensor(part.name, dims))
        return tuple(found)


class _Naming:
    """Names for parts and results, none of which has one already."""

    def __init__(self, block: Block) -> None:
        self.taken = {*block.inputs, *(op.out for op in block.ops)}

    def part(self, value: str, maker: Op | None, known: bool) -> str:
        if maker is not None and maker.kind == "position":
            return self._free(maker.axes[0].name)
        if is_temporary(value):
            return self._free("t")
        return self._free(f"{value}_rows") if known else value

    def left(self, op: Op) -> str:
        return self._free("t")

    def result(self, op: Op, source: Equation | None) -> str:
        if not is_temporary(op.out):
            return op.out
        return self._free(f"{source.target.tensor}_sum" if source is not None else "t")

    def _free(self, name: str) -> str:
        base, n = name, 2
        while name in self.taken:
            name, n = f"{base}_{n}", n + 1
        self.taken.add(name)
        return name


def _matrices(op: Op) -> bool:
    """Whether an op is a product of matrices."""
    if op.kind != "contract" or len(op.args) != 2:
        return False
    a, b = op.args
    return min(len(a.axes), len(b.axes)) > 1 and bool(set(a.axes) - set(b.axes)) and bool(set(b.axes) - set(a.axes))


def _in_part(op: Op, part: Mapping[Idx, Idx]) -> Op:
    """The op with indices that run over a part of their axes."""

    def each(axes: tuple[Idx, ...]) -> tuple[Idx, ...]:
        return tuple(part.get(i, i) for i in axes)

    return replace(op, axes=each(op.axes), over=each(op.over), args=tuple(replace(arg, axes=each(arg.axes)) for arg in op.args))


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
