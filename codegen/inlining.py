"""Which values are written out where they are used, and which have a statement of their own: the same for every target."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from codegen.program import CONDITIONS, Op, Read, host_values, is_temporary, makers, rows_of_labels


class Inlining:
    """The ops of a block as statements: each value that is not `inlined` is the result of one.

    Where arrays are computed in memory that is there already, a large one has a statement `apart` from its reader, which could not
    say where it is to lie; only what the reader computes in the same memory is written in it.
    """

    def __init__(self, ops: Iterable[Op], apart: bool = False) -> None:
        self.ops = tuple(ops)
        self.apart = apart
        self.made = makers(self.ops)
        self.host = host_values(self.ops)
        self.uses: dict[str, int] = {}
        self.users: dict[str, Op] = {}
        self._walked = {arg.value for op in self.ops if op.kind == "scan" for arg in op.args}
        for op in self.ops:
            for arg in op.args:
                self.users[arg.value] = op
                self.uses[arg.value] = self.uses.get(arg.value, 0) + 1

    def inlined(self, value: str) -> bool:
        """Whether a value has no statement of its own: it is used once, or costs nothing to write again."""
        if not is_temporary(value):
            return False
        op = self.made[value]
        if op.kind == "scan" or (value in self._walked and value not in self.host):
            return False
        free = value in self.host or op.kind == "position"
        if op.fn == "power" and op.number == -1:
            # Written again, it is a division.
            free = free or not self.inlined(op.args[0].value)
        if op.fn == "mul" and len(op.args) == 2 and not free:
            # Written again, it is a minus sign.
            sign, other = (self.made.get(arg.value) for arg in op.args)
            free = sign is not None and sign.number == -1 and (other is None or not self.inlined(other.out))
        if self.apart and self.picks(op):
            return False
        return free or value in self._hot or (self.uses.get(value, 0) < 2 and not (self.apart and self._large(op)))

    def picks(self, op: Op) -> bool:
        """Whether an op reads a few entries of an array of this block that others read whole: read first, they leave it to those."""
        array = op.args[0] if op.kind == "gather" else None
        return array is not None and array.value in self.made and self.uses[array.value] > 1 and len(op.axes) < len(array.axes)

    def _large(self, op: Op) -> bool:
        """Whether a value that is used once is an array of its own in the statement of its reader."""
        reader = self.users.get(op.out)
        if reader is None or len(op.axes) < 2 or op.kind not in ("map", "contract") or op.fn in CONDITIONS:
            return False
        if op.kind == "contract" or reader.kind != "map" or reader.fn in CONDITIONS:
            return not self._scaled(op) and reader.fn != "delta" and op.fn not in ("delta", "real")
        if op.fn in ("mul", "power"):
            # A product is written into a product, and a negative one is subtracted.
            return reader.fn in ("add", "where") and not self._scaled(op)
        return (reader.fn in ("mul", "where") and op.fn == "add") or (op.fn == "where" and len(op.args) == 3)

    def _scaled(self, op: Op) -> bool:
        """Whether a product is no more than an array and numbers, or has a sign."""
        if op.fn != "mul":
            return False
        makers_of = [self.made.get(arg.value) for arg in op.args]
        signs = any(maker is not None and maker.kind == "number" and (maker.number or 0) < 0 for maker in makers_of)
        return signs or sum(arg.value not in self.host for arg in op.args) < 2

    @cached_property
    def _hot(self) -> frozenset[str]:
        """Rows with a single 1 each, at labels, that nothing but contractions read: these add at the labels, and do not make the rows."""
        return frozenset(rows_of_labels(self.ops).keys() - {arg.value for op in self.ops if op.kind != "contract" for arg in op.args})

    @cached_property
    def statements(self) -> Mapping[str, tuple[Read, ...]]:
        """Value with a statement -> what that statement reads, once for each time that it is written there, in order of the ops."""
        return {op.out: tuple(self._leaves(op)) for op in self.ops if not self.inlined(op.out)}

    def _leaves(self, op: Op) -> Iterable[Read]:
        for arg in op.args:
            inner = self.made.get(arg.value)
            if inner is not None and self.inlined(arg.value):
                yield from self._leaves(inner)
            else:
                yield arg
