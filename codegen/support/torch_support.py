"""What generated torch modules share; each module gets a copy of the functions it calls, and imports none of ours."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

_NAME = ""
_AXES: dict[str, tuple[str, ...]] = {}
_CACHE = 1 << 20


def _real(**given: Any) -> tuple[Tensor, ...]:
    """The arguments as tensors of one floating-point type; a Python float takes the type and device of the others."""
    like = next((value for value in given.values() if isinstance(value, Tensor)), None)
    if like is None:
        raise TypeError(f"{_NAME}: expected torch tensors, got {', '.join(type(value).__name__ for value in given.values())}")
    tensors: list[Tensor] = []
    for name, value in given.items():
        if isinstance(value, float):
            value = torch.as_tensor(value, dtype=like.dtype, device=like.device)
        if not isinstance(value, Tensor):
            raise TypeError(f"{_NAME}: {name} is a {type(value).__name__}, expected a torch tensor")
        if not value.is_floating_point():
            hint = "only real numbers have gradients here" if value.is_complex() else "pass floating-point numbers"
            raise TypeError(f"{_NAME}: {name} holds {value.dtype}; {hint}")
        if value.dtype != like.dtype:
            raise TypeError(f"{_NAME}: {name} holds {value.dtype} and {next(iter(given))} holds {like.dtype}; convert one of them")
        tensors.append(value)
    return tuple(tensors)


def _labels(name: str, value: Any, axis: str) -> Tensor:
    """Integer labels, each the number of a place along an axis. Their range is checked where they are used, not here."""
    if not isinstance(value, Tensor) or value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        kind = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise TypeError(f"{_NAME}: {name} holds {kind}, expected a tensor of integers from 0 up to the length of axis {axis}")
    return value.long()


def _places(name: str, labels: Tensor, axis: str, length: int) -> None:
    """ValueError for labels along an axis that has no place to number."""
    if length == 0 and labels.numel():
        raise ValueError(f"{_NAME}: {name} has {labels.numel()} entries, but axis {axis} has length 0")


def _constant(**tensors: Tensor) -> None:
    """ValueError for a tensor that asks for a gradient which this layer does not have."""
    for name, tensor in tensors.items():
        if tensor.requires_grad:
            raise ValueError(f"{_NAME}: {name} is a constant of this layer and has no gradient; pass {name}.detach()")


def _check(**tensors: Tensor) -> None:
    """ValueError unless every tensor has its axes and any two agree on the length of an axis that both have."""
    lengths: dict[str, tuple[str, int]] = {}
    for name, tensor in tensors.items():
        axes = _AXES[name]
        if tensor.ndim != len(axes):
            count = f"{len(axes)} {'axis' if len(axes) == 1 else 'axes'} ({', '.join(axes)})" if axes else "a scalar"
            raise ValueError(f"{_NAME}: {name} has shape {tuple(tensor.shape)}, expected {count}")
        for axis, length in zip(axes, tensor.shape):
            other, known = lengths.setdefault(axis, (name, length))
            if known != length:
                shapes = f"{other} is {tuple(tensors[other].shape)}"
                shapes += f" but {name} is {tuple(tensor.shape)}" if other != name else ""
                raise ValueError(f"{_NAME}: {shapes}: axis {axis} is {known} in {other} and {length} in {name}")


def _nonempty(**lengths: int) -> None:
    """ValueError for an axis of length 0 over which a maximum is taken."""
    for axis, length in lengths.items():
        if length == 0:
            raise ValueError(f"{_NAME}: axis {axis} has length 0, and there is no maximum over it")


def _transforms() -> tuple[str, ...]:
    """The torch.func transforms that are running here, outermost first; torch has no public name for them."""
    if torch.compiler.is_compiling():
        return ()
    stack: Any = torch._C._functorch.get_interpreter_stack()
    return tuple(level.key().name for level in stack or ())


def _traced(*given: Tensor) -> bool:
    """Whether something looks at each operation, or the tensors are batches of gradients: then nothing is computed in place or in
    parts."""
    if torch.compiler.is_compiling() or _transforms():
        return True
    return any(torch._C._functorch.is_legacy_batchedtensor(tensor) for tensor in given)


def _whole(entries: int, *given: Tensor) -> bool:
    """Whether nothing is gained by computing a tensor of that many entries in parts: it stays in the cache, or there are many cores."""
    return entries * given[0].element_size() <= _CACHE or given[0].device.type != "cpu" or _traced(*given)


def _saved_whole(entries: int, *given: Tensor) -> bool:
    """Whether a tensor of that many entries may be kept for the backward pass: it is small, or not much more than what is given."""
    return entries * given[0].element_size() <= 8 * _CACHE or _traced() or entries <= 4 * sum(tensor.numel() for tensor in given)


def _parts(lengths: tuple[int, ...], width: int, like: Tensor, least: int) -> Iterator[Any]:
    """Slices of some axes, the last of them the fastest: rows of `width` entries fill the cache, and are `least` if there are as many."""
    cache = _CACHE if like.device.type == "cpu" else 256 * _CACHE
    rows = max(cache // max(width * like.element_size(), 1), least)
    cuts: list[list[slice]] = []
    for length in reversed(lengths):
        step = min(length, rows)
        rows = max(rows // max(length, 1), 1)
        cuts.insert(0, [slice(start, min(start + step, length)) for start in range(0, length, max(step, 1))])
    return itertools.product(*cuts)


def _add_at(tensor: Tensor, labels: Tensor, value: int) -> None:
    """Add `value` at each label along the last axis, in place."""
    tensor.scatter_add_(-1, labels[..., None], tensor.new_full((), value).expand(*labels.shape, 1))


def _chosen(traced: Any, dual: Any) -> Any:
    """How to call a Function: torch.compile traces only one without forward mode, and where forward mode is nested in
    forward mode torch loses the outer tangent of any Function, so that there it differentiates the plain operations. Where nothing
    is recorded, the operations alone are all there is to do."""
    if torch.compiler.is_compiling():
        return traced.apply
    transforms = _transforms()
    recorded = torch.is_grad_enabled() or torch.autograd.forward_ad._current_level >= 0
    return traced.forward if transforms.count("Jvp") > 1 or not (transforms or recorded) else dual.apply


def _zero(tangent: Tensor | None, like: Tensor) -> Tensor:
    """A tangent; one that is missing is zero."""
    return torch.zeros_like(like) if tangent is None else tangent


def _spread(needs: tuple[bool, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """One value for each place that is needed, None for each of the others."""
    rest = iter(values)
    return tuple(next(rest) if need else None for need in needs)


def _needed(needs: tuple[bool, ...], values: tuple[Any, ...]) -> tuple[Any, ...]:
    """The values in the places that are needed."""
    return tuple(value for value, need in zip(values, needs) if need)


def _one_hot(labels: Tensor, length: int, like: Tensor) -> Tensor:
    """1 at each label along a new last axis, else 0."""
    return (labels[..., None] == torch.arange(length, device=like.device)).to(like.dtype)


def _no_third(*_: Any) -> Any:
    raise NotImplementedError(f"{_NAME}: third derivatives are not derived; it can be differentiated twice")
