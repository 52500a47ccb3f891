"""What the generated torch.nn.functional shares about windows and bags: arguments, lengths and places. No derivative is computed here.

The generated module gets a copy of the functions that it calls.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


def _per_axis(name: str, option: str, value: Any, count: int, least: int) -> tuple[int, ...]:
    """An option as one integer for each of `count` axes, none less than `least`. Raises RuntimeError."""
    listed = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if len(listed) not in (1, count):
        raise RuntimeError(f"{name}: {option} must be an integer or {count} of them, but got {value}")
    if any(number < least for number in listed):
        word = "greater than zero" if least else "non-negative"
        raise RuntimeError(f"{name}: {option} must be {word}, but got {value}")
    return tuple(int(number) for number in (listed if len(listed) == count else listed * count))


def _image(tensor: Tensor, count: int) -> Tensor:
    """The last `count` axes as the two of an image."""
    return tensor if count == 2 else tensor.unsqueeze(-2)


def _unwindowed(result: Tensor, count: int, ndim: int) -> Tensor:
    """The result for an image with a leading axis, with as many axes as the argument had."""
    result = result if count == 2 else result.squeeze(-2)
    return result if ndim == count + 2 else result.squeeze(0)


def _convolved(
    name: str, count: int, input: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> tuple[Any, ...]:
    """Images, windows and shifts by groups of channels, and the places of the windows. Raises RuntimeError."""
    if groups <= 0:
        raise RuntimeError(f"{name}: non-positive groups is not supported: groups is {groups}")
    if weight.ndim != count + 2:
        raise RuntimeError(f"{name}: weight has shape {tuple(weight.shape)}, expected {count + 2} axes (outputs, channels, places)")
    if input.ndim not in (count + 1, count + 2):
        raise RuntimeError(f"{name}: Expected {count + 1}D (unbatched) or {count + 2}D (batched) input, but got shape {tuple(input.shape)}")
    strides = _per_axis(name, "stride", stride, count, 1)
    dilations = _per_axis(name, "dilation", dilation, count, 1)
    outputs, channels = weight.shape[0], input.shape[-count - 1]
    if outputs % groups or outputs < groups:
        raise RuntimeError(f"{name}: expected weight to be at least {groups} at dimension 0, and a multiple of it, but got {outputs}")
    if channels != weight.shape[1] * groups:
        raise RuntimeError(
            f"{name}: weight of shape {tuple(weight.shape)} with groups={groups} expects input to have {weight.shape[1] * groups} "
            f"channels, but it has {channels}"
        )
    if bias is not None and tuple(bias.shape) != (outputs,):
        raise RuntimeError(f"{name}: bias has shape {tuple(bias.shape)}, expected ({outputs},): an entry for each output of weight")
    spans = [step * (length - 1) + 1 for step, length in zip(dilations, weight.shape[2:])]
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise RuntimeError(f"{name}: Invalid padding string: '{padding}'; it is 'same' or 'valid', or integers")
        if padding == "same" and any(step != 1 for step in strides):
            raise RuntimeError(f"{name}: padding='same' is not supported for strided convolutions: stride is {stride}")
        before = [(span - 1) // 2 * (padding == "same") for span in spans]
        around = [(span - 1) * (padding == "same") for span in spans]
    else:
        before = list(_per_axis(name, "padding", padding, count, 0))
        around = [2 * pad for pad in before]
    lengths = [(length + pad - span) // step + 1 for length, pad, span, step in zip(input.shape[-count:], around, spans, strides)]
    if min(lengths) < 1:
        raise RuntimeError(
            f"{name}: Kernel size can't be greater than actual input size: windows of {spans} on {list(input.shape[-count:])}"
        )
    flat = [1] * (2 - count)
    places = (*flat, *lengths, *flat, *strides, *flat, *dilations, *[0] * (2 - count), *before)
    image = _image(input if input.ndim == count + 2 else input.unsqueeze(0), count)
    image = image.reshape(image.shape[0], groups, channels // groups, *image.shape[2:])
    windows = _image(weight, count)
    windows = windows.reshape(groups, outputs // groups, *windows.shape[1:])
    shift = weight.new_zeros(outputs) if bias is None else bias
    return image, windows, shift.reshape(groups, outputs // groups), places


def _pooled(name: str, count: int, input: Tensor, size: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> tuple[Any, ...]:
    """For each of the last `count` axes: how many windows, and their size, stride, padding and dilation. Raises RuntimeError."""
    if input.ndim not in (count + 1, count + 2) or 0 in input.shape[-count - 1 :]:
        raise RuntimeError(
            f"{name}: Expected {count + 1}D or {count + 2}D (batch mode) tensor with optional 0 dim batch size for input, "
            f"but got shape {tuple(input.shape)}"
        )
    sizes = _per_axis(name, "kernel_size", size, count, 1)
    strides = sizes if stride is None or stride == () or stride == [] else _per_axis(name, "stride", stride, count, 1)
    dilations = _per_axis(name, "dilation", dilation, count, 1)
    pads = _per_axis(name, "padding", padding, count, 0)
    lengths = []
    for length, window, step, pad, apart in zip(input.shape[-count:], sizes, strides, pads, dilations):
        span = apart * (window - 1) + 1
        if pad > span // 2:
            raise RuntimeError(f"{name}: pad should be at most half of effective kernel size, but got pad={pad} and kernel_size={window}")
        windows = (length + 2 * pad - span + (step - 1 if ceil else 0)) // step + 1
        # The last window starts inside of the axis, or in the padding before it.
        windows -= ceil and (windows - 1) * step >= length + pad
        if windows < 1:
            raise RuntimeError(f"{name}: Output size is too small: windows of {span} places on an axis of {length} padded by {pad}")
        lengths.append(windows)
    return lengths, sizes, strides, pads, dilations


def _averaged(
    name: str, count: int, input: Tensor, size: Any, stride: Any, padding: Any, ceil: bool, pads_count: bool, divisor: int | None
) -> tuple[Any, ...]:
    """Images, one over how many places of each window count, and the places of the windows. Raises RuntimeError."""
    if divisor == 0:
        raise RuntimeError(f"{name}: divisor must be not zero")
    lengths, sizes, strides, pads, _ = _pooled(name, count, input, size, stride, padding, 1, ceil)
    counts = []
    for length, windows, window, step, pad in zip(input.shape[-count:], lengths, sizes, strides, pads):
        first = torch.arange(windows, device=input.device) * step - pad
        last = (first + window).clamp(max=length + pad)
        counts.append(last - first if pads_count else last.clamp(max=length) - first.clamp(min=0))
    flat = [1] * (2 - count)
    places = (*flat, *sizes, *flat, *strides, *[0] * (2 - count), *pads)
    total = counts[0][None] if count == 1 else counts[0][:, None] * counts[1]
    shares = torch.full_like(total, divisor) if divisor is not None else total
    return input.reshape(-1, *flat, *input.shape[-count:]), 1 / shares.to(input.dtype), places


def _largest(name: str, count: int, input: Tensor, size: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Tensor:
    """Where the largest entry of each window is, in the last `count` axes as one: at a tie the first. Raises RuntimeError."""
    lengths, sizes, strides, pads, dilations = _pooled(name, count, input, size, stride, padding, dilation, ceil)
    place = torch.zeros((), dtype=torch.long, device=input.device)
    inside = torch.ones((), dtype=torch.bool, device=input.device)
    for axis, (length, windows, window, step, pad, apart) in enumerate(zip(input.shape[-count:], lengths, sizes, strides, pads, dilations)):
        at = torch.arange(windows, device=input.device)[:, None] * step - pad + torch.arange(window, device=input.device) * apart
        # Windows along this axis, then those of the axes after it; the places in a window likewise, behind all windows.
        later = count - axis - 1
        at = at.reshape(windows, *[1] * later, *[1] * axis, window, *[1] * later)
        place = place * length + at.clamp(0, length - 1)
        inside = inside & (at >= 0) & (at < length)
    shape = (*lengths, math.prod(sizes))
    place, inside = place.expand(*lengths, *sizes).reshape(shape), inside.expand(*lengths, *sizes).reshape(shape)
    values = input.flatten(-count)[..., place]
    # Where all is minus infinity, the first place inside of the axes is the largest.
    values = torch.where(inside, values.clamp(min=torch.finfo(input.dtype).min), -math.inf)
    return place.expand(values.shape).gather(-1, values.argmax(-1, keepdim=True)).squeeze(-1)


def _bags(name: str, input: Tensor, weight: Tensor, offsets: Any, each: Any, mode: str, last: bool) -> tuple[Any, ...]:
    """The tokens in a row, the number of the bag of each, how many bags there are, and the tokens' weights. Raises ValueError."""
    if each is not None and each.shape != input.shape:
        raise ValueError(
            f"{name}: per_sample_weights has shape {tuple(each.shape)} and input {tuple(input.shape)}: they must have one shape"
        )
    if weight.ndim != 2:
        raise ValueError(f"{name}: weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}")
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"{name}: mode has to be one of sum, mean or max, not {mode!r}")
    if each is not None and mode != "sum":
        raise NotImplementedError(f"{name}: per_sample_weights is only supported for mode='sum' (got mode='{mode}')")
    if input.ndim not in (1, 2):
        raise ValueError(f"{name}: input has to be 1D or 2D Tensor, but got Tensor of dimension {input.ndim}")
    if input.ndim == 2:
        if offsets is not None:
            raise ValueError(f"{name}: if input is 2D, then offsets has to be None: each row of input is a bag")
        bags = input.shape[0]
        numbers = torch.arange(bags, device=input.device)[:, None].expand(input.shape)
    else:
        if not isinstance(offsets, Tensor) or offsets.ndim != 1:
            raise ValueError(f"{name}: offsets has to be a 1D Tensor where input is 1D: the place of each bag's first token")
        starts = offsets[:-1] if last else offsets
        bags = starts.shape[0]
        numbers = torch.searchsorted(starts.contiguous(), torch.arange(input.shape[0], device=input.device), right=True) - 1
    weights = weight.new_ones(input.shape) if each is None else each
    return input.reshape(-1).long(), numbers.reshape(-1), bags, weights.reshape(-1)


def _largest_of_bags(rows: Tensor, tokens: Tensor, numbers: Tensor, bags: int) -> Tensor:
    """For each column of a table and each bag, the row of the largest entry among the bag's tokens, or one behind the last row."""
    member = numbers == torch.arange(bags, device=numbers.device)[:, None]
    values = torch.where(member[:, :, None], rows[tokens].clamp(min=torch.finfo(rows.dtype).min), -math.inf)
    found = tokens[values.argmax(1)] if tokens.numel() else numbers.new_zeros(bags, rows.shape[1])
    return torch.where(member.any(1)[:, None], found, rows.shape[0]).mT
