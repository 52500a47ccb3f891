"""What the generated torch.nn.functional shares: arguments, types and the movement of axes. No derivative is computed here.

The generated module gets a copy of the functions that it calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

_HALF = (torch.bfloat16, torch.float16)


def _given(name: str, mixed: str, **given: Any) -> tuple[Any, ...]:
    """The type of the result, then the tensors in the type that is computed in; None stays None.

    `mixed` says what becomes of tensors of different types: "promote" takes the wider one, "refuse" raises RuntimeError, and
    "parameters" lets all but the first be wider than it. Half precision is computed in float32, except in a "low" function.
    """
    tensors = {argument: value for argument, value in given.items() if value is not None}
    for argument, value in tensors.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(value).__name__}")
    first, like = next(iter(tensors.items()))
    kind = _wider_kind(list(tensors.values())) if mixed == "promote" else like.dtype
    for argument, value in tensors.items():
        if mixed != "promote" and not value.is_floating_point():
            raise NotImplementedError(f"{name}: {argument} holds {value.dtype}; only real floating-point numbers have gradients here")
        if value.dtype != like.dtype and mixed in ("refuse", "low"):
            raise RuntimeError(f"{name}: {argument} holds {value.dtype} and {first} holds {like.dtype}; convert one of them")
        if value.device != like.device and value.ndim:
            raise RuntimeError(f"{name}: {argument} is on {value.device} and {first} is on {like.device}; move one of them")
    if not kind.is_floating_point:
        raise NotImplementedError(f"{name}: {first} holds {kind}; only real floating-point numbers have gradients here")
    work = torch.float32 if kind in _HALF and mixed != "low" else kind
    return kind, *(None if value is None else value.to(work) for value in given.values())


def _wider_kind(tensors: Sequence[Tensor]) -> Any:
    """The type in which tensors meet: a scalar has no say beside tensors with axes that hold real numbers."""
    listed = [tensor for tensor in tensors if tensor.ndim and tensor.is_floating_point()] or list(tensors)
    kind = listed[0].dtype
    for tensor in listed[1:]:
        kind = torch.promote_types(kind, tensor.dtype)
    return kind


def _integers(name: str, argument: str, value: Any, length: int, ignored: int | None = None) -> Tensor:
    """Labels from 0 up to `length`, or `ignored`. Raises where they are no integers, or, on a CPU, outside that range."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name}(): argument '{argument}' must be Tensor, not {type(value).__name__}")
    if value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
        raise RuntimeError(f"{name}: {argument} holds {value.dtype}, expected integers, each the number of a place from 0 up to {length}")
    if _looks_inside(value):
        outside = (value < 0) | (value >= length)
        if ignored is not None:
            outside = outside & (value != ignored)
        if outside.any():
            found = int(value[outside].flatten()[0])
            raise IndexError(f"{name}: {argument} holds {found}, which is out of bounds: its entries are places from 0 up to {length}")
    return value.long()


def _looks_inside(value: Tensor) -> bool:
    """Whether the entries can be looked at here without waiting for a device, inside no transform and no compiler."""
    if torch.compiler.is_compiling() or value.device.type != "cpu":
        return False
    return torch.func.debug_unwrap(value) is value


def _autocasting(value: Any) -> bool:
    return isinstance(value, Tensor) and torch.is_autocast_enabled(value.device.type)


