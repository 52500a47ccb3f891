"""What generated torch modules share; each module gets a copy of the functions it calls, and imports none of ours."""

from __future__ import annotations

import functools
import itertools
import math
import mmap
import operator
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

_NAME = ""
_AXES: dict[str, tuple[str, ...]] = {}
_CACHE = 1 << 20
_LARGE = 1 << 22


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


def _integer(name: str, value: Any, least: int) -> int:
    """A plain integer, such as a stride."""
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{_NAME}: {name} is {value!r}, expected an integer") from None
    if number < least:
        raise ValueError(f"{_NAME}: {name} is {number}, expected at least {least}")
    return number


def _length(axis: str, value: int, empty: bool, **given: int) -> int:
    """The length of an axis that the arguments do not have; ValueError if nothing is left of it, unless an argument is `empty`."""
    if value < 0 or (value == 0 and not empty):
        numbers = ", ".join(f"{name} = {number}" for name, number in given.items())
        raise ValueError(f"{_NAME}: axis {axis} would have length {value}, with {numbers}: no output is left")
    return value


def _nonempty(**lengths: int) -> None:
    """ValueError for an axis of length 0 over which a maximum is taken."""
    for axis, length in lengths.items():
        if length == 0:
            raise ValueError(f"{_NAME}: axis {axis} has length 0, and there is no maximum over it")


