"""The loop over parts of some axes, put together: what stands before it, in it and after it, and the names of what it passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from codegen.passes.dead import pruned
from codegen.passes.reuse import marked
from codegen.program import Block, Loop, Op, Part, is_temporary, makers, needed
from derive.expr import Equation, Idx, Tensor

if TYPE_CHECKING:
    from codegen.passes.blocking import Labels, Region

PART = "_block"
"""What the name of an axis ends in where a loop takes a part of it."""


def assembled(region: Region, seed: Op, axes: tuple[Idx, ...], found: tuple[Labels, ...]) -> Loop | None:
    """The loop of a region over parts of the seed's `axes`, each of which is `found` in its ops; None where it is not worth it."""
    return _Assembly(region).loop(seed, axes, found)


class _Assembly:
    def __init__(self, region: Region) -> None:
        self.region = region
        self.block, self.made, self.users, self.arrays = region.block, region.made, region.users, region.arrays

    def loop(self, seed: Op, axes: tuple[Idx, ...], found: tuple[Labels, ...]) -> Loop | None:
        inside, labels = self._finished(found)
        ops = [op for op in self.block.ops if op.out in inside]
        behind = set(inside)
        for op in self.block.ops:
            if op.out not in inside and any(arg.value in behind for arg in op.args):
                behind.add(op.out)
        before = tuple(op for op in self.block.ops if op.out not in behind)
        after = tuple(op for op in self.block.ops if op.out in behind and op.out not in inside)
        if not self.region.large and any(len(op.axes) >= len(seed.axes) for op in (*before, *after)):
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
                    if maker is not None and self.region.free(maker) and not any(n is not None for n in at):
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
        block = Block(tuple(part.name for part in parts.values()), made, (*names_out, *self.region.kept))
        block = replace(marked(block, apart=True), outputs=names_out)
        declared = self._declared(axes, parts.values(), outputs, results)
        if all(tensor.kind == "int" for tensor in declared[: len(parts)]):
            return None
        first, last = self._around(before, after, parts.values(), outputs, naming)
        return Loop(
            dims=tuple(axis.dim for axis in axes),
            indices=tuple(axis.name for axis in axes),
            width=tuple(i.dim for i in seed.axes if i not in axes),
            matrices=any(is_matrices(op) for op in ops),
            large=bool(self.region.large),
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
        left = [op for op in before if op.out in read and not self.region.free(op)]
        first = {op.out: naming.left(op) for op in left if is_temporary(op.out)}
        rename = {**first, **{part.value: part.name for part in outputs}}
        free = {
            out
            for op in after
            for arg in op.args
            if arg.value in made and self.region.free(made[arg.value])
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
        inside = set(self.region.inside)
        labels = [dict(each) for each in found]
        for op in self.block.ops:
            ours = [arg for arg in op.args if arg.value in inside]
            if op.out in inside or not ours or not ours[0].axes or not (op.kind == "map" or (op.kind == "reduce" and op.fn == "sum")):
                continue
            if any(arg.value not in inside and arg.value in self.made and not self.region.free(self.made[arg.value]) for arg in op.args):
                continue
            if any(self.made[arg.value].kind == "reduce" and arg.value not in self.region.inside for arg in ours):
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


def is_matrices(op: Op) -> bool:
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
