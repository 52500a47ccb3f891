"""Which memory each array of a loop's part is computed in: a part of a result, or a space that all parts share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from codegen.inlining import Inlining
from codegen.program import Block, Op, makers
from derive.expr import Idx


@dataclass
class Memory:
    """The memory of one function for a part, given to its arrays one after the other.

    A part that allocates nothing finds its arrays in the cache, where the part before left them; an array lies where nothing else does that
    is still read. `shape` is the source text of a shape, or None where the function does not know one of its lengths. A value that ends up
    in one of the `results`, because each value takes over the memory of the one before, is computed there from the start. `spaces` are the
    other arrays that were needed, by name, and `filled` the results that lie where they are wanted: all others are copied. Results of which
    the parts are added up are in `sums`; those `added` are added to it as they are computed.
    """

    shape: Callable[[tuple[Idx, ...]], str | None]
    results: Mapping[str, str]
    sums: Mapping[str, str] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)
    offered: dict[str, None] = field(default_factory=dict)
    filled: set[str] = field(default_factory=set)
    added: dict[str, None] = field(default_factory=dict)
    _held: dict[str, str] = field(default_factory=dict)
    _free: list[str] = field(default_factory=list)

    def given(self, block: Block) -> Given:
        """The same for the statements of one block."""
        return Given(self, block)

    def space(self, axes: tuple[Idx, ...]) -> str:
        """A space that holds nothing, or "" for a shape that is not known."""
        shape = self.shape(axes)
        if shape is None:
            return ""
        known = next((name for name in self._free if self.spaces[name] == shape), None)
        return known or f"space_{len(self.spaces) + 1}"

    def hold(self, value: str, name: str, axes: tuple[Idx, ...]) -> None:
        """Say that a value lies in a memory."""
        self._held[value] = name
        if name in self._free:
            self._free.remove(name)
        if name in self.results.values():
            self.offered[name] = None
        elif name not in self.spaces:
            self.spaces[name] = self.shape(axes) or ""

    def take_over(self, value: str, dying: str) -> None:
        """Say that a value lies where another lay."""
        if dying in self._held:
            self._held[value] = self._held.pop(dying)

    def settle(self, value: str) -> None:
        """Note a result that lies where it is wanted."""
        if value in self.results and self._held.get(value) == self.results[value]:
            self.filled.add(value)

    def release(self, value: str) -> None:
        """Nothing reads a value any more."""
        name = self._held.pop(value, None)
        if name is not None and name in self.spaces and name not in self._free:
            self._free.append(name)


@dataclass
class Given:
    """The memory of one block's statements."""

    memory: Memory
    block: Block

    def __post_init__(self) -> None:
        inlining = Inlining(self.block.ops, apart=True)
        self.last: dict[str, str] = {}
        self.reads = inlining.statements
        for out, found in self.reads.items():
            for read in found:
                self.last[read.value] = out
        self.heirs = {op.into: op.out for op in self.block.ops if op.into}
        self.made = makers(self.block.ops)
        self.pinned = {*self.block.outputs, *self.block.inputs}

    def offer(self, op: Op) -> str:
        """Where an array may be computed."""
        end = op.out
        while end in self.heirs:
            end = self.heirs[end]
        place = self.memory.results.get(end, "")
        if place and place not in self.memory.offered and self.made[end].axes:
            return place
        return self.memory.space(op.axes)

    def spare(self, offered: str) -> bool:
        """Whether what is computed there may as well lie elsewhere: it is no part of a result."""
        return offered not in self.memory.results.values()

    def adds(self, op: Op) -> bool:
        """Whether a result is added to the sum of the parts where it is computed: it is read nowhere else."""
        name = self.memory.sums.get(op.out)
        if name is None or any(read.value == op.out for found in self.reads.values() for read in found):
            return False
        self.memory.added[name] = None
        return True

    def done(self, op: Op, lines: list[str], offered: str, dying: str, view: bool) -> None:
        """What the lines of a statement did: took the memory offered, or that of a value that nothing reads afterwards."""
        if offered and lines[0].endswith((f"out={offered})", f"spare={offered})")):
            self.memory.hold(op.out, offered, op.axes)
        elif dying and lines[0].endswith((f"out={dying})", f" = {dying}")):
            self.memory.take_over(op.out, op.into)
        self.memory.settle(op.out)
        if view:
            # Another name for memory: never given to others.
            self.pinned |= {read.value for read in self.reads[op.out]}
            return
        for value in [value for value, out in self.last.items() if out == op.out]:
            if value not in self.pinned:
                self.memory.release(value)