def _cast(policy: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """The function outside autocast, on what autocast would have passed on: "low" casts to its type, "wide" to float32,
    "accelerator" to float32 except on a CPU, and "same" not at all. float64 is never cast."""
    device = next(value for value in arguments if isinstance(value, Tensor)).device.type
    kind = torch.get_autocast_dtype(device) if policy == "low" else torch.float32
    if policy == "same" or (policy == "accelerator" and device == "cpu"):
        moved = list(arguments)
    else:
        moved = [
            value.to(kind) if isinstance(value, Tensor) and value.is_floating_point() and value.dtype != torch.float64 else value
            for value in arguments
        ]
    with torch.autocast(device, enabled=False):
        return function(*moved)


def _reduction(reduction: str, size_average: bool | None, reduce: bool | None, known: Sequence[str] = ("none", "mean", "sum")) -> str:
    """The reduction's name; the two older arguments are read as torch reads them."""
    if size_average is not None or reduce is not None:
        if reduce is False:
            return "none"
        return "sum" if size_average is False else "mean"
    if reduction not in known:
        raise ValueError(f"{reduction} is not a valid value for reduction; the values are {', '.join(known)}")
    return reduction


def _together(name: str, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The tensors in one shape."""
    try:
        return tuple(torch.broadcast_tensors(*tensors))
    except RuntimeError:
        shapes = " and ".join(str(tuple(tensor.shape)) for tensor in tensors)
        size = max(tensor.ndim for tensor in tensors)
        for axis in range(1, size + 1):
            lengths = [tensor.shape[-axis] for tensor in tensors if tensor.ndim >= axis and tensor.shape[-axis] != 1]
            if len(set(lengths)) > 1:
                raise RuntimeError(
                    f"{name}: the shapes are {shapes}: The size of tensor a ({lengths[0]}) must match the size of tensor b "
                    f"({lengths[1]}) at non-singleton dimension {size - axis}"
                ) from None
        raise


def _axis(name: str, ndim: int, dim: int) -> int:
    """The axis `dim`, counted from 0. Raises IndexError."""
    if not -max(ndim, 1) <= dim < max(ndim, 1):
        first, last = -max(ndim, 1), max(ndim, 1) - 1
        raise IndexError(f"{name}: Dimension out of range (expected to be in range of [{first}, {last}], but got {dim})")
    return dim % max(ndim, 1)


def _implicit(dim: int | None, ndim: int) -> int:
    """The axis of a softmax whose caller named none."""
    if dim is not None:
        return dim
    return 0 if ndim in (0, 1, 3) else 1


def _rows(tensor: Tensor, dim: int) -> Tensor:
    """The axis `dim` last, and all others as one before it."""
    if tensor.ndim < 2:
        return tensor.reshape(1, -1)
    return tensor.movedim(dim, -1).flatten(0, -2)


def _unrows(rows: Tensor, shape: Sequence[int], dim: int) -> Tensor:
    """`_rows` undone, for a tensor of that shape."""
    if len(shape) < 2:
        return rows.reshape(tuple(shape))
    lead = [*shape[:dim], *shape[dim + 1 :]]
    return rows.reshape(*lead, rows.shape[-1]).movedim(-1, dim)


def _flat(tensor: Tensor) -> Tensor:
    return tensor.reshape(-1)


def _normalized(name: str, shape: Sequence[int], axes: Sequence[int], **parameters: Tensor | None) -> int:
    """The number of entries of the last axes, which are `axes`; the parameters have their shape. Raises RuntimeError."""
    axes = tuple(axes)
    if not axes:
        raise RuntimeError(f"{name}: Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element")
    for argument, value in parameters.items():
        if value is not None and tuple(value.shape) != axes:
            raise RuntimeError(
                f"{name}: Expected {argument} to be of same shape as normalized_shape, but got {argument} of shape "
                f"{list(value.shape)} and normalized_shape = {list(axes)}"
            )
    if tuple(shape[len(shape) - len(axes) :]) != axes or len(shape) < len(axes):
        stars = ", ".join(["*", *map(str, axes)])
        raise RuntimeError(
            f"{name}: Given normalized_shape={list(axes)}, expected input with shape [{stars}], but got input of size{list(shape)}"
        )
    return math.prod(axes)


def _channels(name: str, count: int, **parameters: Tensor | None) -> None:
    """RuntimeError unless each parameter has an entry for each channel."""
    for argument, value in parameters.items():
        if value is not None and tuple(value.shape) != (count,):
            raise RuntimeError(f"{name}: {argument} has shape {tuple(value.shape)}, but axis 1 of input has {count} channels")


def _running(rows: Tensor, mean: Tensor | None, variance: Tensor | None, rate: float) -> None:
    """Move the running statistics towards those of the columns of `rows`; where it has several leading axes, those of the first,
    averaged over the others."""
    with torch.no_grad():
        others = list(range(rows.ndim - 2))
        for kept, found in ((mean, rows.mean(0)), (variance, rows.var(0))):
            if kept is not None:
                kept.mul_(1 - rate).add_((found.mean(others) if others else found).to(kept.dtype), alpha=rate)


def _kept(shape: Sequence[int], p: float, like: Tensor) -> Tensor:
    """A random mask: 1 with probability 1 - p, else 0."""
    return torch.empty(tuple(shape), dtype=torch.bool, device=like.device).bernoulli_(1 - p).to(like.dtype)


def _probability(p: float) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"the probability of dropping an entry has to be between 0 and 1, but got {p}")
    return p


def _classes(name: str, shape: Sequence[int], target: Sequence[int], weight: Tensor | None) -> int:
    """The axis of the classes, after checking that a label stands for each row of classes. Raises ValueError or RuntimeError."""
    dim = 0 if len(shape) == 1 else 1
    rest = [*shape[:dim], *shape[dim + 1 :]]
    if len(shape) > 1 and len(target) and target[0] != shape[0]:
        raise ValueError(f"{name}: Expected input batch_size ({shape[0]}) to match target batch_size ({target[0]}).")
    if list(target) != rest and not (len(shape) == 1 and list(target) == [1]):
        raise RuntimeError(
            f"{name}: target has shape {tuple(target)}, expected {tuple(rest)}: input is {tuple(shape)}, and axis {dim} holds its classes"
        )
    if weight is not None and tuple(weight.shape) != (shape[dim],):
        raise RuntimeError(
            f"{name}: weight tensor should be defined either for all {shape[dim]} classes or no classes but got weight tensor of shape: "
            f"{list(weight.shape)}"
        )
    return dim


def _queries(name: str, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, grouped: bool) -> tuple[Any, ...]:
    """Queries, keys and values with one leading axis, the mask likewise, and the shape of the result.

    With `grouped`, the query heads that share a key head become rows of it: queries do not see each other.
    """
    for argument, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.ndim < 2:
            raise RuntimeError(
                f"{name}: Expected query, key, and value to all be  at least 2 dimensional, but {argument} has {tensor.ndim} dimensions"
            )
    if mask is not None and causal:
        raise RuntimeError(f"{name}: Explicit attn_mask should not be set when is_causal=True")
    if query.shape[-1] != key.shape[-1]:
        raise RuntimeError(f"{name}: query has {query.shape[-1]} features and key has {key.shape[-1]}: axis -1 must agree")
    if key.shape[-2] != value.shape[-2]:
        raise RuntimeError(f"{name}: key has {key.shape[-2]} places and value has {value.shape[-2]}: axis -2 must agree")
    if causal and grouped:
        mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
    places = (*query.shape[:-1], key.shape[-2])
    if mask is not None:
        try:
            mask = mask.expand(torch.broadcast_shapes(places, mask.shape))
        except RuntimeError:
            raise RuntimeError(f"{name}: attn_mask has shape {tuple(mask.shape)}, which does not broadcast to {places}") from None
    group = 1
    if grouped:
        heads, shared = query.shape[-3], key.shape[-3]
        if heads % shared or value.shape[-3] != shared:
            raise RuntimeError(
                f"{name}: the {heads} heads of query are no multiple of the {shared} heads of key and the {value.shape[-3]} of value"
            )
        group = heads // shared
        query = query.unflatten(-3, (shared, group)).flatten(-3, -2)
        mask = None if mask is None else mask.unflatten(-3, (shared, group)).flatten(-3, -2)
    lead = torch.broadcast_shapes(query.shape[:-2], key.shape[:-2], value.shape[:-2], *([] if mask is None else [mask.shape[:-2]]))
    count = math.prod(lead)
    query, key, value = (tensor.expand(*lead, *tensor.shape[-2:]).reshape(count, *tensor.shape[-2:]) for tensor in (query, key, value))
    mask = None if mask is None else mask.expand(*lead, *mask.shape[-2:]).reshape(count, *mask.shape[-2:])
    return query, key, value, mask, (lead, group)


def _heads(rows: Tensor, how: tuple[Sequence[int], int]) -> Tensor:
    """The result of an attention with its leading axes and heads back in place."""
    lead, group = how
    found = rows.reshape(*lead, *rows.shape[-2:])
    return found if group == 1 else found.unflatten(-2, (group, -1)).flatten(-4, -3)


def _mask(name: str, mask: Any, query: Tensor, kind: Any) -> Any:
    """The mask as given; RuntimeError unless it is boolean or of the query's type."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor):
        raise TypeError(f"{name}(): argument 'attn_mask' must be Tensor, not {type(mask).__name__}")
    if mask.dtype == torch.bool:
        return mask
    if mask.dtype not in (kind, torch.float32):
        raise RuntimeError(
            f"{name}: Expected attn_mask dtype to be bool or float or to match query dtype, but got attn_mask.dtype: {mask.dtype} "
            f"and  query.dtype: {kind}"
        )
    return mask.to(query.dtype)


def _place(name: str, padding_idx: int | None, length: int) -> int | None:
    """The row of a table that stands for padding, counted from 0. Raises AssertionError, as torch does."""
    if padding_idx is not None and not -length <= padding_idx < length:
        raise AssertionError(f"{name}: Padding_idx must be within num_embeddings: it is {padding_idx}, and there are {length} rows")
    return None if padding_idx is None else padding_idx % length


def _refused(name: str, **options: Any) -> None:
    """NotImplementedError for an option that no layer of the catalogue has."""
    for option, value in options.items():
        if value:
            raise NotImplementedError(f"{name}: {option}={value!r} is not derived here; use torch.nn.functional.{name} for it")


def _positive(name: str, option: str, value: float) -> float:
    if value <= 0:
        raise RuntimeError(f"{name} does not support non-positive values for {option}, got {value}")
    return float(value)


def _seen(mask: Any) -> tuple[Any, Any]:
    """Where a key is seen, and what is added to the score: a boolean mask is the one, minus infinity in the other one hides."""
    if mask is None or mask.dtype == torch.bool:
        return mask, None
    seen = mask.detach() != float("-inf")
    return seen, mask.masked_fill(~seen, 0)


def _power(name: str, p: float) -> None:
    if p == 0 or math.isinf(p):
        raise NotImplementedError(
            f"{name}: p={p} is not derived here, only finite powers other than 0; use torch.nn.functional.{name} for it"
        )


def _added(name: str, argument: str, mask: Any, query: Tensor) -> Any:
    """A mask as it is added to scores; one that is boolean hides where it is true."""
    if mask is None:
        return None
    if not isinstance(mask, Tensor) or not (mask.dtype == torch.bool or mask.is_floating_point()):
        kind = mask.dtype if isinstance(mask, Tensor) else type(mask).__name__
        raise RuntimeError(f"{name}: only bool and floating types of {argument} are supported, not {kind}")
    if mask.dtype == torch.bool:
        return torch.zeros_like(mask, dtype=query.dtype).masked_fill_(mask, float("-inf"))
    return mask


def _wider(mask: Any, length: int) -> Any:
    """A mask with places for keys that were put behind the others, which all see."""
    return mask if mask is None or mask.shape[-1] == length else torch.nn.functional.pad(mask, (0, length - mask.shape[-1]))
