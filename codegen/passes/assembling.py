"""The loop over parts of some axes, put together: what stands before it, in it and after it, and the names of what it passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from codegen.passes.dead import pruned
from codegen.passes.masking import Sight, sight
from codegen.passes.reuse import marked, picked_first
from codegen.program import CONDITIONS, Block, Loop, Mask, Op, Part, Read, is_temporary, makers, needed
from derive.expr import Equation, Idx, Tensor

if TYPE_CHECKING:
    from codegen.passes.blocking import Labels, Region

PART, SEEN = "_block", "_seen"
"""What the name of an axis ends in where a loop takes a part of it, or the stretch that the rows of a part are let see."""
MASK = "seen"
"""The name of the condition that says what they are let see."""


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
        results = [op for op in ops if op.out in self.block.outputs or any(user.out not in inside for user in self.users.get(op.out, ()))]
        renamed = {op.out: naming.result(op, self.source(op)) for op in results}
        seen = None
        if "masking" not in self.region.without:
            seen = sight(self.region, inside, seed, axes, labels, self.region.missing)
        cut = tuple(Idx(axis.name, f"{axis.dim}{PART}") for axis in axes)
        if seen is not None:
            labels, cut = [*labels, dict(seen.labels)], (*cut, Idx(seen.index.name, f"{seen.index.dim}{SEEN}"))
        passed = _Passed(self, inside, labels, cut, naming, renamed)
        made = passed.ops(op for op in ops if seen is None or op.out not in seen.gone)
        parts = passed.parts
        mask = self._mask(seen, inside, labels[: len(axes)], cut, naming) if seen is not None else None
        outputs = tuple(
            Part(renamed[op.out], op.out, tuple(next((n for n in range(len(cut)) if labels[n].get(op.out) == i), None) for i in op.axes))
            for op in results
        )
        names_out = tuple(part.name for part in outputs)
        block = Block(tuple(part.name for part in parts.values()), made, (*names_out, *self.region.kept))
        block = replace(marked(picked_first(block), apart=True), outputs=names_out)
        declared = self._declared(cut, parts.values(), outputs, results)
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
            positions=tuple(passed.positions.items()),
            results=outputs,
            arrays=declared,
            before=self._before(before, first, last, parts.values()),
            after=last,
            mask=mask,
        )

    def _mask(self, seen: Sight, inside: set[str], labels: list[dict[str, Idx]], cut: tuple[Idx, ...], naming: _Naming) -> Mask:
        """The condition as a function of its own."""
        passed = _Passed(self, inside, labels, cut, naming, {})
        wanted = needed(self.block.ops, (seen.mask.out,))
        ops = passed.ops(op for op in self.block.ops if op.out in wanted and op.out in inside)
        result = Part(
            MASK,
            seen.mask.out,
            tuple(next((n for n, each in enumerate(labels) if each.get(seen.mask.out) == i), None) for i in seen.mask.axes),
        )
        ops = tuple(replace(op, out=MASK, source=self.source(op)) if op.out == seen.mask.out else op for op in ops)
        parts = tuple(passed.parts.values())
        return Mask(
            seen.index.name,
            seen.index.dim,
            Block(tuple(part.name for part in parts), ops, (MASK,)),
            parts,
            tuple(passed.positions.items()),
            self._declared(cut, parts, (result,), [seen.mask]),
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
                source=op.source or (self.source(op) if op.out in first else None),
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

    def source(self, op: Op) -> Equation | None:
        """The equation that a result completes, or serves."""
        while op.source is None:
            op = self.users[op.out][0]
        return op.source

    def _declared(self, cut: tuple[Idx, ...], parts: Iterable[Part], outputs: tuple[Part, ...], results: list[Op]) -> tuple[Tensor, ...]:
        """The parts and results as arrays, in the loop's own lengths of the axes."""
        found = []
        for part in parts:
            maker = self.made.get(part.value)
            tensor = Tensor(part.name, tuple(i.dim for i in maker.axes)) if maker is not None else self.arrays[part.value]
            kind = "int" if maker is not None and (maker.kind == "position" or maker.fn in CONDITIONS) else tensor.kind
            dims = tuple(cut[n].dim if n is not None else dim for n, dim in zip(part.at, tensor.dims))
            found.append(replace(tensor, name=part.name, dims=dims, kind=kind))
        for part, op in zip(outputs, results):
            dims = tuple(cut[n].dim if n is not None else i.dim for n, i in zip(part.at, op.axes))
            found.append(Tensor(part.name, dims))
        return tuple(found)


class _Passed:
    """The ops of a function for one part, and what it is passed."""

    def __init__(
        self,
        assembly: _Assembly,
        inside: set[str],
        labels: Sequence[Labels],
        cut: tuple[Idx, ...],
        naming: _Naming,
        renamed: Mapping[str, str],
    ) -> None:
        self.assembly, self.inside, self.labels, self.cut = assembly, inside, labels, cut
        self.naming, self.renamed = naming, renamed
        self.parts: dict[tuple[str, tuple[int | None, ...]], Part] = {}
        self.positions: dict[str, str] = {}
        self.made: dict[str, Op] = {}

    def ops(self, chosen: Iterable[Op]) -> tuple[Op, ...]:
        """The chosen ops over parts of the axes."""
        assembly, listed = self.assembly, list(chosen)
        ours = {op.out for op in listed}
        for op in listed:
            names = [each.get(op.out) for each in self.labels]
            args = [self._read(arg, names) if arg.value not in ours else arg for arg in op.args]
            part = {name: index for name, index in zip(names, self.cut) if name is not None}
            source = op.source or (assembly.source(op) if op.out in self.renamed else None)
            args = [replace(arg, value=self.renamed.get(arg.value, arg.value)) for arg in args]
            out = self.renamed.get(op.out, op.out)
            self.made[op.out] = _in_part(replace(op, args=tuple(args), out=out, source=source, into=""), part)
        order = {op.out: n for n, op in enumerate(assembly.block.ops)}
        return tuple(self.made[out] for out in sorted(self.made, key=order.__getitem__))

    def _read(self, arg: Read, names: Sequence[Idx | None]) -> Read:
        """A value from outside: made again where that costs nothing, or passed."""
        block, maker = self.assembly.block, self.assembly.made.get(arg.value)
        at = tuple(next((n for n, name in enumerate(names) if name == i), None) for i in arg.axes)
        if maker is not None and self.assembly.region.free(maker) and not any(n is not None for n in at):
            for free in needed(block.ops, (arg.value,)):
                self.made[free] = self.assembly.made[free]
            return arg
        key = arg.value, at
        if key not in self.parts:
            known = any(other == arg.value for other, _ in self.parts)
            self.parts[key] = Part(self.naming.part(arg.value, maker, known), arg.value, at)
            if maker is not None and maker.kind == "position":
                self.positions[self.parts[key].name] = maker.axes[0].dim
        return replace(arg, value=self.parts[key].name)


class _Naming:
    """Names for parts and results, none of which has one already."""

    def __init__(self, block: Block) -> None:
        self.taken = {*block.inputs, *(op.out for op in block.ops)}

    def part(self, value: str, maker: Op | None, known: bool) -> str:
        if maker is not None and maker.kind == "position":
            return self._free(maker.axes[0].name)
        if maker is not None and maker.fn in CONDITIONS:
            return MASK
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
