"""A loop over parts of some axes as source text: the function that computes one part, and the lines that call it for each."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cached_property

from codegen.passes.assembling import MASK, is_matrices
from codegen.program import Block, Loop, Part, Program, needed
from codegen.targets.memory import Memory
from codegen.targets.parts import Parts, dims_of, indented, unpacked, used
from codegen.targets.text import Spelling, tuple_of
from derive.errors import listing
from derive.expr import Idx, Tensor

_FILLED = re.compile(rf"(_fill\(\w+, {MASK}, [^()]+)\)")
"""A number written into an array wherever its rows are not let see."""
LEAST_ROWS = 256
"""Products of matrices with fewer rows than this run below their speed."""


@dataclass(frozen=True)
class Looped:
    """One loop of a program, as `parts` spells it; `name` is that of the function for one part."""

    parts: Parts
    loop: Loop
    name: str
    spelling: Spelling
    """How the function for one part is spelt: in place."""
    dropped: tuple[str, ...] = ()
    """Arrays made anew in each part unless they were saved."""
    missing: tuple[str, ...] = ()
    """Results that are kept only where the whole is computed at once."""
    together: str = ""
    """How the loop is called where parts that share no result may be computed at the same time: `run`, the parts, how many of their
    slices tell such parts apart, and an array."""

    # ------------------------------------------------------------------------------------------------ one part

    @cached_property
    def inner(self) -> Parts:
        """The names inside the function."""
        return self._within(self.loop.body, self.loop.arrays)

    def _within(self, block: Block, own: tuple[Tensor, ...]) -> Parts:
        """The names inside a function that computes a block of arrays of its own."""
        program, known = self.parts.program, {tensor.name for tensor in own}
        arrays = (*own, *(a for a in program.arrays if a.name not in known))
        body: Program = replace(
            program, arrays=arrays, forward=block, backward=block, tangent=block, second=None, second_tangent=None, loops=()
        )
        reserved = (*self.parts.reserved, "unseen", "work", *(f"space_{n}" for n in range(1, 10)))
        return Parts(self.parts.derivation, replace(body, recompute=None), self.spelling, reserved)

    @property
    def lengths(self) -> tuple[str, ...]:
        """Axes whose whole length one part cannot read off its arguments."""
        return self.inner.missing(dims_of(self.loop.body), self.loop.body.inputs)

    @cached_property
    def code(self) -> tuple[list[str], Memory]:
        """The statements of one part, and the memory that they are given."""
        body, names, memory = self.loop.body, self.inner.names, self._memory()
        if not self.dropped:
            late = self._late
            if not late:
                return self.inner.code(body, memory=memory), memory
            lines = self.inner.code(body, lambda wanted: "work is None" if set(wanted) <= set(late) else None, memory)
            return [f"{' = '.join(names[n] for n in late)} = None", *lines], memory
        again = needed(body.ops, self.dropped)
        first = Block(body.inputs, tuple(op for op in body.ops if op.out in again), self.dropped)
        rest = Block((*body.inputs, *self.dropped), tuple(op for op in body.ops if op.out not in again), body.outputs)
        lines = [f"if {names[self.dropped[0]]} is None:"]
        lines += [f"    {line}" for line in self.inner.code(first, memory=memory)]
        return lines + self.inner.code(self._with_numbers(rest), memory=memory), memory

    @property
    def _late(self) -> tuple[str, ...]:
        """Results that only calls for the whole keep, and that nothing else is made of: a call for a part, which is given memory
        to work in, makes none of them."""
        kept = [name for name in self.loop.body.outputs if name not in self.missing]
        live = needed(self.loop.body.ops, kept)
        return tuple(name for name in self.missing if name in self.loop.body.outputs and name not in live) if self.loop.matrices else ()

    @property
    def _works(self) -> bool:
        """Whether a part is given memory to work in."""
        return bool(self.code[1].spaces or self._late)

    @property
    def _fills(self) -> bool:
        """Whether a part writes a number wherever its rows are not let see: many parts share what is hidden from them."""
        return self._rows_of_mask is not None and any(_FILLED.search(line) for line in self.code[0])

    def _memory(self) -> Memory:
        """The memory that the function for one part is given: nothing lies in it yet."""
        if "memory" in self.parts.program.without:
            return Memory(lambda _: None, {})
        results = {part.name: self.inner.names[part.name] for part in self.loop.results if self._cut(part)}
        inputs = self.loop.body.inputs

        def shape(axes: tuple[Idx, ...]) -> str | None:
            known = all(self.inner.holder(i.dim, inputs) is not None for i in axes)
            return tuple_of([self.inner.sizes[i.dim] for i in axes]) if known else None

        whole = {
            part.name: self.inner.names[part.name] for part in self.loop.results if not self._cut(part) and part.name not in self.missing
        }
        return Memory(shape, results, whole if self.loop.matrices else {})

    def function(self, annotation: str, returns: str) -> list[str]:
        """The function's source: every argument and result of one part, or of everything at once."""
        body, names, (code, memory) = self.loop.body, self.inner.names, self.code
        parameters = [f"{names[n]}: {annotation}" for n in body.inputs] + [f"{names[n]}: {annotation} | None" for n in self.dropped]
        parameters += [f"{self.inner.sizes[dim]}: int" for dim in self.lengths]
        given = (*memory.added, *memory.offered, *(["unseen"] if self._fills else []), *(["work"] if self._works else []))
        parameters += [f"{name}: Any = None" for name in given]
        lines = self.inner.lengths((*dims_of(body), *self._shaped(memory)), body.inputs)
        if memory.spaces:
            spaces = unpacked(list(memory.spaces))
            lines.append(f"{spaces} = _spaces(work, {self.inner.like(body.inputs)}, {', '.join(memory.spaces.values())})")
        code = [_FILLED.sub(r"\1, unseen)", line) for line in code] if self._fills else code
        lines += [*code, f"return {', '.join(names[n] for n in body.outputs)}"]
        what = " and ".join(self.loop.dims)
        doc = f'"""One part along {what}, or the whole: {", ".join(names[n] for n in body.outputs)}."""'
        signature = f"def {self.name}({', '.join(parameters)}) -> {returns}:"
        return ["", "", signature, f"    {doc}", *indented(used(lines)), *self._sight(annotation, returns)]

    def _sight(self, annotation: str, returns: str) -> list[str]:
        """The function that says what the rows of a part are let see, if anything does."""
        mask = self.loop.mask
        if mask is None:
            return []
        inner = self._within(mask.block, mask.arrays)
        parameters = [f"{inner.names[n]}: {annotation}" for n in mask.block.inputs]
        parameters += [f"{inner.sizes[dim]}: int" for dim in inner.missing(dims_of(mask.block), mask.block.inputs)]
        lines = [*inner.lengths(dims_of(mask.block), mask.block.inputs), *inner.code(mask.block), f"return {inner.names[MASK]}"]
        doc = f'"""Which entries along {mask.dim} count, for a part of the rows."""'
        lines = [line for line in used(lines) if not line.startswith("#")]
        return ["", "", f"def {self._seen}({', '.join(parameters)}) -> {returns}:", f"    {doc}", *indented(lines)]

    @property
    def _seen(self) -> str:
        return f"{self.name.removesuffix('_part').removesuffix('_parts')}_{MASK}"

    def _seen_call(self, cut: bool, like: str = "") -> str:
        """The call of that function, for a part or for the whole; `like` is an array that is at hand."""
        mask = self.loop.mask
        assert mask is not None
        missing = self._within(mask.block, mask.arrays).missing(dims_of(mask.block), mask.block.inputs)
        arguments = [*(self._argument(part, cut, like) for part in mask.parts), *(self.parts.sizes[dim] for dim in missing)]
        return f"{self._seen}({', '.join(arguments)})"

    @property
    def _span(self) -> str:
        """The stretch of its axis that the condition leaves."""
        part = next((part for part in self.loop.parts if part.name == MASK), None)
        at = [n is not None and n >= len(self.loop.dims) for n in part.at] if part is not None else [True]
        return f"_span({MASK})" if at[-1] else f"_span({MASK}, {at.index(True) - len(at)})"

    def _shaped(self, memory: Memory) -> list[str]:
        """The axes of the shared memory."""
        dims = [dim for tensor in self.loop.arrays for dim in tensor.dims]
        text = " ".join(memory.spaces.values())
        return [dim for dim in dims if re.search(rf"\b{self.inner.sizes[dim]}\b", text)]

    def _with_numbers(self, block: Block) -> Block:
        """The block with the plain numbers that it shares with what stands before it."""
        made = {op.out for op in block.ops}
        wanted = {arg.value for op in block.ops for arg in op.args} - made - set(block.inputs)
        shared = [op for op in self.loop.body.ops if op.out in needed(self.loop.body.ops, wanted)]
        return replace(block, ops=(*shared, *block.ops))

    # ------------------------------------------------------------------------------------------------ every part

    @cached_property
    def slices(self) -> list[str]:
        """The names of the loop's slices: its indices."""
        taken = {*self.parts.names.values(), *self.parts.sizes.values()}
        indices = (*self.loop.indices, *([self.loop.mask.index] if self.loop.mask is not None else []))
        return [name if name not in taken else f"{name}_part" for name in indices]

    def whole(self) -> list[str]:
        """The call for everything at once."""
        arguments = [*(self._argument(part, False) for part in self.loop.parts), *(self.parts.names[n] for n in self.dropped)]
        arguments += [self.parts.sizes[dim] for dim in self.lengths]
        return [f"{', '.join(self.parts.names[part.name] for part in self.loop.results)} = {self.name}({', '.join(arguments)})"]

    def each(self, like: str, empty: str, zeros: str) -> list[str]:
        """Results that are filled, or summed, part by part; those that are `missing` are not kept."""
        loop, names, sizes, memory = self.loop, self.parts.names, self.parts.sizes, self.code[1]
        lines = [self._about, *(f"{names[n]} = None" for n in self.missing)]
        targets: list[str] = []
        sums: list[str] = []
        own: dict[str, str] = {}
        given: list[str] = []
        declared = {tensor.name: tensor for tensor in loop.arrays}
        for part in loop.results:
            name = names[part.name]
            dims = [self._dim(part, n, dim) for n, dim in enumerate(declared[part.name].dims)]
            shape = tuple_of([sizes[dim] for dim in dims]) if dims else "()"
            if part.name in self.missing:
                targets.append("_")
            elif not self._cut(part):
                made = f"{name} = {zeros.format(shape, like)}"
                if self._apart and not loop.matrices:
                    own[name] = made
                else:
                    lines.append(made)
                at = self._at(part)
                if self.inner.names[part.name] in memory.added:
                    given.append(f"{self.inner.names[part.name]}={name}{at}")
                    targets.append("_")
                else:
                    targets.append(f"{name}_part")
                    sums.append(f"{name}{at} += {name}_part")
            else:
                lines.append(f"{name} = {empty.format(shape, like)}")
                targets.append("_" if part.name in memory.filled else f"{name}{self._at(part)}")
            if self.inner.names[part.name] in memory.offered:
                given.append(f"{self.inner.names[part.name]}={name}{self._at(part)}")
        if self._single:
            arguments = [self._argument(part, False, like) for part in loop.parts]
            return [*lines, f"{self.name}({', '.join([*arguments, *(text.replace(self._at(loop.results[0]), '') for text in given)])})"]
        least = self._least()
        width = " * ".join(sizes[dim] for dim in loop.width)
        cuts = f"_parts({tuple_of([sizes[dim] for dim in loop.dims])}, {width}, {like}, {least})"
        indices = unpacked(self.slices[: len(loop.dims)])
        arguments = [*(self._argument(part, True, like) for part in loop.parts), *("None" for _ in self.dropped)]
        arguments += [sizes[dim] for dim in self.lengths]
        sees = [f"{MASK} = {self._seen_call(True, like)}", f"{self.slices[-1]} = {self._span}"] if loop.mask is not None else []
        if self._fills:
            cut = next(self._argument(part, True, like) for part in loop.parts if part.name == MASK)
            arguments = [MASK if argument == cut else argument for argument in arguments]
            unseen = "unseen" if "unseen" not in {*names.values(), *sizes.values()} else "unseen_part"
            sees += [f"{MASK} = {cut}", f"{unseen} = _unseen({MASK})"]
            given.append(f"unseen={unseen}")
        if self._works:
            given.append("work=work")
        call = f"{self.name}({', '.join([*arguments, *given])})"
        body = [call if all(target == "_" for target in targets) else f"{', '.join(targets)} = {call}", *sums]
        rows = self._rows_of_mask
        if loop.mask is not None:
            body = [f"if {rows[1]} != done:", *indented([*sees, f"done = {rows[1]}"]), *body] if rows else [*sees, *body]
        work = ["work: dict[int, Any] = {}"] if self._works else []
        if not self._apart:
            return [*lines, *work, *self._in_order(indices, cuts, body)]
        run = [*own.values(), *work, *self._in_order(indices, "parts", body), f"return {unpacked(list(own)) if own else '()'}"]
        together = self.together.format("run", cuts, self._apart, like)
        result = f"{unpacked(list(own))} = {together}" if own else together
        return [*lines, "", "def run(parts: Any) -> Any:", *indented(run), "", result]

    def _least(self) -> int:
        """The fewest rows of a part: enough for the products of matrices, where those are of its largest arrays."""
        rank = len(self.loop.dims) + len(self.loop.width)
        products = [op for op in self.loop.body.ops if is_matrices(op)]
        if not any(len(axes) == rank for op in products for axes in (op.axes, *(arg.axes for arg in op.args))):
            return 1
        # A sum over all parts of a whole array is read and written once a part.
        whole = any(part.at and not any(n is not None for n in part.at) for part in self.loop.results)
        return 4 * LEAST_ROWS if whole else LEAST_ROWS

    @cached_property
    def _rows_of_mask(self) -> tuple[str, str] | None:
        """What a part's mask depends on, as a key of the part and as the slices themselves, where that is not all of them."""
        if self.loop.mask is None:
            return None
        count = len(self.loop.dims)
        at = sorted({n for part in self.loop.mask.parts for n in part.at if n is not None and n < count})
        if len(at) == count or not at:
            return None
        keys, rows = [f"part[{n}].start" for n in at], [self.slices[n] for n in at]
        return (keys[0], rows[0]) if len(at) == 1 else (tuple_of(keys), tuple_of(rows))

    def _in_order(self, indices: str, parts: str, body: list[str]) -> list[str]:
        """The loop itself; parts with the same mask one after the other, so that it is made once for them, and the last rows first:
        those of a causal mask see most, and what they work in is large enough for all others."""
        if self._rows_of_mask is None:
            return [f"for {indices} in {parts}:", *indented(body)]
        ordered = f"sorted({parts}, key=lambda part: {self._rows_of_mask[0]}, reverse=True)"
        return ["done: Any = None", f"for {indices} in {ordered}:", *indented(body)]

    @cached_property
    def _apart(self) -> int:
        """Parts that differ in so many of the loop's first axes may be computed at the same time; 0 where none may.

        Sums over elementwise parts are small, and each thread may have its own; those of products of matrices may be large, and
        BLAS has threads of its own for such a product.
        """
        count = len(self.loop.dims)
        if not self.together or "threads" in self.parts.program.without:
            return 0
        if not self.loop.matrices:
            return count
        kept = [part for part in self.loop.results if part.name not in self.missing]
        return next((n for n in range(count) if not all(n in part.at for part in kept)), count)

    @property
    def _single(self) -> bool:
        """Whether a part is what one operator of the target makes of it: then the whole is, too, and the operator sees to the cache."""
        ops = self.loop.body.ops
        return len(ops) == 1 and ops[0].fn in self.spelling.fused and ops[0].out in self.code[1].filled

    @property
    def _about(self) -> str:
        """The comment over the loop: what the parts are, and what for."""
        if self._single:
            return "# In one go, in new memory that is touched faster than torch's own."
        gone = self.parts.program.dropped
        what = f"{listing(self.parts.names[n] for n in gone)} {'is' if len(gone) == 1 else 'are'} never whole"
        return f"# In parts of {listing(self.loop.dims)}: {what if gone else 'each stays in the cache'}."

    def dims(self) -> list[str]:
        """The axes whose lengths the calls mention."""
        found = [*self.loop.dims, *self.loop.width, *self.lengths]
        declared = {tensor.name: tensor for tensor in self.loop.arrays}
        for part in self.loop.results:
            found += [self._dim(part, n, dim) for n, dim in enumerate(declared[part.name].dims)]
        mask = self.loop.mask
        if mask is not None:
            found += [mask.dim, *(dim for _, dim in mask.positions)]
        return [*found, *(dim for _, dim in self.loop.positions)]

    def entries(self) -> str:
        """The number of entries of the largest array."""
        return " * ".join(self.parts.sizes[dim] for dim in (*self.loop.dims, *self.loop.width))

    def _dim(self, part: Part, n: int, dim: str) -> str:
        at = part.at[n]
        if at is None:
            return dim
        return self.loop.dims[at] if at < len(self.loop.dims) or self.loop.mask is None else self.loop.mask.dim

    def _cut(self, part: Part) -> bool:
        """Whether each part of the loop makes a part of the result, where it does not add to it; and the result is kept."""
        count = len(self.loop.dims)
        return len({n for n in part.at if n is not None and n < count}) == count and part.name not in self.missing

    def _at(self, part: Part) -> str:
        """The slices of one part, as an index."""
        marks = [":" if n is None else self.slices[n] for n in part.at]
        while marks and marks[-1] == ":":
            marks.pop()
        return f"[{', '.join(marks)}]" if marks else ""

    def _argument(self, part: Part, cut: bool, like: str = "") -> str:
        if part.name == MASK and self.loop.mask is not None:
            marks = [":" if n is None or n < len(self.loop.dims) else self.slices[-1] for n in part.at]
            if cut:
                return f"{MASK}[{', '.join(marks)}]"
            again = needed(self.loop.body.ops, self.dropped)
            idle = self.dropped and not any(a.value == MASK for op in self.loop.body.ops if op.out not in again for a in op.args)
            return "None" if idle else self._seen_call(False)
        positions = dict(self.loop.positions) | dict(self.loop.mask.positions if self.loop.mask is not None else ())
        if part.name in positions:
            base = self.parts.spelling.arange.format(self.parts.sizes[positions[part.name]], like)
        else:
            base = self.parts.names[part.value]
        return f"{base}{self._at(part)}" if cut else base