def _transforms() -> tuple[str, ...]:
    """The torch.func transforms that are running here, outermost first; torch has no public name for them."""
    if torch.compiler.is_compiling() or torch._C._functorch.peek_interpreter_stack() is None:
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
    """Slices of some axes, the last of them the fastest: rows of `width` entries fill the cache, and are `least` if there are as many
    and they fill the cache no more than twice, or a quarter as many."""
    cache = _CACHE if like.device.type == "cpu" else 256 * _CACHE
    row = max(width * like.element_size(), 1)
    rows = max(cache // row, min(least, 2 * cache // row), least // 4, 1)
    cuts: list[list[slice]] = []
    for length in reversed(lengths):
        step = min(length, rows)
        rows = max(rows // max(length, 1), 1)
        cuts.insert(0, [slice(start, min(start + step, length)) for start in range(0, length, max(step, 1))])
    return itertools.product(*cuts)


def _together(run: Callable[[Any], Any], parts: Iterable[Any], apart: int, like: Tensor) -> list[Tensor]:
    """What `run` returns for all of the parts, added up in their order.

    On a CPU, parts that differ in the first `apart` of their slices are shared out among as many threads as torch has, at least
    four to each; each of them computes alone: operators that share out a small part among threads wait for each other.
    """
    every = list(parts)
    groups = [list(group) for _, group in itertools.groupby(every, lambda part: [cut.start for cut in part[:apart]])]
    threads = torch.get_num_threads() if like.device.type == "cpu" else 1
    count = min(len(groups), threads, len(every) // 4)
    if count < 2:
        return list(run(every))

    def alone(share: list[Any]) -> Any:
        torch.set_num_threads(1)  # of this thread; new threads begin with what was set last
        try:
            with torch.no_grad():
                return run(share)
        finally:
            torch.set_num_threads(threads)

    ends = [len(groups) * n // count for n in range(count + 1)]
    shares = [[part for group in groups[start:end] for part in group] for start, end in zip(ends, ends[1:])]
    others = [_pool(os.getpid(), count - 1).submit(alone, share) for share in shares[1:]]
    sums = [alone(shares[0]), *(other.result() for other in others)]
    return [functools.reduce(operator.add, each) for each in zip(*sums)]


@functools.cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads beside that of the caller; a process that was forked has its own."""
    return ThreadPoolExecutor(threads)


def _empty(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """A new tensor; a large one in pages that the operating system can give whole, as NumPy asks for them: each of the many small
    ones that torch takes is first touched at a cost above that of writing it."""
    size = math.prod(shape) * like.element_size()
    if size < 2 * _CACHE or like.device.type != "cpu" or not hasattr(mmap, "MADV_HUGEPAGE"):
        return like.new_empty(shape)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_HUGEPAGE)
    return torch.frombuffer(memory, dtype=like.dtype).view(shape)


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """The same, filled with zeros."""
    return _empty(shape, like).zero_()


def _exp(exponent: Tensor, out: Tensor | None = None) -> Tensor:
    """The exponential as a power of 2: torch computes it two to three times as fast on a CPU."""
    made = torch.mul(exponent, 1.4426950408889634, out=out)
    return torch.exp2(made, out=made)


def _share_gradient(upstream: Tensor, shares: Tensor, dim: int, out: Tensor | None = None) -> Tensor:
    """shares * (upstream - the sum of both's product along an axis), by the operator that torch's own backward pass calls."""
    fused = torch.ops.aten._softmax_backward_data
    made: Tensor
    if out is None:
        made = fused(upstream, shares, dim, shares.dtype)
    else:
        made = fused.out(upstream, shares, dim, shares.dtype, grad_input=out)
    return made


def _span(seen: Tensor) -> slice:
    """The stretch of the last axis that holds every entry seen; never empty, because there is no maximum of nothing."""
    places = seen.reshape(-1, seen.shape[-1]).any(dim=0).nonzero()
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 1)


def _fill(array: Tensor, kept: Tensor, value: float, unseen: slice | None = None) -> None:
    """Write a number wherever the condition does not keep an entry: in the stretch of the last axis that is `unseen`, if that is known."""
    if kept.ndim < 2 or kept.shape[-1] != array.shape[-1] or kept.device.type != "cpu":
        array.masked_fill_(~kept, value)
        return
    some = (..., _unseen(kept) if unseen is None else unseen)
    array[some].masked_fill_(~kept[some], value)


def _unseen(kept: Tensor) -> slice:
    """The stretch of the last axis in which a condition does not keep every entry; a mask keeps most of what a part holds of a longer
    axis whole."""
    places = (~kept).flatten(0, -2).any(dim=0).nonzero()
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 0)


def _product(a: Tensor, b: Tensor, out: Tensor | None = None, spare: Tensor | None = None) -> Tensor:
    """The product of two matrices, or of each of a batch: in `out` where that is given, and where `spare` is, there or elsewhere.

    A large one of float32 on a CPU is left to oneDNN, which on many processors takes half the time of what torch calls for `@`.
    """
    if torch.compiler.is_compiling() or a.numel() * b.shape[-1] < _LARGE or not _by_onednn(a, b):
        return a @ b if out is None and spare is None else torch.matmul(a, b, out=spare if out is None else out)
    result = spare if out is None else out
    rows = _rows(a, b)
    if result is None or (out is None and a.shape[-2] <= rows):
        matrix, other = _dense(a.reshape(-1, a.shape[-1])), _dense(b.reshape(b.shape[-2:]))
        made: Tensor = _linear()(matrix, other.T, None, "none", [], "")
        return made.view(*a.shape[:-1], b.shape[-1])
    for start in range(0, a.shape[-2], rows):
        some = (..., slice(start, start + rows), slice(None))
        result[some] = _product(a[some], b)
    return result


def _by_onednn(a: Tensor, b: Tensor) -> bool:
    """Whether oneDNN takes the product: one matrix on the right, nothing narrow, and nobody who looks at each operation."""
    return bool(
        a.dtype == b.dtype == torch.float32
        and a.device.type == "cpu"
        and a.dim() >= b.dim() > 1
        and b.shape[:-2].numel() == 1
        and min(a.shape[-1], b.shape[-1], a.numel() // a.shape[-1]) >= 16
        and {type(a), type(b)} <= {Tensor, torch.nn.Parameter}
        and not (torch.is_grad_enabled() and (a.requires_grad or b.requires_grad))
        and not torch.is_autocast_enabled("cpu")
        and torch.backends.mkldnn.enabled
        and _linear() is not None
        and not _traced(a, b)
    )


@functools.cache
def _linear() -> Any:
    """oneDNN's product of a matrix and a transposed one, which torch.compile calls for the same; None where torch has none."""
    return getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch._C._has_mkldnn else None


def _dense(matrix: Tensor) -> Tensor:
    """The matrix without gaps between its rows or its columns: with them oneDNN falls back to a loop over entries."""
    if matrix.is_contiguous() or matrix.T.is_contiguous():
        return matrix
    return matrix.T.contiguous().T if matrix.stride(0) == 1 else matrix.contiguous()


def _accumulate(total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add the product of two matrices to what is there: a large one in rows, so that no array of its size is made."""
    if a.numel() * b.shape[-1] < _LARGE or a.shape[:-2] != total.shape[:-2] or not _by_onednn(a, b):
        return _add_product(total, a, b)
    rows = _rows(a, b)
    for start in range(0, a.shape[-2], rows):
        some = (..., slice(start, start + rows), slice(None))
        total[some] += _product(a[some], b)
    return total


def _rows(a: Tensor, b: Tensor) -> int:
    """How many rows of the product are made at a time, all about as many: the memory of an array of more than 32 MiB goes back to the
    operating system each time, and touching it anew costs as much as a small product."""
    most = min(max(5 * _CACHE // b.shape[-1], 64), 2048)
    return math.ceil(a.shape[-2] / math.ceil(a.shape[-2] / most))


def _add_product(total: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Add the product of two matrices, or of each of a batch, to what is there."""
    if a.shape[:-2] != total.shape[:-2] or b.shape[:-2] != total.shape[:-2]:
        total += a @ b
    elif total.dim() == 2:
        total.addmm_(a, b)
    else:
        total.view(-1, *total.shape[-2:]).baddbmm_(a.flatten(0, -3), b.flatten(0, -3))
    return total


def _spaces(work: dict[int, Tensor], like: Tensor, *shapes: tuple[int, ...]) -> list[Tensor]:
    """A tensor of each shape, in memory that the parts of a loop share."""
    for n, shape in enumerate(shapes):
        if n not in work or work[n].numel() < math.prod(shape):
            work.pop(n, None)
            work[n] = _empty((math.prod(shape),), like)
    return [work[n][: math.prod(shape)].view(shape) for n, shape in enumerate(shapes)]


def _scan(step: Any, steps: int, ends: tuple[Tensor, ...], past: tuple[tuple[int, int], ...], backwards: bool = False) -> list[Tensor]:
    """The values of a recurrence: `step(t, *earlier)` makes one entry of each array.

    `past` says which earlier entries it is given, (array, how far off); beyond either end they are `ends`, one for each array.
    """
    found: list[Any] = [None] * steps
    for t in range(steps - 1, -1, -1) if backwards else range(steps):
        found[t] = step(t, *(found[t + offset][n] if 0 <= t + offset < steps else ends[n] for n, offset in past))
    return [torch.stack([made[n] for made in found]) if steps else end.new_empty((0, *end.shape)) for n, end in enumerate(ends)]


def _add_at(tensor: Tensor, labels: Tensor, value: int) -> None:
    """Add `value` at each label along the last axis, in place."""
    tensor.scatter_add_(-1, labels[..., None], tensor.new_full((), value).expand(*labels.shape, 1))


def _recorded() -> bool:
    """Whether something looks at each operation, or differentiates the gradients that are computed now."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled():
        return True
    return torch._C._functorch.peek_interpreter_stack() is not None or torch.autograd.forward_ad._current_level >= 0


def _early(ctx: Any, upstream: Tensor) -> Any:
    """The gradients that the forward pass made, times the upstream gradient: once, and in place, since nobody else has them. None where
    they are gone, or where the gradients are differentiated themselves."""
    if "early" not in ctx.__dict__ or _recorded() or _traced(upstream):
        return None
    gradients = ctx.__dict__.pop("early")
    if upstream.device.type != "cpu" or upstream != 1:
        for gradient in gradients:
            gradient *= upstream
    return gradients


def _detached(*given: Tensor) -> list[Tensor]:
    """The tensors, such that nothing is recorded."""
    return [tensor.detach() if tensor.requires_grad else tensor for tensor in given]


def _upstream(name: str, value: Any, shape: tuple[int, ...], like: Tensor | None) -> Tensor:
    """An upstream gradient, which has the shape of its output."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{_NAME}: {name} is a {type(value).__name__}, expected a torch tensor")
    if value.shape != shape:
        raise ValueError(f"{_NAME}: {name} has shape {tuple(value.shape)}, expected {shape}")
    if like is not None and value.dtype != like.dtype:
        raise TypeError(f"{_NAME}: {name} holds {value.dtype} and the outputs hold {like.dtype}; convert it")
    return value.detach() if value.requires_grad else value


def _added_at(tensor: Tensor, labels: Tensor, value: int) -> Tensor:
    """The tensor with `value` added at each label along the last axis."""
    return tensor.scatter_add(-1, labels[..., None], tensor.new_full((), value).expand(*labels.shape, 1))


def _chosen(traced: Any, dual: Any, reverse: Any) -> Any:
    """How to call a Function: torch.compile traces only one without forward mode, and where forward mode is nested in
    forward mode torch loses the outer tangent of any Function, so that there it differentiates the plain operations. Where nothing
    is recorded, the operations alone are all there is to do, and where no transform runs, reverse mode is."""
    if torch.compiler.is_compiling():
        return traced.apply
    if torch._C._functorch.peek_interpreter_stack() is not None or torch.autograd.forward_ad._current_level >= 0:
        return traced.forward if _transforms().count("Jvp") > 1 else dual.apply
    return reverse.apply if torch.is_grad_enabled() else traced.forward


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


def _respected(about: str, fact: str, indices: tuple[str, ...], relation: str, gap: Any) -> None:
    """ValueError where a declared fact does not hold: where its sides are apart, or the greater one is less, by `gap`."""
    found = torch.as_tensor(gap)
    slack = float(torch.finfo(found.dtype).eps) ** 0.5 if relation == "=" else 0.0
    bad = ~(abs(found) <= slack) if relation == "=" else ~(found > 0) if relation == "<" else ~(found >= 0)
    if not bool(bad.any()):
        return
    far = torch.where(bad, torch.nan_to_num(found.abs(), nan=torch.inf), -torch.ones_like(found))
    worst = tuple(int(n) for n in torch.unravel_index(far.argmax(), far.shape))
    at = ", ".join(f"{name} = {int(place)}" for name, place in zip(indices, worst))
    amount = f"{float(found[worst]):.6g}" if relation != "=" else f"{float(abs(found[worst])):.6g}"
    what = "its sides differ by" if relation == "=" else "the greater side minus the other is"
    count = int(bad.sum())
    where = (f" at {at}" if at else "") + (f", the worst of {count} places" if count > 1 else "")
    raise ValueError(f"{_NAME}: {about} does not respect the declared fact {fact}: {what} {amount}{where}")


def _one_hot(labels: Tensor, length: int, like: Tensor) -> Tensor:
    """1 at each label along a new last axis, else 0."""
    return (labels[..., None] == torch.arange(length, device=like.device)).to(like.dtype)


def _scatter(labels: Tensor, values: Tensor, length: int, batch: int) -> Tensor:
    """The values added up at their labels along a new axis of this length, which takes the place of the axes that the labels have
    behind the first `batch`. Half precision is added up in float32."""
    lead, rest = labels.shape[:batch], values.shape[labels.ndim :]
    count = math.prod(lead)
    rows = labels.reshape(count, math.prod(labels.shape[batch:])) + length * torch.arange(count, device=labels.device)[:, None]
    wide = values.float() if values.dtype in (torch.bfloat16, torch.float16) else values
    made = wide.new_zeros(count * length, *rest)
    add = made.index_add if _traced(labels, values) else made.index_add_
    wide = wide.expand(*labels.shape, *rest).reshape(labels.numel(), *rest)
    return add(0, rows.reshape(-1), wide).to(values.dtype).reshape(*lead, length, *rest)


def _read(tensor: Tensor, places: dict[int, tuple[Any, ...]]) -> Tensor:
    """The tensor with other axes in the place of some: along each of `places`, (offset, (step, length), ...), the entry at the offset
    and the steps times their indices is read, and 0 outside of the tensor."""
    shape: list[int] = []
    padding = [0] * (2 * tensor.ndim)
    first = [0] * tensor.ndim
    for axis in range(tensor.ndim):
        if axis not in places:
            shape.append(tensor.shape[axis])
            continue
        offset, *steps = places[axis]
        shape += [length for _, length in steps]
        if any(length == 0 for _, length in steps):
            continue
        lowest = offset + sum(min(0, step * (length - 1)) for step, length in steps)
        highest = offset + sum(max(0, step * (length - 1)) for step, length in steps)
        padding[-2 * axis - 2] = max(0, -lowest)
        padding[-2 * axis - 1] = max(0, highest + 1 - tensor.shape[axis])
        first[axis] = lowest + padding[-2 * axis - 2]
    if 0 in shape:
        return tensor.new_zeros(shape)
    result = torch.nn.functional.pad(tensor, padding) if any(padding) else tensor
    for axis in sorted(places, reverse=True):
        _, *steps = places[axis]
        span = 1 + sum(abs(step) * (length - 1) for step, length in steps)
        result = result.narrow(axis, first[axis], span)
        for n, (step, length) in enumerate(steps):
            span -= abs(step) * (length - 1)
            if step:
                result = result.unfold(axis + n, span, abs(step)).movedim(-1, axis + n + 1)
            else:
                result = result.unsqueeze(axis + n).expand(*result.shape[: axis + n], length, *result.shape[axis + n :])
        result = result.select(axis + len(steps), 0)
        backwards = [axis + n for n, (step, _) in enumerate(steps) if step < 0]
        result = result.flip(backwards) if backwards else result
    return result


def _place(tensor: Tensor, axis: int, length: int, offset: int, *steps: int) -> Tensor:
    """The transpose of reading: the axes from `axis` on, one for each step, become one of this length, on which each entry is
    added at the offset and the steps times its indices, and left out outside."""
    counts = tensor.shape[axis : axis + len(steps)]
    lead, rest = tensor.shape[:axis], tensor.shape[axis + len(steps) :]
    if 0 in counts:
        return tensor.new_zeros((*lead, length, *rest))
    lowest = min(0, offset + sum(min(0, step * (count - 1)) for step, count in zip(steps, counts)))
    highest = max(length - 1, offset + sum(max(0, step * (count - 1)) for step, count in zip(steps, counts)))
    result = tensor.new_zeros((*lead, highest - lowest + 1, *rest))
    # One slice for each combination of all indices but the longest.
    longest = max(range(len(steps)), key=counts.__getitem__, default=None)
    for where in itertools.product(*(range(1 if n == longest else count) for n, count in enumerate(counts))):
        start = offset - lowest + sum(step * n for step, n in zip(steps, where))
        if longest is None:
            result.select(axis, start).add_(tensor)
            continue
        part = tensor[(slice(None),) * axis + tuple(slice(None) if n == longest else at for n, at in enumerate(where))]
        step, count = steps[longest], counts[longest]
        if step == 0:
            result.select(axis, start).add_(part.sum(dim=axis))
        elif step > 0:
            result[(slice(None),) * axis + (slice(start, start + step * (count - 1) + 1, step),)].add_(part)
        else:
            last = start + step * (count - 1)
            result[(slice(None),) * axis + (slice(last, start + 1, -step),)].add_(part.flip(axis))
    return result.narrow(axis, -lowest, length)


def _no_third(*_: Any) -> Any:
    raise NotImplementedError(f"{_NAME}: third derivatives are not derived; it can be differentiated twice")


def _determinant(matrix: Tensor) -> Tensor:
    """The determinant over the last two axes, by an LU factorisation: torch.linalg.det loses a tangent where forward mode is nested."""
    factors: Tensor
    factors, pivots, _ = torch.linalg.lu_factor_ex(matrix)
    swaps = (pivots != torch.arange(1, matrix.shape[-1] + 1, device=matrix.device)).sum(-1)
    signs: Tensor = (1 - 2 * (swaps % 2)).to(matrix.dtype)
    return factors.diagonal(dim1=-2, dim2=-1).prod(-1) * signs


def _log_determinant(matrix: Tensor) -> Tensor:
    """log |det| over the last two axes, by an LU factorisation; minus infinity where a matrix is singular."""
    factors: Tensor = torch.linalg.lu_factor_ex(matrix).LU
    return factors.diagonal(dim1=-2, dim2=-1).abs().log().sum(-1)
