"""What a person's formula may mention, and what a part of it comes to: an array with an index for each axis."""

from __future__ import annotations

from dataclasses import dataclass, field

from derive.expr import Expr, Idx, Tensor
from derive.indices import free_indices

Axis = Idx | None


@dataclass(frozen=True)
class Value:
    """An array: an index for each axis (None for one of length 1) and the entry; `ones` marks a vector of ones of unknown length."""

    axes: tuple[Axis, ...]
    entry: Expr
    ones: str = ""

    @property
    def dims(self) -> tuple[str, ...]:
        return tuple(axis.dim for axis in self.axes if axis is not None)


@dataclass
class Vocabulary:
    """What a formula may mention: tensors (by the name a person uses), axes, and other names for them."""

    tensors: dict[str, Tensor]
    batch: tuple[Idx, ...]
    sizes: tuple[str, ...]
    aliases: dict[str, str] = field(default_factory=dict)
    internal: dict[str, str] = field(default_factory=dict)
    """The name under which the checker knows a person's own definition."""
    nudges: dict[str, str] = field(default_factory=dict)

    def names(self) -> set[str]:
        return {*self.tensors, *self.sizes, *self.aliases}

    def dims(self, name: str) -> tuple[str, ...]:
        """The axes of a tensor without the batch."""
        dims = self.tensors[name].dims
        lead = tuple(index.dim for index in self.batch)
        return dims[len(lead) :] if lead and dims[: len(lead)] == lead else dims

    def leading(self, name: str) -> tuple[Idx, ...]:
        return self.batch if len(self.dims(name)) < len(self.tensors[name].dims) else ()


def shape(value: Value) -> str:
    """The shape as a message shows it."""
    if not value.axes:
        return "a number"
    return " x ".join("1" if axis is None else axis.dim for axis in value.axes)


def named_free(value: Value) -> tuple[Idx, ...]:
    """The indices that an entry names without a sum, those of its axes and of the batch aside."""
    own = set(value.axes)
    return tuple(index for index in free_indices(value.entry) if index not in own)
